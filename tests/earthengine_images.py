"""Computed images of the loopback service: lazily evaluated on the pixel grid that is asked for.

Written on its own, after the client's reference of each operation: places are projected exactly
for every pixel (no lattice), sampling is done with whole arrays. Operations are looked up by name;
what is not listed is refused by the caller.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from pyproj import CRS, Transformer


class Refused(Exception):
    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class PixelGrid:
    crs: str
    affine: Affine
    width: int
    height: int

    @classmethod
    def of_request(cls, grid: dict[str, Any]) -> PixelGrid:
        t = {**dict.fromkeys(("shearX", "shearY"), 0.0), **grid["affineTransform"]}
        names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
        size = grid["dimensions"]
        crs = grid.get("crsCode") or grid["crsWkt"]
        return cls(crs, Affine(*(t[n] for n in names)), size["width"], size["height"])

    def positions_in(self, other: PixelGrid) -> tuple[np.ndarray, np.ndarray]:
        """Columns and rows, in pixels of another grid, of this grid's pixel centres."""
        col, row = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        x, y = self.affine @ (col, row)
        transformer = _transformer(self.crs, other.crs)
        if transformer is not None:
            x, y = transformer.transform(x, y)
        return ~other.affine @ (x, y)

    def padded(self) -> PixelGrid:
        shifted = self.affine @ Affine.translation(-1, -1)
        return PixelGrid(self.crs, shifted, self.width + 2, self.height + 2)


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Transformer | None:
    a, b = CRS.from_user_input(source), CRS.from_user_input(target)
    return (
        None if a.equals(b, ignore_axis_order=True) else Transformer.from_crs(a, b, always_xy=True)
    )


Pixels = tuple[np.ndarray, np.ndarray]  # values, and where there are any


class Band:
    """Pixels on any grid (computed once for each), and the grid of its own, if it has one."""

    def __init__(self, at: Callable[[PixelGrid], Pixels], native: PixelGrid | None = None) -> None:
        self.at, self.native = lru_cache(maxsize=4)(at), native


class ArrayBand(Band):
    """A band whose pixels are arrays: values of shape (height, width, length, 1)."""


Image = dict[str, Band]  # a computed image: bands by name, in order


@lru_cache(maxsize=64)
def _file(path: str, _changed: int) -> tuple[PixelGrid, np.ndarray]:
    with rasterio.open(path) as file:
        return PixelGrid(file.crs.to_wkt(), file.transform, file.width, file.height), file.read(1)


def stored_band(path: Any, masked: float | None) -> Band:
    """A file as the service holds it: nearest pixel, masked outside and at one stored value."""
    native, data = _file(str(path), os.stat(path).st_mtime_ns)

    def at(grid: PixelGrid) -> Pixels:
        _refuse_reduced_copies(grid, native)
        u, v = grid.positions_in(native)
        col, row = np.floor(u).astype(int), np.floor(v).astype(int)
        inside = (col >= 0) & (row >= 0) & (col < native.width) & (row < native.height)
        values = data[np.clip(row, 0, native.height - 1), np.clip(col, 0, native.width - 1)]
        return values, inside & (True if masked is None else values != masked)

    return Band(at, native)


def _refuse_reduced_copies(grid: PixelGrid, native: PixelGrid) -> None:
    u, v = PixelGrid(grid.crs, grid.affine, 2, 2).positions_in(native)
    if max(np.hypot(*(np.diff(p, axis=k)[0, 0] for p in (u, v))) for k in (0, 1)) > 1.9:
        raise Refused("unknown operation: reduced copies of images (pyramids)")


def constant(value: float) -> Image:
    number = np.int64(value) if float(value).is_integer() and isinstance(value, int) else value

    def at(grid: PixelGrid) -> Pixels:
        shape = (grid.height, grid.width)
        return np.full(shape, number), np.ones(shape, bool)

    return {"constant": Band(at)}


def unmasked(band: Band, value: float, same_footprint: bool) -> Band:
    def at(grid: PixelGrid) -> Pixels:
        values, valid = band.at(grid)
        if same_footprint:
            raise Refused("unknown operation: 'Image.unmask' within the footprint, computed")
        wide = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        return np.where(valid, wide, value), np.ones_like(valid)

    return Band(at, band.native)


def _single(image: Image, name: str) -> Band:
    if len(image) != 1:
        raise Refused(f"operation '{name}': only with images of one band here")
    band = next(iter(image.values()))
    if isinstance(band, ArrayBand):
        raise Refused(f"operation '{name}': pixels that are arrays are not known here")
    return band


def pairwise(name: str, formula: Callable[[Any, Any], Any]) -> Callable[..., Image]:
    def operation(first: Image, second: Image) -> Image:
        a, b = _single(first, name), _single(second, name)

        def at(grid: PixelGrid) -> Pixels:
            (x, x_valid), (y, y_valid) = a.at(grid), b.at(grid)
            return formula(_wide(x), _wide(y)), x_valid & y_valid

        return {next(iter(first)): Band(at, a.native or b.native)}

    return operation


def each(formula: Callable[[Any], Any]) -> Callable[..., Image]:
    def changed(band: Band) -> Band:
        if isinstance(band, ArrayBand):
            raise Refused("pixels that are arrays are not known to this operation here")

        def at(grid: PixelGrid) -> Pixels:
            values, valid = band.at(grid)
            return formula(_wide(values)), valid

        return Band(at, band.native)

    return lambda image: {name: changed(band) for name, band in image.items()}


def _wide(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if not np.all(b):
        raise Refused("operation 'Image.divide': by zero, which the service masks")
    return a / b


def _integer(kind: str) -> Callable[[np.ndarray], np.ndarray]:
    span = np.iinfo(kind)
    return lambda a: np.clip(np.trunc(a), span.min, span.max).astype(kind)


PAIRWISE = {
    "Image.add": np.add,
    "Image.subtract": np.subtract,
    "Image.multiply": np.multiply,
    "Image.divide": _quotient,
    "Image.max": np.maximum,
    "Image.min": np.minimum,
    "Image.bitwiseAnd": np.bitwise_and,
    "Image.eq": lambda a, b: (a == b).astype("uint8"),
    "Image.neq": lambda a, b: (a != b).astype("uint8"),
    "Image.gt": lambda a, b: (a > b).astype("uint8"),
    "Image.gte": lambda a, b: (a >= b).astype("uint8"),
    "Image.lte": lambda a, b: (a <= b).astype("uint8"),
    "Image.and": lambda a, b: ((a != 0) & (b != 0)).astype("uint8"),
    "Image.or": lambda a, b: ((a != 0) | (b != 0)).astype("uint8"),
}
EACH = {
    "Image.abs": np.abs,
    "Image.floor": np.floor,
    "Image.signum": np.sign,
    "Image.not": lambda a: (a == 0).astype("uint8"),
    "Image.toDouble": lambda a: a.astype("float64"),
    "Image.toInt16": _integer("int16"),
    "Image.toInt32": _integer("int32"),
    "Image.toUint16": _integer("uint16"),
}


def where(image: Image, test: Image, value: Image) -> Image:
    a, t, b = (_single(i, "Image.where") for i in (image, test, value))

    def at(grid: PixelGrid) -> Pixels:
        (x, x_valid), (c, c_valid), (y, y_valid) = a.at(grid), t.at(grid), b.at(grid)
        taken = c_valid & (c != 0) & y_valid
        return np.where(taken, y, x), x_valid

    return {next(iter(image)): Band(at, a.native)}


def add_bands(image: Image, other: Image) -> Image:
    if set(image) & set(other):
        raise Refused(f"operation 'Image.addBands': bands twice: {sorted(set(image) & set(other))}")
    return image | other


def rename(image: Image, names: list[str]) -> Image:
    return dict(zip(names, image.values(), strict=True))


def resample(image: Image, mode: str) -> Image:
    """Bilinear between pixel centres of the native grid; masked where one with weight is masked."""
    if mode != "bilinear":
        raise Refused(f"operation 'Image.resample': unknown mode '{mode}'")

    def changed(band: Band) -> Band:
        native = band.native
        if native is None:
            raise Refused("operation 'Image.resample': the image has no projection of its own")

        def at(grid: PixelGrid) -> Pixels:
            around = native.padded()
            values, valid = band.at(around)
            u, v = (p - 0.5 for p in grid.positions_in(around))
            # Rounding of coordinates is no weight.
            u, v = (np.where(np.abs(p - np.rint(p)) < 1e-7, np.rint(p), p) for p in (u, v))
            col, row = np.floor(u).astype(int), np.floor(v).astype(int)
            total, good = np.zeros(u.shape), np.ones(u.shape, bool)
            for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
                weight = np.abs(1 - dx - (u - col)) * np.abs(1 - dy - (v - row))
                y, x = (
                    np.clip(row + dy, 0, around.height - 1),
                    np.clip(col + dx, 0, around.width - 1),
                )
                # Beyond the padding an unmasked image goes on as at its rim.
                good &= (weight == 0) | valid[y, x]
                total += weight * values[y, x]
            return total, good

        return Band(at, native)

    return {name: changed(band) for name, band in image.items()}


def reduced(kind: str, images: list[Image]) -> Image:
    """Per band over all images, masked values left out."""
    if len({tuple(i) for i in images}) != 1:
        raise Refused(f"operation 'reduce.{kind}': bands differ between images, or no image")

    def over(name: str) -> Band:
        def at(grid: PixelGrid) -> Pixels:
            found = [i[name].at(grid) for i in images]
            valid = reduce(np.logical_or, (v for _, v in found))
            if kind == "sum":
                return sum(np.where(v, _wide(x), 0) for x, v in found), valid
            low = [np.where(v, _wide(x), np.iinfo(np.int32).min) for x, v in found]
            return reduce(np.maximum, low).astype(found[0][0].dtype), valid

        return Band(at)

    return {name: over(name) for name in images[0]}


def to_array(images: list[Image]) -> Image:
    """One array a pixel: images along the first axis, bands along the second."""
    if not images or any(len(i) != 1 for i in images):
        raise Refused("operation 'ImageCollection.toArray': only with images of one band here")
    bands = [_single(i, "ImageCollection.toArray") for i in images]

    def at(grid: PixelGrid) -> Pixels:
        found = [band.at(grid) for band in bands]
        if not all(valid.all() for _, valid in found):
            raise Refused("operation 'ImageCollection.toArray': masked pixels, so uneven arrays")
        return np.stack([x for x, _ in found], axis=-1)[..., None], found[0][1]

    return {"array": ArrayBand(at)}


def _array(image: Image, name: str) -> ArrayBand:
    band = next(iter(image.values()))
    if len(image) != 1 or not isinstance(band, ArrayBand):
        raise Refused(f"operation '{name}': only with one band whose pixels are arrays")
    return band


def array_sort(image: Image, keys: Any) -> Image:
    """Along the only axis that has several elements, by the values themselves."""
    if keys is not None:
        raise Refused("operation 'Image.arraySort': unknown argument ['keys']")
    band = _array(image, "Image.arraySort")

    def at(grid: PixelGrid) -> Pixels:
        values, valid = band.at(grid)
        return np.sort(values, axis=2), valid

    return {next(iter(image)): ArrayBand(at)}


def array_get(image: Image, position: Image) -> Image:
    """The element at a place that is given pixel by pixel: one scalar band for each axis."""
    band = _array(image, "Image.arrayGet")
    if len(position) != 2 or any(isinstance(b, ArrayBand) for b in position.values()):
        raise Refused("operation 'Image.arrayGet': one scalar band for each of the two axes")
    row, column = position.values()

    def at(grid: PixelGrid) -> Pixels:
        (values, valid), (r, r_valid), (c, c_valid) = band.at(grid), row.at(grid), column.at(grid)
        if r.dtype.kind not in "iu" or c.dtype.kind not in "iu":
            raise Refused("operation 'Image.arrayGet': positions are whole numbers")
        if r.min() < 0 or r.max() >= values.shape[2] or c.min() < 0 or c.max() >= 1:
            raise Refused("operation 'Image.arrayGet': a position outside the array")
        y, x = np.indices(r.shape)
        return values[y, x, r, c], valid & r_valid & c_valid

    return {next(iter(image)): Band(at)}


def pixels(image: Image, grid: PixelGrid) -> dict[str, np.ndarray]:
    """What is sent: masked pixels as 0."""
    if any(isinstance(band, ArrayBand) for band in image.values()):
        raise Refused("pixels that are arrays cannot be sent")
    found = {name: band.at(grid) for name, band in image.items()}
    return {name: np.where(valid, x, 0).astype(x.dtype) for name, (x, valid) in found.items()}
