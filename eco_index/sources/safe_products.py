"""Sentinel-2 Level-2A SAFE directories, read by MTD_MSIL2A.xml, or by their names without it."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eco_index.catalog import Dataset
from eco_index.records import platform_id
from eco_index.sensors.decode import OFFSET_READ, OFFSET_REMOVED, UNOFFICIAL
from eco_index.sources.products import Product, Unreadable
from eco_index.sources.raster import short_reason

_NAME = re.compile(r"(S2[A-D])_MSIL2A_(\d{8}T\d{6})_N(\d\d)(\d\d)_R\d{3}_T\w{5}_\d{8}T\d{6}")
_BAND = re.compile(r"_(B\d[0-9A]|SCL|AOT|WVP)(_\d0m)?\.(jp2|tif)$")
_NEEDED = ("PRODUCT_URI", "PROCESSING_BASELINE", "PRODUCT_START_TIME")
_SCALE = "BOA_QUANTIFICATION_VALUE"


def products(folder: Path, dataset: Dataset) -> Iterator[Product | Unreadable]:
    """Yield the products below a folder."""
    roots = {p.parent for p in folder.rglob("MTD_MSIL2A.xml")}
    roots |= {p for p in folder.rglob("*.SAFE") if p.is_dir() and "MSIL2A" in p.name}
    for root in sorted(roots):
        try:
            metadata = root / "MTD_MSIL2A.xml"
            yield _by_xml(root, metadata) if metadata.is_file() else _by_name(root)
        except (ValueError, KeyError, OSError, ET.ParseError) as error:
            yield Unreadable(root.name, f"{root.name}: {short_reason(error)}")


def _files(root: Path) -> dict[str, Path]:
    """Return the images by band and resolution ('B04_10m') and, where single, by band ('B04')."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("IMG_DATA/**/*")):
        match = _BAND.search(path.name)
        if match:
            found[match[1] + (match[2] or "")] = path
    return found


def _by_name(root: Path) -> Product:
    match = _NAME.search(root.name)
    if match is None:
        raise ValueError("neither MTD_MSIL2A.xml nor a name after ESA's convention")
    when = dt.datetime.strptime(match[2], "%Y%m%dT%H%M%S").replace(tzinfo=dt.UTC)
    properties = {
        "platform": platform_id(match[1]),
        "s2:processing_baseline": f"{match[3]}.{match[4]}",
        "s2:product_uri": f"{match[0]}.SAFE",
    }
    return Product(match[0], when, _files(root), properties)


def _by_xml(root: Path, metadata: Path) -> Product:
    texts: dict[str, str] = {}
    offsets: set[str] = set()
    for element in ET.parse(metadata).iter():
        name, text = element.tag.rpartition("}")[2], (element.text or "").strip()
        if name == "BOA_ADD_OFFSET":
            offsets.add(text)
        elif text:
            texts.setdefault(name, text)
    missing = [
        k for k in ("PRODUCT_URI", "PROCESSING_BASELINE", "PRODUCT_START_TIME") if k not in texts
    ]
    if missing:
        raise ValueError(f"MTD_MSIL2A.xml lacks {', '.join(missing)}")
    when = dt.datetime.fromisoformat(texts["PRODUCT_START_TIME"]).astimezone(dt.UTC)
    uri, baseline = texts["PRODUCT_URI"], texts["PROCESSING_BASELINE"]
    properties: dict[str, Any] = {
        "platform": platform_id(texts.get("SPACECRAFT_NAME", uri[:3])),
        "s2:processing_baseline": baseline,
        "s2:product_uri": uri,
    }
    problem = ""
    found = {o for o in offsets if float(o) != 0}
    expected = {"-1000"} if float(baseline) >= 4.0 else set()
    if float(baseline) >= UNOFFICIAL:  # its number says nothing: the product does
        expected = found if found <= {"-1000"} else {"-1000"}
        properties |= {OFFSET_REMOVED: not found, OFFSET_READ: True}
    if found != expected:
        listed = ", ".join(sorted(offsets)) or "none"
        problem = f"BOA_ADD_OFFSET is {listed}, baseline {baseline} has {expected or 'none'}"
    if float(texts.get(_SCALE, "10000")) != 10000:
        problem = f"{_SCALE} is {texts[_SCALE]}, the record divides by 10000"
    return Product(uri.removesuffix(".SAFE"), when, _files(root), properties, problem)
