"""Real imagery in ../shared/data: each file set with the trap it is known for."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from imagery_fakes import catalog_of, reference_bilinear, reference_position
from rasterio.warp import Resampling, reproject
from shared_data import DATA, REAL, SHARED

from eco_index import sensors
from eco_index.composite import Composite, composite_tile
from eco_index.config import Region, configs_folder, load_region
from eco_index.grid import Grid, Tile
from eco_index.indices import vegetation
from eco_index.period import Month
from eco_index.sources import Manifest, acquire, open_source

pytestmark = REAL


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECO_SHARED", os.fspath(SHARED))


def region_of(name: str) -> Region:
    return load_region(configs_folder() / "regions" / f"{name}.yaml")


def composite_of(region: Region, month: str) -> tuple[Manifest, Composite]:
    manifest = acquire(region, Month.parse(month))
    height, width = region.grid.shape
    whole = Tile(0, 0, 0, height, 0, width)
    return manifest, composite_tile(manifest.scenes, region.catalog, region.grid, whole)


def test_modis_vi_composites_hold_the_products_own_ndvi() -> None:
    """Two 16-day composites of July 2010: plain reference at 400 random pixels."""
    region = region_of("yakutia_2010")
    manifest, made = composite_of(region, "2010-07")
    assert [s.datetime[:10] for s in manifest.scenes] == ["2010-07-12", "2010-07-28"]
    assert not manifest.failures and not made.failures
    rng = np.random.default_rng(1)
    lut = sensors.mask_lut("modis_vi_quality")
    seen = 0
    for row, col in zip(
        rng.integers(0, region.grid.shape[0], 400),
        rng.integers(0, region.grid.shape[1], 400),
        strict=True,
    ):
        expected, clear = -32768, 0
        for scene in manifest.scenes:
            ndvi, vi = (Path(scene.assets[b].href) for b in ("ndvi", "vi_quality"))
            with rasterio.open(ndvi) as a, rasterio.open(vi) as b:
                values, quality = a.read(1), b.read(1)
            u, v = reference_position(region.grid, str(ndvi), int(row), int(col))
            if not (0 <= u < 400 and 0 <= v < 400) or lut[quality[int(v), int(u)]] != 0:
                continue
            value = reference_bilinear(values, u, v, -3000)
            if value == value:
                rounded = int(np.sign(value) * np.floor(abs(value) + 0.5))
                expected, clear = max(expected, rounded), clear + 1
        seen += clear > 0
        assert made.clear_count[row, col] == clear
        assert abs(int(made.ndvi_max[row, col]) - expected) <= 1
    assert seen > 300


def test_modis_winter_is_snow_not_vegetation() -> None:
    _, summer = composite_of(region_of("yakutia_2010"), "2010-07")
    _, winter = composite_of(region_of("yakutia_2010"), "2010-12")
    assert (winter.obs_count > 0).mean() > 0.9
    assert (winter.clear_count > 0).mean() < 0.1 < 0.9 < (summer.clear_count > 0).mean()


def test_sentinel2_on_three_grids_agrees_with_gdal() -> None:
    """Red at 100 m, band 8A and SCL at 200 m; the item's own proj:transform is that of 10 m."""
    region = region_of("sahara_s2_2020")
    manifest, made = composite_of(region, "2020-02")
    (scene,) = manifest.scenes
    assert not manifest.failures and not made.failures
    dataset = region.catalog.get(scene.dataset, "test")
    assert sensors.decode_of(dataset, "red", scene.properties).offset == 0.0  # baseline 02.14
    bands = {}
    for band, method in (("red", Resampling.average), ("nir", Resampling.bilinear)):
        with rasterio.open(scene.assets[band].href) as source:
            bands[band] = np.zeros(region.grid.shape, np.float64)
            reproject(
                source.read(1).astype(float),
                bands[band],
                src_transform=source.transform,
                src_crs=source.crs,
                src_nodata=0,
                dst_transform=region.grid.transform,
                dst_crs=region.grid.crs_wkt,
                dst_nodata=np.nan,
                resampling=method,
            )
    with np.errstate(invalid="ignore"):
        gdal = (bands["nir"] - bands["red"]) / (bands["nir"] + bands["red"])
    clear = (made.clear_count > 0) & np.isfinite(gdal)
    difference = made.ndvi_max[clear] / 1e4 - gdal[clear]
    assert clear.mean() > 0.85
    assert abs(np.median(difference)) < 2e-4
    assert np.percentile(np.abs(difference), 95) < 0.01
    # A half-pixel shift would show: the desert's texture decorrelates within a pixel.
    shifted = np.abs(made.ndvi_max[:, 1:] / 1e4 - gdal[:, :-1])[clear[:, 1:] & clear[:, :-1]]
    assert np.nanmean(np.abs(difference)) < 0.3 * np.nanmean(shifted)


def test_landsat_without_a_clear_pixel() -> None:
    """The 62 shadow pixels with the clear bit set must not pass."""
    region = region_of("amazon_l8_2020")
    manifest, made = composite_of(region, "2020-10")
    (scene,) = manifest.scenes
    assert not manifest.failures and not made.failures
    with rasterio.open(scene.assets["qa_pixel"].href) as source:
        quality = source.read(1)
    assert (quality == 23888).sum() == 62 and ((quality >> 6) & 1).sum() >= 62
    assert not (sensors.mask_lut("landsat_qa_pixel")[quality] == sensors.CLEAR).any()
    assert not made.clear_count.any() and (made.ndvi_max == -32768).all()
    assert 0.6 < (made.obs_count > 0).mean() < 0.8


def test_landsat_items_of_one_id_are_joined(tmp_path: Path) -> None:
    """Surface reflectance and temperature items carry the same id; hrefs are remote."""
    region = region_of("amazon_l8_2020")
    dataset = region.catalog.get("amazon_landsat8_c2l2", "test")
    changed = dataset.model_dump(mode="json")
    changed["access"] = {
        "type": "stac_folder",
        "path": str(DATA / "landsat8_c2l2_001062_allcloud"),
        "assets": "beside_item",
    }
    catalog = catalog_of(tmp_path, landsat=changed)
    found = open_source("landsat", catalog).search(
        (-180.0, -90.0, 180.0, 90.0), dt.date(2020, 10, 1), dt.date(2020, 10, 31)
    )
    (scene,) = found.scenes
    assert all(Path(a.href).is_file() for a in scene.assets.values())


def test_composite_of_sen2r_crop_equals_its_ndvi(tmp_path: Path) -> None:
    """Bands 4 and 8 of one file of 11 bands, SCL at 20 m, against sen2r's own NDVI (x 1e4)."""
    band = {"scale": 1e-4, "nodata": 65535}
    catalog = catalog_of(
        tmp_path,
        s2={
            "access": {
                "type": "scene_files",
                "path": str(DATA / "sen2r_barbellino_20190723"),
                "pattern": r"S2A2A_(?P<date>\d{8})_022_Barbellino_(?P<asset>BOA|SCL)_10\.tif",
                "date_format": "%Y%m%d",
            },
            "bands": {
                "red": {"asset": ["BOA#4"]} | band,
                "nir": {"asset": ["BOA#8"]} | band,
                "scl": {"asset": ["SCL"], "nodata": 0},
            },
            "mask": {"band": "scl", "recipe": "s2_scl"},
        },
    )
    day = dt.date(2019, 7, 23)
    (scene,) = open_source("s2", catalog).search((9.0, 45.0, 11.0, 47.0), day, day).scenes
    with rasterio.open(
        DATA / "sen2r_barbellino_20190723" / "S2A2A_20190723_022_Barbellino_NDVI_10.tif"
    ) as source:
        theirs = source.read(1).astype(int)
        # Only here: the crop's own UTM grid, so that pixels pass through unchanged.
        grid = Grid(source.crs.to_wkt(), 10.0, tuple(source.bounds), 64, 64)
    made = composite_tile([scene], catalog, grid, Tile(0, 0, 0, *grid.shape[:1], 0, grid.shape[1]))
    clear = made.clear_count > 0
    assert clear.mean() > 0.9
    assert np.abs(made.ndvi_max.astype(int) - theirs)[clear].max() <= 1


def test_modis_ndvi_from_reflectances() -> None:
    """The tag scale_factor = 10000 means divide; MODIS truncates, so 1 DN of tolerance."""
    folder = DATA / "modis_myd13a1_h30v10"

    def read(part: str) -> np.ndarray:
        (path,) = folder.glob(f"*_{part}.TIF")
        with rasterio.open(path) as source:
            return source.read(1).astype(float)

    ndvi, red, nir = read("NDVI_B01"), read("RR_B04"), read("NIRR_B05")
    quality = read("VIQ_B03").astype("u2")
    good = (sensors.mask_lut("modis_vi_quality")[quality] == sensors.CLEAR) & (ndvi > -3000)
    good &= (red > 0) & (nir > 0)
    ours = vegetation.ndvi(red * 1e-4, nir * 1e-4)
    assert good.sum() > 100_000
    assert np.abs(ours[good] * 1e4 - ndvi[good]).max() <= 1.0
