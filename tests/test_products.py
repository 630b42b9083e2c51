"""Folders of products without STAC, and masks derived from several files."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagery_fakes import CLEAR_QA, WORLD, catalog_of, grid_of, origin_over, write_raster
from shared_data import DATA, needs_shared

from eco_index.catalog import Catalog, completed
from eco_index.composite import composite_tile
from eco_index.errors import InputError
from eco_index.grid import Tile
from eco_index.sensors import decode_of
from eco_index.sources import Scene, open_source
from eco_index.sources.address import derive, is_derived, leaves, parse
from eco_index.sources.landsat_products import read_mtl
from eco_index.sources.preflight import check_scene
from eco_index.sources.scene import Asset, AssetFailure, public_href

YEAR = (dt.date(2025, 1, 1), dt.date(2025, 12, 31))
UTM = "EPSG:32649"


def catalog(tmp_path: Path, record: str, access: dict[str, Any], **more: Any) -> Catalog:
    made = catalog_of(tmp_path, d={"access": access, "record": record} | more)
    made.datasets["d"] = completed(made.datasets["d"], "here")
    return made


def search(made: Catalog, first: dt.date = YEAR[0], last: dt.date = YEAR[1]) -> Any:
    return open_source("d", made).search(WORLD, first, last)


# ------------------------------------------------------------------ Landsat directories

LANDSAT = "LE07_L2SP_120031_20250703_20250728_02_T1"


def landsat_folder(folder: Path, product: str = LANDSAT, scale: str = "2.75e-05") -> None:
    """A small Landsat 7 scene with a gap of the scan line corrector, and saturated pixels."""
    grid = grid_of(64, 64)
    origin = origin_over(grid, UTM, 80, 80, 30.0)
    red, nir = np.full((80, 80), 9000, "u2"), np.full((80, 80), 15000, "u2")
    qa, radsat = np.full((80, 80), CLEAR_QA, "u2"), np.zeros((80, 80), "u2")
    for data in (red, nir):
        data[30:34] = 0  # the gap
    qa[30:34] = 1
    radsat[50] = 1 << 2  # red of ETM+ (band 3)
    radsat[55] = 1 << 4  # shortwave infrared: not read, so it spoils nothing
    radsat[60] = 1 << 9  # dropped
    home = folder / product
    for name, data in (("SR_B3", red), ("SR_B4", nir), ("QA_PIXEL", qa), ("QA_RADSAT", radsat)):
        write_raster(home / f"{product}_{name}.TIF", data, UTM, origin, 30.0, nodata=None)
    mtl = {
        "PRODUCT_CONTENTS": {"LANDSAT_PRODUCT_ID": product, "PROCESSING_LEVEL": "L2SP"},
        "IMAGE_ATTRIBUTES": {
            "SPACECRAFT_ID": "LANDSAT_7",
            "DATE_ACQUIRED": "2025-07-03",
            "SCENE_CENTER_TIME": "03:12:45.1234567Z",
        },
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
            "REFLECTANCE_MULT_BAND_3": scale,
            "REFLECTANCE_ADD_BAND_3": "-0.2",
        },
    }
    text = json.dumps({"LANDSAT_METADATA_FILE": mtl})
    (home / f"{product}_MTL.json").write_text(text)
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    xml = ["<LANDSAT_METADATA_FILE>"]
    for name, group in mtl.items():
        lines += [f"  GROUP = {name}", *(f'    {k} = "{v}"' for k, v in group.items())]
        lines.append(f"  END_GROUP = {name}")
        xml.append(f"<{name}>{''.join(f'<{k}>{v}</{k}>' for k, v in group.items())}</{name}>")
    (home / f"{product}_MTL.txt").write_text("\n".join([*lines, "END"]))
    (home / f"{product}_MTL.xml").write_text("".join([*xml, "</LANDSAT_METADATA_FILE>"]))


def test_landsat_directory_end_to_end(tmp_path: Path) -> None:
    """Gaps are no observation; saturation counts in red, not in a band that is not read."""
    landsat_folder(tmp_path / "in")
    made = catalog(tmp_path, "landsat_etm_c2l2", {
        "type": "product_folder", "path": "in", "layout": "landsat_c2"})  # fmt: skip
    found = search(made)
    assert not found.failures
    (scene,) = found.scenes
    assert (scene.id, scene.datetime) == (LANDSAT, "2025-07-03T03:12:45Z")
    checked = check_scene(scene, made.datasets["d"])
    assert isinstance(checked, Scene)
    receipt = checked.receipt()["assets"]["qa_pixel"]
    assert receipt["checksum"].startswith("parts:") and receipt["size"] > 0
    grid = grid_of(64, 64)
    out = composite_tile([checked], made, grid, Tile(0, 0, 0, 64, 0, 64))
    assert not out.failures
    seen, clear = (out.obs_count > 0).mean(), (out.clear_count > 0).mean()
    assert seen == pytest.approx(1 - 4 / 64, abs=0.02)  # the gap
    lost = seen - clear
    # Two lines spoiled, and lines beside the gap whose bilinear neighbours are missing.
    assert 2 / 64 - 0.005 < lost < 5 / 64
    ndvi = (15000 - 9000) * 2.75e-5 / ((15000 + 9000) * 2.75e-5 - 0.4)
    assert set(np.unique(out.ndvi_max)) == {-32768, round(ndvi * 1e4)}


def test_without_the_guard_saturated_pixels_pass(tmp_path: Path) -> None:
    landsat_folder(tmp_path / "in")
    access = {"type": "product_folder", "path": "in", "layout": "landsat_c2"}
    grid, counts = grid_of(64, 64), []
    for mask in ({"band": "qa_pixel", "recipe": "landsat_qa_pixel"}, None):
        more = {} if mask is None else {"mask": mask}
        made = catalog(tmp_path, "landsat_etm_c2l2", access, **more)
        (scene,) = search(made).scenes
        out = composite_tile([scene], made, grid, Tile(0, 0, 0, 64, 0, 64))
        counts.append(int(out.clear_count.sum()))
    assert counts[0] - counts[1] == pytest.approx(2 * 64, abs=8)


def test_three_forms_of_mtl_say_the_same(tmp_path: Path) -> None:
    landsat_folder(tmp_path)
    forms = [read_mtl(tmp_path / LANDSAT / f"{LANDSAT}_MTL.{s}") for s in ("json", "xml", "txt")]
    for form in forms[1:]:
        for group, values in forms[0].items():
            assert form[group] == values


def test_landsat_folders_that_cannot_be_used(tmp_path: Path) -> None:
    access = {"type": "product_folder", "path": "in", "layout": "landsat_c2"}
    made = catalog(tmp_path, "landsat_etm_c2l2", access)
    with pytest.raises(InputError, match="does not exist"):
        search(made)
    landsat_folder(tmp_path / "in", scale="2.0e-05")
    other = "LC08_L2SP_120031_20250703_20250728_02_T1"
    (tmp_path / "in" / f"{other}_MTL.json").write_text("{")
    found = search(made)
    assert not found.scenes
    reasons = {f.scene: f.reason for f in found.failures}
    assert "MTL states REFLECTANCE_MULT_BAND_3 = 2.0e-05" in reasons[LANDSAT]
    assert "cannot be read" in reasons[other]
    (tmp_path / "empty").mkdir()
    made = catalog(tmp_path, "landsat_etm_c2l2", access | {"path": "empty"})
    with pytest.raises(InputError, match="(?s)no product of layout 'landsat_c2'.*_MTL.json"):
        search(made)


def test_a_record_takes_its_own_platforms_only(tmp_path: Path) -> None:
    landsat_folder(tmp_path / "in")
    access = {"type": "product_folder", "path": "in", "layout": "landsat_c2"}
    assert not search(catalog(tmp_path, "landsat_oli_c2l2", access)).scenes


@pytest.mark.real
@needs_shared
def test_real_landsat_directory(tmp_path: Path) -> None:
    """A real MTL, real QA_RADSAT: the same scene and mask as by its STAC item."""
    folder = DATA / "landsat8_c2l2_001062_allcloud"
    access = {"type": "product_folder", "path": str(folder), "layout": "landsat_c2"}
    made = catalog(tmp_path, "landsat_oli_c2l2", access)
    (scene,) = search(made, dt.date(2020, 10, 31), dt.date(2020, 10, 31)).scenes
    assert scene.datetime == "2020-10-31T14:31:47Z"
    assert isinstance(check_scene(scene, made.datasets["d"]), Scene)


# ------------------------------------------------------------------ SAFE directories

SAFE = "S2B_MSIL2A_20250219T032829_N0511_R018_T49TDL_20250219T060000"
MTD = """<?xml version="1.0"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product">
<n1:General_Info><Product_Info><PRODUCT_START_TIME>2025-02-19T03:28:29.024Z</PRODUCT_START_TIME>
<PRODUCT_URI>{name}.SAFE</PRODUCT_URI><PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME></Datatake></Product_Info>
<BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
<BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST></n1:General_Info>
</n1:Level-2A_User_Product>"""


def safe_folder(
    folder: Path, name: str = SAFE, baseline: str = "05.11", offset: str = "-1000", xml: bool = True
) -> None:
    home = folder / f"{name}.SAFE"
    grid = grid_of(64, 64)
    for key, size, value in (("B04", 10, 2000), ("B08", 10, 5000), ("SCL", 20, 4)):
        n = 2400 // size
        data = np.full((n, n), value, "u1" if key == "SCL" else "u2")
        path = home / "GRANULE" / "L2A_x" / "IMG_DATA" / f"R{size}m"
        file = path / f"T49TDL_20250219T032829_{key}_{size}m.tif"
        write_raster(file, data, UTM, origin_over(grid, UTM, 240, 240, 10.0), float(size))
    if xml:
        listed = f'<BOA_ADD_OFFSET band_id="3">{offset}</BOA_ADD_OFFSET>' if offset else ""
        text = MTD.format(name=name, baseline=baseline, offsets=listed)
        (home / "MTD_MSIL2A.xml").write_text(text)


@pytest.mark.parametrize("xml", [True, False])
def test_safe_directory_end_to_end(tmp_path: Path, xml: bool) -> None:
    safe_folder(tmp_path / "in", xml=xml)
    access = {"type": "product_folder", "path": "in", "layout": "sentinel2_safe"}
    made = catalog(tmp_path, "sentinel2_l2a", access)
    (scene,) = search(made).scenes
    assert (scene.id, scene.datetime) == (SAFE, "2025-02-19T03:28:29Z")
    assert scene.receipt()["baseline"] == "05.11"
    out = composite_tile([scene], made, grid_of(64, 64), Tile(0, 0, 0, 64, 0, 64))
    assert not out.failures and (out.clear_count > 0).all()
    assert np.unique(out.ndvi_max).tolist() == [round((0.4 - 0.1) / (0.4 + 0.1) * 1e4)]


def test_safe_that_contradicts_its_baseline(tmp_path: Path) -> None:
    safe_folder(tmp_path / "in", offset="0")
    access = {"type": "product_folder", "path": "in", "layout": "sentinel2_safe"}
    (failure,) = search(catalog(tmp_path, "sentinel2_l2a", access)).failures
    assert "BOA_ADD_OFFSET is 0, baseline 05.11" in failure.reason


@pytest.mark.parametrize(("stored", "offset"), [("-1000", -0.1), ("", 0.0), ("0", 0.0)])
def test_the_offset_of_somebodys_sen2cor_is_read_in_its_metadata(
    tmp_path: Path, stored: str, offset: float
) -> None:
    name = SAFE.replace("N0511", "N9999")
    safe_folder(tmp_path / "in", name, "99.99", stored)
    access = {"type": "product_folder", "path": "in", "layout": "sentinel2_safe"}
    made = catalog(tmp_path, "sentinel2_l2a", access)
    found = search(made)
    (scene,) = found.scenes
    assert not found.failures
    assert decode_of(made.datasets["d"], "red", scene.properties).offset == offset


def test_newest_baseline_is_kept_and_names_the_older(tmp_path: Path) -> None:
    older = SAFE.replace("N0511", "N0300")
    safe_folder(tmp_path / "in")
    safe_folder(tmp_path / "in", older, "03.00", "")
    access = {"type": "product_folder", "path": "in", "layout": "sentinel2_safe"}
    (scene,) = search(catalog(tmp_path, "sentinel2_l2a", access)).scenes
    assert scene.id == SAFE and scene.properties["supersedes"] == [older]
    assert scene.to_dict()["properties"]["supersedes"] == [older]
    assert "supersedes" not in json.dumps(scene.fingerprint())


# ------------------------------------------------------------------ derived masks


def test_derived_addresses_survive_and_hide_secrets() -> None:
    inner = derive("rpc", [("https://a/x.tif?sig=secret", 2)], height=10.0)
    href = derive("screen", [(inner, 1), ("/b.tif", 3)], band="blue")
    assert is_derived(href) and parse(href).href() == href
    assert leaves(href) == ["https://a/x.tif?sig=secret", "/b.tif"]
    assert "secret" not in public_href(href) and "https://a/x.tif" in public_href(href)
    assert "secret" not in json.dumps(Asset(href).to_dict())


def test_layer_without_quality_band(tmp_path: Path) -> None:
    """Plain NDVI: what lies in the valid range counts as one clear observation, NaN never."""
    grid = grid_of(32, 32)
    data = np.full((32, 32), 0.5, "f4")
    data[3], data[4], data[5] = np.nan, -9999, 7.0
    corner = (grid.bounds[0], grid.bounds[3])
    write_raster(
        tmp_path / "f" / "NDVI_20250701.tif", data, grid.crs_wkt, corner, 30.0, nodata=-9999
    )
    made = catalog(
        tmp_path,
        "ndvi_composite",
        {
            "type": "scene_files",
            "path": "f",
            "pattern": r"(?P<asset>NDVI)_(?P<date>\d{8})\.tif",
            "date_format": "%Y%m%d",
        },
        bands={"ndvi": {"asset": ["NDVI"], "valid_range": [-1, 1]}},
    )
    (scene,) = search(made).scenes
    checked = check_scene(scene, made.datasets["d"])
    assert isinstance(checked, Scene)
    out = composite_tile([checked], made, grid, Tile(0, 0, 0, 32, 0, 32))
    expected = np.ones((32, 32), int)
    expected[3:6] = 0
    assert (out.obs_count == expected).all() and (out.clear_count == expected).all()
    assert (out.ndvi_max[expected == 1] == 5000).all()


def test_guard_on_another_grid_and_hdf4_are_named(tmp_path: Path) -> None:
    landsat_folder(tmp_path / "in")
    path = tmp_path / "in" / LANDSAT / f"{LANDSAT}_QA_RADSAT.TIF"
    write_raster(path, np.zeros((40, 40), "u2"), UTM, (0.0, 0.0), 60.0)
    access = {"type": "product_folder", "path": "in", "layout": "landsat_c2"}
    made = catalog(tmp_path, "landsat_etm_c2l2", access)
    (failure,) = search(made).failures
    assert failure.asset == "qa_pixel" and "another grid" in failure.reason
    file = tmp_path / "MOD13Q1.hdf"
    file.write_bytes(b"\x0e\x03\x13\x01" + bytes(100))
    entry = {"access": access, "bands": {"ndvi": {"asset": ["a"]}, "q": {"asset": ["q"]}}}
    modis = catalog_of(tmp_path, m=entry | {"mask": {"band": "q", "recipe": "modis_vi_quality"}})
    assets = dict.fromkeys(("ndvi", "q"), Asset(str(file)))
    scene = Scene("M", "m", "2025-07-01T00:00:00Z", WORLD, assets)
    refused = check_scene(scene, modis.datasets["m"])
    assert isinstance(refused, AssetFailure) and "no HDF4 driver" in refused.reason
