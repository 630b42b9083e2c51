"""Exact sums of service maps and of grades over zones: integers that merge by addition."""

from __future__ import annotations

import numpy as np

from eco_index.services import FILL, TileMap
from eco_index.shares import Sums
from eco_index.zone_raster import ZonePixels

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

    def together(self) -> ServiceSums:
        """Return the sums of all zones as one zone (zones must not overlap)."""
        out = ServiceSums(1)
        n = self.scope.whole.size
        for name in ("scope", "valid", "total"):
            setattr(out, name, getattr(self, name).gathered(0, np.zeros(n, np.int64), 1))
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
        np.add.at(self.counts.whole, (drawn.ids[inside] - 1, grades[inside]), 1)
        shares = drawn.shares
        code = grades.reshape(-1)[shares.at].astype(np.int64)
        self.counts.add_shares((shares.zone, code), shares.share, np.ones_like(code))

    def table(self, together: bool) -> np.ndarray:
        """Return pixels (zone, 256), with a last line of all zones if asked for."""
        if not together:
            return self.counts.values()
        n = len(self.counts.whole)
        whole = self.counts.gathered(0, np.zeros(n, np.int64), 1).values()
        return np.vstack([self.counts.values(), whole])
