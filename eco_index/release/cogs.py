"""Main products of a period as Cloud-Optimized GeoTIFF."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from eco_index.compositing import SEASON_LAYER
from eco_index.cube import CubeView
from eco_index.cube.template import composite_of
from eco_index.errors import InputError
from eco_index.period import Period
from eco_index.products import PRODUCTS, Product, products_of
from eco_index.release.plain_zarr import windows

MAIN = (
    "fvc",
    "ndvi_max",
    "ndvi_mean",
    SEASON_LAYER,
    "landcover",
    "forest",
    "clear_count",
    "valid_months",
)


def cog_name(product: str, period: Period) -> str:
    """Return the file name of a product."""
    return f"{product}_{period.id}.tif"


def write_cogs(
    view: CubeView,
    period: Period,
    folder: Path,
    tags: Mapping[str, str],
    colours: Mapping[int, str],
) -> list[str]:
    """Write every main product that the cube holds.

    Parameters
    ----------
    view : CubeView
        The cube at the pinned snapshot.
    period : Period
        Which time step.
    folder : Path
        Target folder.
    tags : mapping of str
        Dataset tags of each file (release, tag, method ...).
    colours : mapping of int to str
        Colours of land cover classes (``#rrggbb``), written as a colour table.

    Returns
    -------
    list of str
        Ids of the products written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = products_of(period.cadence, True, composite_of(view.root).layers)
    ids = {p.id for p in wanted}  # without layers of an earlier composite section
    held = [p for p in MAIN if p in ids and p in view.root[period.cadence]]  # type: ignore[operator]
    for product in held:
        path = folder / cog_name(product, period)
        _write(view, period, PRODUCTS[product], path, tags, colours)
        _check(view, period, product, path)
    return held


def _write(
    view: CubeView,
    period: Period,
    product: Product,
    path: Path,
    tags: Mapping[str, str],
    colours: Mapping[int, str],
) -> None:
    height, width = view.grid.shape
    classes = bool(product.flags)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".cog-") as work:
        staged = Path(work) / "plain.tif"
        with rasterio.open(
            staged,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=1,
            dtype=product.dtype,
            crs=view.grid.crs.to_wkt(),
            transform=view.grid.transform,
            nodata=product.fill,
            tiled=True,
            blockxsize=256,
            blockysize=256,
            compress="ZSTD",
            bigtiff="IF_SAFER",
        ) as target:
            for rows, columns in windows((height, width), view.grid.tile_size):
                values = view.read(period.cadence, product.id, period.id, (rows, columns))
                target.write(values, 1, window=Window.from_slices(rows, columns))
            target.scales, target.offsets = (product.scale,), (0.0,)
            target.units = (product.units,)
            target.set_band_description(1, f"{product.title.en} ({product.title.zh})")
            target.update_tags(**tags, product=product.id, method=product.method or "none")
            if product.flags:
                named = {f"class_{c}": f"{t.en} ({t.zh})" for c, (_, t) in product.flags.items()}
                target.update_tags(1, **named)
            if product.id == "landcover" and colours:
                target.write_colormap(1, {c: _rgb(colour) for c, colour in colours.items()})
        resampling = Resampling.mode if classes else Resampling.average
        copy_raster(
            staged,
            path,
            driver="COG",
            compress="DEFLATE",
            predictor="NO" if classes else "YES",
            blocksize=256,
            overview_resampling=resampling.name.upper(),
            num_threads=1,
        )


def _rgb(colour: str) -> tuple[int, int, int]:
    digits = colour.removeprefix("#")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def _check(view: CubeView, period: Period, product: str, path: Path) -> None:
    with rasterio.open(path) as source:
        layout = source.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
        same = layout == "COG" and all(
            np.array_equal(
                source.read(1, window=Window.from_slices(*window)),
                view.read(period.cadence, product, period.id, window),
            )
            for window in windows(view.grid.shape, view.grid.tile_size)
        )
    if not same:
        raise InputError(
            "a GeoTIFF of the release differs from the archive",
            where=f"{product}, {period.id}",
            fix="look for a defective disk; nothing was published",
        )
