"""Change of combinations since the year before: moved boundaries apart from the ground.

As everywhere (`eco_index.boundaries`): what two published values differ by is the change on the
ground (both years within the present boundaries) and the effect of moving the boundaries (the
earlier year within the present ones, less within its own). The area of a combination changes by its
boundaries alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.assessment.parts.combine_sides import Sides, sides_of_column, sides_of_layers
from eco_index.assessment.parts.context import Context, known
from eco_index.crossing import NONE
from eco_index.errors import InputError
from eco_index.period import Period
from eco_index.products import LUCC, LUCC_LEVEL1, PRODUCTS
from eco_index.summary import AnalysisColumn, AnalysisLine, AnalysisTable
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zones import ZoneLayer, layer_path, load_layer

RULE = Text(
    zh="组合的变化：地面变化＝现边界内两年均值之差；边界变更影响＝上年值按现边界与按原边界之差；"
    "“两年均有值”只计两年均有数据的像元，森林与地类的净变化亦然",
    en="change of combinations: on the ground, means of both years within the present boundaries; "
    "moving, last year within the present boundaries minus within its own; 'seen in both years' "
    "counts only pixels with a value in both, as do the net changes of forest and classes",
)


#: What tells a line from others in any edition; None: not of the zones.
Key = tuple[object, ...] | None


class _Unknown(Exception):
    """Why the boundaries of the earlier year cannot be used."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(zh=zh, en=en)


@dataclass(frozen=True)
class Changes:
    """Sums of two years over combinations, or over the members of the second side.

    Attributes
    ----------
    now, before : ZoneSums
        Either year within the present boundaries.
    both_now, both_before : ZoneSums
        Of pixels with a value in both years, product by product.
    own : ZoneSums or None
        The earlier year within its own boundaries; None where they are the present ones.
    at : numpy.ndarray
        int64: line of `own` that each line of the others had, -1 for none.
    heads, gone : list of Text
        Names of the lines, and of those of `own` (number first) that are no more.
    """

    now: ZoneSums
    before: ZoneSums
    both_now: ZoneSums
    both_before: ZoneSums
    own: ZoneSums | None
    at: np.ndarray
    heads: list[Text]
    gone: list[tuple[int, Text]]


def earlier_sides(context: Context, name: str, notes: list[Text]) -> Sides | None:
    """Return the combinations of the boundaries of the year before; None: they are the same.

    Where that year's boundaries cannot be used a note says so, and the ground alone is compared.
    """
    region, own = context.region, context.layer.id
    assert context.compared is not None
    layers = [own, name] if name in region.config.layers else [own]
    years = (context.compared.year, context.period.year)
    if all(len({layer_path(region, one, year) for year in years}) == 1 for one in layers):
        return None
    try:
        first = _earlier_layer(context, own)
        if len(layers) == 2:
            return sides_of_layers(first, _earlier_layer(context, name), context.view.grid)
        if name not in first.gdf.columns or first.n_sheets > 1:
            raise _Unknown(
                f"其中没有属性列“{name}”，或区域有重叠",
                f"they have no column '{name}', or zones that overlap",
            )
        return sides_of_column(first, name, context.view.grid)
    except _Unknown as reason:
        notes.append(
            Text(
                zh=f"“{name}”组合：不能使用{years[0]}年的边界（{reason.text.zh}），仅比较地面变化",
                en=f"combinations with {name}: the boundaries of {years[0]} cannot be used "
                f"({reason.text.en}); change on the ground only",
            )
        )
        return None


def _earlier_layer(context: Context, name: str) -> ZoneLayer:
    assert context.compared is not None
    year = context.compared.year
    if not layer_path(context.region, name, year).exists():
        raise _Unknown("缺少边界文件", "their file is missing")
    layer = load_layer(context.region, name, year)
    if name == context.layer.id and context.programme.filter:
        try:
            return layer.select(context.programme.filter)
        except InputError as error:
            raise _Unknown("没有符合本专题筛选条件的区域", error.what) from None
    return layer


def change_tables(
    context: Context,
    sides: Sides,
    now: ZoneSums,
    earlier: Sides | None,
    *,
    whole: bool,
    most: int,
) -> list[AnalysisTable]:
    """Return the change of every combination, of the second side, and of land cover.

    Parameters
    ----------
    context : Context
        With a year to compare with.
    sides : Sides
        The present combinations.
    now : ZoneSums
        Of them, this year.
    earlier : Sides or None
        Combinations of the earlier boundaries, of `earlier_sides`.
    whole : bool
        Add up the second side: zones of neither edition overlap.
    most : int
        Lines that a page shows, the largest combinations; all stand in analyses.csv.
    """
    compared = context.compared
    assert compared is not None
    lines = [now]
    lines += [
        one.grouped(sides.into, len(sides.pairs))
        for one in _summed(context, sides, compared, now.spec)
    ]
    earlier_lines = None
    if earlier is not None:
        own = _own(context, earlier, compared, now.spec)
        earlier_lines = _Earlier(own, earlier.keys(), earlier.heads())
    found = _matched(lines, earlier_lines, sides.keys(), sides.heads())
    ours, theirs = context.layer.title, sides.title
    caption = Text(zh=f"{ours.zh} × {theirs.zh}", en=f"{ours.en} × {theirs.en}")
    order, shown = _order(np.arange(len(found.heads)), now, most)
    corner = Text(zh="组合", en="Combination")
    tables = [_table(context, found, order, shown, caption, corner)]
    if whole and (earlier is None or earlier.alone):
        of_second = _second(sides, lines, earlier, earlier_lines)
        keep = (of_second.now.pixels > 0) | (of_second.at >= 0)
        order_, shown_ = _order(np.flatnonzero(keep), of_second.now, most)
        title = Text(
            zh=f"{caption.zh}：按{theirs.zh}合计", en=f"{caption.en}: all {ours.en} by {theirs.en}"
        )
        tables.append(_table(context, of_second, order_, shown_, title, theirs))
    if context.region.config.landcover is not None:
        tables.append(_land(context, found, order, shown, caption))
    return tables


def _order(lines: np.ndarray, now: ZoneSums, most: int) -> tuple[list[int], int | None]:
    """Return lines in order, and how many a page shows: where it cannot have all, the largest."""
    if lines.size <= most:
        return lines.tolist(), None
    area = -np.asarray(now.pixels, float)[lines]
    return lines[np.argsort(area, kind="stable")].tolist(), most


def _summed(
    context: Context, sides: Sides, compared: Period, spec: SumSpec
) -> tuple[ZoneSums, ZoneSums, ZoneSums]:
    """Sum last year, and either year where both have a value, over the pieces."""
    before, both_now, both_before = (ZoneSums(spec, sides.pieces) for _ in range(3))
    view = context.view
    for tile in view.grid.tiles():
        drawn = sides.draw(tile)
        if not any(sides.reaches(one) for one in drawn):
            continue
        now, was = (
            {name: view.read(p.cadence, name, p.id, tile) for name in spec.products}
            for p in (context.period, compared)
        )
        masked_now, masked_was = {}, {}
        for name in spec.products:
            fill = PRODUCTS[name].fill
            assert fill is not None  # cover and classes have one
            seen = (now[name] != fill) & (was[name] != fill)
            masked_now[name] = np.where(seen, now[name], fill).astype(now[name].dtype)
            masked_was[name] = np.where(seen, was[name], fill).astype(was[name].dtype)
        for one in drawn:
            before.add(one.ids, was, one.shares)
            both_now.add(one.ids, masked_now, one.shares)
            both_before.add(one.ids, masked_was, one.shares)
    return before, both_now, both_before


def _own(context: Context, earlier: Sides, compared: Period, spec: SumSpec) -> ZoneSums:
    """Sum last year over the combinations of its own boundaries."""
    sums, view = ZoneSums(spec, earlier.pieces), context.view
    for tile in view.grid.tiles():
        drawn = earlier.draw(tile)
        if not any(earlier.reaches(one) for one in drawn):
            continue
        arrays = {p: view.read(compared.cadence, p, compared.id, tile) for p in spec.products}
        for one in drawn:
            sums.add(one.ids, arrays, one.shares)
    return sums.grouped(earlier.into, len(earlier.pairs))


@dataclass(frozen=True)
class _Earlier:
    """Last year within its own boundaries: sums, keys and names of the lines."""

    sums: ZoneSums
    keys: Sequence[Key]
    heads: Sequence[Text]


def _matched(
    lines: Sequence[ZoneSums], earlier: _Earlier | None, keys: Sequence[Key], heads: Sequence[Text]
) -> Changes:
    """Find the lines of the earlier boundaries by their keys."""
    now, before, both_now, both_before = lines
    places: dict[Key, int] = {}
    if earlier is not None:
        there = earlier.sums.pixels > 0
        # What lies outside the zones is no combination of theirs.
        places = {key: k for k, key in enumerate(earlier.keys) if there[k] and key is not None}
    at = np.array([places.pop(key, -1) for key in keys], np.int64)
    gone = [(k, earlier.heads[k]) for k in places.values()] if earlier is not None else []
    own = earlier.sums if earlier is not None else None
    return Changes(now, before, both_now, both_before, own, at, list(heads), gone)


def _second(
    sides: Sides, lines: Sequence[ZoneSums], earlier: Sides | None, own: _Earlier | None
) -> Changes:
    """Return the members of the second side, all zones together."""
    parts = [one.grouped(sides.pairs[:, 1], len(sides.second)) for one in lines]
    theirs = None
    if earlier is not None and own is not None:
        j = np.where(earlier.pairs[:, 0] != NONE, earlier.pairs[:, 1], -1)
        sums = own.sums.grouped(j, len(earlier.second))
        theirs = _Earlier(sums, list(earlier.second), list(earlier.second.values()))
    return _matched(parts, theirs, list(sides.second), list(sides.second.values()))


def _columns(context: Context, found: Changes) -> tuple[AnalysisColumn, ...]:
    assert context.compared is not None
    year = context.compared.id
    ground = Text(zh="植被覆盖度：地面变化", en="cover: change on the ground")
    moved: list[tuple[Text, str]] = []
    if found.own is None:
        columns = [(Text(zh=f"{year}植被覆盖度", en=f"cover {year}"), "%"), (ground, "pp")]
    else:
        moved = [
            (Text(zh=f"{year}面积（原边界）", en=f"area {year}, own boundaries"), "km2"),
            (Text(zh="面积变化（边界变更）", en="area by moved boundaries"), "km2"),
        ]
        columns = [
            (Text(zh=f"{year}植被覆盖度（原边界）", en=f"cover {year}, own boundaries"), "%"),
            (Text(zh="植被覆盖度：边界变更影响", en="cover: moving"), "pp"),
            (ground, "pp"),
            (Text(zh="植被覆盖度：合计变化", en="cover: both"), "pp"),
        ]
    columns += [
        (Text(zh="地面变化（两年均有值）", en="ground, seen in both years"), "pp"),
        (Text(zh="两年均有值面积", en="area seen in both years"), "km2"),
    ]
    if context.region.config.landcover is not None:
        columns.append((Text(zh="森林净变化", en="net change of forest"), "km2"))
    return tuple(AnalysisColumn(title=title, unit=unit) for title, unit in (*moved, *columns))


def _table(
    context: Context,
    found: Changes,
    order: Sequence[int],
    shown: int | None,
    title: Text,
    corner: Text,
) -> AnalysisTable:
    assert context.compared is not None
    km2 = context.region.grid.pixel_area_m2 / 1e6
    now, before = (100 * s.mean("fvc") for s in (found.now, found.before))
    seen = found.both_now.n_valid("fvc")
    like = 100 * (found.both_now.mean("fvc") - found.both_before.mean("fvc"))
    table = [before, now - before]
    areas: list[np.ndarray] = []
    own_cover = own_area = np.empty(0)
    if found.own is not None:
        own_cover, own_area = 100 * found.own.mean("fvc"), found.own.pixels * km2
        there = np.where(found.at >= 0, own_cover[found.at], np.nan)
        area = np.where(found.at >= 0, own_area[found.at], 0.0)
        areas = [area, found.now.pixels * km2 - area]
        table = [there, before - there, now - before, now - there]
    table += [like, seen * km2]
    if found.now.spec.classes:
        table.append(np.where(found.both_now.n_valid("forest") > 0, _net(found, (1,), km2), np.nan))
    columns = _columns(context, found)
    cells = np.column_stack([*areas, *table])
    lines = [
        AnalysisLine(head=found.heads[k], cells=tuple(map(known, cells[k].tolist()))) for k in order
    ]
    for k, head in found.gone:  # what is no more has no ground to compare
        first = [float(own_area[k]), -float(own_area[k]), known(own_cover[k])]
        lines.append(AnalysisLine(head=head, cells=(*first, *[None] * (len(columns) - len(first)))))
    was, year = context.compared.id, context.period.id
    return AnalysisTable(
        caption=Text(zh=f"{title.zh}：{was}至{year}变化", en=f"{title.en}: {was} to {year}"),
        corner=corner,
        columns=columns,
        lines=tuple(lines),
        shown=shown,
    )


def _net(found: Changes, codes: Sequence[int], km2: float, product: str = "forest") -> np.ndarray:
    """Return the net change of the area of classes, of pixels with a class in both years."""
    now, before = (s.n_class(product, codes) for s in (found.both_now, found.both_before))
    return np.asarray((now - before) * km2, float)


def _land(
    context: Context, found: Changes, order: Sequence[int], shown: int | None, title: Text
) -> AnalysisTable:
    """Return the net change of land cover within the present boundaries."""
    assert context.compared is not None
    km2 = context.region.grid.pixel_area_m2 / 1e6
    seen = found.both_now.n_valid("landcover")
    columns = [AnalysisColumn(title=LUCC_LEVEL1[cls], unit="km2") for cls in LUCC_LEVEL1]
    columns.append(AnalysisColumn(title=Text(zh="无对比面积", en="not comparable"), unit="km2"))
    nets = [
        np.where(
            seen > 0,
            _net(found, [c for c in LUCC if c // 10 == cls], km2, "landcover"),
            np.nan,
        )
        for cls in LUCC_LEVEL1
    ]
    cells = np.column_stack([*nets, (found.now.pixels - seen) * km2])
    was, year = context.compared.id, context.period.id
    return AnalysisTable(
        caption=Text(
            zh=f"{title.zh} × 土地覆盖：{was}至{year}净变化（地面，现边界内）",
            en=f"{title.en} × land cover: net change from {was} to {year} on the ground, within "
            "the present boundaries",
        ),
        corner=Text(zh="组合", en="Combination"),
        columns=tuple(columns),
        lines=tuple(
            AnalysisLine(head=found.heads[k], cells=tuple(map(known, cells[k].tolist())))
            for k in order
        ),
        shown=shown,
    )
