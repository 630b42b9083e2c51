"""Compiled loops of `soil_chain`: row by row in short loops without branches (vector code)."""

# mypy: disable-error-code="assignment, no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from eco_index.indices.vector_math import exp, log

DRY = 5  # code of dry cropland


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _slope_row(above, here, below, dx, dy, out):
    """Fill a row with the sine of the slope; return how many elevations were out of range.

    sin(arctan g) is g/√(1 + g²). The row's border is checked by the block it belongs to.
    """
    bad = 0
    for j in range(out.size):
        a, b, c = np.float64(above[j]), np.float64(above[j + 1]), np.float64(above[j + 2])
        d, e, f = np.float64(here[j]), np.float64(here[j + 1]), np.float64(here[j + 2])
        g, h, i = np.float64(below[j]), np.float64(below[j + 1]), np.float64(below[j + 2])
        bad += (e < -500.0) | (e > 9000.0)
        east = ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * dx)
        south = ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * dy)
        square = east * east + south * south
        sine = np.sqrt(square / (1.0 + square))
        out[j] = sine if e == e else np.nan
    return bad


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _potential_row(r, k, log_length, n, out):
    """Turn sines into R K L S; return how many inputs were out of range."""
    bad = 0
    one, two, three = np.sin(np.radians(n[5])), np.sin(np.radians(n[6])), np.sin(np.radians(n[7]))
    for j in range(out.size):
        rr, kk, sine = np.float64(r[j]), np.float64(k[j]), out[j]
        bad += (rr < 0.0) | (rr > 1e5) | (kk < 0.0) | (kk > 0.2)
        beta = (sine / n[1]) / (n[2] * exp(n[3] * log(sine)) + n[4])
        length = exp(beta / (1.0 + beta) * log_length)
        steep = n[16]
        steep = n[10] * sine + n[13] if sine < three else steep
        steep = n[9] * sine + n[12] if sine < two else steep
        steep = n[8] * sine + n[11] if sine < one else steep
        out[j] = rr * kk * length * steep
    return bad


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _cover_row(covers, kinds, limits, table, dry, n, out):
    """Fill a row with the factor C; return how many inputs were out of range."""
    bad = 0
    last = table.shape[0] - 1
    per_log = n[15] / np.log(10.0)
    for j in range(out.size):
        c = n[14] + per_log * log(np.float64(covers[j]))
        c = 0.0 if c < 0.0 else c
        dry[j] = 1.0 if c > 1.0 else c
    for j in range(out.size):
        share, kind = np.float64(covers[j]), np.int64(kinds[j])
        wrong = (kind < 0) | (kind > last)
        bad += wrong | (share < 0.0) | (share > 1.0)
        kind = 0 if wrong else kind
        column = 0
        for limit in limits:
            column += share >= limit
        c = dry[j] if kind == DRY else table[kind, column]
        out[j] = np.nan if (kind >= DRY) & (share != share) else c
    return bad


@numba.njit(nogil=True, cache=True)
def retention(z, r, k, types, cover, size, n, limits, table, out):
    """Fill `out` (of any float type) with t/(hm² a); return how many inputs were out of range."""
    dx, dy, length = size
    log_length = np.log(length / n[0])
    bad = 0
    height, width = out.shape
    dry, c, row = np.empty(width), np.empty(width), np.empty(width)
    for i in range(height):
        bad += _slope_row(z[i], z[i + 1], z[i + 2], dx, dy, row)
        bad += _potential_row(r[i], k[i], log_length, n, row)
        bad += _cover_row(cover[i], types[i], limits, table, dry, n, c)
        for j in range(width):
            out[i, j] = row[j] - row[j] * c[j]
    return bad
