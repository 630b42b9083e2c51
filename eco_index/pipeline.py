"""The stages strung together in plain Python: acquire, compute, assess, report.

Each stage can be called on its own (the flows do) and hands back a short receipt. What is done
is read from the archive's commits every time, so any stage may be killed and called again.
"""

from __future__ import annotations

import datetime as dt
import logging
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eco_index.compute import compute_composites, compute_products, tag_period
from eco_index.cover_fit import base_periods
from eco_index.cube import create_or_open
from eco_index.errors import EcoError, InputError, PartialError, UsageError
from eco_index.executor import LazyWorkers, parse_cluster
from eco_index.months import acquire_month, check_failed_share, ensure_overlap, plan_month
from eco_index.plan import (
    REPORT_FILES,
    assessment_folder,
    assessment_outdated,
    check_axis,
    programmes_of,
)

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.period import Period

log = logging.getLogger("eco_index")
Progress = Callable[[str, int, int, str], None]


def _silent(stage: str, done: int, total: int, text: str) -> None:
    log.debug("%s %d/%d %s", stage, done, total, text)


@dataclass
class RunReport:
    """What a run did.

    Attributes
    ----------
    region, archive : str
    periods : list of str
    tasks : dict
        Numbers of tasks ``done`` (now), ``skipped`` (done before) and ``failed``.
    tags : dict
        Period to the tag that pins it.
    summaries, reports : list of str
        Paths.
    failures : list of dict
        What failed: stage, period, item, what, detail, and exit_code of the error.
    scene_failures : list of dict
        Assets that could not be used: month, dataset, scene, asset, reason.
    notes : list of str
    """

    region: str
    archive: str
    periods: list[str]
    tasks: dict[str, int] = field(default_factory=lambda: {"done": 0, "skipped": 0, "failed": 0})
    tags: dict[str, str] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    scene_failures: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0: everything done; 1: some work failed, the rest is kept."""
        return 1 if self.failures else 0

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {"exit_code": self.exit_code}

    def add(self, receipt: dict[str, Any], period: Period) -> None:
        """Take over what `assess_period` or `report_period` says."""
        self.summaries += receipt.get("summaries", {}).values()
        self.reports += receipt.get("reports", [])
        stage = "assess" if "summaries" in receipt else "report"
        for name, problem in receipt["failures"].items():
            self._fail(stage, period.id, name, problem)

    def _fail(self, stage: str, period: str, item: str, failure: dict[str, Any]) -> None:
        self.failures.append({"stage": stage, "period": period, "item": item} | failure)
        what = textwrap.shorten(failure["what"], 200, placeholder=" ...")  # whole in the report
        log.error("%s of %s failed: %s", stage, f"{period} {item}".strip(), what)


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, EcoError):
        return {"what": error.what, "detail": str(error), "exit_code": error.exit_code}
    what = f"{type(error).__name__}: {error}"
    return {"what": what, "detail": what, "exit_code": 1}


def acquire_period(
    region: Region, period: Period, progress: Progress | None = None, today: dt.date | None = None
) -> dict[str, Any]:
    """List a period's scenes, look at every asset, and store the manifests of its months.

    Returns
    -------
    dict
        ``period``, ``months`` (id to state, scenes, failed), ``failures``, ``notes``.

    Raises
    ------
    UsageError
        The period lies outside the cube's years, or is not complete yet.
    InputError
        No scene overlaps the region; too many scenes are unusable; the archive cannot be used.
    """
    progress = progress or _silent
    check_axis(region, period)
    region.config.ensure_complete(period, today)
    archive = create_or_open(region)
    months = region.config.period_months(period)
    receipt: dict[str, Any] = {"period": period.id, "months": {}, "failures": [], "notes": []}
    manifests, plans = [], []
    with archive.writing():
        for done, month in enumerate(months):
            progress("acquire", done, len(months), month.id)
            planned = plan_month(region, month, archive.view())
            plans.append(planned)
            if planned.acquire.state == "blocked":
                raise InputError(
                    f"the scenes of {month.id} cannot be listed: {planned.acquire.reason}",
                    where=f"{region.config.path}, key 'imagery'",
                    fix="run the same command again when the source answers",
                )
            manifest = planned.manifest
            if planned.acquire.state != "done" or manifest is None:
                manifest = acquire_month(region, archive, planned)
            manifests.append(manifest)
            receipt["months"][month.id] = {
                "state": planned.acquire.state,
                "scenes": len(manifest.scenes),
                "failed": len(manifest.failed_scenes),
            }
            receipt["failures"] += [{"month": month.id} | f.to_dict() for f in manifest.failures]
            if planned.note:
                receipt["notes"].append(planned.note)
                log.warning("%s", planned.note)
    progress("acquire", len(months), len(months), period.id)
    ensure_overlap(region, period, plans)
    check_failed_share(region, period, manifests)
    return receipt


def compute_period(
    region: Region, period: Period, cluster: str = "local", progress: Progress | None = None
) -> dict[str, Any]:
    """Composite the acquired scenes of a period, compute its products, pin them with a tag.

    Returns
    -------
    dict
        ``period``, ``done``, ``skipped``, ``tag``.

    Raises
    ------
    InputError
        A month was not acquired; an input file is missing; too many scenes are unusable.
    PartialError
        Some tasks failed (named; the rest is kept), or the disk is full.
    """
    progress = progress or _silent
    check_axis(region, period)
    parse_cluster(cluster)
    archive = create_or_open(region)
    with archive.writing(), LazyWorkers(cluster) as workers:
        composed = compute_composites(region, archive, period, workers, progress)
        made = compute_products(region, archive, period, workers, progress)
        done, skipped = composed.done + made.done, composed.skipped + made.skipped
        failed = composed.failed + made.failed
        if failed:
            shown = "\n         ".join(f"{task}: {what}" for task, what in failed[:10])
            error = PartialError(
                f"{len(failed)} of {done + skipped + len(failed)} tasks of {period.id} failed",
                where=shown,
                rule="finished tasks are kept and not repeated",
                fix="look at the reasons above, then run the same command again",
            )
            error.receipt = {"done": done, "skipped": skipped, "failed": len(failed)}  # type: ignore[attr-defined]
            raise error
        tag = tag_period(archive, period)
    return {"period": period.id, "done": done, "skipped": skipped, "tag": tag}


def assess_period(
    region: Region,
    period: Period,
    programmes: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Assess the programmes of a period; one that fails does not stop the others.

    An assessment whose inputs, parameters and code are those of the stored summary is skipped.

    Returns
    -------
    dict
        ``period``, ``summaries`` (programme to path), ``made``, ``skipped`` (programmes),
        ``failures`` (programme to what, detail, exit_code).
    """
    from eco_index import assessment

    progress = progress or _silent
    archive = create_or_open(region)
    names = _fitting(region, period, programmes)
    view = archive.view()
    tag = current_tag(view.tags, period)
    receipt: dict[str, Any] = {
        "period": period.id,
        "summaries": {},
        "made": [],
        "skipped": [],
        "failures": {},
    }
    for done, name in enumerate(names):
        progress("assess", done, len(names), f"{name} {period.id}")
        folder = assessment_folder(region, period, name)
        try:
            summary = folder / "summary.json"
            if summary.exists() and not assessment_outdated(region, name, period, view, ()):
                receipt["skipped"].append(name)
            else:
                summary = assessment.assess(
                    region, region.programmes[name], period, view, folder, tag=tag
                )
                receipt["made"].append(name)
            receipt["summaries"][name] = str(summary)
        except Exception as error:
            log.debug("assessment of %s failed", name, exc_info=True)
            receipt["failures"][name] = _failure(error)
    progress("assess", len(names), len(names), period.id)
    return receipt


def report_period(
    region: Region,
    period: Period,
    programmes: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Render the reports of a period's summaries that are missing or older than their summary.

    Returns
    -------
    dict
        ``period``, ``reports`` (paths), ``failures`` (programme to what, detail, exit_code).
    """
    from eco_index import report

    progress = progress or _silent
    names = _fitting(region, period, programmes)
    receipt: dict[str, Any] = {"period": period.id, "reports": [], "failures": {}}
    for done, name in enumerate(names):
        progress("report", done, len(names), f"{name} {period.id}")
        folder = assessment_folder(region, period, name)
        summary = folder / "summary.json"
        if not summary.exists():
            continue
        try:
            if not _reports_current(folder):
                report.render(summary)
            receipt["reports"] += [str(folder / f) for f in REPORT_FILES if (folder / f).exists()]
        except Exception as error:
            log.debug("report of %s failed", name, exc_info=True)
            receipt["failures"][name] = _failure(error)
    progress("report", len(names), len(names), period.id)
    return receipt


def run(
    region: Region,
    periods: Sequence[Period],
    programmes: Sequence[str] | None = None,
    cluster: str = "local",
    progress: Progress | None = None,
    today: dt.date | None = None,
) -> RunReport:
    """Run all stages for some periods; what is done already is not done again.

    A period or programme that fails does not stop the others.

    Raises
    ------
    UsageError
        Wrong period, programme or cluster: before anything is computed.
    EcoError
        Nothing at all could be done: the error of the (first) period.
    """
    parse_cluster(cluster)
    programmes_of(region, periods, programmes)
    ordered = sorted(set(periods))  # a year before the next: it is what that is compared with
    for period in ordered:
        check_axis(region, period)
        region.config.ensure_complete(period, today)
    report = RunReport(region.id, str(region.archive_path), [p.id for p in ordered])
    first: EcoError | None = None
    _composite_base(region, ordered, cluster, progress, today)
    for period in ordered:
        try:
            _run_stores(region, period, cluster, progress, today, report)
        except UsageError:
            raise
        except EcoError as error:
            first = first or error
            counts = getattr(error, "receipt", {})
            for key in report.tasks:
                report.tasks[key] += counts.get(key, 0)
            report._fail("compute", period.id, "", _failure(error))
            continue
        report.add(assess_period(region, period, programmes, progress), period)
        report.add(report_period(region, period, programmes, progress), period)
    if first is not None and len(report.failures) == len(ordered) and not report.tags:
        raise first
    return report


def _composite_base(
    region: Region,
    periods: Sequence[Period],
    cluster: str,
    progress: Progress | None,
    today: dt.date | None,
) -> None:
    """Composite all base years of fitted end members before the first product is made."""
    wanted = set(base_periods(region))
    base = [p for p in periods if p in wanted]
    if len(base) < 2:
        return  # the only one is composited when its turn comes
    for period in base:
        try:
            acquire_period(region, period, progress, today)
            archive = create_or_open(region)
            with archive.writing(), LazyWorkers(cluster) as workers:
                compute_composites(region, archive, period, workers, progress or _silent)
        except UsageError:
            raise
        except EcoError as error:
            # Its own turn comes below and reports it.
            log.debug("base year %s: %s", period.id, error)


def _run_stores(
    region: Region,
    period: Period,
    cluster: str,
    progress: Progress | None,
    today: dt.date | None,
    report: RunReport,
) -> None:
    acquired = acquire_period(region, period, progress, today)
    report.notes += [n for n in acquired["notes"] if n not in report.notes]
    try:
        computed = compute_period(region, period, cluster, progress)
    finally:
        # Also scenes that only failed while they were read are in the manifests by now.
        view = create_or_open(region).view()
        for month in region.config.period_months(period):
            manifest = view.manifest(month)
            for failure in manifest.failures if manifest is not None else ():
                item = {"month": month.id} | failure.to_dict()
                if item not in report.scene_failures:
                    report.scene_failures.append(item)
    report.tasks["done"] += computed["done"]
    report.tasks["skipped"] += computed["skipped"]
    report.tags[period.id] = computed["tag"]


def current_tag(tags: Any, period: Period) -> str | None:
    """Return the newest tag of a period: ``2025``, ``2025.2`` ..."""
    from eco_index.compute import tags_of

    found = tags_of(tags, period)
    return found[-1] if found else None


def _fitting(region: Region, period: Period, programmes: Sequence[str] | None) -> list[str]:
    names = programmes_of(region, [], programmes)
    return [n for n in names if period.cadence in region.programmes[n].cadence]


def _reports_current(folder: Path) -> bool:
    made = (folder / "summary.json").stat().st_mtime_ns
    files = [folder / name for name in REPORT_FILES]
    return all(f.exists() and f.stat().st_mtime_ns >= made for f in files)
