"""A static STAC catalogue over HTTP: followed by its links, files read by range."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_server import Answer, FaultServer
from imagery_fakes import WORLD, catalog_of, grid_of, landsat_entry, landsat_scene, write_item
from pydantic import ValidationError

from eco_index.catalog import Catalog, StacStatic
from eco_index.composite import composite_tile
from eco_index.errors import InputError
from eco_index.grid import Tile
from eco_index.period import Month
from eco_index.sources import Scene, http, open_source, stac_static
from eco_index.sources.preflight import check_scene
from eco_index.sources.raster import raster_env

GRID = grid_of(60, 50)
JULY = Month(2025, 7)
HERE = list(GRID.lonlat_bounds())
KEYS = {"red": "red", "nir": "nir08", "qa": "qa_pixel"}


def node(path: Path, links: list[tuple[str, str]], **more: Any) -> None:
    """Write a catalogue, or with an extent a collection."""
    document = {"type": "Catalog", "stac_version": "1.0.0", "id": path.parent.name} | more
    document["links"] = [{"rel": rel, "href": href} for rel, href in links]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def extent(box: list[float], first: str | None, last: str | None) -> dict[str, Any]:
    return {
        "type": "Collection",
        "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [[first, last]]}},
    }


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes in a collection here; others elsewhere, long ago, and broken."""
    root = tmp_path_factory.mktemp("static")
    (root / "here").mkdir()
    for k in range(2):
        scene = landsat_scene(root / "made", GRID, k)
        hrefs = {}
        for band, asset in scene.assets.items():
            name = f"{k}_{band}.tif"
            shutil.copy(asset.href, root / "here" / name)
            hrefs[KEYS[band]] = f"../here/{name}?token=secret" if k else name
        write_item(
            root / "items" / f"L{k}.json" if k else root / "here" / "L0.json", f"L{k}", hrefs,
            bbox=HERE, properties={"datetime": scene.datetime},
        )  # fmt: skip
    (root / "here" / "LC08_20250710_x.json").write_text('{"type": "Feature", ')
    (root / "here" / "LC08_20240710_x.json").write_text('{"type": "Feature", ')
    links = [
        ("self", "collection.json"), ("parent", "../catalog.json"), ("item", "L0.json"),
        ("item", "./L0.json"), ("item", "../items/L1.json"), ("item", "LC08_20250710_x.json"),
        ("item", "LC08_20240710_x.json"), ("item", "LC08_20250711_gone.json"),
        ("item", "file:///etc/hostname"), ("child", "../catalog.json"),
    ]  # fmt: skip
    node(root / "here" / "collection.json", links, **extent(HERE, "2025-01-01T00:00:00Z", None))
    item = [("item", "never.json")]
    elsewhere = [-60.0, -10.0, -50.0, 0.0]
    node(root / "elsewhere" / "collection.json", item, **extent(elsewhere, None, None))
    old = extent(HERE, "2010-01-01T00:00:00Z", "2011-12-31T00:00:00Z")
    node(root / "old" / "collection.json", item, **old)
    below = [("child", f"{name}/collection.json") for name in ("here", "elsewhere", "old")]
    node(root / "catalog.json", below)
    return root


@pytest.fixture
def server(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    usual = http.patience()
    monkeypatch.setattr(http, "patience", lambda: usual.new(backoff_factor=0))
    stac_static._document.cache_clear()
    stac_static._session.cache_clear()
    running = FaultServer(archive)
    yield running
    running.close()


def catalog(folder: Path, url: str) -> Catalog:
    return catalog_of(folder, landsat=landsat_entry(access={"type": "stac_static", "url": url}))


def search(made: Catalog, bounds: Any = WORLD, month: Month = JULY) -> Any:
    return open_source("landsat", made).search(bounds, month.start, month.end)


def test_links_are_followed_where_scenes_can_be(tmp_path: Path, server: FaultServer) -> None:
    made = catalog(tmp_path, f"{server.url}/catalog.json")
    found = search(made, GRID.lonlat_bounds())
    assert [s.id for s in found.scenes] == ["L0", "L1"]
    assert [(f.scene, "cannot be read" in f.reason) for f in found.failures] == [
        ("LC08_20250710_x", True), ("LC08_20250711_gone", True),
    ]  # fmt: skip
    asked = server.counts
    assert not [name for name in asked if name.startswith(("elsewhere/n", "old/n"))]
    assert asked["catalog.json"] == 1 and asked["here/L0.json"] == 1  # a loop, a link twice
    before = {name: n for name, n in asked.items() if "LC08" not in name}
    august = search(made, GRID.lonlat_bounds(), Month(2025, 8))
    assert august.scenes == () and august.failures == ()
    assert before == {name: server.counts[name] for name in before}  # kept for some minutes
    assert search(made, (-59.0, -9.0, -58.0, -8.0)).scenes == ()


def test_the_map_is_that_of_the_files(tmp_path: Path, server: FaultServer) -> None:
    made = catalog(tmp_path, f"{server.url}/catalog.json")
    found = search(made)
    with raster_env():
        checked = [check_scene(scene, made.datasets["landsat"]) for scene in found.scenes]
    assert all(isinstance(scene, Scene) for scene in checked)
    assert "secret" not in json.dumps([s.to_dict() for s in checked])
    tile = Tile(0, 0, 0, 50, 0, 60)
    there = composite_tile(checked, made, GRID, tile)
    plain = [landsat_scene(tmp_path / "again", GRID, k) for k in range(2)]
    here = composite_tile(plain, made, GRID, tile)
    assert here.failures == there.failures == () and here.clear_count.any()
    for name, values in here.arrays().items():
        np.testing.assert_array_equal(there.arrays()[name], values)
    assert any(r.start for r in server.log)  # by range


def test_refusals_that_pass_are_waited_for(tmp_path: Path, server: FaultServer) -> None:
    def rule(request: Any) -> Answer:
        if request.name == "catalog.json" and request.count <= 2:
            return Answer(status=429, headers={"Retry-After": "0"})
        return (
            Answer(status=503)
            if request.name.endswith("L0.json") and request.count == 1
            else Answer()
        )

    server.rule = rule
    found = search(catalog(tmp_path, f"{server.url}/catalog.json"))
    assert [s.id for s in found.scenes] == ["L0", "L1"]
    assert server.counts["catalog.json"] == 3 and server.counts["here/L0.json"] == 2


def test_what_stays_refused_is_named(tmp_path: Path, server: FaultServer) -> None:
    """An item is a failure of its scene; a collection stops the search."""
    made = catalog(tmp_path, f"{server.url}/catalog.json?sig=secret")
    server.rule = lambda r: Answer(status=503) if r.name == "here/L0.json" else Answer()
    found = search(made)
    assert [s.id for s in found.scenes] == ["L1"] and "L0" in {f.scene for f in found.failures}
    stac_static._document.cache_clear()
    server.rule = lambda r: Answer(status=503) if r.name == "here/collection.json" else Answer()
    with pytest.raises(
        InputError, match=r"(?s)catalogue cannot be read.*503.*which scenes"
    ) as told:
        search(made)
    assert "secret" not in str(told.value) and "here/collection.json" in str(told.value)


def test_an_address_of_something_else(tmp_path: Path, server: FaultServer) -> None:
    with pytest.raises(InputError, match=r"(?s)no STAC catalogue.*'Feature'"):
        search(catalog(tmp_path, f"{server.url}/here/L0.json"))
    with pytest.raises(InputError, match="cannot be read"):
        search(catalog(tmp_path, f"{server.url}/here/0_red.tif"))
    with pytest.raises(InputError, match=r"(?s)cannot be read.*404"):
        search(catalog(tmp_path, f"{server.url}/nothing.json"))
    with pytest.raises(ValidationError):
        StacStatic(url="file:///etc/hostname")
