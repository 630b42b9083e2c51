"""What a Dask scheduler is handed: tasks by tile and month, not by scene, block or chunk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import distributed
import pytest
import tiny_region

from eco_index import pipeline
from eco_index.compute import compute_composites, compute_products
from eco_index.cube import create_or_open
from eco_index.executor import Workers
from eco_index.period import Period

MOST = 50  # tasks for a tile and reporting period


@pytest.fixture
def client() -> Iterator[distributed.Client]:
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
    ) as made:
        yield made


def test_a_tile_and_period_is_few_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: distributed.Client
) -> None:
    region = tiny_region.region(tmp_path)
    tiny_region.Sky(region).install(monkeypatch)
    period = Period(2025)
    pipeline.acquire_period(region, period)
    archive = create_or_open(region)
    workers = Workers(client.get_executor(pure=False), lambda: 2)

    def silent(*_: object) -> None: ...

    compute_composites(region, archive, period, lambda: workers, silent)
    compute_products(region, archive, period, lambda: workers, silent)

    def keys(dask_scheduler: distributed.Scheduler) -> list[str]:
        return [str(entry[0]) for entry in dask_scheduler.transition_log]

    made = set(client.run_on_scheduler(keys))
    tiles, months = len(region.grid.tiles()), len(region.config.period_months(period))
    # A composite of each month, and all products together.
    assert len(made) == tiles * (months + 1)
    assert len(made) / tiles <= MOST
