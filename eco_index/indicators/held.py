"""A result as a function of its inputs: the same coefficients and choices, nothing rounded."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from eco_index.indicators.engine import evaluate
from eco_index.indicators.result import IndexResult
from eco_index.methods import Method


def held(method: Method, result: IndexResult) -> Callable[[Mapping[str, float]], float]:
    """Return the index as a function of inputs that differ from the result's.

    Parameters
    ----------
    method : Method
        The method of the result.
    result : IndexResult
        Coefficients that were taken from a set of units stay as they were there.

    Returns
    -------
    callable
        Inputs by name to the index; NaN where it is not evaluated.
    """
    fixed = copy.copy(method)
    fixed.used = set()
    fixed.numbers = dict(method.numbers)
    for number in result.numbers:
        if number.key in fixed.numbers:
            # Where no unit has any of it the coefficient is unknown; the result stands on zero.
            known = 0.0 if number.value is None else number.value
            fixed.numbers[number.key] = replace(number, value=known)
    options = {k: v for k, v in result.options.items() if isinstance(v, str)}
    if "rounding" in options:
        options["rounding"] = "none"

    def value(changed: Mapping[str, float]) -> float:
        found = evaluate(fixed, {**result.inputs, **changed}, options).value
        return math.nan if found is None else found

    return value
