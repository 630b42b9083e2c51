"""Assessments with exact coverage, end to end from the region file."""

from __future__ import annotations

import numpy as np
import pytest
from assessment_cube import build_cube, build_region, year_arrays
from zone_fakes import pixel_box, write_layer

from eco_index.assessment import assess
from eco_index.period import Period
from eco_index.summary import read_summary

YEAR = Period(2025)
KM2 = 9e-4  # of a pixel


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    region = build_region(tmp_path_factory.mktemp("cube"))
    return region, build_cube(region)


def row(summary, zone: str, indicator: str):
    (found,) = [r for r in summary.rows if (r.zone, r.indicator) == (zone, indicator)]
    return found


class TestCoverage:
    """`coverage: exact` in the region file: areas of a summary are those of the polygons."""

    SHAPES = (
        pixel_box(1.3, 1.25, 18.5, 46),
        pixel_box(36.2, 24.4, 70, 40.7),  # beyond the grid's edge, half under cloud
        pixel_box(20.1, 20.4, 20.3, 20.9),  # below a pixel, holds no pixel centre
        pixel_box(10, 40, 40, 47.5),  # overlaps the first
    )

    @pytest.fixture(scope="class")
    def summary(self, made, tmp_path_factory):
        _, view = made
        folder = tmp_path_factory.mktemp("exact")
        region = build_region(
            folder, layer_extra={"red_line": {"coverage": "exact", "partition": False}}
        )
        (folder / "red_line.gpkg").unlink()
        write_layer(folder / "red_line.gpkg", list(self.SHAPES))
        return read_summary(
            assess(region, region.programmes["red_line"], YEAR, view, folder / "out")
        )

    def test_areas_add_up_to_the_polygons(self, summary):
        grid = pixel_box(0, 0, 64, 48)
        inside = {f"z{k}": s.intersection(grid).area / 1e6 for k, s in enumerate(self.SHAPES)}
        assert len(summary.zones) == 4
        for zone in summary.zones:
            assert zone.pixels_km2 == pytest.approx(inside[zone.id], rel=1e-9)
        assert len(summary.rows) > 40
        for found in summary.rows:
            if found.indicator != "grassland_cover_proxy":  # stands on grassland only
                whole = found.valid_km2 + found.no_data_km2
                assert whole == pytest.approx(inside[found.zone], rel=1e-9)

    def test_values_weigh_pixels_by_their_share(self, summary):
        x, y = np.meshgrid(np.arange(64), np.arange(48))
        cover_x = np.clip(np.minimum(x + 1, 18.5) - np.maximum(x, 1.3), 0, 1)
        cover_y = np.clip(np.minimum(y + 1, 46) - np.maximum(y, 1.25), 0, 1)
        share, now, was = cover_x * cover_y, year_arrays(2025), year_arrays(2024)
        found = row(summary, "z0", "fvc_mean")
        assert found.value == pytest.approx(np.average(now["fvc"], weights=share) / 100)
        assert found.previous == pytest.approx(np.average(was["fvc"], weights=share) / 100)
        mined = ((now["landcover"] == 53) * share).sum() * KM2
        assert row(summary, "z0", "built_gain_area").value == pytest.approx(mined)
        gap = row(summary, "z1", "fvc_mean").no_data_km2
        assert gap == pytest.approx(8 * (40.7 - 24.4) * KM2)

    def test_note_where_pixel_centres_miss_the_area(self, made, summary, tmp_path):
        assert not any("by pixel centres" in n.en for n in summary.notes)
        _, view = made
        region = build_region(tmp_path, layer_extra={"red_line": {"partition": False}})
        (tmp_path / "red_line.gpkg").unlink()
        write_layer(tmp_path / "red_line.gpkg", list(self.SHAPES))
        path = assess(region, region.programmes["red_line"], YEAR, view, tmp_path / "out")
        notes = [n for n in read_summary(path).notes if "by pixel centres" in n.en]
        assert len(notes) == 1
        assert "of 3 of 4 zone(s)" in notes[0].en and "zone 2 (100%)" in notes[0].en
        assert "区2" in notes[0].zh

    def test_a_zone_below_a_pixel_has_numbers(self, summary):
        found = row(summary, "z2", "fvc_mean")
        fvc = year_arrays(2025)["fvc"][20, 20]
        assert found.value == pytest.approx(fvc / 100)
        assert found.valid_km2 == pytest.approx(0.1 * KM2)
