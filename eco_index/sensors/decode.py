"""How stored values become physical ones: scale, offset rules, calibration, harmonisation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eco_index.catalog import Dataset
from eco_index.errors import InputError
from eco_index.records import load_harmonisation, platform_id

SENTINEL2_OFFSET = -0.1  # BOA_ADD_OFFSET -1000 / QUANTIFICATION_VALUE 10000, baseline >= 04.00
OFFSET_REMOVED = "eco:boa_offset_removed"  # property: the archive has taken the offset out
OFFSET_READ = "eco:boa_offset_read"  # property: the product's own metadata say so
#: Baselines from here on (99.99) are of Sen2Cor run by somebody: the offset is that of its input.
UNOFFICIAL = 90.0
CALIBRATION = "eco:calibration"  # property: band -> [scale, offset] of this scene


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
        stated = properties.get("earthsearch:boa_offset_applied")
        removed = properties.get(OFFSET_REMOVED, stated) is True
        told = getattr(dataset.access, "boa_offset", "as_stated") != "as_stated"
        if float(baseline) >= UNOFFICIAL and not (told or properties.get(OFFSET_READ)):
            raise InputError(
                f"processing baseline {baseline} is of a Sen2Cor that was run by somebody: its "
                "number does not say whether values are stored with an offset of 1000",
                rule="that follows from the Level-1C it was made of",
                fix="state 'access.boa_offset', or take the official processing",
            )
        offset = SENTINEL2_OFFSET if float(baseline) >= 4.0 and not removed else 0.0
    scale = entry.scale
    if getattr(dataset.access, "calibration", None) is not None and not is_mask:
        try:
            scale, offset = properties[CALIBRATION][band]
        except KeyError:
            raise InputError(f"the scene has no calibration of band {band}") from None
    if dataset.harmonisation is not None and not is_mask:
        scale, offset = _harmonised(dataset, band, properties, scale, offset)
    low, high = entry.valid_range or (-math.inf, math.inf)
    nodata = math.nan if entry.nodata is None else float(entry.nodata)
    return Decode(float(scale), float(offset), nodata, float(low), float(high))


def _harmonised(
    dataset: Dataset, band: str, properties: Mapping[str, Any], scale: float, offset: float
) -> tuple[float, float]:
    """Return scale and offset with the line of the scene's platform folded in."""
    assert dataset.harmonisation is not None
    record = load_harmonisation(dataset.harmonisation)
    stated = properties.get("platform")
    if not stated:
        raise InputError(f"the item states no platform: harmonisation '{record.id}' needs it")
    found = record.of(platform_id(str(stated)))
    if found is None:
        raise InputError(f"harmonisation '{record.id}' has no coefficients for {stated}")
    if not found.lines:
        return scale, offset
    if band not in found.lines:
        raise InputError(f"harmonisation '{record.id}' has no line for band {band} of {stated}")
    keys = dataset.bands[band].asset
    if band == "nir" and found.nir_assets and not set(keys) <= set(found.nir_assets):
        raise InputError(
            f"harmonisation '{record.id}' holds for the narrow near infrared "
            f"({', '.join(found.nir_assets)}) only, the dataset reads {', '.join(keys)}"
        )
    line = found.lines[band]
    return scale * line.slope, offset * line.slope + line.intercept


def extra_parameters(dataset: Dataset) -> dict[str, Any]:
    """Return what else of a dataset changes results, for digests; empty where nothing is set."""
    if dataset.harmonisation is None:
        return {}
    record = load_harmonisation(dataset.harmonisation)
    return {"harmonisation": record.model_dump(mode="json", exclude={"title", "notes"})}


def needed_bands(dataset: Dataset) -> tuple[str, ...]:
    """Return the bands a composite reads: red and nir, or ndvi, and the mask band.

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
