"""From a region and a period to the ledger: search, compare with what is known, enter, draw."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import shapely

from eco_index import __version__
from eco_index.assessment.digest import products_digest
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.digests import hash_of
from eco_index.errors import InputError, UsageError
from eco_index.leads.again import look_again, period_of
from eco_index.leads.chips import draw_chip
from eco_index.leads.detect import LEADS_VERSION, Searched, search
from eco_index.leads.matching import adjoining, match
from eco_index.leads.scan import Read, Window
from eco_index.ledger import book as ledger_room
from eco_index.ledger.book import Ledger
from eco_index.ledger.parameters import LeadParameters, load_parameters
from eco_index.ledger.places import check_owner, chip_path, leads_folder, ledger_path
from eco_index.ledger.records import Detected, Found, Lead, Missed, Opened, Run, Seen
from eco_index.period import Period
from eco_index.yamlio import Text
from eco_index.zone_raster import ZONES_VERSION
from eco_index.zones import ZoneLayer, load_layer

CLOSED = ("rejected", "rectified", "struck_off")
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class FindReport:
    """What a search did.

    Attributes
    ----------
    region, period, against : str
    zones : tuple of str
        Programmes or layers searched.
    ledger : str
        Path of the ledger.
    new, seen, missed : tuple of str
        Ids of leads entered, detected again, and looked for but not detected.
    again : tuple of str
        Those of `seen` that had been closed (rejected, rectified, struck off).
    refused : dict
        Reason to number of objects that are no leads.
    written : int
        Lines added to the ledger; 0 where nothing new was learned.
    """

    region: str
    period: str
    against: str
    zones: tuple[str, ...]
    ledger: str
    new: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)
    written: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def find(
    region: Region,
    view: CubeView,
    period: Period,
    *,
    against: Period | None = None,
    programmes: Sequence[str] | None = None,
    parameters: LeadParameters | None = None,
    now: dt.datetime | None = None,
    progress: Progress | None = None,
) -> FindReport:
    """Search a period for leads and bring the region's ledger up to date.

    Parameters
    ----------
    region : Region
        Its cube, layers and output folder.
    view : CubeView
        The cube.
    period : Period
        Year or half-year.
    against : Period, optional
        Compared with; by default the same period a year before.
    programmes : sequence of str, optional
        Only leads inside the zones of these programmes; by default all protected zones.
    parameters : LeadParameters, optional
        By default those of ``configs/leads.yaml``.
    now : datetime, optional
        Time written into the ledger.
    progress : callable, optional
        ``progress(stage, done, total, text)``.

    Raises
    ------
    UsageError
        Periods that cannot be compared; no protected layer; no land cover.
    InputError
        A period is not in the cube; a layer or the ledger cannot be used.
    """
    parameters = parameters or load_parameters()
    now = ledger_room.clock(now)
    against = against or period.previous()
    _check_periods(region, view, period, against)
    # Before the long work: a ledger that is refused is refused at once.
    check_owner(ledger_room.read_ledger(ledger_path(region)), region)
    layers, wanted = _zones(region, period, programmes, parameters)
    county = None
    if parameters.county_layer in region.config.layers:
        county = load_layer(region, parameters.county_layer, period.year)
    read = reader(view, against, period)
    found = search(read, region.grid, layers, county, (against, period), parameters, wanted)
    names = tuple(programmes) if programmes else tuple(layer.id for layer in layers)
    inputs = hash_of(
        {
            "versions": [LEADS_VERSION, ZONES_VERSION],
            "products": [products_digest(view, p) for p in (against, period)],
            "parameters": parameters.digest,
            "zones": [_layer_digest(layer) for layer in layers],
            "county": county and _layer_digest(county),
        }
    )
    with ledger_room.writing(ledger_path(region)) as ledger:
        report, draw = _enter(
            ledger, region, read, found, (against, period), names, inputs, parameters, wanted, now
        )
    for k, lead_id in enumerate(draw):
        if progress is not None:
            progress("chips", k, len(draw), lead_id)
        lead = ledger.leads[lead_id]
        draw_chip(
            chip_path(leads_folder(region), lead_id, period.id, against.id),
            lead, read, region.grid, (against, period), layers, parameters,
        )  # fmt: skip
    return report


def reader(view: CubeView, before: Period, after: Period) -> Read:
    """Return how both periods are read from a cube."""

    def read(which: str, product: str, window: Window) -> np.ndarray:
        period = before if which == "before" else after
        return view.read(period.cadence, product, period.id, window)

    return read


def _check_periods(region: Region, view: CubeView, period: Period, against: Period) -> None:
    if against.half != period.half or against.year >= period.year:
        raise UsageError(
            f"{period.id} cannot be compared with {against.id}",
            rule="a year with an earlier year, a half-year with the same half of an earlier year",
            fix=f"for example --period {period.id} --against {period.previous().id}",
        )
    if region.config.landcover is None:
        raise UsageError(
            "the region has no land cover: leads rest on its change",
            where=f"{region.config.path}, key 'landcover'",
        )
    for one in (against, period):
        if products_digest(view, one) is None:
            raise InputError(
                f"the cube does not hold all products of {one.id}",
                where=str(view.path),
                rule="leads are searched between two complete periods",
                fix=f"eco run {region.config.path} --period {one.id}",
            )


def _zones(
    region: Region, period: Period, programmes: Sequence[str] | None, parameters: LeadParameters
) -> tuple[list[ZoneLayer], list[tuple[str, str]] | None]:
    """Return the layers searched and, with programmes, the zones that count."""
    names = [name for name in parameters.layers if name in region.config.layers]
    unknown = [p for p in programmes or () if p not in region.programmes]
    if unknown:
        raise UsageError(
            f"the region has no programme '{unknown[0]}'; it has "
            f"{', '.join(sorted(region.programmes))}",
            where=f"{region.config.path}, key 'programmes'",
        )
    chosen = [region.programmes[p] for p in programmes or ()]
    names += [p.layer for p in chosen if p.layer not in names]
    names = list(dict.fromkeys(names))
    if not names:
        raise UsageError(
            "the region has none of the protected layers",
            where=f"{region.config.path}, key 'layers'",
            rule=f"leads are searched in: {', '.join(parameters.layers)}",
            fix="name the region's layers under 'layers' in a copy of configs/leads.yaml "
            "(--config), or a programme (--programme)",
        )
    layers = [load_layer(region, name, period.year) for name in names]
    if not chosen:
        return layers, None
    by_id = {layer.id: layer for layer in layers}
    wanted = []
    for programme in chosen:
        layer = by_id[programme.layer]
        selected = layer.select(programme.filter) if programme.filter else layer
        wanted += [(layer.id, zone) for zone in selected.ids]
    return layers, wanted


def _layer_digest(layer: ZoneLayer) -> str:
    digest = hashlib.sha256("\n".join(layer.ids).encode())
    for shape in layer.gdf.geometry:
        digest.update(shapely.to_wkb(shape))
    digest.update(repr(layer.attributes).encode())
    return digest.hexdigest()


def _enter(
    ledger: Ledger,
    region: Region,
    read: Read,
    found: Searched,
    periods: tuple[Period, Period],
    names: tuple[str, ...],
    inputs: str,
    parameters: LeadParameters,
    wanted: list[tuple[str, str]] | None,
    now: dt.datetime,
) -> tuple[FindReport, list[str]]:
    """Add to the ledger what was learned; also return the leads whose pictures are to be drawn."""
    check_owner(ledger, region)
    start = len(ledger.events)
    against, period = periods
    if ledger.opened is None:
        ledger.add(Opened, now, region=region.id, crs=region.grid.crs_wkt)
    old = dict(ledger.leads)
    matches = match([*found.objects, *found.outside], old, parameters.match_overlap)
    outside = {id(detected) for detected in found.outside}
    new: list[str] = []
    again: list[str] = []
    changed: set[str] = set()
    for lead_id, detected in sorted(matches.known.items()):
        lead = old[lead_id]
        # A change that began after the lead was first seen is a new one, at the same place.
        if lead.state in CLOSED and against.end >= period_of(lead.first.detected).end:
            again.append(lead_id)
            remark = Text(
                zh="此前已办结，本期再次发现，请复核",
                en="had been closed and is detected again: check it",
            )
            detected = detected.model_copy(update={"remarks": (*detected.remarks, remark)})
        if not _same(_last_of(lead, period, against), detected):
            ledger.add(Seen, now, lead=lead_id, detected=detected)
            changed.add(lead_id)
    entered = [detected for detected in matches.new if id(detected) not in outside]
    near = adjoining(entered, old, region.grid.resolution)
    for detected, beside in zip(entered, near, strict=True):
        lead_id = ledger.next_id(region.id, period.year)
        if beside:
            remark = Text(
                zh=f"紧邻线索 {'、'.join(beside)}", en=f"adjoins lead {', '.join(beside)}"
            )
            detected = detected.model_copy(update={"remarks": (*detected.remarks, remark)})
        ledger.add(Found, now, lead=lead_id, detected=detected)
        new.append(lead_id)
    missed = look_again(old, matches, read, region.grid, periods, parameters, wanted)
    for lead_id, values in missed.items():
        if not _same_miss(_last_of(old[lead_id], period, against), values):
            ledger.add(Missed, now, lead=lead_id, period=period.id, against=against.id, **values)
            changed.add(lead_id)
    last = ledger.last_run(period.id, against.id, names)
    refused = dict(sorted(found.refused.items()))
    if new or changed or last is None or last.inputs != inputs:
        counts = {"objects": len(found.objects), "new": len(new), "seen": len(matches.known)}
        counts |= {"missed": len(missed)} | {f"refused_{k}": n for k, n in refused.items()}
        ledger.add(
            Run, now, period=period.id, against=against.id, zones=names, inputs=inputs,
            code_version=__version__, counts=counts,
        )  # fmt: skip
    report = FindReport(
        region=region.id,
        period=period.id,
        against=against.id,
        zones=names,
        ledger=str(ledger.path),
        new=tuple(new),
        seen=tuple(sorted(matches.known)),
        missed=tuple(missed),
        again=tuple(again),
        refused=refused,
        written=len(ledger.events) - start,
    )
    folder = leads_folder(region)
    draw = [
        i
        for i in (*new, *report.seen, *missed)
        if i in new or i in changed or not chip_path(folder, i, period.id, against.id).exists()
    ]
    return report, draw


def _last_of(lead: Lead, period: Period, against: Period) -> Found | Seen | Missed | None:
    """Return what the newest search of this pair of periods said of a lead."""
    for event in reversed(lead.history):
        if isinstance(event, Missed):
            if (event.period, event.against) == (period.id, against.id):
                return event
        elif isinstance(event, Found | Seen):
            one = event.detected
            if (one.period, one.against) == (period.id, against.id):
                return event
    return None


def _same(last: Found | Seen | Missed | None, detected: Detected) -> bool:
    if not isinstance(last, Found | Seen):
        return False
    # Remarks follow from the ledger's state at the time; they alone are no news.
    plain = [one.model_copy(update={"remarks": ()}) for one in (last.detected, detected)]
    return plain[0] == plain[1]


def _same_miss(last: Found | Seen | Missed | None, values: dict[str, Any]) -> bool:
    return isinstance(last, Missed) and all(getattr(last, k) == v for k, v in values.items())
