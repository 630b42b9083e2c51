"""Decay of threats over distance, exact for any tiling, and the pass from threats to quality.

Convolutions are sums of whole numbers: decay weights and threats are rounded to integers first, and
the result of the Fourier transform is rounded back to the integer it must be. So the sums do not
depend on how a map is cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import scipy.fft

Array = np.ndarray[Any, Any]

#: exp(-2.99) = 0.05: the exponential decay has lost 95 % at the greatest distance (InVEST).
RATE = 2.99
#: Exponent z of the half-saturation function (InVEST).
Z = 2.5
#: Steps of a threat between 0 and 1 where its map holds shares.
LEVELS = 100
#: Rows and columns that a transform takes at a time (measured).
BAND_ROWS, BAND_COLUMNS = 64, 32
#: Additions per pixel that take as long as a Fourier transform (measured).
EDGE_COST = 50


def reach_of(distance: float, pixel: tuple[float, float]) -> tuple[int, int]:
    """Return how many rows and columns a distance (m) spans; `pixel` is (width, height) in m."""
    dx, dy = pixel
    return math.floor(distance / dy + 1e-9), math.floor(distance / dx + 1e-9)


def decay_weights(distance: float, pixel: tuple[float, float], exponential: bool) -> Array:
    """Return the decay around a pixel, float64 (2 ry + 1, 2 rx + 1), 1 in the middle."""
    (dx, dy), (ry, rx) = pixel, reach_of(distance, pixel)
    y, x = np.mgrid[-ry : ry + 1, -rx : rx + 1]
    share = np.hypot(y * dy, x * dx) / distance
    decay = np.exp(-RATE * share) if exponential else np.maximum(1.0 - share, 0.0)
    return np.where(share <= 1 + 1e-9, decay, 0.0)


class Density:
    """Decay-weighted share of a threat around each pixel.

    Sums are made by a Fourier transform, or, where a threat has few edges, by adding the weights at
    its edges: both give the same whole numbers.

    Parameters
    ----------
    weights : array
        Of `decay_weights`.
    levels : int
        Whole numbers a threat of 1 is given in: 1, or `LEVELS`.
    """

    def __init__(self, weights: Array, levels: int) -> None:
        self.reach = weights.shape[0] // 2, weights.shape[1] // 2
        sides = [_side(r) for r in self.reach]
        # The transform's error is about eps * norms; weights are as fine as keeps it far below 1/2.
        norm = levels * math.sqrt(sides[0] * sides[1]) * float(np.linalg.norm(weights))
        bits = min(30, math.floor(math.log2(2.0**53 * 0.25 / (20 * norm))))
        self.weights = np.rint(weights * 2.0**bits)
        self.scale = 1.0 / (float(self.weights.sum()) * levels)
        self._half = (self.weights > 0).sum(axis=1) // 2
        self._spectrum = lru_cache(maxsize=2)(self._transformed)

    def _transformed(self, shape: tuple[int, int]) -> Array:
        around = np.zeros(shape)
        h, w = self.weights.shape
        around[:h, :w] = self.weights
        around = np.roll(around, (-self.reach[0], -self.reach[1]), (0, 1))
        return np.ascontiguousarray(scipy.fft.rfft2(around).real)  # symmetric: no imaginary part

    def add(self, padded: Array, codes: Array, table: Array, out: Array) -> None:
        """Add a threat to `out`, (h, w), from whole numbers (h + 2 ry, w + 2 rx).

        Parameters
        ----------
        padded : array
            0 … levels.
        codes : integer array
            Classes, (h, w).
        table : float64 array
            Weight times sensitivity by class code; codes beyond it have none.
        out : float64 array
            (h, w), added to.
        """
        additions = edges_of(padded) * int((2 * self._half + 1).sum())
        few = additions < EDGE_COST * padded.size
        for rows, sums in (self.by_edges if few else self.by_fft)(padded):
            add_sums(sums, self.scale, codes[rows], table, out[rows])

    def by_edges(self, padded: Array) -> Iterator[tuple[slice, Array]]:
        """Yield rows and their sums, by additions at the edges."""
        yield slice(None), edge_sums(padded, self.weights, self._half)

    def by_fft(self, padded: Array) -> Iterator[tuple[slice, Array]]:
        """Yield rows and their sums, not rounded yet, by a Fourier transform.

        The transform goes along rows, then along columns and back, then back along rows, each in
        bands that stay in the cache: one array of the transform's size is held, no more.
        """
        (ry, rx), (height, width) = self.reach, padded.shape
        inner = height - 2 * ry
        shape = tuple(scipy.fft.next_fast_len(n, real=True) for n in (height, width))
        kernel = self._spectrum(shape)
        spectrum = np.zeros(kernel.shape, np.complex128)
        for band in _bands(height, BAND_ROWS):
            if padded[band].any():
                spectrum[band] = scipy.fft.rfft(padded[band], shape[1], axis=1)
        for band in _bands(kernel.shape[1], BAND_COLUMNS):
            columns = scipy.fft.fft(spectrum[:, band], axis=0)
            columns *= kernel[:, band]
            columns = scipy.fft.ifft(columns, axis=0, overwrite_x=True)
            spectrum[:inner, band] = columns[ry : ry + inner]
        for band in _bands(inner, BAND_ROWS):
            sums = scipy.fft.irfft(spectrum[band], shape[1], axis=1)
            yield band, sums[:, rx : width - rx]


def _bands(length: int, most: int) -> Iterator[slice]:
    for start in range(0, length, most):
        yield slice(start, min(start + most, length))


def _side(reach: int) -> int:
    """Return the greatest side of a transform for a reach, in pixels."""
    return int(scipy.fft.next_fast_len(max(1200, min(6 * reach, 4096), 3 * reach + 8), real=True))


def tiles_of(length: int, reach: int) -> list[tuple[int, int]]:
    """Cut a length into near-equal parts that fit a transform with their surroundings."""
    room = _side(reach) - 2 * reach
    count = -(-length // room)
    edges = [length * k // count for k in range(count + 1)]
    return list(pairwise(edges))


@numba.njit(nogil=True, cache=True)
def marks(codes: Array, table: Array) -> Array:
    """Return 1 where `table` has the class, uint8; codes beyond the table have none."""
    out = np.zeros(codes.shape, np.uint8)
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            code = codes[i, j]
            out[i, j] = table[code] if 0 <= code < table.size else np.uint8(0)
    return out


@numba.njit(nogil=True, cache=True)
def whole_levels(values: Array, levels: int, out: Array) -> int:
    """Fill `out` (uint8) with 0 … levels; return how many values are not from 0 to 1."""
    bad = 0
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            value = values[i, j]
            wrong = not (value >= 0 and value <= 1)
            bad += wrong
            out[i, j] = np.uint8(0) if wrong else np.uint8(np.rint(value * levels))
    return bad


@numba.njit(nogil=True, cache=True)
def edges_of(values: Array) -> int:
    """Count the pixels that differ from their left neighbour; 0 is left of the first."""
    count = 0
    for i in range(values.shape[0]):
        before = values[i, 0]
        count += before != 0
        for j in range(1, values.shape[1]):
            count += values[i, j] != values[i, j - 1]
    return count


@numba.njit(nogil=True, cache=True)
def _add_scaled(weights, factor, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] += factor * weights[i]


@numba.njit(nogil=True, cache=True)
def edge_sums(values: Array, weights: Array, half: Array) -> Array:
    """Weighted sums around pixels, (h, w), of (h + 2 ry, w + 2 rx), from changes along rows.

    A row's sums are the running sum of their changes, and those are the weights at each change of
    the threat. `half` is half the width of each row of weights.
    """
    rows, columns = values.shape
    ry, rx = weights.shape[0] // 2, weights.shape[1] // 2
    out = np.empty((rows - 2 * ry, columns - 2 * rx))
    starts = np.zeros(rows + 1, np.int64)
    at = np.empty(edges_of(values), np.int64)
    step = np.empty(at.size)
    count = 0
    for i in range(rows):
        before = 0.0
        for j in range(columns):
            here = np.float64(values[i, j])
            if here != before:
                at[count], step[count] = j, here - before
                count += 1
                before = here
        starts[i + 1] = count
    change = np.empty(columns + 2 * rx)  # begins rx columns before the first
    for i in range(out.shape[0]):
        change[:] = 0.0
        for k in range(half.size):
            w = half[k]
            line = weights[k, rx - w : rx + w + 1]
            for e in range(starts[i + k], starts[i + k + 1]):
                first = at[e] + rx - w
                _add_scaled(line, step[e], change[first : first + 2 * w + 1])
        total = 0.0
        for j in range(2 * rx):
            total += change[j]
        for j in range(out.shape[1]):
            total += change[j + 2 * rx]
            out[i, j] = total
    return out


def decay_by_square(distance: float, pixel: float, exponential: bool) -> Array:
    """Return the decay by squared distance in pixels, from 0 to the greatest distance."""
    squares = np.arange(math.floor((distance / pixel) ** 2 * (1 + 1e-9)) + 1)
    share = np.minimum(np.sqrt(squares) * (pixel / distance), 1.0)
    return np.exp(-RATE * share) if exponential else 1.0 - share


@numba.njit(nogil=True, cache=True)
def _column_gaps(padded: Array, reach: int) -> Array:
    """Return the rows to the nearest threat of the same column; reach + 1 where beyond it."""
    height, width = padded.shape
    far = np.int32(reach + 1)
    gap = np.empty((height, width), np.int32)
    for x in range(width):
        gap[0, x] = 0 if padded[0, x] else far
    for y in range(1, height):
        for x in range(width):
            gap[y, x] = 0 if padded[y, x] else min(gap[y - 1, x] + 1, far)
    for y in range(height - 2, -1, -1):
        for x in range(width):
            gap[y, x] = min(gap[y, x], gap[y + 1, x] + 1)
    return gap


@numba.njit(nogil=True, cache=True)
def add_nearest(
    padded: Array, reach: int, decay: Array, codes: Array, table: Array, out: Array
) -> None:
    """Add a threat by the distance to the nearest of its pixels; square pixels.

    Parameters
    ----------
    padded : array
        Marks of the threat, (h + 2 reach, w + 2 reach).
    reach : int
        Greatest distance, pixels.
    decay : float64 array
        Of `decay_by_square`.
    codes : integer array
        Classes, (h, w).
    table : float64 array
        Weight times sensitivity by class code; codes beyond it have none.
    out : float64 array
        (h, w), added to.

    Notes
    -----
    The lower envelope of parabolas along rows, in whole numbers (Meijster et al. 2000).
    """
    gap = _column_gaps(padded, reach)
    height, width = out.shape
    centre, begin = np.empty(padded.shape[1] + 1, np.int64), np.empty(padded.shape[1] + 1, np.int64)
    square = np.empty(padded.shape[1] + 1, np.int64)
    limit = decay.size - 1
    for y in range(height):
        row = gap[y + reach]
        top = -1  # last parabola of the envelope: its centre, its height, and where it begins
        for u in range(row.size):
            g = np.int64(row[u])
            if g > reach:
                continue
            g *= g
            while top >= 0:
                x = begin[top] - centre[top]
                z = begin[top] - u
                if x * x + square[top] <= z * z + g:
                    break
                top -= 1
            start = np.int64(0)
            if top >= 0:
                i = centre[top]
                rise = u * u - i * i + g - square[top]
                if u - i == 1:
                    start = 1 + (rise >> 1)
                else:  # whole numbers far below 2**31: the floor of the quotient is exact
                    start = 1 + np.int64(np.floor(rise / (2.0 * (u - i))))
            if start < row.size:
                top += 1
                centre[top], square[top], begin[top] = u, g, start
        if top < 0:
            continue
        begin[top + 1] = row.size
        for k in range(top + 1):
            for x in range(max(begin[k], reach), min(begin[k + 1], reach + width)):
                z = x - centre[k]
                z = z * z + square[k]
                code = codes[y, x - reach]
                if z <= limit and 0 <= code < table.size:
                    out[y, x - reach] += table[code] * decay[z]


@numba.njit(nogil=True, cache=True)
def add_nearest_aside(
    padded: Array,
    reach: tuple[int, int],
    size: tuple[float, float, float],
    exponential: bool,
    codes: Array,
    table: Array,
    out: Array,
) -> None:
    """Add a threat as `add_nearest` does, on pixels of any shape.

    `size` is width and height of a pixel and the greatest distance, m. Looks sideways from every
    pixel for as long as something nearer can come.
    """
    ry, rx = reach
    dx, dy, distance = size
    width = padded.shape[1]
    gap = _column_gaps(padded, ry)
    limit = distance * distance * (1 + 2e-9)
    squares = np.empty(width)
    for y in range(out.shape[0]):
        some = False
        for x in range(width):
            g = gap[y + ry, x]
            squares[x] = (dy * g) * (dy * g) if g <= ry else np.inf
            some |= g <= ry
        if not some:
            continue
        for x in range(out.shape[1]):
            best = squares[x + rx]
            for i in range(1, rx + 1):
                aside = (dx * i) * (dx * i)
                if aside >= best or aside > limit:
                    break
                best = min(best, aside + min(squares[x + rx - i], squares[x + rx + i]))
            code = codes[y, x]
            if best <= limit and 0 <= code < table.size:
                share = min(np.sqrt(best) / distance, 1.0)
                near = np.exp(-RATE * share) if exponential else 1.0 - share
                out[y, x] += table[code] * near


@numba.njit(nogil=True, cache=True)
def add_sums(sums: Array, scale: float, codes: Array, table: Array, out: Array) -> None:
    """Add a threat by its share around pixels: sums of `Density`, (h, w), not rounded yet."""
    height, width = out.shape
    for i in range(height):
        for j in range(width):
            code = codes[i, j]
            share = table[code] if 0 <= code < table.size else 0.0
            out[i, j] += share * (np.rint(sums[i, j]) * scale)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def finish(
    codes: Array,
    habitat: Array,
    access: Array,
    half: float,
    total: Array,
    degradation: Array,
    quality: Array,
) -> int:
    """Fill `degradation` and `quality` from the sum of threats; return how many inputs are wrong.

    `habitat` holds H by class code: NaN for 0 (missing), -1 for a code that is not known. `access`
    is (h, w), or (1, 1) where everything is open. `total` (float64) may be `degradation`.
    """
    bad = 0
    power = half * half * np.sqrt(half)
    height, width = total.shape
    everywhere = access.size == 1 and total.size != 1
    suitable, open_to = np.empty(width), np.full(width, access[0, 0])
    for i in range(height):
        for j in range(width):
            code = codes[i, j]
            suitable[j] = habitat[code] if 0 <= code < habitat.size else -1.0
        if not everywhere:
            for j in range(width):
                open_to[j] = access[i, j]
        for j in range(width):  # short and without branches: vector code
            h, a = suitable[j], open_to[j]
            bad += (h < 0.0) | (a < 0.0) | (a > 1.0)
            d = total[i, j] * a + 0.0 * h  # missing where the class is
            raised = d * d * np.sqrt(d)
            degradation[i, j] = d
            quality[i, j] = h * (1.0 - raised / (raised + power))
    return bad
