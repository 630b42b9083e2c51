"""Zones, land cover, tables and planted changes of the simulated region against its truth."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio import features
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from simulated import changes, layer, truth, zones

from eco_index import yamlio
from eco_index.catalog import load_catalog
from eco_index.config import RegionConfig, configs_folder
from eco_index.grid import Grid
from eco_index.indicators import read_table
from eco_index.methods import load_method
from eco_index.simulation import SimSpec
from eco_index.simulation.landscape import build_world


@pytest.fixture(scope="session")
def folder(small_region: Path) -> Path:
    return small_region.parent


@pytest.fixture(scope="session")
def grid(small_region: Path) -> Grid:
    return yamlio.load(small_region, RegionConfig).grid_


def test_counties_partition_the_region(folder: Path, grid: Grid) -> None:
    raw = gpd.read_file(folder / "data" / "vectors" / "counties.gpkg")
    assert raw.crs.is_geographic
    counties = layer(folder, "counties", grid)
    ids = zones(counties, grid)
    assert (ids > 0).all()
    parts = counties.geometry
    assert all(parts[i].intersection(parts[j]).area < 1 for i in range(3) for j in range(i))
    region = layer(folder, "region", grid).geometry[0]
    assert parts.area.sum() == pytest.approx(region.area, rel=1e-9)
    assert region.area == pytest.approx(
        grid.pixel_area_m2 * grid.shape[0] * grid.shape[1], rel=1e-6
    )
    assert (raw["key_function"] == "yes").sum() == 1


def test_red_line_is_disjoint_and_crosses_borders(folder: Path, grid: Grid) -> None:
    frame = layer(folder, "red_line", grid)
    assert frame.is_valid.all()
    assert all(
        frame.geometry[i].disjoint(frame.geometry[j]) for i in range(len(frame)) for j in range(i)
    )
    ids, counties = zones(frame, grid), zones(layer(folder, "counties", grid), grid)
    across_counties = across_tiles = 0
    for k in range(1, len(frame) + 1):
        rows, cols = np.nonzero(ids == k)
        across_counties += len(np.unique(counties[rows, cols])) > 1
        across_tiles += len(set(zip(rows // 128, cols // 128, strict=True))) > 1
    assert across_counties >= 2
    assert across_tiles >= 2
    # On the demo's own tiles as well.
    demo = yamlio.load(configs_folder() / "regions" / "demo.yaml", RegionConfig).grid
    step = demo.tile / 1344 * grid.shape[0]
    crossing = 0
    for k in range(1, len(frame) + 1):
        rows, cols = np.nonzero(ids == k)
        crossing += len(set(zip(rows // step, cols // step, strict=True))) > 1
    assert crossing >= 2


def test_planted_changes_are_in_the_truth(folder: Path, grid: Grid) -> None:
    before, after = truth(folder, 2024), truth(folder, 2025)
    planted = changes(folder, grid)
    assert planted.keys() == {"mine", "planted_forest", "degraded_steppe", "shrunken_lake"}
    mine, forest = planted["mine"], planted["planted_forest"]
    degraded, lake = planted["degraded_steppe"], planted["shrunken_lake"]
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
    mine = changes(folder, grid)["mine"]
    reserves = layer(folder, "nature_reserves", grid)
    national = reserves[reserves["level"] == "national"]
    assert set(national["reserve"]) == {"NR01"}
    assert set(reserves["level"]) == {"national", "regional"}
    assert set(national["functional_zone"].iloc[np.unique(zones(national, grid)[mine]) - 1]) == {
        "buffer"
    }
    assert zones(layer(folder, "red_line", grid), grid)[mine].all()


def test_functional_zones_partition_their_reserve(folder: Path, grid: Grid) -> None:
    frame = layer(folder, "nature_reserves", grid)
    for code, zones_of in (
        ("NR01", ["core", "buffer", "experimental"]),
        ("NR02", ["core", "general_control"]),
    ):
        own = frame[frame["reserve"] == code]
        assert list(own["functional_zone"]) == zones_of and own["code"].is_unique
        parts = own.geometry.to_list()
        assert all(a.intersection(b).area < 1 for a, b in itertools.combinations(parts, 2))
        for k in range(1, len(parts)):  # each lies wholly round those before it
            within = shapely.unary_union(parts[:k])
            assert shapely.unary_union(parts[: k + 1]).contains(within.buffer(5))
        whole = shapely.unary_union(parts)
        assert len(shapely.get_parts(whole)) == 1 and not list(whole.interiors)


def test_one_project_planted_the_forest_and_the_other_did_nothing(folder: Path, grid: Grid) -> None:
    frame = layer(folder, "restoration_projects", grid)
    ids = zones(frame, grid)
    assert (frame["first_year"] == 2025).all() and (frame["last_year"] == 2025).all()
    forest = changes(folder, grid)["planted_forest"]
    assert (ids[forest] == 1).all()
    with np.load(folder / "data" / "truth" / "gain.npz") as file:
        gain = file["gain"]
    before, after = truth(folder, 2024)["fvc"], truth(folder, 2025)["fvc"]
    np.testing.assert_allclose(gain, after - before, atol=1e-6)
    assert gain[forest].mean() > 0.2 and (gain[ids == 2] == 0).all()


def test_weather_is_whole_and_wetter_in_the_second_year(folder: Path) -> None:
    table = gpd.pd.read_csv(folder / "data" / "tables" / "weather.csv", dtype={"zone": str})
    assert not table.isna().any().any() and len(table) == 3 * 2 * 12
    rain = table.groupby(["zone", "year"])["rain_mm"].sum().unstack()
    assert (rain[2025] > rain[2024]).all() and rain.to_numpy().min() > 200
    july = table[table["month"] == 7]["temperature_c"]
    assert july.min() > 15 and table[table["month"] == 1]["temperature_c"].max() < -10


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
    counties = zones(layer(folder, "counties", grid), grid)
    forest = truth(folder, year)["forest"]
    for k in (1, 2, 3):
        zone = counties == k
        assert abs((out[zone] == 10).mean() - forest[zone].mean()) < 0.002
        assert forest[zone].mean() > 0.001


def test_sandy_land_and_rivers_lie_where_the_land_has_them(folder: Path, grid: Grid) -> None:
    land = truth(folder, 2025)["landcover"]
    sand = zones(layer(folder, "sandy_land", grid), grid) > 0
    assert sand[land == 61].all()
    assert (land[sand] == 61).mean() > 0.9
    rivers = layer(folder, "rivers", grid)
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
    from_cover = {"connectivity", "land_disturbance"}  # computed in every run
    for row in rows:
        from_pixels = {k for k in row if k.startswith("area_") and k != "area_km2"}
        missing = {k for k, v in row.items() if v is None} - from_pixels - {"ndvi_mean"}
        assert missing <= marine | from_cover


def test_plots_agree_with_the_truth(folder: Path, grid: Grid) -> None:
    for year in (2024, 2025):
        plots = gpd.pd.read_csv(folder / "data" / "tables" / f"plots_{year}.csv")
        points = gpd.points_from_xy(plots["lon"], plots["lat"], crs=4326).to_crs(grid.crs_wkt)
        cols = ((points.x - grid.bounds[0]) / grid.resolution).astype(int)
        rows = ((grid.bounds[3] - points.y) / grid.resolution).astype(int)
        error = plots["cover"] - truth(folder, year)["fvc"][rows, cols]
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
