"""From index results to the summary's models."""

from __future__ import annotations

from collections.abc import Iterable

from eco_index.indicators.engine import change_class
from eco_index.indicators.result import IndexResult
from eco_index.methods import Method, Number
from eco_index.summary import IndexValue, MethodNumber, MethodUse, SubIndex
from eco_index.yamlio import Text


def to_index_value(
    method: Method,
    result: IndexResult,
    unit: str,
    name: Text,
    previous: IndexResult | None = None,
    trace: str | None = None,
) -> IndexValue:
    """Return an index result as the summary holds it.

    Parameters
    ----------
    method : Method
        The method the result was computed with.
    result : IndexResult
        The index of the unit.
    unit, name : str, Text
        The unit's id and name.
    previous : IndexResult, optional
        The same unit in the earlier period; must come from the same method and overlay.
    trace : str, optional
        Key for `eco trace`; ``index/<method>/<unit>`` by default.
    """
    before = previous.value if previous is not None else None
    after = result.value
    comparable = before is not None and after is not None
    return IndexValue(
        unit=unit,
        name=name,
        method=f"{result.method}@{result.version}",
        title=result.title,
        value=after,
        complete=result.complete,
        provisional=result.provisional or bool(comparable and previous and previous.provisional),
        grade=result.grade,
        grade_title=result.grade_title,
        previous=before,
        change=after - before if before is not None and after is not None else None,
        change_title=change_class(method, before, after),
        sub_indices=tuple(
            SubIndex(
                id=s.id,
                title=s.title,
                raw=s.raw,
                value=s.value,
                weight=s.weight,
                parent=s.parent,
                missing=s.missing,
                provisional=s.provisional,
            )
            for s in result.sub_indices
        ),
        inputs=result.inputs,
        options=result.options,
        trace=trace or f"index/{result.method}/{unit}",
    )


def to_method_number(number: Number) -> MethodNumber:
    """Return a number as the summary holds it."""
    clause = f" ({number.clause})" if number.clause else ""
    return MethodNumber(
        key=number.key,
        value=number.value,
        unit=number.unit,
        evidence=number.evidence,
        source=number.source + clause,
        source_zh=(number.source_zh or number.source) + clause,
    )


def method_use(method: Method, results: IndexResult | Iterable[IndexResult] = ()) -> MethodUse:
    """Return a method with the numbers it was used with.

    Parameters
    ----------
    method : Method
        The method.
    results : IndexResult or iterable of them, optional
        Results computed with it. Without any, the numbers read through `method.number` are
        listed, or all numbers if none was read.
    """
    if isinstance(results, IndexResult):
        results = (results,)
    numbers: dict[str, Number] = {}
    for result in results:
        for number in result.numbers:
            numbers.setdefault(number.key, number)
    if not numbers:
        read = {k: method.numbers[k] for k in sorted(method.used)}
        numbers = read or {n.key: n for n in method.items()}
    return MethodUse(
        id=method.id,
        version=method.version,
        title=method.title,
        reference=method.reference,
        overlay_digest=method.overlay_digest,
        provisional=any(not n.sure for n in numbers.values()),
        numbers=tuple(to_method_number(n) for n in numbers.values()),
    )
