"""The rasters behind services: which there are for a year, their units, their values on a tile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eco_index import auxiliary
from eco_index.catalog import RasterFile
from eco_index.config import Region
from eco_index.errors import InputError, UsageError
from eco_index.grid import Tile
from eco_index.indices.doors import checked
from eco_index.yamlio import Text

_ONE = {"1": 1.0}
_PERCENT = {"%": 1.0, "percent": 1.0}
_DEPTH = {"mm/a": 1.0, "mm": 1.0, "mm a-1": 1.0, "mm yr-1": 1.0}
#: Input to the units its dataset may declare, with their factor to ours (the first one).
UNITS: dict[str, dict[str, float]] = {
    "dem": {"m": 1.0},
    "erosivity": {
        "MJ mm/(hm2 h a)": 1.0,
        "MJ mm/(ha h a)": 1.0,
        "MJ mm ha-1 h-1 a-1": 1.0,
        "MJ mm ha-1 h-1 yr-1": 1.0,
    },
    "erodibility": {
        "t hm2 h/(hm2 MJ mm)": 1.0,
        "t ha h/(ha MJ mm)": 1.0,
        "t ha h ha-1 MJ-1 mm-1": 1.0,
    },
    "weather_factor": {"kg/m": 1.0, "kg m-1": 1.0},
    "sand": _PERCENT,
    "silt": _PERCENT,
    "clay": _PERCENT,
    "organic": _PERCENT,
    "erodible_fraction": _ONE,
    "crust_factor": _ONE,
    "roughness": _ONE,
    "relief": {"m": 1.0},
    "rain": _DEPTH,
    "evapotranspiration": _DEPTH,
}
#: What an input is called.
TITLES: dict[str, Text] = {
    "dem": Text(zh="高程", en="elevation"),
    "slope_length_m": Text(zh="坡长", en="slope length"),
    "erosivity": Text(zh="降雨侵蚀力R", en="rain erosivity R"),
    "erodibility": Text(zh="土壤可蚀性K", en="soil erodibility K"),
    "weather_factor": Text(zh="气候因子WF", en="weather factor WF"),
    "sand": Text(zh="砂粒含量", en="sand"),
    "silt": Text(zh="粉粒含量", en="silt"),
    "clay": Text(zh="黏粒含量", en="clay"),
    "organic": Text(zh="有机质含量", en="organic matter"),
    "erodible_fraction": Text(zh="土壤可蚀性成分EF", en="erodible fraction EF"),
    "crust_factor": Text(zh="土壤结皮因子SCF", en="soil crust factor SCF"),
    "roughness": Text(zh="地表糙度因子K′", en="roughness factor K'"),
    "relief": Text(zh="地势起伏或糙度因子", en="relief, or roughness factor"),
    "rain": Text(zh="年降水量", en="rain of the year"),
    "evapotranspiration": Text(zh="年蒸散发", en="evapotranspiration of the year"),
}


class ServiceInputs:
    """The rasters of the key `services` for a year.

    Attributes
    ----------
    paths : dict of Path
        Input to its file, for those that are there.
    absent : dict of Text
        Input to why it is not there, for those that are not named or have no file.
    """

    def __init__(self, region: Region, year: int) -> None:
        """Find the files.

        Raises
        ------
        UsageError
            The region has no key `services`, or a dataset is no raster.
        InputError
            A dataset declares no unit, or another than its input has.
        """
        config = region.config.services
        if config is None:
            raise UsageError("the region file has no key 'services'", where=str(region.config.path))
        self.region, self.year, self.config = region, year, config
        self.paths: dict[str, Path] = {}
        self.absent: dict[str, Text] = {}
        named = config.datasets()
        for key in UNITS:
            title = TITLES[key]
            if key not in named:
                self.absent[key] = Text(
                    zh=f"{title.zh}（区域文件未指定）", en=f"{title.en} (not named)"
                )
                continue
            path = self._checked_path(key, named[key])
            if path.is_file():
                self.paths[key] = path
            else:
                self.absent[key] = Text(
                    zh=f"{title.zh}（“{named[key]}”无{year}年文件）",
                    en=f"{title.en} (no file of '{named[key]}' for {year})",
                )
        if config.slope_length_m is None:
            self.absent["slope_length_m"] = Text(
                zh="坡长（区域文件未声明）", en="slope length (not declared)"
            )

    def _wanted_by(self, key: str) -> str:
        return f"{self.region.config.path}, key 'services.{key}'"

    def _checked_path(self, key: str, dataset_id: str) -> Path:
        where = self._wanted_by(key)
        return raster_path(self.region, dataset_id, where, TITLES[key], UNITS[key], self.year)

    def dataset_of(self, key: str) -> str:
        """Return the id of an input's dataset."""
        return self.config.datasets()[key]

    def read(self, key: str, tile: Tile) -> np.ndarray:
        """Return an input on a tile, float32 in the first unit of `UNITS`; NaN where missing."""
        dataset = self.region.catalog.get(self.dataset_of(key), self._wanted_by(key))
        values = auxiliary.read_values(self.paths[key], dataset, self.region.grid, tile)
        assert dataset.units is not None
        return values * np.float32(UNITS[key][dataset.units])

    def elevation(self, tile: Tile) -> np.ndarray:
        """Return elevation with a border of one pixel, float64 (h + 2, w + 2), m.

        The border is read from the file also beyond the grid: no rim without a slope. It is checked
        here, because the chain checks each block's own pixels only.
        """
        around = Tile(
            tile.row, tile.col, tile.y0 - 1, tile.y1 + 1, tile.x0 - 1, tile.x1 + 1
        )  # fmt: skip
        dataset = self.region.catalog.get(self.dataset_of("dem"), self._wanted_by("dem"))
        found = auxiliary.read_surface(self.paths["dem"], dataset, self.region.grid, around)
        return checked(found, "elevation", "m", -500, 9000, "name the no-data code")


def raster_path(
    region: Region,
    dataset_id: str,
    wanted_by: str,
    title: Text,
    units: Mapping[str, float],
    year: int,
) -> Path:
    """Return the file of a raster for a year, whether or not it is there.

    Parameters
    ----------
    region : Region
        Whose catalogue.
    dataset_id, wanted_by : str
        Entry of the catalogue, and the key of the region file that names it.
    title : Text
        What it is called in messages.
    units : mapping
        Units that it may declare.
    year : int
        Stands for ``{year}`` in the path.

    Raises
    ------
    UsageError
        The dataset is no raster.
    InputError
        It declares no unit, or another.
    """
    dataset = region.catalog.get(dataset_id, wanted_by)
    where = f"{region.catalog.path} (wanted by {wanted_by})"
    if not isinstance(dataset.access, RasterFile):
        raise UsageError(
            f"dataset '{dataset_id}' has access type {dataset.access.type}",
            where=where,
            rule="a raster is needed here",
        )
    if dataset.units not in units:
        raise InputError(
            f"dataset '{dataset_id}' has the units {dataset.units!r}",
            where=where,
            rule=f"units of {title.en}: one of {'; '.join(units)}",
            fix="say in the catalogue what the raster holds (units, scale), or convert it",
        )
    return region.catalog.path_of(dataset_id, wanted_by, year)


def service_receipts(region: Region, year: int) -> dict[str, Any]:
    """Return what identifies the rasters of a year; None where there is no file."""
    if region.config.services is None:
        return {}
    inputs = ServiceInputs(region, year)
    return {
        key: auxiliary.receipt(inputs.paths[key], dataset, whole=False)
        if key in inputs.paths
        else None
        for key, dataset in region.config.services.datasets().items()
    }
