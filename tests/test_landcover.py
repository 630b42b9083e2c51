"""Crosswalks to LUCC classes and their splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eco_index.config import configs_folder
from eco_index.errors import InputError, UsageError
from eco_index.indices import landcover
from eco_index.products import LUCC

CROSSWALKS = sorted(p.stem for p in (configs_folder() / "crosswalks").glob("*.yaml"))
FVC_FILL = 65535


@pytest.fixture(scope="module")
def worldcover() -> landcover.Crosswalk:
    return landcover.load_crosswalk("worldcover_v200")


@pytest.mark.parametrize("name", CROSSWALKS)
def test_shipped_crosswalks_are_sound(name: str) -> None:
    crosswalk = landcover.load_crosswalk(name)
    assert crosswalk.source and crosswalk.nodata not in crosswalk.codes
    names = [rule.name.zh for rule in crosswalk.codes.values()]
    assert len(set(names)) == len(names)
    if crosswalk.needs_fvc:
        split = crosswalk.grass
        assert (split.high_above, split.medium_from, split.low_from) == (0.5, 0.2, 0.05)


def test_worldcover_has_every_code_of_its_legend(worldcover: landcover.Crosswalk) -> None:
    assert sorted(worldcover.codes) == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100]


def test_plain_codes(worldcover: landcover.Crosswalk) -> None:
    codes = np.array([[10, 20, 40, 50, 60, 70], [80, 90, 95, 100, 0, -1]], np.int32)
    got = landcover.to_lucc(codes, worldcover, np.full(codes.shape, 3000, "u2"))
    assert got.tolist() == [[21, 22, 12, 51, 65, 44], [42, 64, 45, 67, 0, 0]]


@pytest.mark.parametrize(
    ("fvc", "outside", "inside"),
    [
        (10000, 31, 31),
        (5001, 31, 31),
        (5000, 32, 32),
        (2000, 32, 32),
        (1999, 33, 33),
        (500, 33, 33),
        (499, 65, 61),
        (0, 65, 61),
        (FVC_FILL, 0, 0),  # which kind of grassland is not known
    ],
)
def test_grassland_is_split_by_cover(
    worldcover: landcover.Crosswalk, fvc: int, outside: int, inside: int
) -> None:
    codes, cover = np.array([[30, 30]], np.int32), np.full((1, 2), fvc, "u2")
    got = landcover.to_lucc(codes, worldcover, cover, sandy=np.array([[False, True]]))
    assert got.tolist() == [[outside, inside]]


def test_rivers_split_water_only_and_sand_splits_bare_only(
    worldcover: landcover.Crosswalk,
) -> None:
    codes = np.array([[80, 60, 10, 30]] * 2, np.int32)
    here = np.array([[True] * 4, [False] * 4])
    got = landcover.to_lucc(codes, worldcover, np.full((2, 4), 6000, "u2"), here, here)
    assert got.tolist() == [[41, 61, 21, 31], [42, 65, 21, 31]]


def test_unknown_codes_are_named_and_counted(worldcover: landcover.Crosswalk) -> None:
    codes = np.array([[10, 11, 11, 255]], np.int32)
    cover = np.zeros((1, 4), "u2")
    with pytest.raises(
        InputError, match=r"11 \(2 pixels\), 255 \(1 pixels\)(?s:.*)worldcover_v200"
    ):
        landcover.to_lucc(codes, worldcover, cover, where="tile r000c000")
    codes[codes == 11] = 10
    got = landcover.to_lucc(codes, worldcover, cover, nodata=255)
    assert got.tolist() == [[21, 21, 21, 0]]


def test_lucc_maps_pass_unchanged() -> None:
    crosswalk = landcover.load_crosswalk("lucc")
    assert not crosswalk.needs_fvc
    codes = np.array([[0, *LUCC]], np.int32)
    cover = np.full(codes.shape, FVC_FILL, "u2")
    np.testing.assert_array_equal(landcover.to_lucc(codes, crosswalk, cover), codes)


def write(folder: Path, codes: str) -> landcover.Crosswalk:
    (folder / "x.yaml").write_text(
        "id: x\nversion: 1\ntitle: {zh: 甲, en: x}\nsource: s\nevidence: placeholder\n"
        f"codes:\n  1: {{name: {{zh: 甲, en: a}}, {codes}}}\n",
        encoding="utf-8",
    )
    return landcover.load_crosswalk("x", folder)


@pytest.mark.parametrize(
    ("codes", "complaint"),
    [
        ("lucc: 99", "99 is not a LUCC class"),
        ("lucc: 21, grass: true", "either 'lucc' or 'grass: true'"),
        ("grass: false", "either 'lucc' or 'grass: true'"),
        ("grass: true, river: 41", "cannot be split"),
        ("luc: 21", "unknown key"),
    ],
)
def test_malformed_crosswalks(tmp_path: Path, codes: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        write(tmp_path, codes)


def test_digest_follows_content(tmp_path: Path) -> None:
    first, second = write(tmp_path, "lucc: 21"), write(tmp_path, "lucc: 22")
    assert first.digest != second.digest
    assert first.digest == write(tmp_path, "lucc:   21").digest


def test_unknown_crosswalk() -> None:
    with pytest.raises(UsageError, match=r"no crosswalk 'world'(?s:.*)worldcover_v200"):
        landcover.load_crosswalk("world")
