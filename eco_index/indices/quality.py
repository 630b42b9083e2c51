"""Ecosystem quality of HJ 1172-2021 per pixel: relative density of LAI, FVC and GPP.

The standard abbreviates the index EQI; it is not the EQI of 环监测〔2021〕99号. Here and in
``configs/methods/hj1172_2021.yaml`` it is called ecosystem quality.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import xarray as xr

from eco_index.errors import InputError
from eco_index.indices.doors import check_codes, check_units, checked, graded, over_blocks
from eco_index.methods import Method

VERSION = 1  # changes when results change

#: Vegetation types that are compared with themselves; 0 is everything else.
TYPES: dict[int, str] = {1: "forest", 2: "shrub", 3: "grassland", 4: "cropland"}
#: Parameter to unit, smallest and largest possible value, units attributes accepted.
PARAMETERS: dict[str, tuple[str, float, float, tuple[str, ...]]] = {
    "lai": ("1", 0, 15, ("1", "m2 m-2", "m2/m2")),
    "fvc": ("1", 0, 1, ("1",)),
    "gpp": ("gC/(m2 a)", 0, 10000, ("gC/(m2 a)", "gC m-2 a-1", "g m-2 a-1", "gC m-2 yr-1")),
}
#: Grades from best to worst; 255 is missing.
GRADES = ("excellent", "good", "medium", "low", "poor")
MISSING = 255
#: A pixel may exceed its reference by this share (rounding of stored values).
_ROUNDING = 1e-9

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Extremes:
    """Least and greatest value of each zone and type.

    Attributes
    ----------
    low, high : numpy.ndarray
        float64 (zone + 1, type + 1); NaN where no pixel has a value. Row 0 (outside) and column 0
        (no vegetation type) are NaN.
    """

    low: Array
    high: Array

    def merge(self, other: Extremes) -> Extremes:
        """Return the extremes of both: of two blocks, or of two years. Exact in any order."""
        return Extremes(np.fmin(self.low, other.low), np.fmax(self.high, other.high))

    def everywhere(self) -> Extremes:
        """Return the extremes of all zones and types together, in every cell that has a value."""
        known = ~np.isnan(self.high)
        if not known.any():
            return self
        return Extremes(
            np.where(known, np.nanmin(self.low), np.nan),
            np.where(known, np.nanmax(self.high), np.nan),
        )


def extremes(values: Any, zones: Any, types: Any, n_zones: int) -> Extremes:
    """Return the extremes of a parameter by zone and vegetation type.

    Parameters
    ----------
    values : array
        NaN where missing.
    zones : integer array
        1…`n_zones`, 0 outside.
    types : integer array
        Codes of `TYPES`, 0 for everything else.
    n_zones : int
        Number of zones.

    Raises
    ------
    InputError
        Shapes that differ, unknown types (with their pixels), zones outside the range.
    """
    array = np.asarray(values, np.float64)
    zone, kind = _places(zones, types, n_zones)
    if not array.shape == zone.shape == kind.shape:
        raise InputError(
            f"values {array.shape}, zones {zone.shape}, types {kind.shape}",
            rule="all lie on one grid",
        )
    shape = (n_zones + 1, len(TYPES) + 1)
    low, high = np.full(shape, np.nan), np.full(shape, np.nan)
    np.fmin.at(low, (zone.ravel(), kind.ravel()), array.ravel())
    np.fmax.at(high, (zone.ravel(), kind.ravel()), array.ravel())
    for table in (low, high):
        table[0], table[:, 0] = np.nan, np.nan
    return Extremes(low, high)


def _places(zones: Any, types: Any, n_zones: int) -> tuple[Array, Array]:
    zone, kind = np.asarray(zones), check_codes(types, TYPES, "vegetation types")
    if zone.dtype.kind not in "iu":
        raise InputError(f"zones are of type {zone.dtype}", rule="integers, 0 outside")
    if zone.size and (zone.min() < 0 or zone.max() > n_zones):
        raise InputError(f"zones {zone.min()}…{zone.max()}", rule=f"0 (outside) to {n_zones}")
    return zone.astype(np.int64), kind.astype(np.int64)


def relative_density(values: Any, zones: Any, types: Any, reference: Extremes) -> Array:
    """Return the relative density RVI = F / Fmax of the same zone and vegetation type.

    Parameters
    ----------
    values, zones, types : array
        As for `extremes`; values 0 or more.
    reference : Extremes
        Of the year, or merged over all years that are compared.

    Returns
    -------
    array
        0–1; NaN where the value, the zone or the type is missing, or the greatest value is 0.

    Raises
    ------
    InputError
        Negative values; a value above the reference, which then is not one of its zone and type.

    Notes
    -----
    HJ 1172-2021: RVI_ijk = F_ijk / Fmax_ijk (year i, zone j, type k).
    """
    array = checked(values, "value", "the unit of the reference", 0, 1e9)
    zone, kind = _places(zones, types, reference.high.shape[0] - 1)
    best = reference.high[zone, kind]
    above = array > best * (1 + _ROUNDING)
    if above.any():
        raise InputError(
            f"{int(above.sum())} values exceed the greatest value of their zone and type",
            rule="the reference holds the extremes of every year that is compared",
            fix="merge the extremes of this year into the reference",
        )
    out = np.full(array.shape, np.nan)
    np.divide(array, best, out=out, where=best > 0)
    return np.minimum(out, 1.0)


def scaled(density: Any, zones: Any, types: Any, limits: Extremes) -> Array:
    """Return (x - min)/(max - min) with the extremes of each pixel's zone and type.

    `limits` are `extremes` of densities, or their `everywhere`. NaN where the extremes are equal:
    what is the same everywhere has no place between least and greatest.
    """
    array = checked(density, "relative density", "1", 0, 1)
    zone, kind = _places(zones, types, limits.high.shape[0] - 1)
    low, high = limits.low[zone, kind], limits.high[zone, kind]
    out = np.full(array.shape, np.nan)
    np.divide(array - low, high - low, out=out, where=high > low)
    return np.clip(out, 0.0, 1.0)


def quality_index(lai: Any, fvc: Any, gpp: Any, method: Method) -> Array:
    """Return the ecosystem quality index, 0–100: mean of three scaled densities times 100.

    NaN where one of the three is missing. HJ 1172-2021: (LAI' + FVC' + GPP')/3 × 100.
    """
    parts = [
        checked(v, f"density of {n}", "1", 0, 1, "scale it to 0-1 first")
        for n, v in (("LAI", lai), ("FVC", fvc), ("GPP", gpp))
    ]
    total: Array = sum(parts[1:], parts[0]) / 3
    return method.number("scale").required * total


def quality_grade(index: Any, method: Method) -> Array:
    """Return the grade: position in `GRADES` (uint8), 255 where missing; lower limits inclusive."""
    values = checked(index, "ecosystem quality", "1", 0, 100)
    names = ("low", "medium", "good", "excellent")
    limits = [method.number(f"class.{n}").required for n in names]
    passed = graded(values, limits, (False,) * 4)
    return np.where(passed == MISSING, MISSING, len(limits) - passed).astype(np.uint8)


def leaf_area(index: Any, form: str, coefficients: tuple[float, ...]) -> Array:
    """Return LAI from a vegetation index or cover, with coefficients fitted to field data.

    Parameters
    ----------
    index : array
        Vegetation index (−1…1) or cover (0–1); NaN where missing.
    form : {'cubic', 'power', 'exponential'}
        B.1 A x³ + B x² + C x + D; B.2 A + B x^C; B.3 −ln(1 − x)/(2 A).
    coefficients : tuple of float
        Four, three or one; the standard gives none.

    Returns
    -------
    array
        Never below 0; NaN where the formula has no value (x < 0 under a power, x ≥ 1).

    Notes
    -----
    HJ 1172-2021, B.1–B.3; the sign of B.3 was lost in the text of the PDF and is restored.
    """
    x = checked(index, "vegetation index", "1", -1, 1, "divide scaled integers by their scale")
    needed = {"cubic": 4, "power": 3, "exponential": 1}
    if (
        form not in needed
        or len(coefficients) != needed[form]
        or not np.isfinite(coefficients).all()
    ):
        raise InputError(
            f"form '{form}' with {len(coefficients)} coefficients",
            rule="; ".join(f"{k}: {n} finite coefficients" for k, n in needed.items()),
        )
    if form == "cubic":
        a, b, c, d = coefficients
        out = ((a * x + b) * x + c) * x + d
    elif form == "power":
        a, b, c = coefficients
        with np.errstate(invalid="ignore", divide="ignore"):
            out = a + b * np.where(x >= 0, x, np.nan) ** c
    else:
        if coefficients[0] <= 0:
            raise InputError(f"A is {coefficients[0]}", rule="an extinction coefficient above 0")
        with np.errstate(invalid="ignore", divide="ignore"):
            out = -np.log(np.where(x < 1, 1 - x, np.nan)) / (2 * coefficients[0])
    out = np.where(np.isfinite(out), out, np.nan)
    return np.maximum(out, 0.0)


def extremes_of(
    values: xr.DataArray, zones: xr.DataArray, types: xr.DataArray, n_zones: int
) -> Extremes:
    """Return `extremes` of xarray arrays, block by block where they are Dask arrays."""

    def block(v: Array, z: Array, t: Array) -> Extremes:
        return extremes(v, z, t, n_zones)

    return _folded(block, values, zones, types)


def _folded(function: Callable[..., Extremes], *arrays: xr.DataArray) -> Extremes:
    first = next((a for a in arrays if a.chunks is not None), None)
    if first is None:
        return function(*(a.to_numpy() for a in arrays))
    import dask
    import dask.array as da

    parts = [da.asarray(a.data).rechunk(first.data.chunks).to_delayed().ravel() for a in arrays]
    todo = [dask.delayed(function)(*blocks) for blocks in zip(*parts, strict=True)]
    return reduce(Extremes.merge, dask.compute(*todo))


def ecosystem_quality(
    values: Mapping[str, xr.DataArray],
    zones: xr.DataArray,
    types: xr.DataArray,
    n_zones: int,
    method: Method,
    *,
    reference: Mapping[str, Extremes] | None = None,
    normalisation: str | None = None,
) -> xr.DataArray:
    """Map of ecosystem quality from LAI, FVC and GPP of a year.

    Parameters
    ----------
    values : mapping
        ``lai`` (m²/m²), ``fvc`` (0–1), ``gpp`` (gC/(m² a)) on one grid; chunked or not.
    zones, types : xarray.DataArray
        Integers, as for `extremes`, on the same grid.
    n_zones : int
        Number of zones.
    method : Method
        ``hj1172_2021``.
    reference : mapping, optional
        Extremes of each parameter over all years compared; by default those of this year.
    normalisation : {'region', 'zone_type', 'none'}, optional
        Over what densities are scaled; the method's choice by default.

    Returns
    -------
    xarray.DataArray
        0–100, NaN where missing; lazy if the inputs are, the same values for any chunking. The
        inputs are read once for each table of extremes and once for the map.

    Raises
    ------
    InputError
        A parameter missing, values or `units` attributes of another unit, unknown types, an
        unknown normalisation.

    Notes
    -----
    HJ 1172-2021, relative density, normalisation, index.
    """
    how = normalisation or method.choices["normalisation"]
    if how not in method.file.options["normalisation"].choices:
        raise InputError(f"normalisation '{how}'", rule="region, zone_type or none")
    missing = [n for n in PARAMETERS if n not in values]
    if missing:
        raise InputError(f"'{missing[0]}' is missing", rule=f"needs {', '.join(PARAMETERS)}")
    scaled_parts = []
    for name, (unit, low, high, units) in PARAMETERS.items():
        check_units(values[name], name, units)
        array = _checked_blocks(values[name], name, unit, low, high)
        best = (reference or {}).get(name) or extremes_of(array, zones, types, n_zones)
        part = over_blocks(_bound(relative_density, best), array, zones, types)
        if how != "none":
            limits = extremes_of(part, zones, types, n_zones)
            limits = limits.everywhere() if how == "region" else limits
            part = over_blocks(_bound(scaled, limits), part, zones, types)
        scaled_parts.append(part)

    def index(lai: Array, fvc: Array, gpp: Array) -> Array:
        return quality_index(lai, fvc, gpp, method)

    out = over_blocks(index, *scaled_parts)
    method.number("weight.lai")
    chosen = method.option("normalisation", how)
    years = method.option("reference", "years" if reference else "year")
    out.attrs = {
        "units": "1",
        "long_name": "ecosystem quality index (HJ 1172-2021)",
        "long_name_zh": "生态系统质量指数（HJ 1172-2021）",
        "method": f"{method.id}@{method.version}",
        "overlay": method.overlay_digest or "",
        "normalisation": how,
        "reference": "years" if reference else "year",
        "provisional": int(method.provisional or not (chosen.sure and years.sure)),
    }
    return out.rename("ecosystem_quality")


def _bound(function: Callable[..., Array], table: Extremes) -> Callable[..., Array]:
    def block(v: Array, z: Array, t: Array) -> Array:
        return function(v, z, t, table)

    return block


def _checked_blocks(
    array: xr.DataArray, name: str, unit: str, low: float, high: float
) -> xr.DataArray:
    def block(v: Array) -> Array:
        hint = "per cent must be divided by 100" if name == "fvc" else ""
        return checked(v, name, unit, low, high, hint)

    return over_blocks(block, array)
