"""Trends over years, per pixel and per zone: Theil-Sen slope, Mann-Kendall test, straight line.

The test corrects its variance for ties and, by choice, for autocorrelation after Hamed & Rao (1998)
or Yue & Wang (2004). Every number equals pymannkendall's: ``original_test``,
``hamed_rao_modification_test``, ``yue_wang_modification_test``. As there, years without a value are
left out, slopes use the true distance in years, and lags and the detrending of the corrections
count the years that have a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from eco_index.errors import InputError
from eco_index.trend_kernels import line_kernel, trend_kernel

#: Version of the trend figures.
TRENDS_VERSION = 1
#: Fewest years with a value, unless the caller says otherwise: below ten the normal approximation
#: of the test's statistic is poor (Gilbert 1987, section 16.4.1).
MIN_YEARS = 10
#: Class of a series that could not be tested; never 0, which is "tested, no trend".
NOT_TESTED = -128
#: Classes in ascending order: sign of the trend, and 1, 2, 3 for 90, 95, 99 % (two-sided).
CLASSES = (-3, -2, -1, 0, 1, 2, 3)
CONFIDENCE = (0.90, 0.95, 0.99)

Correction = Literal["none", "hamed_rao", "yue_wang"]
CORRECTIONS: tuple[Correction, ...] = ("none", "hamed_rao", "yue_wang")
_Z = np.array([NormalDist().inv_cdf(0.5 + c / 2) for c in CONFIDENCE])


@dataclass(frozen=True)
class Trends:
    """Trends of a stack; every array has the stack's shape without time.

    Attributes
    ----------
    slope : numpy.ndarray
        float64, Theil-Sen slope in the stack's unit per year; NaN below the least number of years.
    p : numpy.ndarray
        float64, two-sided p 0-1 of the corrected test; NaN where it was not tested.
    z : numpy.ndarray
        float64, normal score of the corrected test.
    tau : numpy.ndarray
        float64, Kendall's tau-a, -1 to 1.
    n : numpy.ndarray
        int16, years with a value.
    classes : numpy.ndarray
        int8, one of `CLASSES` or `NOT_TESTED`: too few years, or a corrected variance that is not
        positive (the sum of negative autocorrelations can exceed one).
    """

    slope: np.ndarray
    p: np.ndarray
    z: np.ndarray
    tau: np.ndarray
    n: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Lines:
    """Least-squares lines; every array has the stack's shape without time, float64 (n int16).

    `change` is the slope times the years from the first to the last of the axis. `r2` is NaN where
    all values are equal.
    """

    slope: np.ndarray
    intercept: np.ndarray
    r2: np.ndarray
    change: np.ndarray
    n: np.ndarray


def trends(
    stack: np.ndarray,
    years: np.ndarray,
    *,
    correction: Correction = "hamed_rao",
    lags: int | None = None,
    min_years: int = MIN_YEARS,
    fill: int | None = None,
) -> Trends:
    """Return slope, significance and class of every series of a stack.

    Parameters
    ----------
    stack : numpy.ndarray
        (time, ...) of any real dtype: pixels (time, y, x), zones (time, zone), one series (time,).
        NaN and infinities are years without a value.
    years : numpy.ndarray
        (time,), strictly ascending; they need not be consecutive.
    correction : {'none', 'hamed_rao', 'yue_wang'}
        Of the variance for autocorrelation. Hamed & Rao use the lags whose rank autocorrelation
        passes its 95 % bounds; Yue & Wang use all.
    lags : int, optional
        Highest lag of the correction, 1 or more; all by default.
    min_years : int
        Fewest years with a value, 4 or more.
    fill : int, optional
        Stored value that means "no value", in stacks of integers.

    Raises
    ------
    InputError
        Years that do not fit the stack or do not ascend, too few years, a bad option.

    Notes
    -----
    Mann 1945, Kendall 1975 (variance with ties), Sen 1968, Hamed & Rao 1998, Yue & Wang 2004.
    """
    axis = _axis(stack, years, fill)
    if correction not in CORRECTIONS:
        raise InputError(
            f"There is no correction '{correction}'.", rule=f"one of {', '.join(CORRECTIONS)}"
        )
    if min_years < 4:
        raise InputError(f"min_years is {min_years}.", rule="a trend needs at least 4 years")
    if lags is not None and lags < 1:
        raise InputError(f"lags is {lags}.", rule="lags are 1 or more; leave out for all")
    shape = stack.shape[1:]
    flat = stack.reshape(len(axis), -1)
    series = flat.shape[1]
    slope, p, z, tau = (np.empty(series) for _ in range(4))
    n, classes = np.empty(series, np.int16), np.empty(series, np.int8)
    trend_kernel(
        flat,
        axis,
        fill is not None,
        0 if fill is None else fill,
        CORRECTIONS.index(correction),
        len(axis) if lags is None else lags,
        min_years,
        _Z,
        (slope, p, z, tau, n, classes),
    )
    return Trends(*(a.reshape(shape) for a in (slope, p, z, tau, n, classes)))


def lines(
    stack: np.ndarray, years: np.ndarray, *, min_years: int = 3, fill: int | None = None
) -> Lines:
    """Return the least-squares line of every series of a stack.

    Parameters
    ----------
    stack, years, fill
        As in `trends`.
    min_years : int
        Fewest years with a value, 3 or more; below it everything but `n` is NaN.

    Raises
    ------
    InputError
        As in `trends`.
    """
    axis = _axis(stack, years, fill)
    if min_years < 3:
        raise InputError(f"min_years is {min_years}.", rule="a fit needs at least 3 years")
    flat = stack.reshape(len(axis), -1)
    slope, intercept, r2 = (np.empty(flat.shape[1]) for _ in range(3))
    n = np.empty(flat.shape[1], np.int16)
    use_fill, value = fill is not None, 0 if fill is None else fill
    line_kernel(flat, axis, use_fill, value, min_years, slope, intercept, r2, n)
    change = slope * (axis[-1] - axis[0])
    return Lines(*(a.reshape(stack.shape[1:]) for a in (slope, intercept, r2, change, n)))


def trends_by_block(
    read: Callable[[slice, slice], np.ndarray],
    shape: tuple[int, int],
    years: np.ndarray,
    *,
    block: int = 512,
    correction: Correction = "hamed_rao",
    lags: int | None = None,
    min_years: int = MIN_YEARS,
    fill: int | None = None,
) -> Iterator[tuple[slice, slice, Trends]]:
    """Yield rows, columns and trends block by block; memory is that of one block.

    Parameters
    ----------
    read : callable
        Rows and columns to the stack (time, y, x) there.
    shape : tuple of int
        Rows and columns of the whole.
    years, correction, lags, min_years, fill
        As in `trends`.
    block : int
        Side of a block in pixels; results do not depend on it.
    """
    if block < 1:
        raise InputError(f"The block is {block} pixels.", rule="a block has at least 1 pixel")
    for top in range(0, shape[0], block):
        rows = slice(top, min(top + block, shape[0]))
        for left in range(0, shape[1], block):
            columns = slice(left, min(left + block, shape[1]))
            found = trends(
                read(rows, columns),
                years,
                correction=correction,
                lags=lags,
                min_years=min_years,
                fill=fill,
            )
            yield rows, columns, found


def count_classes(ids: np.ndarray, classes: np.ndarray, n_zones: int) -> np.ndarray:
    """Count the pixels of every trend class per zone; counts of blocks merge by addition.

    Parameters
    ----------
    ids : numpy.ndarray
        int (h, w): 0 outside all zones, k + 1 in zone k.
    classes : numpy.ndarray
        int8 (h, w) of `Trends.classes`.
    n_zones : int
        Number of zones.

    Returns
    -------
    numpy.ndarray
        int64 (zone, 8): not tested, then `CLASSES` in order.

    Raises
    ------
    InputError
        Shapes that differ, ids outside 0 to n_zones.
    """
    check_ids(ids, n_zones, classes, "trend classes")
    inside = ids > 0
    code = classes[inside].astype(np.int64)
    slot = np.where(code == NOT_TESTED, 0, code + 4)
    flat = (ids[inside].astype(np.int64) - 1) * 8 + slot
    return np.bincount(flat, minlength=n_zones * 8).reshape(n_zones, 8).astype(np.int64)


def check_ids(ids: np.ndarray, n_zones: int, codes: np.ndarray, what: str) -> None:
    """Raise InputError unless zone ids are 0 to `n_zones` and lie on the map of `what`."""
    if ids.shape != codes.shape:
        raise InputError(f"Zones have shape {ids.shape}, {what} {codes.shape}.")
    if ids.size and not (ids.min() >= 0 and ids.max() <= n_zones):
        raise InputError(
            f"Zone ids run from {ids.min()} to {ids.max()}.", rule=f"ids are 0 to {n_zones}"
        )


def _axis(stack: np.ndarray, years: np.ndarray, fill: int | None) -> np.ndarray:
    """Check the time axis and return it as float64."""
    axis = np.asarray(years, np.float64)
    if stack.ndim < 1 or axis.ndim != 1 or stack.shape[0] != axis.size or axis.size == 0:
        raise InputError(
            f"The stack has shape {stack.shape}, the years {axis.shape}.",
            rule="the first axis of a stack is time, one year for each layer",
        )
    if not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
        raise InputError(
            "The years do not ascend.", rule="years are strictly ascending", fix="sort the layers"
        )
    if stack.dtype.kind not in "iuf":
        raise InputError(f"The stack holds {stack.dtype}.", rule="integers or floats")
    if fill is not None and stack.dtype.kind == "f":
        raise InputError("A fill value is given for floats.", rule="floats mark no value with NaN")
    return axis
