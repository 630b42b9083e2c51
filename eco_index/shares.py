"""Shares of pixels as whole numbers: sums of them are exact and merge by addition.

A share of a pixel is an integer number of 2^-36ths. A sum keeps its whole part and its part below
one in two integers, so that neither overflows and no order of adding changes a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

#: A whole pixel is 2^SHARE_BITS shares; finer than coordinates of a large grid in float64.
SHARE_BITS = 36
WHOLE = 1 << SHARE_BITS


@dataclass(frozen=True)
class PixelShares:
    """Pixels of a tile that zones cover in part.

    Attributes
    ----------
    zone : numpy.ndarray
        int64 (n,): number of the zone, from 0.
    at : numpy.ndarray
        int64 (n,): position of the pixel in the tile, row by row.
    share : numpy.ndarray
        int64 (n,): covered share of the pixel in 2^-36ths, 1 to `WHOLE`.
    """

    zone: np.ndarray
    at: np.ndarray
    share: np.ndarray

    def __len__(self) -> int:
        return int(self.zone.size)


class Sums:
    """An array of sums, whole numbers or with shares.

    Attributes
    ----------
    whole : numpy.ndarray
        int64: the sum, or its floor where shares were added.
    part : numpy.ndarray or None
        int64, 0 to `WHOLE` - 1: what is above the floor in 2^-36ths; None: only whole pixels.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.whole = np.zeros(shape, np.int64)
        self.part: np.ndarray | None = None

    def add_shares(
        self, index: tuple[np.ndarray, ...], share: np.ndarray, value: np.ndarray
    ) -> None:
        """Add share x value at each index.

        Parameters
        ----------
        index : tuple of numpy.ndarray
            One int64 (n,) an axis.
        share : numpy.ndarray
            int64 (n,), 0 to `WHOLE`.
        value : numpy.ndarray
            int64 (n,), magnitude at most 2^32.
        """
        if not share.size:
            return
        if self.part is None:
            self.part = np.zeros_like(self.whole)
        flat = np.ravel_multi_index(index, self.whole.shape)
        _add(flat, share, value, self.whole.reshape(-1), self.part.reshape(-1))

    def merge(self, other: Sums) -> None:
        """Add another array of sums."""
        self.whole += other.whole
        if other.part is not None:
            self.part = other.part.copy() if self.part is None else self.part + other.part
            _carry(self)

    def gathered(self, axis: int, into: np.ndarray, n: int) -> Sums:
        """Return sums over entries of an axis: entry k goes to `into[k]`, -1 to nowhere."""
        keep = np.flatnonzero(into >= 0)
        out = Sums((*self.whole.shape[:axis], n, *self.whole.shape[axis + 1 :]))
        _gather(self.whole, out.whole, axis, keep, into)
        if self.part is not None:
            out.part = np.zeros_like(out.whole)
            _gather(self.part, out.part, axis, keep, into)
            _carry(out)
        return out

    def values(self) -> np.ndarray:
        """Return the sums: int64, or float64 where shares were added."""
        if self.part is None:
            return self.whole
        return self.whole + self.part / WHOLE

    def exact(self, *index: int) -> int:
        """Return one sum in 2^-36ths, without bound and exact."""
        below = 0 if self.part is None else int(self.part[index])
        return (int(self.whole[index]) << SHARE_BITS) + below

    def over(self, axis: int, index: Sequence[int] | None = None) -> Sums:
        """Return sums along an axis, of all its entries or of some."""
        n = self.whole.shape[axis]
        into = np.full(n, 0 if index is None else -1)
        if index is not None:
            into[list(index)] = 0
        out = self.gathered(axis, into, 1)
        out.whole = np.squeeze(out.whole, axis)
        out.part = None if out.part is None else np.squeeze(out.part, axis)
        return out

    def row(self, k: int) -> Sums:
        """Return the sums of one entry of the first axis."""
        out = Sums(())
        out.whole = self.whole[k]
        out.part = None if self.part is None else self.part[k]
        return out


def _gather(
    source: np.ndarray, out: np.ndarray, axis: int, keep: np.ndarray, into: np.ndarray
) -> None:
    np.add.at(np.moveaxis(out, axis, 0), into[keep], np.moveaxis(source, axis, 0)[keep])


def _carry(sums: Sums) -> None:
    assert sums.part is not None
    sums.whole += sums.part >> SHARE_BITS
    sums.part &= WHOLE - 1


@njit(cache=True, nogil=True)
def _add(flat, share, value, whole, part):  # type: ignore[no-untyped-def]
    """Add share x value; the product has up to 68 bits, so it is taken in two halves."""
    for k in range(flat.size):
        at = flat[k]
        high = share[k] * (value[k] >> 16)
        low = share[k] * (value[k] & 0xFFFF)
        whole[at] += (high >> 20) + (low >> 36)
        left = part[at] + ((high & 0xFFFFF) << 16) + (low & 0xFFFFFFFFF)
        whole[at] += left >> 36
        part[at] = left & 0xFFFFFFFFF
