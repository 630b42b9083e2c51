"""Formula of HJ/T 192-2006 that is more than a weighted sum of areas.

Coefficients come from ``configs/methods/hjt192_2006.yaml``; those without value follow the rule
100 / maximum over the set of units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eco_index.indicators.context import Context

_WATER = ("area_41", "area_42", "area_43", "sea_km2")


def water_density(c: Context) -> float:
    """Water-network density: sum of river length, water area and water resources, each scaled.

    HJ 192-2015 takes the mean of the three terms and corrects the resources of wet years; the
    standard of 2006 does neither.
    """

    def river(unit: Mapping[str, Any]) -> float | None:
        return _over_area(unit, unit.get("river_length_km"))

    def water(unit: Mapping[str, Any]) -> float | None:
        absent = c.method.file.inputs["sea_km2"].absent
        parts = [unit.get(n) if unit.get(n) is not None or n != "sea_km2" else absent
                 for n in _WATER]  # fmt: skip
        known = [p for p in parts if p is not None]
        return _over_area(unit, sum(known) if len(known) == len(parts) else None)

    def resources(unit: Mapping[str, Any]) -> float | None:
        return _over_area(unit, unit.get("water_resources_1e6m3"))

    return (
        c.scaled("water.river", river)
        + c.scaled("water.area", water)
        + c.scaled("water.resources", resources)
    )


def _over_area(unit: Mapping[str, Any], value: float | None) -> float | None:
    area = unit.get("area_km2")
    return value / area if value is not None and area else None
