"""The command line as a user meets it: help, answers, one clear message and the exit code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
import yaml
from simulated import copy_region

from eco_index import cli
from eco_index.config import load_region
from eco_index.cube import create_or_open
from eco_index.errors import InputError
from eco_index.zones import load_layer

COMMANDS = (
    "demo",
    "plan",
    "run",
    "show",
    "verify",
    "publish",
    "trace",
    "leads",
    "methods",
    "index",
    "serve",
)


def run(capsys, *arguments):
    capsys.readouterr()
    code = cli.run([str(a) for a in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_command(command, capsys):
    code, out, _ = run(capsys, command, "--help")
    assert code == 0 and "Usage: eco" in out
    if command not in ("methods", "leads"):
        assert "Example" in out


def test_help_is_quick_to_load_nothing_heavy():
    code = (
        "import sys; from eco_index.cli import run; run(['--help']);"
        "heavy = {'numpy', 'xarray', 'rasterio', 'prefect', 'numba', 'ee', 'matplotlib'};"
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_an_unknown_command_or_option_is_wrong_usage(capsys):
    assert run(capsys, "runn")[0] == 2
    assert run(capsys, "plan", "x.yaml", "--perod", "2025")[0] == 2


def test_errors_are_json_where_json_was_asked_for(capsys, tmp_path):
    code, out, _ = run(capsys, "plan", tmp_path / "no.yaml", "--period", "2025", "--json")
    assert code == 2
    assert "no.yaml" in json.loads(out)["error"]["what"]


def change(file, **keys):
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    for key, value in keys.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            config[key] |= value
        else:
            config[key] = value
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return file


@pytest.fixture
def region_file(small_region, tmp_path):
    return copy_region(small_region, tmp_path / "r", programmes=["whole_region"])


@pytest.mark.parametrize(
    ("keys", "code", "words"),
    [
        ({"sesaon": {"first": 5}}, 2, ("sesaon", "did you mean 'season'", "region.yaml, line")),
        ({"years": {"first": "soon"}}, 2, ("years.first", "'soon'", "integer")),
        ({"grid": {"crs": "EPSG:4326"}}, 2, ("geographic", "equal-area")),
        ({"grid": {"crs": "EPSG:32650"}}, 2, ("does not keep areas",)),
        ({"imagery": ["landsat"]}, 2, ("no dataset 'landsat'", "demo_landsat_c2l2")),
        ({"programmes": ["red_lines"]}, 2, ("no programme 'red_lines'", "red_line")),
        (
            {"grid": {"bounds": [0, 4650000, 7680, 4657680]}},
            3,
            ("outside all data", "demo_landsat_c2l2"),
        ),
    ],
)
def test_a_wrong_region_file_gets_one_clear_message(region_file, keys, code, words, capsys):
    found, _, err = run(capsys, "plan", change(region_file, **keys), "--period", "2025")
    assert found == code, err
    for word in words:
        assert word in err
    assert "Traceback" not in err and err.count("error:") == 1


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("2025H3", ("not a period", "2025H1")),
        ("next year", ("not a period",)),
        ("2099", ("future",)),
        ("2019", ("2019", "2024")),
    ],
)
def test_a_period_that_cannot_be(region_file, period, words, capsys):
    if period == "2099":
        change(region_file, years={"last": 2100})
    code, _, err = run(capsys, "run", region_file, "--period", period)
    assert code == 2, err
    for word in words:
        assert word in err
    assert not (region_file.parent / "out" / "archive.icechunk").exists()


def spoil_layer(region_file, spoil):
    """Give the region a spoilt copy of its counties."""
    data = yaml.safe_load((region_file.parent / "region.yaml").read_text(encoding="utf-8"))
    catalog_path = region_file.parent / "catalog.yaml"
    source = data["catalog"]
    catalog = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    base = source.rsplit("/", 1)[0]
    for entry in catalog["datasets"].values():
        access = entry["access"]
        if access["type"] != "written":
            access["path"] = f"{base}/{access['path']}"
    counties = catalog["datasets"]["demo_counties"]["access"]
    frame = spoil(gpd.read_file(counties["path"]))
    counties["path"] = str(region_file.parent / "spoilt.gpkg")
    frame.to_file(counties["path"])
    catalog_path.write_text(yaml.safe_dump(catalog, allow_unicode=True), encoding="utf-8")
    return change(region_file, catalog="catalog.yaml")


def bow_tie(frame):
    x, y = frame.geometry[0].centroid.coords[0]
    tie = [(x, y), (x + 0.1, y + 0.1), (x + 0.1, y), (x, y + 0.1)]
    frame.loc[0, "geometry"] = shapely.Polygon(tie)
    return frame


def overlapping(frame):
    frame.loc[0, "geometry"] = frame.geometry[0].buffer(0.02)
    return frame


SPOILT = {
    "invalid": (bow_tie, ("invalid", "白沙旗")),
    "empty geometry": (
        lambda f: f.assign(geometry=[shapely.Polygon(), *f.geometry[1:]]),
        ("no geometry", "白沙旗"),
    ),
    "no zone at all": (lambda f: f.iloc[:0], ("empty",)),
    "overlap": (overlapping, ("overlap", "km2", "白沙旗")),
    "no name": (lambda f: f.assign(name_zh=["", *f.name_zh[1:]]), ("name.zh", "name_zh")),
    "no name column": (lambda f: f.drop(columns="name_en"), ("no column 'name_en'", "name_zh")),
    "twice the same id": (lambda f: f.assign(code="1"), ("'1'", "given twice")),
    "no CRS": (lambda f: f.set_crs(None, allow_override=True), ("CRS",)),
    "elsewhere": (
        lambda f: f.set_geometry(f.geometry.translate(-60, 0)), ("no zone lies within",),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_zone_layer_stops_its_programme_and_keeps_the_cube(
    kind, small_region, tmp_path, capsys
):
    spoil, words = SPOILT[kind]
    file = copy_region(
        small_region, tmp_path, programmes=["whole_region"], imagery=["demo_landsat_c2l2"]
    )
    code, _, _ = run(capsys, "run", spoil_layer(file, spoil), "--period", "2025H1")
    assert code == 0  # half-yearly: the programme is yearly, only the cube is made
    before = create_or_open(load_region(file)).view().states()
    with pytest.raises(InputError) as error:
        load_layer(load_region(file), "counties")
    assert error.value.exit_code == 3
    for word in words:
        assert word in str(error.value)
    assert create_or_open(load_region(file)).view().states() == before


def test_a_spoilt_layer_in_a_run_is_one_message_and_exit_code_1(small_region, tmp_path, capsys):
    file = copy_region(
        small_region, tmp_path, programmes=["whole_region"], imagery=["demo_landsat_c2l2"]
    )
    code, out, _ = run(capsys, "run", spoil_layer(file, bow_tie), "--period", "2024")
    assert code == 1
    assert "FAILED assess 2024 whole_region" in out and "invalid" in out
    states = create_or_open(load_region(file)).view().states()
    assert sum(s.startswith("product/2024/") for s in states) == 4  # the cube is kept


def test_index_from_a_table_with_every_sub_index(tmp_path, capsys):
    code, out, _ = run(capsys, "index", "hj192_2015", "--inputs", "help", "--json")
    assert code == 0
    names = json.loads(out)
    table = tmp_path / "units.csv"
    values = dict.fromkeys(names, 0.0) | {
        "area_km2": 100, "area_21": 60, "area_31": 40, "ndvi_mean": 0.6, "precipitation_mm": 400,
        "water_resources_1e6m3": 10, "water_resources_mean_1e6m3": 10, "biodiversity_index": 50,
    }  # fmt: skip
    head = ["unit_id", "unit_name", *values]
    table.write_text(
        ",".join(head) + "\n" + ",".join(["1", "甲县", *(str(v) for v in values.values())]) + "\n",
        encoding="utf-8",
    )
    code, out, _ = run(capsys, "index", "hj192_2015", "--inputs", table, "--json")
    assert code == 0
    unit = json.loads(out)["units"][0]
    assert unit["complete"] and unit["provisional"] and 0 <= unit["value"] <= 100
    code, out, _ = run(capsys, "index", "hj192_2015", "--inputs", table, "--lang", "zh")
    assert code == 0 and "甲县" in out and "试算" in out
    table.write_text(table.read_text(encoding="utf-8").replace(",60,", ",6000,"), encoding="utf-8")
    code, _, err = run(capsys, "index", "hj192_2015", "--inputs", table)
    assert code == 3 and "6040" in err and "100 km2" in err


def test_methods_say_what_is_not_attested(capsys):
    code, out, _ = run(capsys, "methods", "list", "--json")
    assert code == 0
    assert {"hj192_2015", "eqi_2021", "fvc_dimidiate"} <= {m["id"] for m in json.loads(out)}
    code, out, _ = run(capsys, "methods", "check", "eqi_2021")
    assert code == 0 and "placeholder" in out
    code, _, err = run(capsys, "methods", "show", "hj192")
    assert code == 2 and "hj192_2015" in err


def test_show_and_verify_of_what_is_no_archive(tmp_path, capsys):
    (tmp_path / "file.txt").write_text("x")
    for path in (tmp_path, tmp_path / "nowhere"):
        for command in ("show", "verify"):
            code, _, err = run(capsys, command, path)
            assert code == 3 and str(path.name) in err


def test_verify_finds_a_damaged_archive(small_region, tmp_path, capsys):
    file = copy_region(
        small_region, tmp_path, programmes=["nature_reserves"], imagery=["demo_landsat_c2l2"],
        months={"first": 5, "last": 6}, season={"first": 5, "last": 6}, min_season_months=1,
    )  # fmt: skip
    region = load_region(file)
    from eco_index import pipeline
    from eco_index.period import Period

    half = Period.parse("2024H1")
    pipeline.acquire_period(region, half)
    pipeline.compute_period(region, half)
    assert run(capsys, "verify", region.archive_path)[0] == 0
    chunks = region.archive_path / "chunks"
    assert chunks.is_dir()
    shutil.rmtree(chunks)
    code, out, err = run(capsys, "verify", region.archive_path)
    assert code == 3 and (out + err)
