"""Rasters that services are computed from: elevation, erosivity, soil, wind, rain; plausible only.

Elevation is smooth at twice the pixel size; weather and soil are coarse, as such maps are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from eco_index.simulation import places
from eco_index.simulation.landscape import World
from eco_index.simulation.noise import fractal_noise, smooth_noise

DEM_STEP = 2  # pixels of the grid
COARSE_STEP = 16
MARGIN = 4  # coarse pixels around the region: rasters reach beyond it
#: Weather of a year against the first: the second was wetter and calmer.
_YEARS = ((1.0, 1.0), (1.08, 0.94))
#: Height of hills and noise as a share of the width: slopes do not depend on the size.
_HILL, _ROLLING = 0.010, 0.0007
_HIGHEST = 1180.0  # m, of the plain in the south


def write_service_rasters(world: World, folder: Path) -> None:
    """Write elevation, erosivity, erodibility, wind, soil, relief, rain and evapotranspiration.

    Stored as whole numbers with scales that the catalogue states; metres on the region's CRS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([world.spec.seed, 9])
    dem = _elevation(world, rng)
    _write(world, folder / "dem.tif", DEM_STEP, np.rint(10 * dem).astype(np.uint16))
    blocks = COARSE_STEP // DEM_STEP
    height, width = (n // blocks for n in dem.shape)
    cells = dem.reshape(height, blocks, width, blocks)
    relief = cells.max(axis=(1, 3)) - cells.min(axis=(1, 3))
    shape = relief.shape
    north = np.linspace(1, 0, shape[0])[:, np.newaxis] * np.ones(shape)
    own = {name: smooth_noise(shape, 5, rng) for name in ("soil", "wind", "rain", "et", "carbon")}
    sand = np.rint(np.clip(66 + 9 * own["soil"], 45, 88))
    silt = np.rint(0.66 * (100 - sand))
    organic = np.clip(2.0 + 0.5 * own["carbon"] - 0.02 * (sand - 60), 0.3, 4)
    erodibility = np.clip(0.034 - 0.003 * own["soil"], 0.015, 0.05)
    still = {
        "relief": 10 * relief,
        "sand": sand,
        "silt": silt,
        "clay": 100 - sand - silt,
        "organic": 10 * organic,
        "erodibility": 1e4 * erodibility,
    }
    for name, values in still.items():
        _write(world, folder / f"{name}.tif", COARSE_STEP, np.rint(values).astype(np.uint16))
    for k, year in enumerate(world.spec.years):
        wet, windy = _YEARS[min(k, len(_YEARS) - 1)]
        rain = wet * (300 + 50 * north + 12 * own["rain"])
        moving = {
            "erosivity": wet**1.7 * (620 + 160 * north + 40 * own["rain"]),
            "weather_factor": 100 * windy * np.clip(11 - 3 * north + own["wind"], 4, 20),
            "rain": 10 * rain,
            "evapotranspiration": 10 * np.clip(0.86 * rain + 9 * own["et"], 0, rain),
        }
        for name, values in moving.items():
            _write(
                world, folder / f"{name}_{year}.tif", COARSE_STEP, np.rint(values).astype(np.uint16)
            )


def _elevation(world: World, rng: np.random.Generator) -> np.ndarray:
    """Return metres at every second pixel: a plain that falls southwards, hills, rolling ground."""
    spec = world.spec
    cells = -(-spec.size_px // COARSE_STEP) + 2 * MARGIN
    n = cells * COARSE_STEP // DEM_STEP
    axis = ((np.arange(n) + 0.5) * DEM_STEP - MARGIN * COARSE_STEP) / spec.size_px
    u, v = axis[np.newaxis, :], axis[:, np.newaxis]
    hills = np.exp(-(places.HILLS.radius(u, v) ** 2))
    rough = fractal_noise((n, n), 14, rng, 3)
    rolling = fractal_noise((n, n), 24, rng, 3)
    width = spec.extent_m
    relief = hills * (1 + 0.25 * rough) * _HILL + rolling * _ROLLING
    # Water lies in flat ground.
    flat = 1 - np.exp(-((places.LAKE.radius(u, v) / 1.3) ** 4))
    found: np.ndarray = _HIGHEST + 0.0015 * width * (0.5 - v) + width * relief * flat
    return found


def _write(world: World, path: Path, step: int, values: np.ndarray) -> None:
    spec = world.spec
    pixel = step * spec.resolution
    west = spec.bounds[0] - MARGIN * COARSE_STEP * spec.resolution
    north = spec.bounds[3] + MARGIN * COARSE_STEP * spec.resolution
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype="uint16",
        crs=spec.grid.crs.to_wkt(),
        transform=Affine(pixel, 0, west, 0, -pixel, north),
        nodata=65535,
        compress="DEFLATE",
        predictor=2,
        tiled=True,
        blockxsize=256,
        blockysize=256,
    ) as file:
        file.write(values, 1)
