"""Formulas of HJ 192-2015 that are more than a weighted sum of areas.

Every coefficient comes from ``configs/methods/hj192_2015.yaml``; sources and evidence stand there.
"""

from __future__ import annotations

from eco_index.indicators.context import Context


def corrected_water_resources(
    resources: float, mean: float, ratio_full: float, ratio_none: float
) -> float:
    """Return the water resources Q* that count, so that a flood year is not a good year.

    Parameters
    ----------
    resources, mean : float
        Water resources of the year and their mean over many years, 10^6 m3; mean > 0.
    ratio_full, ratio_none : float
        Up to `ratio_full` (1.4) times the mean everything counts; above `ratio_none` (2.4) nothing.

    Returns
    -------
    float
        10^6 m3. The rule jumps at `ratio_full` (from 1.4 to 1.0 times the mean); the limits belong
        to the lower branch. Source: third-party code of HJ 192-2015.
    """
    ratio = resources / mean
    if ratio <= ratio_full:
        return resources
    if ratio <= ratio_none:
        return mean * (ratio_none - ratio)
    return 0.0


def water_density(c: Context) -> float:
    """Water-network density: mean of river length, water area and corrected water resources."""
    area = c.input("area_km2")
    water = sum(c.input(name) for name in ("area_41", "area_42", "area_43", "sea_km2"))
    resources = corrected_water_resources(
        c.input("water_resources_1e6m3"),
        c.input("water_resources_mean_1e6m3"),
        c.number("water.ratio_full"),
        c.number("water.ratio_none"),
    )
    return (
        c.number("water.river") * c.input("river_length_km")
        + c.number("water.area") * water
        + c.number("water.resources") * resources
    ) / (3 * area)


#: Pollutant in the method file, input, whether it is related to precipitation (else to area).
POLLUTANTS = (
    ("cod", "cod_t", True),
    ("nh3n", "nh3n_t", True),
    ("so2", "so2_t", False),
    ("dust", "dust_t", False),
    ("nox", "nox_t", False),
    ("waste", "solid_waste_t", False),
)


def pollution_load(c: Context) -> float:
    """Pollution load: weighted emissions per precipitation (water) and per area (air, waste)."""
    area, depth = c.input("area_km2"), c.input("precipitation_mm")
    # mm times km2 is 1000 m3.
    precipitation = {"mm": depth, "1e6m3": depth * area / 1000, "mm_km2": depth * area}[
        c.choice("pollution_precipitation")
    ]
    total = 0.0
    for key, name, by_rain in POLLUTANTS:
        factor = c.number(f"pollution.{key}.weight") * c.number(f"pollution.{key}.coefficient")
        total += factor * c.input(name) / (precipitation if by_rain else area)
    return total


def restriction(c: Context, value: float) -> float:
    """Limit EI where environmental events restrict it.

    Parameters
    ----------
    c : Context
        Gives `restriction_code`: 0 none; 2 one class down; 3 neither excellent nor good, and one
        class down.
    value : float
        EI before the restriction.

    Returns
    -------
    float
        EI after it; a value in the lowest class stays as it is.
    """
    code = c.input("restriction_code")
    if code == 0:
        return value
    excellent, good, moderate, poor = (
        c.number(f"class.{name}") for name in ("excellent", "good", "moderate", "poor")
    )
    if value >= excellent:
        return c.number("restriction.cap_excellent" if code == 2 else "restriction.cap_good")
    if value >= good:
        return c.number("restriction.cap_good")
    if value >= moderate:
        return c.number("restriction.cap_moderate")
    if value >= poor:
        return c.number("restriction.cap_poor")
    return value
