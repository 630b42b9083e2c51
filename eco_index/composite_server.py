"""Composites that Earth Engine reduces itself: expressed, asked for by tile, joined with others."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from pyproj import CRS

from eco_index import sensors, warp
from eco_index.catalog import Catalog, Dataset
from eco_index.composite_parts import Composite, Numbered, failure_of
from eco_index.compositing import CompositeConfig
from eco_index.errors import EcoError, InputError, UsageError
from eco_index.grid import Grid, Tile
from eco_index.scene_windows import Unusable, quality_lut
from eco_index.sensors.bit_tests import bit_tests
from eco_index.sources import ee_client
from eco_index.sources.address import is_derived, leaves, parse
from eco_index.sources.derived import guard_values
from eco_index.sources.earthengine import Cost
from eco_index.sources.ee_band import BandRef, Window, crs_of, is_earth_engine, pixel_grid, split
from eco_index.sources.ee_reduce import (
    VERSION,
    BandRule,
    QualityRule,
    SceneRule,
    Tests,
    Wanted,
    composite_image,
)
from eco_index.sources.ee_transport import Limits
from eco_index.sources.scene import AssetFailure, Scene

LEAST_PX = 32  # windows that are too much work for the service are halved down to this
_TOO_MUCH = re.compile(r"memory limit|computation timed out|too many pixels", re.I)


def reduced_on_server(dataset: Dataset) -> bool:
    """Whether a dataset's composites are made by the service."""
    return getattr(dataset.access, "reduce", "here") == "server"


def parameters(_: Dataset) -> dict[str, Any]:
    """Return what of this room changes a dataset's composites, for digests."""
    return {"reduced": {"by": "earth_engine", "version": VERSION}}


@dataclass(frozen=True)
class _Judged:
    """A scene with the rule by which the service reads it."""

    item: Numbered
    rule: SceneRule
    image: str


def composite_on_server(
    items: Sequence[Numbered],
    catalog: Catalog,
    grid: Grid,
    tile: Tile,
    settings: CompositeConfig,
) -> Composite:
    """Let the service reduce scenes to the composite of a tile.

    Parameters
    ----------
    items : sequence of Numbered
        Scenes of datasets with ``reduce: server`` that touch the tile.
    catalog, grid, tile, settings
        As in `eco_index.composite.composite_tile`.

    Returns
    -------
    Composite
        As if the scenes had been read; images that have gone are in `failures`.

    Raises
    ------
    UsageError
        The service cannot do what is asked for.
    InputError, PartialError
        It refuses the request, or does not answer.
    """
    judged: list[_Judged] = []
    failures: list[AssetFailure] = []
    for item in items:
        dataset = catalog.get(item.scene.dataset, f"scene {item.scene.id}")
        try:
            judged.append(_judge(item, dataset, item.scene.dataset, grid))
        except Unusable as problem:
            failures.append(failure_of(item.scene, problem))
    projects = {_project(catalog, i.item.scene.dataset) for i in judged}
    while judged:
        try:
            out = _reduced(judged, projects, grid, tile, settings)
        except InputError as error:
            gone = [i for i in judged if _names(error, i.image)]
            if not gone:
                raise
            failures += [AssetFailure(*_key(i), "", error.what) for i in gone]
            judged = [i for i in judged if i not in gone]
        else:
            out.failures = tuple(failures)
            return out
    out = Composite.empty(tile.shape)
    if settings.snow_count:
        out.layers["snow_count"] = np.zeros(tile.shape, np.uint16)
    out.failures = tuple(failures)
    return out


def check(dataset: Dataset, dataset_id: str, settings: CompositeConfig) -> None:
    """Raise UsageError where the service cannot make the composites of a region."""
    gap = settings.server_gap
    if gap:
        raise UsageError(
            f"dataset '{dataset_id}' is reduced by Earth Engine, which cannot do '{gap}'",
            where="section 'composite' of the region file",
            rule="reduce: server knows the highest NDVI, clear and all observations, snow; by "
            "observation or by day",
            fix=f"leave out '{gap}', or write 'reduce: here' in the dataset's access",
        )
    if dataset.harmonisation is not None:
        raise UsageError(f"dataset '{dataset_id}' is reduced by Earth Engine: not harmonised")


def estimate(scenes: Iterable[Scene], tiles: Iterable[Tile], settings: CompositeConfig) -> Cost:
    """Say what the service will be asked for; nothing is sent.

    Parameters
    ----------
    scenes : iterable of Scene
        Scenes of datasets with ``reduce: server`` on these tiles: the cost does not grow with them.
    tiles : iterable of Tile
        Tiles of one month that are to be composited.
    settings : CompositeConfig
        Says how many layers there are.

    Returns
    -------
    Cost
        Requests and bytes (uncompressed answers), without repeats.
    """
    if not list(scenes):
        return Cost(0, 0)
    itemsize = _itemsize(Wanted((), (), settings.snow_count))
    limits, requests, size = Limits.from_env(), 0, 0
    for tile in tiles:
        parts = list(_parts(tile, itemsize, limits))
        requests += len(parts)
        size += sum(p[2] * p[3] for p in parts) * itemsize
    return Cost(requests, size)


def wanted_of(
    items: Iterable[tuple[Numbered, SceneRule, str]], settings: CompositeConfig
) -> Wanted:
    """Sort images into those that count alone, by rule, and those that share a day."""
    listed = list(items)
    per_day = Counter(item.day for item, _, _ in listed)
    alone: dict[SceneRule, list[str]] = {}
    days: dict[dt.date, list[tuple[SceneRule, str]]] = {}
    for item, rule, image in listed:
        if settings.count == "days" and per_day[item.day] > 1:
            days.setdefault(item.day, []).append((rule, image))
        else:
            alone.setdefault(rule, []).append(image)
    return Wanted(
        tuple((rule, tuple(ids)) for rule, ids in alone.items()),
        tuple(tuple(found) for _, found in sorted(days.items())),
        settings.snow_count,
    )


def wanted_for(
    items: Sequence[Numbered], catalog: Catalog, grid: Grid, settings: CompositeConfig
) -> Wanted:
    """Return what is asked for, for an export of a whole tile.

    Raises
    ------
    InputError
        A scene cannot be decoded safely.
    """
    judged = []
    for item in items:
        dataset = catalog.get(item.scene.dataset, f"scene {item.scene.id}")
        check(dataset, item.scene.dataset, settings)
        try:
            found = _judge(item, dataset, item.scene.dataset, grid)
        except Unusable as problem:
            raise InputError(f"{problem.asset}: {problem.reason}", where=item.scene.id) from None
        judged.append((found.item, found.rule, found.image))
    return wanted_of(judged, settings)


def _reduced(
    judged: Sequence[_Judged],
    projects: set[str | None],
    grid: Grid,
    tile: Tile,
    settings: CompositeConfig,
) -> Composite:
    wanted = wanted_of(((j.item, j.rule, j.image) for j in judged), settings)
    # A second project is refused by `client`, with the reason.
    session = [ee_client.client(p) for p in sorted(projects, key=str)][-1]
    arrays = {name: np.empty(tile.shape, kind) for name, kind in wanted.dtypes.items()}
    for part in _parts(tile, _itemsize(wanted), session.limits):
        _fill(arrays, session, wanted, grid, tile, part)
    main = [arrays.pop(name) for name in ("ndvi_max", "clear_count", "obs_count")]
    return Composite(main[0], main[1], main[2], (), arrays)


def _parts(tile: Tile, itemsize: int, limits: Limits) -> list[Window]:
    height, width = tile.shape
    window = (tile.y0, tile.x0, height, width)
    return list(split(window, itemsize, limits, limits.computed_px))


def _fill(
    arrays: dict[str, np.ndarray],
    session: ee_client.Client,
    wanted: Wanted,
    grid: Grid,
    tile: Tile,
    part: Window,
) -> None:
    """Ask for a part of a tile; what is too much work for the service is halved."""
    row, col, height, width = part
    names = tuple(wanted.dtypes)
    where = f"composite, rows {row}-{row + height}, columns {col}-{col + width}"
    area = pixel_grid(service_crs(grid.crs_wkt), grid.transform, part)
    try:
        found = session.pixels(lambda ee: composite_image(ee, wanted), area, names, where)
    except InputError as error:
        if not _TOO_MUCH.search(error.what) or max(height, width) <= LEAST_PX:
            raise
        up, left = -(-height // 2), -(-width // 2)
        for y, x, h, w in (
            (row, col, up, left),
            (row, col + left, up, width - left),
            (row + up, col, height - up, left),
            (row + up, col + left, height - up, width - left),
        ):
            if h and w:
                _fill(arrays, session, wanted, grid, tile, (y, x, h, w))
        return
    place = (
        slice(row - tile.y0, row - tile.y0 + height),
        slice(col - tile.x0, col - tile.x0 + width),
    )
    for name, kind in wanted.dtypes.items():
        values = found[name]
        stored = values.astype(kind)
        if not np.array_equal(stored, values):
            raise InputError(f"Earth Engine answered with values that are no {kind}", where=where)
        arrays[name][place] = stored


@lru_cache(maxsize=8)
def service_crs(crs_wkt: str) -> str:
    """Return a grid's CRS as the service reads it: an EPSG code, or the older kind of WKT."""
    crs = CRS.from_wkt(crs_wkt)
    epsg = crs.to_epsg(min_confidence=100)
    return f"EPSG:{epsg}" if epsg else str(crs.to_wkt("WKT1_GDAL"))


def _itemsize(wanted: Wanted) -> int:
    return sum(np.dtype(kind).itemsize for kind in wanted.dtypes.values())


def _project(catalog: Catalog, dataset_id: str) -> str | None:
    return getattr(catalog.get(dataset_id, "imagery").access, "project", None)


def _key(judged: _Judged) -> tuple[str, str]:
    return judged.item.scene.dataset, judged.item.scene.id


def _names(error: EcoError, image: str) -> bool:
    return re.search(rf"{re.escape(image)}(?![\w/-])", error.what) is not None


def _judge(item: Numbered, dataset: Dataset, dataset_id: str, grid: Grid) -> _Judged:
    """Return the rule by which the service reads a scene: that of `scene_windows`, in tests."""
    scene = item.scene
    assert dataset.mask is not None
    *measured, mask = sensors.needed_bands(dataset)
    bands, images = [], set()
    for band in measured:
        rule, ref = _band_rule(scene, dataset, band, _href(scene, band))
        _refuse_finer(ref, dataset_id, band, grid)
        bands.append(rule)
        images.add(ref.image)
    href = _href(scene, mask)
    quality: tuple[QualityRule, ...] = ()
    valued: tuple[BandRule, ...] = ()
    if is_derived(href) and parse(href).kind == "value":
        names = parse(href).options["bands"]
        pairs = zip(names, parse(href).parts, strict=True)
        valued = tuple(_band_rule(scene, dataset, name, part.href)[0] for name, part in pairs)
    else:
        refs = [BandRef.parse(leaf) for leaf in leaves(href)]
        quality = _quality_rules(scene, dataset, mask, refs)
        images |= {ref.image for ref in refs}
    if len(images) != 1:
        raise Unusable(mask, f"its bands are those of {len(images)} images")
    return _Judged(item, SceneRule(quality, valued, tuple(bands)), images.pop())


def _href(scene: Scene, band: str) -> str:
    if band not in scene.assets:
        raise Unusable(band, f"band {band} missing: scene has {', '.join(scene.assets)}")
    href = scene.assets[band].href
    if not all(is_earth_engine(leaf) for leaf in leaves(href)):
        raise Unusable(band, "not an image of Earth Engine")
    return href


def _band_rule(scene: Scene, dataset: Dataset, band: str, href: str) -> tuple[BandRule, BandRef]:
    ref = BandRef.parse(href)
    try:
        decode = sensors.decode_of(dataset, band, scene.properties)
    except EcoError as error:
        raise Unusable(band, error.what) from None
    nodata = ref.fill if math.isnan(decode.nodata) else decode.nodata
    known = sensors.Decode(decode.scale, decode.offset, nodata, decode.valid_min, decode.valid_max)
    return BandRule(ref.band, ref.fill, known), ref


def _refuse_finer(ref: BandRef, dataset_id: str, band: str, grid: Grid) -> None:
    crs = crs_of(ref.crs).to_wkt()
    pixel = warp.source_pixel_m(ref.affine, ref.width, ref.height, crs, grid)
    if warp.subsamples_of(pixel, grid.resolution):
        raise UsageError(
            f"band {band} has pixels of {pixel:.0f} m, the grid of {grid.resolution:g} m: Earth "
            "Engine would take them from its reduced copies, which are not their mean",
            where=f"dataset '{dataset_id}', access 'reduce: server'",
            rule="composites made there and here must be the same",
            fix="write 'reduce: here', or choose a grid nearer to the imagery's resolution",
        )


def _quality_rules(
    scene: Scene, dataset: Dataset, band: str, refs: Sequence[BandRef]
) -> tuple[QualityRule, ...]:
    assert dataset.mask is not None
    for ref in refs:
        kind = np.dtype(ref.dtype)
        if kind.kind not in "iu" or kind.itemsize > 2:
            raise Unusable(band, f"a quality band of type {kind} cannot be looked up")
    decode = sensors.decode_of(dataset, band, scene.properties)
    nodata = refs[0].fill if math.isnan(decode.nodata) else decode.nodata
    main = quality_lut(dataset, nodata, np.dtype(refs[0].dtype))
    plain = sensors.mask_lut(dataset.mask.recipe, dataset.mask.version)
    luts = [main]
    for values in guard_values(dataset, plain):
        # A guard writes a quality value: what that means to the main recipe is its code here.
        luts.append(np.where(values < 0, sensors.CLEAR, main[np.maximum(values, 0)]))
    return tuple(_quality_rule(ref, lut) for ref, lut in zip(refs, luts, strict=True))


def _quality_rule(ref: BandRef, lut: np.ndarray) -> QualityRule:
    kind = np.dtype(ref.dtype)
    codes = lut[: 1 << (8 * kind.itemsize)].astype(np.uint8).tobytes()
    clear, missing, snow = _tests_of(codes)
    bits = 8 * kind.itemsize if kind.kind == "i" else 0
    return QualityRule(ref.band, int(ref.fill), clear, missing, snow, bits)


@lru_cache(maxsize=64)
def _tests_of(codes: bytes) -> tuple[Tests, Tests, Tests]:
    """Return the tests of clear, missing and snowy values of a look-up table."""
    lut = np.full(65536, sensors.BAD, np.uint8)
    lut[: len(codes)] = np.frombuffer(codes, np.uint8)
    clear, missing, snow = (
        bit_tests(lut == code) for code in (sensors.CLEAR, sensors.FILL, sensors.SNOW)
    )
    return clear, missing, snow
