"""Comparison with a baseline year, besides the one with last year."""

from __future__ import annotations

from eco_index.assessment.parts.context import Context, Part, years_done
from eco_index.assessment.rows import build_rows
from eco_index.assessment.sources import methods_used
from eco_index.assessment.specs import records_of, sum_spec
from eco_index.assessment.totals import groupings
from eco_index.errors import InputError
from eco_index.period import Period
from eco_index.summary import (
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    Row,
    weakest,
)
from eco_index.yamlio import Text
from eco_index.zonal import ZoneSums
from eco_index.zone_raster import drawn_zones


def part(context: Context) -> Part:
    """Return the state indicators beside those of the baseline year.

    Raises
    ------
    InputError
        The cube does not hold the baseline year.
    """
    year = context.programme.analyses.baseline
    assert year is not None
    base = Period(year, context.period.half)
    if base.year >= context.period.year:
        return Part()
    if base not in years_done(context.view, context.period):
        first, last = context.view.axis.years
        raise InputError(
            f"the cube does not hold the baseline year {base.id}",
            where=f"{context.programme.path}, key 'analyses.baseline'",
            rule=f"years of the cube's axis: {first}-{last}",
            fix=f"run it first: eco run {context.region.config.path} --period {base.id}",
        )
    records = [r for r in records_of(context.region, context.programme) if not r.change]
    records = [r for r in records if not r.variables]
    spec = sum_spec(records)
    sums = ZoneSums(spec, len(context.layer))
    layer, grid = context.layer, context.view.grid
    for tile in grid.tiles():
        sheets = drawn_zones(layer, grid, tile)
        if not sheets:
            continue
        stored = {p: context.view.read(base.cadence, p, base.id, tile) for p in spec.products}
        for drawn in sheets:
            sums.add(drawn.ids, stored, drawn.shares)
    _, marks = methods_used(context.region, context.programme, {})
    pixel_km2 = context.region.grid.pixel_area_m2 / 1e6
    now = context.sums.now
    rows = build_rows(records, context.zones, now, sums, None, pixel_km2, marks, context.prefix)
    names = {z.id: z.name for z in context.zones}
    for lines, index in groupings(layer, context.zones):
        together, before = (s.grouped(index, len(lines)) for s in (now, sums))
        rows += build_rows(records, lines, together, before, None, pixel_km2, marks, context.prefix)
        names |= {line.id: line.name for line in lines}
    return Part(analyses=[_analysis(context, base, rows, names)])


def _analysis(context: Context, base: Period, rows: list[Row], names: dict[str, Text]) -> Analysis:
    by_indicator: dict[str, list[Row]] = {}
    for row in rows:
        by_indicator.setdefault(row.indicator, []).append(row)
    tables = []
    for found in by_indicator.values():
        unit = found[0].unit
        columns = (
            AnalysisColumn(title=Text(zh=context.period.id, en=context.period.id), unit=unit),
            AnalysisColumn(title=Text(zh=base.id, en=base.id), unit=unit),
            AnalysisColumn(title=Text(zh="变化", en="change"), unit="pp" if unit == "%" else unit),
            AnalysisColumn(title=Text(zh="有效面积", en="valid area"), unit="km2"),
        )
        lines = tuple(
            AnalysisLine(
                head=names[r.zone],
                cells=(r.value, r.previous, r.change, r.valid_km2),
                provisional=r.provisional,
            )
            for r in found
        )
        tables.append(
            AnalysisTable(
                caption=found[0].title,
                corner=Text(zh="单元", en="Unit"),
                columns=columns,
                lines=lines,
            )
        )
    provisional = any(r.provisional for r in rows)
    return Analysis(
        id="baseline",
        title=Text(zh=f"与基准年{base.id}相比", en=f"compared with the baseline {base.id}"),
        method="comparison@1",
        evidence=weakest(r.evidence for r in rows),
        provisional=provisional,
        rules=(
            Text(
                zh=f"两期采用同一套（本期）边界；{base.id}的数值由同一数据集、同一方法计算",
                en="both periods on the same (present) boundaries; the baseline's values come from "
                "the same cube and methods",
            ),
        ),
        tables=tuple(tables),
        trace=context.key("baseline"),
    )
