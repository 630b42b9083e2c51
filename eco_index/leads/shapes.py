"""The shape of an object: footprint, point to go to, width, elongation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from rasterio import features
from scipy import ndimage

from eco_index.grid import Grid
from eco_index.leads.scan import Window

CGCS2000, WGS84 = "EPSG:4490", "EPSG:4326"


@dataclass(frozen=True)
class Shape:
    """Shape of an object on the grid.

    Attributes
    ----------
    footprint : shapely.Geometry
        Outline along the pixels' sides, grid CRS; its area is that of the pixels.
    x, y : float
        Centroid, m; where that lies outside the object, the centre of its nearest pixel.
    width_m : float
        Width of the widest place.
    elongation : float
        Longest extent squared over the area: 1.3 for a disc, 2 for a square, length over width
        for a straight strip.
    """

    footprint: shapely.Geometry
    x: float
    y: float
    width_m: float
    elongation: float


def shape_of(mask: np.ndarray, window: Window, grid: Grid) -> Shape:
    """Return the shape of an object given as a mask of a window of the grid."""
    res = grid.resolution
    transform = grid.transform @ Affine.translation(window[1].start, window[0].start)
    # Sides only: an outline through corners would touch itself and be invalid.
    parts = [
        shapely.geometry.shape(geometry)
        for geometry, _ in features.shapes(
            mask.astype(np.uint8), mask=mask, connectivity=4, transform=transform
        )
    ]
    footprint = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    rows, cols = np.nonzero(mask)
    left, top = transform.c, transform.f
    xs, ys = left + (cols + 0.5) * res, top - (rows + 0.5) * res
    x, y = float(xs.mean()), float(ys.mean())
    row, col = int((top - y) // res), int((x - left) // res)
    if not mask[row, col]:
        nearest = int(np.argmin((xs - x) ** 2 + (ys - y) ** 2))
        x, y = float(xs[nearest]), float(ys[nearest])
    depth = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard").max()
    hull = shapely.get_coordinates(shapely.convex_hull(footprint))
    extent2 = float(((hull[:, None] - hull[None]) ** 2).sum(axis=2).max())
    return Shape(
        footprint=shapely.normalize(footprint),
        x=round(x, 1),
        y=round(y, 1),
        width_m=round(float(2 * depth - 1) * res, 1),
        elongation=round(extent2 / (rows.size * res * res), 2),
    )


@lru_cache(maxsize=8)
def _to_degrees(crs_wkt: str) -> tuple[str, Transformer]:
    crs = CRS.from_wkt(crs_wkt)
    geodetic = crs.geodetic_crs
    datum = geodetic.datum if geodetic is not None else None
    chinese = datum is not None and "China" in datum.name
    target = CGCS2000 if chinese else WGS84
    return target, Transformer.from_crs(crs, target, always_xy=True)


def degrees_crs(crs_wkt: str) -> str:
    """Return the CRS of longitude and latitude: CGCS2000 for grids on it, else WGS 84."""
    return _to_degrees(crs_wkt)[0]


def lonlat(crs_wkt: str, x: float, y: float) -> tuple[float, float]:
    """Return longitude and latitude in degrees, to about 0.1 m."""
    lon, lat = _to_degrees(crs_wkt)[1].transform(x, y)
    return round(float(lon), 6), round(float(lat), 6)


def to_degrees(crs_wkt: str, geometry: shapely.Geometry) -> shapely.Geometry:
    """Return a geometry of the grid in degrees (see `degrees_crs`)."""
    transformer = _to_degrees(crs_wkt)[1]
    return shapely.transform(
        geometry, lambda a: np.column_stack(transformer.transform(a[:, 0], a[:, 1]))
    )
