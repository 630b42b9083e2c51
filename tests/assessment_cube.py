"""A small archive with planted changes, written straight into a real cube."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from shapely.geometry import LineString
from zone_fakes import RES, X0, Y1, make_region, pixel_box, write_layer

from eco_index.config import Region
from eco_index.cube import CubeView, TaskRecord, create_or_open, write_tile
from eco_index.grid import Tile
from eco_index.period import Month, Period
from eco_index.products import products_of

HEIGHT, WIDTH = 48, 64
#: (columns, rows) in pixels, half-open: where something happens between 2024 and 2025.
MINE = (slice(4, 9), slice(6, 12))
FOREST = (slice(20, 30), slice(10, 20))
LAKE = (slice(30, 34), slice(40, 50))
STEPPE = (slice(36, 46), slice(2, 12))
CLOUD = (slice(0, 48), slice(56, 64))  # no clear view in 2025


def year_arrays(year: int) -> dict[str, np.ndarray]:
    """Stored products of a year, whole grid."""
    land = np.full((HEIGHT, WIDTH), 32, np.uint8)
    land[:, 40:56] = 21
    land[26:38, 36:54] = 42
    fvc = np.full((HEIGHT, WIDTH), 4000, np.uint16)
    fvc[land == 21] = 8000
    fvc[land == 42] = 0
    if year == 2025:
        land[MINE], fvc[MINE] = 53, 100
        land[FOREST], fvc[FOREST] = 21, 8000
        land[LAKE], fvc[LAKE] = 33, 1500
        fvc[STEPPE] = 1500
    clear = np.full((HEIGHT, WIDTH), 6, np.uint16)
    forest = (land == 21).astype(np.uint8)
    ndvi = (fvc.astype(np.int32) * 3 // 4 + 1500).astype(np.int16)
    if year == 2025:
        clear[CLOUD] = 0
        land[CLOUD], fvc[CLOUD], forest[CLOUD], ndvi[CLOUD] = 0, 65535, 255, -32768
    return {
        "ndvi_max": ndvi,
        "ndvi_mean": ndvi,
        "fvc": fvc,
        "landcover": land,
        "forest": forest,
        "clear_count": clear,
        "valid_months": np.where(clear > 0, 4, 0).astype(np.uint8),
    }


def build_region(
    folder: Path,
    tile: int = 16,
    extra: dict | None = None,
    more_datasets: dict | None = None,
    **options,
) -> Region:
    """Two counties, two reserves, a red line over tile borders; one river; no statistics."""
    folder.mkdir(parents=True, exist_ok=True)
    write_layer(
        folder / "rivers.gpkg", [LineString([(X0, Y1 - 300), (X0 + WIDTH * RES, Y1 - 300)])]
    )
    return make_region(
        folder,
        {
            "counties": [pixel_box(0, 0, 40, 48), pixel_box(40, 0, 64, 48)],
            "nature_reserves": [pixel_box(2, 2, 16, 14), pixel_box(30, 30, 40, 40)],
            "red_line": [pixel_box(1, 1, 18, 46), pixel_box(36, 24, 70, 40)],
        },
        columns={
            "counties": {"key_function": ["yes", "no"]},
            "nature_reserves": {"level": ["national", "regional"]},
        },
        tile=tile,
        extra={
            "landcover": {"dataset": "map", "rivers": "rivers"},
            "units": "counties",
            "statistics": "statistics",
            "min_season_months": 1,
        }
        | (extra or {}),
        datasets={
            "map": {
                "access": {"type": "raster", "path": "lc_{year}.tif"},
                "legend": "worldcover_v200",
            },
            "rivers": {"access": {"type": "vector", "path": "rivers.gpkg"}},
            "statistics": {"access": {"type": "table", "path": "statistics_{year}.csv"}},
        }
        | (more_datasets or {}),
        programmes=("red_line", "nature_reserves", "key_counties", "whole_region"),
        **options,
    )


def build_cube(
    region: Region,
    periods: tuple[str, ...] = ("2024", "2025"),
    arrays_of: Callable[[int], dict[str, np.ndarray]] = year_arrays,
) -> CubeView:
    """Write the products of periods, and the months of their years, and commit them."""
    archive = create_or_open(region)
    fork = archive.fork()
    tasks = {}
    for period in map(Period.parse, periods):
        arrays = arrays_of(period.year)
        wanted = [p.id for p in products_of(period.cadence, True)]
        for tile in region.grid.tiles():
            part = {k: arrays[k][tile.slices] for k in wanted}
            write_tile(fork, period.cadence, period.id, tile, part)
            tasks[f"product/{period.id}/{tile.id}"] = TaskRecord(f"{period.id}{tile.id}")
            for month in region.config.period_months(period):
                _write_month(fork, month, tile, arrays)
    archive.commit("test data", tasks, forks=[fork])
    return archive.view()


def _write_month(fork, month: Month, tile: Tile, arrays: dict[str, np.ndarray]) -> None:
    clear = np.where(arrays["clear_count"][tile.slices] > 0, month.month - 4, 0)
    write_tile(fork, "monthly", month.id, tile, {"clear_count": clear.astype(np.uint16)})
