"""The one grid of a region: equal-area CRS, pixels, tiles, and the only function for areas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer

from eco_index.errors import UsageError

# PROJ/EPSG names of the projections that keep areas.
EQUAL_AREA_METHODS = (
    "Albers Equal Area",
    "Lambert Azimuthal Equal Area",
    "Lambert Azimuthal Equal Area (Spherical)",
    "Lambert Cylindrical Equal Area",
    "Lambert Cylindrical Equal Area (Spherical)",
    "Sinusoidal",
    "Equal Earth",
    "Mollweide",
)


def require_equal_area(crs: CRS, where: str) -> CRS:
    """Return `crs` if areas measured in it are true; raise otherwise.

    Raises
    ------
    UsageError
        The CRS is geographic, or projected but not equal-area.
    """
    fix = "use an equal-area CRS, for China Albers with lat_1=25, lat_2=47, lon_0=105 on CGCS2000"
    if crs.is_geographic:
        raise UsageError(
            f"the CRS '{crs.name}' is geographic (degrees): areas cannot be measured in it",
            where=where,
            rule="one equal-area projected CRS in metres for each region",
            fix=fix,
        )
    operation = crs.coordinate_operation
    method = operation.method_name if operation is not None else "none"
    if method not in EQUAL_AREA_METHODS:
        raise UsageError(
            f"the CRS '{crs.name}' ({method}) does not keep areas",
            where=where,
            rule=f"one of: {', '.join(EQUAL_AREA_METHODS)}",
            fix=fix,
        )
    if any(axis.unit_conversion_factor != 1.0 for axis in crs.axis_info):
        raise UsageError(f"the CRS '{crs.name}' is not in metres", where=where, fix=fix)
    return crs


def area_m2(crs: CRS, n_pixels: float, resolution: float) -> float:
    """Return the area of `n_pixels` pixels in m2; refuses a CRS that does not keep areas."""
    require_equal_area(crs, "area of pixels")
    return float(n_pixels) * resolution * resolution


def polygon_area_m2(geometries: Any, crs: CRS) -> np.ndarray:
    """Return planar areas (m2) of shapely geometries; refuses a CRS that does not keep areas."""
    import shapely

    require_equal_area(crs, "area of polygons")
    return np.asarray(shapely.area(np.asarray(geometries, dtype=object)))


@lru_cache(maxsize=8)
def _to_lonlat(crs_wkt: str) -> Transformer:
    # Making a transformer takes about 0.1 s; a large region asks for the bounds of each tile.
    return Transformer.from_crs(CRS.from_wkt(crs_wkt), "EPSG:4326", always_xy=True)


@dataclass(frozen=True, order=True)
class Tile:
    """A rectangle of the grid, in pixels: rows ``y0:y1``, columns ``x0:x1``."""

    row: int
    col: int
    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def id(self) -> str:
        return f"r{self.row:03d}c{self.col:03d}"

    @property
    def shape(self) -> tuple[int, int]:
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


@dataclass(frozen=True)
class Grid:
    """The pixel grid of a region.

    Attributes
    ----------
    crs_wkt : str
        Equal-area CRS as WKT.
    resolution : float
        Pixel size in m.
    bounds : tuple of float
        xmin, ymin, xmax, ymax in m; multiples of the resolution apart.
    tile, chunk : int
        Write tile (= Zarr shard) and inner chunk, in pixels.
    """

    crs_wkt: str
    resolution: float
    bounds: tuple[float, float, float, float]
    tile_size: int
    chunk_size: int

    @cached_property
    def crs(self) -> CRS:
        return CRS.from_wkt(self.crs_wkt)

    @cached_property
    def shape(self) -> tuple[int, int]:
        xmin, ymin, xmax, ymax = self.bounds
        return round((ymax - ymin) / self.resolution), round((xmax - xmin) / self.resolution)

    @property
    def transform(self) -> Affine:
        return Affine(self.resolution, 0, self.bounds[0], 0, -self.resolution, self.bounds[3])

    @property
    def pixel_area_m2(self) -> float:
        return area_m2(self.crs, 1, self.resolution)

    def x(self) -> np.ndarray:
        """Pixel-centre eastings (m), shape (width,)."""
        return self.bounds[0] + (np.arange(self.shape[1]) + 0.5) * self.resolution

    def y(self) -> np.ndarray:
        """Pixel-centre northings (m), descending, shape (height,)."""
        return self.bounds[3] - (np.arange(self.shape[0]) + 0.5) * self.resolution

    def tiles(self) -> list[Tile]:
        """All write tiles, row by row; the last ones may be smaller."""
        return list(self._tiles())

    def _tiles(self) -> Iterator[Tile]:
        height, width = self.shape
        size = self.tile_size
        for row in range(math.ceil(height / size)):
            for col in range(math.ceil(width / size)):
                y0, x0 = row * size, col * size
                yield Tile(row, col, y0, min(y0 + size, height), x0, min(x0 + size, width))

    def padded(self, tile: Tile, halo: int) -> Tile:
        """Return `tile` grown by `halo` pixels, cut at the grid's edge."""
        height, width = self.shape
        return Tile(
            tile.row,
            tile.col,
            max(0, tile.y0 - halo),
            min(height, tile.y1 + halo),
            max(0, tile.x0 - halo),
            min(width, tile.x1 + halo),
        )

    def tile_transform(self, tile: Tile) -> Affine:
        return self.transform @ Affine.translation(tile.x0, tile.y0)

    def tile_bounds(self, tile: Tile) -> tuple[float, float, float, float]:
        """xmin, ymin, xmax, ymax of a tile in the grid's CRS."""
        xmin, ymax = self.bounds[0], self.bounds[3]
        res = self.resolution
        return (
            xmin + tile.x0 * res,
            ymax - tile.y1 * res,
            xmin + tile.x1 * res,
            ymax - tile.y0 * res,
        )

    def lonlat_bounds(
        self, bounds: tuple[float, float, float, float] | None = None
    ) -> tuple[float, float, float, float]:
        """West, south, east, north (degrees, WGS 84) of `bounds`, by default of the whole grid."""
        return _to_lonlat(self.crs_wkt).transform_bounds(*(bounds or self.bounds), densify_pts=21)

    def signature(self) -> dict[str, Any]:
        """What identifies the grid in digests and in the archive's template."""
        return {
            "crs": self.crs.to_wkt(),
            "resolution": self.resolution,
            "bounds": list(self.bounds),
            "tile": self.tile_size,
            "chunk": self.chunk_size,
        }
