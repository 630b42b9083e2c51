"""Mask recipes: what the values of a quality band say about a pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eco_index.errors import UsageError

# What a pixel shows (look-up tables of all recipes give these codes).
CLEAR, FILL, CLOUD, SHADOW, SNOW, BAD = 0, 1, 2, 3, 4, 5
CODES = {
    CLEAR: "clear land or water",
    FILL: "no observation",
    CLOUD: "cloud, cirrus or the dilated rim of a cloud",
    SHADOW: "cloud or terrain shadow",
    SNOW: "snow or ice",
    BAD: "observed, but not usable",
}


@dataclass(frozen=True)
class MaskRecipe:
    """How a quality band is read.

    Attributes
    ----------
    name : str
    version : int
        Goes into digests: another version is another result.
    description : str
    build : callable
        Takes all 65 536 possible stored values (uint32), returns their codes (uint8).
    reference : str
    """

    name: str
    version: int
    description: str
    build: Callable[[np.ndarray], np.ndarray]
    reference: str


def _bits(values: np.ndarray, first: int, count: int = 1) -> np.ndarray:
    return (values >> first) & ((1 << count) - 1)


def _landsat_qa_pixel(values: np.ndarray) -> np.ndarray:
    """Bits of Landsat Collection 2 QA_PIXEL; the last rule that fits wins.

    The 'clear' bit (6) only says that neither cloud nor dilated cloud is set: 23888 is a cloud
    shadow with the clear bit on, so bit 6 alone must never pass a pixel.
    """
    codes = np.full(values.shape, CLEAR, np.uint8)
    codes[_bits(values, 6) == 0] = BAD
    codes[(_bits(values, 5) == 1) | (_bits(values, 12, 2) == 3)] = SNOW
    codes[(_bits(values, 4) == 1) | (_bits(values, 10, 2) == 3)] = SHADOW
    cloud = (_bits(values, 1, 3) > 0) | (_bits(values, 8, 2) == 3) | (_bits(values, 14, 2) == 3)
    codes[cloud] = CLOUD
    codes[(_bits(values, 0) == 1) | (values == 0)] = FILL
    return codes


def _s2_scl(values: np.ndarray) -> np.ndarray:
    """Sentinel-2 scene classification; classes above 11 do not exist."""
    table = {
        0: FILL,
        1: BAD,  # saturated or defective
        2: SHADOW,  # dark area / cast shadow
        3: SHADOW,
        4: CLEAR,  # vegetation
        5: CLEAR,  # not vegetated
        6: CLEAR,  # water
        7: CLEAR,  # unclassified: land that fits no other class
        8: CLOUD,
        9: CLOUD,
        10: CLOUD,  # thin cirrus
        11: SNOW,
    }
    codes = np.full(values.shape, BAD, np.uint8)
    for value, code in table.items():
        codes[values == value] = code
    return codes


def _modis_vi_quality(values: np.ndarray) -> np.ndarray:
    """MOD13/MYD13 VI Quality; the last rule that fits wins.

    Kept: MODLAND 0 (good) and 1 (check other bits) with usefulness up to 12 (13-15: not useful,
    L1B faulty, not processed). An adjacent cloud (bit 8) is accepted, a mixed cloud (bit 10) not.
    """
    codes = np.full(values.shape, CLEAR, np.uint8)
    codes[_bits(values, 2, 4) >= 13] = BAD
    codes[_bits(values, 15) == 1] = SHADOW
    codes[_bits(values, 14) == 1] = SNOW
    codes[(_bits(values, 10) == 1) | (_bits(values, 0, 2) == 2)] = CLOUD
    codes[(_bits(values, 0, 2) == 3) | (values == 65535)] = FILL
    return codes


def _modis_state(values: np.ndarray) -> np.ndarray:
    """MOD09 surface reflectance state; the last rule that fits wins.

    Cloud state 3 is "not set, assumed clear". A pixel beside a cloud (bit 13) is accepted, small
    and average cirrus too; high cirrus and the internal cloud flag are not.
    """
    codes = np.full(values.shape, CLEAR, np.uint8)
    codes[(_bits(values, 12) == 1) | (_bits(values, 15) == 1)] = SNOW
    codes[_bits(values, 2) == 1] = SHADOW
    state = _bits(values, 0, 2)
    cloud = (state == 1) | (state == 2) | (_bits(values, 8, 2) == 3) | (_bits(values, 10) == 1)
    codes[cloud] = CLOUD
    codes[values == 65535] = FILL
    return codes


def _mcd43_mandatory(values: np.ndarray) -> np.ndarray:
    """MCD43 mandatory quality: 0 is a full inversion, 1 a magnitude inversion, 255 fill."""
    codes = np.full(values.shape, BAD, np.uint8)
    codes[values == 0] = CLEAR
    codes[values == 255] = FILL
    return codes


def _codes(values: np.ndarray) -> np.ndarray:
    """The codes of this module themselves; anything else is not usable."""
    return np.where(values <= BAD, values, BAD).astype(np.uint8)


def _landsat_radsat_tm(values: np.ndarray) -> np.ndarray:
    """Dropped pixels of Landsat 4-7 (bit 9); saturation is told band by band (`guard_lut`)."""
    return np.where(_bits(values, 9) == 1, BAD, CLEAR).astype(np.uint8)


def _landsat_radsat_oli(values: np.ndarray) -> np.ndarray:
    """Terrain occlusion of Landsat 8-9 (bit 11); saturation is told band by band."""
    return np.where(_bits(values, 11) == 1, SHADOW, CLEAR).astype(np.uint8)


MASK_RECIPES: dict[str, MaskRecipe] = {
    r.name: r
    for r in (
        MaskRecipe(
            "landsat_qa_pixel",
            1,
            "clear = clear bit set and no fill, dilated cloud, cirrus, cloud, shadow or snow, "
            "neither as flag nor with high confidence; water is clear",
            _landsat_qa_pixel,
            "USGS Landsat 8-9 Collection 2 Level 2 Science Product Guide, QA_PIXEL",
        ),
        MaskRecipe(
            "s2_scl",
            1,
            "clear = vegetation, not vegetated, water, unclassified (4, 5, 6, 7)",
            _s2_scl,
            "ESA Sentinel-2 Level-2A Algorithm Theoretical Basis Document, scene classification",
        ),
        MaskRecipe(
            "modis_vi_quality",
            1,
            "clear = MODLAND 0 or 1, usefulness 0-12, no mixed cloud, no snow or ice, no shadow",
            _modis_vi_quality,
            "Didan & Munoz, MODIS Vegetation Index User's Guide, Collection 6.1, table 5",
        ),
        MaskRecipe(
            "modis_state",
            1,
            "clear = cloud state clear or not set, no shadow, high cirrus, internal cloud or snow",
            _modis_state,
            "Vermote et al., MODIS Surface Reflectance User's Guide, Collection 6, state QA",
        ),
        MaskRecipe(
            "mcd43_mandatory",
            1,
            "clear = full BRDF inversion (0); magnitude inversions (1) are not used",
            _mcd43_mandatory,
            "Schaaf, MCD43 User's Guide, band mandatory quality",
        ),
        MaskRecipe(
            "landsat_radsat_tm",
            1,
            "spoils dropped pixels and those saturated in a band that is read (Landsat 4-7)",
            _landsat_radsat_tm,
            "USGS Landsat 4-7 Collection 2 Level 2 Science Product Guide, QA_RADSAT",
        ),
        MaskRecipe(
            "landsat_radsat_oli",
            1,
            "spoils pixels hidden by terrain and those saturated in a band that is read",
            _landsat_radsat_oli,
            "USGS Landsat 8-9 Collection 2 Level 2 Science Product Guide, QA_RADSAT",
        ),
        MaskRecipe(
            "codes",
            1,
            "a mask layer in the codes of this project: 0 clear, 1 no observation, 2 cloud, "
            "3 shadow, 4 snow, 5 not usable",
            _codes,
            "eco_index.sensors.CODES",
        ),
        MaskRecipe(
            "valid_value",
            1,
            "clear = the layer has a value in its valid range (layers composited elsewhere)",
            _codes,
            "eco_index.sensors.CODES",
        ),
        MaskRecipe(
            "simple_screen",
            1,
            "clear = no band at no-data and none beyond the thresholds that the catalogue declares",
            _codes,
            "thresholds of the user; lower quality",
        ),
    )
}


@lru_cache(maxsize=16)
def mask_lut(recipe: str, version: int = 1) -> np.ndarray:
    """Return the look-up table of a recipe.

    Returns
    -------
    ndarray of uint8, shape (65536,)
        Code (CLEAR, FILL, CLOUD, SHADOW, SNOW, BAD) of every stored value. Read-only.

    Raises
    ------
    UsageError
        No recipe of that name, or not in that version.
    """
    found = MASK_RECIPES.get(recipe)
    if found is None:
        raise UsageError(
            f"there is no mask recipe '{recipe}'",
            rule=f"known recipes: {', '.join(sorted(MASK_RECIPES))}",
            fix="correct 'mask.recipe' in the catalogue",
        )
    if found.version != version:
        raise UsageError(
            f"mask recipe '{recipe}' has version {found.version}, version {version} is asked for",
            rule="results of two versions of a recipe must not be mixed",
            fix=f"write 'version: {found.version}' in the catalogue and compute the periods again",
        )
    lut = found.build(np.arange(65536, dtype=np.uint32))
    lut.setflags(write=False)
    return lut


def guard_lut(recipe: str, version: int, bits: tuple[int, ...]) -> np.ndarray:
    """Return the look-up table of a guarding quality band.

    Parameters
    ----------
    recipe, version
        As in `mask_lut`.
    bits : tuple of int
        Bits that say that a band that is read was saturated.

    Returns
    -------
    ndarray of uint8, shape (65536,)
        CLEAR where the guard has nothing against a pixel.
    """
    lut = mask_lut(recipe, version).copy()
    values = np.arange(65536, dtype=np.uint32)
    for bit in bits:
        lut[(_bits(values, bit) == 1) & (lut == CLEAR)] = BAD
    return lut


def value_of_code(lut: np.ndarray, code: int) -> int:
    """Return the smallest quality value to which a recipe gives a code (BAD stands in for it)."""
    found = np.flatnonzero(lut == code)
    if not found.size:
        found = np.flatnonzero((lut != CLEAR) & (lut != FILL))
    return int(found[0])
