"""The page docs/how-to/habitat-and-services.md: its code runs as printed, on small maps."""

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "habitat-and-services.md"
SHAPE = (40, 50)


def write(folder, name, values, nodata=None):
    with rasterio.open(
        folder / f"{name}.tif",
        "w",
        driver="GTiff",
        height=SHAPE[0],
        width=SHAPE[1],
        count=1,
        dtype=values.dtype,
        crs="EPSG:32650",
        transform=rasterio.transform.from_origin(500000, 4400000, 30, 30),
        nodata=nodata,
    ) as target:
        target.write(values, 1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    g = np.random.default_rng(1)
    monkeypatch.chdir(tmp_path)
    sand = g.uniform(20, 70, SHAPE)
    silt = (95 - sand) * 0.6
    numbers = {
        "dem": g.normal(800, 20, SHAPE),
        "cover": g.random(SHAPE),
        "sand": sand,
        "silt": silt,
        "clay": 100 - sand - silt,
        "organic_carbon": g.uniform(0.2, 3, SHAPE),
        "erosivity": g.uniform(500, 3000, SHAPE),
        "relief": g.uniform(0, 80, SHAPE),
    }
    for name, values in numbers.items():
        write(tmp_path, name, values, nodata=-9999.0)
    kinds = g.choice([12, 21, 31, 51, 61], (SHAPE[0] // 5, SHAPE[1] // 5)).astype(np.uint8)
    write(tmp_path, "landcover", np.kron(kinds, np.ones((5, 5), np.uint8)), nodata=0)
    write(tmp_path, "roads", (g.random(SHAPE) < 0.02).astype(np.uint8))
    y, x = 4400000 - np.array([-150.0, 1350]), 500000 + np.array([-150.0, 1650])
    month = ("month", "y", "x")
    xr.Dataset(
        {
            "speed": (("day", "y", "x"), g.gamma(4, 1.2, (365, 2, 2))),
            "temperature": (month, g.uniform(-10, 25, (12, 2, 2))),
            "rain": (month, g.uniform(0, 30, (12, 2, 2))),
            "rain_days": (month, g.integers(1, 10, (12, 2, 2))),
            "et": (month, g.uniform(20, 150, (12, 2, 2))),
            "snow_free": (month, np.ones((12, 2, 2))),
            "elevation": (("y", "x"), np.full((2, 2), 800.0)),
        },
        {"y": y, "x": x},
    ).to_zarr("weather.nc", consolidated=False)
    return tmp_path


def test_the_page_runs_as_printed(folder, capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 6
    code = "\n".join(blocks)
    # NetCDF needs a library that this project does not; Zarr holds the same.
    code = code.replace('xr.open_dataset("weather.nc")', 'xr.open_zarr("weather.nc")')
    exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
    provisional, straight, least = capsys.readouterr().out.split()
    assert provisional == "1" and 0 < float(least) <= float(straight)
    made = xr.open_zarr("services.zarr", consolidated=False)
    assert set(made.data_vars) == {"soil_retention", "sand_fixation", "degradation", "quality"}
    assert made.soil_retention.attrs["units"] == "t hm-2 a-1"
    for name in made.data_vars:
        assert float(made[name].notnull().mean()) > 0.5 and float(made[name].max()) > 0
    assert made.soil_retention.attrs["provisional"] == 1
