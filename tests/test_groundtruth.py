"""Plots, accuracy and the gate: published example, hand-computed cases, bad tables."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from eco_index.errors import InputError, UsageError
from eco_index.grid import Grid
from eco_index.groundtruth.accuracy import (
    ALL,
    accuracy_by_type,
    class_accuracy,
    parameter_accuracy,
)
from eco_index.groundtruth.gate import gate, kappa_grade
from eco_index.groundtruth.plots import check_plots, match_plots, read_plots
from eco_index.methods import load_method
from eco_index.period import Period

ALBERS = "+proj=aea +lat_0=0 +lon_0=105 +lat_1=25 +lat_2=47 +ellps=GRS80 +units=m +no_defs"
TODAY = dt.date(2025, 1, 1)
BOX = shapely.box(110, 40, 111, 41)
GOOD = {"id": "1", "type": "steppe", "x": "110.5", "y": "40.5", "date": "2024-07-31", "cover": 0.4}
# Olofsson et al. 2014, table 8: deforestation, forest gain, stable forest, stable non-forest.
SAMPLES = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
MAPPED = np.array([200_000, 150_000, 3_200_000, 6_450_000])
METHOD = load_method("hj1176_2021")


def test_published_example_of_olofsson_2014() -> None:
    got = class_accuracy(SAMPLES, MAPPED)
    assert got.overall == pytest.approx(0.95, abs=0.005)
    assert got.overall_interval == pytest.approx(0.02, abs=0.005)
    assert got.users == pytest.approx([0.88, 0.73, 0.93, 0.96], abs=0.005)
    assert got.users_interval == pytest.approx([0.07, 0.10, 0.04, 0.02], abs=0.005)
    assert got.producers == pytest.approx([0.75, 0.85, 0.93, 0.96], abs=0.005)
    # The paper prints 0.23 and 0.01 for the other two, which do not follow from its own table 8
    # (0.254 and 0.018; the resampled samples below agree with these).
    assert got.producers_interval[[0, 2]] == pytest.approx([0.21, 0.03], abs=0.005)
    hectares = got.area * 0.09, got.area_interval * 0.09
    assert got.area[0] == pytest.approx(235_086, abs=1)
    assert hectares[0] == pytest.approx([21_158, 11_686, 285_770, 581_386], abs=1)
    assert hectares[1] == pytest.approx([6_158, 3_756, 15_510, 16_282], abs=1)
    assert got.area.sum() == pytest.approx(MAPPED.sum())


def test_producers_intervals_equal_resampled_ones() -> None:
    random = np.random.default_rng(0)
    n = SAMPLES.sum(axis=1)
    draws = np.stack(
        [random.multinomial(k, row / k, 4000) for k, row in zip(n, SAMPLES, strict=True)]
    )
    shares = MAPPED[:, None, None] / n[:, None, None] * draws
    producers = np.einsum("iki->ki", shares) / shares.sum(axis=0)
    got = class_accuracy(SAMPLES, MAPPED).producers_interval
    assert 1.96 * producers.std(axis=0) == pytest.approx(got, rel=0.10)


def test_simple_random_sample_equals_plain_accuracy_and_kappa() -> None:
    got = class_accuracy(SAMPLES)
    mapped, reference = (np.repeat(axis.ravel(), SAMPLES.ravel()) for axis in np.indices((4, 4)))
    assert got.overall == pytest.approx((mapped == reference).mean())
    chance = sum((mapped == k).mean() * (reference == k).mean() for k in range(4))
    assert got.kappa == pytest.approx((got.overall - chance) / (1 - chance))
    assert got.area == pytest.approx(SAMPLES.sum(axis=0) / SAMPLES.sum())


def test_intervals_hold_the_truth() -> None:
    random = np.random.default_rng(4)
    truth = np.array([[0.08, 0.02], [0.05, 0.85]])
    area = truth.sum(axis=1) * 1000
    held = 0
    for _ in range(400):
        draws = [random.multinomial(200, row / row.sum()) for row in truth]
        got = class_accuracy(np.array(draws), area)
        held += abs(got.area[0] - 130) <= got.area_interval[0]
    assert 0.90 <= held / 400 <= 0.99


@pytest.mark.parametrize(
    ("counts", "area"),
    [
        (np.ones((2, 3)), None),
        (np.array([[1.5, 1], [1, 1]]), None),
        (np.zeros((2, 2)), None),
        (np.array([[5, 1], [0, 1]]), np.array([1, 1])),
        (np.array([[5, 1], [0, 3]]), np.array([1, 0])),
        (np.array([[5, 1], [0, 3]]), np.array([1, -1])),
        (np.array([[5, 1], [0, 3]]), np.array([1, 1, 1])),
    ],
)
def test_bad_samples(counts: np.ndarray, area: np.ndarray | None) -> None:
    with pytest.raises(InputError):
        class_accuracy(counts, area)


def test_parameter_accuracy_by_hand() -> None:
    got = parameter_accuracy(np.array([0.5, 0.3, 0.2, 0.1]), np.array([0.4, 0.3, 0.0, np.nan]))
    assert (got.n, got.n_missing, got.n_zero, got.n_ree) == (3, 1, 1, 2)
    assert got.bias == pytest.approx(-0.1)
    assert got.rmse == pytest.approx(math.sqrt(0.05 / 3))
    assert got.ree == pytest.approx(math.sqrt(0.25**2 / 2))
    assert got.p == pytest.approx(1 - got.ree)
    assert got.r2 == pytest.approx(np.corrcoef([0.5, 0.3, 0.2], [0.4, 0.3, 0])[0, 1] ** 2)


def test_nothing_retrieved_is_no_accuracy() -> None:
    none = parameter_accuracy(np.array([0.5]), np.array([np.nan]))
    zero = parameter_accuracy(np.array([0.5, 0.2]), np.zeros(2))
    assert none.n == 0 and math.isnan(none.p) and math.isnan(none.bias)
    assert zero.n == 2 and math.isnan(zero.p) and math.isnan(zero.r2) and zero.bias == -0.35


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1), st.sampled_from("ab")), min_size=1))
def test_types_make_up_the_whole(rows: list[tuple[float, float, str]]) -> None:
    seen, got, kinds = (list(c) for c in zip(*rows, strict=True))
    found = accuracy_by_type(np.array(seen), np.array(got), kinds)
    parts = [a for kind, a in found.items() if kind != ALL]
    assert sum(a.n for a in parts) == found[ALL].n
    assert sum(a.bias * a.n for a in parts) == pytest.approx(found[ALL].bias * len(rows), abs=1e-9)
    squares = sum(a.ree**2 * a.n for a in parts)
    assert squares == pytest.approx(found[ALL].ree ** 2 * len(rows), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cover": "40"}, ["cover 40", "percent"]),
        ({"cover": 1.2}, ["cover 1.2"]),
        ({"cover": -0.1}, ["cover -0.1"]),
        ({"cover": ""}, ["no cover"]),
        ({"cover": math.nan}, ["no cover"]),
        ({"date": "2025-01-02"}, ["future"]),
        ({"date": "31/07/2024"}, ["no date"]),
        ({"x": "109.9"}, ["outside the region"]),
        ({"x": "40.5", "y": "110.5"}, ["exchanged"]),
        ({"x": None}, ["no coordinates"]),
        ({"id": " "}, ["no id"]),
        ({"id": None}, ["no id"]),
        ({"type": ""}, ["no type"]),
    ],
)
def test_bad_plot_is_named(change: dict, words: list[str]) -> None:
    table = [GOOD, GOOD | {"id": "2"} | change]
    with pytest.raises(InputError) as caught:
        check_plots(table, region=BOX, today=TODAY)
    assert "row 3" in str(caught.value)
    assert all(w in str(caught.value) for w in words)


def test_all_problems_at_once() -> None:
    table = [GOOD, GOOD, GOOD | {"id": "3", "x": 10}, GOOD | {"id": "4", "date": "2999-01-01"}]
    with pytest.raises(InputError) as caught:
        check_plots(table, region=BOX, today=TODAY)
    text = str(caught.value)
    assert "3 problem" in text
    assert all(w in text for w in ("id of row 2", "outside the region", "future"))


def test_table_file(tmp_path: Path) -> None:
    path = tmp_path / "plots.csv"
    path.write_text(
        "\ufeffid,type,species,x,y,date,cover\na,草原,Stipa,110.5,40.5,2024-07-31,0.4\n", "utf-8"
    )
    (plot,) = read_plots(path, region=BOX, today=TODAY)
    assert (plot.type, plot.cover, plot.date) == ("草原", 0.4, dt.date(2024, 7, 31))
    path.write_text("id,x,y,date\n1,2,3,2024-01-01\n", "utf-8")
    with pytest.raises(InputError, match="type, cover"):
        read_plots(path)
    path.write_bytes("id,type,x,y,date,cover\n1,草原,2,3,2024-01-01,1\n".encode("gbk"))
    with pytest.raises(InputError, match="UTF-8"):
        read_plots(path)
    path.write_text("id,type,x,y,date,cover\n", "utf-8")
    with pytest.raises(InputError, match="no rows"):
        read_plots(path)
    with pytest.raises(InputError):
        read_plots(tmp_path / "none.csv")


def test_plots_find_their_pixels() -> None:
    grid = Grid(CRS.from_user_input(ALBERS).to_wkt(), 30, (0, 4_000_000, 1500, 4_001_200), 16, 8)
    values = np.linspace(0, 1, grid.shape[0] * grid.shape[1]).reshape(grid.shape)
    values[3, 4] = np.nan
    places = [(0, 0), (3, 4), (39, 49), (17, 33)]
    x = [grid.x()[c] + 14.9 for _, c in places]
    y = [grid.y()[r] - 14.9 for r, _ in places]
    back = Transformer.from_crs(grid.crs, 4326, always_xy=True)
    lon, lat = back.transform([*x, -20.0, x[0]], [*y, y[0], y[0]])
    dates = ["2024-07-31"] * 5 + ["2023-07-31"]
    table = [
        GOOD | {"id": str(k), "x": lon[k], "y": lat[k], "date": dates[k]} for k in range(len(lon))
    ]
    reads = []

    def read(rows: slice, columns: slice) -> np.ndarray:
        reads.append((rows.start, columns.start))
        return values[rows, columns]

    plots = check_plots(table, today=TODAY)
    got = match_plots(plots, grid, read, period=Period(2024))
    assert list(zip(got.rows.tolist(), got.columns.tolist(), strict=True)) == places
    np.testing.assert_array_equal(got.retrieved, [values[p] for p in places])
    assert (got.other_period, got.off_grid) == (("5",), ("4",))
    assert len(reads) == len(set(reads)) == 3
    with pytest.raises(InputError, match="scale"):
        match_plots(plots, grid, lambda r, c: values[r, c] * 10000)


def good_classes() -> SimpleNamespace:
    return class_accuracy(SAMPLES, MAPPED)


def fvc(observed: list[float], retrieved: list[float]) -> dict:
    kinds = ["steppe", "meadow"][: len(observed)]
    return {"fvc": accuracy_by_type(np.array(observed), np.array(retrieved), kinds)}


def test_gate_passes_at_the_limit_and_names_a_bad_type() -> None:
    edge = gate(fvc([0.5, 0.5], [0.5, 0.5]), good_classes(), METHOD)
    assert edge.passed and edge.open and not edge.notes
    uneven = gate(fvc([0.5, 0.375], [0.5, 0.5]), good_classes(), METHOD)
    assert uneven.passed and len(uneven.notes) == 1
    assert "75.00 %" in uneven.notes[0].en and "meadow" in uneven.notes[0].zh


def test_gate_blocks_with_reasons() -> None:
    flat = class_accuracy(np.array([[85, 15], [15, 85]]))
    blocked = gate(fvc([0.5, 0.2], [0.3, 0.3]), flat, METHOD)
    assert not blocked.passed and not blocked.open
    assert len(blocked.reasons) == 2
    assert "below 80 %" in blocked.reasons[0].en and "not above 85 %" in blocked.reasons[1].en
    assert "低于80%" in blocked.reasons[0].zh and "未超过85%" in blocked.reasons[1].zh
    freed = blocked.overridden("interim figures for the field campaign")
    assert freed.open and not freed.passed and freed.reasons == blocked.reasons
    with pytest.raises(UsageError):
        blocked.overridden("  ")


def test_unchecked_is_not_passed() -> None:
    assert len(gate({}, None, METHOD).reasons) == 2
    zero = gate(fvc([0.5, 0.2], [0.0, 0.0]), good_classes(), METHOD)
    assert not zero.passed and "2 of them zero" in zero.reasons[0].en
    assert any("take no part in P" in n.en for n in zero.notes)


@pytest.mark.parametrize(
    ("kappa", "grade"),
    [
        (-0.1, "很差"),
        (0, "差"),
        (0.2, "一般"),
        (0.59, "好"),
        (0.6, "很好"),
        (0.8, "极好"),
        (1, "极好"),
    ],
)
def test_grades_of_kappa(kappa: float, grade: str) -> None:
    found = kappa_grade(kappa, METHOD)
    assert found is not None and found.zh == grade
    assert kappa_grade(math.nan, METHOD) is None
