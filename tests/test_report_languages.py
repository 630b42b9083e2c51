"""A Chinese report is Chinese: no English sentence but names, citations and file facts."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from assessment_cube import build_cube
from service_fakes import service_region

from eco_index.assessment import assess
from eco_index.methods import load_method, methods_folder
from eco_index.period import Period
from eco_index.programme import AnalysesConfig
from eco_index.report import render
from eco_index.yamlio import Text

#: Three words of small letters in a row: a sentence, or part of one.
SENTENCE = re.compile(r"\b[a-z][a-z'-]+(?:[ ,;:]+[a-z][a-z'-]+){2,}\b")
METHODS = sorted(p.stem for p in methods_folder().glob("*.yaml"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("zh")
    region = service_region(
        folder,
        landcover={"dataset": "map", "rivers": "rivers", "sandy_land": "counties"},
        problems={"erosion_region": "north", "grass_years": [2024]},
    )
    asked = AnalysesConfig(
        services=True, problems=True, pattern=True, intervals=True, targets=True,
        combine=("red_line",),
    )  # fmt: skip
    programme = region.programmes["whole_region"].model_copy(update={"analyses": asked})
    assess(region, programme, Period(2025), build_cube(region), folder / "a")
    files = {p.name: p for p in render(folder / "a" / "summary.json")}
    return {k: files[f"report.{k}.html"].read_text(encoding="utf-8") for k in ("zh", "en")}


def texts(page: str) -> list[str]:
    page = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.S)
    return [html.unescape(t).strip() for t in re.split(r"<[^>]+>", page)]


def test_no_sentence_of_a_chinese_report_is_english(pages):
    found = {t for t in texts(pages["zh"]) if SENTENCE.search(t) and not t.startswith("PROJCRS[")}
    assert not found
    english = [t for t in texts(pages["en"]) if SENTENCE.search(t)]
    assert len(english) > 100, "the check can fail"


def test_the_units_behind_the_normalisation_are_named_in_either_language(pages):
    assert "2个单元、4行：z0、z1" in pages["zh"] and "row(s)" not in pages["zh"]
    assert "2 unit(s), 4 row(s): z0, z1" in pages["en"]


@pytest.mark.parametrize("name", METHODS)
def test_notes_of_a_method_have_both_languages(name):
    """A sentence has; a formula, a name or a citation is the same in both."""
    file = load_method(name).file
    notes = [spec.note for group in (file.numbers, file.rules, file.options)
             for spec in group.values()]  # fmt: skip
    for text in (*notes, *file.sources.values()):
        if isinstance(text, Text):
            assert re.search(r"[\u4e00-\u9fff]", text.zh) and text.en
        else:
            assert not SENTENCE.search(text), text


def test_rules_and_choices_are_told_in_either_language():
    method = load_method("restoration_effect")
    rule = method.rules["placebo"]
    assert rule.source.startswith(method.file.rules["placebo"].text.en)
    assert rule.source_zh == (
        f"{method.file.rules['placebo'].text.zh}〔本项目默认值，待主管部门确认；本项目默认〕"
    )
    eqi = load_method("eqi_2021")
    chosen = next(iter(eqi.file.options["rounding"].choices.keys() - {eqi.choices["rounding"]}))
    found = eqi.option("rounding", chosen)
    assert found.source.endswith("[chosen by the user]")
    assert found.source_zh.endswith("〔用户选择〕")
