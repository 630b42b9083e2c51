"""Compiled loops of `least_cost`: Dijkstra's search over pixels from one patch, within a limit."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from eco_index.indices.connectivity_kernels import pop, push


@njit(cache=True, nogil=True)
def _grown(keys, nodes):
    size = keys.size
    more, others = np.empty(2 * size), np.empty(2 * size, np.int64)
    more[:size], others[:size] = keys, nodes
    return more, others


@njit(cache=True, nogil=True)
def costs_from(labels, resistance, source, dy, dx, limit):
    """Return the least cost from one patch to the edge of every pixel of other patches.

    Parameters
    ----------
    labels : int64[h, w]
        Patch numbers, 0 = none.
    resistance : float64[h, w]
        Cost per metre; what is not above 0 and finite cannot be crossed.
    source : int
        The patch to start from.
    dy, dx : float
        Size of a pixel, m.
    limit : float
        Greatest cost.

    Returns
    -------
    edge : float64[h * w]
        Infinite where nothing is reached, and at patches with numbers up to `source`.
    """
    height, width = labels.shape
    cost = np.full(height * width, np.inf)
    done = np.zeros(height * width, np.bool_)
    keys, nodes = np.empty(1024), np.empty(1024, np.int64)
    heap = 0
    edge = np.full(height * width, np.inf)
    diagonal = np.hypot(dy, dx)
    for y in range(height):
        for x in range(width):
            if labels[y, x] != source:
                continue
            cost[y * width + x] = 0.0
            inner = (
                0 < y < height - 1
                and 0 < x < width - 1
                and labels[y - 1, x] == source
                and labels[y + 1, x] == source
                and labels[y, x - 1] == source
                and labels[y, x + 1] == source
                and labels[y - 1, x - 1] == source
                and labels[y - 1, x + 1] == source
                and labels[y + 1, x - 1] == source
                and labels[y + 1, x + 1] == source
            )
            if not inner:
                if heap == keys.size:
                    keys, nodes = _grown(keys, nodes)
                heap = push(keys, nodes, heap, 0.0, y * width + x)
    while heap:
        heap = pop(keys, nodes, heap)
        u = nodes[heap]
        if done[u]:
            continue
        done[u] = True
        y, x = u // width, u % width
        # within the patch itself nothing is paid: distances run from edge to edge
        here = 0.0 if labels[y, x] == source else resistance[y, x]
        for a in range(-1, 2):
            for b in range(-1, 2):
                i, j = y + a, x + b
                if (a == 0 and b == 0) or i < 0 or j < 0 or i >= height or j >= width:
                    continue
                other = labels[i, j]
                if other == source:
                    continue
                length = diagonal if a != 0 and b != 0 else (dy if a != 0 else dx)
                half = cost[u] + 0.5 * length * here
                v = i * width + j
                if other > source and half <= limit and half < edge[v]:
                    edge[v] = half
                r = resistance[i, j]
                if not (r > 0.0 and r < np.inf):
                    continue
                d = half + 0.5 * length * r
                if d < cost[v] and d <= limit:
                    cost[v] = d
                    if heap == keys.size:
                        keys, nodes = _grown(keys, nodes)
                    heap = push(keys, nodes, heap, d, v)
    return edge
