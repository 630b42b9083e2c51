"""Interval of a Theil-Sen slope, with the variance that the trend test used."""

from __future__ import annotations

import math

import numpy as np

from eco_index.errors import InputError
from eco_index.trends import Correction, Trends, trends


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
        (time,), strictly ascending.
    found : Trends
        Of the same stack with the same correction.
    confidence : float
        0-1.
    correction : {'none', 'hamed_rao', 'yue_wang'}
        As `found` was made with.

    Returns
    -------
    tuple of numpy.ndarray
        float64 (zone,), in the stack's unit per year; NaN where the slope was not tested.

    Raises
    ------
    InputError
        Shapes that do not fit, a confidence outside 0-1.

    Notes
    -----
    Sen 1968; Gilbert 1987, section 16.5: of the N ordered slopes of pairs of years, those of ranks
    (N - C)/2 and (N + C)/2, C = z sqrt(var S). Between ranks the nearest counts, as in
    `scipy.stats.theilslopes`. Where S is -1, 0 or 1 the test hides its variance; it is then found
    from the series with a steep line added, which leaves the detrended values as they are.
    """
    from scipy.special import ndtri

    if stack.ndim != 2 or found.slope.shape != stack.shape[1:]:
        raise InputError(f"The stack has shape {stack.shape}, the trends {found.slope.shape}.")
    if not 0 < confidence < 1:
        raise InputError(f"The confidence is {confidence}.", rule="between 0 and 1")
    z = float(ndtri(0.5 + confidence / 2))
    axis = np.asarray(years, np.float64)
    low, high = (np.full(stack.shape[1], np.nan) for _ in range(2))
    for k in range(stack.shape[1]):
        if math.isnan(found.z[k]):
            continue
        ok = np.isfinite(stack[:, k])
        x, t = stack[ok, k].astype(np.float64), axis[ok]
        i, j = np.triu_indices(x.size, 1)
        slopes = np.sort((x[j] - x[i]) / (t[j] - t[i]))
        c = z * math.sqrt(_variance(x, found, k, correction))
        first = int(np.round((slopes.size - c) / 2)) - 1
        last = int(np.round((slopes.size + c) / 2))
        low[k], high[k] = slopes[max(first, 0)], slopes[min(last, slopes.size - 1)]
    return low, high


def _variance(x: np.ndarray, found: Trends, k: int, correction: Correction) -> float:
    """Return the variance of Kendall's S that the test of series k used."""
    n = x.size
    s = round(found.tau[k] * n * (n - 1) / 2)
    if abs(s) > 1:
        return float(((abs(s) - 1) / found.z[k]) ** 2)
    _, ties = np.unique(x, return_counts=True)
    plain = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    if correction == "none":
        return plain
    steep = 10 * (float(np.ptp(x)) or 1.0)
    index = np.arange(n)
    lined = trends((x + steep * index)[:, None], index, correction=correction, min_years=4)
    if math.isnan(lined.z[0]):
        return plain
    most = n * (n - 1) / 2
    inflation = ((most - 1) / lined.z[0]) ** 2 / (n * (n - 1) * (2 * n + 5) / 18)
    return plain * float(inflation)
