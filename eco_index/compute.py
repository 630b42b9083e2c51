"""The committer: hands tiles to workers, commits them as they come back, pins finished periods."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eco_index import cover
from eco_index.compositing import How
from eco_index.cover_fit import ensure_end_members
from eco_index.cube import Archive, CubeView
from eco_index.digests import period_digest
from eco_index.errors import EcoError, InputError
from eco_index.executor import Workers, run_bounded
from eco_index.grid import Grid, Tile
from eco_index.months import check_failed_share, exclude_scenes
from eco_index.period import Month, Period
from eco_index.tasks import (
    PlannedTask,
    Task,
    TileIndex,
    composite_tasks,
    places_of,
    product_tasks,
)
from eco_index.workers import CompositeJob, ProductJob, Result, run_composite, run_product

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.sources.scene import AssetFailure, Scene

log = logging.getLogger("eco_index")
Progress = Callable[[str, int, int, str], None]
OpenWorkers = Callable[[], Workers]
COMMIT_AFTER = 1.0  # seconds: tasks that finish within one share a commit


@dataclass
class Outcome:
    """What came of a batch of tasks.

    Attributes
    ----------
    done, skipped : int
    failed : list of (task id, reason)
    unreadable : dict
        Month to scenes that could not be read.
    """

    done: int = 0
    skipped: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    unreadable: dict[str, list[AssetFailure]] = field(default_factory=dict)


def compute_composites(
    region: Region, archive: Archive, period: Period, workers: OpenWorkers, progress: Progress
) -> Outcome:
    """Bring the monthly composites of a period up to date.

    A scene that proves unreadable is taken out of its month and the tiles it touches are made
    again, until nothing changes any more.

    Raises
    ------
    InputError
        A month was never acquired; too many scenes are unusable.
    """
    months = region.config.period_months(period)
    grid = archive.view().grid
    index = TileIndex(grid, grid.tiles())
    total = Outcome()
    first = True
    while True:
        pending = _pending_composites(region, archive, months, index)
        if first:
            total.skipped = len(months) * len(index.tiles) - len(pending)
            first = False
        if not pending:
            return total
        scenes = {p.task.id: s for p, s in pending}
        view = archive.view()
        places = {m.id: places_of(view.manifest(m)) for m in months}
        outcome = execute(
            archive,
            workers(),
            run_composite,
            [p for p, _ in pending],
            lambda p: _composite_job(
                region,
                archive,
                grid,
                p.task,
                scenes[p.task.id],  # noqa: B023  (used up before the next round)
                places[p.task.time_id],  # noqa: B023
            ),
            progress,
            "composite",
        )
        total.done += outcome.done
        total.failed = outcome.failed
        if not outcome.unreadable:
            return total
        for month, failures in outcome.unreadable.items():
            for failure in failures:
                log.warning("%s: %s", month, failure)
            exclude_scenes(archive, Month.parse(month), failures)
        view = archive.view()
        manifests = [m for m in map(view.manifest, months) if m is not None]
        check_failed_share(region, period, manifests)


def _composite_job(
    region: Region,
    archive: Archive,
    grid: Grid,
    task: Task,
    scenes: tuple[Scene, ...],
    places: Mapping[tuple[str, str], int],
) -> CompositeJob:
    assert task.tile is not None
    month = Month.parse(task.time_id)
    numbers = tuple(places[s.dataset, s.id] for s in scenes)
    how = How(region.config.composite, numbers, (month.start, month.end))
    return CompositeJob(archive.path, region.catalog, grid, task.tile, month, scenes, how)


def _pending_composites(
    region: Region, archive: Archive, months: Sequence[Month], index: TileIndex
) -> list[tuple[PlannedTask, tuple[Scene, ...]]]:
    view = archive.view()
    records = view.records()
    pending = []
    for month in months:
        manifest = view.manifest(month)
        if manifest is None:
            raise InputError(
                f"the scenes of {month.id} were never acquired",
                where=str(archive.path),
                fix="run the stage 'acquire' first (eco run does)",
            )
        tasks = composite_tasks(region, index, manifest, records, view.grid)
        pending += [(p, scenes) for p, scenes in tasks if p.state != "done"]
    return pending


def compute_products(
    region: Region, archive: Archive, period: Period, workers: OpenWorkers, progress: Progress
) -> Outcome:
    """Bring the products of a period up to date, for all tiles whose composites are done.

    End members of vegetation cover that are fitted on the archive are fitted first, once.
    """
    ensure_end_members(region, archive, progress)
    view = archive.view()
    grid, records = view.grid, view.records()
    index = TileIndex(grid, grid.tiles())
    composites: dict[str, PlannedTask] = {}
    unfinished = set()
    for month in region.config.period_months(period):
        manifest = view.manifest(month)
        assert manifest is not None
        for planned, _ in composite_tasks(region, index, manifest, records, grid):
            composites[planned.task.id] = planned
            if planned.state != "done":
                unfinished.add(planned.task.tile)
    tasks = product_tasks(region, period, index.tiles, composites, records, grid)
    pending = [p for p in tasks if p.state != "done" and p.task.tile not in unfinished]
    outcome = Outcome()
    if pending:
        scenes = season_scenes(region, period, view, index)
        outcome = execute(
            archive,
            workers(),
            run_product,
            pending,
            lambda p: ProductJob(
                archive.path,
                region,
                p.task.tile,  # type: ignore[arg-type]
                period,
                scenes.get(p.task.tile, ()) if p.task.tile is not None else (),
            ),
            progress,
            "products",
        )
        archive.describe(period.cadence, "fvc", "end_members", period.id, cover.statement(region))
    outcome.skipped = sum(p.state == "done" for p in tasks)
    outcome.failed += [
        (p.task.id, "a monthly composite of this tile is missing")
        for p in tasks
        if p.state != "done" and p.task.tile in unfinished
    ]
    return outcome


def season_scenes(
    region: Region, period: Period, view: CubeView, index: TileIndex
) -> dict[Tile, tuple[Scene, ...]]:
    """Return the scenes of a period's growing season by tile; {} where none are asked for."""
    if region.config.composite.season is None:
        return {}
    manifests = [view.manifest(month) for month in region.config.season_months(period)]
    return dict(index.touching([s for m in manifests if m is not None for s in m.scenes]))


def execute(
    archive: Archive,
    workers: Workers,
    function: Callable[..., Result],
    tasks: Sequence[PlannedTask],
    job_of: Callable[[PlannedTask], Any],
    progress: Progress,
    stage: str,
) -> Outcome:
    """Run tasks on workers and commit them as they finish, those of a second together.

    Raises
    ------
    EcoError
        The first expected error of a task (unusable input, full disk), after everything that
        was under way is finished and, where it can be, committed.
    """
    outcome = Outcome()
    stopped: list[EcoError] = []
    batch = _Batch(archive)

    def until_stopped() -> Iterable[PlannedTask]:
        for planned in tasks:
            if stopped:
                return
            yield planned

    def commit() -> None:
        try:
            outcome.done += batch.commit()
        except EcoError as problem:
            stopped.append(problem)

    progress(stage, 0, len(tasks), "")
    answers = run_bounded(
        workers, function, until_stopped(), lambda p: (archive.fork(), job_of(p)), COMMIT_AFTER
    )
    finished = 0
    try:
        for answer in answers:
            if answer is None:
                commit()
                continue
            planned, result, error = answer
            task = planned.task
            finished += 1
            if error is None and not result.failures:
                batch.add(planned, result)
                if batch.due:
                    commit()
            elif error is None:
                outcome.unreadable.setdefault(task.time_id, []).extend(result.failures)
            elif isinstance(error, EcoError):
                stopped.append(error)
            elif isinstance(error, Exception):
                log.error("%s failed", task.id, exc_info=error)
                outcome.failed.append((task.id, f"{type(error).__name__}: {error}"))
            else:
                raise error
            progress(stage, finished, len(tasks), task.id)
    except BaseException:  # Ctrl-C: what is finished is kept
        commit()
        raise
    commit()
    if stopped:
        raise stopped[0]
    return outcome


class _Batch:
    """Finished tasks that become one commit: their number, not only their size, costs time.

    A task waits for others at most about COMMIT_AFTER seconds.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.waiting: list[tuple[PlannedTask, Result]] = []
        self.last = -math.inf

    @property
    def due(self) -> bool:
        """Whether the last commit is long enough ago."""
        return time.monotonic() - self.last >= COMMIT_AFTER

    def add(self, planned: PlannedTask, result: Result) -> None:
        self.waiting.append((planned, result))

    def commit(self) -> int:
        """Commit what waits, all or nothing, and return how many tasks that were."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return 0
        first, more = waiting[0][0].task.id, len(waiting) - 1
        self.archive.commit(
            f"{first} and {more} more" if more else first,
            {planned.task.id: planned.record(result.receipt) for planned, result in waiting},
            forks=[result.fork for _, result in waiting],
        )
        self.last = time.monotonic()
        return len(waiting)


def tags_of(tags: Iterable[str], period: Period) -> list[str]:
    """Return the tags of a period, oldest first: ``2025``, ``2025.2``, ``2025.3`` ..."""
    pattern = re.compile(rf"^{re.escape(period.id)}(?:\.(\d+))?$")
    numbered = [(int(m[1] or 1), tag) for tag in tags if (m := pattern.match(tag))]
    return [tag for _, tag in sorted(numbered)]


def tag_period(archive: Archive, period: Period) -> str:
    """Pin a finished period: keep its newest tag if that holds the same products, else add one.

    Returns
    -------
    str
        ``2025`` the first time, then ``2025.2``, ``2025.3`` ...

    Raises
    ------
    InputError
        A tile of the period is not done.
    """
    view = archive.view()
    tiles = view.grid.tiles()
    digest = period_digest(period, tiles, view.states())
    if digest is None:
        raise InputError(
            f"period {period.id} cannot be pinned: some of its tiles are not done",
            where=str(archive.path),
            fix="run the same command again",
        )
    existing = tags_of(view.tags, period)
    if existing:
        pinned = archive.view(existing[-1])
        if period_digest(period, tiles, pinned.states()) == digest:
            return existing[-1]
    number = len(existing) + 1
    name = period.id if number == 1 else f"{period.id}.{number}"
    archive.tag(name, view.snapshot)
    log.info("period %s is pinned as '%s'", period.id, name)
    return name
