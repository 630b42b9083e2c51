"""Wetness of the tasselled cap: the right coefficients for sensor and level, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eco_index.errors import InputError, UsageError
from eco_index.methods import Method, load_method
from eco_index.summary import weakest

#: Sensors of satellites, and levels of reflectance with the words for messages.
SENSORS = {
    "tm": ("landsat-4", "landsat-5"),
    "etm": ("landsat-7",),
    "oli": ("landsat-8", "landsat-9"),
    "msi": ("sentinel-2a", "sentinel-2b", "sentinel-2c"),
    "modis": ("terra", "aqua"),
}
LEVELS = {
    "sr": "surface reflectance",
    "toa": "at-sensor reflectance",
    "nbar": "nadir BRDF-adjusted reflectance",
}
#: Rounded to four digits, the published sets stay within this of unit length.
NORM_TOLERANCE = 6e-4


@dataclass(frozen=True)
class WetnessSet:
    """Coefficients of one sensor and level.

    Attributes
    ----------
    id : str
        Name in ``configs/methods/tasselled_cap.yaml``.
    bands : tuple of str
        Bands that it needs.
    coefficients : tuple of float
        One for each band; unit length.
    source : str
        Where they were read.
    evidence : str
        How sure they are: the least sure mark of the set.
    """

    id: str
    bands: tuple[str, ...]
    coefficients: tuple[float, ...]
    source: str
    evidence: str


def sensor_of(name: str) -> str:
    """Return the sensor of a satellite or sensor name, e.g. ``oli`` of ``landsat-9``."""
    key = name.lower().replace("_", "-")
    for sensor, satellites in SENSORS.items():
        if key == sensor or key in satellites:
            return sensor
    known = ", ".join(f"{s} ({', '.join(v)})" for s, v in SENSORS.items())
    raise UsageError(f"unknown sensor '{name}'", rule=f"known: {known}")


def wetness_set(
    sensor: str, level: str, author: str = "", method: Method | None = None
) -> WetnessSet:
    """Return the coefficients for a sensor and a level of reflectance.

    Parameters
    ----------
    sensor : str
        Sensor or satellite (`SENSORS`).
    level : {'sr', 'toa', 'nbar'}
        What the reflectance is (`LEVELS`).
    author : str
        Another set of the same sensor and level, e.g. 'zhai' or 'nedkov'.
    method : Method, optional
        ``tasselled_cap``, perhaps with an overlay.

    Raises
    ------
    UsageError
        There is no sourced set: none is borrowed from another sensor or level.
    """
    method = method or load_method("tasselled_cap")
    if level not in LEVELS:
        raise UsageError(f"unknown level '{level}'", rule=f"one of {sorted(LEVELS)}")
    wanted = "_".join(filter(None, (sensor_of(sensor), level, author)))
    known = dict.fromkeys(key.partition(".")[0] for key in method.numbers)
    if wanted not in known:
        raise UsageError(
            f"there are no wetness coefficients for {sensor}, {LEVELS[level]}"
            + (f", by {author}" if author else ""),
            rule=f"sets with a source: {', '.join(known)}",
            fix="use reflectance of a level that has a set; another level's set would be wrong",
        )
    keys = [k for k in method.numbers if k.startswith(f"{wanted}.")]
    numbers = [method.number(k) for k in keys]
    values = tuple(n.required for n in numbers)
    length = math.hypot(*values)
    if abs(length - 1) > NORM_TOLERANCE:
        raise UsageError(
            f"the coefficients of '{wanted}' have length {length:.5f}",
            rule="a component of the tasselled cap has unit length",
            fix="compare them with the source: a digit is wrong",
        )
    return WetnessSet(
        wanted,
        tuple(k.partition(".")[2] for k in keys),
        values,
        "; ".join(dict.fromkeys(n.source for n in numbers)),
        weakest(n.evidence for n in numbers),
    )


def wetness(bands: Mapping[str, Any], coefficients: WetnessSet) -> np.ndarray[Any, Any]:
    """Wetness of reflectances.

    Parameters
    ----------
    bands : mapping
        Band name to reflectance, 0–1; NaN where missing.
    coefficients : WetnessSet
        For the sensor and level of the reflectances.

    Returns
    -------
    float64 array
        NaN where a band is missing.

    Raises
    ------
    InputError
        A band is not there.
    """
    absent = [b for b in coefficients.bands if b not in bands]
    if absent:
        raise InputError(
            f"bands are missing: {', '.join(absent)}",
            where=f"wetness, set {coefficients.id}",
            rule=f"needed: {', '.join(coefficients.bands)}",
        )
    total: Any = 0.0
    for name, weight in zip(coefficients.bands, coefficients.coefficients, strict=True):
        total = total + weight * np.asarray(bands[name], np.float64)
    return np.asarray(total)
