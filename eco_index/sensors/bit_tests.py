"""Sets of quality values as a few tests of bits: masks for services that have no look-up tables."""

from __future__ import annotations

import numpy as np

BITS = 16


def bit_tests(selected: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return tests of bits that together select exactly the values of a set.

    The tests are derived from a recipe's look-up table, so a mask written with them cannot differ
    from the one that is looked up. They do not overlap.

    Parameters
    ----------
    selected : ndarray of bool, shape (65536,)
        Whether each value of a 16-bit quality band belongs to the set.

    Returns
    -------
    tuple of (int, int)
        Pairs of mask and value: ``v`` is selected where ``v & mask == value`` for one of them.

    Raises
    ------
    ValueError
        Not one truth value for each of 65 536 values.
    """
    if selected.shape != (1 << BITS,) or selected.dtype != bool:
        raise ValueError(f"a set of 16-bit values has shape (65536,), not {selected.shape}")
    # Axis 0 is bit 15.
    cube = selected.reshape((2,) * BITS)
    return tuple(_tests(cube, tuple(range(BITS - 1, -1, -1)), 0, 0))


def _tests(cube: np.ndarray, bits: tuple[int, ...], mask: int, value: int) -> list[tuple[int, int]]:
    if not cube.any():
        return []
    if cube.all():
        return [(mask, value)]
    best: tuple[int, int] | None = None
    for axis in range(len(bits)):
        halves = np.take(cube, 0, axis), np.take(cube, 1, axis)
        if np.array_equal(*halves):
            # A bit that says nothing.
            return _tests(halves[0], bits[:axis] + bits[axis + 1 :], mask, value)
        # First a bit of which one value decides everything, at best by selecting nothing.
        rank = min(0 if not h.any() else 1 if h.all() else 2 for h in halves)
        if best is None or rank < best[0]:
            best = (rank, axis)
        if rank == 0:
            break
    assert best is not None
    axis = best[1]
    rest, bit = bits[:axis] + bits[axis + 1 :], 1 << bits[axis]
    return [
        *_tests(np.take(cube, 0, axis), rest, mask | bit, value),
        *_tests(np.take(cube, 1, axis), rest, mask | bit, value | bit),
    ]
