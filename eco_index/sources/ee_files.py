"""Composites that Earth Engine has exported: names, requests, and files that were received."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.errors import RasterioError

from eco_index.digests import hash_of
from eco_index.errors import InputError
from eco_index.sources.ee_reduce import VERSION, Wanted, composite_image

# Bands of one GeoTIFF share a type; all counts and NDVI fit this one.
EXPORT_DTYPE = "int32"


@dataclasses.dataclass(frozen=True)
class Expected:
    """A file that an export will bring.

    Attributes
    ----------
    wanted : Wanted
        Images, rules and bands.
    grid : dict
        PixelGrid of the service (`ee_band.pixel_grid`).
    tile : str
        Tile id, for names.
    """

    wanted: Wanted
    grid: dict[str, Any]
    tile: str

    @property
    def name(self) -> str:
        """File name without ending: other scenes, rules or pixels make another name."""
        rules = dataclasses.asdict(self.wanted)
        if self.wanted.percentile is None:
            del rules["percentile"]  # names of files received before there were percentiles
        key = hash_of([rules, self.grid, VERSION, "export-1"])
        return f"{self.tile}_{key[:20]}"

    @property
    def bands(self) -> tuple[str, ...]:
        return tuple(self.wanted.dtypes)

    @property
    def shape(self) -> tuple[int, int]:
        size = self.grid["dimensions"]
        return size["height"], size["width"]

    @property
    def nbytes(self) -> int:
        """Uncompressed size."""
        return self.shape[0] * self.shape[1] * len(self.bands) * np.dtype(EXPORT_DTYPE).itemsize

    def image(self, ee: Any) -> Any:
        """Return the expression to export."""
        return composite_image(ee, self.wanted).toInt32()


def problem_of(path: Path, expected: Expected) -> str:
    """Return why a received file cannot be used, or nothing; no pixel is read.

    Parameters
    ----------
    path : Path
        The file.
    expected : Expected
        What it must hold: bands in order, size, place and CRS.
    """
    if not path.is_file():
        return "not received"
    try:
        with rasterio.open(path) as file:
            return _mismatch(file, expected)
    except (RasterioError, OSError) as error:
        return f"cannot be read: {str(error).splitlines()[0][:200]}"


def _mismatch(file: Any, expected: Expected) -> str:
    if (file.height, file.width) != expected.shape:
        return f"{file.height} x {file.width} pixels instead of {expected.shape}"
    if file.count != len(expected.bands):
        return f"{file.count} bands instead of {len(expected.bands)}"
    named = tuple(d for d in file.descriptions if d)
    if named and named != expected.bands:
        return f"bands {', '.join(named)} instead of {', '.join(expected.bands)}"
    t = {**dict.fromkeys(("shearX", "shearY"), 0.0), **expected.grid["affineTransform"]}
    names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    place = Affine(*(t[n] for n in names))
    if not file.transform.almost_equals(place, 1e-6 * abs(place.a)):
        return "it lies elsewhere than its tile"
    crs = CRS.from_user_input(expected.grid.get("crsCode") or expected.grid["crsWkt"])
    if file.crs is None or _parameters(CRS.from_wkt(file.crs.to_wkt())) != _parameters(crs):
        return "its CRS is not that of the grid"
    return ""


def _parameters(crs: CRS) -> list[tuple[str, float]]:
    """What a projection does, whatever its parts are called: files rename datums."""
    operation = crs.coordinate_operation
    found = [(p.name, round(float(p.value), 9)) for p in operation.params] if operation else []
    ellipsoid = crs.ellipsoid
    if ellipsoid is not None:
        found.append(("a", round(ellipsoid.semi_major_metre, 3)))
        found.append(("1/f", round(ellipsoid.inverse_flattening, 3)))
    return sorted(found)


def read_received(path: Path, expected: Expected) -> dict[str, np.ndarray]:
    """Read a received file.

    Returns
    -------
    dict of ndarray
        By band, in the types of `Wanted.dtypes`.

    Raises
    ------
    InputError
        It is not what is expected, or holds values that do not fit.
    """
    problem = problem_of(path, expected)
    if problem:
        raise InputError(f"an export of Earth Engine cannot be used: {problem}", where=str(path))
    try:
        with rasterio.open(path) as file:
            values = file.read()
    except (RasterioError, OSError) as error:
        raise InputError(
            f"an export of Earth Engine cannot be read: {str(error).splitlines()[0][:200]}",
            where=str(path),
            fix="delete the file and fetch or export it again (`eco exports`)",
        ) from None
    arrays = {}
    for band, kind, found in zip(
        expected.bands, expected.wanted.dtypes.values(), values, strict=True
    ):
        arrays[band] = found.astype(kind)
        if not np.array_equal(arrays[band], found):
            raise InputError(f"band {band} holds values that are no {kind}", where=str(path))
    return arrays
