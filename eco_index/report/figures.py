"""Charts of a report: headline indicators, composition, sub-indices, observations by month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from eco_index.report.png import figure_png
from eco_index.report.text import NO_VALUE, Words
from eco_index.summary import IndexValue, MonthQuality, Row

INK = "#26323a"
GREY = "#8b959b"
# Okabe-Ito colours: told apart with any colour vision.
BAR = "#3b7a57"
SECOND = "#0072b2"
WARN = "#d55e00"
WIDTH = 7.3  # inches: the text width of the page


@dataclass(frozen=True)
class Panel:
    """One indicator over all zones; `rows` has None where a zone has no row."""

    title: str
    unit: str
    rows: tuple[Row | None, ...]


@dataclass(frozen=True)
class Share:
    """One class of a composition over all zones."""

    title: str
    colour: str
    values: tuple[float | None, ...]


def sized(font: FontProperties, size: float) -> FontProperties:
    """Return the font at another size."""
    copy = font.copy()
    copy.set_size(size)
    return copy


def _clean(axes: Axes, font: FontProperties, *, grid: Literal["x", "y"] = "x") -> None:
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(side == ("left" if grid == "x" else "bottom"))
        axes.spines[side].set_color(GREY)
        axes.spines[side].set_linewidth(0.6)
    axes.grid(axis=grid, color="#e3e6e8", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=3, colors=INK)
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        label.set_fontproperties(sized(font, 7))


def _bar_height(n: int) -> float:
    return 0.24 if n <= 20 else 0.17


def headline_figure(
    panels: Sequence[Panel], zones: Sequence[str], words: Words, font: FontProperties
) -> bytes:
    """Draw bars of the headline indicators, one panel each, zones from top to bottom."""
    columns = min(len(panels), 2 if len(panels) in (2, 4) else 3)
    lines = -(-len(panels) // columns)
    each = 0.62 + _bar_height(len(zones)) * len(zones)
    figure = Figure(figsize=(WIDTH, each * lines + 0.3), facecolor="white", layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    size = 7 if len(zones) <= 20 else 5.5
    compared = any(r and r.previous is not None for p in panels for r in p.rows)
    for i, axes in enumerate(grid.flat):
        if i >= len(panels):
            axes.set_visible(False)
            continue
        panel = panels[i]
        shown = [v for r in panel.rows if r for v in (r.value, r.previous, *(r.interval or ()))]
        extent = [v for v in shown if v is not None]
        span = max([abs(v) for v in extent], default=1.0) or 1.0
        for y, row in enumerate(panel.rows):
            if row is None or row.value is None:
                axes.text(0, y, f" {NO_VALUE}", va="center", fontproperties=sized(font, size))
                continue
            axes.barh(y, row.value, height=0.62, color=BAR, linewidth=0)
            if row.interval:
                caps = "|" if row.interval_kind == "confidence" else None
                axes.plot(
                    row.interval, (y, y), color=INK, linewidth=0.9, solid_capstyle="butt",
                    marker=caps, markersize=4.5, markeredgewidth=0.9,
                )  # fmt: skip
            if row.previous is not None:
                axes.plot(
                    row.previous, y, marker="D", markersize=3.8, markerfacecolor="white",
                    markeredgecolor=INK, markeredgewidth=0.8, zorder=4,
                )  # fmt: skip
            end = max(row.value, row.previous or 0, *(row.interval or (0,)), 0)
            axes.text(
                end + span * 0.045, y, words.number(row.value, panel.unit), va="center",
                color=INK, fontproperties=sized(font, size),
            )  # fmt: skip
        axes.set_xlim(min([0.0, *extent]) * 1.15, span * 1.32)
        axes.set_ylim(len(zones) - 0.4, -0.6)
        axes.set_yticks(range(len(zones)), zones if i % columns == 0 else [""] * len(zones))
        axes.locator_params(axis="x", nbins=4)
        unit = words.unit(panel.unit)
        title = _wrap(panel.title, 17 if words.language == "zh" else 34)
        axes.set_title(
            f"{title} ({unit})" if unit else title,
            fontproperties=sized(font, 8), color=INK, loc="left", pad=5,
        )  # fmt: skip
        _clean(axes, font)
        for label in axes.get_yticklabels():
            label.set_fontproperties(sized(font, size + 0.5))
    if compared:
        handles = [
            Patch(facecolor=BAR),
            Line2D([], [], linestyle="", marker="D", markersize=3.8, markerfacecolor="white",
                   markeredgecolor=INK, markeredgewidth=0.8),
        ]  # fmt: skip
        figure.legend(
            handles, [words("chart.this_period"), words("chart.before")], frameon=False, ncols=2,
            loc="outside lower right", prop=sized(font, 7.5), handlelength=1.2,
        )  # fmt: skip
    return figure_png(figure)


def _wrap(text: str, width: int) -> str:
    """Break a title into lines; Chinese text may break anywhere, other text at spaces."""
    if len(text) <= width:
        return text
    if any("\u4e00" <= c <= "\u9fff" for c in text):
        return "\n".join(text[i : i + width] for i in range(0, len(text), width))
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def shares_figure(
    shares: Sequence[Share], zones: Sequence[str], words: Words, font: FontProperties
) -> bytes:
    """Draw the composition of each zone as one stacked bar (percent)."""
    columns = 5 if words.language == "zh" else 4
    legend = 0.16 * (-(-len(shares) // columns)) + 0.04
    height = 0.34 + _bar_height(len(zones)) * 1.25 * len(zones)
    figure = Figure(figsize=(WIDTH, height + legend), facecolor="white")
    total = height + legend
    axes = figure.add_axes((0.14, (legend + 0.24) / total, 0.84, (height - 0.3) / total))
    left = [0.0] * len(zones)
    for share in shares:
        values = [v or 0.0 for v in share.values]
        axes.barh(
            range(len(zones)), values, left=left, height=0.68, color=share.colour,
            edgecolor="white", linewidth=0.3,
        )  # fmt: skip
        left = [a + b for a, b in zip(left, values, strict=True)]
    for y in range(len(zones)):
        if all(s.values[y] is None for s in shares):
            axes.text(0.5, y, NO_VALUE, va="center", fontproperties=sized(font, 7))
    axes.set_xlim(0, 100)
    axes.set_ylim(len(zones) - 0.4, -0.6)
    axes.set_yticks(range(len(zones)), zones)
    ticks = range(0, 101, 20)
    axes.set_xticks(list(ticks), [f"{t}%" for t in ticks])
    _clean(axes, font)
    figure.legend(
        [Patch(facecolor=s.colour, edgecolor=INK, linewidth=0.3) for s in shares],
        [s.title for s in shares], loc="lower left", bbox_to_anchor=(0.01, 0), ncols=columns,
        frameon=False, prop=sized(font, 7), handlelength=1.2, handleheight=0.9,
        labelspacing=0.3, columnspacing=1.0, borderaxespad=0.1,
    )  # fmt: skip
    return figure_png(figure, keep=[s.colour for s in shares])


def sub_indices_figure(indices: Sequence[IndexValue], words: Words, font: FontProperties) -> bytes:
    """Draw the top sub-indices of an official index: one panel each, units from top to bottom."""
    # Without a weight it is no part of the sum: the restriction, which caps the index itself.
    tops = [s for s in indices[0].sub_indices if not s.parent and s.weight is not None][:6]
    units = [i.name.get(words.language) for i in indices]
    height = 0.55 + _bar_height(len(units)) * len(units)
    figure = Figure(figsize=(WIDTH, height), facecolor="white", layout="constrained")
    size = 7 if len(units) <= 20 else 5.5
    for column, (axes, top) in enumerate(
        zip(figure.subplots(1, len(tops), squeeze=False).flat, tops, strict=True)
    ):
        for y, index in enumerate(indices):
            found = [s for s in index.sub_indices if s.id == top.id]
            value = found[0].value if found else None
            if value is None:
                axes.text(2, y, NO_VALUE, va="center", fontproperties=sized(font, size))
                continue
            axes.barh(y, value, height=0.62, color=SECOND, linewidth=0)
            inside = value > 60
            axes.text(
                value + (-3 if inside else 3), y, words.number(value), va="center",
                ha="right" if inside else "left", color="white" if inside else INK,
                fontproperties=sized(font, size),
            )  # fmt: skip
        axes.set_xlim(0, 100)
        axes.set_xticks([0, 50, 100])
        axes.set_ylim(len(units) - 0.4, -0.6)
        axes.set_yticks(range(len(units)), units if column == 0 else [""] * len(units))
        width = (34 if words.language == "zh" else 62) // len(tops)
        axes.set_title(
            _wrap(words.name(top.title), width), loc="left", color=INK, pad=5,
            fontproperties=sized(font, 7.5),
        )  # fmt: skip
        _clean(axes, font)
    return figure_png(figure)


def months_figure(quality: Sequence[MonthQuality], words: Words, font: FontProperties) -> bytes:
    """Draw clear cover and the number of scenes (used, failed) of each month."""
    figure = Figure(figsize=(WIDTH, 2.1), facecolor="white", layout="constrained")
    cover, scenes = figure.subplots(1, 2)
    places = range(len(quality))
    for x, month in enumerate(quality):
        if month.observed_share is None:
            cover.text(x, 0, NO_VALUE, ha="center", va="bottom", fontproperties=sized(font, 7))
            continue
        share = 100 * month.observed_share
        cover.bar(x, share, width=0.62, color=SECOND, linewidth=0)
        cover.text(
            x, share + 1.5, f"{share:.0f}", ha="center", va="bottom", color=INK,
            fontproperties=sized(font, 7),
        )  # fmt: skip
    cover.set_ylim(0, 112)
    cover.set_xlim(-0.6, len(quality) - 0.4)
    cover.set_yticks([0, 25, 50, 75, 100], [f"{t}%" for t in (0, 25, 50, 75, 100)])
    used = [m.scenes for m in quality]
    failed = [m.failed_scenes for m in quality]
    scenes.bar(places, used, width=0.62, color=BAR, linewidth=0, label=words("chart.used"))
    scenes.bar(
        places, failed, bottom=used, width=0.62, color=WARN, linewidth=0, hatch="////",
        edgecolor="white", label=words("chart.failed"),
    )  # fmt: skip
    most = max([a + b for a, b in zip(used, failed, strict=True)], default=1)
    scenes.set_ylim(0, max(most, 1) * 1.35)
    scenes.yaxis.get_major_locator().set_params(integer=True)
    scenes.legend(
        frameon=False, ncols=2, loc="upper right", prop=sized(font, 7), handlelength=1.2,
        borderaxespad=0,
    )  # fmt: skip
    for axes, title in ((cover, "chart.observed"), (scenes, "chart.scenes")):
        axes.set_xticks(list(places), [m.month for m in quality])
        axes.set_title(words(title), loc="left", color=INK, fontproperties=sized(font, 8), pad=5)
        _clean(axes, font, grid="y")
        if len(quality) > 8:
            for label in axes.get_xticklabels():
                label.set_rotation(90)
    return figure_png(figure)
