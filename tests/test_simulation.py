"""The simulated region: its building blocks, and its files as a whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from eco_index import yamlio
from eco_index.catalog import load_catalog
from eco_index.config import RegionConfig, configs_folder, load_region
from eco_index.errors import UsageError
from eco_index.simulation import SimSpec, simulate
from eco_index.simulation.noise import line_distance, smooth_noise
from eco_index.simulation.schedule import ORBITS, passes, season
from eco_index.simulation.weather import CLEARANCE_PX, weather_field


@pytest.fixture(scope="session")
def folder(small_region: Path) -> Path:
    return small_region.parent


def test_smooth_noise_is_smooth_and_standardised() -> None:
    field = smooth_noise((80, 120), 5, np.random.default_rng(1))
    assert field.shape == (80, 120)
    assert abs(float(field.mean())) < 1e-4
    assert float(field.std()) == pytest.approx(1, abs=1e-3)
    assert float(np.abs(np.diff(field, axis=1)).max()) < 0.25


def test_line_distance_is_exact_and_local() -> None:
    out = np.full((20, 20), 99.0, np.float32)
    line_distance(np.array([[2.0, 10.0], [12.0, 10.0]]), 4.0, out)
    assert out[10, 5] == 0
    assert out[13, 5] == 3
    assert out[10, 15] == pytest.approx(3)
    assert out[0, 0] == 99


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_weather_covers_its_share_and_margin_bounds_the_edge(share: float) -> None:
    field, margin = weather_field((400, 500), share, np.random.default_rng(3), cells=6)
    assert float((field > 0).mean()) == pytest.approx(share, abs=0.02)
    steepest = max(np.abs(np.diff(field, axis=a)).max() for a in (0, 1))
    assert margin >= CLEARANCE_PX * steepest / 8


def test_season_has_a_flat_peak() -> None:
    import datetime as dt

    assert season(dt.date(2025, 4, 1)) == 0
    assert [season(dt.date(2025, m, d)) for m, d in ((7, 2), (7, 31), (8, 19))] == [1, 1, 1]
    assert 0 < season(dt.date(2025, 5, 15)) < season(dt.date(2025, 6, 15)) < 1


def test_every_season_month_has_a_mostly_clear_look_everywhere() -> None:
    for spec in (SimSpec(), SimSpec(all_scenes=False)):
        for year in spec.years:
            for month in range(4, 10):
                looks = [p for p in passes(spec) if (p.date.year, p.date.month) == (year, month)]
                clear = {
                    p.orbit for p in looks if p.cloud < 0.31 and p.flaw in ("", "old_baseline")
                }
                assert "S032" in clear or {"L124", "L125"} <= clear
    assert {o.epsg for o in ORBITS.values()} == {32649, 32650}


def test_spec_follows_the_shipped_region_file() -> None:
    demo = yamlio.load(configs_folder() / "regions" / "demo.yaml", RegionConfig)
    assert SimSpec().bounds == demo.grid.bounds
    assert SimSpec().grid.shape == demo.grid_.shape
    assert demo.grid.tile < demo.grid_.shape[0]
    with pytest.raises(UsageError, match="too small"):
        SimSpec(size_px=64)
    with pytest.raises(UsageError, match="cannot hold a change"):
        SimSpec(years=(2025,))


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_same_seed_same_files_whatever_the_threads(tmp_path: Path) -> None:
    for name, threads, seed in (("a", 1, 5), ("b", 3, 5), ("c", 2, 6)):
        simulate(tmp_path / name, SimSpec(144, seed=seed, threads=threads, all_scenes=False))
    a, b, c = (_digests(tmp_path / n) for n in "abc")
    assert a == b
    assert set(a) == set(c)
    assert sum(a[k] != c[k] for k in a) > 0.8 * sum(k.lower().endswith(".tif") for k in a)


def test_finished_data_are_kept_and_unfinished_replaced(tmp_path: Path) -> None:
    spec = SimSpec(128, all_scenes=False, overviews=False)
    data = simulate(tmp_path, spec)
    plots = data / "tables" / "plots_2024.csv"
    before = plots.stat().st_mtime_ns
    simulate(tmp_path, spec)
    assert plots.stat().st_mtime_ns == before
    stray = data / "landsat-c2l2" / "left_over.json"
    stray.write_text("{}", encoding="utf-8")
    record = data / "simulation.json"
    record.write_text(record.read_text().replace("true", "false"), encoding="utf-8")
    simulate(tmp_path, spec)
    assert not stray.exists()


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    keep = tmp_path / "data" / "mine.txt"
    keep.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="not simulated"):
        simulate(tmp_path, SimSpec(128))
    assert keep.read_text(encoding="utf-8") == "mine"


def test_region_file_and_catalogue_load(small_region: Path) -> None:
    region = load_region(small_region)
    assert region.programmes.keys() == {
        "red_line",
        "nature_reserves",
        "regional_reserves",
        "key_counties",
        "whole_region",
        "restoration",
    }
    assert len(region.grid.tiles()) == 4
    for key, entry in region.catalog.datasets.items():
        if entry.access.type == "written":
            continue
        assert entry.source == "simulated"
        assert region.catalog.path_of(key, "test", 2025).exists(), key


def test_shipped_catalogue_marks_demo_data_as_simulated() -> None:
    catalog = load_catalog(configs_folder().parent / "data_catalog.yaml")
    demo = {k: d for k, d in catalog.datasets.items() if k.startswith("demo_")}
    assert len(demo) == 28
    assert {d.source for d in demo.values()} == {"simulated"}
