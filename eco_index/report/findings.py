"""Key findings: sentences that state values of the summary by fixed rules, nothing else."""

from __future__ import annotations

import math

from eco_index.report.tables import Group
from eco_index.report.text import Words, digits_of
from eco_index.summary import TOTAL, IndexValue, MonthQuality, Row, Summary, is_total

MOST_INDICATORS = 5
MOST_UNITS = 6


def findings(summary: Summary, groups: list[Group], words: Words) -> list[str]:
    """Return the key findings of a summary as sentences.

    Official indices come first, then the first headline indicators that are shares or means, then
    how well the period was observed.
    """
    names = {z.id: z.name.get(words.language) for z in summary.zones}
    # All units together: named after the layer, for they are not always the whole region.
    layer = summary.programme.layer_title.get(words.language)
    names |= {k: words("finding.total", layer=layer, all=v) for k, v in names.items() if k == TOTAL}
    before = words.period(summary.period.compared_with) if summary.period.compared_with else ""
    found = _index_findings(summary, names, before, words)
    groups = [g for g in groups if g.of_own_zones(summary)]
    shares = [g for g in groups if g.headline and g.unit != "km2"]
    for group in (shares or [g for g in groups if g.headline])[:MOST_INDICATORS]:
        found += _indicator(group, names, before, words)
    found += _changes(groups, names, before, words)
    found += [f.get(words.language) for a in summary.analyses for f in a.findings]
    found += _quality(summary.quality, words)
    if summary.failures:
        found.append(words("finding.failed", n=len(summary.failures)))
    return found or [words("finding.none")]


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _indicator(group: Group, names: dict[str, str], before: str, words: Words) -> list[str]:
    title = words.name(group.title)
    rows = list(group.rows.values())
    valued = [r for r in rows if _known(r.value)]
    single = [r for r in valued if not is_total(r.zone)] or valued
    total = [r for r in valued if r not in single and r.zone == TOTAL]  # subtotals: tables
    found = []
    if valued:
        gap = " " if words.language == "en" else ""
        parts = []
        for row in total:
            value = words.quantity(row.value, row.unit)
            text = words("finding.single", title=title, zone=names[row.zone], value=value)
            parts.append(text + _change_sentences([row], names, before, words))
        own = words("finding.by_unit") if total else title
        parts.append(
            _value_sentence(own, single, names, words)
            + _change_sentences(single, names, before, words)
        )
        found.append(gap.join(parts))
    empty = [names[r.zone] for r in rows if not _known(r.value)]
    if empty:
        found.append(words("finding.no_value", title=title, zones=words.listed(empty)))
    return found


def _changes(groups: list[Group], names: dict[str, str], before: str, words: Words) -> list[str]:
    """What changed on the ground, largest zones first; and what was looked for but not found."""
    found, none = [], []
    for group in groups:
        rows = [r for r in group.rows.values() if r.kind == "change" and _known(r.value)]
        if not rows or not before:
            continue
        title = words.name(group.title)
        single = [r for r in rows if not is_total(r.zone)] or rows
        seen = [r for r in single if float(words.number(r.value, r.unit).replace(",", "")) > 0]
        if not seen:
            none.append(title)
            continue
        seen.sort(key=lambda r: r.value or 0.0, reverse=True)
        parts = [
            words("finding.part", zone=names[r.zone], value=words.quantity(r.value, r.unit))
            for r in seen
        ]
        found.append(
            words("finding.changed", before=before, title=title, zones=words.listed(parts))
        )
    if none:
        found.append(words("finding.unchanged", before=before, titles=words.listed(none)))
    return found


def _value_sentence(title: str, rows: list[Row], names: dict[str, str], words: Words) -> str:
    high = max(rows, key=lambda r: r.value or 0.0)
    low = min(rows, key=lambda r: r.value or 0.0)
    texts = [words.quantity(r.value, r.unit) for r in (high, low)]
    if len(rows) == 1:
        return words("finding.single", title=title, zone=names[high.zone], value=texts[0])
    if texts[0] == texts[1]:
        return words("finding.same", title=title, value=texts[0])
    return words(
        "finding.range",
        title=title,
        high_zone=names[high.zone],
        high=texts[0],
        low_zone=names[low.zone],
        low=texts[1],
    )


def _change_sentences(rows: list[Row], names: dict[str, str], before: str, words: Words) -> str:
    changed = [r for r in rows if _known(r.change)]
    if not changed or not before:
        return ""
    gap = " " if words.language == "en" else ""
    if len(rows) == 1:
        text = words.change(changed[0].change, changed[0].unit)
        return gap + words("finding.change_one", before=before, change=text)
    high = max(changed, key=lambda r: r.change or 0.0)
    low = min(changed, key=lambda r: r.change or 0.0)
    rise, fall = (words.change(r.change, r.unit) for r in (high, low))
    # What rounds to zero in print has neither risen nor fallen there.
    digits = digits_of(high.unit)
    up, down = round(high.change or 0.0, digits) > 0, round(low.change or 0.0, digits) < 0
    if up and down:
        return gap + words(
            "finding.rise_fall",
            before=before,
            rise_zone=names[high.zone],
            rise=rise,
            fall_zone=names[low.zone],
            fall=fall,
        )
    if up:
        return gap + words("finding.rise", before=before, zone=names[high.zone], change=rise)
    if down:
        return gap + words("finding.fall", before=before, zone=names[low.zone], change=fall)
    return ""


def _index_findings(
    summary: Summary, names: dict[str, str], before: str, words: Words
) -> list[str]:
    found = []
    by_method: dict[str, list[IndexValue]] = {}
    for index in summary.indices:
        by_method.setdefault(index.method, []).append(index)
    for indices in by_method.values():
        done = [i for i in indices if _known(i.value)]
        done.sort(key=lambda i: not is_total(i.unit))  # the whole region first
        found += [_index_sentence(i, names, before, words) for i in done[: MOST_UNITS + 1]]
        open_ = [names.get(i.unit, i.name.get(words.language)) for i in indices]
        open_ = [n for n, i in zip(open_, indices, strict=True) if not _known(i.value)]
        if open_:
            title = indices[0].title.get(words.language)
            found.append(words("finding.index_incomplete", title=title, units=words.listed(open_)))
    return found


def _index_sentence(index: IndexValue, names: dict[str, str], before: str, words: Words) -> str:
    grade = index.grade_title.get(words.language)
    text = words(
        "finding.index_value",
        title=index.title.get(words.language),
        unit=names.get(index.unit, index.name.get(words.language)),
        value=words.number(index.value),
        interval=_interval(index, words),
        grade=words("finding.index_grade", grade=grade) if grade else "",
    )
    if len(index.grades) > 1:
        text += " " if words.language == "en" else ""
        text += words("finding.index_grades", grades=_grades(index, words))
    if before and _known(index.change):
        name = index.change_title.get(words.language)
        text += " " if words.language == "en" else ""
        text += words(
            "finding.index_change",
            before=before,
            change=words.number(index.change, signed=True),
            name=words("finding.index_change_name", name=name) if name else "",
        )
    return text


def _interval(index: IndexValue, words: Words) -> str:
    if index.interval is None:
        return ""
    low, high = (words.number(v) for v in index.interval)
    return words("finding.index_interval", low=low, high=high)


def _grades(index: IndexValue, words: Words) -> str:
    names = [g.get(words.language) for g in index.grades]
    return words.listed([f"“{n}”" if words.language == "zh" else f'"{n}"' for n in names])


def _quality(quality: tuple[MonthQuality, ...], words: Words) -> list[str]:
    known = [m for m in quality if m.observed_share is not None]
    if not known:
        return []
    best = max(known, key=lambda m: m.observed_share or 0.0)
    worst = min(known, key=lambda m: m.observed_share or 0.0)
    shares = [words.quantity(100 * (m.observed_share or 0.0), "%") for m in (best, worst)]
    if best.month == worst.month:
        return [words("finding.observed_one", month=best.month, share=shares[0])]
    return [
        words(
            "finding.observed",
            best=best.month,
            best_share=shares[0],
            worst=worst.month,
            worst_share=shares[1],
        )
    ]
