"""Partial sums per zone: exact integers over stored values, merged across tiles by addition.

Sums of stored integers are exact, so they do not depend on how the grid is cut into tiles. Shares
of pixels are integers too (`eco_index.shares`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from eco_index.products import PRODUCTS, Product
from eco_index.shares import PixelShares, Sums

#: Version of the sums; part of every assessment's digest.
ZONAL_VERSION = 1
#: Rows that are widened to int32 at a time: bounds the memory above the tile itself.
STRIP_ROWS = 256
NO_FILL = np.int64(np.iinfo(np.int64).min)


def codes_of(product: Product) -> tuple[int, ...]:
    """Return the class codes of a class-map product."""
    return tuple(sorted(product.flags))


def slots_of(codes: Sequence[int]) -> np.ndarray:
    """Return the place of each stored class code in a table: 0 for no value, then the codes."""
    slot = np.zeros(256, np.int64)
    slot[list(codes)] = np.arange(1, len(codes) + 1)
    return slot


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
    """Partial sums of a set of zones: int64, or float64 pixels for zones with shares of pixels.

    Attributes
    ----------
    spec : SumSpec
    pixels : numpy.ndarray
        (zone,): pixels of each zone.
    valid, total, squares : numpy.ndarray
        (product of `spec.values`, zone, group): count, sum and sum of squares of stored values;
        group 0 holds pixels without a class, the others follow `spec.group_codes`.
    counts : numpy.ndarray
        (product of `spec.classes`, zone, 256): pixels per stored class code.
    bins : numpy.ndarray
        (product of `spec.values`, zone, bin): pixels per bin; zero width where no breaks.
    """

    _ARRAYS = ("pixels", "valid", "total", "squares", "counts", "bins")

    def __init__(self, spec: SumSpec, n_zones: int) -> None:
        self.spec = spec
        shape = (len(spec.values), n_zones, len(spec.group_codes) + 1)
        widest = max((len(limits) for _, limits in spec.breaks), default=0)
        self._sums = {
            "pixels": Sums((n_zones,)),
            "valid": Sums(shape),
            "total": Sums(shape),
            "squares": Sums(shape),
            "counts": Sums((len(spec.classes), n_zones, 256)),
            "bins": Sums((len(spec.values), n_zones, widest + 1)),
        }

    @property
    def pixels(self) -> np.ndarray:
        return self._sums["pixels"].values()

    @property
    def valid(self) -> np.ndarray:
        return self._sums["valid"].values()

    @property
    def total(self) -> np.ndarray:
        return self._sums["total"].values()

    @property
    def squares(self) -> np.ndarray:
        return self._sums["squares"].values()

    @property
    def counts(self) -> np.ndarray:
        return self._sums["counts"].values()

    @property
    def bins(self) -> np.ndarray:
        return self._sums["bins"].values()

    @property
    def n_zones(self) -> int:
        return int(self._sums["pixels"].whole.size)

    def add(
        self,
        ids: np.ndarray,
        arrays: Mapping[str, np.ndarray],
        shares: PixelShares | None = None,
    ) -> None:
        """Add a tile.

        Parameters
        ----------
        ids : numpy.ndarray
            int32 (h, w) of `zone_raster.zone_ids` or `zone_pixels`.
        arrays : mapping
            Stored integers (h, w) of every product of the spec.
        shares : PixelShares, optional
            Pixels of which zones get a share, of `zone_raster.zone_pixels`.
        """
        spec = self.spec
        for name in spec.products:
            if arrays[name].shape != ids.shape:
                raise ValueError(f"{name} has shape {arrays[name].shape}, zones {ids.shape}")
        if shares is not None and len(shares):
            self._add_shares(arrays, shares)
        if not ids.any():
            return
        whole = {name: sums.whole for name, sums in self._sums.items()}
        fills = np.array([fill_of(name) for name in spec.values], dtype=np.int64)
        limits = dict(spec.breaks)
        breaks = np.full((len(spec.values), whole["bins"].shape[2] - 1), np.iinfo(np.int64).max)
        n_breaks = np.zeros(len(spec.values), np.int64)
        for k, name in enumerate(spec.values):
            n_breaks[k] = len(limits.get(name, ()))
            breaks[k, : n_breaks[k]] = limits.get(name, ())
        slot = slots_of(spec.group_codes)
        width = ids.shape[1]
        # Room for the widest strip, used again by each: fresh memory costs more than the sums.
        most = min(STRIP_ROWS, ids.shape[0]) * width
        value_room = np.empty(len(spec.values) * most, np.int32)
        class_room = np.empty(len(spec.classes) * most, np.uint8)
        for y0 in range(0, ids.shape[0], STRIP_ROWS):
            rows = slice(y0, min(y0 + STRIP_ROWS, ids.shape[0]))
            shape = (rows.stop - rows.start, width)
            values = _strip(value_room, len(spec.values), shape)
            for k, name in enumerate(spec.values):
                values[k] = arrays[name][rows]
            classes = _strip(class_room, len(spec.classes), shape)
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
                whole["pixels"],
                whole["valid"],
                whole["total"],
                whole["squares"],
                whole["counts"],
                whole["bins"],
            )

    def _add_shares(self, arrays: Mapping[str, np.ndarray], shares: PixelShares) -> None:
        spec, zone, share = self.spec, shares.zone, shares.share
        ones = np.ones(len(shares), np.int64)
        self._sums["pixels"].add_shares((zone,), share, ones)
        for k, name in enumerate(spec.classes):
            code = arrays[name].reshape(-1)[shares.at].astype(np.int64)
            self._sums["counts"].add_shares((np.full(code.shape, k), zone, code), share, ones)
        part = np.zeros(len(shares), np.int64)
        if spec.group is not None:
            part = slots_of(spec.group_codes)[arrays[spec.group].reshape(-1)[shares.at]]
        limits = dict(spec.breaks)
        for k, name in enumerate(spec.values):
            value = arrays[name].reshape(-1)[shares.at].astype(np.int64)
            known = value != fill_of(name)
            value, own = value[known], share[known]
            index = (np.full(value.shape, k), zone[known], part[known])
            self._sums["valid"].add_shares(index, own, ones[known])
            self._sums["total"].add_shares(index, own, value)
            self._sums["squares"].add_shares(index, own, value * value)
            if name in limits:
                number = np.searchsorted(np.asarray(limits[name]), value, side="right")
                self._sums["bins"].add_shares((*index[:2], number), own, ones[known])

    def merge(self, other: ZoneSums) -> ZoneSums:
        """Add the sums of other tiles to these; order does not matter."""
        if other.spec != self.spec or other.n_zones != self.n_zones:
            raise ValueError("sums of different specifications or zones cannot be merged")
        for name, sums in self._sums.items():
            sums.merge(other._sums[name])
        return self

    def grouped(self, group: Sequence[int] | np.ndarray, n_groups: int) -> ZoneSums:
        """Return the sums of groups of zones; the zones of a group must not overlap.

        Parameters
        ----------
        group : sequence of int
            For each zone the number of its group, from 0; -1 for none.
        n_groups : int
            Number of groups.
        """
        into = np.asarray(group, np.int64)
        if into.shape != (self.n_zones,) or into.max(initial=-1) >= n_groups:
            raise ValueError(f"{self.n_zones} group numbers below {n_groups} are needed")
        out = ZoneSums(self.spec, n_groups)
        for name, sums in self._sums.items():
            out._sums[name] = sums.gathered(0 if name == "pixels" else 1, into, n_groups)
        return out

    def all_zones(self) -> ZoneSums:
        """Return the sums of all zones taken together, as one zone (zones must not overlap)."""
        return self.grouped([0] * self.n_zones, 1)

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
            return self._pick("valid", product, within).values()
        return self.n_class(product, codes_of(PRODUCTS[product]))

    def n_class(self, product: str, codes: Sequence[int]) -> np.ndarray:
        """Return the number of pixels of the given classes, per zone."""
        counts = self._sums["counts"].row(self.spec.classes.index(product))
        return counts.over(1, codes).values()

    def n_bin(self, product: str, number: int) -> np.ndarray:
        """Return the number of pixels in a bin, per zone."""
        return np.asarray(
            self._sums["bins"].row(self.spec.values.index(product)).values()[:, number]
        )

    def mean(self, product: str, within: Sequence[int] | None = None) -> np.ndarray:
        """Return the mean in physical units, float64 (zone,); NaN where no pixel has a value."""
        n = self._pick("valid", product, within).values()
        total = self._pick("total", product, within).values()
        out = np.full(n.shape, np.nan)
        np.divide(total * PRODUCTS[product].scale, n, out=out, where=n > 0)
        return out

    def variance(self, product: str) -> np.ndarray:
        """Return the population variance in physical units; NaN where no pixel has a value."""
        out = np.full(self.n_zones, np.nan)
        n, total, squares = (self._pick(t, product, None) for t in ("valid", "total", "squares"))
        for z in np.flatnonzero(n.values()).tolist():
            # Python integers: n * squares can exceed 64 bits, and cancellation must stay exact.
            count = n.exact(z)
            spread = count * squares.exact(z) - total.exact(z) ** 2
            out[z] = spread / count**2 * PRODUCTS[product].scale ** 2
        return out

    def _pick(self, table: str, product: str, within: Sequence[int] | None) -> Sums:
        one = self._sums[table].row(self.spec.values.index(product))
        slots = None if within is None else [self.spec.group_codes.index(c) + 1 for c in within]
        return one.over(1, slots)


def _strip(room: np.ndarray, n: int, shape: tuple[int, int]) -> np.ndarray:
    """Return the first part of a flat array as n layers of a strip."""
    return room[: n * shape[0] * shape[1]].reshape(n, *shape)


def fill_of(product: str) -> np.int64:
    """Return the stored value that means "no value", `NO_FILL` where every value is one."""
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
