"""End members on whole maps: counted and applied block by block, the same for any chunking."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from eco_index.indices.endmembers import (
    EndMembers,
    Histograms,
    histograms,
    statement,
    stored_fvc_of,
)
from eco_index.indices.vegetation import FVC_FILL

Array = np.ndarray[Any, Any]


def histograms_of(
    ndvi: xr.DataArray, zones: xr.DataArray | None = None, types: xr.DataArray | None = None
) -> Histograms:
    """Count a whole map block by block; the same for any chunking."""
    given = [a for a in (zones, types) if a is not None]
    arrays = [a for a in xr.unify_chunks(ndvi, *given) if isinstance(a, xr.DataArray)]

    def block(first: Array, *rest: Array) -> Histograms:
        parts = list(rest)
        zone = parts.pop(0) if zones is not None else None
        return histograms(first, zone, parts.pop(0) if types is not None else None)

    if arrays[0].chunks is None:
        return block(*(a.to_numpy() for a in arrays))
    import dask

    call = dask.delayed(block, pure=False)
    add = dask.delayed(lambda many: sum(many, Histograms()), pure=False)
    columns = [a.data.to_delayed().ravel() for a in arrays]
    parts = [call(*blocks) for blocks in zip(*columns, strict=True)]
    while len(parts) > 1:
        parts = [add(parts[i : i + 8]) for i in range(0, len(parts), 8)]
    found: Histograms = dask.compute(parts[0])[0]
    return found


def cover(
    ndvi: xr.DataArray,
    members: EndMembers,
    zones: xr.DataArray | None = None,
    types: xr.DataArray | None = None,
) -> xr.DataArray:
    """Vegetation cover of a map, stored integers, lazy if `ndvi` is; attributes state the pairs."""
    given = {k: v for k, v in (("zones", zones), ("types", types)) if v is not None}
    names = list(given)

    def block(first: Array, *rest: Array) -> Array:
        return stored_fvc_of(first, members, **dict(zip(names, rest, strict=True)))

    out: xr.DataArray = xr.apply_ufunc(
        block,
        ndvi,
        *given.values(),
        dask="parallelized",
        output_dtypes=[np.uint16],
        join="exact",
    )
    out.attrs = {
        "long_name": "fractional vegetation cover",
        "long_name_zh": "植被覆盖度",
        "units": "1",
        "scale_factor": 1e-4,
        "_FillValue": FVC_FILL,
        "end_members": statement(members),
    }
    return out.rename("fvc")
