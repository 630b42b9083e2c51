"""Overview rasters for maps: the grid thinned to at most about 1000 pixels, tile by tile.

Blocks are counted from the grid's corner and sums are integers: no value depends on the tiling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from affine import Affine

from eco_index.grid import Grid, Tile
from eco_index.period import Period
from eco_index.products import LUCC, PRODUCTS
from eco_index.summary import MapClass, MapLayer
from eco_index.yamlio import Text

LARGEST = 1000  # pixels of the longer side
MARGIN = 0.03  # of the longer side, around the zones

#: Map colours of the LUCC classes.
COLOURS: dict[int, str] = {
    11: "#f2c14e", 12: "#f6dd8f", 21: "#14613a", 22: "#4f8f5b", 23: "#7fae6f", 24: "#a6bf5a",
    31: "#6fb34a", 32: "#a9d178", 33: "#d9eab3", 41: "#1f78b4", 42: "#3a8fd0", 43: "#6db7e8",
    44: "#e6f3fb", 45: "#9fd3d6", 46: "#b9dcd0", 51: "#c1272d", 52: "#e06b5f", 53: "#8c3b6e",
    61: "#f5e6a8", 62: "#cfc3ad", 63: "#efe9f4", 64: "#5aa6a0", 65: "#d9b38c", 66: "#a39a92",
    67: "#c9c9c9",
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """The part of the grid that maps show, in blocks of `step` x `step` pixels.

    Attributes
    ----------
    step : int
        Pixels of a block's side.
    row, col, height, width : int
        First block and number of blocks.
    rows, columns : int
        Pixels of the whole grid: its edge cuts the last blocks.
    """

    step: int
    row: int
    col: int
    height: int
    width: int
    rows: int
    columns: int

    @classmethod
    def around(cls, grid: Grid, bounds: tuple[float, float, float, float]) -> Frame:
        """Return the frame around a box (grid CRS, m), cut at the grid's edge."""
        xmin, ymin, xmax, ymax = bounds
        margin = MARGIN * max(xmax - xmin, ymax - ymin)
        rows, columns = grid.shape
        res = grid.resolution
        y0 = max(0, math.floor((grid.bounds[3] - ymax - margin) / res))
        y1 = min(rows, math.ceil((grid.bounds[3] - ymin + margin) / res))
        x0 = max(0, math.floor((xmin - margin - grid.bounds[0]) / res))
        x1 = min(columns, math.ceil((xmax + margin - grid.bounds[0]) / res))
        step = max(1, math.ceil(max(y1 - y0, x1 - x0) / LARGEST))
        row, col = y0 // step, x0 // step
        height, width = -(-y1 // step) - row, -(-x1 // step) - col
        return cls(step, row, col, height, width, rows, columns)

    def transform(self, grid: Grid) -> Affine:
        return (
            grid.transform
            @ Affine.translation(self.col * self.step, self.row * self.step)
            @ Affine.scale(self.step)
        )

    def part(self, tile: Tile) -> tuple[slice, slice] | None:
        """Return the rows and columns of a tile's array that lie in the frame, None for none."""
        y0, y1 = self.row * self.step, (self.row + self.height) * self.step
        x0, x1 = self.col * self.step, (self.col + self.width) * self.step
        rows = slice(max(tile.y0, y0) - tile.y0, min(tile.y1, y1) - tile.y0)
        columns = slice(max(tile.x0, x0) - tile.x0, min(tile.x1, x1) - tile.x0)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        return rows, columns


class MeanMap:
    """Mean of stored values over each block, ignoring missing ones."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.total = np.zeros((frame.height, frame.width), np.int64)
        self.count = np.zeros((frame.height, frame.width), np.int64)

    def add(self, tile: Tile, values: np.ndarray, valid: np.ndarray) -> None:
        """Add a tile's stored integers; `valid` says which of them count."""
        part = self.frame.part(tile)
        if part is None:
            return
        rows, columns = part
        first_y = np.arange(tile.y0 + rows.start, tile.y0 + rows.stop) // self.frame.step
        first_x = np.arange(tile.x0 + columns.start, tile.x0 + columns.stop) // self.frame.step
        cuts_y = np.flatnonzero(np.r_[True, np.diff(first_y) > 0])
        cuts_x = np.flatnonzero(np.r_[True, np.diff(first_x) > 0])
        into = np.ix_(first_y[cuts_y] - self.frame.row, first_x[cuts_x] - self.frame.col)
        inner = valid[part]
        for table, array in (
            (self.total, np.where(inner, values[part], 0).astype(np.int64)),
            (self.count, inner.astype(np.int64)),
        ):
            table[into] += np.add.reduceat(np.add.reduceat(array, cuts_y, axis=0), cuts_x, axis=1)

    def values(self, scale: float) -> np.ndarray:
        """Return float32 physical means; NaN where no pixel of the block has a value."""
        out = np.full(self.total.shape, np.nan, np.float32)
        np.divide(self.total * scale, self.count, out=out, where=self.count > 0, casting="unsafe")
        return out


class ClassMap:
    """The class of each block's middle pixel (its last one where the grid's edge cuts it off)."""

    def __init__(self, frame: Frame, fill: int) -> None:
        self.frame = frame
        self.codes = np.full((frame.height, frame.width), fill, np.uint8)

    def add(self, tile: Tile, values: np.ndarray) -> None:
        """Add a tile's class codes."""
        part = self.frame.part(tile)
        if part is None:
            return
        step = self.frame.step
        y = np.arange(tile.y0 + part[0].start, tile.y0 + part[0].stop)
        x = np.arange(tile.x0 + part[1].start, tile.x0 + part[1].stop)
        y, x = y[self._chosen(y, self.frame.rows)], x[self._chosen(x, self.frame.columns)]
        if y.size and x.size:
            into = np.ix_(y // step - self.frame.row, x // step - self.frame.col)
            self.codes[into] = values[np.ix_(y - tile.y0, x - tile.x0)]

    def _chosen(self, at: np.ndarray, size: int) -> np.ndarray:
        middle = self.frame.step // 2
        cut = (at == size - 1) & (at % self.frame.step < middle)
        return (at % self.frame.step == middle) | cut


class Overview:
    """All maps of an assessment."""

    def __init__(self, grid: Grid, frame: Frame, landcover: bool, compared: bool) -> None:
        self.grid, self.frame = grid, frame
        self.means = {name: MeanMap(frame) for name in ("fvc", "clear_count")}
        self.change = MeanMap(frame) if compared else None
        names = ("landcover", "forest") if landcover else ()
        self.classes = {n: ClassMap(frame, int(PRODUCTS[n].fill or 0)) for n in names}

    @property
    def products(self) -> tuple[str, ...]:
        return (*self.means, *self.classes)

    def add(
        self,
        tile: Tile,
        now: Mapping[str, np.ndarray],
        before: Mapping[str, np.ndarray] | None,
    ) -> None:
        """Add a tile's stored arrays of this period and the one compared with."""
        fill = PRODUCTS["fvc"].fill
        self.means["fvc"].add(tile, now["fvc"], now["fvc"] != fill)
        counts = now["clear_count"]
        self.means["clear_count"].add(tile, counts, np.ones(counts.shape, bool))
        for name, layer in self.classes.items():
            layer.add(tile, now[name])
        if self.change is not None and before is not None:
            both = (now["fvc"] != fill) & (before["fvc"] != fill)
            difference = now["fvc"].astype(np.int32) - before["fvc"].astype(np.int32)
            self.change.add(tile, difference, both)

    def write(self, folder: Path, compared: Period | None) -> tuple[MapLayer, ...]:
        """Write the rasters into ``folder/maps`` and return what the summary says of them."""
        (folder / "maps").mkdir(parents=True, exist_ok=True)
        layers = [
            self._continuous(folder, "fvc", PRODUCTS["fvc"].title, (0.0, 1.0), "vegetation"),
        ]
        if self.change is not None and compared is not None:
            title = Text(
                zh=f"植被覆盖度变化（与{compared.zh}相比）",
                en=f"change of vegetation cover since {compared.id}",
            )
            self._write(folder, "fvc_change", self.change.values(1e-4), float("nan"))
            layers.append(map_layer("fvc_change", title, "continuous", (-0.5, 0.5), "change"))
        for name, layer in self.classes.items():
            product = PRODUCTS[name]
            self._write(folder, name, layer.codes, int(product.fill or 0))
            found = set(np.unique(layer.codes).tolist())
            colours = COLOURS if name == "landcover" else {0: "#eceae4", 1: "#14613a"}
            titles = (
                {c: t for c, (_, t) in LUCC.items()}
                if name == "landcover"
                else {c: t for c, (_, t) in product.flags.items()}
            )
            layers.append(
                MapLayer(
                    id=name,
                    title=product.title,
                    path=f"maps/{name}.tif",
                    kind="classes",
                    classes=tuple(
                        MapClass(code=c, title=titles[c], colour=colours[c])
                        for c in titles
                        if c in found
                    ),
                )
            )
        layers.append(
            self._continuous(folder, "clear_count", PRODUCTS["clear_count"].title, None, "count")
        )
        return tuple(layers)

    def _continuous(
        self,
        folder: Path,
        name: str,
        title: Text,
        limits: tuple[float, float] | None,
        palette: str,
    ) -> MapLayer:
        self._write(folder, name, self.means[name].values(PRODUCTS[name].scale), float("nan"))
        return map_layer(name, title, "continuous", limits, palette)

    def _write(self, folder: Path, name: str, values: np.ndarray, nodata: float) -> None:
        write_map(folder, name, values, nodata, self.grid, self.frame)


def write_map(
    folder: Path, name: str, values: np.ndarray, nodata: float, grid: Grid, frame: Frame
) -> None:
    """Write an overview as ``folder/maps/<name>.tif``."""
    with rasterio.open(
        folder / "maps" / f"{name}.tif",
        "w",
        driver="GTiff",
        width=values.shape[1],
        height=values.shape[0],
        count=1,
        dtype=values.dtype,
        crs=grid.crs.to_wkt(),
        transform=frame.transform(grid),
        nodata=nodata,
        compress="deflate",
    ) as target:
        target.write(values, 1)


def map_layer(
    name: str,
    title: Text,
    kind: Literal["continuous", "classes"],
    limits: tuple[float, float] | None,
    palette: str,
) -> MapLayer:
    """Return what the summary says of an overview written with `write_map`."""
    return MapLayer(
        id=name,
        title=title,
        path=f"maps/{name}.tif",
        kind=kind,
        limits=limits,
        palette=palette,
    )
