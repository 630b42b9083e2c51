"""The reference page of sensors, archives and harmonisation, written from the records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eco_index.records.dialect import known_dialects, load_dialect
from eco_index.records.harmonisation import known_harmonisations, load_harmonisation
from eco_index.records.sensor import SensorRecord, known_records, load_record

_HEAD = """# Sensors, archives, harmonisation

Written from `configs/sensors`, `configs/dialects` and `configs/harmonisation`; do not edit
(`python -m eco_index.records.page > docs/reference/sensors.md`).

A dataset of the catalogue names a record (`record: landsat_oli_c2l2`) and, where its files come
from an archive, the archive's dialect (`access.dialect: earth_search`). What the catalogue states
itself comes first. Physical value = stored value x scale + offset; the scale of the record counts,
never a tag of the file. Bands are resampled bilinearly, or as means where they are at least twice
as fine as the grid; quality bands and classes by the nearest pixel.
"""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _record(record: SensorRecord) -> str:
    out = [f"### `{record.id}` · {record.title.en} · {record.title.zh}", ""]
    years = record.years
    span = f"{years[0]}–{years[1] or 'today'}" if years else "any year"
    size = "any resolution" if record.resolution_m is None else f"{record.resolution_m:g} m"
    out.append(f"{record.operator}; {record.level.en}; {span}; {size}.")
    if record.offset_rule != "none":
        out.append(f"Offset rule: `{record.offset_rule}`.")
    out += ["", "| band | 名称 | nm | asset keys | scale | offset | no data | valid | units |"]
    out.append("|---|---|---|---|---|---|---|---|---|")
    for name, band in record.bands.items():
        wave = "–" if band.wavelength_nm is None else "{:g}–{:g}".format(*band.wavelength_nm)
        valid = "–" if band.valid_range is None else "{:g} to {:g}".format(*band.valid_range)
        cells = [
            f"`{name}` {band.title.en}",
            band.title.zh,
            wave,
            ", ".join(f"`{a}`" for a in band.asset),
            _number(band.scale),
            _number(band.offset),
            _number(band.nodata),
            valid,
            band.units,
        ]
        out.append("| " + " | ".join(cells) + " |")
    masks = [f"`{record.mask.band}` by `{record.mask.recipe}` version {record.mask.version}"]
    masks += [f"`{g.band}` by `{g.recipe}` version {g.version}" for g in record.mask.also]
    out += ["", f"Mask: {'; spoiled further by '.join(masks)}."]
    if record.notes is not None:
        out += ["", record.notes.en, "", record.notes.zh]
    out += ["", *(f"* {r}" for r in record.references), ""]
    return "\n".join(out)


def sensors_page(recipes: Mapping[str, Any]) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    recipes : mapping
        Mask recipes by name (`eco_index.sensors.MASK_RECIPES`).
    """
    parts = [_HEAD, "## Sensors", ""]
    parts += [_record(load_record(r)) for r in known_records()]
    parts += ["## Mask recipes", "", "| recipe | version | clear | source |", "|---|---|---|---|"]
    for name, recipe in sorted(recipes.items()):
        row = (f"`{name}`", str(recipe.version), recipe.description, recipe.reference)
        parts.append("| " + " | ".join(row) + " |")
    parts += ["", "## Archives", ""]
    for name in known_dialects():
        dialect = load_dialect(name)
        parts += [f"### `{name}` · {dialect.title.en} · {dialect.title.zh}", ""]
        parts.append(f"{dialect.url or 'no address'}; signed addresses: {dialect.sign}.")
        parts += ["", "| collection | records | Sentinel-2 offset |", "|---|---|---|"]
        for key, entry in dialect.collections.items():
            records = ", ".join(f"`{r}`" for r in entry.records)
            offset = entry.boa_offset_property or entry.boa_offset
            sentinel = any(r.startswith("sentinel2") for r in entry.records)
            parts.append(f"| `{key}` | {records} | {offset if sentinel else '–'} |")
        notes = [e.notes for e in dialect.collections.values() if e.notes]
        if dialect.notes is not None:
            notes += [dialect.notes.en, dialect.notes.zh]
        for note in notes:
            parts += ["", note]
        parts.append("")
    parts += [
        "## Harmonisation",
        "",
        "`harmonisation: <id>` in the region file; off by default.",
        "",
    ]
    for name in known_harmonisations():
        record = load_harmonisation(name)
        parts += [f"### `{name}` · {record.title.en} · {record.title.zh}", ""]
        parts += ["| platforms | band | slope | intercept | evidence |", "|---|---|---|---|---|"]
        for coefficients in record.coefficients:
            platforms = ", ".join(coefficients.platforms)
            for band, line in coefficients.lines.items():
                values = f"{line.slope:g} | {line.intercept:g} | {coefficients.evidence}"
                parts.append(f"| {platforms} | {band} | {values} |")
            if not coefficients.lines:
                parts.append(f"| {platforms} | all | 1 | 0 | the target |")
        sources = dict.fromkeys(c.source for c in record.coefficients if c.source != "target")
        parts += ["", record.notes.en, "", record.notes.zh, "", *(f"* {s}" for s in sources), ""]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    from importlib import import_module

    # By name: recipes stand to the right of this room.
    print(sensors_page(import_module("eco_index.sensors").MASK_RECIPES), end="")
