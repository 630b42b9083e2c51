"""Parameters of the search for leads: kinds of change, limits, confidence (configs/leads.yaml)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from eco_index import yamlio
from eco_index.config import configs_folder
from eco_index.digests import hash_of
from eco_index.products import LUCC
from eco_index.yamlio import Strict, Text

ROAD = "road"


class Kind(Strict):
    """A kind of change: from which land cover to which, and what the imagery must show."""

    title: Text
    group: str = Field(pattern=r"^[a-z_]+$", description="kinds of one group form one object")
    before: tuple[int, ...] = Field(min_length=1, description="LUCC classes before")
    after: tuple[int, ...] = Field(min_length=1, description="LUCC classes after")
    share: float = Field(
        0.0, ge=0, le=1, description="share of an object's pixels that makes it of this kind"
    )
    direction: Literal["fall", "rise"] = "fall"
    fvc: float | None = Field(None, gt=0, le=1, description="change of vegetation cover")
    ndvi_mean: float | None = Field(None, gt=0, le=2, description="change of mean NDVI")
    ndvi_max: float | None = Field(None, gt=0, le=2, description="change of maximum NDVI")
    ndvi_max_after: float | None = Field(
        None, ge=-1, le=1, description="maximum NDVI after must not exceed this"
    )
    sparse: bool = Field(
        False, description="also where the land was too bare before to show a change"
    )

    @field_validator("before", "after")
    @classmethod
    def _known(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        unknown = [c for c in value if c not in LUCC]
        if unknown:
            raise ValueError(f"{unknown} are not LUCC classes; known: {sorted(LUCC)}")
        return value

    @model_validator(mode="after")
    def _evidence(self) -> Kind:
        if not self.limits:
            raise ValueError("give at least one of 'fvc', 'ndvi_mean', 'ndvi_max'")
        both = sorted(set(self.before) & set(self.after))
        if both:
            raise ValueError(f"classes {both} stand both in 'before' and in 'after'")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """Product to the change (physical units, positive) that counts as evidence."""
        given = {"fvc": self.fvc, "ndvi_mean": self.ndvi_mean, "ndvi_max": self.ndvi_max}
        return {name: limit for name, limit in given.items() if limit is not None}


class Road(Strict):
    """Which objects are roads: long and narrow ones of a group."""

    title: Text
    group: str
    max_width_m: float = Field(gt=0, description="width of the widest place")
    min_elongation: float = Field(ge=1, description="longest extent squared over area")


class Confidence(Strict):
    """Weights of the confidence and the limits of its levels."""

    agreement: float = Field(ge=0, le=1)
    observations: float = Field(ge=0, le=1)
    distinctness: float = Field(ge=0, le=1)
    full_observations: int = Field(ge=1, description="clear views that leave no doubt")
    high: float = Field(gt=0, lt=1)
    medium: float = Field(gt=0, lt=1)
    least: float = Field(ge=0, lt=1, description="objects below are not entered")

    @model_validator(mode="after")
    def _sum(self) -> Confidence:
        total = self.agreement + self.observations + self.distinctness
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the three weights add to {total:g}, not to 1")
        if not self.least <= self.medium < self.high:
            raise ValueError("least <= medium < high must hold")
        return self

    def level(self, value: float) -> Literal["high", "medium", "low"]:
        """Return the level of a confidence."""
        return "high" if value >= self.high else "medium" if value >= self.medium else "low"


class LeadParameters(Strict):
    """A parameter file of the search."""

    version: Literal[1]
    source: Text = Field(description="where the numbers come from; printed with the leads")
    layers: tuple[str, ...] = Field(min_length=1, description="protected layers, as in regions")
    county_layer: str = "counties"
    functional_columns: tuple[str, ...] = Field(
        (), description="attribute columns that hold the functional zone, first found"
    )
    min_area_ha: float = Field(0.5, gt=0)
    slack_pixels: int = Field(
        1, ge=0, le=9, description="so many pixels less are still reported (sampling of outlines)"
    )
    sparse_min_area_ha: float = Field(2.0, gt=0, description="where the imagery cannot speak")
    min_agreement: float = Field(0.5, gt=0, le=1, description="share of an object's pixels")
    min_contrast: float = Field(
        0.1, ge=0, le=1, description="change beyond that of the surroundings (cover or NDVI)"
    )
    ring_pixels: int = Field(10, ge=3, le=100, description="width of the surroundings")
    ring_least: int = Field(20, ge=1, description="pixels that the surroundings must have")
    extension_share: float = Field(
        0.25, gt=0, le=1, description="share of new water's border on old water: an extension"
    )
    extension_factor: float = Field(0.5, ge=0, le=1, description="on the confidence then")
    match_overlap: float = Field(
        0.3, gt=0, le=1, description="of the smaller area: the same object seen again"
    )
    confidence: Confidence
    road: Road | None = None
    kinds: dict[str, Kind] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> LeadParameters:
        if ROAD in self.kinds:
            raise ValueError(f"'{ROAD}' is not a kind of its own: see the key 'road'")
        if self.road is not None and self.road.group not in self.groups:
            raise ValueError(f"road.group '{self.road.group}' is no group of 'kinds'")
        for group in self.groups:
            members = [k for k in self.kinds.values() if k.group == group]
            if all(k.share > 0 for k in members):
                raise ValueError(f"group '{group}' needs one kind without 'share'")
        return self

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The groups in order of their first kind."""
        return tuple(dict.fromkeys(k.group for k in self.kinds.values()))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all parameters."""
        return hash_of(self.model_dump(mode="json"))

    def title_of(self, kind: str) -> Text:
        """Return the title of a kind; its id where this file does not know it any more."""
        if kind == ROAD and self.road is not None:
            return self.road.title
        return self.kinds[kind].title if kind in self.kinds else Text(zh=kind, en=kind)

    def min_pixels(self, pixel_area_m2: float) -> int:
        """Return the number of pixels from which an object is reported."""
        whole = -(-self.min_area_ha * 1e4 // pixel_area_m2)
        return max(1, int(whole) - self.slack_pixels)


def load_parameters(path: Path | str | None = None) -> LeadParameters:
    """Read a parameter file, by default the shipped ``configs/leads.yaml``.

    Raises
    ------
    UsageError
        Missing or malformed file; the message names file, line, key and what is allowed.
    """
    return yamlio.load(path or configs_folder() / "leads.yaml", LeadParameters)
