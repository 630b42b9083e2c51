"""Scenes of the simulated region: cloud-optimised GeoTIFFs with STAC items beside them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer

from eco_index.simulation import items, render
from eco_index.simulation.landscape import World
from eco_index.simulation.schedule import ORBITS, Pass, passes, season
from eco_index.simulation.weather import weather_field
from eco_index.simulation.window import Window

NDVI_NOISE = 0.003
BRIGHTNESS_NOISE = 0.002
FOOTPRINT_MARGIN_PX = 14  # scenes reach a little beyond the region

# Quality bands, by class of a rendered pixel (render.FILL ... render.SNOW).
# QA_PIXEL: fill; clear (clear bit, all confidences low); clear water; high-confidence cloud;
# dilated cloud; shadow with the clear bit set as well; shadow without it; snow.
QA_PIXEL = np.array([1, 21824, 21824, 21952, 22280, 21826, 23888, 23824, 30048], np.uint16)
SCL = np.array([0, 5, 4, 6, 9, 8, 3, 3, 11], np.uint8)


@lru_cache(maxsize=16)
def _transformer(source: str, target: str) -> Transformer:
    # Building one takes ~0.1 s. Only the calling thread uses them: they are not shared.
    return Transformer.from_crs(source, target, always_xy=True)


def scene_window(world: World, item: Pass) -> Window:
    """Return the window in the orbit's UTM zone that holds the observed part of the region."""
    spec, orbit = world.spec, ORBITS[item.orbit]
    edge = (0.0, 0.0, 2.0)  # 0 <= 2: no edge, the whole region is observed
    if orbit.edge is not None:
        a, b, c = orbit.edge
        edge = (a, b, c + item.edge_shift)
    m = FOOTPRINT_MARGIN_PX * spec.resolution
    x0, y0, x1, y1 = spec.bounds
    box = shapely.box(x0 - m, y0 - m, x1 + m, y1 + m)
    # The swath as a very large polygon: everything on the observed side of its edge.
    a, b, c = edge
    if (a, b) == (0.0, 0.0):
        swath = box.buffer(spec.extent_m)
    else:
        length = np.hypot(a, b)
        foot = np.array([a, b]) * c / length**2
        along, into = np.array([-b, a]) / length * 10, -np.array([a, b]) / length * 10
        corners = np.array([foot + along, foot - along, foot - along + into, foot + along + into])
        swath = shapely.Polygon(
            [(x0 + u * spec.extent_m, y1 - v * spec.extent_m) for u, v in corners]
        )
    seen = shapely.segmentize(box.intersection(swath), spec.extent_m / 20)
    utm = f"EPSG:{orbit.epsg}"
    to_utm = _transformer(spec.crs_wkt, utm).transform
    west, south, east, north = shapely.transform(seen, to_utm, interleaved=False).bounds
    # Landsat puts pixel centres on multiples of 30 m; Sentinel-2 puts corners on multiples of 20 m.
    size, shift = (30.0, 15.0) if orbit.sensor == "landsat" else (20.0, 0.0)
    size *= spec.resolution / 30.0
    shift *= spec.resolution / 30.0
    left = np.floor((west + shift) / size) * size - shift
    top = np.ceil((north + shift) / size) * size - shift
    shape = int(np.ceil((top - south) / size)), int(np.ceil((east - left) / size))
    transform = Affine(size, 0, left, 0, -size, top)

    corners_utm = shapely.segmentize(
        shapely.box(left, top - shape[0] * size, left + shape[1] * size, top), spec.extent_m / 20
    )
    to_grid = _transformer(utm, spec.crs_wkt).transform
    observed = shapely.transform(corners_utm, to_grid, interleaved=False).intersection(swath)
    to_lonlat = _transformer(spec.crs_wkt, "EPSG:4326").transform
    footprint = shapely.transform(observed, to_lonlat, interleaved=False)

    rows = np.arange(0, shape[0] + render.STEP, render.STEP)
    cols = np.arange(0, shape[1] + render.STEP, render.STEP)
    gx, gy = to_grid(*np.meshgrid(left + (cols + 0.5) * size, top - (rows + 0.5) * size))
    inverse = ~world.transform
    lattice = np.stack(
        [gx * inverse.a + inverse.c - 0.5, gy * inverse.e + inverse.f - 0.5], axis=-1
    )
    return Window(transform, shape, edge, shapely.set_precision(footprint, 1e-7), lattice)


def _write_cog(
    path: Path, values: np.ndarray, window: Window, epsg: int, nodata: int, overviews: bool
) -> None:
    with rasterio.open(
        path,
        "w",
        driver="COG",
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype=values.dtype,
        crs=f"EPSG:{epsg}",
        transform=window.transform,
        nodata=nodata,
        compress="DEFLATE",
        predictor="STANDARD",
        level=1,
        blocksize=512,
        overviews="AUTO" if overviews else "NONE",
        overview_resampling="NEAREST",
    ) as file:
        file.write(values, 1)


def write_scene(world: World, item: Pass, window: Window, root: Path) -> dict[str, Any]:
    """Render and write one scene.

    Returns
    -------
    dict
        The scene's STAC item.
    """
    spec, orbit = world.spec, ORBITS[item.orbit]
    rng = np.random.default_rng([spec.seed, 2, item.number])
    landsat = orbit.sensor == "landsat"
    names = items.scene_names(item, orbit)
    if landsat:
        encode = (1 / 2.75e-5, 0.2 / 2.75e-5)
    else:
        encode = (10000.0, 0.0 if item.flaw == "old_baseline" else 1000.0)

    cloud, cloud_margin = weather_field(window.shape, item.cloud, rng, cells=7)
    snow, snow_margin = weather_field(window.shape, item.snow, rng, cells=5, slope=0.9)
    pixels = spec.extent_m / window.transform.a
    gain = float(rng.uniform(0.97, 1.03))
    red, nir = (np.empty(window.shape, np.uint16) for _ in range(2))
    classes = np.empty(window.shape, np.uint8)
    render.render(
        world.states[item.date.year].fields,
        window.lattice,
        cloud,
        snow,
        (cloud_margin, snow_margin),
        (-0.045 * pixels, -0.030 * pixels),  # the sun stands in the south-east
        window.edge,
        (1 / spec.size_px, (0.5 - spec.margin_px) / spec.size_px),
        season(item.date),
        gain,
        (NDVI_NOISE, BRIGHTNESS_NOISE),
        encode,
        np.uint64(rng.integers(2**63)),
        red,
        nir,
        classes,
    )
    folder = root / names.collection / names.id
    folder.mkdir(parents=True, exist_ok=True)
    quality = QA_PIXEL[classes] if landsat else SCL[classes]
    bands = {
        "red": (red, 0),
        "nir08": (nir, 0),
        ("qa_pixel" if landsat else "scl"): (quality, 1 if landsat else 0),
    }
    if item.flaw == "missing_band":
        del bands["nir08"]
    sizes: dict[str, int] = {}
    for key, (values, nodata) in bands.items():
        path = folder / names.files[key]
        _write_cog(path, values, window, orbit.epsg, nodata, spec.overviews)
        sizes[key] = path.stat().st_size
    if item.flaw == "truncated":
        # As after a broken download: the header is whole, blocks at the end are not there.
        path = folder / names.files["nir08"]
        os.truncate(path, sizes["nir08"] * 55 // 100)
    counts = np.bincount(classes.ravel(), minlength=9)
    stac = items.scene_item(item, orbit, names, window, sizes, counts)
    items.write_json(folder / f"{names.id}.json", stac)
    return stac


def write_scenes(
    world: World, root: Path, progress: Callable[[str, int, int, str], None] | None = None
) -> None:
    """Write all scenes of the region and the two collections."""
    todo = passes(world.spec)
    windows = [scene_window(world, item) for item in todo]
    done: list[dict[str, Any]] = []
    with ThreadPoolExecutor(world.spec.threads) as pool:
        written = pool.map(lambda p, w: write_scene(world, p, w, root), todo, windows)
        for k, stac in enumerate(written):
            done.append(stac)
            if progress is not None:
                progress("simulate", k + 1, len(todo), stac["id"])
    items.write_collections(done, root)
