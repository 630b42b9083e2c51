"""Batch exports: started once, followed, checked against what is expected, then composited."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import earthengine_archive
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import tiny_region
import yaml
from earthengine_archive import COLLECTIONS, EE_KEYS, grid_of
from earthengine_service import Fault, Service

from eco_index import exports, pipeline
from eco_index.cli import run
from eco_index.composite import composite_tile
from eco_index.config import Region, load_region
from eco_index.cube.archive import open_archive
from eco_index.errors import InputError, PartialError, UsageError
from eco_index.period import Period
from eco_index.plan import plan
from eco_index.sensors import Decode
from eco_index.sources import acquire, ee_client
from eco_index.sources.ee_files import Expected
from eco_index.sources.ee_reduce import BandRule, QualityRule, SceneRule, Wanted

archive, service = earthengine_archive.archive, earthengine_archive.service  # fixtures
YEAR = [Period.parse("2025")]
BUCKET = exports.Destination("bucket", "bkt", "eco/2025")


def region_of(
    folder: Path, tile: int = 32, settings: dict[str, Any] | None = None, **access: object
) -> Region:
    """A region over the archive of the loopback service, May to July: 48 x 48 pixels."""
    grid = grid_of()
    place = {"crs": grid.crs_wkt, "bounds": list(grid.bounds), "tile": tile, "chunk": 16}
    tiny_region.region(folder, grid=place, **(settings or {}))
    file = folder / "data_catalog.yaml"
    catalog = yaml.safe_load(file.read_text(encoding="utf-8"))
    engine = {"type": "earth_engine", "collection": COLLECTIONS["landsat"], "reduce": "server"}
    scale = {"scale": 2.75e-5, "offset": -0.2, "nodata": 0}
    keys = EE_KEYS["landsat"]
    catalog["datasets"]["img"] |= {
        "access": engine | {"received": "received"} | access,
        "bands": {
            "red": {"asset": [keys["red"]]} | scale,
            "nir": {"asset": [keys["nir"]]} | scale,
            "qa": {"asset": [keys["qa"]], "nodata": 1},
        },
    }
    file.write_text(yaml.safe_dump(catalog, allow_unicode=True), encoding="utf-8")
    return load_region(folder / "regions" / "tiny.yaml")


@pytest.fixture
def region(tmp_path: Path, service: Service) -> Region:
    service.exports.folder = tmp_path / "cloud"
    return region_of(tmp_path)


def receive(region: Region, service: Service) -> Path:
    """What `gcloud storage cp` does."""
    folder = region.catalog.folder / "received"
    folder.mkdir(exist_ok=True)
    for path in service.exports.folder.rglob("*.tif"):
        shutil.copy(path, folder / path.name)
    return folder


def gone_name(region: Region, folder: Path) -> str:
    """The one expected file that is not there."""
    (name,) = (
        i.name for i in exports.expected(region, YEAR) if not (folder / f"{i.name}.tif").exists()
    )
    return name


def test_started_followed_received_and_read(region: Region, service: Service) -> None:
    before = exports.status(region, YEAR)
    # Scenes in May, June and July; the month of May has one at its last second.
    assert before.counts() == {"missing": 12} and not before.complete
    assert not service.requests_of("operations")  # nothing was started: nothing to ask
    started = exports.start(region, YEAR, BUCKET)
    assert started.counts() == {"running": 12}
    assert len(service.exports.bodies) == 12
    file = service.exports.bodies[0]["fileExportOptions"]["cloudStorageDestination"]
    assert file["bucket"] == "bkt" and file["filenamePrefix"].startswith("eco/2025/r000c000_")
    assert exports.status(region, YEAR).counts() == {"running": 12}
    assert exports.status(region, YEAR).counts() == {"made": 12}
    folder = receive(region, service)
    done = exports.status(region, YEAR)
    assert done.complete and done.counts() == {"received": 12} and done.foreign == ()
    told = done.to_dict()
    assert told["expected"]["images"] == told["received"]["images"] == 12
    assert told["expected"]["tiles"] == told["received"]["tiles"] == 4
    assert told["expected"]["bands"] == told["received"]["bands"] == 36
    assert told["expected"]["bytes"] == 3 * 48 * 48 * 3 * 4
    # The plan and the composites ask for nothing more.
    assert plan(region, YEAR).cost.requests == 0
    next(folder.glob("r000c000_*.tif")).rename(folder / "put_away")
    assert plan(region, YEAR).cost.requests == 1
    (folder / "put_away").rename(folder / f"{gone_name(region, folder)}.tif")
    month = YEAR[0].months(6, 6)[0]
    scenes = acquire(region, month).scenes
    service.seen.clear()
    received = [composite_tile(scenes, region.catalog, region.grid, t) for t in region.grid.tiles()]
    assert service.seen == []
    shutil.rmtree(folder)
    for tile, got in zip(region.grid.tiles(), received, strict=True):
        asked = composite_tile(scenes, region.catalog, region.grid, tile)
        for name, values in asked.arrays().items():
            np.testing.assert_array_equal(got.arrays()[name], values)
    assert len(service.requests_of("computePixels")) == 4


def test_an_interrupted_start_goes_on(
    region: Region, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service fails for good after five exports; the second start does the other seven."""
    session = ee_client.client()
    real, done = session.start_export, []

    def failing(*arguments):
        if len(done) == 5:
            raise PartialError("the network is gone")
        done.append(real(*arguments))
        return done[-1]

    monkeypatch.setattr(session, "start_export", failing)
    with pytest.raises(PartialError, match="network"):
        exports.start(region, YEAR, BUCKET)
    monkeypatch.setattr(session, "start_export", real)
    assert exports.start(region, YEAR, BUCKET).counts() == {"running": 12}
    assert len(service.exports.bodies) == 12
    exports.status(region, YEAR)
    assert exports.start(region, YEAR, BUCKET).counts() == {"made": 12}  # nothing more
    assert len(service.exports.bodies) == 12
    text = (region.output / "earth_engine_exports.json").read_text(encoding="utf-8")
    assert len(json.loads(text)["started"]) == 12
    assert not any(word in text.lower() for word in ("token", "credential", "secret", "key"))


def test_a_lost_answer_does_not_start_twice(region: Region, service: Service) -> None:
    """The export was started, its answer lost: the request that is sent again finds it."""
    exports.expected(region, YEAR)
    service.faults += [Fault()] * 2  # 503, though the request has been taken
    found = exports.start(region, YEAR, exports.Destination("drive", "folder"))
    assert found.counts() == {"running": 12} and len(service.exports.bodies) == 12
    place = service.exports.bodies[0]["fileExportOptions"]["driveDestination"]
    assert place["folder"] == "folder"


def test_no_more_are_queued_than_allowed(
    region: Region, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECO_EE_EXPORTS_QUEUED", "5")
    ee_client.disconnect()
    assert exports.start(region, YEAR, BUCKET).counts() == {"missing": 7, "running": 5}
    assert exports.start(region, YEAR, BUCKET).counts() == {"missing": 7, "running": 5}
    assert exports.start(region, YEAR, BUCKET).counts() == {"missing": 2, "running": 5, "made": 5}
    assert len(service.exports.bodies) == 10


def test_a_failed_export_is_named_and_started_again_a_few_times(
    region: Region, service: Service
) -> None:
    service.exports.failing["2025-06 r001c000"] = "User memory limit exceeded."
    for attempt in range(1, exports.ATTEMPTS + 1):
        exports.start(region, YEAR, BUCKET)
        assert len(service.exports.bodies) == 11 + attempt
        for _ in range(2):
            found = exports.status(region, YEAR)
        (bad,) = [i for i in found.items if i.state == "failed"]
        assert (bad.month, bad.expected.tile) == ("2025-06", "r001c000")
        assert "memory limit" in bad.reason
    assert exports.start(region, YEAR, BUCKET).counts() == {"made": 11, "failed": 1}
    assert len(service.exports.bodies) == 11 + exports.ATTEMPTS


def test_what_was_received_is_checked(region: Region, service: Service) -> None:
    exports.start(region, YEAR, BUCKET)
    exports.status(region, YEAR), exports.status(region, YEAR)
    folder = receive(region, service)
    paths = sorted(folder.glob("*.tif"))
    with rasterio.open(paths[1]) as file:
        profile, values = file.profile, file.read()
    (folder / "notes.tif").write_bytes(b"x")
    paths[0].unlink()
    with rasterio.open(paths[1], "w", **profile | {"count": 2}) as file:
        file.write(values[:2])
    with rasterio.open(paths[2], "w", **profile | {"width": 8}) as file:
        file.write(values[:, :, :8])
    data = paths[3].read_bytes()
    paths[3].write_bytes(data[:50])
    moved = profile["transform"] @ rasterio.Affine.translation(1, 0)
    with rasterio.open(paths[5]) as file:
        other, content = file.profile, file.read()
    with rasterio.open(paths[5], "w", **other | {"transform": moved}) as file:
        file.write(content)
    with rasterio.open(paths[6]) as file:
        other, content = file.profile, file.read()
    with rasterio.open(paths[6], "w", **other | {"crs": "EPSG:32650"}) as file:
        file.write(content)
    found = exports.status(region, YEAR)
    assert found.counts() == {"made": 1, "received": 6, "unusable": 5}
    assert found.foreign == ("notes.tif",)
    reasons = {i.name: i.reason for i in found.items if i.state == "unusable"}
    assert "2 bands instead of 3" in reasons[paths[1].stem]
    assert "pixels instead of" in reasons[paths[2].stem]
    assert "cannot be read" in reasons[paths[3].stem]
    assert "elsewhere" in reasons[paths[5].stem]
    assert "CRS" in reasons[paths[6].stem]
    bad = next(i for i in found.items if i.name == paths[2].stem)
    month = next(m for m in YEAR[0].months(5, 7) if m.id == bad.month)
    tile = next(t for t in region.grid.tiles() if t.id == bad.expected.tile)
    with pytest.raises(InputError, match="cannot be used"):  # never a silent mixture
        composite_tile(acquire(region, month).scenes, region.catalog, region.grid, tile)


def test_another_list_of_scenes_is_another_file(region: Region, service: Service) -> None:
    names = {i.name for i in exports.expected(region, YEAR) if i.month == "2025-06"}
    collection = service.collections[COLLECTIONS["landsat"]]
    del collection[2]
    again = {i.name for i in exports.expected(region, YEAR) if i.month == "2025-06"}
    assert len(names) == len(again) == 4 and not names & again


def test_the_command(
    region: Region, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "regions" / "tiny.yaml")

    def eco(*arguments: str) -> tuple[int, str, str]:
        code = run(["exports", file, "--period", "2025", *arguments])
        out = capsys.readouterr()
        return code, out.out, out.err

    code, out, _ = eco()
    assert code == 0 and "12 images" in out and "missing" in out
    assert not service.exports.bodies
    for wrong in (["--start"], ["--start", "--bucket", "b", "--drive", "d"], ["--bucket", "b"]):
        code, _, err = eco(*wrong)
        assert code == 2 and "--bucket" in err
    assert not service.exports.bodies
    code, out, _ = eco("--start", "--bucket", "b", "--json")
    assert code == 0 and json.loads(out)["counts"] == {"running": 12}
    service.exports.failing["2025-07"] = "no space"
    eco()
    code, out, _ = eco()
    assert code == 1 and "no space" in out and "2025-07" in out
    receive(region, service)
    code, out, _ = eco("--json")
    told = json.loads(out)
    assert code == 1 and told["counts"] == {"failed": 4, "received": 8}


@pytest.fixture
def zones(tmp_path: Path) -> gpd.GeoDataFrame:
    grid = grid_of()
    names = {"id": ["1"], "name": ["One"]}
    return gpd.GeoDataFrame(names, geometry=[shapely.box(*grid.bounds)], crs=grid.crs_wkt)


MEDIAN = {
    "composite": {"method": "median", "season": {"method": "percentile", "percentile": 90}},
    "harmonisation": "roy_2016_hls_2018",
}


@pytest.mark.parametrize("settings", [{}, MEDIAN], ids=["maximum", "median, harmonised"])
def test_a_run_makes_the_same_cube_in_all_three_ways(
    tmp_path: Path, service: Service, zones: gpd.GeoDataFrame, settings: dict[str, Any]
) -> None:
    """`eco run` over scenes read here, composites reduced there, and exports: one cube."""
    ndvi = ["monthly/ndvi_max"]
    if settings:
        ndvi += ["monthly/ndvi_median", "yearly/ndvi_season"]
    counts = [f"monthly/{name}" for name in ("clear_count", "obs_count")]
    service.exports.folder = tmp_path / "cloud"
    cubes, asked = {}, {}
    for way in ("here", "server", "exports"):
        reduce = "here" if way == "here" else "server"
        received = "received" if way == "exports" else None
        region = region_of(tmp_path / way, 48, settings, reduce=reduce, received=received)
        zones.to_file(tmp_path / way / "zones.gpkg")
        if way == "exports":
            for _ in range(3):
                exports.start(region, YEAR, BUCKET)
            receive(region, service)
        service.seen.clear()
        report = pipeline.run(region, YEAR, today=dt.date(2026, 1, 10))
        done = report.to_dict()["tasks"]
        assert done == {"done": 4, "skipped": 0, "failed": 0}
        asked[way] = len(service.requests_of("computePixels"))
        root = open_archive(region.archive_path).view().root
        cubes[way] = {name: root[name][:] for name in (*counts, *ndvi)}
    more = 1 if settings else 0  # the season's, which is never exported
    assert asked == {"here": asked["here"], "server": 3 + more, "exports": more}
    assert asked["here"] > 12
    for way in ("server", "exports"):
        for name in counts:
            np.testing.assert_array_equal(cubes[way][name], cubes["here"][name])
        for name in ndvi:
            gap = np.abs(cubes[way][name].astype(int) - cubes["here"][name])
            assert gap.max() <= 1
    for name in ndvi:
        np.testing.assert_array_equal(cubes["server"][name], cubes["exports"][name])
    assert cubes["here"]["monthly/clear_count"].sum() > 1000


def test_a_file_received_before_there_were_percentiles_keeps_its_name() -> None:
    decode = Decode(2.75e-5, -0.2, 0.0, 7273.0, 43636.0)
    quality = QualityRule("QA_PIXEL", 1, ((7, 0),), ((1, 1),))
    bands = tuple(BandRule(b, 0.0, decode) for b in ("SR_B4", "SR_B5"))
    scenes = ((SceneRule((quality,), (), bands), ("L/A", "L/B")),)
    place = {"scaleX": 30.0, "translateX": 0.0, "scaleY": -30.0, "translateY": 90.0}
    grid = {"dimensions": {"width": 4, "height": 3}, "affineTransform": place}
    grid |= {"crsCode": "EPSG:32649"}
    maximum = Expected(Wanted(scenes), grid, "r000c001")
    assert maximum.name == "r000c001_8183e96226ba0c8cad73"  # as it was
    others = [
        Expected(Wanted(scenes, percentile=p), grid, "r000c001")
        for p in (("ndvi_median", 0.5), ("ndvi_percentile", 0.5), ("ndvi_percentile", 0.9))
    ]
    assert len({e.name for e in (maximum, *others)}) == 4
    assert others[0].bands == ("ndvi_max", "clear_count", "obs_count", "ndvi_median")


def test_exports_need_a_folder_and_reduction(tmp_path: Path, service: Service) -> None:
    with pytest.raises(UsageError, match="received"):
        exports.status(region_of(tmp_path / "a", received=None), YEAR)
    with pytest.raises(UsageError, match="reduce: server"):
        region_of(tmp_path / "b", reduce="here")
