"""The archive: a Zarr v3 cube in an Icechunk repository (see docs/reference/data-schema.md)."""

from eco_index.cube.archive import (
    Archive,
    create_or_open,
    open_archive,
    open_cube,
    read_tile,
    write_tile,
)
from eco_index.cube.describe import show
from eco_index.cube.template import SCHEMA_VERSION, TimeAxis
from eco_index.cube.verify import Finding, verify
from eco_index.cube.view import CubeView, TaskRecord

__all__ = [
    "SCHEMA_VERSION",
    "Archive",
    "CubeView",
    "Finding",
    "TaskRecord",
    "TimeAxis",
    "create_or_open",
    "open_archive",
    "open_cube",
    "read_tile",
    "show",
    "verify",
    "write_tile",
]
