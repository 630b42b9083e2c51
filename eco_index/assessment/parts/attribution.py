"""Vegetation beside rain and temperature: a dry year is not called degradation."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from eco_index.analysis.residual_trend import (
    VERDICTS,
    YEAR_VERDICTS,
    ResidualTrends,
    residual_trends,
)
from eco_index.analysis.weather import Driver
from eco_index.assessment.parts.context import Context, Part, known, rule_texts, years_done
from eco_index.assessment.parts.series import zone_series
from eco_index.errors import InputError
from eco_index.indicators import method_use
from eco_index.methods import method_of
from eco_index.summary import Analysis, AnalysisColumn, AnalysisLine, AnalysisTable
from eco_index.yamlio import Text

METHOD_ID = "residual_trend"
#: Columns of the weather table beside `zone` and `year`: title and unit.
DRIVERS = {
    "rain_mm": ("rain", Text(zh="降水", en="rain"), "mm"),
    "temperature_c": ("temperature", Text(zh="气温", en="temperature"), "degC"),
}


def part(context: Context) -> Part:
    """Return trend and year of every zone beside its weather.

    Raises
    ------
    InputError
        A weather table that is malformed.
    """
    path = _path(context)
    method = method_of(context.region, METHOD_ID)
    if path is None:
        note = Text(
            zh="未提供气象序列：植被变化不作归因",
            en="no series of the weather is given: changes of vegetation are not explained",
        )
        return Part(analyses=[_analysis(context, (), (), (note,))])
    periods = years_done(context.view, context.period)
    series = zone_series(context, "fvc", periods)
    ids = [z.id for z in context.zones]
    drivers = read_weather(path, ids, [int(y) for y in series.years])
    found = residual_trends(100 * series.mean, series.years, drivers, method, unit="%")
    names = [z.name for z in context.zones]
    table = _table(names, found)
    analysis = _analysis(context, (_finding(names, found),), (table,), ())
    return Part(analyses=[analysis], methods=[method_use(method)])


def _path(context: Context) -> Path | None:
    dataset = context.region.config.weather
    if dataset is None:
        return None
    where = f"{context.region.config.path}, key 'weather'"
    path = context.region.catalog.path_of(dataset, where, context.period.year)
    return path if path.exists() else None


def read_weather(path: Path, zones: list[str], years: list[int]) -> list[Driver]:
    """Read the weather of zones by year.

    Parameters
    ----------
    path : Path
        CSV (UTF-8): zone, year, rain_mm, and temperature_c where it is known; of the season that
        the vegetation belongs to. Other zones and years are left out.
    zones, years : list
        Order of the series; what the table lacks is NaN.

    Raises
    ------
    InputError
        Columns that are missing, numbers that are none, a zone and year twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            rows = list(csv.DictReader(source))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the weather table cannot be read: {error}", where=str(path)) from error
    names = list(rows[0]) if rows else []
    if not {"zone", "year", "rain_mm"} <= set(names):
        raise InputError(
            f"the weather table has the columns {', '.join(map(str, names)) or 'none'}",
            where=str(path),
            rule="zone, year, rain_mm; temperature_c where it is known",
        )
    columns = [c for c in DRIVERS if c in names]
    values = {c: np.full((len(years), len(zones)), np.nan) for c in columns}
    seen: set[tuple[str, int]] = set()
    for n, row in enumerate(rows, start=2):
        try:
            zone, year = str(row["zone"]).strip(), int(row["year"])
            numbers = {c: float(row[c]) if str(row[c]).strip() else np.nan for c in columns}
        except (TypeError, ValueError) as error:
            raise InputError(f"row {n}: {error}", where=str(path)) from None
        if (zone, year) in seen:
            raise InputError(f"row {n} repeats zone {zone}, year {year}", where=str(path))
        seen.add((zone, year))
        if zone in zones and year in years:
            for column, number in numbers.items():
                values[column][years.index(year), zones.index(zone)] = number
    return [Driver(DRIVERS[c][0], DRIVERS[c][1], DRIVERS[c][2], values[c]) for c in columns]


def _table(names: list[Text], found: ResidualTrends) -> AnalysisTable:
    titles = [DRIVERS[c][1] for c in DRIVERS if DRIVERS[c][0] in found.drivers]
    columns = (
        AnalysisColumn(title=Text(zh="年数", en="years"), unit="count"),
        AnalysisColumn(title=Text(zh="总趋势", en="plain trend"), unit="pp/a"),
        AnalysisColumn(title=Text(zh="气候解释率", en="explained by weather"), unit="%"),
        AnalysisColumn(title=Text(zh="残差趋势", en="residual trend"), unit="pp/a"),
        AnalysisColumn(title=Text(zh="趋势结论", en="verdict on the trend")),
        AnalysisColumn(title=Text(zh="本年植被距平", en="vegetation this year"), unit="1"),
        *(
            AnalysisColumn(title=Text(zh=f"本年{t.zh}距平", en=f"{t.en} this year"), unit="1")
            for t in titles
        ),
        AnalysisColumn(title=Text(zh="本年结论", en="verdict on the year")),
    )
    lines = tuple(
        AnalysisLine(
            head=name,
            cells=(
                float(found.n[k]), known(found.plain.slope[k]), known(100 * found.r2[k]),
                known(found.left.slope[k]), VERDICTS[int(found.verdict[k])],
                *(known(v) for v in found.anomaly[:, k]),
                YEAR_VERDICTS[int(found.year_verdict[k])],
            ),
            provisional=found.basis.provisional,
        )
        for k, name in enumerate(names)
    )  # fmt: skip
    return AnalysisTable(
        caption=Text(zh="植被覆盖度与气候", en="vegetation cover beside the weather"),
        corner=Text(zh="单元", en="Unit"),
        columns=columns,
        lines=lines,
    )


def _finding(names: list[Text], found: ResidualTrends) -> Text:
    suspected = [names[k] for k in range(len(names)) if found.verdict[k] == -1]
    unrelated = [names[k] for k in range(len(names)) if found.verdict[k] == -3]
    excused = [names[k] for k in range(len(names)) if found.verdict[k] == -2]
    low = [names[k] for k in range(len(names)) if found.year_verdict[k] == -2]
    zh, en = [], []
    for zones, a, b in (
        (
            suspected,
            "下降超出气候解释（疑似退化）",
            "decline beyond the weather (suspected damage)",
        ),
        (unrelated, "下降，未发现与气候的关系", "decline without a relation to the weather"),
        (excused, "下降可由气候解释", "decline that the weather explains"),
        (low, "本年偏低且超出气候解释", "low this year beyond what the weather explains"),
    ):
        if zones:
            more = "" if len(zones) <= 6 else f"等{len(zones)}个", f" and {len(zones) - 6} more"
            zh.append(f"{a}：" + "、".join(z.zh for z in zones[:6]) + more[0])
            tail = more[1] if len(zones) > 6 else ""
            en.append(f"{b}: " + ", ".join(z.en for z in zones[:6]) + tail)
    if not zh:
        return Text(
            zh="植被与气候：没有单元的植被下降超出气候解释。",
            en="Vegetation and weather: no unit declines beyond what the weather explains.",
        )
    said_zh, said_en = "；".join(zh), "; ".join(en)
    return Text(zh=f"植被与气候：{said_zh}。", en=f"Vegetation and weather: {said_en}.")


def _analysis(
    context: Context,
    findings: tuple[Text, ...],
    tables: tuple[AnalysisTable, ...],
    notes: tuple[Text, ...],
) -> Analysis:
    method = method_of(context.region, METHOD_ID)
    use = method_use(method)
    return Analysis(
        id="attribution",
        title=Text(zh="植被变化与气候", en="vegetation beside the weather"),
        method=f"{method.id}@{method.version}",
        evidence="placeholder" if use.provisional else "secondary",
        provisional=use.provisional,
        rules=rule_texts(method),
        findings=findings,
        tables=tables,
        notes=notes,
        trace=context.key("attribution"),
    )
