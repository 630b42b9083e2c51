"""Reading vector files: every complaint says what the file lacks.

Shapefile, GeoPackage, GeoJSON and whatever else GDAL reads, and GeoParquet.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyproj import CRS
from pyproj.exceptions import ProjError
from pyproj.transformer import TransformerGroup

from eco_index.dbf import text_encoding
from eco_index.errors import InputError
from eco_index.gcj02 import to_wgs84

#: What coordinates refer to: CGCS2000 is WGS 84 within decimetres, GCJ-02 is shifted.
Datum = Literal["wgs84", "cgcs2000", "gcj02"]
PARQUET = (".parquet", ".geoparquet")


def read_vector(
    path: Path,
    sublayer: str | None,
    where: str,
    datum: Datum | None = None,
    *,
    may_be_empty: bool = False,
) -> gpd.GeoDataFrame:
    """Read a vector file that states its CRS and, unless it may be, is not empty.

    Parameters
    ----------
    path : Path
        The file.
    sublayer : str or None
        Which layer of it; may be None where it holds one.
    where : str
        For messages.
    datum : {'wgs84', 'cgcs2000', 'gcj02'}, optional
        What the coordinates refer to, whatever the CRS says. WGS 84 and CGCS2000 are the same
        within decimetres; GCJ-02 is converted to WGS 84.
    may_be_empty : bool
        A layer without features is an answer (a year without disasters), not a fault.

    Returns
    -------
    geopandas.GeoDataFrame

    Raises
    ------
    InputError
        Missing, unreadable, several layers and none named, without CRS, or empty; text in an
        encoding that cannot be told; a declared datum that the CRS contradicts.
    """
    if not path.exists():
        raise InputError(
            "the vector file does not exist", where=where, fix="correct its path in the catalogue"
        )
    gdf = _read_parquet(path, where) if path.suffix.lower() in PARQUET else None
    if gdf is None:
        gdf = _read_gdal(path, sublayer, where)
    if len(gdf) == 0 and not may_be_empty:
        raise InputError("the layer is empty: it holds no feature", where=where)
    if not isinstance(gdf, gpd.GeoDataFrame):
        raise InputError("the layer holds a table without geometries", where=where)
    if gdf.crs is None:
        raise InputError(
            "the layer does not say in which CRS its coordinates are",
            where=where,
            rule="every vector file states its CRS; it is never guessed",
            fix="assign it, e.g. `ogr2ogr -a_srs EPSG:4490 out.gpkg in.shp`",
        )
    if datum is not None:
        gdf = _on_datum(gdf, datum, where)
    return gdf


def _read_parquet(path: Path, where: str) -> gpd.GeoDataFrame:
    try:
        return gpd.read_parquet(path)
    except ImportError:
        raise InputError(
            "GeoParquet cannot be read: the package pyarrow is not installed",
            where=where,
            fix="pip install pyarrow, or save the layer as GeoPackage",
        ) from None
    except (ValueError, OSError) as error:
        raise InputError(f"the file cannot be read as GeoParquet: {error}", where=where) from None


def _read_gdal(path: Path, sublayer: str | None, where: str) -> gpd.GeoDataFrame:
    encoding = text_encoding(path, where) if path.suffix.lower() == ".shp" else None
    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(path)]
        if sublayer is None and len(layers) > 1:
            raise InputError(
                "the vector file holds several layers and the catalogue names none",
                where=where,
                rule=f"layers: {', '.join(layers)}",
                fix="add 'layer: NAME' to the dataset's 'access'",
            )
        if sublayer is not None and sublayer not in layers:
            raise InputError(
                f"the vector file has no layer '{sublayer}'",
                where=where,
                rule=f"layers: {', '.join(layers) or 'none'}",
            )
        return gpd.read_file(path, layer=sublayer or layers[0], engine="pyogrio", encoding=encoding)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        raise InputError(f"the vector file cannot be read: {error}", where=where) from None
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"the vector file cannot be understood: {error}", where=where) from None


def _on_datum(gdf: gpd.GeoDataFrame, datum: Datum, where: str) -> gpd.GeoDataFrame:
    """Return the features with coordinates on WGS 84 (or CGCS2000, which is as good)."""
    if not _modern(gdf.crs):
        raise InputError(
            f"the datum '{datum}' is declared, but the file's CRS is '{gdf.crs.name}', which "
            "stands on another ellipsoid",
            where=where,
            rule="WGS 84, CGCS2000 and GCJ-02 coordinates come with a CRS on their ellipsoid",
            fix="correct 'datum', or assign the right CRS to the file",
        )
    if datum != "gcj02":
        return gdf
    try:
        degrees = gdf if gdf.crs.is_geographic else gdf.to_crs(gdf.crs.geodetic_crs)
    except ProjError as error:
        raise InputError(f"the layer cannot be brought to degrees: {error}", where=where) from None
    moved = shapely.transform(
        np.asarray(degrees.geometry.array, dtype=object),
        lambda points: np.column_stack(to_wgs84(points[:, 0], points[:, 1])),
    )
    return degrees.set_geometry(gpd.GeoSeries(moved, index=gdf.index, crs=CRS(4326)))


def project(gdf: gpd.GeoDataFrame, target: CRS, where: str) -> gpd.GeoDataFrame:
    """Return the features in another CRS, with the shift between the datums.

    PROJ knows the shifts of old datums to WGS 84, but takes their coordinates unchanged for
    CGCS2000: zones would lie some 100 m off without a word. So the way goes through WGS 84, which
    is CGCS2000 within decimetres.

    Raises
    ------
    InputError
        Coordinates that cannot be projected; an old datum whose shift is not known (that of
        Xian 1980 is not public).
    """
    try:
        if not _modern(gdf.crs) and _modern(target):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of better grids to download
                ways = TransformerGroup(gdf.crs, CRS(4326), always_xy=True).transformers
            if not any(way.accuracy >= 0 for way in ways):
                raise InputError(
                    f"the shift from the datum of '{gdf.crs.name}' to that of the grid is not "
                    "known",
                    where=where,
                    rule="zones on an old datum such as Xian 1980 would lie some 100 m off",
                    fix="convert the file to CGCS2000 with the official parameters of the area; if "
                    "its coordinates are CGCS2000 already, assign that CRS: "
                    "`ogr2ogr -a_srs EPSG:4490 ...`",
                )
            gdf = gdf.to_crs(4326)
        return gdf.to_crs(target)
    except ProjError as error:
        raise InputError(
            f"the zones cannot be brought to the grid's CRS: {error}", where=where
        ) from None


def _modern(crs: CRS) -> bool:
    """Tell whether a CRS stands on the ellipsoid of WGS 84 and CGCS2000."""
    ellipsoid = crs.ellipsoid
    return ellipsoid is not None and (
        abs(ellipsoid.semi_major_metre - 6378137) < 0.5
        and abs(ellipsoid.inverse_flattening - 298.2572) < 1e-3
    )
