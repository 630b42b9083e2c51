"""Releases: complete, verified, unchangeable, traceable."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import rioxarray  # noqa: F401  (registers .rio)
import xarray as xr
from report_fakes import make_summary
from zone_fakes import make_region, pixel_box

from eco_index import release as R
from eco_index.cube import create_or_open, write_tile
from eco_index.cube.view import TaskRecord
from eco_index.errors import InputError, UsageError
from eco_index.period import Period
from eco_index.products import products_of
from eco_index.release import publishing

PERIOD = Period.parse("2025")
KEY = "key_counties/2025/150100/fvc_mean"


def random_values(product, shape, rng):
    if product.flags:
        return rng.choice(list(product.flags), shape).astype(product.dtype)
    values = rng.integers(0, 9000, shape).astype(product.dtype)
    if product.fill is not None:
        values[:5, :5] = product.fill
    return values


def build(folder):
    """A region whose archive holds 2025 (pinned) and an assessment of it."""
    region = make_region(folder, {"counties": [pixel_box(1, 1, 60, 40)]})
    archive = create_or_open(region)
    rng = np.random.default_rng(1)
    with archive.session() as session:
        for group, ids in (("yearly", ["2025"]), ("monthly", ["2025-05", "2025-07"])):
            for time_id in ids:
                for tile in region.grid.tiles():
                    arrays = {
                        p.id: random_values(p, tile.shape, rng) for p in products_of(group, True)
                    }
                    write_tile(session, group, time_id, tile, arrays)
        snapshot = archive.commit("2025", {"t": TaskRecord("d")}, session=session)
    archive.tag("2025", snapshot)
    assess(region, snapshot)
    return region, archive


def assess(region, snapshot, tag="2025", programme="key_counties", **changes):
    path = make_summary(region.output / "assessments" / "2025" / programme)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["provenance"] |= {"snapshot": snapshot, "tag": tag}
    document |= changes
    path.write_text(json.dumps(document), encoding="utf-8")
    for name in ("report.zh.html", "report.en.html", "table.csv"):
        path.with_name(name).write_text(f"{programme} {name}", encoding="utf-8")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    region, archive = build(tmp_path_factory.mktemp("release"))
    return region, archive, R.publish(region, PERIOD, "v1", archive)


@pytest.fixture
def fresh(tmp_path):
    return build(tmp_path)


# --- what a release holds ----------------------------------------------------------------------


def test_the_plain_cube_opens_without_icechunk_and_equals_the_archive(published):
    _region, archive, folder = published
    view = archive.view("2025")
    for group, times in (("yearly", ["2025"]), ("monthly", [f"2025-0{m}" for m in (5, 6, 7, 8)])):
        with xr.open_zarr(
            folder / "cube.zarr", group=group, decode_coords="all", mask_and_scale=False
        ) as cube:
            assert cube["time"].attrs["ids"] == times
            assert cube.rio.crs is not None
            for step, time_id in enumerate(times):
                whole = (slice(None), slice(None))
                for product in products_of(group, True):
                    stored = view.read(group, product.id, time_id, whole)
                    np.testing.assert_array_equal(cube[product.id][step].to_numpy(), stored)
    with xr.open_zarr(folder / "cube.zarr", group="yearly", consolidated=True) as cube:
        assert cube["fvc"].attrs["units"] == "1"
        assert np.isnan(cube["fvc"].to_numpy()[0, 0, 0])
        assert str(cube["time"].dt.strftime("%Y-%m-%d").item()) == "2025-01-01"


def test_geotiffs_are_cogs_that_say_what_they_hold(published):
    region, _archive, folder = published
    with rasterio.open(folder / "cog/fvc_2025.tif") as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.nodata == 65535
        assert source.scales == (1e-4,)
        assert "fractional vegetation cover" in source.descriptions[0]
        assert source.transform == region.grid.transform
        assert source.tags()["cube_tag"] == "2025"
        assert source.tags()["official"].startswith("no: simulated")
    with rasterio.open(folder / "cog/landcover_2025.tif") as source:
        assert source.colormap(1)[21][:3] == (0x1B, 0x6B, 0x3A)
    assert {p.stem for p in folder.glob("cog/*.tif")} >= {"forest_2025", "clear_count_2025"}


def test_stac_is_valid_and_every_asset_is_there(published):
    folder = published[2]
    collection = pystac.Collection.from_file(str(folder / "stac/collection.json"))
    (item,) = collection.get_items(recursive=True)
    for thing in (collection, item):
        document = thing.to_dict()
        document["stac_extensions"] = []  # their schemas are not at hand offline
        pystac.validation.validate_dict(document)
    for asset in item.assets.values():
        assert not asset.href.startswith("/")
        target = asset.get_absolute_href()
        assert target is not None
        assert Path(target).exists()
    assert item.properties["proj:shape"] == [48, 64]
    assert set(item.properties["cube:dimensions"]) == {"x", "y", "time"}
    assert item.properties["eco:official"] is False


def test_checksums_cover_every_file(published):
    folder = published[2]
    lines = (folder / "checksums.sha256").read_text(encoding="utf-8").splitlines()
    listed = {line[66:]: line[:64] for line in lines}
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(listed) == files - {"checksums.sha256"}
    for name, value in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == value


def test_the_record_says_what_it_stands_on_and_that_it_is_not_official(published):
    record = json.loads((published[2] / "release.json").read_text(encoding="utf-8"))
    assert record["official"] is False
    assert record["reasons"] == ["simulated", "provisional"]
    assert record["tag"] == "2025"
    assert record["predecessor"] is None
    assert (published[2] / "assessments/key_counties/maps/fvc.tif").exists()
    assert (published[2] / "assessments/key_counties/report.zh.html").exists()


# --- never changed -----------------------------------------------------------------------------


def test_a_name_can_be_used_once(published):
    region, archive, folder = published
    before = (folder / "checksums.sha256").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        R.publish(region, PERIOD, "v1", archive)
    assert (folder / "checksums.sha256").read_bytes() == before


def test_a_reissue_names_its_predecessor_and_leaves_it_alone(fresh, monkeypatch):
    region, archive = fresh
    monkeypatch.setattr(
        publishing,
        "_fill",
        lambda staged, *rest: publishing._write_json(staged / "release.json", rest[-1]),
    )
    first = R.publish(region, PERIOD, "v1", archive)
    before = {p: p.read_bytes() for p in first.rglob("*") if p.is_file()}
    second = R.publish(region, PERIOD, "v2", archive)
    assert json.loads((second / "release.json").read_text("utf-8"))["predecessor"] == "v1"
    assert {p: p.read_bytes() for p in first.rglob("*") if p.is_file()} == before
    index = json.loads((first.parent / "index.json").read_text("utf-8"))
    assert index["latest"] == "v2"
    assert [r["successor"] for r in index["releases"]] == ["v2", None]


def test_a_failure_publishes_nothing(fresh, monkeypatch):
    region, archive = fresh

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publishing, "write_stac", full)
    with pytest.raises(InputError, match="No space left on device"):
        R.publish(region, PERIOD, "v1", archive)
    assert list((region.output / "releases" / "2025").iterdir()) == []


def test_a_defective_copy_is_noticed(fresh, monkeypatch):
    region, archive = fresh
    original = publishing.copy_period

    def defective(view, period, months, target, attrs):
        groups = original(view, period, months, target, attrs)
        chunk = max((target / "yearly/fvc/c").rglob("*"), key=lambda p: p.is_file())
        chunk.unlink()
        return groups

    monkeypatch.setattr(publishing, "copy_period", defective)
    with pytest.raises(InputError, match="differs from the archive"):
        R.publish(region, PERIOD, "v1", archive)
    assert not (region.output / "releases" / "2025" / "v1").exists()


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "../v1", "a/b", ".hidden", "x" * 65, "名"])
def test_a_name_that_is_no_folder_name_is_refused(published, name):
    with pytest.raises(UsageError, match="cannot be the name of a release"):
        R.publish(published[0], PERIOD, name, published[1])


def test_provisional_numbers_are_never_called_official(published):
    with pytest.raises(UsageError, match="it is simulated and provisional"):
        R.publish(published[0], PERIOD, "v2-Official", published[1])


def test_a_period_without_assessment_cannot_be_published(published):
    with pytest.raises(UsageError, match="no assessment to publish"):
        R.publish(published[0], Period.parse("2024"), "v1", published[1])


def test_assessments_of_different_versions_do_not_go_together(fresh):
    region, archive = fresh
    assess(region, archive.view().snapshot, tag="2025.2", programme="red_line")
    with pytest.raises(InputError, match="different versions of the cube"):
        R.publish(region, PERIOD, "v1", archive)


def test_an_assessment_that_the_tag_does_not_hold_is_refused(fresh):
    region, archive = fresh
    assess(region, "ANOTHERSNAPSHOT00000")
    with pytest.raises(InputError, match="is not what the assessments stand on"):
        R.publish(region, PERIOD, "v1", archive)
    assess(region, archive.view().snapshot, tag=None)
    with pytest.raises(InputError, match="do not stand on a pinned version"):
        R.publish(region, PERIOD, "v1", archive)


# --- trace -------------------------------------------------------------------------------------


def test_a_number_is_traced_from_a_release_and_from_the_output_folder(published):
    region, archive, folder = published
    found = R.trace(folder, KEY)
    assert found["value"] == 45.2
    assert found["cube"]["snapshot"] == archive.view("2025").snapshot
    assert found["method"]["reference"] == "HJ 1172-2021, eq. B.4"
    assert {n["evidence"] for n in found["method"]["numbers"]} == {"placeholder", "secondary"}
    assert found["release"]["name"] == "v1"
    assert found["months"][3] == {
        "month": "2025-06", "scenes": 4, "failed_scenes": 1, "scene_ids": [],
    }  # fmt: skip
    json.dumps(found)
    outside = R.trace(region.output, KEY)
    assert outside["value"] == found["value"]
    assert "release" not in outside


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_trace_reads_as_text(published, language):
    for key in (KEY, "key_counties/2025/150102/hj192_2015", "key_counties/2025/150102/fvc_mean"):
        text = R.trace_text(R.trace(published[2], key), language)
        assert "demo_landsat_c2l2" in text
        assert "HJ 1" in text
        assert "None" not in text
    assert ("没有有效观测" if language == "zh" else "no valid observation") in text


def test_an_unknown_key_names_close_ones(published):
    with pytest.raises(UsageError, match=f"close keys: .*{KEY}"):
        R.trace(published[2], KEY.replace("fvc_mean", "fvc_maen"))
    with pytest.raises(UsageError, match="no assessment to trace"):
        R.trace(published[2] / "nowhere", KEY)


def test_documents_that_are_missing_are_rendered(fresh, monkeypatch):
    region, archive = fresh
    shutil.rmtree(region.output / "releases", ignore_errors=True)
    (region.output / "assessments/2025/key_counties/report.en.html").unlink()
    called = []
    monkeypatch.setattr(publishing.report, "render", called.append)
    folder = R.publish(region, PERIOD, "v1", archive)
    assert [p.name for p in called] == ["summary.json"]
    assert called[0].parent.parent.name == "assessments"
    assert folder.name == "v1"


# --- the gate ----------------------------------------------------------------------------------

BLOCKED = {
    "passed": False,
    "reasons": [{"zh": "精度P为70%", "en": "fvc: P is 70 %"}],
    "notes": [],
}


@pytest.mark.parametrize("gate", [None, BLOCKED])
def test_a_release_below_the_accuracy_is_blocked_and_names_why(fresh, gate):
    region, archive = fresh
    assess(region, archive.view("2025").snapshot, gate=gate)
    with pytest.raises(UsageError, match="P is 70" if gate else "against the ground") as error:
        R.publish(region, PERIOD, "v1", archive)
    assert "--override" in str(error.value)
    assert not (region.output / "releases" / "2025" / "v1").exists()


def test_an_override_is_printed_in_the_record_and_in_every_report(fresh):
    region, archive = fresh
    assess(region, archive.view("2025").snapshot, gate=BLOCKED)
    reason = "样地在补测 <b>, see letter 12"
    folder = R.publish(region, PERIOD, "v1", archive, override=f"  {reason} ")
    record = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    assert record["gate"]["override"] == reason
    assert record["gate"]["reasons"] == BLOCKED["reasons"]
    for language, word in (("zh", "未达到HJ 1176-2021"), ("en", "Published although")):
        page = (folder / f"assessments/key_counties/report.{language}.html").read_text("utf-8")
        assert word in page
        assert "样地在补测 &lt;b&gt;, see letter 12" in page
    index = json.loads((folder.parent / "index.json").read_text(encoding="utf-8"))
    assert index["releases"][0]["override"] == reason
    own = region.output / "assessments/2025/key_counties/summary.json"
    assert "letter 12" not in own.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("gate", "override", "message"), [(BLOCKED, "  ", "no reason"), ({}, "why", "not blocked")]
)
def test_an_override_needs_a_reason_and_a_need(fresh, gate, override, message):
    region, archive = fresh
    if gate:
        assess(region, archive.view("2025").snapshot, gate=gate)
    with pytest.raises(UsageError, match=message):
        R.publish(region, PERIOD, "v1", archive, override=override)


def test_an_analysis_is_traced(published):
    found = R.trace(published[2], "key_counties/2025/trend")
    assert found["kind"] == "analysis"
    assert "两个单元趋势显著" in R.trace_text(found, "zh")
    assert "two-sided test" in json.dumps(found)
