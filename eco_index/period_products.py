"""Per-pixel products of a reporting period, from its monthly composites: stored integers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eco_index import auxiliary, cover
from eco_index.config import Region
from eco_index.cover import crosswalk_of
from eco_index.cover import end_members as end_members
from eco_index.errors import InputError
from eco_index.grid import Tile
from eco_index.indices import forest, landcover, vegetation
from eco_index.methods import method_of as method_of
from eco_index.period import Period
from eco_index.products import PRODUCTS, products_of

#: Roles of files that are rasters: of these size and both ends are digested.
RASTERS = ("dataset", "canopy", "fvc_soil_map", "fvc_veg_map")

Monthly = Mapping[str, tuple[np.ndarray, np.ndarray]]


def compute_period(
    region: Region, tile: Tile, period: Period, monthly: Monthly
) -> dict[str, np.ndarray]:
    """Compute every product of a period on a tile.

    Parameters
    ----------
    region : Region
        What is computed, and how.
    tile : Tile
        Part of the region's grid.
    period : Period
        Year or half-year.
    monthly : mapping
        Month id to (ndvi_max int16, clear_count uint16) of the tile; at least the growing-season
        months of the period. A month without scenes is given as all missing.

    Returns
    -------
    dict of ndarray
        Stored integers of all products of the group ``period.cadence``:
        ndvi_max, clear_count and fvc from the growing-season months of the period; ndvi_mean where
        enough of them are clear; landcover and forest from the land-cover map of the year.

    Raises
    ------
    InputError
        A season month is not there; land cover missing, unreadable or with unknown codes; a
        product without any value although its input has some (names tile, period, product).
    """
    config = region.config
    months = [m.id for m in config.season_months(period)]
    absent = [m for m in months if m not in monthly]
    if absent:
        raise InputError(
            f"composites of {', '.join(absent)} are not there",
            where=f"tile {tile.id}, period {period.id}",
            fix="composite these months first",
        )
    maxima = [monthly[m][0] for m in months]
    where = f"tile {tile.id}, period {period.id}"
    out = {
        "ndvi_max": vegetation.stored_maximum(maxima, tile.shape),
        "clear_count": vegetation.stored_count([monthly[m][1] for m in months], tile.shape),
    }
    needed = min(config.min_season_months, len(months))
    out["ndvi_mean"], out["valid_months"] = vegetation.stored_mean(maxima, tile.shape, needed)
    out["fvc"] = cover.stored_fvc(region, tile, period, out["ndvi_max"], where)
    seen = out["clear_count"] > 0
    _refuse_empty("ndvi_max", out["ndvi_max"], seen, where)
    if cover.choice_of(region) != "map":  # maps may leave pixels, even whole tiles, without a pair
        _refuse_empty("fvc", out["fvc"], seen, where)
    _refuse_empty("ndvi_mean", out["ndvi_mean"], out["valid_months"] >= max(1, needed), where)
    if config.landcover is not None:
        out["landcover"], out["forest"] = _landcover(region, tile, period, out["fvc"], where)
    wanted = [p.id for p in products_of(period.cadence, config.landcover is not None)]
    return {name: out[name] for name in wanted}


def _landcover(
    region: Region, tile: Tile, period: Period, fvc: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return LUCC classes and the forest mask of a tile."""
    assert region.config.landcover is not None
    files = _files(region, period)
    dataset = region.catalog.get(region.config.landcover.dataset, "the region's land cover")
    crosswalk = crosswalk_of(region)
    nodata = None if dataset.nodata is None else int(dataset.nodata)
    pixels = _forest_pixels(region)
    grid = region.grid
    wide = grid.padded(tile, forest.halo_of(pixels))
    codes_wide = auxiliary.read_codes(files["dataset"][1], grid, wide)
    y, x = tile.y0 - wide.y0, tile.x0 - wide.x0
    inner = (slice(y, y + tile.shape[0]), slice(x, x + tile.shape[1]))
    codes = codes_wide[inner]
    masks: dict[str, np.ndarray | None] = {"river": None, "sandy": None}
    if "rivers" in files:
        asked = np.isin(codes, crosswalk.codes_with("river"))
        masks["river"] = auxiliary.near_rivers(
            files["rivers"][1], files["rivers"][2], grid, tile, asked
        )
    if "sandy_land" in files:
        asked = np.isin(codes, crosswalk.codes_with("sandy"))
        masks["sandy"] = auxiliary.inside(
            files["sandy_land"][1], files["sandy_land"][2], grid, tile, asked
        )
    place = f"{where}, dataset '{region.config.landcover.dataset}'"
    open_canopy = None
    if "canopy" in files:
        closed, seen = _canopy(region, files["canopy"], wide, where)
        open_canopy = (seen & ~closed)[inner]
    classes = landcover.to_lucc(
        codes, crosswalk, fvc, masks["river"], masks["sandy"], nodata, place, open_canopy
    )
    wanted = forest.FOREST_CLASSES if open_canopy is None else forest.TREE_CLASSES
    trees, mapped = landcover.is_class(codes_wide, crosswalk, wanted, nodata)
    known = mapped[inner]
    if open_canopy is not None:
        # A tree pixel of unknown closure is neither forest nor not: missing is not zero.
        has_forest = known & (~trees | seen)[inner]
        trees &= closed
    else:
        has_forest = known
    patches = forest.minimum_patches(trees, pixels)[inner]
    mask = np.where(has_forest, patches, forest.FILL).astype(np.uint8)
    if crosswalk.needs_fvc:
        grass = [c for c, r in crosswalk.codes.items() if r.grass]
        has_fvc = fvc != vegetation.FVC_FILL
        classable = known & (~np.isin(codes, grass) | has_fvc)
    else:
        classable = known
    _refuse_empty("landcover", classes, classable, where)
    _refuse_empty("forest", mask, has_forest, where)
    return classes, mask


def _canopy(
    region: Region, file: tuple[str, Path, str | None], tile: Tile, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the canopy is closed, and where its closure is known."""
    dataset_id, path, _ = file
    dataset = region.catalog.get(dataset_id, where)
    values = auxiliary.read_values(path, dataset, region.grid, tile)
    limit = method_of(region, "forest_coverage").number("canopy").required
    try:
        return forest.closed_canopy(values, limit)
    except InputError as error:
        raise InputError(
            error.what, where=f"{where}, dataset '{dataset_id}'", rule=error.rule, fix=error.fix
        ) from None


def _refuse_empty(product: str, values: np.ndarray, valid: np.ndarray, where: str) -> None:
    if valid.any() and not (values != PRODUCTS[product].fill).any():
        raise InputError(
            f"{product} has no value although its input has {int(valid.sum())} valid pixels",
            where=where,
            rule="missing output from valid input is a fault, never a result",
            fix="report this as a bug, with the region file and the period",
        )


def _forest_pixels(region: Region) -> int:
    area = method_of(region, "forest_coverage").number("min_area_ha").required
    return forest.min_pixels(area, region.grid.pixel_area_m2)


def _files(region: Region, period: Period) -> dict[str, tuple[str, Path, str | None]]:
    """Return role: (dataset id, file, layer) of all files that a period needs."""
    config = region.config.landcover
    if config is None:
        return {}
    wanted_by = f"{region.config.path}, key 'landcover'"
    catalog, year = region.catalog, period.year
    path = auxiliary.raster_path(catalog, config.dataset, year, wanted_by)
    files: dict[str, tuple[str, Path, str | None]] = {"dataset": (config.dataset, path, None)}
    for role in ("rivers", "sandy_land"):
        dataset_id = getattr(config, role)
        if dataset_id is not None:
            path = auxiliary.vector_path(catalog, dataset_id, year, wanted_by)
            layer = getattr(catalog.get(dataset_id, wanted_by).access, "layer", None)
            files[role] = (dataset_id, path, layer)
    if config.canopy is not None:
        path = auxiliary.raster_path(catalog, config.canopy, year, wanted_by)
        files["canopy"] = (config.canopy, path, None)
    return files


def period_inputs(region: Region, period: Period) -> dict[str, Any]:
    """Return receipts of land cover and vectors, free of paths: role to dataset, size, checksum.

    Raises
    ------
    InputError
        A file is missing.
    """
    return {
        role: auxiliary.receipt(path, dataset_id, whole=role not in RASTERS)
        for role, (dataset_id, path, _) in (
            *_files(region, period).items(),
            *cover.files(region, period).items(),
        )
    }


def period_parameters(region: Region) -> dict[str, Any]:
    """Return everything that changes the products besides imagery and files (for digests)."""
    out: dict[str, Any] = {
        **cover.parameters(region),
        "season": [region.config.season.first, region.config.season.last],
        "min_season_months": region.config.min_season_months,
        "versions": {"vegetation": vegetation.VERSION},
    }
    if region.config.landcover is not None:
        dataset = region.catalog.get(region.config.landcover.dataset, "the region's land cover")
        crosswalk = crosswalk_of(region)
        out |= {
            "crosswalk": {"id": crosswalk.id, "sha256": crosswalk.digest},
            "landcover_nodata": dataset.nodata,
            "forest_min_pixels": _forest_pixels(region),
            "forest_classes": list(forest.FOREST_CLASSES),
        }
        out["versions"] |= {"landcover": landcover.VERSION, "forest": forest.VERSION}
        if region.config.landcover.canopy is not None:
            canopy = region.catalog.get(region.config.landcover.canopy, "the canopy")
            out["canopy"] = {
                "least": method_of(region, "forest_coverage").number("canopy").required,
                "scale": [canopy.scale, canopy.offset, canopy.nodata],
                "classes": list(forest.TREE_CLASSES),
            }
    return out
