"""Compiled loop of `eco_index.analysis.residual_trend`: one least-squares fit per series."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

#: Smallest pivot of the correlation matrix: below it, predictors say the same thing.
_PIVOT = 1e-8
#: Unexplained share below which a fit is perfect; its residuals are dust of rounding.
_PERFECT = 1e-12


@njit(cache=True, nogil=True)
def _factor(r, k):  # type: ignore[no-untyped-def]
    """Cholesky factor of the first k x k of `r` in place; False where it is (nearly) singular."""
    for i in range(k):
        for j in range(i + 1):
            total = r[i, j]
            for m in range(j):
                total -= r[i, m] * r[j, m]
            if i == j:
                if total < _PIVOT:
                    return False
                r[i, i] = math.sqrt(total)
            else:
                r[i, j] = total / r[j, j]
    return True


@njit(cache=True, nogil=True)
def _solve(r, k, b, out):  # type: ignore[no-untyped-def]
    """Solve with the factor of `_factor`."""
    for i in range(k):
        total = b[i]
        for m in range(i):
            total -= r[i, m] * out[m]
        out[i] = total / r[i, i]
    for i in range(k - 1, -1, -1):
        total = out[i]
        for m in range(i + 1, k):
            total -= r[m, i] * out[m]
        out[i] = total / r[i, i]


@njit(cache=True, nogil=True)
def _standardise(x, n):  # type: ignore[no-untyped-def]
    """Standardise the first n values in place; return mean and deviation (0: all equal)."""
    low, high, mean = x[0], x[0], 0.0
    for i in range(n):
        low, high = min(low, x[i]), max(high, x[i])
        mean += x[i]
    mean /= n
    if low == high:
        return mean, 0.0
    square = 0.0
    for i in range(n):
        square += (x[i] - mean) ** 2
    sd = math.sqrt(square / (n - 1))
    if not sd > 0.0:
        return mean, 0.0
    for i in range(n):
        x[i] = (x[i] - mean) / sd
    return mean, sd


@njit(cache=True, nogil=True)
def climate_kernel(flat, drivers, years, min_years, at, out):  # type: ignore[no-untyped-def]
    """Fit every column of `flat` (time, series) on `drivers` (driver, time, series or 1).

    `out`: n, standardised coefficients (driver, series), raw coefficients, intercept, R2, separable
    share, residuals (time, series), anomalies of year `at` (1 + driver, series), studentised
    residual of that year, and whether its weather lies within that of the other years.
    """
    count, beta, slope, intercept, r2, separable, residual, anomaly, student, inside = out
    layers, series = flat.shape
    k = drivers.shape[0]
    index = np.empty(layers, np.int64)
    v, t = np.empty(layers), np.empty(layers)
    x = np.empty((k, layers))
    means, sds = np.empty(k), np.empty(k)
    r, rv, rt = np.empty((k, k)), np.empty(k), np.empty(k)
    b, g, h = np.empty(k), np.empty(k), np.empty(k)
    for s in range(series):
        n = 0
        where = -1
        for i in range(layers):
            value = float(flat[i, s])
            ok = math.isfinite(value)
            for d in range(k):
                ok = ok and math.isfinite(drivers[d, i, s if drivers.shape[2] > 1 else 0])
            if not ok:
                continue
            v[n], t[n], index[n] = value, years[i], i
            for d in range(k):
                x[d, n] = drivers[d, i, s if drivers.shape[2] > 1 else 0]
            if i == at:
                where = n
            n += 1
        count[s] = n
        beta[:, s] = np.nan
        slope[:, s] = np.nan
        anomaly[:, s] = np.nan
        residual[:, s] = np.nan
        intercept[s] = r2[s] = separable[s] = student[s] = np.nan
        inside[s] = False
        if n < min_years or n < k + 2:
            continue
        mean, sd = _standardise(v, n)
        usable = sd > 0.0
        for d in range(k):
            means[d], sds[d] = _standardise(x[d], n)
            usable = usable and sds[d] > 0.0
        if where >= 0 and sd > 0.0:
            anomaly[0, s] = v[where]
            for d in range(k):
                anomaly[1 + d, s] = x[d, where] if sds[d] > 0.0 else np.nan
        if not usable:
            continue
        _standardise(t, n)
        for d in range(k):
            rv[d] = rt[d] = 0.0
            for i in range(n):
                rv[d] += x[d, i] * v[i] / (n - 1)
                rt[d] += x[d, i] * t[i] / (n - 1)
            for e in range(d + 1):
                total = 0.0
                for i in range(n):
                    total += x[d, i] * x[e, i]
                r[d, e] = total / (n - 1)
        if not _factor(r, k):
            continue
        _solve(r, k, rv, b)
        _solve(r, k, rt, g)
        explained, shared = 0.0, 0.0
        base = mean
        for d in range(k):
            beta[d, s] = b[d]
            slope[d, s] = b[d] * sd / sds[d]
            base -= slope[d, s] * means[d]
            shared += g[d] * rt[d]
        intercept[s] = base
        separable[s] = min(max(1.0 - shared, 0.0), 1.0)
        left = 0.0
        for i in range(n):
            e = v[i]
            for d in range(k):
                e -= b[d] * x[d, i]
            left += e * e
            residual[index[i], s] = e * sd
        explained = 1.0 - left / (n - 1)
        perfect = left / (n - 1) < _PERFECT
        r2[s] = 1.0 if perfect else max(explained, 0.0)
        if perfect:
            for i in range(n):
                residual[index[i], s] = 0.0
        if where < 0:
            continue
        inside[s] = True
        for d in range(k):
            low, high = np.inf, -np.inf
            for i in range(n):
                if i != where:
                    low, high = min(low, x[d, i]), max(high, x[d, i])
            inside[s] = inside[s] and low <= x[d, where] <= high
        if perfect:
            student[s] = 0.0
            continue
        for d in range(k):
            rv[d] = x[d, where]
        _solve(r, k, rv, h)
        leverage = 1.0 / n
        for d in range(k):
            leverage += h[d] * rv[d] / (n - 1)
        free = n - k - 2
        e = residual[at, s] / sd
        if free < 1 or leverage >= 1.0 - 1e-12:
            continue
        variance = (left - e * e / (1.0 - leverage)) / free
        if variance > _PERFECT:
            student[s] = e / math.sqrt(variance * (1.0 - leverage))
        elif e != 0.0:
            student[s] = math.copysign(np.inf, e)
