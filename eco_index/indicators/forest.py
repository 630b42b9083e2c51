"""Forest coverage rate by the official definition, and the map-only figure beside it.

Forest = trees in closed patches + shrubland that the state defines as forest + trees in rows and
around houses, roads and water, which no 30 m map shows: those come as a table. Definition with its
evidence: ``configs/methods/forest_coverage.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eco_index.csv_rows import read_rows
from eco_index.errors import InputError
from eco_index.indices.forest import FILL, FOREST, SHRUBLAND

_COLUMNS = ("unit", "land_ha", "linear_trees_ha")


@dataclass(frozen=True)
class UnitTable:
    """What a table says of a unit.

    Attributes
    ----------
    land_ha : float
        Land area of the unit, the denominator of the official rate.
    linear_trees_ha : float or None
        Area of farmland shelter belts and of trees around villages, roads, water and houses; None
        where it was not surveyed.
    """

    land_ha: float
    linear_trees_ha: float | None


@dataclass(frozen=True)
class ForestRate:
    """Forest of one unit.

    Attributes
    ----------
    unit : str
    official_percent : float or None
        All parts of the definition over the land area; None where `missing` names a part.
    map_percent : float or None
        Tree patches of the map over the area that the map covers; None where it covers nothing.
    forest_ha, shrubland_ha, no_data_ha : float
        From the map; `shrubland_ha` is specially defined shrubland.
    linear_trees_ha : float or None
        From the table.
    missing : tuple of str
        Parts that are not known.
    """

    unit: str
    official_percent: float | None
    map_percent: float | None
    forest_ha: float
    shrubland_ha: float
    no_data_ha: float
    linear_trees_ha: float | None
    missing: tuple[str, ...]


def read_unit_table(path: Path | str) -> dict[str, UnitTable]:
    """Read a CSV table with the columns ``unit``, ``land_ha`` and ``linear_trees_ha``.

    An empty ``linear_trees_ha`` means "not surveyed", which is not zero.

    Raises
    ------
    InputError
        Missing file, column or value; a number that is none, negative or a duplicate unit.
    """
    path = Path(path)
    header, rows = read_rows(path, "the table")
    if not rows:
        raise InputError("the table is empty", where=str(path), rule=f"columns: {_COLUMNS}")
    absent = [c for c in _COLUMNS if c not in header]
    if absent:
        raise InputError(
            f"columns are missing: {', '.join(absent)}",
            where=str(path),
            rule=f"columns: {', '.join(_COLUMNS)}",
        )
    out: dict[str, UnitTable] = {}
    for line, row in enumerate(rows, 2):
        where = f"{path}, line {line}"
        unit = (row["unit"] or "").strip()
        if not unit or unit in out:
            raise InputError(f"unit '{unit}' is empty or given twice", where=where)
        land = _area(row["land_ha"], "land_ha", where)
        if not land:
            raise InputError(f"the land area is {row['land_ha']!r}", where=where, rule="above 0 ha")
        out[unit] = UnitTable(land, _area(row["linear_trees_ha"], "linear_trees_ha", where))
    return out


def _area(text: str | None, column: str, where: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{column} is {text!r}", where=where, rule="a number of ha, 0 or more")
    return value


class ForestCounts:
    """Pixels of each zone by class of a forest map; add blocks with ``add``: exact.

    Parameters
    ----------
    n_zones : int
        Zones are numbered 1…n.
    """

    def __init__(self, n_zones: int) -> None:
        self.counts = np.zeros((n_zones + 1, 256), np.int64)

    def add(self, forest: np.ndarray, zones: np.ndarray) -> None:
        """Count a block of a forest map (`indices.forest_map`) and its zone numbers."""
        if forest.shape != zones.shape or forest.dtype != np.uint8 or zones.dtype.kind not in "iu":
            raise InputError(
                f"a forest map {forest.dtype}{forest.shape} and zones {zones.dtype}{zones.shape}",
                rule="uint8 and whole numbers on one grid",
            )
        n = self.counts.shape[0]
        if zones.size and not 0 <= zones.min() <= zones.max() < n:
            raise InputError(f"zones {zones.min()}…{zones.max()}", rule=f"0 (outside) to {n - 1}")
        strange = sorted(set(np.unique(forest).tolist()) - {0, FOREST, SHRUBLAND, FILL})
        if strange:
            raise InputError(f"the forest map holds {strange}", rule="0, 1, 2 or 255")
        flat = zones.astype(np.int64).ravel() * 256 + forest.ravel()
        self.counts += np.bincount(flat, minlength=n * 256).reshape(n, 256)


def forest_rates(
    counts: ForestCounts,
    units: Sequence[str],
    table: Mapping[str, UnitTable],
    pixel_area_m2: float,
    with_shrubland: bool,
) -> list[ForestRate]:
    """Return both figures for every unit.

    Parameters
    ----------
    counts : ForestCounts
        Of the whole map.
    units : sequence of str
        Ids of zones 1…n.
    table : mapping
        Unit to its land area and linear trees.
    pixel_area_m2 : float
        Area of a pixel.
    with_shrubland : bool
        Whether the map tells specially defined shrubland (cover and rain were given).

    Raises
    ------
    InputError
        A unit that the table does not have; forest larger than the unit's land.
    """
    unknown = [u for u in units if u not in table]
    if unknown:
        raise InputError(
            f"the table has no row for {', '.join(unknown[:8])}",
            rule="one row for every unit",
            fix="add the units, with an empty linear_trees_ha where it was not surveyed",
        )
    out = []
    for number, unit in enumerate(units, 1):
        row = counts.counts[number]
        hectares = pixel_area_m2 / 10_000
        forest, shrub = int(row[FOREST]) * hectares, int(row[SHRUBLAND]) * hectares
        empty, seen = int(row[FILL]) * hectares, int(row.sum() - row[FILL]) * hectares
        known = table[unit]
        missing = []
        if empty or not seen:
            missing.append("map")
        if not with_shrubland:
            missing.append("special_shrubland")
        if known.linear_trees_ha is None:
            missing.append("linear_trees")
        total = forest + shrub + (known.linear_trees_ha or 0.0)
        # A border pixel more or less is no contradiction.
        if total > known.land_ha * 1.01:
            raise InputError(
                f"unit '{unit}' has {total:.1f} ha of forest on {known.land_ha:.1f} ha of land",
                rule="forest does not exceed the land area",
                fix="check units (ha) and whether zones and table mean the same area",
            )
        rate = None if missing else min(100.0, total * 100 / known.land_ha)
        share: Any = forest * 100 / seen if seen else None
        out.append(
            ForestRate(
                unit, rate, share, forest, shrub, empty, known.linear_trees_ha, tuple(missing)
            )
        )
    return out
