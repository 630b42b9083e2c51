"""Land cover: from the legend of a map to the LUCC classes of the standards.

A crosswalk file (``configs/crosswalks``) says, for every code of a legend, which class it becomes;
grassland is split by vegetation cover, water by rivers, bare land by sandy-land polygons.
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
from eco_index.products import LUCC, PRODUCTS
from eco_index.yamlio import Strict, Text

VERSION = 1  # changes when results change

MISSING = 0  # stored class of "no value"
assert PRODUCTS["landcover"].fill == MISSING
_FVC_FILL, _FVC_SCALE = 65535, 10000
_CLOSED, _OPEN = 21, 23


class CodeRule(Strict):
    """What a code of the legend becomes."""

    name: Text
    lucc: int | None = Field(None, description="class; None only with grass: true")
    grass: bool = Field(False, description="split by vegetation cover")
    river: int | None = Field(None, description="class where a river runs")
    sandy: int | None = Field(None, description="class inside sandy land")

    @model_validator(mode="after")
    def _one_rule(self) -> CodeRule:
        if self.grass == (self.lucc is not None):
            raise ValueError("give either 'lucc' or 'grass: true'")
        if self.grass and (self.river is not None or self.sandy is not None):
            raise ValueError("'grass: true' cannot be split by rivers or sandy land as well")
        for code in (self.lucc, self.river, self.sandy):
            if code is not None and code not in LUCC:
                raise ValueError(f"{code} is not a LUCC class; known: {sorted(LUCC)}")
        return self


class GrassSplit(Strict):
    """Classes of grassland by vegetation cover: bare < low <= medium <= high."""

    high_above: float = Field(0.5, description="cover above this: class 31")
    medium_from: float = Field(0.2, description="from this to high_above: class 32")
    low_from: float = Field(0.05, description="from this to medium_from: class 33")
    bare: int = Field(65, description="class below low_from")
    bare_sandy: int = Field(61, description="class below low_from, inside sandy land")

    @model_validator(mode="after")
    def _order(self) -> GrassSplit:
        if not 0 < self.low_from < self.medium_from < self.high_above < 1:
            raise ValueError("0 < low_from < medium_from < high_above < 1 must hold")
        return self


class Crosswalk(Strict):
    """A crosswalk file."""

    id: str
    version: int
    title: Text
    source: str
    evidence: Literal["primary", "secondary", "recalled", "placeholder"]
    note: Text | None = None
    nodata: int | None = Field(None, description="code of 'no value', if the legend has one")
    grass: GrassSplit = GrassSplit()
    codes: dict[int, CodeRule] = Field(min_length=1)

    @model_validator(mode="after")
    def _range(self) -> Crosswalk:
        if any(not 0 <= code <= 65535 for code in self.codes):
            raise ValueError("codes lie between 0 and 65535")
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        return hash_of(self.model_dump(mode="json"))

    @property
    def needs_fvc(self) -> bool:
        return any(rule.grass for rule in self.codes.values())

    def codes_with(self, split: Literal["river", "sandy"]) -> list[int]:
        """Return the codes that rivers or sandy land may split."""
        return sorted(
            code
            for code, rule in self.codes.items()
            if getattr(rule, split) is not None or (split == "sandy" and rule.grass)
        )


def load_crosswalk(crosswalk_id: str, folder: Path | None = None) -> Crosswalk:
    """Read a crosswalk file.

    Raises
    ------
    UsageError
        Unknown crosswalk, or a malformed file.
    """
    folder = folder or configs_folder() / "crosswalks"
    path = folder / f"{crosswalk_id}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise UsageError(
            f"there is no crosswalk '{crosswalk_id}'",
            rule=f"known crosswalks: {known}",
            fix="correct 'legend' in the catalogue, or add the file to configs/crosswalks",
        )
    crosswalk = yamlio.load(path, Crosswalk)
    if crosswalk.id != crosswalk_id:
        raise UsageError(f"the file holds crosswalk '{crosswalk.id}'", where=str(path))
    return crosswalk


def to_lucc(
    codes: np.ndarray,
    crosswalk: Crosswalk,
    fvc: np.ndarray,
    river: np.ndarray | None = None,
    sandy: np.ndarray | None = None,
    nodata: int | None = None,
    where: str = "land cover",
    open_canopy: np.ndarray | None = None,
) -> np.ndarray:
    """Translate codes of a legend to LUCC classes.

    Parameters
    ----------
    codes : integer[h, w]
        Codes of the legend; -1 outside the map.
    crosswalk : Crosswalk
        What each code becomes.
    fvc : uint16[h, w]
        Vegetation cover x 1e4, 65535 missing. Grassland without it gets no class: that it is
        grassland is known, which kind is not.
    river, sandy : bool[h, w], optional
        Pixels where a river runs; pixels inside sandy land.
    nodata : int, optional
        Code of "no value" in the file.
    where : str
        For messages.
    open_canopy : bool[h, w], optional
        Pixels whose canopy is known and not closed: closed forest (21) becomes open woodland (23)
        there, unless the legend tells open woodland itself.

    Returns
    -------
    uint8[h, w]
        LUCC classes, 0 missing.

    Raises
    ------
    InputError
        A code that the crosswalk does not know; the message names it and how often it occurs.
    """
    check_codes(codes, crosswalk, nodata, where)
    out = np.zeros(codes.shape, np.uint8)
    split = crosswalk.grass
    tells_open = any(rule.lucc == _OPEN for rule in crosswalk.codes.values())
    for code, rule in crosswalk.codes.items():
        if code in (nodata, crosswalk.nodata):
            continue
        here = codes == code
        if not here.any():
            continue
        if rule.lucc is not None:
            out[here] = rule.lucc
            if rule.lucc == _CLOSED and open_canopy is not None and not tells_open:
                out[here & open_canopy] = _OPEN
            if rule.sandy is not None and sandy is not None:
                out[here & sandy] = rule.sandy
            if rule.river is not None and river is not None:
                out[here & river] = rule.river
            continue
        out[here] = split.bare
        if sandy is not None:
            out[here & sandy] = split.bare_sandy
        out[here & (fvc >= round(split.low_from * _FVC_SCALE))] = 33
        out[here & (fvc >= round(split.medium_from * _FVC_SCALE))] = 32
        out[here & (fvc > round(split.high_above * _FVC_SCALE))] = 31
        out[here & (fvc == _FVC_FILL)] = MISSING
    return out


def check_codes(codes: np.ndarray, crosswalk: Crosswalk, nodata: int | None, where: str) -> None:
    """Raise where a map holds a code that the crosswalk does not know."""
    found, counts = np.unique(codes, return_counts=True)
    known = {-1, nodata, crosswalk.nodata, *crosswalk.codes}
    unknown = [
        f"{c} ({n} pixels)" for c, n in zip(found, counts, strict=True) if int(c) not in known
    ]
    if unknown:
        raise InputError(
            f"land cover holds codes unknown to the crosswalk: {', '.join(unknown[:8])}",
            where=where,
            rule=f"crosswalk {crosswalk.id}: {', '.join(map(str, sorted(crosswalk.codes)))}",
            fix="name the right 'legend' and 'nodata' in the catalogue, or add the codes to it",
        )


def is_class(
    codes: np.ndarray, crosswalk: Crosswalk, classes: tuple[int, ...], nodata: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return where codes become one of `classes` whatever the splits, and where they are known."""
    wanted = [c for c, r in crosswalk.codes.items() if r.lucc in classes]
    missing = [c for c in (-1, nodata, crosswalk.nodata) if c is not None]
    known = ~np.isin(codes, missing)
    return np.isin(codes, wanted) & known, known
