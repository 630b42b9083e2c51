"""Inputs of EQI from a table of species: protected species, indicator groups, native species.

Columns: ``unit_id``, ``species`` (scientific name), ``group``, ``protection``, ``native``,
``indicator``, ``recorded``. A species of the reference list that was not found has ``recorded``
no: only so can a share of it be less than all. Definitions: rules ``source.*`` of
``configs/methods/eqi_2021.yaml``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from eco_index.errors import InputError

#: Groups that count for the index of key protected species.
COUNTED = ("plant", "mammal", "bird", "reptile", "amphibian")
GROUPS = (*COUNTED, "fish", "insect", "other")
COLUMNS = ("unit_id", "species", "group", "protection", "native", "indicator", "recorded")
_YES_NO = {"yes": True, "no": False, "": None}
_PROTECTION = {"1": 1, "2": 2, "一级": 1, "二级": 2, "": 0, "no": 0}


@dataclass(frozen=True)
class Species:
    """A species of a unit's inventory.

    Attributes
    ----------
    unit_id, species, group : str
    protection : int
        1 or 2: level on the national lists of key protected wild animals and plants; 0: none.
    native, indicator : bool or None
        None: not known.
    recorded : bool
        False: on the reference list but not found.
    """

    unit_id: str
    species: str
    group: str
    protection: int
    native: bool | None
    indicator: bool | None
    recorded: bool


def read_species(path: Path | str) -> list[Species]:
    """Read a table of species (CSV, UTF-8).

    Raises
    ------
    InputError
        No such file, not UTF-8, empty, a column missing, an unknown group or mark, a species
        given twice for a unit. The message names the line.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [c.strip() for c in reader.fieldnames or []]
            reader.fieldnames = columns
            lines = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise InputError(f"table not found: {path}", fix="check the path") from None
    except UnicodeDecodeError:
        raise InputError(
            "the table is not UTF-8", where=str(path), fix="save it as 'CSV UTF-8'"
        ) from None
    except (OSError, csv.Error) as error:
        raise InputError(f"cannot read the table: {error}", where=str(path)) from None
    missing = [c for c in COLUMNS if c not in columns]
    if not columns or missing:
        what = f"the column '{missing[0]}' is missing" if columns else "the table is empty"
        raise InputError(what, where=str(path), rule=f"columns: {', '.join(COLUMNS)}")
    if not lines:
        raise InputError("the table has no rows", where=str(path), rule="one row a species")
    seen: dict[tuple[str, str], int] = {}
    found = []
    for line, row in lines:
        item = _species({k: (row.get(k) or "").strip() for k in COLUMNS}, f"{path}, line {line}")
        key = (item.unit_id, item.species.casefold())
        if key in seen:
            raise InputError(
                f"'{item.species}' is given twice for unit {item.unit_id}",
                where=f"{path}, lines {seen[key]} and {line}",
                rule="one row a species and unit",
            )
        seen[key] = line
        found.append(item)
    return found


def _species(cells: dict[str, str], where: str) -> Species:
    for name in ("unit_id", "species"):
        if not cells[name]:
            raise InputError(f"the row has no {name}", where=where)
    for name, known in (
        ("group", dict.fromkeys(GROUPS)),
        ("protection", _PROTECTION),
        ("native", _YES_NO),
        ("indicator", _YES_NO),
        ("recorded", _YES_NO),
    ):
        if cells[name] not in known:
            raise InputError(
                f"'{name}' is '{cells[name]}'",
                where=where,
                rule=f"one of {', '.join(k or '(empty)' for k in known)}",
            )
    return Species(
        cells["unit_id"],
        cells["species"],
        cells["group"],
        _PROTECTION[cells["protection"]],
        _YES_NO[cells["native"]],
        _YES_NO[cells["indicator"]],
        _YES_NO[cells["recorded"]] is not False,
    )


def species_inputs(rows: Iterable[Species]) -> dict[str, dict[str, float]]:
    """Return the species inputs of every unit of a table.

    Returns
    -------
    dict
        Unit to ``protected_species_n`` (recorded species of national protection in the five
        groups), ``native_functional_share`` (native among recorded species whose origin is known,
        percent), ``indicator_species_vitality`` (recorded among the unit's indicator species,
        percent). A share without a denominator is left out: it is missing, not zero.
    """
    units: dict[str, list[Species]] = {}
    for row in rows:
        units.setdefault(row.unit_id, []).append(row)
    return {unit: _inputs(inventory) for unit, inventory in units.items()}


def _inputs(inventory: list[Species]) -> dict[str, float]:
    recorded = [s for s in inventory if s.recorded]
    out = {
        "protected_species_n": float(sum(s.protection > 0 and s.group in COUNTED for s in recorded))
    }
    origin = [s.native for s in recorded if s.native is not None]
    if origin:
        out["native_functional_share"] = 100.0 * sum(origin) / len(origin)
    indicators = [s.recorded for s in inventory if s.indicator]
    if indicators:
        out["indicator_species_vitality"] = 100.0 * sum(indicators) / len(indicators)
    return out
