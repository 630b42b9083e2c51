"""Trends of vegetation that rain and temperature do not explain (RESTREND), per pixel and zone.

A dry year is not degradation: vegetation anomalies are regressed on anomalies of the weather, and
the trend of what is left decides. Formulas and rules: ``docs/reference/analysis.md``,
``configs/methods/residual_trend.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eco_index.analysis.basis import MISSING, Basis, basis_of
from eco_index.analysis.climate_kernel import climate_kernel
from eco_index.analysis.weather import VEGETATION, Driver, checked, stacked
from eco_index.errors import InputError
from eco_index.methods import Method
from eco_index.trends import Correction, Trends, check_ids, trends
from eco_index.yamlio import Text

#: Version of the figures.
RESIDUAL_TREND_VERSION = 1
#: Code of a series that was not evaluated; never 0, which is "no trend".
NOT_EVALUATED = -128
#: Verdict codes: negative is decline, positive is rise.
VERDICTS: dict[int, Text] = {
    -3: Text(zh="下降，未发现与气候的关系", en="decline, no relation to the weather found"),
    -2: Text(zh="下降，气候可解释", en="decline that the weather explains"),
    -1: Text(
        zh="下降，超出气候解释（疑似退化）", en="decline beyond the weather (suspected damage)"
    ),
    0: Text(zh="无显著趋势", en="no significant trend"),
    1: Text(zh="上升，超出气候解释", en="rise beyond the weather"),
    2: Text(zh="上升，气候可解释", en="rise that the weather explains"),
    3: Text(zh="上升，未发现与气候的关系", en="rise, no relation to the weather found"),
    9: Text(zh="气候与时间不可分，不能判定", en="weather and time cannot be told apart"),
    NOT_EVALUATED: MISSING,
}
#: Codes of the assessed year.
YEAR_VERDICTS: dict[int, Text] = {
    0: Text(zh="不低于常年", en="not below normal"),
    -1: Text(zh="偏低，气候可解释", en="low, as the weather explains"),
    -2: Text(zh="偏低，超出气候解释", en="low beyond what the weather explains"),
    NOT_EVALUATED: MISSING,
}


@dataclass(frozen=True)
class ResidualTrends:
    """Residual trends of a stack; arrays have the stack's shape without time unless stated.

    Attributes
    ----------
    drivers : tuple of str
        Their ids; `titles` are their titles.
    titles : tuple of Text
    unit : str
        Of the vegetation.
    n : numpy.ndarray
        int16, years with vegetation and all drivers.
    beta : numpy.ndarray
        (driver, ...), coefficients of the standardised anomalies.
    slope, intercept : numpy.ndarray
        (driver, ...) and (...), the same fit in units: vegetation per unit of the driver.
    r2, p_climate : numpy.ndarray
        Explained share of the variance 0-1, and p of its F test.
    separable : numpy.ndarray
        0-1, share of the variance of the years that the drivers do not explain. A steady trend d
        beside the weather leaves residuals whose straight-line slope is d x separable.
    residual : numpy.ndarray
        (time, ...), in the vegetation's unit.
    plain, left : Trends
        Of the vegetation in the years of the fit, and of the residuals.
    verdict : numpy.ndarray
        int8, key of `VERDICTS`.
    year : int
        The assessed year.
    anomaly : numpy.ndarray
        (1 + driver, ...), standardised anomalies of vegetation and drivers in that year.
    surprise : numpy.ndarray
        Residual of that year over its standard deviation, from the fit on all other years
        (externally studentised).
    inside : numpy.ndarray
        bool, whether that year's weather lies within the range of the other years; where it does
        not the prediction extrapolates.
    year_verdict : numpy.ndarray
        int8, key of `YEAR_VERDICTS`.
    basis : Basis
    """

    drivers: tuple[str, ...]
    titles: tuple[Text, ...]
    unit: str
    n: np.ndarray
    beta: np.ndarray
    slope: np.ndarray
    intercept: np.ndarray
    r2: np.ndarray
    p_climate: np.ndarray
    separable: np.ndarray
    residual: np.ndarray
    plain: Trends
    left: Trends
    verdict: np.ndarray
    year: int
    anomaly: np.ndarray
    surprise: np.ndarray
    inside: np.ndarray
    year_verdict: np.ndarray
    basis: Basis


def residual_trends(
    vegetation: np.ndarray,
    years: np.ndarray,
    drivers: Sequence[Driver],
    method: Method,
    *,
    unit: str = "1",
    year: int | None = None,
    correction: Correction = "hamed_rao",
) -> ResidualTrends:
    """Return the trend of vegetation beside the weather of every series of a stack.

    Parameters
    ----------
    vegetation : numpy.ndarray
        (time, ...) float: pixels (time, y, x), zones (time, zone) or one series (time,). NaN is
        missing.
    years : numpy.ndarray
        (time,), strictly ascending whole years.
    drivers : sequence of Driver
        Rain, and temperature where it is known; each year's value belongs to the same season.
    method : Method
        ``residual_trend``.
    unit : {'1', '%'}
        Of the vegetation: NDVI or cover as a share, or cover in percent.
    year : int, optional
        Year to assess; the last by default.
    correction : {'none', 'hamed_rao', 'yue_wang'}
        Of both trend tests, see `eco_index.trends.trends`.

    Raises
    ------
    InputError
        Shapes or years that do not fit, values outside the range of their unit, no driver, two
        drivers of one name, a year that is not among the years.

    Notes
    -----
    Years in which vegetation or a driver is missing take no part. A series with fewer years than
    `min_years`, with all values equal, or with drivers that say the same thing is not evaluated.
    """
    stack = checked("vegetation", vegetation, unit, VEGETATION)
    axis = np.asarray(years)
    if stack.ndim < 1 or axis.shape != stack.shape[:1] or axis.size == 0:
        raise InputError(
            f"The vegetation has shape {stack.shape}, the years {axis.shape}.",
            rule="the first axis is time, one year for each layer",
        )
    assessed = int(axis[-1]) if year is None else year
    at = np.flatnonzero(axis == assessed)
    if at.size != 1:
        raise InputError(
            f"The year {assessed} is not among the years {axis[0]} to {axis[-1]}.",
            fix="give the stack that holds the assessed year",
        )
    shape = stack.shape[1:]
    flat = stack.reshape(axis.size, -1)
    fields = stacked(drivers, stack.shape)
    k, series = len(drivers), flat.shape[1]
    min_years = max(int(method.number("min_years").required), k + 3, 4)
    alpha = method.number("significance").required

    def room(*lead: int) -> np.ndarray:
        return np.empty((*lead, series))

    n, inside = np.empty(series, np.int16), np.empty(series, np.bool_)
    beta, slope, anomaly = room(k), room(k), room(k + 1)
    intercept, r2, separable, surprise = room(), room(), room(), room()
    residual = room(axis.size)
    climate_kernel(
        flat,
        fields,
        axis.astype(np.float64),
        min_years,
        int(at[0]),
        (n, beta, slope, intercept, r2, separable, residual, anomaly, surprise, inside),
    )
    left = trends(residual, axis, correction=correction, min_years=min_years)
    used = np.where(np.isnan(residual), np.nan, flat)
    plain = trends(used, axis, correction=correction, min_years=min_years)
    p_climate = _p_of_fit(r2, n, k)
    verdict = _verdicts(plain, left, p_climate, separable, alpha, method)
    low = method.number("low_year").required
    year_verdict = _year_verdicts(anomaly[0], surprise, n - k - 2, alpha, low)

    def back(a: np.ndarray) -> np.ndarray:
        return a.reshape((*a.shape[:-1], *shape))

    def back_trends(t: Trends) -> Trends:
        return Trends(*(back(a) for a in (t.slope, t.p, t.z, t.tau, t.n, t.classes)))

    return ResidualTrends(
        drivers=tuple(d.id for d in drivers),
        titles=tuple(d.title for d in drivers),
        unit=unit,
        n=back(n),
        beta=back(beta),
        slope=back(slope),
        intercept=back(intercept),
        r2=back(r2),
        p_climate=back(p_climate),
        separable=back(separable),
        residual=back(residual),
        plain=back_trends(plain),
        left=back_trends(left),
        verdict=back(verdict),
        year=assessed,
        anomaly=back(anomaly),
        surprise=back(surprise),
        inside=back(inside),
        year_verdict=back(year_verdict),
        basis=basis_of(method),
    )


def residual_trends_by_block(
    read: Callable[[slice, slice], np.ndarray],
    shape: tuple[int, int],
    years: np.ndarray,
    drivers: Sequence[Driver],
    method: Method,
    *,
    block: int = 512,
    unit: str = "1",
    year: int | None = None,
    correction: Correction = "hamed_rao",
) -> Iterator[tuple[slice, slice, ResidualTrends]]:
    """Yield rows, columns and residual trends block by block; memory is that of one block.

    Parameters
    ----------
    read : callable
        Rows and columns to the vegetation (time, y, x) there.
    shape : tuple of int
        Rows and columns of the whole.
    drivers : sequence of Driver
        Values (time,) or (time, y, x) of the whole; the latter may be any array that is sliced,
        such as a memory map.
    block : int
        Side of a block in pixels; results do not depend on it.
    years, method, unit, year, correction
        As in `residual_trends`.
    """
    if block < 1:
        raise InputError(f"The block is {block} pixels.", rule="a block has at least 1 pixel")
    for top in range(0, shape[0], block):
        rows = slice(top, min(top + block, shape[0]))
        for start in range(0, shape[1], block):
            columns = slice(start, min(start + block, shape[1]))
            here = [
                d if d.values.ndim == 1 else replace(d, values=d.values[:, rows, columns])
                for d in drivers
            ]
            yield (
                rows,
                columns,
                residual_trends(
                    read(rows, columns),
                    years,
                    here,
                    method,
                    unit=unit,
                    year=year,
                    correction=correction,
                ),
            )


def count_verdicts(ids: np.ndarray, verdict: np.ndarray, n_zones: int) -> dict[int, np.ndarray]:
    """Count the pixels of every verdict per zone; counts of blocks merge by addition.

    Parameters
    ----------
    ids : numpy.ndarray
        int (h, w): 0 outside all zones, k + 1 in zone k.
    verdict : numpy.ndarray
        int8 (h, w) of `ResidualTrends.verdict`.
    n_zones : int
        Number of zones.

    Returns
    -------
    dict
        Code of `VERDICTS` to int64 (zone,).

    Raises
    ------
    InputError
        Shapes that differ, ids outside 0 to n_zones, a code that is no verdict.
    """
    check_ids(ids, n_zones, verdict, "verdicts")
    found = {
        code: np.bincount(ids[verdict == code].ravel(), minlength=n_zones + 1)[1:].astype(np.int64)
        for code in VERDICTS
    }
    if sum(int(a.sum()) for a in found.values()) != int((ids > 0).sum()):
        raise InputError("The map holds codes that are no verdicts.", rule=f"{list(VERDICTS)}")
    return found


def _p_of_fit(r2: np.ndarray, n: np.ndarray, k: int) -> np.ndarray:
    """Return p of the F test that all coefficients are zero."""
    from scipy.special import fdtrc

    free = n.astype(np.float64) - k - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        p = fdtrc(float(k), free, r2 / k / ((1.0 - r2) / free))
    return np.where(np.isnan(r2), np.nan, np.where(r2 >= 1.0, 0.0, p))


def _verdicts(
    plain: Trends,
    left: Trends,
    p_climate: np.ndarray,
    separable: np.ndarray,
    alpha: float,
    method: Method,
) -> np.ndarray:
    """Apply the rule `verdict` of the method."""
    with np.errstate(invalid="ignore"):
        fall = np.where(plain.p < alpha, np.sign(plain.z), 0).astype(np.int8)
        rest = np.where(left.p < alpha, np.sign(left.z), 0).astype(np.int8)
        related = p_climate < alpha
        apart = separable >= method.number("separable").required
    explained = np.where(apart | (fall == 0), 2 * fall, 9)
    code = np.where(related, np.where(rest != 0, rest, explained), 3 * fall).astype(np.int8)
    known = ~(np.isnan(plain.p) | np.isnan(left.p) | np.isnan(p_climate))
    return np.where(known, code, np.int8(NOT_EVALUATED))


def _year_verdicts(
    anomaly: np.ndarray, surprise: np.ndarray, free: np.ndarray, alpha: float, low: float
) -> np.ndarray:
    """Apply the rule `year` of the method."""
    from scipy.special import stdtrit

    bound = stdtrit(np.maximum(free, 1).astype(np.float64), alpha / 2)
    with np.errstate(invalid="ignore"):
        code = np.where(anomaly > low, 0, np.where(surprise >= bound, -1, -2)).astype(np.int8)
        known = (anomaly > low) | ((anomaly <= low) & ~np.isnan(surprise))
    return np.where(known, code, np.int8(NOT_EVALUATED))
