"""Comprehensive vegetation cover of grassland from ground plots (official survey statistic).

Definition and formula with their evidence: ``configs/methods/grassland_cover.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eco_index.errors import InputError


@dataclass(frozen=True)
class Plot:
    """One ground plot: county, grassland type, plot id (unique in a county), cover in % 0–100."""

    county: str
    grassland_type: str
    plot: str
    cover_percent: float


@dataclass(frozen=True)
class GrasslandCover:
    """Cover of a county or region in %, its natural-grassland area in ha.

    `cover_percent` is None where `missing` names types or counties that have area but no cover.
    """

    cover_percent: float | None
    area_ha: float
    missing: tuple[str, ...]


def _weighted(covers: Mapping[str, float | None], areas: Mapping[str, float]) -> GrasslandCover:
    for name, area in areas.items():
        if not (math.isfinite(area) and area >= 0):
            raise InputError(
                f"The grassland area of {name} is {area}.", rule="areas are finite and >= 0 ha"
            )
    strange = sorted(set(covers) - set(areas))
    if strange:
        raise InputError(
            f"No grassland area is given for {', '.join(strange)}.", fix="add its area in ha"
        )
    total = math.fsum(areas.values())
    if total == 0:
        raise InputError("The grassland area is zero.", rule="cover needs an area > 0 ha")
    missing = tuple(sorted(k for k, a in areas.items() if a > 0 and covers.get(k) is None))
    if missing:
        return GrasslandCover(None, total, missing)
    parts = (c * areas[k] for k, c in covers.items() if c is not None)
    return GrasslandCover(math.fsum(parts) / total, total, ())


def county_cover(
    county: str, plots: Iterable[Plot], areas_ha: Mapping[str, float]
) -> GrasslandCover:
    """Cover of one county: sum of C_k I_k, C_k the mean plot cover of type k, I_k its area share.

    Parameters
    ----------
    county : str
        Plots of other counties are left out.
    plots : iterable of Plot
        Ground plots of the growth peak, cover in %.
    areas_ha : mapping
        Natural-grassland area of each type in ha.

    Raises
    ------
    InputError
        Cover outside 0–100 or NaN, a plot twice, a type without area, a bad or zero area.
    """
    seen: set[str] = set()
    values: dict[str, list[float]] = {}
    for p in plots:
        if p.county != county:
            continue
        where = f"county {county}, plot {p.plot}"
        if p.plot in seen:
            raise InputError("The plot is listed twice.", where=where, rule="plots are unique")
        if not 0 <= p.cover_percent <= 100:
            raise InputError(
                f"The cover is {p.cover_percent}.", where=where, rule="cover is 0-100 %"
            )
        seen.add(p.plot)
        values.setdefault(p.grassland_type, []).append(p.cover_percent)
    covers: dict[str, float | None] = {k: math.fsum(v) / len(v) for k, v in values.items()}
    return _weighted(covers, areas_ha)


def region_cover(counties: Mapping[str, GrasslandCover]) -> GrasslandCover:
    """Cover of a region: county covers weighted by the counties' natural-grassland area."""
    return _weighted(
        {k: c.cover_percent for k, c in counties.items()},
        {k: c.area_ha for k, c in counties.items()},
    )
