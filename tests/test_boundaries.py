"""Boundaries that change between years: told apart from change on the ground."""

from __future__ import annotations

import numpy as np
import pytest
from assessment_cube import build_cube, build_region, year_arrays
from long_cube import with_analyses
from zone_fakes import make_region, pixel_box, write_layer

from eco_index.assessment import assess, assessment_digest
from eco_index.boundaries import boundary_changes, edition_sums
from eco_index.config import load_region
from eco_index.errors import InputError, UsageError
from eco_index.period import Period
from eco_index.report import render
from eco_index.report.findings import findings
from eco_index.report.tables import groups_of, headline_tables
from eco_index.report.text import Words
from eco_index.summary import read_summary
from eco_index.zonal import SumSpec
from eco_index.zones import layer_path, load_layer

KM2 = 9e-4
OLD = [pixel_box(1, 1, 18, 46), pixel_box(20, 2, 30, 20), pixel_box(44, 2, 50, 9)]
#: The first lost its lower part, the second is as it was (redrawn by a hair), the third is gone
#: (its id was given up) and a fourth is new.
NEW = [pixel_box(1, 1, 22, 30), pixel_box(20, 30, 30, 40.001), pixel_box(52, 30, 55, 36)]
OLD[1] = pixel_box(20, 30, 30, 40)


def with_editions(folder, **more):
    layer = {"editions": [{"valid_from": 2025, "dataset": "red_line_new"}], "partition": False}
    access = {"type": "vector", "path": "red_line_new.gpkg"}
    region = build_region(
        folder,
        layer_extra={"red_line": layer | more},
        more_datasets={"red_line_new": {"access": access}},
    )
    (folder / "red_line.gpkg").unlink()
    write_layer(folder / "red_line.gpkg", OLD)
    write_layer(folder / "red_line_new.gpkg", NEW, code=["z0", "z1", "z7"])
    return region


class TestEditions:
    def test_a_year_gets_the_boundaries_valid_then(self, tmp_path):
        region = with_editions(tmp_path)
        assert layer_path(region, "red_line", 2024).name == "red_line.gpkg"
        assert layer_path(region, "red_line", 2025).name == "red_line_new.gpkg"
        assert layer_path(region, "red_line").name == "red_line_new.gpkg"
        assert load_layer(region, "red_line", 2019).ids == ("z0", "z1", "z2")
        assert load_layer(region, "red_line", 2030).ids == ("z0", "z1", "z7")

    @pytest.mark.parametrize("years", [(2024, 2024), (2025, 2020)])
    def test_order_of_years(self, tmp_path, years):
        editions = [{"valid_from": y, "dataset": "counties"} for y in years]
        with pytest.raises(UsageError, match="order of 'valid_from'"):
            make_region(
                tmp_path, {"counties": OLD}, layer_extra={"counties": {"editions": editions}}
            )

    def test_unknown_dataset(self, tmp_path):
        editions = [{"valid_from": 2024, "dataset": "nowhere"}]
        with pytest.raises(UsageError, match="no dataset 'nowhere'"):
            make_region(
                tmp_path, {"counties": OLD}, layer_extra={"counties": {"editions": editions}}
            )


class TestChanges:
    def test_added_and_removed(self, tmp_path):
        region = with_editions(tmp_path)
        before, now = (load_layer(region, "red_line", y) for y in (2024, 2025))
        found = {c.id: c for c in boundary_changes(before, now, KM2)}
        assert {k: c.kind for k, c in found.items()} == {
            "z0": "moved", "z1": "same", "z7": "new", "z2": "gone",
        }  # fmt: skip
        assert found["z0"].added_km2 == pytest.approx(4 * 29 * KM2)
        assert found["z0"].removed_km2 == pytest.approx(17 * 16 * KM2)
        for c in found.values():
            assert c.before_km2 + c.added_km2 - c.removed_km2 == pytest.approx(c.now_km2)

    @pytest.mark.parametrize("coverage", ["centre", "exact"])
    def test_split_of_a_change(self, tmp_path, coverage):
        region = with_editions(tmp_path, coverage=coverage)
        view = build_cube(region)
        before, now = (load_layer(region, "red_line", y) for y in (2024, 2025))
        sums = edition_sums(
            view, Period(2025), Period(2024), now, before, SumSpec(("fvc",), ("landcover",))
        )
        here, there = np.s_[1:30, 1:22], np.s_[1:46, 1:18]
        was, fvc = year_arrays(2024)["fvc"].astype(float), year_arrays(2025)["fvc"].astype(float)
        split = sums.mean("fvc")
        assert split.total[0] == pytest.approx((fvc[here].mean() - was[there].mean()) * 1e-4)
        assert split.ground[0] == pytest.approx((fvc[here].mean() - was[here].mean()) * 1e-4)
        assert split.boundary[:2] == pytest.approx(split.total[:2] - split.ground[:2])
        assert abs(split.boundary[1]) < 1e-5
        assert np.isnan(split.total[2]) and np.isfinite(split.ground[2])
        grass = sums.pixels_of_class("landcover", (32,))
        land_was, land = year_arrays(2024)["landcover"], year_arrays(2025)["landcover"]
        assert grass.total[0] == pytest.approx(
            (land[here] == 32).sum() - (land_was[there] == 32).sum()
        )
        assert grass.boundary[0] == pytest.approx(29 * 21 - 45 * 17)  # all of it was grass


class TestAssessment:
    def test_notes_tell_what_moved(self, tmp_path):
        region = with_editions(tmp_path)
        view = build_cube(region)
        programme = region.programmes["red_line"]
        summary = read_summary(assess(region, programme, Period(2025), view, tmp_path / "out"))
        notes = [n.en for n in summary.notes]
        moved = next(n for n in notes if "boundary of zone 0 changed" in n)
        assert "0.10 km2 came to it, 0.24 km2 left it" in moved
        assert "40.00 % in 2024 on its own boundary, +0.00 points from moving it" in moved
        fvc = [year_arrays(year)["fvc"][1:30, 1:22].mean() / 100 for year in (2024, 2025)]
        assert f"it, {fvc[1] - fvc[0]:+.2f} points on the ground" in moved
        assert any("zone 2 is new (0.02 km2)" in n for n in notes)
        assert any("no longer in the present ones" in n for n in notes)
        assert not any("zone 1 changed" in n for n in notes)
        assert [z.id for z in summary.zones] == ["z0", "z1", "z7"]
        assert "red_line_new" in {i.id for i in summary.inputs}

    def test_an_earlier_edition_without_such_zones_is_said(self, tmp_path):
        region = with_editions(tmp_path)
        (tmp_path / "red_line_new.gpkg").unlink()
        write_layer(tmp_path / "red_line_new.gpkg", NEW, code=["z0", "z1", "z7"], level=["a"] * 3)
        programme = with_analyses(region, "red_line").model_copy(
            update={"filter": {"level": ("a",)}}
        )
        path = assess(region, programme, Period(2025), build_cube(region), tmp_path / "out")
        notes = [n.en for n in read_summary(path).notes]
        assert any("boundaries of 2024: zones cannot be filtered by 'level'" in n for n in notes)

    def test_no_notes_without_editions(self, tmp_path):
        region = build_region(tmp_path)
        view = build_cube(region)
        summary = read_summary(
            assess(region, region.programmes["red_line"], Period(2025), view, tmp_path / "out")
        )
        assert not any("boundar" in n.en and "changed" in n.en for n in summary.notes)

    def test_digest_follows_either_edition(self, tmp_path):
        region = with_editions(tmp_path)
        view = build_cube(region)
        programme = region.programmes["red_line"]
        digests = [assessment_digest(region, programme, Period(2025), view)]
        for name in ("red_line", "red_line_new"):
            (tmp_path / f"{name}.gpkg").unlink()
            write_layer(tmp_path / f"{name}.gpkg", OLD[:1])
            digests.append(assessment_digest(region, programme, Period(2025), view))
        assert len(set(digests)) == 3

    def test_table_tells_ground_from_moved_boundaries(self, tmp_path):
        region = with_editions(tmp_path, partition=True)
        view = build_cube(region)
        programme = region.programmes["red_line"]
        path = assess(region, programme, Period(2025), view, tmp_path / "out")
        summary = read_summary(path)
        found = next(a for a in summary.analyses if a.id == "editions")
        areas, cover, forest = ({x.head.en: x.cells for x in t.lines} for t in found.tables)
        kinds = [line.cells[0].en for line in found.tables[0].lines]
        assert kinds == ["moved", "gone", "new"]  # the largest first
        assert areas["zone 0"][1:] == pytest.approx(
            [45 * 17 * KM2, 4 * 29 * KM2, 17 * 16 * KM2, 29 * 21 * KM2]
        )
        was, now = (year_arrays(y) for y in (2024, 2025))
        here, there = np.s_[1:30, 1:22], np.s_[1:46, 1:18]
        own, moved, ground, both, present = cover["zone 0"]
        assert own == pytest.approx(was["fvc"][there].mean() / 100)
        assert present == pytest.approx(now["fvc"][here].mean() / 100)
        assert ground == pytest.approx((now["fvc"][here].mean() - was["fvc"][here].mean()) / 100)
        assert both == pytest.approx(moved + ground) == pytest.approx(present - own)
        inside = [np.zeros((48, 64), bool) for _ in range(2)]
        for x0, y0, x1, y1 in ((1, 1, 18, 46), (20, 30, 30, 40), (44, 2, 50, 9)):
            inside[0][y0:y1, x0:x1] = True
        for x0, y0, x1, y1 in ((1, 1, 22, 30), (20, 30, 30, 40), (52, 30, 55, 36)):
            inside[1][y0:y1, x0:x1] = True
        own, moved, ground, both, present = forest["all together"]
        assert own == pytest.approx(100 * (was["forest"][inside[0]] == 1).mean())
        assert present == pytest.approx(100 * (now["forest"][inside[1]] == 1).mean())
        assert ground == pytest.approx(present - 100 * (was["forest"][inside[1]] == 1).mean())
        assert both == pytest.approx(moved + ground)
        assert "1 are new, 1 are gone" in found.findings[0].en
        html = {p.name: p for p in render(path)}["report.en.html"].read_text(encoding="utf-8")
        assert "moved boundaries and change on the ground" in html.lower()


class TestGroups:
    """`group` in the region file: subtotals of leagues over counties."""

    SHAPES = (pixel_box(0, 0, 20, 48), pixel_box(20, 0, 40, 48), pixel_box(40, 0, 60, 48),
              pixel_box(60, 0, 64, 48))  # fmt: skip
    GROUPS = ("A", "B", "A", None)

    def region(self, folder, **columns):
        build_region(
            folder,
            layer_extra={
                "counties": {
                    "group": "league",
                    "group_name": {"zh": "league_zh", "en": "league_en"},
                }
            },
        )
        (folder / "counties.gpkg").unlink()
        table = {
            "key_function": ["yes", "no", "yes", "no"],
            "league": list(self.GROUPS),
            "league_zh": ["甲盟", "乙盟", "甲盟", ""],
            "league_en": ["League A", "League B", "League A", ""],
        } | columns
        write_layer(folder / "counties.gpkg", list(self.SHAPES), **table)
        return load_region(folder / "region.yaml")

    @pytest.fixture(scope="class")
    def path(self, tmp_path_factory):
        region = self.region(tmp_path_factory.mktemp("groups"))
        programme = region.programmes["whole_region"]
        return assess(region, programme, Period(2025), build_cube(region), region.output / "x")

    def test_subtotals_are_sums(self, path):
        summary = read_summary(path)
        assert [z.id for z in summary.zones] == [
            "z0", "z1", "z2", "z3", "_group_A", "_group_B", "_all",
        ]  # fmt: skip
        names = {z.id: z.name for z in summary.zones}
        assert (names["_group_A"].zh, names["_group_A"].en) == (
            "甲盟（小计）",
            "League A (subtotal)",
        )
        rows = {(r.zone, r.indicator, r.variable): r for r in summary.rows}
        fvc = np.concatenate(
            [year_arrays(2025)["fvc"][:, s] for s in (np.s_[:20], np.s_[40:60])], 1
        )
        found = rows["_group_A", "fvc_mean", ""]
        assert found.value == pytest.approx(fvc[fvc != 65535].mean() / 100)
        parts = [rows[z, "fvc_mean", ""].no_data_km2 for z in ("z0", "z2")]
        assert found.no_data_km2 == pytest.approx(sum(parts)) and sum(parts) > 0
        for zone in ("_group_A", "_group_B"):
            members = [f"z{k}" for k, g in enumerate(self.GROUPS) if zone.endswith(str(g))]
            for indicator in ("forest_area", "built_gain_area", "water_loss_area"):
                alone = sum(rows[z, indicator, ""].value for z in members)
                assert rows[zone, indicator, ""].value == pytest.approx(alone)

    def test_findings_tell_the_whole_once_and_no_subtotals(self, path):
        """Twelve leagues would make twelve sentences an indicator; they are in the tables."""
        summary, words = read_summary(path), Words("en")
        told = " ".join(findings(summary, groups_of(summary), words))
        assert "all together" in told and "League A" not in told
        tables = headline_tables(groups_of(summary), summary, words)
        assert any("League A (subtotal)" in repr(table) for table in tables)

    def test_no_subtotals_where_zones_overlap(self, tmp_path):
        more = {"group": "league", "partition": False}
        region = build_region(tmp_path, layer_extra={"red_line": more})
        (tmp_path / "red_line.gpkg").unlink()
        write_layer(tmp_path / "red_line.gpkg", OLD[:2], league=["A", "A"])
        programme = region.programmes["red_line"]
        path = assess(region, programme, Period(2025), build_cube(region), tmp_path / "out")
        assert [z.id for z in read_summary(path).zones] == ["z0", "z1"]

    def test_a_group_with_two_names(self, tmp_path):
        region = self.region(tmp_path, league_en=["League A", "League B", "League Z", ""])
        with pytest.raises(InputError, match="the group 'A' has two names"):
            load_layer(region, "counties")

    def test_missing_column_and_name_without_group(self, tmp_path):
        with pytest.raises(InputError, match="no column 'league'"):
            load_layer(
                make_region(
                    tmp_path / "a",
                    {"counties": OLD},
                    layer_extra={"counties": {"group": "league", "partition": False}},
                ),
                "counties",
            )
        with pytest.raises(UsageError, match="'group_name' needs 'group'"):
            names = {"group_name": {"zh": "a", "en": "b"}}
            make_region(tmp_path / "b", {"counties": OLD}, layer_extra={"counties": names})
