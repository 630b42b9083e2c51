"""Inputs of the official indices as CSV: what `eco index` takes to check every value by itself."""

from __future__ import annotations

import csv
import io

from eco_index.summary import Summary, is_total


def unit_table(summary: Summary) -> bytes | None:
    """Return one row a unit with every input and the unit's own choices; None without indices.

    ``eco index METHOD --inputs units.csv`` computes the index again from it. Columns are the
    inputs of all methods of the summary; an empty field is a missing input. The line for all
    units together is not in it: it has no inputs of its own.
    """
    given_by_unit = {
        key
        for method in summary.methods
        for key, option in method.options.items()
        if option.given_by_unit
    }
    rows: dict[str, dict[str, object]] = {}
    for index in summary.indices:
        if is_total(index.unit):
            continue
        row = rows.setdefault(
            index.unit,
            {"unit_id": index.unit, "unit_name": index.name.zh, "unit_name_en": index.name.en},
        )
        row |= {k: "" if v is None else repr(v) for k, v in index.inputs.items()}
        row |= {k: v for k, v in index.options.items() if k in given_by_unit}
    if not rows:
        return None
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in rows.values():
        # A spreadsheet would take a name that begins like a formula for one.
        writer.writerow(
            {k: f"'{v}" if str(v).startswith(("=", "+", "@")) else v for k, v in row.items()}
        )
    return out.getvalue().encode("utf-8-sig")
