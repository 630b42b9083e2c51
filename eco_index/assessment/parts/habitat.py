"""Habitat quality of every zone by InVEST's formulas: mean, degradation, change, map."""

from __future__ import annotations

import numpy as np

from eco_index.assessment.overview import MeanMap, map_layer, write_map
from eco_index.assessment.parts.context import Context, Part, known
from eco_index.assessment.parts.series import sheets_of
from eco_index.assessment.service_sums import ServiceSums
from eco_index.indices.habitat_parameters import HabitatParameters
from eco_index.services import FILL, TileMap
from eco_index.services.habitat import HabitatMaps
from eco_index.summary import (
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    Evidence,
    Row,
    weakest,
)
from eco_index.yamlio import Text

TITLE = Text(zh="生境质量（InVEST公式）", en="habitat quality (InVEST's formulas)")
SCALE = 1e-4
#: What is summed, in the order of `HabitatMaps.tile`: key and title.
MAPS = (
    ("habitat_degradation", Text(zh="生境退化度", en="habitat degradation")),
    ("habitat_quality", Text(zh="生境质量", en="habitat quality")),
)
_DENOMINATOR = Text(zh="单元面积", en="area of the zone")
_UNSURE = ("recalled", "placeholder")


def part(context: Context) -> Part:
    """Return rows, the map and the section; what is not there is said.

    Raises
    ------
    InputError
        A class without parameters, a raster that cannot be used.
    UsageError
        Parameters that are not known, threats without a raster.
    """
    if context.region.config.habitat is None:
        return _nothing(
            context,
            Text(
                zh="区域文件没有“habitat”：生境质量不评价",
                en="the region file has no key 'habitat': habitat quality is not assessed",
            ),
        )
    maps = HabitatMaps(context.region, context.view, context.period)
    if maps.missing:
        return _nothing(
            context,
            Text(
                zh="生境质量不评价，缺：" + "、".join(m.zh for m in maps.missing),
                en="habitat quality is not assessed; missing: "
                + ", ".join(m.en for m in maps.missing),
            ),
        )
    earlier, notes = None, []
    if context.compared is not None:
        earlier = HabitatMaps(context.region, context.view, context.compared)
        if earlier.missing:
            year = context.compared.id
            notes.append(
                Text(
                    zh=f"无{year}年对比，缺：" + "、".join(m.zh for m in earlier.missing),
                    en=f"no value of {year}; missing: " + ", ".join(m.en for m in earlier.missing),
                )
            )
            earlier = None
    picture = MeanMap(context.sums.overview.frame)
    now = _summed(context, maps, picture)
    before = _summed(context, earlier, None) if earlier is not None else None
    (context.output / "maps").mkdir(parents=True, exist_ok=True)
    key = MAPS[1][0]
    values = picture.values(SCALE)
    write_map(context.output, key, values, float("nan"), context.view.grid, picture.frame)
    names = context.lines
    parameters, evidence = maps.parameters, _evidence(maps.parameters)
    if parameters.note is not None:
        notes.append(parameters.note)
    return Part(
        rows=_rows(context, parameters, now, before, [zone for zone, _ in names]),
        maps=[map_layer(key, TITLE, "continuous", (0.0, 1.0), "RdYlGn")],
        analyses=[
            Analysis(
                id="habitat",
                title=TITLE,
                method=f"{parameters.id}@{parameters.version}",
                evidence=evidence,
                provisional=evidence in _UNSURE,
                rules=_rules(parameters),
                findings=tuple(_findings(context, now, evidence)),
                tables=(_table(context, now, before, names, evidence),),
                notes=tuple(notes),
                trace=context.key("habitat"),
            )
        ],
    )


def _evidence(parameters: HabitatParameters) -> Evidence:
    found = [parameters.half_saturation_evidence]
    found += [t.evidence for t in parameters.threats.values()]
    return weakest([*found, *(c.evidence for c in parameters.classes.values())])


def _summed(context: Context, maps: HabitatMaps, picture: MeanMap | None) -> list[ServiceSums]:
    sums = [ServiceSums(len(context.layer)) for _ in MAPS]
    frame = context.sums.overview.frame
    for tile in context.view.grid.tiles():
        sheets = sheets_of(context, tile)
        if not sheets and (picture is None or frame.part(tile) is None):
            continue
        found = maps.tile(tile)
        scope = np.ones(tile.shape, bool)
        for one, values in zip(sums, found, strict=True):
            missing = np.isnan(values)
            stored = np.where(missing, FILL, np.rint(np.where(missing, 0, values) / SCALE))
            stored = stored.astype(np.int32)
            for drawn in sheets:
                one.add(drawn, TileMap(stored, scope))
        if picture is not None:  # quality is the last
            picture.add(tile, stored, ~missing)
    return [one.with_totals(context.groupings) for one in sums]


def _rows(
    context: Context,
    parameters: HabitatParameters,
    now: list[ServiceSums],
    before: list[ServiceSums] | None,
    zones: list[str],
) -> list[Row]:
    km2, evidence = context.region.grid.pixel_area_m2 / 1e6, _evidence(parameters)
    rows = []
    for m, (key, title) in enumerate(MAPS):
        means = now[m].mean(SCALE)
        was = before[m].mean(SCALE) if before is not None else np.full(means.shape, np.nan)
        scope, valid = now[m].scope.values() * km2, now[m].valid.values() * km2
        for k, zone in enumerate(zones):
            both = known(means[k]) is not None and known(was[k]) is not None
            rows.append(
                Row(
                    zone=zone,
                    indicator=key,
                    title=title,
                    value=known(means[k]),
                    unit="1",
                    denominator=_DENOMINATOR,
                    denominator_km2=float(scope[k]),
                    valid_km2=float(valid[k]),
                    no_data_km2=float(scope[k] - valid[k]),
                    previous=known(was[k]),
                    change=float(means[k] - was[k]) if both else None,
                    method=f"{parameters.id}@{parameters.version}",
                    evidence=evidence,
                    provisional=evidence in _UNSURE,
                    trace=context.key(zone, key),
                )
            )
    return rows


def _table(
    context: Context,
    now: list[ServiceSums],
    before: list[ServiceSums] | None,
    names: list[tuple[str, Text]],
    evidence: Evidence,
) -> AnalysisTable:
    km2 = context.region.grid.pixel_area_m2 / 1e6
    columns, cells = [], []
    for m, (_, title) in reversed(list(enumerate(MAPS))):
        columns.append(AnalysisColumn(title=title, unit="1"))
        cells.append(now[m].mean(SCALE))
        if before is not None and context.compared is not None:
            year = context.compared.id
            named = Text(zh=f"{year}年{title.zh}", en=f"{title.en} {year}")
            columns.append(AnalysisColumn(title=named, unit="1"))
            cells.append(before[m].mean(SCALE))
    valid, scope = now[1].valid.values() * km2, now[1].scope.values() * km2
    columns += [
        AnalysisColumn(title=Text(zh="有值面积", en="area with a value"), unit="km2"),
        AnalysisColumn(title=Text(zh="无值面积", en="area without"), unit="km2"),
    ]
    lines = [
        AnalysisLine(
            head=name,
            cells=(
                *(known(float(c[k])) for c in cells),
                float(valid[k]),
                float(scope[k] - valid[k]),
            ),
            provisional=evidence in _UNSURE,
        )
        for k, (_, name) in enumerate(names)
    ]
    return AnalysisTable(
        caption=TITLE,
        corner=Text(zh="单元", en="Unit"),
        columns=tuple(columns),
        lines=tuple(lines),
    )


def _findings(context: Context, now: list[ServiceSums], evidence: Evidence) -> list[Text]:
    value = float(now[1].mean(SCALE)[-1])
    if not (context.has_total or len(context.zones) == 1) or np.isnan(value):
        return []
    zh, en = ("（试算）", " (provisional)") if evidence in _UNSURE else ("", "")
    return [Text(zh=f"生境质量{zh}：{value:.3f}。", en=f"Habitat quality{en}: {value:.3f}.")]


def _rules(parameters: HabitatParameters) -> tuple[Text, ...]:
    nearest = parameters.influence == "nearest"
    zh = "按与最近威胁像元的距离衰减" if nearest else "按周围威胁像元的衰减加权占比"
    en = (
        "decay with the distance to the nearest threat pixel"
        if nearest
        else "decay-weighted share of threat pixels around"
    )
    threats = parameters.threats.values()
    return (
        Text(
            zh=f"参数：{parameters.title.zh}（{parameters.id}@{parameters.version}，"
            f"校验{parameters.digest[:12]}）；半饱和常数{parameters.half_saturation:g}",
            en=f"parameters: {parameters.title.en} ({parameters.id}@{parameters.version}, digest "
            f"{parameters.digest[:12]}); half-saturation {parameters.half_saturation:g}",
        ),
        Text(
            zh=f"威胁影响{zh}："
            + "、".join(f"{t.name.zh}（{t.max_distance_m:g} m）" for t in threats),
            en=f"influence of threats: {en}: "
            + ", ".join(f"{t.name.en} ({t.max_distance_m:g} m)" for t in threats),
        ),
        Text(
            zh="作为生态环境状况指数中生境质量分指数的对照，不是同一指标；格网以外与地类不明处的威胁不计，"
            "退化度因此为下限",
            en="a cross-check beside the habitat quality of the official EI, not the same figure; "
            "threats beyond the grid and where land cover is missing do not count, so that "
            "degradation is a lower bound",
        ),
    )


def _nothing(context: Context, note: Text) -> Part:
    analysis = Analysis(
        id="habitat",
        title=TITLE,
        method="InVEST",
        evidence="placeholder",
        provisional=True,
        notes=(note,),
        trace=context.key("habitat"),
    )
    return Part(analyses=[analysis])
