"""A cube of fourteen years with a planted loss, and tables from the ground, for tests of parts."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from assessment_cube import HEIGHT, WIDTH, build_region, year_arrays
from pyproj import Transformer
from zone_fakes import CRS, RES, X0, Y1

from eco_index.assessment import assess
from eco_index.config import Region
from eco_index.period import Period
from eco_index.programme import AnalysesConfig
from eco_index.summary import Analysis, Summary, read_summary

FIRST, LAST = 2012, 2025
YEARS = range(FIRST, LAST + 1)
FALLING = (slice(8, 20), slice(4, 30))


def arrays_of(year: int) -> dict[str, np.ndarray]:
    """Fourteen years: noise everywhere, a steady loss in FALLING, one cloudy corner in 2020."""
    arrays = {k: v.copy() for k, v in year_arrays(2024).items()}
    rng = np.random.default_rng(year)
    fvc = arrays["fvc"].astype(np.int64) + rng.integers(-200, 201, (HEIGHT, WIDTH))
    fvc[FALLING] -= 150 * (year - FIRST)
    arrays["fvc"] = np.clip(fvc, 0, 10000).astype(np.uint16)
    if year == 2020:
        arrays["fvc"][40:, 50:] = 65535
    return arrays


def write_truth(folder: Path, wrong: bool = False) -> None:
    """Plots and samples of 2025: where the map is right, or (wrong) half of them beside it."""
    to_lonlat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    rng = np.random.default_rng(5)
    arrays = arrays_of(LAST)
    plots, samples = [], []
    for k in range(400):
        row, column = int(rng.integers(HEIGHT)), int(rng.integers(WIDTH))
        lon, lat = to_lonlat.transform(X0 + (column + 0.5) * RES, Y1 - (row + 0.5) * RES)
        cover, code = arrays["fvc"][row, column] / 1e4, int(arrays["landcover"][row, column])
        if wrong and k % 2:
            cover, code = 1 - cover, 61
        samples.append([f"S{k}", lon, lat, code])
        if 0.1 < cover < 0.95 and len(plots) < 40:
            plots.append([f"P{k}", lon, lat, "2025-07-20", "grass", cover])
    for name, head, rows in (
        ("plots_2025.csv", ["id", "lon", "lat", "date", "type", "cover"], plots),
        ("samples_2025.csv", ["id", "lon", "lat", "class"], samples),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(head)
            writer.writerows(rows)


def long_region(folder: Path, **more) -> Region:
    region = build_region(
        folder,
        extra=more
        | {
            "years": {"first": FIRST, "last": LAST},
            "ground_truth": {
                "plots": "map_plots",
                "plot_columns": {"x": "lon", "y": "lat"},
                "samples": "map_samples",
                "sample_columns": {"x": "lon", "y": "lat"},
            },
        },
        more_datasets={
            f"map_{k}": {"access": {"type": "table", "path": f"{k}_{{year}}.csv"}}
            for k in ("plots", "samples")
        }
        | {"map_weather": {"access": {"type": "table", "path": "weather.csv"}}},
    )
    write_truth(folder)
    return region


def with_analyses(region: Region, name: str = "whole_region", **asked):
    return region.programmes[name].model_copy(update={"analyses": AnalysesConfig(**asked)})


def assessed(made, output: Path, name: str = "whole_region", **asked) -> Summary:
    region, view = made
    programme = with_analyses(region, name, **asked)
    return read_summary(assess(region, programme, Period(LAST), view, output, tag="2025"))


def analysis(summary: Summary, name: str) -> Analysis:
    return next(a for a in summary.analyses if a.id == name)


def line(found: Analysis, table: int, head: str) -> tuple:
    return next(x.cells for x in found.tables[table].lines if x.head.en == head)


def zone_series() -> dict[str, np.ndarray]:
    """Mean cover (%) of both counties and of all, computed plainly."""
    stack = np.array([arrays_of(y)["fvc"] for y in YEARS], float)
    stack[stack == 65535] = np.nan
    parts = {"zone 0": stack[:, :, :40], "zone 1": stack[:, :, 40:], "all together": stack}
    return {k: np.nanmean(v, axis=(1, 2)) / 100 for k, v in parts.items()}
