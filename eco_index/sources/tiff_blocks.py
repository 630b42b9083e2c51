"""Windows of local GeoTIFFs read block by block, where the form of the file is the common one.

GDAL finds the blocks; they are inflated with libdeflate and their horizontal differences (TIFF 6.0,
section 14, predictor 2) are added up here, in about two thirds of the time. Imagery is mostly such
files: one band, tiled, DEFLATE, predictor 2, integers of one or two bytes. Whatever is not exactly
that, or does not decode (zlib's checksum is compared), is left to GDAL, which also says what is
wrong with a file.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import deflate
import numpy as np
from numba import njit
from rasterio.io import DatasetReader
from rasterio.windows import Window

SPARE = 1.25  # pixels decoded for a pixel read: GDAL keeps blocks that others need as well

_jit = njit(nogil=True, cache=True, error_model="numpy")


@dataclass(frozen=True)
class Form:
    """How the blocks of a file are stored: height and width of a block, type of a pixel."""

    height: int
    width: int
    dtype: np.dtype[Any]


_forms: WeakKeyDictionary[DatasetReader, Form | None] = WeakKeyDictionary()


def read_window(source: Any, window: Window) -> np.ndarray | None:
    """Return a window of the first band, or None where GDAL has to read it.

    Parameters
    ----------
    source : DatasetReader
        An open raster; used by this thread alone.
    window : Window
        Within the raster, whole pixels.

    Returns
    -------
    ndarray, shape (window.height, window.width), or None
        Stored values: the same as ``source.read(1, window=window)``.
    """
    if not isinstance(source, DatasetReader):
        return None
    if source not in _forms:
        _forms[source] = _form_of(source)
    form = _forms[source]
    if form is None:
        return None
    x0, y0 = int(window.col_off), int(window.row_off)
    x1, y1 = x0 + int(window.width), y0 + int(window.height)
    columns = range(x0 // form.width, -(-x1 // form.width))
    rows = range(y0 // form.height, -(-y1 // form.height))
    touched = (min(rows.stop * form.height, source.height) - rows.start * form.height) * (
        min(columns.stop * form.width, source.width) - columns.start * form.width
    )
    if touched > SPARE * (x1 - x0) * (y1 - y0):
        return None
    unsigned = np.dtype(f"u{form.dtype.itemsize}")
    out = np.empty((y1 - y0, x1 - x0), unsigned)
    try:
        file = os.open(source.name, os.O_RDONLY)
    except OSError:
        return None
    try:
        for row in rows:
            top = row * form.height
            for column in columns:
                left = column * form.width
                block = _block(source, file, row, column, form)
                if block is None:
                    return None
                low, high = max(x0, left), min(x1, left + form.width)
                first, last = max(y0, top), min(y1, top + form.height)
                _add_up(
                    block.reshape(form.height, form.width)[first - top : last - top],
                    low - left,
                    out[first - y0 : last - y0, low - x0 : high - x0],
                )
    finally:
        os.close(file)
    return out.view(form.dtype)


def _form_of(source: DatasetReader) -> Form | None:
    name, dtype = source.name, np.dtype(source.dtypes[0])
    tags = source.tags(ns="IMAGE_STRUCTURE")
    if (
        source.driver != "GTiff"
        or source.count != 1
        or dtype.kind not in "iu"
        or dtype.itemsize > 2
        or tags.get("COMPRESSION") != "DEFLATE"
        or tags.get("PREDICTOR") != "2"
        or "NBITS" in source.tags(1, ns="IMAGE_STRUCTURE")
        or not source.profile.get("tiled")
        or name.startswith("/vsi")
        or "://" in name
        or sys.byteorder != "little"
        or not hasattr(os, "pread")  # Windows
    ):
        return None
    try:
        with open(name, "rb") as file:
            if file.read(2) != b"II":  # little-endian
                return None
    except OSError:
        return None
    height, width = source.block_shapes[0]
    return Form(height, width, dtype)


def _block(
    source: DatasetReader, file: int, row: int, column: int, form: Form
) -> np.ndarray | None:
    """Return the differences of a block, flat, or None where it is missing or broken."""
    offset, size = (
        source.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1)
        for what in ("OFFSET", "SIZE")
    )
    if offset is None or size is None:
        return None
    expected = form.height * form.width * form.dtype.itemsize
    try:
        data = deflate.zlib_decompress(os.pread(file, int(size), int(offset)), expected)
    except (deflate.DeflateError, OSError):
        return None
    if len(data) != expected:
        return None
    return np.frombuffer(data, f"u{form.dtype.itemsize}")


@_jit
def _add_up(differences: np.ndarray, skip: int, out: np.ndarray) -> None:
    """Add up the differences of each row; the sums wrap around."""
    for r in range(out.shape[0]):
        total = 0
        for c in range(skip):
            total += differences[r, c]
        for c in range(out.shape[1]):
            total += differences[r, skip + c]
            out[r, c] = total
