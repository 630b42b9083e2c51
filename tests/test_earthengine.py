"""The Earth Engine source: the real client against a loopback service that evaluates its graphs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import earthengine_archive
import numpy as np
import pytest
import rasterio
from earthengine_archive import COLLECTIONS, JUNE, SIZE, engine_of, grid_of, search
from earthengine_graph import BandFile, StoredImage
from earthengine_service import Service
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from eco_index.catalog import Dataset, completed, load_catalog
from eco_index.composite import composite_tile
from eco_index.errors import InputError
from eco_index.plan_cost import Tally
from eco_index.sources import ee_client, open_source
from eco_index.sources.earthengine import EarthEngineSource, estimate
from eco_index.sources.ee_band import BandRef, OpenBand, crs_of, dtype_of, read_window, split
from eco_index.sources.ee_transport import Limits
from eco_index.sources.preflight import check_scene
from eco_index.sources.scene import Manifest, Scene
from eco_index.tasks import Task

archive, service = earthengine_archive.archive, earthengine_archive.service  # fixtures


# ---------------------------------------------------------------- scenes


def test_importing_touches_no_network() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "import eco_index.sources.earthengine\n"
        "assert 'ee' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_search_takes_first_and_last_day_and_one_request(service: Service, archive: Path) -> None:
    found = search(archive, "landsat")
    assert [s.datetime for s in found.scenes] == [
        "2025-06-01T00:00:00Z",
        "2025-06-17T03:01:02Z",
        "2025-06-30T23:59:59Z",
    ]
    assert found.failures == ()
    assert len(service.seen) == 1
    assert not service.requests_of("image:computePixels")
    assert all(set(s.assets) == {"red", "nir", "qa"} for s in found.scenes)


def test_search_pages(service: Service, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(archive, "landsat")
    ee_client.disconnect()
    service.seen.clear()
    for page, requests in ((1, 3), (2, 2), (3, 1)):
        monkeypatch.setenv("ECO_EE_PAGE_SIZE", str(page))
        ee_client.disconnect()
        assert search(archive, "landsat") == whole
        assert len(service.seen) == requests
        service.seen.clear()


def test_search_keeps_what_decides_about_values(service: Service, archive: Path) -> None:
    scenes = search(archive, "sentinel").scenes
    assert [s.properties["s2:processing_baseline"] for s in scenes] == ["05.11", "02.14"]
    assert scenes[0].assets["red"].checksum.startswith("ee-version:")
    manifest = Manifest("2025-06", scenes)
    assert Manifest.from_dict(json.loads(json.dumps(manifest.to_dict()))) == manifest


def test_harmonised_collection_is_marked(service: Service, archive: Path) -> None:
    catalog = (archive / "data_catalog.yaml").read_text(encoding="utf-8")
    other = archive / "harmonised.yaml"
    other.write_text(catalog.replace("COPERNICUS/S2_SR", "COPERNICUS/S2_SR_HARMONIZED"))
    service.collections["COPERNICUS/S2_SR_HARMONIZED"] = service.collections["COPERNICUS/S2_SR"]
    dataset = load_catalog(other).datasets["sentinel_engine"]
    found = EarthEngineSource("sentinel_engine", dataset).search(grid_of().lonlat_bounds(), *JUNE)
    assert all(s.properties["earthsearch:boa_offset_applied"] is True for s in found.scenes)


def test_of_two_baselines_the_newest_is_kept(service: Service, archive: Path) -> None:
    images = service.collections[COLLECTIONS["sentinel"]]
    name = "S2A_MSIL2A_20250610T030500_N{}_R032_T50TKL_20250610T064800"
    for k, baseline in enumerate(("0511", "0214")):  # two processings of one data take
        properties = images[k].properties | {"PRODUCT_ID": name.format(baseline)}
        images[k] = dataclasses.replace(images[k], properties=properties)
    (kept,) = search(archive, "sentinel").scenes
    assert kept.properties["s2:processing_baseline"] == "05.11"
    assert kept.properties["supersedes"] == [images[1].id.rsplit("/", 1)[1]]


def test_nothing_found_elsewhere(service: Service, archive: Path) -> None:
    found = engine_of(archive, "landsat").search((0.0, 0.0, 1.0, 1.0), *JUNE)
    assert found.scenes == () and found.failures == ()


def test_image_without_a_band_is_a_failure(service: Service, archive: Path) -> None:
    images = service.collections[COLLECTIONS["landsat"]]
    broken = images[2]
    images[2] = StoredImage(
        broken.id,
        broken.time_ms,
        broken.footprint,
        {k: v for k, v in broken.bands.items() if k != "SR_B5"},
    )
    found = search(archive, "landsat")
    assert len(found.scenes) == 2
    (failure,) = found.failures
    assert failure.asset == "nir" and "SR_B5" in failure.reason


# ---------------------------------------------------------------- pixels


def test_pixels_are_those_of_the_file(service: Service, archive: Path) -> None:
    for name in COLLECTIONS:
        scene = search(archive, name).scenes[0]
        for band, key in (("red", "red"), ("nir", "nir08"), ("qa", "qa")):
            with (
                rasterio.open(archive / name / scene.id / f"{key}.tif") as file,
                OpenBand(scene.assets[band].href) as remote,
            ):
                assert (remote.width, remote.height) == (file.width, file.height)
                assert remote.transform == file.transform
                assert remote.crs == file.crs
                assert remote.dtypes == file.dtypes
                assert remote.nodatavals == file.nodatavals
                window = rasterio.windows.Window(3, 5, 30, 20)
                np.testing.assert_array_equal(
                    remote.read(1, window=window), file.read(1, window=window)
                )
                np.testing.assert_array_equal(remote.read(), file.read(1))


def test_large_windows_are_split(
    service: Service, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    href = search(archive, "landsat").scenes[0].assets["red"].href
    whole = OpenBand(href).read()
    for variable, value in (("BYTES", "1500"), ("PX", "20")):
        monkeypatch.setenv(f"ECO_EE_REQUEST_{variable}", value)
        ee_client.disconnect()
        service.seen.clear()
        np.testing.assert_array_equal(OpenBand(href).read(), whole)
        grids = [body["grid"]["dimensions"] for body in service.requests_of("computePixels")]
        assert len(grids) > 1
        if variable == "BYTES":
            assert all(g["width"] * g["height"] * 2 <= 1500 for g in grids)
        else:
            assert all(max(g["width"], g["height"]) <= 20 for g in grids)
        monkeypatch.delenv(f"ECO_EE_REQUEST_{variable}")


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(8, 900),
    st.integers(1, 40),
)
def test_parts_cover_a_window_once(
    row: int, col: int, height: int, width: int, itemsize: int, most: int, side: int
) -> None:
    limits = Limits(request_bytes=most, request_px=side)
    count = np.zeros((200, 200), int)
    for y, x, h, w in split((row, col, height, width), itemsize, limits):
        assert 0 < h <= side and 0 < w <= side and h * w * itemsize <= max(most, itemsize)
        count[y : y + h, x : x + w] += 1
    expected = np.zeros_like(count)
    expected[row : row + height, col : col + width] = 1
    np.testing.assert_array_equal(count, expected)


def test_window_outside_is_refused(service: Service, archive: Path) -> None:
    href = search(archive, "landsat").scenes[0].assets["red"].href
    service.seen.clear()
    with pytest.raises(InputError, match="leaves the band"):
        read_window(href, (0, 0, 10_000, 5))
    assert read_window(href, (0, 0, 0, 5)).shape == (0, 5)
    assert service.seen == []


@given(
    st.sampled_from(["EPSG:32649", "SR-ORG:6974", 'GEOGCS["a & b?",DATUM["x"]]']),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(categories=("L", "N")), min_size=1).map(lambda t: f"A/b c/{t}"),
)
def test_address_comes_back(crs: str, offset: float, image: str) -> None:
    ref = BandRef(image, "B4", crs, (30.0, 0.0, offset, 0.0, -30.0, 0.1), 7, 9, "int16", -3000.0)
    assert BandRef.parse(ref.href()) == ref


@pytest.mark.parametrize("href", ["ee://", "ee://A/B/c", "ee://A/B/c?crs=EPSG:4326&size=1"])
def test_malformed_address(href: str) -> None:
    with pytest.raises(InputError, match="not an address"):
        OpenBand(href)


@pytest.mark.parametrize("name", list(COLLECTIONS))
@pytest.mark.parametrize("tile", [SIZE, 16])
def test_composite_equals_that_of_the_files(
    service: Service, archive: Path, name: str, tile: int
) -> None:
    catalog = load_catalog(archive / "data_catalog.yaml")
    grid = grid_of(tile)
    manifests = {}
    for way in ("files", "engine"):
        dataset_id = f"{name}_{way}"
        found = open_source(dataset_id, catalog).search(grid.lonlat_bounds(), *JUNE)
        dataset = catalog.datasets[dataset_id]
        manifests[way] = [check_scene(scene, dataset) for scene in found.scenes]
        assert all(isinstance(scene, Scene) for scene in manifests[way])
    files, engine = manifests["files"], manifests["engine"]
    assert [(s.id, s.datetime, s.bbox) for s in files] == [
        (s.id, s.datetime, s.bbox) for s in engine
    ]
    seen = 0
    for part in grid.tiles():
        a = composite_tile(files, catalog, grid, part)
        b = composite_tile(engine, catalog, grid, part)
        assert a.failures == b.failures == ()
        np.testing.assert_array_equal(a.ndvi_max, b.ndvi_max)
        np.testing.assert_array_equal(a.clear_count, b.clear_count)
        np.testing.assert_array_equal(a.obs_count, b.obs_count)
        seen += int(a.clear_count.sum())
    assert seen > 1000


@pytest.mark.parametrize(
    ("name", "record"), [("sentinel", "sentinel2_l2a"), ("landsat", "landsat_oli_c2l2")]
)
def test_a_record_reads_the_same_bands(
    service: Service, archive: Path, name: str, record: str
) -> None:
    """A record lists all bands of a sensor; only those that are read are asked for."""
    plain = engine_of(archive, name)
    # The archive here has no saturation band: the mask is written without it.
    mask = {"landsat_oli_c2l2": {"band": "qa_pixel", "recipe": "landsat_qa_pixel"}}.get(record)
    keep = {"title", "source", "licence", "access"}
    entry = plain.dataset.model_dump(include=keep) | {"record": record, "mask": mask}
    if name == "sentinel":  # the archive here has the narrow near infrared
        entry["bands"] = {"nir": {"asset": ["B8A"], "scale": 1e-4, "nodata": 0}}
    dataset = completed(Dataset.model_validate(entry), "here")
    found = EarthEngineSource(name, dataset).search(grid_of().lonlat_bounds(), *JUNE)
    expected = search(archive, name)
    assert found.scenes and not found.failures
    assert [s.id for s in found.scenes] == [s.id for s in expected.scenes]
    for scene, other in zip(found.scenes, expected.scenes, strict=True):
        assert {a.href.split("?")[0] for a in scene.assets.values()} == {
            a.href.split("?")[0] for a in other.assets.values()
        }
    if mask is not None:  # with the guard the image lacks a band, and says which
        guarded = completed(Dataset.model_validate(entry | {"mask": None}), "here")
        lacking = EarthEngineSource(name, guarded).search(grid_of().lonlat_bounds(), *JUNE)
        assert {f.asset for f in lacking.failures} == {"qa_radsat"}


def test_estimate_bounds_what_is_sent(service: Service, archive: Path) -> None:
    catalog = load_catalog(archive / "data_catalog.yaml")
    scenes = search(archive, "landsat").scenes
    grid = grid_of(16)
    cost = estimate(scenes, grid, grid.tiles())
    service.seen.clear()
    before = ee_client.client().counts.bytes_received
    for part in grid.tiles():
        composite_tile(scenes, catalog, grid, part)
    sent = len(service.requests_of("computePixels"))
    received = ee_client.client().counts.bytes_received - before
    assert 0 < sent <= cost.requests
    header = 128 * sent
    assert 0.3 * cost.bytes < received <= cost.bytes + header


def test_the_plan_counts_requests_apart_from_files(service: Service, archive: Path) -> None:
    grid = grid_of(16)
    scenes = search(archive, "landsat").scenes
    tally = Tally(grid)
    for tile in grid.tiles():
        tally.composite(Task("composite", "2025-07", tile), scenes)
    expected, found = estimate(scenes, grid, grid.tiles()), tally.cost()
    assert (found.requests, found.request_bytes) == (expected.requests, expected.bytes)
    assert found.scenes == len(scenes) and found.bytes_to_read == found.unknown_sizes == 0


@pytest.mark.parametrize(
    ("pixel_type", "expected"),
    [
        ({"precision": "int", "min": 0, "max": 255}, "uint8"),
        ({"precision": "int", "min": -128, "max": 127}, "int8"),
        ({"precision": "int", "min": 0, "max": 65535}, "uint16"),
        ({"precision": "int", "min": -32768, "max": 32767}, "int16"),
        ({"precision": "int"}, "int32"),
        ({"precision": "float"}, "float32"),
        ({"precision": "double"}, "float64"),
    ],
)
def test_pixel_types(pixel_type: dict, expected: str) -> None:
    assert dtype_of(pixel_type) == expected


def test_unfitting_no_data_value_is_named(service: Service, archive: Path) -> None:
    text = (archive / "data_catalog.yaml").read_text(encoding="utf-8")
    other = archive / "unfitting.yaml"
    other.write_text(
        text.replace(
            "asset: [SR_B4], scale: 2.75e-05, offset: -0.2, nodata: 0",
            "asset: [SR_B4], scale: 2.75e-05, offset: -0.2, nodata: -3000",
        )
    )
    dataset = load_catalog(other).datasets["landsat_engine"]
    found = EarthEngineSource("landsat_engine", dataset).search(grid_of().lonlat_bounds(), *JUNE)
    assert found.scenes == ()
    assert all("-3000" in f.reason and f.asset == "red" for f in found.failures)


def test_modis_grid_is_known(archive: Path) -> None:
    to_grid = Transformer.from_crs("EPSG:4326", crs_of("SR-ORG:6974"), always_xy=True)
    # Upper left corner of MODIS tile h25v04: 7 tiles east of h18, 4 tiles below the pole.
    x, y = to_grid.transform(70.0 / np.cos(np.radians(50.0)), 50.0)
    assert x == pytest.approx(7 * 1111950.5196666666, abs=0.5)
    assert y == pytest.approx(5 * 1111950.5196666666, abs=0.5)


def test_bandfile_without_masked_value(service: Service, archive: Path) -> None:
    images = service.collections[COLLECTIONS["landsat"]]
    bands = {k: BandFile(v.path) for k, v in images[1].bands.items()}
    images[1] = StoredImage(images[1].id, images[1].time_ms, images[1].footprint, bands)
    href = search(archive, "landsat").scenes[0].assets["red"].href
    with rasterio.open(bands["SR_B4"].path) as file:
        np.testing.assert_array_equal(OpenBand(href).read(), file.read(1))
