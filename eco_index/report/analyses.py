"""Analyses in the report and as a table: trend, accuracy, warning, targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eco_index.errors import InputError
from eco_index.report.long_table import as_csv, flag
from eco_index.report.pictures import picture
from eco_index.report.tables import Cell, Line, Table, marked, split_wide, unit_title
from eco_index.report.text import NO_VALUE, Words
from eco_index.summary import Analysis, AnalysisTable, Summary
from eco_index.yamlio import Text

CSV_COLUMNS = (
    "region", "programme", "period", "analysis", "analysis_zh", "analysis_en", "table_zh",
    "table_en", "line_zh", "line_en", "column_zh", "column_en", "value", "text_zh", "text_en",
    "unit", "method", "evidence", "provisional", "simulated", "status", "trace",
)  # fmt: skip


def analysis_sections(summary: Summary, folder: Path, words: Words) -> list[dict[str, Any]]:
    """Return what the template says of each analysis."""
    language = words.language
    return [
        {
            "anchor": f"a-{analysis.id}",
            "title": words.name(analysis.title),
            "method": analysis.method,
            "evidence": analysis.evidence,
            "provisional": analysis.provisional,
            "trace": analysis.trace,
            "rules": [rule.get(language) for rule in analysis.rules],
            "tables": [t for item in analysis.tables for t in _tables(item, words)],
            "pictures": [
                picture(
                    _bytes(folder / item.path), item.title.get(language), item.alt.get(language)
                )
                for item in analysis.pictures
            ],
            "notes": [note.get(language) for note in analysis.notes],
        }
        for analysis in summary.analyses
    ]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"a picture of the report cannot be read: {error.strerror or error}",
            where=str(path),
            fix="make the assessment again: eco run",
        ) from None


def _tables(item: AnalysisTable, words: Words) -> list[Table]:
    language = words.language
    lines = tuple(
        Line(
            line.head.get(language),
            tuple(
                _cell(cell, column.unit, line.provisional, words)
                for cell, column in zip(line.cells, item.columns, strict=True)
            ),
        )
        for line in item.lines[: item.shown]
    )
    columns = tuple(unit_title(words.name(c.title), c.unit, words) for c in item.columns)
    table = Table(item.caption.get(language), item.corner.get(language), columns, lines)
    return split_wide(table, words)


def _cell(cell: float | Text | None, unit: str, provisional: bool, words: Words) -> Cell:
    if cell is None:
        return Cell(NO_VALUE, tone="missing")
    if isinstance(cell, Text):
        return Cell(cell.get(words.language), numeric=False)
    return Cell(words.number(cell, unit), provisional=marked(provisional, cell))


def analyses_table(summary: Summary) -> bytes | None:
    """Return every cell of every analysis as CSV (UTF-8 with byte-order mark), None for none.

    A cell that was not evaluated has neither value nor text.
    """
    if not summary.analyses:
        return None
    records = [record for analysis in summary.analyses for record in _records(analysis)]
    return as_csv(CSV_COLUMNS, summary, records)


def _records(analysis: Analysis) -> list[dict[str, object]]:
    common: dict[str, object] = {
        "analysis": analysis.id,
        "analysis_zh": analysis.title.zh,
        "analysis_en": analysis.title.en,
        "method": analysis.method,
        "evidence": analysis.evidence,
        "trace": analysis.trace,
    }
    found = []
    for table in analysis.tables:
        for line in table.lines:
            for cell, column in zip(line.cells, table.columns, strict=True):
                record = common | {
                    "table_zh": table.caption.zh,
                    "table_en": table.caption.en,
                    "line_zh": line.head.zh,
                    "line_en": line.head.en,
                    "column_zh": column.title.zh,
                    "column_en": column.title.en,
                    "unit": column.unit,
                    "provisional": flag(analysis.provisional or line.provisional),
                }
                if isinstance(cell, Text):
                    record |= {"text_zh": cell.zh, "text_en": cell.en}
                elif cell is not None:
                    record |= {"value": cell}
                found.append(record)
    return found
