"""Where the region stands against the targets of its plan."""

from __future__ import annotations

import math

import shapely

from eco_index.analysis.target_file import Target, load_targets
from eco_index.analysis.targets import (
    DIRECTIONS,
    KINDS,
    STATES,
    Change,
    Measured,
    Standing,
    standings,
)
from eco_index.assessment.parts.context import Context, Part, known
from eco_index.assessment.rows import weakest
from eco_index.grid import polygon_area_m2
from eco_index.summary import (
    TOTAL,
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    IndexValue,
    Row,
    read_summary,
)
from eco_index.yamlio import Text
from eco_index.zones import load_layer

#: The official figure, where an assessment holds it, instead of the map's proxy.
OFFICIAL = {"grassland_cover_proxy": "grassland_cover_plots"}


def part(context: Context) -> Part:
    """Return state, distance, direction of every target; none is left out.

    Raises
    ------
    UsageError
        There is no such file of targets, or it is malformed.
    """
    name = context.region.config.targets
    if name is None:
        return Part()
    file = load_targets(name)
    year = context.period.year
    rows = {r.indicator: r for r in context.rows if r.zone == TOTAL and not r.variable}
    indices = {i.method.partition("@")[0]: i for i in context.indices if i.unit == TOTAL}
    targets, measured, changes = [], {}, {}
    for given in file.targets:
        target = given
        official = OFFICIAL.get(target.indicator)
        if official in rows and rows[official].value is not None:
            target = target.model_copy(
                update={"indicator": official, "definition": "same", "note": None}
            )
        targets.append(target)
        found = _measured(context, target, rows, indices, year)
        if found is not None:
            measured[target.id] = found
            change = _change(context, target, found)
            if change is not None:
                changes[target.id] = change
    plan = file.model_copy(update={"targets": tuple(targets)})
    found_all = standings(plan, measured, changes, year)
    evidence = weakest("primary", *(s.evidence for s in found_all))
    analysis = Analysis(
        id="targets",
        title=file.title,
        method=f"targets {file.id}",
        evidence=evidence,
        provisional=any(s.provisional for s in found_all),
        rules=(
            Text(
                zh="95%区间整体不低于目标为“达到”，整体低于目标为“未达到”，否则为“不能确定”；没有区间时注明",
                en="met: the whole 95 % interval is at the target or above; not met: all of it is "
                "below; not certain otherwise; without an interval the state says so",
            ),
        ),
        findings=tuple(s.sentence() for s in found_all),
        tables=(_table(found_all),),
        notes=tuple(s.target.note for s in found_all if s.target.note is not None),
        trace=context.key("targets"),
    )
    return Part(analyses=[analysis])


def _measured(
    context: Context,
    target: Target,
    rows: dict[str, Row],
    indices: dict[str, IndexValue],
    year: int,
) -> Measured | None:
    if target.indicator == "red_line_share":
        return _red_line_share(context, year)
    row, index = rows.get(target.indicator), indices.get(target.indicator)
    if row is not None and row.value is not None:
        # Bounds for missing data alone are no interval of the number.
        interval = row.interval if row.interval_kind == "confidence" else None
        return Measured(year, row.value, interval, row.provisional, row.evidence)
    if index is not None and index.value is not None:
        mark = "recalled" if index.provisional else "primary"
        return Measured(year, index.value, None, index.provisional, mark)  # type: ignore[arg-type]
    return None


def _red_line_share(context: Context, year: int) -> Measured | None:
    """Return the red line's share of the assessed zones' area, both from their polygons."""
    if "red_line" not in context.region.config.layers:
        return None
    whole = shapely.union_all(context.layer.gdf.geometry.array)
    red = shapely.union_all(load_layer(context.region, "red_line", year).gdf.geometry.array)
    crs = context.region.grid.crs
    inside = polygon_area_m2(shapely.intersection(whole, red), crs)
    share = 100 * inside / polygon_area_m2(whole, crs)
    # From polygons of known borders: nothing in it is estimated.
    return Measured(year, share, (share, share))


def _change(context: Context, target: Target, now: Measured) -> Change | None:
    """Return the change since the baseline year from the assessment stored for it."""
    folder = context.output.parent.parent / str(target.baseline.year) / context.programme.id
    path = folder / "summary.json"
    if target.baseline.year >= now.year or not path.is_file():
        return None
    then = read_summary(path)
    for index in then.indices:
        if index.unit == TOTAL and index.method.partition("@")[0] == target.indicator:
            return None if index.value is None else Change(now.value - index.value)
    for row in then.rows:
        if (row.zone, row.indicator, row.variable) == (TOTAL, target.indicator, ""):
            return None if row.value is None else Change(now.value - row.value)
    return None


def _table(found: list[Standing]) -> AnalysisTable:
    columns = (
        AnalysisColumn(title=Text(zh="性质", en="kind")),
        AnalysisColumn(title=Text(zh="现值", en="value")),
        AnalysisColumn(title=Text(zh="区间", en="interval")),
        AnalysisColumn(title=Text(zh="目标", en="target")),
        AnalysisColumn(title=Text(zh="距离", en="distance")),
        AnalysisColumn(title=Text(zh="方向", en="direction")),
        AnalysisColumn(title=Text(zh="状态", en="state")),
    )
    lines = []
    for s in found:
        interval = s.measured.interval
        low_high = (
            None if interval is None else _plain(f"{_say(interval[0], s)}–{_say(interval[1], s)}")
        )
        if s.target.rule == "at_least":
            aim = _plain(f"≥ {_say(s.limit, s)}")
        else:
            aim = Text(zh="稳中向好", en="stable or improving")
        value, distance = known(s.measured.value), known(s.distance)
        lines.append(
            AnalysisLine(
                head=s.target.title,
                cells=(
                    KINDS[s.target.kind],
                    None if value is None else _plain(_say(value, s)),
                    low_high,
                    aim,
                    None if distance is None else _plain(_say(distance, s, signed=True)),
                    DIRECTIONS[s.direction],
                    _state(s),
                ),
                provisional=s.provisional,
            )
        )
    return AnalysisTable(
        caption=Text(zh="规划目标", en="targets of the plan"),
        corner=Text(zh="指标", en="Target"),
        columns=columns,
        lines=tuple(lines),
    )


def _state(s: Standing) -> Text:
    state = STATES[s.state]
    if not s.provisional or s.state == "not_evaluated":
        return state
    return Text(zh=f"{state.zh}（试算）", en=f"{state.en} (provisional)")


def _say(value: float, s: Standing, *, signed: bool = False) -> str:
    if math.isnan(value):
        return "—"
    text = f"{value:+.{s.target.digits}f}" if signed else f"{value:.{s.target.digits}f}"
    return text + {"%": " %", "1": ""}.get(s.target.unit, f" {s.target.unit}")


def _plain(text: str) -> Text:
    return Text(zh=text, en=text)
