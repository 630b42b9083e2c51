"""What a person sees: progress bars on a terminal, log lines elsewhere, tables, errors, JSON.

Answers go to standard output, everything else (progress, notes, errors) to standard error, so
that ``eco ... --json | program`` always hands over clean JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from eco_index.errors import EcoError

STAGE_TITLES = {
    "simulate": "simulating the region",
    "plan": "planning",
    "acquire": "searching scenes",
    "composite": "compositing",
    "product": "computing products",
    "compute": "computing",
    "assess": "assessing zones",
    "report": "writing reports",
    "chips": "drawing leads",
    "publish": "publishing",
    "verify": "verifying",
}
SECONDS_BETWEEN_LINES = 10.0


def note(text: str) -> None:
    """Print a line for the person, on standard error."""
    print(text, file=sys.stderr, flush=True)


def answer(text: str = "") -> None:
    """Print a line of the answer, on standard output."""
    print(text, flush=True)


def answer_json(data: Any) -> None:
    """Print the answer as JSON, on standard output."""
    print(json.dumps(data, ensure_ascii=False, indent=1, default=str), flush=True)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """Print a table on standard output: drawn by rich on a terminal, aligned text elsewhere."""
    cells = [["" if v is None else str(v) for v in row] for row in rows]
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(*columns, title=title, box=box.SIMPLE_HEAD, title_justify="left")
        for row in cells:
            drawn.add_row(*(Text(cell) for cell in row))
        Console().print(drawn)
        return
    if title:
        answer(title)
    lines = [list(columns), *cells]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (c + " " * (w - _width(c)) for c, w in zip(line, widths, strict=True))
        answer("  ".join(padded).rstrip())


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def say_error(error: EcoError, *, as_json: bool) -> None:
    """Print an expected error: what, where, rule, fix."""
    lines = str(error).splitlines()
    note(f"error: {lines[0]}")
    for line in lines[1:]:
        note(line)
    if as_json:
        parts = {k: getattr(error, k) for k in ("what", "where", "rule", "fix")}
        answer_json({"error": parts, "exit_code": error.exit_code})


def say_unexpected(error: Exception, *, debug: bool, as_json: bool) -> None:
    """Print one line for a programming error and keep its traceback in a file."""
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    if debug:
        say_traceback()
    else:
        with tempfile.NamedTemporaryFile(
            "w", prefix="eco-error-", suffix=".log", delete=False, encoding="utf-8"
        ) as log:
            traceback.print_exception(error, file=log)
        note(f"error: unexpected {what}")
        note(f"  where: the traceback is in {log.name}")
        note("  fix: finished work is kept; please report this with that file (--debug shows it)")
    if as_json:
        answer_json({"error": {"what": f"unexpected {what}"}, "exit_code": 1})


def say_traceback() -> None:
    """Print the traceback of the exception being handled."""
    traceback.print_exc(file=sys.stderr)


def say_interrupted() -> None:
    """Say what an interrupt means for the work done so far."""
    note("interrupted: finished work is kept; run the same command again to go on from here")


def size_text(n_bytes: float | None) -> str:
    """Return a number of bytes for people."""
    if n_bytes is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def path_text(path: Path | str) -> str:
    """Return a path as a person would type it from here."""
    path = Path(path).absolute()
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class Progress:
    """Progress of a run: call it with ``(stage, done, total, text)``; use it in a ``with``.

    On a terminal every stage gets a bar. Elsewhere a stage prints a line when it starts, when it
    ends, and about every tenth of the way or every ten seconds between, whichever comes first.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._bars: Any = None
        self._ids: dict[str, Any] = {}
        self._last: dict[str, tuple[int, str, float]] = {}

    def __enter__(self) -> Progress:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeElapsedColumn,
            )
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("{task.description:<22}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[text]}", style="dim"),
                console=Console(stderr=True),
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        if self.quiet:
            return
        if self._bars is not None:
            self._bar(stage, done, total, text)
        else:
            self._line(stage, done, total, text)

    def _bar(self, stage: str, done: int, total: int, text: str) -> None:
        title = STAGE_TITLES.get(stage, stage)
        if stage not in self._ids:
            self._ids[stage] = self._bars.add_task(title, total=total, text=text)
        self._bars.update(self._ids[stage], completed=done, total=total, text=text[:60])

    def _line(self, stage: str, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        last_done, last_text, last_time = self._last.get(stage, (-1, "", now))
        first = last_done < 0 or last_done > done  # or the stage starts again
        far = (done - last_done) * 10 >= total or now - last_time >= SECONDS_BETWEEN_LINES
        if (first or done >= total or far) and (done, text) != (last_done, last_text):
            self._last[stage] = (done, text, now)
            title = STAGE_TITLES.get(stage, stage)
            note(f"{time.strftime('%H:%M:%S')}  {title} {done}/{total}  {text}".rstrip())
