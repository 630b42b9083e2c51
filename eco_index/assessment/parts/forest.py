"""Forest coverage rate by the official definition, with the map-only figure beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eco_index import auxiliary
from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.official import official_row, strangers_note
from eco_index.errors import InputError
from eco_index.grid import Tile
from eco_index.indicators.forest import (
    ForestCounts,
    ForestRate,
    UnitTable,
    forest_rates,
    read_unit_table,
)
from eco_index.indices import forest as patches
from eco_index.methods import Method, method_of
from eco_index.products import PRODUCTS
from eco_index.summary import (
    TOTAL,
    TOTAL_NAME,
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    Evidence,
    Row,
)
from eco_index.yamlio import Text
from eco_index.zone_raster import zone_ids

METHOD_ID = "forest_coverage"
TITLE = Text(zh="森林覆盖率（官方口径）", en="forest coverage rate (official definition)")
DENOMINATOR = Text(zh="单元表中的土地面积", en="land area of the unit in the table")
# The limits of shrub cover and rain are recalled, and every official figure uses them.
EVIDENCE: Evidence = "recalled"
_PARTS = {
    "map": Text(zh="部分区域无地图数据", en="parts without map data"),
    "special_shrubland": Text(zh="无年降水量图层", en="no map of annual rain"),
    "linear_trees": Text(zh="未调查四旁树和林网", en="linear trees not surveyed"),
}


def part(context: Context) -> Part:
    """Return the official rate of every zone that the table knows by its id.

    Raises
    ------
    InputError
        A malformed table, rain that is no annual sum in mm, forest larger than the land.
    """
    region, period = context.region, context.period
    if region.config.landcover is None:
        return Part()
    method = method_of(region, METHOD_ID)
    label = f"{method.id}@{method.version}"
    path = context.table("forest.table", region.config.forest.table)
    if path is None:
        note = Text(
            zh="没有本年的土地面积与四旁树表：森林覆盖率（官方口径）不评价",
            en="no table of land areas and linear trees of this year: the official rate is not "
            "assessed",
        )
        return Part(analyses=[_analysis(context, label, [], (note,))])
    table = read_unit_table(path)
    rain = context.table("forest.rain", region.config.forest.rain)
    counts = _count(context, method, rain)
    at = [k for k, zone in enumerate(context.layer.ids) if zone in table]
    known = [context.layer.ids[k] for k in at]
    chosen = ForestCounts(len(at))
    chosen.counts[1:] = counts.counts[[k + 1 for k in at]]
    area = region.grid.pixel_area_m2
    try:
        rates = forest_rates(chosen, known, table, area, rain is not None)
        together = None
        if context.has_total and len(at) == len(context.layer):
            whole = ForestCounts(1)
            whole.counts[1] = chosen.counts[1:].sum(axis=0)
            together = forest_rates(
                whole, [TOTAL], {TOTAL: _sum(table, known)}, area, rain is not None
            )[0]
    except InputError as error:
        raise InputError(error.what, where=str(path), rule=error.rule, fix=error.fix) from None
    names = {z.id: z.name for z in context.zones}
    rows = [_row(context, rate, table[rate.unit].land_ha, label) for rate in rates]
    lines = [_line(names[rate.unit], rate) for rate in rates]
    if together is not None:
        rows.append(_row(context, together, _sum(table, known).land_ha, label))
        lines.append(_line(TOTAL_NAME, together))
    strangers = [z.name for z in context.zones if z.id not in table]
    notes = strangers_note(strangers, Text(zh="表", en="the table"))
    if period.half:
        rows = []  # the official rate is a figure of a year
    return Part(rows=rows, analyses=[_analysis(context, label, lines, notes)])


def _sum(table: dict[str, UnitTable], units: list[str]) -> UnitTable:
    """All units together; linear trees are unknown where one of them is."""
    linear = [table[u].linear_trees_ha for u in units]
    known = [v for v in linear if v is not None]
    total = sum(known) if len(known) == len(linear) else None
    return UnitTable(sum(table[u].land_ha for u in units), total)


def _count(context: Context, method: Method, rain: Path | None) -> ForestCounts:
    """Count forest, specially defined shrubland and gaps in every zone, tile by tile."""
    view, period, layer = context.view, context.period, context.layer
    grid = view.grid
    pixels = patches.min_pixels(method.number("min_area_ha").required, grid.pixel_area_m2)
    counts = ForestCounts(len(layer))
    for tile in grid.tiles():
        sheets = [zone_ids(layer, grid, tile, sheet) for sheet in range(layer.n_sheets)]
        if not any((ids > 0).any() for ids in sheets):
            continue
        forest = view.read(period.cadence, "forest", period.id, tile).astype(np.uint8)
        if rain is not None:
            forest = _with_shrubland(context, method, rain, tile, forest, pixels)
        for ids in sheets:
            counts.add(forest, ids)
    return counts


def _with_shrubland(
    context: Context, method: Method, rain: Path, tile: Tile, forest: np.ndarray, pixels: int
) -> np.ndarray:
    view, period, grid = context.view, context.period, context.view.grid
    wide = grid.padded(tile, patches.halo_of(pixels))
    inner = (
        slice(tile.y0 - wide.y0, tile.y1 - wide.y0),
        slice(tile.x0 - wide.x0, tile.x1 - wide.x0),
    )
    land = view.read(period.cadence, "landcover", period.id, wide)
    stored = view.read(period.cadence, "fvc", period.id, wide)
    product = PRODUCTS["fvc"]
    cover = np.where(stored == product.fill, np.nan, stored * product.scale)
    entry = context.region.catalog.get(context.region.config.forest.rain or "", "the forest rate")
    amount = auxiliary.read_values(rain, entry, grid, wide)
    special, known = patches.special_shrubland(land == patches.SHRUB_CLASS, cover, amount, method)
    out = forest.copy()
    plain = out == 0
    out[plain & patches.minimum_patches(special, pixels)[inner]] = patches.SHRUBLAND
    out[plain & ~known[inner]] = patches.FILL
    return out


def _row(context: Context, rate: ForestRate, land_ha: float, label: str) -> Row:
    return official_row(
        context, rate.unit, "forest_coverage_official", rate.official_percent, land_ha,
        title=TITLE, denominator=DENOMINATOR, method=label, evidence=EVIDENCE,
    )  # fmt: skip


def _line(name: Text, rate: ForestRate) -> AnalysisLine:
    missing = Text(
        zh="、".join(_PARTS[m].zh for m in rate.missing) or "无",
        en=", ".join(_PARTS[m].en for m in rate.missing) or "none",
    )
    linear = None if rate.linear_trees_ha is None else rate.linear_trees_ha / 100
    return AnalysisLine(
        head=name,
        cells=(
            rate.official_percent, rate.map_percent, rate.forest_ha / 100,
            None if "special_shrubland" in rate.missing else rate.shrubland_ha / 100,
            linear, rate.no_data_ha / 100, missing,
        ),
        provisional=True,
    )  # fmt: skip


def _analysis(
    context: Context, label: str, lines: list[AnalysisLine], notes: tuple[Text, ...]
) -> Analysis:
    table = AnalysisTable(
        caption=TITLE,
        corner=Text(zh="单元", en="Unit"),
        columns=(
            AnalysisColumn(title=Text(zh="官方口径", en="official"), unit="%"),
            AnalysisColumn(title=Text(zh="地图口径", en="map only"), unit="%"),
            AnalysisColumn(title=Text(zh="乔木林", en="tree patches"), unit="km2"),
            AnalysisColumn(title=Text(zh="特别规定灌木林", en="special shrubland"), unit="km2"),
            AnalysisColumn(title=Text(zh="林网与四旁树", en="linear trees"), unit="km2"),
            AnalysisColumn(title=Text(zh="无数据", en="no data"), unit="km2"),
            AnalysisColumn(title=Text(zh="缺项", en="missing parts")),
        ),
        lines=tuple(lines),
    )
    return Analysis(
        id="forest_rate",
        title=TITLE,
        method=label,
        evidence=EVIDENCE,
        provisional=True,
        rules=(
            Text(
                zh="官方口径=（连片乔木林+国家特别规定灌木林+农田林网和四旁树）÷土地面积；缺任一项则不给出",
                en="official = (tree patches + specially defined shrubland + linear trees) / land "
                "area; not given where one part is missing",
            ),
            Text(
                zh="灌木以遥感植被覆盖度代替灌木盖度；树线以上、石漠化和干热河谷的灌木林未判定",
                en="vegetation cover stands in for shrub cover; shrubs above the tree line, on "
                "karst and in dry-hot valleys are not evaluated",
            ),
        ),
        tables=(table,) if lines else (),
        notes=notes,
        trace=context.key("forest_rate"),
    )
