"""Headers of local GeoTIFFs in the commonest form, read without opening them in GDAL.

Imagery comes as thousands of files that differ in little but their pixels. GDAL opens the first of
each kind (the same tags, the same CRS, byte by byte) and is compared with what is read here; the
others need a few numbers from their first IFD (TIFF 6.0; OGC GeoTIFF 1.1, annex B.6). Whatever is
not exactly that form has no header here and is left to GDAL.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio
from affine import Affine

MOST_KNOWN = 4096  # headers kept by a process: some kilobytes each
_INGESTED = 32768

#: Of a TIFF tag's type: bytes of a value, and its letter for `struct`.
_TYPES = {
    1: (1, "B"),
    2: (1, "s"),
    3: (2, "H"),
    4: (4, "I"),
    12: (8, "d"),
    13: (4, "I"),
    16: (8, "Q"),
}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _FILL_ORDER = 256, 257, 258, 259, 266
_SAMPLES, _PREDICTOR, _SUBFILE = 277, 317, 254
_TILE_WIDTH, _TILE_HEIGHT, _OFFSETS, _SIZES, _FORMAT = 322, 323, 324, 325, 339
_PIXEL_SCALE, _TIEPOINTS, _MATRIX = 33550, 33922, 34264
_GEO = (34735, 34736, 34737)
_NODATA = 42113
_DEFLATE = (8, 32946)
_RASTER_TYPE, _PIXEL_IS_POINT = 1025, 2

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Header:
    """What a file's first directory says.

    Attributes
    ----------
    width, height : int
        Pixels.
    block_width, block_height : int
    dtype : numpy.dtype
        Of one or two bytes, integer, little-endian.
    transform : Affine
        Of the pixels' corners.
    nodata : float or None
    crs : rasterio.crs.CRS or None
        One object for all files of the same CRS.
    offsets, sizes : ndarray of uint64, shape (rows, columns)
        Bytes of the blocks; 0 where there is none.
    """

    width: int
    height: int
    block_width: int
    block_height: int
    dtype: np.dtype[Any]
    transform: Affine
    nodata: float | None
    crs: Any
    offsets: np.ndarray
    sizes: np.ndarray

    def bottom(self, row: int) -> int:
        """Return the last + 1 pixel row of a row of blocks."""
        return min((row + 1) * self.block_height, self.height)


class _Known:
    """Headers by file, and the CRS of each kind that GDAL has confirmed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.headers: OrderedDict[str, tuple[Stamp, Header | None]] = OrderedDict()
        self.kinds: dict[tuple[Any, ...], tuple[bool, Any]] = {}


_known = _Known()


def stamp_of(name: str) -> Stamp:
    """Return what tells whether a local file has changed."""
    status = os.stat(name)
    return status.st_mtime_ns, status.st_size, status.st_ino


def header_of(name: str) -> Header | None:
    """Return the header of a local file, or None where GDAL has to read it.

    Parameters
    ----------
    name : str
        A path; addresses and GDAL's virtual files have no header here.

    Raises
    ------
    OSError
        There is no such file, or it cannot be read.
    """
    if name.startswith("/vsi") or "://" in name or not _usable_here():
        return None
    stamp = stamp_of(name)
    with _known.lock:
        found = _known.headers.get(name)
        if found is not None and found[0] == stamp:
            _known.headers.move_to_end(name)
            return found[1]
    header = _read(name)
    with _known.lock:
        _known.headers[name] = stamp, header
        while len(_known.headers) > MOST_KNOWN:
            _known.headers.popitem(last=False)
    return header


def _usable_here() -> bool:
    return sys.byteorder == "little" and hasattr(os, "pread")  # not on Windows


def _read(name: str) -> Header | None:
    with open(name, "rb") as file:
        number = file.fileno()
        try:
            tags = _tags(number, os.pread(number, _INGESTED, 0))
        except (struct.error, ValueError, UnicodeDecodeError):
            return None
    if tags is None or not _common(tags):
        return None
    try:
        header = _header(tags)
    except (KeyError, ValueError, OverflowError):
        return None
    return None if header is None else _confirmed(name, header, _kind(tags))


def _tags(file: int, start: bytes) -> dict[int, Any] | None:
    """Return the values of the first directory by tag; None where the file is no such TIFF."""
    if start[:4] == b"II*\0":
        (at,) = struct.unpack_from("<I", start, 4)
        count_letter, entry, letter = "<H", 12, "<I"
    elif start[:8] == b"II+\0\x08\0\0\0":
        (at,) = struct.unpack_from("<Q", start, 8)
        count_letter, entry, letter = "<Q", 20, "<Q"
    else:
        return None
    room = struct.calcsize(letter)

    def part(offset: int, size: int) -> bytes:
        if offset + size <= len(start):
            return start[offset : offset + size]
        found = os.pread(file, size, offset)
        if len(found) < size:
            raise ValueError("the directory ends beyond the file")
        return found

    head = struct.calcsize(count_letter)
    (entries,) = struct.unpack(count_letter, part(at, head))
    if entries > 4096:
        return None
    directory = part(at + head, entries * entry)
    tags: dict[int, Any] = {}
    for k in range(entries):
        tag, kind = struct.unpack_from("<HH", directory, k * entry)
        (count,) = struct.unpack_from(letter, directory, k * entry + 4)
        if kind not in _TYPES:
            tags[tag] = None
            continue
        size, code = _TYPES[kind]
        place = k * entry + 4 + room
        if size * count <= room:
            raw = directory[place : place + size * count]
        else:
            raw = part(struct.unpack_from(letter, directory, place)[0], size * count)
        tags[tag] = raw if code == "s" else np.frombuffer(raw, f"<{np.dtype(code).str[1:]}")
    return tags


def _one(tags: dict[int, Any], tag: int, default: int | None = None) -> int:
    values = tags.get(tag)
    if values is None:
        if default is None:
            raise KeyError(tag)
        return default
    if len(values) != 1:
        raise ValueError(f"tag {tag} has {len(values)} values")
    return int(values[0])


def _common(tags: dict[int, Any]) -> bool:
    """Whether the blocks are of the one form that is decoded here, and the place is simple."""
    try:
        return (
            _one(tags, _SAMPLES, 1) == 1
            and _one(tags, _BITS) in (8, 16)
            and _one(tags, _COMPRESSION) in _DEFLATE
            and _one(tags, _PREDICTOR, 1) == 2
            and _one(tags, _FORMAT, 1) in (1, 2)
            and _one(tags, _FILL_ORDER, 1) == 1
            and _one(tags, _SUBFILE, 0) == 0
            and _MATRIX not in tags
            and len(tags[_PIXEL_SCALE]) == 3
            and len(tags[_TIEPOINTS]) == 6
            and _TILE_WIDTH in tags
            and _raster_type(tags[_GEO[0]]) != _PIXEL_IS_POINT
        )
    except (KeyError, TypeError, ValueError):
        return False


def _raster_type(keys: np.ndarray) -> int:
    entries = keys[4:].reshape(-1, 4)
    found = entries[entries[:, 0] == _RASTER_TYPE]
    return int(found[0, 3]) if len(found) else 0


def _header(tags: dict[int, Any]) -> Header | None:
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    block_width, block_height = _one(tags, _TILE_WIDTH), _one(tags, _TILE_HEIGHT)
    if min(width, height, block_width, block_height) < 1:
        return None
    letter = "u" if _one(tags, _FORMAT, 1) == 1 else "i"
    dtype = np.dtype(f"{letter}{_one(tags, _BITS) // 8}")
    shape = -(-height // block_height), -(-width // block_width)
    offsets, sizes = (np.asarray(tags[tag], np.uint64).reshape(shape) for tag in (_OFFSETS, _SIZES))
    step_x, step_y, _ = (float(s) for s in tags[_PIXEL_SCALE])
    column, row, _, x, y, _ = (float(t) for t in tags[_TIEPOINTS])
    if not (step_x > 0 and step_y > 0):
        return None
    transform = Affine(step_x, 0.0, x - column * step_x, 0.0, -step_y, y + row * step_y)
    nodata = None
    if _NODATA in tags:
        nodata = float(tags[_NODATA].split(b"\0")[0].decode("ascii"))
        limits = np.iinfo(dtype)
        if not limits.min <= nodata <= limits.max or nodata != int(nodata):
            return None
    return Header(
        width,
        height,
        block_width,
        block_height,
        dtype,
        transform,
        nodata,
        None,
        offsets,
        sizes,
    )


def _kind(tags: dict[int, Any]) -> tuple[Any, ...]:
    """Return what files must share to be read without asking GDAL again."""
    geo = tuple(None if (t := tags.get(tag)) is None else bytes(t) for tag in _GEO)
    return (*geo, tuple(sorted(tags)), _one(tags, _FORMAT, 1), _one(tags, _BITS))


def _confirmed(name: str, header: Header, kind: tuple[Any, ...]) -> Header | None:
    """Return the header with its CRS, if GDAL reads files of this kind in the same way."""
    known = _known.kinds.get(kind)
    if known is None:
        with rasterio.open(name, sharing=False) as source:
            # Corners come from the same additions; GDAL's may round differently in the last bit.
            apart = max(
                abs(a - b) / scale
                for a, b, scale in zip(
                    source.transform[:6],
                    header.transform[:6],
                    (*[header.transform.a] * 3, *[-header.transform.e] * 3),
                    strict=True,
                )
            )
            same = (
                source.driver == "GTiff"
                and source.count == 1
                and (source.width, source.height) == (header.width, header.height)
                and source.dtypes[0] == header.dtype.name
                and source.block_shapes[0] == (header.block_height, header.block_width)
                and source.nodatavals[0] == header.nodata
                and "NBITS" not in source.tags(1, ns="IMAGE_STRUCTURE")
                and apart <= 1e-9
            )
            known = _known.kinds[kind] = same, source.crs
    same, crs = known
    if not same:
        return None
    return replace(header, crs=crs)
