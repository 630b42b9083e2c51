"""PC1 of RSEI: numpy's covariance, exact merging, and the loadings of Xu et al. 2017."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_index.errors import InputError
from eco_index.indices.rsei import first_component, moments, oriented

XU17 = ((0.450, 0.313, -0.641, -0.537), (0.513, 0.342, -0.557, -0.556))
GEN = np.random.default_rng(4)
T = GEN.random(500)
DATA = np.stack([T, 0.8 * T, 1 - T, 0.9 - 0.7 * T]) * 0.9 + GEN.random((4, 500)) * 0.1
DATA[1, 7] = np.nan


def test_against_numpy() -> None:
    loads, share = first_component(moments(DATA))
    values, vectors = np.linalg.eigh(np.cov(np.delete(DATA, 7, axis=1)))
    assert np.abs(loads) == pytest.approx(np.abs(vectors[:, -1]), abs=1e-4)
    assert share == pytest.approx(values[-1] / values.sum(), abs=1e-4)


@given(st.integers(1, 499))
def test_any_split_is_exact(cut: int) -> None:
    assert moments(DATA[:, :cut]) + moments(DATA[:, cut:]) == moments(DATA)


@pytest.mark.parametrize("loads", XU17)
def test_published_loadings(loads: tuple[float, ...]) -> None:
    v = np.array(loads)
    assert np.linalg.norm(v) == pytest.approx(1, abs=1e-3)
    assert oriented(-v).tolist() == v.tolist()


def test_wrong_signs_are_refused() -> None:
    with pytest.raises(InputError, match="not valid here"):
        oriented(np.array([0.5, -0.5, -0.5, -0.5]))


def test_unscaled_input_is_refused() -> None:
    with pytest.raises(InputError):
        moments(DATA * 300)
