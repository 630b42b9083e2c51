"""What archives say in their own words, translated: properties, offsets, platforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eco_index.catalog import Dataset
from eco_index.records import Dialect, load_dialect, load_record, platform_id
from eco_index.sensors import OFFSET_REMOVED

# Properties that decide how a scene is read, and the platform; nothing else is kept.
KEPT_PROPERTIES = (
    "platform",
    "s2:processing_baseline",
    "processing:version",
    "processing:baseline",
    "s2:product_uri",
    "sentinel:product_id",
    "earthsearch:boa_offset_applied",
    "landsat:collection_category",
)


def dialect_of(dataset: Dataset) -> Dialect | None:
    """Return the dialect of a dataset's archive, None where none is named."""
    name = getattr(dataset.access, "dialect", None)
    return load_dialect(name) if name else None


def kept_properties(properties: Mapping[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Return the properties that decide values; an archive's own words are translated."""
    kept = {k: properties[k] for k in KEPT_PROPERTIES if k in properties}
    access = dataset.access
    if dataset.offset_rule != "sentinel2_baseline_0400":
        return kept
    stated = getattr(access, "boa_offset", "as_stated")
    dialect = dialect_of(dataset)
    if stated != "as_stated":
        kept[OFFSET_REMOVED] = stated == "removed"
    elif dialect is not None:
        entry = dialect.collections[str(getattr(access, "collection", ""))]
        if entry.boa_offset == "by_property":
            kept[OFFSET_REMOVED] = properties.get(entry.boa_offset_property or "") is True
        else:
            kept[OFFSET_REMOVED] = entry.boa_offset == "removed"
    return kept


def of_record(dataset: Dataset, properties: Mapping[str, Any]) -> bool:
    """Whether a scene is of the dataset's sensor: a collection may hold several."""
    platform = properties.get("platform")
    if dataset.record is None or not platform:
        return True
    platforms = load_record(dataset.record).platforms
    return not platforms or platform_id(str(platform)) in platforms
