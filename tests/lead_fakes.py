"""Two years of products as arrays, on the simulated landscape, with planted objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.ndimage import binary_dilation, gaussian_filter

from eco_index.grid import Grid
from eco_index.ledger.records import Detected, Evidence
from eco_index.simulation import SimSpec, landscape

NDVI_SOIL, NDVI_VEG = 0.15, 0.90
BARE, BUILT, WATER, GRASS = 65, 51, 42, 32


def stored(
    lucc: np.ndarray, fvc: np.ndarray, clear: np.ndarray, water: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return stored integers of the products that leads rest on."""
    seen = clear > 0
    water = np.isin(lucc, (41, 42)) if water is None else water
    ndvi = np.where(water, -0.25, NDVI_SOIL + fvc * (NDVI_VEG - NDVI_SOIL))
    mean = np.where(water, -0.25, 0.15 + 0.75 * (ndvi - 0.15))

    def scaled(values: np.ndarray, dtype: type, fill: int) -> np.ndarray:
        return np.where(seen, np.rint(values * 10000), fill).astype(dtype)

    return {
        "landcover": lucc.astype(np.uint8),
        "fvc": scaled(np.where(water, 0.0, np.clip(fvc, 0, 1)), np.uint16, 65535),
        "ndvi_max": scaled(ndvi, np.int16, -32768),
        "ndvi_mean": scaled(mean, np.int16, -32768),
        "clear_count": clear.astype(np.uint16),
    }


def reader(before: dict[str, np.ndarray], after: dict[str, np.ndarray]):
    years = {"before": before, "after": after}
    return lambda which, product, window: years[which][product][window]


@dataclass
class Planted:
    kind: str
    mask: np.ndarray


@dataclass
class Scene:
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    planted: list[Planted]

    @property
    def read(self):
        return reader(self.before, self.after)


def _objects(rng: np.random.Generator) -> list[tuple[str, np.ndarray]]:
    """Shapes of 0.54 ha (6 pixels) and more, by kind."""
    shapes: list[tuple[str, np.ndarray]] = []
    for kind in ("mining", "construction", "water", "clearing"):
        shapes.append((kind, np.ones((2, 3), bool)))
        shapes.append((kind, np.ones(tuple(rng.integers(3, 8, 2)), bool)))
        y, x = np.mgrid[-5:6, -5:6]
        shapes.append((kind, np.hypot(y, x * rng.uniform(0.8, 1.3)) < rng.uniform(2.5, 5)))
    shapes.append(("road", np.ones((2, int(rng.integers(13, 30))), bool)))
    shapes.append(("road", np.eye(int(rng.integers(8, 25)), dtype=bool)))
    return shapes


def make_scene(
    spec: SimSpec, zones: np.ndarray, seed: int, dry: bool = False, plant: bool = True
) -> Scene:
    """Return a landscape of two years with planted objects inside the zones.

    Beside the objects everything moves that should not be taken for one (without `plant` only
    that): noise, clouds (missing pixels, few views), a dry year, flickering and wrong land-cover
    maps, degraded steppe, a planted forest and a lake that shrinks.
    """
    rng = np.random.default_rng([seed, 77])
    world = landscape.build_world(spec)
    first, second = (world.states[y] for y in spec.years)
    inner = world.inner
    shape = zones.shape
    if not plant:
        second = first
    classes = [s.classes[inner] for s in (first, second)]
    fvc = [s.fvc[inner].astype(np.float64) for s in (first, second)]
    if dry:
        fall = gaussian_filter(rng.normal(size=shape), 25)
        fvc[1] *= 1 - 0.25 - 0.10 * fall / np.abs(fall).max()
    mine = world.changes["mine"][inner]
    planted = [Planted("mining", mine)] if plant else []
    ground = np.isin(classes[0], (landscape.GRASS, landscape.TREE, landscape.SHRUB))
    ground &= (classes[0] == classes[1]) & (fvc[0] > 0.3) & (fvc[1] > 0.25) & (zones > 0)
    taken = binary_dilation(mine, iterations=6)
    put = np.zeros(shape, np.uint8)
    for kind, form in _objects(rng) if plant else ():
        where = ground & (classes[0] == landscape.TREE) if kind == "clearing" else ground
        mask = _place(form, where & ~taken, rng)
        planted.append(Planted(kind, mask))
        taken |= binary_dilation(mask, iterations=6)
        inside = {"water": WATER, "clearing": GRASS}.get(kind, BUILT)
        put[mask] = inside
        if kind == "mining":
            put[mask & (rng.random(shape) < 0.7)] = BARE
    target = np.where(put == GRASS, 0.35, 0.03)
    weight = gaussian_filter((put > 0).astype(float), 0.6)
    fvc[1] = fvc[1] * (1 - weight) + target * weight
    years = []
    for k in (0, 1):
        cover = np.clip(fvc[k] + rng.normal(0, 0.02, shape), 0, 1)
        lucc = landscape.LUCC[classes[k]]
        grass = classes[k] == landscape.GRASS
        lucc[grass & (cover > 0.2)], lucc[grass & (cover > 0.5)] = 32, 31
        lucc[grass & (cover < 0.05)] = 65
        water = np.isin(lucc, (41, 42))
        if k == 1:
            water |= put == WATER
            lucc = np.where(put > 0, put, lucc)
            free = ~binary_dilation(put > 0, iterations=4) & ~taken
            lucc = _map_errors(lucc, free, rng)
        clear = rng.integers(3, 12, shape)
        clear[(gaussian_filter(rng.normal(size=shape), 6) > 0.08) & (put == 0) & ~mine] = 0
        years.append(stored(lucc, cover, clear, water))
    return Scene(years[0], years[1], planted)


def _place(form: np.ndarray, where: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = form.shape
    rows, cols = np.nonzero(where)
    for k in rng.permutation(rows.size):
        r, c = rows[k], cols[k]
        part = where[r : r + height, c : c + width]
        if part.shape == form.shape and part[form].all():
            mask = np.zeros(where.shape, bool)
            mask[r : r + height, c : c + width] = form
            return mask
    raise AssertionError("no room for an object")


def _map_errors(lucc: np.ndarray, free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Single pixels and whole clumps to which the map gives a wrong class without any change."""
    out = lucc.copy()
    speck = free & (rng.random(lucc.shape) < 0.01)
    out[speck] = rng.choice([BUILT, BARE, WATER, GRASS], int(speck.sum()))
    for _ in range(60):
        r, c = (int(rng.integers(0, n - 6)) for n in lucc.shape)
        box = (slice(r, r + 5), slice(c, c + int(rng.integers(2, 6))))
        if free[box].all():
            out[box] = rng.choice([BUILT, BARE, WATER])
    return out


def whole_grid(grid: Grid, tile: int) -> Grid:
    """Return the same grid with another tile size."""
    return Grid(grid.crs_wkt, grid.resolution, grid.bounds, tile, min(tile, 16))


def detected(box: tuple[float, float, float, float] = (0, 0, 90, 90), **changes) -> Detected:
    """Return a detected object with a rectangular footprint."""
    x0, y0, x1, y1 = box
    base = {
        "kind": "mining",
        "kind_shares": {"mining": 1.0},
        "period": "2025",
        "against": "2024",
        "area_ha": (x1 - x0) * (y1 - y0) / 1e4,
        "x": (x0 + x1) / 2,
        "y": (y0 + y1) / 2,
        "lon": 114.0,
        "lat": 43.0,
        "lonlat_crs": "EPSG:4490",
        "county": None,
        "zones": (),
        "functional_zone": "",
        "classes_before": {32: 1.0},
        "classes_after": {65: 1.0},
        "width_m": 90.0,
        "elongation": 2.0,
        "evidence": Evidence(
            pixels=9, agreement=1, silent=0, measure="fvc", before=0.5, after=0.1,
            surroundings=0.0, contrast=0.4, distinctness=1.0, clear_before=9, clear_after=9,
            observations=1.0,
        ),
        "confidence": 1.0,
        "level": "high",
        "footprint": shapely.normalize(shapely.box(x0, y0, x1, y1)).wkt,
    }  # fmt: skip
    return Detected(**(base | changes))
