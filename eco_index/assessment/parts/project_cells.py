"""Cells of a project and around it, by year: what its effect stands on.

Sums are of stored whole numbers over cells counted from the grid's corner: no figure depends on
the tiling. Memory is bounded by the window around one project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.assessment.parts.context import Context
from eco_index.grid import Grid, Tile
from eco_index.period import Period
from eco_index.products import LUCC_LEVEL1, PRODUCTS
from eco_index.programme import RestorationConfig
from eco_index.zone_raster import zone_ids
from eco_index.zones import ZoneLayer

#: Least share of a cell's pixels with a value in a year.
LEAST_SEEN = 0.5


@dataclass(frozen=True)
class CellSeries:
    """Cells with their values by year.

    Attributes
    ----------
    values : numpy.ndarray
        (year, cell), physical units; NaN where less than half of the pixels has a value.
    classes : numpy.ndarray
        (cell,), most frequent level-1 land class, 0 where it is unknown.
    xy : numpy.ndarray
        (cell, 2), centres in metres.
    pixels : numpy.ndarray
        int64 (cell,), pixels that are averaged: those of the project, or all of a control's.
    """

    values: np.ndarray
    classes: np.ndarray
    xy: np.ndarray
    pixels: np.ndarray


def side_of(config: RestorationConfig, grid: Grid) -> int:
    """Return the pixels along a cell."""
    return max(1, round(config.cell / grid.resolution))


def project_cells(
    context: Context,
    projects: ZoneLayer,
    k: int,
    config: RestorationConfig,
    periods: Sequence[Period],
    classes_of: Period,
    reach: float,
) -> tuple[CellSeries, CellSeries]:
    """Return the cells of a project, and those outside all projects within `reach` metres.

    Parameters
    ----------
    context : Context
        Cube and region.
    projects : ZoneLayer
        All projects.
    k : int
        Number of the project.
    config : RestorationConfig
        Product and size of cells.
    periods : sequence of Period
        Years of the series.
    classes_of : Period
        Whose land cover tells the class.
    reach : float
        Width of the surroundings that are looked at.
    """
    grid, side = context.view.grid, side_of(config, context.view.grid)
    window = _window(grid, projects, k, reach, side)
    shape = (-(-(window.y1 - window.y0) // side), -(-(window.x1 - window.x0) // side))
    pixels = np.zeros((3, *shape), np.int64)  # all, of the project, outside all projects
    total = np.zeros((2, len(periods), *shape), np.int64)
    seen = np.zeros_like(total)
    kinds = np.zeros((2, 10, *shape), np.int64)
    product = PRODUCTS[config.product]
    with_landcover = context.region.config.landcover is not None
    for tile in grid.tiles():
        part = _overlap(tile, window)
        if part is None:
            continue
        sheets = [zone_ids(projects, grid, part, sheet) for sheet in range(projects.n_sheets)]
        own = np.logical_or.reduce([ids == k + 1 for ids in sheets])
        free = ~np.logical_or.reduce([ids > 0 for ids in sheets])
        at = _cell_of(part, window, side, shape)
        for n, mask in enumerate((np.ones_like(own), own, free)):
            pixels[n] += _count(at[mask], shape)
        for n, period in enumerate(periods):
            stored = context.view.read(period.cadence, product.id, period.id, part.slices)
            ok = stored != product.fill
            for m, mask in enumerate((own, free)):
                here = mask & ok
                seen[m, n] += _count(at[here], shape)
                sums = np.bincount(at[here], stored[here].astype(float), minlength=at_size(shape))
                total[m, n] += sums.reshape(shape).astype(np.int64)
        if with_landcover:
            codes = context.view.read(classes_of.cadence, "landcover", classes_of.id, part.slices)
            for m, mask in enumerate((own, free)):
                for code in LUCC_LEVEL1:
                    kinds[m, code] += _count(at[mask & (codes // 10 == code)], shape)
    chosen = (2 * pixels[1] > pixels[0], (pixels[2] == pixels[0]) & (pixels[0] > 0))
    row, column = np.indices(shape)
    x = grid.bounds[0] + (window.x0 + (column + 0.5) * side) * grid.resolution
    y = grid.bounds[3] - (window.y0 + (row + 0.5) * side) * grid.resolution
    found = []
    for m, cells in enumerate(chosen):
        n_pixels, n_seen = pixels[m + 1][cells], seen[m][:, cells]
        enough = n_seen >= np.maximum(LEAST_SEEN * n_pixels, 1)
        values = np.full(n_seen.shape, np.nan)
        np.divide(total[m][:, cells] * product.scale, n_seen, out=values, where=enough)
        kind = np.where(kinds[m][:, cells].any(axis=0), kinds[m][:, cells].argmax(axis=0), 0)
        centres = np.column_stack([x[cells], y[cells]])
        found.append(CellSeries(values, kind, centres, n_pixels))
    return found[0], found[1]


def at_size(shape: tuple[int, int]) -> int:
    """Return how many cells there are."""
    return shape[0] * shape[1]


def _count(at: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(at, minlength=at_size(shape)).reshape(shape)


def _window(grid: Grid, projects: ZoneLayer, k: int, reach: float, side: int) -> Tile:
    """Return the pixels around a project, from whole cells of the grid."""
    xmin, ymin, xmax, ymax = projects.gdf.geometry.iloc[k].bounds
    height, width = grid.shape
    x0 = (xmin - reach - grid.bounds[0]) / grid.resolution
    x1 = (xmax + reach - grid.bounds[0]) / grid.resolution
    y0 = (grid.bounds[3] - ymax - reach) / grid.resolution
    y1 = (grid.bounds[3] - ymin + reach) / grid.resolution
    left, top = (max(int(np.floor(v)) // side * side, 0) for v in (x0, y0))
    right, bottom = (
        min(-(-int(np.ceil(v)) // side) * side, most) for v, most in ((x1, width), (y1, height))
    )
    return Tile(0, 0, top, bottom, left, right)


def _overlap(tile: Tile, window: Tile) -> Tile | None:
    y0, y1 = max(tile.y0, window.y0), min(tile.y1, window.y1)
    x0, x1 = max(tile.x0, window.x0), min(tile.x1, window.x1)
    return Tile(tile.row, tile.col, y0, y1, x0, x1) if y0 < y1 and x0 < x1 else None


def _cell_of(part: Tile, window: Tile, side: int, shape: tuple[int, int]) -> np.ndarray:
    """Return the number of each pixel's cell in the window."""
    rows = (np.arange(part.y0, part.y1) - window.y0) // side
    columns = (np.arange(part.x0, part.x1) - window.x0) // side
    return rows[:, None] * shape[1] + columns[None, :]
