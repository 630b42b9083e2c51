"""One way to open an asset, whatever its source: a raster with header, and windows of pixels."""

from __future__ import annotations

import re
from typing import Any, Protocol

import numpy as np
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window

from eco_index.catalog import Dataset
from eco_index.sources.address import is_derived, leaves, parse
from eco_index.sources.raster import crs_wkt, forget, gdal_path, open_kept
from eco_index.sources.signing import renew, sign_planetary_computer
from eco_index.sources.tiff_blocks import open_tiff

# What GDAL says of an address that is refused; of an open file only that a block is missing.
_REFUSED = re.compile(r"\b40[13]\b|read failed|ReadBlock|TIFFFillTile|TIFFReadEncoded|IReadBlock")


class OpenRaster(Protocol):
    """The part of rasterio's interface that is used."""

    @property
    def crs(self) -> Any: ...
    @property
    def transform(self) -> Affine: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def nodatavals(self) -> tuple[float | None, ...]: ...

    def read(self, band: int, window: Window | None = None) -> np.ndarray:
        """Return stored values."""
        ...


def readable_name(href: str, dataset: Dataset) -> str:
    """Return the name under which GDAL opens an asset of `dataset`, signed if need be.

    Signatures are secrets and expire: they are made here, when a file is opened, never stored.

    Raises
    ------
    OSError
        A signature is needed and the token service does not answer.
    """
    if getattr(dataset.access, "sign", "none") == "planetary_computer":
        href = sign_planetary_computer(href)
    return gdal_path(href)


def open_asset(href: str, dataset: Dataset) -> OpenRaster:
    """Open an asset for reading; files stay open in this thread, do not close them.

    Raises
    ------
    rasterio.errors.RasterioError, OSError
        It cannot be opened.
    InputError
        A malformed Earth Engine address.
    """
    if is_derived(href):
        from eco_index.sources.derived import open_derived

        return open_derived(parse(href), dataset)
    if href.startswith("ee://"):
        from eco_index.sources.ee_band import OpenBand

        return OpenBand(href, getattr(dataset.access, "project", None))
    try:
        name = readable_name(href, dataset)
        return open_tiff(name) or open_kept(name)
    except (RasterioError, OSError) as error:
        if not sign_anew(href, dataset, error):
            raise
    return open_kept(readable_name(href, dataset))


def read_asset(
    source: OpenRaster, href: str, band: int, window: Window, dataset: Dataset
) -> np.ndarray:
    """Read a window of an open asset; a signature that expired meanwhile is renewed once.

    Parameters
    ----------
    source : OpenRaster
        As `open_asset` gave it for `href`.
    href, band, window, dataset
        What is read.

    Raises
    ------
    rasterio.errors.RasterioError, OSError
        It cannot be read. The file is no longer kept open: its blocks are not to be trusted.
    InputError
        Earth Engine refused.
    """
    try:
        return np.asarray(source.read(band, window=window))
    except (RasterioError, OSError) as error:
        if not sign_anew(href, dataset, error):
            forget_asset(href, dataset)
            raise
    try:
        return np.asarray(open_asset(href, dataset).read(band, window=window))
    except (RasterioError, OSError):
        forget_asset(href, dataset)
        raise


def forget_asset(href: str, dataset: Dataset) -> None:
    """Drop a kept file after a failed read."""
    for leaf in leaves(href):
        if not leaf.startswith("ee://"):
            forget(readable_name(leaf, dataset))


def sign_anew(href: str, dataset: Dataset, error: BaseException) -> bool:
    """Have an asset signed anew after a failure that an expired signature explains.

    Parameters
    ----------
    href : str
        Address as the manifest holds it: without signature.
    dataset : Dataset
        Its catalogue entry.
    error : BaseException
        What GDAL said.

    Returns
    -------
    bool
        Whether opening or reading once more may succeed: the service refused (401, 403), and the
        address is one that is signed.
    """
    if getattr(dataset.access, "sign", "none") != "planetary_computer":
        return False
    if not _REFUSED.search(f"{error.__cause__ or ''} {error}"):
        return False
    signed = [leaf for leaf in leaves(href) if not leaf.startswith("ee://")]
    for leaf in signed:
        forget(readable_name(leaf, dataset))  # under the old signature, before that is forgotten
    renewed = [renew(leaf) for leaf in signed]
    return any(renewed)


__all__ = [
    "OpenRaster",
    "crs_wkt",
    "forget_asset",
    "open_asset",
    "read_asset",
    "readable_name",
    "sign_anew",
]
