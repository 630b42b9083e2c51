"""Scenes from static STAC folders, STAC services and plain files."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from imagery_fakes import WORLD, catalog_of, grid_of, landsat_entry, write_item, write_raster

from eco_index.catalog import Catalog
from eco_index.errors import InputError, UsageError
from eco_index.sources import AssetFailure, http, open_source

JULY = (dt.date(2025, 7, 1), dt.date(2025, 7, 31))
ASSETS = {"red": "r.tif", "nir08": "n.tif", "qa_pixel": "q.tif"}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_of(tmp_path, landsat=landsat_entry())


def search(catalog: Catalog, dataset: str = "landsat", bounds: Any = WORLD) -> Any:
    return open_source(dataset, catalog).search(bounds, *JULY)


# ------------------------------------------------------------------ static STAC


def test_folder_gives_scenes_in_time_and_area_with_needed_bands_only(
    tmp_path: Path, catalog: Catalog
) -> None:
    folder = tmp_path / "landsat"
    many = ASSETS | {"blue": "b.tif", "thumbnail": "t.jpg"}
    write_item(folder / "b" / "2.json", "B", many)
    write_item(folder / "a.json", "A", ASSETS, properties={"datetime": "2025-07-31T23:59:59Z"})
    early = {"datetime": None, "start_datetime": "2025-06-30T22:30:00-02:00"}  # July in UTC
    write_item(folder / "c.json", "C", ASSETS, properties=early)
    write_item(folder / "d.json", "D", ASSETS, properties={"datetime": "2025-08-01T00:00:00Z"})
    write_item(folder / "e.json", "E", ASSETS, bbox=[10, 40, 0, 11, 41, 99])
    (folder / "collection.json").write_text('{"type": "Collection", "id": "x"}')
    (folder / "LC08_MTL.json").write_text('{"LANDSAT_METADATA_FILE": {}}')
    found = search(catalog, bounds=(110.0, 40.0, 111.0, 41.0))
    assert [s.id for s in found.scenes] == ["C", "B", "A"]
    assert not found.failures
    scene = found.scenes[1]
    assert scene.dataset == "landsat" and scene.datetime == "2025-07-03T03:00:00Z"
    assert {b: a.href for b, a in scene.assets.items()} == {
        "red": str(folder / "b" / "r.tif"),
        "nir": str(folder / "b" / "n.tif"),
        "qa": str(folder / "b" / "q.tif"),
    }


def test_old_items_of_one_id_are_joined_and_files_found_beside_them(tmp_path: Path) -> None:
    entry = landsat_entry(
        access={"type": "stac_folder", "path": "landsat", "assets": "beside_item"}
    )
    for band, key in (("red", "SR_B4.TIF"), ("nir", "SR_B5.TIF"), ("qa", "QA_PIXEL.TIF")):
        entry["bands"][band] = entry["bands"][band] | {"asset": ["nothing", key]}
    catalog = catalog_of(tmp_path, landsat=entry)
    remote = "https://archive.example/c2/L1_"
    keys = {k: f"{remote}{k}?sig=secret" for k in ("SR_B4.TIF", "SR_B5.TIF")}
    quality = {"QA_PIXEL.TIF": f"{remote}QA_PIXEL.TIF", "ST_B10.TIF": f"{remote}ST_B10.TIF"}
    folder = tmp_path / "landsat"
    write_item(folder / "x_SR_stac.json", "L1", keys, stac_version="0.7.0")
    write_item(folder / "x_ST_stac.json", "L1", quality, stac_version="0.7.0")
    (scene,) = search(catalog).scenes
    assert {a.href for a in scene.assets.values()} == {
        str(folder / f"L1_{k}") for k in ("SR_B4.TIF", "SR_B5.TIF", "QA_PIXEL.TIF")
    }


def test_missing_band_is_a_failure_that_says_what_there_is(
    tmp_path: Path, catalog: Catalog
) -> None:
    write_item(tmp_path / "landsat" / "a.json", "A", {"red": "r.tif", "qa_pixel": "q.tif"})
    found = search(catalog)
    assert not found.scenes
    assert found.failures == (
        AssetFailure(
            "landsat", "A", "nir", "band nir missing: item has qa_pixel, red; expected nir08"
        ),
    )


def test_items_without_time_or_place_are_failures(tmp_path: Path, catalog: Catalog) -> None:
    write_item(tmp_path / "landsat" / "a.json", "A", ASSETS, properties={"datetime": "soon"})
    write_item(tmp_path / "landsat" / "b.json", "B", ASSETS, bbox=None)
    polygon = {"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 1]]]}
    write_item(tmp_path / "landsat" / "c.json", "C", ASSETS, bbox=None, geometry=polygon)
    found = search(catalog)
    assert [s.bbox for s in found.scenes] == [(1.0, 1.0, 2.0, 2.0)]
    assert [(f.scene, f.reason.split(":")[0]) for f in found.failures] == [
        ("A", "the item's time cannot be read"),
        ("B", "the item has neither a usable bbox nor a geometry"),
    ]


def test_folder_missing_empty_or_broken(tmp_path: Path, catalog: Catalog) -> None:
    with pytest.raises(InputError, match=r"does not exist(?s:.*)landsat"):
        search(catalog)
    (tmp_path / "landsat").mkdir()
    with pytest.raises(InputError, match="holds no STAC item"):
        search(catalog)
    (tmp_path / "landsat" / "broken.json").write_text('{"type": "Feature", ')
    with pytest.raises(InputError, match=r"(?s)holds no STAC item; broken.*cannot be read"):
        search(catalog)


def test_a_broken_item_is_named_and_the_others_are_used(tmp_path: Path, catalog: Catalog) -> None:
    """It counts as failed in every month it may belong to, by the day in its name."""
    folder = tmp_path / "landsat"
    write_item(folder / "a.json", "A", ASSETS)
    for name in ("broken.json", "LC08_20250710_x.json", "LC08_20240710_x.json"):
        (folder / name).write_text('{"type": "Feature", ')
    write_item(folder / "b.json", "B", ASSETS, properties=None)
    (folder / "c.json").write_text('{"type": "Feature", "id": "C", "properties": {}, "assets": []}')
    found = search(catalog)
    assert [s.id for s in found.scenes] == ["A"]
    assert [f.scene for f in found.failures] == ["LC08_20250710_x", "broken"]
    assert all("cannot be read" in f.reason for f in found.failures)


# ------------------------------------------------------------------ STAC API on loopback


class Api:
    """A small STAC API: a landing page and paged search answers."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items, self.searches, self.next = items, 0, "POST"
        self.refusals: list[tuple[int, dict[str, str]]] = []  # given before right answers
        api = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, body: dict[str, Any]) -> None:
                if api.refusals:
                    status, headers = api.refusals.pop(0)
                    self.send_response(status)
                    for key, value in ({"Content-Length": "0"} | headers).items():
                        self.send_header(key, value)
                    self.end_headers()
                    return
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                self.answer(api.landing() if "token" not in query else api.page(query["token"][0]))

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                self.answer(api.page(str(body.get("token", "0"))))

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def landing(self) -> dict[str, Any]:
        return {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": "api",
            "description": "test",
            "conformsTo": [
                "https://api.stacspec.org/v1.0.0/core",
                "https://api.stacspec.org/v1.0.0/item-search",
            ],
            "links": [
                {"rel": "self", "href": self.url},
                {"rel": "root", "href": self.url},
                {
                    "rel": "search",
                    "href": f"{self.url}/search",
                    "method": "POST",
                    "type": "application/geo+json",
                },
            ],
        }

    def page(self, token: str) -> dict[str, Any]:
        """One item a page."""
        self.searches += 1
        k = int(token)
        links = []
        if k + 1 < len(self.items):
            links = [
                {
                    "rel": "next",
                    "href": f"{self.url}/search",
                    "method": "POST",
                    "body": {"token": str(k + 1)},
                    "merge": True,
                }
            ]
        if links and self.next == "GET":
            links = [{"rel": "next", "href": f"{self.url}/search?token={k + 1}"}]
        return {"type": "FeatureCollection", "features": self.items[k : k + 1], "links": links}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    items = []
    for k, assets in enumerate((ASSETS, ASSETS, {"red": "r.tif"})):
        path = write_item(tmp_path / "items" / f"{k}.json", f"I{k}", assets)
        items.append(json.loads(path.read_text()))
    items[0]["links"] = [{"rel": "self", "href": "https://archive.example/a/b/item.json"}]
    api = Api(items)
    yield api
    api.server.shutdown()


def api_catalog(tmp_path: Path, url: str) -> Catalog:
    access = {"type": "stac_api", "url": url, "collection": "landsat-c2-l2"}
    return catalog_of(tmp_path, landsat=landsat_entry(access=access))


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_api_follows_pages(tmp_path: Path, api: Api, method: str) -> None:
    api.next = method
    found = search(api_catalog(tmp_path, api.url))
    assert api.searches == 3
    assert [s.id for s in found.scenes] == ["I0", "I1"]
    assert found.scenes[0].assets["red"].href == "https://archive.example/a/b/r.tif"
    assert [f.scene for f in found.failures] == ["I2"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same number of attempts, without waiting between them."""
    usual = http.patience()
    monkeypatch.setattr(http, "patience", lambda: usual.new(backoff_factor=0))


def test_passing_refusals_of_an_api_are_survived(tmp_path: Path, api: Api, quick: None) -> None:
    api.refusals = [(429, {"Retry-After": "1"}), (503, {}), (502, {})]
    start = time.monotonic()
    found = search(api_catalog(tmp_path, api.url))
    assert [s.id for s in found.scenes] == ["I0", "I1"] and not api.refusals
    assert time.monotonic() - start >= 1  # what Retry-After asks for


def test_a_storm_of_an_api_ends_in_one_message(tmp_path: Path, api: Api, quick: None) -> None:
    api.refusals = [(503, {})] * 50
    with pytest.raises(InputError, match=r"(?s)STAC API does not answer.*503"):
        search(api_catalog(tmp_path, api.url))
    assert len(api.refusals) == 50 - 6  # asked once and five times more


def test_silent_api_is_an_input_error(tmp_path: Path, api: Api, quick: None) -> None:
    api.server.shutdown()
    api.server.server_close()
    with pytest.raises(InputError, match=r"(?s)STAC API does not answer.*landsat-c2-l2"):
        search(api_catalog(tmp_path, api.url))


# ------------------------------------------------------------------ plain files


def files_entry(pattern: str, date_format: str = "%Y%j") -> dict[str, Any]:
    access = {"type": "scene_files", "path": "f", "pattern": pattern, "date_format": date_format}
    return {
        "access": access,
        "bands": {"ndvi": {"asset": ["NDVI"], "scale": 1e-4}, "q": {"asset": ["VI_Quality"]}},
        "mask": {"band": "q", "recipe": "modis_vi_quality"},
    }


PATTERN = r"MOD13Q1\.A(?P<date>\d{7})\.(?P<asset>NDVI|VI_Quality)\.tif"


def test_scene_files(tmp_path: Path) -> None:
    grid = grid_of(16, 16)
    corner = (grid.bounds[0], grid.bounds[3])
    data = np.zeros((16, 16), "u2")
    for name in (
        "MOD13Q1.A2025193.NDVI.tif",
        "MOD13Q1.A2025193.VI_Quality.tif",
        "sub/MOD13Q1.A2025209.NDVI.tif",
        "MOD13Q1.A2025225.NDVI.tif",  # August
    ):
        write_raster(tmp_path / "f" / name, data, grid.crs_wkt, corner, 30.0)
    (tmp_path / "f" / "readme.txt").write_text("other files do not matter")
    found = search(catalog_of(tmp_path, modis=files_entry(PATTERN)), "modis")
    (scene,) = found.scenes
    assert (scene.id, scene.datetime) == ("MOD13Q1.A2025193", "2025-07-12T00:00:00Z")
    assert set(scene.assets) == {"ndvi", "q"}
    west, south, east, north = grid.lonlat_bounds()
    np.testing.assert_allclose(scene.bbox, (west, south, east, north), atol=1e-4)
    (failure,) = found.failures
    assert failure.asset == "q" and "expected VI_Quality" in failure.reason


def test_scene_files_complaints(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        search(catalog_of(tmp_path, m=files_entry(PATTERN)), "m")
    (tmp_path / "f").mkdir()
    with pytest.raises(InputError, match="no file name fits"):
        search(catalog_of(tmp_path, m=files_entry(PATTERN)), "m")
    (tmp_path / "f" / "MOD13Q1.A2025999.NDVI.tif").write_bytes(b"")
    with pytest.raises(InputError, match=r"date '2025999' does not fit '%Y%j'"):
        search(catalog_of(tmp_path, m=files_entry(PATTERN)), "m")
    with pytest.raises(UsageError, match="lacks the group"):
        search(catalog_of(tmp_path, m=files_entry(r"(?P<date>\d+)")), "m")
    with pytest.raises(UsageError, match="not a regular expression"):
        search(catalog_of(tmp_path, m=files_entry(r"(?P<date>\d+")), "m")


def test_only_imagery_is_a_source(tmp_path: Path) -> None:
    table = {"access": {"type": "table", "path": "t.csv"}}
    with pytest.raises(UsageError, match="no imagery"):
        open_source("t", catalog_of(tmp_path, t=table))
    with pytest.raises(UsageError, match="no dataset 'gone'"):
        open_source("gone", catalog_of(tmp_path, t=table))
