"""Mock areas: the project's outline laid where nothing was done, evaluated in the same way.

Controls are chosen to resemble the project before the works, so the years before are calmer than
those after: no interval from years alone can hold what the controls lose afterwards. How far apart
an area without works and its controls drift is seen at areas without works. Conley & Taber 2011
(Review of Economics and Statistics 93, 113-125) judge a single treated unit by the spread of the
same estimate at untreated ones; Abadie, Diamond & Hainmueller 2010 (Journal of the American
Statistical Association 105, 493-505) by its rank among them.
"""

from __future__ import annotations

import math

import numpy as np

from eco_index.analysis.matching import Units, match_controls
from eco_index.analysis.restoration import mean_effect
from eco_index.errors import InputError
from eco_index.methods import Method


def mock_areas(
    outline: np.ndarray, free: np.ndarray, share: float, most: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return areas of the project's outline on free cells, the nearest first.

    Parameters
    ----------
    outline : numpy.ndarray
        int (unit, 2), row and column of the project's cells.
    free : numpy.ndarray
        bool (row, column), cells that may serve; rows and columns as in `outline`.
    share : float
        Least share of the outline that must be free and in no area before it.
    most : int
        Areas that are looked for.

    Returns
    -------
    list of (row, column)
        Cells of every area; no cell is in two of them.
    """
    left = free.copy()
    height, width = free.shape
    low, high = outline.min(axis=0), outline.max(axis=0)
    down, right = np.meshgrid(
        np.arange(-high[0], height - low[0]), np.arange(-high[1], width - low[1]), indexing="ij"
    )
    shifts = np.column_stack([down.ravel(), right.ravel()])
    shifts = shifts[np.argsort((shifts**2).sum(axis=1), kind="stable")]
    need = math.ceil(share * len(outline))
    found: list[tuple[np.ndarray, np.ndarray]] = []
    step = max(1, 1_000_000 // len(outline))
    for start in range(0, len(shifts), step):
        block = shifts[start : start + step]
        at = outline[None] + block[:, None]
        inside = ((at >= 0) & (at < (height, width))).all(axis=2)
        row, column = np.where(inside, at[..., 0], 0), np.where(inside, at[..., 1], 0)
        # What is free only shrinks: most places are out at once.
        for k in np.flatnonzero((inside & left[row, column]).sum(axis=1) >= need).tolist():
            ok = inside[k] & left[row[k], column[k]]
            if ok.sum() < need:
                continue
            cells = row[k][ok], column[k][ok]
            left[cells] = False
            found.append(cells)
            if len(found) == most:
                return found
    return found


def mock_effects(
    project_xy: np.ndarray,
    candidates: Units,
    values: np.ndarray,
    years: np.ndarray,
    started: int,
    finished: int,
    method: Method,
    cell: float,
) -> np.ndarray:
    """Return the effect of every mock area, each against controls matched like the project's.

    Parameters
    ----------
    project_xy : numpy.ndarray
        (unit, 2), centres of the project's cells, metres.
    candidates : Units
        Cells outside all projects, on one lattice with the project's.
    values : numpy.ndarray
        (time, candidate); NaN is missing.
    years, started, finished, method
        As in `restoration.restoration_effect`.
    cell : float
        Side of a cell, metres.

    Returns
    -------
    numpy.ndarray
        (area,), in the unit of the values; areas without controls or years are left out.

    Raises
    ------
    InputError
        Cells that are not on one lattice.
    """
    from scipy.spatial import cKDTree

    near = method.number("min_distance").required
    away, _ = cKDTree(project_xy).query(candidates.xy)
    pool = np.flatnonzero(away >= near)
    if not pool.size:
        return np.empty(0)
    corner = np.minimum(project_xy.min(axis=0), candidates.xy[pool].min(axis=0))
    lattice = [(xy - corner) / cell for xy in (project_xy, candidates.xy[pool])]
    if any(np.abs(at - np.rint(at)).max() > 0.01 for at in lattice):
        raise InputError(
            f"The cells are not on one lattice of {cell:g} m.",
            rule="project and candidates are cells of one grid",
        )
    outline, places = (np.rint(at).astype(np.int64)[:, ::-1] for at in lattice)
    number = np.full(np.maximum(outline.max(axis=0), places.max(axis=0)) + 1, -1)
    number[tuple(places.T)] = pool
    areas = mock_areas(
        outline,
        number >= 0,
        method.number("mock_share").required,
        int(method.number("mock_most").required),
    )
    found = []
    for area in areas:
        own = number[area]
        others = pool[~np.isin(pool, own)]
        if not others.size:
            continue
        mine, theirs = (
            Units(candidates.covariates[at], candidates.classes[at], candidates.xy[at])
            for at in (own, others)
        )
        control = match_controls(mine, theirs, method).control(values[:, others])
        found.append(mean_effect(values[:, own], control, years, started, finished, method))
    effects = np.array(found)
    return effects[np.isfinite(effects)]
