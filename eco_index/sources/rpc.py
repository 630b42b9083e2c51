"""Scenes that have rational polynomial coefficients only, put on the lattice of the grid.

The output pixels are those of the region's grid, or n x n of them in each where the scene is
finer, so that everything after it reads them without another resampling. Each output pixel's
longitude and latitude are exact at every 16th pixel and linear between (as elsewhere); its height
is one number or that of a DEM; the polynomials are evaluated for each pixel.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.crs import CRS as RasterCrs
from rasterio.windows import Window

from eco_index.catalog import Dataset
from eco_index.errors import InputError
from eco_index.grid import Grid
from eco_index.sources import rpc_kernels
from eco_index.sources.address import Derived
from eco_index.sources.opening import open_asset

_STEP = 16  # output pixels between exact positions
_SNAP = 1e-5  # source pixels
_LONLAT = CRS.from_epsg(4326)


@lru_cache(maxsize=32)
def _transformer(from_wkt: str, to: str) -> Transformer:
    return Transformer.from_crs(CRS.from_wkt(from_wkt), CRS.from_user_input(to), always_xy=True)


@dataclass(frozen=True)
class Rpc:
    """Rational polynomial coefficients (RPC00B).

    Attributes
    ----------
    norm : list of float
        Offset and scale of line, sample, latitude, longitude, height.
    poly : list of list of float
        Numerator and denominator of line, then of sample: 20 terms each.
    error_m : float or None
        Bias that the producer states, metres.
    """

    norm: list[float]
    poly: list[list[float]]
    error_m: float | None = None

    def positions(self, lon: Any, lat: Any, height: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return image column and row of ground points (centre of the first pixel: 0.5, 0.5)."""
        lon, lat, height = np.broadcast_arrays(*(np.asarray(a, float) for a in (lon, lat, height)))
        shape = lon.shape
        x, y, z = (np.ascontiguousarray(a).ravel() for a in (lon, lat, height))
        u, v = np.empty(x.size), np.empty(x.size)
        rpc_kernels.image_positions(x, y, z, np.array(self.norm), np.array(self.poly), u, v)
        return u.reshape(shape), v.reshape(shape)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


_NORM = ("line", "samp", "lat", "long", "height")
_POLY = ("lineNumCoef", "lineDenCoef", "sampNumCoef", "sampDenCoef")


def read_rpb(path: Path) -> Rpc:
    """Read an RPC file: ``.rpb`` (``lineOffset = 1;``) or ``_RPC.TXT`` (``LINE_OFF: 1``).

    Raises
    ------
    InputError
        A coefficient is missing or no number.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    names = {f"{n}{part}": f"{n}{part}" for n in _NORM for part in ("Offset", "Scale")}
    try:
        if re.search(r"lineOffset\s*=", text):
            pairs = dict(re.findall(r"(\w+)\s*=\s*(\([^)]*\)|[^;\n]+);?", text))
            norm = [_number(pairs[names[f"{n}{p}"]]) for n in _NORM for p in ("Offset", "Scale")]
            poly = [[_number(t) for t in pairs[key].strip("() \n").split(",")] for key in _POLY]
            stated = pairs.get("errBias")
        else:
            pairs = dict(re.findall(r"(\w+)\s*:\s*(\S+)", text))
            norm = [_number(pairs[f"{n.upper()}_{p}"]) for n in _NORM for p in ("OFF", "SCALE")]
            keys = [f"{n}_{p}_COEFF" for n in ("LINE", "SAMP") for p in ("NUM", "DEN")]
            poly = [[_number(pairs[f"{key}_{i}"]) for i in range(1, 21)] for key in keys]
            stated = pairs.get("ERR_BIAS")
        if any(len(row) != 20 for row in poly):
            raise ValueError("a polynomial has not 20 terms")
    except (KeyError, ValueError) as error:
        raise InputError(f"the RPC file {path.name} cannot be read: {error}") from None
    error_m = _number(stated) if stated and _number(stated) > 0 else None
    return Rpc(norm, poly, error_m)


def _number(text: str) -> float:
    value = float(text.strip().strip('"'))
    if not math.isfinite(value):
        raise ValueError(f"'{text}' is no number")
    return value


def footprint(rpc: Rpc, width: int, height: int, heights: tuple[float, float]) -> Any:
    """Return west, south, east, north (degrees) that enclose an image, by the polynomials.

    A net of points over the range of validity; what falls inside the image, and a mesh more.
    """
    norm = rpc.norm
    lon = norm[6] + norm[7] * np.linspace(-1.3, 1.3, 105)
    lat = norm[4] + norm[5] * np.linspace(-1.3, 1.3, 105)
    xs, ys = np.meshgrid(lon, lat)
    inside = np.zeros(xs.shape, bool)
    for h in heights:
        u, v = rpc.positions(xs, ys, h)
        inside |= (u >= 0) & (v >= 0) & (u <= width) & (v <= height)
    if not inside.any():
        raise InputError("the RPC place no ground point inside the image")
    dx, dy = lon[1] - lon[0], lat[1] - lat[0]
    return (
        float(xs[inside].min() - dx),
        float(ys[inside].min() - dy),
        float(xs[inside].max() + dx),
        float(ys[inside].max() + dy),
    )


def shift_per_metre(rpc: Rpc, pixel_m: float) -> float:
    """Return by how many metres a point moves where its height is wrong by one metre."""
    norm = rpc.norm
    u, v = rpc.positions([norm[6]] * 2, [norm[4]] * 2, [norm[8], norm[8] + 1.0])
    return float(math.hypot(u[1] - u[0], v[1] - v[0]) * pixel_m)


def lattice_options(
    rpc: Rpc, grid: Grid, width: int, height: int, pixel_m: float, heights: tuple[float, float]
) -> dict[str, Any]:
    """Return the options of an ``eco+rpc`` address: the output raster on the grid's lattice.

    Raises
    ------
    InputError
        The scene has no place in the grid's CRS.
    """
    west, south, east, north = footprint(rpc, width, height, heights)
    to_grid = Transformer.from_crs(_LONLAT, grid.crs, always_xy=True)
    edge, one = np.linspace(0, 1, 21), np.ones(21)
    along_x, along_y = west + (east - west) * edge, south + (north - south) * edge
    lons = np.concatenate([along_x, along_x, west * one, east * one])
    lats = np.concatenate([south * one, north * one, along_y, along_y])
    x, y = to_grid.transform(lons, lats)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("the scene has no place in the grid's coordinate system")
    n = max(1, round(grid.resolution / pixel_m)) if grid.resolution / pixel_m >= 1.98 else 1
    size = grid.resolution / n
    col0 = math.floor((x.min() - grid.bounds[0]) / grid.resolution) * n
    col1 = math.ceil((x.max() - grid.bounds[0]) / grid.resolution) * n
    row0 = math.floor((grid.bounds[3] - y.max()) / grid.resolution) * n
    row1 = math.ceil((grid.bounds[3] - y.min()) / grid.resolution) * n
    # Only what lies under the grid: a scene reaches far beyond a small region.
    rows, cols = (n * s for s in grid.shape)
    col0, col1 = max(col0, 0), min(col1, cols)
    row0, row1 = max(row0, 0), min(row1, rows)
    if col0 >= col1 or row0 >= row1:
        raise InputError("the scene does not touch the grid")
    return {
        "rpc": rpc.to_dict(),
        "crs": grid.crs_wkt,
        "size": size,
        "corner": [grid.bounds[0], grid.bounds[3]],
        "window": [row0, col0, row1 - row0, col1 - col0],
    }


class _Last(threading.local):
    """Positions of the window that a thread has read last: the bands of a scene share them."""

    key: Any = None
    dem: Any = None
    positions: tuple[np.ndarray, np.ndarray]


_last = _Last()


class RpcRaster:
    """An image behind its RPC, read as if it lay on the lattice.

    The address has the image as first part and a DEM as second, if there is one. Its options are
    those of `lattice_options`; ``height`` without DEM; ``nearest`` and ``fill`` for masks (the
    value of pixels without a source); ``nodata`` for bands.
    """

    def __init__(self, address: Derived, dataset: Dataset) -> None:
        o = address.options
        self.options = o
        self.source = open_asset(address.parts[0].href, dataset)
        self.band = address.parts[0].band
        if self.band > self.source.count:
            raise InputError(f"the file has {self.source.count} band(s), not {self.band}")
        self.rpc = Rpc(o["rpc"]["norm"], o["rpc"]["poly"], o["rpc"]["error_m"])
        self.row0, self.col0, self.height, self.width = o["window"]
        x, y = o["corner"]
        size = o["size"]
        self.transform = Affine(size, 0.0, x + self.col0 * size, 0.0, -size, y - self.row0 * size)
        self.crs = RasterCrs.from_wkt(o["crs"])
        dem = address.parts[1:]
        self.dem = open_asset(dem[0].href, dataset) if dem else None
        self.count = 1
        self.nodatavals: tuple[float | None, ...] = (None,)

    def _ground(
        self, rows: np.ndarray, cols: np.ndarray, crs: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y in a CRS of lattice pixels: exact at nodes, linear between."""
        x0, y0 = self.options["corner"]
        size = self.options["size"]
        node_rows = np.arange(rows[0] // _STEP, rows[-1] // _STEP + 2)
        node_cols = np.arange(cols[0] // _STEP, cols[-1] // _STEP + 2)
        xx, yy = np.meshgrid(
            x0 + (node_cols * _STEP + 0.5) * size, y0 - (node_rows * _STEP + 0.5) * size
        )
        to = _transformer(self.options["crs"], crs)
        out = []
        i, fy = rows // _STEP - node_rows[0], ((rows % _STEP) / _STEP)[:, None]
        j, fx = cols // _STEP - node_cols[0], ((cols % _STEP) / _STEP)[None, :]
        for nodes in to.transform(xx, yy):
            left = nodes[i] + (nodes[i + 1] - nodes[i]) * fy
            out.append(left[:, j] + (left[:, j + 1] - left[:, j]) * fx)
        return out[0], out[1]

    def _positions(self, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return image columns and rows; those of the last window are kept for the next band."""
        o = self.options
        window = (rows[0], rows.size, cols[0], cols.size)
        key = (window, o["corner"], o["size"], o["crs"], o["rpc"], o.get("height"))
        if _last.dem is self.dem and _last.key == key:
            return _last.positions
        lon, lat = self._ground(rows, cols, "EPSG:4326")
        found = self.rpc.positions(lon, lat, self._heights(rows, cols))
        _last.key, _last.dem, _last.positions = key, self.dem, found
        return found

    def _heights(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        shape = (rows.size, cols.size)
        if self.dem is None:
            return np.full(shape, float(self.options["height"]))
        x, y = self._ground(rows, cols, self.dem.crs.to_wkt())
        inverse = ~self.dem.transform
        u = inverse.a * x + inverse.b * y + inverse.c
        v = inverse.d * x + inverse.e * y + inverse.f
        out = np.full(shape, np.nan)
        nodata = self.dem.nodatavals[0]
        _sample(self.dem, 1, u, v, math.nan if nodata is None else float(nodata), out)
        return out

    def read(self, band: int, window: Window | None = None) -> np.ndarray:
        """Return stored values as float64 (bands, NaN where missing), or those of a mask."""
        w = window or Window(0, 0, self.width, self.height)
        rows = self.row0 + np.arange(int(w.row_off), int(w.row_off + w.height))
        cols = self.col0 + np.arange(int(w.col_off), int(w.col_off + w.width))
        u, v = self._positions(rows, cols)
        if self.options["nearest"]:
            first = self.source.read(self.band, window=Window(0, 0, 1, 1))
            out = np.full(u.shape, self.options["fill"], first.dtype)
            _sample(self.source, self.band, u, v, math.nan, out)
            return out
        values = np.full(u.shape, np.nan)
        nodata = self.options.get("nodata")
        _sample(self.source, self.band, u, v, math.nan if nodata is None else nodata, values)
        return values


def _sample(
    source: Any, band: int, u: np.ndarray, v: np.ndarray, nodata: float, out: np.ndarray
) -> None:
    """Fill `out` from the part of a raster that positions need; untouched where there is none."""
    known = np.isfinite(u) & np.isfinite(v)
    known &= (u > -1) & (v > -1) & (u < source.width + 1) & (v < source.height + 1)
    if not known.any():
        return
    x0 = max(0, math.floor(u[known].min()) - 1)
    y0 = max(0, math.floor(v[known].min()) - 1)
    x1 = min(source.width, math.ceil(u[known].max()) + 2)
    y1 = min(source.height, math.ceil(v[known].max()) + 2)
    if x0 >= x1 or y0 >= y1:
        return
    data = source.read(band, window=Window(x0, y0, x1 - x0, y1 - y0))
    flat = out.reshape(-1)
    if out.dtype.kind == "f":
        rpc_kernels.bilinear(data, x0, y0, u.ravel(), v.ravel(), nodata, _SNAP, flat)
    else:
        rpc_kernels.nearest(data, x0, y0, u.ravel(), v.ravel(), int(out.flat[0]), flat)
