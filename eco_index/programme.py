"""Programme files: what is assessed, how often, with which indicators and analyses."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr

from eco_index import yamlio
from eco_index.yamlio import Strict, Text


class TrendConfig(Strict):
    """Trend over all years of the cube up to the period."""

    product: Literal["fvc", "ndvi_mean", "ndvi_max"] = "fvc"
    min_years: int = Field(10, ge=4, description="fewest years with a value")
    correction: Literal["none", "hamed_rao", "yue_wang"] = "hamed_rao"


class SeriesConfig(Strict):
    """The product whose seasons are compared."""

    product: Literal["fvc", "ndvi_mean", "ndvi_max"] = "fvc"


class RestorationConfig(Strict):
    """Projects whose effect is told, each zone of a layer one project."""

    layer: str = Field(description="layer of the region file; its zones are the projects")
    first_year: str = Field("first_year", description="column: first year of the works")
    last_year: str = Field("last_year", description="column: last year of the works")
    product: Literal["fvc", "ndvi_mean", "ndvi_max"] = "fvc"
    cell: float = Field(300, gt=0, description="side of the cells that are compared, m")


class AnalysesConfig(Strict):
    """What a programme says beyond its indicators."""

    trend: TrendConfig | None = None
    combine: tuple[str, ...] = Field(
        (), description="layers, or columns of the zones, that zones are combined with"
    )
    pattern: bool = Field(False, description="patches, edges, transfer matrix (HJ 1171-2021)")
    leads: bool = Field(False, description="open leads of the ledger in the programme's zones")
    attribution: bool = Field(False, description="vegetation beside rain and temperature")
    early_warning: SeriesConfig | None = None
    targets: bool = Field(False, description="the targets of the region's plan")
    grassland_plots: bool = Field(False, description="official grassland cover from plots")
    forest_rate: bool = Field(False, description="official forest coverage rate from map and table")
    services: bool = Field(False, description="ecosystem services (HJ 1173-2021), as maps and sums")
    problems: bool = Field(False, description="ecosystem problems (HJ 1174-2021)")
    quality: bool = Field(False, description="ecosystem quality (HJ 1172-2021)")
    habitat: bool = Field(False, description="habitat quality (InVEST's formulas)")
    ground_truth: bool = False
    intervals: bool = Field(False, description="95 % intervals of headline numbers")
    restoration: RestorationConfig | None = None
    baseline: int | None = Field(None, description="year to compare with besides last year")


class ProgrammeConfig(Strict):
    """An assessment programme: what is assessed, how often, with which indicators."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Text
    layer: str
    cadence: tuple[Literal["yearly", "half_yearly"], ...] = Field(min_length=1)
    on_demand: bool = Field(False, description="assessed only when asked for by name")
    filter: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="attribute column: accepted values"
    )
    indicators: tuple[str, ...] = Field(min_length=1)
    indices: tuple[str, ...] = Field((), description="method ids of official indices")
    analyses: AnalysesConfig = AnalysesConfig()
    note: Text | None = None
    _path: Path = PrivateAttr(default=Path("programme.yaml"))

    @property
    def path(self) -> Path:
        return self._path


def load_programme(path: Path | str) -> ProgrammeConfig:
    """Read and check a programme file."""
    programme = yamlio.load(path, ProgrammeConfig)
    programme._path = Path(path)
    return programme
