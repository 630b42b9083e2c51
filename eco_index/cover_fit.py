"""Fitting the end members of vegetation cover on the archive's monthly composites."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from eco_index import auxiliary, cover
from eco_index.errors import InputError
from eco_index.indices import endmembers, vegetation
from eco_index.period import Period
from eco_index.tasks import Task, hash_of

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.cube import Archive, CubeView
    from eco_index.grid import Tile

Progress = Callable[[str, int, int, str], None]


def base_periods(region: Region) -> list[Period]:
    """Return the years whose composites the end members are fitted on; empty without a fit."""
    own = region.config.fvc
    if own is None or own.choice != "percentile":
        return []
    return [Period(year) for year in sorted(set(own.base))]


def ensure_end_members(region: Region, archive: Archive, progress: Progress) -> None:
    """Fit the table of end members if the region wants one and it is not up to date.

    Raises
    ------
    InputError
        A base year is not composited yet; too few or too uniform pixels.
    """
    periods = base_periods(region)
    own = region.config.fvc
    if not periods or own is None:
        return
    view = archive.view()
    inputs = _inputs(region, view, periods)
    stored = cover.stored_table(region)
    if stored is not None and stored.inputs == inputs:
        return
    tiles = view.grid.tiles()
    counted = endmembers.Histograms()
    zones: tuple[str, ...] = ()
    # Threads: reading and counting release the interpreter; each holds one tile.
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for k, (part, ids) in enumerate(
            pool.map(lambda tile: _count(region, view, tile, periods), tiles)
        ):
            counted, zones = counted + part, ids
            progress("end members", k + 1, len(tiles), tiles[k].id)
    table = endmembers.fit(
        counted,
        cover.percent_of(region),
        own.min_pixels,
        zones,
        own.by_class,
        [p.id for p in periods],
        inputs,
    )
    path = cover.table_path(region)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(table.to_json(), encoding="utf-8")
    os.replace(partial, path)


def _count(
    region: Region, view: CubeView, tile: Tile, periods: list[Period]
) -> tuple[endmembers.Histograms, tuple[str, ...]]:
    total, ids = endmembers.Histograms(), ()  # type: Any, tuple[str, ...]
    for period in periods:
        where = f"tile {tile.id}, base year {period.id}"
        months = region.config.season_months(period)
        maxima = [view.read("monthly", "ndvi_max", m.id, tile) for m in months]
        zones, types, ids = cover.groups(region, tile, period, where)
        ndvi = vegetation.stored_maximum(maxima, tile.shape)
        total = total + endmembers.histograms(ndvi, zones, types)
    return total, ids


def _inputs(region: Region, view: CubeView, periods: list[Period]) -> str:
    """Return the digest of everything the table depends on."""
    own = region.config.fvc
    assert own is not None
    states = view.states()
    composites: list[str] = []
    for period in periods:
        for month in region.config.season_months(period):
            tasks = [Task("composite", month.id, tile).id for tile in view.grid.tiles()]
            open_ = [t for t in tasks if t not in states]
            if open_:
                raise InputError(
                    f"the end members are to be fitted on {period.id}, of which "
                    f"{len(open_)} of {len(tasks)} tiles of {month.id} are not composited",
                    where=f"{region.config.path}, key 'fvc.base'",
                    rule="all base years are composited before the first product",
                    fix=f"run the base years too: --period {' --period '.join(map(str, own.base))}",
                )
            composites += [states[t] for t in tasks]
    files: list[Any] = []
    for period in periods:
        files += [
            auxiliary.receipt(path, dataset_id, whole=True)
            for dataset_id, path, _ in cover.files(region, period).values()
        ]
        if own.by_class and region.config.landcover is not None:
            dataset_id = region.config.landcover.dataset
            path = auxiliary.raster_path(region.catalog, dataset_id, period.year, "key 'fvc'")
            files.append(auxiliary.receipt(path, dataset_id, whole=False))
    crosswalk = cover.crosswalk_of(region).digest if own.by_class else None
    return hash_of(
        {
            "composites": composites,
            "files": files,
            "crosswalk": crosswalk,
            "percent": cover.percent_of(region),
            "config": own.model_dump(mode="json"),
            "season": [region.config.season.first, region.config.season.last],
            "version": endmembers.VERSION,
        }
    )
