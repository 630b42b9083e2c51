"""The same bits from simulated imagery: any tile size, threads or processes, killed or not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import copy_region

from eco_index import cube, pipeline
from eco_index.config import Region, load_region
from eco_index.period import Period
from eco_index.products import products_of

WHOLE = (slice(None), slice(None))


def compute(region: Region, period: Period, **options: Any) -> dict[str, Any]:
    pipeline.acquire_period(region, period)
    return pipeline.compute_period(region, period, **options)


def view_of(region: Region) -> cube.CubeView:
    return cube.open_archive(region.archive_path).view()


def place(small_region: Path, folder: Path, **grid: Any) -> Region:
    """The small simulated region with an output folder (and grid) of its own."""
    return load_region(copy_region(small_region, folder, grid, programmes=["whole_region"]))


def contents(region: Region, period: Period) -> dict[str, np.ndarray]:
    view = view_of(region)
    found = {}
    for month in region.config.period_months(period):
        for product in products_of("monthly", False):
            name = f"{product.id} {month.id}"
            found[name] = view.read("monthly", product.id, month.id, WHOLE)
    for product in products_of(period.cadence, True):
        found[product.id] = view.read(period.cadence, product.id, period.id, WHOLE)
    return found


HALF = Period(2025, 1)


@pytest.fixture(scope="module")
def reference(
    small_region: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    region = place(small_region, tmp_path_factory.mktemp("reference"))
    compute(region, HALF)
    found = contents(region, HALF)
    assert (found["fvc"] != 65535).mean() > 0.5
    assert cube.verify(region.archive_path) == []
    return found


def assert_same(found: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> None:
    assert found.keys() == reference.keys()
    for name, values in reference.items():
        assert np.array_equal(found[name], values), name


@pytest.mark.e2e
@pytest.mark.parametrize("tile", [64, 192])
def test_equal_bits_for_any_tile_size(
    small_region: Path, tmp_path: Path, reference: dict[str, np.ndarray], tile: int
) -> None:
    region = place(small_region, tmp_path, tile=tile, chunk=64)
    compute(region, HALF)
    assert_same(contents(region, HALF), reference)


@pytest.mark.e2e
def test_equal_bits_with_processes(
    small_region: Path, tmp_path: Path, reference: dict[str, np.ndarray]
) -> None:
    region = place(small_region, tmp_path)
    assert compute(region, HALF, cluster="local:2")["skipped"] == 0
    assert_same(contents(region, HALF), reference)


KILLED = """
import sys
from eco_index.config import load_region
from eco_index.period import Period
from eco_index import pipeline
region, period = load_region(sys.argv[1]), Period.parse(sys.argv[2])
pipeline.acquire_period(region, period)
pipeline.compute_period(region, period, progress=lambda s, d, t, x: print(s, d, flush=True))
"""


@pytest.mark.e2e
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_goes_on_where_it_stopped(
    small_region: Path, tmp_path: Path, reference: dict[str, np.ndarray], how: signal.Signals
) -> None:
    region = place(small_region, tmp_path)
    root = Path(__file__).resolve().parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(region.config.path), HALF.id],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if re.match(r"composite [4-9]", line):
            process.send_signal(how)
            break
    process.stdout.close()
    assert process.wait(timeout=60) != 0
    finished = view_of(region).states()
    # Killed, what finished since the last commit is made again; interrupted, it is committed.
    least = 4 if how == signal.SIGINT else 1
    assert sum(t.startswith("composite") for t in finished) >= least
    assert cube.verify(region.archive_path) == []
    receipt = compute(region, HALF)
    assert receipt["skipped"] == sum(not t.startswith("acquire") for t in finished)
    assert receipt["done"] + receipt["skipped"] == len(reference_tasks(region))
    assert_same(contents(region, HALF), reference)


def reference_tasks(region: Region) -> list[str]:
    tiles = region.grid.tiles()
    times = [m.id for m in region.config.period_months(HALF)] + [HALF.id]
    return [f"{t} {tile.id}" for t in times for tile in tiles]
