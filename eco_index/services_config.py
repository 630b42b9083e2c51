"""What a region file says of ecosystem services, problems and quality."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from eco_index.yamlio import Strict

TEXTURE = ("sand", "silt", "clay", "organic")
FRACTIONS = ("erodible_fraction", "crust_factor")
#: Keys that are no datasets.
_CHOICES = ("types", "slope_length_m", "relief_distance_m")


class ServicesConfig(Strict):
    """Rasters under the maps of services; what is not named leaves its service out, said so."""

    types: str = Field(
        "lucc",
        description="LUCC classes to types of HJ 1173: a file of configs/crosswalks/hj1173, or "
        "the path of your own .yaml, relative to the region file",
    )
    dem: str | None = Field(None, description="elevation, m; for soil retention")
    slope_length_m: float | None = Field(
        None, gt=0, le=1e5, description="slope length of a pixel, m: your choice, no rule was found"
    )
    erosivity: str | None = Field(None, description="R, MJ mm/(hm2 h a); may change by year")
    erodibility: str | None = Field(None, description="K, t hm2 h/(hm2 MJ mm)")
    weather_factor: str | None = Field(
        None, description="WF of RWEQ, kg/m, of the year; for sand fixation"
    )
    sand: str | None = Field(None, description="%, with silt and clay together 100")
    silt: str | None = Field(None, description="%")
    clay: str | None = Field(None, description="%")
    organic: str | None = Field(None, description="organic matter, %")
    erodible_fraction: str | None = Field(None, description="EF, 0-1; instead of texture")
    crust_factor: str | None = Field(None, description="SCF, 0-1; instead of texture")
    roughness: str | None = Field(None, description="K' of RWEQ, 0-1")
    relief: str | None = Field(None, description="relief, m; instead of roughness")
    relief_distance_m: float | None = Field(
        None, gt=0, le=1e6, description="distance over which the relief was taken, m"
    )
    rain: str | None = Field(None, description="rain of the year, mm/a; for water conservation")
    evapotranspiration: str | None = Field(None, description="actual, of the year, mm/a")

    @model_validator(mode="after")
    def _one_way(self) -> ServicesConfig:
        texture = [k for k in TEXTURE if getattr(self, k) is not None]
        fractions = [k for k in FRACTIONS if getattr(self, k) is not None]
        if texture and fractions:
            raise ValueError(
                f"give either {', '.join(TEXTURE)} or {', '.join(FRACTIONS)}, not both: "
                f"{fractions[0]} would be computed from {texture[0]}"
            )
        if self.roughness is not None and self.relief is not None:
            raise ValueError("give either 'roughness' or 'relief', not both")
        if (self.relief is None) != (self.relief_distance_m is None):
            raise ValueError("'relief' and 'relief_distance_m' belong together")
        return self

    def datasets(self) -> dict[str, str]:
        """Return the datasets that are named, by key."""
        named = self.model_dump(exclude=set(_CHOICES))
        return {k: v for k, v in named.items() if v is not None}


class ProblemsConfig(Strict):
    """What the assessment of ecosystem problems needs to be told."""

    erosion_region: Literal["loess", "north", "south"] | None = Field(
        None, description="whose tolerable soil loss holds (HJ 1174-2021)"
    )
    grass_years: tuple[int, ...] = Field(
        (), description="years whose greatest grassland cover is the undegraded reference"
    )
    grass_zones: str | None = Field(
        None, description="layer of natural zones with a reference of their own; else one for all"
    )

    @model_validator(mode="after")
    def _whole(self) -> ProblemsConfig:
        if self.grass_zones is not None and not self.grass_years:
            raise ValueError("'grass_zones' needs 'grass_years': the reference is their maximum")
        if list(self.grass_years) != sorted(set(self.grass_years)):
            raise ValueError("'grass_years' stand in order, each once")
        return self


class QualityConfig(Strict):
    """What ecosystem quality (HJ 1172-2021) stands on, beside the cube's vegetation cover."""

    lai: str = Field(description="leaf area index of the year, m2/m2")
    gpp: str = Field(description="gross primary production of the year, gC/(m2 a)")
    zones: str | None = Field(
        None, description="layer of ecological function zones, compared within; else one for all"
    )
    reference_years: tuple[int, ...] = Field(
        (),
        description="years whose least and greatest values count beside those of the year: makes "
        "years comparable; none: each year by itself",
    )
    normalisation: Literal["region", "zone_type", "none"] | None = Field(
        None, description="over what densities are scaled; the method's choice by default"
    )

    @model_validator(mode="after")
    def _whole(self) -> QualityConfig:
        if list(self.reference_years) != sorted(set(self.reference_years)):
            raise ValueError("'reference_years' stand in order, each once")
        return self

    def datasets(self) -> dict[str, str]:
        """Return the datasets, by key."""
        return {"lai": self.lai, "gpp": self.gpp}


class HabitatConfig(Strict):
    """What habitat quality (InVEST's formulas) is computed from, beside the cube's land cover."""

    parameters: str = Field(
        description="a file of configs/habitat, or the path of your own .yaml, relative to the "
        "region file"
    )
    threats: dict[str, str] = Field(
        default_factory=dict,
        description="threat that is no land-cover class: raster of 0 and 1 (or shares), known "
        "everywhere",
    )
    access: str | None = Field(None, description="accessibility, 0 (closed) to 1 (open)")

    def datasets(self) -> dict[str, str]:
        """Return the datasets, by key."""
        named = {f"threats.{name}": dataset for name, dataset in self.threats.items()}
        return named | ({"access": self.access} if self.access is not None else {})
