"""Numba kernels on a scene's own mask: exact distances to clouds, their rims, counts of a code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from eco_index.kernels import _nearest_row, _positions
from eco_index.sensors import CLEAR, FILL

_jit = njit(nogil=True, cache=True, error_model="numpy")


@_jit
def squared_distance(codes: np.ndarray, first: int, second: int, cap: int) -> np.ndarray:
    """Return squared distances (pixels) to the nearest pixel of either of two codes.

    Parameters
    ----------
    codes : uint8[h, w]
        Codes of `eco_index.sensors`.
    first, second : int
        Codes looked for.
    cap : int
        Pixels further than that in x or y are not looked at: with `cap` pixels more on every side
        a part of a mask gives the same numbers as the whole.

    Returns
    -------
    int32[h, w]
        Exact Euclidean distances squared up to cap squared; at most (cap + 1) squared.

    Notes
    -----
    Two passes after Meijster et al. 2000: along columns by counting, along rows by the smallest
    dx squared + dy squared.
    """
    height, width = codes.shape
    far = np.int32((cap + 1) * (cap + 1))
    up = np.empty((height, width), np.int32)
    for y in range(height):
        for x in range(width):
            hit = (codes[y, x] == first) | (codes[y, x] == second)
            above = min(up[y - 1, x], cap) + 1 if y > 0 else cap + 1
            up[y, x] = 0 if hit else above
    for y in range(height - 2, -1, -1):
        for x in range(width):
            up[y, x] = min(up[y, x], up[y + 1, x] + 1)
    out = np.empty((height, width), np.int32)
    for y in range(height):
        row, found = up[y], out[y]
        nearest = cap + 1
        for x in range(width):
            nearest = min(nearest, row[x])
        if nearest > cap:  # nothing near this row
            found[:] = far
            continue
        for x in range(width):
            best = min(far, row[x] * row[x])
            for dx in range(1, cap + 1):
                if dx * dx >= best:
                    break
                if x >= dx:
                    best = min(best, dx * dx + row[x - dx] * row[x - dx])
                if x + dx < width:
                    best = min(best, dx * dx + row[x + dx] * row[x + dx])
            found[x] = best
    return out


@_jit
def mark_near(codes: np.ndarray, distance: np.ndarray, limit: float, code: int) -> None:
    """Turn clear pixels whose squared distance is at most `limit` into `code`, in place."""
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            near = (codes[y, x] == CLEAR) & (distance[y, x] <= limit)
            codes[y, x] = code if near else codes[y, x]


@_jit
def _codes_of_row(
    row: int,
    col0: int,
    lut: np.ndarray,
    qa: np.ndarray,
    qa_geometry: Any,
    pos: np.ndarray,
    index: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Fill `codes` with what a scene shows along a grid row (nearest pixel; FILL outside)."""
    _positions(qa_geometry, row, col0, codes.shape[0], pos)
    _nearest_row(qa_geometry, pos, codes.shape[0], index)
    for k in range(codes.shape[0]):
        codes[k] = lut[qa[np.uint64(index[k])]] if index[k] >= 0 else FILL


@_jit
def count_code(
    row0: int,
    col0: int,
    lut: np.ndarray,
    qa: np.ndarray,
    qa_geometry: Any,
    code: int,
    out: np.ndarray,
) -> None:
    """Add 1 where a scene shows `code` (nearest pixel of its quality band); see `add_red_nir`."""
    height, width = out.shape
    pos, index = np.empty((2, width)), np.empty(width, np.int64)
    codes = np.empty(width, np.uint8)
    for r in range(height):
        _codes_of_row(row0 + r, col0, lut, qa, qa_geometry, pos, index, codes)
        for k in range(width):
            out[r, k] += codes[k] == code


@_jit
def any_code(qa: np.ndarray, lut: np.ndarray, code: int) -> bool:
    """Whether any value of a flat window stands for `code`."""
    k = 0
    while k < qa.shape[0] and lut[qa[k]] != code:
        k += 1
    return k < qa.shape[0]


@_jit
def count_observed(
    row0: int, col0: int, lut: np.ndarray, qa: np.ndarray, qa_geometry: Any, out: np.ndarray
) -> None:
    """Add 1 where a scene shows anything (nearest pixel of its quality band); see `add_red_nir`."""
    height, width = out.shape
    pos, index = np.empty((2, width)), np.empty(width, np.int64)
    codes = np.empty(width, np.uint8)
    for r in range(height):
        _codes_of_row(row0 + r, col0, lut, qa, qa_geometry, pos, index, codes)
        for k in range(width):
            out[r, k] += codes[k] != FILL


@_jit
def add_once(counts: np.ndarray, today: np.ndarray) -> None:
    """Count a day once, however many of its scenes show a pixel; empties `today`."""
    for y in range(counts.shape[0]):
        for x in range(counts.shape[1]):
            counts[y, x] += today[y, x] > 0
            today[y, x] = 0
