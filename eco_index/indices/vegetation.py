"""Vegetation: NDVI, its seasonal maximum and mean, and vegetation cover. Pure functions on arrays.

Functions named ``stored_*`` work on the cube's integers (`eco_index.products`) and are exact:
the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from eco_index.errors import UsageError
from eco_index.products import PRODUCTS

VERSION = 1  # changes when results change

NDVI_FILL = -32768
FVC_FILL = 65535
assert PRODUCTS["ndvi_max"].fill == NDVI_FILL and PRODUCTS["fvc"].fill == FVC_FILL

_jit = njit(nogil=True, cache=True)  # whole numbers only: nothing rounds

_BRIGHTEST = 2.0  # snow and sun glint pass 1; values far beyond it are not reflectances


def ndvi(red: Any, nir: Any) -> Any:
    """Normalised difference vegetation index of surface reflectances.

    Parameters
    ----------
    red, nir : array (NumPy, Dask or xarray)
        Reflectance, 0-1. Negative values (over-corrected atmosphere) count as 0.

    Returns
    -------
    array
        -1 to 1; NaN where an input is NaN or both are 0.

    Raises
    ------
    UsageError
        NumPy input far above 1: stored integers were given instead of reflectances.

    Notes
    -----
    Rouse et al. (1974), Monitoring vegetation systems in the Great Plains with ERTS.
    """
    for name, values in (("red", red), ("nir", nir)):
        if isinstance(values, np.ndarray) and values.size and np.nanmax(values) > _BRIGHTEST:
            raise UsageError(
                f"'{name}' reaches {np.nanmax(values):g}: not a reflectance",
                rule="reflectance is a share, 0-1; scale and offset come from the catalogue",
            )
    red, nir = red.clip(0.0), nir.clip(0.0)
    total = nir + red
    with np.errstate(divide="ignore", invalid="ignore"):
        return (nir - red) / total


def fvc(ndvi_max: Any, ndvi_soil: float, ndvi_veg: float) -> Any:
    """Fractional vegetation cover by the dimidiate pixel model.

    Parameters
    ----------
    ndvi_max : array
        Maximum NDVI of the period, -1 to 1.
    ndvi_soil, ndvi_veg : float
        NDVI of bare soil and of full cover.

    Returns
    -------
    array
        0 to 1: (NDVI - NDVI_soil) / (NDVI_veg - NDVI_soil), limited to that range.

    Raises
    ------
    UsageError
        End members in the wrong order.

    Notes
    -----
    HJ 1172-2021, eq. B.4.
    """
    if not ndvi_veg > ndvi_soil:
        raise UsageError(
            f"NDVI of full vegetation ({ndvi_veg}) does not exceed that of soil ({ndvi_soil})",
            where="end members of the dimidiate pixel model",
        )
    return ((ndvi_max - ndvi_soil) / (ndvi_veg - ndvi_soil)).clip(0.0, 1.0)


def stored_fvc(ndvi_max: np.ndarray, ndvi_soil: float, ndvi_veg: float) -> np.ndarray:
    """Vegetation cover x 1e4 (uint16, 65535 missing) of stored maximum NDVI (int16)."""
    every = np.arange(-32768, 32768, dtype=np.int32)
    share = fvc(every / 10000.0, ndvi_soil, ndvi_veg)
    table = np.floor(share * 10000.0 + 0.5).astype(np.uint16)
    table[0] = FVC_FILL  # -32768: no clear observation
    out = np.empty(ndvi_max.shape, np.uint16)
    _look_up(ndvi_max, table, out)
    return out


@_jit
def _look_up(values: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            out[y, x] = table[np.int32(values[y, x]) + 32768]


def stored_maximum(months: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Highest of monthly maxima (int16, -32768 missing); missing months do not count."""
    out = np.full(shape, NDVI_FILL, np.int16)
    for month in months:
        np.maximum(out, month, out=out)
    return out


def stored_mean(
    months: Sequence[np.ndarray], shape: tuple[int, int], min_months: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over months of monthly maximum NDVI.

    Parameters
    ----------
    months : sequence of int16[h, w]
        Monthly maxima x 1e4, -32768 missing.
    shape : tuple of int
        (h, w), for a season without months.
    min_months : int
        Months with a clear observation that a mean needs.

    Returns
    -------
    mean : int16[h, w]
        x 1e4, rounded half away from zero; -32768 where fewer months are clear.
    valid_months : uint8[h, w]
        Months with a clear observation.
    """
    total = np.zeros(shape, np.int32)
    count = np.zeros(shape, np.uint8)
    for month in months:
        _add_valid(month, total, count)
    mean = np.empty(shape, np.int16)
    _divide(total, count, max(1, min_months), mean)
    return mean, count


@_jit
def _add_valid(month: np.ndarray, total: np.ndarray, count: np.ndarray) -> None:
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            valid = month[y, x] != NDVI_FILL
            total[y, x] += np.int32(month[y, x]) if valid else np.int32(0)
            count[y, x] += np.uint8(valid)


@_jit
def _divide(total: np.ndarray, count: np.ndarray, least: int, mean: np.ndarray) -> None:
    """Round half away from zero; missing below `least` months."""
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            n = np.int32(count[y, x])
            if n < least:
                mean[y, x] = NDVI_FILL
                continue
            size = (2 * abs(total[y, x]) + n) // (2 * n)
            mean[y, x] = -size if total[y, x] < 0 else size


def stored_count(months: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Sum of monthly counts (uint16), held at 65535 should it ever be passed."""
    total = np.zeros(shape, np.uint16)
    for month in months:
        _add_held(month, total)
    return total


@_jit
def _add_held(month: np.ndarray, total: np.ndarray) -> None:
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            total[y, x] = min(np.uint32(total[y, x]) + np.uint32(month[y, x]), np.uint32(65535))
