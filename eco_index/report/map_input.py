"""What maps are drawn from: zone outlines, overview rasters, words about their CRS."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from shapely.geometry import shape

from eco_index.errors import InputError
from eco_index.report.text import Words
from eco_index.summary import Summary

WIDE = 1.35  # a region wider than this ratio gets maps over the full page width


@dataclass(frozen=True)
class Outlines:
    """Zone polygons on the grid's CRS with the names to write on them."""

    geometries: tuple[shapely.Geometry, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Raster:
    """An overview raster: physical values, NaN (or class 0 masked) where nothing is known."""

    values: np.ma.MaskedArray
    transform: Affine
    crs: CRS

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top, as matplotlib wants it (m)."""
        height, width = self.values.shape
        step_x, left, step_y, top = (
            self.transform.a, self.transform.c, self.transform.e, self.transform.f,
        )  # fmt: skip
        return left, left + width * step_x, top + height * step_y, top


def read_outlines(path: Path, summary: Summary, words: Words) -> Outlines:
    """Read the zones of a summary; names come from the summary, by zone id.

    Raises
    ------
    InputError
        The file is missing or not GeoJSON.
    """
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        shapes = [shape(f["geometry"]) for f in features]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the zones of the summary cannot be read: {error}",
            where=str(path),
            fix="run `eco run` again",
        ) from None
    names = {z.id: z.name.get(words.language) for z in summary.zones}
    found = []
    for feature in features:
        properties: dict[str, Any] = feature.get("properties") or {}
        key = properties.get("id", properties.get("zone", feature.get("id")))
        found.append(names.get(str(key), ""))
    return Outlines(tuple(shapes), tuple(found))


def read_raster(path: Path) -> Raster:
    """Read an overview raster as physical values.

    Raises
    ------
    InputError
        The file is missing or is no raster.
    """
    try:
        with rasterio.open(path) as source:
            stored = source.read(1, masked=True)
            scale, offset = source.scales[0], source.offsets[0]
            transform, crs = source.transform, CRS.from_user_input(source.crs.to_wkt())
    except (rasterio.errors.RasterioError, AttributeError) as error:
        raise InputError(
            f"a map of the summary cannot be read: {error}",
            where=str(path),
            fix="run `eco run` again",
        ) from None
    if scale == 1 and offset == 0 and stored.dtype.kind in "iu":
        values = stored
    else:
        values = np.ma.masked_invalid(stored.astype(np.float64) * scale + offset)
    return Raster(np.ma.masked_array(values, np.ma.getmaskarray(values)), transform, crs)


def nice_length(width: float) -> float:
    """Return a round length (1, 2 or 5 times a power of ten) near a quarter of `width`."""
    target = width / 4
    power = 10.0 ** math.floor(math.log10(target))
    return max(step * power for step in (1, 2, 5) if step * power <= target)


@lru_cache(maxsize=64)
def north_angle(crs: CRS, x: float, y: float) -> float:
    """Return the direction of true north at a point, degrees clockwise from the grid's up."""
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to_lonlat.transform(x, y)
    x2, y2 = to_lonlat.transform(lon, min(lat + 0.01, 90.0), direction="INVERSE")
    return math.degrees(math.atan2(x2 - x, y2 - y))


def crs_note(raster: Raster, summary: Summary, words: Words) -> str:
    """Return CRS and pixel size of the grid in words, for the map's caption."""
    resolution = summary.provenance.grid.get("resolution")
    pixel = float(resolution) if isinstance(resolution, int | float) else raster.transform.a
    code = raster.crs.to_authority()
    name = raster.crs.name
    if name == "unknown":
        operation = raster.crs.coordinate_operation
        method = operation.method_name if operation is not None else "projected"
        name = f"{method} ({', '.join(_parameters(raster.crs))})"
    text = f"{name} ({code[0]}:{code[1]})" if code else name
    return words("map.crs", crs=text, pixel=f"{pixel:g}\u00a0m")


def _parameters(crs: CRS) -> list[str]:
    operation = crs.coordinate_operation
    if operation is None:
        return []
    short = {
        "Latitude of 1st standard parallel": "φ1",
        "Latitude of 2nd standard parallel": "φ2",
        "Longitude of false origin": "λ0",
        "Longitude of natural origin": "λ0",
    }
    return [f"{short[p.name]}={p.value:g}°" for p in operation.params if p.name in short]


def is_wide(raster: Raster) -> bool:
    """Tell whether maps of this region need the full page width."""
    height, width = raster.values.shape
    return width / height > WIDE
