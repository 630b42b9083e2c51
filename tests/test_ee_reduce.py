"""Composites that Earth Engine reduces: the same as those of the files, pixel by pixel."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import earthengine_archive
import numpy as np
import pytest
import rasterio
import shapely
from earthengine_archive import COLLECTIONS, JUNE, SIZE, grid_of
from earthengine_graph import OPERATIONS, BandFile, StoredImage
from earthengine_service import Fault, Service
from imagery_fakes import catalog_of, landsat_scene, write_item, write_raster

from eco_index import sensors
from eco_index.catalog import Catalog, completed, load_catalog
from eco_index.composite import composite_tile, parameters
from eco_index.compositing import CompositeConfig, How
from eco_index.errors import InputError, PartialError, UsageError
from eco_index.grid import Grid
from eco_index.plan_cost import Tally
from eco_index.records import Mask
from eco_index.sensors.bit_tests import bit_tests
from eco_index.sensors.masks import MASK_RECIPES
from eco_index.sources import ee_client, open_source
from eco_index.sources.scene import Scene
from eco_index.tasks import Task

archive, service = earthengine_archive.archive, earthengine_archive.service  # fixtures
WHOLE = grid_of().tiles()[0]


def with_server(archive: Path, *names: str) -> Catalog:
    """The catalogue, with Earth Engine reducing the datasets named."""
    catalog = load_catalog(archive / "data_catalog.yaml")
    for name in names or ("landsat", "sentinel"):
        dataset = catalog.datasets[f"{name}_engine"]
        access = dataset.access.model_copy(update={"reduce": "server"})
        catalog.datasets[f"{name}_engine"] = dataset.model_copy(update={"access": access})
    return catalog


def scenes_of(catalog: Catalog, *datasets: str, grid=None) -> list[Scene]:
    bounds = (grid or grid_of()).lonlat_bounds()
    found = [open_source(d, catalog).search(bounds, *JUNE).scenes for d in datasets]
    return [scene for part in found for scene in part]


def how(**settings) -> How:
    return How(CompositeConfig.model_validate(settings))


def assert_same(here, there, step: int) -> None:
    assert here.failures == there.failures == ()
    np.testing.assert_array_equal(there.obs_count, here.obs_count)
    np.testing.assert_array_equal(there.clear_count, here.clear_count)
    gap = np.abs(there.ndvi_max.astype(int) - here.ndvi_max)
    assert gap.max() <= step
    assert set(here.layers) == set(there.layers)
    for name, values in here.layers.items():
        if not name.startswith("ndvi"):
            np.testing.assert_array_equal(there.layers[name], values)
            continue
        np.testing.assert_array_equal(there.layers[name] == -32768, here.clear_count == 0)
        assert np.abs(there.layers[name].astype(int) - values).max() <= step


# ---------------------------------------------------------------- masks as tests of bits


@pytest.mark.parametrize("recipe", sorted(MASK_RECIPES))
def test_tests_of_bits_are_the_look_up_table(recipe: str) -> None:
    lut, values = sensors.mask_lut(recipe), np.arange(65536)
    for code in sensors.CODES:
        tests = bit_tests(lut == code)
        hits = sum(((values & mask) == value).astype(int) for mask, value in tests)
        np.testing.assert_array_equal(hits, (lut == code).astype(int))  # none twice
        assert len(tests) <= 64


def test_any_set_of_values_has_its_tests() -> None:
    rng, values = np.random.default_rng(1), np.arange(65536)
    for chosen in (rng.integers(0, 65536, 40), np.arange(1, 65536), [], [0, 65535]):
        selected = np.zeros(65536, bool)
        selected[np.asarray(chosen, int)] = True
        tests = bit_tests(selected)
        got = np.zeros(65536, bool)
        for mask, value in tests:
            got |= (values & mask) == value
        np.testing.assert_array_equal(got, selected)
    with pytest.raises(ValueError, match="16-bit"):
        bit_tests(np.zeros(256, bool))


# ---------------------------------------------------------------- the same map


SETTINGS: tuple[dict, ...] = (
    {},
    {"count": "days", "snow_count": True},
    {"method": "median"},
    {"method": "percentile", "percentile": 80, "count": "days", "snow_count": True},
)


@pytest.mark.parametrize("name", list(COLLECTIONS))
@pytest.mark.parametrize("tile", [SIZE, 32])
def test_the_map_is_that_of_the_files(
    service: Service, archive: Path, name: str, tile: int
) -> None:
    """Counts exactly, NDVI within one step: UTM scenes of two zones on an Albers grid."""
    catalog, grid = with_server(archive), grid_of(tile)
    files, engine = (scenes_of(catalog, f"{name}_{way}") for way in ("files", "engine"))
    for settings in SETTINGS:  # in one session: connecting takes longer than all of them
        service.seen.clear()
        seen = 0
        for part in grid.tiles():
            here = composite_tile(files, catalog, grid, part, how(**settings))
            there = composite_tile(engine, catalog, grid, part, how(**settings))
            assert_same(here, there, step=1)
            seen += int(here.clear_count.sum())
        assert seen > 1000
        assert len(service.requests_of("computePixels")) <= len(grid.tiles())


RECORD = "LANDSAT/LC09/C02/T1_L2"


@pytest.fixture(scope="module")
def same_grid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[StoredImage]]:
    """Scenes on the region's own pixels, with a saturation band: items and a collection."""
    root = tmp_path_factory.mktemp("same_grid")
    grid, images = grid_of(), []
    bbox = list(grid.lonlat_bounds())
    rng = np.random.default_rng(3)
    for k in range(3):
        scene = landsat_scene(root / "files", grid, k, crs=grid.crs_wkt, extent=40 + 8 * k)
        paths = {"red": "red", "nir08": "nir", "qa_pixel": "qa"}
        hrefs = {key: scene.assets[band].href for key, band in paths.items()}
        with rasterio.open(hrefs["red"]) as file:
            # Bits of: no band, red, near infrared, blue (not read), terrain.
            values = rng.choice([0, 8, 16, 2, 2048], file.shape, p=[0.8, 0.05, 0.05, 0.05, 0.05])
            corner = (file.transform.c, file.transform.f)
        path = root / "files" / f"{k}_radsat.tif"
        hrefs["qa_radsat"] = write_raster(path, values.astype("u2"), grid.crs_wkt, corner, 30.0)
        # Two of one overpass, one a week later.
        when = f"2025-06-{(3, 3, 10)[k]:02d}T03:0{k}:00Z"
        properties = {"datetime": when, "platform": "landsat-9"}
        write_item(root / "items" / f"S{k}.json", f"S{k}", hrefs, bbox=bbox, properties=properties)
        masked = {"red": 0.0, "nir08": 0.0, "qa_pixel": 1.0, "qa_radsat": None}
        names = {"red": "SR_B4", "nir08": "SR_B5", "qa_pixel": "QA_PIXEL", "qa_radsat": "QA_RADSAT"}
        bands = {names[key]: BandFile(Path(hrefs[key]), masked[key]) for key in hrefs}
        moment = int(np.datetime64(when.removesuffix("Z"), "ms").astype(np.int64))
        footprint = shapely.geometry.mapping(shapely.box(*bbox))
        images.append(StoredImage(f"{RECORD}/S{k}", moment, footprint, bands))
    return root, images


def guarded_catalog(root: Path) -> Catalog:
    common = {"record": "landsat_oli_c2l2"}
    catalog = catalog_of(
        root,
        files=common | {"access": {"type": "stac_folder", "path": "items"}},
        engine=common
        | {"access": {"type": "earth_engine", "collection": RECORD, "reduce": "server"}},
    )
    for name, dataset in catalog.datasets.items():
        catalog.datasets[name] = completed(dataset, name)
    return catalog


METHODS: tuple[dict, ...] = ({}, {"method": "median"}, {"method": "percentile", "percentile": 37.5})


def test_scenes_of_the_same_grid_agree_to_the_last_bit(
    service: Service, same_grid: tuple[Path, list[StoredImage]]
) -> None:
    """Clouds, shadows, snow, gaps, dead pixels, saturation and valid ranges of the record."""
    root, images = same_grid
    service.collections[RECORD] = images
    catalog = guarded_catalog(root)
    files, engine = scenes_of(catalog, "files"), scenes_of(catalog, "engine")
    assert [s.id for s in files] == [s.id for s in engine] == ["S0", "S1", "S2"]
    for method, (count, most) in product(METHODS, {"observations": 3, "days": 2}.items()):
        settings = how(count=count, snow_count=True, **method)
        here = composite_tile(files, catalog, grid_of(), WHOLE, settings)
        there = composite_tile(engine, catalog, grid_of(), WHOLE, settings)
        assert_same(here, there, step=0)
        assert here.clear_count.max() == most
        assert here.layers["snow_count"].any() and (here.obs_count > here.clear_count).any()
    without = catalog.datasets["files"].model_copy(
        update={"mask": Mask(band="qa_pixel", recipe="landsat_qa_pixel")}
    )
    catalog.datasets["files"] = without  # the guard has taken something out
    plain = composite_tile(scenes_of(catalog, "files"), catalog, grid_of(), WHOLE, settings)
    assert (plain.clear_count > here.clear_count).any()


def test_a_layer_that_carries_ndvi(service: Service, tmp_path: Path) -> None:
    """A signed layer without a quality band: clear where the nearest pixel has a value."""
    grid, rng = grid_of(), np.random.default_rng(5)
    data = rng.integers(-2500, 10001, (60, 60)).astype("i2")
    data[rng.random(data.shape) < 0.2] = -3000
    corner = (grid.bounds[0] - 90, grid.bounds[3] - 130)  # not on the grid's pixels
    path = write_raster(tmp_path / "v.tif", data, grid.crs_wkt, corner, 31.0, nodata=-3000)
    bbox = grid.lonlat_bounds()
    write_item(
        tmp_path / "items" / "V.json",
        "V",
        {"NDVI": path},
        bbox=list(bbox),
        properties={"datetime": "2025-06-11T00:00:00Z"},
    )
    moment = int(np.datetime64("2025-06-11", "ms").astype(np.int64))
    footprint = shapely.geometry.mapping(shapely.box(*bbox))
    stored = {"NDVI": BandFile(Path(path), -3000.0)}
    service.collections["V/I"] = [StoredImage("V/I/V", moment, footprint, stored)]
    band = {"asset": ["NDVI"], "scale": 1e-4, "nodata": -3000, "valid_range": [-2000, 10000]}
    common = {
        "bands": {"ndvi": band, "valid": {"asset": ["NDVI"]}},
        "mask": {"band": "valid", "recipe": "valid_value"},
    }
    access = {"type": "earth_engine", "collection": "V/I"}
    catalog = catalog_of(
        tmp_path,
        here=common | {"access": access},
        there=common | {"access": access | {"reduce": "server"}},
    )
    here, there = (
        composite_tile(scenes_of(catalog, name), catalog, grid, WHOLE) for name in catalog.datasets
    )
    assert_same(here, there, step=1)
    assert 100 < here.clear_count.sum() < here.obs_count.sum() < SIZE * SIZE


def test_served_and_read_scenes_make_one_composite(service: Service, archive: Path) -> None:
    catalog, mixed = load_catalog(archive / "data_catalog.yaml"), with_server(archive, "landsat")
    datasets = ("landsat_engine", "sentinel_files")
    scenes = scenes_of(catalog, *datasets)
    here = composite_tile(scenes, catalog, grid_of(), WHOLE)
    there = composite_tile(scenes, mixed, grid_of(), WHOLE)
    assert_same(here, there, step=1)
    assert (here.clear_count > 3).any()


def test_days_are_not_shared_between_served_and_read(service: Service, archive: Path) -> None:
    catalog = with_server(archive, "landsat")
    scenes = scenes_of(catalog, "landsat_engine", "landsat_files")
    with pytest.raises(UsageError, match="cannot be counted once"):
        composite_tile(scenes, catalog, grid_of(), WHOLE, how(count="days"))


# ---------------------------------------------------------------- what cannot be done


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "medoid"},
        {"method": "geometric_median"},
        {"method": "best_pixel"},
        {"dilation": {"cloud": 2}},
        {"source_index": True},
    ],
    ids=lambda s: next(iter(s.values())) if "method" in s else next(iter(s)),
)
def test_what_the_service_cannot_do_is_refused(
    service: Service, archive: Path, settings: dict
) -> None:
    catalog = with_server(archive)
    scenes = scenes_of(catalog, "landsat_engine")
    service.seen.clear()
    with pytest.raises(UsageError, match=r"cannot do|reduce: here"):
        composite_tile(scenes, catalog, grid_of(), WHOLE, how(**settings))
    tally = Tally(grid_of(), CompositeConfig.model_validate(settings), catalog)
    with pytest.raises(UsageError, match=next(iter(settings))):  # before a run, by the plan
        tally.composite(Task("composite", "2025-06", WHOLE), scenes)
    assert service.seen == []


def test_finer_imagery_is_refused(service: Service, archive: Path) -> None:
    """The service would read its reduced copies, which are not the mean of pixels."""
    catalog = with_server(archive)
    scenes = scenes_of(catalog, "sentinel_engine")
    small = grid_of()
    coarse = Grid(small.crs_wkt, 60.0, small.bounds, 24, 8)
    service.seen.clear()
    with pytest.raises(UsageError, match=r"pixels of 20 m, the grid of 60 m"):
        composite_tile(scenes, catalog, coarse, coarse.tiles()[0])
    assert service.seen == []


@pytest.mark.parametrize("operation", ["Image.resample", "reduce.sum", "Image.bitwiseAnd"])
def test_the_service_refuses_what_it_does_not_know(
    service: Service, archive: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    catalog = with_server(archive)
    scenes = scenes_of(catalog, "landsat_engine")
    monkeypatch.delitem(OPERATIONS, operation)
    with pytest.raises(InputError, match=f"unknown operation '{operation}'"):
        composite_tile(scenes, catalog, grid_of(), WHOLE)


# ---------------------------------------------------------------- requests


def test_the_plan_says_what_is_sent(
    service: Service, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECO_EE_COMPUTED_PX", "20")
    ee_client.disconnect()
    catalog, grid = with_server(archive), grid_of(32)
    scenes = scenes_of(catalog, "landsat_engine")
    tally = Tally(grid, CompositeConfig(snow_count=True), catalog)
    for tile in grid.tiles():
        tally.composite(Task("composite", "2025-06", tile), scenes)
    planned = tally.cost()
    service.seen.clear()
    before = ee_client.client().counts.bytes_received
    for tile in grid.tiles():
        composite_tile(scenes, catalog, grid, tile, how(snow_count=True))
    sent = len(service.requests_of("computePixels"))
    received = ee_client.client().counts.bytes_received - before
    assert sent == planned.requests == 9  # 48 pixels in tiles of 32 in windows of 20
    assert planned.request_bytes == SIZE * SIZE * 8
    assert planned.request_bytes < received <= planned.request_bytes + 256 * sent
    assert planned.bytes_to_read == 0


def test_busy_then_well_and_a_storm(service: Service, archive: Path) -> None:
    catalog = with_server(archive)
    scenes = scenes_of(catalog, "landsat_engine")
    whole = composite_tile(scenes, catalog, grid_of(), WHOLE)
    service.faults += [Fault(429, {"Retry-After": "0"}), Fault(503)]
    again = composite_tile(scenes, catalog, grid_of(), WHOLE)
    assert_same(whole, again, step=0)
    assert ee_client.client().counts.repeats == 2
    service.always = Fault(503)
    with pytest.raises(PartialError, match="4 attempts"):
        composite_tile(scenes, catalog, grid_of(), WHOLE)


def test_too_much_work_is_asked_for_in_parts(service: Service, archive: Path) -> None:
    catalog = with_server(archive)
    scenes = scenes_of(catalog, "landsat_engine")
    whole = composite_tile(scenes, catalog, grid_of(), WHOLE)
    service.seen.clear()
    service.most_px = 24 * 24
    assert_same(whole, composite_tile(scenes, catalog, grid_of(), WHOLE), step=0)
    assert len(service.requests_of("computePixels")) == 5
    service.most_px = 10
    with pytest.raises(InputError, match="memory limit"):
        composite_tile(scenes, catalog, grid_of(), WHOLE)


def test_an_image_that_has_gone_is_a_failure_of_its_scene(service: Service, archive: Path) -> None:
    catalog = with_server(archive)
    scenes = scenes_of(catalog, "landsat_engine")
    expected = composite_tile([scenes[0], scenes[2]], catalog, grid_of(), WHOLE)
    collection = service.collections[COLLECTIONS["landsat"]]
    collection[:] = [i for i in collection if not i.id.endswith(scenes[1].id)]
    found = composite_tile(scenes, catalog, grid_of(), WHOLE)
    (failure,) = found.failures
    assert failure.scene == scenes[1].id and "not found" in failure.reason
    found.failures = ()
    assert_same(expected, found, step=0)


def test_the_place_of_reduction_is_part_of_the_digest(archive: Path) -> None:
    here = load_catalog(archive / "data_catalog.yaml").datasets["landsat_engine"]
    there = with_server(archive).datasets["landsat_engine"]
    assert "reduced" not in parameters(here)
    assert parameters(there) == {**parameters(here), "reduced": parameters(there)["reduced"]}
