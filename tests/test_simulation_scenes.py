"""Simulated scenes against their own promises; nothing here uses the pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from shapely.geometry import shape
from simulated import truth

from eco_index import yamlio
from eco_index.config import RegionConfig
from eco_index.grid import Grid

QA_FLAGS = 0b111111  # fill, dilated cloud, cirrus, cloud, shadow, snow


@pytest.fixture(scope="session")
def folder(small_region: Path) -> Path:
    return small_region.parent


@pytest.fixture(scope="session")
def grid(small_region: Path) -> Grid:
    return yamlio.load(small_region, RegionConfig).grid_


@pytest.fixture(scope="session")
def items(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((folder / "data").glob("*/*/*.json")):
        found.append(json.loads(path.read_text(encoding="utf-8")) | {"_folder": path.parent})
    return found


def _is_landsat(item: dict[str, Any]) -> bool:
    return item["collection"] == "landsat-c2l2"


def _read(item: dict[str, Any], key: str) -> np.ndarray:
    with rasterio.open(item["_folder"] / item["assets"][key]["href"]) as file:
        return file.read(1)


def _sound(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Scenes whose files can be read."""
    return [i for i in items if "nir08" in i["assets"] and not _truncated(i)]


def _truncated(item: dict[str, Any]) -> bool:
    return any(
        (item["_folder"] / a["href"]).stat().st_size != a["file:size"]
        for a in item["assets"].values()
    )


def test_items_are_valid_stac(items: list[dict[str, Any]], folder: Path) -> None:
    assert len(items) == 2 * 20
    for item in items:
        plain = {k: v for k, v in item.items() if k != "_folder"}
        # pystac reads 1.0 into its own version, whose core schema it carries; the schemas of the
        # extensions live on the web, so their fields are checked against the files below.
        read = pystac.Item.from_dict(plain, migrate=True)
        read.stac_extensions = []
        assert read.validate()
        assert plain["stac_version"] == "1.0.0"
        assert shape(plain["geometry"]).is_valid
        assert shape(plain["geometry"]).bounds == pytest.approx(plain["bbox"], abs=1e-6)
    for path in (folder / "data").glob("*/collection.json"):
        collection = pystac.Collection.from_file(path)
        assert collection.validate()
        linked = {i.id for i in collection.get_items()}
        assert linked == {i["id"] for i in items if i["collection"] == collection.id}


def test_items_describe_their_files(items: list[dict[str, Any]], grid: Grid) -> None:
    region = grid.lonlat_bounds()
    zones = set()
    for item in _sound(items):
        properties = item["properties"]
        zones.add(properties["proj:epsg"])
        west, south, east, north = item["bbox"]
        assert west < region[2] and east > region[0] and south < region[3] and north > region[1]
        for key, asset in item["assets"].items():
            with rasterio.open(item["_folder"] / asset["href"]) as file:
                assert file.crs.to_epsg() == properties["proj:epsg"]
                assert list(file.shape) == properties["proj:shape"]
                assert list(file.transform)[:6] == properties["proj:transform"]
                assert file.dtypes[0] == asset["raster:bands"][0]["data_type"]
                assert file.nodata == asset["raster:bands"][0]["nodata"], key
                assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
                assert file.transform.a == (30 if _is_landsat(item) else 20)
                left, _, right, _ = rasterio.warp.transform_bounds(file.crs, 4326, *file.bounds)
                assert left - 1e-3 <= west and east <= right + 1e-3
    assert zones == {32649, 32650}


def test_flaws_are_where_they_should_be(items: list[dict[str, Any]]) -> None:
    truncated = [i for i in items if _truncated(i)]
    assert len(truncated) == 1
    with pytest.raises(rasterio.errors.RasterioIOError):
        _read(truncated[0], "nir08")
    missing = [i for i in items if "nir08" not in i["assets"]]
    assert len(missing) == 1
    assert not list(missing[0]["_folder"].glob("*B8A*"))
    old = [i for i in items if i["properties"].get("s2:processing_baseline", "9") < "04.00"]
    assert len(old) == 1
    # All of them lie in July, where enough other scenes remain.
    assert {i["properties"]["datetime"][5:7] for i in truncated + missing + old} == {"07"}


def test_quality_bands_and_no_data(items: list[dict[str, Any]]) -> None:
    qa_seen: set[int] = set()
    scl_seen: set[int] = set()
    snow_months = set()
    for item in _sound(items):
        red, nir = _read(item, "red"), _read(item, "nir08")
        if _is_landsat(item):
            quality = _read(item, "qa_pixel")
            qa_seen |= set(np.unique(quality).tolist())
            fill, snow = quality == 1, (quality & 32) > 0
        else:
            quality = _read(item, "scl")
            scl_seen |= set(np.unique(quality).tolist())
            fill, snow = quality == 0, quality == 11
        assert ((red == 0) == fill).all() and ((nir == 0) == fill).all()
        if snow.any():
            snow_months.add(item["properties"]["datetime"][5:7])
    assert qa_seen == {1, 21824, 21826, 21952, 22280, 23824, 23888, 30048}
    assert scl_seen == {0, 3, 4, 5, 6, 8, 9, 11}
    assert snow_months == {"04", "05"}


def _composite(
    items: list[dict[str, Any]], grid: Grid, use_mask: bool = True, use_offset: bool = True
) -> np.ndarray:
    """Maximum NDVI by GDAL's own warping: independent of the project's kernels."""
    crs = CRS.from_wkt(grid.crs_wkt)
    best = np.full(grid.shape, -9.0)

    def warp(item: dict[str, Any], key: str, how: Resampling, nodata: int) -> np.ndarray:
        with rasterio.open(item["_folder"] / item["assets"][key]["href"]) as file:
            source = file.read(1)
            out = np.full(grid.shape, nodata, np.float32)
            reproject(
                source.astype(np.float32),
                out,
                src_transform=file.transform,
                src_crs=file.crs,
                dst_transform=grid.transform,
                dst_crs=crs,
                src_nodata=nodata,
                dst_nodata=nodata,
                resampling=how,
            )
        return out

    for item in _sound(items):
        red, nir = (warp(item, k, Resampling.bilinear, 0) for k in ("red", "nir08"))
        seen = (red > 0) & (nir > 0)
        if _is_landsat(item):
            clear = (warp(item, "qa_pixel", Resampling.nearest, 1).astype(int) & QA_FLAGS) == 0
            red, nir = red * 2.75e-5 - 0.2, nir * 2.75e-5 - 0.2
        else:
            clear = np.isin(warp(item, "scl", Resampling.nearest, 0), (4, 5, 6, 7))
            old = use_offset and item["properties"]["s2:processing_baseline"] < "04.00"
            offset = 0.0 if old else -0.1
            red, nir = red * 1e-4 + offset, nir * 1e-4 + offset
        keep = seen & clear if use_mask else seen
        ndvi = np.where(keep, (nir - red) / np.maximum(nir + red, 1e-3), -9)
        best = np.maximum(best, ndvi)
    return best


def _errors(best: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    valid = best > -9
    assert valid.mean() > 0.999
    error = (np.clip((best - 0.15) / 0.75, 0, 1) - truth)[valid]
    return float(np.sqrt((error**2).mean())), float(error.mean())


@pytest.mark.parametrize("year", [2024, 2025])
def test_truth_comes_back_through_an_independent_composite(
    items: list[dict[str, Any]], folder: Path, grid: Grid, year: int
) -> None:
    chosen = [i for i in items if i["properties"]["datetime"][:7] in (f"{year}-07", f"{year}-08")]
    expected = truth(folder, year)["fvc"]
    rmse, bias = _errors(_composite(chosen, grid), expected)
    assert rmse <= 0.02
    assert abs(bias) <= 0.005
    # The traps are real: without the mask, or with one offset for all, the promise breaks.
    assert _errors(_composite(chosen, grid, use_mask=False), expected)[1] > 0.01
    if year == 2024:
        assert _errors(_composite(chosen, grid, use_offset=False), expected)[1] > 0.05
