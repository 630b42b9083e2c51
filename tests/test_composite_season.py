"""The composite over a growing season, made from its scenes and not from its months."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_region
from pydantic import ValidationError
from test_composite_cube import HALF, WHOLE, compute, place, view_of

from eco_index import composite, cube
from eco_index.composite import composite_tile
from eco_index.compositing import CompositeConfig, How
from eco_index.config import Region
from eco_index.cube.template import cell_methods_of_season
from eco_index.errors import InputError, UsageError
from eco_index.grid import Tile
from eco_index.plan import plan
from eco_index.release.plain_zarr import copy_period
from eco_index.sources.scene import AssetFailure

FILL = -32768


def section(**season: Any) -> CompositeConfig:
    return CompositeConfig.model_validate({"season": season})


@pytest.mark.parametrize(
    ("season", "told"),
    [
        ({"method": "percentile"}, "percentile"),
        ({"method": "median", "percentile": 50}, "percentile"),
        ({"method": "medoid", "best_pixel": {}}, "best_pixel"),
        ({"method": "maximum_ndvi"}, "method"),  # that of the months is that of the season
    ],
)
def test_what_does_not_go_together_is_refused(season: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        section(**season)


def test_only_the_season_depends_on_it() -> None:
    made = section(method="percentile", percentile=90)
    assert made.parameters() == {}  # no monthly composite becomes stale
    assert made.layers == ("ndvi_season",) and made.basis == "ndvi_max"
    assert made.declared() == {"season": {"method": "percentile", "percentile": 90.0}}
    others = [section(method="percentile", percentile=80), section(method="median")]
    assert len({str(m.season_parameters()) for m in (made, *others)}) == 3
    assert CompositeConfig().season_parameters() == {}
    monthly = {"method": "medoid", "bands": ["swir16"], "dilation": {"cloud": 2}, "count": "days"}
    whole = CompositeConfig.model_validate(monthly | {"season": {"method": "geometric_median"}})
    assert whole.season is not None
    told = whole.season.settings(whole)
    assert (told.bands, told.dilation.cloud, told.count) == (("swir16",), 2, "days")
    assert told.season is None and told.interpolation is None


def observations(region: Region) -> np.ndarray:
    """NDVI of every scene of the season's months, each composited alone."""
    view = view_of(region)
    height, width = region.grid.shape
    whole = Tile(0, 0, 0, height, 0, width)
    stack = []
    for month in region.config.season_months(HALF):
        manifest = view.manifest(month)
        assert manifest is not None
        for scene in manifest.scenes:
            alone = composite_tile([scene], region.catalog, region.grid, whole)
            stack.append(np.where(alone.ndvi_max == FILL, np.nan, alone.ndvi_max))
    return np.array(stack)


@pytest.mark.e2e
def test_a_percentile_of_the_season_is_that_of_all_its_observations(
    small_region: Path, tmp_path: Path
) -> None:
    plain = place(small_region, tmp_path)
    compute(plain)
    before = view_of(plain).read("half_yearly", "ndvi_max", HALF.id, WHOLE)
    region = place(small_region, tmp_path, season={"method": "percentile", "percentile": 75})
    planned = plan(region, [HALF])
    assert {t.task.kind: t.state for t in planned.tasks} == {
        "acquire": "done", "composite": "done", "product": "stale",
    }  # fmt: skip
    assert {t.reason for t in planned.tasks if t.state == "stale"} == {
        "changed since: season_composite"
    }
    assert planned.cost.reads > 0 and planned.cost.bytes_to_read > 0  # said before
    compute(region)
    assert cube.verify(region.archive_path) == []
    view = view_of(region)
    season = view.read("half_yearly", "ndvi_season", HALF.id, WHOLE)
    stack = observations(region)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        exact = np.nanpercentile(stack, 75, axis=0)
    missing = np.isnan(exact)
    rounded = np.copysign(np.floor(np.abs(exact) + 0.5), exact)
    np.testing.assert_array_equal(season, np.where(missing, FILL, rounded))
    # The other products are what they were, and a percentile of months is something else.
    highest = view.read("half_yearly", "ndvi_max", HALF.id, WHOLE)
    np.testing.assert_array_equal(highest, before)
    months = [m.id for m in region.config.season_months(HALF)]
    monthly = np.array([view.read("monthly", "ndvi_max", m, WHOLE) for m in months], float)
    monthly[monthly == FILL] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        of_months = np.nanpercentile(monthly, 75, axis=0)
    assert (np.abs(of_months - season)[~missing] > 100).mean() > 0.2
    attrs = dict(view.root["half_yearly/ndvi_season"].attrs)
    assert attrs["percentile"] == 75 and "growing season" in attrs["cell_methods"]
    assert {t.state for t in plan(region, [HALF]).tasks} == {"done"}
    other = place(small_region, tmp_path, season={"method": "median"})
    states = {t.task.kind: t.state for t in plan(other, [HALF]).tasks}
    assert states == {"acquire": "done", "composite": "done", "product": "stale"}
    # A layer of a section that is no more is not published.
    copy_period(view, HALF, months, tmp_path / "with.zarr", {})
    assert (tmp_path / "with.zarr" / "half_yearly" / "ndvi_season").exists()
    pinned = view_of(region, HALF.id)
    copy_period(pinned, HALF, months, tmp_path / "without.zarr", {})
    assert not (tmp_path / "without.zarr" / "half_yearly" / "ndvi_season").exists()


@pytest.mark.e2e
@pytest.mark.parametrize("method", ["medoid", "best_pixel"])
def test_a_chosen_observation_is_one_of_the_season(
    small_region: Path, tmp_path: Path, method: str
) -> None:
    region = place(small_region, tmp_path, season={"method": method})
    compute(region)
    assert cube.verify(region.archive_path) == []
    season = view_of(region).read("half_yearly", "ndvi_season", HALF.id, WHOLE)
    stack = observations(region)
    seen = ~np.isnan(stack).all(axis=0)
    np.testing.assert_array_equal(season != FILL, seen)
    assert ((stack == season).any(axis=0) == seen).all() and seen.mean() > 0.5


def test_a_season_without_a_month_has_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second half of the year begins with August here: nothing of it is in the season."""
    from eco_index.workers import ProductJob, _season

    region = tiny_region.region(tmp_path, composite={"season": {"method": "median"}})
    tile = region.grid.tiles()[0]
    monkeypatch.setattr(type(region.config), "season_months", lambda *_: [])
    values = _season(ProductJob(region.archive_path, region, tile, HALF))
    assert values.shape == tile.shape and (values == FILL).all()


def test_a_scene_that_has_gone_since_its_month_stops_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eco_index.workers import ProductJob, _season

    region = tiny_region.region(tmp_path, composite={"season": {"method": "median"}})
    tile = region.grid.tiles()[0]
    asked: list[How] = []

    def broken(scenes: Any, catalog: Any, grid: Any, tile: Tile, how: How) -> Any:
        asked.append(how)
        out = composite.Composite.empty(tile.shape)
        out.failures = (AssetFailure("img", "s1", "red", "cannot be opened"),)
        return out

    monkeypatch.setattr(composite, "composite_tile", broken)
    with pytest.raises(InputError, match=r"(?s)scene img/s1 could be read.*run again"):
        _season(ProductJob(region.archive_path, region, tile, HALF))
    assert asked[0].settings.method == "median"
    assert [d.month for d in asked[0].span or ()] == [5, 6]


def test_imagery_that_earth_engine_reduces(tmp_path: Path) -> None:
    """It makes medians and percentiles of what it has wholly; scores go by dataset."""
    season = {"method": "medoid"}
    region = tiny_region.region(tmp_path, composite={"season": season})
    text = (tmp_path / "data_catalog.yaml").read_text(encoding="utf-8")
    engine = "type: earth_engine\n      collection: A/B\n      reduce: server"
    told = text.replace("path: imagery\n      type: stac_folder", engine)
    assert told != text
    (tmp_path / "data_catalog.yaml").write_text(told, encoding="utf-8")
    from eco_index.config import load_region

    with pytest.raises(UsageError, match=r"(?s)season's medoid.*reduce: here"):
        load_region(region.config.path)
    scored = {"method": "best_pixel", "best_pixel": {"sensors": {"landsat-7": 0.5}}}
    with pytest.raises(UsageError, match=r"(?s)no imagery.*landsat-7"):
        tiny_region.region(tmp_path / "b", composite={"season": scored})


def test_cell_methods_say_what_it_is() -> None:
    season = section(method="percentile", percentile=90).season
    assert season is not None
    assert cell_methods_of_season(season) == (
        "time: point (comment: percentile 90 of all clear observations of the growing season)"
    )
    median = section(method="median").season
    assert median is not None and cell_methods_of_season(median).startswith("time: median (")


@pytest.mark.parametrize(
    ("off", "gap", "told"), [(0, False, ""), (1, False, "above the highest"), (0, True, "disagree")]
)
def test_verify_compares_it_with_the_months(tmp_path: Path, off: int, gap: bool, told: str) -> None:
    region = tiny_region.region(tmp_path, composite={"season": {"method": "median"}})
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    highest = np.full(tile.shape, 5000, np.int16)
    season = highest + np.int16(off)
    season[0, 0] = FILL if gap else season[0, 0]
    arrays = {"ndvi_max": highest, "ndvi_season": season}
    arrays |= {"clear_count": np.ones(tile.shape, np.uint16)}
    fork = archive.fork()
    cube.write_tile(fork, "yearly", "2025", tile, arrays)
    counted = {"valid_pixels": {"ndvi_season": int((season != FILL).sum())}}
    record = cube.TaskRecord("d", {}, counted)
    archive.commit("test", {f"product/2025/{tile.id}": record}, forks=[fork])
    found = [f.message for f in cube.verify(region.archive_path) if "ndvi_season" in f.message]
    assert len(found) == bool(told) and all(told in message for message in found)
