"""Check the inputs of a unit before anything is computed from them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from eco_index.errors import InputError
from eco_index.method_model import InputSpec, near
from eco_index.methods import Method
from eco_index.products import LUCC
from eco_index.yamlio import Text

#: Area sums may exceed the unit's area by this share (rounding in tables, pixels at the border).
AREA_TOLERANCE = 0.005
_CLASS_AREA = re.compile(r"area_\d+")
#: Inputs that together are parts of the unit's area.
_PARTS = (
    tuple(f"area_{code}" for code in LUCC),
    ("erosion_severe_km2", "erosion_moderate_km2", "erosion_slight_km2"),
    ("other_stress_km2",),
    ("red_line_km2",),
    ("protected_km2",),
    ("desertified_km2",),
)


def check_inputs(
    method: Method, inputs: Mapping[str, Any], where: str | None = None
) -> dict[str, float | None]:
    """Return every input the method declares as a number, None where it is missing.

    Parameters
    ----------
    method : Method
        Declares names, units and ranges.
    inputs : mapping
        Values by input name; others (unit id, name, options) are ignored.
    where : str, optional
        File, line or unit, for messages.

    Raises
    ------
    InputError
        Not a number; outside the declared range; class areas that exceed the unit's area by more
        than 0.5 %; an area of an unknown class.
    """
    for name in inputs:
        if _CLASS_AREA.fullmatch(name) and int(name[5:]) not in LUCC:
            raise InputError(
                f"'{name}' is not a land-use class",
                where=where,
                rule=f"classes: {', '.join(str(c) for c in LUCC)}",
            )
    values = {
        name: _value(name, spec, inputs.get(name), where)
        for name, spec in method.file.inputs.items()
    }
    _parts_fit(values, where)
    return values


def _value(name: str, spec: InputSpec, given: Any, where: str | None) -> float | None:
    if given is None:
        return None
    try:
        if isinstance(given, bool | str):
            raise TypeError
        value = float(given)
    except (TypeError, ValueError):
        raise InputError(
            f"'{name}' is not a number: {given!r}", where=where, rule=f"unit {spec.unit}"
        ) from None
    if math.isnan(value):
        return None
    below = value <= spec.minimum if spec.above_minimum else value < spec.minimum
    if below or value > spec.maximum or (spec.values and value not in spec.values):
        raise InputError(
            f"'{name}' ({spec.title.en}) is {value:g}, which cannot be",
            where=where,
            rule=_rule(spec),
            fix=_hint(name, spec, value),
        )
    return value


def _rule(spec: InputSpec) -> str:
    if spec.values:
        return f"one of {', '.join(f'{v:g}' for v in spec.values)}"
    low = f"above {spec.minimum:g}" if spec.above_minimum else f"{spec.minimum:g}"
    return f"{low} to {spec.maximum:g} {spec.unit if spec.unit != '1' else '(no unit)'}"


def _hint(name: str, spec: InputSpec, value: float) -> str:
    if name.startswith("ndvi") and abs(value) > 2:
        return "these look like scaled integers of a product; divide NDVI by its scale (10000)"
    if spec.unit == "%" and value > 100:
        return "a percentage cannot exceed 100; check the unit"
    if value < 0:
        return "a negative value is not possible; leave the cell empty where it is not known"
    return "check the value and its unit"


def _parts_fit(values: Mapping[str, float | None], where: str | None) -> None:
    total = values.get("area_km2")
    if total is None:
        return
    for names in _PARTS:
        given = {n: v for n in names if (v := values.get(n)) is not None}
        parts = sum(given.values())
        if parts > total * (1 + AREA_TOLERANCE + 1e-12):
            label = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
            raise InputError(
                f"the areas {label} add to {parts:.6g} km2, the unit has {total:.6g} km2",
                where=where,
                rule=f"parts may exceed the unit by {100 * AREA_TOLERANCE:g} % at most",
                fix="check units (km2, not ha) and classes counted twice",
            )


def coverage_warning(values: Mapping[str, float | None]) -> Text | None:
    """Return a warning where the class areas leave part of the unit without a class."""
    areas = [values.get(name) for name in _PARTS[0]]
    total = values.get("area_km2")
    if total is None or any(a is None for a in areas):
        return None
    share = 100 * sum(a for a in areas if a is not None) / total
    if share >= 100 * (1 - AREA_TOLERANCE):
        return None
    return Text(
        zh=f"各类面积仅占单元面积的{share:.1f}%，其余面积无分类，面积类分指数偏低",
        en=f"the class areas cover {share:.1f} % of the unit; indices of area shares are too low",
    )


def check_options(method: Method, options: Mapping[str, str] | None) -> dict[str, str]:
    """Return the choice of every option of the method.

    Raises
    ------
    InputError
        Unknown option or choice.
    """
    chosen = dict(method.choices)
    for name, choice in (options or {}).items():
        spec = method.file.options.get(name)
        if spec is None:
            raise InputError(
                f"method '{method.id}' has no option '{name}'{near(name, method.choices)}",
                rule=f"options: {', '.join(method.choices) or 'none'}",
            )
        if choice not in spec.choices:
            raise InputError(
                f"option '{name}' cannot be '{choice}'{near(str(choice), spec.choices)}",
                rule=f"choices: {', '.join(spec.choices)}",
            )
        chosen[name] = choice
    return chosen
