"""Published results of the official indices that the code has to agree with.

Henan 2024: 86702007.net/news/359170. China: 光明日报 2022-05-27 (2021), kuaxie.cn itemid=2188
(2022), zzsj.com.cn/mv/apto679115.html (2023), 86702007.net/news/359170 (2024). Lanzhou 2022:
app.myzaker.com 63b6bfda. Water conservation 2010: Gong et al. 2017, Acta Ecologica Sinica
37(7):2455. EI of Henan's cities (slopes, R2, change): test_trends_real.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import DATA
from unit_inputs import unit

from eco_index.indicators import (
    change_class,
    class_table,
    evaluate,
    grade,
    index_command_data,
    index_text,
    region_mean,
)
from eco_index.indicators.grassland import GrasslandCover, region_cover
from eco_index.indices.water import water_volume
from eco_index.methods import load_method

CHECKS = DATA / "checks"
EQI = load_method("eqi_2021")
CLASSES = [c.id for c in EQI.file.classes]
LOWER = {c.id: EQI.number(c.lower).required if c.lower else 0.0 for c in EQI.file.classes}
UPPER = dict(zip(CLASSES, [100.0, *(LOWER[c] for c in CLASSES)], strict=False))

#: Henan 2024 by group: lowest and highest EQI, units of class 1 to 5.
HENAN = {
    "city_district": (32.73, 57.38, (0, 2, 33, 15, 0)),
    "key_function": (46.93, 84.81, (4, 7, 1, 0, 0)),
    "other": (38.44, 73.88, (2, 21, 70, 3, 0)),
}
HENAN_UNITS = (6, 30, 104, 18, 0)
HENAN_AREA = (10.31, 32.70, 54.42, 2.57, 0.0)


def henan() -> list[dict]:
    """Return 158 units: the extremes as published, the others within their class and group."""
    units: list[dict] = []
    for group, (low, high, counts) in HENAN.items():
        for name, n in zip(CLASSES, counts, strict=True):
            bottom, top = max(LOWER[name], low), min(UPPER[name] - 1e-6, high)
            values = np.linspace(bottom, top, n) if n > 1 else [low if low >= bottom else high]
            total = dict(zip(CLASSES, HENAN_UNITS, strict=True))[name]
            area = dict(zip(CLASSES, HENAN_AREA, strict=True))[name] / total if n else 0.0
            units += [{"group": group, "value": float(v), "area_km2": area} for v in values[:n]]
    return [u | {"grade": grade(EQI, u["value"]).id} for u in units]


@pytest.mark.parametrize("group", sorted(HENAN))
def test_henan_extremes_fall_into_the_outermost_classes_published(group: str) -> None:
    low, high, counts = HENAN[group]
    present = [name for name, n in zip(CLASSES, counts, strict=True) if n]
    assert grade(EQI, high).id == present[0]
    assert grade(EQI, low).id == present[-1]


def test_henan_counts_and_areas_close() -> None:
    table = class_table(EQI, henan())
    whole = [r for r in table if r["group"] == "all"]
    assert [r["units"] for r in whole] == list(HENAN_UNITS)
    assert sum(r["units"] for r in whole) == 158
    assert [r["area_share"] for r in whole] == pytest.approx(list(HENAN_AREA), abs=1e-9)
    assert sum(r["area_share"] for r in whole) == pytest.approx(100)
    for group, (_, _, counts) in HENAN.items():
        own = [r["units"] for r in table if r["group"] == group]
        assert own == list(counts), group


def mean_of(values: list[float], areas: list[float]) -> float:
    """Return the index of a region from the indices of its units, by the code."""
    one = evaluate(EQI, unit(), unit_set=[unit()])
    parts = [
        replace(one, value=v, inputs={"area_km2": a})
        for v, a in zip(values, areas, strict=True)
        if a
    ]
    found = region_mean(EQI, parts).value
    assert found is not None
    return found


def test_the_value_of_henan_lies_within_what_its_class_areas_allow() -> None:
    low = [max(LOWER[c], 32.73) for c in CLASSES]
    high = [min(UPPER[c], 84.81) for c in CLASSES]
    assert mean_of(low, list(HENAN_AREA)) < 54.76 < mean_of(high, list(HENAN_AREA))
    assert grade(EQI, 54.76).title.zh == "三类"


@pytest.mark.parametrize(
    ("value", "areas"),
    [
        # What is not published of the area may lie in the classes that are left.
        (59.77, {"class_1": 27.7, "class_2": 32.1, "class_5": 0.8}),
        (59.6, {"class_1": 27.8, "class_2": 31.5, "class_3": 30.9}),
    ],
)
def test_the_value_of_china_lies_within_what_its_class_areas_allow(value, areas) -> None:
    rest = 100 - sum(areas.values())
    free = [c for c in CLASSES if c not in areas]
    low = [LOWER[c] for c in areas] + [LOWER[free[-1]]]
    high = [UPPER[c] for c in areas] + [UPPER[free[0]]]
    shares = [*areas.values(), rest]
    assert mean_of(low, shares) < value < mean_of(high, shares)
    assert grade(EQI, value).title.zh == "二类"


def test_china_2021_to_2024_stays_in_class_2_without_marked_change() -> None:
    series = [59.77, 59.6, 59.6, 59.95]
    assert {grade(EQI, v).title.zh for v in series} == {"二类"}
    changes = [change_class(EQI, a, b).zh for a, b in pairwise(series)]
    assert changes == ["基本稳定"] * 3


def test_provinces_and_cities_with_a_published_class() -> None:
    found = {v: grade(EQI, v).title.zh for v in (74.88, 75.00, 62.7, 45.64)}
    assert found == {74.88: "一类", 75.00: "一类", 62.7: "二类", 45.64: "三类"}
    # Inner Mongolia 2021: 45.64 is 一般 as EI and 三类 as EQI; the release does not say which.
    assert grade(load_method("hj192_2015"), 45.64).title.zh == "一般"


def test_henan_2000_to_2014_in_classes_of_the_standards() -> None:
    path = CHECKS / "henan_ei_trend.csv"
    if not path.exists():
        pytest.skip("the shared folder with published tables is not here")
    with path.open(encoding="utf-8", newline="") as source:
        rows = [r for r in csv.DictReader(source) if r["pub_dEI"]]
    old = load_method("hjt192_2006")
    changes = {r["city"]: change_class(old, 0, float(r["pub_dEI"])).zh for r in rows}
    assert changes["濮阳"] == "显著变好"  # +11.00
    assert changes["安阳"] == "明显变好"  # +5.64
    assert changes["信阳"] == "明显变差"  # -6.35
    assert changes["洛阳"] == changes["南阳"] == "无明显变化"
    values = [float(r[k]) for r in rows for k in r if k.startswith("y20")]
    assert {grade(old, v).title.zh for v in values} == {"优", "良", "一般"}


def test_grassland_cover_of_lanzhou_lies_between_its_counties() -> None:
    counties = {"城关": 52.55, "七里河": 55.48, "西固": 50.82, "红古": 48.72, "永登": 56.32,
                "皋兰": 53.04, "榆中": 56.41}  # fmt: skip

    def city(most: str) -> float:
        areas = {c: 1e6 if c == most else 1e-6 for c in counties}
        covers = {c: GrasslandCover(v, areas[c], ()) for c, v in counties.items()}
        found = region_cover(covers).cover_percent
        assert found is not None
        return found

    assert city("红古") == pytest.approx(48.72)
    assert city("榆中") == pytest.approx(56.41)
    assert city("红古") < 54.94 < city("榆中")


def test_shares_of_water_conservation_in_china_2010() -> None:
    # 10^8 m3; what is left is wetland, cropland and others.
    published = {"forest": (7432.32, 60.80), "shrub": (1723.68, 14.10), "grass": (1912.54, 15.65)}
    total = 12224.33
    pixels = {"forest": 190, "shrub": 69, "grass": 280, "rest": 410}  # of 10^10 m2; any will do
    volume = {k: v for k, (v, _) in published.items()}
    volume["rest"] = total - sum(volume.values())
    depth = {k: np.full(pixels[k], v / pixels[k] * 10) for k, v in volume.items()}  # mm
    found = {k: float(water_volume(d, 1e10).sum()) for k, d in depth.items()}
    assert sum(found.values()) == pytest.approx(total * 1e8)
    for kind, (_, share) in published.items():
        assert 100 * found[kind] / sum(found.values()) == pytest.approx(share, abs=0.006)


# --- the table of classes ----------------------------------------------------------------------


@given(st.lists(st.tuples(st.one_of(st.none(), st.floats(0, 100)), st.floats(0.1, 1e5),
                          st.sampled_from(sorted(HENAN))), min_size=1, max_size=12))  # fmt: skip
def test_class_tables_add_up(rows) -> None:
    units = [
        {"grade": "" if v is None else grade(EQI, v).id, "area_km2": a, "group": g}
        for v, a, g in rows
    ]
    table = class_table(EQI, units)
    for group in {r["group"] for r in table}:
        own = [r for r in table if r["group"] == group]
        members = [u for u in units if group in ("all", u["group"])]
        assert sum(r["units"] for r in own) == len(members)
        assert sum(r["area_share"] for r in own) == pytest.approx(100)
    without = [r for r in table if r["class"] == "" and r["group"] == "all"]
    assert sum(r["units"] for r in without) == sum(v is None for v, _, _ in rows)


def test_a_unit_without_area_leaves_the_shares_open() -> None:
    units = [{"grade": "class_1", "area_km2": 5.0}, {"grade": "class_2", "area_km2": None}]
    table = class_table(EQI, units)
    assert [r["units"] for r in table[:2]] == [1, 1]
    assert all(r["area_share"] is None for r in table)
    assert class_table(load_method("hj192_2015_city"), units) == []


def test_eco_index_prints_the_classes(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    rows = [unit(unit_id="a", unit_group="key_function"),
            unit(unit_id="b", unit_group="other", area_km2=3000.0, area_33=3000.0),
            unit(unit_id="c", unit_group="other", ndvi_mean=None)]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    data = index_command_data("eqi_2021", path)
    assert {r["group"] for r in data["classes"]} == {"all", "key_function", "other"}
    text = index_text(data, "zh")
    assert "各类单元数" in text
    assert "未评价（不完整） 1 (20.00 %)" in text
    assert "国家重点生态功能区县域" in text
