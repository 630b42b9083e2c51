"""Trace a printed number: to the cube's snapshot, its inputs, the method's clauses, the code."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from eco_index.errors import UsageError
from eco_index.report.tables import INTERVALS
from eco_index.report.text import Words
from eco_index.summary import Analysis, IndexValue, Row, Summary, read_summary


def trace(path: Path | str, key: str) -> dict[str, Any]:
    """Return everything that is known of a printed number.

    Parameters
    ----------
    path : path
        A release folder, a region's output folder, a folder of assessments, or a summary.json.
    key : str
        The trace key: last column of a report's detailed tables, column ``trace`` of table.csv.

    Returns
    -------
    dict
        JSON-able: key, value, unit, title, zone, programme, period, areas, evidence, method (with
        every number, its evidence and source), inputs, months (scenes used and failed), cube,
        code_version, status, file, and release where the path is one.

    Raises
    ------
    UsageError
        No summary there, or no such key; close keys are named.
    """
    path = Path(path)
    known: list[str] = []
    for file in _summaries(path):
        summary = read_summary(file)
        items: list[Row | IndexValue | Analysis] = [
            *summary.rows, *summary.indices, *summary.analyses,
        ]  # fmt: skip
        for item in items:
            if item.trace == key:
                return _ordered(_found(item, summary), summary, file, path)
            known.append(item.trace)
    close = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    example = f"; for example: {known[0]}" if known else ""
    raise UsageError(
        f"no printed number has the key '{key}'",
        where=str(path),
        rule=f"close keys: {', '.join(close)}" if close else f"{len(known)} keys here{example}",
        fix="copy the key from table.csv (column 'trace') or from the report's tables",
    )


def _summaries(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    inner = path / "assessments" if (path / "assessments").is_dir() else path
    found = sorted(inner.rglob("summary.json")) if path.is_dir() else []
    if not found:
        raise UsageError(
            "there is no assessment to trace a number in",
            where=str(path),
            rule="give a release folder, a region's output folder or a summary.json",
        )
    return found


def _found(item: Row | IndexValue | Analysis, summary: Summary) -> dict[str, Any]:
    if isinstance(item, Row):
        return _row(item, summary)
    return _index(item) if isinstance(item, IndexValue) else _analysis(item, summary)


def _text(value: Any) -> dict[str, str]:
    return {"zh": value.zh, "en": value.en}


def _row(row: Row, summary: Summary) -> dict[str, Any]:
    zone = next(z for z in summary.zones if z.id == row.zone)
    return {
        "key": row.trace,
        "kind": "indicator",
        "indicator": row.indicator,
        "variable": row.variable,
        "title": _text(row.title),
        "value": row.value,
        "unit": row.unit,
        "previous": row.previous,
        "change": row.change,
        "interval": list(row.interval) if row.interval else None,
        "interval_kind": row.interval_kind if row.interval else None,
        "zone": {"id": zone.id, "name": _text(zone.name)},
        "denominator": _text(row.denominator),
        "areas_km2": {
            "denominator": row.denominator_km2,
            "valid": row.valid_km2,
            "no_data": row.no_data_km2,
        },
        "method": row.method,
        "evidence": row.evidence,
        "provisional": row.provisional,
        "note": _text(row.note) if row.note else None,
    }


def _index(index: IndexValue) -> dict[str, Any]:
    return {
        "key": index.trace,
        "kind": "index",
        "indicator": index.method.partition("@")[0],
        "variable": "",
        "title": _text(index.title),
        "value": index.value,
        "unit": "1",
        "previous": index.previous,
        "change": index.change,
        "interval": list(index.interval) if index.interval else None,
        "interval_kind": "confidence" if index.interval else None,
        "zone": {"id": index.unit, "name": _text(index.name)},
        "grade": _text(index.grade_title),
        "grades": [_text(g) for g in index.grades],
        "complete": index.complete,
        "sub_indices": {
            s.id: {
                "title": _text(s.title),
                "value": s.value,
                "raw": s.raw,
                "weight": s.weight,
                "missing": list(s.missing),
            }
            for s in index.sub_indices
        },
        "index_inputs": dict(index.inputs),
        "options": {k: v if isinstance(v, str) else _text(v) for k, v in index.options.items()},
        "method": index.method,
        "provisional": index.provisional,
    }


def _analysis(analysis: Analysis, summary: Summary) -> dict[str, Any]:
    return {
        "key": analysis.trace,
        "kind": "analysis",
        "indicator": analysis.id,
        "variable": "",
        "title": _text(analysis.title),
        "value": None,
        "unit": "",
        "zone": {"id": "", "name": _text(summary.programme.layer_title)},
        "rules": [_text(r) for r in analysis.rules],
        "findings": [_text(f) for f in analysis.findings],
        "notes": [_text(n) for n in analysis.notes],
        "method": analysis.method,
        "evidence": analysis.evidence,
        "provisional": analysis.provisional,
    }


def _ordered(found: dict[str, Any], summary: Summary, file: Path, path: Path) -> dict[str, Any]:
    provenance = summary.provenance
    method = found.pop("method")
    release = _release(path)
    result = found | {
        "programme": {"id": summary.programme.id, "name": _text(summary.programme.name)},
        "region": {"id": summary.region.id, "name": _text(summary.region.name)},
        "period": summary.period.id,
        "compared_with": summary.period.compared_with,
        "status": {
            "status": summary.status,
            "provisional": summary.provisional,
            "simulated": summary.simulated,
        },
        "method": _method(method, summary),
        "cube": {
            "tag": provenance.tag,
            "snapshot": provenance.snapshot,
            "previous_snapshot": provenance.previous_snapshot,
            "schema_version": provenance.schema_version,
        },
        "input_digest": provenance.input_digest,
        "inputs": [
            {
                "id": d.id,
                "title": _text(d.title),
                "source": d.source,
                "licence": d.licence,
                "scenes": d.scenes,
                "failed_scenes": d.failed_scenes,
            }
            for d in summary.inputs
        ],
        "scene_marks": [
            {
                "dataset": m.dataset,
                "mark": m.mark,
                "text": _text(m.text),
                "lower": m.lower,
                "scenes": m.scenes,
                "of": m.of,
            }
            for m in summary.scene_marks
        ],
        "months": [
            {"month": m.month, "scenes": m.scenes, "failed_scenes": m.failed_scenes}
            | _scene_ids(path, m.month)
            for m in summary.quality
        ],
        "code_version": provenance.code_version,
        "file": str(file),
    }
    return result | ({"release": release} if release else {})


def _method(reference: str, summary: Summary) -> dict[str, Any]:
    """Return the method behind ``id@version``; a bare reference stands for itself."""
    name, _, version = reference.partition("@")
    for method in summary.methods:
        if method.id == name and version in ("", method.version):
            return {
                "id": method.id,
                "version": method.version,
                "title": _text(method.title),
                "reference": method.reference,
                "overlay_digest": method.overlay_digest,
                "provisional": method.provisional,
                "numbers": [n.model_dump(mode="json") for n in method.numbers],
            }
    return {"id": name, "version": version, "reference": reference, "numbers": []}


def _release(path: Path) -> dict[str, Any] | None:
    file = path / "release.json"
    if not file.is_file():
        return None
    record = json.loads(file.read_text(encoding="utf-8"))
    return {k: record[k] for k in ("name", "created", "predecessor", "official", "reasons")}


def _scene_ids(path: Path, month: str) -> dict[str, Any]:
    file = path / "inputs" / "scenes.json"
    if not file.is_file():
        return {}
    scenes = json.loads(file.read_text(encoding="utf-8")).get(month, {}).get("scenes", [])
    return {"scene_ids": [s.get("id") for s in scenes]}


def trace_text(found: dict[str, Any], language: str = "zh") -> str:
    """Return a traced number as readable lines.

    Parameters
    ----------
    found : dict
        What `trace` returned.
    language : str
        ``zh`` or ``en``.
    """
    words = Words(language)

    def say(value: Any) -> str:
        return str(value.get(language, "")) if isinstance(value, dict) else str(value)

    method, status = found["method"], found["status"]
    value = found["value"]
    shown = words("traced.missing") if value is None else words.quantity(value, found["unit"])
    if found["kind"] == "analysis":
        shown = " ".join(say(f) for f in (*found["findings"], *found["notes"]))
    badges = [k for k in ("simulated", "provisional") if status[k]] + [status["status"]]
    lines = [
        (words("traced.indicator"), say(found["title"])),
        (words("traced.value"), shown),
        (words("traced.zone"), f"{say(found['zone']['name'])} ({found['zone']['id']})"),
        (words("traced.programme"), say(found["programme"]["name"])),
        (words("traced.period"), words.period(found["period"])),
    ]
    if found.get("interval"):
        ends = "–".join(words.number(v, found["unit"]) for v in found["interval"])
        lines.insert(2, (words(INTERVALS[found["interval_kind"]]), ends))
    if "areas_km2" in found:
        areas = {k: words.number(v, "km2") for k, v in found["areas_km2"].items()}
        text = f"{say(found['denominator'])}; {words('traced.areas', **areas)}"
        lines.append((words("traced.denominator"), text))
    lines.append((words("traced.status"), ", ".join(words(f"badge.{b}") for b in badges)))
    lines.append((words("traced.method"), _method_line(method, words)))
    lines += [
        (f"  {words('traced.numbers')}" if i == 0 else "", _number_line(n, words))
        for i, n in enumerate(method["numbers"])
    ]
    cube = found["cube"]
    where = words("traced.cube_value", snapshot=cube["snapshot"], tag=cube["tag"] or "—")
    lines += [(words("traced.cube"), where), (words("traced.digest"), found["input_digest"])]
    lines += [
        (words("traced.datasets") if i == 0 else "", _dataset_line(d, words))
        for i, d in enumerate(found["inputs"])
    ]
    lines += [
        (
            words("traced.scene_marks") if i == 0 else "",
            words(
                "traced.scene_mark",
                dataset=m["dataset"],
                text=say(m["text"]),
                n=m["scenes"],
                total=m["of"],
            ),
        )
        for i, m in enumerate(found["scene_marks"])
    ]
    lines += [
        (
            words("traced.months") if i == 0 else "",
            words("traced.month", month=m["month"], scenes=m["scenes"], failed=m["failed_scenes"]),
        )
        for i, m in enumerate(found["months"])
    ]
    lines.append((words("traced.code"), found["code_version"]))
    if "release" in found:
        lines.append((words("traced.release"), found["release"]["name"]))
    lines.append((words("traced.source_file"), found["file"]))
    colon = words("list.colon")
    return "\n".join(f"{name}{colon}{text}" if name else f"    {text}" for name, text in lines)


def _method_line(method: dict[str, Any], words: Words) -> str:
    if "title" not in method:
        return str(method["reference"])
    return words(
        "traced.method_value",
        title=method["title"][words.language],
        id=method["id"],
        version=method["version"],
        reference=method["reference"],
    )


def _number_line(number: dict[str, Any], words: Words) -> str:
    return words(
        "traced.number",
        key=number["key"],
        value=words.plain(number["value"]),
        unit=words.unit(number["unit"]),
        evidence=words(f"evidence.{number['evidence']}"),
        source=number["source"],
    )


def _dataset_line(dataset: dict[str, Any], words: Words) -> str:
    text = words(
        "traced.dataset",
        title=dataset["title"][words.language],
        id=dataset["id"],
        source=dataset["source"],
        licence=dataset["licence"],
    )
    if dataset["scenes"] is None:
        return text
    return words(
        "traced.dataset_scenes",
        text=text,
        scenes=dataset["scenes"],
        failed=dataset["failed_scenes"] or 0,
    )
