"""Patches of a class map, block by block: connected pixels of one class, exact across borders.

Blocks come in row-major order of a tiling. In memory are one block and its labels, one row of
labels along the lower border, one column along the right border, and the table of patches. Numbers,
order and sums of the patches do not depend on the tiling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eco_index.errors import InputError, UsageError
from eco_index.indices.patch_kernels import join_block, label_block, resolve

VERSION = 1  # changes when results change

MAX_CODE = 65535
_COLUMNS = ("parent", "first", "pixels", "sides_x", "sides_y")


@dataclass(frozen=True)
class PatchTable:
    """Patches of a class map, numbered from 1 in the order of their first pixel (row by row).

    Attributes
    ----------
    id, cls, pixels, first : numpy.ndarray
        Number, class code, count of pixels, and position (row * width + column) of the first pixel.
    area_ha, perimeter_m : numpy.ndarray
        Area in ha; length in m of all sides towards other classes, no-data and the map's border
        (the definition of FRAGSTATS).
    classes : numpy.ndarray
        Class codes in ascending order.
    sides : numpy.ndarray
        int64 (2, class + 1, class + 1), symmetric: pixel sides between two classes, counted from
        both; [0] between left and right neighbours, [1] between upper and lower ones. Position 0
        is no-data and the outside, the others follow `classes`.
    class_pixels : numpy.ndarray
        int64 (class,).
    pixel_size : tuple of float
        (height, width) of a pixel in m.
    """

    id: np.ndarray
    cls: np.ndarray
    pixels: np.ndarray
    first: np.ndarray
    area_ha: np.ndarray
    perimeter_m: np.ndarray
    classes: np.ndarray
    sides: np.ndarray
    class_pixels: np.ndarray
    pixel_size: tuple[float, float]

    def __len__(self) -> int:
        return int(self.id.size)

    def of_class(self, code: int) -> np.ndarray:
        """Return the numbers of the patches of a class."""
        return self.id[self.cls == code]


@dataclass
class PatchScan:
    """Finds the patches of a map that arrives in blocks.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the whole map.
    classes : sequence of int
        Class codes that may occur, 0–65535.
    fill : int, optional
        Code of pixels without a value: part of no patch.
    pixel_size : tuple of float
        Height and width of a pixel in m (a projected, equal-area grid).
    neighbours : {8, 4}
        Whether pixels that touch at a corner belong together. The default follows FRAGSTATS.

    Raises
    ------
    UsageError
        A parameter outside its range, or blocks that do not tile the map in row-major order.
    InputError
        A map that is not of integers, or class codes that are not among `classes`.
    """

    shape: tuple[int, int]
    classes: Sequence[int]
    fill: int | None = None
    pixel_size: tuple[float, float] = (1.0, 1.0)
    neighbours: int = 8
    _starts: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        codes = np.unique(np.asarray(self.classes, np.int64))
        if self.neighbours not in (4, 8):
            raise UsageError(
                f"neighbours is {self.neighbours}", rule="4 or 8", fix="use 8, or 4 for sides only"
            )
        if not codes.size or codes[0] < 0 or codes[-1] > MAX_CODE or len(codes) > 4096:
            raise UsageError(
                f"{codes.size} class codes from {codes[:1]} to {codes[-1:]}",
                rule=f"1 to 4096 codes from 0 to {MAX_CODE}",
                fix="give the codes of the class map",
            )
        if not all(np.isfinite(s) and s > 0 for s in self.pixel_size):
            raise UsageError(
                f"pixel size {self.pixel_size}",
                rule="two positive lengths in m",
                fix="give height and width of a pixel of the projected grid",
            )
        if self.fill is not None and self.fill in codes:
            codes = codes[codes != self.fill]
        self._codes = codes
        # -1: not known; 0: no value; from 1: position among the classes
        self._slot = np.full(MAX_CODE + 1, -1, np.int16)
        self._slot[codes] = np.arange(1, codes.size + 1)
        if self.fill is not None and 0 <= self.fill <= MAX_CODE:
            self._slot[self.fill] = 0
        width = self.shape[1]
        self._n = 0
        self._store = {name: np.zeros(1024, np.int64) for name in _COLUMNS}
        self._store["slot"] = np.zeros(1024, np.int16)
        self._sides = np.zeros((2, codes.size + 1, codes.size + 1), np.int64)
        # one more at either end, so that corners need no special case
        self._above = np.full(width + 2, -1, np.int64)
        self._above_slot = np.zeros(width + 2, np.int16)
        self._below, self._below_slot = self._above.copy(), self._above_slot.copy()
        self._left, self._left_slot = np.zeros(0, np.int64), np.zeros(0, np.int16)
        self._y = self._x = self._height = 0
        self._final: np.ndarray | None = None
        self._table: PatchTable | None = None

    def add(self, block: np.ndarray) -> None:
        """Add the next block, to the right of the last one or at the start of the next row."""
        height, width = block.shape
        if self._x == 0:
            self._height = height
            self._left = np.full(height, -1, np.int64)
            self._left_slot = np.zeros(height, np.int16)
        fits = self._y + height <= self.shape[0] and self._x + width <= self.shape[1]
        if height != self._height or not fits or not block.size:
            raise UsageError(
                f"block of {height} x {width} pixels at row {self._y}, column {self._x}",
                rule=f"blocks tile a map of {self.shape[0]} x {self.shape[1]} in row-major order",
                fix="give whole rows of blocks of equal height, from the upper left",
            )
        slots = self._slots(block)
        labels, slot, first, pixels, sides_x, sides_y = label_block(
            slots, self.neighbours == 8, self._sides
        )
        start, count = self._n, slot.size
        self._grow(start + count)
        store = self._store
        new = slice(start, start + count)
        store["parent"][new] = np.arange(start, start + count)
        rows, columns = np.divmod(first, width)
        store["first"][new] = (rows + self._y) * self.shape[1] + columns + self._x
        store["pixels"][new], store["slot"][new] = pixels, slot
        store["sides_x"][new], store["sides_y"][new] = sides_x, sides_y
        x = self._x
        join_block(
            labels,
            slots,
            start,
            self._above[x : x + width + 2],
            self._above_slot[x : x + width + 2],
            self._left,
            self._left_slot,
            self.neighbours == 8,
            store["parent"],
            store["sides_x"],
            store["sides_y"],
            self._sides,
        )
        self._starts[self._y, x] = start
        inner = slice(x + 1, x + 1 + width)
        self._below[inner] = np.where(labels[-1] >= 0, labels[-1] + np.int64(start), -1)
        self._below_slot[inner] = slots[-1]
        self._left = np.where(labels[:, -1] >= 0, labels[:, -1] + np.int64(start), -1)
        self._left_slot = slots[:, -1].copy()
        self._n += count
        self._x += width
        if self._x == self.shape[1]:
            self._close(self._left, self._left_slot, 0)
            self._x = 0
            self._y += height
            self._above, self._below = self._below, self._above
            self._above_slot, self._below_slot = self._below_slot, self._above_slot
            if self._y == self.shape[0]:
                self._close(self._above[1:-1], self._above_slot[1:-1], 1)

    def table(self) -> PatchTable:
        """Return the patches, once all blocks have been added."""
        if self._y != self.shape[0]:
            raise UsageError(
                f"the blocks end at row {self._y}, column {self._x}",
                rule=f"blocks tile the whole map of {self.shape[0]} x {self.shape[1]}",
                fix="add the missing blocks",
            )
        if self._table is not None:
            return self._table
        n, store = self._n, self._store
        final, order = resolve(store["parent"][:n], store["first"][:n])
        self._final = final
        del store["parent"]
        size = order.size

        def sums(name: str) -> np.ndarray:
            out = np.zeros(size, np.int64)
            np.add.at(out, final, store.pop(name)[:n])  # let go of: millions of patches are large
            return out

        pixels, sides_x, sides_y = sums("pixels"), sums("sides_x"), sums("sides_y")
        slot = store.pop("slot")[order]
        class_pixels = np.zeros(self._codes.size, np.int64)
        np.add.at(class_pixels, slot - 1, pixels)
        dy, dx = self.pixel_size
        self._table = PatchTable(
            id=np.arange(1, size + 1),
            cls=self._codes[slot - 1],
            pixels=pixels,
            first=store.pop("first")[order],
            area_ha=pixels * (dy * dx / 10000.0),
            perimeter_m=sides_x * dy + sides_y * dx,
            classes=self._codes,
            sides=self._sides.copy(),
            class_pixels=class_pixels,
            pixel_size=(float(dy), float(dx)),
        )
        return self._table

    def labels(self, block: np.ndarray, row: int, column: int) -> np.ndarray:
        """Return the patch numbers (int64, 0 = none) of a block given before, by its corner.

        Labels are not kept: the block is labelled again and its numbers are looked up.
        """
        if self._final is None:
            self.table()
        if (row, column) not in self._starts or self._final is None:
            raise UsageError(
                f"no block was given at row {row}, column {column}",
                rule="second pass over the same blocks",
                fix="use the tiling of the first pass",
            )
        labels, slot, *_ = label_block(
            self._slots(block), self.neighbours == 8, np.zeros_like(self._sides)
        )
        start = self._starts[row, column]
        numbers = np.zeros(slot.size + 1, np.int64)
        numbers[:-1] = self._final[start : start + slot.size] + 1
        return np.asarray(numbers[labels])  # label -1 takes the last entry: 0

    def _slots(self, block: np.ndarray) -> np.ndarray:
        if block.dtype.kind not in "iu":
            raise InputError(
                f"the class map is of type {block.dtype}",
                rule="integer class codes; no-data is a code of its own (fill)",
                fix="store the map as uint8 or uint16 with a fill value",
            )
        fits = (block >= 0) & (block <= MAX_CODE) if block.dtype.kind == "i" else None
        if block.dtype.itemsize > 2 or fits is not None:
            inside = np.clip(block, 0, MAX_CODE)
            slots = self._slot[inside]
            slots[block != inside] = -1
            if self.fill is not None:
                slots[block == self.fill] = 0
        else:
            slots = self._slot[block]
        if slots.min() < 0:
            codes, counts = np.unique(block[slots < 0], return_counts=True)
            text = ", ".join(f"{c} ({k} pixels)" for c, k in zip(codes, counts, strict=True))
            raise InputError(
                f"unknown class codes: {text}",
                rule=f"one of {self._codes[:40].tolist()}"
                + ("" if self.fill is None else f", or {self.fill} for no-data"),
                fix="name every class of the map, or map the code with a crosswalk",
            )
        return np.asarray(slots)

    def _grow(self, size: int) -> None:
        for name, old in self._store.items():
            if size > old.size:
                new = np.zeros(max(size, old.size + old.size // 4), old.dtype)
                new[: self._n] = old[: self._n]
                self._store[name] = new

    def _close(self, labels: np.ndarray, slots: np.ndarray, axis: int) -> None:
        """Count the sides along the right (0) or lower (1) border of the map."""
        inside = labels >= 0
        np.add.at(self._store["sides_y" if axis else "sides_x"], labels[inside], 1)
        counts = np.bincount(slots[inside], minlength=self._codes.size + 1)
        self._sides[axis, :, 0] += counts
        self._sides[axis, 0, :] += counts


def blocks_of(array: Any, block: int = 2048) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield (row, column, NumPy block) in row-major order: a Dask array's chunks, one at a time.

    Parameters
    ----------
    array : numpy.ndarray, dask.array.Array or xarray.DataArray
        (height, width).
    block : int
        Side of the blocks of arrays without chunks.
    """
    data = getattr(array, "data", array) if hasattr(array, "dims") else array
    if getattr(data, "ndim", 0) != 2:
        raise InputError(
            f"the class map has the shape {getattr(data, 'shape', None)}",
            rule="two dimensions (rows, columns)",
            fix="select one date and one band",
        )
    chunks = getattr(data, "chunks", None) or tuple(
        tuple(min(block, n - at) for at in range(0, n, block)) for n in data.shape
    )
    row = 0
    for height in chunks[0]:
        column = 0
        for width in chunks[1]:
            yield (
                row,
                column,
                np.asarray(data[row : row + height, column : column + width]),
            )
            column += width
        row += height


def find_patches(
    array: Any,
    classes: Sequence[int],
    *,
    fill: int | None = None,
    pixel_size: tuple[float, float] = (1.0, 1.0),
    neighbours: int = 8,
    block: int = 2048,
) -> PatchTable:
    """Return the patches of a class map held by NumPy, Dask or xarray; see `PatchScan`.

    Reference: HJ 1171-2021, number of patches and mean patch area; patch rules as in FRAGSTATS.
    """
    shape = (int(array.shape[0]), int(array.shape[1])) if len(array.shape) == 2 else (0, 0)
    scan = PatchScan(shape, classes, fill, pixel_size, neighbours)
    for _, _, part in blocks_of(array, block):
        scan.add(part)
    return scan.table()
