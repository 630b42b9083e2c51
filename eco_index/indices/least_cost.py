"""Links of connectivity by least cost: what it costs to cross the land between two patches.

A step between neighbouring pixels (eight neighbours) costs its length times the mean resistance of
the two. Costs run from edge to edge: the patches at both ends cost nothing, so that with a
resistance of 1 a straight way costs the distance between the edges in metres. Ways over pixels turn
by 45°, which makes a way in another direction up to 8 % longer than the straight line.

References: Adriaensen et al. 2003 (least-cost modelling); Dijkstra 1959.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from eco_index.errors import InputError, UsageError
from eco_index.indices.connectivity import Links
from eco_index.indices.doors import check_codes
from eco_index.indices.least_cost_kernels import costs_from
from eco_index.indices.terrain import check_pixel

VERSION = 1  # changes when results change


def resistance_of(classes: Any, values: Mapping[int, float]) -> np.ndarray:
    """Return the resistance of every pixel by its land-cover class.

    Parameters
    ----------
    classes : integer array
        Class codes, 0 where missing.
    values : mapping of int to float
        Resistance by class, above 0; infinite for barriers. 1 for the land that is crossed best
        makes costs metres of such land.

    Returns
    -------
    numpy.ndarray
        float64; NaN (cannot be crossed) where the class is missing.

    Raises
    ------
    InputError
        A class without resistance (with its number of pixels), a resistance that is not above 0.
    """
    wrong = {code: value for code, value in values.items() if not value > 0}
    if wrong or not values or min(values) < 1:
        raise InputError(
            f"resistances that cannot be: {wrong or dict(values)}",
            rule="class codes from 1, resistances above 0; .inf for a barrier",
            fix="give the best land 1 and other land more",
        )
    codes = check_codes(classes, {code: f"{value:g}" for code, value in values.items()}, "classes")
    table = np.full(max(values) + 1, np.nan)
    for code, value in values.items():
        table[code] = value
    return np.asarray(table[codes])


def cost_links(
    labels: Any,
    resistance: Any,
    box: np.ndarray,
    pixel_size: tuple[float, float],
    max_cost: float,
    least_resistance: float,
) -> Links:
    """Return links between patches by the least cost of a way between their edges.

    Parameters
    ----------
    labels : array
        (h, w) patch numbers of `patches.PatchScan.labels`, 0 = none: NumPy, Dask, Zarr or anything
        that gives a window when it is sliced.
    resistance : array
        (h, w), cost per metre; NaN (missing) and infinite pixels cannot be crossed.
    box : numpy.ndarray
        int64 (patch, 5) of `patch_boxes`: number, first and last row, first and last column.
    pixel_size : tuple of float
        Height and width of a pixel, m.
    max_cost : float
        Pairs whose way costs more have no link; in metres of land with the resistance 1.
    least_resistance : float
        Least resistance on the map, above 0. It bounds how far a way can lead.

    Returns
    -------
    Links
        Between positions of `box`, with the cost as distance: give `connectivity` a dispersal
        distance in the same unit.

    Raises
    ------
    InputError
        Maps of different shapes, a resistance below `least_resistance` or not above 0.
    UsageError
        A parameter outside its range.

    Notes
    -----
    The search from a patch sees its box and what lies within reach of it: memory is that of this
    window. Other patches are crossed like any land, at their resistance.
    """
    dy, dx = (float(v) for v in pixel_size)
    check_pixel(dx, dy)
    if not (max_cost >= 0 and math.isfinite(max_cost)) or not 0 < least_resistance < math.inf:
        raise UsageError(
            f"greatest cost {max_cost}, least resistance {least_resistance}",
            rule="a finite cost of 0 or more; a resistance above 0",
            fix="give the cost beyond which links do not matter, and the map's least resistance",
        )
    if tuple(labels.shape) != tuple(resistance.shape) or len(labels.shape) != 2:
        raise InputError(
            f"labels of {tuple(labels.shape)}, resistance of {tuple(resistance.shape)}",
            rule="two maps on one grid",
            fix="warp them to one grid first",
        )
    box = np.asarray(box, np.int64)
    box = box[np.argsort(box[:, 0])]
    reach = max_cost / least_resistance
    rows, columns = (math.floor(reach / d) + 2 for d in (dy, dx))
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    costs: list[np.ndarray] = []
    for position, (number, top, bottom, left, right) in enumerate(box.tolist()):
        window = (
            slice(max(top - rows, 0), bottom + rows + 1),
            slice(max(left - columns, 0), right + columns + 1),
        )
        near = np.ascontiguousarray(labels[window], np.int64)
        if not (near == number).any():
            raise InputError(
                f"patch {number} has no pixel in its box",
                rule="boxes and labels of the same patches",
                fix="make the boxes from these labels with patch_boxes",
            )
        land = np.ascontiguousarray(resistance[window], np.float64)
        low = land[land < least_resistance]
        if low.size:
            raise InputError(
                f"{low.size} pixels near patch {number} have resistances from {low.min():g}",
                rule=f"{least_resistance:g} (least_resistance) or more; NaN or .inf: no way",
                fix="correct the map, or least_resistance",
            )
        edge = costs_from(near, land, number, dy, dx, max_cost)
        at = np.flatnonzero(np.isfinite(edge))
        at = at[np.isin(near.ravel()[at], box[:, 0])]
        at = at[np.argsort(near.ravel()[at], kind="stable")]
        found, starts = np.unique(near.ravel()[at], return_index=True)
        cost = np.minimum.reduceat(edge[at], starts) if at.size else np.zeros(0)
        first.append(np.full(found.size, position, np.int64))
        second.append(np.searchsorted(box[:, 0], found))
        costs.append(cost)
    if not first:
        return Links(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Links(np.concatenate(first), np.concatenate(second), np.concatenate(costs))


def patch_boxes(pixels: Any) -> np.ndarray:
    """Return number, first and last row, first and last column of patches.

    Parameters
    ----------
    pixels : iterable of numpy.ndarray
        `connectivity.border_pixels` of every block.

    Returns
    -------
    numpy.ndarray
        int64 (patch, 5), in ascending order of the number.
    """
    points = np.concatenate([*pixels, np.zeros((0, 3), np.int64)])
    points = points[np.argsort(points[:, 0], kind="stable")]
    numbers, starts = np.unique(points[:, 0], return_index=True)
    if not numbers.size:
        return np.zeros((0, 5), np.int64)
    limits = [
        f.reduceat(points[:, axis], starts) for axis in (1, 2) for f in (np.minimum, np.maximum)
    ]
    return np.stack([numbers, *limits], axis=1)
