"""Ecosystem problems of every zone after HJ 1174-2021: erosion, grassland, sand, wetland."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eco_index.assessment.overview import ClassMap, map_layer, write_map
from eco_index.assessment.parts.context import Context, Part, known
from eco_index.assessment.parts.problem_grades import PROBLEMS, Grades, Problem
from eco_index.assessment.parts.series import sheets_of
from eco_index.assessment.service_sums import MISSING, OUTSIDE, GradeSums
from eco_index.change import ChangeSpec, ChangeSums
from eco_index.indicators import method_use
from eco_index.indices.problems import shrinkage_grade, wetland_shrinkage
from eco_index.methods import method_of
from eco_index.products import LUCC
from eco_index.services.maps import used_numbers
from eco_index.summary import (
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    MapClass,
    MapLayer,
    Row,
)
from eco_index.yamlio import Text

METHOD_ID = "hj1174_2021"
TITLE = Text(zh="生态问题", en="ecosystem problems")
WETLAND = (41, 42, 43, 45, 46, 64)
_SHRINKAGE = (
    Text(zh="无萎缩", en="none"),
    Text(zh="轻度", en="light"),
    Text(zh="中度", en="moderate"),
    Text(zh="重度", en="heavy"),
    Text(zh="极重度", en="very heavy"),
)
_WETLAND_TITLE = Text(zh="湿地萎缩", en="wetland shrinkage")
_OUTSIDE = 99  # on maps
_NO_PROBLEM = Text(zh="不在评价范围", en="not assessed there")
_BOTH = Text(zh="单元内两期均有土地覆盖的面积", en="area of the zone with land cover in both years")
_NOT_HERE = Text(
    zh="森林退化（缺生物量）、石漠化（缺岩性）、湖库富营养化（缺水质）、沙化的风蚀残丘与戈壁判据不评价",
    en="not assessed for want of data: forest degradation (biomass), rocky desertification "
    "(lithology), eutrophication (water quality), wind-eroded remnants and gobi",
)


def part(context: Context) -> Part:
    """Return rows, maps and the section of problems; what cannot be graded is said.

    Raises
    ------
    InputError
        A raster or layer that cannot be used.
    """
    if context.region.config.landcover is None:
        return Part()
    method = method_of(context.region, METHOD_ID)
    grades = Grades(context, method)
    n, grid = len(context.layer), context.view.grid
    frame = context.sums.overview.frame
    sums = {name: GradeSums(n) for name in grades.available}
    pictures = {name: ClassMap(frame, 0) for name in grades.available}
    wetland = ChangeSums(ChangeSpec(classes=("landcover",)), n)
    before = context.compared
    for tile in grid.tiles():
        sheets = sheets_of(context, tile)
        if not sheets and frame.part(tile) is None:
            continue
        for name in grades.available:
            found = grades.tile(name, tile)
            shown = np.where(found == MISSING, 0, np.where(found == OUTSIDE, _OUTSIDE, found + 1))
            pictures[name].add(tile, shown.astype(np.uint8))
            for drawn in sheets:
                sums[name].add(drawn, found)
        if before is None or not sheets:
            continue
        was = {"landcover": context.view.read(before.cadence, "landcover", before.id, tile)}
        now = context.view.read(
            context.period.cadence, "landcover", context.period.id, tile
        )  # fmt: skip
        for drawn in sheets:
            wetland.add(drawn.ids, was, {"landcover": now}, drawn.shares)
    names, groupings = context.lines, context.groupings
    out = Part()
    tables, findings = [], []
    notes = [_gap(PROBLEMS[p], missing) for p, missing in grades.missing.items() if missing]
    for name, one in sums.items():
        problem = PROBLEMS[name]
        counts = one.with_totals(groupings).counts.values()
        out.rows += _rows(context, problem, counts, [z for z, _ in names], method.version)
        out.maps.append(_map(context, problem, pictures[name]))
        tables.append(_table(context, problem, counts, names))
        if context.has_total or n == 1:  # the line of all zones is the last
            findings += _finding(problem, counts[-1])
    if before is not None:
        areas = _wetlands([wetland, *(wetland.grouped(k, len(own)) for own, k in groupings)])
        rows, table = _shrinkage(context, areas, names)
        out.rows += rows
        tables.append(table)
    else:
        notes.append(
            Text(
                zh="湿地萎缩不评价：无可对比的年份",
                en="wetland shrinkage is not assessed: there is no year to compare with",
            )
        )
    method.number("shrink_1")
    out.analyses = [
        Analysis(
            id="problems",
            title=TITLE,
            method=f"{method.id}@{method.version}",
            # To which class a shared limit belongs is not stated; erosion rests on HJ 1173 as well.
            evidence="placeholder",
            provisional=True,
            rules=_rules(context, grades),
            findings=tuple(findings),
            tables=tuple(tables),
            notes=(*notes, *grades.notes, _NOT_HERE),
            trace=context.key("problems"),
        )
    ]
    out.methods = [method_use(method)]
    if grades.maps is not None and "soil_erosion" in grades.available:
        out.methods.append(method_use(used_numbers(grades.maps, ["soil_retention"])))
    return out


def _figures(counts: np.ndarray, n: int) -> tuple[np.ndarray, float, float]:
    """Return shares of the grades in %, pixels with a grade, and pixels without."""
    graded = counts[:n].astype(float)
    valid = float(graded.sum())
    share = 100 * graded / valid if valid else np.full(n, np.nan)
    return share, valid, float(counts[MISSING])


def _rows(
    context: Context, problem: Problem, counts: np.ndarray, zones: list[str], version: str
) -> list[Row]:
    km2 = context.region.grid.pixel_area_m2 / 1e6
    key = f"{problem.id}_share"
    rows = []
    for k, zone in enumerate(zones):
        shares, valid, missing = _figures(counts[k], len(problem.grades))
        for grade, (title, _) in enumerate(problem.grades):
            rows.append(
                Row(
                    zone=zone,
                    indicator=key,
                    variable=f"g{grade}",
                    title=Text(
                        zh=f"{problem.title.zh}面积比例：{title.zh}",
                        en=f"share of area by {problem.title.en}: {title.en}",
                    ),
                    value=known(float(shares[grade])),
                    unit="%",
                    denominator=problem.denominator,
                    denominator_km2=(valid + missing) * km2,
                    valid_km2=valid * km2,
                    no_data_km2=missing * km2,
                    method=f"{METHOD_ID}@{version}",
                    evidence="placeholder",
                    provisional=True,
                    trace=context.key(zone, key, f"g{grade}"),
                )
            )
    return rows


def _table(
    context: Context, problem: Problem, counts: np.ndarray, names: list[tuple[str, Text]]
) -> AnalysisTable:
    km2 = context.region.grid.pixel_area_m2 / 1e6
    n = len(problem.grades)
    lines = []
    for k, (_, name) in enumerate(names):
        _, valid, missing = _figures(counts[k], n)
        areas = tuple(float(c) * km2 if valid else None for c in counts[k][:n])
        cells = (*areas, valid * km2, missing * km2)
        lines.append(AnalysisLine(head=name, cells=cells, provisional=True))
    columns = [AnalysisColumn(title=title, unit="km2") for title, _ in problem.grades]
    columns += [
        AnalysisColumn(title=Text(zh="有级别面积", en="area with a grade"), unit="km2"),
        AnalysisColumn(title=Text(zh="无数据", en="no data"), unit="km2"),
    ]
    return AnalysisTable(
        caption=problem.title,
        corner=Text(zh="单元", en="Unit"),
        columns=tuple(columns),
        lines=tuple(lines),
    )


def _map(context: Context, problem: Problem, picture: ClassMap) -> MapLayer:
    (context.output / "maps").mkdir(parents=True, exist_ok=True)
    write_map(
        context.output, problem.id, picture.codes, 0, context.view.grid, picture.frame
    )  # fmt: skip
    seen = set(np.unique(picture.codes).tolist())
    layer = map_layer(problem.id, problem.title, "classes", None, "vegetation")
    known_classes = [(k + 1, *grade) for k, grade in enumerate(problem.grades)]
    known_classes.append((_OUTSIDE, _NO_PROBLEM, "#fbfbf8"))
    classes = tuple(
        MapClass(code=code, title=title, colour=colour)
        for code, title, colour in known_classes
        if code in seen
    )
    return layer.model_copy(update={"classes": classes})


def _wetlands(sums: Sequence[ChangeSums]) -> np.ndarray:
    """Return pixels of wetland before and now, and with land cover in both years: (line, 3)."""

    def of(one: ChangeSums) -> np.ndarray:
        codes = tuple(LUCC)
        before = one.n_transition("landcover", WETLAND, codes)
        now = one.n_transition("landcover", codes, WETLAND)
        both = one.n_both("landcover")
        return np.stack([before, now, both, one.pixels - both], axis=1).astype(float)

    return np.vstack([of(one) for one in sums])


def _shrinkage(
    context: Context, areas: np.ndarray, names: list[tuple[str, Text]]
) -> tuple[list[Row], AnalysisTable]:
    assert context.compared is not None
    method = method_of(context.region, METHOD_ID)
    km2 = context.region.grid.pixel_area_m2 / 1e6
    share = wetland_shrinkage(areas[:, 0], areas[:, 1])
    grade = shrinkage_grade(share, method)
    none = Text(zh="—", en="—")
    rows, lines = [], []
    for k, (zone, name) in enumerate(names):
        before, now, both, missing = (float(v) * km2 for v in areas[k])
        rows.append(
            Row(
                zone=zone,
                indicator="wetland_shrinkage",
                kind="change",
                title=Text(zh="湿地面积萎缩率", en="shrinkage of wetland"),
                value=known(float(share[k])),
                unit="%",
                denominator=_BOTH,
                denominator_km2=both,
                valid_km2=both,
                no_data_km2=missing,
                method=f"{METHOD_ID}@{method.version}",
                evidence="placeholder",
                provisional=True,
                trace=context.key(zone, "wetland_shrinkage"),
            )
        )
        words = none if grade[k] == MISSING else _SHRINKAGE[int(grade[k])]
        cells = (before, now, known(float(share[k])), words, missing)
        lines.append(AnalysisLine(head=name, cells=cells, provisional=True))
    year = context.compared.id
    table = AnalysisTable(
        caption=Text(
            zh=f"湿地萎缩（{year}年至{context.period.id}年，负值为扩大）",
            en=f"wetland shrinkage from {year} to {context.period.id} (negative: it grew)",
        ),
        corner=Text(zh="单元", en="Unit"),
        columns=(
            AnalysisColumn(title=Text(zh=f"{year}年湿地", en=f"wetland {year}"), unit="km2"),
            AnalysisColumn(
                title=Text(zh=f"{context.period.id}年湿地", en=f"wetland {context.period.id}"),
                unit="km2",
            ),
            AnalysisColumn(title=Text(zh="萎缩率", en="shrinkage"), unit="%"),
            AnalysisColumn(title=Text(zh="级别", en="grade")),
            AnalysisColumn(title=Text(zh="无对比面积", en="not comparable"), unit="km2"),
        ),
        lines=tuple(lines),
    )
    return rows, table


def _finding(problem: Problem, counts: np.ndarray) -> list[Text]:
    shares, valid, _ = _figures(counts, len(problem.grades))
    if not valid:
        return []
    # Grades of desertification begin with a light one; the others with none.
    first = 0 if problem.id == "desertification" else 1
    parts = [
        (title, float(share))
        for (title, _), share in zip(problem.grades[first:], shares[first:], strict=True)
        if share >= 0.05
    ]
    none = Text(zh="无退化面积", en="none")
    zh = "、".join(f"{t.zh}{s:.1f}%" for t, s in parts) or none.zh
    en = ", ".join(f"{t.en} {s:.1f} %" for t, s in parts) or none.en
    return [
        Text(
            zh=f"{problem.title.zh}（试算，面积比例）：{zh}。",
            en=f"{problem.title.en.capitalize()} (provisional), share of area: {en}.",
        )
    ]


def _rules(context: Context, grades: Grades) -> tuple[Text, ...]:
    config, rules = context.region.config.problems, []
    if "soil_erosion" in grades.available:
        rules.append(
            Text(
                zh="侵蚀模数=R·K·L·S·C（无P因子），按所声明侵蚀类型区的容许流失量分级",
                en="erosion modulus R K L S C without factor P, graded by the tolerable loss of "
                f"the declared region '{config.erosion_region}'",
            )
        )
    if "grassland_degradation" in grades.available:
        years, listed = (joint.join(map(str, config.grass_years)) for joint in (", ", "、"))
        rules.append(
            Text(
                zh=f"草地退化指数=本期盖度/同一自然地带{listed}年草地最大盖度；参照为像元最大值，"
                "偏严；已转为非草地者不计",
                en=f"degradation index: cover over the greatest cover of grassland in {years} in "
                "the same natural zone; a maximum over pixels is a strict reference; land that is "
                "no longer grassland is not counted",
            )
        )
    if "desertification" in grades.available:
        rules.append(
            Text(
                zh="土地沙化按沙地范围内植被覆盖度分级，水域与建设用地除外",
                en="desertification: by vegetation cover within sandy land, without water and "
                "built-up land",
            )
        )
    rules.append(
        Text(
            zh="湿地为河渠、湖泊、水库坑塘、滩涂、滩地、沼泽；只计两期均有土地覆盖的像元",
            en="wetland: rivers, lakes, reservoirs, tidal flats, floodplains and marsh; pixels "
            "with land cover in both years",
        )
    )
    return tuple(rules)


def _gap(problem: Problem, missing: list[Text]) -> Text:
    return Text(
        zh=f"{problem.title.zh}不评价，缺：" + "、".join(m.zh for m in missing),
        en=f"{problem.title.en} is not assessed; missing: " + ", ".join(m.en for m in missing),
    )
