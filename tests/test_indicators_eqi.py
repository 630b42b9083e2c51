"""EQI by hand: sourced formulas, the unit set, inland units, the overlay."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_inputs import overlay_text, unit

from eco_index.indicators import evaluate
from eco_index.methods import load_method

EQI = load_method("eqi_2021")


def test_eqi_sourced_formulas_by_hand() -> None:
    def eqi(sub: str, **areas) -> float:
        found = evaluate(EQI, unit(**areas), unit_set=[unit(**areas)]).sub(sub).raw
        assert found is not None
        return found

    assert eqi("ecological_land", area_61=1000.0) == pytest.approx(100.5022)
    assert eqi("ecological_land", area_62=500.0, area_12=500.0) == pytest.approx(100.5022 * 0.25)
    assert eqi("ecological_land", area_11=400.0, area_21=600.0) == pytest.approx(100.5022 * 0.88)
    assert eqi("water_density", area_41=10.0, area_44=10.0) == pytest.approx(20.109576)
    assert eqi("water_conservation", area_64=1000.0) == pytest.approx(526.7926 * 0.45 * 0.6)
    assert eqi("water_conservation", area_21=1000.0) == pytest.approx(526.7926 * 0.35 * 0.6)
    assert eqi("water_conservation", area_33=1000.0) == pytest.approx(526.7926 * 0.2 * 0.1)
    assert eqi("water_conservation", area_23=1000.0) == 0
    assert eqi("protected_species", protected_species_n=0) == pytest.approx(13.2142)
    assert eqi("protected_species", protected_species_n=575) == pytest.approx(100, abs=0.05)


def test_eqi_unsourced_indicators_by_the_maximum_of_the_unit_set() -> None:
    units = [unit(), unit(unit_id="b", soil_retention=800.0, red_line_km2=600.0)]
    result = evaluate(EQI, units[0], unit_set=units)
    assert result.sub("soil_retention").value == 25
    assert result.sub("red_line").value == 50
    assert result.options["unit_set"].en == "2 unit(s), 2 row(s): 150101, b"
    number = next(n for n in result.numbers if n.key == "coefficient.soil_retention")
    assert (number.value, number.evidence) == (0.125, "placeholder")
    assert "150101, b" in number.source


def test_eqi_without_a_unit_set_is_not_complete() -> None:
    result = evaluate(EQI, unit())
    assert result.value is None
    assert result.sub("soil_retention").missing == ("unit_set",)
    assert result.sub("ecological_land").value is not None


def test_all_zero_over_the_unit_set_is_zero() -> None:
    row = unit(disaster_area_share=0.0)
    assert evaluate(EQI, row, unit_set=[row]).sub("disaster").value == 0


def test_eqi_inland_gives_the_marine_weight_to_the_siblings() -> None:
    row = unit()
    inland = evaluate(EQI, row, unit_set=[row])
    assert inland.sub("ecological_land").weight == 1
    assert inland.sub("land_disturbance").weight == 1
    assert not inland.sub("marine_shoreline").applicable
    coastal = evaluate(EQI, row, {"coast": "coastal"}, unit_set=[row])
    assert coastal.sub("ecological_land").weight == 0.5
    assert coastal.sub("marine_shoreline").missing == ("marine_shoreline_share",)
    assert coastal.value is None
    # The row's own setting goes before the option.
    own = evaluate(EQI, row | {"coast": "inland"}, {"coast": "coastal"}, unit_set=[row])
    assert own.value == inland.value


def test_eqi_is_provisional_until_the_overlay_is_filled(tmp_path: Path) -> None:
    row = unit()
    shipped = evaluate(EQI, row, unit_set=[row])
    assert shipped.complete
    assert shipped.provisional
    path = tmp_path / "official.yaml"
    path.write_text(overlay_text("eqi_2021", coefficient__soil_retention=0.3), encoding="utf-8")
    filled = evaluate(load_method("eqi_2021", path), row)
    assert filled.complete
    assert not filled.provisional
    assert filled.label.zh == ""
    assert filled.sub("soil_retention").raw == pytest.approx(60)
    assert filled.overlay_digest
    assert all(n.evidence in ("primary", "secondary") for n in filled.numbers)


def test_a_choice_against_the_overlay_is_provisional_again(tmp_path: Path) -> None:
    path = tmp_path / "official.yaml"
    path.write_text(overlay_text("hj192_2015"), encoding="utf-8")
    method = load_method("hj192_2015", path)
    assert not evaluate(method, unit()).provisional
    assert evaluate(method, unit(), {"rounding": "one_decimal"}).provisional


def test_weight_zero_for_a_unit_group_means_not_applicable(tmp_path: Path) -> None:
    head = overlay_text("eqi_2021").split("numbers:")[0]
    path = tmp_path / "official.yaml"
    path.write_text(
        head + "numbers:\n"
        "  weight.green_space@key_function: {value: 0, page: p. 9}\n"
        "  weight.park_access@key_function: {value: 1, page: p. 9}\n",
        encoding="utf-8",
    )
    row = unit(green_space_ratio=None)
    method = load_method("eqi_2021", path)
    assert evaluate(method, row, {"unit_group": "other"}, [row]).value is None
    assert evaluate(method, row, {"unit_group": "key_function"}, [row]).complete


#: Inputs that are no areas of land-cover classes, which must fit into the unit.
FREE = {
    name: spec
    for name, spec in EQI.file.inputs.items()
    if not name.startswith("area_") and spec.unit != "km2"
}
WORSE = {"land_disturbance", "sea_use_intensity", "disaster_area_share"}


@st.composite
def counties(draw, n=3):
    """Some units with any values that the method allows."""
    found = []
    for k in range(n):
        values = {
            name: draw(st.floats(spec.minimum, spec.maximum, exclude_min=spec.above_minimum))
            for name, spec in FREE.items()
        }
        forest = draw(st.floats(0, 1000))
        land = {
            "area_21": forest,
            "area_53": 1000 - forest,
            "red_line_km2": draw(st.floats(0, 999)),
        }
        kind = {
            "unit_group": draw(st.sampled_from(sorted(EQI.file.options["unit_group"].choices))),
            "coast": draw(st.sampled_from(sorted(EQI.file.options["coast"].choices))),
        }
        found.append(unit(unit_id=str(k), **values, **land, **kind))
    return found


@settings(max_examples=30, deadline=None)
@given(counties(), st.sampled_from(sorted(FREE)), st.floats(0, 1))
def test_eqi_stays_in_range_and_follows_each_input(units, name, part) -> None:
    def value(rows):
        result = evaluate(EQI, rows[0], unit_set=rows)
        assert all(s.value is None or 0 <= s.value <= 100 for s in result.sub_indices)
        assert result.value is not None and 0 <= result.value <= 100
        return result.value

    before = value(units)
    raised = units[0] | {name: units[0][name] + part * (FREE[name].maximum - units[0][name])}
    after = value([raised, *units[1:]])
    assert (before - after if name in WORSE else after - before) >= -1e-9
    assert value([units[0], units[2], units[1]]) == before


def test_inputs_in_which_more_is_worse_are_those_that_enter_inverted() -> None:
    inverse = [c for c in EQI.file.components if c.inverse]
    below = {c.id for c in inverse}
    while more := {c.id for c in EQI.file.components if c.parent in below} - below:
        below |= more
    names = {n for c in EQI.file.components if c.id in below for n in c.needed()}
    assert names & set(FREE) == WORSE
