"""Shards written here are Zarr's own, and the other way round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.storage import MemoryStore

from eco_index.cube import shards
from eco_index.grid import Tile

SHARD, CHUNK, SHAPE = 32, 8, (2, 75, 53)  # partial shards at both edges, partial chunks in them


def array_of(dtype: str, fill: int, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "shape": SHAPE,
        "shards": (1, SHARD, SHARD),
        "chunks": (1, CHUNK, CHUNK),
        "dtype": dtype,
        "fill_value": fill,
        "compressors": BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
    } | changes
    return zarr.open_group(MemoryStore(), mode="w").create_array("group/values", **options)


def tiles() -> list[Tile]:
    rows, columns = range(0, SHAPE[1], SHARD), range(0, SHAPE[2], SHARD)
    return [
        Tile(y // SHARD, x // SHARD, y, min(y + SHARD, SHAPE[1]), x, min(x + SHARD, SHAPE[2]))
        for y in rows
        for x in columns
    ]


def values_of(seed: int, shape: tuple[int, int], dtype: str, fill: int) -> np.ndarray:
    """Noise with chunks that are all fill, and one that is fill but for a pixel."""
    random = np.random.default_rng(seed)
    limits = np.iinfo(dtype)
    out = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    out[:CHUNK, :CHUNK] = fill
    out[CHUNK : 2 * CHUNK] = fill
    out[CHUNK, CHUNK] = 7
    return out


@pytest.mark.parametrize(
    ("dtype", "fill"), [("int16", -32768), ("uint16", 0), ("uint8", 255), ("int64", 3)]
)
def test_zarr_reads_what_is_written_here_and_the_other_way_round(dtype: str, fill: int) -> None:
    mine, theirs = array_of(dtype, fill), array_of(dtype, fill)
    layout = shards.layout_of(mine.metadata)
    assert layout is not None
    whole = np.full(SHAPE[1:], fill, dtype)
    for k, tile in enumerate(tiles()):
        values = values_of(k, tile.shape, dtype, fill)
        assert layout.holds(tile)
        data = shards.encode(values, layout)
        assert data is not None
        shards.write(mine.store, {f"{mine.path}/{layout.key(1, tile)}": data})
        theirs[1, tile.slices[0], tile.slices[1]] = values
        whole[tile.slices] = values
        (stored,) = shards.read(theirs.store, [f"{theirs.path}/{layout.key(1, tile)}"])
        assert stored is not None
        decoded = shards.decode(stored, tile.shape, layout)
        assert decoded is not None
        np.testing.assert_array_equal(decoded, values)
        assert len(stored) == len(data)  # the same chunks left out, the same compression
    np.testing.assert_array_equal(mine[1], whole)
    assert (mine[0] == fill).all()


@given(st.integers(0, 2**32), st.integers(1, SHARD), st.integers(1, SHARD))
def test_what_is_encoded_is_decoded(seed: int, height: int, width: int) -> None:
    layout = shards.layout_of(array_of("int16", -32768).metadata)
    assert layout is not None
    random = np.random.default_rng(seed)
    values = random.integers(-3, 3, (height, width)).astype("int16")
    values[random.random((height, width)) < 0.5] = -32768
    values[0, 0] = 1
    data = shards.encode(values, layout)
    assert data is not None
    np.testing.assert_array_equal(shards.decode(data, (height, width), layout), values)


def test_a_tile_of_fill_stores_nothing() -> None:
    layout = shards.layout_of(array_of("uint16", 9).metadata)
    assert layout is not None
    assert shards.encode(np.full((SHARD, 3), 9, "uint16"), layout) is None


def test_other_layouts_are_left_to_zarr() -> None:
    for changes in (
        {"shards": None},
        {"compressors": ZstdCodec(level=1)},
        {"compressors": None},
        {"shards": (2, SHARD, SHARD)},
        {"dtype": "float32"},
        {"dtype": ">i2"},
    ):
        other = array_of(str(changes.pop("dtype", "int16")), 0, **changes)
        assert shards.layout_of(other.metadata) is None


def test_tiles_that_are_not_whole_shards_are_left_to_zarr() -> None:
    layout = shards.layout_of(array_of("int16", 0).metadata)
    assert layout is not None
    assert not layout.holds(Tile(0, 0, 0, SHARD - 1, 0, SHARD))
    assert not layout.holds(Tile(0, 0, 8, SHARD, 0, SHARD))


def test_a_broken_index_is_left_to_zarr_to_report() -> None:
    layout = shards.layout_of(array_of("int16", 0).metadata)
    assert layout is not None
    data = shards.encode(np.arange(SHARD * SHARD, dtype="int16").reshape(SHARD, SHARD), layout)
    assert data is not None
    for broken in (data[:10], data[:-1] + bytes([data[-1] ^ 1]), data[:-30] + b"\1" + data[-29:]):
        assert shards.decode(broken, (SHARD, SHARD), layout) is None
