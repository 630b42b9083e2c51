"""Fused Numba kernels: position, mask, decode, index, maximum and counts in one pass over a tile.

A tile is worked row by row; the only scratch is a handful of row buffers, in which the clear
pixels of the row lie side by side (so the loops hold no branches and vectorise). No fastmath: the
arithmetic is that of the plain formulas in float64, so a NumPy reference agrees bit for bit.

Rules
-----
* position: linear between lattice nodes (`eco_index.warp`), from absolute pixel indices only;
* quality bands and classes: the nearest source pixel;
* reflectance and indices: bilinear between source pixel centres; a neighbour with weight that is
  missing makes the result missing. Positions closer than SNAP to a centre count as on it;
* sources at least twice as fine: mean of n x n samples spread evenly over the output pixel, two
  for each source pixel and axis (each the nearest source pixel), missing if one of them is;
* NDVI from reflectances clamped at >= 0, missing where their sum is 0;
* stored as int16 x 1e-4, rounded half away from zero.

A geometry is the tuple of `Placement.as_tuple`: lattice u, lattice v, first node's row and
column, the window's first column, row and width, the source's width and height, sub-samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from eco_index.sensors import CLEAR, FILL
from eco_index.warp import SNAP, SPACING

NDVI_FILL = -32768
NDVI_SCALE = 10000.0
NO_WINNER = np.empty((0, 0), np.uint16)  # in place of the index layer where none is wanted

_jit = njit(nogil=True, cache=True, error_model="numpy")


@_jit
def _positions(geometry: Any, row: int, col0: int, width: int, pos: np.ndarray) -> None:
    """Fill ``pos[0], pos[1]`` with the source column and row of each pixel of a grid row."""
    u, v, node_row, node_col = geometry[0], geometry[1], geometry[2], geometry[3]
    i = row // SPACING - node_row
    fy = (row % SPACING) / SPACING
    stop = col0 + width
    col = col0
    while col < stop:
        j = col // SPACING - node_col
        ul = u[i, j] + (u[i + 1, j] - u[i, j]) * fy
        ur = u[i, j + 1] + (u[i + 1, j + 1] - u[i, j + 1]) * fy
        vl = v[i, j] + (v[i + 1, j] - v[i, j]) * fy
        vr = v[i, j + 1] + (v[i + 1, j + 1] - v[i, j + 1]) * fy
        du, dv = ur - ul, vr - vl
        start = col % SPACING
        end = min(SPACING, start + stop - col)
        for k in range(start, end):
            fx = k / SPACING
            pos[0, col - col0 + k - start] = ul + du * fx
            pos[1, col - col0 + k - start] = vl + dv * fx
        col += end - start


@_jit
def _nearest_row(geometry: Any, pos: np.ndarray, count: int, index: np.ndarray) -> None:
    """Fill `index` with places in the flat window of the nearest source pixels (-1: outside)."""
    x0, y0, stride = geometry[4], geometry[5], geometry[6]
    width, height = geometry[7], geometry[8]
    for k in range(count):
        u, v = pos[0, k], pos[1, k]
        inside = (u >= -SNAP) & (v >= -SNAP) & (u + SNAP < width) & (v + SNAP < height)
        # Positions outside (or NaN) are set to the window's first pixel before the conversion.
        x = np.int32((u if inside else x0) + SNAP)
        y = np.int32((v if inside else y0) + SNAP)
        index[k] = (y - y0) * stride + (x - x0) if inside else -1


@_jit
def _codes_row(
    qa: np.ndarray, index: np.ndarray, lut: np.ndarray, columns: np.ndarray, observed: np.ndarray
) -> int:
    """Put the columns of a row's clear pixels side by side; count observations."""
    found = 0
    for k in range(observed.shape[0]):
        code = lut[qa[np.uint64(index[k])]] if index[k] >= 0 else FILL
        observed[k] += code != FILL
        columns[found] = k
        found += code == CLEAR
    return found


@_jit
def _pick(pos: np.ndarray, columns: np.ndarray, count: int, out: np.ndarray) -> None:
    for k in range(count):
        out[0, k] = pos[0, columns[k]]
        out[1, k] = pos[1, columns[k]]


@_jit
def _cells_row(
    geometry: Any, pos: np.ndarray, count: int, cells: np.ndarray, weights: np.ndarray
) -> None:
    """Fill bilinear cells: place (-1: outside), step right, step down; and weights x, y."""
    x0, y0, stride = geometry[4], geometry[5], geometry[6]
    width, height = geometry[7], geometry[8]
    for k in range(count):
        p, q = pos[0, k] - 0.5, pos[1, k] - 0.5
        inside = (p >= -SNAP) & (q >= -SNAP) & (p < width) & (q < height)
        p, q = p if inside else float(x0), q if inside else float(y0)
        x, y = np.int32(p + SNAP), np.int32(q + SNAP)
        wx, wy = p - x, q - y
        right, down = np.int32(wx >= SNAP), np.int32(wy >= SNAP)
        inside = inside & (x + right < width) & (y + down < height)
        cells[0, k] = (y - y0) * stride + (x - x0) if inside else -1
        cells[1, k] = right
        cells[2, k] = down * stride
        weights[0, k] = wx if right else 0.0
        weights[1, k] = wy if down else 0.0


@_jit
def _is_value(value: float, decode: tuple[float, float, float, float, float]) -> bool:
    return (value != decode[2]) & (value >= decode[3]) & (value <= decode[4])


@_jit
def _at(data: np.ndarray, place: int) -> float:
    """Return a value as float64; an unsigned index spares the test for negative ones."""
    return float(data[np.uint64(place)])


@_jit
def _bilinear_row(
    data: np.ndarray,
    cells: np.ndarray,
    weights: np.ndarray,
    count: int,
    decode: Any,
    values: np.ndarray,
) -> None:
    """Fill `values` with physical values, NaN where missing."""
    for k in range(count):
        place = cells[0, k]
        if place < 0:
            values[k] = np.nan
            continue
        right, down = cells[1, k], cells[2, k]
        a = _at(data, place)
        good = _is_value(a, decode)
        value = a
        if right + down > 0:
            b, c, d = _at(data, place + right), _at(data, place + down), 0.0
            d = _at(data, place + down + right)
            good = good & _is_value(b, decode) & _is_value(c, decode) & _is_value(d, decode)
            top = a + (b - a) * weights[0, k]
            bottom = c + (d - c) * weights[0, k]
            value = top + (bottom - top) * weights[1, k]
        values[k] = value * decode[0] + decode[1] if good else np.nan


@_jit
def _mean_row(
    data: np.ndarray,
    geometry: Any,
    row: int,
    col0: int,
    columns: np.ndarray,
    pos: np.ndarray,
    count: int,
    decode: Any,
    values: np.ndarray,
) -> None:
    """Fill `values` with means of n x n samples, spread along the lattice cell's own axes."""
    nu, nv, n = geometry[0], geometry[1], geometry[9]
    x0, y0, stride = geometry[4], geometry[5], geometry[6]
    width, height = geometry[7], geometry[8]
    i, fy = row // SPACING - geometry[2], (row % SPACING) / SPACING
    for k in range(count):
        col = col0 + columns[k]
        j, fx = col // SPACING - geometry[3], (col % SPACING) / SPACING
        ul = nu[i, j] + (nu[i + 1, j] - nu[i, j]) * fy
        ur = nu[i, j + 1] + (nu[i + 1, j + 1] - nu[i, j + 1]) * fy
        vl = nv[i, j] + (nv[i + 1, j] - nv[i, j]) * fy
        vr = nv[i, j + 1] + (nv[i + 1, j + 1] - nv[i, j + 1]) * fy
        ux, vx = (ur - ul) / SPACING, (vr - vl) / SPACING
        down_l, down_r = nu[i + 1, j] - nu[i, j], nu[i + 1, j + 1] - nu[i, j + 1]
        uy = (down_l + (down_r - down_l) * fx) / SPACING
        down_l, down_r = nv[i + 1, j] - nv[i, j], nv[i + 1, j + 1] - nv[i, j + 1]
        vy = (down_l + (down_r - down_l) * fx) / SPACING
        total, good = 0.0, True
        for s in range(n * n):
            dy, dx = (s // n + 0.5) / n - 0.5, (s % n + 0.5) / n - 0.5
            u = pos[0, k] + ux * dx + uy * dy
            v = pos[1, k] + vx * dx + vy * dy
            if not ((u >= -SNAP) & (v >= -SNAP) & (u + SNAP < width) & (v + SNAP < height)):
                good = False
                break
            x, y = np.int64(u + SNAP), np.int64(v + SNAP)
            value = _at(data, (y - y0) * stride + (x - x0))
            good = good & _is_value(value, decode)
            total += value
        values[k] = total / (n * n) * decode[0] + decode[1] if good else np.nan


@_jit
def _keep_row(
    values: np.ndarray,
    columns: np.ndarray,
    count: int,
    rounded: np.ndarray,
    highest: np.ndarray,
    clear: np.ndarray,
) -> None:
    """Round half away from zero, keep the maximum, count; NaN and values beyond -1..1 are not."""
    for k in range(count):
        value = values[k]
        good = (value >= -1.0) & (value <= 1.0)
        scaled = value * NDVI_SCALE if good else 0.0
        size = np.int32(np.abs(scaled) + 0.5)
        rounded[k] = (size if scaled >= 0 else -size) if good else NDVI_FILL
    for k in range(count):
        column = np.uint64(columns[k])
        highest[column] = max(highest[column], np.int16(rounded[k]))
        clear[column] += rounded[k] != NDVI_FILL


@_jit
def _won(before: np.ndarray, after: np.ndarray, winner: np.ndarray, number: int) -> None:
    """Note a scene's number where it raised the maximum: of equals, the one added first."""
    for k in range(before.shape[0]):
        winner[k] = np.uint16(number) if after[k] > before[k] else winner[k]


@_jit
def _sample_row(
    data: np.ndarray,
    geometry: Any,
    decode: Any,
    row: int,
    col0: int,
    columns: np.ndarray,
    pos: np.ndarray,
    count: int,
    cells: np.ndarray,
    weights: np.ndarray,
    cells_known: bool,
    values: np.ndarray,
) -> None:
    if geometry[9] != 0:
        _mean_row(data, geometry, row, col0, columns, pos, count, decode, values)
        return
    if not cells_known:
        _cells_row(geometry, pos, count, cells, weights)
    _bilinear_row(data, cells, weights, count, decode, values)


@_jit
def add_red_nir(
    row0: int,
    col0: int,
    highest: np.ndarray,
    clear: np.ndarray,
    observed: np.ndarray,
    lut: np.ndarray,
    qa: np.ndarray,
    qa_geometry: Any,
    red: np.ndarray,
    red_geometry: Any,
    red_decode: Any,
    nir: np.ndarray,
    nir_geometry: Any,
    nir_decode: Any,
    same_qa_red: bool,
    same_red_nir: bool,
    winner: np.ndarray,
    number: int,
) -> None:
    """Add one scene with red and near-infrared reflectance to a tile's running composite.

    Parameters
    ----------
    row0, col0 : int
        First pixel of the tile on the grid.
    highest : int16[h, w]
        Running maximum of NDVI (x 1e-4), -32768 where nothing was clear yet.
    clear, observed : uint16[h, w]
        Running counts.
    lut : uint8[65536]
        Code of every value of the quality band.
    qa, red, nir : 1-d arrays
        Windows of the sources as stored, flat.
    qa_geometry, red_geometry, nir_geometry : tuple
        `Placement.as_tuple`.
    red_decode, nir_decode : tuple
        `Decode.as_tuple`.
    same_qa_red : bool
        Whether the quality band's positions hold for red.
    same_red_nir : bool
        Whether red and nir share grid and window.
    winner : uint16[h, w]
        Number of the scene that holds the maximum; `NO_WINNER` where that is not wanted.
    number : int
        Of this scene.
    """
    height, width = highest.shape
    indexed = winner.shape[0] > 0
    before = np.empty(width if indexed else 0, np.int16)
    columns, index = np.empty(width + 1, np.int32), np.empty(width, np.int64)
    cells, weights = np.empty((3, width), np.int64), np.empty((2, width))
    row_pos, pos = np.empty((2, width)), np.empty((2, width))
    low, high, rounded = np.empty(width), np.empty(width), np.empty(width, np.int32)
    for r in range(height):
        row = row0 + r
        _positions(qa_geometry, row, col0, width, row_pos)
        _nearest_row(qa_geometry, row_pos, width, index)
        count = _codes_row(qa, index, lut, columns, observed[r])
        if count == 0:
            continue
        if not same_qa_red:
            _positions(red_geometry, row, col0, width, row_pos)
        _pick(row_pos, columns, count, pos)
        _sample_row(
            red,
            red_geometry,
            red_decode,
            row,
            col0,
            columns,
            pos,
            count,
            cells,
            weights,
            False,
            low,
        )
        if not same_red_nir:
            _positions(nir_geometry, row, col0, width, row_pos)
            _pick(row_pos, columns, count, pos)
        _sample_row(
            nir,
            nir_geometry,
            nir_decode,
            row,
            col0,
            columns,
            pos,
            count,
            cells,
            weights,
            same_red_nir,
            high,
        )
        for k in range(count):
            # NaN must survive the clamp: a comparison with NaN is false.
            a = 0.0 if low[k] < 0.0 else low[k]
            b = 0.0 if high[k] < 0.0 else high[k]
            total = a + b
            low[k] = (b - a) / total if total > 0.0 else np.nan
        if indexed:
            before[:] = highest[r]
        _keep_row(low, columns, count, rounded, highest[r], clear[r])
        if indexed:
            _won(before, highest[r], winner[r], number)


@_jit
def add_index(
    row0: int,
    col0: int,
    highest: np.ndarray,
    clear: np.ndarray,
    observed: np.ndarray,
    lut: np.ndarray,
    qa: np.ndarray,
    qa_geometry: Any,
    data: np.ndarray,
    geometry: Any,
    decode: Any,
    same_positions: bool,
    winner: np.ndarray,
    number: int,
) -> None:
    """Add one scene that carries NDVI itself (MODIS VI); arguments as in `add_red_nir`."""
    height, width = highest.shape
    indexed = winner.shape[0] > 0
    before = np.empty(width if indexed else 0, np.int16)
    columns, index = np.empty(width + 1, np.int32), np.empty(width, np.int64)
    cells, weights = np.empty((3, width), np.int64), np.empty((2, width))
    row_pos, pos = np.empty((2, width)), np.empty((2, width))
    values, rounded = np.empty(width), np.empty(width, np.int32)
    for r in range(height):
        row = row0 + r
        _positions(qa_geometry, row, col0, width, row_pos)
        _nearest_row(qa_geometry, row_pos, width, index)
        count = _codes_row(qa, index, lut, columns, observed[r])
        if count == 0:
            continue
        if not same_positions:
            _positions(geometry, row, col0, width, row_pos)
        _pick(row_pos, columns, count, pos)
        _sample_row(
            data, geometry, decode, row, col0, columns, pos, count, cells, weights, False, values
        )
        if indexed:
            before[:] = highest[r]
        _keep_row(values, columns, count, rounded, highest[r], clear[r])
        if indexed:
            _won(before, highest[r], winner[r], number)


@_jit
def gather_nearest(
    row0: int, col0: int, data: np.ndarray, geometry: Any, fill: Any, out: np.ndarray
) -> None:
    """Fill `out` with the nearest source pixel of every pixel of a tile (`fill` outside)."""
    height, width = out.shape
    pos, index = np.empty((2, width)), np.empty(width, np.int64)
    for r in range(height):
        _positions(geometry, row0 + r, col0, width, pos)
        _nearest_row(geometry, pos, width, index)
        for k in range(width):
            out[r, k] = data[np.uint64(index[k])] if index[k] >= 0 else fill
