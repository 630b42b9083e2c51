"""Composites of NDVI as expressions for Earth Engine: the same rules as the kernels.

Only expressions are built here; nothing is sent. Every image is unmasked before anything is
computed with it, so that the service's own propagation of masks decides nothing: what is missing
follows from stored values and the catalogue's no-data values, as it does for files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eco_index.sensors import Decode

NDVI_FILL = -32768
NDVI_SCALE = 10000.0
# Weights below this (source pixels) do not count: that of `eco_index.warp`.
SNAP = 1e-5
VERSION = 1  # changes when results change: goes into digests

Tests = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class QualityRule:
    """What the values of a quality band say, as tests of bits (`eco_index.sensors.bit_tests`).

    Attributes
    ----------
    band : str
        Band id.
    fill : int
        Stored value given to masked pixels.
    clear, missing, snow : tuple of (int, int)
        Values that are clear, no observation, snow.
    signed_bits : int
        8 or 16 for a signed type, whose values are looked up by their bits; else 0.
    """

    band: str
    fill: int
    clear: Tests
    missing: Tests
    snow: Tests = ()
    signed_bits: int = 0


@dataclass(frozen=True)
class BandRule:
    """A measured band: masked pixels become `fill`; then as for files (`Decode`)."""

    band: str
    fill: float
    decode: Decode


@dataclass(frozen=True)
class SceneRule:
    """How an image becomes NDVI and counts; equal for all images that are mapped together.

    Attributes
    ----------
    quality : tuple of QualityRule
        The main quality band and its guards, which only judge what is clear before them.
    valued : tuple of BandRule
        In place of quality bands: clear where all of them have a value.
    bands : tuple of BandRule
        NDVI, or red and near infrared.
    """

    quality: tuple[QualityRule, ...]
    valued: tuple[BandRule, ...]
    bands: tuple[BandRule, ...]


@dataclass(frozen=True)
class Wanted:
    """A composite.

    Attributes
    ----------
    alone : tuple of (SceneRule, tuple of str)
        Ids of images of which each counts for itself, by rule.
    days : tuple of tuple of (SceneRule, str)
        Images of one day, which count once together.
    snow : bool
        Whether snow is counted.
    percentile : (str, float), optional
        Layer that holds a percentile of the clear NDVI beside the maximum, and its place, 0 to 1
        (0.5 is the median).
    """

    alone: tuple[tuple[SceneRule, tuple[str, ...]], ...]
    days: tuple[tuple[tuple[SceneRule, str], ...], ...] = ()
    snow: bool = False
    percentile: tuple[str, float] | None = None

    @property
    def dtypes(self) -> dict[str, str]:
        """Bands of the answer with their types, in order."""
        more = {} if self.percentile is None else {self.percentile[0]: "int16"}
        return {"ndvi_max": "int16"} | dict.fromkeys(self.counts, "uint16") | more

    @property
    def counts(self) -> tuple[str, ...]:
        """Bands that add up."""
        return ("clear_count", "obs_count", *(("snow_count",) if self.snow else ()))

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(len(ids) for _, ids in self.alone) + sum(map(len, self.days))


def composite_image(ee: Any, wanted: Wanted) -> Any:
    """Return the expression of a composite.

    Parameters
    ----------
    ee : module
        The client.
    wanted : Wanted
        At least one image.

    Returns
    -------
    ee.Image
        Bands of `Wanted.dtypes`: NDVI x 1e4 rounded half away from zero, -32768 where nothing was
        clear; counts of clear and of all observations.
    """
    parts, single = [], []
    for rule, ids in wanted.alone:

        def prepared(image: Any, rule: SceneRule = rule) -> Any:
            return _scene_image(image, rule, wanted.snow)

        images = ee.ImageCollection.fromImages([ee.Image(i) for i in ids]).map(prepared)
        single.append(images)
        parts.append(_reduced(images, wanted))
    for day in wanted.days:
        images = ee.ImageCollection.fromImages(
            [_scene_image(ee.Image(i), rule, wanted.snow) for rule, i in day]
        )
        single.append(images)
        parts.append(images.max())
    out = parts[0] if len(parts) == 1 else _reduced(ee.ImageCollection.fromImages(parts), wanted)
    if wanted.percentile is None:
        return out
    observations = single[0]
    for images in single[1:]:
        observations = observations.merge(images)
    layer, fraction = wanted.percentile
    return out.addBands(_percentile(ee, observations, wanted.images, fraction).rename([layer]))


def _reduced(images: Any, wanted: Wanted) -> Any:
    highest = images.select(["ndvi_max"]).max().toInt16()
    return highest.addBands(images.select(list(wanted.counts)).sum().toUint16())


def _percentile(ee: Any, images: Any, number: int, fraction: float) -> Any:
    """Return a percentile of the clear NDVI: definition 7 of Hyndman & Fan, as the kernels do.

    The service's own percentile reducer does not say how it interpolates. Here values are sorted
    and picked by their places: what is not clear is the smallest and comes first.
    """
    values = images.select(["ndvi_max"]).toArray().arraySort()
    clear = images.select(["clear_count"]).sum().toDouble()
    last = clear.subtract(1.0).max(0.0)
    at = last.multiply(fraction)
    low = at.floor()
    part = at.subtract(low)
    first = clear.multiply(-1.0).add(float(number))  # place of the smallest clear value

    def value_at(place: Any) -> Any:
        row = place.add(first).min(number - 1.0).toInt32().rename(["row"])
        return values.arrayGet(row.addBands(ee.Image.constant(0))).toDouble()

    a, b = value_at(low), value_at(low.add(1.0).min(last))
    step = b.subtract(a)
    # From the nearer end, as the kernels and NumPy do.
    far = b.subtract(step.multiply(part.multiply(-1.0).add(1.0)))
    value = a.add(step.multiply(part)).where(part.gte(0.5), far)
    return _rounded(value).toInt16()


def _rounded(scaled: Any) -> Any:
    """Round half away from zero: the service's own rounding of halves is not documented."""
    return scaled.abs().add(0.5).floor().multiply(scaled.signum())


def _scene_image(image: Any, rule: SceneRule, snow: bool) -> Any:
    clear, missing, snowy = _judged(image, rule)
    ndvi, good = _ndvi(image, rule.bands)
    good = good.And(ndvi.gte(-1.0)).And(ndvi.lte(1.0)).And(clear)
    rounded = _rounded(ndvi.multiply(NDVI_SCALE))
    out = rounded.where(good.Not(), NDVI_FILL).toInt16().rename(["ndvi_max"])
    out = out.addBands(good.toUint16().rename(["clear_count"]))
    out = out.addBands(missing.Not().toUint16().rename(["obs_count"]))
    return out.addBands(snowy.toUint16().rename(["snow_count"])) if snow else out


def _judged(image: Any, rule: SceneRule) -> tuple[Any, Any, Any]:
    """Return where an image is clear, has no observation, shows snow; nearest pixel."""
    if rule.valued:
        clear = None
        for band in rule.valued:
            valid = _valid(_stored(image, band.band, band.fill), band.decode)
            clear = valid if clear is None else clear.And(valid)
        assert clear is not None
        return clear, clear.Not(), clear.multiply(0)
    main, *guards = rule.quality
    values = _quality(image, main)
    clear, missing, snowy = (_any(values, t) for t in (main.clear, main.missing, main.snow))
    for guard in guards:
        values = _quality(image, guard)
        missing = missing.Or(clear.And(_any(values, guard.missing)))
        snowy = snowy.Or(clear.And(_any(values, guard.snow)))
        clear = clear.And(_any(values, guard.clear))
    return clear, missing, snowy


def _quality(image: Any, rule: QualityRule) -> Any:
    values = _stored(image, rule.band, rule.fill)
    return values.bitwiseAnd((1 << rule.signed_bits) - 1) if rule.signed_bits else values


def _any(values: Any, tests: Tests) -> Any:
    """Return where one of the tests holds."""
    found = None
    for mask, value in tests:
        one = values.bitwiseAnd(mask).eq(value)
        found = one if found is None else found.Or(one)
    return values.multiply(0) if found is None else found


def _stored(image: Any, band: str, fill: float) -> Any:
    value = int(fill) if float(fill).is_integer() else fill
    return image.select([band]).unmask(value, False)


def _valid(stored: Any, decode: Decode) -> Any:
    """Return where stored values are measurements (`kernels._is_value`)."""
    valid = stored.neq(decode.nodata)
    if math.isfinite(decode.valid_min):
        valid = valid.And(stored.gte(decode.valid_min))
    if math.isfinite(decode.valid_max):
        valid = valid.And(stored.lte(decode.valid_max))
    return valid


def _sampled(image: Any, rule: BandRule) -> tuple[Any, Any]:
    """Return physical values and where all source pixels with weight have one; bilinear."""
    stored = _stored(image, rule.band, rule.fill)
    good = _valid(stored, rule.decode).toDouble().resample("bilinear").gte(1.0 - SNAP)
    value = stored.toDouble().resample("bilinear")
    return value.multiply(rule.decode.scale).add(rule.decode.offset), good


def _ndvi(image: Any, bands: Sequence[BandRule]) -> tuple[Any, Any]:
    if len(bands) == 1:
        return _sampled(image, bands[0])
    (red, good_red), (nir, good_nir) = (_sampled(image, b) for b in bands)
    red, nir = red.max(0.0), nir.max(0.0)
    total = red.add(nir)
    good = good_red.And(good_nir).And(total.gt(0.0))
    return nir.subtract(red).divide(total.where(total.lte(0.0), 1.0)), good
