"""What figures from an office's own tables have in common: rows on the table's area, strangers."""

from __future__ import annotations

from collections.abc import Sequence

from eco_index.assessment.parts.context import Context
from eco_index.summary import Evidence, Row
from eco_index.yamlio import Text


def official_row(
    context: Context,
    zone: str,
    indicator: str,
    value: float | None,
    area_ha: float,
    *,
    title: Text,
    denominator: Text,
    method: str,
    evidence: Evidence,
) -> Row:
    """Return a provisional row (%) that stands on the whole area of a table, or on none of it."""
    area = area_ha / 100
    return Row(
        zone=zone,
        indicator=indicator,
        title=title,
        value=value,
        unit="%",
        denominator=denominator,
        denominator_km2=area,
        valid_km2=area if value is not None else 0,
        no_data_km2=0 if value is not None else area,
        method=method,
        evidence=evidence,
        provisional=True,
        trace=context.key(zone, indicator),
    )


def strangers_note(names: Sequence[Text], table: Text) -> tuple[Text, ...]:
    """Return a note on the units that a table does not know; none where it knows all."""
    if not names:
        return ()
    zh, en = "、".join(n.zh for n in names), ", ".join(n.en for n in names)
    return (
        Text(zh=f"{table.zh}中没有的单元：{zh}", en=f"units that {table.en} does not know: {en}"),
    )
