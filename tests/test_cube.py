"""The archive: template, region writes, commits, tags, refusals, verify and show."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import rioxarray  # noqa: F401
import tiny_region
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from tiny_region import RECORD, full, put

from eco_index import cube
from eco_index.cube import storage
from eco_index.cube.archive import check_layout
from eco_index.errors import InputError, PartialError
from eco_index.period import Month
from eco_index.products import PRODUCTS


def test_open_cube_gives_physical_values_crs_and_times(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[-1]
    put(archive, "yearly", "2025", tile, fvc=full(tile, 4321, "uint16"))
    with cube.open_cube(region.archive_path) as ds:
        assert ds.rio.crs is not None
        assert CRS.from_user_input(ds.rio.crs.to_wkt()) == region.grid.crs
        assert ds.rio.transform() == region.grid.transform
        assert "spatial_ref" in ds.coords and "spatial_ref" not in ds.data_vars
        assert ds.fvc.dims == ("time", "y", "x")
        value = ds.fvc.sel(time="2025").isel(y=-1, x=-1).compute().item()
        assert value == pytest.approx(0.4321)
        assert np.isnan(ds.fvc.sel(time="2024")).all()
        assert ds.valid_months.dtype == np.uint8
        assert list(ds.time.dt.year.values) == [2024, 2025]
        bounds = ds.time_bounds.values.astype("datetime64[D]").astype(str)
        assert bounds[1].tolist() == ["2025-01-01", "2026-01-01"]
        assert np.array_equal(ds.y, region.grid.y()) and np.array_equal(ds.x, region.grid.x())


def test_months_and_halves_have_their_own_axes(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    cube.create_or_open(region)
    monthly = cube.open_cube(region.archive_path, "monthly")
    assert monthly.time.dt.strftime("%Y-%m").values.tolist() == [
        *("2024-05", "2024-06", "2024-07", "2025-05", "2025-06", "2025-07")
    ]
    halves = cube.open_cube(region.archive_path, "half_yearly")
    assert halves.time.dt.strftime("%m-%d").values.tolist() == ["01-01", "07-01"] * 2
    with pytest.raises(InputError, match="no group 'daily'"):
        cube.open_cube(region.archive_path, "daily")


def test_groups_carry_the_geozarr_conventions(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    view = cube.create_or_open(region).view()
    attrs: dict[str, Any] = dict(view.root["yearly"].attrs)
    assert CRS.from_wkt(attrs["proj:wkt2"]) == region.grid.crs
    assert attrs["spatial:transform"] == list(region.grid.transform)[:6]
    assert attrs["spatial:shape"] == list(region.grid.shape)
    names = {c["name"] for c in attrs["zarr_conventions"]}
    assert names == {"proj:", "spatial:"}


def test_classes_carry_flags_and_text_in_both_languages(tmp_path: Path) -> None:
    attrs = cube.template.product_attrs(cube.template.products_of("yearly", True)[-2])
    assert attrs["flag_values"][0] == 11
    assert len(attrs["flag_values"]) == len(attrs["flag_meanings"].split())
    assert len(attrs["flag_values"]) == len(attrs["flag_titles_zh"])
    assert attrs["long_name"] and attrs["long_name_zh"] and attrs["_FillValue"] == 0


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted),
    columns=st.tuples(st.integers(0, 80), st.integers(0, 80)).map(sorted),
)
def test_any_window_reads_what_was_written(
    full_cube: tuple[cube.CubeView, np.ndarray], rows: list[int], columns: list[int]
) -> None:
    view, expected = full_cube
    window = (slice(*rows), slice(*columns))
    got = view.read("monthly", "ndvi_max", "2025-06", window)
    assert got.dtype == np.int16
    assert np.array_equal(got, expected[window])


@pytest.fixture(scope="module")
def full_cube(tmp_path_factory: pytest.TempPathFactory) -> tuple[cube.CubeView, np.ndarray]:
    region = tiny_region.region(tmp_path_factory.mktemp("full"))
    archive = cube.create_or_open(region)
    rng = np.random.default_rng(1)
    values = rng.integers(-10000, 10001, region.grid.shape).astype("int16")
    for tile in region.grid.tiles():
        put(archive, "monthly", "2025-06", tile, ndvi_max=values[tile.slices])
    return archive.view(), values


def test_a_view_does_not_change_and_survives_pickling(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    put(archive, "yearly", "2024", tile, fvc=full(tile, 1, "uint16"))
    before = archive.view()
    put(archive, "yearly", "2024", tile, fvc=full(tile, 2, "uint16"))
    before = pickle.loads(pickle.dumps(before))
    assert before.read("yearly", "fvc", "2024", tile).max() == 1
    assert archive.view().read("yearly", "fvc", "2024", tile).max() == 2
    assert before.grid == archive.view().grid


def test_forks_of_one_base_all_arrive(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tiles = region.grid.tiles()
    forks = [archive.fork() for _ in tiles]
    for k, (fork, tile) in enumerate(zip(forks, tiles, strict=True)):
        cube.write_tile(fork, "yearly", "2024", tile, {"fvc": full(tile, k + 1, "uint16")})
    for fork, tile in zip(reversed(forks), reversed(tiles), strict=True):
        fork = pickle.loads(pickle.dumps(fork))
        archive.commit(tile.id, {f"product/2024/{tile.id}": RECORD}, forks=[fork])
    view = archive.view()
    for k, tile in enumerate(tiles):
        assert (view.read("yearly", "fvc", "2024", tile) == k + 1).all()
    assert len(view.states()) == len(tiles)


def test_the_newest_commit_says_what_is_done(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    assert archive.view().states() == {}
    archive.commit("one", {"t": cube.TaskRecord("old"), "u": cube.TaskRecord("u")})
    between = archive.view().snapshot
    archive.commit("two", {"t": cube.TaskRecord("new", {"code": "c"}, {"n": 1})})
    assert archive.view().states() == {"t": "new", "u": "u"}
    assert archive.view().records()["t"].receipt == {"n": 1}
    assert archive.view(between).states() == {"t": "old", "u": "u"}


def test_a_recomputed_tile_without_values_replaces_the_old_one(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    put(archive, "yearly", "2024", tile, fvc=full(tile, 7, "uint16"))
    put(archive, "yearly", "2024", tile, fvc=full(tile, 65535, "uint16"))
    assert (archive.view().read("yearly", "fvc", "2024", tile) == 65535).all()


def test_write_tile_converts_nothing(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    with pytest.raises(ValueError, match="int16"):
        cube.write_tile(archive.fork(), "yearly", "2024", tile, {"fvc": full(tile, 1, "int16")})
    with pytest.raises(ValueError, match="fvc of 2024"):
        cube.write_tile(archive.fork(), "yearly", "2024", tile, {"fvc": np.zeros((1, 1), "uint16")})
    with pytest.raises(InputError, match="no 'fvc' of 2031"):
        archive.view().read("yearly", "fvc", "2031", tile)


def test_tags_pin_and_do_not_move(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    first = put(archive, "yearly", "2024", tile, fvc=full(tile, 1, "uint16"))
    archive.tag("2024", first)
    put(archive, "yearly", "2024", tile, fvc=full(tile, 2, "uint16"))
    assert archive.view("2024").read("yearly", "fvc", "2024", tile).max() == 1
    assert archive.view().tags == {"2024": first}
    with pytest.raises(InputError, match="tag"):
        archive.tag("2024", archive.view().snapshot)
    with pytest.raises(InputError, match=r"no tag or snapshot 'x'(.|\n)*tags: 2024"):
        archive.view("x")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"grid": {"tile": 16}}, "tile"),
        ({"grid": {"resolution": 15.0}}, "resolution"),
        ({"grid": {"bounds": [900000.0, 4500000.0, 902370.0, 4501500.0]}}, "bounds"),
        ({"grid": {"crs": tiny_region.ALBERS.replace("lat_1=25", "lat_1=27")}}, "crs"),
        ({"months": {"first": 4, "last": 7}}, "months"),
        ({"years": {"first": 2023, "last": 2025}}, "first year"),
        ({"id": "other"}, "region"),
    ],
)
def test_another_layout_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    snapshot = cube.create_or_open(tiny_region.region(tmp_path)).view().snapshot
    changed = tiny_region.region(tmp_path, **changes)
    with pytest.raises(InputError, match=rf"{named} \(") as caught:
        cube.create_or_open(changed)
    assert caught.value.exit_code == 3
    assert cube.open_archive(changed.archive_path).view().snapshot == snapshot


def test_later_years_lengthen_the_axes_and_keep_the_data(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    tile = region.grid.tiles()[0]
    put(archive, "yearly", "2025", tile, fvc=full(tile, 5, "uint16"))
    longer = tiny_region.region(tmp_path, years={"first": 2024, "last": 2027})
    view = cube.create_or_open(longer).view()
    assert view.axis.ids("yearly") == ["2024", "2025", "2026", "2027"]
    assert view.read("yearly", "fvc", "2025", tile).max() == 5
    assert view.read("yearly", "fvc", "2027", tile).min() == 65535
    assert cube.verify(longer.archive_path, data=False) == []
    # A region file that still names the shorter span goes on working.
    check_layout(region, cube.create_or_open(region).view())


def test_another_schema_version_names_both(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    with archive.session() as session:
        zarr.open_group(session.store, mode="r+").attrs["schema_version"] = 99
    archive.commit("from the future", {}, session=session)
    with pytest.raises(InputError, match="version 99(.|\n)*version 1"):
        cube.create_or_open(region)
    with pytest.raises(InputError, match="version 99"):
        cube.open_cube(region.archive_path)


def test_what_is_not_an_archive_is_left_alone(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    with pytest.raises(InputError, match="there is no archive"):
        cube.open_archive(region.archive_path)
    assert not region.output.exists()
    region.archive_path.mkdir(parents=True)
    (region.archive_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="not an archive"):
        cube.create_or_open(region)
    assert (region.archive_path / "precious.txt").read_text() == "mine"


def test_a_half_made_archive_of_a_killed_run_is_replaced(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    partial = region.archive_path.with_name("archive.icechunk.partial")
    partial.mkdir(parents=True)
    (partial / "repo").write_text("half")
    cube.create_or_open(region)
    assert not partial.exists()
    assert cube.verify(region.archive_path) == []


def test_a_read_only_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    region = tiny_region.region(tmp_path)
    cube.create_or_open(region)
    real = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: mode != os.W_OK and real(p, mode))
    with pytest.raises(InputError, match="cannot be written") as caught:
        cube.create_or_open(region)
    assert "output" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), PartialError, "disk is full"),
        (icechunk.IcechunkError("object store: No space left (os error 28)"), PartialError, "kept"),
        (OSError(errno.EROFS, "Read-only file system"), InputError, "cannot be written"),
        (
            icechunk.IcechunkError("Permission denied (os error 13)"),
            InputError,
            "cannot be written",
        ),
        (icechunk.IcechunkError("something else"), InputError, "something else"),
    ],
)
def test_storage_failures_become_messages(
    tmp_path: Path, error: Exception, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words), storage.storage_errors(tmp_path, "commit 'x'"):
        raise error


def test_a_bug_is_not_called_a_storage_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), storage.storage_errors(tmp_path, "commit"):
        raise ZeroDivisionError


def test_two_runs_never_write_at_once(tmp_path: Path) -> None:
    archive = cube.create_or_open(tiny_region.region(tmp_path))
    with (
        archive.writing(),
        pytest.raises(PartialError, match="another run"),
        archive.writing(),
    ):
        pass
    with archive.writing():
        pass


def test_manifests_are_stored_and_replaced(tmp_path: Path) -> None:
    region = tiny_region.region(tmp_path)
    archive = cube.create_or_open(region)
    month = Month(2025, 6)
    assert archive.view().manifest(month) is None
    scenes = tuple(tiny_region.scene(region.grid, month, f"s{k}") for k in range(3))
    for n in (3, 1):
        manifest = tiny_region.Manifest(month.id, scenes[:n])
        document = {"manifest": manifest.to_dict(), "search": {}}
        archive.store_manifest(month, document, RECORD)
        assert archive.view().manifest(month) == manifest
    assert archive.view().states() == {"acquire/2025-06": "d1"}


def test_xarray_alone_opens_a_group(tmp_path: Path) -> None:
    """What the documentation shows: plain Icechunk and xarray, without this package."""
    region = tiny_region.region(tmp_path)
    cube.create_or_open(region)
    repo = icechunk.Repository.open(icechunk.local_filesystem_storage(str(region.archive_path)))
    store = repo.readonly_session("main").store
    ds = xr.open_zarr(store, group="yearly", consolidated=False, decode_coords="all")
    assert ds.rio.crs is not None and dict(ds.sizes) == {"time": 2, "y": 50, "x": 80, "bnds": 2}


def test_the_documented_schema_names_everything_that_is_written(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "reference" / "data-schema.md"
    text = page.read_text(encoding="utf-8")
    assert f"Schema version **{cube.SCHEMA_VERSION}**" in text
    root = cube.create_or_open(tiny_region.region(tmp_path)).view().root
    attributes = {a for a in root.attrs if not a.startswith(("geospatial_", "spatial:"))}
    for product in PRODUCTS.values():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{product.id}`"))
        assert f"| {', '.join(product.groups)} | {product.dtype} |" in row
        attributes |= set(cube.template.product_attrs(product))
    missing = [a for a in sorted(attributes) if f"`{a}`" not in text]
    assert missing == []
