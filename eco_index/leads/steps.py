"""A person's step: the state of one lead is changed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from eco_index.errors import UsageError
from eco_index.ledger.book import clock, writing
from eco_index.ledger.records import Moved, refusal


def set_state(
    path: Path,
    lead_id: str,
    state: str,
    by: str,
    note: str = "",
    on: str | dt.date | None = None,
    now: dt.datetime | None = None,
) -> str:
    """Change the state of a lead; return the state before.

    Raises
    ------
    UsageError
        Unknown lead, step that is not allowed, who or a needed note missing, future date.
    """
    now = clock(now)
    if isinstance(on, str):
        try:
            on = dt.date.fromisoformat(on)
        except ValueError:
            raise UsageError(f"'{on}' is not a date", rule="write it as 2026-03-01") from None
    day = on or now.date()
    with writing(path) as ledger:
        lead = ledger.lead(lead_id)
        problem = refusal(lead, state, by, note, day, now.date())
        if problem:
            raise UsageError(f"lead {lead_id}: {problem}", where=str(path))
        before = lead.state
        ledger.add(
            Moved, now, lead=lead_id, before=before, after=state, by=by.strip(), note=note.strip(),
            on=day,
        )  # fmt: skip
    return before
