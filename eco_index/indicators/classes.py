"""How many units, and how much area, belong to each class of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eco_index.methods import Method

#: Group of all units together.
ALL = "all"


def class_table(method: Method, units: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return units and area of every class, for all units and for each unit group.

    Parameters
    ----------
    method : Method
        Its classes, best first; a unit without a value has none of them.
    units : sequence of mappings
        Each with `grade` (class id, "" without a value), `area_km2` (None where not known) and
        optionally `group` (the unit's choice of `unit_group`).

    Returns
    -------
    list of dict
        `group`, `class` ("" for units without a value), `units`, `area_km2` and `area_share`
        (percent of the area of all units of the group; None where one of them has no area). The
        counts of a group add to its units and the shares to 100. Empty without classes.
    """
    classes = [c.id for c in method.file.classes]
    if not classes:
        return []
    spec = method.file.options.get("unit_group")
    found = {str(u.get("group") or "") for u in units}
    groups = [g for g in (spec.choices if spec else ()) if g in found]
    out = []
    for group in (ALL, *(groups if len(groups) > 1 else ())):
        members = [u for u in units if group in (ALL, u.get("group"))]
        areas = [u.get("area_km2") for u in members]
        whole = None if any(a is None for a in areas) else sum(a for a in areas if a is not None)
        for name in (*classes, ""):
            own = [u for u in members if u["grade"] == name]
            if not name and not own:
                continue
            area = None if whole is None else sum(u["area_km2"] for u in own)
            share = 100 * area / whole if area is not None and whole else None
            out.append(
                {"group": group, "class": name, "units": len(own), "area_km2": area,
                 "area_share": share}
            )  # fmt: skip
    return out
