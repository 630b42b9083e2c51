"""Rocky desertification of karst after HJ 1174-2021, Table A.3: slope, cover and lithology.

Each factor gives a grade by the table. How the three are joined "by their combined features" the
text does not say: an option of the method file with a placeholder as default, so that results are
provisional.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eco_index.errors import InputError
from eco_index.indices.doors import check_codes, checked, graded
from eco_index.indices.problems import MISSING
from eco_index.methods import Method
from eco_index.yamlio import Text

VERSION = 1  # changes when results change

#: Lithology by its code, in the order of the grades 0…4; 0 is missing or no karst.
LITHOLOGY: dict[int, Text] = {
    1: Text(zh="埋藏性碳酸岩", en="buried carbonate rock"),
    2: Text(zh="次不纯碳酸岩", en="slightly impure carbonate rock"),
    3: Text(zh="不纯碳酸岩", en="impure carbonate rock"),
    4: Text(zh="白云岩", en="dolomite"),
    5: Text(zh="灰岩与白云岩", en="limestone and dolomite"),
}
GRADES = tuple(
    Text(zh=zh, en=en)
    for zh, en in (
        ("无石漠化", "none"),
        ("轻度", "light"),
        ("中度", "moderate"),
        ("重度", "heavy"),
        ("极重度", "very heavy"),
    )
)

Array = np.ndarray[Any, Any]


def rocky_desertification_grade(
    slope: Any, cover: Any, lithology: Any, method: Method, combination: str = ""
) -> Array:
    """Grade of rocky desertification.

    Parameters
    ----------
    slope : array
        Degrees, 0–90; NaN where missing.
    cover : array
        Vegetation cover, 0–1; NaN where missing.
    lithology : integer array
        Codes of `LITHOLOGY`; 0 where there is no karst or it is not known.
    method : Method
        ``hj1174_2021``.
    combination : {'median', 'worst'}, optional
        How the three grades are joined; by the method file.

    Returns
    -------
    uint8 array
        Index into `GRADES`; 255 where a factor is missing or there is no karst.

    Raises
    ------
    InputError
        Slope in per cent or radians beyond the range, cover in per cent, unknown lithology or
        combination.

    Notes
    -----
    HJ 1174-2021, Table A.3. A limit between two grades belongs to the higher values.
    """
    choices = method.file.options["rocky_combination"].choices
    combination = combination or method.choices["rocky_combination"]
    if combination not in choices:
        raise InputError(f"unknown combination '{combination}'", rule=f"one of {sorted(choices)}")
    degrees = checked(slope, "slope", "degree", 0, 90, "per cent is no degree: atan(slope / 100)")
    share = checked(cover, "cover", "1", 0, 1, "per cent must be divided by 100")
    names = {code: text.en for code, text in LITHOLOGY.items()}
    rock = check_codes(lithology, names, "lithology")
    steep = [method.number(f"rocky_slope_{i}").required for i in (1, 2, 3, 4)]
    green = [method.number(f"rocky_cover_{i}").required for i in (1, 2, 3, 4)]
    by_slope = graded(degrees, steep, (False, False, False, True))
    passed = graded(share, green, (False, False, False, True))
    by_cover = np.where(passed == MISSING, MISSING, 4 - passed)
    by_rock = np.where(rock == 0, MISSING, rock.astype(np.int64) - 1)
    grades = np.stack(np.broadcast_arrays(by_slope, by_cover, by_rock)).astype(np.uint8)
    joined = grades.max(axis=0) if combination == "worst" else np.sort(grades, axis=0)[1]
    return np.where((grades == MISSING).any(axis=0), MISSING, joined).astype(np.uint8)
