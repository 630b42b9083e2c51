"""The simulated region against its own promises; nothing here uses the pipeline."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
from rasterio import features
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from shapely.geometry import shape

from eco_index import yamlio
from eco_index.catalog import load_catalog
from eco_index.config import RegionConfig, configs_folder, load_region
from eco_index.errors import UsageError
from eco_index.grid import Grid
from eco_index.indicators import read_table
from eco_index.methods import load_method
from eco_index.simulation import SimSpec, simulate
from eco_index.simulation.landscape import build_world
from eco_index.simulation.noise import line_distance, smooth_noise
from eco_index.simulation.schedule import ORBITS, passes, season
from eco_index.simulation.weather import CLEARANCE_PX, weather_field

QA_FLAGS = 0b111111  # fill, dilated cloud, cirrus, cloud, shadow, snow


@pytest.fixture(scope="session")
def folder(small_region: Path) -> Path:
    return small_region.parent


@pytest.fixture(scope="session")
def grid(small_region: Path) -> Grid:
    return yamlio.load(small_region, RegionConfig).grid_


@pytest.fixture(scope="session")
def items(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((folder / "data").glob("*/*/*.json")):
        found.append(json.loads(path.read_text(encoding="utf-8")) | {"_folder": path.parent})
    return found


def _truth(folder: Path, year: int) -> dict[str, np.ndarray]:
    with np.load(folder / "data" / "truth" / f"truth_{year}.npz") as file:
        return dict(file)


def _layer(folder: Path, name: str, grid: Grid) -> gpd.GeoDataFrame:
    return gpd.read_file(folder / "data" / "vectors" / f"{name}.gpkg").to_crs(grid.crs_wkt)


def _changes(folder: Path, grid: Grid) -> dict[str, np.ndarray]:
    text = (folder / "data" / "truth" / "changes.geojson").read_text(encoding="utf-8")
    return {
        f["properties"]["kind"]: features.rasterize(
            [f["geometry"]], grid.shape, transform=grid.transform
        ).astype(bool)
        for f in json.loads(text)["features"]
    }


def _zones(frame: gpd.GeoDataFrame, grid: Grid) -> np.ndarray:
    shapes = [(g, k + 1) for k, g in enumerate(frame.geometry)]
    return features.rasterize(shapes, grid.shape, transform=grid.transform)


def _is_landsat(item: dict[str, Any]) -> bool:
    return item["collection"] == "landsat-c2l2"


def _read(item: dict[str, Any], key: str) -> np.ndarray:
    with rasterio.open(item["_folder"] / item["assets"][key]["href"]) as file:
        return file.read(1)


def _sound(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Scenes whose files can be read."""
    return [i for i in items if "nir08" in i["assets"] and not _truncated(i)]


def _truncated(item: dict[str, Any]) -> bool:
    return any(
        (item["_folder"] / a["href"]).stat().st_size != a["file:size"]
        for a in item["assets"].values()
    )


# ------------------------------------------------------------------------------- building blocks


def test_smooth_noise_is_smooth_and_standardised() -> None:
    field = smooth_noise((80, 120), 5, np.random.default_rng(1))
    assert field.shape == (80, 120)
    assert abs(float(field.mean())) < 1e-4
    assert float(field.std()) == pytest.approx(1, abs=1e-3)
    assert float(np.abs(np.diff(field, axis=1)).max()) < 0.25


def test_line_distance_is_exact_and_local() -> None:
    out = np.full((20, 20), 99.0, np.float32)
    line_distance(np.array([[2.0, 10.0], [12.0, 10.0]]), 4.0, out)
    assert out[10, 5] == 0
    assert out[13, 5] == 3
    assert out[10, 15] == pytest.approx(3)
    assert out[0, 0] == 99


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_weather_covers_its_share_and_margin_bounds_the_edge(share: float) -> None:
    field, margin = weather_field((400, 500), share, np.random.default_rng(3), cells=6)
    assert float((field > 0).mean()) == pytest.approx(share, abs=0.02)
    steepest = max(np.abs(np.diff(field, axis=a)).max() for a in (0, 1))
    assert margin >= CLEARANCE_PX * steepest / 8


def test_season_has_a_flat_peak() -> None:
    import datetime as dt

    assert season(dt.date(2025, 4, 1)) == 0
    assert [season(dt.date(2025, m, d)) for m, d in ((7, 2), (7, 31), (8, 19))] == [1, 1, 1]
    assert 0 < season(dt.date(2025, 5, 15)) < season(dt.date(2025, 6, 15)) < 1


def test_every_season_month_has_a_mostly_clear_look_everywhere() -> None:
    for spec in (SimSpec(), SimSpec(all_scenes=False)):
        for year in spec.years:
            for month in range(4, 10):
                looks = [p for p in passes(spec) if (p.date.year, p.date.month) == (year, month)]
                clear = {
                    p.orbit for p in looks if p.cloud < 0.31 and p.flaw in ("", "old_baseline")
                }
                assert "S032" in clear or {"L124", "L125"} <= clear
    assert {o.epsg for o in ORBITS.values()} == {32649, 32650}


def test_spec_follows_the_shipped_region_file() -> None:
    demo = yamlio.load(configs_folder() / "regions" / "demo.yaml", RegionConfig)
    assert SimSpec().bounds == demo.grid.bounds
    assert SimSpec().grid.shape == demo.grid_.shape
    assert demo.grid.tile < demo.grid_.shape[0]
    with pytest.raises(UsageError, match="too small"):
        SimSpec(size_px=64)
    with pytest.raises(UsageError, match="cannot hold a change"):
        SimSpec(years=(2025,))


# ------------------------------------------------------------------------------------- all files


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_same_seed_same_files_whatever_the_threads(tmp_path: Path) -> None:
    for name, threads, seed in (("a", 1, 5), ("b", 3, 5), ("c", 2, 6)):
        simulate(tmp_path / name, SimSpec(144, seed=seed, threads=threads, all_scenes=False))
    a, b, c = (_digests(tmp_path / n) for n in "abc")
    assert a == b
    assert set(a) == set(c)
    assert sum(a[k] != c[k] for k in a) > 0.8 * sum(k.lower().endswith(".tif") for k in a)


def test_finished_data_are_kept_and_unfinished_replaced(tmp_path: Path) -> None:
    spec = SimSpec(128, all_scenes=False, overviews=False)
    data = simulate(tmp_path, spec)
    plots = data / "tables" / "plots_2024.csv"
    before = plots.stat().st_mtime_ns
    simulate(tmp_path, spec)
    assert plots.stat().st_mtime_ns == before
    stray = data / "landsat-c2l2" / "left_over.json"
    stray.write_text("{}", encoding="utf-8")
    record = data / "simulation.json"
    record.write_text(record.read_text().replace("true", "false"), encoding="utf-8")
    simulate(tmp_path, spec)
    assert not stray.exists()


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    keep = tmp_path / "data" / "mine.txt"
    keep.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="not simulated"):
        simulate(tmp_path, SimSpec(128))
    assert keep.read_text(encoding="utf-8") == "mine"


def test_region_file_and_catalogue_load(small_region: Path) -> None:
    region = load_region(small_region)
    assert region.programmes.keys() == {
        "red_line",
        "nature_reserves",
        "key_counties",
        "whole_region",
    }
    assert len(region.grid.tiles()) == 4
    for key, entry in region.catalog.datasets.items():
        assert entry.source == "simulated"
        assert region.catalog.path_of(key, "test", 2025).exists(), key


def test_shipped_catalogue_marks_demo_data_as_simulated() -> None:
    catalog = load_catalog(configs_folder().parent / "data_catalog.yaml")
    demo = {k: d for k, d in catalog.datasets.items() if k.startswith("demo_")}
    assert len(demo) == 12
    assert {d.source for d in demo.values()} == {"simulated"}


# ---------------------------------------------------------------------------------------- scenes


def test_items_are_valid_stac(items: list[dict[str, Any]], folder: Path) -> None:
    assert len(items) == 2 * 20
    for item in items:
        plain = {k: v for k, v in item.items() if k != "_folder"}
        # pystac reads 1.0 into its own version, whose core schema it carries; the schemas of the
        # extensions live on the web, so their fields are checked against the files below.
        read = pystac.Item.from_dict(plain, migrate=True)
        read.stac_extensions = []
        assert read.validate()
        assert plain["stac_version"] == "1.0.0"
        assert shape(plain["geometry"]).is_valid
        assert shape(plain["geometry"]).bounds == pytest.approx(plain["bbox"], abs=1e-6)
    for path in (folder / "data").glob("*/collection.json"):
        collection = pystac.Collection.from_file(path)
        assert collection.validate()
        linked = {i.id for i in collection.get_items()}
        assert linked == {i["id"] for i in items if i["collection"] == collection.id}


def test_items_describe_their_files(items: list[dict[str, Any]], grid: Grid) -> None:
    region = grid.lonlat_bounds()
    zones = set()
    for item in _sound(items):
        properties = item["properties"]
        zones.add(properties["proj:epsg"])
        west, south, east, north = item["bbox"]
        assert west < region[2] and east > region[0] and south < region[3] and north > region[1]
        for key, asset in item["assets"].items():
            with rasterio.open(item["_folder"] / asset["href"]) as file:
                assert file.crs.to_epsg() == properties["proj:epsg"]
                assert list(file.shape) == properties["proj:shape"]
                assert list(file.transform)[:6] == properties["proj:transform"]
                assert file.dtypes[0] == asset["raster:bands"][0]["data_type"]
                assert file.nodata == asset["raster:bands"][0]["nodata"], key
                assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
                assert file.transform.a == (30 if _is_landsat(item) else 20)
                left, _, right, _ = rasterio.warp.transform_bounds(file.crs, 4326, *file.bounds)
                assert left - 1e-3 <= west and east <= right + 1e-3
    assert zones == {32649, 32650}


def test_flaws_are_where_they_should_be(items: list[dict[str, Any]]) -> None:
    truncated = [i for i in items if _truncated(i)]
    assert len(truncated) == 1
    with pytest.raises(rasterio.errors.RasterioIOError):
        _read(truncated[0], "nir08")
    missing = [i for i in items if "nir08" not in i["assets"]]
    assert len(missing) == 1
    assert not list(missing[0]["_folder"].glob("*B8A*"))
    old = [i for i in items if i["properties"].get("s2:processing_baseline", "9") < "04.00"]
    assert len(old) == 1
    # All of them lie in July, where enough other scenes remain.
    assert {i["properties"]["datetime"][5:7] for i in truncated + missing + old} == {"07"}


def test_quality_bands_and_no_data(items: list[dict[str, Any]]) -> None:
    qa_seen: set[int] = set()
    scl_seen: set[int] = set()
    snow_months = set()
    for item in _sound(items):
        red, nir = _read(item, "red"), _read(item, "nir08")
        if _is_landsat(item):
            quality = _read(item, "qa_pixel")
            qa_seen |= set(np.unique(quality).tolist())
            fill, snow = quality == 1, (quality & 32) > 0
        else:
            quality = _read(item, "scl")
            scl_seen |= set(np.unique(quality).tolist())
            fill, snow = quality == 0, quality == 11
        assert ((red == 0) == fill).all() and ((nir == 0) == fill).all()
        if snow.any():
            snow_months.add(item["properties"]["datetime"][5:7])
    assert qa_seen == {1, 21824, 21826, 21952, 22280, 23824, 23888, 30048}
    assert scl_seen == {0, 3, 4, 5, 6, 8, 9, 11}
    assert snow_months == {"04", "05"}


def _composite(
    items: list[dict[str, Any]], grid: Grid, use_mask: bool = True, use_offset: bool = True
) -> np.ndarray:
    """Maximum NDVI by GDAL's own warping: independent of the project's kernels."""
    crs = CRS.from_wkt(grid.crs_wkt)
    best = np.full(grid.shape, -9.0)

    def warp(item: dict[str, Any], key: str, how: Resampling, nodata: int) -> np.ndarray:
        with rasterio.open(item["_folder"] / item["assets"][key]["href"]) as file:
            source = file.read(1)
            out = np.full(grid.shape, nodata, np.float32)
            reproject(
                source.astype(np.float32),
                out,
                src_transform=file.transform,
                src_crs=file.crs,
                dst_transform=grid.transform,
                dst_crs=crs,
                src_nodata=nodata,
                dst_nodata=nodata,
                resampling=how,
            )
        return out

    for item in _sound(items):
        red, nir = (warp(item, k, Resampling.bilinear, 0) for k in ("red", "nir08"))
        seen = (red > 0) & (nir > 0)
        if _is_landsat(item):
            clear = (warp(item, "qa_pixel", Resampling.nearest, 1).astype(int) & QA_FLAGS) == 0
            red, nir = red * 2.75e-5 - 0.2, nir * 2.75e-5 - 0.2
        else:
            clear = np.isin(warp(item, "scl", Resampling.nearest, 0), (4, 5, 6, 7))
            old = use_offset and item["properties"]["s2:processing_baseline"] < "04.00"
            offset = 0.0 if old else -0.1
            red, nir = red * 1e-4 + offset, nir * 1e-4 + offset
        keep = seen & clear if use_mask else seen
        ndvi = np.where(keep, (nir - red) / np.maximum(nir + red, 1e-3), -9)
        best = np.maximum(best, ndvi)
    return best


def _errors(best: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    valid = best > -9
    assert valid.mean() > 0.999
    error = (np.clip((best - 0.15) / 0.75, 0, 1) - truth)[valid]
    return float(np.sqrt((error**2).mean())), float(error.mean())


@pytest.mark.parametrize("year", [2024, 2025])
def test_truth_comes_back_through_an_independent_composite(
    items: list[dict[str, Any]], folder: Path, grid: Grid, year: int
) -> None:
    chosen = [i for i in items if i["properties"]["datetime"][:7] in (f"{year}-07", f"{year}-08")]
    truth = _truth(folder, year)["fvc"]
    rmse, bias = _errors(_composite(chosen, grid), truth)
    assert rmse <= 0.02
    assert abs(bias) <= 0.005
    # The traps are real: without the mask, or with one offset for all, the promise breaks.
    assert _errors(_composite(chosen, grid, use_mask=False), truth)[1] > 0.01
    if year == 2024:
        assert _errors(_composite(chosen, grid, use_offset=False), truth)[1] > 0.05


# -------------------------------------------------------------------------------- zones and truth


def test_counties_partition_the_region(folder: Path, grid: Grid) -> None:
    raw = gpd.read_file(folder / "data" / "vectors" / "counties.gpkg")
    assert raw.crs.is_geographic
    counties = _layer(folder, "counties", grid)
    zones = _zones(counties, grid)
    assert (zones > 0).all()
    parts = counties.geometry
    assert all(parts[i].intersection(parts[j]).area < 1 for i in range(3) for j in range(i))
    region = _layer(folder, "region", grid).geometry[0]
    assert parts.area.sum() == pytest.approx(region.area, rel=1e-9)
    assert region.area == pytest.approx(
        grid.pixel_area_m2 * grid.shape[0] * grid.shape[1], rel=1e-6
    )
    assert (raw["key_function"] == "yes").sum() == 1


def test_red_line_is_disjoint_and_crosses_borders(folder: Path, grid: Grid) -> None:
    frame = _layer(folder, "red_line", grid)
    assert frame.is_valid.all()
    assert all(
        frame.geometry[i].disjoint(frame.geometry[j]) for i in range(len(frame)) for j in range(i)
    )
    zones, counties = _zones(frame, grid), _zones(_layer(folder, "counties", grid), grid)
    across_counties = across_tiles = 0
    for k in range(1, len(frame) + 1):
        rows, cols = np.nonzero(zones == k)
        across_counties += len(np.unique(counties[rows, cols])) > 1
        across_tiles += len(set(zip(rows // 128, cols // 128, strict=True))) > 1
    assert across_counties >= 2
    assert across_tiles >= 2
    # On the demo's own tiles as well.
    demo = yamlio.load(configs_folder() / "regions" / "demo.yaml", RegionConfig).grid
    step = demo.tile / 1344 * grid.shape[0]
    crossing = 0
    for k in range(1, len(frame) + 1):
        rows, cols = np.nonzero(zones == k)
        crossing += len(set(zip(rows // step, cols // step, strict=True))) > 1
    assert crossing >= 2


def test_planted_changes_are_in_the_truth(folder: Path, grid: Grid) -> None:
    before, after = _truth(folder, 2024), _truth(folder, 2025)
    changes = _changes(folder, grid)
    assert changes.keys() == {"mine", "planted_forest", "degraded_steppe", "shrunken_lake"}
    mine, forest = changes["mine"], changes["planted_forest"]
    degraded, lake = changes["degraded_steppe"], changes["shrunken_lake"]
    assert np.isin(after["landcover"][mine], (53, 65)).all()
    assert (after["fvc"][mine].mean() < 0.15) and (before["fvc"][mine].mean() > 0.4)
    assert (before["forest"][forest] == 0).all() and (after["forest"][forest] == 1).all()
    assert (before["fvc"] - after["fvc"])[degraded].min() >= 0.25
    assert (before["landcover"][lake] == 42).all() and (after["landcover"][lake] == 65).all()
    # Nothing else changes class; cover changes only around what was planted.
    other = ~(mine | forest | degraded | lake)
    assert (before["forest"] == after["forest"])[other].all()
    assert (np.abs(before["fvc"] - after["fvc"])[other] > 1e-6).mean() < 0.06


def test_mine_lies_in_the_national_reserve_and_the_red_line(folder: Path, grid: Grid) -> None:
    mine = _changes(folder, grid)["mine"]
    reserves = _layer(folder, "nature_reserves", grid)
    national = reserves[reserves["level"] == "national"]
    assert len(national) == 1 and set(reserves["level"]) == {"national", "regional"}
    assert _zones(national, grid)[mine].all()
    assert _zones(_layer(folder, "red_line", grid), grid)[mine].all()


def test_planted_changes_of_the_demo_have_the_stated_sizes() -> None:
    world = build_world(SimSpec())
    pixel = 0.03**2
    area = {k: float(m[world.inner].sum()) * pixel for k, m in world.changes.items()}
    assert 0.05 < area["mine"] < 1.2
    assert 2 < area["planted_forest"] < 10
    assert area["degraded_steppe"] > 5
    assert area["shrunken_lake"] > 1
    lucc = world.states[2024].lucc()[world.inner]
    assert set(np.unique(lucc)) >= {12, 21, 22, 31, 32, 33, 41, 42, 51, 52, 61, 64}
    water = np.isin(lucc, (41, 42))
    assert (world.states[2024].fvc[world.inner][water] == 0).all()
    assert (world.states[2024].fields[..., 0][world.inner][water] < 0).all()


@pytest.mark.parametrize("year", [2024, 2025])
def test_landcover_gives_the_forest_coverage_of_the_truth(
    folder: Path, grid: Grid, year: int
) -> None:
    out = np.zeros(grid.shape, np.uint8)
    with rasterio.open(folder / "data" / "landcover" / f"landcover_{year}.tif") as file:
        assert file.crs.to_epsg() == 4326
        assert set(np.unique(file.read(1))) <= {10, 20, 30, 40, 50, 60, 80, 90}
        reproject(
            rasterio.band(file, 1),
            out,
            dst_transform=grid.transform,
            dst_crs=CRS.from_wkt(grid.crs_wkt),
            resampling=Resampling.nearest,
        )
    assert (out > 0).all()
    counties = _zones(_layer(folder, "counties", grid), grid)
    forest = _truth(folder, year)["forest"]
    for k in (1, 2, 3):
        zone = counties == k
        assert abs((out[zone] == 10).mean() - forest[zone].mean()) < 0.002
        assert forest[zone].mean() > 0.001


def test_sandy_land_and_rivers_lie_where_the_land_has_them(folder: Path, grid: Grid) -> None:
    land = _truth(folder, 2025)["landcover"]
    sand = _zones(_layer(folder, "sandy_land", grid), grid) > 0
    assert sand[land == 61].all()
    assert (land[sand] == 61).mean() > 0.9
    rivers = _layer(folder, "rivers", grid)
    touched = features.rasterize(list(rivers.geometry), grid.shape, transform=grid.transform)
    assert np.isin(land[touched > 0], (41, 42, 65, 64)).mean() > 0.97


@pytest.mark.parametrize("method_id", ["hj192_2015", "eqi_2021"])
@pytest.mark.parametrize("year", [2024, 2025])
def test_statistics_hold_what_the_methods_need(folder: Path, method_id: str, year: int) -> None:
    method = load_method(method_id)
    path = folder / "data" / "tables" / f"county_statistics_{year}.csv"
    rows = read_table(path, method)
    assert [r["unit_id"] for r in rows] == ["159901", "159902", "159903"]
    marine = {"marine_shoreline_share", "sea_use_intensity", "sea_km2"}  # inland region
    for row in rows:
        from_pixels = {k for k in row if k.startswith("area_") and k != "area_km2"}
        missing = {k for k, v in row.items() if v is None} - from_pixels - {"ndvi_mean"}
        assert missing <= marine


def test_plots_agree_with_the_truth(folder: Path, grid: Grid) -> None:
    for year in (2024, 2025):
        plots = gpd.pd.read_csv(folder / "data" / "tables" / f"plots_{year}.csv")
        points = gpd.points_from_xy(plots["lon"], plots["lat"], crs=4326).to_crs(grid.crs_wkt)
        cols = ((points.x - grid.bounds[0]) / grid.resolution).astype(int)
        rows = ((grid.bounds[3] - points.y) / grid.resolution).astype(int)
        error = plots["cover"] - _truth(folder, year)["fvc"][rows, cols]
        assert abs(error.mean()) < 0.02
        assert 0.02 < error.std() < 0.06
        assert plots["date"].str.startswith(str(year)).all()
        assert plots["type"].nunique() >= 4


def test_layers_are_not_on_the_grid_crs(folder: Path) -> None:
    for path in (folder / "data" / "vectors").glob("*.gpkg"):
        assert gpd.read_file(path).crs.to_epsg() == 4490


def test_folder_can_be_copied(folder: Path, tmp_path: Path) -> None:
    # Paths in the written catalogue are relative: a copy works where it stands.
    for name in ("region.yaml", "data_catalog.yaml"):
        shutil.copy(folder / name, tmp_path / name)
    catalog = load_catalog(tmp_path / "data_catalog.yaml")
    expected = tmp_path.resolve() / "data" / "vectors" / "counties.gpkg"
    assert catalog.path_of("demo_counties", "test") == expected
