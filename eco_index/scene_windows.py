"""The parts of a scene's files that lie under a tile: read, placed, with the mask's rims grown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.errors import RasterioError
from rasterio.windows import Window

from eco_index import kernel_masks, sensors, warp
from eco_index.catalog import Dataset
from eco_index.compositing import Dilation
from eco_index.errors import EcoError, InputError
from eco_index.grid import Grid, Tile
from eco_index.sources.opening import crs_wkt, open_asset, read_asset
from eco_index.sources.raster import give_back, short_reason
from eco_index.sources.scene import Asset, Scene

# Codes as they are: the look-up table of a mask that was looked up already.
_IDENTITY = np.minimum(np.arange(65536), sensors.BAD).astype(np.uint8)
_IDENTITY.setflags(write=False)


class Unusable(Exception):
    """An asset that cannot be used (internal: becomes an AssetFailure)."""

    def __init__(self, asset: str, reason: str) -> None:
        self.asset, self.reason = asset, reason
        super().__init__(reason)


@dataclass(frozen=True)
class Layer:
    """Window of a band.

    Attributes
    ----------
    data : ndarray, 1-d
        Stored values, flat.
    place : Placement
    decode : Decode
    """

    data: np.ndarray
    place: warp.Placement
    decode: sensors.Decode


@dataclass(frozen=True)
class SceneWindows:
    """What a scene has under a tile.

    Attributes
    ----------
    qa : ndarray, 1-d
        Quality band as stored or, where rims were grown, codes.
    qa_place : Placement
    lut : uint8[65536]
        Code of every value of `qa`.
    bands : dict of Layer
        Everything else that was asked for; empty where no pixel of the quality band is clear: then
        nothing else is read.
    cloud_distance2 : int32, 1-d, or None
        Squared distance to the next cloud or shadow, pixels of the quality band, if asked for.
    qa_pixel_m : float
        Size of a pixel of the quality band.
    """

    qa: np.ndarray
    qa_place: warp.Placement
    lut: np.ndarray
    bands: dict[str, Layer]
    cloud_distance2: np.ndarray | None
    qa_pixel_m: float


def read_scene(
    scene: Scene,
    dataset: Dataset,
    grid: Grid,
    tile: Tile,
    dilation: Dilation | None = None,
    distance_m: float = 0.0,
) -> SceneWindows | None:
    """Read what a scene has under a tile; None where it has nothing.

    Parameters
    ----------
    scene, dataset, grid, tile
        What is read, how, and where.
    dilation : Dilation, optional
        Rims of clouds and shadows, grown on the quality band's own pixels. A halo of that width is
        read around the window, so results do not depend on the tile.
    distance_m : float
        Distances to clouds are wanted up to that many metres (0: not wanted).

    Raises
    ------
    Unusable
        An asset is missing, unreadable, or cannot be decoded safely.
    """
    try:
        return _read_scene(scene, dataset, grid, tile, dilation, distance_m)
    finally:
        give_back()


def _read_scene(
    scene: Scene,
    dataset: Dataset,
    grid: Grid,
    tile: Tile,
    dilation: Dilation | None,
    distance_m: float,
) -> SceneWindows | None:
    assert dataset.mask is not None  # the catalogue refuses imagery without mask
    mask_band = dataset.mask.band
    # The mask first: where it has nothing to say about the tile, or nothing is clear, nothing else
    # is read. Overcast scenes are many, and the mask is the smallest of the files.
    mask, *others = reversed(sensors.needed_bands(dataset))
    assert mask == mask_band
    asset, decode = _asset(scene, dataset, mask)
    source = _open(asset, mask, dataset)
    placement = _place(source, mask, grid, tile, nearest=True)
    if placement is None:
        return None
    size = math.nan
    reach_cloud = reach_shadow = cap = 0.0
    if dilation or distance_m > 0:
        size = warp.source_pixel_m(
            source.transform, source.width, source.height, crs_wkt(source), grid
        )
        if not size > 0:
            raise Unusable(mask, "the size of its pixels on the ground is not known")
        if dilation:
            unit = size if dilation.unit == "metres" else 1.0
            reach_cloud, reach_shadow = dilation.cloud / unit, dilation.shadow / unit
        cap = distance_m / size
    halo = math.floor(max(reach_cloud, reach_shadow, math.ceil(cap)) + 1e-9)
    window = _grown(placement.window, halo, source.width, source.height)
    qa = _quality(_read(source, asset, mask, dataset, window), mask)
    lut = quality_lut(dataset, _nodata(decode, source, asset), qa.dtype)
    distance = None
    if halo:
        codes = lut[qa]
        if distance_m > 0:
            distance = kernel_masks.squared_distance(
                codes, sensors.CLOUD, sensors.SHADOW, math.ceil(cap)
            )
            distance = _cut(distance, window, placement.window)
        _grow(codes, reach_cloud, sensors.CLOUD)
        _grow(codes, reach_shadow, sensors.SHADOW)
        qa, lut = _cut(codes, window, placement.window), _IDENTITY
    flat = None if distance is None else distance.ravel()
    bands: dict[str, Layer] = {}
    if not kernel_masks.any_code(qa.ravel(), lut, sensors.CLEAR):
        return SceneWindows(qa.ravel(), placement, lut, bands, flat, size)
    for band in others:
        asset, decode = _asset(scene, dataset, band)
        source = _open(asset, band, dataset)
        place = _place(source, band, grid, tile, nearest=False)
        if place is None:
            return None
        data = _read(source, asset, band, dataset, place.window)
        if data.dtype.kind not in "iuf":
            raise Unusable(band, f"values of type {data.dtype} cannot be decoded")
        bands[band] = Layer(
            data.ravel(), place, _with_nodata(decode, _nodata(decode, source, asset))
        )
    return SceneWindows(qa.ravel(), placement, lut, bands, flat, size)


def quality_lut(dataset: Dataset, nodata: float, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the codes of all values of a quality band, its no-data value marked as a gap.

    Signed bands are looked up by their bits: -1 of an int16 band is 65535, of an int8 band 255.
    """
    assert dataset.mask is not None
    lut = sensors.mask_lut(dataset.mask.recipe, dataset.mask.version)
    values = 1 << (8 * dtype.itemsize)
    if -(values // 2) <= nodata < values and nodata == int(nodata):
        place = int(nodata) % values
        if lut[place] != sensors.FILL:
            lut = lut.copy()
            lut[place] = sensors.FILL
    return lut


def _asset(scene: Scene, dataset: Dataset, band: str) -> tuple[Asset, sensors.Decode]:
    if band not in scene.assets:
        raise Unusable(band, f"band {band} missing: scene has {', '.join(scene.assets)}")
    try:
        return scene.assets[band], sensors.decode_of(dataset, band, scene.properties)
    except EcoError as error:
        raise Unusable(band, error.what) from None


def _open(asset: Asset, band: str, dataset: Dataset) -> Any:
    try:
        source = open_asset(asset.href, dataset)
    except (RasterioError, OSError) as error:
        raise Unusable(band, f"cannot be opened: {short_reason(error)}") from None
    except InputError as error:
        raise Unusable(band, error.what) from None
    if source.crs is None:
        raise Unusable(band, "the file has no CRS")
    if asset.band > source.count:
        raise Unusable(band, f"the file has {source.count} band(s), not {asset.band}")
    return source


def _place(source: Any, band: str, grid: Grid, tile: Tile, nearest: bool) -> warp.Placement | None:
    return warp.place_raster(grid, tile, source, crs_wkt(source), nearest=nearest)


def _read(source: Any, asset: Asset, band: str, dataset: Dataset, window: Window) -> np.ndarray:
    try:
        return read_asset(source, asset.href, asset.band, window, dataset)
    except (RasterioError, OSError) as error:
        raise Unusable(band, f"cannot be read: {short_reason(error)}") from None
    except InputError as error:
        raise Unusable(band, error.what) from None


def _nodata(decode: sensors.Decode, source: Any, asset: Asset) -> float:
    """Return the catalogue's no-data value or, where it gives none, the file's own."""
    header = source.nodatavals[asset.band - 1]
    if header is None or decode.nodata == decode.nodata:
        return decode.nodata
    return float(header)


def _with_nodata(decode: sensors.Decode, nodata: float) -> sensors.Decode:
    return sensors.Decode(decode.scale, decode.offset, nodata, decode.valid_min, decode.valid_max)


def _quality(data: np.ndarray, band: str) -> np.ndarray:
    if data.dtype.kind not in "iu" or data.dtype.itemsize > 2:
        raise Unusable(band, f"a quality band of type {data.dtype} cannot be looked up")
    return data.view(f"u{data.dtype.itemsize}")


def _grown(window: Window, halo: int, width: int, height: int) -> Window:
    x0, y0 = max(0, window.col_off - halo), max(0, window.row_off - halo)
    x1 = min(width, window.col_off + window.width + halo)
    y1 = min(height, window.row_off + window.height + halo)
    return Window(x0, y0, x1 - x0, y1 - y0)


def _cut(data: np.ndarray, window: Window, inner: Window) -> np.ndarray:
    y, x = inner.row_off - window.row_off, inner.col_off - window.col_off
    return np.ascontiguousarray(data[y : y + inner.height, x : x + inner.width])


def _grow(codes: np.ndarray, reach: float, code: int) -> None:
    cap = math.floor(reach + 1e-9)
    if cap > 0:
        distance = kernel_masks.squared_distance(codes, code, code, cap)
        kernel_masks.mark_near(codes, distance, reach * reach * (1 + 1e-9), code)
