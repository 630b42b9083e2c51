"""Ecosystem problems after HJ 1174-2021: erosion, desertification, degradation, wetlands.

Limits come from ``configs/methods/hj1174_2021.yaml``. Grades rise with the problem, 0 is none (or
the lowest), 255 is missing. Where two classes share a limit and the text does not say whose it is,
it belongs to the higher values (placeholder rule ``interior_limits``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eco_index.errors import InputError
from eco_index.indices.doors import checked, graded
from eco_index.methods import Method
from eco_index.yamlio import Text

VERSION = 1  # changes when results change

MISSING = 255
Array = np.ndarray[Any, Any]


def _texts(*pairs: tuple[str, str]) -> tuple[Text, ...]:
    return tuple(Text(zh=zh, en=en) for zh, en in pairs)


EROSION = _texts(
    ("微度", "slight"),
    ("轻度", "light"),
    ("中度", "moderate"),
    ("强度", "strong"),
    ("极强度", "very strong"),
    ("剧烈", "severe"),
)
EROSION_FIVE = _texts(
    ("无", "none"),
    ("轻度", "light"),
    ("中度", "moderate"),
    ("强度", "strong"),
    ("剧烈", "severe"),
)
DESERTIFICATION = _texts(
    ("轻度", "light"), ("中度", "moderate"), ("重度", "heavy"), ("极重度", "very heavy")
)
DEGRADATION = _texts(
    ("未退化", "not degraded"),
    ("轻度", "light"),
    ("中度", "moderate"),
    ("重度", "heavy"),
    ("极重度", "very heavy"),
)
#: Regions of the tolerable soil loss.
REGIONS: dict[str, Text] = {
    "loess": Text(zh="西北黄土高原", en="north-western loess plateau"),
    "north": Text(
        zh="东北黑土区、北方土石山区", en="north-eastern black soil, northern earth-rock mountains"
    ),
    "south": Text(
        zh="南方红壤区、西南土石山区", en="southern red soil, south-western earth-rock mountains"
    ),
}
#: Parameters of the trophic level index with their unit and largest plausible value.
TLI: dict[str, tuple[str, float]] = {
    "chla": ("mg/m3", 5000),
    "tp": ("mg/L", 20),
    "tn": ("mg/L", 200),
    "cod": ("mg/L", 500),
    "sd": ("m", 100),
}


def erosion_grade(loss: Any, region: str, method: Method, *, five: bool = False) -> Array:
    """Grade of water erosion.

    Parameters
    ----------
    loss : array
        Erosion modulus in t/(km² a): the t/(hm² a) of RUSLE times 100.
    region : {'loess', 'north', 'south'}
        Sets the tolerable loss (`REGIONS`).
    method : Method
        ``hj1174_2021``.
    five : bool
        Merge strong and very strong (`EROSION_FIVE`).

    Returns
    -------
    uint8 array
        Index into `EROSION` or `EROSION_FIVE`, 255 where missing.

    Raises
    ------
    InputError
        Unknown region; a loss below 0 or impossibly large.

    Notes
    -----
    HJ 1174-2021.
    """
    if region not in REGIONS:
        raise InputError(f"unknown region '{region}'", rule=f"one of {sorted(REGIONS)}")
    values = checked(loss, "erosion modulus", "t/(km2 a)", 0, 1e8)
    limits = [method.number(f"erosion_{k}").required for k in (region, 2, 3, 4, 5)]
    grade = graded(values, limits, (False, False, False, False, True))
    if five:
        grade = np.where((grade >= 4) & (grade != MISSING), grade - 1, grade).astype(np.uint8)
    return grade


def desertification_grade(cover: Any, sandy: Any, method: Method) -> Array:
    """Grade of desertification by vegetation cover on sandy land.

    Parameters
    ----------
    cover : array
        Vegetation cover, a share of 0–1.
    sandy : bool array
        Where land is sandy; elsewhere the grade does not exist.
    method : Method
        ``hj1174_2021``.

    Returns
    -------
    uint8 array
        Index into `DESERTIFICATION`; 255 where missing or not sandy.

    Raises
    ------
    InputError
        Cover in per cent, `sandy` not boolean.

    Notes
    -----
    HJ 1174-2021. The other criterion of the heavy grade (10 % or more of wind-eroded remnants or
    gobi) is not seen in cover and not evaluated.
    """
    where = np.asarray(sandy)
    if where.dtype != np.bool_:
        raise InputError(f"'sandy' is of type {where.dtype}", rule="a boolean mask")
    share = checked(cover, "cover", "1", 0, 1, "per cent must be divided by 100")
    limits = [method.number(f"desert_{i}").required for i in (1, 2, 3)]
    passed = graded(share, limits, (False, False, True))
    return np.where(where & (passed != MISSING), 3 - passed, MISSING).astype(np.uint8)


def zone_maximum(values: Any, zones: Any, count: int) -> Array:
    """Return the greatest value of each zone 1…count; NaN where a zone has none.

    Parameters
    ----------
    values : array
        NaN where missing.
    zones : integer array
        Same shape; 0 is outside.
    count : int
        Number of zones.

    Returns
    -------
    array
        (count + 1,), the first entry NaN. Merge blocks with `numpy.fmax`: exact for any chunking.

    Raises
    ------
    InputError
        Shapes that differ, or zones outside 0…count.
    """
    array, zone = np.asarray(values, np.float64), np.asarray(zones)
    if array.shape != zone.shape or zone.dtype.kind not in "iu":
        raise InputError(
            f"values of shape {array.shape}, zones {zone.shape} of type {zone.dtype}",
            rule="integer zones on the grid of the values",
        )
    if zone.size and (zone.min() < 0 or zone.max() > count):
        raise InputError(f"zones {zone.min()}…{zone.max()}", rule=f"0 (outside) to {count}")
    out = np.full(count + 1, np.nan)
    np.fmax.at(out, zone.ravel(), array.ravel())
    out[0] = np.nan
    return out


def degradation_index(real: Any, reference: Any) -> Array:
    """Degradation index of grassland (GDI, cover) or forest (FDI, biomass density).

    Parameters
    ----------
    real, reference : array
        Value of the pixel, and of the undegraded state or the maximum of its natural zone, in the
        same unit; 0 or more.

    Returns
    -------
    array
        %, 100 real/reference; NaN where one is missing or the reference is 0.

    Raises
    ------
    InputError
        Negative values.

    Notes
    -----
    HJ 1174-2021: GDI = GCR_real/GCR_max × 100, FDI = BD_real/BD_max × 100.
    """
    now = checked(real, "real value", "the unit of the reference", 0, 1e9)
    best = checked(reference, "reference", "the unit of the real value", 0, 1e9)
    now, best = np.broadcast_arrays(now, best)
    out = np.full(now.shape, np.nan)
    np.divide(now, best, out=out, where=best > 0)
    return 100.0 * out  # the ratio first: a pixel at its reference is exactly 100


def degradation_grade(index: Any, kind: str, method: Method) -> Array:
    """Grade of an index of degradation.

    Parameters
    ----------
    index : array
        %, 0 or more.
    kind : {'grass', 'forest'}
        Whose limits hold.
    method : Method
        ``hj1174_2021``.

    Returns
    -------
    uint8 array
        Index into `DEGRADATION`, 255 where missing.

    Raises
    ------
    InputError
        Unknown kind, negative index.

    Notes
    -----
    HJ 1174-2021.
    """
    if kind not in ("grass", "forest"):
        raise InputError(f"unknown kind '{kind}'", rule="grass or forest")
    values = checked(index, "index of degradation", "%", 0, 1e6)
    limits = [method.number(f"{kind}_{i}").required for i in (1, 2, 3, 4)]
    passed = graded(values, limits, (False,) * 4)
    return np.where(passed == MISSING, MISSING, 4 - passed).astype(np.uint8)


def wetland_shrinkage(before: Any, after: Any) -> Array:
    """Shrinkage of a wetland's area in % of the area before; negative where it grew.

    NaN where an area is missing or there was none before.

    Raises
    ------
    InputError
        A negative area.
    """
    first = checked(before, "area before", "one unit for both", 0, 1e15)
    last = checked(after, "area after", "one unit for both", 0, 1e15)
    out = np.full(np.broadcast_shapes(first.shape, last.shape), np.nan)
    np.divide(100.0 * (first - last), first, out=out, where=np.broadcast_to(first > 0, out.shape))
    return out


def shrinkage_grade(shrinkage: Any, method: Method) -> Array:
    """Grade of wetland shrinkage (%): 0 below 5 … 4 above 50; 255 where missing."""
    values = checked(shrinkage, "shrinkage", "%", -1e9, 100)
    limits = [method.number(f"shrink_{i}").required for i in (1, 2, 3, 4)]
    return graded(values, limits, (False, False, False, True))


def trophic_index(value: Any, parameter: str, method: Method) -> Array:
    """Trophic level index of one parameter of the water.

    Parameters
    ----------
    value : array
        Chlorophyll a in mg/m³, clarity in m, the others in mg/L (`TLI`); above 0.
    parameter : {'chla', 'tp', 'tn', 'cod', 'sd'}
        cod is the permanganate index, sd the Secchi depth.
    method : Method
        ``hj1174_2021``.

    Returns
    -------
    array
        10 (a + b ln x); NaN where the value is missing or 0 (below detection: give the limit).

    Raises
    ------
    InputError
        Unknown parameter, or a value beyond what waters hold in that unit.

    Notes
    -----
    HJ 1174-2021; clarity after the technical rule for eutrophication. `combined_trophic_index`
    joins several parameters.
    """
    if parameter not in TLI:
        raise InputError(f"unknown parameter '{parameter}'", rule=f"one of {sorted(TLI)}")
    unit, most = TLI[parameter]
    x = checked(value, parameter, unit, 0, most, "µg/L must be divided by 1000 for mg/L")
    a, b = (method.number(f"tli_{parameter}_{k}").required for k in "ab")
    with np.errstate(divide="ignore"):
        index: Array = 10.0 * (a + b * np.log(x))
    return np.where(x > 0, index, np.nan)


def combined_trophic_index(values: Mapping[str, Any], method: Method) -> Array:
    """Trophic level index of several parameters, weighted by their tie to chlorophyll a.

    Parameters
    ----------
    values : mapping
        Parameter (`TLI`) to its values; chlorophyll a must be among them, with at least one other.
    method : Method
        ``hj1174_2021``.

    Returns
    -------
    array
        Sum of W_j TLI(j), W_j = r_j²/Σ r²; NaN where any parameter is missing: a weight that moves
        from lake to lake would make their indices incomparable.

    Raises
    ------
    InputError
        Unknown parameter, no chlorophyll a, or only one parameter.

    Notes
    -----
    Technical rule for the evaluation of eutrophication of lakes and reservoirs; the weights are not
    in HJ 1174-2021.
    """
    if "chla" not in values or len(values) < 2:
        raise InputError(
            f"the combined index was given {', '.join(values) or 'nothing'}",
            rule="chla (the reference) and at least one of tp, tn, sd, cod",
        )
    parts = {name: trophic_index(value, name, method) for name, value in values.items()}
    squares = {name: method.number(f"tli_{name}_r").required ** 2 for name in parts}
    whole = sum(squares.values())
    total: Any = 0.0
    for name, index in parts.items():
        total = total + squares[name] / whole * index
    return np.asarray(total)


def trophic_grade(index: Any, method: Method) -> Array:
    """Grade of a trophic level index: 0 below 30 … 4 above 70; 255 where missing."""
    limits = [method.number(f"tli_{i}").required for i in (1, 2, 3, 4)]
    return graded(checked(index, "TLI", "1", -500, 500), limits, (False, False, False, True))
