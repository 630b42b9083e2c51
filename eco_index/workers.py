"""What a worker does: compute one tile and write it into its own fork of the archive's session.

Only short receipts and the fork (references to what was written) go back to the committer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eco_index.compositing import SEASON_LAYER, How
from eco_index.cube import read_tile, write_tile
from eco_index.cube.storage import translate
from eco_index.errors import EcoError, InputError
from eco_index.grid import Grid, Tile
from eco_index.period import Month, Period
from eco_index.products import PRODUCTS

if TYPE_CHECKING:
    from eco_index.catalog import Catalog
    from eco_index.config import Region
    from eco_index.sources.scene import AssetFailure, Scene


@dataclass(frozen=True)
class CompositeJob:
    """Composite one tile of one month."""

    archive: Path
    catalog: Catalog
    grid: Grid
    tile: Tile
    month: Month
    scenes: tuple[Scene, ...]
    how: How


@dataclass(frozen=True)
class ProductJob:
    """Compute all products of one tile and period."""

    archive: Path
    region: Region
    tile: Tile
    period: Period
    season_scenes: tuple[Scene, ...] = ()


@dataclass(frozen=True)
class Result:
    """What comes back from a worker.

    Attributes
    ----------
    fork : ForkSession or None
        Session with the tile written; None if scenes could not be read.
    receipt : dict
        Short facts about the tile.
    failures : tuple of AssetFailure
        Scenes that could not be read; nothing was written then.
    """

    fork: Any
    receipt: dict[str, Any]
    failures: tuple[AssetFailure, ...] = ()


def run_composite(fork: Any, job: CompositeJob) -> Result:
    """Composite a tile and write it into the fork."""
    from eco_index.composite import composite_tile

    made = composite_tile(job.scenes, job.catalog, job.grid, job.tile, job.how)
    if made.failures:
        return Result(None, {}, tuple(made.failures))
    clear = int(np.count_nonzero(made.clear_count))
    _refuse_empty("ndvi_max", made.ndvi_max, clear, job.month.id, job.tile)
    basis = job.how.settings.basis
    if basis in made.layers:
        _refuse_empty(basis, made.layers[basis], clear, job.month.id, job.tile)
    _write(fork, job.archive, "monthly", job.month.id, job.tile, made.arrays())
    receipt: dict[str, Any] = {"scenes": len(job.scenes), "clear_pixels": clear}
    if job.how.settings.source_index:
        listed = zip(job.how.numbers, job.scenes, strict=True)
        receipt["sources"] = {str(n): f"{s.dataset}/{s.id}" for n, s in listed}
    return Result(fork, receipt)


def run_product(fork: Any, job: ProductJob) -> Result:
    """Compute a tile's products from its monthly composites and write them into the fork."""
    from eco_index.period_products import compute_period

    monthly = read_monthly(fork, job.region, job.period, job.tile)
    arrays = compute_period(job.region, job.tile, job.period, monthly)
    settings = job.region.config.composite
    if settings.season is not None:
        arrays[SEASON_LAYER] = _season(job)
    _write(fork, job.archive, job.period.cadence, job.period.id, job.tile, arrays)
    receipt: dict[str, Any] = {}
    if settings.interpolation is not None and job.period.cadence == "yearly":
        receipt["interpolated"] = _write_filled(fork, job, monthly, settings.interpolation.max_gap)
    valid = {
        name: int(np.count_nonzero(values != PRODUCTS[name].fill))
        for name, values in arrays.items()
        if PRODUCTS[name].fill is not None
    }
    return Result(fork, receipt | {"valid_pixels": valid})


def _season(job: ProductJob) -> np.ndarray:
    """Return the composite over the growing season, from the scenes of its months.

    The months' own composites have read every one of them in this tile: one that cannot be read
    now is a passing fault, or gone since.
    """
    from eco_index.composite import composite_tile

    config = job.region.config
    assert config.composite.season is not None
    settings = config.composite.season.settings(config.composite)
    months = config.season_months(job.period)
    if not months:
        return np.full(job.tile.shape, PRODUCTS[SEASON_LAYER].fill, np.int16)
    how = How(settings, (), (months[0].start, months[-1].end))
    region = job.region
    made = composite_tile(job.season_scenes, region.catalog, region.grid, job.tile, how)
    if made.failures:
        first = made.failures[0]
        raise InputError(
            f"scene {first.dataset}/{first.scene} could be read for its month and cannot be read "
            f"for the season: {first.reason}",
            where=f"composite of the season, {job.period.id}, tile {job.tile.id}",
            rule="the season is made of the scenes of its months; everything stored is kept",
            fix="run again; if the file is gone for good, put it back or acquire the month anew",
        )
    values = made.layers[settings.basis]
    seen = int(np.count_nonzero(made.clear_count))
    _refuse_empty(SEASON_LAYER, values, seen, job.period.id, job.tile)
    return values


def _write_filled(
    fork: Any,
    job: ProductJob,
    monthly: dict[str, tuple[np.ndarray, np.ndarray]],
    max_gap: int,
) -> dict[str, int]:
    """Write the interpolated months of a year; return how many pixels of each are interpolated.

    Only the year's task does: months at the end of a half-year have neighbours in the other one.
    """
    from eco_index.indices.gaps import fill_months

    filled, flags = fill_months([ndvi for ndvi, _ in monthly.values()], max_gap)
    for month, values, flag in zip(monthly, filled, flags, strict=True):
        arrays = {"ndvi_filled": values, "ndvi_filled_flag": flag}
        _write(fork, job.archive, "monthly", month, job.tile, arrays)
    return {m: int(np.count_nonzero(f == 1)) for m, f in zip(monthly, flags, strict=True)}


def read_monthly(
    session: Any, region: Region, period: Period, tile: Tile
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return month id to (NDVI composite, clear_count) of a tile, stored integers."""
    products = (region.config.composite.basis, "clear_count")
    monthly = {}
    for month in region.config.period_months(period):
        ndvi, clear = read_tile(session, "monthly", month.id, tile, products)
        monthly[month.id] = (ndvi, clear)
    return monthly


def _refuse_empty(product: str, values: np.ndarray, n_seen: int, time_id: str, tile: Tile) -> None:
    """Refuse a result without any value where the input has values: a silent fault upstream."""
    if n_seen and not np.any(values != PRODUCTS[product].fill):
        raise InputError(
            f"{product} of {time_id} has no value in tile {tile.id}, though {n_seen} of its "
            f"pixels have clear observations",
            rule="a result that is empty although its input is not is never stored",
            fix="look at scale, offset and valid range of the imagery's bands in the catalogue",
        )


def _write(
    fork: Any,
    archive: Path,
    group: str,
    time_id: str,
    tile: Tile,
    arrays: dict[str, np.ndarray],
) -> None:
    try:
        write_tile(fork, group, time_id, tile, arrays)
    except EcoError:
        raise
    except Exception as error:
        # Said here, in words: Icechunk's own exceptions may not survive the way between processes.
        message = translate(error, archive, f"write {group} {time_id}, tile {tile.id}")
        if message is None:
            raise
        raise message from None
