"""Minimum area of forest patches, exact across tile borders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from eco_index.errors import InputError, UsageError
from eco_index.indicators import forest as rates
from eco_index.indices import forest, forest_map
from eco_index.methods import load_method

METHOD = load_method("forest_coverage")


@pytest.mark.parametrize(
    ("hectares", "pixel_m2", "count"),
    [(0.067, 900.0, 1), (0.067, 100.0, 7), (0.067, 670.0, 1), (0.067, 669.9, 2), (1.0, 100.0, 100)],
)
def test_pixels_of_the_minimum_area(hectares: float, pixel_m2: float, count: int) -> None:
    assert forest.min_pixels(hectares, pixel_m2) == count


def test_minimum_area_beyond_all_tiles() -> None:
    with pytest.raises(UsageError, match="takes 1000000 pixels"):
        forest.min_pixels(100.0, 1.0)


def test_patches_touch_at_corners() -> None:
    trees = np.zeros((8, 8), bool)
    trees[[0, 1, 2], [0, 1, 2]] = True  # a diagonal of three
    trees[6, 6] = trees[6, 7] = True
    got = forest.minimum_patches(trees, 3)
    assert got.sum() == 3 and got[1, 1] and not got[6, 6]
    assert forest.minimum_patches(trees, 1).sum() == 5


@given(
    st.integers(0, 10_000),
    st.floats(0.1, 0.6),
    st.integers(1, 12),
    st.integers(3, 20),
    st.integers(3, 20),
)
def test_tiles_with_their_halo_equal_the_whole(
    seed: int, share: float, pixels: int, height: int, width: int
) -> None:
    trees = np.random.default_rng(seed).random((37, 41)) < share
    # The plain way: label everything, drop small labels.
    labels, n = ndimage.label(trees, structure=np.ones((3, 3)))
    sizes = ndimage.sum_labels(trees, labels, np.arange(n + 1))
    whole = trees & (sizes[labels] >= pixels)
    halo = forest.halo_of(pixels)
    out = np.zeros_like(trees)
    for y in range(0, 37, height):
        for x in range(0, 41, width):
            y0, x0 = max(0, y - halo), max(0, x - halo)
            part = trees[y0 : y + height + halo, x0 : x + width + halo]
            kept = forest.minimum_patches(part, pixels)
            h, w = min(height, 37 - y), min(width, 41 - x)
            out[y : y + h, x : x + w] = kept[y - y0 : y - y0 + h, x - x0 : x - x0 + w]
    np.testing.assert_array_equal(out, whole)


def test_a_smaller_halo_would_not_do() -> None:
    trees = np.zeros((1, 20), bool)
    trees[0, 9:15] = True  # six in a row, seen from the tile that ends after its first pixel
    need = 6
    assert forest.minimum_patches(trees[:, : 10 + forest.halo_of(need)], need)[0, 9]
    assert not forest.minimum_patches(trees[:, : 10 + forest.halo_of(need) - 1], need)[0, 9]


def maps() -> dict[str, xr.DataArray]:
    gen = np.random.default_rng(9)
    shape = (40, 50)
    codes = np.kron(gen.choice([21, 22, 23, 31, 0], (20, 25)), np.ones((2, 2), int))
    unknown = gen.random(shape) < 0.05
    data = {
        "classes": codes.astype(np.uint8),
        "canopy": np.where(unknown, np.nan, gen.random(shape) * 0.5),
        "cover": gen.random(shape) * 0.8,
        "rain": np.where(np.arange(50) < 30, 250.0, 520.0)[None, :].repeat(40, 0),
    }
    return {k: xr.DataArray(v, dims=("y", "x")) for k, v in data.items()}


def whole_map(**options: xr.DataArray) -> xr.DataArray:
    given = maps() | options
    return forest_map.forest_map(method=METHOD, pixel_area_m2=100.0, **given)


def test_forest_map_by_the_definition() -> None:
    """The plain way: label the whole map, count, compare."""
    m = {k: v.to_numpy() for k, v in maps().items()}
    tree = np.isin(m["classes"], (21, 23)) & (np.nan_to_num(m["canopy"]) >= 0.2)
    shrub = (m["classes"] == 22) & (m["cover"] >= 0.3) & (m["rain"] < 400)
    expected = np.zeros(tree.shape, np.uint8)
    for value, mask in ((2, shrub), (1, tree)):
        labels, n = ndimage.label(mask, structure=np.ones((3, 3)))
        sizes = ndimage.sum_labels(mask, labels, np.arange(n + 1))
        expected[mask & (sizes[labels] >= 7)] = value  # 0.067 ha of 100 m2 pixels
    expected[(m["classes"] == 0) | (np.isin(m["classes"], (21, 23)) & np.isnan(m["canopy"]))] = 255
    got = whole_map()
    np.testing.assert_array_equal(got, expected)
    assert {0, 1, 2, 255} == set(np.unique(got)) and got.attrs["minimum_pixels"] == 7
    assert not (got.to_numpy()[:, 30:] == 2).any()  # shrubs where it rains are no forest


@settings(max_examples=12, deadline=None)
@given(st.integers(8, 40), st.integers(8, 50))
def test_forest_map_does_not_depend_on_chunks(rows: int, columns: int) -> None:
    lazy = {k: v.chunk({"y": rows, "x": columns}) for k, v in maps().items()}
    lazy["rain"] = maps()["rain"]  # a plain array among chunked ones
    got = whole_map(**lazy)
    assert got.chunks is not None
    np.testing.assert_array_equal(got.compute(), whole_map())


def test_unknown_shrubs_stay_unknown() -> None:
    shrub = np.array([True, True, True, True, False])
    cover = np.array([0.5, np.nan, np.nan, 0.1, np.nan])
    rain = np.array([300.0, 300.0, 900.0, np.nan, np.nan])
    special, known = forest_map.special_shrubland(shrub, cover, rain, METHOD)
    assert special.tolist() == [True, False, False, False, False]
    # Much rain or little cover alone says no; no shrub, no question.
    assert known.tolist() == [True, False, True, True, True]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"canopy": maps()["canopy"] * 100}, "canopy closure"),
        ({"cover": maps()["cover"] * 100}, "shrub cover"),
        ({"rain": maps()["rain"] * -1}, "annual rain"),
        ({"rain": None}, "both cover and rain"),
        ({"canopy": maps()["canopy"][:5]}, "'canopy' is"),
    ],
)
def test_forest_map_refuses(change: dict[str, xr.DataArray], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        whole_map(**change)


def table(folder: Path, *rows: str) -> Path:
    path = folder / "units.csv"
    path.write_text("\n".join(("unit,land_ha,linear_trees_ha", *rows)), encoding="utf-8")
    return path


def test_both_rates_by_hand(tmp_path: Path) -> None:
    counts = rates.ForestCounts(3)
    mapped = np.zeros((10, 30), np.uint8)
    mapped[:3, :10] = 1  # zone 1: 30 pixels of 1 ha forest, 20 shrubland
    mapped[3:5, :10] = 2
    mapped[:1, 10:20] = 1  # zone 2: 10 forest, 50 unknown
    mapped[5:, 10:20] = 255
    zones = np.repeat([1, 2, 3], 10)[None, :].repeat(10, 0)
    counts.add(mapped[:4], zones[:4])
    counts.add(mapped[4:], zones[4:])
    known = rates.read_unit_table(table(tmp_path, "a,100,5", "b,100,3", "c,100,"))
    a, b, c = rates.forest_rates(counts, ["a", "b", "c"], known, 10_000.0, True)
    assert (a.official_percent, a.map_percent, a.missing) == (55.0, 30.0, ())
    assert (b.official_percent, b.map_percent, b.no_data_ha) == (None, 20.0, 50.0)
    assert b.missing == ("map",) and c.missing == ("linear_trees",)
    assert c.map_percent == 0 and c.official_percent is None
    only_map = rates.forest_rates(counts, ["a", "b", "c"], known, 10_000.0, False)
    assert only_map[0].missing == ("special_shrubland",) and only_map[0].map_percent == 30.0
    with pytest.raises(InputError, match="no row for d"):
        rates.forest_rates(counts, ["a", "b", "d"], known, 10_000.0, True)
    with pytest.raises(InputError, match="unit 'a' has 505"):
        rates.forest_rates(counts, ["a", "b", "c"], known, 100_000.0, True)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ((), "empty"),
        (("a,100,1", "a,90,1"), "given twice"),
        (("a,0,1",), "land area"),
        (("a,100,-1",), "linear_trees_ha is '-1'"),
        (("a,x,1",), "land_ha is 'x'"),
    ],
)
def test_bad_tables(tmp_path: Path, rows: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        rates.read_unit_table(table(tmp_path, *rows))


def test_bad_table_files_and_counts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        rates.read_unit_table(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_text("unit,land_ha\na,3\n", encoding="utf-8")
    with pytest.raises(InputError, match="missing: linear_trees_ha"):
        rates.read_unit_table(tmp_path / "x.csv")
    counts = rates.ForestCounts(1)
    for forest_, zones, complaint in (
        (np.zeros((2, 2), np.uint8), np.full((2, 2), 2), "zones 2"),
        (np.full((2, 2), 7, np.uint8), np.ones((2, 2), int), "holds"),
        (np.zeros((2, 2)), np.ones((2, 2), int), "float64"),
    ):
        with pytest.raises(InputError, match=complaint):
            counts.add(forest_, zones)
