"""Composite the scenes of a period and compute its products, tile by tile."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from .receipts import RETRY, receipt


@task(name="compute", **RETRY)
def compute_task(region: str, period: str, cluster: str) -> dict[str, Any]:
    """Compute the tiles of one period that are not done yet; a repeated try skips finished ones."""
    from eco_index.config import load_region
    from eco_index.period import Period
    from eco_index.pipeline import compute_period

    return receipt(compute_period(load_region(region), Period.parse(period), cluster))


@flow(name="compute")
def compute_flow(region: str, period: str, cluster: str = "local") -> dict[str, Any]:
    """Bring the products of a period in the cube up to date."""
    return compute_task(region, period, cluster)
