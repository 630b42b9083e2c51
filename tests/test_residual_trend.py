"""Residual trends: equal to statsmodels and pymannkendall, closed forms, a dry year, bad input."""

from __future__ import annotations

import numpy as np
import pymannkendall as mk
import pytest
import statsmodels.api as sm
from correlated_fields import covered
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.outliers_influence import OLSInfluence

from eco_index.analysis.residual_trend import (
    NOT_EVALUATED,
    VERDICTS,
    YEAR_VERDICTS,
    count_verdicts,
    residual_trends,
    residual_trends_by_block,
)
from eco_index.analysis.slope_interval import slope_interval
from eco_index.analysis.weather import Driver
from eco_index.errors import InputError
from eco_index.methods import load_method
from eco_index.yamlio import Text

YEARS = np.arange(2000, 2025)
METHOD = load_method("residual_trend")
RAIN, WARM = Text(zh="降水", en="rain"), Text(zh="气温", en="temperature")


def rain(values: np.ndarray) -> Driver:
    return Driver("rain", RAIN, "mm", values)


def warm(values: np.ndarray) -> Driver:
    return Driver("temperature", WARM, "degC", values)


def made(
    seed: int, series: int = 40, gaps: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    wet = random.gamma(9, 30, (25, series))
    hot = random.normal(18, 1.5, (25, series))
    trend = random.normal(0, 0.003, series) * np.arange(25)[:, None]
    green = 0.4 + 4e-4 * wet - 0.01 * (hot - 18) + trend + random.normal(0, 0.02, wet.shape)
    for a in (wet, hot, green):
        a[random.random(a.shape) < gaps] = np.nan
    return green, wet, hot


@pytest.mark.parametrize("correction", ["none", "hamed_rao"])
def test_equals_statsmodels_and_pymannkendall(correction: str) -> None:
    green, wet, hot = made(1)
    found = residual_trends(
        green, YEARS, [rain(wet), warm(hot)], METHOD, year=2023, correction=correction
    )
    test = mk.original_test if correction == "none" else mk.hamed_rao_modification_test
    checked = 0
    for k in range(green.shape[1]):
        ok = np.isfinite(green[:, k] + wet[:, k] + hot[:, k])
        assert found.n[k] == ok.sum()
        table = np.column_stack([wet[ok, k], hot[ok, k]])
        fit = sm.OLS(green[ok, k], sm.add_constant(table)).fit()
        got = [found.intercept[k], *found.slope[:, k]]
        np.testing.assert_allclose(got, fit.params, rtol=1e-9)
        scaled = sm.OLS(stats.zscore(green[ok, k], ddof=1), stats.zscore(table, ddof=1)).fit()
        np.testing.assert_allclose(found.beta[:, k], scaled.params, rtol=1e-9, atol=1e-12)
        assert found.r2[k] == pytest.approx(fit.rsquared, rel=1e-10)
        assert found.p_climate[k] == pytest.approx(fit.f_pvalue, rel=1e-8, abs=1e-15)
        np.testing.assert_allclose(found.residual[ok, k], fit.resid, rtol=1e-8, atol=1e-14)
        assert np.isnan(found.residual[~ok, k]).all()
        shared = sm.OLS(YEARS[ok].astype(float), sm.add_constant(table)).fit().rsquared
        assert found.separable[k] == pytest.approx(1 - shared, rel=1e-10)
        want = test(
            np.where(
                ok,
                green[:, k] - fit.predict(sm.add_constant(np.column_stack([wet[:, k], hot[:, k]]))),
                np.nan,
            )
        )
        assert found.left.slope[k] == pytest.approx(want.slope, rel=1e-7, abs=1e-12)
        assert found.left.p[k] == pytest.approx(want.p, rel=1e-6, nan_ok=True)
        if ok[23]:
            checked += 1
            place = int(ok[:23].sum())
            student = OLSInfluence(fit).resid_studentized_external[place]
            assert found.surprise[k] == pytest.approx(student, rel=1e-8)
            assert found.anomaly[0, k] == pytest.approx(stats.zscore(green[ok, k], ddof=1)[place])
            assert found.anomaly[2, k] == pytest.approx(stats.zscore(hot[ok, k], ddof=1)[place])
            others = np.delete(table, place, axis=0)
            here = table[place]
            assert found.inside[k] == ((others.min(0) <= here) & (here <= others.max(0))).all()
        else:
            assert np.isnan(found.surprise[k]) and found.year_verdict[k] == NOT_EVALUATED
    assert 20 < checked < 40


def test_the_surprise_is_the_error_of_a_prediction_from_the_other_years() -> None:
    """Inside the bound exactly where statsmodels' prediction interval holds the year."""
    green, wet, _ = made(3, series=200, gaps=0)
    green[-1] -= np.linspace(0, 0.1, 200)
    found = residual_trends(green, YEARS, [rain(wet)], METHOD)
    seen = set()
    for k in range(200):
        fit = sm.OLS(green[:-1, k], sm.add_constant(wet[:-1, k])).fit()
        frame = fit.get_prediction(np.array([[1.0, wet[-1, k]]])).summary_frame(alpha=0.05)
        if found.anomaly[0, k] > -1:
            assert found.year_verdict[k] == 0
        else:
            explained = green[-1, k] >= frame["obs_ci_lower"].iloc[0]
            assert found.year_verdict[k] == (-1 if explained else -2)
        seen.add(int(found.year_verdict[k]))
    assert seen == {0, -1, -2}


def test_a_steady_trend_leaves_residuals_with_slope_times_the_separable_share() -> None:
    """Frisch-Waugh: residuals' line has slope d (1 - R2 of years on the weather)."""
    random = np.random.default_rng(7)
    wet = 300 + 4 * np.arange(25) + random.normal(0, 40, 25)
    green = 0.2 + 5e-4 * wet - 0.004 * np.arange(25) + random.normal(0, 0.01, 25)
    found = residual_trends(green, YEARS, [rain(wet)], METHOD)
    joint = sm.OLS(green, sm.add_constant(np.column_stack([wet, YEARS]))).fit()
    line = np.polyfit(YEARS, found.residual, 1)[0]
    assert line == pytest.approx(joint.params[2] * float(found.separable), rel=1e-6)


@pytest.mark.parametrize(("rho", "drying"), [(0.0, 0.0), (0.0, -4.0), (0.4, -2.0)])
def test_intervals_of_residual_slopes_hold_the_truth(rho: float, drying: float) -> None:
    """200 seeds of a planted loss beside the weather; the truth is loss x separable share."""
    random, step = np.random.default_rng(8), np.arange(25.0)[:, None]
    wet = 300 + drying * step + random.normal(0, 60, (25, 200))
    hot = 18 + random.normal(0, 1.5, (25, 200))
    noise = random.normal(0, 1.2, (85, 200))
    for i in range(1, 85):
        noise[i] += rho * noise[i - 1]
    green = 40 + 0.04 * (wet - 300) - (hot - 18) - 0.25 * step + noise[60:]
    found = residual_trends(green, YEARS, [rain(wet), warm(hot)], METHOD, unit="%")
    low, high = slope_interval(found.residual, YEARS, found.left)
    truth = -0.25 * found.separable
    assert 0.90 <= covered(list(zip(low, high, truth, strict=True))) <= 0.99


def planted(kind: str) -> int:
    """Code of a planted story (series with little noise)."""
    random = np.random.default_rng(11)
    step = np.arange(25)
    dry = 400 - 4 * step * (kind in ("drying", "drying_and_damage")) + random.normal(0, 60, 25)
    if kind == "inseparable":
        dry = 400 - 6 * step + random.normal(0, 2, 25)
    green = 0.1 + 1e-3 * dry + random.normal(0, 0.012, 25)
    green -= 0.006 * step * (kind in ("damage", "drying_and_damage"))
    if kind == "unrelated":
        green = 0.5 - 0.006 * step + random.normal(0, 0.01, 25)
    found = residual_trends(green, YEARS, [rain(dry)], METHOD, correction="none")
    return int(found.verdict)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("drying", -2),
        ("damage", -1),
        ("drying_and_damage", -1),
        ("unrelated", -3),
        ("steady", 0),
        ("inseparable", 9),
    ],
)
def test_planted_stories_get_their_verdict(kind: str, code: int) -> None:
    assert planted(kind) == code


def test_without_damage_few_series_are_called_damaged() -> None:
    random = np.random.default_rng(2)
    wet = random.gamma(9, 30, (25, 4000))
    green = 0.3 + 5e-4 * wet + random.normal(0, 0.03, wet.shape)
    found = residual_trends(green, YEARS, [rain(wet)], METHOD, correction="none")
    assert (found.verdict == -1).mean() == pytest.approx(0.025, abs=0.01)
    # A third of the years' anomalies lie below -1 in the driest; explained years are not damage.
    low = found.anomaly[0] <= -1
    assert (found.year_verdict[low] == -1).mean() > 0.75


def test_weather_of_one_station_serves_every_pixel() -> None:
    green, wet, _ = made(5, gaps=0)
    one = wet[:, 0]
    alone = residual_trends(green, YEARS, [rain(one)], METHOD)
    spread = residual_trends(
        green, YEARS, [rain(np.repeat(one[:, None], green.shape[1], axis=1))], METHOD
    )
    np.testing.assert_array_equal(alone.residual, spread.residual)
    mixed = residual_trends(green, YEARS, [rain(wet), warm(np.arange(25.0))], METHOD)
    assert mixed.beta.shape == (2, green.shape[1])


def test_what_cannot_be_fitted_is_not_evaluated() -> None:
    green, wet, _ = made(4, series=6, gaps=0)
    green[:, 0] = np.nan
    green[:16, 1] = np.nan  # nine years
    green[:, 2] = 0.5  # no variance
    wet[:, 3] = 300.0  # weather without variance
    found = residual_trends(green, YEARS, [rain(wet)], METHOD)
    assert (found.verdict[:4] == NOT_EVALUATED).all() and np.isnan(found.r2[:4]).all()
    assert (found.year_verdict[:3] == NOT_EVALUATED).all()
    assert found.year_verdict[3] in (0, NOT_EVALUATED)  # "not below normal" needs no weather
    assert (found.verdict[4:] != NOT_EVALUATED).all()
    twice = residual_trends(green, YEARS, [rain(wet), Driver("again", RAIN, "mm", 2 * wet)], METHOD)
    assert (twice.verdict == NOT_EVALUATED).all()


def test_a_perfect_fit_has_no_residual_trend() -> None:
    wet = np.random.default_rng(1).gamma(9, 30, 25)
    found = residual_trends(0.1 + 1e-3 * wet, YEARS, [rain(wet)], METHOD)
    assert found.r2 == 1 and (found.residual == 0).all() and found.left.classes == 0
    assert found.verdict in (-2, 0, 2)


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(0, 1000))
def test_blocks_change_nothing_and_units_only_scale(block: int, seed: int) -> None:
    green, wet, _ = made(seed, series=42)
    green, wet = green.reshape(25, 6, 7), wet.reshape(25, 6, 7)
    whole = residual_trends(green, YEARS, [rain(wet)], METHOD)
    seen = np.zeros((6, 7), int)
    for rows, columns, part in residual_trends_by_block(
        lambda r, c: green[:, r, c], (6, 7), YEARS, [rain(wet)], METHOD, block=block
    ):
        seen[rows, columns] += 1
        np.testing.assert_array_equal(part.verdict, whole.verdict[rows, columns])
        np.testing.assert_array_equal(part.residual, whole.residual[:, rows, columns])
    assert (seen == 1).all()
    percent = residual_trends(green * 100, YEARS, [rain(wet)], METHOD, unit="%")
    np.testing.assert_allclose(percent.left.slope, whole.left.slope * 100, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(percent.beta, whole.beta, rtol=1e-6, atol=1e-9)


def test_pixels_of_verdicts_add_up_per_zone() -> None:
    green, wet, _ = made(8, series=60)
    found = residual_trends(green.reshape(25, 6, 10), YEARS, [rain(wet.reshape(25, 6, 10))], METHOD)
    ids = np.repeat([[0], [1], [1], [2], [2], [3]], 10, axis=1)
    counts = count_verdicts(ids, found.verdict, 3)
    np.testing.assert_array_equal(sum(counts.values()), [20, 20, 10])
    for code, per_zone in counts.items():
        assert per_zone[0] == (found.verdict[1:3] == code).sum()
    with pytest.raises(InputError):
        count_verdicts(ids, np.full((6, 10), 5, np.int8), 3)
    with pytest.raises(InputError):
        count_verdicts(ids, found.verdict, 2)


def test_words_exist_in_both_languages() -> None:
    for words in (*VERDICTS.values(), *YEAR_VERDICTS.values()):
        assert words.zh and words.en


def test_the_basis_says_what_is_a_default_of_the_project() -> None:
    green, wet, _ = made(1, series=2)
    basis = residual_trends(green, YEARS, [rain(wet)], METHOD).basis
    assert basis.provisional and basis.evidence == "placeholder"
    assert {n.key for n in basis.numbers} >= {"min_years", "separable", "rule.verdict"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vegetation": np.full((25, 2), 5000.0)}, "scale"),
        ({"drivers": []}, "rain"),
        ({"drivers": [Driver("rain", RAIN, "mm", np.full(25, -9999.0))]}, "missing"),
        ({"drivers": [Driver("t", WARM, "degC", np.full(25, 290.0))]}, "unit"),
        ({"drivers": [Driver("t", WARM, "F", np.full(25, 60.0))]}, "one of"),
        ({"drivers": [Driver("rain", RAIN, "mm", np.ones(24))]}, "shape"),
        ({"drivers": [Driver("rain", RAIN, "mm", np.ones(25))] * 2}, "one name"),
        ({"years": YEARS[:-1]}, "first axis"),
        ({"year": 2030}, "2030"),
    ],
)
def test_bad_input_is_refused(change: dict, says: str) -> None:
    given_ = {
        "vegetation": np.full((25, 2), 0.5),
        "years": YEARS,
        "drivers": [rain(np.arange(25.0))],
        "method": METHOD,
    }
    with pytest.raises(InputError, match=says):
        residual_trends(**{**given_, **change})
