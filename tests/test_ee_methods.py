"""Medians, percentiles and harmonisation that Earth Engine makes: as those of the files."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import earthengine_archive
import numpy as np
import pytest
import shapely
from earthengine_archive import COLLECTIONS, SIZE, grid_of
from earthengine_graph import BandFile, StoredImage
from earthengine_service import Service
from imagery_fakes import catalog_of, write_raster
from test_ee_reduce import WHOLE, assert_same, how, scenes_of, with_server

from eco_index.catalog import harmonised, load_catalog
from eco_index.composite import Composite, composite_tile
from eco_index.compositing import CompositeConfig
from eco_index.errors import UsageError
from eco_index.plan_cost import Tally
from eco_index.records import platform_id
from eco_index.tasks import Task

archive, service = earthengine_archive.archive, earthengine_archive.service  # fixtures


# ---------------------------------------------------------------- percentiles


STORED = "P/I"


def stack_on_server(
    service: Service, folder: Path, stack: np.ndarray, **settings: object
) -> tuple[dict[str, np.ndarray], Composite]:
    """Layers of NDVI as images of a collection, reduced there; and read here."""
    grid = grid_of()
    bbox, corner = grid.lonlat_bounds(), (grid.bounds[0], grid.bounds[3])
    images = []
    for k, layer in enumerate(stack):
        path = write_raster(folder / f"{k}.tif", layer, grid.crs_wkt, corner, 30.0, nodata=-32768)
        moment = int(np.datetime64(f"2025-06-{1 + k:02d}", "ms").astype(np.int64))
        footprint = shapely.geometry.mapping(shapely.box(*bbox))
        bands = {"NDVI": BandFile(Path(path), -32768.0)}
        images.append(StoredImage(f"{STORED}/V{k}", moment, footprint, bands))
    service.collections[STORED] = images
    band = {"asset": ["NDVI"], "scale": 1e-4, "nodata": -32768}
    common = {
        "bands": {"ndvi": band, "valid": {"asset": ["NDVI"]}},
        "mask": {"band": "valid", "recipe": "valid_value"},
    }
    access = {"type": "earth_engine", "collection": STORED}
    catalog = catalog_of(
        folder,
        here=common | {"access": access},
        there=common | {"access": access | {"reduce": "server"}},
    )
    here, there = (
        composite_tile(scenes_of(catalog, name), catalog, grid, WHOLE, how(**settings))
        for name in ("here", "there")
    )
    return there.arrays(), here


def test_percentiles_are_those_of_numpy(service: Service, tmp_path: Path) -> None:
    """Of values and gaps at random, negative ones and pixels without any value among them."""
    for percent in (0.0, 10.0, 50.0, 62.5, 90.0, 100.0):
        check_percentile(service, tmp_path / f"{percent}", percent)


def check_percentile(service: Service, tmp_path: Path, percent: float) -> None:
    rng = np.random.default_rng(int(percent))
    stack = rng.integers(-10000, 10001, (9, SIZE, SIZE)).astype("i2")
    stack[:, ::2] //= 1000  # many equal ones, near zero
    stack[rng.random(stack.shape) < rng.random((SIZE, SIZE))] = -32768
    stack[:, :3, :3] = -32768
    found, here = stack_on_server(service, tmp_path, stack, method="percentile", percentile=percent)
    seen = np.where(stack == -32768, np.nan, stack)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        exact = np.nanpercentile(seen, percent, axis=0)
    none = np.isnan(exact)
    rounded = np.copysign(np.floor(np.abs(exact) + 0.5), exact)
    np.testing.assert_array_equal(found["ndvi_percentile"], np.where(none, -32768, rounded))
    np.testing.assert_array_equal(found["ndvi_percentile"], here.layers["ndvi_percentile"])
    np.testing.assert_array_equal(found["clear_count"], (stack != -32768).sum(axis=0))
    np.testing.assert_array_equal(found["ndvi_max"], stack.max(axis=0))
    assert none[:3, :3].all() and not none.all()
    assert (found["ndvi_percentile"] < 0).sum() > 0


def test_a_percentile_of_two_places_is_refused(service: Service, archive: Path) -> None:
    """Half of the observations are there, half here: no percentile follows from two."""
    catalog = with_server(archive, "landsat")
    scenes = scenes_of(catalog, "landsat_engine", "sentinel_files")
    service.seen.clear()
    with pytest.raises(UsageError, match=r"(?s)reduces landsat_engine, but sentinel_files"):
        composite_tile(scenes, catalog, grid_of(), WHOLE, how(method="median"))
    tally = Tally(grid_of(), CompositeConfig(method="median"), catalog)
    with pytest.raises(UsageError, match="all observations"):  # before a run, by the plan
        tally.composite(Task("composite", "2025-06", WHOLE), scenes)
    assert service.seen == []


def test_no_image_left_is_no_value(service: Service, archive: Path) -> None:
    catalog = with_server(archive)
    scenes = scenes_of(catalog, "landsat_engine")
    service.collections[COLLECTIONS["landsat"]].clear()
    found = composite_tile(scenes, catalog, grid_of(), WHOLE, how(method="median"))
    assert len(found.failures) == len(scenes)
    assert (found.layers["ndvi_median"] == -32768).all() and not found.obs_count.any()


# ---------------------------------------------------------------- harmonisation


@pytest.mark.parametrize("name", list(COLLECTIONS))
def test_harmonised_there_as_here(service: Service, archive: Path, name: str) -> None:
    """The line of each image's platform is part of its scale and offset, in all three ways."""
    ids = tuple(f"{name}_{way}" for way in ("files", "engine"))
    catalog = with_server(archive)
    on = harmonised(catalog, ids, "roy_2016_hls_2018")
    read = harmonised(load_catalog(archive / "data_catalog.yaml"), ids, "roy_2016_hls_2018")
    files, engine = (scenes_of(on, dataset_id) for dataset_id in ids)
    platforms = [
        {platform_id(s.properties["platform"]) for s in found} for found in (files, engine)
    ]
    assert platforms[0] == platforms[1] and len(platforms[0]) == 2
    for settings in ({}, {"method": "median"}):
        way = (grid_of(), WHOLE, how(**settings))
        here = composite_tile(files, on, *way)
        assert_same(here, composite_tile(engine, on, *way), step=1)
        assert_same(here, composite_tile(engine, read, *way), step=0)
        off = composite_tile(files, catalog, *way)
        np.testing.assert_array_equal(off.clear_count > 0, here.clear_count > 0)
        assert (off.ndvi_max != here.ndvi_max).mean() > 0.2


def test_a_platform_without_coefficients_is_left_out_there_too(
    service: Service, archive: Path
) -> None:
    stored = service.collections[COLLECTIONS["sentinel"]]
    changed = stored[0].properties | {"SPACECRAFT_NAME": "Sentinel-2C"}
    service.collections[COLLECTIONS["sentinel"]] = [
        dataclasses.replace(stored[0], properties=changed), *stored[1:]
    ]  # fmt: skip
    on = harmonised(with_server(archive), ("sentinel_engine",), "hls_2018")
    scenes = scenes_of(on, "sentinel_engine")
    found = composite_tile(scenes, on, grid_of(), WHOLE)
    (failure,) = found.failures
    assert "no coefficients for Sentinel-2C" in failure.reason
    (other,) = [s for s in scenes if s.id != failure.scene]
    found.failures = ()
    assert_same(composite_tile([other], on, grid_of(), WHOLE), found, step=0)
