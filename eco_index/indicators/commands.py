"""Data behind ``eco index`` and ``eco methods``: plain dictionaries, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eco_index.errors import InputError
from eco_index.indicators.adapters import method_use, to_index_value, to_method_number
from eco_index.indicators.checks import check_options
from eco_index.indicators.classes import class_table
from eco_index.indicators.engine import evaluate
from eco_index.indicators.result import FINAL, PROVISIONAL, IndexResult
from eco_index.indicators.table import missing_columns, read_table
from eco_index.methods import Method, list_methods, load_method
from eco_index.summary import EVIDENCE_ORDER
from eco_index.yamlio import Text


def index_command_data(
    method_id: str,
    path: Path | str,
    overlay: Path | str | None = None,
    options: Mapping[str, str] | None = None,
    compare: Path | str | None = None,
) -> dict[str, Any]:
    """Compute an official index for every unit of a table.

    Parameters
    ----------
    method_id : str
        Method of kind 'index'.
    path, compare : path
        Table of this period; table of the earlier one, for changes.
    overlay : path, optional
        Values from the official text.
    options : mapping, optional
        Choices where the standard is ambiguous.

    Returns
    -------
    dict
        `method`, `options`, `label`, `formulas`, `inverse` (sub-indices that enter as 100 - value),
        `classes` (units and area of each class, see `class_table`), `class_titles`,
        `input_titles`, `missing_columns`, `not_compared`, `units` (each as `summary.IndexValue`,
        with `label`, `not_applicable` and `warnings`).

    Raises
    ------
    InputError, UsageError
        As `read_table`, `evaluate` and `load_method`; or no unit is common to both tables.
    """
    method = load_method(method_id, overlay)
    check_options(method, options)
    rows = read_table(path, method)
    before = read_table(compare, method) if compare is not None else []
    # Both periods share one unit set: a maximum taken per period would turn into a false change.
    unit_set = [*rows, *before]
    results = [evaluate(method, row, options, unit_set) for row in rows]
    earlier: dict[str, IndexResult] = {
        row["unit_id"]: evaluate(method, row, options, unit_set) for row in before
    }
    if compare is not None and not earlier.keys() & {r["unit_id"] for r in rows}:
        raise InputError(
            "the two tables have no unit in common",
            where=f"{path} and {compare}",
            rule="units are matched by unit_id",
        )
    units = []
    for row, result in zip(rows, results, strict=True):
        value = to_index_value(
            method, result, row["unit_id"], _name(row), earlier.get(row["unit_id"])
        )
        units.append(
            {
                **value.model_dump(mode="json"),
                "label": (PROVISIONAL if value.provisional else FINAL).model_dump(),
                "not_applicable": [s.id for s in result.sub_indices if not s.applicable],
                "warnings": [w.model_dump() for w in result.warnings],
            }
        )
    use = method_use(method, [*results, *earlier.values()])
    return {
        "method": use.model_dump(mode="json"),
        "short": method.file.short,
        "note": method.file.note.model_dump() if method.file.note else None,
        "inverse": [c.id for c in method.file.components if c.inverse],
        "formulas": {c.id: c.formula for c in method.file.components},
        "options": _options(method, options),
        "label": (PROVISIONAL if use.provisional else FINAL).model_dump(),
        "compared": compare is not None,
        "input_titles": {k: i.title.model_dump() for k, i in method.file.inputs.items()},
        "missing_columns": missing_columns(path, method),
        "not_compared": [u["unit"] for u in units if compare is not None and u["change"] is None],
        "classes": class_table(
            method,
            [
                {
                    "grade": r.grade,
                    "area_km2": r.inputs.get("area_km2"),
                    "group": r.options.get("unit_group"),
                }
                for r in results
            ],
        ),
        "class_titles": {c.id: c.title.model_dump() for c in method.file.classes},
        "units": units,
    }


def _name(row: Mapping[str, Any]) -> Text:
    plain = row.get("unit_name") or row.get("unit_name_zh") or row.get("unit_name_en")
    zh = row.get("unit_name_zh") or plain or row["unit_id"]
    return Text(zh=zh, en=row.get("unit_name_en") or plain or row["unit_id"])


def _options(method: Method, options: Mapping[str, str] | None) -> list[dict[str, Any]]:
    chosen = check_options(method, options)
    return [
        {
            "id": key,
            "title": spec.title.model_dump(),
            "choice": chosen[key],
            "choice_title": spec.choices[chosen[key]].model_dump(),
            "default": method.choices[key],
            "choices": {k: t.model_dump() for k, t in spec.choices.items()},
            "evidence": method.option(key, chosen[key]).evidence,
        }
        for key, spec in method.file.options.items()
    ]


def methods_list() -> list[dict[str, Any]]:
    """Return every shipped method: id, version, titles, reference, count of its evidence."""
    return [_head(load_method(m)) for m in list_methods()]


def methods_show(method_id: str, overlay: Path | str | None = None) -> dict[str, Any]:
    """Return everything a method file says, after an overlay."""
    method = load_method(method_id, overlay)
    file = method.file
    return {
        **_head(method),
        "formula": file.formula,
        "note": file.note.model_dump() if file.note else None,
        "numbers": [to_method_number(n).model_dump() for n in method.items()],
        "components": [
            {
                "id": c.id,
                "title": c.title.model_dump(),
                "parent": c.parent,
                "weight": method.numbers[c.weight].value if c.weight else None,
                "inverse": c.inverse,
                "formula": c.formula,
                "inputs": list(c.needed()),
            }
            for c in file.components
        ],
        "inputs": {k: s.model_dump(mode="json") for k, s in file.inputs.items()},
        "options": _options(method, None),
    }


def methods_check(method_id: str, overlay: Path | str | None = None) -> dict[str, Any]:
    """Return what of a method still needs the official text."""
    method = load_method(method_id, overlay)
    still = [to_method_number(n).model_dump() for n in method.open_items()]
    return {**_head(method), "open": still, "complete": not still}


def _head(method: Method) -> dict[str, Any]:
    counts: dict[str, int] = dict.fromkeys(EVIDENCE_ORDER, 0)
    for number in method.items():
        counts[number.evidence] += 1
    return {
        "id": method.id,
        "version": method.version,
        "kind": method.file.kind,
        "short": method.file.short,
        "title": method.title.model_dump(),
        "reference": method.reference,
        "overlay_digest": method.overlay_digest,
        "evidence": counts,
        "provisional": bool(method.open_items()),
    }
