"""Maps and vectors that are laid under the imagery: land cover codes, rivers, sandy land."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rasterio.errors import RasterioError

from eco_index import kernel_values, kernels, warp
from eco_index.catalog import Catalog, Dataset, RasterFile, VectorFile
from eco_index.errors import InputError, UsageError
from eco_index.grid import Grid, Tile
from eco_index.sources.preflight import checksum_of
from eco_index.sources.raster import (
    crs_wkt,
    forget,
    give_back,
    open_kept,
    raster_env,
    short_reason,
)

OUTSIDE = -1  # code of pixels that the map does not cover
WIDTH_COLUMN = "width_m"  # of river lines: width of the water, metres


def raster_path(catalog: Catalog, dataset_id: str, year: int, wanted_by: str) -> Path:
    """Return the existing file of a raster layer for a year.

    Raises
    ------
    UsageError
        The dataset is no raster layer.
    InputError
        The file is missing.
    """
    return _path(catalog, dataset_id, year, wanted_by, RasterFile)


def vector_path(catalog: Catalog, dataset_id: str, year: int, wanted_by: str) -> Path:
    """Return the existing file of a vector layer; errors as in `raster_path`."""
    if getattr(catalog.get(dataset_id, wanted_by).access, "datum", None) == "gcj02":
        raise UsageError(
            f"dataset '{dataset_id}' has the datum gcj02, which is converted for zone layers only",
            where=f"{catalog.path} (wanted by {wanted_by})",
            fix="convert the file to WGS 84 or CGCS2000 and take the datum out",
        )
    return _path(catalog, dataset_id, year, wanted_by, VectorFile)


def _path(catalog: Catalog, dataset_id: str, year: int, wanted_by: str, kind: type) -> Path:
    access = catalog.get(dataset_id, wanted_by).access
    if not isinstance(access, kind):
        raise UsageError(
            f"dataset '{dataset_id}' has access type {access.type}",
            where=f"{catalog.path} (wanted by {wanted_by})",
            rule=f"{kind.model_fields['type'].default} is needed here",  # type: ignore[attr-defined]
        )
    path = catalog.path_of(dataset_id, wanted_by, year)
    if not path.is_file():
        raise InputError(
            f"the file of dataset '{dataset_id}' is missing: {path}",
            where=f"{catalog.path} (wanted by {wanted_by}, year {year})",
            fix="put the file there or correct 'access.path' in the catalogue",
        )
    return path


def receipt(path: Path, dataset_id: str, whole: bool) -> dict[str, Any]:
    """Return what identifies a file wherever it lies: dataset, size, digest of its content.

    Parameters
    ----------
    path : Path
        The file.
    dataset_id : str
        Its entry in the catalogue.
    whole : bool
        Digest of all bytes (vectors), or of size and both ends (rasters).
    """
    status = path.stat()
    checksum = _checksum(path, status.st_mtime_ns, status.st_size, whole)
    return {"dataset": dataset_id, "size": status.st_size, "checksum": checksum}


@lru_cache(maxsize=64)
def _checksum(path: Path, _mtime: int, _size: int, whole: bool) -> str:
    if not whole:
        return checksum_of(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return f"blake2b:{digest.hexdigest()}"


def read_codes(path: Path, grid: Grid, tile: Tile) -> np.ndarray:
    """Return the codes of a class map on a tile, by the nearest source pixel.

    Returns
    -------
    int32[h, w]
        Codes as stored; -1 where the map has nothing.

    Raises
    ------
    InputError
        The file cannot be read, has no CRS, or holds no integers.
    """
    out = np.full(tile.shape, OUTSIDE, np.int32)
    data, placement, _ = _read_window(path, grid, tile, "class map")
    if data is None:
        return out
    if data.dtype.kind not in "iu":
        raise InputError(f"the class map holds {data.dtype}, not whole numbers", where=str(path))
    kernels.gather_nearest(
        tile.y0, tile.x0, data.ravel().astype(np.int32), placement.as_tuple(), OUTSIDE, out
    )
    return out


def read_values(path: Path, dataset: Dataset, grid: Grid, tile: Tile) -> np.ndarray:
    """Return a map of numbers on a tile, by the nearest source pixel.

    Parameters
    ----------
    path : Path
        The file.
    dataset : Dataset
        Its entry in the catalogue: `scale`, `offset` and `nodata` (of the stored values).
    grid, tile : Grid, Tile
        Where.

    Returns
    -------
    float32[h, w]
        Physical values; NaN where the map has nothing.

    Raises
    ------
    InputError
        The file cannot be read or has no CRS.
    """
    out = np.full(tile.shape, np.nan, np.float32)
    data, placement, own = _read_window(path, grid, tile, "map")
    if data is None:
        return out
    values = _physical(data, dataset, own)
    kernels.gather_nearest(
        tile.y0, tile.x0, values.ravel().astype(np.float32), placement.as_tuple(), np.nan, out
    )
    return out


def read_surface(path: Path, dataset: Dataset, grid: Grid, tile: Tile) -> np.ndarray:
    """Return a smooth map (elevation) on a tile: bilinear, or the mean of much finer pixels.

    The nearest pixel would make steps of a coarser map, and slopes of the steps. Parameters and
    errors as in `read_values`; the tile may reach beyond the grid.

    Returns
    -------
    float64[h, w]
        Physical values; NaN where one of the source pixels is missing.
    """
    out = np.full(tile.shape, np.nan)
    data, placement, own = _read_window(path, grid, tile, "map", nearest=False)
    if data is None:
        return out
    values = _physical(data, dataset, own)
    kernel_values.gather_smooth(tile.y0, tile.x0, values.ravel(), placement.as_tuple(), out)
    return out


def _physical(data: np.ndarray, dataset: Dataset, own: float | None) -> np.ndarray:
    values: np.ndarray = data.astype(np.float64) * dataset.scale + dataset.offset
    for nodata in (dataset.nodata, own):
        if nodata is not None:
            code = data.dtype.type(nodata) if data.dtype.kind == "f" else nodata
            values[data == code] = np.nan
    return values


def _read_window(
    path: Path, grid: Grid, tile: Tile, kind: str, nearest: bool = True
) -> tuple[Any, Any, Any]:
    """Return the part of a raster under a tile, where it lies, its own no-data; beyond it None."""
    with raster_env():
        try:
            source = open_kept(str(path))
            if source.crs is None:
                raise InputError(f"the {kind} has no CRS", where=str(path))
            placement = warp.place_raster(grid, tile, source, crs_wkt(source), nearest)
            if placement is None:
                return None, None, None
            return source.read(1, window=placement.window), placement, source.nodata
        except (RasterioError, OSError) as error:
            forget(str(path))
            raise InputError(
                f"the {kind} cannot be read: {short_reason(error)}", where=str(path)
            ) from None
        finally:
            give_back()


def near_rivers(
    path: Path, layer: str | None, grid: Grid, tile: Tile, where: np.ndarray
) -> np.ndarray:
    """Return which pixels of `where` lie in a river.

    A pixel does when its centre is at most one pixel from a river line, or from the banks where
    the layer has a column ``width_m``. Exact for every pixel, whatever the tile.

    Parameters
    ----------
    path : Path
        Vector file of lines or polygons.
    layer : str or None
        Layer of the file.
    grid : Grid
        The region's grid.
    tile : Tile
        Part of it.
    where : bool[h, w]
        Pixels asked for (those that are water).

    Returns
    -------
    bool[h, w]
    """
    return _hit(_layer(path, layer, grid, True), grid, tile, where, grid.resolution)


def inside(path: Path, layer: str | None, grid: Grid, tile: Tile, where: np.ndarray) -> np.ndarray:
    """Return which pixels of `where` have their centre inside a polygon (or on its edge)."""
    return _hit(_layer(path, layer, grid, False), grid, tile, where, 0.0)


def zone_numbers(
    path: Path, layer: str | None, column: str, grid: Grid, tile: Tile
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return which polygon each pixel centre lies in, and the ids of all polygons.

    Returns
    -------
    numbers : int32[h, w]
        0 for none, k for the k-th polygon; where polygons overlap, the first. The same for any
        tile.
    ids : tuple of str
        Values of `column`, in the order of the file.

    Raises
    ------
    InputError
        The layer has no such column, or the file cannot be read.
    """
    status = path.stat()
    shapes, ids = _read_zones(path, layer, column, grid.crs_wkt, status.st_mtime_ns, status.st_size)
    out = np.zeros(tile.shape, np.int32)
    x, y = grid.x()[tile.x0 : tile.x1], grid.y()[tile.y0 : tile.y1]
    for number, shape in enumerate(shapes, 1):
        west, south, east, north = shape.bounds
        rows = np.flatnonzero((y >= south) & (y <= north))
        cols = np.flatnonzero((x >= west) & (x <= east))
        if not rows.size or not cols.size:
            continue
        part = (slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
        free = out[part] == 0
        r, c = np.nonzero(free)
        hit = shapely.intersects_xy(shape, x[part[1]][c], y[part[0]][r])
        out[part][r[hit], c[hit]] = number
    return out, ids


@lru_cache(maxsize=4)
def _read_zones(
    path: Path, layer: str | None, column: str, crs: str, _mtime: int, _size: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    from eco_index.vectors import read_vector

    frame = read_vector(path, layer, str(path)).to_crs(crs)
    if column not in frame:
        columns = ", ".join(str(c) for c in frame.columns)
        raise InputError(
            f"the layer has no column '{column}'", where=str(path), rule=f"columns: {columns}"
        )
    shapes = shapely.make_valid(np.asarray(frame.geometry, dtype=object))
    shapely.prepare(shapes)
    return shapes, tuple(str(v) for v in frame[column])


def _hit(
    geometries: np.ndarray, grid: Grid, tile: Tile, where: np.ndarray, distance: float
) -> np.ndarray:
    out = np.zeros(where.shape, bool)
    rows, cols = np.nonzero(where)
    if not rows.size:
        return out
    x, y = grid.x()[tile.x0 : tile.x1][cols], grid.y()[tile.y0 : tile.y1][rows]
    for geometry in geometries:
        west, south, east, north = geometry.bounds
        near = (x >= west - distance) & (x <= east + distance)
        near &= (y >= south - distance) & (y <= north + distance)
        at = np.flatnonzero(near)
        if not at.size:
            continue
        points = shapely.points(x[at], y[at])
        if distance > 0:
            hit = shapely.dwithin(geometry, points, distance)
        else:
            hit = shapely.intersects(geometry, points)
        out[rows[at[hit]], cols[at[hit]]] = True
    return out


def _layer(path: Path, layer: str | None, grid: Grid, widths: bool) -> np.ndarray:
    status = path.stat()
    return _read_layer(path, layer, grid.crs_wkt, widths, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _read_layer(
    path: Path, layer: str | None, crs: str, widths: bool, _mtime: int, _size: int
) -> np.ndarray:
    """Return prepared geometries on the grid's CRS, in parts (so that far ones are skipped)."""
    # Imported here: 100 MiB that a run without vectors under its imagery does not need.
    import geopandas as gpd

    from eco_index.vectors import read_vector

    frame = read_vector(path, layer, str(path)).to_crs(crs)
    shapes = frame.geometry
    if widths and WIDTH_COLUMN in frame:
        half = frame[WIDTH_COLUMN].fillna(0).to_numpy(float) / 2
        shapes = gpd.GeoSeries(
            [g.buffer(h) if h > 0 else g for g, h in zip(shapes, half, strict=True)]
        )
    parts = shapely.get_parts(shapely.make_valid(np.asarray(shapes, dtype=object)))
    parts = parts[~shapely.is_empty(parts)]
    if not np.isfinite(shapely.bounds(parts)).all():
        raise InputError(
            "geometries have no place on the region's grid",
            where=str(path),
            fix="check the layer's CRS and coordinates",
        )
    shapely.prepare(parts)
    return parts
