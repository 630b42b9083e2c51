"""Early warning: this season of each zone against the same season of earlier years.

Formulas and rules: ``docs/reference/analysis.md``, ``configs/methods/early_warning.yaml``. The
levels are defaults of this project: every result is provisional until an overlay signs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eco_index.analysis.basis import MISSING, Basis, basis_of
from eco_index.errors import InputError
from eco_index.methods import Method
from eco_index.yamlio import Text

#: Version of the figures.
EARLY_WARNING_VERSION = 1
NOT_EVALUATED = -128
#: Levels from none to the gravest; keys of the method's limits are their ids.
LEVEL_IDS = ("none", "watch", "warning", "alert")
LEVELS: dict[int, Text] = {
    0: Text(zh="正常", en="normal"),
    1: Text(zh="关注", en="watch"),
    2: Text(zh="预警", en="warning"),
    3: Text(zh="警报", en="alert"),
    NOT_EVALUATED: MISSING,
}
#: Why a zone was not evaluated.
REASONS: dict[str, Text] = {
    "": Text(zh="", en=""),
    "no_value": Text(zh="当季无值", en="no value this season"),
    "little_seen": Text(zh="当季有效观测不足", en="too little of the zone seen this season"),
    "few_years": Text(zh="历史年数不足", en="too few years of history"),
    "no_variance": Text(zh="历史各年相同", en="all years of history are equal"),
}


@dataclass(frozen=True)
class Warnings:
    """State of zones in one season; arrays are (zone,).

    Attributes
    ----------
    unit : str
        Of value, mean and deviation.
    value : numpy.ndarray
        This season; NaN is missing and stays missing.
    n : numpy.ndarray
        int64, years of history that count.
    mean, sd : numpy.ndarray
        Of the history, `sd` with n - 1; NaN below the least number of years.
    z : numpy.ndarray
        (value - mean) / sd. Low is grave; of an adverse-high variable z has its sign turned.
    p_low : numpy.ndarray
        Chance 0-1 of a value this low or lower if nothing changed: Student's distribution of
        z / sqrt(1 + 1 / n) with n - 1 degrees of freedom.
    rank : numpy.ndarray
        int64, 1 for the gravest of history and this season (ties share the better rank); 0 where
        not evaluated.
    percentile : numpy.ndarray
        0-100, share of the years of history that are graver, equal ones by half.
    vci : numpy.ndarray
        0-100, extremes over history and this season.
    level : numpy.ndarray
        int8, key of `LEVELS`.
    reason : tuple of str
        Key of `REASONS` for each zone.
    basis : Basis
    """

    unit: str
    value: np.ndarray
    n: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    z: np.ndarray
    p_low: np.ndarray
    rank: np.ndarray
    percentile: np.ndarray
    vci: np.ndarray
    level: np.ndarray
    reason: tuple[str, ...]
    basis: Basis


def early_warning(
    value: np.ndarray,
    history: np.ndarray,
    method: Method,
    *,
    unit: str,
    seen: np.ndarray | None = None,
    history_seen: np.ndarray | None = None,
    low_is_grave: bool = True,
) -> Warnings:
    """Return level and figures of every zone.

    Parameters
    ----------
    value : numpy.ndarray
        (zone,) float, this season; NaN is missing.
    history : numpy.ndarray
        (year, zone) float, the same months of earlier years, without this season; NaN is missing.
    method : Method
        ``early_warning``.
    unit : str
        Of the values.
    seen, history_seen : numpy.ndarray, optional
        (zone,) and (year, zone), share of the zone with a value, 0-1; below `min_share` a value
        does not count.
    low_is_grave : bool
        False for variables whose high values are adverse (bare soil).

    Raises
    ------
    InputError
        Shapes that do not fit, infinite values, shares outside 0-1, limits that do not fall.
    """
    x, past = np.asarray(value, np.float64), np.asarray(history, np.float64)
    if x.ndim != 1 or past.ndim != 2 or past.shape[1] != x.size:
        raise InputError(
            f"This season has shape {x.shape}, the history {past.shape}.",
            rule="(zone,) and (year, zone)",
        )
    if np.isinf(x).any() or np.isinf(past).any():
        raise InputError("Values are infinite.", rule="missing values are NaN")
    zs, vcis = _limits(method)
    least, share = int(method.number("min_years").required), method.number("min_share").required
    little = _below(seen, x.shape, share)
    current = np.where(little, np.nan, x)
    past = np.where(_below(history_seen, past.shape, share), np.nan, past)
    sign = 1.0 if low_is_grave else -1.0
    ok = ~np.isnan(past)
    n = ok.sum(axis=0)
    enough = n >= max(least, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(enough, np.where(ok, past, 0.0).sum(axis=0) / n, np.nan)
        square = np.where(ok, (past - mean) ** 2, 0.0).sum(axis=0)
        sd = np.where(enough, np.sqrt(square / (n - 1)), np.nan)
        low = np.where(ok, past, np.inf).min(axis=0, initial=np.inf)
        high = np.where(ok, past, -np.inf).max(axis=0, initial=-np.inf)
        flat = enough & ~(high > low)
        sd = np.where(flat, 0.0, sd)
        fine = enough & ~flat & ~np.isnan(current)
        z = np.where(fine, sign * (current - mean) / sd, np.nan)
        low, high = np.fmin(low, current), np.fmax(high, current)
        vci = np.where(fine, 100 * (current - low) / (high - low), np.nan)
    vci = vci if low_is_grave else 100 - vci
    graver = (ok & (sign * past < sign * current)).sum(axis=0)
    equal = (ok & (past == current)).sum(axis=0)
    level = np.full(x.size, NOT_EVALUATED, np.int8)
    level[fine] = 0
    for k, (z_limit, vci_limit) in enumerate(zip(zs, vcis, strict=True), start=1):
        level[fine & (z <= z_limit) & (vci <= vci_limit)] = k
    reason = np.select(
        [fine, np.isnan(x), little, ~enough, flat],
        ["", "no_value", "little_seen", "few_years", "no_variance"],
        default="",
    )
    return Warnings(
        unit=unit,
        value=current,
        n=n,
        mean=mean,
        sd=sd,
        z=z,
        p_low=_chance(z, n),
        rank=np.where(fine, graver + 1, 0),
        percentile=np.where(fine, 100 * (graver + equal / 2) / np.maximum(n, 1), np.nan),
        vci=vci,
        level=level,
        reason=tuple(str(r) for r in reason),
        basis=basis_of(method),
    )


def _limits(method: Method) -> tuple[list[float], list[float]]:
    """Return the limits of z and VCI, from the mildest level to the gravest."""
    zs, vcis = (
        [method.number(f"{kind}.{level}").required for level in LEVEL_IDS[1:]]
        for kind in ("z", "vci")
    )
    for name, limits in (("z", zs), ("VCI", vcis)):
        if not all(a > b for a, b in pairwise(limits)):
            raise InputError(
                f"The limits of {name} are {limits}.",
                where=f"method '{method.id}'",
                rule="limits fall from one level to the next",
            )
    return zs, vcis


def _below(seen: np.ndarray | None, shape: tuple[int, ...], least: float) -> np.ndarray:
    """Tell where too little was seen; an unknown share counts as nothing seen."""
    if seen is None:
        return np.zeros(shape, bool)
    share = np.asarray(seen, np.float64)
    if share.shape != shape:
        raise InputError(f"Shares seen have shape {share.shape}, values {shape}.")
    if ((share < 0) | (share > 1 + 1e-9)).any():
        raise InputError("Shares seen lie outside 0 to 1.", fix="divide percent by 100")
    return ~(share >= least)


def _chance(z: np.ndarray, n: np.ndarray) -> np.ndarray:
    from scipy.special import stdtr

    with np.errstate(invalid="ignore", divide="ignore"):
        chance = stdtr(np.maximum(n - 1, 1).astype(np.float64), z / np.sqrt(1 + 1 / n))
    return np.where(np.isnan(z), np.nan, chance)
