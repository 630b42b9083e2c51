"""Assess the programmes of a period: zones, indicators, official indices, summary."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from .receipts import receipt


@task(name="assess")
def assess_task(region: str, period: str, programmes: list[str] | None) -> dict[str, Any]:
    """Assess one period; the receipt names the summaries."""
    from eco_index.config import load_region
    from eco_index.period import Period
    from eco_index.pipeline import assess_period

    return receipt(assess_period(load_region(region), Period.parse(period), programmes))


@flow(name="assess")
def assess_flow(region: str, period: str, programmes: list[str] | None = None) -> dict[str, Any]:
    """Write the summaries of a period's programmes."""
    return assess_task(region, period, programmes)
