"""The simulated land: classes, vegetation cover and brightness, for every year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from scipy.ndimage import gaussian_filter

from eco_index.simulation import places
from eco_index.simulation.climate import anomalies
from eco_index.simulation.noise import fractal_noise, line_distance, smooth_noise
from eco_index.simulation.places import Blob
from eco_index.simulation.spec import NDVI_SOIL, NDVI_VEG, SimSpec

# Classes of the simulated land: name -> (internal code, WorldCover v200 code, LUCC class).
# Grassland is split by its cover (LUCC 31, 32, 33); grass below 5 % is bare soil there.
GRASS, TREE, SHRUB, CROP, TOWN, VILLAGE, MINE, BARE, SAND, LAKE, RIVER, WETLAND = range(12)
WORLDCOVER = np.array([30, 10, 20, 40, 50, 50, 50, 60, 60, 80, 80, 90], np.uint8)
LUCC = np.array([33, 21, 22, 12, 51, 52, 53, 65, 61, 42, 41, 64], np.uint8)

WATER_NDVI = -0.25
SHORE_PX = 4.0  # width of the bare shore on the land side of water


@dataclass(frozen=True)
class State:
    """The land in one year, on the padded grid [rows, columns].

    Attributes
    ----------
    fields : numpy.ndarray
        float32 [rows, columns, 3]: NDVI at the peak, NDVI in winter, red + NIR reflectance.
    fvc : numpy.ndarray
        float32, vegetation cover at the peak, 0-1.
    classes : numpy.ndarray
        uint8, internal class codes of this module.
    """

    fields: np.ndarray
    fvc: np.ndarray
    classes: np.ndarray

    def lucc(self) -> np.ndarray:
        """Land-use classes of the CAS LUCC scheme, uint8."""
        lucc = LUCC[self.classes]
        grass = self.classes == GRASS
        lucc[grass & (self.fvc > 0.2)] = 32
        lucc[grass & (self.fvc > 0.5)] = 31
        lucc[grass & (self.fvc < 0.05)] = 65
        return lucc


@dataclass(frozen=True)
class World:
    """The simulated land of all years.

    Attributes
    ----------
    spec : SimSpec
    transform : Affine
        Of the padded grid (the region and `spec.margin_px` pixels around it).
    states : dict
        State by year.
    changes : dict
        Kind of planted change to boolean mask on the padded grid.
    gain : numpy.ndarray
        float32, vegetation cover that the planted changes added (or took), in normal weather.
    """

    spec: SimSpec
    transform: Affine
    states: dict[int, State]
    changes: dict[str, np.ndarray]
    gain: np.ndarray

    @property
    def inner(self) -> tuple[slice, slice]:
        """The region within the padded grid."""
        m, n = self.spec.margin_px, self.spec.size_px
        return slice(m, m + n), slice(m, m + n)


class _Frame:
    """Coordinates of the padded grid."""

    def __init__(self, spec: SimSpec) -> None:
        self.spec = spec
        self.n = spec.size_px + 2 * spec.margin_px
        self.axis = (np.arange(self.n) + 0.5 - spec.margin_px) / spec.size_px
        self.u = self.axis[np.newaxis, :].astype(np.float32)
        self.v = self.axis[:, np.newaxis].astype(np.float32)

    def window(self, blob: Blob, factor: float) -> tuple[tuple[slice, slice], np.ndarray]:
        """Return the window that holds `blob` enlarged by `factor`, and the radius there."""
        reach = factor * (1 + blob.wobble)
        cols = np.flatnonzero(np.abs(self.axis - blob.u) <= reach * blob.ru)
        rows = np.flatnonzero(np.abs(self.axis - blob.v) <= reach * blob.rv)
        where = (slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
        return where, blob.radius(self.u[:, where[1]], self.v[where[0], :])

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Fractions (u, v) to pixel columns, rows (pixel centres are whole numbers)."""
        return points * self.spec.size_px + self.spec.margin_px - 0.5


def river_lines(samples: int = 40) -> list[np.ndarray]:
    """Return smooth centre lines (u, v) of the rivers, [n, 2] each (Catmull-Rom through points)."""
    lines = []
    for _, control in places.RIVERS:
        p = np.asarray(control, float)
        p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
        t = np.linspace(0, 1, samples, endpoint=False)[:, np.newaxis]
        parts = []
        for k in range(len(p) - 3):
            a, b, c, d = p[k : k + 4]
            parts.append(
                0.5
                * (
                    2 * b
                    + (c - a) * t
                    + (2 * a - 5 * b + 4 * c - d) * t**2
                    + (3 * b - a - 3 * c + d) * t**3
                )
            )
        lines.append(np.vstack([*parts, p[-2:-1]]))
    return lines


def river_half_width_px(spec: SimSpec) -> float:
    """Half the width of the rivers in pixels."""
    return max(1.3, 0.0013 * spec.size_px)


def blur_px(spec: SimSpec) -> float:
    """Optics and mixed pixels: class borders are not sharp (less so in small regions)."""
    return float(np.clip(0.001 * spec.size_px, 0.6, 1.3))


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


class _Base:
    """What does not change between the years: classes and cover before water is laid over."""

    def __init__(self, frame: _Frame, rng: np.random.Generator) -> None:
        shape = (frame.n, frame.n)
        grow = frame.n / frame.spec.size_px  # lattice cells are counted over the region
        self.detail = fractal_noise(shape, 16 * grow, rng, 3)
        broad = fractal_noise(shape, 6 * grow, rng, 3)
        u, v = frame.u, frame.v
        self.classes = np.full(shape, GRASS, np.uint8)
        self.cover = np.clip(
            0.72 - 0.36 * v - 0.16 * (1 - u) + 0.035 * broad + 0.025 * self.detail, 0.12, 0.85
        ).astype(np.float32)
        self._hills(frame, rng)
        self._woods(frame)
        self._farmland(frame, rng, broad)
        self._sand(frame)
        self._wetland(frame, broad)
        self._towns(frame)
        self.texture = smooth_noise(shape, 60 * grow, rng)

    def _set(self, where: tuple[slice, slice], mask: np.ndarray, code: int, cover: object) -> None:
        self.classes[where][mask] = code
        self.cover[where][mask] = np.broadcast_to(np.asarray(cover, np.float32), mask.shape)[mask]

    def _hills(self, frame: _Frame, rng: np.random.Generator) -> None:
        where, radius = frame.window(places.HILLS, 1.9)
        relief = 1.55 * np.exp(-(radius**2)) + 0.34 * fractal_noise(radius.shape, 14, rng, 3)
        detail = self.detail[where]
        self._set(where, relief > 0.92, SHRUB, 0.60 + 0.03 * detail)
        self._set(where, relief > 1.05, TREE, np.clip(0.86 + 0.03 * detail, 0.74, 0.96))

    def _woods(self, frame: _Frame) -> None:
        for blob in places.WOODS:
            where, radius = frame.window(blob, 1.3)
            detail = self.detail[where]
            inside = radius + 0.10 * detail < 1
            self._set(where, inside, TREE, np.clip(0.80 + 0.03 * detail, 0.7, 0.9))

    def _farmland(self, frame: _Frame, rng: np.random.Generator, broad: np.ndarray) -> None:
        where, radius = frame.window(places.FARMLAND, 1.2)
        size = frame.spec.size_px
        width, height = max(12 / size, 0.017), max(16 / size, 0.024)
        u, v = frame.u[:, where[1]], frame.v[where[0], :]
        across = np.floor((0.966 * u + 0.259 * v) / width).astype(np.int64)
        shifted = (-0.259 * u + 0.966 * v) / height + 0.5 * (across % 2)
        along = np.floor(shifted).astype(np.int64)
        table = rng.random((256, 256)).astype(np.float32)
        crop = table[across % 256, along % 256]
        inside = (radius + 0.10 * broad[where] + 0.12 * (crop - 0.5)) < 0.9
        cover = 0.62 + 0.26 * table[(across + 91) % 256, (along + 37) % 256]
        self._set(where, inside & (crop > 0.12), CROP, cover)

    def _sand(self, frame: _Frame) -> None:
        where, radius = frame.window(places.SAND, 1.4)
        detail = self.detail[where]
        self._set(
            where,
            radius + 0.12 * detail < 1,
            SAND,
            np.clip(0.10 + 0.035 * detail, 0.02, 0.19),
        )

    def _wetland(self, frame: _Frame, broad: np.ndarray) -> None:
        where, radius = frame.window(places.LAKE, 2.0)
        # Reeds grow round the inflow in the north and thin out southwards.
        south = _smoothstep((frame.v[where[0], :] - places.LAKE.v + 0.04) / 0.12)
        inside = radius < 1.55 - 0.5 * south + 0.14 * broad[where]
        self._set(where, inside, WETLAND, np.clip(0.72 + 0.04 * broad[where], 0.6, 0.85))

    def _towns(self, frame: _Frame) -> None:
        for blob, code in ((places.TOWN, TOWN), *((b, VILLAGE) for b in places.VILLAGES)):
            where, radius = frame.window(blob, 1.3)
            detail = self.detail[where]
            self._set(where, radius < 1, code, np.clip(0.13 + 0.03 * detail, 0.04, 0.25))


# Red + NIR reflectance by class, at the peak; grass also darkens as it grows denser.
_BRIGHTNESS = np.array(
    [0.44, 0.30, 0.34, 0.43, 0.40, 0.40, 0.36, 0.48, 0.62, 0.07, 0.07, 0.31], np.float32
)
# NDVI in winter by class (dry grass, larch and pine, bare fields, dry reed).
_WINTER = np.array(
    [0.17, 0.36, 0.22, 0.14, 0.14, 0.15, 0.12, 0.13, 0.13, WATER_NDVI, WATER_NDVI, 0.18],
    np.float32,
)


# Vegetation cover that a standard deviation of rain adds, by class.
_RAIN_COVER = np.zeros(12, np.float32)
_RAIN_COVER[[GRASS, SHRUB, CROP, WETLAND]] = (0.05, 0.03, 0.02, 0.02)


def _state(
    frame: _Frame, base: _Base, river: np.ndarray, changed: bool, anomaly: float = 0.0
) -> State:
    """Lay changes, the weather of the year and water over the base."""
    classes, cover = base.classes.copy(), base.cover.copy()
    if changed:
        where, radius = frame.window(places.DEGRADED, 1.4)
        cover[where] -= places.DEGRADED_DROP * _smoothstep((1.25 - radius) / 0.25)
        where, radius = frame.window(places.PLANTED_FOREST, 1.1)
        planted = (radius < 1) & (classes[where] == GRASS)
        classes[where][planted] = TREE
        cover[where][planted] = 0.66 + 0.03 * base.detail[where][planted]
        where, radius = frame.window(places.MINE, 1.1)
        classes[where][radius < 1] = MINE
        classes[where][radius < 0.62] = BARE
        cover[where][radius < 1] = 0.02
    if anomaly:
        cover += np.float32(anomaly) * _RAIN_COVER[classes]
    where, radius = frame.window(places.LAKE, 1.3)
    lake_px = min(places.LAKE.ru, places.LAKE.rv) * frame.spec.size_px
    if changed:
        exposed = radius < 1
        classes[where][exposed] = BARE
        cover[where][exposed] = 0.06
        radius = radius / places.LAKE_SHRINK
        lake_px *= places.LAKE_SHRINK
    water = river.copy()
    lake = ((radius - 1) * lake_px).astype(np.float32)
    np.minimum(water[where], lake, out=water[where])

    peak = np.clip(cover, 0.01, 1) * np.float32(NDVI_VEG - NDVI_SOIL) + np.float32(NDVI_SOIL)
    total = _BRIGHTNESS[classes] * (1 + np.float32(0.03) * base.texture)
    total -= np.float32(0.06) * cover * (classes == GRASS)
    winter = np.minimum(_WINTER[classes], peak)
    blur = blur_px(frame.spec)
    layers = [gaussian_filter(a, blur, mode="nearest") for a in (peak, winter, total)]
    # Water is flat up to its edge; the shore rises on the land side, so water has no cover at all.
    shore = _smoothstep(water / np.float32(SHORE_PX))
    wet = (np.float32(WATER_NDVI), np.float32(WATER_NDVI), np.float32(0.07))
    fields = np.empty((*classes.shape, 3), np.float32)
    for k, (layer, value) in enumerate(zip(layers, wet, strict=True)):
        fields[..., k] = value + (layer - value) * shore
    classes[water < 0] = RIVER
    classes[where][lake < 0] = LAKE
    fvc = np.clip((fields[..., 0] - NDVI_SOIL) / np.float32(NDVI_VEG - NDVI_SOIL), 0, 1)
    return State(fields, fvc.astype(np.float32), classes)


def build_world(spec: SimSpec) -> World:
    """Return the land of all years of `spec`."""
    frame = _Frame(spec)
    base = _Base(frame, np.random.default_rng([spec.seed, 1]))
    river = np.full((frame.n, frame.n), 1e6, np.float32)
    half = river_half_width_px(spec)
    for line in river_lines():
        line_distance(frame.pixels(line), half + 2 * SHORE_PX, river)
    river -= np.float32(half)

    before, after = (_state(frame, base, river, changed) for changed in (False, True))
    states = {}
    for year, anomaly in anomalies(spec).items():
        changed = year >= spec.change_year
        if spec.follows_weather:
            states[year] = _state(frame, base, river, changed, anomaly)
        else:
            states[year] = after if changed else before
    drop = before.fvc - after.fvc
    same = before.classes == after.classes
    water = (before.classes == LAKE) & (after.classes == BARE)
    changes = {
        "mine": ~same & np.isin(after.classes, (MINE, BARE)) & ~water,
        "planted_forest": ~same & (after.classes == TREE),
        "degraded_steppe": same & (drop >= 0.25),
        "shrunken_lake": water,
    }
    m = spec.margin_px * spec.resolution
    x, y = spec.origin
    transform = Affine(spec.resolution, 0, x - m, 0, -spec.resolution, y + m)
    return World(spec, transform, states, changes, -drop)
