"""The table of leads for people: columns, headings and words in both languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eco_index.ledger.parameters import LeadParameters
from eco_index.ledger.records import LEVELS, STATES, Lead, Missed, Moved, Noted
from eco_index.products import LUCC
from eco_index.yamlio import Text

Cell = str | float | int | None


@dataclass(frozen=True)
class Column:
    """A column: heading, and how its cell is made from (lead, parameters, language)."""

    key: str
    title: Text
    width: int
    cell: Callable[[Lead, LeadParameters, str], Cell]


def _classes(table: dict[int, float], language: str) -> str:
    parts = [
        f"{LUCC[code][1].get(language) if code in LUCC else code} {area:.2f}"
        for code, area in list(table.items())[:3]
    ]
    return ("；" if language == "zh" else "; ").join(parts)


def _zones(lead: Lead, language: str) -> str:
    parts = [f"{z.name.get(language)} ({z.area_ha:.2f} ha)" for z in lead.latest.zones]
    return ("；" if language == "zh" else "; ").join(parts)


def _attributes(lead: Lead) -> str:
    return "; ".join(f"{k}={v}" for z in lead.latest.zones for k, v in z.attributes.items())


def remarks_of(lead: Lead, language: str) -> str:
    """Return what a reader must know of a lead, in words."""
    texts = [r.get(language) for r in lead.latest.remarks]
    if lead.missed is not None:
        texts.append(lead.missed.remark.get(language))
    return ("；" if language == "zh" else "; ").join(texts)


def _who(lead: Lead) -> str:
    word = lead.last_word
    return word.by if word else ""


def _note(lead: Lead) -> str:
    word = lead.last_word
    return word.note if word else ""


COLUMNS = (
    Column("id", Text(zh="线索编号", en="Lead"), 24, lambda a, p, g: a.id),
    Column("state", Text(zh="状态", en="State"), 12, lambda a, p, g: STATES[a.state].get(g)),
    Column(
        "kind",
        Text(zh="问题类型", en="Kind"),
        22,
        lambda a, p, g: p.title_of(a.latest.kind).get(g),
    ),
    Column("period", Text(zh="本期", en="Period"), 9, lambda a, p, g: a.latest.period),
    Column("against", Text(zh="对比期", en="Compared with"), 9, lambda a, p, g: a.latest.against),
    Column(
        "area_ha", Text(zh="面积（公顷）", en="Area (ha)"), 11, lambda a, p, g: a.latest.area_ha
    ),
    Column("lon", Text(zh="经度（°）", en="Longitude (°)"), 12, lambda a, p, g: a.latest.lon),
    Column("lat", Text(zh="纬度（°）", en="Latitude (°)"), 12, lambda a, p, g: a.latest.lat),
    Column("x", Text(zh="X（米）", en="X (m)"), 12, lambda a, p, g: a.latest.x),
    Column("y", Text(zh="Y（米）", en="Y (m)"), 12, lambda a, p, g: a.latest.y),
    Column(
        "county",
        Text(zh="旗县", en="County"),
        14,
        lambda a, p, g: a.latest.county.name.get(g) if a.latest.county else "",
    ),
    Column("zones", Text(zh="保护区域", en="Zones"), 40, lambda a, p, g: _zones(a, g)),
    Column(
        "functional_zone",
        Text(zh="功能分区", en="Functional zone"),
        14,
        lambda a, p, g: a.latest.functional_zone,
    ),
    Column(
        "attributes", Text(zh="区域属性", en="Zone attributes"), 26, lambda a, p, g: _attributes(a)
    ),
    Column(
        "confidence", Text(zh="置信度", en="Confidence"), 9, lambda a, p, g: a.latest.confidence
    ),
    Column(
        "level",
        Text(zh="置信等级", en="Level"),
        9,
        lambda a, p, g: LEVELS[a.latest.level].get(g),
    ),
    Column(
        "classes_before",
        Text(zh="变化前地类（公顷）", en="Land cover before (ha)"),
        26,
        lambda a, p, g: _classes(a.latest.classes_before, g),
    ),
    Column(
        "classes_after",
        Text(zh="变化后地类（公顷）", en="Land cover after (ha)"),
        26,
        lambda a, p, g: _classes(a.latest.classes_after, g),
    ),
    Column(
        "first_period",
        Text(zh="首次发现", en="First found in"),
        10,
        lambda a, p, g: a.first.detected.period,
    ),
    Column("remarks", Text(zh="系统说明", en="Remarks"), 34, lambda a, p, g: remarks_of(a, g)),
    Column("last_by", Text(zh="上次办理人", en="Last changed by"), 14, lambda a, p, g: _who(a)),
    Column("last_note", Text(zh="上次备注", en="Last note"), 26, lambda a, p, g: _note(a)),
    Column("chip", Text(zh="影像对比图", en="Picture"), 18, lambda a, p, g: None),
)
#: What a person fills in; empty when exported.
NEW_STATE = Text(zh="新状态", en="New state")
BY = Text(zh="办理人", en="Decided by")
ON = Text(zh="办理日期", en="Decided on")
NOTE = Text(zh="备注", en="Note")
ENTRIES = {"new_state": NEW_STATE, "by": BY, "on": ON, "note": NOTE}

HISTORY = {
    "lead": Text(zh="线索编号", en="Lead"),
    "time": Text(zh="记录时间", en="Recorded"),
    "event": Text(zh="事件", en="Event"),
    "before": Text(zh="原状态", en="State before"),
    "after": Text(zh="新状态", en="State after"),
    "by": Text(zh="办理人", en="By"),
    "on": Text(zh="办理日期", en="Decided on"),
    "note": Text(zh="备注", en="Note"),
    "via": Text(zh="来源文件", en="Imported from"),
}
EVENT_NAMES = {
    "found": Text(zh="发现", en="found"),
    "seen": Text(zh="再次检出", en="detected again"),
    "missed": Text(zh="未检出", en="not detected"),
    "state": Text(zh="状态变更", en="state changed"),
    "note": Text(zh="备注", en="note"),
}


def history_rows(lead: Lead, language: str) -> list[dict[str, str]]:
    """Return the events of a lead as rows of the history table."""
    rows = []
    for event in lead.history:
        row = dict.fromkeys(HISTORY, "")
        row |= {"lead": lead.id, "time": event.time.isoformat(sep=" ", timespec="seconds")}
        row["event"] = EVENT_NAMES[event.event].get(language)
        if isinstance(event, Moved | Noted):
            row |= {"by": event.by, "on": event.on.isoformat(), "note": event.note}
            row["via"] = event.via
            if isinstance(event, Moved):
                row["before"] = STATES[event.before].get(language)
                row["after"] = STATES[event.after].get(language)
        elif isinstance(event, Missed):
            row["note"] = event.remark.get(language)
        else:
            one = event.detected
            row["note"] = f"{one.against} → {one.period}: {one.area_ha:.2f} ha, {one.confidence}"
        rows.append(row)
    return rows
