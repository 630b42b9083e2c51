"""The archive's template: groups, time axes, variables and attributes, before any data."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from eco_index import __version__
from eco_index.compositing import REFLECTANCE, SEASON_LAYER, CompositeConfig, Season
from eco_index.grid import Grid
from eco_index.period import Month, Period
from eco_index.products import GROUPS, PRODUCTS, Product, products_of

if TYPE_CHECKING:
    from eco_index.config import Region

SCHEMA_VERSION = 1
"""Version of docs/reference/data-schema.md; an archive of another version is refused."""

EPOCH = dt.date(1970, 1, 1)
CRS_NAME = "spatial_ref"

# Zarr conventions as registered (both are of maturity "Proposal"). The names carry a colon
# because rioxarray recognises a declared convention by exactly these names.
ZARR_CONVENTIONS = (
    {
        "schema_url": "https://raw.githubusercontent.com/zarr-conventions/geo-proj/refs/tags/v1/schema.json",
        "spec_url": "https://github.com/zarr-conventions/geo-proj/blob/v1/README.md",
        "uuid": "f17cb550-5864-4468-aeb7-f3180cfb622f",
        "name": "proj:",
        "description": "Coordinate reference system information for geospatial data",
    },
    {
        "schema_url": "https://raw.githubusercontent.com/zarr-conventions/spatial/refs/tags/v1/schema.json",
        "spec_url": "https://github.com/zarr-conventions/spatial/blob/v1/README.md",
        "uuid": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
        "name": "spatial:",
        "description": "Spatial coordinate information",
    },
)


@dataclass(frozen=True)
class TimeAxis:
    """What the time axes of all groups follow from.

    Attributes
    ----------
    years : tuple of int
        First and last year, both included.
    months : tuple of int
        First and last calendar month that are composited, both included.
    """

    years: tuple[int, int]
    months: tuple[int, int]

    @classmethod
    def of(cls, region: Region) -> TimeAxis:
        config = region.config
        return cls(
            (config.years.first, config.years.last), (config.months.first, config.months.last)
        )

    def spans(self, group: str) -> list[Month] | list[Period]:
        """Return the months or periods of a group, in order."""
        years = range(self.years[0], self.years[1] + 1)
        if group == "monthly":
            return [Month(y, m) for y in years for m in range(self.months[0], self.months[1] + 1)]
        halves = (1, 2) if group == "half_yearly" else (0,)
        return [Period(y, h) for y in years for h in halves]

    def ids(self, group: str) -> list[str]:
        """Return the time ids of a group: ``2025-07``, ``2025H1`` or ``2025``."""
        return [span.id for span in self.spans(group)]

    def index(self, group: str, time_id: str) -> int:
        """Return the position of a time id on the axis of a group.

        Raises
        ------
        KeyError
            The axis does not hold that time.
        """
        try:
            return self.ids(group).index(time_id)
        except ValueError:
            raise KeyError(time_id) from None

    def to_dict(self) -> dict[str, list[int]]:
        return {"years": list(self.years), "months": list(self.months)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TimeAxis:
        first_year, last_year = data["years"]
        first_month, last_month = data["months"]
        return cls((int(first_year), int(last_year)), (int(first_month), int(last_month)))


def fill_of(product: Product) -> int:
    """Return the stored value of an unwritten pixel; counts start at zero."""
    return 0 if product.fill is None else product.fill


def is_simulated(region: Region) -> bool:
    """Tell whether any imagery of the region is simulated (its catalogue source says so)."""
    return any(
        "simulated" in region.catalog.get(d, "the archive's template").source.lower()
        for d in region.config.imagery
    )


def georeference_attrs(grid: Grid) -> dict[str, Any]:
    """Return the ``proj:`` and ``spatial:`` attributes of a group."""
    return {
        "zarr_conventions": [dict(c) for c in ZARR_CONVENTIONS],
        "proj:wkt2": grid.crs.to_wkt(),
        "spatial:dimensions": ["y", "x"],
        "spatial:transform_type": "affine",
        "spatial:transform": list(grid.transform)[:6],
        "spatial:bbox": list(grid.bounds),
        "spatial:shape": list(grid.shape),
        "spatial:registration": "pixel",
    }


def crs_attrs(grid: Grid) -> dict[str, Any]:
    """Return the attributes of the CF grid mapping variable."""
    transform = grid.transform
    gdal = (transform.c, transform.a, transform.b, transform.f, transform.d, transform.e)
    attrs = {k: v for k, v in grid.crs.to_cf().items() if v is not None}
    attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in attrs.items()}
    wkt = grid.crs.to_wkt()
    return attrs | {
        "crs_wkt": wkt,
        "spatial_ref": wkt,
        "GeoTransform": " ".join(repr(float(v)) for v in gdal),
    }


def root_attrs(region: Region, axis: TimeAxis) -> dict[str, Any]:
    """Return the archive's global attributes (ACDD where a name exists there)."""
    west, south, east, north = region.grid.lonlat_bounds()
    methods = sorted(
        {p.method for g in GROUPS for p in products_of(g, has_landcover(region)) if p.method}
    )
    datasets = [region.catalog.get(d, "the archive's template") for d in region.config.imagery]
    return (
        {
            "title": f"Ecological quality cube: {region.config.name.en}",
            "title_zh": f"生态质量数据立方体：{region.config.name.zh}",
            "Conventions": "CF-1.11, ACDD-1.3",
            "id": region.id,
            "region": region.id,
            "source": "; ".join(d.source for d in datasets),
            "simulated": is_simulated(region),
            "processing_level": "L3/L4 composites and derived products",
            "methods": methods,
            "code_version": __version__,
            "schema_version": SCHEMA_VERSION,
            "geospatial_lon_min": west,
            "geospatial_lon_max": east,
            "geospatial_lat_min": south,
            "geospatial_lat_max": north,
            "geospatial_bounds_crs": "EPSG:4326",
            "time_coverage_start": Period(axis.years[0]).start.isoformat(),
            "time_coverage_end": Period(axis.years[1]).end.isoformat(),
            "grid": region.grid.signature(),
            "time_axis": axis.to_dict(),
            "landcover": has_landcover(region),
        }
        | composite_attrs(region)
        | georeference_attrs(region.grid)
    )


def composite_attrs(region: Region) -> dict[str, Any]:
    """Return the root attribute that says how monthly composites are made; none by default."""
    declared = region.config.composite.declared()
    return {"composite": declared} if declared else {}


def composite_of(root: Any) -> CompositeConfig:
    """Return how an archive's monthly composites are made, from its root group."""
    return CompositeConfig.model_validate(dict(root.attrs).get("composite", {}))


def has_landcover(region: Region) -> bool:
    """Tell whether the cube holds the products that need a land-cover input."""
    return region.config.landcover is not None


def product_attrs(
    product: Product, group: str = "yearly", composite: CompositeConfig | None = None
) -> dict[str, Any]:
    """Return the CF attributes of a product variable.

    Parameters
    ----------
    product : Product
        Its record.
    group : str
        Group that holds it.
    composite : CompositeConfig, optional
        How the monthly composites are made that it comes from; by default maximum NDVI.
    """
    attrs: dict[str, Any] = {
        "long_name": product.title.en,
        "long_name_zh": product.title.zh,
        "units": product.units,
        "grid_mapping": CRS_NAME,
    }
    if product.standard_name:
        attrs["standard_name"] = product.standard_name
    cell_methods = product.cell_methods
    made = composite or CompositeConfig()
    of_months = group != "monthly" and product.id in ("ndvi_max", "ndvi_mean")
    if of_months and made.method != "maximum_ndvi":
        cell_methods = cell_methods_of_months(product.id, made)
    if product.id.startswith(REFLECTANCE):
        attrs["band"] = product.id.removeprefix(REFLECTANCE)
        attrs["source_layer"] = made.basis
        cell_methods = PRODUCTS[made.basis].cell_methods
    if product.id == SEASON_LAYER and made.season is not None:
        cell_methods = cell_methods_of_season(made.season)
        if made.season.percentile is not None:
            attrs["percentile"] = made.season.percentile
    if cell_methods:
        attrs["cell_methods"] = cell_methods
    if product.id == made.basis and made.source_index:
        attrs["source_layer"] = "source_index"
    if product.id == made.basis and made.percentile is not None:
        attrs["percentile"] = made.percentile
    if product.id == "source_index":
        attrs["scenes"] = "manifests/<month>: manifest.scenes, in that order"
    if product.id == "ndvi_filled":
        attrs["source_layer"] = made.basis
        if made.interpolation is not None:
            attrs["interpolation"] = "linear between the observed months of a year"
            attrs["max_gap_months"] = made.interpolation.max_gap
    if product.scale != 1.0:
        attrs["scale_factor"] = product.scale
    if product.fill is not None:
        attrs["_FillValue"] = product.fill
    # CF: valid_range is given in stored values.
    attrs["valid_range"] = [round(v / product.scale) for v in product.valid_range]
    if product.flags:
        attrs["flag_values"] = list(product.flags)
        attrs["flag_meanings"] = " ".join(name for name, _ in product.flags.values())
        attrs["flag_titles_en"] = [title.en for _, title in product.flags.values()]
        attrs["flag_titles_zh"] = [title.zh for _, title in product.flags.values()]
    if product.quality:
        attrs["ancillary_variables"] = product.quality
    if product.method:
        attrs["method_id"] = product.method
    return attrs


def cell_methods_of_months(product: str, composite: CompositeConfig) -> str:
    """Return the cell methods of a period's layer that reduces monthly composites."""
    over = {"ndvi_max": "maximum", "ndvi_mean": "mean"}[product]
    name = composite.method.replace("_", " ")
    if composite.percentile is not None:
        name = f"percentile {composite.percentile:g}"
    within = "median" if composite.method == "median" else "point"
    return f"time: {within} within months time: {over} over months (comment: of monthly {name})"


def cell_methods_of_season(season: Season) -> str:
    """Return the cell methods of the composite over a growing season."""
    name = season.method.replace("_", " ")
    if season.percentile is not None:
        name = f"percentile {season.percentile:g}"
    within = "median" if season.method == "median" else "point"
    return f"time: {within} (comment: {name} of all clear observations of the growing season)"


def time_values(axis: TimeAxis, group: str) -> tuple[np.ndarray, np.ndarray]:
    """Return time (start of the span) and its bounds, in days since 1970-01-01.

    Returns
    -------
    time : ndarray of int64, shape (n,)
    bounds : ndarray of int64, shape (n, 2)
        Start included, end excluded.
    """
    bounds = np.array(
        [
            [(s.start - EPOCH).days, (s.end + dt.timedelta(days=1) - EPOCH).days]
            for s in axis.spans(group)
        ],
        dtype="int64",
    )
    return bounds[:, 0].copy(), bounds


def write_template(store: Any, region: Region) -> None:
    """Write groups, coordinates and empty product variables of a new archive."""
    axis = TimeAxis.of(region)
    root = zarr.open_group(store, mode="w", attributes=root_attrs(region, axis))
    root.create_group(
        "manifests",
        attributes={"description": "scenes of each month: one UTF-8 JSON document per array"},
    )
    for group_id in GROUPS:
        _write_group(root, group_id, region, axis)


def extend_time(store: Any, region: Region, axis: TimeAxis) -> None:
    """Lengthen all time axes to `axis`, whose first year and months are those of the archive."""
    root = zarr.open_group(store, mode="r+")
    for group_id in GROUPS:
        group: Any = root[group_id]
        _write_time(group, group_id, axis)
        for _, array in list(group.arrays()):
            if array.ndim == 3:  # also layers of an earlier composite method
                array.resize((len(axis.ids(group_id)), *array.shape[1:]))
    attrs = root_attrs(region, axis)
    root.attrs.update({k: attrs[k] for k in ("time_axis", "time_coverage_end")})


def _write_group(root: Any, group_id: str, region: Region, axis: TimeAxis) -> None:
    grid = region.grid
    group = root.create_group(
        group_id,
        attributes={
            "title": f"{region.config.name.en}, {group_id.replace('_', '-')} products",
            "Conventions": "CF-1.11",
            "schema_version": SCHEMA_VERSION,
        }
        | georeference_attrs(grid),
    )
    _write_time(group, group_id, axis)
    for name, values, letter in (("y", grid.y(), "Y"), ("x", grid.x(), "X")):
        _write_coordinate(
            group,
            name,
            values,
            (name,),
            {
                "standard_name": f"projection_{name}_coordinate",
                "long_name": f"{name} coordinate of the pixel centre",
                "units": "m",
                "axis": letter,
            },
        )
    _write_coordinate(group, CRS_NAME, np.array(0, dtype="int64"), (), crs_attrs(grid))
    composite = region.config.composite
    for product in products_of(group_id, has_landcover(region), composite.layers):
        _write_product(group, group_id, product, grid, len(axis.ids(group_id)), composite)


def _write_product(
    group: Any,
    group_id: str,
    product: Product,
    grid: Grid,
    steps: int,
    composite: CompositeConfig,
) -> None:
    # One shard is one write tile: a worker never has to read another worker's shard.
    group.create_array(
        product.id,
        shape=(steps, *grid.shape),
        shards=(1, grid.tile_size, grid.tile_size),
        chunks=(1, grid.chunk_size, grid.chunk_size),
        dtype=product.dtype,
        fill_value=fill_of(product),
        dimension_names=("time", "y", "x"),
        # Bits in planes first: on real NDVI six times as quick as Zstandard 5, and no larger.
        compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
        attributes=product_attrs(product, group_id, composite),
    )


def change_composite(store: Any, region: Region) -> None:
    """Make an archive ready for another `composite` section: new layers, attributes.

    Layers of an earlier method stay; they are not written any more.
    """
    root = zarr.open_group(store, mode="r+")
    composite = region.config.composite
    attrs = composite_attrs(region)
    root.attrs.update({"composite": attrs.get("composite", {})})
    steps = TimeAxis.from_dict(root.attrs["time_axis"])  # type: ignore[arg-type]
    for group_id in GROUPS:
        group: Any = root[group_id]
        for product in products_of(group_id, has_landcover(region), composite.layers):
            if product.id in group:
                group[product.id].attrs.put(product_attrs(product, group_id, composite))
            else:
                n = len(steps.ids(group_id))
                _write_product(group, group_id, product, region.grid, n, composite)


def _write_time(group: Any, group_id: str, axis: TimeAxis) -> None:
    time, bounds = time_values(axis, group_id)
    units = {"units": "days since 1970-01-01", "calendar": "standard"}
    attrs = {
        "standard_name": "time",
        "long_name": "start of the month or period",
        "axis": "T",
        "bounds": "time_bounds",
        "ids": axis.ids(group_id),
    }
    _write_coordinate(group, "time", time, ("time",), units | attrs)
    _write_coordinate(group, "time_bounds", bounds, ("time", "bnds"), units)


def _write_coordinate(
    group: Any, name: str, values: np.ndarray, dims: tuple[str, ...], attrs: dict[str, Any]
) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        fill_value=values.dtype.type(0),
        dimension_names=dims,
        attributes=attrs,
        overwrite=True,
    )
    array[...] = values
