"""One way to open an asset, whatever its source: a raster with header, and windows of pixels."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from affine import Affine
from rasterio.windows import Window

from eco_index.catalog import Dataset
from eco_index.sources.address import is_derived, leaves, parse
from eco_index.sources.raster import crs_wkt, forget, gdal_path, open_kept
from eco_index.sources.signing import sign_planetary_computer


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
    return open_kept(readable_name(href, dataset))


def forget_asset(href: str, dataset: Dataset) -> None:
    """Drop a kept file after a failed read."""
    for leaf in leaves(href):
        if not leaf.startswith("ee://"):
            forget(readable_name(leaf, dataset))


__all__ = ["OpenRaster", "crs_wkt", "forget_asset", "open_asset", "readable_name"]
