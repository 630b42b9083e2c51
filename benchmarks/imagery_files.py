"""Files of the imagery benchmark: ten dates of red, near infrared and QA, and a region for them."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from pyproj import Transformer
from rasterio.transform import from_origin

BANDS = ("red", "nir", "qa")
BLOCK = 512
RESOLUTION = 30.0
MOST_FILES = 28  # dates with pixels of their own
ALBERS = "+proj=aea +lat_0=0 +lon_0=105 +lat_1=25 +lat_2=47 +ellps=GRS80 +units=m +no_defs"
UTM = "EPSG:32649"
CLEAR, CLOUD, SHADOW, SNOW, FILL = 21824, 22280, 23888, 30048, 1
SOIL, VEG = 0.05, 0.86  # end members of the benchmark's region only
SCALE, OFFSET = 2.75e-5, -0.2
VALID = (7273, 43636)


@dataclass(frozen=True)
class Case:
    """Files on disk and the grid they are brought to.

    Attributes
    ----------
    folder : str
    size, dates : int
        Pixels of a side, of the files and of the grid; number of dates.
    crs : str
        CRS of the files; the grid's is always Albers.
    bounds : tuple
        Of the grid.
    tile : int
        Write tile of the grid.
    """

    folder: str
    size: int
    dates: int
    crs: str
    bounds: tuple[float, float, float, float]
    tile: int

    @property
    def megapixels(self) -> float:
        """Million pixel-dates of the grid."""
        return self.size * self.size * self.dates / 1e6

    def path(self, date: int, band: str) -> str:
        day, (hour, minute) = date % MOST_FILES + 1, divmod(date // MOST_FILES, 60)
        name = f"202507{day:02d}T{hour:02d}{minute:02d}_{band}.tif"
        return str(Path(self.folder) / "scenes" / name)


def make(folder: Path, size: int, dates: int, reproject: bool, tile: int) -> Case:
    """Write the files of a case: uint16, DEFLATE, predictor 2, blocks of 512."""
    half = size * RESOLUTION / 2
    x, y = 900_000.0 + half, 4_500_000.0 - half
    bounds = (x - half, y - half, x + half, y + half)
    crs, corner = ALBERS, (bounds[0], bounds[3])
    if reproject:
        crs = UTM
        x, y = Transformer.from_crs(ALBERS, UTM, always_xy=True).transform(x, y)
        corner = (round((x - half) / 30) * 30.0, round((y + half) / 30) * 30.0)
    case = Case(str(folder), size, dates, crs, bounds, tile)
    (folder / "scenes").mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda date: _write_date(case, date, corner), range(dates)))
    return case


def repeated(case: Case, folder: Path, dates: int) -> Case:
    """Return a case of many scenes: the files of another one, linked under further dates."""
    out = dataclasses.replace(case, folder=str(folder), dates=dates)
    (folder / "scenes").mkdir(parents=True)
    for date in range(dates):
        for band in BANDS:
            Path(out.path(date, band)).hardlink_to(case.path(date % case.dates, band))
    return out


def _write_date(case: Case, date: int, corner: tuple[float, float]) -> None:
    """Smooth reflectances with sensor noise; clouds, shadows, snow and a gap, by date."""
    random = np.random.default_rng(100 + date)
    n = case.size
    row, col = np.arange(n, dtype=np.float32)[:, None], np.arange(n, dtype=np.float32)[None]
    wave = np.sin(col / 61 + date) * np.cos(row / 47) + 0.5 * np.sin((row + 2 * col) / 230)
    values = {}
    for band, level, swing in (("red", 10200.0, 900.0), ("nir", 16500.0, -2600.0)):
        data = random.normal(level, 45.0, (n, n)).astype(np.float32)
        data += swing * wave
        values[band] = data.astype(np.uint16)
    coarse = random.random((n // 40 + 1, n // 40 + 1))
    cells = np.kron(coarse, np.ones((40, 40), np.float32))[:n, :n]
    qa = np.full((n, n), CLEAR, np.uint16)
    for low, high, code in ((0, 0.22, CLOUD), (0.22, 0.27, SHADOW), (0.27, 0.29, SNOW)):
        qa[(cells >= low) & (cells < high)] = code
    qa[: n // 50] = FILL
    for band in ("red", "nir"):
        values[band][qa == FILL] = 0
    values["qa"] = qa
    for band, data in values.items():
        with rasterio.open(
            case.path(date, band),
            "w",
            driver="GTiff",
            width=n,
            height=n,
            count=1,
            dtype="uint16",
            crs=case.crs,
            transform=from_origin(*corner, RESOLUTION, RESOLUTION),
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            compress="deflate",
            predictor=2,
        ) as out:
            out.write(data, 1)


def region_file(case: Case, name: str) -> Path:
    """Write catalogue, programme and region file whose outputs go to a folder of that name."""
    home = Path(case.folder) / name
    (home / "programmes").mkdir(parents=True)
    (home / "regions").mkdir()

    def text(value: str) -> dict[str, str]:
        return {"zh": value, "en": value}

    entry = {"licence": "CC0-1.0", "source": "simulated for a benchmark"}
    band = {"scale": SCALE, "offset": OFFSET, "nodata": 0, "valid_range": list(VALID)}
    datasets: dict[str, Any] = {
        "scenes": entry
        | {
            "title": text("scenes"),
            "access": {
                "type": "scene_files",
                "path": "../scenes",
                "pattern": r"(?P<date>\d{8}T\d{4})_(?P<asset>red|nir|qa)\.tif$",
                "date_format": "%Y%m%dT%H%M",
            },
            "bands": {
                "red": {"asset": ["red"]} | band,
                "nir": {"asset": ["nir"]} | band,
                "qa": {"asset": ["qa"], "nodata": 1, "units": "bits"},
            },
            "mask": {"band": "qa", "recipe": "landsat_qa_pixel", "version": 1},
        },
        "zones": entry
        | {"title": text("zones"), "access": {"type": "vector", "path": "zones.gpkg"}},
    }
    for written in ("cube", "assessments", "releases"):
        access = {"type": "written", "path": written}
        datasets[written] = entry | {"title": text(written), "access": access}
    region = {
        "id": "benchmark",
        "name": text("Benchmark"),
        "catalog": "../catalog.yaml",
        "output": "out",
        "grid": {
            "crs": ALBERS,
            "resolution": RESOLUTION,
            "bounds": list(case.bounds),
            "tile": case.tile,
            "chunk": case.tile // 4,
        },
        "years": {"first": 2025, "last": 2025},
        "months": {"first": 7, "last": 7},
        "season": {"first": 7, "last": 7},
        "min_season_months": 1,
        "imagery": ["scenes"],
        "fvc": {
            "ndvi_soil": SOIL,
            "ndvi_veg": VEG,
            "evidence": "placeholder",
            "source": "any two numbers will do for a benchmark",
        },
        "layers": {
            "zones": {"dataset": "zones", "title": text("zones"), "id": "id", "name": text("name")}
        },
        "programmes": ["all"],
    }
    programme = {
        "id": "all",
        "name": text("All"),
        "layer": "zones",
        "cadence": ["yearly"],
        "indicators": ["ndvi_max"],
    }
    path = home / "regions" / "benchmark.yaml"
    for target, document in (
        (home / "catalog.yaml", {"version": 1, "datasets": datasets}),
        (home / "programmes" / "all.yaml", programme),
        (path, region),
    ):
        target.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return path
