"""The summary: the one schema-checked document between assessment and report.

Reports, tables and releases read only this; they compute nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from eco_index.errors import InputError
from eco_index.yamlio import Strict, Text

SCHEMA_VERSION = 1
Evidence = Literal["primary", "secondary", "recalled", "placeholder"]
#: From sure to unsure.
EVIDENCE_ORDER: tuple[Evidence, ...] = ("primary", "secondary", "recalled", "placeholder")


def weakest(marks: Iterable[Evidence]) -> Evidence:
    """Return the least sure of some evidence marks; of none, the surest."""
    return max(marks, key=EVIDENCE_ORDER.index, default="primary")


#: Id of the line for all zones together.
TOTAL = "_all"
TOTAL_NAME = Text(zh="合计", en="all together")


def is_total(zone: str) -> bool:
    """Tell whether a zone id names several zones taken together (all, or a group of them)."""
    return zone.startswith("_")


class Zone(Strict):
    """A zone of the programme's layer."""

    id: str
    name: Text
    attributes: dict[str, str] = Field(default_factory=dict)
    area_km2: float = Field(ge=0, description="equal-area size of the polygon")
    pixels_km2: float = Field(ge=0, description="area of the zone's pixels on the grid")
    layer: str = Field("", description="layer of it where that is not the programme's")


class Row(Strict):
    """One number of one zone (long table)."""

    zone: str
    indicator: str
    variable: str = Field("", description="class code or other subdivision; empty for none")
    kind: Literal["state", "change"] = Field(
        "state", description="change: the value itself compares two periods"
    )
    title: Text
    value: float | None
    unit: str
    denominator: Text
    denominator_km2: float = Field(ge=0)
    valid_km2: float = Field(ge=0)
    no_data_km2: float = Field(ge=0)
    previous: float | None = None
    change: float | None = None
    interval: tuple[float, float] | None = None
    interval_kind: Literal["bounds", "confidence"] = Field(
        "bounds", description="bounds for missing data, or a 95 % confidence interval"
    )
    method: str = Field(description="method id@version")
    evidence: Evidence
    provisional: bool
    trace: str = Field(description="key for `eco trace`, unique within a region and period")
    note: Text | None = Field(None, description="why there is no value, or what it stands on")


class SubIndex(Strict):
    """A component of an official index."""

    id: str
    title: Text
    raw: float | None = Field(description="before clipping to 0-100")
    value: float | None = Field(description="after clipping; None: not evaluated")
    weight: float | None
    parent: str = ""
    missing: tuple[str, ...] = Field((), description="inputs that were missing")
    provisional: bool = False


class IndexValue(Strict):
    """An official index of one unit."""

    unit: str
    name: Text
    method: str
    title: Text
    value: float | None = Field(description="None where a sub-index could not be evaluated")
    complete: bool
    provisional: bool
    grade: str = ""
    grade_title: Text = Text(zh="", en="")
    interval: tuple[float, float] | None = Field(None, description="95 % interval of the value")
    grades: tuple[Text, ...] = Field((), description="classes that the interval touches")
    previous: float | None = None
    change: float | None = None
    change_title: Text = Text(zh="", en="")
    sub_indices: tuple[SubIndex, ...]
    inputs: dict[str, float | None]
    options: dict[str, str | Text] = Field(
        default_factory=dict,
        description="choices where the standard is ambiguous; words where they are no key",
    )
    trace: str


class AnalysisColumn(Strict):
    """A column of an analysis' table."""

    title: Text
    unit: str = Field("", description="of the numbers; empty for words")


class AnalysisLine(Strict):
    """A line of an analysis' table: a number, words, or None for not evaluated in each cell."""

    head: Text
    cells: tuple[float | Text | None, ...]
    provisional: bool = False


class AnalysisTable(Strict):
    """A table of an analysis."""

    caption: Text
    corner: Text
    columns: tuple[AnalysisColumn, ...] = Field(min_length=1)
    lines: tuple[AnalysisLine, ...]
    shown: int | None = Field(
        None, ge=1, description="lines that a page shows; analyses.csv holds all"
    )

    @model_validator(mode="after")
    def _whole(self) -> AnalysisTable:
        for line in self.lines:
            if len(line.cells) != len(self.columns):
                raise ValueError(
                    f"line '{line.head.en}' has {len(line.cells)} cells, not {len(self.columns)}"
                )
        return self


class AnalysisPicture(Strict):
    """A picture (PNG) of an analysis."""

    path: str = Field(description="relative to the summary file")
    title: Text
    alt: Text = Field(description="what it shows, for who cannot see it")


class Analysis(Strict):
    """What goes beyond one number a zone: trend, accuracy, warning, targets."""

    id: str
    title: Text
    method: str = Field(description="id@version or a reference")
    evidence: Evidence
    provisional: bool
    rules: tuple[Text, ...] = Field((), description="how it was done: formulas, thresholds")
    findings: tuple[Text, ...] = Field((), description="sentences for the head of the report")
    tables: tuple[AnalysisTable, ...] = ()
    pictures: tuple[AnalysisPicture, ...] = ()
    notes: tuple[Text, ...] = Field((), description="what a reader must know besides")
    trace: str = Field(description="key for `eco trace`")


class Gate(Strict):
    """Whether the maps reach the accuracy the standard asks for before a release."""

    passed: bool
    reasons: tuple[Text, ...] = Field((), description="why not; empty where passed")
    notes: tuple[Text, ...] = ()


class MapClass(Strict):
    """A class of a categorical map."""

    code: int
    title: Text
    colour: str


class MapLayer(Strict):
    """An overview raster (GeoTIFF on the grid's CRS, at most ~1000 px wide) to draw."""

    id: str
    title: Text
    path: str = Field(description="relative to the summary file")
    kind: Literal["continuous", "classes"]
    units: str = "1"
    limits: tuple[float, float] | None = None
    palette: str = "vegetation"
    classes: tuple[MapClass, ...] = ()


class Failure(Strict):
    """An asset that could not be used."""

    month: str
    dataset: str
    scene: str
    asset: str
    reason: str


class SceneMark(Strict):
    """What must be known of how good some scenes are: a mark, and how many carry it."""

    dataset: str
    title: Text = Field(description="of the dataset")
    mark: str
    text: Text
    lower: bool = Field(description="whether such a scene is worth less than others")
    scenes: int
    of: int = Field(description="all scenes of the dataset")


class InputDataset(Strict):
    """A dataset that was read."""

    id: str
    title: Text
    source: str
    licence: str
    scenes: int | None = None
    failed_scenes: int | None = None


class MethodNumber(Strict):
    """A number of a method with its evidence."""

    key: str
    value: float | None
    unit: str
    evidence: Evidence
    source: str
    source_zh: str = Field("", description="the source in Chinese; empty: as `source`")

    def source_in(self, language: str) -> str:
        """Return where the number was read, in a language of the reports."""
        return self.source_zh or self.source if language == "zh" else self.source


class MethodInput(Strict):
    """What an input of an official index is called."""

    title: Text
    unit: str


class MethodOption(Strict):
    """A choice where the standard is ambiguous, in words."""

    title: Text
    choices: dict[str, Text]
    default: str = ""
    given_by_unit: bool = Field(False, description="a fact of the unit, not a choice of the user")


class MethodUse(Strict):
    """A method that was used, with the numbers it rests on."""

    id: str
    version: str
    title: Text
    reference: str
    overlay_digest: str | None = None
    provisional: bool
    numbers: tuple[MethodNumber, ...]
    inputs: dict[str, MethodInput] = Field(
        default_factory=dict, description="titles of an index's inputs, by column name"
    )
    options: dict[str, MethodOption] = Field(
        default_factory=dict, description="what the keys of an index's options mean"
    )


class MonthQuality(Strict):
    """Observation quality of one month over the programme's zones."""

    month: str
    scenes: int
    failed_scenes: int
    observed_share: float | None = Field(description="share of zone pixels with a clear view")
    mean_clear_count: float | None


class Provenance(Strict):
    """Where the numbers come from."""

    snapshot: str
    tag: str | None
    previous_snapshot: str | None = None
    input_digest: str
    code_version: str
    schema_version: int
    grid: dict[str, Any]
    parameters: dict[str, Any]


class PeriodInfo(Strict):
    """The period and the months it stands on."""

    id: str
    start: str
    end: str
    months: tuple[str, ...]
    compared_with: str | None


class Programme(Strict):
    """The programme that was assessed."""

    id: str
    name: Text
    layer: str
    layer_title: Text
    note: Text | None = None


class RegionInfo(Strict):
    """The region that was assessed."""

    id: str
    name: Text


class Summary(Strict):
    """Everything a report of one programme and period says."""

    schema_version: Literal[1] = 1
    region: RegionInfo
    programme: Programme
    period: PeriodInfo
    status: Literal["final", "interim"]
    provisional: bool
    simulated: bool = Field(description="the imagery is simulated: not for publication")
    zones: tuple[Zone, ...] = Field(min_length=1)
    zones_file: str = Field(description="GeoJSON of the zones on the grid's CRS, for maps")
    rows: tuple[Row, ...]
    indices: tuple[IndexValue, ...]
    analyses: tuple[Analysis, ...] = ()
    gate: Gate | None = Field(None, description="None: not checked against the ground")
    maps: tuple[MapLayer, ...]
    files: tuple[str, ...] = Field(
        (), description="further files that belong to it, relative to the summary file"
    )
    quality: tuple[MonthQuality, ...]
    failures: tuple[Failure, ...]
    scene_marks: tuple[SceneMark, ...] = ()
    inputs: tuple[InputDataset, ...]
    methods: tuple[MethodUse, ...]
    notes: tuple[Text, ...] = ()
    provenance: Provenance

    @property
    def own_zones(self) -> tuple[Zone, ...]:
        """Zones of the programme's layer and their totals, without those of other layers."""
        return tuple(z for z in self.zones if not z.layer)

    @model_validator(mode="after")
    def _consistent(self) -> Summary:
        known = {z.id for z in self.zones}
        for row in self.rows:
            if row.zone not in known:
                raise ValueError(f"row '{row.trace}' names the unknown zone '{row.zone}'")
        held: list[Row | IndexValue | Analysis] = [*self.rows, *self.indices, *self.analyses]
        keys = [item.trace for item in held]
        if len(keys) != len(set(keys)):
            twice = sorted({k for k in keys if keys.count(k) > 1})[:3]
            raise ValueError(f"trace keys must be unique; given twice: {twice}")
        if not self.provisional and any(item.provisional for item in held):
            raise ValueError("a summary that holds provisional numbers is itself provisional")
        return self


def write_summary(summary: Summary, path: Path) -> None:
    """Write a summary as JSON (UTF-8, stable key order)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary.model_dump(mode="json"), ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read_summary(path: Path) -> Summary:
    """Read and check a summary.

    Raises
    ------
    InputError
        The file is missing or does not fit the schema.
    """
    try:
        return Summary.model_validate_json(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"summary not found: {path}", fix="run `eco run` first") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"the summary does not fit its schema: {first['msg']}",
            where=f"{path}, {'.'.join(str(p) for p in first['loc'])}",
            fix="do not edit summaries by hand; run `eco run` again",
        ) from None
