"""Two tiny archives with STAC items, the same scenes as Earth Engine collections, and fixtures."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from earthengine_graph import BandFile, StoredImage
from earthengine_service import Service
from pyproj import CRS, Transformer

from eco_index.catalog import load_catalog
from eco_index.grid import Grid
from eco_index.sources import ee_client
from eco_index.sources.earthengine import EarthEngineSource
from eco_index.sources.scene import Found

ALBERS = "+proj=aea +lat_1=25 +lat_2=47 +lon_0=105 +ellps=GRS80 +units=m +no_defs"
SIZE = 48  # grid pixels
JUNE = (dt.date(2025, 6, 1), dt.date(2025, 6, 30))

CATALOG = """
version: 1
datasets:
{datasets}
"""
DATASET = """
  {id}:
    title: {{zh: 测试, en: test}}
    source: made by the test
    licence: CC0-1.0
    access: {access}
    offset_rule: {rule}
    bands:
      red: {{asset: [{red}], scale: {scale}, offset: {offset}, nodata: 0}}
      nir: {{asset: [{nir}], scale: {scale}, offset: {offset}, nodata: 0}}
      qa: {{asset: [{qa}], nodata: {qa_nodata}}}
    mask: {{band: qa, recipe: {recipe}}}
"""
LANDSAT = {
    "rule": "none",
    "scale": 2.75e-5,
    "offset": -0.2,
    "qa_nodata": 1,
    "recipe": "landsat_qa_pixel",
}
SENTINEL = {
    "rule": "sentinel2_baseline_0400",
    "scale": 1e-4,
    "offset": 0.0,
    "qa_nodata": 0,
    "recipe": "s2_scl",
}
STAC_KEYS = {"red": "red", "nir": "nir08", "qa": "qa"}
EE_KEYS = {
    "landsat": {"red": "SR_B4", "nir": "SR_B5", "qa": "QA_PIXEL"},
    "sentinel": {"red": "B4", "nir": "B8A", "qa": "SCL"},
}
COLLECTIONS = {"landsat": "LANDSAT/LC08/C02/T1_L2", "sentinel": "COPERNICUS/S2_SR"}


def grid_of(tile: int = SIZE) -> Grid:
    x, y = Transformer.from_crs("EPSG:4326", ALBERS, always_xy=True).transform(114.0, 43.0)
    x0, y0 = round(x / 30) * 30.0, round(y / 30) * 30.0
    return Grid(CRS(ALBERS).to_wkt(), 30.0, (x0, y0 - SIZE * 30, x0 + SIZE * 30, y0), tile, 16)


def write_scene(
    folder: Path,
    name: str,
    when: str,
    utm: int,
    res: float,
    qa: dict,
    baseline: str | None,
    seed: int,
) -> None:
    """Write a scene that covers most of the grid: bands, an edge without data, a STAC item."""
    rng = np.random.default_rng(seed)
    grid = grid_of()
    crs = f"EPSG:{utm}"
    left, bottom, right, top = Transformer.from_crs(ALBERS, crs, always_xy=True).transform_bounds(
        *grid.bounds
    )
    # A corner of the grid stays outside.
    left += 200
    origin = (np.floor(left / res) * res, np.ceil(top / res) * res)
    shape = (int((origin[1] - bottom) / res) + 3, int((right - origin[0]) / res) + 3)
    transform = Affine(res, 0, origin[0], 0, -res, origin[1])
    empty = np.zeros(shape, bool)
    empty[:, : shape[1] // 6] = True
    quality = rng.choice(qa["values"], shape, p=qa["shares"]).astype(qa["dtype"])
    quality[empty] = qa["nodata"]
    arrays = {
        "red": np.where(empty, 0, rng.integers(7600, 12000, shape)).astype("uint16"),
        "nir08": np.where(empty, 0, rng.integers(9000, 20000, shape)).astype("uint16"),
        "qa": quality,
    }
    place = folder / name
    place.mkdir(parents=True)
    for key, array in arrays.items():
        nodata = qa["nodata"] if key == "qa" else 0
        with rasterio.open(
            place / f"{key}.tif",
            "w",
            driver="GTiff",
            width=shape[1],
            height=shape[0],
            count=1,
            dtype=array.dtype,
            crs=crs,
            transform=transform,
            nodata=nodata,
            tiled=True,
            blockxsize=32,
            blockysize=32,
            compress="deflate",
        ) as file:
            file.write(array, 1)
    bounds = rasterio.transform.array_bounds(*shape, transform)
    west, south, east, north = Transformer.from_crs(
        crs, "EPSG:4326", always_xy=True
    ).transform_bounds(*bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    # Simulated: a collection of the service holds one sensor, here it holds two.
    platform = "landsat-8 landsat-7" if baseline is None else "sentinel-2a sentinel-2b"
    properties = {"datetime": when, "platform": platform.split()[seed % 2]}
    if baseline:
        properties["s2:processing_baseline"] = baseline
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": properties,
        "links": [],
        "assets": {key: {"href": f"./{key}.tif"} for key in arrays},
    }
    (place / f"{name}.json").write_text(json.dumps(item), encoding="utf-8")


LANDSAT_QA = {
    "values": [21824, 22280, 23888, 21952],
    "shares": [0.7, 0.1, 0.1, 0.1],
    "dtype": "uint16",
    "nodata": 1,
}
SCL = {
    "values": [4, 5, 6, 8, 3, 11],
    "shares": [0.4, 0.3, 0.1, 0.1, 0.05, 0.05],
    "dtype": "uint8",
    "nodata": 0,
}


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small archives with STAC items, and a catalogue that offers each in both ways."""
    root = tmp_path_factory.mktemp("engine")
    landsat, sentinel = root / "landsat", root / "sentinel"
    for k, (when, utm) in enumerate(
        [
            ("2025-05-31T23:59:59Z", 32649),
            ("2025-06-01T00:00:00Z", 32649),
            ("2025-06-17T03:01:02Z", 32650),
            ("2025-06-30T23:59:59Z", 32650),
            ("2025-07-01T00:00:00Z", 32649),
        ]
    ):
        write_scene(landsat, f"LC08_12{k}030_{when[:10]}", when, utm, 30, LANDSAT_QA, None, k)
    for k, baseline in enumerate(["05.11", "02.14"]):
        when = f"2025-06-{10 + k}T03:05:00Z"
        write_scene(sentinel, f"S2_{k}", when, 32650, 20, SCL, baseline, 20 + k)
    parts = []
    for name, record in (("landsat", LANDSAT), ("sentinel", SENTINEL)):
        stac = f"{{type: stac_folder, path: {name}}}"
        engine = f"{{type: earth_engine, collection: {COLLECTIONS[name]}}}"
        parts.append(DATASET.format(id=f"{name}_files", access=stac, **STAC_KEYS, **record))
        parts.append(DATASET.format(id=f"{name}_engine", access=engine, **EE_KEYS[name], **record))
    (root / "data_catalog.yaml").write_text(
        CATALOG.format(datasets="".join(parts)), encoding="utf-8"
    )
    return root


def collections_of(archive: Path) -> dict[str, list[StoredImage]]:
    out = {}
    for name, collection in COLLECTIONS.items():
        keys = EE_KEYS[name]
        qa_nodata = {"landsat": 1, "sentinel": 0}[name]
        bands = {
            "red": (keys["red"], 0.0),
            "nir08": (keys["nir"], 0.0),
            "qa": (keys["qa"], float(qa_nodata)),
        }
        out[collection] = images_of_stac(archive / name, collection, bands)
    return out


@pytest.fixture
def service(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with Service(collections_of(archive)) as running:
        monkeypatch.setenv("ECO_EE_URL", running.url)
        monkeypatch.setenv("EE_PROJECT", "p")
        monkeypatch.setenv("ECO_EE_FIRST_WAIT_S", "0.001")
        monkeypatch.setenv("ECO_EE_LONGEST_WAIT_S", "0.002")
        monkeypatch.setenv("ECO_EE_REQUESTS_PER_SECOND", "10000")
        monkeypatch.setenv("ECO_EE_ATTEMPTS", "4")
        ee_client.disconnect()
        yield running
        ee_client.disconnect()


def images_of_stac(
    folder: Path, collection: str, bands: dict[str, tuple[str, float | None]]
) -> list[StoredImage]:
    """Offer the scenes of a folder of STAC items as images of a collection.

    `bands`: STAC asset key to (Earth Engine band id, stored value that is masked).
    """
    images = []
    for file in sorted(folder.rglob("*.json")):
        item = json.loads(file.read_text(encoding="utf-8"))
        if item.get("type") != "Feature":
            continue
        baseline = item["properties"].get("s2:processing_baseline")
        when = np.datetime64(item["properties"]["datetime"].removesuffix("Z"), "ms")
        platform = item["properties"].get("platform", "")
        stated = {"PROCESSING_BASELINE": baseline} if baseline else {}
        if platform.startswith("sentinel"):
            stated["SPACECRAFT_NAME"] = f"Sentinel-2{platform[-1].upper()}"
        elif platform.startswith("landsat"):
            stated["SPACECRAFT_ID"] = platform.upper().replace("-", "_")
        images.append(
            StoredImage(
                f"{collection}/{item['id']}",
                int(when.astype(np.int64)),
                item["geometry"],
                {
                    name: BandFile(file.parent / item["assets"][key]["href"], masked)
                    for key, (name, masked) in bands.items()
                    if key in item["assets"]
                },
                stated,
                version=1_700_000_000_000_000 + len(images),
            )
        )
    return images


def engine_of(archive: Path, name: str) -> EarthEngineSource:
    dataset_id = f"{name}_engine"
    return EarthEngineSource(
        dataset_id, load_catalog(archive / "data_catalog.yaml").datasets[dataset_id]
    )


def search(archive: Path, name: str) -> Found:
    return engine_of(archive, name).search(grid_of().lonlat_bounds(), *JUNE)
