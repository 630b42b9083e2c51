"""Intervals of differences of means and of slopes over years that depend on each other.

A dozen years cannot tell how strong their autocorrelation is. So no single value is taken: all
values from -0.1 to 0.8 are weighed by their restricted likelihood (Harville 1974,
Biometrika 61, 383-385), and the interval is that of the mixture. An estimate put in instead covers
far too seldom.
"""

from __future__ import annotations

import math

import numpy as np

#: Values of the first-order autocorrelation that are weighed, alike before the data are seen.
GRID = np.linspace(-0.1, 0.8, 10)


def half_width(
    series: np.ndarray,
    years: np.ndarray,
    after: np.ndarray,
    confidence: float,
    grid: np.ndarray = GRID,
) -> tuple[float, float]:
    """Return half the interval of mean(after) - mean(before), and the mean autocorrelation.

    Parameters
    ----------
    series : numpy.ndarray
        (year,), finite.
    years : numpy.ndarray
        (year,), ascending; years that are not there lower the correlation across the gap.
    after : numpy.ndarray
        bool (year,).
    confidence : float
        0-1.
    grid : numpy.ndarray
        Autocorrelations; [0] gives the pooled t interval.

    Returns
    -------
    tuple of float
        (NaN, NaN) below three years, or where all years of each phase are equal.

    Notes
    -----
    `contrast_half_width` with X = (1, after) and the weights of the difference.
    """
    n = series.size
    weights = np.where(after, 1 / max(after.sum(), 1), -1 / max((~after).sum(), 1))
    rests = series - np.where(after, series[after].mean(), series[~after].mean())
    if n < 3 or not np.abs(rests).max() > 1e-12 * np.abs(series).max():
        return math.nan, math.nan
    table = np.column_stack([np.ones(n), after.astype(float)])
    return contrast_half_width(series, years, table, weights, confidence, grid)


def contrast_half_width(
    series: np.ndarray,
    years: np.ndarray,
    table: np.ndarray,
    weights: np.ndarray,
    confidence: float,
    grid: np.ndarray = GRID,
) -> tuple[float, float]:
    """Return half the interval of ``weights @ series``, and the mean autocorrelation.

    Parameters
    ----------
    series, years : numpy.ndarray
        (year,), finite; not a linear combination of the table's columns.
    table : numpy.ndarray
        (year, term), what the expectation of the series is made of; fewer terms than years.
    weights : numpy.ndarray
        (year,).
    confidence : float
        0-1.
    grid : numpy.ndarray
        Autocorrelations that are weighed.

    Notes
    -----
    With X the table, V_ij = rho^|year_i - year_j| and c the weights: given rho the figure has
    Student's distribution with n - terms degrees of freedom and scale sqrt(s^2 c'Vc),
    s^2 = r'V^-1 r / (n - terms), r the rests of generalised least squares.
    """
    from scipy.optimize import brentq
    from scipy.special import stdtr, stdtrit

    free = series.size - table.shape[1]
    apart = np.abs(years[:, None] - years[None, :]).astype(np.int64)
    logs, scales = np.empty(grid.size), np.empty(grid.size)
    for k, rho in enumerate(grid):
        v = float(rho) ** apart
        root = np.linalg.cholesky(v)
        x, y = np.linalg.solve(root, table), np.linalg.solve(root, series)
        q, r = np.linalg.qr(x)
        left = y - q @ (q.T @ y)
        square = float(left @ left)
        logs[k] = -np.log(np.abs(np.diag(root))).sum() - np.log(np.abs(np.diag(r))).sum()
        logs[k] -= free / 2 * math.log(square)
        scales[k] = math.sqrt(square / free * float(weights @ v @ weights))
    share = np.exp(logs - logs.max())
    share /= share.sum()
    level = 0.5 + confidence / 2
    t = float(stdtrit(free, level))
    low, high = t * scales.min(), t * scales.max()
    if high > low * (1 + 1e-12):
        high = brentq(lambda h: float(share @ stdtr(free, h / scales)) - level, low, high)
    return high, float(share @ grid)
