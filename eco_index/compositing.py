"""How the scenes of a month become one map: section `composite` of the region file."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from eco_index.yamlio import Strict

Method = Literal["maximum_ndvi", "median", "percentile", "medoid", "geometric_median", "best_pixel"]
#: Methods whose value is that of one scene: only they have a source index.
CHOOSING = ("maximum_ndvi", "medoid", "best_pixel")
#: Methods that compare spectra, and so may weigh further bands than red and near infrared.
SPECTRAL = ("medoid", "geometric_median")
#: Methods whose composite has a spectrum: reflectance layers go with them.
WITH_SPECTRUM = ("medoid", "geometric_median", "best_pixel")
#: Reflectance layers are named by their band: ``reflectance_red``.
REFLECTANCE = "reflectance_"
#: Layer of a period that holds the composite over its growing season.
SEASON_LAYER = "ndvi_season"
#: Methods that a service can reduce by, with the same result.
ON_SERVER = ("maximum_ndvi", "median", "percentile")
VERSION = 1  # of everything but the plain maximum: changes when results change
#: Scenes on the list of a month: one less than what the index layer can hold.
NO_SOURCE = 65535


class Dilation(Strict):
    """How far the rims of clouds and shadows reach beyond what the quality band says.

    A clear pixel of the quality band becomes cloud (shadow) if a cloud (shadow) pixel lies within
    that distance, centre to centre. Snow, gaps and other codes stay what they are.
    """

    cloud: float = Field(0, ge=0)
    shadow: float = Field(0, ge=0)
    unit: Literal["pixels", "metres"] = Field(
        "pixels", description="pixels of each scene's own quality band, or metres on the ground"
    )

    @model_validator(mode="after")
    def _bounded(self) -> Dilation:
        limit = 250 if self.unit == "pixels" else 15_000
        if max(self.cloud, self.shadow) > limit:
            raise ValueError(f"a rim of more than {limit} {self.unit} is surely a slip")
        return self

    def __bool__(self) -> bool:
        return self.cloud > 0 or self.shadow > 0


class BestPixel(Strict):
    """Score of an observation: the weighted sum of three scores between 0 and 1.

    day: 1 at the middle of the month, falling linearly to 0 at its ends. cloud: distance to the
    nearest cloud or shadow of the scene, linear up to `cloud_distance`, 1 from there on. sensor: as
    listed. The weights are the region's choice; nobody prescribes them.
    """

    day: float = Field(1.0, ge=0)
    cloud: float = Field(1.0, ge=0)
    sensor: float = Field(1.0, ge=0)
    cloud_distance: float = Field(1500.0, gt=0, le=15_000, description="metres")
    sensors: dict[str, float] = Field(
        default_factory=dict,
        description="platform (as the scene's item names it) or dataset id: score; others: 1",
    )

    @model_validator(mode="after")
    def _scores(self) -> BestPixel:
        wrong = {k: v for k, v in self.sensors.items() if not 0 <= v <= 1}
        if wrong:
            raise ValueError(f"scores of sensors lie between 0 and 1, not {wrong}")
        if self.day + self.cloud + self.sensor <= 0:
            raise ValueError("at least one of the weights day, cloud and sensor must be above 0")
        return self

    def sensor_score(self, platform: str | None, dataset: str) -> float:
        """Return the score of a scene's sensor: by platform, else by dataset, else 1."""
        by_name = {k.lower(): v for k, v in self.sensors.items()}
        for name in (platform or "", dataset):
            if name.lower() in by_name:
                return by_name[name.lower()]
        return 1.0


class Interpolation(Strict):
    """Months without a clear observation, filled linearly between their neighbours."""

    max_gap: int = Field(ge=1, le=10, description="longest run of missing months that is filled")


class Season(Strict):
    """One composite over the growing season of a period, made from its scenes.

    A median of monthly medians is not the median of the season: here all clear observations of the
    season's months are reduced at once. (The highest NDVI of the season is that of its months.)
    """

    method: Literal["median", "percentile", "medoid", "geometric_median", "best_pixel"]
    percentile: float | None = Field(None, ge=0, le=100)
    best_pixel: BestPixel | None = None

    def settings(self, monthly: CompositeConfig) -> CompositeConfig:
        """Return what a composite is told; masks, counts and bands are those of the months."""
        spectral = self.method in SPECTRAL
        return CompositeConfig(
            method=self.method,
            percentile=self.percentile,
            best_pixel=self.best_pixel,
            bands=monthly.bands if spectral else (),
            dilation=monthly.dilation,
            count=monthly.count,
        )


class CompositeConfig(Strict):
    """Method and options of the monthly composite; the defaults are maximum NDVI, nothing else."""

    method: Method = "maximum_ndvi"
    percentile: float | None = Field(None, ge=0, le=100)
    bands: tuple[str, ...] = Field(
        (), description="bands that medoid and geometric median weigh beside red and nir"
    )
    best_pixel: BestPixel | None = None
    dilation: Dilation = Dilation()
    count: Literal["observations", "days"] = Field(
        "observations", description="days: overlapping scenes of one overpass count once"
    )
    source_index: bool = Field(False, description="layer that says which scene a value is from")
    snow_count: bool = Field(False, description="layer with the number of snowy observations")
    reflectance: tuple[str, ...] = Field(
        (), description="bands whose reflectance is stored beside the composite's NDVI"
    )
    interpolation: Interpolation | None = None
    season: Season | None = None

    @model_validator(mode="after")
    def _season_fits(self) -> CompositeConfig:
        if self.season is not None:
            self.season.settings(self)  # refuses what does not go together
        return self

    @model_validator(mode="after")
    def _fits_the_method(self) -> CompositeConfig:
        if (self.percentile is not None) != (self.method == "percentile"):
            raise ValueError("'percentile' (0-100) belongs to method percentile, which needs it")
        if self.best_pixel is not None and self.method != "best_pixel":
            raise ValueError("'best_pixel' belongs to method best_pixel")
        if self.bands and self.method not in SPECTRAL:
            raise ValueError(f"'bands' belong to the methods {' and '.join(SPECTRAL)}")
        known = {"red", "nir", "ndvi"} & set(self.bands)
        if known or len(set(self.bands)) < len(self.bands):
            raise ValueError("'bands' are those beside red and nir, each once")
        if self.reflectance and self.method not in WITH_SPECTRUM:
            raise ValueError(
                f"a {self.method} composite of NDVI has no spectrum: 'reflectance' goes with "
                f"{', '.join(WITH_SPECTRUM)}"
            )
        weighed = ("red", "nir", *self.bands)
        lacking = [b for b in self.reflectance if b not in weighed]
        if len(set(self.reflectance)) < len(self.reflectance) or "ndvi" in self.reflectance:
            raise ValueError("'reflectance' names bands, each once")
        if self.method in SPECTRAL and lacking:
            raise ValueError(
                f"{self.method} has a value only in the bands it weighs: add {', '.join(lacking)} "
                "to 'bands'"
            )
        if self.source_index and self.method not in CHOOSING:
            raise ValueError(
                f"a {self.method} composite is not the value of one scene: 'source_index' goes "
                f"with {', '.join(CHOOSING)}"
            )
        return self

    @property
    def basis(self) -> str:
        """Monthly layer that the products of a period are made from."""
        return "ndvi_max" if self.method == "maximum_ndvi" else f"ndvi_{self.method}"

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers beyond those that every cube has, of whatever group."""
        wanted = {
            self.basis: self.method != "maximum_ndvi",
            "source_index": self.source_index,
            "snow_count": self.snow_count,
            "ndvi_filled": self.interpolation is not None,
            "ndvi_filled_flag": self.interpolation is not None,
            SEASON_LAYER: self.season is not None,
        }
        found = tuple(name for name, given in wanted.items() if given)
        return (*found, *(f"{REFLECTANCE}{band}" for band in self.reflectance))

    @property
    def also_read(self) -> tuple[str, ...]:
        """Bands that are read of every scene beside red and near infrared."""
        more = self.reflectance if self.method == "best_pixel" else self.bands
        return tuple(band for band in more if band not in ("red", "nir"))

    @property
    def server_gap(self) -> str:
        """What of this section a service that reduces composites cannot do; empty if nothing."""
        if self.method not in ON_SERVER:
            return f"method: {self.method}"
        if self.dilation:
            return "dilation"
        return "source_index" if self.source_index else ""

    @property
    def fraction(self) -> float:
        """Place of the percentile between the lowest and the highest value, 0 to 1."""
        return 0.5 if self.percentile is None else self.percentile / 100

    @property
    def scores(self) -> BestPixel:
        return self.best_pixel or BestPixel()

    def declared(self) -> dict[str, Any]:
        """Return what differs from the defaults; empty for a plain maximum-NDVI composite."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def parameters(self) -> dict[str, Any]:
        """Return what changes the composites themselves, for digests; empty for the defaults."""
        later = ("interpolation", "season")  # made of finished months
        found = {k: v for k, v in self.declared().items() if k not in later}
        if self.method == "best_pixel":
            found["best_pixel"] = self.scores.model_dump(mode="json")
        if self.dilation:
            found["dilation"] = self.dilation.model_dump(mode="json")
        else:
            found.pop("dilation", None)
        return found | {"version": VERSION} if found else {}

    def season_parameters(self) -> dict[str, Any]:
        """Return what changes the season's composite beside the months', for digests."""
        if self.season is None:
            return {}
        found = self.season.settings(self).parameters()
        return found | {"version": VERSION, "layer": SEASON_LAYER}


@dataclass(frozen=True)
class How:
    """What a worker is told about a composite.

    Attributes
    ----------
    settings : CompositeConfig
    numbers : tuple of int
        Place of each scene handed over on the month's list of scenes, from 0.
    span : tuple of date, optional
        First and last day of the month (best-available-pixel scores).
    """

    settings: CompositeConfig
    numbers: tuple[int, ...] = ()
    span: tuple[dt.date, dt.date] | None = None
