"""95 % intervals of official indices: errors of the class map and gaps behind a unit's areas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from eco_index.analysis.index_interval import gap_part, map_effects, mean_of_gaps
from eco_index.analysis.map_errors import MapErrors
from eco_index.analysis.table_parts import listed
from eco_index.analysis.uncertainty import Interval, combine
from eco_index.analysis.uncertainty import Part as Error
from eco_index.assessment.parts.context import Context
from eco_index.assessment.parts.interval_sums import IntervalSums, Wanted, sum_intervals
from eco_index.assessment.unit_data import DISTURBING
from eco_index.assessment.units import Evaluated
from eco_index.indicators import evaluate_together, grade, held
from eco_index.indicators.spaces import land_disturbance
from eco_index.methods import Method
from eco_index.products import LUCC, PRODUCTS
from eco_index.summary import TOTAL, IndexValue
from eco_index.yamlio import Text
from eco_index.zones import load_layer

_NDVI = "ndvi_mean"
_STANDS_ON = Text(
    zh="官方指数的区间只含地类面积的分类误差和观测缺失：各单元、各年的地类面积按同一误差率同时改正，"
    "最大值随之重算；统计数据、服务量和连通度按已知值处理，单元内未观测到的地类视为缺失区中也没有；"
    "变化值不给出区间（两期制图误差的相关性未知）",
    en="intervals of official indices hold errors of the class map and gaps only: the areas of all "
    "units and years are corrected by the same error rates at once, and maxima over them anew; "
    "statistics, services and connectivity are taken as known, a class nowhere seen in a unit as "
    "absent from its gaps; changes have no interval (how errors of two maps depend on each other "
    "is not known)",
)


@dataclass
class IndexIntervals:
    """Lines of the document, intervals by trace key, and what must be said."""

    lines: list[tuple[Text, Interval]] = field(default_factory=list)
    pairs: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[Text] = field(default_factory=list)


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
    if context.region.config.units is None or not any(
        r.value is not None for e in context.results.values() for r in e.results.values()
    ):
        return out
    sums, position = _unit_sums(context)
    errors = MapErrors.of(counts)
    for of, found in context.results.items():
        indices = {
            i.unit: i
            for i in context.indices
            if i.method.partition("@")[0] == of and i.value is not None
        }
        intervals = _Intervals(context, found, errors, sums, position)
        for unit, parts in intervals.parts().items():
            if unit in indices:
                _put(out, indices.pop(unit), parts, method)
        if indices:
            names, title = listed([i.name for i in indices.values()]), found.method.title
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


@dataclass(frozen=True)
class _Intervals:
    """The parts of the intervals of an index, unit by unit."""

    context: Context
    found: Evaluated
    errors: MapErrors
    sums: IntervalSums
    position: dict[str, int]

    def parts(self) -> dict[str, list[Error | None]]:
        """Return the parts of every unit that can have an interval, and of all together."""
        results = self.found.results
        units = [u for u, r in results.items() if r.value is not None and self._sampled(u)]
        if not units:
            return {}
        rows = [list(self.found.now).index(u) for u in units]
        tables = [_Areas(row, self.found.method) for row in self.found.unit_set]

        def evaluate(rates: np.ndarray) -> np.ndarray:
            every = [table.changed(rates) for table in tables]
            return evaluate_together(self.found.method, [every[k] for k in rows], every)

        effects = map_effects(evaluate, self.errors)
        gaps = {u: self._gaps(u) for u in units}
        out: dict[str, list[Error | None]] = {
            u: [gaps[u], effects.part(k, self.errors)] for k, u in enumerate(units)
        }
        if len(units) == len(results):
            weights = np.array([results[u].inputs["area_km2"] or 0.0 for u in units])
            known = [g for g in gaps.values() if g is not None]
            together = mean_of_gaps(known, weights) if len(known) == len(units) else None
            out[TOTAL] = [together, effects.mean(weights).part(0, self.errors)]
        return out

    def _pixels(self, unit: str) -> np.ndarray:
        found = self.context.sums.units_now
        assert found is not None
        k = self.position[unit]
        return np.array([found.n_class("landcover", (c,))[k] for c in LUCC], float)

    def _sampled(self, unit: str) -> bool:
        return bool(self.errors.known[self._pixels(unit) > 0].all())

    def _gaps(self, unit: str) -> Error | None:
        """Return the part of gaps; None where it cannot be estimated."""
        result, k = self.found.results[unit], self.position[unit]
        area = result.inputs["area_km2"] or 0.0
        parts = {}
        for code, pixels in zip(LUCC, self._pixels(unit), strict=True):
            if pixels and f"area_{code}" in result.inputs:
                parts[f"area_{code}"] = self.sums.gaps(k, ("landcover", code), (0, 1), area)
        others = {}
        if result.inputs.get(_NDVI) is not None:
            scale = PRODUCTS[_NDVI].scale
            others[_NDVI] = self.sums.gaps(k, _NDVI, (-10_000, 10_000), scale)
        sigmas = [
            {name: part.sigma for name, part in of.items() if part is not None}
            for of in (parts, others)
        ]
        if len(sigmas[0]) < len(parts) or len(sigmas[1]) < len(others):
            return None
        inputs = {n: v for n, v in result.inputs.items() if v is not None}
        return gap_part(held(self.found.method, result), inputs, *sigmas)


class _Areas:
    """Inputs of a unit as they are with other error rates of the map."""

    def __init__(self, row: Mapping[str, Any], method: Method) -> None:
        self.row = row
        areas = [row.get(f"area_{c}") for c in LUCC]
        self.areas = None if None in areas else np.array(areas, float)
        self.weights = {}
        if "land_disturbance" in method.file.inputs:
            weights = {name: method.number(key).required for name, key in DISTURBING.items()}
            # What a table gives does not follow from the areas.
            if land_disturbance(row, weights) == row.get("land_disturbance"):
                self.weights = weights

    def changed(self, rates: np.ndarray) -> dict[str, Any]:
        if self.areas is None:
            return dict(self.row)
        corrected = self.areas @ rates
        found = dict(self.row) | {
            f"area_{c}": float(a) for c, a in zip(LUCC, corrected, strict=True)
        }
        if self.weights:
            found["land_disturbance"] = land_disturbance(found, self.weights)
        return found


def _put(out: IndexIntervals, index: IndexValue, parts: list[Error | None], method: Method) -> None:
    value = index.value
    assert value is not None
    known = [p for p in parts if p is not None]
    left_out = ("gaps",) if len(known) < len(parts) else ()
    limits = (0.0, 100.0) if 0 <= value <= 100 else (-np.inf, np.inf)
    interval = combine(value, known, method, unit="1", limits=limits, left_out=left_out)
    assert interval is not None
    head = Text(zh=f"{index.title.zh}：{index.name.zh}", en=f"{index.title.en}: {index.name.en}")
    out.lines.append((head, interval))
    if not left_out:
        out.pairs[index.trace] = interval.pair


def with_interval(index: IndexValue, pair: tuple[float, float], method: Method) -> IndexValue:
    """Return an index with its interval and the classes that the interval touches."""
    order = list(method.file.classes)
    touched: tuple[Text, ...] = ()
    if order:
        first, last = (order.index(grade(method, v)) for v in (pair[1], pair[0]))
        touched = tuple(c.title for c in order[first : last + 1])
    return index.model_copy(update={"interval": pair, "grades": touched})
