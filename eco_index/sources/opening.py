"""One door to the pixels of an asset, whatever it is: a raster file, or a band on Earth Engine."""

from __future__ import annotations

from typing import Any

import rasterio

from eco_index.catalog import Dataset
from eco_index.sources.ee_band import OpenBand, is_earth_engine
from eco_index.sources.signing import readable_name


def open_asset(href: str, dataset: Dataset) -> Any:
    """Open an asset for reading, as a context manager.

    Parameters
    ----------
    href : str
        Path or address.
    dataset : Dataset
        Catalogue entry: says whether addresses are signed, and which project pays.

    Returns
    -------
    rasterio.DatasetReader or OpenBand
        Both have ``crs``, ``transform``, ``width``, ``height``, ``count``, ``dtypes``,
        ``nodatavals`` and ``read(band, window=...)``.

    Raises
    ------
    rasterio.errors.RasterioError, OSError
        The file cannot be opened.
    InputError
        The Earth Engine address is malformed, or (on reading) the band is unusable: a failure of
        this asset. Quota, network and login problems raise other errors: they concern the run.
    """
    if is_earth_engine(href):
        return OpenBand(href, getattr(dataset.access, "project", None))
    return rasterio.open(readable_name(href, dataset))
