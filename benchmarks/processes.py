"""Running each side of a comparison in a process of its own, in turns."""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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


def alone(work: Callable[..., dict[str, float]], *args: Any) -> dict[str, float]:
    """Run in a fresh process, so that memory and caches are its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, args)


def alternating(
    sides: Mapping[str, Side], runs: int, fewer: Mapping[str, int] | None = None
) -> dict[str, list[dict[str, float]]]:
    """Run all sides one after the other, `runs` times over: noise falls on all of them.

    A side named in `fewer` takes part in that many of the first turns only.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for turn in range(runs):
        for name, (work, args) in sides.items():
            if turn < (fewer or {}).get(name, runs):
                found[name].append(alone(work, *args))
    return found


def median(runs: list[dict[str, float]], key: str) -> float:
    """Return the median of a figure over runs."""
    return float(statistics.median(run[key] for run in runs))
