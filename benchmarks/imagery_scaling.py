"""How the cost of compositing grows with scenes and area: fitted exponents, 1 is linear.

Sizes are large enough for what does not grow (opening the archive, products and writing where only
scenes grow) to weigh little: nothing is subtracted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imagery_files import MOST_FILES, Case, make, repeated
from benchmarks.processes import alone, median

DATES = (128, 256, 512, 1024)  # scenes over one area: the same files under many names
AREA = 1024  # pixels a side of that area
TILES = (3, 4, 6, 8)  # tiles a side
FEW = 4  # dates in the cases of growing area


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of log cost over log size."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def measure_scaling(
    work: Callable[[Case, Case], dict[str, float]], tile: int, runs: int
) -> dict[str, Any]:
    """Return exponents of processor seconds (other work on the machine does not count).

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

        def cost(case: Case) -> tuple[float, float]:
            found = [alone(work, case, warm) for _ in range(runs)]
            return median(found, "cpu"), max(f["peak_mib"] for f in found)

        files = make(home / "dates", AREA, MOST_FILES, False, AREA // 2)
        scenes = [cost(repeated(files, home / f"dates{n}", n)) for n in DATES]
        areas = [cost(make(home / f"area{n}", n * tile, FEW, False, tile)) for n in TILES]
    squares = [n * n for n in TILES]
    return {
        "scenes_exponent": round(exponent(DATES, [c for c, _ in scenes]), 3),
        "area_exponent": round(exponent(squares, [c for c, _ in areas]), 3),
        "scenes": list(DATES),
        "scenes_cpu_s": [round(c, 3) for c, _ in scenes],
        "scenes_peak_mib": [round(p) for _, p in scenes],
        "area_tiles": squares,
        "area_cpu_s": [round(c, 3) for c, _ in areas],
        "area_peak_mib": [round(p) for _, p in areas],
    }
