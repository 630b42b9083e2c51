"""The search for leads against planted objects: all of them found, nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from lead_fakes import Scene, make_scene, reader, stored, whole_grid
from rasterio import features

from eco_index.config import load_region
from eco_index.leads import load_parameters
from eco_index.leads.detect import search
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
    out = np.zeros(grid.shape, np.int32)
    for layer in layers:
        for tile in grid.tiles():
            part = out[tile.slices]
            part[zone_ids(layer, grid, tile) > 0] = 1
    return out


def spec_of(grid, seed):
    x, y = grid.bounds[0], grid.bounds[3]
    return SimSpec(size_px=grid.shape[0], origin=(x, y), seed=seed)


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_planted_object_is_found_and_nothing_else(place, seed, dry):
    grid, layers, counties = place
    scene = make_scene(spec_of(grid, seed), all_zones(grid, layers), seed, dry)
    found = search(scene.read, grid, layers, counties, PERIODS, PARAMETERS).objects
    masks = [
        features.geometry_mask(
            [shapely.from_wkt(o.footprint)], grid.shape, grid.transform, invert=True
        )
        for o in found
    ]
    taken = set()
    for planted in scene.planted:
        assert planted.mask.sum() * 0.09 >= 0.5
        overlaps = [(m & planted.mask).sum() / (m | planted.mask).sum() for m in masks]
        best = int(np.argmax(overlaps))
        assert overlaps[best] > 0.6, (planted.kind, int(planted.mask.sum()))
        kind = found[best].kind
        if planted.kind != "mining" or planted.mask.sum() > 20:  # few pixels: the mix is chance
            assert kind == planted.kind
        taken.add(best)
    assert len(taken) == len(scene.planted) == len(found)


if __name__ == "__main__":
    print(Scene, reader, stored, whole_grid)
