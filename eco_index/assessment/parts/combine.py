"""Combination tables: zones x another layer or a column of theirs x land cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.series import sheets_of
from eco_index.crossing import NONE, cross
from eco_index.grid import Tile
from eco_index.products import LUCC, LUCC_LEVEL1
from eco_index.summary import Analysis, AnalysisColumn, AnalysisLine, AnalysisTable
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_labels import as_text
from eco_index.zones import load_layer

METHOD = "combination@1"
#: Combinations a page shows; of more the largest are shown, all stand in analyses.csv.
MOST_LINES = 60
_EMPTY = Text(zh="（未填写）", en="(not given)")


@dataclass(frozen=True)
class Combined:
    """Sums of combinations, and of what they add up to.

    Attributes
    ----------
    title : Text
        What the zones are combined with.
    pairs : numpy.ndarray
        int64 (n, 2): number of the first and of the second side, `NONE` for none of the second.
    first, second : tuple of Text
        Names of either side.
    sums : ZoneSums
        Of the n combinations.
    margin : ZoneSums
        Of the first side.
    other : ZoneSums or None
        Of the second side within the zones; None where zones overlap (area would count twice).
    other_pixels : numpy.ndarray or None
        Pixels of the whole of the second side, where it is a layer.
    overlap : bool
        Zones of the second side overlap: combinations add up to more than the zone.
    """

    title: Text
    pairs: np.ndarray
    first: tuple[Text, ...]
    second: tuple[Text, ...]
    sums: ZoneSums
    margin: ZoneSums
    other: ZoneSums | None
    other_pixels: np.ndarray | None
    overlap: bool = False


def part(context: Context) -> Part:
    """Return a table for each layer or column that the programme combines its zones with."""
    tables: list[AnalysisTable] = []
    notes: list[Text] = []
    for name in context.programme.analyses.combine:
        columns = set(context.layer.gdf.columns) - {context.layer.gdf.geometry.name}
        if name in context.region.config.layers and name != context.layer.id:
            found = _with_layer(context, name)
        elif name in columns:
            if context.layer.n_sheets > 1:
                notes.append(_overlapping(context, name))
                continue
            found = _with_column(context, name)
        else:
            notes.append(_lacking(context, name))
            continue
        tables += _tables(context, found, notes)
    if not tables and not notes:
        return Part()
    return Part(
        analyses=[
            Analysis(
                id="combine",
                title=Text(zh="组合统计", en="combinations"),
                method=METHOD,
                evidence="secondary",  # forest of the map
                provisional=False,
                rules=_RULES,
                tables=tuple(tables),
                notes=tuple(notes),
                trace=context.key("combine"),
            )
        ]
    )


_RULES = (
    Text(
        zh="像元同时属于两侧单元者计入该组合；各组合面积之和等于单元面积",
        en="a pixel counts for the combination of the units that hold it; combinations add up to "
        "the unit",
    ),
    Text(
        zh="植被覆盖度均值的分母为组合内有值面积；森林比例与地类面积的分母为组合内有土地覆盖数据的面积"
        "（地图口径）",
        en="mean vegetation cover stands on the area with a value; forest share and classes on the "
        "area with land cover (map only)",
    ),
)


def _spec(context: Context) -> SumSpec:
    if context.region.config.landcover is None:
        return SumSpec(values=("fvc",))
    return SumSpec(values=("fvc",), classes=("landcover", "forest"))


def _read(context: Context, spec: SumSpec, tile: Tile) -> dict[str, np.ndarray]:
    period, view = context.period, context.view
    return {p: view.read(period.cadence, p, period.id, tile) for p in spec.products}


def _with_layer(context: Context, name: str) -> Combined:
    """Cross the zones with another layer, tile by tile; only tiles with zones are read."""
    layer, second = context.layer, load_layer(context.region, name, context.period.year)
    crossing, spec = cross(layer, second), _spec(context)
    sums, sizes = ZoneSums(spec, len(crossing)), ZoneSums(SumSpec(()), len(crossing))
    overlap = second.n_sheets > 1
    zones = ZoneSums(spec, len(layer)) if overlap else None
    in_first = np.concatenate([[False], crossing.pairs[:, 0] != NONE])
    for tile in context.view.grid.tiles():
        drawn = [d for d in crossing.pixels(context.view.grid, tile) if d.any()]
        for one in drawn:
            sizes.add(one.ids, {}, one.shares)
        if not any(in_first[d.ids].any() or in_first[d.shares.zone + 1].any() for d in drawn):
            continue
        arrays = _read(context, spec, tile)
        for one in drawn:
            sums.add(one.ids, arrays, one.shares)
        if zones is not None:
            for one in sheets_of(context, tile):
                zones.add(one.ids, arrays, one.shares)
    alone = layer.n_sheets == 1
    inside = np.where(crossing.pairs[:, 0] != NONE, crossing.pairs[:, 1], -1)
    keep = np.flatnonzero((crossing.pairs[:, 0] != NONE) & (sums.pixels > 0))
    into = np.full(len(crossing), -1, np.int64)
    into[keep] = np.arange(keep.size)
    return Combined(
        title=second.title,
        pairs=crossing.pairs[keep],
        first=layer.names,
        second=second.names,
        sums=sums.grouped(into, keep.size),
        margin=zones if zones is not None else crossing.margin(sums, 0),
        other=sums.grouped(inside, len(second)) if alone else None,
        other_pixels=crossing.margin(sizes, 1).pixels if alone else None,
        overlap=overlap,
    )


def _with_column(context: Context, column: str) -> Combined:
    """Combine groups of zones (each zone where there are none) with the values of a column."""
    layer, spec = context.layer, _spec(context)
    zones = ZoneSums(spec, len(layer))
    for tile in context.view.grid.tiles():
        sheets = sheets_of(context, tile)
        if sheets:
            arrays = _read(context, spec, tile)
            for one in sheets:
                zones.add(one.ids, arrays, one.shares)
    values = [as_text(v) for v in layer.gdf[column]]
    seconds = list(dict.fromkeys(values))
    groups = layer.groups or ("",) * len(layer)
    keys = [
        ("group", g) if g else ("zone", i) for g, i in zip(groups, layer.ids, strict=True)
    ]  # what belongs to no group stands for itself
    names = {
        key: layer.group_names[key[1]] if key[0] == "group" else name
        for key, name in zip(keys, layer.names, strict=True)
    }
    firsts = list(names)
    i = np.array([firsts.index(k) for k in keys], np.int64)
    j = np.array([seconds.index(v) for v in values], np.int64)
    pairs, into = np.unique(np.column_stack([i, j]), axis=0, return_inverse=True)
    return Combined(
        title=Text(zh=column, en=column),
        pairs=pairs,
        first=tuple(names.values()),
        second=tuple(Text(zh=v, en=v) if v else _EMPTY for v in seconds),
        sums=zones.grouped(into.reshape(-1), len(pairs)),
        margin=zones.grouped(i, len(firsts)),
        other=zones.grouped(j, len(seconds)),
        other_pixels=None,
    )


def _tables(context: Context, found: Combined, notes: list[Text]) -> list[AnalysisTable]:
    """Return the table of combinations, that of the second side, and that of land cover."""
    ours, theirs = context.layer.title, found.title
    title = Text(zh=f"{ours.zh} × {theirs.zh}", en=f"{ours.en} × {theirs.en}")
    heads = [_head(found, i, j) for i, j in found.pairs.tolist()]
    order, shown = list(range(len(heads))), None
    if len(heads) > MOST_LINES:
        order = np.argsort(-np.asarray(found.sums.pixels, float), kind="stable").tolist()
        shown = MOST_LINES
        notes.append(
            Text(
                zh=f"{title.zh}：共{len(heads)}个组合，此处按面积列出最大的{MOST_LINES}个，"
                "全部见analyses.csv",
                en=f"{title.en}: {len(heads)} combinations, the {MOST_LINES} largest are shown; "
                "all are in analyses.csv",
            )
        )
    if found.overlap:
        notes.append(
            Text(
                zh=f"{theirs.zh}之间有重叠：其组合面积之和可大于单元面积",
                en=f"zones of {theirs.en} overlap: their combinations can add up to more than the "
                "unit",
            )
        )
    cells = _cells(context, found.sums)
    lines = [AnalysisLine(head=heads[k], cells=cells[k]) for k in order]
    if shown is None:
        lines = _with_margins(context, found, lines)
    tables = [
        AnalysisTable(
            caption=title, corner=Text(zh="组合", en="Combination"), columns=_columns(context),
            lines=tuple(lines), shown=shown,
        )
    ]  # fmt: skip
    if found.other is not None:
        tables.append(_second(context, found, title))
    if context.region.config.landcover is not None:
        tables.append(_land(context, found, title, heads, order, shown))
    return tables


def _head(found: Combined, i: int, j: int) -> Text:
    first = found.first[i]
    if j == NONE:
        return Text(
            zh=f"{first.zh} × （不在任何{found.title.zh}内）",
            en=f"{first.en} × (outside {found.title.en})",
        )
    second = found.second[j]
    return Text(zh=f"{first.zh} × {second.zh}", en=f"{first.en} × {second.en}")


def _columns(context: Context) -> tuple[AnalysisColumn, ...]:
    columns = (
        AnalysisColumn(title=Text(zh="面积", en="area"), unit="km2"),
        AnalysisColumn(title=Text(zh="植被覆盖度均值", en="mean vegetation cover"), unit="%"),
        AnalysisColumn(title=Text(zh="植被覆盖度有值面积", en="area with cover"), unit="km2"),
    )
    if context.region.config.landcover is None:
        return columns
    return (
        *columns,
        AnalysisColumn(title=Text(zh="森林比例", en="forest share"), unit="%"),
        AnalysisColumn(title=Text(zh="有土地覆盖面积", en="area with land cover"), unit="km2"),
    )


def _cells(context: Context, sums: ZoneSums) -> list[tuple[float | None, ...]]:
    km2 = context.region.grid.pixel_area_m2 / 1e6
    columns = [sums.pixels * km2, 100 * sums.mean("fvc"), sums.n_valid("fvc") * km2]
    if sums.spec.classes:
        seen = sums.n_valid("forest")
        share = np.full(len(seen), np.nan)
        np.divide(100 * sums.n_class("forest", (1,)), seen, out=share, where=seen > 0)
        columns += [share, sums.n_valid("landcover") * km2]
    return [tuple(map(_cell, row)) for row in np.column_stack(columns).tolist()]


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else value


def _with_margins(
    context: Context, found: Combined, lines: Sequence[AnalysisLine]
) -> list[AnalysisLine]:
    """Return the lines with a subtotal behind the combinations of a unit that has several."""
    margins, out = _cells(context, found.margin), []
    first = found.pairs[:, 0]
    for k, line in enumerate(lines):
        out.append(line)
        unit = int(first[k])
        last = k + 1 == len(lines) or first[k + 1] != unit
        if last and np.count_nonzero(first == unit) > 1:
            name = found.first[unit]
            head = Text(zh=f"{name.zh}（小计）", en=f"{name.en} (subtotal)")
            out.append(AnalysisLine(head=head, cells=margins[unit]))
    return out


def _second(context: Context, found: Combined, title: Text) -> AnalysisTable:
    """Return what lies in each of the second side, all zones together."""
    assert found.other is not None
    km2 = context.region.grid.pixel_area_m2 / 1e6
    columns, rows = _columns(context), _cells(context, found.other)
    if found.other_pixels is not None:
        whole = found.other_pixels
        share = np.full(len(whole), np.nan)
        np.divide(100 * found.other.pixels, whole, out=share, where=whole > 0)
        rows = [
            (*row, _cell(s), w * km2) for row, s, w in zip(rows, share, whole.tolist(), strict=True)
        ]
        columns = (
            *columns,
            AnalysisColumn(title=Text(zh="占比", en="share of it"), unit="%"),
            AnalysisColumn(title=Text(zh="其总面积", en="its whole area"), unit="km2"),
        )
    keep = np.flatnonzero(found.other.pixels > 0).tolist()
    order, shown = keep, None
    if len(keep) > MOST_LINES:
        order = sorted(keep, key=lambda k: -float(found.other.pixels[k]))  # type: ignore[union-attr]
        shown = MOST_LINES
    ours, theirs = context.layer.title, found.title
    return AnalysisTable(
        caption=Text(
            zh=f"{title.zh}：按{theirs.zh}合计", en=f"{title.en}: all {ours.en} by {theirs.en}"
        ),
        corner=theirs,
        columns=columns,
        lines=tuple(AnalysisLine(head=found.second[k], cells=rows[k]) for k in order),
        shown=shown,
    )


def _land(
    context: Context,
    found: Combined,
    title: Text,
    heads: Sequence[Text],
    order: Sequence[int],
    shown: int | None,
) -> AnalysisTable:
    """Return the third side: area of the classes of land cover in every combination."""
    km2 = context.region.grid.pixel_area_m2 / 1e6
    groups = {
        cls: found.sums.n_class("landcover", [c for c in LUCC if c // 10 == cls]) * km2
        for cls in LUCC_LEVEL1
    }
    without = (found.sums.pixels - found.sums.n_valid("landcover")) * km2
    columns = [AnalysisColumn(title=LUCC_LEVEL1[cls], unit="km2") for cls in groups]
    columns.append(AnalysisColumn(title=Text(zh="无数据", en="no data"), unit="km2"))
    table = np.column_stack([*groups.values(), without]).tolist()
    return AnalysisTable(
        caption=Text(zh=f"{title.zh} × 土地覆盖", en=f"{title.en} × land cover"),
        corner=Text(zh="组合", en="Combination"),
        columns=tuple(columns),
        lines=tuple(AnalysisLine(head=heads[k], cells=tuple(table[k])) for k in order),
        shown=shown,
    )


def _lacking(context: Context, name: str) -> Text:
    layer = context.layer.title
    return Text(
        zh=f"本区没有名为“{name}”的图层，{layer.zh}也没有这一属性列：未作该组合统计",
        en=f"the region has no layer '{name}', nor have {layer.en} such a column: that combination "
        "is not tabulated",
    )


def _overlapping(context: Context, name: str) -> Text:
    layer = context.layer.title
    return Text(
        zh=f"{layer.zh}之间有重叠：未按“{name}”合计，以免面积重复",
        en=f"{layer.en} overlap: not added up by '{name}', because area would count twice",
    )
