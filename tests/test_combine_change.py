"""Change of combinations: planted on the ground, planted in the boundaries, and told apart."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from assessment_cube import LAKE, build_cube, build_region, year_arrays
from long_cube import analysis, with_analyses
from zone_fakes import pixel_box, write_layer

from eco_index.assessment import assess, assessment_digest
from eco_index.assessment.parts import combine
from eco_index.period import Period
from eco_index.products import LUCC_LEVEL1
from eco_index.report import render
from eco_index.summary import Analysis, Summary, read_summary

KM2 = 9e-4
#: Red line x counties on the present boundaries.
PRESENT = {
    "zone 0 × zone 0": np.s_[1:46, 1:18],
    "zone 1 × zone 0": np.s_[24:40, 36:40],
    "zone 1 × zone 1": np.s_[24:40, 40:64],
}


def assessed(region, view, folder: Path, name="red_line", asked=("counties",), period=2025):
    programme = with_analyses(region, name, combine=asked)
    return read_summary(assess(region, programme, Period(period), view, folder))


def table(found: Analysis, caption: str) -> dict[str, dict[str, float]]:
    sheet = next(t for t in found.tables if t.caption.en == caption)
    titles = [c.title.en for c in sheet.columns]
    return {x.head.en: dict(zip(titles, x.cells, strict=True)) for x in sheet.lines}


def pixels(year: int, product: str, where) -> np.ndarray:
    fill = {"fvc": 65535, "forest": 255, "landcover": 0}[product]
    found = year_arrays(year)[product][where].astype(float)
    return np.where(found == fill, np.nan, found)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Summary:
    folder = tmp_path_factory.mktemp("plain")
    region = build_region(folder)
    return assessed(region, build_cube(region), folder / "a")


def test_planted_change_of_every_combination_equals_its_pixels(plain):
    found = analysis(plain, "combine")
    lines = table(found, "red_line × counties: 2024 to 2025")
    assert set(lines) == set(PRESENT)
    for head, where in PRESENT.items():
        was, now = (pixels(year, "fvc", where) / 100 for year in (2024, 2025))
        both = np.isfinite(was) & np.isfinite(now)
        forest = [pixels(year, "forest", where) for year in (2024, 2025)]
        seen = np.isfinite(forest[0]) & np.isfinite(forest[1])
        assert list(lines[head].values()) == pytest.approx(
            [
                np.nanmean(was), np.nanmean(now) - np.nanmean(was), (now - was)[both].mean(),
                both.sum() * KM2, (forest[1] - forest[0])[seen].sum() * KM2,
            ],
            abs=1e-9,
        ), head  # fmt: skip
    # Clouds of 2025 hide steppe: the two means say another thing than the pixels seen twice.
    east = lines["zone 1 × zone 1"]
    assert abs(east["cover: change on the ground"] - east["ground, seen in both years"]) > 1


def test_the_other_side_adds_the_combinations_up(plain):
    found = analysis(plain, "combine")
    lines = table(found, "red_line × counties: 2024 to 2025")
    county = table(found, "red_line × counties: all red_line by counties: 2024 to 2025")["zone 0"]
    mine = [lines["zone 0 × zone 0"], lines["zone 1 × zone 0"]]
    for name in ("area seen in both years", "net change of forest"):
        assert county[name] == pytest.approx(sum(m[name] for m in mine))
    weighed = [m["ground, seen in both years"] * m["area seen in both years"] for m in mine]
    assert county["ground, seen in both years"] * county[
        "area seen in both years"
    ] == pytest.approx(sum(weighed))


def test_net_change_of_land_cover_is_that_of_pixels_seen_twice(plain):
    found = analysis(plain, "combine")
    caption = next(t.caption.en for t in found.tables if "net change" in t.caption.en)
    lines = table(found, caption)
    for head, where in PRESENT.items():
        was, now = (pixels(year, "landcover", where) for year in (2024, 2025))
        both = np.isfinite(was) & np.isfinite(now)
        *nets, rest = lines[head].values()
        for cls, net in zip(LUCC_LEVEL1, nets, strict=True):
            change = (now[both] // 10 == cls).sum() - (was[both] // 10 == cls).sum()
            assert net == pytest.approx(change * KM2, abs=1e-12), (head, cls)
        assert sum(nets) == pytest.approx(0, abs=1e-9)
        assert rest == pytest.approx((~both).sum() * KM2)
    dried = (LAKE[0].stop - LAKE[0].start) * (LAKE[1].stop - LAKE[1].start) * KM2
    assert lines["zone 1 × zone 1"]["water"] == pytest.approx(-dried)


def test_without_a_year_before_nothing_is_compared(tmp_path):
    region = build_region(tmp_path)
    summary = assessed(region, build_cube(region), tmp_path / "a", period=2024)
    found = analysis(summary, "combine")
    assert len(found.tables) == 3 and not any("to 20" in t.caption.en for t in found.tables)


# Boundaries that moved.

OLD_RED = [pixel_box(1, 1, 18, 30), pixel_box(36, 24, 50, 40), pixel_box(60, 1, 63, 4)]
NEW_RED = [pixel_box(1, 1, 18, 46), pixel_box(36, 24, 50, 40), pixel_box(42, 2, 50, 9)]
OLD_COUNTIES = [pixel_box(0, 0, 44, 48), pixel_box(44, 0, 64, 48)]
NEW_COUNTIES = [pixel_box(0, 0, 40, 48), pixel_box(40, 0, 64, 48)]
#: Slices of last year's own boundaries; where there is none the combination is new.
OWN = {
    "zone 0 × zone 0": np.s_[1:30, 1:18],
    "zone 1 × zone 0": np.s_[24:40, 36:44],
    "zone 1 × zone 1": np.s_[24:40, 44:50],
}
NOW = {
    "zone 0 × zone 0": np.s_[1:46, 1:18],
    "zone 1 × zone 0": np.s_[24:40, 36:40],
    "zone 1 × zone 1": np.s_[24:40, 40:50],
    "zone 2 × zone 1": np.s_[2:9, 42:50],
}


def moved_region(folder: Path, coverage: str = "centre", counties: bool = True, tile: int = 16):
    layers = {
        name: {"editions": [{"valid_from": 2025, "dataset": f"{name}_new"}], "coverage": coverage}
        for name in (("red_line", "counties") if counties else ("red_line",))
    }
    region = build_region(
        folder,
        tile,
        layer_extra=layers,
        more_datasets={
            f"{name}_new": {"access": {"type": "vector", "path": f"{name}_new.gpkg"}}
            for name in layers
        },
    )
    (folder / "red_line.gpkg").unlink()
    names = ["zone 0", "zone 1", "old zone"]
    write_layer(folder / "red_line.gpkg", OLD_RED, name_en=names)
    write_layer(folder / "red_line_new.gpkg", NEW_RED, code=["z0", "z1", "z7"])
    if counties:
        (folder / "counties.gpkg").unlink()
        write_layer(folder / "counties.gpkg", OLD_COUNTIES, key_function=["yes"] * 2)
        write_layer(folder / "counties_new.gpkg", NEW_COUNTIES, key_function=["yes"] * 2)
    return region


CAPTION = "red_line × counties: 2024 to 2025"


@pytest.mark.parametrize("coverage", ["centre", "exact"])
def test_moved_boundaries_are_told_from_the_ground(tmp_path, coverage):
    region = moved_region(tmp_path, coverage)
    summary = assessed(region, build_cube(region), tmp_path / "a")
    lines = table(analysis(summary, "combine"), CAPTION)
    gone = lines.pop("old zone × zone 1")
    assert list(lines) == list(NOW)
    assert gone["area 2024, own boundaries"] == pytest.approx(9 * KM2)
    assert gone["area by moved boundaries"] == pytest.approx(-9 * KM2)
    assert gone["cover: change on the ground"] is None
    for head, cells in lines.items():
        where, own = NOW[head], OWN.get(head)
        was, now = (np.nanmean(pixels(y, "fvc", where)) / 100 for y in (2024, 2025))
        assert cells["cover: change on the ground"] == pytest.approx(now - was)
        if own is None:
            assert cells["area 2024, own boundaries"] == 0
            assert cells["area by moved boundaries"] == pytest.approx(56 * KM2)
            assert cells["cover: moving"] is None and cells["cover: both"] is None
            continue
        old = pixels(2024, "fvc", own)
        area = pixels(2025, "fvc", where).size
        assert cells["area 2024, own boundaries"] == pytest.approx(old.size * KM2)
        assert cells["area by moved boundaries"] == pytest.approx((area - old.size) * KM2)
        assert cells["cover 2024, own boundaries"] == pytest.approx(old.mean() / 100)
        assert cells["cover: moving"] == pytest.approx(was - old.mean() / 100, abs=1e-9)
        both = cells["cover: moving"] + cells["cover: change on the ground"]
        assert cells["cover: both"] == pytest.approx(both, abs=1e-9)
    county = table(
        analysis(summary, "combine"),
        "red_line × counties: all red_line by counties: 2024 to 2025",
    )
    old = sum(cells.size for cells in (pixels(2024, "fvc", OWN[k]) for k in list(OWN)[:2]))
    assert county["zone 0"]["area 2024, own boundaries"] == pytest.approx(old * KM2)


def test_a_ground_that_stays_has_no_change_on_the_ground(tmp_path):
    region = moved_region(tmp_path)
    view = build_cube(region, arrays_of=lambda year: year_arrays(2024))
    lines = table(analysis(assessed(region, view, tmp_path / "a"), "combine"), CAPTION)
    moves = []
    for head in OWN:
        assert lines[head]["cover: change on the ground"] == pytest.approx(0, abs=1e-12)
        assert lines[head]["ground, seen in both years"] == pytest.approx(0, abs=1e-12)
        assert lines[head]["net change of forest"] == 0
        moves.append(lines[head]["cover: moving"])
    assert max(map(abs, moves)) == pytest.approx(5), "less forest, more lake"


def test_boundaries_that_stay_have_no_effect(tmp_path):
    """Only the red line has editions; of its second zone nothing moved."""
    region = moved_region(tmp_path, counties=False)
    summary = assessed(region, build_cube(region), tmp_path / "a")
    lines = table(analysis(summary, "combine"), CAPTION)
    for head in ("zone 1 × zone 0", "zone 1 × zone 1"):
        assert lines[head]["cover: moving"] == pytest.approx(0, abs=1e-12)
        assert lines[head]["area by moved boundaries"] == pytest.approx(0, abs=1e-12)
    assert abs(lines["zone 1 × zone 1"]["cover: change on the ground"]) > 1


def test_boundaries_that_are_missing_are_told(tmp_path):
    region = moved_region(tmp_path)
    (tmp_path / "counties.gpkg").unlink()
    found = analysis(assessed(region, build_cube(region), tmp_path / "a"), "combine")
    assert any("boundaries of 2024 cannot be used (their file is missing)" in n.en
               for n in found.notes)  # fmt: skip
    lines = table(found, CAPTION)
    assert "cover 2024" in lines["zone 0 × zone 0"]


def test_a_column_that_moves_between_editions(tmp_path):
    """What was buffer becomes core: that is a boundary, not the ground."""
    editions = [{"valid_from": 2025, "dataset": "reserves_new"}]
    region = build_region(
        tmp_path,
        layer_extra={
            "nature_reserves": {
                "group": "reserve", "attributes": ["level", "functional_zone"],
                "editions": editions,
            }
        },
        more_datasets={"reserves_new": {"access": {"type": "vector", "path": "new.gpkg"}}},
    )  # fmt: skip
    (tmp_path / "nature_reserves.gpkg").unlink()
    shapes = [pixel_box(2, 2, 16, 14), pixel_box(16, 2, 20, 14), pixel_box(30, 30, 45, 40)]
    columns = {"level": ["national"] * 3, "reserve": ["A", "A", "B"]}
    for name, kinds in (
        ("nature_reserves", ["core", "buffer", "buffer"]), ("new", ["core", "core", "core"]),
    ):  # fmt: skip
        write_layer(tmp_path / f"{name}.gpkg", shapes, functional_zone=kinds, **columns)
    summary = assessed(
        region, build_cube(region), tmp_path / "a", "nature_reserves", ("functional_zone",)
    )
    lines = table(analysis(summary, "combine"), "nature_reserves × functional_zone: 2024 to 2025")
    area = "area by moved boundaries"
    assert lines["A × core"][area] == pytest.approx(4 * 12 * KM2)
    assert lines["A × buffer"][area] == pytest.approx(-4 * 12 * KM2)
    assert lines["B × core"][area] == pytest.approx(150 * KM2)
    assert lines["B × buffer"]["area 2024, own boundaries"] == pytest.approx(150 * KM2)
    assert sum(cells[area] for cells in lines.values()) == pytest.approx(0, abs=1e-9)
    where = np.s_[2:14, 2:20]
    was, now = (pixels(y, "fvc", where).mean() / 100 for y in (2024, 2025))
    assert lines["A × core"]["cover: change on the ground"] == pytest.approx(now - was)


def test_the_tile_changes_nothing(tmp_path):
    found = []
    for tile in (16, 64):
        folder = tmp_path / str(tile)
        region = moved_region(folder, tile=tile)
        summary = assessed(region, build_cube(region), folder / "a")
        found.append(analysis(summary, "combine"))
    assert found[0] == found[1]


def test_a_page_shows_the_largest_and_the_csv_all(tmp_path, monkeypatch):
    monkeypatch.setattr(combine, "MOST_LINES", 2)
    region = moved_region(tmp_path)
    assessed(region, build_cube(region), tmp_path / "a")
    files = {p.name: p for p in render(tmp_path / "a" / "summary.json")}
    page = files["report.en.html"].read_text(encoding="utf-8")
    assert "area by moved boundaries" in page.lower()
    assert "old zone × zone 1" not in page
    with files["analyses.csv"].open(encoding="utf-8-sig", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["analysis"] == "combine"]
    assert "old zone × zone 1" in {r["line_en"] for r in rows if r["table_en"] == CAPTION}


def test_the_digest_follows_the_earlier_boundaries_of_the_other_layer(tmp_path):
    region = moved_region(tmp_path)
    view = build_cube(region)
    programme = with_analyses(region, "red_line", combine=("counties",))
    before = assessment_digest(region, programme, Period(2025), view)
    (tmp_path / "counties.gpkg").unlink()
    write_layer(tmp_path / "counties.gpkg", OLD_COUNTIES[::-1], key_function=["yes"] * 2)
    assert assessment_digest(region, programme, Period(2025), view) != before
