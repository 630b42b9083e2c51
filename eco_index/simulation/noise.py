"""Smooth random fields: small random lattices, upsampled by cubic B-splines."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def _spline_axis(lattice: np.ndarray, n: int, out: np.ndarray) -> None:
    """Upsample the first axis of `lattice` [k, m] to `n` samples (uniform cubic B-spline)."""
    k, m = lattice.shape
    step = (k - 3) / n
    for i in range(n):
        position = (i + 0.5) * step
        base = int(position)
        if base > k - 4:
            base = k - 4
        t = np.float32(position - base)
        w0 = (1 - t) * (1 - t) * (1 - t) / np.float32(6)
        w1 = (3 * t * t * t - 6 * t * t + 4) / np.float32(6)
        w2 = (-3 * t * t * t + 3 * t * t + 3 * t + 1) / np.float32(6)
        w3 = t * t * t / np.float32(6)
        for j in range(m):
            out[i, j] = (
                w0 * lattice[base, j]
                + w1 * lattice[base + 1, j]
                + w2 * lattice[base + 2, j]
                + w3 * lattice[base + 3, j]
            )


def smooth_noise(shape: tuple[int, int], cells: float, rng: np.random.Generator) -> np.ndarray:
    """Return a smooth field with zero mean and unit variance.

    Parameters
    ----------
    shape : tuple of int
        Rows, columns.
    cells : float
        Number of random lattice cells along the longer side.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        float32 [rows, columns].
    """
    longest = max(shape)
    rows, cols = (max(2, round(cells * s / longest)) + 3 for s in shape)
    lattice = rng.standard_normal((rows, cols)).astype(np.float32)
    half = np.empty((shape[0], cols), np.float32)
    _spline_axis(lattice, shape[0], half)
    field = np.empty((shape[1], shape[0]), np.float32)
    _spline_axis(np.ascontiguousarray(half.T), shape[1], field)
    field -= field.mean(dtype=np.float64)
    field /= max(float(field.std(dtype=np.float64)), 1e-6)
    return np.ascontiguousarray(field.T)


def fractal_noise(
    shape: tuple[int, int],
    cells: float,
    rng: np.random.Generator,
    octaves: int = 3,
    gain: float = 0.5,
) -> np.ndarray:
    """Return a sum of smooth fields, each with twice the cells and `gain` times the weight."""
    total = np.zeros(shape, np.float32)
    power = 0.0
    for octave in range(octaves):
        weight = gain**octave
        total += np.float32(weight) * smooth_noise(shape, cells * 2**octave, rng)
        power += weight * weight
    total /= np.float32(np.sqrt(power))
    return total


@numba.njit(nogil=True, cache=True)
def line_distance(points: np.ndarray, reach: float, out: np.ndarray) -> None:
    """Lower `out` to the distance (pixels) to a polyline where it is nearer than `reach`.

    Parameters
    ----------
    points : numpy.ndarray
        Vertices [n, 2] as column, row (pixel centres are whole numbers).
    reach : float
        Distances beyond are left alone.
    out : numpy.ndarray
        float32 [rows, columns], changed in place.
    """
    height, width = out.shape
    for k in range(points.shape[0] - 1):
        ax, ay = points[k, 0], points[k, 1]
        bx, by = points[k + 1, 0], points[k + 1, 1]
        dx, dy = bx - ax, by - ay
        length2 = max(dx * dx + dy * dy, 1e-12)
        row0 = max(0, int(np.floor(min(ay, by) - reach)))
        row1 = min(height, int(np.ceil(max(ay, by) + reach)) + 1)
        col0 = max(0, int(np.floor(min(ax, bx) - reach)))
        col1 = min(width, int(np.ceil(max(ax, bx) + reach)) + 1)
        for i in range(row0, row1):
            for j in range(col0, col1):
                t = ((j - ax) * dx + (i - ay) * dy) / length2
                t = min(1.0, max(0.0, t))
                ex, ey = j - ax - t * dx, i - ay - t * dy
                distance = np.sqrt(ex * ex + ey * ey)
                if distance < out[i, j]:
                    out[i, j] = distance
