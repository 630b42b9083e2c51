"""Which detected object is which known lead: by overlap on the ground, across runs and periods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import shapely

from eco_index.ledger.records import Detected, Lead, ZonePart
from eco_index.yamlio import Text


@dataclass(frozen=True)
class Matches:
    """Detected objects set against the ledger.

    Attributes
    ----------
    known : dict
        Lead id to what is seen of it now (several parts are put together).
    merged : dict
        Lead id to the id of the lead whose object covers it now.
    new : list of Detected
        Objects that are no known lead, in the order given.
    """

    known: dict[str, Detected]
    merged: dict[str, str]
    new: list[Detected]


def match(objects: Sequence[Detected], leads: Mapping[str, Lead], overlap: float) -> Matches:
    """Set objects against leads.

    An object is a lead when the two share at least `overlap` of the smaller area. An object that
    is several leads belongs to the one with the largest common area (the oldest of equals), and
    the others are marked as merged into it; several objects of one lead are its parts.
    """
    ids = list(leads)
    known_shapes = [shapely.from_wkt(leads[i].latest.footprint) for i in ids]
    tree = shapely.STRtree(known_shapes)
    parts: dict[str, list[Detected]] = {}
    covered: dict[str, list[tuple[float, str]]] = {}
    new = []
    for one in objects:
        shape = shapely.from_wkt(one.footprint)
        hits: list[tuple[float, int]] = []
        for k in sorted(int(k) for k in tree.query(shape, predicate="intersects")):
            common = shapely.intersection(shape, known_shapes[k]).area
            if common >= overlap * min(shape.area, known_shapes[k].area) - 1e-6:
                hits.append((common, k))
        if not hits:
            new.append(one)
            continue
        best = max(hits, key=lambda hit: (hit[0], -hit[1]))[1]
        parts.setdefault(ids[best], []).append(one)
        for common, k in hits:
            if k != best:
                covered.setdefault(ids[k], []).append((common, ids[best]))
    merged = {lead: max(by)[1] for lead, by in covered.items() if lead not in parts}
    return Matches({lead: together(found) for lead, found in parts.items()}, merged, new)


def together(parts: Sequence[Detected]) -> Detected:
    """Return the parts of one lead as one object; evidence and place are those of the largest."""
    if len(parts) == 1:
        return parts[0]
    main = max(parts, key=lambda part: part.area_ha)
    footprint = shapely.normalize(shapely.union_all([shapely.from_wkt(p.footprint) for p in parts]))
    area = round(sum(p.area_ha for p in parts), 4)
    zones: dict[tuple[str, str], ZonePart] = {}
    for zone in (z for p in parts for z in p.zones):
        before = zones.get((zone.layer, zone.id))
        size = round(zone.area_ha + (before.area_ha if before else 0.0), 4)
        share = round(min(1.0, size / area), 4)
        zones[zone.layer, zone.id] = zone.model_copy(update={"area_ha": size, "share": share})
    remark = Text(
        zh=f"现呈 {len(parts)} 个图斑，证据取自最大者",
        en=f"now seen as {len(parts)} parts; the evidence is that of the largest",
    )
    return main.model_copy(
        update={
            "area_ha": area,
            "footprint": footprint.wkt,
            "zones": tuple(zones.values()),
            "classes_before": _sums(p.classes_before for p in parts),
            "classes_after": _sums(p.classes_after for p in parts),
            "remarks": (*main.remarks, remark),
        }
    )


def _sums(tables: Iterable[Mapping[int, float]]) -> dict[int, float]:
    total: dict[int, float] = {}
    for table in tables:
        for code, area in table.items():
            total[code] = round(total.get(code, 0.0) + area, 4)
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def adjoining(
    objects: Sequence[Detected], leads: Mapping[str, Lead], within: float
) -> list[list[str]]:
    """Return, for each object, the ids of leads whose footprint lies within a distance (m)."""
    ids = list(leads)
    out: list[list[str]] = [[] for _ in objects]
    if not ids or not objects:
        return out
    tree = shapely.STRtree([shapely.from_wkt(leads[i].latest.footprint) for i in ids])
    shapes = [shapely.from_wkt(one.footprint) for one in objects]
    for k, at in sorted(zip(*tree.query(shapes, "dwithin", within).tolist(), strict=True)):
        out[k].append(ids[at])
    return out
