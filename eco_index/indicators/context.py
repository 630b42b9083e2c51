"""What a formula sees: inputs, choices, and numbers that remember that they were used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eco_index.methods import Method, Number


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
        What was read since `forget`, by key.
    """

    method: Method
    inputs: Mapping[str, float | None]
    choices: Mapping[str, str]
    unit_set: Sequence[Mapping[str, Any]] | None = None
    used: dict[str, Number] = field(default_factory=dict)

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
