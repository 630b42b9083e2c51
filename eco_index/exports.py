"""Composites of a large region as Earth Engine's batch exports: started, followed, checked.

What is expected follows from the scenes of each month; a file's name is a digest of its scenes,
rules and pixels, so a file that was made from something else is never taken for it. The list of
what was started is kept beside the region's outputs; it holds no credentials.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eco_index import composite_server
from eco_index.cube import CubeView
from eco_index.cube.archive import open_archive
from eco_index.errors import InputError, UsageError
from eco_index.period import Month, Period
from eco_index.sources import ee_client
from eco_index.sources.ee_files import Expected, problem_of
from eco_index.tasks import TileIndex

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.sources.scene import Manifest

State = Literal["missing", "running", "made", "failed", "received", "unusable"]
STATES: tuple[State, ...] = ("missing", "running", "made", "failed", "received", "unusable")
_RUNNING = ("PENDING", "RUNNING", "READY", "UNSUBMITTED", "CANCELLING")
ATTEMPTS = 3  # how often an export that failed is started again


@dataclass(frozen=True)
class Destination:
    """Where exports are written.

    Attributes
    ----------
    kind : str
        ``bucket`` (Google Cloud Storage) or ``drive`` (a folder of Google Drive).
    name : str
        Bucket, or folder.
    prefix : str
        Put before file names, in a bucket with ``/``.
    """

    kind: Literal["bucket", "drive"]
    name: str
    prefix: str = ""

    def options(self, name: str) -> dict[str, Any]:
        """Return ImageFileExportOptions of the service for one file."""
        if self.kind == "drive":
            place = {"driveDestination": {"folder": self.name, "filenamePrefix": name}}
        else:
            path = f"{self.prefix.strip('/')}/{name}" if self.prefix else name
            place = {"cloudStorageDestination": {"bucket": self.name, "filenamePrefix": path}}
        return {"fileFormat": "GEO_TIFF"} | place


@dataclass(frozen=True)
class Item:
    """One expected file with its state.

    Attributes
    ----------
    month : str
    expected : Expected
    state : str
        missing (never started), running, made (by the service, not yet received), failed,
        received, unusable (received, but not what is expected).
    reason : str
        Of a failure.
    """

    month: str
    expected: Expected
    state: State = "missing"
    reason: str = ""

    @property
    def name(self) -> str:
        return self.expected.name

    def to_dict(self) -> dict[str, Any]:
        return {
            "month": self.month,
            "tile": self.expected.tile,
            "file": f"{self.name}.tif",
            "bands": list(self.expected.bands),
            "state": self.state,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Status:
    """Everything that is expected, and what lies in the folder besides."""

    items: tuple[Item, ...]
    folder: str
    foreign: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return all(item.state == "received" for item in self.items)

    def counts(self) -> dict[str, int]:
        found = Counter(item.state for item in self.items)
        return {state: found[state] for state in STATES if found[state]}

    def to_dict(self) -> dict[str, Any]:
        bands = sum(len(i.expected.bands) for i in self.items)
        have = [i for i in self.items if i.state == "received"]
        return {
            "complete": self.complete,
            "folder": self.folder,
            "expected": {
                "images": len(self.items),
                "tiles": len({i.expected.tile for i in self.items}),
                "bands": bands,
                "bytes": sum(i.expected.nbytes for i in self.items),
            },
            "received": {
                "images": len(have),
                "tiles": len({i.expected.tile for i in have}),
                "bands": sum(len(i.expected.bands) for i in have),
            },
            "counts": self.counts(),
            "items": [i.to_dict() for i in self.items],
            "foreign": list(self.foreign),
        }


class Ledger:
    """What was started: file name to operation and number of attempts; one JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: dict[str, dict[str, Any]] = {}
        if path.exists():
            try:
                self.started = dict(json.loads(path.read_text(encoding="utf-8"))["started"])
            except (ValueError, KeyError, TypeError):
                raise InputError(
                    "the list of started exports cannot be read",
                    where=str(path),
                    fix="delete it: exports that are not received are then started again",
                ) from None

    def note(self, name: str, **facts: Any) -> None:
        """Keep a fact about an export; on disk before the next one is started."""
        self.started[name] = self.started.get(name, {}) | facts
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        text = json.dumps({"version": 1, "started": self.started}, indent=1, sort_keys=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, self.path)


def ledger_of(region: Region) -> Ledger:
    """Return the region's list of started exports."""
    return Ledger(region.output / "earth_engine_exports.json")


def expected(region: Region, periods: Sequence[Period]) -> list[Item]:
    """Return the files that exports of some periods must bring: by month and tile.

    The scenes are those of the archive's list where a month has been acquired; else the services
    are asked for them.

    Raises
    ------
    UsageError
        No dataset of the region is reduced by Earth Engine.
    """
    _folder(region)
    view = open_archive(region.archive_path).view() if region.archive_path.exists() else None
    grid = region.grid
    index = TileIndex(grid, grid.tiles())
    months = sorted({m for p in periods for m in region.config.period_months(p)})
    items = []
    for month in months:
        manifest = _manifest(region, month, view)
        for tile, scenes in index.touching(manifest.scenes).items():
            found = composite_server.expected_of(
                scenes, region.catalog, grid, tile, region.config.composite
            )
            if found is not None:
                items.append(Item(month.id, found))
    return items


def status(region: Region, periods: Sequence[Period]) -> Status:
    """Compare what is expected with what was started and received: images, tiles, bands.

    Asks the service for the state of exports only if some that were started are not received.
    """
    return _status(region, expected(region, periods), ledger_of(region))


def start(
    region: Region,
    periods: Sequence[Period],
    destination: Destination,
    progress: Callable[[str, int, int, str], None] = lambda *_: None,
) -> Status:
    """Start the exports that are missing or have failed, as many as may be queued at one time.

    Interrupted, it goes on where it stopped: what was started is not started again.

    Returns
    -------
    Status
        After the start. Call again while some are missing.
    """
    ledger = ledger_of(region)
    now = _status(region, expected(region, periods), ledger)
    session = ee_client.client(_project(region))
    free = session.limits.exports_queued - sum(i.state == "running" for i in now.items)
    items: list[Item] = []
    for item in now.items:
        progress("exports", len(items), len(now.items), f"{item.month} {item.expected.tile}")
        tried = ledger.started.get(item.name, {}).get("attempts", 0)
        wanted = item.state in ("missing", "failed") and tried < ATTEMPTS
        if not wanted or free <= 0:
            items.append(item)
            continue
        options = {
            "description": f"eco {region.id} {item.month} {item.expected.tile}"[:100],
            "grid": item.expected.grid,
            "fileExportOptions": destination.options(item.name),
        }
        pixels = item.expected.shape[0] * item.expected.shape[1]
        if pixels > 1e8:  # the service's guard
            options["maxPixels"] = {"value": str(pixels)}
        request = f"eco-{item.name.replace('_', '-')}-{tried}"
        operation = session.start_export(
            item.expected.image, options, request, f"export {item.month}, tile {item.expected.tile}"
        )
        ledger.note(item.name, operation=operation, attempts=tried + 1, month=item.month)
        items.append(Item(item.month, item.expected, "running"))
        free -= 1
    return Status(tuple(items), now.folder, now.foreign)


def _status(region: Region, items: Sequence[Item], ledger: Ledger) -> Status:
    folder = _folder(region)
    problems = {i.name: problem_of(folder / f"{i.name}.tif", i.expected) for i in items}
    open_ones = [n for n, why in problems.items() if why and n in ledger.started]
    operations = ee_client.client(_project(region)).operations() if open_ones else {}
    found = []
    for item in items:
        problem, started = problems[item.name], ledger.started.get(item.name)
        state: State = "missing"
        reason = ""
        if not problem:
            state = "received"
        elif problem != "not received":
            state, reason = "unusable", problem
        elif started is not None:
            state, reason = _state(operations.get(started["operation"]))
        found.append(Item(item.month, item.expected, state, reason))
    known = {f"{name}.tif" for name in problems}
    here = sorted(p.name for p in folder.glob("*.tif")) if folder.is_dir() else []
    return Status(tuple(found), str(folder), tuple(n for n in here if n not in known))


def _state(operation: dict[str, Any] | None) -> tuple[State, str]:
    if operation is None:
        return "failed", "the service does not list it any more (lists are kept for ten days)"
    text = str(operation.get("metadata", {}).get("state", ""))
    if text in _RUNNING and not operation.get("done"):
        return "running", ""
    if text == "SUCCEEDED":
        return "made", ""
    message = operation.get("error", {}).get("message") or text or "no reason given"
    return "failed", str(message)[:300]


def _manifest(region: Region, month: Month, view: CubeView | None) -> Manifest:
    from eco_index import sources

    stored = view.manifest(month) if view is not None else None
    return stored if stored is not None else sources.acquire(region, month)


def _served(region: Region) -> list[str]:
    return [
        d
        for d in region.config.imagery
        if composite_server.reduced_on_server(region.catalog.get(d, "the region's imagery"))
    ]


def _folder(region: Region) -> Path:
    names = _served(region)
    folder = composite_server.received_folder(region.catalog, names)
    if folder is None:
        raise UsageError(
            "no dataset of the region says where exports of Earth Engine are received",
            where=f"{region.catalog.path}, datasets {', '.join(region.config.imagery)}",
            rule="exports need 'reduce: server' and 'received: FOLDER' in the dataset's access",
        )
    return folder


def _project(region: Region) -> str | None:
    for dataset_id in _served(region):
        project = getattr(region.catalog.datasets[dataset_id].access, "project", None)
        if project:
            return str(project)
    return None
