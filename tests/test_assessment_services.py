"""Services and problems in an assessment: rows, sums, maps, EQI inputs, what is missing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from assessment_cube import CLOUD, HEIGHT, LAKE, WIDTH, build_cube, build_region, year_arrays
from service_fakes import PLAIN, RISE, service_region, write_raster
from zone_fakes import RES

from eco_index.assessment import assess, assessment_digest
from eco_index.assessment.specs import unit_spec
from eco_index.assessment.unit_data import fill_inputs
from eco_index.assessment.units import unit_inputs
from eco_index.config import Region, load_region
from eco_index.cube import CubeView
from eco_index.errors import UsageError
from eco_index.methods import load_method
from eco_index.period import Period
from eco_index.programme import AnalysesConfig
from eco_index.report.text import Words
from eco_index.summary import Row, Summary, read_summary
from eco_index.zonal import ZoneSums
from eco_index.zone_raster import zone_ids
from eco_index.zones import load_layer

YEAR = Period(2025)
KM2 = RES * RES / 1e6
Made = tuple[Region, CubeView]


def programme_of(region: Region, **asked):
    base = region.programmes["whole_region"]
    update = {"analyses": AnalysesConfig(**asked), "indices": ()}
    return base.model_copy(update=update)


def summary_of(made: Made, folder: Path, period: Period = YEAR, **asked) -> Summary:
    region, view = made
    programme = programme_of(region, **(asked or {"services": True, "problems": True}))
    return read_summary(assess(region, programme, period, view, folder, tag=period.id))


def rows_of(summary: Summary, indicator: str) -> dict[tuple[str, str], Row]:
    return {(r.zone, r.variable): r for r in summary.rows if r.indicator == indicator}


def analysis(summary: Summary, name: str):
    return next(a for a in summary.analyses if a.id == name)


def rkls() -> float:
    """Potential loss on the plane, t/(hm2 a)."""
    sine = math.sin(math.atan(RISE))
    beta = sine / 0.089 / (3 * sine**0.8 + 0.56)
    return 500 * 0.03 * (100 / 22.13) ** (beta / (1 + beta)) * (16.8 * sine - 0.5)


def with_sand(region_folder: Path, **extra) -> Region:
    """Return a region that is sandy land as a whole (its counties)."""
    return service_region(
        region_folder,
        landcover={"dataset": "map", "rivers": "rivers", "sandy_land": "counties"},
        problems={"erosion_region": "north", "grass_years": [2024], **extra},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    region = with_sand(tmp_path_factory.mktemp("services"))
    return region, build_cube(region)


@pytest.fixture(scope="module")
def whole(made: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    folder = tmp_path_factory.mktemp("assessed")
    return summary_of(made, folder), folder


def cover_factors(year: int) -> np.ndarray:
    """C of the cube's land, NaN where no class; limits of cover as in the standard."""
    arrays = year_arrays(year)
    land, cover = arrays["landcover"], arrays["fvc"] / 1e4
    grass = np.select([cover < 0.1, cover < 0.3, cover < 0.5], [0.45, 0.24, 0.15], 0.09)
    return np.select(
        [land == 21, land == 42, land == 53, land == 0], [0.004, 0.0, 0.01, np.nan], grass
    )


def test_rows_of_soil_retention_are_those_of_the_plane(whole) -> None:
    summary, _ = whole
    kept = rkls() * (1 - cover_factors(2025))
    means, totals = (rows_of(summary, f"soil_retention{k}") for k in ("", "_total"))
    for zone, part in (("z0", kept[:, :40]), ("z1", kept[:, 40:]), ("_all", kept)):
        row, total = means[zone, ""], totals[zone, ""]
        assert row.value == pytest.approx(np.nanmean(part), rel=1e-4)
        assert total.value == pytest.approx(np.nansum(part) * RES**2 / 1e4, rel=1e-4)
        assert row.valid_km2 == pytest.approx(np.isfinite(part).sum() * KM2)
        assert row.no_data_km2 == pytest.approx(np.isnan(part).sum() * KM2)
        assert row.denominator_km2 == pytest.approx(part.size * KM2)
        assert row.provisional and row.evidence == "placeholder"
        assert row.change == pytest.approx(row.value - row.previous)
    earlier = rkls() * (1 - cover_factors(2024))
    assert means["_all", ""].previous == pytest.approx(np.nanmean(earlier), rel=1e-4)
    assert totals["z0", ""].value + totals["z1", ""].value == pytest.approx(
        totals["_all", ""].value
    )


def test_shares_of_erosion_add_up_and_follow_the_limits(whole) -> None:
    summary, _ = whole
    loss = 100 * rkls() * cover_factors(2025)[:, :56]
    grade = np.select([loss < 200, loss < 2500, loss < 5000], [0, 1, 2], 3)
    rows = rows_of(summary, "soil_erosion_share")
    for g in range(6):
        assert rows["_all", f"g{g}"].value == pytest.approx(100 * (grade == g).mean())
    for zone in ("z0", "z1", "_all"):
        assert sum(rows[zone, f"g{g}"].value for g in range(6)) == pytest.approx(100)


def test_grassland_is_graded_against_the_best_of_the_declared_years(whole) -> None:
    summary, _ = whole
    land, cover = (year_arrays(2025)[k][:, :56] for k in ("landcover", "fvc"))
    index = 100 * (cover[np.isin(land, (31, 32, 33))] / 4000)
    rows = rows_of(summary, "grassland_degradation_share")
    assert rows["_all", "g0"].value == pytest.approx(100 * (index >= 90).mean())
    assert rows["_all", "g4"].value == pytest.approx(100 * (index < 50).mean())
    assert 0 < rows["_all", "g4"].value < 50
    # Land without a class may be grassland: it is a gap.
    clouds = np.zeros((HEIGHT, WIDTH), bool)
    clouds[CLOUD] = True
    assert rows["_all", "g0"].no_data_km2 == pytest.approx(clouds.sum() * KM2)


def test_desertification_leaves_water_and_towns_out(whole) -> None:
    summary, _ = whole
    land, cover = (year_arrays(2025)[k][:, :56] for k in ("landcover", "fvc"))
    on = cover[~np.isin(land, (42, 53))]
    rows = rows_of(summary, "desertification_share")
    assert rows["_all", "g0"].value == pytest.approx(100 * (on > 5000).mean())
    assert rows["_all", "g2"].value == pytest.approx(100 * ((on >= 1000) & (on < 3000)).mean())
    assert rows["_all", "g0"].valid_km2 == pytest.approx(on.size * KM2)


def test_wetland_shrinkage_counts_what_both_years_see(whole) -> None:
    summary, _ = whole
    before = (year_arrays(2024)["landcover"][:, :56] == 42).sum()
    gone = (LAKE[0].stop - LAKE[0].start) * (LAKE[1].stop - LAKE[1].start)
    rows = rows_of(summary, "wetland_shrinkage")
    assert rows["_all", ""].value == pytest.approx(100 * gone / before)
    table = analysis(summary, "problems").tables[-1]
    assert table.lines[-1].cells[3].en == "moderate"  # 15 to 30 %


def test_maps_hold_the_values_and_explain_every_class(whole) -> None:
    summary, folder = whole
    layers = {m.id: m for m in summary.maps}
    with rasterio.open(folder / layers["soil_retention"].path) as file:
        values = file.read(1)
    assert np.nanmax(values) == pytest.approx(rkls(), rel=1e-3)
    assert np.isnan(values).any()
    for name in ("soil_erosion", "grassland_degradation", "desertification"):
        with rasterio.open(folder / layers[name].path) as file:
            codes = set(np.unique(file.read(1)).tolist()) - {0}
        assert codes <= {c.code for c in layers[name].classes}
    assert Words("en").unit("t/(hm2 a)") == "t/(hm²·a)"


def test_findings_and_notes_say_what_is_and_what_is_not(whole) -> None:
    summary, _ = whole
    found = analysis(summary, "services")
    assert any("Soil retention (provisional)" in f.en for f in found.findings)
    assert any("Judgement" in n.en for n in found.notes)
    assert any("biomass" in n.en for n in analysis(summary, "problems").notes)
    used = {m.id: m for m in summary.methods}
    assert used["hj1173_2021"].provisional
    assert "slope_length" in {n.key for n in used["hj1173_2021"].numbers}
    assert {"svc_dem", "svc_rain"} <= {i.id for i in summary.inputs}


def test_the_tile_changes_nothing(made: Made, whole, tmp_path: Path) -> None:
    region = service_region(
        tmp_path / "wide",
        tile=32,
        landcover={"dataset": "map", "rivers": "rivers", "sandy_land": "counties"},
        problems={"erosion_region": "north", "grass_years": [2024]},
    )
    other = summary_of((region, build_cube(region)), tmp_path / "out")
    assert [(r.trace, r.value, r.previous) for r in other.rows] == [
        (r.trace, r.value, r.previous) for r in whole[0].rows
    ]


def test_a_zone_without_any_value_has_none(tmp_path: Path) -> None:
    region = with_sand(tmp_path / "r")
    rain = np.full((HEIGHT, WIDTH), 300.0)
    rain[:, :40] = np.nan
    write_raster(region.config.path.parent / "rain.tif", rain)

    def bare(year: int) -> dict[str, np.ndarray]:
        arrays = year_arrays(year)
        for name, fill in (("landcover", 0), ("fvc", 65535), ("forest", 255)):
            arrays[name][:, 40:] = fill
        return arrays

    summary = summary_of((region, build_cube(region, arrays_of=bare)), tmp_path / "out")
    assert rows_of(summary, "water_conservation")["z0", ""].value is None
    for key in ("soil_retention", "sand_fixation", "soil_erosion_share", "desertification_share"):
        rows = [r for (zone, _), r in rows_of(summary, key).items() if zone == "z1"]
        assert rows and all(r.value is None and r.valid_km2 == 0 for r in rows)
        assert all(r.no_data_km2 > 0 for r in rows)
    water = rows_of(summary, "water_conservation")["_all", ""]
    assert water.value is None and water.no_data_km2 == water.denominator_km2


def test_what_is_not_there_is_said_and_has_no_rows(tmp_path: Path) -> None:
    region = service_region(
        tmp_path / "r", {k: PLAIN[k] for k in ("erosivity", "erodibility")}
    )  # fmt: skip
    view = build_cube(region)
    summary = summary_of((region, view), tmp_path / "out")
    notes = " ".join(n.en for a in summary.analyses for n in a.notes)
    for text in (
        "sand fixation is not assessed; missing: weather factor WF",
        "water conservation is not assessed; missing: rain",
        "grassland degradation is not assessed; missing: years of the reference",
        "desertification is not assessed; missing: landcover.sandy_land",
        "intensity of water erosion is not assessed; missing: the region of tolerable loss",
    ):
        assert text in notes
    named = {r.indicator for r in summary.rows}
    assert "soil_retention" in named
    assert not named & {"sand_fixation", "water_conservation", "soil_erosion_share"}
    first = summary_of((region, view), tmp_path / "first", Period(2024))
    assert "no year to compare with" in " ".join(
        n.en for n in analysis(first, "problems").notes
    )  # fmt: skip


def test_a_year_without_its_raster_has_no_comparison(tmp_path: Path) -> None:
    region = with_sand(tmp_path)
    catalogue = region.catalog.path
    content = yaml.safe_load(catalogue.read_text(encoding="utf-8"))
    content["datasets"]["svc_erosivity"]["access"]["path"] = "erosivity_{year}.tif"
    catalogue.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    (tmp_path / "erosivity.tif").rename(tmp_path / "erosivity_2025.tif")
    region = load_region(region.config.path)
    summary = summary_of((region, build_cube(region)), tmp_path / "out")
    row = rows_of(summary, "soil_retention")["_all", ""]
    assert row.value is not None and row.previous is None and row.change is None
    notes = " ".join(n.en for n in analysis(summary, "services").notes)
    assert "soil retention has no value of 2024; missing: rain erosivity R (no file" in notes


# --- inputs of EQI, digest ----------------------------------------------------------------------


def test_eqi_takes_retention_from_the_maps_and_says_so(tmp_path: Path) -> None:
    region = service_region(
        tmp_path, unit_data={"from_services": ["soil_retention", "sand_fixation"]}
    )  # fmt: skip
    view, method = build_cube(region), load_method("eqi_2021")
    units = load_layer(region, "counties", 2025)
    sums = ZoneSums(unit_spec(), len(units))
    for tile in region.grid.tiles():
        ids = zone_ids(units, region.grid, tile)
        stored = {
            p: view.read("yearly", p, "2025", tile) for p in ("ndvi_mean", "landcover")
        }  # fmt: skip
        sums.add(ids, stored)
    rows, _ = unit_inputs(region, units, sums, 2025, method)
    notes = fill_inputs([rows], region, view, [YEAR], units, method)
    kept = rkls() * (1 - cover_factors(2025))
    assert rows["z0"]["soil_retention"] == pytest.approx(100 * np.nanmean(kept[:, :40]), rel=1e-4)
    assert rows["z0"]["sand_fixation"] > 0
    # A third of z1 lies under clouds: more than a mean may leave out.
    assert rows["z1"].get("soil_retention") is None
    assert sum("from_services" in n.en for n in notes) == 2


def test_maps_for_eqi_need_the_key_services(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs the key 'services'"):
        build_region(tmp_path, extra={"unit_data": {"from_services": ["soil_retention"]}})


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"unit_data": {"from_services": ["soil_retention"], "soil_retention": "map"}}, "take one"),
        ({"problems": {"grass_years": [1999]}}, "grass_years"),
        ({"problems": {"grass_years": [2024], "grass_zones": "regions"}}, "grass_zones"),
    ],
)
def test_contradictions_of_the_region_file(tmp_path: Path, extra, message) -> None:
    with pytest.raises(UsageError, match=message):
        service_region(tmp_path, **extra)


def test_the_digest_follows_rasters_only_where_they_are_asked_for(made: Made, tmp_path) -> None:
    region = with_sand(tmp_path)
    view = made[1]
    asked, other = programme_of(region, services=True), programme_of(region, pattern=True)
    before = [assessment_digest(region, p, YEAR, view) for p in (asked, other)]
    write_raster(tmp_path / "rain.tif", np.full((HEIGHT, WIDTH), 310.0))
    after = [assessment_digest(region, p, YEAR, view) for p in (asked, other)]
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.mark.parametrize(("zones", "grade"), [(None, "g3"), ("counties", "g0")])
def test_natural_zones_have_references_of_their_own(tmp_path: Path, zones, grade) -> None:
    region = with_sand(tmp_path / "r", **({"grass_zones": zones} if zones else {}))

    def dry_east(year: int) -> dict[str, np.ndarray]:
        arrays = year_arrays(2024)
        arrays["fvc"][:, 56:] = 2000  # grassland of z1, half as dense as that of z0
        return arrays

    summary = summary_of((region, build_cube(region, arrays_of=dry_east)), tmp_path / "out")
    rows = rows_of(summary, "grassland_degradation_share")
    assert rows["z1", grade].value == pytest.approx(100)
    assert rows["z0", "g0"].value == pytest.approx(100)
