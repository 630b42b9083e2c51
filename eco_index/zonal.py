"""Partial sums per zone: exact integers over stored values, merged across tiles by addition.

Sums of stored integers are exact, so they do not depend on how the grid is cut into tiles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from eco_index.products import PRODUCTS, Product

#: Version of the sums; part of every assessment's digest.
ZONAL_VERSION = 1
#: Rows that are widened to int32 at a time: bounds the memory above the tile itself.
STRIP_ROWS = 256
NO_FILL = np.int64(np.iinfo(np.int64).min)


def codes_of(product: Product) -> tuple[int, ...]:
    """Return the class codes of a class-map product."""
    return tuple(sorted(product.flags))


@dataclass(frozen=True)
class SumSpec:
    """What is summed.

    Attributes
    ----------
    values : tuple of str
        Products summed as numbers.
    classes : tuple of str
        Class-map products that are counted by class.
    group : str or None
        Class-map product whose classes subdivide the sums of `values` (mean cover of grassland).
    breaks : tuple
        Pairs (product of `values`, inner limits in stored units; lower bound inclusive).
    """

    values: tuple[str, ...]
    classes: tuple[str, ...] = ()
    group: str | None = None
    breaks: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def products(self) -> tuple[str, ...]:
        """All products that have to be read, each once."""
        group = (self.group,) if self.group else ()
        return tuple(dict.fromkeys((*self.values, *self.classes, *group)))

    @cached_property
    def group_codes(self) -> tuple[int, ...]:
        return codes_of(PRODUCTS[self.group]) if self.group else ()


def stored(product: str, physical: float) -> int:
    """Return a physical value (a break, a threshold) in the stored integers of a product."""
    # Breaks such as 0.1 are not exact in binary: 0.1 / 1e-4 must be 1000, not 999.99.
    return math.ceil(round(physical / PRODUCTS[product].scale, 6))


class ZoneSums:
    """Partial sums of a set of zones.

    Attributes
    ----------
    spec : SumSpec
    pixels : numpy.ndarray
        int64 (zone,): pixels of each zone.
    valid, total, squares : numpy.ndarray
        int64 (product of `spec.values`, zone, group): count, sum and sum of squares of stored
        values; group 0 holds pixels without a class, the others follow `spec.group_codes`.
    counts : numpy.ndarray
        int64 (product of `spec.classes`, zone, 256): pixels per stored class code.
    bins : numpy.ndarray
        int64 (product of `spec.values`, zone, bin): pixels per bin; zero width where no breaks.
    """

    _ARRAYS = ("pixels", "valid", "total", "squares", "counts", "bins")

    def __init__(self, spec: SumSpec, n_zones: int) -> None:
        self.spec = spec
        shape = (len(spec.values), n_zones, len(spec.group_codes) + 1)
        self.pixels = np.zeros(n_zones, np.int64)
        self.valid = np.zeros(shape, np.int64)
        self.total = np.zeros(shape, np.int64)
        self.squares = np.zeros(shape, np.int64)
        self.counts = np.zeros((len(spec.classes), n_zones, 256), np.int64)
        widest = max((len(limits) for _, limits in spec.breaks), default=0)
        self.bins = np.zeros((len(spec.values), n_zones, widest + 1), np.int64)

    @property
    def n_zones(self) -> int:
        return int(self.pixels.size)

    def add(self, ids: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
        """Add a tile.

        Parameters
        ----------
        ids : numpy.ndarray
            int32 (h, w) of `zones.zone_ids`.
        arrays : mapping
            Stored integers (h, w) of every product of the spec.
        """
        spec = self.spec
        for name in spec.products:
            if arrays[name].shape != ids.shape:
                raise ValueError(f"{name} has shape {arrays[name].shape}, zones {ids.shape}")
        if not ids.any():
            return
        fills = np.array([_fill(name) for name in spec.values], dtype=np.int64)
        limits = dict(spec.breaks)
        breaks = np.full((len(spec.values), self.bins.shape[2] - 1), np.iinfo(np.int64).max)
        n_breaks = np.zeros(len(spec.values), np.int64)
        for k, name in enumerate(spec.values):
            n_breaks[k] = len(limits.get(name, ()))
            breaks[k, : n_breaks[k]] = limits.get(name, ())
        slot = np.zeros(256, np.int64)
        for k, code in enumerate(spec.group_codes):
            slot[code] = k + 1
        width = ids.shape[1]
        for y0 in range(0, ids.shape[0], STRIP_ROWS):
            rows = slice(y0, min(y0 + STRIP_ROWS, ids.shape[0]))
            height = rows.stop - rows.start
            values = np.empty((len(spec.values), height, width), np.int32)
            for k, name in enumerate(spec.values):
                values[k] = arrays[name][rows]
            classes = np.empty((len(spec.classes), height, width), np.uint8)
            for k, name in enumerate(spec.classes):
                classes[k] = arrays[name][rows]
            group = (
                np.asarray(arrays[spec.group][rows], np.uint8)
                if spec.group
                else np.zeros((1, 1), np.uint8)
            )
            _add(
                np.asarray(ids[rows], np.int32),
                values,
                fills,
                classes,
                group,
                spec.group is not None,
                slot,
                breaks,
                n_breaks,
                self.pixels,
                self.valid,
                self.total,
                self.squares,
                self.counts,
                self.bins,
            )

    def merge(self, other: ZoneSums) -> ZoneSums:
        """Add the sums of other tiles to these; order does not matter."""
        if other.spec != self.spec or other.n_zones != self.n_zones:
            raise ValueError("sums of different specifications or zones cannot be merged")
        for name in self._ARRAYS:
            getattr(self, name).__iadd__(getattr(other, name))
        return self

    def all_zones(self) -> ZoneSums:
        """Return the sums of all zones taken together, as one zone (zones must not overlap)."""
        one = ZoneSums(self.spec, 1)
        one.pixels[0] = self.pixels.sum()
        for name in self._ARRAYS[1:]:
            getattr(one, name)[:, 0] = getattr(self, name).sum(axis=1)
        return one

    def n_valid(self, product: str, within: Sequence[int] | None = None) -> np.ndarray:
        """Return the number of pixels with a value, per zone.

        Parameters
        ----------
        product : str
            One of the spec's values or classes.
        within : sequence of int, optional
            Only pixels whose group class is one of these.
        """
        if product in self.spec.values:
            return self._pick(self.valid, product, within)
        known = codes_of(PRODUCTS[product])
        return self._class_counts(product)[:, list(known)].sum(axis=1)

    def n_class(self, product: str, codes: Sequence[int]) -> np.ndarray:
        """Return the number of pixels of the given classes, per zone."""
        return self._class_counts(product)[:, list(codes)].sum(axis=1)

    def n_bin(self, product: str, number: int) -> np.ndarray:
        """Return the number of pixels in a bin, per zone."""
        return self.bins[self.spec.values.index(product), :, number]

    def mean(self, product: str, within: Sequence[int] | None = None) -> np.ndarray:
        """Return the mean in physical units, float64 (zone,); NaN where no pixel has a value."""
        n = self._pick(self.valid, product, within)
        total = self._pick(self.total, product, within)
        out = np.full(n.shape, np.nan)
        np.divide(total * PRODUCTS[product].scale, n, out=out, where=n > 0)
        return out

    def variance(self, product: str) -> np.ndarray:
        """Return the population variance in physical units; NaN where no pixel has a value."""
        out = np.full(self.n_zones, np.nan)
        n = self._pick(self.valid, product, None)
        total = self._pick(self.total, product, None)
        squares = self._pick(self.squares, product, None)
        for z in np.flatnonzero(n):
            # Python integers: n * squares can exceed 64 bits, and cancellation must stay exact.
            spread = int(n[z]) * int(squares[z]) - int(total[z]) ** 2
            out[z] = spread / int(n[z]) ** 2 * PRODUCTS[product].scale ** 2
        return out

    def _pick(self, table: np.ndarray, product: str, within: Sequence[int] | None) -> np.ndarray:
        one = table[self.spec.values.index(product)]
        if within is None:
            return np.asarray(one.sum(axis=1))
        return np.asarray(one[:, [self.spec.group_codes.index(c) + 1 for c in within]].sum(axis=1))

    def _class_counts(self, product: str) -> np.ndarray:
        return np.asarray(self.counts[self.spec.classes.index(product)])


def _fill(product: str) -> np.int64:
    fill = PRODUCTS[product].fill
    return NO_FILL if fill is None else np.int64(fill)


@njit(cache=True, nogil=True)
def _add(  # type: ignore[no-untyped-def]
    ids,
    values,
    fills,
    classes,
    group,
    grouped,
    slot,
    breaks,
    n_breaks,
    pixels,
    valid,
    total,
    squares,
    counts,
    bins,
):
    """Add one strip to all sums, run by run: pixels of a row that follow in the same zone."""
    height, width = ids.shape
    for y in range(height):
        start = 0
        while start < width:
            zone = ids[y, start] - 1
            stop = start + 1
            while stop < width and ids[y, stop] - 1 == zone:
                stop += 1
            if zone >= 0:
                pixels[zone] += stop - start
                for k in range(classes.shape[0]):
                    for x in range(start, stop):
                        counts[k, zone, classes[k, y, x]] += 1
                for k in range(values.shape[0]):
                    run = values[k, y, start:stop]
                    if not grouped and n_breaks[k] == 0:
                        n, one, two = _sums(run, fills[k])
                        valid[k, zone, 0] += n
                        total[k, zone, 0] += one
                        squares[k, zone, 0] += two
                        continue
                    for x in range(run.size):
                        value = np.int64(run[x])
                        if value == fills[k]:
                            continue
                        part = slot[group[y, start + x]] if grouped else 0
                        valid[k, zone, part] += 1
                        total[k, zone, part] += value
                        squares[k, zone, part] += value * value
                        if n_breaks[k] > 0:
                            number = 0
                            while number < n_breaks[k] and value >= breaks[k, number]:
                                number += 1
                            bins[k, zone, number] += 1
            start = stop


@njit(cache=True, nogil=True)
def _sums(run, fill):  # type: ignore[no-untyped-def]
    """Return count, sum and sum of squares of a run; whole numbers, so the order is free."""
    n, one, two = np.int64(0), np.int64(0), np.int64(0)
    for x in range(run.size):
        known = np.int64(run[x]) != fill
        value = np.int64(run[x]) if known else np.int64(0)
        n += np.int64(known)
        one += value
        two += value * value
    return n, one, two
