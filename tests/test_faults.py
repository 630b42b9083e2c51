"""Faults of a file server while scenes are read: survived where they pass, named where not."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from fault_server import Answer, FaultServer, Request
from imagery_fakes import catalog_of, grid_of, landsat_entry, landsat_scene

from eco_index.catalog import Catalog
from eco_index.composite import composite_tile
from eco_index.grid import Tile
from eco_index.sources import AssetFailure, Scene, raster
from eco_index.sources.preflight import check_scene
from eco_index.sources.raster import raster_env
from eco_index.sources.scene import Asset

GRID = grid_of(700, 600)
WHOLE = Tile(0, 0, 0, 600, 0, 700)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("scene")


@pytest.fixture(scope="module")
def scene(folder: Path) -> Scene:
    return landsat_scene(folder, GRID, 1, extent=600)


@pytest.fixture(scope="module")
def catalog(folder: Path) -> Catalog:
    return catalog_of(folder, landsat=landsat_entry())


@pytest.fixture
def server(folder: Path, monkeypatch) -> Iterator[FaultServer]:
    # The same options, less patience.
    quick = {"GDAL_HTTP_TIMEOUT": 1, "GDAL_HTTP_CONNECTTIMEOUT": 1, "GDAL_HTTP_RETRY_DELAY": 0.05}
    monkeypatch.setattr(raster, "_OPTIONS", raster._OPTIONS | quick)
    server = FaultServer(folder)
    yield server
    server.close()


def behind(scene: Scene, server: FaultServer, query: str = "") -> Scene:
    assets = {b: Asset(f"{server.url}/{Path(a.href).name}{query}") for b, a in scene.assets.items()}
    return dataclasses.replace(scene, assets=assets)


def name_of(scene: Scene, band: str) -> str:
    return Path(scene.assets[band].href).name


def composed(scene: Scene, catalog: Catalog):
    with raster_env():
        return composite_tile([scene], catalog, GRID, WHOLE)


def assert_equal(a, b) -> None:
    np.testing.assert_array_equal(a.ndvi_max, b.ndvi_max)
    np.testing.assert_array_equal(a.clear_count, b.clear_count)


def the_failure(found) -> AssetFailure:
    assert len(found.failures) == 1
    assert not found.clear_count.any()  # nothing of a scene that failed
    return found.failures[0]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(status=503),
        Answer(status=502),
    ],
)
def test_passing_refusals_are_survived(scene, catalog, server, answer):
    server.rule = lambda r: answer if r.count % 3 == 1 and not r.head else Answer()
    assert_equal(composed(behind(scene, server), catalog), composed(scene, catalog))
    assert any(c > 1 for c in server.counts.values())


def test_a_storm_of_503_ends_and_is_named(scene, catalog, server):
    name = name_of(scene, "nir")
    server.rule = lambda r: Answer(status=503) if r.name == name else Answer()
    start = time.monotonic()
    failure = the_failure(composed(behind(scene, server, "?sig=secret"), catalog))
    assert failure.asset == "nir" and "503" in failure.reason
    assert "secret" not in failure.reason
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("drop", [1, 5000])
def test_ranges_cut_short_never_become_pixels(scene, catalog, server, drop):
    name = name_of(scene, "red")

    def rule(request: Request) -> Answer:
        return Answer(drop=drop) if request.name == name and request.start > 0 else Answer()

    server.rule = rule
    assert the_failure(composed(behind(scene, server), catalog)).asset == "red"


def test_a_range_cut_once_is_asked_for_again(scene, catalog, server):
    name, cut = name_of(scene, "red"), []

    def rule(request: Request) -> Answer:
        if request.name == name and request.start > 0 and not cut:
            cut.append(request)
            return Answer(drop=3000)
        return Answer()

    server.rule = rule
    found = composed(behind(scene, server), catalog)
    assert cut
    if found.failures:  # named, and nothing of it in the composite
        assert the_failure(found).asset == "red"
    else:
        assert_equal(found, composed(scene, catalog))


@pytest.mark.parametrize("claim", [100_000, -50_000])
def test_a_wrong_size_is_named_or_does_no_harm(scene, catalog, server, claim):
    name = name_of(scene, "nir")
    server.rule = lambda r: Answer(claim=claim) if r.name == name else Answer()
    found = composed(behind(scene, server), catalog)
    if found.failures:
        assert the_failure(found).asset == "nir"
    else:
        assert_equal(found, composed(scene, catalog))


def test_an_address_that_expires_in_mid_run_is_named(scene, catalog, server):
    name = name_of(scene, "nir")  # its header still answers
    server.rule = lambda r: Answer(status=403) if r.name == name and r.count > 2 else Answer()
    failure = the_failure(composed(behind(scene, server, "?sig=secret"), catalog))
    assert failure.asset == "nir" and "secret" not in failure.reason


def test_a_corrupt_block_inside_is_named(scene, catalog, server):
    name = name_of(scene, "red")
    with rasterio.open(scene.assets["red"].href) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_4_4", "TIFF", bidx=1))
    server.rule = lambda r: Answer(flip=(offset + 20, offset + 400)) if r.name == name else Answer()
    assert the_failure(composed(behind(scene, server), catalog)).asset == "red"


def test_a_server_that_hangs_is_left_and_named(scene, catalog, server):
    name = name_of(scene, "nir")
    server.rule = lambda r: Answer(pause=3) if r.name == name else Answer()
    start = time.monotonic()
    assert the_failure(composed(behind(scene, server), catalog)).asset == "nir"
    assert time.monotonic() - start < 60


def test_a_host_without_address_is_named(scene, catalog, server):
    lost = dataclasses.replace(
        scene, assets=scene.assets | {"nir": Asset("http://nowhere.invalid/nir.tif?sig=secret")}
    )
    failure = the_failure(composed(lost, catalog))
    assert failure.asset == "nir" and "secret" not in failure.reason


def test_a_file_that_lies_elsewhere_than_its_item_says_is_named(scene, catalog, folder):
    """One scene in another CRS than it says: its pixels would land in another county."""
    with rasterio.open(scene.assets["nir"].href) as file:
        data, profile = file.read(), file.profile
        other = 32649 if file.crs.to_epsg() != 32649 else 32650
    wrong = folder / "wrong_nir.tif"
    with rasterio.open(wrong, "w", **(profile | {"crs": f"EPSG:{other}"})) as file:
        file.write(data)
    with raster_env():
        true = check_scene(scene, catalog.datasets["landsat"])
        assert isinstance(true, Scene)
        said = dataclasses.replace(scene, bbox=true.bbox)  # what its item says
        assert check_scene(said, catalog.datasets["landsat"]) == true
        moved = dataclasses.replace(said, assets=scene.assets | {"nir": Asset(str(wrong))})
        failure = check_scene(moved, catalog.datasets["landsat"])
    assert isinstance(failure, AssetFailure)
    assert failure.asset == "nir" and "lies at" in failure.reason
