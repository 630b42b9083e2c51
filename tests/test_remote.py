"""Files behind addresses: the same composite and receipts as from the local disk."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagery_fakes import catalog_of, grid_of, landsat_entry, landsat_scene

from eco_index.catalog import Catalog
from eco_index.composite import composite_tile
from eco_index.grid import Tile
from eco_index.sources import AssetFailure, Scene
from eco_index.sources.preflight import check_scene
from eco_index.sources.raster import raster_env
from eco_index.sources.scene import Asset

GRID = grid_of(100, 90)
WHOLE = Tile(0, 0, 0, 90, 0, 100)


class Files:
    """A file server on loopback that answers range requests."""

    def __init__(self, folder: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send(body=False)

            def do_GET(self) -> None:
                self.send(body=True)

            def send(self, body: bool) -> None:
                path = folder / self.path.split("?")[0].lstrip("/")
                if not path.is_file():
                    self.send_error(404)
                    return
                data = path.read_bytes()
                part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                size, start = len(data), 0
                if part:
                    start, stop = int(part[1]), int(part[2] or size - 1) + 1
                    data = data[start:stop]
                self.send_response(206 if part else 200)
                if part:
                    end = start + len(data) - 1
                    self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{path.name}"')
                self.end_headers()
                if body:
                    self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return landsat_scene(tmp_path, GRID, 1)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    yield files
    files.server.shutdown()


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_of(tmp_path, landsat=landsat_entry())


def behind(scene: Scene, files: Files) -> Scene:
    assets = {b: Asset(f"{files.url}/{Path(a.href).name}") for b, a in scene.assets.items()}
    return dataclasses.replace(scene, assets=assets)


def look(scene: Scene, catalog: Catalog) -> Scene | AssetFailure:
    with raster_env():
        return check_scene(scene, catalog.datasets["landsat"])


def test_remote_composite_equals_the_local_one(
    scene: Scene, files: Files, catalog: Catalog
) -> None:
    here = composite_tile([scene], catalog, GRID, WHOLE)
    there = composite_tile([behind(scene, files)], catalog, GRID, WHOLE)
    assert not there.failures and here.clear_count.any()
    np.testing.assert_array_equal(there.ndvi_max, here.ndvi_max)
    np.testing.assert_array_equal(there.obs_count, here.obs_count)


def test_remote_receipts(scene: Scene, files: Files, catalog: Catalog) -> None:
    here, there = look(scene, catalog), look(behind(scene, files), catalog)
    assert isinstance(here, Scene) and isinstance(there, Scene)
    assert there.bbox == here.bbox
    for band, asset in there.assets.items():
        assert asset.size == here.assets[band].size
        assert asset.checksum == f'etag:"{Path(asset.href).name}"'


def test_remote_faults_are_failures(
    tmp_path: Path, scene: Scene, files: Files, catalog: Catalog
) -> None:
    remote = behind(scene, files)
    gone = f"{files.url}/gone.tif?sig=secret"
    missing = dataclasses.replace(remote, assets=remote.assets | {"nir": Asset(gone)})
    failure = look(missing, catalog)
    assert isinstance(failure, AssetFailure) and failure.asset == "nir"
    assert "secret" not in failure.reason
    (failure,) = composite_tile([missing], catalog, GRID, WHOLE).failures
    assert failure.asset == "nir" and "secret" not in failure.reason
    short = tmp_path / "short.tif"
    data = Path(scene.assets["nir"].href).read_bytes()
    short.write_bytes(data[: len(data) // 2])
    cut = dataclasses.replace(
        remote, assets=remote.assets | {"nir": Asset(f"{files.url}/short.tif")}
    )
    failure = look(cut, catalog)
    assert isinstance(failure, AssetFailure) and "truncated" in failure.reason
