"""Rasters under services, and a region and a view over them, for tests of services and problems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from assessment_cube import HEIGHT, WIDTH, build_region
from rasterio.transform import from_origin
from zone_fakes import CRS, RES, X0, Y1

from eco_index.config import Region
from eco_index.grid import Tile

UNITS = {
    "dem": "m",
    "erosivity": "MJ mm/(hm2 h a)",
    "erodibility": "t hm2 h/(hm2 MJ mm)",
    "weather_factor": "kg/m",
    "sand": "%",
    "silt": "%",
    "clay": "%",
    "organic": "%",
    "erodible_fraction": "1",
    "crust_factor": "1",
    "roughness": "1",
    "relief": "m",
    "rain": "mm/a",
    "evapotranspiration": "mm/a",
}
#: One value everywhere: what the closed forms of the tests are computed with.
PLAIN = {
    "erosivity": 500.0,
    "erodibility": 0.03,
    "weather_factor": 12.0,
    "erodible_fraction": 0.5,
    "crust_factor": 0.8,
    "roughness": 0.9,
    "rain": 300.0,
    "evapotranspiration": 200.0,
}
RISE = 0.1  # of the plane, m/m


def margin_of(pixel: float) -> int:
    """Pixels that elevation reaches beyond the grid: more than one pixel of the grid."""
    return max(2, round(60 / pixel))


def plane(pixel: float = RES) -> np.ndarray:
    """Return elevation that rises eastwards by RISE, some pixels beyond the grid on every side."""
    margin = margin_of(pixel)
    n = round(WIDTH * RES / pixel) + 2 * margin, round(HEIGHT * RES / pixel) + 2 * margin
    x = (np.arange(n[0]) - margin + 0.5) * pixel
    return np.tile(1000 + RISE * x, (n[1], 1))


def write_raster(
    path: Path, values: np.ndarray, pixel: float = RES, margin: int = 0, crs: str = CRS
) -> None:
    """Write a raster whose pixel `margin` is the grid's first one."""
    profile = {
        "driver": "GTiff", "height": values.shape[0], "width": values.shape[1], "count": 1,
        "dtype": "float64", "crs": crs, "nodata": -9999,
        "transform": from_origin(X0 - margin * pixel, Y1 + margin * pixel, pixel, pixel),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        out.write(np.where(np.isnan(values), -9999, values), 1)


def service_region(
    folder: Path,
    maps: dict[str, np.ndarray | float] | None = None,
    *,
    tile: int = 48,
    units: dict[str, str] | None = None,
    services: dict | None = None,
    dem: tuple[np.ndarray, float] | None = None,
    **extra,
) -> Region:
    """Write rasters and a region that names them; by default those of PLAIN on a plane."""
    folder.mkdir(parents=True, exist_ok=True)
    values = PLAIN if maps is None else maps
    named, datasets = {"dem": "svc_dem"}, {}
    elevation, pixel = dem or (plane(), RES)
    write_raster(folder / "dem.tif", elevation, pixel, margin_of(pixel))
    for key, value in values.items():
        array = np.broadcast_to(np.asarray(value, float), (HEIGHT, WIDTH))
        write_raster(folder / f"{key}.tif", array)
        named[key] = f"svc_{key}"
    for key in named:
        datasets[f"svc_{key}"] = {
            "access": {"type": "raster", "path": f"{key}.tif"},
            "units": (UNITS | (units or {}))[key],
        }
    return build_region(
        folder,
        tile=tile,
        extra={"services": named | {"slope_length_m": 100} | (services or {})} | extra,
        more_datasets=datasets,
    )


class FakeView:
    """Stored land cover and cover of one period, as a cube's view reads them."""

    def __init__(self, land: np.ndarray, cover: np.ndarray) -> None:
        self.arrays = {"landcover": land, "fvc": cover}

    def read(self, _group: str, product: str, _period: str, window: Tile) -> np.ndarray:
        return self.arrays[product][window.slices]
