"""Records and derived masks on real files, against what others computed from them."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from imagery_fakes import WORLD, catalog_of
from shared_data import DATA, REAL

from eco_index import sensors
from eco_index.catalog import Catalog, completed
from eco_index.composite import composite_tile
from eco_index.grid import Grid, Tile
from eco_index.records import load_record
from eco_index.sources import Scene, open_source
from eco_index.sources.landsat_products import read_mtl
from eco_index.sources.opening import open_asset
from eco_index.sources.preflight import check_scene

pytestmark = REAL


def catalog(tmp_path: Path, record: str, access: dict[str, Any], **more: Any) -> Catalog:
    made = catalog_of(tmp_path, d={"access": access, "record": record} | more)
    made.datasets["d"] = completed(made.datasets["d"], "here")
    return made


def test_jp2_without_a_nodata_tag(tmp_path: Path) -> None:
    """Values below the valid range (a resampled fill of -3000) are no observation, untold."""
    access = {
        "type": "scene_files",
        "path": str(DATA / "sits_mod13q1_sinop"),
        "pattern": r"TERRA_MODIS_012010_(?P<asset>NDVI)_(?P<date>[\d-]+)\.jp2",
        "date_format": "%Y-%m-%d",
    }
    band = {"asset": ["NDVI"], "scale": 1e-4, "valid_range": [-2000, 10000]}
    made = catalog(tmp_path, "ndvi_composite", access, bands={"ndvi": band})
    found = open_source("d", made).search(WORLD, dt.date(2013, 9, 1), dt.date(2014, 8, 31))
    assert len(found.scenes) == 12 and not found.failures
    low = 0
    for scene in found.scenes:
        checked = check_scene(scene, made.datasets["d"])
        assert isinstance(checked, Scene)
        with rasterio.open(scene.assets["ndvi"].href) as source:
            assert source.nodata is None
            values, crs, transform = source.read(1), source.crs, source.transform
        codes = open_asset(scene.assets["has_value"].href, made.datasets["d"]).read(1)
        outside = (values < -2000) | (values > 10000)  # resampling overshoots at both ends
        assert ((codes == sensors.FILL) == outside).all()
        low += int((values < -2000).sum())
        if scene is found.scenes[0]:
            # On the file's own grid all values pass through unchanged.
            height, width = values.shape
            left, top, size = transform.c, transform.f, transform.a
            bounds = (left, top - height * size, left + width * size, top)
            grid = Grid(crs.to_wkt(), size, bounds, 64, 64)
            out = composite_tile([checked], made, grid, Tile(0, 0, 0, height, 0, width))
            assert (out.clear_count == (values >= -2000)).all()
            assert (out.ndvi_max == np.where(values >= -2000, values, -32768)).all()
    assert low > 50


def test_ten_thousand_days_of_two_sites_by_the_mask_recipe() -> None:
    """MOD13A1 at AU-How and CZ-wet, 2000-2018: detailed quality agrees with the summary."""
    lut = sensors.mask_lut("modis_vi_quality")
    seen: dict[tuple[str, int], int] = {}
    worst, used = 0.0, 0
    with (DATA / "phenofit_mod13a1_2sites" / "MOD13A1_2sites.csv").open() as file:
        for row in csv.DictReader(file):
            if not row["DetailedQA"]:
                continue
            code = int(lut[int(row["DetailedQA"])])
            key = (row["SummaryQA"], code)
            seen[key] = seen.get(key, 0) + 1
            if code == sensors.CLEAR:
                red, nir, ndvi = (int(row[k]) for k in ("sur_refl_b01", "sur_refl_b02", "NDVI"))
                worst = max(worst, abs((nir - red) / (nir + red) * 1e4 - ndvi))
                used += 1
    # Summary 0 good, 1 marginal, 2 snow or ice, 3 cloudy.
    assert {c for s, c in seen if s == "0"} == {sensors.CLEAR}
    assert {c for s, c in seen if s == "1"} == {sensors.CLEAR, sensors.SHADOW}
    assert {c for s, c in seen if s == "2"} == {sensors.SNOW}
    assert {c for s, c in seen if s == "3"} == {sensors.CLOUD}
    assert used > 600 and worst < 1.0  # MODIS truncates


def test_reflectance_of_sen2r_gives_its_msavi2(tmp_path: Path) -> None:
    """MSAVI2 is not a ratio: a wrong scale or offset, which NDVI forgives, shows in it."""
    folder = DATA / "sen2r_barbellino_20190723"
    name = "S2A2A_20190723_022_Barbellino_{}_10.tif"
    own = {"asset": ["BOA"], "scale": 1e-4, "nodata": 65535}
    bands = {"red": own | {"asset": ["BOA#4"]}, "nir": own | {"asset": ["BOA#8"]}}
    access = {"type": "stac_folder", "path": str(folder)}
    dataset = catalog(tmp_path, "sentinel2_l2a", access, bands=bands).datasets["d"]
    stated = {"s2:processing_baseline": "02.13"}
    values = {}
    with rasterio.open(folder / name.format("BOA")) as source:
        for band, number in (("red", 4), ("nir", 8)):
            decode = sensors.decode_of(dataset, band, stated)
            values[band] = source.read(number) * decode.scale + decode.offset
    with rasterio.open(folder / name.format("MSAVI2")) as source:
        theirs = source.read(1).astype(int)
    red, nir = values["red"], values["nir"]
    ours = (2 * nir + 1 - np.sqrt((2 * nir + 1) ** 2 - 8 * (nir - red))) / 2
    good = theirs > -32768
    assert good.mean() > 0.9 and np.abs(ours * 1e4 - theirs)[good].max() <= 1.0


def test_record_of_landsat_is_what_a_real_mtl_states() -> None:
    folder = DATA / "landsat8_c2l2_001062_allcloud"
    (path,) = folder.glob("*_MTL.json")
    mtl, bands = read_mtl(path), load_record("landsat_oli_c2l2").bands
    heat, light = (
        mtl[f"LEVEL2_SURFACE_{name}_PARAMETERS"] for name in ("TEMPERATURE", "REFLECTANCE")
    )
    ours = bands["surface_temperature"]
    assert ours.scale == float(heat["TEMPERATURE_MULT_BAND_ST_B10"])
    assert ours.offset == float(heat["TEMPERATURE_ADD_BAND_ST_B10"])
    limits = (heat["QUANTIZE_CAL_MINIMUM_BAND_ST_B10"], heat["QUANTIZE_CAL_MAXIMUM_BAND_ST_B10"])
    assert ours.valid_range == tuple(float(v) for v in limits)
    for band in bands.values():
        number = next((a[4] for a in band.asset if a.startswith("SR_B")), None)
        if number is not None:
            assert band.scale == float(light[f"REFLECTANCE_MULT_BAND_{number}"])
            assert band.offset == float(light[f"REFLECTANCE_ADD_BAND_{number}"])
            assert band.saturation_bit == int(number) - 1


def test_guard_by_a_real_saturation_band_changes_nothing_where_nothing_is_saturated(
    tmp_path: Path,
) -> None:
    folder = DATA / "landsat8_c2l2_001062_allcloud"
    access = {"type": "product_folder", "path": str(folder), "layout": "landsat_c2"}
    made = catalog(tmp_path, "landsat_oli_c2l2", access)
    day = dt.date(2020, 10, 31)
    (scene,) = open_source("d", made).search(WORLD, day, day).scenes
    guarded = open_asset(scene.assets["qa_pixel"].href, made.datasets["d"]).read(1)
    (path,) = folder.glob("*_QA_PIXEL.TIF")
    with rasterio.open(path) as source:
        assert (guarded == source.read(1)).all()
