"""`eco index` and `eco methods` for every official index: bad lines, overlays, what is shown."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from unit_inputs import overlay_text, unit

from eco_index import cli
from eco_index.methods import list_methods, load_method

INDICES = [m for m in list_methods() if load_method(m).file.kind == "index"]
LAND = [m for m in INDICES if "area_21" in load_method(m).file.inputs]
WITH_AREA = [m for m in INDICES if "area_km2" in load_method(m).file.inputs]


def row(**changes) -> dict:
    return unit(
        function_type="sand_fixation", reserve_type="desert", protected_km2=200.0,
        desertified_km2=100.0, area_suitability_index=80.0, invasive_species_index=10.0,
        development_disturbance_index=20.0, environmental_quality_index=70.0,
        city_pollution_load_index=30.0, ecological_construction_index=50.0,
        erosion_slight_km2=60.0, lai_density=0.5, fvc_density=0.6, gpp_density=0.7,
    ) | changes  # fmt: skip


def table(folder: Path, rows: list[dict], name: str = "units.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def run(capsys, *arguments) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.run([str(a) for a in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def refused(capsys, method: str, path: Path) -> str:
    """Run `eco index`; the table must be refused as unusable, with one message and no result."""
    code, out, err = run(capsys, "index", method, "--inputs", path)
    assert code == 3, out + err
    assert out == ""
    assert "Traceback" not in err
    return " ".join(err.split())


def test_the_indices_are_what_the_how_to_names() -> None:
    assert set(INDICES) == {
        "eqi_2021", "hj1172_2021", "hj192_2015", "hj192_2015_city", "hj192_2015_function",
        "hj192_2015_reserve", "hjt192_2006",
    }  # fmt: skip


@pytest.mark.parametrize("method", INDICES)
def test_a_good_table_computes(method: str, tmp_path: Path, capsys) -> None:
    code, out, err = run(capsys, "index", method, "--inputs", table(tmp_path, [row()]), "--json")
    assert code == 0, err
    data = json.loads(out)
    assert data["units"][0]["complete"]
    assert data["units"][0]["provisional"]
    assert data["method"]["id"] == method


@pytest.mark.parametrize("method", LAND)
def test_bad_areas_are_refused(method: str, tmp_path: Path, capsys) -> None:
    more = refused(capsys, method, table(tmp_path, [row(area_21=900.0, area_31=120.0)]))
    assert "1020 km2" in more
    assert "1000 km2" in more
    assert "line 2" in more
    assert "area_34" in refused(capsys, method, table(tmp_path, [row(area_34=1.0)]))
    assert "negative" in refused(capsys, method, table(tmp_path, [row(area_31=-1.0, area_21=0)]))


@pytest.mark.parametrize(
    ("method", "column", "value", "message"),
    [
        ("hj192_2015", "nox_t", -5, "negative"),
        ("hjt192_2006", "so2_t", -5, "negative"),
        ("hjt192_2006", "precipitation_mm", 0, "above 0"),
        ("eqi_2021", "green_space_ratio", 100.5, "percentage cannot exceed 100"),
        ("eqi_2021", "ndvi_mean", 5200, "scaled integers"),
        ("hj192_2015_function", "ndvi_mean", 5200, "scaled integers"),
        ("hj192_2015_function", "protected_km2", 1500, "protected_km2"),
        ("hj192_2015_function", "function_type", "desert", "choices: none, sand_fixation"),
        ("hj192_2015_reserve", "reserve_type", "steppe", "choices: none, forest"),
        ("hj192_2015_reserve", "invasive_species_index", 101, "0 to 100"),
        ("hj192_2015_city", "city_pollution_load_index", -1, "negative"),
        ("hj1172_2021", "fvc_density", 60, "0 to 1"),
        ("hj1172_2021", "gpp_density", "n.a.", "not a number"),
    ],
)
def test_values_that_cannot_be(method, column, value, message, tmp_path: Path, capsys) -> None:
    path = table(tmp_path, [row(unit_id="a"), row(unit_id="b") | {column: value}])
    said = refused(capsys, method, path)
    assert message in said
    assert column in said
    assert "line 3" in said


@pytest.mark.parametrize("method", INDICES)
def test_bad_tables(method: str, tmp_path: Path, capsys) -> None:
    assert "given twice" in refused(capsys, method, table(tmp_path, [row(), row()]))
    empty = tmp_path / "empty.csv"
    empty.write_text("", encoding="utf-8")
    assert "the table is empty" in refused(capsys, method, empty)
    empty.write_text("unit_id,area_km2\n", encoding="utf-8")
    assert "no rows" in refused(capsys, method, empty)
    lacking = {k: v for k, v in row().items() if k != "unit_id"}
    assert "'unit_id' is missing" in refused(capsys, method, table(tmp_path, [lacking]))
    assert "not found" in refused(capsys, method, tmp_path / "no.csv")
    if method in WITH_AREA:
        lacking = {k: v for k, v in row().items() if k != "area_km2"}
        assert "'area_km2' is missing" in refused(capsys, method, table(tmp_path, [lacking]))


@pytest.mark.parametrize("method", INDICES)
def test_a_column_that_is_not_there_leaves_the_index_open(method, tmp_path: Path, capsys) -> None:
    part = load_method(method).file.components[-1]
    gone = next(n for n in part.needed() if n != "area_km2")
    path = table(tmp_path, [{k: v for k, v in row().items() if k != gone}])
    code, out, _ = run(capsys, "index", method, "--inputs", path)
    assert code == 0
    assert "not evaluated" in out
    assert gone in out.split("columns that the table does not have:")[1].split("\n")[0]


@pytest.mark.parametrize("method", INDICES)
def test_an_overlay_is_signed_and_shown(method: str, tmp_path: Path, capsys) -> None:
    overlay = tmp_path / "official.yaml"
    overlay.write_text(overlay_text(method), encoding="utf-8")
    code, out, _ = run(capsys, "methods", "check", method, "--overlay", overlay, "--json")
    assert code == 0
    assert json.loads(out)[0]["open"] == []
    code, out, _ = run(capsys, "methods", "show", method, "--overlay", overlay, "--json")
    shown = json.loads(out)
    signed = [n for n in shown["numbers"] if "张三" in n["source"]]
    assert code == 0
    assert signed
    assert all(n["evidence"] == "primary" and "2026-01-15" in n["source"] for n in signed)
    assert any(n["clause"].startswith("p. ") for n in signed)
    path = table(tmp_path, [row()])
    code, out, _ = run(capsys, "index", method, "--inputs", path, "--overlay", overlay, "--json")
    data = json.loads(out)
    assert code == 0
    assert data["method"]["overlay_digest"] == shown["overlay_digest"]
    assert not data["units"][0]["provisional"]
    code, _, err = run(capsys, "methods", "check", "fvc_dimidiate", "--overlay", overlay)
    assert code == 2
    assert "the overlay is for" in err


@pytest.mark.parametrize("method", INDICES)
def test_methods_show_says_how_sure_each_number_is(method: str, capsys) -> None:
    code, out, _ = run(capsys, "methods", "show", method)
    assert code == 0
    assert "provisional (试算)" in out
    code, out, _ = run(capsys, "methods", "list", "--json")
    entry = next(m for m in json.loads(out) if m["id"] == method)
    assert entry["numbers_unverified"] > 0
    code, out, _ = run(capsys, "index", method, "--inputs", "help")
    assert code == 0
    for name, option in load_method(method).file.options.items():
        assert (f"column {name}:" in out) == option.given_by_unit
