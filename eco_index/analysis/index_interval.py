"""What errors of the class map and gaps in the imagery mean for an official index.

JCGM 100:2008, 5.1 and 5.2 (first order, with differences); Olofsson et al. 2014, equations 9-10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from eco_index.analysis.uncertainty import Part, normal_part
from eco_index.errors import InputError

#: Areas of the classes (km2) and what is added to other inputs, to the index.
Evaluate = Callable[[np.ndarray, Mapping[str, float]], float]


@dataclass(frozen=True)
class MapErrors:
    """How a class map errs, from reference samples.

    Attributes
    ----------
    rates : numpy.ndarray
        (class, class), share of what is mapped as the row's class that is the column's class.
    free : numpy.ndarray
        (class,), samples of the mapped class less one.
    """

    rates: np.ndarray
    free: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray) -> MapErrors:
        """Return the errors behind sample counts (class, class); rows are the map's classes."""
        n = np.asarray(counts, np.float64)
        rows = n.sum(axis=1)
        rates = np.divide(n, rows[:, None], out=np.zeros_like(n), where=rows[:, None] > 0)
        return cls(rates, rows - 1)

    def areas(self, mapped: np.ndarray) -> np.ndarray:
        """Return the areas of the classes, corrected for the map's errors (eq. 9).

        Raises
        ------
        InputError
            A mapped class with fewer than two samples.
        """
        unknown = (mapped > 0) & (self.free < 1)
        if unknown.any():
            raise InputError(
                f"{int(unknown.sum())} classes of the map have fewer than two reference samples.",
                rule="every class of the unit's map needs two samples",
            )
        return np.asarray(mapped @ self.rates)

    def covariance(self, which: int) -> np.ndarray:
        """Return the covariance (class, class) of the rates of a mapped class."""
        q = self.rates[which]
        return np.asarray((np.diag(q) - np.outer(q, q)) / max(self.free[which], 1))


@dataclass(frozen=True)
class IndexErrors:
    """Errors of an index, or of a mean of indices.

    Attributes
    ----------
    shift : float
        Index of the corrected areas less the printed one.
    effects : numpy.ndarray
        (class, class), change of the index for a change of the map's error rates.
    gaps : float
        Variance by gaps in the imagery.
    """

    shift: float
    effects: np.ndarray
    gaps: float

    def parts(self, errors: MapErrors) -> list[Part]:
        """Return the parts of the index' interval."""
        variance = sum(e @ errors.covariance(i) @ e for i, e in enumerate(self.effects) if e.any())
        # A rounding below zero of what is zero.
        sigma = float(np.sqrt(max(variance, 0.0)))
        return [
            normal_part("gaps", float(np.sqrt(self.gaps))),
            normal_part("classification", sigma, self.shift),
        ]


def index_errors(
    evaluate: Evaluate,
    mapped: np.ndarray,
    errors: MapErrors,
    gaps: np.ndarray,
    others: Mapping[str, float],
) -> IndexErrors:
    """Return the errors of the index of a unit.

    Parameters
    ----------
    evaluate : callable
        Areas of the classes (class,), km2, and what is added to other inputs, to the index. It must
        not round.
    mapped : numpy.ndarray
        (class,), areas on the map, km2; they make up the unit.
    errors : MapErrors
        Errors of the map.
    gaps : numpy.ndarray
        (class,), standard deviation of the areas by gaps, km2.
    others : mapping
        Standard deviation by gaps of other inputs, by name.

    Raises
    ------
    InputError
        A mapped class with fewer than two samples; an index that is not evaluated.

    Notes
    -----
    The areas of a unit add up to its own, so a class gains what the largest class loses; slopes are
    differences over one standard deviation, in both directions where the class has as much.
    """
    mapped = np.asarray(mapped, np.float64)
    areas = errors.areas(mapped)
    printed, base = evaluate(mapped, {}), evaluate(areas, {})
    spread = sum(m**2 * np.diag(errors.covariance(i)) for i, m in enumerate(mapped) if m > 0)
    step = np.maximum(np.sqrt(spread), gaps)
    most = int(np.argmax(areas))
    slopes = np.zeros_like(mapped)
    for k in np.flatnonzero(step > 0):
        if k != most:
            slopes[k] = _slope(evaluate, areas, int(k), most, min(step[k], areas[most]), base)
    variance = float(((slopes * gaps) ** 2).sum())
    for name, sigma in others.items():
        up, down = (evaluate(areas, {name: s}) for s in (sigma, -sigma))
        variance += ((up - down) / 2) ** 2
    found = IndexErrors(base - printed, mapped[:, None] * slopes[None, :], variance)
    if not np.isfinite([found.shift, *slopes, variance]).all():
        raise InputError("The index cannot be evaluated around its inputs.")
    return found


def _slope(
    evaluate: Evaluate, areas: np.ndarray, k: int, most: int, step: float, base: float
) -> float:
    """Return the change of the index where class `k` gains from class `most`, per km2."""
    move = np.zeros_like(areas)
    move[k], move[most] = step, -step
    up = evaluate(np.maximum(areas + move, 0), {})
    if areas[k] < step or areas[most] < step:
        return (up - base) / step
    return (up - evaluate(np.maximum(areas - move, 0), {})) / (2 * step)


def mean_errors(errors: list[IndexErrors], areas: list[float]) -> IndexErrors:
    """Return the errors of the mean of indices, weighted by area.

    One set of samples serves all units: what the map's errors do to them adds up, whereas gaps of
    different units are independent.
    """
    w = np.asarray(areas, np.float64) / sum(areas)
    return IndexErrors(
        float(sum(f * e.shift for f, e in zip(w, errors, strict=True))),
        np.asarray(sum(f * e.effects for f, e in zip(w, errors, strict=True))),
        float(sum(f**2 * e.gaps for f, e in zip(w, errors, strict=True))),
    )
