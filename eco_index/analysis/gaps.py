"""What the pixels without a value mean for the mean (or share) of a zone.

The printed number is the mean of the observed pixels, the truth the mean of all. Their difference
is a sum of weights that add to zero, so its variance follows from the variogram alone; the weights
know how many pixels are missing and how they lie. No gaps, no error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eco_index.analysis.uncertainty import Part, normal_part
from eco_index.analysis.variogram import Lags, Variogram
from eco_index.errors import InputError

#: Sides of a zone's box in cells beyond which pixels are put together.
MAX_SIDE = 128
#: Fewest observed cells from which an error can be estimated.
MIN_CELLS = 20


@dataclass(frozen=True)
class Cells:
    """Sums of a zone over square cells; the sums of tiles merge by addition.

    Attributes
    ----------
    total, valid : numpy.ndarray
        int64 (h, w), pixels of the zone, and of these with a value.
    total_sum, total_square : numpy.ndarray
        float64 (h, w), sums of values and of their squares.
    side : int
        Pixels along a cell.
    """

    total: np.ndarray
    valid: np.ndarray
    total_sum: np.ndarray
    total_square: np.ndarray
    side: int

    @property
    def mean(self) -> float:
        """Mean of the pixels with a value; NaN without any."""
        n = int(self.valid.sum())
        return float(self.total_sum.sum()) / n if n else math.nan

    @property
    def missing_share(self) -> float:
        """Share of the zone's pixels without a value; NaN for an empty zone."""
        n = int(self.total.sum())
        return 1 - int(self.valid.sum()) / n if n else math.nan

    def merge(self, other: Cells) -> Cells:
        """Return the sums of both, on the same grid of cells."""
        if other.side != self.side or other.total.shape != self.total.shape:
            raise InputError("Sums of different cells cannot be merged.")
        return Cells(
            self.total + other.total,
            self.valid + other.valid,
            self.total_sum + other.total_sum,
            self.total_square + other.total_square,
            self.side,
        )


@dataclass(frozen=True)
class GapError:
    """Error of a zone's mean through gaps.

    Attributes
    ----------
    mean : float
        Of the pixels with a value.
    missing_share : float
    sigma : float
        Standard deviation of (mean of observed - mean of all); 0 without gaps, NaN where it cannot
        be estimated (too few observed cells, or all alike: of a class that was nowhere seen nothing
        says how much the gaps hide).
    bounds : tuple of float
        The mean of all pixels if every missing one had the lowest, the highest value possible.
    free : float
        Degrees of freedom of `sigma`: independent observed draws less one, at least 3; infinite
        without gaps.
    variogram : Variogram or None
        Distances in cells; None where none was needed or possible.
    """

    mean: float
    missing_share: float
    sigma: float
    bounds: tuple[float, float]
    free: float
    variogram: Variogram | None

    def part(self, scale: float = 1.0) -> Part:
        """Return the part of the printed mean; `scale` 100 for percent of a share.

        Raises
        ------
        InputError
            The error cannot be estimated (`sigma` is NaN): name it in `left_out` instead.
        """
        return normal_part("gaps", scale * self.sigma, free=self.free)


def side_for(height: int, width: int) -> int:
    """Return the cells' side for a zone's box of that many pixels."""
    return max(1, -(-max(height, width) // MAX_SIDE))


def cells_of(
    values: np.ndarray,
    inside: np.ndarray,
    side: int = 1,
    *,
    origin: tuple[int, int] = (0, 0),
    shape: tuple[int, int] | None = None,
) -> Cells:
    """Sum a tile of a zone over cells.

    Parameters
    ----------
    values : numpy.ndarray
        float (h, w), NaN without a value; for a share 1 in the class, 0 outside.
    inside : numpy.ndarray
        bool (h, w), pixels of the zone.
    side : int
        Pixels along a cell, see `side_for`.
    origin : tuple of int
        Row and column of the tile in the zone's box.
    shape : tuple of int, optional
        Rows and columns of the zone's box in pixels; the tile's own by default.

    Raises
    ------
    InputError
        Shapes that differ, infinite values, a tile outside the box.
    """
    if values.shape != inside.shape or values.ndim != 2:
        raise InputError(f"Values have shape {values.shape}, the zone {inside.shape}.")
    if side < 1:
        raise InputError(f"A cell has {side} pixels along a side.", rule="1 or more")
    height, width = shape or values.shape
    rows, columns = np.nonzero(inside)
    if rows.size and not (
        min(origin) >= 0 and origin[0] + rows.max() < height and origin[1] + columns.max() < width
    ):
        raise InputError("The tile lies outside the zone's box.")
    v = values[rows, columns].astype(np.float64)
    if np.isinf(v).any():
        raise InputError("Values are infinite.", rule="missing values are NaN")
    h, w = -(-height // side), -(-width // side)
    at = (rows + origin[0]) // side * w + (columns + origin[1]) // side
    ok = ~np.isnan(v)

    def summed(where: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(where, weights, minlength=h * w).reshape(h, w)

    return Cells(
        summed(at).astype(np.int64),
        summed(at[ok]).astype(np.int64),
        summed(at[ok], v[ok]).astype(np.float64),
        summed(at[ok], v[ok] ** 2).astype(np.float64),
        side,
    )


def gap_error(cells: Cells, limits: tuple[float, float]) -> GapError:
    """Return the error of a zone's mean through gaps.

    Parameters
    ----------
    cells : Cells
        Of `cells_of`, all tiles merged.
    limits : tuple of float
        Lowest and highest value a pixel can have: (0, 1) of a share.

    Raises
    ------
    InputError
        Limits out of order, or a mean outside them.

    Notes
    -----
    var = -sum_ij w_i w_j gamma(h_ij), w = observed pixels / all observed - pixels / all pixels;
    where a cell holds several pixels, plus sum (n_c/n)^2 2 (1 - f_c)^2 s^2 with the variance s^2
    within cells and the observed share f_c: observed and missing pixels of a cell count as one
    independent draw each. Gaps must be unrelated to the values; `bounds` need no assumption. The
    variogram is estimated, so the error has Student's distribution with (nugget + sill) / variance
    of the observed mean - 1 degrees of freedom.
    """
    low, high = limits
    n, total = int(cells.valid.sum()), int(cells.total.sum())
    if not low < high:
        raise InputError(f"The limits are {low:g} to {high:g}.", rule="lower < higher")
    if n == 0:
        return GapError(math.nan, cells.missing_share, math.nan, (low, high), math.inf, None)
    mean, missing = cells.mean, cells.missing_share
    slack = 1e-9 * max(abs(low), abs(high))
    if not low - slack <= mean <= high + slack:
        raise InputError(
            f"The mean {mean:g} lies outside {low:g} to {high:g}.",
            fix="give limits in the unit of the values",
        )
    bounds = ((1 - missing) * mean + missing * low, (1 - missing) * mean + missing * high)
    if n == total:
        return GapError(mean, 0.0, 0.0, (mean, mean), math.inf, None)
    known = cells.valid > 0
    if int(known.sum()) < MIN_CELLS:
        return GapError(mean, missing, math.nan, bounds, math.inf, None)
    lags = Lags((cells.total.shape[0], cells.total.shape[1]))
    means = np.divide(cells.total_sum, cells.valid, out=np.zeros(known.shape), where=known)
    model = lags.fit(means, known)
    if model is None or model.nugget + model.sill <= (1e-9 * (high - low)) ** 2:
        return GapError(mean, missing, math.nan, bounds, math.inf, None)
    between = lags.variance(cells.valid / n - cells.total / total, model)
    sigma = math.sqrt(between + _within(cells, n))
    return GapError(mean, missing, sigma, bounds, _free(cells, lags, model), model)


def _free(cells: Cells, lags: Lags, model: Variogram) -> float:
    """Return how many independent draws the observed cells are worth, less one, at least 3."""
    weights = cells.valid / cells.valid.sum()
    alike = lags.mean_gamma(weights, model)
    whole = model.nugget + model.sill
    free = whole / (whole - alike) - 1 if alike < whole else math.inf
    # Whole numbers, and normal from 200 on (1 % narrower): zones share their distributions.
    return max(float(math.floor(free)), 3.0) if free < 200 else math.inf


def _within(cells: Cells, n: int) -> float:
    """Return the variance from gaps inside cells; 0 where cells are pixels."""
    several = cells.valid > 1
    free = float((cells.valid[several] - 1).sum())
    if cells.side == 1 or free == 0:
        return 0.0
    square = cells.total_square[several] - cells.total_sum[several] ** 2 / cells.valid[several]
    variance = max(float(square.sum()), 0.0) / free
    gap = 1 - cells.valid / np.maximum(cells.total, 1)
    return 2 * variance * float(((cells.valid / n) ** 2 * gap**2).sum())
