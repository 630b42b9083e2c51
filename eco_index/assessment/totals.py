"""Lines of an assessment that stand for several zones: groups (leagues, reserves) and all zones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.assessment.gather import Gathered
from eco_index.change import ChangeSums
from eco_index.summary import TOTAL, TOTAL_NAME, Zone
from eco_index.yamlio import Text
from eco_index.zonal import ZoneSums
from eco_index.zones import ZoneLayer

#: Ids of the lines of groups begin with this (`summary.is_total`).
GROUP = "_group_"


@dataclass(frozen=True)
class Totals:
    """Sums of some zones taken together, line by line.

    Attributes
    ----------
    zones : list of Zone
        What the lines stand for.
    now, before : ZoneSums
        Sums of the lines in either period; `before` is None without an earlier period.
    change : ChangeSums or None
    """

    zones: list[Zone]
    now: ZoneSums
    before: ZoneSums | None
    change: ChangeSums | None


def groupings(layer: ZoneLayer, zones: Sequence[Zone]) -> Iterator[tuple[list[Zone], np.ndarray]]:
    """Yield the lines of the layer's groups, then the one of all zones, each with its members.

    Zones that overlap have no totals: area would count twice.

    Yields
    ------
    lines : list of Zone
        What the lines stand for.
    index : numpy.ndarray
        int64 (zone,): number of the line that each zone belongs to, -1 for none.
    """
    if not layer.partition:
        return
    groups, index = layer.group_index()
    if groups:
        lines = [
            Zone(
                id=GROUP + group.replace("/", "-"),
                name=_subtotal(layer.group_names[group]),
                area_km2=sum(z.area_km2 for z, k in zip(zones, index, strict=True) if k == own),
                pixels_km2=sum(z.pixels_km2 for z, k in zip(zones, index, strict=True) if k == own),
            )
            for own, group in enumerate(groups)
        ]
        yield lines, index
    if len(layer) > 1:
        line = Zone(
            id=TOTAL,
            name=TOTAL_NAME,
            area_km2=sum(z.area_km2 for z in zones),
            pixels_km2=sum(z.pixels_km2 for z in zones),
        )
        yield [line], np.zeros(len(layer), np.int64)


def totals(layer: ZoneLayer, zones: Sequence[Zone], sums: Gathered) -> Iterator[Totals]:
    """Yield the sums of the lines of `groupings`."""
    for lines, index in groupings(layer, zones):
        yield _together(lines, sums, index)


def _subtotal(name: Text) -> Text:
    return Text(zh=f"{name.zh}（小计）", en=f"{name.en} (subtotal)")


def _together(lines: list[Zone], sums: Gathered, index: np.ndarray) -> Totals:
    n = len(lines)
    return Totals(
        lines,
        sums.now.grouped(index, n),
        sums.before.grouped(index, n) if sums.before is not None else None,
        sums.change.grouped(index, n) if sums.change is not None else None,
    )
