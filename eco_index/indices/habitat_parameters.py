"""Typed parameter files of habitat quality (``configs/habitat``): threats, classes, sensitivity."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from eco_index import yamlio
from eco_index.config import configs_folder
from eco_index.digests import hash_of
from eco_index.errors import UsageError
from eco_index.summary import Evidence
from eco_index.yamlio import Strict, Text

Influence = Literal["nearest", "density"]


class Threat(Strict):
    """A source of degradation."""

    name: Text
    weight: float = Field(gt=0, allow_inf_nan=False, description="w_r, relative to the others")
    max_distance_m: float = Field(gt=0, le=1e6, description="d_r max, beyond it no influence")
    decay: Literal["linear", "exponential"]
    classes: tuple[int, ...] = Field(
        (), description="land-cover classes that are the threat; empty: a map is given"
    )
    evidence: Evidence
    source: str = Field(min_length=1)


class HabitatClass(Strict):
    """A land-cover class as habitat."""

    name: Text
    habitat: float = Field(ge=0, le=1, description="suitability H_j")
    sensitivity: dict[str, float] = Field(
        default_factory=dict, description="S_jr by threat; may be left out where habitat is 0"
    )
    evidence: Evidence
    source: str = Field(min_length=1)


class HabitatParameters(Strict):
    """A file in ``configs/habitat``."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    title: Text
    note: Text | None = None
    influence: Influence = Field(
        "nearest",
        description="nearest: decay with the distance to the nearest threat pixel (InVEST from "
        "3.13 on); density: decay-weighted share of threat pixels (InVEST 3.3 to 3.12)",
    )
    half_saturation: float = Field(gt=0, le=1, description="k: quality falls to half at D = k")
    half_saturation_evidence: Evidence
    half_saturation_source: str = Field(min_length=1)
    threats: dict[str, Threat] = Field(min_length=1, max_length=64)
    classes: dict[int, HabitatClass] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> HabitatParameters:
        for code, entry in self.classes.items():
            if not 1 <= code <= 65535:
                raise ValueError(f"class {code}: codes lie between 1 and 65535; 0 is missing")
            unknown = sorted(set(entry.sensitivity) - set(self.threats))
            if unknown:
                raise ValueError(
                    f"class {code} is sensitive to the unknown threat '{unknown[0]}'; "
                    f"known: {', '.join(self.threats)}"
                )
            wrong = {t: s for t, s in entry.sensitivity.items() if not 0 <= s <= 1}
            if wrong:
                raise ValueError(f"class {code}: sensitivities {wrong} lie outside 0 to 1")
            absent = sorted(set(self.threats) - set(entry.sensitivity))
            if absent and entry.habitat > 0:
                raise ValueError(f"class {code} is habitat without sensitivity to '{absent[0]}'")
        for name, threat in self.threats.items():
            unknown_codes = sorted(set(threat.classes) - set(self.classes))
            if unknown_codes:
                raise ValueError(f"threat '{name}' names the unknown class {unknown_codes[0]}")
        return self

    @property
    def provisional(self) -> bool:
        """Whether any number is recalled or a placeholder."""
        evidence: set[Evidence] = {self.half_saturation_evidence}
        evidence |= {t.evidence for t in self.threats.values()}
        evidence |= {c.evidence for c in self.classes.values()}
        return bool({"recalled", "placeholder"} & evidence)

    @property
    def map_threats(self) -> list[str]:
        """Threats that need a map of their own."""
        return [name for name, threat in self.threats.items() if not threat.classes]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        return hash_of(self.model_dump(mode="json"))


def load_habitat(name: str | Path) -> HabitatParameters:
    """Read a parameter file by its id in ``configs/habitat``, or by its path.

    Raises
    ------
    UsageError
        Unknown file, or a malformed one (with key and line).
    """
    path = Path(name)
    if path.suffix != ".yaml":
        folder = configs_folder() / "habitat"
        path = folder / f"{name}.yaml"
        if not path.exists():
            known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
            raise UsageError(
                f"there are no habitat parameters '{name}'",
                rule=f"known: {known}; or the path of a .yaml file",
                fix="correct the name, or write a file like configs/habitat/example.yaml",
            )
    return yamlio.load(path, HabitatParameters)
