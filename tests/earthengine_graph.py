"""Evaluates Earth Engine expression graphs over local GeoTIFFs, for the loopback service.

Only the operations that the source sends are known; anything else is refused by name, as is any
pixel grid that would need resampling.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine

SERVICE_BYTES = 48 * 2**20
SERVICE_PX = 32000


class Refused(Exception):
    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class BandFile:
    """A band: the file, and the stored value that the service holds as masked."""

    path: Path
    masked: float | None = None


@dataclass(frozen=True)
class StoredImage:
    id: str
    time_ms: int
    footprint: dict[str, Any]  # GeoJSON Polygon
    bands: dict[str, BandFile]
    properties: dict[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True)
class ImageValue:
    """An image within an expression: stored bands, or a constant."""

    stored: StoredImage | None = None
    names: tuple[str, ...] = ()
    constant: float | None = None
    fill: float | None = None
    same_footprint: bool = True

    def describe(self) -> dict[str, Any]:
        if self.stored is None:
            raise Refused("a constant image has no description here")
        ring = {
            "type": "LinearRing",
            "coordinates": self.stored.footprint["coordinates"][0],
        }
        return {
            "type": "Image",
            "id": self.stored.id,
            "version": self.stored.version,
            "bands": [_describe_band(name, self.stored.bands[name]) for name in self.names],
            "properties": {
                **self.stored.properties,
                "system:index": self.stored.id.rsplit("/", 1)[1],
                "system:time_start": self.stored.time_ms,
                "system:footprint": ring,
            },
        }


def _describe_band(name: str, band: BandFile) -> dict[str, Any]:
    with rasterio.open(band.path) as file:
        span = np.iinfo(file.dtypes[0])
        return {
            "id": name,
            "data_type": {
                "type": "PixelType",
                "precision": "int",
                "min": int(span.min),
                "max": int(span.max),
            },
            "dimensions": [file.width, file.height],
            "crs": file.crs.to_string(),
            "crs_transform": list(file.transform)[:6],
        }


class Evaluator:
    """Evaluates one expression graph."""

    def __init__(self, collections: dict[str, list[StoredImage]], expression: Any) -> None:
        self.collections, self.values = collections, expression["values"]
        self.result = self.reference(expression["result"], {})

    def reference(self, key: str, names: dict[str, Any]) -> Any:
        return self.node(self.values[key], names)

    def node(self, node: dict[str, Any], names: dict[str, Any]) -> Any:
        ((kind, content),) = node.items()
        match kind:
            case "constantValue":
                return content
            case "integerValue":
                return int(content)
            case "valueReference":
                return self.reference(content, names)
            case "argumentReference":
                return names[content]
            case "arrayValue":
                return [self.node(item, names) for item in content["values"]]
            case "functionDefinitionValue":
                return lambda *given: self.reference(
                    content["body"],
                    {**names, **dict(zip(content["argumentNames"], given, strict=True))},
                )
            case "functionInvocationValue":
                name = content.get("functionName", "(a computed function)")
                arguments = {k: self.node(v, names) for k, v in content["arguments"].items()}
                if name not in OPERATIONS:
                    raise Refused(f"unknown operation '{name}'")
                operation, known = OPERATIONS[name]
                unknown = set(arguments) - set(known)
                if unknown:
                    raise Refused(f"operation '{name}': unknown argument {sorted(unknown)}")
                return operation(self, *(arguments.get(key) for key in known))
        raise Refused(f"unknown node '{kind}'")

    def load_collection(self, name: str) -> list[ImageValue]:
        if name not in self.collections:
            raise Refused(
                f"ImageCollection.load: ImageCollection asset '{name}' not found "
                "(does not exist or caller does not have access)."
            )
        return [ImageValue(s, tuple(s.bands)) for s in self.collections[name]]

    def load_image(self, name: str) -> ImageValue:
        for stored in self.collections.get(name.rpartition("/")[0], ()):
            if stored.id == name:
                return ImageValue(stored, tuple(stored.bands))
        raise Refused(
            f"Image.load: Image asset '{name}' not found "
            "(does not exist or caller does not have access)."
        )

    def select(self, image: ImageValue, selectors: list[str]) -> ImageValue:
        names: list[str] = []
        for selector in selectors:
            found = [n for n in image.names if re.fullmatch(selector, n)]
            if not found:
                raise Refused(
                    f"Image.select: Band pattern '{selector}' did not match any bands. "
                    f"Available bands: {list(image.names)}"
                )
            names += found
        return replace(image, names=tuple(names))

    def unmask(self, image: ImageValue, value: ImageValue, same: bool | None) -> ImageValue:
        if value.constant is None:
            raise Refused("operation 'Image.unmask': only with a constant")
        same_footprint = True if same is None else same
        return replace(image, fill=value.constant, same_footprint=same_footprint)

    def to_list(self, images: list[ImageValue], count: int, offset: int | None) -> list[ImageValue]:
        return images[offset or 0 : (offset or 0) + count]

    def date_range(self, start: str, end: str) -> tuple[float, float]:
        span = (np.datetime64(start, "ms"), np.datetime64(end, "ms"))
        return float(span[0].astype(np.int64)), float(span[1].astype(np.int64))

    def within(self, span: tuple[float, float], name: str) -> Callable[[ImageValue], bool]:
        return lambda image: span[0] <= image.describe()["properties"][name] < span[1]

    def touches(self, name: str, feature: Any) -> Callable[[ImageValue], bool]:
        if name != ".all":
            raise Refused(f"operation 'Filter.intersects': unknown field '{name}'")
        return lambda image: feature.intersects(shapely.geometry.shape(image.stored.footprint))


OPERATIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "ImageCollection.load": (Evaluator.load_collection, ("id",)),
    "Image.load": (Evaluator.load_image, ("id",)),
    "Image.select": (Evaluator.select, ("input", "bandSelectors")),
    "Image.constant": (lambda _, value: ImageValue(constant=value), ("value",)),
    "Image.unmask": (Evaluator.unmask, ("input", "value", "sameFootprint")),
    "Collection.filter": (lambda _, c, f: [i for i in c if f(i)], ("collection", "filter")),
    "Collection.map": (lambda _, c, f: [f(i) for i in c], ("collection", "baseAlgorithm")),
    "Collection.toList": (Evaluator.to_list, ("collection", "count", "offset")),
    "DateRange": (Evaluator.date_range, ("start", "end")),
    "Filter.dateRangeContains": (Evaluator.within, ("leftValue", "rightField")),
    "Filter.intersects": (Evaluator.touches, ("leftField", "rightValue")),
    "Feature": (lambda _, geometry: geometry, ("geometry",)),
    "GeometryConstructors.Polygon": (
        lambda _, coordinates, geodesic: shapely.Polygon(coordinates[0]),
        ("coordinates", "geodesic"),
    ),
}


def answer_value(value: Any) -> Any:
    if isinstance(value, ImageValue):
        return value.describe()
    if isinstance(value, list):
        return [answer_value(item) for item in value]
    return value


def answer_pixels(image: ImageValue, grid: dict[str, Any]) -> bytes:
    if image.stored is None:
        raise Refused("only stored images have pixels here")
    width, height = grid["dimensions"]["width"], grid["dimensions"]["height"]
    t = {**dict.fromkeys(("shearX", "shearY"), 0.0), **grid["affineTransform"]}
    asked = Affine(
        t["scaleX"], t["shearX"], t["translateX"], t["shearY"], t["scaleY"], t["translateY"]
    )
    arrays = {name: _window(image, name, asked, grid, width, height) for name in image.names}
    size = sum(a.nbytes for a in arrays.values())
    if size > SERVICE_BYTES:
        raise Refused(
            f"Total request size ({size} bytes) must be less than or equal to "
            f"{SERVICE_BYTES} bytes."
        )
    if max(width, height) > SERVICE_PX:
        raise Refused(f"Pixel grid dimensions ({width}x{height}) must be <= {SERVICE_PX}.")
    out = np.zeros((height, width), dtype=[(n, a.dtype) for n, a in arrays.items()])
    for name, array in arrays.items():
        out[name] = array
    buffer = io.BytesIO()
    np.save(buffer, out)
    return buffer.getvalue()


def _window(
    image: ImageValue, name: str, asked: Affine, grid: dict[str, Any], width: int, height: int
) -> np.ndarray:
    band = image.stored.bands[name]
    with rasterio.open(band.path) as file:
        if rasterio.crs.CRS.from_user_input(grid.get("crsCode") or grid["crsWkt"]) != file.crs:
            raise Refused("unknown operation 'reproject': the grid is not the image's own")
        shift = ~file.transform @ asked
        col, row = round(shift.c), round(shift.f)
        if not shift.almost_equals(Affine.translation(col, row), 1e-6):
            raise Refused("unknown operation 'resample': the grid is not the image's own")
        # What lies outside the raster is masked, as is the stored no-data value.
        data = np.zeros((height, width), file.dtypes[0])
        valid = np.zeros((height, width), bool)
        r0, r1 = max(row, 0), min(row + height, file.height)
        c0, c1 = max(col, 0), min(col + width, file.width)
        if r0 < r1 and c0 < c1:
            part = file.read(1, window=((r0, r1), (c0, c1)))
            place = (slice(r0 - row, r1 - row), slice(c0 - col, c1 - col))
            data[place] = part
            valid[place] = True if band.masked is None else part != band.masked
            inside = np.zeros_like(valid)
            inside[place] = True
        else:
            inside = np.zeros_like(valid)
    fill = 0 if image.fill is None else image.fill
    # Masked pixels are 0 in the answer unless unmasked.
    return np.where(valid, data, np.where(inside | (not image.same_footprint), fill, 0)).astype(
        data.dtype
    )
