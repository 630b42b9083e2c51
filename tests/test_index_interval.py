"""Intervals of official indices: closed forms, coverage of a known truth, in an assessment."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_assessment_intervals import (
    HEIGHT,
    WIDTH,
    arrays,
    region_in,
    run,
    truth_land,
    write_samples,
)
from unit_inputs import unit

from eco_index.analysis.index_interval import MapErrors, gap_part, map_effects, mean_of_gaps
from eco_index.analysis.uncertainty import combine, normal_part
from eco_index.assessment.parts.index_intervals import with_interval
from eco_index.errors import InputError
from eco_index.indicators import evaluate, evaluate_together, grade, held
from eco_index.methods import load_method
from eco_index.products import LUCC
from eco_index.report.render import render, visible_text
from eco_index.summary import TOTAL

METHOD, EI, EQI = (load_method(m) for m in ("uncertainty", "hj192_2015", "eqi_2021"))
COUNTS = np.array([[40, 8, 2], [5, 60, 5], [0, 6, 24]])
ERRORS = MapErrors.of(COUNTS)
MAPPED = np.array([[500.0, 300.0, 200.0], [100.0, 200.0, 700.0]])
WORTH = np.array([80.0, 50.0, 10.0])


def worth(rates: np.ndarray, mapped: np.ndarray = MAPPED) -> np.ndarray:
    """Return the mean of the classes' worth over each unit."""
    return (mapped @ rates) @ WORTH / mapped.sum(axis=1)


def test_a_linear_index_has_the_variance_of_a_stratified_mean() -> None:
    """Cochran 1977, 5.6: strata are the mapped classes, the worth is what is sampled.

    With the one sample more that is shared by all classes (variance of a Dirichlet mean).
    """
    n = COUNTS.sum(axis=1)
    rates, more = COUNTS / n[:, None], (COUNTS + 1 / 3) / (n[:, None] + 1)
    mean = rates @ WORTH
    found = map_effects(worth, ERRORS)
    for k, share in enumerate(MAPPED / 1000):
        variance = (share**2 * (more @ WORTH**2 - (more @ WORTH) ** 2) / (n + 2)).sum()
        part = found.part(k, ERRORS)
        assert found.shift[k] == pytest.approx(share @ mean - share @ WORTH)
        assert part.sigma == pytest.approx(math.sqrt(variance), rel=2e-3)
        assert part.shift == pytest.approx(found.shift[k], abs=1e-6)


@given(st.floats(-100, 100), st.permutations(range(3)))
def test_neither_a_common_worth_nor_the_order_of_classes_matters(more: float, order) -> None:
    one = map_effects(worth, ERRORS).part(0, ERRORS)
    errors = MapErrors.of(COUNTS[np.ix_(order, order)])

    def other(rates: np.ndarray) -> np.ndarray:
        back = np.argsort(order)
        return worth(rates[np.ix_(back, back)]) + more

    two = map_effects(other, errors).part(0, errors)
    assert two.sigma == pytest.approx(one.sigma) and two.shift == pytest.approx(one.shift)


def test_samples_that_are_all_right_shift_nothing_and_are_not_certain() -> None:
    few, many = (MapErrors.of(np.diag([n, n, n])) for n in (30, 3000))
    one, two = map_effects(worth, few), map_effects(worth, many)
    assert not one.shift.any()
    assert one.part(0, few).sigma > 50 * two.part(0, many).sigma > 0


def test_one_set_of_samples_serves_all_units() -> None:
    """Errors of the map do not average out over units; gaps do."""
    same = np.repeat(MAPPED[:1], 4, axis=0)
    found = map_effects(lambda rates: worth(rates, same), ERRORS)
    mean = found.mean(np.ones(4)).part(0, ERRORS)
    assert mean.sigma == pytest.approx(found.part(0, ERRORS).sigma)
    gaps = mean_of_gaps([normal_part("gaps", 0.5)] * 4, np.ones(4))
    assert gaps.sigma == pytest.approx(0.25, rel=2e-3)
    both = map_effects(worth, ERRORS)
    assert both.mean(np.array([1, 3])).shift[0] == pytest.approx(both.shift @ [0.25, 0.75])


def test_gaps_of_classes_and_of_other_inputs_add_up() -> None:
    inputs = {"a": 500.0, "b": 300.0, "c": 200.0, "ndvi": 0.4}

    def value(changed) -> float:
        now = inputs | changed
        mean = sum(w * now[k] for k, w in zip("abc", WORTH, strict=True)) / 1000
        return mean + 10 * now["ndvi"]

    part = gap_part(value, inputs, {"a": 30.0, "b": 20.0, "c": 10.0}, {"ndvi": 0.05})
    by_class = [(50 - 80) * 20 / 1000, (10 - 80) * 10 / 1000]  # gained from the largest
    assert part.sigma == pytest.approx(math.hypot(*by_class, 0.5), rel=2e-3)
    assert gap_part(value, inputs, {}, {}).sigma == 0


def test_a_class_with_too_few_samples_is_taken_as_mapped() -> None:
    errors = MapErrors.of(np.array([[40, 8, 2], [1, 0, 0], [0, 6, 24]]))
    assert list(errors.known) == [True, False, True]
    assert errors.rates[1].tolist() == [0, 1, 0] and not errors.covariance(1).any()


def test_an_index_that_is_not_evaluated_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be evaluated"):
        map_effects(lambda rates: np.array([math.nan]), ERRORS)


def rows() -> list[dict]:
    """Two units of forest, grassland, cropland and sand."""
    areas = {"area_21": 400.0, "area_32": 300.0, "area_12": 200.0, "area_61": 100.0}
    less = {"area_21": 100.0, "area_32": 300.0, "area_12": 200.0, "area_61": 400.0}
    return [unit(**areas), unit(unit_id="150102", connectivity=0.2, **less)]


@pytest.mark.parametrize("method", [EI, EQI], ids=["EI", "EQI"])
def test_a_held_index_is_the_index(method) -> None:
    """Without the other units, and where none has anything of an indicator."""
    both = [r | {"disaster_area_share": 0.0} for r in rows()]
    result = evaluate(method, both[1], unit_set=both)
    value = held(method, result)
    assert value({}) == pytest.approx(result.value, abs=1e-12)
    better = value({"area_61": 300.0, "area_21": 200.0})
    assert better > result.value
    again = evaluate(method, both[1] | {"area_61": 300.0, "area_21": 200.0}, unit_set=both)
    assert better == pytest.approx(again.value)  # the greatest are those of the other unit


def test_a_held_index_does_not_round() -> None:
    result = evaluate(EI, rows()[0], {"rounding": "one_decimal"})
    value = held(EI, result)
    assert abs(value({}) - result.value) < 0.2
    assert value({"area_21": 400.001, "area_61": 99.999}) != value({})


@pytest.mark.parametrize("method", [EI, EQI], ids=["EI", "EQI"])
def test_units_together_are_what_they_are_one_by_one(method) -> None:
    every = [*rows(), rows()[0] | {"unit_id": "150103", "area_km2": None}]
    group = {"unit_group": "city_district"} if method is EQI else {}
    every.append(rows()[1] | {"unit_id": "150104"} | group)
    found = evaluate_together(method, every, every)
    alone = [evaluate(method, row, unit_set=every).value for row in every]
    expected = [math.nan if v is None else v for v in alone]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.isnan(found[2]) and np.isfinite(found[[0, 1, 3]]).all()


RATES = np.array([[0.8, 0.15, 0.05, 0], [0.1, 0.75, 0.1, 0.05], [0.02, 0.18, 0.8, 0],
                  [0, 0.2, 0, 0.8]])  # fmt: skip
CODES = (21, 32, 12, 61)


@pytest.mark.parametrize("method", [EI, EQI], ids=["EI", "EQI"])
def test_the_intervals_hold_the_truth(method) -> None:
    """Two units whose map errs at known rates, 40 samples of each mapped class, 100 times.

    EQI is scaled by the greatest of the units: their truth is so, too.
    """
    rng = np.random.default_rng(5)
    inside, wide, off = [], [], []
    for _ in range(100):
        mapped = 1000 * rng.dirichlet([4, 4, 2, 2], 2)

        def indices(rates, mapped=mapped):
            every = [unit(unit_id=f"u{k}", **{f"area_{c}": float(a) for c, a in
                     zip(CODES, areas @ rates, strict=True)})
                     for k, areas in enumerate(mapped)]  # fmt: skip
            return evaluate_together(method, every, every)

        errors = MapErrors.of(np.array([rng.multinomial(40, q) for q in RATES]))
        found = map_effects(indices, errors)
        printed, truth = indices(np.eye(4)), indices(RATES)
        for k in range(2):
            parts = [found.part(k, errors)]
            interval = combine(printed[k], parts, METHOD, unit="1", limits=(0, 100))
            inside.append(interval.low <= truth[k] <= interval.high)
            wide.append(interval.high - interval.low)
            off.append(abs(printed[k] - truth[k]))
    assert 0.90 <= np.mean(inside) <= 0.99
    assert np.mean(wide) < 10 and np.mean(off) > 0.2  # it tells something, and had to be shifted


def write_statistics(folder: Path) -> None:
    """Everything that the cube does not give, of both counties and both years."""
    given = unit()
    made = {"unit_name", "ndvi_mean", "land_disturbance", "connectivity"}
    own = [k for k in given if k not in made | {f"area_{c}" for c in LUCC}]
    for year in (2024, 2025):
        with (folder / f"statistics_{year}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, own)
            table.writeheader()
            for k in range(2):
                # Counties of the test are a thousandth of a real one.
                small = {n: given[n] / 1000 for n in own if n.endswith(("_km2", "_t", "m3", "_km"))}
                table.writerow({n: given[n] for n in own} | small | {"unit_id": f"z{k}"})


def few_clouds(_: int) -> np.ndarray:
    """One cloud over each county, less than what keeps an index from being evaluated."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((y - 20) ** 2 + (x - 12) ** 2 < 12) | ((y - 30) ** 2 + (x - 54) ** 2 < 12)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index_intervals")
    found = region_in(folder, arrays_of=lambda year: arrays(year, few_clouds))
    write_statistics(folder)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("index_out")


@pytest.fixture(scope="module")
def summary(made, folder):
    return run(made, folder)


def index_of(summary, unit_id: str, method: str):
    return next(
        i for i in summary.indices if i.unit == unit_id and i.method.partition("@")[0] == method
    )


@pytest.mark.parametrize("method", ["hj192_2015", "eqi_2021"])
@pytest.mark.parametrize("zone", ["z0", "z1", TOTAL])
def test_indices_of_an_assessment_have_intervals(summary, zone: str, method: str) -> None:
    index = index_of(summary, zone, method)
    assert index.interval is not None
    low, high = index.interval
    assert 0 <= low < high <= 100 and high - low < 30
    of = EI if method == "hj192_2015" else EQI
    order = [c.title for c in of.file.classes]
    first, last = order.index(grade(of, high).title), order.index(grade(of, low).title)
    assert list(index.grades) == order[first : last + 1]


def test_the_interval_lies_around_the_truth(summary) -> None:
    """The map calls every ninth pixel of the wood grassland: EI of the true areas is higher."""
    index = index_of(summary, "z0", "hj192_2015")
    land = truth_land(2025)[:, :40]
    areas = {f"area_{c}": float((land == c).sum()) for c in (21, 32)}
    whole = {f"area_{c}": 0.0 for c in LUCC} | areas
    scale = index.inputs["area_km2"] / land.size
    row = dict(index.inputs) | {n: a * scale for n, a in whole.items()}
    choices = {k: v for k, v in index.options.items() if isinstance(v, str)}
    truth = evaluate(EI, row, choices).value
    assert index.value < truth
    assert index.interval[0] <= truth <= index.interval[1]


def test_the_table_and_the_report_tell_them(summary, folder) -> None:
    pages = {p.name: p for p in render(folder / "summary.json")}
    index = index_of(summary, "z0", "hj192_2015")
    low, high = (f"{v:.2f}" for v in index.interval)
    for name, words in (("report.zh.html", f"（95%区间{low}至{high}）"),
                        ("report.en.html", f" (95 % interval {low} to {high})")):  # fmt: skip
        text = visible_text(pages[name].read_text(encoding="utf-8"))
        assert words in text and f"{low}–{high}" in text
    with pages["table.csv"].open(encoding="utf-8-sig", newline="") as file:
        line = next(x for x in csv.DictReader(file) if x["trace"] == index.trace)
    assert float(line["interval_low"]) == pytest.approx(index.interval[0])
    assert line["interval_kind"] == "confidence"


def test_a_class_without_samples_leaves_units_without(tmp_path) -> None:
    made = region_in(tmp_path)
    write_statistics(tmp_path)
    write_samples(tmp_path, of=(32,))
    found = run(made, tmp_path / "out")
    index = index_of(found, "z0", "hj192_2015")
    assert index.value is not None and index.interval is None and index.grades == ()
    notes = " ".join(n.en for a in found.analyses for n in a.notes)
    assert "fewer than two" in notes


def test_grades_are_those_the_interval_touches(summary) -> None:
    index = index_of(summary, "z0", "hj192_2015")
    limits = [EI.number(c.lower).required for c in EI.file.classes if c.lower]
    sure = with_interval(index, (limits[1], limits[0] - 0.1), EI)
    assert [g.en for g in sure.grades] == [EI.file.classes[1].title.en]
    unsure = with_interval(index, (limits[1] - 0.1, limits[0]), EI)
    assert [g.en for g in unsure.grades] == [c.title.en for c in EI.file.classes[:3]]
