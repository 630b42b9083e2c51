"""Masks that are computed while they are read: guarded, from values, or by a declared screen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from affine import Affine
from rasterio.windows import Window

from eco_index import sensors
from eco_index.catalog import Dataset
from eco_index.errors import InputError
from eco_index.sources.address import Derived
from eco_index.sources.opening import OpenRaster, open_asset


def open_derived(address: Derived, dataset: Dataset) -> OpenRaster:
    """Open a derived raster.

    Raises
    ------
    rasterio.errors.RasterioError, OSError
        A part cannot be opened.
    InputError
        The parts do not fit each other.
    """
    if address.kind == "rpc":
        from eco_index.sources.rpc import RpcRaster

        return RpcRaster(address, dataset)
    kinds: dict[str, type[GuardedMask] | type[ValueMask]] = {
        "mask": GuardedMask,
        "value": ValueMask,
        "screen": ScreenMask,
    }
    if address.kind not in kinds:
        raise InputError(f"there is no derived raster of kind '{address.kind}'")
    return kinds[address.kind](address, dataset)


class _OnOneGrid:
    """Parts that lie on the same pixels; the first gives the header."""

    def __init__(self, address: Derived, dataset: Dataset) -> None:
        self.address, self.dataset = address, dataset
        self.parts = [open_asset(p.href, dataset) for p in address.parts]
        self.bands = [p.band for p in address.parts]
        first = self.parts[0]
        for number, (part, band) in enumerate(zip(self.parts, self.bands, strict=True)):
            if band > part.count:
                raise InputError(f"a part of the mask has {part.count} band(s), not {band}")
            same = (part.width, part.height) == (first.width, first.height)
            if not (same and _close(part.transform, first.transform) and part.crs == first.crs):
                raise InputError(
                    f"part {number + 1} of the mask lies on another grid than the first "
                    f"({part.width} x {part.height} against {first.width} x {first.height} pixels)"
                )

    @property
    def crs(self) -> Any:
        return self.parts[0].crs

    @property
    def transform(self) -> Affine:
        return self.parts[0].transform

    @property
    def width(self) -> int:
        return self.parts[0].width

    @property
    def height(self) -> int:
        return self.parts[0].height

    @property
    def count(self) -> int:
        return 1

    @property
    def nodatavals(self) -> tuple[float | None, ...]:
        return (None,)

    def _part(self, number: int, window: Window | None) -> np.ndarray:
        return self.parts[number].read(self.bands[number], window=window)

    def _missing(self, number: int, band: str, data: np.ndarray) -> np.ndarray:
        """Where stored values of a band are no measurements."""
        entry = self.dataset.bands[band]
        nodata = entry.nodata
        if nodata is None:
            nodata = self.parts[number].nodatavals[self.bands[number] - 1]
        low, high = entry.valid_range or (-math.inf, math.inf)
        with np.errstate(invalid="ignore"):
            good = (data >= low) & (data <= high)
        if nodata is not None and nodata == nodata:
            good &= data != nodata
        return ~good


def _close(a: Affine, b: Affine) -> bool:
    scale = max(abs(a.a), abs(a.b), abs(a.d), abs(a.e))
    return all(abs(x - y) <= 1e-6 * scale for x, y in zip(a[:6], b[:6], strict=True))


class GuardedMask(_OnOneGrid):
    """A quality band in which further quality bands have spoiled pixels.

    Only pixels that the main recipe calls clear change: they get a stored value to which that
    recipe gives the guard's code, so that the dataset's own recipe goes on to be read.
    """

    def __init__(self, address: Derived, dataset: Dataset) -> None:
        super().__init__(address, dataset)
        assert dataset.mask is not None
        self.lut = sensors.mask_lut(dataset.mask.recipe, dataset.mask.version)
        self.guards = guard_values(dataset, self.lut)

    @property
    def nodatavals(self) -> tuple[float | None, ...]:
        return (self.parts[0].nodatavals[self.bands[0] - 1],)

    def read(self, band: int, window: Window | None = None) -> np.ndarray:
        data = _unsigned(self._part(0, window)).copy()
        for number, values in enumerate(self.guards, start=1):
            found = _unsigned(self._part(number, window))
            if values[0] < 0 and not found.any():
                continue  # the rule: hardly a scene has a saturated pixel
            spoilt = values[found]
            change = (spoilt >= 0) & (self.lut[data] == sensors.CLEAR)
            data[change] = spoilt[change].astype(data.dtype)
        return data


def guard_values(dataset: Dataset, lut: np.ndarray) -> list[np.ndarray]:
    """Return what each guard writes over pixels that are clear, by its own value; -1: nothing.

    Parameters
    ----------
    dataset : Dataset
        Imagery with a mask.
    lut : uint8[65536]
        Codes of the main quality band.
    """
    assert dataset.mask is not None
    read = [dataset.bands[b] for b in sensors.needed_bands(dataset)]
    bits = tuple(b.saturation_bit for b in read if b.saturation_bit is not None)
    return [
        _as_values(sensors.guard_lut(g.recipe, g.version, bits), lut) for g in dataset.mask.also
    ]


def _as_values(guard: np.ndarray, main: np.ndarray) -> np.ndarray:
    """Return for each guard value the main quality value to write, -1 for none."""
    out = np.full(guard.shape, -1, np.int32)
    for code in np.unique(guard):
        if code != sensors.CLEAR:
            out[guard == code] = sensors.value_of_code(main, int(code))
    return out


def _unsigned(data: np.ndarray) -> np.ndarray:
    if data.dtype.kind not in "iu" or data.dtype.itemsize > 2:
        raise InputError(f"a quality band of type {data.dtype} cannot be looked up")
    return data.view(f"u{data.dtype.itemsize}") if data.dtype.kind == "i" else data


class ValueMask(_OnOneGrid):
    """Clear where all bands that are read have a value in their valid range."""

    def read(self, band: int, window: Window | None = None) -> np.ndarray:
        out: np.ndarray | None = None
        for number, name in enumerate(self.address.options["bands"]):
            data = self._part(number, window)
            missing = self._missing(number, name, data)
            out = np.full(data.shape, sensors.CLEAR, np.uint8) if out is None else out
            out[missing] = sensors.FILL
        assert out is not None
        return out


class ScreenMask(ValueMask):
    """A declared simple screen: cloud where one band is brighter than the user's threshold."""

    def read(self, band: int, window: Window | None = None) -> np.ndarray:
        out = super().read(band, window)
        options = self.address.options
        number = options["bands"].index(options["band"])
        physical = self._part(number, window) * options["scale"] + options["offset"]
        bright = (physical > options["cloud_above"]) & (out == sensors.CLEAR)
        out[bright] = sensors.CLOUD
        return out
