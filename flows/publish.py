"""Write the reports of a period, and publish an immutable release of it."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from .receipts import receipt


@task(name="report")
def report_task(region: str, period: str, programmes: list[str] | None) -> dict[str, Any]:
    """Write the reports of one period; the receipt names the files."""
    from eco_index.config import load_region
    from eco_index.period import Period
    from eco_index.pipeline import report_period

    return receipt(report_period(load_region(region), Period.parse(period), programmes))


@task(name="publish")
def publish_task(region: str, period: str, name: str, override: str | None = None) -> str:
    """Publish a release; the receipt is its folder."""
    from eco_index.config import load_region
    from eco_index.cube import open_archive
    from eco_index.period import Period
    from eco_index.release import publish

    loaded = load_region(region)
    archive = open_archive(loaded.archive_path)
    return str(publish(loaded, Period.parse(period), name, archive, override))


@flow(name="report")
def report_flow(region: str, period: str, programmes: list[str] | None = None) -> dict[str, Any]:
    """Write the reports of a period's summaries."""
    return report_task(region, period, programmes)


@flow(name="publish")
def publish_flow(region: str, period: str, name: str, override: str | None = None) -> str:
    """Publish the assessments of a period as the release `name`; never on a schedule.

    `override` is the printed reason for publishing although the accuracy asked for is not shown.
    """
    return publish_task(region, period, name, override)
