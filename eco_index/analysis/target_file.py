"""Typed model of the files in ``configs/targets``: what a plan fixes, with its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from eco_index import yamlio
from eco_index.config import configs_folder
from eco_index.errors import UsageError
from eco_index.method_model import NumberSpec, near
from eco_index.yamlio import Strict, Text


class Baseline(Strict):
    """Year a target is compared with, and the official value then, where the plan gives one."""

    year: int
    number: NumberSpec | None = None


class Target(Strict):
    """One target of a plan."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Text
    indicator: str = Field(description="indicator, or method id of an official index")
    unit: str
    digits: int = Field(1, ge=0, le=6)
    kind: Literal["binding", "expected"]
    rule: Literal["at_least", "not_falling"]
    target: NumberSpec | None = Field(None, description="of `at_least`")
    tolerance: NumberSpec | None = Field(None, description="of `not_falling`, 0 or more")
    baseline: Baseline
    definition: Literal["same", "lower", "proxy"]
    note: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> Target:
        needed = {"at_least": "target", "not_falling": "tolerance"}[self.rule]
        number = getattr(self, needed)
        if number is None or number.value is None:
            raise ValueError(f"target '{self.id}' with rule '{self.rule}' needs a '{needed}'")
        other = "tolerance" if needed == "target" else "target"
        if getattr(self, other) is not None:
            raise ValueError(f"target '{self.id}' with rule '{self.rule}' has no '{other}'")
        if self.tolerance is not None and (self.tolerance.value or 0) < 0:
            raise ValueError(f"the tolerance of '{self.id}' is negative")
        for spec in (self.target, self.tolerance, self.baseline.number):
            if spec is not None and spec.unit != self.unit:
                raise ValueError(
                    f"target '{self.id}' is in '{self.unit}', a number in '{spec.unit}'"
                )
        if self.definition != "same" and self.note is None:
            raise ValueError(f"target '{self.id}' needs a note on how the definitions differ")
        return self


class TargetFile(Strict):
    """A file in configs/targets."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Text
    sources: dict[str, Text | str] = Field(description="a citation stays in its own language")
    year: int = Field(description="year the targets are to be reached by")
    targets: tuple[Target, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> TargetFile:
        ids = [t.id for t in self.targets]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"target '{twice[0]}' is given twice")
        for t in self.targets:
            if t.baseline.year >= self.year:
                raise ValueError(f"the baseline of '{t.id}' is not before {self.year}")
            for spec in (t.target, t.tolerance, t.baseline.number):
                for source in spec.sources if spec else ():
                    if source not in self.sources:
                        raise ValueError(f"'{t.id}' names the unknown source '{source}'")
        return self


def targets_folder() -> Path:
    """Return the folder of the shipped target files."""
    return configs_folder() / "targets"


def load_targets(name: str, folder: Path | None = None) -> TargetFile:
    """Read and check a file of targets.

    Parameters
    ----------
    name : str
        File name in the folder, without suffix.
    folder : path, optional
        The shipped targets by default.

    Raises
    ------
    UsageError
        Unknown or malformed file.
    """
    folder = folder or targets_folder()
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known:
        raise UsageError(f"unknown targets '{name}'{near(name, known)}", rule=f"targets: {known}")
    file = yamlio.load(folder / f"{name}.yaml", TargetFile)
    if file.id != name:
        raise UsageError(
            f"the file holds the targets '{file.id}'",
            where=str(folder / f"{name}.yaml"),
            rule="id = name",
        )
    return file
