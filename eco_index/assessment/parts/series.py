"""The mean of a product in every zone and year: what trends, warnings and causes stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.assessment.parts.context import Context
from eco_index.grid import Tile
from eco_index.period import Period
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_raster import ZonePixels, zone_pixels


@dataclass(frozen=True)
class ZoneSeries:
    """Means of zones by year.

    Attributes
    ----------
    years : numpy.ndarray
        (year,), ascending.
    mean : numpy.ndarray
        (year, zone), physical units; NaN where no pixel has a value.
    seen : numpy.ndarray
        (year, zone), share of the zone's pixels with a value, 0-1.
    """

    years: np.ndarray
    mean: np.ndarray
    seen: np.ndarray


def sheets_of(context: Context, tile: Tile) -> list[ZonePixels]:
    """Return the zones drawn on a tile, once for each sheet that has zones there."""
    layer, grid = context.layer, context.view.grid
    found = [zone_pixels(layer, grid, tile, sheet) for sheet in range(layer.n_sheets)]
    return [drawn for drawn in found if drawn.any()]


def zone_series(context: Context, product: str, periods: Sequence[Period]) -> ZoneSeries:
    """Return the series of a product over some periods, tile by tile."""
    sums = [ZoneSums(SumSpec(values=(product,)), len(context.layer)) for _ in periods]
    for tile in context.view.grid.tiles():
        sheets = sheets_of(context, tile)
        if not sheets:
            continue
        for period, one in zip(periods, sums, strict=True):
            stored = context.view.read(period.cadence, product, period.id, tile)
            for drawn in sheets:
                one.add(drawn.ids, {product: stored}, drawn.shares)
    return series_of(sums, product, periods)


def series_of(sums: Sequence[ZoneSums], product: str, periods: Sequence[Period]) -> ZoneSeries:
    """Return the series of sums, one a period."""
    pixels = np.array([s.pixels for s in sums], float)
    valid = np.array([s.n_valid(product) for s in sums], float)
    seen = np.divide(valid, pixels, out=np.zeros_like(valid), where=pixels > 0)
    years = np.array([p.year for p in periods])
    return ZoneSeries(years, np.array([s.mean(product) for s in sums]), seen)
