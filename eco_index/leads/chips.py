"""Pictures of a lead before and after: vegetation cover and land cover, with its outline."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import shapely
from matplotlib import colormaps
from PIL import Image, ImageColor, ImageDraw, ImageFont

from eco_index.assessment.overview import COLOURS
from eco_index.grid import Grid
from eco_index.leads.again import window_of
from eco_index.leads.evidence import physical
from eco_index.leads.scan import Read, Window
from eco_index.ledger.parameters import LeadParameters
from eco_index.ledger.records import Lead
from eco_index.period import Period
from eco_index.products import LUCC, PRODUCTS
from eco_index.report.fonts import face_index, font_file
from eco_index.zones import ZoneLayer

PANEL = 330  # pixels of a picture's side
LEAST = 50  # pixels of the grid that a picture shows at least
GAP, EDGE, HEAD, CAPTION = 10, 12, 66, 24
INK, PAPER, NO_DATA = (32, 32, 32), (255, 255, 255), (215, 215, 211)
OBJECT, ZONE = (214, 0, 110), (20, 60, 200)


def draw_chip(
    path: Path,
    lead: Lead,
    read: Read,
    grid: Grid,
    periods: tuple[Period, Period],
    layers: Sequence[ZoneLayer],
    parameters: LeadParameters,
) -> None:
    """Write the picture of a lead: before on the left, after on the right (PNG, same bytes again).

    Parameters
    ----------
    path : Path
        File to write.
    lead : Lead
        Its newest footprint is outlined.
    read : callable
        Gives both periods.
    grid : Grid
        The region's grid.
    periods : tuple of Period
        The one before and the one after.
    layers : sequence of ZoneLayer
        Zones whose borders are drawn.
    parameters : LeadParameters
        Titles of the kinds.
    """
    shape = shapely.from_wkt(lead.latest.footprint)
    window = frame_of(shape, grid)
    width = 2 * EDGE + 2 * PANEL + GAP
    rows = 2 * (PANEL + CAPTION) + GAP
    present, arrays = _arrays(read, window, grid)
    legend = 30 + 20 * -(-len(present) // 2) + 6
    image = Image.new("RGB", (width, HEAD + rows + legend), PAPER)
    draw = ImageDraw.Draw(image)
    _head(draw, lead, parameters)
    borders = [s for layer in layers for s in layer.gdf.geometry]
    for column, (which, period) in enumerate(zip(("before", "after"), periods, strict=True)):
        for row, (zh, en) in enumerate(
            (("植被覆盖度", "vegetation cover"), ("地类", "land cover"))
        ):
            left, top = EDGE + column * (PANEL + GAP), HEAD + row * (PANEL + CAPTION + GAP)
            draw.text((left, top), f"{period.id}  {zh} {en}", INK, _font(14))
            panel = Image.fromarray(arrays[which, row]).resize(
                (PANEL, PANEL), Image.Resampling.NEAREST
            )
            pen = ImageDraw.Draw(panel)
            for border in borders:
                _outline(pen, border, window, grid, ZONE, 2)
            _outline(pen, shape, window, grid, OBJECT, 3)
            if (row, column) == (0, 0):
                _scale(pen, window, grid)
            image.paste(panel, (left, top + CAPTION))
            box = (left - 1, top + CAPTION - 1, left + PANEL, top + CAPTION + PANEL)
            draw.rectangle(box, outline=INK)
    _legend(image, draw, present, HEAD + rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    image.save(partial, format="PNG", optimize=True)
    partial.replace(path)


def frame_of(shape: shapely.Geometry, grid: Grid) -> Window:
    """Return the square a picture shows, the object in its middle; it may reach past the grid."""
    rows, cols = window_of(shape, grid)
    size = max(LEAST, round(1.7 * max(rows.stop - rows.start, cols.stop - cols.start)))
    top, left = ((s.start + s.stop - size) // 2 for s in (rows, cols))
    return slice(top, top + size), slice(left, left + size)


def _arrays(
    read: Read, window: Window, grid: Grid
) -> tuple[list[int], dict[tuple[str, int], np.ndarray]]:
    """Return the classes present, most frequent first, and RGB arrays by (period, picture)."""
    height, width = grid.shape
    rows, cols = (
        slice(max(0, s.start), max(0, min(n, s.stop)))
        for s, n in zip(window, (height, width), strict=True)
    )
    pad = [(rows.start - window[0].start, window[0].stop - rows.stop)]
    pad += [(cols.start - window[1].start, window[1].stop - cols.stop)]
    table = np.full((256, 3), NO_DATA, np.uint8)
    for code, colour in COLOURS.items():
        table[code] = ImageColor.getrgb(colour)
    counts = np.zeros(256, np.int64)
    out: dict[tuple[str, int], np.ndarray] = {}
    for which in ("before", "after"):
        fvc = physical("fvc", read(which, "fvc", (rows, cols)))
        land = read(which, "landcover", (rows, cols))
        counts += np.bincount(land.ravel(), minlength=256)[:256]
        fill = PRODUCTS["landcover"].fill or 0
        pictures = (
            _green(np.pad(fvc, pad, constant_values=np.nan)),
            table[np.pad(land, pad, constant_values=fill)],
        )
        for k, picture in enumerate(pictures):
            out[which, k] = np.ascontiguousarray(picture)
    counts[PRODUCTS["landcover"].fill or 0] = 0
    present = [int(c) for c in np.argsort(-counts, kind="stable")[:10] if counts[c]]
    return present, out


def _green(values: np.ndarray) -> np.ndarray:
    """Return vegetation cover 0-1 as RGB; grey where there is none."""
    rgb = colormaps["YlGn"](np.nan_to_num(values), bytes=True)[..., :3].copy()
    rgb[np.isnan(values)] = NO_DATA
    return np.asarray(rgb)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_file()), size, index=face_index())


def _head(draw: ImageDraw.ImageDraw, lead: Lead, parameters: LeadParameters) -> None:
    one, title = lead.latest, parameters.title_of(lead.latest.kind)
    width = 2 * PANEL + GAP
    draw.text((EDGE, 8), _fit(f"{lead.id}  {title.zh}  {title.en}", 17, width), INK, _font(17))
    if lead.missed is not None:
        draw.text((EDGE, 50), _fit(lead.missed.remark.zh, 11, width), OBJECT, _font(11))
    place = f"{one.county.name.zh}  " if one.county else ""
    numbers = f"{one.area_ha:.2f} ha  {one.lon:.5f}, {one.lat:.5f}  置信度 {one.confidence:.2f}"
    zones = _fit(
        "、".join(z.name.zh for z in one.zones), 12, width - 16 - _width(place + numbers, 12)
    )
    draw.text((EDGE, 34), f"{place}{zones}  {numbers}".strip(), INK, _font(12))


def _width(text: str, size: int) -> float:
    return float(_font(size).getlength(text))


def _fit(text: str, size: int, width: float) -> str:
    """Return a text cut to a width in pixels."""
    if _width(text, size) <= width:
        return text
    while text and _width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def _outline(
    pen: ImageDraw.ImageDraw,
    shape: shapely.Geometry,
    window: Window,
    grid: Grid,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    for ring in _rings(shape, window, grid):
        pen.line([(float(x), float(y)) for x, y in ring], fill=colour, width=width)


def _rings(shape: shapely.Geometry, window: Window, grid: Grid) -> Iterator[np.ndarray]:
    """Give the border lines of a shape within a window, in pixels of the picture."""
    rows, cols = window
    res = grid.resolution
    west, north = grid.bounds[0] + cols.start * res, grid.bounds[3] - rows.start * res
    size = (rows.stop - rows.start) * res
    near = shapely.box(west - size, north - 2 * size, west + 2 * size, north + size)
    if not shapely.intersects(shape, near):
        return
    lines = shapely.intersection(shapely.boundary(shape), near)
    scale = PANEL / size
    for line in shapely.get_parts(shapely.line_merge(lines)):
        points = shapely.get_coordinates(line)
        if len(points) > 1:
            yield np.column_stack([points[:, 0] - west, north - points[:, 1]]) * scale


def _scale(pen: ImageDraw.ImageDraw, window: Window, grid: Grid) -> None:
    metres = (window[0].stop - window[0].start) * grid.resolution
    target = metres / 4
    power = 10.0 ** np.floor(np.log10(target))
    length = max(step * power for step in (1, 2, 5) if step * power <= target)
    end = 10 + length / metres * PANEL
    y = PANEL - 12
    pen.rectangle((6, y - 22, end + 8, y + 6), fill=PAPER)
    pen.line((10, y, end, y), fill=INK, width=3)
    text = f"{length:g} m" if length < 1000 else f"{length / 1000:g} km"
    pen.text((10, y - 19), text, INK, _font(11))


def _legend(
    image: Image.Image, draw: ImageDraw.ImageDraw, present: Sequence[int], top: int
) -> None:
    ramp = _green(np.linspace(0, 1, 100, dtype=np.float32)[None].repeat(10, axis=0))
    y = top + 10
    image.paste(Image.fromarray(ramp), (EDGE, y + 3))
    draw.text((EDGE + 106, y - 1), "植被覆盖度 cover 0–1", INK, _font(12))
    x: float = EDGE + 250
    for colour, text in (
        (OBJECT, "线索 lead"),
        (ZONE, "保护区域 zone"),
        (NO_DATA, "无数据 no data"),
    ):
        draw.rectangle((x, y + 3, x + 14, y + 12), fill=colour, outline=INK)
        draw.text((x + 20, y - 1), text, INK, _font(12))
        x += 34 + draw.textlength(text, _font(12))
    for k, code in enumerate(present):
        x, y = EDGE + (k % 2) * (PANEL + GAP), top + 32 + 20 * (k // 2)
        draw.rectangle((x, y + 3, x + 14, y + 12), fill=COLOURS[code], outline=INK)
        name = LUCC[code][1]
        draw.text((x + 20, y - 1), f"{name.zh} {name.en}", INK, _font(12))
