"""The data catalogue: every dataset that is read or written, as typed entries of one file."""

from __future__ import annotations

import datetime as dt
import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from eco_index import yamlio
from eco_index.errors import UsageError
from eco_index.records import Band, Mask, load_dialect, load_harmonisation, load_record
from eco_index.records.sensor import OffsetRule
from eco_index.yamlio import Strict, Text

BoaOffset = Literal["as_stated", "stored", "removed"]


class _Stac(Strict):
    """What all STAC catalogues share."""

    dialect: str | None = Field(None, description="archive whose names hold (configs/dialects)")
    collection: str | None = None
    boa_offset: BoaOffset = Field(
        "as_stated", description="Sentinel-2: overrides what the archive says about the offset"
    )


class StacFolder(_Stac):
    """A static STAC catalogue, or any folder that holds STAC items (``*.json``)."""

    type: Literal["stac_folder"] = "stac_folder"
    path: str
    items: str = "**/*.json"
    assets: Literal["href", "beside_item"] = Field(
        "href", description="beside_item: files lie beside the item, whatever its hrefs say"
    )


class StacStatic(_Stac):
    """A static STAC catalogue behind an address: linked JSON files without a search service."""

    type: Literal["stac_static"] = "stac_static"
    url: str = Field(pattern=r"^https?://", description="of catalog.json or collection.json")
    sign: Literal["none", "planetary_computer"] = "none"


class StacApi(_Stac):
    """A STAC API; address and signing are those of the dialect where they are not given."""

    type: Literal["stac_api"] = "stac_api"
    url: str = ""
    collection: str
    query: dict[str, Any] = Field(default_factory=dict)
    sign: Literal["none", "planetary_computer"] = "none"


class StacGeoparquet(_Stac):
    """A STAC catalogue as one GeoParquet file (stac-geoparquet)."""

    type: Literal["stac_geoparquet"] = "stac_geoparquet"
    path: str
    sign: Literal["none", "planetary_computer"] = "none"


class Screen(Strict):
    """A declared simple cloud screen: thresholds of the user, none is shipped."""

    band: str
    cloud_above: float = Field(description="physical value (reflectance) from which it is cloud")


class Ortho(Strict):
    """How scenes with RPC only are put on the ground."""

    height: float | None = Field(None, description="one height above the ellipsoid, metres")
    dem: str | None = Field(None, description="raster of heights above the ellipsoid, metres")

    @model_validator(mode="after")
    def _one(self) -> Ortho:
        if (self.height is None) == (self.dem is None):
            raise ValueError("give either 'height' or 'dem'")
        return self


class ProductFolder(Strict):
    """A folder of products as they are delivered, without STAC."""

    type: Literal["product_folder"] = "product_folder"
    path: str
    layout: Literal["landsat_c2", "sentinel2_safe", "china_wfv"]
    calibration: str | None = Field(None, description="china_wfv: CSV of gains by sensor and year")
    mask_suffix: str = Field("_mask.tif", description="china_wfv: of the mask beside the image")
    screen: Screen | None = Field(None, description="china_wfv: in place of a mask layer")
    ortho: Ortho | None = Field(None, description="china_wfv: for scenes that have RPC only")


class SceneFiles(Strict):
    """A plain folder of scene files; date and band are read from the file name."""

    type: Literal["scene_files"] = "scene_files"
    path: str
    pattern: str = Field(
        description="regular expression with groups 'date', 'asset' and optionally 'scene'"
    )
    date_format: str = Field(description="strptime format of the group 'date'")


class EarthEngine(Strict):
    """An Earth Engine image collection; credentials come from the client's own store."""

    type: Literal["earth_engine"] = "earth_engine"
    collection: str
    project: str | None = Field(None, description="cloud project; by default ${EE_PROJECT}")
    reduce: Literal["here", "server"] = Field(
        "here",
        description="server: Earth Engine makes the composites and sends those, not the scenes",
    )
    received: str | None = Field(
        None, description="folder of exported composites (`eco exports`): read before asking"
    )

    @model_validator(mode="after")
    def _exports_are_reduced(self) -> EarthEngine:
        if self.received is not None and self.reduce != "server":
            raise ValueError("'received' are composites of the server: it needs 'reduce: server'")
        return self


class RasterFile(Strict):
    """A raster layer; ``{year}`` in the path is replaced by the year asked for."""

    type: Literal["raster"] = "raster"
    path: str


class VectorFile(Strict):
    """A vector layer; ``{year}`` in the path is replaced by the year asked for."""

    type: Literal["vector"] = "vector"
    path: str
    layer: str | None = None
    datum: Literal["wgs84", "cgcs2000", "gcj02"] | None = Field(
        None,
        description="what coordinates refer to; gcj02 is converted; default: what the CRS says",
    )


class TableFile(Strict):
    """A CSV table; ``{year}`` in the path is replaced by the year asked for."""

    type: Literal["table"] = "table"
    path: str


class Written(Strict):
    """A dataset that this project writes; the path starts at the region's output folder."""

    type: Literal["written"] = "written"
    path: str


Access = Annotated[
    StacFolder
    | StacApi
    | StacStatic
    | StacGeoparquet
    | SceneFiles
    | ProductFolder
    | EarthEngine
    | RasterFile
    | VectorFile
    | TableFile
    | Written,
    Field(discriminator="type"),
]


class Cover(Strict):
    """Temporal and spatial cover."""

    start: dt.date | None = None
    end: dt.date | None = None
    bbox: tuple[float, float, float, float] | None = Field(
        None, description="west, south, east, north in degrees"
    )


IMAGERY = (
    "stac_folder",
    "stac_api",
    "stac_static",
    "stac_geoparquet",
    "scene_files",
    "product_folder",
    "earth_engine",
)


class Dataset(Strict):
    """One dataset."""

    title: Text
    source: str = Field(description="who made it and where it comes from")
    licence: str
    access: Access
    cover: Cover = Cover()
    resolution_m: float | None = None
    sensor: str | None = None
    record: str | None = Field(
        None, description="sensor record (configs/sensors) that gives bands, mask, offset rule"
    )
    harmonisation: str | None = Field(
        None, description="set by the region file: coefficients of configs/harmonisation"
    )
    offset_rule: OffsetRule = "none"
    bands: dict[str, Band] = Field(default_factory=dict, description="by common band name")
    mask: Mask | None = None
    legend: str | None = Field(None, description="land cover: crosswalk file in configs/crosswalks")
    nodata: float | None = None
    units: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    columns: dict[str, Text] = Field(default_factory=dict, description="tables: what columns mean")
    notes: str | None = None
    _also_read: tuple[str, ...] = PrivateAttr(default=())

    @property
    def also_read(self) -> tuple[str, ...]:
        """Bands that the region's composite method weighs beside those NDVI needs."""
        return self._also_read

    @model_validator(mode="after")
    def _imagery_has_bands(self) -> Dataset:
        if self.access.type in IMAGERY and self.record is None:
            if not self.bands:
                raise ValueError("imagery needs 'bands'")
            if self.mask is None:
                raise ValueError("imagery needs 'mask' (band, recipe, version)")
            if self.mask.band not in self.bands:
                raise ValueError(f"mask band '{self.mask.band}' is not among the bands")
        return self


class Catalog(Strict):
    """All datasets, by id."""

    version: Literal[1]
    datasets: dict[str, Dataset]
    _path: Path = PrivateAttr(default=Path("data_catalog.yaml"))

    @property
    def path(self) -> Path:
        return self._path

    @cached_property
    def folder(self) -> Path:
        """Relative paths in the catalogue and in region files start here."""
        return self._path.resolve().parent

    def get(self, dataset_id: str, wanted_by: str) -> Dataset:
        """Return a dataset.

        Raises
        ------
        UsageError
            No entry of that name; the message names it and who wants it.
        """
        try:
            return self.datasets[dataset_id]
        except KeyError:
            known = ", ".join(sorted(self.datasets)) or "none"
            raise UsageError(
                f"the catalogue has no dataset '{dataset_id}'",
                where=f"{self._path} (wanted by {wanted_by})",
                rule=f"every dataset read or written has an entry; known: {known}",
                fix=f"add an entry '{dataset_id}' or name another dataset",
            ) from None

    def path_of(self, dataset_id: str, wanted_by: str, year: int | None = None) -> Path:
        """Return the expanded path of a file dataset (``${VAR}``, ``{year}``, relative paths)."""
        access = self.get(dataset_id, wanted_by).access
        text = getattr(access, "path", None)
        if text is None:
            raise UsageError(
                f"dataset '{dataset_id}' has no path (access type {access.type})",
                where=f"{self._path} (wanted by {wanted_by})",
            )
        return self.resolve(text, f"{self._path}, dataset '{dataset_id}'", year)

    def resolve(self, text: str, where: str, year: int | None = None) -> Path:
        """Expand a path text; relative paths start at the catalogue's folder."""
        text = yamlio.expand(text, where)
        if "{year}" in text:
            if year is None:
                raise UsageError("the path depends on the year, none was given", where=where)
            text = text.replace("{year}", str(year))
        path = Path(text)
        # normpath, not resolve: a linked folder keeps the name the user gave it.
        return Path(os.path.normpath(path if path.is_absolute() else self.folder / path))


def load_catalog(path: Path | str) -> Catalog:
    """Read and check a catalogue file; datasets that name a sensor record are filled from it."""
    catalog = yamlio.load(path, Catalog)
    catalog._path = Path(path)
    for dataset_id, dataset in catalog.datasets.items():
        if dataset.access.type in IMAGERY:
            catalog.datasets[dataset_id] = completed(dataset, f"{path}, dataset '{dataset_id}'")
    return catalog


def completed(dataset: Dataset, where: str) -> Dataset:
    """Return an imagery dataset with what its sensor record and archive dialect say.

    What the catalogue states itself counts before the record; the dialect's asset keys count
    before the record's.

    Raises
    ------
    UsageError
        No such record or dialect, or they do not fit each other.
    """
    access, names = dataset.access, {}
    if isinstance(access, _Stac) and access.dialect is not None:
        dialect = load_dialect(access.dialect)
        collection = dialect.collections.get(access.collection or "")
        if collection is None:
            raise UsageError(
                f"archive '{dialect.id}' has no known collection '{access.collection}'",
                where=where,
                rule=f"known collections: {', '.join(sorted(dialect.collections))}",
                fix="correct 'access.collection', or leave out 'access.dialect' and give 'bands'",
            )
        if dataset.record is not None and dataset.record not in collection.records:
            raise UsageError(
                f"collection '{access.collection}' does not hold '{dataset.record}'",
                where=where,
                rule=f"it holds {', '.join(collection.records)}",
            )
        names = collection.assets
        given = {"url": dialect.url} if not getattr(access, "url", dialect.url) else {}
        if getattr(access, "sign", None) == "none":
            given["sign"] = dialect.sign
        access = access.model_copy(update=given)
    if isinstance(access, StacApi) and not access.url:
        raise UsageError("the STAC API has no address", where=where, fix="give 'access.url'")
    if dataset.record is None:
        return dataset.model_copy(update={"access": access})
    record = load_record(dataset.record)
    bands = {name: band.plain(names.get(name)) for name, band in record.bands.items()}
    if "ndvi" in dataset.bands and "ndvi" not in record.bands:
        raise UsageError(f"'{record.id}' has no band ndvi", where=where)
    rule = record.offset_rule if dataset.offset_rule == "none" else dataset.offset_rule
    return dataset.model_copy(
        update={
            "access": access,
            "bands": bands | dataset.bands,
            "mask": dataset.mask or record.mask,
            "offset_rule": rule,
            "resolution_m": dataset.resolution_m or record.resolution_m,
            "sensor": dataset.sensor or record.id,
        }
    )


def harmonised(catalog: Catalog, dataset_ids: tuple[str, ...], name: str) -> Catalog:
    """Return the catalogue with a set of coefficients noted in its imagery datasets."""
    load_harmonisation(name)
    datasets = dict(catalog.datasets)
    for dataset_id in dataset_ids:
        dataset = catalog.get(dataset_id, "key 'harmonisation' of the region file")
        if "ndvi" in dataset.bands:
            raise UsageError(
                f"dataset '{dataset_id}' is read as NDVI: it cannot be harmonised",
                rule="coefficients hold for reflectances",
                fix="leave out 'harmonisation' or the dataset",
            )
        datasets[dataset_id] = dataset.model_copy(update={"harmonisation": name})
    changed = catalog.model_copy(update={"datasets": datasets})
    changed._path = catalog._path
    return changed
