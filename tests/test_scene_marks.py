"""Marks of scene quality: from scene and manifest to summary, both reports and the release."""

from __future__ import annotations

import dataclasses
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from assessment_cube import build_cube, build_region
from china_fakes import NAME, catalog, search, write_gains, write_image, write_xml
from hypothesis import given
from hypothesis import strategies as st

from eco_index import report
from eco_index.assessment import assess
from eco_index.cube import TaskRecord, create_or_open
from eco_index.period import Month, Period
from eco_index.release.publishing import _write_scenes
from eco_index.release.tracing import trace, trace_text
from eco_index.sources import Asset, Manifest, Scene
from eco_index.sources.scene_marks import KNOWN, LABEL, MARKS, mark_properties, marked_scenes
from eco_index.summary import Summary, read_summary

YEAR = Period(2025)
JULY = Month(2025, 7)


def scene(name: str, dataset: str = "imagery", **properties: Any) -> Scene:
    box = (100.0, 40.0, 120.0, 50.0)
    assets = {"red": Asset(f"/nowhere/{name}.tif", 10, f"test:{name}")}
    return Scene(name, dataset, "2025-07-03T03:00:00Z", box, assets, properties)


def screened(above: float) -> dict[str, Any]:
    return mark_properties({"simple_screen": {"band": "blue", "cloud_above": above}})


def test_marks_are_counted_by_dataset_and_the_lower_ones_come_first() -> None:
    supplied = mark_properties({"mask_supplied": {}})
    assert LABEL not in supplied  # a supplied mask is no lower quality
    found = marked_scenes(
        [
            scene("a", **screened(0.25)),
            scene("b", **screened(0.3)),
            *(scene(f"m{i}", **supplied) for i in range(3)),
            scene("plain"),
            scene("c", "other", **screened(0.25)),
        ]
    )
    counted = [(m.dataset, m.mark, m.lower, m.scenes, m.of) for m in found]
    assert counted == [
        ("imagery", "simple_screen", True, 2, 6),
        ("imagery", "mask_supplied", False, 3, 6),
        ("other", "simple_screen", True, 1, 1),
    ]
    assert "blue above 0.25 to 0.3 is cloud" in found[0].text.en
    assert "blue大于0.25至0.3判为云" in found[0].text.zh


def test_what_an_rpc_does_not_state_is_said_so() -> None:
    marks = [{"rpc": {"bias_m": bias, "shift": 0.4}} for bias in (25.0, None, 30.0)]
    (found,) = marked_scenes(scene(str(i), **mark_properties(m)) for i, m in enumerate(marks))
    assert "bias 25 to 30/unstated m by the RPC itself" in found.text.en
    assert "偏差25至30/未注明米" in found.text.zh


def test_a_manifest_from_before_there_were_marks_shows_its_line() -> None:
    old = scene("old", quality_label="lower: simple cloud screen")
    (found,) = marked_scenes([old, scene("new")])
    assert (found.mark, found.lower, found.scenes, found.of) == ("label", True, 1, 2)
    assert found.text.en == found.text.zh == "lower: simple cloud screen"


@given(st.lists(st.sampled_from([None, *KNOWN]), max_size=12), st.randoms())
def test_every_mark_of_every_scene_is_counted_whatever_the_order(names: Any, random: Any) -> None:
    values = {"band": "blue", "cloud_above": 0.2, "bias_m": 1.0, "shift": 0.1}
    scenes = [
        scene(str(i), **(mark_properties({name: values}) if name else {}))
        for i, name in enumerate(names)
    ]
    found = marked_scenes(scenes)
    assert {m.mark: m.scenes for m in found} == {n: names.count(n) for n in names if n}
    random.shuffle(scenes)
    assert marked_scenes(scenes) == found


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_words_are_filled_in_both_languages(name: str) -> None:
    given_ = {"band": "blue", "cloud_above": 0.2, "bias_m": 1.0, "shift": 0.1}
    (found,) = marked_scenes([scene("a", **mark_properties({name: given_}))])
    for text in (found.text.zh, found.text.en):
        assert text and "{" not in text
    assert found.text.zh != found.text.en


# --- through the cube to the page --------------------------------------------------------------


@pytest.fixture(scope="module")
def domestic(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    """Scenes of GF-1 as the source makes them: one with a mask beside it, one screened."""
    scenes = []
    for kind in ("mask", "screen"):
        folder = tmp_path_factory.mktemp(kind)
        place = {
            "crs": "EPSG:32649",
            "transform": rasterio.transform.from_origin(400000.0, 4690000.0, 16.0, 16.0),
        }
        bands = [np.full((40, 40), value, "u2") for value in (250, 300, 320, 700)]
        write_image(folder / "in" / f"{NAME}.tiff", bands, **place)
        write_xml(folder / "in" / f"{NAME}.xml")
        write_gains(folder / "g.csv")
        more: dict[str, Any] = {}
        if kind == "mask":
            write_image(folder / "in" / f"{NAME}_mask.tif", [np.zeros((40, 40), "u2")], **place)
        else:
            more = {"screen": {"band": "blue", "cloud_above": 0.25}}
            more |= {"mask": {"band": "clear_sky", "recipe": "simple_screen"}}
        (made,) = search(catalog(folder, calibration="g.csv", **more)).scenes
        scenes.append(dataclasses.replace(made, id=kind, dataset="imagery"))
    return scenes


@pytest.fixture(scope="module")
def assessed(domestic: list[Scene], tmp_path_factory: pytest.TempPathFactory) -> Any:
    region = build_region(tmp_path_factory.mktemp("marked"))
    build_cube(region)
    archive = create_or_open(region)
    manifest = Manifest(JULY.id, (*domestic, scene("plain")))
    document = {"manifest": manifest.to_dict(), "search": {}, "compute_failures": []}
    archive.store_manifest(JULY, document, TaskRecord("m"))
    path = assess(
        region, region.programmes["whole_region"], YEAR, archive.view(), region.output / "a"
    )
    return path, read_summary(path), archive.view()


def test_the_summary_counts_them_and_says_so_at_its_head(assessed: Any) -> None:
    summary: Summary = assessed[1]
    counted = {m.mark: (m.scenes, m.of, m.lower) for m in summary.scene_marks}
    assert counted == {
        "simple_screen": (1, 3, True),
        "mask_supplied": (1, 3, False),
        "top_of_atmosphere": (2, 3, True),
    }
    notes = [n.en for n in summary.notes if "of lower quality" in n.en]
    assert len(notes) == 2 and all("of 3 scene(s) of data" in n for n in notes)
    assert any("blue above 0.25 is cloud" in n for n in notes)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", ("simple cloud screen in place of a quality band", "mask layer supplied", "1 of 3")),
        ("zh", ("用声明的简单筛选代替质量波段", "使用随影像提供的掩膜层", "1/3", "质量较低")),
    ],
)
def test_both_reports_print_them(assessed: Any, language: str, told: tuple[str, ...]) -> None:
    path, summary, _ = assessed
    report.render(path, [language])
    page = path.with_name(f"report.{language}.html").read_text(encoding="utf-8")
    text = unescape(re.sub(r"<[^>]+>", " ", page))
    for words in told:
        assert words in text
    screen = next(m for m in summary.scene_marks if m.mark == "simple_screen")
    assert text.count(screen.text.get(language)) == 2  # as a note, and in the table


@pytest.mark.parametrize(
    ("language", "told"),
    [("en", "imagery, 1 of 3 scene(s): simple cloud screen"), ("zh", "3景中1景：用声明的简单筛选")],
)
def test_a_traced_number_names_them(assessed: Any, language: str, told: str) -> None:
    path, summary, _ = assessed
    found = trace(path, summary.rows[0].trace)
    assert {m["mark"] for m in found["scene_marks"] if m["lower"]} == {
        "simple_screen", "top_of_atmosphere",
    }  # fmt: skip
    assert told in trace_text(found, language)


def test_the_release_lists_them_scene_by_scene(assessed: Any, tmp_path: Path) -> None:
    _write_scenes(assessed[2], [JULY.id], tmp_path / "scenes.json")
    listed = json.loads((tmp_path / "scenes.json").read_text(encoding="utf-8"))[JULY.id]["scenes"]
    by_id = {s["id"]: s for s in listed}
    assert by_id["screen"][LABEL].startswith("lower: simple cloud screen")
    assert by_id["screen"][MARKS]["simple_screen"] == {"band": "blue", "cloud_above": 0.25}
    assert "mask_supplied" in by_id["mask"][MARKS]
    assert MARKS not in by_id["plain"] and LABEL not in by_id["plain"]
