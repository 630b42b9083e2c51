"""Evaluates Earth Engine expression graphs over local GeoTIFFs, for the loopback service.

Only the operations that the source sends are known; anything else is refused by name. Stored
images are given on their own grid only; computed ones (`earthengine_images`) on any.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import earthengine_images as computed
import numpy as np
import rasterio
import shapely
from affine import Affine
from earthengine_images import Refused

SERVICE_BYTES = 48 * 2**20
SERVICE_PX = 32000


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
            "crs": _crs_name(file.crs.wkt),
            "crs_transform": list(file.transform)[:6],
        }


@lru_cache(maxsize=64)
def _crs_name(wkt: str) -> str:
    """Looking for an authority's code of a CRS that has none takes a quarter of a second."""
    return rasterio.crs.CRS.from_wkt(wkt).to_string()


class Evaluator:
    """Evaluates one expression graph."""

    def __init__(self, collections: dict[str, list[StoredImage]], expression: Any) -> None:
        self.collections, self.values = collections, expression["values"]
        self._known: dict[Any, tuple[Any, Any]] = {}
        self.result = self.reference(expression["result"], {})

    def reference(self, key: str, names: dict[str, Any]) -> Any:
        # A value that is referred to twice is computed once; `names` is kept, so ids stay its own.
        known = (key, *(id(value) for value in names.values()))
        if known not in self._known:
            self._known[known] = (self.node(self.values[key], names), names)
        return self._known[known][0]

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

    def select(self, image: Any, selectors: list[str]) -> Any:
        names: list[str] = []
        available = list(image) if isinstance(image, dict) else image.names
        for selector in selectors:
            found = [n for n in available if re.fullmatch(selector, n)]
            if not found:
                raise Refused(
                    f"Image.select: Band pattern '{selector}' did not match any bands. "
                    f"Available bands: {list(available)}"
                )
            names += found
        if isinstance(image, dict):
            return {name: image[name] for name in names}
        return replace(image, names=tuple(names))

    def unmask(self, image: ImageValue, value: ImageValue, same: bool | None) -> ImageValue:
        if not isinstance(value, ImageValue) or value.constant is None:
            raise Refused("operation 'Image.unmask': only with a constant")
        if not isinstance(image, ImageValue) or image.stored is None:
            raise Refused("operation 'Image.unmask': only of stored images")
        same_footprint = True if same is None else same
        return replace(image, fill=value.constant, same_footprint=same_footprint)

    def pairwise(self, name: str, a: Any, b: Any) -> computed.Image:
        formula = computed.PAIRWISE[name]
        return computed.pairwise(name, formula)(as_computed(a), as_computed(b))

    def from_images(self, images: list[Any]) -> list[Any]:
        if not all(isinstance(i, ImageValue | dict) for i in images):
            raise Refused("operation 'ImageCollection.fromImages': not all are images")
        return images

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


def as_computed(value: Any) -> computed.Image:
    if not isinstance(value, ImageValue):
        if not isinstance(value, dict):
            raise Refused("an image is expected")
        return value
    if value.stored is None:
        return computed.constant(value.constant)
    image = {}
    for name in value.names:
        file = value.stored.bands[name]
        band = computed.stored_band(file.path, file.masked)
        if value.fill is not None:
            band = computed.unmasked(band, value.fill, value.same_footprint)
        image[name] = band
    return image


def _pair(name: str) -> Callable[..., Any]:
    return lambda evaluator, a, b: evaluator.pairwise(name, a, b)


def _each(name: str) -> Callable[..., Any]:
    return lambda _, image: computed.each(computed.EACH[name])(as_computed(image))


def _images(operation: Callable[..., Any], *images: int) -> Callable[..., Any]:
    """The arguments at these places are images."""

    def call(_: Any, *given: Any) -> Any:
        return operation(*(as_computed(g) if k in images else g for k, g in enumerate(given)))

    return call


def _reduced(kind: str) -> Callable[..., Any]:
    return lambda _, images: computed.reduced(kind, [as_computed(i) for i in images])


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
    "ImageCollection.fromImages": (Evaluator.from_images, ("images",)),
    "Image.where": (_images(computed.where, 0, 1, 2), ("input", "test", "value")),
    "Image.addBands": (_images(computed.add_bands, 0, 1), ("dstImg", "srcImg")),
    "Image.rename": (_images(computed.rename, 0), ("input", "names")),
    "Image.resample": (_images(computed.resample, 0), ("image", "mode")),
    "ImageCollection.merge": (lambda _, a, b: [*a, *b], ("collection1", "collection2")),
    "ImageCollection.toArray": (
        lambda _, images: computed.to_array([as_computed(i) for i in images]),
        ("collection",),
    ),
    "Image.arraySort": (_images(computed.array_sort, 0), ("image", "keys")),
    "Image.arrayGet": (_images(computed.array_get, 0, 1), ("image", "position")),
    "reduce.max": (_reduced("max"), ("collection",)),
    "reduce.sum": (_reduced("sum"), ("collection",)),
    **{name: (_pair(name), ("image1", "image2")) for name in computed.PAIRWISE},
    **{name: (_each(name), ("value",)) for name in computed.EACH},
}


def answer_value(value: Any) -> Any:
    if isinstance(value, ImageValue):
        return value.describe()
    if isinstance(value, list):
        return [answer_value(item) for item in value]
    return value


def answer_pixels(image: Any, grid: dict[str, Any]) -> bytes:
    width, height = grid["dimensions"]["width"], grid["dimensions"]["height"]
    arrays = arrays_of(image, grid)
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


def arrays_of(image: Any, grid: dict[str, Any]) -> dict[str, np.ndarray]:
    asked = computed.PixelGrid.of_request(grid)
    if isinstance(image, dict):
        return computed.pixels(image, asked)
    if not isinstance(image, ImageValue) or image.stored is None:
        raise Refused("only stored and computed images have pixels here")
    return {
        name: _window(image, name, asked.affine, grid, asked.width, asked.height)
        for name in image.names
    }


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
