"""What a formula sees: inputs, choices, and numbers that remember that they were used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eco_index.methods import Method, Number
from eco_index.yamlio import Text


@dataclass
class Context:
    """Inputs and numbers of one evaluation.

    Attributes
    ----------
    method : Method
    inputs : dict
        Checked inputs, None where missing.
    choices : dict
        Choice of every option.
    unit_set : sequence of mappings
        Units over which an unsourced indicator is normalised by its maximum.
    used : dict of Number
        What was read, by key.
    sets : set of Text
        Unit sets that a maximum was taken over, in words.
    """

    method: Method
    inputs: Mapping[str, float | None]
    choices: Mapping[str, str]
    unit_set: Sequence[Mapping[str, Any]] | None = None
    used: dict[str, Number] = field(default_factory=dict)
    sets: set[Text] = field(default_factory=set)

    @property
    def unit_group(self) -> str:
        return self.choices.get("unit_group", "")

    def number(self, key: str) -> float:
        """Return a number and note that it was used."""
        found = self.method.number(key, self.unit_group)
        self.used[found.key] = found
        return found.required

    def rule(self, key: str) -> None:
        """Note that a rule was used."""
        found = self.method.rules[key]
        self.used[found.key] = found

    def choice(self, option: str) -> str:
        """Return the choice of an option and note that it mattered."""
        choice = self.choices[option]
        found = self.method.option(option, choice)
        self.used[found.key] = found
        return choice

    def note(self, number: Number) -> None:
        """Note a number that was derived here."""
        self.used[number.key] = number

    def known(self, key: str) -> bool:
        """Whether a number has a value of its own."""
        return self.method.number(key, self.unit_group).value is not None

    def scaled(self, key: str, quantity: Callable[[Mapping[str, Any]], float | None]) -> float:
        """Return coefficient times quantity; without a coefficient 100 / maximum of the unit set.

        Parameters
        ----------
        key : str
            Coefficient; a placeholder without value stands for the rule.
        quantity : callable
            Quantity of a unit from its inputs, None where one of them is missing.
        """
        own = quantity(self.inputs)
        assert own is not None, f"an input of '{key}' is missing"
        if self.known(key):
            return self.number(key) * own
        units = list(self.unit_set or ())
        top = max([own, *(q for u in units if (q := quantity(u)) is not None)])
        # A unit stands in the set once per period that is compared.
        ids = list(dict.fromkeys(str(u.get("unit_id", i + 1)) for i, u in enumerate(units)))
        label = Text(
            zh=f"{len(ids)}个单元、{len(units)}行：{'、'.join(ids)}",
            en=f"{len(ids)} unit(s), {len(units)} row(s): {', '.join(ids)}",
        )
        self.sets.add(label)
        source = f"rule 100 / maximum ({top:.6g}) over {label.en}"
        source_zh = f"按“100／最大值（{top:.6g}）”，取自{label.zh}"
        # All zero: zero times any coefficient is zero, the coefficient itself stays unknown.
        factor = 100 / top if top > 0 else None
        unit = self.method.number(key, self.unit_group).unit
        self.note(Number(key, factor, unit, "placeholder", source, source_zh=source_zh))
        return factor * own if factor is not None else 0.0

    def input(self, name: str) -> float:
        """Return an input; formulas are only called when none is missing."""
        value = self.inputs.get(name)
        if value is None:
            value = self.method.file.inputs[name].absent
        assert value is not None, f"input '{name}' is missing"
        return value

    def is_missing(self, name: str) -> bool:
        """Whether an input is absent and its absence stands for no value."""
        return self.inputs.get(name) is None and self.method.file.inputs[name].absent is None
