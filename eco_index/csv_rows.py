"""Rows of a CSV table; what its columns must hold is for those who read it to say."""

from __future__ import annotations

import csv
from pathlib import Path

from eco_index.errors import InputError


def read_rows(path: Path, what: str) -> tuple[list[str], list[dict[str, str | None]]]:
    """Return the header and the rows of a CSV table (UTF-8, with byte-order mark or without).

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What the message calls it: "the weather table".

    Returns
    -------
    list of str
        Column names; empty for an empty file.
    list of dict
        Column to text; None where a row is shorter than the header.

    Raises
    ------
    InputError
        It cannot be read as such a table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source)
            rows = list(reader)
            return list(reader.fieldnames or ()), rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{what} cannot be read: {error}", where=str(path)) from error
