"""Verify finds what does not fit the data schema; show says what is inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_region
import zarr
from pyproj import CRS
from tiny_region import full, put

from eco_index import cube


def damage(region: Any, change: Any) -> None:
    archive = cube.open_archive(region.archive_path)
    with archive.session() as session:
        change(zarr.open_group(session.store, mode="r+"))
    archive.commit("damage", {}, session=session)


def test_verify_is_content_with_a_fresh_archive(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    cube.create_or_open(region)
    assert cube.verify(region.archive_path) == []


@pytest.mark.parametrize(
    ("path", "key", "value", "message"),
    [
        ("", "title", None, "'title' is missing"),
        ("", "zarr_conventions", [], "not declared"),
        ("yearly", "spatial:shape", [1, 2], "'spatial:shape'"),
        ("yearly/fvc", "scale_factor", 0.01, "'scale_factor'"),
        ("yearly/fvc", "_FillValue", 0, "'_FillValue'"),
        ("yearly/fvc", "grid_mapping", None, "'grid_mapping' is missing"),
        ("monthly/time", "units", "days since 2000-01-01", "'units'"),
        ("yearly/spatial_ref", "crs_wkt", CRS(32649).to_wkt(), "another CRS"),
        ("yearly/spatial_ref", "crs_wkt", "nonsense", "not a CRS"),
    ],
)
def test_verify_finds_wrong_attributes(
    tmp_path: Path, path: str, key: str, value: Any, message: str
) -> None:
    region = tiny_region.region(tmp_path)
    cube.create_or_open(region)

    def change(root: Any) -> None:
        node = root[path] if path else root
        if value is None:
            del node.attrs[key]
        else:
            node.attrs[key] = value

    damage(region, change)
    findings = cube.verify(region.archive_path)
    assert any(message in f.message and f"/{path}" in f.where for f in findings), findings


def test_verify_finds_wrong_axes_and_missing_variables(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    cube.create_or_open(region)

    def change(root: Any) -> None:
        root["yearly/x"][0] += 1
        root["half_yearly/time"][1] = 3
        del root["monthly/clear_count"]

    damage(region, change)
    where = {f.where for f in cube.verify(region.archive_path)}
    assert where == {"/yearly/x", "/half_yearly/time", "/monthly/clear_count"}


def test_verify_compares_the_data_with_the_commits(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    first, second, third = region.grid.tiles()[:3]
    record = cube.TaskRecord("d", {}, {"clear_pixels": first.shape[0] * first.shape[1]})
    archive.commit("lost", {f"composite/2025-06/{first.id}": record})
    put(archive, "yearly", "2025", second, fvc=full(second, 20000, "uint16"))
    put(archive, "yearly", "2025", third, ndvi_max=full(third, 1, "int16"))
    archive.tag("2025", archive.view().snapshot)
    text = "\n".join(f"{f.where}: {f.message}" for f in cube.verify(region.archive_path))
    assert f"{first.id}: 0 pixels are clear, the commit counted 1024" in text
    assert f"{second.id}: fvc reaches from 20000 to 20000" in text
    assert f"{third.id}: ndvi_max and clear_count disagree in" in text
    assert "tag '2025': pins only 2 of 6 tiles" in text
    assert "/manifests/2025-06: missing" in text


def test_verify_finds_a_lost_chunk_file(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 10000, tile.shape).astype("uint16")
    before = set((region.archive_path / "chunks").glob("*"))
    put(archive, "yearly", "2025", tile, fvc=noise)
    (lost,) = set((region.archive_path / "chunks").glob("*")) - before
    lost.unlink()
    findings = cube.verify(region.archive_path)
    assert any("cannot be read" in f.message and tile.id in f.where for f in findings), findings


def test_show_says_what_is_inside(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    archive.tag("2025", put(archive, "yearly", "2025", tile, fvc=full(tile, 1, "uint16")))
    said = cube.show(region.archive_path)
    assert said["simulated"] is True and said["region"] == "tiny"
    assert said["groups"]["yearly"]["times"] == [
        {"id": "2024", "done": 0, "total": 6},
        {"id": "2025", "done": 1, "total": 6},
    ]
    assert list(said["tags"]) == ["2025"] and said["size_bytes"] > 0
    assert said["commits"][0]["message"] == "test"
    ids = [v["id"] for v in said["groups"]["monthly"]["variables"]]
    assert sorted(ids) == ["clear_count", "ndvi_max", "obs_count"]
