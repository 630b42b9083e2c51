"""Numba kernel that brings one band of a scene to the grid, by the rules of `kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from eco_index.kernels import NDVI_FILL, _pick, _positions, _sample_row

_jit = njit(nogil=True, cache=True, error_model="numpy")


@_jit
def sample_band(
    row0: int,
    col0: int,
    ndvi: np.ndarray,
    data: np.ndarray,
    geometry: Any,
    decode: Any,
    clamped: bool,
    out: np.ndarray,
) -> None:
    """Fill `out` with physical values where NDVI is valid.

    Parameters
    ----------
    row0, col0 : int
        First pixel of the tile on the grid.
    ndvi : int16[h, w]
        Of the same scene, as stored.
    data : 1-d array
        Window of the source as stored, flat.
    geometry : tuple
        `Placement.as_tuple`.
    decode : tuple
        `Decode.as_tuple`.
    clamped : bool
        Values below 0 become 0, as they do for NDVI.
    out : float32[h, w]
        Left alone where NDVI is not valid; NaN where the band has no value.
    """
    height, width = ndvi.shape
    columns = np.empty(width + 1, np.int32)
    cells, weights = np.empty((3, width), np.int64), np.empty((2, width))
    row_pos, pos, values = np.empty((2, width)), np.empty((2, width)), np.empty(width)
    for r in range(height):
        count = 0
        for k in range(width):
            columns[count] = k
            count += ndvi[r, k] != NDVI_FILL
        if count == 0:
            continue
        _positions(geometry, row0 + r, col0, width, row_pos)
        _pick(row_pos, columns, count, pos)
        _sample_row(
            data,
            geometry,
            decode,
            row0 + r,
            col0,
            columns,
            pos,
            count,
            cells,
            weights,
            False,
            values,
        )
        for k in range(count):
            low = clamped and values[k] < 0.0
            out[r, columns[k]] = np.float32(0.0 if low else values[k])
