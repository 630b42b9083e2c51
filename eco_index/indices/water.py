"""Water conservation after HJ 1173-2021, App. A (water balance)."""

from __future__ import annotations

from typing import Any

import numpy as np

from eco_index.errors import InputError
from eco_index.indices.doors import check_codes, checked
from eco_index.methods import Method

VERSION = 1  # changes when results change

#: Codes of ecosystem types with a runoff coefficient; 0 is missing.
RUNOFF_TYPES: dict[int, str] = {
    1: "evergreen_broadleaf_forest",
    2: "evergreen_conifer_forest",
    3: "mixed_forest",
    4: "deciduous_broadleaf_forest",
    5: "deciduous_conifer_forest",
    6: "sparse_forest",
    7: "evergreen_broadleaf_shrub",
    8: "deciduous_broadleaf_shrub",
    9: "conifer_shrub",
    10: "sparse_shrub",
    11: "alpine_meadow",
    12: "alpine_steppe",
    13: "temperate_steppe",
    14: "temperate_tussock",
    15: "temperate_meadow_steppe",
    16: "tropical_tussock",
    17: "orchard",
    18: "wetland",
    19: "cropland",
    20: "urban",
    21: "desert",
}

Array = np.ndarray[Any, Any]


def runoff_coefficient(types: Any, method: Method) -> Array:
    """Runoff coefficient α by ecosystem type.

    Parameters
    ----------
    types : integer array
        Codes of `RUNOFF_TYPES`, 0 where missing.
    method : Method
        ``hj1173_2021``.

    Returns
    -------
    array
        0–1; NaN where the type is missing or no value was found for it (cropland, urban land,
        desert: placeholders that an overlay may fill).

    Raises
    ------
    InputError
        Unknown code, with its number of pixels.

    Notes
    -----
    Gong et al. (2017), Acta Ecologica Sinica 37(7), Table 2.
    """
    kind = check_codes(types, RUNOFF_TYPES, "ecosystem types")
    table = np.full(len(RUNOFF_TYPES) + 1, np.nan)
    for code, name in RUNOFF_TYPES.items():
        value = method.number(f"runoff_{name}").value
        table[code] = np.nan if value is None else value / 100.0
    return np.asarray(table[kind])


def water_conservation(
    rain: Any, et: Any, runoff: Any, method: Method, negative: str | None = None
) -> Array:
    """Water conservation as a depth.

    Parameters
    ----------
    rain, et : array
        Runoff-producing rain and evapotranspiration of the year, mm.
    runoff : array
        Runoff coefficient, 0–1.
    method : Method
        ``hj1173_2021``.
    negative : {'keep', 'zero'}, optional
        What becomes of rain smaller than runoff and evapotranspiration; the default of the
        method file if not given (not stated by the standard).

    Returns
    -------
    array
        P − α P − ET, mm/a; NaN where an input is missing.

    Raises
    ------
    InputError
        Values out of range: coefficients in per cent, evapotranspiration in 0.1 mm.

    Notes
    -----
    HJ 1173-2021, eq. A.1.
    """
    rain = checked(rain, "rain", "mm/a", 0, 15000, "metres must be multiplied by 1000")
    et = checked(et, "evapotranspiration", "mm/a", 0, 4000, "MOD16 stores 0.1 mm: scale and mask")
    alpha = checked(runoff, "runoff coefficient", "1", 0, 1, "per cent must be divided by 100")
    choice = negative or method.choices["negative_conservation"]
    known = method.file.options["negative_conservation"].choices
    if choice not in known:
        raise InputError(f"negative='{choice}'", rule=f"one of {sorted(known)}")
    depth: Array = rain - alpha * rain - et
    return np.maximum(depth, 0.0) if choice == "zero" else depth


def water_volume(depth: Any, pixel_area_m2: Any) -> Array:
    """Water conservation of pixels in m³/a: area (m²) times depth (mm/a) times 10⁻³.

    Notes
    -----
    HJ 1173-2021, eq. A.1. Sum with a count of missing pixels; NaN is not zero.
    """
    area = checked(pixel_area_m2, "pixel area", "m2", 1e-3, 1e10)
    volume: Array = area * checked(depth, "depth", "mm/a", -20000, 15000) * 1e-3
    return volume
