"""The scenes of a month: what the sources offer against what the archive holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eco_index.cube import Archive, CubeView
from eco_index.digests import hash_of
from eco_index.errors import EcoError, InputError, UsageError
from eco_index.period import Month, Period
from eco_index.tasks import (
    PlannedTask,
    Task,
    acquire_inputs,
    blocked,
    judge,
    search_receipt,
)

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.sources.scene import AssetFailure, Found, Manifest, Scene


@dataclass(frozen=True)
class MonthPlan:
    """The scenes of a month: what the source offers, what the archive holds.

    Attributes
    ----------
    found : Found or None
        Answer of the search; None where the source could not be asked.
    manifest : Manifest or None
        What the archive holds.
    """

    month: Month
    acquire: PlannedTask
    found: Found | None
    manifest: Manifest | None
    note: str = ""


def search(region: Region, month: Month) -> Found:
    """Ask all imagery datasets of the region for the scenes of a month."""
    from eco_index.sources import Found, open_source

    bounds = region.grid.lonlat_bounds()
    scenes: list[Scene] = []
    failures: list[Any] = []
    for dataset_id in region.config.imagery:
        found = open_source(dataset_id, region.catalog, region.grid).search(
            bounds, month.start, month.end
        )
        scenes += found.scenes
        failures += found.failures
    return Found(tuple(sorted(scenes, key=lambda s: s.key)), tuple(sorted(failures)))


def plan_month(region: Region, month: Month, view: CubeView | None) -> MonthPlan:
    """Compare what the sources offer for a month with what the archive holds.

    Scenes that have merely vanished from a source do not make a month stale: an imagery folder
    that was moved away after a run must not empty the cube.
    """
    records = view.records() if view is not None else {}
    task = Task("acquire", month.id)
    document = view.manifest_document(month) if view is not None else None
    manifest = view.manifest(month) if view is not None else None
    try:
        found = search(region, month)
    except UsageError:
        raise
    except (EcoError, OSError) as error:
        text = str(error).splitlines()[0]
        if manifest is None:
            return MonthPlan(month, blocked(task, f"the source failed: {text}"), None, None)
        kept = PlannedTask(task, "done", "", records[task.id].digest, records[task.id].parts)
        note = f"{month.id}: the source failed ({text}); the stored list of scenes is used"
        return MonthPlan(month, kept, None, manifest, note)
    receipt = search_receipt(found)
    stored = document["search"] if document is not None else {}
    vanished = sorted(stored.keys() - receipt.keys())
    offered = receipt
    note = ""
    used = {f"{s.dataset}/{s.id}" for s in manifest.scenes} if manifest is not None else set()
    # A failed scene that is gone was tidied away by somebody: that is a change.
    if used & set(vanished) and all(stored.get(k) == v for k, v in receipt.items()):
        offered = stored
        note = (
            f"{month.id}: {len(vanished)} scene(s) are no longer offered by their source; the "
            f"stored composites are kept (first: {vanished[0]})"
        )
    return MonthPlan(
        month, judge(task, acquire_inputs(region, offered), records), found, manifest, note
    )


def acquire_month(region: Region, archive: Archive, planned: MonthPlan) -> Manifest:
    """Look at every asset of a month's scenes and store the manifest (one commit).

    Scenes that earlier turned out unreadable while composites were computed stay out as long as
    their files are the same: looking at a header does not show a broken block.
    """
    from eco_index import sources

    assert planned.found is not None
    manifest = sources.acquire(region, planned.month)
    known = _compute_failures(archive.view(), planned.month)
    again = {f"{s.dataset}/{s.id}": hash_of(s.fingerprint()) for s in manifest.scenes}
    still = [k for k in known if again.get(f"{k['dataset']}/{k['scene']}") == k["fingerprint"]]
    _store(archive, planned, manifest, search_receipt(planned.found), still)
    return archive.view().manifest(planned.month) or manifest


def exclude_scenes(archive: Archive, month: Month, failures: Sequence[AssetFailure]) -> Manifest:
    """Take scenes that proved unreadable out of a month's manifest and record why (one commit).

    The whole scene goes, so that a result does not depend on which tile met the bad block.
    """
    view = archive.view()
    document, manifest = view.manifest_document(month), view.manifest(month)
    assert document is not None and manifest is not None
    prints = {(s.dataset, s.id): hash_of(s.fingerprint()) for s in manifest.scenes}
    # Several tiles may have met the same bad file: one entry says enough.
    first = {(f.dataset, f.scene): f for f in sorted(set(failures), reverse=True)}
    fresh = [f for key, f in sorted(first.items()) if key in prints]
    if not fresh:
        named = ", ".join(sorted({f"{f.dataset}/{f.scene}" for f in failures}))
        raise InputError(
            f"scenes of {month.id} failed that its manifest does not list: {named}",
            where=str(archive.path),
        )
    known = document.get("compute_failures", [])
    known += [f.to_dict() | {"fingerprint": prints[f.dataset, f.scene]} for f in fresh]
    record = view.records()[f"acquire/{month.id}"]
    planned = PlannedTask(Task("acquire", month.id), "done", "", record.digest, record.parts)
    # The manifest as acquired is stored beside the failures met later; `_store` joins them.
    _store(
        archive,
        MonthPlan(month, planned, None, manifest),
        manifest,
        document["search"],
        known,
    )
    return archive.view().manifest(month) or manifest


def _compute_failures(view: CubeView, month: Month) -> list[dict[str, Any]]:
    document = view.manifest_document(month)
    return document.get("compute_failures", []) if document is not None else []


def _store(
    archive: Archive,
    planned: MonthPlan,
    manifest: Manifest,
    receipt: dict[str, str],
    compute_failures: list[dict[str, Any]],
) -> None:
    from eco_index.sources.scene import AssetFailure

    manifest = manifest.without(tuple(AssetFailure.from_dict(f) for f in compute_failures))
    document = {
        "manifest": manifest.to_dict(),
        "search": receipt,
        "compute_failures": compute_failures,
    }
    facts = {"scenes": len(manifest.scenes), "failed": len(manifest.failed_scenes)}
    archive.store_manifest(planned.month, document, planned.acquire.record(facts))


def check_failed_share(region: Region, period: Period, manifests: Sequence[Manifest]) -> None:
    """Raise InputError if more scenes of a period failed than the region allows."""
    failed = sum(len(m.failed_scenes) for m in manifests)
    total = sum(len(m.scenes) for m in manifests) + failed
    allowed = region.config.max_failed_share
    if total == 0 or failed / total <= allowed:
        return
    names = [
        f"{m.month} {f.dataset}/{f.scene}{f' {f.asset}' if f.asset else ''}: {f.reason}"
        for m in manifests
        for f in m.failures
    ]
    shown = names[:20] + ([f"... and {len(names) - 20} more"] if len(names) > 20 else [])
    raise InputError(
        f"{failed} of {total} scenes of {period.id} are unusable ({failed / total:.0%}), "
        f"more than the allowed {allowed:.0%}",
        where="\n         ".join(shown),
        rule="key 'max_failed_share' of the region file; everything stored before is kept",
        fix="get the files named above again, or raise max_failed_share knowingly",
    )


def ensure_overlap(region: Region, period: Period, months: Sequence[MonthPlan]) -> None:
    """Raise InputError if no scene at all overlaps the region in a period."""
    for month in months:
        sources = (month.found, month.manifest)
        if month.acquire.state == "blocked" or any(
            s is not None and (s.scenes or s.failures) for s in sources
        ):
            return
    west, south, east, north = region.grid.lonlat_bounds()
    covers = []
    for dataset_id in region.config.imagery:
        cover = region.catalog.get(dataset_id, "the region's imagery").cover
        box = " ".join(f"{v:g}" for v in cover.bbox) if cover.bbox else "not stated"
        covers.append(f"{dataset_id} ({box}; {cover.start or '...'} to {cover.end or '...'})")
    raise InputError(
        f"bounds outside all data: no scene overlaps the region in any month of {period.id}",
        where=f"{region.config.path}, key 'grid.bounds': west {west:.3f}, south {south:.3f}, "
        f"east {east:.3f}, north {north:.3f} (degrees)",
        rule=f"cover of the imagery (west south east north; dates): {', '.join(covers)}",
        fix="correct the bounds or the period, or name other imagery",
    )
