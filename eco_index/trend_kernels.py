"""Compiled loops of `eco_index.trends`: one pass per series, small work arrays."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

NOT_TESTED = np.int8(-128)
#: Bound of a significant rank autocorrelation is this over sqrt(n): 95 %, two-sided.
_Z95 = 1.959963984540054


@njit(cache=True, nogil=True)
def _select(values, n, k):  # type: ignore[no-untyped-def]
    """Return the k-th smallest of the first n values, which are reordered around it.

    Partitions without a branch that depends on the data; equal values are split off in a second
    pass, so ties cost nothing more.
    """
    low, high = 0, n
    while high - low > 1:
        a, b, c = values[low], values[(low + high) // 2], values[high - 1]
        pivot = max(min(a, b), min(max(a, b), c))
        split = low
        for i in range(low, high):
            value = values[i]
            values[i] = values[split]
            values[split] = value
            split += value < pivot
        if k < split:
            high = split
            continue
        low = split
        for i in range(low, high):
            value = values[i]
            values[i] = values[split]
            values[split] = value
            split += value <= pivot
        if k < split:
            return pivot
        low = split
    return values[low]


@njit(cache=True, nogil=True)
def _median(values, n):  # type: ignore[no-untyped-def]
    upper = _select(values, n, n // 2)
    if n % 2:
        return upper
    lower = values[0]
    for i in range(1, n // 2):
        lower = max(lower, values[i])
    return (lower + upper) / 2


@njit(cache=True, nogil=True)
def _tie_sum(x, n):  # type: ignore[no-untyped-def]
    """Return the sum over groups of t equal values of t (t - 1) (2 t + 5)."""
    total = 0
    for i in range(n):
        t = 0
        for j in range(n):
            t += x[j] == x[i]
        total += (t - 1) * (2 * t + 5)  # each of the t members adds its share
    return float(total)


@njit(cache=True, nogil=True)
def _ranks(x, n, out):  # type: ignore[no-untyped-def]
    """Write the average ranks of the first n values."""
    for i in range(n):
        less, equal = 0, 0
        for j in range(n):
            less += x[j] < x[i]
            equal += x[j] == x[i]
        out[i] = less + (equal + 1) / 2


@njit(cache=True, nogil=True)
def _inflation(x, n, correction, lags, y, c):  # type: ignore[no-untyped-def]
    """Return the factor of the variance from detrended values (or ranks); y, c are work arrays."""
    if correction == 1:
        _ranks(x, n, y)
    else:
        y[:n] = x[:n]
    mean = 0.0
    for i in range(n):
        mean += y[i]
    mean /= n
    last = min(n - 1, lags)
    for i in range(n):
        y[i] -= mean
        c[i] = 0.0
    for i in range(n):
        for lag in range(min(last, n - 1 - i) + 1):
            c[lag] += y[i] * y[i + lag]
    if c[0] == 0.0:
        return np.nan
    bound = _Z95 / math.sqrt(n)
    total = 0.0
    for lag in range(1, last + 1):
        r = c[lag] / c[0]
        if correction == 2:
            total += (1.0 - lag / n) * r
        elif abs(r) > bound:
            total += (n - lag) * (n - lag - 1.0) * (n - lag - 2.0) * r
    if correction == 2:
        return 1.0 + 2.0 * total
    return 1.0 + 2.0 / (n * (n - 1.0) * (n - 2.0)) * total


@njit(cache=True, nogil=True)
def trend_kernel(  # type: ignore[no-untyped-def]
    flat, years, use_fill, fill, correction, lags, min_years, limits, out
):
    """Fill `out` (slope, p, z, tau, n, class) for every column of `flat` (time, series)."""
    slope, p, z, tau, count, classes = out
    layers, series = flat.shape
    x, t, y, c = np.empty(layers), np.empty(layers), np.empty(layers), np.empty(layers)
    pairs = np.empty(max(layers * (layers - 1) // 2, 1))
    for k in range(series):
        n = 0
        for i in range(layers):
            value = flat[i, k]
            if (use_fill and value == fill) or not math.isfinite(value):
                continue
            x[n], t[n] = value, years[i]
            n += 1
        count[k] = n
        slope[k] = p[k] = z[k] = tau[k] = np.nan
        classes[k] = NOT_TESTED
        if n < min_years:
            continue
        s, m, ties = 0, 0, 0
        for i in range(n - 1):
            for j in range(i + 1, n):
                d = x[j] - x[i]
                s += int(d > 0.0) - int(d < 0.0)
                ties += int(d == 0.0)
                pairs[m + j - i - 1] = d / (t[j] - t[i])
            m += n - 1 - i
        slope[k] = _median(pairs, m)
        tau[k] = s / (0.5 * n * (n - 1))
        variance = n * (n - 1.0) * (2.0 * n + 5.0)
        if ties > 0:
            variance -= _tie_sum(x, n)
        variance /= 18.0
        if s == 0:
            z[k], p[k], classes[k] = 0.0, 1.0, 0
            continue
        if correction > 0:
            for i in range(n):
                x[i] -= (i + 1) * slope[k]
            variance *= _inflation(x, n, correction, lags, y, c)
        if not variance > 0.0:
            continue
        score = (s - 1 if s > 0 else s + 1) / math.sqrt(variance)
        z[k] = score
        p[k] = math.erfc(abs(score) / math.sqrt(2.0))
        level = 0
        for limit in limits:
            level += abs(score) > limit
        classes[k] = level if score > 0 else -level


@njit(cache=True, nogil=True)
def line_kernel(  # type: ignore[no-untyped-def]
    flat, years, use_fill, fill, min_years, slope, intercept, r2, count
):
    """Fit a straight line to every column of `flat` (time, series)."""
    layers, series = flat.shape
    x, t = np.empty(layers), np.empty(layers)
    for k in range(series):
        n, mean_x, mean_t = 0, 0.0, 0.0
        for i in range(layers):
            value = flat[i, k]
            if (use_fill and value == fill) or not math.isfinite(value):
                continue
            x[n], t[n] = value, years[i]
            mean_x += x[n]
            mean_t += t[n]
            n += 1
        count[k] = n
        slope[k] = intercept[k] = r2[k] = np.nan
        if n < min_years:
            continue
        mean_x /= n
        mean_t /= n
        tt, tx, xx = 0.0, 0.0, 0.0
        constant = True
        for i in range(n):
            dt, dx = t[i] - mean_t, x[i] - mean_x
            tt += dt * dt
            tx += dt * dx
            xx += dx * dx
            constant &= x[i] == x[0]
        slope[k] = 0.0 if constant else tx / tt
        intercept[k] = x[0] if constant else mean_x - slope[k] * mean_t
        if not constant:
            r2[k] = tx * tx / (tt * xx)
