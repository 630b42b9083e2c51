"""What all composite methods share: the result, counts by scene or day, one scene added."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from eco_index import kernel_masks, kernel_shifted, kernels, sensors, warp
from eco_index.compositing import CompositeConfig, How
from eco_index.errors import InputError
from eco_index.grid import Grid, Tile
from eco_index.scene_windows import SceneWindows, Unusable
from eco_index.sources.scene import AssetFailure, Scene, touches

NDVI_FILL = kernels.NDVI_FILL
MAX_SCENES = 65535  # counts are uint16, and so is the index layer


@dataclass
class Composite:
    """A composite of one tile and month.

    Attributes
    ----------
    ndvi_max : int16[h, w]
        Highest clear NDVI x 1e4, rounded half away from zero; -32768: no clear observation.
    clear_count : uint16[h, w]
        Clear observations with a valid NDVI. Two scenes of one overpass that overlap count twice,
        or once where days are counted.
    obs_count : uint16[h, w]
        Observations of any kind: the quality band says anything but "no observation".
    failures : tuple of AssetFailure
        Scenes that could not be read here; they have added nothing.
    layers : dict of ndarray
        Layers beyond those, by product id, as the region's `composite` section asks for.
    """

    ndvi_max: np.ndarray
    clear_count: np.ndarray
    obs_count: np.ndarray
    failures: tuple[AssetFailure, ...] = ()
    layers: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Composite:
        return cls(
            np.full(shape, NDVI_FILL, np.int16),
            np.zeros(shape, np.uint16),
            np.zeros(shape, np.uint16),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all layers by product id."""
        return {
            "ndvi_max": self.ndvi_max,
            "clear_count": self.clear_count,
            "obs_count": self.obs_count,
        } | self.layers


@dataclass(frozen=True)
class Numbered:
    """A scene with its place on the month's list and its day (if days are counted)."""

    number: int
    scene: Scene
    day: dt.date


class Counts:
    """Counts of a tile, by observation or by day."""

    def __init__(self, out: Composite, settings: CompositeConfig) -> None:
        shape = out.ndvi_max.shape
        self.totals = {"clear": out.clear_count, "observed": out.obs_count}
        if settings.snow_count:
            self.totals["snow"] = out.layers["snow_count"] = np.zeros(shape, np.uint16)
        self._today: dict[str, np.ndarray] = {}
        self.now = self.totals

    def begin_day(self, scenes: int) -> None:
        """A day of one scene adds at most 1 anyhow."""
        if scenes > 1 and not self._today:
            self._today = {k: np.zeros_like(v) for k, v in self.totals.items()}
        self.now = self._today if scenes > 1 else self.totals

    def end_day(self) -> None:
        if self.now is not self.totals:
            for name, total in self.totals.items():
                kernel_masks.add_once(total, self.now[name])


def without(items: list[Numbered], failed: Iterable[AssetFailure]) -> list[Numbered]:
    """Return the scenes that did not fail: what cannot be read somewhere adds nothing anywhere."""
    gone = {(f.dataset, f.scene) for f in failed}
    return [i for i in items if (i.scene.dataset, i.scene.id) not in gone]


def failure_of(scene: Scene, problem: Unusable) -> AssetFailure:
    return AssetFailure(scene.dataset, scene.id, problem.asset, problem.reason)


def numbered(scenes: Iterable[Scene], how: How | None, settings: CompositeConfig) -> list[Numbered]:
    """Return scenes in the order in which they are worked on, with their numbers."""
    listed = list(scenes)
    if len(listed) > MAX_SCENES:
        raise InputError(f"{len(listed)} scenes in one month", rule=f"at most {MAX_SCENES}")
    numbers = how.numbers if how is not None and how.numbers else tuple(range(len(listed)))
    by_day = settings.count == "days"
    found = [
        Numbered(n, s, solar_day(s) if by_day else dt.date.min)
        for n, s in zip(numbers, listed, strict=True)
    ]
    return sorted(found, key=lambda item: (item.day, item.scene.key))


def days_of(
    items: list[Numbered], grid: Grid, tile: Tile, settings: CompositeConfig
) -> Iterator[list[Numbered]]:
    """Yield the scenes that touch a tile: day by day if days are counted, else one by one."""
    bounds = grid.lonlat_bounds(grid.tile_bounds(tile))
    here = [item for item in items if touches(item.scene.bbox, bounds)]
    if settings.count != "days":
        yield from ([item] for item in here)
        return
    for _, same_day in groupby(here, key=lambda item: item.day):
        yield list(same_day)


def solar_day(scene: Scene) -> dt.date:
    """Return the day of a scene by mean solar time at the middle of its footprint.

    An overpass that crosses midnight UTC is one day; "2025-07-03T23:59Z" at 120 E is July 4.
    """
    west, _, east, _ = scene.bbox
    middle = (west + east) / 2 + (180.0 if west > east else 0.0)
    time = dt.datetime.fromisoformat(scene.datetime)
    return (time + dt.timedelta(hours=((middle + 180) % 360 - 180) / 15)).date()


def add_scene(
    found: SceneWindows,
    tile: Tile,
    highest: np.ndarray,
    counts: Mapping[str, np.ndarray],
    winner: np.ndarray,
    number: int,
) -> None:
    """Add one scene to a running maximum, its counts and, where wanted, its index layer."""
    qa, qa_place, lut = found.qa, found.qa_place, found.lut
    if "snow" in counts:
        geometry = qa_place.as_tuple()
        kernel_masks.count_code(tile.y0, tile.x0, lut, qa, geometry, sensors.SNOW, counts["snow"])
    if not found.bands:  # nothing is clear
        geometry = qa_place.as_tuple()
        kernel_masks.count_observed(tile.y0, tile.x0, lut, qa, geometry, counts["observed"])
        return
    target = (tile.y0, tile.x0, highest, counts["clear"], counts["observed"], lut)
    if "ndvi" in found.bands:
        index = found.bands["ndvi"]
        kernels.add_index(
            *target,
            qa,
            qa_place.as_tuple(),
            index.data,
            index.place.as_tuple(),
            index.decode.as_tuple(),
            _same_positions(qa_place, index.place),
            winner,
            number,
        )
        return
    red, nir = found.bands["red"], found.bands["nir"]
    shifts = [place.shift() for place in (qa_place, red.place, nir.place)]
    if None not in shifts:
        kernel_shifted.add_shifted(
            *target,
            qa,
            shifts[0],
            red.data,
            shifts[1],
            red.decode.as_tuple(),
            nir.data,
            shifts[2],
            nir.decode.as_tuple(),
            winner,
            number,
        )
        return
    kernels.add_red_nir(
        *target,
        qa,
        qa_place.as_tuple(),
        red.data,
        red.place.as_tuple(),
        red.decode.as_tuple(),
        nir.data,
        nir.place.as_tuple(),
        nir.decode.as_tuple(),
        _same_positions(qa_place, red.place),
        red.place.same_geometry(nir.place),
        winner,
        number,
    )


def _same_positions(a: warp.Placement, b: warp.Placement) -> bool:
    return np.array_equal(a.u, b.u, equal_nan=True) and np.array_equal(a.v, b.v, equal_nan=True)
