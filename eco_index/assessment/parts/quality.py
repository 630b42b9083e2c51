"""Ecosystem quality of every zone after HJ 1172-2021: mean, grades, change, map."""

from __future__ import annotations

import numpy as np

from eco_index.assessment.overview import MeanMap, map_layer, write_map
from eco_index.assessment.parts.context import Context, Part, known, years_done
from eco_index.assessment.parts.series import sheets_of
from eco_index.assessment.service_sums import MISSING, OUTSIDE, GradeSums, ServiceSums
from eco_index.grid import Tile
from eco_index.indicators import method_use
from eco_index.indices.quality import GRADES, quality_grade
from eco_index.methods import Method, method_of
from eco_index.period import Period
from eco_index.services import FILL, TileMap
from eco_index.services.quality import METHOD_ID, QualityInputs, QualityMaps
from eco_index.summary import (
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    Row,
)
from eco_index.yamlio import Text
from eco_index.zone_raster import zone_ids
from eco_index.zones import load_layer

KEY = "ecosystem_quality"
TITLE = Text(zh="生态系统质量（HJ 1172-2021）", en="ecosystem quality (HJ 1172-2021)")
SCALE = 0.01
_DENOMINATOR = Text(
    zh="单元内森林、灌丛、草地、农田面积（含地类不明者）",
    en="forest, shrub, grassland and cropland of the zone, or of no known class",
)
_NONE = Text(zh="—", en="—")


class _Sums:
    """Sums of one period by line (zones, then groups of them, then all together)."""

    def __init__(self, n_zones: int) -> None:
        self.index, self.grades = ServiceSums(n_zones), GradeSums(n_zones)

    def finished(self, context: Context) -> _Sums:
        groupings = context.groupings
        self.index = self.index.with_totals(groupings)
        self.grades = self.grades.with_totals(groupings)
        return self

    def means(self) -> np.ndarray:
        return self.index.mean(SCALE)

    def shares(self) -> np.ndarray:
        """Return the share of each grade in %, (line, grade); NaN where no pixel has one."""
        counts = self.grades.counts.values()[:, : len(GRADES)].astype(float)
        total = counts.sum(axis=1, keepdims=True)
        out = np.full(counts.shape, np.nan)
        np.divide(100 * counts, total, out=out, where=total > 0)
        return out


def part(context: Context) -> Part:
    """Return rows, the map and the section; what is not there is said.

    Raises
    ------
    InputError
        A raster without or with a wrong unit, or with values its unit cannot have.
    """
    config, method = context.region.config.quality, method_of(context.region, METHOD_ID)
    if config is None or context.period.half:
        return _nothing(context, method, [_why(context)])
    absent = QualityInputs(context.region, context.period.year).absent
    if absent:
        return _nothing(context, method, [_gap(absent)])
    periods, notes = _periods(context)
    compared = context.compared if context.compared in periods else None
    layer = None
    if config.zones is not None:
        layer = load_layer(context.region, config.zones, context.period.year)

    def zones(tile: Tile) -> np.ndarray:
        if layer is None:
            return np.ones(tile.shape, np.int32)
        return zone_ids(layer, context.region.grid, tile)

    count = 1 if layer is None else len(layer)
    maps = QualityMaps(context.region, context.view, periods, zones, count, method)
    picture = MeanMap(context.sums.overview.frame)
    now = _summed(context, maps, context.period, method, picture)
    before = _summed(context, maps, compared, method, None) if compared is not None else None
    (context.output / "maps").mkdir(parents=True, exist_ok=True)
    values = picture.values(SCALE)
    write_map(context.output, KEY, values, float("nan"), context.view.grid, picture.frame)
    names = context.lines
    return Part(
        rows=_rows(context, method, now, before, [zone for zone, _ in names]),
        maps=[map_layer(KEY, TITLE, "continuous", (0.0, 100.0), "RdYlGn")],
        analyses=[
            Analysis(
                id="quality",
                title=TITLE,
                method=f"{method.id}@{method.version}",
                # Which LUCC class is which vegetation type is a judgement.
                evidence="placeholder",
                provisional=True,
                rules=_rules(context, method, maps.how, periods),
                findings=tuple(_findings(context, method, now)),
                tables=(_table(context, method, now, before, names),),
                notes=tuple(notes),
                trace=context.key("quality"),
            )
        ],
        methods=[method_use(method)],
    )


def _periods(context: Context) -> tuple[list[Period], list[Text]]:
    """Return the years whose extremes count, and what is to be said of those that do not."""
    config = context.region.config.quality
    assert config is not None
    if not config.reference_years:
        return [context.period], [
            Text(
                zh="最大值取当年：各年以自身为参照，指数不可跨年比较，不给变化"
                "（区域文件quality.reference_years可列出比较年份）",
                en="the greatest values are those of the year: every year is its own reference, so "
                "that no change is told (quality.reference_years of the region file names years)",
            )
        ]
    wanted = {Period(year) for year in config.reference_years}
    wanted |= {context.period} | ({context.compared} if context.compared is not None else set())
    done = {*years_done(context.view, context.period), context.period}
    found: list[Period] = []
    gone: list[Period] = []
    for period in sorted(wanted, key=lambda p: p.year):
        here = period in done and not QualityInputs(context.region, period.year).absent
        (found if here else gone).append(period)
    notes = []
    if gone:
        years, listed = (joint.join(p.id for p in gone) for joint in (", ", "、"))
        notes.append(
            Text(
                zh=f"{listed}年未参与比较（数据集中没有、晚于本期或缺叶面积指数、总初级生产力）",
                en=f"{years} not compared: not in the cube, later, or without LAI or GPP",
            )
        )
    return found, notes


def _summed(
    context: Context, maps: QualityMaps, period: Period, method: Method, picture: MeanMap | None
) -> _Sums:
    sums = _Sums(len(context.layer))
    frame = context.sums.overview.frame
    for tile in context.view.grid.tiles():
        sheets = sheets_of(context, tile)
        if not sheets and (picture is None or frame.part(tile) is None):
            continue
        index, scope = maps.tile(period, tile)
        missing = np.isnan(index)
        stored = np.where(missing, FILL, np.rint(np.where(missing, 0, index) / SCALE))
        found = TileMap(stored.astype(np.int32), scope)
        grades = np.where(scope, np.where(missing, MISSING, quality_grade(index, method)), OUTSIDE)
        if picture is not None:
            picture.add(tile, found.stored, ~missing)
        for drawn in sheets:
            sums.index.add(drawn, found)
            sums.grades.add(drawn, grades.astype(np.uint8))
    return sums.finished(context)


def _rows(
    context: Context, method: Method, now: _Sums, before: _Sums | None, zones: list[str]
) -> list[Row]:
    km2 = context.region.grid.pixel_area_m2 / 1e6
    scope, valid = now.index.scope.values() * km2, now.index.valid.values() * km2
    means, shares = now.means(), now.shares()
    was = before.means() if before is not None else np.full(means.shape, np.nan)
    rows = []
    for k, zone in enumerate(zones):
        common = {
            "zone": zone,
            "denominator": _DENOMINATOR,
            "denominator_km2": float(scope[k]),
            "valid_km2": float(valid[k]),
            "no_data_km2": float(scope[k] - valid[k]),
            "method": f"{METHOD_ID}@{method.version}",
            "evidence": "placeholder",
            "provisional": True,
        }
        both = known(means[k]) is not None and known(was[k]) is not None
        rows.append(
            Row.model_validate(
                common
                | {
                    "indicator": KEY,
                    "title": Text(zh="生态系统质量指数", en="ecosystem quality index"),
                    "value": known(means[k]),
                    "unit": "1",
                    "previous": known(was[k]),
                    "change": float(means[k] - was[k]) if both else None,
                    "trace": context.key(zone, KEY),
                }
            )
        )
        for g, grade in enumerate(GRADES):
            title = _grade_title(method, grade)
            rows.append(
                Row.model_validate(
                    common
                    | {
                        "indicator": f"{KEY}_share",
                        "variable": f"g{g}",
                        "title": Text(
                            zh=f"生态系统质量等级面积比例：{title.zh}",
                            en=f"share of area by ecosystem quality: {title.en}",
                        ),
                        "value": known(float(shares[k, g])),
                        "unit": "%",
                        "trace": context.key(zone, f"{KEY}_share", f"g{g}"),
                    }
                )
            )
    return rows


def _grade_title(method: Method, grade: str) -> Text:
    return next(c.title for c in method.file.classes if c.id == grade)


def _grade_of(method: Method, value: float) -> Text:
    grade = int(quality_grade(np.array([value]), method)[0])
    return _NONE if grade == MISSING else _grade_title(method, GRADES[grade])


def _table(
    context: Context,
    method: Method,
    now: _Sums,
    before: _Sums | None,
    names: list[tuple[str, Text]],
) -> AnalysisTable:
    km2 = context.region.grid.pixel_area_m2 / 1e6
    scope, valid = now.index.scope.values() * km2, now.index.valid.values() * km2
    means, shares = now.means(), now.shares()
    columns = [
        AnalysisColumn(title=Text(zh="指数", en="index"), unit="1"),
        AnalysisColumn(title=Text(zh="级别", en="grade")),
    ]
    if before is not None and context.compared is not None:
        year = context.compared.id
        columns.append(AnalysisColumn(title=Text(zh=f"{year}年", en=year), unit="1"))
    columns += [AnalysisColumn(title=_grade_title(method, g), unit="%") for g in GRADES]
    columns += [
        AnalysisColumn(title=Text(zh="有值面积", en="area with a value"), unit="km2"),
        AnalysisColumn(title=Text(zh="无值面积", en="area without"), unit="km2"),
    ]
    was = before.means() if before is not None else None
    lines = []
    for k, (_, name) in enumerate(names):
        cells = [known(means[k]), _grade_of(method, float(means[k]))]
        cells += [known(was[k])] if was is not None else []
        cells += [known(float(v)) for v in shares[k]]
        cells += [float(valid[k]), float(scope[k] - valid[k])]
        lines.append(AnalysisLine(head=name, cells=tuple(cells), provisional=True))
    return AnalysisTable(
        caption=TITLE,
        corner=Text(zh="单元", en="Unit"),
        columns=tuple(columns),
        lines=tuple(lines),
    )


def _findings(context: Context, method: Method, now: _Sums) -> list[Text]:
    if not (context.has_total or len(context.zones) == 1):
        return []
    value = float(now.means()[-1])
    if np.isnan(value):
        return [Text(zh="生态系统质量：无值。", en="Ecosystem quality: no value.")]
    grade = _grade_of(method, value)
    return [
        Text(
            zh=f"生态系统质量指数（试算）：{value:.2f}，{grade.zh}。",
            en=f"Ecosystem quality index (provisional): {value:.2f}, {grade.en}.",
        )
    ]


def _rules(context: Context, method: Method, how: str, periods: list[Period]) -> tuple[Text, ...]:
    config = context.region.config.quality
    assert config is not None
    choices = {"reference": "years" if config.reference_years else "year", "normalisation": how}
    zones = config.zones
    rules = [
        Text(
            zh="（叶面积指数+植被覆盖度+总初级生产力的归一化相对密度）/3×100；与“生态质量指数”"
            "（EQI）不是同一指数",
            en="mean of the scaled relative densities of LAI, vegetation cover and GPP, times 100; "
            "not the ecological quality index (EQI)",
        ),
        Text(
            zh="相对密度=像元值/同一功能区、同一植被类型的最大值；"
            + (f"功能区取图层“{zones}”" if zones else "未声明功能区图层，全区按一个区计"),
            en="relative density: value over the greatest one of the same zone and vegetation "
            "type; "
            + (f"zones of the layer '{zones}'" if zones else "no layer of zones: one zone"),
        ),
    ]
    for key, choice in choices.items():
        spec = method.file.options[key]
        default = choice == spec.default
        rules.append(
            Text(
                zh=f"{spec.title.zh}：{spec.choices[choice].zh}{'（默认）' if default else ''}",
                en=f"{spec.title.en}: {spec.choices[choice].en}{' (default)' if default else ''}",
            )
        )
    if len(periods) > 1:
        years, listed = (joint.join(p.id for p in periods) for joint in (", ", "、"))
        rules.append(Text(zh=f"参与比较的年份：{listed}", en=f"years compared: {years}"))
    rules.append(
        Text(
            zh="植被类型由LUCC地类判断：21、23、24森林，22灌丛，31—33草地，11、12农田",
            en="vegetation types by LUCC class, a judgement: 21, 23, 24 forest, 22 shrub, 31 to 33 "
            "grassland, 11 and 12 cropland",
        )
    )
    return tuple(rules)


def _nothing(context: Context, method: Method, notes: list[Text]) -> Part:
    analysis = Analysis(
        id="quality",
        title=TITLE,
        method=f"{method.id}@{method.version}",
        evidence="placeholder",
        provisional=True,
        notes=tuple(notes),
        trace=context.key("quality"),
    )
    return Part(analyses=[analysis])


def _why(context: Context) -> Text:
    if context.period.half:
        return Text(
            zh="生态系统质量按年评价，半年期不评价",
            en="ecosystem quality is a figure of a year: not assessed for half-years",
        )
    return Text(
        zh="区域文件没有“quality”：生态系统质量不评价",
        en="the region file has no key 'quality': ecosystem quality is not assessed",
    )


def _gap(missing: list[Text]) -> Text:
    return Text(
        zh="生态系统质量不评价，缺：" + "、".join(m.zh for m in missing),
        en="ecosystem quality is not assessed; missing: " + ", ".join(m.en for m in missing),
    )
