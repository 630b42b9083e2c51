"""Products of a period: from monthly composites, land cover and vectors, whatever the tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagery_fakes import ALBERS, grid_of, landsat_entry

from eco_index import period_products
from eco_index.config import Region, load_region
from eco_index.errors import InputError, UsageError
from eco_index.grid import Tile
from eco_index.indices import landcover
from eco_index.period import Period
from eco_index.period_products import compute_period, period_inputs, period_parameters
from eco_index.products import products_of

WIDTH, HEIGHT, RES = 60, 50, 10.0  # 10 m: a minimum patch of forest takes 7 pixels
GRID = grid_of(WIDTH, HEIGHT, 32, RES)
YEAR = Period(2025)


def text(value: str) -> dict[str, str]:
    return {"zh": value, "en": value}


def codes_of() -> np.ndarray:
    rng = np.random.default_rng(11)
    coarse = rng.choice([10, 20, 30, 30, 40, 50, 60, 80, 90], (25, 30))
    codes = np.kron(coarse, np.ones((2, 2), int)).astype("u1")
    codes[20:30, 25:45] = 80
    codes[:3, :3] = 0
    return codes


def write_files(folder: Path, codes: np.ndarray, crs: str = ALBERS) -> None:
    with rasterio.open(
        folder / "lc_2025.tif",
        "w",
        driver="GTiff",
        width=codes.shape[1],
        height=codes.shape[0],
        count=1,
        dtype=codes.dtype,
        crs=crs,
        transform=GRID.transform,
    ) as out:
        out.write(codes, 1)
    xmin, ymin, xmax, ymax = GRID.bounds
    river = shapely.LineString([(xmin, ymax - 255), (xmax, ymin + 205)])
    sand = shapely.box(xmin + 103, ymin + 97, xmax - 201, ymax - 55)
    for name, shape in (("rivers", river), ("sandy", sand)):
        frame = gpd.GeoDataFrame({"width_m": [24.0]}, geometry=[shape], crs=ALBERS)
        frame.to_crs("EPSG:4490").to_file(folder / f"{name}.gpkg")


def make_region(folder: Path, codes: np.ndarray | None = None, **changes: Any) -> Region:
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder, codes_of() if codes is None else codes)
    base = {"title": text("x"), "source": "made here", "licence": "CC0-1.0"}
    datasets = {
        "img": landsat_entry() | base,
        "lc": {"access": {"type": "raster", "path": "lc_{year}.tif"}, "legend": "worldcover_v200"}
        | base,
        "rivers": {"access": {"type": "vector", "path": "rivers.gpkg"}} | base,
        "sandy": {"access": {"type": "vector", "path": "sandy.gpkg"}} | base,
        "zones": {"access": {"type": "vector", "path": "zones.gpkg"}} | base,
    }
    catalog = {"version": 1, "datasets": datasets}
    (folder / "data_catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    (folder / "programmes").mkdir(exist_ok=True)
    (folder / "regions").mkdir(exist_ok=True)
    programme = {
        "id": "mine",
        "name": text("mine"),
        "layer": "all",
        "cadence": ["yearly"],
        "indicators": ["x"],
    }
    (folder / "programmes" / "mine.yaml").write_text(yaml.safe_dump(programme), encoding="utf-8")
    config = {
        "id": "small",
        "name": text("small"),
        "catalog": "../data_catalog.yaml",
        "output": "out",
        "grid": {
            "crs": ALBERS,
            "resolution": RES,
            "bounds": list(GRID.bounds),
            "tile": 32,
            "chunk": 16,
        },
        "years": {"first": 2025, "last": 2025},
        "months": {"first": 4, "last": 9},
        "season": {"first": 5, "last": 9},
        "imagery": ["img"],
        "landcover": {"dataset": "lc", "rivers": "rivers", "sandy_land": "sandy"},
        "layers": {"all": {"dataset": "zones", "title": text("z"), "id": "id", "name": text("n")}},
        "programmes": ["mine"],
    } | changes
    path = folder / "regions" / "small.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return load_region(path)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return make_region(tmp_path_factory.mktemp("region"))


def monthly_of(months: range = range(4, 10)) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Random months with gaps; April is not in the season and higher than all others."""
    rng = np.random.default_rng(12)
    out = {}
    for m in months:
        ndvi = rng.integers(-500, 9000, (HEIGHT, WIDTH)).astype("i2")
        count = rng.integers(0, 4, (HEIGHT, WIDTH)).astype("u2")
        count[5:9, 5:9] = 0  # never clear
        if m == 4:
            ndvi[:] = 9900
        out[f"2025-{m:02d}"] = (np.where(count > 0, ndvi, -32768).astype("i2"), count)
    return out


def whole() -> Tile:
    return Tile(0, 0, 0, HEIGHT, 0, WIDTH)


def cut(monthly: Any, tile: Tile) -> Any:
    return {m: (a[tile.slices], b[tile.slices]) for m, (a, b) in monthly.items()}


@pytest.fixture(scope="module")
def at_once(region: Region) -> dict[str, np.ndarray]:
    return compute_period(region, whole(), YEAR, monthly_of())


def test_products_of_the_group_and_their_types(at_once: dict[str, np.ndarray]) -> None:
    wanted = products_of("yearly", True)
    assert list(at_once) == [p.id for p in wanted]
    for product in wanted:
        assert at_once[product.id].dtype == np.dtype(product.dtype), product.id
        assert at_once[product.id].shape == (HEIGHT, WIDTH)


def test_vegetation_comes_from_the_season_only(at_once: dict[str, np.ndarray]) -> None:
    season = [monthly_of()[f"2025-{m:02d}"] for m in range(5, 10)]
    ndvi, count = (np.stack([s[k] for s in season]).astype(int) for k in (0, 1))
    seen = ndvi > -32768
    np.testing.assert_array_equal(at_once["ndvi_max"], ndvi.max(axis=0))
    np.testing.assert_array_equal(at_once["clear_count"], count.sum(axis=0))
    np.testing.assert_array_equal(at_once["valid_months"], seen.sum(axis=0))
    enough = seen.sum(axis=0) >= 3
    mean = np.where(seen, ndvi, 0).sum(axis=0) / np.maximum(1, seen.sum(axis=0))
    rounded = np.sign(mean) * np.floor(np.abs(mean) + 0.5)
    np.testing.assert_array_equal(at_once["ndvi_mean"], np.where(enough, rounded, -32768))
    fvc = np.clip((ndvi.max(axis=0) / 1e4 - 0.15) / 0.75, 0, 1)
    expected = np.where(seen.any(axis=0), np.floor(fvc * 1e4 + 0.5), 65535)
    np.testing.assert_array_equal(at_once["fvc"], expected)


def test_landcover_and_forest(at_once: dict[str, np.ndarray]) -> None:
    codes = codes_of().astype(int)
    crosswalk = landcover.load_crosswalk("worldcover_v200")
    x, y = np.meshgrid(GRID.x(), GRID.y())
    xmin, ymin, xmax, ymax = GRID.bounds
    line = shapely.LineString([(xmin, ymax - 255), (xmax, ymin + 205)])
    river = shapely.distance(shapely.points(x, y), line) <= 12.0 + RES
    sandy = (x > xmin + 103) & (x < xmax - 201) & (y > ymin + 97) & (y < ymax - 55)
    expected = landcover.to_lucc(codes, crosswalk, at_once["fvc"], river, sandy)
    got = at_once["landcover"]
    # Vectors went through degrees and back: pixels within a centimetre of an edge may differ.
    assert (got != expected).sum() <= 2
    assert {11, 12, 21, 22, 31, 41, 42, 51, 61, 64, 65} - {11} <= set(np.unique(got))
    assert (got[5:9, 5:9][codes[5:9, 5:9] == 30] == 0).all()
    from scipy import ndimage

    labels, n = ndimage.label(codes == 10, structure=np.ones((3, 3)))
    sizes = ndimage.sum_labels(codes == 10, labels, np.arange(n + 1))
    forest = np.where(codes == 0, 255, (sizes[labels] >= 7) & (codes == 10))
    np.testing.assert_array_equal(at_once["forest"], forest)
    assert (at_once["forest"] == 1).sum() < (codes == 10).sum()  # small patches do go


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(5, 60), st.integers(5, 60))
def test_same_bits_for_any_tiles(
    region: Region, at_once: dict[str, np.ndarray], height: int, width: int
) -> None:
    monthly = monthly_of()
    for y0 in range(0, HEIGHT, height):
        for x0 in range(0, WIDTH, width):
            tile = Tile(0, 0, y0, min(HEIGHT, y0 + height), x0, min(WIDTH, x0 + width))
            part = compute_period(region, tile, YEAR, cut(monthly, tile))
            for name, values in part.items():
                np.testing.assert_array_equal(values, at_once[name][tile.slices], err_msg=name)


def test_halves_need_fewer_months(region: Region) -> None:
    monthly = monthly_of()
    half = compute_period(region, whole(), Period(2025, 1), monthly)
    both = (monthly["2025-05"][1] > 0) & (monthly["2025-06"][1] > 0)
    np.testing.assert_array_equal(half["ndvi_mean"] != -32768, both)  # two months: both needed
    second = compute_period(region, whole(), Period(2025, 2), monthly)
    assert second["valid_months"].max() == 3
    np.testing.assert_array_equal(second["ndvi_mean"] != -32768, second["valid_months"] == 3)


def test_nothing_clear_is_missing_not_zero(region: Region) -> None:
    empty = {m: (np.full_like(a, -32768), np.zeros_like(b)) for m, (a, b) in monthly_of().items()}
    got = compute_period(region, whole(), YEAR, empty)
    assert (got["fvc"] == 65535).all() and (got["ndvi_mean"] == -32768).all()
    codes = codes_of()
    assert (got["landcover"][codes == 30] == 0).all()
    assert (got["landcover"][codes == 10] == 21).all()


def test_half_without_season_months(tmp_path: Path) -> None:
    region = make_region(tmp_path, season={"first": 7, "last": 9})
    got = compute_period(region, whole(), Period(2025, 1), {})
    assert (got["ndvi_max"] == -32768).all() and (got["ndvi_mean"] == -32768).all()
    assert not got["valid_months"].any() and (got["fvc"] == 65535).all()


def test_absent_month_is_an_error(region: Region) -> None:
    monthly = monthly_of()
    del monthly["2025-07"]
    with pytest.raises(InputError, match=r"2025-07 are not there(?s:.*)period 2025"):
        compute_period(region, whole(), YEAR, monthly)


def test_output_lost_from_valid_input_is_an_error(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        period_products.vegetation, "stored_fvc", lambda n, *_: np.full(n.shape, 65535, "u2")
    )
    with pytest.raises(InputError, match=r"fvc has no value(?s:.*)tile r000c000, period 2025"):
        compute_period(region, whole(), YEAR, monthly_of())


def test_unknown_code_names_code_count_and_place(tmp_path: Path) -> None:
    codes = codes_of()
    codes[10, 10:13] = 33
    region = make_region(tmp_path, codes)
    with pytest.raises(InputError, match=r"33 \(3 pixels\)(?s:.*)period 2025, dataset 'lc'"):
        compute_period(region, whole(), YEAR, monthly_of())


def test_map_smaller_than_the_grid_is_missing_outside(tmp_path: Path) -> None:
    region = make_region(tmp_path, codes_of()[:20])
    got = compute_period(region, whole(), YEAR, monthly_of())
    assert (got["forest"][20:] == 255).all() and (got["landcover"][20:] == 0).all()
    assert (got["forest"][3:20] != 255).all()


def test_region_without_landcover(tmp_path: Path) -> None:
    region = make_region(tmp_path, landcover=None)
    got = compute_period(region, whole(), YEAR, monthly_of())
    assert list(got) == [p.id for p in products_of("yearly", False)]
    assert period_inputs(region, YEAR) == {}


def test_inputs_are_free_of_paths_and_follow_content(tmp_path: Path) -> None:
    first, second = make_region(tmp_path / "a"), make_region(tmp_path / "b")
    a, b = period_inputs(first, YEAR), period_inputs(second, YEAR)
    assert set(a) == {"dataset", "rivers", "sandy_land"}
    assert a["dataset"] == b["dataset"] and str(tmp_path) not in str(a)
    codes = codes_of()
    codes[30, 30] = 20
    assert period_inputs(make_region(tmp_path / "c", codes), YEAR)["dataset"] != a["dataset"]


def test_missing_files_are_named(tmp_path: Path) -> None:
    region = make_region(tmp_path)
    with pytest.raises(InputError, match=r"dataset 'lc' is missing(?s:.*)year 2024"):
        period_inputs(region, Period(2024))
    (tmp_path / "rivers.gpkg").unlink()
    with pytest.raises(InputError, match="dataset 'rivers' is missing"):
        period_inputs(region, YEAR)


def test_parameters_follow_what_changes_products(tmp_path: Path) -> None:
    fixed = {"ndvi_soil": 0.05, "ndvi_veg": 0.86, "evidence": "secondary", "source": "x"}
    base = period_parameters(make_region(tmp_path / "a"))
    assert base == period_parameters(make_region(tmp_path / "b"))
    assert (base["ndvi_soil"], base["ndvi_veg"], base["forest_min_pixels"]) == (0.15, 0.9, 7)
    for k, changes in enumerate(
        ({"fvc": fixed}, {"min_season_months": 2}, {"season": {"first": 6, "last": 9}})
    ):
        assert period_parameters(make_region(tmp_path / str(k), **changes)) != base


def test_overlay_of_the_end_members(tmp_path: Path) -> None:
    region = make_region(tmp_path, overlays={"fvc_dimidiate": "mine.yaml"})
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        period_parameters(region)


def with_canopy(folder: Path, percent: np.ndarray, scale: float = 0.01) -> Region:
    region = make_region(folder)
    with rasterio.open(
        folder / "canopy.tif",
        "w",
        driver="GTiff",
        width=WIDTH,
        height=HEIGHT,
        count=1,
        dtype="uint8",
        crs=ALBERS,
        transform=GRID.transform,
    ) as out:
        out.write(percent.astype("u1"), 1)
    path = folder / "data_catalog.yaml"
    catalog = yaml.safe_load(path.read_text(encoding="utf-8"))
    catalog["datasets"]["canopy"] = {
        "title": text("canopy"),
        "source": "made here",
        "licence": "CC0-1.0",
        "access": {"type": "raster", "path": "canopy.tif"},
        "scale": scale,
        "nodata": 255,
    }
    path.write_text(yaml.safe_dump(catalog), encoding="utf-8")
    file = region.config.path
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    config["landcover"]["canopy"] = "canopy"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return load_region(file)


def test_canopy_decides_what_is_forest(tmp_path: Path, at_once: dict[str, np.ndarray]) -> None:
    from scipy import ndimage

    percent = np.random.default_rng(13).integers(0, 45, (HEIGHT, WIDTH))
    percent[30:34] = 255  # unknown
    percent[10, 10:14] = 20  # the limit belongs to forest
    region = with_canopy(tmp_path, percent)
    got = compute_period(region, whole(), YEAR, monthly_of())
    trees, unknown = codes_of() == 10, percent == 255
    closed = trees & (percent >= 20) & ~unknown
    labels, n = ndimage.label(closed, structure=np.ones((3, 3)))
    sizes = ndimage.sum_labels(closed, labels, np.arange(n + 1))
    expected = np.where(closed & (sizes[labels] >= 7), 1, 0)
    expected[(codes_of() == 0) | (trees & unknown)] = 255
    np.testing.assert_array_equal(got["forest"], expected)
    assert 0 < (expected == 1).sum() < (at_once["forest"] == 1).sum()
    # Land cover: below the limit it is open woodland; nothing else changes.
    assert (got["landcover"][trees & (percent < 20)] == 23).all()
    np.testing.assert_array_equal(got["landcover"] == 21, trees & ((percent >= 20) | unknown))
    same = ~trees
    np.testing.assert_array_equal(got["landcover"][same], at_once["landcover"][same])
    tile = Tile(0, 0, 11, 40, 17, 49)
    part = compute_period(region, tile, YEAR, cut(monthly_of(), tile))
    for name in ("forest", "landcover"):
        np.testing.assert_array_equal(part[name], got[name][tile.slices])
    assert period_inputs(region, YEAR)["canopy"]["dataset"] == "canopy"
    assert period_parameters(region) != period_parameters(make_region(tmp_path / "without"))


def test_canopy_in_per_cent_is_refused(tmp_path: Path) -> None:
    region = with_canopy(tmp_path, np.full((HEIGHT, WIDTH), 35), scale=1.0)
    with pytest.raises(InputError, match=r"canopy closure(?s:.*)dataset 'canopy'(?s:.*)0.01"):
        compute_period(region, whole(), YEAR, monthly_of())


def test_land_cover_that_is_no_class_map(tmp_path: Path) -> None:
    region = make_region(tmp_path, codes_of().astype("f4"))
    with pytest.raises(InputError, match="float32, not whole numbers"):
        compute_period(region, whole(), YEAR, monthly_of())
    (tmp_path / "lc_2025.tif").write_text("no image")
    with pytest.raises(InputError, match="class map cannot be read"):
        compute_period(region, whole(), YEAR, monthly_of())
