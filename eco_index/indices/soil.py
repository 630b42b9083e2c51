"""Soil retention by RUSLE after HJ 1173-2021, App. A: R, K, C and the chain.

Slope, L and S are in `terrain`, the chain in one pass over blocks in `soil_chain`. All numbers come
from ``configs/methods/hj1173_2021.yaml``. NaN is missing and stays missing.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from eco_index.errors import InputError
from eco_index.indices.doors import check_codes, checked
from eco_index.methods import Method

VERSION = 1  # changes when results change

#: Codes of cover types for the factor C; 0 is missing. Types without a C in the standard
#: (rock, ice) must be given as 0: they have no value.
C_TYPES: dict[int, str] = {
    1: "paddy",
    2: "wetland",
    3: "urban",
    4: "desert",
    5: "dry_cropland",
    6: "forest",
    7: "shrubland",
    8: "grassland",
    9: "tree_orchard",
    10: "shrub_orchard",
}
_DRY = 5
_BY_COVER = range(6, 11)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Erosivity:
    """Rain erosivity.

    Attributes
    ----------
    annual : array
        MJ mm/(hm² h a), NaN where a half-month has no complete year.
    half_months : array
        (24, ...), the same unit per half-month.
    years : array
        int (24, ...): complete years behind each half-month.
    """

    annual: Array
    half_months: Array
    years: Array


def erosivity(rain: Any, dates: list[datetime.date], method: Method) -> Erosivity:
    """Rain erosivity from daily rain by half-months.

    Parameters
    ----------
    rain : array
        (days, ...), mm/d, 0 or more, NaN where not measured.
    dates : list of datetime.date
        Of the first axis, rising, each once. Days that are absent count as not measured.
    method : Method
        ``hj1173_2021``.

    Returns
    -------
    Erosivity
        R_k = (1/n) Σ_i Σ_j α P_ijk^1.7265 over erosive days; a half-month (days 1–15, 16–end) with
        a missing day is left out of the mean over the n years.

    Raises
    ------
    InputError
        Negative or impossible rain, dates that do not rise or do not fit the array.

    Notes
    -----
    HJ 1173-2021, App. A. The limits of the warm season and of erosive rain are recalled.
    """
    values = checked(
        rain, "rain", "mm/d", 0, 2000, "give daily sums in mm; mask no-data codes such as -9999"
    )
    if values.ndim == 0 or len(dates) != values.shape[0]:
        raise InputError(
            f"{len(dates)} dates for rain of shape {values.shape}", rule="one date for each day"
        )
    if any(b <= a for a, b in pairwise(dates)):
        raise InputError("the dates of the rain do not rise", rule="each day once, in order")
    number = {k: method.number(k).required for k in _EROSIVITY}
    power, least = number["erosivity_exponent"], number["erosive_rain"]
    shape = values.shape[1:]
    total, years = np.zeros((24, *shape)), np.zeros((24, *shape), np.int64)
    where: dict[tuple[int, int], list[int]] = {}
    for i, day in enumerate(dates):
        where.setdefault((day.year, 2 * (day.month - 1) + (day.day > 15)), []).append(i)
    for (year, k), rows in where.items():
        if len(rows) != _days(year, k):
            continue
        part = values[rows]
        month = k // 2 + 1
        warm = number["warm_first_month"] <= month <= number["warm_last_month"]
        alpha = number["erosivity_alpha_warm" if warm else "erosivity_alpha_cold"]
        with np.errstate(invalid="ignore"):
            power_of = np.where(part >= least, part, 0.0) ** power
        complete = ~np.isnan(part).any(axis=0)
        total[k] += np.where(complete, alpha * power_of.sum(axis=0), 0.0)
        years[k] += complete
    half = np.full(total.shape, np.nan)
    np.divide(total, years, out=half, where=years > 0)
    return Erosivity(half.sum(axis=0), half, years)


def _days(year: int, half_month: int) -> int:
    month = half_month // 2 + 1
    if half_month % 2 == 0:
        return 15
    following = datetime.date(year + month // 12, month % 12 + 1, 1)
    return (following - datetime.timedelta(days=1)).day - 15


def erodibility(sand: Any, silt: Any, clay: Any, carbon: Any, method: Method) -> Array:
    """Soil erodibility K from texture and organic carbon (EPIC, converted by the standard).

    Parameters
    ----------
    sand, silt, clay : array
        Shares of 0.05–2, 0.002–0.05 and below 0.002 mm, %, together 100 (within 2).
    carbon : array
        Organic carbon, %, 0–60.
    method : Method
        ``hj1173_2021``.

    Returns
    -------
    array
        t hm² h/(hm² MJ mm), 0 or more; NaN where an input is, and where a soil has neither silt
        nor clay (0/0).

    Raises
    ------
    InputError
        Shares that do not add to 100 % (0–1 instead of per cent), carbon outside 0–60 %.

    Notes
    -----
    HJ 1173-2021, App. A: K = (−0.01383 + 0.51575 K_EPIC) · 0.1317.
    """
    sand, silt, clay = check_texture(sand, silt, clay)
    carbon = checked(carbon, "organic carbon", "%", 0, 60, "g/kg is ten times per cent")
    n = {k: method.number(k).required for k in _ERODIBILITY}
    coarse = n["epic_base"] + n["epic_sand"] * np.exp(n["epic_sand_rate"] * sand * (1 - silt / 100))
    with np.errstate(invalid="ignore"):
        fine = (silt / (clay + silt)) ** n["epic_silt_power"]
    organic = 1 - n["epic_carbon"] * carbon / (
        carbon + np.exp(n["epic_carbon_a"] + n["epic_carbon_b"] * carbon)
    )
    rest = 1 - sand / 100
    sandy = 1 - n["epic_fine"] * rest / (rest + np.exp(n["epic_fine_a"] + n["epic_fine_b"] * rest))
    epic = coarse * fine * organic * sandy
    k: Array = np.maximum(n["k_offset"] + n["k_factor"] * epic, 0.0) * n["k_unit"]
    return k


def check_texture(sand: Any, silt: Any, clay: Any) -> tuple[Array, Array, Array]:
    """Return sand, silt and clay in per cent; an error where they do not add to 100 within 2."""
    parts = [
        checked(v, name, "%", 0, 100, "give per cent of weight; mask the no-data code")
        for name, v in (("sand", sand), ("silt", silt), ("clay", clay))
    ]
    total = np.asarray(parts[0] + parts[1] + parts[2])
    off = np.abs(total - 100) > 2
    if off.any():
        bad = total[off]
        raise InputError(
            f"sand, silt and clay add to {bad.min():g}…{bad.max():g} at {int(off.sum())} pixels",
            rule="together 100 %, within 2",
            fix="shares of 0-1 must be multiplied by 100" if bad.max() <= 1.1 else "check the maps",
        )
    return parts[0], parts[1], parts[2]


def cover_table(method: Method) -> Array:
    """Return C by type code (rows, 0…10) and class of cover (6 columns); NaN where none."""
    table = np.full((11, 6), np.nan)
    for code, name in C_TYPES.items():
        if code in _BY_COVER:
            table[code] = [method.number(f"c_{name}_{i}").required for i in range(1, 7)]
        elif code != _DRY:
            table[code] = method.number(f"c_{name}").required
    return table


def cover_factor(types: Any, cover: Any, method: Method) -> Array:
    """Cover factor C by type and vegetation cover.

    Parameters
    ----------
    types : integer array
        Codes of `C_TYPES`, 0 where missing.
    cover : array
        Vegetation cover, a share of 0–1. Not needed for paddy, wetland, urban land and desert.
    method : Method
        ``hj1173_2021``.

    Returns
    -------
    array
        0–1; NaN where the type is missing, or the cover of a type that needs it.

    Raises
    ------
    InputError
        Cover in per cent, unknown type (with its number of pixels).

    Notes
    -----
    HJ 1173-2021, App. A; dry cropland: 0.221 − 0.595 log10(cover), limited to 0–1.
    """
    kind = check_codes(types, C_TYPES, "cover types")
    share = checked(cover, "cover", "1", 0, 1, "per cent must be divided by 100")
    kind, share = np.broadcast_arrays(kind, share)
    limits = [method.number(f"c_limit_{i}").required for i in range(1, 6)]
    column = np.searchsorted(limits, share, side="right").clip(max=5)
    factor = cover_table(method)[kind, column]
    needs = kind >= _DRY
    with np.errstate(divide="ignore"):
        dry = method.number("c_dry_add").required + method.number("c_dry_log").required * np.log10(
            share
        )
    factor = np.where(kind == _DRY, np.clip(dry, 0.0, 1.0), factor)
    result: Array = np.where(needs & np.isnan(share), np.nan, factor)
    return result


@dataclass(frozen=True)
class SoilLoss:
    """Soil loss in t/(hm² a): potential R K L S, actual R K L S C, and retention."""

    potential: Array
    actual: Array

    @property
    def retention(self) -> Array:
        """Q_sr = potential − actual, t/(hm² a)."""
        return self.potential - self.actual


def soil_loss(r: Any, k: Any, length: Any, steepness: Any, c: Any) -> SoilLoss:
    """Soil loss and retention by the chain of the standard (no factor P).

    Parameters
    ----------
    r : array
        MJ mm/(hm² h a).
    k : array
        t hm² h/(hm² MJ mm), at most 0.2.
    length, steepness, c : array
        Factors L, S and C (0–1).

    Returns
    -------
    SoilLoss
        t/(hm² a); times 100 it is t/(km² a).

    Raises
    ------
    InputError
        A factor out of range (K in US units, C in per cent).

    Notes
    -----
    HJ 1173-2021, App. A.
    """
    potential = (
        checked(r, "R", "MJ mm/(hm2 h a)", 0, 1e5)
        * checked(k, "K", "t hm2 h/(hm2 MJ mm)", 0, 0.2, "US units need the factor 0.1317")
        * checked(length, "L", "1", 0, 1e4)
        * checked(steepness, "S", "1", 0, 20)
    )
    return SoilLoss(potential, potential * checked(c, "C", "1", 0, 1))


_EROSIVITY = (
    "erosivity_alpha_warm",
    "erosivity_alpha_cold",
    "erosivity_exponent",
    "warm_first_month",
    "warm_last_month",
    "erosive_rain",
)
_ERODIBILITY = (
    *("epic_base", "epic_sand", "epic_sand_rate", "epic_silt_power", "epic_carbon"),
    *("epic_carbon_a", "epic_carbon_b", "epic_fine", "epic_fine_a", "epic_fine_b"),
    *("k_offset", "k_factor", "k_unit"),
)
