"""What the ledger holds: events, and the states of a lead with the transitions allowed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from eco_index.yamlio import Strict, Text

SCHEMA = 1

State = Literal["new", "sent", "confirmed", "rejected", "rectified", "struck_off"]
STATES: dict[str, Text] = {
    "new": Text(zh="新发现", en="new"),
    "sent": Text(zh="已下发", en="sent"),
    "confirmed": Text(zh="核实属实", en="confirmed"),
    "rejected": Text(zh="核实不属实", en="rejected"),
    "rectified": Text(zh="已整改", en="rectified"),
    "struck_off": Text(zh="已销号", en="struck off"),
}
#: States in which somebody has still something to do.
OPEN: tuple[State, ...] = ("new", "sent", "confirmed", "rectified")
LEVELS: dict[str, Text] = {
    "high": Text(zh="高", en="high"),
    "medium": Text(zh="中", en="medium"),
    "low": Text(zh="低", en="low"),
}
#: From a state to those that may follow it.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "new": ("sent", "rejected"),
    "sent": ("confirmed", "rejected"),
    "confirmed": ("rectified", "rejected"),
    "rectified": ("struck_off", "confirmed"),
    "rejected": ("sent",),
    "struck_off": ("sent",),
}
#: Steps that need a reason: a lead is dismissed, a repair did not hold, a closed one is reopened.
NEEDS_NOTE = frozenset(
    (a, b)
    for a, following in TRANSITIONS.items()
    for b in following
    if b == "rejected" or (a, b) == ("rectified", "confirmed") or a in ("rejected", "struck_off")
)


class County(Strict):
    """The county that holds most of an object."""

    id: str
    name: Text


class ZonePart(Strict):
    """The part of an object that lies in a zone."""

    layer: str
    id: str
    name: Text
    attributes: dict[str, str] = Field(default_factory=dict)
    area_ha: float
    share: float = Field(ge=0, le=1.000001)


class Evidence(Strict):
    """What speaks for an object.

    Attributes
    ----------
    pixels : int
    agreement : float
        Share of pixels whose change the imagery confirms.
    silent : float
        Share of pixels that were seen but too bare before to show the change.
    measure : str
        Product whose change is given in the next three.
    before, after : float or None
        Medians over the object.
    surroundings : float or None
        Median change around the object.
    contrast : float or None
        Change of the object beyond that of the surroundings, in the kind's direction; for a fall
        of cover also beyond the share of cover that the surroundings lost (the smaller of both).
    distinctness : float or None
        1 - share of the surroundings that changed half as much or more; None where unknown.
    clear_before, clear_after : float
        Mean number of clear views.
    observations : float
        Mean over the pixels of min(1, fewer clear views / full_observations).
    extension : float
        Share of the border that lies along the same class before (water only).
    """

    pixels: int
    agreement: float
    silent: float
    measure: str
    before: float | None
    after: float | None
    surroundings: float | None
    contrast: float | None
    distinctness: float | None
    clear_before: float
    clear_after: float
    observations: float
    extension: float = 0.0


class Detected(Strict):
    """An object as one comparison of two periods found it."""

    kind: str
    kind_shares: dict[str, float]
    period: str
    against: str
    area_ha: float
    x: float
    y: float
    lon: float
    lat: float
    lonlat_crs: str
    county: County | None
    zones: tuple[ZonePart, ...]
    functional_zone: str
    classes_before: dict[int, float] = Field(description="LUCC class: ha")
    classes_after: dict[int, float]
    width_m: float
    elongation: float
    evidence: Evidence
    confidence: float = Field(ge=0, le=1)
    level: Literal["high", "medium", "low"]
    remarks: tuple[Text, ...] = ()
    footprint: str = Field(description="WKT in the ledger's CRS")


class _Event(Strict):
    seq: int
    time: dt.datetime
    chain: str = ""


class Opened(_Event):
    """First line of a ledger."""

    event: Literal["opened"] = "opened"
    ledger_schema: int = SCHEMA
    region: str
    crs: str = Field(description="CRS of footprints, x and y (WKT)")


class Run(_Event):
    """A search that was made."""

    event: Literal["run"] = "run"
    period: str
    against: str
    zones: tuple[str, ...] = Field(description="programmes or layers that were searched")
    inputs: str = Field(description="SHA-256 over products, parameters and zones")
    code_version: str
    counts: dict[str, int]


class Found(_Event):
    """A lead is entered, state new."""

    event: Literal["found"] = "found"
    lead: str
    detected: Detected


class Seen(_Event):
    """A known lead was detected again, or its object looks different now."""

    event: Literal["seen"] = "seen"
    lead: str
    detected: Detected


class Missed(_Event):
    """A known lead was looked for and not detected; it stays in the ledger."""

    event: Literal["missed"] = "missed"
    lead: str
    period: str
    against: str
    observed_share: float = Field(description="share of the object with a clear view in both")
    remaining_share: float | None = Field(
        description="share of the observed object whose land cover is still the changed one"
    )
    remark: Text


class Moved(_Event):
    """A person changed the state."""

    event: Literal["state"] = "state"
    lead: str
    before: State
    after: State
    by: str = Field(min_length=1)
    note: str = ""
    on: dt.date = Field(description="day of the decision")
    via: str = Field("", description="file it was imported from")


class Noted(_Event):
    """A person wrote a note without changing the state."""

    event: Literal["note"] = "note"
    lead: str
    by: str = Field(min_length=1)
    note: str = Field(min_length=1)
    on: dt.date
    via: str = ""


Event = Annotated[
    Opened | Run | Found | Seen | Missed | Moved | Noted, Field(discriminator="event")
]
EVENTS: TypeAdapter[Event] = TypeAdapter(Event)
AnyEvent = Opened | Run | Found | Seen | Missed | Moved | Noted
OfLead = Found | Seen | Missed | Moved | Noted


@dataclass
class Lead:
    """A lead as its events make it.

    Attributes
    ----------
    id : str
    state : str
    latest : Detected
        The newest detection.
    missed : Missed or None
        The newest search that did not find it, None if it was found in the newest one.
    history : list
        All its events in order.
    """

    id: str
    state: str
    latest: Detected
    missed: Missed | None = None
    history: list[OfLead] = field(default_factory=list)

    @property
    def first(self) -> Found:
        """The event that entered it."""
        event = self.history[0]
        assert isinstance(event, Found)
        return event

    @property
    def last_word(self) -> Moved | Noted | None:
        """The newest change of state or note."""
        return next((e for e in reversed(self.history) if isinstance(e, Moved | Noted)), None)

    def apply(self, event: OfLead) -> None:
        """Take an event that has been checked."""
        self.history.append(event)
        if isinstance(event, Moved):
            self.state = event.after
        elif isinstance(event, Seen):
            self.latest, self.missed = event.detected, None
        elif isinstance(event, Missed):
            self.missed = event


def refusal(lead: Lead, after: str, by: str, note: str, on: dt.date, today: dt.date) -> str | None:
    """Return why a person's step is not allowed, None if it is."""
    if not by.strip():
        return "who decided is missing"
    if on > today:
        return f"the date {on} lies in the future (today is {today})"
    if after not in STATES:
        return f"'{after}' is not a state; states: {', '.join(STATES)}"
    allowed = TRANSITIONS[lead.state]
    if after not in allowed:
        same = " (it is in this state already)" if after == lead.state else ""
        return (
            f"from '{lead.state}' to '{after}' is not allowed{same}; allowed: {', '.join(allowed)}"
        )
    if (lead.state, after) in NEEDS_NOTE and not note.strip():
        return f"from '{lead.state}' to '{after}' needs a note that says why"
    return None
