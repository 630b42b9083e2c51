"""Maps of a report: overview raster with colour bar or legend, outlines, scale, north."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Patch

from eco_index.errors import InputError
from eco_index.report.map_input import Outlines, Raster, is_wide
from eco_index.report.map_marks import HALO, INK, draw_outlines, north_arrow, scale_bar, sized
from eco_index.report.png import figure_png
from eco_index.report.text import Words
from eco_index.summary import MapLayer

# Sequential or diverging, readable with any colour vision and in grey print.
PALETTES = {
    "vegetation": "YlGn",
    "change": "BrBG",
    "diverging": "BrBG",
    "count": "cividis",
    "observations": "cividis",
    "index": "viridis",
}
DIVERGING = ("BrBG", "RdBu", "PuOr", "PRGn")
NO_DATA = "#d7d7d3"
STAMP, STAMP_EDGE = "#b3261e", "#d9928e"


def map_figure(
    layer: MapLayer,
    raster: Raster,
    outlines: Outlines,
    words: Words,
    font: FontProperties,
    stamp: str = "",
) -> bytes:
    """Draw one map.

    Parameters
    ----------
    layer : MapLayer
        Title, colours, limits.
    raster : Raster
        From `read_raster` of the layer's file.
    outlines : Outlines
        Zones on the same CRS.
    words : Words
        Language.
    font : matplotlib.font_manager.FontProperties
        A font with all needed glyphs.
    stamp : str
        Written over the map's corner, for example that the data are simulated.

    Returns
    -------
    bytes
        PNG, the same bytes for the same input.
    """
    height, width = raster.values.shape
    inches = 7.2 if is_wide(raster) else 3.7
    map_height = inches * height / width
    # Legends of classes get rows below the map; a colour bar needs one.
    classes = _present(layer, raster)
    columns = 5 if is_wide(raster) else 3
    has_gaps = bool(np.ma.getmaskarray(raster.values).any())
    entries = len(classes) + has_gaps
    rows = math.ceil(entries / columns) if layer.kind == "classes" else 0
    below = 0.1 + 0.19 * rows if layer.kind == "classes" else 0.62
    figure = Figure(figsize=(inches, map_height + below), facecolor="white")
    share = map_height / (map_height + below)
    axes = figure.add_axes((0.005, 1 - share, 0.99, share * 0.995))
    axes.set_facecolor(NO_DATA)
    left, right, bottom, top = raster.extent
    if layer.kind == "classes":
        _draw_classes(axes, layer, raster)
    else:
        _draw_continuous(figure, axes, layer, raster, words, font, has_gaps, below)
    draw_outlines(axes, outlines, font)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
        spine.set_edgecolor(INK)
    scale_bar(axes, raster, words, font)
    north_arrow(axes, raster, words, font)
    if stamp:
        axes.text(
            0.015, 0.985, stamp, transform=axes.transAxes, ha="left", va="top", color=STAMP,
            fontproperties=sized(font, 9), path_effects=HALO, zorder=9,
        )  # fmt: skip
    if layer.kind == "classes":
        handles = [Patch(facecolor=c.colour, edgecolor=INK, linewidth=0.4) for c in classes]
        labels = [words.name(c.title) for c in classes]
        if has_gaps:
            handles.append(Patch(facecolor=NO_DATA, edgecolor=INK, linewidth=0.4))
            labels.append(words("map.no_data"))
        figure.legend(
            handles, labels, loc="lower left", ncols=columns, frameon=False,
            prop=sized(font, 7.5), bbox_to_anchor=(0.0, 0.0), handlelength=1.3,
            handleheight=0.9, columnspacing=1.0, labelspacing=0.35, borderaxespad=0.2,
        )  # fmt: skip
    keep = [c.colour for c in classes]
    if layer.kind == "continuous":
        # The whole colour bar, also where the map itself has no such value.
        keep = [to_hex(c) for c in palette(layer.palette)(np.linspace(0, 1, 160))]
    return figure_png(figure, keep=[INK, STAMP, STAMP_EDGE, NO_DATA, "#ffffff", *keep])


def _present(layer: MapLayer, raster: Raster) -> list[Any]:
    if layer.kind != "classes":
        return []
    codes = set(np.unique(raster.values.compressed()).tolist())
    unknown = sorted(codes - {c.code for c in layer.classes})
    if unknown:
        raise InputError(
            f"the map '{layer.id}' holds classes that its legend does not explain: {unknown[:5]}",
            where=layer.path,
            rule="every class on a map has a title and a colour in the summary",
        )
    return [c for c in layer.classes if c.code in codes]


def _draw_classes(axes: Axes, layer: MapLayer, raster: Raster) -> None:
    ordered = sorted(layer.classes, key=lambda c: c.code)
    codes = [c.code for c in ordered]
    colours = ListedColormap([c.colour for c in ordered])
    limits = [codes[0] - 0.5, *(c + 0.5 for c in codes)]
    norm = BoundaryNorm(limits, colours.N)
    axes.imshow(
        raster.values, cmap=colours, norm=norm, extent=raster.extent, interpolation="nearest"
    )


def palette(name: str) -> Colormap:
    """Return the colours of a palette.

    Raises
    ------
    InputError
        There is no palette of that name.
    """
    try:
        return colormaps[PALETTES.get(name, name)]
    except KeyError:
        raise InputError(
            f"there is no map palette '{name}'", rule=f"palettes: {', '.join(sorted(PALETTES))}"
        ) from None


def limits_of(layer: MapLayer, raster: Raster) -> tuple[float, float]:
    """Return the colour limits: the layer's own, else the data's (symmetric if diverging)."""
    if layer.limits is not None:
        return layer.limits
    valid = raster.values.compressed()
    if not valid.size:
        return 0.0, 1.0
    low, high = float(valid.min()), float(valid.max())
    if palette(layer.palette).name in DIVERGING:
        high = max(abs(low), abs(high), 1e-6)
        return -high, high
    return (low, high) if high > low else (low, low + 1)


def _draw_continuous(
    figure: Figure,
    axes: Axes,
    layer: MapLayer,
    raster: Raster,
    words: Words,
    font: FontProperties,
    has_gaps: bool,
    below: float,
) -> None:
    low, high = limits_of(layer, raster)
    image = axes.imshow(
        raster.values.astype(np.float64), cmap=palette(layer.palette), vmin=low, vmax=high,
        extent=raster.extent, interpolation="nearest",
    )  # fmt: skip
    total = figure.get_figheight()
    bar = figure.add_axes((0.045, (below - 0.2) / total, 0.52, 0.1 / total))
    valid = raster.values.compressed()
    under, over = bool((valid < low).any()), bool((valid > high).any())
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[(under, over)]
    colourbar = figure.colorbar(image, cax=bar, orientation="horizontal", extend=extend)
    colourbar.outline.set_linewidth(0.5)
    bar.tick_params(length=2, width=0.5, pad=2)
    unit = words.unit(layer.units)
    label = words.name(layer.title) + (f" ({unit})" if unit else "")
    bar.set_xlabel(label, fontproperties=sized(font, 7.5), labelpad=2)
    for tick in bar.get_xticklabels():
        tick.set_fontproperties(sized(font, 7))
    if has_gaps:
        figure.legend(
            [Patch(facecolor=NO_DATA, edgecolor=INK, linewidth=0.4)], [words("map.no_data")],
            loc="upper right", bbox_to_anchor=(0.995, (below - 0.06) / total), frameon=False,
            prop=sized(font, 7.5), borderaxespad=0, handlelength=1.3, handleheight=0.9,
        )  # fmt: skip
