"""Options of the maximum-NDVI composite: rims of clouds, source index, days, snow."""

from __future__ import annotations

import dataclasses
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagery_fakes import (
    CLEAR_QA,
    CLOUD_QA,
    SHADOW_QA,
    SNOW_QA,
    WORLD,
    catalog_of,
    grid_of,
    landsat_entry,
    landsat_scene,
    write_raster,
)
from pydantic import ValidationError
from scipy import ndimage

from eco_index import kernel_masks, scene_windows, sensors
from eco_index.catalog import Catalog
from eco_index.composite import Composite, composite_tile, solar_day
from eco_index.compositing import BestPixel, CompositeConfig, Dilation, How
from eco_index.grid import Grid, Tile
from eco_index.sources.scene import Asset, Scene

GRID = grid_of(100, 90)
EVERYTHING = CompositeConfig(
    dilation=Dilation(cloud=3, shadow=2.3), source_index=True, snow_count=True, count="days"
)
fixture_check = [HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog_of(tmp_path_factory.mktemp("catalog"), landsat=landsat_entry())


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    folder = tmp_path_factory.mktemp("scenes")
    made = [
        landsat_scene(folder, GRID, 1),
        landsat_scene(folder, GRID, 2, "EPSG:32650"),
        landsat_scene(folder, GRID, 3, extent=80),
    ]
    # The first two are one overpass.
    return [dataclasses.replace(made[0], datetime="2025-07-03T02:59:00Z"), made[1], made[2]]


def whole(grid: Grid) -> Tile:
    return Tile(0, 0, 0, grid.shape[0], 0, grid.shape[1])


def make(
    scenes: list[Scene],
    catalog: Catalog,
    grid: Grid,
    settings: CompositeConfig,
    tile: Tile | None = None,
    numbers: tuple[int, ...] = (),
) -> Composite:
    return composite_tile(scenes, catalog, grid, tile or whole(grid), How(settings, numbers))


def rims(qa: np.ndarray, cloud: float, shadow: float) -> np.ndarray:
    """Quality values with rims grown on the whole scene, by another program's distances."""
    out = qa.copy()
    for value, reach in ((CLOUD_QA, cloud), (SHADOW_QA, shadow)):
        hit = qa == value
        if hit.any() and reach:
            near = ndimage.distance_transform_edt(~hit) <= reach
            out[near & (out == CLEAR_QA)] = value
    return out


def with_rims(scene: Scene, folder: Path, cloud: float, shadow: float) -> Scene:
    with rasterio.open(scene.assets["qa"].href) as source:
        qa, profile = source.read(1), source.profile
    path = folder / f"{scene.id}_rims.tif"
    with rasterio.open(path, "w", **profile) as out:
        out.write(rims(qa, cloud, shadow), 1)
    return dataclasses.replace(scene, assets=scene.assets | {"qa": Asset(str(path))})


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.floats(0, 0.3), st.data())
@settings(max_examples=60, deadline=None)
def test_distances_are_those_of_scipy(
    height: int, width: int, cap: int, share: float, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    codes = np.where(rng.random((height, width)) < share, sensors.CLOUD, sensors.CLEAR)
    codes[rng.random((height, width)) < share / 2] = sensors.SHADOW
    codes = codes.astype(np.uint8)
    found = kernel_masks.squared_distance(codes, sensors.CLOUD, sensors.SHADOW, cap)
    assert found.max() <= (cap + 1) ** 2
    free = codes == sensors.CLEAR
    if free.all():
        assert (found == (cap + 1) ** 2).all()
        return
    expected = np.rint(ndimage.distance_transform_edt(free) ** 2).astype(int)
    near = (expected <= cap * cap) | (found <= cap * cap)
    np.testing.assert_array_equal(found[near], expected[near])


def test_rims_are_those_of_the_whole_scene(
    tmp_path: Path, catalog: Catalog, scenes: list[Scene]
) -> None:
    wanted = CompositeConfig(dilation=Dilation(cloud=3, shadow=2.3))
    made = make(scenes, catalog, GRID, wanted)
    grown = [with_rims(s, tmp_path, 3, 2.3) for s in scenes]
    expected = make(grown, catalog, GRID, CompositeConfig())
    plain = make(scenes, catalog, GRID, CompositeConfig())
    for name, values in expected.arrays().items():
        np.testing.assert_array_equal(made.arrays()[name], values, err_msg=name)
    assert made.clear_count.sum() < 0.8 * plain.clear_count.sum()
    np.testing.assert_array_equal(made.obs_count, plain.obs_count)  # rims were observed


def test_metres_are_pixels_of_the_quality_band(catalog: Catalog, scenes: list[Scene]) -> None:
    # UTM's scale and the grid's differ: 75 m and 77 m both reach 2 pixels of about 30 m.
    of_pixels = make(scenes, catalog, GRID, CompositeConfig(dilation=Dilation(cloud=2.5)))
    metres = Dilation(cloud=75, unit="metres")
    of_metres = make(scenes, catalog, GRID, CompositeConfig(dilation=metres))
    np.testing.assert_array_equal(of_pixels.clear_count, of_metres.clear_count)
    wider = make(
        scenes, catalog, GRID, CompositeConfig(dilation=Dilation(cloud=150, unit="metres"))
    )
    assert wider.clear_count.sum() < of_metres.clear_count.sum()


def test_snow_stays_snow_beside_a_cloud(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(30, 20)
    qa = np.full(grid.shape, CLEAR_QA, "u2")
    qa[10, 10], qa[10, 11], qa[10, 12] = CLOUD_QA, SNOW_QA, 1
    scene = single(tmp_path, grid, qa)
    wanted = CompositeConfig(dilation=Dilation(cloud=2), snow_count=True)
    made = make([scene], catalog, grid, wanted)
    disc = {(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)} | {(0, 2), (0, -2), (2, 0), (-2, 0)}
    missing = {(r - 10, c - 10) for r, c in np.argwhere(made.clear_count == 0).tolist()}
    assert missing == disc
    assert made.obs_count[10, 12] == 0 and made.obs_count.sum() == made.obs_count.size - 1
    assert np.argwhere(made.layers["snow_count"] == 1).tolist() == [[10, 11]]


@pytest.mark.parametrize(
    "method", ["maximum_ndvi", "median", "medoid", "geometric_median", "best_pixel"]
)
def test_of_an_overcast_scene_only_the_quality_band_is_read(
    tmp_path: Path, catalog: Catalog, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = grid_of(40, 30)
    over = np.full(grid.shape, CLOUD_QA, "u2")
    over[3:9, 4:20], over[20:, 5] = SNOW_QA, 1
    clear = np.full(grid.shape, CLEAR_QA, "u2")
    clear[15:25] = SHADOW_QA
    both = [single(tmp_path, grid, over, "over"), single(tmp_path, grid, clear, "clear")]
    if method == "best_pixel":
        wanted = CompositeConfig(method="best_pixel", snow_count=True)
        span = (dt.date(2025, 7, 1), dt.date(2025, 7, 31))
    else:
        wanted, span = CompositeConfig(method=method, snow_count=True), None
    read: list[str] = []
    read_asset = scene_windows.read_asset

    def noted(source: Any, href: str, *more: Any) -> np.ndarray:
        read.append(Path(href).stem)
        return read_asset(source, href, *more)

    monkeypatch.setattr(scene_windows, "read_asset", noted)
    how = How(wanted, (0, 1), span)
    made = composite_tile(both, catalog, grid, whole(grid), how).arrays()
    assert sorted(read) == ["clearnir", "clearqa", "clearred", "overqa"]
    monkeypatch.setattr(kernel_masks, "any_code", lambda *_: True)
    full = composite_tile(both, catalog, grid, whole(grid), how).arrays()
    assert "overred" in read
    for name, values in full.items():
        np.testing.assert_array_equal(made[name], values)
    assert made["obs_count"].max() == 2 and made["snow_count"].sum() == 6 * 16


def single(folder: Path, grid: Grid, qa: np.ndarray, name: str = "S", **changes: Any) -> Scene:
    """A scene on the grid's own pixels: NDVI 0.5 where clear."""
    corner = (grid.bounds[0], grid.bounds[3])
    values = {"red": np.full_like(qa, 10909), "nir": np.full_like(qa, 18182), "qa": qa}
    assets = {
        band: Asset(write_raster(folder / f"{name}{band}.tif", v, grid.crs_wkt, corner, 30.0))
        for band, v in values.items()
    }
    return Scene(name, "landsat", "2025-07-01T03:00:00Z", WORLD, assets, **changes)


def test_source_index_names_the_scene_of_the_maximum(catalog: Catalog, scenes: list[Scene]) -> None:
    alone = [make([s], catalog, GRID, CompositeConfig()).ndvi_max for s in scenes]
    made = make(scenes, catalog, GRID, CompositeConfig(source_index=True), None, (4, 7, 9))
    index = made.layers["source_index"]
    np.testing.assert_array_equal(made.ndvi_max, np.max(alone, axis=0))
    expected = np.array([4, 7, 9])[np.argmax(alone, axis=0)]  # argmax: the first of equals
    expected[made.ndvi_max == -32768] = 65535
    np.testing.assert_array_equal(index, expected)
    assert set(np.unique(index)) == {4, 7, 9, 65535}
    plain = make(scenes, catalog, GRID, CompositeConfig())
    np.testing.assert_array_equal(made.ndvi_max, plain.ndvi_max)


def test_of_equal_values_the_earlier_scene_counts(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(20, 20)
    qa = np.full(grid.shape, CLEAR_QA, "u2")
    first = single(tmp_path, grid, qa)
    later = dataclasses.replace(first, id="T", datetime="2025-07-02T03:00:00Z")
    for listed, numbers in (([first, later], (0, 1)), ([later, first], (1, 0))):
        made = make(listed, catalog, grid, CompositeConfig(source_index=True), None, numbers)
        assert (made.layers["source_index"] == 0).all()


@settings(max_examples=15, deadline=None, suppress_health_check=fixture_check)
@given(st.integers(5, 70), st.integers(5, 70), st.permutations([0, 1, 2]))
def test_same_bits_for_any_tiles_and_order(
    catalog: Catalog, scenes: list[Scene], height: int, width: int, order: list[int]
) -> None:
    at_once = make(scenes, catalog, GRID, EVERYTHING)
    assert set(at_once.layers) == {"source_index", "snow_count"}
    for y0 in range(0, GRID.shape[0], height):
        for x0 in range(0, GRID.shape[1], width):
            y1, x1 = min(y0 + height, GRID.shape[0]), min(x0 + width, GRID.shape[1])
            tile = Tile(0, 0, y0, y1, x0, x1)
            listed = [scenes[k] for k in order]
            part = make(listed, catalog, GRID, EVERYTHING, tile, tuple(order))
            for name, values in part.arrays().items():
                np.testing.assert_array_equal(values, at_once.arrays()[name][tile.slices], name)


def test_days_are_counted_once(catalog: Catalog, scenes: list[Scene]) -> None:
    wanted = CompositeConfig(count="days", snow_count=True)
    alone = [make([s], catalog, GRID, CompositeConfig(snow_count=True)) for s in scenes]
    made = make(scenes, catalog, GRID, wanted)
    for name in ("clear_count", "obs_count", "snow_count"):
        a, b, c = (m.arrays()[name].astype(int) for m in alone)
        np.testing.assert_array_equal(made.arrays()[name], np.maximum(a, b) + c, err_msg=name)
    assert made.clear_count.max() == 2
    plain = make(scenes, catalog, GRID, CompositeConfig())
    assert plain.clear_count.max() == 3
    np.testing.assert_array_equal(made.ndvi_max, plain.ndvi_max)


def test_a_day_is_that_of_the_sun() -> None:
    scene = Scene("S", "d", "2025-07-03T23:30:00Z", (118.0, 40.0, 122.0, 42.0), {})
    assert solar_day(scene) == dt.date(2025, 7, 4)
    assert solar_day(dataclasses.replace(scene, bbox=(-90.0, 0, -90.0, 1))).day == 3
    over_the_line = dataclasses.replace(scene, bbox=(179.0, 0.0, -177.0, 1.0))  # middle: 179 W
    assert solar_day(over_the_line) == dt.date(2025, 7, 3)


def test_several_threads_give_the_same(catalog: Catalog, scenes: list[Scene]) -> None:
    tiles = [Tile(0, 0, y, y + 30, x, x + 25) for y in (0, 30, 60) for x in (0, 25, 50, 75)]
    at_once = make(scenes, catalog, GRID, EVERYTHING)
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda t: make(scenes, catalog, GRID, EVERYTHING, t), tiles * 3)
        for tile, part in zip(tiles * 3, parts, strict=True):
            for name, values in part.arrays().items():
                np.testing.assert_array_equal(values, at_once.arrays()[name][tile.slices], name)


@pytest.mark.parametrize(("dtype", "place"), [("i1", 255), ("i2", 65535), ("u2", 65535)])
@pytest.mark.parametrize("where", ["catalogue", "file"])
def test_signed_no_data_of_a_quality_band_is_a_gap(
    tmp_path: Path, dtype: str, place: int, where: str
) -> None:
    """-1 is looked up by its bits: without care it was taken for an observation."""
    nodata = 65535 if dtype == "u2" else -1
    entry = landsat_entry(mask={"band": "qa", "recipe": "s2_scl"})
    entry["bands"]["qa"] = {"asset": ["qa"]}
    if where == "catalogue":
        entry["bands"]["qa"]["nodata"] = nodata
    catalog = catalog_of(tmp_path, landsat=entry)
    grid = grid_of(16, 16)
    qa = np.full(grid.shape, 4, dtype)
    qa[2, 3] = nodata
    qa[5, 5] = 8
    scene = single(tmp_path, grid, np.full(grid.shape, 4, "u2"))
    path = write_raster(
        tmp_path / "signed.tif", qa, grid.crs_wkt, (grid.bounds[0], grid.bounds[3]), 30.0,
        nodata=nodata if where == "file" else None,
    )  # fmt: skip
    scene = dataclasses.replace(scene, assets=scene.assets | {"qa": Asset(path)})
    made = make([scene], catalog, grid, CompositeConfig())
    assert np.argwhere(made.obs_count == 0).tolist() == [[2, 3]]
    assert np.argwhere(made.clear_count == 0).tolist() == [[2, 3], [5, 5]]
    lut = scene_windows.quality_lut(catalog.datasets["landsat"], nodata, np.dtype(dtype))
    assert lut[place] == sensors.FILL


def test_defaults_leave_digests_alone() -> None:
    assert CompositeConfig().declared() == {} and CompositeConfig().layers == ()
    assert CompositeConfig(dilation=Dilation()).parameters() == {}
    one = CompositeConfig(dilation=Dilation(cloud=1)).parameters()
    assert one != CompositeConfig(dilation=Dilation(cloud=1, unit="metres")).parameters() != {}
    # What is not written out counts too: the default scores are the project's, and may change.
    assert CompositeConfig(method="best_pixel").parameters()["best_pixel"]["cloud_distance"]


@pytest.mark.parametrize(
    ("given_keys", "told"),
    [
        ({"method": "percentile"}, "percentile"),
        ({"percentile": 90}, "percentile"),
        ({"method": "median", "source_index": True}, "not the value of one scene"),
        ({"bands": ["swir16"]}, "medoid and geometric_median"),
        ({"method": "medoid", "bands": ["red"]}, "beside red and nir"),
        ({"best_pixel": {}}, "best_pixel"),
        ({"method": "best_pixel", "best_pixel": {"day": 0, "cloud": 0, "sensor": 0}}, "above 0"),
        ({"method": "best_pixel", "best_pixel": {"sensors": {"landsat-7": 2}}}, "between 0 and 1"),
        ({"dilation": {"cloud": 900}}, "slip"),
        ({"dilation": {"cloud": -1}}, "greater than or equal to 0"),
        ({"interpolation": {"max_gap": 0}}, "greater than or equal to 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given_keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CompositeConfig.model_validate(given_keys)


def test_scores_of_sensors_go_by_platform_then_dataset() -> None:
    scores = BestPixel(sensors={"LANDSAT-7": 0.4, "landsat": 0.8})
    assert scores.sensor_score("landsat-7", "landsat") == 0.4
    assert scores.sensor_score("landsat-8", "landsat") == 0.8
    assert scores.sensor_score(None, "sentinel2") == 1.0
