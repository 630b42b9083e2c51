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

DATES = (256, 512, 1024, 2048)  # scenes over one area: the same files under many names
AREA = 1024  # pixels a side of that area
TILES = (3, 4, 6, 8)  # tiles a side
FEW, OFTEN = 4, 16  # files in the cases of growing area, and dates that they serve as

Figures = dict[str, float]


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
        Rounds; the median counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        warm = make(home / "warm", 96, 2, False, 96)
        files = make(home / "dates", AREA, MOST_FILES, False, AREA // 2)
        scenes = [repeated(files, home / f"dates{n}", n) for n in DATES]
        areas = [
            repeated(make(home / f"few{n}", n * tile, FEW, False, tile), home / f"area{n}", OFTEN)
            for n in TILES
        ]
        by_scenes = rounds(lambda case: alone(work, case, warm), scenes, runs)
        by_area = rounds(lambda case: alone(work, case, warm), areas, runs)
    squares = [n * n for n in TILES]
    return {
        "scenes_exponent": round(fitted(DATES, by_scenes), 3),
        "area_exponent": round(fitted(squares, by_area), 3),
        "scenes": list(DATES),
        "scenes_cpu_s": [round(median(c, "cpu"), 3) for c in by_scenes],
        "scenes_peak_mib": [round(max(f["peak_mib"] for f in c)) for c in by_scenes],
        "area_tiles": squares,
        "area_cpu_s": [round(median(c, "cpu"), 3) for c in by_area],
        "area_peak_mib": [round(max(f["peak_mib"] for f in c)) for c in by_area],
    }


def rounds(
    work: Callable[[Case], Figures], cases: Sequence[Case], runs: int
) -> list[list[Figures]]:
    """Return the figures of every case, round by round.

    A processor's speed drifts over minutes: every round has all sizes, upwards and downwards in
    turn, so that a drift does not look like growth.
    """
    found: list[list[Figures]] = [[] for _ in cases]
    for turn in range(runs):
        order = range(len(cases)) if turn % 2 == 0 else range(len(cases) - 1, -1, -1)
        for k in order:
            found[k].append(work(cases[k]))
    return found


def fitted(sizes: Sequence[float], figures: Sequence[Sequence[Figures]]) -> float:
    """Return the median over rounds of the exponent of processor seconds."""
    costs = zip(*([f["cpu"] for f in case] for case in figures), strict=True)
    return float(np.median([exponent(sizes, cost) for cost in costs]))
