"""What a pixel of a sensor means: mask recipes, and how stored values become physical ones."""

from eco_index.sensors.decode import (
    CALIBRATION,
    OFFSET_REMOVED,
    SENTINEL2_OFFSET,
    Decode,
    baseline_of,
    decode_of,
    extra_parameters,
    needed_bands,
)
from eco_index.sensors.masks import (
    BAD,
    CLEAR,
    CLOUD,
    CODES,
    FILL,
    MASK_RECIPES,
    SHADOW,
    SNOW,
    MaskRecipe,
    guard_lut,
    mask_lut,
    value_of_code,
)

__all__ = [
    "BAD",
    "CALIBRATION",
    "CLEAR",
    "CLOUD",
    "CODES",
    "FILL",
    "MASK_RECIPES",
    "OFFSET_REMOVED",
    "SENTINEL2_OFFSET",
    "SHADOW",
    "SNOW",
    "Decode",
    "MaskRecipe",
    "baseline_of",
    "decode_of",
    "extra_parameters",
    "guard_lut",
    "mask_lut",
    "needed_bands",
    "value_of_code",
]
