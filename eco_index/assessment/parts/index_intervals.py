"""95 % intervals of official indices: errors of the class map and gaps behind a unit's areas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from eco_index.analysis.index_interval import (
    Evaluate,
    IndexErrors,
    MapErrors,
    index_errors,
    mean_errors,
)
from eco_index.analysis.table_parts import listed
from eco_index.analysis.uncertainty import Interval, combine
from eco_index.assessment.parts.context import Context
from eco_index.assessment.parts.interval_sums import IntervalSums, Wanted, sum_intervals
from eco_index.assessment.unit_data import DISTURBING
from eco_index.errors import InputError
from eco_index.indicators import IndexResult, grade, held
from eco_index.indicators.spaces import land_disturbance
from eco_index.methods import Method
from eco_index.products import LUCC, PRODUCTS
from eco_index.summary import TOTAL, IndexValue
from eco_index.yamlio import Text
from eco_index.zones import load_layer

_NDVI = "ndvi_mean"
_STANDS_ON = Text(
    zh="官方指数的区间只含遥感地类面积的分类误差和观测缺失；统计数据、服务量、连通度和归一化系数"
    "按已知值处理，单元内未观测到的地类按缺失区中也没有处理；变化值不给出区间（两期制图误差的相关性未知）",
    en="intervals of official indices hold errors of the class map and gaps only: statistics, "
    "services, connectivity and coefficients of normalisation are taken as known, a class nowhere "
    "seen in a unit as absent from its gaps; changes have no interval (how errors of two maps "
    "depend on each other is not known)",
)


@dataclass
class IndexIntervals:
    """Lines of the document, intervals by trace key, and what must be said."""

    lines: list[tuple[Text, Interval]] = field(default_factory=list)
    pairs: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[Text] = field(default_factory=list)


@dataclass(frozen=True)
class _Unit:
    """Errors of a unit's index; `whole`: its gaps could be evaluated."""

    errors: IndexErrors
    area: float
    whole: bool


def index_intervals(context: Context, method: Method, counts: np.ndarray) -> IndexIntervals:
    """Return the intervals of the indices of an assessment.

    Parameters
    ----------
    context : Context
        What is assessed.
    method : Method
        ``uncertainty``.
    counts : numpy.ndarray
        (class, class) samples by class of the map (rows) and of the reference, in LUCC's order.
    """
    out = IndexIntervals()
    values = [i for i in context.indices if i.value is not None]
    if not values or context.region.config.units is None:
        return out
    sums, position = _unit_sums(context)
    errors = MapErrors.of(counts)
    for method_id, (of, results) in context.results.items():
        units: dict[str, _Unit] = {}
        for unit, result in results.items():
            if result.value is not None:
                try:
                    units[unit] = _unit(context, of, result, position[unit], sums, errors)
                except InputError:  # a class of the unit with fewer than two samples
                    continue
        if len(units) == len(results) and units:
            parts = list(units.values())
            areas = [u.area for u in parts]
            together = mean_errors([u.errors for u in parts], areas)
            units[TOTAL] = _Unit(together, sum(areas), all(u.whole for u in parts))
        without = []
        for index in (i for i in values if i.method.partition("@")[0] == method_id):
            if index.unit in units:
                _put(out, index, units[index.unit], errors, method)
            else:
                without.append(index.name)
        if without:
            names, title = listed(without), of.title
            out.notes.append(
                Text(
                    zh=f"{title.zh}：{names.zh}：不给出区间（有的地类参考样本不足两个）",
                    en=f"{title.en}: {names.en}: no interval (a land class has fewer than two "
                    "samples)",
                )
            )
    if out.lines:
        out.notes.append(_STANDS_ON)
    return out


def _unit_sums(context: Context) -> tuple[IntervalSums, dict[str, int]]:
    """Return the sums over cells of the units, and where each unit stands."""
    assert context.region.config.units is not None and context.sums.units_now is not None
    units = load_layer(context.region, context.region.config.units, context.period.year)
    inside = replace(
        context, layer=units, compared=None, sums=replace(context.sums, now=context.sums.units_now)
    )
    found = context.sums.units_now
    codes = tuple(c for c in LUCC if found.n_class("landcover", (c,)).any())
    sums = sum_intervals(inside, Wanted(False, {"landcover": codes}, (_NDVI,)))
    return sums, {unit: k for k, unit in enumerate(units.ids)}


def _unit(
    context: Context,
    method: Method,
    result: IndexResult,
    k: int,
    sums: IntervalSums,
    errors: MapErrors,
) -> _Unit:
    """Return the errors of a unit's index."""
    found = context.sums.units_now
    assert found is not None
    area = result.inputs["area_km2"] or 0.0
    pixels = np.array([found.n_class("landcover", (c,))[k] for c in LUCC], float)
    whole = True
    gaps = np.zeros(len(LUCC))
    for i, code in enumerate(LUCC):
        if pixels[i]:
            part = sums.gaps(k, ("landcover", code), (0, 1), area)
            whole &= part is not None
            gaps[i] = part.sigma if part is not None else 0.0
    others = {}
    if result.inputs.get(_NDVI) is not None:
        part = sums.gaps(k, _NDVI, (-10_000, 10_000), PRODUCTS[_NDVI].scale)
        whole &= part is not None
        others[_NDVI] = part.sigma if part is not None else 0.0
    mapped = area * pixels / pixels.sum()
    return _Unit(
        index_errors(_as_function(method, result), mapped, errors, gaps, others), area, whole
    )


def _as_function(method: Method, result: IndexResult) -> Evaluate:
    """Return the index as a function of the areas of the classes and of changes of other inputs."""
    value = held(method, result)
    given = result.inputs
    weights = {}
    if "land_disturbance" in given:
        weights = {name: method.number(key).required for name, key in DISTURBING.items()}
    # What a table gives does not follow from the areas.
    derived = bool(weights) and land_disturbance(given, weights) == given["land_disturbance"]

    def of(areas: np.ndarray, added: Mapping[str, float]) -> float:
        every = {f"area_{c}": float(a) for c, a in zip(LUCC, areas, strict=True)}
        changed = {n: a for n, a in every.items() if n in given}
        if derived:
            disturbed = {**every, "area_km2": given["area_km2"]}
            changed["land_disturbance"] = land_disturbance(disturbed, weights)
        changed |= {n: (given[n] or 0.0) + a for n, a in added.items()}
        return value(changed)

    return of


def _put(
    out: IndexIntervals, index: IndexValue, unit: _Unit, errors: MapErrors, method: Method
) -> None:
    value = index.value
    assert value is not None
    parts = unit.errors.parts(errors)
    left_out = () if unit.whole else ("gaps",)
    limits = (0.0, 100.0) if 0 <= value <= 100 else (-np.inf, np.inf)
    interval = combine(
        value, [p for p in parts if p.id not in left_out], method,
        unit="1", limits=limits, left_out=left_out,
    )  # fmt: skip
    assert interval is not None
    head = Text(zh=f"{index.title.zh}：{index.name.zh}", en=f"{index.title.en}: {index.name.en}")
    out.lines.append((head, interval))
    if unit.whole:
        out.pairs[index.trace] = interval.pair


def with_interval(index: IndexValue, pair: tuple[float, float], method: Method) -> IndexValue:
    """Return an index with its interval and the classes that the interval touches."""
    order = list(method.file.classes)
    touched: tuple[Text, ...] = ()
    if order:
        first, last = (order.index(grade(method, v)) for v in (pair[1], pair[0]))
        touched = tuple(c.title for c in order[first : last + 1])
    return index.model_copy(update={"interval": pair, "grades": touched})
