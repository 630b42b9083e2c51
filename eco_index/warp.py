"""Where the pixels of the grid lie in a source raster: exact on a lattice, linear between.

The lattice is anchored on the grid (every 16th pixel centre, counted from the grid's first
pixel), so a pixel's source coordinates do not depend on the tile it is computed in: results are
bit-identical for any tile size. Source coordinates are in pixels of the whole source raster, the
centre of its first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.windows import Window

from eco_index.grid import Grid, Tile

SPACING = 16  # pixels between lattice nodes
MAX_SUBSAMPLES = 16  # per axis and pixel; sources more than 8x finer are thinned to that
# A source counts as twice as fine from 1.98 on: UTM's scale error must not change the rule.
AVERAGE_FROM = 1.98
SNAP = 1e-5  # source pixels: positions closer than this to a pixel centre or edge lie on it
_NOISE = 1e-7  # rounding of positions, far below SNAP
VERSION = 1  # changes when results change


@lru_cache(maxsize=64)
def _crs(wkt: str) -> CRS:
    return CRS.from_wkt(wkt)


@lru_cache(maxsize=64)
def _transformer(from_wkt: str, to_wkt: str) -> Transformer | None:
    """Return a transformer, or None where the two CRSs are the same."""
    source, target = _crs(from_wkt), _crs(to_wkt)
    if source.equals(target, ignore_axis_order=True):
        return None
    return Transformer.from_crs(source, target, always_xy=True)


@dataclass(frozen=True)
class Lattice:
    """Lattice nodes of a tile in the CRS of a source.

    Attributes
    ----------
    row, col : int
        Index of the first node (node k lies at the centre of grid pixel 16 k).
    x, y : ndarray of float64, shape (rows, cols)
        Coordinates of the nodes in the source's CRS; infinite where undefined.
    """

    row: int
    col: int
    x: np.ndarray
    y: np.ndarray


@lru_cache(maxsize=32)
def lattice(grid: Grid, tile: Tile, crs_wkt: str) -> Lattice:
    """Return the nodes that enclose `tile`, projected exactly to the CRS `crs_wkt`."""
    rows = np.arange(tile.y0 // SPACING, (tile.y1 - 1) // SPACING + 2)
    cols = np.arange(tile.x0 // SPACING, (tile.x1 - 1) // SPACING + 2)
    x = grid.bounds[0] + (cols * SPACING + 0.5) * grid.resolution
    y = grid.bounds[3] - (rows * SPACING + 0.5) * grid.resolution
    xx, yy = (a.copy() for a in np.meshgrid(x, y))
    transformer = _transformer(grid.crs_wkt, crs_wkt)
    if transformer is not None:
        xx, yy = transformer.transform(xx, yy)
    return Lattice(int(rows[0]), int(cols[0]), xx, yy)


@dataclass(frozen=True)
class Placement:
    """How a source raster lies under a tile.

    Attributes
    ----------
    u, v : ndarray of float64
        Column and row of the lattice nodes in the source.
    row, col : int
        Index of the first node.
    window : Window
        The part of the source that the tile needs.
    width, height : int
        Size of the whole source.
    subsamples : int
        0: bilinear (or nearest, for classes); n >= 4: mean of n x n samples.
    """

    u: np.ndarray
    v: np.ndarray
    row: int
    col: int
    window: Window
    width: int
    height: int
    subsamples: int

    def same_geometry(self, other: Placement) -> bool:
        """Whether two rasters share grid, window and sampling, so that positions can be shared."""
        return self is other or (
            (self.width, self.height, self.subsamples, self.window)
            == (other.width, other.height, other.subsamples, other.window)
            and np.array_equal(self.u, other.u, equal_nan=True)
            and np.array_equal(self.v, other.v, equal_nan=True)
        )

    def shift(self) -> tuple[int, ...] | None:
        """Where the source lies on the grid's own pixels: how far they are apart, else None.

        Returns
        -------
        tuple of int or None
            Columns and rows to add to a grid pixel's to get the source's; the window's first
            column, row and width; the source's width and height. Positions are then within SNAP of
            pixel centres everywhere, so that every rule of sampling comes to taking that pixel.
        """
        return self._shift

    @cached_property
    def _shift(self) -> tuple[int, ...] | None:
        if self.subsamples:
            return None
        out = []
        for nodes, first in ((self.u, self.col), (self.v.T, self.row)):
            at = np.arange(first, first + nodes.shape[1]) * SPACING + 0.5
            apart = nodes - at
            whole = np.rint(apart[0, 0])
            # NaN compares false: a node without a place is no shift.
            if not bool((np.abs(apart - whole) <= SNAP / 10).all()):
                return None
            out.append(int(whole))
        window = self.window
        place = (int(window.col_off), int(window.row_off), int(window.width))
        return (*out, *place, self.width, self.height)

    def as_tuple(self) -> tuple[Any, ...]:
        """For kernels."""
        return (
            self.u,
            self.v,
            self.row,
            self.col,
            int(self.window.col_off),
            int(self.window.row_off),
            int(self.window.width),
            self.width,
            self.height,
            self.subsamples,
        )


def source_pixel_m(transform: Affine, width: int, height: int, crs_wkt: str, grid: Grid) -> float:
    """Return the size (m) of a source pixel at the raster's centre, measured on the grid's CRS.

    NaN where the raster's centre has no place in the grid's CRS.
    """
    col, row = width / 2, height / 2
    points = [transform @ p for p in ((col, row), (col + 1, row), (col, row + 1))]
    xs, ys = np.array(points).T
    transformer = _transformer(crs_wkt, grid.crs_wkt)
    if transformer is not None:
        xs, ys = transformer.transform(xs, ys)
    area = (xs[1] - xs[0]) * (ys[2] - ys[0]) - (xs[2] - xs[0]) * (ys[1] - ys[0])
    return math.sqrt(abs(area)) if math.isfinite(area) else math.nan


def subsamples_of(pixel_m: float, resolution: float) -> int:
    """Return 0 (bilinear) or n (mean of n x n samples) for a source pixel size; never by tile."""
    ratio = resolution / pixel_m if pixel_m > 0 else 0.0
    if not ratio >= AVERAGE_FROM:
        return 0
    # Two samples a source pixel and axis: with one, all of them would round the same way where
    # the grids are out of phase, and shift the mean by up to half a source pixel.
    return min(MAX_SUBSAMPLES, max(4, 2 * round(ratio)))


def place_raster(
    grid: Grid, tile: Tile, source: Any, crs_wkt: str, nearest: bool = False
) -> Placement | None:
    """Return how an open raster (transform, width, height) lies under `tile`; see `place`."""
    return place(grid, tile, source.transform, source.width, source.height, crs_wkt, nearest)


@lru_cache(maxsize=64)
def place(
    grid: Grid,
    tile: Tile,
    transform: Affine,
    width: int,
    height: int,
    crs_wkt: str,
    nearest: bool = False,
) -> Placement | None:
    """Return how a source raster lies under `tile`, or None where it does not touch it.

    Parameters
    ----------
    grid : Grid
        The region's grid.
    tile : Tile
        Part of it.
    transform : Affine
        Of the source file's header.
    width, height : int
        Of the source, pixels.
    crs_wkt : str
        CRS of the source.
    nearest : bool
        Classes and quality bands: never averaged.
    """
    nodes = lattice(grid, tile, crs_wkt)
    inverse = ~transform
    with np.errstate(invalid="ignore"):  # nodes without a place are infinite
        u = inverse.a * nodes.x + inverse.b * nodes.y + inverse.c
        v = inverse.d * nodes.x + inverse.e * nodes.y + inverse.f
    finite = np.isfinite(u) & np.isfinite(v)
    if not finite.any():
        return None
    u[~finite] = v[~finite] = np.nan
    pixel = source_pixel_m(transform, width, height, crs_wkt, grid)
    subsamples = 0 if nearest else subsamples_of(pixel, grid.resolution)
    reach = 0.0 if nearest else 0.5
    if subsamples:  # samples spread over the whole output pixel
        reach = grid.resolution / pixel + 2.0
    x0, x1 = _span(_corners(u, nodes, tile), reach, nearest, width)
    y0, y1 = _span(_corners(v, nodes, tile), reach, nearest, height)
    if x0 >= x1 or y0 >= y1:
        return None
    window = Window(x0, y0, x1 - x0, y1 - y0)
    return Placement(u, v, nodes.row, nodes.col, window, width, height, subsamples)


def _corners(nodes: np.ndarray, lattice_: Lattice, tile: Tile) -> np.ndarray:
    """Positions where a piecewise bilinear map has its extremes over a tile: nodes and edges."""

    def cut(values: np.ndarray, first: int, start: int, stop: int) -> np.ndarray:
        # Along axis 0: the first and last row of the tile in place of the nodes outside it.
        index = np.arange(first, first + len(values)) * SPACING
        at = np.concatenate(([start], index[(index > start) & (index < stop - 1)], [stop - 1]))
        k = at // SPACING - first
        weight = ((at % SPACING) / SPACING)[:, None]
        return values[k] + (values[k + 1] - values[k]) * weight

    rows = cut(nodes, lattice_.row, tile.y0, tile.y1)
    return cut(rows.T, lattice_.col, tile.x0, tile.x1)


def _span(positions: np.ndarray, reach: float, nearest: bool, size: int) -> tuple[int, int]:
    """Return first and last + 1 source index that positions need: no pixel more than that.

    A spare pixel would cost a whole block wherever tile and block borders coincide.
    """
    known = positions[np.isfinite(positions)]
    if not known.size:
        return 0, 0
    first = math.floor(known.min() - reach + SNAP - _NOISE)
    if nearest:
        last = math.floor(known.max() + SNAP + _NOISE)
    elif reach == 0.5:
        last = math.ceil(known.max() - 0.5 - SNAP + _NOISE)
    else:
        last = math.ceil(known.max() + reach)
    return max(0, first), min(size, last + 1)
