"""Zone layers, rivers and sandy land of the simulated region, as GeoPackages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from rasterio import features

from eco_index.simulation import places
from eco_index.simulation.landscape import SAND, World, river_half_width_px, river_lines
from eco_index.simulation.spec import SimSpec

LAYER_CRS = "EPSG:4490"  # not the grid's CRS, so that reprojection is exercised
# GeoPackage writes the time of writing; a fixed one keeps files identical.
STAMP = "2025-01-01T00:00:00.000Z"


def to_map(spec: SimSpec, uv: np.ndarray) -> np.ndarray:
    """Fractions (u east, v south) [n, 2] to grid coordinates (m)."""
    x, y = spec.origin
    return np.stack([x + uv[:, 0] * spec.extent_m, y - uv[:, 1] * spec.extent_m], axis=1)


def _densified(spec: SimSpec, geometry: shapely.Geometry) -> shapely.Geometry:
    # Straight on the grid is curved in degrees: one vertex every ~7 pixels keeps edges in place.
    return shapely.segmentize(geometry, max(spec.extent_m / 200, 2 * spec.resolution))


def outline(spec: SimSpec) -> shapely.Polygon:
    """The region on the grid's CRS."""
    return shapely.box(*spec.bounds)


def county_polygons(spec: SimSpec) -> list[shapely.Polygon]:
    """Counties on the grid's CRS; they partition the region and share every vertex of a border."""
    lines = [outline(spec).exterior]
    start = np.asarray(places.COUNTY_JUNCTION)
    for k, end in enumerate(places.COUNTY_LINES):
        direction = np.asarray(end) - start
        t = np.linspace(0, 1.02, 103)[:, np.newaxis]  # a little too long, cut at the outline
        normal = np.array([-direction[1], direction[0]])
        wave = np.sin(np.pi * np.minimum(t, 1)) * (
            0.045 * np.sin(9 * t + k) + 0.020 * np.sin(23 * t + 2 * k)
        )
        lines.append(shapely.LineString(to_map(spec, start + t * direction + wave * normal)))
    network = _densified(spec, shapely.unary_union(lines))
    faces = list(shapely.get_parts(shapely.polygonize(list(shapely.get_parts(network)))))
    found = []
    for _, name, (u, v), _ in places.COUNTIES:
        point = shapely.Point(to_map(spec, np.array([[u, v]]))[0])
        inside = [face for face in faces if face.contains(point)]
        if len(inside) != 1:
            raise AssertionError(f"no single polygon for {name.en}")
        found.append(inside[0])
    return found


def place_polygons(spec: SimSpec, chosen: Iterable[places.Place]) -> list[shapely.Polygon]:
    """Polygons of places on the grid's CRS, cut at the region's outline."""
    return [
        _densified(
            spec, shapely.Polygon(to_map(spec, p.blob.outline())).intersection(outline(spec))
        )
        for p in chosen
    ]


def functional_zones(
    spec: SimSpec,
) -> list[tuple[places.Place, str, places.Text, shapely.Geometry]]:
    """Reserve, value of the attribute, name and polygon on the grid's CRS of every zone.

    The zones of a reserve are cut out of one another: they share every vertex of a border.
    """
    found = []
    for reserve in places.RESERVES:
        inner: shapely.Geometry = shapely.Polygon()
        for value, name, factor in places.FUNCTIONAL_ZONES[reserve.code]:
            ring = replace(reserve, blob=reserve.blob.scaled(factor))
            (whole,) = place_polygons(spec, (ring,))
            found.append((reserve, value, name, shapely.difference(whole, inner)))
            inner = whole
    return found


def sandy_polygons(world: World) -> list[shapely.Polygon]:
    """Sandy land, drawn round the sand pixels of the first year."""
    spec = world.spec
    sand = world.states[spec.years[0]].classes[world.inner] == SAND
    shapes = features.shapes(sand.astype(np.uint8), mask=sand, transform=spec.grid.transform)
    union = shapely.unary_union([shapely.geometry.shape(s) for s, _ in shapes])
    # A digitised outline: a pixel wider than the sand, without the steps of the raster.
    drawn = union.buffer(1.5 * spec.resolution).simplify(0.5 * spec.resolution)
    return list(shapely.get_parts(drawn.intersection(outline(spec))))


def river_geometries(spec: SimSpec) -> list[shapely.Geometry]:
    """Centre lines of the rivers outside the lake, cut at the region's outline."""
    lake = shapely.Polygon(to_map(spec, places.LAKE.outline(240)))
    return [
        shapely.LineString(to_map(spec, line)).difference(lake).intersection(outline(spec))
        for line in river_lines()
    ]


def _layer(
    spec: SimSpec, geometries: list[shapely.Geometry], columns: dict[str, list[object]]
) -> gpd.GeoDataFrame:
    frame = gpd.GeoDataFrame(columns, geometry=geometries, crs=spec.crs_wkt)
    return frame.to_crs(LAYER_CRS)


def _place_columns(chosen: tuple[places.Place, ...]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        "code": [p.code for p in chosen],
        "name_zh": [p.name.zh for p in chosen],
        "name_en": [p.name.en for p in chosen],
    }
    for key in chosen[0].attributes:
        columns[key] = [p.attributes[key] for p in chosen]
    return columns


def _zone_columns(
    zones: list[tuple[places.Place, str, places.Text, shapely.Geometry]],
) -> dict[str, list[object]]:
    numbers: dict[str, int] = {}
    codes = []
    for reserve, *_ in zones:
        numbers[reserve.code] = numbers.get(reserve.code, 0) + 1
        codes.append(f"{reserve.code}-{numbers[reserve.code]}")
    return {
        "code": list(codes),
        "name_zh": [f"{r.name.zh}{name.zh}" for r, _, name, _ in zones],
        "name_en": [f"{r.name.en}, {name.en}" for r, _, name, _ in zones],
        "reserve": [r.code for r, *_ in zones],
        "reserve_zh": [r.name.zh for r, *_ in zones],
        "reserve_en": [r.name.en for r, *_ in zones],
        "functional_zone": [value for _, value, *_ in zones],
        **{key: [r.attributes[key] for r, *_ in zones] for key in zones[0][0].attributes},
    }


def layers(world: World) -> dict[str, gpd.GeoDataFrame]:
    """Return all vector layers by file name (without suffix), in degrees (CGCS2000)."""
    spec = world.spec
    counties: dict[str, list[object]] = {
        "code": [c[0] for c in places.COUNTIES],
        "name_zh": [c[1].zh for c in places.COUNTIES],
        "name_en": [c[1].en for c in places.COUNTIES],
    }
    for key in places.COUNTIES[0][3]:
        counties[key] = [c[3][key] for c in places.COUNTIES]
    sand = sandy_polygons(world)
    zones = functional_zones(spec)
    n = len(places.PROJECTS)
    return {
        "region": _layer(
            spec,
            [_densified(spec, outline(spec))],
            {"code": ["R01"], "name_zh": ["模拟示范区"], "name_en": ["Simulated region"]},
        ),
        "counties": _layer(spec, county_polygons(spec), counties),
        "nature_reserves": _layer(spec, [z[3] for z in zones], _zone_columns(zones)),
        "restoration_projects": _layer(
            spec,
            place_polygons(spec, places.PROJECTS),
            _place_columns(places.PROJECTS)
            | {"first_year": [spec.change_year] * n, "last_year": [spec.change_year] * n},
        ),
        "red_line": _layer(
            spec, place_polygons(spec, places.RED_LINE), _place_columns(places.RED_LINE)
        ),
        "basin": _layer(
            spec, place_polygons(spec, (places.BASIN,)), _place_columns((places.BASIN,))
        ),
        "rivers": _layer(
            spec,
            river_geometries(spec),
            {
                "name_zh": [name.zh for name, _ in places.RIVERS],
                "name_en": [name.en for name, _ in places.RIVERS],
                "width_m": [2 * river_half_width_px(spec) * spec.resolution] * len(places.RIVERS),
            },
        ),
        "sandy_land": _layer(
            spec,
            sand,
            {
                "code": [f"SD{k + 1:02d}" for k in range(len(sand))],
                "name_zh": ["白沙沙地"] * len(sand),
                "name_en": ["Baisha sandy land"] * len(sand),
            },
        ),
    }


def write_layers(world: World, folder: Path) -> None:
    """Write all vector layers as GeoPackages."""
    folder.mkdir(parents=True, exist_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": STAMP})
    try:
        for name, frame in layers(world).items():
            path = folder / f"{name}.gpkg"
            path.unlink(missing_ok=True)
            frame.to_file(path, layer=name, driver="GPKG", engine="pyogrio")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
