"""The whole chain as a user runs it, on the small simulated region, against its known truth."""

import json
from pathlib import Path

import pytest
import shapely
import yaml
from rasterio.features import geometry_mask
from simulated import changes, copy_region

from eco_index import cli, demo
from eco_index.config import load_region
from eco_index.cube import open_archive, open_cube
from eco_index.summary import read_summary

pytestmark = pytest.mark.e2e
PROGRAMMES = ["whole_region", "nature_reserves", "restoration"]


@pytest.fixture(scope="module")
def ran(small_region, tmp_path_factory):
    """The region after `eco run` of two years."""
    file = copy_region(small_region, tmp_path_factory.mktemp("e2e"), programmes=PROGRAMMES)
    assert cli.run(["run", str(file), "--period", "2024", "--period", "2025"]) == 0
    return file


def answer(capsys, *arguments, code=0):
    """Run a command with --json and return what it printed."""
    capsys.readouterr()
    assert cli.run([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_results_match_the_truth_of_the_simulation(ran, small_region):
    region = load_region(ran)
    view = open_archive(region.archive_path).view()
    checks = list(demo.compare_with_truth(region, small_region.parent, view, [2024, 2025]))
    assert len(checks) == 2 * (2 + 3) + 4 + 3 + 2
    assert [c for c in checks if not c.passed] == []


def test_the_checks_themselves_can_fail():
    assert not demo.Check("bias", -0.02, 0.01, "1").passed
    assert not demo.Check("mine", 0.0, 0.3, "km2", at_least=True).passed


def test_a_second_run_does_nothing(ran, capsys):
    region = load_region(ran)
    before = open_archive(region.archive_path).view().snapshot
    stamps = {p: p.stat().st_mtime_ns for p in region.output.rglob("report.*.html")}
    assert len(stamps) == 2 * 2 * len(PROGRAMMES)
    plan = answer(capsys, "plan", ran, "--period", "2025")
    assert {s for kind in plan["counts"].values() for s in kind} == {"done"}
    report = answer(capsys, "run", ran, "--period", "2025")
    assert report["tasks"]["done"] == 0 and report["tasks"]["skipped"] > 0
    assert open_archive(region.archive_path).view().snapshot == before
    assert {p: p.stat().st_mtime_ns for p in region.output.rglob("report.*.html")} == stamps


def test_a_changed_parameter_makes_products_stale_and_gets_a_new_tag(ran, tmp_path, capsys):
    import shutil

    region = load_region(ran)
    config = yaml.safe_load(ran.read_text(encoding="utf-8"))
    shutil.copytree(region.output, tmp_path / "out")
    config |= {
        "output": str(tmp_path / "out"),
        "programmes": ["nature_reserves"],
        "fvc": {
            "ndvi_soil": 0.1, "ndvi_veg": 0.8, "evidence": "secondary", "source": "for a test",
        },
    }  # fmt: skip
    file = tmp_path / "region.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    plan = answer(capsys, "plan", file, "--period", "2025")
    assert plan["counts"]["product"] == {"stale": 4}
    assert plan["counts"]["composite"] == {"done": 24}
    assert plan["counts"]["assessment"] == {"stale": 1}
    assert "parameters" in next(t for t in plan["tasks"] if t["state"] == "stale")["reason"]
    report = answer(capsys, "run", file, "--period", "2025")
    assert report["tags"] == {"2025": "2025.2"}
    tags = open_archive(tmp_path / "out" / "archive.icechunk").view().tags
    assert {"2024", "2025", "2025.2"} <= set(tags)  # what was reported before stays pinned


def test_summaries_say_what_they_rest_on(ran):
    region = load_region(ran)
    summary = read_summary(region.output / "assessments/2025/whole_region/summary.json")
    assert summary.simulated and summary.provisional
    assert summary.period.compared_with == "2024"
    assert {i.method.partition("@")[0] for i in summary.indices} == {"hj192_2015", "eqi_2021"}
    assert all(i.complete and i.provisional for i in summary.indices)
    assert {f.reason.partition(":")[0] for f in summary.failures} == {"truncated"}
    for row in summary.rows:
        zone = next(z for z in summary.zones if z.id == row.zone)
        if row.indicator in ("fvc_mean", "forest_coverage"):
            assert row.valid_km2 + row.no_data_km2 == pytest.approx(zone.pixels_km2)
            assert row.denominator_km2 == pytest.approx(row.valid_km2)


@pytest.mark.parametrize("method", ["hj192_2015", "eqi_2021"])
def test_an_office_can_compute_every_index_again_from_the_table_of_units(ran, method, capsys):
    folders = [
        load_region(ran).output / "assessments" / y / "whole_region" for y in ("2025", "2024")
    ]
    tables = [folder / "units.csv" for folder in folders]
    data = answer(capsys, "index", method, "--inputs", tables[0], "--compare", tables[1])
    again = {u["unit"]: u for u in data["units"]}
    printed = [
        i
        for i in read_summary(folders[0] / "summary.json").indices
        if i.method.startswith(method) and i.unit != "_all"
    ]
    assert len(printed) == len(again) == 3
    for index in printed:
        found = again[index.unit]
        assert found["value"] == pytest.approx(index.value, rel=1e-12)
        assert found["change"] == pytest.approx(index.change, abs=1e-9)
        assert found["grade"] == index.grade
        for mine, theirs in zip(index.sub_indices, found["sub_indices"], strict=True):
            assert mine.id == theirs["id"]
            expected = None if mine.value is None else pytest.approx(mine.value, rel=1e-12)
            assert theirs["value"] == expected


def test_the_cube_opens_in_xarray_with_crs_and_units(ran):
    region = load_region(ran)
    cube = open_cube(region.archive_path, "yearly", "2025")
    assert cube.rio.crs is not None and cube.fvc.dims == ("time", "y", "x")
    fvc = cube.fvc.sel(time="2025").squeeze().compute()
    assert float(fvc.min()) >= 0 and float(fvc.max()) <= 1
    assert cube.fvc.attrs["units"] == "1" and "植被" in cube.fvc.attrs["long_name_zh"]


def test_publish_trace_show_and_verify(ran, capsys):
    region = load_region(ran)
    made = answer(capsys, "publish", ran, "--period", "2025", "--release", "v1")
    release = Path(made["folder"])
    assert (release / "release.json").exists() and (release / "cube.zarr").is_dir()
    found = answer(capsys, "trace", release, "whole_region/2025/_all/fvc_mean")
    assert found["value"] and json.dumps(found).count("2025")
    assert cli.run(["publish", str(ran), "--period", "2025", "--release", "v1"]) == 2
    assert "v1" in capsys.readouterr().err
    assert answer(capsys, "verify", region.archive_path)["errors"] == 0
    shown = answer(capsys, "show", region.archive_path)
    assert shown["region"] == region.id and shown["tags"]["2025"]
    assert cli.run(["trace", str(release), "whole_region/2025/_all/fvc_meen"]) == 2
    assert "fvc_mean" in capsys.readouterr().err  # says which key was meant


def test_the_planted_mine_in_the_reserve_is_the_only_lead(ran, small_region, capsys):
    found = answer(capsys, "leads", "find", ran, "--period", "2025")
    (lead,) = answer(capsys, "leads", "list", ran)
    assert [lead["id"]] == found["new"]
    assert lead["kind"] == "mining" and lead["level"] == "high"
    assert ("nature_reserves", "NR01-2") in {(z["layer"], z["id"]) for z in lead["zones"]}
    assert lead["functional_zone"] == "buffer"
    region = load_region(ran)
    planted = changes(small_region.parent, region.grid)["mine"]
    outline = [shapely.from_wkt(lead["footprint"])]
    drawn = geometry_mask(outline, region.grid.shape, region.grid.transform, invert=True)
    assert (drawn & planted).sum() / (drawn | planted).sum() > 0.8
    again = answer(capsys, "leads", "find", ran, "--period", "2025", "--programme", PROGRAMMES[1])
    assert again["new"] == [] and again["seen"] == found["new"]
