"""The index of a region: area-weighted mean of its units, never of some of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_inputs import unit

from eco_index.indicators import evaluate, grade, region_mean
from eco_index.methods import load_method

METHOD = load_method("hj192_2015")


def results(*rows):
    return [evaluate(METHOD, unit(unit_id=str(k), **row)) for k, row in enumerate(rows)]


def test_the_mean_is_weighted_by_area():
    small, large = results(
        {"area_km2": 1000.0, "area_21": 1000.0, "ndvi_mean": 0.6},
        {"area_km2": 3000.0, "area_33": 3000.0, "ndvi_mean": 0.2},
    )
    region = region_mean(METHOD, [small, large])
    assert region.value == pytest.approx((small.value + 3 * large.value) / 4)
    quality = [r.sub("habitat_quality").value for r in (small, large)]
    assert region.sub("habitat_quality").value == pytest.approx((quality[0] + 3 * quality[1]) / 4)
    assert region.grade == grade(METHOD, region.value).id
    assert region.inputs == {"area_km2": 4000.0}
    assert "rule.region.mean" in {n.key for n in region.numbers} and region.provisional


def test_one_unit_without_an_index_leaves_the_region_without_one():
    known, open_ = results({"ndvi_mean": 0.6}, {"ndvi_mean": None})
    region = region_mean(METHOD, [known, open_])
    assert known.value is not None and region.value is None and not region.complete
    assert region.grade == "" and region.sub("vegetation_cover").value is None
    assert "ndvi_mean" in region.sub("vegetation_cover").missing
    assert region.sub("habitat_quality").value is not None


@settings(max_examples=25)
@given(st.lists(st.floats(0.0, 0.9), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_region_lies_between_its_units_whatever_their_order(ndvi, random):
    units = results(*({"ndvi_mean": v} for v in ndvi))
    region = region_mean(METHOD, units)
    assert min(u.value for u in units) - 1e-9 <= region.value
    assert region.value <= max(u.value for u in units) + 1e-9
    random.shuffle(units)
    assert region_mean(METHOD, units).value == pytest.approx(region.value)
