"""Which period a scheduled run assesses."""

from __future__ import annotations

import datetime as dt
from typing import Literal
from zoneinfo import ZoneInfo

from eco_index.config import Region
from eco_index.period import Period

Cadence = Literal["yearly", "half_yearly"]


def last_complete_period(cadence: Cadence, today: dt.date) -> Period:
    """Return the newest period that has ended before `today`.

    Imagery is complete only after the period, so a run on 15 January assesses the year before,
    and a half-yearly run on 15 January or 15 July the half that has just ended.
    """
    if cadence == "yearly":
        return Period(today.year - 1)
    return Period(today.year - 1, 2) if today.month <= 6 else Period(today.year, 1)


def today_of(region: Region) -> dt.date:
    """Return today's date where the region's schedules run."""
    return dt.datetime.now(ZoneInfo(region.config.schedule.timezone)).date()
