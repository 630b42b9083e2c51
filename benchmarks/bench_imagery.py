"""Compositing against plain decoding, odc-stac and rioxarray, on the same files, in one run.

Prints one JSON object. Rates are million pixel-dates a second (all three bands of a pixel and date
count as one): `decode_mpx_s` reads all blocks with rasterio on all cores and does nothing else;
`eco_mpx_s` is the stage of `eco run` that makes composites and products and commits them to the
archive; `odc_stac_mpx_s` and `rioxarray_mpx_s` make masked maximum NDVI, count and cover and write
them to Zarr. `*_reproject_mpx_s` brings UTM files to an Albers grid (bilinear, quality: nearest).
Each side runs in a process of its own, after one small run (imports, compiled code); the sides take
turns, figures are medians (memory: the greatest). On the same grid all sides must agree.
`scenes_exponent` and `area_exponent` are those of this project's processor seconds over four
numbers of scenes and four areas (`--scaling`: nothing else; `--no-scaling`: all but them).
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import NotGeoreferencedWarning

from benchmarks.imagery_files import BANDS, Case, make, region_file
from benchmarks.imagery_scaling import measure_scaling
from benchmarks.processes import Side, alone, alternating, cores, median, peak_mib

Clocks = tuple[float, float]


def clocks(since: Clocks = (0.0, 0.0)) -> Clocks:
    """Return wall and processor seconds (all threads), from a reading on."""
    return time.perf_counter() - since[0], time.process_time() - since[1]


def decode(case: Case, _: Case) -> dict[str, float]:
    """Read every block of every file once, files spread over all cores."""
    import rasterio

    def read(path: str) -> None:
        with rasterio.open(path) as source:
            for _, window in source.block_windows(1):
                source.read(1, window=window)

    paths = [case.path(date, band) for date in range(case.dates) for band in BANDS]
    read(paths[0])
    start = clocks()
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(read, paths))
    return _figures(case, clocks(start))


def eco(case: Case, warm: Case) -> dict[str, float]:
    """Composites and products of a period, as `eco run` makes them."""
    from eco_index.config import load_region
    from eco_index.cube import open_archive
    from eco_index.period import Period
    from eco_index.pipeline import acquire_period, compute_period

    period = Period(2025)

    def run(files: Case) -> tuple[Clocks, Any]:
        home = Path(files.folder) / "eco"
        shutil.rmtree(home, ignore_errors=True)
        region = load_region(region_file(files, "eco"))
        acquire_period(region, period)
        start = clocks()
        compute_period(region, period)
        return clocks(start), region

    run(warm)
    spent, region = run(case)
    out = _figures(case, spent)
    yearly: Any = open_archive(region.archive_path).view("2025").root["yearly"]
    products = {name: yearly[name][0] for name in ("ndvi_max", "clear_count", "fvc")}
    return out | _summary(products)


def odc(case: Case, warm: Case, resampled: bool = False) -> dict[str, float]:
    """Write Zarr with odc-stac."""
    from benchmarks.imagery_peers import odc_stac

    return _peer(lambda files, out: odc_stac(files, out, resampled), case, warm)


def rio(case: Case, warm: Case) -> dict[str, float]:
    """Write Zarr with rioxarray."""
    from benchmarks.imagery_peers import rioxarray

    return _peer(rioxarray, case, warm)


def _peer(work: Callable[[Case, Path], None], case: Case, warm: Case) -> dict[str, float]:
    import zarr

    # NumPy's remarks on NaN, from within Dask's threads: not about the peers' results.
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    work(warm, Path(warm.folder) / "peer.zarr")
    out = Path(case.folder) / "peer.zarr"
    shutil.rmtree(out, ignore_errors=True)
    start = clocks()
    work(case, out)
    figures = _figures(case, clocks(start))
    root: Any = zarr.open_group(out, mode="r")
    products = {name: root[name][:] for name in ("ndvi_max", "clear_count", "fvc")}
    return figures | _summary(products)


def _figures(case: Case, spent: Clocks) -> dict[str, float]:
    seconds, cpu = spent
    return {
        "rate": case.megapixels / seconds,
        "seconds": seconds,
        "cpu": cpu,
        "peak_mib": peak_mib(),
    }


def _summary(products: dict[str, np.ndarray]) -> dict[str, float]:
    """Sums that show whether two sides made the same."""
    seen = products["ndvi_max"] != -32768
    return {
        "seen": int(seen.sum()),
        "count": int(products["clear_count"].sum()),
        "ndvi": float(products["ndvi_max"][seen].mean()),
        "fvc": float(products["fvc"][products["fvc"] != 65535].mean()),
    }


def _agree(name: str, ours: dict[str, float], theirs: dict[str, float], exact: bool) -> None:
    """Stop unless both sides made the same maps (float32 there, float64 here: one step apart)."""
    limits = {"seen": 0.0, "count": 0.0, "ndvi": 1e-4, "fvc": 1e-4}
    if not exact:  # GDAL's bilinear leaves missing neighbours out, and positions are approximate
        limits = {"seen": 0.02, "count": 0.02, "ndvi": 5e-3, "fvc": 5e-3}
    for key, limit in limits.items():
        if not math.isclose(ours[key], theirs[key], rel_tol=limit, abs_tol=0):
            raise SystemExit(f"{name}: {key} is {theirs[key]} there, {ours[key]} here")


def measure(size: int, dates: int, tile: int, runs: int, peers: bool) -> dict[str, Any]:
    """Return all figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        warm = make(home / "warm", 96, 2, False, 96)
        same = make(home / "same", size, dates, False, tile)
        moved_warm = make(home / "moved_warm", 96, 2, True, 64)
        moved = make(home / "moved", size, dates, True, tile)
        sides: dict[str, Side] = {"decode": (decode, (same, warm)), "eco": (eco, (same, warm))}
        if peers:
            sides |= {"odc_stac": (odc, (same, warm)), "rioxarray": (rio, (same, warm))}
        sides["eco_reproject"] = (eco, (moved, moved_warm))
        if peers:
            sides["odc_stac_reproject"] = (odc, (moved, moved_warm, True))
        for small in (warm, moved_warm):  # compiling, once an installation, is no part of a run
            alone(eco, small, small)
        found = alternating(sides, runs)
    out: dict[str, Any] = {}
    for name, results in found.items():
        out[f"{name}_mpx_s"] = round(median(results, "rate"), 2)
    for name, results in found.items():
        out[f"{name}_cpu_s"] = round(median(results, "cpu"), 2)
        out[f"{name}_peak_mib"] = round(max(r["peak_mib"] for r in results), 1)
    for name, ours in (
        ("odc_stac", "eco"),
        ("rioxarray", "eco"),
        ("odc_stac_reproject", "eco_reproject"),
    ):
        if name in found:
            _agree(name, found[ours][0], found[name][0], exact=ours == "eco")

    def ratio(ours: str, theirs: str) -> float:
        # Within a round both sides met the same noise: the median of ratios, not their ratio.
        pairs = zip(found[ours], found[theirs], strict=True)
        return round(median([{"r": a["rate"] / b["rate"]} for a, b in pairs], "r"), 3)

    out["eco_ratio_decode"] = ratio("eco", "decode")
    if peers:
        out["eco_ratio_odc_stac"] = ratio("eco", "odc_stac")
        out["eco_ratio_rioxarray"] = ratio("eco", "rioxarray")
        out["eco_reproject_ratio_odc_stac"] = ratio("eco_reproject", "odc_stac_reproject")
    return out | {"size": size, "dates": dates, "tile": tile, "runs": runs, "cores": cores()}


def main(arguments: list[str] | None = None) -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks imagery", description=__doc__)
    parser.add_argument("--size", type=int, default=3660, help="side of the files, pixels")
    parser.add_argument("--dates", type=int, default=10, help="dates")
    parser.add_argument("--tile", type=int, help="write tile of the grid, pixels (default 1024)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side")
    parser.add_argument("--no-peers", action="store_true", help="decoding and this project only")
    parser.add_argument("--scaling", action="store_true", help="exponents only")
    parser.add_argument("--no-scaling", action="store_true", help="no exponents")
    given = parser.parse_args(arguments)
    # Tiles are what runs side by side: with small ones cores do not stand idle at the end, and
    # memory stays low (2048: about 100 MiB more).
    tile = given.tile or 1024
    found: dict[str, Any] = {}
    if not given.scaling:
        found |= measure(given.size, given.dates, tile, given.runs, not given.no_peers)
    if not given.no_scaling:
        found |= measure_scaling(eco, tile, min(given.runs, 3))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
