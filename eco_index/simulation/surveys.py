"""What surveyors would bring home: vegetation plots, reference samples, grassland plots."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio import features
from rasterio.enums import Resampling
from rasterio.warp import reproject

from eco_index.simulation import landscape, places, vectors
from eco_index.simulation.landscape import World
from eco_index.simulation.spec import SimSpec
from eco_index.simulation.truth import write_csv

PLOTS = 60
SAMPLES = 60  # reference samples of each class of the map
GRASS_SAMPLES = 600  # it is split by cover into classes of which some are rare
PLOT_NOISE = 0.04  # standard deviation of a surveyed cover against truth

_PLOT_TYPES = {
    landscape.GRASS: "grassland",
    landscape.TREE: "forest",
    landscape.SHRUB: "shrubland",
    landscape.CROP: "cropland",
    landscape.SAND: "sandy_land",
    landscape.WETLAND: "wetland",
}
GRASSLAND_PLOTS = 6  # of each grassland type in a county
GRASSLAND_TYPES = {31: "高覆盖度草地", 32: "中覆盖度草地", 33: "低覆盖度草地"}


def write_plots(world: World, folder: Path) -> None:
    """Write ``plots_{year}.csv``: vegetation cover surveyed at random places, with survey noise."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = world.spec
    to_lonlat = Transformer.from_crs(spec.crs_wkt, "EPSG:4326", always_xy=True)
    for k, (year, state) in enumerate(world.states.items()):
        rng = np.random.default_rng([spec.seed, 4, k])
        classes, fvc = state.classes[world.inner], state.fvc[world.inner]
        rows: list[list[object]] = []
        while len(rows) < PLOTS:
            r, c = (int(a) for a in rng.integers(4, spec.size_px - 4, 2))
            around = classes[r - 2 : r + 3, c - 2 : c + 3]
            if int(classes[r, c]) not in _PLOT_TYPES or (around != classes[r, c]).any():
                continue  # surveyors choose homogeneous places
            x = spec.bounds[0] + (c + 0.5) * spec.resolution
            y = spec.bounds[3] - (r + 0.5) * spec.resolution
            lon, lat = to_lonlat.transform(x, y)
            cover = float(np.clip(fvc[r, c] + rng.normal(0, PLOT_NOISE), 0, 1))
            day = dt.date(year, 7, 15) + dt.timedelta(days=int(rng.integers(0, 32)))
            rows.append(
                [
                    f"P{year}{len(rows) + 1:03d}",
                    f"{lon:.6f}",
                    f"{lat:.6f}",
                    day.isoformat(),
                    _PLOT_TYPES[int(classes[r, c])],
                    f"{cover:.3f}",
                ]
            )
        write_csv(
            folder / f"plots_{year}.csv", ["plot_id", "lon", "lat", "date", "type", "cover"], rows
        )


def write_samples(world: World, landcover: Path, folder: Path) -> None:
    """Write ``samples_{year}.csv``: the true land cover at places that were visited.

    Stratified as estimates from them need it: random pixels within each class of the map
    (``landcover_{year}.tif`` in `landcover`), not of the land. Without mistakes: whatever corrects
    a map by its samples takes them for the truth.
    """
    spec = world.spec
    to_lonlat = Transformer.from_crs(spec.crs_wkt, "EPSG:4326", always_xy=True)
    for k, (year, state) in enumerate(world.states.items()):
        rng = np.random.default_rng([spec.seed, 7, k])
        lucc = state.lucc()[world.inner]
        mapped = _on_grid(landcover / f"landcover_{year}.tif", spec)
        rows: list[list[object]] = []
        for code in np.unique(mapped[mapped > 0]):
            at = np.flatnonzero(mapped == code)
            wanted = GRASS_SAMPLES if code == landscape.WORLDCOVER[landscape.GRASS] else SAMPLES
            for pixel in np.sort(rng.choice(at, min(wanted, at.size), replace=False)):
                r, c = divmod(int(pixel), lucc.shape[1])
                x = spec.bounds[0] + (c + 0.5) * spec.resolution
                y = spec.bounds[3] - (r + 0.5) * spec.resolution
                lon, lat = to_lonlat.transform(x, y)
                name = f"S{year}{len(rows) + 1:04d}"
                rows.append([name, f"{lon:.6f}", f"{lat:.6f}", int(lucc[r, c])])
        write_csv(folder / f"samples_{year}.csv", ["sample_id", "lon", "lat", "lucc"], rows)


def _on_grid(path: Path, spec: SimSpec) -> np.ndarray:
    """Return a map of classes on the region's grid, the nearest pixel of each."""
    found = np.zeros((spec.size_px, spec.size_px), np.uint8)
    with rasterio.open(path) as source:
        reproject(
            rasterio.band(source, 1), found, dst_transform=spec.grid.transform,
            dst_crs=spec.crs_wkt, resampling=Resampling.nearest,
        )  # fmt: skip
    return found


def write_grassland(world: World, folder: Path) -> None:
    """Write ``grassland_plots_{year}.csv`` and ``grassland_areas_{year}.csv`` by county and type.

    The types are the land's own classes of grassland, their areas exact; covers carry survey noise.
    """
    spec = world.spec
    counties = features.rasterize(
        [(shape, k + 1) for k, shape in enumerate(vectors.county_polygons(spec))],
        out_shape=(spec.size_px, spec.size_px),
        transform=spec.grid.transform,
    )
    for k, (year, state) in enumerate(world.states.items()):
        rng = np.random.default_rng([spec.seed, 8, k])
        lucc, fvc = state.lucc()[world.inner], state.fvc[world.inner]
        plots: list[list[object]] = []
        areas: list[list[object]] = []
        for n, county in enumerate(places.COUNTIES):
            for code, name in GRASSLAND_TYPES.items():
                at = np.flatnonzero((counties == n + 1) & (lucc == code))
                if not at.size:
                    continue
                areas.append([county[0], name, f"{at.size * spec.grid.pixel_area_m2 / 1e4:.2f}"])
                for pixel in np.sort(rng.choice(at, min(GRASSLAND_PLOTS, at.size), replace=False)):
                    cover = np.clip(fvc.flat[pixel] + rng.normal(0, PLOT_NOISE), 0, 1)
                    plots.append([county[0], name, f"G{len(plots) + 1:03d}", f"{100 * cover:.1f}"])
        header = ["county", "type", "plot", "cover_percent"]
        write_csv(folder / f"grassland_plots_{year}.csv", header, plots)
        write_csv(folder / f"grassland_areas_{year}.csv", ["county", "type", "area_ha"], areas)
