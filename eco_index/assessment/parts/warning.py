"""Early warning: this season of each zone against the same season of earlier years."""

from __future__ import annotations

from eco_index.analysis.early_warning import LEVELS, REASONS, Warnings, early_warning
from eco_index.assessment.parts.context import Context, Part, known, rule_texts, years_done
from eco_index.assessment.parts.series import zone_series
from eco_index.indicators import method_use
from eco_index.methods import method_of
from eco_index.products import PRODUCTS
from eco_index.summary import Analysis, AnalysisColumn, AnalysisLine, AnalysisTable
from eco_index.yamlio import Text

METHOD_ID = "early_warning"


def part(context: Context) -> Part:
    """Return the level of every zone with its figures."""
    config = context.programme.analyses.early_warning
    assert config is not None
    product = PRODUCTS[config.product]
    method = method_of(context.region, METHOD_ID)
    periods = years_done(context.view, context.period)
    series = zone_series(context, product.id, periods)
    factor, unit = (100.0, "%") if product.id == "fvc" else (1.0, "1")
    found = early_warning(
        factor * series.mean[-1],
        factor * series.mean[:-1],
        method,
        unit=unit,
        seen=series.seen[-1],
        history_seen=series.seen[:-1],
    )
    names = [z.name for z in context.zones]
    analysis = Analysis(
        id="early_warning",
        title=Text(zh=f"早期预警：{product.title.zh}", en=f"early warning: {product.title.en}"),
        method=found.basis.method,
        evidence=found.basis.evidence,
        provisional=found.basis.provisional,
        rules=rule_texts(method),
        findings=(_finding(names, found),),
        tables=(_table(names, found, unit),),
        notes=(method.file.note,) if method.file.note is not None else (),
        trace=context.key("early_warning"),
    )
    return Part(analyses=[analysis], methods=[method_use(method)])


def _table(names: list[Text], found: Warnings, unit: str) -> AnalysisTable:
    columns = (
        AnalysisColumn(title=Text(zh="本季", en="this season"), unit=unit),
        AnalysisColumn(title=Text(zh="往年均值", en="mean of history"), unit=unit),
        AnalysisColumn(title=Text(zh="往年数", en="years"), unit="count"),
        AnalysisColumn(title=Text(zh="z", en="z"), unit="1"),
        AnalysisColumn(title=Text(zh="名次（1最低）", en="rank (1 lowest)"), unit="count"),
        AnalysisColumn(title=Text(zh="VCI", en="VCI"), unit=""),
        AnalysisColumn(title=Text(zh="等级", en="level")),
        AnalysisColumn(title=Text(zh="未评价原因", en="why not evaluated")),
    )
    lines = []
    for k, name in enumerate(names):
        reason = REASONS[found.reason[k]]
        lines.append(
            AnalysisLine(
                head=name,
                cells=(
                    known(found.value[k]), known(found.mean[k]), float(found.n[k]),
                    known(found.z[k]), float(found.rank[k]) or None, known(found.vci[k]),
                    LEVELS[int(found.level[k])], reason if reason.en else Text(zh="—", en="—"),
                ),
                provisional=found.basis.provisional,
            )
        )  # fmt: skip
    return AnalysisTable(
        caption=Text(zh="各单元预警等级", en="level by unit"),
        corner=Text(zh="单元", en="Unit"),
        columns=columns,
        lines=tuple(lines),
    )


def _finding(names: list[Text], found: Warnings) -> Text:
    grave = [(int(found.level[k]), names[k]) for k in range(len(names)) if found.level[k] > 0]
    n = int((found.level >= 0).sum())
    if not n:
        return Text(zh="早期预警：无单元可评价。", en="Early warning: no unit could be evaluated.")
    if not grave:
        return Text(
            zh=f"早期预警（试算）：{n}个可评价单元均正常。",
            en=f"Early warning (provisional): all of {n} units that could be evaluated are normal.",
        )
    grave.sort(key=lambda pair: -pair[0])
    zh = "、".join(f"{name.zh}（{LEVELS[level].zh}）" for level, name in grave[:6])
    en = ", ".join(f"{name.en} ({LEVELS[level].en})" for level, name in grave[:6])
    rest = len(grave) - 6
    return Text(
        zh=f"早期预警（试算）：{zh}" + (f"等{len(grave)}个单元。" if rest > 0 else "。"),
        en=f"Early warning (provisional): {en}" + (f" and {rest} more." if rest > 0 else "."),
    )
