"""Archives in their own words: dialects, stac-geoparquet, processings of one acquisition."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import rustac
from imagery_fakes import WORLD, catalog_of, write_item

from eco_index.catalog import Catalog, completed
from eco_index.errors import InputError
from eco_index.sensors import decode_of
from eco_index.sources import Scene, open_source
from eco_index.sources.address import leaves
from eco_index.sources.newest import newest_only
from eco_index.sources.raster import gdal_path

YEAR = (dt.date(2025, 1, 1), dt.date(2025, 12, 31))
UTM = "EPSG:32649"


def catalog(tmp_path: Path, record: str, access: dict[str, Any], **more: Any) -> Catalog:
    made = catalog_of(tmp_path, d={"access": access, "record": record} | more)
    made.datasets["d"] = completed(made.datasets["d"], "here")
    return made


def search(made: Catalog, first: dt.date = YEAR[0], last: dt.date = YEAR[1]) -> Any:
    return open_source("d", made).search(WORLD, first, last)


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("LC08_L2SP_120031_20250703_20250704_02_RT", "LC08_L2SP_120031_20250703_20250710_02_T1"),
         [1]),
        (("LC08_L2SP_120031_20250703_20250710_02_T1", "LC08_L2SP_120031_20250703_20250801_02_T1"),
         [1]),
        (("LC08_L2SP_120031_20250703_20250710_02_T1", "LC08_L2SP_120032_20250703_20250710_02_T1"),
         [0, 1]),
        (("LC08_L2SP_120031_20250703_20250710_02_T1_SR",
          "LC08_L2SP_120031_20250703_20250710_02_T1_ST"), [0, 1]),
        (("MOD13Q1.A2025193.h26v04.061.2025210000000", "MOD13Q1.A2025193.h26v04.006.2025211000000"),
         [0]),
        # Two parts of one data take on a tile: one baseline, both needed.
        (("S2A_MSIL2A_20250219T032829_N0511_R018_T49TDL_20250219T060000",
          "S2A_MSIL2A_20250219T032829_N0511_R018_T49TDL_20250219T070000"), [0, 1]),
        # A Sen2Cor that somebody ran is no newer baseline.
        (("S2A_MSIL2A_20170719T032541_N9999_R018_T49TDL_20230219T060000",
          "S2A_MSIL2A_20170719T032541_N0500_R018_T49TDL_20230919T060000"), [1]),
        (("a", "b"), [0, 1]),
    ],
)  # fmt: skip
def test_processings_of_one_acquisition(names: tuple[str, ...], kept: list[int]) -> None:
    scenes = [Scene(n, "d", f"2025-07-03T03:00:0{i}Z", WORLD, {}) for i, n in enumerate(names)]
    for given in (scenes, scenes[::-1]):
        assert [s.id for s in newest_only(given)] == [names[i] for i in kept]


# ------------------------------------------------------------------ dialects


def item_of(folder: Path, collection: str, properties: dict[str, Any], *keys: str) -> None:
    more = {"datetime": "2025-07-03T03:00:00Z"} | properties
    assets = {k: f"s3://sentinel-cogs/a/{k}.tif" for k in keys}
    write_item(folder / "i.json", "i", assets, collection=collection, properties=more)


@pytest.mark.parametrize(
    ("dialect", "collection", "properties", "keys", "offset"),
    [
        ("earth_search", "sentinel-2-l2a", {"earthsearch:boa_offset_applied": True},
         ("red", "nir", "scl"), 0.0),
        ("earth_search", "sentinel-2-l2a", {"earthsearch:boa_offset_applied": False},
         ("red", "nir", "scl"), -0.1),
        # A leftover property of another collection decides nothing here.
        ("earth_search", "sentinel-2-c1-l2a", {"earthsearch:boa_offset_applied": True},
         ("red", "nir", "scl"), -0.1),
        ("planetary_computer", "sentinel-2-l2a", {}, ("B04", "B08", "SCL"), -0.1),
        ("cdse", "sentinel-2-l2a", {}, ("B04_10m", "B08_10m", "SCL_20m"), -0.1),
    ],
)  # fmt: skip
def test_offset_by_baseline_and_by_archive(
    tmp_path: Path,
    dialect: str,
    collection: str,
    properties: dict[str, Any],
    keys: tuple[str, ...],
    offset: float,
) -> None:
    baseline = "processing:version" if dialect == "cdse" else "s2:processing_baseline"
    item_of(tmp_path / "in", collection, properties | {baseline: "05.11"}, *keys)
    access = {"type": "stac_folder", "path": "in", "dialect": dialect, "collection": collection}
    made = catalog(tmp_path, "sentinel2_l2a", access)
    (scene,) = search(made).scenes
    dataset = made.datasets["d"]
    assert decode_of(dataset, "red", scene.properties).offset == offset
    wanted = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/a/" if "earth" in dialect else "s3:"
    assert scene.assets["red"].href.startswith(wanted)
    # The user may know better than a wrong property.
    for word, value in (("stored", -0.1), ("removed", 0.0)):
        told = catalog(tmp_path, "sentinel2_l2a", access | {"boa_offset": word})
        (scene,) = search(told).scenes
        assert decode_of(dataset, "red", scene.properties).offset == value
        # An old baseline never has an offset.
        old = scene.properties | {baseline: "02.14"}
        assert decode_of(dataset, "red", old).offset == 0.0


def test_landsatlook_is_read_from_its_bucket(tmp_path: Path) -> None:
    """The items' own addresses answer with a login page, which no raster driver can read."""
    name = "LC09_L2SP_128032_20250703_20250704_02_T1"
    path = f"collection02/level-2/standard/oli-tirs/2025/128/032/{name}/{name}"
    files = {"red": "SR_B4", "nir08": "SR_B5", "qa_pixel": "QA_PIXEL", "qa_radsat": "QA_RADSAT"}
    site = "https://landsatlook.usgs.gov/data/"
    assets = {k: f"{site}{path}_{v}.TIF" for k, v in files.items()}
    assets["red"] = f"s3://usgs-landsat/{path}_SR_B4.TIF"  # as the alternate address has it
    more = {"datetime": "2025-07-03T03:00:00Z", "platform": "LANDSAT_9"}
    write_item(
        tmp_path / "in" / "i.json", f"{name}_SR", assets, collection="landsat-c2l2-sr",
        properties=more,
    )  # fmt: skip
    access = {"type": "stac_folder", "path": "in", "dialect": "usgs"}
    made = catalog(tmp_path, "landsat_oli_c2l2", access | {"collection": "landsat-c2l2-sr"})
    (scene,) = search(made).scenes
    found = {leaf for a in scene.assets.values() for leaf in leaves(a.href)}
    assert found == {f"/vsis3/usgs-landsat/{path}_{v}.TIF" for v in files.values()}
    assert all(gdal_path(leaf) == leaf for leaf in found)


# ------------------------------------------------------------------ stac-geoparquet


def test_stac_geoparquet_written_by_rustac(tmp_path: Path) -> None:
    """The same scenes from one file as from the items, whoever wrote it."""
    items = []
    for number, month in enumerate((6, 7, 8)):
        keys = ("red", "nir08", "qa_pixel", "qa_radsat")
        path = write_item(
            tmp_path / "items" / f"{number}.json",
            f"LC08_{number}",
            {k: f"{k}_{number}.tif" for k in keys},
            collection="landsat-c2-l2",
            properties={"datetime": f"2025-0{month}-03T03:00:00Z", "platform": "landsat-8"},
            bbox=[100.0 + number, 40.0, 101.0 + number, 41.0],
            geometry={
                "type": "Polygon",
                "coordinates": [[
                    [100.0 + number, 40.0], [101.0 + number, 40.0], [101.0 + number, 41.0],
                    [100.0 + number, 41.0], [100.0 + number, 40.0],
                ]],
            },
        )  # fmt: skip
        items.append(json.loads(path.read_text()))
    file = tmp_path / "items" / "catalogue.parquet"

    async def write() -> None:
        await rustac.write(str(file), items)

    asyncio.run(write())
    base = {"dialect": "earth_search", "collection": "landsat-c2-l2"}
    folder = catalog(tmp_path, "landsat_oli_c2l2", base | {"type": "stac_folder", "path": "items"})
    parquet = base | {"type": "stac_geoparquet", "path": "items/catalogue.parquet"}
    made = catalog(tmp_path, "landsat_oli_c2l2", parquet)
    days = (dt.date(2025, 7, 1), dt.date(2025, 8, 31))
    one, other = search(folder, *days), search(made, *days)
    assert [s.id for s in one.scenes] == ["LC08_1", "LC08_2"]
    assert [s.to_dict() for s in one.scenes] == [s.to_dict() for s in other.scenes]
    near = open_source("d", made).search((100.5, 40.2, 101.5, 40.4), *YEAR)
    assert [s.id for s in near.scenes] == ["LC08_0", "LC08_1"]
    file.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="(?s)cannot be read.*catalogue.parquet"):
        search(made)
