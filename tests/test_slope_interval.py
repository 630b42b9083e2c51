"""Intervals of slopes: scipy's theilslopes, planted slopes covered, scale and shift."""

from __future__ import annotations

import numpy as np
import pytest
from correlated_fields import covered
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eco_index.analysis.slope_interval import slope_interval
from eco_index.errors import InputError
from eco_index.trends import trends

YEARS = np.arange(2000, 2025)


def both(stack: np.ndarray, correction: str = "none", years: np.ndarray = YEARS):
    return slope_interval(
        stack, years, trends(stack, years, correction=correction), correction=correction
    )


def test_equals_scipy_without_correction() -> None:
    random = np.random.default_rng(0)
    stack = np.round(random.normal(size=(25, 80)) + 0.05 * np.arange(25)[:, None], 1)
    stack[random.random(stack.shape) < 0.2] = np.nan
    low, high = both(stack)
    tested = trends(stack, YEARS, correction="none")
    for k in range(80):
        ok = np.isfinite(stack[:, k])
        want = stats.theilslopes(stack[ok, k], YEARS[ok], alpha=0.95)
        assert (low[k], high[k]) == pytest.approx((want.low_slope, want.high_slope), rel=1e-9)
        assert low[k] <= tested.slope[k] <= high[k]


def test_nearly_untrended_series_have_scipys_interval_too() -> None:
    """Kendall's S of -1, 0 or 1, where the test hides its variance."""
    random, seen = np.random.default_rng(1), 0
    stack = np.round(random.normal(size=(12, 4000)), 1)
    years = YEARS[:12]
    found = trends(stack, years, correction="none")
    near = np.flatnonzero(np.abs(np.round(found.tau * 66)) <= 1)[:60]
    low, high = both(stack[:, near], years=years)
    for k, column in enumerate(near):
        want = stats.theilslopes(stack[:, column], years, alpha=0.95)
        assert (low[k], high[k]) == pytest.approx((want.low_slope, want.high_slope), rel=1e-9)
        seen += 1
    assert seen == 60


@pytest.mark.parametrize("correction", ["none", "hamed_rao"])
def test_planted_slopes_are_covered(correction: str) -> None:
    random = np.random.default_rng(2)
    stack = random.normal(size=(25, 200)) + 0.08 * np.arange(25)[:, None]
    low, high = both(stack, correction)
    assert 0.90 <= covered(list(zip(low, high, np.full(200, 0.08), strict=True))) <= 0.99


def test_dependence_widens_the_interval() -> None:
    random = np.random.default_rng(3)
    stack = random.normal(size=(60, 150))
    for i in range(1, 60):
        stack[i] += 0.6 * stack[i - 1]
    years = np.arange(60)
    plain, corrected = both(stack, "none", years), both(stack, "hamed_rao", years)
    width = [np.nanmean(high - low) for low, high in (plain, corrected)]
    assert width[1] > 1.2 * width[0]
    share = [covered([(a, b, 0) for a, b in zip(*p, strict=True)]) for p in (plain, corrected)]
    assert share[1] > share[0] + 0.05


def test_the_hidden_variance_is_that_of_a_neighbouring_series() -> None:
    """A series with S = 0 and the same series with a trend have one width under the correction."""
    random, checked = np.random.default_rng(4), 0
    stack = random.normal(size=(25, 3000))
    for i in range(1, 25):
        stack[i] += 0.5 * stack[i - 1]
    found = trends(stack, YEARS)
    near = np.flatnonzero(np.abs(np.round(found.tau * 300)) <= 1)
    low, high = both(stack[:, near], "hamed_rao")
    lifted = stack[:, near] + 0.7 * np.arange(25)[:, None]
    low2, high2 = both(lifted, "hamed_rao")
    for k in range(near.size):
        if np.isfinite(low[k]) and np.isfinite(low2[k]):
            checked += 1
            assert low2[k] - 0.7 == pytest.approx(low[k], abs=1e-9)
            assert high2[k] - 0.7 == pytest.approx(high[k], abs=1e-9)
    assert checked > 10


@settings(max_examples=25)
@given(st.floats(0.01, 100), st.floats(-5, 5), st.integers(0, 500))
def test_scale_and_lines_carry_over(scale: float, line: float, seed: int) -> None:
    stack = np.random.default_rng(seed).normal(size=(25, 3))
    low, high = both(stack)
    low2, high2 = both(stack * scale + line * np.arange(25)[:, None])
    np.testing.assert_allclose(low2, low * scale + line, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(high2, high * scale + line, rtol=1e-6, atol=1e-6)


def test_what_was_not_tested_has_no_interval_and_bad_input_is_refused() -> None:
    stack = np.full((25, 2), np.nan)
    stack[:5, 0] = 1.0
    low, high = both(stack)
    assert np.isnan(low).all() and np.isnan(high).all()
    found = trends(stack, YEARS, correction="none")
    with pytest.raises(InputError):
        slope_interval(stack[:, :1], YEARS, found)
    with pytest.raises(InputError):
        slope_interval(stack, YEARS, found, confidence=95)
