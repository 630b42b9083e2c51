"""A layer in GCJ-02 among layers that are not: found, named, and left alone when it is not one."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from zone_fakes import make_region, pixel_box, pixel_polygon

from eco_index.gcj02 import to_gcj02, to_wgs84
from eco_index.zone_shift import find_shift, shifts_of
from eco_index.zones import load_layer

#: About 18 km of crooked land in cells, and some of it in larger units with the same borders.
STEPS = 6


def cells(noise: float = 0.0) -> list:
    """Quadrangles with crooked shared borders; digitised anew with some noise (pixels)."""
    rng = np.random.default_rng(4)
    x, y = np.meshgrid(np.linspace(20, 620, STEPS + 1), np.linspace(20, 460, STEPS + 1))
    x, y = x + rng.uniform(-20, 20, x.shape), y + rng.uniform(-20, 20, y.shape)
    rng = np.random.default_rng(5)
    x, y = x + rng.uniform(-noise, noise, x.shape), y + rng.uniform(-noise, noise, y.shape)
    corners = np.stack([x, y], axis=-1)
    return [
        pixel_polygon([tuple(corners[i + a, j + b]) for a, b in ((0, 0), (0, 1), (1, 1), (1, 0))])
        for i in range(STEPS)
        for j in range(STEPS)
    ]


def region_of(folder, shapes: dict, move: dict | None = None):
    region = make_region(folder, shapes, width=640, height=480, tile=320)
    for name, how in (move or {}).items():
        path = folder / f"{name}.gpkg"
        table = gpd.read_file(path).to_crs(4326)
        moved = shapely.transform(
            np.asarray(table.geometry.array, dtype=object),
            lambda p, how=how: np.column_stack(how(p[:, 0], p[:, 1])),
        )
        path.unlink()
        table.set_geometry(gpd.GeoSeries(moved, crs=4326)).to_file(path)
    return region


def layers(region, *names):
    return [load_layer(region, name) for name in names]


@pytest.fixture
def shapes():
    own, again = cells(), cells(noise=1.0)
    merged = [shapely.union_all(again[k * STEPS : (k + 1) * STEPS]) for k in range(STEPS)]
    return {"counties": own, "leagues": merged}


def test_the_shifted_layer_is_named_whichever_it_is(tmp_path, shapes):
    for k, wrong in enumerate(("leagues", "counties")):
        region = region_of(tmp_path / str(k), shapes, {wrong: to_gcj02})
        for order in (("leagues", "counties"), ("counties", "leagues")):
            found = find_shift(*layers(region, *order))
            assert found is not None
            assert found.layer == wrong
            assert found.matched < 0.4 < 0.9 < found.matched_moved
            right, off = cells()[0].centroid, load_layer(region, wrong).gdf.geometry.iloc[0]
            if wrong == "counties":
                off = off.centroid
                assert found.east_m == pytest.approx(off.x - right.x, abs=15)
                assert found.north_m == pytest.approx(off.y - right.y, abs=15)
            note = found.note()
            assert "gcj02" in note.zh and "gcj02" in note.en and wrong in note.en


def test_layers_of_a_region_each_named_once(tmp_path, shapes):
    again = {"basin": shapes["leagues"][:3]}
    region = region_of(tmp_path, shapes | again, {"leagues": to_gcj02})
    found = shifts_of(region, ("counties", "leagues", "basin", "counties"), 2025)
    assert [s.layer for s in found] == ["leagues"]
    (tmp_path / "basin.gpkg").unlink()
    assert [s.layer for s in shifts_of(region, ("counties", "leagues", "basin"), 2025)] == [
        "leagues"
    ]
    assert shifts_of(region, ("counties", "basin"), 2025) == []


def test_layers_that_agree_are_left_alone(tmp_path, shapes):
    assert find_shift(*layers(region_of(tmp_path, shapes), "counties", "leagues")) is None


def test_both_shifted_agree(tmp_path, shapes):
    region = region_of(tmp_path, shapes, {"counties": to_gcj02, "leagues": to_gcj02})
    assert find_shift(*layers(region, "counties", "leagues")) is None


def test_another_shift_is_not_called_gcj02(tmp_path, shapes):
    def other(lon, lat):
        away = to_wgs84(lon, lat)  # the same distance the other way round
        return away[0], 2 * lat - away[1]

    region = region_of(tmp_path, shapes, {"leagues": other})
    assert find_shift(*layers(region, "counties", "leagues")) is None


def test_layers_without_common_boundaries_say_nothing(tmp_path, shapes):
    inside = [pixel_box(60, 60, 90, 95), pixel_box(300, 200, 340, 260)]
    for k, move in enumerate(({}, {"reserves": to_gcj02})):
        region = region_of(tmp_path / str(k), shapes | {"reserves": inside}, move)
        assert find_shift(*layers(region, "reserves", "counties")) is None
        assert find_shift(*layers(region, "counties", "reserves")) is None


def test_layers_far_apart_say_nothing(tmp_path):
    region = region_of(
        tmp_path, {"counties": [pixel_box(2, 2, 60, 60)], "b": [pixel_box(500, 300, 600, 400)]}
    )
    assert find_shift(*layers(region, "counties", "b")) is None
