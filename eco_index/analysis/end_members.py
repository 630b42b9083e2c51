"""What the choice of end members means for mean vegetation cover (dimidiate pixel model).

Works on the sorted NDVI values of a zone with their counts, so that thousands of pairs of end
members cost no more than one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.analysis.uncertainty import Part, uniform
from eco_index.errors import InputError
from eco_index.methods import Method


class CoverMean:
    """Mean vegetation cover of a set of pixels for any end members.

    Parameters
    ----------
    ndvi : numpy.ndarray
        (value,), -1 to 1, strictly ascending.
    counts : numpy.ndarray
        (value,), pixels with that value (or their area), 0 or more.

    Raises
    ------
    InputError
        Values that do not ascend or are not NDVI, negative counts.
    """

    def __init__(self, ndvi: np.ndarray, counts: np.ndarray) -> None:
        x, n = np.asarray(ndvi, np.float64), np.asarray(counts, np.float64)
        if x.shape != n.shape or x.ndim != 1 or (np.diff(x) <= 0).any():
            raise InputError("The NDVI values do not ascend, or counts do not fit them.")
        if x.size and not (x[0] >= -1 and x[-1] <= 1):
            raise InputError(
                f"NDVI runs from {x[0]:g} to {x[-1]:g}.",
                rule="-1 to 1",
                fix="scale stored integers by 0.0001",
            )
        if not np.isfinite(n).all() or (n < 0).any():
            raise InputError("Counts are negative or missing.")
        self._x = x
        self._n = np.concatenate([[0.0], np.cumsum(n)])
        self._sum = np.concatenate([[0.0], np.cumsum(n * x)])

    @property
    def total(self) -> float:
        """Sum of the counts."""
        return float(self._n[-1])

    @classmethod
    def of_pixels(cls, ndvi: np.ndarray) -> CoverMean:
        """Return the means of an array of NDVI; NaN takes no part."""
        x, n = np.unique(np.asarray(ndvi)[~np.isnan(ndvi)], return_counts=True)
        return cls(x, n)

    def at(self, soil: np.ndarray | float, veg: np.ndarray | float) -> np.ndarray:
        """Return the mean cover, 0-1, for (arrays of) end members; NaN without pixels."""
        s, v = np.asarray(soil, np.float64), np.asarray(veg, np.float64)
        if not (v > s).all():
            raise InputError("NDVI of full vegetation must exceed that of soil.")
        total = self._n[-1]
        if total == 0:
            return np.full(np.broadcast(s, v).shape, math.nan)
        i, j = np.searchsorted(self._x, s, "right"), np.searchsorted(self._x, v, "left")
        between = self._sum[j] - self._sum[i] - s * (self._n[j] - self._n[i])
        return (between / (v - s) + total - self._n[j]) / total


def end_member_part(
    cover: CoverMean,
    soil: float,
    veg: float,
    method: Method,
    *,
    before: CoverMean | None = None,
    scale: float = 1.0,
    seed: int = 1,
) -> Part:
    """Return the part of mean cover (or its change) that comes from the choice of end members.

    Parameters
    ----------
    cover : CoverMean
        NDVI of the zone's observed pixels.
    soil, veg : float
        The pair that was used; inside the declared ranges.
    method : Method
        ``uncertainty``: ranges ``ndvi_soil_low`` ...
    before : CoverMean, optional
        NDVI of the same pixels in the period before: the part is that of the change, with one pair
        for both periods.
    scale : float
        100 for cover in percent.
    seed : int
        Of the draws.

    Raises
    ------
    InputError
        A pair outside the declared ranges; ranges that overlap; no pixels.
    """
    (s_low, s_high), (v_low, v_high) = ranges(method)
    if not (s_low <= soil <= s_high and v_low <= veg <= v_high):
        raise InputError(
            f"The end members {soil:g} and {veg:g} lie outside their declared ranges.",
            rule=f"soil {s_low:g} to {s_high:g}, vegetation {v_low:g} to {v_high:g}",
            fix="correct the region file, or the ranges in an overlay of the method 'uncertainty'",
        )
    s, v = uniform(s_low, s_high, seed=seed), uniform(v_low, v_high, seed=seed + 1)
    draws = cover.at(s, v) - cover.at(soil, veg)
    if before is not None:
        draws = draws - (before.at(s, v) - before.at(soil, veg))
    if np.isnan(draws).any():
        raise InputError("No pixel has a value: there is no cover to give an interval for.")
    return Part("end_members", scale * draws)


@dataclass(frozen=True)
class Group:
    """Pixels of a zone that share a pair of end members (a vegetation type, a part of the zone).

    Attributes
    ----------
    cover : CoverMean
    soil, veg : float
        Their pair.
    before : CoverMean or None
        The same pixels in the period before, for the part of a change.
    """

    cover: CoverMean
    soil: float
    veg: float
    before: CoverMean | None = None


def grouped_part(
    groups: Sequence[Group], method: Method, *, scale: float = 1.0, seed: int = 1
) -> Part:
    """Return the part of mean cover (or its change) where groups have pairs of their own.

    Parameters
    ----------
    groups : sequence of Group
        All observed pixels of the zone; groups weigh as their counts do.
    method : Method
        ``uncertainty``: half the width of each range is what a pair may be off, both ways.
    scale : float
        100 for cover in percent.
    seed : int
        Of the draws.

    Raises
    ------
    InputError
        No pixels; a pair so close that the ranges let soil pass vegetation; groups of which only
        some have a period before.

    Notes
    -----
    All pairs are off by the same amounts at once, which is the widest case: errors of groups do not
    average out.
    """
    (s_low, s_high), (v_low, v_high) = ranges(method)
    s_half, v_half = (s_high - s_low) / 2, (v_high - v_low) / 2
    groups = [g for g in groups if g.cover.total > 0]
    if not groups:
        raise InputError("No pixel has a value: there is no cover to give an interval for.")
    if len({g.before is None for g in groups}) > 1:
        raise InputError("Some groups have a period before, others have none.")
    close = [g for g in groups if g.veg - g.soil <= s_half + v_half]
    if close:
        raise InputError(
            f"The pair {close[0].soil:g} and {close[0].veg:g} is closer than what it may be off.",
            rule=f"soil may be off by {s_half:g}, vegetation by {v_half:g}",
            fix="name the part in left_out, or narrow the ranges in an overlay",
        )
    ds, dv = uniform(-s_half, s_half, seed=seed), uniform(-v_half, v_half, seed=seed + 1)
    draws, total = np.zeros(ds.shape), sum(g.cover.total for g in groups)
    for g in groups:
        moved = g.cover.at(g.soil + ds, g.veg + dv) - g.cover.at(g.soil, g.veg)
        if g.before is not None:
            moved = moved - (g.before.at(g.soil + ds, g.veg + dv) - g.before.at(g.soil, g.veg))
        draws += g.cover.total / total * moved
    return Part("end_members", scale * draws)


def end_member_bounds(cover: CoverMean, method: Method) -> tuple[float, float]:
    """Return the lowest and highest mean cover over all pairs in the declared ranges.

    Cover falls as either end member rises, so the extremes lie at two corners.
    """
    (s_low, s_high), (v_low, v_high) = ranges(method)
    return float(cover.at(s_high, v_high)), float(cover.at(s_low, v_low))


def ranges(method: Method) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the declared ranges of the NDVI of soil and of full cover."""
    s_low, s_high, v_low, v_high = (
        method.number(k).required
        for k in ("ndvi_soil_low", "ndvi_soil_high", "ndvi_veg_low", "ndvi_veg_high")
    )
    if not s_low <= s_high < v_low <= v_high:
        raise InputError(
            f"The ranges of end members are {s_low:g} to {s_high:g} and {v_low:g} to {v_high:g}.",
            rule="ascending and apart",
            where="method 'uncertainty'",
        )
    return (s_low, s_high), (v_low, v_high)
