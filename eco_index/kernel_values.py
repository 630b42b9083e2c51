"""Smooth maps under the imagery: the sampling rules of `kernels`, without mask or rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from eco_index.kernels import _jit, _positions, _sample_row


@_jit
def gather_smooth(row0: int, col0: int, data: np.ndarray, geometry: Any, out: np.ndarray) -> None:
    """Fill a tile with values of a source: bilinear, or means of n x n samples of a finer one.

    Parameters
    ----------
    row0, col0 : int
        First pixel of the tile on the grid; may be negative.
    data : float64[n]
        The source's window, flat; NaN where missing.
    geometry : tuple
        Of `warp.Placement.as_tuple`.
    out : float64[h, w]
        Filled; NaN where a source pixel with weight is missing, or beyond the source.
    """
    height, width = out.shape
    pos, weights = np.empty((2, width)), np.empty((2, width))
    cells = np.empty((3, width), np.int64)
    columns = np.arange(width)
    decode = (1.0, 0.0, np.nan, -np.inf, np.inf)
    for r in range(height):
        row = row0 + r
        _positions(geometry, row, col0, width, pos)
        _sample_row(
            data, geometry, decode, row, col0, columns, pos, width, cells, weights, False, out[r]
        )
