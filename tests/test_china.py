"""GF-1/GF-6 WFV and HJ-2 CCD from a folder: calibration, masks, end to end."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tiny_region
import yaml
from china_fakes import (
    GAINS,
    NAME,
    ZENITH,
    catalog,
    reflectance,
    rpc_scene,
    search,
    simulated_rpc,
    whole,
    write_gains,
    write_image,
    write_rpb,
    write_xml,
)
from imagery_fakes import WORLD, grid_of, origin_over, write_raster

from eco_index.composite import composite_tile
from eco_index.config import load_region
from eco_index.digests import hash_of
from eco_index.errors import InputError, UsageError
from eco_index.grid import Grid, Tile
from eco_index.period import Month
from eco_index.sources import Manifest, Scene, acquire, open_source
from eco_index.sources.calibration import (
    Gain,
    read_calibration,
    reflectance_line,
    sun_distance,
)
from eco_index.sources.preflight import check_scene

# ------------------------------------------------------------------ calibration


def test_distance_of_the_sun_against_an_almanac() -> None:
    """Perihelion 2025-01-04: 0.98333 au; aphelion 2025-07-03: 1.01664 au."""
    assert sun_distance(dt.date(2025, 1, 4)) == pytest.approx(0.98333, abs=3e-4)
    assert sun_distance(dt.date(2025, 7, 3)) == pytest.approx(1.01664, abs=3e-4)


def test_line_is_the_formula() -> None:
    gain = Gain(*GAINS["red"], "simulated")
    scale, offset = reflectance_line(gain, dt.date(2025, 7, 3), ZENITH)
    for dn in (1, 300, 1023):
        assert dn * scale + offset == pytest.approx(reflectance("red", dn), rel=1e-12)
    with pytest.raises(InputError, match="solar zenith 95"):
        reflectance_line(gain, dt.date(2025, 7, 3), 95.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": "x"}, "not a number"),
        ({"gain": 0}, "cannot be"),
        ({"esun": 1e6}, "cannot be"),
        ({"source": " "}, "names no source"),
        ({"band": "red"}, "given twice"),
    ],
)
def test_calibration_files_that_cannot_be(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_calibration(write_gains(tmp_path / "g.csv", **changes))
    (tmp_path / "h.csv").write_text("satellite,gain\n")
    with pytest.raises(InputError, match="(?s)lacks the column.*sensor, year"):
        read_calibration(tmp_path / "h.csv")
    with pytest.raises(InputError, match="does not exist"):
        read_calibration(tmp_path / "none.csv")


# ------------------------------------------------------------------ orthorectified


def ortho_scene(tmp_path: Path, grid: Grid, cloud: bool = False) -> dict[str, np.ndarray]:
    """Four bands in UTM, some no-data; bright blue where it is cloudy."""
    rng = np.random.default_rng(3)
    bands = [np.full((160, 160), v, "u2") for v in (250, 300, 320, 700)]
    bands[2] += np.kron(rng.integers(0, 200, (16, 16)), np.ones((10, 10), int)).astype("u2")
    for data in bands:
        data[:, :20] = 0
    if cloud:
        bands[0][60:90] = 1000
    origin = origin_over(grid, "EPSG:32649", 160, 160, 16.0)
    transform = rasterio.transform.from_origin(*origin, 16.0, 16.0)
    write_image(tmp_path / "in" / f"{NAME}.tiff", bands, crs="EPSG:32649", transform=transform)
    write_xml(tmp_path / "in" / f"{NAME}.xml")
    write_gains(tmp_path / "g.csv")
    return {"origin": origin, "red": bands[2], "blue": bands[0]}


def test_orthorectified_scene_end_to_end_with_its_mask(tmp_path: Path) -> None:
    grid = grid_of(60, 60, resolution=16.0)
    made = ortho_scene(tmp_path, grid)
    mask = np.zeros((160, 160), "u1")
    mask[:, 80:90] = 2
    write_raster(tmp_path / "in" / f"{NAME}_mask.tif", mask, "EPSG:32649", made["origin"], 16.0)
    cat = catalog(tmp_path, calibration="g.csv")
    (scene,) = search(cat).scenes
    assert scene.datetime == "2025-07-03T03:20:30Z"  # 11:20 in Beijing
    assert "top of atmosphere" in scene.properties["quality_label"]
    checked = check_scene(scene, cat.datasets["d"])
    assert isinstance(checked, Scene)
    out = whole(cat, checked, grid)
    assert not out.failures and 0.5 < (out.clear_count > 0).mean() < 1
    assert (out.obs_count > 0).sum() > (out.clear_count > 0).sum()
    values = np.unique(made["red"][made["red"] > 0])
    red, nir = reflectance("red", values), reflectance("nir", 700)
    possible = (nir - red) / (nir + red) * 1e4
    found = out.ndvi_max[out.ndvi_max > -32768]
    assert possible.min() - 1 < found.min() and found.max() < possible.max() + 1
    # Most pixels lie inside a patch of one value: their NDVI is that of the formula.
    near = np.abs(found[:, None] - possible[None]).min(axis=1)
    assert np.median(near) < 0.51


def test_declared_screen_is_flagged_and_leaves_clouds_out(tmp_path: Path) -> None:
    grid = grid_of(60, 60, resolution=16.0)
    ortho_scene(tmp_path, grid, cloud=True)
    threshold = float(reflectance("blue", 600))
    screen = {"band": "blue", "cloud_above": threshold}
    cat = catalog(
        tmp_path, calibration="g.csv", screen=screen,
        mask={"band": "clear_sky", "recipe": "simple_screen"},
    )  # fmt: skip
    (scene,) = search(cat).scenes
    assert scene.properties["quality_label"].startswith("lower: simple cloud screen")
    assert scene.to_dict()["properties"]["quality_label"].startswith("lower")
    checked = check_scene(scene, cat.datasets["d"])
    assert isinstance(checked, Scene)
    sums = checked.assets["clear_sky"].checksum
    out = whole(cat, checked, grid)
    cloudy = (out.obs_count > 0) & (out.clear_count == 0)
    assert 25 <= cloudy.any(axis=1).sum() <= 35  # thirty lines of cloud
    # Another threshold is another receipt: it decides results.
    cat = catalog(
        tmp_path, calibration="g.csv", screen=screen | {"cloud_above": 9.0},
        mask={"band": "clear_sky", "recipe": "simple_screen"},
    )  # fmt: skip
    (scene,) = search(cat).scenes
    checked = check_scene(scene, cat.datasets["d"])
    assert isinstance(checked, Scene) and checked.assets["clear_sky"].checksum != sums
    assert ((whole(cat, checked, grid).clear_count > 0) >= (out.clear_count > 0)).all()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    grid = grid_of(60, 60, resolution=16.0)
    ortho_scene(tmp_path, grid)
    with pytest.raises(UsageError, match="(?s)digital numbers without calibration.*no gains"):
        search(catalog(tmp_path))
    with pytest.raises(UsageError, match="go together"):
        search(catalog(tmp_path, calibration="g.csv", screen={"band": "blue", "cloud_above": 1}))
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "no mask" in failure.reason and f"{NAME}_mask.tif" in failure.reason
    write_gains(tmp_path / "g.csv", year=2024)
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "no row for GF1 WFV1, 2025, band red" in failure.reason
    write_gains(tmp_path / "g.csv")
    image = tmp_path / "in" / f"{NAME}.tiff"
    write_image(image, [np.ones((8, 8), "u2")] * 4)
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "neither a coordinate system nor an RPC" in failure.reason
    write_rpb(image.with_suffix(".rpb"), simulated_rpc(grid, 8, 16.0))
    (failure,) = search(catalog(tmp_path, calibration="g.csv"), grid).failures
    assert "declare 'access.ortho'" in failure.reason
    image.unlink()
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "no GeoTIFF" in failure.reason
    write_xml(tmp_path / "in" / f"{NAME}.xml", zenith="noon")
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "noon" in failure.reason
    assert not search_hj(tmp_path).failures and not search_hj(tmp_path).scenes


def test_an_image_in_parts_with_one_xml(tmp_path: Path) -> None:
    """GF-6 WFV: NAME-1.tiff and so on, each with its mask (and RPC) and one XML for all."""
    grid = grid_of(60, 60, resolution=16.0)
    ortho_scene(tmp_path, grid)
    folder, name = tmp_path / "in", "GF6_WFV_E112.5_N40.3_20250703_L1A1420343042"
    write_xml(folder / f"{name}.xml", "GF6", "WFV")
    write_gains(tmp_path / "g.csv", satellite="GF6", sensor="WFV")
    image, whole_image = folder / f"{NAME}.tiff", folder / f"{name}.tiff"
    with rasterio.open(image) as source:
        bands, place = list(source.read()), {"crs": source.crs}
        halves = (slice(0, 80), slice(80, 160))
        for part, rows in enumerate(halves, start=1):
            place["transform"] = source.window_transform(((rows.start, rows.stop), (0, 160)))
            # Eight bands: those beyond the first four are not read.
            write_image(
                folder / f"{name}-{part}.tiff", [b[rows] for b in (*bands, *bands)], **place
            )
            write_image(folder / f"{name}-{part}_mask.tif", [np.zeros((80, 160), "u2")], **place)
    cat = catalog(tmp_path, "gf6_wfv", calibration="g.csv")
    scenes = search(cat).scenes
    assert [s.id for s in scenes] == [f"{name}-1", f"{name}-2"]
    assert {s.properties["platform"] for s in scenes} == {"gf6"}
    assert scenes[0].bbox[1] > scenes[1].bbox[1]  # the second lies south of the first
    tile = Tile(0, 0, 0, *grid.shape[:1], 0, grid.shape[1])
    made = composite_tile(scenes, cat, grid, tile)
    assert not made.failures and (made.obs_count > 0).mean() > 0.5
    # One image of the XML's name comes before parts: a mosaic, say.
    whole_image.write_bytes(image.read_bytes())
    with rasterio.open(whole_image) as source:
        place = {"crs": source.crs, "transform": source.transform}
    write_image(folder / f"{name}_mask.tif", [np.zeros((160, 160), "u2")], **place)
    (one,) = search(cat).scenes
    assert one.id == name
    again = composite_tile([one], cat, grid, tile)
    both = (made.ndvi_max != -32768) & (again.ndvi_max != -32768)
    np.testing.assert_array_equal(made.ndvi_max[both], again.ndvi_max[both])
    assert both.mean() > 0.5 and (made.obs_count <= again.obs_count).all()


def search_hj(tmp_path: Path) -> Any:
    """The folder holds GF-1 only: a dataset of HJ-2 has nothing there, and says so elsewhere."""
    write_xml(tmp_path / "in" / "HJ2A_CCD1_x.xml", "HJ2A", "CCD1")
    made = catalog(tmp_path, "hj2_ccd", calibration="g.csv")
    return open_source("d", made).search(WORLD, dt.date(2024, 1, 1), dt.date(2024, 1, 31))


def test_through_the_months_of_a_region(tmp_path: Path) -> None:
    """Acquired as every month is: the region's grid is known, the manifest keeps the label."""
    region = tiny_region.region(tmp_path)
    rpc = simulated_rpc(region.grid, 200, 16.0)
    rpc_scene(tmp_path, region.grid, rpc, lambda x, y: np.full(x.shape, 1000.0))
    path = tmp_path / "data_catalog.yaml"
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    access = {"type": "product_folder", "path": "in", "layout": "china_wfv"}
    access |= {"calibration": "g.csv", "ortho": {"height": 1000.0}}
    entry = {k: entries["datasets"]["img"][k] for k in ("title", "licence", "source")}
    entries["datasets"]["img"] = entry | {"access": access, "record": "gf1_wfv"}
    path.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    region = load_region(tmp_path / "regions" / "tiny.yaml")
    manifest = acquire(region, Month.parse("2025-07"))
    assert not manifest.failures
    again = Manifest.from_dict(json.loads(json.dumps(manifest.to_dict())))
    assert again == manifest
    (scene,) = again.scenes
    assert scene.properties["quality_label"].startswith("lower: placed by RPC")
    made = whole(region.catalog, scene, region.grid)
    assert not made.failures and (made.clear_count > 0).any()
    before = hash_of([scene.fingerprint()])
    text = (tmp_path / "g.csv").read_text().replace("0.15", "0.16")
    (tmp_path / "g.csv").write_text(text)
    (scene,) = acquire(region, Month.parse("2025-07")).scenes
    assert hash_of([scene.fingerprint()]) != before  # another gain, another result
