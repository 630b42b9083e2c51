"""What pending tasks will read, write and ask of a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eco_index.compositing import CompositeConfig
from eco_index.grid import Grid, Tile
from eco_index.months import MonthPlan
from eco_index.period import Month, Period
from eco_index.products import products_of
from eco_index.tasks import Task, TileIndex

if TYPE_CHECKING:
    from eco_index.catalog import Catalog
    from eco_index.config import Region
    from eco_index.sources.scene import Scene


@dataclass(frozen=True)
class Cost:
    """What the pending tasks would read and write.

    Attributes
    ----------
    scenes : int
        Scenes to read (a scene counts once, however many tiles it touches).
    reads : int
        Scene-tile pairs: how often a scene is opened.
    bytes_to_read : int
        Sum of the known sizes of the assets of these scenes.
    unknown_sizes : int
        Assets whose size the source does not say: `bytes_to_read` is without them.
    pixels_to_write : int
        Pixels over all tiles, times and products.
    requests, request_bytes : int
        What would be asked of Earth Engine (uncompressed answers); not in `bytes_to_read`.
    """

    scenes: int = 0
    reads: int = 0
    bytes_to_read: int = 0
    unknown_sizes: int = 0
    pixels_to_write: int = 0
    requests: int = 0
    request_bytes: int = 0


def season_scenes(
    region: Region, period: Period, months: Mapping[Month, MonthPlan], index: TileIndex
) -> dict[Tile, tuple[Scene, ...]]:
    """Return by tile the scenes that the composite of a season will read; {} without one."""
    if region.config.composite.season is None:
        return {}
    scenes: list[Scene] = []
    for month in region.config.season_months(period):
        planned = months.get(month)
        listed = (planned.manifest or planned.found) if planned is not None else None
        scenes += listed.scenes if listed is not None else ()
    return index.touching(scenes)


class Tally:
    """Adds up what pending tasks read and write."""

    def __init__(
        self,
        grid: Grid,
        settings: CompositeConfig | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        self._settings = settings or CompositeConfig()
        self._monthly = len(products_of("monthly", False, self._settings.layers))
        self._grid, self._catalog = grid, catalog
        self._scenes: dict[tuple[str, str], Scene] = {}
        self._reads = self._pixels = self._requests = self._request_bytes = 0

    def composite(self, task: Task, scenes: Sequence[Scene]) -> None:
        self.product(task, self._monthly)
        self._read(task, scenes, self._settings)

    def season(self, task: Task, scenes: Mapping[Tile, tuple[Scene, ...]]) -> None:
        """Count the scenes of a season, which its composite reads once more."""
        if self._settings.season is not None and task.tile is not None:
            settings = self._settings.season.settings(self._settings)
            self._read(task, scenes.get(task.tile, ()), settings)

    def _read(self, task: Task, scenes: Sequence[Scene], settings: CompositeConfig) -> None:
        self._scenes |= {(s.dataset, s.id): s for s in scenes}
        self._reads += len(scenes)
        served = [s for s in scenes if _served(s)]
        if served and task.tile is not None:
            from eco_index import composite_server
            from eco_index.sources import earthengine

            reduced = []
            for scene in served:
                if self._catalog is None:
                    continue
                dataset = self._catalog.get(scene.dataset, f"scene {scene.id}")
                if composite_server.reduced_on_server(dataset):
                    composite_server.check(dataset, scene.dataset, settings)
                    reduced.append(scene)
            read = [s for s in served if s not in reduced]
            if reduced and self._catalog is not None:
                composite_server.wholly_served(scenes, self._catalog, settings)
                where = (self._catalog, self._grid, task.tile, settings)
                if composite_server.is_received(scenes, *where):
                    reduced = []
            for asked in (
                earthengine.estimate(read, self._grid, [task.tile]),
                composite_server.estimate(reduced, [task.tile], settings),
            ):
                self._requests += asked.requests
                self._request_bytes += asked.bytes

    def product(self, task: Task, n_products: int) -> None:
        assert task.tile is not None
        height, width = task.tile.shape
        self._pixels += height * width * n_products

    def cost(self) -> Cost:
        files = [s for s in self._scenes.values() if not _served(s)]
        sizes = [a.size for s in files for a in s.assets.values()]
        known = [size for size in sizes if size is not None]
        return Cost(
            len(self._scenes),
            self._reads,
            sum(known),
            len(sizes) - len(known),
            self._pixels,
            self._requests,
            self._request_bytes,
        )


def _served(scene: Scene) -> bool:
    """Tell scenes of a service that is asked by window from files that are read."""
    return any(a.href.startswith("ee://") for a in scene.assets.values())
