"""Zone indicators: every row of the long table of an assessment, one record each."""

from __future__ import annotations

from itertools import pairwise

from eco_index.indicators.record import (
    BUILT,
    CROPLAND,
    GRASSLAND,
    NATURAL,
    SANDY,
    VALID_AREA,
    VALID_BOTH,
    VALID_GRASSLAND,
    WATER,
    WETLAND,
    ZONE_AREA,
    Statistic,
    ZoneIndicator,
)
from eco_index.products import LUCC
from eco_index.yamlio import Text

__all__ = ["INDICATORS", "ZoneIndicator"]

_INF = float("inf")
_LUCC_TITLES = {str(code): title for code, (_, title) in LUCC.items()}
_COMPOSITION = "HJ 1171-2021"
#: Cover classes of HJ 1173-2021, App. A (table of the cover factor C): <10, 10-30, ... >90 %.
FVC_BREAKS = (0.1, 0.3, 0.5, 0.7, 0.9)
#: A change of vegetation cover that is counted: 10 points (own rule, not official).
FVC_CHANGE = 0.10


def _bin_titles(breaks: tuple[float, ...]) -> dict[str, Text]:
    edges = [0, *(round(100 * b) for b in breaks), 100]
    return {
        f"b{i}": Text(zh=f"植被覆盖度 {low}–{high}%", en=f"vegetation cover {low}–{high} %")
        for i, (low, high) in enumerate(pairwise(edges))
    }


def _except(classes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(code for code in LUCC if code not in classes)


def _area(id_: str, zh: str, en: str, classes: tuple[int, ...]) -> ZoneIndicator:
    codes = ", ".join(str(c) for c in classes)
    return ZoneIndicator(
        id_,
        Text(zh=f"{zh}面积", en=f"{en} area"),
        "km2",
        (0, _INF),
        "landcover",
        "area",
        VALID_AREA,
        _COMPOSITION,
        "primary",
        Text(
            zh=f"土地覆盖图中{zh}（LUCC {codes}类）的面积",
            en=f"area of {en} (LUCC classes {codes}) on the land cover map",
        ),
        classes=classes,
        needs_landcover=True,
    )


def _transition(
    id_: str, zh: str, en: str, before: tuple[int, ...], after: tuple[int, ...]
) -> ZoneIndicator:
    return ZoneIndicator(
        id_,
        Text(zh=f"{zh}面积", en=f"area of {en}"),
        "km2",
        (0, _INF),
        "landcover",
        "transition_area",
        VALID_BOTH,
        _COMPOSITION,
        "primary",
        Text(
            zh=f"两期土地覆盖图逐像元比较得到的{zh}面积；仅计两期均有数据的像元",
            en=f"area of {en}, pixel by pixel between the two land cover maps; "
            "only pixels with data in both",
        ),
        from_classes=before,
        to_classes=after,
        change=True,
        needs_landcover=True,
    )


_LANDCOVER = (
    ZoneIndicator(
        "landcover_area",
        Text(zh="土地利用/覆盖面积", en="land cover area"),
        "km2",
        (0, _INF),
        "landcover",
        "area",
        VALID_AREA,
        _COMPOSITION,
        "primary",
        Text(zh="各土地覆盖类型的面积", en="area of each land cover class"),
        classes=tuple(LUCC),
        variables=_LUCC_TITLES,
        needs_landcover=True,
    ),
    ZoneIndicator(
        "landcover_share",
        Text(zh="土地利用/覆盖构成比例", en="land cover composition"),
        "%",
        (0, 100),
        "landcover",
        "share",
        VALID_AREA,
        _COMPOSITION,
        "primary",
        Text(
            zh="各土地覆盖类型面积占有数据面积的比例",
            en="share of each land cover class in the area with data",
        ),
        classes=tuple(LUCC),
        variables=_LUCC_TITLES,
        needs_landcover=True,
    ),
    _area("cropland_area", "耕地", "cropland", CROPLAND),
    _area("grassland_area", "草地", "grassland", GRASSLAND),
    _area("water_area", "水域", "open water", WATER),
    _area("wetland_area", "滩涂沼泽湿地", "flats and marsh", WETLAND),
    _area("built_area", "建设用地", "built-up land", BUILT),
    _area("sandy_area", "沙地", "sandy land", SANDY),
)

_TRANSITIONS = (
    _transition("built_gain_area", "新增建设用地", "new built-up land", _except(BUILT), BUILT),
    _transition("built_loss_area", "减少的建设用地", "lost built-up land", BUILT, _except(BUILT)),
    _transition("cropland_gain_area", "新增耕地", "new cropland", _except(CROPLAND), CROPLAND),
    _transition("water_loss_area", "减少的水域", "lost open water", WATER, _except(WATER)),
    _transition("water_gain_area", "新增水域", "new open water", _except(WATER), WATER),
    _transition(
        "wetland_loss_area", "减少的滩涂沼泽湿地", "lost wetland", WETLAND, _except(WETLAND)
    ),
    _transition(
        "grassland_loss_area", "减少的草地", "lost grassland", GRASSLAND, _except(GRASSLAND)
    ),
    _transition("sandy_gain_area", "新增沙地", "new sandy land", _except(SANDY), SANDY),
    _transition(
        "natural_conversion_area",
        "自然生态用地转为耕地或建设用地的",
        "natural land turned into cropland or built-up land",
        NATURAL,
        (*CROPLAND, *BUILT),
    ),
)

_FOREST_NOTE = Text(
    zh="森林掩膜（连片面积≥0.067公顷）面积占有数据面积的比例；仅由地图得出，"
    "不含国家特别规定的灌木林及四旁树，因此低于官方森林覆盖率",
    en="area of the forest mask (patches of at least 0.067 ha) in the area with data; from the map "
    "only: without specially defined shrubland and trees outside forest, so lower than the "
    "official rate",
)

_FOREST = (
    ZoneIndicator(
        "forest_coverage",
        Text(zh="森林覆盖率（地图口径）", en="forest coverage (map only)"),
        "%",
        (0, 100),
        "forest",
        "share",
        VALID_AREA,
        "forest_coverage",
        "secondary",
        _FOREST_NOTE,
        classes=(1,),
        needs_landcover=True,
    ),
    ZoneIndicator(
        "forest_area",
        Text(zh="森林面积（地图口径）", en="forest area (map only)"),
        "km2",
        (0, _INF),
        "forest",
        "area",
        VALID_AREA,
        "forest_coverage",
        "secondary",
        _FOREST_NOTE,
        classes=(1,),
        needs_landcover=True,
    ),
    *(
        ZoneIndicator(
            f"forest_{kind}_area",
            Text(zh=f"{zh}森林面积", en=f"area of forest {en}"),
            "km2",
            (0, _INF),
            "forest",
            "transition_area",
            VALID_BOTH,
            "forest_coverage",
            "secondary",
            Text(
                zh=f"两期森林掩膜逐像元比较得到的{zh}森林面积",
                en=f"area of forest {en}, pixel by pixel between the two forest masks",
            ),
            from_classes=(before,),
            to_classes=(after,),
            change=True,
            needs_landcover=True,
        )
        for kind, zh, en, before, after in (
            ("gain", "新增", "gained", 0, 1),
            ("loss", "减少", "lost", 1, 0),
        )
    ),
)

_FVC_KINDS: tuple[tuple[str, Statistic, str, str], ...] = (
    ("decrease", "decrease_area", "下降", "fell"),
    ("increase", "increase_area", "上升", "rose"),
)

_VEGETATION = (
    ZoneIndicator(
        "fvc_mean",
        Text(zh="平均植被覆盖度", en="mean fractional vegetation cover"),
        "%",
        (0, 100),
        "fvc",
        "mean",
        VALID_AREA,
        "fvc_dimidiate",
        "secondary",
        Text(
            zh="有效像元植被覆盖度的平均值（像元二分模型，以百分数表示）",
            en="mean vegetation cover of valid pixels (dimidiate pixel model), in percent",
        ),
        factor=100.0,
    ),
    ZoneIndicator(
        "fvc_class_share",
        Text(zh="植被覆盖度分级比例", en="share of vegetation-cover classes"),
        "%",
        (0, 100),
        "fvc",
        "bin_share",
        VALID_AREA,
        "fvc_dimidiate",
        "secondary",
        Text(
            zh="各植被覆盖度级别占有效面积的比例（分级界限同HJ 1173-2021附录A）",
            en="share of each cover class in the valid area (limits as in HJ 1173-2021, App. A)",
        ),
        breaks=FVC_BREAKS,
        variables=_bin_titles(FVC_BREAKS),
    ),
    ZoneIndicator(
        "ndvi_mean",
        Text(zh="生长季平均NDVI", en="mean growing-season NDVI"),
        "1",
        (-1, 1),
        "ndvi_mean",
        "mean",
        VALID_AREA,
        "NDVI = (NIR - R) / (NIR + R)",
        "secondary",
        Text(
            zh="生长季各月最大NDVI的均值在区域内的平均",
            en="zone mean of the seasonal mean of monthly maximum NDVI",
        ),
    ),
    ZoneIndicator(
        "grassland_cover_proxy",
        Text(
            zh="草地平均植被覆盖度（草原综合植被盖度的遥感替代值）",
            en="mean vegetation cover of grassland (map proxy of comprehensive grassland cover)",
        ),
        "%",
        (0, 100),
        "fvc",
        "mean_within",
        VALID_GRASSLAND,
        "grassland_cover",
        "recalled",
        Text(
            zh="草地像元植被覆盖度的平均值；官方指标由地面样方统计，此处仅为替代值",
            en="mean vegetation cover of grassland pixels; the official figure comes from ground "
            "plots, this is only a proxy",
        ),
        classes=GRASSLAND,
        factor=100.0,
        needs_landcover=True,
    ),
    *(
        ZoneIndicator(
            f"fvc_{kind}_area",
            Text(
                zh=f"植被覆盖度{zh}（≥10个百分点）面积",
                en=f"area where vegetation cover {en} by 10 percentage points or more",
            ),
            "km2",
            (0, _INF),
            "fvc",
            statistic,
            VALID_BOTH,
            "fvc_dimidiate",
            "secondary",
            Text(
                zh=f"两期植被覆盖度之差{zh}不小于0.10的像元面积；0.10为本项目的统计口径，非官方阈值",
                en=f"area of pixels whose vegetation cover {en} by at least 0.10; the 0.10 is this "
                "project's counting rule, not an official limit",
            ),
            threshold=FVC_CHANGE,
            change=True,
        )
        for kind, statistic, zh, en in _FVC_KINDS
    ),
)

_QUALITY = (
    ZoneIndicator(
        "clear_observation_share",
        Text(zh="有晴空观测的面积比例", en="share of area with a clear observation"),
        "%",
        (0, 100),
        "clear_count",
        "observed_share",
        ZONE_AREA,
        "",
        "primary",
        Text(
            zh="时段内至少有一次晴空观测的像元占区域全部像元的比例",
            en="share of the zone's pixels with at least one clear observation in the period",
        ),
    ),
    ZoneIndicator(
        "clear_count_mean",
        Text(zh="平均晴空观测次数", en="mean number of clear observations"),
        "1",
        (0, 65535),
        "clear_count",
        "mean",
        ZONE_AREA,
        "",
        "primary",
        Text(
            zh="区域内像元晴空观测次数的平均值",
            en="mean number of clear observations over the zone's pixels",
        ),
    ),
)

#: All zone indicators by id, in the order in which tables show them.
INDICATORS: dict[str, ZoneIndicator] = {
    record.id: record for record in (*_LANDCOVER, *_FOREST, *_VEGETATION, *_TRANSITIONS, *_QUALITY)
}
