"""Trend over all years of the cube up to the period: per pixel, per zone, as a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eco_index.analysis.slope_interval import slope_interval
from eco_index.assessment.overview import ClassMap, map_layer, write_map
from eco_index.assessment.parts.context import Context, Part, known, years_done
from eco_index.assessment.parts.series import series_of, sheets_of
from eco_index.assessment.totals import groupings
from eco_index.grid import Tile
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.shares import Sums
from eco_index.summary import (
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    MapClass,
    MapLayer,
    Row,
    is_total,
)
from eco_index.trends import CLASSES, NOT_TESTED, TRENDS_VERSION, Trends, count_classes, trends
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_raster import ZonePixels

METHOD = f"theil_sen_mann_kendall@{TRENDS_VERSION}"
DENOMINATOR = Text(
    zh="单元内有足够年份、可检验的像元面积",
    en="area of the zone's pixels with enough years to test",
)
#: Code on the map, title, colour, by trend class.
_TITLES: dict[int, tuple[Text, str]] = {
    -3: (Text(zh="极显著下降（99%）", en="falling, 99 %"), "#8c510a"),
    -2: (Text(zh="显著下降（95%）", en="falling, 95 %"), "#bf812d"),
    -1: (Text(zh="弱显著下降（90%）", en="falling, 90 %"), "#dfc27d"),
    0: (Text(zh="无显著趋势", en="no significant trend"), "#f0efe8"),
    1: (Text(zh="弱显著上升（90%）", en="rising, 90 %"), "#a6dba0"),
    2: (Text(zh="显著上升（95%）", en="rising, 95 %"), "#5aae61"),
    3: (Text(zh="极显著上升（99%）", en="rising, 99 %"), "#1b7837"),
}
_UNTESTED = Text(zh="年份不足，未检验", en="too few years, not tested")
_NO_VARIANCE = Text(
    zh="未检验：自相关修正后方差不为正", en="not tested: no variance is left by the correction"
)
_FILL = 0
_INDEPENDENT = Text(zh="按Sen（1968），假定各年独立", en="Sen's (1968), for independent years")
_DEPENDENT = Text(
    zh="为斜率加减直线回归半宽，其一阶自相关按限制似然加权",
    en="slope plus and minus that of a line whose first-order autocorrelation is weighed by its "
    "restricted likelihood",
)


def part(context: Context) -> Part:
    """Return rows (slope, shares of classes), the map of classes, and the table of tests."""
    config = context.programme.analyses.trend
    assert config is not None
    periods = years_done(context.view, context.period)
    if len(periods) < config.min_years:
        return Part(analyses=[_too_short(context, len(periods), config.min_years)])
    product = PRODUCTS[config.product]
    fill = int(product.fill or 0)
    years = np.array([p.year for p in periods])
    series = [ZoneSums(SumSpec(values=(product.id,)), len(context.layer)) for _ in periods]
    seen = Sums((len(context.layer), 8))
    picture = _Picture(context)
    for tile in context.view.grid.tiles():
        sheets = sheets_of(context, tile)
        if not sheets and context.sums.overview.frame.part(tile) is None:
            continue
        stack = np.stack([context.view.read(p.cadence, product.id, p.id, tile) for p in periods])
        found = trends(
            stack, years, correction=config.correction, min_years=config.min_years, fill=fill
        )
        for drawn in sheets:
            seen.whole += count_classes(drawn.ids, found.classes, len(context.layer))
            _add_shares(seen, drawn, found.classes)
            for sums, layer in zip(series, stack, strict=True):
                sums.add(drawn.ids, {product.id: layer}, drawn.shares)
        picture.add(tile, found)
    names = [(z.id, z.name) for z in context.zones]
    counts = seen.values()
    context.series[product.id] = series_of(series, product.id, periods)
    tables = context.series[product.id].mean
    own = counts
    for lines, index in groupings(context.layer, context.zones):
        n = len(lines)
        names += [(line.id, line.name) for line in lines]
        together = np.array([s.grouped(index, n).mean(product.id) for s in series])
        members = np.equal.outer(np.arange(n), index)  # (line, zone)
        tables, counts = np.hstack([tables, together]), np.vstack([counts, members @ own])
    factor, unit = (100.0, "pp/a") if product.id == "fvc" else (1.0, "1/a")
    zonal = trends(tables * factor, years, correction=config.correction, min_years=config.min_years)
    low, high = slope_interval(tables * factor, years, zonal, correction=config.correction)
    ends = [(float(a), float(b)) if a <= b else None for a, b in zip(low, high, strict=True)]
    out = Part(maps=[picture.write(product.title)])
    for k, (zone, _) in enumerate(names):
        out.rows += _rows(context, zone, product.title, zonal, counts[k], k, unit, ends[k])
    out.analyses.append(_analysis(context, names, zonal, ends, periods, unit))
    return out


def _add_shares(seen: Sums, drawn: ZonePixels, classes: np.ndarray) -> None:
    """Add pixels that zones cover in part to the counts of trend classes."""
    code = classes.reshape(-1)[drawn.shares.at].astype(np.int64)
    slot = np.where(code == NOT_TESTED, 0, code + 4)  # as `count_classes`
    seen.add_shares((drawn.shares.zone, slot), drawn.shares.share, np.ones_like(code))


class _Picture:
    """Classes of the trend in the frame of the assessment's maps."""

    def __init__(self, context: Context) -> None:
        self.context, self.frame = context, context.sums.overview.frame
        self.classes = ClassMap(self.frame, _FILL)

    def add(self, tile: Tile, found: Trends) -> None:
        codes = np.where(found.classes == NOT_TESTED, _FILL, found.classes.astype(np.int16) + 4)
        self.classes.add(tile, codes.astype(np.uint8))

    def write(self, title: Text) -> MapLayer:
        context = self.context
        (context.output / "maps").mkdir(parents=True, exist_ok=True)
        codes = self.classes.codes
        write_map(context.output, "trend", codes, _FILL, context.view.grid, self.frame)
        layer = map_layer(
            "trend",
            Text(zh=f"{title.zh}趋势", en=f"trend of {title.en}"),
            "classes",
            None,
            "vegetation",
        )
        seen = set(np.unique(codes).tolist())
        classes = tuple(
            MapClass(code=c + 4, title=text, colour=colour)
            for c, (text, colour) in _TITLES.items()
            if c + 4 in seen
        )
        return layer.model_copy(update={"classes": classes})


def _rows(
    context: Context,
    zone: str,
    title: Text,
    zonal: Trends,
    counts: np.ndarray,
    k: int,
    unit: str,
    ends: tuple[float, float] | None,
) -> list[Row]:
    pixel_km2 = context.region.grid.pixel_area_m2 / 1e6
    tested, untested = counts[1:].sum().item(), counts[0].item()
    areas = {
        "denominator_km2": tested * pixel_km2,
        "valid_km2": tested * pixel_km2,
        "no_data_km2": untested * pixel_km2,
    }
    common = {
        "zone": zone,
        "denominator": DENOMINATOR,
        "method": METHOD,
        "evidence": "primary",
        "provisional": False,
        **areas,
    }
    rows = [
        Row(
            indicator="trend_slope",
            title=Text(zh=f"{title.zh}年均变化（Theil–Sen）", en=f"yearly change of {title.en}"),
            value=known(zonal.slope[k]),
            unit=unit,
            interval=ends,
            interval_kind="confidence" if ends else "bounds",
            trace=context.key(zone, "trend_slope"),
            **common,
        )
    ]
    for n, code in enumerate(CLASSES):
        share = 100 * counts[n + 1].item() / tested if tested else None
        name = _TITLES[code][0]
        rows.append(
            Row(
                indicator="trend_class_share",
                variable=f"t{code}",
                title=Text(
                    zh=f"{title.zh}趋势面积比例：{name.zh}",
                    en=f"share of area by trend of {title.en}: {name.en}",
                ),
                value=share,
                unit="%",
                trace=context.key(zone, "trend_class_share", f"t{code}"),
                **common,
            )
        )
    return rows


def _analysis(
    context: Context,
    names: Sequence[tuple[str, Text]],
    zonal: Trends,
    ends: Sequence[tuple[float, float] | None],
    periods: Sequence[Period],
    unit: str,
) -> Analysis:
    config = context.programme.analyses.trend
    assert config is not None
    title = PRODUCTS[config.product].title
    lines = []
    for k, (_, name) in enumerate(names):
        words = _verdict(zonal, k, config.min_years)
        cells = (
            float(zonal.n[k]), known(zonal.slope[k]), *(ends[k] or (None, None)),
            known(zonal.tau[k]), known(zonal.p[k]), words,
        )  # fmt: skip
        lines.append(AnalysisLine(head=name, cells=cells))
    first, last = periods[0].id, periods[-1].id
    significant = [k for k in range(len(names)) if abs(int(zonal.classes[k])) in (2, 3)]
    # The correction can make the variance of a short series far too small: its interval knows.
    unsure = [k for k in significant if (e := ends[k]) is not None and e[0] <= 0 <= e[1]]
    moved = [
        (names[k][1], _TITLES[int(zonal.classes[k])][0])
        for k in significant
        if k not in unsure and not is_total(names[k][0])
    ]
    return Analysis(
        id="trend",
        title=Text(
            zh=f"{title.zh}趋势（{first}–{last}，{len(periods)}年）",
            en=f"trend of {title.en} ({first} to {last}, {len(periods)} years)",
        ),
        method=METHOD,
        evidence="primary",
        provisional=False,
        rules=_rules(config.correction, config.min_years),
        findings=(_finding(title, first, last, moved, len(context.zones)),),
        tables=(
            AnalysisTable(
                caption=Text(zh="各单元趋势", en="trend by unit"),
                corner=Text(zh="单元", en="Unit"),
                columns=(
                    AnalysisColumn(
                        title=Text(zh="有值年数", en="years with a value"), unit="count"
                    ),
                    AnalysisColumn(title=Text(zh="斜率", en="slope"), unit=unit),
                    AnalysisColumn(title=Text(zh="95%下限", en="95 % low"), unit=unit),
                    AnalysisColumn(title=Text(zh="95%上限", en="95 % high"), unit=unit),
                    AnalysisColumn(title=Text(zh="Kendall τ", en="Kendall's tau"), unit="1"),
                    AnalysisColumn(title=Text(zh="p值", en="p"), unit="1"),
                    AnalysisColumn(title=Text(zh="结论", en="verdict")),
                ),
                lines=tuple(lines),
            ),
        ),
        notes=(
            Text(
                zh="单元序列为各年有值像元的均值；各年缺测面积不同会影响均值，缺测见“数据质量”",
                en="a zone's series is the mean of the pixels with a value in each year; gaps that "
                "differ between years move it, see 'Data quality'",
            ),
            *doubts([names[k][1] for k in unsure]),
        ),
        trace=context.key("trend"),
    )


def _verdict(zonal: Trends, k: int, min_years: int) -> Text:
    code = int(zonal.classes[k])
    if code != NOT_TESTED:
        return _TITLES[code][0]
    return _UNTESTED if int(zonal.n[k]) < min_years else _NO_VARIANCE


def doubts(names: Sequence[Text]) -> list[Text]:
    """Return a note on trends that the test calls significant while their interval holds zero."""
    if not names:
        return []
    return [
        Text(
            zh=f"检验判为显著、但斜率95%区间含零，视为不确定：{'、'.join(n.zh for n in names)}",
            en="significant by the test, but the 95 % interval of the slope holds zero; take as "
            f"not certain: {', '.join(n.en for n in names)}",
        )
    ]


def _rules(correction: str, min_years: int) -> tuple[Text, ...]:
    named = {
        "none": Text(zh="不作自相关修正", en="without correction for autocorrelation"),
        "hamed_rao": Text(
            zh="方差按Hamed & Rao（1998）修正自相关",
            en="variance corrected for autocorrelation after Hamed & Rao (1998)",
        ),
        "yue_wang": Text(
            zh="方差按Yue & Wang（2004）修正自相关",
            en="variance corrected for autocorrelation after Yue & Wang (2004)",
        ),
    }[correction]
    ends = _INDEPENDENT if correction == "none" else _DEPENDENT
    return (
        Text(
            zh=f"斜率为Theil–Sen中位数斜率，显著性为双侧Mann–Kendall检验（含并列修正），{named.zh}",
            en="slope: Theil-Sen median; significance: two-sided Mann-Kendall test with ties, "
            f"{named.en}",
        ),
        Text(
            zh=f"有值年份少于{min_years}年的像元和单元不检验；斜率95%区间{ends.zh}",
            en=f"pixels and zones with fewer than {min_years} years are not tested; 95 % interval "
            f"of the slope: {ends.en}",
        ),
    )


def _finding(title: Text, first: str, last: str, moved: list[tuple[Text, Text]], n: int) -> Text:
    if not moved:
        return Text(
            zh=f"{first}–{last}年{title.zh}：全部{n}个单元无95%水平的显著趋势。",
            en=f"{title.en[:1].upper()}{title.en[1:]}, {first} to {last}: no trend at 95 % in any "
            f"of {n} units.",
        )
    zh = "、".join(f"{a.zh}（{b.zh}）" for a, b in moved[:6])
    en = ", ".join(f"{a.en} ({b.en})" for a, b in moved[:6])
    more = len(moved) - 6
    return Text(
        zh=f"{first}–{last}年{title.zh}趋势显著的单元：{zh}"
        + (f"等{len(moved)}个。" if more > 0 else "。"),
        en=f"Significant trend of {title.en}, {first} to {last}: {en}"
        + (f" and {more} more." if more > 0 else "."),
    )


def _too_short(context: Context, found: int, least: int) -> Analysis:
    config = context.programme.analyses.trend
    assert config is not None
    return Analysis(
        id="trend",
        title=Text(zh="多年趋势", en="trend over years"),
        method=METHOD,
        evidence="primary",
        provisional=False,
        rules=_rules(config.correction, config.min_years),
        notes=(
            Text(
                zh=f"数据集中仅有{found}个年份，少于{least}年，不评价趋势",
                en=f"the cube holds {found} year(s), fewer than {least}: no trend is assessed",
            ),
        ),
        trace=context.key("trend"),
    )
