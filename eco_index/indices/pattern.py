"""Ecosystem pattern of HJ 1171-2021 from patch tables and transfer matrices.

Numbers and their evidence: ``configs/methods/hj1171_2021.yaml``. Areas are those of pixels with a
value; no-data is in no denominator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eco_index.errors import InputError
from eco_index.indices.patches import PatchTable, blocks_of

VERSION = 1  # changes when results change

#: Two grids are one where no pixel lies further off than this share of a pixel.
GRID_TOLERANCE = 0.01


@dataclass(frozen=True)
class ClassPattern:
    """Pattern of one class.

    Attributes
    ----------
    cls : int
    area_ha : float
    composition : float
        Share of the area of all classes, 0–1.
    patches : int
    mean_patch_ha : float
        NaN where the class has no patch.
    edge_m : float
        Length of edges with other classes in m, without no-data and the map's border.
    edge_density : float
        `edge_m` per hectare of the class, m/ha; NaN where the class has no area.
    like_adjacency : float
        Share of the sides of the class's pixels that meet the same class, 0–1 (FRAGSTATS PLADJ
        with the map's border counted, over 100); NaN where the class has no pixel.
    """

    cls: int
    area_ha: float
    composition: float
    patches: int
    mean_patch_ha: float
    edge_m: float
    edge_density: float
    like_adjacency: float


def class_patterns(table: PatchTable) -> list[ClassPattern]:
    """Return composition, patches, mean patch area and edge density of every class.

    Classes of the map that do not occur have area and patches 0 and no mean (NaN).

    Reference: HJ 1171-2021, indicators 1, 3, 4, 5.
    """
    dy, dx = table.pixel_size
    pixel_ha = dy * dx / 10000.0
    total = int(table.class_pixels.sum())
    length = table.sides[0] * dy + table.sides[1] * dx
    patches = np.bincount(np.searchsorted(table.classes, table.cls), minlength=table.classes.size)
    out = []
    for i, code in enumerate(table.classes):
        pixels, count = int(table.class_pixels[i]), int(patches[i])
        area = pixels * pixel_ha
        edge = float(length[i + 1, 1:].sum() - length[i + 1, i + 1])
        sides = table.sides[:, i + 1].sum()
        like = table.sides[:, i + 1, i + 1].sum()
        out.append(
            ClassPattern(
                cls=int(code),
                area_ha=area,
                composition=_ratio(pixels, total),
                patches=count,
                mean_patch_ha=_ratio(area, count),
                edge_m=edge,
                edge_density=_ratio(edge, area),
                like_adjacency=_ratio(float(like), float(sides)),
            )
        )
    return out


@dataclass(frozen=True)
class Aggregation:
    """Aggregation of a landscape.

    Attributes
    ----------
    classes : int
        Number of classes that occur.
    value : float
        C = 2 ln n + sum P_ij ln P_ij, 0 (mixed) to 2 ln n (one large patch each).
    relative : float
        C over its greatest value, 0–1 (contagion of FRAGSTATS over 100). Both are NaN with fewer
        than two classes.
    """

    classes: int
    value: float
    relative: float


def aggregation(table: PatchTable) -> Aggregation:
    """Return the aggregation index C of a landscape.

    P_ij is the share of class i times the share of its adjacencies that are with j, adjacencies
    counted from both sides. Adjacencies with no-data and the outside are left out.

    Reference: HJ 1171-2021, indicator 6; C_max after the classical contagion (O'Neill 1988; Li and
    Reynolds 1993).
    """
    here = np.flatnonzero(table.class_pixels)
    if here.size < 2:
        return Aggregation(int(here.size), np.nan, np.nan)
    counts = table.sides.sum(axis=0)[np.ix_(here + 1, here + 1)].astype(float)
    rows = counts.sum(axis=1, keepdims=True)
    share = table.class_pixels[here, None] / table.class_pixels.sum()
    p = share * np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    greatest = 2 * np.log(here.size)
    value = float(greatest + (p[p > 0] * np.log(p[p > 0])).sum())
    return Aggregation(int(here.size), value, value / float(greatest))


def change_rate(before: float, after: float) -> float:
    """Return the change of an area in per cent of the area at the start (HJ 1171-2021, 2).

    NaN where there was nothing at the start: the rate does not exist.

    Raises
    ------
    InputError
        A negative area.
    """
    if before < 0 or after < 0:
        raise InputError(
            f"an area is negative: {before} before, {after} after",
            rule="areas are 0 or larger, NaN where not known",
            fix="look at how the areas were computed",
        )
    return 100.0 * _ratio(after - before, before)


@dataclass(frozen=True)
class Transfer:
    """Transfer matrix of classes between two dates.

    Attributes
    ----------
    classes : numpy.ndarray
        Codes in ascending order.
    pixels : numpy.ndarray
        (before, after): pixels with a value at both dates; int64, or float64 where zones get shares
        of pixels.
    lost, gained : int or float
        Pixels with a value only at the first, or only at the second date: in no figure here.
    """

    classes: np.ndarray
    pixels: np.ndarray
    lost: float
    gained: float

    def outgoing(self) -> np.ndarray:
        """Return the share (%) of each class at the start that became j; NaN for absent classes.

        Reference: HJ 1171-2021, indicator 7, A_ij.
        """
        return _percent(self.pixels, self.pixels.sum(axis=1, keepdims=True))

    def incoming(self) -> np.ndarray:
        """Return the share (%) of each class at the end that came from i; NaN for absent classes.

        Reference: HJ 1171-2021, indicator 7, B_ij.
        """
        return _percent(self.pixels, self.pixels.sum(axis=0, keepdims=True))

    def dynamic_degree(self) -> float:
        """Return the composite dynamic degree EC: area that changed class over all area, %.

        Reference: HJ 1171-2021, indicator 8 (not divided by twice the number of years).
        """
        total = self.pixels.sum().item()
        return 100.0 * _ratio(total - np.trace(self.pixels).item(), total)

    def change_rates(self) -> np.ndarray:
        """Return the change of each class's area in %, over pixels with a value at both dates."""
        start, end = self.pixels.sum(axis=1), self.pixels.sum(axis=0)
        return np.array([change_rate(a, b) for a, b in zip(start, end, strict=True)])

    def merge(self, other: Transfer) -> Transfer:
        """Return the sums of this and another part of the map."""
        if not np.array_equal(self.classes, other.classes):
            raise ValueError("transfers of different classes cannot be merged")
        return Transfer(
            self.classes,
            self.pixels + other.pixels,
            self.lost + other.lost,
            self.gained + other.gained,
        )


def transfer(
    before: Any,
    after: Any,
    classes: Sequence[int],
    *,
    fill: int | None = None,
    block: int = 2048,
) -> Transfer:
    """Return the transfer matrix of two class maps on one grid, block by block.

    Parameters
    ----------
    before, after : numpy.ndarray, dask.array.Array or xarray.DataArray
        (height, width) integers; read in the chunks of `before`.
    classes : sequence of int
        Codes that may occur.
    fill : int, optional
        Code of pixels without a value.
    block : int
        Side of the blocks of maps without chunks.

    Raises
    ------
    InputError
        Maps of different shapes, or a code that is not among `classes`.
    """
    if tuple(before.shape) != tuple(after.shape):
        raise InputError(
            f"the maps have the shapes {tuple(before.shape)} and {tuple(after.shape)}",
            rule="both dates lie on one grid",
            fix="resample one map to the grid of the other (nearest neighbour)",
        )
    codes = np.unique(np.asarray(classes, np.int64))
    codes = codes[codes != fill] if fill is not None else codes
    n = codes.size
    counts = np.zeros((n + 1, n + 1), np.int64)
    later = getattr(after, "data", after) if hasattr(after, "dims") else after
    for y, x, first in blocks_of(before, block):
        second = np.asarray(later[y : y + first.shape[0], x : x + first.shape[1]])
        slots = [
            _positions(part, codes, fill, f"{name} map, block at row {y}, column {x}")
            for name, part in (("first", first), ("second", second))
        ]
        pair = slots[0] * (n + 1) + slots[1]
        counts += np.bincount(pair.ravel(), minlength=(n + 1) ** 2).reshape(n + 1, n + 1)
    return Transfer(codes, counts[1:, 1:], int(counts[1:, 0].sum()), int(counts[0, 1:].sum()))


def check_same_grid(
    before: Sequence[float], after: Sequence[float], shape: tuple[int, int]
) -> None:
    """Refuse two maps whose pixels do not lie on each other.

    Parameters
    ----------
    before, after : sequence of float
        The six numbers (a, b, c, d, e, f) of the affine transforms.
    shape : tuple of int
        Height and width of the maps.

    Raises
    ------
    InputError
        A corner of one map lies off the other's by more than `GRID_TOLERANCE` pixels.
    """
    size = float(np.hypot(before[0], before[3]))
    corners = np.array([(0, 0), (shape[1], 0), (0, shape[0]), (shape[1], shape[0])], float)

    def at(t: Sequence[float]) -> np.ndarray:
        x = t[0] * corners[:, 0] + t[1] * corners[:, 1] + t[2]
        y = t[3] * corners[:, 0] + t[4] * corners[:, 1] + t[5]
        return np.stack([x, y])

    off = float(np.hypot(*(at(before) - at(after))).max()) / size
    if not off <= GRID_TOLERANCE:
        raise InputError(
            f"the two maps lie up to {off:.2f} pixels off each other",
            rule=f"both dates lie on one grid, within {GRID_TOLERANCE} pixels",
            fix="resample one map to the grid of the other (nearest neighbour)",
        )


def _positions(part: np.ndarray, codes: np.ndarray, fill: int | None, where: str) -> np.ndarray:
    if part.dtype.kind not in "iu":
        raise InputError(
            f"the class map is of type {part.dtype}",
            where=where,
            rule="integer class codes; no-data is a code of its own (fill)",
            fix="store the map as uint8 or uint16 with a fill value",
        )
    found, inverse = np.unique(part, return_inverse=True)
    at = np.searchsorted(codes, found).clip(max=codes.size - 1)
    known = codes[at] == found
    slot = np.where(known, at + 1, 0)
    unknown = ~known if fill is None else ~known & (found != fill)
    if unknown.any():
        counts = np.bincount(inverse.ravel(), minlength=found.size)
        text = ", ".join(f"{found[k]} ({counts[k]} pixels)" for k in np.flatnonzero(unknown))
        raise InputError(
            f"unknown class codes: {text}",
            where=where,
            rule=f"one of {codes[:40].tolist()}",
            fix="name every class of the map, or map the code with a crosswalk",
        )
    return np.asarray(slot[inverse].reshape(part.shape))


def _percent(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    out = np.full(counts.shape, np.nan)
    np.divide(100.0 * counts, totals, out=out, where=totals > 0)
    return out


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b else float("nan")
