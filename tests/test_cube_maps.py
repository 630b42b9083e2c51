"""Zarr stores of maps: the same values as Zarr and xarray read and write, and damaged chunks."""

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_index.cube import maps
from eco_index.errors import InputError, UsageError


def dataset(seed=1, shape=(23, 17), chunk=(10, 6)):
    g = np.random.default_rng(seed)
    values = g.random(shape).astype(np.float32)
    values[g.random(shape) < 0.1] = np.nan
    values[:10, :6] = np.nan
    arrays = {
        "cover": values,
        "height": g.normal(0, 1, shape),
        "codes": g.integers(0, 200, shape).astype(np.uint8),
        "deep": g.integers(-9999, 9999, shape).astype(np.int16),
    }
    coords = {"y": np.arange(shape[0]) * -30.0, "x": np.arange(shape[1]) * 30.0}
    made = {
        k: (("y", "x"), da.from_array(v, chunk), {"units": "1", "long_name": k})
        for k, v in arrays.items()
    }
    return xr.Dataset(made, coords, {"title": "maps"})


def read_directly(data):
    return {k for k, v in data.data_vars.items() if "_read" in str(v.data.dask)}


@settings(max_examples=5, deadline=None)
@given(
    st.integers(0, 99), st.tuples(*[st.integers(1, 30)] * 2), st.tuples(*[st.integers(1, 12)] * 2)
)
def test_both_ways_between_zarr_and_here(tmp_path_factory, seed, shape, chunk):
    folder = tmp_path_factory.mktemp("maps")
    data = dataset(seed, shape, chunk)
    maps.save_maps(data, folder / "ours.zarr")
    data.to_zarr(str(folder / "theirs.zarr"), consolidated=False)
    for name in ("ours", "theirs"):
        path = str(folder / f"{name}.zarr")
        here, there = maps.open_maps(path), xr.open_zarr(path, consolidated=False)
        for one in (here, there):
            xr.testing.assert_identical(one.compute(scheduler="sync"), data.compute())
        assert all(here[k].dtype == data[k].dtype for k in data)
    assert read_directly(maps.open_maps(folder / "ours.zarr")) == set(data)


def test_a_chunk_of_nothing_is_not_stored_and_reads_as_missing(tmp_path):
    data = dataset()
    maps.save_maps(data, tmp_path / "m.zarr")
    files = {f"{p.parent.name}/{p.name}" for p in (tmp_path / "m.zarr/cover/c").glob("*/*")}
    assert "0/0" not in files and len(files) == 3 * 3 - 1
    assert np.isnan(maps.open_maps(tmp_path / "m.zarr").cover[:10, :6]).all()
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("how", ["zstd", "sharded", "scaled", "marked", "big"])
def test_what_is_stored_in_another_way_is_left_to_zarr(tmp_path, how):
    path = str(tmp_path / "m.zarr")
    data = dataset()[["codes", "height"]]
    encoding = {
        "zstd": {"compressors": [zarr.codecs.ZstdCodec()]},
        "sharded": {"shards": (20, 12), "chunks": (10, 6)},
        "scaled": {"scale_factor": 0.5, "dtype": "int32", "_FillValue": -1},
        "marked": {"_FillValue": 7},
        "big": {"serializer": zarr.codecs.BytesCodec(endian="big")},
    }[how]
    name = "height" if how == "big" else "codes"
    bare = data.chunk(y=20, x=12) if how == "sharded" else data
    bare.to_zarr(path, encoding={name: encoding}, consolidated=False)
    found = maps.open_maps(path)
    assert name not in read_directly(found)
    expected = xr.open_zarr(path, consolidated=False)
    xr.testing.assert_identical(found.compute(scheduler="sync"), expected.compute())


def test_an_array_without_compression_is_read_directly(tmp_path):
    path = str(tmp_path / "m.zarr")
    data = dataset()[["height"]]
    data.to_zarr(path, encoding={"height": {"compressors": None}}, consolidated=False)
    found = maps.open_maps(path)
    assert read_directly(found) == {"height"}
    xr.testing.assert_identical(found.compute(scheduler="sync"), data.compute())


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "other"])
def test_a_damaged_chunk_is_named(tmp_path, damage):
    ones = xr.Dataset({"a": (("y", "x"), da.ones((80, 40), chunks=(40, 40)))})
    maps.save_maps(ones.assign(b=ones.a.astype(np.float32)), tmp_path / "m.zarr")
    chunk = tmp_path / "m.zarr/a/c/1/0"
    good, other = chunk.read_bytes(), (tmp_path / "m.zarr/b/c/1/0").read_bytes()
    noise = good[:20] + b"\xff" * (len(good) - 20)
    bad = {"cut": good[:-9], "empty": b"", "noise": noise, "other": other}
    maps.open_maps(tmp_path / "m.zarr").compute(scheduler="sync")
    chunk.write_bytes(bad[damage])
    with pytest.raises(InputError, match="a/c/1/0"):
        maps.open_maps(tmp_path / "m.zarr").a.compute(scheduler="sync")


def test_a_store_written_anew_is_not_taken_for_the_old_one(tmp_path):
    first, second = dataset(1), dataset(2)
    maps.save_maps(first, tmp_path / "m.zarr")
    old = maps.open_maps(tmp_path / "m.zarr").height
    maps.save_maps(second, tmp_path / "m.zarr", mode="w")
    assert maps.open_maps(tmp_path / "m.zarr").height.data.name != old.data.name
    with pytest.raises(UsageError, match="exists"):
        maps.save_maps(second, tmp_path / "m.zarr")
    with pytest.raises(UsageError, match="numbers"):
        maps.save_maps(xr.Dataset({"a": ("x", ["one"])}), tmp_path / "n.zarr")
    with pytest.raises(InputError, match="Zarr"):
        maps.open_maps(tmp_path / "none.zarr")


def test_threads_share_nothing(tmp_path):
    data = dataset(3, (200, 180), (20, 18))
    maps.save_maps(data, tmp_path / "m.zarr")
    with dask.config.set(scheduler="threads", num_workers=4):
        xr.testing.assert_identical(maps.open_maps(tmp_path / "m.zarr").compute(), data.compute())


def test_memory_is_kept_meanwhile_and_handed_back_in_the_end(tmp_path, monkeypatch):
    said = []
    calls = (lambda *key_value: said.append(key_value), lambda pad: said.append("back"))
    monkeypatch.setattr(maps, "_allocator", lambda: calls)

    def broken(block):
        assert said[-1] == (-1, 2**30)  # freed memory stays
        raise ValueError("broken")

    data = xr.Dataset({"a": (("y", "x"), da.ones((4, 4)).map_blocks(broken, dtype=float))})
    with pytest.raises(ValueError, match="broken"):
        maps.save_maps(data, tmp_path / "m.zarr")
    assert said[-2:] == [(-1, 64 * 2**20), "back"]
    monkeypatch.setattr(maps, "_allocator", lambda: (None, None))  # another C library
    maps.save_maps(dataset(), tmp_path / "n.zarr")
    xr.testing.assert_identical(maps.open_maps(tmp_path / "n.zarr").compute(), dataset().compute())
