"""Earth Engine as a source: images become scenes, pixels come unchanged on their own grid.

Nothing is masked, scaled or resampled on the server: the stored integers of an image's own grid
are fetched, and the same decoding, masks and compositing run over them as over files.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from pyproj import Transformer
from pyproj.exceptions import CRSError

from eco_index.catalog import Dataset, EarthEngine
from eco_index.grid import Grid, Tile
from eco_index.sources import ee_client
from eco_index.sources.address import leaves
from eco_index.sources.assets import Unusable, assets_of
from eco_index.sources.ee_band import (
    BandRef,
    Window,
    band_ref,
    crs_of,
    is_earth_engine,
    split,
)
from eco_index.sources.ee_transport import Limits
from eco_index.sources.newest import newest_only
from eco_index.sources.scene import Asset, AssetFailure, Found, Scene

# Properties kept with a scene, under the names that STAC items use.
PROPERTIES = {
    "PROCESSING_BASELINE": "s2:processing_baseline",
    "SPACECRAFT_ID": "platform",
    "SPACECRAFT_NAME": "platform",
    "PRODUCT_ID": "s2:product_uri",
}
# Pixels read around a tile by the resampling; only the estimate of the cost uses it.
HALO = 2


class Cost(NamedTuple):
    """What reading will ask of the service."""

    requests: int
    bytes: int


class EarthEngineSource:
    """An image collection.

    Parameters
    ----------
    dataset_id : str
    dataset : Dataset
        Catalogue entry with access type ``earth_engine``; ``bands.*.asset`` are band ids.
    where : str
        The catalogue file, for messages.
    """

    def __init__(self, dataset_id: str, dataset: Dataset, where: str = "catalogue") -> None:
        if not isinstance(dataset.access, EarthEngine):
            raise TypeError(f"dataset '{dataset_id}' is not an Earth Engine collection")
        self.id, self.dataset, self.access = dataset_id, dataset, dataset.access
        self.where = f"{where}, dataset '{dataset_id}'"

    def search(
        self, lonlat_bounds: tuple[float, float, float, float], start: dt.date, end: dt.date
    ) -> Found:
        """List the images that touch an area within a time.

        One request for each page of images; pixels are not touched.

        Parameters
        ----------
        lonlat_bounds : tuple of float
            West, south, east, north in degrees.
        start, end : datetime.date
            First and last day, both included (UTC).

        Returns
        -------
        Found
            Scenes by time and id, of one acquisition the newest processing; images that lack a
            band are among the failures.

        Raises
        ------
        UsageError
            No credentials, no project, or no such collection.
        PartialError
            Quota used up, or the service does not answer.
        """
        session = ee_client.client(self.access.project)
        scenes, failures = [], []
        for image in self._images(session, lonlat_bounds, start, end):
            made = self._scene(image)
            if isinstance(made, Scene):
                scenes.append(made)
            else:
                failures.append(made)
        return Found(tuple(newest_only(scenes)), tuple(failures))

    def _images(
        self,
        session: ee_client.Client,
        bounds: tuple[float, float, float, float],
        start: dt.date,
        end: dt.date,
    ) -> Iterator[dict[str, Any]]:
        # One pattern instead of a list of names: an image that lacks one of them is then reported
        # by its id, instead of failing the whole list.
        wanted = sorted({name for band in self.dataset.bands.values() for name in band.asset})
        pattern = "|".join(re.escape(name) for name in wanted)
        first, last = start.isoformat(), (end + dt.timedelta(days=1)).isoformat()
        page = session.limits.page_size
        offset = 0
        while True:

            def images(ee: Any, offset: int = offset) -> Any:
                # One image more than the page says whether another page follows.
                return (
                    ee.ImageCollection(self.access.collection)
                    .filterBounds(ee.Geometry.BBox(*bounds))
                    .filterDate(first, last)
                    .select(pattern)
                    .toList(page + 1, offset)
                )

            found = session.value(
                images,
                f"{self.where}, collection '{self.access.collection}', {start} to {end}",
            )
            yield from found[:page]
            if len(found) <= page:
                return
            offset += page

    def _scene(self, image: dict[str, Any]) -> Scene | AssetFailure:
        properties = image.get("properties", {})
        index = str(properties.get("system:index") or image.get("id", "")).rsplit("/", 1)[-1]
        image_id = str(image.get("id") or f"{self.access.collection}/{index}")
        bands = {str(band["id"]): band for band in image.get("bands", ())}
        checksum = f"ee-version:{image['version']}" if "version" in image else None
        assets: dict[str, Asset] = {}
        ref = None
        mask = self.dataset.mask
        composed = mask is not None and (mask.recipe == "valid_value" or mask.also)
        if self.dataset.record is not None or composed:
            return self._by_record(image_id, index, bands, checksum, properties)
        for name, record in self.dataset.bands.items():
            key = next((key for key in record.asset if key in bands), None)
            if key is None:
                reason = f"band missing (expected {' or '.join(record.asset)})"
                return AssetFailure(self.id, index, name, reason)
            try:
                ref = band_ref(image_id, bands[key], record.nodata)
            except (KeyError, ValueError, CRSError) as error:
                return AssetFailure(self.id, index, name, f"metadata not usable: {error}")
            assets[name] = Asset(ref.href(), ref.nbytes, checksum)
        return self._finished(index, assets, ref, properties)

    def _by_record(
        self,
        image_id: str,
        index: str,
        bands: dict[str, Any],
        checksum: str | None,
        properties: dict[str, Any],
    ) -> Scene | AssetFailure:
        """Only the bands that are read, masks put together: a record lists all of a sensor's."""
        refs: dict[str, BandRef] = {}

        def find(key: str) -> Asset | None:
            if key not in bands:
                return None
            entries = self.dataset.bands.values()
            nodata = next(b.nodata for b in entries if key in b.asset)
            refs[key] = band_ref(image_id, bands[key], nodata)
            return Asset(refs[key].href(), refs[key].nbytes, checksum)

        try:
            assets = assets_of(self.dataset, find, ", ".join(sorted(bands)), "image")
        except Unusable as problem:
            return AssetFailure(self.id, index, problem.asset, problem.reason)
        except (KeyError, ValueError, CRSError) as error:
            return AssetFailure(self.id, index, "", f"metadata not usable: {error}")
        return self._finished(index, assets, next(iter(refs.values()), None), properties)

    def _finished(
        self,
        index: str,
        assets: dict[str, Asset],
        ref: BandRef | None,
        properties: dict[str, Any],
    ) -> Scene | AssetFailure:
        if ref is None or "system:time_start" not in properties:
            return AssetFailure(self.id, index, "", "metadata not usable: no acquisition time")
        when = dt.datetime.fromtimestamp(properties["system:time_start"] / 1000, dt.UTC)
        kept = {ours: properties[key] for key, ours in PROPERTIES.items() if key in properties}
        if self.access.collection.endswith("_HARMONIZED"):
            # Earth Engine has already taken the offset of baseline 04.00 out of these.
            kept["earthsearch:boa_offset_applied"] = True
        return Scene(
            id=index,
            dataset=self.id,
            datetime=when.isoformat().replace("+00:00", "Z"),
            bbox=_bbox(properties.get("system:footprint"), ref),
            assets=assets,
            properties=kept,
        )


def estimate(scenes: Iterable[Scene], grid: Grid, tiles: Iterable[Tile]) -> Cost:
    """Say what reading scenes onto tiles will ask of Earth Engine; nothing is sent.

    Parameters
    ----------
    scenes : iterable of Scene
        Scenes of other sources count nothing.
    grid : Grid
        The region's grid.
    tiles : iterable of Tile
        Tiles that are to be composited.

    Returns
    -------
    Cost
        Requests and bytes (uncompressed answers); without repeats after errors.
    """
    limits, requests, size = Limits.from_env(), 0, 0
    chosen = list(tiles)
    for scene in scenes:
        for href in (leaf for asset in scene.assets.values() for leaf in leaves(asset.href)):
            if not is_earth_engine(href):
                continue
            ref = BandRef.parse(href)
            itemsize = np.dtype(ref.dtype).itemsize
            for tile in chosen:
                window = _window_under(ref, grid, tile)
                if window is not None:
                    requests += sum(1 for _ in split(window, itemsize, limits))
                    size += window[2] * window[3] * itemsize
    return Cost(requests, size)


def _window_under(ref: BandRef, grid: Grid, tile: Tile) -> Window | None:
    left, bottom, right, top = _bounds_in(ref.crs, grid.crs_wkt, grid.tile_bounds(tile))
    inverse = ~ref.affine
    corners = [inverse @ (x, y) for x in (left, right) for y in (bottom, top)]
    cols, rows = [c[0] for c in corners], [c[1] for c in corners]
    x0, x1 = max(0, int(min(cols)) - HALO), min(ref.width, int(max(cols)) + 1 + HALO)
    y0, y1 = max(0, int(min(rows)) - HALO), min(ref.height, int(max(rows)) + 1 + HALO)
    return (y0, x0, y1 - y0, x1 - x0) if x0 < x1 and y0 < y1 else None


@lru_cache(maxsize=4096)
def _bounds_in(
    crs: str, grid_wkt: str, bounds: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    return _transformer(grid_wkt, crs).transform_bounds(*bounds, densify_pts=21)


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(crs_of(source), crs_of(target), always_xy=True)


def _bbox(footprint: Any, ref: BandRef) -> tuple[float, float, float, float]:
    points = np.array(list(_points((footprint or {}).get("coordinates", ()))), dtype=float)
    if points.size and np.isfinite(points).all():
        west, south = points.min(axis=0)
        east, north = points.max(axis=0)
        return float(west), float(south), float(east), float(north)
    corners = [ref.affine @ (x, y) for x in (0, ref.width) for y in (0, ref.height)]
    xs, ys = [c[0] for c in corners], [c[1] for c in corners]
    to_lonlat = _transformer(ref.crs, "EPSG:4326")
    return to_lonlat.transform_bounds(min(xs), min(ys), max(xs), max(ys), densify_pts=21)


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    """Walk through GeoJSON coordinates of any depth."""
    if len(coordinates) == 2 and all(isinstance(v, int | float | str) for v in coordinates):
        yield float(coordinates[0]), float(coordinates[1])
    else:
        for part in coordinates:
            yield from _points(part)
