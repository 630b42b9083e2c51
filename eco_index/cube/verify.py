"""Lint an archive against docs/reference/data-schema.md, and its data against its commits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import icechunk
import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from eco_index.compositing import SEASON_LAYER, SPECTRAL
from eco_index.cube.archive import Archive, open_archive
from eco_index.cube.template import (
    CRS_NAME,
    ZARR_CONVENTIONS,
    composite_of,
    crs_attrs,
    fill_of,
    georeference_attrs,
    product_attrs,
    time_values,
)
from eco_index.cube.view import CubeView
from eco_index.errors import EcoError
from eco_index.grid import Tile
from eco_index.period import Month, Period
from eco_index.products import GROUPS, PRODUCTS, Product, products_of

_TAG = re.compile(r"^(\d{4}(?:H[12])?)(?:\.\d+)?$")


@dataclass(frozen=True)
class Finding:
    """Something that does not fit.

    Attributes
    ----------
    level : str
        ``error``: readers will get wrong or no values; ``warning``: something is odd.
    where, message : str
    """

    level: Literal["error", "warning"]
    where: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"level": self.level, "where": self.where, "message": self.message}


def verify(archive_path: Path | str, data: bool = True) -> list[Finding]:
    """Check attributes, axes, types, chunks, CRS, flags, tags and, tile by tile, the data.

    Parameters
    ----------
    archive_path : path
        Folder of the archive.
    data : bool
        Also read every finished tile (values in range, counts as committed).

    Returns
    -------
    list of Finding
        Empty if everything fits.

    Raises
    ------
    InputError
        There is no archive, or one of another schema version.
    """
    archive = open_archive(archive_path)
    view = archive.view()
    findings = list(_check_root(view))
    for group in GROUPS:
        findings += _check_group(view, group)
    if any(f.level == "error" for f in findings):
        return findings  # the data cannot be judged against a broken layout
    findings += _check_manifests(view)
    findings += _check_tags(archive, view)
    if data:
        findings += _check_tiles(view)
    return findings


def _compare(expected: dict[str, Any], found: dict[str, Any], where: str) -> Iterator[Finding]:
    for key, value in expected.items():
        if key not in found:
            yield Finding("error", where, f"attribute '{key}' is missing")
        elif not _same(found[key], value):
            yield Finding("error", where, f"attribute '{key}' is {found[key]!r}, not {value!r}")


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _check_root(view: CubeView) -> Iterator[Finding]:
    attrs = dict(view.root.attrs)
    for key in ("title", "Conventions", "region", "source", "simulated", "methods", "code_version"):
        if key not in attrs:
            yield Finding("error", "/", f"attribute '{key}' is missing")
    yield from _check_georeference(view, attrs, "/")


def _check_georeference(view: CubeView, attrs: dict[str, Any], where: str) -> Iterator[Finding]:
    expected = georeference_attrs(view.grid)
    # The text of a WKT may differ between PROJ versions; what counts is the CRS it means.
    wkt = expected.pop("proj:wkt2")
    expected.pop("zarr_conventions")
    yield from _compare(expected, attrs, where)
    yield from _check_crs(view, attrs.get("proj:wkt2"), wkt, f"{where}, attribute 'proj:wkt2'")
    declared = {c.get("uuid") for c in attrs.get("zarr_conventions", []) if isinstance(c, dict)}
    for convention in ZARR_CONVENTIONS:
        if convention["uuid"] not in declared:
            yield Finding("error", where, f"convention '{convention['name']}' is not declared")


def _check_crs(view: CubeView, found: Any, expected: str, where: str) -> Iterator[Finding]:
    try:
        same = CRS.from_wkt(str(found)) == CRS.from_wkt(expected)
    except CRSError:
        yield Finding("error", where, "is not a CRS that PROJ knows")
        return
    if not same:
        yield Finding("error", where, "is another CRS than the grid's")


def _check_group(view: CubeView, name: str) -> Iterator[Finding]:
    if name not in view.root:
        yield Finding("error", f"/{name}", "the group is missing")
        return
    group: Any = view.root[name]
    grid = view.grid
    yield from _check_georeference(view, dict(group.attrs), f"/{name}")
    time, bounds = time_values(view.axis, name)
    axes = {"time": time, "time_bounds": bounds, "y": grid.y(), "x": grid.x()}
    for axis, expected in axes.items():
        where = f"/{name}/{axis}"
        if axis not in group:
            yield Finding("error", where, "the axis is missing")
        elif group[axis].shape != expected.shape or not np.array_equal(group[axis][:], expected):
            yield Finding("error", where, "the values are not those of the grid or time axis")
    if "time" in group:
        expected_attrs = {
            "units": "days since 1970-01-01",
            "calendar": "standard",
            "bounds": "time_bounds",
            "ids": view.axis.ids(name),
        }
        yield from _compare(expected_attrs, dict(group["time"].attrs), f"/{name}/time")
    where = f"/{name}/{CRS_NAME}"
    if CRS_NAME not in group:
        yield Finding("error", where, "the grid mapping is missing")
    else:
        attrs, expected_crs = dict(group[CRS_NAME].attrs), crs_attrs(grid)
        yield from _check_crs(view, attrs.get("crs_wkt"), expected_crs["crs_wkt"], where)
        yield from _compare({"GeoTransform": expected_crs["GeoTransform"]}, attrs, where)
    for product in _products(view, name):
        yield from _check_product(view, name, group, product)


def _products(view: CubeView, group: str) -> list[Product]:
    return products_of(group, bool(view.root.attrs["landcover"]), composite_of(view.root).layers)


def _check_product(
    view: CubeView, group_id: str, group: Any, product: Product
) -> Iterator[Finding]:
    where = f"/{group_id}/{product.id}"
    if product.id not in group:
        yield Finding("error", where, "the variable is missing")
        return
    array, grid = group[product.id], view.grid
    facts = (
        ("dims", array.metadata.dimension_names, ("time", "y", "x")),
        ("shape", array.shape, (len(view.axis.ids(group_id)), *grid.shape)),
        ("type", str(array.dtype), product.dtype),
        ("fill value", int(array.fill_value), fill_of(product)),
        ("shard", array.shards, (1, grid.tile_size, grid.tile_size)),
    )
    for what, found, expected in facts:
        if found != expected:
            yield Finding("error", where, f"{what} is {found}, not {expected}")
    if array.shards and any(s % c for s, c in zip(array.shards, array.chunks, strict=True)):
        yield Finding("error", where, f"chunk {array.chunks} does not divide shard {array.shards}")
    expected_attrs = product_attrs(product, group_id, composite_of(view.root))
    yield from _compare(expected_attrs, dict(array.attrs), where)


def _check_manifests(view: CubeView) -> Iterator[Finding]:
    states = view.states()
    for month_id in view.axis.ids("monthly"):
        where = f"/manifests/{month_id}"
        try:
            manifest = view.manifest(Month.parse(month_id))
        except (EcoError, ValueError, KeyError, TypeError) as error:
            yield Finding("error", where, f"cannot be read: {str(error).splitlines()[0]}")
            continue
        computed = any(t.startswith(f"composite/{month_id}/") for t in states)
        if manifest is None and computed:
            yield Finding("error", where, "missing, though composites of the month are done")


def _check_tags(archive: Archive, view: CubeView) -> Iterator[Finding]:
    for tag, snapshot in view.tags.items():
        where = f"tag '{tag}'"
        match = _TAG.match(tag)
        if match is None:
            yield Finding("warning", where, "is not the name of a period")
            continue
        period = Period.parse(match[1])
        states = archive.view(snapshot).states()
        tiles = view.grid.tiles()
        done = sum(f"product/{period.id}/{t.id}" in states for t in tiles)
        if done < len(tiles):
            yield Finding("error", where, f"pins only {done} of {len(tiles)} tiles of {period.id}")


def _check_tiles(view: CubeView) -> Iterator[Finding]:
    tiles = {t.id: t for t in view.grid.tiles()}
    for task, record in sorted(view.records().items()):
        kind, time_id, *rest = task.split("/")
        if kind == "acquire":
            continue
        tile = tiles.get(rest[0]) if rest else None
        if tile is None:
            yield Finding("error", task, "marked done, but the grid has no such tile")
            continue
        group = "monthly" if kind == "composite" else Period.parse(time_id).cadence
        try:
            yield from _check_tile(view, group, time_id, tile, dict(record.receipt))
        except (EcoError, icechunk.IcechunkError, OSError, RuntimeError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            yield Finding("error", task, f"marked done, but cannot be read: {first}")


def _check_tile(
    view: CubeView, group: str, time_id: str, tile: Tile, receipt: dict[str, Any]
) -> Iterator[Finding]:
    where = f"/{group} {time_id} {tile.id}"
    values: dict[str, np.ndarray] = {}
    for product in _products(view, group):
        stored = values[product.id] = view.read(group, product.id, time_id, tile)
        valid = stored if product.fill is None else stored[stored != product.fill]
        if valid.size:
            yield from _check_range(product, valid, where)
    for name, counted in receipt.get("valid_pixels", {}).items():
        found = int(np.count_nonzero(values[name] != PRODUCTS[name].fill))
        if found != counted:
            text = f"{name} has {found} valid pixels, its commit counted {counted}"
            yield Finding("error", where, text)
    yield from _check_filled(view, tile, receipt.get("interpolated", {}), where)
    if "clear_pixels" in receipt:
        found = int(np.count_nonzero(values["clear_count"]))
        if found != receipt["clear_pixels"]:
            text = f"{found} pixels are clear, the commit counted {receipt['clear_pixels']}"
            yield Finding("error", where, text)
    ndvi, clear = values["ndvi_max"] != PRODUCTS["ndvi_max"].fill, values["clear_count"] > 0
    if not np.array_equal(ndvi, clear):
        n = int(np.count_nonzero(ndvi != clear))
        yield Finding("error", where, f"ndvi_max and clear_count disagree in {n} pixels")
    index = values.get("source_index")
    # A month made before the index was asked for has none, and its commit names no places.
    if index is not None and (
        "sources" in receipt or np.any(index != PRODUCTS["source_index"].fill)
    ):
        yield from _check_sources(view, time_id, index, ndvi, receipt, where)
    if SEASON_LAYER in receipt.get("valid_pixels", {}):
        yield from _check_season(view, values[SEASON_LAYER], values["ndvi_max"], where)
    if "obs_count" in values and np.any(values["clear_count"] > values["obs_count"]):
        yield Finding("error", where, "more clear observations than observations")


def _check_sources(
    view: CubeView,
    month_id: str,
    sources: np.ndarray,
    ndvi: np.ndarray,
    receipt: dict[str, Any],
    where: str,
) -> Iterator[Finding]:
    """The index layer has a value where NDVI has one, and means the scenes of today's list."""
    if not np.array_equal(sources != PRODUCTS["source_index"].fill, ndvi):
        yield Finding("error", where, "source_index and ndvi_max disagree where there is a value")
    manifest = view.manifest(Month.parse(month_id))
    scenes = manifest.scenes if manifest is not None else ()
    listed = {str(k): f"{s.dataset}/{s.id}" for k, s in enumerate(scenes)}
    used = set(map(str, np.unique(sources[ndvi]).tolist()))
    told = receipt.get("sources", {})
    wrong = sorted(k for k in used if k not in told or told[k] != listed.get(k))
    if wrong:
        text = f"source_index holds places that mean another scene on the list: {wrong[:5]}"
        yield Finding("error", where, text)


def _check_season(
    view: CubeView, season: np.ndarray, highest: np.ndarray, where: str
) -> Iterator[Finding]:
    """The season's composite has a value where its months have one, and none above the highest."""
    made = composite_of(view.root)
    assert made.season is not None
    fill = PRODUCTS[SEASON_LAYER].fill
    # Spectral methods leave out observations that lack a band.
    if not {made.method, made.season.method} & set(SPECTRAL):
        n = int(np.count_nonzero((season != fill) != (highest != fill)))
        if n:
            text = f"{SEASON_LAYER} and ndvi_max disagree where there is a value ({n} pixels)"
            yield Finding("error", where, text)
    if made.method == "maximum_ndvi" and np.any(season > highest):
        yield Finding("error", where, f"{SEASON_LAYER} is above the highest NDVI of its months")


def _check_filled(
    view: CubeView, tile: Tile, interpolated: dict[str, int], where: str
) -> Iterator[Finding]:
    """Interpolated months are flagged as such, pixel by pixel, as many as were committed."""
    for month, counted in interpolated.items():
        values, flags = (
            view.read("monthly", name, month, tile) for name in ("ndvi_filled", "ndvi_filled_flag")
        )
        missing = [PRODUCTS[n].fill for n in ("ndvi_filled", "ndvi_filled_flag")]
        if not np.array_equal(values == missing[0], flags == missing[1]):
            text = f"ndvi_filled and ndvi_filled_flag of {month} disagree where there is a value"
            yield Finding("error", where, text)
        found = int(np.count_nonzero(flags == 1))
        if found != counted:
            text = f"{found} pixels of {month} are interpolated, the commit counted {counted}"
            yield Finding("error", where, text)


def _check_range(product: Product, valid: np.ndarray, where: str) -> Iterator[Finding]:
    if product.flags:
        unknown = sorted(set(np.unique(valid).tolist()) - product.flags.keys())
        if unknown:
            yield Finding("error", where, f"{product.id} holds codes without meaning: {unknown}")
        return
    low, high = (round(v / product.scale) for v in product.valid_range)
    smallest, largest = int(valid.min()), int(valid.max())
    if smallest < low or largest > high:
        yield Finding(
            "error",
            where,
            f"{product.id} reaches from {smallest} to {largest}, outside {low}..{high} (stored)",
        )
