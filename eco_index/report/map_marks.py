"""Marks on a map: zone outlines and names, scale bar, north arrow."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke

from eco_index.report.map_input import Outlines, Raster, nice_length, north_angle
from eco_index.report.text import Words

INK = "#26323a"
HALO = [withStroke(linewidth=2.0, foreground="white")]
MAX_LABELS = 40


NAME_WIDTH = 18  # characters of a line of a zone name; half as many Chinese ones


def sized(font: FontProperties, size: float) -> FontProperties:
    copy = font.copy()
    copy.set_size(size)
    return copy


def draw_outlines(axes: Axes, outlines: Outlines, font: FontProperties) -> None:
    crowded = len(outlines.geometries) > MAX_LABELS
    rings = [
        shapely.get_coordinates(ring)
        for geometry in outlines.geometries
        for part in shapely.get_parts(geometry)
        for ring in [part.exterior, *part.interiors]
    ]
    for colour, width in (("white", 1.8), (INK, 0.8)):
        outline = LineCollection(rings, colors=colour, linewidths=width, zorder=1)
        axes.add_collection(outline, autolim=False)
    for geometry, name in zip(outlines.geometries, outlines.names, strict=True):
        if not name:
            continue
        point = shapely.point_on_surface(_largest(geometry))
        size = 5 if crowded else 7.5
        lines = wrapped_name(name)
        axes.annotate(
            "\n".join(lines), (_inside(axes, point.x, lines, size), point.y), ha="center",
            va="center", color=INK, clip_on=True, linespacing=1.05,
            fontproperties=sized(font, size), path_effects=HALO, zorder=6,
        )  # fmt: skip


def wrapped_name(name: str) -> list[str]:
    """Return a zone's name in lines short enough for a map."""
    if " " in name:
        return textwrap.wrap(name, NAME_WIDTH, break_long_words=False)
    rows = math.ceil(len(name) / (NAME_WIDTH // 2))  # of like length: no single character left
    step = math.ceil(len(name) / rows)
    return [name[i : i + step] for i in range(0, len(name), step)]


def _inside(axes: Axes, x: float, lines: list[str], size: float) -> float:
    """Return the place of a name's middle at which it does not run over the map's edge."""
    left, right = axes.get_xlim()
    figure = axes.get_figure(root=True)
    points = axes.get_position().width * (figure.get_figwidth() if figure else 5) * 72
    wide = max(sum(1.0 if ord(c) > 0x2E7F else 0.56 for c in line) for line in lines) * size
    half = min(0.5, wide / max(points, 1) / 2 + 0.01) * (right - left)
    return min(max(x, left + half), right - half)


def _largest(geometry: shapely.Geometry) -> shapely.Geometry:
    parts = shapely.get_parts(geometry)
    return parts[int(np.argmax(shapely.area(parts)))]


def scale_bar(axes: Axes, raster: Raster, words: Words, font: FontProperties) -> None:
    left, right, bottom, top = raster.extent
    length = nice_length(right - left)
    x, y, thick = (
        left + (right - left) * 0.03,
        bottom + (top - bottom) * 0.045,
        (top - bottom) * 0.011,
    )
    for i, colour in enumerate((INK, "white")):
        half = length / 2
        box = [(x + i * half, y), (x + (i + 1) * half, y)]
        box += [(px, y + thick) for px, _ in reversed(box)]
        axes.add_patch(Polygon(box, facecolor=colour, edgecolor=INK, linewidth=0.6, zorder=7))
    in_km = length >= 1000
    text = (
        f"{length / 1000:g}\u00a0{words('map.km')}"
        if in_km
        else f"{length:g}\u00a0{words('map.m')}"
    )
    for position, label in ((x, "0"), (x + length, text)):
        axes.text(
            position, y + thick * 1.9, label, ha="center" if label == "0" else "left", va="bottom",
            color=INK, fontproperties=sized(font, 7), path_effects=HALO, zorder=7,
        ).set_horizontalalignment("center")  # fmt: skip


def north_arrow(axes: Axes, raster: Raster, words: Words, font: FontProperties) -> None:
    left, right, bottom, top = raster.extent
    angle = math.radians(north_angle(raster.crs, (left + right) / 2, (bottom + top) / 2))
    size = min(right - left, top - bottom) * 0.075
    centre = np.array([right - size * 1.1, top - size * 1.55])
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    tip, tail, notch = np.array([[0, 0.62], [0.34, -0.5], [0, -0.25]]) * size
    for side, colour in ((1, INK), (-1, "white")):
        points = np.array([tip, [tail[0] * side, tail[1]], notch]) @ turn.T + centre
        axes.add_patch(Polygon(points, facecolor=colour, edgecolor=INK, linewidth=0.6, zorder=7))
    place = np.array([0, 1.0]) @ turn.T * size + centre
    axes.text(
        place[0], place[1], words("map.north"), ha="center", va="center", color=INK,
        fontproperties=sized(font, 8), path_effects=HALO, zorder=7,
    )  # fmt: skip
