"""The formulas of the chain as one writes them with xarray, Dask and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt
from scipy.signal import fftconvolve

SOIL = ("", "paddy", "wetland", "urban", "desert", "dry", "forest", "shrubland", "grassland")
WIND = ("", "woodland", "grassland", "shrubland", "bare", "sandy", "cropland")


def _lookup(table: np.ndarray, *codes: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(
        lambda *c: table[c], *codes, dask="parallelized", output_dtypes=[table.dtype]
    )


def _slope(z: np.ndarray, pixel: float) -> np.ndarray:
    a, b, c = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    d, f = z[1:-1, :-2], z[1:-1, 2:]
    g, h, i = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    east = ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * pixel)
    south = ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * pixel)
    slope = np.full_like(z, np.nan)
    slope[1:-1, 1:-1] = np.degrees(np.arctan(np.sqrt(east**2 + south**2)))
    slope[np.isnan(z)] = np.nan
    return slope


def retention(data: xr.Dataset, method: Any, pixel: float, length: float) -> xr.DataArray:
    """RUSLE: R K L S (1 − C)."""
    n = {k: v.value for k, v in method.numbers.items()}
    dtype = data.elevation.dtype
    slope = data.elevation.copy(
        data=data.elevation.data.map_overlap(_slope, depth=1, boundary=np.nan, pixel=pixel)
    )
    sine = np.sin(np.radians(slope))
    beta = (sine / n["l_sin"]) / (n["l_factor"] * sine ** n["l_power"] + n["l_add"])
    factor_l = (length / n["l_unit_plot"]) ** (beta / (1 + beta))
    factor_s = xr.where(
        slope < n["s_limit_1"],
        n["s_factor_1"] * sine + n["s_add_1"],
        xr.where(
            slope < n["s_limit_2"],
            n["s_factor_2"] * sine + n["s_add_2"],
            xr.where(
                slope < n["s_limit_3"], n["s_factor_3"] * sine + n["s_add_3"], n["s_steepest"]
            ),
        ),
    )
    table = np.full((9, 6), np.nan, dtype)
    for code, name in enumerate(SOIL):
        if code in (1, 2, 3, 4):
            table[code] = n[f"c_{name}"]
        elif code > 5:
            table[code] = [n[f"c_{name}_{i}"] for i in range(1, 7)]
    limits = [n[f"c_limit_{i}"] for i in range(1, 6)]
    column = sum((data.cover >= limit).astype(np.uint8) for limit in limits)
    c = _lookup(table, data.soil_types, column)
    dry = (n["c_dry_add"] + n["c_dry_log"] * np.log10(data.cover)).clip(0, 1)
    c = xr.where(data.soil_types == 5, dry, c)
    c = c.where((data.soil_types < 5) | data.cover.notnull())
    potential = data.erosivity * data.erodibility * factor_l * factor_s
    return potential - potential * c


def fixation(data: xr.Dataset, method: Any, distance: float) -> xr.DataArray:
    """RWEQ: loss without cover less loss with cover."""
    n = {k: v.value for k, v in method.numbers.items()}
    sand, silt, clay, organic = data.sand, data.silt, data.clay, data.organic
    ef = n["ef_base"] + n["ef_sand"] * sand + n["ef_silt"] * silt + n["ef_ratio"] * sand / clay
    ef = ((ef + n["ef_organic"] * organic) / 100).clip(0, 1)
    scf = 1 / (1 + n["scf_clay"] * clay**2 + n["scf_organic"] * organic**2)
    kr = n["rough_relief"] * data.relief**2 / distance
    rough = np.exp(np.minimum(n["rough_a"] * kr + n["rough_b"] * kr ** n["rough_power"], 0))
    rates = np.array([np.nan, *(n[f"wind_c_{k}"] for k in WIND[1:])], data.cover.dtype)
    c = np.exp(-_lookup(rates, data.wind_types) * 100 * data.cover)
    potential = data.weather * ef * scf * rough
    z = n["wind_distance"]

    def loss(product: xr.DataArray) -> xr.DataArray:
        s = n["wind_s"] * product ** n["wind_s_power"]
        return 1000 * 2 * z / s**2 * (n["wind_q"] * product) * np.exp(-((z / s) ** 2))

    return loss(potential) - loss(potential * c)


def _distance(source: np.ndarray, pixel: float, out: str) -> np.ndarray:
    if not source.any():
        return np.full(source.shape, np.inf, out)
    return distance_transform_edt(source == 0, sampling=pixel).astype(out)


def _decay(share: Any, form: str) -> Any:
    values = np.exp(-2.99 * share) if form == "exponential" else 1 - share
    return np.where(share <= 1, values, 0)


def quality(data: xr.Dataset, parameters: Any, pixel: float, dtype: str) -> xr.DataArray:
    """Habitat quality with the influence of the parameters."""
    cover = data.landcover
    total = sum(t.weight for t in parameters.threats.values())
    worn = xr.zeros_like(cover, dtype)
    for name, threat in parameters.threats.items():
        source = cover.isin(threat.classes) if threat.classes else data[name]
        reach = int(threat.max_distance_m // pixel)
        values = source.astype(dtype).data
        if parameters.influence == "nearest":
            away = values.map_overlap(
                _distance, depth=reach, boundary=0, pixel=pixel, out=dtype, dtype=dtype
            )
            influence = _decay(away / threat.max_distance_m, threat.decay)
        else:
            y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
            kernel = _decay(np.hypot(y, x) * pixel / threat.max_distance_m, threat.decay)
            kernel = (kernel / kernel.sum()).astype(dtype)
            influence = values.map_overlap(
                fftconvolve, depth=reach, boundary=0, in2=kernel, mode="same", dtype=dtype
            )
        table = np.full(max(parameters.classes) + 1, np.nan, dtype)
        for code, entry in parameters.classes.items():
            table[code] = threat.weight / total * entry.sensitivity.get(name, 0)
        worn = worn + _lookup(table, cover) * influence
    suitable = np.full(max(parameters.classes) + 1, np.nan, dtype)
    for code, entry in parameters.classes.items():
        suitable[code] = entry.habitat
    raised = worn.clip(min=0) ** 2.5
    return _lookup(suitable, cover) * (1 - raised / (raised + parameters.half_saturation**2.5))
