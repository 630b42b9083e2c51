"""Clear-sky composites of a tile from scenes on any grids, one scene at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from eco_index import composite_methods, composite_server, kernels, sensors, warp
from eco_index.catalog import Catalog, Dataset
from eco_index.composite_parts import (
    NDVI_FILL,
    Composite,
    Counts,
    Numbered,
    add_scene,
    days_of,
    failure_of,
    numbered,
    solar_day,
    without,
)
from eco_index.compositing import NO_SOURCE, CompositeConfig, How
from eco_index.errors import UsageError
from eco_index.grid import Grid, Tile
from eco_index.scene_windows import Unusable, read_scene
from eco_index.sources.address import leaves
from eco_index.sources.raster import local_path, raster_env
from eco_index.sources.scene import AssetFailure, Scene
from eco_index.sources.tiff_blocks import carrying

__all__ = ["NDVI_FILL", "VERSION", "Composite", "composite_tile", "parameters", "solar_day"]

VERSION = 1  # changes when results change: goes into digests
STRIP = 512  # rows read at once: the height of the blocks in most files


def composite_tile(
    scenes: Iterable[Scene], catalog: Catalog, grid: Grid, tile: Tile, how: How | None = None
) -> Composite:
    """Reduce scenes to a clear-sky composite and its counts, on one tile.

    Parameters
    ----------
    scenes : iterable of Scene
        In any order: the result does not depend on it.
    catalog : Catalog
        Says how bands are decoded and which mask recipe holds.
    grid : Grid
        The region's grid.
    tile : Tile
        Part of it.
    how : How, optional
        The region's `composite` section; by default the highest NDVI and the counts.

    Returns
    -------
    Composite
        The same bits whatever the tile size. Unreadable scenes are in `failures`, never raised
        and never silently missing.
    """
    settings = how.settings if how is not None else CompositeConfig()
    scenes = list(scenes)
    for dataset_id in sorted({scene.dataset for scene in scenes}):
        dataset = catalog.get(dataset_id, "the scenes of a tile")
        if composite_server.reduced_on_server(dataset):
            composite_server.check(dataset, dataset_id, settings)
    if settings.method != "maximum_ndvi":
        assert how is not None
        return composite_methods.composite_by_method(scenes, catalog, grid, tile, how)
    items = numbered(scenes, how, settings)
    served = [
        item
        for day in days_of(items, grid, tile, settings)
        for item in day
        if composite_server.reduced_on_server(_dataset(item, catalog))
    ]
    if not served:
        return _read_all(items, catalog, grid, tile, settings)
    rest = [i for i in items if not composite_server.reduced_on_server(_dataset(i, catalog))]
    _refuse_shared_days(served, rest, grid, tile, settings)
    there = composite_server.composite_on_server(served, catalog, grid, tile, settings)
    here = _read_all(rest, catalog, grid, tile, settings)
    np.maximum(here.ndvi_max, there.ndvi_max, out=here.ndvi_max)
    here.clear_count += there.clear_count
    here.obs_count += there.obs_count
    for name, counts in there.layers.items():
        here.layers[name] += counts
    here.failures += there.failures
    return here


def _dataset(item: Numbered, catalog: Catalog) -> Dataset:
    return catalog.get(item.scene.dataset, f"scene {item.scene.id}")


def _refuse_shared_days(
    served: list[Numbered],
    rest: list[Numbered],
    grid: Grid,
    tile: Tile,
    settings: CompositeConfig,
) -> None:
    if settings.count != "days":
        return
    others = {i.day for day in days_of(rest, grid, tile, settings) for i in day}
    shared = sorted({i.day for i in served} & others)
    if shared:
        raise UsageError(
            f"Earth Engine's composites and scenes that are read here share {shared[0]} in tile "
            f"{tile.id}: that day cannot be counted once",
            where="section 'composite' of the region file, count: days",
            rule="counts reduced by the service are sums; days in them are no longer known",
            fix="write 'reduce: here' in the dataset's access, or count observations",
        )


def _read_all(
    items: list[Numbered], catalog: Catalog, grid: Grid, tile: Tile, settings: CompositeConfig
) -> Composite:
    failures: list[AssetFailure] = []
    with raster_env():
        while True:
            out, failed, whole = _highest(items, catalog, grid, tile, settings)
            failures += failed
            if whole:
                break
            # A scene that failed half-way has added something: once more, without it.
            items = without(items, failed)
    out.failures = tuple(failures)
    return out


def _highest(
    items: list[Numbered], catalog: Catalog, grid: Grid, tile: Tile, settings: CompositeConfig
) -> tuple[Composite, list[AssetFailure], bool]:
    """Return the maximum, what failed, and whether scenes were added whole or not at all."""
    out = Composite.empty(tile.shape)
    winner = kernels.NO_WINNER
    if settings.source_index:
        winner = out.layers["source_index"] = np.full(tile.shape, NO_SOURCE, np.uint16)
    counts = Counts(out, settings)
    failed: list[AssetFailure] = []
    whole = True
    days = list(days_of(items, grid, tile, settings))
    if not settings.source_index:  # without it the order does not matter
        days = turned(days, tile)
    for same_day in days:
        counts.begin_day(len(same_day))
        for item in same_day:
            dataset = catalog.get(item.scene.dataset, f"scene {item.scene.id}")
            with carrying():
                for part in _parts(item.scene, tile):
                    rows = slice(part.y0 - tile.y0, part.y1 - tile.y0)
                    try:
                        _add(item, dataset, grid, part, rows, settings, out, counts, winner)
                    except Unusable as problem:
                        failed.append(failure_of(item.scene, problem))
                        whole = whole and part.y0 == tile.y0
                        break
        counts.end_day()
    return out, failed, whole


def turned[T](items: list[T], tile: Tile) -> list[T]:
    """Return items from another one on for each tile, in a circle.

    Tiles that are worked on side by side then do not ask for the same file at the same time, and
    take turns with one handle of it (`sources.raster.open_kept`) in place of opening it again.
    """
    golden = (5**0.5 - 1) / 2
    first = int(len(items) * ((tile.row + tile.col) * golden % 1))
    return items[first:] + items[:first]


def _parts(scene: Scene, tile: Tile) -> Iterator[Tile]:
    """Yield strips of a tile: windows take less memory. Remote files are asked once a tile."""
    files = (leaf for asset in scene.assets.values() for leaf in leaves(asset.href))
    if any(local_path(file) is None for file in files):
        yield tile
        return
    for y0 in range(tile.y0, tile.y1, STRIP):
        yield dataclasses.replace(tile, y0=y0, y1=min(y0 + STRIP, tile.y1))


def _add(
    item: Numbered,
    dataset: Dataset,
    grid: Grid,
    part: Tile,
    rows: slice,
    settings: CompositeConfig,
    out: Composite,
    counts: Counts,
    winner: np.ndarray,
) -> None:
    # A function of its own: its windows are gone before the next ones are read.
    found = read_scene(item.scene, dataset, grid, part, settings.dilation)
    if found is not None:
        now = {name: values[rows] for name, values in counts.now.items()}
        add_scene(found, part, out.ndvi_max[rows], now, winner[rows], item.number)


def parameters(dataset: Dataset) -> Mapping[str, Any]:
    """Return what of a dataset's record changes composites, for digests."""
    bands = {b: dataset.bands[b].model_dump(mode="json") for b in sensors.needed_bands(dataset)}
    return {
        "bands": bands,
        "mask": dataset.mask.model_dump(mode="json") if dataset.mask else None,
        "offset_rule": dataset.offset_rule,
        "versions": {"composite": VERSION, "warp": warp.VERSION},
    } | _extra_parameters(dataset)


def _extra_parameters(dataset: Dataset) -> dict[str, Any]:
    found = sensors.extra_parameters(dataset)
    if composite_server.reduced_on_server(dataset):
        found |= composite_server.parameters(dataset)
    return found
