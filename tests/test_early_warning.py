"""Early warning: scipy's scores, VCI in closed form, false alarms, what is not evaluated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eco_index.analysis.early_warning import LEVELS, NOT_EVALUATED, REASONS, early_warning
from eco_index.errors import InputError
from eco_index.methods import load_method

METHOD = load_method("early_warning")


def made(seed: int, zones: int = 50, years: int = 20) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    level = random.uniform(0.2, 0.6, zones)
    history = np.round(level + random.normal(0, 0.05, (years, zones)), 2)
    history[random.random(history.shape) < 0.2] = np.nan
    return np.round(level - random.uniform(-0.1, 0.15, zones), 2), history


def test_figures_are_those_of_scipy_and_the_closed_form() -> None:
    value, history = made(0)
    got = early_warning(value, history, METHOD, unit="1")
    for k in range(value.size):
        past = history[~np.isnan(history[:, k]), k]
        assert got.n[k] == past.size >= 10
        assert got.z[k] == pytest.approx(stats.zmap(value[k], past, ddof=1))
        assert got.percentile[k] == pytest.approx(stats.percentileofscore(past, value[k], "mean"))
        ranks = stats.rankdata(np.append(past, value[k]), method="min")
        assert got.rank[k] == ranks[-1]
        # Student's t test of one new value against a sample.
        want = stats.ttest_ind([value[k]], past, alternative="less").pvalue
        assert got.p_low[k] == pytest.approx(want)
        everything = np.append(past, value[k])
        span = everything.max() - everything.min()
        assert got.vci[k] == pytest.approx(100 * (value[k] - everything.min()) / span)
        limits = [(-1, 40), (-1.5, 30), (-2, 20)]
        level = sum(got.z[k] <= z and got.vci[k] <= v for z, v in limits)
        assert got.level[k] == level
    assert set(got.level.tolist()) == {0, 1, 2, 3}


def test_few_false_alarms_where_nothing_changed() -> None:
    """Share of alarms is at most that of Student's distribution; the chance is uniform."""
    random = np.random.default_rng(1)
    got = early_warning(
        random.normal(size=20000), random.normal(size=(20, 20000)), METHOD, unit="1"
    )
    for k, z in enumerate((-1, -1.5, -2), start=1):
        allowed = stats.t(19).cdf(z / np.sqrt(1 + 1 / 20))
        assert 0.7 * allowed < (got.level >= k).mean() < allowed * 1.1
    assert stats.kstest(got.p_low, "uniform").pvalue > 0.01
    # The first rank comes once in n + 1 seasons.
    assert (got.rank == 1).mean() == pytest.approx(1 / 21, abs=0.005)


def test_a_collapse_is_an_alert() -> None:
    random = np.random.default_rng(2)
    history = random.normal(0.5, 0.03, (15, 3))
    got = early_warning(np.array([0.35, 0.5, 0.65]), history, METHOD, unit="1")
    np.testing.assert_array_equal(got.level, [3, 0, 0])
    assert got.rank[0] == 1 and got.vci[0] == 0 and got.vci[2] == 100


def test_what_is_missing_stays_missing_and_says_why() -> None:
    value, history = made(3, zones=6)
    value[0] = np.nan
    history[:11, 1] = np.nan  # nine years at most
    history[:, 2] = 0.4
    value[2] = 0.1
    seen = np.array([1, 1, 1, 0.3, 1, 1])
    past_seen = np.ones(history.shape)
    past_seen[:15, 4] = 0.1
    got = early_warning(value, history, METHOD, unit="1", seen=seen, history_seen=past_seen)
    assert got.reason == ("no_value", "few_years", "no_variance", "little_seen", "few_years", "")
    assert (got.level[:5] == NOT_EVALUATED).all() and got.level[5] >= 0
    for figures in (got.z, got.vci, got.p_low, got.percentile):
        assert np.isnan(figures[:5]).all() and np.isfinite(figures[5])
    assert (got.rank[:5] == 0).all() and np.isnan(got.value[[0, 3]]).all()
    empty = early_warning(value, np.empty((0, 6)), METHOD, unit="1")
    assert (empty.level == NOT_EVALUATED).all() and (empty.n == 0).all()


@settings(max_examples=30)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 1000))
def test_units_do_not_matter_and_signs_mirror(scale: float, offset: float, seed: int) -> None:
    value, history = made(seed, zones=20)
    plain = early_warning(value, history, METHOD, unit="1")
    other = early_warning(value * scale + offset, history * scale + offset, METHOD, unit="x")
    np.testing.assert_allclose(other.z, plain.z, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(other.vci, plain.vci, rtol=1e-6, atol=1e-6)
    mirrored = early_warning(-value, -history, METHOD, unit="1", low_is_grave=False)
    np.testing.assert_allclose(mirrored.z, plain.z, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(mirrored.rank, plain.rank)
    np.testing.assert_array_equal(mirrored.level, plain.level)
    np.testing.assert_allclose(mirrored.percentile, plain.percentile)


def test_levels_are_provisional_and_signed_by_an_overlay(tmp_path: Path) -> None:
    value, history = made(0, zones=2)
    assert early_warning(value, history, METHOD, unit="1").basis.provisional
    path = tmp_path / "levels.yaml"
    lines = ["method: early_warning", 'method_version: "1"', "document: test", "entered_by: test"]
    lines += ["date: 2026-01-01", "numbers:", "  z.alert: {value: -1.2, page: p. 1}"]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match="fall"):
        early_warning(value, history, load_method("early_warning", path), unit="1")


def test_words_exist_in_both_languages() -> None:
    for words in (*LEVELS.values(), *list(REASONS.values())[1:]):
        assert words.zh and words.en


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"history": np.ones((12, 3))}, "zone"),
        ({"value": np.array([np.inf, 1.0])}, "NaN"),
        ({"seen": np.array([80.0, 90.0])}, "100"),
        ({"seen": np.ones(3)}, "shape"),
        ({"history_seen": np.ones((3, 2))}, "shape"),
    ],
)
def test_bad_input_is_refused(change: dict, says: str) -> None:
    good = {"value": np.ones(2), "history": np.ones((12, 2)), "method": METHOD, "unit": "1"}
    with pytest.raises(InputError, match=says):
        early_warning(**{**good, **change})
