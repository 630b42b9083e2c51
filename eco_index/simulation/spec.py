"""What is simulated: size, place, years, seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from eco_index import yamlio
from eco_index.config import RegionConfig, configs_folder
from eco_index.errors import UsageError
from eco_index.grid import Grid

# End members of the NDVI-FVC relation inside the simulated world. They describe how the world is
# made; the method file has its own numbers, and the comparison with truth shows whether they agree.
NDVI_SOIL = 0.15
NDVI_VEG = 0.90


def demo_config() -> RegionConfig:
    """Return the shipped region file of the simulated region."""
    return yamlio.load(configs_folder() / "regions" / "demo.yaml", RegionConfig)


def _demo_crs() -> str:
    return demo_config().grid_.crs_wkt


def _demo_origin() -> tuple[float, float]:
    bounds = demo_config().grid.bounds
    return bounds[0], bounds[3]


@dataclass(frozen=True)
class SimSpec:
    """Size, place and seed of a simulated region.

    Attributes
    ----------
    size_px : int
        Width and height in pixels.
    resolution : float
        Pixel size in m.
    origin : tuple of float
        Upper-left corner (xmin, ymax) in m; by default that of ``configs/regions/demo.yaml``.
    years : tuple of int
        Ascending.
    change : int, optional
        First year that shows the planted changes; by default the second one.
    follows_weather : bool
        Vegetation cover follows the rain of each year (`climate.anomalies`). Else all years have
        the same weather, as far as vegetation is concerned.
    seed : int
        Same seed, same files.
    all_scenes : bool
        False leaves out about a third of the scenes (small regions for tests).
    overviews : bool
        Write overviews into the imagery (as the archives do).
    threads : int
        Scenes written at the same time; the files do not depend on it.
    crs_wkt : str
        Equal-area CRS of the grid.
    """

    size_px: int = 1344
    resolution: float = 30.0
    origin: tuple[float, float] = field(default_factory=_demo_origin)
    years: tuple[int, ...] = (2024, 2025)
    change: int | None = None
    follows_weather: bool = False
    seed: int = 20250607
    all_scenes: bool = True
    overviews: bool = True
    threads: int = 2
    crs_wkt: str = field(default_factory=_demo_crs)

    def __post_init__(self) -> None:
        if self.size_px < 128:
            raise UsageError(
                f"a simulated region of {self.size_px} px is too small for its features",
                where="SimSpec.size_px",
                rule="at least 128 px",
            )
        if len(self.years) < 2 or list(self.years) != sorted(set(self.years)):
            raise UsageError(
                f"years {self.years} cannot hold a change",
                where="SimSpec.years",
                rule="two or more years, ascending",
            )
        if self.change_year not in self.years[1:]:
            raise UsageError(
                f"the changes of {self.change_year} lack a year before or one that shows them",
                where="SimSpec.change",
                rule=f"one of {', '.join(map(str, self.years[1:]))}",
            )

    @property
    def change_year(self) -> int:
        """First year that shows the planted changes."""
        return self.years[1] if self.change is None else self.change

    @property
    def extent_m(self) -> float:
        """Width and height in m."""
        return self.size_px * self.resolution

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """xmin, ymin, xmax, ymax in m."""
        x, y = self.origin
        return x, y - self.extent_m, x + self.extent_m, y

    @property
    def margin_px(self) -> int:
        """Pixels simulated beyond the region: UTM windows are rotated against the grid."""
        return round(0.17 * self.size_px) + 32

    @cached_property
    def grid(self) -> Grid:
        """The region's grid (one tile)."""
        return Grid(self.crs_wkt, self.resolution, self.bounds, self.size_px, self.size_px)
