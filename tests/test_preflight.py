"""Preflight of assets, receipts without secrets, signed addresses."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from imagery_fakes import CLEAR_QA, WORLD, catalog_of, grid_of, landsat_entry, landsat_scene

from eco_index.catalog import Catalog
from eco_index.sources import AssetFailure, Manifest, Scene, signing
from eco_index.sources.preflight import check_scene, checksum_of
from eco_index.sources.raster import gdal_path, local_path, raster_env
from eco_index.sources.scene import Asset, public_href, touches


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_of(tmp_path, landsat=landsat_entry())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return landsat_scene(tmp_path / "s", grid_of(100, 90), 1)


def look(scene: Scene, catalog: Catalog) -> Scene | AssetFailure:
    with raster_env():
        return check_scene(scene, catalog.datasets["landsat"])


def test_preflight_adds_receipts_and_the_true_place(scene: Scene, catalog: Catalog) -> None:
    checked = look(scene, catalog)
    assert isinstance(checked, Scene)
    with rasterio.open(scene.assets["qa"].href) as source:
        west, south, east, north = rasterio.warp.transform_bounds(
            source.crs, "EPSG:4326", *source.bounds, densify_pts=21
        )
    np.testing.assert_allclose(checked.bbox, (west, south, east, north), atol=1e-9)
    for asset in checked.assets.values():
        assert asset.size == Path(asset.href).stat().st_size
        assert asset.checksum == checksum_of(Path(asset.href))


def test_truncated_files_are_found_at_any_length(
    tmp_path: Path, scene: Scene, catalog: Catalog
) -> None:
    whole = Path(scene.assets["nir"].href)
    size = whole.stat().st_size
    for keep in (size - 1, size // 2, 200, 0):
        short = tmp_path / f"short{keep}.tif"
        shutil.copy(whole, short)
        with short.open("r+b") as file:
            file.truncate(keep)
        bad = dataclasses.replace(scene, assets=scene.assets | {"nir": Asset(str(short))})
        failure = look(bad, catalog)
        assert isinstance(failure, AssetFailure), keep
        assert failure.asset == "nir"
        assert "truncated" in failure.reason or "cannot be opened" in failure.reason


def test_sparse_files_are_whole(tmp_path: Path, scene: Scene, catalog: Catalog) -> None:
    path = tmp_path / "sparse.tif"
    with rasterio.open(scene.assets["qa"].href) as source:
        profile = source.profile | {"sparse_ok": True, "count": 1}
    with rasterio.open(path, "w", **profile):
        pass
    good = dataclasses.replace(scene, assets=scene.assets | {"qa": Asset(str(path))})
    assert isinstance(look(good, catalog), Scene)


@pytest.mark.parametrize("kind", ["gone", "text", "bands", "no_crs", "missing"])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_unfit_assets(tmp_path: Path, scene: Scene, catalog: Catalog, kind: str) -> None:
    path = tmp_path / "x.tif"
    asset = Asset(str(path))
    expected = {
        "gone": "file not found",
        "text": "cannot be opened as a raster",
        "bands": "the file has 1 band(s), not 2",
        "no_crs": "the file has no CRS",
        "missing": "band red missing: scene has nir, qa",
    }[kind]
    if kind == "text":
        path.write_text("this is not an image")
    elif kind == "bands":
        asset = dataclasses.replace(scene.assets["red"], band=2)
    elif kind == "no_crs":
        with rasterio.open(
            path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint16"
        ) as out:
            out.write(np.full((8, 8), CLEAR_QA, "u2"), 1)
    assets = {k: a for k, a in scene.assets.items() if k != "red"}
    if kind != "missing":
        assets["red"] = asset
    failure = look(dataclasses.replace(scene, assets=assets), catalog)
    assert isinstance(failure, AssetFailure)
    assert (failure.dataset, failure.scene, failure.asset) == ("landsat", "L1", "red")
    assert expected in failure.reason


def test_checksum_sees_size_head_and_tail(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = bytearray(rng.bytes(300_000))
    path = tmp_path / "f"

    def digest(content: bytes) -> str:
        path.write_bytes(content)
        return checksum_of(path)

    base = digest(bytes(data))
    assert digest(bytes(data)) == base
    head, tail = bytearray(data), bytearray(data)
    head[10] ^= 1
    tail[-10] ^= 1
    assert len({base, digest(bytes(head)), digest(bytes(tail)), digest(bytes(data[:-1]))}) == 4
    assert digest(b"short") != digest(b"shorT")


# ------------------------------------------------------------------ receipts and addresses


def test_manifest_survives_json_and_holds_no_secret() -> None:
    secret = "https://user:pw@x.blob.core.windows.net/c/red.tif?sv=1&sig=abc%3D"
    scene = Scene(
        "A",
        "d",
        "2025-07-03T03:00:00Z",
        (1.0, 2.0, 3.0, 4.0),
        {"red": Asset(secret, 10, "etag:x"), "qa": Asset("/data/q.tif", 5, "blake2b-64k:00", 2)},
        {"s2:processing_baseline": "05.09"},
    )
    failure = AssetFailure("d", "B", "nir", "truncated")
    manifest = Manifest("2025-07", (scene,), (failure,))
    text = json.dumps(manifest.to_dict())
    assert "sig" not in text and "pw" not in text
    again = Manifest.from_dict(json.loads(text))
    assert again.scenes[0].assets["qa"] == scene.assets["qa"]
    assert again.scenes[0].bbox == scene.bbox and again.failures == manifest.failures
    assert again.failed_share == 0.5
    assert scene.receipt()["baseline"] == "05.09"
    out = manifest.without((AssetFailure("d", "A", "red", "broken block"),))
    assert not out.scenes and [f.scene for f in out.failures] == ["A", "B"]


def test_fingerprint_does_not_depend_on_the_place() -> None:
    def scene(folder: str, checksum: str | None) -> Scene:
        assets = {"red": Asset(f"{folder}/red.tif", 10, checksum)}
        return Scene("A", "d", "2025-07-03T03:00:00Z", WORLD, assets)

    assert scene("/a", "x").fingerprint() == scene("/b", "x").fingerprint()
    assert scene("/a", "x").fingerprint() != scene("/a", "y").fingerprint()
    assert scene("/a", None).fingerprint() != scene("/b", None).fingerprint()


@pytest.mark.parametrize(
    ("href", "public"),
    [
        ("/a/b c?.tif", "/a/b c?.tif"),
        ("https://h/x.tif?X-Amz-Signature=1&X-Amz-Date=2", "https://h/x.tif"),
        ("https://u:p@h:8080/x.tif", "https://h:8080/x.tif"),
        ("https://h/x.tif?collection=a&bands=b", "https://h/x.tif?collection=a&bands=b"),
        ("https://h/x.tif?api_key=1", "https://h/x.tif"),
        ("s3://bucket/x.tif", "s3://bucket/x.tif"),
    ],
)
def test_public_href(href: str, public: str) -> None:
    assert public_href(href) == public


def test_gdal_path() -> None:
    assert gdal_path("/a/b.tif") == "/a/b.tif"
    assert gdal_path("file:///a/b%20c.tif") == "/a/b c.tif"
    assert gdal_path("https://h/b.tif?x=1") == "/vsicurl/https://h/b.tif?x=1"
    assert gdal_path("s3://bucket/b.tif") == "/vsis3/bucket/b.tif"
    assert gdal_path("/vsizip/a.zip/b.tif") == "/vsizip/a.zip/b.tif"
    assert local_path("https://h/b.tif") is None


def test_touches_across_the_antimeridian() -> None:
    fiji = (177.0, -20.0, -178.0, -15.0)
    assert touches(fiji, (179.0, -18.0, 179.5, -17.0))
    assert touches(fiji, (-179.5, -18.0, -179.0, -17.0))
    assert not touches(fiji, (0.0, -18.0, 1.0, -17.0))
    assert not touches((0.0, 0.0, 1.0, 1.0), (0.0, 2.0, 1.0, 3.0))
    assert touches((0.0, 0.0, 1.0, 1.0), (1.01, 0.0, 2.0, 1.0))
    assert not touches((0.0, 0.0, 1.0, 1.0), (1.01, 0.0, 2.0, 1.0), margin=0.0)


def test_planetary_computer_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Answer:
        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *args: object) -> None: ...

        def read(self) -> bytes:
            soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=3 if len(asked) == 1 else 60)
            return json.dumps(
                {"token": f"sig={len(asked)}", "msft:expiry": soon.isoformat()}
            ).encode()

    def urlopen(url: str, timeout: float) -> Answer:
        asked.append(url)
        return Answer()

    monkeypatch.setattr(signing.urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(signing, "_tokens", {})
    href = "https://landsateuwest.blob.core.windows.net/landsat-c2/x.TIF"
    assert signing.sign_planetary_computer(href) == f"{href}?sig=1"
    assert asked[0].endswith("/landsateuwest/landsat-c2")
    assert signing.sign_planetary_computer(href) == f"{href}?sig=2"  # about to expire: renewed
    assert signing.sign_planetary_computer(href) == f"{href}?sig=2"
    assert signing.sign_planetary_computer("https://h/x.tif") == "https://h/x.tif"
    assert len(asked) == 2

    def refused(url: str, timeout: float) -> Answer:
        raise signing.urllib.error.URLError("no network")

    monkeypatch.setattr(signing.urllib.request, "urlopen", refused)
    monkeypatch.setattr(signing, "_tokens", {})
    with pytest.raises(OSError, match="no access token"):
        signing.sign_planetary_computer(href)
