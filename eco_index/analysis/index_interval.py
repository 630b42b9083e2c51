"""What errors of the class map and gaps in the imagery mean for official indices.

JCGM 100:2008, 5.1 and 5.2 (first order, with differences); Olofsson et al. 2014, equations 9-10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from eco_index.analysis.map_errors import MapErrors
from eco_index.analysis.uncertainty import Part, normal_part
from eco_index.errors import InputError


@dataclass(frozen=True)
class MapEffects:
    """What the map's errors do to the indices of all units at once.

    Attributes
    ----------
    shift : numpy.ndarray
        (unit,), indices of the corrected areas less those of the mapped ones.
    effects : numpy.ndarray
        (unit, class, class), change of an index for a change of a rate.
    """

    shift: np.ndarray
    effects: np.ndarray

    def mean(self, weights: np.ndarray) -> MapEffects:
        """Return the effects on the weighted mean of the units.

        One set of samples serves all units: what the map's errors do to them adds up.
        """
        w = np.asarray(weights, np.float64) / np.sum(weights)
        return MapEffects(
            np.array([w @ self.shift]), np.einsum("u,uij->ij", w, self.effects)[np.newaxis]
        )

    def part(self, unit: int, errors: MapErrors) -> Part:
        """Return the part of a unit's interval."""
        sigma = errors.sigma(self.effects[unit])
        return normal_part("classification", sigma, float(self.shift[unit]))


def map_effects(evaluate: Callable[[np.ndarray], np.ndarray], errors: MapErrors) -> MapEffects:
    """Return what the errors of a map do to indices.

    Parameters
    ----------
    evaluate : callable
        Rates (class, class), by which mapped areas become areas, to the indices (unit,). It must
        not round.
    errors : MapErrors
        Errors of the map.

    Raises
    ------
    InputError
        An index that is not evaluated.

    Notes
    -----
    Rates of a mapped class add up to one: what a class gains its greatest rate loses. Slopes are
    differences over one standard deviation, in both directions where there is as much.
    """
    rates = errors.rates
    printed, base = evaluate(np.eye(len(rates))), evaluate(rates)
    effects = np.zeros((len(base), *rates.shape))
    for i in range(len(rates)):
        steps = np.sqrt(np.diag(errors.covariance(i)))
        most = int(np.argmax(rates[i]))
        for j in np.flatnonzero(steps > 0).tolist():
            if j != most:
                step = min(float(steps[j]), rates[i, most])
                both = min(rates[i, j], 1 - rates[i, most]) >= step
                up = evaluate(_moved(rates, i, j, most, step))
                down = evaluate(_moved(rates, i, j, most, -step)) if both else base
                effects[:, i, j] = (up - down) / (2 * step if both else step)
    found = MapEffects(base - printed, effects)
    if not (np.isfinite(found.shift).all() and np.isfinite(effects).all()):
        raise InputError("An index cannot be evaluated around its inputs.")
    return found


def _moved(rates: np.ndarray, i: int, j: int, most: int, step: float) -> np.ndarray:
    moved = rates.copy()
    moved[i, j] += step
    moved[i, most] -= step
    return np.maximum(moved, 0)


def gap_part(
    evaluate: Callable[[Mapping[str, float]], float],
    inputs: Mapping[str, float],
    classes: Mapping[str, float],
    others: Mapping[str, float],
) -> Part:
    """Return the part of a unit's interval that comes from gaps in the imagery.

    Parameters
    ----------
    evaluate : callable
        Inputs that differ from the unit's, to its index.
    inputs : mapping
        The unit's areas of all classes, km2, which add up to its own, and other inputs.
    classes : mapping
        Standard deviation of areas, by name.
    others : mapping
        Standard deviation of other inputs, by name.

    Notes
    -----
    Independent of each other; what a class gains the largest one loses.
    """
    most = max(classes, key=lambda name: inputs[name], default="")
    variance = 0.0
    for name, sigma in classes.items():
        if sigma > 0 and name != most:
            step = min(sigma, inputs[most])
            gain = {name: inputs[name] + step, most: inputs[most] - step}
            both = inputs[name] >= step
            loss = {name: inputs[name] - step, most: inputs[most] + step} if both else {}
            slope = (evaluate(gain) - evaluate(loss)) / (2 * step if both else step)
            variance += (slope * sigma) ** 2
    for name, sigma in others.items():
        up, down = (evaluate({name: inputs[name] + s}) for s in (sigma, -sigma))
        variance += ((up - down) / 2) ** 2
    return normal_part("gaps", float(np.sqrt(variance)))


def mean_of_gaps(parts: list[Part], weights: np.ndarray) -> Part:
    """Return the part of a weighted mean of units, whose gaps are independent of each other."""
    w = np.asarray(weights, np.float64) / np.sum(weights)
    return normal_part("gaps", float(np.sqrt(((w * [p.sigma for p in parts]) ** 2).sum())))
