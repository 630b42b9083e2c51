"""Landsat 7 after May 2003: gaps between scan lines are no observation, and are not filled in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from imagery_fakes import ALBERS, CLEAR_QA, catalog_of, grid_of, write_item, write_raster
from pyproj import CRS

from eco_index.catalog import Catalog, completed
from eco_index.composite import Composite, composite_tile
from eco_index.compositing import CompositeConfig, How
from eco_index.grid import Tile
from eco_index.sources import Scene, open_source

GRID = grid_of(60, 50)
ROWS, COLUMNS = np.mgrid[0:50, 0:60]
#: Wedges that grow towards the edges of the scene, as they do.
GAPS = [(ROWS + 3 * k) % 14 < 1 + np.abs(COLUMNS - 30) // 8 for k in (0, 1)]
RED, NIR = 9000, np.array([14000, 17000])  # stored: reflectance 0.0475; 0.185, 0.2675


def made(folder: Path) -> Catalog:
    origin, crs = (GRID.bounds[0], GRID.bounds[3]), CRS.from_user_input(ALBERS).to_wkt()
    for k, gap in enumerate(GAPS):
        layers = {
            "red": (np.where(gap, 0, RED), 0),
            "nir08": (np.where(gap, 0, NIR[k]), 0),
            "qa_pixel": (np.where(gap, 1, CLEAR_QA), 1),
            "qa_radsat": (np.zeros(gap.shape), None),
        }
        hrefs = {
            key: write_raster(
                folder / "in" / f"{k}_{key}.tif", v.astype("u2"), crs, origin, 30.0, nodata=n
            )
            for key, (v, n) in layers.items()
        }
        more = {"datetime": f"2012-07-{3 + 16 * k:02d}T03:00:00Z", "platform": "landsat-7"}
        box = list(GRID.lonlat_bounds())
        write_item(folder / "in" / f"{k}.json", f"S{k}", hrefs, bbox=box, properties=more)
    access = {"type": "stac_folder", "path": "in"}
    catalog = catalog_of(folder, etm={"record": "landsat_etm_c2l2", "access": access})
    catalog.datasets["etm"] = completed(catalog.datasets["etm"], "here")
    return catalog


def composed(catalog: Catalog, scenes: list[Scene], **settings: object) -> Composite:
    how = How(CompositeConfig.model_validate(settings), tuple(range(len(scenes))))
    return composite_tile(scenes, catalog, GRID, Tile(0, 0, 0, 50, 0, 60), how)


@pytest.mark.parametrize("method", ["maximum_ndvi", "median"])
def test_gaps_are_no_observation_and_another_day_fills_only_what_it_saw(
    tmp_path: Path, method: str
) -> None:
    catalog = made(tmp_path)
    whole = (-180.0, -90.0, 180.0, 90.0)
    start, end = (np.datetime64(f"2012-07-{d}").item() for d in ("01", "31"))
    scenes = list(open_source("etm", catalog).search(whole, start, end).scenes)
    red = RED * 2.75e-5 - 0.2
    nir = NIR * 2.75e-5 - 0.2
    values = np.rint((nir - red) / (nir + red) * 1e4).astype(int)
    alone = composed(catalog, scenes[:1], method=method)
    assert not alone.failures and 0.1 < GAPS[0].mean() < 0.5
    np.testing.assert_array_equal(alone.obs_count, ~GAPS[0])  # not even cloud
    np.testing.assert_array_equal(alone.ndvi_max, np.where(GAPS[0], -32768, values[0]))
    both = composed(catalog, scenes, method=method)
    np.testing.assert_array_equal(both.obs_count, (~GAPS[0]).astype(int) + ~GAPS[1])
    np.testing.assert_array_equal(both.clear_count, both.obs_count)
    missing = GAPS[0] & GAPS[1]
    assert missing.any() and (GAPS[0] & ~GAPS[1]).any()
    highest = np.where(GAPS[1], values[0], values[1])
    np.testing.assert_array_equal(both.ndvi_max, np.where(missing, -32768, highest))
