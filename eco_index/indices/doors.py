"""Doors of per-pixel functions: ranges that betray a wrong unit, class codes, blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from eco_index.errors import InputError, UsageError
from eco_index.indices.surroundings import surrounded


def checked(
    values: Any, name: str, unit: str, low: float, high: float, hint: str = ""
) -> np.ndarray[Any, Any]:
    """Return `values` as float64 after a check of their range; NaN (missing) passes.

    Parameters
    ----------
    values : array_like
        Physical values, NaN where missing.
    name, unit : str
        For the message.
    low, high : float
        Values outside are impossible in the declared unit.
    hint : str
        What the numbers probably are instead.

    Raises
    ------
    InputError
        A value outside, or infinite.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"'{name}' is of type {array.dtype}", rule=f"numbers in {unit}")
    array = array.astype(np.float64)
    wrong = (array < low) | (array > high) | np.isinf(array)
    if wrong.any():
        bad = array[wrong]
        raise InputError(
            f"'{name}' holds {int(wrong.sum())} values from {bad.min():g} to {bad.max():g}",
            rule=f"{low:g} to {high:g} {unit}, NaN where missing",
            fix=hint or "check the unit, the scale factor and the no-data code",
        )
    return array


def float_type(dtype: Any) -> np.dtype[Any]:
    """Return the type of a result.

    Raises
    ------
    UsageError
        Neither float64 nor float32.
    """
    wanted = np.dtype(dtype)
    if wanted not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise UsageError(
            f"the type of a result is '{wanted}'",
            rule="float64 or float32",
            fix="scale to whole numbers afterwards: no-data would be lost",
        )
    return wanted


def check_units(array: Any, name: str, allowed: Sequence[str]) -> None:
    """Refuse an xarray array whose `units` attribute names another unit; none at all passes.

    Raises
    ------
    InputError
        The attribute is not among `allowed`.
    """
    unit = getattr(array, "attrs", {}).get("units")
    if unit is not None and str(unit) not in allowed:
        raise InputError(
            f"'{name}' is given in '{unit}'",
            rule=f"units: {', '.join(allowed)}",
            fix="convert the values, then correct the attribute",
        )


def check_codes(codes: Any, known: Mapping[int, str], name: str) -> np.ndarray[Any, Any]:
    """Return class codes as an integer array; 0 is missing.

    Raises
    ------
    InputError
        No integers, or a code that is not known (with its number of pixels).
    """
    array = np.asarray(codes)
    if array.dtype.kind not in "iu":
        raise InputError(
            f"'{name}' is of type {array.dtype}",
            rule="integer codes, 0 where missing",
            fix="map the classes with a crosswalk first",
        )
    found, counts = np.unique(array, return_counts=True)
    odd = [
        f"{f} ({c} pixels)"
        for f, c in zip(found.tolist(), counts.tolist(), strict=True)
        if f != 0 and f not in known
    ]
    if odd:
        raise InputError(
            f"'{name}' holds unknown codes: {', '.join(odd[:20])}",
            rule="; ".join(f"{k} {v}" for k, v in known.items()),
            fix="map the code with a crosswalk, or to 0 (missing)",
        )
    return array


def graded(values: Any, limits: Sequence[float], strict: Sequence[bool]) -> np.ndarray[Any, Any]:
    """Return how many limits each value has passed, 0…len(limits); 255 where NaN.

    Parameters
    ----------
    values : array_like
        Numbers, NaN where missing.
    limits : sequence of float
        Rising.
    strict : sequence of bool
        Whether a value must exceed the limit; otherwise reaching it is enough.

    Returns
    -------
    uint8 array
    """
    array = np.asarray(values, np.float64)
    if list(limits) != sorted(set(limits)) or len(limits) != len(strict):
        raise ValueError("limits must rise, with one 'strict' each")
    grade = np.zeros(array.shape, np.uint8)
    for limit, above in zip(limits, strict, strict=True):
        grade += (array > limit) if above else (array >= limit)
    return np.where(np.isnan(array), np.uint8(255), grade)


def over_blocks(
    function: Callable[..., np.ndarray[Any, Any]], *arrays: Any, dtype: Any = np.float64
) -> xr.DataArray:
    """Apply a function of pixels to xarray arrays, block by block where they are Dask arrays.

    Parameters
    ----------
    function : callable
        NumPy arrays in, one array of the same shape out; looks at one pixel at a time.
    *arrays : xarray.DataArray or number
        Inputs on one grid.
    dtype : type
        Of the result.

    Returns
    -------
    xarray.DataArray
        Lazy if an input is; the same values for any chunking.
    """
    result: xr.DataArray = xr.apply_ufunc(
        function, *arrays, dask="parallelized", output_dtypes=[dtype], join="exact"
    )
    return result


def with_halo(
    function: Callable[..., np.ndarray[Any, Any]],
    dem: xr.DataArray,
    *others: xr.DataArray,
    dtype: Any = np.float64,
) -> xr.DataArray:
    """Apply a function that looks at the eight neighbours in its first array.

    Parameters
    ----------
    function : callable
        First argument: (h + 2, w + 2) floats with a border of one pixel, NaN beyond the map.
        The others: (h, w). Returns (h, w).
    dem : xarray.DataArray
        (rows, columns); may be chunked.
    *others : xarray.DataArray
        On the same grid; rechunked to the chunks of `dem`.
    dtype : type
        Of the result.

    Returns
    -------
    xarray.DataArray
        Lazy if `dem` is; the same values for any chunking.

    Raises
    ------
    InputError
        Arrays that are not on one grid, or not of two dimensions.
    """
    for other in others:
        if other.dims != dem.dims or other.shape != dem.shape:
            raise InputError(
                f"an input has {dict(other.sizes)}, the elevation {dict(dem.sizes)}",
                rule="all inputs lie on one grid",
                fix="warp them to one grid first",
            )
        for dim in dem.dims:
            if dim in dem.coords and dim in other.coords and not dem[dim].equals(other[dim]):
                raise InputError(
                    f"an input has other coordinates along '{dim}' than the elevation",
                    rule="all inputs lie on one grid",
                    fix="warp them to one grid first",
                )
    if dem.ndim != 2:
        raise InputError(f"the elevation has the dimensions {dem.dims}", rule="rows, columns")
    floats = dem if dem.dtype.kind == "f" else dem.astype(np.float64)
    if dem.chunks is None:
        padded = np.pad(floats.to_numpy(), 1, constant_values=np.nan)
        data: Any = function(padded, *(o.to_numpy() for o in others))
    else:
        import dask.array as da

        padded = surrounded(floats.data, (1, 1), np.nan)
        rest = [da.asarray(o.data).rechunk(floats.data.chunks) for o in others]
        data = da.map_blocks(function, padded, *rest, dtype=dtype, chunks=floats.data.chunks)
    return xr.DataArray(data, dims=dem.dims, coords=dem.coords)
