"""Interval of a Theil-Sen slope over years that may depend on each other."""

from __future__ import annotations

import math

import numpy as np

from eco_index.analysis.autocorrelation import contrast_half_width
from eco_index.errors import InputError
from eco_index.trends import Correction, Trends

#: Fewest years with a value for an interval.
LEAST = 4


def slope_interval(
    stack: np.ndarray,
    years: np.ndarray,
    found: Trends,
    *,
    confidence: float = 0.95,
    correction: Correction = "hamed_rao",
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper ends of the intervals of slopes.

    Parameters
    ----------
    stack : numpy.ndarray
        (time, zone) float; NaN is missing.
    years : numpy.ndarray
        (time,), whole years, strictly ascending.
    found : Trends
        Of the same stack.
    confidence : float
        0-1.
    correction : {'none', 'hamed_rao', 'yue_wang'}
        Of the trend test: 'none' declares that years are independent.

    Returns
    -------
    tuple of numpy.ndarray
        float64 (zone,), in the stack's unit per year; NaN where there is no slope.

    Raises
    ------
    InputError
        Shapes that do not fit, a confidence outside 0-1.

    Notes
    -----
    Independent years (Sen 1968; Gilbert 1987, section 16.5): of the N ordered slopes of pairs of
    years, those of ranks (N - C)/2 and (N + C)/2, C = z sqrt(var S). Between ranks the nearest
    counts, as in `scipy.stats.theilslopes`.

    Else slope +- h, with h that of a straight line whose first-order autocorrelation is weighed by
    its likelihood (`autocorrelation`). The corrected variance of the test is of no use here: with
    25 years and an autocorrelation of 0.3 the ranks it gives hold the true slope in 84 %, these
    ends in 97 %.
    """
    if stack.ndim != 2 or found.slope.shape != stack.shape[1:]:
        raise InputError(f"The stack has shape {stack.shape}, the trends {found.slope.shape}.")
    if not 0 < confidence < 1:
        raise InputError(f"The confidence is {confidence}.", rule="between 0 and 1")
    axis = np.asarray(years, np.float64)
    ends = np.full((2, stack.shape[1]), np.nan)
    for k, slope in enumerate(found.slope):
        ok = np.isfinite(stack[:, k])
        if math.isnan(slope) or ok.sum() < LEAST:
            continue
        x, t = stack[ok, k].astype(np.float64), axis[ok]
        if correction == "none":
            ends[:, k] = _ranks(x, t, confidence)
        else:
            half = _half(x, t, confidence)
            ends[:, k] = slope - half, slope + half
    return ends[0], ends[1]


def _ranks(x: np.ndarray, t: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return Sen's interval."""
    from scipy.special import ndtri

    n = x.size
    i, j = np.triu_indices(n, 1)
    slopes = np.sort((x[j] - x[i]) / (t[j] - t[i]))
    _, ties = np.unique(x, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    c = float(ndtri(0.5 + confidence / 2)) * math.sqrt(variance)
    first = int(np.round((slopes.size - c) / 2)) - 1
    last = int(np.round((slopes.size + c) / 2))
    return float(slopes[max(first, 0)]), float(slopes[min(last, slopes.size - 1)])


def _half(x: np.ndarray, t: np.ndarray, confidence: float) -> float:
    """Return half the interval of the slope of a line; 0 where the years lie on one."""
    centred = t - t.mean()
    weights = centred / (centred @ centred)
    rests = x - x.mean() - (weights @ x) * centred
    if np.abs(rests).max() <= 1e-12 * np.abs(x).max():
        return 0.0
    table = np.column_stack([np.ones(x.size), centred])
    return contrast_half_width(x, t, table, weights, confidence)[0]
