"""End members of the dimidiate pixel model from the image itself: percentiles per class and zone.

Histograms of stored NDVI (whole numbers, 1e-4) add up exactly, so the pairs do not depend on blocks
or tiles. One table serves all years: a pair of its own for every year would turn a change of the
image's greenest and barest pixels into a change of cover everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numba import njit

from eco_index.errors import InputError
from eco_index.indices.landcover import Crosswalk, check_codes
from eco_index.indices.vegetation import FVC_FILL, NDVI_FILL, stored_fvc
from eco_index.yamlio import Text

VERSION = 1  # changes when results change

Array = np.ndarray[Any, Any]

#: Vegetation types of HJ 1172-2021 by their number in `types_of`; 0 is missing.
TYPES: dict[int, tuple[str, Text]] = {
    1: ("forest", Text(zh="森林", en="forest")),
    2: ("shrub", Text(zh="灌丛", en="shrub")),
    3: ("grass", Text(zh="草地", en="grassland")),
    4: ("cropland", Text(zh="农田", en="cropland")),
    5: ("other", Text(zh="其他", en="other")),
}
_OF_LUCC = {21: 1, 23: 1, 24: 1, 22: 2, 31: 3, 32: 3, 33: 3, 11: 4, 12: 4}
ALL = "all"
_LOW, _BINS = -10_000, 20_001
_SCALE = 10_000
MIN_GAP = 0.1  # of a pair: below it, noise of NDVI alone makes cover


def types_of(codes: Array, crosswalk: Crosswalk, nodata: int | None, where: str) -> Array:
    """Return the vegetation type of each code of a land-cover map (uint8, 0 missing).

    Grassland is a type whatever its cover: the classes of cover need the end members first.

    Raises
    ------
    InputError
        A code that the crosswalk does not know.
    """
    check_codes(codes, crosswalk, nodata, where)
    out = np.zeros(codes.shape, np.uint8)
    for code, rule in crosswalk.codes.items():
        if code not in (nodata, crosswalk.nodata):
            out[codes == code] = 3 if rule.lucc is None else _OF_LUCC.get(rule.lucc, 5)
    return out


@njit(cache=True, nogil=True)
def _count(ndvi, group, low, counts):  # type: ignore[no-untyped-def]
    """Add a histogram per group; returns the number of values outside the bins."""
    odd = 0
    for i in range(ndvi.size):
        value = np.int64(ndvi[i])
        if value == NDVI_FILL or group[i] < 0:
            continue
        step = value - low
        if step < 0 or step >= counts.shape[1]:
            odd += 1
        else:
            counts[group[i], step] += 1
    return odd


@dataclass
class Histograms:
    """Counts of stored NDVI per group; add them with ``+``: exact in any order.

    Attributes
    ----------
    counts : dict
        (zone, type) to int64[20001]; bin 0 is NDVI −1. Zone and type 0: unknown.
    """

    counts: dict[tuple[int, int], Array] = field(default_factory=dict)

    def __add__(self, other: Histograms) -> Histograms:
        out = dict(self.counts)
        for key, counts in other.counts.items():
            out[key] = out[key] + counts if key in out else counts
        return Histograms(out)

    def pooled(self, *, zone: int | None = None, kind: int | None = None) -> Array:
        """Sum of the groups of a zone, of a type, or of both; of all where neither is given."""
        total = np.zeros(_BINS, np.int64)
        for (z, k), counts in self.counts.items():
            if zone in (None, z) and kind in (None, k):
                total += counts
        return total


def histograms(ndvi: Array, zones: Array | None = None, types: Array | None = None) -> Histograms:
    """Count stored NDVI per zone and type.

    Parameters
    ----------
    ndvi : int16 array
        NDVI × 1e4, −32768 missing.
    zones, types : integer array, optional
        Same shape; 0 unknown.

    Raises
    ------
    InputError
        Another type or shape, or values beyond ±1.
    """
    if ndvi.dtype != np.int16:
        raise InputError(
            f"NDVI is of type {ndvi.dtype}", rule="int16, NDVI x 1e4", fix="use stored values"
        )
    group = np.zeros(ndvi.shape, np.int64)
    for name, part in (("zones", zones), ("types", types)):
        if part is None:
            group = group * 256
            continue
        if part.shape != ndvi.shape or part.dtype.kind not in "iu":
            raise InputError(
                f"'{name}' is {part.dtype}{part.shape}", rule=f"whole numbers, {ndvi.shape}"
            )
        group = group * 256 + part
    ids, at = np.unique(group.ravel(), return_inverse=True)
    counts = np.zeros((ids.size, _BINS), np.int64)
    odd = _count(np.ascontiguousarray(ndvi).ravel(), at.ravel(), _LOW, counts)
    if odd:
        raise InputError(f"{odd} values of NDVI lie beyond -1 to 1", rule="NDVI x 1e4")
    keys = [(int(i) // 256, int(i) % 256) for i in ids]
    return Histograms({k: c for k, c in zip(keys, counts, strict=True) if c.any()})


@dataclass(frozen=True)
class Pair:
    """NDVI of bare soil and of full vegetation of a group.

    Attributes
    ----------
    soil, veg : float
    pixels : int
        Pixels of the group itself.
    of : str
        Group that the pair was found in: its own name, or that of a larger one it fell back to.
    """

    soil: float
    veg: float
    pixels: int
    of: str


@dataclass(frozen=True)
class EndMembers:
    """A pair for every group, one table for all years.

    Attributes
    ----------
    whole : Pair
        Of all pixels: for pixels without class or zone and for groups that are too small.
    pairs : dict
        Name of a group (``zone|type``) to its pair.
    zones : tuple of str
        Ids of the zones, in the order of their numbers 1…n; empty if zones are not told apart.
    by_class : bool
        Whether vegetation types are told apart.
    percent : tuple of float
        Percentiles of soil and vegetation.
    base : tuple of str
        Periods whose seasonal maximum NDVI was counted.
    inputs : str
        Digest of what it was fitted on.
    """

    whole: Pair
    pairs: Mapping[str, Pair]
    zones: tuple[str, ...] = ()
    by_class: bool = False
    percent: tuple[float, float] = (5.0, 95.0)
    base: tuple[str, ...] = ()
    inputs: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str, where: str) -> EndMembers:
        """Read what `to_json` wrote."""
        try:
            raw = json.loads(text)
            raw["whole"] = Pair(**raw["whole"])
            raw["pairs"] = {k: Pair(**v) for k, v in raw["pairs"].items()}
            for key in ("zones", "percent", "base"):
                raw[key] = tuple(raw[key])
            return cls(**raw)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"this is no table of end members: {error}",
                where=where,
                fix="delete the file: the next run makes it again",
            ) from None

    def pair(self, zone: int, kind: int) -> Pair:
        """Return the pair of a zone number and a type number (0: unknown)."""
        return self.pairs.get(self._name(zone, kind), self.whole)

    def _name(self, zone: int, kind: int) -> str:
        return _name(zone, kind, self.zones, self.by_class)


def _name(zone: int, kind: int, zones: Sequence[str], by_class: bool) -> str:
    place = zones[zone - 1] if zones and 0 < zone <= len(zones) else ALL
    return f"{place}|{TYPES[kind][0] if by_class and kind else ALL}"


def fit(
    counted: Histograms,
    percent: tuple[float, float],
    min_pixels: int,
    zones: Sequence[str] = (),
    by_class: bool = False,
    base: Sequence[str] = (),
    inputs: str = "",
) -> EndMembers:
    """Find the pair of every group.

    Parameters
    ----------
    counted : Histograms
        Of all blocks, tiles and base years.
    percent : tuple of float
        Percentiles that are soil and full vegetation (inverted distribution function).
    min_pixels : int
        A smaller group, or one whose pair is closer than `MIN_GAP`, falls back: to its type in
        all zones, then to all pixels.
    zones, by_class, base, inputs
        As in `EndMembers`.

    Raises
    ------
    InputError
        All pixels together are too few or too much alike.
    """
    low, high = percent
    if not 0 <= low < high <= 100:
        raise InputError(f"percentiles {low:g} and {high:g}", rule="0 <= low < high <= 100")

    def found(counts: Array, name: str) -> Pair | None:
        n = int(counts.sum())
        if n < min_pixels:
            return None
        soil, veg = (_percentile(counts, n, p) for p in percent)
        gap = (veg - soil) / _SCALE
        return Pair(soil / _SCALE, veg / _SCALE, n, name) if gap >= MIN_GAP else None

    everything = counted.pooled()
    whole = found(everything, f"{ALL}|{ALL}")
    if whole is None:
        raise InputError(
            f"end members cannot be found: {int(everything.sum())} pixels with NDVI, or too alike",
            where=f"percentiles {low:g} and {high:g}, base {', '.join(base) or 'given'}",
            rule=f"at least {min_pixels} pixels, and {MIN_GAP} of NDVI between soil and vegetation",
            fix="use a fixed pair, or another base period",
        )
    pairs: dict[str, Pair] = {}
    kinds = range(1, 6) if by_class else [0]
    for kind in kinds:
        chosen = kind or None
        name = _name(0, kind, (), by_class)
        broad = found(counted.pooled(kind=chosen), name) or whole
        if name != f"{ALL}|{ALL}":
            count = int(counted.pooled(kind=chosen).sum())
            pairs[name] = Pair(broad.soil, broad.veg, count, broad.of)
        for number in range(1, len(zones) + 1):
            counts = counted.pooled(zone=number, kind=chosen)
            own_name = _name(number, kind, zones, by_class)
            own = found(counts, own_name) or broad
            pairs[own_name] = Pair(own.soil, own.veg, int(counts.sum()), own.of)
    return EndMembers(
        whole, pairs, tuple(zones), by_class, (float(low), float(high)), tuple(base), inputs
    )


def _percentile(counts: Array, total: int, percent: float) -> int:
    rank = max(1, int(np.ceil(round(percent / 100 * total, 6))))
    return _LOW + int(np.searchsorted(np.cumsum(counts), rank))


def stored_fvc_of(
    ndvi: Array, members: EndMembers, zones: Array | None = None, types: Array | None = None
) -> Array:
    """Vegetation cover × 1e4 (uint16, 65535 missing) with the pair of each pixel's group."""
    zone = np.zeros(ndvi.shape, np.int64) if zones is None else zones.astype(np.int64)
    kind = np.zeros(ndvi.shape, np.int64) if types is None else types.astype(np.int64)
    group = zone * 256 + kind
    out = np.full(ndvi.shape, FVC_FILL, np.uint16)
    made: dict[tuple[float, float], Array] = {}
    for code in np.unique(group).tolist():
        pair = members.pair(code // 256, code % 256)
        key = (pair.soil, pair.veg)
        if key not in made:
            made[key] = stored_fvc(ndvi, *key)
        here = group == code
        out[here] = made[key][here]
    return out


def stored_fvc_of_maps(ndvi: Array, soil: Array, veg: Array) -> Array:
    """Vegetation cover × 1e4 with end members of their own for every pixel.

    Parameters
    ----------
    ndvi : int16[h, w]
        NDVI × 1e4, −32768 missing.
    soil, veg : float[h, w]
        NDVI of bare soil and of full vegetation; NaN where not given: no cover there.

    Raises
    ------
    InputError
        Values beyond ±1, or a pair closer than `MIN_GAP` (named with the number of pixels).
    """
    for name, values in (("soil", soil), ("vegetation", veg)):
        wrong = np.abs(values) > 1
        if wrong.any():
            raise InputError(
                f"the map of NDVI of {name} holds {int(wrong.sum())} values beyond -1 to 1",
                rule="NDVI, -1 to 1",
                fix="give 'scale' and 'nodata' of the map in the catalogue",
            )
    gap = veg.astype(np.float64) - soil
    close = gap < MIN_GAP - 1e-9
    if close.any():
        raise InputError(
            f"in {int(close.sum())} pixels NDVI of vegetation exceeds that of soil by less than "
            f"{MIN_GAP}",
            rule="vegetation exceeds soil in every pixel; no-data where no pair is known",
        )
    with np.errstate(invalid="ignore"):
        share = np.clip((ndvi / _SCALE - soil.astype(np.float64)) / gap, 0.0, 1.0)
        stored = np.floor(share * _SCALE + 0.5)
    missing = (ndvi == NDVI_FILL) | np.isnan(stored)
    return np.where(missing, FVC_FILL, np.where(missing, 0, stored)).astype(np.uint16)


def statement(members: EndMembers, most: int = 12, language: str = "en") -> str:
    """Say in one line which pairs were used (``en`` or ``zh``)."""
    zh = language == "zh"
    parts = [f"{'全部' if zh else 'all'} {members.whole.soil:.4f}/{members.whole.veg:.4f}"]
    shown = list(members.pairs.items())[:most]
    parts += [f"{name} {p.soil:.4f}/{p.veg:.4f}" for name, p in shown]
    if len(members.pairs) > most:
        more = len(members.pairs) - most
        parts.append(f"另有{more}组" if zh else f"and {more} more groups")
    low, high = members.percent
    if zh:
        base = "、".join(map(str, members.base)) or "所给的图"
        return (
            f"土壤／植被NDVI：{base}的第{low:g}与第{high:g}百分位，各年同一表：{'；'.join(parts)}"
        )
    return (
        f"NDVI of soil/vegetation: percentiles {low:g} and {high:g} of "
        f"{', '.join(members.base) or 'the given map'}, one table for all years: {'; '.join(parts)}"
    )
