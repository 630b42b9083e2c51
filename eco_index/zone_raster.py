"""Zones on the grid: which pixels of a tile belong to them, by pixel centres or exact shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numba import njit

from eco_index.coverage_kernels import cover
from eco_index.grid import Grid, Tile
from eco_index.shares import WHOLE, PixelShares
from eco_index.zones import ZoneLayer

#: Version of the pixel rule; part of every assessment's digest.
ZONES_VERSION = 1


@dataclass(frozen=True)
class ZonePixels:
    """Pixels of a tile that belong to zones.

    Attributes
    ----------
    ids : numpy.ndarray
        int32, shape of the tile: 0 for no zone, k for zone number k - 1, with the whole pixel.
    shares : PixelShares
        Pixels of which zones get a share; empty under the pixel-centre rule.
    """

    ids: np.ndarray
    shares: PixelShares

    def any(self) -> bool:
        """Tell whether any zone has a pixel here."""
        return bool(len(self.shares)) or bool(self.ids.any())

    @cached_property
    def inside(self) -> np.ndarray:
        """Pixels that any zone has whole or in part, boolean, shape of the tile."""
        found = self.ids > 0
        found.reshape(-1)[self.shares.at] = True
        return found


def together(drawn: Sequence[ZonePixels]) -> ZonePixels:
    """Return the pixels of all zones as those of one: where zones overlap they count once.

    Shares of a pixel that several zones have are added, to at most the whole pixel.
    """
    ids = np.logical_or.reduce([d.ids > 0 for d in drawn]).astype(np.int32)
    at = np.concatenate([d.shares.at for d in drawn])
    share = np.concatenate([d.shares.share for d in drawn])
    free = ids.reshape(-1)[at] == 0
    place, index = np.unique(at[free], return_inverse=True)
    total = np.zeros(place.size, np.int64)
    np.add.at(total, index, share[free])
    return ZonePixels(
        ids, PixelShares(np.zeros(place.size, np.int64), place, np.minimum(total, WHOLE))
    )


def zone_pixels(layer: ZoneLayer, grid: Grid, tile: Tile, sheet: int = 0) -> ZonePixels:
    """Return the pixels of a tile that belong to the layer's zones, by the layer's own rule.

    Zones that `layer.exact` marks get the share of each pixel that they cover: areas add up to
    those of the polygons. The others get pixels whose centre they hold, as `zone_ids` does.

    Parameters
    ----------
    layer, grid, tile, sheet
        As in `zone_ids`.

    Returns
    -------
    ZonePixels

    Notes
    -----
    Shares are exact but for the rounding of coordinates (2^-36 of a pixel) and do not depend on the
    tile. Shares of zones that meet without gap or overlap add to exactly one.
    """
    edges, signs, starts, near = _near(layer, grid, tile, sheet)
    ids = np.zeros(tile.shape, dtype=np.int32)
    _burn(edges, starts, np.flatnonzero(near & ~layer.exact), tile.y0, tile.x0, ids)
    exact = np.flatnonzero(near & layer.exact)
    room = 1024 if exact.size else 0
    while True:
        drawn = ids.copy() if exact.size else ids
        lists = [np.empty(room, np.int64) for _ in range(3)]
        n = cover(edges, signs, starts, exact, tile.y0, tile.x0, drawn, *lists) if room else 0
        if n <= room:
            return ZonePixels(drawn, PixelShares(*(part[:n].copy() for part in lists)))
        room = n


def drawn_zones(layer: ZoneLayer, grid: Grid, tile: Tile) -> list[ZonePixels]:
    """Return `zone_pixels` of every sheet that has zones on a tile; empty where none has."""
    found = (zone_pixels(layer, grid, tile, sheet) for sheet in range(layer.n_sheets))
    return [drawn for drawn in found if drawn.any()]


def zone_ids(layer: ZoneLayer, grid: Grid, tile: Tile, sheet: int = 0) -> np.ndarray:
    """Return which zone each pixel of a tile belongs to.

    A pixel belongs to the zone that holds its centre; a centre on a shared border goes to exactly
    one side. Crossings of the border with each pixel row are computed in whole-grid pixel
    coordinates, so that no value depends on the tile (GDAL's rasterizer works in the window's own
    coordinates and can round border pixels differently).

    Parameters
    ----------
    layer : ZoneLayer
        Zones in the grid's CRS.
    grid : Grid
        The region's grid.
    tile : Tile
        Window of it.
    sheet : int
        Which sheet of overlapping zones to draw; 0 holds all zones of a partition.

    Returns
    -------
    numpy.ndarray
        int32, shape `tile.shape`; 0 for no zone, k for zone number k - 1 of the layer.
    """
    edges, _, starts, near = _near(layer, grid, tile, sheet)
    out = np.zeros(tile.shape, dtype=np.int32)
    _burn(edges, starts, np.flatnonzero(near), tile.y0, tile.x0, out)
    return out


def _near(
    layer: ZoneLayer, grid: Grid, tile: Tile, sheet: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return edges, their signs and starts, and which zones of the sheet reach the tile."""
    key = (grid.bounds, grid.resolution)
    if key not in layer._edges:
        layer._edges[key] = _edge_table(layer, grid)
    edges, signs, starts, extent = layer._edges[key]
    near = (
        (layer.sheets == sheet)
        & (extent[:, 0] < tile.y1)
        & (extent[:, 1] > tile.y0)
        & (extent[:, 2] < tile.x1)
        & (extent[:, 3] > tile.x0)
    )
    return edges, signs, starts, near


def _edge_table(
    layer: ZoneLayer, grid: Grid
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return edges (x_top, y_top, x_bottom, y_bottom in pixels), signs, starts, zone extents.

    The sign is 1 where the zone lies east of the edge, -1 where it lies west.
    """
    shapes = np.asarray(layer.gdf.geometry.array, dtype=object)
    parts, part_zone = shapely.get_parts(shapes, return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    outer = np.r_[True, ring_part[1:] != ring_part[:-1]]
    left_inside = np.where(shapely.is_ccw(rings) == outer, 1, -1)
    points, point_ring = shapely.get_coordinates(rings, return_index=True)
    pixel = np.column_stack(
        [
            (points[:, 0] - grid.bounds[0]) / grid.resolution,
            (grid.bounds[3] - points[:, 1]) / grid.resolution,
        ]
    )
    a, b = pixel[:-1], pixel[1:]
    real = (point_ring[:-1] == point_ring[1:]) & (a[:, 1] != b[:, 1])
    zone = part_zone[ring_part[point_ring[:-1]]][real]
    a, b = a[real], b[real]
    # The same direction for both neighbours of a border: they compute bit-equal crossings.
    down = (a[:, 1] < b[:, 1])[:, None]
    edges = np.ascontiguousarray(np.hstack([np.where(down, a, b), np.where(down, b, a)]))
    signs = left_inside[point_ring[:-1]][real] * np.where(down[:, 0], 1, -1)
    order = np.argsort(zone, kind="stable")
    starts = np.searchsorted(zone[order], np.arange(len(shapes) + 1)).astype(np.int64)
    box = shapely.bounds(shapes)
    extent = np.column_stack(
        [
            (grid.bounds[3] - box[:, 3]) / grid.resolution,
            (grid.bounds[3] - box[:, 1]) / grid.resolution,
            (box[:, 0] - grid.bounds[0]) / grid.resolution,
            (box[:, 2] - grid.bounds[0]) / grid.resolution,
        ]
    )
    return edges[order], signs[order].astype(np.int64), starts, extent


@njit(cache=True, nogil=True)
def _burn(  # type: ignore[no-untyped-def]
    edges, starts, zones, row0, col0, out
):
    """Fill pixels whose centre lies inside a zone (even-odd rule), rows and columns half-open."""
    height, width = out.shape
    for zone in zones:
        begin = np.zeros(height + 1, dtype=np.int64)
        for e in range(starts[zone], starts[zone + 1]):
            top = max(int(np.ceil(edges[e, 1] - 0.5)), row0)
            bottom = min(int(np.ceil(edges[e, 3] - 0.5)), row0 + height)
            for row in range(top, bottom):
                begin[row - row0 + 1] += 1
        for row in range(height):
            begin[row + 1] += begin[row]
        crossing = np.empty(begin[height], dtype=np.float64)
        free = begin[:height].copy()
        for e in range(starts[zone], starts[zone + 1]):
            x_top, y_top = edges[e, 0], edges[e, 1]
            x_bottom, y_bottom = edges[e, 2], edges[e, 3]
            top = max(int(np.ceil(y_top - 0.5)), row0)
            bottom = min(int(np.ceil(y_bottom - 0.5)), row0 + height)
            for row in range(top, bottom):
                share = (row + 0.5 - y_top) / (y_bottom - y_top)
                at = free[row - row0]
                crossing[at] = x_top + share * (x_bottom - x_top)
                free[row - row0] = at + 1
        for row in range(height):
            line = np.sort(crossing[begin[row] : begin[row + 1]])
            for k in range(0, line.size - 1, 2):
                left = max(int(np.ceil(line[k] - 0.5)), col0)
                right = min(int(np.ceil(line[k + 1] - 0.5)), col0 + width)
                for col in range(left, right):
                    if out[row, col - col0] == 0:
                        out[row, col - col0] = zone + 1
