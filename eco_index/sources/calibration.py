"""Calibration of domestic sensors: digital numbers to top-of-atmosphere reflectance.

    L = DN x gain + offset                    W m-2 sr-1 um-1
    reflectance = pi x L x d^2 / (ESUN x cos(solar zenith))

Both are linear in DN, so they fold into the scale and offset by which every band is decoded.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from dataclasses import dataclass
from pathlib import Path

from eco_index.errors import InputError

COLUMNS = ("satellite", "sensor", "year", "band", "gain", "offset", "esun", "source")


@dataclass(frozen=True)
class Gain:
    """One band of a sensor in a year, as the user's file states it."""

    gain: float
    offset: float
    esun: float
    source: str


Table = dict[tuple[str, str, int, str], Gain]


def read_calibration(path: Path) -> Table:
    """Read the user's file of gains: a CSV with the columns `COLUMNS`.

    Returns
    -------
    dict
        By satellite and sensor (lower case), year and common band name.

    Raises
    ------
    InputError
        File or column missing, a value that is no number or out of range, a row without source,
        two rows for one band.
    """
    if not path.is_file():
        raise InputError(
            "the calibration file does not exist",
            where=str(path),
            fix="give 'access.calibration': gains of the data centre, by satellite, sensor, year",
        )
    table: Table = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"the calibration file lacks the column(s) {', '.join(missing)}",
                where=str(path),
                rule=f"columns: {', '.join(COLUMNS)}",
            )
        for number, row in enumerate(reader, start=2):
            where = f"{path}, line {number}"
            try:
                values = [float(row[c]) for c in ("gain", "offset", "esun")]
                key = (
                    row["satellite"].strip().lower(),
                    row["sensor"].strip().lower(),
                    int(row["year"]),
                    row["band"].strip(),
                )
            except (TypeError, ValueError, AttributeError) as error:
                raise InputError(f"not a number: {error}", where=where) from None
            if not (values[0] > 0 and math.isfinite(values[1]) and 1 < values[2] < 1e4):
                raise InputError(
                    f"gain {values[0]}, offset {values[1]}, esun {values[2]} cannot be",
                    where=where,
                    rule="gain > 0; 1 < esun < 10 000 W m-2 um-1",
                )
            if not (row["source"] or "").strip():
                raise InputError(
                    "the row names no source", where=where, rule="every coefficient has a source"
                )
            if key in table:
                raise InputError(f"{' '.join(map(str, key))} is given twice", where=where)
            table[key] = Gain(values[0], values[1], values[2], row["source"].strip())
    return table


def sun_distance(day: dt.date) -> float:
    """Return the distance of earth and sun in astronomical units: 1 - 0.01672 cos(0.9856 (n - 4)).

    Within 0.0003 of an almanac; n is the day of the year and the angle in degrees.
    """
    n = day.timetuple().tm_yday
    return 1 - 0.01672 * math.cos(math.radians(0.9856 * (n - 4)))


def reflectance_line(gain: Gain, day: dt.date, solar_zenith: float) -> tuple[float, float]:
    """Return scale and offset from digital number to top-of-atmosphere reflectance.

    Raises
    ------
    InputError
        The sun does not stand above the horizon.
    """
    cosine = math.cos(math.radians(solar_zenith))
    if not (0 <= solar_zenith < 88):
        raise InputError(f"solar zenith {solar_zenith}: reflectance needs a sun above 2 degrees")
    factor = math.pi * sun_distance(day) ** 2 / (gain.esun * cosine)
    return gain.gain * factor, gain.offset * factor
