"""Assessments on a real cube with planted changes: numbers, denominators, indices, maps, digest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from assessment_cube import CLOUD, FOREST, LAKE, MINE, STEPPE, build_cube, build_region, year_arrays
from pyproj import CRS
from zone_fakes import pixel_box, write_layer

from eco_index import report
from eco_index.assessment import assess, assessment_digest, overview
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError, UsageError
from eco_index.grid import Grid
from eco_index.period import Period
from eco_index.summary import Row, Summary, read_summary

YEAR = Period(2025)
KM2 = 9e-4  # of a pixel


def size(part: tuple[slice, slice]) -> int:
    rows, columns = part
    return (rows.stop - rows.start) * (columns.stop - columns.start)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Region, CubeView]:
    region = build_region(tmp_path_factory.mktemp("assessed"))
    return region, build_cube(region)


@pytest.fixture(scope="module")
def summaries(made) -> dict[str, Summary]:
    region, view = made
    return {
        name: read_summary(assess(region, programme, YEAR, view, region.output / name, tag="2025"))
        for name, programme in region.programmes.items()
    }


def row(summary: Summary, zone: str, indicator: str, variable: str = "") -> Row:
    found = [
        r for r in summary.rows if (r.zone, r.indicator, r.variable) == (zone, indicator, variable)
    ]
    assert len(found) == 1
    return found[0]


class TestRows:
    def test_mean_denominator_and_gap(self, summaries):
        found = row(summaries["whole_region"], "z1", "fvc_mean")
        fvc = year_arrays(2025)["fvc"][:, 40:]
        seen = fvc[fvc != 65535]
        assert found.value == pytest.approx(seen.mean() / 100)
        assert found.denominator_km2 == found.valid_km2 == pytest.approx(seen.size * KM2)
        assert found.no_data_km2 == pytest.approx(size(CLOUD) * KM2)
        assert found.interval_kind == "confidence"
        assert found.interval[0] < found.value < found.interval[1]
        assert found.previous == pytest.approx(year_arrays(2024)["fvc"][:, 40:].mean() / 100)
        assert found.change == pytest.approx(found.value - found.previous)

    def test_bounds_if_all_gaps_had_the_smallest_or_largest_value(self, summaries):
        found = row(summaries["whole_region"], "z1", "ndvi_mean")
        ndvi = year_arrays(2025)["ndvi_mean"][:, 40:]
        total = ndvi[ndvi != -32768].sum() / 1e4
        assert found.interval_kind == "bounds"
        low, high = found.interval
        assert low == pytest.approx((total - size(CLOUD)) / ndvi.size)
        assert high == pytest.approx((total + size(CLOUD)) / ndvi.size)

    def test_forest_coverage_stands_on_classified_area(self, summaries):
        found = row(summaries["whole_region"], "z1", "forest_coverage")
        land = year_arrays(2025)["landcover"][:, 40:]
        assert found.value == pytest.approx(100 * (land == 21).sum() / (land > 0).sum())
        assert found.no_data_km2 == pytest.approx(size(CLOUD) * KM2)
        low, high = found.interval
        assert low < found.value < high

    def test_every_row_accounts_for_its_zone(self, summaries):
        for summary in summaries.values():
            pixels = {z.id: z.pixels_km2 for z in summary.zones}
            for found in summary.rows:
                if found.indicator == "grassland_cover_proxy":
                    continue  # stands on grassland only
                assert found.valid_km2 + found.no_data_km2 == pytest.approx(pixels[found.zone])

    def test_composition_adds_up(self, summaries):
        summary = summaries["whole_region"]
        for zone in summary.zones:
            shares = [
                r.value
                for r in summary.rows
                if r.zone == zone.id and r.indicator == "landcover_share"
            ]
            assert sum(shares) == pytest.approx(100)
            bins = [
                r.value
                for r in summary.rows
                if r.zone == zone.id and r.indicator == "fvc_class_share"
            ]
            assert sum(bins) == pytest.approx(100)

    def test_all_zones_line_is_the_sum(self, summaries):
        summary = summaries["whole_region"]
        parts = [row(summary, z, "forest_area").value for z in ("z0", "z1")]
        assert row(summary, "_all", "forest_area").value == pytest.approx(sum(parts))

    def test_a_zone_under_cloud_has_no_value(self, made, tmp_path):
        _, view = made
        other = build_region(tmp_path)
        (tmp_path / "red_line.gpkg").unlink()
        write_layer(tmp_path / "red_line.gpkg", [pixel_box(57, 2, 63, 40), pixel_box(2, 2, 9, 9)])
        summary = read_summary(
            assess(other, other.programmes["red_line"], YEAR, view, tmp_path / "out2")
        )
        for indicator in ("fvc_mean", "forest_coverage", "water_area", "built_gain_area"):
            found = row(summary, "z0", indicator)
            assert found.value is None and found.interval is None and found.change is None
            assert found.valid_km2 == 0
            assert found.no_data_km2 == pytest.approx(6 * 38 * KM2)
        assert row(summary, "z0", "clear_observation_share").value == 0


class TestPlantedChanges:
    def test_mine_in_the_national_reserve(self, summaries):
        summary = summaries["nature_reserves"]
        assert [z.id for z in summary.zones] == ["z0"]  # the regional one is not assessed
        assert row(summary, "z0", "built_gain_area").value == pytest.approx(size(MINE) * KM2)
        assert row(summary, "z0", "natural_conversion_area").value == pytest.approx(
            size(MINE) * KM2
        )

    def test_planted_forest(self, summaries):
        found = row(summaries["key_counties"], "z0", "forest_gain_area")
        assert found.value == pytest.approx(size(FOREST) * KM2)
        assert row(summaries["key_counties"], "z0", "forest_loss_area").value == 0

    def test_shrunken_lake(self, summaries):
        found = row(summaries["whole_region"], "z1", "water_loss_area")
        assert found.value == pytest.approx(size(LAKE) * KM2)

    def test_degraded_steppe(self, summaries):
        found = row(summaries["whole_region"], "z0", "fvc_decrease_area")
        assert found.value == pytest.approx((size(STEPPE) + size(MINE)) * KM2)

    def test_a_cloud_is_no_change(self, summaries):
        found = row(summaries["whole_region"], "z1", "grassland_loss_area")
        assert found.value == 0
        assert found.no_data_km2 == pytest.approx(size(CLOUD) * KM2)


class TestIndices:
    def test_key_counties_only(self, summaries):
        assert {i.unit for i in summaries["key_counties"].indices} == {"z0"}
        # All units together have an index of their own; a choice of some has none.
        assert {i.unit for i in summaries["whole_region"].indices} == {"z0", "z1", "_all"}
        assert summaries["red_line"].indices == ()

    def test_inputs_come_from_pixels_and_vectors(self, summaries):
        index = next(
            i for i in summaries["key_counties"].indices if i.method.startswith("hj192_2015")
        )
        land = year_arrays(2025)["landcover"][:, :40]
        assert index.inputs["area_21"] == pytest.approx((land == 21).sum() * KM2)
        assert index.inputs["area_53"] == pytest.approx(size(MINE) * KM2)
        assert index.inputs["area_km2"] == pytest.approx(40 * 48 * KM2)
        # 1.2 km on the grid; geodesic lengths differ by the projection's scale.
        assert index.inputs["river_length_km"] == pytest.approx(1.2, rel=0.03)

    def test_without_statistics_an_index_has_no_value(self, summaries):
        summary = summaries["key_counties"]
        for index in summary.indices:
            assert index.value is None and not index.complete
        assert any("2025" in n.en and "statistics" in n.en for n in summary.notes)

    def test_too_much_without_landcover_is_not_evaluated(self, summaries):
        index = next(
            i
            for i in summaries["whole_region"].indices
            if i.unit == "z1" and i.method.startswith("hj192_2015")
        )
        assert index.inputs["area_21"] is None  # a third of the county lies under cloud

    def test_a_little_without_landcover_is_shared_out(self, tmp_path, monkeypatch):
        import assessment_cube

        monkeypatch.setattr(assessment_cube, "CLOUD", (slice(0, 24), slice(62, 64)))
        region = build_region(tmp_path)
        summary = read_summary(
            assess(
                region, region.programmes["whole_region"], YEAR, build_cube(region), tmp_path / "a"
            )
        )
        index = next(
            i for i in summary.indices if i.unit == "z1" and i.method.startswith("hj192_2015")
        )
        total = sum(v for k, v in index.inputs.items() if k[5:].isdigit() and v is not None)
        assert total == pytest.approx(index.inputs["area_km2"]) == pytest.approx(24 * 48 * KM2)
        share = row(summary, "z1", "landcover_share", "21").value
        assert 100 * index.inputs["area_21"] / total == pytest.approx(share)
        assert any("zone 1" in n.en and "composed like the rest" in n.en for n in summary.notes)

    def test_a_unit_cut_by_the_grid_has_no_index(self, made, tmp_path):
        region = build_region(tmp_path)
        (tmp_path / "counties.gpkg").unlink()
        shapes = [pixel_box(0, 0, 40, 48), pixel_box(40, 0, 80, 48)]
        write_layer(tmp_path / "counties.gpkg", shapes, key_function=["yes", "no"])
        summary = read_summary(
            assess(region, region.programmes["whole_region"], YEAR, made[1], tmp_path / "a")
        )
        cut = next(i for i in summary.indices if i.unit == "z1")
        assert cut.value is None and cut.inputs["area_km2"] is None
        assert any("zone 1" in n.en and "beyond the grid" in n.en for n in summary.notes)

    def test_statistics_complete_the_index(self, tmp_path):
        region = build_region(tmp_path)
        columns = {
            "erosion_severe_km2": 0.1, "erosion_moderate_km2": 0.1, "other_stress_km2": 0,
            "water_resources_1e6m3": 5, "water_resources_mean_1e6m3": 5, "precipitation_mm": 300,
            "cod_t": 1, "nh3n_t": 1, "so2_t": 1, "dust_t": 1, "nox_t": 1, "solid_waste_t": 1,
            "biodiversity_index": 40, "restriction_code": 0, "area_km2": 1.7,
        }  # fmt: skip
        lines = ["unit_id," + ",".join(columns)]
        lines += [f"{u}," + ",".join(map(str, columns.values())) for u in ("z0", "z1")]
        for year in (2024, 2025):
            (tmp_path / f"statistics_{year}.csv").write_text("\n".join(lines), encoding="utf-8")
        view = build_cube(region)
        summary = read_summary(
            assess(region, region.programmes["key_counties"], YEAR, view, tmp_path / "a")
        )
        index = next(i for i in summary.indices if i.method.startswith("hj192_2015"))
        assert index.value is not None and index.previous is not None
        assert index.change == pytest.approx(index.value - index.previous)
        assert index.inputs["area_km2"] == pytest.approx(40 * 48 * KM2)  # not the table's 1.7
        assert index.provisional and summary.provisional

    def test_half_years_have_none(self, made, tmp_path):
        region, _ = made
        region = build_region(tmp_path)
        view = build_cube(region, ("2025H1",))
        summary = read_summary(
            assess(region, region.programmes["key_counties"], Period(2025, 1), view, tmp_path / "h")
        )
        assert summary.indices == ()
        assert summary.period.months == ("2025-05", "2025-06")


class TestSummary:
    def test_says_what_it_is(self, summaries):
        summary = summaries["red_line"]
        assert summary.simulated
        assert summary.period.compared_with == "2024"
        assert summary.provenance.tag == "2025"
        assert {"fvc_dimidiate", "forest_coverage"} <= {m.id for m in summary.methods}
        assert {"imagery", "map", "red_line"} <= {i.id for i in summary.inputs}

    def test_cut_zone_is_reported(self, summaries):
        summary = summaries["red_line"]
        zone = summary.zones[1]
        assert zone.area_km2 == pytest.approx(34 * 16 * KM2)
        assert zone.pixels_km2 == pytest.approx(28 * 16 * KM2)
        assert any("zone 1" in n.en and "on the grid" in n.en for n in summary.notes)

    def test_observation_quality(self, summaries):
        quality = summaries["whole_region"].quality
        assert [q.month for q in quality] == ["2025-05", "2025-06", "2025-07", "2025-08"]
        share = 1 - size(CLOUD) / (48 * 64)
        for k, month in enumerate(quality):
            assert month.observed_share == pytest.approx(share)
            assert month.mean_clear_count == pytest.approx(share * (k + 1))

    def test_provisional_rows_make_it_provisional(self, summaries):
        summary = summaries["whole_region"]
        proxy = row(summary, "z0", "grassland_cover_proxy")
        assert proxy.provisional and summary.provisional
        assert not row(summary, "z0", "fvc_mean").provisional

    def test_trace_keys_are_unique_over_programmes(self, summaries):
        keys = [r.trace for s in summaries.values() for r in s.rows]
        keys += [i.trace for s in summaries.values() for i in s.indices]
        assert len(keys) == len(set(keys))

    def test_reports_can_be_made(self, made, summaries):
        region, _ = made
        written = report.render(region.output / "nature_reserves" / "summary.json")
        assert {p.name for p in written} == {
            "report.zh.html", "report.en.html", "table.csv", "analyses.csv",
        }  # fmt: skip

    def test_first_year_has_nothing_to_compare(self, made, tmp_path):
        region, view = made
        summary = read_summary(
            assess(region, region.programmes["red_line"], Period(2024), view, tmp_path)
        )
        assert summary.period.compared_with is None
        assert all(r.previous is None and r.change is None for r in summary.rows)
        assert not any(r.indicator.endswith("gain_area") for r in summary.rows)
        assert "fvc_change" not in {m.id for m in summary.maps}

    def test_made_again_without_comparison_leaves_no_old_map(self, made, tmp_path):
        region, view = made
        programme = region.programmes["red_line"]
        assess(region, programme, YEAR, view, tmp_path)
        assert (tmp_path / "maps" / "fvc_change.tif").exists()
        assess(region, programme, YEAR, view, tmp_path, previous=False)
        assert not (tmp_path / "maps" / "fvc_change.tif").exists()
        assert read_summary(tmp_path / "summary.json").period.compared_with is None

    def test_a_failed_write_keeps_the_old_summary(self, made, tmp_path, monkeypatch):
        from eco_index.assessment import run

        region, view = made
        programme = region.programmes["red_line"]
        old = assess(region, programme, YEAR, view, tmp_path).read_bytes()

        def full(summary: Summary, path: Path) -> None:
            path.write_text("{", encoding="utf-8")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(run, "write_summary", full)
        with pytest.raises(OSError, match="No space"):
            assess(region, programme, YEAR, view, tmp_path, previous=False)
        assert (tmp_path / "summary.json").read_bytes() == old

    def test_period_that_was_never_computed(self, made, tmp_path):
        region, view = made
        with pytest.raises(InputError, match="2025H2 are not all in the archive"):
            assess(region, region.programmes["red_line"], Period(2025, 2), view, tmp_path)

    def test_unknown_indicator(self, made, tmp_path):
        region, view = made
        programme = region.programmes["red_line"].model_copy(update={"indicators": ("fvc_maen",)})
        with pytest.raises(UsageError, match="did you mean 'fvc_mean'"):
            assess(region, programme, YEAR, view, tmp_path)


class TestMaps:
    def test_files_are_as_the_summary_says(self, made, summaries):
        region, _ = made
        for name, summary in summaries.items():
            folder = region.output / name
            assert {"fvc", "fvc_change", "landcover", "forest", "clear_count"} <= {
                m.id for m in summary.maps
            }
            for layer in summary.maps:
                with rasterio.open(folder / layer.path) as file:
                    assert max(file.shape) <= 1000
                    values = file.read(1, masked=True)
                if layer.kind == "classes":
                    known = {c.code for c in layer.classes}
                    assert set(np.unique(values.compressed()).tolist()) <= known
            zones = json.loads((folder / summary.zones_file).read_text(encoding="utf-8"))
            drawn = {f["properties"]["id"] for f in zones["features"]}
            assert drawn == {z.id for z in summary.zones} - {"_all"}

    def test_change_map_shows_the_mine(self, made, summaries):
        region, _ = made
        with rasterio.open(region.output / "whole_region" / "maps" / "fvc_change.tif") as file:
            values = file.read(1)
            assert file.shape == (48, 64)
        assert values[MINE] == pytest.approx(-0.39)
        assert np.isnan(values[CLOUD]).all()
        assert (values[20:24, 2:8] == 0).all()

    @pytest.mark.parametrize("tile", [16, 48])
    @pytest.mark.parametrize("largest", [20, 1000])
    def test_thinned_maps_do_not_depend_on_tiles(self, tile, largest, monkeypatch):
        monkeypatch.setattr(overview, "LARGEST", largest)
        rng = np.random.default_rng(3)
        shape = (50, 70)
        fvc = rng.integers(0, 10000, shape).astype(np.uint16)
        land = rng.choice([21, 32, 42], shape).astype(np.uint8)
        crs = CRS("+proj=laea +lat_0=43 +lon_0=110 +datum=WGS84 +units=m").to_wkt()
        grid = Grid(crs, 30.0, (0.0, 0.0, 2100.0, 1500.0), tile, tile)
        frame = overview.Frame.around(grid, grid.bounds)
        mean, classes = overview.MeanMap(frame), overview.ClassMap(frame, 0)
        for t in grid.tiles():
            mean.add(t, fvc[t.slices], np.ones(t.shape, bool))
            classes.add(t, land[t.slices])
        step = frame.step
        for y in range(frame.height):
            for x in range(frame.width):
                block = fvc[y * step : (y + 1) * step, x * step : (x + 1) * step]
                assert mean.values(1.0)[y, x] == pytest.approx(block.mean(), rel=1e-6)
        assert (classes.codes > 0).all()  # also the blocks cut by the grid's edge have a class


def test_tile_size_does_not_change_a_number(tmp_path: Path):
    found = []
    for tile in (16, 32, 64):
        region = build_region(tmp_path / str(tile), tile=tile)
        view = build_cube(region)
        path = assess(region, region.programmes["red_line"], YEAR, view, tmp_path / f"o{tile}")
        summary = read_summary(path)
        maps = [(path.parent / m.path).read_bytes() for m in summary.maps]
        found.append((summary.rows, summary.zones, summary.quality, maps))
    assert found[0] == found[1] == found[2]


class TestDigest:
    def test_same_for_the_same(self, made, summaries):
        region, view = made
        for name, programme in region.programmes.items():
            digest = assessment_digest(region, programme, YEAR, view)
            assert digest == summaries[name].provenance.input_digest

    def test_changes_with_what_counts(self, tmp_path):
        region = build_region(tmp_path)
        view = build_cube(region, ("2025",))
        programme = region.programmes["key_counties"]
        seen = [assessment_digest(region, programme, YEAR, view)]
        shapes = [pixel_box(0, 0, 39, 48), pixel_box(40, 0, 64, 48)]
        (tmp_path / "counties.gpkg").unlink()
        write_layer(tmp_path / "counties.gpkg", shapes, key_function=["yes", "no"])
        seen.append(assessment_digest(region, programme, YEAR, view))
        (tmp_path / "statistics_2025.csv").write_text("unit_id,area_km2\nz0,1\n", encoding="utf-8")
        seen.append(assessment_digest(region, programme, YEAR, view))
        fewer = programme.model_copy(update={"indicators": ("fvc_mean",)})
        seen.append(assessment_digest(region, fewer, YEAR, view))
        seen.append(assessment_digest(region, programme, YEAR, build_cube(region, ("2024",))))
        assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(("pixels", "provisional"), [(1, False), (7, True)])
def test_an_unattested_rule_counts_only_where_it_decides(pixels, provisional, monkeypatch):
    """At 30 m one pixel is a patch; at 10 m the rule of contiguous pixels decides."""
    from eco_index.assessment import sources
    from eco_index.indicators import method_use
    from eco_index.methods import load_method

    monkeypatch.setattr(sources, "period_parameters", lambda region: {"forest_min_pixels": pixels})
    method = load_method("forest_coverage")
    method.number("min_area_ha")
    use = sources._contiguity(None, method_use(method), method)
    assert use.provisional == provisional
    assert any(n.evidence == "placeholder" for n in use.numbers) == provisional
