"""Typed model of the files in ``configs/methods`` and of overlay files."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from eco_index.summary import Evidence
from eco_index.yamlio import Strict, Text

#: Weights of a group must add to one within this.
WEIGHT_TOLERANCE = 1e-9
#: Choice of an option that a unit must give itself: what depends on it is then not evaluated.
NOT_GIVEN = "none"


def near(name: str, allowed: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest allowed name, or an empty text."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


class NumberSpec(Strict):
    """A weight, coefficient or limit with its evidence."""

    value: float | None = Field(allow_inf_nan=False)
    unit: str
    evidence: Evidence
    sources: tuple[str, ...] = Field((), description="keys of the file's `sources`")
    note: Text | str = Field("", description="in both languages, unless it is a formula or a name")
    clause: str = ""

    @model_validator(mode="after")
    def _honest(self) -> NumberSpec:
        if self.value is None and self.evidence != "placeholder":
            raise ValueError("a number without value must have evidence 'placeholder'")
        if self.evidence in ("primary", "secondary") and not self.sources:
            raise ValueError(f"evidence '{self.evidence}' needs at least one entry in 'sources'")
        return self


class RuleSpec(Strict):
    """A statement of a method that is not a number: a class mapping, the shape of a formula."""

    text: Text
    evidence: Evidence
    sources: tuple[str, ...] = ()
    note: Text | str = ""
    clause: str = ""


class OptionSpec(Strict):
    """A choice where the standard is ambiguous, with its stated default."""

    title: Text
    default: str
    choices: dict[str, Text]
    evidence: Evidence = Field(description="how sure it is that the default is the official choice")
    sources: tuple[str, ...] = ()
    note: Text | str = ""
    given_by_unit: bool = Field(False, description="a fact of the unit, e.g. coastal or inland")

    @model_validator(mode="after")
    def _known(self) -> OptionSpec:
        if self.default not in self.choices:
            raise ValueError(f"default '{self.default}' is not among {sorted(self.choices)}")
        return self


class InputSpec(Strict):
    """A column of the input table."""

    title: Text
    unit: str
    minimum: float = Field(description="smallest value allowed")
    maximum: float = Field(description="largest value allowed")
    above_minimum: bool = Field(False, description="the minimum itself is not allowed")
    values: tuple[float, ...] = Field((), description="the only values allowed, if given")
    absent: float | None = Field(
        None, description="value that an absent input stands for, where absence has a meaning"
    )
    note: Text | None = None


class Term(Strict):
    """Product of weights times the sum of inputs."""

    weights: tuple[str, ...] = ()
    inputs: tuple[str, ...] = Field(min_length=1)


class DropRule(Strict):
    """When a component does not apply: its weight goes to its siblings in proportion."""

    option: str
    choice: str = ""
    unless: str | None = Field(None, description="drop at every choice but this one")
    only_if_missing: bool = False

    @model_validator(mode="after")
    def _one(self) -> DropRule:
        if bool(self.choice) == (self.unless is not None):
            raise ValueError("give either 'choice' or 'unless'")
        return self


class Component(Strict):
    """A sub-index: how its raw value comes about and how it enters its parent."""

    id: str
    title: Text
    parent: str = ""
    weight: str | None = Field(description="key of the weight within the parent")
    inverse: bool = Field(False, description="enters the parent as 100 - value")
    kind: Literal["children", "area_sum", "linear", "normalised", "input", "function"]
    formula: str
    coefficient: str | None = None
    offset: str | None = None
    terms: tuple[Term, ...] = ()
    function: str | None = None
    inputs: tuple[str, ...] = ()
    coefficients: tuple[str, ...] = Field((), description="function: coefficients it scales with")
    per_area: bool = Field(False, description="normalised: input in km2, taken as percent of area")
    per: str | None = Field(None, description="normalised: input that the input is divided by")
    rules: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    drop: DropRule | None = None

    def needed(self) -> tuple[str, ...]:
        """Inputs this component reads itself (not those of its children)."""
        names = dict.fromkeys(self.inputs)
        for term in self.terms:
            names.update(dict.fromkeys(term.inputs))
        if self.kind == "area_sum" or self.per_area:
            names["area_km2"] = None
        if self.per:
            names[self.per] = None
        return tuple(names)

    def numbers(self) -> tuple[str, ...]:
        """Keys of all numbers this component names."""
        keys = [self.weight, self.coefficient, self.offset, *self.coefficients]
        return tuple(
            dict.fromkeys([*filter(None, keys), *(w for t in self.terms for w in t.weights)])
        )


class GradeClass(Strict):
    """A class of the index; the lower limit belongs to it."""

    id: str
    title: Text
    lower: str | None = Field(description="key of the lower limit; null for the lowest class")


class ChangeStep(Strict):
    """A size of change; its limit belongs to it, for both directions."""

    limit: str
    better: Text
    worse: Text


class ChangeSpec(Strict):
    """Classes of the difference of two values."""

    stable: Text
    steps: tuple[ChangeStep, ...] = Field(min_length=1)


class MethodFile(Strict):
    """A file in configs/methods."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: str
    kind: Literal["index", "parameters"]
    short: str
    title: Text
    reference: str
    note: Text | None = None
    formula: str = ""
    sources: dict[str, Text | str] = Field(description="a citation stays in its own language")
    numbers: dict[str, NumberSpec]
    weight_groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rules: dict[str, RuleSpec] = Field(default_factory=dict)
    options: dict[str, OptionSpec] = Field(default_factory=dict)
    inputs: dict[str, InputSpec] = Field(default_factory=dict)
    components: tuple[Component, ...] = ()
    restriction: Component | None = None
    classes: tuple[GradeClass, ...] = ()
    change: ChangeSpec | None = None

    @model_validator(mode="after")
    def _consistent(self) -> MethodFile:
        _check_names(self)
        check_values(self, {k: n.value for k, n in self.numbers.items()})
        return self

    def children(self, parent: str) -> list[Component]:
        """Return the components that enter `parent` ('' for the index itself)."""
        return [c for c in self.components if c.parent == parent]


def _check_names(file: MethodFile) -> None:
    """Every key, source, input and parent that is named must exist."""

    def known(kind: str, name: str, allowed: Iterable[str], where: str) -> None:
        if name not in set(allowed):
            raise ValueError(f"{where} names the unknown {kind} '{name}'{near(name, allowed)}")

    records: list[tuple[str, NumberSpec | RuleSpec | OptionSpec]] = [
        *file.numbers.items(),
        *file.rules.items(),
        *file.options.items(),
    ]
    for key, record in records:
        for source in record.sources:
            known("source", source, file.sources, f"'{key}'")
    for group, keys in file.weight_groups.items():
        for key in keys:
            known("number", key, file.numbers, f"weight group '{group}'")
    ids = [c.id for c in file.components]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise ValueError(f"component '{twice[0]}' is given twice")
    everything = (*file.components, *([file.restriction] if file.restriction else []))
    for part in everything:
        where = f"component '{part.id}'"
        for key in part.numbers():
            known("number", key, file.numbers, where)
        for name in part.needed():
            known("input", name, file.inputs, where)
        for rule in part.rules:
            known("rule", rule, file.rules, where)
        for option in (*part.options, *([part.drop.option] if part.drop else [])):
            known("option", option, file.options, where)
        if part.drop:
            choices = file.options[part.drop.option].choices
            known("choice", part.drop.unless or part.drop.choice, choices, where)
        if part.parent:
            known("parent", part.parent, ids, where)
    for grade in file.classes:
        if grade.lower:
            known("number", grade.lower, file.numbers, f"class '{grade.id}'")
    for step in file.change.steps if file.change else ():
        known("number", step.limit, file.numbers, "change class")


def check_values(file: MethodFile, values: Mapping[str, float | None], variant: str = "") -> None:
    """Weights of a group add to one; class limits fall, change limits rise, nothing is left out.

    Raises
    ------
    ValueError
        Names the group or the class.
    """
    for group, keys in file.weight_groups.items():
        weights = [values.get(f"{k}@{variant}", values[k]) if variant else values[k] for k in keys]
        if any(w is None or w < 0 for w in weights):
            raise ValueError(f"weight group '{group}' holds a missing or negative weight")
        total = sum(w for w in weights if w is not None)
        if abs(total - 1) > WEIGHT_TOLERANCE:
            text = f" for unit group '{variant}'" if variant else ""
            raise ValueError(
                f"the weights of group '{group}'{text} add to {total:.10g}, not 1: {list(keys)}"
            )
    if file.classes:
        if file.classes[-1].lower is not None:
            raise ValueError("the last class must have lower: null, or low values have no class")
        limits = [(g.id, values[g.lower]) for g in file.classes[:-1] if g.lower]
        if len(limits) != len(file.classes) - 1:
            raise ValueError("only the last class may have lower: null")
        _ordered([(i, -v if v is not None else None) for i, v in limits], "class limits must fall")
    if file.change:
        steps = [(s.limit, values[s.limit]) for s in file.change.steps]
        _ordered([("no change", 0.0), *steps], "change limits must rise from above 0")


def _ordered(limits: list[tuple[str, float | None]], rule: str) -> None:
    for (name, low), (other, high) in pairwise(limits):
        if low is None or high is None or not low < high:
            raise ValueError(f"{rule}: '{name}' and '{other}' are out of order")


class OverlayNumber(Strict):
    """A value read in the official text."""

    value: float = Field(allow_inf_nan=False)
    page: str = Field(min_length=1, description="page or clause in the official text")


class OverlayRule(Strict):
    """A rule found as stated in the official text."""

    page: str = Field(min_length=1)


class OverlayOption(Strict):
    """The choice that the official text makes."""

    choice: str
    page: str = Field(min_length=1)


class OverlayFile(Strict):
    """Values from the official text, signed."""

    method: str
    method_version: str
    document: str = Field(min_length=1, description="the official text the values were read in")
    entered_by: str = Field(min_length=1)
    date: datetime.date
    numbers: dict[str, OverlayNumber] = Field(default_factory=dict)
    rules: dict[str, OverlayRule] = Field(default_factory=dict)
    options: dict[str, OverlayOption] = Field(default_factory=dict)
