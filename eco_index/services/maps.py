"""Maps of soil retention, sand fixation and water conservation on a tile, as whole numbers.

Every pixel is computed for itself (the slope from its 3 x 3 window) and stored as an integer, so
that no value and no sum depends on the tile. Memory is that of a few arrays of a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError, UsageError
from eco_index.grid import Tile
from eco_index.indices import soil, soil_chain, terrain, water, wind, wind_chain
from eco_index.indices.soil import cover_factor
from eco_index.indices.soil_chain import RetentionChain
from eco_index.indices.water import runoff_coefficient, water_conservation
from eco_index.indices.wind import (
    crust_factor,
    erodible_fraction,
    roughness_factor,
    wind_cover_factor,
    wind_erosion,
)
from eco_index.indices.wind_chain import FixationChain
from eco_index.methods import Method, method_of
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.services.inputs import ServiceInputs
from eco_index.services.types import load_types
from eco_index.services_config import FRACTIONS, TEXTURE
from eco_index.summary import Evidence, weakest
from eco_index.yamlio import Text

VERSION = 1  # changes when results change
METHOD_ID = "hj1173_2021"
FILL = np.iinfo(np.int32).min
STRIP_ROWS = 128  # computed at a time: bounds the memory above the tile's own arrays

Array = np.ndarray


@dataclass(frozen=True)
class Service:
    """Record of a service.

    Attributes
    ----------
    id : str
    kind : str
        Whose types of `services.types` decide.
    title : Text
    unit, total_unit : str
        Of a pixel and its mean, and of the sum over an area.
    scale : float
        Physical value = stored x scale.
    per_m2 : float
        Factor from the mean value times area in m2 to the sum.
    """

    id: str
    kind: str
    title: Text
    unit: str
    total_unit: str
    scale: float
    per_m2: float


SERVICES: dict[str, Service] = {
    s.id: s
    for s in (
        Service(
            "soil_retention", "soil", Text(zh="土壤保持量", en="soil retention"),
            "t/(hm2 a)", "t/a", 0.01, 1e-4,
        ),
        Service(
            "sand_fixation", "wind", Text(zh="防风固沙量", en="sand fixation"),
            "t/(km2 a)", "t/a", 0.1, 1e-6,
        ),
        Service(
            "water_conservation", "runoff", Text(zh="水源涵养量", en="water conservation"),
            "mm/a", "m3/a", 0.1, 1e-3,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class TileMap:
    """A service on a tile.

    Attributes
    ----------
    stored : numpy.ndarray
        int32 (h, w), `FILL` where there is no value.
    scope : numpy.ndarray
        bool (h, w): the service exists on the pixel's class, or the class is not known. Outside it
        a pixel is neither a value nor a gap.
    """

    stored: Array
    scope: Array


class ServiceMaps:
    """The maps of a period.

    Attributes
    ----------
    missing : dict
        Service to the inputs that it wants and that are not there; empty: it can be computed.
    methods : dict of Method
        Service to its method, which notes the numbers it read.
    types : ServiceTypes
    """

    def __init__(self, region: Region, view: CubeView, period: Period) -> None:
        """Find the inputs; errors as of `ServiceInputs` and `load_types`.

        Raises
        ------
        UsageError
            The period is a half-year: erosivity, rain and weather are those of a year.
        """
        if period.half:
            raise UsageError(
                f"services of {period.id} cannot be computed", rule="services are of whole years"
            )
        self.region, self.view, self.period = region, view, period
        self.inputs = ServiceInputs(region, period.year)
        self.types = load_types(self.inputs.config.types, region.config.path)
        self.methods = {name: method_of(region, METHOD_ID) for name in SERVICES}
        self.missing = {name: self._missing(name) for name in SERVICES}
        config = self.inputs.config
        self._retention, self._fixation = None, None
        size = region.grid.resolution
        if not self.missing["soil_retention"] and config.slope_length_m is not None:
            self._retention = RetentionChain(
                self.methods["soil_retention"], size, size, config.slope_length_m
            )
        fused = "sand" in self.inputs.paths and "relief" in self.inputs.paths
        if not self.missing["sand_fixation"] and fused and config.relief_distance_m is not None:
            self._fixation = FixationChain(self.methods["sand_fixation"], config.relief_distance_m)

    def _missing(self, name: str) -> list[Text]:
        if name == "soil_retention":
            wanted: Sequence[str] = ("dem", "erosivity", "erodibility", "slope_length_m")
        elif name == "water_conservation":
            wanted = ("rain", "evapotranspiration")
        else:
            named = self.inputs.config.datasets()
            earth = FRACTIONS if set(FRACTIONS) & set(named) else TEXTURE
            wanted = ("weather_factor", *earth, "roughness" if "roughness" in named else "relief")
        absent = self.inputs.absent
        return [absent[key] for key in wanted if key in absent]

    @property
    def available(self) -> list[str]:
        """Services that can be computed."""
        return [name for name, missing in self.missing.items() if not missing]

    def evidence(self, name: str) -> Evidence:
        """Return the weakest evidence among crosswalk and the numbers that a service read."""
        method = self.methods[name]
        found = [method.numbers[key].evidence for key in method.used]
        return weakest([self.types.evidence, *found])

    def tile(self, name: str, tile: Tile) -> TileMap:
        """Return a service on a tile.

        Raises
        ------
        InputError
            A raster that cannot be read, or values that its unit cannot have.
        """
        service = SERVICES[name]
        land = self.view.read(self.period.cadence, "landcover", self.period.id, tile)
        kinds = self.types.table(service.kind)[land]
        scope = (kinds > 0) | (land == (PRODUCTS["landcover"].fill or 0))
        compute: Callable[[Tile, Array], Iterator[Array]] = getattr(self, f"_{name}")
        stored = np.full(tile.shape, FILL, np.int32)
        if not (kinds > 0).any():
            return TileMap(stored, scope)
        y = 0
        for values in self._named(name, tile, compute(tile, kinds)):
            stored[y : y + len(values)] = _whole(values, service)
            y += len(values)
        return TileMap(stored, scope)

    def soil_loss(self, tile: Tile) -> Array:
        """Return the actual soil loss R K L S C on a tile, t/(km2 a); NaN where no value.

        Raises
        ------
        InputError
            As `tile`.
        """
        land = self.view.read(self.period.cadence, "landcover", self.period.id, tile)
        kinds = self.types.table("soil")[land]
        parts = self._named("soil_retention", tile, self._soil(tile, kinds, kept=False))
        return 100.0 * np.concatenate(list(parts))

    def _named(self, name: str, tile: Tile, parts: Iterator[Array]) -> Iterator[Array]:
        """Add to a message of a raster's values where they were wanted."""
        try:
            yield from parts
        except InputError as error:
            place = f"{self.region.config.path}, key 'services' ({name}, {self.period.id}, tile "
            where = f"{place}{tile.id})"
            raise InputError(
                error.what,
                where=f"{error.where}; {where}" if error.where else where,
                rule=error.rule,
                fix=error.fix,
            ) from None

    def _cover(self, tile: Tile) -> Array:
        """Return vegetation cover, 0-1, NaN where missing."""
        product = PRODUCTS["fvc"]
        stored = self.view.read(self.period.cadence, "fvc", self.period.id, tile)
        return np.where(stored == product.fill, np.nan, stored * product.scale)

    def _soil_retention(self, tile: Tile, kinds: Array) -> Iterator[Array]:
        return self._soil(tile, kinds, kept=True)

    def _soil(self, tile: Tile, kinds: Array, kept: bool) -> Iterator[Array]:
        chain, method = self._retention, self.methods["soil_retention"]
        assert chain is not None
        dem, cover = self.inputs.elevation(tile), self._cover(tile)
        r, k = self.inputs.read("erosivity", tile), self.inputs.read("erodibility", tile)
        for rows in _strips(tile):
            around = slice(rows.start, rows.stop + 2)
            potential = chain.potential(dem[around], r[rows], k[rows])
            actual = potential * cover_factor(kinds[rows], cover[rows], method)
            yield potential - actual if kept else actual

    def _sand_fixation(self, tile: Tile, kinds: Array) -> Iterator[Array]:
        method, inputs = self.methods["sand_fixation"], self.inputs
        cover = self._cover(tile)
        wanted = ("weather_factor", *TEXTURE, *FRACTIONS, "roughness", "relief")
        maps = {key: inputs.read(key, tile) for key in wanted if key in inputs.paths}
        for rows in _strips(tile):
            part = {key: values[rows] for key, values in maps.items()}
            if self._fixation is not None:
                yield self._fixation(
                    part["weather_factor"], part["sand"], part["silt"], part["clay"],
                    part["organic"], part["relief"], kinds[rows], cover[rows],
                )  # fmt: skip
                continue
            if "sand" in part:
                ef = erodible_fraction(
                    part["sand"], part["silt"], part["clay"], part["organic"], method
                )
                scf = crust_factor(part["clay"], part["organic"], method)
            else:
                ef, scf = part["erodible_fraction"], part["crust_factor"]
            distance = inputs.config.relief_distance_m
            rough = part.get("roughness")
            if rough is None:
                rough = roughness_factor(part["relief"], distance, method)
            c = wind_cover_factor(kinds[rows], cover[rows], method)
            yield wind_erosion(part["weather_factor"], ef, scf, rough, c, method).fixation

    def _water_conservation(self, tile: Tile, kinds: Array) -> Iterator[Array]:
        method = self.methods["water_conservation"]
        rain, et = self.inputs.read("rain", tile), self.inputs.read("evapotranspiration", tile)
        for rows in _strips(tile):
            alpha = runoff_coefficient(kinds[rows], method)
            yield water_conservation(rain[rows], et[rows], alpha, method)


def _strips(tile: Tile) -> Iterator[slice]:
    height = tile.shape[0]
    for start in range(0, height, STRIP_ROWS):
        yield slice(start, min(start + STRIP_ROWS, height))


def _whole(values: Array, service: Service) -> Array:
    """Return values as stored integers."""
    scaled = np.rint(values / service.scale)
    known = ~np.isnan(scaled)
    if known.any() and np.abs(scaled[known]).max() >= -float(FILL):
        raise InputError(
            f"{service.title.en} reaches {np.nanmax(np.abs(values)):g} {service.unit}",
            rule=f"less than {-FILL * service.scale:g}",
            fix="check the units of the rasters",
        )
    return np.where(known, scaled, FILL).astype(np.int32)


def versions() -> list[int]:
    """Return the versions of everything the maps are computed with."""
    return [VERSION, *(m.VERSION for m in (soil, soil_chain, terrain, water, wind, wind_chain))]


def used_numbers(maps: ServiceMaps, names: Sequence[str]) -> Method:
    """Return the method as if it alone had read what the services read."""
    method = method_of(maps.region, METHOD_ID)
    for name in names:
        method.used |= maps.methods[name].used
    return method
