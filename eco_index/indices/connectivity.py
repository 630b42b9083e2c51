"""Connectivity of ecological spaces: probability of connectivity and what each patch adds.

A link between two patches has the probability p = exp(k d) of their edge-to-edge distance d, with k
such that p is `probability` at the dispersal distance. The connection of two patches is the best
product of probabilities along any path of patches (stepping stones).

References: Saura and Pascual-Hortal 2007 (PC); Saura et al. 2011 (EC); Saura and Rubio 2010 (parts
of dPC).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely

from eco_index.errors import InputError, UsageError
from eco_index.indices.connectivity_kernels import pair_distances, path_sums

VERSION = 1  # changes when results change


@dataclass(frozen=True)
class Links:
    """Undirected links between patches.

    Attributes
    ----------
    first, second : numpy.ndarray
        int64 (link,): positions of the patches, from 0.
    distance : numpy.ndarray
        float64 (link,): metres between the edges, or an effective distance (cost) in the unit of
        the dispersal distance.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class Connectivity:
    """Connectivity of a landscape.

    Attributes
    ----------
    numerator : float
        Sum over all ordered pairs, with themselves, of area x area x probability (ha²).
    ec_ha : float
        Equivalent connectivity: its square root, the area of one patch as well connected.
    pc : float
        Probability of connectivity, 0–1; NaN without the area of the landscape.
    d_pc : numpy.ndarray or None
        Per patch: loss of PC in % when it goes, with the paths through it; sum of the next three.
    intra, flux, connector : numpy.ndarray or None
        Parts in %: the patch's own area, its connections, and paths of others that need it.
    """

    numerator: float
    ec_ha: float
    pc: float
    d_pc: np.ndarray | None
    intra: np.ndarray | None
    flux: np.ndarray | None
    connector: np.ndarray | None


def connectivity(
    area_ha: np.ndarray,
    links: Links,
    dispersal_m: float,
    *,
    probability: float = 0.5,
    landscape_ha: float | None = None,
    least_probability: float = 0.0,
    importance: bool = True,
) -> Connectivity:
    """Return PC, EC and, per patch, dPC by exact removal.

    Parameters
    ----------
    area_ha : numpy.ndarray
        (patch,) area, or area times quality; above 0.
    links : Links
        Links; pairs without one are connected through others only.
    dispersal_m : float
        Distance at which a link has the probability `probability`.
    probability : float
        Within 0–1 (limits excluded); 0.5 makes `dispersal_m` the median dispersal distance.
    landscape_ha : float, optional
        Area of the landscape, for PC.
    least_probability : float
        Paths below this probability count as none; 0 keeps all.
    importance : bool
        Compute dPC and its parts.

    Raises
    ------
    UsageError
        A parameter outside its range.
    InputError
        Areas or links that cannot be.
    """
    area = _areas(area_ha, landscape_ha)
    if not (dispersal_m > 0 and math.isfinite(dispersal_m)) or not 0 < probability < 1:
        raise UsageError(
            f"dispersal distance {dispersal_m} with probability {probability}",
            rule="a positive distance in m, a probability between 0 and 1",
            fix="give the distance at which half of the animals arrive, with 0.5",
        )
    if not 0 <= least_probability < 1:
        raise UsageError(
            f"least probability {least_probability}",
            rule="from 0 to below 1",
            fix="use 0 to keep all paths",
        )
    starts, ends, lengths = _graph(links, area.size, -math.log(probability) / dispersal_m)
    limit = -math.log(least_probability) if least_probability > 0 else math.inf
    flux, lost = path_sums(starts, ends, lengths, area, limit, importance)
    own = area * area
    numerator = math.fsum(own) + math.fsum(flux)
    parts: list[np.ndarray | None] = [None] * 4
    if importance:
        intra, direct, through = (100.0 / numerator * v for v in (own, 2 * flux, lost))
        parts = [intra + direct + through, intra, direct, through]
    return Connectivity(
        numerator,
        math.sqrt(numerator),
        numerator / landscape_ha**2 if landscape_ha else math.nan,
        *parts,
    )


def _areas(area_ha: np.ndarray, landscape_ha: float | None) -> np.ndarray:
    area = np.ascontiguousarray(area_ha, np.float64)
    bad = np.flatnonzero(~(np.isfinite(area) & (area > 0))) if area.ndim == 1 else np.zeros(0)
    if area.ndim != 1 or not area.size or bad.size:
        where = f"patch {bad[0]} of {area.size}" if bad.size else f"shape {area.shape}"
        raise InputError(
            f"{bad.size} patches have no positive area" if bad.size else "no patches",
            where=where,
            rule="one positive area in ha per patch",
            fix="leave out patches without area",
        )
    if landscape_ha is not None and not landscape_ha >= area.sum() * (1 - 1e-9):
        raise InputError(
            f"the landscape has {landscape_ha} ha, its patches {area.sum():.6g} ha",
            rule="the landscape holds all patches; both in ha",
            fix="look at the units, and at patches that overlap",
        )
    return area


def _graph(links: Links, n: int, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the links of each patch in rows, both ways, with -ln p."""
    first, second = (np.asarray(v, np.int64) for v in (links.first, links.second))
    distance = np.asarray(links.distance, np.float64)
    if not first.shape == second.shape == distance.shape or first.ndim != 1:
        raise InputError(
            f"links of the shapes {first.shape}, {second.shape}, {distance.shape}",
            rule="three columns of one length",
            fix="give first, second and distance of every link",
        )
    ends_known = (first >= 0) & (first < n) & (second >= 0) & (second < n) & (first != second)
    bad = np.flatnonzero(~(ends_known & (distance >= 0) & np.isfinite(distance)))
    if bad.size:
        k = bad[0]
        raise InputError(
            f"{bad.size} links cannot be: {first[k]} to {second[k]}, distance {distance[k]}",
            where=f"link {k}",
            rule=f"two different patches of 0 to {n - 1}, a distance of 0 or more",
            fix="leave out links to a patch itself, and pairs without a distance",
        )
    source, end = np.concatenate([first, second]), np.concatenate([second, first])
    length = np.concatenate([distance, distance]) * rate
    order = np.lexsort((end, source))
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(source, minlength=n), out=starts[1:])
    return starts, end[order], length[order]


def border_pixels(labels: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
    """Return the pixels of a block of labels that can be nearest to another patch.

    Parameters
    ----------
    labels : numpy.ndarray
        int64 (h, w) of `patches.PatchScan.labels`; 0 = none.
    row, column : int
        Corner of the block on the map.

    Returns
    -------
    numpy.ndarray
        int64 (pixel, 3): label, row, column. Pixels at the block's border are always among them.
    """
    inner = np.zeros(labels.shape, bool)
    inner[1:-1, 1:-1] = (
        (labels[1:-1, 1:-1] == labels[:-2, 1:-1])
        & (labels[1:-1, 1:-1] == labels[2:, 1:-1])
        & (labels[1:-1, 1:-1] == labels[1:-1, :-2])
        & (labels[1:-1, 1:-1] == labels[1:-1, 2:])
    )
    y, x = np.nonzero((labels > 0) & ~inner)
    return np.stack([labels[y, x], y + row, x + column], axis=1).astype(np.int64)


def raster_links(
    pixels: Iterable[np.ndarray],
    numbers: np.ndarray,
    pixel_size: tuple[float, float],
    max_distance_m: float,
    *,
    edges: bool = True,
) -> Links:
    """Return links between patches of a raster, by their least distance.

    Parameters
    ----------
    pixels : iterable of numpy.ndarray
        `border_pixels` of every block.
    numbers : numpy.ndarray
        Labels of the patches wanted; links count them from 0 in ascending order.
    pixel_size : tuple of float
        Height and width of a pixel, m.
    max_distance_m : float
        Pairs further apart have no link.
    edges : bool
        Measure from edge to edge (pixels that touch: 0); otherwise between pixel centres, as the
        nearest neighbour distance of FRAGSTATS.
    """
    _positive(max_distance_m)
    dy, dx = pixel_size
    numbers = np.unique(np.asarray(numbers, np.int64))
    kept = [part[np.isin(part[:, 0], numbers)] for part in pixels]
    points = np.concatenate([*kept, np.zeros((0, 3), np.int64)])
    points = points[np.lexsort((points[:, 2], points[:, 1], points[:, 0]))]
    starts = np.searchsorted(points[:, 0], np.append(numbers, np.iinfo(np.int64).max))
    if (np.diff(starts) == 0).any():
        missing = numbers[np.flatnonzero(np.diff(starts) == 0)]
        raise InputError(
            f"{missing.size} patches have no pixel, the first is {missing[0]}",
            rule="border pixels of every patch",
            fix="give the border pixels of all blocks",
        )
    if numbers.size < 2:
        return Links(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    rows, columns = (np.ascontiguousarray(points[:, i]) for i in (1, 2))
    box = np.stack(
        [f.reduceat(v, starts[:-1]) for v in (rows, columns) for f in (np.minimum, np.maximum)],
        axis=1,
    )
    half = 0.5  # frames of pixels, never degenerate: no pair of centres is missed
    frames = shapely.box(
        (box[:, 2] - half) * dx, (box[:, 0] - half) * dy,
        (box[:, 3] + half) * dx, (box[:, 1] + half) * dy,
    )  # fmt: skip
    first, second = _near(frames, max_distance_m * (1 + 1e-9))
    distance = pair_distances(
        first, second, starts, rows, columns, box, dy, dx, int(edges), max_distance_m
    )
    near = np.isfinite(distance)
    return Links(first[near], second[near], distance[near])


def polygon_links(polygons: np.ndarray, max_distance_m: float) -> Links:
    """Return links between polygons in a projected system (m), edge to edge.

    Raises
    ------
    InputError
        An empty or invalid polygon.
    """
    _positive(max_distance_m)
    shapes = np.asarray(polygons, object)
    bad = np.flatnonzero(shapely.is_empty(shapes) | ~shapely.is_valid(shapes))
    if bad.size:
        raise InputError(
            f"{bad.size} polygons are empty or invalid",
            where=f"polygon {bad[0]}: {shapely.is_valid_reason(shapes[bad[0]])}",
            rule="valid polygons",
            fix="repair them, for example with shapely.make_valid",
        )
    first, second = _near(shapes, max_distance_m)
    return Links(first, second, np.asarray(shapely.distance(shapes[first], shapes[second])))


def _near(shapes: np.ndarray, distance: float) -> tuple[np.ndarray, np.ndarray]:
    pairs = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=distance)
    first, second = pairs[:, pairs[0] < pairs[1]]
    order = np.lexsort((second, first))
    return first[order].astype(np.int64), second[order].astype(np.int64)


def _positive(max_distance_m: float) -> None:
    if not (max_distance_m >= 0 and math.isfinite(max_distance_m)):
        raise UsageError(
            f"greatest distance {max_distance_m}",
            rule="a distance in m, 0 or more",
            fix="give a distance beyond which links do not matter",
        )
