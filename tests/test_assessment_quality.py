"""Ecosystem quality (HJ 1172-2021) in an assessment: the formulas restated, what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from assessment_cube import HEIGHT, WIDTH, build_cube, build_region, year_arrays
from service_fakes import write_raster
from zone_fakes import RES

from eco_index.assessment import assess, assessment_digest
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError, UsageError
from eco_index.period import Period
from eco_index.programme import AnalysesConfig
from eco_index.summary import Row, Summary, read_summary

YEAR = Period(2025)
KM2 = RES * RES / 1e6
KINDS = {11: 4, 12: 4, 21: 1, 22: 2, 23: 1, 24: 1, 31: 3, 32: 3, 33: 3}
Made = tuple[Region, CubeView]


def rasters(year: int) -> dict[str, np.ndarray]:
    g = np.random.default_rng(year)
    lai = g.uniform(0.2, 6, (HEIGHT, WIDTH)) * (1 if year == 2024 else 0.8)
    gpp = g.uniform(100, 1500, (HEIGHT, WIDTH))
    lai[3, 5] = gpp[30, 8] = np.nan
    return {"lai": lai, "gpp": gpp}


def region_of(folder: Path, tile: int = 16, units: str = "gC/(m2 a)", **quality) -> Region:
    folder.mkdir(parents=True, exist_ok=True)
    for year in (2024, 2025):
        for key, values in rasters(year).items():
            write_raster(folder / f"{key}_{year}.tif", values)
    access = {k: {"type": "raster", "path": f"{k}_{{year}}.tif"} for k in ("lai", "gpp")}
    return build_region(
        folder,
        tile=tile,
        extra={"quality": {"lai": "lai", "gpp": "gpp"} | quality},
        more_datasets={
            "lai": {"access": access["lai"], "units": "m2/m2"},
            "gpp": {"access": access["gpp"], "units": units},
        },
    )


def summary_of(made: Made, folder: Path, **asked) -> Summary:
    region, view = made
    update = {"analyses": AnalysesConfig(**(asked or {"quality": True})), "indices": ()}
    programme = region.programmes["whole_region"].model_copy(update=update)
    return read_summary(assess(region, programme, YEAR, view, folder, tag=YEAR.id))


def rows_of(summary: Summary, indicator: str) -> dict[tuple[str, str], Row]:
    return {(r.zone, r.variable): r for r in summary.rows if r.indicator == indicator}


def said(summary: Summary) -> str:
    part = next(a for a in summary.analyses if a.id == "quality")
    return "\n".join(t.en for t in (*part.rules, *part.findings, *part.notes))


def restated(year: int, years: tuple[int, ...], zones: np.ndarray, how: str = "region"):
    """The formulas, zone by zone and type by type: index of a year, NaN where there is none."""
    kinds, values = {}, {}
    for y in years:
        stored = year_arrays(y)
        kinds[y] = np.vectorize(lambda c: KINDS.get(int(c), 0))(stored["landcover"])
        fvc = np.where(stored["fvc"] == 65535, np.nan, stored["fvc"] / 1e4)
        values[y] = rasters(y) | {"fvc": fvc}
    total = np.zeros((HEIGHT, WIDTH))
    for name in ("lai", "fvc", "gpp"):
        density = {y: np.full((HEIGHT, WIDTH), np.nan) for y in years}
        spread = {y: np.full((HEIGHT, WIDTH), np.nan) for y in years}
        cells = [(z, k) for z in np.unique(zones[zones > 0]) for k in (1, 2, 3, 4)]
        for z, k in cells:
            at = {y: (zones == z) & (kinds[y] == k) for y in years}
            seen = np.concatenate([values[y][name][at[y]] for y in years])
            if not np.isfinite(seen).any():
                continue
            for y in years:
                density[y][at[y]] = values[y][name][at[y]] / np.nanmax(seen)
            low = np.nanmin(seen) / np.nanmax(seen)
            for y in years:
                with np.errstate(invalid="ignore", divide="ignore"):
                    spread[y][at[y]] = (density[y][at[y]] - low) / (1 - low)
        if how == "zone_type":
            total += spread[year]
            continue
        low = min(np.nanmin(d) for d in density.values())
        total += (density[year] - low) / (1 - low)
    return 100 * total / 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    region = region_of(tmp_path_factory.mktemp("quality"), reference_years=[2024])
    return region, build_cube(region)


@pytest.fixture(scope="module")
def whole(made: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    folder = tmp_path_factory.mktemp("assessed")
    return summary_of(made, folder), folder


def test_means_shares_and_change_are_those_of_the_formulas(whole) -> None:
    summary, _ = whole
    one = np.ones((HEIGHT, WIDTH), int)
    now, was = (restated(y, (2024, 2025), one) for y in (2025, 2024))
    kinds = np.vectorize(lambda c: KINDS.get(int(c), 0))(year_arrays(2025)["landcover"])
    scope = (kinds > 0) | (year_arrays(2025)["landcover"] == 0)
    means, shares = (
        rows_of(summary, "ecosystem_quality"),
        rows_of(summary, "ecosystem_quality_share"),
    )
    for zone, at in (
        ("z0", np.s_[:, :40]), ("z1", np.s_[:, 40:]), ("_all", np.s_[:, :]),
    ):  # fmt: skip
        row = means[zone, ""]
        assert row.value == pytest.approx(np.nanmean(now[at]), abs=0.01)
        assert row.previous == pytest.approx(np.nanmean(was[at]), abs=0.01)
        assert row.change == pytest.approx(row.value - row.previous)
        assert row.valid_km2 == pytest.approx(np.isfinite(now[at]).sum() * KM2)
        assert row.denominator_km2 == pytest.approx(scope[at].sum() * KM2)
        assert row.no_data_km2 > 0
        assert row.provisional
        grade = 4 - np.digitize(now[at], [20, 35, 55, 75])
        found = [shares[zone, f"g{g}"].value for g in range(5)]
        known = np.isfinite(now[at])
        assert found == pytest.approx([100 * (grade[known] == g).mean() for g in range(5)])
        assert sum(found) == pytest.approx(100)
    assert means["_all", ""].change < -1  # LAI lost a fifth


def test_the_map_and_the_words(whole) -> None:
    summary, folder = whole
    picture = next(m for m in summary.maps if m.id == "ecosystem_quality")
    with rasterio.open(folder / picture.path) as source:
        values = source.read(1)
    assert np.nanmin(values) >= 0 and np.nanmax(values) <= 100 and np.isfinite(values).any()
    text = said(summary)
    assert "years compared: 2024, 2025" in text
    assert "years of the greatest value: all years that are compared\n" in text  # no default
    assert "over what densities are scaled to 0-1: all pixels assessed (default)" in text
    assert "Ecosystem quality index (provisional): " in text
    part = next(a for a in summary.analyses if a.id == "quality")
    assert "最大值的年份：全部评估年份" in "\n".join(t.zh for t in part.rules)
    assert any(m.id == "hj1172_2021" for m in summary.methods)
    assert {"lai", "gpp"} <= {i.id for i in summary.inputs}


def test_the_tile_changes_nothing(whole, tmp_path: Path) -> None:
    region = region_of(tmp_path / "r", tile=48, reference_years=[2024])
    other = summary_of((region, build_cube(region)), tmp_path / "o")
    assert [r for r in other.rows if r.indicator.startswith("ecosystem")] == [
        r for r in whole[0].rows if r.indicator.startswith("ecosystem")
    ]


def test_zones_are_compared_within_and_a_year_by_itself_has_no_change(tmp_path: Path) -> None:
    region = region_of(tmp_path / "r", zones="counties", normalisation="zone_type")
    summary = summary_of((region, build_cube(region)), tmp_path / "o")
    zones = np.ones((HEIGHT, WIDTH), int)
    zones[:, 40:] = 2
    index = restated(2025, (2025,), zones, "zone_type")
    rows = rows_of(summary, "ecosystem_quality")
    assert rows["z0", ""].value == pytest.approx(np.nanmean(index[:, :40]), abs=0.01)
    assert rows["z0", ""].previous is None and rows["z0", ""].change is None
    # Cover of the forest is the same everywhere: it has no place between least and greatest.
    assert rows["z1", ""].value is None and np.isnan(index[:, 40:]).all()
    text = said(summary)
    assert "zones of the layer 'counties'" in text and "no change is told" in text
    assert "greatest value: the year itself (default)" in text


def test_what_is_not_there_is_said_and_has_no_rows(made: Made, tmp_path: Path) -> None:
    region = region_of(tmp_path / "r", reference_years=[2024])
    view = build_cube(region)
    (tmp_path / "r" / "gpp_2024.tif").unlink()
    summary = summary_of((region, view), tmp_path / "a")
    assert rows_of(summary, "ecosystem_quality")["z0", ""].previous is None
    assert "2024 not compared" in said(summary)
    (tmp_path / "r" / "gpp_2025.tif").unlink()
    summary = summary_of((region, view), tmp_path / "b")
    assert not rows_of(summary, "ecosystem_quality")
    assert "missing: gross primary production (no file of 'gpp' for 2025)" in said(summary)
    bare = build_region(tmp_path / "bare")
    summary = summary_of((bare, build_cube(bare)), tmp_path / "c")
    assert "has no key 'quality'" in said(summary)


def test_other_units_and_impossible_values_are_refused(tmp_path: Path) -> None:
    region = region_of(tmp_path / "u", units="t/ha")
    view = build_cube(region)
    with pytest.raises(InputError, match="has the units 't/ha'"):
        summary_of((region, view), tmp_path / "o")
    region = region_of(tmp_path / "v", units="kgC/(m2 a)")  # in truth grams
    with pytest.raises(InputError, match="gross primary production.*values from"):
        summary_of((region, build_cube(region)), tmp_path / "o")
    for bad, word in (
        ({"zones": "nowhere"}, "quality.zones 'nowhere'"),
        ({"reference_years": [1900]}, "names"),
        ({"reference_years": [2025, 2024]}, "in order"),
    ):
        with pytest.raises((InputError, UsageError), match=word):
            region_of(tmp_path / "w", **bad)


def test_the_digest_follows_the_rasters_only_where_quality_is_asked_for(
    made: Made, tmp_path: Path
) -> None:
    region, view = region_of(tmp_path / "r"), made[1]
    digests = []
    for change in (False, True):
        if change:
            write_raster(tmp_path / "r" / "lai_2025.tif", np.ones((HEIGHT, WIDTH)))
        for asked in (AnalysesConfig(), AnalysesConfig(quality=True)):
            programme = region.programmes["whole_region"].model_copy(
                update={"analyses": asked, "indices": ()}
            )
            digests.append(assessment_digest(region, programme, YEAR, view))
    assert digests[0] == digests[2] and digests[1] != digests[3]
