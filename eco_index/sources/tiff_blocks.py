"""Pixels of local GeoTIFFs read block by block, where the form of the file is the common one.

Blocks are inflated with libdeflate and their horizontal differences (TIFF 6.0, section 14,
predictor 2) are added up here, in half of GDAL's time. Imagery is mostly such files: one band,
tiled, DEFLATE, predictor 2, integers of one or two bytes. Whatever is not exactly that, or does not
decode (zlib's checksum is compared), is left to GDAL, which also says what is wrong with a file.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import deflate
import numpy as np
from affine import Affine
from numba import njit
from rasterio.windows import Window

from eco_index.sources.raster import open_kept
from eco_index.sources.tiff_header import Header, header_of

SPARE = 8  # pixels decoded for a pixel read: GDAL keeps blocks that are much larger than windows

_jit = njit(nogil=True, cache=True, error_model="numpy")
_Place = tuple[str, int, int]


class _Carried(threading.local):
    """Blocks that reach beyond the last window that this thread has read of a file."""

    blocks: dict[_Place, np.ndarray] | None = None


_carried = _Carried()


@contextlib.contextmanager
def carrying() -> Iterator[None]:
    """Keep blocks that the next window further down needs as well, while windows follow there.

    Strips of a tile share the blocks that lie across their borders: decoded once, not twice.
    """
    _carried.blocks = {}
    try:
        yield
    finally:
        _carried.blocks = None


class TiffFile:
    """A local GeoTIFF that holds no handle: any number may be open, in any thread.

    Attributes
    ----------
    name : str
        Its path.
    header : Header
    """

    count = 1

    def __init__(self, name: str, header: Header) -> None:
        self.name, self.header = name, header

    @property
    def crs(self) -> Any:
        return self.header.crs

    @property
    def transform(self) -> Affine:
        return self.header.transform

    @property
    def width(self) -> int:
        return self.header.width

    @property
    def height(self) -> int:
        return self.header.height

    @property
    def nodatavals(self) -> tuple[float | None, ...]:
        return (self.header.nodata,)

    def read(self, band: int, window: Window | None = None) -> np.ndarray:
        """Return stored values, by way of GDAL where they cannot be decoded here.

        Raises
        ------
        rasterio.errors.RasterioError, OSError
            GDAL cannot read them either.
        """
        window = window or Window(0, 0, self.width, self.height)
        found = read_window(self.name, self.header, window) if band == 1 else None
        if found is None:
            found = np.asarray(open_kept(self.name).read(band, window=window))
        return found

    def block_beyond(self, size: int) -> tuple[int, int, int] | None:
        """Return row, column and last byte of a block that ends beyond `size` bytes, if any."""
        ends = self.header.offsets + self.header.sizes
        late = np.argwhere(ends > np.uint64(size))
        if not len(late):
            return None
        row, column = (int(k) for k in late[0])
        return row, column, int(ends[row, column])


def open_tiff(name: str) -> TiffFile | None:
    """Open a local file of the common form; None where GDAL has to read it.

    Raises
    ------
    OSError
        There is no such file, or it cannot be read.
    """
    header = header_of(name)
    return None if header is None else TiffFile(name, header)


def read_window(name: str, form: Header, window: Window) -> np.ndarray | None:
    """Return a window of a file, or None where GDAL has to read it.

    Parameters
    ----------
    name : str
        Path of the file.
    form : Header
        Its header.
    window : Window
        Within the raster, whole pixels.

    Returns
    -------
    ndarray, shape (window.height, window.width), or None
        Stored values: the same as ``source.read(1, window=window)`` of rasterio.
    """
    x0, y0 = int(window.col_off), int(window.row_off)
    x1, y1 = x0 + int(window.width), y0 + int(window.height)
    columns = range(x0 // form.block_width, -(-x1 // form.block_width))
    rows = range(y0 // form.block_height, -(-y1 // form.block_height))
    touched = (form.bottom(rows.stop - 1) - rows.start * form.block_height) * (
        min(columns.stop * form.block_width, form.width) - columns.start * form.block_width
    )
    if touched > SPARE * (x1 - x0) * (y1 - y0):
        return None
    out = np.empty((y1 - y0, x1 - x0), f"u{form.dtype.itemsize}")
    carried = _carried.blocks
    kept = {} if carried is None else {k: v for k, v in carried.items() if k[0] == name}
    try:
        file = os.open(name, os.O_RDONLY)
    except OSError:
        return None
    try:
        for row in rows:
            top = row * form.block_height
            for column in columns:
                left = column * form.block_width
                place = name, row, column
                block = kept.get(place)
                if block is None:
                    block = _block(file, row, column, form)
                if block is None:
                    return None
                if carried is not None and form.bottom(row) > y1:
                    carried[place] = block
                low, high = max(x0, left), min(x1, left + form.block_width)
                first, last = max(y0, top), min(y1, top + form.block_height)
                _add_up(
                    block[first - top : last - top],
                    low - left,
                    out[first - y0 : last - y0, low - x0 : high - x0],
                )
    finally:
        os.close(file)
        for k in kept:
            if carried is not None and form.bottom(k[1]) <= y1:
                carried.pop(k, None)
    return out.view(form.dtype)


def _block(file: int, row: int, column: int, form: Header) -> np.ndarray | None:
    """Return the differences of a block, or None where it is missing or broken."""
    offset, size = int(form.offsets[row, column]), int(form.sizes[row, column])
    if offset == 0 or size == 0:
        return None
    expected = form.block_height * form.block_width * form.dtype.itemsize
    try:
        data = deflate.zlib_decompress(os.pread(file, size, offset), expected)
    except (deflate.DeflateError, OSError):
        return None
    if len(data) != expected:
        return None
    return np.frombuffer(data, f"u{form.dtype.itemsize}").reshape(
        form.block_height, form.block_width
    )


@_jit
def _add_up(differences: np.ndarray, skip: int, out: np.ndarray) -> None:
    """Add up the differences of each row; the sums wrap around.

    Four rows at a time: one row's sums wait for each other, those of four overlap.
    """
    height, width = out.shape
    for r in range(0, height - height % 4, 4):
        a, b, c, d = 0, 0, 0, 0
        for k in range(skip):
            a += differences[r, k]
            b += differences[r + 1, k]
            c += differences[r + 2, k]
            d += differences[r + 3, k]
        for k in range(width):
            a += differences[r, skip + k]
            b += differences[r + 1, skip + k]
            c += differences[r + 2, skip + k]
            d += differences[r + 3, skip + k]
            out[r, k], out[r + 1, k], out[r + 2, k], out[r + 3, k] = a, b, c, d
    for r in range(height - height % 4, height):
        total = 0
        for k in range(skip):
            total += differences[r, k]
        for k in range(width):
            total += differences[r, skip + k]
            out[r, k] = total
