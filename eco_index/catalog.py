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
from eco_index.yamlio import Strict, Text


class Band(Strict):
    """How one band of an imagery dataset is stored.

    Physical value = stored value x scale + offset (an offset rule may replace the offset).
    """

    asset: tuple[str, ...] = Field(description="asset keys in order of preference")
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    valid_range: tuple[float, float] | None = Field(
        None, description="range of stored values that are measurements"
    )
    units: str = "1"


class Mask(Strict):
    """Which band and which recipe (eco_index.sensors.MASK_RECIPES) say what a pixel shows."""

    band: str
    recipe: str
    version: int = 1


class StacFolder(Strict):
    """A static STAC catalogue, or any folder that holds STAC items (``*.json``)."""

    type: Literal["stac_folder"] = "stac_folder"
    path: str
    items: str = "**/*.json"
    assets: Literal["href", "beside_item"] = Field(
        "href", description="beside_item: files lie beside the item, whatever its hrefs say"
    )


class StacApi(Strict):
    """A STAC API."""

    type: Literal["stac_api"] = "stac_api"
    url: str
    collection: str
    query: dict[str, Any] = Field(default_factory=dict)
    sign: Literal["none", "planetary_computer"] = "none"


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


class RasterFile(Strict):
    """A raster layer; ``{year}`` in the path is replaced by the year asked for."""

    type: Literal["raster"] = "raster"
    path: str


class VectorFile(Strict):
    """A vector layer; ``{year}`` in the path is replaced by the year asked for."""

    type: Literal["vector"] = "vector"
    path: str
    layer: str | None = None


class TableFile(Strict):
    """A CSV table; ``{year}`` in the path is replaced by the year asked for."""

    type: Literal["table"] = "table"
    path: str


class Written(Strict):
    """A dataset that this project writes; the path starts at the region's output folder."""

    type: Literal["written"] = "written"
    path: str


Access = Annotated[
    StacFolder | StacApi | SceneFiles | EarthEngine | RasterFile | VectorFile | TableFile | Written,
    Field(discriminator="type"),
]


class Cover(Strict):
    """Temporal and spatial cover."""

    start: dt.date | None = None
    end: dt.date | None = None
    bbox: tuple[float, float, float, float] | None = Field(
        None, description="west, south, east, north in degrees"
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
    offset_rule: Literal["none", "sentinel2_baseline_0400"] = "none"
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
        imagery = ("stac_folder", "stac_api", "scene_files", "earth_engine")
        if self.access.type in imagery:
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
    """Read and check a catalogue file."""
    catalog = yamlio.load(path, Catalog)
    catalog._path = Path(path)
    return catalog
