"""The official forest coverage rate in an assessment, by hand, with its gaps and its faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from assessment_cube import HEIGHT, WIDTH, build_cube, build_region, year_arrays
from long_cube import analysis, assessed, line
from zone_fakes import CRS, RES, X0, Y1

from eco_index.errors import InputError
from eco_index.report import render


def forest_arrays(year: int) -> dict[str, np.ndarray]:
    """The small cube without clouds, with shrubs of different cover in the first county."""
    arrays = {k: v.copy() for k, v in year_arrays(2024).items()}
    arrays["landcover"][20:30, 0:20] = 22
    arrays["fvc"][20:25, 0:20] = 4500
    arrays["fvc"][25:30, 0:20] = 2500  # too sparse
    return arrays


def write_forest(folder: Path, *rows: str, dry: bool = True) -> None:
    text = "\n".join(("unit,land_ha,linear_trees_ha", *rows))
    (folder / "forest_2025.csv").write_text(text, encoding="utf-8")
    rain = np.full((HEIGHT, WIDTH), 300 if dry else 600, np.int16)
    rain[:, :10] = 450  # here it rains too much for the rule
    transform = rasterio.transform.from_origin(X0, Y1, RES, RES)
    with rasterio.open(
        folder / "rain.tif", "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=1,
        dtype="int16", crs=CRS, transform=transform,
    ) as out:  # fmt: skip
        out.write(rain, 1)


@pytest.fixture
def forest_region(tmp_path):
    region = build_region(
        tmp_path,
        extra={"forest": {"table": "forest_table", "rain": "rain"}},
        more_datasets={
            "forest_table": {"access": {"type": "table", "path": "forest_{year}.csv"}},
            "rain": {"access": {"type": "raster", "path": "rain.tif"}},
        },
    )
    return region, build_cube(region, ("2024", "2025"), forest_arrays)


PIXEL_HA = RES * RES / 1e4
COUNTY_HA = (40 * 48 * PIXEL_HA, 24 * 48 * PIXEL_HA)
FOREST_ROWS = (f"z0,{COUNTY_HA[0]},10", f"z1,{COUNTY_HA[1]},5")


def test_official_forest_rate_by_hand(forest_region, tmp_path):
    write_forest(tmp_path, *FOREST_ROWS)
    summary = assessed(forest_region, tmp_path / "out", forest_rate=True)
    rows = {r.zone: r for r in summary.rows if r.indicator == "forest_coverage_official"}
    forest = forest_arrays(2025)["forest"] == 1
    shrubs = 5 * 10 * PIXEL_HA  # dense enough and dry enough
    inside = [forest[:, :40].sum() * PIXEL_HA, forest[:, 40:].sum() * PIXEL_HA]
    expected = [
        (inside[0] + shrubs + 10) / COUNTY_HA[0] * 100,
        (inside[1] + 5) / COUNTY_HA[1] * 100,
    ]
    assert [rows[z].value for z in ("z0", "z1")] == pytest.approx(expected)
    both = (sum(inside) + shrubs + 15) / sum(COUNTY_HA) * 100
    assert rows["_all"].value == pytest.approx(both)
    assert rows["z0"].provisional and rows["z0"].denominator_km2 == pytest.approx(
        COUNTY_HA[0] / 100
    )
    cells = line(analysis(summary, "forest_rate"), 0, "zone 0")
    assert cells[1] == pytest.approx(inside[0] / COUNTY_HA[0] * 100)  # map only, beside it
    assert cells[3] == pytest.approx(shrubs / 100) and cells[6].en == "none"
    assert len(render(tmp_path / "out" / "summary.json")) > 0


def test_forest_parts_that_are_missing_are_named(forest_region, tmp_path):
    write_forest(tmp_path, FOREST_ROWS[0].rpartition(",")[0] + ",", FOREST_ROWS[1])
    (tmp_path / "rain.tif").unlink()
    summary = assessed(forest_region, tmp_path / "out", forest_rate=True)
    rows = {r.zone: r for r in summary.rows if r.indicator == "forest_coverage_official"}
    assert {z: r.value for z, r in rows.items()} == {"z0": None, "z1": None, "_all": None}
    cells = line(analysis(summary, "forest_rate"), 0, "zone 0")
    assert cells[6].en == "no map of annual rain, linear trees not surveyed"
    assert cells[1] is not None and cells[3] is None and cells[4] is None


def test_forest_table_absent_or_wrong(forest_region, tmp_path):
    write_forest(tmp_path, FOREST_ROWS[0])
    summary = assessed(forest_region, tmp_path / "some", forest_rate=True)
    found = analysis(summary, "forest_rate")
    assert "zone 1" in found.notes[0].en and len(found.tables[0].lines) == 1
    write_forest(tmp_path, f"z0,{COUNTY_HA[0] / 100},0", FOREST_ROWS[1])
    with pytest.raises(InputError, match=r"unit 'z0' has(?s:.*)forest_2025.csv"):
        assessed(forest_region, tmp_path / "wrong", forest_rate=True)
    (tmp_path / "forest_2025.csv").unlink()
    summary = assessed(forest_region, tmp_path / "none", forest_rate=True)
    assert "not assessed" in analysis(summary, "forest_rate").notes[0].en
