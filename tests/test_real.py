"""Real imagery, each described in a catalogue of its own, read by the code of any other archive."""

from pathlib import Path

import numpy as np
import pytest
from shared_data import REAL, ROOT, SHARED

from eco_index import pipeline
from eco_index.config import load_region
from eco_index.cube import open_archive
from eco_index.period import Period
from eco_index.summary import read_summary

WHOLE = (slice(None), slice(None))

pytestmark = REAL


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("ECO_SHARED", str(SHARED))
    monkeypatch.setenv("ECO_REAL_OUT", str(tmp_path))

    def run_region(name, year):
        region = load_region(ROOT / "configs" / "regions" / f"{name}.yaml")
        report = pipeline.run(region, [Period(year)])
        assert report.exit_code == 0, report.failures
        summary = read_summary(Path(report.summaries[0]))
        pages = [Path(p) for p in report.reports if p.endswith(".html")]
        assert len(pages) == 2 and all("data:font/woff2" in p.read_text("utf-8") for p in pages)
        return open_archive(region.archive_path).view(), summary

    return run_region


def values(summary, indicator):
    return {r.zone: r for r in summary.rows if r.indicator == indicator}


def test_modis_vegetation_index_of_a_boreal_summer(run):
    view, summary = run("yakutia_2010", 2010)
    assert not any(item.provisional for item in (*summary.rows, *summary.indices))
    # What is laid open as unsure are the intervals: the range of end members is a project default.
    assert {a.id for a in summary.analyses if a.provisional} <= {"intervals"}
    assert not summary.simulated
    scenes = {q.month: q.scenes for q in summary.quality}
    assert sum(scenes.values()) == 10  # composites that begin from May to September
    ndvi = {m: view.read("monthly", "ndvi_max", f"2010-{m:02d}", WHOLE) for m in (5, 7)}
    middle = {m: np.median(a[a != -32768]) * 1e-4 for m, a in ndvi.items()}
    assert middle[5] < 0.65 < middle[7] < 0.95  # leaves come out in June
    for row in values(summary, "fvc_mean").values():
        assert 70 < row.value < 90
        assert row.no_data_km2 < 0.01 * (row.valid_km2 + row.no_data_km2)


def test_sentinel2_bands_on_three_grids_over_bare_desert(run):
    _, summary = run("sahara_s2_2020", 2020)
    for row in values(summary, "fvc_mean").values():
        assert row.value < 0.1  # percent
    shares = values(summary, "clear_observation_share")
    assert 97 < shares["_all"].value < 99.5  # cloud and cirrus are out, by the scene class map
    assert values(summary, "fvc_mean")["_all"].no_data_km2 > 0


def test_a_scene_without_a_clear_pixel_gives_no_value_and_no_zero(run):
    view, summary = run("amazon_l8_2020", 2020)
    assert (view.read("yearly", "clear_count", "2020", WHOLE) == 0).all()
    assert (view.read("monthly", "obs_count", "2020-10", WHOLE) > 0).any()
    for row in values(summary, "fvc_mean").values():
        assert row.value is None and row.interval is None
        assert row.valid_km2 == 0 and row.no_data_km2 > 0
    assert {q.observed_share for q in summary.quality} == {0.0}
