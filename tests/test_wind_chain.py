"""The fused RWEQ chain: equal to the functions it fuses, any chunking, wrong inputs."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_index.errors import InputError, UsageError
from eco_index.indices.wind_chain import FixationChain, sand_fixation
from eco_index.methods import load_method

M = load_method("hj1173_2021")
NAMES = ("weather", "sand", "silt", "clay", "organic", "relief", "types", "cover")


def maps(seed, shape):
    g = np.random.default_rng(seed)
    sand, silt = g.uniform(5, 90, shape), g.random(shape)
    silt = silt * (100 - sand)
    clay = np.where(g.random(shape) < 0.03, 0.0, 100 - sand - silt)
    silt = 100 - sand - clay
    arrays = {
        "weather": g.lognormal(1.5, 1, shape) * (g.random(shape) > 0.1),
        "sand": sand,
        "silt": silt,
        "clay": clay,
        "organic": g.uniform(0, 8, shape),
        "relief": g.gamma(1, 60, shape) * (g.random(shape) > 0.1),
        "types": g.integers(0, 7, shape).astype(np.uint8),
        "cover": g.random(shape),
    }
    for name in ("weather", "sand", "organic", "relief", "cover"):
        arrays[name][g.random(shape) < 0.02] = np.nan
    return {k: xr.DataArray(v, dims=("y", "x")) for k, v in arrays.items()}


def fixation(inputs, distance=500.0, **more):
    soil = tuple(inputs[k] for k in ("sand", "silt", "clay", "organic"))
    rest = {k: inputs[k] for k in ("weather", "relief", "types", "cover")}
    return sand_fixation(soil=soil, **rest, method=M, relief_distance=distance, **more)


def test_fused_chain_equals_the_functions():
    inputs = maps(1, (90, 71))
    plain = FixationChain(M, 500).plain(*(inputs[k].to_numpy() for k in NAMES))
    fused = fixation(inputs).to_numpy()
    assert np.array_equal(np.isnan(plain), np.isnan(fused))
    assert np.isfinite(fused).sum() > 3000 and np.nanmax(fused) > 100 and (fused == 0).any()
    np.testing.assert_allclose(fused, plain, rtol=1e-10, atol=1e-9)


def test_half_the_memory_is_the_same_rounded():
    inputs = maps(2, (40, 31))
    half = fixation(inputs, dtype=np.float32)
    assert half.dtype == np.float32
    assert np.array_equal(half, fixation(inputs).astype(np.float32), equal_nan=True)
    with pytest.raises(UsageError, match="float32"):
        fixation(inputs, dtype=np.int16)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(1, 25), st.integers(1, 25), st.integers(1, 9))
def test_the_same_bits_for_any_chunking(seed, height, width, side):
    inputs = maps(seed, (height, width))
    whole = fixation(inputs)
    lazy = {k: v.copy(data=da.from_array(v.to_numpy(), side)) for k, v in inputs.items()}
    result = fixation(lazy)
    assert result.chunks is not None
    assert np.array_equal(result.compute(scheduler="sync"), whole, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("weather", -1.0, "WF"),
        ("sand", 0.4, "add to"),
        ("organic", 2500.0, "g/m2"),
        ("relief", -5.0, "relief"),
        ("cover", 55.0, "divided by 100"),
        ("types", 99, r"99 \(1 pixels\)"),
    ],
)
def test_says_what_is_wrong(name, value, word):
    inputs = maps(5, (9, 9))
    for key in ("silt", "clay"):
        inputs[key][4, 4] = 30.0
    inputs["sand"][4, 4] = 40.0
    inputs[name][4, 4] = value
    with pytest.raises(InputError, match=word):
        fixation(inputs)


def test_refuses_other_units_and_says_what_it_is():
    inputs = maps(6, (5, 5))
    attrs = fixation(inputs).attrs
    assert attrs["method"] == "hj1173_2021@1" and attrs["provisional"] == 1
    assert attrs["long_name_zh"] and attrs["units"] == "t km-2 a-1"
    inputs["weather"].attrs["units"] = "g/m"
    with pytest.raises(InputError, match="'g/m'"):
        fixation(inputs)
    with pytest.raises(InputError, match="distance of the relief"):
        fixation(maps(6, (5, 5)), distance=0.0)
