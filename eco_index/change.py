"""Change per zone between two periods, pixel by pixel: transitions of classes, falls and rises.

Only pixels with a value in both periods are compared: a pixel that was cloudy in one of them has
neither changed nor stayed. All sums are exact integers and merge across tiles by addition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from eco_index.products import PRODUCTS
from eco_index.zonal import NO_FILL, codes_of

#: Version of the change sums; part of every assessment's digest.
CHANGE_VERSION = 1


@dataclass(frozen=True)
class ChangeSpec:
    """What is compared.

    Attributes
    ----------
    classes : tuple of str
        Class-map products whose transitions are counted.
    values : tuple
        Pairs (product, threshold in stored units) whose falls and rises of at least the
        threshold are counted.
    """

    classes: tuple[str, ...] = ()
    values: tuple[tuple[str, int], ...] = ()

    @property
    def products(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.classes, *(name for name, _ in self.values))))


class ChangeSums:
    """Partial sums of change of a set of zones.

    Attributes
    ----------
    spec : ChangeSpec
    pixels : numpy.ndarray
        int64 (zone,).
    transitions : dict
        Product to int64 (zone, before, after); position 0 is "no value", the others follow the
        product's class codes in ascending order.
    both, fell, rose, difference : numpy.ndarray
        int64 (pair of `spec.values`, zone): pixels with a value in both periods, pixels that fell
        and rose by the threshold, and the sum of differences (after - before, stored units).
    """

    def __init__(self, spec: ChangeSpec, n_zones: int) -> None:
        self.spec = spec
        self.pixels = np.zeros(n_zones, np.int64)
        self.transitions = {
            name: np.zeros((n_zones, *[len(codes_of(PRODUCTS[name])) + 1] * 2), np.int64)
            for name in spec.classes
        }
        shape = (len(spec.values), n_zones)
        self.both = np.zeros(shape, np.int64)
        self.fell = np.zeros(shape, np.int64)
        self.rose = np.zeros(shape, np.int64)
        self.difference = np.zeros(shape, np.int64)

    @property
    def n_zones(self) -> int:
        return int(self.pixels.size)

    def add(
        self, ids: np.ndarray, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
    ) -> None:
        """Add a tile.

        Parameters
        ----------
        ids : numpy.ndarray
            int32 (h, w) of `zones.zone_ids`.
        before, after : mapping
            Stored integers (h, w) of every product of the spec, in the two periods.
        """
        for name in self.spec.products:
            for arrays in (before, after):
                if arrays[name].shape != ids.shape:
                    raise ValueError(f"{name} has shape {arrays[name].shape}, zones {ids.shape}")
        if not ids.any():
            return
        self.pixels += np.bincount(ids.ravel(), minlength=self.n_zones + 1)[1:]
        for name, table in self.transitions.items():
            slot = np.zeros(256, np.int64)
            for k, code in enumerate(codes_of(PRODUCTS[name])):
                slot[code] = k + 1
            _transitions(ids, before[name], after[name], slot, table)
        for k, (name, threshold) in enumerate(self.spec.values):
            fill = PRODUCTS[name].fill
            _differences(
                ids,
                before[name],
                after[name],
                NO_FILL if fill is None else np.int64(fill),
                np.int64(threshold),
                self.both[k],
                self.fell[k],
                self.rose[k],
                self.difference[k],
            )

    def merge(self, other: ChangeSums) -> ChangeSums:
        """Add the sums of other tiles to these; order does not matter."""
        if other.spec != self.spec or other.n_zones != self.n_zones:
            raise ValueError("sums of different specifications or zones cannot be merged")
        for name in ("pixels", "both", "fell", "rose", "difference"):
            getattr(self, name).__iadd__(getattr(other, name))
        for name, table in self.transitions.items():
            table += other.transitions[name]
        return self

    def all_zones(self) -> ChangeSums:
        """Return the sums of all zones taken together, as one zone (zones must not overlap)."""
        one = ChangeSums(self.spec, 1)
        one.pixels[0] = self.pixels.sum()
        for name in ("both", "fell", "rose", "difference"):
            getattr(one, name)[:, 0] = getattr(self, name).sum(axis=1)
        for name, table in self.transitions.items():
            one.transitions[name][0] = table.sum(axis=0)
        return one

    def n_both(self, product: str, threshold: int | None = None) -> np.ndarray:
        """Return the number of pixels with a value in both periods, per zone."""
        if product in self.transitions:
            return np.asarray(self.transitions[product][:, 1:, 1:].sum(axis=(1, 2)))
        return self.both[self._at(product, threshold)]

    def n_transition(self, product: str, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
        """Return the number of pixels that went from classes `before` to `after`, per zone."""
        codes = codes_of(PRODUCTS[product])
        rows = [codes.index(c) + 1 for c in before]
        columns = [codes.index(c) + 1 for c in after]
        table = self.transitions[product][:, rows][:, :, columns]
        return np.asarray(table.sum(axis=(1, 2)))

    def n_fell(self, product: str, threshold: int) -> np.ndarray:
        """Return the number of pixels that fell by at least `threshold` (stored units)."""
        return self.fell[self._at(product, threshold)]

    def n_rose(self, product: str, threshold: int) -> np.ndarray:
        """Return the number of pixels that rose by at least `threshold` (stored units)."""
        return self.rose[self._at(product, threshold)]

    def _at(self, product: str, threshold: int | None) -> int:
        for k, (name, limit) in enumerate(self.spec.values):
            if name == product and threshold in (None, limit):
                return k
        raise KeyError(product)


@njit(cache=True, nogil=True)
def _transitions(ids, before, after, slot, table):  # type: ignore[no-untyped-def]
    height, width = ids.shape
    for y in range(height):
        for x in range(width):
            zone = ids[y, x] - 1
            if zone >= 0:
                table[zone, slot[before[y, x]], slot[after[y, x]]] += 1


@njit(cache=True, nogil=True)
def _differences(  # type: ignore[no-untyped-def]
    ids, before, after, fill, threshold, both, fell, rose, difference
):
    height, width = ids.shape
    for y in range(height):
        for x in range(width):
            zone = ids[y, x] - 1
            if zone < 0:
                continue
            was, now = np.int64(before[y, x]), np.int64(after[y, x])
            if was == fill or now == fill:
                continue
            both[zone] += 1
            difference[zone] += now - was
            if was - now >= threshold:
                fell[zone] += 1
            if now - was >= threshold:
                rose[zone] += 1
