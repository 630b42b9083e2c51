"""Series of the weather, and the doors that check units of weather and vegetation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.errors import InputError
from eco_index.yamlio import Text

#: Physical range of a unit; a value outside means another unit was given.
_RANGES = {
    "1": (-np.inf, np.inf), "mm": (0.0, 20000.0), "degC": (-90.0, 60.0), "K": (180.0, 340.0),
}  # fmt: skip
VEGETATION = {"1": (-1.0, 1.0), "%": (0.0, 100.0)}


@dataclass(frozen=True)
class Driver:
    """A series of the weather.

    Attributes
    ----------
    id : str
        ``rain``, ``temperature``.
    title : Text
    unit : {'mm', 'degC', 'K', '1'}
        '1' for indices such as SPEI.
    values : numpy.ndarray
        (time,), the same for all series, or the shape of the vegetation; NaN is missing.
    """

    id: str
    title: Text
    unit: str
    values: np.ndarray


def checked(
    name: str, values: np.ndarray, unit: str, ranges: dict[str, tuple[float, float]]
) -> np.ndarray:
    """Return values as floats, refused where they do not fit their unit."""
    if unit not in ranges:
        raise InputError(f"'{name}' has the unit '{unit}'.", rule=f"one of {', '.join(ranges)}")
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise InputError(f"'{name}' holds {array.dtype}.", rule="numbers; NaN is missing")
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    finite = array[np.isfinite(array)]
    low, high = ranges[unit]
    if finite.size and not (finite.min() >= low and finite.max() <= high):
        raise InputError(
            f"'{name}' runs from {finite.min():g} to {finite.max():g}.",
            rule=f"in the unit '{unit}' values are {low:g} to {high:g}; missing values are NaN",
            fix="scale the values, or name their unit",
        )
    return array


def stacked(drivers: Sequence[Driver], shape: tuple[int, ...]) -> np.ndarray:
    """Return drivers as (driver, time, series or 1)."""
    if not drivers:
        raise InputError("No series of the weather is given.", rule="rain at least")
    names = [d.id for d in drivers]
    if len(set(names)) != len(names):
        raise InputError(f"Two drivers have one name: {names}.")
    common = all(d.values.ndim == 1 for d in drivers)
    series = int(np.prod(shape[1:], dtype=np.int64))
    fields = []
    for d in drivers:
        values = checked(d.id, d.values, d.unit, _RANGES)
        if values.shape not in (shape[:1], shape):
            raise InputError(
                f"'{d.id}' has shape {values.shape}, the vegetation {shape}.",
                rule="a driver is one series (time,), or has the vegetation's shape",
            )
        flat = values.reshape(shape[0], -1)
        fields.append(flat if common else np.broadcast_to(flat, (shape[0], series)))
    return np.stack(fields).astype(np.float64)
