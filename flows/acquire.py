"""Search a period's scenes and check their files, with retries: archives have bad minutes."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from .receipts import RETRY, receipt


@task(name="acquire", **RETRY)
def acquire_task(region: str, period: str) -> dict[str, Any]:
    """Acquire one period; the receipt counts scenes and failures by month."""
    from eco_index.config import load_region
    from eco_index.period import Period
    from eco_index.pipeline import acquire_period

    return receipt(acquire_period(load_region(region), Period.parse(period)))


@flow(name="acquire")
def acquire_flow(region: str, period: str) -> dict[str, Any]:
    """Find the scenes of a period (2025, 2025H1) of a region file and record them."""
    return acquire_task(region, period)
