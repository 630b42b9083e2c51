"""The ledger of leads: a file of events, one JSON line each, that only ever grows.

Every line carries a number and a digest that chains it to the line before; a second small file
says how many lines there were. So a line that was changed, dropped or put in between by hand is
noticed, and the ledger is then refused, not repaired: nothing in it is touched.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from eco_index.errors import InputError, PartialError, UsageError
from eco_index.ledger.records import (
    EVENTS,
    SCHEMA,
    AnyEvent,
    Found,
    Lead,
    Moved,
    Noted,
    Opened,
    Run,
    refusal,
)

try:
    import fcntl
except ImportError:  # not on Windows; there a second writer is not noticed
    fcntl = None  # type: ignore[assignment]

NAME = "ledger.jsonl"
WAIT_SECONDS = 10.0
_CHAIN = ', "chain": "'  # what stands between a line's content and its digest
_ADVICE = (
    "put the untouched file back (from a backup), and make the change with `eco leads set` or "
    "`eco leads import`; the ledger was not changed by this command"
)


def clock(now: dt.datetime | None = None) -> dt.datetime:
    """Return the time as the ledger writes it: to the second, with the local offset from UTC."""
    return (now or dt.datetime.now()).astimezone().replace(microsecond=0)


class Ledger:
    """A ledger that has been read and checked.

    Attributes
    ----------
    path : Path
    events : list
        All events in order.
    leads : dict
        Lead by id, in order of entry.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[AnyEvent] = []
        self.leads: dict[str, Lead] = {}
        self._chain = ""
        self._numbers: dict[str, int] = {}  # start of an id to the highest number given
        self._new: list[AnyEvent] = []

    @property
    def opened(self) -> Opened | None:
        """The first line; None in a ledger without any."""
        first = self.events[0] if self.events else None
        return first if isinstance(first, Opened) else None

    def lead(self, lead_id: str) -> Lead:
        """Return a lead.

        Raises
        ------
        UsageError
            There is none of that id.
        """
        try:
            return self.leads[lead_id]
        except KeyError:
            import difflib

            close = difflib.get_close_matches(lead_id, list(self.leads), n=1)
            meant = f" (did you mean {close[0]}?)" if close else ""
            raise UsageError(
                f"the ledger has no lead '{lead_id}'{meant}",
                where=str(self.path),
                rule=f"{len(self.leads)} lead(s) are known",
                fix="see their ids: eco leads list REGION.yaml",
            ) from None

    def last_run(self, period: str, against: str, zones: Sequence[str]) -> Run | None:
        """Return the newest search of a pair of periods in certain zones."""
        for event in reversed(self.events):
            if isinstance(event, Run) and (event.period, event.against, event.zones) == (
                period,
                against,
                tuple(zones),
            ):
                return event
        return None

    def next_id(self, region: str, year: int) -> str:
        """Return the next free id of a year; ids are never given twice."""
        start = f"{region}-{year}-"
        return f"{start}{self._numbers.get(start, 0) + 1:04d}"

    def add(self, kind: type[AnyEvent], when: dt.datetime, **values: Any) -> AnyEvent:
        """Check an event against what there is and keep it for `writing` to write.

        Raises
        ------
        UsageError
            A step that is not allowed.
        """
        base = kind(seq=len(self.events) + 1, time=when, **values)
        event = base.model_copy(update={"chain": _digest(self._chain, _open_line(base))})
        problem = self._problem(event, when.date())
        if problem:
            raise UsageError(problem, where=str(self.path), rule="see docs/how-to/leads.md")
        self._take(event)
        self._new.append(event)
        return event

    def _problem(self, event: AnyEvent, today: dt.date) -> str | None:
        """Return what forbids an event here."""
        if isinstance(event, Opened):
            return None if not self.events else "the ledger is opened twice"
        if not self.events:
            return "the first line of a ledger is 'opened'"
        if isinstance(event, Run):
            return None
        if isinstance(event, Found):
            return f"lead {event.lead} is entered twice" if event.lead in self.leads else None
        lead = self.leads.get(event.lead)
        if lead is None:
            return f"there is no lead {event.lead}: no line before this one enters it"
        if isinstance(event, Moved):
            if event.before != lead.state:
                return (
                    f"lead {event.lead} is in state '{lead.state}', the line says '{event.before}'"
                )
            problem = refusal(lead, event.after, event.by, event.note, event.on, today)
            return problem and f"lead {event.lead}: {problem}"
        if isinstance(event, Noted):
            if not event.by.strip():
                return f"lead {event.lead}: who wrote the note is missing"
            if event.on > today:
                return f"lead {event.lead}: the date {event.on} lies in the future"
        return None

    def _take(self, event: AnyEvent) -> None:
        self.events.append(event)
        self._chain = event.chain
        if isinstance(event, Found):
            self.leads[event.lead] = Lead(event.lead, "new", event.detected, None, [event])
            start, _, number = event.lead.rpartition("-")
            if number.isdecimal():
                last = self._numbers.get(start + "-", 0)
                self._numbers[start + "-"] = max(last, int(number))
        elif not isinstance(event, Opened | Run):
            self.leads[event.lead].apply(event)


def read_ledger(path: Path) -> Ledger:
    """Read and check a ledger; an absent file is an empty ledger.

    Raises
    ------
    InputError
        Unreadable; a line that is no event, was changed, dropped or put in by hand, or a step
        that is not allowed. The message names the line; the file is left as it is.
    """
    ledger = Ledger(path)
    head = _read_head(path)  # before the ledger: another program may be writing both
    if not path.exists():
        _check_head(ledger, head)
        return ledger
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the ledger cannot be read: {error}", where=str(path)) from None
    lines = text.split("\n")
    if lines[-1] != "":
        raise _refused(path, len(lines), "the last line is cut off")
    for number, line in enumerate(lines[:-1], 1):
        _read_line(ledger, line, number)
    _check_head(ledger, head)
    return ledger


def _read_line(ledger: Ledger, line: str, number: int) -> None:
    path = ledger.path
    try:
        event = EVENTS.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(p) for p in first["loc"][1:]) or "event"
        raise _refused(path, number, f"key '{key}': {first['msg']}") from None
    if isinstance(event, Opened) and event.ledger_schema != SCHEMA:
        raise InputError(
            f"the ledger has schema {event.ledger_schema}, this program reads {SCHEMA}",
            where=str(path),
            fix="use the program version that wrote it",
        )
    # The reason in words first: a wrong step says more than a broken digest.
    problem = ledger._problem(event, event.time.date())
    if problem is None and event.seq != number:
        problem = f"its number is {event.seq}: lines are missing, or were put in or moved"
    if problem is None and event.chain != _digest(ledger._chain, line.rpartition(_CHAIN)[0]):
        problem = "it is not as the program wrote it (its digest does not fit)"
    if problem:
        raise _refused(path, number, problem)
    ledger._take(event)


def _refused(path: Path, line: int | None, reason: str) -> InputError:
    return InputError(
        f"the ledger of leads was changed by hand or damaged: {reason}",
        where=str(path) + (f", line {line}" if line else ""),
        rule="lines are only ever added, by the program; it refuses a ledger it did not write",
        fix=_ADVICE,
    )


def _open_line(event: AnyEvent) -> str:
    """Return the text of a line up to its digest."""
    data = event.model_dump(mode="json", exclude={"chain"})
    return json.dumps(data, ensure_ascii=False)[:-1]


def _digest(before: str, text: str) -> str:
    return hashlib.sha256((before + text).encode()).hexdigest()[:24]


def _line(event: AnyEvent) -> str:
    return f'{_open_line(event)}{_CHAIN}{event.chain}"}}\n'


def _head_path(path: Path) -> Path:
    return path.with_suffix(".head.json")


def lines_of(ledger: Ledger, leads: Collection[str]) -> bytes:
    """Return the ledger's lines of some leads as they stand in its file, the first line on top."""
    kept = [
        event
        for event in ledger.events
        if isinstance(event, Opened) or (not isinstance(event, Run) and event.lead in leads)
    ]
    return "".join(_line(event) for event in kept).encode("utf-8")


def _read_head(path: Path) -> tuple[int, str] | None:
    """Return how many lines were written and the digest of the last; None without the file."""
    path = _head_path(path)
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
        return int(head["lines"]), str(head["chain"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refused(path, None, f"the companion file cannot be understood: {error}") from None


def _check_head(ledger: Ledger, head: tuple[int, str] | None) -> None:
    """The companion may be behind (a program killed between the two files), never ahead."""
    if head is None:
        if ledger.events:
            raise _refused(ledger.path, None, f"{_head_path(ledger.path).name} beside it is gone")
        return
    count, chain = head
    if count > len(ledger.events):
        missing = count - len(ledger.events)
        raise _refused(ledger.path, None, f"{missing} line(s) at its end are missing")
    if count and ledger.events[count - 1].chain != chain:
        raise _refused(ledger.path, count, "it is not the line that was written")


@contextlib.contextmanager
def writing(path: Path, *, wait: float = WAIT_SECONDS) -> Iterator[Ledger]:
    """Give the ledger, locked against other writers; write what was added when the block ends.

    All or nothing: an error in the block leaves the file as it was.

    Raises
    ------
    InputError
        The ledger is refused, or its folder cannot be written.
    PartialError
        Another program writes to it, or the disk is full.
    """
    with _lock(path, wait):
        ledger = read_ledger(path)
        yield ledger
        if not ledger._new:
            return
        old = path.read_bytes() if path.exists() else b""
        if not old:  # from now on a missing companion means that somebody took it away
            _write_head(path, 0, "")
        added = "".join(_line(e) for e in ledger._new).encode("utf-8")
        _replace(path, old + added)
        _write_head(path, len(ledger.events), ledger._chain)
        ledger._new.clear()


def _write_head(path: Path, lines: int, chain: str) -> None:
    _replace(_head_path(path), (json.dumps({"lines": lines, "chain": chain}) + "\n").encode())


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise PartialError(
            f"the ledger could not be written: {error.strerror or error}",
            where=str(path),
            rule="the ledger is as it was before",
            fix="free space or make the folder writable, then run the same command again",
        ) from None


@contextlib.contextmanager
def _lock(path: Path, wait: float) -> Iterator[None]:
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file: TextIO = open(lock, "a+", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise InputError(
            f"the ledger's folder cannot be written: {error.strerror or error}",
            where=str(path.parent),
            fix="make the folder writable, or name another one under 'output' in the region file",
        ) from None
    with file:
        end = time.monotonic() + wait
        while fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise PartialError(
                        "another program is writing to the ledger of leads",
                        where=str(lock),
                        rule="one program at a time writes to a ledger; nothing was changed",
                        fix="wait until the other command has ended, then run this one again",
                    ) from None
                time.sleep(0.05)
        yield
