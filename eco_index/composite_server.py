"""Composites that Earth Engine reduces itself: expressed, asked for by tile, joined with others."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS

from eco_index.catalog import Catalog, Dataset
from eco_index.composite_parts import (
    NDVI_FILL,
    Composite,
    Numbered,
    days_of,
    failure_of,
    numbered,
)
from eco_index.composite_rules import Judged, judge
from eco_index.compositing import CompositeConfig
from eco_index.errors import EcoError, InputError, UsageError
from eco_index.grid import Grid, Tile
from eco_index.scene_windows import Unusable
from eco_index.sources import ee_client
from eco_index.sources.earthengine import Cost
from eco_index.sources.ee_band import Window, pixel_grid, split
from eco_index.sources.ee_files import Expected, read_received
from eco_index.sources.ee_reduce import (
    VERSION,
    SceneRule,
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
    judged, failures = _judged(items, catalog, grid)
    projects = {_project(catalog, i.item.scene.dataset) for i in judged}
    folder = received_folder(catalog, [i.item.scene.dataset for i in judged])
    while judged:
        try:
            out = _reduced(judged, projects, folder, grid, tile, settings)
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
    if settings.basis != "ndvi_max":
        out.layers[settings.basis] = np.full(tile.shape, NDVI_FILL, np.int16)
    out.failures = tuple(failures)
    return out


def check(dataset: Dataset, dataset_id: str, settings: CompositeConfig) -> None:
    """Raise UsageError where the service cannot make the composites of a region."""
    gap = settings.server_gap
    if gap:
        raise UsageError(
            f"dataset '{dataset_id}' is reduced by Earth Engine, which cannot do '{gap}'",
            where="section 'composite' of the region file",
            rule="reduce: server knows the highest NDVI, median and percentile, clear and all "
            "observations, snow; by observation or by day",
            fix=f"leave out '{gap}', or write 'reduce: here' in the dataset's access",
        )


def wholly_served(scenes: Iterable[Scene], catalog: Catalog, settings: CompositeConfig) -> bool:
    """Whether the service reduces all scenes by the region's method; False where it reduces none.

    Raises
    ------
    UsageError
        It reduces some of them, and the method needs all observations of a pixel at once.
    """
    served: dict[bool, set[str]] = {True: set(), False: set()}
    for scene in scenes:
        dataset = catalog.get(scene.dataset, f"scene {scene.id}")
        served[reduced_on_server(dataset)].add(scene.dataset)
    if served[True] and served[False] and settings.method != "maximum_ndvi":
        there, here = (", ".join(sorted(served[way])) for way in (True, False))
        raise UsageError(
            f"Earth Engine reduces {there}, but {here} is read here: '{settings.method}' needs all "
            "observations of a pixel in one place",
            where="section 'composite' of the region file",
            rule="only the highest NDVI of two parts is that of the whole",
            fix="write 'reduce: here' in the access of those datasets, or use maximum_ndvi",
        )
    return bool(served[True]) and not served[False]


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
    itemsize = _itemsize(Wanted((), (), settings.snow_count, _percentile_of(settings)))
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
        _percentile_of(settings),
    )


def _percentile_of(settings: CompositeConfig) -> tuple[str, float] | None:
    return None if settings.method == "maximum_ndvi" else (settings.basis, settings.fraction)


def expected_of(
    scenes: Sequence[Scene], catalog: Catalog, grid: Grid, tile: Tile, settings: CompositeConfig
) -> Expected | None:
    """Return what an export of a tile must bring, None where the service has nothing to reduce.

    Parameters
    ----------
    scenes : sequence of Scene
        All scenes of the month that touch the tile, as `composite_tile` is given them.
    catalog, grid, tile, settings
        As in `composite_tile`.
    """
    items = [
        item
        for day in days_of(numbered(scenes, None, settings), grid, tile, settings)
        for item in day
        if reduced_on_server(catalog.get(item.scene.dataset, f"scene {item.scene.id}"))
    ]
    for dataset_id in sorted({item.scene.dataset for item in items}):
        check(catalog.get(dataset_id, "exports"), dataset_id, settings)
    judged, _ = _judged(items, catalog, grid)
    return _expected(judged, grid, tile, settings) if judged else None


def _expected(
    judged: Sequence[Judged], grid: Grid, tile: Tile, settings: CompositeConfig
) -> Expected:
    wanted = wanted_of(((j.item, j.rule, j.image) for j in judged), settings)
    window = (tile.y0, tile.x0, *tile.shape)
    return Expected(wanted, pixel_grid(service_crs(grid.crs_wkt), grid.transform, window), tile.id)


def is_received(
    scenes: Sequence[Scene], catalog: Catalog, grid: Grid, tile: Tile, settings: CompositeConfig
) -> bool:
    """Whether an export of a tile lies in the folder, so that the service is not asked for it."""
    named = [s.dataset for s in scenes if reduced_on_server(catalog.get(s.dataset, "imagery"))]
    folder = received_folder(catalog, named)
    if folder is None or not folder.is_dir():
        return False
    expected = expected_of(scenes, catalog, grid, tile, settings)
    return expected is not None and (folder / f"{expected.name}.tif").exists()


def received_folder(catalog: Catalog, dataset_ids: Iterable[str]) -> Path | None:
    """Return the folder of received exports that datasets name; it is the same for all.

    Raises
    ------
    UsageError
        Two datasets name two folders: a composite is of all of them together.
    """
    named = {
        str(catalog.resolve(path, f"{catalog.path}, dataset '{dataset_id}'"))
        for dataset_id in set(dataset_ids)
        if (path := getattr(catalog.datasets[dataset_id].access, "received", None)) is not None
    }
    if len(named) > 1:
        raise UsageError(
            f"exports of one region are looked for in two folders: {', '.join(sorted(named))}",
            where=f"{catalog.path}, keys 'access.received'",
            fix="name the same folder in all of them",
        )
    return Path(named.pop()) if named else None


def _judged(
    items: Sequence[Numbered], catalog: Catalog, grid: Grid
) -> tuple[list[Judged], list[AssetFailure]]:
    judged: list[Judged] = []
    failures: list[AssetFailure] = []
    for item in items:
        dataset = catalog.get(item.scene.dataset, f"scene {item.scene.id}")
        try:
            judged.append(judge(item, dataset, item.scene.dataset, grid))
        except Unusable as problem:
            failures.append(failure_of(item.scene, problem))
    return judged, failures


def _reduced(
    judged: Sequence[Judged],
    projects: set[str | None],
    folder: Path | None,
    grid: Grid,
    tile: Tile,
    settings: CompositeConfig,
) -> Composite:
    expected = _expected(judged, grid, tile, settings)
    if folder is not None and (file := folder / f"{expected.name}.tif").exists():
        return _composite(read_received(file, expected))
    wanted = expected.wanted
    # A second project is refused by `client`, with the reason.
    session = [ee_client.client(p) for p in sorted(projects, key=str)][-1]
    arrays = {name: np.empty(tile.shape, kind) for name, kind in wanted.dtypes.items()}
    for part in _parts(tile, _itemsize(wanted), session.limits):
        _fill(arrays, session, wanted, grid, tile, part)
    return _composite(arrays)


def _composite(arrays: dict[str, np.ndarray]) -> Composite:
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


def _key(judged: Judged) -> tuple[str, str]:
    return judged.item.scene.dataset, judged.item.scene.id


def _names(error: EcoError, image: str) -> bool:
    return re.search(rf"{re.escape(image)}(?![\w/-])", error.what) is not None
