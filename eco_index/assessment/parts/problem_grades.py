"""Grades of ecosystem problems on a tile (HJ 1174-2021), and what each of them needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index import auxiliary
from eco_index.assessment.parts.context import Context, years_done
from eco_index.assessment.service_sums import MISSING, OUTSIDE
from eco_index.grid import Tile
from eco_index.indices.problems import (
    DEGRADATION,
    DESERTIFICATION,
    EROSION,
    degradation_grade,
    degradation_index,
    desertification_grade,
    erosion_grade,
    zone_maximum,
)
from eco_index.methods import Method
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.services import ServiceMaps
from eco_index.yamlio import Text
from eco_index.zone_raster import zone_ids
from eco_index.zones import load_layer

GRASS = (31, 32, 33)
_WATER_AND_BUILT = (41, 42, 43, 44, 45, 46, 51, 52, 53)


@dataclass(frozen=True)
class Problem:
    """Record of a graded problem.

    Attributes
    ----------
    id : str
    title : Text
    denominator : Text
    grades : sequence of (Text, colour)
        By grade, from 0.
    """

    id: str
    title: Text
    denominator: Text
    grades: tuple[tuple[Text, str], ...]


def _graded(texts: Sequence[Text], colours: str) -> tuple[tuple[Text, str], ...]:
    return tuple(zip(texts, colours.split(), strict=True))


PROBLEMS: dict[str, Problem] = {
    p.id: p
    for p in (
        Problem(
            "soil_erosion",
            Text(zh="水土流失（水力侵蚀）强度", en="intensity of water erosion"),
            Text(zh="单元内可算土壤流失的地类面积", en="land classes on which soil loss exists"),
            _graded(EROSION, "#eef3e6 #f6e8c3 #dfc27d #bf812d #8c510a #543005"),
        ),
        Problem(
            "grassland_degradation",
            Text(zh="草地退化", en="grassland degradation"),
            Text(zh="单元内草地面积（本期为草地）", en="grassland of the zone in this period"),
            _graded(DEGRADATION, "#4d9221 #b8e186 #fdd49e #fc8d59 #b30000"),
        ),
        Problem(
            "desertification",
            Text(zh="土地沙化", en="desertification"),
            Text(
                zh="单元内沙地范围中水域、建设用地以外的面积",
                en="sandy land of the zone without water and built-up land",
            ),
            _graded(DESERTIFICATION, "#d9ef8b #fee08b #f46d43 #a50026"),
        ),
    )
}


class Grades:
    """The grades of a period.

    Attributes
    ----------
    missing : dict
        Problem to what is wanted for it and not there; empty: it can be graded.
    notes : list of Text
    """

    def __init__(self, context: Context, method: Method) -> None:
        self.context, self.method = context, method
        self.maps: ServiceMaps | None = None
        self.notes: list[Text] = []
        self.reference: np.ndarray | None = None
        self.missing = {
            "soil_erosion": self._erosion(),
            "grassland_degradation": self._grassland(),
            "desertification": self._desert(),
        }

    @property
    def available(self) -> list[str]:
        """Problems that can be graded."""
        return [name for name, missing in self.missing.items() if not missing]

    def _erosion(self) -> list[Text]:
        config, period = self.context.region.config, self.context.period
        missing = []
        if config.problems.erosion_region is None:
            missing.append(
                Text(
                    zh="侵蚀类型区（problems.erosion_region）",
                    en="the region of tolerable loss (problems.erosion_region)",
                )
            )
        if config.services is None:
            missing.append(Text(zh="区域文件的“services”", en="the key 'services'"))
        elif period.half:
            missing.append(Text(zh="全年数据（本期为半年）", en="a whole year"))
        else:
            self.maps = ServiceMaps(self.context.region, self.context.view, period)
            missing += self.maps.missing["soil_retention"]
        return missing

    def _grassland(self) -> list[Text]:
        config = self.context.region.config.problems
        if not config.grass_years:
            return [
                Text(
                    zh="参照年份（problems.grass_years）",
                    en="years of the reference (problems.grass_years)",
                )
            ]
        done = {p.year for p in years_done(self.context.view, self.context.period)}
        years = [y for y in config.grass_years if y in done]
        gone = [y for y in config.grass_years if y not in done]
        if not years:
            return [Text(zh="参照年份的产品", en="products of the reference years")]
        if gone:
            named = ", ".join(map(str, gone))
            self.notes.append(
                Text(
                    zh=f"草地退化的参照缺{named}年（数据集中没有或晚于本期）",
                    en=f"the reference of grassland lacks {named}: not in the cube, or later",
                )
            )
        self.reference = self._maximum(years)
        return []

    def _zones(self, tile: Tile) -> np.ndarray:
        """Return natural zones on a tile, 0 for none; one zone where no layer is named."""
        region, name = self.context.region, self.context.region.config.problems.grass_zones
        if name is None:
            return np.ones(tile.shape, np.int32)
        return zone_ids(self._layer, region.grid, tile)

    def _maximum(self, years: Sequence[int]) -> np.ndarray:
        """Return the greatest cover of grassland by natural zone, NaN where there is none."""
        context, count = self.context, 1
        name = context.region.config.problems.grass_zones
        if name is not None:
            self._layer = load_layer(context.region, name, context.period.year)
            count = len(self._layer)
        out = np.full(count + 1, np.nan)
        for tile in context.view.grid.tiles():
            zones = self._zones(tile)
            for year in years:
                period = Period(year, context.period.half)
                land, cover = self._read(period, tile)
                values = np.where(np.isin(land, GRASS), cover, np.nan)
                out = np.fmax(out, zone_maximum(values, zones, count))
        return out

    def _desert(self) -> list[Text]:
        landcover = self.context.region.config.landcover
        if landcover is None or landcover.sandy_land is None:
            return [Text(zh="沙地范围（landcover.sandy_land）", en="landcover.sandy_land")]
        return []

    def _read(self, period: Period, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        """Return land cover, and cover as a share with NaN where missing."""
        view, product = self.context.view, PRODUCTS["fvc"]
        land = view.read(period.cadence, "landcover", period.id, tile)
        stored = view.read(period.cadence, "fvc", period.id, tile)
        return land, np.where(stored == product.fill, np.nan, stored * product.scale)

    def tile(self, name: str, tile: Tile) -> np.ndarray:
        """Return stored grades on a tile, uint8: `OUTSIDE`, `MISSING`, else the grade.

        Raises
        ------
        InputError
            A raster or vector that cannot be used.
        """
        land, cover = self._read(self.context.period, tile)
        unknown = land == (PRODUCTS["landcover"].fill or 0)
        if name == "soil_erosion":
            assert self.maps is not None
            region = self.context.region.config.problems.erosion_region
            loss = self.maps.soil_loss(tile)
            grades = erosion_grade(loss, region or "", self.method)
            scope = self.maps.types.table("soil")[land] > 0
        elif name == "grassland_degradation":
            assert self.reference is not None
            best = self.reference[self._zones(tile)]
            grades = degradation_grade(degradation_index(cover, best), "grass", self.method)
            scope = np.isin(land, GRASS)
        else:
            sandy = self._sandy(tile)
            grades = desertification_grade(cover, sandy, self.method)
            scope = sandy & ~np.isin(land, _WATER_AND_BUILT)
            unknown &= sandy
        out = np.where(scope, grades, OUTSIDE)
        out[unknown] = MISSING
        return out.astype(np.uint8)

    def _sandy(self, tile: Tile) -> np.ndarray:
        region = self.context.region
        landcover = region.config.landcover
        assert landcover is not None and landcover.sandy_land is not None
        where = f"{region.config.path}, key 'landcover.sandy_land'"
        year = self.context.period.year
        path = auxiliary.vector_path(region.catalog, landcover.sandy_land, year, where)
        layer = getattr(region.catalog.get(landcover.sandy_land, where).access, "layer", None)
        return auxiliary.inside(path, layer, region.grid, tile, np.ones(tile.shape, bool))
