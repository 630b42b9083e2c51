"""`eco rsei`: from stored integers of raster files to maps, a model and a table of zones."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from rasterio.transform import from_origin
from test_rsei_map import OLI, scene

from eco_index import cli
from eco_index.errors import InputError, UsageError
from eco_index.indices import rsei_map, rsei_zones
from eco_index.rsei_run import load_spec, run_rsei

SHAPE = (30, 40)
CRS, PLACE = "EPSG:32650", from_origin(500_000, 4_800_000, 30, 30)
SCALE, OFFSET = 2.75e-5, -0.2


def stored(values: np.ndarray, scale: float, offset: float) -> np.ndarray:
    whole = np.rint((values - offset) / scale)
    return np.where(np.isnan(values), 0, whole).astype(np.uint16)


def write(path: Path, values: np.ndarray, **changes: Any) -> None:
    height, width = values.shape
    options = {"crs": CRS, "transform": PLACE, "dtype": values.dtype} | changes
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, **options
    ) as out:
        out.write(values, 1)


def year_files(folder: Path, name: str, **options: float) -> dict[str, Any]:
    data = scene(int(name), SHAPE, **options)
    bands = {}
    for band in ("blue", "green", "red", "nir", "swir1", "swir2"):
        write(folder / f"{name}_{band}.tif", stored(data[band].to_numpy(), SCALE, OFFSET))
        bands[band] = {"path": f"{name}_{band}.tif", "scale": SCALE, "offset": OFFSET, "nodata": 0}
    write(folder / f"{name}_st.tif", stored(data["lst"].to_numpy(), 0.00341802, 149.0))
    lst = {"path": f"{name}_st.tif", "scale": 0.00341802, "offset": 149.0, "nodata": 0}
    return {"name": name, "sensor": "landsat-9", "level": "sr", "bands": bands, "lst": lst}


def spec_file(folder: Path, **changes: Any) -> Path:
    years = [year_files(folder, "2020"), year_files(folder, "2024", hot=3.0)]
    west, north = 500_000, 4_800_000
    boxes = [
        shapely.box(west, north - 900, west + 600, north),
        shapely.box(west + 600, north - 900, west + 1200, north),
        shapely.box(west - 9000, north, west - 8000, north + 900),  # outside
    ]
    zones = gpd.GeoDataFrame({"code": ["w", "e", "far"]}, geometry=boxes, crs=CRS)
    zones.to_crs("EPSG:4490").to_file(folder / "zones.gpkg")
    spec = {"output": "out", "years": years, "zones": {"path": "zones.gpkg", "id": "code"}}
    path = folder / "rsei.yaml"
    path.write_text(yaml.safe_dump(spec | changes), encoding="utf-8")
    return path


def read(path: str | Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read(1)


def test_maps_model_and_zones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rsei", str(spec_file(tmp_path)), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    # The same from the arrays, without any file.
    years = []
    for name, hot in (("2020", 0.0), ("2024", 3.0)):
        data = scene(int(name), SHAPE, hot=hot)
        for band in data:
            scale, offset = (0.00341802, 149.0) if band == "lst" else (SCALE, OFFSET)
            values = data[band].to_numpy()
            physical = stored(values, scale, offset) * scale + offset
            data[band] = data[band].copy(
                data=np.where(np.isnan(values), np.nan, physical).astype(np.float32)
            )
        years.append(rsei_map.Year(name, data, OLI))
    model = rsei_map.fit(years)
    assert rsei_map.RseiModel.from_json(Path(report["model"]).read_text("utf-8")) == model
    for year in years:
        expected = rsei_map.apply(model, year)
        made = report["years"][year.name]
        np.testing.assert_array_equal(read(made["map"]), expected)
        np.testing.assert_array_equal(read(made["classes"]), rsei_zones.classes(expected))
        assert made["mean"] == pytest.approx(float(expected.mean()), abs=1e-4)
        with rasterio.open(made["map"]) as source:
            assert source.tags()["rsei_model"] == model.to_json()
            assert source.crs.to_epsg() == 32650 and source.transform == PLACE
    with Path(report["zones"]).open(encoding="utf-8-sig") as file:
        rows = {(r["year"], r["zone"]): r for r in csv.DictReader(file)}
    assert len(rows) == 6
    west = rsei_map.apply(model, years[0]).to_numpy()[:, :20]
    row = rows["2020", "w"]
    assert float(row["mean"]) == pytest.approx(np.nanmean(west), abs=1e-4)
    assert int(row["valid_pixels"]) == np.isfinite(west).sum()
    assert int(row["missing_pixels"]) == np.isnan(west).sum() > 0
    assert sum(float(row[f"share_{c.en}"]) for c in rsei_zones.CLASSES) == pytest.approx(
        1, abs=1e-3
    )
    far = rows["2024", "far"]
    assert far["mean"] == "" and far["valid_pixels"] == "0" and far["share_good"] == ""
    hotter, cooler = (float(rows[y, "e"]["mean"]) for y in ("2024", "2020"))
    assert hotter < cooler


def test_a_given_model_is_applied_unchanged(tmp_path: Path) -> None:
    first = run_rsei(load_spec(spec_file(tmp_path)))
    path = tmp_path / "later.yaml"
    later = {"output": "later", "model": "out/model.json", "years": [year_files(tmp_path, "2025")]}
    path.write_text(yaml.safe_dump(later), encoding="utf-8")
    second = run_rsei(load_spec(path))
    assert not second["fitted"] and second["loadings"] == first["loadings"]
    assert second["zones"] is None and list(second["years"]) == ["2025"]


def test_the_text_a_person_sees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rsei", str(spec_file(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "% of the variance" in out and "oli_sr" in out and "zones.csv" in out


def change_year(spec: Path, key: str, value: Any) -> Path:
    data = yaml.safe_load(spec.read_text(encoding="utf-8"))
    data["years"][1][key] = value
    spec.write_text(yaml.safe_dump(data), encoding="utf-8")
    return spec


def test_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_file(tmp_path)
    with pytest.raises(UsageError, match="no wetness coefficients for sentinel-2a"):
        run_rsei(load_spec(change_year(spec, "sensor", "sentinel-2a")))
    change_year(spec, "sensor", "landsat-9")
    write(tmp_path / "2024_st.tif", np.zeros((30, 41), np.uint16))
    with pytest.raises(InputError, match=r"another grid(?s:.*)year 2024"):
        run_rsei(load_spec(spec))
    (tmp_path / "2024_st.tif").unlink()
    assert cli.run(["rsei", str(spec)]) == 3
    assert "2024, lst is missing" in capsys.readouterr().err
    # Stored integers taken for reflectance: the scale is not given.
    spec = spec_file(tmp_path)
    data = yaml.safe_load(spec.read_text(encoding="utf-8"))
    for band in data["years"][0]["bands"].values():
        del band["scale"]
    spec.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(InputError, match=r"year 2020(?s:.*)scale and offset"):
        run_rsei(load_spec(spec))
    for changes, complaint in (
        ({"percent": [1, 99], "model": "x.json"}, "belongs to the fit"),
        ({"zones": {"path": "zones.gpkg", "id": "nix"}}, "no column 'nix'"),
        ({"zones": {"path": "none.gpkg", "id": "code"}}, "zones are missing"),
    ):
        with pytest.raises((UsageError, InputError), match=complaint):
            run_rsei(load_spec(spec_file(tmp_path, **changes)))
