"""Forest mask: tree cover in patches of a minimum area, exact across tile borders.

With a map of canopy closure the mask follows the official definition of tree cover. Numbers:
``configs/methods/forest_coverage.yaml``; specially defined shrubland: `forest_map`.
"""

from __future__ import annotations

import math

import numpy as np

from eco_index.errors import InputError, UsageError

VERSION = 1  # changes when results change

# LUCC classes that count as forest: closed forest only. Shrubland specially defined by the state
# and trees outside forest are no part of a map figure (see configs/methods/forest_coverage.yaml).
FOREST_CLASSES = (21,)
# Where canopy closure is known, it decides, not the legend: open woodland may reach 0.20 as well.
TREE_CLASSES = (21, 23)
FILL = 255
MAX_HALO = 4096
_EIGHT = np.ones((3, 3), np.int8)  # pixels that touch at a side or corner belong together


def min_pixels(min_area_ha: float, pixel_area_m2: float) -> int:
    """Return how many pixels a patch needs to reach a minimum area (ha).

    Raises
    ------
    UsageError
        The area takes so many pixels that tiles cannot be worked one by one.
    """
    count = max(1, math.ceil(min_area_ha * 10000.0 / pixel_area_m2 - 1e-9))
    if count - 1 > MAX_HALO:
        raise UsageError(
            f"a minimum patch of {min_area_ha} ha takes {count} pixels",
            rule=f"at most {MAX_HALO + 1}",
            fix="use a coarser grid or a smaller minimum area",
        )
    return count


def halo_of(pixels: int) -> int:
    """Return how far beyond a tile one must look to judge patches of `pixels` pixels.

    A patch of at least n pixels that holds pixel p has n connected pixels around p, none further
    than n - 1 away: within that halo the answer is exact.
    """
    return pixels - 1


def minimum_patches(forest: np.ndarray, pixels: int) -> np.ndarray:
    """Return `forest` without patches (8-neighbours) of fewer than `pixels` pixels.

    Parameters
    ----------
    forest : bool[h, w]
        Tree cover.
    pixels : int
        Least size of a patch.

    Returns
    -------
    bool[h, w]
    """
    if pixels <= 1 or not forest.any():
        return forest.copy()
    from scipy import ndimage  # here: a run without land cover does not need it

    labels, _ = ndimage.label(forest, structure=_EIGHT)
    sizes = np.bincount(labels.ravel())
    large = sizes >= pixels
    large[0] = False
    return large[labels]


def closed_canopy(canopy: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where the canopy reaches a limit, and where its closure is known.

    Parameters
    ----------
    canopy : float array
        Canopy closure, a share of 0–1; NaN where unknown.
    limit : float
        Least closure, included.

    Raises
    ------
    InputError
        Values beyond 0–1: per cent, or a no-data code.
    """
    with np.errstate(invalid="ignore"):
        wrong = (canopy < 0) | (canopy > 1)
    if wrong.any():
        raise InputError(
            f"canopy closure holds {int(wrong.sum())} values from {canopy[wrong].min():g} to "
            f"{canopy[wrong].max():g}",
            rule="a share, 0 to 1, NaN where unknown",
            fix="per cent: give 'scale: 0.01' in the catalogue; name the no-data value there too",
        )
    known = ~np.isnan(canopy)
    # 1e-6: 20 x 0.01 in single precision is still 0.20.
    return known & (np.where(known, canopy, 0) >= limit - 1e-6), known
