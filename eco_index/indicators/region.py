"""The index of a region from the indices of its units: their mean, weighted by area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eco_index.indicators.engine import grade
from eco_index.indicators.result import NO_TEXT, IndexResult, SubResult
from eco_index.methods import Method

RULE = "region.mean"


def region_mean(method: Method, results: Sequence[IndexResult]) -> IndexResult:
    """Return the area-weighted mean of an index, and of every sub-index, over units.

    Parameters
    ----------
    method : Method
        The method of the results; its rule ``region.mean`` says how sure the rule is.
    results : sequence of IndexResult
        One a unit; together they make up the region.

    Returns
    -------
    IndexResult
        `value` is None as soon as one unit has none: a mean over the others would be the index of
        another region. Inputs hold the summed area only.
    """
    areas = [r.inputs.get("area_km2") for r in results]
    known = [a for a in areas if a]
    whole = len(known) == len(results)
    value = _mean([r.value for r in results], known) if whole else None
    rule = method.rules[RULE]
    graded = value is not None and bool(method.file.classes)
    found = grade(method, value) if graded and value is not None else None
    numbers = {n.key: n for r in results for n in r.numbers} | {rule.key: rule}
    first = results[0]
    return replace(
        first,
        value=value,
        complete=value is not None,
        provisional=any(r.provisional for r in results) or not rule.sure,
        grade=found.id if found is not None else "",
        grade_title=found.title if found is not None else NO_TEXT,
        sub_indices=tuple(_sub(results, k, known if whole else []) for k in _subs(results)),
        inputs={"area_km2": sum(known) if whole else None},
        options={
            k: v for k, v in first.options.items() if all(r.options.get(k) == v for r in results)
        },
        numbers=tuple(numbers.values()),
        warnings=(),
    )


def _mean(values: Sequence[float | None], areas: Sequence[float]) -> float | None:
    known = [v for v in values if v is not None]
    if len(known) < len(values) or not areas:
        return None
    return sum(v * a for v, a in zip(known, areas, strict=True)) / sum(areas)


def _subs(results: Sequence[IndexResult]) -> list[str]:
    return [s.id for s in results[0].sub_indices]


def _sub(results: Sequence[IndexResult], sub_id: str, areas: Sequence[float]) -> SubResult:
    parts = [r.sub(sub_id) for r in results]
    weights = {p.weight for p in parts}
    return replace(
        parts[0],
        raw=_mean([p.raw for p in parts], areas),
        value=_mean([p.value for p in parts], areas),
        weight=weights.pop() if len(weights) == 1 else None,
        missing=tuple(dict.fromkeys(m for p in parts for m in p.missing)),
        provisional=any(p.provisional for p in parts),
        used=tuple(dict.fromkeys(u for p in parts for u in p.used)),
    )
