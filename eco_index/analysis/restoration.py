"""Effect of a restoration project: before/after against matched controls, with an interval.

Formulas and rules: ``docs/reference/analysis.md``, ``configs/methods/restoration_effect.yaml``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from eco_index.analysis.autocorrelation import half_width
from eco_index.analysis.basis import MISSING, Basis, basis_of
from eco_index.errors import InputError
from eco_index.methods import Method
from eco_index.yamlio import Text

#: Version of the figures.
RESTORATION_VERSION = 2
_BOOTSTRAPS = 2000
_MIN_BLOCKS = 8
Verdict = Literal["better", "worse", "no_effect_shown", "not_certain", "not_evaluated"]
VERDICTS: dict[Verdict, Text] = {
    "better": Text(zh="成效为正", en="better"),
    "worse": Text(zh="成效为负", en="worse"),
    "no_effect_shown": Text(zh="未显示成效", en="no effect shown"),
    "not_certain": Text(
        zh="不能确定（对照检验未通过）", en="not certain (checks of the controls failed)"
    ),
    "not_evaluated": MISSING,
}
#: Where an interval comes from.
SOURCES = {
    "areas": Text(zh="仿工程区的t区间", en="t interval from mock areas"),
    "years": Text(zh="年份为重复的t区间", en="t interval with years as replicates"),
    "space": Text(
        zh="空间分块自助法（只含空间抽样误差）",
        en="block bootstrap over space (sampling in space only)",
    ),
    "none": Text(zh="无区间", en="no interval"),
}


@dataclass(frozen=True)
class Difference:
    """Change of the difference project - control from some years to others.

    Attributes
    ----------
    effect : float
    low, high : float
        NaN without an interval.
    source : {'areas', 'years', 'space', 'none'}
        Key of `SOURCES`.
    n_before, n_after : int
        Years.
    autocorrelation : float
        Of first order between years, mean over what the series allows; NaN where it is not told.
    """

    effect: float
    low: float
    high: float
    source: str
    n_before: int
    n_after: int
    autocorrelation: float

    @property
    def holds_zero(self) -> bool:
        """Whether the interval holds zero; True without an interval: nothing is shown."""
        return not (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Restoration:
    """Effect of a project.

    Attributes
    ----------
    unit : str
        Of the effect and the four means.
    years : numpy.ndarray
        Years with enough units.
    difference : numpy.ndarray
        (year,), mean difference project - control, without the units' own means before.
    main : Difference
    relative : float
        Effect over what the project would be without it (before + change of the controls).
    project_before, project_after, control_before, control_after : float
        Means over the years with enough units.
    placebo : Difference or None
        None with fewer than twice `min_before` years before.
    drift, drift_p : float
        Slope a year of the difference before the project, and its p; NaN below 4 years.
    n_units, n_used : int
        Units given, and used.
    used : numpy.ndarray
        bool (unit,), which of them.
    n_mocks : int
        Mock areas given.
    verdict : str
        Key of `VERDICTS`.
    basis : Basis
    """

    unit: str
    years: np.ndarray
    difference: np.ndarray
    main: Difference
    relative: float
    project_before: float
    project_after: float
    control_before: float
    control_after: float
    placebo: Difference | None
    drift: float
    drift_p: float
    n_units: int
    n_used: int
    used: np.ndarray
    n_mocks: int
    verdict: Verdict
    basis: Basis


def restoration_effect(
    project: np.ndarray,
    control: np.ndarray,
    years: np.ndarray,
    started: int,
    finished: int,
    method: Method,
    *,
    unit: str,
    balanced: bool = True,
    mocks: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    seed: int = 0,
) -> Restoration:
    """Return the effect of a project.

    Parameters
    ----------
    project, control : numpy.ndarray
        (time, unit) float: each project unit and the mean of its controls (`Matches.control`); NaN
        is missing.
    years : numpy.ndarray
        (time,), strictly ascending.
    started, finished : int
        First and last year of the works: years before `started` are "before", years after
        `finished` are "after", those between take no part.
    method : Method
        ``restoration_effect``.
    unit : str
        Of the values.
    balanced : bool
        `Matches.balanced`; without balance the verdict is not certain.
    mocks : numpy.ndarray, optional
        (area,), effects at areas without works (`mock_areas.mock_effects`); with at least
        `min_mocks` of them the interval is from their spread.
    blocks : numpy.ndarray, optional
        int (unit,), block of each unit, wider than the reach of spatial correlation; for the
        interval where the years before are too few.
    seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        Shapes or years that do not fit, infinite values, no year before or after.

    Notes
    -----
    A unit needs a pair of values in at least half of the years before and one year after. The
    effect is the change of the mean over all units and years as a fit unit + year has it, so that
    it matters little which pairs are missing; the series of years has each unit's mean difference
    before taken off.
    """
    d, axis, phase = _differences(project, control, years, started, finished)
    d, used, enough, series = _series(d, phase, method.number("min_share").required)
    least = int(method.number("min_before").required)
    confidence = method.number("confidence").required
    b, a = (phase == -1) & enough, (phase == 1) & enough
    main = _moved(_years(series[b], series[a], axis[b], axis[a], least, confidence), d, b, a)
    if mocks is not None and mocks.size >= int(method.number("min_mocks").required):
        main = _areas(mocks, main, confidence)
    if main.source == "none" and not math.isnan(main.effect) and blocks is not None:
        main = _space(d, b, a, np.asarray(blocks)[used], main, confidence, seed)
    placebo = None
    if b.sum() >= 2 * least:
        half = int(b.sum()) // 2
        old, new = series[b][:half], series[b][half:]
        placebo = _years(old, new, axis[b][:half], axis[b][half:], least, confidence)
    drift, drift_p = _drift(axis[b], series[b])
    sides = [
        _mean(np.asarray(side, np.float64)[:, used], other[:, used], at)
        for side, other in ((project, control), (control, project))
        for at in (b, a)
    ]
    without = sides[0] + sides[3] - sides[2]
    return Restoration(
        unit=unit,
        years=axis[enough],
        difference=series[enough],
        main=main,
        relative=main.effect / without if without else math.nan,
        project_before=sides[0],
        project_after=sides[1],
        control_before=sides[2],
        control_after=sides[3],
        placebo=placebo,
        drift=drift,
        drift_p=drift_p,
        n_units=int(used.size),
        n_used=int(used.sum()),
        used=used,
        n_mocks=0 if mocks is None else int(mocks.size),
        verdict=_verdict(main, placebo, balanced),
        basis=basis_of(method),
    )


def mean_effect(
    project: np.ndarray,
    control: np.ndarray,
    years: np.ndarray,
    started: int,
    finished: int,
    method: Method,
) -> float:
    """Return the effect alone, as `restoration_effect` has it; NaN where it has none."""
    d, _, phase = _differences(project, control, years, started, finished)
    d, _, enough, _ = _series(d, phase, method.number("min_share").required)
    b, a = (phase == -1) & enough, (phase == 1) & enough
    return _change_of_means(d, b, a) if b.any() and a.any() else math.nan


def _change_of_means(d: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """Return the change of the mean over all units and years, whichever pairs clouds have taken.

    Gains differ among units, and among years (in a dry one more is gained): each side is the mean
    of the fit unit + year (two-way analysis of variance without interaction, unbalanced), which is
    the plain mean where no value is missing.
    """
    both = ~(np.isnan(d[before]).all(axis=0) | np.isnan(d[after]).all(axis=0))
    if not both.any():
        return math.nan
    return _two_way_mean(d[after][:, both]) - _two_way_mean(d[before][:, both])


def _two_way_mean(rows: np.ndarray) -> float:
    """Return the mean of the fit unit + year over all units and all years with a value."""
    ok = ~np.isnan(rows)
    x, ok = np.where(ok, rows, 0.0)[ok.any(axis=1)], ok[ok.any(axis=1)]
    year = np.zeros(len(x))
    unit = x.sum(axis=0) / ok.sum(axis=0)
    for _ in range(200):
        step = (x - ok * unit).sum(axis=1) / ok.sum(axis=1) - year
        year += step
        if np.abs(step).max() < 1e-9:
            break
        unit = (x - ok * year[:, None]).sum(axis=0) / ok.sum(axis=0)
    return float(unit.mean() + year.mean())


def _moved(main: Difference, d: np.ndarray, before: np.ndarray, after: np.ndarray) -> Difference:
    """Put the mean of the units' own changes in the middle of an interval from years."""
    effect = _change_of_means(d, before, after) if main.n_before and main.n_after else math.nan
    if math.isnan(effect):
        return main
    step = effect - main.effect
    return replace(main, effect=effect, low=main.low + step, high=main.high + step)


def _series(
    d: np.ndarray, phase: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return differences without the units' own means, units used, years with enough, means."""
    before, after = phase == -1, phase == 1
    ok = ~np.isnan(d)
    used = (2 * ok[before].sum(axis=0) >= before.sum()) & ok[after].any(axis=0)
    d, ok = d[:, used], ok[:, used]
    series = np.full(len(d), np.nan)
    enough = np.zeros(len(d), bool)
    if used.any():
        d = d - _means(d[before])
        n = ok.sum(axis=1)
        enough = (n >= share * used.sum()) & (phase != 0)
        series[enough] = (np.where(ok, d, 0.0).sum(axis=1) / np.maximum(n, 1))[enough]
    return d, used, enough, series


def _areas(mocks: np.ndarray, main: Difference, confidence: float) -> Difference:
    """Put the interval that areas without works give in place of the one from years.

    Their effects are zero in truth: the root of their mean square is the error of the estimate,
    biases of the matching included, known from n areas (Conley & Taber 2011). For the rest of
    dependence among areas with common controls one degree and 1/n are given away.
    """
    from scipy.special import stdtrit

    n = mocks.size
    error = math.sqrt(float((mocks**2).mean()) * (1 + 1 / n))
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error
    if math.isnan(main.effect) or not half > 0:
        return main
    return replace(main, low=main.effect - half, high=main.effect + half, source="areas")


def _differences(
    project: np.ndarray, control: np.ndarray, years: np.ndarray, started: int, finished: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return differences, years, and -1 before, 0 during, 1 after."""
    p, c = np.asarray(project, np.float64), np.asarray(control, np.float64)
    axis = np.asarray(years)
    if p.shape != c.shape or p.ndim != 2 or axis.shape != p.shape[:1]:
        raise InputError(
            f"The project has shape {p.shape}, the controls {c.shape}, the years {axis.shape}.",
            rule="(time, unit) on both sides, one year for each row",
        )
    if (np.diff(axis) <= 0).any() or np.isinf(p).any() or np.isinf(c).any():
        raise InputError("The years do not ascend, or values are infinite.")
    if finished < started:
        raise InputError(f"The works end in {finished} and start in {started}.")
    phase = np.where(axis < started, -1, np.where(axis > finished, 1, 0))
    for name, code in (("before", -1), ("after", 1)):
        if not (phase == code).any():
            raise InputError(
                f"There is no year {name} the works ({started} to {finished}).",
                where=f"years {axis.min()} to {axis.max()}" if axis.size else "no years",
                fix="give a longer series, or wait for the next year",
            )
    return p - c, axis, phase


def _years(
    old: np.ndarray,
    new: np.ndarray,
    old_years: np.ndarray,
    new_years: np.ndarray,
    least: int,
    confidence: float,
) -> Difference:
    """Return the difference of two means of years with its interval."""
    n, m = old.size, new.size
    if n == 0 or m == 0:
        return Difference(math.nan, math.nan, math.nan, "none", n, m, math.nan)
    effect = float(new.mean() - old.mean())
    if n < least:
        return Difference(effect, math.nan, math.nan, "none", n, m, math.nan)
    series, axis = np.concatenate([old, new]), np.concatenate([old_years, new_years])
    half, rho = half_width(series, axis, np.arange(n + m) >= n, confidence)
    if math.isnan(half):
        return Difference(effect, math.nan, math.nan, "none", n, m, math.nan)
    return Difference(effect, effect - half, effect + half, "years", n, m, rho)


def _space(
    d: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    blocks: np.ndarray,
    main: Difference,
    confidence: float,
    seed: int,
) -> Difference:
    """Percentile interval from resampled blocks of units."""
    unit = _means(d[after]) - _means(d[before])
    ok = ~np.isnan(unit)
    _, place = np.unique(blocks[ok], return_inverse=True)
    count = np.bincount(place)
    if count.size < _MIN_BLOCKS:
        return main
    total = np.bincount(place, unit[ok])
    random = np.random.default_rng(seed)
    drawn = random.multinomial(count.size, np.full(count.size, 1 / count.size), _BOOTSTRAPS)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn @ total / (drawn @ count), [tail, 1 - tail])
    return Difference(
        main.effect,
        float(low),
        float(high),
        "space",
        main.n_before,
        main.n_after,
        math.nan,
    )


def _means(rows: np.ndarray) -> np.ndarray:
    """Mean over years of each unit, NaN without a value."""
    ok = ~np.isnan(rows)
    n = ok.sum(axis=0)
    total = np.where(ok, rows, 0.0).sum(axis=0)
    return np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)


def _mean(side: np.ndarray, other: np.ndarray, at: np.ndarray) -> float:
    """Mean over years of the yearly means of one side, where both sides have a value."""
    both = np.where(np.isnan(other), np.nan, side)[at]
    return float(np.mean([np.nanmean(row) for row in both])) if both.size else math.nan


def _drift(years: np.ndarray, series: np.ndarray) -> tuple[float, float]:
    """Return slope and p of a straight line through the years before."""
    if series.size < 4 or np.ptp(series) == 0:
        return math.nan, math.nan
    from scipy.stats import linregress

    line = linregress(years, series)
    return float(line.slope), float(line.pvalue)


def _verdict(main: Difference, placebo: Difference | None, balanced: bool) -> Verdict:
    if math.isnan(main.effect) or main.source == "none":
        return "not_evaluated"
    if not balanced or (placebo is not None and not placebo.holds_zero):
        return "not_certain"
    if main.holds_zero:
        return "no_effect_shown"
    return "better" if main.effect > 0 else "worse"
