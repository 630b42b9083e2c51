"""Clear-sky composites of a tile from scenes on any grids, one scene at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from eco_index import composite_methods, kernels, sensors, warp
from eco_index.catalog import Catalog, Dataset
from eco_index.composite_parts import (
    NDVI_FILL,
    Composite,
    Counts,
    add_scene,
    days_of,
    failure_of,
    numbered,
    solar_day,
)
from eco_index.compositing import NO_SOURCE, CompositeConfig, How
from eco_index.grid import Grid, Tile
from eco_index.scene_windows import Unusable, read_scene
from eco_index.sources.raster import raster_env
from eco_index.sources.scene import AssetFailure, Scene

__all__ = ["NDVI_FILL", "VERSION", "Composite", "composite_tile", "parameters", "solar_day"]

VERSION = 1  # changes when results change: goes into digests


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
    if settings.method != "maximum_ndvi":
        assert how is not None
        return composite_methods.composite_by_method(scenes, catalog, grid, tile, how)
    out = Composite.empty(tile.shape)
    winner = kernels.NO_WINNER
    if settings.source_index:
        winner = out.layers["source_index"] = np.full(tile.shape, NO_SOURCE, np.uint16)
    counts = Counts(out, settings)
    failures: list[AssetFailure] = []
    with raster_env():
        for same_day in days_of(numbered(scenes, how, settings), grid, tile, settings):
            counts.begin_day(len(same_day))
            for item in same_day:
                scene = item.scene
                dataset = catalog.get(scene.dataset, f"scene {scene.id}")
                try:
                    found = read_scene(scene, dataset, grid, tile, settings.dilation)
                except Unusable as problem:
                    failures.append(failure_of(scene, problem))
                    continue
                if found is not None:
                    add_scene(found, tile, out.ndvi_max, counts.now, winner, item.number)
            counts.end_day()
    out.failures = tuple(failures)
    return out


def parameters(dataset: Dataset) -> Mapping[str, Any]:
    """Return what of a dataset's record changes composites, for digests."""
    bands = {b: dataset.bands[b].model_dump(mode="json") for b in sensors.needed_bands(dataset)}
    return {
        "bands": bands,
        "mask": dataset.mask.model_dump(mode="json") if dataset.mask else None,
        "offset_rule": dataset.offset_rule,
        "versions": {"composite": VERSION, "warp": warp.VERSION},
    }
