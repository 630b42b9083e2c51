"""Combination tables: zones x another layer or a column of theirs x land cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.assessment.parts.combine_change import RULE, change_tables, earlier_sides
from eco_index.assessment.parts.combine_sides import Sides, sides_of_column, sides_of_layers
from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.series import sheets_of
from eco_index.crossing import NONE
from eco_index.grid import Tile
from eco_index.products import LUCC, LUCC_LEVEL1
from eco_index.summary import Analysis, AnalysisColumn, AnalysisLine, AnalysisTable
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zones import load_layer

METHOD = "combination@1"
#: Combinations a page shows; of more the largest are shown, all stand in analyses.csv.
MOST_LINES = 60


@dataclass(frozen=True)
class Combined:
    """Sums of combinations, and of what they add up to.

    Attributes
    ----------
    sides : Sides
        Combinations that have pixels.
    sums : ZoneSums
        Of the combinations.
    margin : ZoneSums
        Of the first side.
    other : ZoneSums or None
        Of the second side within the zones; None where zones overlap (area would count twice).
    other_pixels : numpy.ndarray or None
        Pixels of the whole of the second side, where it is a layer.
    overlap : bool
        Zones of the second side overlap: combinations add up to more than the zone.
    """

    sides: Sides
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
        if context.compared is not None:
            earlier = earlier_sides(context, name, notes)
            tables += change_tables(
                context, found.sides, found.sums, earlier,
                whole=found.other is not None, most=MOST_LINES,
            )  # fmt: skip
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
                rules=_RULES if context.compared is None else (*_RULES, RULE),
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
    spec, sides = _spec(context), sides_of_layers(layer, second, context.view.grid)
    sums, sizes = ZoneSums(spec, sides.pieces), ZoneSums(SumSpec(()), sides.pieces)
    overlap = second.n_sheets > 1
    zones = ZoneSums(spec, len(layer)) if overlap else None
    for tile in context.view.grid.tiles():
        drawn = sides.draw(tile)
        for one in drawn:
            sizes.add(one.ids, {}, one.shares)
        if not any(sides.reaches(one) for one in drawn):
            continue
        arrays = _read(context, spec, tile)
        for one in drawn:
            sums.add(one.ids, arrays, one.shares)
        if zones is not None:
            for one in sheets_of(context, tile):
                zones.add(one.ids, arrays, one.shares)
    alone, (i, j) = layer.n_sheets == 1, sides.pairs.T
    keep = (i != NONE) & (sums.pixels > 0)
    kept = sides.only(keep)
    return Combined(
        sides=kept,
        sums=sums.grouped(kept.into, len(kept.pairs)),
        margin=zones if zones is not None else sums.grouped(i, len(layer)),
        other=sums.grouped(np.where(i != NONE, j, -1), len(second)) if alone else None,
        other_pixels=sizes.grouped(j, len(second)).pixels if alone else None,
        overlap=overlap,
    )


def _with_column(context: Context, column: str) -> Combined:
    """Combine groups of zones (each zone where there are none) with the values of a column."""
    spec, sides = _spec(context), sides_of_column(context.layer, column, context.view.grid)
    zones = ZoneSums(spec, sides.pieces)
    for tile in context.view.grid.tiles():
        sheets = sides.draw(tile)
        if sheets:
            arrays = _read(context, spec, tile)
            for one in sheets:
                zones.add(one.ids, arrays, one.shares)
    i, j = sides.pairs[sides.into].T
    return Combined(
        sides=sides,
        sums=zones.grouped(sides.into, len(sides.pairs)),
        margin=zones.grouped(i, len(sides.first)),
        other=zones.grouped(j, len(sides.second)),
        other_pixels=None,
    )


def _tables(context: Context, found: Combined, notes: list[Text]) -> list[AnalysisTable]:
    """Return the table of combinations, that of the second side, and that of land cover."""
    ours, theirs = context.layer.title, found.sides.title
    title = Text(zh=f"{ours.zh} × {theirs.zh}", en=f"{ours.en} × {theirs.en}")
    heads = found.sides.heads()
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
    first, names = found.sides.pairs[:, 0], list(found.sides.first.values())
    for k, line in enumerate(lines):
        out.append(line)
        unit = int(first[k])
        last = k + 1 == len(lines) or first[k + 1] != unit
        if last and np.count_nonzero(first == unit) > 1:
            name = names[unit]
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
    ours, theirs = context.layer.title, found.sides.title
    names = list(found.sides.second.values())
    return AnalysisTable(
        caption=Text(
            zh=f"{title.zh}：按{theirs.zh}合计", en=f"{title.en}: all {ours.en} by {theirs.en}"
        ),
        corner=theirs,
        columns=columns,
        lines=tuple(AnalysisLine(head=names[k], cells=rows[k]) for k in order),
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
