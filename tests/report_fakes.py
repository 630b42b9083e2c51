"""A made-up but complete summary with maps and zones, for tests of reports and releases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine

from eco_index import summary as S
from eco_index.products import LUCC
from eco_index.yamlio import Text

ALBERS = "+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +ellps=GRS80 +units=m +no_defs"
SIZE, PIXEL, ORIGIN = 200, 200.0, (520_000.0, 4_700_000.0)
NAMES = [("北川县", "Beichuan"), ("南岭县", "Nanling"), ("东胜旗", "Dongsheng Banner")]
COLOURS = {12: "#e9c46a", 21: "#1b6b3a", 31: "#8fbf6b", 42: "#2b7bba", 51: "#b5472f", 61: "#f2e3b3"}
VALID = Text(zh="区域内有有效值的像元面积", en="area of the zone's pixels with a value")


def _zone_geometries(n: int) -> list[shapely.Polygon]:
    side = SIZE * PIXEL
    x0, y0 = ORIGIN[0] + side * 0.06, ORIGIN[1] - side * 0.94
    step = side * 0.88 / n
    cuts = [shapely.box(x0 + i * step, y0, x0 + (i + 1) * step, y0 + side * 0.88) for i in range(n)]
    angle = shapely.affinity.rotate if hasattr(shapely, "affinity") else None
    return [angle(c, 0) for c in cuts] if angle else cuts


def _write(path: Path, data: np.ndarray, nodata: float, scale: float = 1.0) -> None:
    transform = Affine(PIXEL, 0, ORIGIN[0], 0, -PIXEL, ORIGIN[1])
    with rasterio.open(
        path, "w", driver="GTiff", width=SIZE, height=SIZE, count=1, dtype=data.dtype,
        crs=ALBERS, transform=transform, nodata=nodata, compress="deflate",
    ) as target:  # fmt: skip
        target.write(data, 1)
        if scale != 1:
            target.scales = (scale,)


def _fields() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    yy, xx = np.mgrid[:SIZE, :SIZE] / SIZE
    fvc = np.clip(0.45 + 0.3 * np.sin(6 * xx) * np.cos(5 * yy) + 0.2 * yy, 0, 1)
    landcover = np.select(
        [fvc > 0.75, fvc > 0.5, fvc > 0.38, fvc > 0.25], [21, 31, 12, 61], 42
    ).astype(np.uint8)
    landcover[60:70, 100:112] = 51
    stored = np.round(fvc * 1e4).astype(np.uint16)
    stored[150:175, 20:60] = 65535
    change = np.round(2000 * np.sin(8 * xx + 3 * yy)).astype(np.int16)
    return stored, landcover, change


def make_summary(
    folder: Path,
    names: list[tuple[str, str]] | None = None,
    *,
    simulated: bool = True,
    missing_zone: bool = True,
) -> Path:
    """Write summary.json, zones.geojson and maps below `folder`; return the summary's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "maps").mkdir(exist_ok=True)
    names = names or NAMES
    zones = tuple(
        S.Zone(id=f"15010{i}", name=Text(zh=zh, en=en), area_km2=413.2 + i, pixels_km2=413.16 + i)
        for i, (zh, en) in enumerate(names)
    )
    features = [
        {"type": "Feature", "properties": {"id": z.id}, "geometry": shapely.geometry.mapping(g)}
        for z, g in zip(zones, _zone_geometries(len(zones)), strict=True)
    ]
    (folder / "zones.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8"
    )
    stored, landcover, change = _fields()
    _write(folder / "maps/fvc.tif", stored, 65535, 1e-4)
    _write(folder / "maps/landcover.tif", landcover, 0)
    _write(folder / "maps/forest.tif", (landcover == 21).astype(np.uint8), 255)
    _write(folder / "maps/fvc_change.tif", change, -32768, 1e-4)
    _write(folder / "maps/clear_count.tif", (stored % 19).astype(np.uint16), 65535)
    summary = S.Summary(
        region=S.RegionInfo(id="demo", name=Text(zh="模拟演示区", en="Simulated region")),
        programme=S.Programme(
            id="key_counties",
            name=Text(zh="县域重点生态功能区", en="Key ecological-function counties"),
            layer="counties",
            layer_title=Text(zh="旗县", en="Counties"),
            note=Text(zh="每年评估一次。", en="Assessed once a year."),
        ),
        period=S.PeriodInfo(
            id="2025",
            start="2025-01-01",
            end="2025-12-31",
            months=tuple(f"2025-{m:02d}" for m in range(3, 10)),
            compared_with="2024",
        ),
        status="final",
        provisional=True,
        simulated=simulated,
        zones=zones,
        zones_file="zones.geojson",
        rows=tuple(_rows(zones, missing_zone)),
        indices=tuple(_indices(zones)),
        analyses=_analyses(zones),
        gate=S.Gate(passed=True),
        maps=_maps(),
        quality=tuple(
            S.MonthQuality(
                month=f"2025-{m:02d}",
                scenes=4 + m % 3,
                failed_scenes=int(m == 6),
                observed_share=None if m == 3 else 0.6 + 0.05 * m - 0.02 * (m % 3),
                mean_clear_count=None if m == 3 else 1.5 + m / 5,
            )
            for m in range(3, 10)
        ),
        failures=(
            S.Failure(
                month="2025-06", dataset="demo_landsat_c2l2", scene="LC08_L2SP_127032_20250611",
                asset="red", reason="block offset 812331 lies outside the file (700000 bytes)",
            ),
        ),
        inputs=(
            S.InputDataset(
                id="demo_landsat_c2l2",
                title=Text(zh="模拟陆地卫星二级产品", en="Simulated Landsat Level-2"),
                source="eco-index simulation", licence="CC0-1.0", scenes=31, failed_scenes=1,
            ),
            S.InputDataset(
                id="demo_landcover", title=Text(zh="模拟土地覆盖", en="Simulated land cover"),
                source="eco-index simulation", licence="CC0-1.0",
            ),
        ),
        methods=_methods(),
        notes=(Text(zh="草原综合植被盖度为遥感替代值。", en="Grassland cover is a map proxy."),),
        provenance=S.Provenance(
            snapshot="ZX2K5WQ0T7E1VN3YB8RM", tag="2025-r1", previous_snapshot="9G4H2A7C1D3E",
            input_digest="sha256:6f1c…d2", code_version="0.1.0+g7a87943", schema_version=1,
            grid={"crs": ALBERS, "resolution": 30.0, "bounds": [520000, 4660000, 560000, 4700000]},
            parameters={"fvc": {"ndvi_soil": 0.05, "ndvi_veg": 0.86}, "forest_min_area_ha": 0.067},
        ),
    )  # fmt: skip
    path = folder / "summary.json"
    S.write_summary(summary, path)
    return path


def _rows(zones: tuple[S.Zone, ...], missing_zone: bool) -> list[S.Row]:
    headline = [
        ("fvc_mean", "平均植被覆盖度", "mean fractional vegetation cover", "%", 45.2, 1.4),
        ("forest_coverage", "森林覆盖率（地图口径）", "forest coverage (map only)", "%", 23.1, 0.4),
        ("ndvi_mean", "生长季平均NDVI", "mean growing-season NDVI", "1", 0.43, 0.011),
        ("clear_observation_share", "有晴空观测的面积比例",
         "share of area with a clear observation", "%", 97.2, None),
        ("built_gain_area", "新增建设用地面积", "area of new built-up land", "km2", 1.84, None),
    ]  # fmt: skip
    rows = []
    for indicator, zh, en, unit, value, change in headline:
        for i, zone in enumerate(zones):
            gone = missing_zone and i == 2 and indicator == "fvc_mean"
            sign = -1 if i == 1 else 1
            now = None if gone else round(value * (1 + 0.11 * i), 4)
            delta = None if change is None or gone else sign * change
            rows.append(
                S.Row(
                    zone=zone.id, indicator=indicator, variable="", title=Text(zh=zh, en=en),
                    value=now, unit=unit, denominator=VALID, denominator_km2=401.3 - i,
                    valid_km2=0.0 if gone else 401.3 - i, no_data_km2=11.86 + 2 * i,
                    previous=None if delta is None or now is None else now - delta,
                    change=delta, interval=None, method="fvc_dimidiate@1", evidence="secondary",
                    provisional=indicator == "fvc_mean",
                    trace=f"key_counties/2025/{zone.id}/{indicator}",
                )
            )  # fmt: skip
    shares = {12: 18.0, 21: 23.0, 31: 37.5, 42: 6.5, 51: 5.0, 61: 10.0, 44: 0.0}
    for i, zone in enumerate(zones):
        for code, share in shares.items():
            title = LUCC[code][1]
            value = share + (i if code == 12 else -i if code == 31 else 0)
            rows.append(
                S.Row(
                    zone=zone.id, indicator="landcover_share", variable=str(code),
                    title=Text(zh=f"土地利用/覆盖构成比例：{title.zh}",
                               en=f"land cover composition: {title.en}"),
                    value=value, unit="%", denominator=VALID, denominator_km2=413.16,
                    valid_km2=413.16, no_data_km2=0.0, previous=value - (0.3 if code == 51 else 0),
                    change=0.3 if code == 51 else 0.0, method="HJ 1171-2021", evidence="primary",
                    provisional=False, trace=f"key_counties/2025/{zone.id}/landcover_share/{code}",
                )
            )  # fmt: skip
    return rows


def _indices(zones: tuple[S.Zone, ...]) -> list[S.IndexValue]:
    found = []
    for i, zone in enumerate(zones):
        last = i == len(zones) - 1

        def sub(id_: str, zh: str, en: str, value: float | None, weight: float, **more: object):
            raw = more.pop("raw", value)
            return S.SubIndex(
                id=id_, title=Text(zh=zh, en=en), raw=raw, value=value, weight=weight, **more
            )

        subs = (
            sub("biological", "生物丰度指数", "biological richness", 52.4 + i, 0.35),
            sub("habitat", "生境质量", "habitat quality", 52.4 + i, 0.5, parent="biological"),
            sub("vegetation", "植被覆盖指数", "vegetation cover", 61.0 - i, 0.25),
            sub("water", "水网密度指数", "water-network density", 100.0, 0.15, raw=131.7),
            sub("stress", "土地胁迫指数", "land stress", 11.2, 0.15, provisional=True),
            sub("pollution", "污染负荷指数", "pollution load", None if last else 7.7, 0.10,
                missing=("cod_t", "nh3n_t") if last else ()),
        )  # fmt: skip
        found.append(
            S.IndexValue(
                unit=zone.id, name=zone.name, method="hj192_2015@1",
                title=Text(zh="生态环境状况指数（EI）", en="Ecological status index (EI)"),
                value=None if last else 62.37 + i, complete=not last, provisional=True,
                grade="" if last else "good",
                grade_title=Text(zh="", en="") if last else Text(zh="良", en="good"),
                previous=None if last else 60.9, change=None if last else 1.47 + i,
                change_title=Text(zh="", en="") if last else Text(zh="略微变好", en="better"),
                sub_indices=subs,
                inputs={"area_km2": 413.2, "ndvi_mean": 0.4312, "cod_t": None if last else 812.0},
                options={"water_correction": "as sourced", "precipitation": "mm"},
                trace=f"key_counties/2025/{zone.id}/hj192_2015",
            )
        )  # fmt: skip
    return found


def _analyses(zones: tuple[S.Zone, ...]) -> tuple[S.Analysis, ...]:
    """A trend: numbers, words, and a unit that could not be tested."""
    lines = tuple(
        S.AnalysisLine(
            head=z.name,
            cells=(0.31 * k, None, Text(zh="年份不足", en="too few years"))
            if k == 2
            else (0.31 * k - 0.2, 0.04, Text(zh="显著上升", en="rising")),
        )
        for k, z in enumerate(zones)
    )
    return (
        S.Analysis(
            id="trend", title=Text(zh="植被覆盖度趋势", en="trend of vegetation cover"),
            method="theil_sen_mann_kendall@1", evidence="primary", provisional=False,
            rules=(Text(zh="双侧检验", en="two-sided test"),),
            findings=(Text(zh="两个单元趋势显著。", en="Two units have a significant trend."),),
            tables=(
                S.AnalysisTable(
                    caption=Text(zh="各单元趋势", en="trend by unit"),
                    corner=Text(zh="单元", en="Unit"),
                    columns=(
                        S.AnalysisColumn(title=Text(zh="斜率", en="slope"), unit="%/a"),
                        S.AnalysisColumn(title=Text(zh="p值", en="p"), unit="1"),
                        S.AnalysisColumn(title=Text(zh="结论", en="verdict")),
                    ),
                    lines=lines,
                ),
            ),
            notes=(Text(zh="缺测见数据质量", en="gaps: see data quality"),),
            trace="key_counties/2025/trend",
        ),
    )  # fmt: skip


def _maps() -> tuple[S.MapLayer, ...]:
    classes = tuple(
        S.MapClass(code=c, title=LUCC[c][1], colour=colour) for c, colour in COLOURS.items()
    )
    return (
        S.MapLayer(
            id="fvc", title=Text(zh="植被覆盖度", en="Fractional vegetation cover"),
            path="maps/fvc.tif", kind="continuous", limits=(0, 1),
        ),
        S.MapLayer(
            id="landcover", title=Text(zh="土地利用/覆盖", en="Land use / land cover"),
            path="maps/landcover.tif", kind="classes", classes=classes,
        ),
        S.MapLayer(
            id="forest", title=Text(zh="森林", en="Forest"), path="maps/forest.tif", kind="classes",
            classes=(
                S.MapClass(code=0, title=Text(zh="非森林", en="not forest"), colour="#f3f1ea"),
                S.MapClass(code=1, title=Text(zh="森林", en="forest"), colour="#1b6b3a"),
            ),
        ),
        S.MapLayer(
            id="fvc_change", title=Text(zh="植被覆盖度变化", en="Change of vegetation cover"),
            path="maps/fvc_change.tif", kind="continuous", limits=(-0.3, 0.3), palette="change",
        ),
        S.MapLayer(
            id="clear_count", title=Text(zh="晴空观测次数", en="Clear observations"),
            path="maps/clear_count.tif", kind="continuous", palette="count",
        ),
    )  # fmt: skip


def _methods() -> tuple[S.MethodUse, ...]:
    return (
        S.MethodUse(
            id="fvc_dimidiate", version="1",
            title=Text(zh="像元二分模型植被覆盖度", en="Vegetation cover, dimidiate pixel model"),
            reference="HJ 1172-2021, eq. B.4", provisional=True,
            numbers=(
                S.MethodNumber(key="ndvi_soil", value=0.05, unit="1", evidence="placeholder",
                               source="simulation"),
                S.MethodNumber(key="ndvi_veg", value=0.86, unit="1", evidence="secondary",
                               source="ChinaXiv-202103.00063V1"),
            ),
        ),
        S.MethodUse(
            id="hj192_2015", version="1",
            title=Text(zh="生态环境状况评价技术规范", en="Criterion for ecological status"),
            reference="HJ 192-2015", provisional=True,
            options={
                "water_correction": S.MethodOption(
                    title=Text(zh="水资源量修正", en="correction of water resources"),
                    choices={"as sourced": Text(zh="按来源", en="as in the source")},
                ),
                "precipitation": S.MethodOption(
                    title=Text(zh="降水量单位", en="unit of precipitation"),
                    choices={"mm": Text(zh="毫米", en="millimetres")},
                    default="mm",
                ),
            },
            numbers=(
                S.MethodNumber(key="habitat.coefficient", value=511.2642131067, unit="1",
                               evidence="secondary", source="three independent implementations"),
                S.MethodNumber(key="weight.biological", value=0.35, unit="1", evidence="primary",
                               source="HJ 192-2015, 6.1"),
            ),
            inputs={
                "cod_t": S.MethodInput(title=Text(zh="化学需氧量排放量", en="COD load"), unit="t"),
                "area_km2": S.MethodInput(title=Text(zh="单元面积", en="unit area"), unit="km2"),
            },
        ),
    )  # fmt: skip
