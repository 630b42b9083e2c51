"""Compiled loops of `least_cost`: Dijkstra's search over pixels from one patch, within a limit."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from eco_index.indices.connectivity_kernels import pop, push


@njit(cache=True, nogil=True)
def costs_from(labels, resistance, source, dy, dx, limit):
    """Return patches reached from one patch and the least cost to the edge of each.

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
    found : int64[n]
        Patch numbers above `source`, in ascending order.
    cost : float64[n]
    """
    height, width = labels.shape
    cost = np.full(height * width, np.inf)
    done = np.zeros(height * width, np.bool_)
    keys, nodes = np.empty(1024), np.empty(1024, np.int64)
    heap = 0
    best = {np.int64(0): 0.0}
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
                    keys, nodes = np.append(keys, keys), np.append(nodes, nodes)
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
                if other > source and half <= limit and (other not in best or half < best[other]):
                    best[other] = half
                r = resistance[i, j]
                if not (r > 0.0 and r < np.inf):
                    continue
                v, d = i * width + j, half + 0.5 * length * r
                if d < cost[v] and d <= limit:
                    cost[v] = d
                    if heap == keys.size:
                        keys, nodes = np.append(keys, keys), np.append(nodes, nodes)
                    heap = push(keys, nodes, heap, d, v)
    found = np.empty(len(best) - 1, np.int64)
    k = 0
    for label in best:
        if label > 0:
            found[k] = label
            k += 1
    found.sort()
    out = np.empty(found.size)
    for k in range(found.size):
        out[k] = best[found[k]]
    return found, out
