"""Early warning: this season of each zone against the same season of earlier years."""

from __future__ import annotations

from eco_index.analysis.early_warning import early_warning
from eco_index.analysis.tables import warning_analysis
from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.series import zone_series
from eco_index.indicators import method_use
from eco_index.methods import method_of
from eco_index.products import PRODUCTS

METHOD_ID = "early_warning"


def part(context: Context) -> Part:
    """Return the level of every zone with its figures."""
    config = context.programme.analyses.early_warning
    assert config is not None
    product = PRODUCTS[config.product]
    method = method_of(context.region, METHOD_ID)
    series = zone_series(context, product.id)
    factor, unit = (100.0, "%") if product.id == "fvc" else (1.0, "1")
    found = early_warning(
        factor * series.mean[-1],
        factor * series.mean[:-1],
        method,
        unit=unit,
        seen=series.seen[-1],
        history_seen=series.seen[:-1],
    )
    names = [z.name for z in context.zones]
    trace = context.key("early_warning")
    analysis = warning_analysis(found, names, trace, variable=product.title)
    return Part(analyses=[analysis], methods=[method_use(method)])
