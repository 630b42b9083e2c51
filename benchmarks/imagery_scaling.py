"""How the cost of compositing grows with scenes and area: fitted exponents, 1 is linear."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imagery_files import Case, make
from benchmarks.processes import alone, median

DATES = (4, 8, 16, 28)
TILES = (2, 3, 4, 5)  # tiles a side
FEW = 4  # dates in the cases of growing area


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of log cost over log size."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def deviation(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the largest relative distance of a cost from the best line a + b size.

    The fixed part a (a new archive, products that do not depend on the number of scenes) pulls
    exponents of small cases below 1; a line stays a line.
    """
    x, y = np.asarray(sizes, float), np.asarray(costs, float)
    slope, start = np.polyfit(x, y, 1, w=1 / y)
    return float(np.abs((start + slope * x) / y - 1).max())


def measure_scaling(
    work: Callable[[Case, Case], dict[str, float]], tile: int, runs: int
) -> dict[str, Any]:
    """Return exponents of processor seconds (other work on the machine does not count).

    Exponents are of the cost as it is, and of the cost less a fixed part that is measured apart
    from the sizes of the fit: over area, a run on a region of 96 x 96 pixels (opening archive and
    files, one commit); over scenes, what runs on one and on two scenes leave for none (products,
    writing and commits of the same tiles).

    Parameters
    ----------
    work : callable
        A side of the benchmark: case, warm-up case -> figures with ``cpu`` and ``peak_mib``.
    tile : int
        Write tile of the grid, pixels.
    runs : int
        Runs of each case; the median counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        warm = make(home / "warm", 96, 2, False, 96)

        def cost(name: str, size: int, dates: int) -> tuple[float, float]:
            case = make(home / name, size, dates, False, tile)
            found = [alone(work, case, warm) for _ in range(runs)]
            return median(found, "cpu"), max(f["peak_mib"] for f in found)

        nothing = median([alone(work, warm, warm) for _ in range(runs)], "cpu")
        one, two = (cost(f"dates{n}", 2 * tile, n)[0] for n in (1, 2))
        writing = max(0.0, 2 * one - two)
        areas = [cost(f"area{n}", n * tile, FEW) for n in TILES]
        scenes = [cost(f"dates{n}", 2 * tile, n) for n in DATES]
    squares = [n * n for n in TILES]
    return {
        "area_exponent": round(exponent(squares, [c for c, _ in areas]), 3),
        "area_exponent_less_fixed": round(exponent(squares, [c - nothing for c, _ in areas]), 3),
        "scenes_exponent_less_fixed": round(exponent(DATES, [c - writing for c, _ in scenes]), 3),
        "area_fixed_cpu_s": round(nothing, 3),
        "scenes_fixed_cpu_s": round(writing, 3),
        "area_off_line": round(deviation(squares, [c for c, _ in areas]), 3),
        "scenes_exponent": round(exponent(DATES, [c for c, _ in scenes]), 3),
        "scenes_off_line": round(deviation(DATES, [c for c, _ in scenes]), 3),
        "area_cpu_s": [round(c, 3) for c, _ in areas],
        "scenes_cpu_s": [round(c, 3) for c, _ in scenes],
        "area_peak_mib": [round(p) for _, p in areas],
        "scenes_peak_mib": [round(p) for _, p in scenes],
        "scaling_tile": tile,
    }
