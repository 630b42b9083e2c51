"""Ids, names, attributes and groups of zones: what a layer's columns say, checked."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np

from eco_index.errors import InputError
from eco_index.region_sections import LayerConfig, NameColumns
from eco_index.yamlio import Text


def columns_of(gdf: gpd.GeoDataFrame) -> list[str]:
    """Return the names of the attribute columns."""
    return [str(c) for c in gdf.columns if c != gdf.geometry.name]


def as_text(value: Any) -> str:
    """Return a cell as text; whole numbers without '.0', nothing for empty cells."""
    if value is None or (isinstance(value, float) and np.isnan(value)) or str(value) == "<NA>":
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()


def read_labels(
    gdf: gpd.GeoDataFrame, config: LayerConfig, where: str
) -> tuple[list[str], list[Text], list[dict[str, str]]]:
    """Return ids, names and attributes of all zones.

    Raises
    ------
    InputError
        A column that is not there; a blank id or name; an id given twice or kept for totals.
    """
    wanted = {
        "id": config.id,
        "name.zh": config.name.zh,
        "name.en": config.name.en,
        **{f"attributes: {a}": a for a in config.attributes},
    }
    if config.group is not None:
        wanted["group"] = config.group
    if config.group_name is not None:
        wanted |= {"group_name.zh": config.group_name.zh, "group_name.en": config.group_name.en}
    for key, column in wanted.items():
        if column not in columns_of(gdf):
            raise InputError(
                f"the layer has no column '{column}' (named by '{key}' in the region file)",
                where=where,
                rule=f"columns of the layer: {', '.join(columns_of(gdf)) or 'none'}",
                fix="name an existing column under 'layers' in the region file",
            )
    text = {column: [as_text(v) for v in gdf[column]] for column in set(wanted.values())}
    for key in ("id", "name.zh", "name.en"):
        column = wanted[key]
        blank = [i for i, value in enumerate(text[column]) if not value]
        if blank:
            first = blank[0]
            known = text[config.id][first] or text[config.name.zh][first]
            raise InputError(
                f"{len(blank)} zone(s) have no {key}: column '{column}' is blank in feature "
                f"{first + 1}{f' ({known})' if known else ''}",
                where=where,
                rule="every zone has an id and a name in both languages",
                fix=f"fill the column, or name another one ({', '.join(columns_of(gdf))})",
            )
    ids = text[config.id]
    for zone_id in ids:
        if zone_id.startswith("_"):
            raise InputError(
                f"the id '{zone_id}' begins with '_'",
                where=where,
                rule="such ids are those of totals and subtotals",
                fix=f"give the zone another id in column '{config.id}'",
            )
    seen: dict[str, int] = {}
    for i, zone_id in enumerate(ids):
        if zone_id in seen:
            names = [text[config.name.zh][k] for k in (seen[zone_id], i)]
            raise InputError(
                f"the id '{zone_id}' is given twice: features {seen[zone_id] + 1} ({names[0]}) "
                f"and {i + 1} ({names[1]})",
                where=where,
                rule="zone ids are unique; parts of one zone form one multi-polygon",
                fix=f"correct column '{config.id}', or dissolve the parts",
            )
        seen[zone_id] = i
    names_of = [
        Text(zh=zh, en=en)
        for zh, en in zip(text[config.name.zh], text[config.name.en], strict=True)
    ]
    attributes = [{a: text[a][i] for a in config.attributes} for i in range(len(ids))]
    return ids, names_of, attributes


def read_groups(
    gdf: gpd.GeoDataFrame, config: LayerConfig, where: str
) -> tuple[list[str], dict[str, Text]]:
    """Return each zone's group and the groups' names; nothing where no column is named."""
    if config.group is None:
        return [], {}
    groups = [as_text(v) for v in gdf[config.group]]
    columns = config.group_name or NameColumns(zh=config.group, en=config.group)
    names: dict[str, Text] = {}
    for group, zh, en in zip(groups, gdf[columns.zh], gdf[columns.en], strict=True):
        if not group:
            continue
        name = Text(zh=as_text(zh) or group, en=as_text(en) or group)
        if names.setdefault(group, name) != name:
            raise InputError(
                f"the group '{group}' has two names: '{names[group].zh}' / '{names[group].en}' and "
                f"'{name.zh}' / '{name.en}'",
                where=where,
                rule="one name a group, the same in all its zones",
                fix=f"correct the columns '{columns.zh}' and '{columns.en}'",
            )
    return groups, names
