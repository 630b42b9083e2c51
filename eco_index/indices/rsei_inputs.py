"""The four inputs of RSEI from reflectance and temperature, and the indices they stand on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eco_index.errors import InputError
from eco_index.indices import rsei_kernels as kernels
from eco_index.indices.doors import checked
from eco_index.indices.tasselled import WetnessSet
from eco_index.methods import Method

Array = np.ndarray[Any, Any]

NAMES = ("ndvi", "wet", "lst", "ndbsi")
BANDS = ("blue", "green", "red", "nir", "swir1")
_LOW, _HIGH = -1.0, 2.0  # of what can be a reflectance
_COLD, _HOT = 150.0, 400.0  # K
#: First step and number of steps of each input, wide enough for every reflectance let in.
RANGES = ((-10_000, 20_001), (-40_000, 80_001), (15_000, 25_001), (-10_000, 20_001))
_FIX = "reflectance is a share, 0-1: apply scale and offset of the archive first"


def _reflectance(values: Any, name: str) -> Array:
    return np.maximum(checked(values, name, "1", _LOW, _HIGH, _FIX), 0.0)


def _ratio(above: Array, below: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def mndwi(green: Any, swir1: Any) -> Array:
    """Modified normalised difference water index, −1…1 (Xu 2006): (G − SWIR1)/(G + SWIR1).

    Parameters
    ----------
    green, swir1 : array
        Reflectance, 0–1; negative values count as 0.

    Returns
    -------
    float64 array
        NaN where an input is missing or both are 0.
    """
    g, s = _reflectance(green, "green"), _reflectance(swir1, "swir1")
    return _ratio(g - s, g + s)


def soil_index(blue: Any, red: Any, nir: Any, swir1: Any) -> Array:
    """Bare-soil index SI, −1…1: [(SWIR1 + R) − (NIR + B)]/[(SWIR1 + R) + (NIR + B)]."""
    b, r = _reflectance(blue, "blue"), _reflectance(red, "red")
    n, s = _reflectance(nir, "nir"), _reflectance(swir1, "swir1")
    return _ratio((s + r) - (n + b), (s + r) + (n + b))


def built_index(green: Any, red: Any, nir: Any, swir1: Any) -> Array:
    """Index-based built-up index IBI, −1…1 (Xu 2008), in the form with band ratios."""
    g, r = _reflectance(green, "green"), _reflectance(red, "red")
    n, s = _reflectance(nir, "nir"), _reflectance(swir1, "swir1")
    built = _ratio(2 * s, s + n)
    other = _ratio(n, n + r) + _ratio(g, g + s)
    return _ratio(built - other, built + other)


def ndbsi(blue: Any, green: Any, red: Any, nir: Any, swir1: Any) -> Array:
    """Dryness, −1…1: the mean of `soil_index` and `built_index`."""
    return 0.5 * (soil_index(blue, red, nir, swir1) + built_index(green, red, nir, swir1))


def brightness_temperature(radiance: Any, k1: float, k2: float) -> Array:
    """Temperature at the sensor, K: K2/ln(K1/L + 1).

    Parameters
    ----------
    radiance : array
        Spectral radiance of the thermal band, W/(m² sr µm), above 0.
    k1, k2 : float
        Constants of the scene's metadata (W/(m² sr µm), K).
    """
    value = checked(radiance, "radiance", "W/(m2 sr um)", 1e-6, 100)
    if not (k1 > 0 and k2 > 0):
        raise InputError(f"K1 = {k1}, K2 = {k2}", rule="both above 0, from the scene's metadata")
    return k2 / np.log(k1 / value + 1)


def land_surface_temperature(
    temperature: Any, emissivity: Any, sensor: str, method: Method
) -> Array:
    """Surface temperature, K, from that at the sensor: T/[1 + (λT/ρ) ln ε].

    Parameters
    ----------
    temperature : array
        At the sensor, K.
    emissivity : array or float
        0.8–1.
    sensor : {'tm', 'etm', 'tirs'}
        Sets the wavelength.
    method : Method
        ``rsei``.

    Raises
    ------
    InputError
        Degrees Celsius, emissivity in per cent.
    """
    kelvin = checked(temperature, "temperature", "K", _COLD, _HOT, "add 273.15 to degrees Celsius")
    share = checked(emissivity, "emissivity", "1", 0.5, 1.0)
    factor = method.number(f"wavelength_{sensor}").required / method.number("rho").required
    return np.asarray(kelvin / (1 + factor * kelvin * np.log(share)))


def steps_of(
    bands: Mapping[str, Any], lst: Any, wetness: WetnessSet, water_above: float
) -> tuple[Array, int]:
    """Return NDVI, WET, LST and NDBSI in whole steps, and how many pixels are water.

    Parameters
    ----------
    bands : mapping
        Band to reflectance, 0–1, NaN where missing: `BANDS` and those of `wetness`.
    lst : array
        Surface temperature, K.
    wetness : WetnessSet
        For the sensor and level of the reflectances.
    water_above : float
        MNDWI above this is water and left out.

    Returns
    -------
    steps : int32[4, n]
        1e-4 of an index, 0.01 K; `rsei_kernels.MISSING` where any of the four is missing.
    water : int
        Pixels left out as water.

    Raises
    ------
    InputError
        A band that is missing or of another shape, values that are no reflectance or no kelvin.
    """
    needed = tuple(dict.fromkeys((*BANDS, *wetness.bands)))
    absent = [b for b in needed if b not in bands]
    if absent:
        raise InputError(
            f"RSEI needs bands that are not there: {', '.join(absent)}",
            rule=f"needed with the wetness of {wetness.id}: {', '.join(needed)}",
        )
    flat = {name: _flat(bands[name], name) for name in needed}
    temperature = _flat(lst, "lst")
    sizes = {name: a.size for name, a in (*flat.items(), ("lst", temperature))}
    if len(set(sizes.values())) > 1:
        raise InputError(f"inputs of RSEI differ in size: {sizes}", rule="all lie on one grid")
    wet = np.zeros(temperature.size)
    weights = dict(zip(wetness.bands, wetness.coefficients, strict=True))
    for name, band in flat.items():
        into = wet if name in weights else np.zeros(band.size)
        odd = kernels.add_weighted(band, weights.get(name, 0.0), _LOW, _HIGH, into)
        _refuse(odd, name, f"{_LOW:g} to {_HIGH:g}", _FIX)
    odd = kernels.add_weighted(temperature, 0.0, _COLD, _HOT, np.zeros(temperature.size))
    _refuse(odd, "lst", f"{_COLD:g} to {_HOT:g} K", "add 273.15 to degrees Celsius")
    out = np.empty((4, temperature.size), np.int32)
    blue, green, red, nir, swir1 = (flat[b] for b in BANDS)
    water = kernels.components(
        blue, green, red, nir, swir1, temperature, wet, float(water_above), out
    )
    return out, int(water)


def _flat(values: Any, name: str) -> Array:
    array = np.asarray(values)
    if array.dtype.kind != "f":
        raise InputError(f"'{name}' is of type {array.dtype}", rule="floats, NaN where missing")
    if array.dtype.itemsize < 4:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array).ravel()


def _refuse(odd: tuple[int, float, float], name: str, rule: str, fix: str) -> None:
    count, least, most = odd
    if count:
        raise InputError(
            f"'{name}' holds {count} values from {least:g} to {most:g}", rule=rule, fix=fix
        )
