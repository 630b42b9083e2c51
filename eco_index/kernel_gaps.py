"""Numba kernel that fills gaps in a pixel's months, linearly between the observed ones."""

from __future__ import annotations

import numpy as np
from numba import njit

from eco_index.kernels import NDVI_FILL

_jit = njit(nogil=True, cache=True, error_model="numpy")

OBSERVED, INTERPOLATED, MISSING = 0, 1, 255


@_jit
def fill_gaps(months: np.ndarray, max_gap: int, filled: np.ndarray, flags: np.ndarray) -> None:
    """Fill runs of missing months that have observed neighbours on both sides.

    Parameters
    ----------
    months : int16[n, h, w]
        Monthly values as stored, months one after the other; -32768 where missing.
    max_gap : int
        Longest run that is filled.
    filled : int16[n, h, w]
        Gets observed values as they are, interpolated ones rounded half away from zero.
    flags : uint8[n, h, w]
        Gets OBSERVED, INTERPOLATED or MISSING.
    """
    count, height, width = months.shape
    for m in range(count):
        for y in range(height):
            for x in range(width):
                value = months[m, y, x]
                filled[m, y, x] = value
                flags[m, y, x] = MISSING if value == NDVI_FILL else OBSERVED
    for m in range(1, count):
        for y in range(height):
            for x in range(width):
                # From the month after a gap one looks back over it.
                if months[m, y, x] == NDVI_FILL or months[m - 1, y, x] != NDVI_FILL:
                    continue
                first = m - 1
                while first >= 0 and months[first, y, x] == NDVI_FILL:
                    first -= 1
                gap = m - first - 1
                if first < 0 or gap > max_gap:
                    continue
                before, after = int(months[first, y, x]), int(months[m, y, x])
                for k in range(1, gap + 1):
                    # In integers: (before (n - k) + after k) / n, half away from zero.
                    n = gap + 1
                    total = before * (n - k) + after * k
                    size = (2 * abs(total) + n) // (2 * n)
                    filled[first + k, y, x] = size if total >= 0 else -size
                    flags[first + k, y, x] = INTERPOLATED
