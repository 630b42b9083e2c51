"""Trends: equal to pymannkendall with ties and gaps, whatever the blocks; bad input."""

from __future__ import annotations

import numpy as np
import pymannkendall as mk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eco_index.errors import InputError
from eco_index.trends import (
    CLASSES,
    CORRECTIONS,
    MIN_YEARS,
    NOT_TESTED,
    Trends,
    count_classes,
    lines,
    trends,
    trends_by_block,
)

PEERS = {
    "none": mk.original_test,
    "hamed_rao": mk.hamed_rao_modification_test,
    "yue_wang": mk.yue_wang_modification_test,
}
YEARS = np.arange(2000, 2025)


def made(seed: int, shape: tuple[int, ...] = (25, 120), gaps: float = 0.2) -> np.ndarray:
    """Autocorrelated series, some with trends, many ties, some years missing."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=shape)
    for i in range(1, shape[0]):
        noise[i] += 0.6 * noise[i - 1]
    trend = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) * random.normal(
        0, 0.1, shape[1:]
    )
    stack = np.round((noise + trend) * 2) / 2
    stack[random.random(shape) < gaps] = np.nan
    return stack


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("lags", [None, 1, 3])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_equals_pymannkendall(correction: str, lags: int | None) -> None:
    stack = made(1)
    found = trends(stack, YEARS, correction=correction, lags=lags, min_years=4)
    options = {} if correction == "none" else {"lag": lags}
    tested = 0
    for k in range(stack.shape[1]):
        want = PEERS[correction](stack[:, k], **options)
        assert found.n[k] == np.isfinite(stack[:, k]).sum()
        assert found.slope[k] == pytest.approx(want.slope, rel=1e-12, abs=1e-12)
        assert found.tau[k] == pytest.approx(want.Tau, rel=1e-12, abs=1e-15)
        if np.isnan(want.z):
            assert np.isnan(found.p[k]) and found.classes[k] == NOT_TESTED
            continue
        tested += 1
        assert found.z[k] == pytest.approx(want.z, rel=1e-9, abs=1e-12)
        assert found.p[k] == pytest.approx(want.p, rel=1e-9, abs=1e-14)
        level = sum(want.p < a for a in (0.10, 0.05, 0.01))
        assert found.classes[k] == int(np.sign(want.z)) * level
    assert tested > 60
    assert len(set(found.classes.tolist()) & set(CLASSES)) >= 5


def test_autocorrelation_is_no_trend() -> None:
    """Of red noise without trend the plain test calls too much a trend, Hamed & Rao far less."""
    random = np.random.default_rng(5)
    noise = random.normal(size=(60, 2000))
    for i in range(1, 60):
        noise[i] += 0.6 * noise[i - 1]
    years = np.arange(60)
    share = {c: (abs(trends(noise, years, correction=c).classes) >= 2).mean() for c in CORRECTIONS}
    assert share["none"] > 0.20 and share["hamed_rao"] < 0.8 * share["none"]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(0, 5))
def test_blocks_do_not_matter(block: int, seed: int) -> None:
    stack = made(seed, (12, 7, 9)).astype(np.float32)
    whole = trends(stack, YEARS[:12])
    merged = {name: np.zeros((7, 9)) for name in Trends.__annotations__}
    reader = trends_by_block(lambda r, c: stack[:, r, c], (7, 9), YEARS[:12], block=block)
    for rows, columns, part in reader:
        for name, target in merged.items():
            target[rows, columns] = getattr(part, name)
    for name, target in merged.items():
        np.testing.assert_array_equal(target, getattr(whole, name))


def test_slope_uses_true_years_and_integers_with_fill() -> None:
    years = np.array([2000, 2004, 2005, 2006, 2007, 2008, 2009, 2010, 2011, 2014, 2015])
    stored = (2 * years - 3990).astype(np.int16)[:, None].repeat(2, axis=1)
    stored[3, 1] = -32768
    found = trends(stored, years, fill=-32768)
    assert found.slope.tolist() == [2, 2] and found.n.tolist() == [11, 10]
    assert (found.tau == 1).all()
    assert lines(stored, years, fill=-32768).slope == pytest.approx([2, 2])


def test_too_few_years_is_not_no_trend() -> None:
    stack = np.arange(25.0)[:, None].repeat(3, axis=1)
    stack[MIN_YEARS - 1 :, 0] = np.nan
    stack[:, 1] = np.nan
    found = trends(stack, YEARS, correction="none")
    assert found.classes.tolist() == [NOT_TESTED, NOT_TESTED, 3]
    assert np.isnan(found.slope[:2]).all() and np.isnan(found.p[:2]).all()
    assert found.n.tolist() == [MIN_YEARS - 1, 0, 25]


def test_constant_series_has_no_trend() -> None:
    for correction in CORRECTIONS:
        found = trends(np.ones((25, 1)), YEARS, correction=correction)
        assert (found.slope[0], found.p[0], found.classes[0]) == (0, 1, 0)
    fit = lines(np.full((25, 1), 0.1), YEARS)
    assert fit.slope[0] == 0 and fit.intercept[0] == 0.1 and np.isnan(fit.r2[0])


def test_lines_equal_scipy() -> None:
    stack = made(3)
    fit = lines(stack, YEARS)
    for k in range(stack.shape[1]):
        ok = np.isfinite(stack[:, k])
        want = stats.linregress(YEARS[ok], stack[ok, k])
        assert fit.slope[k] == pytest.approx(want.slope, rel=1e-9, abs=1e-12)
        assert fit.intercept[k] == pytest.approx(want.intercept, rel=1e-9, abs=1e-9)
        assert fit.r2[k] == pytest.approx(want.rvalue**2, rel=1e-9, abs=1e-12)
        assert fit.change[k] == pytest.approx(want.slope * 24, rel=1e-9, abs=1e-10)


def test_counts_per_zone_add_up() -> None:
    random = np.random.default_rng(2)
    classes = random.choice([*CLASSES, NOT_TESTED], (20, 30)).astype(np.int8)
    ids = random.integers(0, 4, (20, 30))
    table = count_classes(ids, classes, 3)
    parts = count_classes(ids[:7], classes[:7], 3) + count_classes(ids[7:], classes[7:], 3)
    np.testing.assert_array_equal(table, parts)
    for zone in range(3):
        for slot, code in enumerate((NOT_TESTED, *CLASSES)):
            assert table[zone, slot] == ((ids == zone + 1) & (classes == code)).sum()
    with pytest.raises(InputError):
        count_classes(ids, classes, 2)


@pytest.mark.parametrize(
    ("stack", "years", "options"),
    [
        (np.ones((5, 2)), np.arange(4), {}),
        (np.ones((5, 2)), np.array([1, 2, 2, 3, 4]), {}),
        (np.ones((5, 2)), np.arange(5)[::-1], {}),
        (np.ones((5, 2)), np.array([1, 2, 3, 4, np.nan]), {}),
        (np.ones((5, 2)), np.arange(5), {"fill": 0}),
        (np.ones((5, 2), bool), np.arange(5), {}),
        (np.ones((5, 2)), np.arange(5), {"correction": "sen"}),
        (np.ones((5, 2)), np.arange(5), {"min_years": 3}),
        (np.ones((5, 2)), np.arange(5), {"lags": 0}),
    ],
)
def test_bad_stacks(stack: np.ndarray, years: np.ndarray, options: dict) -> None:
    with pytest.raises(InputError):
        trends(stack, years, **options)
