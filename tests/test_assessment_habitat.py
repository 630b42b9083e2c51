"""Habitat quality in an assessment: the map of the whole region, cut by zones; what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from assessment_cube import HEIGHT, WIDTH, build_cube, build_region, year_arrays
from service_fakes import write_raster
from zone_fakes import RES

from eco_index.assessment import assess, assessment_digest
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError, UsageError
from eco_index.indices.habitat import habitat_quality
from eco_index.indices.habitat_parameters import load_habitat
from eco_index.period import Period
from eco_index.programme import AnalysesConfig
from eco_index.summary import Row, Summary, read_summary

YEAR = Period(2025)
Made = tuple[Region, CubeView]


def roads(year: int) -> np.ndarray:
    out = np.zeros((HEIGHT, WIDTH))
    out[10, :] = 1
    if year == 2025:
        out[:, 30] = 1
    return out


def access() -> np.ndarray:
    return np.tile(np.linspace(0, 1, WIDTH), (HEIGHT, 1))


def region_of(folder: Path, tile: int = 16, units: str = "1", **habitat) -> Region:
    folder.mkdir(parents=True, exist_ok=True)
    for year in (2024, 2025):
        write_raster(folder / f"roads_{year}.tif", roads(year))
    write_raster(folder / "access.tif", 100 * access())
    given = {"parameters": "example", "threats": {"roads": "roads"}, "access": "access"}
    return build_region(
        folder,
        tile=tile,
        extra={"habitat": given | habitat},
        more_datasets={
            "roads": {"access": {"type": "raster", "path": "roads_{year}.tif"}, "units": units},
            "access": {"access": {"type": "raster", "path": "access.tif"}, "units": "%"},
        },
    )


def summary_of(made: Made, folder: Path) -> Summary:
    region, view = made
    update = {"analyses": AnalysesConfig(habitat=True), "indices": ()}
    programme = region.programmes["whole_region"].model_copy(update=update)
    return read_summary(assess(region, programme, YEAR, view, folder, tag=YEAR.id))


def rows_of(summary: Summary, indicator: str) -> dict[str, Row]:
    return {r.zone: r for r in summary.rows if r.indicator == indicator}


def said(summary: Summary) -> str:
    part = next(a for a in summary.analyses if a.id == "habitat")
    return "\n".join(t.en for t in (*part.rules, *part.findings, *part.notes))


def expected(year: int) -> xr.Dataset:
    """The same by the function on the whole map."""

    def one(values):
        return xr.DataArray(values, dims=("y", "x"))

    return habitat_quality(
        one(year_arrays(year)["landcover"]),
        load_habitat("example"),
        pixel=(RES, RES),
        threats={"roads": one(roads(year))},
        access=one(access()),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    region = region_of(tmp_path_factory.mktemp("habitat"))
    return region, build_cube(region)


@pytest.fixture(scope="module")
def whole(made: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    folder = tmp_path_factory.mktemp("assessed")
    return summary_of(made, folder), folder


def test_means_and_change_are_those_of_the_map_of_the_whole_region(whole) -> None:
    summary, folder = whole
    now, was = expected(2025), expected(2024)
    for key in ("quality", "degradation"):
        rows = rows_of(summary, f"habitat_{key}")
        for zone, at in (
            ("z0", np.s_[:, :40]), ("z1", np.s_[:, 40:]), ("_all", np.s_[:, :]),
        ):  # fmt: skip
            part = now[key].to_numpy()[at]
            assert rows[zone].value == pytest.approx(np.nanmean(part), abs=1e-4)
            before = np.nanmean(was[key].to_numpy()[at])
            assert rows[zone].previous == pytest.approx(before, abs=1e-4)
            km2 = RES * RES / 1e6
            assert rows[zone].valid_km2 == pytest.approx(np.isfinite(part).sum() * km2)
            assert rows[zone].no_data_km2 == pytest.approx(np.isnan(part).sum() * km2)
    assert rows["_all"].value > rows["_all"].previous > 0  # a road and a mine more
    with rasterio.open(folder / "maps" / "habitat_quality.tif") as source:
        assert 0 <= np.nanmin(source.read(1)) < np.nanmax(source.read(1)) <= 1


def test_it_says_what_it_stands_on(whole) -> None:
    summary, _ = whole
    part = next(a for a in summary.analyses if a.id == "habitat")
    assert part.provisional and part.evidence == "placeholder"
    text = said(summary)
    assert "example@1" in text and "built-up land (3000 m)" in text
    assert "Habitat quality (provisional): 0." in text and "lower bound" in text
    assert {"roads", "access"} <= {i.id for i in summary.inputs}


def test_the_tile_changes_nothing(whole, tmp_path: Path) -> None:
    region = region_of(tmp_path / "r", tile=48)
    other = summary_of((region, build_cube(region)), tmp_path / "o")
    assert [r for r in other.rows if r.indicator.startswith("habitat")] == [
        r for r in whole[0].rows if r.indicator.startswith("habitat")
    ]


def test_what_is_not_there_is_said_and_has_no_rows(tmp_path: Path) -> None:
    region = region_of(tmp_path / "r")
    view = build_cube(region)
    (tmp_path / "r" / "roads_2024.tif").unlink()
    summary = summary_of((region, view), tmp_path / "a")
    assert rows_of(summary, "habitat_quality")["z0"].previous is None
    assert "no value of 2024; missing: roads" in said(summary)
    (tmp_path / "r" / "roads_2025.tif").unlink()
    summary = summary_of((region, view), tmp_path / "b")
    assert not rows_of(summary, "habitat_quality")
    assert "missing: roads (no file of 'roads' for 2025)" in said(summary)
    bare = build_region(tmp_path / "bare")
    assert "has no key 'habitat'" in said(summary_of((bare, build_cube(bare)), tmp_path / "c"))


def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path) -> None:
    region = region_of(tmp_path / "r")
    view = build_cube(region)
    gap = roads(2025)
    gap[5, 5] = np.nan
    write_raster(tmp_path / "r" / "roads_2025.tif", gap)
    with pytest.raises(InputError, match="'roads' is missing at 1 pixels") as error:
        summary_of((region, view), tmp_path / "o")
    assert "key 'habitat'" in error.value.where
    for changes, word in (
        ({"threats": {}}, "named for the threats none"),
        ({"parameters": "nowhere"}, "no habitat parameters 'nowhere'"),
        ({"units": "m"}, "has the units 'm'"),
    ):
        odd = region_of(tmp_path / word[:5], **changes)
        with pytest.raises((InputError, UsageError), match=word):
            summary_of((odd, view), tmp_path / "p")


def test_the_digest_follows_rasters_and_parameters(made: Made, tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "configs" / "habitat" / "example.yaml"
    text = source.read_text(encoding="utf-8")
    (tmp_path / "r").mkdir()
    own = tmp_path / "r" / "own.yaml"
    own.write_text(text, encoding="utf-8")
    region, view = region_of(tmp_path / "r", parameters="own.yaml"), made[1]
    update = {"analyses": AnalysesConfig(habitat=True), "indices": ()}
    programme = region.programmes["whole_region"].model_copy(update=update)

    def digest() -> str:
        return assessment_digest(region, programme, YEAR, view)

    found = [digest()]
    own.write_text(text.replace("half_saturation: 0.5", "half_saturation: 0.4"), encoding="utf-8")
    found.append(digest())
    write_raster(tmp_path / "r" / "roads_2025.tif", roads(2024))
    found.append(digest())
    assert len(set(found)) == 3
