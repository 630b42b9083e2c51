"""From sums to the long table: one row a zone, indicator and variable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.change import ChangeSums
from eco_index.indicators import ZoneIndicator
from eco_index.products import PRODUCTS
from eco_index.summary import Evidence, Row, Zone, weakest
from eco_index.yamlio import Text
from eco_index.zonal import ZoneSums, stored


@dataclass(frozen=True)
class MethodMark:
    """What rows say of the method behind them.

    Attributes
    ----------
    label : str
        ``id@version``, or the clause of a standard.
    evidence : str
        Weakest evidence of the numbers it rests on.
    """

    label: str
    evidence: Evidence


@dataclass(frozen=True)
class Figures:
    """An indicator's numbers for all zones.

    Attributes
    ----------
    value : ndarray of float
        NaN: no value.
    denominator, valid, missing : ndarray
        Pixels (or shares of them) in the denominator, with a value, and without.
    low, high : ndarray of float or None
        Bounds if all pixels without data had the smallest or largest possible value.
    """

    value: np.ndarray
    denominator: np.ndarray
    valid: np.ndarray
    missing: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def build_rows(
    records: Sequence[ZoneIndicator],
    zones: Sequence[Zone],
    now: ZoneSums,
    before: ZoneSums | None,
    change: ChangeSums | None,
    pixel_km2: float,
    marks: dict[str, MethodMark],
    prefix: str,
) -> list[Row]:
    """Return the rows of some zones.

    Parameters
    ----------
    records : sequence of ZoneIndicator
        What to tell, in this order.
    zones : sequence of Zone
        Zones in the order of the sums.
    now, before : ZoneSums
        Sums of this period and of the one compared with.
    change : ChangeSums or None
        Pixel-by-pixel comparison.
    pixel_km2 : float
        Area of a pixel.
    marks : dict
        Method id to what rows say of it.
    prefix : str
        Start of the trace keys.
    """
    rows: list[Row] = []
    for record in records:
        mark = marks.get(record.method) or MethodMark(record.method or "-", record.evidence)
        evidence = weakest((mark.evidence, record.evidence))
        for variable, title, here, there in _variables(record, now, before, change, pixel_km2):
            for k, zone in enumerate(zones):
                value = _number(here.value[k])
                earlier = _number(there.value[k]) if there is not None else None
                key = f"{prefix}/{zone.id}/{record.id}" + (f"/{variable}" if variable else "")
                rows.append(
                    Row(
                        zone=zone.id,
                        indicator=record.id,
                        variable=variable,
                        kind="change" if record.change else "state",
                        title=title,
                        value=value,
                        unit=record.unit,
                        denominator=record.denominator,
                        denominator_km2=float(here.denominator[k]) * pixel_km2,
                        valid_km2=float(here.valid[k]) * pixel_km2,
                        no_data_km2=float(here.missing[k]) * pixel_km2,
                        previous=earlier,
                        change=None if value is None or earlier is None else value - earlier,
                        interval=_interval(here, k, value),
                        method=mark.label,
                        evidence=evidence,
                        provisional=evidence in ("recalled", "placeholder"),
                        trace=key,
                    )
                )
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _interval(figures: Figures, k: int, value: float | None) -> tuple[float, float] | None:
    if value is None or figures.low is None or figures.high is None:
        return None
    return float(figures.low[k]), float(figures.high[k])


def _variables(
    record: ZoneIndicator,
    now: ZoneSums,
    before: ZoneSums | None,
    change: ChangeSums | None,
    pixel_km2: float,
) -> Iterator[tuple[str, Text, Figures, Figures | None]]:
    if record.change:
        if change is not None:
            yield "", record.title, _compared(record, change, pixel_km2), None
        return
    if not record.variables:
        earlier = _figures(record, before, "", pixel_km2) if before is not None else None
        yield "", record.title, _figures(record, now, "", pixel_km2), earlier
        return
    for variable, title in record.variables.items():
        here = _figures(record, now, variable, pixel_km2)
        earlier = _figures(record, before, variable, pixel_km2) if before is not None else None
        # A class that occurs nowhere, now or then, is not worth a line for every zone.
        seen = [f for f in (here, earlier) if f is not None and np.nansum(f.value) > 0]
        if record.statistic == "bin_share" or seen:
            both = Text(
                zh=f"{record.title.zh}：{title.zh}",
                en=f"{record.title.en}: {title.en}",
            )
            yield variable, both, here, earlier


def _divide(part: np.ndarray, whole: np.ndarray, factor: float = 1.0) -> np.ndarray:
    out = np.full(part.shape, np.nan)
    np.divide(part * factor, whole, out=out, where=whole > 0)
    return out


def _figures(record: ZoneIndicator, sums: ZoneSums, variable: str, pixel_km2: float) -> Figures:
    """Return the numbers of a record that stands on one period."""
    pixels, product = sums.pixels, record.product
    if record.statistic == "observed_share":
        seen = sums.n_bin(product, 1)
        return Figures(_divide(seen, pixels, 100), pixels, seen, pixels - seen)
    if record.statistic == "mean_within":
        whole = sums.n_class("landcover", record.classes)
        valid = sums.n_valid(product, record.classes)
        mean = sums.mean(product, record.classes)
        return _mean_figures(record, mean, valid, whole - valid)
    valid = sums.n_valid(product)
    missing = pixels - valid
    if record.statistic == "mean":
        return _mean_figures(record, sums.mean(product), valid, missing)
    if record.statistic == "bin_share":
        return _share_figures(sums.n_bin(product, int(variable[1:])), valid, missing)
    codes = (int(variable),) if variable else record.classes
    n = sums.n_class(product, codes)
    if record.statistic == "share":
        return _share_figures(n, valid, missing)
    area = np.where(valid > 0, n * pixel_km2, np.nan)
    # Each pixel without data may or may not belong to the class.
    return Figures(area, valid, valid, missing, n * pixel_km2, (n + missing) * pixel_km2)


def _share_figures(n: np.ndarray, valid: np.ndarray, missing: np.ndarray) -> Figures:
    whole = valid + missing
    return Figures(
        _divide(n, valid, 100),
        valid,
        valid,
        missing,
        _divide(n, whole, 100),
        _divide(n + missing, whole, 100),
    )


def _mean_figures(
    record: ZoneIndicator, mean: np.ndarray, valid: np.ndarray, missing: np.ndarray
) -> Figures:
    low, high = PRODUCTS[record.product].valid_range
    if PRODUCTS[record.product].fill is None:  # counts: every pixel has a value
        return Figures(mean * record.factor, valid, valid, missing)
    whole = valid + missing
    total = np.where(valid > 0, mean, 0) * valid
    return Figures(
        mean * record.factor,
        valid,
        valid,
        missing,
        _divide((total + low * missing) * record.factor, whole),
        _divide((total + high * missing) * record.factor, whole),
    )


def _compared(record: ZoneIndicator, change: ChangeSums, pixel_km2: float) -> Figures:
    """Return the numbers of a record that compares two periods."""
    if record.statistic == "transition_area":
        both = change.n_both(record.product)
        n = change.n_transition(record.product, record.from_classes, record.to_classes)
    else:
        assert record.threshold is not None
        limit = stored(record.product, record.threshold)
        both = change.n_both(record.product, limit)
        fell = record.statistic == "decrease_area"
        n = change.n_fell(record.product, limit) if fell else change.n_rose(record.product, limit)
    missing = change.pixels - both
    area = np.where(both > 0, n * pixel_km2, np.nan)
    return Figures(area, both, both, missing, n * pixel_km2, (n + missing) * pixel_km2)
