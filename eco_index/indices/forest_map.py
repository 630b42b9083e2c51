"""Forest by the whole official definition that a map can show: closed trees and special shrubland.

Numbers: ``configs/methods/forest_coverage.yaml``. Trees in rows and around houses come as a table
(`indicators.forest`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from eco_index.errors import InputError
from eco_index.indices.doors import checked
from eco_index.indices.forest import (
    FILL,
    FOREST_CLASSES,
    TREE_CLASSES,
    closed_canopy,
    halo_of,
    min_pixels,
    minimum_patches,
)
from eco_index.methods import Method

SHRUB_CLASS = 22
FOREST, SHRUBLAND = 1, 2


def special_shrubland(
    shrub: np.ndarray, cover: np.ndarray, rain: np.ndarray, method: Method
) -> tuple[np.ndarray, np.ndarray]:
    """Return where shrubland counts as forest by law because the land is arid.

    Parameters
    ----------
    shrub : bool array
        Shrubland.
    cover : float array
        Cover of the shrubs, a share of 0–1; NaN where unknown.
    rain : float array
        Mean annual rain, mm; NaN where unknown.
    method : Method
        ``forest_coverage``.

    Returns
    -------
    special : bool array
        Shrubs of enough cover where it rains little.
    known : bool array
        False where shrubs grow and cover or rain is not known, unless the other one says no.

    Raises
    ------
    InputError
        Cover in per cent, rain that is no annual sum in mm.

    Notes
    -----
    The rules for shrubs above the tree line, on karst and in dry-hot valleys are not evaluated.
    """
    share = checked(cover, "shrub cover", "1", 0, 1, "per cent must be divided by 100")
    millimetres = checked(rain, "annual rain", "mm", 0, 15_000, "mean annual sum in mm")
    if share.shape != shrub.shape or millimetres.shape != shrub.shape:
        raise InputError("shrub, cover and rain differ in shape", rule="one grid")
    least = method.number("shrub_cover").required
    most = method.number("shrub_rain_mm").required
    with np.errstate(invalid="ignore"):
        dense, arid = share >= least - 1e-6, millimetres < most
        no = (share < least - 1e-6) | (millimetres >= most)
    known = ~shrub | no | (~np.isnan(share) & ~np.isnan(millimetres))
    return shrub & dense & arid, known


def forest_map(
    classes: xr.DataArray,
    method: Method,
    pixel_area_m2: float,
    canopy: xr.DataArray | None = None,
    cover: xr.DataArray | None = None,
    rain: xr.DataArray | None = None,
) -> xr.DataArray:
    """Forest (1) and specially defined shrubland (2) of a map, 0 elsewhere, 255 unknown.

    Parameters
    ----------
    classes : xarray.DataArray
        LUCC classes (rows, columns), 0 missing; may be chunked.
    method : Method
        ``forest_coverage``.
    pixel_area_m2 : float
        Area of a pixel.
    canopy : xarray.DataArray, optional
        Canopy closure, 0–1, NaN unknown; without it class 21 counts as closed.
    cover, rain : xarray.DataArray, optional
        Shrub cover (0–1) and mean annual rain (mm); without them no shrubland counts.

    Returns
    -------
    xarray.DataArray
        uint8, lazy if `classes` is; patches are whole across chunk borders: the same for any
        chunking.

    Raises
    ------
    InputError
        One of cover and rain without the other; values in a wrong unit; another grid.
    """
    if (cover is None) != (rain is None):
        raise InputError("specially defined shrubland needs both cover and rain")
    pixels = min_pixels(method.number("min_area_ha").required, pixel_area_m2)
    limit = method.number("canopy").required
    names = [n for n, a in (("canopy", canopy), ("cover", cover), ("rain", rain)) if a is not None]
    extras = [a for a in (canopy, cover, rain) if a is not None]
    for name, other in zip(names, extras, strict=True):
        if other.dims != classes.dims or other.shape != classes.shape:
            raise InputError(
                f"'{name}' is {other.shape}, the classes {classes.shape}", rule="one grid"
            )

    def block(codes: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        given: dict[str, Any] = dict(zip(names, rest, strict=True))
        known = codes != 0
        if "canopy" in given:
            tree = np.isin(codes, TREE_CLASSES)
            closed, seen = closed_canopy(given["canopy"], limit)
            known &= ~tree | seen
            tree &= closed
        else:
            tree = np.isin(codes, FOREST_CLASSES)
        out = np.where(minimum_patches(tree, pixels), FOREST, 0).astype(np.uint8)
        if "rain" in given:
            shrub, sure = special_shrubland(
                codes == SHRUB_CLASS, given["cover"], given["rain"], method
            )
            out[minimum_patches(shrub, pixels) & (out == 0)] = SHRUBLAND
            known &= sure
        out[~known] = FILL
        return out

    if classes.chunks is None:
        data: Any = block(classes.to_numpy(), *(a.to_numpy() for a in extras))
    else:
        import dask.array as da

        first = classes.data
        depth = halo_of(pixels)
        rest = [da.asarray(a.data).rechunk(first.chunks) for a in extras]
        data = da.map_overlap(
            block, first, *rest, depth=depth, boundary="none", dtype=np.uint8,
            allow_rechunk=True, meta=np.empty((0, 0), np.uint8),
        )  # fmt: skip
    out = xr.DataArray(data, dims=classes.dims, coords=classes.coords, name="forest")
    out.attrs = {
        "long_name": "forest and specially defined shrubland",
        "long_name_zh": "森林与国家特别规定灌木林",
        "flag_values": [0, FOREST, SHRUBLAND],
        "flag_meanings": "not_forest forest special_shrubland",
        "flag_meanings_zh": "非森林 森林 国家特别规定灌木林",
        "_FillValue": FILL,
        "method_id": "forest_coverage",
        "minimum_pixels": pixels,
    }
    return out
