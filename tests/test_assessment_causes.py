"""Parts of an assessment that judge: weather beside vegetation, early warning, targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from assessment_cube import build_cube
from long_cube import FALLING, FIRST, LAST, YEARS, analysis, arrays_of, assessed, line, long_region
from scipy import stats

from eco_index.assessment import assess
from eco_index.assessment.parts.attribution import read_weather
from eco_index.errors import InputError, UsageError
from eco_index.period import Period
from eco_index.programme import AnalysesConfig, SeriesConfig
from eco_index.summary import read_summary

RAIN = {year: 250 + 60 * np.sin(2.1 * (year - FIRST)) for year in YEARS} | {LAST: 120.0}


def weathered(year: int) -> dict[str, np.ndarray]:
    """County z1 follows the rain (and 2025 is very dry), z0 loses cover whatever the rain."""
    arrays = arrays_of(year)
    fvc = arrays["fvc"].astype(np.int64)
    land = arrays["landcover"]
    wet = np.round(12 * (RAIN[year] - 250)).astype(int)
    fvc[:, 40:][land[:, 40:] == 32] += wet
    fvc[:, :40] -= 60 * (year - FIRST)
    arrays["fvc"] = np.where(arrays["fvc"] == 65535, 65535, np.clip(fvc, 0, 10000)).astype(
        np.uint16
    )
    return arrays


def write_weather(folder: Path, text: str | None = None) -> None:
    rows = [f"{z},{y},{RAIN[y]:.1f},{8 + 0.01 * (y % 3)}" for z in ("z0", "z1") for y in YEARS]
    text = text or "zone,year,rain_mm,temperature_c\n" + "\n".join(rows) + "\n"
    (folder / "weather.csv").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weather")
    region = long_region(folder, weather="map_weather", targets="demo_2025")
    write_weather(folder)
    return region, build_cube(region, tuple(map(str, YEARS)), weathered)


@pytest.fixture(scope="module")
def summary(made, tmp_path_factory):
    asked = {"attribution": True, "early_warning": SeriesConfig(), "targets": True}
    return assessed(made, tmp_path_factory.mktemp("judged"), **asked)


def series(part) -> np.ndarray:
    stack = np.array([weathered(y)["fvc"][part] for y in YEARS], float)
    stack[stack == 65535] = np.nan
    return np.nanmean(stack, axis=(1, 2)) / 100


def test_a_steady_loss_is_told_from_a_dry_year(summary):
    found = analysis(summary, "attribution")
    assert line(found, 0, "zone 0")[-1].en == "decline, no relation to the weather found"
    z1 = line(found, 0, "zone 1")
    assert not z1[-1].en.startswith("decline")
    assert line(found, 1, "zone 1")[-1].en == "low, as the weather explains"
    assert z1[3] > 50  # explained by the weather, %
    assert found.tables[0].columns[3].unit == "%" and found.tables[0].columns[1].unit == "pp/a"
    decline, *year = [f.en for f in found.findings]
    assert decline == "decline, no relation to the weather found: zone 0."
    assert any(f.startswith("2025: low, as the weather explains") and "zone 1" in f for f in year)


def test_plain_slope_equals_that_of_scipy(summary):
    n, slope, _, _, left, low, high, *_ = line(analysis(summary, "attribution"), 0, "zone 0")
    assert low < left < high
    plain = stats.theilslopes(series(np.s_[:, :40]), np.array(YEARS))
    assert (n, slope) == (len(YEARS), pytest.approx(plain.slope))


def test_level_and_figures_of_a_dry_season_by_hand(summary):
    found = analysis(summary, "early_warning")
    values = series(np.s_[:, 40:])
    now, past = values[-1], values[:-1]
    value, n, mean, z, percentile, vci, rank, level, _ = line(found, 0, "zone 1")
    assert (value, mean, n) == (pytest.approx(now), pytest.approx(past.mean()), len(past))
    assert z == pytest.approx((now - past.mean()) / past.std(ddof=1))
    assert rank == 1 and vci == pytest.approx(0) and percentile == 0
    expected = "alert" if z <= -2 else "warning" if z <= -1.5 else "watch"
    assert level.en == expected
    assert found.provisional and found.findings[0].en == f"early warning, {expected}: zone 1."


def test_a_season_without_history_is_not_evaluated(made, tmp_path):
    region, view = made
    programme = region.programmes["whole_region"].model_copy(
        update={"analyses": AnalysesConfig(early_warning=SeriesConfig(), attribution=True)}
    )
    early = read_summary(assess(region, programme, Period(FIRST + 2), view, tmp_path / "o"))
    cells = line(analysis(early, "early_warning"), 0, "zone 0")
    assert cells[3] is None and cells[7] is None  # not evaluated
    assert "too few years" in cells[8].en
    assert line(analysis(early, "attribution"), 0, "zone 0")[-1] is None
    for name in ("early_warning", "attribution"):
        assert "no zone could be evaluated" in analysis(early, name).findings[0].en
    assert "3 year(s), fewer than 10" in analysis(early, "attribution").notes[-1].en


def test_targets_are_judged_and_none_is_left_out(summary):
    found = analysis(summary, "targets")
    assert len(found.tables[0].lines) == len(found.findings) == 4
    rows = {r.indicator: r for r in summary.rows if r.zone == "_all" and not r.variable}
    kind, value, low, high, aim, distance, unit, _, _, state = line(found, 0, "forest coverage")
    forest = rows["forest_coverage"].value
    assert (kind.en, value, aim, unit.en) == ("binding", forest, 9.4, "%")
    assert low is None and high is None  # bounds for missing data are no interval
    assert distance == pytest.approx(forest - 9.4)
    assert "met" in state.en
    share = line(found, 0, "share of land inside the ecological red line")
    # 17 x 45 and (64 - 36) x 16 pixels of 64 x 48
    assert share[1] == pytest.approx(100 * (17 * 45 + 28 * 16) / (64 * 48))
    assert share[-1].en == "met"
    assert line(found, 0, "ecological quality index (new EI)")[-1] is None
    assert sum("not evaluated" in f.en for f in found.findings) == 1


def test_the_change_comes_from_the_stored_baseline(made, tmp_path):
    region, view = made
    programme = region.programmes["whole_region"].model_copy(
        update={"analyses": AnalysesConfig(targets=True)}
    )
    for year in (2024, 2025):
        folder = tmp_path / str(year) / "whole_region"
        assess(region, programme, Period(year), view, folder, tag=str(year))
    found = analysis(read_summary(folder / "summary.json"), "targets")
    assert line(found, 0, "comprehensive vegetation cover of grassland")[8].en == "falling"


def test_months_are_put_together_to_the_season(tmp_path):
    """Rain added up, temperature averaged; a season without one of its months has no value."""
    table = tmp_path / "weather.csv"
    lines = [f"z0,2024,{m},{10 * m},{m}" for m in range(1, 13)]
    lines += [f"z0,2025,{m},{10 * m},{m}" for m in (5, 6, 8, 9)] + ["z0,2025,7,,20"]
    table.write_text("zone,year,month,rain_mm,temperature_c\n" + "\n".join(lines), "utf-8")
    rain, warm = read_weather(table, ["z0"], [2024, 2025], [5, 6, 7, 8, 9])
    np.testing.assert_equal(rain.values, [[350.0], [np.nan]])
    np.testing.assert_equal(warm.values, [[7.0], [9.6]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zone,year\nz0,2012\n", "zone, year, rain_mm"),
        ("zone,year,rain_mm\nz0,2012,much\n", "row 2"),
        ("zone,year,rain_mm\nz0,2012,3\nz0,2012,4\n", "row 3 repeats zone z0, year 2012"),
        ("zone,year,rain_mm\nz0,2012,-3\n", "-3"),
        ("zone,year,month,rain_mm\nz0,2012,13,3\n", "month 13"),
        ("zone,year,month,rain_mm\nz0,2012,7,3\nz0,2012,7,4\n", "year 2012, month 7"),
    ],
)
def test_weather_tables_with_faults_are_refused(made, tmp_path, text, message):
    folder = made[0].config.path.parent
    write_weather(folder, text)
    try:
        with pytest.raises(InputError, match=message):
            assessed(made, tmp_path, attribution=True)
    finally:
        write_weather(folder)


def test_unknown_targets_are_named(made, tmp_path):
    region, view = made
    config = region.config.model_copy(update={"targets": "atlantis"})
    other = type(region)(config, region.catalog, region.programmes)
    with pytest.raises(UsageError, match="unknown targets 'atlantis'"):
        assessed((other, view), tmp_path, targets=True)


def test_the_planted_loss_is_where_it_was_put():
    assert arrays_of(LAST)["fvc"][FALLING].mean() < arrays_of(FIRST)["fvc"][FALLING].mean() - 1500
