"""Combination tables: crossed zones add up to both margins."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from assessment_cube import build_cube, build_region, year_arrays
from hypothesis import given, settings
from hypothesis import strategies as st
from zone_fakes import make_region, pixel_box, pixel_polygon, random_zones

from eco_index.crossing import NONE, cross, cross_sums, pairs_of
from eco_index.grid import Grid, Tile
from eco_index.period import Period
from eco_index.products import LUCC
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_raster import zone_ids, zone_pixels
from eco_index.zones import load_layer

SPEC = SumSpec(("fvc",), ("landcover",))
KM2 = 9e-4


def arrays_of(seed: int, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    fvc = rng.integers(0, 10001, shape).astype(np.uint16)
    fvc[rng.random(shape) < 0.3] = 65535
    return {"fvc": fvc, "landcover": rng.choice([0, *LUCC], shape).astype(np.uint8)}


def crooked_partition(seed: int) -> list:
    """Four cells that cover the middle of the grid, with shared slanted borders."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid([4.0, 30.0, 60.0], [3.0, 25.0, 45.0])
    x, y = x + rng.uniform(-2, 2, x.shape), y + rng.uniform(-2, 2, y.shape)
    return [
        pixel_polygon(
            [(x[i + a, j + b], y[i + a, j + b]) for a, b in ((0, 0), (0, 1), (1, 1), (1, 0))]
        )
        for i in range(2)
        for j in range(2)
    ]


def crossed(folder, shapes: dict, coverage: str, partition: bool = True):
    region = make_region(
        folder,
        {"counties": []} | shapes,
        layer_extra={k: {"coverage": coverage, "partition": partition} for k in shapes},
    )
    layers = [load_layer(region, name) for name in shapes]
    return cross(*layers), layers, region.grid


def sums_of(crossing, grid: Grid, arrays, size: int) -> ZoneSums:
    out = ZoneSums(SPEC, len(crossing))
    for tile in Grid(grid.crs_wkt, grid.resolution, grid.bounds, size, size).tiles():
        for part in crossing.pixels(grid, tile):
            out.add(part.ids, {k: v[tile.slices] for k, v in arrays.items()}, part.shares)
    return out


def layer_sums(layer, grid: Grid, arrays) -> ZoneSums:
    out = ZoneSums(SPEC, len(layer))
    for sheet in range(layer.n_sheets):
        drawn = zone_pixels(layer, grid, Tile(0, 0, 0, *grid.shape[:1], 0, grid.shape[1]), sheet)
        out.add(drawn.ids, arrays, drawn.shares)
    return out


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(5, 64), exact=st.booleans())
def test_margins_and_tiles(tmp_path_factory, seed, size, exact):
    shapes = {
        "counties": crooked_partition(seed),
        "red_line": random_zones(np.random.default_rng(seed), 3, 64, 48),
    }
    coverage = "exact" if exact else "centre"
    crossing, layers, grid = crossed(tmp_path_factory.mktemp("c"), shapes, coverage)
    arrays = arrays_of(seed, grid.shape)
    sums = sums_of(crossing, grid, arrays, 64)
    parts = sums_of(crossing, grid, arrays, size)
    for name in ZoneSums._ARRAYS:
        assert np.array_equal(getattr(parts, name), getattr(sums, name))
    for axis, layer in enumerate(layers):
        own, found = layer_sums(layer, grid, arrays), crossing.margin(sums, axis)
        for name in ZoneSums._ARRAYS:
            if exact:
                assert getattr(found, name) == pytest.approx(
                    getattr(own, name), rel=1e-7, abs=1e-6 * 10000**2
                )
            else:
                assert np.array_equal(getattr(found, name), getattr(own, name))
        if exact:
            assert found.pixels == pytest.approx(own.pixels, rel=1e-9)
            assert found.mean("fvc") == pytest.approx(own.mean("fvc"), rel=1e-8)


def test_pixels_of_pairs_by_hand(tmp_path):
    shapes = {
        "counties": [pixel_box(0, 0, 30, 48), pixel_box(30, 0, 60, 48)],
        "red_line": [pixel_box(10, 10, 40, 20), pixel_box(50, 30, 64, 40)],
    }
    crossing, _, grid = crossed(tmp_path, shapes, "centre")
    arrays = arrays_of(1, grid.shape)
    sums = sums_of(crossing, grid, arrays, 16)
    found = dict(zip(pairs_of(crossing), sums.pixels, strict=True))
    assert found == {
        ("z0", "z0"): 200, ("z1", "z0"): 100, ("z1", "z1"): 100, ("", "z1"): 40, ("", "z0"): 0,
        ("z0", ""): 30 * 48 - 200, ("z1", ""): 30 * 48 - 200,
    }  # fmt: skip
    rows = {(r.first, r.second): r for r in crossing.rows(sums, KM2)}
    assert ("", "z0") not in rows
    here = rows["z1", "z0"]
    part = (slice(10, 20), slice(30, 40))
    fvc, land = arrays["fvc"][part], arrays["landcover"][part]
    assert here.area_km2 == pytest.approx(0.09)
    assert here.values["fvc"] == pytest.approx(fvc[fvc != 65535].mean() * 1e-4)
    assert here.valid_km2["fvc"] == pytest.approx((fvc != 65535).sum() * KM2)
    assert here.classes_km2["landcover"] == pytest.approx(
        {c: (land == c).sum() * KM2 for c in LUCC if (land == c).any()}
    )
    assert (here.first_name.zh, rows["", "z1"].first_name) == ("区1", None)


def test_overlay_gives_areas_of_the_polygons(tmp_path):
    shapes = {
        "counties": crooked_partition(3),
        "red_line": [pixel_box(20.2, 10.1, 20.7, 10.4), pixel_box(25.5, 20.5, 40.3, 30.2)],
    }
    crossing, layers, grid = crossed(tmp_path, shapes, "exact")
    sums = sums_of(crossing, grid, arrays_of(1, grid.shape), 16)
    for (i, j), pixels in zip(crossing.pairs, sums.pixels, strict=True):
        a = layers[0].gdf.geometry.iloc[i] if i != NONE else None
        b = layers[1].gdf.geometry.iloc[j] if j != NONE else None
        if a is not None and b is not None:
            assert pixels * 900 == pytest.approx(a.intersection(b).area, rel=1e-7)
    below = [k for k, pair in enumerate(crossing.pairs.tolist()) if pair[1] == 0]
    assert sums.pixels[below].sum() == pytest.approx(0.15, rel=1e-8)


def test_overlapping_zones_of_one_layer(tmp_path):
    """Each county's share of overlapping projects: the projects' margins still add up."""
    shapes = {
        "counties": [pixel_box(0, 0, 30, 48), pixel_box(30, 0, 62, 48)],
        "projects": [pixel_box(5, 5, 40, 20), pixel_box(10, 10, 64, 30), pixel_box(8, 8, 12, 12)],
    }
    crossing, layers, grid = crossed(tmp_path, shapes, "centre", partition=False)
    arrays = arrays_of(2, grid.shape)
    sums = sums_of(crossing, grid, arrays, 16)
    projects = layer_sums(layers[1], grid, arrays)
    assert layers[1].n_sheets > 1
    margin = crossing.margin(sums, 1)
    for name in ZoneSums._ARRAYS:
        assert np.array_equal(getattr(margin, name), getattr(projects, name))
    found = dict(zip(pairs_of(crossing), sums.pixels.tolist(), strict=True))
    whole = Tile(0, 0, 0, 48, 0, 64)
    union = np.logical_or.reduce(
        [zone_ids(layers[1], grid, whole, s) > 0 for s in range(layers[1].n_sheets)]
    )
    assert found["z0", ""] == (~union[:, :30]).sum()
    assert found["", "z1"] == 2 * 20


def test_cross_sums_of_a_cube(tmp_path):
    """Red line x county x land cover, from the archive."""
    region = build_region(tmp_path)
    view = build_cube(region)
    counties, red_line = (load_layer(region, n, 2025) for n in ("counties", "red_line"))
    crossing = cross(red_line, counties)
    sums = cross_sums(view, Period(2025), crossing, SPEC)
    rows = {(r.first, r.second): r for r in crossing.rows(sums, KM2)}
    land = year_arrays(2025)["landcover"]
    for (zone, county), part in {
        ("z0", "z0"): np.s_[1:46, 1:18],
        ("z1", "z0"): np.s_[24:40, 36:40],
        ("z1", "z1"): np.s_[24:40, 40:64],
        ("", "z1"): None,
    }.items():
        here = rows[zone, county]
        if part is not None:
            expected = {c: (land[part] == c).sum() * KM2 for c in LUCC if (land[part] == c).any()}
            assert here.classes_km2["landcover"] == pytest.approx(expected)
    assert sum(r.area_km2 for r in rows.values()) == pytest.approx(48 * 64 * KM2)
    assert rows["", "z1"].second_name.en == "zone 1"


def test_touching_borders_have_no_area(tmp_path):
    shapes = {"counties": [pixel_box(2, 2, 20, 40)], "red_line": [pixel_box(20, 2, 30, 40)]}
    crossing, _, _ = crossed(tmp_path, shapes, "exact")
    assert pairs_of(crossing) == [("", "z0"), ("z0", "")]
    assert all(isinstance(s, shapely.MultiPolygon) for s in crossing.overlay.gdf.geometry)
