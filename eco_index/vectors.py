"""Reading vector files: every complaint says what the file lacks."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pyogrio

from eco_index.errors import InputError


def read_vector(
    path: Path, sublayer: str | None, where: str, *, may_be_empty: bool = False
) -> gpd.GeoDataFrame:
    """Read a vector file that states its CRS and, unless it may be, is not empty.

    Raises
    ------
    InputError
        Missing, unreadable, several layers and none named, without CRS, or empty.
    """
    if not path.exists():
        raise InputError(
            "the vector file does not exist", where=where, fix="correct its path in the catalogue"
        )
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
        gdf = gpd.read_file(path, layer=sublayer or layers[0], engine="pyogrio")
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        raise InputError(f"the vector file cannot be read: {error}", where=where) from None
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"the vector file cannot be understood: {error}", where=where) from None
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
    return gdf
