"""Projects: planted effects are found, no effect is covered, controls keep the rules."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from correlated_fields import covered, field
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import cKDTree

from eco_index.analysis.autocorrelation import half_width
from eco_index.analysis.matching import Units, level_and_trend, match_controls
from eco_index.analysis.mock_areas import mock_effects
from eco_index.analysis.restoration import SOURCES, VERDICTS, restoration_effect
from eco_index.errors import InputError
from eco_index.methods import load_method

METHOD = load_method("restoration_effect")
YEARS = np.arange(2010, 2025)
SIDE = 24  # cells of a region
NO_SHIFT = (2018, 2019)  # works


def effect_of(project: np.ndarray, control: np.ndarray, years: np.ndarray = YEARS, **options):
    return restoration_effect(project, control, years, *NO_SHIFT, METHOD, unit="1", **options)


def region(seed: int, effect: float, rho: float = 0.0) -> tuple[np.ndarray, ...]:
    """Vegetation of 24 x 24 cells of 500 m over 15 years; the project is a block of 6 x 6."""
    random = np.random.default_rng(seed)
    shape = (SIDE, SIDE)
    level = 0.45 + 0.08 * field(random, SIDE, 3)
    kind = (field(random, SIDE, 4) > 0).astype(int)
    weather = random.normal(0, 0.05, YEARS.size)
    own = np.empty((YEARS.size, *shape))
    for i in range(YEARS.size):
        fresh = 0.02 * field(random, SIDE, 2)
        own[i] = fresh if i == 0 else rho * own[i - 1] + np.sqrt(1 - rho**2) * fresh
    values = level + weather[:, None, None] * (1 + 0.3 * kind) + own
    project = np.zeros(shape, bool)
    project[9:15, 9:15] = True
    values[YEARS > 2019] += effect * project
    y, x = np.mgrid[:SIDE, :SIDE] * 500.0
    return (
        values.reshape(15, -1),
        kind.ravel(),
        np.column_stack([x.ravel(), y.ravel()]),
        project.ravel(),
    )


def assessed(seed: int, effect: float, rho: float = 0.0, areas: bool = True):
    values, kind, xy, project = region(seed, effect, rho)
    before = NO_SHIFT[0] > YEARS
    table = level_and_trend(values[before], YEARS[before])
    own, others = (Units(table[k], kind[k], xy[k]) for k in (project, ~project))
    matches = match_controls(own, others, METHOD)
    control = matches.control(values[:, ~project])
    mocks = None
    if areas:
        mocks = mock_effects(own.xy, others, values[:, ~project], YEARS, *NO_SHIFT, METHOD, 500)
    return effect_of(values[:, project], control, balanced=matches.balanced, mocks=mocks)


@pytest.mark.parametrize(("effect", "rho"), [(0.06, 0.0), (0.0, 0.3), (0.06, 0.6), (0.0, 0.8)])
def test_planted_effects_are_covered_and_found(effect: float, rho: float) -> None:
    """200 regions: the 95 % interval holds the planted effect in 90-99 % and is not merely wide."""
    found = [assessed(seed, effect, rho) for seed in range(200)]
    ends = [(got.main.low, got.main.high, effect) for got in found]
    assert {got.main.source for got in found} == {"areas"}
    assert 0.90 <= covered(ends) <= 0.99
    # A normal interval with the error known beforehand, from the spread of the 200 effects.
    known = 2 * 1.96 * np.std([got.main.effect for got in found])
    assert np.mean([high - low for low, high, _ in ends]) < 1.4 * known
    seen = [got.verdict for got in found]
    if effect:
        assert seen.count("better") > 150 and seen.count("worse") == 0
    else:
        assert seen.count("better") + seen.count("worse") <= 20


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.8])
def test_intervals_from_years_cover_series_that_depend_on_the_year_before(rho: float) -> None:
    """Eight years and five of one series, no matching: 200 seeds."""
    years, after = np.r_[0:8, 10:15], np.arange(13) >= 8
    found = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        series = np.empty(15)
        for i, fresh in enumerate(random.normal(size=15)):
            series[i] = fresh if i == 0 else rho * series[i - 1] + np.sqrt(1 - rho**2) * fresh
        series = series[years]
        half, _ = half_width(series, years, after, 0.95)
        effect = series[after].mean() - series[~after].mean()
        found.append((effect - half, effect + half, 0.0))
    assert covered(found) >= 0.90


def test_matching_calms_the_years_before_and_areas_know_it() -> None:
    """Why years alone do not do at rho 0.8: the controls were chosen to move like the project."""
    pairs = [[assessed(seed, 0.0, 0.8, areas) for areas in (False, True)] for seed in range(60)]
    years, areas = zip(*pairs, strict=True)
    assert {got.main.source for got in years} == {"years"}
    shares = [covered([(g.main.low, g.main.high, 0.0) for g in side]) for side in (years, areas)]
    assert shares[0] < 0.9 <= shares[1]
    calm, wild = (np.mean([np.std(g.difference[k]) for g in years]) for k in (np.s_[:8], np.s_[8:]))
    assert calm < wild


def test_the_dry_years_after_a_project_are_not_its_failure() -> None:
    """Weather falls by 0.15 on both sides after the works: before/after alone would say ruin."""
    got = []
    for seed in range(20):
        values, _, _, project = region(seed, 0.06)
        values = values - 0.15 * (YEARS > 2019)[:, None]
        side = values[:, project]
        got.append(
            effect_of(side, np.repeat(values[:, ~project].mean(axis=1)[:, None], side.shape[1], 1))
        )
    assert np.mean([g.main.effect for g in got]) == pytest.approx(0.06, abs=0.01)
    assert all(g.project_after < g.project_before for g in got)


def test_the_interval_of_independent_years_is_the_pooled_t_interval() -> None:
    random = np.random.default_rng(0)
    old, new = random.normal(0.3, 0.02, 8), random.normal(0.4, 0.03, 5)
    series = np.concatenate([old, [0.1, 0.2], new])
    got = effect_of(series[:, None], np.zeros((15, 1)))
    assert got.main.effect == pytest.approx(new.mean() - old.mean())
    line = stats.linregress(YEARS[:8], old)
    assert (got.drift, got.drift_p) == pytest.approx((line.slope, line.pvalue))
    years, after = YEARS[[*range(8), *range(10, 15)]], np.arange(13) >= 8
    half, rho = half_width(np.concatenate([old, new]), years, after, 0.95, np.array([0.0]))
    want = stats.ttest_ind(new, old).confidence_interval(0.95)
    assert 2 * half == pytest.approx(want.high - want.low, rel=1e-10) and rho == 0
    assert got.main.high - got.main.low > want.high - want.low  # dependence is allowed for


@pytest.mark.parametrize("rho", [0.3, 0.7])
def test_given_the_autocorrelation_it_is_generalised_least_squares(rho: float) -> None:
    """statsmodels GLS: rests, and the variance of the difference of plain means."""
    random = np.random.default_rng(1)
    years, after = np.array([0, 1, 2, 4, 5, 9, 10, 11]), np.arange(8) >= 5
    series = random.normal(size=8)
    v = rho ** np.abs(years[:, None] - years)
    fit = sm.GLS(series, sm.add_constant(after.astype(float)), sigma=v).fit()
    c = np.where(after, 1 / 3, -1 / 5)
    want = stats.t(6).ppf(0.975) * np.sqrt(fit.scale * c @ v @ c)
    half, found = half_width(series, years, after, 0.95, np.array([rho]))
    assert half == pytest.approx(want, rel=1e-9) and found == rho


def test_the_effect_is_the_interaction_of_the_regression() -> None:
    """BACI as statsmodels has it: y ~ after + project + after x project."""
    random = np.random.default_rng(3)
    project, control = random.normal(0.5, 0.1, (2, 15, 12))
    got = effect_of(project, control)
    used = (YEARS < 2018) | (YEARS > 2019)
    y = np.concatenate([project[used].ravel(), control[used].ravel()])
    after = np.tile(np.repeat(YEARS[used] > 2019, 12), 2).astype(float)
    side = np.repeat([1.0, 0.0], used.sum() * 12)
    fit = sm.OLS(y, sm.add_constant(np.column_stack([after, side, after * side]))).fit()
    assert got.main.effect == pytest.approx(fit.params[3], rel=1e-9)
    means = (got.project_before, got.project_after, got.control_before, got.control_after)
    assert means == pytest.approx(
        (fit.params[[0, 2]].sum(), fit.params.sum(), fit.params[0], fit.params[:2].sum())
    )
    assert got.relative == pytest.approx(got.main.effect / fit.params[:3].sum())


def test_long_series_show_their_autocorrelation() -> None:
    random = np.random.default_rng(0)
    years, found = np.arange(1980, 2040), []
    for _ in range(60):
        e = random.normal(size=60)
        for i in range(1, 60):
            e[i] = 0.6 * e[i - 1] + 0.8 * e[i]
        found.append(effect_of(e[:, None], np.zeros((60, 1)), years).main.autocorrelation)
    assert np.mean(found) == pytest.approx(0.6, abs=0.05)


def test_a_drift_before_the_works_makes_it_uncertain() -> None:
    random = np.random.default_rng(1)
    control = random.normal(0.5, 0.005, (15, 30))
    drifting = control + 0.02 * (YEARS - 2010)[:, None] + random.normal(0, 0.005, (15, 30))
    got = effect_of(drifting, control)
    assert got.placebo is not None and not got.placebo.holds_zero
    assert got.verdict == "not_certain" and got.drift == pytest.approx(0.02, rel=0.1)
    steady = control + 0.1 * (YEARS > 2019)[:, None] + random.normal(0, 0.005, (15, 30))
    assert effect_of(steady, control).verdict == "better"
    assert effect_of(steady, control, balanced=False).verdict == "not_certain"


def test_with_two_years_space_gives_the_interval_and_says_so() -> None:
    """One year before and one after: blocks of units; 200 seeds."""
    years, found = np.array([2017, 2020]), []
    blocks = np.repeat(np.arange(25), 8)
    for seed in range(200):
        random = np.random.default_rng(seed)
        clump = np.repeat(random.normal(0, 0.03, (2, 25)), 8, axis=1)
        project = 0.5 + clump + random.normal(0, 0.03, (2, 200))
        project[1] += 0.04
        control = np.full((2, 200), 0.5)
        got = effect_of(project, control, years, blocks=blocks)
        found.append((got.main.low, got.main.high, 0.04))
        assert got.main.source == "space" and got.placebo is None
    assert 0.90 <= covered(found) <= 0.99
    alone = effect_of(project, control, years)
    assert alone.main.source == "none" and alone.verdict == "not_evaluated"
    few = effect_of(project, control, years, blocks=np.repeat([0, 1], 100))
    assert few.main.source == "none"


def test_other_units_missing_in_other_years_make_no_effect() -> None:
    """Units differ by 0.3 in level; which ones are seen changes with the works."""
    random = np.random.default_rng(0)
    level = np.repeat([0.2, 0.5], 20)
    project = level + random.normal(0, 0.01, (15, 40))
    control = np.full((15, 40), 0.35) + random.normal(0, 0.01, (15, 40))
    project[YEARS < 2018, 30:] = np.where(
        np.arange(8)[:, None] % 2, np.nan, project[YEARS < 2018, 30:]
    )
    project[YEARS > 2019, :15] = np.nan
    project[YEARS == 2022, 10:] = np.nan  # and a year in which hardly any is seen
    got = effect_of(project, control)
    assert got.verdict == "no_effect_shown" and abs(got.main.effect) < 0.01
    assert 2022 not in got.years and got.n_units == 40 and got.n_used == 25 + 0


def test_what_was_never_seen_is_not_evaluated() -> None:
    nothing = np.full((15, 4), np.nan)
    half = np.random.default_rng(0).random((15, 4))
    half[YEARS > 2017] = np.nan  # nothing after the works
    for side in (nothing, half):
        got = effect_of(side, np.zeros((15, 4)))
        assert got.verdict == "not_evaluated" and got.n_used == 0 and np.isnan(got.main.effect)
        assert np.isnan(got.project_after) and got.main.holds_zero


@settings(max_examples=30)
@given(st.floats(-0.3, 0.3), st.floats(-0.2, 0.2), st.integers(0, 1000))
def test_shared_weather_and_levels_cancel(shift: float, offset: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    project, control = random.normal(0.5, 0.02, (2, 15, 9))
    weather = random.normal(0, 1, 15)[:, None]
    plain = effect_of(project, control)
    moved = effect_of(
        project + weather + offset + shift * (YEARS > 2019)[:, None], control + weather
    )
    assert moved.main.effect == pytest.approx(plain.main.effect + shift, abs=1e-9)
    width = plain.main.high - plain.main.low
    assert moved.main.high - moved.main.low == pytest.approx(width, rel=1e-6)


# Matching.


def units(seed: int, n: int, spread: float = 20000.0) -> Units:
    random = np.random.default_rng(seed)
    return Units(
        random.normal(size=(n, 2)),
        random.integers(0, 2, n),
        random.uniform(-spread, spread, (n, 2)),
    )


def test_controls_are_the_nearest_of_their_class_within_the_limits() -> None:
    project, others = units(0, 40, 4000), units(1, 900)
    got = match_controls(project, others, METHOD)
    away = np.hypot(*(others.xy[:, None] - project.xy).T).min(axis=0)
    sd = np.concatenate([project.covariates, others.covariates]).std(axis=0, ddof=1)
    for kind in (0, 1):
        pool = np.flatnonzero((others.classes == kind) & (away >= 1000))
        peer = cKDTree(others.covariates[pool] / sd)
        rows = np.flatnonzero(project.classes == kind)
        distance, index = peer.query(project.covariates[rows] / sd, k=3)
        distance /= np.sqrt(2)
        near = distance <= 0.5
        np.testing.assert_array_equal(got.index[rows][near], pool[index][near])
        np.testing.assert_allclose(got.distance[rows][near], distance[near])
        assert (got.index[rows][~near] == -1).all()
    used = got.index[got.index >= 0]
    assert (away[used] >= 1000).all()
    assert got.balanced and np.abs(got.after).max() < np.abs(got.before).max()


def test_what_finds_no_control_is_left_out_and_counted() -> None:
    project = Units(np.array([[0.0], [9.0], [0.0]]), np.array([1, 1, 2]), np.zeros((3, 2)) + 500)
    others = Units(
        np.array([[0.0], [0.1], [0.0]]),
        np.array([1, 1, 1]),
        np.array([[3000.0, 0], [4000.0, 0], [90000.0, 0]]),
    )
    got = match_controls(project, others, METHOD)
    np.testing.assert_array_equal(got.index, [[0, 1, -1], [-1] * 3, [-1] * 3])
    np.testing.assert_array_equal(got.matched, [True, False, False])
    values = np.array([[0.2, 0.4, 9.0], [np.nan, 0.6, 9.0], [np.nan, np.nan, 9.0]])
    np.testing.assert_allclose(got.control(values)[:, 0], [0.3, 0.6, np.nan])
    assert np.isnan(got.control(values)[:, 1:]).all()
    far = match_controls(
        Units(project.covariates[:1] + 99, *[a[:1] for a in (project.classes, project.xy)]),
        others,
        METHOD,
    )
    assert not far.matched.any() and not far.balanced


def test_level_and_trend_are_those_of_polyfit() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(9, 20))
    values[random.random((9, 20)) < 0.3] = np.nan
    values[1:, 0] = np.nan
    got = level_and_trend(values, YEARS[:9])
    assert np.isnan(got[0]).all()
    for k in range(1, 20):
        ok = ~np.isnan(values[:, k])
        slope = np.polyfit(YEARS[:9][ok], values[ok, k], 1)[0]
        assert got[k] == pytest.approx((values[ok, k].mean(), slope))


def test_words_exist_in_both_languages() -> None:
    for words in (*VERDICTS.values(), *SOURCES.values()):
        assert words.zh and words.en


GOOD = np.zeros((15, 3))
BAD = {
    "shape": (lambda: effect_of(GOOD, np.zeros((15, 2))), "unit"),
    "years": (lambda: effect_of(GOOD, GOOD, YEARS[::-1]), "ascend"),
    "no before": (lambda: effect_of(GOOD, GOOD, YEARS + 50), "before"),
    "no after": (lambda: effect_of(GOOD, GOOD, YEARS - 50), "after"),
    "works": (
        lambda: restoration_effect(GOOD, GOOD, YEARS, 2019, 2018, METHOD, unit="1"),
        "start",
    ),
    "degrees": (
        lambda: match_controls(units(0, 9, 50), units(1, 9), METHOD),
        "degrees",
    ),
    "covariates": (
        lambda: match_controls(
            Units(np.full((2, 1), np.nan), np.zeros(2, int), np.full((2, 2), 1e5)),
            Units(np.ones((2, 1)), np.zeros(2, int), np.full((2, 2), 1e5)),
            METHOD,
        ),
        "missing",
    ),
    "none": (lambda: match_controls(units(0, 0), units(1, 9), METHOD), "no units"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case: str) -> None:
    call, says = BAD[case]
    with pytest.raises(InputError, match=says):
        call()
