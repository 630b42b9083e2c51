"""Known leads that a search did not find: were they seen, and is the change still there?"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from affine import Affine
from rasterio import features

from eco_index.grid import Grid
from eco_index.leads.matching import Matches
from eco_index.leads.scan import Read, Window
from eco_index.ledger.parameters import LeadParameters
from eco_index.ledger.records import Detected, Lead
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.yamlio import Text


def period_of(detected: Detected) -> Period:
    """Return the later period of a detection."""
    return Period.parse(detected.period)


def look_again(
    old: dict[str, Lead],
    matches: Matches,
    read: Read,
    grid: Grid,
    periods: tuple[Period, Period],
    parameters: LeadParameters,
    wanted: list[tuple[str, str]] | None,
) -> dict[str, dict[str, Any]]:
    """Return, for known leads that were searched for and not detected, what there is to say.

    Parameters
    ----------
    old : dict
        Leads known before this search.
    matches : Matches
        What the search found of them.
    read : callable
        Gives both periods.
    grid : Grid
        The region's grid.
    periods : tuple of Period
        The one before and the one after.
    parameters : LeadParameters
        Kinds and their classes.
    wanted : list of (layer id, zone id) or None
        Zones searched; None for all.

    Returns
    -------
    dict
        Lead id to the values of a `Missed` event.
    """
    period = periods[1]
    out: dict[str, dict[str, Any]] = {}
    for lead_id, lead in old.items():
        first = lead.first.detected
        if lead_id in matches.known or period_of(first).end > period.end:
            continue  # detected; or it did not exist yet
        zones = {(z.layer, z.id) for z in lead.latest.zones}
        if wanted is not None and not zones & set(wanted):
            continue
        observed, remaining = _shares(lead, read, grid, parameters)
        values: dict[str, Any] = {"observed_share": observed, "remaining_share": remaining}
        values["remark"] = _remark(lead, periods, matches.merged.get(lead_id), observed, remaining)
        out[lead_id] = values
    return out


def _shares(
    lead: Lead, read: Read, grid: Grid, parameters: LeadParameters
) -> tuple[float, float | None]:
    """Return the share of a lead with clear views, and how much of it is still as changed."""
    shape = shapely.from_wkt(lead.latest.footprint)
    window = window_of(shape, grid)
    mask = features.geometry_mask(
        [shape],
        (window[0].stop - window[0].start, window[1].stop - window[1].start),
        grid.transform @ Affine.translation(window[1].start, window[0].start),
        invert=True,
    )
    if not mask.any():
        return 0.0, None
    clear = [read(which, "clear_count", window)[mask] > 0 for which in ("before", "after")]
    observed = float(np.mean(clear[0] & clear[1]))
    now = read("after", "landcover", window)[mask]
    known = now[now != PRODUCTS["landcover"].fill]
    group = {k: r for k, r in parameters.kinds.items() if k in lead.latest.kind_shares}
    changed = sorted({c for r in group.values() for c in r.after})
    remaining = round(float(np.isin(known, changed).mean()), 4) if known.size and group else None
    return round(observed, 4), remaining


def window_of(shape: shapely.Geometry, grid: Grid, margin: int = 0) -> Window:
    """Return the window of the grid that holds a shape, grown by a margin in pixels."""
    height, width = grid.shape
    west, south, east, north = shape.bounds
    res = grid.resolution
    r0, r1 = (grid.bounds[3] - north) / res, (grid.bounds[3] - south) / res
    c0, c1 = (west - grid.bounds[0]) / res, (east - grid.bounds[0]) / res
    return (
        slice(max(0, round(r0) - margin), min(height, max(0, round(r1)) + margin)),
        slice(max(0, round(c0) - margin), min(width, max(0, round(c1)) + margin)),
    )


def _remark(
    lead: Lead,
    periods: tuple[Period, Period],
    merged: str | None,
    observed: float,
    remaining: float | None,
) -> Text:
    against, period = periods
    pair_zh, pair_en = f"{against.id}→{period.id}", f"{against.id} to {period.id}"
    if merged is not None:
        return Text(
            zh=f"{pair_zh}：已并入线索 {merged} 的图斑",
            en=f"{pair_en}: now part of the object of lead {merged}",
        )
    if observed < 0.5:
        share = f"{100 * observed:.0f}"
        return Text(
            zh=f"{pair_zh}：未检出，仅 {share}% 有晴空观测",
            en=f"{pair_en}: not detected; only {share} % of it was seen in both periods",
        )
    first = lead.first.detected
    if (first.period, first.against) == (period.id, against.id):
        return Text(
            zh=f"{pair_zh}：按现有数据和参数不再检出",
            en=f"{pair_en}: no longer detected with the present data and parameters",
        )
    if remaining is None:
        return Text(zh=f"{pair_zh}：无新变化", en=f"{pair_en}: no new change")
    still = f"{100 * remaining:.0f}"
    return Text(
        zh=f"{pair_zh}：无新变化，图斑 {still}% 仍为变化后的地类",
        en=f"{pair_en}: no new change; {still} % of it is still the changed land cover",
    )
