"""Crosswalks to HJ 1166 ecosystem types, and legends against their published class lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from shared_data import DATA, real

from eco_index.config import configs_folder
from eco_index.errors import InputError, UsageError
from eco_index.indices import ecosystems as eco
from eco_index.indices.landcover import load_crosswalk, to_lucc
from eco_index.methods import load_method

METHOD = load_method("hj1166_2021")
LEGENDS = sorted(p.stem for p in (configs_folder() / "crosswalks").glob("*.yaml"))


@pytest.mark.parametrize(
    ("legend", "codes"),
    [
        # Published class lists: ESA WorldCover v200, Dynamic World V1, MCD12Q1 LC_Type1 (Earth
        # Engine catalogue), GLC_FCS30D (35 classes).
        ("worldcover_v200", [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100]),
        ("dynamic_world", list(range(9))),
        ("mcd12q1_igbp", list(range(1, 18))),
        (
            "glc_fcs30d",
            [10, 11, 12, 20, 51, 52, 61, 62, 71, 72, 81, 82, 91, 92, 120, 121, 122, 130, 140, 150,
             152, 153, 181, 182, 183, 184, 185, 186, 187, 190, 200, 201, 202, 210, 220],
        ),
    ],
)  # fmt: skip
def test_legends_are_complete(legend: str, codes: list[int]) -> None:
    assert sorted(load_crosswalk(legend).codes) == codes


def test_every_legend_leads_to_both_schemes() -> None:
    folder = configs_folder() / "crosswalks" / "hj1166"
    assert sorted(p.stem for p in folder.glob("*.yaml")) == LEGENDS
    assert {"worldcover_v200", "glc_fcs30d", "clcd", "dynamic_world", "mcd12q1_igbp"} < set(LEGENDS)
    for name in LEGENDS:
        crosswalk, legend = eco.load_ecosystem_crosswalk(name)
        assert crosswalk.evidence == "placeholder" and "judgement" in crosswalk.source
        assert crosswalk.title.zh and crosswalk.title.en and legend.id == name


#: LUCC classes and the first level of HJ 1166 that may go together.
SAME = {
    1: {5}, 2: {1, 2, 5}, 3: {3, 2}, 4: {4, 8}, 5: {6}, 6: {7, 8, 4, 3},
}  # fmt: skip


@pytest.mark.parametrize("name", LEGENDS)
@pytest.mark.parametrize("cover", [0.0, 0.1, 0.4, 0.9])
def test_the_two_schemes_agree_in_kind(name: str, cover: float) -> None:
    crosswalk, legend = eco.load_ecosystem_crosswalk(name)
    codes = np.array([list(legend.codes)], np.int32)
    share = np.full(codes.shape, cover)
    types = eco.to_hj1166(codes, crosswalk, legend, share, METHOD)
    lucc = to_lucc(codes, legend, np.full(codes.shape, round(cover * 1e4), "u2"))
    for code, ours, theirs in zip(codes[0], types[0], lucc[0], strict=True):
        # Without cover there is no forest, whatever the map says; LUCC keeps the legend's class.
        allowed = SAME[theirs // 10] | ({7, 8} if cover < 0.04 else set())
        assert ours // 10 in allowed, (name, code, ours, theirs)


@pytest.mark.parametrize(
    ("cover", "grass", "sandy", "tree"),
    [
        (0.9, 30, 30, 10),
        (0.2, 30, 30, 10),
        (0.199, 34, 34, 14),
        (0.04, 34, 34, 14),
        (0.039, 82, 72, 14),
        (np.nan, 0, 0, 0),
    ],
)
def test_limits_of_cover(cover: float, grass: int, sandy: int, tree: int) -> None:
    crosswalk, legend = eco.load_ecosystem_crosswalk("worldcover_v200")
    codes = np.array([[30, 30, 10, 40, 80, 80, 0, -1]], np.int32)
    inside = np.array([[False, True] + [False] * 6])
    river = np.array([[False] * 5 + [True] * 3])
    share = np.full(codes.shape, cover)
    got = eco.to_hj1166(codes, crosswalk, legend, share, METHOD, river, inside)
    assert got.tolist() == [[grass, sandy, tree, 51, 42, 43, 0, 0]]
    assert crosswalk.needs_cover


def test_limits_are_not_those_of_lucc() -> None:
    """4.5 % of cover: grassland for HJ 1166, bare for LUCC: the schemes must not be mixed."""
    crosswalk, legend = eco.load_ecosystem_crosswalk("clcd")
    codes, share = np.array([[4]], np.int32), np.array([[0.045]])
    assert eco.to_hj1166(codes, crosswalk, legend, share, METHOD)[0, 0] == 34
    assert to_lucc(codes, legend, np.array([[450]], "u2"))[0, 0] == 65


def test_unknown_codes_and_cover_in_per_cent() -> None:
    crosswalk, legend = eco.load_ecosystem_crosswalk("glc_fcs30d")
    codes = np.array([[130, 131, 131, 0, 250]], np.int32)
    share = np.full(codes.shape, 0.5)
    with pytest.raises(InputError, match=r"0 \(1 pixels\), 131 \(2 pixels\)(?s:.*)glc_fcs30d"):
        eco.to_hj1166(codes, crosswalk, legend, share, METHOD)
    codes[codes == 131] = 130
    got = eco.to_hj1166(codes, crosswalk, legend, share, METHOD, nodata=0)
    assert got.tolist() == [[30, 30, 30, 0, 0]]
    with pytest.raises(InputError, match="beyond 0 to 1"):
        eco.to_hj1166(codes, crosswalk, legend, share * 100, METHOD, nodata=0)


def test_malformed_crosswalks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no crosswalk of 'x'(?s:.*)none"):
        eco.load_ecosystem_crosswalk("x", tmp_path)
    head = (
        "id: x\nversion: 1\ntitle: {zh: 甲, en: x}\nlegend: clcd\nsource: s\n"
        "evidence: placeholder\ncodes:\n"
    )
    for text, complaint in (
        ("  1: {type: 99}\n", "99 is not an ecosystem type"),
        ("  1: {type: 30, bare: 82}\n", "need 'sparse'"),
        ("  1: {type: 51}\n", "stand in only one"),
    ):
        (tmp_path / "x.yaml").write_text(head + text, encoding="utf-8")
        with pytest.raises(UsageError, match=complaint):
            eco.load_ecosystem_crosswalk("x", tmp_path)


@real
def test_a_real_map_with_the_wrong_legend_is_refused() -> None:
    """CGLS-LC100 of a protected area, read with the legend of WorldCover: every code is named."""
    path = DATA / "mapme_sierra_de_neiba" / "W080N20_LC100_v3.0.1_2019.tif"
    with rasterio.open(path) as source:
        codes = source.read(1).astype(np.int32)
    found = dict(zip(*(a.tolist() for a in np.unique(codes, return_counts=True)), strict=True))
    crosswalk, legend = eco.load_ecosystem_crosswalk("worldcover_v200")
    unknown = [c for c in found if c not in legend.codes and c != 0]
    assert unknown
    with pytest.raises(InputError) as caught:
        eco.to_hj1166(codes, crosswalk, legend, np.full(codes.shape, 0.5), METHOD)
    for code in unknown[:8]:
        assert f"{code} ({found[code]} pixels)" in str(caught.value)
