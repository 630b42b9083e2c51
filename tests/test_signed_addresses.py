"""Addresses whose signature expires in mid-run: signed anew once, then named as failed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fault_server import Answer, FaultServer, Request
from imagery_fakes import catalog_of, grid_of, landsat_entry, landsat_scene

from eco_index.catalog import Catalog
from eco_index.composite import composite_tile
from eco_index.grid import Tile
from eco_index.sources import Scene, raster, signing
from eco_index.sources.preflight import check_scene
from eco_index.sources.raster import raster_env
from eco_index.sources.scene import Asset, Manifest

GRID = grid_of(600, 500)
WHOLE = Tile(0, 0, 0, 500, 0, 600)


class Tokens:
    """The token service: counts what it is asked for; `good` is the only one the files accept."""

    def __init__(self) -> None:
        self.given = 0
        self.right = True

    @property
    def good(self) -> str:
        return f"sig={self.given if self.right else 'none'}"

    def answer(self, url: str, timeout: float = 0) -> io.BytesIO:
        self.given += 1
        expiry = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        text = json.dumps({"token": f"sig={self.given}", "msft:expiry": expiry.isoformat()})
        return io.BytesIO(text.encode())


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Tokens:
    tokens = Tokens()
    monkeypatch.setattr(signing, "_BLOB_HOST", "127.0.0.1")
    monkeypatch.setattr(signing, "_tokens", {})
    real = signing.urllib.request.urlopen

    def urlopen(url, timeout: float = 0):
        mine = isinstance(url, str) and url.startswith("https://planetarycomputer")
        return tokens.answer(url) if mine else real(url, timeout=timeout)

    monkeypatch.setattr(signing.urllib.request, "urlopen", urlopen)
    return tokens


@pytest.fixture
def server(tmp_path: Path, tokens: Tokens, monkeypatch) -> Iterator[FaultServer]:
    quick = {"GDAL_HTTP_TIMEOUT": 2, "GDAL_HTTP_MAX_RETRY": 0}
    monkeypatch.setattr(raster, "_OPTIONS", raster._OPTIONS | quick)
    server = FaultServer(tmp_path)
    server.rule = lambda r: Answer() if r.query == tokens.good else Answer(status=403)
    yield server
    server.close()


@pytest.fixture
def local(tmp_path: Path) -> Scene:
    return landsat_scene(tmp_path / "c", GRID, 1, extent=500)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    access = {
        "type": "stac_api",
        "url": "http://x",
        "collection": "c",
        "sign": "planetary_computer",
    }
    plain = {"type": "stac_folder", "path": "x"}
    return catalog_of(
        tmp_path, landsat=landsat_entry(access=access), plain=landsat_entry(access=plain)
    )


def behind(scene: Scene, server: FaultServer) -> Scene:
    assets = {b: Asset(f"{server.url}/c/{Path(a.href).name}") for b, a in scene.assets.items()}
    return dataclasses.replace(scene, assets=assets)


def composed(scene: Scene, catalog: Catalog):
    with raster_env():
        return composite_tile([scene], catalog, GRID, WHOLE)


def expected_of(local: Scene, catalog: Catalog):
    return composed(dataclasses.replace(local, dataset="plain"), catalog)


def test_signed_once_for_all_files(local, catalog, server, tokens) -> None:
    found = composed(behind(local, server), catalog)
    np.testing.assert_array_equal(found.ndvi_max, expected_of(local, catalog).ndvi_max)
    assert tokens.given == 1 and found.clear_count.any()


def test_a_signature_that_expires_between_files_is_renewed(local, catalog, server, tokens) -> None:
    """The next file is opened with what is no longer accepted."""
    name = f"c/{Path(local.assets['nir'].href).name}"
    expired = []

    def rule(request: Request) -> Answer:
        if request.name == name and not expired:
            expired.append(request.query)
            tokens.right = False
            return Answer(status=403)
        tokens.right = bool(expired and tokens.given > 1) or not expired
        return Answer() if request.query == tokens.good else Answer(status=403)

    server.rule = rule
    found = composed(behind(local, server), catalog)
    assert found.failures == () and expired == ["sig=1"] and tokens.given == 2
    np.testing.assert_array_equal(found.ndvi_max, expected_of(local, catalog).ndvi_max)


def test_a_signature_that_expires_between_blocks_is_renewed(local, catalog, server, tokens) -> None:
    """The file is open, its header read: the blocks are refused, then come with a new one."""
    name = f"c/{Path(local.assets['red'].href).name}"
    dead: set[str] = set()

    def rule(request: Request) -> Answer:
        if request.name == name and request.start > 0 and request.query == "sig=1":
            dead.add("sig=1")
        return Answer(status=403) if request.query in dead else Answer()

    server.rule = rule
    found = composed(behind(local, server), catalog)
    assert dead == {"sig=1"} and tokens.given == 2 and found.failures == ()
    np.testing.assert_array_equal(found.ndvi_max, expected_of(local, catalog).ndvi_max)


def test_what_stays_refused_is_named_after_one_renewal(local, catalog, server, tokens) -> None:
    tokens.right = False
    found = composed(behind(local, server), catalog)
    (failure,) = found.failures
    assert "403" in failure.reason and "sig" not in failure.reason
    assert tokens.given == 2  # not again and again
    assert not found.clear_count.any()


def test_other_faults_and_unsigned_addresses_ask_for_no_token(
    local, catalog, server, tokens
) -> None:
    server.rule = lambda r: Answer(status=404)
    assert composed(behind(local, server), catalog).failures
    assert tokens.given == 1
    server.rule = lambda r: Answer(status=403)
    plain = dataclasses.replace(behind(local, server), dataset="plain")
    assert composed(plain, catalog).failures
    assert tokens.given == 1


def test_no_signature_is_kept(local, catalog, server, tokens) -> None:
    with raster_env():
        checked = check_scene(behind(local, server), catalog.datasets["landsat"])
    assert isinstance(checked, Scene) and tokens.given == 1
    assert "sig" not in json.dumps(Manifest("2025-07", (checked,)).to_dict())
