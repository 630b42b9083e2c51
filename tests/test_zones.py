from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from shapely.affinity import translate
from shapely.geometry import LineString, MultiPolygon, Polygon
from zone_fakes import RES, X0, Y1, make_region, pixel_box, pixel_polygon, random_zones

from eco_index.errors import InputError, UsageError
from eco_index.grid import Grid, Tile
from eco_index.zone_raster import zone_ids
from eco_index.zones import ZoneLayer, load_layer

LEFT, RIGHT = pixel_box(2, 2, 20, 40), pixel_box(20, 2, 50, 40)


def whole(grid: Grid) -> Tile:
    return Tile(0, 0, 0, grid.shape[0], 0, grid.shape[1])


def tiled(layer: ZoneLayer, grid: Grid, size: int, sheet: int = 0) -> np.ndarray:
    out = np.full(grid.shape, -1, np.int32)
    cut = Grid(grid.crs_wkt, grid.resolution, grid.bounds, size, size)
    for tile in cut.tiles():
        out[tile.slices] = zone_ids(layer, grid, tile, sheet)
    return out


@pytest.fixture
def ring(tmp_path):
    """Zones with a hole, an island in it, several parts, and slanted shared borders."""
    outer = pixel_polygon([(3.3, 2.1), (40.7, 5.2), (37.1, 44.4), (5.9, 40.3)])
    hole = pixel_polygon([(12.2, 12.4), (26.1, 14.7), (22.6, 30.2), (11.6, 26.8)])
    second = MultiPolygon([hole, pixel_polygon([(45.2, 3), (62.8, 9.1), (50.1, 20.6)])])
    return make_region(tmp_path, {"counties": [outer.difference(hole), second]})


class TestLoading:
    def test_reads_names_areas_and_attributes(self, tmp_path):
        region = make_region(
            tmp_path,
            {"counties": [LEFT, RIGHT]},
            columns={"counties": {"level": ["national", None], "code": [150101.0, 150102.0]}},
        )
        layer = load_layer(region, "counties")
        assert layer.ids == ("150101", "150102")
        assert layer.names[0].zh == "区0"
        assert layer.attributes[0]["level"] == "national"
        assert layer.attributes[1]["level"] == ""
        assert layer.area_km2 == pytest.approx([18 * 38 * 9e-4, 30 * 38 * 9e-4])

    def test_other_crs_keeps_areas(self, tmp_path):
        region = make_region(tmp_path, {"counties": [LEFT]})
        path = tmp_path / "counties.gpkg"
        gpd.read_file(path).to_crs(4326).to_file(path)
        layer = load_layer(region, "counties")
        assert layer.area_km2[0] == pytest.approx(18 * 38 * 9e-4, rel=1e-6)
        assert layer.gdf.crs == region.grid.crs

    def test_zones_outside_are_named_not_kept(self, tmp_path):
        away = translate(LEFT, xoff=1e6)
        half = pixel_box(-10, 2, 2, 40)
        layer = load_layer(make_region(tmp_path, {"counties": [LEFT, away, half]}), "counties")
        assert layer.ids == ("z0", "z2")
        assert layer.outside == ("区1 (z1)",)
        assert layer.inside_km2[1] == pytest.approx(2 * 38 * 9e-4)
        assert layer.area_km2[1] == pytest.approx(12 * 38 * 9e-4)

    def test_select(self, tmp_path):
        region = make_region(
            tmp_path,
            {"counties": [LEFT, RIGHT]},
            columns={"counties": {"level": ["national", "regional"]}},
        )
        layer = load_layer(region, "counties")
        assert layer.select({"level": ("regional",)}).ids == ("z1",)
        assert len(layer.select({})) == 2
        with pytest.raises(InputError, match="values that occur: national, regional"):
            layer.select({"level": ("city",)})
        with pytest.raises(InputError, match="no such column"):
            layer.select({"kind": ("city",)})


class TestComplaints:
    @pytest.mark.parametrize(
        ("shapes", "columns", "text"),
        [
            ([Polygon()], {}, "has no geometry"),
            (
                [pixel_polygon([(2, 2), (9, 9), (9, 2), (2, 9)])],
                {},
                r"zone 'z0' \(区0 / zone 0\) has an invalid geometry .*Self-intersection",
            ),
            ([LineString([(X0, Y1), (X0 + 100, Y1 - 90)])], {}, "is a LineString, not a polygon"),
            ([LEFT, RIGHT], {"code": ["a", "a"]}, r"id 'a' is given twice: features 1 .* and 2"),
            ([LEFT, RIGHT], {"code": ["a", "_all"]}, "id '_all' begins with '_'"),
            ([LEFT, RIGHT], {"code": ["a", " "]}, "have no id: column 'code' is blank"),
            ([LEFT, RIGHT], {"name_en": ["a", None]}, r"no name.en: column 'name_en'.*\(z1\)"),
            (
                [LEFT, pixel_box(19, 2, 50, 40)],
                {},
                r"'z0' \(区0 / zone 0\) and 'z1' \(区1 / zone 1\) overlap by 0.0342 km2",
            ),
            ([translate(LEFT, xoff=9e5)], {}, "no zone lies within the region's grid"),
        ],
    )
    def test_bad_zones(self, tmp_path, shapes, columns, text):
        region = make_region(tmp_path, {"counties": shapes}, columns={"counties": columns})
        with pytest.raises(InputError, match=text) as caught:
            load_layer(region, "counties")
        assert "counties.gpkg" in str(caught.value)

    def test_units_must_be_a_partition(self, tmp_path):
        with pytest.raises(UsageError, match="need units that do not overlap"):
            make_region(
                tmp_path,
                {"counties": [LEFT]},
                layer_extra={"counties": {"partition": False}},
                extra={"units": "counties"},
            )

    def test_missing_file(self, tmp_path):
        region = make_region(tmp_path, {"counties": [LEFT]})
        (tmp_path / "counties.gpkg").unlink()
        with pytest.raises(InputError, match="does not exist"):
            load_layer(region, "counties")

    def test_unreadable_file(self, tmp_path):
        region = make_region(tmp_path, {"counties": [LEFT]})
        (tmp_path / "counties.gpkg").write_bytes(b"not a geopackage")
        with pytest.raises(InputError, match="cannot be"):
            load_layer(region, "counties")

    def test_no_crs(self, tmp_path):
        region = make_region(tmp_path, {"counties": [LEFT]})
        frame = gpd.read_file(tmp_path / "counties.gpkg")
        (tmp_path / "counties.gpkg").unlink()
        frame.set_crs(None, allow_override=True).to_file(tmp_path / "counties.gpkg")
        with pytest.raises(InputError, match="does not say in which CRS"):
            load_layer(region, "counties")

    def test_empty_layer(self, tmp_path):
        region = make_region(tmp_path, {"counties": [LEFT]})
        frame = gpd.read_file(tmp_path / "counties.gpkg")
        (tmp_path / "counties.gpkg").unlink()
        frame.iloc[:0].to_file(tmp_path / "counties.gpkg")
        with pytest.raises(InputError, match="layer is empty"):
            load_layer(region, "counties")

    def test_missing_column_names_the_others(self, tmp_path):
        region = make_region(
            tmp_path, {"counties": [LEFT]}, layer_extra={"counties": {"id": "adcode"}}
        )
        with pytest.raises(InputError, match="no column 'adcode'.*\n.*\n.*code, name_zh, name_en"):
            load_layer(region, "counties")

    def test_several_layers_in_a_file(self, tmp_path):
        region = make_region(tmp_path, {"counties": [LEFT]})
        path = tmp_path / "counties.gpkg"
        gpd.read_file(path).to_file(path, layer="other")
        with pytest.raises(InputError, match="several layers"):
            load_layer(region, "counties")

    def test_unknown_layer(self, tmp_path):
        with pytest.raises(UsageError, match="no layer 'leagues'"):
            load_layer(make_region(tmp_path, {"counties": [LEFT]}), "leagues")


class TestRaster:
    def test_equals_gdal_on_the_whole_grid(self, ring):
        layer = load_layer(ring, "counties")
        expected = rasterize(
            [(g, k + 1) for k, g in enumerate(layer.gdf.geometry)],
            out_shape=ring.grid.shape,
            transform=ring.grid.transform,
            dtype="int32",
        )
        assert np.array_equal(zone_ids(layer, ring.grid, whole(ring.grid)), expected)
        assert set(np.unique(expected)) == {0, 1, 2}

    @pytest.mark.parametrize("size", [1, 5, 16, 33])
    def test_same_for_any_tile_size(self, ring, size):
        layer = load_layer(ring, "counties")
        assert np.array_equal(
            tiled(layer, ring.grid, size), zone_ids(layer, ring.grid, whole(ring.grid))
        )

    def test_shared_border_on_pixel_centres_has_no_gap_and_no_double(self, tmp_path):
        # All corners lie exactly on pixel centres: the worst case for rounding.
        upper = pixel_polygon([(0.5, 0.5), (30.5, 0.5), (30.5, 10.5), (0.5, 20.5)])
        lower = pixel_polygon([(0.5, 20.5), (30.5, 10.5), (30.5, 30.5), (0.5, 30.5)])
        region = make_region(tmp_path, {"counties": [upper, lower]})
        both = zone_ids(load_layer(region, "counties"), region.grid, whole(region.grid))
        assert (both > 0).sum() == 30 * 30

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 10**6), size=st.integers(3, 40))
    def test_random_zones_any_tiling_and_area(self, tmp_path_factory, seed, size):
        shapes = random_zones(np.random.default_rng(seed), 3, 64, 48)
        region = make_region(tmp_path_factory.mktemp("z"), {"counties": shapes})
        layer = load_layer(region, "counties")
        ids = zone_ids(layer, region.grid, whole(region.grid))
        assert np.array_equal(tiled(layer, region.grid, size), ids)
        for k, shape in enumerate(layer.gdf.geometry):
            assert abs((ids == k + 1).sum() * RES**2 - shape.area) <= shape.length * RES

    def test_overlapping_zones_get_sheets(self, tmp_path):
        shapes = [LEFT, pixel_box(10, 2, 50, 40), pixel_box(30, 10, 60, 40)]
        region = make_region(
            tmp_path,
            {"projects": shapes, "counties": [LEFT]},
            layer_extra={"projects": {"partition": False}},
        )
        layer = load_layer(region, "projects")
        assert layer.n_sheets == 2
        counts = np.zeros(4, int)
        for sheet in range(2):
            counts += np.bincount(
                zone_ids(layer, region.grid, whole(region.grid), sheet).ravel(), minlength=4
            )
        assert counts[1:].tolist() == [18 * 38, 40 * 38, 30 * 30]
