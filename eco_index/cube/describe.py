"""What is inside an archive, as plain values for `eco show`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eco_index.cube.archive import open_archive
from eco_index.cube.template import composite_of
from eco_index.products import GROUPS, products_of


def show(archive_path: Path | str, commits: int = 10) -> dict[str, Any]:
    """Return what an archive holds.

    Parameters
    ----------
    archive_path : path
        Folder of the archive.
    commits : int
        How many of the newest commits are listed.

    Returns
    -------
    dict
        JSON-able: identity, grid, groups (variables, times with done and total tiles), months
        with scenes, tags, size in bytes, newest commits.

    Raises
    ------
    InputError
        There is no archive, or one of another schema version.
    """
    archive = open_archive(archive_path)
    view = archive.view()
    attrs: dict[str, Any] = dict(view.root.attrs)
    grid, records = view.grid, view.records()
    tiles = grid.tiles()
    groups: dict[str, Any] = {}
    for group in GROUPS:
        kind = "composite" if group == "monthly" else "product"
        groups[group] = {
            "variables": [
                {
                    "id": p.id,
                    "title": p.title.en,
                    "title_zh": p.title.zh,
                    "units": p.units,
                    "dtype": p.dtype,
                    "scale": p.scale,
                    "fill": p.fill,
                }
                for p in products_of(
                    group, bool(attrs["landcover"]), composite_of(view.root).layers
                )
            ],
            "times": [
                {
                    "id": time_id,
                    "done": sum(f"{kind}/{time_id}/{t.id}" in records for t in tiles),
                    "total": len(tiles),
                }
                for time_id in view.axis.ids(group)
            ],
        }
    months = [
        {"month": task.split("/")[1], **record.receipt}
        for task, record in sorted(records.items())
        if task.startswith("acquire/")
    ]
    history: list[dict[str, str]] = []
    for commit in archive.repo.ancestry(snapshot_id=view.snapshot):
        if len(history) == commits:
            break
        when = commit.written_at.isoformat(timespec="seconds")
        history.append({"snapshot": commit.id, "written_at": when, "message": commit.message})
    files = [f for f in Path(archive_path).rglob("*") if f.is_file()]
    return {
        "path": str(archive_path),
        "title": attrs["title"],
        "title_zh": attrs["title_zh"],
        "region": attrs["region"],
        "simulated": attrs["simulated"],
        "schema_version": attrs["schema_version"],
        "code_version": attrs["code_version"],
        "methods": attrs["methods"],
        "grid": {
            "crs": grid.crs.name,
            "resolution_m": grid.resolution,
            "shape": list(grid.shape),
            "bounds": list(grid.bounds),
            "tile": grid.tile_size,
            "chunk": grid.chunk_size,
            "tiles": len(tiles),
        },
        "groups": groups,
        "months": months,
        "tags": view.tags,
        "snapshot": view.snapshot,
        "size_bytes": sum(f.stat().st_size for f in files),
        "commits": history,
    }
