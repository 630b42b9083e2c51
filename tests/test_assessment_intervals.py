"""Intervals of headline numbers in an assessment: parts, rows, total, tiling, both languages."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from assessment_cube import HEIGHT, WIDTH, build_cube, build_region
from long_cube import analysis, with_analyses
from pyproj import Transformer
from zone_fakes import CRS, RES, X0, Y1

from eco_index.analysis.class_share import class_share
from eco_index.analysis.end_members import CoverMean, Group, end_member_part, grouped_part
from eco_index.analysis.gaps import cells_of, gap_error
from eco_index.analysis.uncertainty import combine
from eco_index.assessment import assess
from eco_index.cover import table_path
from eco_index.indices.endmembers import EndMembers, Pair
from eco_index.indices.vegetation import stored_fvc
from eco_index.methods import load_method
from eco_index.period import Period
from eco_index.report.render import render, visible_text
from eco_index.report.tables import detail_table, groups_of
from eco_index.report.text import Words
from eco_index.summary import Summary, read_summary

METHOD = load_method("uncertainty")
SOIL, VEG = 0.15, 0.9
TRUE_SOIL, TRUE_VEG = 0.13, 0.92  # what the ground has; inside the declared ranges
WEST, EAST = np.s_[:, :40], np.s_[:, 40:]


def field(year: int) -> np.ndarray:
    """NDVI with structure in space, the same everywhere plus a rise of 0.02 in 2025."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(7).normal(0, 0.03, (HEIGHT, WIDTH))
    ndvi = 0.5 + 0.2 * np.sin(x / 9) * np.cos(y / 7) + noise + 0.02 * (year - 2024)
    return np.clip(ndvi, -1, 1)


def clouds(year: int) -> np.ndarray:
    """Round clouds, more of them in the east."""
    rng, gap = np.random.default_rng(year), np.zeros((HEIGHT, WIDTH), bool)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for _ in range(5):
        gap |= (y - rng.integers(HEIGHT)) ** 2 + (x - rng.integers(20, WIDTH)) ** 2 < 25
    return gap


def truth_land(year: int) -> np.ndarray:
    land = np.full((HEIGHT, WIDTH), 32, np.uint8)
    land[8:40, 10:56] = 21
    return land


def arrays(year: int, clouds=clouds) -> dict[str, np.ndarray]:
    """The map calls every ninth forest pixel grassland, and has holes under the clouds."""
    ndvi = np.round(1e4 * field(year)).astype(np.int16)
    ndvi[clouds(year)] = -32768
    land = truth_land(year)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    land[(land == 21) & ((y * WIDTH + x) % 9 == 0)] = 32
    forest = (land == 21).astype(np.uint8)
    land[clouds(year)], forest[clouds(year)] = 0, 255
    clear = np.where(clouds(year), 0, 6).astype(np.uint16)
    return {
        "ndvi_max": ndvi, "ndvi_mean": ndvi, "fvc": stored_fvc(ndvi, SOIL, VEG), "landcover": land,
        "forest": forest, "clear_count": clear,
        "valid_months": np.where(clear > 0, 4, 0).astype(np.uint8),
    }  # fmt: skip


def write_samples(folder: Path, of: tuple[int, ...] = (21, 32)) -> None:
    """Every eleventh pixel, with the true class."""
    to_lonlat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    with (folder / "samples_2025.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "lon", "lat", "class"])
        for k in range(0, HEIGHT * WIDTH, 11):
            row, column = divmod(k, WIDTH)
            lon, lat = to_lonlat.transform(X0 + (column + 0.5) * RES, Y1 - (row + 0.5) * RES)
            code = int(truth_land(2025)[row, column])
            if code in of:
                writer.writerow([f"S{k}", lon, lat, code])


def region_in(
    folder: Path, tile: int = 16, samples: bool = True, data=None, arrays_of=arrays, **more
):
    extra = {
        "fvc": {
            "choice": "fixed", "ndvi_soil": SOIL, "ndvi_veg": VEG, "evidence": "placeholder",
            "source": "test",
        },
        "targets": "demo_2025",
    }  # fmt: skip
    data = dict(data or {})
    if samples:
        columns = {"x": "lon", "y": "lat"}
        extra["ground_truth"] = {"samples": "map_samples", "sample_columns": columns}
        data["map_samples"] = {"access": {"type": "table", "path": "samples_{year}.csv"}}
    region = build_region(folder, tile=tile, extra=extra | more, more_datasets=data)
    write_samples(folder)
    return region, build_cube(region, ("2024", "2025"), arrays_of)


def run(made, output: Path, name: str = "whole_region", **asked) -> Summary:
    region, view = made
    programme = with_analyses(region, name, **({"intervals": True} | asked))
    return read_summary(assess(region, programme, Period(2025), view, output))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return region_in(tmp_path_factory.mktemp("intervals"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def summary(made, folder):
    return run(made, folder, targets=True)


def row(summary: Summary, zone: str, indicator: str, variable: str = ""):
    return next(
        r for r in summary.rows if (r.zone, r.indicator, r.variable) == (zone, indicator, variable)
    )


def table(summary: Summary) -> dict[str, tuple]:
    return {x.head.en: x.cells for x in analysis(summary, "intervals").tables[0].lines}


ZONES = [("z0", "zone 0", WEST), ("z1", "zone 1", EAST), ("_all", "all together", np.s_[:, :])]


@pytest.mark.parametrize(("zone", "name", "part"), ZONES)
def test_the_truth_lies_in_the_intervals(summary, zone, name, part):
    cover = np.clip((field(2025)[part] - TRUE_SOIL) / (TRUE_VEG - TRUE_SOIL), 0, 1)
    held = row(summary, zone, "fvc_mean")
    assert held.interval_kind == "confidence"
    assert held.interval[0] < 100 * cover.mean() < held.interval[1]
    before = np.clip((field(2024)[part] - TRUE_SOIL) / (TRUE_VEG - TRUE_SOIL), 0, 1)
    change = table(summary)[
        f"change of mean vegetation cover (pixels seen in both periods): {name}"
    ]
    assert change[1] < 100 * (cover.mean() - before.mean()) < change[2]
    share = 100 * (truth_land(2025)[part] == 21).mean()
    forest = row(summary, zone, "forest_coverage")
    assert forest.interval[0] < share < forest.interval[1]
    if zone == "z0":  # few clouds: what the map says is a ninth too low, and the interval knows
        assert forest.value < share - 3 and forest.value < forest.interval[0]
    land = row(summary, zone, "landcover_share", "21")
    assert land.interval_kind == "confidence" and land.interval[0] < share < land.interval[1]


@pytest.mark.parametrize(("zone", "name", "part"), ZONES)
def test_intervals_equal_direct_calls(summary, zone, name, part):
    now, before = arrays(2025), arrays(2024)
    ok = now["fvc"][part] != 65535
    stored = np.where(ok, now["fvc"][part], np.nan)
    inside = np.ones(ok.shape, bool)
    ndvi = CoverMean.of_pixels(now["ndvi_max"][part][ok] * 1e-4)
    parts = [
        gap_error(cells_of(stored, inside), (0, 1e4)).part(0.01),
        end_member_part(ndvi, SOIL, VEG, METHOD, scale=100),
    ]
    value = float(np.nanmean(stored)) / 100
    wanted = combine(value, parts, METHOD, unit="%", limits=(0, 100))
    assert row(summary, zone, "fvc_mean").interval == pytest.approx(wanted.pair)
    both = ok & (before["fvc"][part] != 65535)
    moved = np.where(both, now["fvc"][part] - before["fvc"][part].astype(float), np.nan)
    parts = [
        gap_error(cells_of(moved, inside), (-1e4, 1e4)).part(0.01),
        end_member_part(
            CoverMean.of_pixels(now["ndvi_max"][part][both] * 1e-4), SOIL, VEG, METHOD, scale=100,
            before=CoverMean.of_pixels(before["ndvi_max"][part][both] * 1e-4),
        ),
    ]  # fmt: skip
    wanted = combine(float(np.nanmean(moved)) / 100, parts, METHOD, unit="pp", limits=(-100, 100))
    head = f"change of mean vegetation cover (pixels seen in both periods): {name}"
    value, low, high, *_ = table(summary)[head]
    assert (value, low, high) == pytest.approx((wanted.value, *wanted.pair))


def test_the_share_of_forest_equals_a_direct_call(summary):
    now = arrays(2025)["forest"]
    at = np.arange(0, HEIGHT * WIDTH, 11)
    mapped, true = now.ravel()[at], (truth_land(2025).ravel()[at] == 21).astype(int)
    seen = mapped != 255
    counts = np.zeros((2, 2), int)
    np.add.at(counts, (mapped[seen], true[seen]), 1)
    forest = np.where(now == 255, np.nan, now.astype(float))
    areas = np.array([(now == 0).sum(), (now == 1).sum()], float)
    parts = [
        gap_error(cells_of(forest, np.ones(now.shape, bool)), (0, 1)).part(100),
        class_share(counts, areas, [1]).part(100),
    ]
    value = 100 * float(np.nanmean(forest))
    wanted = combine(value, parts, METHOD, unit="%", limits=(0, 100))
    assert row(summary, "_all", "forest_coverage").interval == pytest.approx(wanted.pair)


def test_tiling_does_not_matter(summary, tmp_path):
    other = run(region_in(tmp_path / "r", tile=48), tmp_path / "o", targets=True)
    assert [(r.trace, r.interval, r.interval_kind) for r in other.rows] == [
        (r.trace, r.interval, r.interval_kind) for r in summary.rows
    ]
    assert analysis(other, "intervals") == analysis(summary, "intervals")


def test_without_samples_shares_keep_their_bounds(tmp_path):
    found = run(region_in(tmp_path / "r", samples=False), tmp_path / "o")
    assert row(found, "z0", "fvc_mean").interval_kind == "confidence"
    forest = row(found, "z0", "forest_coverage")
    assert forest.interval_kind == "bounds" and forest.interval is not None
    assert any("no reference samples" in n.en for n in analysis(found, "intervals").notes)
    assert not any("forest" in head for head in table(found))


def test_a_class_without_samples_has_no_interval(made, tmp_path):
    folder = made[0].config.path.parent
    write_samples(folder, of=(32,))
    try:
        found = run(made, tmp_path)
    finally:
        write_samples(folder)
    # Samples of grassland alone still meet both classes of the map here; forest has none of them.
    assert row(found, "z0", "forest_coverage").interval_kind == "bounds"
    assert any("no interval" in n.en for n in analysis(found, "intervals").notes)


def test_pairs_from_percentiles_are_off_around_themselves(tmp_path):
    """A pair outside the declared ranges: half their width is what it may be off."""
    soil, veg = 0.25, 0.8
    fvc = {"choice": "percentile", "base": [2024], "by_class": False}
    made = region_in(tmp_path / "r", fvc=fvc)
    table_path(made[0]).parent.mkdir(parents=True, exist_ok=True)
    fitted = EndMembers(Pair(soil, veg, 3000, "all|all"), {}, base=("2024",))
    table_path(made[0]).write_text(fitted.to_json(), encoding="utf-8")
    found = run(made, tmp_path / "o")
    now = arrays(2025)
    ok = now["fvc"] != 65535
    cover = CoverMean.of_pixels(now["ndvi_max"][ok] * 1e-4)
    parts = [
        gap_error(cells_of(np.where(ok, now["fvc"], np.nan), ok | True), (0, 1e4)).part(0.01),
        grouped_part([Group(cover, soil, veg)], METHOD, scale=100),
    ]
    value = float(now["fvc"][ok].mean()) / 100
    wanted = combine(value, parts, METHOD, unit="%", limits=(0, 100))
    assert row(found, "_all", "fvc_mean").interval == pytest.approx(wanted.pair)


def test_with_end_members_from_maps_the_row_keeps_its_bounds(tmp_path):
    maps = {k: {"access": {"type": "raster", "path": f"{k}.tif"}} for k in ("soil", "veg")}
    fvc = {
        "choice": "map", "soil_map": "soil", "veg_map": "veg", "evidence": "placeholder",
        "source": "test",
    }  # fmt: skip
    found = run(region_in(tmp_path / "r", data=maps, fvc=fvc), tmp_path / "o")
    assert row(found, "z0", "fvc_mean").interval_kind == "bounds"
    document = analysis(found, "intervals")
    assert any("leaves out choice of end members" in n.en for n in document.notes)


def test_targets_use_the_interval(summary):
    found = analysis(summary, "targets")
    cells = next(x.cells for x in found.tables[0].lines if x.head.en == "forest coverage")
    interval = row(summary, "_all", "forest_coverage").interval
    assert (cells[2], cells[3]) == interval
    assert "no interval" not in cells[-1].en and "provisional" in cells[-1].en


def test_bounds_and_intervals_have_their_names_in_both_languages(summary):
    for language, interval, bounds in (
        ("zh", "95%区间", "观测缺失界限"),
        ("en", "95 % interval", "Bounds for missing data"),
    ):
        groups = {g.indicator: g for g in groups_of(summary)}
        words = Words(language)
        assert interval in detail_table(groups["fvc_mean"], summary, words).columns
        assert bounds not in detail_table(groups["fvc_mean"], summary, words).columns
        plain = detail_table(groups["ndvi_mean"], summary, words).columns
        assert bounds in plain and interval not in plain


def test_the_report_shows_them(summary, folder):
    pages = {p.name: p for p in render(folder / "summary.json")}
    low, high = row(summary, "z0", "fvc_mean").interval
    for name, words in (
        ("report.zh.html", ("主要结果的不确定区间", "带端帽的横线为95%区间", "95%区间下限")),
        ("report.en.html", ("Intervals of headline numbers", "Lines with caps are 95 %")),
    ):
        text = visible_text(pages[name].read_text(encoding="utf-8"))
        assert all(w in text for w in words)
        assert f"{low:.2f}–{high:.2f}" in text
    with pages["table.csv"].open(encoding="utf-8-sig", newline="") as file:
        kinds = {r["trace"]: r["interval_kind"] for r in csv.DictReader(file)}
    assert kinds["whole_region/2025/z0/fvc_mean"] == "confidence"
    assert kinds["whole_region/2025/z0/ndvi_mean"] == "bounds"


def test_no_part_is_silent_and_the_document_is_provisional(summary):
    found = analysis(summary, "intervals")
    assert found.provisional and found.evidence == "placeholder" and len(found.rules) == 4
    assert any("errs alike everywhere" in n.en for n in found.notes)
