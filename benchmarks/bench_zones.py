"""Zonal statistics against exactextract and xarray-spatial; trends against pymannkendall.

Prints one JSON object; without options at the sizes of the project's targets: 103 polygons over
8000 x 8000 pixels, trends of 25 years over 4000 x 4000 (a few minutes; `--quick`: 2000 and 1000).
Polygons x 5 statistics (count, sum, mean, variance, standard deviation) x 6 layers of float32 on
disk with gaps (NaN), the same files for all. Ours goes the way of an assessment:
`zones.load_layer`, `zone_raster.zone_pixels` and `zonal.ZoneSums`, tile by tile; the layers are
turned into the cube's stored integers on the way, which is part of its time. exactextract weighs
border pixels by the share that a zone covers; xarray-spatial gets zones drawn by rasterio. Each
side runs in a process of its own, after one small run; the sides take turns, figures are medians;
xarray-spatial, which takes minutes, runs in the first turn only. On a busy machine the ratios of
processor time (`zones_cpu_ratio_...`) are the ones to judge by: each side is one thread.

`zones_peak_mib` is what our process holds above what it held after the small run;
`zones_max_rel_diff` the greatest difference of a sum from exactextract's in zones above 1,000
pixels, where whole pixels stand against shares of pixels. The figures `zones_coverage_...` are
those of a layer with `coverage: exact`, sums of all zones however small. The figures `trend_...`
are those of `benchmarks/bench_trends.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from benchmarks import bench_trends
from benchmarks.processes import Side, alone, alternating, median, peak_mib

CRS = "+proj=aea +lat_0=0 +lon_0=105 +lat_1=25 +lat_2=47 +ellps=GRS80 +units=m +no_defs"
LAYERS = ("ndvi_max", "clear_count", "obs_count", "ndvi_mean", "valid_months", "fvc")
STATISTICS = ("count", "sum", "mean", "variance", "stdev")
RESOLUTION, X0, Y1 = 30.0, 703_920.0, 4_690_980.0
TILE = 2048
SIZE, TREND_SIZE = 8000, 4000  # sides of the layers and of the stack of years, pixels
QUICK, TREND_QUICK = 2000, 1000


def strip(layer: int, size: int, row: int, height: int) -> np.ndarray:
    """Return rows of a layer: smooth values with noise in the stored step, and gaps."""
    from eco_index.products import PRODUCTS

    product = PRODUCTS[LAYERS[layer]]
    y = np.arange(row, row + height, dtype=np.float32)[:, None] / 700
    x = np.arange(size, dtype=np.float32)[None] / 500
    share = 0.45 + 0.25 * np.sin(x + layer) * np.cos(y) + 0.1 * np.sin(3 * y + 2 * x)
    random = np.random.default_rng((5, layer, row))
    share += random.uniform(0, 0.1, share.shape).astype(np.float32)
    top = 12.0 if product.scale == 1.0 else 1.0
    values = np.rint(share * top / product.scale) * product.scale
    if product.fill is not None:
        values[random.random(share.shape) < 0.05] = np.nan
    return values.astype(np.float32)


def write_layer(path: Path, layer: int, size: int) -> None:
    """Write a layer strip by strip: tiled GeoTIFF, not compressed."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=1,
        dtype="float32",
        crs=CRS,
        transform=from_origin(X0, Y1, RESOLUTION, RESOLUTION),
        nodata=math.nan,
        tiled=True,
        blockxsize=512,
        blockysize=512,
    ) as out:
        for row in range(0, size, 512):
            height = min(512, size - row)
            out.write(strip(layer, size, row, height), 1, window=Window(0, row, size, height))


def write_zones(path: Path, size: int, n: int) -> None:
    """Write a partition of the grid's inside into cells with winding, shared borders."""
    import geopandas as gpd
    import shapely

    side = size * RESOLUTION
    random = np.random.default_rng(9)
    points = shapely.MultiPoint(random.uniform(0.04, 0.96, (n, 2)) * side + (X0, Y1 - side))
    frame = shapely.box(X0, Y1 - side, X0 + side, Y1)
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=frame))
    cells = shapely.intersection(cells, frame)
    cells = shapely.segmentize(cells, side / 600)

    def wind(xy: np.ndarray) -> np.ndarray:
        # The same move for the same place: neighbours stay neighbours. Inwards of the frame.
        u, v = (xy - (X0, Y1 - side)).T / side
        bend = 0.006 * np.sin(37 * u) * np.sin(41 * v) + 0.002 * np.sin(150 * u + 90 * v)
        u, v = 0.5 + 0.95 * (u - 0.5) + bend, 0.5 + 0.95 * (v - 0.5) - bend
        return np.column_stack([X0 + u * side, Y1 - side + v * side])

    cells = shapely.transform(cells, wind)
    table = {
        "code": [f"z{k:03d}" for k in range(len(cells))],
        "name": [f"zone {k}" for k in range(len(cells))],
    }
    gpd.GeoDataFrame(table, geometry=cells, crs=CRS).to_file(path)


def make(folder: Path, size: int, n: int) -> str:
    """Write layers, zones, catalogue and region file."""
    import yaml

    folder.mkdir(parents=True)
    for k, name in enumerate(LAYERS):
        write_layer(folder / f"{name}.tif", k, size)
    write_zones(folder / "zones.gpkg", size, n)

    def text(value: str) -> dict[str, str]:
        return {"zh": value, "en": value}

    entry = {"title": text("data"), "source": "made for a benchmark", "licence": "CC0-1.0"}
    bands = {b: {"asset": [b]} for b in ("red", "nir", "qa")}
    imagery = {"access": {"type": "stac_folder", "path": "none"}, "bands": bands}
    catalog: dict[str, Any] = {
        "imagery": entry | imagery | {"mask": {"band": "qa", "recipe": "landsat_qa_pixel"}},
        "zones": entry | {"access": {"type": "vector", "path": "zones.gpkg"}},
    }
    for name in ("cube", "assessments", "releases"):
        catalog[name] = entry | {"access": {"type": "written", "path": name}}
    names = {"zh": "name", "en": "name"}
    layer = {"dataset": "zones", "title": text("zones"), "id": "code", "name": names}
    side = size * RESOLUTION
    region = {
        "id": "benchmark",
        "name": text("Benchmark"),
        "catalog": "catalog.yaml",
        "output": "out",
        "grid": {
            "crs": CRS,
            "resolution": RESOLUTION,
            "bounds": [X0, Y1 - side, X0 + side, Y1],
            "tile": TILE,
            "chunk": 512,
        },
        "years": {"first": 2025, "last": 2025},
        "months": {"first": 7, "last": 7},
        "season": {"first": 7, "last": 7},
        "min_season_months": 1,
        "imagery": ["imagery"],
        "layers": {
            "centre": layer,
            "exact": layer | {"coverage": "exact"},
            "counties": layer,
        },
        "programmes": ["whole_region"],
    }
    for name, document in (
        ("catalog.yaml", {"version": 1, "datasets": catalog}),
        ("region.yaml", region),
    ):
        (folder / name).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return str(folder)


def ours(folder: str, warm: str, coverage: str) -> dict[str, Any]:
    """Zones read, drawn and summed tile by tile."""
    import rasterio
    from rasterio.windows import Window

    from eco_index.config import load_region
    from eco_index.products import PRODUCTS
    from eco_index.sources.raster import raster_env
    from eco_index.zonal import SumSpec, ZoneSums
    from eco_index.zone_raster import zone_pixels
    from eco_index.zones import load_layer

    def run(at: str) -> dict[str, Any]:
        region = load_region(Path(at) / "region.yaml")
        layer = load_layer(region, coverage)
        sums = ZoneSums(SumSpec(LAYERS), len(layer))
        files = {name: rasterio.open(Path(at) / f"{name}.tif") for name in LAYERS}
        most = max(tile.shape[0] * tile.shape[1] for tile in region.grid.tiles())
        # The same room for every tile: fresh memory for each costs as much as the sums.
        room = {name: np.empty(most, PRODUCTS[name].dtype) for name in LAYERS}
        physical = np.empty(most, np.float32)
        for tile in region.grid.tiles():
            drawn = zone_pixels(layer, region.grid, tile)
            height, width = tile.shape
            window = Window(tile.x0, tile.y0, width, height)
            arrays = {}
            for name, file in files.items():
                product = PRODUCTS[name]
                arrays[name] = room[name][: height * width].reshape(tile.shape)
                fill = 0 if product.fill is None else product.fill
                values = physical[: height * width].reshape(tile.shape)
                file.read(1, window=window, out=values)
                to_stored(values, 1 / product.scale, fill, arrays[name])
            sums.add(drawn.ids, arrays, drawn.shares)
        for file in files.values():
            file.close()
        out = {}
        for name in LAYERS:
            count, mean, variance = sums.n_valid(name), sums.mean(name), sums.variance(name)
            out[name] = np.stack([count, mean * count, mean, variance, np.sqrt(variance)])
        return out | {"ids": list(layer.ids)}

    with raster_env():
        run(warm)
        base, start = peak_mib(), _clocks()
        return _figures(run(folder), start, base)


@njit(cache=True)
def to_stored(values: np.ndarray, factor: float, fill: int, out: np.ndarray) -> None:
    """Turn physical values into stored integers; NaN into the fill value."""
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            value = values[y, x]
            out[y, x] = np.int32(np.rint(value * factor)) if value == value else fill


def exact(folder: str, warm: str) -> dict[str, Any]:
    """Run exactextract with all layers at once: shares of pixels are worked out once a zone."""
    import geopandas as gpd
    from exactextract import exact_extract

    def run(at: str) -> dict[str, Any]:
        zones = gpd.read_file(Path(at) / "zones.gpkg")
        files = [str(Path(at) / f"{name}.tif") for name in LAYERS]
        found = exact_extract(files, zones, list(STATISTICS), output="pandas")
        out: dict[str, Any] = {"ids": zones["code"].tolist()}
        for name in LAYERS:
            out[name] = found[[f"{name}_{s}" for s in STATISTICS]].to_numpy().T
        return out

    run(warm)
    base, start = peak_mib(), _clocks()
    return _figures(run(folder), start, base)


def xrspatial(folder: str, warm: str) -> dict[str, Any]:
    """Run xarray-spatial with zones drawn by rasterio, layers whole in memory."""
    import geopandas as gpd
    import rasterio
    import xarray as xr
    from rasterio.features import rasterize
    from xrspatial.zonal import stats

    def run(at: str) -> dict[str, Any]:
        zones = gpd.read_file(Path(at) / "zones.gpkg")
        with rasterio.open(Path(at) / f"{LAYERS[0]}.tif") as file:
            shape, transform = file.shape, file.transform
        shapes = [(g, k + 1) for k, g in enumerate(zones.geometry)]
        drawn = rasterize(shapes, shape, transform=transform, fill=0, dtype="int32")
        ids = xr.DataArray(drawn, dims=("y", "x"))
        out: dict[str, Any] = {"ids": zones["code"].tolist()}
        wanted = ["count", "sum", "mean", "var", "std"]
        for name in LAYERS:
            with rasterio.open(Path(at) / f"{name}.tif") as file:
                values = xr.DataArray(file.read(1), dims=("y", "x"))
            table = stats(
                ids, values, zone_ids=list(range(1, len(zones) + 1)), stats_funcs=wanted
            ).set_index("zone")
            out[name] = table.reindex(range(1, len(zones) + 1))[wanted].to_numpy().T
        return out

    run(warm)
    base, start = peak_mib(), _clocks()
    return _figures(run(folder), start, base)


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _figures(found: dict[str, Any], start: tuple[float, float], base: float) -> dict[str, Any]:
    seconds, cpu = (now - then for now, then in zip(_clocks(), start, strict=True))
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak_mib": peak_mib() - base,
        "table": found,
    }


def differences(
    ours_: dict[str, Any], theirs: dict[str, Any], above: int = 1000
) -> dict[str, float]:
    """Return the greatest relative difference of sums and of means, zones above some pixels."""
    order = [theirs["ids"].index(i) for i in ours_["ids"]]
    worst = {"sum": 0.0, "mean": 0.0}
    for name in LAYERS:
        a, b = ours_[name], theirs[name][:, order]
        large = a[0] > above
        for key in worst:
            row = STATISTICS.index(key)
            apart = np.abs(a[row] - b[row])[large] / np.abs(b[row])[large]
            worst[key] = max(worst[key], float(apart.max(initial=0.0)))
    return worst


def ratio(theirs: list[dict[str, Any]], ours_: list[dict[str, Any]], key: str = "seconds") -> float:
    """Return how many times longer they take: of runs that followed each other, or of medians."""
    if len(theirs) != len(ours_):
        return round(median(theirs, key) / median(ours_, key), 2)
    pairs = zip(theirs, ours_, strict=True)
    return round(median([{"r": a[key] / b[key]} for a, b in pairs], "r"), 2)


def measure(size: int, zones: int, runs: int, peers: list[str], slow_runs: int) -> dict[str, Any]:
    """Return all figures of zones; xarray-spatial takes part in the first turns only."""
    sides_of = {"exactextract": exact, "xrspatial": xrspatial}
    with tempfile.TemporaryDirectory() as folder:
        args = (make(Path(folder) / "big", size, zones), make(Path(folder) / "warm", 64, 4))
        sides: dict[str, Side] = {
            "eco": (ours, (*args, "centre")),
            "eco_coverage": (ours, (*args, "exact")),
        }
        sides |= {name: (sides_of[name], args) for name in peers}
        found: dict[str, Any] = alternating(sides, runs, {"xrspatial": slow_runs})
    out: dict[str, Any] = {}
    for name in peers:
        out[f"zones_ratio_{name}"] = ratio(found[name], found["eco"])
        out[f"zones_cpu_ratio_{name}"] = ratio(found[name], found["eco"], "cpu")
    out["zones_peak_mib"] = round(max(r["peak_mib"] for r in found["eco"]), 1)
    for name in peers:
        worst = differences(found["eco"][0]["table"], found[name][0]["table"])
        key = "zones_max_rel_diff" if name == "exactextract" else f"zones_max_rel_diff_{name}"
        out |= {key: worst["sum"], f"{key}_mean": worst["mean"]}
    if "exactextract" in peers:
        exactly, theirs = found["eco_coverage"], found["exactextract"]
        worst = differences(exactly[0]["table"], theirs[0]["table"], above=0)
        out["zones_coverage_max_rel_diff"] = worst["sum"]
        out["zones_coverage_ratio_exactextract"] = ratio(theirs, exactly)
        out["zones_coverage_peak_mib"] = round(max(r["peak_mib"] for r in exactly), 1)
    for name, results in found.items():
        out[f"zones_seconds_{name}"] = round(median(results, "seconds"), 3)
        out[f"zones_cpu_seconds_{name}"] = round(median(results, "cpu"), 3)
        if not name.startswith("eco"):
            out[f"zones_peak_mib_{name}"] = round(max(r["peak_mib"] for r in results), 1)
    return out | {
        "size": size,
        "zones": len(found["eco"][0]["table"]["ids"]),
        "layers": len(LAYERS),
        "statistics": list(STATISTICS),
        "runs": runs,
    }


def main(arguments: list[str] | None = None) -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks zones", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"sides of {QUICK} and {TREND_QUICK}")
    parser.add_argument("--size", type=int, help=f"side of the layers, pixels (default: {SIZE})")
    parser.add_argument("--zones", type=int, default=103, help="number of polygons")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side")
    parser.add_argument("--slow-runs", type=int, default=1, help="runs of xarray-spatial")
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=("exactextract", "xrspatial"),
        default=["exactextract", "xrspatial"],
    )
    parser.add_argument(
        "--trend-size",
        type=int,
        help=f"side of the stack of 25 years, pixels; 0 for none (default: {TREND_SIZE})",
    )
    given = parser.parse_args(arguments)
    size = given.size or (QUICK if given.quick else SIZE)
    trend_size = given.trend_size
    if trend_size is None:
        trend_size = TREND_QUICK if given.quick else TREND_SIZE
    found = measure(size, given.zones, given.runs, given.peers, given.slow_runs)
    if trend_size:
        found |= alone(bench_trends.measure, trend_size)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
