"""Which share of each pixel a polygon covers, exactly and the same for any tile.

Signed areas: every edge adds, to the pixels right of it, the height it spans in their row, and to
the pixel it crosses the part of that which lies right of it. Heights are differences of integers
and cancel around a ring without remainder: a pixel inside is exactly whole and one outside exactly
0. Everything is computed in whole-grid pixel coordinates, so that no value depends on the tile, and
an edge that two neighbours share adds to one what it takes from the other.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from eco_index.shares import SHARE_BITS

_ONE = 1 << SHARE_BITS


@njit(cache=True, nogil=True)
def cover(  # type: ignore[no-untyped-def]
    edges, signs, starts, zones, row0, col0, ids, zone_out, at_out, share_out
):
    """Fill `ids` where a zone covers the whole pixel, and list pixels that it covers in part.

    Parameters
    ----------
    edges : float64 (n, 4)
        x_top, y_top, x_bottom, y_bottom in pixels of the grid.
    signs : int64 (n,)
        1 where the zone lies right (east) of the edge, -1 where it lies left.
    starts : int64 (zones + 1,)
        First edge of each zone.
    zones : int64
        Zones to draw.
    row0, col0 : int
        Corner of the tile.
    ids : int32 (h, w)
        Gets zone + 1; a pixel that another zone holds already is listed instead.
    zone_out, at_out, share_out : int64 (m,)
        Get the list: zone, position row by row, share. May be too small.

    Returns
    -------
    int
        Length of the list. If more than m: call again with larger arrays and fresh `ids`.
    """
    height, width = ids.shape
    found = 0
    line = np.zeros(width + 1, np.int64)
    for zone in zones:
        first, last = starts[zone], starts[zone + 1]
        top, bottom = height, 0
        begin = np.zeros(height + 1, np.int64)
        for e in range(first, last):
            for row in range(_first(edges[e, 1], row0), _last(edges[e, 3], row0, height)):
                begin[row + 1] += 1
                top, bottom = min(top, row), max(bottom, row + 1)
        for row in range(height):
            begin[row + 1] += begin[row]
        listed = np.empty(begin[height], np.int64)
        free = begin[:height].copy()
        for e in range(first, last):
            for row in range(_first(edges[e, 1], row0), _last(edges[e, 3], row0, height)):
                listed[free[row]] = e
                free[row] += 1
        for row in range(top, bottom):
            left, right = width, 0
            for k in range(begin[row], begin[row + 1]):
                e = listed[k]
                a, b = _edge_in_row(
                    edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3], signs[e],
                    row + row0, col0, line,
                )  # fmt: skip
                left, right = min(left, a), max(right, b)
            share = np.int64(0)
            col = left
            while col < width and (col < right or share > 0):
                share += line[col]
                line[col] = 0
                if share >= _ONE and ids[row, col] == 0:
                    ids[row, col] = zone + 1
                elif share > 0:
                    if found < zone_out.size:
                        zone_out[found] = zone
                        at_out[found] = row * width + col
                        share_out[found] = min(share, _ONE)
                    found += 1
                col += 1
            line[width] = 0
    return found


@njit(cache=True, nogil=True)
def _first(y_top, row0):  # type: ignore[no-untyped-def]
    return max(np.int64(np.floor(y_top)) - row0, 0)


@njit(cache=True, nogil=True)
def _last(y_bottom, row0, height):  # type: ignore[no-untyped-def]
    return min(np.int64(np.ceil(y_bottom)) - row0, height)


@njit(cache=True, nogil=True)
def _fixed(y):  # type: ignore[no-untyped-def]
    return np.int64(np.rint(y * _ONE))


@njit(cache=True, nogil=True)
def _edge_in_row(  # type: ignore[no-untyped-def]
    x_top, y_top, x_bottom, y_bottom, sign, row, col0, line
):
    """Add what an edge does to one row; return the first and last + 1 column that got something.

    `row` is a row of the grid, `line` holds differences along the tile's columns.
    """
    width = line.size - 1
    ya, yb = max(y_top, float(row)), min(y_bottom, row + 1.0)
    slope = (x_bottom - x_top) / (y_bottom - y_top)
    low, high = min(x_top, x_bottom), max(x_top, x_bottom)
    xa = x_top if ya == y_top else min(max(x_top + (ya - y_top) * slope, low), high)
    xb = x_bottom if yb == y_bottom else min(max(x_top + (yb - y_top) * slope, low), high)
    ia, ib = _fixed(ya), _fixed(yb)
    if ia == ib:
        return width, 0
    # From left to right; `down` is the height of the pieces counted from the left end.
    if xa <= xb:
        x0, x1 = xa, xb
    else:
        x0, x1 = xb, xa
    col, end = np.int64(np.floor(x0)), np.int64(np.floor(x1))
    total = ib - ia
    if col >= col0 + width:
        return width, 0
    done = np.int64(0)
    x = x0
    if col < col0:
        # What lies left of the tile counts in full for its first column.
        if end < col0:
            line[0] += sign * total
            return 0, 1
        done = _height(col0, x0, x1, total)
        line[0] += sign * done
        col, x = np.int64(col0), float(col0)
        touched = np.int64(0)
    else:
        touched = col - col0
    while col <= end and col < col0 + width:
        if col == end:
            until, stop = total, x1
        else:
            until, stop = _height(col + 1, x0, x1, total), col + 1.0
        piece = until - done
        inner = np.int64(np.rint(piece * (0.5 * ((x - col) + (stop - col)))))
        line[col - col0] += sign * (piece - inner)
        line[col - col0 + 1] += sign * inner
        done, x = until, stop
        col += 1
    return touched, min(col - col0 + 1, np.int64(width))


@njit(cache=True, nogil=True)
def _height(x, x0, x1, total):  # type: ignore[no-untyped-def]
    """Height that the edge spans between its left end and x, a whole number of 2^-36ths."""
    return np.int64(np.rint((x - x0) / (x1 - x0) * total))
