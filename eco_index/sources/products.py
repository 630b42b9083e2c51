"""Folders of products as archives deliver them: Landsat and SAFE directories without STAC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eco_index.catalog import Catalog, Dataset, ProductFolder
from eco_index.errors import InputError
from eco_index.grid import Grid
from eco_index.sources.assets import Unusable, assets_of
from eco_index.sources.dialects import of_record
from eco_index.sources.newest import newest_only
from eco_index.sources.preflight import header_bbox
from eco_index.sources.raster import raster_env
from eco_index.sources.scene import Asset, AssetFailure, Found, Scene, touches
from eco_index.sources.stac import split_band


@dataclass
class Product:
    """What the metadata of a product directory say.

    Attributes
    ----------
    id : str
    when : datetime
        UTC.
    files : dict
        Asset key to file.
    properties : dict
        As those of a STAC item.
    problem : str
        Why it cannot be used; empty where it can.
    """

    id: str
    when: dt.datetime
    files: dict[str, Path]
    properties: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Unreadable:
    """A product whose metadata cannot be read."""

    id: str
    reason: str


Reader = Callable[[Path, Dataset], Iterator[Product | Unreadable]]


def reader_of(layout: str) -> Reader:
    """Return what walks a folder of one layout."""
    if layout == "landsat_c2":
        from eco_index.sources.landsat_products import products

        return products
    from eco_index.sources.safe_products import products as safe

    return safe


class ProductFolderSource:
    """A folder of Landsat Collection 2 or Sentinel-2 SAFE directories."""

    def __init__(
        self, dataset_id: str, dataset: Dataset, catalog: Catalog, grid: Grid | None = None
    ) -> None:
        assert isinstance(dataset.access, ProductFolder)
        self.id, self.dataset, self.access, self.grid = dataset_id, dataset, dataset.access, grid
        self.where = f"{catalog.path}, dataset '{dataset_id}'"
        self.folder = catalog.resolve(self.access.path, self.where)
        self.catalog = catalog

    def search(
        self, lonlat_bounds: tuple[float, float, float, float], start: dt.date, end: dt.date
    ) -> Found:
        """Return the scenes that touch an area between two days, both included.

        Raises
        ------
        InputError
            The folder is missing or holds no product of its layout.
        """
        if not self.folder.is_dir():
            raise InputError(
                "the folder of products does not exist",
                where=f"{self.where}: {self.folder}",
                fix="correct 'access.path' in the catalogue, or put the data there",
            )
        scenes, failures, any_product = [], [], False
        with raster_env():
            for product in self.products():
                any_product = True
                if isinstance(product, Unreadable):
                    failures.append(AssetFailure(self.id, product.id, "", product.reason))
                    continue
                if not self._wanted(product, start, end):
                    continue
                found = self.scene(product)
                if isinstance(found, AssetFailure):
                    failures.append(found)
                elif touches(found.bbox, lonlat_bounds, margin=0.0):
                    scenes.append(found)
        if not any_product:
            raise InputError(
                f"the folder holds no product of layout '{self.access.layout}'",
                where=f"{self.where}: {self.folder}",
                rule="landsat_c2: *_MTL.json, .xml or .txt; sentinel2_safe: MTD_MSIL2A.xml or "
                "*.SAFE; china_wfv: *.xml with SatelliteID and SensorID",
            )
        return Found(tuple(newest_only(scenes)), tuple(sorted(failures)))

    def products(self) -> Iterator[Product | Unreadable]:
        """Yield what lies in the folder, in order of names."""
        return reader_of(self.access.layout)(self.folder, self.dataset)

    def _wanted(self, product: Product, start: dt.date, end: dt.date) -> bool:
        if not start <= product.when.date() <= end:
            return False
        return of_record(self.dataset, product.properties)

    def scene(self, product: Product) -> Scene | AssetFailure:
        """Turn a product into a scene, or say why it is none."""
        if product.problem:
            return AssetFailure(self.id, product.id, "", product.problem)

        def find(key: str) -> Asset | None:
            name, number = split_band(key)
            path = product.files.get(name)
            if path is None:
                return None
            size = path.stat().st_size if path.is_file() else None
            return Asset(str(path), size, None, number)

        try:
            assets = assets_of(self.dataset, find, ", ".join(sorted(product.files)) or "none")
        except Unusable as problem:
            return AssetFailure(self.id, product.id, problem.asset, problem.reason)
        mask = self.dataset.mask
        band = mask.band if mask is not None else next(iter(assets))
        bbox = header_bbox(assets[band].href, self.dataset)
        if isinstance(bbox, str):
            return AssetFailure(self.id, product.id, band, bbox)
        when = product.when.strftime("%Y-%m-%dT%H:%M:%SZ")
        return Scene(product.id, self.id, when, bbox, assets, product.properties)
