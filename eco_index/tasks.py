"""Tasks and their digests: what a result depends on, and whether the archive still fits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eco_index.cube import SCHEMA_VERSION, TaskRecord
from eco_index.digests import hash_of, task_id
from eco_index.grid import Grid, Tile
from eco_index.period import Period

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.sources import Found, Manifest
    from eco_index.sources.scene import Scene

Kind = Literal["acquire", "composite", "product"]
State = Literal["new", "done", "stale", "blocked"]
STATES: tuple[State, ...] = ("new", "stale", "done", "blocked")


@dataclass(frozen=True)
class Task:
    """A unit of work that is committed whole.

    Attributes
    ----------
    kind : str
        ``acquire`` (the scenes of a month), ``composite`` (a tile of a month) or ``product``
        (all products of a tile and period).
    time_id : str
        Month (``2025-07``) or period (``2025``, ``2025H1``).
    tile : Tile or None
        None for acquire.
    """

    kind: Kind
    time_id: str
    tile: Tile | None = None

    @property
    def id(self) -> str:
        return task_id(self.kind, self.time_id, self.tile)


@dataclass(frozen=True)
class PlannedTask:
    """A task with its state and the digest its result would carry.

    Attributes
    ----------
    digest : str
        Empty where it cannot be known yet (something before it is not done).
    """

    task: Task
    state: State
    reason: str = ""
    digest: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.task.id, "state": self.state, "reason": self.reason}

    def record(self, receipt: Mapping[str, Any] | None = None) -> TaskRecord:
        return TaskRecord(self.digest, self.parts, receipt or {})


def judge(task: Task, inputs: Mapping[str, Any], records: Mapping[str, TaskRecord]) -> PlannedTask:
    """Compare what a task depends on now with what its newest commit says.

    Parameters
    ----------
    task : Task
        The task in question.
    inputs : mapping
        Parts of the digest: short name to JSON-able value.
    records : mapping
        Task id to record, from `CubeView.records`.
    """
    parts = {name: hash_of(value)[:16] for name, value in inputs.items()}
    digest = hash_of({"schema": SCHEMA_VERSION, "task": task.id, "parts": parts})
    record = records.get(task.id)
    if record is None:
        return PlannedTask(task, "new", "never computed", digest, parts)
    if record.digest == digest:
        return PlannedTask(task, "done", "", digest, parts)
    changed = sorted(
        n for n in parts.keys() | record.parts.keys() if parts.get(n) != record.parts.get(n)
    )
    reason = f"changed since: {', '.join(changed) or 'data schema'}"
    return PlannedTask(task, "stale", reason, digest, parts)


def grid_inputs(grid: Grid, tile: Tile | None = None) -> dict[str, Any]:
    """Return what of the grid decides a result."""
    inputs: dict[str, Any] = {
        "crs": grid.crs_wkt,
        "resolution": grid.resolution,
        "bounds": list(grid.bounds),
    }
    if tile is not None:
        inputs["window"] = [tile.y0, tile.y1, tile.x0, tile.x1]
    return inputs


def search_receipt(found: Found) -> dict[str, str]:
    """Return what a search answered: scene to hash of what identifies its files.

    Local files count with size and time of change: cheap, and a file that was merely copied
    costs no more than another look at it (composites go by checksums).
    """
    answer = {}
    for scene in found.scenes:
        stamps = {band: _stamp(asset.href) for band, asset in sorted(scene.assets.items())}
        answer[f"{scene.dataset}/{scene.id}"] = hash_of([scene.fingerprint(), stamps])[:16]
    for failure in found.failures:
        answer[f"{failure.dataset}/{failure.scene}"] = "failed"
    return answer


def _stamp(href: str) -> list[Any] | str:
    from eco_index.sources.address import is_derived, leaves
    from eco_index.sources.raster import local_path

    if is_derived(href):
        return [_stamp(leaf) for leaf in leaves(href)]

    path = local_path(href)
    if path is None:
        return "remote"
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return [status.st_size, status.st_mtime_ns]


def acquire_inputs(region: Region, receipt: Mapping[str, str]) -> dict[str, Any]:
    """Return what the manifest of a month depends on."""
    parameters = {}
    for dataset_id in region.config.imagery:
        entry = region.catalog.get(dataset_id, "the region's imagery")
        parameters[dataset_id] = {
            "bands": {name: list(band.asset) for name, band in sorted(entry.bands.items())},
            "mask": entry.mask.band if entry.mask else None,
        }
    return {
        "parameters": parameters,
        "grid": grid_inputs(region.grid),
        "scenes": dict(sorted(receipt.items())),
    }


class TileIndex:
    """Which scenes touch which tiles.

    The rule is that of `eco_index.sources.scene.touches` (boxes grown by a margin, so that the
    rounding of a footprint never decides), evaluated for all scenes of a month at once. A scene
    that is handed over without need changes nothing in the result.
    """

    def __init__(self, grid: Grid, tiles: Sequence[Tile]) -> None:
        self.tiles = list(tiles)
        self._boxes = [grid.lonlat_bounds(grid.tile_bounds(t)) for t in self.tiles]

    def touching(self, scenes: Sequence[Scene]) -> dict[Tile, tuple[Scene, ...]]:
        """Return for each tile its scenes, in the order given."""
        from eco_index.sources.scene import touches

        if not scenes:
            return dict.fromkeys(self.tiles, ())
        west, south, east, north = np.array([s.bbox for s in scenes], dtype="float64").T
        simple = bool((west <= east).all()) and all(box[0] <= box[2] for box in self._boxes)
        margin = 0.02
        found = {}
        for tile, box in zip(self.tiles, self._boxes, strict=True):
            if simple:
                hits = (
                    (west <= box[2] + margin)
                    & (east >= box[0] - margin)
                    & (south <= box[3] + margin)
                    & (north >= box[1] - margin)
                )
                found[tile] = tuple(scenes[i] for i in np.flatnonzero(hits).tolist())
            else:  # somewhere a box runs across the antimeridian
                found[tile] = tuple(s for s in scenes if touches(s.bbox, box, margin))
        return found


def composite_tasks(
    region: Region,
    index: TileIndex,
    manifest: Manifest,
    records: Mapping[str, TaskRecord],
    grid: Grid,
) -> list[tuple[PlannedTask, tuple[Scene, ...]]]:
    """Return the composite tasks of a month with the scenes each reads."""
    from eco_index import composite

    per_dataset = {
        d: dict(composite.parameters(region.catalog.get(d, "the region's imagery")))
        for d in region.config.imagery
    }
    # The algorithms are the same for all datasets: another dataset does not change the code.
    code = {k: v for record in per_dataset.values() for k, v in record.pop("versions").items()}
    planned = []
    settings = region.config.composite
    places = places_of(manifest)
    prints = {(s.dataset, s.id): s.fingerprint() for s in manifest.scenes}
    for tile, scenes in index.touching(manifest.scenes).items():
        used = sorted({s.dataset for s in scenes})
        inputs: dict[str, Any] = {
            "code": code,
            # Only of datasets that have scenes here: others cannot change this tile.
            "parameters": {d: per_dataset[d] for d in used if d in per_dataset},
            "grid": grid_inputs(grid, tile),
            "scenes": [prints[s.dataset, s.id] for s in scenes],
        }
        if settings.parameters():
            inputs["composite"] = settings.parameters()
        if settings.method == "best_pixel":  # fingerprints leave the platform out
            inputs["platforms"] = [s.properties.get("platform") for s in scenes]
        if settings.source_index:
            # The index layer means places on the month's list: another list, another layer.
            inputs["list"] = [places[s.dataset, s.id] for s in scenes]
        planned.append((judge(Task("composite", manifest.month, tile), inputs, records), scenes))
    return planned


def places_of(manifest: Manifest | None) -> dict[tuple[str, str], int]:
    """Return (dataset, id) of each scene to its place on the month's list."""
    scenes = manifest.scenes if manifest is not None else ()
    return {(s.dataset, s.id): k for k, s in enumerate(scenes)}


def product_tasks(
    region: Region,
    period: Period,
    tiles: Iterable[Tile],
    composites: Mapping[str, PlannedTask],
    records: Mapping[str, TaskRecord],
    grid: Grid,
) -> list[PlannedTask]:
    """Return the product tasks of a period.

    Parameters
    ----------
    region, period, tiles, grid
        Which products: one task a tile.
    composites : mapping
        Task id to planned composite task, for all months of the period.
    records : mapping
        Task id to record, from `CubeView.records`.

    Raises
    ------
    InputError
        An input file (land cover, vectors) is missing.
    """
    from eco_index import period_products

    months = region.config.period_months(period)
    shared = {
        "parameters": {
            "products": period_products.period_parameters(region),
            "months": [m.id for m in months],
            "season": [m.id for m in region.config.season_months(period)],
            "min_season_months": region.config.min_season_months,
        },
        "inputs": period_products.period_inputs(region, period),
    }
    interpolation = region.config.composite.interpolation
    if interpolation is not None and period.cadence == "yearly":
        from eco_index.indices import gaps

        shared["interpolation"] = interpolation.model_dump() | {"version": gaps.VERSION}
    season = region.config.composite.season_parameters()
    if season:  # the scenes themselves are in the composites' digests
        shared["season_composite"] = season
    planned = []
    for tile in tiles:
        needed = [composites[Task("composite", m.id, tile).id] for m in months]
        task = Task("product", period.id, tile)
        if any(not c.digest for c in needed):
            planned.append(undecided(task, records, "its monthly composites are not known yet"))
            continue
        inputs = shared | {
            "composites": [c.digest for c in needed],
            "grid": grid_inputs(grid, tile),
        }
        planned.append(judge(task, inputs, records))
    return planned


def undecided(task: Task, records: Mapping[str, TaskRecord], reason: str) -> PlannedTask:
    """Return a task whose digest depends on something that is still to be done."""
    if task.id in records:
        return PlannedTask(task, "stale", reason)
    return PlannedTask(task, "new", "never computed")


def blocked(task: Task, reason: str) -> PlannedTask:
    return PlannedTask(task, "blocked", reason)
