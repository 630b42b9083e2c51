"""One pass over the cube: every sum and every map of an assessment, tile by tile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from eco_index.assessment.overview import Frame, Overview
from eco_index.assessment.specs import products_read
from eco_index.change import ChangeSpec, ChangeSums
from eco_index.cube import CubeView
from eco_index.grid import Tile
from eco_index.period import Month, Period
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_raster import drawn_zones, zone_pixels
from eco_index.zones import ZoneLayer


@dataclass
class MonthSums:
    """Clear views of a month over all pixels that the programme's zones have whole or in part.

    Attributes
    ----------
    pixels, seen, count : int
        Zone pixels, those with at least one clear view, and the sum of clear views.
    """

    pixels: int = 0
    seen: int = 0
    count: int = 0


@dataclass
class Gathered:
    """Everything that was summed.

    Attributes
    ----------
    now, before : ZoneSums
        Sums over the programme's zones; `before` is None without an earlier period.
    change : ChangeSums or None
    units_now, units_before : ZoneSums or None
        Sums over the units of official indices.
    months : dict
        Month id to its sums.
    overview : Overview
    """

    now: ZoneSums
    before: ZoneSums | None
    change: ChangeSums | None
    units_now: ZoneSums | None
    units_before: ZoneSums | None
    overview: Overview
    months: dict[str, MonthSums] = field(default_factory=dict)


def gather(
    view: CubeView,
    period: Period,
    previous: Period | None,
    zones: ZoneLayer,
    units: ZoneLayer | None,
    spec: SumSpec,
    changes: ChangeSpec | None,
    unit_sums: SumSpec,
    months: Iterable[Month],
    landcover: bool,
) -> Gathered:
    """Sum a period (and the one compared with) over zones and units.

    Memory is bounded by the tile: each product of both periods is read once a tile.
    """
    grid = view.grid
    months = list(months)
    overview = Overview(grid, Frame.around(grid, zones.bounds), landcover, previous is not None)
    out = Gathered(
        now=ZoneSums(spec, len(zones)),
        before=ZoneSums(spec, len(zones)) if previous is not None else None,
        change=ChangeSums(changes, len(zones)) if previous is not None and changes else None,
        units_now=ZoneSums(unit_sums, len(units)) if units is not None else None,
        units_before=ZoneSums(unit_sums, len(units)) if units is not None and previous else None,
        overview=overview,
        months={m.id: MonthSums() for m in months},
    )
    wanted_now = products_read(spec, changes if previous else None, unit_sums if units else None)
    wanted_now = tuple(dict.fromkeys((*wanted_now, *overview.products)))
    wanted_before = tuple(dict.fromkeys((*wanted_now, "fvc")))
    for tile in grid.tiles():
        sheets = drawn_zones(zones, grid, tile)
        unit = zone_pixels(units, grid, tile) if units is not None else None
        in_units = unit is not None and unit.any()
        if not sheets and not in_units and overview.frame.part(tile) is None:
            continue
        now = _read(view, period, wanted_now, tile)
        before = _read(view, previous, wanted_before, tile) if previous is not None else None
        for drawn in sheets:
            out.now.add(drawn.ids, now, drawn.shares)
            if before is not None and out.before is not None:
                out.before.add(drawn.ids, before, drawn.shares)
                if out.change is not None:
                    out.change.add(drawn.ids, before, now, drawn.shares)
        if in_units and unit is not None and out.units_now is not None:
            out.units_now.add(unit.ids, now, unit.shares)
            if before is not None and out.units_before is not None:
                out.units_before.add(unit.ids, before, unit.shares)
        overview.add(tile, now, before)
        if sheets:
            inside = np.logical_or.reduce([drawn.inside for drawn in sheets])
            for month in months:
                _add_month(out.months[month.id], view, month, tile, inside)
    return out


def _read(
    view: CubeView, period: Period, products: Iterable[str], tile: Tile
) -> dict[str, np.ndarray]:
    return {p: view.read(period.cadence, p, period.id, tile) for p in products}


def _add_month(
    sums: MonthSums, view: CubeView, month: Month, tile: Tile, inside: np.ndarray
) -> None:
    clear = view.read("monthly", "clear_count", month.id, tile)[inside]
    sums.pixels += int(clear.size)
    sums.seen += int(np.count_nonzero(clear))
    sums.count += int(clear.sum(dtype=np.int64))
