"""Positions: no half-pixel shift; windows that hold what is needed; nothing depends on tiles."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from imagery_fakes import ALBERS, grid_of
from pyproj import CRS, Transformer

from eco_index import kernels, warp
from eco_index.grid import Grid, Tile

UTM = CRS.from_epsg(32649).to_wkt()
LONLAT = CRS.from_epsg(4326).to_wkt()
SINUSOIDAL = CRS.from_proj4("+proj=sinu +R=6371007.181 +units=m").to_wkt()


def exact(grid: Grid, crs: str, transform: Affine) -> tuple[np.ndarray, np.ndarray]:
    """Source column and row of every pixel centre of the grid, each projected for itself."""
    to_source = Transformer.from_crs(grid.crs, crs, always_xy=True)
    x, y = to_source.transform(*np.meshgrid(grid.x(), grid.y()))
    col, row = ~transform @ (x.ravel(), y.ravel())
    return col.reshape(grid.shape), row.reshape(grid.shape)


def source_over(grid: Grid, crs: str, size: float, pixels: int) -> Affine:
    """Transform of a raster of `pixels` x `pixels` centred on the grid, off any round number."""
    xmin, ymin, xmax, ymax = grid.bounds
    to_source = Transformer.from_crs(grid.crs, crs, always_xy=True)
    x, y = to_source.transform((xmin + xmax) / 2, (ymin + ymax) / 2)
    half = pixels / 2 + 0.37
    return Affine(size, 0, x - half * size, 0, -size, y + half * size)


def whole(grid: Grid) -> Tile:
    return Tile(0, 0, 0, grid.shape[0], 0, grid.shape[1])


@pytest.mark.parametrize(
    ("crs", "size", "pixels"), [(UTM, 30.0, 200), (UTM, 20.0, 300), (LONLAT, 3e-4, 260)]
)
def test_linear_ramps_are_reproduced_at_pixel_centres(crs: str, size: float, pixels: int) -> None:
    """A ramp in x (or y) read bilinearly gives back each pixel's own source position."""
    grid = grid_of(90, 70)
    transform = source_over(grid, crs, size, pixels)
    col, row = exact(grid, crs, transform)
    placement = warp.place(grid, whole(grid), transform, pixels, pixels, crs)
    assert placement is not None and placement.subsamples == 0
    window = placement.window
    clear = np.zeros(pixels * pixels, np.uint16)
    lut = np.zeros(65536, np.uint8)
    for axis, truth in ((1, col), (0, row)):
        ramp = np.indices((pixels, pixels))[axis] + 0.5  # value = position of the pixel's centre
        ramp = ramp[
            window.row_off : window.row_off + window.height,
            window.col_off : window.col_off + window.width,
        ]
        # NDVI is stored with a step of 1e-4: spread the ramp over it.
        out = np.full(grid.shape, -32768, np.int16)
        decode = (1 / pixels, 0.0, np.nan, -np.inf, np.inf)
        counts = np.zeros((2, *grid.shape), np.uint16)
        qa = clear[: ramp.size]
        kernels.add_index(
            0,
            0,
            out,
            counts[0],
            counts[1],
            lut,
            qa,
            placement.as_tuple(),
            np.ascontiguousarray(ramp).ravel(),
            placement.as_tuple(),
            decode,
            True,
            np.empty((0, 0), np.int16),  # no source index is kept
            0,
        )
        got = out / 10000.0 * pixels
        step = pixels / 10000.0 / 2
        assert np.abs(got - truth).max() < step + 0.01


def test_lattice_is_exact_to_a_hundredth_of_a_pixel_for_coarse_sources() -> None:
    grid = grid_of(200, 200, resolution=500.0)
    transform = source_over(grid, SINUSOIDAL, 463.3127165, 400)
    col, row = exact(grid, SINUSOIDAL, transform)
    placement = warp.place(grid, whole(grid), transform, 400, 400, SINUSOIDAL)
    assert placement is not None
    pos = np.empty((2, 200))
    for r in range(0, 200, 7):
        kernels._positions(placement.as_tuple(), r, 0, 200, pos)
        assert np.abs(pos[0] - col[r]).max() < 0.01
        assert np.abs(pos[1] - row[r]).max() < 0.01


def test_aligned_source_needs_no_pixel_more_than_the_tile() -> None:
    """A spare pixel would make every tile decode its neighbours' blocks as well."""
    grid = grid_of(100, 90)
    transform = grid.transform @ Affine.translation(-8, -16)
    tile = Tile(0, 0, 16, 80, 32, 96)
    for nearest in (True, False):
        placement = warp.place(grid, tile, transform, 200, 200, grid.crs_wkt, nearest=nearest)
        assert placement is not None
        window = placement.window
        assert (window.row_off, window.col_off) == (16 + 16, 32 + 8)
        assert (window.height, window.width) == (64, 64)


def test_source_elsewhere_is_no_placement() -> None:
    grid = grid_of(64, 64)
    far = Affine(30, 0, 200_000, 0, -30, 1_000_000)
    assert warp.place(grid, whole(grid), far, 100, 100, UTM) is None
    # The other side of the world: a polar CRS in which the grid has no finite place is fine too.
    gnomonic = CRS.from_proj4("+proj=gnom +lat_0=-45 +lon_0=-70 +units=m").to_wkt()
    assert warp.place(grid, whole(grid), far, 100, 100, gnomonic) is None


@pytest.mark.parametrize(
    ("pixel", "resolution", "n"),
    [
        (30.0, 30.0, 0),
        (20.0, 30.0, 0),
        (250.0, 30.0, 0),
        (10.0, 30.0, 6),
        (20.008, 40.0, 4),
        (10.0, 20.0, 4),
        (10.0, 250.0, 16),
        (float("nan"), 30.0, 0),
    ],
)
def test_when_sources_are_averaged(pixel: float, resolution: float, n: int) -> None:
    assert warp.subsamples_of(pixel, resolution) == n


def test_size_of_a_source_pixel() -> None:
    grid = grid_of(64, 64)
    transform = source_over(grid, UTM, 10.0, 300)
    assert warp.source_pixel_m(transform, 300, 300, UTM, grid) == pytest.approx(10.0, rel=2e-3)
    transform = source_over(grid, LONLAT, 1e-3, 300)
    latitude = transform.f - 0.15
    expected = 111_200 * 1e-3 * np.sqrt(np.cos(np.radians(latitude)))
    assert warp.source_pixel_m(transform, 300, 300, LONLAT, grid) == pytest.approx(
        expected, rel=5e-3
    )


def test_same_crs_is_recognised_whatever_its_name() -> None:
    grid = grid_of(64, 64)
    other = CRS.from_user_input(ALBERS + " +title=other").to_wkt()
    nodes = warp.lattice(grid, whole(grid), other)
    assert nodes.x[0, 0] == grid.bounds[0] + 15.0  # untouched by any projection


@pytest.mark.parametrize(
    ("apart", "size", "expected"),
    [
        ((0.0, 0.0), 30.0, (0, 0)),
        ((-90.0, 60.0), 30.0, (3, 2)),  # 3 pixels west and 2 north of the grid's corner
        ((1e-6, 0.0), 30.0, (0, 0)),  # the rounding of a header
        ((0.01, 0.0), 30.0, None),
        ((15.0, 0.0), 30.0, None),
        ((0.0, 0.0), 29.99, None),
    ],
)
def test_only_whole_pixels_apart_is_a_shift(
    apart: tuple[float, float], size: float, expected: tuple[int, int] | None
) -> None:
    grid = grid_of(90, 70)
    tile = Tile(0, 0, 20, 60, 30, 85)
    x, y = grid.bounds[0] + apart[0], grid.bounds[3] + apart[1]
    upright = Affine(size, 0, x, 0, -size, y)
    placement = warp.place(grid, tile, upright, 200, 200, grid.crs_wkt)
    assert placement is not None
    shift = placement.shift()
    assert (shift[:2] if shift else None) == expected
    height = 200 * size
    for other in (
        Affine(size, 0, x, 0, size, y - height),  # first row in the south
        Affine(0, size, x, -size, 0, y),  # rows and columns exchanged
    ):
        turned = warp.place(grid, tile, other, 200, 200, grid.crs_wkt)
        assert turned is None or turned.shift() is None


def test_another_crs_or_a_finer_source_is_no_shift() -> None:
    grid = grid_of(90, 70)
    tile = whole(grid)
    for crs, size in ((UTM, 30.0), (grid.crs_wkt, 10.0)):
        placement = warp.place(grid, tile, source_over(grid, crs, size, 300), 300, 300, crs)
        assert placement is not None and placement.shift() is None
