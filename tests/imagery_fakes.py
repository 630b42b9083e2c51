"""Small synthetic scenes, and a slow, plain reference of the composite."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import CRS, Transformer
from rasterio.transform import from_origin

from eco_index.catalog import Catalog
from eco_index.grid import Grid
from eco_index.sources.scene import Asset, Scene

ALBERS = "+proj=aea +lat_1=25 +lat_2=47 +lon_0=105 +ellps=GRS80 +units=m +no_defs"
CLEAR_QA, CLOUD_QA, SHADOW_QA, SNOW_QA = 21824, 22280, 23888, 30048
WORLD = (-180.0, -90.0, 180.0, 90.0)


def grid_of(
    width: int,
    height: int,
    tile: int = 64,
    resolution: float = 30.0,
    origin: tuple[float, float] = (730_020.0, 4_500_000.0),
) -> Grid:
    x, y = origin
    bounds = (x, y - height * resolution, x + width * resolution, y)
    return Grid(CRS.from_user_input(ALBERS).to_wkt(), resolution, bounds, tile, tile)


def catalog_of(tmp_path: Path, **datasets: dict[str, Any]) -> Catalog:
    base = {"title": {"zh": "测", "en": "test"}, "source": "made here", "licence": "CC0-1.0"}
    catalog = Catalog.model_validate(
        {"version": 1, "datasets": {k: base | v for k, v in datasets.items()}}
    )
    catalog._path = tmp_path / "data_catalog.yaml"
    return catalog


def landsat_entry(**changes: Any) -> dict[str, Any]:
    band = {"scale": 2.75e-5, "offset": -0.2, "nodata": 0, "valid_range": [1, 65455]}
    return {
        "access": {"type": "stac_folder", "path": "landsat"},
        "bands": {
            "red": {"asset": ["red"]} | band,
            "nir": {"asset": ["nir08"]} | band,
            "qa": {"asset": ["qa_pixel"], "nodata": 1},
        },
        "mask": {"band": "qa", "recipe": "landsat_qa_pixel"},
    } | changes


def write_raster(
    path: Path,
    data: np.ndarray,
    crs: str,
    origin: tuple[float, float],
    size: float,
    nodata: float | None = None,
    block: int = 64,
) -> str:
    """Write a tiled GeoTIFF with square pixels and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=data.shape[1],
        height=data.shape[0],
        count=1,
        dtype=data.dtype,
        crs=crs,
        transform=from_origin(*origin, size, size),
        nodata=nodata,
        tiled=True,
        blockxsize=block,
        blockysize=block,
        compress="deflate",
    ) as out:
        out.write(data, 1)
    return str(path)


def origin_over(grid: Grid, crs: str, width: int, height: int, size: float) -> tuple[float, float]:
    """Upper left corner that puts a raster's centre over the grid's centre (whole pixels)."""
    xmin, ymin, xmax, ymax = grid.bounds
    to_source = Transformer.from_crs(grid.crs, crs, always_xy=True)
    x, y = to_source.transform((xmin + xmax) / 2, (ymin + ymax) / 2)
    return (
        round((x - width * size / 2) / size) * size,
        round((y + height * size / 2) / size) * size,
    )


def landsat_scene(
    folder: Path, grid: Grid, seed: int, crs: str = "EPSG:32649", extent: int = 130
) -> Scene:
    """A scene of smooth reflectances with clouds, a shadow with the clear bit, snow and gaps."""
    rng = np.random.default_rng(seed)
    shape = (extent, extent)
    origin = origin_over(grid, crs, extent, extent, 30.0)
    row, col = np.mgrid[0:extent, 0:extent]
    red = (9000 + 1500 * np.sin(col / 9 + seed) + rng.integers(0, 400, shape)).astype("u2")
    nir = (14000 + 5000 * np.cos(row / 11 - seed) + rng.integers(0, 400, shape)).astype("u2")
    qa = np.full(shape, CLEAR_QA, "u2")
    n = max(14, -(-extent // 10))
    blocks = rng.integers(0, 10, (n, n))
    blocks = np.kron(blocks, np.ones((10, 10), int))[:extent, :extent]
    for value, code in ((0, CLOUD_QA), (1, SHADOW_QA), (2, SNOW_QA), (3, 1)):
        qa[blocks == value] = code
    red[blocks == 3] = nir[blocks == 3] = 0
    nir[rng.random(shape) < 0.01] = 0  # single dead pixels in one band only
    red[(blocks == 5) & (col % 3 == 0)] = 7000  # below zero reflectance: clamped
    assets = {
        band: Asset(write_raster(folder / f"{seed}_{band}.tif", data, crs, origin, 30.0))
        for band, data in (("red", red), ("nir", nir), ("qa", qa))
    }
    return Scene(f"L{seed}", "landsat", f"2025-07-{seed + 1:02d}T03:00:00Z", WORLD, assets)


def write_item(path: Path, item_id: str, assets: dict[str, str], **changes: Any) -> Path:
    """Write a STAC item."""
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": item_id,
        "bbox": list(WORLD),
        "geometry": None,
        "properties": {"datetime": "2025-07-03T03:00:00Z"},
        "assets": {k: {"href": href} for k, href in assets.items()},
        "links": [],
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(item), encoding="utf-8")
    return path


# ------------------------------------------------------------------ plain reference


@lru_cache(maxsize=64)
def _header(path: str) -> tuple[Any, str]:
    with rasterio.open(path) as source:
        return source.transform, source.crs.to_wkt()


@lru_cache(maxsize=4096)
def _node(grid: Grid, transform: Any, crs: str, i: int, j: int) -> tuple[float, float]:
    """Source column and row of the centre of grid pixel (16 i, 16 j)."""
    x = grid.bounds[0] + (j * 16 + 0.5) * grid.resolution
    y = grid.bounds[3] - (i * 16 + 0.5) * grid.resolution
    x, y = Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y)
    inverse = ~transform
    return (
        inverse.a * x + inverse.b * y + inverse.c,
        inverse.d * x + inverse.e * y + inverse.f,
    )


def reference_position(grid: Grid, path: str, row: int, col: int) -> tuple[float, float]:
    """Source column and row of a grid pixel: exact at every 16th pixel, linear between."""
    i, j = row // 16, col // 16
    fy, fx = (row % 16) / 16, (col % 16) / 16
    out = []
    nodes = ((i, j), (i + 1, j), (i, j + 1), (i + 1, j + 1))
    corners = [_node(grid, *_header(path), *node) for node in nodes]
    for k in (0, 1):
        a, b, c, d = (corner[k] for corner in corners)
        left, right = a + (b - a) * fy, c + (d - c) * fy
        out.append(left + (right - left) * fx)
    return out[0], out[1]


def reference_bilinear(data: np.ndarray, u: float, v: float, nodata: float) -> float:
    """Value between pixel centres; NaN where a neighbour with weight is missing."""
    height, width = data.shape
    p, q = u - 0.5, v - 0.5
    x, y = math.floor(p + 1e-5), math.floor(q + 1e-5)
    wx, wy = p - x, q - y
    wx, wy = (0.0 if wx < 1e-5 else wx), (0.0 if wy < 1e-5 else wy)
    x1, y1 = x + (wx > 0), y + (wy > 0)
    if x < 0 or y < 0 or x1 >= width or y1 >= height:
        return math.nan
    a, b = float(data[y, x]), float(data[y, x1])
    c, d = float(data[y1, x]), float(data[y1, x1])
    if nodata in (a, b, c, d):
        return math.nan
    top, bottom = a + (b - a) * wx, c + (d - c) * wx
    return top + (bottom - top) * wy


def reference_composite(
    scenes: list[Scene], grid: Grid
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximum NDVI, clear and observation counts of Landsat-like scenes, pixel by pixel."""
    height, width = grid.shape
    highest = np.full((height, width), -32768, np.int16)
    clear, seen = np.zeros((height, width), np.uint16), np.zeros((height, width), np.uint16)
    for scene in scenes:
        bands = {}
        for band, asset in scene.assets.items():
            with rasterio.open(asset.href) as source:
                bands[band] = source.read(1)
        qa = bands["qa"]
        for row in range(height):
            for col in range(width):
                u, v = reference_position(grid, scene.assets["qa"].href, row, col)
                x, y = math.floor(u + 1e-5), math.floor(v + 1e-5)
                if not (0 <= x < qa.shape[1] and 0 <= y < qa.shape[0]) or qa[y, x] & 1:
                    continue
                seen[row, col] += 1
                if qa[y, x] != CLEAR_QA:
                    continue
                red = reference_bilinear(bands["red"], u, v, 0) * 2.75e-5 + -0.2
                nir = reference_bilinear(bands["nir"], u, v, 0) * 2.75e-5 + -0.2
                if math.isnan(red) or math.isnan(nir):
                    continue
                red, nir = max(red, 0.0), max(nir, 0.0)
                if red + nir <= 0:
                    continue
                value = (nir - red) / (red + nir) * 10000.0
                stored = math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)
                highest[row, col] = max(highest[row, col], stored)
                clear[row, col] += 1
    return highest, clear, seen
