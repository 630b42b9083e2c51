import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

from eco_index.errors import UsageError
from eco_index.grid import Grid, area_m2, polygon_area_m2, require_equal_area

ALBERS = CRS.from_proj4("+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +ellps=GRS80 +units=m")


def make_grid(width=100, height=70, tile=32, chunk=16, resolution=30.0):
    x, y = 712_020.0, 4_650_000.0
    return Grid(
        ALBERS.to_wkt(),
        resolution,
        (x, y, x + width * resolution, y + height * resolution),
        tile,
        chunk,
    )


@given(st.integers(1, 200), st.integers(1, 200), st.integers(16, 90))
def test_tiles_cover_every_pixel_exactly_once(width, height, tile):
    grid = make_grid(width, height, tile, 16)
    hits = np.zeros(grid.shape, int)
    for t in grid.tiles():
        hits[t.slices] += 1
        assert t.shape == hits[t.slices].shape
    assert (hits == 1).all()


@given(st.integers(0, 40))
def test_a_halo_stays_inside_the_grid(halo):
    grid = make_grid()
    for t in grid.tiles():
        p = grid.padded(t, halo)
        assert 0 <= p.y0 <= t.y0 and t.y1 <= p.y1 <= grid.shape[0]
        assert 0 <= p.x0 <= t.x0 and t.x1 <= p.x1 <= grid.shape[1]


def test_pixel_centres_and_tile_transforms_agree():
    grid = make_grid()
    tile = grid.tiles()[-1]
    x, y = grid.tile_transform(tile) @ (0.5, 0.5)
    assert (x, y) == (grid.x()[tile.x0], grid.y()[tile.y0])
    assert grid.tile_bounds(tile)[3] == grid.bounds[3] - tile.y0 * grid.resolution


@pytest.mark.parametrize("lon", [98.0, 105.0, 112.5, 125.0])
@pytest.mark.parametrize("lat", [37.5, 43.0, 53.0])
def test_areas_equal_ellipsoidal_areas_over_all_inner_mongolia(lon, lat):
    box = shapely.segmentize(shapely.box(lon, lat, lon + 0.2, lat + 0.2), 0.01)
    geodesic = abs(Geod(ellps="GRS80").geometry_area_perimeter(box)[0])
    to_grid = Transformer.from_crs("EPSG:4490", ALBERS, always_xy=True)
    planar = shapely.transform(box, lambda c: np.column_stack(to_grid.transform(c[:, 0], c[:, 1])))
    assert polygon_area_m2([planar], ALBERS)[0] == pytest.approx(geodesic, rel=1e-3)


@pytest.mark.parametrize(
    ("crs", "words"),
    [
        ("EPSG:4326", "geographic"),
        ("EPSG:4490", "geographic"),
        ("EPSG:32650", "does not keep areas"),
        ("EPSG:3857", "does not keep areas"),
    ],
)
def test_a_crs_that_does_not_keep_areas_is_refused(crs, words):
    with pytest.raises(UsageError, match=words) as error:
        require_equal_area(CRS.from_user_input(crs), "region.yaml, key 'grid.crs'")
    assert "Albers" in str(error.value) and "region.yaml" in str(error.value)
    with pytest.raises(UsageError):
        area_m2(CRS.from_user_input(crs), 10, 30)


def test_pixel_area_is_the_square_of_the_resolution():
    assert make_grid().pixel_area_m2 == 900.0
