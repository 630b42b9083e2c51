"""Files made from the land itself: land cover, truth arrays, planted changes, ground plots."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numba
import numpy as np
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio import features

from eco_index.simulation import landscape
from eco_index.simulation.items import write_json
from eco_index.simulation.landscape import World

LANDCOVER_STEP = 0.00025  # degrees: 27.8 m in latitude, ~20 m in longitude here
LATTICE_STEP = 16


@numba.njit(nogil=True, cache=True)
def _nearest(lattice: np.ndarray, step: int, source: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with the nearest pixel of `source`; positions come from a coarse lattice."""
    for i in range(out.shape[0]):
        li, ti = i // step, (i % step) / step
        for j in range(out.shape[1]):
            lj, tj = j // step, (j % step) / step
            x = (lattice[li, lj, 0] * (1 - ti) + lattice[li + 1, lj, 0] * ti) * (1 - tj) + (
                lattice[li, lj + 1, 0] * (1 - ti) + lattice[li + 1, lj + 1, 0] * ti
            ) * tj
            y = (lattice[li, lj, 1] * (1 - ti) + lattice[li + 1, lj, 1] * ti) * (1 - tj) + (
                lattice[li, lj + 1, 1] * (1 - ti) + lattice[li + 1, lj + 1, 1] * ti
            ) * tj
            p = min(max(int(np.floor(y + 0.5)), 0), source.shape[0] - 1)
            q = min(max(int(np.floor(x + 0.5)), 0), source.shape[1] - 1)
            out[i, j] = source[p, q]


def write_landcover(world: World, folder: Path) -> None:
    """Write ``landcover_{year}.tif``: WorldCover v200 codes in degrees (EPSG:4326)."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = world.spec
    west, south, east, north = spec.grid.lonlat_bounds()
    left = np.floor(west / LANDCOVER_STEP - 4) * LANDCOVER_STEP
    top = np.ceil(north / LANDCOVER_STEP + 4) * LANDCOVER_STEP
    rows = int(np.ceil((top - south) / LANDCOVER_STEP)) + 4
    cols = int(np.ceil((east - left) / LANDCOVER_STEP)) + 4
    lon = left + (np.arange(0, cols + LATTICE_STEP, LATTICE_STEP) + 0.5) * LANDCOVER_STEP
    lat = top - (np.arange(0, rows + LATTICE_STEP, LATTICE_STEP) + 0.5) * LANDCOVER_STEP
    to_grid = Transformer.from_crs("EPSG:4326", spec.crs_wkt, always_xy=True)
    x, y = to_grid.transform(*np.meshgrid(lon, lat))
    inverse = ~world.transform
    lattice = np.stack([x * inverse.a + inverse.c - 0.5, y * inverse.e + inverse.f - 0.5], axis=-1)
    codes = np.empty((rows, cols), np.uint8)
    for year, state in world.states.items():
        _nearest(lattice, LATTICE_STEP, landscape.WORLDCOVER[state.classes], codes)
        with rasterio.open(
            folder / f"landcover_{year}.tif",
            "w",
            driver="COG",
            height=rows,
            width=cols,
            count=1,
            dtype="uint8",
            crs="EPSG:4326",
            transform=Affine(LANDCOVER_STEP, 0, left, 0, -LANDCOVER_STEP, top),
            nodata=0,
            compress="DEFLATE",
            blocksize=512,
            overview_resampling="NEAREST",
        ) as file:
            file.write(codes, 1)


def write_truth(world: World, folder: Path) -> None:
    """Write ``truth_{year}.npz`` (fvc, landcover, forest on the grid) and ``changes.geojson``.

    Also ``gain.npz``: the vegetation cover that the planted changes added to every pixel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spec = world.spec
    for year, state in world.states.items():
        np.savez(
            folder / f"truth_{year}.npz",
            fvc=state.fvc[world.inner],
            landcover=state.lucc()[world.inner],
            forest=(state.classes[world.inner] == landscape.TREE).astype(np.uint8),
        )
    np.savez(folder / "gain.npz", gain=world.gain[world.inner])
    found: list[dict[str, Any]] = []
    for kind, mask in world.changes.items():
        inside = mask[world.inner]
        shapes = features.shapes(
            inside.astype(np.uint8), mask=inside, transform=spec.grid.transform
        )
        geometry = shapely.unary_union([shapely.geometry.shape(s) for s, _ in shapes])
        found.append(
            {
                "type": "Feature",
                "properties": {
                    "kind": kind,
                    "area_km2": round(float(inside.sum()) * spec.grid.pixel_area_m2 / 1e6, 6),
                    "years": [max(y for y in spec.years if y < spec.change_year), spec.change_year],
                },
                "geometry": shapely.geometry.mapping(geometry),
            }
        )
    write_json(
        folder / "changes.geojson",
        {
            "type": "FeatureCollection",
            "note": "Coordinates are metres on the region's grid (crs_wkt), not degrees.",
            "crs_wkt": spec.crs_wkt,
            "features": found,
        },
    )


def write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    """Write a CSV table (UTF-8, LF)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
