from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_index.change import ChangeSpec, ChangeSums
from eco_index.products import LUCC

SPEC = ChangeSpec(("landcover", "forest"), (("fvc", 1000), ("clear_count", 3)))
N = 3


def random_pair(seed: int):
    rng = np.random.default_rng(seed)
    shape = (30, 36)

    def one() -> dict[str, np.ndarray]:
        fvc = rng.integers(0, 10001, shape).astype(np.uint16)
        fvc[rng.random(shape) < 0.3] = 65535
        return {
            "landcover": rng.choice([0, *LUCC], shape).astype(np.uint8),
            "forest": rng.choice([0, 1, 255], shape).astype(np.uint8),
            "fvc": fvc,
            "clear_count": rng.integers(0, 9, shape).astype(np.uint16),
        }

    return rng.integers(0, N + 1, shape).astype(np.int32), one(), one()


def sums_of(ids, before, after, cuts=()):
    total = ChangeSums(SPEC, N)
    for y0, y1 in zip((0, *cuts), (*cuts, ids.shape[0]), strict=True):
        part = ChangeSums(SPEC, N)
        part.add(
            ids[y0:y1],
            {k: v[y0:y1] for k, v in before.items()},
            {k: v[y0:y1] for k, v in after.items()},
        )
        total.merge(part)
    return total


def test_equals_plain_numpy():
    ids, before, after = random_pair(1)
    sums = sums_of(ids, before, after)
    for z in range(N):
        inside = ids == z + 1
        was, now = before["landcover"][inside], after["landcover"][inside]
        assert (
            sums.n_transition("landcover", (31, 32), (51, 53))[z]
            == (np.isin(was, (31, 32)) & np.isin(now, (51, 53))).sum()
        )
        assert sums.n_both("landcover")[z] == ((was > 0) & (now > 0)).sum()
        was, now = before["forest"][inside], after["forest"][inside]
        assert sums.n_transition("forest", (0,), (1,))[z] == ((was == 0) & (now == 1)).sum()
        was, now = (a["fvc"][inside].astype(int) for a in (before, after))
        both = (was != 65535) & (now != 65535)
        assert sums.n_both("fvc")[z] == both.sum()
        assert sums.n_fell("fvc", 1000)[z] == (both & (was - now >= 1000)).sum()
        assert sums.n_rose("fvc", 1000)[z] == (both & (now - was >= 1000)).sum()
        assert sums.difference[0, z] == (now - was)[both].sum()
        assert sums.pixels[z] == inside.sum()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), cuts=st.sets(st.integers(1, 29), max_size=5))
def test_any_tiling_gives_identical_sums(seed, cuts):
    ids, before, after = random_pair(seed)
    one, many = sums_of(ids, before, after), sums_of(ids, before, after, sorted(cuts))
    for name in ("pixels", "both", "fell", "rose", "difference"):
        assert np.array_equal(getattr(one, name), getattr(many, name))
    for name, table in one.transitions.items():
        assert np.array_equal(table, many.transitions[name])


def test_cloud_in_one_period_is_no_change():
    ids = np.ones((1, 3), np.int32)
    before = {"fvc": np.array([[9000, 65535, 5000]], np.uint16)}
    after = {"fvc": np.array([[65535, 9000, 5000]], np.uint16)}
    sums = ChangeSums(ChangeSpec((), (("fvc", 1000),)), 1)
    sums.add(ids, before, after)
    assert sums.n_both("fvc")[0] == 1
    assert sums.n_fell("fvc", 1000)[0] == sums.n_rose("fvc", 1000)[0] == 0


def test_threshold_counts_itself():
    ids = np.ones((1, 2), np.int32)
    before = {"fvc": np.array([[5000, 5000]], np.uint16)}
    after = {"fvc": np.array([[4000, 4001]], np.uint16)}
    sums = ChangeSums(ChangeSpec((), (("fvc", 1000),)), 1)
    sums.add(ids, before, after)
    assert sums.n_fell("fvc", 1000)[0] == 1


def test_all_zones_is_the_sum():
    ids, before, after = random_pair(4)
    sums = sums_of(ids, before, after)
    one = sums.all_zones()
    assert one.n_fell("fvc", 1000)[0] == sums.n_fell("fvc", 1000).sum()
    assert np.array_equal(one.transitions["landcover"][0], sums.transitions["landcover"].sum(0))


def test_refuses_unlike_sums_and_shapes():
    ids, before, after = random_pair(5)
    with pytest.raises(ValueError, match="cannot be merged"):
        ChangeSums(SPEC, 1).merge(ChangeSums(SPEC, 2))
    with pytest.raises(ValueError, match="has shape"):
        ChangeSums(SPEC, N).add(ids[:3], before, after)
