"""The long table of a summary as CSV: every number with its denominator and trace key."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from eco_index.summary import IndexValue, Summary

CSV_COLUMNS = (
    "region", "programme", "period", "zone", "zone_name_zh", "zone_name_en", "kind", "indicator",
    "variable", "title_zh", "title_en", "value", "unit", "denominator_zh", "denominator_en",
    "denominator_km2", "valid_km2", "no_data_km2", "previous", "change", "interval_low",
    "interval_high", "interval_kind", "grade_zh", "grade_en", "change_class_zh",
    "change_class_en", "method", "evidence", "provisional", "simulated", "status", "trace",
    "note_zh", "note_en",
)  # fmt: skip


# Columns that are fields of a row under the same name.
_SAME_NAME = (
    "indicator", "variable", "value", "unit", "denominator_km2", "valid_km2", "no_data_km2",
    "previous", "change", "method", "evidence", "trace",
)  # fmt: skip


def csv_table(summary: Summary) -> bytes:
    """Return the long table as CSV (UTF-8 with byte-order mark, so that Excel reads Chinese).

    Rows of kind ``indicator`` are the zone numbers; ``index`` and ``sub_index`` the official
    indices. A missing value is an empty field. Text that a spreadsheet would take for a formula is
    written with a leading apostrophe.
    """
    records = [*_row_records(summary)]
    for index in summary.indices:
        records += _index_records(index)
    return as_csv(CSV_COLUMNS, summary, records)


def as_csv(columns: Sequence[str], summary: Summary, records: Iterable[dict[str, object]]) -> bytes:
    """Return records as CSV (UTF-8 with byte-order mark), each with what the summary is of."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    base: dict[str, object] = {
        "region": summary.region.id,
        "programme": summary.programme.id,
        "period": summary.period.id,
        "simulated": flag(summary.simulated),
        "status": summary.status,
    }
    for record in records:
        writer.writerow(_safe(base | record))
    return ("\ufeff" + out.getvalue()).encode("utf-8")


def _row_records(summary: Summary) -> Iterator[dict[str, object]]:
    zones = {z.id: z for z in summary.zones}
    for row in summary.rows:
        low, high = row.interval or (None, None)
        record: dict[str, object] = {
            "zone": row.zone,
            "zone_name_zh": zones[row.zone].name.zh,
            "zone_name_en": zones[row.zone].name.en,
            "kind": "indicator",
            "interval_low": low,
            "interval_high": high,
            "interval_kind": row.interval_kind if row.interval else None,
            "title_zh": row.title.zh,
            "title_en": row.title.en,
            "denominator_zh": row.denominator.zh,
            "denominator_en": row.denominator.en,
            "provisional": flag(row.provisional),
            "note_zh": row.note.zh if row.note else "",
            "note_en": row.note.en if row.note else "",
        }
        record |= {key: getattr(row, key) for key in _SAME_NAME}
        yield record


def _index_records(index: IndexValue) -> list[dict[str, object]]:
    common: dict[str, object] = {
        "zone": index.unit,
        "zone_name_zh": index.name.zh,
        "zone_name_en": index.name.en,
        "indicator": index.method.partition("@")[0],
        "unit": "1",
        "method": index.method,
        "trace": index.trace,
    }
    records = [
        common
        | {
            "kind": "index",
            "title_zh": index.title.zh,
            "title_en": index.title.en,
            "value": index.value,
            "previous": index.previous,
            "change": index.change,
            "grade_zh": index.grade_title.zh,
            "grade_en": index.grade_title.en,
            "change_class_zh": index.change_title.zh,
            "change_class_en": index.change_title.en,
            "provisional": flag(index.provisional),
            "interval_low": index.interval[0] if index.interval else None,
            "interval_high": index.interval[1] if index.interval else None,
            "interval_kind": "confidence" if index.interval else None,
        }
    ]
    for sub in index.sub_indices:
        records.append(
            common
            | {
                "kind": "sub_index",
                "variable": sub.id,
                "title_zh": sub.title.zh,
                "title_en": sub.title.en,
                "value": sub.value,
                "provisional": flag(sub.provisional),
            }
        )
    return records


def flag(value: bool) -> str:
    """Return how a table writes yes and no."""
    return "true" if value else "false"


def _safe(record: dict[str, object]) -> dict[str, object]:
    """Return a record whose texts no spreadsheet takes for a formula."""
    return {
        k: f"'{v}" if isinstance(v, str) and v[:1] in ("=", "+", "-", "@", "\t") else v
        for k, v in record.items()
    }
