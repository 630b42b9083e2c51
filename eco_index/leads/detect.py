"""The search: from two periods of the cube to objects with evidence, place and confidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from eco_index.grid import Grid
from eco_index.leads import evidence
from eco_index.leads.evidence import Look
from eco_index.leads.scan import Patch, Read, Window, kind_table, scan
from eco_index.leads.shapes import Shape, degrees_crs, lonlat, shape_of
from eco_index.ledger.parameters import ROAD, LeadParameters
from eco_index.ledger.records import County, Detected, ZonePart
from eco_index.period import Period
from eco_index.yamlio import Text
from eco_index.zones import ZoneLayer

#: Raise it whenever the same inputs would give other objects.
LEADS_VERSION = 1

EXTENSION = Text(
    zh="与原有水体相连：可能是水位上升", en="joins water that was there: the level may have risen"
)
SILENT = Text(
    zh="原地表植被稀少，影像无法印证，仅据土地覆盖变化",
    en="too little vegetation before: the imagery cannot confirm it, land cover alone says so",
)
PART = Text(zh="较大图斑的一部分", en="part of a larger object")
SPECKED = Text(zh="周边无可比像元", en="no surroundings to compare with")


@dataclass(frozen=True)
class Searched:
    """Result of a search.

    Attributes
    ----------
    objects : list of Detected
        In order of their first pixel, row by row.
    outside : list of Detected
        Objects that lie outside the zones wanted: they may be known leads, but no new ones.
    refused : Counter
        Reason (`evidence.REASONS`) to number of objects that are no leads.
    """

    objects: list[Detected]
    outside: list[Detected] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def search(
    read: Read,
    grid: Grid,
    protected: Sequence[ZoneLayer],
    county: ZoneLayer | None,
    periods: tuple[Period, Period],
    parameters: LeadParameters,
    wanted: Sequence[tuple[str, str]] | None = None,
) -> Searched:
    """Search a region for leads between two periods.

    Parameters
    ----------
    read : callable
        Gives stored integers of both periods (see `scan.Read`).
    grid : Grid
        The region's grid.
    protected : sequence of ZoneLayer
        Zones searched; an object is cut at the border of all of them together.
    county : ZoneLayer or None
        Names the county of an object.
    periods : tuple of Period
        The one before and the one after.
    parameters : LeadParameters
        Kinds and limits.
    wanted : sequence of (layer id, zone id), optional
        Only objects with at least the minimum area in these zones; by default all.

    Returns
    -------
    Searched
    """
    described = [county] if county is not None and county.id not in _ids(protected) else []
    found = scan(read, grid, protected, described, parameters)
    placed: list[tuple[tuple[int, int], bool, Detected]] = []
    refused: Counter[str] = Counter()
    least = parameters.min_pixels(grid.pixel_area_m2)
    for patch, look, window in _looks(found, read, grid, parameters):
        parts = zone_parts(patch, protected, grid)
        one = _judge(patch, look, window, grid, parameters)
        if isinstance(one, str):
            refused[one] += 1
            continue
        kind, shape, found_evidence = one
        lon, lat = lonlat(grid.crs_wkt, shape.x, shape.y)
        confidence = evidence.confidence_of(found_evidence, parameters)
        hectare = grid.pixel_area_m2 / 1e4
        mask = patch.mask(window)
        detected = Detected(
            kind=kind,
            kind_shares=_shares(patch, parameters),
            period=periods[1].id,
            against=periods[0].id,
            area_ha=round(patch.n * hectare, 4),
            x=shape.x,
            y=shape.y,
            lon=lon,
            lat=lat,
            lonlat_crs=degrees_crs(grid.crs_wkt),
            county=county_of(patch, county),
            zones=parts,
            functional_zone=_functional(parts, parameters),
            classes_before=_areas(look.before["landcover"][mask], hectare),
            classes_after=_areas(look.after["landcover"][mask], hectare),
            width_m=shape.width_m,
            elongation=shape.elongation,
            evidence=found_evidence,
            confidence=confidence,
            level=parameters.confidence.level(confidence),
            remarks=_remarks(patch, found_evidence, parameters),
            footprint=shape.footprint.wkt,
        )
        inside = wanted is None or _pixels_in(patch, protected, wanted) >= least
        placed.append(((int(patch.rows[0]), int(patch.cols[0])), inside, detected))
    placed.sort(key=lambda item: item[0])
    return Searched(
        [detected for _, inside, detected in placed if inside],
        [detected for _, inside, detected in placed if not inside],
        refused,
    )


def _ids(layers: Sequence[ZoneLayer]) -> set[str]:
    return {layer.id for layer in layers}


def _looks(
    found: list[Patch], read: Read, grid: Grid, p: LeadParameters
) -> Iterator[tuple[Patch, Look, Window]]:
    """Give every object with both periods around it; objects of one tile are read together."""
    margin = p.ring_pixels + 2
    tiles: dict[tuple[int, int], list[Patch]] = {}
    for patch in found:
        corner = int(patch.rows[0]) // grid.tile_size, int(patch.cols[0]) // grid.tile_size
        tiles.setdefault(corner, []).append(patch)
    for patches in tiles.values():
        windows = [patch.window(grid, margin) for patch in patches]
        at = 0
        while at < len(patches):
            box, end = windows[at], at + 1
            while end < len(patches):
                grown = _around(box, windows[end])
                if max(s.stop - s.start for s in grown) > 2 * grid.tile_size:
                    break  # a long object: what follows is read apart
                box, end = grown, end + 1
            before = {name: read("before", name, box) for name in evidence.WANTED}
            after = {name: read("after", name, box) for name in evidence.WANTED}
            for patch, window in zip(patches[at:end], windows[at:end], strict=True):
                yield patch, Look.of(_cut(before, box, window), _cut(after, box, window)), window
            at = end


def _cut(arrays: dict[str, np.ndarray], box: Window, window: Window) -> dict[str, np.ndarray]:
    rows, cols = (
        slice(w.start - b.start, w.stop - b.start) for w, b in zip(window, box, strict=True)
    )
    return {name: values[rows, cols] for name, values in arrays.items()}


def _around(a: Window, b: Window) -> Window:
    rows, cols = (
        slice(min(x.start, y.start), max(x.stop, y.stop)) for x, y in zip(a, b, strict=True)
    )
    return rows, cols


def _judge(
    patch: Patch, look: Look, window: Window, grid: Grid, p: LeadParameters
) -> str | tuple[str, Shape, evidence.Evidence]:
    """Return kind, shape and evidence of an object, or why it is no lead."""
    mask = patch.mask(window)
    shares = _shares(patch, p)
    # The first kind of the group whose share is reached; the one without a share always is.
    kind_id = next(
        k for k, r in p.kinds.items() if r.group == patch.group and shares.get(k, 0.0) >= r.share
    )
    kind = p.kinds[kind_id]
    other = kind_table(p)[look.before["landcover"], look.after["landcover"]] > 0
    found = evidence.weigh(kind, look, mask, other, p)
    reason = evidence.refused(kind, found, patch.n * grid.pixel_area_m2 / 1e4, p)
    if reason is not None:
        return reason
    shape = shape_of(mask, window, grid)
    road = p.road
    if (
        road is not None
        and road.group == patch.group
        and shape.width_m <= road.max_width_m
        and shape.elongation >= road.min_elongation
    ):
        kind_id = ROAD
    return kind_id, shape, found


def _shares(patch: Patch, p: LeadParameters) -> dict[str, float]:
    counts = np.bincount(patch.kinds, minlength=len(p.kinds) + 1)[1:]
    return {k: round(int(n) / patch.n, 4) for k, n in zip(p.kinds, counts, strict=True) if n}


def _areas(classes: np.ndarray, hectare: float) -> dict[int, float]:
    codes, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {int(codes[k]): round(int(counts[k]) * hectare, 4) for k in order}


def zone_parts(patch: Patch, layers: Sequence[ZoneLayer], grid: Grid) -> tuple[ZonePart, ...]:
    """Return the zones an object lies in, by layer in the order given, the largest part first."""
    parts = []
    for layer in layers:
        numbers = patch.zones[layer.id]
        counts = np.bincount(numbers.ravel(), minlength=len(layer) + 1)[1:]
        for k in np.argsort(-counts, kind="stable"):
            if not counts[k]:
                break
            parts.append(
                ZonePart(
                    layer=layer.id,
                    id=layer.ids[k],
                    name=layer.names[k],
                    attributes={a: v for a, v in layer.attributes[k].items() if v},
                    area_ha=round(int(counts[k]) * grid.pixel_area_m2 / 1e4, 4),
                    share=round(int(counts[k]) / patch.n, 4),
                )
            )
    return tuple(parts)


def county_of(patch: Patch, county: ZoneLayer | None) -> County | None:
    """Return the county that holds most of an object, None where there is none."""
    if county is None:
        return None
    counts = np.bincount(patch.zones[county.id].ravel(), minlength=len(county) + 1)[1:]
    k = int(np.argmax(counts)) if counts.size else 0
    if not counts.size or not counts[k]:
        return None
    return County(id=county.ids[k], name=county.names[k])


def _pixels_in(patch: Patch, layers: Sequence[ZoneLayer], wanted: Sequence[tuple[str, str]]) -> int:
    inside = np.zeros(patch.n, bool)
    for layer in layers:
        numbers = [k + 1 for k, zone in enumerate(layer.ids) if (layer.id, zone) in wanted]
        inside |= np.isin(patch.zones[layer.id], numbers).any(axis=0)
    return int(inside.sum())


def _functional(parts: Sequence[ZonePart], p: LeadParameters) -> str:
    for part in parts:
        for column in p.functional_columns:
            if part.attributes.get(column):
                return part.attributes[column]
    return ""


def _remarks(patch: Patch, found: evidence.Evidence, p: LeadParameters) -> tuple[Text, ...]:
    remarks = [PART] if patch.part else []
    if found.extension >= p.extension_share:
        remarks.append(EXTENSION)
    if found.silent > 0.5:
        remarks.append(SILENT)
    elif found.distinctness is None:
        remarks.append(SPECKED)
    return tuple(remarks)
