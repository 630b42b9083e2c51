"""Control units for a project: nearest in what they were before, same land class, near by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eco_index.analysis.basis import Basis, basis_of
from eco_index.errors import InputError
from eco_index.methods import Method

_CHUNK = 4_000_000  # pairs looked at in one go


@dataclass(frozen=True)
class Units:
    """Units (cells or pixels) that are matched.

    Attributes
    ----------
    covariates : numpy.ndarray
        (unit, covariate) float, finite; of the years before the project only.
    classes : numpy.ndarray
        (unit,) int, land class before the project.
    xy : numpy.ndarray
        (unit, 2) float, coordinates in metres.
    """

    covariates: np.ndarray
    classes: np.ndarray
    xy: np.ndarray


@dataclass(frozen=True)
class Matches:
    """Controls of the project's units.

    Attributes
    ----------
    index : numpy.ndarray
        int64 (project unit, neighbour), position among the candidates, -1 for none.
    distance : numpy.ndarray
        float64 (project unit, neighbour), root mean square of standardised differences, NaN for
        none.
    matched : numpy.ndarray
        bool (project unit,), whether at least one control was found.
    before, after : numpy.ndarray
        (covariate,), standardised difference of means, project minus candidates, and project minus
        controls (matched units only).
    balanced : bool
        Whether every difference after matching keeps the limit; False without a match.
    basis : Basis
    """

    index: np.ndarray
    distance: np.ndarray
    matched: np.ndarray
    before: np.ndarray
    after: np.ndarray
    balanced: bool
    basis: Basis

    def control(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of each project unit's controls.

        Parameters
        ----------
        values : numpy.ndarray
            (time, candidate); NaN is missing and takes no part.

        Returns
        -------
        numpy.ndarray
            float64 (time, project unit); NaN without a control that has a value.
        """
        total = np.zeros((values.shape[0], len(self.index)))
        count = np.zeros_like(total)
        for k in range(self.index.shape[1]):
            at = self.index[:, k]
            found = np.where(at >= 0, values[:, np.maximum(at, 0)], np.nan)
            ok = ~np.isnan(found)
            total += np.where(ok, found, 0.0)
            count += ok
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def level_and_trend(values: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return mean and least-squares slope of each unit over the years before the project.

    Parameters
    ----------
    values : numpy.ndarray
        (time, unit), NaN is missing.
    years : numpy.ndarray
        (time,), ascending.

    Returns
    -------
    numpy.ndarray
        (unit, 2): level, slope a year; NaN where fewer than two years have a value.
    """
    v = np.asarray(values, np.float64)
    ok = ~np.isnan(v)
    n = ok.sum(axis=0)
    t = np.where(ok, np.asarray(years, np.float64)[:, None], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.where(ok, v, 0.0).sum(axis=0) / n
        dt = np.where(ok, t - t.sum(axis=0) / n, 0.0)
        slope = (dt * np.where(ok, v - level, 0.0)).sum(axis=0) / (dt**2).sum(axis=0)
    found = np.column_stack([level, slope])
    found[n < 2] = np.nan
    return found


def match_controls(project: Units, candidates: Units, method: Method) -> Matches:
    """Match every unit of a project with its controls.

    Parameters
    ----------
    project, candidates : Units
        Candidates must not lie in any project.
    method : Method
        ``restoration_effect``.

    Raises
    ------
    InputError
        Tables that do not fit each other, missing covariates, coordinates that look like degrees,
        no units.

    Notes
    -----
    Covariates are divided by their standard deviation over project and candidates together; one
    that is constant takes no part. A control has the same class, lies at least `min_distance` from
    every unit of the project and at most `max_distance` from its own, and differs by at most
    `caliper`.
    """
    _check(project, "project")
    _check(candidates, "candidates")
    if project.covariates.shape[1] != candidates.covariates.shape[1]:
        raise InputError("Project and candidates have different covariates.")
    near, far, caliper, limit = (
        method.number(k).required for k in ("min_distance", "max_distance", "caliper", "balance")
    )
    want = int(method.number("neighbours").required)
    both = np.concatenate([project.covariates, candidates.covariates])
    sd = both.std(axis=0, ddof=1)
    varies = sd > 0
    p, c = (u.covariates[:, varies] / sd[varies] for u in (project, candidates))
    allowed = _beyond(candidates.xy, project.xy, near)
    n = len(p)
    index = np.full((n, want), -1, np.int64)
    distance = np.full((n, want), np.nan)
    for kind in np.unique(project.classes):
        pool = np.flatnonzero(allowed & (candidates.classes == kind))
        rows = np.flatnonzero(project.classes == kind)
        if not pool.size:
            continue
        step = max(1, _CHUNK // pool.size)
        for start in range(0, rows.size, step):
            here = rows[start : start + step]
            apart = _far(project.xy[here], candidates.xy[pool])
            unlike = _far(p[here], c[pool]) / np.sqrt(max(p.shape[1], 1))
            unlike[(apart > far) | (unlike > caliper)] = np.inf
            for k in range(min(want, pool.size)):
                best = unlike.argmin(axis=1)
                found = unlike[np.arange(here.size), best]
                ok = np.isfinite(found)
                index[here[ok], k] = pool[best[ok]]
                distance[here[ok], k] = found[ok]
                unlike[np.arange(here.size), best] = np.inf
    matched = index[:, 0] >= 0
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(varies, sd, 1.0)
        before = (project.covariates.mean(axis=0) - candidates.covariates.mean(axis=0)) / scale
    after = np.full(before.shape, np.nan)
    keys = ["min_distance", "max_distance", "caliper", "neighbours", "balance", "matching"]
    result = Matches(index, distance, matched, before, after, False, basis_of(method, keys))
    if matched.any():
        controls = result.control(candidates.covariates.T).T[matched]
        after = (project.covariates[matched] - controls).mean(axis=0) / scale
    balanced = bool(matched.any() and (np.abs(after) <= limit).all())
    return Matches(index, distance, matched, before, after, balanced, result.basis)


def _check(units: Units, name: str) -> None:
    n = len(units.classes)
    if units.covariates.ndim != 2 or units.covariates.shape[0] != n or units.xy.shape != (n, 2):
        raise InputError(
            f"The {name} have covariates {units.covariates.shape}, classes {units.classes.shape}, "
            f"coordinates {units.xy.shape}.",
            rule="one row a unit; coordinates have two columns",
        )
    if n == 0:
        raise InputError(f"There are no units: {name}.")
    if not np.isfinite(units.covariates).all() or not np.isfinite(units.xy).all():
        raise InputError(
            f"Covariates or coordinates are missing: {name}.",
            rule="every unit that is matched has all covariates",
            fix="leave such units out and count them",
        )
    if n > 1 and (np.abs(units.xy) <= [180.0, 90.0]).all():
        raise InputError(
            f"The coordinates look like degrees: {name}.", rule="metres of the region's grid"
        )


def _far(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances (row of a, row of b)."""
    square = np.zeros((len(a), len(b)))
    for k in range(a.shape[1]):
        square += (a[:, k, None] - b[None, :, k]) ** 2
    return np.sqrt(square)


def _beyond(xy: np.ndarray, project: np.ndarray, least: float) -> np.ndarray:
    """Tell which points lie at least that far from every unit of the project."""
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(project).query(xy)
    return np.asarray(distance >= least)
