"""Least-cost links: closed forms, networkx by brute force, equal to distances on even land."""

import math

import dask.array as da
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_index.errors import InputError, UsageError
from eco_index.indices.connectivity import border_pixels, connectivity, raster_links
from eco_index.indices.least_cost import cost_links, patch_boxes, resistance_of
from eco_index.indices.patches import PatchScan, blocks_of


def scene(seed, shape=(16, 19), share=0.15):
    g = np.random.default_rng(seed)
    cover = (g.random(shape) < share).astype(np.uint8)
    scan = PatchScan(shape, [1], 0)
    scan.add(cover)
    labels = scan.labels(cover, 0, 0)
    resistance = g.choice([1.0, 2.0, 5.0, 20.0, np.inf, np.nan], shape)
    return labels, resistance


def links(labels, resistance, size=(30.0, 20.0), limit=200.0):
    boxes = patch_boxes([border_pixels(np.asarray(labels))])
    return cost_links(labels, resistance, boxes, size, limit, 1.0)


def brute(labels, resistance, size, limit):
    """All pixels as one graph; for each pair a source and a sink that cost nothing."""
    dy, dx = size
    height, width = labels.shape
    count = labels.max()
    out = {}
    for a in range(1, count + 1):
        graph = nx.DiGraph()
        for y, x in np.ndindex(height, width):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    v, w = y + i, x + j
                    if (i, j) == (0, 0) or not (0 <= v < height and 0 <= w < width):
                        continue
                    if labels[y, x] != a and not np.isfinite(resistance[y, x]):
                        continue
                    here = 0.0 if labels[y, x] == a else resistance[y, x]
                    length = math.hypot(i * dy, j * dx) / 2
                    start = "a" if labels[y, x] == a else (y, x)
                    if labels[v, w] not in (0, a):
                        sink = ("sink", int(labels[v, w]))
                        old = graph.get_edge_data(start, sink, {"w": math.inf})["w"]
                        graph.add_edge(start, sink, w=min(old, length * here))
                    if np.isfinite(resistance[v, w]) and labels[v, w] != a:
                        cost = length * (here + resistance[v, w])
                        old = graph.get_edge_data(start, (v, w), {"w": math.inf})["w"]
                        graph.add_edge(start, (v, w), w=min(old, cost))
        if "a" not in graph:
            continue
        reached = nx.single_source_dijkstra_path_length(graph, "a", cutoff=limit, weight="w")
        for node, cost in reached.items():
            if node[0] == "sink" and node[1] > a:
                out[a - 1, node[1] - 1] = cost
    return out


def as_dict(found):
    pairs = zip(found.first.tolist(), found.second.tolist(), strict=True)
    return dict(zip(pairs, found.distance.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_as_networkx_by_brute_force(seed):
    labels, resistance = scene(seed)
    ours = as_dict(links(labels, resistance))
    truth = brute(labels, resistance, (30.0, 20.0), 200.0)
    assert ours.keys() == truth.keys() and len(ours) > 20
    assert all(ours[k] == pytest.approx(truth[k]) for k in truth)


def test_by_hand():
    labels = np.array([[1, 0, 0, 2]])
    found = links(labels, np.array([[9.0, 1.0, 3.0, 9.0]]), (30.0, 30.0))
    # half of the first gap, the step between the gaps, half of the second
    assert found.distance.tolist() == [15 * 1 + 30 * 2 + 15 * 3]
    assert as_dict(links(np.array([[1, 0, 2]]), np.ones((1, 3)), (30.0, 30.0))) == {(0, 1): 30}
    touching = np.array([[1, 0], [0, 2]])  # at a corner: nothing to cross
    assert links(touching, np.full((2, 2), 7.0)).distance.tolist() == [0]
    wall = np.array([[1.0, np.inf, 1.0]])
    assert links(np.array([[1, 0, 2]]), wall).first.size == 0
    around = np.array([[1, 1, 0, 0, 2], [0, 0, 0, 0, 0]])
    land = np.array([[1.0, 1, 50, 50, 1], [1, 1, 1, 1, 1]])
    cost = links(around, land, (30.0, 30.0), 500.0).distance[0]
    assert cost == pytest.approx(15 * math.sqrt(2) + 30 + 15 * math.sqrt(2))


def test_even_land_gives_distances_between_edges_up_to_the_turns():
    labels, _ = scene(5, (40, 40), 0.05)
    size = (30.0, 30.0)
    ours = as_dict(links(labels, np.ones(labels.shape), size, 300.0))
    numbers = np.arange(1, labels.max() + 1)
    straight = as_dict(raster_links([border_pixels(labels)], numbers, size, 300.0))
    assert len(ours) > 100 and ours.keys() <= straight.keys()
    for pair, cost in ours.items():
        # half a pixel at each end is crossed straight or slantwise
        assert straight[pair] * (1 - 1e-12) <= cost <= 1.09 * straight[pair] + 30 * math.sqrt(2)
    both = [p for p in straight if straight[p] <= 200]
    assert all(p in ours for p in both)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(1.0, 10.0))
def test_more_resistance_never_makes_a_way_cheaper(seed, factor):
    labels, resistance = scene(seed, (12, 12))
    before = as_dict(links(labels, resistance))
    g = np.random.default_rng(seed)
    more = np.where(g.random(labels.shape) < 0.3, resistance * factor, resistance)
    after = as_dict(links(labels, more))
    assert after.keys() <= before.keys()
    assert all(after[k] >= before[k] * (1 - 1e-12) for k in after)
    # the other way round costs the same
    back = as_dict(links(np.where(labels > 0, labels.max() + 1 - labels, 0), resistance))
    n = labels.max() - 1
    assert {(n - b, n - a): pytest.approx(c) for (a, b), c in back.items()} == before


def test_lazy_maps_and_windows_give_the_same():
    labels, resistance = scene(3, (60, 70), 0.03)
    whole = links(labels, resistance, limit=90.0)
    lazy = links(da.from_array(labels, 13), da.from_array(resistance, 17), limit=90.0)
    assert as_dict(whole) == as_dict(lazy) and whole.first.size > 10
    parts = [(labels[y : y + 20], y) for y in range(0, 60, 20)]
    boxes = patch_boxes([border_pixels(p, y, 0) for p, y in parts])
    assert np.array_equal(boxes, patch_boxes([border_pixels(labels)]))


def test_from_classes_to_connectivity():
    cover = np.array([[21, 31, 21], [51, 51, 51]], np.uint8)
    land = resistance_of(cover, {21: 1, 31: 2, 51: math.inf})
    scan = PatchScan(cover.shape, [21, 31, 51], 0)
    for _, _, part in blocks_of(cover):
        scan.add(part)
    table = scan.table()
    woods = table.of_class(21)
    labels = scan.labels(cover, 0, 0)
    boxes = patch_boxes([border_pixels(labels)])
    found = cost_links(labels, land, boxes[np.isin(boxes[:, 0], woods)], (30.0, 30.0), 1000.0, 1.0)
    assert found.distance.tolist() == [60]
    assert connectivity(np.array([3.0, 4.0]), found, 60).numerator == pytest.approx(25 + 12)


def test_says_what_is_wrong():
    labels, resistance = scene(1)
    with pytest.raises(InputError, match=r"77 \(1 pixels\)"):
        resistance_of(np.array([1, 77]), {1: 1.0})
    with pytest.raises(InputError, match="above 0"):
        resistance_of(np.array([1]), {1: 0.0})
    with pytest.raises(InputError, match="least_resistance"):
        links(labels, resistance * 0.5)
    with pytest.raises(InputError, match="one grid"):
        links(labels, resistance[:5])
    with pytest.raises(UsageError, match="cost"):
        links(labels, resistance, limit=math.nan)
