"""RSEI from raster files: one model over all years, a map and classes for each, means of zones."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rioxarray  # noqa: F401  (registers .rio)
import xarray as xr
from pydantic import Field, PrivateAttr, model_validator
from rasterio.errors import RasterioError

from eco_index import auxiliary, yamlio
from eco_index.errors import InputError, UsageError
from eco_index.grid import Grid, Tile
from eco_index.indices import rsei_map, rsei_zones
from eco_index.indices.rsei_map import RseiModel, Year
from eco_index.indices.tasselled import wetness_set
from eco_index.yamlio import Strict

CHUNK = 1024
Progress = Callable[[str, int, int, str], None]


class RasterSpec(Strict):
    """A band of a raster file: physical value = stored × scale + offset."""

    path: str
    band: int = Field(1, ge=1)
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = Field(None, description="stored value of no data; else the file's own")


class YearSpec(Strict):
    """Reflectance and surface temperature of a year."""

    name: str = Field(pattern=r"^[\w.-]+$")
    sensor: str = Field(description="satellite or sensor, e.g. landsat-9")
    level: Literal["sr", "toa", "nbar"]
    author: str = Field("", description="another set of wetness coefficients, e.g. zhai")
    bands: dict[str, RasterSpec] = Field(description="reflectance 0-1, by band name")
    lst: RasterSpec = Field(description="surface temperature, K")


class ZonesSpec(Strict):
    """Polygons whose means are wanted."""

    path: str
    id: str = Field(description="column with the zone's id")
    layer: str | None = None


class RseiSpec(Strict):
    """A file for `eco rsei`; paths start at its folder."""

    output: str
    years: tuple[YearSpec, ...] = Field(min_length=1)
    percent: tuple[float, float] | None = None
    model: str | None = Field(None, description="model.json of an earlier run, applied unchanged")
    zones: ZonesSpec | None = None
    _path: Path = PrivateAttr(default=Path("rsei.yaml"))

    @model_validator(mode="after")
    def _consistent(self) -> RseiSpec:
        names = [y.name for y in self.years]
        if len(set(names)) < len(names):
            raise ValueError("two years have the same name")
        if self.model is not None and self.percent is not None:
            raise ValueError("'percent' belongs to the fit; a given model has its own")
        return self

    def resolve(self, text: str) -> Path:
        """Return a path of the file, expanded and counted from its folder."""
        path = Path(yamlio.expand(text, str(self._path)))
        return path if path.is_absolute() else Path(os.path.normpath(self._path.parent / path))


def load_spec(path: Path | str) -> RseiSpec:
    """Read and check a file for `eco rsei`."""
    spec = yamlio.load(path, RseiSpec)
    spec._path = Path(path).resolve()
    return spec


def run_rsei(spec: RseiSpec, progress: Progress | None = None) -> dict[str, Any]:
    """Fit (or read) the model, write the maps of every year and the table of zones.

    Returns
    -------
    dict
        ``model`` (path), ``share``, ``loadings``, ``limits``, ``years`` (name to map, classes,
        mean, valid_pixels), ``zones`` (path or None).

    Raises
    ------
    InputError
        A file that cannot be read, rasters of different grids, values in a wrong unit, or an area
        where RSEI is not valid.
    UsageError
        No wetness coefficients for a sensor and level.
    """
    say = progress or (lambda *_: None)
    years = [_year(spec, one) for one in spec.years]
    _same_grid(years)
    zones = None
    if spec.zones is not None:  # before the long work: a wrong column ends it at once
        zones = _zones(spec.resolve(spec.zones.path), spec.zones, years[0].data["lst"])
    folder = spec.resolve(spec.output)
    if spec.model is not None:
        path = spec.resolve(spec.model)
        if not path.is_file():
            raise InputError(f"the model is missing: {path}", where=str(spec._path))
        model = RseiModel.from_json(path.read_text(encoding="utf-8"))
    else:
        say("rsei", 0, len(years) + 1, "fit")
        model = rsei_map.fit(years, spec.percent)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").write_text(model.to_json(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from None
    report: dict[str, Any] = {
        "model": str(folder / "model.json"),
        "fitted": spec.model is None,
        "share": model.share,
        "loadings": dict(zip(("ndvi", "wet", "lst", "ndbsi"), model.loadings, strict=True)),
        "limits": dict(zip(("ndvi", "wet", "lst", "ndbsi"), model.limits, strict=True)),
        "years": {},
        "zones": None,
    }
    rows: list[dict[str, Any]] = []
    for done, year in enumerate(years, 1):
        say("rsei", done, len(years) + 1, year.name)
        report["years"][year.name] = _maps(model, year, folder, zones, rows)
    if spec.zones is not None:
        table = folder / "zones.csv"
        with table.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["year", "zone"])
            writer.writeheader()
            writer.writerows(rows)
        report["zones"] = str(table)
    say("rsei", len(years) + 1, len(years) + 1, "")
    return report


def _maps(
    model: RseiModel,
    year: Year,
    folder: Path,
    zones: tuple[xr.DataArray, tuple[str, ...]] | None,
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write a year's map once and take everything else from the written file."""
    index = rsei_map.apply(model, year)
    path = folder / f"rsei_{year.name}.tif"
    tags = {k: str(v) for k, v in index.attrs.items()}
    index.attrs = {}
    _write(index.rio.write_nodata(np.nan), path, tags)
    stored = _open(RasterSpec(path=str(path)), path, "rsei")
    graded = rsei_zones.classes(stored)
    path_classes = folder / f"rsei_class_{year.name}.tif"
    tags = {k: str(v) for k, v in graded.attrs.items()}
    graded.attrs = {}
    _write(graded.rio.write_nodata(rsei_zones.NO_CLASS), path_classes, tags)
    everywhere = xr.ones_like(stored, dtype=np.int32)
    (whole,) = rsei_zones.zone_means(stored, everywhere)
    if zones is not None:
        numbers, ids = zones
        found = {z.zone: z for z in rsei_zones.zone_means(stored, numbers)}
        for number, zone_id in enumerate(ids, 1):
            zone = found.get(number)
            row: dict[str, Any] = {
                "year": year.name,
                "zone": zone_id,
                "mean": "" if zone is None or zone.mean is None else f"{zone.mean:.4f}",
                "valid_pixels": 0 if zone is None else zone.valid,
                "missing_pixels": 0 if zone is None else zone.missing,
            }
            shares = (0.0,) * 5 if zone is None else zone.shares
            has = zone is not None and zone.valid > 0
            for text, share in zip(rsei_zones.CLASSES, shares, strict=True):
                row[f"share_{text.en}"] = f"{share:.4f}" if has else ""
            rows.append(row)
    return {
        "map": str(path),
        "classes": str(path_classes),
        "mean": whole.mean,
        "valid_pixels": whole.valid,
        "missing_pixels": whole.missing,
        "wetness": year.wetness.id,
    }


def _year(spec: RseiSpec, one: YearSpec) -> Year:
    wetness = wetness_set(one.sensor, one.level, one.author)
    data = {
        name: _open(raster, spec.resolve(raster.path), f"{one.name}, {name}")
        for name, raster in (*one.bands.items(), ("lst", one.lst))
    }
    first = next(iter(data.values()))
    for name, array in data.items():
        if array.shape != first.shape or not _close(array.rio.transform(), first.rio.transform()):
            raise InputError(
                f"'{name}' lies on another grid than '{first.name}'",
                where=f"{spec._path}, year {one.name}",
                rule="all rasters have one size, place and pixel",
                fix="warp them to one grid first, e.g. with gdalwarp -te -tr",
            )
    return Year(one.name, xr.Dataset({k: v.rename(k) for k, v in data.items()}), wetness)


def _close(a: Any, b: Any) -> bool:
    return bool(np.allclose(a[:6], b[:6], rtol=0, atol=1e-6 * abs(a.a)))


def _same_grid(years: list[Year]) -> None:
    first = years[0].data["lst"]
    for year in years[1:]:
        other = year.data["lst"]
        same = other.shape == first.shape and other.rio.crs == first.rio.crs
        if not same or not _close(other.rio.transform(), first.rio.transform()):
            raise InputError(
                f"year {year.name} lies on another grid than {years[0].name}",
                rule="the years that are compared have one grid",
            )


def _open(raster: RasterSpec, path: Path, name: str) -> xr.DataArray:
    """Open a band as chunked float32 with NaN for no data."""
    if not path.is_file():
        raise InputError(f"the raster of {name} is missing: {path}")
    chunks = {"band": 1, "x": CHUNK, "y": CHUNK}
    try:
        opened = xr.open_dataarray(path, engine="rasterio", chunks=chunks, mask_and_scale=False)
    except (RasterioError, OSError, ValueError) as error:
        raise InputError(f"the raster of {name} cannot be read: {error}", where=str(path)) from None
    if opened.rio.crs is None:
        raise InputError(f"the raster of {name} has no CRS", where=str(path))
    if raster.band > opened.sizes["band"]:
        raise UsageError(
            f"the raster of {name} has {opened.sizes['band']} bands, not {raster.band}",
            where=str(path),
        )
    nodata = raster.nodata if raster.nodata is not None else opened.rio.nodata
    band = opened.isel(band=raster.band - 1, drop=True)

    def physical(stored: np.ndarray) -> np.ndarray:
        values = stored.astype(np.float64) * raster.scale + raster.offset
        if nodata is not None and not np.isnan(nodata):
            values[stored == nodata] = np.nan
        return values.astype(np.float32)

    out = xr.apply_ufunc(physical, band, dask="parallelized", output_dtypes=[np.float32])
    out = out.rio.write_crs(opened.rio.crs).rio.write_transform(opened.rio.transform())
    out.name = name
    return out


def _write(array: xr.DataArray, path: Path, tags: dict[str, str]) -> None:
    partial = path.with_name(f"{path.stem}.partial.tif")
    try:
        array.rio.to_raster(
            partial, driver="GTiff", tiled=True, blockxsize=CHUNK, blockysize=CHUNK,
            compress="deflate", windowed=True, tags=tags,
        )  # fmt: skip
        os.replace(partial, path)
    except (RasterioError, OSError) as error:
        raise InputError(f"cannot write {path}: {error}") from None
    finally:
        partial.unlink(missing_ok=True)


def _zones(
    path: Path, spec: ZonesSpec, index: xr.DataArray
) -> tuple[xr.DataArray, tuple[str, ...]]:
    """Return zone numbers on the map's grid, lazily, and the zones' ids."""
    transform = index.rio.transform()
    height, width = index.shape
    if abs(transform.a + transform.e) > 1e-9 * transform.a or transform.b or transform.d:
        raise InputError("zones need square pixels, north up", rule="warp the rasters first")
    xmin, ymax = transform.c, transform.f
    bounds = (xmin, ymax - height * transform.a, xmin + width * transform.a, ymax)
    grid = Grid(index.rio.crs.to_wkt(), transform.a, bounds, CHUNK, CHUNK)
    if not path.is_file():
        raise InputError(f"the zones are missing: {path}")
    _, ids = auxiliary.zone_numbers(path, spec.layer, spec.id, grid, Tile(0, 0, 0, 1, 0, 1))

    def block(block_info: Any = None) -> np.ndarray:
        (y0, y1), (x0, x1) = block_info[None]["array-location"]
        numbers, _ = auxiliary.zone_numbers(
            path, spec.layer, spec.id, grid, Tile(0, 0, y0, y1, x0, x1)
        )
        return numbers

    import dask.array as da

    meta = np.empty((0, 0), np.int32)
    data = da.map_blocks(block, chunks=index.chunks, dtype=np.int32, meta=meta)
    return xr.DataArray(data, dims=index.dims, coords=index.coords), ids
