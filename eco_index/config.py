"""Typed models of the region and programme files; all validation of them lives here."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator
from pyproj import CRS
from pyproj.exceptions import CRSError

from eco_index import yamlio
from eco_index.catalog import Catalog, Written, load_catalog
from eco_index.compositing import SPECTRAL, CompositeConfig
from eco_index.errors import UsageError
from eco_index.grid import Grid, require_equal_area
from eco_index.period import Month, Period
from eco_index.yamlio import Strict, Text


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
        try:
            CRS.from_user_input(value)
        except CRSError as error:
            raise ValueError(f"not a CRS that PROJ knows: {error}") from None
        return value

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


class LandcoverConfig(Strict):
    """Land cover input and the vector layers that split its classes."""

    dataset: str
    rivers: str | None = None
    sandy_land: str | None = None
    canopy: str | None = None


class FvcConfig(Strict):
    """Fixed end members of the dimidiate pixel model for this region (else: method file)."""

    ndvi_soil: float = Field(ge=-1, le=1)
    ndvi_veg: float = Field(ge=-1, le=1)
    evidence: Literal["primary", "secondary", "recalled", "placeholder"]
    source: str

    @model_validator(mode="after")
    def _order(self) -> FvcConfig:
        if self.ndvi_veg - self.ndvi_soil < 0.1:
            raise ValueError("ndvi_veg must exceed ndvi_soil by at least 0.1")
        return self


class NameColumns(Strict):
    """Columns that hold a zone's name."""

    zh: str
    en: str


class LayerConfig(Strict):
    """A zone layer: dataset and the columns that matter."""

    dataset: str
    title: Text
    id: str = Field(description="column with the zone's id")
    name: NameColumns
    attributes: tuple[str, ...] = ()
    partition: bool = Field(True, description="zones must not overlap")


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
    composite: CompositeConfig = Field(
        CompositeConfig(), description="method and options of the monthly composites"
    )
    landcover: LandcoverConfig | None = None
    fvc: FvcConfig | None = None
    layers: dict[str, LayerConfig]
    units: str | None = Field(None, description="layer whose zones are units of official indices")
    statistics: str | None = Field(None, description="table of unit statistics, by year")
    programmes: tuple[str, ...] = Field(min_length=1)
    overlays: dict[str, str] = Field(default_factory=dict, description="method id: overlay file")
    max_failed_share: float = Field(0.2, ge=0, le=1)
    schedule: Schedule = Schedule()
    _path: Path = PrivateAttr(default=Path("region.yaml"))

    @model_validator(mode="after")
    def _consistent(self) -> RegionConfig:
        if not (self.months.first <= self.season.first <= self.season.last <= self.months.last):
            raise ValueError("the season must lie within the composited months")
        if self.units is not None and self.units not in self.layers:
            raise ValueError(f"units '{self.units}' is not among layers {sorted(self.layers)}")
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
        """All composited months of a period."""
        return period.months(self.months.first, self.months.last)

    def season_months(self, period: Period) -> list[Month]:
        """Growing-season months of a period."""
        return period.months(self.season.first, self.season.last)


class ProgrammeConfig(Strict):
    """An assessment programme: what is assessed, how often, with which indicators."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Text
    layer: str
    cadence: tuple[Literal["yearly", "half_yearly"], ...] = Field(min_length=1)
    filter: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="attribute column: accepted values"
    )
    indicators: tuple[str, ...] = Field(min_length=1)
    indices: tuple[str, ...] = Field((), description="method ids of official indices")
    note: Text | None = None
    _path: Path = PrivateAttr(default=Path("programme.yaml"))

    @property
    def path(self) -> Path:
        return self._path


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


def load_programme(path: Path | str) -> ProgrammeConfig:
    """Read and check a programme file."""
    programme = yamlio.load(path, ProgrammeConfig)
    programme._path = Path(path)
    return programme


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
    _declare_bands(config, catalog)
    return region


def _declare_bands(config: RegionConfig, catalog: Catalog) -> None:
    """Note in the imagery's records which bands the composite method reads.

    Raises
    ------
    UsageError
        A dataset does not have them.
    """
    composite = config.composite
    if composite.method not in SPECTRAL:
        return
    wanted = ("red", "nir", *composite.bands)
    for dataset_id in config.imagery:
        dataset = catalog.get(dataset_id, "the region's imagery")
        missing = [band for band in wanted if band not in dataset.bands]
        if missing or "ndvi" in dataset.bands:
            lacks = f"has no band {', '.join(missing)}" if missing else "is read by its band ndvi"
            raise UsageError(
                f"dataset '{dataset_id}' {lacks}: it cannot be composited by {composite.method}",
                where=f"{config.path}, key 'composite'; {catalog.path}",
                rule=f"{composite.method} weighs the bands {', '.join(wanted)} of every dataset",
                fix="take out the dataset or the band, or choose another method",
            )
        dataset._also_read = composite.bands


def _datasets_wanted(config: RegionConfig) -> list[tuple[str, str]]:
    wanted = [(d, "key 'imagery'") for d in config.imagery]
    if config.landcover is not None:
        for key in ("dataset", "rivers", "sandy_land", "canopy"):
            value = getattr(config.landcover, key)
            if value is not None:
                wanted.append((value, f"key 'landcover.{key}'"))
    wanted += [(layer.dataset, f"key 'layers.{k}'") for k, layer in config.layers.items()]
    if config.statistics is not None:
        wanted.append((config.statistics, "key 'statistics'"))
    return wanted
