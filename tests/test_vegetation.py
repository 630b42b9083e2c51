"""NDVI, vegetation cover, seasonal maximum and mean."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco_index.errors import UsageError
from eco_index.indices import vegetation as veg
from eco_index.methods import load_method

STORED = st.one_of(st.just(-32768), st.integers(-10000, 10000))


def test_ndvi_agrees_with_spyndex_on_real_samples() -> None:
    spyndex = pytest.importorskip("spyndex")
    samples = spyndex.datasets.open("spectral")
    red, nir = samples["SR_B4"].to_numpy(), samples["SR_B5"].to_numpy()
    expected = spyndex.computeIndex("NDVI", {"N": nir, "R": red})
    np.testing.assert_allclose(veg.ndvi(red, nir), expected, rtol=0, atol=1e-15)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_ndvi_clamps_and_keeps_missing() -> None:
    red, nir = np.array([-0.02, 0.1, np.nan, 0.0]), np.array([0.3, -0.1, 0.3, -0.001])
    np.testing.assert_array_equal(veg.ndvi(red, nir), [1.0, -1.0, np.nan, np.nan])
    lazy = veg.ndvi(da.from_array(red, chunks=2), da.from_array(nir, chunks=2))
    np.testing.assert_array_equal(lazy.compute(), veg.ndvi(red, nir))


def test_stored_integers_are_no_reflectances() -> None:
    with pytest.raises(UsageError, match=r"'red' reaches 2500: not a reflectance"):
        veg.ndvi(np.array([2500.0]), np.array([0.4]))


def test_fvc_of_the_method_file() -> None:
    method = load_method("fvc_dimidiate")
    soil, full = method.number("ndvi_soil").required, method.number("ndvi_veg").required
    ndvi = np.array([-0.3, soil, (soil + full) / 2, full, 0.99, np.nan])
    expected = [0.0, 0.0, 0.5, 1.0, 1.0, np.nan]
    np.testing.assert_allclose(veg.fvc(ndvi, soil, full), expected, atol=1e-12)
    with pytest.raises(UsageError, match="does not exceed"):
        veg.fvc(ndvi, full, soil)


@given(
    arrays(np.int16, (4, 5), elements=STORED),
    st.floats(-0.1, 0.3),
    st.floats(0.5, 0.99),
)
def test_stored_fvc_is_the_rounded_formula(ndvi: np.ndarray, soil: float, full: float) -> None:
    got = veg.stored_fvc(ndvi, soil, full)
    assert got.dtype == np.uint16
    missing = ndvi == -32768
    assert (got[missing] == 65535).all()
    exact = np.clip((ndvi / 1e4 - soil) / (full - soil), 0, 1) * 1e4
    assert (np.abs(got.astype(float) - exact)[~missing] <= 0.5 + 1e-9).all()
    assert (got[~missing] <= 10000).all()


@given(
    st.lists(arrays(np.int16, (3, 4), elements=STORED), max_size=6),
    st.integers(0, 5),
)
def test_seasonal_maximum_and_mean(months: list[np.ndarray], needed: int) -> None:
    shape = (3, 4)
    highest = veg.stored_maximum(months, shape)
    mean, valid = veg.stored_mean(months, shape, needed)
    for place in np.ndindex(shape):
        seen = [int(m[place]) for m in months if m[place] != -32768]
        assert highest[place] == max(seen, default=-32768)
        assert valid[place] == len(seen)
        if not seen or len(seen) < needed:
            assert mean[place] == -32768
        else:
            exact = sum(seen) / len(seen)
            half_away = np.floor(abs(exact) + 0.5) * (1 if exact >= 0 else -1)
            assert mean[place] == half_away


def test_month_without_clear_look_does_not_lower_the_mean() -> None:
    months = [np.array([[6000]], "i2"), np.array([[-32768]], "i2"), np.array([[7001]], "i2")]
    mean, valid = veg.stored_mean(months, (1, 1), 2)
    assert (mean[0, 0], valid[0, 0]) == (6501, 2)  # 6500.5, away from zero
    assert veg.stored_mean(months, (1, 1), 3)[0][0, 0] == -32768


def test_counts_add_up_and_do_not_wrap() -> None:
    months = [np.array([[3, 65535]], "u2"), np.array([[4, 10]], "u2")]
    total = veg.stored_count(months, (1, 2))
    assert total.tolist() == [[7, 65535]] and total.dtype == np.uint16
    assert veg.stored_count([], (1, 2)).tolist() == [[0, 0]]
