"""Exact sums of service maps and of grades over zones: integers that merge by addition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eco_index.services import FILL, SERVICES, ServiceMaps, TileMap
from eco_index.shares import Sums
from eco_index.summary import Zone
from eco_index.zone_raster import ZonePixels, zone_pixels
from eco_index.zones import ZoneLayer

#: Lines that stand for several zones, and the line of each zone, -1 for none (`totals.groupings`).
Grouping = tuple[Sequence[Zone], np.ndarray]
#: Share of a unit without data up to which a mean over its pixels is used (own rule).
MOST_WITHOUT_DATA = 0.05

#: Stored grade: the problem does not exist there, there is no value.
OUTSIDE, MISSING = 254, 255


class ServiceSums:
    """Sums of a service over zones.

    Attributes
    ----------
    scope, valid, total : Sums
        (zone,): pixels on which the service exists (or whose class is not known), pixels with a
        value, and the sum of stored values.
    """

    def __init__(self, n_zones: int) -> None:
        self.scope, self.valid, self.total = (Sums((n_zones,)) for _ in range(3))

    def add(self, drawn: ZonePixels, found: TileMap) -> None:
        """Add a tile."""
        known = found.stored != FILL
        values = np.where(known, found.stored, 0).astype(np.int64)
        tables = (
            (self.scope, found.scope.astype(np.int64)),
            (self.valid, known.astype(np.int64)),
            (self.total, values),
        )
        inside = drawn.ids > 0
        zones = drawn.ids[inside] - 1
        shares = drawn.shares
        for sums, array in tables:
            np.add.at(sums.whole, zones, array[inside])
            sums.add_shares((shares.zone,), shares.share, array.reshape(-1)[shares.at])

    def with_totals(self, groupings: Sequence[Grouping]) -> ServiceSums:
        """Return these sums with the lines of `totals.groupings` behind those of the zones."""
        scope, valid, total = (
            _with_totals(sums, groupings) for sums in (self.scope, self.valid, self.total)
        )
        out = ServiceSums(scope.whole.size)
        out.scope, out.valid, out.total = scope, valid, total
        return out

    def mean(self, scale: float) -> np.ndarray:
        """Return means in physical units, float64 (zone,); NaN where no pixel has a value."""
        n = self.valid.values()
        out = np.full(n.shape, np.nan)
        np.divide(self.total.values() * scale, n, out=out, where=n > 0)
        return out


class GradeSums:
    """Pixels of each grade in each zone.

    Attributes
    ----------
    counts : Sums
        (zone, 256): pixels by stored grade; `OUTSIDE` and `MISSING` have columns of their own.
    """

    def __init__(self, n_zones: int) -> None:
        self.counts = Sums((n_zones, 256))

    def add(self, drawn: ZonePixels, grades: np.ndarray) -> None:
        """Add a tile of stored grades, uint8 (h, w)."""
        inside = drawn.ids > 0
        slot = (drawn.ids[inside] - 1) * 256 + grades[inside]
        size = self.counts.whole.size
        self.counts.whole += np.bincount(slot, minlength=size).reshape(-1, 256)
        shares = drawn.shares
        code = grades.reshape(-1)[shares.at].astype(np.int64)
        self.counts.add_shares((shares.zone, code), shares.share, np.ones_like(code))

    def with_totals(self, groupings: Sequence[Grouping]) -> GradeSums:
        """Return these counts with the lines of `totals.groupings` behind those of the zones."""
        counts = _with_totals(self.counts, groupings)
        out = GradeSums(len(counts.whole))
        out.counts = counts
        return out


def _with_totals(sums: Sums, groupings: Sequence[Grouping]) -> Sums:
    """Return sums of zones and of their groups, one below the other along the first axis."""
    parts = [sums, *(sums.gathered(0, index, len(lines)) for lines, index in groupings)]
    out = Sums((sum(len(p.whole) for p in parts), *sums.whole.shape[1:]))
    out.whole[:] = np.concatenate([p.whole for p in parts])
    if sums.part is not None:  # then those of its groups have theirs, too
        out.part = np.concatenate([p.part for p in parts if p.part is not None])
    return out


def service_means(maps: ServiceMaps, name: str, units: ZoneLayer) -> np.ndarray:
    """Return the mean of a service over units, float64 (unit,), in the service's own unit.

    NaN where more than `MOST_WITHOUT_DATA` of the pixels on which the service exists have no value.
    """
    sums, grid = ServiceSums(len(units)), maps.region.grid
    for tile in grid.tiles():
        drawn = zone_pixels(units, grid, tile)
        if drawn.any():
            sums.add(drawn, maps.tile(name, tile))
    enough = sums.valid.values() >= (1 - MOST_WITHOUT_DATA) * sums.scope.values()
    mean: np.ndarray = np.where(enough, sums.mean(SERVICES[name].scale), np.nan)
    return mean
