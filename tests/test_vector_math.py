"""exp and log of compiled loops against extended precision."""

import numpy as np

from eco_index.indices.vector_math import _over


def ulps(found, exact):
    return float(np.max(np.abs((found - exact) / np.spacing(np.abs(found)))))


def test_exp_and_log_are_within_two_units_in_the_last_place():
    g = np.random.default_rng(1)
    x = np.concatenate([g.uniform(-700, 700, 50_000), g.uniform(-2, 2, 50_000), [0.0]])
    assert ulps(_over(x, False), np.exp(x.astype(np.longdouble))) < 2
    y = np.concatenate([np.exp(g.uniform(-700, 700, 50_000)), g.uniform(0.4, 2.5, 50_000)])
    assert ulps(_over(y, True), np.log(y.astype(np.longdouble))) < 2


def test_at_the_ends():
    far = _over(np.array([-1e9, 1e9, np.nan]), False)
    assert 0 < far[0] < 1e-307 and far[1] > 1e307 and np.isnan(far[2])
    low = _over(np.array([0.0, 1e-310, 1.0]), True)
    assert (low[:2] < -708).all() and low[2] == 0
