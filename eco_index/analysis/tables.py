"""Results of the analyses as documents of the summary: tables, findings, rules, both languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eco_index.analysis import early_warning, residual_trend, restoration
from eco_index.analysis.early_warning import Warnings
from eco_index.analysis.residual_trend import ResidualTrends
from eco_index.analysis.restoration import Restoration
from eco_index.analysis.table_parts import (
    NOTHING,
    Cell,
    analysis_of,
    column,
    fits,
    line,
    listed,
    named,
    notes_of,
    one,
    table,
    unit_text,
)
from eco_index.analysis.target_file import TargetFile
from eco_index.analysis.targets import DIRECTIONS, KINDS, STATES, Standing
from eco_index.analysis.uncertainty import PART_TITLES, Interval
from eco_index.errors import InputError
from eco_index.summary import Analysis, AnalysisTable, weakest
from eco_index.yamlio import Text


def intervals_analysis(rows: Sequence[tuple[Text, Interval]], trace: str) -> Analysis:
    """Return the table of intervals: value, interval and the share of every part.

    Parameters
    ----------
    rows : sequence
        Name of the number (indicator and zone) and its interval; one at least.
    trace : str
        Key for ``eco trace``.
    """
    basis = one(interval.basis for _, interval in rows)
    ids = [i for i in PART_TITLES if any(p.id == i for _, r in rows for p in r.parts)]
    percent = f"{100 * rows[0][1].confidence:g}"
    lines, notes = [], list(notes_of(basis))
    for head, r in rows:
        sigmas = {p.id: p.sigma for p in r.parts}
        shares: list[Cell] = [sigmas.get(i) for i in ids]
        cells = (r.value, r.low, r.high, unit_text(r.unit), *shares)
        lines.append(line(head, cells, r.basis.provisional))
    for part, title in PART_TITLES.items():
        heads = [head for head, r in rows if part in r.left_out]
        if heads:
            some = listed(heads)
            notes.append(
                Text(
                    zh=f"{some.zh}：区间未含{title.zh}（无法估计）",
                    en=f"{some.en}: the interval leaves out {title.en} (cannot be estimated)",
                )
            )
    columns = [
        column("数值", "value"),
        column(f"{percent}%区间下限", f"lower end ({percent} %)"),
        column(f"{percent}%区间上限", f"upper end ({percent} %)"),
        column("单位", "unit"),
        *(
            column(f"标准差：{PART_TITLES[i].zh}", f"standard deviation: {PART_TITLES[i].en}")
            for i in ids
        ),
    ]
    sheet = table("主要结果的不确定区间", "Intervals of headline numbers", columns, lines)
    return analysis_of("intervals", basis, trace, [], [sheet], notes, [r.basis for _, r in rows])


def residual_trend_analysis(
    found: ResidualTrends,
    zones: Sequence[Text],
    trace: str,
    *,
    ends: tuple[np.ndarray, np.ndarray] | None = None,
    scale: float = 1.0,
) -> Analysis:
    """Return the tables of residual trends of zones: over all years, and of the assessed year.

    Parameters
    ----------
    found : ResidualTrends
        Of a stack (time, zone).
    zones : sequence of Text
        Their names.
    trace : str
        Key for ``eco trace``.
    ends : tuple of numpy.ndarray, optional
        (zone,), 95 % interval of the residual slopes; without it none is printed.
    scale : float
        Of slopes: 10 prints them per decade.
    """
    fits(found.verdict, zones)
    per_zh, per_en = (
        ("每年", "per year") if scale == 1 else (f"每{scale:g}年", f"per {scale:g} years")
    )
    unit = {"%": "pp", "1": "1"}.get(found.unit, found.unit) + ("/a" if scale == 1 else "")
    words = [residual_trend.VERDICTS[int(v)] for v in found.verdict]
    years = [residual_trend.YEAR_VERDICTS[int(v)] for v in found.year_verdict]
    provisional = found.basis.provisional
    low, high = ends if ends is not None else (np.full(len(zones), np.nan),) * 2
    over = [
        line(
            zone,
            (
                found.n[k],
                scale * found.plain.slope[k],
                found.plain.p[k],
                100 * found.r2[k],
                scale * found.left.slope[k],
                scale * low[k],
                scale * high[k],
                found.left.p[k],
                found.separable[k],
                words[k],
            ),
            provisional,
        )
        for k, zone in enumerate(zones)
    ]
    columns = [
        column("年数", "years", "count"),
        column(f"原趋势（{per_zh}）", f"plain trend {per_en}", unit),
        column("原趋势p值", "p of the plain trend", "1"),
        column("气候解释率R²", "explained by the weather", "%"),
        column(f"残差趋势（{per_zh}）", f"residual trend {per_en}", unit),
        column("95%下限", "95 % low", unit),
        column("95%上限", "95 % high", unit),
        column("残差趋势p值", "p of the residual trend", "1"),
        column("可分离度", "separable share", "1"),
        column("判定", "verdict"),
    ]
    year_columns = [
        column("植被标准化距平", "standardised anomaly of vegetation", "1"),
        *(
            column(f"标准化距平：{title.zh}", f"standardised anomaly: {title.en}", "1")
            for title in found.titles
        ),
        column("与气候预测之差（标准化）", "difference from the prediction (studentised)", "1"),
        column("判定", "verdict"),
    ]
    this_year = [
        line(zone, (*found.anomaly[:, k], found.surprise[k], years[k]), provisional)
        for k, zone in enumerate(zones)
    ]
    year = found.year
    findings = [
        *named(zones, found.verdict, residual_trend.VERDICTS, (-1, -3, -2, 9), "", ""),
        *named(
            zones,
            found.year_verdict,
            residual_trend.YEAR_VERDICTS,
            (-2, -1),
            f"{year}年",
            f"{year}: ",
        ),
    ]
    if not findings:
        findings = [_no_decline(found)]
    tables = [
        table("植被趋势与气候", "Vegetation trends beside the weather", columns, over),
        table(f"{year}年植被与气候距平", f"Anomalies of {year}", year_columns, this_year),
    ]
    return analysis_of(
        "attribution", found.basis, trace, findings, tables, notes_of(found.basis), [found.basis]
    )


def _no_decline(found: ResidualTrends) -> Text:
    """Return the sentence for zones of which none declines or is low."""
    codes = np.concatenate([found.verdict, found.year_verdict])
    if (codes == residual_trend.NOT_EVALUATED).all():
        return Text(
            zh="植被与气候：无单元可评价。",
            en="Vegetation and weather: no zone could be evaluated.",
        )
    return Text(
        zh="植被与气候：可评价的单元中没有显著下降，本年也没有偏低。",
        en="Vegetation and weather: no zone that could be evaluated declines or is low this year.",
    )


def restoration_analysis(rows: Sequence[tuple[Text, Restoration]], trace: str) -> Analysis:
    """Return the table of project effects.

    Parameters
    ----------
    rows : sequence
        Name of the project and its effect; one at least, all of one unit.
    trace : str
        Key for ``eco trace``.
    """
    basis = one(r.basis for _, r in rows)
    unit = rows[0][1].unit
    if any(r.unit != unit for _, r in rows):
        raise InputError("Effects of different units stand in one table.")
    moved = "pp" if unit == "%" else unit
    lines, findings = [], []
    for head, r in rows:
        verdict = restoration.VERDICTS[r.verdict]
        placebo: Cell = None
        if r.placebo is not None:
            placebo = (
                Text(zh="通过", en="passed")
                if r.placebo.holds_zero
                else Text(zh="未通过", en="failed")
            )
        lines.append(
            line(
                head,
                (
                    r.project_before,
                    r.project_after,
                    r.control_before,
                    r.control_after,
                    r.main.effect,
                    r.main.low,
                    r.main.high,
                    restoration.SOURCES[r.main.source],
                    placebo,
                    100 * r.n_used / r.n_units if r.n_units else None,
                    verdict,
                ),
                r.basis.provisional,
            )
        )
        if r.verdict != "not_evaluated":
            size, low, high = (f"{v:.3g}" for v in (r.main.effect, r.main.low, r.main.high))
            gap = {"": "", "1": "", "%": " percentage points"}.get(unit, f" {unit}")
            gap_zh = {"": "", "1": "", "%": "个百分点"}.get(unit, f" {unit}")
            findings.append(
                Text(
                    zh=f"{head.zh}：相对对照区变化{size}{gap_zh}（{low}至{high}），{verdict.zh}。",
                    en=f"{head.en}: {size}{gap} against its controls ({low} to {high}), "
                    f"{verdict.en}.",
                )
            )
    columns = [
        column("工程区前", "project before", unit),
        column("工程区后", "project after", unit),
        column("对照区前", "controls before", unit),
        column("对照区后", "controls after", unit),
        column("成效", "effect", moved),
        column("区间下限", "lower end", moved),
        column("区间上限", "upper end", moved),
        column("区间来源", "source of the interval"),
        column("安慰剂检验", "placebo check"),
        column("参与计算的单元", "units used", "%"),
        column("判定", "verdict"),
    ]
    sheet = table("生态修复工程成效", "Effect of restoration projects", columns, lines)
    return analysis_of(
        "restoration", basis, trace, findings, [sheet], notes_of(basis), [r.basis for _, r in rows]
    )


def warning_analysis(
    found: Warnings, zones: Sequence[Text], trace: str, *, variable: Text | None = None
) -> Analysis:
    """Return the table of early warning.

    Parameters
    ----------
    found : Warnings
        One season of all zones.
    zones : sequence of Text
        Their names.
    trace : str
        Key for ``eco trace``.
    variable : Text, optional
        What was compared, for the table's caption.
    """
    fits(found.level, zones)
    lines = []
    for k, zone in enumerate(zones):
        figures = (found.value, found.n, found.mean, found.z, found.percentile, found.vci)
        reason = early_warning.REASONS[found.reason[k]] if found.reason[k] else NOTHING
        words = (early_warning.LEVELS[int(found.level[k])], reason)
        rank = found.rank[k] if found.rank[k] else None
        lines.append(line(zone, (*(a[k] for a in figures), rank, *words), found.basis.provisional))
    columns = [
        column("当季值", "this season", found.unit),
        column("历史年数", "years of history", "count"),
        column("历史均值", "mean of history", found.unit),
        column("z值", "z", "1"),
        column("百分位", "percentile", "%"),
        column("VCI", "VCI"),
        column("名次（1为最差）", "rank (1 is the gravest)", "count"),
        column("等级", "level"),
        column("未评价原因", "why not evaluated"),
    ]
    findings = named(
        zones, found.level, early_warning.LEVELS, (3, 2, 1), "早期预警", "early warning, "
    )
    if not findings:
        findings = [_no_warning(found)]
    caption = Text(zh="早期预警", en="Early warning")
    if variable is not None:
        caption = Text(zh=f"早期预警：{variable.zh}", en=f"Early warning: {variable.en}")
    sheet = table(caption.zh, caption.en, columns, lines)
    return analysis_of(
        "early_warning", found.basis, trace, findings, [sheet], notes_of(found.basis), [found.basis]
    )


def _no_warning(found: Warnings) -> Text:
    """Return the sentence for zones of which none has a level."""
    n = int((found.level != early_warning.NOT_EVALUATED).sum())
    if not n:
        return Text(zh="早期预警：无单元可评价。", en="Early warning: no zone could be evaluated.")
    return Text(
        zh=f"早期预警：{n}个可评价单元均正常。",
        en=f"Early warning: all of {n} zones that could be evaluated are normal.",
    )


def targets_analysis(file: TargetFile, found: Sequence[Standing], trace: str) -> Analysis:
    """Return the table of plan targets, with one sentence for each.

    Parameters
    ----------
    file : TargetFile
        The plan.
    found : sequence of Standing
        Of `standings`.
    trace : str
        Key for ``eco trace``.
    """
    lines = []
    for s in found:
        m = s.measured
        low, high = m.interval or (None, None)
        aim = (
            s.limit if s.target.rule == "at_least" else Text(zh="稳中向好", en="stable, improving")
        )
        moved = s.change.value if s.change else None
        cells = (m.value, low, high, aim, s.distance, unit_text(s.target.unit), moved)
        words = (DIRECTIONS[s.direction], _state(s))
        lines.append(line(s.target.title, (KINDS[s.target.kind], *cells, *words), s.provisional))
    columns = [
        column("性质", "kind"),
        column("现状值", "value"),
        column("区间下限", "lower end"),
        column("区间上限", "upper end"),
        column(f"{file.year}年目标", f"target {file.year}"),
        column("差距", "distance"),
        column("单位", "unit"),
        column("较基准年变化", "change since the baseline"),
        column("方向", "direction"),
        column("状态", "state"),
    ]
    corner = Text(zh="指标", en="indicator")
    sheet = AnalysisTable(
        caption=file.title, corner=corner, columns=tuple(columns), lines=tuple(lines)
    )
    rule = Text(
        zh="区间全部不低于目标为达到，全部低于目标为未达到，跨越目标为不能确定；口径低于官方的指标不判未达到",
        en="met where the whole interval reaches the target, not met where none of it does, else "
        "not certain; a number that is lower by definition never says not met",
    )
    return Analysis(
        id="targets",
        title=Text(zh="规划目标", en="Plan targets"),
        method=f"{file.id}; " + "; ".join(file.sources.values()),
        evidence=weakest(s.evidence for s in found),
        provisional=any(s.provisional for s in found),
        rules=(rule,),
        findings=tuple(s.sentence() for s in found),
        tables=(sheet,),
        notes=tuple(
            Text(zh=f"{t.title.zh}：{t.note.zh}", en=f"{t.title.en}: {t.note.en}")
            for t in file.targets
            if t.note
        ),
        trace=trace,
    )


def _state(s: Standing) -> Text:
    """Return the state in words, marked where it rests on unsure numbers."""
    state = STATES[s.state]
    if not s.provisional or s.state == "not_evaluated":
        return state
    return Text(zh=f"{state.zh}（试算）", en=f"{state.en} (provisional)")
