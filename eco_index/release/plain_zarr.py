"""A period of the cube as plain, consolidated Zarr v3: readable without Icechunk."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from eco_index.compositing import REFLECTANCE
from eco_index.cube import CubeView
from eco_index.cube.template import composite_of
from eco_index.errors import InputError
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.release.scene_list import INDEX, check_places, write_scene_list

Window = tuple[slice, slice]


def copy_period(
    view: CubeView, period: Period, months: Sequence[str], target: Path, attrs: dict[str, Any]
) -> list[str]:
    """Copy the period's group and its months into a new store.

    Parameters
    ----------
    view : CubeView
        The cube at the pinned snapshot.
    period : Period
        Its cadence names the group, its id the time step.
    months : sequence of str
        ``2025-05`` ...; those that the cube's axis holds are copied.
    target : Path
        Folder of the new store; must not exist.
    attrs : dict
        Added to the root's attributes.

    Returns
    -------
    list of str
        The groups that were written. Layers that an earlier ``composite`` section asked for are
        left out: they may be of other scenes than the rest.
    """
    source = view.root
    wanted = composite_of(source).layers
    root = zarr.create_group(
        str(target), zarr_format=3, attributes=dict(source.attrs) | {"release": attrs}
    )
    steps = {period.cadence: [period.id], "monthly": list(months)}
    written = []
    for group_id, ids in steps.items():
        kept = [i for i in ids if i in view.axis.ids(group_id)]
        if group_id not in source or not kept:
            continue
        places = [view.axis.index(group_id, i) for i in kept]
        group = root.create_group(group_id, attributes=dict(source[group_id].attrs))
        _copy_group(source[group_id], group, places, kept, view.grid.tile_size, wanted)
        if INDEX in group:
            write_scene_list(view, group, kept)
        written.append(group_id)
    with warnings.catch_warnings():
        # Consolidated metadata is not in the Zarr v3 text yet; xarray and zarr-python read it.
        warnings.filterwarnings("ignore", message=".*[Cc]onsolidated metadata.*")
        for path in (*written, ""):
            zarr.consolidate_metadata(str(target), path=path)
    return written


def _copy_group(
    source: Any,
    group: zarr.Group,
    places: list[int],
    ids: list[str],
    size: int,
    layers: Collection[str],
) -> None:
    for name, array in sorted(source.arrays()):
        if _is_optional(name) and name not in layers:
            continue
        timed = bool(array.metadata.dimension_names) and array.metadata.dimension_names[0] == "time"
        shape = (len(places), *array.shape[1:]) if timed else array.shape
        attributes = dict(array.attrs)
        if "ids" in attributes:
            attributes["ids"] = ids
        copy = group.create_array(
            name,
            shape=shape,
            dtype=array.dtype,
            chunks=tuple(min(c, s) for c, s in zip(array.chunks, shape, strict=True))
            if array.shards is None
            else array.chunks,
            shards=array.shards,
            compressors=array.compressors,
            fill_value=array.fill_value,
            dimension_names=array.metadata.dimension_names,
            attributes=attributes,
        )
        if not timed:
            copy[...] = array[...]
            continue
        for new, old in enumerate(places):
            if array.ndim < 3:
                copy[new] = array[old]
                continue
            for window in windows(array.shape[1:], size):
                copy[(new, *window)] = array[(old, *window)]


def _is_optional(layer: str) -> bool:
    known = PRODUCTS.get(layer)
    return layer.startswith(REFLECTANCE) if known is None else known.optional


def windows(shape: Sequence[int], size: int) -> Iterator[Window]:
    """Yield windows of at most `size` x `size` pixels, row by row: memory stays bounded."""
    for y in range(0, shape[0], size):
        for x in range(0, shape[1], size):
            yield (
                slice(y, min(y + size, shape[0])),
                slice(x, min(x + size, shape[1])),
            )


def check_copy(view: CubeView, target: Path, groups: Sequence[str]) -> None:
    """Compare every stored value of the copy with the archive.

    Raises
    ------
    InputError
        A value differs, or a source index means no scene: the release is not published.
    """
    root = zarr.open_group(str(target), mode="r")
    for group_id in groups:
        group: Any = root[group_id]
        for name, copy in group.arrays():
            if copy.ndim < 3:
                continue
            for new, time_id in enumerate(group["time"].attrs["ids"]):
                for window in windows(copy.shape[1:], view.grid.tile_size):
                    there = view.read(group_id, name, time_id, window)
                    if not np.array_equal(np.asarray(copy[(new, *window)]), there):
                        raise InputError(
                            "the plain Zarr copy differs from the archive",
                            where=f"{group_id}/{name}, {time_id}",
                            fix="look for a defective disk; nothing was published",
                        )
                    if name == INDEX:
                        check_places(there, group["scene_id"][new], f"{group_id}, {time_id}")
