"""What the ledger knows of a layer's zones up to a period: leads with their states, searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eco_index.ledger.book import Ledger
from eco_index.ledger.records import OPEN, Detected, Found, Lead, Missed, Run, Seen
from eco_index.period import Period


@dataclass(frozen=True)
class Known:
    """A lead as it was known in a period, with its state of today.

    Attributes
    ----------
    lead : Lead
    detected : Detected
        The newest detection in this period or an earlier one.
    missed : Missed or None
        A newer search up to the period that did not find it.
    """

    lead: Lead
    detected: Detected
    missed: Missed | None

    @property
    def is_open(self) -> bool:
        """Whether somebody has still something to do."""
        return self.lead.state in OPEN

    def zones_of(self, layer: str) -> tuple[str, ...]:
        """Return the ids of the layer's zones it lies in."""
        return tuple(z.id for z in self.detected.zones if z.layer == layer)

    def record(self) -> list[Any]:
        """Return what is said of it, for a digest."""
        word = self.lead.last_word
        return [
            self.lead.id,
            self.lead.state,
            self.detected.model_dump(mode="json"),
            self.missed and self.missed.model_dump(mode="json"),
            word and word.model_dump(mode="json"),
        ]


def known_leads(ledger: Ledger, layer: str, period: Period) -> list[Known]:
    """Return the leads in zones of a layer that were found up to a period, in order of entry."""
    found = []
    for lead in ledger.leads.values():
        detected: Detected | None = None
        missed: Missed | None = None
        for event in lead.history:
            if isinstance(event, Found | Seen) and _upto(event.detected.period, period):
                detected, missed = event.detected, None
            elif isinstance(event, Missed) and _upto(event.period, period):
                missed = event
        if detected is not None and any(z.layer == layer for z in detected.zones):
            found.append(Known(lead, detected, missed))
    return found


def searches(ledger: Ledger, names: Sequence[str], period: Period) -> list[Run]:
    """Return the searches of a period in some programmes or layers, in order."""
    return [
        event
        for event in ledger.events
        if isinstance(event, Run) and event.period == period.id and set(names) & set(event.zones)
    ]


def _upto(period: str, last: Period) -> bool:
    return Period.parse(period).end <= last.end
