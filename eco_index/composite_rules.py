"""How Earth Engine is to read a scene: the rules of the catalogue, written as tests of bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eco_index import sensors, warp
from eco_index.catalog import Dataset
from eco_index.composite_parts import Numbered
from eco_index.errors import EcoError, UsageError
from eco_index.grid import Grid
from eco_index.scene_windows import Unusable, quality_lut
from eco_index.sensors.bit_tests import bit_tests
from eco_index.sources.address import is_derived, leaves, parse
from eco_index.sources.derived import guard_values
from eco_index.sources.ee_band import BandRef, crs_of, is_earth_engine
from eco_index.sources.ee_reduce import BandRule, QualityRule, SceneRule, Tests
from eco_index.sources.scene import Scene


@dataclass(frozen=True)
class Judged:
    """A scene with the rule by which the service reads it."""

    item: Numbered
    rule: SceneRule
    image: str


def judge(item: Numbered, dataset: Dataset, dataset_id: str, grid: Grid) -> Judged:
    """Return the rule by which the service reads a scene: that of `scene_windows`, in tests.

    Parameters
    ----------
    item : Numbered
        The scene.
    dataset, dataset_id
        Its catalogue entry.
    grid : Grid
        The region's grid.

    Raises
    ------
    Unusable
        A band is missing or cannot be decoded safely.
    UsageError
        The imagery is so much finer than the grid that pixels are averaged here.
    """
    scene = item.scene
    assert dataset.mask is not None
    *measured, mask = sensors.needed_bands(dataset)
    bands, images = [], set()
    for band in measured:
        rule, ref = _band_rule(scene, dataset, band, _href(scene, band))
        _refuse_finer(ref, dataset_id, band, grid)
        bands.append(rule)
        images.add(ref.image)
    href = _href(scene, mask)
    quality: tuple[QualityRule, ...] = ()
    valued: tuple[BandRule, ...] = ()
    if is_derived(href) and parse(href).kind == "value":
        names = parse(href).options["bands"]
        pairs = zip(names, parse(href).parts, strict=True)
        valued = tuple(_band_rule(scene, dataset, name, part.href)[0] for name, part in pairs)
    else:
        refs = [BandRef.parse(leaf) for leaf in leaves(href)]
        quality = _quality_rules(scene, dataset, mask, refs)
        images |= {ref.image for ref in refs}
    if len(images) != 1:
        raise Unusable(mask, f"its bands are those of {len(images)} images")
    return Judged(item, SceneRule(quality, valued, tuple(bands)), images.pop())


def _href(scene: Scene, band: str) -> str:
    if band not in scene.assets:
        raise Unusable(band, f"band {band} missing: scene has {', '.join(scene.assets)}")
    href = scene.assets[band].href
    if not all(is_earth_engine(leaf) for leaf in leaves(href)):
        raise Unusable(band, "not an image of Earth Engine")
    return href


def _band_rule(scene: Scene, dataset: Dataset, band: str, href: str) -> tuple[BandRule, BandRef]:
    ref = BandRef.parse(href)
    try:
        decode = sensors.decode_of(dataset, band, scene.properties)
    except EcoError as error:
        raise Unusable(band, error.what) from None
    nodata = ref.fill if math.isnan(decode.nodata) else decode.nodata
    known = sensors.Decode(decode.scale, decode.offset, nodata, decode.valid_min, decode.valid_max)
    return BandRule(ref.band, ref.fill, known), ref


def _refuse_finer(ref: BandRef, dataset_id: str, band: str, grid: Grid) -> None:
    crs = crs_of(ref.crs).to_wkt()
    pixel = warp.source_pixel_m(ref.affine, ref.width, ref.height, crs, grid)
    if warp.subsamples_of(pixel, grid.resolution):
        raise UsageError(
            f"band {band} has pixels of {pixel:.0f} m, the grid of {grid.resolution:g} m: Earth "
            "Engine would take them from its reduced copies, which are not their mean",
            where=f"dataset '{dataset_id}', access 'reduce: server'",
            rule="composites made there and here must be the same",
            fix="write 'reduce: here', or choose a grid nearer to the imagery's resolution",
        )


def _quality_rules(
    scene: Scene, dataset: Dataset, band: str, refs: Sequence[BandRef]
) -> tuple[QualityRule, ...]:
    assert dataset.mask is not None
    for ref in refs:
        kind = np.dtype(ref.dtype)
        if kind.kind not in "iu" or kind.itemsize > 2:
            raise Unusable(band, f"a quality band of type {kind} cannot be looked up")
    decode = sensors.decode_of(dataset, band, scene.properties)
    nodata = refs[0].fill if math.isnan(decode.nodata) else decode.nodata
    main = quality_lut(dataset, nodata, np.dtype(refs[0].dtype))
    plain = sensors.mask_lut(dataset.mask.recipe, dataset.mask.version)
    luts = [main]
    for values in guard_values(dataset, plain):
        # A guard writes a quality value: what that means to the main recipe is its code here.
        luts.append(np.where(values < 0, sensors.CLEAR, main[np.maximum(values, 0)]))
    return tuple(_quality_rule(ref, lut) for ref, lut in zip(refs, luts, strict=True))


def _quality_rule(ref: BandRef, lut: np.ndarray) -> QualityRule:
    kind = np.dtype(ref.dtype)
    codes = lut[: 1 << (8 * kind.itemsize)].astype(np.uint8).tobytes()
    clear, missing, snow = _tests_of(codes)
    bits = 8 * kind.itemsize if kind.kind == "i" else 0
    return QualityRule(ref.band, int(ref.fill), clear, missing, snow, bits)


@lru_cache(maxsize=64)
def _tests_of(codes: bytes) -> tuple[Tests, Tests, Tests]:
    """Return the tests of clear, missing and snowy values of a look-up table."""
    lut = np.full(65536, sensors.BAD, np.uint8)
    lut[: len(codes)] = np.frombuffer(codes, np.uint8)
    clear, missing, snow = (
        bit_tests(lut == code) for code in (sensors.CLEAR, sensors.FILL, sensors.SNOW)
    )
    return clear, missing, snow
