"""Medians, percentiles, medoid, geometric median, best pixel: against NumPy and SciPy."""

from __future__ import annotations

import dataclasses
import datetime as dt
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
    WORLD,
    catalog_of,
    grid_of,
    landsat_entry,
    landsat_scene,
    write_raster,
)
from scipy import ndimage, optimize

from eco_index import kernel_reduce
from eco_index.catalog import Catalog
from eco_index.composite import Composite, composite_tile
from eco_index.composite_methods import base_score, blocks_of, composite_by_method
from eco_index.compositing import BestPixel, CompositeConfig, How
from eco_index.grid import Grid, Tile
from eco_index.sources.scene import Asset, Scene

GRID = grid_of(60, 50)
FILL = -32768
JULY = (dt.date(2025, 7, 1), dt.date(2025, 7, 31))
fixture_check = [HealthCheck.function_scoped_fixture]
METHODS = [
    CompositeConfig(method="median", count="days"),
    CompositeConfig(method="percentile", percentile=90),
    CompositeConfig(method="medoid", bands=("swir16",), source_index=True),
    CompositeConfig(method="geometric_median", bands=("swir16",), snow_count=True),
    CompositeConfig(method="best_pixel", source_index=True, count="days"),
]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    entry = landsat_entry()
    entry["bands"]["swir16"] = entry["bands"]["red"] | {"asset": ["swir16"]}
    catalog = catalog_of(tmp_path_factory.mktemp("catalog"), landsat=entry)
    catalog.datasets["landsat"]._also_read = ("swir16",)
    return catalog


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    """Six scenes in two UTM zones, the first two of one day; a short-wave band with gaps."""
    folder = tmp_path_factory.mktemp("scenes")
    made = []
    for seed in range(1, 7):
        zone, extent = f"EPSG:{32649 + seed % 2}", (60 if seed == 3 else 110)
        scene = landsat_scene(folder, GRID, seed, zone, extent)
        with rasterio.open(scene.assets["red"].href) as source:
            values, profile = source.read(1), source.profile
        rng = np.random.default_rng(seed)
        values = (values * 1.2 + rng.integers(0, 900, values.shape)).astype("u2")
        values[rng.random(values.shape) < 0.03] = 0
        path = folder / f"{seed}_swir16.tif"
        with rasterio.open(path, "w", **profile) as out:
            out.write(values, 1)
        day = 2 if seed == 1 else seed
        assets = scene.assets | {"swir16": Asset(str(path))}
        time = f"2025-07-{day + 1:02d}T02:5{seed}:00Z"
        made.append(dataclasses.replace(scene, assets=assets, datetime=time))
    return made


def whole(grid: Grid) -> Tile:
    return Tile(0, 0, 0, grid.shape[0], 0, grid.shape[1])


def make(
    scenes: list[Scene],
    catalog: Catalog,
    wanted: CompositeConfig,
    grid: Grid = GRID,
    tile: Tile | None = None,
    numbers: tuple[int, ...] = (),
) -> Composite:
    how = How(wanted, numbers or tuple(range(len(scenes))), JULY)
    return composite_tile(scenes, catalog, grid, tile or whole(grid), how)


def stack_of(scenes: list[Scene], catalog: Catalog, grid: Grid = GRID) -> np.ndarray:
    """NDVI of each scene alone (that is tested on its own), stored."""
    return np.stack([make([s], catalog, CompositeConfig(), grid).ndvi_max for s in scenes])


def half_away(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.floor(np.abs(values) + 0.5)


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.parametrize("percent", [0, 10, 50, 62.5, 90, 100])
def test_percentiles_are_those_of_numpy(
    catalog: Catalog, scenes: list[Scene], percent: float
) -> None:
    stack = stack_of(scenes, catalog)
    values = np.where(stack == FILL, np.nan, stack.astype(float))
    expected = half_away(np.nanpercentile(values, percent, axis=0))
    expected[np.isnan(expected)] = FILL
    made = make(scenes, catalog, CompositeConfig(method="percentile", percentile=percent))
    np.testing.assert_array_equal(made.layers["ndvi_percentile"], expected)
    np.testing.assert_array_equal(made.clear_count, (stack != FILL).sum(axis=0))
    assert (made.clear_count == 0).any() and made.clear_count.max() >= 5
    if percent == 100:
        np.testing.assert_array_equal(made.layers["ndvi_percentile"], made.ndvi_max)
    if percent == 50:
        median = half_away(np.nanmedian(values, axis=0))
        median[np.isnan(median)] = FILL
        of_method = make(scenes, catalog, CompositeConfig(method="median"))
        np.testing.assert_array_equal(of_method.layers["ndvi_median"], median)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-10000, 10000), max_size=40), st.floats(0, 100), st.integers(0, 5))
def test_a_percentile_of_any_values(values: list[int], percent: float, gaps: int) -> None:
    layers = np.array([*values, *[FILL] * gaps, FILL], np.int16)
    np.random.default_rng(len(values)).shuffle(layers)
    out = np.zeros((1, 1), np.int16)
    kernel_reduce.percentile(layers[:, None, None], percent / 100, out)
    if not values:
        assert out[0, 0] == FILL
        return
    expected = np.percentile(np.array(values, float), percent)
    assert out[0, 0] == half_away(np.array([expected]))[0]


def test_many_values_are_sorted_too() -> None:
    rng = np.random.default_rng(5)
    stack = rng.integers(-10000, 10001, (1500, 2, 3)).astype(np.int16)
    out = np.zeros((2, 3), np.int16)
    kernel_reduce.percentile(stack, 0.25, out)
    expected = half_away(np.percentile(stack.astype(float), 25, axis=0))
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("wanted", METHODS, ids=lambda w: w.method)
def test_same_bits_for_any_tiles_blocks_and_order(
    catalog: Catalog, scenes: list[Scene], wanted: CompositeConfig
) -> None:
    at_once = make(scenes, catalog, wanted).arrays()

    @settings(max_examples=3, deadline=None, suppress_health_check=fixture_check)
    @given(st.integers(20, 60), st.integers(20, 60), st.permutations(range(6)), st.integers(13, 17))
    def check(height: int, width: int, order: list[int], budget: int) -> None:
        listed = [scenes[k] for k in order]
        how = How(wanted, tuple(order), JULY)
        for y0 in range(0, GRID.shape[0], height):
            for x0 in range(0, GRID.shape[1], width):
                y1, x1 = min(y0 + height, GRID.shape[0]), min(x0 + width, GRID.shape[1])
                tile = Tile(0, 0, y0, y1, x0, x1)
                part = composite_by_method(listed, catalog, GRID, tile, how, budget=2**budget)
                for name, values in part.arrays().items():
                    np.testing.assert_array_equal(values, at_once[name][tile.slices], name)

    check()
    basis = at_once[wanted.basis]
    np.testing.assert_array_equal(basis != FILL, at_once["clear_count"] > 0)
    np.testing.assert_array_equal(at_once["ndvi_max"] != FILL, at_once["clear_count"] > 0)
    assert (basis <= at_once["ndvi_max"]).all() and (basis < at_once["ndvi_max"]).any()


def test_blocks_cover_a_tile_once_within_the_budget() -> None:
    tile = Tile(0, 0, 30, 101, 7, 60)
    for budget in (1, 50, 777, 10**9):
        seen = np.zeros((101, 60), int)
        for block in blocks_of(tile, 9, 2, budget):
            seen[block.slices] += 1
            height, width = block.shape
            assert height * width in (1,) or height * width * 9 * 2 <= budget
        assert (seen[tile.slices] == 1).all() and seen.sum() == 71 * 53


def on_grid(
    folder: Path, grid: Grid, count: int, seed: int
) -> tuple[list[Scene], np.ndarray, np.ndarray]:
    """Scenes on the grid's own pixels, their reflectances (bands, scenes, y, x) and validity."""
    rng = np.random.default_rng(seed)
    corner = (grid.bounds[0], grid.bounds[3])
    scenes, spectra, valid = [], [], []
    for k in range(count):
        stored = {
            b: rng.integers(7200, 22000, grid.shape).astype("u2") for b in ("red", "nir", "swir16")
        }
        stored["swir16"][rng.random(grid.shape) < 0.1] = 0
        choice = np.array([CLEAR_QA, CLOUD_QA, SHADOW_QA], "u2")
        coarse = rng.choice(choice, (6, 6), p=[0.75, 0.15, 0.1])
        qa = np.kron(coarse, np.ones((8, 8), "u2"))[: grid.shape[0], : grid.shape[1]].astype("u2")
        assets = {
            band: Asset(write_raster(folder / f"{k}{band}.tif", v, grid.crs_wkt, corner, 30.0))
            for band, v in (stored | {"qa": qa}).items()
        }
        time = f"2025-07-{3 * k + 1:02d}T03:00:00Z"
        scenes.append(Scene(f"S{k}", "landsat", time, WORLD, assets, {"platform": f"landsat-{k}"}))
        physical = [stored[b] * 2.75e-5 + -0.2 for b in ("red", "nir", "swir16")]
        physical[:2] = [np.maximum(v, 0) for v in physical[:2]]
        spectra.append(np.array(physical))
        valid.append((qa == CLEAR_QA) & (stored["swir16"] > 0) & (physical[0] + physical[1] > 0))
    return scenes, np.stack(spectra, axis=1), np.array(valid)


def test_medoid_is_the_observation_nearest_to_all(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(40, 36)
    scenes, spectra, valid = on_grid(tmp_path, grid, 7, 1)
    wanted = CompositeConfig(method="medoid", bands=("swir16",), source_index=True)
    made = make(scenes, catalog, wanted, grid)
    np.testing.assert_array_equal(made.clear_count, valid.sum(axis=0))
    values = np.where(valid, spectra.astype(np.float32), np.nan).astype(float)
    apart = np.sqrt(((values[:, :, None] - values[:, None]) ** 2).sum(axis=0))
    costs = np.where(valid, np.nansum(apart, axis=1), np.inf)
    index = made.layers["source_index"]
    np.testing.assert_array_equal(index == 65535, ~valid.any(axis=0))
    seen = index < 65535
    picked = np.take_along_axis(costs, np.where(seen, index, 0)[None].astype(int), axis=0)[0]
    assert (picked[seen] <= costs.min(axis=0)[seen] * (1 + 1e-12)).all()
    # Of two observations (equal sums) the earlier one.
    two = valid.sum(axis=0) == 2
    assert two.any()
    np.testing.assert_array_equal(index[two], np.argmax(valid, axis=0)[two])
    alone = stack_of(scenes, catalog, grid)
    of_index = np.take_along_axis(alone, np.where(seen, index, 0)[None].astype(int), axis=0)[0]
    np.testing.assert_array_equal(made.layers["ndvi_medoid"][seen], of_index[seen])
    best = np.where(valid, alone, FILL).max(axis=0)
    np.testing.assert_array_equal(made.ndvi_max, best)


def centre(points: np.ndarray) -> np.ndarray:
    points = np.ascontiguousarray(points, float)
    bands = points.shape[1]
    out, work = np.empty(bands), np.empty((bands + 3, bands))
    steps = kernel_reduce.centre_of(points, len(points), np.empty(len(points)), out, work)
    assert steps < kernel_reduce.MAX_STEPS
    return out


def cost(points: np.ndarray, place: np.ndarray) -> float:
    return float(np.sqrt(((points - place) ** 2).sum(axis=1)).sum())


def weiszfeld(points: np.ndarray) -> np.ndarray:
    """The plain iteration from the mean that other programs (hdstats) use, without corrections."""
    place = points.mean(axis=0)
    for _ in range(2000):
        apart = np.sqrt(((points - place) ** 2).sum(axis=1))
        weight = 1 / np.maximum(apart, 1e-15)
        place = (points * weight[:, None]).sum(axis=0) / weight.sum()
    return place


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(2, 5), st.integers(0, 10**6), st.booleans())
def test_geometric_median_is_the_place_of_least_cost(
    count: int, bands: int, seed: int, doubled: bool
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.random((count, bands)) * 0.6
    if doubled:
        points[: count // 2] = points[0]
    found = centre(points)
    best = optimize.minimize(
        lambda p: cost(points, p), points.mean(axis=0), method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 20000, "maxfev": 20000},
    )  # fmt: skip
    other = min(best.fun, min(cost(points, p) for p in points))
    assert cost(points, found) <= other + 1e-8
    # Shuffled, moved and scaled points have the same median, shuffled, moved and scaled.
    np.testing.assert_allclose(centre(points[::-1]), found, atol=3e-6)
    np.testing.assert_allclose(centre(points * 0.5 + 0.1), found * 0.5 + 0.1, atol=3e-6)


def test_geometric_medians_that_are_known() -> None:
    # An angle of 120 degrees or more: its corner (Torricelli); else lines meet at 120 degrees.
    flat = np.array([[0.0, 0.0], [0.3, 0.05], [-0.3, 0.05]])
    np.testing.assert_array_equal(centre(flat), [0, 0])
    third = np.array([[np.cos(a), np.sin(a)] for a in np.deg2rad([90, 210, 330])]) * 0.2
    np.testing.assert_allclose(centre(third + 0.3), [0.3, 0.3], atol=1e-6)
    # A convex quadrilateral: where the diagonals cross.
    quad = np.array([[0.0, 0.0], [0.4, 0.1], [0.5, 0.6], [0.1, 0.3]])
    a = np.array([quad[2] - quad[0], quad[1] - quad[3]]).T
    s = np.linalg.solve(a, quad[1] - quad[0])
    np.testing.assert_allclose(centre(quad), quad[0] + s[0] * (quad[2] - quad[0]), atol=1e-6)
    # Points on a line: the middle one; two: their middle; one; all alike.
    line = np.outer([0.1, 0.2, 0.9, 0.3, 0.25], [1.0, 0.5])
    np.testing.assert_allclose(centre(line), [0.25, 0.125], atol=1e-9)
    np.testing.assert_allclose(centre(line[:2]), line[:2].mean(axis=0), atol=1e-12)
    np.testing.assert_array_equal(centre(line[:1]), line[0])
    np.testing.assert_array_equal(centre(np.repeat(line[:1], 5, axis=0)), line[0])


def test_geometric_median_of_scenes(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(20, 18)
    scenes, spectra, valid = on_grid(tmp_path, grid, 6, 2)
    wanted = CompositeConfig(method="geometric_median", bands=("swir16",))
    made = make(scenes, catalog, wanted, grid)
    np.testing.assert_array_equal(made.clear_count, valid.sum(axis=0))
    alone = stack_of(scenes, catalog, grid)
    for y, x in np.argwhere(np.arange(360).reshape(grid.shape) % 7 == 0).tolist():
        points = spectra[:, valid[:, y, x], y, x].T
        got = made.layers["ndvi_geometric_median"][y, x]
        if len(points) == 0:
            assert got == FILL
        elif len(points) == 1:
            assert got == alone[valid[:, y, x], y, x][0]
        else:
            red, nir, _ = weiszfeld(points)
            assert abs(got - (nir - red) / (nir + red) * 1e4) <= 0.6, (y, x)


def test_best_pixel_has_the_highest_score(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(40, 36)
    scenes, _, _ = on_grid(tmp_path, grid, 6, 3)
    scores = BestPixel(day=1, cloud=2, sensor=0.5, cloud_distance=200, sensors={"landsat-3": 0.2})
    wanted = CompositeConfig(method="best_pixel", best_pixel=scores, source_index=True)
    made = make(scenes, catalog, wanted, grid)
    alone = stack_of(scenes, catalog, grid)
    found = np.full(alone.shape, -1.0)
    for k, scene in enumerate(scenes):
        with rasterio.open(scene.assets["qa"].href) as source:
            bad = source.read(1) != CLEAR_QA
        away = ndimage.distance_transform_edt(~bad) * 30 if bad.any() else np.full(bad.shape, 1e9)
        days_off = abs(3 * k + 1 - 16)  # July's middle is the 16th
        score = 1 - days_off / 15.5 + 2 * np.minimum(away, 200) / 200
        score += 0.5 * (0.2 if k == 3 else 1.0)
        found[k] = np.where(alone[k] != FILL, score, -1)
    index = made.layers["source_index"]
    seen = (alone != FILL).any(axis=0)
    np.testing.assert_array_equal(index < 65535, seen)
    picked = np.take_along_axis(found, np.where(seen, index, 0)[None].astype(int), axis=0)[0]
    np.testing.assert_allclose(picked[seen], found.max(axis=0)[seen], rtol=0, atol=1e-9)
    of_index = np.take_along_axis(alone, np.where(seen, index, 0)[None].astype(int), axis=0)[0]
    np.testing.assert_array_equal(made.layers["ndvi_best_pixel"][seen], of_index[seen])
    np.testing.assert_array_equal(made.ndvi_max, alone.max(axis=0))
    assert len(np.unique(index[seen])) >= 4


def test_days_at_the_middle_of_the_month_score_highest(scenes: list[Scene]) -> None:
    how = How(CompositeConfig(method="best_pixel"), (), JULY)
    days = [1, 10, 16, 17, 31]
    got = [
        base_score(dataclasses.replace(scenes[0], datetime=f"2025-07-{d:02d}T03:00:00Z"), how)
        for d in days
    ]
    np.testing.assert_allclose(got, [1 + 1 - abs(d - 16) / 15.5 for d in days])


@pytest.mark.parametrize("wanted", METHODS, ids=lambda w: w.method)
def test_unreadable_scenes_add_nothing_and_no_scene_is_no_value(
    catalog: Catalog, scenes: list[Scene], wanted: CompositeConfig, tmp_path: Path
) -> None:
    gone = dataclasses.replace(
        scenes[0], id="gone", assets=scenes[0].assets | {"red": Asset(str(tmp_path / "no.tif"))}
    )
    numbers = (0, 1, 2)
    made = make([*scenes[:3], gone], catalog, wanted, numbers=(*numbers, 3))
    (failure,) = made.failures
    assert (failure.scene, failure.asset) == ("gone", "red")
    expected = make(scenes[:3], catalog, wanted, numbers=numbers)
    for name, values in expected.arrays().items():
        np.testing.assert_array_equal(made.arrays()[name], values, err_msg=name)
    empty = make([], catalog, wanted)
    assert (empty.layers[wanted.basis] == FILL).all() and not empty.clear_count.any()


def test_memory_does_not_grow_with_the_number_of_scenes(
    catalog: Catalog, scenes: list[Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The observations held at once stay within the budget, for 6 scenes and for 36."""
    sizes: list[int] = []
    real = kernel_reduce.percentile

    def watched(stack: np.ndarray, *rest: Any) -> None:
        sizes.append(stack.nbytes)
        real(stack, *rest)

    monkeypatch.setattr(kernel_reduce, "percentile", watched)
    how = How(CompositeConfig(method="median"), (), JULY)
    budget = 6 * GRID.shape[0] * GRID.shape[1]
    for times in (1, 6):
        sizes.clear()
        listed = [dataclasses.replace(s, id=f"{s.id}-{t}") for t in range(times) for s in scenes]
        made = composite_by_method(listed, catalog, GRID, whole(GRID), how, budget)
        assert max(sizes) <= budget and len(sizes) >= 2 * times
        assert made.clear_count.max() >= 5 * times
