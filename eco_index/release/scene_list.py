"""The scenes that a source index means, as arrays beside it in a plain Zarr copy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from eco_index.cube import CubeView
from eco_index.errors import InputError
from eco_index.period import Month
from eco_index.products import PRODUCTS

if TYPE_CHECKING:
    from eco_index.sources import Scene

INDEX = "source_index"
#: Seconds given to places without a scene: months have lists of different lengths.
NO_TIME = -1


def write_scene_list(view: CubeView, group: zarr.Group, months: Sequence[str]) -> None:
    """Write ``scene_id``, ``scene_dataset`` and ``scene_time``, by month and place on its list.

    Parameters
    ----------
    view : CubeView
        The cube at the pinned snapshot: its manifests are the lists.
    group : zarr.Group
        The copy's monthly group; holds ``source_index``.
    months : sequence of str
        The group's time steps.
    """
    lists = [_scenes(view, month) for month in months]
    longest = max(map(len, lists), default=0)
    shape = (len(months), longest)
    ids, datasets = np.full(shape, "", object), np.full(shape, "", object)
    times = np.full(shape, NO_TIME, np.int64)
    for step, scenes in enumerate(lists):
        for place, scene in enumerate(scenes):
            ids[step, place], datasets[step, place] = scene.id, scene.dataset
            times[step, place] = round(dt.datetime.fromisoformat(scene.datetime).timestamp())
    places = np.arange(longest, dtype=np.int32)
    title = "place on the month's list of scenes: what source_index holds"
    _write(group, "scene", places, ("scene",), {"long_name": title, "units": "1"})
    on_list = "time", "scene"
    text = {"long_name": "identifier of the scene", "long_name_zh": "影像标识"}
    _write(group, "scene_id", ids, on_list, text)
    text = {"long_name": "dataset of the scene", "long_name_zh": "影像所属数据集"}
    _write(group, "scene_dataset", datasets, on_list, text)
    when = {
        "long_name": "time of the scene (UTC)",
        "long_name_zh": "影像时间（UTC）",
        "units": "seconds since 1970-01-01",
        "calendar": "standard",
        "_FillValue": NO_TIME,
    }
    _write(group, "scene_time", times, on_list, when)
    group[INDEX].attrs["scenes"] = "scene_id, scene_dataset, scene_time: by month and place"


def check_places(values: np.ndarray, listed: np.ndarray, where: str) -> None:
    """Raise InputError where a source index names a place that a month's list does not have.

    Parameters
    ----------
    values : ndarray of uint16
        Source index of a window.
    listed : ndarray of str
        ``scene_id`` of the month.
    where : str
        For the message.
    """
    used = np.unique(values[values != PRODUCTS[INDEX].fill])
    known = np.flatnonzero([bool(name) for name in listed.tolist()])
    unknown = np.setdiff1d(used, known)
    if unknown.size:
        raise InputError(
            f"source_index names places without a scene: {unknown[:5].tolist()}",
            where=where,
            rule=f"the month's manifest lists {known.size} scene(s)",
            fix="look at the archive with `eco verify`; nothing was published",
        )


def _scenes(view: CubeView, month: str) -> tuple[Scene, ...]:
    manifest = view.manifest(Month.parse(month))
    return manifest.scenes if manifest is not None else ()


def _write(
    group: zarr.Group, name: str, values: np.ndarray, dims: tuple[str, ...], attrs: dict[str, Any]
) -> None:
    kind: Any = str if values.dtype == object else values.dtype
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=tuple(max(1, n) for n in values.shape),
        dtype=kind,
        fill_value="" if kind is str else values.dtype.type(attrs.get("_FillValue", 0)),
        dimension_names=dims,
        attributes=attrs,
    )
    if values.size:
        array[...] = values
