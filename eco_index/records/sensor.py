"""Records of sensors (``configs/sensors/*.yaml``): bands, scales, masks and sources."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from eco_index import yamlio
from eco_index.errors import UsageError
from eco_index.yamlio import Strict, Text, configs_folder

OffsetRule = Literal["none", "sentinel2_baseline_0400"]


class _Sparse(Strict):
    """Fields named in `_SPARSE` are left out of dumps where they say nothing.

    Dumps go into digests: a field that is new must not make stored results stale.
    """

    @model_serializer(mode="wrap")
    def _without_silent_fields(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {k: v for k, v in data.items() if k not in self._sparse() or v not in (None, [], ())}

    @classmethod
    def _sparse(cls) -> set[str]:
        return set()


class Band(_Sparse):
    """How one band of an imagery dataset is stored.

    Physical value = stored value x scale + offset (an offset rule may replace the offset).
    """

    asset: tuple[str, ...] = Field(description="asset keys in order of preference")
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    valid_range: tuple[float, float] | None = Field(
        None, description="range of stored values that are measurements"
    )
    units: str = "1"
    saturation_bit: int | None = Field(
        None, ge=0, le=15, description="bit of the saturation band that says this band saturated"
    )

    @classmethod
    def _sparse(cls) -> set[str]:
        return {"saturation_bit"}


class Guard(Strict):
    """Another quality band that may take a pixel out: it can spoil, never clear."""

    band: str
    recipe: str
    version: int = 1


class Mask(_Sparse):
    """Which band and which recipe (eco_index.sensors.MASK_RECIPES) say what a pixel shows."""

    band: str
    recipe: str
    version: int = 1
    also: tuple[Guard, ...] = Field((), description="further quality bands on the same pixels")

    @classmethod
    def _sparse(cls) -> set[str]:
        return {"also"}


class RecordBand(Band):
    """A band as a record describes it: also for people."""

    title: Text
    wavelength_nm: tuple[float, float] | None = None
    resolution_m: float | None = Field(None, description="where it differs from the record's")
    resampling: Literal["bilinear or mean", "nearest"] = "bilinear or mean"

    def plain(self, asset: tuple[str, ...] | None = None) -> Band:
        """Return what reading needs, under an archive's asset keys where they are given."""
        fields = {name: getattr(self, name) for name in Band.model_fields}
        return Band(**fields | ({"asset": asset} if asset else {}))


class SensorRecord(Strict):
    """What a product of a sensor means."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Text
    operator: str
    level: Text
    platforms: tuple[str, ...] = Field(description="as `platform_id` writes them; () where any")
    years: tuple[int, int | None] | None = None
    resolution_m: float | None
    offset_rule: OffsetRule = "none"
    bands: dict[str, RecordBand]
    mask: Mask
    spectral_family: Literal["tm", "etm", "oli", "msi"] | None = Field(
        None, description="whose coefficients of harmonisation hold"
    )
    references: tuple[str, ...] = Field(min_length=1)
    notes: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SensorRecord:
        for name in (self.mask.band, *(g.band for g in self.mask.also)):
            if name not in self.bands:
                raise ValueError(f"mask band '{name}' is not among the bands")
            if self.bands[name].resampling != "nearest":
                raise ValueError(f"mask band '{name}' must be resampled 'nearest'")
        return self


def platform_id(text: str) -> str:
    """Write a platform's name one way: 'LANDSAT_8' and 'Landsat-8' are 'landsat-8'.

    'Sentinel-2A' is 'sentinel-2a', 'S2A' too; 'GF1' and 'HJ2A' are lower-cased.
    """
    name = re.sub(r"[\s_]+", "-", text.strip().lower())
    short = re.fullmatch(r"s(2[abcd])", name)
    if short:
        return f"sentinel-{short[1]}"
    short = re.fullmatch(r"(?:landsat-?|l[ceto]0?)(\d)", name)
    return f"landsat-{short[1]}" if short else name


def known_records() -> list[str]:
    """Return the ids of all records."""
    return sorted(p.stem for p in (configs_folder() / "sensors").glob("*.yaml"))


@lru_cache(maxsize=64)
def load_record(record_id: str) -> SensorRecord:
    """Read the record of a sensor.

    Raises
    ------
    UsageError
        There is no such record, or its file is malformed.
    """
    if record_id not in known_records():
        raise UsageError(
            f"there is no sensor record '{record_id}'",
            where=str(configs_folder() / "sensors"),
            rule=f"known records: {', '.join(known_records())}",
            fix="correct 'record' in the catalogue, or write 'bands' and 'mask' there yourself",
        )
    record = yamlio.load(configs_folder() / "sensors" / f"{record_id}.yaml", SensorRecord)
    if record.id != record_id:
        raise UsageError(f"sensor record {record_id}.yaml has the id '{record.id}'")
    return record
