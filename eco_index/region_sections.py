"""Sections of a region file, each a typed model: grid, months, land cover, layers, tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator
from pyproj import CRS
from pyproj.exceptions import CRSError

from eco_index.yamlio import Strict, Text


def known_crs(value: str) -> str:
    """Return the text of a CRS; ValueError where PROJ does not know it."""
    try:
        CRS.from_user_input(value)
    except CRSError as error:
        raise ValueError(f"not a CRS that PROJ knows: {error}") from None
    return value


class GridConfig(Strict):
    """The region's grid: equal-area CRS (WKT or PROJ string), metres."""

    crs: str
    resolution: float = Field(gt=0)
    bounds: tuple[float, float, float, float]
    tile: int = Field(ge=16, description="write tile = Zarr shard, pixels")
    chunk: int = Field(ge=16, description="inner chunk, pixels; divides the tile")

    @field_validator("crs")
    @classmethod
    def _crs(cls, value: str) -> str:
        return known_crs(value)

    @model_validator(mode="after")
    def _whole_pixels(self) -> GridConfig:
        xmin, ymin, xmax, ymax = self.bounds
        if not (xmin < xmax and ymin < ymax):
            raise ValueError("bounds are xmin, ymin, xmax, ymax with xmin < xmax and ymin < ymax")
        for size in (xmax - xmin, ymax - ymin):
            if abs(size / self.resolution - round(size / self.resolution)) > 1e-6:
                raise ValueError("bounds must be a whole number of pixels apart")
        if self.tile % self.chunk:
            raise ValueError(f"chunk ({self.chunk}) must divide tile ({self.tile})")
        return self


class MonthSpan(Strict):
    """First and last calendar month, both included."""

    first: int = Field(ge=1, le=12)
    last: int = Field(ge=1, le=12)

    @model_validator(mode="after")
    def _order(self) -> MonthSpan:
        if self.first > self.last:
            raise ValueError("first month must not come after last month")
        return self


class YearSpan(Strict):
    """First and last year of the cube's time axis, both included."""

    first: int = Field(ge=1982, le=2100)
    last: int = Field(ge=1982, le=2100)

    @model_validator(mode="after")
    def _order(self) -> YearSpan:
        if self.first > self.last:
            raise ValueError("first year must not come after last year")
        return self


class UnitDataConfig(Strict):
    """Datasets behind unit inputs that the statistics table does not give."""

    built_up: str | None = Field(None, description="polygons of built-up areas")
    green_space: str | None = Field(None, description="polygons of green space")
    parks: str | None = Field(None, description="polygons of public parks")
    shoreline: str | None = Field(None, description="lines; columns unit_id, natural (1 or 0)")
    sea: str | None = Field(None, description="polygons of near-shore sea; column unit_id")
    sea_use: str | None = Field(None, description="polygons of sea in use")
    disasters: str | None = Field(None, description="polygons hit by natural disasters")
    species: str | None = Field(None, description="table of species")
    soil_retention: str | None = Field(None, description="raster; units in the catalogue")
    sand_fixation: str | None = Field(None, description="raster; units in the catalogue")
    from_services: tuple[Literal["soil_retention", "sand_fixation"], ...] = Field(
        (), description="inputs taken from the maps that the key 'services' makes possible"
    )

    @model_validator(mode="after")
    def _pairs(self) -> UnitDataConfig:
        for name in self.from_services:
            if getattr(self, name) is not None:
                raise ValueError(f"'{name}' is named as a raster and in 'from_services': take one")
        for part, whole in (
            ("green_space", "built_up"), ("parks", "built_up"), ("sea_use", "sea"),
        ):  # fmt: skip
            if getattr(self, part) is not None and getattr(self, whole) is None:
                raise ValueError(f"'{part}' needs '{whole}': it is a share of it")
        return self

    def datasets(self) -> dict[str, str]:
        """Return the datasets that are named, by key."""
        named = self.model_dump(exclude={"from_services"})
        return {k: v for k, v in named.items() if v is not None}


class LandcoverConfig(Strict):
    """Land cover input and the vector layers that split its classes."""

    dataset: str
    rivers: str | None = None
    sandy_land: str | None = None
    canopy: str | None = None


class FvcConfig(Strict):
    """End members of the dimidiate pixel model for this region (without: the method file's pair).

    ``fixed``: one pair. ``percentile``: of the seasonal maximum NDVI of base years, by vegetation
    type and zone, one table for all years. ``map``: two raster layers.
    """

    choice: Literal["fixed", "percentile", "map"] = "fixed"
    ndvi_soil: float | None = Field(None, ge=-1, le=1)
    ndvi_veg: float | None = Field(None, ge=-1, le=1)
    base: tuple[int, ...] = Field((), description="percentile: years that are counted")
    by_class: bool = Field(True, description="percentile: apart by vegetation type")
    zones: str | None = Field(None, description="percentile: layer whose zones are kept apart")
    min_pixels: int = Field(1000, ge=2, description="percentile: smaller groups join a larger one")
    low_percent: float | None = Field(None, ge=0, le=100, description="else: method file")
    high_percent: float | None = Field(None, ge=0, le=100, description="else: method file")
    soil_map: str | None = Field(None, description="map: dataset of NDVI of bare soil")
    veg_map: str | None = Field(None, description="map: dataset of NDVI of full vegetation")
    evidence: Literal["primary", "secondary", "recalled", "placeholder"] | None = None
    source: str | None = None

    @model_validator(mode="after")
    def _one_choice(self) -> FvcConfig:
        own = {
            "fixed": {"ndvi_soil", "ndvi_veg"},
            "percentile": {
                "base", "by_class", "zones", "min_pixels", "low_percent", "high_percent",
            },
            "map": {"soil_map", "veg_map"},
        }  # fmt: skip
        given = self.model_fields_set - {"choice", "evidence", "source"}
        odd = sorted(given - own[self.choice])
        if odd:
            raise ValueError(f"{', '.join(odd)} do not belong to choice '{self.choice}'")
        needed = {"percentile": {"base"}}.get(self.choice, own[self.choice])
        absent = sorted(k for k in needed if getattr(self, k) in (None, ()))
        if absent:
            raise ValueError(f"choice '{self.choice}' needs {', '.join(absent)}")
        own_numbers = self.choice != "percentile" or bool(given & {"low_percent", "high_percent"})
        if own_numbers and (self.evidence is None or self.source is None):
            raise ValueError("end members of your own need 'evidence' and 'source'")
        pair = (self.ndvi_soil, self.ndvi_veg)
        if pair[0] is not None and pair[1] is not None and pair[1] - pair[0] < 0.1:
            raise ValueError("ndvi_veg must exceed ndvi_soil by at least 0.1")
        return self


class NameColumns(Strict):
    """Columns that hold a zone's name."""

    zh: str
    en: str


class Edition(Strict):
    """Boundaries that replaced earlier ones."""

    valid_from: int = Field(ge=1900, le=2200, description="first year assessed with them")
    dataset: str


class LayerConfig(Strict):
    """A zone layer: dataset and the columns that matter."""

    dataset: str
    editions: tuple[Edition, ...] = Field(
        (), description="later boundaries; `dataset` holds for the years before the first"
    )
    title: Text
    id: str = Field(description="column with the zone's id")
    name: NameColumns
    attributes: tuple[str, ...] = ()
    group: str | None = Field(
        None, description="column with what zones belong to (league, reserve); gets subtotals"
    )
    group_name: NameColumns | None = Field(
        None, description="columns with the group's name; default: the column `group` itself"
    )
    partition: bool = Field(True, description="zones must not overlap")
    datum: Literal["wgs84", "cgcs2000", "gcj02"] | None = Field(
        None, description="overrules the dataset's datum; gcj02 is converted to WGS 84"
    )
    coverage: Literal["centre", "exact", "auto"] = Field(
        "centre",
        description="centre: pixels whose centre a zone holds; exact: the share of each pixel that "
        "it covers; auto: exact for zones below 1000 pixels",
    )

    @model_validator(mode="after")
    def _consistent(self) -> LayerConfig:
        years = [edition.valid_from for edition in self.editions]
        if years != sorted(set(years)):
            raise ValueError("editions stand in order of 'valid_from', each year once")
        if self.group_name is not None and self.group is None:
            raise ValueError("'group_name' needs 'group'")
        return self

    def dataset_of(self, year: int | None) -> str:
        """Return the dataset whose boundaries are valid in a year; the newest for None."""
        valid = [e.dataset for e in self.editions if year is None or e.valid_from <= year]
        return valid[-1] if valid else self.dataset


class GroundTruthConfig(Strict):
    """Tables measured or interpreted on the ground; columns: our name to the table's."""

    plots: str | None = Field(None, description="dataset: plots with measured vegetation cover")
    plot_columns: dict[str, str] = Field(default_factory=dict)
    samples: str | None = Field(None, description="dataset: reference samples of land cover")
    sample_columns: dict[str, str] = Field(default_factory=dict)
    grassland_plots: str | None = Field(
        None, description="dataset: county, type, plot, cover_percent"
    )
    grassland_areas: str | None = Field(None, description="dataset: county, type, area_ha")
    crs: str = Field("EPSG:4326", description="of the coordinates of plots and samples")

    @field_validator("crs")
    @classmethod
    def _crs(cls, value: str) -> str:
        return known_crs(value)


class ForestConfig(Strict):
    """What the official forest coverage rate needs besides the map."""

    table: str | None = Field(None, description="dataset: unit, land_ha, linear_trees_ha")
    rain: str | None = Field(None, description="dataset: mean annual rain, mm (raster)")


class Schedule(Strict):
    """Cron lines of the deployments."""

    yearly: str = "0 6 15 1 *"
    half_yearly: str = "0 6 15 1,7 *"
    timezone: str = "Asia/Shanghai"
