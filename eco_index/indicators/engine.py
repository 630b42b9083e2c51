"""Evaluate an official index of one unit from its method file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eco_index.errors import UsageError
from eco_index.indicators import ei, ei2006
from eco_index.indicators.checks import check_inputs, check_options, coverage_warning
from eco_index.indicators.context import Context
from eco_index.indicators.result import NO_TEXT, IndexResult, SubResult
from eco_index.method_model import NOT_GIVEN, Component, GradeClass
from eco_index.methods import Method, Number
from eco_index.yamlio import Text

FUNCTIONS: dict[str, Callable[[Context], float]] = {
    "water_density": ei.water_density,
    "pollution_load": ei.pollution_load,
    "water_density_2006": ei2006.water_density,
}
RESTRICTIONS: dict[str, Callable[[Context, float], float]] = {"restriction": ei.restriction}
#: Values are compared with limits after rounding to this, or 0.1 + 0.2 would decide a class.
_DIGITS = 9


def evaluate(
    method: Method,
    inputs: Mapping[str, Any],
    options: Mapping[str, str] | None = None,
    unit_set: Sequence[Mapping[str, Any]] | None = None,
) -> IndexResult:
    """Compute an official index of one unit, every sub-index shown.

    Parameters
    ----------
    method : Method
        A method of kind 'index'.
    inputs : mapping
        Values by input name (`input_names`); None or absent: missing. The row may also hold the
        unit's own choices (`unit_group`, `coast`), which go before `options`.
    options : mapping, optional
        Choices where the standard is ambiguous; the method file states the defaults.
    unit_set : sequence of mappings, optional
        Inputs of all units that are compared, of both periods where a change is wanted (a maximum
        taken per period would turn into a false change). Indicators without an official
        coefficient are normalised by 100 / maximum over them, and not evaluated without them.

    Returns
    -------
    IndexResult
        `value` is None as soon as an applicable sub-index lacks an input.

    Raises
    ------
    InputError
        An input or an option that cannot be.
    UsageError
        The method computes no index.
    """
    if method.file.kind != "index":
        raise UsageError(
            f"method '{method.id}' holds parameters and computes no index per unit",
            fix="`eco methods list` names the indices, such as hj192_2015 and eqi_2021",
        )
    where = f"unit {inputs['unit_id']}" if inputs.get("unit_id") else None
    values = check_inputs(method, inputs, where)
    own = {k: str(inputs[k]) for k in method.choices if inputs.get(k) is not None}
    choices = check_options(method, {**(options or {}), **own})
    run = _Run(method, values, choices, unit_set)
    return run.result()


class _Run:
    """One evaluation: walks the tree of components from the leaves up."""

    def __init__(
        self,
        method: Method,
        values: dict[str, float | None],
        choices: dict[str, str],
        unit_set: Sequence[Mapping[str, Any]] | None,
    ) -> None:
        self.method, self.values, self.choices, self.unit_set = method, values, choices, unit_set
        self.numbers: dict[str, Number] = {}
        self.done: dict[str, SubResult] = {}
        self.sets: set[Text] = set()
        self.precision = self.context()
        self.decimals = 1 if self._rounds() else None

    def context(self) -> Context:
        return Context(self.method, self.values, self.choices, self.unit_set, sets=self.sets)

    def _rounds(self) -> bool:
        known = "rounding" in self.choices
        return known and self.precision.choice("rounding") == "one_decimal"

    def result(self) -> IndexResult:
        context = self.context()
        context.used.update(self.precision.used)
        if "unit_group" in self.choices:
            context.choice("unit_group")
        value, _ = self._combine("", context)
        value = self._round(value)
        subs = [self.done[c.id] for c in self.method.file.components]
        if self.method.file.restriction:
            limited = self._restrict(self.method.file.restriction, value)
            subs.append(limited)
            value = limited.value
        grade_class = None
        if value is not None and self.method.file.classes:
            grade_class = grade(self.method, value)
            for item in self.method.file.classes:
                if item.lower:
                    context.number(item.lower)
        self.numbers.update(context.used)
        options: dict[str, str | Text] = dict(self.choices)
        if self.sets:
            sets = sorted(self.sets, key=lambda label: label.en)
            options["unit_set"] = Text(
                zh="；".join(s.zh for s in sets), en="; ".join(s.en for s in sets)
            )
        warning = coverage_warning(self.values)
        return IndexResult(
            method=self.method.id,
            version=self.method.version,
            overlay_digest=self.method.overlay_digest,
            title=self.method.title,
            value=value,
            complete=value is not None,
            provisional=any(not n.sure for n in self.numbers.values()),
            grade=grade_class.id if grade_class else "",
            grade_title=grade_class.title if grade_class else NO_TEXT,
            sub_indices=tuple(subs),
            inputs=dict(self.values),
            options=options,
            numbers=tuple(self.numbers.values()),
            warnings=(warning,) if warning else (),
        )

    def _combine(self, parent: str, context: Context) -> tuple[float | None, tuple[str, ...]]:
        """Weighted sum of the children of `parent`, and the inputs that are missing for it."""
        children = self.method.file.children(parent)
        live = [c for c in children if self._applies(c, context)]
        weights = {c.id: context.number(c.weight or "") for c in live}
        live = [c for c in live if weights[c.id] > 0]
        # Only where a sibling dropped out: dividing a full set by its sum would move last digits.
        share = math.fsum(weights[c.id] for c in live) if len(live) < len(children) else 1.0
        for child in children:
            if child in live:
                self._evaluate(child, weights[child.id] / share)
            else:
                self._not_applicable(child)
        results = [self.done[c.id] for c in live]
        for sub in results:
            context.used.update({k: self.numbers[k] for k in sub.used})
        missing = tuple(dict.fromkeys(m for s in results for m in s.missing))
        if missing or not results:
            return None, missing
        return (
            math.fsum(
                (s.weight or 0.0) * ((100 - s.value) if s.inverse else s.value)
                for s in results
                if s.value is not None
            ),
            (),
        )

    def _applies(self, part: Component, context: Context) -> bool:
        if part.drop:
            lacking = any(context.is_missing(n) for n in part.needed())
            if not part.drop.only_if_missing or lacking:
                choice = context.choice(part.drop.option)
                if part.drop.unless is not None:
                    return choice in (part.drop.unless, NOT_GIVEN)
                return choice != part.drop.choice
        children = self.method.file.children(part.id)
        return not children or any(self._applies(c, context) for c in children)

    def _not_applicable(self, part: Component) -> None:
        self.done[part.id] = SubResult(
            part.id, part.title, part.parent, None, None, 0.0, part.inverse, applicable=False
        )
        for child in self.method.file.children(part.id):
            self._not_applicable(child)

    def _evaluate(self, part: Component, weight: float) -> None:
        context = self.context()
        for rule in part.rules:
            context.rule(rule)
        if part.drop and part.drop.unless and self.choices[part.drop.option] == NOT_GIVEN:
            raw = None
            missing: tuple[str, ...] = (part.drop.option,)
            for child in self.method.file.children(part.id):
                self._not_applicable(child)
        elif part.kind == "children":
            raw, missing = self._combine(part.id, context)
        else:
            missing = tuple(n for n in part.needed() if context.is_missing(n))
            if not missing and self._needs_set(part, context):
                missing = ("unit_set",)
            raw = None if missing else self._leaf(part, context)
        value = raw
        if raw is not None and not 0 <= raw <= 100 and context.choice("clip") == "yes":
            value = min(max(raw, 0.0), 100.0)
        if part.parent == "":
            value = self._round(value)
        self.numbers.update(context.used)
        self.done[part.id] = SubResult(
            part.id,
            part.title,
            part.parent,
            raw,
            value,
            weight,
            part.inverse,
            missing,
            True,
            any(not n.sure for n in context.used.values()),
            tuple(context.used),
        )

    def _needs_set(self, part: Component, context: Context) -> bool:
        keys = (*filter(None, (part.coefficient,)), *part.coefficients)
        return not self.unit_set and any(not context.known(k) for k in keys)

    def _leaf(self, part: Component, context: Context) -> float:
        for option in part.options:
            context.choice(option)
        if part.kind == "area_sum":
            weights = [math.prod(context.number(w) for w in term.weights) for term in part.terms]
            key = part.coefficient or ""
            if context.known(key):
                total = _area_sum(self.method, part, weights, self.values)
                assert total is not None  # formulas are only called when no input is missing
                return context.number(key) * total / context.input("area_km2")
            return context.scaled(key, lambda unit: _area_share(self.method, part, weights, unit))
        if part.kind == "linear":
            offset = context.number(part.offset) if part.offset else 0.0
            return context.number(part.coefficient or "") * context.input(part.inputs[0]) + offset
        if part.kind == "input":
            return context.input(part.inputs[0])
        if part.kind == "normalised":
            return context.scaled(
                part.coefficient or "", lambda unit: _quantity(self.method, part, unit)
            )
        return FUNCTIONS[part.function or ""](context)

    def _restrict(self, part: Component, value: float | None) -> SubResult:
        context = self.context()
        for rule in part.rules:
            context.rule(rule)
        missing = tuple(n for n in part.needed() if context.is_missing(n))
        limited = value
        if missing and context.choice("restriction_missing") == "none_known":
            missing = ()
        elif missing:
            limited = None
        elif value is not None:
            limited = RESTRICTIONS[part.function or ""](context, value)
        self.numbers.update(context.used)
        unsure = any(not n.sure for n in context.used.values())
        return SubResult(
            part.id,
            part.title,
            "",
            value,
            limited,
            None,
            missing=missing,
            provisional=unsure,
            used=tuple(context.used),
        )

    def _round(self, value: float | None) -> float | None:
        if value is None or self.decimals is None:
            return value
        factor = 10**self.decimals
        return math.floor(value * factor + 0.5 + 10**-_DIGITS) / factor


def _value(method: Method, unit: Mapping[str, Any], name: str) -> float | None:
    """Return an input of a unit of the set, or what its absence stands for."""
    value = unit.get(name)
    return method.file.inputs[name].absent if value is None else float(value)


def _area_sum(
    method: Method, part: Component, weights: Sequence[float], unit: Mapping[str, Any]
) -> float | None:
    """Return the weighted sum of areas of a unit, km2; None where one of them is missing."""
    sums = []
    for weight, term in zip(weights, part.terms, strict=True):
        areas = [_value(method, unit, n) for n in term.inputs]
        known = [a for a in areas if a is not None]
        if len(known) < len(areas):
            return None
        sums.append(weight * math.fsum(known))
    return math.fsum(sums)


def _area_share(
    method: Method, part: Component, weights: Sequence[float], unit: Mapping[str, Any]
) -> float | None:
    total, area = _area_sum(method, part, weights, unit), unit.get("area_km2")
    return total / area if total is not None and area else None


def _quantity(method: Method, part: Component, unit: Mapping[str, Any]) -> float | None:
    """Return what a normalised component scales, None where an input is missing."""
    value = _value(method, unit, part.inputs[0])
    if value is None or not (part.per_area or part.per):
        return value
    by = unit.get("area_km2" if part.per_area else part.per or "")
    return (value * 100 / by if part.per_area else value / by) if by else None


def grade(method: Method, value: float) -> GradeClass:
    """Return the class of a value; the lower limit belongs to the class."""
    rounded = round(value, _DIGITS)
    for item in method.file.classes:
        if item.lower is None or rounded >= method.number(item.lower).required:
            return item
    raise UsageError(f"method '{method.id}' defines no classes")


def change_class(method: Method, before: float | None, after: float | None) -> Text:
    """Return the class of a change, in words; empty where a value is missing.

    Parameters
    ----------
    method : Method
        Gives the limits; a limit belongs to the larger change, in both directions.
    before, after : float or None
        The index earlier and now.
    """
    if before is None or after is None or method.file.change is None:
        return NO_TEXT
    difference = round(after - before, _DIGITS)
    found = method.file.change.stable
    for step in method.file.change.steps:
        if abs(difference) >= method.number(step.limit).required:
            found = step.better if difference > 0 else step.worse
    return found


def input_names(method: Method) -> list[str]:
    """Return the input columns of a method, in the order of its file."""
    return list(method.file.inputs)
