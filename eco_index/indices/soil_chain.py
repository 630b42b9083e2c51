"""The RUSLE chain from elevation to retention in one pass over each block.

The same formulas as `soil` and `terrain`, fused: no intermediate map is made. Every pixel is
computed for itself from its 3 × 3 window, so that the result does not depend on the chunks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from eco_index.indices.doors import check_units, float_type, with_halo
from eco_index.indices.soil import cover_factor, cover_table, soil_loss
from eco_index.indices.soil_kernels import retention
from eco_index.indices.terrain import (
    check_pixel,
    horn_slope,
    slope_length_factor,
    steepness_factor,
)
from eco_index.methods import Method

VERSION = 1  # changes when results change

Array = np.ndarray[Any, Any]


_NUMBERS = (
    *("l_unit_plot", "l_sin", "l_factor", "l_power", "l_add"),
    *("s_limit_1", "s_limit_2", "s_limit_3", "s_factor_1", "s_factor_2", "s_factor_3"),
    *("s_add_1", "s_add_2", "s_add_3", "c_dry_add", "c_dry_log", "s_steepest"),
)


class RetentionChain:
    """Soil retention of a block with a border of one pixel.

    Parameters
    ----------
    method : Method
        ``hj1173_2021``.
    dx, dy : float
        Pixel size, m.
    length : float
        Slope length λ, m (the standard's rule for pixels was not found; the caller answers for it).
    dtype : type
        Of the maps, float64 or float32; all is computed in float64.
    """

    def __init__(
        self, method: Method, dx: float, dy: float, length: float, dtype: Any = np.float64
    ) -> None:
        self.dtype = float_type(dtype)
        check_pixel(dx, dy)
        slope_length_factor(0.0, length, method)  # checks the length
        # Read so that results count as provisional for as long as the rule is not known.
        method.number("slope_length")
        self.method, self.size = method, (float(dx), float(dy), float(length))
        self._n = np.array([method.number(k).required for k in _NUMBERS])
        self._limits = np.array([method.number(f"c_limit_{i}").required for i in range(1, 6)])
        self._table = cover_table(method)

    def __call__(self, padded: Array, r: Array, k: Array, types: Array, cover: Array) -> Array:
        """Return Q_sr in t/(hm² a), (h, w), from elevation (h + 2, w + 2) and maps (h, w).

        Raises
        ------
        InputError
            A value out of range or an unknown type, as in the functions of `soil`.
        """
        out = np.empty(np.shape(r), self.dtype)
        if np.asarray(types).dtype.kind not in "iu":
            return self.plain(padded, r, k, types, cover).astype(self.dtype)
        z, rr, kk, kind, share = (np.ascontiguousarray(a) for a in (padded, r, k, types, cover))
        numbers = (self._n, self._limits, self._table)
        bad = retention(z, rr, kk, kind, share, self.size, *numbers, out)
        return self.plain(padded, r, k, types, cover).astype(self.dtype) if bad else out

    def potential(self, padded: Array, r: Array, k: Array) -> Array:
        """Return the potential loss R K L S in t/(hm² a), (h, w); as `__call__` with C = 0.

        Raises
        ------
        InputError
            A value out of range.
        """
        out = np.empty(np.shape(r), self.dtype)
        z, rr, kk = (np.ascontiguousarray(a) for a in (padded, r, k))
        none, bare = np.zeros(out.shape, np.uint8), np.zeros(out.shape)
        numbers = (self._n, self._limits, np.zeros_like(self._table))
        if not retention(z, rr, kk, none, bare, self.size, *numbers, out):
            return out
        dx, dy, length = self.size
        slope = horn_slope(padded, dx, dy)
        l_factor = slope_length_factor(slope, length, self.method)
        steep = steepness_factor(slope, self.method)
        return soil_loss(r, k, l_factor, steep, 0.0).potential.astype(self.dtype)

    def plain(self, padded: Array, r: Array, k: Array, types: Array, cover: Array) -> Array:
        """Return the same by the functions of `soil` and `terrain`, which find what is wrong."""
        dx, dy, length = self.size
        slope = horn_slope(padded, dx, dy)
        return soil_loss(
            r,
            k,
            slope_length_factor(slope, length, self.method),
            steepness_factor(slope, self.method),
            cover_factor(types, cover, self.method),
        ).retention


def soil_retention(
    dem: xr.DataArray,
    r: xr.DataArray,
    k: xr.DataArray,
    types: xr.DataArray,
    cover: xr.DataArray,
    method: Method,
    *,
    pixel: tuple[float, float],
    length: float,
    dtype: Any = np.float64,
) -> xr.DataArray:
    """Soil retention map by the RUSLE chain.

    Parameters
    ----------
    dem : xarray.DataArray
        Elevation, m, (rows, columns); chunked or not. NaN where missing.
    r, k : xarray.DataArray
        MJ mm/(hm² h a) and t hm² h/(hm² MJ mm), on the same grid.
    types : xarray.DataArray
        Integer codes of `soil.C_TYPES`, 0 where missing.
    cover : xarray.DataArray
        Vegetation cover, a share of 0–1.
    method : Method
        ``hj1173_2021``.
    pixel : tuple of float
        Width and height of a pixel, m.
    length : float
        Slope length, m.
    dtype : type
        Of the map, float64 or float32 (half the memory); all is computed in float64.

    Returns
    -------
    xarray.DataArray
        t/(hm² a); lazy if `dem` is; the same values for any chunking. The map's border, where the
        slope has no value, is NaN.

    Raises
    ------
    InputError
        Grids that differ, `units` attributes or values of another unit, unknown types.

    Notes
    -----
    HJ 1173-2021, App. A.
    """
    check_units(dem, "elevation", ("m", "metre", "meter"))
    check_units(r, "R", ("MJ mm/(hm2 h a)", "MJ mm ha-1 h-1 yr-1", "MJ mm ha-1 h-1 a-1"))
    check_units(k, "K", ("t hm2 h/(hm2 MJ mm)", "t ha h ha-1 MJ-1 mm-1"))
    check_units(cover, "cover", ("1",))
    chain = RetentionChain(method, *pixel, length, dtype)
    out = with_halo(chain, dem, r, k, types, cover, dtype=chain.dtype)
    out.attrs = {
        "units": "t hm-2 a-1",
        "long_name": "soil retention",
        "long_name_zh": "土壤保持量",
        "method": f"{method.id}@{method.version}",
        "overlay": method.overlay_digest or "",
        "provisional": int(method.provisional),
    }
    return out.rename("soil_retention")
