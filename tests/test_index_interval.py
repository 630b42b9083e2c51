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

from eco_index.analysis.index_interval import MapErrors, index_errors, mean_errors
from eco_index.analysis.uncertainty import combine
from eco_index.assessment.parts.index_intervals import with_interval
from eco_index.errors import InputError
from eco_index.indicators import evaluate, grade, held
from eco_index.methods import load_method
from eco_index.products import LUCC
from eco_index.report.render import render, visible_text
from eco_index.summary import TOTAL

METHOD, EI, EQI = (load_method(m) for m in ("uncertainty", "hj192_2015", "eqi_2021"))
COUNTS = np.array([[40, 8, 2], [5, 60, 5], [0, 6, 24]])
MAPPED = np.array([500.0, 300.0, 200.0])
WORTH = np.array([80.0, 50.0, 10.0])
NO_GAPS = np.zeros(3)


def worth(areas: np.ndarray, added: dict[str, float]) -> float:
    """Return a mean of the classes' worth over the unit."""
    return float(areas @ WORTH / areas.sum()) + added.get("ndvi", 0.0)


def errors_of(evaluated=worth, mapped=MAPPED, counts=COUNTS, gaps=NO_GAPS, others=None):
    return index_errors(evaluated, mapped, MapErrors.of(counts), gaps, others or {})


def test_a_linear_index_has_the_variance_of_a_stratified_mean() -> None:
    """Cochran 1977, 5.6: strata are the mapped classes, the worth is what is sampled."""
    rates, n = COUNTS / COUNTS.sum(axis=1, keepdims=True), COUNTS.sum(axis=1)
    mean = rates @ WORTH
    share = MAPPED / MAPPED.sum()
    variance = (share**2 * (rates @ WORTH**2 - mean**2) / (n - 1)).sum()
    found = errors_of()
    gaps, classes = found.parts(MapErrors.of(COUNTS))
    assert found.shift == pytest.approx(share @ mean - share @ WORTH)
    assert classes.sigma == pytest.approx(math.sqrt(variance), rel=2e-3)
    assert classes.shift == pytest.approx(found.shift)
    assert gaps.sigma == 0


@given(st.floats(-100, 100), st.integers(0, 2))
def test_what_all_classes_have_in_common_does_not_matter(more: float, most: int) -> None:
    mapped = np.roll(MAPPED, most)  # whichever class the others gain from
    found = errors_of(mapped=mapped)
    same = errors_of(lambda a, b: worth(a, b) + more, mapped)
    one, two = (e.parts(MapErrors.of(COUNTS))[1] for e in (found, same))
    assert two.sigma == pytest.approx(one.sigma) and two.shift == pytest.approx(one.shift)


def test_a_map_without_errors_has_none() -> None:
    found = errors_of(counts=np.diag([40, 60, 30]))
    assert found.shift == 0
    assert [p.sigma for p in found.parts(MapErrors.of(np.diag([40, 60, 30])))] == [0, 0]


def test_gaps_of_classes_and_of_other_inputs_add_up() -> None:
    found = errors_of(gaps=np.array([0.0, 20.0, 10.0]), others={"ndvi": 0.5})
    # Classes gain from the largest; a thousand km2 in all.
    by_class = [(50 - 80) * 20 / 1000, (10 - 80) * 10 / 1000]
    assert found.gaps == pytest.approx(sum(v**2 for v in by_class) + 0.25)


def test_one_set_of_samples_serves_all_units() -> None:
    """Errors of the map do not average out over units; gaps do."""
    one = errors_of(others={"ndvi": 0.5})
    mean = mean_errors([one] * 4, [10.0] * 4)
    errors = MapErrors.of(COUNTS)
    gaps, classes = mean.parts(errors)
    assert classes.sigma == pytest.approx(one.parts(errors)[1].sigma)
    assert gaps.sigma == pytest.approx(0.25, rel=2e-3)
    other = errors_of(mapped=MAPPED[::-1].copy())
    half = mean_errors([one, other], [1.0, 3.0])
    assert half.shift == pytest.approx((one.shift + 3 * other.shift) / 4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: errors_of(counts=np.array([[40, 8, 2], [1, 0, 0], [0, 6, 24]])), "two samples"),
        (lambda: errors_of(lambda a, b: math.nan), "cannot be evaluated"),
    ],
)
def test_bad_input_is_refused(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()


def test_a_class_that_the_unit_lacks_needs_no_samples() -> None:
    counts = np.array([[40, 8, 2], [0, 0, 0], [0, 6, 24]])
    assert np.isfinite(errors_of(mapped=np.array([5.0, 0, 3]), counts=counts).shift)


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


def test_the_intervals_hold_the_truth() -> None:
    """EI of 200 units whose map errs at known rates; 40 samples of each mapped class."""
    codes = [21, 32, 12, 61]
    at = [list(LUCC).index(c) for c in codes]
    rates = np.array([[0.8, 0.15, 0.05, 0], [0.1, 0.75, 0.1, 0.05], [0.02, 0.18, 0.8, 0],
                      [0, 0.2, 0, 0.8]])  # fmt: skip
    rng = np.random.default_rng(5)
    inside, wide, off = 0, [], []
    for _ in range(200):
        mapped = 1000 * rng.dirichlet([4, 4, 2, 2])
        result = evaluate(EI, unit(**{f"area_{c}": a for c, a in zip(codes, mapped, strict=True)}))
        value = held(EI, result)

        def index(areas, added, value=value):
            return value({f"area_{c}": float(areas[i]) for c, i in zip(codes, at, strict=True)})

        counts = np.zeros((len(LUCC), len(LUCC)))
        for i, q in zip(at, rates, strict=True):
            counts[i, at] = rng.multinomial(40, q)
        every = np.zeros(len(LUCC))
        every[at] = mapped
        errors = MapErrors.of(counts)
        found = index_errors(index, every, errors, np.zeros(len(LUCC)), {})
        interval = combine(result.value, found.parts(errors), METHOD, unit="1", limits=(0, 100))
        every[at] = mapped @ rates
        truth = index(every, {})
        inside += interval.low <= truth <= interval.high
        wide.append(interval.high - interval.low)
        off.append(abs(result.value - truth))
    assert 0.90 <= inside / 200 <= 0.99
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
