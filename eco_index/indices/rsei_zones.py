"""Classes of an RSEI map, and its mean and class shares in zones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from eco_index.errors import InputError
from eco_index.indices.doors import graded
from eco_index.methods import Method, load_method
from eco_index.yamlio import Text

CLASSES = tuple(
    Text(zh=zh, en=en)
    for zh, en in (
        ("差", "poor"),
        ("较差", "fair"),
        ("中等", "moderate"),
        ("良", "good"),
        ("优", "excellent"),
    )
)
NO_CLASS = 255

Array = np.ndarray[Any, Any]


def classes(index: xr.DataArray, method: Method | None = None) -> xr.DataArray:
    """Five classes, 1 (poor) to 5 (excellent), 255 where RSEI is missing."""
    limits = _limits(method or load_method("rsei"))

    def block(values: Array) -> Array:
        # float32 of 0.2 lies above 0.2: compare in float32, so that a limit is what is printed.
        grade = graded(np.round(values.astype(np.float64), 6), limits, (False,) * 4)
        return np.where(grade == NO_CLASS, NO_CLASS, grade + 1).astype(np.uint8)

    out: xr.DataArray = xr.apply_ufunc(block, index, dask="parallelized", output_dtypes=[np.uint8])
    out.attrs = {
        "long_name": "class of RSEI",
        "long_name_zh": "遥感生态指数等级",
        "flag_values": [1, 2, 3, 4, 5],
        "flag_meanings": " ".join(c.en for c in CLASSES),
        "flag_meanings_zh": " ".join(c.zh for c in CLASSES),
        "_FillValue": NO_CLASS,
    }
    return out.rename("rsei_class")


def _limits(method: Method) -> list[float]:
    return [method.number(f"class_{k}").required for k in (1, 2, 3, 4)]


@dataclass(frozen=True)
class ZoneRsei:
    """RSEI of one zone.

    Attributes
    ----------
    zone : int
    mean : float or None
        None where the zone has no valid pixel.
    valid, missing : int
        Pixels with and without RSEI (water counts as missing).
    shares : tuple of float
        Shares of the five classes in the valid pixels.
    """

    zone: int
    mean: float | None
    valid: int
    missing: int
    shares: tuple[float, ...]


def zone_means(
    index: xr.DataArray, zones: xr.DataArray, method: Method | None = None
) -> list[ZoneRsei]:
    """Mean and class shares of RSEI per zone; 0 is outside.

    Parameters
    ----------
    index : xarray.DataArray
        RSEI, 0–1, NaN where missing.
    zones : xarray.DataArray
        Whole numbers on the same grid; zones 1…n.
    method : Method, optional
        ``rsei``, for the limits of the classes.

    Raises
    ------
    InputError
        Another grid, or zones that are no whole numbers.

    Notes
    -----
    Values are added in steps of 1e-4: the same for any chunking.
    """
    if zones.dtype.kind not in "iu" or zones.shape != index.shape:
        raise InputError(
            f"zones of type {zones.dtype} and shape {zones.shape}",
            rule=f"whole numbers of shape {index.shape}",
        )
    index, zones = xr.unify_chunks(index, zones)
    limits = _limits(method or load_method("rsei"))

    def block(values: Array, zone: Array) -> dict[int, Array]:
        found: dict[int, Array] = {}
        ids, at = np.unique(zone.ravel(), return_inverse=True)
        flat = np.round(values.astype(np.float64).ravel(), 6)
        valid = ~np.isnan(flat)
        grade = graded(flat, limits, (False,) * 4)
        steps = np.where(valid, np.floor(np.where(valid, flat, 0) * 10_000 + 0.5), 0)
        table = np.zeros((ids.size, 7), np.int64)
        for k in range(5):
            table[:, k] = np.bincount(at[grade == k], minlength=ids.size)
        table[:, 5] = np.bincount(at[~valid], minlength=ids.size)
        table[:, 6] = np.bincount(at, weights=steps, minlength=ids.size).astype(np.int64)
        for zone_id, row in zip(ids.tolist(), table, strict=True):
            if zone_id > 0:
                found[zone_id] = row
        return found

    if index.chunks is None:
        parts = [block(index.to_numpy(), zones.to_numpy())]
    else:
        import dask

        call = dask.delayed(block, pure=False)
        pairs = zip(index.data.to_delayed().ravel(), zones.data.to_delayed().ravel(), strict=True)
        parts = list(dask.compute(*(call(*pair) for pair in pairs)))
    total: dict[int, Array] = {}
    for part in parts:
        for zone_id, row in part.items():
            total[zone_id] = total.get(zone_id, np.zeros(7, np.int64)) + row
    out = []
    for zone_id in sorted(total):
        *per_class, missing, steps = total[zone_id].tolist()
        n = sum(per_class)
        mean = steps / 10_000 / n if n else None
        shares = tuple(c / n for c in per_class) if n else (0.0,) * 5
        out.append(ZoneRsei(zone_id, mean, n, missing, shares))
    return out
