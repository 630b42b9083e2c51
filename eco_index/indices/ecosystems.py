"""Ecosystem types of HJ 1166-2021 from a land-cover map, split by vegetation cover.

A file in ``configs/crosswalks/hj1166`` says what each code of a legend becomes; names and no-data
come from the legend's file one folder above. Codes are those of Table A.1; a first-level type whose
second level is not told ends in 0 (30: grassland).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from eco_index import yamlio
from eco_index.config import configs_folder
from eco_index.digests import hash_of
from eco_index.errors import InputError, UsageError
from eco_index.indices.landcover import Crosswalk, check_codes, load_crosswalk
from eco_index.methods import Method
from eco_index.yamlio import Strict, Text

VERSION = 1  # changes when results change
MISSING = 0

HJ1166: dict[int, tuple[str, Text]] = {
    code: (key, Text(zh=zh, en=en))
    for code, key, zh, en in (
        (10, "forest", "森林", "forest"),
        (11, "broadleaf_forest", "阔叶林", "broadleaf forest"),
        (12, "conifer_forest", "针叶林", "conifer forest"),
        (13, "mixed_forest", "针阔混交林", "mixed forest"),
        (14, "sparse_forest", "稀疏林", "sparse forest"),
        (20, "shrub", "灌丛", "shrub"),
        (21, "broadleaf_shrub", "阔叶灌丛", "broadleaf shrub"),
        (22, "conifer_shrub", "针叶灌丛", "conifer shrub"),
        (23, "sparse_shrub", "稀疏灌丛", "sparse shrub"),
        (30, "grassland", "草地", "grassland"),
        (31, "meadow", "草甸", "meadow"),
        (32, "steppe", "草原", "steppe"),
        (33, "tussock", "草丛", "tussock"),
        (34, "sparse_grassland", "稀疏草地", "sparse grassland"),
        (40, "wetland", "湿地", "wetland"),
        (41, "marsh", "沼泽", "marsh"),
        (42, "lake", "湖泊", "lake"),
        (43, "river", "河流", "river"),
        (50, "farmland", "农田", "farmland"),
        (51, "cropland", "耕地", "cropland"),
        (52, "orchard", "园地", "orchard"),
        (60, "urban", "城镇", "urban"),
        (61, "residential", "居住地", "residential"),
        (62, "urban_green", "城市绿地", "urban green space"),
        (63, "mining_traffic", "工矿交通", "industry, mining and traffic"),
        (70, "desert_land", "荒漠", "desert land"),
        (71, "desert", "沙漠", "desert"),
        (72, "sandy_land", "沙地", "sandy land"),
        (73, "saline_land", "盐碱地", "saline land"),
        (80, "other", "其他", "other"),
        (81, "glacier_snow", "冰川/永久积雪", "glacier or permanent snow"),
        (82, "bare_land", "裸地", "bare land"),
    )
}


class TypeRule(Strict):
    """What a code becomes."""

    type: int = Field(description="type of closed cover, or of any cover if nothing else is given")
    sparse: int | None = Field(None, description="type of sparse cover")
    bare: int | None = Field(None, description="type of almost no cover; else the sparse one")
    sandy: int | None = Field(None, description="as bare, inside sandy land")
    river: int | None = Field(None, description="type where a river runs")

    @model_validator(mode="after")
    def _known(self) -> TypeRule:
        for code in (self.type, self.sparse, self.bare, self.sandy, self.river):
            if code is not None and code not in HJ1166:
                raise ValueError(f"{code} is not an ecosystem type; known: {sorted(HJ1166)}")
        if self.sparse is None and (self.bare is not None or self.sandy is not None):
            raise ValueError("'bare' and 'sandy' need 'sparse'")
        return self


class EcosystemCrosswalk(Strict):
    """A file of ``configs/crosswalks/hj1166``."""

    id: str
    version: int
    title: Text
    legend: str = Field(description="crosswalk file with the names of the codes")
    source: str
    evidence: Literal["primary", "secondary", "recalled", "placeholder"]
    codes: dict[int, TypeRule] = Field(min_length=1)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        return hash_of(self.model_dump(mode="json"))

    @property
    def needs_cover(self) -> bool:
        return any(rule.sparse is not None for rule in self.codes.values())


def load_ecosystem_crosswalk(
    crosswalk_id: str, folder: Path | None = None
) -> tuple[EcosystemCrosswalk, Crosswalk]:
    """Read the crosswalk of a legend to ecosystem types, and the legend's own file.

    Raises
    ------
    UsageError
        Unknown legend, a malformed file, or codes that are not those of the legend.
    """
    folder = folder or configs_folder() / "crosswalks" / "hj1166"
    path = folder / f"{crosswalk_id}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise UsageError(
            f"there is no crosswalk of '{crosswalk_id}' to HJ 1166", rule=f"known: {known}"
        )
    crosswalk = yamlio.load(path, EcosystemCrosswalk)
    legend = load_crosswalk(crosswalk.legend)
    odd = sorted(set(crosswalk.codes) ^ set(legend.codes))
    if odd:
        raise UsageError(
            f"codes {odd} stand in only one of the crosswalk and its legend '{legend.id}'",
            where=str(path),
        )
    return crosswalk, legend


def to_hj1166(
    codes: np.ndarray,
    crosswalk: EcosystemCrosswalk,
    legend: Crosswalk,
    cover: np.ndarray,
    method: Method,
    river: np.ndarray | None = None,
    sandy: np.ndarray | None = None,
    nodata: int | None = None,
    where: str = "land cover",
) -> np.ndarray:
    """Translate codes of a legend to ecosystem types.

    Parameters
    ----------
    codes : integer[h, w]
        Codes of the legend; −1 outside the map.
    crosswalk, legend : EcosystemCrosswalk, Crosswalk
        From `load_ecosystem_crosswalk`.
    cover : float[h, w]
        Vegetation cover, 0–1, NaN where unknown: types that depend on it are then missing.
    method : Method
        ``hj1166_2021``.
    river, sandy : bool[h, w], optional
        Pixels where a river runs; pixels inside sandy land.
    nodata : int, optional
        Code of "no value" in the file.
    where : str
        For messages.

    Returns
    -------
    uint8[h, w]
        Codes of `HJ1166`, 0 missing.

    Raises
    ------
    InputError
        An unknown code (named with its number of pixels), or cover in per cent.

    Notes
    -----
    HJ 1166-2021, Table A.1.
    """
    check_codes(codes, legend, nodata, where)
    with np.errstate(invalid="ignore"):
        wrong = (cover < 0) | (cover > 1)
    if wrong.any():
        raise InputError(
            f"vegetation cover holds {int(wrong.sum())} values beyond 0 to 1",
            where=where,
            rule="a share, NaN where unknown",
            fix="per cent must be divided by 100",
        )
    closed = method.number("cover_closed").required - 1e-6
    some = method.number("cover_sparse").required - 1e-6
    known = ~np.isnan(cover)
    share = np.where(known, cover, 0.0)
    out = np.zeros(codes.shape, np.uint8)
    for code, rule in crosswalk.codes.items():
        here = codes == code
        if code in (nodata, legend.nodata) or not here.any():
            continue
        out[here] = rule.type
        if rule.sparse is not None:
            out[here & (share < closed)] = rule.sparse
            if rule.bare is not None:
                out[here & (share < some)] = rule.bare
            if rule.sandy is not None and sandy is not None:
                out[here & (share < some) & sandy] = rule.sandy
            out[here & ~known] = MISSING
        if rule.river is not None and river is not None:
            out[here & river] = rule.river
    return out
