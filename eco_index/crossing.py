"""Two zone layers crossed: red line x county, reserve x functional zone, with any sums over each.

Combinations are numbered, drawn and summed like zones, so that classes (land cover) cross with them
for nothing. What a zone shares with no zone of the other layer is a combination too: the
combinations of a zone add up to the zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import geopandas as gpd
import numpy as np
import shapely
from numba import njit

from eco_index.cube import CubeView
from eco_index.errors import UsageError
from eco_index.grid import Grid, Tile
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.shares import PixelShares
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_raster import ZonePixels, zone_ids, zone_pixels
from eco_index.zones import ZoneLayer

#: The number of "no zone of this layer" in a combination.
NONE = -1


@dataclass(frozen=True)
class CrossRow:
    """One line of a combination table.

    Attributes
    ----------
    first, second : str
        Ids of the two zones, "" for none.
    first_name, second_name : Text or None
    area_km2 : float
        Area of the combination on the grid.
    values : dict
        Product to mean in physical units, None where nothing was observed.
    valid_km2 : dict
        Product to the area with a value.
    classes_km2 : dict
        Class-map product to {class code: area}; codes that occur.
    """

    first: str
    second: str
    first_name: Text | None
    second_name: Text | None
    area_km2: float
    values: dict[str, float | None]
    valid_km2: dict[str, float]
    classes_km2: dict[str, dict[int, float]]


@dataclass(frozen=True)
class Crossing:
    """Combinations of the zones of two layers.

    Attributes
    ----------
    first, second : ZoneLayer
    pairs : numpy.ndarray
        int64 (n, 2): number of the zone of either layer, `NONE` for none; in order.
    overlay : ZoneLayer or None
        Polygons of the combinations where either layer counts shares of pixels; None where pixel
        centres decide for both.
    """

    first: ZoneLayer
    second: ZoneLayer
    pairs: np.ndarray
    overlay: ZoneLayer | None

    def __len__(self) -> int:
        return len(self.pairs)

    @cached_property
    def _keys(self) -> np.ndarray:
        return _key(self.pairs[:, 0] + 1, self.pairs[:, 1] + 1, len(self.second))

    def pixels(self, grid: Grid, tile: Tile) -> list[ZonePixels]:
        """Return which pixels of a tile belong to which combination, for `ZoneSums.add`.

        Several where zones of a layer overlap: each belongs to the sums.
        """
        if self.overlay is not None:
            return [zone_pixels(self.overlay, grid, tile)]
        ours = [zone_ids(self.first, grid, tile, s) for s in range(self.first.n_sheets)]
        theirs = [zone_ids(self.second, grid, tile, s) for s in range(self.second.n_sheets)]
        if len(ours) == len(theirs) == 1:
            return [self._drawn(ours[0], theirs[0])]
        nothing = np.zeros(tile.shape, np.int32)
        in_ours = np.logical_or.reduce([ids > 0 for ids in ours])
        in_theirs = np.logical_or.reduce([ids > 0 for ids in theirs])
        drawn = [
            self._drawn(np.where(b > 0, a, 0), np.where(a > 0, b, 0)) for a in ours for b in theirs
        ]
        drawn += [self._drawn(np.where(in_theirs, 0, a), nothing) for a in ours]
        return drawn + [self._drawn(nothing, np.where(in_ours, 0, b)) for b in theirs]

    def _drawn(self, ours: np.ndarray, theirs: np.ndarray) -> ZonePixels:
        out = np.zeros(ours.shape, np.int32)
        if not _number(ours, theirs, np.int64(len(self.second)), self._keys, out):
            raise AssertionError("a pixel lies in two zones whose polygons do not meet")
        empty = np.empty(0, np.int64)
        return ZonePixels(out, PixelShares(empty, empty, empty))

    def margin(self, sums: ZoneSums, axis: int) -> ZoneSums:
        """Return the sums of the zones of the first (0) or second (1) layer over the other's.

        They equal the layer's own sums unless zones of the other layer overlap.
        """
        layer = (self.first, self.second)[axis]
        return sums.grouped(self.pairs[:, axis], len(layer))

    def rows(self, sums: ZoneSums, pixel_km2: float) -> list[CrossRow]:
        """Return the table: combinations that have area, in order.

        Parameters
        ----------
        sums : ZoneSums
            Of `cross_sums` (or merged from tiles with `pixels`).
        pixel_km2 : float
            Area of a pixel.
        """
        spec = sums.spec
        means = {p: sums.mean(p) for p in spec.values}
        valid = {p: sums.n_valid(p) for p in spec.values}
        codes = {p: sorted(PRODUCTS[p].flags) for p in spec.classes}
        counts = {p: {c: sums.n_class(p, (c,)) for c in codes[p]} for p in spec.classes}
        pixels, out = sums.pixels, []
        for k in np.flatnonzero(pixels > 0).tolist():
            i, j = self.pairs[k].tolist()
            out.append(
                CrossRow(
                    first=self.first.ids[i] if i >= 0 else "",
                    second=self.second.ids[j] if j >= 0 else "",
                    first_name=self.first.names[i] if i >= 0 else None,
                    second_name=self.second.names[j] if j >= 0 else None,
                    area_km2=float(pixels[k]) * pixel_km2,
                    values={p: None if np.isnan(m[k]) else float(m[k]) for p, m in means.items()},
                    valid_km2={p: float(n[k]) * pixel_km2 for p, n in valid.items()},
                    classes_km2={
                        p: {c: float(n[k]) * pixel_km2 for c, n in table.items() if n[k] > 0}
                        for p, table in counts.items()
                    },
                )
            )
        return out


def cross(first: ZoneLayer, second: ZoneLayer) -> Crossing:
    """Cross two layers of one region.

    Parameters
    ----------
    first, second : ZoneLayer
        Zones of either may overlap; then combinations of the other layer's zones add up to more
        than the zone.

    Returns
    -------
    Crossing
        Pairs of zones that meet, and each zone with no zone of the other layer.

    Notes
    -----
    Where pixel centres decide for both layers, a pixel belongs to the combination of its two zones:
    margins are exact integers. Where one counts shares of pixels, the polygons are intersected and
    every combination gets shares; margins then agree with those of zones that get shares too,
    within the rounding of the new corners (about 1e-9).

    Raises
    ------
    UsageError
        The layers are not in the same CRS.
    """
    if first.gdf.crs != second.gdf.crs:
        raise UsageError(f"layers '{first.id}' and '{second.id}' are not on the same grid")
    a, b = (np.asarray(layer.gdf.geometry.array, dtype=object) for layer in (first, second))
    i, j = shapely.STRtree(b).query(a, predicate="intersects")
    pairs = np.concatenate(
        [
            np.column_stack([i, j]),
            np.column_stack([np.arange(len(a)), np.full(len(a), NONE)]),
            np.column_stack([np.full(len(b), NONE), np.arange(len(b))]),
        ]
    ).astype(np.int64)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    if not (first.exact.any() or second.exact.any()):
        return Crossing(first, second, pairs, None)
    all_a, all_b = shapely.union_all(a), shapely.union_all(b)
    shapes = np.array([_polygons(a, b, all_a, all_b, *pair) for pair in pairs.tolist()], object)
    some = shapely.area(shapes) > 0
    return Crossing(first, second, pairs[some], _overlay(first, second, pairs[some], shapes[some]))


def cross_sums(view: CubeView, period: Period, crossing: Crossing, spec: SumSpec) -> ZoneSums:
    """Sum a period over every combination, tile by tile.

    Parameters
    ----------
    view : CubeView
        The cube.
    period : Period
        A period whose products are done.
    crossing : Crossing
        Of `cross`.
    spec : SumSpec
        What is summed; a class product (land cover) is a third side of the table.
    """
    sums = ZoneSums(spec, len(crossing))
    for tile in view.grid.tiles():
        drawn = [d for d in crossing.pixels(view.grid, tile) if d.any()]
        if not drawn:
            continue
        arrays = {p: view.read(period.cadence, p, period.id, tile) for p in spec.products}
        for part in drawn:
            sums.add(part.ids, arrays, part.shares)
    return sums


def _polygons(
    a: np.ndarray, b: np.ndarray, all_a: shapely.Geometry, all_b: shapely.Geometry, i: int, j: int
) -> shapely.Geometry:
    if j == NONE:
        shape = shapely.difference(a[i], all_b)
    elif i == NONE:
        shape = shapely.difference(b[j], all_a)
    else:
        shape = shapely.intersection(a[i], b[j])
    # Where borders only touch, lines and points come along: they have no area.
    return shapely.MultiPolygon([p for p in shapely.get_parts(shape) if p.geom_type == "Polygon"])


def _overlay(
    first: ZoneLayer, second: ZoneLayer, pairs: np.ndarray, shapes: np.ndarray
) -> ZoneLayer:
    def names(layer: ZoneLayer, k: int) -> tuple[str, Text]:
        return (layer.ids[k], layer.names[k]) if k >= 0 else ("", Text(zh="—", en="-"))

    n = len(pairs)
    labels = [(names(first, i), names(second, j)) for i, j in pairs.tolist()]
    return replace(
        first,
        id=f"{first.id} x {second.id}",
        gdf=gpd.GeoDataFrame(geometry=list(shapes), crs=first.gdf.crs),
        ids=tuple(f"{a[0]} x {b[0]}" for a, b in labels),
        names=tuple(
            Text(zh=f"{a[1].zh} × {b[1].zh}", en=f"{a[1].en} x {b[1].en}") for a, b in labels
        ),
        attributes=({},) * n,
        groups=(),
        group_names={},
        area_km2=shapely.area(shapes) / 1e6,
        inside_km2=shapely.area(shapes) / 1e6,
        outside=(),
        sheets=np.zeros(n, np.int32),
        partition=first.partition and second.partition,
        exact=np.ones(n, bool),
        _edges={},
    )


def _key(i: np.ndarray, j: np.ndarray, n_second: int) -> np.ndarray:
    return np.asarray(i * (n_second + 1) + j, np.int64)


def pairs_of(crossing: Crossing) -> Sequence[tuple[str, str]]:
    """Return the ids of the two zones of every combination, "" for none."""
    return [
        (
            crossing.first.ids[i] if i >= 0 else "",
            crossing.second.ids[j] if j >= 0 else "",
        )
        for i, j in crossing.pairs.tolist()
    ]


@njit(cache=True, nogil=True)
def _number(ours, theirs, n_second, keys, out):  # type: ignore[no-untyped-def]
    """Number the combination of each pixel, from 1; 0 outside both. False: an unknown one."""
    last_key, last = np.int64(0), np.int32(0)
    for y in range(ours.shape[0]):
        for x in range(ours.shape[1]):
            key = np.int64(ours[y, x]) * (n_second + 1) + theirs[y, x]
            if key == 0:
                continue
            if key != last_key:
                at = np.searchsorted(keys, key)
                if at == keys.size or keys[at] != key:
                    return False
                last_key, last = key, np.int32(at + 1)
            out[y, x] = last
    return True
