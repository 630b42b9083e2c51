"""The two sides of a combination table, and how its pieces are drawn on a tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from eco_index.crossing import NONE, cross
from eco_index.grid import Grid, Tile
from eco_index.yamlio import Text
from eco_index.zone_labels import as_text
from eco_index.zone_raster import ZonePixels, drawn_zones
from eco_index.zones import ZoneLayer

_EMPTY = Text(zh="（未填写）", en="(not given)")


@dataclass(frozen=True)
class Sides:
    """Pieces that pixels are summed over, and the combination that each belongs to.

    Attributes
    ----------
    title : Text
        What the zones are combined with.
    first, second : dict
        Key of each member of either side to its name, in order. Keys hold across editions.
    pairs : numpy.ndarray
        int64 (n, 2): number of the first and of the second side of every combination, `NONE` for
        none.
    into : numpy.ndarray
        int64 (piece,): number of the piece's combination.
    draw : callable
        Tile to the pieces on it, for `ZoneSums.add`.
    alone : bool
        Zones of the first side do not overlap: the second side can be added up.
    """

    title: Text
    first: dict[tuple[str, str], Text]
    second: dict[tuple[str, str], Text]
    pairs: np.ndarray
    into: np.ndarray
    draw: Callable[[Tile], list[ZonePixels]]
    alone: bool = True

    @property
    def pieces(self) -> int:
        """Number of pieces."""
        return int(self.into.size)

    def keys(self) -> list[tuple[object, ...] | None]:
        """Return what tells each combination from others in any edition of the boundaries.

        None for what lies in no zone of the first side.
        """
        first, second = list(self.first), list(self.second)
        return [
            (first[i], second[j] if j != NONE else None) if i != NONE else None
            for i, j in self.pairs.tolist()
        ]

    def heads(self) -> list[Text]:
        """Return the name of every combination."""
        none = Text(zh=f"（不在任何{self.title.zh}内）", en=f"(outside {self.title.en})")
        # The number of none is the last.
        first, second = ([*names.values(), none] for names in (self.first, self.second))
        sides = [(first[i], second[j]) for i, j in self.pairs.tolist()]
        return [Text(zh=f"{a.zh} × {b.zh}", en=f"{a.en} × {b.en}") for a, b in sides]

    def only(self, keep: np.ndarray) -> Sides:
        """Return some of the combinations (bool, one each); the pieces stay."""
        number = np.where(keep, np.cumsum(keep) - 1, -1)
        return replace(self, pairs=self.pairs[keep], into=number[self.into])

    def reaches(self, drawn: ZonePixels) -> bool:
        """Tell whether a piece of a combination that has a first side is drawn here."""
        own = (self.into >= 0) & (self.pairs[self.into, 0] != NONE)
        ours = np.concatenate([[False], own])
        return bool(ours[drawn.ids].any() or ours[drawn.shares.zone + 1].any())


def sides_of_layers(first: ZoneLayer, second: ZoneLayer, grid: Grid) -> Sides:
    """Cross the zones with another layer; the pieces are the combinations.

    Those outside all zones have the number `NONE` on the first side.
    """
    crossing = cross(first, second)

    def draw(tile: Tile) -> list[ZonePixels]:
        return [drawn for drawn in crossing.pixels(grid, tile) if drawn.any()]

    return Sides(
        title=second.title,
        first={("zone", i): name for i, name in zip(first.ids, first.names, strict=True)},
        second={("zone", i): name for i, name in zip(second.ids, second.names, strict=True)},
        pairs=crossing.pairs,
        into=np.arange(len(crossing)),
        draw=draw,
        alone=first.n_sheets == 1,
    )


def sides_of_column(layer: ZoneLayer, column: str, grid: Grid) -> Sides:
    """Combine groups of zones (each zone where there are none) with the values of a column.

    The pieces are the zones.
    """
    values = [as_text(v) for v in layer.gdf[column]]
    groups = layer.groups or ("",) * len(layer)
    # What belongs to no group stands for itself.
    keys = [("group", g) if g else ("zone", i) for g, i in zip(groups, layer.ids, strict=True)]
    first = {
        key: layer.group_names[key[1]] if key[0] == "group" else name
        for key, name in zip(keys, layer.names, strict=True)
    }
    second = {("value", v): Text(zh=v, en=v) if v else _EMPTY for v in values}
    i = np.array([list(first).index(k) for k in keys], np.int64)
    j = np.array([list(second).index(("value", v)) for v in values], np.int64)
    pairs, into = np.unique(np.column_stack([i, j]), axis=0, return_inverse=True)

    def draw(tile: Tile) -> list[ZonePixels]:
        return drawn_zones(layer, grid, tile)

    return Sides(Text(zh=column, en=column), first, second, pairs, into.reshape(-1), draw)
