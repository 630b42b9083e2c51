"""A real STAC API server (rustac) on loopback: what it offers makes the map of the files."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_server import FaultServer
from imagery_fakes import catalog_of, grid_of, landsat_entry, landsat_scene

from eco_index.catalog import Catalog
from eco_index.composite import composite_tile
from eco_index.grid import Tile
from eco_index.period import Month
from eco_index.sources import Scene, open_source
from eco_index.sources.preflight import check_scene
from eco_index.sources.raster import raster_env

GRID = grid_of(100, 90)
WHOLE = Tile(0, 0, 0, 90, 0, 100)
JULY = Month(2025, 7)
KEYS = {"red": "red", "nir": "nir08", "qa": "qa_pixel"}


def item(item_id: str, collection: str, when: str, hrefs: dict[str, str], **more: Any) -> dict:
    """An item without projection metadata."""
    west, south, east, north = GRID.lonlat_bounds()
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": item_id,
        "collection": collection,
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": when} | more,
        "links": [],
        "assets": {key: {"href": href} for key, href in hrefs.items()},
    }


@contextmanager
def serving(folder: Path, items: list[dict]) -> Iterator[str]:
    """Run `rustac serve` with its memory backend until the block ends."""
    file = folder / "items.json"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("rustac")
    if not program.exists():
        pytest.skip("the program rustac is not installed")
    command = [program, "serve", "-a", f"127.0.0.1:{port}", "--create-collections", file]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(200):
            assert server.poll() is None, server.stderr.read().decode()
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.communicate(timeout=10)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    folder = tmp_path_factory.mktemp("files")
    server = FaultServer(folder)
    server.scenes = [landsat_scene(folder, GRID, k) for k in range(2)]
    yield server
    server.close()


def behind(server: FaultServer, k: int) -> dict[str, str]:
    assets = server.scenes[k].assets
    return {KEYS[b]: f"{server.url}/{Path(a.href).name}" for b, a in assets.items()}


@pytest.fixture(scope="module")
def stac(tmp_path_factory: pytest.TempPathFactory, files: FaultServer) -> Iterator[str]:
    hrefs = [behind(files, k) for k in range(2)]
    items = [item(f"L{k}", "landsat", f"2025-07-{k + 1:02d}T03:00:00Z", hrefs[k]) for k in (0, 1)]
    items += [
        item("before", "landsat", "2025-06-30T23:59:59Z", hrefs[0]),
        item("after", "landsat", "2025-08-01T00:00:00Z", hrefs[0]),
        item("lacks", "landsat", "2025-07-09T03:00:00Z", {"red": hrefs[0]["red"]}),
    ]
    many = [f"2025-07-{1 + k % 31:02d}T{k % 24:02d}:00:00Z" for k in range(250)]
    items += [item(f"M{k:03d}", "many", when, hrefs[0]) for k, when in enumerate(many)]
    for baseline in ("02.14", "05.11"):
        part = baseline.replace(".", "")
        name = f"S2A_MSIL2A_20250705T031541_N{part}_R118_T49TGF_20250705T064800"
        when = "2025-07-05T03:15:41Z"
        items.append(item(name, "twice", when, hrefs[1], **{"s2:processing_baseline": baseline}))
    with serving(tmp_path_factory.mktemp("stac"), items) as url:
        yield url


def catalog(folder: Path, url: str, collection: str) -> Catalog:
    access = {"type": "stac_api", "url": url, "collection": collection}
    return catalog_of(folder, landsat=landsat_entry(access=access))


def search(catalog: Catalog, month: Month = JULY, bounds: Any = None):
    where = bounds or GRID.lonlat_bounds()
    return open_source("landsat", catalog).search(where, month.start, month.end)


def test_the_map_is_that_of_the_files(tmp_path: Path, stac: str, files: FaultServer) -> None:
    """Items without projection metadata, files read by range: header and map are the same."""
    served = catalog(tmp_path, stac, "landsat")
    found = search(served)
    assert [s.id for s in found.scenes] == ["L0", "L1"]
    (lacking,) = found.failures
    assert (lacking.scene, lacking.asset) == ("lacks", "nir")
    with raster_env():
        checked = [check_scene(s, served.datasets["landsat"]) for s in found.scenes]
    assert all(isinstance(s, Scene) for s in checked)
    assert all(
        a.checksum.startswith("etag:") and a.size for s in checked for a in s.assets.values()
    )
    here = composite_tile(files.scenes, served, GRID, WHOLE)
    there = composite_tile(checked, served, GRID, WHOLE)
    assert here.failures == there.failures == () and here.clear_count.any()
    for name, values in here.arrays().items():
        np.testing.assert_array_equal(there.arrays()[name], values)
    assert all(r.stop - r.start <= r.size for r in files.log) and any(r.start for r in files.log)


def test_pages_are_followed_to_the_end(tmp_path: Path, stac: str) -> None:
    """250 items in pages of 100, none twice, none lost."""
    found = search(catalog(tmp_path, stac, "many"))
    assert len({s.id for s in found.scenes}) == len(found.scenes) == 250
    assert [s.key for s in found.scenes] == sorted(s.key for s in found.scenes)
    half = search(catalog(tmp_path, stac, "many"), Month(2025, 8))
    assert half.scenes == () and half.failures == ()


def test_nothing_found_is_an_empty_answer(tmp_path: Path, stac: str) -> None:
    served = catalog(tmp_path, stac, "landsat")
    assert search(served, Month(2024, 7)) == search(served, bounds=(0.0, 0.0, 1.0, 1.0))
    assert search(served, Month(2024, 7)).scenes == ()


def test_of_two_baselines_the_newest_is_kept(tmp_path: Path, stac: str) -> None:
    found = search(catalog(tmp_path, stac, "twice"))
    assert [s.properties["s2:processing_baseline"] for s in found.scenes] == ["05.11"]
