"""Small simulated scenes of GF-1: images, XML, RPC, gains; and the plane that is planted."""

from __future__ import annotations

import csv
import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from imagery_fakes import WORLD, catalog_of
from pyproj import Transformer
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from eco_index.catalog import Catalog, completed
from eco_index.composite import Composite, composite_tile
from eco_index.grid import Grid, Tile
from eco_index.sources import Scene, open_source
from eco_index.sources.calibration import (
    COLUMNS,
)
from eco_index.sources.rpc import Rpc

JULY = (dt.date(2025, 7, 1), dt.date(2025, 7, 31))
NAME = "GF1_WFV1_E112.5_N40.3_20250703_L1A0001234567"
# Not real gains: round numbers for a simulated scene.
GAINS = {"blue": (0.2, 0.0, 2000.0), "red": (0.15, 1.0, 1500.0), "nir": (0.14, -0.5, 1000.0)}
ZENITH = 30.0


def write_gains(path: Path, year: int = 2025, **changes: Any) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS)
        rows.writeheader()
        for band, (gain, offset, esun) in GAINS.items():
            row = {"satellite": "GF1", "sensor": "WFV1", "year": year, "band": band}
            row |= {"gain": gain, "offset": offset, "esun": esun, "source": "simulated"}
            rows.writerow(row | changes)
    return path


def write_xml(
    path: Path, satellite: str = "GF1", sensor: str = "WFV1", zenith: Any = ZENITH
) -> None:
    path.write_text(
        f"<ProductMetaData><SatelliteID>{satellite}</SatelliteID><SensorID>{sensor}</SensorID>"
        f"<ProductLevel>LEVEL1A</ProductLevel><CenterTime>2025-07-03 11:20:30</CenterTime>"
        f"<SolarZenith>{zenith}</SolarZenith></ProductMetaData>",
        encoding="utf-8",
    )


def simulated_rpc(grid: Grid, size: int, pixel_m: float, tilt: float = 0.4) -> Rpc:
    """RPC of a camera that looks along latitude and longitude, leaning by `tilt` m/m of height.

    Numerators are linear with small cubic terms, denominators nearly 1: nothing cancels by chance.
    """
    to = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    xmin, ymin, xmax, ymax = grid.bounds
    lon, lat = to.transform((xmin + xmax) / 2, (ymin + ymax) / 2)
    half = size / 2
    dlat = half * pixel_m / 111_000.0
    dlon = dlat / math.cos(math.radians(lat))
    norm = [half - 0.5, half, half - 0.5, half, lat, dlat, lon, dlon, 1000.0, 500.0]
    zero = [0.0] * 20
    line, sample, den = list(zero), list(zero), list(zero)
    line[2], line[1], line[11], den[0] = -1.0, 0.03, 1e-4, 1.0
    sample[1], sample[3], sample[15] = 1.0, tilt * 500.0 / pixel_m / half, 1e-4
    den[3] = 1e-6
    return Rpc(norm, [line, den, sample, list(den)], 25.0)


def write_rpb(path: Path, rpc: Rpc) -> None:
    names = ("line", "samp", "lat", "long", "height")
    text = [f'satId = "GF1";\nbandId = "X";\nBEGIN_GROUP = IMAGE\n\terrBias = {rpc.error_m};']
    for i, name in enumerate(names):
        text.append(
            f"\t{name}Offset = {rpc.norm[2 * i]!r};\n\t{name}Scale = {rpc.norm[2 * i + 1]!r};"
        )
    for name, row in zip(
        ("lineNumCoef", "lineDenCoef", "sampNumCoef", "sampDenCoef"), rpc.poly, strict=True
    ):
        text.append(f"\t{name} = (\n\t\t\t" + ",\n\t\t\t".join(repr(v) for v in row) + ");")
    path.write_text("\n".join([*text, "END_GROUP = IMAGE\nEND;"]))


def gdal_rpc(rpc: Rpc) -> RPC:
    n, p = rpc.norm, rpc.poly
    return RPC(
        height_off=n[8], height_scale=n[9], lat_off=n[4], lat_scale=n[5], line_den_coeff=p[1],
        line_num_coeff=p[0], line_off=n[0], line_scale=n[1], long_off=n[6], long_scale=n[7],
        samp_den_coeff=p[3], samp_num_coeff=p[2], samp_off=n[2], samp_scale=n[3],
    )  # fmt: skip


def write_image(path: Path, bands: list[np.ndarray], **place: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", width=bands[0].shape[1], height=bands[0].shape[0],
        count=len(bands), dtype="uint16", **place,
    ) as out:  # fmt: skip
        for number, data in enumerate(bands, start=1):
            out.write(data, number)


def catalog(tmp_path: Path, record: str = "gf1_wfv", **access: Any) -> Catalog:
    mask = {"mask": access.pop("mask")} if "mask" in access else {}
    bands = {"bands": access.pop("bands")} if "bands" in access else {}
    base = {"type": "product_folder", "path": "in", "layout": "china_wfv"}
    made = catalog_of(tmp_path, d={"access": base | access, "record": record} | mask | bands)
    made.datasets["d"] = completed(made.datasets["d"], "here")
    return made


def search(made: Catalog, grid: Grid | None = None) -> Any:
    return open_source("d", made, grid).search(WORLD, *JULY)


def whole(made: Catalog, scene: Scene, grid: Grid) -> Composite:
    return composite_tile([scene], made, grid, Tile(0, 0, 0, grid.shape[0], 0, grid.shape[1]))


def reflectance(band: str, dn: Any) -> Any:
    """The formula as the literature writes it, in three steps."""
    gain, offset, esun = GAINS[band]
    radiance = dn * gain + offset
    distance = 1 - 0.01672 * math.cos(math.radians(0.9856 * (184 - 4)))  # 3 July: day 184
    return math.pi * radiance * distance**2 / (esun * math.cos(math.radians(ZENITH)))


def rpc_scene(tmp_path: Path, grid: Grid, rpc: Rpc, height: Any, size: int = 200) -> None:
    """A scene seen through RPC of a ground whose bands are linear in the grid's x and y.

    Each image pixel is traced to the ground by GDAL's own transformer, so that the pattern planted
    on the ground is known there to a small part of a pixel.
    """
    rows, cols = (a.ravel() for a in np.mgrid[0:size, 0:size])
    with RPCTransformer(gdal_rpc(rpc)) as transformer:
        lon, lat = transformer.xy(rows, cols, zs=np.full(rows.size, 1000.0))
        for _ in range(4):  # where the height depends on the place
            to = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
            x, y = to.transform(lon, lat)
            lon, lat = transformer.xy(rows, cols, zs=height(np.asarray(x), np.asarray(y)))
    x, y = to.transform(lon, lat)
    red, nir = truth(grid, np.asarray(x), np.asarray(y))
    shape = (size, size)
    bands = [np.full(shape, 250), np.full(shape, 300), red.reshape(shape), nir.reshape(shape)]
    write_image(tmp_path / "in" / f"{NAME}.tiff", [np.rint(b).astype("u2") for b in bands])
    write_image(tmp_path / "in" / f"{NAME}_mask.tif", [np.zeros(shape, "u2")])
    write_xml(tmp_path / "in" / f"{NAME}.xml")
    write_rpb(tmp_path / "in" / f"{NAME}.rpb", rpc)
    write_gains(tmp_path / "g.csv")


def truth(grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DN of red falls to the east by 20 a pixel of 16 m, of near infrared to the south."""
    east, south = (x - grid.bounds[0]) / 16.0, (grid.bounds[3] - y) / 16.0
    return 20000 - 20 * east, 20000 + 20 * (100 - south)


def expected(grid: Grid) -> np.ndarray:
    rows, cols = np.mgrid[0 : grid.shape[0], 0 : grid.shape[1]]
    x = grid.bounds[0] + (cols + 0.5) * grid.resolution
    y = grid.bounds[3] - (rows + 0.5) * grid.resolution
    red, nir = (reflectance(b, v) for b, v in zip(("red", "nir"), truth(grid, x, y), strict=True))
    return np.asarray((nir - red) / (nir + red) * 1e4)
