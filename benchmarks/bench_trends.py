"""Trends per pixel against pymannkendall applied pixel by pixel, timed on a sample of the pixels.

Prints one JSON object. `trend_ratio_pymannkendall` is the peer's seconds per pixel over ours, one
thread each (`trend_cpu_ratio_...`: of processor time, to judge by on a busy machine); ours computes
the stack block by block, each block made when it is read (its making is not timed).
`trend_peak_mib` is the memory above that before the run. Slope, p and class of the sample must
agree.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from benchmarks.processes import peak_mib

BLOCK = 500
YEARS = np.arange(2000, 2025)


def block_of(row: int, column: int, shape: tuple[int, int]) -> np.ndarray:
    """Return a block: float32 index values to two decimals, so tied, with trends and clouds."""
    random = np.random.default_rng((row, column))
    stack = random.normal(0.4, 0.05, (YEARS.size, *shape)).astype(np.float32)
    stack += np.linspace(-0.1, 0.1, YEARS.size, dtype=np.float32)[:, None, None] * random.normal(
        size=shape
    ).astype(np.float32)
    np.round(stack, 2, out=stack)
    stack[random.random(stack.shape, np.float32) < 0.05] = np.nan
    return stack


def measure(size: int, sample: int = 500, correction: Any = "none") -> dict[str, Any]:
    """Return all figures of a stack of `size` x `size` pixels.

    Raises
    ------
    ValueError
        Slope, p or class of a pixel of the sample differs from the peer's.
    """
    import pymannkendall as mk

    from eco_index.trends import NOT_TESTED, trends, trends_by_block

    peer: Any = {
        "none": mk.original_test,
        "hamed_rao": mk.hamed_rao_modification_test,
        "yue_wang": mk.yue_wang_modification_test,
    }[correction]

    making = np.zeros(2)

    def read(rows: slice, columns: slice) -> np.ndarray:
        nonlocal making
        began = _clocks()
        stack = block_of(
            rows.start, columns.start, (rows.stop - rows.start, columns.stop - columns.start)
        )
        making += _clocks() - began
        return stack

    trends(block_of(0, 0, (8, 8)), YEARS, correction=correction)
    before = peak_mib()
    start = _clocks()
    tested = 0
    for *_, part in trends_by_block(read, (size, size), YEARS, block=BLOCK, correction=correction):
        tested += int((part.classes != NOT_TESTED).sum())
    ours = (_clocks() - start - making) / size**2
    peak = peak_mib() - before

    stack = block_of(0, 0, (BLOCK, BLOCK)).reshape(YEARS.size, -1)[:, :sample]
    series = stack.astype(np.float64).T.copy()
    found = trends(stack, YEARS, correction=correction)
    with np.errstate(invalid="ignore"):
        peer(series[0])
        start = _clocks()
        wanted = [peer(x) for x in series]
    theirs = (_clocks() - start) / len(series)
    for k, want in enumerate(wanted):
        if np.isnan(want.p) != np.isnan(found.p[k]):
            raise ValueError(f"pixel {k}: p {found.p[k]} here, {want.p} there")
        level = sum(want.p < a for a in (0.10, 0.05, 0.01)) * int(np.sign(np.nan_to_num(want.z)))
        same = np.allclose(
            [found.slope[k], found.p[k]], [want.slope, want.p], rtol=1e-7, atol=1e-9, equal_nan=True
        )
        if not same or (not np.isnan(want.p) and found.classes[k] != level):
            raise ValueError(f"pixel {k} differs: {want}")
    return {
        "trend_ratio_pymannkendall": round(theirs[0] / ours[0], 1),
        "trend_cpu_ratio_pymannkendall": round(theirs[1] / ours[1], 1),
        "trend_correction": correction,
        "trend_years": int(YEARS.size),
        "trend_size": size,
        "trend_tested": tested,
        "trend_seconds": round(ours[0] * size**2, 3),
        "trend_us_per_pixel": round(ours[0] * 1e6, 3),
        "trend_peer_us_per_pixel": round(theirs[0] * 1e6, 1),
        "trend_peer_pixels": len(series),
        "trend_peak_mib": round(peak, 1),
    }


def _clocks() -> np.ndarray:
    """Return seconds of the clock and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def main(arguments: list[str] | None = None) -> None:
    """Run and print one JSON object."""
    from eco_index.trends import CORRECTIONS

    parser = argparse.ArgumentParser(prog="python -m benchmarks trends", description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="side of the stack, pixels")
    parser.add_argument("--sample", type=int, default=500, help="pixels for the peer")
    parser.add_argument("--correction", choices=CORRECTIONS, default="none")
    given = parser.parse_args(arguments)
    print(json.dumps(measure(given.size, given.sample, given.correction)))


if __name__ == "__main__":
    main()
