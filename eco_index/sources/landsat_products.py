"""Product directories of Landsat Collection 2 Level 2, read by their MTL file."""

from __future__ import annotations

import datetime as dt
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from eco_index.catalog import Dataset
from eco_index.records import platform_id
from eco_index.sources.products import Product, Unreadable
from eco_index.sources.raster import short_reason

Groups = dict[str, dict[str, str]]
_SUFFIXES = (".json", ".xml", ".txt")


def products(folder: Path, dataset: Dataset) -> Iterator[Product | Unreadable]:
    """Yield the products below a folder (one for each product, whatever forms its MTL has)."""
    seen: set[str] = set()
    for path in sorted(p for p in folder.rglob("*_MTL.*") if p.suffix in _SUFFIXES):
        stem = path.name.split("_MTL.")[0]
        key = f"{path.parent}/{stem}"
        if key in seen:
            continue
        seen.add(key)
        try:
            yield _product(path, stem, read_mtl(path), dataset)
        except (KeyError, ValueError, OSError, ET.ParseError) as error:
            yield Unreadable(stem, f"{path.name} cannot be read: {short_reason(error)}")


def read_mtl(path: Path) -> Groups:
    """Return the groups of an MTL file in any of its three forms.

    Raises
    ------
    ValueError, KeyError, OSError, xml.etree.ElementTree.ParseError
        It is not what its suffix says.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return {k: dict(v) for k, v in json.loads(text)["LANDSAT_METADATA_FILE"].items()}
    if path.suffix == ".xml":
        return {g.tag: {e.tag: (e.text or "") for e in g} for g in ET.fromstring(text)}
    groups: Groups = {}
    name = ""
    for line in text.splitlines():
        key, found, value = (part.strip() for part in line.partition("="))
        if not found:
            continue
        if key == "GROUP":
            name = value
        elif key != "END_GROUP":
            groups.setdefault(name, {})[key] = value.strip('"')
    return groups


def _product(path: Path, stem: str, groups: Groups, dataset: Dataset) -> Product:
    contents, image = groups["PRODUCT_CONTENTS"], groups["IMAGE_ATTRIBUTES"]
    product_id = contents["LANDSAT_PRODUCT_ID"]
    # The time has more digits than a datetime takes: "14:31:47.8083990Z".
    time = re.sub(r"\.\d*", "", image["SCENE_CENTER_TIME"].strip('"')).rstrip("Z")
    when = dt.datetime.fromisoformat(f"{image['DATE_ACQUIRED']}T{time}").replace(tzinfo=dt.UTC)
    files = {
        p.name.removeprefix(f"{stem}_"): p
        for p in sorted(path.parent.glob(f"{stem}_*"))
        if p.suffix.lower() in (".tif", ".tiff", ".hdf")
    }
    properties = {
        "platform": platform_id(image["SPACECRAFT_ID"]),
        "landsat:collection_category": product_id.rsplit("_", 1)[-1],
    }
    problem = ""
    if not contents.get("PROCESSING_LEVEL", "").startswith("L2"):
        problem = f"processing level {contents.get('PROCESSING_LEVEL')}: surface reflectance is L2"
    return Product(product_id, when, files, properties, problem or _scales(groups, dataset))


def _scales(groups: Groups, dataset: Dataset) -> str:
    """Return how the file's scales differ from the record's; empty where they agree."""
    stated = groups.get("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", {})
    for band in (dataset.bands[b] for b in ("red", "nir") if b in dataset.bands):
        numbers = [m[1] for key in band.asset if (m := re.search(r"SR_B(\d)", key))]
        for key, ours in (("MULT", band.scale), ("ADD", band.offset)):
            name = f"REFLECTANCE_{key}_BAND_{numbers[0] if numbers else ''}"
            text = stated.get(name)
            if text is not None and abs(float(text) - ours) > 1e-9:
                return f"MTL states {name} = {text}, the record has {ours}"
    return ""
