from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from unit_inputs import overlay_text

from eco_index.errors import UsageError
from eco_index.methods import list_methods, load_method, methods_folder


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    folder = tmp_path / "methods"
    shutil.copytree(methods_folder(), folder)
    return folder


def edit(folder: Path, method: str, old: str, new: str) -> None:
    path = folder / f"{method}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def write_overlay(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "overlay.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_methods_load_and_are_named() -> None:
    names = list_methods()
    assert {"hj192_2015", "eqi_2021", "fvc_dimidiate", "forest_coverage", "grassland_cover"} <= set(
        names
    )
    for name in names:
        method = load_method(name)
        assert method.id == name
        assert method.title.zh
        assert method.title.en
        assert all(n.source for n in method.items())


@pytest.mark.parametrize("name", ["hj192_2015", "eqi_2021"])
def test_weights_of_every_group_add_to_one(name: str) -> None:
    method = load_method(name)
    for keys in method.file.weight_groups.values():
        assert math.isclose(sum(method.number(k).required for k in keys), 1, abs_tol=1e-9)


def test_every_component_weight_stands_in_a_group() -> None:
    for name in ("hj192_2015", "eqi_2021"):
        file = load_method(name).file
        grouped = {k for keys in file.weight_groups.values() for k in keys}
        assert {c.weight for c in file.components} <= grouped


def test_eqi_has_4_11_18_indicators() -> None:
    file = load_method("eqi_2021").file
    first = [c.id for c in file.children("")]
    second = [c.id for parent in first for c in file.children(parent)]
    third = [c.id for parent in second for c in file.children(parent)]
    assert (len(first), len(second), len(third)) == (4, 11, 18)


def test_nothing_sourced_is_guessed_and_nothing_guessed_is_sourced() -> None:
    ei, eqi = load_method("hj192_2015"), load_method("eqi_2021")
    assert ei.number("hq.coefficient").evidence == "secondary"
    assert ei.number("hq.water.glacier").evidence == "recalled"
    assert ei.option("pollution_precipitation", "mm").evidence == "placeholder"
    # Formulas that the sheet found: ecological land, water network, conservation, species.
    for key in ("el.coefficient", "wd.coefficient", "wc.coefficient", "species.coefficient"):
        assert eqi.number(key).evidence == "secondary"
    # Level-1 weights from memory; levels 2 and 3 were not found.
    assert eqi.number("weight.pattern").evidence == "recalled"
    assert eqi.number("weight.composition").evidence == "placeholder"
    assert eqi.number("coefficient.connectivity").value is None


def test_fvc_end_members() -> None:
    method = load_method("fvc_dimidiate")
    assert (method.number("ndvi_soil").value, method.number("ndvi_veg").value) == (0.15, 0.90)
    assert not method.provisional


def test_provisional_follows_what_was_read() -> None:
    method = load_method("hj192_2015")
    assert method.provisional
    method.number("weight.richness")
    assert not method.provisional
    method.number("richness.habitat")
    assert method.provisional
    assert method.used == {"weight.richness", "richness.habitat"}


def test_unknown_method_and_number() -> None:
    with pytest.raises(UsageError, match="did you mean 'hj192_2015'"):
        load_method("hj192_2016")
    with pytest.raises(UsageError, match=r"did you mean 'hq\.forest'"):
        load_method("hj192_2015").number("hq.forrest")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight.richness: {value: 0.35", "weight.richness: {value: 0.36", "'index' add to 1.01"),
        ("class.good: {value: 55", "class.good: {value: 76", "class limits must fall"),
        ("change.marked: {value: 3", "change.marked: {value: 0.5", "change limits must rise"),
        ("lower: null", "lower: class.poor", "last class must have lower: null"),
        ("coefficient: veg.coefficient", "coefficient: veg.coeficient", "did you mean 'veg.coe"),
        ("inputs: [ndvi_mean]", "inputs: [ndvi_maen]", "did you mean 'ndvi_mean'"),
        ("parent: biological_richness", "parent: richness", "unknown parent 'richness'"),
        ("sources: [ICT]}", "sources: [ICX]}", "unknown source 'ICX'"),
        ("weight.water: {value: 0.15", "weight.water: {valeu: 0.15", "valeu"),
        ("evidence: secondary", "evidence: certain", "primary"),
        ("weight.water: {value: 0.15", "weight.water: {value: null", "placeholder"),
        ("default: mm", "default: inch", "'inch' is not among"),
    ],
)
def test_broken_method_file_is_refused(copies: Path, old: str, new: str, message: str) -> None:
    edit(copies, "hj192_2015", old, new)
    with pytest.raises(UsageError) as caught:
        load_method("hj192_2015", folder=copies)
    assert message in str(caught.value)
    assert "hj192_2015.yaml" in str(caught.value)


def test_filled_overlay_leaves_nothing_open(tmp_path: Path) -> None:
    for name in ("hj192_2015", "eqi_2021"):
        method = load_method(name, write_overlay(tmp_path, overlay_text(name)))
        assert method.open_items() == []
        assert not method.provisional
        assert method.overlay_digest is not None
        assert method.overlay_digest.startswith("sha256:")
    number = method.number("weight.pattern")
    assert number.evidence == "primary"
    assert "张三" in number.source
    assert number.clause == "p. 3"


def test_overlay_digest_follows_the_content_only(tmp_path: Path) -> None:
    text = overlay_text("hj192_2015")
    first = load_method("hj192_2015", write_overlay(tmp_path, text)).overlay_digest
    commented = load_method("hj192_2015", write_overlay(tmp_path, "# note\n" + text))
    changed = load_method("hj192_2015", write_overlay(tmp_path, text.replace("p. 3", "p. 30")))
    assert commented.overlay_digest == first
    assert changed.overlay_digest != first


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("method: hj192_2015", "method: eqi_2021", "the overlay is for eqi_2021@1"),
        ('method_version: "1"', 'method_version: "0"', "not for hj192_2015@1"),
        ("entered_by: 张三", "entered_bye: 张三", "entered_by"),
        ("richness.habitat: {value: 0.5", "richness.habitat: {value: 0.6", "add to 1.1"),
        ("  richness.habitat:", "  richness.habitats:", "did you mean 'richness.habitat'"),
        ("  mapping.rock:", "  mapping.rocks:", "did you mean 'mapping.rock'"),
        ('{choice: "mm"', '{choice: "inch"', "no choice 'inch'"),
        ("page: p. 3", 'page: ""', "page"),
        ("  hq.water.river: {", "  hq.water.river@other: {", "only weights may differ"),
    ],
)
def test_bad_overlay_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = overlay_text("hj192_2015")
    assert old in text
    path = write_overlay(tmp_path, text.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load_method("hj192_2015", path)
    assert message in str(caught.value)
    assert "overlay.yaml" in str(caught.value)


def test_weights_may_differ_by_unit_group(tmp_path: Path) -> None:
    head = "\n".join(overlay_text("eqi_2021").splitlines()[:5])
    values = "\n".join(
        [
            "numbers:",
            "  weight.composition@city_district: {value: 0.3, page: p. 9}",
            "  weight.structure@city_district: {value: 0.7, page: p. 9}",
        ]
    )
    method = load_method("eqi_2021", write_overlay(tmp_path, f"{head}\n{values}\n"))
    assert method.number("weight.composition", "city_district").value == 0.3
    assert method.number("weight.composition", "other").value == 0.5
    broken = values.replace("value: 0.7", "value: 0.6")
    with pytest.raises(UsageError, match="'city_district' add to 0.9"):
        load_method("eqi_2021", write_overlay(tmp_path, f"{head}\n{broken}\n"))
