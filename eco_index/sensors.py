"""What a pixel of a sensor means: mask recipes, and how stored values become physical ones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from eco_index.catalog import Dataset
from eco_index.errors import InputError, UsageError

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

SENTINEL2_OFFSET = -0.1  # RADIO_ADD_OFFSET -1000 / QUANTIFICATION_VALUE 10000, baseline >= 04.00


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


@dataclass(frozen=True)
class Decode:
    """How a stored value becomes a physical one: stored x scale + offset.

    Attributes
    ----------
    scale, offset : float
    nodata : float
        Stored value that means nothing; NaN where there is none.
    valid_min, valid_max : float
        Range of stored values that are measurements (infinite where not stated).
    """

    scale: float
    offset: float
    nodata: float
    valid_min: float
    valid_max: float

    def as_tuple(self) -> tuple[float, float, float, float, float]:
        """For kernels: scale, offset, nodata, valid_min, valid_max."""
        return self.scale, self.offset, self.nodata, self.valid_min, self.valid_max


_BASELINE_KEYS = ("s2:processing_baseline", "processing:version", "processing:baseline")
_BASELINE_IN_NAME = re.compile(r"_N(\d{2})(\d{2})_")


def baseline_of(properties: Mapping[str, Any]) -> str | None:
    """Return the Sentinel-2 processing baseline ('05.09') that an item states, or None."""
    for key in _BASELINE_KEYS:
        value = properties.get(key)
        if value is not None and re.fullmatch(r"\d{1,2}(\.\d{1,2})?", str(value)):
            major, _, minor = str(value).partition(".")
            return f"{int(major):02d}.{minor or '0':0<2}"
    for key in ("s2:product_uri", "sentinel:product_id"):
        match = _BASELINE_IN_NAME.search(str(properties.get(key, "")))
        if match:
            return f"{match[1]}.{match[2]}"
    return None


def decode_of(dataset: Dataset, band: str, properties: Mapping[str, Any]) -> Decode:
    """Return how `band` of a scene is decoded, after the dataset's offset rule.

    Parameters
    ----------
    dataset : Dataset
        Catalogue entry; the scale in it counts, never a tag of the file (MODIS files carry a
        ``scale_factor`` of 10000 that means "divide").
    band : str
        Common band name.
    properties : mapping
        Properties of the scene's item.

    Raises
    ------
    InputError
        The offset rule needs the processing baseline and the item does not state it.
    """
    entry = dataset.bands[band]
    offset = entry.offset
    is_mask = dataset.mask is not None and band == dataset.mask.band
    if dataset.offset_rule == "sentinel2_baseline_0400" and not is_mask:
        baseline = baseline_of(properties)
        if baseline is None:
            raise InputError(
                "processing baseline not stated: reflectance cannot be decoded safely",
                rule="values of baseline 04.00 and later are stored with an offset of 1000",
            )
        removed = properties.get("earthsearch:boa_offset_applied") is True
        offset = SENTINEL2_OFFSET if float(baseline) >= 4.0 and not removed else 0.0
    low, high = entry.valid_range or (-math.inf, math.inf)
    nodata = math.nan if entry.nodata is None else float(entry.nodata)
    return Decode(float(entry.scale), float(offset), nodata, float(low), float(high))


def needed_bands(dataset: Dataset) -> tuple[str, ...]:
    """Return the bands a composite reads: red, nir and further ones, or ndvi; and the mask band.

    Raises
    ------
    InputError
        The dataset has neither.
    """
    mask = dataset.mask.band if dataset.mask else None
    if "ndvi" in dataset.bands:
        bands: tuple[str, ...] = ("ndvi",)
    elif {"red", "nir"} <= set(dataset.bands):
        bands = ("red", "nir", *dataset.also_read)
    else:
        raise InputError(
            "the dataset has neither the bands 'red' and 'nir' nor a band 'ndvi'",
            where=dataset.title.en,
            rule="NDVI needs red and near infrared",
        )
    return (*bands, mask) if mask is not None else bands
