"""The record type of zone indicators, class groups and denominators.

A record says which product is read, how its pixels become one number per zone, what stands in the
denominator and on which definition it rests. The zone sums themselves are computed elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from eco_index.summary import Evidence
from eco_index.yamlio import Text

Statistic = Literal[
    "area",  # km2 of pixels whose class is in `classes`
    "share",  # the same, percent of the valid area
    "mean",  # mean of the product over valid pixels
    "mean_within",  # mean over valid pixels whose land cover is in `classes`
    "bin_share",  # percent of the valid area per bin of `breaks` (lower bound inclusive)
    "observed_share",  # percent of the zone's pixels with a product value above zero
    "transition_area",  # km2 that were in `from_classes` and now are in `to_classes`
    "decrease_area",  # km2 whose value fell by at least `threshold`
    "increase_area",  # km2 whose value rose by at least `threshold`
]

CROPLAND = (11, 12)
WOODLAND = (21, 22, 23, 24)
GRASSLAND = (31, 32, 33)
WATER = (41, 42, 43)
GLACIER = (44,)
WETLAND = (45, 46, 64)
BUILT = (51, 52, 53)
SANDY = (61,)
BARE = (62, 63, 65, 66, 67)
#: Classes that people have not converted to cropland or built-up land.
NATURAL = (*WOODLAND, *GRASSLAND, *WATER, *GLACIER, *WETLAND, *SANDY, *BARE)

ZONE_AREA = Text(
    zh="区域内全部像元面积",
    en="area of all pixels of the zone",
)
VALID_AREA = Text(
    zh="区域内有有效值的像元面积（无数据像元不计入分母）",
    en="area of the zone's pixels with a value (pixels without data are not in the denominator)",
)
VALID_GRASSLAND = Text(
    zh="区域内草地（31、32、33类）中有有效植被覆盖度的像元面积",
    en="area of the zone's grassland pixels (classes 31, 32, 33) with a vegetation-cover value",
)
VALID_BOTH = Text(
    zh="区域内两期均有有效值的像元面积",
    en="area of the zone's pixels with a value in both periods",
)


@dataclass(frozen=True)
class ZoneIndicator:
    """Record of a number per zone.

    Attributes
    ----------
    id : str
        Name used in programme files and in the column `indicator` of the long table.
    title : Text
    unit : str
        ``km2``, ``%`` or ``1``.
    valid_range : tuple of float
        Smallest and largest possible value (upper bound ``inf`` for areas).
    product : str
        Product of the cube that is read.
    statistic : str
        How pixels become a number, see `Statistic`.
    denominator : Text
        What the column `denominator_km2` holds.
    method : str
        Method id in configs/methods, or the clause of a standard.
    evidence : str
        Evidence of the definition and of its fixed numbers.
    definition : Text
        One sentence: how the number is made.
    classes, from_classes, to_classes : tuple of int
        Classes of the product (of land cover for ``mean_within``).
    breaks : tuple of float
        Inner limits of the bins, in the product's physical unit; lower bound inclusive.
    threshold : float or None
        Size of a change that counts, in the product's physical unit.
    variables : dict
        Variable code to title, where the indicator gives several rows per zone
        (land cover: class code; bins: ``b0``, ``b1`` ...). Empty: one row, variable ``""``.
    factor : float
        The physical value of the product times this is the value (100 for percent).
    change : bool
        The number compares two periods and cannot exist without the earlier one.
    needs_landcover : bool
        Cannot be computed in a region without a land cover map.
    """

    id: str
    title: Text
    unit: str
    valid_range: tuple[float, float]
    product: str
    statistic: Statistic
    denominator: Text
    method: str
    evidence: Evidence
    definition: Text
    classes: tuple[int, ...] = ()
    from_classes: tuple[int, ...] = ()
    to_classes: tuple[int, ...] = ()
    breaks: tuple[float, ...] = ()
    threshold: float | None = None
    variables: dict[str, Text] = field(default_factory=dict)
    factor: float = 1.0
    change: bool = False
    needs_landcover: bool = False
