"""All pictures of a report as data URIs with their words."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.font_manager import FontProperties

from eco_index.report import figures, maps
from eco_index.report.map_input import crs_note, is_wide, read_outlines, read_raster
from eco_index.report.tables import Group
from eco_index.report.text import Words
from eco_index.summary import IndexValue, MapClass, Summary

ZONES_A_CHART = 40
MOST_PANELS = 6


@dataclass(frozen=True)
class Picture:
    """A figure as a data URI with its words."""

    source: str
    title: str
    alt: str
    note: str = ""


def picture(data: bytes, title: str, alt: str, note: str = "") -> Picture:
    """Return a PNG as a figure of the page."""
    uri = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    return Picture(uri, title, alt, note)


def map_pictures(
    summary: Summary, folder: Path, words: Words, font: FontProperties
) -> tuple[list[Picture], bool]:
    if not summary.maps:
        return [], False
    outlines = read_outlines(folder / summary.zones_file, summary, words)
    stamp = words("badge.simulated") if summary.simulated else ""
    pictures, wide, note = [], False, ""
    for layer in summary.maps:
        raster = read_raster(folder / layer.path)
        wide = wide or is_wide(raster)
        note = note or crs_note(raster, summary, words)
        title = words.name(layer.title)
        pictures.append(
            picture(
                maps.map_figure(layer, raster, outlines, words, font, stamp),
                title,
                words("map.alt", title=title, period=words.period(summary.period.id)),
                note,
            )
        )
    return pictures, wide


def _in_parts(summary: Summary, draw: Callable[[list[str]], bytes]) -> list[tuple[bytes, int, int]]:
    """Draw a chart for every 40 zones: zone ids go to `draw`."""
    zones = list(summary.own_zones)
    parts = [zones[i : i + ZONES_A_CHART] for i in range(0, len(zones), ZONES_A_CHART)]
    return [(draw([z.id for z in part]), n, len(parts)) for n, part in enumerate(parts, 1)]


def _numbered(title: str, n: int, total: int, words: Words) -> str:
    return title + words("table.part", n=n, total=total) if total > 1 else title


def headline_charts(
    groups: Sequence[Group], summary: Summary, words: Words, font: FontProperties
) -> list[Picture]:
    chosen = [g for g in groups if g.headline and g.unit != "km2" and g.of_own_zones(summary)]
    chosen = chosen[:MOST_PANELS]
    if len(summary.own_zones) > 20:  # tall charts: one line of panels fits a page
        chosen = chosen[:3]
    if not chosen:
        return []
    names = {z.id: z.name.get(words.language) for z in summary.zones}

    def draw(zones: list[str]) -> bytes:
        panels = [
            figures.Panel(words.name(g.title), g.unit, tuple(g.get(zone) for zone in zones))
            for g in chosen
        ]
        return figures.headline_figure(panels, [names[z] for z in zones], words, font)

    title, note = words("chart.headline"), words("chart.headline_note")
    rows = [row for g in chosen for row in g.rows.values()]
    if any(row.interval and row.interval_kind == "confidence" for row in rows):
        note += words("chart.confidence_note")
    return [
        picture(data, _numbered(title, n, of, words), title, note)
        for data, n, of in _in_parts(summary, draw)
    ]


def _colours(summary: Summary) -> dict[str, str]:
    classes: list[MapClass] = [c for layer in summary.maps for c in layer.classes]
    # A two-class mask (forest) must not lend its colours to land cover codes.
    return {str(c.code): c.colour for c in classes if c.code > 1}


def share_charts(
    group: Group, summary: Summary, words: Words, font: FontProperties
) -> list[Picture]:
    if group.headline or group.unit != "%":
        return []
    own = _colours(summary)
    shown = [v for v in group.variables if any(_value(group, z.id, v) for z in summary.own_zones)]
    if not shown:
        return []
    if not any(v in own for v in shown):  # ordered classes: from light to dark
        ramp, steps = maps.palette("vegetation"), max(1, len(group.variables) - 1)
        own = {v: _hex(ramp(0.1 + 0.85 * i / steps)) for i, v in enumerate(group.variables)}
    names = {z.id: z.name.get(words.language) for z in summary.zones}

    def draw(zones: list[str]) -> bytes:
        shares = [
            figures.Share(
                words.name(group.variables[v]),
                own.get(v, "#a9b0b4"),
                tuple(_value(group, zone, v) for zone in zones),
            )
            for v in shown
        ]
        return figures.shares_figure(shares, [names[z] for z in zones], words, font)

    title = words("chart.shares", title=words.name(group.title))
    return [
        picture(data, _numbered(title, n, of, words), title, words("chart.shares_note"))
        for data, n, of in _in_parts(summary, draw)
    ]


def _value(group: Group, zone: str, variable: str) -> float | None:
    row = group.get(zone, variable)
    return row.value if row else None


def _hex(colour: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colour[:3])


def quality_charts(summary: Summary, words: Words, font: FontProperties) -> list[Picture]:
    if not summary.quality:
        return []
    title = words("chart.months")
    return [picture(figures.months_figure(summary.quality, words, font), title, title)]


def index_charts(
    indices: Sequence[IndexValue], words: Words, font: FontProperties
) -> list[Picture]:
    """Return the charts of an official index's sub-indices."""
    if all(s.parent for s in indices[0].sub_indices):
        return []
    title = words("chart.sub_indices", title=indices[0].title.get(words.language))
    return [
        picture(
            figures.sub_indices_figure(indices[i : i + ZONES_A_CHART], words, font),
            title,
            title,
            words("chart.sub_indices_note"),
        )
        for i in range(0, len(indices), ZONES_A_CHART)
    ]
