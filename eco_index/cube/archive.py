"""The archive: an Icechunk repository that holds the cube, its tasks' digests and its tags.

The newest commit whose metadata carries a task's digest is the only thing that means "done".
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import icechunk
import numpy as np
import zarr

from eco_index import __version__
from eco_index.cube import shards
from eco_index.cube.storage import (
    WriteLock,
    exists,
    make_folder,
    not_an_archive,
    open_repository,
    repository_config,
    storage_errors,
)
from eco_index.cube.template import (
    SCHEMA_VERSION,
    TimeAxis,
    change_composite,
    composite_of,
    extend_time,
    has_landcover,
    write_template,
)
from eco_index.cube.view import BRANCH, CubeView, TaskRecord, check_schema, resolve
from eco_index.errors import InputError
from eco_index.grid import Tile

if TYPE_CHECKING:
    import xarray as xr

    from eco_index.config import Region
    from eco_index.period import Month

log = logging.getLogger("eco_index")


class Archive:
    """An archive opened for writing by the one committer of a run.

    Attributes
    ----------
    path : Path
    repo : icechunk.Repository
    """

    def __init__(self, path: Path, repo: icechunk.Repository) -> None:
        self.path, self.repo = path, repo
        self._lock = threading.Lock()  # commits never overlap, not even between threads

    def view(self, ref: str | None = None) -> CubeView:
        """Return the cube at a tag or snapshot, by default as it is now."""
        return CubeView(self.path, resolve(self.repo, ref, self.path))

    def writing(self) -> WriteLock:
        """Return the lock a run holds while it commits."""
        return WriteLock(self.path)

    @contextlib.contextmanager
    def session(self) -> Iterator[icechunk.Session]:
        """A writable session at the newest snapshot; commit with `commit`."""
        with storage_errors(self.path, "open the archive for writing"):
            session = self.repo.writable_session(BRANCH)
        yield session

    def fork(self) -> Any:
        """Return a session for a worker: it may be pickled, written to and handed back."""
        with self.session() as session:
            return session.fork()

    def commit(
        self,
        message: str,
        tasks: Mapping[str, TaskRecord],
        *,
        forks: Iterable[Any] = (),
        session: icechunk.Session | None = None,
    ) -> str:
        """Merge what workers wrote and make it, together with the digests, one commit.

        Returns
        -------
        str
            Snapshot id.
        """
        metadata = {
            "tasks": {t: r.digest for t, r in tasks.items()},
            "parts": {t: dict(r.parts) for t, r in tasks.items() if r.parts},
            "receipts": {t: dict(r.receipt) for t, r in tasks.items() if r.receipt},
            "code_version": __version__,
            "schema_version": SCHEMA_VERSION,
        }
        with self._lock, storage_errors(self.path, f"commit '{message}'"):
            if session is None:
                session = self.repo.writable_session(BRANCH)
            forks = list(forks)
            if forks:
                session.merge(*forks)
            # A tile without any value writes no chunk: the commit still says it is done.
            return str(session.commit(message, metadata=metadata, allow_empty=True))

    def store_manifest(self, month: Month, document: dict[str, Any], record: TaskRecord) -> str:
        """Store the scenes of a month, in a commit of its own."""
        text = json.dumps(document, ensure_ascii=False, sort_keys=True).encode("utf-8")
        with self.session() as session, storage_errors(self.path, f"store {month.id}"):
            # One array of bytes, not attributes: Icechunk repeats attributes in every snapshot.
            array = zarr.open_group(session.store, mode="r+").create_array(
                f"manifests/{month.id}",
                shape=(len(text),),
                chunks=(len(text),),
                dtype="uint8",
                fill_value=0,
                dimension_names=("byte",),
                attributes={"content_type": "application/json", "encoding": "utf-8"},
                overwrite=True,
            )
            array[:] = np.frombuffer(text, dtype="uint8")
        return self.commit(
            f"scenes of {month.id}", {f"acquire/{month.id}": record}, session=session
        )

    def describe(self, group: str, product: str, key: str, time_id: str, text: str) -> None:
        """State something of a product's time as an attribute (a mapping by time id)."""
        with self.session() as session:
            with storage_errors(self.path, f"describe {product} of {time_id}"):
                array: Any = zarr.open_group(session.store, mode="r+")[f"{group}/{product}"]
                known = dict(array.attrs.get(key, {}))
                if known.get(time_id) == text:
                    return
                array.attrs[key] = dict(sorted((known | {time_id: text}).items()))
            self.commit(f"{key} of {time_id}", {}, session=session)

    def tag(self, name: str, snapshot: str) -> None:
        """Pin a snapshot; tags are immutable."""
        with self._lock, storage_errors(self.path, f"tag '{name}'"):
            self.repo.create_tag(name, snapshot)


def open_archive(path: Path | str) -> Archive:
    """Open an existing archive.

    Raises
    ------
    InputError
        Nothing there, not an archive, or written by another schema version.
    """
    path = Path(path)
    repo = open_repository(path)
    archive = Archive(path, repo)
    check_schema(archive.view())
    return archive


def create_or_open(region: Region) -> Archive:
    """Open the region's archive; create it from the template if there is none.

    Raises
    ------
    InputError
        Another schema version, grid, months or products than the region file's; not an archive;
        a folder that cannot be written.
    """
    path = region.archive_path
    make_folder(path.parent)
    if path.exists() and not exists(path):
        raise not_an_archive(path)
    with storage_errors(path, "open the archive"):
        # Also the folder's own permission counts: Icechunk would only notice while committing.
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise PermissionError(13, "Permission denied")
    if not path.exists():
        _create(region, path)
    archive = open_archive(path)
    check_layout(region, archive.view())
    _extend(region, archive)
    _change_composite(region, archive)
    return archive


def _create(region: Region, path: Path) -> None:
    # Made beside its place and moved there whole: a run killed here leaves no half archive.
    partial = path.with_name(f"{path.name}.partial")
    with WriteLock(path), storage_errors(path, "create the archive"):
        if path.exists():  # another run was quicker
            return
        shutil.rmtree(partial, ignore_errors=True)
        repo = icechunk.Repository.create(
            icechunk.local_filesystem_storage(str(partial)), config=repository_config()
        )
        session = repo.writable_session(BRANCH)
        write_template(session.store, region)
        session.commit(
            f"template of region {region.id}",
            metadata={"code_version": __version__, "schema_version": SCHEMA_VERSION},
        )
        os.rename(partial, path)
    log.info("created the archive %s", path)


def check_layout(region: Region, view: CubeView) -> None:
    """Raise InputError unless grid, months and products of the archive are the region file's."""
    here, there = region.grid, view.grid
    differences = []
    if here.crs != there.crs:
        differences.append(f"crs (archive: {there.crs.name}; region file: {here.crs.name})")
    for key, mine, stored in (
        ("resolution", here.resolution, there.resolution),
        ("bounds", list(here.bounds), list(there.bounds)),
        ("tile", here.tile_size, there.tile_size),
        ("chunk", here.chunk_size, there.chunk_size),
    ):
        if mine != stored:
            differences.append(f"{key} (archive: {stored}; region file: {mine})")
    axis = TimeAxis.of(region)
    if axis.months != view.axis.months:
        differences.append(
            f"months (archive: {view.axis.months[0]} to {view.axis.months[1]}; "
            f"region file: {axis.months[0]} to {axis.months[1]})"
        )
    if axis.years[0] < view.axis.years[0]:
        differences.append(
            f"first year (archive: {view.axis.years[0]}; region file: {axis.years[0]})"
        )
    if has_landcover(region) != bool(view.root.attrs["landcover"]):
        differences.append("landcover (given in one, absent in the other)")
    if region.id != view.root.attrs["region"]:
        differences.append(f"region (archive: {view.root.attrs['region']}; file: {region.id})")
    if differences:
        raise InputError(
            f"the archive was made for another layout than the region file asks for: "
            f"{'; '.join(differences)}",
            where=f"{view.path}; {region.config.path}",
            rule="grid, months, first year and kinds of products of an archive do not change; "
            "its last year may grow",
            fix="restore these keys of the region file, or name another output folder; "
            "nothing was changed",
        )


def _extend(region: Region, archive: Archive) -> None:
    stored, wanted = archive.view().axis, TimeAxis.of(region)
    if wanted.years[1] <= stored.years[1]:
        return
    axis = TimeAxis((stored.years[0], wanted.years[1]), stored.months)
    with archive.writing(), archive.session() as session:
        with storage_errors(archive.path, "lengthen the time axes"):
            extend_time(session.store, region, axis)
        archive.commit(f"time axes to {axis.years[1]}", {}, session=session)
    log.info("lengthened the archive's time axes to %s", axis.years[1])


def _change_composite(region: Region, archive: Archive) -> None:
    wanted = region.config.composite
    if composite_of(archive.view().root) == wanted:
        return
    with archive.writing(), archive.session() as session:
        with storage_errors(archive.path, "change the layers of the composite"):
            change_composite(session.store, region)
        archive.commit(f"composite: {wanted.method}", {}, session=session)
    log.info("the archive's composites are now made by %s", wanted.method)


def write_tile(
    session: Any, group: str, time_id: str, tile: Tile, arrays: Mapping[str, np.ndarray]
) -> None:
    """Write stored integers of one tile and time into a session (a worker's fork).

    Raises
    ------
    ValueError
        An array has another shape or type than the variable: nothing is converted silently.
    """
    paths = [f"{group}/{product}" for product in arrays]
    known = shards.describe(session.store, paths)
    if known is None or not all(layout.holds(tile) for layout in known[1]):
        known = None
    root: Any = None if known else zarr.open_group(session.store, mode="r+")
    step = TimeAxis.from_dict((known[0] if known else root.attrs)["time_axis"]).index(
        group, time_id
    )
    whole: dict[str, bytes] = {}
    for k, (product, values) in enumerate(arrays.items()):
        dtype = known[1][k].dtype if known else root[paths[k]].dtype
        if values.shape != tile.shape or values.dtype != dtype:
            raise ValueError(
                f"{product} of {time_id}, tile {tile.id}: {values.dtype}{values.shape} does not "
                f"fit {dtype}{tile.shape}"
            )
        data = shards.encode(values, known[1][k]) if known else None
        if known and data is not None:
            whole[f"{paths[k]}/{known[1][k].key(step, tile)}"] = data
        else:  # nothing but fill, or laid out in another way
            root = root or zarr.open_group(session.store, mode="r+")
            root[paths[k]][step, tile.slices[0], tile.slices[1]] = values
    shards.write(session.store, whole)


def read_tile(
    session: Any, group: str, time_id: str, tile: Tile, products: Sequence[str]
) -> tuple[np.ndarray, ...]:
    """Return stored integers of one tile and time from a session, product by product."""
    paths = [f"{group}/{product}" for product in products]
    known = shards.describe(session.store, paths)
    out: list[np.ndarray | None] = [None] * len(paths)
    if known is not None and all(layout.holds(tile) for layout in known[1]):
        step = TimeAxis.from_dict(known[0]["time_axis"]).index(group, time_id)
        keys = [f"{p}/{x.key(step, tile)}" for p, x in zip(paths, known[1], strict=True)]
        for k, data in enumerate(shards.read(session.store, keys)):
            if data is not None:
                out[k] = shards.decode(data, tile.shape, known[1][k])
    if any(values is None for values in out):
        # Nothing but fill, laid out in another way, or broken: Zarr says which.
        root: Any = zarr.open_group(session.store, mode="r")
        step = TimeAxis.from_dict(root.attrs["time_axis"]).index(group, time_id)
        for k, path in enumerate(paths):
            if out[k] is None:
                out[k] = np.asarray(root[path][step, tile.slices[0], tile.slices[1]])
    return tuple(values for values in out if values is not None)


def open_cube(path: Path | str, group: str = "yearly", ref: str | None = None) -> xr.Dataset:
    """Open a group of the cube with xarray: physical values, times, and ``.rio.crs`` set.

    Parameters
    ----------
    path : path
        Folder of the archive.
    group : str
        ``monthly``, ``half_yearly`` or ``yearly``.
    ref : str, optional
        Tag (``2025``) or snapshot id; by default the newest state.

    Returns
    -------
    xarray.Dataset
        Lazy (Dask); dims time, y, x; fill values are NaN.
    """
    import rioxarray  # noqa: F401  (registers .rio)
    import xarray as xr

    archive = open_archive(path)
    view = archive.view(ref)
    if group not in view.root:
        raise InputError(
            f"the cube has no group '{group}'",
            where=str(path),
            rule="groups: monthly, half_yearly, yearly",
        )
    store = archive.repo.readonly_session(snapshot_id=view.snapshot).store
    # One Dask chunk is one shard: smaller ones would open each shard many times.
    chunks = {"y": view.grid.tile_size, "x": view.grid.tile_size}
    return xr.open_zarr(store, group=group, consolidated=False, decode_coords="all", chunks=chunks)
