"""Unit inputs that the statistics table leaves open: from the cube, vectors, rasters and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from eco_index import auxiliary
from eco_index.assessment.service_sums import MOST_WITHOUT_DATA, service_means
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError
from eco_index.indicators import spaces
from eco_index.indicators.connected import Spaces, spaces_connectivity
from eco_index.indicators.species import read_species, species_inputs
from eco_index.methods import Method
from eco_index.period import Period
from eco_index.services import SERVICES, ServiceMaps
from eco_index.vectors import read_vector
from eco_index.yamlio import Text
from eco_index.zone_raster import zone_ids
from eco_index.zones import ZoneLayer

#: Land-use classes of important ecological spaces; rule `source.connectivity` of the method.
SPACE_CLASSES = (21, 22, 23, 31, 32, 41, 42, 43, 44, 45, 46, 64)
#: Input of land disturbance and the number that holds its weight.
DISTURBING = {"area_51": "disturbance.urban", "area_52": "disturbance.rural",
              "area_53": "disturbance.other"}  # fmt: skip
#: Factor to t/(km2 a) by unit of a raster.
RATES = {"t/(km2 a)": 1.0, "t/(hm2 a)": 100.0}

#: Connectivity of units by archive, snapshot, period, polygon, area and rule.
_FOUND: dict[tuple[Any, ...], float] = {}
_MOST_FOUND = 2000

Rows = dict[str, dict[str, Any]]
Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Source:
    """Inputs that are computed together, the keys of `unit_data` they need, and the function."""

    inputs: tuple[str, ...]
    data: tuple[str, ...]
    function: str


SOURCES = (
    Source(("connectivity",), (), "connectivity"),
    Source(("land_disturbance",), (), "land_disturbance"),
    Source(("green_space_ratio",), ("built_up", "green_space"), "green_space"),
    Source(("park_access_share",), ("built_up", "parks"), "park_access"),
    Source(("marine_shoreline_share",), ("shoreline",), "shoreline"),
    Source(("sea_km2",), ("sea",), "sea"),
    Source(("sea_use_intensity",), ("sea", "sea_use"), "sea_use"),
    Source(("disaster_area_share",), ("disasters",), "disasters"),
    Source(
        ("protected_species_n", "native_functional_share", "indicator_species_vitality"),
        ("species",),
        "species",
    ),
    Source(("soil_retention",), ("soil_retention",), "soil_retention"),
    Source(("sand_fixation",), ("sand_fixation",), "sand_fixation"),
)


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
    named = set(region.config.unit_data.datasets()) | set(region.config.unit_data.from_services)
    notes: list[Text] = []
    for period, own in zip(periods, rows, strict=True):
        task = _Task(own, region, view, period, units, method)
        for source in SOURCES:
            wanted = [n for n in source.inputs if n in method.file.inputs and n not in given]
            if wanted and set(source.data) <= named:
                found = task.compute(source)
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

    def compute(self, source: Source) -> Values:
        """Return the values of a source; none, and a note, where a file of the year is missing."""
        data = self.region.config.unit_data.datasets()
        for key in source.data:
            if key in self.region.config.unit_data.from_services:
                continue
            wanted_by = f"{self.region.config.path}, key 'unit_data.{key}'"
            path = self.region.catalog.path_of(data[key], wanted_by, self.period.year)
            if not path.exists():
                self.notes.append(
                    Text(
                        zh=f"没有{self.period.year}年的数据“{data[key]}”：依赖它的分指数不评价",
                        en=f"there is no file of '{data[key]}' for {self.period.year}: "
                        "sub-indices that need it are not evaluated",
                    )
                )
                return {}
        function: Callable[[], Values] = getattr(self, source.function)
        return function()

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
        if name in self.region.config.unit_data.from_services:
            return Text(
                zh=f"统计表未给出“{title.zh}”：取自本系统按HJ 1173-2021计算的服务地图（unit_data."
                "from_services），为可评价地类的平均",
                en=f"the table of statistics does not give '{title.en}': it is the mean of the map "
                "of services after HJ 1173-2021 (unit_data.from_services) over the land classes on "
                "which the service exists",
            )
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
        zone = self.units.gdf.geometry.array[k]
        # Programmes of one run assess the same units on the same snapshot: searched once.
        key = (str(self.view.path), self.view.snapshot, self.period.id, zone.wkb, area_km2, rule)
        if key in _FOUND:
            return _FOUND[key]
        west, south, east, north = zone.bounds
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
        if len(_FOUND) >= _MOST_FOUND:
            _FOUND.clear()
        _FOUND[key] = spaces_connectivity(blocks, shape, size, 100 * area_km2, rule)
        return _FOUND[key]

    # --- from vectors ---------------------------------------------------------------------------

    def _vector(self, key: str) -> tuple[gpd.GeoDataFrame, str]:
        dataset_id = getattr(self.region.config.unit_data, key)
        wanted_by = f"{self.region.config.path}, key 'unit_data.{key}'"
        path = auxiliary.vector_path(self.region.catalog, dataset_id, self.period.year, wanted_by)
        layer = getattr(self.region.catalog.get(dataset_id, wanted_by).access, "layer", None)
        where = f"{path} (dataset '{dataset_id}')"
        # No park, no disaster is a finding; no built-up area or sea at all is a wrong file.
        none = key in ("green_space", "parks", "sea_use", "disasters")
        return read_vector(path, layer, where, may_be_empty=none), where

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
        return {"sea_km2": self._sea(np.array([], dtype=object))[0]}

    def sea_use(self) -> Values:
        return {"sea_use_intensity": self._sea(self._shapes("sea_use"))[1]}

    def _sea(self, uses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        frame, where = self._vector("sea")
        owners = [str(o) for o in _column(frame, "unit_id", where)]
        seas = np.asarray(frame.to_crs(self.region.grid.crs).geometry.array, dtype=object)
        return spaces.sea_of_units(self.units.ids, owners, seas, uses, self.region.grid.crs)

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

    def soil_retention(self) -> Values:
        return self._service_or_raster("soil_retention")

    def sand_fixation(self) -> Values:
        return self._service_or_raster("sand_fixation")

    def _service_or_raster(self, key: str) -> Values:
        if key not in self.region.config.unit_data.from_services:
            return self._raster(key)
        maps = ServiceMaps(self.region, self.view, self.period)
        if maps.missing[key]:
            title, missing = SERVICES[key].title, maps.missing[key]
            year = self.period.id
            self.notes.append(
                Text(
                    zh=f"{year}年{title.zh}地图缺：" + "、".join(m.zh for m in missing),
                    en=f"the map of {title.en} of {year} lacks " + ", ".join(m.en for m in missing),
                )
            )
            return {}
        mean = service_means(maps, key, self.units)
        return {key: np.where(mean >= 0, mean * RATES[SERVICES[key].unit], np.nan)}

    def _raster(self, key: str) -> Values:
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
