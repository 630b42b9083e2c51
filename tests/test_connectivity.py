"""Connectivity: closed forms, networkx by brute force, FRAGSTATS distances, real forest patches."""

import math

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from shared_data import DATA, real

from eco_index.errors import InputError, UsageError
from eco_index.indices.connectivity import (
    Links,
    border_pixels,
    connectivity,
    polygon_links,
    raster_links,
)
from eco_index.indices.patches import PatchScan, blocks_of


def links(*rows):
    first, second, distance = zip(*rows, strict=True) if rows else ((), (), ())
    return Links(np.array(first, int), np.array(second, int), np.array(distance, float))


def network(seed, n, share):
    random = np.random.default_rng(seed)
    first, second = np.nonzero(np.triu(random.random((n, n)) < share, 1))
    return random.uniform(0.5, 50, n), Links(first, second, random.uniform(0, 3000, first.size))


def brute(area, found, rate, gone=None):
    graph = nx.Graph()
    graph.add_nodes_from(range(len(area)))
    for a, b, d in zip(found.first, found.second, found.distance, strict=True):
        graph.add_edge(int(a), int(b), w=rate * d)
    if gone is not None:
        graph.remove_node(gone)
    return sum(
        area[s] * area[t] * math.exp(-d)
        for s, row in nx.all_pairs_dijkstra_path_length(graph, weight="w")
        for t, d in row.items()
    )


def test_closed_forms():
    alone = connectivity(np.array([3.0, 4.0]), links(), 100, landscape_ha=10)
    assert alone.numerator == 25 and alone.ec_ha == 5 and alone.pc == 0.25
    assert alone.d_pc.tolist() == pytest.approx([36, 64])
    # at the dispersal distance a link has probability one half
    two = connectivity(np.array([3.0, 4.0]), links((0, 1, 100)), 100)
    assert two.numerator == pytest.approx(25 + 2 * 12 * 0.5) and math.isnan(two.pc)
    touching = connectivity(np.array([3.0, 4.0]), links((0, 1, 0)), 100)
    assert touching.ec_ha == pytest.approx(7)
    # a stepping stone: the middle patch carries the only path of the two others
    chain = connectivity(np.array([1.0, 2.0, 5.0]), links((0, 1, 100), (1, 2, 100)), 100)
    total = 1 + 4 + 25 + 2 * (2 * 0.5 + 10 * 0.5 + 5 * 0.25)
    assert chain.numerator == pytest.approx(total)
    assert chain.connector.tolist() == pytest.approx([0, 100 * 2 * 5 * 0.25 / total, 0])


@pytest.mark.parametrize("seed", range(8))
def test_pc_and_exact_removal_as_networkx_by_brute_force(seed):
    n = 6 + 4 * seed
    area, found = network(seed, n, 0.12 + 0.3 * (seed % 2))
    rate = math.log(2) / 800
    ours = connectivity(area, found, 800)
    whole = brute(area, found, rate)
    assert ours.numerator == pytest.approx(whole, rel=1e-12)
    removed = [100 * (whole - brute(area, found, rate, k)) / whole for k in range(n)]
    assert ours.d_pc == pytest.approx(np.array(removed), rel=1e-9, abs=1e-9)
    assert ours.d_pc == pytest.approx(ours.intra + ours.flux + ours.connector)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 14), st.floats(0, 1), st.floats(0, 4000))
def test_a_link_never_lowers_pc_and_permuting_changes_nothing(seed, n, share, distance):
    area, found = network(seed, n, share)
    random = np.random.default_rng(seed)
    before = connectivity(area, found, 700)
    a, b = random.choice(n, 2, replace=False)
    more = Links(
        np.append(found.first, a), np.append(found.second, b), np.append(found.distance, distance)
    )
    assert connectivity(area, more, 700).numerator >= before.numerator * (1 - 1e-12)
    if not found.first.size:
        assert connectivity(area, more, 700).numerator > before.numerator
    new = random.permutation(n)  # patch k becomes new[k]
    moved = np.empty(n)
    moved[new] = area
    order = random.permutation(found.first.size)
    other = Links(new[found.second][order], new[found.first][order], found.distance[order])
    after = connectivity(moved, other, 700)
    assert after.ec_ha == pytest.approx(before.ec_ha, rel=1e-12)
    assert after.d_pc[new] == pytest.approx(before.d_pc, rel=1e-9, abs=1e-9)
    assert area.max() * (1 - 1e-12) <= before.ec_ha <= area.sum() * (1 + 1e-12)


def test_paths_below_the_least_probability_count_as_none():
    chain = links((0, 1, 100), (1, 2, 100))
    cut = connectivity(np.ones(3), chain, 100, least_probability=0.3)
    assert cut.numerator == pytest.approx(3 + 2 * (0.5 + 0.5))
    assert connectivity(np.ones(3), chain, 100, least_probability=0.2).numerator > cut.numerator


def pixels_of(array, classes, block, **options):
    scan = PatchScan(array.shape, classes, 0, **options)
    for _, _, part in blocks_of(array, block):
        scan.add(part)
    table = scan.table()
    return table, [border_pixels(scan.labels(p, y, x), y, x) for y, x, p in blocks_of(array, block)]


@pytest.mark.parametrize("edges", [True, False])
@pytest.mark.parametrize("block", [5, 100])
def test_raster_distances_by_brute_force(block, edges):
    array = (np.random.default_rng(4).random((40, 50)) < 0.22).astype(np.uint8)
    table, points = pixels_of(array, [1], block)
    found = raster_links(points, table.id, (30.0, 20.0), 100.0, edges=edges)
    scan = PatchScan(array.shape, [1], 0)
    scan.add(array)
    label = scan.labels(array, 0, 0)
    truth = {}
    for a in range(len(table)):
        for b in range(a + 1, len(table)):
            p, q = np.argwhere(label == a + 1), np.argwhere(label == b + 1)
            step = np.abs(p[:, None] - q[None])
            step = np.maximum(step - 1, 0) if edges else step
            d = np.hypot(step[..., 0] * 30.0, step[..., 1] * 20.0).min()
            if d <= 100:
                truth[a, b] = d
    pairs = zip(found.first.tolist(), found.second.tolist(), strict=True)
    ours = dict(zip(pairs, found.distance, strict=True))
    assert ours.keys() == truth.keys() and len(ours) > 50
    assert all(ours[k] == pytest.approx(truth[k]) for k in truth)


@real
def test_nearest_neighbours_of_fragstats():
    import rasterio

    with rasterio.open(DATA / "landscape30_fragstats" / "landscape.tif") as source:
        array = source.read(1)
    rows = pd.read_csv(DATA / "landscape30_fragstats" / "landscape.patch", skipinitialspace=True)
    rows.columns = rows.columns.str.strip()
    table, points = pixels_of(array, [1, 2, 3], 13)
    for code in (1, 2, 3):
        numbers = table.of_class(code)
        found = raster_links(points, numbers, (1.0, 1.0), 100.0, edges=False)
        nearest = np.full(numbers.size, np.inf)
        np.minimum.at(nearest, found.first, found.distance)
        np.minimum.at(nearest, found.second, found.distance)
        truth = rows.loc[rows["TYPE"].str.strip() == f"cls_{code}", ["AREA", "ENN"]].astype(float)
        ours = sorted(zip(table.area_ha[numbers - 1].round(4), nearest, strict=True))
        assert np.allclose(ours, sorted(truth.itertuples(index=False, name=None)), atol=5.1e-5)


@real
def test_real_forest_patches():
    import json

    import geopandas as gpd

    folder = DATA / "makurhini_habitat_nodes"
    frame = gpd.read_file(folder / "habitat_nodes.gpkg")
    shapes = frame.geometry.to_numpy()
    with pytest.raises(InputError, match="1 polygons are empty or invalid"):
        polygon_links(shapes, 5000)
    found = polygon_links(frame.geometry.make_valid().to_numpy(), 1500)
    area = frame["area_ha"].to_numpy()
    ours = connectivity(area, found, 1000)
    assert ours.numerator == pytest.approx(brute(area, found, math.log(2) / 1000), rel=1e-11)
    for k in np.argsort(-ours.connector)[[0, 1]]:  # the best stepping stones
        left = brute(area, found, math.log(2) / 1000, int(k))
        assert ours.d_pc[k] == pytest.approx(100 * (1 - left / ours.numerator), rel=1e-8)
    assert ours.connector.max() > 0.1
    # straight lines between centroids: the plain formula noted beside the data
    table = pd.read_csv(folder / "habitat_nodes.csv")
    centre, area = table[["cx", "cy"]].to_numpy(), table["area_ha"].to_numpy()
    pairs = cKDTree(centre).query_pairs(1e7, output_type="ndarray")
    length = np.hypot(*(centre[pairs[:, 0]] - centre[pairs[:, 1]]).T)
    plain = connectivity(area, Links(*pairs.T, length), 10000)
    noted = json.loads((folder / "published_but_not_reproduced.json").read_text())
    assert plain.numerator == pytest.approx(noted["plain_formula_here"]["PCnum"], rel=1e-6)
    assert plain.ec_ha == pytest.approx(noted["plain_formula_here"]["EC_PC"], rel=1e-6)
    assert plain.intra.sum() == pytest.approx(noted["plain_formula_here"]["PCintra_pct"], abs=1e-3)
    # without detours, nobody needs a patch between (up to points on one line)
    assert np.abs(plain.connector).max() < 1e-6


@pytest.mark.parametrize("area", [[], [1, 0], [1, np.nan], [[1.0]], [-1, 2]])
def test_areas_that_cannot_be(area):
    with pytest.raises(InputError):
        connectivity(np.array(area, float), links(), 100)


@pytest.mark.parametrize("link", [(0, 0, 1), (0, 5, 1), (0, 1, -1), (0, 1, np.nan), (-1, 1, 1)])
def test_links_that_cannot_be(link):
    with pytest.raises(InputError, match="link"):
        connectivity(np.ones(3), links(link), 100)


def test_parameters_outside_their_range():
    for wrong in (
        {"dispersal_m": 0},
        {"dispersal_m": math.nan},
        {"dispersal_m": 1, "probability": 1},
    ):
        with pytest.raises(UsageError):
            connectivity(np.ones(2), links(), **wrong)
    with pytest.raises(InputError, match="both in ha"):
        connectivity(np.ones(2), links(), 100, landscape_ha=1)
    with pytest.raises(UsageError):
        raster_links([], np.array([1]), (1, 1), -1)
    with pytest.raises(InputError, match="no pixel"):
        raster_links([], np.array([1]), (1, 1), 1)
