"""The cube as it was at one snapshot: stored values, finished tasks, manifests, tags."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import icechunk
import numpy as np
import zarr

from eco_index import __version__
from eco_index.cube.storage import not_an_archive, open_repository, storage_errors
from eco_index.cube.template import SCHEMA_VERSION, TimeAxis
from eco_index.errors import InputError
from eco_index.grid import Grid, Tile

if TYPE_CHECKING:
    from eco_index.period import Month
    from eco_index.sources import Manifest

BRANCH = "main"


@dataclass(frozen=True)
class TaskRecord:
    """What a commit says about a finished task.

    Attributes
    ----------
    digest : str
        sha256 over everything the task's result depends on.
    parts : dict
        Short hashes of the parts of the digest (parameters, scenes, code, ...).
    receipt : dict
        Short facts about the result (counts), for `show` and `verify`.
    """

    digest: str
    parts: Mapping[str, str] = field(default_factory=dict)
    receipt: Mapping[str, Any] = field(default_factory=dict)


class CubeView:
    """The cube as it was at one snapshot. Reads only; may be pickled to workers.

    Attributes
    ----------
    path : Path
        Folder of the archive.
    snapshot : str
        Id of the snapshot.
    """

    def __init__(self, path: Path, snapshot: str) -> None:
        self.path, self.snapshot = Path(path), snapshot
        self._lock = threading.Lock()
        self._arrays: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "snapshot": self.snapshot}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], state["snapshot"])  # type: ignore[misc]

    @cached_property
    def _repo(self) -> icechunk.Repository:
        return open_repository(self.path)

    @cached_property
    def root(self) -> zarr.Group:
        """The root group, read-only."""
        with storage_errors(self.path, "read the archive"):
            return zarr.open_group(
                self._repo.readonly_session(snapshot_id=self.snapshot).store, mode="r"
            )

    @cached_property
    def grid(self) -> Grid:
        signature: Any = self.root.attrs["grid"]
        return Grid(
            signature["crs"],
            signature["resolution"],
            tuple(signature["bounds"]),
            signature["tile"],
            signature["chunk"],
        )

    @cached_property
    def axis(self) -> TimeAxis:
        return TimeAxis.from_dict(self.root.attrs["time_axis"])  # type: ignore[arg-type]

    @property
    def tags(self) -> dict[str, str]:
        """Tag names and the snapshots they pin, as of now."""
        repo = open_repository(self.path)
        return {tag: repo.lookup_tag(tag) for tag in sorted(repo.list_tags())}

    def read(
        self, group: str, product: str, time_id: str, window: Tile | tuple[slice, slice]
    ) -> np.ndarray:
        """Return stored integers of a product in a window.

        Parameters
        ----------
        group : str
            ``monthly``, ``half_yearly`` or ``yearly``.
        product : str
            Variable name.
        time_id : str
            ``2025-07``, ``2025H1`` or ``2025``.
        window : Tile or tuple of slice
            Rows and columns of the grid.

        Returns
        -------
        ndarray, shape (rows, columns)
            Stored values, not scaled; fill value where nothing was written.

        Raises
        ------
        InputError
            The cube does not hold that group, product or time.
        """
        rows, columns = window.slices if isinstance(window, Tile) else window
        try:
            step = self.axis.index(group, time_id)
            array = self._array(f"{group}/{product}")
        except KeyError:
            raise InputError(
                f"the cube has no '{product}' of {time_id} in group '{group}'",
                where=str(self.path),
                fix="see what it holds: eco show ARCHIVE",
            ) from None
        with storage_errors(self.path, f"read {product} of {time_id}"):
            return np.asarray(array[step, rows, columns])

    def _array(self, name: str) -> Any:
        """Return an array; its metadata is read once, for a snapshot does not change."""
        if name not in self._arrays:
            self._arrays[name] = self.root[name]
        return self._arrays[name]

    @cached_property
    def _records(self) -> dict[str, TaskRecord]:
        known: dict[str, TaskRecord] = {}
        with storage_errors(self.path, "read the archive's history"):
            for commit in self._repo.ancestry(snapshot_id=self.snapshot):
                metadata = commit.metadata
                parts, receipts = metadata.get("parts", {}), metadata.get("receipts", {})
                for task, digest in metadata.get("tasks", {}).items():
                    if task not in known:  # newest first: later ones are history
                        known[task] = TaskRecord(
                            digest, parts.get(task, {}), receipts.get(task, {})
                        )
        return known

    def states(self) -> dict[str, str]:
        """Return task id to digest of every finished task, from the commits' metadata."""
        return {task: record.digest for task, record in self._records.items()}

    def records(self) -> dict[str, TaskRecord]:
        """Return task id to everything the commits say of a finished task."""
        return dict(self._records)

    def manifest_document(self, month: Month) -> dict[str, Any] | None:
        """Return the stored document of a month's scenes, or None if it was never acquired."""
        try:
            array: Any = self.root[f"manifests/{month.id}"]
        except KeyError:
            return None
        with storage_errors(self.path, f"read the manifest of {month.id}"):
            return json.loads(np.asarray(array[:]).tobytes().decode("utf-8"))

    def manifest(self, month: Month) -> Manifest | None:
        """Return the scenes (and failures) of a month, or None if it was never acquired."""
        from eco_index.sources import Manifest

        document = self.manifest_document(month)
        return None if document is None else Manifest.from_dict(document["manifest"])


def resolve(repo: icechunk.Repository, ref: str | None, path: Path) -> str:
    """Return the snapshot id of a tag or snapshot id; of the newest state for None."""
    with storage_errors(path, "look up a snapshot"):
        if ref is None:
            return str(repo.lookup_branch(BRANCH))
        tags = repo.list_tags()
        if ref in tags:
            return str(repo.lookup_tag(ref))
        try:
            return str(repo.lookup_snapshot(ref).id)
        except icechunk.IcechunkError:
            raise InputError(
                f"the archive has no tag or snapshot '{ref}'",
                where=str(path),
                rule=f"tags: {', '.join(sorted(tags)) or 'none'}",
            ) from None


def check_schema(view: CubeView) -> None:
    """Raise InputError unless the cube is of this code's schema version."""
    try:
        found = view.root.attrs.get("schema_version")
    except FileNotFoundError:
        raise not_an_archive(view.path) from None
    if found is None:
        raise not_an_archive(view.path)
    if found != SCHEMA_VERSION:
        raise InputError(
            f"the archive was written with data schema version {found}; "
            f"this program (eco-index {__version__}) reads and writes version {SCHEMA_VERSION}",
            where=str(view.path),
            rule="an archive is never changed from one schema version to another in place",
            fix="use the program version that wrote it, or name another output folder "
            "and compute the periods again; nothing was changed",
        )
