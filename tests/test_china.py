"""GF-1/GF-6 WFV and HJ-2 CCD from a folder: calibration, RPC, masks, end to end."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tiny_region
import yaml
from imagery_fakes import WORLD, catalog_of, grid_of, origin_over, write_raster
from pyproj import Transformer
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from eco_index.catalog import Catalog, completed
from eco_index.composite import Composite, composite_tile
from eco_index.config import load_region
from eco_index.digests import hash_of
from eco_index.errors import InputError, UsageError
from eco_index.grid import Grid, Tile
from eco_index.period import Month
from eco_index.sources import Manifest, Scene, acquire, open_source
from eco_index.sources.calibration import (
    COLUMNS,
    Gain,
    read_calibration,
    reflectance_line,
    sun_distance,
)
from eco_index.sources.preflight import check_scene
from eco_index.sources.rpc import Rpc, read_rpb, shift_per_metre

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


# ------------------------------------------------------------------ calibration


def test_distance_of_the_sun_against_an_almanac() -> None:
    """Perihelion 2025-01-04: 0.98333 au; aphelion 2025-07-03: 1.01664 au."""
    assert sun_distance(dt.date(2025, 1, 4)) == pytest.approx(0.98333, abs=3e-4)
    assert sun_distance(dt.date(2025, 7, 3)) == pytest.approx(1.01664, abs=3e-4)


def test_line_is_the_formula() -> None:
    gain = Gain(*GAINS["red"], "simulated")
    scale, offset = reflectance_line(gain, dt.date(2025, 7, 3), ZENITH)
    for dn in (1, 300, 1023):
        assert dn * scale + offset == pytest.approx(reflectance("red", dn), rel=1e-12)
    with pytest.raises(InputError, match="solar zenith 95"):
        reflectance_line(gain, dt.date(2025, 7, 3), 95.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": "x"}, "not a number"),
        ({"gain": 0}, "cannot be"),
        ({"esun": 1e6}, "cannot be"),
        ({"source": " "}, "names no source"),
        ({"band": "red"}, "given twice"),
    ],
)
def test_calibration_files_that_cannot_be(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_calibration(write_gains(tmp_path / "g.csv", **changes))
    (tmp_path / "h.csv").write_text("satellite,gain\n")
    with pytest.raises(InputError, match="(?s)lacks the column.*sensor, year"):
        read_calibration(tmp_path / "h.csv")
    with pytest.raises(InputError, match="does not exist"):
        read_calibration(tmp_path / "none.csv")


# ------------------------------------------------------------------ orthorectified


def ortho_scene(tmp_path: Path, grid: Grid, cloud: bool = False) -> dict[str, np.ndarray]:
    """Four bands in UTM, some no-data; bright blue where it is cloudy."""
    rng = np.random.default_rng(3)
    bands = [np.full((160, 160), v, "u2") for v in (250, 300, 320, 700)]
    bands[2] += np.kron(rng.integers(0, 200, (16, 16)), np.ones((10, 10), int)).astype("u2")
    for data in bands:
        data[:, :20] = 0
    if cloud:
        bands[0][60:90] = 1000
    origin = origin_over(grid, "EPSG:32649", 160, 160, 16.0)
    transform = rasterio.transform.from_origin(*origin, 16.0, 16.0)
    write_image(tmp_path / "in" / f"{NAME}.tiff", bands, crs="EPSG:32649", transform=transform)
    write_xml(tmp_path / "in" / f"{NAME}.xml")
    write_gains(tmp_path / "g.csv")
    return {"origin": origin, "red": bands[2], "blue": bands[0]}


def test_orthorectified_scene_end_to_end_with_its_mask(tmp_path: Path) -> None:
    grid = grid_of(60, 60, resolution=16.0)
    made = ortho_scene(tmp_path, grid)
    mask = np.zeros((160, 160), "u1")
    mask[:, 80:90] = 2
    write_raster(tmp_path / "in" / f"{NAME}_mask.tif", mask, "EPSG:32649", made["origin"], 16.0)
    cat = catalog(tmp_path, calibration="g.csv")
    (scene,) = search(cat).scenes
    assert scene.datetime == "2025-07-03T03:20:30Z"  # 11:20 in Beijing
    assert "top of atmosphere" in scene.properties["quality_label"]
    checked = check_scene(scene, cat.datasets["d"])
    assert isinstance(checked, Scene)
    out = whole(cat, checked, grid)
    assert not out.failures and 0.5 < (out.clear_count > 0).mean() < 1
    assert (out.obs_count > 0).sum() > (out.clear_count > 0).sum()
    values = np.unique(made["red"][made["red"] > 0])
    red, nir = reflectance("red", values), reflectance("nir", 700)
    possible = (nir - red) / (nir + red) * 1e4
    found = out.ndvi_max[out.ndvi_max > -32768]
    assert possible.min() - 1 < found.min() and found.max() < possible.max() + 1
    # Most pixels lie inside a patch of one value: their NDVI is that of the formula.
    near = np.abs(found[:, None] - possible[None]).min(axis=1)
    assert np.median(near) < 0.51


def test_declared_screen_is_flagged_and_leaves_clouds_out(tmp_path: Path) -> None:
    grid = grid_of(60, 60, resolution=16.0)
    ortho_scene(tmp_path, grid, cloud=True)
    threshold = float(reflectance("blue", 600))
    screen = {"band": "blue", "cloud_above": threshold}
    cat = catalog(
        tmp_path, calibration="g.csv", screen=screen,
        mask={"band": "clear_sky", "recipe": "simple_screen"},
    )  # fmt: skip
    (scene,) = search(cat).scenes
    assert scene.properties["quality_label"].startswith("lower: simple cloud screen")
    assert scene.to_dict()["properties"]["quality_label"].startswith("lower")
    checked = check_scene(scene, cat.datasets["d"])
    assert isinstance(checked, Scene)
    sums = checked.assets["clear_sky"].checksum
    out = whole(cat, checked, grid)
    cloudy = (out.obs_count > 0) & (out.clear_count == 0)
    assert 25 <= cloudy.any(axis=1).sum() <= 35  # thirty lines of cloud
    # Another threshold is another receipt: it decides results.
    cat = catalog(
        tmp_path, calibration="g.csv", screen=screen | {"cloud_above": 9.0},
        mask={"band": "clear_sky", "recipe": "simple_screen"},
    )  # fmt: skip
    (scene,) = search(cat).scenes
    checked = check_scene(scene, cat.datasets["d"])
    assert isinstance(checked, Scene) and checked.assets["clear_sky"].checksum != sums
    assert ((whole(cat, checked, grid).clear_count > 0) >= (out.clear_count > 0)).all()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    grid = grid_of(60, 60, resolution=16.0)
    ortho_scene(tmp_path, grid)
    with pytest.raises(UsageError, match="(?s)digital numbers without calibration.*no gains"):
        search(catalog(tmp_path))
    with pytest.raises(UsageError, match="go together"):
        search(catalog(tmp_path, calibration="g.csv", screen={"band": "blue", "cloud_above": 1}))
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "no mask" in failure.reason and f"{NAME}_mask.tif" in failure.reason
    write_gains(tmp_path / "g.csv", year=2024)
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "no row for GF1 WFV1, 2025, band red" in failure.reason
    write_gains(tmp_path / "g.csv")
    image = tmp_path / "in" / f"{NAME}.tiff"
    write_image(image, [np.ones((8, 8), "u2")] * 4)
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "neither a coordinate system nor an RPC" in failure.reason
    write_rpb(image.with_suffix(".rpb"), simulated_rpc(grid, 8, 16.0))
    (failure,) = search(catalog(tmp_path, calibration="g.csv"), grid).failures
    assert "declare 'access.ortho'" in failure.reason
    image.unlink()
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "no GeoTIFF" in failure.reason
    write_xml(tmp_path / "in" / f"{NAME}.xml", zenith="noon")
    (failure,) = search(catalog(tmp_path, calibration="g.csv")).failures
    assert "noon" in failure.reason
    assert not search_hj(tmp_path).failures and not search_hj(tmp_path).scenes


def search_hj(tmp_path: Path) -> Any:
    """The folder holds GF-1 only: a dataset of HJ-2 has nothing there, and says so elsewhere."""
    write_xml(tmp_path / "in" / "HJ2A_CCD1_x.xml", "HJ2A", "CCD1")
    made = catalog(tmp_path, "hj2_ccd", calibration="g.csv")
    return open_source("d", made).search(WORLD, dt.date(2024, 1, 1), dt.date(2024, 1, 31))


# ------------------------------------------------------------------ RPC


def test_positions_agree_with_gdal(tmp_path: Path) -> None:
    grid = grid_of(60, 60, resolution=16.0)
    rpc = simulated_rpc(grid, 200, 16.0)
    write_rpb(tmp_path / "x.rpb", rpc)
    read = read_rpb(tmp_path / "x.rpb")
    assert read == rpc
    rng = np.random.default_rng(1)
    lon = rpc.norm[6] + rpc.norm[7] * rng.uniform(-1, 1, 200)
    lat = rpc.norm[4] + rpc.norm[5] * rng.uniform(-1, 1, 200)
    height = rng.uniform(500, 1500, 200)
    u, v = read.positions(lon, lat, height)
    with RPCTransformer(gdal_rpc(rpc)) as transformer:
        rows, cols = transformer.rowcol(lon, lat, zs=height, op=lambda a: a)
    assert np.abs(u - cols).max() < 1e-6 and np.abs(v - rows).max() < 1e-6
    assert shift_per_metre(read, 16.0) == pytest.approx(0.4, abs=1e-3)
    (tmp_path / "x.rpb").write_text("lineOffset = 1;\nsampOffset = x;")
    with pytest.raises(InputError, match="x.rpb cannot be read"):
        read_rpb(tmp_path / "x.rpb")


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


@pytest.mark.parametrize("resolution", [16.0, 30.0, 48.0])
def test_rpc_scene_lands_where_it_belongs(tmp_path: Path, resolution: float) -> None:
    """NDVI changes by 5 and more stored steps a pixel: half a pixel of shift could not hide."""
    n = round(1440 / resolution)
    grid = grid_of(n, n, resolution=resolution)
    rpc = simulated_rpc(grid, 200, 16.0)
    rpc_scene(tmp_path, grid, rpc, lambda x, y: np.full(x.shape, 1200.0))
    cat = catalog(tmp_path, calibration="g.csv", ortho={"height": 1200.0})
    (scene,) = search(cat, grid).scenes
    assert "placed by RPC, bias 25 m, 0.40 m for each metre" in scene.properties["quality_label"]
    checked = check_scene(scene, cat.datasets["d"])
    assert isinstance(checked, Scene)
    out = whole(cat, checked, grid)
    assert not out.failures and (out.clear_count > 0).all()
    difference = out.ndvi_max - expected(grid)
    step = np.abs(np.diff(expected(grid), axis=1)).mean()
    assert step > 4 and np.abs(difference).max() < 0.1 * step + 1
    # A height that is wrong by 100 m moves the scene by 40 m, as the label says.
    wrong = catalog(tmp_path, calibration="g.csv", ortho={"height": 1300.0})
    (scene,) = search(wrong, grid).scenes
    moved = np.median(whole(wrong, scene, grid).ndvi_max - expected(grid))
    assert abs(moved) == pytest.approx(step * 40 / resolution, rel=0.15)


def test_same_bits_for_any_tiles(tmp_path: Path) -> None:
    grid = grid_of(90, 90, resolution=16.0)
    rpc_scene(tmp_path, grid, simulated_rpc(grid, 200, 16.0), lambda x, y: np.full(x.shape, 900.0))
    cat = catalog(tmp_path, calibration="g.csv", ortho={"height": 900.0})
    (scene,) = search(cat, grid).scenes
    at_once = whole(cat, scene, grid)
    for size in (17, 64):
        for y0 in range(0, 90, size):
            for x0 in range(0, 90, size):
                tile = Tile(0, 0, y0, min(90, y0 + size), x0, min(90, x0 + size))
                part = composite_tile([scene], cat, grid, tile)
                window = np.s_[tile.y0 : tile.y1, tile.x0 : tile.x1]
                assert (part.ndvi_max == at_once.ndvi_max[window]).all()
                assert (part.clear_count == at_once.clear_count[window]).all()


def test_dem_takes_out_what_terrain_moves(tmp_path: Path) -> None:
    """A slope of 0.3: one height for all leaves up to 80 m of error, the DEM next to none."""
    grid = grid_of(90, 90, resolution=16.0)

    def height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 1000.0 + 0.3 * (x - (grid.bounds[0] + grid.bounds[2]) / 2)

    rpc_scene(tmp_path, grid, simulated_rpc(grid, 200, 16.0), height)
    x = grid.bounds[0] - 960 + (np.arange(110) + 0.5) * 32
    data = np.tile(height(x, x), (110, 1)).astype("f4")
    corner = (grid.bounds[0] - 960, grid.bounds[3] + 960)
    write_raster(tmp_path / "dem.tif", data, grid.crs_wkt, corner, 32.0, nodata=-9999)
    errors = {}
    for name, ortho in (("dem", {"dem": "dem.tif"}), ("height", {"height": 1000.0})):
        cat = catalog(tmp_path, calibration="g.csv", ortho=ortho)
        (scene,) = search(cat, grid).scenes
        checked = check_scene(scene, cat.datasets["d"])
        assert isinstance(checked, Scene)
        out = whole(cat, checked, grid)
        clear = out.clear_count > 0
        assert clear.mean() > 0.9
        errors[name] = np.abs(out.ndvi_max - expected(grid))[clear].max()
    step = np.abs(np.diff(expected(grid), axis=1)).mean()
    assert errors["dem"] < 0.15 * step + 1 and errors["height"] > 3 * step


def test_through_the_months_of_a_region(tmp_path: Path) -> None:
    """Acquired as every month is: the region's grid is known, the manifest keeps the label."""
    region = tiny_region.region(tmp_path)
    rpc = simulated_rpc(region.grid, 200, 16.0)
    rpc_scene(tmp_path, region.grid, rpc, lambda x, y: np.full(x.shape, 1000.0))
    path = tmp_path / "data_catalog.yaml"
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    access = {"type": "product_folder", "path": "in", "layout": "china_wfv"}
    access |= {"calibration": "g.csv", "ortho": {"height": 1000.0}}
    entry = {k: entries["datasets"]["img"][k] for k in ("title", "licence", "source")}
    entries["datasets"]["img"] = entry | {"access": access, "record": "gf1_wfv"}
    path.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    region = load_region(tmp_path / "regions" / "tiny.yaml")
    manifest = acquire(region, Month.parse("2025-07"))
    assert not manifest.failures
    again = Manifest.from_dict(json.loads(json.dumps(manifest.to_dict())))
    assert again == manifest
    (scene,) = again.scenes
    assert scene.properties["quality_label"].startswith("lower: placed by RPC")
    made = whole(region.catalog, scene, region.grid)
    assert not made.failures and (made.clear_count > 0).any()
    before = hash_of([scene.fingerprint()])
    text = (tmp_path / "g.csv").read_text().replace("0.15", "0.16")
    (tmp_path / "g.csv").write_text(text)
    (scene,) = acquire(region, Month.parse("2025-07")).scenes
    assert hash_of([scene.fingerprint()]) != before  # another gain, another result
