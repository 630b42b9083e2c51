"""Subtotals of groups of zones in the parts on services, problems and pattern: they add up."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from assessment_cube import HEIGHT, build_cube
from test_assessment_services import Made, analysis, rows_of, summary_of, with_sand
from zone_fakes import pixel_box, write_layer

from eco_index.config import Region, load_region
from eco_index.services import SERVICES

#: Means and shares over the area with a value.
MEANS = (
    *SERVICES, "soil_erosion_share", "grassland_degradation_share", "desertification_share",
    "dynamic_degree",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    region = with_sand(tmp_path_factory.mktemp("services"))
    return region, build_cube(region)


def grouped_region(folder: Path, leagues: list, boxes: list, **layer) -> Region:
    """Counties of a partition with a league each (None for none)."""
    region = with_sand(folder)
    shapes = [pixel_box(x0, 0, x1, HEIGHT) for x0, x1 in boxes]
    (folder / "counties.gpkg").unlink()
    columns = {"league": leagues, "key_function": ["yes"] * len(boxes)}
    write_layer(folder / "counties.gpkg", shapes, **columns)
    path = region.config.path
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {"group": "league", "group_name": {"zh": "league", "en": "league"}}
    content["layers"]["counties"] |= names | layer
    del content["units"]  # of official indices, which take no zones that overlap
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load_region(path)


@pytest.mark.parametrize(
    ("boxes", "layer"),
    [
        ([(0, 20), (20, 40), (40, 64)], {}),
        ([(0, 20.3), (20.3, 40.6), (40.6, 64)], {"coverage": "exact"}),
    ],
)
def test_subtotals_of_groups_add_up(made: Made, tmp_path: Path, boxes, layer) -> None:
    """League A has the first and last county; the line of all has the one without league, too."""
    region = grouped_region(tmp_path / "r", ["A", None, "A"], boxes, **layer)
    summary = summary_of(
        (region, made[1]), tmp_path / "out", services=True, problems=True, pattern=True
    )
    lines = {"_group_A": ("z0", "z2"), "_all": ("z0", "z1", "z2")}
    checked = set()
    for line, members in lines.items():
        for row in summary.rows:
            if row.zone != line:
                continue
            parts = [
                r for r in summary.rows
                if (r.indicator, r.variable) == (row.indicator, row.variable) and r.zone in members
            ]  # fmt: skip
            assert len(parts) == len(members), row.trace
            for area in ("denominator_km2", "valid_km2", "no_data_km2"):
                assert getattr(row, area) == pytest.approx(sum(getattr(r, area) for r in parts))
            if row.indicator.endswith("_total"):
                assert row.value == pytest.approx(sum(r.value for r in parts))
                assert row.previous == pytest.approx(sum(r.previous for r in parts))
            elif row.indicator in MEANS:  # they weigh by the area with a value
                area = sum(r.value * r.valid_km2 for r in parts if r.value is not None)
                assert row.value * row.valid_km2 == pytest.approx(area, abs=1e-9)
            else:
                continue
            checked.add((line, row.indicator))
    wanted = {*MEANS, *(f"{name}_total" for name in SERVICES)}
    assert {(line, name) for line in lines for name in wanted} == checked
    for table in (*analysis(summary, "services").tables, *analysis(summary, "problems").tables):
        heads = [x.head.en for x in table.lines]
        assert heads == ["zone 0", "zone 1", "zone 2", "A (subtotal)", "all together"]
    wetland = analysis(summary, "problems").tables[-1]
    cells = {x.head.en: x.cells for x in wetland.lines}
    for k in (0, 1, 4):
        ours = [cells[f"zone {z}"][k] for z in range(3)]
        assert cells["A (subtotal)"][k] == pytest.approx(ours[0] + ours[2])
        assert cells["all together"][k] == pytest.approx(sum(ours))
    said = " ".join(f.en for f in analysis(summary, "services").findings)
    whole = rows_of(summary, "soil_retention")["_all", ""].value
    assert f"{whole:,.2f}" in said, "the sentence is of all zones, not of a group"


def test_overlapping_zones_have_no_subtotals(made: Made, tmp_path: Path) -> None:
    region = grouped_region(tmp_path / "r", ["A", "A"], [(0, 30), (20, 64)], partition=False)
    summary = summary_of((region, made[1]), tmp_path / "out")
    assert {r.zone for r in summary.rows} == {"z0", "z1"}
