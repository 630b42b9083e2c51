"""HJ 192-2015 special areas and HJ/T 192-2006: by hand, invariants, what stays open."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_inputs import overlay_text, unit

from eco_index.errors import InputError
from eco_index.indicators import (
    change_class,
    evaluate,
    grade,
    index_command_data,
    index_text,
    region_mean,
)
from eco_index.methods import load_method
from eco_index.products import LUCC

FUNCTION, RESERVE, CITY, OLD = (
    load_method(m)
    for m in ("hj192_2015_function", "hj192_2015_reserve", "hj192_2015_city", "hjt192_2006")
)
METHODS = (FUNCTION, RESERVE, CITY, OLD)
FUNCTION_TYPES = ("sand_fixation", "soil_conservation", "water_conservation", "biodiversity")
RESERVE_TYPES = ("forest", "grassland", "desert", "wetland")


def row(**changes) -> dict:
    extra = {
        "function_type": "sand_fixation", "reserve_type": "forest", "protected_km2": 200.0,
        "desertified_km2": 100.0, "area_suitability_index": 80.0, "invasive_species_index": 10.0,
        "development_disturbance_index": 20.0, "environmental_quality_index": 70.0,
        "city_pollution_load_index": 30.0, "ecological_construction_index": 50.0,
        "erosion_slight_km2": 60.0,
    }  # fmt: skip
    return unit(**(extra | changes))


def raw(method, sub: str, units=None, **changes) -> float:
    one = row(**changes)
    found = evaluate(method, one, unit_set=units or [one]).sub(sub).raw
    assert found is not None
    return found


# --- ecological function areas -----------------------------------------------------------------

LAND = {"area_21": 300.0, "area_32": 400.0, "area_42": 50.0, "area_12": 150.0, "area_51": 20.0}


@pytest.mark.parametrize(
    ("kind", "sub", "coefficient", "km2"),
    [
        ("sand_fixation", "wood_grass", 105.4407423028, 700),
        ("sand_fixation", "water", 824.4023083265, 50),
        ("sand_fixation", "crop_built", 165.0437365902, 170),
        ("soil_conservation", "wood_grass", 104.5696957022, 700),
        ("soil_conservation", "water", 1418.4397163121, 50),
        ("soil_conservation", "crop_built", 150.6477854776, 170),
        ("water_conservation", "wood", 104.4277360067, 300),
        ("water_conservation", "grass", 120.5836247438, 400),
        ("water_conservation", "water", 321.4400514304, 50),
        ("water_conservation", "crop_built", 102.7221366204, 170),
        ("biodiversity", "wood", 113.3915409910, 300),
        ("biodiversity", "grass", 130.9414691633, 400),
        ("biodiversity", "water", 329.9241174530, 50),
        ("biodiversity", "crop_built", 116.2115049390, 170),
    ],
)
def test_area_ratios_by_hand(kind: str, sub: str, coefficient: float, km2: float) -> None:
    found = raw(FUNCTION, f"{kind}.{sub}", function_type=kind, **LAND)
    # Cropland and built-up land are added, not divided as an older file of the source does.
    assert found == pytest.approx(coefficient * km2 / 1000, rel=1e-12)


def test_water_conservation_of_function_areas_by_hand() -> None:
    found = raw(FUNCTION, "water_conservation.supply", function_type="water_conservation", **LAND)
    expected = 526.79259844 * (0.45 * 0.3 * 50 + 0.35 * 0.6 * 300 + 0.2 * 0.3 * 400) / 1000
    assert found == pytest.approx(expected)


def test_sand_fixation_is_the_weighted_sum() -> None:
    one = row(**LAND)
    result = evaluate(FUNCTION, one, unit_set=[one])
    veg, wood = 121.165124 * 0.5, 105.4407423028 * 0.7
    water, land = 824.4023083265 * 0.05, 165.0437365902 * 0.17
    # Protected and desertified land: the unit is the whole set, so 100 each.
    expected = (0.24 * veg + 0.10 * 100 + 0.22 * wood + 0.20 * water + 0.14 * (100 - land)
                + 0.10 * 0)  # fmt: skip
    assert result.value == pytest.approx(expected)
    assert result.provisional
    assert result.grade == ""  # the classes were not found
    assert not result.sub("biodiversity").applicable


@pytest.mark.parametrize(
    ("method", "option"), [(FUNCTION, "function_type"), (RESERVE, "reserve_type")]
)
def test_without_its_type_nothing_is_assumed(method, option: str) -> None:
    one = row(**{option: None})
    result = evaluate(method, one, unit_set=[one])
    assert result.value is None
    assert any(option in s.missing for s in result.sub_indices)


# --- nature reserves ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "coefficient", "weights"),
    [
        ("forest", 417.4399622443, (0.40, 0.18, 0.23, 0.08, 0.01, 0.10)),
        ("grassland", 569.0200678452, (0.18, 0.40, 0.23, 0.08, 0.01, 0.10)),
        ("desert", 1146.3997531042, (0.15, 0.34, 0.30, 0.08, 0.01, 0.12)),
        ("wetland", 785.6026937848, (0.18, 0.23, 0.40, 0.08, 0.01, 0.10)),
    ],
)
def test_habitat_quality_of_reserves_by_hand(kind: str, coefficient: float, weights) -> None:
    forest, grass, water, crop, built, unused = weights
    found = raw(RESERVE, kind, reserve_type=kind, area_22=100, area_31=200, area_64=300, area_11=50,
                area_52=40, area_62=310)  # fmt: skip
    total = forest * 0.25 * 100 + grass * 0.6 * 200 + water * 0.5 * 300
    total += crop * 0.6 * 50 + built * 0.4 * 40 + unused * 0.2 * 310
    assert found == pytest.approx(coefficient * total / 1000)


def test_reserve_index_is_the_weighted_sum() -> None:
    result = evaluate(RESERVE, row(reserve_type="wetland", area_64=100, area_62=900))
    quality = 785.6026937848 * (0.40 * 0.5 * 100 + 0.10 * 0.2 * 900) / 1000
    assert result.sub("habitat_quality").value == pytest.approx(quality)
    assert result.value == pytest.approx(0.1 * 80 + 0.1 * 90 + 0.4 * quality + 0.4 * 80)
    # Habitat quality of a forest reserve that is nothing but forest reaches 100.19.
    assert raw(RESERVE, "forest") == pytest.approx(417.4399622443 * 0.24)


def test_city_index_by_hand() -> None:
    assert evaluate(CITY, row()).value == pytest.approx(0.4 * 70 + 0.4 * 70 + 0.2 * 50)
    lacking = evaluate(CITY, row(ecological_construction_index=None))
    assert lacking.value is None
    assert lacking.sub("construction").missing == ("ecological_construction_index",)


# --- HJ/T 192-2006 -----------------------------------------------------------------------------


def test_2006_by_hand_over_a_set_of_two() -> None:
    one = row(unit_id="a", area_21=500, area_32=200, area_42=100, area_12=100, area_51=50,
              area_61=50)  # fmt: skip
    two = row(unit_id="b", area_km2=500.0, area_21=500.0, erosion_severe_km2=0, so2_t=2000.0,
              river_length_km=50.0, precipitation_mm=200.0)  # fmt: skip
    result = evaluate(OLD, one, unit_set=[one, two])
    bio = 0.35 * 500 + 0.21 * 200 + 0.28 * 100 + 0.11 * 100 + 0.04 * 50 + 0.01 * 50
    veg = 0.38 * 500 + 0.34 * 200 + 0.19 * 100 + 0.07 * 50 + 0.02 * 50
    assert result.sub("richness").raw == pytest.approx(100 * bio / 1000 / 0.35)
    assert result.sub("vegetation").raw == pytest.approx(100 * veg / 1000 / 0.38)
    # Each term over its own maximum: rivers 0.3 is the greatest, water too, resources 0.14 of 0.28.
    assert result.sub("water").raw == pytest.approx(100 + 100 + 50)
    assert result.sub("water").value == 100
    lost = (0.05 * 60 + 0.25 * 50 + 0.7 * 100) / 1000
    top = max(lost, (0.05 * 60 + 0.25 * 50) / 500)
    assert result.sub("degradation").raw == pytest.approx(100 * lost / top)
    assert result.sub("environment.so2").raw == pytest.approx(25)  # 1 of 4 t/km2
    assert result.sub("environment.cod").raw == pytest.approx(50)  # 2 of 4 t/mm
    assert result.sub("environment").raw == pytest.approx(0.4 * 75 + 0.4 * 50 + 0.2 * 50)
    values = {s.id: s.value for s in result.sub_indices}
    expected = 0.25 * values["richness"] + 0.2 * values["vegetation"] + 0.2 * values["water"]
    expected += 0.2 * (100 - values["degradation"]) + 0.15 * values["environment"]
    assert result.value == pytest.approx(expected)
    assert result.options["unit_set"].en == "2 unit(s), 2 row(s): a, b"
    assert "2 row(s): a, b" in next(n for n in result.numbers if n.key == "water.area").source


def test_2006_with_official_coefficients_needs_no_set(tmp_path: Path) -> None:
    assert evaluate(OLD, row()).value is None
    assert evaluate(OLD, row()).sub("water").missing == ("unit_set",)
    path = tmp_path / "official.yaml"
    path.write_text(overlay_text("hjt192_2006", water__river=10.0), encoding="utf-8")
    result = evaluate(load_method("hjt192_2006", path), row())
    assert result.sub("water").raw == pytest.approx(10 * 0.3 + 0 + 0.14)
    assert result.sub("environment.cod").raw == pytest.approx(2)
    assert result.value is not None
    assert not result.provisional


def test_2006_sea_is_water_and_may_be_absent() -> None:
    assert raw(OLD, "water", area_42=100.0, sea_km2=None) == raw(OLD, "water", area_42=100.0)


@pytest.mark.parametrize(("value", "title"), [(75, "优"), (74.9, "良"), (55, "良"), (35, "一般"),
                                              (20, "较差"), (19.99, "差")])  # fmt: skip
def test_2006_class_limits(value: float, title: str) -> None:
    assert grade(OLD, value).title.zh == title


@pytest.mark.parametrize(
    ("change", "title"),
    [(1.9, "无明显变化"), (2, "略有变好"), (-5, "明显变差"), (10, "显著变好")],
)
def test_2006_change_limits(change: float, title: str) -> None:
    assert change_class(OLD, 40, 40 + change).zh == title


# --- for all -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.id)
def test_weights_stand_in_groups_and_an_overlay_settles_everything(method, tmp_path: Path) -> None:
    grouped = {k for keys in method.file.weight_groups.values() for k in keys}
    assert {c.weight for c in method.file.components} <= grouped
    assert method.open_items()
    assert "region.mean" in method.rules
    path = tmp_path / "o.yaml"
    path.write_text(overlay_text(method.id), encoding="utf-8")
    assert load_method(method.id, path).open_items() == []


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.id)
@pytest.mark.parametrize("choice", ["clip", "rounding"])
def test_ambiguities_are_options_with_a_stated_default(method, choice: str) -> None:
    spec = method.file.options[choice]
    assert (spec.evidence, spec.default) == (
        "placeholder",
        {"clip": "yes", "rounding": "none"}[choice],
    )
    one = row(ndvi_mean=0.5371)
    other = {"clip": "no", "rounding": "one_decimal"}[choice]
    result = evaluate(method, one, {choice: other}, [one])
    assert result.options[choice] == other
    if choice == "rounding":
        assert result.value == round(result.value or 0, 1)


AREAS = st.lists(st.floats(0, 1), min_size=len(LUCC), max_size=len(LUCC)).filter(
    lambda x: sum(x) > 1e-6
)


def areas_of(weights: list[float]) -> dict[str, float]:
    total = sum(weights)
    return {f"area_{c}": 1000 * w / total for c, w in zip(LUCC, weights, strict=True)}


@given(AREAS, st.sampled_from(FUNCTION_TYPES), st.sampled_from(RESERVE_TYPES), st.floats(-1, 1))
def test_indices_stay_in_range(weights, kind, reserve, ndvi) -> None:
    one = row(function_type=kind, reserve_type=reserve, ndvi_mean=ndvi, **areas_of(weights))
    for method in METHODS:
        result = evaluate(method, one, unit_set=[one, row()])
        assert result.value is not None
        assert -1e-9 <= result.value <= 100 + 1e-9
        assert all(s.value is None or 0 <= s.value <= 100 for s in result.sub_indices)


@given(AREAS, st.sampled_from(RESERVE_TYPES), st.sampled_from(sorted(LUCC)),
       st.sampled_from(sorted(LUCC)), st.floats(0, 1))  # fmt: skip
def test_area_of_a_better_class_never_lowers_habitat_quality(weights, kind, one, two, part) -> None:
    def quality(areas):
        return raw(RESERVE, kind, reserve_type=kind, **areas)

    alone = {c: quality({f"area_{c}": 1000.0}) for c in (one, two)}
    worse, better = sorted((one, two), key=lambda c: alone[c])
    before = areas_of(weights)
    moved = part * before[f"area_{worse}"]
    after = before | {f"area_{worse}": before[f"area_{worse}"] - moved}
    after[f"area_{better}"] += moved
    assert quality(after) >= quality(before) - 1e-9


@given(st.permutations(range(4)))
def test_permuting_units_changes_nothing(order) -> None:
    units = [row(unit_id=str(i), so2_t=100.0 * (i + 1), river_length_km=50.0 * (4 - i),
                 protected_km2=90.0 * (i + 1)) for i in range(4)]  # fmt: skip
    for method in (OLD, FUNCTION):
        expected = [evaluate(method, u, unit_set=units).value for u in units]
        shuffled = [units[i] for i in order]
        found = {u["unit_id"]: evaluate(method, u, unit_set=shuffled).value for u in shuffled}
        assert [found[str(i)] for i in range(4)] == expected


def test_region_mean_without_classes() -> None:
    units = [row(unit_id="a"), row(unit_id="b", area_km2=3000.0, area_21=3000.0)]
    results = [evaluate(FUNCTION, u, unit_set=units) for u in units]
    region = region_mean(FUNCTION, results)
    assert region.value == pytest.approx((results[0].value + 3 * results[1].value) / 4)
    assert region.grade == ""


def test_eco_index_of_each(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    rows = [row(unit_id=t, function_type=t, reserve_type=r)
            for t, r in zip(FUNCTION_TYPES, RESERVE_TYPES, strict=True)]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for method in METHODS:
        data = json.loads(json.dumps(index_command_data(method.id, path)))
        assert all(u["value"] is not None for u in data["units"]), method.id
        for lang in ("zh", "en"):
            text = index_text(data, lang)
            assert ("试算" if lang == "zh" else "no official figures") in text
    # The lines of the types that do not apply stay out of the table.
    text = index_text(index_command_data("hj192_2015_function", path), "en")
    assert text.count("cover of woodland and grassland") == 2


def test_a_unit_without_its_type_says_so_in_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "units.yaml"
    path.write_text("- {unit_id: a, area_km2: 100, area_21: 100}\n", encoding="utf-8")
    text = index_text(index_command_data("hj192_2015_function", path), "en")
    assert text.count("not evaluated, missing: function_type") == 4
    assert "cover of woodland" not in text


def test_impossible_inputs_name_the_unit() -> None:
    with pytest.raises(InputError, match="add to 1100 km2"):
        evaluate(OLD, row(erosion_slight_km2=950.0))
    with pytest.raises(InputError, match="protected_km2"):
        evaluate(FUNCTION, row(protected_km2=1200.0))
    with pytest.raises(InputError, match="0 to 100"):
        evaluate(CITY, row(environmental_quality_index=101.0))
    with pytest.raises(InputError, match="function_type"):
        evaluate(FUNCTION, row(function_type="sand"))
