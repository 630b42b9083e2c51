from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_inputs import unit

from eco_index.errors import InputError, UsageError
from eco_index.indicators import change_class, evaluate, grade, input_names
from eco_index.indicators.adapters import method_use, to_index_value
from eco_index.indicators.ei import corrected_water_resources
from eco_index.indicators.records import INDICATORS
from eco_index.methods import load_method
from eco_index.products import LUCC, PRODUCTS
from eco_index.yamlio import Text

EI = load_method("hj192_2015")
EQI = load_method("eqi_2021")

# Class weight times sub-class weight of HJ 192-2015 by LUCC code, from the reference sheet.
HABITAT = {
    11: 0.11 * 0.6, 12: 0.11 * 0.4, 21: 0.35 * 0.6, 22: 0.35 * 0.25, 23: 0.35 * 0.15,
    24: 0.35 * 0.15, 31: 0.21 * 0.6, 32: 0.21 * 0.3, 33: 0.21 * 0.1, 41: 0.28 * 0.1,
    42: 0.28 * 0.3, 43: 0.28 * 0.3, 44: 0.28 * 0.1, 45: 0.28 * 0.5, 46: 0.28 * 0.5,
    51: 0.04 * 0.3, 52: 0.04 * 0.4, 53: 0.04 * 0.3, 61: 0.01 * 0.2, 62: 0.01 * 0.2,
    63: 0.01 * 0.3, 64: 0.28 * 0.5, 65: 0.01 * 0.2, 66: 0.01 * 0.2, 67: 0.01 * 0.1,
}  # fmt: skip


def raw(sub: str, method=EI, options=None, **changes) -> float:
    found = evaluate(method, unit(**changes), options, unit_set=[unit(**changes)]).sub(sub).raw
    assert found is not None
    return found


# --- EI, by hand -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(LUCC))
def test_habitat_quality_of_a_unit_of_one_class(code: int) -> None:
    assert raw("habitat_quality", **{f"area_{code}": 1000.0}) == pytest.approx(
        511.2642131067 * HABITAT[code], rel=1e-12
    )


def test_all_forest_county_is_limited_to_100() -> None:
    sub = evaluate(EI, unit()).sub("habitat_quality")
    assert sub.raw == pytest.approx(107.365484752)
    assert sub.value == 100
    free = evaluate(EI, unit(), {"clip": "no"}).sub("habitat_quality")
    assert free.value == free.raw


def test_biological_richness_is_the_mean_of_bi_and_hq() -> None:
    assert raw("biological_richness") == 0.5 * 40 + 0.5 * 100


def test_vegetation_cover_index() -> None:
    assert raw("vegetation_cover", ndvi_mean=0.5) == pytest.approx(60.582562)
    # The coefficient belongs to NDVI x 10^4: 100 / 0.0121165124 = 8253.2.
    assert raw("vegetation_cover", ndvi_mean=0.82532) == pytest.approx(100, abs=1e-3)


def test_water_density() -> None:
    expected = (84.3704083981 * 0.3 + 591.7908642005 * 0.04 + 86.3869548281 * 0.14) / 3
    found = raw("water_density", area_21=960, area_41=10, area_42=20, area_43=10)
    assert found == pytest.approx(expected)
    # Glaciers and flats are no open water here; the sea is, where there is one.
    assert raw("water_density", area_44=500, area_45=500) < found
    assert raw("water_density", area_41=40, sea_km2=40) == pytest.approx(
        expected + 591.7908642005 * 0.04 / 3
    )


@pytest.mark.parametrize(
    ("resources", "expected"),
    [(50, 50), (140, 140), (140.1, 99.9), (200, 40), (240, 0), (240.1, 0), (1000, 0)],
)
def test_corrected_water_resources(resources: float, expected: float) -> None:
    assert corrected_water_resources(resources, 100, 1.4, 2.4) == pytest.approx(expected, abs=1e-9)


def test_land_stress() -> None:
    expected = 236.0435677948 * (0.4 * 100 + 0.2 * 50 + 0.2 * 60 + 0.2 * 10) / 1000
    found = raw("land_stress", area_21=940, area_51=10, area_52=20, area_53=30)
    assert found == pytest.approx(expected)


def test_pollution_load_and_the_unit_of_precipitation() -> None:
    air = 0.2 * 0.0648660287 * 1 + 0.1 * 4.0904459321 * 0.5
    air += 0.2 * 0.5103049278 * 1 + 0.1 * 0.0749894283 * 2
    water = 0.2 * 4.3937397289 * 800 + 0.2 * 40.1764754986 * 80
    for choice, rain in (("mm", 400.0), ("1e6m3", 400.0), ("mm_km2", 400_000.0)):
        found = raw("pollution_load", options={"pollution_precipitation": choice})
        assert found == pytest.approx(air + water / rain), choice
    # 400 mm over 500 km2 are 200 million m3.
    half = raw("pollution_load", options={"pollution_precipitation": "1e6m3"}, area_km2=500.0,
               area_21=500.0)  # fmt: skip
    assert half == pytest.approx(2 * air + water / 200)


def test_ei_is_the_weighted_sum() -> None:
    result = evaluate(EI, unit())
    values = {s.id: s.value for s in result.sub_indices}
    expected = (
        0.35 * values["biological_richness"]
        + 0.25 * values["vegetation_cover"]
        + 0.15 * values["water_density"]
        + 0.15 * (100 - values["land_stress"])
        + 0.10 * (100 - values["pollution_load"])
    )
    assert result.value == pytest.approx(expected, rel=1e-12)
    assert result.complete
    assert result.provisional
    assert result.label.zh == "试算"
    assert result.grade == "good"


def test_rounding_option() -> None:
    result = evaluate(EI, unit(), {"rounding": "one_decimal"})
    assert result.value == round(result.value or 0, 1)
    assert result.sub("vegetation_cover").value == 60.6
    assert result.sub("vegetation_cover").raw == pytest.approx(60.582562)
    assert result.options["rounding"] == "one_decimal"


# --- restriction, classes, change --------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "veg", "expected"),
    [(0, 1.0, None), (2, 0.5, 54.9), (3, 0.5, 54.9), (2, -0.9, 34.9), (3, -0.9, 34.9)],
)
def test_restriction_limits_the_value(code: int, veg: float, expected: float | None) -> None:
    result = evaluate(EI, unit(ndvi_mean=veg, restriction_code=code))
    limit = result.sub("restriction")
    assert limit.value == result.value
    assert result.value == (limit.raw if expected is None else expected)


def test_restriction_codes_differ_for_excellent_units() -> None:
    best = unit(ndvi_mean=0.8, biodiversity_index=95, river_length_km=900, erosion_severe_km2=0)
    assert evaluate(EI, best).grade == "excellent"
    assert evaluate(EI, best | {"restriction_code": 2}).value == 74.9
    assert evaluate(EI, best | {"restriction_code": 3}).value == 54.9


@pytest.mark.parametrize(
    ("value", "title"),
    [(100, "优"), (75, "优"), (74.999, "良"), (55, "良"), (54.99, "一般"), (35, "一般"),
     (34.9, "较差"), (20, "较差"), (19.9, "差"), (0, "差")],
)  # fmt: skip
def test_ei_class_limits_belong_to_the_class(value: float, title: str) -> None:
    assert grade(EI, value).title.zh == title


@pytest.mark.parametrize(
    ("change", "title"),
    [(0, "无明显变化"), (0.99, "无明显变化"), (1, "略微变好"), (-1, "略微变差"), (2.99, "略微变好"),
     (3, "明显变好"), (-3, "明显变差"), (8, "显著变好"), (-8, "显著变差"), (-40, "显著变差")],
)  # fmt: skip
def test_ei_change_limits(change: float, title: str) -> None:
    assert change_class(EI, 50.3, 50.3 + change).zh == title


def test_change_without_a_value_has_no_class() -> None:
    assert change_class(EI, None, 50).zh == ""
    assert change_class(EI, 50, None).en == ""


# Published EQI values and their classes: national 2021-2024, Henan 2024 (province and the extreme
# units of its groups), Yixing 2021.
@pytest.mark.parametrize(
    ("value", "title"),
    [(59.77, "二类"), (59.6, "二类"), (59.95, "二类"), (62.7, "二类"), (54.76, "三类"),
     (46.93, "三类"), (38.44, "四类"), (32.73, "四类"), (57.38, "二类"), (73.88, "一类"),
     (84.81, "一类"), (74.88, "一类"), (70, "一类"), (55, "二类"), (40, "三类"), (30, "四类"),
     (29.99, "五类")],
)  # fmt: skip
def test_eqi_classes_of_published_values(value: float, title: str) -> None:
    assert grade(EQI, value).title.zh == title


@pytest.mark.parametrize(
    ("before", "after", "title"),
    [(59.77, 59.6, "基本稳定"), (59.6, 59.6, "基本稳定"), (50, 51, "轻微变好"),
     (50, 49, "轻微变差"), (50, 52, "一般变好"), (50, 48, "一般变差"), (50, 54, "明显变好"),
     (50, 46, "明显变差")],
)  # fmt: skip
def test_eqi_change_classes(before: float, after: float, title: str) -> None:
    assert change_class(EQI, before, after).zh == title


# --- missing inputs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sub"),
    [("ndvi_mean", "vegetation_cover"), ("area_44", "habitat_quality"), ("cod_t", "pollution_load"),
     ("river_length_km", "water_density"), ("other_stress_km2", "land_stress"),
     ("biodiversity_index", "biodiversity")],
)  # fmt: skip
def test_a_missing_input_is_never_zero(name: str, sub: str) -> None:
    for gone in (None, math.nan):
        result = evaluate(EI, unit(**{name: gone}, area_21=1000.0))
        found = result.sub(sub)
        assert (found.raw, found.value, found.missing) == (None, None, (name,))
        assert (result.value, result.complete, result.grade) == (None, False, "")
        # The others are still there to be looked at.
        assert sum(s.value is not None for s in result.sub_indices) >= 4


def test_missing_area_leaves_only_what_needs_none() -> None:
    result = evaluate(EI, unit(area_km2=None))
    assert result.sub("vegetation_cover").value is not None
    assert result.sub("habitat_quality").missing == ("area_km2",)


def test_richness_without_bi_is_a_choice() -> None:
    row = unit(biodiversity_index=None)
    assert evaluate(EI, row).sub("biological_richness").missing == ("biodiversity_index",)
    result = evaluate(EI, row, {"richness_without_bi": "habitat_quality"})
    assert result.sub("biological_richness").raw == 100
    assert not result.sub("biodiversity").applicable
    assert result.complete
    used = {n.key: n.evidence for n in result.numbers}
    assert used["option.richness_without_bi"] == "placeholder"
    # With BI at hand the choice changes nothing.
    both = [evaluate(EI, unit(), {"richness_without_bi": c}).value
            for c in ("not_evaluated", "habitat_quality")]  # fmt: skip
    assert both[0] == both[1]


def test_missing_restriction_is_a_choice() -> None:
    row = unit(restriction_code=None)
    result = evaluate(EI, row)
    assert result.value is None
    assert result.sub("restriction").raw is not None
    assert (
        evaluate(EI, row, {"restriction_missing": "none_known"}).value == evaluate(EI, unit()).value
    )


# --- refused inputs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"area_21": 900, "area_31": 110}, "add to 1010 km2"),
        ({"area_21": -1}, "negative"),
        ({"cod_t": -5}, "negative"),
        ({"ndvi_mean": 5200}, "scaled integers"),
        ({"ndvi_mean": -1.01}, "-1 to 1"),
        ({"biodiversity_index": 101}, "0 to 100"),
        ({"restriction_code": 1}, "one of 0, 2, 3"),
        ({"precipitation_mm": 0}, "above 0"),
        ({"area_km2": 0}, "above 0"),
        ({"cod_t": "many"}, "not a number"),
        ({"cod_t": math.inf}, "cannot be"),
        ({"area_34": 10}, "not a land-use class"),
        ({"erosion_severe_km2": 600, "erosion_moderate_km2": 500}, "add to 1100 km2"),
    ],
)
def test_impossible_inputs(changes: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(EI, unit(**changes))
    assert message in str(caught.value)
    assert "unit 150101" in str(caught.value)


def test_percentages_above_100_are_refused() -> None:
    with pytest.raises(InputError, match="percentage cannot exceed 100"):
        evaluate(EQI, unit(green_space_ratio=101))


def test_areas_may_exceed_the_unit_by_half_a_percent() -> None:
    assert evaluate(EI, unit(area_21=1005.0)).complete
    with pytest.raises(InputError):
        evaluate(EI, unit(area_21=1005.1))
    assert evaluate(EI, unit(area_21=1000.0)).warnings == ()
    assert "90.0 %" in evaluate(EI, unit(area_21=900.0)).warnings[0].en


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="did you mean 'rounding'"):
        evaluate(EI, unit(), {"roundin": "none"})
    with pytest.raises(InputError, match="choices: mm, 1e6m3, mm_km2"):
        evaluate(EI, unit(), {"pollution_precipitation": "inch"})


def test_a_file_of_parameters_computes_no_index() -> None:
    with pytest.raises(UsageError, match="computes no index"):
        evaluate(load_method("fvc_dimidiate"), unit())


# --- invariants --------------------------------------------------------------------------------

shares = st.lists(st.floats(0, 1), min_size=len(LUCC), max_size=len(LUCC)).filter(
    lambda x: sum(x) > 1e-6
)


def areas_of(weights: list[float]) -> dict[str, float]:
    total = sum(weights)
    return {f"area_{c}": 1000 * w / total for c, w in zip(LUCC, weights, strict=True)}


@settings(max_examples=40, deadline=None)
@given(
    shares,
    st.floats(-1, 1),
    st.floats(0, 1e5),
    st.floats(0, 1e7),
    st.sampled_from([0, 2, 3]),
)
def test_index_stays_in_range(weights, ndvi, river, cod, code) -> None:
    row = unit(
        **areas_of(weights), ndvi_mean=ndvi, river_length_km=river, cod_t=cod, restriction_code=code
    )
    for method in (EI, EQI):
        result = evaluate(method, row, unit_set=[row])
        assert result.value is not None
        assert 0 <= result.value <= 100
        assert all(s.value is None or 0 <= s.value <= 100 for s in result.sub_indices)


@settings(max_examples=40, deadline=None)
@given(shares, st.sampled_from(sorted(LUCC)), st.sampled_from(sorted(LUCC)), st.floats(0, 1))
def test_area_moved_to_a_better_class_never_lowers_habitat_quality(weights, one, two, part):
    worse, better = sorted((one, two), key=lambda c: HABITAT[c])
    before = areas_of(weights)
    after = dict(before)
    moved = part * before[f"area_{worse}"]
    after[f"area_{worse}"] -= moved
    after[f"area_{better}"] += moved
    assert raw("habitat_quality", **after) >= raw("habitat_quality", **before) - 1e-9


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)))
def test_permuting_units_changes_nothing(order) -> None:
    units = [unit(unit_id=str(i), soil_retention=10.0 * (i + 1), connectivity=0.1 * (4 - i))
             for i in range(4)]  # fmt: skip
    expected = [evaluate(EQI, u, unit_set=units).value for u in units]
    shuffled = [units[i] for i in order]
    found = {u["unit_id"]: evaluate(EQI, u, unit_set=shuffled).value for u in shuffled}
    assert [found[str(i)] for i in range(4)] == expected


# --- to the summary ----------------------------------------------------------------------------


def test_summary_models() -> None:
    name = Text(zh="甲县", en="County A")
    now, before = evaluate(EI, unit()), evaluate(EI, unit(ndvi_mean=0.4))
    value = to_index_value(EI, now, "150101", name, before, trace="2025/x")
    assert value.change == pytest.approx(0.25 * 12.1165124)
    assert value.change_title.zh == "明显变好"
    assert value.method == "hj192_2015@1"
    assert [s.id for s in value.sub_indices][-1] == "restriction"
    assert value.options["pollution_precipitation"] == "mm"
    use = method_use(EI, [now, before])
    keys = [n.key for n in use.numbers]
    assert len(keys) == len(set(keys))
    assert {"weight.richness", "option.pollution_precipitation", "rule.mapping.wetland"} <= {*keys}
    assert "option.clip" in keys  # all forest: habitat quality was limited
    assert use.provisional
    incomplete = to_index_value(EI, evaluate(EI, unit(cod_t=None)), "x", name, before)
    assert (incomplete.value, incomplete.change, incomplete.change_title.zh) == (None, None, "")


def test_zone_indicator_records_are_consistent() -> None:
    for key, record in INDICATORS.items():
        assert key == record.id
        product = PRODUCTS[record.product]
        assert record.needs_landcover >= product.needs_landcover
        assert record.title.zh
        assert record.title.en
        assert record.denominator.zh
        assert record.change == (record.statistic.endswith(("decrease_area", "increase_area"))
                                 or record.statistic == "transition_area")  # fmt: skip
        assert not set(record.from_classes) & set(record.to_classes)
        assert list(record.breaks) == sorted(record.breaks)
        if record.statistic == "bin_share":
            assert len(record.variables) == len(record.breaks) + 1


def test_cover_classes_are_those_of_the_method_file() -> None:
    method = load_method("fvc_dimidiate")
    limits = tuple(method.number(f"class_{i}").required for i in range(1, 6))
    assert INDICATORS["fvc_class_share"].breaks == limits


def test_inputs_are_declared_in_both_languages() -> None:
    for method in (EI, EQI):
        assert {f"area_{c}" for c in LUCC} <= set(input_names(method))
        for spec in method.file.inputs.values():
            assert spec.title.zh
            assert spec.title.en
            assert spec.unit
            assert spec.minimum < spec.maximum
