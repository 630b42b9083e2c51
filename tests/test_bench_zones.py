"""`make bench-zones`: one JSON object with the figures and sizes of the targets."""

import json

import pytest

from benchmarks import bench_trends, bench_zones, processes
from benchmarks.processes import alternating

KEYS = (
    "zones_ratio_exactextract",
    "zones_ratio_xrspatial",
    "zones_peak_mib",
    "zones_max_rel_diff",
    "trend_ratio_pymannkendall",
)


def figures(capsys, *options):
    bench_zones.main(list(options))
    return json.loads(capsys.readouterr().out)


def test_sizes_of_the_targets_are_the_default(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(bench_zones, "measure", lambda *args: asked.append(args) or {"a": 1})
    monkeypatch.setattr(bench_zones, "alone", lambda work, *args: asked.append(args) or {"b": 2})
    assert figures(capsys) == {"a": 1, "b": 2}
    assert asked[0][:2] == (8000, 103) and asked[1] == (4000,)
    assert figures(capsys, "--quick", "--trend-size", "0") == {"a": 1}
    assert asked[2][0] == 2000


def test_small_run_has_every_figure_and_agrees_with_exactextract(capsys, monkeypatch):
    pytest.importorskip("exactextract")
    pytest.importorskip("xrspatial")
    for room in (processes, bench_zones):  # no new processes: they take seconds to start
        monkeypatch.setattr(room, "alone", lambda work, *args, **_: work(*args))
    found = figures(capsys, "--size", "200", "--zones", "6", "--runs", "1", "--trend-size", "60")
    assert set(KEYS) <= set(found)
    assert found["zones_coverage_max_rel_diff"] < 1e-6
    assert 0 < found["zones_max_rel_diff"] < 0.02
    assert found["trend_size"] == 60 and found["trend_years"] == 25 and found["trend_tested"] > 3500


def test_fewer_turns_of_a_slow_side():
    found = alternating(
        {"ours": (dict, ([("seconds", 1.0)],)), "slow": (dict, ([("seconds", 9.0)],))},
        2,
        {"slow": 1},
    )
    assert [len(found[side]) for side in ("ours", "slow")] == [2, 1]
    assert bench_zones.ratio(found["slow"], found["ours"]) == 9


def test_a_pixel_that_differs_from_the_peer_stops_the_run(monkeypatch):
    import pymannkendall

    wrong = pymannkendall.original_test

    def other(series):
        return wrong(series[::-1])

    monkeypatch.setattr(pymannkendall, "original_test", other)
    with pytest.raises(ValueError, match="differs"):
        bench_trends.measure(20, 20)
