"""Compiled loops of RSEI: its four inputs in whole steps, their sums, and the score of a pixel.

Inputs are rounded to steps (1e-4 of an index, 0.01 K), so that histograms and sums are whole
numbers and merge exactly, whatever the blocks.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MISSING = -(2**31)
INDEX_STEPS, KELVIN_STEPS = 10_000, 100
UNIT = 100_000  # steps of an input scaled to 0–1


@njit(cache=True, nogil=True)
def add_weighted(band, weight, low, high, out):  # type: ignore[no-untyped-def]
    """Add ``weight * band`` to ``out``; negative reflectance counts as 0. Returns what is odd.

    Returns
    -------
    count, smallest, largest
        Of the values outside `low` … `high` (or infinite): no reflectance.
    """
    odd, least, most = 0, np.inf, -np.inf
    for i in range(band.size):
        value = np.float64(band[i])
        if value < low or value > high:
            odd += 1
            least, most = min(least, value), max(most, value)
        out[i] += weight * max(value, 0.0) if value == value else np.nan
    return odd, least, most


@njit(cache=True, nogil=True)
def _steps(value, steps):  # type: ignore[no-untyped-def]
    return np.int32(np.floor(value * steps + 0.5))


@njit(cache=True, nogil=True)
def components(blue, green, red, nir, swir1, lst, wet, water_above, out):  # type: ignore[no-untyped-def]
    """NDVI, WET, LST and NDBSI of each pixel in steps; `MISSING` in all four where one is missing.

    Parameters
    ----------
    blue, green, red, nir, swir1, lst, wet : float[n]
        Reflectance 0–1, kelvin, wetness.
    water_above : float
        Pixels whose MNDWI exceeds it are left out.
    out : int32[4, n]
        Filled.

    Returns
    -------
    int
        Pixels left out as water.
    """
    water = 0
    for i in range(blue.size):
        for k in range(4):
            out[k, i] = MISSING
        b, g = max(np.float64(blue[i]), 0.0), max(np.float64(green[i]), 0.0)
        r, n = max(np.float64(red[i]), 0.0), max(np.float64(nir[i]), 0.0)
        s, t, w = max(np.float64(swir1[i]), 0.0), np.float64(lst[i]), wet[i]
        # max() above may swallow NaN: the plain values decide.
        if not (blue[i] == blue[i] and green[i] == green[i] and red[i] == red[i]):
            continue
        if not (nir[i] == nir[i] and swir1[i] == swir1[i] and t == t and w == w):
            continue
        if n + r <= 0.0 or g + s <= 0.0 or n + s <= 0.0 or s + r + n + b <= 0.0:
            continue
        if (g - s) / (g + s) > water_above:
            water += 1
            continue
        soil = ((s + r) - (n + b)) / ((s + r) + (n + b))
        built = 2.0 * s / (s + n)
        other = n / (n + r) + g / (g + s)
        if built + other <= 0.0:
            continue
        out[0, i] = _steps((n - r) / (n + r), INDEX_STEPS)
        out[1, i] = _steps(w, INDEX_STEPS)
        out[2, i] = _steps(t, KELVIN_STEPS)
        out[3, i] = _steps(0.5 * (soil + (built - other) / (built + other)), INDEX_STEPS)
    return water


@njit(cache=True, nogil=True)
def count_steps(values, low, counts):  # type: ignore[no-untyped-def]
    """Add the histogram of one input (int32[n]) to `counts`; bin 0 holds the step `low`."""
    for i in range(values.size):
        if values[i] != MISSING:
            counts[values[i] - low] += 1


@njit(cache=True, nogil=True, inline="always")
def _scaled(step, low, high):  # type: ignore[no-untyped-def]
    """Scale a step to 0…UNIT, rounded half up, clipped."""
    span = high - low
    x = min(max(np.int64(step), low), high) - low
    return (2 * x * UNIT + span) // (2 * span)


@njit(cache=True, nogil=True)
def add_moments(steps, low, high, sums, products):  # type: ignore[no-untyped-def]
    """Add sums (int64[4]) and sums of products (int64[4, 4]) of scaled inputs; return the count."""
    n = 0
    x = np.empty(4, np.int64)
    for i in range(steps.shape[1]):
        if steps[0, i] == MISSING:
            continue
        n += 1
        for k in range(4):
            x[k] = _scaled(steps[k, i], low[k], high[k])
            sums[k] += x[k]
            for j in range(k + 1):
                products[k, j] += x[k] * x[j]
    return n


@njit(cache=True, nogil=True)
def scores(steps, low, high, loadings, out):  # type: ignore[no-untyped-def]
    """Score of the first component (float64[n]); NaN where missing."""
    for i in range(steps.shape[1]):
        if steps[0, i] == MISSING:
            out[i] = np.nan
            continue
        total = 0.0
        for k in range(4):
            total += loadings[k] * (_scaled(steps[k, i], low[k], high[k]) / UNIT)
        out[i] = total
