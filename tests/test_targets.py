"""Plan targets: the plan's own table, every state, what may not be concluded, bad files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_index.analysis.target_file import Target, TargetFile, load_targets, targets_folder
from eco_index.analysis.targets import (
    DIRECTIONS,
    KINDS,
    STATES,
    Change,
    Measured,
    standing,
    standings,
)
from eco_index.errors import InputError, UsageError

PLAN = load_targets("inner_mongolia_2025")
BY_ID = {t.id: t for t in PLAN.targets}


def at(target: str, value: float, interval=None, change=None, year: int = 2025, **more):
    return standing(BY_ID[target], 2025, Measured(year, value, interval, **more), change)


def test_the_shipped_targets_are_those_of_the_plan() -> None:
    table = {
        t.id: (t.target and t.target.value, t.baseline.number and t.baseline.number.value, t.kind)
        for t in PLAN.targets
    }
    assert table == {
        "forest_coverage": (23.5, 23.0, "binding"),
        "grassland_cover": (45, 45, "binding"),
        "red_line_share": (50.46, 50.46, "expected"),
        "eco_index": (None, None, "expected"),
    }
    assert PLAN.year == 2025
    for path in targets_folder().glob("*.yaml"):
        file = load_targets(path.stem)
        for text in (file.title, *(t.title for t in file.targets)):
            assert text.zh and text.en


@pytest.mark.parametrize(
    ("value", "interval", "state"),
    [
        (50.60, (50.50, 50.70), "met"),
        (50.46, (50.46, 50.46), "met"),
        (50.50, (50.40, 50.60), "not_certain"),
        (50.20, (50.10, 50.30), "not_met"),
        (50.60, None, "met_unsure"),
        (50.20, None, "not_met_unsure"),
        (math.nan, None, "not_evaluated"),
    ],
)
def test_the_interval_against_the_target_decides(value, interval, state) -> None:
    got = at("red_line_share", value, interval)
    assert got.state == state and not got.provisional
    assert got.distance == pytest.approx(value - 50.46, nan_ok=True)


@given(st.floats(2, 100), st.floats(0, 20), st.floats(0, 20), st.floats(0.1, 5))
def test_a_wider_interval_never_makes_it_surer(value, down, up, more) -> None:
    narrow = at("red_line_share", value, (value - down, value + up)).state
    wide = at("red_line_share", value, (value - down - more, value + up + more)).state
    assert wide in (narrow, "not_certain")
    assert (narrow == "met") == (value - down >= 50.46)


def test_a_number_that_is_lower_by_definition_cannot_miss_the_target() -> None:
    low = at("forest_coverage", 20.0, (19.5, 20.5))
    assert low.state == "not_certain" and low.distance == pytest.approx(-3.5)
    assert at("forest_coverage", 20.0).state == "not_certain"
    assert at("forest_coverage", 24.0, (23.6, 24.4)).state == "met"
    # The official 23.0 % of 2020 is no baseline for the map's figure.
    assert low.change is None and low.direction == "unknown"


def test_a_proxy_is_provisional() -> None:
    got = at("grassland_cover", 47.0, (46.0, 48.0))
    assert got.state == "met" and got.provisional
    assert "provisional" in got.sentence().en and "试算" in got.sentence().zh
    assert at("red_line_share", 51.0, (50.9, 51.1), provisional=True).provisional
    assert at("red_line_share", 51.0, evidence="recalled").provisional


@pytest.mark.parametrize(
    ("change", "state", "direction"),
    [
        (Change(0.8, (0.2, 1.4)), "met", "rising"),
        (Change(-0.3, (-0.9, 0.3)), "met", "unchanged"),
        (Change(-0.8, (-1.6, -0.1)), "not_certain", "falling"),
        (Change(-2.5, (-3.5, -1.5)), "not_met", "falling"),
        (Change(-0.5), "met_unsure", "falling"),
        (Change(-1.5), "not_met_unsure", "falling"),
        (Change(math.nan), "not_evaluated", "unknown"),
        (None, "not_evaluated", "unknown"),
    ],
)
def test_stable_or_improving(change, state, direction) -> None:
    got = at("eco_index", 55.0, (53.0, 57.0), change)
    assert (got.state, got.direction) == (state, direction)
    assert got.provisional  # the plan gives no number for "stable"


def test_the_pace_that_would_still_reach_the_target() -> None:
    got = at("red_line_share", 50.06, (50.0, 50.1), year=2023)
    assert got.pace == pytest.approx(0.2) and not got.final
    assert got.direction == "falling"  # against 50.46 in 2020, the same definition
    assert math.isnan(at("red_line_share", 50.06, year=2025).pace)
    assert at("red_line_share", 50.5, year=2023).pace == 0


def test_sentences_say_value_target_distance_and_state() -> None:
    text = at("red_line_share", 50.06, (50.00, 50.12)).sentence()
    for part in (
        "50.06 %",
        "50.00–50.12 %",
        "50.46 %",
        "-0.40 percentage points",
        "not met",
        "2025",
    ):
        assert part in text.en
    for part in ("50.06 %", "50.46 %", "-0.40个百分点", "未达到", "预期性", "下降"):
        assert part in text.zh
    text = at("eco_index", 55.0, None, Change(-0.3, (-0.9, 0.3))).sentence()
    assert "-0.30" in text.en and "2020" in text.zh and "稳中向好" in text.zh
    gone = at("eco_index", math.nan).sentence()
    assert "no value in 2025" in gone.en and "未评价" in gone.zh
    assert "未评价" in at("eco_index", 55.0).sentence().zh


def test_all_targets_are_judged_and_none_is_left_out() -> None:
    got = standings(PLAN, {"red_line_share": Measured(2025, 51.0)}, {}, 2025)
    assert [s.target.id for s in got] == [t.id for t in PLAN.targets]
    assert [s.state for s in got].count("not_evaluated") == 3
    with pytest.raises(InputError, match="wetland"):
        standings(PLAN, {"wetland": Measured(2025, 1.0)}, {}, 2025)


def test_words_exist_in_both_languages() -> None:
    for words in (*STATES.values(), *DIRECTIONS.values(), *KINDS.values()):
        assert words.zh and words.en


@pytest.mark.parametrize(
    ("measured", "says"),
    [
        (Measured(2025, 0.51), "100"),
        (Measured(2025, 120.0), "0 to 100"),
        (Measured(2025, 50.0, (51.0, 49.0)), "interval"),
        (Measured(2025, 50.0, (math.nan, 51.0)), "interval"),
        (Measured(2019, 50.0), "baseline"),
        (Measured(2025, math.inf), "infinite"),
    ],
)
def test_bad_values_are_refused(measured: Measured, says: str) -> None:
    with pytest.raises(InputError, match=says):
        standing(BY_ID["red_line_share"], 2025, measured)


def plan_with(**change) -> TargetFile:
    raw = PLAN.model_dump()
    raw["targets"][0].update(change)
    return TargetFile.model_validate(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"target": None},
        {"rule": "not_falling"},
        {"unit": "1"},
        {"note": None},
        {"id": "eco_index"},
        {"baseline": {"year": 2026}},
        {"target": {"value": 1, "unit": "%", "evidence": "secondary", "sources": ["nowhere"]}},
    ],
)
def test_a_bad_file_is_refused(change: dict) -> None:
    with pytest.raises(ValueError):
        plan_with(**change)


def test_an_unknown_plan_and_a_misnamed_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean"):
        load_targets("inner_mongolia_2026")
    text = (targets_folder() / "inner_mongolia_2025.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="id = name"):
        load_targets("other", tmp_path)
    assert isinstance(BY_ID["eco_index"], Target)
