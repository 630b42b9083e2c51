"""What intervals stand on: sums over cells of each zone with gaps, and NDVI with its end members.

One pass over the tiles. Sums are of stored whole numbers, so no figure depends on the tiling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from eco_index import cover
from eco_index.analysis.end_members import CoverMean, Group, end_member_part, grouped_part, ranges
from eco_index.analysis.gaps import Cells, cells_of, gap_error, side_for
from eco_index.analysis.uncertainty import Part, normal_part
from eco_index.assessment.parts.context import Context
from eco_index.assessment.parts.series import sheets_of
from eco_index.errors import InputError
from eco_index.grid import Tile
from eco_index.methods import Method
from eco_index.products import PRODUCTS
from eco_index.shares import WHOLE
from eco_index.zone_raster import ZonePixels

_LOW, _BINS = -10_000, 20_001  # stored NDVI
CHANGE = "change"
Pair = tuple[float, float]
#: A part of a tile, and what gives a variable's values there.
Crop = tuple[slice, slice]
Values = Callable[[Crop], np.ndarray]
#: Row and column of the first pixel, rows, columns.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Wanted:
    """What is summed beside NDVI.

    Attributes
    ----------
    cover : bool
        Mean vegetation cover and, where a period is compared, its change.
    classes : dict
        Class map to the codes whose shares are told.
    means : tuple of str
        Other products whose means are told.
    """

    cover: bool
    classes: dict[str, tuple[int, ...]]
    means: tuple[str, ...] = ()


@dataclass
class IntervalSums:
    """Sums by zone; zone number len(layer) is all zones together.

    Attributes
    ----------
    cells : dict
        (zone, variable) to sums over its cells; variable 'fvc', 'change', another product, or
        (map, code).
    now, both_now, both_before : dict
        (zone, pair of end members) to int64[20001], pixels by stored NDVI: with cover now, and
        with cover in both periods.
    """

    cells: dict[tuple[int, object], Cells] = field(default_factory=dict)
    now: dict[tuple[int, Pair | None], np.ndarray] = field(default_factory=dict)
    both_now: dict[tuple[int, Pair | None], np.ndarray] = field(default_factory=dict)
    both_before: dict[tuple[int, Pair | None], np.ndarray] = field(default_factory=dict)

    def mean_change(self, zone: int) -> float:
        """Mean change of cover (stored units) of the pixels seen in both periods."""
        return self.cells[zone, CHANGE].mean

    def gaps(self, zone: int, variable: object, limits: Pair, scale: float) -> Part | None:
        """Return the part of gaps; None where it cannot be estimated."""
        if (zone, variable) not in self.cells:
            return normal_part("gaps", 0.0)
        error = gap_error(self.cells[zone, variable], limits)
        return None if np.isnan(error.sigma) else error.part(scale)

    def end_members(self, zone: int, method: Method, *, change: bool) -> Part | None:
        """Return the part of end members, in percent; None where no pair is known."""
        counts = self.both_now if change else self.now
        groups = []
        for (where, pair), n in counts.items():
            if where != zone or not n.any():
                continue
            if pair is None:
                return None
            before = _mean(self.both_before[zone, pair]) if change else None
            groups.append(Group(_mean(n), *pair, before))
        if not groups:
            return None
        (s_low, s_high), (v_low, v_high) = ranges(method)
        g = groups[0]
        inside = s_low <= g.soil <= s_high and v_low <= g.veg <= v_high
        try:
            if len(groups) == 1 and inside:
                return end_member_part(g.cover, g.soil, g.veg, method, before=g.before, scale=100)
            return grouped_part(groups, method, scale=100)
        except InputError:  # a pair closer than what it may be off
            return None


def _mean(counts: np.ndarray) -> CoverMean:
    at = np.flatnonzero(counts)
    return CoverMean((at + _LOW) * PRODUCTS["ndvi_max"].scale, counts[at])


def sum_intervals(context: Context, wanted: Wanted) -> IntervalSums:
    """Sum what the intervals of an assessment need.

    Raises
    ------
    InputError
        End members that were not fitted yet, or whose files are missing.
    """
    out = IntervalSums()
    layer, view, period, compared = context.layer, context.view, context.period, context.compared
    boxes = _boxes(context)
    holes = _holes(context, wanted)
    if not wanted.cover and not any(h.any() for h in holes.values()):
        return out
    products = [*(("fvc", "ndvi_max") if wanted.cover else ()), *wanted.classes, *wanted.means]
    for tile in view.grid.tiles():
        sheets = sheets_of(context, tile)
        if not sheets:
            continue
        now = {p: view.read(period.cadence, p, period.id, tile) for p in products}
        before = {}
        if compared is not None and wanted.cover:
            for p in ("fvc", "ndvi_max"):
                before[p] = view.read(compared.cadence, p, compared.id, tile)
        pairs = list(_pairs(context, tile)) if wanted.cover else []
        values = _values(wanted, now, before)
        for drawn in sheets:
            ids = _nearest_whole(drawn)
            for k in (np.unique(ids[ids > 0]) - 1).tolist():
                inside = ids == k + 1
                _histograms(out, k, inside, pairs, now, before)
                _cells(out, k, tile, inside, values, boxes[k], holes)
            if len(layer) in boxes:
                _cells(out, len(layer), tile, ids > 0, values, boxes[len(layer)], holes)
    if len(layer) in boxes:
        for table in (out.now, out.both_now, out.both_before):
            for (_, pair), n in list(table.items()):
                key = (len(layer), pair)
                table[key] = table[key] + n if key in table else n
    return out


def _nearest_whole(drawn: ZonePixels) -> np.ndarray:
    """Return the zones' ids with a pixel that is shared given to the zone that has half of it.

    Intervals count patches of pixels; the numbers themselves stand on the shares.
    """
    if not len(drawn.shares):
        return drawn.ids
    ids = drawn.ids.copy()
    most = 2 * drawn.shares.share >= WHOLE
    ids.reshape(-1)[drawn.shares.at[most]] = drawn.shares.zone[most] + 1
    return ids


def _values(
    wanted: Wanted, now: dict[str, np.ndarray], before: dict[str, np.ndarray]
) -> dict[object, Values]:
    """Return what gives the stored values of every variable in a part of the tile, NaN without."""

    def known(product: str, arrays: dict[str, np.ndarray]) -> Values:
        return lambda part: _known(product, arrays[product][part])

    def change(part: Crop) -> np.ndarray:
        return np.asarray(_known("fvc", now["fvc"][part]) - _known("fvc", before["fvc"][part]))

    def member(name: str, code: int) -> Values:
        fill = PRODUCTS[name].fill
        return lambda part: np.where(
            now[name][part] == fill, np.nan, (now[name][part] == code).astype(np.float64)
        )

    found: dict[object, Values] = {n: known(n, now) for n in wanted.means}
    if wanted.cover:
        found["fvc"] = known("fvc", now)
        if before:
            found[CHANGE] = change
    found |= {(n, code): member(n, code) for n, codes in wanted.classes.items() for code in codes}
    return found


def _known(product: str, stored: np.ndarray) -> np.ndarray:
    return np.where(stored == PRODUCTS[product].fill, np.nan, stored.astype(np.float64))


def _holes(context: Context, wanted: Wanted) -> dict[str, np.ndarray]:
    """Tell which zones (the last entry: all together) have pixels without a value, by product."""
    out = {}
    sums = context.sums
    for name in [*(("fvc",) if wanted.cover else ()), *wanted.classes, *wanted.means]:
        holes = sums.now.n_valid(name) < sums.now.pixels
        out[name] = np.append(holes, holes.any())
    return out


def _cells(
    out: IntervalSums,
    k: int,
    tile: Tile,
    inside: np.ndarray,
    values: dict[object, Values],
    box: Box,
    holes: dict[str, np.ndarray],
) -> None:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    origin = tile.y0 + int(rows[0]) - box[0], tile.x0 + int(columns[0]) - box[1]
    for name, of in values.items():
        product = name[0] if isinstance(name, tuple) else name
        # The change is always summed: its mean is printed.
        if product != CHANGE and not holes[str(product)][k]:
            continue
        made = cells_of(of(part), inside[part], side_for(*box[2:]), origin=origin, shape=box[2:])
        held = out.cells.get((k, name))
        out.cells[k, name] = made if held is None else held.merge(made)


def _histograms(
    out: IntervalSums,
    k: int,
    inside: np.ndarray,
    pairs: list[tuple[Pair | None, np.ndarray | None]],
    now: dict[str, np.ndarray],
    before: dict[str, np.ndarray],
) -> None:
    fill = PRODUCTS["fvc"].fill
    for pair, where in pairs:
        seen = inside & (now["fvc"] != fill)
        seen = seen if where is None else seen & where
        _add(out.now, (k, pair), now["ndvi_max"][seen])
        if before:
            both = seen & (before["fvc"] != fill)
            _add(out.both_now, (k, pair), now["ndvi_max"][both])
            _add(out.both_before, (k, pair), before["ndvi_max"][both])


def _add(
    table: dict[tuple[int, Pair | None], np.ndarray], key: tuple[int, Pair | None], ndvi: np.ndarray
) -> None:
    counts = np.bincount(ndvi.astype(np.int64) - _LOW, minlength=_BINS)
    table[key] = table[key] + counts if key in table else counts


def _pairs(context: Context, tile: Tile) -> Iterator[tuple[Pair | None, np.ndarray | None]]:
    """Return the pairs of end members of a tile, and where each was used (None: everywhere).

    The pair of a pixel is that of this period's land cover, also for the period before.
    """
    region = context.region
    choice = cover.choice_of(region)
    if choice == "map":
        yield None, None
    elif choice == "fixed":
        yield cover.end_members(region), None
    else:
        table = cover.fitted(region)
        where = f"programme {context.programme.id}, {context.period.id}, {tile.id}"
        zones, types, _ = cover.groups(region, tile, context.period, where)
        code = np.zeros(tile.shape, np.int64)
        code += 0 if zones is None else zones.astype(np.int64) * 256
        code += 0 if types is None else types.astype(np.int64)
        groups: dict[Pair, np.ndarray] = {}
        for group in np.unique(code).tolist():
            pair = table.pair(group // 256, group % 256)
            at = code == group
            key = (pair.soil, pair.veg)
            groups[key] = groups[key] | at if key in groups else at
        yield from groups.items()


def _boxes(context: Context) -> dict[int, Box]:
    """Return every zone's box on the grid, and that of all together where they are added up."""
    grid, layer = context.view.grid, context.layer
    bounds = layer.gdf.geometry.bounds.to_numpy()
    if context.has_total:
        whole = [*bounds[:, :2].min(axis=0), *bounds[:, 2:].max(axis=0)]
        bounds = np.vstack([bounds, whole])
    found = {}
    height, width = grid.shape
    for k, (xmin, ymin, xmax, ymax) in enumerate(bounds):
        x0, x1 = ((x - grid.bounds[0]) / grid.resolution for x in (xmin, xmax))
        y0, y1 = ((grid.bounds[3] - y) / grid.resolution for y in (ymax, ymin))
        top, left = max(int(np.floor(y0)), 0), max(int(np.floor(x0)), 0)
        bottom, right = min(int(np.ceil(y1)) + 1, height), min(int(np.ceil(x1)) + 1, width)
        found[k] = (top, left, max(bottom - top, 1), max(right - left, 1))
    return found
