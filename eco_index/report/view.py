"""What the report's template is given: every text written out, every figure drawn."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.font_manager import FontProperties

from eco_index.report import index_tables, tables
from eco_index.report.analyses import analysis_sections
from eco_index.report.findings import findings
from eco_index.report.pictures import (
    headline_charts,
    index_charts,
    map_pictures,
    quality_charts,
    share_charts,
)
from eco_index.report.tables import Cell, Group, Line, Table
from eco_index.report.text import NO_VALUE, Words
from eco_index.summary import IndexValue, Summary, is_total

SECTIONS = (
    "findings", "maps", "overview", "indices", "analyses", "details", "methods", "quality",
    "inputs", "provenance", "tracing",
)  # fmt: skip
MOST_FAILURES = 60


@dataclass(frozen=True)
class Section:
    """A numbered section."""

    id: str
    number: str
    title: str


def context_of(
    summary: Summary, folder: Path, words: Words, font: FontProperties
) -> dict[str, Any]:
    """Return all variables of the template.

    Parameters
    ----------
    summary : Summary
        What the report says.
    folder : Path
        Where maps and zones lie.
    words : Words
        Language.
    font : matplotlib.font_manager.FontProperties
        Font for the figures.
    """
    language = words.language
    groups = tables.groups_of(summary)
    period = words.period(summary.period.id)
    pictures, wide = map_pictures(summary, folder, words, font)
    compared = summary.period.compared_with
    has_change = compared and any(r.previous is not None for r in summary.rows)
    overview_note = (
        words("text.overview", before=words.period(compared))
        if compared and has_change
        else words("text.overview_alone")
    )
    marker = words("text.marker", mark=words("badge.mark"))
    notes = [n.get(language) for n in summary.notes]
    if summary.programme.note is not None:
        notes.insert(0, summary.programme.note.get(language))
    first_key = next((r.trace for r in summary.rows), None)
    first_key = first_key or next((i.trace for i in summary.indices), "KEY")
    tag = summary.provenance.tag
    return {
        "lang": "zh-CN" if language == "zh" else "en",
        "document_title": words(
            "title.document",
            region=summary.region.name.get(language),
            programme=summary.programme.name.get(language),
            period=period,
        ),
        "title": words("title.main", programme=summary.programme.name.get(language)),
        "region": summary.region.name.get(language),
        "period": period,
        "badges": _badges(summary),
        "notices": [b for b in _badges(summary) if b != "final"],
        "meta": _meta(summary, words),
        "sections": {
            key: Section(
                key,
                number,
                words(f"section.{key}"),
            )
            for number, key in zip(words("section.ordinals").split(), SECTIONS, strict=True)
        },
        "findings": findings(summary, groups, words),
        "notes": notes,
        "maps": pictures,
        "wide_maps": wide,
        "overview_note": overview_note,
        "marker": marker if summary.provisional else "",
        "overview": tables.headline_tables(groups, summary, words),
        "charts": headline_charts(groups, summary, words, font),
        "zones_table": _zones_table(summary, words),
        "indices": _indices(summary, words, font),
        "analyses": analysis_sections(summary, folder, words),
        "details": [_detail(g, summary, words, font) for g in groups],
        "open_numbers": _open_numbers(summary, words),
        "methods": _methods(summary, words),
        "quality_charts": quality_charts(summary, words, font),
        "months": _months_table(summary, words),
        "failures": [
            (f.month, f.dataset, f.scene, f.asset, f.reason)
            for f in summary.failures[:MOST_FAILURES]
        ],
        "failures_cut": words("text.failures_cut", n=len(summary.failures) - MOST_FAILURES)
        if len(summary.failures) > MOST_FAILURES
        else "",
        "scene_marks": [
            (
                f"{m.title.get(language)} ({m.dataset})",
                m.text.get(language),
                words("text.scenes_of", n=m.scenes, total=m.of),
                words(f"yes_no.{'yes' if m.lower else 'no'}"),
            )
            for m in summary.scene_marks
        ],
        "inputs": [
            (
                f"{d.title.get(language)} ({d.id})",
                d.source,
                d.licence,
                NO_VALUE if d.scenes is None else str(d.scenes),
                NO_VALUE if d.failed_scenes is None else str(d.failed_scenes),
            )
            for d in summary.inputs
        ],
        "provenance": _provenance(summary, words),
        "trace_command": f"eco trace {words('trace.folder')} {first_key}",
        "cube_command": f'open_cube("archive.icechunk", group="{_group(summary)}", '
        f'ref="{tag or summary.provenance.snapshot}")',
        "code_version": summary.provenance.code_version,
    }


def _group(summary: Summary) -> str:
    return "half_yearly" if "H" in summary.period.id else "yearly"


def _badges(summary: Summary) -> list[str]:
    found = ["simulated"] if summary.simulated else []
    found += ["provisional"] if summary.provisional else []
    return [*found, summary.status]


def _meta(summary: Summary, words: Words) -> list[tuple[str, str]]:
    language = words.language
    info, provenance = summary.period, summary.provenance
    months = info.months
    span = f"{months[0]} – {months[-1]}" if months else NO_VALUE
    compared = info.compared_with
    return [
        (words("meta.region"), summary.region.name.get(language)),
        (words("meta.programme"), summary.programme.name.get(language)),
        (words("meta.layer"), summary.programme.layer_title.get(language)),
        (words("meta.zones"), str(sum(not is_total(z.id) for z in summary.own_zones))),
        (words("meta.period"), f"{info.start} – {info.end}"),
        (words("meta.months"), span),
        (
            words("meta.compared"),
            words.period(compared) if compared else words("meta.no_comparison"),
        ),
        (words("meta.tag"), provenance.tag or provenance.snapshot),
    ]


def _zones_table(summary: Summary, words: Words) -> Table:
    return Table(
        words("text.zones_caption"),
        words("table.zone"),
        (words("table.area_km2"), words("table.pixels_km2")),
        tuple(
            Line(
                z.name.get(words.language),
                (
                    Cell(words.number(z.area_km2, "km2")),
                    Cell(words.number(z.pixels_km2, "km2")),
                ),
            )
            for z in summary.zones
        ),
    )


def _indices(summary: Summary, words: Words, font: FontProperties) -> list[dict[str, Any]]:
    by_method: dict[str, list[IndexValue]] = {}
    for index in summary.indices:
        by_method.setdefault(index.method, []).append(index)
    found = []
    for key, indices in by_method.items():
        method = key.partition("@")[0]
        title = indices[0].title.get(words.language)
        # The line for all units together has no inputs of its own.
        units = [i for i in indices if not is_total(i.unit)] or indices
        titles = {k: v for m in summary.methods if m.id == method for k, v in m.inputs.items()}
        options = {k: v for m in summary.methods if m.id == method for k, v in m.options.items()}
        found.append(
            {
                "title": title,
                "table": index_tables.index_table(indices, words),
                "charts": index_charts(indices, words, font),
                "subs": index_tables.sub_index_tables(indices, titles, words),
                "inputs": index_tables.input_tables(units, titles, words),
                "options": index_tables.option_lines(units, options, words),
            }
        )
    return found


def _detail(group: Group, summary: Summary, words: Words, font: FontProperties) -> dict[str, Any]:
    row = group.first
    plain = row.method in ("", "-")
    notes: list[str] = []
    if group.headline:
        found = [tables.detail_table(group, summary, words)]
    else:
        found = tables.class_tables(group, summary, words)
        notes = [words("text.class_table"), words("text.class_cut")]
    return {
        "anchor": f"i-{group.indicator}",
        "title": tables.unit_title(words.name(group.title), group.unit, words),
        "denominator": row.denominator.get(words.language),
        "method": NO_VALUE if plain else row.method,
        # A plain count rests on no method whose evidence could be told.
        "evidence": "" if plain else row.evidence,
        "charts": share_charts(group, summary, words, font),
        "tables": found,
        "notes": notes,
    }


def _open_numbers(summary: Summary, words: Words) -> list[str]:
    return [
        f"{m.title.get(words.language)} · {n.key} = {words.plain(n.value)} {words.unit(n.unit)} "
        f"[{words(f'evidence.{n.evidence}')}] {n.source}"
        for m in summary.methods
        for n in m.numbers
        if n.evidence in ("recalled", "placeholder")
    ]


def _methods(summary: Summary, words: Words) -> list[dict[str, Any]]:
    return [
        {
            "title": m.title.get(words.language),
            "id": m.id,
            "version": m.version,
            "reference": m.reference,
            "provisional": m.provisional,
            "overlay": words("text.overlay", digest=m.overlay_digest) if m.overlay_digest else "",
            "caption": words("text.methods_caption", title=m.title.get(words.language)),
            "numbers": [
                {
                    "key": n.key,
                    "value": words.plain(n.value),
                    "unit": words.unit(n.unit),
                    "evidence": n.evidence,
                    "source": n.source,
                }
                for n in m.numbers
            ],
        }
        for m in summary.methods
    ]


def _months_table(summary: Summary, words: Words) -> Table:
    heads = ("scenes", "failed_scenes", "observed_share", "clear_count")
    return Table(
        words("text.months_caption"),
        words("table.month"),
        tuple(words(f"table.{h}") for h in heads),
        plain=True,
        lines=tuple(
            Line(
                m.month,
                (
                    Cell(str(m.scenes)),
                    Cell(str(m.failed_scenes)),
                    Cell(
                        NO_VALUE
                        if m.observed_share is None
                        else words.quantity(100 * m.observed_share, "%")
                    ),
                    Cell(words.number(m.mean_clear_count)),
                ),
            )
            for m in summary.quality
        ),
    )


def _flat(value: Any, prefix: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in _flat(v, f"{prefix}.{k}".strip("."))]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return [(prefix, text)]


def _provenance(summary: Summary, words: Words) -> list[tuple[str, str]]:
    p = summary.provenance
    rows = [
        (words("prov.snapshot"), p.snapshot),
        (words("prov.tag"), p.tag or NO_VALUE),
        (words("prov.previous_snapshot"), p.previous_snapshot or NO_VALUE),
        (words("prov.input_digest"), p.input_digest),
        (words("prov.code_version"), p.code_version),
        (words("prov.schema_version"), str(p.schema_version)),
    ]
    rows += [(words("prov.grid", name=k), v) for k, v in _flat(p.grid, "")]
    rows += [(words("prov.parameter", name=k), v) for k, v in _flat(p.parameters, "")]
    return rows
