"""Intervals hold the truth as often as they say; closed forms; published areas; bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from correlated_fields import covered, field, seen, zone
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eco_index.analysis.class_share import class_share
from eco_index.analysis.end_members import (
    CoverMean,
    Group,
    end_member_bounds,
    end_member_part,
    grouped_part,
    ranges,
)
from eco_index.analysis.gaps import Cells, cells_of, gap_error, side_for
from eco_index.analysis.uncertainty import combine, normal_part, uniform
from eco_index.analysis.variogram import Lags, Variogram
from eco_index.errors import InputError
from eco_index.groundtruth.accuracy import class_accuracy
from eco_index.indices.vegetation import fvc
from eco_index.methods import load_method

METHOD = load_method("uncertainty")
SEEDS = range(200)


def gaps_of(values: np.ndarray, inside: np.ndarray, view: np.ndarray, side: int = 1, limits=(0, 1)):
    return gap_error(cells_of(np.where(view, values, np.nan), inside, side), limits)


# Nominal 95 % intervals over 200 seeds: between 90 and 99 %.


@pytest.mark.parametrize(("length", "clump", "side"), [(1, 12, 1), (8, 20, 1), (4, 12, 3)])
def test_mean_with_gaps(length: float, clump: float, side: int) -> None:
    inside, found, sizes = zone(60), [], []
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        values = np.clip(0.5 + 0.12 * field(random, 60, length), 0, 1)
        error = gaps_of(values, inside, seen(random, inside, clump), side)
        got = combine(error.mean, [error.part()], METHOD, unit="1")
        truth = values[inside].mean()
        found.append((got.low, got.high, truth))
        assert error.bounds[0] <= truth <= error.bounds[1]
        sizes.append(error.sigma / (error.bounds[1] - error.bounds[0]))
    assert 0.90 <= covered(found) <= 0.99
    assert np.mean(sizes) < 0.15  # and say far more than the bounds


def test_share_of_a_class_with_gaps() -> None:
    inside, found = zone(60), []
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        forest = (field(random, 60, 3) > random.uniform(-0.5, 1.2)).astype(float)
        error = gaps_of(forest, inside, seen(random, inside, 10))
        got = combine(error.mean, [error.part()], METHOD, unit="1", limits=(0, 1))
        found.append((got.low, got.high, forest[inside].mean()))
    assert 0.90 <= covered(found) <= 0.99


def test_mean_cover_with_gaps_and_unknown_end_members() -> None:
    inside, found = zone(60), []
    soil, veg = ranges(METHOD)
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        ndvi = np.clip(0.45 + 0.15 * field(random, 60, 4), -1, 1)
        view = seen(random, inside, 12)
        truth = fvc(ndvi[inside], random.uniform(*soil), random.uniform(*veg)).mean()
        printed = fvc(ndvi, 0.15, 0.90)
        error = gaps_of(printed, inside, view)
        parts = [
            error.part(),
            end_member_part(CoverMean.of_pixels(ndvi[view]), 0.15, 0.90, METHOD, seed=seed),
        ]
        got = combine(error.mean, parts, METHOD, unit="1", limits=(0, 1), seed=seed)
        found.append((got.low, got.high, truth))
    assert 0.90 <= covered(found) <= 0.99


def test_change_of_cover_with_gaps_and_one_unknown_pair() -> None:
    inside, found = zone(60), []
    soil, veg = ranges(METHOD)
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        base = 0.45 + 0.15 * field(random, 60, 6)
        before = np.clip(base + 0.04 * field(random, 60, 3), -1, 1)
        after = np.clip(base - 0.03 + 0.04 * field(random, 60, 3), -1, 1)
        both = seen(random, inside, 12) & seen(random, inside, 12)
        pair = random.uniform(*soil), random.uniform(*veg)
        truth = (fvc(after, *pair) - fvc(before, *pair))[inside].mean()
        error = gaps_of(fvc(after, 0.15, 0.9) - fvc(before, 0.15, 0.9), inside, both, 1, (-1, 1))
        choice = end_member_part(
            CoverMean.of_pixels(after[both]),
            0.15,
            0.90,
            METHOD,
            before=CoverMean.of_pixels(before[both]),
            seed=seed,
        )
        got = combine(error.mean, [error.part(), choice], METHOD, unit="1")
        found.append((got.low, got.high, truth))
    assert 0.90 <= covered(found) <= 0.99


def test_share_with_gaps_and_classification_error() -> None:
    """The map misses a fifth of the forest and invents some; samples say so."""
    inside, found, plain = zone(60), [], []
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        forest = field(random, 60, 3) > 0.3
        chance = random.random(forest.shape)
        mapped = np.where(forest, chance > 0.20, chance < 0.06)
        view = seen(random, inside, 10)
        counts = np.zeros((2, 2))
        for code in (0, 1):
            place = np.flatnonzero(inside & (mapped == code))
            drawn = random.choice(place, 120, replace=False)
            for truth in (0, 1):
                counts[code, truth] = (forest.ravel()[drawn] == truth).sum()
        error = gaps_of(mapped.astype(float), inside, view)
        areas = np.array([(view & ~mapped).sum(), (view & mapped).sum()])
        share = class_share(counts, areas, [1])
        parts = [error.part(), share.part()]
        got = combine(error.mean, parts, METHOD, unit="1", limits=(0, 1), seed=seed)
        truth = forest[inside].mean()
        found.append((got.low, got.high, truth))
        alone = combine(error.mean, parts[:1], METHOD, unit="1")
        plain.append((alone.low, alone.high, truth))
    assert 0.90 <= covered(found) <= 0.99
    assert covered(plain) < 0.7  # without the samples the interval would be wrong


@pytest.mark.parametrize(("wrong", "n"), [(0.03, 40), (0.01, 40), (0.01, 100), (0.2, 40)])
def test_shares_of_a_map_with_few_errors(wrong: float, n: int) -> None:
    """Where hardly a sample is wrong equation 10 alone would hold the truth in 53 to 73 %."""
    found, widths, naive = [], [], []
    for seed in range(100):
        random = np.random.default_rng(seed)
        areas = random.dirichlet(np.ones(5))
        rates = np.eye(5) * (1 - wrong) + (1 - np.eye(5)) * wrong / 4
        counts = np.array([random.multinomial(n, q) for q in rates])
        for k in range(5):
            share, truth = class_share(counts, areas, [k]), float(areas @ rates[:, k])
            got = combine(share.mapped, [share.part()], METHOD, unit="1", limits=(0, 1))
            found.append((got.low, got.high, truth))
            widths.append(got.high - got.low)
            old = class_accuracy(counts, areas)
            naive.append(abs(old.area[k] - truth) <= old.area_interval[k])
    assert covered(found) >= 0.90
    assert np.mean(widths) < (0.1 if n == 40 else 0.03)
    assert wrong > 0.01 or np.mean(naive) < 0.85


# Closed forms and peers.


def test_independent_pixels_follow_the_finite_population_formula() -> None:
    """sigma^2 = (1 - f) s^2 / n where pixels are independent."""
    random = np.random.default_rng(0)
    values = random.random((100, 100))
    view = random.random((100, 100)) < 0.7
    error = gaps_of(values, np.ones((100, 100), bool), view)
    n = view.sum()
    want = math.sqrt((1 - view.mean()) * values[view].var(ddof=1) / n)
    assert error.sigma == pytest.approx(want, rel=0.05)
    assert error.missing_share == pytest.approx(1 - view.mean())


def test_pair_sums_equal_a_plain_double_loop() -> None:
    random = np.random.default_rng(1)
    weights = random.normal(size=(7, 9))
    weights -= weights.mean()
    model = Variogram(0.2, 1.5, 2.5, "matern32")
    y, x = (a.ravel() for a in np.mgrid[:7, :9])
    distance = np.hypot(y[:, None] - y, x[:, None] - x)
    want = -(np.outer(weights.ravel(), weights.ravel()) * model.at(distance)).sum()
    assert Lags((7, 9)).variance(weights, model) == pytest.approx(want, rel=1e-10)


def test_the_variogram_of_a_known_field_is_found() -> None:
    sills, ranges_ = [], []
    for seed in range(20):
        random = np.random.default_rng(seed)
        values = field(random, 100, 4) + 0.5 * random.normal(size=(100, 100))
        found = Lags((100, 100)).fit(values, random.random((100, 100)) < 0.6)
        sills.append(found.nugget + found.sill)
        ranges_.append(float(found.at(np.array([4.0]))[0]))
    assert np.mean(sills) == pytest.approx(1.25, rel=0.1)
    # The planted field has the exponential covariance exp(-h / 4).
    assert np.mean(ranges_) == pytest.approx(0.25 + 1 - math.exp(-1), rel=0.1)


def test_no_gap_no_error_and_nothing_seen_no_mean() -> None:
    inside = zone(30)
    values = np.random.default_rng(0).random((30, 30))
    whole = gaps_of(values, inside, inside)
    assert whole.sigma == 0 and whole.bounds == (whole.mean, whole.mean)
    nothing = gaps_of(values, inside, np.zeros_like(inside))
    assert math.isnan(nothing.mean) and nothing.bounds == (0, 1) and nothing.missing_share == 1
    assert combine(nothing.mean, [normal_part("gaps", 0.1)], METHOD, unit="1") is None
    few = np.zeros_like(inside)
    few[10:13, 10:13] = True
    lost = gaps_of(values, inside, few)
    assert math.isnan(lost.sigma) and lost.bounds[0] < lost.mean < lost.bounds[1]
    with pytest.raises(InputError):
        lost.part()


def test_a_class_that_was_nowhere_seen_is_not_surely_absent() -> None:
    inside, random = zone(40), np.random.default_rng(0)
    view = seen(random, inside, 8)
    got = gaps_of(np.zeros((40, 40)), inside, view)
    assert got.mean == 0 and math.isnan(got.sigma)
    assert got.bounds == (0, pytest.approx(got.missing_share))
    assert math.isnan(gaps_of(np.full((40, 40), 0.37), inside, view).sigma)


def test_few_independent_patches_widen_the_interval() -> None:
    """Degrees of freedom: many where pixels are independent, few where the field is smooth."""
    inside, random = np.ones((60, 60), bool), np.random.default_rng(0)
    view = seen(random, inside, 10)
    rough = gaps_of(random.random((60, 60)), inside, view)
    smooth = gaps_of(0.5 + 0.05 * field(random, 60, 15), inside, view)
    assert math.isinf(rough.free) and 3 <= smooth.free < 30
    part = normal_part("gaps", 1.0, free=5.0)
    assert np.quantile(part.draws, 0.975) == pytest.approx(stats.t(5).ppf(0.975), rel=0.01)


@settings(max_examples=25)
@given(st.integers(1, 25), st.integers(1, 5), st.integers(0, 1000))
def test_tiles_merge_to_the_whole_zone(step: int, side: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.random((25, 30))
    values[random.random((25, 30)) < 0.3] = np.nan
    inside = zone(30)[:25]
    whole = cells_of(values, inside, side)
    total: Cells | None = None
    for top in range(0, 25, step):
        rows = slice(top, top + step)
        part = cells_of(values[rows], inside[rows], side, origin=(top, 0), shape=values.shape)
        total = part if total is None else total.merge(part)
    assert total is not None
    np.testing.assert_array_equal(total.total, whole.total)
    np.testing.assert_array_equal(total.valid, whole.valid)
    np.testing.assert_allclose(total.total_sum, whole.total_sum, rtol=1e-12)
    assert whole.total.sum() == inside.sum()
    assert whole.mean == pytest.approx(np.nanmean(values[inside]))


def test_a_box_is_never_more_than_128_cells() -> None:
    for n in (1, 127, 128, 129, 5000):
        side = side_for(n, n // 2 + 1)
        assert -(-n // side) <= 128 and (side == 1 or -(-n // (side - 1)) > 128)


@settings(max_examples=40)
@given(
    st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=1, max_size=60),
    st.floats(0.0, 0.3),
    st.floats(0.5, 0.99),
)
def test_mean_cover_of_any_pair_equals_the_pixel_formula(pixels, soil, veg) -> None:
    array = np.array(pixels)
    got = CoverMean.of_pixels(array).at(soil, veg)
    assert got == pytest.approx(fvc(array, soil, veg).mean(), abs=1e-12)


def test_the_bounds_of_end_members_hold_every_pair() -> None:
    random = np.random.default_rng(0)
    cover = CoverMean.of_pixels(random.uniform(-0.1, 1.0, 500))
    low, high = end_member_bounds(cover, METHOD)
    soil, veg = ranges(METHOD)
    every = cover.at(uniform(*soil, seed=1), uniform(*veg, seed=2))
    assert low <= every.min() < every.max() <= high
    part = end_member_part(cover, 0.15, 0.9, METHOD, scale=100)
    assert part.draws.min() >= 100 * (low - cover.at(0.15, 0.9)) - 1e-9


def test_groups_with_pairs_of_their_own() -> None:
    """One group in the middle of the ranges is the plain part; several are the pixels' mean."""
    random = np.random.default_rng(0)
    forest, grass = random.uniform(0.3, 0.95, 300), random.uniform(0.05, 0.6, 100)
    one = CoverMean.of_pixels(forest)
    plain = end_member_part(one, 0.15, 0.9, METHOD)
    same = grouped_part([Group(one, 0.15, 0.9)], METHOD)
    np.testing.assert_allclose(same.draws, plain.draws, atol=1e-12)
    groups = [Group(one, 0.2, 0.92), Group(CoverMean.of_pixels(grass), 0.1, 0.8)]
    got = grouped_part(groups, METHOD, scale=100)
    ds, dv = uniform(-0.05, 0.05, seed=1), uniform(-0.05, 0.05, seed=2)
    for k in range(0, ds.size, 512):
        moved = [fvc(forest, 0.2 + ds[k], 0.92 + dv[k]), fvc(grass, 0.1 + ds[k], 0.8 + dv[k])]
        printed = [fvc(forest, 0.2, 0.92), fvc(grass, 0.1, 0.8)]
        want = np.concatenate(moved).mean() - np.concatenate(printed).mean()
        assert got.draws[k] == pytest.approx(100 * want, abs=1e-10)
    still = [Group(g.cover, g.soil, g.veg, before=g.cover) for g in groups]
    assert grouped_part(still, METHOD).sigma == 0
    with pytest.raises(InputError, match="closer"):
        grouped_part([Group(one, 0.15, 0.24)], METHOD)
    with pytest.raises(InputError, match="before"):
        grouped_part([groups[0], still[1]], METHOD)
    with pytest.raises(InputError, match="No pixel"):
        grouped_part([Group(CoverMean(np.array([]), np.array([])), 0.1, 0.9)], METHOD)


def test_a_change_of_nothing_has_no_error_from_end_members() -> None:
    cover = CoverMean.of_pixels(np.random.default_rng(0).uniform(0, 1, 50))
    assert end_member_part(cover, 0.15, 0.9, METHOD, before=cover).sigma == 0


def test_one_normal_part_gives_the_normal_interval() -> None:
    got = combine(10.0, [normal_part("gaps", 2.0)], METHOD, unit="%")
    assert got.pair == pytest.approx(stats.norm(10, 2).interval(0.95), rel=2e-3)
    assert got.sigma == pytest.approx(2.0, rel=2e-3)
    both = combine(
        10.0, [normal_part("gaps", 2.0), normal_part("classification", 1.5, 3.0)], METHOD, unit="%"
    )
    assert both.pair == pytest.approx(stats.norm(13, 2.5).interval(0.95), rel=0.01)
    assert both.parts[1].shift == pytest.approx(3.0)
    cut = combine(1.0, [normal_part("gaps", 2.0)], METHOD, unit="%", limits=(0, 100))
    assert cut.low == 0
    again = combine(1.0, [normal_part("gaps", 2.0)], METHOD, unit="%", limits=(0, 100))
    assert again.pair == cut.pair
    assert got.basis.provisional and {n.key for n in got.basis.numbers} == {
        "confidence",
        "rule.combination",
        "rule.gaps",
    }


def test_published_area_estimate() -> None:
    """Olofsson et al. 2014, section 4.3: cleared forest 21,158 +- 6,158 ha."""
    counts = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    areas = np.array([200000, 150000, 3200000, 6450000]) * 0.09
    got = class_share(counts, areas, [0])
    total = areas.sum()
    assert got.estimated * total == pytest.approx(21158, abs=1)
    # A little wider: no sample of class 2 was cleared, which equation 10 takes for certain.
    assert 6158 < 1.96 * got.sigma * total < 1.1 * 6158
    assert got.mapped * total == pytest.approx(18000)
    found = class_accuracy(counts, areas, confidence=0.95)
    for k in range(4):
        one = class_share(counts, areas, [k])
        assert one.estimated * total == pytest.approx(found.area[k])
        assert found.area_interval[k] < 1.96 * one.sigma * total
        many = class_share(1000 * counts, areas, [k])
        exact = class_accuracy(1000 * counts, areas, confidence=0.95).area_interval[k]
        assert 1.96 * many.sigma * total == pytest.approx(exact, rel=2e-3)
    everything = class_share(counts, areas, range(4))
    assert everything.estimated == pytest.approx(1)
    assert everything.sigma == pytest.approx(0, abs=1e-9)
    rest = class_share(counts, areas, [1, 2, 3])
    assert rest.sigma == pytest.approx(got.sigma)
    assert rest.estimated == pytest.approx(1 - got.estimated)


COVER = CoverMean(np.array([0.2, 0.5]), np.array([1, 1]))
BAD = {
    "no NDVI": (lambda: CoverMean(np.array([200.0, 5000.0]), np.array([1, 1])), "0.0001"),
    "unsorted": (lambda: CoverMean(np.array([0.5, 0.2]), np.array([1, 1])), "ascend"),
    "negative": (lambda: CoverMean(np.array([0.2]), np.array([-1])), "negative"),
    "pair": (lambda: end_member_part(COVER, 0.05, 0.9, METHOD), "declared"),
    "order": (lambda: COVER.at(0.9, 0.1), "exceed"),
    "empty": (
        lambda: end_member_part(CoverMean(np.array([]), np.array([])), 0.15, 0.9, METHOD),
        "No pixel",
    ),
    "percent": (lambda: gaps_of(np.full((9, 9), 55.0), zone(9), zone(9)), "unit"),
    "infinite": (lambda: cells_of(np.full((3, 3), np.inf), np.ones((3, 3), bool)), "infinite"),
    "shapes": (lambda: cells_of(np.ones((3, 3)), np.ones((3, 4), bool)), "shape"),
    "outside": (
        lambda: cells_of(np.ones((3, 3)), np.ones((3, 3), bool), origin=(1, 0), shape=(3, 3)),
        "outside",
    ),
    "no part": (lambda: combine(1.0, [], METHOD, unit="%"), "one part"),
    "twice": (lambda: combine(1.0, [normal_part("gaps", 1)] * 2, METHOD, unit="%"), "each once"),
    "range": (
        lambda: combine(120.0, [normal_part("gaps", 1)], METHOD, unit="%", limits=(0, 100)),
        "outside",
    ),
    "sigma": (lambda: normal_part("gaps", math.nan), "deviation"),
    "name": (lambda: normal_part("clouds", 1), "one of"),
    "class": (lambda: class_share(np.eye(2) * 9, np.ones(2), [2]), "matrix"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case: str) -> None:
    call, says = BAD[case]
    with pytest.raises(InputError, match=says):
        call()
