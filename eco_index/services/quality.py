"""Ecosystem quality (HJ 1172-2021) of a period from the cube and rasters of LAI and GPP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eco_index import auxiliary
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError, UsageError
from eco_index.grid import Tile
from eco_index.indices import quality
from eco_index.indices.doors import checked
from eco_index.indices.quality import PARAMETERS, Extremes
from eco_index.methods import Method
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.services.inputs import raster_path
from eco_index.yamlio import Text

VERSION = 1  # changes when results change

METHOD_ID = "hj1172_2021"
Array = np.ndarray[Any, Any]

#: Raster to the units its dataset may declare, with their factor to ours (the first one).
UNITS: dict[str, dict[str, float]] = {
    "lai": {"m2/m2": 1.0, "m2 m-2": 1.0, "1": 1.0},
    "gpp": {
        "gC/(m2 a)": 1.0,
        "gC m-2 a-1": 1.0,
        "gC m-2 yr-1": 1.0,
        "kgC/(m2 a)": 1000.0,
        "kgC m-2 yr-1": 1000.0,
    },
}
TITLES = {
    "lai": Text(zh="叶面积指数", en="leaf area index"),
    "gpp": Text(zh="总初级生产力", en="gross primary production"),
}
#: LUCC class to vegetation type of the standard (`quality.TYPES`); the others have none. A
#: judgement: the standard names the four types and no LUCC classes.
LUCC_TYPES = {11: 4, 12: 4, 21: 1, 22: 2, 23: 1, 24: 1, 31: 3, 32: 3, 33: 3}


class QualityInputs:
    """The rasters of the key `quality` for a year.

    Attributes
    ----------
    paths : dict of Path
        By ``lai`` and ``gpp``, for those that are there.
    absent : list of Text
        What has no file for the year.
    """

    def __init__(self, region: Region, year: int) -> None:
        """Find the files.

        Raises
        ------
        UsageError
            The region has no key `quality`, or a dataset is no raster.
        InputError
            A dataset declares no unit, or another than it must have.
        """
        if region.config.quality is None:
            raise UsageError("the region file has no key 'quality'", where=str(region.config.path))
        self.region, self.datasets = region, region.config.quality.datasets()
        self.paths: dict[str, Path] = {}
        self.absent: list[Text] = []
        for key, dataset_id in self.datasets.items():
            where = f"{region.config.path}, key 'quality.{key}'"
            path = raster_path(region, dataset_id, where, TITLES[key], UNITS[key], year)
            if path.is_file():
                self.paths[key] = path
                continue
            title = TITLES[key]
            self.absent.append(
                Text(
                    zh=f"{title.zh}（“{dataset_id}”无{year}年文件）",
                    en=f"{title.en} (no file of '{dataset_id}' for {year})",
                )
            )

    def read(self, key: str, tile: Tile) -> Array:
        """Return a raster on a tile, float64 in our unit; NaN where missing.

        Raises
        ------
        InputError
            Values that the unit cannot have.
        """
        where = f"key 'quality.{key}'"
        dataset = self.region.catalog.get(self.datasets[key], where)
        values = auxiliary.read_values(self.paths[key], dataset, self.region.grid, tile)
        assert dataset.units is not None
        unit, low, high, _ = PARAMETERS[key]
        try:
            scaled = values.astype(np.float64) * UNITS[key][dataset.units]
            return checked(scaled, TITLES[key].en, unit, low, high)
        except InputError as error:
            place = f"{self.paths[key]} ({where}, tile {tile.id})"
            raise InputError(error.what, where=place, rule=error.rule, fix=error.fix) from None


class QualityMaps:
    """The index of one period, or of several that are made comparable.

    Parameters
    ----------
    region, view : Region, CubeView
    periods : sequence of Period
        Whole years whose values are compared: their least and greatest values count, by zone and
        vegetation type.
    zones : callable
        Zones of a tile, integers, 0 for none.
    n_zones : int
    method : Method
        ``hj1172_2021``.

    Notes
    -----
    Every tile is read once for the extremes of each period, and once for each map. A density is its
    value over the greatest one, so its extremes follow from those of the values exactly.
    """

    def __init__(
        self,
        region: Region,
        view: CubeView,
        periods: Sequence[Period],
        zones: Callable[[Tile], Array],
        n_zones: int,
        method: Method,
    ) -> None:
        config = region.config.quality
        self.inputs = {p: QualityInputs(region, p.year) for p in periods}
        assert config is not None  # QualityInputs has seen to it
        self.view, self.zones, self.n_zones, self.method = view, zones, n_zones, method
        self.how = config.normalisation or method.choices["normalisation"]
        method.number("weight.lai")
        self._types = np.zeros(256, np.uint8)
        for lucc, kind in LUCC_TYPES.items():
            self._types[lucc] = kind
        self._best = {name: self._extremes(name) for name in PARAMETERS}
        self._limits = {name: _of_density(best) for name, best in self._best.items()}
        if self.how == "region":
            self._limits = {name: limits.everywhere() for name, limits in self._limits.items()}

    def _values(self, name: str, period: Period, tile: Tile) -> Array:
        if name != "fvc":
            return self.inputs[period].read(name, tile)
        product = PRODUCTS["fvc"]
        stored = self.view.read(period.cadence, "fvc", period.id, tile)
        return np.where(stored == product.fill, np.nan, stored * product.scale)

    def _kinds(self, period: Period, tile: Tile) -> tuple[Array, Array]:
        """Return vegetation types, and where the class is not known."""
        land = self.view.read(period.cadence, "landcover", period.id, tile)
        return self._types[land], land == (PRODUCTS["landcover"].fill or 0)

    def _extremes(self, name: str) -> Extremes:
        found = Extremes(*np.full((2, self.n_zones + 1, len(quality.TYPES) + 1), np.nan))
        for period in self.inputs:
            for tile in self.view.grid.tiles():
                values, zones = self._values(name, period, tile), self.zones(tile)
                kinds, _ = self._kinds(period, tile)
                found = found.merge(quality.extremes(values, zones, kinds, self.n_zones))
        return found

    def tile(self, period: Period, tile: Tile) -> tuple[Array, Array]:
        """Return the index on a tile, and where it is wanted.

        Returns
        -------
        index : float64 array, (h, w)
            0–100, NaN where a parameter, the zone or the class is missing.
        scope : bool array, (h, w)
            The class is a vegetation type, or not known.

        Raises
        ------
        InputError
            A raster with values that cannot be.
        """
        zones, (kinds, unknown) = self.zones(tile), self._kinds(period, tile)
        parts = {}
        for name in PARAMETERS:
            values = self._values(name, period, tile)
            part = quality.relative_density(values, zones, kinds, self._best[name])
            if self.how != "none":
                part = quality.scaled(part, zones, kinds, self._limits[name])
            parts[name] = part
        index = quality.quality_index(parts["lai"], parts["fvc"], parts["gpp"], self.method)
        return index, (kinds > 0) | unknown


def _of_density(best: Extremes) -> Extremes:
    """Return the extremes of values over the greatest of them."""
    low, high = np.full(best.low.shape, np.nan), np.full(best.high.shape, np.nan)
    some = best.high > 0
    np.divide(best.low, best.high, out=low, where=some)
    high[some] = 1.0
    return Extremes(low, high)


def quality_receipts(region: Region, years: Sequence[int]) -> list[Any]:
    """Return what identifies the rasters of years, and the code that reads them."""
    config = region.config.quality
    if config is None:
        return []
    found: list[Any] = [VERSION, quality.VERSION]
    for year in sorted({*years, *config.reference_years}):
        inputs = QualityInputs(region, year)
        found.append(
            {
                key: auxiliary.receipt(inputs.paths[key], dataset, whole=False)
                if key in inputs.paths
                else None
                for key, dataset in inputs.datasets.items()
            }
        )
    return found
