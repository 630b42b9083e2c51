"""Composites: equal to a plain reference, the same bits for any tiles, honest about failures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagery_fakes import (
    CLEAR_QA,
    CLOUD_QA,
    WORLD,
    catalog_of,
    grid_of,
    landsat_entry,
    landsat_scene,
    origin_over,
    reference_composite,
    write_raster,
)

from eco_index import composite, kernel_shifted, warp
from eco_index.catalog import Catalog
from eco_index.composite import Composite, composite_tile, parameters
from eco_index.errors import UsageError
from eco_index.grid import Grid, Tile
from eco_index.sources.scene import Asset, Scene

GRID = grid_of(100, 90)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog_of(tmp_path_factory.mktemp("catalog"), landsat=landsat_entry())


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    folder = tmp_path_factory.mktemp("scenes")
    # Two UTM zones, and a footprint that ends inside the grid.
    return [
        landsat_scene(folder, GRID, 1),
        landsat_scene(folder, GRID, 2, "EPSG:32650"),
        landsat_scene(folder, GRID, 3, extent=80),
    ]


def whole(grid: Grid) -> Tile:
    return Tile(0, 0, 0, grid.shape[0], 0, grid.shape[1])


def assert_same(a: Composite, b: Composite) -> None:
    for name in ("ndvi_max", "clear_count", "obs_count"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.fixture(scope="module")
def at_once(catalog: Catalog, scenes: list[Scene]) -> Composite:
    return composite_tile(scenes, catalog, GRID, whole(GRID))


def test_equals_the_plain_reference_bit_for_bit(at_once: Composite, scenes: list[Scene]) -> None:
    highest, clear, seen = reference_composite(scenes, GRID)
    assert not at_once.failures
    np.testing.assert_array_equal(at_once.ndvi_max, highest)
    np.testing.assert_array_equal(at_once.clear_count, clear)
    np.testing.assert_array_equal(at_once.obs_count, seen)
    # The case is worth something: gaps, one, two and three clear looks all occur.
    assert set(np.unique(clear)) == {0, 1, 2, 3}
    assert (at_once.ndvi_max[clear > 0] > -32768).all()
    assert (at_once.ndvi_max[clear == 0] == -32768).all()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(5, 70), st.integers(5, 70), st.permutations([0, 1, 2]))
def test_same_bits_for_any_tiles_and_order(
    catalog: Catalog,
    scenes: list[Scene],
    at_once: Composite,
    height: int,
    width: int,
    order: list[int],
) -> None:
    out = Composite.empty(GRID.shape)
    for y0 in range(0, GRID.shape[0], height):
        for x0 in range(0, GRID.shape[1], width):
            y1, x1 = min(y0 + height, GRID.shape[0]), min(x0 + width, GRID.shape[1])
            tile = Tile(0, 0, y0, y1, x0, x1)
            part = composite_tile([scenes[k] for k in order], catalog, GRID, tile)
            out.ndvi_max[tile.slices] = part.ndvi_max
            out.clear_count[tile.slices] = part.clear_count
            out.obs_count[tile.slices] = part.obs_count
    assert_same(out, at_once)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_scenes_on_the_grids_own_pixels_give_the_same_bits_on_both_ways(
    tmp_path_factory: pytest.TempPathFactory, catalog: Catalog, data: st.DataObject
) -> None:
    """Shifted by whole pixels, bands of unlike extent, beyond the grid's edges or within them."""
    grid = grid_of(40, 36)
    folder = tmp_path_factory.mktemp("shifted")
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    assets = {}
    for band in ("red", "nir", "qa"):
        shape = data.draw(st.integers(8, 60)), data.draw(st.integers(8, 60))
        east, south = data.draw(st.integers(-20, 20)), data.draw(st.integers(-20, 20))
        if band == "qa":
            codes = np.array([CLEAR_QA, CLOUD_QA, 1], "u2")
            values = rng.choice(codes, shape, p=[0.7, 0.2, 0.1])
        else:  # with missing, negative and impossible reflectances
            values = rng.integers(7000, 66000 if band == "nir" else 14000, shape).astype("u2")
            values[rng.random(shape) < 0.05] = 0
        corner = (grid.bounds[0] + 30 * east, grid.bounds[3] - 30 * south)
        path = write_raster(folder / f"{band}.tif", values, grid.crs_wkt, corner, 30.0)
        assets[band] = Asset(path)
    scene = Scene("S", "landsat", "2025-07-01T00:00:00Z", WORLD, assets)
    used: list[bool] = []
    with pytest.MonkeyPatch.context() as patch:
        kernel = kernel_shifted.add_shifted

        def counted(*arguments: object) -> None:
            used.append(True)
            kernel(*arguments)

        patch.setattr(kernel_shifted, "add_shifted", counted)
        quick = composite_tile([scene, scene], catalog, grid, whole(grid))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warp.Placement, "shift", lambda _: None)
        plain = composite_tile([scene, scene], catalog, grid, whole(grid))
    assert_same(quick, plain)
    if plain.obs_count.any() and plain.clear_count.any():
        assert used  # the case was not decided without it


def single(
    folder: Path,
    grid: Grid,
    red: np.ndarray,
    nir: np.ndarray,
    qa: np.ndarray,
    sizes: tuple[float, float, float] = (30.0, 30.0, 30.0),
) -> Scene:
    """A scene on the grid's own CRS and corner, bands of given pixel sizes."""
    assets = {}
    for band, data, size in zip(("red", "nir", "qa"), (red, nir, qa), sizes, strict=True):
        path = folder / f"{band}_{abs(hash(data.tobytes())) % 10**8}.tif"
        corner = (grid.bounds[0], grid.bounds[3])
        assets[band] = Asset(write_raster(path, data, grid.crs_wkt, corner, size))
    return Scene("S", "landsat", "2025-07-01T00:00:00Z", WORLD, assets)


def stored(reflectance: float) -> int:
    return round((reflectance + 0.2) / 2.75e-5)


def test_same_grid_passes_values_through(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(40, 30)
    rng = np.random.default_rng(3)
    red = rng.integers(7500, 20000, grid.shape).astype("u2")
    nir = rng.integers(9000, 30000, grid.shape).astype("u2")
    qa = np.where(rng.random(grid.shape) < 0.3, CLOUD_QA, CLEAR_QA).astype("u2")
    made = composite_tile([single(tmp_path, grid, red, nir, qa)], catalog, grid, whole(grid))
    low, high = red * 2.75e-5 - 0.2, nir * 2.75e-5 - 0.2
    ndvi = (high - low) / (high + low)
    expected = np.where(qa == CLEAR_QA, np.sign(ndvi) * np.floor(np.abs(ndvi) * 1e4 + 0.5), -32768)
    np.testing.assert_array_equal(made.ndvi_max, expected)
    np.testing.assert_array_equal(made.clear_count, (qa == CLEAR_QA).astype(int))
    assert (made.obs_count == 1).all()


def test_agrees_with_spyndex(tmp_path: Path, catalog: Catalog) -> None:
    spyndex = pytest.importorskip("spyndex")
    grid = grid_of(32, 32)
    rng = np.random.default_rng(4)
    red = rng.integers(8000, 20000, grid.shape).astype("u2")
    nir = rng.integers(9000, 30000, grid.shape).astype("u2")
    qa = np.full(grid.shape, CLEAR_QA, "u2")
    made = composite_tile([single(tmp_path, grid, red, nir, qa)], catalog, grid, whole(grid))
    ndvi = spyndex.computeIndex("NDVI", {"N": nir * 2.75e-5 - 0.2, "R": red * 2.75e-5 - 0.2})
    assert np.abs(made.ndvi_max / 1e4 - ndvi).max() <= 0.5e-4 + 1e-12


def test_reflectances_at_and_below_zero(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(16, 16)
    red = np.full(grid.shape, stored(0.1), "u2")
    nir = np.full(grid.shape, stored(0.3), "u2")
    red[0, 0] = stored(-0.05)  # clamped to 0: NDVI 1
    nir[0, 1] = stored(-0.05)  # NDVI -1
    red[0, 2] = nir[0, 2] = stored(-0.01)  # nothing left to divide by
    red[0, 3] = 0  # no data
    nir[0, 4] = 65500  # beyond the range of measurements
    qa = np.full(grid.shape, CLEAR_QA, "u2")
    made = composite_tile([single(tmp_path, grid, red, nir, qa)], catalog, grid, whole(grid))
    assert made.ndvi_max[0, :6].tolist() == [10000, -10000, -32768, -32768, -32768, 5000]
    assert made.clear_count[0, :6].tolist() == [1, 1, 0, 0, 0, 1]
    assert made.obs_count[0, :6].tolist() == [1] * 6


def test_missing_neighbour_with_weight_makes_missing(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(20, 20)
    red, nir = np.full((21, 21), stored(0.1), "u2"), np.full((21, 21), stored(0.3), "u2")
    nir[10, 10] = 0
    qa = np.full((21, 21), CLEAR_QA, "u2")
    scene = single(tmp_path, grid, red, nir, qa)
    shifted = grid_of(20, 20, origin=(grid.bounds[0] + 12, grid.bounds[3]))  # 0.4 px east
    made = composite_tile([scene], catalog, shifted, whole(shifted))
    bad = {tuple(p) for p in np.argwhere(made.clear_count == 0)}
    assert bad == {(10, 9), (10, 10)}  # one row: without weight, the row below does not matter
    assert set(np.unique(made.ndvi_max)) == {-32768, 5000}


def test_finer_sources_are_averaged_and_bands_may_lie_on_three_grids(
    tmp_path: Path, catalog: Catalog
) -> None:
    """Red three times as fine, nir twice as coarse, mask as fine as half a pixel."""
    grid = grid_of(24, 24)
    rng = np.random.default_rng(5)
    red = rng.integers(8000, 12000, (72, 72)).astype("u2")
    red[30, 31] = 0  # one missing sample
    nir = rng.integers(15000, 25000, (12, 12)).astype("u2")
    qa = np.where(rng.random((48, 48)) < 0.2, CLOUD_QA, CLEAR_QA).astype("u2")
    scene = single(tmp_path, grid, red, nir, qa, (10.0, 60.0, 15.0))
    made = composite_tile([scene], catalog, grid, whole(grid))
    low = red.reshape(24, 3, 24, 3).sum(axis=(1, 3)) * 4 / 36 * 2.75e-5 - 0.2
    for row in range(24):
        for col in range(24):
            # The centre of a pixel is a corner of four mask pixels: the lower right one counts.
            clear = qa[2 * row + 1, 2 * col + 1] == CLEAR_QA
            p, q = (col + 0.5) / 2 - 0.5, (row + 0.5) / 2 - 0.5
            x, y = int(np.floor(p)), int(np.floor(q))
            inside = 0 <= x < 11 and 0 <= y < 11
            if not clear or not inside or (row, col) == (10, 10):
                assert made.ndvi_max[row, col] == -32768, (row, col)
                continue
            wx, wy = p - x, q - y
            a, b, c, d = (float(nir[y + j, x + i]) for j in (0, 1) for i in (0, 1))
            top, bottom = a + (b - a) * wx, c + (d - c) * wx
            high = (top + (bottom - top) * wy) * 2.75e-5 - 0.2
            ndvi = (high - low[row, col]) / (high + low[row, col])
            assert made.ndvi_max[row, col] == np.floor(ndvi * 1e4 + 0.5)


def test_average_is_the_same_for_any_tiles(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(50, 50)
    origin = origin_over(grid, "EPSG:32649", 200, 200, 10.0)
    rng = np.random.default_rng(6)
    assets = {
        band: Asset(
            write_raster(
                tmp_path / f"{band}.tif",
                (np.full((200, 200), CLEAR_QA) if band == "qa" else values).astype("u2"),
                "EPSG:32649",
                origin,
                10.0,
            )
        )
        for band, values in (
            ("red", rng.integers(8000, 9000, (200, 200))),
            ("nir", rng.integers(12000, 20000, (200, 200))),
            ("qa", None),
        )
    }
    scene = Scene("S", "landsat", "2025-07-01T00:00:00Z", WORLD, assets)
    at_once = composite_tile([scene], catalog, grid, whole(grid))
    assert (at_once.clear_count == 1).all()
    for size in (7, 16, 33):
        for y0 in range(0, 50, size):
            for x0 in range(0, 50, size):
                tile = Tile(0, 0, y0, min(50, y0 + size), x0, min(50, x0 + size))
                part = composite_tile([scene], catalog, grid, tile)
                np.testing.assert_array_equal(part.ndvi_max, at_once.ndvi_max[tile.slices])


def test_ndvi_band_goes_the_same_way(tmp_path: Path) -> None:
    grid = grid_of(20, 20)
    entry = {
        "access": {"type": "scene_files", "path": "x", "pattern": "x", "date_format": "%Y"},
        "bands": {
            "ndvi": {
                "asset": ["NDVI"],
                "scale": 1e-4,
                "nodata": -3000,
                "valid_range": [-2000, 10000],
            },
            "vi_quality": {"asset": ["VI_Quality"], "nodata": 65535},
        },
        "mask": {"band": "vi_quality", "recipe": "modis_vi_quality"},
    }
    catalog = catalog_of(tmp_path, modis=entry)
    rng = np.random.default_rng(7)
    corner = (grid.bounds[0], grid.bounds[3])
    values, quality = [], []
    made_scenes = []
    for k in range(2):
        ndvi = rng.integers(-2000, 10001, grid.shape).astype("i2")
        ndvi[k, :5] = -3000
        vi = rng.choice(np.array([2048, 2 | 2048, 65535], "u2"), grid.shape, p=[0.7, 0.2, 0.1])
        paths = [
            write_raster(tmp_path / f"{k}{name}.tif", data, grid.crs_wkt, corner, 30.0)
            for name, data in (("n", ndvi), ("q", vi))
        ]
        assets = {"ndvi": Asset(paths[0]), "vi_quality": Asset(paths[1])}
        made_scenes.append(Scene(f"M{k}", "modis", f"2010-07-{k + 1:02d}T00:00:00Z", WORLD, assets))
        values.append(np.where((vi == 2048) & (ndvi != -3000), ndvi, -32768))
        quality.append(vi)
    made = composite_tile(made_scenes, catalog, grid, whole(grid))
    np.testing.assert_array_equal(made.ndvi_max, np.maximum(*values))
    np.testing.assert_array_equal(made.clear_count, sum(v > -32768 for v in values))
    np.testing.assert_array_equal(made.obs_count, sum(q != 65535 for q in quality))


def test_several_bands_in_one_file_and_header_nodata(tmp_path: Path) -> None:
    """Band numbers are honoured; the file's own no-data value counts where none is given."""
    grid = grid_of(16, 16)
    entry = landsat_entry()
    entry["bands"] = {
        k: {kk: vv for kk, vv in b.items() if kk != "nodata"} for k, b in entry["bands"].items()
    }
    for band in ("red", "nir"):
        del entry["bands"][band]["valid_range"]
    catalog = catalog_of(tmp_path, landsat=entry)
    path = tmp_path / "stack.tif"
    data = np.stack([np.full(grid.shape, v, "u2") for v in (CLEAR_QA, stored(0.1), stored(0.3))])
    data[1, 0, 0] = 9
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=16,
        height=16,
        count=3,
        dtype="uint16",
        crs=grid.crs_wkt,
        transform=grid.transform,
        nodata=9,
    ) as out:
        out.write(data)
    assets = {b: Asset(str(path), band=k + 1) for k, b in enumerate(("qa", "red", "nir"))}
    scene = Scene("S", "landsat", "2025-07-01T00:00:00Z", WORLD, assets)
    made = composite_tile([scene], catalog, grid, whole(grid))
    assert made.ndvi_max[0, 0] == -32768
    assert (made.ndvi_max.ravel()[1:] == 5000).all()
    bad = dataclasses.replace(scene, assets=assets | {"nir": Asset(str(path), band=4)})
    (failure,) = composite_tile([bad], catalog, grid, whole(grid)).failures
    assert failure.asset == "nir" and "3 band(s), not 4" in failure.reason


def damage(path: str, block: str = "0_0") -> None:
    """Overwrite the pixel data of a file; its header stays whole."""
    with rasterio.open(path) as source:
        offset = int(source.get_tag_item(f"BLOCK_OFFSET_{block}", "TIFF", bidx=1))
        size = int(source.get_tag_item(f"BLOCK_SIZE_{block}", "TIFF", bidx=1))
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * size)


def test_unreadable_scene_is_recorded_and_adds_nothing(
    tmp_path: Path, catalog: Catalog, scenes: list[Scene]
) -> None:
    bad = landsat_scene(tmp_path, GRID, 9)
    damage(bad.assets["nir"].href)
    gone = dataclasses.replace(
        scenes[0], id="gone", assets=scenes[0].assets | {"red": Asset(str(tmp_path / "no.tif"))}
    )
    short = dataclasses.replace(
        scenes[0], id="short", assets={k: a for k, a in scenes[0].assets.items() if k != "nir"}
    )
    made = composite_tile([*scenes, bad, gone, short], catalog, GRID, whole(GRID))
    assert_same(made, composite_tile(scenes, catalog, GRID, whole(GRID)))
    reasons = {f.scene: (f.asset, f.reason) for f in made.failures}
    assert set(reasons) == {"L9", "gone", "short"}
    assert reasons["L9"][0] == "nir" and "cannot be read" in reasons["L9"][1]
    assert reasons["gone"][0] == "red" and "cannot be opened" in reasons["gone"][1]
    assert reasons["short"] == ("nir", "band nir missing: scene has red, qa")


@pytest.mark.parametrize("rows", [1, 17, 64])
def test_strips_do_not_show(
    catalog: Catalog,
    scenes: list[Scene],
    at_once: Composite,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
) -> None:
    monkeypatch.setattr(composite, "STRIP", rows)
    assert_same(composite_tile(scenes, catalog, GRID, whole(GRID)), at_once)


def test_scene_that_fails_half_way_adds_nothing(
    tmp_path: Path, catalog: Catalog, scenes: list[Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = landsat_scene(tmp_path, GRID, 9)
    damage(bad.assets["red"].href, "0_1")  # a block under the lower half of the grid
    monkeypatch.setattr(composite, "STRIP", 20)
    top = Tile(0, 0, 0, 20, 0, GRID.shape[1])
    assert not composite_tile([bad], catalog, GRID, top).failures
    made = composite_tile([bad, *scenes], catalog, GRID, whole(GRID))
    assert_same(made, composite_tile(scenes, catalog, GRID, whole(GRID)))
    (failure,) = made.failures
    assert (failure.scene, failure.asset) == ("L9", "red")


def test_file_that_is_replaced_is_read_again(tmp_path: Path, catalog: Catalog) -> None:
    grid = grid_of(16, 16)
    qa = np.full(grid.shape, CLEAR_QA, "u2")
    nir = np.full(grid.shape, stored(0.3), "u2")
    scene = single(tmp_path, grid, np.full(grid.shape, stored(0.1), "u2"), nir, qa)
    assert composite_tile([scene], catalog, grid, whole(grid)).ndvi_max[0, 0] == 5000
    red = np.full(grid.shape, stored(0.2), "u2")
    red[3, 3] = 9999  # other bytes, other size
    Path(scene.assets["red"].href).unlink()
    corner = (grid.bounds[0], grid.bounds[3])
    write_raster(Path(scene.assets["red"].href), red, grid.crs_wkt, corner, 30.0)
    assert composite_tile([scene], catalog, grid, whole(grid)).ndvi_max[0, 0] == 2000


def test_scene_elsewhere_or_no_scene(catalog: Catalog, scenes: list[Scene]) -> None:
    far = dataclasses.replace(scenes[0], bbox=(-70.0, -10.0, -69.0, -9.0))
    for given_scenes in ([], [far]):
        made = composite_tile(given_scenes, catalog, GRID, whole(GRID))
        assert (made.ndvi_max == -32768).all() and not made.failures
        assert not made.clear_count.any() and not made.obs_count.any()


def test_deleted_dataset_is_named(catalog: Catalog, scenes: list[Scene]) -> None:
    other = dataclasses.replace(scenes[0], dataset="landsat9")
    with pytest.raises(UsageError, match="no dataset 'landsat9'"):
        composite_tile([other], catalog, GRID, whole(GRID))


def test_parameters_change_with_what_changes_results(tmp_path: Path) -> None:
    base = parameters(catalog_of(tmp_path, d=landsat_entry()).datasets["d"])
    same = parameters(catalog_of(tmp_path, d=landsat_entry(notes="x")).datasets["d"])
    entry = landsat_entry()
    entry["bands"]["red"] = entry["bands"]["red"] | {"scale": 1e-4}
    assert base == same
    assert base != parameters(catalog_of(tmp_path, d=entry).datasets["d"])
