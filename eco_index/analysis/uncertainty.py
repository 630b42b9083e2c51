"""Intervals of headline numbers: parts with a distribution each, added by a stated rule.

JCGM 101:2008 (propagation of distributions). The draws are stratified and seeded: the same number
gets the same interval on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eco_index.analysis.basis import Basis, basis_of
from eco_index.errors import InputError
from eco_index.methods import Method
from eco_index.yamlio import Text

#: Version of the figures.
UNCERTAINTY_VERSION = 1
#: Draws of each distribution.
DRAWS = 4096
PART_TITLES = {
    "gaps": Text(zh="观测缺失", en="observation gaps"),
    "end_members": Text(zh="端元选取", en="choice of end members"),
    "classification": Text(zh="分类误差", en="classification error"),
}


@dataclass(frozen=True)
class Part:
    """One source of uncertainty: draws of (truth - printed value).

    Attributes
    ----------
    id : str
        Key of `PART_TITLES` and of the method's rules.
    draws : numpy.ndarray
        (DRAWS,), stratified; order carries no meaning.
    """

    id: str
    draws: np.ndarray

    @property
    def title(self) -> Text:
        return PART_TITLES[self.id]

    @property
    def sigma(self) -> float:
        """Standard deviation of the part."""
        return float(self.draws.std())

    @property
    def shift(self) -> float:
        """Mean of the part: by how much the printed value is off on average."""
        return float(self.draws.mean())


@dataclass(frozen=True)
class Interval:
    """Interval of a number.

    Attributes
    ----------
    value, low, high : float
        The printed value and its interval, in `unit`. The interval need not be centred: a part may
        shift it (`classification` does where the map is biased).
    unit : str
    confidence : float
    parts : tuple of Part
        What is in it.
    left_out : tuple of str
        Ids of parts that apply and could not be evaluated; the interval is too narrow by them.
    basis : Basis
    """

    value: float
    low: float
    high: float
    unit: str
    confidence: float
    parts: tuple[Part, ...]
    left_out: tuple[str, ...]
    basis: Basis

    @property
    def pair(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def sigma(self) -> float:
        """Standard deviation of all parts together."""
        return math.sqrt(sum(p.sigma**2 for p in self.parts))


@lru_cache(maxsize=256)
def _normal(free: float) -> np.ndarray:
    """Stratified draws of Student's distribution; the normal one for infinite `free`."""
    from scipy.special import ndtri, stdtrit

    levels = (np.arange(DRAWS) + 0.5) / DRAWS
    draws = np.asarray(ndtri(levels) if math.isinf(free) else stdtrit(free, levels))
    draws.setflags(write=False)
    return draws


def uniform(low: float, high: float, *, seed: int) -> np.ndarray:
    """Return stratified draws of a uniform distribution in random order."""
    order = np.random.default_rng(seed).permutation(DRAWS)
    return low + (high - low) * (order + 0.5) / DRAWS


def normal_part(part: str, sigma: float, shift: float = 0.0, free: float = math.inf) -> Part:
    """Return a part that is normal around `shift`, or Student's with `free` degrees of freedom.

    Raises
    ------
    InputError
        A deviation that is negative or not finite; fewer than 3 degrees; unknown part.
    """
    if part not in PART_TITLES:
        raise InputError(f"There is no part '{part}'.", rule=f"one of {', '.join(PART_TITLES)}")
    if not (math.isfinite(sigma) and sigma >= 0 and math.isfinite(shift)):
        raise InputError(f"The part '{part}' has deviation {sigma:g} and shift {shift:g}.")
    if not free >= 3:
        raise InputError(f"The part '{part}' has {free:g} degrees of freedom.", rule="3 or more")
    return Part(part, shift + sigma * _normal(free))


def combine(
    value: float,
    parts: Sequence[Part],
    method: Method,
    *,
    unit: str,
    limits: tuple[float, float] = (-math.inf, math.inf),
    left_out: Sequence[str] = (),
    seed: int = 0,
) -> Interval | None:
    """Return the interval of a number from its parts.

    Parameters
    ----------
    value : float
        The printed number; NaN: None is returned, a missing number has no interval.
    parts : sequence of Part
        Independent of each other; every id once.
    method : Method
        ``uncertainty``.
    unit : str
        Of the value.
    limits : tuple of float
        Lowest and highest value possible; the interval is cut there.
    left_out : sequence of str
        Parts that apply and could not be evaluated.
    seed : int
        Of the order in which draws are added.

    Raises
    ------
    InputError
        No part, a part given twice, a value outside its limits.
    """
    if math.isnan(value):
        return None
    ids = [p.id for p in parts]
    if not parts or len(set(ids)) != len(ids):
        raise InputError(f"The parts are {ids}.", rule="one part at least, each once")
    if not limits[0] <= value <= limits[1]:
        raise InputError(f"The value {value:g} lies outside {limits[0]:g} to {limits[1]:g}.")
    random = np.random.default_rng(seed)
    total = np.zeros(DRAWS)
    for part in parts:
        total += part.draws[random.permutation(DRAWS)]
    confidence = method.number("confidence").required
    tail = (1 - confidence) / 2
    low, high = (float(q) for q in value + np.quantile(total, [tail, 1 - tail]))
    keys = ["confidence", "combination", *ids]
    if "end_members" in ids:
        keys += [k for k in method.numbers if k.startswith("ndvi_")]
    return Interval(
        value,
        min(max(low, limits[0]), limits[1]),
        min(max(high, limits[0]), limits[1]),
        unit,
        confidence,
        tuple(parts),
        tuple(left_out),
        basis_of(method, keys),
    )
