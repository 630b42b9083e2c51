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
from eco_index.shares import PixelShares, Sums
from eco_index.zonal import codes_of, fill_of, slots_of

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
    """Partial sums of change of a set of zones: int64, or float64 for zones with shares of pixels.

    Attributes
    ----------
    spec : ChangeSpec
    pixels : numpy.ndarray
        (zone,).
    transitions : dict
        Product to (zone, before, after); position 0 is "no value", the others follow the
        product's class codes in ascending order.
    both, fell, rose, difference : numpy.ndarray
        (pair of `spec.values`, zone): pixels with a value in both periods, pixels that fell and
        rose by the threshold, and the sum of differences (after - before, stored units).
    """

    def __init__(self, spec: ChangeSpec, n_zones: int) -> None:
        self.spec = spec
        shape = (len(spec.values), n_zones)
        self._sums = {"pixels": Sums((n_zones,))}
        self._sums |= {name: Sums(shape) for name in ("both", "fell", "rose", "difference")}
        self._transitions = {
            name: Sums((n_zones, *[len(codes_of(PRODUCTS[name])) + 1] * 2)) for name in spec.classes
        }

    @property
    def pixels(self) -> np.ndarray:
        return self._sums["pixels"].values()

    @property
    def both(self) -> np.ndarray:
        return self._sums["both"].values()

    @property
    def fell(self) -> np.ndarray:
        return self._sums["fell"].values()

    @property
    def rose(self) -> np.ndarray:
        return self._sums["rose"].values()

    @property
    def difference(self) -> np.ndarray:
        return self._sums["difference"].values()

    @property
    def transitions(self) -> dict[str, np.ndarray]:
        return {name: sums.values() for name, sums in self._transitions.items()}

    @property
    def n_zones(self) -> int:
        return int(self._sums["pixels"].whole.size)

    def add(
        self,
        ids: np.ndarray,
        before: Mapping[str, np.ndarray],
        after: Mapping[str, np.ndarray],
        shares: PixelShares | None = None,
    ) -> None:
        """Add a tile.

        Parameters
        ----------
        ids : numpy.ndarray
            int32 (h, w) of `zone_raster.zone_ids` or `zone_pixels`.
        before, after : mapping
            Stored integers (h, w) of every product of the spec, in the two periods.
        shares : PixelShares, optional
            Pixels of which zones get a share, of `zone_raster.zone_pixels`.
        """
        for name in self.spec.products:
            for arrays in (before, after):
                if arrays[name].shape != ids.shape:
                    raise ValueError(f"{name} has shape {arrays[name].shape}, zones {ids.shape}")
        if shares is not None and len(shares):
            self._add_shares(before, after, shares)
        if not ids.any():
            return
        whole = {name: sums.whole for name, sums in self._sums.items()}
        whole["pixels"] += np.bincount(ids.ravel(), minlength=self.n_zones + 1)[1:]
        for name, table in self._transitions.items():
            _transitions(
                ids, before[name], after[name], slots_of(codes_of(PRODUCTS[name])), table.whole
            )
        for k, (name, threshold) in enumerate(self.spec.values):
            _differences(
                ids,
                before[name],
                after[name],
                fill_of(name),
                np.int64(threshold),
                whole["both"][k],
                whole["fell"][k],
                whole["rose"][k],
                whole["difference"][k],
            )

    def _add_shares(
        self,
        before: Mapping[str, np.ndarray],
        after: Mapping[str, np.ndarray],
        shares: PixelShares,
    ) -> None:
        zone, share = shares.zone, shares.share
        ones = np.ones(len(shares), np.int64)
        self._sums["pixels"].add_shares((zone,), share, ones)
        for name, table in self._transitions.items():
            slot = slots_of(codes_of(PRODUCTS[name]))
            was, now = (slot[a[name].reshape(-1)[shares.at]] for a in (before, after))
            table.add_shares((zone, was, now), share, ones)
        for k, (name, threshold) in enumerate(self.spec.values):
            was, now = (a[name].reshape(-1)[shares.at].astype(np.int64) for a in (before, after))
            known = (was != fill_of(name)) & (now != fill_of(name))
            rise = now - was
            for key, mask, value in (
                ("both", known, ones),
                ("difference", known, rise),
                ("fell", known & (-rise >= threshold), ones),
                ("rose", known & (rise >= threshold), ones),
            ):
                at = zone[mask]
                self._sums[key].add_shares((np.full(at.shape, k), at), share[mask], value[mask])

    def merge(self, other: ChangeSums) -> ChangeSums:
        """Add the sums of other tiles to these; order does not matter."""
        if other.spec != self.spec or other.n_zones != self.n_zones:
            raise ValueError("sums of different specifications or zones cannot be merged")
        for name, sums in self._sums.items():
            sums.merge(other._sums[name])
        for name, sums in self._transitions.items():
            sums.merge(other._transitions[name])
        return self

    def grouped(self, group: Sequence[int] | np.ndarray, n_groups: int) -> ChangeSums:
        """Return the sums of groups of zones; the zones of a group must not overlap.

        Parameters
        ----------
        group : sequence of int
            For each zone the number of its group, from 0; -1 for none.
        n_groups : int
            Number of groups.
        """
        into = np.asarray(group, np.int64)
        out = ChangeSums(self.spec, n_groups)
        for name, sums in self._sums.items():
            out._sums[name] = sums.gathered(0 if name == "pixels" else 1, into, n_groups)
        for name, sums in self._transitions.items():
            out._transitions[name] = sums.gathered(0, into, n_groups)
        return out

    def all_zones(self) -> ChangeSums:
        """Return the sums of all zones taken together, as one zone (zones must not overlap)."""
        return self.grouped([0] * self.n_zones, 1)

    def n_both(self, product: str, threshold: int | None = None) -> np.ndarray:
        """Return the number of pixels with a value in both periods, per zone."""
        if product in self._transitions:
            known = codes_of(PRODUCTS[product])
            return self.n_transition(product, known, known)
        return self.both[self._at(product, threshold)]

    def n_transition(self, product: str, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
        """Return the number of pixels that went from classes `before` to `after`, per zone."""
        codes = codes_of(PRODUCTS[product])
        rows = [codes.index(c) + 1 for c in before]
        columns = [codes.index(c) + 1 for c in after]
        return self._transitions[product].over(2, columns).over(1, rows).values()

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
