"""The part 'pattern' of an assessment against plain counts on the whole arrays."""

from __future__ import annotations

import numpy as np
import pytest
from assessment_cube import HEIGHT, WIDTH, build_cube, build_region, year_arrays
from scipy import ndimage

from eco_index.assessment import assess
from eco_index.period import Period
from eco_index.programme import AnalysesConfig
from eco_index.summary import read_summary

KM2 = 9e-4
LAND = {year: year_arrays(year)["landcover"] for year in (2024, 2025)}


@pytest.fixture(scope="module", params=[16, 48])
def summaries(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pattern")
    region = build_region(folder, tile=request.param)
    view = build_cube(region)
    found = {}
    for name in ("whole_region", "red_line"):
        programme = region.programmes[name].model_copy(
            update={"analyses": AnalysesConfig(pattern=True)}
        )
        path = assess(region, programme, Period(2025), view, folder / name, tag="2025")
        found[name] = read_summary(path)
    return found


def table(summary, words):
    analysis = next(a for a in summary.analyses if a.id == "pattern")
    return next(t for t in analysis.tables if words in t.caption.en)


def test_patches_equal_those_of_scipy(summaries):
    found = table(summaries["whole_region"], "patches by class")
    for code, name in ((32, "medium-cover grassland"), (21, "forest"), (42, "lake")):
        mask = LAND[2025] == code
        _, n = ndimage.label(mask, np.ones((3, 3)))
        cells = next(x.cells for x in found.lines if x.head.en == name)
        assert cells[0] == pytest.approx(mask.sum() * KM2)
        assert cells[1] == pytest.approx(100 * mask.sum() / (LAND[2025] > 0).sum())
        assert cells[2] == n
        assert cells[3] == pytest.approx(mask.sum() * KM2 * 100 / n)


def test_transfer_matrix_both_ways(summaries):
    summary = summaries["whole_region"]
    both = (LAND[2024] > 0) & (LAND[2025] > 0)
    area, out, into = (table(summary, w) for w in ("area", "before, A", "now, B"))
    for i, before in enumerate(range(1, 7)):
        for j, after in enumerate(range(1, 7)):
            from_, to = LAND[2024] // 10 == before, LAND[2025] // 10 == after
            n = (both & from_ & to).sum()
            assert area.lines[i].cells[j] == pytest.approx(n * KM2)
            for shares, whole in ((out, (both & from_).sum()), (into, (both & to).sum())):
                expected = pytest.approx(100 * n / whole) if whole else None
                assert shares.lines[i].cells[j] == expected


def test_dynamic_degree_of_zones_and_of_all(summaries):
    summary = summaries["whole_region"]
    rows = {r.zone: r for r in summary.rows if r.indicator == "dynamic_degree"}
    parts = {"z0": np.s_[:, :40], "z1": np.s_[:, 40:], "_all": np.s_[:, :]}
    for zone, part in parts.items():
        was, now = LAND[2024][part], LAND[2025][part]
        both = (was > 0) & (now > 0)
        moved = both & (was // 10 != now // 10)
        assert rows[zone].value == pytest.approx(100 * moved.sum() / both.sum())
        assert rows[zone].denominator_km2 == pytest.approx(both.sum() * KM2)
        assert rows[zone].no_data_km2 == pytest.approx((~both).sum() * KM2)


def test_only_pixels_of_the_programme_count(summaries):
    """The red line covers a part: its patches end where it ends."""
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[1:46, 1:18] = True
    inside[24:40, 36:64] = True
    found = table(summaries["red_line"], "patches by class")
    grass = next(x.cells for x in found.lines if x.head.en == "medium-cover grassland")
    mask = (LAND[2025] == 32) & inside
    assert grass[0] == pytest.approx(mask.sum() * KM2)
    assert grass[2] == ndimage.label(mask, np.ones((3, 3)))[1]
