"""STAC items and collections of the simulated scenes, in the style of the public archives."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from eco_index.simulation import render
from eco_index.simulation.schedule import Orbit, Pass

if TYPE_CHECKING:
    from eco_index.simulation.window import Window

LANDSAT, SENTINEL2 = "landsat-c2l2", "sentinel-2-l2a"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
EXTENSIONS = [
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
]


@dataclass(frozen=True)
class Names:
    """Names of a scene and of its files."""

    collection: str
    id: str
    files: dict[str, str]
    datetime: dt.datetime
    platform: str
    baseline: str


def scene_names(item: Pass, orbit: Orbit) -> Names:
    """Return names as the archives give them."""
    day = item.date
    if orbit.sensor == "landsat":
        number = 8 + day.toordinal() % 2
        made = day + dt.timedelta(days=9)
        name = f"LC{number:02d}_L2SP_{orbit.track}_{day:%Y%m%d}_{made:%Y%m%d}_02_T1"
        files = {
            "red": f"{name}_SR_B4.TIF",
            "nir08": f"{name}_SR_B5.TIF",
            "qa_pixel": f"{name}_QA_PIXEL.TIF",
        }
        time = dt.datetime(day.year, day.month, day.day, 3, 9, 27, tzinfo=dt.UTC)
        return Names(LANDSAT, name, files, time, f"landsat-{number}", "")
    baseline = "03.01" if item.flaw == "old_baseline" else ("05.10", "05.11")[day.year % 2]
    letter = "AB"[day.toordinal() % 2]
    time = dt.datetime(day.year, day.month, day.day, 3, 25, 41, tzinfo=dt.UTC)
    stamp = f"{time:%Y%m%dT%H%M%S}"
    name = (
        f"S2{letter}_MSIL2A_{stamp}_N{baseline.replace('.', '')}_R{orbit.relative_orbit:03d}"
        f"_T{orbit.track}_{day:%Y%m%d}T073215"
    )
    files = {
        "red": f"T{orbit.track}_{stamp}_B04_20m.tif",
        "nir08": f"T{orbit.track}_{stamp}_B8A_20m.tif",
        "scl": f"T{orbit.track}_{stamp}_SCL_20m.tif",
    }
    return Names(SENTINEL2, name, files, time, f"sentinel-2{letter.lower()}", baseline)


def _asset(key: str, names: Names, size: int) -> dict[str, Any]:
    landsat = names.collection == LANDSAT
    asset: dict[str, Any] = {
        "href": f"./{names.files[key]}",
        "type": COG,
        "file:size": size,
    }
    if key in ("red", "nir08"):
        band = {
            ("red", True): "SR_B4",
            ("nir08", True): "SR_B5",
            ("red", False): "B04",
            ("nir08", False): "B8A",
        }[key, landsat]
        scale = 2.75e-5 if landsat else 1e-4
        offset = -0.2 if landsat else (0.0 if names.baseline < "04.00" else -0.1)
        asset |= {
            "title": {"red": "Red", "nir08": "Near infrared (narrow)"}[key],
            "roles": ["data", "reflectance"],
            "eo:bands": [{"name": band, "common_name": key}],
            "raster:bands": [
                {"nodata": 0, "data_type": "uint16", "scale": scale, "offset": offset}
            ],
        }
    else:
        asset |= {
            "title": "Pixel quality (QA_PIXEL)" if landsat else "Scene classification (SCL)",
            "roles": ["data", "cloud", "cloud-shadow", "snow-ice"] if landsat else ["data"],
            "raster:bands": [
                {"nodata": 1, "data_type": "uint16"}
                if landsat
                else {"nodata": 0, "data_type": "uint8"}
            ],
        }
    return asset


def scene_item(
    item: Pass,
    orbit: Orbit,
    names: Names,
    window: Window,
    sizes: dict[str, int],
    counts: np.ndarray,
) -> dict[str, Any]:
    """Return the STAC item of a scene; `counts` are pixels by render class."""
    seen = max(1, int(counts.sum() - counts[render.FILL]))

    def percent(*classes: int) -> float:
        return round(100.0 * float(sum(counts[c] for c in classes)) / seen, 2)

    cloud = percent(render.CLOUD, render.RIM)
    t = window.transform
    properties: dict[str, Any] = {
        "datetime": f"{names.datetime:%Y-%m-%dT%H:%M:%SZ}",
        "created": f"{names.datetime + dt.timedelta(days=9):%Y-%m-%dT%H:%M:%SZ}",
        "description": "Simulated scene; shows no real place.",
        "platform": names.platform,
        "gsd": t.a,
        "eo:cloud_cover": cloud,
        "proj:epsg": orbit.epsg,
        "proj:shape": list(window.shape),
        "proj:transform": [t.a, t.b, t.c, t.d, t.e, t.f],
    }
    if names.collection == LANDSAT:
        properties |= {
            "constellation": "landsat",
            "instruments": ["oli", "tirs"],
            "landsat:collection_number": "02",
            "landsat:collection_category": "T1",
            "landsat:correction": "L2SP",
            "landsat:wrs_type": "2",
            "landsat:wrs_path": orbit.track[:3],
            "landsat:wrs_row": orbit.track[3:],
            "landsat:cloud_cover_land": cloud,
        }
    else:
        properties |= {
            "constellation": "sentinel-2",
            "instruments": ["msi"],
            "s2:processing_baseline": names.baseline,
            "s2:mgrs_tile": orbit.track,
            "s2:product_type": "S2MSI2A",
            "s2:nodata_pixel_percentage": round(
                100.0 * float(counts[render.FILL]) / float(counts.sum()), 2
            ),
            "s2:cloud_shadow_percentage": percent(render.SHADOW, render.SHADOW_DEEP),
            "s2:snow_ice_percentage": percent(render.SNOW),
            "sat:relative_orbit": orbit.relative_orbit,
        }
    back = {"href": "../collection.json", "type": "application/json"}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": EXTENSIONS,
        "id": names.id,
        "collection": names.collection,
        "bbox": [round(c, 7) for c in window.footprint.bounds],
        "geometry": shapely.geometry.mapping(window.footprint),
        "properties": properties,
        "links": [{"rel": rel} | back for rel in ("root", "parent", "collection")],
        "assets": {key: _asset(key, names, size) for key, size in sizes.items()},
    }


_ABOUT = {
    LANDSAT: (
        "Simulated Landsat (Collection 2 Level-2 style)",
        "Simulated surface reflectance in the integer scaling of Landsat Collection 2 Level-2, "
        "with QA_PIXEL. One file is truncated on purpose.",
    ),
    SENTINEL2: (
        "Simulated Sentinel-2 (Level-2A style)",
        "Simulated surface reflectance in the integer scaling of Sentinel-2 Level-2A at 20 m, with "
        "scene classification. One scene lacks a band and one has an old baseline, on purpose.",
    ),
}


def write_collections(stac: list[dict[str, Any]], root: Path) -> None:
    """Write one ``collection.json`` for each sensor, with a link to every item."""
    for collection, (title, description) in _ABOUT.items():
        mine = sorted(
            (s for s in stac if s["collection"] == collection), key=lambda s: str(s["id"])
        )
        boxes = np.array([s["bbox"] for s in mine])
        times = sorted(s["properties"]["datetime"] for s in mine)
        write_json(
            root / collection / "collection.json",
            {
                "type": "Collection",
                "stac_version": "1.0.0",
                "stac_extensions": [],
                "id": collection,
                "title": title,
                "description": description,
                "license": "CC0-1.0",
                "keywords": ["simulated"],
                "providers": [{"name": "eco-index simulation", "roles": ["producer"]}],
                "extent": {
                    "spatial": {
                        "bbox": [
                            [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
                        ]
                    },
                    "temporal": {"interval": [[times[0], times[-1]]]},
                },
                "links": [
                    {"rel": "root", "href": "./collection.json", "type": "application/json"},
                    *(
                        {
                            "rel": "item",
                            "href": f"./{s['id']}/{s['id']}.json",
                            "type": "application/geo+json",
                        }
                        for s in mine
                    ),
                ],
            },
        )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with stable order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
