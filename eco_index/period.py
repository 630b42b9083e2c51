"""Reporting periods (2025, 2025H1, 2025H2), months and the growing season."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass

from eco_index.errors import UsageError

_PATTERN = re.compile(r"^(\d{4})(?:H([12]))?$")
FIRST_YEAR = 1982  # first year of 30 m imagery (Landsat 4 TM)


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month."""

    year: int
    month: int

    @property
    def id(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def start(self) -> dt.date:
        return dt.date(self.year, self.month, 1)

    @property
    def end(self) -> dt.date:
        """Last day, inclusive."""
        return dt.date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])

    @classmethod
    def parse(cls, text: str) -> Month:
        year, month = text.split("-")
        return cls(int(year), int(month))


@dataclass(frozen=True, order=True)
class Period:
    """A reporting period: a calendar year, or its first (Jan-Jun) or second (Jul-Dec) half.

    Attributes
    ----------
    year : int
    half : int
        0 for the whole year, 1 or 2 for a half.
    """

    year: int
    half: int = 0

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read ``2025``, ``2025H1`` or ``2025H2``.

        Raises
        ------
        UsageError
            Malformed text, or a year before 1982 (no 30 m imagery exists).
        """
        match = _PATTERN.match(str(text).strip())
        if not match:
            raise UsageError(
                f"'{text}' is not a period",
                rule="a period is a year (2025) or a half-year (2025H1, 2025H2)",
                fix="write for example --period 2025 or --period 2025H1",
            )
        year = int(match[1])
        if year < FIRST_YEAR:
            raise UsageError(
                f"period {text} lies before the first 30 m satellite imagery",
                rule=f"year {FIRST_YEAR} or later",
            )
        return cls(year, int(match[2] or 0))

    @property
    def id(self) -> str:
        return f"{self.year}" if self.half == 0 else f"{self.year}H{self.half}"

    @property
    def zh(self) -> str:
        """The period in Chinese words."""
        return f"{self.year}年" + ("", "上半年", "下半年")[self.half]

    @property
    def cadence(self) -> str:
        """``yearly`` or ``half_yearly``: also the name of the cube's group."""
        return "yearly" if self.half == 0 else "half_yearly"

    @property
    def start(self) -> dt.date:
        return dt.date(self.year, 7 if self.half == 2 else 1, 1)

    @property
    def end(self) -> dt.date:
        """Last day, inclusive."""
        return dt.date(self.year, 6, 30) if self.half == 1 else dt.date(self.year, 12, 31)

    def previous(self) -> Period:
        """Return the same period one year before (like is compared with like)."""
        return Period(self.year - 1, self.half)

    def months(self, first: int = 1, last: int = 12) -> list[Month]:
        """Return the months of the period that lie between calendar months `first` and `last`."""
        return [
            Month(self.year, m)
            for m in range(max(first, self.start.month), min(last, self.end.month) + 1)
        ]

    def ensure_complete(self, season_last_month: int, today: dt.date | None = None) -> None:
        """Raise unless the imagery window of the period has ended.

        Raises
        ------
        UsageError
            The period lies in the future or its season is still running.
        """
        today = today or dt.date.today()
        last = Month(self.year, min(season_last_month, self.end.month)).end
        if self.start > today:
            raise UsageError(
                f"period {self.id} lies in the future (today is {today})",
                rule="a period can be assessed only when its imagery is complete",
                fix=f"run it after {last}",
            )
        if last >= today:
            raise UsageError(
                f"period {self.id} is not complete: its imagery window ends on {last}",
                rule="a period can be assessed only when its imagery is complete",
                fix=f"run it after {last}",
            )
