"""Compiled loops of `patches`: labels within a block, joins across borders, final numbers."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _union(parent, a, b):  # type: ignore[no-untyped-def]
    a, b = _root(parent, a), _root(parent, b)
    if a < b:
        parent[b] = a
        return a
    parent[a] = b
    return b


@njit(cache=True, nogil=True)
def label_block(slots, eight, sides):  # type: ignore[no-untyped-def]
    """Label the patches of a block and count their pixels and inner sides.

    Parameters
    ----------
    slots : int16[h, w]
        Positions of classes; 0 = no value.
    eight : bool
        Pixels that touch at a corner belong together.
    sides : int64[2, class + 1, class + 1]
        Counts of sides between classes within the block are added.

    Returns
    -------
    labels : int32[h, w]
        From 0, in the order of the first pixel; -1 where there is no value.
    slot, first, pixels, sides_x, sides_y
        Per label: class position, first pixel (row * w + column), pixels, and sides towards other
        classes between left/right and upper/lower neighbours within the block.
    """
    height, width = slots.shape
    labels = np.empty((height, width), np.int32)
    parent = np.empty(height * width // 2 + height + width + 2, np.int32)
    n = 0
    for y in range(height):
        for x in range(width):
            k = slots[y, x]
            if k == 0:
                labels[y, x] = -1
                continue
            left = x > 0 and slots[y, x - 1] == k
            if y > 0 and slots[y - 1, x] == k:
                label = labels[y - 1, x]
                # with corners, the left neighbour has already met the upper one
                if left and not eight and labels[y, x - 1] != label:
                    label = _union(parent, label, labels[y, x - 1])
            else:
                label = -1
                if left:
                    label = labels[y, x - 1]
                elif eight and y > 0 and x > 0 and slots[y - 1, x - 1] == k:
                    label = labels[y - 1, x - 1]
                if eight and y > 0 and x + 1 < width and slots[y - 1, x + 1] == k:
                    other = labels[y - 1, x + 1]
                    if label < 0:
                        label = other
                    elif label != other:
                        label = _union(parent, label, other)
                if label < 0:
                    label = n
                    if n == parent.size:
                        larger = np.empty(height * width + 1, np.int32)
                        larger[:n] = parent
                        parent = larger
                    parent[n] = n
                    n += 1
            labels[y, x] = label
    count = 0
    for i in range(n):  # roots are the smallest labels of their patch: parents come first
        if parent[i] == i:
            parent[i] = count
            count += 1
        else:
            parent[i] = parent[parent[i]]
    slot = np.zeros(count, np.int16)
    first = np.full(count, -1, np.int64)
    pixels = np.zeros(count, np.int64)
    sides_x = np.zeros(count, np.int64)
    sides_y = np.zeros(count, np.int64)
    for y in range(height):
        for x in range(width):
            k = slots[y, x]
            label = np.int32(-1)
            if k:
                label = parent[labels[y, x]]
                labels[y, x] = label
                if first[label] < 0:
                    first[label] = y * width + x
                    slot[label] = k
                pixels[label] += 1
            if x > 0:
                other = slots[y, x - 1]
                if other != k:
                    if k:
                        sides_x[label] += 1
                    if other:
                        sides_x[labels[y, x - 1]] += 1
                sides[0, k, other] += 1
                sides[0, other, k] += 1
            if y > 0:
                other = slots[y - 1, x]
                if other != k:
                    if k:
                        sides_y[label] += 1
                    if other:
                        sides_y[labels[y - 1, x]] += 1
                sides[1, k, other] += 1
                sides[1, other, k] += 1
    return labels, slot, first, pixels, sides_x, sides_y


@njit(cache=True, nogil=True)
def join_block(  # type: ignore[no-untyped-def]
    labels, slots, start, above, above_slot, left, left_slot, eight, parent, sides_x, sides_y, sides
):
    """Join a block with the row above it and the column left of it, and count the sides between.

    `above` and `above_slot` hold the row above from one column left of the block to one column
    right of it; `left` and `left_slot` the column left of it. Their labels count from the start of
    the map, -1 = none; the block's labels count from `start`. Beyond the map is no value (slot 0).
    """
    height, width = labels.shape
    for x in range(width):
        k, other = slots[0, x], above_slot[x + 1]
        sides[1, k, other] += 1
        sides[1, other, k] += 1
        if k != other:
            if k:
                sides_y[labels[0, x] + start] += 1
            if other:
                sides_y[above[x + 1]] += 1
        if k == 0:
            continue
        for step in range(3):
            if (eight or step == 1) and above_slot[x + step] == k and above[x + step] >= 0:
                _union(parent, labels[0, x] + start, above[x + step])
    for y in range(height):
        k, other = slots[y, 0], left_slot[y]
        sides[0, k, other] += 1
        sides[0, other, k] += 1
        if k != other:
            if k:
                sides_x[labels[y, 0] + start] += 1
            if other:
                sides_x[left[y]] += 1
        if k == 0:
            continue
        for step in range(-1, 2):
            at = y + step
            if (eight or step == 0) and 0 <= at < height and left_slot[at] == k:
                _union(parent, labels[y, 0] + start, left[at])


@njit(cache=True, nogil=True)
def _flatten(parent, first, lowest):  # type: ignore[no-untyped-def]
    for i in range(parent.size):
        r = _root(parent, i)
        parent[i] = r
        lowest[r] = min(lowest[r], first[i])


@njit(cache=True, nogil=True)
def _holders(parent, first, lowest):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(parent.size):
        count += first[i] == lowest[parent[i]]
    out = np.empty(count, np.int64)
    count = 0
    for i in range(parent.size):
        if first[i] == lowest[parent[i]]:
            out[count] = i
            count += 1
    return out


def resolve(parent: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each label's final number (from 0) and, per number, the label of its first pixel.

    Numbers follow the first pixel of the map, whatever the tiling. `parent` is overwritten with
    the roots.
    """
    n = parent.size
    lowest = np.full(n, np.iinfo(np.int64).max)
    _flatten(parent, first, lowest)
    # a label that holds its patch's first pixel stands for the patch
    order = _holders(parent, first, lowest)
    del lowest
    order = order[np.argsort(first[order], kind="stable")]
    number = np.empty(n, np.int32 if n < 2**31 else np.int64)
    number[parent[order]] = np.arange(order.size)
    return number[parent], order
