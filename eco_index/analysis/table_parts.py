"""Pieces of the analyses' documents: columns, lines, sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from eco_index.analysis.basis import MISSING, Basis
from eco_index.errors import InputError
from eco_index.summary import Analysis, AnalysisColumn, AnalysisLine, AnalysisTable, weakest
from eco_index.yamlio import Text

#: Zones named in one sentence; the others are counted.
MOST_NAMES = 8
_ZONE = Text(zh="评价单元", en="zone")
#: A cell of words that has nothing to say.
NOTHING = Text(zh="—", en="—")
Cell = float | Text | None


def one(bases: Iterable[Basis]) -> Basis:
    """Return the first basis; all must be of one method."""
    every = list(bases)
    if not every or len({b.method for b in every}) > 1:
        raise InputError("A table needs results of one method, one at least.")
    return every[0]


def analysis_of(
    analysis: str,
    basis: Basis,
    trace: str,
    findings: Sequence[Text],
    tables: Sequence[AnalysisTable],
    notes: Sequence[Text],
    bases: Sequence[Basis],
) -> Analysis:
    """Return the document: its evidence is the weakest of all results in it."""
    rules = dict.fromkeys((r.zh, r.en) for b in bases for r in b.rules)
    return Analysis(
        id=analysis,
        title=basis.title,
        method=basis.method,
        evidence=weakest(b.evidence for b in bases),
        provisional=any(b.provisional for b in bases),
        rules=tuple(Text(zh=zh, en=en) for zh, en in rules),
        findings=tuple(findings),
        tables=tuple(tables),
        notes=tuple(notes),
        trace=trace,
    )


def notes_of(basis: Basis) -> list[Text]:
    """Return the note of a method, if it has one."""
    return [basis.note] if basis.note else []


def fits(values: np.ndarray, zones: Sequence[Text]) -> None:
    """Refuse names that do not fit the results."""
    if values.shape != (len(zones),):
        raise InputError(f"There are {len(zones)} names for results of shape {values.shape}.")


def named(
    zones: Sequence[Text],
    codes: np.ndarray,
    words: dict[int, Text],
    wanted: Sequence[int],
    zh: str,
    en: str,
) -> list[Text]:
    """Return a sentence for each wanted code that some zone has."""
    found = []
    for code in wanted:
        names = [z for z, c in zip(zones, codes, strict=True) if c == code]
        if not names:
            continue
        some = listed(names)
        text = words[code]
        found.append(Text(zh=f"{zh}{text.zh}：{some.zh}。", en=f"{en}{text.en}: {some.en}."))
    return found


def listed(names: Sequence[Text]) -> Text:
    """Return names in a row; beyond `MOST_NAMES` they are counted."""
    more = len(names) > MOST_NAMES
    zh = "、".join(n.zh for n in names[:MOST_NAMES]) + (f"等{len(names)}个" if more else "")
    rest = f" and {len(names) - MOST_NAMES} more" if more else ""
    return Text(zh=zh, en=", ".join(n.en for n in names[:MOST_NAMES]) + rest)


def column(zh: str, en: str, unit: str = "") -> AnalysisColumn:
    """Return a column."""
    return AnalysisColumn(title=Text(zh=zh, en=en), unit=unit)


def unit_text(unit: str) -> Text:
    """Return a unit as words; the unit 1 is not printed."""
    return Text(zh="" if unit == "1" else unit, en="" if unit == "1" else unit)


def table(
    zh: str, en: str, columns: Sequence[AnalysisColumn], lines: Sequence[AnalysisLine]
) -> AnalysisTable:
    """Return a table of zones (or projects, or numbers)."""
    return AnalysisTable(
        caption=Text(zh=zh, en=en), corner=_ZONE, columns=tuple(columns), lines=tuple(lines)
    )


def line(head: Text, cells: Iterable[object], provisional: bool) -> AnalysisLine:
    """Return a line; missing numbers become None."""
    return AnalysisLine(head=head, cells=tuple(_cell(c) for c in cells), provisional=provisional)


def _cell(value: object) -> Cell:
    """Return words as they are, numbers as floats, missing and infinite ones as None."""
    if value is None or value is MISSING:
        return None
    if isinstance(value, Text):
        return value
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None
