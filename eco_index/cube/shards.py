"""Shards encoded and decoded in one go, in the calling thread.

The bytes are those of Zarr's `sharding_indexed` codec (Zarr 3 specification, codecs section):
inner chunks one after the other, then an index of offset and length of each (little-endian uint64,
all bits set where a chunk is missing), then the CRC-32C of the index. Zarr itself hands every
inner chunk through an event loop, which costs more than compressing it. Arrays that are laid out
in another way are left to Zarr.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import Blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.metadata import ArrayV3Metadata
from zarr.core.sync import sync

from eco_index.grid import Tile

_MISSING = np.uint64(2**64 - 1)
_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


@dataclass(frozen=True)
class Layout:
    """How the shards of an array (time, y, x; one step a shard) are laid out.

    Attributes
    ----------
    shard, chunk : int
        Pixels of a side.
    shape : tuple of int
        Of the array.
    dtype : numpy.dtype
        Little-endian.
    fill : int
    compressor : numcodecs.Blosc
    encode_key : callable
        Makes a key of a shard's place.
    """

    shard: int
    chunk: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    compressor: Blosc
    encode_key: Callable[[tuple[int, ...]], str]

    def holds(self, tile: Tile) -> bool:
        """Whether a tile is one shard whole."""
        if tile.y0 % self.shard or tile.x0 % self.shard:
            return False
        height, width = (
            min(self.shard, self.shape[1] - tile.y0),
            min(self.shard, self.shape[2] - tile.x0),
        )
        return tile.shape == (height, width)

    def key(self, step: int, tile: Tile) -> str:
        """Return the key of a tile's shard below the array's path."""
        return self.encode_key((step, tile.y0 // self.shard, tile.x0 // self.shard))

    @property
    def across(self) -> int:
        """Chunks along a side of a shard."""
        return self.shard // self.chunk


def layout_of(metadata: Any) -> Layout | None:
    """Return the layout of an array's shards, or None where it is not the one known here.

    Parameters
    ----------
    metadata : ArrayV3Metadata
        ``array.metadata`` of a Zarr array.
    """
    codecs, dtype = metadata.codecs, metadata.dtype.to_native_dtype()
    if len(codecs) != 1 or not isinstance(codecs[0], ShardingCodec):
        return None
    outer = codecs[0]
    inner, index = outer.codecs, outer.index_codecs
    shard, chunk = metadata.chunk_grid.chunk_shape, outer.chunk_shape
    if (
        metadata.ndim != 3
        or dtype.kind not in "iu"
        or dtype != dtype.newbyteorder("<")
        or shard[0] != 1
        or shard[1] != shard[2]
        or chunk[1] != chunk[2]
        or len(inner) != 2
        or not isinstance(inner[0], BytesCodec)
        or not isinstance(inner[1], BloscCodec)
        or len(index) != 2
        or not isinstance(index[0], BytesCodec)
        or not isinstance(index[1], Crc32cCodec)
        or text_of(outer.index_location) != "end"
        or any(c.endian is not None and text_of(c.endian) != "little" for c in (inner[0], index[0]))
    ):
        return None
    return Layout(
        shard[1],
        chunk[1],
        metadata.shape,
        dtype,
        metadata.fill_value,
        blosc_of(inner[1]),
        metadata.encode_chunk_key,
    )


@lru_cache(maxsize=256)
def _parsed(document: bytes) -> Layout | None:
    return layout_of(ArrayV3Metadata.from_dict(json.loads(document)))


@lru_cache(maxsize=32)
def _attributes(document: bytes) -> dict[str, Any]:
    return dict(json.loads(document)["attributes"])


def describe(store: Any, paths: list[str]) -> tuple[dict[str, Any], list[Layout]] | None:
    """Return the root's attributes and the layouts of arrays; None where one is not known here.

    What was read before is not parsed again: metadata are compared byte by byte.
    """
    documents = read(store, ["zarr.json", *(f"{path}/zarr.json" for path in paths)])
    if any(d is None for d in documents):
        return None
    root, *arrays = [d for d in documents if d is not None]
    layouts = [layout for a in arrays if (layout := _parsed(a)) is not None]
    return (_attributes(root), layouts) if len(layouts) == len(paths) else None


def text_of(value: Any) -> str:
    """Return a codec's option as text, whether Zarr keeps it as an enum or not."""
    return str(getattr(value, "value", value))


def blosc_of(codec: BloscCodec) -> Blosc:
    """Return the compressor that a codec of Zarr stands for."""
    return Blosc(
        cname=text_of(codec.cname),
        clevel=codec.clevel,
        shuffle=_SHUFFLES[text_of(codec.shuffle)],
        blocksize=codec.blocksize,
    )


def encode(values: np.ndarray, layout: Layout) -> bytes | None:
    """Return the bytes of a shard, or None where all is fill: then nothing is stored.

    Parameters
    ----------
    values : ndarray, shape (h, w)
        Of the layout's type; smaller than the shard at the lower and right edge of the array.
    layout : Layout
        Of the array, from `layout_of`.
    """
    n, c = layout.across, layout.chunk
    index = np.full((n * n, 2), _MISSING, "<u8")
    parts: list[bytes] = []
    offset = 0
    for row in range(-(-values.shape[0] // c)):
        for col in range(-(-values.shape[1] // c)):
            chunk = values[row * c : (row + 1) * c, col * c : (col + 1) * c]
            if not (chunk != layout.fill).any():
                continue
            if chunk.shape != (c, c):
                whole = np.full((c, c), layout.fill, layout.dtype)
                whole[: chunk.shape[0], : chunk.shape[1]] = chunk
                chunk = whole
            parts.append(layout.compressor.encode(np.ascontiguousarray(chunk)))
            index[row * n + col] = offset, len(parts[-1])
            offset += len(parts[-1])
    if not parts:
        return None
    tail = index.tobytes()
    parts += [tail, google_crc32c.value(tail).to_bytes(4, "little")]
    return b"".join(parts)


def decode(data: bytes | memoryview, shape: tuple[int, int], layout: Layout) -> np.ndarray | None:
    """Return the values of a shard, or None if its index is not sound (let Zarr say what is)."""
    n, c = layout.across, layout.chunk
    size = n * n * 16
    if len(data) < size + 4:
        return None
    tail = bytes(data[-size - 4 : -4])
    if google_crc32c.value(tail) != int.from_bytes(data[-4:], "little"):
        return None
    out = np.full(shape, layout.fill, layout.dtype)
    index = np.frombuffer(tail, "<u8").reshape(n, n, 2)
    for row in range(-(-shape[0] // c)):
        for col in range(-(-shape[1] // c)):
            offset, length = index[row, col]
            if offset == _MISSING and length == _MISSING:
                continue
            if int(offset) + int(length) > len(data) - size - 4:
                return None
            chunk = np.frombuffer(
                layout.compressor.decode(data[int(offset) : int(offset) + int(length)]),
                layout.dtype,
            ).reshape(c, c)
            part = out[row * c : (row + 1) * c, col * c : (col + 1) * c]
            part[...] = chunk[: part.shape[0], : part.shape[1]]
    return out


def write(store: Any, shards: Mapping[str, bytes]) -> None:
    """Store shards by key, all at once."""
    if not shards:
        return
    buffer = default_buffer_prototype().buffer

    async def put() -> None:
        await asyncio.gather(
            *(store.set(key, buffer.from_bytes(data)) for key, data in shards.items())
        )

    sync(put())


def read(store: Any, keys: list[str]) -> list[bytes | None]:
    """Return the bytes of shards, None where there is none."""
    prototype = default_buffer_prototype()

    async def get() -> list[Any]:
        return await asyncio.gather(*(store.get(key, prototype) for key in keys))

    return [None if b is None else b.to_bytes() for b in sync(get())]
