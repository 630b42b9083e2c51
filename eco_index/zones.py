"""Zone layers: reading and checking polygons (drawing them on the grid: zone_raster)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from eco_index.catalog import VectorFile
from eco_index.config import Region
from eco_index.errors import InputError, UsageError
from eco_index.grid import polygon_area_m2
from eco_index.region_sections import LayerConfig
from eco_index.vectors import project, read_vector
from eco_index.yamlio import Text
from eco_index.zone_labels import as_text, columns_of, read_groups, read_labels

__all__ = ["SMALL_ZONE_PIXELS", "ZoneLayer", "layer_path", "load_layer"]

#: Below this size the pixel-centre rule can miss a zone's area by more than 0.2 % or so;
#: `coverage: auto` gives such zones shares of pixels (own rule).
SMALL_ZONE_PIXELS = 1000


@dataclass(frozen=True)
class ZoneLayer:
    """Zones of a layer, checked, in the CRS of the region's grid.

    Attributes
    ----------
    id : str
    title : Text
    gdf : geopandas.GeoDataFrame
        All columns of the file; geometries are valid polygons in the grid's CRS.
    ids : tuple of str
    names : tuple of Text
    attributes : tuple of dict
        Per zone: the attribute columns named in the region file, as text ("" where empty).
    groups : tuple of str
        Per zone: what it belongs to (column `group` of the region file), "" for nothing; empty
        where the layer has no groups.
    group_names : dict
        Group to its name.
    area_km2 : numpy.ndarray
        Equal-area size of each polygon, shape (n,).
    inside_km2 : numpy.ndarray
        The part of it that lies within the grid's bounds, shape (n,).
    outside : tuple of str
        Names of zones of the file that lie wholly outside the grid; they are not in the layer.
    sheets : numpy.ndarray
        Zones of one sheet do not overlap; shape (n,), all 0 where zones are a partition.
    partition : bool
    exact : numpy.ndarray
        Boolean (n,): zones that get shares of pixels instead of whole ones (`coverage` of the
        layer).
    """

    id: str
    title: Text
    gdf: gpd.GeoDataFrame
    ids: tuple[str, ...]
    names: tuple[Text, ...]
    attributes: tuple[dict[str, str], ...]
    groups: tuple[str, ...]
    group_names: dict[str, Text]
    area_km2: np.ndarray
    inside_km2: np.ndarray
    outside: tuple[str, ...]
    sheets: np.ndarray
    partition: bool
    exact: np.ndarray
    _edges: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_sheets(self) -> int:
        """Number of rasters needed to draw all zones; 1 where zones do not overlap."""
        return int(self.sheets.max()) + 1

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """xmin, ymin, xmax, ymax of all zones in the grid's CRS (m)."""
        xmin, ymin, xmax, ymax = self.gdf.total_bounds
        return float(xmin), float(ymin), float(xmax), float(ymax)

    def group_index(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Return the groups in order of the file, and each zone's number among them, -1 for none.

        For `ZoneSums.grouped` and `ChangeSums.grouped`.
        """
        found = tuple(dict.fromkeys(g for g in self.groups if g))
        return found, np.array([found.index(g) if g else -1 for g in self.groups], np.int64)

    def select(self, accepted: Mapping[str, Sequence[str]]) -> ZoneLayer:
        """Return the zones whose attribute columns hold one of the accepted values.

        Raises
        ------
        InputError
            An unknown column, or no zone fits.
        """
        keep = np.ones(len(self), dtype=bool)
        for column, values in accepted.items():
            if column not in self.gdf.columns:
                raise InputError(
                    f"zones cannot be filtered by '{column}': the layer has no such column",
                    where=f"layer '{self.id}'",
                    rule=f"columns: {', '.join(columns_of(self.gdf))}",
                    fix="correct 'filter' in the programme file",
                )
            found = [as_text(v) for v in self.gdf[column]]
            keep &= np.isin(found, list(values))
            if not keep.any():
                raise InputError(
                    f"no zone has {column} = {' or '.join(values)}",
                    where=f"layer '{self.id}'",
                    rule=f"values that occur: {', '.join(sorted(set(found)))}",
                    fix="correct 'filter' in the programme file, or take the programme out of "
                    "the region file",
                )
        return self.take(np.flatnonzero(keep).tolist())

    def take(self, at: Sequence[int]) -> ZoneLayer:
        """Return some zones by their numbers, in this order."""
        at = list(at)
        return replace(
            self,
            gdf=self.gdf.iloc[at].reset_index(drop=True),
            ids=tuple(self.ids[i] for i in at),
            names=tuple(self.names[i] for i in at),
            attributes=tuple(self.attributes[i] for i in at),
            groups=tuple(self.groups[i] for i in at) if self.groups else (),
            area_km2=self.area_km2[at],
            inside_km2=self.inside_km2[at],
            sheets=self.sheets[at],
            exact=self.exact[at],
            _edges={},
        )


def layer_path(region: Region, layer_id: str, year: int | None = None) -> Path:
    """Return the file of the boundaries that are valid in a year; the newest for None."""
    config = _config(region, layer_id)
    return region.catalog.path_of(config.dataset_of(year), f"layer '{layer_id}'", year)


def load_layer(region: Region, layer_id: str, year: int | None = None) -> ZoneLayer:
    """Read a zone layer, check it, and bring it to the grid's CRS.

    Parameters
    ----------
    region : Region
        Its grid gives the CRS and the bounds.
    layer_id : str
        Key of `layers` in the region file.
    year : int, optional
        Boundaries valid in this year: of `editions`, and of files that carry ``{year}`` in their
        name. None: the newest.

    Returns
    -------
    ZoneLayer

    Raises
    ------
    InputError
        File missing or unreadable; no CRS; no zone; empty, invalid or non-polygon geometry;
        blank id or name; duplicate id; overlap where zones are a partition; no zone on the grid.
    """
    config = _config(region, layer_id)
    dataset_id = config.dataset_of(year)
    dataset = region.catalog.get(dataset_id, f"layer '{layer_id}'")
    path = layer_path(region, layer_id, year)
    where = f"{path} (dataset '{dataset_id}', layer '{layer_id}')"
    access = dataset.access if isinstance(dataset.access, VectorFile) else None
    gdf = read_vector(
        path,
        access.layer if access else None,
        where,
        config.datum or (access.datum if access else None),
    )
    ids, names, attributes = read_labels(gdf, config, where)
    groups, group_names = read_groups(gdf, config, where)
    labels = [f"'{i}' ({n.zh} / {n.en})" for i, n in zip(ids, names, strict=True)]
    _check_geometries(gdf, labels, where, "in the file's own CRS")
    gdf = project(gdf, region.grid.crs, where)
    gdf = gdf.set_geometry(shapely.force_2d(gdf.geometry.array))
    _check_geometries(gdf, labels, where, "after reprojection to the grid's CRS")

    shapes = np.asarray(gdf.geometry.array, dtype=object)
    area = polygon_area_m2(shapes, region.grid.crs) / 1e6
    inside = (
        polygon_area_m2(shapely.clip_by_rect(shapes, *region.grid.bounds), region.grid.crs) / 1e6
    )
    keep = np.flatnonzero(inside > 0)
    if not keep.size:
        box = ", ".join(f"{v:.4f}" for v in region.grid.lonlat_bounds())
        raise InputError(
            "no zone lies within the region's grid",
            where=where,
            rule=f"the grid covers (west, south, east, north) {box}",
            fix="check the layer's CRS and the grid's bounds in the region file",
        )
    gdf = gdf.iloc[keep].reset_index(drop=True)
    labels = [labels[i] for i in keep]
    return ZoneLayer(
        id=layer_id,
        title=config.title,
        gdf=gdf,
        ids=tuple(ids[i] for i in keep),
        names=tuple(names[i] for i in keep),
        attributes=tuple(attributes[i] for i in keep),
        groups=tuple(groups[i] for i in keep) if groups else (),
        group_names=group_names,
        area_km2=area[keep],
        inside_km2=inside[keep],
        outside=_outside(ids, names, inside),
        sheets=_sheets(gdf, labels, config.partition, region.grid.pixel_area_m2, where),
        partition=config.partition,
        exact=_exact(config.coverage, area[keep] * 1e6 / region.grid.pixel_area_m2),
    )


def _config(region: Region, layer_id: str) -> LayerConfig:
    try:
        return region.config.layers[layer_id]
    except KeyError:
        raise UsageError(
            f"the region has no layer '{layer_id}'",
            where=f"{region.config.path}, key 'layers'",
            rule=f"layers: {', '.join(sorted(region.config.layers)) or 'none'}",
        ) from None


def _exact(coverage: str, pixels: np.ndarray) -> np.ndarray:
    """Tell which zones get shares of pixels; `pixels` is their size in pixels."""
    if coverage == "auto":
        return np.asarray(pixels < SMALL_ZONE_PIXELS)
    return np.full(pixels.shape, coverage == "exact")


def _outside(ids: list[str], names: list[Text], inside: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{names[i].zh} ({ids[i]})" for i in np.flatnonzero(~(inside > 0)))


def _check_geometries(gdf: gpd.GeoDataFrame, labels: list[str], where: str, stage: str) -> None:
    for shape, label in zip(gdf.geometry.array, labels, strict=True):
        problem = None
        if shape is None or shape.is_empty:
            problem = "has no geometry"
        elif shape.geom_type not in ("Polygon", "MultiPolygon"):
            problem = f"is a {shape.geom_type}, not a polygon"
        elif not np.isfinite(shapely.get_coordinates(shape)).all():
            problem = f"has coordinates that are not numbers {stage}"
        elif not shape.is_valid:
            problem = f"has an invalid geometry {stage}: {shapely.is_valid_reason(shape)}"
        if problem:
            raise InputError(
                f"zone {label} {problem}",
                where=where,
                rule="zones are valid polygons; they are not repaired silently, because a repair "
                "can change their area",
                fix="repair the zone in a GIS (e.g. 'Fix geometries' in QGIS), look at it, save",
            )


def _sheets(
    gdf: gpd.GeoDataFrame, labels: list[str], partition: bool, pixel_m2: float, where: str
) -> np.ndarray:
    """Number the zones so that zones of one sheet do not overlap; refuse overlap in a partition."""
    shapes = np.asarray(gdf.geometry.array, dtype=object)
    sheets = np.zeros(len(shapes), dtype=np.int32)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = first < second
    first, second = first[pairs], second[pairs]
    overlap = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    if partition:
        # Slivers below one pixel come with every digitised border; the first zone keeps them.
        bad = np.flatnonzero(overlap > pixel_m2)
        if bad.size:
            worst = bad[np.argmax(overlap[bad])]
            raise InputError(
                f"zones {labels[first[worst]]} and {labels[second[worst]]} overlap by "
                f"{overlap[worst] / 1e6:.4f} km2"
                + (f" (and {bad.size - 1} more pair(s) overlap)" if bad.size > 1 else ""),
                where=where,
                rule=f"zones of this layer must not overlap by more than one pixel "
                f"({pixel_m2 / 1e6:.6f} km2)",
                fix="correct the borders, or set 'partition: false' for the layer in the region "
                "file if the overlap is meant",
            )
        return sheets
    touching = overlap > 0
    for k in range(len(shapes)):
        neighbours = first[touching & (second == k)]
        taken = set(sheets[neighbours].tolist())
        sheets[k] = next(s for s in range(len(taken) + 1) if s not in taken)
    return sheets
