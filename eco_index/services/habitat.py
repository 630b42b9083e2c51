"""Habitat quality (InVEST's formulas) of a period from the cube's land cover and threat rasters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eco_index import auxiliary
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError, UsageError
from eco_index.grid import Tile
from eco_index.indices import habitat
from eco_index.indices.habitat import HabitatChain
from eco_index.indices.habitat_parameters import HabitatParameters, load_habitat
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.services.inputs import raster_path
from eco_index.yamlio import Text

VERSION = 1  # changes when results change

Array = np.ndarray[Any, Any]
#: Units that a raster of a threat or of accessibility may declare, with their factor.
UNITS = {"1": 1.0, "%": 0.01, "percent": 0.01}
_ACCESS = Text(zh="可达性", en="accessibility")


def parameters_of(region: Region) -> HabitatParameters:
    """Return the parameters that a region names; a path starts at the region file.

    Raises
    ------
    UsageError
        No key `habitat`, an unknown or malformed file, threats without a raster or of no use.
    """
    config = region.config.habitat
    where = f"{region.config.path}, key 'habitat'"
    if config is None:
        raise UsageError("the region file has no key 'habitat'", where=str(region.config.path))
    name: str | Path = config.parameters
    if config.parameters.endswith(".yaml"):
        name = region.config.path.resolve().parent / config.parameters
    parameters = load_habitat(name)
    wanted, given = set(parameters.map_threats), set(config.threats)
    if wanted != given:
        raise UsageError(
            f"rasters are named for the threats {sorted(given) or 'none'}",
            where=where,
            rule=f"one for each of: {', '.join(sorted(wanted)) or 'none'}",
            fix="the other threats of the parameters are classes of the land cover",
        )
    return parameters


class HabitatMaps:
    """The maps of a period.

    Attributes
    ----------
    parameters : HabitatParameters
    missing : list of Text
        Rasters that have no file for the year; empty: it can be computed.
    """

    def __init__(self, region: Region, view: CubeView, period: Period) -> None:
        self.region, self.view, self.period = region, view, period
        self.parameters = parameters_of(region)
        size = region.grid.resolution
        self.chain = HabitatChain(self.parameters, (size, size))
        assert region.config.habitat is not None  # parameters_of has seen to it
        self.datasets = region.config.habitat.datasets()
        self.paths: dict[str, Path] = {}
        self.missing: list[Text] = []
        for key, dataset_id in self.datasets.items():
            title = self._title(key)
            path = raster_path(region, dataset_id, self._where(key), title, UNITS, period.year)
            self.paths[key] = path
            if not path.is_file():
                self.missing.append(
                    Text(
                        zh=f"{title.zh}（“{dataset_id}”无{period.year}年文件）",
                        en=f"{title.en} (no file of '{dataset_id}' for {period.year})",
                    )
                )

    def _title(self, key: str) -> Text:
        if key == "access":
            return _ACCESS
        return self.parameters.threats[key.removeprefix("threats.")].name

    def _where(self, key: str) -> str:
        return f"{self.region.config.path}, key 'habitat.{key}'"

    def _read(self, key: str, tile: Tile) -> Array:
        dataset = self.region.catalog.get(self.datasets[key], self._where(key))
        values = auxiliary.read_values(self.paths[key], dataset, self.region.grid, tile)
        assert dataset.units is not None
        return values * np.float32(UNITS[dataset.units])

    def tile(self, tile: Tile) -> tuple[Array, Array]:
        """Return degradation and quality on a tile.

        Returns
        -------
        degradation, quality : float64 array, (h, w)
            0–1; NaN where land cover or accessibility is missing. The same for any tiles.

        Raises
        ------
        InputError
            A class without parameters (with its pixels), a threat that is missing somewhere, values
            that cannot be.
        """
        depth, grid = self.chain.reach, self.region.grid
        (dy, dx), (height, width) = depth, grid.shape
        inner = Tile(
            tile.row,
            tile.col,
            max(tile.y0 - dy, 0),
            min(tile.y1 + dy, height),
            max(tile.x0 - dx, 0),
            min(tile.x1 + dx, width),
        )
        # Beyond the grid nothing is known, and nothing counts.
        beyond = [
            (inner.y0 - tile.y0 + dy, tile.y1 + dy - inner.y1),
            (inner.x0 - tile.x0 + dx, tile.x1 + dx - inner.x1),
        ]
        period = self.period
        land = self.view.read(period.cadence, "landcover", period.id, inner)
        fill = PRODUCTS["landcover"].fill or 0
        cover = np.pad(np.where(land == fill, 0, land), beyond)
        try:
            threats = [
                np.pad(self._read(f"threats.{name}", inner), beyond)
                for name in self.parameters.map_threats
            ]
            access = None
            if "access" in self.paths:
                access = self._read("access", tile).astype(np.float64)
            degradation, quality = self.chain(cover, threats, access, depth)
        except InputError as error:
            place = f"{self.region.config.path}, key 'habitat' ({period.id}, tile {tile.id})"
            raise InputError(error.what, where=place, rule=error.rule, fix=error.fix) from None
        return degradation, quality


def habitat_receipts(region: Region, years: Sequence[int]) -> list[Any]:
    """Return what identifies parameters, rasters of years, and the code that reads them."""
    if region.config.habitat is None:
        return []
    found: list[Any] = [VERSION, habitat.VERSION, parameters_of(region).digest]
    for year in years:
        for key, dataset in region.config.habitat.datasets().items():
            path = region.catalog.path_of(dataset, f"key 'habitat.{key}'", year)
            there = path.is_file()
            found.append(auxiliary.receipt(path, dataset, whole=False) if there else None)
    return found
