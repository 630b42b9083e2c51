"""Plan: states with reasons, cost, refusals; nothing is written."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import tiny_region
from hypothesis import given
from hypothesis import strategies as st
from shapely import box

from eco_index import composite, pipeline
from eco_index.config import Region, load_region
from eco_index.cube import TaskRecord
from eco_index.digests import hash_of
from eco_index.errors import InputError, UsageError
from eco_index.period import Period
from eco_index.plan import Plan, plan, programmes_of
from eco_index.tasks import Task, TileIndex, judge

YEAR = Period(2025)


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return tiny_region.region(tmp_path)


@pytest.fixture
def sky(region: Region, monkeypatch: pytest.MonkeyPatch) -> tiny_region.Sky:
    return tiny_region.Sky(region).install(monkeypatch)


def compute(region: Region, period: Period = YEAR) -> None:
    pipeline.acquire_period(region, period)
    pipeline.compute_period(region, period)


def reasons(made: Plan, kind: str, state: str) -> set[str]:
    return {t.reason for t in made.tasks if t.task.kind == kind and t.state == state}


def test_before_anything_all_is_new_and_nothing_is_written(
    region: Region, sky: tiny_region.Sky
) -> None:
    made = plan(region, [YEAR])
    (zones,) = made.assessments  # the layer is not there yet: said before anything is computed
    assert zones.state == "blocked" and "zones.gpkg" in zones.reason
    zones_at = region.catalog.path_of("zones", "test")
    x, y = region.grid.bounds[:2]
    frame = gpd.GeoDataFrame({"id": ["z"], "name": ["z"]}, geometry=[box(x, y, x + 900, y + 900)])
    frame.set_crs(region.grid.crs_wkt).to_file(zones_at)
    made = plan(region, [YEAR])
    assert made.counts() == {
        "acquire": {"new": 3},
        "composite": {"new": 18},
        "product": {"new": 6},
        "assessment": {"new": 1},
    }
    assert not made.archive_exists and not region.output.exists()
    assert made.cost.scenes == 6 and made.cost.reads == 36
    assert made.cost.bytes_to_read == 6 * 3 * 1000 and made.cost.unknown_sizes == 0
    pixels = 50 * 80
    assert made.cost.pixels_to_write == pixels * (3 * 3 + 5)
    assert made.to_dict()["tasks"][0] == {
        "id": "acquire/2025-05",
        "state": "new",
        "reason": "never computed",
    }


def test_after_a_run_all_is_done_and_costs_nothing(region: Region, sky: tiny_region.Sky) -> None:
    compute(region)
    made = plan(region, [YEAR])
    assert made.counts()["composite"] == {"done": 18}
    assert made.counts()["product"] == {"done": 6}
    assert made.cost.scenes == made.cost.pixels_to_write == 0
    # The other year stands on its own scenes.
    assert plan(region, [Period(2024)]).counts()["composite"] == {"new": 18}


def test_a_half_year_shares_the_composites_of_the_year(
    region: Region, sky: tiny_region.Sky
) -> None:
    compute(region)
    made = plan(region, [Period(2025, 1), YEAR])
    assert made.counts()["composite"] == {"done": 18}
    assert made.counts()["product"] == {"done": 6, "new": 6}


def test_a_changed_parameter_is_named(region: Region, sky: tiny_region.Sky, tmp_path: Path) -> None:
    compute(region)
    fvc = {"ndvi_soil": 0.1, "ndvi_veg": 0.9, "evidence": "primary", "source": "test"}
    made = plan(tiny_region.region(tmp_path, fvc=fvc), [YEAR])
    assert made.counts()["composite"] == {"done": 18}
    assert reasons(made, "product", "stale") == {"changed since: parameters"}
    # Nothing is read again, only written.
    assert made.cost.scenes == 0 and made.cost.pixels_to_write == 50 * 80 * 5


def test_changed_code_and_recipes_are_named(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(region)
    monkeypatch.setattr(composite, "VERSION", 999)
    made = plan(region, [YEAR])
    assert made.counts()["composite"] == {"stale": 18}
    assert reasons(made, "composite", "stale") == {"changed since: code"}
    assert reasons(made, "product", "stale") == {"changed since: composites"}


def test_a_new_scene_touches_only_its_tiles(region: Region, sky: tiny_region.Sky) -> None:
    # Tiles of 32 px are 1 km wide: less than the margin round footprints. Larger ones show it.
    grid = dataclasses.replace(region.grid, resolution=300.0, bounds=(9e5, 45e5, 924e3, 4515e3))
    tiles = grid.tiles()
    month = tiny_region.Month(2025, 6)
    inside = tiny_region.scene(grid, month, "one", tile=tiles[0])
    far = tiny_region.scene(grid, month, "far", tile=tiles[-1])
    touching = TileIndex(grid, tiles).touching([inside, far])
    assert touching[tiles[0]] == (inside,) and touching[tiles[-1]] == (far,)
    wrapped = dataclasses.replace(inside, bbox=(170.0, 40.0, -170.0, 50.0))
    assert TileIndex(grid, tiles).touching([wrapped])[tiles[0]] == ()


def test_offered_again_changed_or_added_scenes_make_a_month_stale(
    region: Region, sky: tiny_region.Sky
) -> None:
    compute(region)
    a, b = sky.scenes["2025-06"]
    new = tiny_region.scene(region.grid, tiny_region.Month(2025, 6), "late")
    sky.scenes["2025-06"] = (a, b, new)
    made = plan(region, [YEAR])
    assert made.counts()["acquire"] == {"stale": 1, "done": 2}
    assert reasons(made, "acquire", "stale") == {"changed since: scenes"}
    assert made.counts()["composite"] == {"stale": 6, "done": 12}
    assert made.counts()["product"] == {"stale": 6}
    assert made.cost.scenes == 3
    sky.scenes["2025-06"] = (
        tiny_region.scene(region.grid, tiny_region.Month(2025, 6), a.id, checksum="z"),
        b,
    )
    assert plan(region, [YEAR]).counts()["acquire"] == {"stale": 1, "done": 2}


def test_vanished_imagery_does_not_empty_the_cube(region: Region, sky: tiny_region.Sky) -> None:
    compute(region)
    sky.scenes = {}
    made = plan(region, [YEAR])
    assert made.counts()["composite"] == {"done": 18}
    assert len(made.notes) == 3 and "no longer offered" in made.notes[0]
    report = pipeline.acquire_period(region, YEAR)
    assert report["months"]["2025-06"] == {"state": "done", "scenes": 2, "failed": 0}


def test_a_silent_source_blocks_only_what_was_never_acquired(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(region)

    def silent(*_: Any) -> None:
        raise InputError("the service does not answer")

    monkeypatch.setattr("eco_index.months.search", silent)
    made = plan(region, [YEAR])
    assert made.counts()["composite"] == {"done": 18} and "does not answer" in made.notes[0]
    other = plan(region, [Period(2024)])
    assert other.counts()["product"] == {"blocked": 6}
    assert "2024-05" in next(iter(reasons(other, "product", "blocked")))
    with pytest.raises(InputError, match="2024-05 cannot be listed(.|\n)*does not answer"):
        pipeline.acquire_period(region, Period(2024))


def test_an_incomplete_period_is_blocked(region: Region, sky: tiny_region.Sky) -> None:
    made = plan(region, [YEAR], today=dt.date(2025, 6, 1))
    assert made.counts() == {"product": {"blocked": 6}, "assessment": {"blocked": 1}}
    assert "not complete" in made.assessments[0].reason
    assert sky.calls == []


def test_a_missing_input_file_blocks_the_products(
    region: Region, sky: tiny_region.Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> None:
        raise InputError("land cover of 2025 is missing: lc.tif")

    monkeypatch.setattr("eco_index.period_products.period_inputs", missing)
    made = plan(region, [YEAR])
    assert made.counts()["composite"] == {"new": 18}
    assert reasons(made, "product", "blocked") == {"land cover of 2025 is missing: lc.tif"}
    pipeline.acquire_period(region, YEAR)
    with pytest.raises(InputError, match=r"lc\.tif"):
        pipeline.compute_period(region, YEAR)
    assert plan(region, [YEAR]).counts()["composite"] == {"done": 18}


def test_bounds_outside_all_data(region: Region, sky: tiny_region.Sky) -> None:
    sky.scenes = {}
    for attempt in (plan, lambda r, p: pipeline.run(r, p)):
        with pytest.raises(InputError) as caught:
            attempt(region, [YEAR])
        said = str(caught.value)
        assert "bounds outside all data" in said and "2025" in said
        assert "img (100 40 120 50" in said and "west 11" in said
        assert caught.value.exit_code == 3


def test_a_month_without_scenes_is_all_missing(region: Region, sky: tiny_region.Sky) -> None:
    del sky.scenes["2025-06"]
    compute(region)
    from eco_index.cube import open_archive

    view = open_archive(region.archive_path).view()
    whole = (slice(None), slice(None))
    assert (view.read("monthly", "ndvi_max", "2025-06", whole) == -32768).all()
    assert (view.read("monthly", "clear_count", "2025-06", whole) == 0).all()
    assert plan(region, [YEAR]).counts()["composite"] == {"done": 18}


@pytest.mark.parametrize(
    ("periods", "programmes", "words"),
    [
        ([Period(2029)], None, "outside the cube's years 2024-2025"),
        ([YEAR], ["nonsense"], "no programme 'nonsense'"),
        ([Period(2025, 1)], ["all"], "not assessed for 2025H1"),
    ],
)
def test_wrong_usage(
    region: Region, sky: tiny_region.Sky, periods: list[Period], programmes: Any, words: str
) -> None:
    for call in (plan, pipeline.run):
        with pytest.raises(UsageError, match=words):
            call(region, periods, programmes)
    assert not region.output.exists()


def test_a_future_period_is_refused_by_run(region: Region, sky: tiny_region.Sky) -> None:
    with pytest.raises(UsageError, match="future"):
        pipeline.run(region, [YEAR], today=dt.date(2024, 12, 31))
    assert not region.output.exists()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(inputs=st.dictionaries(st.sampled_from("abcd"), values), other=values)
def test_a_digest_is_equal_exactly_for_equal_inputs(inputs: dict[str, Any], other: Any) -> None:
    task = Task("acquire", "2025-06")
    first = judge(task, inputs, {})
    assert first.state == "new"
    records = {task.id: TaskRecord(first.digest, first.parts)}
    shuffled = dict(reversed(inputs.items()))
    assert judge(task, shuffled, records).state == "done"
    changed = inputs | {"a": other}
    same = hash_of(changed) == hash_of(inputs)
    again = judge(task, changed, records)
    assert again.state == ("done" if same else "stale")
    if not same:
        assert again.reason == "changed since: a"


def test_programmes_on_demand_are_assessed_only_when_named() -> None:
    region = load_region(Path(__file__).parents[1] / "configs" / "regions" / "inner_mongolia.yaml")
    assert "regional_reserves" in region.programmes
    usual = programmes_of(region, [YEAR], None)
    assert usual and "regional_reserves" not in usual
    for period in (YEAR, Period(2025, 1)):
        assert programmes_of(region, [period], ["regional_reserves"]) == ["regional_reserves"]
    assert "自治区级" in region.programmes["regional_reserves"].filter["level"]
