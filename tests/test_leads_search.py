"""The search for leads against planted objects: all of them found, nothing else."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from lead_fakes import make_scene, reader, stored, whole_grid
from pyproj import Transformer
from rasterio import features
from scipy import ndimage

from eco_index import yamlio
from eco_index.config import configs_folder, load_region
from eco_index.errors import UsageError
from eco_index.leads import load_parameters
from eco_index.leads.detect import search
from eco_index.leads.scan import scan
from eco_index.leads.shapes import shape_of
from eco_index.ledger.parameters import LeadParameters
from eco_index.period import Period
from eco_index.simulation import SimSpec
from eco_index.zone_raster import zone_ids
from eco_index.zones import load_layer

PERIODS = (Period(2024), Period(2025))
PARAMETERS = load_parameters()


@pytest.fixture(scope="module")
def place(small_region):
    """Grid, protected layers and counties of the small simulated region."""
    region = load_region(small_region)
    layers = [load_layer(region, name) for name in ("red_line", "nature_reserves")]
    return region.grid, layers, load_layer(region, "counties")


def all_zones(grid, layers):
    out = np.zeros(grid.shape, bool)
    for layer in layers:
        for tile in grid.tiles():
            for sheet in range(layer.n_sheets):
                out[tile.slices] |= zone_ids(layer, grid, tile, sheet) > 0
    return out


def spec_of(grid, seed):
    x, y = grid.bounds[0], grid.bounds[3]
    return SimSpec(size_px=grid.shape[0], origin=(x, y), seed=seed)


def masks_of(found, grid):
    return [
        features.geometry_mask(
            [shapely.from_wkt(o.footprint)], grid.shape, grid.transform, invert=True
        )
        for o in found
    ]


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_planted_object_is_found_and_nothing_else(place, seed, dry):
    grid, layers, counties = place
    scene = make_scene(spec_of(grid, seed), all_zones(grid, layers), seed, dry)
    found = search(scene.read, grid, layers, counties, PERIODS, PARAMETERS).objects
    masks = masks_of(found, grid)
    taken = set()
    for planted in scene.planted:
        assert planted.mask.sum() * 0.09 >= 0.5
        overlaps = [(m & planted.mask).sum() / (m | planted.mask).sum() for m in masks]
        best = int(np.argmax(overlaps))
        assert overlaps[best] > 0.6, (planted.kind, int(planted.mask.sum()))
        if planted.kind != "mining" or planted.mask.sum() > 20:  # few pixels: the mix is chance
            assert found[best].kind == planted.kind
        taken.add(best)
    # No false lead: every lead is one of the planted objects.
    assert len(taken) == len(scene.planted) == len(found)


@pytest.mark.parametrize("seed", range(5))
def test_a_region_without_new_objects_has_no_lead(place, seed):
    grid, layers, counties = place
    scene = make_scene(spec_of(grid, seed), all_zones(grid, layers), seed, True, plant=False)
    found = search(scene.read, grid, layers, counties, PERIODS, PARAMETERS)
    assert found.objects == []
    assert sum(found.refused.values()) > 0  # the map's errors were looked at


def test_no_result_depends_on_the_tiles(place):
    grid, layers, counties = place
    scene = make_scene(spec_of(grid, 1), all_zones(grid, layers), 1)
    results = [
        search(scene.read, whole_grid(grid, tile), layers, counties, PERIODS, PARAMETERS)
        for tile in (256, 100, 32)
    ]
    assert len(results[0].objects) > 10
    assert results[0] == results[1] == results[2]


def test_objects_agree_with_scipy_and_with_pyproj(place):
    grid, layers, counties = place
    zones = all_zones(grid, layers)
    scene = make_scene(spec_of(grid, 2), zones, 2)
    before, after = scene.before["landcover"], scene.after["landcover"]
    to_lonlat = Transformer.from_crs(grid.crs, "EPSG:4490", always_xy=True)
    found = search(scene.read, grid, layers, counties, PERIODS, PARAMETERS).objects
    for one, mask in zip(found, masks_of(found, grid), strict=True):
        assert (mask & ~zones).sum() == 0
        assert one.area_ha == pytest.approx(mask.sum() * 0.09)
        assert one.area_ha == pytest.approx(shapely.from_wkt(one.footprint).area / 1e4)
        assert shapely.from_wkt(one.footprint).is_valid
        assert sum(one.classes_before.values()) == pytest.approx(one.area_ha)
        assert (one.lon, one.lat) == pytest.approx(to_lonlat.transform(one.x, one.y), abs=2e-6)
        assert shapely.intersects_xy(shapely.from_wkt(one.footprint), one.x, one.y)
        part = mask & (zone_of(layers[0], grid) > 0)
        inside = [z for z in one.zones if z.layer == "red_line"]
        assert sum(z.area_ha for z in inside) == pytest.approx(part.sum() * 0.09)
    water = scan(scene.read, grid, layers, [], PARAMETERS)
    kind = PARAMETERS.kinds["water"]
    changed = np.isin(before, kind.before) & np.isin(after, kind.after) & zones
    labels, n = ndimage.label(changed, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    expected = sorted(int(s) for s in sizes if s >= PARAMETERS.min_pixels(900))
    assert sorted(p.n for p in water if p.group == "water") == expected


def zone_of(layer, grid):
    out = np.zeros(grid.shape, np.int32)
    for tile in grid.tiles():
        out[tile.slices] = zone_ids(layer, grid, tile)
    return out


def test_a_very_long_object_is_cut_along_the_grid_and_nothing_of_it_is_lost(place, monkeypatch):
    from eco_index.leads import scan as room

    grid, layers, counties = place
    scene = make_scene(spec_of(grid, 1), all_zones(grid, layers), 1)
    whole = room.scan(scene.read, grid, layers, [counties], PARAMETERS)
    monkeypatch.setattr(room, "LARGEST", 10)
    monkeypatch.setattr(room, "CELL", 7)
    pieces = [piece for patch in whole for piece in room.cut(patch)]
    assert len(pieces) > len(whole) and any(p.part for p in pieces)

    def pixels(patches):
        return sorted((r, c) for p in patches for r, c in zip(p.rows, p.cols, strict=True))

    assert pixels(pieces) == pixels(whole)
    assert all(np.ptp(p.rows) < 10 and np.ptp(p.cols) < 10 for p in pieces)
    for patch in pieces:
        assert {n: v.shape[1] for n, v in patch.zones.items()} == dict.fromkeys(
            patch.zones, patch.n
        )
    found = search(scene.read, grid, layers, counties, PERIODS, PARAMETERS).objects
    assert any("larger object" in r.en for o in found for r in o.remarks)


# ---- evidence on a plain field -----------------------------------------------------------------


def field(place, fall=0.4, around=0.0, kind=51, size=(4, 5), before=0.6, clear=(9, 9), wrong=0):
    """Search a plain field of grass with one object in the reserve."""
    grid, layers, counties = place
    zones = zone_of(layers[1], grid)
    rows, cols = np.nonzero(ndimage.binary_erosion(zones > 0, iterations=20))
    r, c = int(rows[0]), int(cols[0])
    box = (slice(r, r + size[0]), slice(c, c + size[1]))
    land = [np.full(grid.shape, 32), np.full(grid.shape, 32)]
    land[1][box] = kind
    cover = [np.full(grid.shape, before), np.full(grid.shape, before - around)]
    cover[1][box] = before - fall
    if wrong:
        cover[1][r : r + wrong, c : c + size[1]] = before - around
    dry = np.zeros(grid.shape, bool)
    views = [np.full(grid.shape, n) for n in clear]
    years = [stored(a, b, n, dry) for a, b, n in zip(land, cover, views, strict=True)]
    return search(reader(*years), grid, layers, counties, PERIODS, PARAMETERS)


def test_confidence_follows_the_stated_formula(place):
    w = PARAMETERS.confidence
    one = field(place, wrong=1, clear=(2, 9)).objects[0]
    assert one.evidence.agreement == pytest.approx(15 / 20)
    assert one.evidence.observations == pytest.approx(2 / w.full_observations)
    assert one.evidence.contrast == pytest.approx(0.4, abs=1e-3)
    assert (one.evidence.before, one.evidence.after) == pytest.approx((0.6, 0.2), abs=1e-3)
    expected = 0.75 * w.agreement + 2 / w.full_observations * w.observations + w.distinctness
    assert one.confidence == pytest.approx(expected, abs=1e-3)
    assert field(place).objects[0].confidence == 1.0


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"fall": 0.05}, "not_confirmed"),
        ({"wrong": 3}, "not_confirmed"),
        ({"fall": 0.25, "around": 0.22}, "as_surroundings"),
        ({"before": 0.04, "fall": 0.03}, "silent_and_small"),
        ({"size": (1, 4)}, None),
        ({"kind": 31}, None),
    ],
)
def test_what_is_no_lead(place, case, reason):
    found = field(place, **case)
    assert found.objects == []
    assert dict(found.refused) == ({reason: 1} if reason else {})


def test_a_dry_year_does_not_hide_a_mine(place):
    one = field(place, fall=0.5, around=0.2, kind=65).objects[0]
    assert one.kind == "mining" and one.evidence.contrast == pytest.approx(0.3, abs=1e-3)
    assert one.level == "high"


def test_in_the_desert_only_large_buildings_with_low_confidence(place):
    one = field(place, before=0.04, fall=0.03, size=(6, 8)).objects[0]
    assert one.level == "low" and one.evidence.silent == 1.0
    assert any("vegetation" in r.en for r in one.remarks)


def test_an_object_without_clear_view_is_not_invented(place):
    assert field(place, clear=(9, 0), size=(8, 8)).objects == []


def test_the_functional_zone_is_read_from_the_zones_attributes(place, small_region):
    params = PARAMETERS.model_copy(update={"functional_columns": ("reserve_type",)})
    grid, layers, counties = place
    scene = make_scene(spec_of(grid, 0), all_zones(grid, layers), 0)
    found = search(scene.read, grid, layers, counties, PERIODS, params).objects
    inside = [o for o in found if any(z.id.startswith("NR01") for z in o.zones)]
    assert inside and all(o.functional_zone == "forest" for o in inside)
    assert all(o.county is not None for o in found)


# ---- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "width", "elongation"),
    [
        (np.ones((1, 12), bool), 30, (144 + 1) / 12),
        (np.ones((5, 5), bool), 150, 2.0),
        (np.eye(9, dtype=bool), 30, 18.0),
        (np.ones((3, 30), bool), 90, 909 / 90),
    ],
)
def test_width_and_elongation_of_simple_shapes(place, mask, width, elongation):
    grid = place[0]
    shape = shape_of(mask, (slice(5, 5 + mask.shape[0]), slice(7, 7 + mask.shape[1])), grid)
    assert shape.width_m == width
    assert shape.elongation == pytest.approx(elongation, abs=0.01)


@given(st.integers(0, 2**30), st.floats(0.2, 0.95))
def test_a_footprint_holds_exactly_the_pixels_of_its_object(seed, share):
    mask = np.random.default_rng(seed).random((9, 11)) < share
    mask[4, 4] = True
    grid = small_grid()
    window = (slice(3, 12), slice(2, 13))
    shape = shape_of(mask, window, grid)
    drawn = features.geometry_mask([shape.footprint], grid.shape, grid.transform, invert=True)
    whole = np.zeros(grid.shape, bool)
    whole[window] = mask
    assert (drawn == whole).all() and shape.footprint.is_valid
    assert shapely.intersects_xy(shape.footprint, shape.x, shape.y)


@functools.cache
def small_grid():
    return whole_grid(SimSpec(size_px=128).grid, 64)


# ---- parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("min_area_ha",), -1, ("min_area_ha", "greater than 0")),
        (("min_aera_ha",), 1, ("min_aera_ha", "did you mean 'min_area_ha'")),
        (("kinds", "water", "after"), [99], ("99", "LUCC")),
        (("kinds", "water", "after"), [31], ("31", "before")),
        (("confidence", "agreement"), 0.9, ("weights", "not to 1")),
        (("road", "group"), "roads", ("roads", "group")),
        (("kinds", "water", "share"), 0.5, ("water", "share")),
    ],
)
def test_a_wrong_parameter_file_gets_one_clear_message(tmp_path, path, value, words):
    import yaml

    data, _ = yamlio.read_yaml(configs_folder() / "leads.yaml")
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    with pytest.raises(UsageError) as error:
        load_parameters(file)
    for word in ("mine.yaml", *words):
        assert word in str(error.value)


def test_objects_of_the_minimum_area_are_never_below_the_limit_in_pixels():
    assert PARAMETERS.min_pixels(900.0) == 5  # 0.5 ha are 5.6 pixels: 6, and one less
    no_slack = PARAMETERS.model_copy(update={"slack_pixels": 0})
    assert isinstance(no_slack, LeadParameters) and no_slack.min_pixels(900.0) == 6
    assert no_slack.min_pixels(5000.0) == 1 and PARAMETERS.min_pixels(62500.0) == 1
