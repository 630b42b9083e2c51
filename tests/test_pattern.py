"""Pattern of HJ 1171-2021: FRAGSTATS, pylandstats, pandas, hand-made cases."""

import math

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import DATA, real

from eco_index.errors import InputError
from eco_index.indices.patches import find_patches
from eco_index.indices.pattern import (
    aggregation,
    change_rate,
    check_same_grid,
    class_patterns,
    transfer,
)
from eco_index.methods import load_method


def read(name):
    import rasterio

    with rasterio.open(DATA / name) as source:
        return source.read(1), source.transform


def fragstats(ending):
    rows = pd.read_csv(
        DATA / "landscape30_fragstats" / f"landscape.{ending}", skipinitialspace=True
    )
    rows.columns = rows.columns.str.strip()
    return rows


@real
def test_class_table_of_fragstats():
    array, _ = read("landscape30_fragstats/landscape.tif")
    truth = {int(r["TYPE"].strip()[-1]): r for _, r in fragstats("class").iterrows()}
    ours = class_patterns(find_patches(array, [1, 2, 3], block=13))
    total = sum(c.area_ha for c in ours)
    for c in ours:
        row = truth[c.cls]
        assert c.area_ha == pytest.approx(row["CA"], abs=5e-5)
        assert 100 * c.composition == pytest.approx(row["PLAND"], abs=5e-5)
        assert c.patches == row["NP"]
        assert c.mean_patch_ha == pytest.approx(row["AREA_MN"], abs=5.1e-5)
        assert c.edge_m == pytest.approx(row["TE"])
        # FRAGSTATS divides by the landscape, the standard by the class
        assert c.edge_density * c.area_ha / total == pytest.approx(row["ED"], abs=5e-5)
        assert 100 * c.like_adjacency == pytest.approx(row["PLADJ"], abs=5e-5)


@real
def test_landscape_table_of_fragstats():
    array, _ = read("landscape30_fragstats/landscape.tif")
    row = fragstats("land").iloc[0]
    table = find_patches(array, [1, 2, 3])
    ours = class_patterns(table)
    assert len(table) == row["NP"]
    assert sum(c.edge_m for c in ours) / 2 == pytest.approx(row["TE"])
    assert 100 * aggregation(table).relative == pytest.approx(row["CONTAG"], abs=5e-5)
    shares = [c.composition for c in ours]
    assert -sum(p * math.log(p) for p in shares) == pytest.approx(row["SHDI"], abs=5e-5)


@real
@pytest.mark.parametrize(
    "name", ["podlasie_ccilc/podlasie_ccilc.tif", "vaud_landstatistics/ls100_12.tif"]
)
def test_real_land_cover_as_in_pylandstats(name):
    pls = pytest.importorskip("pylandstats")
    array, _ = read(name)
    fill = 255
    classes = np.unique(array[array != fill])
    table = find_patches(array, classes, fill=fill, pixel_size=(100.0, 100.0), block=100)
    peer = pls.Landscape(array, res=(100, 100), nodata=fill, neighborhood_rule="8")
    for c in class_patterns(table):
        assert c.patches == peer.number_of_patches(class_val=c.cls)
        assert c.mean_patch_ha == pytest.approx(peer.area_mn(class_val=c.cls))
        assert c.edge_m == pytest.approx(peer.total_edge(class_val=c.cls))
        assert 100 * c.composition == pytest.approx(peer.proportion_of_landscape(c.cls))
    # pylandstats is itself 0.1 off the contagion of FRAGSTATS on its 30 x 30 map, ours is not
    assert 100 * aggregation(table).relative == pytest.approx(peer.contagion(), abs=0.15)


@real
def test_transfer_of_vaud_is_the_cross_table():
    (before, grid), (after, other) = (
        read(f"vaud_landstatistics/ls100_{y}.tif") for y in ("06", "12")
    )
    with pytest.raises(InputError, match="pixels off"):
        check_same_grid(grid[:6], other[:6], before.shape)
    check_same_grid(grid[:6], grid[:6], before.shape)
    codes = np.unique([before, after])
    found = transfer(before, after, codes, fill=255, block=97)
    cross = pd.crosstab(before.ravel(), after.ravel())
    assert np.array_equal(found.pixels, cross.drop(index=255, columns=255).to_numpy())
    assert found.lost == cross.loc[:, 255].drop(255).sum()
    assert found.gained == cross.loc[255].drop(255).sum()
    assert np.allclose(found.outgoing().sum(axis=1), 100)
    assert np.allclose(found.incoming().sum(axis=0), 100)


def test_transfer_by_hand():
    before = np.array([[1, 1, 1, 1], [2, 2, 0, 2]], np.uint8)
    after = np.array([[1, 1, 2, 0], [2, 1, 1, 2]], np.uint8)
    found = transfer(before, after, [1, 2, 3], fill=0)
    assert found.pixels.tolist() == [[2, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert (found.lost, found.gained) == (1, 1)
    assert found.outgoing()[0].tolist() == pytest.approx([200 / 3, 100 / 3, 0])
    assert found.incoming()[:, 0].tolist() == pytest.approx([200 / 3, 100 / 3, 0])
    assert np.isnan(found.outgoing()[2]).all() and np.isnan(found.change_rates()[2])
    assert found.dynamic_degree() == pytest.approx(100 / 3)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_transfer_for_any_chunks(seed, height, width):
    random = np.random.default_rng(seed)
    before, after = random.integers(0, 4, (2, 12, 12)).astype(np.uint8)
    whole = transfer(before, after, [1, 2, 3], fill=0)
    parts = transfer(
        da.from_array(before, chunks=(height, width)), da.from_array(after), [1, 2, 3], fill=0
    )
    assert np.array_equal(whole.pixels, parts.pixels) and whole.lost == parts.lost
    top, low = (
        transfer(before[s], after[s], [1, 2, 3], fill=0) for s in (slice(5), slice(5, None))
    )
    assert np.array_equal(top.merge(low).pixels, whole.pixels)


def test_aggregation_at_its_limits():
    one = find_patches(np.ones((8, 8), np.uint8), [1, 2])
    assert np.isnan(aggregation(one).value) and aggregation(one).classes == 1
    board = np.indices((40, 40)).sum(axis=0) % 2 + 1
    halves = np.ones((400, 400), np.uint8)
    halves[:, 200:] = 2
    # a chess board has only unlike neighbours: P_12 = P_21 = 1/2
    assert aggregation(find_patches(board, [1, 2])).relative == pytest.approx(0.5)
    mixed = np.random.default_rng(1).integers(1, 3, (500, 500))
    assert aggregation(find_patches(mixed, [1, 2])).relative == pytest.approx(0, abs=1e-4)
    assert 0.45 < aggregation(find_patches(halves, [1, 2])).relative <= 0.5


def test_absent_classes_have_no_mean_and_no_zero_division():
    absent = class_patterns(find_patches(np.ones((3, 3), np.uint8), [1, 5]))[1]
    assert (absent.patches, absent.area_ha, absent.composition) == (0, 0, 0)
    assert np.isnan([absent.mean_patch_ha, absent.edge_density, absent.like_adjacency]).all()


def test_change_rates():
    assert change_rate(80, 100) == 25 and change_rate(80, 0) == -100
    assert np.isnan(change_rate(0, 5)) and np.isnan(change_rate(np.nan, 5))
    with pytest.raises(InputError, match="negative"):
        change_rate(-1, 5)


def test_wrong_maps_are_refused():
    with pytest.raises(InputError, match="shapes"):
        transfer(np.ones((2, 2), int), np.ones((2, 3), int), [1])
    with pytest.raises(InputError, match=r"7 \(1 pixels\)"):
        transfer(np.ones((1, 2), int), np.array([[1, 7]]), [1])
    with pytest.raises(InputError, match="float"):
        transfer(np.ones((1, 2)), np.ones((1, 2)), [1])


def test_the_method_file_says_what_is_not_attested():
    method = load_method("hj1171_2021")
    unsure = {n.key for n in method.items() if not n.sure}
    assert unsure == {"rule.aggregation_maximum", "rule.neighbours", "rule.map_border"}
