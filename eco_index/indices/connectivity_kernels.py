"""Compiled loops of `connectivity`: shortest paths, exact removal of a patch, distances."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def push(keys, nodes, size, key, node):  # type: ignore[no-untyped-def]
    i = size
    while i > 0:
        up = (i - 1) >> 1
        if keys[up] <= key:
            break
        keys[i], nodes[i] = keys[up], nodes[up]
        i = up
    keys[i], nodes[i] = key, node
    return size + 1


@njit(cache=True, nogil=True)
def pop(keys, nodes, size):  # type: ignore[no-untyped-def]
    """Move the least entry to position size - 1 and return the smaller size."""
    least, at = keys[0], nodes[0]
    size -= 1
    key, node = keys[size], nodes[size]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= size:
            break
        if down + 1 < size and keys[down + 1] < keys[down]:
            down += 1
        if keys[down] >= key:
            break
        keys[i], nodes[i] = keys[down], nodes[down]
        i = down
    keys[i], nodes[i] = key, node
    keys[size], nodes[size] = least, at
    return size


@njit(cache=True, nogil=True)
def path_sums(starts, ends, lengths, areas, limit, removal):  # type: ignore[no-untyped-def]
    """Sum area products over best paths from every patch and, if asked, without each patch.

    Parameters
    ----------
    starts : int64[n + 1]
        Where the links of each patch begin.
    ends : int64[m]
        Patches at the other end of the links.
    lengths : float64[m]
        -ln of the probability of the links.
    areas : float64[n]
        Areas of the patches.
    limit : float
        Paths longer than this count as none.
    removal : bool
        Compute `lost`.

    Returns
    -------
    flux : float64[n]
        Area of the patch times the sum over all others of area times probability.
    lost : float64[n]
        Sum over ordered pairs of other patches of what their best paths lose without the patch.
    """
    n = areas.size
    flux, lost = np.zeros(n), np.zeros(n)
    distance, other = np.full(n, np.inf), np.full(n, np.inf)
    settled = np.zeros(n, np.bool_)
    parent = np.full(n, -1, np.int64)
    order, size_of = np.empty(n, np.int64), np.ones(n, np.int64)
    place, row, cursor = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    mark = np.zeros(n, np.int64)
    stamp = 0
    keys = np.empty(2 * ends.size + n + 1)
    nodes = np.empty(keys.size, np.int64)
    for s in range(n):
        distance[s], parent[s] = 0.0, -1
        heap, count = push(keys, nodes, 0, 0.0, s), 0
        while heap:
            heap = pop(keys, nodes, heap)
            u = nodes[heap]
            if settled[u]:
                continue
            settled[u] = True
            order[count] = u
            count += 1
            for e in range(starts[u], starts[u + 1]):
                v, d = ends[e], distance[u] + lengths[e]
                if d < distance[v] and d <= limit:
                    distance[v], parent[v] = d, u
                    heap = push(keys, nodes, heap, d, v)
        total = 0.0
        for k in range(1, count):
            total += areas[order[k]] * np.exp(-distance[order[k]])
        flux[s] = areas[s] * total
        if removal and count > 2:
            # the tree of best paths, each subtree in one row of places
            for k in range(count):
                size_of[order[k]] = 1
            for k in range(count - 1, 0, -1):
                size_of[parent[order[k]]] += size_of[order[k]]
            place[s], cursor[s], row[0] = 0, 1, s
            for k in range(1, count):
                u = order[k]
                up = parent[u]
                place[u] = cursor[up]
                cursor[up] += size_of[u]
                cursor[u] = place[u] + 1
                row[place[u]] = u
            for k in range(1, count):
                gone = order[k]
                if size_of[gone] == 1:
                    continue
                first, last = place[gone] + 1, place[gone] + size_of[gone]
                stamp += 1
                for p in range(first, last):
                    mark[row[p]] = stamp
                    other[row[p]] = np.inf
                heap = 0
                for p in range(first, last):
                    u = row[p]
                    best = np.inf
                    for e in range(starts[u], starts[u + 1]):
                        v = ends[e]
                        if v != gone and mark[v] != stamp:
                            best = min(best, distance[v] + lengths[e])
                    if best <= limit and best < np.inf:
                        other[u] = best
                        heap = push(keys, nodes, heap, best, u)
                while heap:
                    heap = pop(keys, nodes, heap)
                    u = nodes[heap]
                    if keys[heap] > other[u]:
                        continue
                    for e in range(starts[u], starts[u + 1]):
                        v, d = ends[e], other[u] + lengths[e]
                        if mark[v] == stamp and d < other[v] and d <= limit:
                            other[v] = d
                            heap = push(keys, nodes, heap, d, v)
                loss = 0.0
                for p in range(first, last):
                    u = row[p]
                    loss += areas[u] * (np.exp(-distance[u]) - np.exp(-other[u]))
                lost[gone] += areas[s] * loss
        for k in range(count):
            distance[order[k]], settled[order[k]] = np.inf, False
    return flux, lost


@njit(cache=True, nogil=True)
def pair_distances(  # type: ignore[no-untyped-def]
    first, second, starts, rows, columns, box, dy, dx, gap, limit
):
    """Return the least distance of each pair of pixel sets, infinite beyond `limit`.

    Parameters
    ----------
    first, second : int64[pair]
        Numbers of the sets.
    starts : int64[set + 1]
        Where the pixels of each set begin.
    rows, columns : int64[pixel]
        Pixels of the sets, each sorted by row.
    box : int64[set, 4]
        Least and greatest row, least and greatest column.
    dy, dx : float
        Size of a pixel.
    gap : int
        1 measures between the pixels' edges, 0 between their centres.
    limit : float
        Greatest distance wanted.
    """
    out = np.empty(first.size)
    ceiling = limit * limit * (1 + 1e-12)
    for pair in range(first.size):
        a, b = first[pair], second[pair]
        if starts[a + 1] - starts[a] > starts[b + 1] - starts[b]:
            a, b = b, a
        low, high = starts[b], starts[b + 1]
        best, found = ceiling, False
        for p in range(starts[a], starts[a + 1]):
            y, x = rows[p], columns[p]
            vy = max(0, max(box[b, 0] - y, y - box[b, 1]) - gap) * dy
            vx = max(0, max(box[b, 2] - x, x - box[b, 3]) - gap) * dx
            if vy * vy + vx * vx > best or (found and vy * vy + vx * vx == best):
                continue
            middle = low + np.searchsorted(rows[low:high], y)
            for step in (-1, 1):
                q = middle if step == 1 else middle - 1
                while low <= q < high:
                    vy = max(0, abs(rows[q] - y) - gap) * dy
                    if vy * vy > best:
                        break
                    vx = max(0, abs(columns[q] - x) - gap) * dx
                    if vy * vy + vx * vx <= best:
                        best, found = vy * vy + vx * vx, True
                    q += step
            if found and best == 0.0:
                break
        out[pair] = np.sqrt(best) if found else np.inf
    return out
