"""Scenes with RPC only: positions against GDAL, place on the grid, terrain, tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from china_fakes import (
    catalog,
    expected,
    gdal_rpc,
    rpc_scene,
    search,
    simulated_rpc,
    whole,
    write_rpb,
)
from imagery_fakes import grid_of, write_raster
from rasterio.transform import RPCTransformer

from eco_index.composite import composite_tile
from eco_index.errors import InputError
from eco_index.grid import Tile
from eco_index.sources import Scene
from eco_index.sources.preflight import check_scene
from eco_index.sources.rpc import read_rpb, shift_per_metre

# ------------------------------------------------------------------ RPC


def test_positions_agree_with_gdal(tmp_path: Path) -> None:
    grid = grid_of(60, 60, resolution=16.0)
    rpc = simulated_rpc(grid, 200, 16.0)
    write_rpb(tmp_path / "x.rpb", rpc)
    read = read_rpb(tmp_path / "x.rpb")
    assert read == rpc
    rng = np.random.default_rng(1)
    lon = rpc.norm[6] + rpc.norm[7] * rng.uniform(-1, 1, 200)
    lat = rpc.norm[4] + rpc.norm[5] * rng.uniform(-1, 1, 200)
    height = rng.uniform(500, 1500, 200)
    u, v = read.positions(lon, lat, height)
    with RPCTransformer(gdal_rpc(rpc)) as transformer:
        rows, cols = transformer.rowcol(lon, lat, zs=height, op=lambda a: a)
    assert np.abs(u - cols).max() < 1e-6 and np.abs(v - rows).max() < 1e-6
    assert shift_per_metre(read, 16.0) == pytest.approx(0.4, abs=1e-3)
    (tmp_path / "x.rpb").write_text("lineOffset = 1;\nsampOffset = x;")
    with pytest.raises(InputError, match="x.rpb cannot be read"):
        read_rpb(tmp_path / "x.rpb")


@pytest.mark.parametrize("resolution", [16.0, 30.0, 48.0])
def test_rpc_scene_lands_where_it_belongs(tmp_path: Path, resolution: float) -> None:
    """NDVI changes by 5 and more stored steps a pixel: half a pixel of shift could not hide."""
    n = round(1440 / resolution)
    grid = grid_of(n, n, resolution=resolution)
    rpc = simulated_rpc(grid, 200, 16.0)
    rpc_scene(tmp_path, grid, rpc, lambda x, y: np.full(x.shape, 1200.0))
    cat = catalog(tmp_path, calibration="g.csv", ortho={"height": 1200.0})
    (scene,) = search(cat, grid).scenes
    label = scene.properties["quality_label"]
    assert "bias 25 m by the RPC itself, 0.4 m for each metre of height" in label
    checked = check_scene(scene, cat.datasets["d"])
    assert isinstance(checked, Scene)
    out = whole(cat, checked, grid)
    assert not out.failures and (out.clear_count > 0).all()
    difference = out.ndvi_max - expected(grid)
    step = np.abs(np.diff(expected(grid), axis=1)).mean()
    assert step > 4 and np.abs(difference).max() < 0.1 * step + 1
    # A height that is wrong by 100 m moves the scene by 40 m, as the label says.
    wrong = catalog(tmp_path, calibration="g.csv", ortho={"height": 1300.0})
    (scene,) = search(wrong, grid).scenes
    moved = np.median(whole(wrong, scene, grid).ndvi_max - expected(grid))
    assert abs(moved) == pytest.approx(step * 40 / resolution, rel=0.15)


def test_same_bits_for_any_tiles(tmp_path: Path) -> None:
    grid = grid_of(90, 90, resolution=16.0)
    rpc_scene(tmp_path, grid, simulated_rpc(grid, 200, 16.0), lambda x, y: np.full(x.shape, 900.0))
    cat = catalog(tmp_path, calibration="g.csv", ortho={"height": 900.0})
    (scene,) = search(cat, grid).scenes
    at_once = whole(cat, scene, grid)
    for size in (17, 64):
        for y0 in range(0, 90, size):
            for x0 in range(0, 90, size):
                tile = Tile(0, 0, y0, min(90, y0 + size), x0, min(90, x0 + size))
                part = composite_tile([scene], cat, grid, tile)
                window = np.s_[tile.y0 : tile.y1, tile.x0 : tile.x1]
                assert (part.ndvi_max == at_once.ndvi_max[window]).all()
                assert (part.clear_count == at_once.clear_count[window]).all()


def test_dem_takes_out_what_terrain_moves(tmp_path: Path) -> None:
    """A slope of 0.3: one height for all leaves up to 80 m of error, the DEM next to none."""
    grid = grid_of(90, 90, resolution=16.0)

    def height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 1000.0 + 0.3 * (x - (grid.bounds[0] + grid.bounds[2]) / 2)

    rpc_scene(tmp_path, grid, simulated_rpc(grid, 200, 16.0), height)
    x = grid.bounds[0] - 960 + (np.arange(110) + 0.5) * 32
    data = np.tile(height(x, x), (110, 1)).astype("f4")
    corner = (grid.bounds[0] - 960, grid.bounds[3] + 960)
    write_raster(tmp_path / "dem.tif", data, grid.crs_wkt, corner, 32.0, nodata=-9999)
    errors = {}
    for name, ortho in (("dem", {"dem": "dem.tif"}), ("height", {"height": 1000.0})):
        cat = catalog(tmp_path, calibration="g.csv", ortho=ortho)
        (scene,) = search(cat, grid).scenes
        checked = check_scene(scene, cat.datasets["d"])
        assert isinstance(checked, Scene)
        out = whole(cat, checked, grid)
        clear = out.clear_count > 0
        assert clear.mean() > 0.9
        errors[name] = np.abs(out.ndvi_max - expected(grid))[clear].max()
    step = np.abs(np.diff(expected(grid), axis=1)).mean()
    assert errors["dem"] < 0.15 * step + 1 and errors["height"] > 3 * step
