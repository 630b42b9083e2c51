"""A band of an Earth Engine image, read like an open file: stored values, own grid, windows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode

import numpy as np
import rasterio.crs
import rasterio.windows
from affine import Affine
from pyproj import CRS

from eco_index.errors import InputError
from eco_index.sources import ee_client
from eco_index.sources.ee_transport import Limits

SCHEME = "ee://"
# The name that Earth Engine gives to the MODIS grid; PROJ does not know it.
MODIS_SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"

Window = tuple[int, int, int, int]  # row, column, height, width


@dataclass(frozen=True)
class BandRef:
    """One band of one image with its own grid; written and read as an ``ee://`` address.

    Everything behind the question mark follows from image and band; it is carried along so that
    reading needs no second request for metadata.

    Attributes
    ----------
    image, band : str
        Image id (collection and index) and band id.
    crs : str
        EPSG code or WKT.
    transform : tuple of float
        Affine coefficients a, b, c, d, e, f (metres or degrees of the CRS).
    width, height : int
        Pixels.
    dtype : str
        Stored type.
    fill : float
        Stored value given to pixels that Earth Engine holds as masked (no observation).
    """

    image: str
    band: str
    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int
    dtype: str
    fill: float

    @property
    def affine(self) -> Affine:
        return Affine(*self.transform)

    @property
    def nbytes(self) -> int:
        """Uncompressed size of the whole band."""
        return self.width * self.height * np.dtype(self.dtype).itemsize

    def href(self) -> str:
        detail = {
            "crs": self.crs,
            "transform": ",".join(repr(float(v)) for v in self.transform),
            "size": f"{self.width}x{self.height}",
            "dtype": self.dtype,
            "fill": repr(float(self.fill)),
        }
        return f"{SCHEME}{quote(self.image)}/{quote(self.band)}?{urlencode(detail)}"

    @classmethod
    def parse(cls, href: str) -> BandRef:
        """Read an address.

        Raises
        ------
        InputError
            Not an address written by `href`.
        """
        try:
            path, query = href.removeprefix(SCHEME).split("?", 1)
            image, band = path.rsplit("/", 1)
            detail = {key: values[0] for key, values in parse_qs(query).items()}
            a, b, c, d, e, f = (float(v) for v in detail["transform"].split(","))
            width, height = (int(v) for v in detail["size"].split("x"))
            dtype = np.dtype(detail["dtype"]).name
            fill = float(detail["fill"])
            crs = detail["crs"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                "this is not an address of an Earth Engine band",
                where=href,
                rule=f"{SCHEME}IMAGE/BAND?crs=…&transform=…&size=…&dtype=…&fill=… ({error})",
                fix="acquire the month again",
            ) from None
        ref = (unquote(image), unquote(band), crs, (a, b, c, d, e, f), width, height, dtype, fill)
        return cls(*ref)


def is_earth_engine(href: str) -> bool:
    """Say whether an address is one of this source."""
    return href.startswith(SCHEME)


class OpenBand:
    """A band that reads like an open raster file: the part of rasterio's interface that is used.

    Parameters
    ----------
    href : str
        ``ee://`` address.
    project : str, optional
        Cloud project of the catalogue entry.

    Raises
    ------
    InputError
        The address is malformed.
    """

    count = 1

    def __init__(self, href: str, project: str | None = None) -> None:
        self._ref, self._href, self._project = BandRef.parse(href), href, project
        self.width, self.height, self.transform = (
            self._ref.width,
            self._ref.height,
            self._ref.affine,
        )
        self.crs = rasterio.crs.CRS.from_wkt(crs_of(self._ref.crs).to_wkt())
        self.dtypes, self.nodatavals = (self._ref.dtype,), (self._ref.fill,)

    def __enter__(self) -> OpenBand:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def read(self, band: int = 1, window: rasterio.windows.Window | None = None) -> np.ndarray:
        """Fetch stored values; see `read_window`."""
        if band != 1:
            raise InputError(f"an Earth Engine address has one band, not {band}", where=self._href)
        part = (0, 0, self.height, self.width)
        if window is not None:
            offsets = (window.row_off, window.col_off, window.height, window.width)
            part = (int(offsets[0]), int(offsets[1]), int(offsets[2]), int(offsets[3]))
        return read_window(self._href, part, self._project)


def read_window(href: str, window: Window, project: str | None = None) -> np.ndarray:
    """Fetch stored values of a part of a band.

    Parameters
    ----------
    href : str
        ``ee://`` address.
    window : tuple of int
        First row, first column, height, width; inside the band.
    project : str, optional
        Cloud project of the catalogue entry; else ``EE_PROJECT``, else that of the credentials.

    Returns
    -------
    numpy.ndarray
        Shape (height, width), the band's own type; masked pixels hold the fill value.

    Raises
    ------
    InputError
        The window leaves the band, the image has gone, or the answer is unusable.
    PartialError
        Quota used up, or the service does not answer.
    UsageError
        No credentials or no project.
    """
    ref = BandRef.parse(href)
    row, col, height, width = window
    inside = row >= 0 and col >= 0 and row + height <= ref.height and col + width <= ref.width
    if not inside or height < 0 or width < 0:
        raise InputError(
            f"the window {window} leaves the band",
            where=f"{ref.image}, band {ref.band}",
            rule=f"inside {ref.height} x {ref.width}",
        )
    out = np.empty((height, width), dtype=ref.dtype)
    if out.size == 0:
        return out
    session = ee_client.client(project)
    for part in split((row, col, height, width), out.itemsize, session.limits):
        y, x = part[0] - row, part[1] - col
        out[y : y + part[2], x : x + part[3]] = _fetch(session, ref, part)
    return out


def split(
    window: Window, itemsize: int, limits: Limits, side: int | None = None
) -> Iterator[Window]:
    """Cut a window into parts that one request may answer, row by row; `side`: pixels at most."""
    row, col, height, width = window
    most = min(limits.request_px, side or limits.request_px)
    step_x = max(1, min(width, most, limits.request_bytes // itemsize))
    step_y = max(1, min(height, most, limits.request_bytes // (itemsize * step_x)))
    for y in range(row, row + height, step_y):
        for x in range(col, col + width, step_x):
            yield y, x, min(step_y, row + height - y), min(step_x, col + width - x)


def _fetch(session: ee_client.Client, ref: BandRef, window: Window) -> np.ndarray:
    row, col, height, width = window
    grid = pixel_grid(ref.crs, ref.affine, window)
    fill: float = int(ref.fill) if float(ref.fill).is_integer() else ref.fill
    where = f"{ref.image}, band {ref.band}, rows {row}-{row + height}, columns {col}-{col + width}"

    def image(ee: Any) -> Any:
        return ee.Image(ref.image).select(ref.band).unmask(fill, False)

    found = session.pixels(image, grid, (ref.band,), where)[ref.band]
    stored = found.astype(ref.dtype)
    # The union with the fill value may have widened the type; narrowing must not change a value.
    if not np.array_equal(stored.astype(found.dtype), found, equal_nan=found.dtype.kind == "f"):
        raise InputError(
            f"Earth Engine answered with values that do not fit {ref.dtype}", where=where
        )
    return stored


def pixel_grid(crs: str, transform: Affine, window: Window) -> dict[str, Any]:
    """Return the service's description of a part of a pixel grid.

    Parameters
    ----------
    crs : str
        EPSG code or WKT.
    transform : Affine
        Of the whole grid.
    window : tuple of int
        First row, first column, height, width.
    """
    row, col, height, width = window
    a, b, c, d, e, f = (transform @ Affine.translation(col, row))[:6]
    grid: dict[str, Any] = {
        "dimensions": {"width": width, "height": height},
        "affineTransform": {
            "scaleX": a,
            "shearX": b,
            "translateX": c,
            "shearY": d,
            "scaleY": e,
            "translateY": f,
        },
    }
    # The same grid as the image's own, so that the server has nothing to resample.
    code = re.fullmatch(r"[A-Za-z-]+:\d+", crs)
    grid["crsCode" if code else "crsWkt"] = crs
    return grid


def crs_of(text: str) -> CRS:
    """Return the CRS that Earth Engine means by a code or WKT."""
    return CRS.from_user_input(MODIS_SINUSOIDAL if text == "SR-ORG:6974" else text)


def band_ref(image: str, band: dict[str, Any], nodata: float | None) -> BandRef:
    """Make a reference from the metadata that Earth Engine gives of a band.

    Parameters
    ----------
    image : str
        Image id.
    band : dict
        Element of ``bands``: id, crs, crs_transform, dimensions, data_type.
    nodata : float or None
        The catalogue's no-data value: what masked pixels become.

    Raises
    ------
    KeyError, ValueError, pyproj.exceptions.CRSError
        The metadata cannot be used.
    """
    a, b, c, d, e, f = (float(v) for v in band["crs_transform"])
    width, height = (int(v) for v in band["dimensions"])
    if "origin" in band:
        # The image starts some pixels away from the origin of its grid.
        shift = Affine(a, b, c, d, e, f) @ Affine.translation(*band["origin"])
        a, b, c, d, e, f = shift[:6]
    crs = str(band.get("crs") or band["crs_wkt"])
    crs_of(crs)
    kind = dtype_of(band["data_type"])
    # Without a declared no-data value the mask band alone says where nothing was observed.
    fill = float(0 if nodata is None else nodata)
    if np.dtype(kind).kind in "iu":
        span = np.iinfo(kind)
        if not (fill.is_integer() and span.min <= fill <= span.max):
            raise ValueError(f"the no-data value {fill:g} of the catalogue does not fit {kind}")
    return BandRef(image, str(band["id"]), crs, (a, b, c, d, e, f), width, height, kind, fill)


def dtype_of(pixel_type: dict[str, Any]) -> str:
    """Return the smallest stored type that holds an Earth Engine pixel type."""
    precision = pixel_type.get("precision")
    if precision in ("float", "double"):
        return "float32" if precision == "float" else "float64"
    if precision != "int":
        raise ValueError(f"unknown pixel type {precision!r}")
    low, high = pixel_type.get("min", -(2**31)), pixel_type.get("max", 2**31 - 1)
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32"):
        span = np.iinfo(name)
        if span.min <= low and high <= span.max:
            return name
    raise ValueError(f"no stored type holds {low} to {high}")
