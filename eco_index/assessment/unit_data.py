"""Unit inputs that the statistics table leaves open: from the cube, vectors, rasters and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from eco_index import auxiliary
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError
from eco_index.indicators import spaces
from eco_index.indicators.connected import Spaces, spaces_connectivity
from eco_index.indicators.species import read_species, species_inputs
from eco_index.methods import Method
from eco_index.period import Period
from eco_index.vectors import read_vector
from eco_index.yamlio import Text
from eco_index.zone_raster import zone_ids
from eco_index.zones import ZoneLayer

#: Share of a unit without data up to which a mean over its pixels is used (own rule).
MOST_WITHOUT_DATA = 0.05
#: Land-use classes of important ecological spaces; rule `source.connectivity` of the method.
SPACE_CLASSES = (21, 22, 23, 31, 32, 41, 42, 43, 44, 45, 46, 64)
#: Input of land disturbance and the number that holds its weight.
DISTURBING = {"area_51": "disturbance.urban", "area_52": "disturbance.rural",
              "area_53": "disturbance.other"}  # fmt: skip
#: Factor to t/(km2 a) by unit of a raster.
RATES = {"t/(km2 a)": 1.0, "t/(hm2 a)": 100.0}

Rows = dict[str, dict[str, Any]]
Values = dict[str, np.ndarray]


def fill_inputs(
    rows: Sequence[Rows],
    region: Region,
    view: CubeView,
    periods: Sequence[Period],
    units: ZoneLayer,
    method: Method,
) -> list[Text]:
    """Compute inputs that the statistics tables leave open, in place; return notes.

    An input is computed for all units and periods, or for none: where a table gives it for some,
    it may hold official figures, and a figure made after a stand-in definition must neither be
    compared with them nor enter the same maximum. A unit that the grid cuts gets nothing.

    Parameters
    ----------
    rows : sequence of dict
        Inputs by unit, one mapping a period.
    region, view
        What the inputs are computed from.
    periods : sequence of Period
        As `rows`.
    units : ZoneLayer
        The units, in the order of the rows.
    method : Method
        Declares the inputs; holds the parameters of what is computed.

    Raises
    ------
    InputError
        A file that cannot be used.
    """
    given = {
        k for period in rows for row in period.values() for k, v in row.items() if v is not None
    }
    notes: list[Text] = []
    for period, own in zip(periods, rows, strict=True):
        task = _Task(own, region, view, period, units, method)
        for names, compute in task.sources():
            wanted = [n for n in names if n in method.file.inputs and n not in given]
            if wanted:
                found = compute()
                notes += [n for name in wanted if (n := task.enter(name, found.get(name)))]
        notes += task.notes
    return list(dict.fromkeys(notes))


@dataclass
class _Task:
    rows: Rows
    region: Region
    view: CubeView
    period: Period
    units: ZoneLayer
    method: Method

    def __post_init__(self) -> None:
        self.notes: list[Text] = []

    def sources(self) -> list[tuple[tuple[str, ...], Callable[[], Values]]]:
        """Return what can be computed with the region's data: input names, function."""
        data = self.region.config.unit_data
        out: list[tuple[tuple[str, ...], Callable[[], Values]]] = [
            (("connectivity",), self.connectivity),
            (("land_disturbance",), self.land_disturbance),
        ]
        if data.green_space is not None:
            out.append((("green_space_ratio",), self.green_space))
        if data.parks is not None:
            out.append((("park_access_share",), self.park_access))
        if data.shoreline is not None:
            out.append((("marine_shoreline_share",), self.shoreline))
        if data.sea is not None:
            out.append((("sea_km2", "sea_use_intensity"), self.sea))
        if data.disasters is not None:
            out.append((("disaster_area_share",), self.disasters))
        if data.species is not None:
            names = ("protected_species_n", "native_functional_share", "indicator_species_vitality")
            out.append((names, self.species))
        for name in ("soil_retention", "sand_fixation"):
            if getattr(data, name) is not None:
                out.append(((name,), lambda key=name: self.raster(key)))  # type: ignore[misc]
        return out

    def enter(self, name: str, values: np.ndarray | None) -> Text | None:
        """Write values into the units; NaN stays missing."""
        position = {u: k for k, u in enumerate(self.units.ids)}
        n = 0
        for unit, row in self.rows.items():
            value = np.nan if values is None else float(values[position[unit]])
            if row.get("area_km2") and not np.isnan(value):
                row[name] = value
                n += 1
        if not n:
            return None
        title = self.method.file.inputs[name].title
        return Text(
            zh=f"统计表未给出“{title.zh}”：由本区数据计算，定义见方法文件{self.method.id}",
            en=f"the table of statistics does not give '{title.en}': it is computed from the "
            f"region's data as the method file {self.method.id} states",
        )

    # --- from the cube --------------------------------------------------------------------------

    def land_disturbance(self) -> Values:
        weights = {n: self.method.number(k).required for n, k in DISTURBING.items()}
        found = [spaces.land_disturbance(self.rows[u], weights) for u in self.units.ids]
        return {"land_disturbance": np.array(found)}

    def connectivity(self) -> Values:
        rule = Spaces.of(self.method)
        out = np.full(len(self.units), np.nan)
        for k, unit in enumerate(self.units.ids):
            row = self.rows[unit]
            # Without land-use areas too much of the unit has no land cover.
            if row.get("area_21") is None:
                continue
            try:
                out[k] = self._connectivity(k, float(row["area_km2"] or 0), rule)
            except InputError as error:
                name = self.units.names[k]
                self.notes.append(
                    Text(zh=f"{name.zh}：连通度未计算：{error.what}",
                         en=f"{name.en}: connectivity is not computed: {error.what}")
                )  # fmt: skip
        return {"connectivity": out}

    def _connectivity(self, k: int, area_km2: float, rule: Spaces) -> float:
        if area_km2 <= 0:
            return np.nan
        grid = self.region.grid
        west, south, east, north = self.units.gdf.geometry.array[k].bounds
        tiles = [t for t in grid.tiles() if _touches(grid.tile_bounds(t), west, south, east, north)]
        y0, x0 = min(t.y0 for t in tiles), min(t.x0 for t in tiles)
        shape = (max(t.y1 for t in tiles) - y0, max(t.x1 for t in tiles) - x0)
        ordered = sorted(tiles, key=lambda t: (t.y0, t.x0))

        def blocks() -> Iterator[tuple[int, int, np.ndarray]]:
            for tile in ordered:
                land = self.view.read(self.period.cadence, "landcover", self.period.id, tile)
                inside = zone_ids(self.units, grid, tile) == k + 1
                space = np.isin(land, SPACE_CLASSES) & inside
                yield tile.y0 - y0, tile.x0 - x0, space.astype(np.uint8)

        size = (grid.resolution, grid.resolution)
        return spaces_connectivity(blocks, shape, size, 100 * area_km2, rule)

    # --- from vectors ---------------------------------------------------------------------------

    def _vector(self, key: str) -> tuple[gpd.GeoDataFrame, str]:
        dataset_id = getattr(self.region.config.unit_data, key)
        wanted_by = f"{self.region.config.path}, key 'unit_data.{key}'"
        path = auxiliary.vector_path(self.region.catalog, dataset_id, self.period.year, wanted_by)
        layer = getattr(self.region.catalog.get(dataset_id, wanted_by).access, "layer", None)
        where = f"{path} (dataset '{dataset_id}')"
        return read_vector(path, layer, where), where

    def _shapes(self, key: str) -> np.ndarray:
        frame, _ = self._vector(key)
        return np.asarray(frame.to_crs(self.region.grid.crs).geometry.array, dtype=object)

    @property
    def _zones(self) -> np.ndarray:
        return np.asarray(self.units.gdf.geometry.array, dtype=object)

    def green_space(self) -> Values:
        crs = self.region.grid.crs
        built = self._shapes("built_up")
        share = spaces.area_share(self._zones, self._shapes("green_space"), crs, built)
        return {"green_space_ratio": share}

    def park_access(self) -> Values:
        reach = self.method.number("park.reach_m").required
        share = spaces.park_access(
            self._zones, self._shapes("built_up"), self._shapes("parks"), reach,
            self.region.grid.crs,
        )  # fmt: skip
        return {"park_access_share": share}

    def disasters(self) -> Values:
        share = spaces.area_share(self._zones, self._shapes("disasters"), self.region.grid.crs)
        return {"disaster_area_share": share}

    def shoreline(self) -> Values:
        frame, where = self._vector("shoreline")
        owners, natural = _column(frame, "unit_id", where), _column(frame, "natural", where)
        lines = np.asarray(frame.to_crs("EPSG:4326").geometry.array, dtype=object)
        found = spaces.natural_shoreline(self.units.ids, [str(o) for o in owners], natural, lines)
        return {"marine_shoreline_share": found}

    def sea(self) -> Values:
        frame, where = self._vector("sea")
        owners = [str(o) for o in _column(frame, "unit_id", where)]
        seas = np.asarray(frame.to_crs(self.region.grid.crs).geometry.array, dtype=object)
        used = self.region.config.unit_data.sea_use is not None
        uses = self._shapes("sea_use") if used else np.array([], dtype=object)
        area, share = spaces.sea_of_units(self.units.ids, owners, seas, uses, self.region.grid.crs)
        return {"sea_km2": area} | ({"sea_use_intensity": share} if used else {})

    # --- from tables and rasters ----------------------------------------------------------------

    def species(self) -> Values:
        key = "species"
        wanted_by = f"{self.region.config.path}, key 'unit_data.{key}'"
        path = self.region.catalog.path_of(
            self.region.config.unit_data.species or "", wanted_by, self.period.year
        )
        found = species_inputs(read_species(path))
        names = {n for values in found.values() for n in values}
        return {
            n: np.array([found.get(u, {}).get(n, np.nan) for u in self.units.ids]) for n in names
        }

    def raster(self, key: str) -> Values:
        """Return the mean of a raster over each unit, t/(km2 a)."""
        dataset_id = getattr(self.region.config.unit_data, key)
        wanted_by = f"{self.region.config.path}, key 'unit_data.{key}'"
        dataset = self.region.catalog.get(dataset_id, wanted_by)
        if dataset.units not in RATES:
            raise InputError(
                f"dataset '{dataset_id}' has the units {dataset.units!r}",
                where=str(self.region.catalog.path),
                rule=f"units: one of {', '.join(RATES)}",
                fix="say in the catalogue what the raster holds",
            )
        path = auxiliary.raster_path(self.region.catalog, dataset_id, self.period.year, wanted_by)
        total, n, pixels = np.zeros((3, len(self.units) + 1))
        for tile in self.region.grid.tiles():
            ids = zone_ids(self.units, self.region.grid, tile)
            if not ids.any():
                continue
            values = auxiliary.read_values(path, dataset, self.region.grid, tile).astype(np.float64)
            known = np.isfinite(values)
            _not_negative(values[known], path)
            pixels += np.bincount(ids.ravel(), minlength=pixels.size)
            n += np.bincount(ids[known], minlength=n.size)
            total += np.bincount(ids[known], values[known], minlength=total.size)
        enough = (n > 0) & (n >= (1 - MOST_WITHOUT_DATA) * pixels)
        mean = np.full(total.shape, np.nan)
        np.divide(total * RATES[dataset.units], n, out=mean, where=enough)
        return {key: mean[1:]}


def _not_negative(values: np.ndarray, path: Path) -> None:
    if values.size and values.min() < 0:
        raise InputError(
            f"the raster holds {int((values < 0).sum())} values below 0 ({values.min():g})",
            where=str(path),
            rule="what is retained or fixed is 0 or more",
            fix="name the no-data code in the catalogue ('nodata')",
        )


def _column(frame: gpd.GeoDataFrame, name: str, where: str) -> list[Any]:
    if name not in frame:
        raise InputError(
            f"the layer has no column '{name}'",
            where=where,
            rule=f"columns: {', '.join(c for c in frame.columns if c != frame.geometry.name)}",
        )
    return list(frame[name])


def _touches(
    bounds: tuple[float, float, float, float], west: float, south: float, east: float, north: float
) -> bool:
    return bounds[0] < east and bounds[2] > west and bounds[1] < north and bounds[3] > south


def data_receipts(region: Region, year: int) -> dict[str, Any]:
    """Return what identifies the files behind `unit_data` of a year; None where one is missing."""
    out: dict[str, Any] = {}
    for key, dataset_id in region.config.unit_data.datasets().items():
        wanted_by = f"{region.config.path}, key 'unit_data.{key}'"
        path = region.catalog.path_of(dataset_id, wanted_by, year)
        raster = region.catalog.get(dataset_id, wanted_by).access.type == "raster"
        here = path.is_file()
        out[key] = auxiliary.receipt(path, dataset_id, whole=not raster) if here else None
    return out
