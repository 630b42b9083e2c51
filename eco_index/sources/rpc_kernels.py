"""Numba kernels of rational polynomial coefficients: ground to image, and sampling there."""

from __future__ import annotations

import numpy as np
from numba import njit

_jit = njit(nogil=True, cache=True, error_model="numpy")


@_jit
def _cubic(c: np.ndarray, lon: float, lat: float, h: float) -> float:
    """Value of one of the four polynomials, terms in the order of RPC00B."""
    return (
        c[0]
        + c[1] * lon
        + c[2] * lat
        + c[3] * h
        + c[4] * lon * lat
        + c[5] * lon * h
        + c[6] * lat * h
        + c[7] * lon * lon
        + c[8] * lat * lat
        + c[9] * h * h
        + c[10] * lat * lon * h
        + c[11] * lon * lon * lon
        + c[12] * lon * lat * lat
        + c[13] * lon * h * h
        + c[14] * lon * lon * lat
        + c[15] * lat * lat * lat
        + c[16] * lat * h * h
        + c[17] * lon * lon * h
        + c[18] * lat * lat * h
        + c[19] * h * h * h
    )


@_jit
def image_positions(
    lon: np.ndarray,
    lat: np.ndarray,
    height: np.ndarray,
    norm: np.ndarray,
    poly: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
) -> None:
    """Fill image column and row (centre of the first pixel is 0.5, 0.5) of ground points.

    Parameters
    ----------
    lon, lat, height : float64[n]
        Degrees (WGS 84) and metres above the ellipsoid; NaN gives NaN.
    norm : float64[10]
        Offset and scale of line, sample, latitude, longitude, height.
    poly : float64[4, 20]
        Numerator and denominator of line, then of sample.
    u, v : float64[n]
        Output.
    """
    for k in range(lon.size):
        p = (lat[k] - norm[4]) / norm[5]
        q = (lon[k] - norm[6]) / norm[7]
        h = (height[k] - norm[8]) / norm[9]
        line = _cubic(poly[0], q, p, h) / _cubic(poly[1], q, p, h)
        sample = _cubic(poly[2], q, p, h) / _cubic(poly[3], q, p, h)
        # RPC count from the centre of the first pixel, rasters from its corner.
        v[k] = line * norm[1] + norm[0] + 0.5
        u[k] = sample * norm[3] + norm[2] + 0.5


@_jit
def bilinear(
    data: np.ndarray,
    x0: int,
    y0: int,
    u: np.ndarray,
    v: np.ndarray,
    nodata: float,
    snap: float,
    out: np.ndarray,
) -> None:
    """Sample a window (first pixel x0, y0) at positions; NaN where a neighbour is missing."""
    height, width = data.shape
    for k in range(u.size):
        out[k] = np.nan
        p, q = u[k] - 0.5 - x0, v[k] - 0.5 - y0
        if not ((p >= -snap) & (q >= -snap) & (p < width) & (q < height)):
            continue
        x, y = int(p + snap), int(q + snap)
        wx, wy = p - x, q - y
        right, down = int(wx >= snap), int(wy >= snap)
        if x + right >= width or y + down >= height:
            continue
        wx, wy = wx if right else 0.0, wy if down else 0.0
        a, b = float(data[y, x]), float(data[y, x + right])
        c, d = float(data[y + down, x]), float(data[y + down, x + right])
        if a == nodata or b == nodata or c == nodata or d == nodata:
            continue
        top = a + (b - a) * wx
        out[k] = top + (c + (d - c) * wx - top) * wy


@_jit
def nearest(
    data: np.ndarray, x0: int, y0: int, u: np.ndarray, v: np.ndarray, fill: int, out: np.ndarray
) -> None:
    """Take the pixel of a window in which each position lies; `fill` outside."""
    height, width = data.shape
    for k in range(u.size):
        p, q = u[k] - x0, v[k] - y0
        inside = (p >= 0) & (q >= 0) & (p < width) & (q < height)
        out[k] = data[int(q), int(p)] if inside else fill
