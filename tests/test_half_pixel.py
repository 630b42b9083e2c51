"""No half-pixel shift: a plane planted on the ground comes back, whatever the source's grid.

The value of each source pixel is that of a plane over the grid's own coordinates, taken at the
pixel's centre, which is projected for itself by PROJ. Bilinear values and means of a plane are the
plane, so that what is read at a grid pixel has to be the plane at its centre. A shift by half a
source pixel would be an error of half a step; the steps are many stored units.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from imagery_fakes import WORLD, catalog_of, grid_of
from pyproj import Transformer

from eco_index.catalog import Catalog
from eco_index.composite import Composite, composite_tile
from eco_index.grid import Grid, Tile
from eco_index.sources.scene import Asset, Scene

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
STEP = 60.0  # stored units of NDVI (1e-4) for each source pixel to the east; half of it south


def catalog(tmp_path: Path) -> Catalog:
    return catalog_of(
        tmp_path,
        d={
            "access": {"type": "stac_folder", "path": "x"},
            "bands": {
                "ndvi": {"asset": ["n"], "scale": 1e-4, "nodata": -32768},
                "q": {"asset": ["q"], "nodata": 1},
            },
            "mask": {"band": "q", "recipe": "codes"},
        },
    )


def plane(grid: Grid, x: np.ndarray, y: np.ndarray, pixel_m: float) -> np.ndarray:
    east = (x - (grid.bounds[0] + grid.bounds[2]) / 2) / pixel_m
    south = ((grid.bounds[1] + grid.bounds[3]) / 2 - y) / pixel_m
    return STEP * east + STEP / 2 * south


def planted(
    folder: Path, grid: Grid, crs: str, size: float, pixel_m: float, *, point: bool = False,
    south_up: bool = False, edge: float | None = None,
) -> Scene:  # fmt: skip
    """A scene over the whole grid; `edge`: cloud west of that column of the grid."""
    xmin, ymin, xmax, ymax = grid.bounds
    to = Transformer.from_crs(grid.crs, crs, always_xy=True)
    along = np.linspace(0, 1, 40)
    xs, ys = np.meshgrid(xmin + (xmax - xmin) * along, ymin + (ymax - ymin) * along)
    cx, cy = to.transform(xs.ravel(), ys.ravel())
    # Off any round number, so that the phase of the two grids is nothing special.
    left, top = cx.min() - 3.37 * size, cy.max() + 3.61 * size
    width = int(np.ceil((cx.max() - left) / size)) + 4
    height = int(np.ceil((top - cy.min()) / size)) + 4
    transform = Affine(size, 0, left, 0, -size, top)
    if south_up:
        transform = Affine(size, 0, left, 0, size, top - height * size)
    cols, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    sx, sy = transform.c + transform.a * cols, transform.f + transform.e * rows
    gx, gy = to.transform(sx.ravel(), sy.ravel(), direction="INVERSE")
    gx, gy = np.asarray(gx).reshape(cols.shape), np.asarray(gy).reshape(cols.shape)
    value = np.clip(plane(grid, gx, gy, pixel_m), -9900, 9900)
    quality = np.zeros(cols.shape, "u1")
    if edge is not None:
        quality[gx < grid.bounds[0] + edge * grid.resolution] = 2
    assets = {}
    for band, data in (("ndvi", value.astype("f4")), ("q", quality)):
        path = folder / f"{band}.tif"
        folder.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path, "w", driver="GTiff", width=width, height=height, count=1, dtype=data.dtype,
            crs=crs, transform=transform, tiled=True, blockxsize=64, blockysize=64,
        ) as out:  # fmt: skip
            out.write(data, 1)
            if point:
                out.update_tags(AREA_OR_POINT="Point")
        assets[band] = Asset(str(path))
    return Scene("s", "d", "2025-07-03T03:00:00Z", WORLD, assets)


def read(tmp_path: Path, grid: Grid, scene: Scene) -> Composite:
    made = composite_tile(
        [scene], catalog(tmp_path), grid, Tile(0, 0, 0, grid.shape[0], 0, grid.shape[1])
    )
    assert not made.failures
    return made


def truth(grid: Grid, pixel_m: float) -> np.ndarray:
    x, y = np.meshgrid(grid.x(), grid.y())
    return plane(grid, x, y, pixel_m)


# CRS, size of a source pixel in its units, in metres, resolution of the grid in metres.
SOURCES = {
    "UTM, own zone": ("EPSG:32649", 30.0, 30.0, 30.0),
    "UTM, own zone, 10 m to 30 m": ("EPSG:32649", 10.0, 10.0, 30.0),
    "UTM, neighbouring zone": ("EPSG:32650", 30.0, 30.0, 30.0),
    "UTM, neighbouring zone, 20 m to 30 m": ("EPSG:32650", 20.0, 20.0, 30.0),
    "geographic": ("EPSG:4326", 0.00027, 26.5, 30.0),
    "geographic, fine": ("EPSG:4326", 0.00009, 8.9, 30.0),
    "CGCS2000 geographic": ("EPSG:4490", 0.00027, 26.5, 30.0),
    "sinusoidal": (SINUSOIDAL, 231.656358, 231.656358, 250.0),
    "sinusoidal, coarse onto fine": (SINUSOIDAL, 463.312717, 463.312717, 100.0),
    "sinusoidal to 1 km": (SINUSOIDAL, 231.656358, 231.656358, 1000.0),
}


@pytest.mark.parametrize("name", list(SOURCES))
def test_a_plane_comes_back(tmp_path: Path, name: str) -> None:
    crs, size, pixel_m, resolution = SOURCES[name]
    grid = grid_of(70, 60, resolution=resolution)
    made = read(tmp_path, grid, planted(tmp_path / "s", grid, crs, size, pixel_m))
    expected = truth(grid, pixel_m)
    inner = (np.abs(expected) < 9500) & (made.clear_count > 0)
    assert inner.mean() > 0.5
    error = (made.ndvi_max - expected)[inner]
    # In source pixels to the east: the mean says shift, the spread says sampling.
    assert abs(error.mean()) / STEP < 0.02
    averaged = resolution / pixel_m >= 1.98
    assert np.abs(error).max() / STEP < (0.5 if averaged else 0.05)


@pytest.mark.parametrize("changes", [{"point": True}, {"south_up": True}])
def test_other_ways_to_write_the_same_raster(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Pixel-is-point tags and rows from south to north mean the same ground."""
    grid = grid_of(70, 60)
    made = read(tmp_path, grid, planted(tmp_path / "s", grid, "EPSG:32649", 30.0, 30.0, **changes))
    error = made.ndvi_max - truth(grid, 30.0)
    assert (made.clear_count > 0).all() and np.abs(error).max() / STEP < 0.05


def test_two_zones_see_the_same_ground(tmp_path: Path) -> None:
    grid = grid_of(70, 60)
    one = read(tmp_path, grid, planted(tmp_path / "a", grid, "EPSG:32649", 30.0, 30.0))
    two = read(tmp_path, grid, planted(tmp_path / "b", grid, "EPSG:32650", 30.0, 30.0))
    assert np.abs(one.ndvi_max.astype(int) - two.ndvi_max).max() / STEP < 0.05


@pytest.mark.parametrize("name", ["UTM, own zone", "UTM, neighbouring zone", "geographic",
                                  "sinusoidal", "sinusoidal, coarse onto fine"])  # fmt: skip
def test_quality_is_taken_from_the_pixel_that_holds_the_centre(tmp_path: Path, name: str) -> None:
    """The edge of a cloud lies, over many lines, where it was planted: nearest, and no mixtures."""
    crs, size, pixel_m, resolution = SOURCES[name]
    grid = grid_of(128, 128, resolution=resolution)
    edge = 60.3
    scene = planted(tmp_path / "s", grid, crs, size, pixel_m, edge=edge)
    made = read(tmp_path, grid, scene)
    cloudy = (made.obs_count > 0) & (made.clear_count == 0)
    known = made.obs_count > 0
    assert known.all()
    # Pixels of the NDVI plane beyond its range count as not clear too: look near the edge only.
    reach = int(np.ceil(pixel_m / resolution)) + 1
    columns = np.arange(128)
    assert cloudy[:, columns < edge - reach - 1].all()
    clear_side = (columns > edge + reach + 1) & (columns < edge + reach + 20)
    assert not cloudy[:, clear_side].any()
    near = cloudy[:, : int(edge + reach + 20)].sum(axis=1)
    # A grid pixel is cloudy where its centre (k + 0.5) lies in a cloudy source pixel.
    ratio = pixel_m / resolution
    assert abs(near.mean() - edge) < 0.12 * max(1.0, ratio)
