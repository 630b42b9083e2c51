"""Domestic wide-field scenes (GF-1 and GF-6 WFV, HJ-2A/B CCD): GeoTIFF, XML and RPC in a folder."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import RasterioError

from eco_index.catalog import Catalog, Dataset
from eco_index.errors import InputError, UsageError
from eco_index.grid import Grid
from eco_index.records import load_record, platform_id
from eco_index.sensors import CALIBRATION, FILL, needed_bands
from eco_index.sources import rpc as rpc_
from eco_index.sources.address import derive
from eco_index.sources.calibration import Table, read_calibration, reflectance_line
from eco_index.sources.preflight import header_bbox
from eco_index.sources.products import Product, ProductFolderSource, Unreadable
from eco_index.sources.raster import raster_env, short_reason
from eco_index.sources.scene import Asset, AssetFailure, Scene
from eco_index.sources.scene_marks import mark_properties
from eco_index.sources.stac import split_band

# CRESDA writes imaging times of these products in Beijing time.
_BEIJING = dt.timezone(dt.timedelta(hours=8))
_IMAGES = (".tiff", ".tif", ".TIFF", ".TIF")
_RPC = (".rpb", ".RPB", "_RPC.TXT", "_rpc.txt")


class ChinaWfvSource(ProductFolderSource):
    """A folder of scenes as the China Centre for Resources Satellite Data delivers them.

    Orthorectified images are read as they lie. Images with RPC only are put on the lattice of the
    region's grid, with the height or DEM that the catalogue declares. The mask is a layer beside
    the image in this project's codes, or a screen that the catalogue declares.
    """

    def __init__(
        self, dataset_id: str, dataset: Dataset, catalog: Catalog, grid: Grid | None = None
    ) -> None:
        super().__init__(dataset_id, dataset, catalog, grid)
        bands = [b for b in needed_bands(dataset) if dataset.mask is None or b != dataset.mask.band]
        self.bands = bands
        self.table: Table | None = None
        self.pixel_m = dataset.resolution_m or 16.0
        raw = [b for b in bands if dataset.bands[b].units == "DN"]
        if self.access.calibration is not None:
            path = catalog.resolve(self.access.calibration, self.where)
            self.table = read_calibration(path)
        elif raw:
            raise UsageError(
                f"the bands {', '.join(raw)} are digital numbers without calibration",
                where=self.where,
                rule="NDVI is computed from reflectance; no gains are shipped",
                fix="give 'access.calibration' (CSV by satellite, sensor, year, band), or, for "
                "images that are reflectance already, 'bands' with scale and units '1'",
            )
        recipe = dataset.mask.recipe if dataset.mask is not None else ""
        if (self.access.screen is not None) != (recipe == "simple_screen"):
            raise UsageError(
                "a declared screen and the mask recipe 'simple_screen' go together",
                where=self.where,
                fix="with 'access.screen' write mask: {band: clear_sky, recipe: simple_screen}",
            )

    def products(self) -> Iterator[Product | Unreadable]:
        """Yield the scenes of the folder."""
        known = load_record(self.dataset.record).platforms if self.dataset.record else ()
        for path in sorted(self.folder.rglob("*.xml")):
            try:
                texts = {e.tag: (e.text or "").strip() for e in ET.parse(path).iter()}
            except (ET.ParseError, OSError) as error:
                yield Unreadable(path.stem, f"{path.name} cannot be read: {short_reason(error)}")
                continue
            if not {"SatelliteID", "SensorID"} <= texts.keys():
                continue  # another XML, of an overview for example
            if known and platform_id(texts["SatelliteID"]) not in known:
                continue
            try:
                yield from (self._product(path, stem, texts) for stem in _stems(path))
            except (KeyError, ValueError) as error:
                yield Unreadable(path.stem, f"{path.name} lacks or garbles {error}")

    def _product(self, path: Path, stem: str, texts: dict[str, str]) -> Product:
        stated = texts.get("CenterTime") or texts["StartTime"]
        local = dt.datetime.fromisoformat(stated.replace("/", "-")).replace(tzinfo=_BEIJING)
        files: dict[str, Path] = {}
        for key, suffixes in (("image", _IMAGES), ("rpc", _RPC)):
            for beside in (path.with_name(stem + suffix) for suffix in suffixes):
                if beside.is_file():
                    files.setdefault(key, beside)
        mask = path.with_name(stem + self.access.mask_suffix)
        if mask.is_file():
            files["mask"] = mask
        properties: dict[str, Any] = {
            "platform": platform_id(texts["SatelliteID"]),
            "china:sensor": texts["SensorID"],
            "china:level": texts.get("ProductLevel", ""),
        }
        if self.table is not None:
            properties["china:solar_zenith"] = float(texts["SolarZenith"])
        problem = (
            ""
            if "image" in files
            else "there is no GeoTIFF of the XML's name beside it, nor parts NAME-1.tiff ..."
        )
        return Product(stem, local.astimezone(dt.UTC), files, properties, problem)

    def scene(self, product: Product) -> Scene | AssetFailure:
        """Turn a product into a scene, or say why it is none."""
        if product.problem:
            return AssetFailure(self.id, product.id, "", product.problem)
        try:
            return self._scene(product)
        except InputError as error:
            return AssetFailure(self.id, product.id, "", error.what)

    def _scene(self, product: Product) -> Scene:
        image, properties = product.files["image"], dict(product.properties)
        lines = self._lines(product)
        if lines:
            properties[CALIBRATION] = {band: list(line) for band, line in lines.items()}
        wrap, marks = self._geometry(product)
        hrefs = {b: (str(image), split_band(self.dataset.bands[b].asset[0])[1]) for b in self.bands}
        assets = {
            band: wrap(href, number, False, self.dataset.bands[band].nodata)
            for band, (href, number) in hrefs.items()
        }
        mask = self.dataset.mask
        assert mask is not None  # the catalogue refuses imagery without mask
        screen = self.access.screen
        if screen is not None:
            assets[mask.band] = self._screen(assets, wrap, image, lines)
            limits = {"band": screen.band, "cloud_above": screen.cloud_above}
            marks["simple_screen"] = limits
        elif "mask" in product.files:
            assets[mask.band] = wrap(str(product.files["mask"]), 1, True, None)
            _same_size(image, product.files["mask"])
            marks["mask_supplied"] = {}
        else:
            raise InputError(
                f"there is no mask: neither {image.stem}{self.access.mask_suffix} nor a screen"
            )
        if lines:
            marks["top_of_atmosphere"] = {}
        properties |= mark_properties(marks)
        bbox = header_bbox(assets[mask.band].href, self.dataset)
        if isinstance(bbox, str):
            raise InputError(bbox)
        when = product.when.strftime("%Y-%m-%dT%H:%M:%SZ")
        return Scene(product.id, self.id, when, bbox, assets, properties)

    def _lines(self, product: Product) -> dict[str, tuple[float, float]]:
        """Return scale and offset to reflectance of each band that is read; {} without table."""
        if self.table is None:
            return {}
        bands = [*self.bands]
        if self.access.screen is not None and self.access.screen.band not in bands:
            bands.append(self.access.screen.band)
        who = product.properties
        # The year of the scene in China, by which the data centre publishes its gains.
        day = product.when.astimezone(_BEIJING).date()
        lines = {}
        for band in bands:
            key = (who["platform"], who["china:sensor"].lower(), day.year, band)
            gain = self.table.get(key)
            if gain is None:
                raise InputError(
                    f"the calibration file has no row for {who['platform'].upper()} "
                    f"{who['china:sensor']}, {day.year}, band {band}"
                )
            lines[band] = reflectance_line(gain, day, who["china:solar_zenith"])
        return lines

    def _screen(self, assets: dict[str, Asset], wrap: Any, image: Path, lines: Any) -> Asset:
        screen = self.access.screen
        assert screen is not None
        parts = dict(assets)
        if screen.band not in parts:
            entry = self.dataset.bands.get(screen.band)
            if entry is None:
                raise InputError(f"the screen's band {screen.band} is not among the bands")
            number = split_band(entry.asset[0])[1]
            parts[screen.band] = wrap(str(image), number, False, entry.nodata)
        entry = self.dataset.bands[screen.band]
        scale, offset = lines.get(screen.band, (entry.scale, entry.offset))
        href = derive(
            "screen",
            [(a.href, a.band) for a in parts.values()],
            bands=list(parts),
            band=screen.band,
            scale=scale,
            offset=offset,
            cloud_above=screen.cloud_above,
        )
        return Asset(href)

    def _geometry(self, product: Product) -> tuple[Any, dict[str, dict[str, Any]]]:
        """Return what makes an asset of a file, and marks of quality."""
        image = product.files["image"]
        try:
            with raster_env(), rasterio.open(image) as source:
                placed = source.crs is not None and not source.transform.is_identity
                width, height = source.width, source.height
        except (RasterioError, OSError) as error:
            raise InputError(f"cannot be opened as a raster: {short_reason(error)}") from None

        def plain(href: str, band: int, nearest: bool, nodata: float | None) -> Asset:
            return Asset(href, Path(href).stat().st_size, None, band)

        if placed:
            return plain, {}
        if "rpc" not in product.files:
            raise InputError("the image has neither a coordinate system nor an RPC file beside it")
        ortho = self.access.ortho
        if ortho is None or self.grid is None:
            raise InputError(
                "the image has RPC only: declare 'access.ortho' with a height or a DEM"
            )
        rpc = rpc_.read_rpb(product.files["rpc"])
        low = rpc.norm[8] if ortho.height is None else ortho.height
        heights = (low, low) if ortho.height is not None else (low - rpc.norm[9], low + rpc.norm[9])
        options = rpc_.lattice_options(rpc, self.grid, width, height, self.pixel_m, heights)
        dem: list[tuple[str, int]] = []
        if ortho.dem is not None:
            dem = [(str(self.catalog.resolve(ortho.dem, self.where)), 1)]
        else:
            options["height"] = ortho.height

        def warped(href: str, band: int, nearest: bool, nodata: float | None) -> Asset:
            more: dict[str, Any] = {"nearest": nearest}
            more |= {"fill": FILL} if nearest else {"nodata": nodata}
            return Asset(derive("rpc", [(href, band), *dem], **options, **more))

        move = rpc_.shift_per_metre(rpc, self.pixel_m)
        stated = "unstated" if rpc.error_m is None else f"{rpc.error_m:g} m"
        label = f"placed by RPC, bias {stated}, {move:.2f} m for each metre of height"
        product.properties["china:geometry"] = label
        name = "rpc" if dem else "rpc_one_height"
        return warped, {name: {"bias_m": rpc.error_m, "shift": round(move, 2)}}


def _stems(path: Path) -> list[str]:
    """Return the names of a scene's images without ending.

    One image carries the name of the XML. GF-6 WFV comes as several, NAME-1.tiff and so on, each
    with its own RPC and all with one XML: each of them is a scene of its own.
    """
    whole = [path.stem for suffix in _IMAGES if path.with_name(path.stem + suffix).is_file()]
    parts = {
        beside.stem
        for beside in path.parent.iterdir()
        if beside.suffix in _IMAGES and re.fullmatch(re.escape(path.stem) + r"-\d", beside.stem)
    }
    return whole[:1] or sorted(parts) or [path.stem]


def _same_size(image: Path, mask: Path) -> None:
    """Raise where a mask does not have the pixels of its image."""
    sizes = []
    for path in (image, mask):
        try:
            with raster_env(), rasterio.open(path) as source:
                sizes.append((source.width, source.height))
        except (RasterioError, OSError) as error:
            raise InputError(f"{path.name} cannot be opened: {short_reason(error)}") from None
    if sizes[0] != sizes[1]:
        raise InputError(f"the mask has {sizes[1]} pixels, the image {sizes[0]}")
