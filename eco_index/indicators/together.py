"""Indices of changed inputs: all units of a set at once, or one with its coefficients held."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eco_index.indicators.engine import evaluate
from eco_index.indicators.result import IndexResult
from eco_index.methods import Method


def evaluate_together(
    method: Method, rows: Sequence[Mapping[str, Any]], unit_set: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """Return the indices of many units, nothing rounded; maxima over the set are found once.

    Parameters
    ----------
    method : Method
        A method of kind 'index'.
    rows : sequence of mappings
        Inputs of each unit, with the unit's own choices.
    unit_set : sequence of mappings
        As in `evaluate`.

    Returns
    -------
    numpy.ndarray
        (unit,) float64; NaN where an index is not evaluated.
    """
    out = np.full(len(rows), np.nan)
    options = _exact(method)
    held_by: dict[tuple[str, ...], Method] = {}
    for k, row in enumerate(rows):
        kind = tuple(str(row.get(name)) for name in method.choices)
        found = evaluate(held_by[kind], row, options) if kind in held_by else None
        if found is None or found.value is None:  # the unit before may lack what this one has
            found = evaluate(method, row, options, unit_set)
            held_by[kind] = _holding(method, found)
        if found.value is not None:
            out[k] = found.value
    return out


def held(method: Method, result: IndexResult) -> Callable[[Mapping[str, float]], float]:
    """Return a unit's index as a function of inputs that differ from the result's.

    Parameters
    ----------
    method : Method
        The method of the result.
    result : IndexResult
        Coefficients that were taken from a set of units stay as they were there.

    Returns
    -------
    callable
        Inputs by name to the index, not rounded; NaN where it is not evaluated.
    """
    fixed = _holding(method, result)
    options = {k: v for k, v in result.options.items() if isinstance(v, str)} | _exact(method)

    def value(changed: Mapping[str, float]) -> float:
        found = evaluate(fixed, {**result.inputs, **changed}, options).value
        return math.nan if found is None else found

    return value


def _exact(method: Method) -> dict[str, str]:
    return {"rounding": "none"} if "rounding" in method.choices else {}


def _holding(method: Method, result: IndexResult) -> Method:
    """Return the method with the coefficients that a result was evaluated with."""
    fixed = copy.copy(method)
    fixed.used = set()
    fixed.numbers = dict(method.numbers)
    for number in result.numbers:
        if number.key in fixed.numbers:
            # Where no unit has any of it the coefficient is unknown; the result stands on zero.
            known = 0.0 if number.value is None else number.value
            fixed.numbers[number.key] = replace(number, value=known)
    return fixed
