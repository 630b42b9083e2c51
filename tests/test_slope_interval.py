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


def dependent(n: int, rho: float, seed: int, size: int = 200) -> np.ndarray:
    """Return series (year, seed) of noise with a first-order autocorrelation."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(n + 60, size))
    for i in range(1, n + 60):
        noise[i] += rho * noise[i - 1]
    return noise[60:]


SLOPE = 0.08


def share_covered(n: int, rho: float, correction: str, gaps: float = 0.0) -> float:
    stack = dependent(n, rho, 2) + SLOPE * np.arange(n)[:, None]
    stack[np.random.default_rng(3).random(stack.shape) < gaps] = np.nan
    low, high = both(stack, correction, np.arange(n))
    return covered(list(zip(low, high, np.full(200, SLOPE), strict=True)))


@pytest.mark.parametrize(
    ("n", "rho", "correction", "gaps"),
    [
        (25, 0.0, "none", 0.0),
        (25, 0.0, "hamed_rao", 0.0),
        (25, 0.3, "hamed_rao", 0.0),
        (25, 0.6, "hamed_rao", 0.0),
        (25, 0.3, "yue_wang", 0.2),
        (45, 0.5, "hamed_rao", 0.0),
        (12, 0.3, "hamed_rao", 0.0),
    ],
)
def test_planted_slopes_are_covered(n: int, rho: float, correction: str, gaps: float) -> None:
    """200 seeds: the nominal 95 % interval holds the planted slope in 90-99 %."""
    assert 0.90 <= share_covered(n, rho, correction, gaps) <= 0.99


def test_taking_dependent_years_as_independent_covers_too_seldom() -> None:
    assert share_covered(25, 0.6, "none") < 0.85 < share_covered(25, 0.6, "hamed_rao")


def test_independent_years_need_little_more_than_the_textbook_interval() -> None:
    """Beside the t interval of the least-squares slope, whose autocorrelation is known to be 0."""
    stack, wide = dependent(40, 0.0, 5), []
    low, high = both(stack, years=np.arange(40))
    for k in range(200):
        line = stats.linregress(np.arange(40), stack[:, k])
        wide.append((high[k] - low[k]) / (2 * stats.t(38).ppf(0.975) * line.stderr))
    assert 1.0 < np.median(wide) < 1.25


def test_a_series_on_a_line_has_no_width() -> None:
    stack = np.column_stack([0.3 + 0.02 * np.arange(25), np.full(25, 0.4)])
    low, high = both(stack, "hamed_rao")
    np.testing.assert_allclose(low, [0.02, 0.0], atol=1e-12)
    np.testing.assert_allclose(high, low, atol=1e-12)


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
