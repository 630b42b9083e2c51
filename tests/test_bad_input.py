"""Faults that people make, planted in a finished project and met as a user meets them: by `eco`."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest
import yaml

from eco_index import cli, leads
from eco_index.config import load_region
from eco_index.simulation.region_files import write_region_files
from eco_index.simulation.run import simulate
from eco_index.simulation.spec import SimSpec, demo_config

pytestmark = pytest.mark.e2e
PROGRAMME = {
    "id": "small",
    "name": {"zh": "小", "en": "small"},
    "layer": "nature_reserves",
    "cadence": ["yearly"],
    "indicators": ["fvc_mean"],
    "analyses": {"combine": ["counties"], "ground_truth": True, "leads": True},
}


def small_spec() -> SimSpec:
    grid = demo_config().grid
    middle = [(grid.bounds[k] + grid.bounds[k + 2]) / 2 for k in (0, 1)]
    x, y = (round(m / 30) * 30 for m in middle)
    return SimSpec(
        size_px=128, origin=(x - 64 * 30, y + 64 * 30), all_scenes=False, overviews=False
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two years, assessed, with its leads."""
    folder = tmp_path_factory.mktemp("bad") / "project"
    simulate(folder, small_spec())
    file = write_region_files(folder, small_spec(), 128, 64)
    (folder.parent / "programmes").mkdir()
    text = yaml.safe_dump(PROGRAMME, allow_unicode=True)
    (folder.parent / "programmes" / "small.yaml").write_text(text, encoding="utf-8")
    config = yaml.safe_load(file.read_text(encoding="utf-8")) | {"programmes": ["small"]}
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    assert cli.run(["run", str(file), "--period", "2024", "--period", "2025"]) == 0
    assert cli.run(["leads", "find", str(file), "--period", "2025"]) == 0
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy to plant a fault in; imagery is shared."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("data"))
    shutil.copytree(finished.parent / "programmes", tmp_path / "programmes")
    (folder / "data").mkdir()
    for part in (finished / "data").iterdir():
        if part.name in ("vectors", "tables"):
            shutil.copytree(part, folder / "data" / part.name)
        else:
            os.symlink(part, folder / "data" / part.name)
    return folder


def stored(project: Path) -> dict[str, str]:
    """Digests of all that a fault must not harm: cube, summaries, reports, ledger."""
    return {
        str(p.relative_to(project)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted((project / "out").rglob("*"))
        if p.is_file()
    }


def eco(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    capsys.readouterr()
    code = cli.run([str(a) for a in arguments])
    said = capsys.readouterr()
    return code, said.out + said.err


def changed(project: Path, change: Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]) -> None:
    path = project / "data" / "vectors" / "counties.gpkg"
    frame = change(gpd.read_file(path))
    path.unlink()
    frame.to_file(path)


def overlapping(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    metres = frame.to_crs(frame.estimate_utm_crs())
    metres.loc[0, "geometry"] = metres.geometry[0].buffer(300)
    return metres.to_crs(frame.crs)


def nameless(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.assign(name_zh=[None, *frame["name_zh"][1:]])


def twins(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.assign(code=[frame["code"][1], *frame["code"][1:]])


def somewhere(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.set_crs(None, allow_override=True)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize(
    ("fault", "what", "fix"),
    [
        (overlapping, ("overlap by", "Baisha Banner"), "partition: false"),
        (nameless, ("no name.zh", "159901"), "fill the column"),
        (twins, ("'159902' is given twice",), "correct column 'code'"),
        (somewhere, ("in which CRS",), "ogr2ogr -a_srs"),
    ],
)
def test_a_faulty_layer_is_known_before_a_run_and_harms_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], fault, what, fix: str
) -> None:
    changed(project, fault)
    before = stored(project)
    region = project / "region.yaml"
    code, said = eco(capsys, "plan", region, "--period", "2025")
    assert code == 0 and all(w in said for w in (*what, "blocked", "counties.gpkg"))
    code, said = eco(capsys, "run", region, "--period", "2025")
    assert code == 1  # the rest is kept
    for words in (*what, fix, "counties.gpkg", "demo_counties", "rule:", "same command again"):
        assert words in said
    assert stored(project) == before


def plots(project: Path, column: str, value: str, rows: int = 1) -> None:
    path = project / "data" / "tables" / "plots_2025.csv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    at = head.split(",").index(column)
    for k in range(min(rows, len(lines))):
        cells = lines[k].split(",")
        cells[at] = value
        lines[k] = ",".join(cells)
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("column", "value", "rows", "words"),
    [
        ("date", "2099-07-20", 1, ("row 2 (P2025001)", "2099-07-20, in the future")),
        ("cover", "55", 1, ("row 2 (P2025001)", "0-1")),
        ("lon", "100", 999, ("none of the 60 plots", "P2025001", "EPSG:4326", "ground_truth.crs")),
    ],
)
def test_a_faulty_plot_table_stops_the_assessment_and_harms_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], column, value, rows, words
) -> None:
    plots(project, column, value, rows)
    before = stored(project)
    code, said = eco(capsys, "run", project / "region.yaml", "--period", "2025")
    assert code == 1
    for word in (*words, "plots_2025.csv", "rule:"):
        assert word in said
    assert stored(project) == before


def test_a_stray_plot_is_left_out_and_named(
    project: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    plots(project, "lon", "100")
    assert eco(capsys, "run", project / "region.yaml", "--period", "2025")[0] == 0
    for word in ("1 plot(s) outside the region", "P2025001", "plots_2025.csv"):
        assert word in caplog.text
    summary = project / "out" / "assessments" / "2025" / "small" / "summary.json"
    assert "1 plot(s) outside the region" in summary.read_text(encoding="utf-8")


def test_a_baseline_year_that_is_not_in_the_cube(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed_ = PROGRAMME | {"analyses": {"baseline": 2010}}
    path = project.parent / "programmes" / "small.yaml"
    path.write_text(yaml.safe_dump(changed_, allow_unicode=True), encoding="utf-8")
    before = stored(project)
    code, said = eco(capsys, "run", project / "region.yaml", "--period", "2025")
    assert code == 1 and stored(project) == before
    for word in ("baseline year 2010", "small.yaml", "analyses.baseline", "2024-2025", "fix:"):
        assert word in said


@pytest.mark.parametrize("last", [2025, 2099])
def test_a_period_in_the_future(
    project: Path, capsys: pytest.CaptureFixture[str], last: int
) -> None:
    file = project / "region.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    config["years"]["last"] = last
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    before = stored(project)
    code, said = eco(capsys, "run", file, "--period", "2099")
    assert code == 2 and stored(project) == before
    wanted = ("in the future", "2099-09-30") if last == 2099 else ("2024-2025", "'years.last'")
    assert all(w in said for w in ("2099", *wanted, "fix:"))


def test_a_ledger_edited_by_hand_is_refused_and_left_as_it_is(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "region.yaml"
    path = leads.ledger_path(load_region(file))
    text = path.read_text(encoding="utf-8")
    assert '"mining"' in text
    path.write_text(text.replace('"mining"', '"rejected"'), encoding="utf-8")
    before = stored(project)
    for command in (("leads", "list", file), ("leads", "find", file, "--period", "2025")):
        code, said = eco(capsys, *command)
        assert code == 3 and stored(project) == before
        for word in ("changed by hand", "ledger.jsonl, line", "from a backup", "eco leads set"):
            assert word in said
    path.write_text(text, encoding="utf-8")
    assert eco(capsys, "leads", "list", file)[0] == 0
