"""The per-pixel products of the cube: one record each (names, units, encoding, flags)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from eco_index.compositing import NO_SOURCE, REFLECTANCE, SEASON_LAYER
from eco_index.yamlio import Text

GROUPS = ("monthly", "half_yearly", "yearly")


@dataclass(frozen=True)
class Product:
    """Record of a per-pixel product.

    Attributes
    ----------
    id : str
        Variable name in the cube.
    groups : tuple of str
        Groups of the cube that hold it.
    dtype : str
        Stored type; physical value = stored x scale.
    fill : int or None
        Stored value for "no value"; None where every value is meaningful (counts).
    units : str
    title : Text
    valid_range : tuple of float
        Physical range.
    flags : dict
        Class code to (meaning for CF, Text), for class maps.
    quality : str
        The layer beside it that says how well it is observed.
    method : str
        Method id in configs/methods, or reference.
    optional : bool
        Only there where the region's `composite` section asks for it.
    """

    id: str
    groups: tuple[str, ...]
    dtype: str
    fill: int | None
    units: str
    title: Text
    valid_range: tuple[float, float]
    scale: float = 1.0
    standard_name: str | None = None
    cell_methods: str | None = None
    flags: dict[int, tuple[str, Text]] = field(default_factory=dict)
    quality: str = "clear_count"
    method: str = ""
    needs_landcover: bool = False
    optional: bool = False


# Land-use classes of the CAS LUCC scheme used by HJ 192 (shared with configs/crosswalks).
LUCC: dict[int, tuple[str, Text]] = {
    11: ("paddy_field", Text(zh="水田", en="paddy field")),
    12: ("dry_cropland", Text(zh="旱地", en="dry cropland")),
    21: ("forest", Text(zh="有林地", en="forest")),
    22: ("shrubland", Text(zh="灌木林地", en="shrubland")),
    23: ("open_woodland", Text(zh="疏林地", en="open woodland")),
    24: ("other_woodland", Text(zh="其他林地", en="other woodland")),
    31: ("high_cover_grassland", Text(zh="高覆盖度草地", en="high-cover grassland")),
    32: ("medium_cover_grassland", Text(zh="中覆盖度草地", en="medium-cover grassland")),
    33: ("low_cover_grassland", Text(zh="低覆盖度草地", en="low-cover grassland")),
    41: ("river", Text(zh="河渠", en="river or canal")),
    42: ("lake", Text(zh="湖泊", en="lake")),
    43: ("reservoir", Text(zh="水库坑塘", en="reservoir or pond")),
    44: ("glacier_snow", Text(zh="永久性冰川雪地", en="glacier or permanent snow")),
    45: ("tidal_flat", Text(zh="滩涂", en="tidal flat")),
    46: ("floodplain", Text(zh="滩地", en="floodplain")),
    51: ("urban", Text(zh="城镇用地", en="urban land")),
    52: ("rural_settlement", Text(zh="农村居民点", en="rural settlement")),
    53: ("other_built", Text(zh="其他建设用地", en="other built-up land")),
    61: ("sandy_land", Text(zh="沙地", en="sandy land")),
    62: ("gobi", Text(zh="戈壁", en="gobi")),
    63: ("saline_land", Text(zh="盐碱地", en="saline land")),
    64: ("marsh", Text(zh="沼泽地", en="marsh")),
    65: ("bare_soil", Text(zh="裸土地", en="bare soil")),
    66: ("bare_rock", Text(zh="裸岩石质地", en="bare rock")),
    67: ("other_unused", Text(zh="其他未利用地", en="other unused land")),
}

#: Level-1 classes of the LUCC scheme: first digit of the code.
LUCC_LEVEL1: dict[int, Text] = {
    1: Text(zh="耕地", en="cropland"),
    2: Text(zh="林地", en="woodland"),
    3: Text(zh="草地", en="grassland"),
    4: Text(zh="水域", en="water"),
    5: Text(zh="建设用地", en="built-up land"),
    6: Text(zh="未利用地", en="unused land"),
}


#: What a stored reflectance may be; beyond it a value is missing.
REFLECTANCE_RANGE = (-1.0, 3.2767)


def _ndvi(method: str, zh: str, en: str, cell_methods: str) -> Product:
    """Record of the NDVI composite of another method than the maximum."""
    return Product(
        f"ndvi_{method}",
        ("monthly",),
        "int16",
        -32768,
        "1",
        Text(zh=zh, en=en),
        (-1.0, 1.0),
        scale=1e-4,
        cell_methods=cell_methods,
        standard_name="normalized_difference_vegetation_index",
        optional=True,
    )


def _reflectance(layer: str) -> Product:
    """Record of a reflectance layer: bands are named by the catalogue, so there is no list."""
    band = layer.removeprefix(REFLECTANCE)
    return Product(
        layer,
        ("monthly",),
        "int16",
        -32768,
        "1",
        Text(zh=f"合成影像的反射率：{band}波段", en=f"reflectance of the composite, band {band}"),
        REFLECTANCE_RANGE,
        scale=1e-4,
        optional=True,
    )


_ALL = GROUPS
_PERIODS = ("half_yearly", "yearly")

PRODUCTS: dict[str, Product] = {
    p.id: p
    for p in (
        Product(
            "ndvi_max",
            _ALL,
            "int16",
            -32768,
            "1",
            Text(zh="最大NDVI", en="maximum NDVI"),
            (-1.0, 1.0),
            scale=1e-4,
            cell_methods="time: maximum",
            standard_name="normalized_difference_vegetation_index",
        ),
        Product(
            "clear_count",
            _ALL,
            "uint16",
            None,
            "1",
            Text(zh="晴空观测次数", en="number of clear observations"),
            (0, 65535),
            cell_methods="time: sum",
            quality="",
        ),
        Product(
            "obs_count",
            ("monthly",),
            "uint16",
            None,
            "1",
            Text(
                zh="观测次数（含云雪）", en="number of observations, cloudy and snowy ones included"
            ),
            (0, 65535),
            cell_methods="time: sum",
            quality="",
        ),
        Product(
            "ndvi_mean",
            _PERIODS,
            "int16",
            -32768,
            "1",
            Text(
                zh="生长季月最大NDVI均值", en="mean of monthly maximum NDVI in the growing season"
            ),
            (-1.0, 1.0),
            scale=1e-4,
            cell_methods="time: maximum within months time: mean over months",
            quality="valid_months",
        ),
        Product(
            "valid_months",
            _PERIODS,
            "uint8",
            None,
            "1",
            Text(zh="有晴空观测的月数", en="growing-season months with a clear observation"),
            (0, 12),
            quality="",
        ),
        Product(
            "fvc",
            _PERIODS,
            "uint16",
            65535,
            "1",
            Text(zh="植被覆盖度", en="fractional vegetation cover"),
            (0.0, 1.0),
            scale=1e-4,
            standard_name="vegetation_area_fraction",
            method="fvc_dimidiate",
        ),
        Product(
            "landcover",
            _PERIODS,
            "uint8",
            0,
            "1",
            Text(zh="土地利用/覆盖（LUCC分类）", en="land use / land cover (LUCC classes)"),
            (0, 67),
            flags=LUCC,
            needs_landcover=True,
        ),
        Product(
            "forest",
            _PERIODS,
            "uint8",
            255,
            "1",
            Text(zh="森林掩膜（面积≥0.067公顷）", en="forest mask (patches of at least 0.067 ha)"),
            (0, 1),
            flags={
                0: ("not_forest", Text(zh="非森林", en="not forest")),
                1: ("forest", Text(zh="森林", en="forest")),
            },
            method="forest_coverage",
            needs_landcover=True,
        ),
        _ndvi("median", "NDVI中位数", "median NDVI", "time: median"),
        # CF knows no percentile: 'point' with the comment says what it is.
        _ndvi(
            "percentile",
            "NDVI百分位数",
            "percentile of NDVI",
            "time: point (comment: percentile of the clear observations, linear interpolation)",
        ),
        _ndvi(
            "medoid",
            "类中心观测的NDVI",
            "NDVI of the medoid observation",
            "time: point (comment: observation nearest to all other clear ones in their bands)",
        ),
        _ndvi(
            "geometric_median",
            "几何中位数的NDVI",
            "NDVI of the geometric median of the reflectances",
            "time: median (comment: NDVI of the geometric median of the reflectances)",
        ),
        _ndvi(
            "best_pixel",
            "最优观测的NDVI",
            "NDVI of the best available observation",
            "time: point (comment: observation of the highest score)",
        ),
        Product(
            SEASON_LAYER,
            _PERIODS,
            "int16",
            -32768,
            "1",
            Text(
                zh="生长季NDVI合成（由整季影像直接合成）",
                en="NDVI composite of the growing season, made from its scenes",
            ),
            (-1.0, 1.0),
            scale=1e-4,
            standard_name="normalized_difference_vegetation_index",
            optional=True,
        ),
        Product(
            "source_index",
            ("monthly",),
            "uint16",
            NO_SOURCE,
            "1",
            Text(
                zh="来源影像序号（当月影像清单，从0起）",
                en="scene a value is from: its place on the month's list of scenes, from 0",
            ),
            (0, NO_SOURCE - 1),
            optional=True,
        ),
        Product(
            "snow_count",
            ("monthly",),
            "uint16",
            None,
            "1",
            Text(zh="积雪观测次数", en="number of observations that show snow or ice"),
            (0, 65535),
            cell_methods="time: sum",
            quality="",
            optional=True,
        ),
        Product(
            "ndvi_filled",
            ("monthly",),
            "int16",
            -32768,
            "1",
            Text(
                zh="NDVI（缺测月份经时间插值）",
                en="NDVI composite, missing months interpolated in time",
            ),
            (-1.0, 1.0),
            scale=1e-4,
            standard_name="normalized_difference_vegetation_index",
            quality="ndvi_filled_flag",
            optional=True,
        ),
        Product(
            "ndvi_filled_flag",
            ("monthly",),
            "uint8",
            255,
            "1",
            Text(zh="NDVI来源标记", en="whether ndvi_filled was observed or interpolated"),
            (0, 1),
            flags={
                0: ("observed", Text(zh="观测", en="observed")),
                1: ("interpolated", Text(zh="插值", en="interpolated")),
            },
            quality="",
            optional=True,
        ),
    )
}


def products_of(group: str, with_landcover: bool, layers: Collection[str] = ()) -> list[Product]:
    """Return the products a group of the cube holds.

    Parameters
    ----------
    group : str
        ``monthly``, ``half_yearly`` or ``yearly``.
    with_landcover : bool
        Whether the region names a land-cover input.
    layers : collection of str
        Optional products it asks for (`CompositeConfig.layers`).
    """
    found = [
        p
        for p in PRODUCTS.values()
        if group in p.groups
        and (with_landcover or not p.needs_landcover)
        and (not p.optional or p.id in layers)
    ]
    if group == "monthly":
        found += [_reflectance(name) for name in layers if name.startswith(REFLECTANCE)]
    return found
