"""Slope from elevation, and the factors L and S of RUSLE after HJ 1173-2021, App. A.

Numbers come from ``configs/methods/hj1173_2021.yaml``. NaN is missing and stays missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eco_index.errors import InputError
from eco_index.indices.doors import checked
from eco_index.methods import Method

VERSION = 1  # changes when results change

Array = np.ndarray[Any, Any]

_LENGTH = ("l_unit_plot", "l_sin", "l_factor", "l_power", "l_add")
_STEEPNESS = (
    *(f"s_limit_{i}" for i in (1, 2, 3)),
    *(f"s_factor_{i}" for i in (1, 2, 3)),
    *(f"s_add_{i}" for i in (1, 2, 3)),
    "s_steepest",
)


def horn_slope(padded: Any, dx: Any, dy: float) -> Array:
    """Slope by the 3 × 3 window of Horn (1981).

    Parameters
    ----------
    padded : array
        Elevation in m, (h + 2, w + 2): with a border of one pixel, NaN beyond the map.
    dx : float or array
        Width of a pixel in m; of shape (h, 1) where it changes by row (degrees: cos latitude).
    dy : float
        Height of a pixel in m.

    Returns
    -------
    array
        (h, w), degrees, 0–90; NaN where one of the nine elevations is missing.

    Raises
    ------
    InputError
        Elevation outside −500…9000 m, or pixel sizes that are not above 0 m or look like degrees.

    Notes
    -----
    Horn, B. (1981), Hill shading and the reflectance map, Proc. IEEE 69(1).
    """
    z = checked(padded, "elevation", "m", -500, 9000)
    check_pixel(dx, dy)
    a, b, c = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    d, f = z[1:-1, :-2], z[1:-1, 2:]
    g, h, i = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    east = ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * np.asarray(dx, np.float64))
    south = ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * dy)
    slope: Array = np.degrees(np.arctan(np.sqrt(east * east + south * south)))
    return np.where(np.isnan(z[1:-1, 1:-1]), np.nan, slope)


def check_pixel(dx: Any, dy: float) -> None:
    """Refuse pixel sizes below 0.05 m: most likely degrees."""
    least = min(float(np.min(dx)), float(dy))
    if not least >= 0.05:
        raise InputError(
            f"the pixel is {least:g} wide or high",
            rule="pixel size in metres, 0.05 or more",
            fix="use a projected grid, or give the width in metres for every row",
        )


def slope_length_factor(slope: Any, length: Any, method: Method) -> Array:
    """Slope-length factor L = (λ/22.13)^m, m = β/(1 + β).

    Parameters
    ----------
    slope : array
        Degrees, 0–90.
    length : float or array
        Slope length λ, m, above 0.
    method : Method
        ``hj1173_2021``.

    Returns
    -------
    array
        Without unit; 1 on flat land (m = 0).

    Raises
    ------
    InputError
        Slope or length out of range.

    Notes
    -----
    HJ 1173-2021, App. A: β = (sin θ/0.089)/(3.0 sin^0.8 θ + 0.56).
    """
    sine = np.sin(np.radians(checked(slope, "slope", "degree", 0, 90)))
    length = checked(length, "slope length", "m", 1e-6, 1e5)
    n = {k: method.number(k).required for k in _LENGTH}
    beta = (sine / n["l_sin"]) / (n["l_factor"] * sine ** n["l_power"] + n["l_add"])
    factor: Array = (length / n["l_unit_plot"]) ** (beta / (1 + beta))
    return factor


def steepness_factor(slope: Any, method: Method) -> Array:
    """Steepness factor S of a slope in degrees (0–90); without unit.

    Raises
    ------
    InputError
        Slope out of range.

    Notes
    -----
    HJ 1173-2021, App. A: 10.8 sin θ + 0.03 below 5.14°, 16.8 sin θ − 0.5 below 10.20°,
    21.9 sin θ − 0.96 below 28.81°, 9.5988 from there.
    """
    angle = checked(slope, "slope", "degree", 0, 90)
    sine = np.sin(np.radians(angle))
    n = {k: method.number(k).required for k in _STEEPNESS}
    out = np.full(angle.shape, n["s_steepest"])
    for i in (3, 2, 1):
        out = np.where(angle < n[f"s_limit_{i}"], n[f"s_factor_{i}"] * sine + n[f"s_add_{i}"], out)
    result: Array = np.where(np.isnan(angle), np.nan, out)
    return result
