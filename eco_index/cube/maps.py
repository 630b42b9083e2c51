"""Maps in plain Zarr stores on disk, read and written a chunk at a time in the calling thread.

The bytes are those of Zarr 3 (`bytes` little-endian, then `blosc` or nothing), so that any reader
opens them. Zarr itself takes every chunk through an event loop and copies it twice more, which
costs more than decoding it. Arrays that are stored in another way are left to xarray and Zarr.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec, BytesCodec
from zarr.storage import LocalStore

from eco_index.cube.shards import blosc_of, text_of
from eco_index.errors import InputError, UsageError

Array = np.ndarray[Any, Any]

_HEADER = 16  # bytes of a Blosc header: decoded size in bytes 4 to 8, stored size in 12 to 16

#: Keys of glibc's `mallopt`, and the largest array that it may take from memory it holds.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _LARGEST = -1, -3, 32 * 2**20

_scratch = threading.local()


@dataclass(frozen=True)
class Chunks:
    """Where the chunks of an array lie, and how they are stored.

    Attributes
    ----------
    folder : str
        Of the array.
    keys : mapping of tuple to str
        Path below the folder by place of the chunk.
    shape, chunk : tuple of int
        Of the array and of its chunks.
    dtype : numpy.dtype
        Little-endian.
    fill : scalar
        What a chunk holds that is not stored.
    compressor : numcodecs.Blosc or None
    """

    folder: str
    keys: Mapping[tuple[int, ...], str]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    compressor: Blosc | None

    def part(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return how much of a chunk lies within the array."""
        whole = zip(place, self.chunk, self.shape, strict=True)
        return tuple(min(c, n - p * c) for p, c, n in whole)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        # A store may be written anew under the same name.
        path = Path(self.folder, "zarr.json")
        return self.folder, path.stat().st_mtime_ns, self.chunk, self.shape, str(self.dtype)

    def read(self, place: tuple[int, ...]) -> Array:
        """Return a chunk, cut at the array's edge.

        Raises
        ------
        InputError
            A chunk that is not what the array says, or cannot be read.
        """
        path = os.path.join(self.folder, self.keys[place])
        part = self.part(place)
        try:
            data = _contents(path)
        except FileNotFoundError:
            return np.full(part, self.fill, self.dtype)
        except OSError as error:
            raise _unreadable(path, error) from error
        out = np.empty(self.chunk, self.dtype)
        size = len(data)
        if self.compressor is not None:
            # The decoder believes the header, and what lies behind `data` is another chunk's.
            whole = size >= _HEADER and int.from_bytes(data[12:16], "little") == size
            size = int.from_bytes(data[4:8], "little") if whole else 0
        if size != out.nbytes:
            raise _unreadable(path, f"it holds {size} bytes, not {out.nbytes}")
        if self.compressor is None:
            out[...] = np.frombuffer(data, self.dtype).reshape(self.chunk)
        else:
            try:
                self.compressor.decode(data, out)
            except (RuntimeError, ValueError) as error:
                raise _unreadable(path, error) from error
        return out if part == self.chunk else np.ascontiguousarray(out[_cut(part)])

    def write(self, place: tuple[int, ...], values: Array) -> None:
        """Store a chunk; where all is fill, nothing is stored. Whole or not at all."""
        path = os.path.join(self.folder, self.keys[place])
        if _all_fill(values, self.fill):
            Path(path).unlink(missing_ok=True)
            return
        if values.shape != self.chunk:
            whole = np.full(self.chunk, self.fill, self.dtype)
            whole[_cut(values.shape)] = values
            values = whole
        values = np.ascontiguousarray(values, self.dtype)
        data = values.data if self.compressor is None else self.compressor.encode(values)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        partial = f"{path}.{os.getpid()}.partial"
        with open(partial, "wb") as file:
            file.write(data)
        os.replace(partial, path)


def chunks_of(array: zarr.Array[Any]) -> Chunks | None:
    """Return the chunks of a Zarr array, or None where it is stored in another way."""
    metadata: Any = array.metadata
    store = array.store
    if metadata.zarr_format != 3 or not isinstance(store, LocalStore) or array.ndim == 0:
        return None
    grid = getattr(metadata.chunk_grid, "chunk_shape", None)
    dtype, codecs = metadata.dtype.to_native_dtype(), metadata.codecs
    if grid is None or dtype.kind not in "biuf" or dtype != dtype.newbyteorder("<"):
        return None
    if not codecs or not isinstance(codecs[0], BytesCodec) or len(codecs) > 2:
        return None
    if dtype.itemsize > 1 and text_of(codecs[0].endian) != "little":
        return None
    compressor = None
    if len(codecs) == 2:
        if not isinstance(codecs[1], BloscCodec):
            return None
        compressor = blosc_of(codecs[1])
    counts = tuple(-(-n // c) for n, c in zip(array.shape, grid, strict=True))
    keys = {place: metadata.encode_chunk_key(place) for place in np.ndindex(*counts)}
    folder = os.path.join(store.root, array.path)
    return Chunks(folder, keys, array.shape, grid, dtype, metadata.fill_value, compressor)


def open_maps(path: str | Path) -> xr.Dataset:
    """Open a Zarr store of maps, lazily, a block a chunk.

    Parameters
    ----------
    path : str or Path
        Folder of the store.

    Returns
    -------
    xarray.Dataset
        The same values as `xarray.open_zarr` gives; read directly where the arrays are stored as
        `save_maps` stores them and hold what they mean (no scale, no no-data code).

    Raises
    ------
    InputError
        No Zarr store there; when computed, a chunk that is damaged.
    """
    import dask.array as da

    try:
        data = xr.open_zarr(str(path), consolidated=False)
    except (FileNotFoundError, zarr.errors.BaseZarrError) as error:
        raise InputError(
            f"'{path}' cannot be opened as a Zarr store ({error})", rule="a folder with zarr.json"
        ) from error
    group = zarr.open_group(str(path), mode="r")
    direct = {}
    for name, variable in data.data_vars.items():
        stored = group[str(name)]
        found = chunks_of(stored) if isinstance(stored, zarr.Array) else None
        if found is None or found.dtype != variable.dtype or _coded(variable):
            continue
        array = da.map_blocks(
            _read,
            found,
            dtype=found.dtype,
            chunks=da.core.normalize_chunks(found.chunk, found.shape),
            meta=np.empty((0,) * len(found.shape), found.dtype),
        )
        direct[name] = variable.copy(data=array)
    return data.assign(direct)


def save_maps(
    data: xr.Dataset, path: str | Path, *, mode: Literal["w", "w-", "a"] = "w-", level: int = 1
) -> None:
    """Compute maps and write them to a Zarr store, one map after the other: the least memory.

    Meanwhile this process keeps the memory of arrays that are gone for the next ones.

    Parameters
    ----------
    data : xarray.Dataset
        Maps, chunked or not; float maps miss NaN, the others 0 where a chunk is not stored.
    path : str or Path
        Folder of the store.
    mode : str
        ``w-``: the store must not exist; ``w``: it is replaced; ``a``: maps are added to it.
    level : int
        Of the compression (Blosc, LZ4, with shuffle), 1 to 9.

    Raises
    ------
    UsageError
        The store exists, or a map is not of numbers.
    """
    import dask
    import dask.array as da

    if mode == "w-" and Path(path).exists():
        raise UsageError(f"'{path}' exists", fix='choose another name, or mode="w" to replace it')
    for name, variable in data.data_vars.items():
        if variable.dtype.kind not in "biuf" or variable.ndim == 0:
            raise UsageError(f"'{name}' is of type {variable.dtype}", rule="maps of numbers")
    for name, variable in data.data_vars.items():
        blocks = da.asarray(variable.data)
        chunk = tuple(max(c) for c in blocks.chunks)
        blocks = blocks.rechunk(chunk)
        fill = np.nan if blocks.dtype.kind == "f" else None
        codec = BloscCodec(
            cname="lz4", clevel=level, shuffle="shuffle", typesize=blocks.dtype.itemsize
        )
        encoding = {"compressors": [codec], "chunks": chunk, "_FillValue": fill}
        # Only what describes the map is written here; its own encoding is that of its source.
        bare = variable.drop_encoding().copy(data=blocks).to_dataset(name=str(name))
        bare.attrs = data.attrs
        bare.to_zarr(
            str(path),
            mode=mode,
            encoding={str(name): encoding},
            consolidated=False,
            zarr_format=3,
            compute=False,
        )
        mode = "a"
        made = zarr.open_group(str(path), mode="r")[str(name)]
        found = chunks_of(made) if isinstance(made, zarr.Array) else None
        assert found is not None  # it was made here
        written = da.map_blocks(
            _write, blocks, found, dtype=bool, chunks=tuple((1,) * n for n in blocks.numblocks)
        )
        with kept_memory():
            dask.compute(written)


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory for the next arrays instead of handing it back to the system each time.

    New memory comes page by page, cleared by the system: for arrays as short-lived as blocks of
    maps that costs as much as decoding them. Held to the C library of Linux (glibc); elsewhere this
    does nothing. At the end all that is free is handed back.
    """
    set_limit, trim = _allocator()
    if set_limit is None or trim is None:
        yield
        return
    try:
        set_limit(_MMAP_THRESHOLD, _LARGEST)
        set_limit(_TRIM_THRESHOLD, 2**30)
        yield
    finally:
        # Where the library's own adjustment leads once an array of this size was freed.
        set_limit(_TRIM_THRESHOLD, 2 * _LARGEST)
        trim(0)


@cache
def _allocator() -> tuple[Any, Any]:
    if not sys.platform.startswith("linux"):
        return None, None
    library = ctypes.CDLL(None)
    return getattr(library, "mallopt", None), getattr(library, "malloc_trim", None)


def _read(chunks: Chunks, block_id: tuple[int, ...]) -> Array:
    return chunks.read(block_id)


def _write(values: Array, chunks: Chunks, block_id: tuple[int, ...]) -> Array:
    chunks.write(block_id, values)
    return np.ones((1,) * values.ndim, bool)


def _coded(variable: xr.DataArray) -> bool:
    """Whether stored values are not what they mean."""
    marks = [variable.encoding.get(k) for k in ("_FillValue", "missing_value")]
    if any(m is not None and not np.isnan(m) for m in marks):
        return True
    return any(variable.encoding.get(k) is not None for k in ("scale_factor", "add_offset"))


def _contents(path: str) -> memoryview:
    """Return the bytes of a file, in memory that the thread's next call uses again."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        held: bytearray | None = getattr(_scratch, "held", None)
        if held is None or len(held) < size:
            held = _scratch.held = bytearray(size + size // 8)
        view = memoryview(held)[:size]
        done = 0
        while done < size:
            count = file.readinto(view[done:])
            if not count:
                break
            done += count
        return view[:done]


def _all_fill(values: Array, fill: Any) -> bool:
    first = values.flat[0]
    if values.dtype.kind == "f" and np.isnan(fill):
        return bool(np.isnan(first)) and bool(np.isnan(values).all())
    return bool(first == fill) and bool((values == fill).all())


def _cut(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(n) for n in shape)


def _unreadable(path: str, why: object) -> InputError:
    return InputError(
        f"the chunk '{path}' cannot be read: {why}",
        rule="chunks as the array's zarr.json says",
        fix="write the store again, or delete the chunk to have its place missing",
    )
