"""Accuracy of parameters (plots) and of class maps (reference samples).

Formulas: HJ 1176-2021 (``configs/methods/hj1176_2021.yaml``); Olofsson et al. 2014, Remote Sensing
of Environment 148, 42-57, equations 1-11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from eco_index.errors import InputError

#: Name of all types taken together.
ALL = "all"


@dataclass(frozen=True)
class ParameterAccuracy:
    """Accuracy of a retrieved parameter; figures are NaN where they are not defined.

    Attributes
    ----------
    n : int
        Plots with a retrieved value.
    n_missing : int
        Plots where the map has no value; they take no part in any figure.
    n_zero : int
        Of `n`, plots whose retrieved value is 0: REE divides by it, so they take no part in REE
        and P (rule `zero_retrieval`), but in all other figures.
    bias : float
        Mean of retrieved minus observed.
    rmse : float
        Root of the mean squared difference.
    r2 : float
        Squared correlation of Pearson; needs 2 plots and differing values.
    ree, p : float
        Relative error over the n - n_zero plots, and P = 1 - REE (negative if REE > 1).
    """

    n: int
    n_missing: int
    n_zero: int
    bias: float
    rmse: float
    r2: float
    ree: float
    p: float

    @property
    def n_ree(self) -> int:
        """The n of REE."""
        return self.n - self.n_zero


@dataclass(frozen=True)
class ClassAccuracy:
    """Accuracy and areas of a class map; intervals are half-widths at `confidence`.

    Attributes
    ----------
    overall, overall_interval : float
    kappa : float
        Of the estimated shares; NaN where chance agreement is complete.
    users, users_interval, producers, producers_interval : numpy.ndarray
        (class,), NaN where a class has no samples on that side.
    area, area_interval : numpy.ndarray
        (class,), area of the reference class in the unit of the mapped areas; without mapped areas
        a share of one.
    n : int
        Samples.
    confidence : float
    """

    overall: float
    overall_interval: float
    kappa: float
    users: np.ndarray
    users_interval: np.ndarray
    producers: np.ndarray
    producers_interval: np.ndarray
    area: np.ndarray
    area_interval: np.ndarray
    n: int
    confidence: float


def parameter_accuracy(observed: np.ndarray, retrieved: np.ndarray) -> ParameterAccuracy:
    """Return the accuracy of retrieved values against plots.

    Parameters
    ----------
    observed : numpy.ndarray
        (plot,), measured values, finite.
    retrieved : numpy.ndarray
        (plot,), the map's values in the same unit, NaN without a value.

    Raises
    ------
    InputError
        Shapes that differ, observed values that are missing, infinite values.
    """
    seen, got = np.asarray(observed, np.float64), np.asarray(retrieved, np.float64)
    if seen.shape != got.shape or seen.ndim != 1:
        raise InputError(f"{seen.shape} values were observed, {got.shape} retrieved.")
    if not np.isfinite(seen).all() or np.isinf(got).any():
        raise InputError("Observed values are missing, or values are infinite.")
    ok = ~np.isnan(got)
    o, r = seen[ok], got[ok]
    zero = r == 0
    bias = rmse = r2 = ree = math.nan
    if o.size:
        bias = float(np.mean(r - o))
        rmse = float(np.sqrt(np.mean((r - o) ** 2)))
    if o.size >= 2 and np.ptp(o) > 0 and np.ptp(r) > 0:
        r2 = float(np.corrcoef(o, r)[0, 1] ** 2)
    if (~zero).any():
        ree = float(np.sqrt(np.mean(((o[~zero] - r[~zero]) / r[~zero]) ** 2)))
    return ParameterAccuracy(
        int(o.size), int((~ok).sum()), int(zero.sum()), bias, rmse, r2, ree, 1 - ree
    )


def accuracy_by_type(
    observed: np.ndarray, retrieved: np.ndarray, types: Sequence[str]
) -> dict[str, ParameterAccuracy]:
    """Return `parameter_accuracy` of all plots (key `ALL`) and of every type, in name order."""
    kinds = np.array(list(types), dtype=object)
    if kinds.shape != np.shape(observed):
        raise InputError(f"{kinds.size} types are given for {np.size(observed)} plots.")
    if ALL in types:
        raise InputError(f"A type is named '{ALL}'.", rule="that name means all types together")
    found = {ALL: parameter_accuracy(observed, retrieved)}
    for kind in sorted(set(types)):
        at = kinds == kind
        found[kind] = parameter_accuracy(np.asarray(observed)[at], np.asarray(retrieved)[at])
    return found


def class_accuracy(
    counts: np.ndarray, mapped_areas: np.ndarray | None = None, *, confidence: float = 0.95
) -> ClassAccuracy:
    """Return accuracy and areas from an error matrix of reference samples.

    Parameters
    ----------
    counts : numpy.ndarray
        (class, class) sample counts; rows are the map's classes, columns the reference's.
    mapped_areas : numpy.ndarray, optional
        (class,), area of each class on the map; samples were drawn at random in each mapped class
        (or everywhere: then this is post-stratification). Without it the samples are a simple
        random sample and each class weighs as its samples do.
    confidence : float
        Of the intervals, by the normal approximation.

    Raises
    ------
    InputError
        A matrix that is not square or not counts; areas that do not fit; a mapped class that has
        area and fewer than two samples: its error cannot be estimated.
    """
    n = np.asarray(counts, np.float64)
    if n.ndim != 2 or n.shape[0] != n.shape[1] or not n.size:
        raise InputError(f"The error matrix has shape {n.shape}.", rule="classes x classes")
    if not np.isfinite(n).all() or (n < 0).any() or (n != np.round(n)).any() or n.sum() == 0:
        raise InputError("The error matrix does not hold counts.", rule="whole numbers >= 0")
    if not 0 < confidence < 1:
        raise InputError(f"The confidence is {confidence}.", rule="between 0 and 1")
    rows = n.sum(axis=1)
    area = rows if mapped_areas is None else np.asarray(mapped_areas, np.float64)
    if area.shape != rows.shape or not np.isfinite(area).all() or (area < 0).any():
        raise InputError("The mapped areas do not fit the matrix.", rule="one area >= 0 a class")
    if area.sum() == 0:
        raise InputError("The mapped areas are all zero.")
    lacking = np.flatnonzero((area > 0) & (rows < 2))
    if lacking.size:
        raise InputError(
            f"Mapped class(es) {', '.join(map(str, lacking))} (row of the matrix, from 0) have "
            "area and fewer than two samples.",
            rule="every mapped class needs two samples",
            fix="add samples there, or merge classes",
        )
    if ((area == 0) & (rows > 0)).any():
        raise InputError("A mapped class has samples and no area.")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    total = area.sum() if mapped_areas is not None else 1.0
    w = area / area.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        q = np.where(rows[:, None] > 0, n / rows[:, None], 0.0)
        p = w[:, None] * q  # eq. 4
        share = p.sum(axis=0)  # eq. 9
        free = np.where(rows > 1, rows - 1, np.inf)
        u = np.diag(q)
        users = np.where(rows > 0, u, np.nan)
        overall = float(np.trace(p))  # eq. 1
        v_overall = float((w**2 * u * (1 - u) / free).sum())  # eq. 5
        v_users = np.where(rows > 1, u * (1 - u) / free, np.nan)  # eq. 6
        producers = np.where(share > 0, np.diag(p) / share, np.nan)  # eq. 3
        spread = w[:, None] ** 2 * q * (1 - q) / free[:, None]
        own = np.diag(spread)
        v_producers = (
            (1 - producers) ** 2 * own + producers**2 * (spread.sum(axis=0) - own)
        ) / share**2  # eq. 7, with the mapped areas as weights
        s_share = np.sqrt(spread.sum(axis=0))  # eq. 10
    chance = float(w @ share)
    kappa = (overall - chance) / (1 - chance) if chance < 1 else math.nan
    return ClassAccuracy(
        overall,
        z * math.sqrt(v_overall),
        kappa,
        users,
        z * np.sqrt(v_users),
        producers,
        z * np.sqrt(v_producers),
        total * share,
        z * total * s_share,
        int(n.sum()),
        confidence,
    )
