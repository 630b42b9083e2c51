"""Temporal interpolation: against `numpy.interp`, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_index.errors import InputError
from eco_index.indices.gaps import fill_months

FILL = -32768
series = st.lists(st.one_of(st.just(FILL), st.integers(-10000, 10000)), min_size=1, max_size=12)


def half_away(value: float) -> int:
    return int(np.sign(value) * np.floor(abs(value) + 0.5))


def fill(values: list[int], max_gap: int) -> tuple[list[int], list[int]]:
    months = [np.full((1, 1), v, np.int16) for v in values]
    filled, flags = fill_months(months, max_gap)
    assert all(f.dtype == np.int16 for f in filled) and all(f.dtype == np.uint8 for f in flags)
    return [int(f[0, 0]) for f in filled], [int(f[0, 0]) for f in flags]


@settings(max_examples=200, deadline=None)
@given(series, st.integers(1, 11))
def test_equals_numpy_within_the_gap(values: list[int], max_gap: int) -> None:
    filled, flags = fill(values, max_gap)
    seen = [k for k, v in enumerate(values) if v != FILL]
    for k, value in enumerate(values):
        if value != FILL:
            assert (filled[k], flags[k]) == (value, 0)
            continue
        before = [s for s in seen if s < k]
        after = [s for s in seen if s > k]
        if not before or not after or after[0] - before[-1] - 1 > max_gap:
            assert (filled[k], flags[k]) == (FILL, 255)
            continue
        a, b = before[-1], after[0]
        # The exact ratio: numpy.interp's own rounding must not decide a half.
        exact = np.longdouble(values[a] * (b - k) + values[b] * (k - a)) / (b - a)
        assert abs(float(exact) - np.interp(k, seen, [values[s] for s in seen])) < 1e-8
        assert (filled[k], flags[k]) == (half_away(float(exact)), 1)
        assert min(values[a], values[b]) <= filled[k] <= max(values[a], values[b])


def test_each_pixel_goes_its_own_way_and_tiles_do_not_matter() -> None:
    rng = np.random.default_rng(8)
    months = rng.integers(-2000, 9000, (7, 23, 31)).astype(np.int16)
    months[rng.random(months.shape) < 0.4] = FILL
    filled, flags = fill_months(list(months), 2)
    for y, x in ((0, 0), (5, 30), (22, 17)):
        alone = fill(months[:, y, x].tolist(), 2)
        assert ([int(f[y, x]) for f in filled], [int(f[y, x]) for f in flags]) == alone
    part, part_flags = fill_months(list(months[:, 4:9, 10:20]), 2)
    np.testing.assert_array_equal(part, np.stack(filled)[:, 4:9, 10:20])
    np.testing.assert_array_equal(part_flags, np.stack(flags)[:, 4:9, 10:20])
    assert {0, 1, 255} == set(np.unique(flags))


def test_half_a_step_goes_away_from_zero() -> None:
    assert fill([1, FILL, 2], 1)[0] == [1, 2, 2]
    assert fill([-1, FILL, -2], 1)[0] == [-1, -2, -2]
    assert fill([-1, FILL, 2], 1)[0] == [-1, 1, 2]
    assert fill([FILL, FILL], 3) == ([FILL, FILL], [255, 255])


def test_unfit_input_is_refused() -> None:
    month = np.zeros((2, 2), np.int16)
    with pytest.raises(InputError, match="at least 1 month"):
        fill_months([month], 0)
    for other in (np.zeros((2, 3), np.int16), month.astype(float)):
        with pytest.raises(InputError, match="unlike kind"):
            fill_months([month, other], 1)
    assert fill_months([], 1) == ([], [])
