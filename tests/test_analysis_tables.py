"""Documents of the analyses: every number is the result's, both languages, missing is None."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eco_index.analysis.early_warning import early_warning
from eco_index.analysis.residual_trend import residual_trends
from eco_index.analysis.restoration import restoration_effect
from eco_index.analysis.tables import (
    intervals_analysis,
    residual_trend_analysis,
    restoration_analysis,
    targets_analysis,
    warning_analysis,
)
from eco_index.analysis.target_file import load_targets
from eco_index.analysis.targets import Measured, standings
from eco_index.analysis.uncertainty import combine, normal_part
from eco_index.analysis.weather import Driver
from eco_index.errors import InputError
from eco_index.methods import load_method
from eco_index.summary import Analysis
from eco_index.yamlio import Text

ZONES = tuple(Text(zh=f"旗县{k}", en=f"county {k}") for k in range(12))


def both_languages(document: Analysis) -> None:
    """Every text of a document has both languages; it survives the summary's JSON."""
    assert Analysis.model_validate_json(document.model_dump_json()) == document

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if set(value) == {"zh", "en"}:
                assert bool(value["zh"]) == bool(value["en"]), value
            for inner in value.values():
                walk(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                walk(inner)

    walk(document.model_dump())
    assert document.provisional and document.evidence == "placeholder" and document.rules


def cells(document: Analysis, table: int = 0) -> dict[str, dict[str, object]]:
    sheet = document.tables[table]
    names = [c.title.en for c in sheet.columns]
    return {line.head.en: dict(zip(names, line.cells, strict=True)) for line in sheet.lines}


def test_residual_trends() -> None:
    random = np.random.default_rng(0)
    years, wet = np.arange(2000, 2025), random.gamma(9, 30, (25, 12))
    green = 0.3 + 8e-4 * wet + random.normal(0, 0.01, wet.shape)
    green[:, 0] -= 0.008 * np.arange(25)
    green[-1, 1] -= 0.3
    green[:, 2] = np.nan
    rain = Driver("rain", Text(zh="降水", en="rain"), "mm", wet)
    found = residual_trends(green, years, [rain], load_method("residual_trend"))
    document = residual_trend_analysis(found, ZONES, "t", scale=10)
    both_languages(document)
    first = cells(document)["county 0"]
    assert first["residual trend per 10 years"] == pytest.approx(10 * found.left.slope[0])
    assert first["explained by the weather"] == pytest.approx(100 * found.r2[0])
    assert first["verdict"].en.startswith("decline beyond the weather")
    assert cells(document)["county 2"]["verdict"] is None
    assert cells(document)["county 2"]["plain trend per 10 years"] is None
    year = cells(document, 1)["county 1"]
    assert year["standardised anomaly: rain"] == pytest.approx(found.anomaly[1, 1])
    assert year["verdict"].en == "low beyond what the weather explains"
    texts = [f.en for f in document.findings]
    assert any("decline beyond" in t and "county 0" in t for t in texts)
    assert any(t.startswith("2024: low beyond") and "county 1" in t for t in texts)
    assert not any("county 2" in t for t in texts)
    with pytest.raises(InputError, match="names"):
        residual_trend_analysis(found, ZONES[:3], "t")


def test_intervals() -> None:
    method = load_method("uncertainty")
    a = combine(40.0, [normal_part("gaps", 1.0), normal_part("end_members", 2.0)], method, unit="%")
    b = combine(20.0, [normal_part("classification", 1.5)], method, unit="%", left_out=["gaps"])
    document = intervals_analysis([(ZONES[0], a), (ZONES[1], b)], "t")
    both_languages(document)
    first, second = cells(document).values()
    assert (first["lower end (95 %)"], first["upper end (95 %)"]) == a.pair
    assert first["standard deviation: choice of end members"] == pytest.approx(2, rel=0.01)
    assert first["standard deviation: classification error"] is None
    assert second["standard deviation: observation gaps"] is None
    assert any("county 1" in n.en and "leaves out observation gaps" in n.en for n in document.notes)
    assert len(document.rules) == 4
    with pytest.raises(InputError):
        intervals_analysis([], "t")


def test_restoration() -> None:
    random = np.random.default_rng(0)
    years = np.arange(2010, 2025)
    project, control = random.normal(0.5, 0.02, (2, 15, 30))
    project[years > 2019] += 0.1
    method = load_method("restoration_effect")
    good = restoration_effect(project, control, years, 2018, 2019, method, unit="1")
    short = restoration_effect(project[6:], control[6:], years[6:], 2018, 2019, method, unit="1")
    document = restoration_analysis([(ZONES[0], good), (ZONES[1], short)], "t")
    both_languages(document)
    first, second = cells(document).values()
    assert first["effect"] == good.main.effect and first["verdict"].en == "better"
    assert first["units used"] == 100 and first["placebo check"].en == "passed"
    assert second["lower end"] is None and second["verdict"] is None
    assert len(document.findings) == 1 and "county 0" in document.findings[0].en
    other = restoration_effect(project, control, years, 2018, 2019, method, unit="%")
    with pytest.raises(InputError, match="units"):
        restoration_analysis([(ZONES[0], good), (ZONES[1], other)], "t")


def test_warning() -> None:
    random = np.random.default_rng(0)
    history = random.normal(0.5, 0.03, (15, 12))
    value = np.full(12, 0.5)
    value[:10], value[10], value[11] = 0.2, 0.5, np.nan
    found = early_warning(value, history, load_method("early_warning"), unit="1")
    document = warning_analysis(found, ZONES, "t")
    both_languages(document)
    table = cells(document)
    assert table["county 0"]["level"].en == "alert" and table["county 0"]["VCI"] == 0
    assert table["county 11"]["rank (1 is the gravest)"] is None
    assert table["county 11"]["level"] is None
    assert table["county 11"]["why not evaluated"].en == "no value this season"
    assert document.findings[0].en.startswith("early warning, alert: county 0")
    assert document.findings[0].en.endswith("county 7 and 2 more.")
    assert "等10个" in document.findings[0].zh


def test_targets() -> None:
    plan = load_targets("inner_mongolia_2025")
    measured = {"red_line_share": Measured(2025, 50.2, (50.1, 50.3))}
    found = standings(plan, measured, {}, 2025)
    document = targets_analysis(plan, found, "t")
    both_languages(document)
    row = cells(document)["share of land inside the ecological red line"]
    assert row["distance"] == pytest.approx(-0.26) and row["state"].en == "not met"
    assert row["kind"].en in ("binding", "expected")
    assert row["target 2025"] == 50.46
    none = cells(document)["forest coverage"]
    assert none["value"] is None and none["state"] is None
    assert len(document.findings) == 4 and len(document.notes) == 2
    assert all(
        math.isfinite(c) for r in document.tables[0].lines for c in r.cells if isinstance(c, float)
    )
