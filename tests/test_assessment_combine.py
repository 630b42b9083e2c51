"""Combination tables of an assessment: they add up to the zones' own rows."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from assessment_cube import build_cube, build_region, year_arrays
from long_cube import analysis, with_analyses
from zone_fakes import pixel_box, write_layer

from eco_index.assessment import assess, assessment_digest
from eco_index.assessment.parts import combine
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.report import render
from eco_index.summary import Analysis, Summary, read_summary

KM2 = 9e-4
PERIOD = Period(2025)


def made(folder, name: str, asked: tuple[str, ...], **more) -> Summary:
    region = build_region(folder, **more)
    programme = with_analyses(region, name, combine=asked)
    return read_summary(assess(region, programme, PERIOD, build_cube(region), folder / "a"))


def lines_of(found: Analysis, table: int) -> dict[str, tuple]:
    return {line.head.en: line.cells for line in found.tables[table].lines}


def truth(rows: slice, columns: slice) -> tuple:
    """Area, mean cover, valid area, forest share, mapped area of a block, straight from pixels."""
    arrays = {k: v[rows, columns] for k, v in year_arrays(2025).items()}
    cover = arrays["fvc"][arrays["fvc"] != PRODUCTS["fvc"].fill].astype(float)
    seen = arrays["landcover"] > 0
    return (
        seen.size * KM2, cover.mean() / 100, cover.size * KM2,
        100 * (arrays["forest"][seen] == 1).mean(), seen.sum() * KM2,
    )  # fmt: skip


def test_every_combination_equals_its_pixels(tmp_path):
    found = analysis(made(tmp_path, "red_line", ("counties",)), "combine")
    lines = lines_of(found, 0)
    expected = {
        "zone 0 × zone 0": np.s_[1:46, 1:18],
        "zone 1 × zone 0": np.s_[24:40, 36:40],
        "zone 1 × zone 1": np.s_[24:40, 40:64],
    }
    for head, (rows, columns) in expected.items():
        assert lines[head] == pytest.approx(truth(rows, columns)), head
    assert set(lines) == {*expected, "zone 1 (subtotal)"}


@pytest.mark.parametrize("coverage", ["centre", "exact"])
def test_combinations_add_up_to_the_rows_of_the_zones(tmp_path, coverage):
    crooked = [pixel_box(1.3, 1.2, 18.6, 45.7), pixel_box(36.2, 24.4, 63.1, 39.8)]
    layers = {name: {"coverage": coverage} for name in ("red_line", "counties")}
    region = build_region(tmp_path, layer_extra=layers)
    (tmp_path / "red_line.gpkg").unlink()
    write_layer(tmp_path / "red_line.gpkg", crooked)
    programme = with_analyses(region, "red_line", combine=("counties",))
    summary = read_summary(assess(region, programme, PERIOD, build_cube(region), tmp_path / "a"))
    lines = lines_of(analysis(summary, "combine"), 0)
    rows = {(r.zone, r.indicator): r for r in summary.rows}
    area, cover, valid, forest, mapped = lines["zone 1 (subtotal)"]
    zone = next(z for z in summary.zones if z.id == "z1")
    assert area == pytest.approx(zone.pixels_km2, rel=1e-9)
    assert cover == pytest.approx(rows["z1", "fvc_mean"].value, rel=1e-9)
    assert valid == pytest.approx(rows["z1", "fvc_mean"].valid_km2, rel=1e-9)
    assert forest == pytest.approx(rows["z1", "forest_coverage"].value, rel=1e-9)
    assert mapped == pytest.approx(rows["z1", "forest_coverage"].denominator_km2, rel=1e-9)
    parts = [lines[f"zone 1 × zone {k}"] for k in (0, 1)]
    assert sum(p[0] for p in parts) == pytest.approx(area, rel=1e-9)
    assert sum(p[1] * p[2] for p in parts) == pytest.approx(cover * valid, rel=1e-9)


def test_the_other_side_and_land_cover_hold_the_same_area(tmp_path):
    found = analysis(made(tmp_path, "red_line", ("counties",)), "combine")
    whole, counties, land = (lines_of(found, k) for k in range(3))
    assert counties["zone 0"][:5] == pytest.approx(
        [
            whole["zone 0 × zone 0"][0] + whole["zone 1 × zone 0"][0],
            *counties["zone 0"][1:5],
        ]
    )
    share, size = counties["zone 0"][5:]
    assert size == pytest.approx(40 * 48 * KM2)
    assert share == pytest.approx(100 * counties["zone 0"][0] / size)
    for head, cells in land.items():
        assert sum(cells) == pytest.approx(whole[head][0])
        assert sum(cells[:-1]) == pytest.approx(whole[head][4])


RESERVES = {
    "nature_reserves": {
        "level": ["national", "national", "national"],
        "functional_zone": ["core", "buffer", "core"],
        "reserve": ["A", "A", ""],
    }
}


def reserves(folder, **layer):
    region = build_region(
        folder,
        layer_extra={
            "nature_reserves": {"group": "reserve", "attributes": ["level", "functional_zone"]}
            | layer
        },
    )
    (folder / "nature_reserves.gpkg").unlink()
    shapes = [pixel_box(2, 2, 16, 14), pixel_box(16, 2, 20, 14), pixel_box(30, 30, 45, 40)]
    if not layer.get("partition", True):
        shapes[1] = pixel_box(10, 2, 20, 14)
    write_layer(folder / "nature_reserves.gpkg", shapes, **RESERVES["nature_reserves"])
    return region


def test_reserve_by_functional_zone_by_land_cover(tmp_path):
    region = reserves(tmp_path)
    programme = with_analyses(region, "nature_reserves", combine=("functional_zone",))
    path = assess(region, programme, PERIOD, build_cube(region), tmp_path / "a")
    summary = read_summary(path)
    found = analysis(summary, "combine")
    lines = lines_of(found, 0)
    assert lines["A × core"] == pytest.approx(truth(slice(2, 14), slice(2, 16)))
    assert lines["A × buffer"] == pytest.approx(truth(slice(2, 14), slice(16, 20)))
    assert lines["A (subtotal)"] == pytest.approx(truth(slice(2, 14), slice(2, 20)))
    subtotal = next(r for r in summary.rows if (r.zone, r.indicator) == ("_group_A", "fvc_mean"))
    assert lines["A (subtotal)"][1] == pytest.approx(subtotal.value)
    assert lines["zone 2 × core"] == pytest.approx(truth(slice(30, 40), slice(30, 45)))
    core = lines_of(found, 1)["core"]
    assert core[0] == pytest.approx(lines["A × core"][0] + lines["zone 2 × core"][0])
    titles = [c.title.en for c in found.tables[2].columns]
    land = dict(zip(titles, lines_of(found, 2)["zone 2 × core"], strict=True))
    block = year_arrays(2025)["landcover"][30:40, 30:45]
    assert land["water"] == pytest.approx((block // 10 == 4).sum() * KM2)
    render(path)


def test_overlapping_zones_are_not_added_up_by_column(tmp_path):
    region = reserves(tmp_path, partition=False)
    programme = with_analyses(region, "nature_reserves", combine=("functional_zone", "counties"))
    summary = read_summary(assess(region, programme, PERIOD, build_cube(region), tmp_path / "a"))
    found = analysis(summary, "combine")
    assert "count twice" in found.notes[0].en
    assert not any("by counties" in t.caption.en for t in found.tables)
    assert lines_of(found, 0)["zone 1 × zone 0"] == pytest.approx(
        truth(slice(2, 14), slice(10, 20))
    )


def test_overlapping_counterparts_keep_the_zones_own_margin(tmp_path):
    region = build_region(tmp_path, layer_extra={"nature_reserves": {"partition": False}})
    (tmp_path / "nature_reserves.gpkg").unlink()
    write_layer(
        tmp_path / "nature_reserves.gpkg", [pixel_box(2, 2, 16, 14), pixel_box(8, 2, 20, 14)],
        level=["national", "regional"],
    )  # fmt: skip
    programme = with_analyses(region, "red_line", combine=("nature_reserves",))
    summary = read_summary(assess(region, programme, PERIOD, build_cube(region), tmp_path / "a"))
    found = analysis(summary, "combine")
    lines = lines_of(found, 0)
    assert lines["zone 0 (subtotal)"] == pytest.approx(truth(slice(1, 46), slice(1, 18)))
    assert lines["zone 0 × zone 1"] == pytest.approx(truth(slice(2, 14), slice(8, 18)))
    assert any("more than the unit" in n.en for n in found.notes)


def test_a_region_without_the_second_side_is_told(tmp_path):
    summary = made(tmp_path, "nature_reserves", ("national_parks", "functional_zone"))
    found = analysis(summary, "combine")
    assert not found.tables
    assert [("national_parks" in n.en, "functional_zone" in n.en) for n in found.notes] == [
        (True, False), (False, True),
    ]  # fmt: skip


def test_large_tables_are_cut_on_the_page_only(tmp_path, monkeypatch):
    monkeypatch.setattr(combine, "MOST_LINES", 2)
    summary = made(tmp_path, "red_line", ("counties",))
    found = analysis(summary, "combine")
    areas = [line.cells[0] for line in found.tables[0].lines]
    assert areas == sorted(areas, reverse=True) and len(areas) == 3
    assert "3 combinations, the 2 largest are shown" in found.notes[0].en
    files = {p.name: p for p in render(tmp_path / "a" / "summary.json")}
    smallest = found.tables[0].lines[-1].head
    assert smallest.en not in files["report.en.html"].read_text(encoding="utf-8")
    assert smallest.zh not in files["report.zh.html"].read_text(encoding="utf-8")
    with files["analyses.csv"].open(encoding="utf-8-sig", newline="") as file:
        heads = [row["line_en"] for row in csv.DictReader(file) if row["analysis"] == "combine"]
    assert smallest.en in heads


def test_the_digest_follows_the_other_layer(tmp_path):
    region = build_region(tmp_path, extra={"units": None})
    view = build_cube(region)
    programme = with_analyses(region, "red_line", combine=("counties",))
    before = assessment_digest(region, programme, PERIOD, view)
    (tmp_path / "counties.gpkg").unlink()
    write_layer(tmp_path / "counties.gpkg", [pixel_box(0, 0, 64, 48)])
    assert assessment_digest(region, programme, PERIOD, view) != before


def test_without_land_cover_cover_alone_is_tabulated(tmp_path):
    region = build_region(tmp_path)
    view = build_cube(region)
    config = region.config.model_copy(update={"landcover": None})
    bare = type(region)(config, region.catalog, region.programmes)
    programme = with_analyses(bare, "red_line", combine=("counties",))
    summary = read_summary(assess(bare, programme, PERIOD, view, tmp_path / "a"))
    found = analysis(summary, "combine")
    assert [len(t.columns) for t in found.tables] == [3, 5, 4, 4]
    assert lines_of(found, 0)["zone 0 × zone 0"] == pytest.approx(truth(*np.s_[1:46, 1:18])[:3])
