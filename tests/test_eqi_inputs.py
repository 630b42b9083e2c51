"""Inputs of EQI from land cover, vectors and tables: by hand and by networkx."""

from __future__ import annotations

import math
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from scipy import ndimage
from shapely.geometry import LineString, Point, box
from unit_inputs import species_file
from zone_fakes import CRS as ALBERS
from zone_fakes import RES

from eco_index.errors import InputError
from eco_index.indicators import spaces
from eco_index.indicators.connected import Spaces, spaces_connectivity
from eco_index.indicators.species import read_species, species_inputs
from eco_index.methods import load_method
from eco_index.period import Period

EQI = load_method("eqi_2021")
AREA = CRS.from_user_input(ALBERS)
UNITS = [box(0, 0, 1000, 1000), box(1000, 0, 2000, 1000)]
YEAR = Period.parse("2025")
KM2 = RES * RES / 1e6


# --- polygons and lines, by hand ---------------------------------------------------------------


def test_share_of_units_counts_overlaps_once() -> None:
    parts = [box(0, 0, 500, 1000), box(250, 0, 500, 1000), box(900, 0, 1100, 500)]
    found = spaces.area_share(UNITS, parts, AREA)
    assert found == pytest.approx([50 + 5, 5])
    assert spaces.area_share(UNITS, [], AREA).tolist() == [0, 0]


def test_share_within_built_up_areas() -> None:
    built = [box(0, 0, 200, 100)]
    green = [box(100, 0, 400, 50)]  # a quarter of the built-up area; what lies outside is no matter
    found = spaces.area_share(UNITS, green, AREA, built)
    assert found[0] == pytest.approx(25)
    assert math.isnan(found[1])  # no built-up area: no share, not zero


def test_parks_beyond_the_border_serve_the_unit() -> None:
    built = [box(0, 0, 2000, 100)]
    found = spaces.park_access(UNITS, built, [box(1200, 0, 1300, 100)], 500, AREA)
    assert found == pytest.approx([30, 80])
    with pytest.raises(InputError, match="reach"):
        spaces.park_access(UNITS, built, [box(0, 0, 1, 1)], -1, AREA)


def test_an_invalid_polygon_is_repaired() -> None:
    from shapely.geometry import Polygon

    bow = Polygon([(0, 0), (1000, 1000), (1000, 0), (0, 1000)])
    assert spaces.area_share(UNITS, [bow], AREA)[0] == pytest.approx(50)


def test_natural_shoreline_by_geodesic_length() -> None:
    # On the equator one degree is 111.3195 km wherever it lies.
    lines = [LineString([(120, 0), (121, 0)]), LineString([(121, 0), (124, 0)])]
    found = spaces.natural_shoreline(["a", "b"], ["a", "a"], [1, 0], lines)
    assert found[0] == pytest.approx(25)
    assert math.isnan(found[1])
    with pytest.raises(InputError, match="'natural' is 2"):
        spaces.natural_shoreline(["a"], ["a"], [2], lines[:1])
    with pytest.raises(InputError, match="a Point"):
        spaces.natural_shoreline(["a"], ["a"], [1], [Point(0, 0)])


def test_sea_of_units_and_its_use() -> None:
    seas = [box(0, -1000, 1000, 0), box(0, -2000, 1000, -1000)]
    uses = [box(0, -500, 1000, 500), box(0, -500, 1000, -400)]
    area, share = spaces.sea_of_units(["a", "b"], ["a", "a"], seas, uses, AREA)
    assert area[0] == pytest.approx(2)
    assert share[0] == pytest.approx(25)
    assert math.isnan(area[1])
    assert math.isnan(share[1])


def test_land_disturbance() -> None:
    areas = {"area_km2": 200.0, "area_51": 4.0, "area_52": 6.0}
    assert spaces.land_disturbance(areas, {"area_51": 1, "area_52": 0.5}) == pytest.approx(3.5)
    assert math.isnan(spaces.land_disturbance(areas, {"area_53": 1}))  # missing, not zero
    assert math.isnan(spaces.land_disturbance(areas | {"area_km2": None}, {"area_51": 1}))


@given(st.lists(st.tuples(*[st.integers(0, 1000)] * 4), min_size=0, max_size=6))
def test_shares_stay_in_range_and_grow_with_every_polygon(corners) -> None:
    parts = [box(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    last = np.zeros(2)
    for k in range(len(parts) + 1):
        found = spaces.area_share(UNITS, parts[:k], AREA)
        assert (found >= last - 1e-9).all()
        assert (found <= 100).all()
        last = found


# --- connectivity ------------------------------------------------------------------------------

RULE = Spaces(dispersal_m=100, probability=0.5, least_probability=0.01, min_patch_ha=0.02)


def pc_of(mask: np.ndarray, block: int, rule: Spaces = RULE, landscape: float | None = None):
    def blocks():
        for y in range(0, mask.shape[0], block):
            for x in range(0, mask.shape[1], block):
                yield y, x, mask[y : y + block, x : x + block]

    area = landscape or mask.size * 0.01
    return spaces_connectivity(blocks, mask.shape, (10.0, 10.0), area, rule)


def test_one_patch_and_none() -> None:
    mask = np.zeros((20, 20), np.uint8)
    assert pc_of(mask, 20) == 0  # no space is a true zero
    mask[:, :10] = 1
    assert pc_of(mask, 20) == pytest.approx(0.25)  # (half of the area) squared
    assert pc_of(np.ones((20, 20), np.uint8), 7) == pytest.approx(1)
    mask[:] = 0
    mask[3, 3] = 1  # 0.01 ha: too small
    assert pc_of(mask, 20) == 0


def test_two_patches_by_hand() -> None:
    mask = np.zeros((10, 30), np.uint8)
    mask[:, :10] = mask[:, 20:] = 1  # 1 ha each, 100 m from edge to edge: p = 0.5
    assert pc_of(mask, 10) == pytest.approx((1 + 1 + 2 * 0.5) / 3**2)


@pytest.mark.parametrize("seed", range(4))
def test_any_blocks_and_networkx_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = (ndimage.gaussian_filter(rng.random((40, 50)), 1.5) > 0.52).astype(np.uint8)
    found = {pc_of(mask, b) for b in (50, 16, 7)}
    assert len(found) == 1
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    areas = ndimage.sum(mask, labels, range(1, n + 1)) * 0.01
    kept = [k for k in range(n) if areas[k] >= RULE.min_patch_ha]
    graph = nx.Graph()
    graph.add_nodes_from(kept)
    cells = {k: np.argwhere(labels == k + 1) for k in kept}
    for i, a in enumerate(kept):
        for b in kept[i + 1 :]:
            gap = np.abs(cells[a][:, None] - cells[b][None]) - 1
            d = 10 * np.hypot(*np.moveaxis(np.maximum(gap, 0), -1, 0)).min()
            if d <= RULE.reach_m:
                graph.add_edge(a, b, weight=d * math.log(2) / 100)
    expected = 0.0
    for a, lengths in nx.all_pairs_dijkstra_path_length(graph):
        expected += sum(areas[a] * areas[b] * math.exp(-v) for b, v in lengths.items()
                        if v <= -math.log(RULE.least_probability) * (1 + 1e-12))  # fmt: skip
    assert found.pop() == pytest.approx(expected / (mask.size * 0.01) ** 2, rel=1e-9)


def test_too_many_patches_are_refused(monkeypatch) -> None:
    from eco_index.indicators import connected

    monkeypatch.setattr(connected, "MOST_PATCHES", 3)
    mask = np.zeros((12, 12), np.uint8)
    mask[::3, ::3] = 1
    with pytest.raises(InputError, match="16 patches"):
        pc_of(mask, 12, Spaces(100, 0.5, 0.01, 0.0))


# --- species -----------------------------------------------------------------------------------


def test_species_by_hand(tmp_path: Path) -> None:
    path = species_file(
        tmp_path,
        "a,Otis tarda,bird,1,yes,yes,yes\na,Grus grus,bird,二级,yes,yes,no\n"
        "a,Solidago canadensis,plant,,no,no,yes\na,Stipa grandis,plant,,yes,,\n"
        "a,Parnassius apollo,insect,2,,,yes\nb,Rana sp.,amphibian,no,,,yes\n",
    )
    found = species_inputs(read_species(path))
    assert found["a"] == {
        "protected_species_n": 1,  # the crane was not found, insects are not counted
        "native_functional_share": pytest.approx(100 * 2 / 3),
        "indicator_species_vitality": 50,
    }
    assert found["b"] == {"protected_species_n": 0}  # shares without denominator are missing


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "no rows"),
        ("a,X,bird,1,yes,yes,yes\na,x,bird,1,yes,yes,yes\n", "lines 2 and 3"),
        ("a,X,dragon,1,yes,yes,yes\n", "'group' is 'dragon'"),
        ("a,X,bird,3,yes,yes,yes\n", "'protection' is '3'"),
        ("a,X,bird,1,maybe,yes,yes\n", "line 2"),
        (",X,bird,1,yes,yes,yes\n", "no unit_id"),
    ],
)
def test_bad_species_tables(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_species(species_file(tmp_path, lines))


def test_species_tables_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        read_species(tmp_path / "no.csv")
    (tmp_path / "a.csv").write_text("unit_id,species\na,b\n", encoding="utf-8")
    with pytest.raises(InputError, match="column 'group' is missing"):
        read_species(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="empty"):
        read_species(tmp_path / "b.csv")
