"""Each choice of end members through the whole run on the small simulated region."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from simulated import copy_region

from eco_index import cover, pipeline
from eco_index.config import FvcConfig, Region, load_region
from eco_index.cube import open_archive, open_cube
from eco_index.errors import InputError
from eco_index.indices import endmembers
from eco_index.indices.vegetation import stored_fvc
from eco_index.period import Period
from eco_index.summary import read_summary

pytestmark = pytest.mark.e2e
WHOLE = (slice(None), slice(None))
#: Two months are enough to choose end members by.
SHORT: dict[str, Any] = {
    "months": {"first": 7, "last": 8},
    "season": {"first": 7, "last": 8},
    "min_season_months": 1,
    "programmes": ["whole_region"],
}
PERCENT = {"choice": "percentile", "base": [2024], "min_pixels": 50, "zones": "counties"}


def ran(small_region: Path, folder: Path, years: list[int], **changes: Any) -> Region:
    file = copy_region(small_region, folder, **(SHORT | changes))
    region = load_region(file)
    report = pipeline.run(region, [Period(y) for y in years])
    assert report.exit_code == 0, report.failures
    return region


@pytest.fixture(scope="module")
def by_percentile(small_region: Path, tmp_path_factory: pytest.TempPathFactory) -> Region:
    return ran(small_region, tmp_path_factory.mktemp("p"), [2024, 2025], fvc=PERCENT)


def test_percentiles_are_one_table_for_both_years(by_percentile: Region) -> None:
    region = by_percentile
    view = open_archive(region.archive_path).view()
    table = cover.fitted(region)
    assert table.base == ("2024",) and len(table.zones) == 3 and table.by_class
    # Again from the stored maximum of the base year, the whole region at once.
    whole = _whole(region)
    zones, types, _ = cover.groups(region, whole, Period(2024), "test")
    assert zones is not None and types is not None
    ndvi = {y: view.read("yearly", "ndvi_max", str(y), WHOLE) for y in (2024, 2025)}
    grass = ndvi[2024][(zones == 2) & (types == 3) & (ndvi[2024] != -32768)]
    pair = table.pairs[f"{table.zones[1]}|grass"]
    expected = np.percentile(grass, (5, 95), method="inverted_cdf") / 1e4
    assert (pair.soil, pair.veg) == tuple(expected) and pair.pixels == grass.size
    for year in (2024, 2025):
        zones, types, _ = cover.groups(region, whole, Period(year), "test")
        again = endmembers.stored_fvc_of(ndvi[year], table, zones, types)
        np.testing.assert_array_equal(view.read("yearly", "fvc", str(year), WHOLE), again)


def test_products_and_summary_state_the_end_members(by_percentile: Region) -> None:
    region = by_percentile
    attrs = open_cube(region.archive_path).fvc.attrs["end_members"]
    assert set(attrs) == {"2024", "2025"}
    assert attrs["2024"] == attrs["2025"] == cover.statement(region)
    summary = read_summary(region.output / "assessments/2025/whole_region/summary.json")
    use = next(m for m in summary.methods if m.id == "fvc_dimidiate")
    numbers = {n.key: n for n in use.numbers}
    assert (
        numbers["low_percent"].value == 5 and "percentiles 5 and 95" in numbers["ndvi_soil"].source
    )
    assert numbers["ndvi_soil"].source_zh == cover.statement(region, "zh")
    assert "2024的第5与第95百分位" in numbers["ndvi_soil"].source_in("zh")
    assert numbers["ndvi_soil"].value == cover.fitted(region).whole.soil
    assert "counties" in region.config.layers and any("counties" in i.id for i in summary.inputs)


def test_a_second_run_fits_nothing(by_percentile: Region) -> None:
    path = cover.table_path(by_percentile)
    before = path.stat().st_mtime_ns, open_archive(by_percentile.archive_path).view().snapshot
    report = pipeline.run(by_percentile, [Period(2024), Period(2025)])
    assert report.tasks["done"] == 0
    after = path.stat().st_mtime_ns, open_archive(by_percentile.archive_path).view().snapshot
    assert after == before


def test_another_percentile_makes_products_stale(by_percentile: Region, tmp_path: Path) -> None:
    import shutil

    config = yaml.safe_load(by_percentile.config.path.read_text(encoding="utf-8"))
    shutil.copytree(by_percentile.output, tmp_path / "out")
    own = {"low_percent": 2, "high_percent": 98, "evidence": "placeholder", "source": "a try"}
    config |= {"output": str(tmp_path / "out"), "fvc": PERCENT | own}
    file = tmp_path / "region.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    region = load_region(file)
    report = pipeline.run(region, [Period(2024)])
    assert report.tasks["done"] == 4 and report.tags == {"2024": "2024.2"}
    assert cover.fitted(region).percent == (2, 98)
    assert cover.fitted(region).whole.soil < cover.fitted(by_percentile).whole.soil
    summary = read_summary(tmp_path / "out/assessments/2024/whole_region/summary.json")
    use = next(m for m in summary.methods if m.id == "fvc_dimidiate")
    assert use.provisional and use.numbers[0].source == "a try"


def test_a_base_year_that_is_not_composited(small_region: Path, tmp_path: Path) -> None:
    file = copy_region(small_region, tmp_path, **(SHORT | {"fvc": PERCENT}))
    region = load_region(file)
    with pytest.raises(InputError, match=r"fitted on 2024(?s:.*)--period 2024"):
        pipeline.run(region, [Period(2025)])
    with pytest.raises(InputError, match="not fitted yet"):
        cover.fitted(region)


def _whole(region: Region) -> Any:
    from eco_index.grid import Tile

    height, width = region.grid.shape
    return Tile(0, 0, 0, height, 0, width)


def test_maps_of_end_members(small_region: Path, tmp_path: Path) -> None:
    """Maps of a constant pair give the same bits as the fixed pair; a gap stays a gap.

    A map of canopy closure goes along: it decides what is forest.
    """
    source = load_region(small_region)
    grid = source.grid
    for name, value in (("soil", 150), ("veg", 900), ("canopy", 600)):
        data = np.full(grid.shape, value, np.int16)
        if name == "canopy":
            data[:, :100] = 100
        else:
            data[:50] = -1
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", width=grid.shape[1],
            height=grid.shape[0], count=1, dtype="int16", crs=grid.crs_wkt,
            transform=grid.transform,
        ) as out:  # fmt: skip
            out.write(data, 1)
    catalog = yaml.safe_load(source.catalog.path.read_text(encoding="utf-8"))
    base = {"licence": "CC0", "source": "simulated for a test", "scale": 1e-3, "nodata": -1}
    for name in ("soil", "veg", "canopy"):
        catalog["datasets"][f"ndvi_{name}"] = base | {
            "title": {"zh": name, "en": name},
            "access": {"type": "raster", "path": str(tmp_path / f"{name}.tif")},
        }
    (source.catalog.path.parent / "with_maps.yaml").write_text(
        yaml.safe_dump(catalog, allow_unicode=True), encoding="utf-8"
    )
    choice = {
        "choice": "map", "soil_map": "ndvi_soil", "veg_map": "ndvi_veg",
        "evidence": "secondary", "source": "made for a test",
    }  # fmt: skip
    file = copy_region(small_region, tmp_path / "run", **(SHORT | {"fvc": choice}))
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    config["catalog"] = str(source.catalog.path.parent / "with_maps.yaml")
    config["landcover"]["canopy"] = "ndvi_canopy"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    region = load_region(file)
    assert pipeline.run(region, [Period(2024)]).exit_code == 0
    view = open_archive(region.archive_path).view()
    got = view.read("yearly", "fvc", "2024", WHOLE)
    expected = stored_fvc(view.read("yearly", "ndvi_max", "2024", WHOLE), 0.15, 0.90)
    np.testing.assert_array_equal(got[50:], expected[50:])
    assert (got[:50] == 65535).all()
    summary = read_summary(region.output / "assessments/2024/whole_region/summary.json")
    use = next(m for m in summary.methods if m.id == "fvc_dimidiate")
    assert [n.key for n in use.numbers] == ["end_members"] and "ndvi_soil" in use.numbers[0].source
    assert {"ndvi_soil", "ndvi_veg", "ndvi_canopy"} <= {i.id for i in summary.inputs}
    forest = view.read("yearly", "forest", "2024", WHOLE)
    assert not (forest[:, :100] == 1).any() and (forest[:, 100:] == 1).any()
    rule = next(m for m in summary.methods if m.id == "forest_coverage")
    assert {"min_area_ha", "canopy"} <= {n.key for n in rule.numbers}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"ndvi_soil": 0.1, "ndvi_veg": 0.9}, "need 'evidence' and 'source'"),
        ({"choice": "percentile"}, "needs base"),
        ({"choice": "percentile", "base": [2024], "ndvi_veg": 0.8}, "ndvi_veg do not belong"),
        ({"choice": "map", "soil_map": "a"}, "needs veg_map"),
        ({"choice": "percentile", "base": [2024], "low_percent": 1}, "need 'evidence'"),
        ({"ndvi_soil": 0.5, "ndvi_veg": 0.55, "evidence": "recalled", "source": "x"}, "at least"),
    ],
)
def test_a_choice_is_complete_and_pure(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        FvcConfig.model_validate(given)


def test_table_that_was_spoilt(by_percentile: Region, tmp_path: Path) -> None:
    text = cover.table_path(by_percentile).read_text(encoding="utf-8")
    assert endmembers.EndMembers.from_json(text, "x") == cover.fitted(by_percentile)
    raw = json.loads(text)
    del raw["whole"]
    with pytest.raises(InputError, match="next run makes it again"):
        endmembers.EndMembers.from_json(json.dumps(raw), "x")
