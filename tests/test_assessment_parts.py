"""Parts of an assessment on a cube of many years: trend, baseline, ground truth, the gate."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pymannkendall
import pytest
import rasterio
from assessment_cube import HEIGHT, build_cube, build_region
from long_cube import (
    FIRST,
    LAST,
    YEARS,
    analysis,
    arrays_of,
    assessed,
    line,
    long_region,
    with_analyses,
    write_truth,
    zone_series,
)
from scipy import stats
from zone_fakes import RES, X0, Y1, pixel_box, write_layer

from eco_index.assessment import assess, assessment_digest
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError
from eco_index.period import Period
from eco_index.programme import TrendConfig
from eco_index.report import render
from eco_index.summary import Summary, read_summary


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Region, CubeView]:
    region = long_region(tmp_path_factory.mktemp("years"))
    return region, build_cube(region, tuple(map(str, YEARS)), arrays_of)


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory) -> tuple[Summary, Path]:
    folder = tmp_path_factory.mktemp("assessed")
    asked = {"trend": TrendConfig(), "ground_truth": True, "baseline": FIRST}
    return assessed(made, folder, **asked), folder


def test_slopes_and_tests_equal_the_peers(whole):
    summary, _ = whole
    found = analysis(summary, "trend")
    for name, series in zone_series().items():
        n, slope, low, high, tau, p, words = line(found, 0, name)
        peer = pymannkendall.hamed_rao_modification_test(series)
        assert n == len(YEARS)
        assert slope == pytest.approx(peer.slope)
        assert (tau, p) == pytest.approx((peer.Tau, peer.p))
        assert low < slope < high
        assert ("falling" in words.en) == (peer.p < 0.1 and peer.slope < 0)
    assert "zone 0" in found.findings[0].en


def test_rows_of_a_trend_add_up_and_find_the_loss(whole):
    summary, _ = whole
    rows = {(r.zone, r.variable): r for r in summary.rows if r.indicator == "trend_class_share"}
    for zone in ("z0", "z1", "_all"):
        assert sum(rows[zone, f"t{c}"].value for c in range(-3, 4)) == pytest.approx(100)
    lost = 12 * 26  # pixels of FALLING, all in county z0
    assert 100 * lost / (40 * HEIGHT) <= rows["z0", "t-3"].value + rows["z0", "t-2"].value < 25
    one = rows["z0", "t0"]
    pixels = {z.id: z.pixels_km2 for z in summary.zones}
    assert one.valid_km2 + one.no_data_km2 == pytest.approx(pixels["z0"])
    slope = next(r for r in summary.rows if (r.indicator, r.zone) == ("trend_slope", "z0"))
    assert slope.unit == "pp/a"
    printed = line(analysis(summary, "trend"), 0, "zone 0")
    assert (slope.value, slope.interval) == (pytest.approx(printed[1]), printed[2:4])
    assert slope.interval_kind == "confidence"
    planted = -1.5 * lost / (40 * HEIGHT)  # points a year
    assert slope.interval[0] < planted < slope.interval[1] < 0


def test_years_declared_independent_have_the_interval_of_scipy(made, tmp_path):
    summary = assessed(made, tmp_path, trend=TrendConfig(correction="none"))
    for name, series in zone_series().items():
        ends = stats.theilslopes(series, np.array(YEARS), alpha=0.95)
        printed = line(analysis(summary, "trend"), 0, name)[2:4]
        assert printed == pytest.approx((ends.low_slope, ends.high_slope))


def test_the_map_shows_the_loss(whole):
    summary, folder = whole
    layer = next(m for m in summary.maps if m.id == "trend")
    with rasterio.open(folder / layer.path) as file:
        codes = file.read(1)
        lost = file.index(X0 + 16 * RES, Y1 - 14 * RES)
    assert codes[lost] == 1  # falling at 99 %
    assert set(np.unique(codes)) - {0} <= {c.code for c in layer.classes}


def test_a_zone_without_any_value_has_no_trend(tmp_path):
    empty = long_region(tmp_path / "empty")

    def blank(year):
        arrays = arrays_of(year)
        arrays["fvc"][:, 40:] = 65535
        return arrays

    view = build_cube(empty, tuple(map(str, YEARS)), blank)
    programme = with_analyses(empty, trend=TrendConfig())
    path = assess(empty, programme, Period(LAST), view, tmp_path / "out", tag="2025")
    summary = read_summary(path)
    rows = [r for r in summary.rows if r.zone == "z1" and r.indicator.startswith("trend")]
    assert rows and all(r.value is None for r in rows)
    assert line(analysis(summary, "trend"), 0, "zone 1")[1:6] == (None,) * 5


def test_too_few_years_are_said_and_not_tested(made, tmp_path):
    summary = assessed(made, tmp_path, trend=TrendConfig(min_years=15))
    found = analysis(summary, "trend")
    assert not found.tables and "14 year(s), fewer than 15" in found.notes[0].en
    assert not [r for r in summary.rows if r.indicator.startswith("trend")]


def test_baseline_year_beside_this_one(whole):
    found = analysis(whole[0], "baseline")
    series = zone_series()
    k = next(i for i, t in enumerate(found.tables) if "cover" in t.caption.en)
    for name in ("zone 0", "zone 1", "all together"):
        now, before, change, _ = line(found, k, name)
        assert now == pytest.approx(series[name][-1])
        assert before == pytest.approx(series[name][0])
        assert change == pytest.approx(now - before)


def test_groups_have_lines_of_their_own_in_trend_and_baseline(made, tmp_path):
    group = {"group": "league", "group_name": {"zh": "league", "en": "league"}}
    region = build_region(
        tmp_path, extra={"years": {"first": FIRST, "last": LAST}}, layer_extra={"counties": group}
    )
    (tmp_path / "counties.gpkg").unlink()
    spans = [(0, 20), (20, 40), (40, 64)]
    shapes = [pixel_box(a, 0, b, HEIGHT) for a, b in spans]
    write_layer(
        tmp_path / "counties.gpkg", shapes, league=["A", None, "A"], key_function=["yes"] * 3
    )
    summary = assessed((region, made[1]), tmp_path / "a", trend=TrendConfig(), baseline=FIRST)
    stack = np.stack([arrays_of(y)["fvc"].astype(float) for y in YEARS])
    stack[stack == 65535] = np.nan
    members = np.concatenate([stack[:, :, :20], stack[:, :, 40:]], axis=2)
    series = np.nanmean(members, axis=(1, 2)) / 100
    peer = pymannkendall.hamed_rao_modification_test(series)
    n, slope, _, _, tau, p, _ = line(analysis(summary, "trend"), 0, "A (subtotal)")
    assert n == len(YEARS)
    assert (slope, tau, p) == pytest.approx((peer.slope, peer.Tau, peer.p))
    rows = {
        (r.zone, r.variable): r for r in summary.rows if r.indicator == "trend_class_share"
    }  # fmt: skip
    for code in range(-3, 4):
        parts = [rows[z, f"t{code}"] for z in ("z0", "z2")]
        area = sum(r.value * r.valid_km2 for r in parts)
        whole = rows["_group_A", f"t{code}"]
        assert whole.value * whole.valid_km2 == pytest.approx(area)
        assert whole.no_data_km2 == pytest.approx(sum(r.no_data_km2 for r in parts))
    base = analysis(summary, "baseline")
    k = next(i for i, t in enumerate(base.tables) if "cover" in t.caption.en)
    now, before, _, _ = line(base, k, "A (subtotal)")
    assert (now, before) == pytest.approx((series[-1], series[0]))
    assert line(base, k, "all together")[0] == pytest.approx(np.nanmean(stack[-1]) / 100)


def test_a_baseline_that_is_not_there_is_named(made, tmp_path):
    with pytest.raises(InputError, match="baseline year 2010"):
        assessed(made, tmp_path, baseline=2010)


def test_ground_truth_passes_where_the_maps_are_right(whole):
    summary, _ = whole
    found = analysis(summary, "ground_truth")
    n, _, missing, bias, rmse, _, p = line(found, 0, "all plots")
    assert (n, missing) == (40, 0)
    assert (bias, rmse, p) == pytest.approx((0, 0, 100))
    land = arrays_of(LAST)["landcover"]
    users, _, producers, _, area, _ = line(found, 1, "forest")
    assert (users, producers) == (100, 100)
    assert area == pytest.approx((land == 21).sum() * 9e-4)
    assert summary.gate is not None and summary.gate.passed


def test_the_gate_blocks_wrong_maps_and_names_both(made, tmp_path):
    region, _ = made
    write_truth(region.config.path.parent, wrong=True)
    try:
        summary = assessed(made, tmp_path, ground_truth=True)
    finally:
        write_truth(region.config.path.parent)
    assert summary.gate is not None and not summary.gate.passed
    reasons = " ".join(r.en for r in summary.gate.reasons)
    assert "P is" in reasons and "overall accuracy is" in reasons


def test_unknown_classes_in_samples_are_named(made, tmp_path):
    region, _ = made
    path = region.config.path.parent / "samples_2025.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(",32", ",99", 1), encoding="utf-8")
    try:
        with pytest.raises(InputError, match=r"row \d+ \(S\d+\) has the class 99"):
            assessed(made, tmp_path, ground_truth=True)
    finally:
        path.write_text(text, encoding="utf-8")


def test_history_and_tables_make_an_assessment_stale(made):
    region, view = made
    digests = {
        key: assessment_digest(region, with_analyses(region, **asked), Period(LAST), view)
        for key, asked in {
            "plain": {},
            "trend": {"trend": TrendConfig()},
            "truth": {"ground_truth": True},
        }.items()
    }
    assert len(set(digests.values())) == 3
    write_truth(region.config.path.parent, wrong=True)
    try:
        after = assessment_digest(
            region, with_analyses(region, ground_truth=True), Period(LAST), view
        )
    finally:
        write_truth(region.config.path.parent)
    assert after != digests["truth"]


def test_report_shows_every_analysis_in_both_languages(whole):
    summary, folder = whole
    files = {p.name: p for p in render(folder / "summary.json")}
    zh, en = (files[f"report.{k}.html"].read_text(encoding="utf-8") for k in ("zh", "en"))
    for found in summary.analyses:
        assert found.title.zh in zh
        assert found.trace in en
    assert "极显著下降" in zh and "falling, 99 %" in en
    with files["analyses.csv"].open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.DictReader(file))
    assert len(cells) == sum(
        len(t.lines) * len(t.columns) for a in summary.analyses for t in a.tables
    )


# --- grassland cover from plots ----------------------------------------------------------------


def write_grassland(folder: Path, plots: str, areas: str) -> None:
    (folder / "grassland_plots_2025.csv").write_text(plots, encoding="utf-8")
    (folder / "grassland_areas_2025.csv").write_text(areas, encoding="utf-8")


PLOTS = "county,type,plot,cover_percent\nz0,meadow,1,80\nz0,meadow,2,60\nz0,steppe,3,30\n"
AREAS = "county,type,area_ha\nz0,meadow,100\nz0,steppe,300\nz1,steppe,400\n"


@pytest.fixture
def grassland_region(tmp_path):
    region = build_region(
        tmp_path,
        extra={"ground_truth": {"grassland_plots": "g_plots", "grassland_areas": "g_areas"}},
        more_datasets={
            f"g_{k}": {"access": {"type": "table", "path": f"grassland_{k}_{{year}}.csv"}}
            for k in ("plots", "areas")
        },
    )
    return region, build_cube(region)


def test_official_grassland_cover_by_hand(grassland_region, tmp_path):
    write_grassland(tmp_path, PLOTS + "z1,steppe,4,50\n", AREAS)
    summary = assessed(grassland_region, tmp_path / "out", grassland_plots=True)
    rows = {r.zone: r for r in summary.rows if r.indicator == "grassland_cover_plots"}
    assert rows["z0"].value == pytest.approx((70 * 100 + 30 * 300) / 400)
    assert rows["z1"].value == pytest.approx(50)
    assert rows["_all"].value == pytest.approx((40 * 400 + 50 * 400) / 800)
    assert rows["_all"].denominator_km2 == pytest.approx(8)
    assert rows["z0"].provisional and rows["z0"].evidence == "recalled"


def test_a_type_without_plots_leaves_no_value_and_no_zero(grassland_region, tmp_path):
    write_grassland(tmp_path, PLOTS, AREAS)
    summary = assessed(grassland_region, tmp_path / "out", grassland_plots=True)
    rows = {r.zone: r for r in summary.rows if r.indicator == "grassland_cover_plots"}
    assert rows["z1"].value is None and rows["_all"].value is None
    assert rows["z1"].no_data_km2 == pytest.approx(4)
    assert line(analysis(summary, "grassland"), 0, "zone 1")[3].en == "steppe"


@pytest.mark.parametrize(
    ("plots", "areas", "message"),
    [
        (PLOTS + "z0,meadow,1,50\n", AREAS, "twice"),
        (PLOTS + "z0,meadow,9,150\n", AREAS, "150"),
        (PLOTS + "z0,meadow,9,x\n", AREAS, "'x' is no number"),
        (PLOTS + "z7,meadow,9,10\n", AREAS, "county z7"),
        (PLOTS, AREAS + "z0,meadow,5\n", "listed twice"),
        (PLOTS.replace("county", "kreis"), AREAS, "lacks the column"),
    ],
)
def test_grassland_tables_with_faults_are_refused(
    grassland_region, tmp_path, plots, areas, message
):
    write_grassland(tmp_path, plots, areas)
    with pytest.raises(InputError, match=message):
        assessed(grassland_region, tmp_path / "out", grassland_plots=True)


def test_no_table_of_the_year_is_said(grassland_region, tmp_path):
    summary = assessed(grassland_region, tmp_path / "out", grassland_plots=True)
    assert "not assessed" in analysis(summary, "grassland").notes[0].en
