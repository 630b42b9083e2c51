"""Clear-sky maximum-NDVI composites of a tile from scenes on any grids, one scene at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.errors import RasterioError

from eco_index import kernel_shifted, kernels, sensors, warp
from eco_index.catalog import Catalog, Dataset
from eco_index.errors import EcoError, InputError
from eco_index.grid import Grid, Tile
from eco_index.sources.opening import crs_wkt, forget_asset, open_asset
from eco_index.sources.raster import raster_env, short_reason
from eco_index.sources.scene import Asset, AssetFailure, Scene, touches

VERSION = 1  # changes when results change: goes into digests
NDVI_FILL = kernels.NDVI_FILL
MAX_SCENES = 65535  # counts are uint16


@dataclass
class Composite:
    """A composite of one tile and month.

    Attributes
    ----------
    ndvi_max : int16[h, w]
        Highest clear NDVI x 1e4, rounded half away from zero; -32768: no clear observation.
    clear_count : uint16[h, w]
        Clear observations with a valid NDVI. Two scenes of one overpass that overlap count twice.
    obs_count : uint16[h, w]
        Observations of any kind: the quality band says anything but "no observation".
    failures : tuple of AssetFailure
        Scenes that could not be read here; they have added nothing.
    """

    ndvi_max: np.ndarray
    clear_count: np.ndarray
    obs_count: np.ndarray
    failures: tuple[AssetFailure, ...] = ()

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Composite:
        return cls(
            np.full(shape, NDVI_FILL, np.int16),
            np.zeros(shape, np.uint16),
            np.zeros(shape, np.uint16),
        )


class _Unusable(Exception):
    """An asset that cannot be used (internal: becomes an AssetFailure)."""

    def __init__(self, asset: str, reason: str) -> None:
        self.asset, self.reason = asset, reason
        super().__init__(reason)


def composite_tile(scenes: Iterable[Scene], catalog: Catalog, grid: Grid, tile: Tile) -> Composite:
    """Reduce scenes to the highest clear NDVI and its counts, on one tile.

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

    Returns
    -------
    Composite
        The same bits whatever the tile size. Unreadable scenes are in `failures`, never raised
        and never silently missing.
    """
    out = Composite.empty(tile.shape)
    failures: list[AssetFailure] = []
    ordered = sorted(scenes, key=lambda s: s.key)
    if len(ordered) > MAX_SCENES:
        raise InputError(f"{len(ordered)} scenes in one month", rule=f"at most {MAX_SCENES}")
    bounds = grid.lonlat_bounds(grid.tile_bounds(tile))
    with raster_env():
        for scene in ordered:
            if not touches(scene.bbox, bounds):
                continue
            dataset = catalog.get(scene.dataset, f"scene {scene.id}")
            try:
                _add_scene(out, scene, dataset, grid, tile)
            except _Unusable as problem:
                failures.append(
                    AssetFailure(scene.dataset, scene.id, problem.asset, problem.reason)
                )
    out.failures = tuple(failures)
    return out


def _add_scene(out: Composite, scene: Scene, dataset: Dataset, grid: Grid, tile: Tile) -> None:
    assert dataset.mask is not None  # the catalogue refuses imagery without mask
    mask_band = dataset.mask.band
    windows: dict[str, tuple[np.ndarray, warp.Placement, Any]] = {}
    # The mask first: where it has nothing to say about the tile, nothing else is read.
    for band in reversed(sensors.needed_bands(dataset)):
        if band not in scene.assets:
            raise _Unusable(band, f"band {band} missing: scene has {', '.join(scene.assets)}")
        try:
            decode = sensors.decode_of(dataset, band, scene.properties)
        except EcoError as error:
            raise _Unusable(band, error.what) from None
        found = _read(scene.assets[band], band, dataset, grid, tile, band == mask_band)
        if found is None:
            return
        data, placement, header_nodata = found
        windows[band] = (data, placement, _with_nodata(decode, header_nodata))
    qa, qa_place, qa_decode = windows[mask_band]
    lut = _lut(dataset, qa_decode.nodata)
    target = (tile.y0, tile.x0, out.ndvi_max, out.clear_count, out.obs_count, lut)
    if "ndvi" in windows:
        index, place, decode = windows["ndvi"]
        kernels.add_index(
            *target,
            qa,
            qa_place.as_tuple(),
            index,
            place.as_tuple(),
            decode.as_tuple(),
            _same_positions(qa_place, place),
        )
    else:
        red, red_place, red_decode = windows["red"]
        nir, nir_place, nir_decode = windows["nir"]
        shifts = [place.shift() for place in (qa_place, red_place, nir_place)]
        if None not in shifts:
            bands = (red, shifts[1], red_decode.as_tuple(), nir, shifts[2], nir_decode.as_tuple())
            kernel_shifted.add_shifted(*target, qa, shifts[0], *bands)
            return
        kernels.add_red_nir(
            *target,
            qa,
            qa_place.as_tuple(),
            red,
            red_place.as_tuple(),
            red_decode.as_tuple(),
            nir,
            nir_place.as_tuple(),
            nir_decode.as_tuple(),
            _same_positions(qa_place, red_place),
            red_place.same_geometry(nir_place),
        )


def _same_positions(a: warp.Placement, b: warp.Placement) -> bool:
    return np.array_equal(a.u, b.u, equal_nan=True) and np.array_equal(a.v, b.v, equal_nan=True)


def _with_nodata(decode: sensors.Decode, header: float | None) -> sensors.Decode:
    """Take the file's own no-data value where the catalogue gives none."""
    if header is None or decode.nodata == decode.nodata:
        return decode
    return sensors.Decode(
        decode.scale, decode.offset, float(header), decode.valid_min, decode.valid_max
    )


def _lut(dataset: Dataset, nodata: float) -> np.ndarray:
    assert dataset.mask is not None
    lut = sensors.mask_lut(dataset.mask.recipe, dataset.mask.version)
    if 0 <= nodata <= 65535 and lut[int(nodata)] != sensors.FILL:
        lut = lut.copy()
        lut[int(nodata)] = sensors.FILL
    return lut


def _read(
    asset: Asset, band: str, dataset: Dataset, grid: Grid, tile: Tile, is_mask: bool
) -> tuple[np.ndarray, warp.Placement, float | None] | None:
    """Read the part of an asset that lies under a tile; None where there is none."""
    try:
        source = open_asset(asset.href, dataset)
    except (RasterioError, OSError) as error:
        raise _Unusable(band, f"cannot be opened: {short_reason(error)}") from None
    except InputError as error:
        raise _Unusable(band, error.what) from None
    if source.crs is None:
        raise _Unusable(band, "the file has no CRS")
    if asset.band > source.count:
        raise _Unusable(band, f"the file has {source.count} band(s), not {asset.band}")
    placement = warp.place_raster(grid, tile, source, crs_wkt(source), nearest=is_mask)
    if placement is None:
        return None
    try:
        data = source.read(asset.band, window=placement.window)
    except (RasterioError, OSError) as error:
        forget_asset(asset.href, dataset)
        raise _Unusable(band, f"cannot be read: {short_reason(error)}") from None
    except InputError as error:
        raise _Unusable(band, error.what) from None
    nodata = source.nodatavals[asset.band - 1]
    if is_mask:
        if data.dtype.kind not in "iu" or data.dtype.itemsize > 2:
            raise _Unusable(band, f"a quality band of type {data.dtype} cannot be looked up")
        if data.dtype.kind == "i":
            data = data.view(f"u{data.dtype.itemsize}")
    elif data.dtype.kind not in "iuf":
        raise _Unusable(band, f"values of type {data.dtype} cannot be decoded")
    return data.ravel(), placement, nodata


def parameters(dataset: Dataset) -> Mapping[str, Any]:
    """Return what of a dataset's record changes composites, for digests."""
    bands = {b: dataset.bands[b].model_dump(mode="json") for b in sensors.needed_bands(dataset)}
    return {
        "bands": bands,
        "mask": dataset.mask.model_dump(mode="json") if dataset.mask else None,
        "offset_rule": dataset.offset_rule,
        "versions": {"composite": VERSION, "warp": warp.VERSION},
    } | sensors.extra_parameters(dataset)
