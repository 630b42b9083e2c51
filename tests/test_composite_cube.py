"""The region file's `composite` section, from the scenes to the cube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_region
import zarr
from simulated import copy_region

from eco_index import cube, pipeline
from eco_index.config import Region, load_region
from eco_index.errors import UsageError
from eco_index.period import Month, Period
from eco_index.plan import plan

WHOLE = (slice(None), slice(None))
HALF = Period(2025, 1)
JUNE = Month(2025, 6)


def place(small_region: Path, folder: Path, **composite: Any) -> Region:
    # Two tiles, no land cover: what is looked at here comes before it.
    changes: dict[str, Any] = {"programmes": ["whole_region"], "landcover": None}
    changes |= {"services": None, "problems": {}}  # they stand on land cover
    changes |= {"composite": composite} if composite else {}
    return load_region(copy_region(small_region, folder, {"tile": 128, "chunk": 64}, **changes))


def compute(region: Region) -> dict[str, Any]:
    pipeline.acquire_period(region, HALF)
    return pipeline.compute_period(region, HALF)


def view_of(region: Region, ref: str | None = None) -> cube.CubeView:
    return cube.open_archive(region.archive_path).view(ref)


def states(region: Region) -> set[str]:
    return {t.state for t in plan(region, [HALF]).tasks if t.task.kind != "acquire"}


@pytest.mark.e2e
def test_another_section_makes_stale_adds_layers_and_leaves_the_pinned_period(
    small_region: Path, tmp_path: Path
) -> None:
    plain = place(small_region, tmp_path)
    compute(plain)
    old = view_of(plain).read("monthly", "ndvi_max", JUNE.id, WHOLE)
    assert states(plain) == {"done"}
    region = place(small_region, tmp_path, source_index=True, snow_count=True, count="days")
    assert states(region) == {"stale"}
    reasons = {t.reason for t in plan(region, [HALF]).tasks if t.task.kind == "composite"}
    assert reasons == {"changed since: composite, list"}
    assert compute(region)["tag"] == "2025H1.2"
    assert cube.verify(region.archive_path) == []
    view = view_of(region)
    assert dict(view.root.attrs)["composite"] == {
        "source_index": True, "snow_count": True, "count": "days"
    }  # fmt: skip
    np.testing.assert_array_equal(view.read("monthly", "ndvi_max", JUNE.id, WHOLE), old)
    index = view.read("monthly", "source_index", JUNE.id, WHOLE)
    manifest = view.manifest(JUNE)
    assert manifest is not None and len(manifest.scenes) > 1
    assert set(np.unique(index[index < 65535])) <= set(range(len(manifest.scenes)))
    np.testing.assert_array_equal(index < 65535, old > -32768)
    pinned = view_of(region, "2025H1").root
    assert "composite" not in pinned.attrs and "source_index" not in pinned["monthly"]
    # And back: nothing is lost, nothing refused.
    assert states(place(small_region, tmp_path)) == {"stale"}


@pytest.mark.e2e
def test_verify_finds_an_index_that_means_another_list(small_region: Path, tmp_path: Path) -> None:
    region = place(small_region, tmp_path, source_index=True)
    compute(region)
    assert cube.verify(region.archive_path) == []
    archive = cube.open_archive(region.archive_path)
    manifest = archive.view().manifest(JUNE)
    assert manifest is not None
    with archive.session() as session:
        array: Any = zarr.open_group(session.store, mode="r+")["monthly/source_index"]
        step = archive.view().axis.index("monthly", JUNE.id)
        values = array[step]
        values[values != 65535] = len(manifest.scenes) + 3
        array[step] = values
    archive.commit("damage", {}, session=session)
    messages = [f.message for f in cube.verify(region.archive_path)]
    assert messages and all("places that mean another scene" in m for m in messages)


def test_time_axes_grow_with_the_optional_layers(small_region: Path, tmp_path: Path) -> None:
    region = place(small_region, tmp_path, source_index=True)
    cube.create_or_open(region)
    text = region.config.path.read_text(encoding="utf-8")
    region.config.path.write_text(text.replace("last: 2025", "last: 2026"), encoding="utf-8")
    longer = load_region(region.config.path)
    assert longer.config.years.last == 2026
    root: Any = cube.create_or_open(longer).view().root
    steps = root["monthly/time"].shape[0]
    assert root["monthly/source_index"].shape[0] == steps == root["monthly/ndvi_max"].shape[0]
    assert cube.verify(region.archive_path) == []


@pytest.mark.e2e
@pytest.mark.parametrize(
    "section",
    [
        {"method": "percentile", "percentile": 75},
        {"method": "medoid", "source_index": True, "dilation": {"cloud": 60, "unit": "metres"}},
        {"method": "best_pixel", "best_pixel": {"cloud": 2}},
    ],
    ids=lambda s: s["method"],
)
def test_a_method_reaches_the_products_of_the_period(
    small_region: Path, tmp_path: Path, section: dict[str, Any]
) -> None:
    region = place(small_region, tmp_path, **section)
    compute(region)
    assert cube.verify(region.archive_path) == []
    assert states(region) == {"done"}
    view = view_of(region)
    basis = region.config.composite.basis
    months = region.config.season_months(HALF)
    monthly = np.stack([view.read("monthly", basis, m.id, WHOLE) for m in months])
    highest = np.stack([view.read("monthly", "ndvi_max", m.id, WHOLE) for m in months])
    np.testing.assert_array_equal(monthly == -32768, highest == -32768)
    assert (monthly <= highest).all() and (monthly < highest).mean() > 0.1
    got = view.read("half_yearly", "ndvi_max", HALF.id, WHOLE)
    np.testing.assert_array_equal(got, monthly.max(axis=0))
    attrs = dict(view.root["half_yearly/ndvi_mean"].attrs)
    name = section["method"].replace("_", " ")
    assert f"of monthly {name}" in attrs["cell_methods"] and "mean over months" in str(attrs)
    assert dict(view.root["monthly/ndvi_max"].attrs)["cell_methods"] == "time: maximum"
    # Another percentile or weight is another result.
    other = {"percentile": 80} if "percentile" in section else {"count": "days"}
    assert states(place(small_region, tmp_path, **(section | other))) == {"stale"}


def test_a_spectral_method_needs_its_bands_in_every_dataset(
    small_region: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"has no band thermal.*medoid"):
        place(small_region, tmp_path, method="medoid", bands=["thermal"])


def test_interpolated_months_are_layers_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """June of one scene in one tile only: elsewhere it is filled from May and July."""
    year = Period(2025)
    plain = tiny_region.region(tmp_path / "plain")
    region = tiny_region.region(tmp_path / "filled", composite={"interpolation": {"max_gap": 1}})
    for each in (plain, region):
        sky = tiny_region.Sky(each)
        sky.scenes["2025-06"] = ()
        sky.install(monkeypatch)
        pipeline.acquire_period(each, year)
        pipeline.compute_period(each, year)
    view = view_of(region)
    may, june, july = (
        view.read("monthly", "ndvi_max", f"2025-0{m}", WHOLE).astype(int) for m in (5, 6, 7)
    )
    assert (june == -32768).all()
    filled = view.read("monthly", "ndvi_filled", "2025-06", WHOLE)
    flags = view.read("monthly", "ndvi_filled_flag", "2025-06", WHOLE)
    np.testing.assert_array_equal(filled, (may + july + 1) // 2)
    assert (flags == 1).all()
    for month, values in (("2025-05", may), ("2025-07", july)):
        np.testing.assert_array_equal(view.read("monthly", "ndvi_filled", month, WHOLE), values)
        assert not view.read("monthly", "ndvi_filled_flag", month, WHOLE).any()
    for name in ("ndvi_max", "ndvi_mean", "valid_months", "fvc"):
        expected = view_of(plain).read("yearly", name, "2025", WHOLE)
        np.testing.assert_array_equal(view.read("yearly", name, "2025", WHOLE), expected)
    assert cube.verify(region.archive_path) == []
    # Only the products of the year are made again, not the composites.
    wider = tiny_region.region(tmp_path / "filled", composite={"interpolation": {"max_gap": 2}})
    kinds = {t.task.kind: t.state for t in plan(wider, [year]).tasks}
    assert kinds == {"acquire": "done", "composite": "done", "product": "stale"}


def test_months_made_before_an_index_was_asked_for_are_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2024 is made plain, 2025 with the index: only 2025 has one."""
    plain = tiny_region.region(tmp_path)
    tiny_region.Sky(plain).install(monkeypatch)
    pipeline.acquire_period(plain, Period(2024))
    pipeline.compute_period(plain, Period(2024))
    region = tiny_region.region(tmp_path, composite={"source_index": True})
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    assert cube.verify(region.archive_path) == []
    # An index without a commit that says what it means is one.
    index = np.zeros(tile.shape, np.uint16)
    record = view_of(region).records()[f"composite/2024-05/{tile.id}"]
    fork = archive.fork()
    cube.write_tile(fork, "monthly", "2024-05", tile, {"source_index": index})
    archive.commit("test", {f"composite/2024-05/{tile.id}": record}, forks=[fork])
    found = cube.verify(region.archive_path)
    assert found and all("source_index" in f.message for f in found)
