"""Where the region stands against the targets of its plan."""

from __future__ import annotations

import shapely

from eco_index.analysis.basis import basis_of
from eco_index.analysis.tables import targets_analysis
from eco_index.analysis.target_file import Target, load_targets
from eco_index.analysis.targets import Change, Measured, standings
from eco_index.assessment.parts.context import Context, Part
from eco_index.grid import polygon_area_m2
from eco_index.methods import UNSURE, method_of
from eco_index.summary import TOTAL, IndexValue, Row, read_summary, weakest
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
    analysis = targets_analysis(plan, found_all, context.key("targets"))
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
        mark = row.evidence
        if interval is not None:  # what is judged by an interval is no surer than the interval
            mark = weakest((mark, basis_of(method_of(context.region, "uncertainty")).evidence))
        return Measured(year, row.value, interval, mark in UNSURE, mark)
    if index is not None and index.value is not None:
        mark = "recalled" if index.provisional else "primary"
        return Measured(year, index.value, None, index.provisional, mark)
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
    if context.compared is not None and target.baseline.year == context.compared.year:
        # Last year is the baseline: the report prints this change elsewhere, too.
        changes = {r.indicator: r.change for r in context.rows if f"{r.zone}{r.variable}" == TOTAL}
        for mine in context.indices:
            if mine.unit == TOTAL:
                changes[mine.method.partition("@")[0]] = mine.change
        change = changes.get(target.indicator)
        return None if change is None else Change(change)
    folder = context.output.parent.parent / str(target.baseline.year) / context.programme.id
    path = folder / "summary.json"
    if target.baseline.year >= now.year or not path.is_file():
        return None
    then = read_summary(path)
    for index in then.indices:
        if index.unit == TOTAL and index.method.partition("@")[0] == target.indicator:
            # Figures that were scaled by the maxima of different units do not compare.
            alike = any(
                i.unit == TOTAL and i.method == index.method and i.options == index.options
                for i in context.indices
            )
            return Change(now.value - index.value) if alike and index.value is not None else None
    for row in then.rows:
        if (row.zone, row.indicator, row.variable) == (TOTAL, target.indicator, ""):
            return None if row.value is None else Change(now.value - row.value)
    return None
