"""Sand fixation by RWEQ after HJ 1173-2021, App. A.

All numbers come from ``configs/methods/hj1173_2021.yaml``; those of the weather factor are recalled
(the standard names its parts only). NaN is missing and stays missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eco_index.errors import InputError
from eco_index.indices.doors import check_codes, checked
from eco_index.indices.soil import check_texture
from eco_index.methods import Method

VERSION = 1  # changes when results change

#: Codes of cover types for C of RWEQ; 0 is missing.
WIND_TYPES: dict[int, str] = {
    1: "woodland",
    2: "grassland",
    3: "shrubland",
    4: "bare",
    5: "sandy",
    6: "cropland",
}

Array = np.ndarray[Any, Any]
_KG_M2_TO_T_KM2 = 1000.0


def wind_factor(speeds: Any, days: int, method: Method, *, allow_means: bool = False) -> Array:
    """Wind factor Wf of one month.

    Parameters
    ----------
    speeds : array
        (observations, ...), m/s at 2 m height, spread evenly over the month; NaN where missing.
    days : int
        Days of the month, 28–31.
    method : Method
        ``hj1173_2021``.
    allow_means : bool
        Accept fewer observations than days. Means hide the gusts that carry sand: with one mean
        per month Wf is far too small, most often 0.

    Returns
    -------
    array
        m³/s³ d: (Nd/N) Σ u (u − ut)² over speeds above the threshold ut; 0 where the wind never
        passed it, NaN where a month has fewer than half of its observations.

    Raises
    ------
    InputError
        Speeds outside 0–75 m/s; fewer observations than days.

    Notes
    -----
    Fryrear et al. (1998), RWEQ technical documentation (recalled).
    """
    wind = checked(speeds, "wind speed", "m/s", 0, 75, "km/h must be divided by 3.6")
    if days not in range(28, 32):
        raise InputError(f"a month of {days} days", rule="28 to 31")
    if wind.ndim == 0 or wind.shape[0] == 0:
        raise InputError("no wind speeds for a month", rule="(observations, ...)")
    if wind.shape[0] < days and not allow_means:
        raise InputError(
            f"{wind.shape[0]} wind speeds for a month of {days} days",
            rule="RWEQ sums over daily or shorter observations: at least one a day",
            fix="give daily wind (reanalysis); or allow_means=True, knowing that means hide gusts",
        )
    threshold = method.number("wind_threshold").required
    with np.errstate(invalid="ignore"):
        above = np.where(wind > threshold, wind * (wind - threshold) ** 2, 0.0)
    valid = (~np.isnan(wind)).sum(axis=0)
    out = np.full(wind.shape[1:], np.nan)
    np.divide(days * above.sum(axis=0), valid, out=out, where=2 * valid >= wind.shape[0])
    return out


def air_density(elevation: Any, temperature: Any, method: Method) -> Array:
    """Air density from elevation (m, −500…9000) and air temperature (°C, −80…60).

    Returns
    -------
    array
        kg/m³.

    Raises
    ------
    InputError
        Values out of range (kelvin instead of °C).

    Notes
    -----
    RWEQ (recalled): 348.0 (1.013 − 0.1183 EL + 0.0048 EL²)/T with EL in km and T in K.
    """
    km = checked(elevation, "elevation", "m", -500, 9000) / 1000.0
    kelvin = checked(temperature, "temperature", "degC", -80, 60, "subtract 273.15") + 273.15
    a, b, c, d = (method.number(f"air_{k}").required for k in "abcd")
    density: Array = a * (b + c * km + d * km * km) / kelvin
    return density


def soil_wetness(rain: Any, et: Any, rain_days: Any, days: int) -> Array:
    """Share of a month that the soil is dry enough for sand to move, SW.

    Parameters
    ----------
    rain, et : array
        Rain with irrigation, and potential evapotranspiration, mm in the month.
    rain_days : array
        Days with rain, 0 to `days`.
    days : int
        Days of the month.

    Returns
    -------
    array
        0–1: (ETp − R Rd/Nd)/ETp, limited; NaN where ETp is 0 (0/0: no value).

    Raises
    ------
    InputError
        Values out of range, or rain on no rain day.

    Notes
    -----
    RWEQ (recalled).
    """
    rain = checked(rain, "rain of the month", "mm", 0, 5000)
    et = checked(et, "potential evapotranspiration", "mm", 0, 1000)
    wet = checked(rain_days, "rain days", "d", 0, days)
    odd = (rain > 31) & (wet == 0)
    if odd.any():
        raise InputError(
            f"more than 31 mm of rain on no rain day at {int(odd.sum())} pixels",
            rule="rain falls on rain days",
            fix="look at the map of rain days: it may be a placeholder",
        )
    ratio = np.full(np.broadcast_shapes(rain.shape, et.shape, wet.shape), np.nan)
    np.divide(et - rain * wet / days, et, out=ratio, where=np.broadcast_to(et > 0, ratio.shape))
    wetness: Array = np.clip(ratio, 0.0, 1.0)
    return wetness


def weather_factor(wf: Any, density: Any, wetness: Any, snow_free: Any, method: Method) -> Array:
    """Weather factor WF of a year from twelve months.

    Parameters
    ----------
    wf, density, wetness, snow_free : array
        (12, ...): Wf (m³/s³ d), air density (kg/m³, 0.3–1.8), SW (0–1) and SD, the share of the
        month without snow cover (0–1).
    method : Method
        ``hj1173_2021``.

    Returns
    -------
    array
        kg/m: Σ Wf (ρ/g) SW SD; NaN where a month is missing.

    Raises
    ------
    InputError
        Not twelve months, or values out of range.

    Notes
    -----
    HJ 1173-2021, App. A.
    """
    parts = (
        checked(wf, "Wf", "m3/s3 d", 0, 1e7),
        checked(density, "air density", "kg/m3", 0.3, 1.8),
        checked(wetness, "SW", "1", 0, 1, "per cent must be divided by 100"),
        checked(snow_free, "SD", "1", 0, 1, "per cent must be divided by 100"),
    )
    for part in parts:
        if part.ndim == 0 or part.shape[0] != 12:
            raise InputError(f"a weather map of shape {part.shape}", rule="(12 months, ...)")
    product = parts[0] * parts[1] * parts[2] * parts[3] / method.number("gravity").required
    total: Array = np.asarray(product.sum(axis=0))
    return total


def erodible_fraction(
    sand: Any, silt: Any, clay: Any, organic: Any, method: Method, lime: Any = 0.0
) -> Array:
    """Erodible fraction EF of the soil.

    Parameters
    ----------
    sand, silt, clay : array
        %, together 100 (within 2).
    organic, lime : array
        Organic matter (%, 0–100) and CaCO3 (%; may be left out).
    method : Method
        ``hj1173_2021``.

    Returns
    -------
    array
        0–1 (limited); NaN where a soil has no clay (the ratio has no value).

    Raises
    ------
    InputError
        Shares of 0–1 instead of per cent, organic matter in g/m².

    Notes
    -----
    HJ 1173-2021, App. A: (29.09 + 0.31 sa + 0.17 si + 0.33 sa/cl − 2.59 OM − 0.95 CaCO3)/100.
    """
    sand, silt, clay = check_texture(sand, silt, clay)
    organic = checked(organic, "organic matter", "%", 0, 100, "g/m2 is a stock, not a share")
    lime = checked(lime, "CaCO3", "%", 0, 100)
    n = {k: method.number(f"ef_{k}").required for k in _EF}
    ratio = np.full(np.shape(sand), np.nan)
    np.divide(sand, clay, out=ratio, where=clay > 0)
    value = n["base"] + n["sand"] * sand + n["silt"] * silt + n["ratio"] * ratio
    fraction: Array = np.clip((value + n["organic"] * organic + n["lime"] * lime) / 100, 0.0, 1.0)
    return fraction


_EF = ("base", "sand", "silt", "ratio", "organic", "lime")


def crust_factor(clay: Any, organic: Any, method: Method) -> Array:
    """Soil crust factor SCF = 1/(1 + 0.0066 cl² + 0.021 OM²), clay and organic matter in %.

    Returns
    -------
    array
        0–1.

    Raises
    ------
    InputError
        Values out of range.

    Notes
    -----
    HJ 1173-2021, App. A. Clay as a share of 0–1 cannot be told here; check it with the texture.
    """
    clay = checked(clay, "clay", "%", 0, 100)
    organic = checked(organic, "organic matter", "%", 0, 100, "g/m2 is a stock, not a share")
    a, b = (method.number(f"scf_{k}").required for k in ("clay", "organic"))
    factor: Array = 1.0 / (1.0 + a * clay * clay + b * organic * organic)
    return factor


def roughness_factor(relief: Any, distance: Any, method: Method) -> Array:
    """Roughness factor K' from the relief ΔH (m) over a distance L (m), C_rr = 0.

    Returns
    -------
    array
        0–1; 1 on flat land, limited to 1 where the formula rises again (K_r above about 50).

    Raises
    ------
    InputError
        Negative relief, distance not above 0.

    Notes
    -----
    HJ 1173-2021, App. A: exp(1.86 K_r − 2.41 K_r^0.934 − 0.127 C_rr), K_r = 0.2 ΔH²/L.
    """
    relief = checked(relief, "relief", "m", 0, 9000)
    distance = checked(distance, "distance of the relief", "m", 1e-3, 1e6)
    kr = method.number("rough_relief").required * relief * relief / distance
    a, b, power = (method.number(f"rough_{k}").required for k in ("a", "b", "power"))
    factor: Array = np.exp(np.minimum(a * kr + b * kr**power, 0.0))
    return factor


def wind_cover_factor(types: Any, cover: Any, method: Method) -> Array:
    """Cover factor C = exp(−a SC).

    Parameters
    ----------
    types : integer array
        Codes of `WIND_TYPES`, 0 where missing.
    cover : array
        Vegetation cover, a share of 0–1 (SC of the formula is in per cent; converted here).
    method : Method
        ``hj1173_2021``.

    Returns
    -------
    array
        0–1; NaN where type or cover is missing.

    Raises
    ------
    InputError
        Cover in per cent, unknown type.

    Notes
    -----
    HJ 1173-2021, App. A.
    """
    kind = check_codes(types, WIND_TYPES, "cover types")
    share = checked(cover, "cover", "1", 0, 1, "per cent must be divided by 100")
    rate = np.full(len(WIND_TYPES) + 1, np.nan)
    for code, name in WIND_TYPES.items():
        rate[code] = method.number(f"wind_c_{name}").required
    factor: Array = np.exp(-rate[kind] * 100.0 * share)
    return factor


@dataclass(frozen=True)
class WindErosion:
    """Wind erosion in t/(km² a): potential (without C) and actual."""

    potential: Array
    actual: Array

    @property
    def fixation(self) -> Array:
        """SR = potential − actual, t/(km² a); negative values are kept."""
        return self.potential - self.actual


def wind_erosion(
    wf: Any, ef: Any, scf: Any, k: Any, c: Any, method: Method, distance: float | None = None
) -> WindErosion:
    """Wind erosion and sand fixation.

    Parameters
    ----------
    wf : array
        Weather factor, kg/m.
    ef, scf, k, c : array
        Factors of 0–1.
    method : Method
        ``hj1173_2021``.
    distance : float, optional
        z, m; the number of the method file (recalled) if not given.

    Returns
    -------
    WindErosion
        t/(km² a); 0 where a factor is 0, NaN where one is missing. The formula is not monotonic:
        where s falls far below z it gives less erosion for more wind, and a negative fixation.

    Raises
    ------
    InputError
        A factor out of range.

    Notes
    -----
    HJ 1173-2021, App. A: S_L = (2z/s²) Q_max exp[−(z/s)²] in kg/m², times 1000.
    """
    potential = checked(wf, "WF", "kg/m", 0, 1e6)
    for name, factor in (("EF", ef), ("SCF", scf), ("K'", k)):
        potential = potential * checked(factor, name, "1", 0, 1)
    z = method.number("wind_distance").required if distance is None else distance
    z = float(checked(z, "z", "m", 1e-3, 1e5))
    return WindErosion(
        _loss(potential, z, method), _loss(potential * checked(c, "C", "1", 0, 1), z, method)
    )


def _loss(product: Array, z: float, method: Method) -> Array:
    q, s, power = (method.number(k).required for k in ("wind_q", "wind_s", "wind_s_power"))
    with np.errstate(divide="ignore"):  # no wind: s is infinite, the loss 0
        length = s * np.asarray(product) ** power
    loss: Array = _KG_M2_TO_T_KM2 * 2 * z / length**2 * (q * product) * np.exp(-((z / length) ** 2))
    return loss
