"""Inputs of official indices for each unit: from sums, vectors and the statistics table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import Geod, Transformer

from eco_index.config import Region
from eco_index.grid import polygon_area_m2
from eco_index.indicators import evaluate, read_table, to_index_value
from eco_index.indicators.result import IndexResult
from eco_index.method_model import OptionSpec
from eco_index.methods import Method
from eco_index.products import LUCC
from eco_index.summary import IndexValue
from eco_index.vectors import read_vector
from eco_index.yamlio import Text
from eco_index.zonal import ZoneSums
from eco_index.zones import ZoneLayer, load_layer

#: Share of a unit without land cover up to which its class areas are used (own rule).
MOST_UNCLASSIFIED = 0.05
#: Share without land cover from which a note says that it was shared out (own rule).
WORTH_A_NOTE = 0.005
#: Share of a unit beyond the grid up to which an index is computed for it (own rule).
MOST_OUTSIDE = 0.01
#: Columns of the unit layer that say what an option asks of a unit, where the table does not.
UNIT_COLUMNS = {
    "unit_group": ("unit_group", "group"),
    "function_type": ("function_type",),
    "reserve_type": ("reserve_type",),
    "coast": ("coast",),
}
_GEOD = Geod(ellps="GRS80")

Rows = dict[str, dict[str, Any]]


def statistics_path(region: Region, year: int) -> Path | None:
    """Return the statistics table of a year, None where there is none (yet)."""
    if region.config.statistics is None:
        return None
    wanted_by = f"{region.config.path}, key 'statistics'"
    path = region.catalog.path_of(region.config.statistics, wanted_by, year)
    return path if path.exists() else None


def unit_inputs(
    region: Region, units: ZoneLayer, sums: ZoneSums, year: int, method: Method
) -> tuple[Rows, list[Text]]:
    """Return the inputs of every unit, and notes on what is missing.

    Areas are pixel areas on the grid (km2); river length is geodesic (km); the red line's area is
    that of the polygons. What the statistics table says of them is overruled. Pixels without land
    cover are shared out over the classes in proportion: left out, they would count as zero of
    every class and a cloudy year would look like a worse one. A unit that the grid cuts gets no
    area, so that its index is not evaluated: its statistics are those of the whole unit.

    Raises
    ------
    InputError
        The statistics table is malformed.
    """
    notes: list[Text] = []
    table = _statistics(region, year, method, notes)
    pixel_km2 = region.grid.pixel_area_m2 / 1e6
    area = sums.pixels * pixel_km2
    unclassified = sums.pixels - sums.n_valid("landcover")
    ndvi = sums.mean("ndvi_mean")
    rivers = _river_length(region, units, year)
    red_line = _red_line(region, units, year)
    rows: Rows = {}
    for k, unit in enumerate(units.ids):
        row = {"unit_id": unit, **table.get(unit, {})}
        outside = 1 - float(units.inside_km2[k] / units.area_km2[k])
        row["area_km2"] = (float(area[k]) or None) if outside <= MOST_OUTSIDE else None
        if outside > MOST_OUTSIDE:
            notes.append(_cut(units.names[k], outside))
        share = float(unclassified[k]) / (float(sums.pixels[k]) or 1.0)
        for code in LUCC:
            known = sums.pixels[k] > 0 and share <= MOST_UNCLASSIFIED
            n = sums.n_class("landcover", (code,))[k]
            row[f"area_{code}"] = float(n * pixel_km2) / (1 - share) if known else None
        if share > WORTH_A_NOTE:
            notes.append(_unclassified(units.names[k], share))
        row["ndvi_mean"] = None if np.isnan(ndvi[k]) else float(ndvi[k])
        if rivers is not None:
            row["river_length_km"] = float(rivers[k])
        if red_line is not None:
            row["red_line_km2"] = min(float(red_line[k]), float(area[k]))
        rows[unit] = row
    notes += _own_choices(rows, units, method)
    return rows, notes


def _own_choices(rows: Rows, units: ZoneLayer, method: Method) -> list[Text]:
    """Take what a unit is from the layer's attributes; say where a default stands in.

    An attribute holds the id of a choice, or its title in either language.
    """
    notes = []
    for option, spec in method.file.options.items():
        if not spec.given_by_unit:
            continue
        known = {w: c for c, t in spec.choices.items() for w in (c, t.zh, t.en)}
        unknown: set[str] = set()
        without = 0
        for k, unit in enumerate(units.ids):
            if rows[unit].get(option) is not None:
                continue
            cells = [units.attributes[k].get(c, "") for c in UNIT_COLUMNS.get(option, ())]
            said = next((c for c in cells if c), "")
            if said in known:
                rows[unit][option] = known[said]
                continue
            without += 1
            unknown |= {said} - {""}
        # A unit is inland unless something says otherwise; an unknown word is another thing.
        if without and (unknown or option != "coast"):
            notes.append(_default_note(spec, method.choices[option], without, sorted(unknown)))
    return notes


def _default_note(spec: OptionSpec, default: str, n: int, unknown: list[str]) -> Text:
    choice = spec.choices[default]
    words = ", ".join(unknown)
    return Text(
        zh=f"{n}个单元未给出“{spec.title.zh}”{f'（不认识的值：{words}）' if words else ''}，"
        f"按“{choice.zh}”处理",
        en=f"{n} unit(s) do not state '{spec.title.en}'"
        + (f" (unknown: {words})" if words else "")
        + f": {choice.en}",
    )


@dataclass(frozen=True)
class Evaluated:
    """An index of all units.

    Attributes
    ----------
    method : Method
    results : dict of IndexResult
        By unit, of the assessed period.
    now, unit_set : mapping, list
        Inputs by unit, and of all units and periods that a maximum is taken over; `now` first.
    """

    method: Method
    results: dict[str, IndexResult]
    now: Rows
    unit_set: list[dict[str, Any]]


def evaluate_units(
    method: Method, now: Rows, before: Rows | None
) -> tuple[dict[str, IndexResult], dict[str, IndexResult]]:
    """Return the index of every unit in both periods, normalised over the units of both."""
    together = [*now.values(), *(before or {}).values()]
    results = {u: evaluate(method, row, unit_set=together) for u, row in now.items()}
    earlier = {u: evaluate(method, row, unit_set=together) for u, row in (before or {}).items()}
    return results, earlier


def index_values(
    method: Method,
    results: Mapping[str, IndexResult],
    earlier: Mapping[str, IndexResult],
    wanted: Mapping[str, Text],
    prefix: str,
) -> list[IndexValue]:
    """Return the summary's index values of the wanted units (id to name)."""
    return [
        to_index_value(method, results[u], u, name, earlier.get(u), f"{prefix}/{u}/{method.id}")
        for u, name in wanted.items()
        if u in results
    ]


def _statistics(region: Region, year: int, method: Method, notes: list[Text]) -> Rows:
    path = statistics_path(region, year)
    if path is None:
        notes.append(
            Text(
                zh=f"没有{year}年的统计表：依赖统计数据的分指数不评价，指数不完整",
                en=f"there is no table of statistics for {year}: sub-indices that need it are not "
                "evaluated and the index is not complete",
            )
        )
        return {}
    return {row["unit_id"]: row for row in read_table(path, method)}


def _cut(name: Text, outside: float) -> Text:
    return Text(
        zh=f"{name.zh}有{outside:.1%}的面积在评估网格之外：统计数据为整个单元的数据，"
        "其官方指数不评价",
        en=f"{name.en}: {outside:.1%} of the area lies beyond the grid; statistics are those of "
        "the whole unit, so its official indices are not evaluated",
    )


def _unclassified(name: Text, share: float) -> Text:
    if share <= MOST_UNCLASSIFIED:
        return Text(
            zh=f"{name.zh}有{share:.1%}的面积没有土地覆盖数据；计算官方指数时按其余面积的构成比例分摊",
            en=f"{name.en}: {share:.1%} of the area has no land cover; for the official indices it "
            "is taken to be composed like the rest",
        )
    return Text(
        zh=f"{name.zh}有{share:.1%}的面积没有土地覆盖数据（超过{MOST_UNCLASSIFIED:.0%}），"
        "其用地类指数不评价",
        en=f"{name.en}: {share:.1%} of the area has no land cover (more than "
        f"{MOST_UNCLASSIFIED:.0%}); indices that rest on land-use areas are not evaluated",
    )


def _river_length(region: Region, units: ZoneLayer, year: int) -> np.ndarray | None:
    """Geodesic length of the river lines within each unit, km; None without river lines."""
    config = region.config.landcover
    if config is None or config.rivers is None:
        return None
    wanted_by = f"{region.config.path}, key 'landcover.rivers'"
    path = region.catalog.path_of(config.rivers, wanted_by, year)
    layer = getattr(region.catalog.get(config.rivers, wanted_by).access, "layer", None)
    lines = read_vector(path, layer, f"{path} (dataset '{config.rivers}')")
    lines = lines[lines.geom_type.isin(["LineString", "MultiLineString"])].to_crs(region.grid.crs)
    merged = shapely.union_all(np.asarray(lines.geometry.array, dtype=object))
    to_degrees = Transformer.from_crs(region.grid.crs, "EPSG:4326", always_xy=True)

    def degrees(points: np.ndarray) -> np.ndarray:
        return np.column_stack(to_degrees.transform(points[:, 0], points[:, 1]))

    lengths = []
    for zone in units.gdf.geometry.array:
        # An equal-area projection stretches lines: their length is taken on the ellipsoid.
        inside = shapely.transform(shapely.intersection(merged, zone), degrees)
        lengths.append(0.0 if inside.is_empty else _GEOD.geometry_length(inside) / 1e3)
    return np.array(lengths)


def _red_line(region: Region, units: ZoneLayer, year: int) -> np.ndarray | None:
    """Area of the red line within each unit, km2; None without such a layer."""
    if "red_line" not in region.config.layers:
        return None
    layer = load_layer(region, "red_line", year)
    merged = shapely.union_all(np.asarray(layer.gdf.geometry.array, dtype=object))
    parts = shapely.intersection(np.asarray(units.gdf.geometry.array, dtype=object), merged)
    return polygon_area_m2(parts, region.grid.crs) / 1e6
