"""``eco plan`` and ``eco run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eco_index.cli import console
from eco_index.cli.options import (
    AsJson,
    Cluster,
    Interim,
    Periods,
    Programmes,
    RegionFile,
    check_cluster,
    read_periods,
    read_programmes,
    read_region,
)

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.period import Period
    from eco_index.pipeline import RunReport

STATES = ("new", "stale", "done", "blocked")


def plan(
    region_file: RegionFile,
    period: Periods,
    programme: Programmes = None,
    interim: Interim = False,
    as_json: AsJson = False,
) -> None:
    """Say what a run would do and what it would cost. Nothing is written.

    States: **new** never computed; **done** nothing to do; **stale** inputs, parameters or code
    changed since; **blocked** something is missing, with the reason.

    Example: `eco plan configs/regions/demo.yaml --period 2025`
    """
    region = read_region(region_file, interim)
    _show_plan(region, read_periods(period), read_programmes(region, programme), as_json)


def run(
    region_file: RegionFile,
    period: Periods,
    programme: Programmes = None,
    cluster: Cluster = "local",
    interim: Interim = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="The same as `eco plan`: nothing is written.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Assess a region: imagery to cube, zones, indices and reports.

    Work that is done is not done again; an interrupted run goes on where it stopped.

    Examples:
    `eco run configs/regions/demo.yaml --period 2025`

    `eco run my.yaml --period 2025H1 --period 2025H2 --programme red_line --cluster local:4`
    """
    region = read_region(region_file, interim)
    periods, programmes = read_periods(period), read_programmes(region, programme)
    check_cluster(cluster)
    if dry_run:
        _show_plan(region, periods, programmes, as_json)
        return
    from eco_index import pipeline

    with console.Progress(quiet=as_json) as progress:
        report = pipeline.run(
            region, periods, programmes=programmes, cluster=cluster, progress=progress
        )
    if as_json:
        console.answer_json(report.to_dict())
    else:
        say_report(report)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _show_plan(
    region: Region, periods: list[Period], programmes: list[str] | None, as_json: bool
) -> None:
    from eco_index.plan import plan as make_plan

    made = make_plan(region, periods, programmes=programmes).to_dict()
    if as_json:
        console.answer_json(made)
    else:
        _say_plan(made)


WORK = {
    "acquire": "list the scenes of a month",
    "composite": "composite a tile of a month",
    "product": "products of a tile",
    "assessment": "assessment and reports",
}


def _say_plan(made: dict[str, Any]) -> None:
    archive = console.path_text(made["archive"])
    state = "" if made["archive_exists"] else " (will be created)"
    console.answer(f"region {made['region']}, archive {archive}{state}")
    rows = [
        (WORK[kind], time, *(counts.get(state, "") for state in STATES), reason)
        for (kind, time), (counts, reason) in _by_period(made).items()
    ]
    console.table(("work", "period", *STATES, "first reason"), rows)
    cost = made["cost"]
    size = console.size_text(cost["bytes_to_read"])
    if cost["unknown_sizes"]:
        size += f" and {cost['unknown_sizes']} files of unknown size"
    console.answer(
        f"cost: {cost['scenes']} scenes opened {cost['reads']} times ({size}), "
        f"{cost['pixels_to_write'] / 1e6:,.1f} million pixels to write"
    )
    if cost["requests"]:
        console.answer(
            f"Earth Engine: up to {cost['requests']} requests, "
            f"{console.size_text(cost['request_bytes'])}"
        )
    for failure in made["failures"]:
        console.answer(
            f"unusable: {failure['month']} {failure['dataset']}/{failure['scene']} "
            f"{failure['asset']}: {failure['reason']}"
        )
    for text in made["notes"]:
        console.answer(f"note: {text}")


def _by_period(
    made: dict[str, Any],
) -> dict[tuple[str, str], tuple[dict[str, int], str]]:
    """Count states by kind and period (months by their year), with the first reason."""
    groups: dict[tuple[str, str], tuple[dict[str, int], str]] = {}
    entries = [(task["id"].split("/")[0], task["id"].split("/")[1], task) for task in made["tasks"]]
    entries += [("assessment", a["period"], a) for a in made["assessments"]]
    for kind, time, entry in entries:
        key = (kind, f"{time[:4]} by month" if "-" in time else time)
        counts, reason = groups.get(key, ({}, ""))
        counts[entry["state"]] = counts.get(entry["state"], 0) + 1
        groups[key] = (counts, reason or entry["reason"])
    order = list(WORK)
    return dict(sorted(groups.items(), key=lambda item: order.index(item[0][0])))


def say_report(report: RunReport) -> None:
    """Print what a run did and where the results lie."""
    tasks = report.tasks
    console.answer(
        f"region {report.region}, periods {', '.join(report.periods)}: {tasks['done']} tasks "
        f"computed, {tasks['skipped']} done before, {tasks['failed']} failed"
    )
    console.answer(f"cube: {console.path_text(report.archive)}")
    tags = ", ".join(f"{period} -> {tag}" for period, tag in report.tags.items())
    if tags:
        console.answer(f"pinned by tags: {tags}")
    if report.summaries:
        console.answer("assessments (summary.json, table.csv, report.zh.html, report.en.html):")
        for path in report.summaries:
            console.answer(f"  {console.path_text(Path(path).parent)}")
    for item in report.scene_failures:
        console.answer(
            f"left out: {item['month']} {item['dataset']}/{item['scene']} {item['asset']}: "
            f"{item['reason']}"
        )
    for text in report.notes:
        console.answer(f"note: {text}")
    for failure in report.failures:
        where = f"{failure['stage']} {failure['period']} {failure['item']}".strip()
        console.answer(f"FAILED {where}: {failure['detail']}")
    if report.failures:
        console.answer("what is finished is kept; run the same command again after the repair")
