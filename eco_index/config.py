"""Typed models of the region and programme files; all validation of them lives here."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator
from pyproj import CRS
from pyproj.exceptions import CRSError

from eco_index import yamlio
from eco_index.catalog import Catalog, Written, load_catalog
from eco_index.errors import UsageError
from eco_index.grid import Grid, require_equal_area
from eco_index.period import Month, Period
from eco_index.programme import ProgrammeConfig, load_programme
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

    @model_validator(mode="after")
    def _pairs(self) -> UnitDataConfig:
        for part, whole in (
            ("green_space", "built_up"), ("parks", "built_up"), ("sea_use", "sea"),
        ):  # fmt: skip
            if getattr(self, part) is not None and getattr(self, whole) is None:
                raise ValueError(f"'{part}' needs '{whole}': it is a share of it")
        return self

    def datasets(self) -> dict[str, str]:
        """Return the datasets that are named, by key."""
        return {k: v for k, v in self.model_dump().items() if v is not None}


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


class Schedule(Strict):
    """Cron lines of the deployments."""

    yearly: str = "0 6 15 1 *"
    half_yearly: str = "0 6 15 1,7 *"
    timezone: str = "Asia/Shanghai"


class RegionConfig(Strict):
    """A region file."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Text
    catalog: str = Field(description="catalogue file, relative to this file")
    output: str = Field(description="folder for cube, tables, reports; relative to the catalogue")
    grid: GridConfig
    years: YearSpan
    months: MonthSpan = Field(description="calendar months that are composited")
    season: MonthSpan = Field(description="growing season")
    min_season_months: int = Field(
        3, ge=1, le=12, description="months with clear observations a seasonal mean needs"
    )
    imagery: tuple[str, ...] = Field(min_length=1)
    landcover: LandcoverConfig | None = None
    fvc: FvcConfig | None = None
    layers: dict[str, LayerConfig]
    units: str | None = Field(None, description="layer whose zones are units of official indices")
    statistics: str | None = Field(None, description="table of unit statistics, by year")
    ground_truth: GroundTruthConfig = GroundTruthConfig()
    targets: str | None = Field(None, description="file of configs/targets: the plan's targets")
    weather: str | None = Field(
        None, description="dataset: zone, year, rain_mm, temperature_c of the season"
    )
    unit_data: UnitDataConfig = Field(
        default_factory=UnitDataConfig, description="what unit inputs are computed from"
    )
    programmes: tuple[str, ...] = Field(min_length=1)
    overlays: dict[str, str] = Field(default_factory=dict, description="method id: overlay file")
    max_failed_share: float = Field(0.2, ge=0, le=1)
    schedule: Schedule = Schedule()
    _path: Path = PrivateAttr(default=Path("region.yaml"))
    _until: dt.date | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _consistent(self) -> RegionConfig:
        if not (self.months.first <= self.season.first <= self.season.last <= self.months.last):
            raise ValueError("the season must lie within the composited months")
        if self.units is not None and self.units not in self.layers:
            raise ValueError(f"units '{self.units}' is not among layers {sorted(self.layers)}")
        if self.units is not None and not self.layers[self.units].partition:
            raise ValueError(
                f"units '{self.units}' has 'partition: false': official indices and their regional "
                "mean need units that do not overlap"
            )
        if self.fvc is not None and self.fvc.choice == "percentile":
            if self.fvc.by_class and self.landcover is None:
                raise ValueError("fvc.by_class needs 'landcover'; without it write by_class: false")
            if self.fvc.zones is not None and self.fvc.zones not in self.layers:
                raise ValueError(
                    f"fvc.zones '{self.fvc.zones}' is not among layers {sorted(self.layers)}"
                )
            if self.fvc.zones is not None and self.layers[self.fvc.zones].datum == "gcj02":
                raise ValueError("fvc.zones: a layer in GCJ-02 must be converted beforehand")
            odd = [y for y in self.fvc.base if not self.years.first <= y <= self.years.last]
            if odd:
                raise ValueError(f"fvc.base names {odd}, years of the cube are {self.years}")
        return self

    @property
    def path(self) -> Path:
        return self._path

    @cached_property
    def grid_(self) -> Grid:
        """The grid as an object (checked: equal-area)."""
        crs = require_equal_area(
            CRS.from_user_input(self.grid.crs), f"{self._path}, key 'grid.crs'"
        )
        return Grid(
            crs.to_wkt(),
            self.grid.resolution,
            self.grid.bounds,
            self.grid.tile,
            self.grid.chunk,
        )

    def period_months(self, period: Period) -> list[Month]:
        """All composited months of a period; of an interim result those that are over."""
        return self._over(period.months(self.months.first, self.months.last))

    def season_months(self, period: Period) -> list[Month]:
        """Growing-season months of a period; of an interim result those that are over."""
        return self._over(period.months(self.season.first, self.season.last))

    def _over(self, months: list[Month]) -> list[Month]:
        return [m for m in months if self._until is None or m.end < self._until]

    def is_interim(self, period: Period) -> bool:
        """Tell whether results are interim: asked for, and the imagery window is not over."""
        last = period.months(self.season.first, self.season.last)[-1:]
        return bool(last) and self._until is not None and last[0].end >= self._until

    def ensure_complete(self, period: Period, today: dt.date | None = None) -> None:
        """Raise UsageError unless the period can be assessed: complete, or interim and begun."""
        if not self.is_interim(period):
            period.ensure_complete(self.season.last, today or self._until)
        elif not self.season_months(period):
            raise UsageError(
                f"no month of the growing season of {period.id} is over (today is {self._until})",
                where=f"{self._path}, key 'season'",
                rule="an interim result stands on the months that are over",
                fix=f"run it after {period.months(self.season.first, self.season.last)[0].end}",
            )


class Region:
    """A region file with its catalogue and programmes: what every stage is given.

    Attributes
    ----------
    config : RegionConfig
    catalog : Catalog
    programmes : dict of ProgrammeConfig
    grid : Grid
    """

    def __init__(
        self, config: RegionConfig, catalog: Catalog, programmes: dict[str, ProgrammeConfig]
    ) -> None:
        self.config, self.catalog, self.programmes = config, catalog, programmes
        self.grid = config.grid_

    @property
    def id(self) -> str:
        return self.config.id

    def interim(self, today: dt.date) -> Region:
        """Return the region with periods that are not complete cut to the months that are over."""
        config = self.config.model_copy()
        config._until = today
        return Region(config, self.catalog, self.programmes)

    @property
    def output(self) -> Path:
        """Folder of the region's outputs."""
        return self.catalog.resolve(self.config.output, f"{self.config.path}, key 'output'")

    @property
    def archive_path(self) -> Path:
        """Folder of the Icechunk repository."""
        return self.written("cube")

    def written(self, dataset_id: str) -> Path:
        """Return the folder of a dataset that is written: cube, assessments or releases.

        Raises
        ------
        UsageError
            The catalogue has no such entry, or it is not one of access type 'written'.
        """
        access = self.catalog.get(dataset_id, f"the outputs of region '{self.id}'").access
        if not isinstance(access, Written):
            raise UsageError(
                f"dataset '{dataset_id}' has access type {access.type}",
                where=str(self.catalog.path),
                rule="what the project writes has access type 'written'",
            )
        return self.output / access.path


def configs_folder() -> Path:
    """Return the project's ``configs`` folder."""
    folder = Path(__file__).resolve().parents[1] / "configs"
    if not folder.is_dir():
        raise UsageError(
            f"the folder of configurations is missing: {folder}",
            fix="install the project from its checkout (make setup)",
        )
    return folder


def load_region(path: Path | str) -> Region:
    """Read a region file, its catalogue and its programmes, and check them against each other.

    Raises
    ------
    UsageError
        Any of the files is malformed, or names something that does not exist.
    """
    path = Path(path)
    config = yamlio.load(path, RegionConfig)
    config._path = path
    catalog = load_catalog((path.resolve().parent / config.catalog).resolve())
    programmes: dict[str, ProgrammeConfig] = {}
    for programme_id in config.programmes:
        beside = path.resolve().parent.parent / "programmes" / f"{programme_id}.yaml"
        shipped = configs_folder() / "programmes" / f"{programme_id}.yaml"
        file = beside if beside.exists() else shipped
        if not file.exists():
            known = sorted(p.stem for p in shipped.parent.glob("*.yaml"))
            raise UsageError(
                f"there is no programme '{programme_id}'",
                where=f"{path}, key 'programmes'",
                rule=f"known programmes: {', '.join(known)}",
            )
        programme = load_programme(file)
        if programme.layer not in config.layers:
            raise UsageError(
                f"programme '{programme_id}' assesses the layer '{programme.layer}', "
                "which the region does not have",
                where=f"{path}, key 'layers'",
                rule=f"layers of the region: {', '.join(sorted(config.layers))}",
                fix=f"add the layer '{programme.layer}' or take the programme out",
            )
        programmes[programme_id] = programme
    region = Region(config, catalog, programmes)
    for dataset_id, wanted_by in _datasets_wanted(config):
        catalog.get(dataset_id, f"{path}, {wanted_by}")
    return region


def _datasets_wanted(config: RegionConfig) -> list[tuple[str, str]]:
    wanted = [(d, "key 'imagery'") for d in config.imagery]
    if config.landcover is not None:
        for key in ("dataset", "rivers", "sandy_land", "canopy"):
            value = getattr(config.landcover, key)
            if value is not None:
                wanted.append((value, f"key 'landcover.{key}'"))
    for key in ("soil_map", "veg_map") if config.fvc is not None else ():
        value = getattr(config.fvc, key)
        if value is not None:
            wanted.append((value, f"key 'fvc.{key}'"))
    for k, layer in config.layers.items():
        wanted.append((layer.dataset, f"key 'layers.{k}'"))
        wanted += [(e.dataset, f"key 'layers.{k}.editions'") for e in layer.editions]
    if config.statistics is not None:
        wanted.append((config.statistics, "key 'statistics'"))
    if config.weather is not None:
        wanted.append((config.weather, "key 'weather'"))
    for key in ("plots", "samples", "grassland_plots", "grassland_areas"):
        value = getattr(config.ground_truth, key)
        if value is not None:
            wanted.append((value, f"key 'ground_truth.{key}'"))
    wanted += [(d, f"key 'unit_data.{k}'") for k, d in config.unit_data.datasets().items()]
    return wanted
