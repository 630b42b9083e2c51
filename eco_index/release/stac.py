"""A static STAC catalogue of a release: one collection, one item."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pystac
import shapely
from pyproj import Transformer

from eco_index.cube import CubeView
from eco_index.cube.template import composite_of
from eco_index.period import Period
from eco_index.products import PRODUCTS, products_of
from eco_index.summary import Summary

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
DATACUBE = "https://stac-extensions.github.io/datacube/v2.2.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
ZARR_MEDIA = "application/vnd.zarr; version=3"


def write_stac(
    folder: Path, release: dict[str, Any], summaries: list[Summary], view: CubeView, period: Period
) -> None:
    """Write ``stac/`` of a staged release.

    Parameters
    ----------
    folder : Path
        The staged release; assets that lie in it are listed.
    release : dict
        Content of release.json.
    summaries : list of Summary
        Assessments of the release.
    view : CubeView
        The cube at the pinned snapshot.
    period : Period
        What is published.
    """
    region = summaries[0].region
    start, end = (
        dt.datetime.combine(d, t, dt.UTC)
        for d, t in ((period.start, dt.time.min), (period.end, dt.time(23, 59, 59)))
    )
    outline = _outline(view)
    bbox = list(shapely.bounds(outline).tolist())
    name = release["name"]
    item = pystac.Item(
        id=f"{region.id}-{period.id}-{name}",
        geometry=shapely.geometry.mapping(outline),
        bbox=bbox,
        datetime=None,
        start_datetime=start,
        end_datetime=end,
        properties=_properties(release, view, period),
        stac_extensions=[PROJECTION, DATACUBE, PROCESSING],
    )
    collection = pystac.Collection(
        id=f"{region.id}-{period.id}",
        title=f"{region.name.en}: ecological status, {period.id}",
        description=_description(release, summaries),
        license="other",
        extent=pystac.Extent(pystac.SpatialExtent([bbox]), pystac.TemporalExtent([[start, end]])),
        keywords=["ecology", "vegetation cover", "land cover", "Zarr", *release["programmes"]],
    )
    collection.extra_fields["eco:release"] = name
    collection.add_item(item)
    collection.normalize_hrefs(str(folder / "stac"))
    for key, asset in _assets(folder, period).items():
        asset.href = str(folder / asset.href)
        item.add_asset(key, asset)
    collection.make_all_asset_hrefs_relative()
    collection.save(catalog_type=pystac.CatalogType.SELF_CONTAINED)


def _outline(view: CubeView) -> shapely.Polygon:
    to_lonlat = Transformer.from_crs(view.grid.crs, "OGC:CRS84", always_xy=True)
    box = shapely.segmentize(shapely.box(*view.grid.bounds), _edge(view) / 8)
    points = shapely.get_coordinates(box)
    lon, lat = to_lonlat.transform(points[:, 0], points[:, 1])
    return shapely.Polygon([(round(a, 6), round(b, 6)) for a, b in zip(lon, lat, strict=True)])


def _edge(view: CubeView) -> float:
    xmin, ymin, xmax, ymax = view.grid.bounds
    return max(xmax - xmin, ymax - ymin)


def _properties(release: dict[str, Any], view: CubeView, period: Period) -> dict[str, Any]:
    grid = view.grid
    xmin, ymin, xmax, ymax = grid.bounds
    wkt2 = grid.crs.to_wkt()
    extents = {"x": [xmin, xmax], "y": [ymin, ymax]}
    axes: dict[str, Any] = {
        axis: {
            "type": "spatial",
            "axis": axis,
            "extent": extent,
            "step": grid.resolution,
            "reference_system": wkt2,
        }
        for axis, extent in extents.items()
    }
    span = [f"{period.start}T00:00:00Z", f"{period.end}T23:59:59Z"]
    axes["time"] = {"type": "temporal", "extent": span, "values": [span[0]]}
    wanted = products_of(period.cadence, True, composite_of(view.root).layers)
    held = [p.id for p in wanted if p.id in view.root[period.cadence]]  # type: ignore[operator]
    return {
        "title": f"{period.id}, release {release['name']}",
        "created": release["created"],
        "proj:code": None,
        "proj:wkt2": wkt2,
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform)[:6],
        "proj:bbox": list(grid.bounds),
        "cube:dimensions": axes,
        "cube:variables": {
            p: {
                "type": "data",
                "dimensions": ["time", "y", "x"],
                "description": PRODUCTS[p].title.en,
                "unit": PRODUCTS[p].units,
            }
            for p in held
        },
        "processing:level": "L4",
        "processing:software": {"eco-index": release["code_version"]},
        "processing:lineage": f"cube tag {release['tag']}, snapshot {release['snapshot']}",
        "eco:official": release["official"],
        "eco:simulated": release["simulated"],
        "eco:provisional": release["provisional"],
    }


def _description(release: dict[str, Any], summaries: list[Summary]) -> str:
    names = "; ".join(f"{s.programme.name.en} ({s.programme.name.zh})" for s in summaries)
    warning = "" if release["official"] else f" Not official: {', '.join(release['reasons'])}."
    return (
        f"Ecological status assessment of {summaries[0].region.name.en} "
        f"({summaries[0].region.name.zh}), {release['period']}. Programmes: {names}.{warning}"
    )


def _assets(folder: Path, period: Period) -> dict[str, pystac.Asset]:
    assets = {
        "cube": pystac.Asset(
            "cube.zarr",
            title="Data cube of the period (plain Zarr v3)",
            media_type=ZARR_MEDIA,
            roles=["data"],
        )
    }
    for path in sorted((folder / "cog").glob("*.tif")):
        product = PRODUCTS[path.stem.removesuffix(f"_{period.id}")]
        band: dict[str, Any] = {
            "name": product.id,
            "description": product.title.en,
            "data_type": product.dtype,
            "unit": product.units,
        }
        if product.fill is not None:
            band["nodata"] = product.fill
        assets[product.id] = pystac.Asset(
            f"cog/{path.name}",
            title=f"{product.title.en} / {product.title.zh}",
            media_type=pystac.MediaType.COG,
            roles=["data"],
            extra_fields={"bands": [band]},
        )
    media = {".html": "text/html", ".csv": "text/csv", ".json": "application/json"}
    for path in sorted((folder / "assessments").glob("*/*")):
        if path.suffix in media:
            assets[f"{path.parent.name}-{path.name}"] = pystac.Asset(
                f"assessments/{path.parent.name}/{path.name}",
                title=f"{path.parent.name}: {path.name}",
                media_type=media[path.suffix],
                roles=["metadata"],
            )
    return assets
