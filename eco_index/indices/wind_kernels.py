"""Compiled loops of `wind_chain`: row by row in short loops without branches (vector code)."""

# mypy: disable-error-code="assignment, no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from eco_index.indices.vector_math import exp, log


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _soil_row(sands, silts, clays, organics, n, out):
    """Fill a row with EF times SCF; return how many inputs were out of range."""
    bad = 0
    for j in range(out.size):
        sand, silt = np.float64(sands[j]), np.float64(silts[j])
        clay, organic = np.float64(clays[j]), np.float64(organics[j])
        wrong = (sand < 0.0) | (sand > 100.0) | (silt < 0.0) | (silt > 100.0) | (clay < 0.0)
        wrong |= (clay > 100.0) | (abs(sand + silt + clay - 100.0) > 2.0)
        wrong |= (organic < 0.0) | (organic > 100.0)
        bad += wrong
        ef = n[0] + n[1] * sand + n[2] * silt + n[3] * (sand / clay)
        ef = (ef + n[4] * organic) / 100.0
        ef = 0.0 if ef < 0.0 else ef
        ef = 1.0 if ef > 1.0 else ef
        ef = ef if clay > 0.0 else np.nan
        out[j] = ef / (1.0 + n[6] * clay * clay + n[7] * organic * organic)
    return bad


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _site_row(weather, reliefs, n, out):
    """Multiply a row by WF and K'; return how many inputs were out of range."""
    bad = 0
    for j in range(out.size):
        wf, relief = np.float64(weather[j]), np.float64(reliefs[j])
        bad += (wf < 0.0) | (wf > 1e6) | (relief < 0.0) | (relief > 9000.0)
        kr = n[8] * relief * relief / n[12]
        rough = n[9] * kr + n[10] * exp(n[11] * log(kr))
        rough = exp(0.0 if rough > 0.0 else rough)
        out[j] = wf * out[j] * rough
    return bad


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _cover_row(covers, kinds, rates, out):
    """Fill a row with ln C; return how many inputs were out of range."""
    bad = 0
    last = rates.size - 1
    for j in range(out.size):
        share, kind = np.float64(covers[j]), np.int64(kinds[j])
        wrong = (kind < 0) | (kind > last)
        bad += wrong | (share < 0.0) | (share > 1.0)
        out[j] = -rates[0 if wrong else kind] * 100.0 * share
    return bad


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _loss_row(products, log_c, n, out):
    """Fill a row with fixation from potential products."""
    z, power = n[16], -n[15]
    base, factor = z / n[14], 1000.0 * 2.0 / z * n[13]
    for j in range(out.size):
        r = base * exp(power * log(products[j]))
        a = r * exp(power * log_c[j])
        r, a = r * r, a * a
        out[j] = factor * products[j] * (r * exp(-r) - a * exp(-a) * exp(log_c[j]))


@numba.njit(nogil=True, cache=True)
def fixation(maps, types, rates, n, out):
    """Fill `out` (of any float type) with t/(km² a); return how many inputs were out of range."""
    weather, sand, silt, clay, organic, relief, cover = maps
    bad = 0
    log_c, row = np.empty(out.shape[1]), np.empty(out.shape[1])
    for i in range(out.shape[0]):
        bad += _soil_row(sand[i], silt[i], clay[i], organic[i], n, row)
        bad += _site_row(weather[i], relief[i], n, row)
        bad += _cover_row(cover[i], types[i], rates, log_c)
        _loss_row(row, log_c, n, out[i])
    return bad
