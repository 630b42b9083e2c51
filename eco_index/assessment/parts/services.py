"""Ecosystem services of every zone after HJ 1173-2021: means, sums, change, maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eco_index.assessment.overview import MeanMap, map_layer, write_map
from eco_index.assessment.parts.context import Context, Part, known
from eco_index.assessment.parts.series import sheets_of
from eco_index.assessment.service_sums import ServiceSums
from eco_index.indicators import method_use
from eco_index.methods import method_of
from eco_index.services import FILL, SERVICES, Service, ServiceMaps
from eco_index.services.maps import METHOD_ID, used_numbers
from eco_index.summary import (
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    Evidence,
    MapLayer,
    Row,
    weakest,
)
from eco_index.yamlio import Text

TITLE = Text(zh="生态系统服务", en="ecosystem services")
_UNSURE = ("recalled", "placeholder")
_PALETTES = {"soil_retention": "YlGn", "sand_fixation": "YlOrBr", "water_conservation": "Blues"}


@dataclass(frozen=True)
class _Found:
    """A service's figures by line (zones, then groups of them, then all together)."""

    service: Service
    evidence: Evidence
    now: ServiceSums
    before: ServiceSums | None

    def values(self, now: bool = True) -> np.ndarray:
        """Return means by line, NaN where there is none."""
        sums = self.now if now else self.before
        if sums is None:
            return np.full(self.now.scope.whole.size, np.nan)
        return sums.mean(self.service.scale)

    def totals(self, pixel_m2: float, now: bool = True) -> np.ndarray:
        """Return sums over the pixels with a value."""
        sums = self.now if now else self.before
        factor = pixel_m2 * self.service.per_m2
        means = self.values(now)
        return means if sums is None else means * sums.valid.values() * factor


def part(context: Context) -> Part:
    """Return rows, maps and the section of services; what cannot be computed is said.

    Raises
    ------
    InputError
        A raster without or with a wrong unit, or with values its unit cannot have.
    """
    region = context.region
    if region.config.services is None or context.period.half:
        return Part(analyses=[_analysis(context, [], [_nothing(context)], "placeholder")])
    maps = ServiceMaps(region, context.view, context.period)
    earlier = None
    if context.compared is not None:
        earlier = ServiceMaps(region, context.view, context.compared)
    found, pictures = _sum(context, maps, earlier)
    out = Part(maps=pictures)
    names = context.lines
    notes = [_gap(SERVICES[name], missing) for name, missing in maps.missing.items() if missing]
    if earlier is not None and context.compared is not None:
        for name in maps.available:
            if earlier.missing[name]:
                notes.append(_no_change(SERVICES[name], context.compared.id, earlier.missing[name]))
    if maps.types.note is not None:
        notes.append(maps.types.note)
    for one in found:
        out.rows += _rows(context, one, [zone for zone, _ in names])
    evidence: Evidence = weakest(f.evidence for f in found) if found else "placeholder"
    out.analyses = [_analysis(context, found, notes, evidence, names)]
    if found:
        out.methods = [method_use(used_numbers(maps, maps.available))]
    return out


def _sum(
    context: Context, maps: ServiceMaps, earlier: ServiceMaps | None
) -> tuple[list[_Found], list[MapLayer]]:
    n, wanted, grid = len(context.layer), maps.available, context.view.grid
    frame = context.sums.overview.frame
    before = [] if earlier is None else [s for s in wanted if not earlier.missing[s]]
    now = {name: ServiceSums(n) for name in wanted}
    was = {name: ServiceSums(n) for name in before}
    pictures = {name: MeanMap(frame) for name in wanted}
    for tile in grid.tiles():
        sheets = sheets_of(context, tile)
        if not sheets and frame.part(tile) is None:
            continue
        for name in wanted:
            one = maps.tile(name, tile)
            pictures[name].add(tile, one.stored, one.stored != FILL)
            for drawn in sheets:
                now[name].add(drawn, one)
        if not sheets or earlier is None:
            continue
        for name in before:
            one = earlier.tile(name, tile)
            for drawn in sheets:
                was[name].add(drawn, one)
    layers = []
    for name, picture in pictures.items():
        (context.output / "maps").mkdir(parents=True, exist_ok=True)
        service = SERVICES[name]
        values = picture.values(service.scale)
        write_map(context.output, name, values, float("nan"), grid, frame)
        title = Text(
            zh=f"{service.title.zh}（{_printed(service.unit)}）",
            en=f"{service.title.en}, {_printed(service.unit)}",
        )
        layers.append(map_layer(name, title, "continuous", _limits(values), _PALETTES[name]))
    groupings = context.groupings
    found = []
    for name in wanted:
        earlier_sums = was.get(name)
        found.append(
            _Found(
                SERVICES[name],
                maps.evidence(name),
                now[name].with_totals(groupings),
                earlier_sums.with_totals(groupings) if earlier_sums else None,
            )
        )
    return found, layers


def _limits(values: np.ndarray) -> tuple[float, float] | None:
    """Colours from the 2nd to the 98th percentile: a few steep pixels would pale all others."""
    seen = values[np.isfinite(values)]
    if not seen.size:
        return None
    low, high = (float(v) for v in np.percentile(seen, (2, 98)))
    return (low, high) if high > low else None


def _rows(context: Context, found: _Found, zones: list[str]) -> list[Row]:
    service, pixel_m2 = found.service, context.region.grid.pixel_area_m2
    scope, valid = found.now.scope.values(), found.now.valid.values()
    km2 = pixel_m2 / 1e6
    denominator = Text(
        zh=f"单元内可评价{service.title.zh}的地类面积（含地类不明者）",
        en=f"area of the zone's land classes on which {service.title.en} exists, or of no known "
        "class",
    )
    rows = []
    for key, title, unit, now, was in (
        (
            service.id,
            Text(zh=f"单位面积{service.title.zh}", en=f"{service.title.en} per area"),
            service.unit,
            found.values(),
            found.values(now=False),
        ),
        (
            f"{service.id}_total",
            Text(zh=f"{service.title.zh}总量", en=f"total {service.title.en}"),
            service.total_unit,
            found.totals(pixel_m2),
            found.totals(pixel_m2, now=False),
        ),
    ):
        for k, zone in enumerate(zones):
            value, previous = known(now[k]), known(was[k])
            both = value is not None and previous is not None
            rows.append(
                Row(
                    zone=zone,
                    indicator=key,
                    title=title,
                    value=value,
                    unit=unit,
                    denominator=denominator,
                    denominator_km2=float(scope[k]) * km2,
                    valid_km2=float(valid[k]) * km2,
                    no_data_km2=float(scope[k] - valid[k]) * km2,
                    previous=previous,
                    change=float(now[k] - was[k]) if both else None,
                    method=f"{METHOD_ID}@{method_of(context.region, METHOD_ID).version}",
                    evidence=found.evidence,
                    provisional=found.evidence in _UNSURE,
                    trace=context.key(zone, key),
                )
            )
    return rows


def _table(context: Context, found: _Found, names: list[tuple[str, Text]]) -> AnalysisTable:
    service, pixel_m2 = found.service, context.region.grid.pixel_area_m2
    now, was = found.values(), found.values(now=False)
    totals, scope, valid = found.totals(pixel_m2), found.now.scope.values(), found.now.valid
    km2 = pixel_m2 / 1e6
    columns = [
        AnalysisColumn(title=Text(zh="单位面积", en="per area"), unit=service.unit),
        AnalysisColumn(title=Text(zh="总量", en="total"), unit=service.total_unit),
    ]
    if found.before is not None and context.compared is not None:
        year = context.compared.id
        columns += [
            AnalysisColumn(title=Text(zh=f"{year}年", en=year), unit=service.unit),
            AnalysisColumn(title=Text(zh="变化", en="change"), unit="%"),
        ]
    columns += [
        AnalysisColumn(title=Text(zh="有值面积", en="area with a value"), unit="km2"),
        AnalysisColumn(title=Text(zh="无值面积", en="area without"), unit="km2"),
    ]
    lines = []
    for k, (_, name) in enumerate(names):
        cells = [known(now[k]), known(totals[k])]
        if found.before is not None:
            rise = 100 * (now[k] - was[k]) / was[k] if was[k] > 0 else math.nan
            cells += [known(was[k]), known(rise)]
        seen = float(valid.values()[k])
        cells += [seen * km2, (float(scope[k]) - seen) * km2]
        unsure = found.evidence in _UNSURE
        lines.append(AnalysisLine(head=name, cells=tuple(cells), provisional=unsure))
    return AnalysisTable(
        caption=service.title,
        corner=Text(zh="单元", en="Unit"),
        columns=tuple(columns),
        lines=tuple(lines),
    )


def _analysis(
    context: Context,
    found: list[_Found],
    notes: list[Text],
    evidence: Evidence,
    names: list[tuple[str, Text]] | None = None,
) -> Analysis:
    method = method_of(context.region, METHOD_ID)
    return Analysis(
        id="services",
        title=TITLE,
        method=f"{method.id}@{method.version}",
        evidence=evidence,
        provisional=evidence in _UNSURE,
        rules=_rules(context, found),
        findings=tuple(_finding(context, f) for f in found if names is not None),
        tables=tuple(_table(context, f, names) for f in found if names is not None),
        notes=tuple(notes),
        trace=context.key("services"),
    )


def _rules(context: Context, found: list[_Found]) -> tuple[Text, ...]:
    config = context.region.config.services
    rules = []
    ids = {f.service.id for f in found}
    if "soil_retention" in ids and config is not None:
        rules.append(
            Text(
                zh=f"土壤保持量=R·K·L·S·(1−C)，坡长声明为{config.slope_length_m:g} m，"
                "坡度取自高程（3×3窗口）",
                en="soil retention R K L S (1 - C) with a declared slope length of "
                f"{config.slope_length_m:g} m and the slope of a 3 x 3 window",
            )
        )
    if "sand_fixation" in ids:
        rules.append(
            Text(
                zh="防风固沙量=潜在风蚀量−实际风蚀量（RWEQ）；公式非单调，负值保留",
                en="sand fixation: potential less actual wind erosion (RWEQ); the formula is not "
                "monotonic, negative values are kept",
            )
        )
    if "water_conservation" in ids:
        rules.append(
            Text(
                zh="水源涵养量=P−α·P−ET；耕地、城镇、荒漠无产流系数，不给值",
                en="water conservation P - alpha P - ET; cropland, urban land and desert have no "
                "value for as long as no runoff coefficient is entered for them",
            )
        )
    if found:
        rules.append(
            Text(
                zh="总量只计有值像元，不外推；变化含两年气象与地表之差；"
                "LUCC与HJ 1173类型的对应为判断",
                en="totals hold pixels with a value only, nothing is extrapolated; change holds "
                "weather and land of both years; which LUCC class is which type is a judgement",
            )
        )
    return tuple(rules)


def _printed(unit: str) -> str:
    return unit.replace("hm2 a", "hm²·a").replace("km2 a", "km²·a").replace("m3", "m³")


def _finding(context: Context, found: _Found) -> Text:
    service = found.service
    single = len(context.zones) == 1
    whole = context.has_total
    k = -1 if whole else 0  # the line of all zones is the last
    if not (whole or single):
        seen = [float(v) for v in found.values()[: len(context.zones)] if not math.isnan(v)]
        if not seen:
            return Text(
                zh=f"{service.title.zh}：各单元均无值。",
                en=f"{service.title.en.capitalize()}: no unit has a value.",
            )
        low, high, unit = min(seen), max(seen), _printed(service.unit)
        return Text(
            zh=f"{service.title.zh}（试算）：各单元为{low:,.2f}至{high:,.2f} {unit}。",
            en=f"{service.title.en.capitalize()} (provisional): {low:,.2f} to {high:,.2f} {unit} "
            "by unit.",
        )
    value, before = float(found.values()[k]), float(found.values(now=False)[k])
    if math.isnan(value):
        return Text(
            zh=f"{service.title.zh}：无值。", en=f"{service.title.en.capitalize()}: no value."
        )
    total = float(found.totals(context.region.grid.pixel_area_m2)[k])
    zh = f"{value:,.2f} {_printed(service.unit)}，总量{total:,.0f} {_printed(service.total_unit)}"
    en = (
        f"{value:,.2f} {_printed(service.unit)}, {total:,.0f} {_printed(service.total_unit)} in all"
    )
    if before > 0 and context.compared is not None:
        rise = 100 * (value - before) / before
        zh += f"，较{context.compared.id}年{'增加' if rise >= 0 else '减少'}{abs(rise):.1f}%"
        en += f", {abs(rise):.1f} % {'more' if rise >= 0 else 'less'} than {context.compared.id}"
    return Text(
        zh=f"{service.title.zh}（试算）：{zh}。",
        en=f"{service.title.en.capitalize()} (provisional): {en}.",
    )


def _nothing(context: Context) -> Text:
    if context.period.half:
        return Text(
            zh="生态系统服务按年评价，半年期不评价",
            en="services are figures of a year: not assessed for half-years",
        )
    return Text(
        zh="区域文件没有“services”：生态系统服务不评价",
        en="the region file has no key 'services': no service is assessed",
    )


def _gap(service: Service, missing: list[Text]) -> Text:
    return Text(
        zh=f"{service.title.zh}不评价，缺：" + "、".join(m.zh for m in missing),
        en=f"{service.title.en} is not assessed; missing: " + ", ".join(m.en for m in missing),
    )


def _no_change(service: Service, year: str, missing: list[Text]) -> Text:
    return Text(
        zh=f"{service.title.zh}无{year}年对比，缺：" + "、".join(m.zh for m in missing),
        en=f"{service.title.en} has no value of {year}; missing: "
        + ", ".join(m.en for m in missing),
    )
