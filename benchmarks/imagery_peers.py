"""The same masked maximum NDVI, count and cover with odc-stac and with rioxarray, to Zarr.

Written as their documentation would have it: lazy arrays in Dask chunks, Dask's threads, float32
reflectances, stored integers at the end. No unusual setting makes them slower.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imagery_files import (
    ALBERS,
    BANDS,
    CLEAR,
    OFFSET,
    RESOLUTION,
    SCALE,
    SOIL,
    VALID,
    VEG,
    Case,
)

CHUNK = 2048


def odc_stac(case: Case, out: Path, resampled: bool) -> None:
    """Load STAC items onto the grid with odc-stac, reduce and write."""
    import odc.stac
    from odc.geo.geobox import GeoBox

    items = [_item(case, date) for date in range(case.dates)]
    box = GeoBox.from_bbox(case.bounds, crs=ALBERS, resolution=RESOLUTION, tight=True)
    found = odc.stac.load(
        items,
        bands=list(BANDS),
        geobox=box,
        groupby="id",
        resampling={"qa": "nearest", "*": "bilinear" if resampled else "nearest"},
        chunks={"x": CHUNK, "y": CHUNK},
    )
    _reduce(found["red"], found["nir"], found["qa"], out)


def rioxarray(case: Case, out: Path) -> None:
    """Open the files with rioxarray in Dask chunks, reduce and write (one grid only)."""
    import rioxarray as rio
    import xarray as xr

    def stack(band: str) -> Any:
        files = [
            rio.open_rasterio(
                case.path(date, band), chunks={"x": CHUNK, "y": CHUNK}, lock=False
            ).squeeze("band", drop=True)  # type: ignore[union-attr]
            for date in range(case.dates)
        ]
        return xr.concat(files, "time")

    _reduce(stack("red"), stack("nir"), stack("qa"), out)


def _item(case: Case, date: int) -> Any:
    """Return a STAC item with the projection extension, so that no header need be read."""
    import pystac
    import rasterio
    from rasterio.warp import transform_bounds

    with rasterio.open(case.path(date, "red")) as source:
        transform, crs, bounds = list(source.transform)[:6], source.crs, source.bounds
    west, south, east, north = transform_bounds(crs, "EPSG:4326", *bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    item = pystac.Item(
        f"scene{date}",
        {"type": "Polygon", "coordinates": [ring]},
        [west, south, east, north],
        dt.datetime(2025, 7, date + 1, 3, tzinfo=dt.UTC),
        {
            "proj:wkt2": crs.to_wkt(),
            "proj:shape": [case.size, case.size],
            "proj:transform": transform,
        },
        stac_extensions=["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
    )
    for band in BANDS:
        item.add_asset(band, pystac.Asset(case.path(date, band), media_type="image/tiff"))
        fields: dict[str, Any] = {"data_type": "uint16"}
        if band != "qa":
            fields["nodata"] = 0
        item.assets[band].extra_fields["raster:bands"] = [fields]
    return item


def _reduce(red: Any, nir: Any, qa: Any, out: Path) -> None:
    import xarray as xr

    clear = qa == CLEAR
    for band in (red, nir):
        clear = clear & (band >= VALID[0]) & (band <= VALID[1])
    low = (red.astype("float32") * np.float32(SCALE) + np.float32(OFFSET)).clip(0)
    high = (nir.astype("float32") * np.float32(SCALE) + np.float32(OFFSET)).clip(0)
    ndvi = ((high - low) / (high + low)).where(clear)
    highest, count = ndvi.max("time"), ndvi.notnull().sum("time")
    cover = ((highest - SOIL) / (VEG - SOIL)).clip(0, 1)
    seen = highest.notnull()
    made = xr.Dataset(
        {
            "ndvi_max": (highest * 1e4).round().where(seen, -32768).astype("int16"),
            "clear_count": count.astype("uint16"),
            "fvc": (cover * 1e4).round().where(seen, 65535).astype("uint16"),
        }
    ).drop_vars(["spatial_ref"], errors="ignore")
    made.to_zarr(out, mode="w", zarr_format=3, consolidated=False)
