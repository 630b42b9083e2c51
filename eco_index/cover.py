"""Vegetation cover of a tile with the end members that the region chose.

Fixed pair, fitted table (one for all years; `cover_fit` makes it from the archive) or two maps.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from eco_index import auxiliary
from eco_index.config import Region
from eco_index.errors import InputError, UsageError
from eco_index.grid import Tile
from eco_index.indices import endmembers, landcover, vegetation
from eco_index.indices.endmembers import EndMembers
from eco_index.methods import method_of
from eco_index.period import Period

Files = dict[str, tuple[str, Path, str | None]]
TABLE = "end_members.json"


def choice_of(region: Region) -> str:
    """Return 'fixed', 'percentile' or 'map'."""
    return region.config.fvc.choice if region.config.fvc is not None else "fixed"


def end_members(region: Region) -> tuple[float, float]:
    """Return NDVI of bare soil and of full vegetation: the region's own, else the method's.

    With choice 'percentile' it is the pair of all pixels together.

    Raises
    ------
    InputError
        Percentiles that were not fitted yet.
    UsageError
        Maps have no single pair.
    """
    own = region.config.fvc
    if own is None:
        method = method_of(region, "fvc_dimidiate")
        return method.number("ndvi_soil").required, method.number("ndvi_veg").required
    if own.choice == "percentile":
        whole = fitted(region).whole
        return whole.soil, whole.veg
    if own.ndvi_soil is None or own.ndvi_veg is None:
        raise UsageError("end members from maps are no single pair", where=str(region.config.path))
    return own.ndvi_soil, own.ndvi_veg


def percent_of(region: Region) -> tuple[float, float]:
    """Return the percentiles of soil and vegetation: the region's own, else the method's."""
    own = region.config.fvc
    method = method_of(region, "fvc_dimidiate")
    low = own.low_percent if own is not None else None
    high = own.high_percent if own is not None else None
    return (
        method.number("low_percent").required if low is None else low,
        method.number("high_percent").required if high is None else high,
    )


def table_path(region: Region) -> Path:
    """Return the file of the fitted table: beside the archive it was fitted on."""
    return region.output / TABLE


def stored_table(region: Region) -> EndMembers | None:
    """Return the fitted table, None if there is none yet."""
    path = table_path(region)
    if not path.is_file():
        return None
    status = path.stat()
    return _read_table(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _read_table(path: Path, _mtime: int, _size: int) -> EndMembers:
    return EndMembers.from_json(path.read_text(encoding="utf-8"), str(path))


def fitted(region: Region) -> EndMembers:
    """Return the fitted table; InputError if there is none."""
    table = stored_table(region)
    if table is None:
        own = region.config.fvc
        years = ", ".join(map(str, own.base)) if own is not None else ""
        raise InputError(
            "the end members of vegetation cover were not fitted yet",
            where=f"{region.config.path}, key 'fvc'; {table_path(region)}",
            rule=f"they are fitted when the months of the base years ({years}) are composited",
            fix=f"run the base years: eco run {region.config.path.name} --period {years}",
        )
    return table


def files(region: Region, period: Period) -> Files:
    """Return role: (dataset id, file, layer) of what the end members need besides land cover."""
    own = region.config.fvc
    if own is None:
        return {}
    wanted_by = f"{region.config.path}, key 'fvc'"
    out: Files = {}
    for role in ("soil_map", "veg_map"):
        dataset_id = getattr(own, role)
        if dataset_id is not None:
            path = auxiliary.raster_path(region.catalog, dataset_id, period.year, wanted_by)
            out[f"fvc_{role}"] = (dataset_id, path, None)
    if own.zones is not None:
        # Zones of the base year for all years: a pixel keeps its pair.
        dataset_id = region.config.layers[own.zones].dataset_of(min(own.base))
        path = auxiliary.vector_path(region.catalog, dataset_id, min(own.base), wanted_by)
        layer = getattr(region.catalog.get(dataset_id, wanted_by).access, "layer", None)
        out["fvc_zones"] = (dataset_id, path, layer)
    return out


def parameters(region: Region) -> dict[str, Any]:
    """Return what decides the end members besides files (for digests)."""
    choice = choice_of(region)
    if choice == "fixed":
        soil, veg = end_members(region)
        return {"ndvi_soil": soil, "ndvi_veg": veg}
    if choice == "map":
        assert region.config.fvc is not None
        maps = (region.config.fvc.soil_map, region.config.fvc.veg_map)
        entries = [region.catalog.get(m, "the end members") for m in maps if m is not None]
        return {
            "end_members": "map",
            "end_member_scales": [[e.scale, e.offset, e.nodata] for e in entries],
            "end_members_version": endmembers.VERSION,
        }
    table = stored_table(region)
    text = "not fitted yet" if table is None else table.to_json()
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"end_members": digest, "end_members_version": endmembers.VERSION}


def crosswalk_of(region: Region) -> landcover.Crosswalk:
    """Return the crosswalk of the region's land cover."""
    assert region.config.landcover is not None
    dataset_id = region.config.landcover.dataset
    dataset = region.catalog.get(dataset_id, "the region's land cover")
    if dataset.legend is None:
        raise UsageError(
            f"dataset '{dataset_id}' has no 'legend'",
            where=str(region.catalog.path),
            rule="land cover names its crosswalk in configs/crosswalks",
        )
    return landcover.load_crosswalk(dataset.legend)


def groups(
    region: Region, tile: Tile, period: Period, where: str
) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """Return zone numbers, vegetation types (None where not told apart) and the zones' ids."""
    own = region.config.fvc
    assert own is not None
    zones, ids, types = None, (), None  # type: Any, tuple[str, ...], Any
    if own.zones is not None:
        _, path, layer = files(region, period)["fvc_zones"]
        column = region.config.layers[own.zones].id
        zones, ids = auxiliary.zone_numbers(path, layer, column, region.grid, tile)
    if own.by_class and region.config.landcover is not None:
        dataset_id = region.config.landcover.dataset
        dataset = region.catalog.get(dataset_id, "the region's land cover")
        path = auxiliary.raster_path(region.catalog, dataset_id, period.year, where)
        codes = auxiliary.read_codes(path, region.grid, tile)
        nodata = None if dataset.nodata is None else int(dataset.nodata)
        place = f"{where}, dataset '{dataset_id}'"
        types = endmembers.types_of(codes, crosswalk_of(region), nodata, place)
    return zones, types, ids


def stored_fvc(
    region: Region, tile: Tile, period: Period, ndvi_max: np.ndarray, where: str
) -> np.ndarray:
    """Return vegetation cover × 1e4 (uint16, 65535 missing) of a tile.

    Parameters
    ----------
    region : Region
        Which choice, and its files.
    tile, period : Tile, Period
        Where and when.
    ndvi_max : int16[h, w]
        Stored maximum NDVI of the season.
    where : str
        For messages.

    Raises
    ------
    InputError
        A file is missing, a map holds impossible values, or percentiles were not fitted yet.
    """
    choice = choice_of(region)
    if choice == "fixed":
        return vegetation.stored_fvc(ndvi_max, *end_members(region))
    if choice == "percentile":
        table = fitted(region)
        zones, types, _ = groups(region, tile, period, where)
        return endmembers.stored_fvc_of(ndvi_max, table, zones, types)
    given = files(region, period)
    maps = []
    for role in ("fvc_soil_map", "fvc_veg_map"):
        dataset_id, path, _ = given[role]
        dataset = region.catalog.get(dataset_id, where)
        maps.append(auxiliary.read_values(path, dataset, region.grid, tile))
    try:
        return endmembers.stored_fvc_of_maps(ndvi_max, maps[0], maps[1])
    except InputError as error:
        raise InputError(
            error.what, where=f"{where}, key 'fvc'", rule=error.rule, fix=error.fix
        ) from None


def statement(region: Region, language: str = "en") -> str:
    """Say in one line which end members the products rest on (``en`` or ``zh``)."""
    own, choice = region.config.fvc, choice_of(region)
    zh = language == "zh"
    if choice == "percentile":
        return endmembers.statement(fitted(region), language=language)
    if choice == "map":
        assert own is not None
        if zh:
            return (
                f"土壤／植被NDVI：图层“{own.soil_map}”与“{own.veg_map}”，各年相同（{own.source}）"
            )
        return (
            f"NDVI of soil/vegetation: maps '{own.soil_map}' and '{own.veg_map}', the same for all "
            f"years ({own.source})"
        )
    soil, veg = end_members(region)
    source = "configs/methods/fvc_dimidiate.yaml" if own is None else own.source
    if zh:
        return f"土壤／植被NDVI：{soil:.4f}/{veg:.4f}，各年同一对（{source}）"
    return f"NDVI of soil/vegetation: {soil:.4f}/{veg:.4f}, one pair for all years ({source})"
