"""Comprehensive vegetation cover of grassland from ground plots: the official survey statistic."""

from __future__ import annotations

from pathlib import Path

from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.official import official_row, strangers_note
from eco_index.csv_rows import read_rows
from eco_index.errors import InputError
from eco_index.indicators.grassland import GrasslandCover, Plot, county_cover, region_cover
from eco_index.methods import method_of
from eco_index.summary import (
    TOTAL,
    TOTAL_NAME,
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    Row,
)
from eco_index.yamlio import Text

METHOD_ID = "grassland_cover"
PLOT_COLUMNS = ("county", "type", "plot", "cover_percent")
AREA_COLUMNS = ("county", "type", "area_ha")
DENOMINATOR = Text(
    zh="面积表中各类型天然草原面积", en="natural grassland of all types in the table of areas"
)
TITLE = Text(
    zh="草原综合植被盖度（地面样方）", en="comprehensive vegetation cover of grassland (plots)"
)


def part(context: Context) -> Part:
    """Return the official grassland cover of every zone that the tables know by its id.

    Raises
    ------
    InputError
        A table that is malformed, a plot twice, a type without area.
    """
    config = context.region.config.ground_truth
    plots_path, areas_path = (
        context.table(f"ground_truth.{key}", getattr(config, key))
        for key in ("grassland_plots", "grassland_areas")
    )
    method = method_of(context.region, METHOD_ID)
    label = f"{method.id}@{method.version}"
    if plots_path is None or areas_path is None:
        note = Text(
            zh="没有本年的草原样方或草原面积表：草原综合植被盖度（官方口径）不评价",
            en="no table of grassland plots or areas of this year: the official figure is not "
            "assessed",
        )
        return Part(analyses=[_analysis(context, label, [], (note,))])
    plots = [
        Plot(r["county"], r["type"], r["plot"], _number(r, "cover_percent", plots_path))
        for r in _table(plots_path, PLOT_COLUMNS)
    ]
    areas: dict[str, dict[str, float]] = {}
    for r in _table(areas_path, AREA_COLUMNS):
        if r["type"] in areas.setdefault(r["county"], {}):
            raise InputError(
                f"type '{r['type']}' of county {r['county']} is listed twice",
                where=str(areas_path),
                rule="one area a county and type",
            )
        areas[r["county"]][r["type"]] = _number(r, "area_ha", areas_path)
    strangers = sorted({p.county for p in plots} - areas.keys())
    if strangers:
        raise InputError(
            f"no grassland area is given for county {', '.join(strangers)}",
            where=str(areas_path),
            fix="add its types with their area in ha",
        )
    try:
        found = {c: county_cover(c, plots, known) for c, known in areas.items()}
    except InputError as error:
        where = f"{plots_path}: {error.where or 'grassland plots'}"
        raise InputError(error.what, where=where, rule=error.rule, fix=error.fix) from None
    counts = {c: sum(p.county == c for p in plots) for c in areas}
    zones = [(z.id, z.name) for z in context.zones if z.id in found]
    rows = [_row(context, zone, found[zone], label) for zone, _ in zones]
    lines = [_line(name, found[zone], counts[zone]) for zone, name in zones]
    unknown = [z.name for z in context.zones if z.id not in found]
    notes = strangers_note(unknown, Text(zh="面积表", en="the table of areas"))
    if context.has_total and len(zones) == len(context.zones):
        together = region_cover({zone: found[zone] for zone, _ in zones})
        rows.append(_row(context, TOTAL, together, label))
        lines.append(_line(TOTAL_NAME, together, sum(counts[zone] for zone, _ in zones)))
    return Part(rows=rows, analyses=[_analysis(context, label, lines, notes)])


def _table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    names, found = read_rows(path, "the table")
    rows = [{k: (v or "").strip() for k, v in r.items() if k} for r in found]
    missing = [c for c in columns if c not in names]
    if missing or not rows:
        raise InputError(
            f"the table lacks the column(s) {', '.join(missing)}" if missing else "no rows",
            where=str(path),
            rule=f"columns: {', '.join(columns)}; UTF-8",
        )
    return rows


def _number(row: dict[str, str], column: str, path: Path) -> float:
    try:
        return float(row[column])
    except ValueError:
        raise InputError(
            f"'{row[column]}' is no number",
            where=f"{path}, column {column}, county {row['county']}, type {row['type']}",
        ) from None


def _row(context: Context, zone: str, found: GrasslandCover, label: str) -> Row:
    return official_row(
        context, zone, "grassland_cover_plots", found.cover_percent, found.area_ha,
        title=TITLE, denominator=DENOMINATOR, method=label, evidence="recalled",
    )  # fmt: skip


def _line(name: Text, found: GrasslandCover, plots: int) -> AnalysisLine:
    lacking = "、".join(found.missing), ", ".join(found.missing)
    missing = Text(zh=lacking[0] or "无", en=lacking[1] or "none")
    return AnalysisLine(
        head=name,
        cells=(found.cover_percent, found.area_ha / 100, float(plots), missing),
        provisional=True,
    )


def _analysis(
    context: Context, label: str, lines: list[AnalysisLine], notes: tuple[Text, ...]
) -> Analysis:
    table = AnalysisTable(
        caption=TITLE,
        corner=Text(zh="单元", en="Unit"),
        columns=(
            AnalysisColumn(title=Text(zh="盖度", en="cover"), unit="%"),
            AnalysisColumn(title=Text(zh="天然草原面积", en="natural grassland"), unit="km2"),
            AnalysisColumn(title=Text(zh="样方数", en="plots"), unit="count"),
            AnalysisColumn(title=Text(zh="有面积无样方的类型", en="types without plots")),
        ),
        lines=tuple(lines),
    )
    return Analysis(
        id="grassland",
        title=TITLE,
        method=label,
        evidence="recalled",
        provisional=True,
        rules=(
            Text(
                zh="G=ΣC_k·I_k：C_k为类型k样方盖度均值，I_k为其天然草原面积比例；全区按各单元天然草原面积加权",
                en="G = sum C_k I_k: mean plot cover of type k times its share of the natural "
                "grassland; all together weighted by each unit's natural grassland",
            ),
            Text(
                zh="与“草地平均植被覆盖度（遥感替代值）”口径不同，不可互换",
                en="not to be exchanged with the map's mean cover of grassland, which is a proxy",
            ),
        ),
        tables=(table,) if lines else (),
        notes=notes,
        trace=context.key("grassland"),
    )
