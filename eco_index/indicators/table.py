"""Read a table of unit inputs (CSV or YAML): one row a unit, one column an input."""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

from eco_index import yamlio
from eco_index.errors import InputError
from eco_index.indicators.checks import check_inputs, check_options
from eco_index.methods import Method, list_methods, load_method

#: Columns that say which unit a row is about; only `unit_id` is required.
NAME_COLUMNS = ("unit_id", "unit_name", "unit_name_zh", "unit_name_en", "year")
_EMPTY = {"", "na", "n/a", "nan", "null", "none"}
_NEAR = 0.8
#: Column of the area of a land-cover class.
_AREA = re.compile(r"area_(\d+)")


def read_table(path: Path | str, method: Method) -> list[dict[str, Any]]:
    """Read and check a table of unit inputs.

    Parameters
    ----------
    path : path
        CSV (UTF-8, header line) or YAML (a list of mappings, or one below the key ``units``).
    method : Method
        Declares the inputs, their units and ranges.

    Returns
    -------
    list of dict
        One a unit: `unit_id`, names, the unit's choices (`unit_group`, `coast`) where given, and
        every input of the method (None where the cell is empty or the column is not there).

    Raises
    ------
    InputError
        No such file, not UTF-8, empty, a column twice, a column missing without which nothing can
        be computed, a column whose name is almost that of an input, a unit twice, a cell that is
        no number or out of range, the area of a land-cover class that no method knows. The message
        names the line.
    """
    path = Path(path)
    columns, rows = _read_yaml(path) if path.suffix in (".yaml", ".yml") else _read_csv(path)
    _check_columns(columns, method, path)
    if not rows:
        raise InputError("the table has no rows", where=str(path), rule="one row a unit")
    seen: dict[str, int] = {}
    units = []
    for line, cells in rows:
        unit = str(cells.get("unit_id") or "").strip()
        if not unit:
            raise InputError("the row has no unit_id", where=f"{path}, line {line}")
        where = f"{path}, line {line}, unit {unit}"
        if unit in seen:
            raise InputError(
                f"unit '{unit}' is given twice", where=f"{path}, lines {seen[unit]} and {line}"
            )
        seen[unit] = line
        units.append(_unit(unit, cells, method, where))
    return units


def missing_columns(path: Path | str, method: Method) -> list[str]:
    """Return the inputs of a method for which a table has no column."""
    path = Path(path)
    columns, _ = _read_yaml(path) if path.suffix in (".yaml", ".yml") else _read_csv(path)
    return [n for n, s in method.file.inputs.items() if n not in columns and s.absent is None]


def _unit(unit: str, cells: dict[str, Any], method: Method, where: str) -> dict[str, Any]:
    numbers = {n: _number(n, cells.get(n), where) for n in method.file.inputs}
    own = {
        n: str(cells[n]).strip()
        for n in method.choices
        if cells.get(n) is not None and str(cells[n]).strip()
    }
    try:
        check_options(method, own)
    except InputError as error:
        raise InputError(error.what, where=where, rule=error.rule) from None
    names = {n: str(cells[n]) for n in NAME_COLUMNS if cells.get(n) is not None}
    return {**names, "unit_id": unit, **own, **check_inputs(method, numbers, where)}


def _number(name: str, cell: Any, where: str) -> float | None:
    if cell is None:
        return None
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return None if math.isnan(cell) else float(cell)
    text = str(cell).strip()
    if text.lower() in _EMPTY:
        return None
    try:
        return float(text.replace("_", " "))  # Python reads 1_000 as a number
    except ValueError:
        raise InputError(
            f"'{name}' is not a number: '{text}'",
            where=where,
            rule="digits with a decimal point; no thousands separator, unit or % sign",
            fix="leave the cell empty where the value is not known",
        ) from None


@cache
def _all_names() -> frozenset[str]:
    """Every input and option of any method: one table may serve several."""
    names = set(NAME_COLUMNS)
    for method_id in list_methods():
        method = load_method(method_id)
        names |= set(method.file.inputs) | set(method.choices)
    return frozenset(names)


def _check_columns(columns: list[str], method: Method, path: Path) -> None:
    where = f"{path}, header"
    known = _all_names() | set(method.file.inputs) | set(method.choices)
    twice = sorted({c for c in columns if columns.count(c) > 1})
    if twice:
        raise InputError(f"column '{twice[0]}' is given twice", where=where)
    for name in columns:
        if name in known:
            continue
        if (code := _AREA.fullmatch(name)) and "area_km2" in known and _classes(known):
            raise InputError(
                f"unknown land-cover class {code[1]} (column '{name}')",
                where=where,
                rule=f"classes: {', '.join(_classes(known))}",
                fix="add the area to the class that it is by the crosswalk: it would be lost",
            )
        close = difflib.get_close_matches(name.strip().lower(), sorted(known), n=1, cutoff=_NEAR)
        if close:
            raise InputError(
                f"unknown column '{name}'; did you mean '{close[0]}'?",
                where=where,
                fix="correct the name, or rename the column if it means something else",
            )
    needed = ["unit_id", *(["area_km2"] if "area_km2" in method.file.inputs else [])]
    lacking = [n for n in needed if n not in columns]
    if lacking:
        raise InputError(
            f"the column '{lacking[0]}' is missing",
            where=where,
            rule=f"required: {', '.join(needed)}",
            fix=f"see `eco methods show {method.id}` for all columns",
        )


def _classes(names: frozenset[str] | set[str]) -> list[str]:
    return sorted(m[1] for n in names if (m := _AREA.fullmatch(n)))


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, Any]]]]:
    if path.suffix.lower() in (".xls", ".xlsx", ".xlsm", ".ods", ".et"):
        raise InputError(
            "the table is a workbook",
            where=str(path),
            rule="a CSV or YAML file",
            fix="save the sheet as 'CSV UTF-8' (in Excel: Save As, CSV UTF-8)",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"table not found: {path}", fix="check the path") from None
    except UnicodeDecodeError:
        raise InputError(
            "the table is not UTF-8",
            where=str(path),
            fix="save it as 'CSV UTF-8' (in Excel: Save As, CSV UTF-8)",
        ) from None
    except OSError as error:
        raise InputError(f"cannot read the table: {error}", where=str(path)) from None
    if "\0" in text:
        raise InputError("not a CSV table: it holds binary zeros", where=str(path))
    reader = csv.reader(io.StringIO(text, newline=""))
    header: list[str] = []
    rows: list[tuple[int, dict[str, Any]]] = []
    try:
        for cells in reader:
            if not any(c.strip() for c in cells) or cells[0].startswith("#"):
                continue
            if not header:
                header = [c.strip() for c in cells]
                _check_separator(header, path)
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"the row has {len(cells)} cells, the header has {len(header)}",
                    where=f"{path}, line {reader.line_num}",
                )
            rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise InputError(
            f"not a CSV table: {error}", where=f"{path}, line {reader.line_num}"
        ) from None
    if not header:
        raise InputError("the table is empty", where=str(path), rule="a header line, then rows")
    return header, rows


def _check_separator(header: list[str], path: Path) -> None:
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("，", "Chinese commas")):
        if len(header) == 1 and mark in header[0]:
            raise InputError(
                f"the cells are separated by {name}",
                where=f"{path}, header",
                rule="cells separated by commas, numbers with a decimal point",
                fix="save it as 'CSV UTF-8' with commas",
            )


def _read_yaml(path: Path) -> tuple[list[str], list[tuple[int, dict[str, Any]]]]:
    if not path.exists():
        raise InputError(f"table not found: {path}", fix="check the path")
    data, node = yamlio.read_yaml(path)
    prefix: tuple[Any, ...] = ()
    if isinstance(data, dict) and set(data) == {"units"}:
        data, prefix = data["units"], ("units",)
    if not isinstance(data, list) or not all(isinstance(u, dict) for u in data):
        raise InputError(
            "not a table of units",
            where=str(path),
            rule="a list of mappings (unit_id, area_km2, ...), or one below the key 'units'",
        )
    if not data:
        raise InputError("the table is empty", where=str(path), rule="one mapping a unit")
    rows = [
        (yamlio.line_of(node, (*prefix, i)) or 0, {str(k): v for k, v in unit.items()})
        for i, unit in enumerate(data)
    ]
    return list(dict.fromkeys(k for _, unit in rows for k in unit)), rows
