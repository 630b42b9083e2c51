"""What a run would do and what it would cost; nothing is written."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eco_index.cube import CubeView, TaskRecord, TimeAxis
from eco_index.cube.archive import check_layout, open_archive
from eco_index.cube.template import has_landcover
from eco_index.errors import EcoError, InputError, UsageError
from eco_index.grid import Grid, Tile
from eco_index.layer_faults import LayerFaults
from eco_index.months import MonthPlan, ensure_overlap, plan_month
from eco_index.period import Month, Period
from eco_index.plan_cost import Cost, Tally, season_scenes
from eco_index.products import products_of
from eco_index.summary import read_summary
from eco_index.tasks import (
    STATES,
    PlannedTask,
    State,
    Task,
    TileIndex,
    blocked,
    composite_tasks,
    product_tasks,
    undecided,
)

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.sources.scene import Scene

__all__ = ["Cost", "Plan", "PlannedAssessment", "PlannedTask", "Task", "plan"]

REPORT_FILES = ("report.zh.html", "report.en.html", "table.csv")
NO_REPORT = "report files are missing"


@dataclass(frozen=True)
class PlannedAssessment:
    """An assessment (programme and period) with its state."""

    programme: str
    period: str
    state: State
    reason: str = ""

    def to_dict(self) -> dict[str, str]:
        return {
            "programme": self.programme,
            "period": self.period,
            "state": self.state,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Plan:
    """Tasks with their states, assessments and the cost of what is pending."""

    region: str
    archive: str
    archive_exists: bool
    periods: tuple[str, ...]
    tasks: tuple[PlannedTask, ...]
    assessments: tuple[PlannedAssessment, ...]
    cost: Cost
    failures: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, dict[str, int]]:
        """Return kind of task to state to number."""
        table: dict[str, Counter[str]] = {}
        for planned in self.tasks:
            table.setdefault(planned.task.kind, Counter())[planned.state] += 1
        for assessment in self.assessments:
            table.setdefault("assessment", Counter())[assessment.state] += 1
        return {kind: {s: c[s] for s in STATES if c[s]} for kind, c in table.items()}

    def to_dict(self) -> dict[str, Any]:
        return {
            "region": self.region,
            "archive": self.archive,
            "archive_exists": self.archive_exists,
            "periods": list(self.periods),
            "counts": self.counts(),
            "cost": vars(self.cost),
            "tasks": [t.to_dict() for t in self.tasks],
            "assessments": [a.to_dict() for a in self.assessments],
            "failures": list(self.failures),
            "notes": list(self.notes),
        }


def plan(
    region: Region,
    periods: Sequence[Period],
    programmes: Sequence[str] | None = None,
    today: dt.date | None = None,
) -> Plan:
    """Say which tasks are new, done, stale or blocked, and what the pending ones cost.

    Raises
    ------
    UsageError
        Unknown programme; a period outside the cube's years.
    InputError
        No imagery overlaps the region in any month of a period; an archive that cannot be used.
    """
    view = None
    if region.archive_path.exists():
        view = open_archive(region.archive_path).view()
        check_layout(region, view)
    records = view.records() if view is not None else {}
    grid = view.grid if view is not None else region.grid
    tiles = grid.tiles()
    index = TileIndex(grid, tiles)
    for period in periods:
        check_axis(region, period)
    chosen = programmes_of(region, periods, programmes)

    months: dict[Month, MonthPlan] = {}
    composites: dict[str, PlannedTask] = {}
    tasks: list[PlannedTask] = []
    assessments: list[PlannedAssessment] = []
    faults = LayerFaults(region)
    tally = Tally(grid, region.config.composite, region.catalog)
    for period in sorted(periods):
        reason = incomplete(region, period, today)
        for month in region.config.period_months(period):
            if month in months or reason:
                continue
            months[month] = plan_month(region, month, view)
            planned = _plan_composites(region, months[month], index, records, grid)
            tasks.append(months[month].acquire)
            for task, scenes in planned:
                composites[task.task.id] = task
                tasks.append(task)
                if task.state in ("new", "stale"):
                    tally.composite(task.task, scenes)
        if not reason:
            ensure_overlap(region, period, [months[m] for m in region.config.period_months(period)])
        products = _plan_products(region, period, tiles, composites, records, grid, reason)
        tasks += products
        layers = region.config.composite.layers
        n_products = len(products_of(period.cadence, has_landcover(region), layers))
        season = season_scenes(region, period, months, index)
        for task in products:
            if task.state in ("new", "stale"):
                tally.product(task.task, n_products)
                tally.season(task.task, season)
        for programme in chosen:
            if period.cadence in region.programmes[programme].cadence:
                found = _plan_assessment(region, programme, period, products, view)
                to_make = found.state in ("new", "stale") and not found.reason.startswith(NO_REPORT)
                if to_make and (fault := faults.of(programme, period)):
                    found = replace(found, state="blocked", reason=fault)
                assessments.append(found)
    return Plan(
        region.id,
        str(region.archive_path),
        view is not None,
        tuple(p.id for p in sorted(periods)),
        tuple(tasks),
        tuple(assessments),
        tally.cost(),
        tuple(_failures(months.values())),
        (*(m.note for m in months.values() if m.note), *_layer_notes(region, chosen, periods)),
    )


def _layer_notes(
    region: Region, programmes: Sequence[str], periods: Sequence[Period]
) -> Iterator[str]:
    """Yield warnings of layers that look shifted (GCJ-02): better known before a run than after."""
    layers = [region.programmes[p].layer for p in programmes]
    layers += [region.config.units] if region.config.units is not None else []
    if not periods or len(set(layers)) < 2:
        return
    from eco_index.zone_shift import shifts_of

    for shift in shifts_of(region, layers, max(p.year for p in periods)):
        yield shift.note().en


def _plan_composites(
    region: Region,
    month: MonthPlan,
    index: TileIndex,
    records: Mapping[str, TaskRecord],
    grid: Grid,
) -> list[tuple[PlannedTask, tuple[Scene, ...]]]:
    from eco_index.sources import Manifest

    if month.acquire.state == "blocked":
        return [
            (blocked(Task("composite", month.month.id, t), month.acquire.reason), ())
            for t in index.tiles
        ]
    if month.acquire.state == "done" and month.manifest is not None:
        return composite_tasks(region, index, month.manifest, records, grid)
    # The files were not opened yet: what the search says stands for them.
    scenes = month.found.scenes if month.found is not None else ()
    expected = composite_tasks(region, index, Manifest(month.month.id, scenes), records, grid)
    reason = "the scenes of its month are to be acquired again"
    return [(undecided(task.task, records, reason), used) for task, used in expected]


def _plan_products(
    region: Region,
    period: Period,
    tiles: Sequence[Tile],
    composites: Mapping[str, PlannedTask],
    records: Mapping[str, TaskRecord],
    grid: Grid,
    reason: str,
) -> list[PlannedTask]:
    if not reason:
        stuck = [
            m.id
            for m in region.config.period_months(period)
            if composites[Task("composite", m.id, tiles[0]).id].state == "blocked"
        ]
        if stuck:
            reason = f"no scenes could be listed for {', '.join(stuck)}"
    if not reason:
        try:
            return product_tasks(region, period, tiles, composites, records, grid)
        except InputError as error:
            reason = error.what
    return [blocked(Task("product", period.id, t), reason) for t in tiles]


def _plan_assessment(
    region: Region,
    programme: str,
    period: Period,
    products: Sequence[PlannedTask],
    view: CubeView | None,
) -> PlannedAssessment:
    states = {p.state for p in products}
    if "blocked" in states:
        first = next(p for p in products if p.state == "blocked")
        return PlannedAssessment(programme, period.id, "blocked", first.reason)
    summary = assessment_folder(region, period, programme) / "summary.json"
    if not summary.exists():
        return PlannedAssessment(programme, period.id, "new", "never assessed")
    if states != {"done"} or view is None:
        return PlannedAssessment(programme, period.id, "stale", "its products are to be computed")
    reason = assessment_outdated(region, programme, period, view)
    return PlannedAssessment(programme, period.id, "stale" if reason else "done", reason)


def assessment_outdated(
    region: Region,
    programme: str,
    period: Period,
    view: CubeView,
    files: Sequence[str] = REPORT_FILES,
) -> str:
    """Return why an assessment has to be made (again), or nothing if it has not.

    Parameters
    ----------
    region, programme, period
        Which assessment.
    view : CubeView
        The cube it would be made from.
    files : sequence of str
        Report files that must exist beside the summary.
    """
    from eco_index import assessment

    folder = assessment_folder(region, period, programme)
    try:
        stored = stored_digest(folder / "summary.json")
        digest = assessment.assessment_digest(region, region.programmes[programme], period, view)
    except EcoError as error:
        return error.what
    if digest != stored:
        return "its inputs, parameters or code changed"
    missing = [name for name in files if not (folder / name).exists()]
    return f"{NO_REPORT}: {', '.join(missing)}" if missing else ""


def stored_digest(summary: Path) -> str:
    """Return the digest of everything that a written summary was made from."""
    return read_summary(summary).provenance.input_digest


def assessment_folder(region: Region, period: Period, programme: str) -> Path:
    """Return the folder of an assessment's summary, maps and reports."""
    return region.written("assessments") / period.id / programme


def programmes_of(
    region: Region, periods: Sequence[Period], programmes: Sequence[str] | None
) -> list[str]:
    """Return the programmes asked for, in the region's order; of None, all but those on demand.

    Raises
    ------
    UsageError
        A programme the region does not have, or one that none of the periods suits.
    """
    if programmes is None:
        return [name for name, found in region.programmes.items() if not found.on_demand]
    for name in programmes:
        if name not in region.programmes:
            raise UsageError(
                f"the region '{region.id}' has no programme '{name}'",
                where=f"{region.config.path}, key 'programmes'",
                rule=f"its programmes: {', '.join(region.programmes)}",
            )
        cadence = region.programmes[name].cadence
        if periods and not any(p.cadence in cadence for p in periods):
            raise UsageError(
                f"programme '{name}' is not assessed for {', '.join(p.id for p in periods)}",
                where=str(region.programmes[name].path),
                rule=f"its cadence is {', '.join(cadence)}",
                fix="name a period of that cadence (2025 is yearly, 2025H1 half-yearly)",
            )
    return [name for name in region.programmes if name in programmes]


def check_axis(region: Region, period: Period) -> None:
    """Raise UsageError unless the cube's time axis holds the period and it has months."""
    axis = TimeAxis.of(region)
    if not axis.years[0] <= period.year <= axis.years[1]:
        raise UsageError(
            f"period {period.id} lies outside the cube's years {axis.years[0]}-{axis.years[1]}",
            where=f"{region.config.path}, key 'years'",
            rule="the last year may be raised at any time; the archive grows",
            fix="correct the period, or 'years.last' in the region file",
        )
    if not region.config.season_months(period):
        season = region.config.season
        raise UsageError(
            f"period {period.id} has no month of the growing season",
            where=f"{region.config.path}, key 'season'",
            rule=f"the season lasts from month {season.first} to {season.last}",
            fix="assess the whole year instead",
        )


def incomplete(region: Region, period: Period, today: dt.date | None) -> str:
    """Return why a period cannot be assessed yet, or nothing."""
    try:
        region.config.ensure_complete(period, today)
    except UsageError as error:
        return error.what
    return ""


def _failures(months: Any) -> list[dict[str, str]]:
    failures = []
    for month in months:
        known = month.manifest.failures if month.manifest is not None else ()
        offered = month.found.failures if month.found is not None else ()
        for failure in sorted({*known, *offered}):
            failures.append({"month": month.month.id} | failure.to_dict())
    return failures
