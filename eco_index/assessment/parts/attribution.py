"""Vegetation beside rain and temperature: a dry year is not called degradation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eco_index.analysis.basis import basis_of
from eco_index.analysis.residual_trend import residual_trends
from eco_index.analysis.slope_interval import slope_interval
from eco_index.analysis.table_parts import analysis_of
from eco_index.analysis.tables import residual_trend_analysis
from eco_index.analysis.weather import Driver
from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.series import zone_series
from eco_index.assessment.parts.trend import doubts
from eco_index.csv_rows import read_rows
from eco_index.errors import InputError
from eco_index.indicators import method_use
from eco_index.methods import method_of
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
    path = context.table("weather", context.region.config.weather)
    method = method_of(context.region, METHOD_ID)
    trace = context.key("attribution")
    if path is None:
        note = Text(
            zh="未提供气象序列：植被变化不作归因",
            en="no series of the weather is given: changes of vegetation are not explained",
        )
        basis = basis_of(method)
        nothing = analysis_of("attribution", basis, trace, [], [], [note], [basis])
        return Part(analyses=[nothing])
    series = zone_series(context, "fvc")
    ids = [z.id for z in context.zones]
    months = [m.month for m in context.region.config.season_months(context.period)]
    drivers = read_weather(path, ids, [int(y) for y in series.years], months)
    found = residual_trends(100 * series.mean, series.years, drivers, method, unit="%")
    ends = slope_interval(found.residual, series.years, found.left)
    names = [z.name for z in context.zones]
    analysis = residual_trend_analysis(found, names, trace, ends=ends)
    beyond = np.isin(found.verdict, (-1, 1)) & (ends[0] <= 0) & (ends[1] >= 0)
    unsure = doubts([name for name, one in zip(names, beyond, strict=True) if one])
    least, held = int(method.number("min_years").required), len(series.years)
    if held < least:
        unsure.append(
            Text(
                zh=f"数据集中仅有{held}个年份，少于{least}年，不作归因",
                en=f"the cube holds {held} year(s), fewer than {least}: nothing is explained",
            )
        )
    analysis = analysis.model_copy(update={"notes": (*analysis.notes, *unsure)})
    return Part(analyses=[analysis], methods=[method_use(method)])


def read_weather(path: Path, zones: list[str], years: list[int], months: list[int]) -> list[Driver]:
    """Read the weather of zones by year.

    Parameters
    ----------
    path : Path
        CSV (UTF-8): zone, year, rain_mm, and temperature_c where it is known; of the season that
        the vegetation belongs to. With a column `month` (1-12) one line is a month: rain is added
        up and temperature averaged over `months`; a season that lacks one of them has no value.
        Other zones, years and months are left out.
    zones, years : list
        Order of the series; what the table lacks is NaN.
    months : list of int
        Of the season.

    Raises
    ------
    InputError
        Columns that are missing, numbers that are none, a zone and year (and month) twice.
    """
    names, rows = read_rows(path, "the weather table")
    if not rows or not {"zone", "year", "rain_mm"} <= set(names):
        raise InputError(
            f"the weather table has the columns {', '.join(names) if rows else 'none'}",
            where=str(path),
            rule="zone, year, rain_mm; temperature_c where it is known; month if lines are months",
        )
    monthly = "month" in names
    columns = [c for c in DRIVERS if c in names]
    season = months if monthly else [0]
    values = {c: np.full((len(years), len(zones), len(season)), np.nan) for c in columns}
    seen: set[tuple[str, int, int]] = set()
    for n, row in enumerate(rows, start=2):
        try:
            zone, year = str(row["zone"]).strip(), int(row["year"] or "")
            month = int(row["month"] or "") if monthly else 0
            numbers = {c: float(t) if (t := str(row[c]).strip()) else np.nan for c in columns}
        except (TypeError, ValueError) as error:
            raise InputError(f"row {n}: {error}", where=str(path)) from None
        if monthly and not 1 <= month <= 12:
            raise InputError(f"row {n}: month {month}", where=str(path), rule="1 to 12")
        if numbers["rain_mm"] < 0:
            raise InputError(f"row {n}: rain of {numbers['rain_mm']:g} mm", where=str(path))
        if (zone, year, month) in seen:
            named = f"zone {zone}, year {year}" + (f", month {month}" if monthly else "")
            raise InputError(f"row {n} repeats {named}", where=str(path))
        seen.add((zone, year, month))
        if zone in zones and year in years and month in season:
            for column, number in numbers.items():
                at = years.index(year), zones.index(zone), season.index(month)
                values[column][at] = number
    return [
        Driver(
            DRIVERS[c][0],
            DRIVERS[c][1],
            DRIVERS[c][2],
            values[c].sum(axis=2) if c == "rain_mm" else values[c].mean(axis=2),
        )
        for c in columns
    ]
