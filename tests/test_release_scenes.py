"""The source index of a release resolves to scenes without the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rioxarray  # noqa: F401  (registers .rio)
import tiny_region
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from eco_index import cube
from eco_index.config import Region
from eco_index.errors import InputError
from eco_index.grid import Tile
from eco_index.period import Month, Period
from eco_index.release.plain_zarr import check_copy, copy_period
from eco_index.release.scene_list import check_places
from eco_index.sources import Manifest

MONTHS = ("2025-05", "2025-06", "2025-07")
SCENES = {"2025-05": 3, "2025-06": 0, "2025-07": 5}  # a month without any scene between


def put_month(archive: cube.Archive, region: Region, month: str, off: int = 0) -> None:
    names = [f"{month}-{k}" for k in range(SCENES[month])]
    scenes = tuple(tiny_region.scene(region.grid, Month.parse(month), name) for name in names)
    document = {"manifest": Manifest(month, scenes).to_dict(), "search": {}, "compute_failures": []}
    archive.store_manifest(Month.parse(month), document, tiny_region.RECORD)
    for tile in region.grid.tiles():
        index = index_of(month, tile)
        index[index != 65535] += off
        tiny_region.put(archive, "monthly", month, tile, source_index=index)


def index_of(month: str, tile: Tile) -> np.ndarray:
    rows, columns = np.mgrid[tile.slices]
    if not SCENES[month]:
        return np.full(tile.shape, 65535, np.uint16)
    places = (rows + 3 * columns) % (SCENES[month] + 1)
    return np.where(places == SCENES[month], 65535, places).astype(np.uint16)


def copied(tmp_path: Path, off: int = 0, **composite: Any) -> tuple[cube.CubeView, Path]:
    region = tiny_region.region(tmp_path, composite=composite)
    archive = cube.create_or_open(region)
    for month in MONTHS:
        put_month(archive, region, month, off)
    view, target = archive.view(), tmp_path / "cube.zarr"
    groups = copy_period(view, Period(2025), MONTHS, target, {})
    check_copy(view, target, groups)
    return view, target


def test_xarray_alone_finds_the_scene_of_every_pixel(tmp_path: Path) -> None:
    view, target = copied(tmp_path, source_index=True)
    with xr.open_zarr(target, group="monthly", decode_coords="all") as ds:
        assert ds.source_index.attrs["scenes"].startswith("scene_id")
        assert ds.scene_id.dims == ("time", "scene")
        for step, month in enumerate(MONTHS):
            manifest = view.manifest(Month.parse(month))
            assert manifest is not None
            known = ds.scene_id.isel(time=step).to_numpy()
            assert [v for v in known if v] == [s.id for s in manifest.scenes]
            index = ds.source_index.isel(time=step)
            if not manifest.scenes:
                assert index.isnull().all() and ds.scene_time[step].isnull().all()
                continue
            # By label, as a user would: the value of the layer is the coordinate `scene`.
            here = ds.isel(time=step).sel(scene=index.fillna(0).astype(int))
            seen = index.notnull().to_numpy()
            rows, columns = np.mgrid[0 : seen.shape[0], 0 : seen.shape[1]]
            places = (rows + 3 * columns) % (SCENES[month] + 1)
            expected = np.array([*(f"{month}-{k}" for k in range(SCENES[month])), ""])[places]
            assert (here.scene_id.to_numpy()[seen] == expected[seen]).all() and seen.any()
            assert (here.scene_dataset.to_numpy()[seen] == "img").all()
            when = np.unique(here.scene_time.to_numpy()[seen])
            assert when.astype("datetime64[s]").astype(str).tolist() == [f"{month}-03T03:00:00"]
        assert ds.rio.crs is not None


def test_without_a_source_index_there_is_no_list(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    view = cube.create_or_open(region).view()
    copy_period(view, Period(2025), MONTHS, tmp_path / "cube.zarr", {})
    with xr.open_zarr(tmp_path / "cube.zarr", group="monthly") as ds:
        assert not {"scene", "scene_id", "source_index"} & set(ds.variables)


def test_layers_of_an_earlier_section_are_left_out(tmp_path: Path) -> None:
    """They are not written any more: the list beside them would be that of other scenes."""
    copied(tmp_path, source_index=True)
    region = tiny_region.region(tmp_path, composite={"snow_count": True})
    view = cube.create_or_open(region).view()
    assert "source_index" in view.root["monthly"]  # type: ignore[operator]
    groups = copy_period(view, Period(2025), MONTHS, tmp_path / "later.zarr", {})
    check_copy(view, tmp_path / "later.zarr", groups)
    with xr.open_zarr(tmp_path / "later.zarr", group="monthly") as ds:
        assert "snow_count" in ds and "source_index" not in ds and "scene_id" not in ds


def test_a_place_without_a_scene_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)places without a scene: \[3\].*lists 3 scene"):
        copied(tmp_path, off=1, source_index=True)


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 9))
def test_places_are_those_of_the_list(used: list[int], listed: int) -> None:
    names = np.array([f"s{k}" if k < listed else "" for k in range(10)], object)
    values = np.array([*used, 65535], np.uint16)
    if all(k < listed for k in used):
        check_places(values, names, "here")
    else:
        with pytest.raises(InputError, match="without a scene"):
            check_places(values, names, "here")
