"""Take what people filled in: every row checked, all or nothing."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eco_index.errors import InputError, UsageError
from eco_index.leads.columns import COLUMNS, ENTRIES
from eco_index.ledger.book import Ledger, clock, writing
from eco_index.ledger.records import STATES, Moved, Noted, refusal

SHOWN = 20  # problems that a message lists


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    moved : tuple
        (lead id, state before, state after).
    noted : tuple of str
        Ids of leads that got a note only.
    unchanged : int
        Rows without an entry.
    """

    moved: tuple[tuple[str, str, str], ...]
    noted: tuple[str, ...]
    unchanged: int


@dataclass(frozen=True)
class _Entry:
    lead: str
    state: str
    after: str
    by: str
    note: str
    on: dt.date


def import_states(path: Path, ledger_file: Path, now: dt.datetime | None = None) -> Imported:
    """Import a workbook that people filled in.

    Parameters
    ----------
    path : Path
        Written by `export`, in either language, with entries in its yellow columns.
    ledger_file : Path
        The ledger.
    now : datetime, optional
        Time written into the ledger.

    Raises
    ------
    InputError
        A row that cannot be taken: unknown or repeated id, state that is not the ledger's (the
        workbook is out of date), step that is not allowed, who is missing, wrong or future date,
        missing note. All of them are listed, and nothing is imported.
    """
    now = clock(now)
    columns, rows = read_rows(path)
    with writing(ledger_file) as ledger:
        entries, problems, unchanged = _check(ledger, columns, rows, now.date())
        if problems:
            listed = problems[:SHOWN]
            if len(problems) > SHOWN:
                listed.append(f"... and {len(problems) - SHOWN} more")
            raise InputError(
                f"{len(problems)} row(s) cannot be imported; nothing was imported",
                where=f"{path}\n         " + "\n         ".join(listed),
                rule="every row is taken, or none",
                fix="correct these rows and import again; where the states differ, export anew",
            )
        moved, noted = [], []
        for entry in entries:
            who: dict[str, Any] = {"by": entry.by, "note": entry.note, "on": entry.on}
            who |= {"lead": entry.lead, "via": path.name}
            if entry.after:
                ledger.add(Moved, now, before=entry.state, after=entry.after, **who)
                moved.append((entry.lead, entry.state, entry.after))
            else:
                ledger.add(Noted, now, **who)
                noted.append(entry.lead)
    return Imported(tuple(moved), tuple(noted), unchanged)


def state_code(text: str) -> str | None:
    """Return the code of a state written as code, in Chinese or in English."""
    wanted = text.strip().casefold()
    for code, title in STATES.items():
        if wanted in (code, title.zh.casefold(), title.en.casefold()):
            return code
    return None


def _check(
    ledger: Ledger, columns: dict[str, int], rows: list[tuple[int, list[Any]]], today: dt.date
) -> tuple[list[_Entry], list[str], int]:
    entries: list[_Entry] = []
    problems: list[str] = []
    first_row: dict[str, int] = {}
    unchanged = 0
    for number, cells in rows:
        text = {k: _text(cells[at]) if at < len(cells) else "" for k, at in columns.items()}
        lead_id = text["id"]
        place = f"row {number}" + (f" ({lead_id})" if lead_id else "")
        if lead_id and lead_id in first_row:
            problems.append(f"{place}: this lead stands in row {first_row[lead_id]} already")
            continue
        first_row[lead_id] = number
        if not text["new_state"] and not text["note"]:
            if lead_id and lead_id not in ledger.leads:
                problems.append(f"{place}: the ledger has no lead of this id")
            unchanged += 1
            continue
        on = as_date(cells[columns["on"]] if "on" in columns else None, today)
        problem, entry = _entry(ledger, text, on, today)
        if problem is not None or entry is None:
            problems.append(f"{place}: {problem}")
        else:
            entries.append(entry)
    return entries, problems, unchanged


def _entry(
    ledger: Ledger, text: dict[str, str], on: dt.date | str, today: dt.date
) -> tuple[str | None, _Entry | None]:
    lead_id = text["id"]
    if not lead_id:
        return "the row has an entry but no lead id", None
    lead = ledger.leads.get(lead_id)
    if lead is None:
        return "the ledger has no lead of this id", None
    if isinstance(on, str):
        return on, None
    if state_code(text["state"]) != lead.state:
        return (
            f"the workbook says state '{text['state']}', the ledger says "
            f"'{STATES[lead.state].zh} / {STATES[lead.state].en}': it was changed since the export",
            None,
        )
    if not text["new_state"]:
        if not text["by"]:
            return "a note without who wrote it", None
        if on > today:
            return f"the date {on} lies in the future (today is {today})", None
        return None, _Entry(lead_id, lead.state, "", text["by"], text["note"], on)
    after = state_code(text["new_state"])
    if after is None:
        known = ", ".join(f"{t.zh} / {t.en}" for t in STATES.values())
        return f"'{text['new_state']}' is not a state; states: {known}", None
    problem = refusal(lead, after, text["by"], text["note"], on, today)
    if problem is not None:
        return problem, None
    return None, _Entry(lead_id, lead.state, after, text["by"], text["note"], on)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def read_rows(path: Path) -> tuple[dict[str, int], list[tuple[int, list[Any]]]]:
    """Read the sheet of leads of a workbook, whatever its language.

    Returns
    -------
    tuple
        Column key to position, and (row number, cells) of every row that is not empty.

    Raises
    ------
    InputError
        No workbook, or one without the columns needed.
    """
    from zipfile import BadZipFile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, data_only=True)
    except FileNotFoundError:
        raise UsageError(f"file not found: {path}", fix="check the path") from None
    except (BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        raise InputError(
            f"this is no XLSX workbook: {error}", where=str(path), fix="save it as .xlsx"
        ) from None
    names = {}
    for key, title in [*((c.key, c.title) for c in COLUMNS), *ENTRIES.items()]:
        for name in (key, title.zh, title.en):
            names[name.casefold()] = key
    needed = ("id", "state", "new_state", "by", "note")
    for sheet in book.worksheets:
        rows = list(sheet.iter_rows(values_only=True))
        if not rows:
            continue
        found: dict[str, int] = {}
        for position, value in enumerate(rows[0]):
            heading = names.get(str(value).strip().casefold()) if value is not None else None
            if heading is not None:
                found.setdefault(heading, position)
        if all(key in found for key in needed):
            body = [
                (number, list(row))
                for number, row in enumerate(rows[1:], 2)
                if any(v is not None and str(v).strip() for v in row)
            ]
            return found, body
    headings = {c.key: c.title for c in COLUMNS} | ENTRIES
    wanted = ", ".join(f"{headings[k].zh} / {headings[k].en}" for k in needed)
    raise InputError(
        "no sheet of the workbook holds the columns that are needed",
        where=str(path),
        rule=f"first row with: {wanted}",
        fix="fill in a workbook written by `eco leads export`",
    )


def as_date(value: Any, today: dt.date) -> dt.date | str:
    """Return a cell as a date; a text that says what is wrong where it is none."""
    if value is None or not str(value).strip():
        return today
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    match = re.fullmatch(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?", str(value).strip())
    if match:
        try:
            return dt.date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            pass
    return f"'{value}' is not a date (write 2026-03-01)"
