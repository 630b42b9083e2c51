"""The 12 leagues and 103 banners of Inner Mongolia as they circulate: GeoJSON in GCJ-02."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import yaml
from outputs import written
from pyproj import Geod
from shared_data import DATA, REAL, ROOT

from eco_index.config import Region, load_region
from eco_index.errors import InputError
from eco_index.grid import Grid
from eco_index.shares import WHOLE
from eco_index.zone_raster import zone_pixels
from eco_index.zone_shift import find_shift
from eco_index.zones import load_layer

FOLDER = DATA / "inner_mongolia_admin_datav"

pytestmark = REAL


def make(folder: Path, resolution: float, layers: dict[str, dict]) -> Region:
    """Write a region with Inner Mongolia's own grid, coarser."""
    source = yaml.safe_load((ROOT / "configs/regions/inner_mongolia.yaml").read_text("utf-8"))
    entry = {"title": {"zh": "旗县", "en": "banners"}, "source": "DataV", "licence": "none"}
    bands = {b: {"asset": [b]} for b in ("red", "nir", "qa")}
    imagery = {"access": {"type": "stac_folder", "path": "none"}, "bands": bands}
    datasets = {
        "imagery": entry | imagery | {"mask": {"band": "qa", "recipe": "landsat_qa_pixel"}},
        "banners": entry | {"access": {"type": "vector", "path": "banners.geojson"}},
        "leagues": entry | {"access": {"type": "vector", "path": str(FOLDER / "150000.json")}},
    } | written()
    common = {"title": entry["title"], "id": "adcode", "name": {"zh": "name", "en": "name"}}
    xmin, ymin, xmax, ymax = source["grid"]["bounds"]
    columns, rows = -((xmin - xmax) // resolution), -((ymin - ymax) // resolution)
    bounds = [xmin, ymax - rows * resolution, xmin + columns * resolution, ymax]
    source |= {
        "catalog": "catalog.yaml",
        "output": "out",
        "imagery": ["imagery"],
        "layers": {name: common | {"dataset": name} | more for name, more in layers.items()},
        "programmes": [],
        "grid": source["grid"] | {
            "resolution": resolution, "bounds": bounds, "tile": 256, "chunk": 256
        },
    }  # fmt: skip
    source["layers"]["counties"] = common | {"dataset": "banners"}
    source["programmes"] = ["whole_region"]
    for key in ("landcover", "statistics", "units"):
        source.pop(key)
    for name, document in (
        ("catalog.yaml", {"version": 1, "datasets": datasets}),
        ("region.yaml", source),
    ):
        (folder / name).write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return load_region(folder / "region.yaml")


@pytest.fixture(scope="module")
def banners() -> gpd.GeoDataFrame:
    parts = [gpd.read_file(path) for path in sorted(FOLDER.glob("city_*.json"))]
    table = pd.concat(parts, ignore_index=True)[["adcode", "name", "parent", "geometry"]]
    table["league"] = [str(p["adcode"]) for p in table.pop("parent")]
    return gpd.GeoDataFrame(table, crs=4326)


def repaired(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return table.set_geometry(table.geometry.make_valid(method="structure"))


def test_the_invalid_banner_is_named(banners, tmp_path):
    banners.to_file(tmp_path / "banners.geojson")
    region = make(tmp_path, 3000, {"banners": {"partition": False}})
    with pytest.raises(InputError, match="1502.*has an invalid geometry"):
        load_layer(region, "banners")


def test_datum_is_noticed_and_converted(banners, tmp_path):
    repaired(banners).to_file(tmp_path / "banners.geojson")
    declared = {"datum": "gcj02", "partition": False}
    layers = {"banners": declared, "leagues": {"partition": False}}
    region = make(tmp_path, 3000, layers)
    found = find_shift(load_layer(region, "banners"), load_layer(region, "leagues"))
    assert found is not None
    assert found.layer == "leagues"
    assert found.matched_moved > 0.5 > 0.2 > found.matched  # leagues are generalised
    assert 400 < found.distance_m < 900
    assert found.east_m > 300  # eastwards, as the manifest says
    region = make(tmp_path, 3000, {"banners": declared, "leagues": declared})
    assert find_shift(load_layer(region, "banners"), load_layer(region, "leagues")) is None


def test_banners_cover_their_leagues_pixel_by_pixel(banners, tmp_path):
    """Exact shares of 103 banners on a 3 km grid: geodesic areas, and leagues as their sums."""
    repaired(banners).to_file(tmp_path / "banners.geojson")
    more = {"datum": "gcj02", "partition": False, "coverage": "exact"}
    region = make(tmp_path, 3000, {"banners": more | {"attributes": ["league"]}})
    layer = load_layer(region, "banners")
    assert len(layer) == 103 and not layer.outside
    grid: Grid = region.grid
    shares = np.zeros(len(layer))
    for tile in grid.tiles():
        for sheet in range(layer.n_sheets):
            drawn = zone_pixels(layer, grid, tile, sheet)
            shares += np.bincount(drawn.ids[drawn.ids > 0] - 1, minlength=len(layer))
            np.add.at(shares, drawn.shares.zone, drawn.shares.share / WHOLE)
    area = shares * grid.pixel_area_m2 / 1e6
    assert area == pytest.approx(layer.area_km2, rel=1e-9)
    geod, degrees = Geod(ellps="GRS80"), layer.gdf.to_crs(4490).geometry
    geodesic = [abs(geod.geometry_area_perimeter(s)[0]) / 1e6 for s in degrees]
    assert area.sum() == pytest.approx(sum(geodesic), rel=2e-4)
    assert area.sum() == pytest.approx(1_144_879, rel=2e-3)  # the manifest's figure, in GCJ-02
    leagues = gpd.read_file(FOLDER / "150000.json")
    for code, shape in zip(leagues["adcode"].astype(str), leagues.geometry, strict=True):
        own = sum(a for a, z in zip(area, layer.attributes, strict=True) if z["league"] == code)
        whole = abs(geod.geometry_area_perimeter(shapely.make_valid(shape))[0]) / 1e6
        assert own == pytest.approx(whole, rel=0.02), code
