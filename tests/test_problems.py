"""Problems of HJ 1174-2021: every grade at its limits, missing values, units."""

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_index.errors import InputError
from eco_index.indices import problems as p
from eco_index.indices.doors import over_blocks
from eco_index.indices.karst import rocky_desertification_grade as rocky
from eco_index.methods import load_method

M = load_method("hj1174_2021")
NAN = np.nan


@pytest.mark.parametrize(("region", "tolerable"), [("loess", 1000), ("north", 200), ("south", 500)])
def test_erosion_grades(region, tolerable):
    loss = [0, tolerable - 0.1, tolerable, 2500, 5000, 8000, 15000, 15000.1, NAN]
    grade = p.erosion_grade(loss, region, M)
    assert grade.tolist() == [0, 0, 1, 2, 3, 4, 4, 5, 255]
    five = p.erosion_grade(loss, region, M, five=True)
    assert five.tolist() == [0, 0, 1, 2, 3, 3, 3, 4, 255]
    assert five.dtype == grade.dtype == np.uint8
    assert len(p.EROSION) == 6 and len(p.EROSION_FIVE) == 5


def test_erosion_refuses_unknown_regions_and_negative_loss():
    with pytest.raises(InputError, match="loess"):
        p.erosion_grade([1.0], "east", M)
    with pytest.raises(InputError, match="km2"):
        p.erosion_grade([-9999.0], "loess", M)


def test_desertification_only_on_sandy_land():
    cover = np.array([0, 0.0999, 0.1, 0.3, 0.5, 0.501, NAN, 0.2])
    sandy = np.array([True] * 7 + [False])
    assert p.desertification_grade(cover, sandy, M).tolist() == [3, 3, 2, 1, 1, 0, 255, 255]
    with pytest.raises(InputError, match="divided by 100"):
        p.desertification_grade(cover * 100, sandy, M)
    with pytest.raises(InputError, match="boolean"):
        p.desertification_grade(cover, sandy.astype(int), M)


def test_degradation_by_hand():
    index = p.degradation_index(np.array([0.45, 0.2, NAN, 0.3]), np.array([0.5, 0.8, 0.5, 0]))
    assert index[:2] == pytest.approx([90, 25]) and np.isnan(index[2:]).all()
    at = [120, 90, 89.9, 80, 70, 50, 49.9, NAN]
    assert p.degradation_grade(at, "grass", M).tolist() == [0, 0, 1, 1, 2, 3, 4, 255]
    at = [90, 75, 60, 30, 29.9]
    assert p.degradation_grade(at, "forest", M).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="grass"):
        p.degradation_grade(at, "shrub", M)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(0, 50))
def test_reference_of_a_zone_is_the_same_for_any_blocks(block, seed):
    g = np.random.default_rng(seed)
    cover = np.where(g.random((30, 20)) < 0.3, NAN, g.random((30, 20)))
    zones = g.integers(0, 4, (30, 20))
    zones[zones == 3] = 1  # zone 3 stays empty
    merged = np.full(4, NAN)
    for row in range(0, 30, block):
        part = slice(row, row + block)
        merged = np.fmax(merged, p.zone_maximum(cover[part], zones[part], 3))
    truth = [NAN, *(np.nanmax(cover[zones == z]) for z in (1, 2)), NAN]
    assert np.array_equal(merged, truth, equal_nan=True)
    index = p.degradation_index(cover, merged[zones])
    assert np.nanmax(index) == 100 and np.isnan(index[zones == 0]).all()


def test_zones_beyond_the_count_are_refused():
    with pytest.raises(InputError, match="to 2"):
        p.zone_maximum(np.ones(3), np.array([0, 1, 3]), 2)


def test_wetland_shrinkage():
    shrinkage = p.wetland_shrinkage([100, 100, 100, 0, NAN], [95, 120, 40, 10, 3])
    assert shrinkage[:3] == pytest.approx([5, -20, 60]) and np.isnan(shrinkage[3:]).all()
    at = [-20, 4.9, 5, 15, 30, 50, 50.1, NAN]
    assert p.shrinkage_grade(at, M).tolist() == [0, 0, 1, 2, 3, 3, 4, 255]


def test_trophic_index_by_hand():
    assert p.trophic_index(1.0, "chla", M) == pytest.approx(25)
    assert p.trophic_index(0.05, "tp", M) == pytest.approx(10 * (9.436 + 1.624 * math.log(0.05)))
    assert p.trophic_index(1.0, "tn", M) == pytest.approx(54.53)
    assert p.trophic_index(math.e, "cod", M) == pytest.approx(10 * (0.109 + 2.661))
    assert np.isnan(p.trophic_index([0.0, NAN], "tn", M)).all()
    at = [29.9, 30, 50, 60, 70, 70.1, NAN]
    assert p.trophic_grade(at, M).tolist() == [0, 1, 2, 3, 3, 4, 255]
    with pytest.raises(InputError, match="1000"):
        p.trophic_index(50.0, "tp", M)
    with pytest.raises(InputError, match="chla"):
        p.trophic_index(50.0, "ss", M)
    assert p.trophic_index(1.0, "sd", M) == pytest.approx(51.18)


def test_combined_trophic_index():
    # Published weights of the five parameters (26 lakes of China): .2663 .1879 .1790 .1834 .1834.
    names = ("chla", "tp", "tn", "sd", "cod")
    published = dict(zip(names, (0.2663, 0.1879, 0.1790, 0.1834, 0.1834), strict=True))
    values = {"chla": 20.0, "tp": 0.08, "tn": 1.2, "sd": 0.7, "cod": 5.0}
    single = {k: float(p.trophic_index(v, k, M)) for k, v in values.items()}
    expected = sum(published[k] * single[k] for k in names)
    assert float(p.combined_trophic_index(values, M)) == pytest.approx(expected, abs=0.02)
    # It lies between its parts, whatever subset is given, and a gap stays a gap.
    two = {k: np.array([values[k], NAN]) for k in ("chla", "tp")}
    first, gap = p.combined_trophic_index(two, M)
    assert min(single["chla"], single["tp"]) < first < max(single["chla"], single["tp"])
    assert np.isnan(gap)
    for few in ({}, {"chla": 3.0}, {"tp": 0.1, "tn": 1.0}):
        with pytest.raises(InputError, match="chla"):
            p.combined_trophic_index(few, M)


def test_rocky_desertification_by_the_table():
    slope = np.array([2, 10, 20, 30, 40.0])
    cover = np.array([0.9, 0.7, 0.5, 0.3, 0.1])
    rock = np.array([1, 2, 3, 4, 5])
    for way in ("", "median", "worst"):
        assert rocky(slope, cover, rock, M, way).tolist() == [
            0,
            1,
            2,
            3,
            4,
        ]
    # Limits: 5, 15, 25 belong to the steeper grade, 35 does not exceed 35; 80 % does not exceed 80.
    at = rocky([4.9, 5, 15, 25, 35, 35.1], 0.5, np.full(6, 3), M, "worst")
    assert at.tolist() == [2, 2, 2, 3, 3, 4]
    at = rocky(np.zeros(6), [0.81, 0.8, 0.6, 0.4, 0.2, 0.19], np.ones(6, int), M, "worst")
    assert at.tolist() == [0, 1, 1, 2, 3, 4]
    mixed = ([2.0], [0.1], np.array([3]))  # flat, bare, impure
    assert rocky(*mixed, M).tolist() == [2]
    assert rocky(*mixed, M, "worst").tolist() == [4]
    assert not M.option("rocky_combination", "median").sure


def test_rocky_desertification_needs_karst_and_every_factor():
    slope, cover = np.array([10.0, NAN, 10.0, 10.0]), np.array([0.7, 0.7, NAN, 0.7])
    rock = np.array([2, 2, 2, 0])
    assert rocky(slope, cover, rock, M).tolist() == [1, 255, 255, 255]
    for args, complaint in (
        (([120.0], [0.5], np.array([1])), "degree"),
        (([12.0], [50.0], np.array([1])), "divided by 100"),
        (([12.0], [0.5], np.array([9])), r"9 \(1 pixels\)"),
    ):
        with pytest.raises(InputError, match=complaint):
            rocky(*args, M)
    with pytest.raises(InputError, match="combination"):
        rocky([1.0], [0.5], np.array([1]), M, "mean")


def test_grades_are_the_same_for_any_chunking():
    loss = xr.DataArray(np.random.default_rng(2).uniform(0, 2e4, (31, 17)), dims=("y", "x"))

    def grade(values):
        return p.erosion_grade(values, "loess", M)

    whole = over_blocks(grade, loss, dtype=np.uint8)
    parts = over_blocks(grade, loss.chunk({"y": 4, "x": 5}), dtype=np.uint8)
    assert parts.dtype == np.uint8
    assert np.array_equal(parts.compute(scheduler="sync"), whole)
