"""Inputs of the ecological quality index EQI from vectors: shares of areas and of shoreline.

What the official text says of these inputs was not found; what is done instead stands as rules
``source.*`` with evidence `placeholder` in ``configs/methods/eqi_2021.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Geod

from eco_index.errors import InputError
from eco_index.grid import polygon_area_m2

_GEOD = Geod(ellps="GRS80")
#: Shares this little above 100 % are rounding of the overlay.
_ROUNDING = 1e-6


def merged(shapes: Any) -> shapely.Geometry:
    """Return the union of geometries; what lies twice counts once, invalid rings are repaired."""
    array = shapely.make_valid(np.asarray(shapes, dtype=object))
    return shapely.union_all(array[~shapely.is_missing(array)])


def area_share(units: Any, parts: Any, crs: CRS, within: Any = None) -> np.ndarray:
    """Return how much of each unit, or of a part of it, polygons cover.

    Parameters
    ----------
    units : array of shapely geometries
        Polygons (n,) in `crs`.
    parts : array of shapely geometries
        Polygons whose area is in the numerator; overlaps count once. None at all: 0 %.
    crs : pyproj.CRS
        Equal-area system of all geometries.
    within : array of shapely geometries, optional
        Polygons, for example built-up areas: their part inside the unit is the denominator.

    Returns
    -------
    numpy.ndarray
        float64 (n,), percent 0–100; NaN where the denominator is empty.

    Raises
    ------
    UsageError
        A CRS that does not keep areas.
    """
    whole = np.asarray(units, dtype=object)
    if within is not None:
        whole = shapely.intersection(whole, merged(within))
    total = polygon_area_m2(whole, crs)
    part = polygon_area_m2(shapely.intersection(whole, merged(parts)), crs)
    out = np.full(total.shape, np.nan)
    np.divide(100.0 * part, total, out=out, where=total > 0)
    return np.where(out > 100, np.minimum(out, 100.0), out)


def park_access(units: Any, built_up: Any, parks: Any, reach_m: float, crs: CRS) -> np.ndarray:
    """Return the share of each unit's built-up areas within reach of a park, percent.

    Parameters
    ----------
    units, built_up, parks : array of shapely geometries
        Polygons in `crs`; parks beyond the unit's border serve it too.
    reach_m : float
        Straight distance from a park's edge, m on the grid.
    crs : pyproj.CRS
        Equal-area.

    Returns
    -------
    numpy.ndarray
        float64 (n,), 0–100; NaN for units without built-up area.
    """
    if not (reach_m >= 0 and np.isfinite(reach_m)):
        raise InputError(f"the reach of a park is {reach_m} m", rule="0 m or more")
    return area_share(units, [shapely.buffer(merged(parks), reach_m)], crs, built_up)


def natural_shoreline(
    unit_ids: Sequence[str], owners: Sequence[str], natural: Sequence[Any], lines: Any
) -> np.ndarray:
    """Return the natural share of each unit's shoreline, percent of its geodesic length.

    Parameters
    ----------
    unit_ids : sequence of str
        Units (n,).
    owners : sequence of str
        Unit of each line: a shoreline runs along borders, where an overlay would be unstable.
    natural : sequence
        1 or 0 of each line.
    lines : array of shapely geometries
        Lines in degrees (longitude, latitude).

    Returns
    -------
    numpy.ndarray
        float64 (n,), 0–100; NaN for units without shoreline.

    Raises
    ------
    InputError
        A mark that is neither 1 nor 0; a geometry that is no line.
    """
    total, kept = dict.fromkeys(unit_ids, 0.0), dict.fromkeys(unit_ids, 0.0)
    for k, (owner, mark, line) in enumerate(
        zip(owners, natural, np.asarray(lines, dtype=object), strict=True)
    ):
        where = f"line {k + 1} (unit {owner})"
        if mark not in (0, 1):
            raise InputError(
                f"'natural' is {mark!r}", where=where, rule="1 natural shoreline, 0 built one"
            )
        if line is None or line.geom_type not in ("LineString", "MultiLineString"):
            kind = "empty" if line is None else f"a {line.geom_type}"
            raise InputError(f"the geometry is {kind}", where=where, rule="shorelines are lines")
        if owner in total:
            length = float(_GEOD.geometry_length(line))
            total[owner] += length
            kept[owner] += length * int(mark)
    return np.array([100 * kept[u] / total[u] if total[u] > 0 else np.nan for u in unit_ids])


def sea_of_units(
    unit_ids: Sequence[str], owners: Sequence[str], seas: Any, uses: Any, crs: CRS
) -> tuple[np.ndarray, np.ndarray]:
    """Return each unit's near-shore sea (km2) and the share of it in use (percent).

    Parameters
    ----------
    unit_ids : sequence of str
        Units (n,).
    owners, seas
        Unit and polygon (in `crs`) of each piece of sea.
    uses : array of shapely geometries
        Polygons of sea in use (fill, ports, farms …); overlaps count once.
    crs : pyproj.CRS
        Equal-area.

    Returns
    -------
    tuple of numpy.ndarray
        float64 (n,) km2 and percent; NaN for units without sea.
    """
    pieces: dict[str, list[Any]] = {u: [] for u in unit_ids}
    for owner, sea in zip(owners, np.asarray(seas, dtype=object), strict=True):
        if owner in pieces:
            pieces[owner].append(sea)
    own = np.array([merged(pieces[u]) for u in unit_ids], dtype=object)
    area = polygon_area_m2(own, crs) / 1e6
    return np.where(area > 0, area, np.nan), area_share(own, uses, crs)


def land_disturbance(areas: Mapping[str, float | None], weights: Mapping[str, float]) -> float:
    """Return the disturbed share of a unit, percent: weighted land-use areas over its area.

    Parameters
    ----------
    areas : mapping
        ``area_km2`` and every ``area_<LUCC code>`` that `weights` names, km2.
    weights : mapping
        Input name to weight, 0–1.

    Returns
    -------
    float
        0–100; NaN where an area is missing (a missing area is not zero).
    """
    needed = [areas.get("area_km2"), *(areas.get(name) for name in weights)]
    known = [a for a in needed if a is not None]
    if len(known) < len(needed) or known[0] <= 0:
        return float("nan")
    parts = sum(w * a for w, a in zip(weights.values(), known[1:], strict=True))
    share = 100.0 * parts / known[0]
    return 100.0 if 100 < share <= 100 * (1 + _ROUNDING) else share
