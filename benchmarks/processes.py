"""Running each side of a comparison in a process of its own, in turns."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: What a peer may take, s.
LIMIT_SECONDS = 300.0

Side = tuple[Callable[..., dict[str, float]], tuple[Any, ...]]


def cores() -> int:
    """Return the number of cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else (os.cpu_count() or 1)


def peak_mib() -> float:
    """Return the greatest resident memory of this process so far, MiB.

    Not `ru_maxrss` where it can be helped: that one is handed on from the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(
    work: Callable[..., dict[str, float]], *args: Any, limit: float | None = None
) -> dict[str, float]:
    """Run in a fresh process, so that memory and caches are its own.

    Raises
    ------
    TimeoutError
        Not finished after `limit` seconds of wall time; it is ended.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply_async(work, args).get(limit)
        except multiprocessing.TimeoutError:
            raise TimeoutError(f"not finished within {limit:g} s") from None


def largest(
    side: Callable[[int], Side], size: int, probe: int, limit: float = LIMIT_SECONDS
) -> tuple[int, dict[str, float]]:
    """Run a peer at a size, or at the largest that it finishes within the limit.

    Its time grows with the square of the size: a run at `probe` says what to expect, and a size
    that is expected to take over three fifths of the limit is not begun (a busy machine may slow
    down in between). A size that takes too long all the same is halved.

    Parameters
    ----------
    side : callable
        Gives work and arguments for a size; the result holds its `seconds`.
    size, probe : int
        The size wanted, and a small one.
    limit : float
        Seconds of wall time.

    Returns
    -------
    tuple
        The size and what the run returned.

    Raises
    ------
    SystemExit
        Not even a quarter of the expected size was finished.
    """
    if size > probe:
        work, args = side(probe)
        seconds = max(alone(work, *args)["seconds"], 1e-3)
        size = min(size, _rounded(probe * math.sqrt(0.6 * limit / seconds)))
    first = size
    while size >= first // 4:
        work, args = side(size)
        try:
            return size, alone(work, *args, limit=limit)
        except TimeoutError:
            size = _rounded(size / 2)
    raise SystemExit(f"the peer finishes no size near {first} within {limit:g} s")


def _rounded(size: float) -> int:
    """Cut a size to two digits."""
    unit = 10 ** max(math.floor(math.log10(size)) - 1, 0)
    return int(size // unit * unit)


def alternating(
    sides: Mapping[str, Side],
    runs: int,
    fewer: Mapping[str, int] | None = None,
    limit: float | None = None,
) -> dict[str, list[dict[str, float]]]:
    """Run all sides one after the other, `runs` times over: noise falls on all of them.

    A side named in `fewer` takes part in that many of the first turns only.

    Raises
    ------
    TimeoutError
        A side has not finished within `limit` seconds.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for turn in range(runs):
        for name, (work, args) in sides.items():
            if turn < (fewer or {}).get(name, runs):
                found[name].append(alone(work, *args, limit=limit))
    return found


def median(runs: list[dict[str, float]], key: str) -> float:
    """Return the median of a figure over runs."""
    return float(statistics.median(run[key] for run in runs))
