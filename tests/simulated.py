"""Read what the simulation wrote: for tests that compare with its truth."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import yaml
from rasterio import features

from eco_index.grid import Grid


def copy_region(
    region_file: Path, folder: Path, grid: dict | None = None, **changes: object
) -> Path:
    """Write a region file of its own output folder (grid, keys) over the same simulated inputs."""
    config = yaml.safe_load(region_file.read_text(encoding="utf-8"))
    config["catalog"] = str(region_file.parent / config["catalog"])
    config["output"] = str(folder / "out")
    config["grid"] |= grid or {}
    config |= changes
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "region.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return file


def truth(folder: Path, year: int) -> dict[str, np.ndarray]:
    with np.load(folder / "data" / "truth" / f"truth_{year}.npz") as file:
        return dict(file)


def layer(folder: Path, name: str, grid: Grid) -> gpd.GeoDataFrame:
    return gpd.read_file(folder / "data" / "vectors" / f"{name}.gpkg").to_crs(grid.crs_wkt)


def changes(folder: Path, grid: Grid) -> dict[str, np.ndarray]:
    text = (folder / "data" / "truth" / "changes.geojson").read_text(encoding="utf-8")
    return {
        f["properties"]["kind"]: features.rasterize(
            [f["geometry"]], grid.shape, transform=grid.transform
        ).astype(bool)
        for f in json.loads(text)["features"]
    }


def zones(frame: gpd.GeoDataFrame, grid: Grid) -> np.ndarray:
    shapes = [(g, k + 1) for k, g in enumerate(frame.geometry)]
    return features.rasterize(shapes, grid.shape, transform=grid.transform)
