"""Typed models of the region and programme files; all validation of them lives here."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from pathlib import Path

from pydantic import Field, PrivateAttr, model_validator
from pyproj import CRS

from eco_index import yamlio
from eco_index.catalog import Catalog, Written, harmonised, load_catalog
from eco_index.compositing import ON_SERVER, SPECTRAL, CompositeConfig
from eco_index.errors import UsageError
from eco_index.grid import Grid, require_equal_area
from eco_index.period import Month, Period
from eco_index.programme import ProgrammeConfig, load_programme
from eco_index.region_sections import (
    ForestConfig,
    FvcConfig,
    GridConfig,
    GroundTruthConfig,
    LandcoverConfig,
    LayerConfig,
    MonthSpan,
    Schedule,
    UnitDataConfig,
    YearSpan,
)
from eco_index.services_config import (
    HabitatConfig,
    ProblemsConfig,
    QualityConfig,
    ServicesConfig,
)
from eco_index.yamlio import Strict, Text
from eco_index.yamlio import configs_folder as configs_folder


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
    harmonisation: str | None = Field(
        None, description="coefficients that make the sensors alike (configs/harmonisation)"
    )
    composite: CompositeConfig = Field(
        CompositeConfig(), description="method and options of the monthly composites"
    )
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
    services: ServicesConfig | None = Field(
        None, description="what maps of ecosystem services are computed from"
    )
    problems: ProblemsConfig = ProblemsConfig()
    quality: QualityConfig | None = Field(
        None, description="what ecosystem quality (HJ 1172-2021) is computed from"
    )
    habitat: HabitatConfig | None = Field(None, description="what habitat quality is computed from")
    programmes: tuple[str, ...] = Field(min_length=1)
    overlays: dict[str, str] = Field(default_factory=dict, description="method id: overlay file")
    forest: ForestConfig = ForestConfig()
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
        if self.services is not None and self.landcover is None:
            raise ValueError("'services' needs 'landcover': its types decide")
        if self.unit_data.from_services and self.services is None:
            raise ValueError("'unit_data.from_services' needs the key 'services'")
        for key in ("quality", "habitat"):
            if getattr(self, key) is not None and self.landcover is None:
                raise ValueError(f"'{key}' needs 'landcover': its classes are compared")
        quality = self.quality
        for key, zones in (
            ("problems.grass_zones", self.problems.grass_zones),
            ("quality.zones", quality.zones if quality is not None else None),
        ):
            if zones is not None and (zones not in self.layers or not self.layers[zones].partition):
                raise ValueError(f"{key} '{zones}' must be one of the layers that do not overlap")
        for key, years in (
            ("problems.grass_years", self.problems.grass_years),
            ("quality.reference_years", quality.reference_years if quality is not None else ()),
        ):
            odd = [y for y in years if not self.years.first <= y <= self.years.last]
            if odd:
                raise ValueError(f"{key} names {odd}, years of the cube: {self.years}")
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
    if config.harmonisation is not None:
        catalog = harmonised(catalog, config.imagery, config.harmonisation)
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
    _declare_bands(config, catalog)
    return region


def _declare_bands(config: RegionConfig, catalog: Catalog) -> None:
    """Note in the imagery's records which bands the composite method reads.

    Raises
    ------
    UsageError
        A dataset does not have them.
    """
    composite, season = config.composite, config.composite.season
    methods = (composite.method, *((season.method,) if season is not None else ()))
    spectral = [m for m in methods if m in SPECTRAL]
    if season is not None:
        _check_season(config, catalog)
    if not spectral and not composite.reflectance:
        return
    who = spectral[0] if spectral else composite.method
    wanted = ("red", "nir", *composite.also_read)
    for dataset_id in config.imagery:
        dataset = catalog.get(dataset_id, "the region's imagery")
        missing = [band for band in wanted if band not in dataset.bands]
        if missing or "ndvi" in dataset.bands:
            lacks = f"has no band {', '.join(missing)}" if missing else "is read by its band ndvi"
            raise UsageError(
                f"dataset '{dataset_id}' {lacks}: it cannot be composited by {who}",
                where=f"{config.path}, key 'composite'; {catalog.path}",
                rule=f"{who} needs the bands {', '.join(wanted)} of every dataset",
                fix="take out the dataset or the band, or choose another method",
            )
        units = {b: dataset.bands[b].units for b in composite.reflectance}
        others = [f"{b} ({u})" for b, u in units.items() if u not in ("1", "DN")]
        if others:
            raise UsageError(
                f"these bands of dataset '{dataset_id}' are no reflectances: {', '.join(others)}",
                where=f"{config.path}, key 'composite.reflectance'; {catalog.path}",
                rule="layers of reflectance hold numbers without unit, stored x 1e-4",
            )
        dataset._also_read = composite.also_read


def _check_season(config: RegionConfig, catalog: Catalog) -> None:
    """Raise UsageError where the composite of the season could not be made after its months."""
    season = config.composite.season
    assert season is not None
    where = f"{config.path}, key 'composite.season'"
    ways = {getattr(catalog.get(d, where).access, "reduce", "here") for d in config.imagery}
    if "server" in ways and (len(ways) > 1 or season.method not in ON_SERVER):
        raise UsageError(
            f"the season's {season.method} cannot be made with imagery that Earth Engine reduces",
            where=where,
            rule="it makes medians and percentiles, and needs all scenes of the region for them",
            fix="write 'reduce: here' in the datasets' access, or leave out 'season'",
        )
    scored = season.best_pixel.sensors if season.best_pixel is not None else {}
    unknown = sorted(set(scored) - set(config.imagery))
    if unknown:
        raise UsageError(
            f"season.best_pixel.sensors names what is no imagery of the region: {unknown}",
            where=where,
            rule=f"for a season scores go by dataset: {', '.join(config.imagery)}",
        )


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
    for key in ("table", "rain"):
        value = getattr(config.forest, key)
        if value is not None:
            wanted.append((value, f"key 'forest.{key}'"))
    if config.weather is not None:
        wanted.append((config.weather, "key 'weather'"))
    for key in ("plots", "samples", "grassland_plots", "grassland_areas"):
        value = getattr(config.ground_truth, key)
        if value is not None:
            wanted.append((value, f"key 'ground_truth.{key}'"))
    wanted += [(d, f"key 'unit_data.{k}'") for k, d in config.unit_data.datasets().items()]
    if config.services is not None:
        wanted += [(d, f"key 'services.{k}'") for k, d in config.services.datasets().items()]
    for name in ("quality", "habitat"):
        section = getattr(config, name)
        if section is not None:
            wanted += [(d, f"key '{name}.{k}'") for k, d in section.datasets().items()]
    return wanted
