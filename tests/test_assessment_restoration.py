"""Effect of restoration projects through a whole assessment, on a cube of many years."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from assessment_cube import build_cube
from long_cube import analysis, with_analyses
from scipy import stats
from zone_fakes import make_region, pixel_box

from eco_index.assessment import assess
from eco_index.errors import InputError
from eco_index.period import Period
from eco_index.programme import RestorationConfig, load_programme
from eco_index.report.long_table import csv_table
from eco_index.report.tables import detail_table, groups_of, headline_tables
from eco_index.report.text import Words
from eco_index.summary import Row, Summary, read_summary

WIDTH, HEIGHT, FIRST, LAST = 160, 120, 2010, 2024
YEARS = np.arange(FIRST, LAST + 1)
#: Columns, rows, first and last year of the works, gain of cover afterwards.
PROJECTS = {
    "zone 0": ((24, 24, 54, 54), 2017, 2018, 0.10),
    "zone 1": ((100, 60, 130, 90), 2016, 2016, 0.0),
    "zone 2": ((60, 4, 80, 16), 2011, 2012, 0.2),  # one year before the works
    "zone 3": ((140, 4, 142, 6), 2016, 2017, 0.2),  # smaller than a cell
    "zone 4": ((4, 100, 24, 116), None, None, 0.0),
}


def cover(year: int) -> np.ndarray:
    """Cover 0-1: soils differ, all cells share the weather of the year, projects gain."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rng = np.random.default_rng(year)
    fvc = 0.45 + 0.1 * np.sin(x / 14) * np.cos(y / 11) + rng.normal(0, 0.05, (HEIGHT, WIDTH))
    fvc += 0.06 * np.sin(2.3 * year)  # rain, the same everywhere
    for (x0, y0, x1, y1), _, last, gain in PROJECTS.values():
        if last is not None and year > last:
            fvc[y0:y1, x0:x1] += gain
    return np.clip(fvc, 0, 1)


def arrays(year: int) -> dict[str, np.ndarray]:
    land = np.full((HEIGHT, WIDTH), 32, np.uint8)
    land[:, 90:96] = 12
    fvc = np.round(1e4 * cover(year)).astype(np.uint16)
    clear = np.full((HEIGHT, WIDTH), 6, np.uint16)
    if year == 2014:  # clouds over half of the first project
        fvc[24:40, 20:60], clear[24:40, 20:60] = 65535, 0
    ndvi = np.where(fvc == 65535, -32768, fvc.astype(int) * 3 // 4 + 1500).astype(np.int16)
    return {
        "ndvi_max": ndvi, "ndvi_mean": ndvi, "fvc": fvc, "landcover": land,
        "forest": (land == 21).astype(np.uint8), "clear_count": clear,
        "valid_months": np.where(clear > 0, 4, 0).astype(np.uint8),
    }  # fmt: skip


def region_in(folder: Path, tile: int = 80):
    boxes = [pixel_box(*p[0]) for p in PROJECTS.values()]
    years = {
        "first_year": [p[1] for p in PROJECTS.values()],
        "last_year": [p[2] for p in PROJECTS.values()],
    }
    region = make_region(
        folder,
        {
            "counties": [pixel_box(0, 0, 80, HEIGHT), pixel_box(80, 0, WIDTH, HEIGHT)],
            "restoration_projects": boxes,
        },
        width=WIDTH, height=HEIGHT, tile=tile, columns={"restoration_projects": years},
        extra={"years": {"first": FIRST, "last": LAST}, "min_season_months": 1},
        datasets={
            "map": {
                "access": {"type": "raster", "path": "lc_{year}.tif"}, "legend": "worldcover_v200",
            }
        },
        programmes=("whole_region", "restoration"),
    )  # fmt: skip
    return region, build_cube(region, tuple(map(str, YEARS)), arrays)


def run(made, output: Path, name: str = "whole_region", year: int = LAST, **more) -> Summary:
    region, view = made
    config = RestorationConfig(layer="restoration_projects", cell=120, **more)
    programme = with_analyses(region, name, restoration=config)
    return read_summary(assess(region, programme, Period(year), view, output))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return region_in(tmp_path_factory.mktemp("projects"))


@pytest.fixture(scope="module")
def summary(made, tmp_path_factory):
    return run(made, tmp_path_factory.mktemp("out"))


def effects(summary: Summary) -> dict[str, dict]:
    sheet = analysis(summary, "restoration").tables[0]
    names = [c.title.en for c in sheet.columns]
    return {x.head.en: dict(zip(names, x.cells, strict=True)) for x in sheet.lines}


def test_the_planted_effect_is_recovered(summary):
    found = effects(summary)
    good, none = found["zone 0"], found["zone 1"]
    assert good["lower end"] < 10 < good["upper end"]
    assert good["effect"] == pytest.approx(10, abs=1)
    assert good["verdict"].en == "better" and good["placebo check"].en == "passed"
    assert none["lower end"] < 0 < none["upper end"]
    assert none["verdict"].en == "no effect shown"
    assert good["units used"] > 90


def test_the_means_are_those_of_the_pixels(summary):
    """Before and after of a project without gaps: plain means of its pixels, cells are whole."""
    (x0, y0, x1, y1), first, last, _ = PROJECTS["zone 1"]
    inner = np.s_[y0:y1, x0:x1]
    # 120 m are 4 pixels; rows 60-88 and columns 100-128 are whole cells, the rest is half of one.
    whole = np.s_[60:88, 100:128]
    before = [np.round(1e4 * cover(y))[whole].mean() / 100 for y in YEARS if y < first]
    after = [np.round(1e4 * cover(y))[whole].mean() / 100 for y in YEARS if y > last]
    found = effects(summary)["zone 1"]
    assert found["project before"] == pytest.approx(np.mean(before), abs=0.02)
    assert found["project after"] == pytest.approx(np.mean(after), abs=0.02)
    assert cover(LAST)[inner].size == 900
    plain = stats.ttest_ind(after, before)
    # Without controls the weather hides nothing here, but the interval is far wider.
    low, high = plain.confidence_interval()
    assert high - low > 2 * (found["upper end"] - found["lower end"])


def test_what_cannot_be_evaluated_is_said(summary):
    notes = [n.en for n in analysis(summary, "restoration").notes]
    assert any("zone 2: not evaluated, years in the cube before the works: 1" in n for n in notes)
    assert any("zone 3: not evaluated, the project is smaller than a cell" in n for n in notes)
    assert any("zone 4: not evaluated, the years of the works are not given" in n for n in notes)
    assert set(effects(summary)) == {"zone 0", "zone 1"}
    assert any("cells of 120 m" in n and "1 to 50 km" in n for n in notes)


def project_rows(summary: Summary) -> dict[str, Row]:
    names = {z.id: z.name.en for z in summary.zones}
    return {names[r.zone]: r for r in summary.rows if r.indicator == "restoration_effect"}


def test_every_project_has_its_row_in_the_long_table(summary):
    """As in the section's table; what is not evaluated has a row without a value, and why."""
    rows, table = project_rows(summary), effects(summary)
    assert set(rows) == set(PROJECTS)
    for name, row in rows.items():
        x0, y0, x1, y1 = PROJECTS[name][0]
        area = (x1 - x0) * (y1 - y0) * 900 / 1e6
        assert row.denominator_km2 == pytest.approx(area)
        assert row.valid_km2 + row.no_data_km2 == pytest.approx(area)
        assert (row.unit, row.evidence, row.provisional) == ("pp", "placeholder", True)
        assert row.method == analysis(summary, "restoration").method
        if name in table:
            assert row.value == table[name]["effect"] and row.interval_kind == "confidence"
            assert row.interval == (table[name]["lower end"], table[name]["upper end"])
            assert row.note.en.startswith(table[name]["verdict"].en)
        else:
            assert row.value is None and row.interval is None and row.valid_km2 == 0
            assert row.note.en.startswith("not evaluated: ")
    # In 2014 clouds hide half of its cells: that year does not count.
    assert "works 2017-2018; before 6 of 2010-2016, after 6 of 2019-2024" in rows["zone 0"].note.en
    assert "前2010–2016年中6年，后2019–2024年中6年" in rows["zone 0"].note.zh
    assert "placebo check passed" in rows["zone 0"].note.en
    assert "years in the cube before the works: 1" in rows["zone 2"].note.en


def test_the_valid_area_is_that_of_the_cells_used(summary):
    """Cells are 4 pixels: of zone 1 rows 60-88 and columns 100-128 are whole, the rest is half."""
    row, used = project_rows(summary)["zone 1"], effects(summary)["zone 1"]["units used"]
    whole, half = 49, 14  # and a corner of which a quarter is in the project
    assert used == 100, "every cell found controls"
    assert row.valid_km2 == pytest.approx(whole * 16 * 900 / 1e6)
    assert row.no_data_km2 == pytest.approx((half * 8 + 4) * 900 / 1e6)


def test_projects_of_another_layer_are_no_zones_of_the_programme(made, summary, tmp_path):
    """Counties stay alone in overview, charts and findings; the details and table.csv have all."""
    own = [z.id for z in summary.own_zones]
    assert own == ["z0", "z1", "_all"]
    others = [z for z in summary.zones if z.layer]
    assert [z.id for z in others] == [f"restoration_projects:z{k}" for k in range(5)]
    assert others[0].name.en == "zone 0" and others[0].area_km2 == pytest.approx(0.81, rel=1e-3)
    words = Words("en")
    groups = groups_of(summary)
    table = headline_tables(groups, summary, words)[0]
    text = json.dumps([table.columns, [x.head for x in table.lines]])
    assert "restoration" not in text and len(table.columns) == 3
    group = next(g for g in groups if g.indicator == "restoration_effect")
    detail = detail_table(group, summary, words)
    at = detail.columns.index("Note")
    assert [x.head for x in detail.lines] == list(PROJECTS)
    assert "before the works: 1" in detail.lines[2].cells[at].text
    assert detail.lines[2].cells[0].text == "—"
    records = list(csv.DictReader(io.StringIO(csv_table(summary).decode("utf-8-sig"))))
    found = {r["zone"]: r for r in records if r["indicator"] == "restoration_effect"}
    assert found["restoration_projects:z2"]["value"] == ""
    assert "工程前有1年" in found["restoration_projects:z2"]["note_zh"]
    assert found["restoration_projects:z0"]["interval_kind"] == "confidence"


def test_a_programme_of_projects_evaluates_its_own_zones_only(made, summary, tmp_path):
    region, view = made
    programme = with_analyses(
        region, "restoration", restoration=RestorationConfig(layer="restoration_projects", cell=120)
    )
    some = programme.model_copy(update={"filter": {"first_year": ("2016", "2017")}})
    found = read_summary(assess(region, some, Period(LAST), view, tmp_path))
    rows = project_rows(found)
    assert set(rows) == {"zone 0", "zone 1", "zone 3"}
    assert [r.zone for r in rows.values()] == ["z0", "z1", "z3"]
    assert not any(z.layer for z in found.zones)
    # The other projects are still no controls.
    assert rows["zone 0"].value == project_rows(summary)["zone 0"].value


def test_too_early_is_said_not_failed(made, tmp_path):
    found = analysis(run(made, tmp_path, year=2013), "restoration")
    assert not found.tables and len(found.notes) == len(PROJECTS) + 1
    assert any("zone 0: not evaluated" in n.en and "after them: 0" in n.en for n in found.notes)


def test_tiling_does_not_matter(summary, tmp_path):
    other = run(region_in(tmp_path / "r", tile=48), tmp_path / "o")
    assert analysis(other, "restoration") == analysis(summary, "restoration")


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        ({"first_year": "begun"}, None, "no column begun"),
        ({}, ["soon"] * 5, "'soon'"),
        ({}, ["2030"] * 5, "first not after the last"),
    ],
)
def test_layers_with_faults_are_refused(made, tmp_path, columns, values, message):
    path = made[0].config.path.parent / "restoration_projects.gpkg"
    layer = gpd.read_file(path)
    if values:
        layer.assign(first_year=values).to_file(path)
    try:
        with pytest.raises(InputError) as caught:
            run(made, tmp_path, **columns)
        assert message in str(caught.value)
    finally:
        layer.to_file(path)


def test_the_shipped_programme_asks_for_it(made, tmp_path):
    region, view = made
    programme = region.programmes["restoration"]
    found = read_summary(assess(region, programme, Period(LAST), view, tmp_path))
    assert {"restoration", "intervals"} <= {a.id for a in found.analyses}
    assert programme == load_programme(programme.path)
