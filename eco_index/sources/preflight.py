"""A cheap look at every asset before anything is computed: there, readable, whole, fit."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from eco_index.catalog import Dataset
from eco_index.digests import hash_of
from eco_index.errors import EcoError, InputError
from eco_index.sensors import decode_of, needed_bands
from eco_index.sources.address import is_derived, parse
from eco_index.sources.opening import open_asset, readable_name
from eco_index.sources.raster import local_path, short_reason
from eco_index.sources.scene import Asset, AssetFailure, Scene
from eco_index.sources.tiff_blocks import TiffFile

_EDGE = 64 * 1024  # bytes hashed at each end of a file
_LONLAT = "EPSG:4326"

Bbox = tuple[float, float, float, float]


def check_scene(scene: Scene, dataset: Dataset) -> Scene | AssetFailure:
    """Look at every asset of a scene that a composite needs.

    Checked: the file exists and opens as a raster with a CRS; it has the band; every block that
    its directory names lies inside the file (a truncated download is found without reading a
    pixel); the scene's properties say how values are decoded.

    Returns
    -------
    Scene or AssetFailure
        The scene with sizes, checksums and the true bounding box of its files; or why not.
    """
    assets: dict[str, Asset] = {}
    boxes: list[Bbox] = []
    for band in needed_bands(dataset):
        asset = scene.assets.get(band)
        if asset is None:
            has = ", ".join(sorted(scene.assets)) or "none"
            return AssetFailure(
                scene.dataset, scene.id, band, f"band {band} missing: scene has {has}"
            )
        try:
            decode_of(dataset, band, scene.properties)
            assets[band], box = _check_asset(asset, dataset)
        except InputError as error:
            return AssetFailure(scene.dataset, scene.id, band, error.what)
        if not _meets(box, scene.bbox):
            return AssetFailure(scene.dataset, scene.id, band, _elsewhere(box, scene.bbox))
        boxes.append(box)
    # What is read is what all files cover; the mask band decides where there is an observation.
    return dataclasses.replace(scene, assets=assets, bbox=boxes[-1])


def _meets(a: Bbox, b: Bbox) -> bool:
    """Tell whether two boxes in degrees have anything in common, all round the globe."""
    if a[1] > b[3] or a[3] < b[1]:
        return False
    if a[0] > a[2] or b[0] > b[2]:
        return True  # one crosses the antimeridian: not judged
    return a[0] <= b[2] and a[2] >= b[0]


def _elsewhere(found: Bbox, said: Bbox) -> str:
    texts = [", ".join(f"{v:.2f}" for v in box) for box in (found, said)]
    return (
        f"by its own header the file lies at {texts[0]} (degrees), the scene's item says "
        f"{texts[1]}: its CRS or its place is wrong"
    )


def header_bbox(href: str, dataset: Dataset) -> Bbox | str:
    """Return the bounding box (degrees) that a file's header states, or why there is none."""
    try:
        path = local_path(href)
        if path is not None and path.is_file():
            refuse_hdf4(path)
        return _bbox(open_asset(href, dataset))
    except (RasterioError, OSError) as error:
        return f"cannot be opened: {short_reason(error)}"
    except EcoError as error:
        return error.what


def _check_asset(asset: Asset, dataset: Dataset) -> tuple[Asset, Bbox]:
    checked, source = _receipt(asset, dataset)
    return checked, _bbox(source)


def _receipt(asset: Asset, dataset: Dataset) -> tuple[Asset, Any]:
    """Return an asset with size and checksum, and its open raster; whole, wherever it lies."""
    if is_derived(asset.href):
        return _derived_receipt(asset, dataset)
    path = local_path(asset.href)
    if path is not None and not path.is_file():
        raise InputError(f"file not found: {path}")
    if path is not None:
        refuse_hdf4(path)
    try:
        source = open_asset(asset.href, dataset)
    except (RasterioError, OSError) as error:
        raise InputError(f"cannot be opened as a raster: {short_reason(error)}") from None
    if asset.band > source.count:
        raise InputError(f"the file has {source.count} band(s), not {asset.band}")
    if path is not None:
        checked = dataclasses.replace(asset, size=path.stat().st_size, checksum=checksum_of(path))
    elif asset.href.startswith("http"):
        size, etag = _remote_receipt(asset.href, dataset)
        checked = dataclasses.replace(
            asset, size=size or asset.size, checksum=asset.checksum or etag
        )
    else:
        checked = asset
    if checked.size is not None:
        _check_blocks(source, asset.band, checked.size)
    return checked, source


def _derived_receipt(asset: Asset, dataset: Dataset) -> tuple[Asset, Any]:
    """Look at every part; the receipt is that of all parts together."""
    parts: list[Asset] = []
    for part in parse(asset.href).parts:
        checked, _ = _receipt(Asset(part.href, None, None, part.band), dataset)
        parts.append(checked)
    try:
        source = open_asset(asset.href, dataset)
    except (RasterioError, OSError) as error:
        raise InputError(f"cannot be opened as a raster: {short_reason(error)}") from None
    sizes, sums = [p.size for p in parts], [p.checksum for p in parts]
    size = sum(s for s in sizes if s is not None) if None not in sizes else None
    # Options (calibration, screen, geometry) decide values too: they are part of the sum.
    own = parse(asset.href)
    text = hash_of([own.kind, own.options, [p.band for p in own.parts], sums])
    checksum = f"parts:{text[:32]}" if None not in sums else None
    return dataclasses.replace(asset, size=size, checksum=checksum), source


def refuse_hdf4(path: Path) -> None:
    """Raise where a file is HDF4 and GDAL here cannot read it (wheels cannot).

    Raises
    ------
    InputError
        With the reason and a way out.
    """
    with path.open("rb") as file:
        if file.read(4) != b"\x0e\x03\x13\x01":
            return
    with rasterio.Env() as env:
        if "HDF4" in env.drivers():
            return
    raise InputError(
        f"{path.name} is an HDF4 file, and the GDAL of this installation has no HDF4 driver: "
        "convert it (gdal_translate of another GDAL, or NASA's AppEEARS as GeoTIFF)"
    )


def _check_blocks(source: Any, band: int, size: int) -> None:
    """Raise where a TIFF's directory names a block beyond the end of the file.

    Blocks without an offset are sparse: legal, they hold no data.
    """
    if isinstance(source, TiffFile):
        beyond = source.block_beyond(size)
        if beyond is not None:
            raise _truncated(*beyond, size)
        return
    if not isinstance(source, rasterio.DatasetReader) or source.driver != "GTiff":
        return
    height, width = source.block_shapes[band - 1]
    for row in range(math.ceil(source.height / height)):
        for col in range(math.ceil(source.width / width)):
            place = f"{col}_{row}"
            offset = source.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band)
            if offset is None:
                continue
            length = source.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band) or 0
            end = int(offset) + int(length)
            if end > size:
                raise _truncated(row, col, end, size)


def _truncated(row: int, col: int, end: int, size: int) -> InputError:
    return InputError(f"truncated: block {row},{col} ends at byte {end}, the file has {size}")


def _bbox(source: Any) -> Bbox:
    if source.crs is None:
        raise InputError("the file has no CRS")
    width, height, transform = source.width, source.height, source.transform
    corners = [transform @ p for p in ((0, 0), (width, 0), (0, height), (width, height))]
    xs, ys = zip(*corners, strict=True)
    box = (min(xs), min(ys), max(xs), max(ys))
    try:
        west, south, east, north = transform_bounds(source.crs, _LONLAT, *box, densify_pts=21)
    except (RasterioError, ValueError) as error:
        raise InputError(f"its place on earth is not known: {short_reason(error)}") from None
    if not all(map(math.isfinite, (west, south, east, north))):
        raise InputError("its place on earth is not known")
    return west, south, east, north


def checksum_of(path: Path) -> str:
    """Return a cheap digest of a file's content: its size, first and last 64 KiB.

    It notices replaced, truncated or re-processed files, not a bit flipped in the middle.
    """
    digest = hashlib.blake2b(digest_size=16)
    size = path.stat().st_size
    digest.update(size.to_bytes(8, "little"))
    with path.open("rb") as file:
        digest.update(file.read(_EDGE))
        if size > _EDGE:
            file.seek(max(_EDGE, size - _EDGE))
            digest.update(file.read(_EDGE))
    return f"blake2b-64k:{digest.hexdigest()}"


def _remote_receipt(href: str, dataset: Dataset) -> tuple[int | None, str | None]:
    """Ask a server for size and etag; None where it does not say (many signed addresses)."""
    url = readable_name(href, dataset).removeprefix("/vsicurl/")
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            length, etag = answer.headers.get("Content-Length"), answer.headers.get("ETag")
    except (urllib.error.URLError, OSError, ValueError):
        return None, None
    return int(length) if length else None, f"etag:{etag}" if etag else None
