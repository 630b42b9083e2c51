"""The mean of a product in every zone and year: what trends, warnings and causes stand on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eco_index.assessment.parts.context import Context, ZoneSeries, years_done
from eco_index.grid import Tile
from eco_index.period import Period
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_raster import ZonePixels, drawn_zones


def sheets_of(context: Context, tile: Tile) -> list[ZonePixels]:
    """Return the zones drawn on a tile, once for each sheet that has zones there."""
    return drawn_zones(context.layer, context.view.grid, tile)


def zone_series(context: Context, product: str) -> ZoneSeries:
    """Return the series of a product over all years up to the period, tile by tile.

    It is summed once an assessment, whichever part asks first.
    """
    if product not in context.series:
        periods = years_done(context.view, context.period)
        context.series[product] = _summed(context, product, periods)
    return context.series[product]


def _summed(context: Context, product: str, periods: Sequence[Period]) -> ZoneSeries:
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
