"""Does a zone layer lie shifted against another one, the way GCJ-02 lies against WGS 84?

Boundaries that two layers share are matched as they are, and with one layer moved from GCJ-02 to
WGS 84 or the other way. Layers that share no boundary say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from pyproj import CRS, Transformer

from eco_index.config import Region
from eco_index.errors import EcoError
from eco_index.gcj02 import to_gcj02, to_wgs84
from eco_index.yamlio import Text
from eco_index.zones import ZoneLayer, load_layer

#: Boundary points that are tried, evenly spaced.
POINTS = 2000
#: Boundaries of two sources count as the same up to this distance (m); GCJ-02 is 300 to 700 m off.
NEAR_M = 100.0
#: Least share of points that must match after the move, and how many times more than before it.
LEAST_MATCH, TIMES_MORE = 0.25, 2.0


@dataclass(frozen=True)
class Shift:
    """A layer that looks like GCJ-02 among layers that are not.

    Attributes
    ----------
    layer, reference : str
        The layer that looks shifted, and the one it was compared with.
    east_m, north_m : float
        Where it lies against its true place, mean, m.
    matched, matched_moved : float
        Share of boundary points that match as they are, and with the shift taken off.
    """

    layer: str
    reference: str
    east_m: float
    north_m: float
    matched: float
    matched_moved: float

    @property
    def distance_m(self) -> float:
        return float(np.hypot(self.east_m, self.north_m))

    def note(self) -> Text:
        """Return what the user should know, in both languages."""
        return Text(
            zh=f"图层“{self.layer}”相对“{self.reference}”疑似偏移约{self.distance_m:.0f} m"
            f"（GCJ-02方向；边界吻合率{self.matched:.0%}，按GCJ-02纠正后{self.matched_moved:.0%}）："
            "如属GCJ-02，请在区域文件中声明 datum: gcj02",
            en=f"the layer '{self.layer}' looks shifted against '{self.reference}' by about "
            f"{self.distance_m:.0f} m in the direction of GCJ-02 ({self.matched:.0%} of its "
            f"boundary matches, {self.matched_moved:.0%} with the shift taken off): if it is "
            "GCJ-02, declare 'datum: gcj02' in the region file",
        )


def find_shift(first: ZoneLayer, second: ZoneLayer) -> Shift | None:
    """Return which of two layers looks like GCJ-02 against the other, None for neither.

    Parameters
    ----------
    first, second : ZoneLayer
        Both in the CRS of the grid (m).

    Notes
    -----
    Own rule: evenly spaced points on one layer's boundaries, near the other layer; the share of
    them within `NEAR_M` of a boundary of the other, as they are and moved by the published shift of
    GCJ-02 at each point. A layer is named when a move matches at least `LEAST_MATCH` of the points
    and `TIMES_MORE` times as many as no move. Tried from either layer (the coarser one of two
    nested layers has only common boundaries), the better match counts.
    """
    both = [_compared(first, second), _compared(second, first)]
    return max((s for s in both if s is not None), key=lambda s: s.matched_moved, default=None)


def shifts_of(region: Region, layers: Sequence[str], year: int) -> list[Shift]:
    """Return which layers of a region look shifted against another, each once.

    Layers that cannot be read are left out: the assessment says what is wrong with them.
    """
    loaded: list[ZoneLayer] = []
    for layer_id in dict.fromkeys(layers):
        try:
            loaded.append(load_layer(region, layer_id, year))
        except EcoError:
            continue
    found: dict[str, Shift] = {}
    for k, first in enumerate(loaded):
        for second in loaded[k + 1 :]:
            shift = find_shift(first, second)
            if shift is not None:
                found.setdefault(shift.layer, shift)
    return list(found.values())


def _compared(first: ZoneLayer, second: ZoneLayer) -> Shift | None:
    """Match points of the second layer's boundaries with boundaries of the first."""
    points = _points(second, first.bounds)
    if not len(points):
        return None
    tree = shapely.STRtree(_segments(first))
    crs = CRS(first.gdf.crs)
    back = _moved(points, crs, "to_wgs84")
    forth = _moved(points, crs, "to_gcj02")
    as_is, if_second, if_first = (_matched(tree, p) for p in (points, back, forth))
    best = max(if_second, if_first)
    if best < LEAST_MATCH or best < TIMES_MORE * as_is:
        return None
    # The shift at a place: from where it is to where it would be drawn in GCJ-02.
    east, north = np.mean(points - back if if_second >= if_first else forth - points, axis=0)
    names = (second.id, first.id) if if_second >= if_first else (first.id, second.id)
    return Shift(*names, float(east), float(north), as_is, best)


def _points(layer: ZoneLayer, bounds: tuple[float, float, float, float]) -> np.ndarray:
    """Return points (n, 2) evenly spaced on a layer's boundaries within a box and a bit more."""
    xmin, ymin, xmax, ymax = bounds
    box = shapely.box(xmin - 2000, ymin - 2000, xmax + 2000, ymax + 2000)
    lines = shapely.boundary(np.asarray(layer.gdf.geometry.array, dtype=object))
    lines = shapely.get_parts(shapely.intersection(lines, box))
    lines = lines[shapely.length(lines) > 0]
    ends = np.cumsum(shapely.length(lines))
    if not ends.size:
        return np.empty((0, 2))
    at = (np.arange(POINTS) + 0.5) * (ends[-1] / POINTS)
    line = np.searchsorted(ends, at)
    along = at - np.r_[0.0, ends][line]
    return shapely.get_coordinates(shapely.line_interpolate_point(lines[line], along))


def _segments(layer: ZoneLayer) -> np.ndarray:
    rings = shapely.get_rings(np.asarray(layer.gdf.geometry.array, dtype=object))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[:-1] == ring[1:]
    return shapely.linestrings(np.stack([xy[:-1][same], xy[1:][same]], axis=1))


def _moved(points: np.ndarray, crs: CRS, how: Literal["to_wgs84", "to_gcj02"]) -> np.ndarray:
    degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = degrees.transform(points[:, 0], points[:, 1])
    lon, lat = to_wgs84(lon, lat) if how == "to_wgs84" else to_gcj02(lon, lat)
    x, y = degrees.transform(lon, lat, direction="INVERSE")
    return np.column_stack([x, y])


def _matched(tree: shapely.STRtree, points: np.ndarray) -> float:
    hit = tree.query(shapely.points(points), predicate="dwithin", distance=NEAR_M)[0]
    return np.unique(hit).size / len(points)
