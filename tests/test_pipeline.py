"""Pipeline: one committer, unreadable scenes, tags, resumption, equal bits for any workers."""

from __future__ import annotations

import errno
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_region

from eco_index import compute as compute_module
from eco_index import cube, executor, pipeline
from eco_index.compute import tags_of
from eco_index.config import Region
from eco_index.errors import InputError, PartialError, UsageError
from eco_index.period import Month, Period
from eco_index.plan import plan

YEAR = Period(2025)
WHOLE = (slice(None), slice(None))


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return tiny_region.region(tmp_path)


@pytest.fixture
def sky(region: Region, monkeypatch: pytest.MonkeyPatch) -> tiny_region.Sky:
    return tiny_region.Sky(region).install(monkeypatch)


def compute(region: Region, period: Period = YEAR, **options: Any) -> dict[str, Any]:
    pipeline.acquire_period(region, period)
    return pipeline.compute_period(region, period, **options)


def view_of(region: Region) -> cube.CubeView:
    return cube.open_archive(region.archive_path).view()


def snapshot(region: Region) -> str:
    return view_of(region).snapshot


def test_a_period_is_computed_once(region: Region, sky: tiny_region.Sky) -> None:
    assert compute(region) == {"period": "2025", "done": 24, "skipped": 0, "tag": "2025"}
    assert len(sky.calls) == 18 and len(sky.products) == 6
    before = snapshot(region)
    assert compute(region) == {"period": "2025", "done": 0, "skipped": 24, "tag": "2025"}
    assert len(sky.calls) == 18 and snapshot(region) == before
    assert cube.verify(region.archive_path) == []


def test_results_do_not_depend_on_the_tile_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for tile in (16, 32, 80):
        region = tiny_region.region(tmp_path / str(tile), grid={"tile": tile})
        tiny_region.Sky(region).install(monkeypatch)
        compute(region)
        seen.append(view_of(region).read("yearly", "fvc", "2025", WHOLE))
    assert np.array_equal(seen[0], seen[1]) and np.array_equal(seen[0], seen[2])
    assert seen[0].max() < 65535


def test_tiles_that_finish_together_share_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, messages = [], []
    for name, after in (("each", 0.0), ("shared", 600.0)):
        monkeypatch.setattr(compute_module, "COMMIT_AFTER", after)
        region = tiny_region.region(tmp_path / name)
        tiny_region.Sky(region).install(monkeypatch)
        compute(region)
        view = view_of(region)
        seen.append({p: view.read("yearly", p, "2025", WHOLE) for p in ("ndvi_max", "fvc")})
        seen[-1]["digests"] = np.array(sorted((t, r.digest) for t, r in view.records().items()))
        repo = cube.open_archive(region.archive_path).repo
        messages.append([s.message for s in repo.ancestry(branch="main")])
        assert cube.verify(region.archive_path) == []
    for key, values in seen[0].items():
        assert np.array_equal(values, seen[1][key])
    tiles, months = len(region.grid.tiles()), len(region.config.period_months(YEAR))
    # Of composites and of products: the first that finished, and the others.
    assert len(messages[0]) - len(messages[1]) == tiles * (months + 1) - 2 * 2
    assert sum(m.endswith(f"and {tiles - 2} more") for m in messages[1]) == 1


def test_a_slow_tile_does_not_keep_finished_ones_from_being_committed(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute_module, "COMMIT_AFTER", 0.05)
    last = region.grid.tiles()[-1].id
    work, done_before = compute_module.run_composite, []

    def slow(fork: Any, job: Any) -> Any:
        if job.tile.id == last and not done_before:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and not done_before:
                states = view_of(region).states()
                if sum(t.startswith("composite/") for t in states) > 1:
                    done_before.append(len(states))
                time.sleep(0.02)
        return work(fork, job)

    monkeypatch.setattr(compute_module, "run_composite", slow)
    compute(region)
    assert done_before


def test_changed_products_get_a_new_tag_and_the_old_one_stays(
    region: Region, sky: tiny_region.Sky, tmp_path: Path
) -> None:
    compute(region)
    old = view_of(region).read("yearly", "ndvi_max", "2025", WHOLE)
    month = Month(2025, 6)
    sky.scenes[month.id] += (tiny_region.scene(region.grid, month, "zzzz"),)
    assert compute(region)["tag"] == "2025.2"
    sky.scenes[month.id] += (tiny_region.scene(region.grid, month, "zzzzz"),)
    assert compute(region)["tag"] == "2025.3"
    assert compute(region)["tag"] == "2025.3"
    archive = cube.open_archive(region.archive_path)
    assert sorted(archive.view().tags) == ["2025", "2025.2", "2025.3"]
    assert np.array_equal(archive.view("2025").read("yearly", "ndvi_max", "2025", WHOLE), old)
    assert not np.array_equal(archive.view().read("yearly", "ndvi_max", "2025", WHOLE), old)


def test_tags_are_ordered_by_number() -> None:
    tags = ["2025.10", "2025.2", "2025", "2025H1", "2025.x", "2024.3"]
    assert tags_of(tags, YEAR) == ["2025", "2025.2", "2025.10"]
    assert pipeline.current_tag(tags, Period(2025, 1)) == "2025H1"
    assert pipeline.current_tag(tags, Period(2023)) is None


def test_an_unreadable_scene_leaves_its_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = tiny_region.region(tmp_path, max_failed_share=0.2)
    sky = tiny_region.Sky(region).install(monkeypatch)
    broken = sky.scenes["2025-06"][0]
    sky.broken[broken.id] = region.grid.tiles()[3].id  # only one tile meets the bad block
    compute(region)
    manifest = view_of(region).manifest(Month(2025, 6))
    assert manifest is not None and [s.id for s in manifest.scenes] == ["s2025-06b"]
    assert [(f.scene, f.asset) for f in manifest.failures] == [(broken.id, "red")]
    # Every tile of the month is without it, also those that could have read it.
    without = tiny_region.region(tmp_path / "without")
    clean = tiny_region.Sky(without).install(monkeypatch)
    clean.scenes["2025-06"] = clean.scenes["2025-06"][1:]
    compute(without)
    for name in ("ndvi_max", "clear_count"):
        got, expected = (
            view_of(r).read("monthly", name, "2025-06", WHOLE) for r in (region, without)
        )
        assert np.array_equal(got, expected)
    assert cube.verify(region.archive_path) == []


def test_a_known_bad_file_is_not_tried_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = tiny_region.region(tmp_path, max_failed_share=0.5)
    sky = tiny_region.Sky(region).install(monkeypatch)
    month = Month(2025, 6)
    a, b = sky.scenes[month.id]
    sky.broken[a.id] = None
    compute(region)
    late = tiny_region.scene(region.grid, month, "late")
    sky.scenes[month.id] = (a, b, late)
    sky.calls.clear()
    compute(region)
    assert {ids for ids, _ in sky.calls} == {(b.id, "late")}
    repaired = tiny_region.scene(region.grid, month, a.id, checksum="repaired")
    sky.scenes[month.id] = (repaired, b, late)
    sky.broken.clear()
    compute(region)
    manifest = view_of(region).manifest(month)
    assert manifest is not None and len(manifest.scenes) == 3 and not manifest.failures


def test_too_many_unusable_scenes_stop_the_period_and_keep_the_rest(
    region: Region, sky: tiny_region.Sky
) -> None:
    for month in ("2025-05", "2025-06"):
        sky.broken[sky.scenes[month][0].id] = None
    with pytest.raises(InputError, match=r"2 of 6 scenes of 2025 are unusable \(33%\)") as caught:
        compute(region)
    assert caught.value.exit_code == 3
    assert "s2025-05a red: cannot be read" in str(caught.value)
    assert any(t.startswith("composite/2025-07") for t in view_of(region).states())
    assert view_of(region).tags == {}
    # The other year is not touched by it.
    assert compute(region, Period(2024))["tag"] == "2024"


def test_failures_while_acquiring_count_too(region: Region, sky: tiny_region.Sky) -> None:
    bad = tuple(
        tiny_region.AssetFailure("img", f"x{k}", "nir", "band nir missing") for k in range(2)
    )
    sky.bad["2025-06"] = bad
    with pytest.raises(InputError, match="2 of 8 scenes(.|\n)*img/x0 nir: band nir missing"):
        pipeline.acquire_period(region, YEAR)
    sky.bad["2025-06"] = bad[:1]
    receipt = pipeline.acquire_period(region, YEAR)
    assert receipt["failures"] == [{"month": "2025-06"} | bad[0].to_dict()]


def test_a_crash_in_one_tile_keeps_the_others(region: Region, sky: tiny_region.Sky) -> None:
    pipeline.acquire_period(region, YEAR)
    victim = region.grid.tiles()[2]
    sky.raises[victim.id] = RuntimeError("out of luck")
    with pytest.raises(PartialError, match="4 of 24 tasks(.|\n)*out of luck") as caught:
        pipeline.compute_period(region, YEAR)
    assert caught.value.exit_code == 1
    assert len(view_of(region).states()) == 3 + 15 + 5 and view_of(region).tags == {}
    sky.raises.clear()
    sky.calls.clear()
    assert pipeline.compute_period(region, YEAR)["tag"] == "2025"
    assert {tile for _, tile in sky.calls} == {victim.id} and len(sky.calls) == 3


def test_unusable_input_of_one_tile_stops_with_its_own_message(
    region: Region, sky: tiny_region.Sky
) -> None:
    sky.raises[region.grid.tiles()[0].id] = InputError("unknown land-cover code 77")
    with pytest.raises(InputError, match="code 77"):
        compute(region)


def test_an_empty_result_of_clear_input_is_an_error(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eco_index import composite

    def silent(scenes: Any, catalog: Any, grid: Any, tile: Any, how: Any = None) -> Any:
        made = composite.Composite.empty(tile.shape)
        made.clear_count[:] = 1
        return made

    monkeypatch.setattr(composite, "composite_tile", silent)
    with pytest.raises(InputError, match=r"ndvi_max of 2025-0\d has no value in tile r00"):
        compute(region)


def test_a_full_disk_loses_nothing(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eco_index import workers

    pipeline.acquire_period(region, YEAR)
    real, written = workers.write_tile, []

    def write(*arguments: Any) -> None:
        written.append(1)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(workers, "write_tile", write)
    with pytest.raises(PartialError, match="disk is full(.|\n)*is kept") as caught:
        pipeline.compute_period(region, YEAR)
    assert caught.value.exit_code == 1
    kept = [t for t in view_of(region).states() if t.startswith("composite")]
    assert len(kept) == 5
    monkeypatch.setattr(workers, "write_tile", real)
    assert pipeline.compute_period(region, YEAR)["skipped"] == 5
    assert cube.verify(region.archive_path) == []


def test_compute_needs_acquired_months(region: Region, sky: tiny_region.Sky) -> None:
    with pytest.raises(InputError, match="2025-05 were never acquired"):
        pipeline.compute_period(region, YEAR)


class Desk:
    """Fake assessment and report: files with the digest of what was in the cube."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.assessed: list[str] = []
        self.rendered = 0
        self.fails = False
        import eco_index

        for name in ("assessment", "report"):
            monkeypatch.setattr(eco_index, name, self, raising=False)
            monkeypatch.setitem(sys.modules, f"eco_index.{name}", self)  # type: ignore[arg-type]
        monkeypatch.setattr("eco_index.plan.stored_digest", lambda path: path.read_text())

    def assessment_digest(self, region: Any, programme: Any, period: Any, view: Any) -> str:
        return str(sorted(view.states().items()))

    def assess(
        self, region: Any, programme: Any, period: Any, view: Any, output: Path, **more: Any
    ) -> Path:
        if self.fails:
            raise ValueError("no polygon")
        self.assessed.append(f"{programme.id} {period.id} {more['tag']}")
        output.mkdir(parents=True, exist_ok=True)
        (output / "summary.json").write_text(
            self.assessment_digest(region, programme, period, view)
        )
        return output / "summary.json"

    def render(self, summary: Path) -> list[Path]:
        self.rendered += 1
        files = [summary.parent / n for n in ("report.zh.html", "report.en.html", "table.csv")]
        for file in files:
            file.write_text("x")
        return files


def test_run_strings_all_stages_and_skips_what_is_done(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(monkeypatch)
    said: list[tuple[str, int, int, str]] = []
    report = pipeline.run(region, [YEAR, Period(2024)], progress=lambda *a: said.append(a))
    assert report.exit_code == 0 and report.failures == []
    assert report.tasks == {"done": 48, "skipped": 0, "failed": 0}
    assert report.tags == {"2024": "2024", "2025": "2025"}
    assert desk.assessed == ["all 2024 2024", "all 2025 2025"] and desk.rendered == 2
    assert len(report.summaries) == 2 and len(report.reports) == 6
    assert {s[0] for s in said} == {"acquire", "composite", "products", "assess", "report"}
    assert all(0 <= done <= total for _, done, total, _ in said)
    assert set(report.to_dict()) >= {"tasks", "tags", "summaries", "reports", "exit_code"}
    # Assessing 2025 came after 2024's: it is stale no more once both are in the cube.
    again = pipeline.run(region, [YEAR])
    assert again.tasks == {"done": 0, "skipped": 24, "failed": 0}
    assert desk.assessed == ["all 2024 2024", "all 2025 2025"] and desk.rendered == 2
    assert plan(region, [YEAR]).counts()["assessment"] == {"done": 1}
    Path(report.reports[-1]).unlink()
    assert plan(region, [YEAR]).counts()["assessment"] == {"stale": 1}
    pipeline.run(region, [YEAR])
    assert len(desk.assessed) == 2 and desk.rendered == 3


def test_a_failing_programme_is_reported_and_the_rest_goes_on(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(monkeypatch)
    desk.fails = True
    report = pipeline.run(region, [YEAR])
    assert report.exit_code == 1 and report.tags == {"2025": "2025"}
    assert report.failures == [
        {
            "stage": "assess",
            "period": "2025",
            "item": "all",
            "what": "ValueError: no polygon",
            "detail": "ValueError: no polygon",
            "exit_code": 1,
        }
    ]


def test_a_failing_period_does_not_stop_the_next(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    Desk(monkeypatch)
    for scene in sky.scenes["2024-05"]:
        sky.broken[scene.id] = None
    report = pipeline.run(region, [Period(2024), YEAR])
    assert report.exit_code == 1 and report.tags == {"2025": "2025"}
    assert [f["period"] for f in report.failures] == ["2024"]
    assert {f["scene"] for f in report.scene_failures} == {"s2024-05a", "s2024-05b"}
    with pytest.raises(InputError, match="unusable"):
        pipeline.run(region, [Period(2024)])


@pytest.mark.parametrize("text", ["local:0", "local:x", "local:", "dask", "tcp:", "http://x"])
def test_clusters_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not a cluster"):
        executor.parse_cluster(text)


def test_cluster_texts() -> None:
    assert executor.parse_cluster("local:4") == ("processes", 4)
    assert executor.parse_cluster("tcp://10.0.0.1:8786") == ("address", "tcp://10.0.0.1:8786")
    assert executor.parse_cluster("local")[0] == "threads"


def test_no_scheduler_at_the_address(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "CONNECT_TIMEOUT", 1.0)
    pipeline.acquire_period(region, YEAR)
    with pytest.raises(UsageError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        pipeline.compute_period(region, YEAR, "tcp://127.0.0.1:1")


def test_outstanding_work_is_bounded() -> None:
    prepared: list[int] = []
    finished = 0
    with executor.open_workers("local") as workers:
        answers = executor.run_bounded(
            workers, _double, range(40), lambda k: (prepared.append(k) or k,)
        )
        for item, result, error in filter(None, answers):
            finished += 1
            assert result == 2 * item and error is None
            assert len(prepared) - finished <= 2 * workers.count()
    assert finished == 40


def _double(value: int) -> int:
    return 2 * value
