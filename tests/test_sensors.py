"""Mask recipes and decoding."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from imagery_fakes import catalog_of, landsat_entry

from eco_index import sensors
from eco_index.errors import InputError, UsageError
from eco_index.sensors import BAD, CLEAR, CLOUD, FILL, SHADOW, SNOW


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, FILL),
        (1, FILL),
        (21824, CLEAR),
        (21952, CLEAR),  # clear water
        (22280, CLOUD),
        (55052, CLOUD),  # cloud and cirrus
        (21826, CLOUD),  # dilated cloud
        (54596, CLOUD),  # cirrus
        (23888, SHADOW),  # shadow with the clear bit set
        (30048, SNOW),
        (21760, BAD),  # nothing flagged, not clear either
    ],
)
def test_landsat_qa_pixel(value: int, code: int) -> None:
    assert sensors.mask_lut("landsat_qa_pixel")[value] == code


def test_no_landsat_value_with_cloud_or_shadow_bit_is_clear() -> None:
    values = np.arange(65536)
    lut = sensors.mask_lut("landsat_qa_pixel")
    assert not (lut[(values & 0b111111) != 0] == CLEAR).any()
    assert not (lut[(values & 0b1000000) == 0] == CLEAR).any()
    assert (lut == CLEAR).any()


def test_scl() -> None:
    lut = sensors.mask_lut("s2_scl")
    expected = [FILL, BAD, SHADOW, SHADOW, CLEAR, CLEAR, CLEAR, CLEAR, CLOUD, CLOUD, CLOUD, SNOW]
    assert lut[:12].tolist() == expected
    assert (lut[12:] == BAD).all()


def vi(modland: int = 0, usefulness: int = 0, bits: tuple[int, ...] = (), land: int = 1) -> int:
    return modland | usefulness << 2 | land << 11 | sum(1 << b for b in bits)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (vi(), CLEAR),
        (vi(land=5), CLEAR),  # deep inland water
        (vi(1, 5), CLEAR),
        (vi(1, 12), CLEAR),
        (vi(1, 13), BAD),
        (vi(1, 15), BAD),
        (vi(2), CLOUD),
        (vi(1, 3, (10,)), CLOUD),
        (vi(1, 3, (8,)), CLEAR),
        (vi(1, 3, (14,)), SNOW),
        (vi(1, 3, (15,)), SHADOW),
        (vi(3), FILL),
        (65535, FILL),
    ],
)
def test_modis_vi_quality(value: int, code: int) -> None:
    assert sensors.mask_lut("modis_vi_quality")[value] == code


def test_lut_is_read_only_and_recipes_are_checked() -> None:
    with pytest.raises(ValueError, match="read-only"):
        sensors.mask_lut("s2_scl")[4] = CLOUD
    with pytest.raises(UsageError, match="(?s)no mask recipe 'scl'.*s2_scl"):
        sensors.mask_lut("scl")
    with pytest.raises(UsageError, match="version 9"):
        sensors.mask_lut("s2_scl", 9)


@pytest.mark.parametrize(
    ("properties", "offset"),
    [
        ({"s2:processing_baseline": "05.09"}, -0.1),
        ({"s2:processing_baseline": "04.00"}, -0.1),
        ({"s2:processing_baseline": "03.01"}, 0.0),
        ({"s2:processing_baseline": "02.14", "earthsearch:boa_offset_applied": False}, 0.0),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, 0.0),
        ({"processing:version": "05.11"}, -0.1),
        ({"s2:product_uri": "S2A_MSIL2A_20200219T112111_N0214_R037_T29RKH.SAFE"}, 0.0),
        ({"s2:product_uri": "S2B_MSIL2A_20250219T112111_N0511_R037_T29RKH.SAFE"}, -0.1),
    ],
)
@pytest.mark.parametrize("written", [0.0, -0.1])
def test_sentinel2_offset(
    tmp_path: Path, properties: dict[str, object], offset: float, written: float
) -> None:
    band = {"scale": 1e-4, "offset": written, "nodata": 0}
    dataset = catalog_of(
        tmp_path,
        s2=landsat_entry(
            offset_rule="sentinel2_baseline_0400",
            bands={
                "red": {"asset": ["red"]} | band,
                "nir": {"asset": ["nir08"]} | band,
                "scl": {"asset": ["scl"], "nodata": 0},
            },
            mask={"band": "scl", "recipe": "s2_scl"},
        ),
    ).datasets["s2"]
    decode = sensors.decode_of(dataset, "red", properties)
    assert (decode.scale, decode.offset, decode.nodata) == (1e-4, offset, 0.0)
    assert sensors.decode_of(dataset, "scl", {}).offset == 0.0
    with pytest.raises(InputError, match="processing baseline not stated"):
        sensors.decode_of(dataset, "nir", {"platform": "sentinel-2a"})


@pytest.mark.parametrize("stated", ["as_stated", "stored", "removed"])
def test_a_sen2cor_of_somebody_says_nothing_of_the_offset(tmp_path: Path, stated: str) -> None:
    """Baseline 99.99: the offset is that of the Level-1C it was made of."""
    access = {"type": "stac_folder", "path": "x", "boa_offset": stated}
    bands = {b: {"asset": [b], "scale": 1e-4, "nodata": 0} for b in ("red", "nir", "scl")}
    entry = landsat_entry(access=access, offset_rule="sentinel2_baseline_0400", bands=bands)
    entry["mask"] = {"band": "scl", "recipe": "s2_scl"}
    dataset = catalog_of(tmp_path, s2=entry).datasets["s2"]
    removed = {sensors.OFFSET_REMOVED: stated == "removed"}
    for baseline in ({"processing:version": "99.99"}, {"s2:product_uri": "S2A_MSIL2A_x_N9999_R1"}):
        if stated == "as_stated":
            with pytest.raises(InputError, match=r"(?s)99.99.*boa_offset"):
                sensors.decode_of(dataset, "red", baseline)
            read = baseline | {"eco:boa_offset_read": True}  # the product itself says so
            assert sensors.decode_of(dataset, "red", read).offset == -0.1
            gone = read | {sensors.OFFSET_REMOVED: True}
            assert sensors.decode_of(dataset, "red", gone).offset == 0.0
        else:
            expected = {"stored": -0.1, "removed": 0.0}[stated]
            assert sensors.decode_of(dataset, "red", baseline | removed).offset == expected


def test_decode_of_open_range_and_needed_bands(tmp_path: Path) -> None:
    entry = landsat_entry()
    entry["bands"] = entry["bands"] | {"red": {"asset": ["red"]}, "blue": {"asset": ["blue"]}}
    dataset = catalog_of(tmp_path, d=entry).datasets["d"]
    decode = sensors.decode_of(dataset, "red", {})
    assert math.isnan(decode.nodata)
    assert (decode.valid_min, decode.valid_max) == (-math.inf, math.inf)
    assert sensors.needed_bands(dataset) == ("red", "nir", "qa")
    del entry["bands"]["nir"]
    with pytest.raises(InputError, match="neither the bands"):
        sensors.needed_bands(catalog_of(tmp_path, d=entry).datasets["d"])
