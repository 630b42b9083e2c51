"""Inputs of EQI in a run: from land cover, vectors, rasters and tables of the region."""

from __future__ import annotations

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import yaml
from assessment_cube import HEIGHT, WIDTH, build_cube, build_region, year_arrays
from pyproj import CRS
from rasterio.transform import from_origin
from shapely.geometry import LineString, box
from unit_inputs import HEADER, species_file
from zone_fakes import CRS as ALBERS
from zone_fakes import RES, X0, Y1, pixel_box, write_layer

from eco_index.assessment import assess
from eco_index.assessment.digest import assessment_digest
from eco_index.assessment.specs import unit_spec
from eco_index.assessment.unit_data import SPACE_CLASSES
from eco_index.assessment.units import unit_inputs
from eco_index.config import UnitDataConfig, load_region
from eco_index.cube import create_or_open
from eco_index.errors import InputError, UsageError
from eco_index.indicators import evaluate
from eco_index.indicators.connected import Spaces, spaces_connectivity
from eco_index.methods import load_method
from eco_index.period import Period
from eco_index.summary import read_summary
from eco_index.zonal import ZoneSums
from eco_index.zones import load_layer

EQI = load_method("eqi_2021")
AREA = CRS.from_user_input(ALBERS)
UNITS = [box(0, 0, 1000, 1000), box(1000, 0, 2000, 1000)]
YEAR = Period.parse("2025")
KM2 = RES * RES / 1e6


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A region of tiles of 16 pixels with its cube, to be copied."""
    folder = tmp_path_factory.mktemp("built")
    build_cube(build_region(folder, 16))
    return folder


def run_with(folder: Path, built: Path | None, data: dict | None = None, table: str | None = None):
    """Assess a region whose vectors, rasters and tables are those of `data`."""
    if built is not None:
        shutil.copytree(built, folder, dirs_exist_ok=True)
    else:
        build_cube(build_region(folder, 48))
    path, catalogue = folder / "region.yaml", folder / "catalog.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    entries = yaml.safe_load(catalogue.read_text(encoding="utf-8"))
    for key, access in (data or {}).items():
        entries["datasets"][key] = {
            "title": {"zh": key, "en": key}, "source": "made for a test", "licence": "CC0-1.0",
            "access": {k: v for k, v in access.items() if k in ("type", "path")},
        } | {k: v for k, v in access.items() if k not in ("type", "path")}  # fmt: skip
    config["unit_data"] = {k: k for k in data or {}}
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    catalogue.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    for year in (2024, 2025):
        if table is not None:
            (folder / f"statistics_{year}.csv").write_text(table, encoding="utf-8")
    region = load_region(path)
    view = create_or_open(region).view()
    summary = read_summary(
        assess(region, region.programmes["whole_region"], YEAR, view, folder / "a")
    )
    return {i.unit: i for i in summary.indices if i.method.startswith("eqi")}, summary


def expected_pc(cols: slice) -> float:
    land = year_arrays(2025)["landcover"][:, cols]
    mask = np.isin(land, SPACE_CLASSES).astype(np.uint8)
    area = mask.size * RES * RES / 1e4

    def blocks():
        yield 0, 0, mask

    return spaces_connectivity(blocks, mask.shape, (RES, RES), area, Spaces.of(EQI))


def test_land_cover_gives_connectivity_and_disturbance_for_any_tile(
    built: Path, tmp_path: Path
) -> None:
    small, summary = run_with(tmp_path / "s", built)
    large, _ = run_with(tmp_path / "l", None)
    z0 = small["z0"].inputs
    assert z0["land_disturbance"] == pytest.approx(100 * 30 / (40 * 48))  # the mine
    assert z0["connectivity"] == pytest.approx(expected_pc(slice(0, 40)), rel=1e-12)
    assert 0 < z0["connectivity"] < 1
    assert large["z0"].inputs == z0
    # A third of z1 has no land cover: nothing is made up.
    assert small["z1"].inputs["connectivity"] is None
    assert small["z1"].inputs["land_disturbance"] is None
    assert any("land development" in n.en and "method file" in n.en for n in summary.notes)
    assert small["z0"].provisional


def test_programmes_of_one_run_search_connectivity_once(
    built: Path, tmp_path: Path, monkeypatch
) -> None:
    from eco_index.assessment import unit_data

    searched = []
    real = unit_data.spaces_connectivity
    monkeypatch.setattr(unit_data, "spaces_connectivity",
                        lambda *a: searched.append(1) or real(*a))  # fmt: skip
    found, _ = run_with(tmp_path, built)
    assert len(searched) == 3  # two units in 2024, one in 2025: the other lies under cloud
    region = load_region(tmp_path / "region.yaml")
    view = create_or_open(region).view()
    again = read_summary(
        assess(region, region.programmes["key_counties"], YEAR, view, tmp_path / "b")
    )
    assert len(searched) == 3
    index = next(i for i in again.indices if i.method.startswith("eqi"))
    assert index.inputs == found["z0"].inputs


def test_what_the_table_gives_for_some_stands_for_all(built: Path, tmp_path: Path) -> None:
    found, _ = run_with(tmp_path, built, table="unit_id,area_km2,connectivity\nz0,1,0.5\nz1,1,\n")
    assert found["z0"].inputs["connectivity"] == 0.5
    assert found["z1"].inputs["connectivity"] is None  # never two definitions in one maximum
    assert found["z0"].inputs["land_disturbance"] is not None


def test_vectors_rasters_and_tables(built: Path, tmp_path: Path) -> None:
    write_layer(tmp_path / "built.gpkg", [pixel_box(4, 4, 14, 14), pixel_box(50, 4, 60, 14)])
    write_layer(tmp_path / "green.gpkg", [pixel_box(4, 4, 9, 14)])
    write_layer(tmp_path / "park.gpkg", [pixel_box(4, 4, 5, 14)])
    write_layer(tmp_path / "flood.gpkg", [pixel_box(0, 0, 20, 48), pixel_box(10, 0, 20, 48)])
    species = tmp_path / "species.csv"
    species.write_text(
        HEADER + "z0,A,bird,1,yes,yes,yes\nz0,B,bird,2,no,yes,no\n", encoding="utf-8"
    )
    values = np.full((HEIGHT, WIDTH), 20.0, np.float32)
    values[:, :20] = 40.0
    values[:, 50:] = -9999  # more than 5 % of z1
    profile = {
        "driver": "GTiff", "height": HEIGHT, "width": WIDTH, "count": 1, "dtype": "float32",
        "crs": ALBERS, "transform": from_origin(X0, Y1, RES, RES),
    }  # fmt: skip
    with rasterio.open(tmp_path / "soil.tif", "w", **profile) as out:
        out.write(values, 1)
    data = {
        "built_up": {"type": "vector", "path": "built.gpkg"},
        "green_space": {"type": "vector", "path": "green.gpkg"},
        "parks": {"type": "vector", "path": "park.gpkg"},
        "disasters": {"type": "vector", "path": "flood.gpkg"},
        "species": {"type": "table", "path": "species.csv"},
        "soil_retention": {"type": "raster", "path": "soil.tif", "units": "t/(hm2 a)",
                           "nodata": -9999},
    }  # fmt: skip
    found, summary = run_with(tmp_path, built, data)
    z0, z1 = found["z0"].inputs, found["z1"].inputs
    assert z0["green_space_ratio"] == pytest.approx(50)
    assert z1["green_space_ratio"] == pytest.approx(0)
    assert z0["park_access_share"] == pytest.approx(100)  # 500 m reach, 300 m of built-up area
    assert z1["park_access_share"] == pytest.approx(0)
    assert z0["disaster_area_share"] == pytest.approx(50)
    assert (z0["protected_species_n"], z1["protected_species_n"]) == (1, None)
    assert z0["native_functional_share"] == 100
    assert z0["indicator_species_vitality"] == 50
    assert z0["soil_retention"] == pytest.approx(3000)  # 30 t/hm2 = 3000 t/km2
    assert z1["soil_retention"] is None
    assert {"built_up", "species", "soil_retention"} <= {i.id for i in summary.inputs}


def test_a_year_without_disasters_is_zero_and_an_empty_built_up_layer_is_an_error(
    built: Path, tmp_path: Path
) -> None:
    empty = gpd.GeoDataFrame({"code": []}, geometry=[], crs=ALBERS)
    for name in ("flood", "built"):
        empty.to_file(tmp_path / f"{name}.gpkg")
    data = {"disasters": {"type": "vector", "path": "flood.gpkg"}}
    found, _ = run_with(tmp_path, built, data)
    assert found["z0"].inputs["disaster_area_share"] == 0
    data = {"built_up": {"type": "vector", "path": "built.gpkg"},
            "parks": {"type": "vector", "path": "flood.gpkg"}}  # fmt: skip
    with pytest.raises(InputError, match="the layer is empty"):
        run_with(tmp_path, built, data)


def test_a_file_that_is_missing_for_a_year_is_a_note(built: Path, tmp_path: Path) -> None:
    write_layer(tmp_path / "flood_2025.gpkg", [pixel_box(0, 0, 20, 48)])
    data = {"disasters": {"type": "vector", "path": "flood_{year}.gpkg"},
            "species": {"type": "table", "path": "species_{year}.csv"}}  # fmt: skip
    found, summary = run_with(tmp_path, built, data)
    assert found["z0"].inputs["disaster_area_share"] == pytest.approx(50)
    assert found["z0"].inputs["protected_species_n"] is None
    said = {n.en.split(":")[0] for n in summary.notes if "there is no file of" in n.en}
    assert said == {"there is no file of 'disasters' for 2024",
                    "there is no file of 'species' for 2025",
                    "there is no file of 'species' for 2024"}  # fmt: skip


def test_a_coastal_unit_takes_sea_and_shoreline_from_vectors(built: Path, tmp_path: Path) -> None:
    write_layer(tmp_path / "sea.gpkg", [pixel_box(0, 48, 40, 58)], unit_id=["z0"])
    write_layer(tmp_path / "use.gpkg", [pixel_box(0, 48, 10, 58)])
    shore = [LineString([(X0 + RES * a, Y1 - 1440), (X0 + RES * b, Y1 - 1440)])
             for a, b in ((0, 30), (30, 40))]  # fmt: skip
    write_layer(tmp_path / "shore.gpkg", shore, unit_id=["z0", "z0"], natural=[1, 0])
    data = {"sea": {"type": "vector", "path": "sea.gpkg"},
            "sea_use": {"type": "vector", "path": "use.gpkg"},
            "shoreline": {"type": "vector", "path": "shore.gpkg"}}  # fmt: skip
    table = "unit_id,area_km2,coast\nz0,1,coastal\nz1,1,inland\n"
    found, _ = run_with(tmp_path, built, data, table)
    z0, z1 = found["z0"].inputs, found["z1"].inputs
    assert z0["sea_km2"] == pytest.approx(400 * KM2)
    assert z0["sea_use_intensity"] == pytest.approx(25)
    assert z0["marine_shoreline_share"] == pytest.approx(75, abs=0.1)
    assert (z1["sea_km2"], z1["sea_use_intensity"], z1["marine_shoreline_share"]) == (None,) * 3
    subs = {s.id: s for s in found["z0"].sub_indices}
    assert subs["marine_shoreline"].value == 100  # the greatest of the set
    assert subs["sea_use"].missing == ()


def test_a_changed_file_makes_the_assessment_stale(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    config = yaml.safe_load((tmp_path / "region.yaml").read_text(encoding="utf-8"))
    catalogue = yaml.safe_load((tmp_path / "catalog.yaml").read_text(encoding="utf-8"))
    catalogue["datasets"]["species"] = catalogue["datasets"]["statistics"] | {
        "access": {"type": "table", "path": "species.csv"}
    }
    config["unit_data"] = {"species": "species"}
    for name, content in (("region", config), ("catalog", catalogue)):
        text = yaml.safe_dump(content, allow_unicode=True)
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    region = load_region(tmp_path / "region.yaml")
    view = create_or_open(region).view()

    def digests() -> list[str]:
        return [assessment_digest(region, region.programmes[p], YEAR, view)
                for p in ("whole_region", "red_line")]  # fmt: skip

    first = digests()
    species_file(tmp_path, "z0,A,bird,1,yes,yes,yes\n")
    second = digests()
    assert second[0] != first[0]
    assert second[1] == first[1]  # a programme without official indices does not read it
    assert digests() == second


@pytest.mark.parametrize(
    ("units", "value", "message"),
    [("kg/m2", 1.0, "units"), ("t/(km2 a)", -1.0, "values below 0")],
)
def test_a_raster_that_cannot_be_is_refused(built, tmp_path: Path, units, value, message) -> None:
    profile = {
        "driver": "GTiff", "height": HEIGHT, "width": WIDTH, "count": 1, "dtype": "float32",
        "crs": ALBERS, "transform": from_origin(X0, Y1, RES, RES),
    }  # fmt: skip
    with rasterio.open(tmp_path / "sand.tif", "w", **profile) as out:
        out.write(np.full((HEIGHT, WIDTH), value, np.float32), 1)
    data = {"sand_fixation": {"type": "raster", "path": "sand.tif", "units": units}}
    with pytest.raises(InputError, match=message):
        run_with(tmp_path, built, data)


def test_shares_need_what_they_are_shares_of(built: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'parks' needs 'built_up'"):
        run_with(tmp_path, built, {"parks": {"type": "vector", "path": "park.gpkg"}})


@pytest.mark.parametrize(
    ("words", "groups", "note"),
    [
        (["city_district", "国家重点生态功能区县域"], ["city_district", "key_function"], None),
        (["city_district", ""], ["city_district", "other"], "1 unit(s) do not state 'group of the"),
        (["other", "village"], ["other", "other"], "(unknown: village)"),
    ],
)
def test_the_group_of_a_unit_comes_from_the_layer(tmp_path: Path, words, groups, note) -> None:
    build_region(tmp_path)
    path = tmp_path / "region.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["layers"]["counties"]["attributes"] = ["group"]
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    (tmp_path / "counties.gpkg").unlink()
    shapes = [pixel_box(0, 0, 40, 48), pixel_box(40, 0, 64, 48)]
    write_layer(tmp_path / "counties.gpkg", shapes, group=words)
    region = load_region(path)
    units = load_layer(region, "counties")
    rows, notes = unit_inputs(region, units, ZoneSums(unit_spec(), 2), 2025, EQI)
    for row, group in zip(rows.values(), groups, strict=True):
        assert evaluate(EQI, row).options["unit_group"] == group
    said = [n.en for n in notes if "do not state" in n.en]
    assert (note is None) == (not said)
    assert note is None or note in said[0]
    # What the table says goes before the layer.
    lines = "unit_id,area_km2,unit_group\nz0,1,key_function\nz1,1,key_function\n"
    (tmp_path / "statistics_2025.csv").write_text(lines, encoding="utf-8")
    rows, _ = unit_inputs(region, units, ZoneSums(unit_spec(), 2), 2025, EQI)
    assert {r["unit_group"] for r in rows.values()} == {"key_function"}


def test_all_18_inputs_have_a_source() -> None:
    """Every level-3 indicator is computed from pixels, vectors, rasters or a table of species."""
    leaves = [c for c in EQI.file.components if c.kind != "children"]
    assert len(leaves) == 18
    by_run = {"ndvi_mean", "red_line_km2", "connectivity", "land_disturbance", "area_km2"}
    by_data = {
        "marine_shoreline_share": "shoreline", "soil_retention": "soil_retention",
        "sand_fixation": "sand_fixation", "green_space_ratio": "green_space",
        "park_access_share": "parks", "protected_species_n": "species",
        "indicator_species_vitality": "species", "native_functional_share": "species",
        "sea_use_intensity": "sea_use", "disaster_area_share": "disasters", "sea_km2": "sea",
    }  # fmt: skip
    assert set(by_data.values()) <= set(UnitDataConfig.model_fields)
    for part in leaves:
        for name in part.needed():
            assert name in by_run or name in by_data or name.startswith("area_"), name
