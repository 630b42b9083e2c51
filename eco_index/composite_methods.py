"""Composites by other rules than the maximum: percentiles, medoid, geometric median, best pixel.

Percentiles and medians need all observations of a pixel at once. They are worked out block by
block: a tile is cut until the observations of a block fit into a fixed budget, so that memory does
not grow with the number of scenes. The cuts do not show in the result.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator

import numpy as np

from eco_index import composite_server, kernel_bands, kernel_reduce, kernels
from eco_index.catalog import Catalog
from eco_index.composite_parts import (
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
from eco_index.compositing import NO_SOURCE, REFLECTANCE, SPECTRAL, CompositeConfig, How
from eco_index.grid import Grid, Tile
from eco_index.products import REFLECTANCE_RANGE
from eco_index.scene_windows import SceneWindows, Unusable, read_scene
from eco_index.sources.raster import raster_env
from eco_index.sources.scene import AssetFailure, Scene

BUDGET = 96 * 2**20  # bytes for the observations of one block


def composite_by_method(
    scenes: Iterable[Scene],
    catalog: Catalog,
    grid: Grid,
    tile: Tile,
    how: How,
    budget: int = BUDGET,
) -> Composite:
    """Reduce scenes by the method that `how` names; see `composite.composite_tile`.

    Parameters
    ----------
    scenes, catalog, grid, tile, how
        As there.
    budget : int
        Bytes that the observations of one block may take.

    Returns
    -------
    Composite
        With the method's layer, `how.settings.basis`. `ndvi_max` and `clear_count` cover the same
        observations as that layer: medoid and geometric median leave out those that lack a value in
        one of the bands they weigh.
    """
    items = numbered(scenes, how, how.settings)
    here = [i for day in days_of(items, grid, tile, how.settings) for i in day]
    if composite_server.wholly_served([i.scene for i in here], catalog, how.settings):
        return composite_server.composite_on_server(here, catalog, grid, tile, how.settings)
    failures: list[AssetFailure] = []
    with raster_env():
        while True:
            if how.settings.method == "best_pixel":
                out, failed = _best_pixel(items, catalog, grid, tile, how)
            else:
                out, failed = _stacked(items, catalog, grid, tile, how.settings, budget)
            failures += failed
            if not failed:
                out.failures = tuple(failures)
                return out
            items = without(items, failed)


def blocks_of(tile: Tile, layers: int, pixel_bytes: int, budget: int) -> Iterator[Tile]:
    """Yield the parts of a tile whose observations fit into a budget, halving the longer side."""
    height, width = tile.shape
    if height * width * layers * pixel_bytes <= budget or height * width <= 1:
        yield tile
        return
    if height >= width:
        middle = tile.y0 + (height + 1) // 2
        halves = ({"y1": middle}, {"y0": middle})
    else:
        middle = tile.x0 + (width + 1) // 2
        halves = ({"x1": middle}, {"x0": middle})
    for half in halves:
        yield from blocks_of(dataclasses.replace(tile, **half), layers, pixel_bytes, budget)


def _stacked(
    items: list[Numbered],
    catalog: Catalog,
    grid: Grid,
    tile: Tile,
    settings: CompositeConfig,
    budget: int,
) -> tuple[Composite, list[AssetFailure]]:
    out = _prepared(tile.shape, settings)
    bands = ("red", "nir", *settings.bands) if settings.method in SPECTRAL else ()
    touching = sum(len(day) for day in days_of(items, grid, tile, settings))
    pixel_bytes = 2 + 4 * len(bands)
    for block in blocks_of(tile, touching, pixel_bytes, budget):
        part, failed = _block(items, catalog, grid, block, settings, bands)
        if failed:
            return out, failed
        inner = (
            slice(block.y0 - tile.y0, block.y1 - tile.y0),
            slice(block.x0 - tile.x0, block.x1 - tile.x0),
        )
        whole = out.arrays()
        for name, values in part.arrays().items():
            whole[name][inner] = values
    return out, []


def _prepared(shape: tuple[int, int], settings: CompositeConfig) -> Composite:
    out = Composite.empty(shape)
    out.layers[settings.basis] = np.full(shape, kernels.NDVI_FILL, np.int16)
    if settings.source_index:
        out.layers["source_index"] = np.full(shape, NO_SOURCE, np.uint16)
    if settings.snow_count:
        out.layers["snow_count"] = np.zeros(shape, np.uint16)
    for band in settings.reflectance:
        out.layers[f"{REFLECTANCE}{band}"] = np.full(shape, kernels.NDVI_FILL, np.int16)
    return out


def _block(
    items: list[Numbered],
    catalog: Catalog,
    grid: Grid,
    block: Tile,
    settings: CompositeConfig,
    bands: tuple[str, ...],
) -> tuple[Composite, list[AssetFailure]]:
    """Reduce the observations of a block, held all at once."""
    out = _prepared(block.shape, settings)
    counts = Counts(out, settings)
    days = list(days_of(items, grid, block, settings))
    here = [item for day in days for item in day]
    groups = np.repeat(np.arange(len(days)), [len(day) for day in days])
    stack = np.full((len(here), *block.shape), kernels.NDVI_FILL, np.int16)
    spectra = np.full((len(bands), *stack.shape), np.nan, np.float32)
    layer = 0
    for same_day in days:
        counts.begin_day(len(same_day))
        for item in same_day:
            dataset = catalog.get(item.scene.dataset, f"scene {item.scene.id}")
            try:
                found = read_scene(item.scene, dataset, grid, block, settings.dilation)
            except Unusable as problem:
                return out, [failure_of(item.scene, problem)]
            if found is not None:
                add_scene(found, block, stack[layer], counts.now, kernels.NO_WINNER, 0)
                for b, band in enumerate(bands if found.bands else ()):
                    _sample(found, band, block, stack[layer], spectra[b, layer])
            layer += 1
        counts.end_day()
    if bands:
        kernel_reduce.drop_incomplete(stack, spectra)
    out.clear_count[:] = 0  # counted again: without what was dropped
    kernel_reduce.count_groups(stack, groups, out.clear_count)
    if len(here):
        np.max(stack, axis=0, out=out.ndvi_max)
    chosen = out.layers[settings.basis]
    if settings.method == "medoid":
        numbers = np.array([item.number for item in here], np.uint16)
        places = np.arange(len(here), dtype=np.uint16)
        winner = np.full(block.shape, NO_SOURCE, np.uint16)
        kernel_reduce.medoid(stack, spectra, places, chosen, winner)
        _place_sources(out, winner, numbers)
        for band in settings.reflectance if here else ():
            layer = spectra[bands.index(band)]
            won = np.where(winner == NO_SOURCE, 0, winner)[None]
            value = np.take_along_axis(layer, won.astype(np.intp), axis=0)[0]
            value[winner == NO_SOURCE] = np.nan
            out.layers[f"{REFLECTANCE}{band}"][:] = stored_reflectance(value)
    elif settings.method == "geometric_median":
        kept = len(bands) if settings.reflectance else 0
        centres = np.full((kept, *block.shape), np.nan, np.float32)
        kernel_reduce.geometric_median(stack, spectra, chosen, centres)
        for band in settings.reflectance:
            value = centres[bands.index(band)]
            out.layers[f"{REFLECTANCE}{band}"][:] = stored_reflectance(value)
    else:
        kernel_reduce.percentile(stack, settings.fraction, chosen)
    return out, []


def _place_sources(out: Composite, winner: np.ndarray, numbers: np.ndarray) -> None:
    """Write the numbers of the winning scenes, where the index layer is wanted."""
    if "source_index" in out.layers:
        seen = winner != NO_SOURCE
        out.layers["source_index"][seen] = numbers[winner[seen]]


def stored_reflectance(values: np.ndarray) -> np.ndarray:
    """Return reflectances as stored: int16 x 1e-4, rounded half away from zero.

    Parameters
    ----------
    values : float32[h, w]
        NaN where missing.

    Returns
    -------
    int16[h, w]
        -32768 where missing or beyond `products.REFLECTANCE_RANGE`.
    """
    scaled = values.astype(np.float64) * 1e4
    rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    low, high = (1e4 * limit for limit in REFLECTANCE_RANGE)
    good = (rounded >= low) & (rounded <= high)  # false where missing
    return np.where(good, rounded, kernels.NDVI_FILL).astype(np.int16)


def _sample(found: SceneWindows, band: str, block: Tile, ndvi: np.ndarray, out: np.ndarray) -> None:
    layer = found.bands[band]
    kernel_bands.sample_band(
        block.y0,
        block.x0,
        ndvi,
        layer.data,
        layer.place.as_tuple(),
        layer.decode.as_tuple(),
        band in ("red", "nir"),
        out,
    )


def _best_pixel(
    items: list[Numbered], catalog: Catalog, grid: Grid, tile: Tile, how: How
) -> tuple[Composite, list[AssetFailure]]:
    """Keep the observation of the highest score, one scene after the other."""
    settings, scores = how.settings, how.settings.scores
    out = _prepared(tile.shape, settings)
    counts = Counts(out, settings)
    winner = np.full(tile.shape, NO_SOURCE, np.uint16)
    days = list(days_of(items, grid, tile, settings))
    numbers = np.array([item.number for day in days for item in day], np.uint16)
    place = -1  # of the scene among those that touch the tile
    best = np.full(tile.shape, -1.0)
    ndvi = np.empty(tile.shape, np.int16)
    distance = np.empty(tile.shape, np.int32)
    for same_day in days:
        counts.begin_day(len(same_day))
        for item in same_day:
            scene, place = item.scene, place + 1
            dataset = catalog.get(scene.dataset, f"scene {scene.id}")
            try:
                found = read_scene(
                    scene, dataset, grid, tile, settings.dilation, scores.cloud_distance
                )
            except Unusable as problem:
                return out, [failure_of(scene, problem)]
            if found is None:
                continue
            assert found.cloud_distance2 is not None
            ndvi[:] = kernels.NDVI_FILL
            add_scene(found, tile, ndvi, counts.now, kernels.NO_WINNER, 0)
            np.maximum(out.ndvi_max, ndvi, out=out.ndvi_max)
            kernels.gather_nearest(
                tile.y0, tile.x0, found.cloud_distance2, found.qa_place.as_tuple(), 0, distance
            )
            kernel_reduce.keep_best(
                ndvi,
                distance,
                found.qa_pixel_m,
                scores.cloud_distance,
                scores.cloud,
                base_score(scene, how),
                best,
                out.layers[settings.basis],
                winner,
                place,
            )
            won = np.where(winner == place, ndvi, kernels.NDVI_FILL).astype(np.int16)
            for band in settings.reflectance:
                values = np.full(tile.shape, np.nan, np.float32)
                _sample(found, band, tile, won, values)
                layer = out.layers[f"{REFLECTANCE}{band}"]
                np.copyto(layer, stored_reflectance(values), where=won != kernels.NDVI_FILL)
        counts.end_day()
    _place_sources(out, winner, numbers)
    return out, []


def base_score(scene: Scene, how: How) -> float:
    """Return the weighted sum of a scene's day and sensor scores (0 to the sum of weights)."""
    assert how.span is not None
    scores, (first, last) = how.settings.scores, how.span
    days = (last - first).days + 1
    off = abs((solar_day(scene) - first).days - (days - 1) / 2)
    day = max(0.0, 1.0 - off / (days / 2))
    platform = scene.properties.get("platform")
    sensor = scores.sensor_score(None if platform is None else str(platform), scene.dataset)
    total = scores.day * day + scores.sensor * sensor
    assert math.isfinite(total)
    return total
