"""The RWEQ chain from soil, relief, cover and weather to sand fixation in one pass (Numba).

The same formulas as `wind`, fused: no intermediate map is made. Powers of one base are taken once:
with r = (z/s0) P^0.3711 a loss is (2/z) r² q P exp(−r²), and for the actual loss r changes by
C^0.3711 = exp(0.3711 ln C).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from eco_index.indices.doors import check_units, checked, float_type, over_blocks
from eco_index.indices.wind import (
    WIND_TYPES,
    crust_factor,
    erodible_fraction,
    roughness_factor,
    wind_cover_factor,
    wind_erosion,
)
from eco_index.indices.wind_kernels import fixation
from eco_index.methods import Method

VERSION = 1  # changes when results change

Array = np.ndarray[Any, Any]


_NUMBERS = (
    *("ef_base", "ef_sand", "ef_silt", "ef_ratio", "ef_organic", "ef_lime"),
    *("scf_clay", "scf_organic", "rough_relief", "rough_a", "rough_b", "rough_power"),
)


class FixationChain:
    """Sand fixation of a block.

    Parameters
    ----------
    method : Method
        ``hj1173_2021``.
    relief_distance : float
        Distance L over which the relief was taken, m.
    distance : float, optional
        z, m; the number of the method file (recalled) if not given.
    dtype : type
        Of the maps, float64 or float32; all is computed in float64.
    """

    def __init__(
        self,
        method: Method,
        relief_distance: float,
        distance: float | None = None,
        dtype: Any = np.float64,
    ) -> None:
        self.dtype = float_type(dtype)
        self.method, self.relief_distance, self.distance = method, float(relief_distance), distance
        checked(relief_distance, "distance of the relief", "m", 1e-3, 1e6)
        z = method.number("wind_distance").required if distance is None else float(distance)
        checked(z, "z", "m", 1e-3, 1e5)
        last = [method.number(k).required for k in ("wind_q", "wind_s", "wind_s_power")]
        self._n = np.array(
            [*(method.number(k).required for k in _NUMBERS), self.relief_distance, *last, z]
        )
        self._rates = np.full(len(WIND_TYPES) + 1, np.nan)
        for code, name in WIND_TYPES.items():
            self._rates[code] = method.number(f"wind_c_{name}").required

    def __call__(
        self,
        weather: Array,
        sand: Array,
        silt: Array,
        clay: Array,
        organic: Array,
        relief: Array,
        types: Array,
        cover: Array,
    ) -> Array:
        """Return SR in t/(km² a), (h, w), from maps (h, w).

        Raises
        ------
        InputError
            A value out of range or an unknown type, as in the functions of `wind`.
        """
        given = (weather, sand, silt, clay, organic, relief, types, cover)
        if np.asarray(types).dtype.kind not in "iu":
            return self.plain(*given).astype(self.dtype)
        out = np.empty(np.shape(weather), self.dtype)
        maps = tuple(
            np.ascontiguousarray(a) for a in (weather, sand, silt, clay, organic, relief, cover)
        )
        bad = fixation(maps, np.ascontiguousarray(types), self._rates, self._n, out)
        return self.plain(*given).astype(self.dtype) if bad else out

    def plain(
        self,
        weather: Array,
        sand: Array,
        silt: Array,
        clay: Array,
        organic: Array,
        relief: Array,
        types: Array,
        cover: Array,
    ) -> Array:
        """Return the same by the functions of `wind`, which find what is wrong."""
        return wind_erosion(
            weather,
            erodible_fraction(sand, silt, clay, organic, self.method),
            crust_factor(clay, organic, self.method),
            roughness_factor(relief, self.relief_distance, self.method),
            wind_cover_factor(types, cover, self.method),
            self.method,
            self.distance,
        ).fixation


def sand_fixation(
    weather: xr.DataArray,
    soil: tuple[xr.DataArray, xr.DataArray, xr.DataArray, xr.DataArray],
    relief: xr.DataArray,
    types: xr.DataArray,
    cover: xr.DataArray,
    method: Method,
    *,
    relief_distance: float,
    distance: float | None = None,
    dtype: Any = np.float64,
) -> xr.DataArray:
    """Sand fixation map by the RWEQ chain.

    Parameters
    ----------
    weather : xarray.DataArray
        WF of the year, kg/m, of `wind.weather_factor`; (rows, columns), chunked or not, NaN where
        missing.
    soil : tuple of xarray.DataArray
        Sand, silt, clay and organic matter, %, on the same grid. CaCO3 counts as none.
    relief : xarray.DataArray
        Difference of elevation over `relief_distance`, m.
    types : xarray.DataArray
        Integer codes of `wind.WIND_TYPES`, 0 where missing.
    cover : xarray.DataArray
        Vegetation cover, a share of 0–1.
    method : Method
        ``hj1173_2021``.
    relief_distance, distance, dtype
        As in `FixationChain`.

    Returns
    -------
    xarray.DataArray
        t/(km² a); lazy if an input is; the same values for any chunking; negative values are kept
        (see `wind.wind_erosion`).

    Raises
    ------
    InputError
        `units` attributes or values of another unit, unknown types.

    Notes
    -----
    HJ 1173-2021, App. A.
    """
    sand, silt, clay, organic = soil
    check_units(weather, "WF", ("kg/m", "kg m-1"))
    for name, one in zip(("sand", "silt", "clay", "organic matter"), soil, strict=True):
        check_units(one, name, ("%", "percent"))
    check_units(relief, "relief", ("m", "metre", "meter"))
    check_units(cover, "cover", ("1",))
    chain = FixationChain(method, relief_distance, distance, dtype)
    maps = (weather, sand, silt, clay, organic, relief, types, cover)
    out = over_blocks(chain, *maps, dtype=chain.dtype)
    out.attrs = {
        "units": "t km-2 a-1",
        "long_name": "sand fixation",
        "long_name_zh": "防风固沙量",
        "method": f"{method.id}@{method.version}",
        "overlay": method.overlay_digest or "",
        "provisional": int(method.provisional),
    }
    return out.rename("sand_fixation")
