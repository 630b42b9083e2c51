"""What every part of an assessment is given, and what it hands back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eco_index.assessment.gather import Gathered
from eco_index.assessment.totals import groupings
from eco_index.assessment.units import Evaluated
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.digests import period_digest
from eco_index.methods import Method
from eco_index.period import Period
from eco_index.programme import ProgrammeConfig
from eco_index.summary import Analysis, Gate, IndexValue, MapLayer, MethodUse, Row, Zone
from eco_index.yamlio import Text
from eco_index.zones import ZoneLayer


@dataclass(frozen=True)
class ZoneSeries:
    """Means of zones by year.

    Attributes
    ----------
    years : numpy.ndarray
        (year,), ascending.
    mean : numpy.ndarray
        (year, zone), physical units; NaN where no pixel has a value.
    seen : numpy.ndarray
        (year, zone), share of the zone's pixels with a value, 0-1.
    """

    years: np.ndarray
    mean: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class Context:
    """What is assessed, and what was summed already.

    Attributes
    ----------
    compared : Period or None
        The year before, where the cube holds it.
    zones : tuple of Zone
        Zones of the layer in its order, without the line for all together.
    rows : list of Row
        Indicators, and what parts before this one added.
    indices : list of IndexValue
        Official indices; they get intervals.
    output : Path
        Folder of the assessment; maps go to ``maps/``.
    prefix : str
        Start of the trace keys: programme/period.
    results : dict
        Method of an index to what it was evaluated to.
    series : dict
        Product to the series of the zones, as `series.zone_series` summed it.
    """

    region: Region
    programme: ProgrammeConfig
    period: Period
    compared: Period | None
    view: CubeView
    layer: ZoneLayer
    zones: tuple[Zone, ...]
    sums: Gathered
    rows: list[Row]
    indices: list[IndexValue]
    output: Path
    prefix: str
    results: dict[str, Evaluated] = field(default_factory=dict)
    series: dict[str, ZoneSeries] = field(default_factory=dict)

    def key(self, *names: str) -> str:
        """Return a trace key."""
        return "/".join((self.prefix, *names))

    def method_of_index(self, index: IndexValue) -> Method:
        """Return the method that an index was evaluated with."""
        return self.results[index.method.partition("@")[0]].method

    def table(self, key: str, dataset: str | None) -> Path | None:
        """Return the file of a dataset for the period's year, None where none is named or there.

        Parameters
        ----------
        key : str
            Key of the region file that names the dataset, for messages.
        dataset : str or None
            What it names.
        """
        if dataset is None:
            return None
        where = f"{self.region.config.path}, key '{key}'"
        path = self.region.catalog.path_of(dataset, where, self.period.year)
        return path if path.exists() else None

    @property
    def groupings(self) -> list[tuple[list[Zone], np.ndarray]]:
        """Lines of groups of zones and of all zones, each with its members (`totals.groupings`)."""
        return list(groupings(self.layer, self.zones))

    @property
    def lines(self) -> list[tuple[str, Text]]:
        """Id and name of every zone, then of every line of `groupings`, in this order."""
        zones = [*self.zones, *(line for lines, _ in self.groupings for line in lines)]
        return [(zone.id, zone.name) for zone in zones]

    @property
    def has_total(self) -> bool:
        """Whether a line for all zones together stands: several zones that do not overlap."""
        return self.layer.partition and len(self.layer) > 1


@dataclass
class Part:
    """What a part adds to the summary.

    `zones`: those of other layers that its rows name, with `Zone.layer`; `intervals`: 95 %
    intervals of rows and indices that are there already, by their trace key; `files`: those it
    wrote beside the summary, maps apart.
    """

    zones: list[Zone] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    maps: list[MapLayer] = field(default_factory=list)
    analyses: list[Analysis] = field(default_factory=list)
    methods: list[MethodUse] = field(default_factory=list)
    notes: list[Text] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    gate: Gate | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


def known(value: float) -> float | None:
    """Return a number of a table's cell; None (not evaluated) for NaN."""
    return None if math.isnan(value) else float(value)


def years_done(view: CubeView, period: Period) -> list[Period]:
    """Return the same period of every year up to this one whose products the cube holds."""
    tiles, states = list(view.grid.tiles()), view.states()
    first = view.axis.years[0]
    found = [Period(year, period.half) for year in range(first, period.year + 1)]
    return [p for p in found if period_digest(p, tiles, states) is not None]
