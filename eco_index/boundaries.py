"""Boundaries that changed between two years, told apart from change on the ground.

An assessment compares a year with an earlier one on the present boundaries, so that its changes are
those of the ground. What was published a year before stood on the boundaries of that year: the
difference of the two is the part that moving a boundary has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely

from eco_index.cube import CubeView
from eco_index.period import Period
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_raster import drawn_zones
from eco_index.zones import ZoneLayer


@dataclass(frozen=True)
class BoundaryChange:
    """What happened to a zone's boundary between two editions of a layer.

    Attributes
    ----------
    id : str
    name : Text
        The present name; the earlier one where the zone is gone.
    kind : {'same', 'moved', 'new', 'gone'}
        moved: more than the tolerance was added or removed.
    before_km2, now_km2 : float
        Area of the polygon in either edition, 0 where the zone does not exist.
    added_km2, removed_km2 : float
        Area that came to the zone and that left it.
    """

    id: str
    name: Text
    kind: Literal["same", "moved", "new", "gone"]
    before_km2: float
    now_km2: float
    added_km2: float
    removed_km2: float


def boundary_changes(
    before: ZoneLayer, now: ZoneLayer, tolerance_km2: float
) -> list[BoundaryChange]:
    """Compare two editions of a layer, zone by zone.

    Parameters
    ----------
    before, now : ZoneLayer
        Zones are the same where their ids are.
    tolerance_km2 : float
        Area up to which a boundary counts as unmoved (a pixel, say): every redrawing leaves
        slivers.

    Returns
    -------
    list of BoundaryChange
        Present zones in their order, then those that are gone. Areas are exact overlays of the
        polygons: before + added - removed = now.
    """
    was = dict(zip(before.ids, before.gdf.geometry.array, strict=True))
    found = []
    for zone, name, shape in zip(now.ids, now.names, now.gdf.geometry.array, strict=True):
        old = was.pop(zone, None)
        if old is None:
            found.append(BoundaryChange(zone, name, "new", 0.0, _km2(shape), _km2(shape), 0.0))
            continue
        added, removed = _km2(shapely.difference(shape, old)), _km2(shapely.difference(old, shape))
        moved = max(added, removed) > tolerance_km2
        kind: Literal["same", "moved"] = "moved" if moved else "same"
        found.append(BoundaryChange(zone, name, kind, _km2(old), _km2(shape), added, removed))
    for zone, shape in was.items():
        name = before.names[before.ids.index(zone)]
        found.append(BoundaryChange(zone, name, "gone", _km2(shape), 0.0, 0.0, _km2(shape)))
    return found


def _km2(shape: shapely.Geometry) -> float:
    return float(shapely.area(shape)) / 1e6


@dataclass(frozen=True)
class Split:
    """A change between two periods, of each present zone, in its two parts.

    Attributes
    ----------
    total : numpy.ndarray
        Value on the present boundaries minus the earlier value on its own boundaries: what two
        published tables differ by. NaN for zones that did not exist.
    ground : numpy.ndarray
        Change within the present boundaries.
    boundary : numpy.ndarray
        The rest, from moving the boundary: earlier value on the present boundaries minus earlier
        value on its own. total = ground + boundary.
    """

    total: np.ndarray
    ground: np.ndarray
    boundary: np.ndarray


@dataclass(frozen=True)
class EditionSums:
    """Sums of two periods over boundaries that differ.

    Attributes
    ----------
    layer, earlier : ZoneLayer
        The present boundaries, and those of the earlier period.
    now, before : ZoneSums
        Both periods on the present boundaries.
    own : ZoneSums
        The earlier period on its own boundaries.
    merged : bool
        Each of the sums is one, of all zones together.
    """

    layer: ZoneLayer
    earlier: ZoneLayer
    now: ZoneSums
    before: ZoneSums
    own: ZoneSums
    merged: bool = False

    def mean(self, product: str, within: Sequence[int] | None = None) -> Split:
        """Split the change of a mean (physical units)."""
        return self._split(*(s.mean(product, within) for s in (self.now, self.before, self.own)))

    def pixels_of_class(self, product: str, codes: Sequence[int]) -> Split:
        """Split the change of the area of classes (pixels)."""
        return self._split(
            *(s.n_class(product, codes).astype(float) for s in (self.now, self.before, self.own))
        )

    def share_of_class(self, product: str, codes: Sequence[int]) -> Split:
        """Split the change of the share of classes in the area with a class (%)."""
        return self._split(*(_share(s, product, codes) for s in (self.now, self.before, self.own)))

    def together(self) -> EditionSums:
        """Return the sums of all zones as one (zones of either edition must not overlap)."""
        now, before, own = (s.all_zones() for s in (self.now, self.before, self.own))
        return EditionSums(self.layer, self.earlier, now, before, own, merged=True)

    def _split(self, now: np.ndarray, before: np.ndarray, own: np.ndarray) -> Split:
        if self.merged:
            return Split(now - own, now - before, before - own)
        places = {zone: k for k, zone in enumerate(self.earlier.ids)}
        at = [places.get(zone, -1) for zone in self.layer.ids]
        there = np.array([own[k] if k >= 0 else np.nan for k in at])
        return Split(now - there, now - before, before - there)


def _share(sums: ZoneSums, product: str, codes: Sequence[int]) -> np.ndarray:
    valid = sums.n_valid(product)
    out = np.full(valid.shape, np.nan)
    np.divide(100 * sums.n_class(product, codes), valid, out=out, where=valid > 0)
    return out


def edition_sums(
    view: CubeView,
    period: Period,
    previous: Period,
    layer: ZoneLayer,
    earlier: ZoneLayer,
    spec: SumSpec,
) -> EditionSums:
    """Sum two periods over the present boundaries and over the earlier ones, tile by tile.

    Parameters
    ----------
    view : CubeView
        The cube.
    period, previous : Period
        The period assessed and the one compared with, of one cadence.
    layer, earlier : ZoneLayer
        Boundaries valid in either (`zones.load_layer` with the year of each).
    spec : SumSpec
        What is summed.
    """
    grid = view.grid
    now, before = ZoneSums(spec, len(layer)), ZoneSums(spec, len(layer))
    own = ZoneSums(spec, len(earlier))
    for tile in grid.tiles():
        here, there = (drawn_zones(each, grid, tile) for each in (layer, earlier))
        if not here and not there:
            continue
        arrays = {
            p.id: {name: view.read(p.cadence, name, p.id, tile) for name in spec.products}
            for p in (period, previous)
        }
        for drawn in here:
            now.add(drawn.ids, arrays[period.id], drawn.shares)
            before.add(drawn.ids, arrays[previous.id], drawn.shares)
        for drawn in there:
            own.add(drawn.ids, arrays[previous.id], drawn.shares)
    return EditionSums(layer, earlier, now, before, own)
