"""Parts of an assessment beyond one number a zone, chosen by the programme; each in its file."""

from __future__ import annotations

from collections.abc import Callable

from eco_index.assessment.parts import (
    attribution,
    baseline,
    combine,
    editions,
    forest,
    grassland,
    habitat,
    intervals,
    leads,
    pattern,
    problems,
    quality,
    restoration,
    services,
    targets,
    trend,
    truth,
    warning,
)
from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.index_intervals import with_interval
from eco_index.summary import Row

#: Part of `AnalysesConfig` to what makes it.
PARTS: dict[str, Callable[[Context], Part]] = {
    "baseline": baseline.part,
    "combine": combine.part,
    "leads": leads.part,
    "pattern": pattern.part,
    "grassland_plots": grassland.part,
    "forest_rate": forest.part,
    "intervals": intervals.part,  # before what judges rows by their intervals
    "services": services.part,
    "problems": problems.part,
    "quality": quality.part,
    "habitat": habitat.part,
    "targets": targets.part,
    "trend": trend.part,
    "attribution": attribution.part,
    "restoration": restoration.part,
    "early_warning": warning.part,
    "ground_truth": truth.part,
}
#: Parts that stand in every assessment that has something for them to say.
ALWAYS: tuple[Callable[[Context], Part], ...] = (editions.part,)


def parts_of(context: Context) -> list[Part]:
    """Return the parts a programme asks for, in the order of the report."""
    asked = context.programme.analyses
    found = [make(context) for make in ALWAYS]
    for key, make in PARTS.items():
        if getattr(asked, key):
            found.append(_settled(make(context)))
            context.rows[:] = with_intervals(context.rows, found[-1].intervals)
            context.indices[:] = [
                with_interval(i, found[-1].intervals[i.trace], context.method_of_index(i))
                if i.trace in found[-1].intervals
                else i
                for i in context.indices
            ]
            context.rows.extend(found[-1].rows)  # later parts may stand on them
    return found


def _settled(part: Part) -> Part:
    """Return a part whose analyses without a table are not called unsure: nothing was assessed."""
    settled = {"provisional": False, "evidence": "primary"}
    part.analyses = [a if a.tables else a.model_copy(update=settled) for a in part.analyses]
    return part


def with_intervals(rows: list[Row], intervals: dict[str, tuple[float, float]]) -> list[Row]:
    """Return rows with the 95 % intervals of their trace keys instead of bounds."""
    return [
        row.model_copy(update={"interval": intervals[row.trace], "interval_kind": "confidence"})
        if row.trace in intervals
        else row
        for row in rows
    ]


__all__ = ["PARTS", "Context", "Part", "parts_of"]
