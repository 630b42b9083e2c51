from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml
from unit_inputs import overlay_text, unit

from eco_index.errors import InputError
from eco_index.indicators import (
    index_command_data,
    index_text,
    methods_check,
    methods_list,
    methods_show,
    read_table,
)
from eco_index.methods import load_method

EI = load_method("hj192_2015")


def write_csv(path: Path, rows: list[dict], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [unit(), unit(unit_id="150102", unit_name="乙县", ndvi_mean=0.3, cod_t="")]
    return write_csv(tmp_path / "units.csv", rows, "utf-8-sig")


def test_csv_and_yaml_give_the_same(tmp_path: Path, table: Path) -> None:
    rows = read_table(table, EI)
    assert [r["unit_id"] for r in rows] == ["150101", "150102"]
    assert rows[1]["cod_t"] is None
    assert rows[0]["unit_name"] == "甲县"
    units = [unit(), unit(unit_id="150102", unit_name="乙县", ndvi_mean=0.3, cod_t=None)]
    for content in (units, {"units": units}):
        path = tmp_path / "units.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        assert read_table(path, EI) == rows


@pytest.mark.parametrize(
    ("changes", "message", "line"),
    [
        ({"cod_t": "1,200"}, "'cod_t' is not a number: '1,200'", "line 3"),
        ({"ndvi_mean": 6000}, "scaled integers", "line 3"),
        ({"unit_id": "150101"}, "'150101' is given twice", "lines 2 and 3"),
        ({"unit_id": ""}, "no unit_id", "line 3"),
        ({"area_21": 2000}, "add to 2000 km2", "line 3"),
    ],
)
def test_bad_rows_name_their_line(tmp_path: Path, changes: dict, message: str, line: str) -> None:
    path = write_csv(tmp_path / "units.csv", [unit(), unit(unit_id="b") | changes])
    with pytest.raises(InputError) as caught:
        read_table(path, EI)
    assert message in str(caught.value)
    assert line in str(caught.value)
    assert caught.value.exit_code == 3


def rename(row: dict, old: str, new: str) -> dict:
    return {new if k == old else k: v for k, v in row.items()}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (rename(unit(), "ndvi_mean", "ndvi_maen"), "did you mean 'ndvi_mean'"),
        (rename(unit(), "area_21", "AREA_21"), "did you mean 'area_21'"),
        (rename(unit(), "area_km2", "size"), "column 'area_km2' is missing"),
        (rename(unit(), "unit_id", "code"), "column 'unit_id' is missing"),
    ],
)
def test_bad_columns(tmp_path: Path, row: dict, message: str) -> None:
    path = write_csv(tmp_path / "units.csv", [row])
    with pytest.raises(InputError, match=message):
        read_table(path, EI)


def test_other_columns_are_left_alone(tmp_path: Path) -> None:
    # Inputs of the other index and remarks of the office.
    path = write_csv(tmp_path / "units.csv", [unit(备注="核对过", population=1200)])
    assert "population" not in read_table(path, EI)[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "the table is empty"),
        ("a.csv", "unit_id,area_km2\n", "no rows"),
        ("a.csv", "unit_id,area_km2\n1,2,3\n", "3 cells"),
        ("a.csv", "unit_id,area_km2,area_km2\n1,2,3\n", "'area_km2' is given twice"),
        ("a.csv", "unit_id;area_km2\n1;2\n", "separated by semicolons"),
        ("a.csv", "unit_id\tarea_km2\n1\t2\n", "separated by tabs"),
        ("a.csv", "unit_id,area_km2\n\0,2\n", "binary zeros"),
        ("a.csv", "unit_id,area_km2\n1,1_000\n", "not a number: '1_000'"),
        ("a.xlsx", "PK", "workbook"),
        ("a.yaml", "[]", "the table is empty"),
        ("a.yaml", "a: 1", "not a table of units"),
    ],
)
def test_not_a_table(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_table(path, EI)


def test_a_land_cover_class_that_no_method_knows_is_not_lost(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "units.csv", [unit(area_99=4.0)])
    with pytest.raises(InputError, match=r"unknown land-cover class 99 \(column 'area_99'\)") as e:
        read_table(path, EI)
    assert "11, 12, 21" in e.value.rule and "67" in e.value.rule


def test_not_utf8_and_not_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "gbk.csv", [unit()], "gb18030")
    with pytest.raises(InputError, match="not UTF-8"):
        read_table(path, EI)
    for name in ("no.csv", "no.yaml"):
        with pytest.raises(InputError, match="not found"):
            read_table(tmp_path / name, EI)


def test_index_command_data(tmp_path: Path, table: Path) -> None:
    before = write_csv(tmp_path / "before.csv", [unit(ndvi_mean=0.4)])
    data = json.loads(json.dumps(index_command_data("hj192_2015", table, compare=before)))
    first, second = data["units"]
    assert first["change_title"]["zh"] == "明显变好"
    assert first["label"]["en"] == "provisional"
    assert second["value"] is None
    assert not second["complete"]
    assert data["not_compared"] == ["150102"]
    assert data["missing_columns"] == []
    assert data["method"]["provisional"]
    for lang, words in (
        ("zh", ("甲县", "明显变好", "试算", "未评价，缺：cod_t (化学需氧量", "不得作为官方结果")),
        ("en", ("no official figures", "not evaluated, missing: cod_t (COD", "unit of the annual")),
    ):
        text = index_text(data, lang)
        assert all(w in text for w in words), text
    choices = index_text(data, "zh").split("所用选项:\n")[1].split("所用数字")[0]
    assert "修约: 不修约 (默认)  [依据: 占位值]" in choices
    assert not re.search("[A-Za-z]", choices)  # a Chinese reader gets Chinese


def test_both_periods_share_one_unit_set(tmp_path: Path) -> None:
    now = write_csv(tmp_path / "now.csv", [unit(soil_retention=100.0)])
    before = write_csv(tmp_path / "before.csv", [unit(soil_retention=200.0)])
    data = index_command_data("eqi_2021", now, compare=before)
    subs = {s["id"]: s for s in data["units"][0]["sub_indices"]}
    # A maximum per period would give 100 in both, and no change.
    assert subs["soil_retention"]["value"] == 50
    assert data["units"][0]["change"] < 0
    assert "marine_shoreline" in data["units"][0]["not_applicable"]
    assert "不适用" in index_text(data, "zh")
    assert "units behind the normalisation: 1 unit(s), 2 row(s): 150101" in index_text(data)


def test_tables_without_a_common_unit(tmp_path: Path, table: Path) -> None:
    other = write_csv(tmp_path / "other.csv", [unit(unit_id="999")])
    with pytest.raises(InputError, match="no unit in common"):
        index_command_data("hj192_2015", table, compare=other)


def test_methods_data(tmp_path: Path) -> None:
    listed = {m["id"]: m for m in methods_list()}
    assert listed["eqi_2021"]["provisional"]
    assert not listed["fvc_dimidiate"]["provisional"]
    shown = methods_show("eqi_2021")
    json.dumps(shown)
    assert len(shown["components"]) == 4 + 11 + 18
    assert not methods_check("eqi_2021")["complete"]
    path = tmp_path / "o.yaml"
    path.write_text(overlay_text("eqi_2021"), encoding="utf-8")
    assert methods_check("eqi_2021", path)["complete"]
