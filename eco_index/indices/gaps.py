"""Temporal interpolation of monthly composites: a product of its own, never mixed with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eco_index import kernel_gaps
from eco_index.errors import InputError

VERSION = 1  # changes when results change: goes into digests


def fill_months(
    months: Sequence[np.ndarray], max_gap: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Fill months without a clear observation linearly between their neighbours.

    Parameters
    ----------
    months : sequence of int16[h, w]
        Consecutive months of a year, stored values; -32768 where missing. Months count as equally
        long.
    max_gap : int
        Longest run of missing months that is filled, at least 1.

    Returns
    -------
    filled : list of int16[h, w]
        Observed values unchanged; interpolated ones where a run of at most `max_gap` missing months
        lies between two observed ones; else -32768. Nothing is ever extrapolated.
    flags : list of uint8[h, w]
        0 observed, 1 interpolated, 255 missing.

    Raises
    ------
    InputError
        `max_gap` below 1; months of unlike shape or type.
    """
    if max_gap < 1:
        raise InputError(f"a maximum gap of {max_gap} months", rule="at least 1 month")
    kinds = {(m.shape, m.dtype) for m in months}
    if len(kinds) > 1 or any(m.dtype != np.int16 for m in months):
        raise InputError(
            f"months of unlike kind: {sorted(map(str, kinds))}", rule="int16 of one shape"
        )
    if not months:
        return [], []
    stack = np.stack(months)
    filled, flags = np.empty_like(stack), np.empty(stack.shape, np.uint8)
    kernel_gaps.fill_gaps(stack, max_gap, filled, flags)
    return list(filled), list(flags)
