"""A small region with files of its own, for the tests of zones, change and assessment."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import yaml
from outputs import written
from shapely.geometry import Polygon, box

from eco_index.config import Region, load_region

CRS = (
    "+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +x_0=0 +y_0=0 +ellps=GRS80 +units=m +no_defs"
)
X0, Y1, RES = 703920.0, 4690980.0, 30.0


def pixel_polygon(points: list[tuple[float, float]]) -> Polygon:
    """Return a polygon given in (column, row) pixel coordinates."""
    return Polygon([(X0 + x * RES, Y1 - y * RES) for x, y in points])


def pixel_box(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    return box(X0 + x0 * RES, Y1 - y1 * RES, X0 + x1 * RES, Y1 - y0 * RES)


def write_layer(path: Path, shapes: list, crs: str | None = CRS, **columns: list) -> None:
    n = len(shapes)
    table = {
        "code": [f"z{i}" for i in range(n)],
        "name_zh": [f"区{i}" for i in range(n)],
        "name_en": [f"zone {i}" for i in range(n)],
    } | columns
    frame = gpd.GeoDataFrame(table, geometry=shapes, crs=crs)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_file(path)


def make_region(
    folder: Path,
    layers: dict[str, list],
    *,
    width: int = 64,
    height: int = 48,
    tile: int = 16,
    columns: dict[str, dict[str, list]] | None = None,
    extra: dict | None = None,
    layer_extra: dict | None = None,
    programmes: tuple[str, ...] = ("whole_region",),
    datasets: dict | None = None,
    simulated: bool = True,
) -> Region:
    """Write layers, catalogue and region file, and load them."""
    entry = {
        "title": {"zh": "数据", "en": "data"},
        "source": "simulated" if simulated else "made for a test",
        "licence": "CC0-1.0",
    }
    catalogue: dict = {
        "imagery": entry
        | {
            "access": {"type": "stac_folder", "path": "stac"},
            "bands": {"red": {"asset": ["red"]}, "qa": {"asset": ["qa"]}},
            "mask": {"band": "qa", "recipe": "landsat_qa_pixel"},
        },
        "map": entry | {"access": {"type": "raster", "path": "lc_{year}.tif"}},
    } | {k: entry | v for k, v in (datasets or {}).items()}
    catalogue |= written()
    region_layers = {}
    for name, shapes in layers.items():
        write_layer(folder / f"{name}.gpkg", shapes, **(columns or {}).get(name, {}))
        catalogue[name] = entry | {"access": {"type": "vector", "path": f"{name}.gpkg"}}
        region_layers[name] = {
            "dataset": name,
            "title": {"zh": name, "en": name},
            "id": "code",
            "name": {"zh": "name_zh", "en": "name_en"},
            "attributes": sorted((columns or {}).get(name, {})),
        } | (layer_extra or {}).get(name, {})
    (folder / "catalog.yaml").write_text(
        yaml.safe_dump({"version": 1, "datasets": catalogue}, allow_unicode=True), encoding="utf-8"
    )
    region = {
        "id": "test",
        "name": {"zh": "试验区", "en": "test region"},
        "catalog": "catalog.yaml",
        "output": "out",
        "grid": {
            "crs": CRS,
            "resolution": RES,
            "bounds": [X0, Y1 - height * RES, X0 + width * RES, Y1],
            "tile": tile,
            "chunk": tile,
        },
        "years": {"first": 2024, "last": 2025},
        "months": {"first": 5, "last": 8},
        "season": {"first": 5, "last": 8},
        "imagery": ["imagery"],
        "landcover": {"dataset": "map"},
        "layers": region_layers,
        "programmes": list(programmes),
    } | (extra or {})
    (folder / "region.yaml").write_text(
        yaml.safe_dump(region, allow_unicode=True), encoding="utf-8"
    )
    return load_region(folder / "region.yaml")


def random_zones(rng: np.random.Generator, n: int, width: int, height: int) -> list[Polygon]:
    """Return star-shaped polygons side by side: valid, irregular, without overlap."""
    shapes = []
    step = width / n
    for k in range(n):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        radius = rng.uniform(0.2, 0.49, 12)
        x = step * (k + 0.5) + step * radius * np.cos(angles)
        y = height / 2 + height * radius * np.sin(angles)
        shapes.append(pixel_polygon(list(zip(x, y, strict=True))).buffer(0))
    return shapes
