"""What a programme needs summed: from its indicator records to specifications of sums."""

from __future__ import annotations

import difflib

from eco_index.change import ChangeSpec
from eco_index.config import Region
from eco_index.errors import UsageError
from eco_index.indicators import INDICATORS, ZoneIndicator
from eco_index.products import PRODUCTS
from eco_index.programme import ProgrammeConfig
from eco_index.zonal import SumSpec, stored

_CLASS_STATISTICS = ("area", "share")


def records_of(region: Region, programme: ProgrammeConfig) -> list[ZoneIndicator]:
    """Return the records of a programme's indicators that the region's data allow.

    Raises
    ------
    UsageError
        The programme names an indicator that does not exist.
    """
    for name in programme.indicators:
        if name not in INDICATORS:
            close = difflib.get_close_matches(name, INDICATORS, n=1)
            raise UsageError(
                f"there is no indicator '{name}'"
                + (f"; did you mean '{close[0]}'?" if close else ""),
                where=f"{programme.path}, key 'indicators'",
                rule=f"indicators: {', '.join(INDICATORS)}",
            )
    wanted = [INDICATORS[name] for name in programme.indicators]
    with_landcover = region.config.landcover is not None
    return [r for r in wanted if with_landcover or not r.needs_landcover]


def sum_spec(records: list[ZoneIndicator]) -> SumSpec:
    """Return the sums over one period that the records need."""
    values, classes = ["clear_count"], []
    breaks: dict[str, tuple[int, ...]] = {"clear_count": (1,)}
    grouped = False
    for record in records:
        if record.change:
            continue
        if record.statistic in _CLASS_STATISTICS:
            classes.append(record.product)
            continue
        values.append(record.product)
        if record.statistic == "bin_share":
            breaks[record.product] = tuple(stored(record.product, b) for b in record.breaks)
        if record.statistic == "mean_within":
            grouped = True
            classes.append("landcover")  # its class area is the denominator with data or without
    return SumSpec(
        values=tuple(dict.fromkeys(values)),
        classes=tuple(dict.fromkeys(classes)),
        group="landcover" if grouped else None,
        breaks=tuple(breaks.items()),
    )


def change_spec(records: list[ZoneIndicator]) -> ChangeSpec | None:
    """Return the comparisons of two periods that the records need, None for none."""
    classes: list[str] = []
    values: list[tuple[str, int]] = []
    for record in records:
        if not record.change:
            continue
        if record.statistic == "transition_area":
            classes.append(record.product)
        else:
            assert record.threshold is not None
            values.append((record.product, stored(record.product, record.threshold)))
    if not classes and not values:
        return None
    return ChangeSpec(tuple(dict.fromkeys(classes)), tuple(dict.fromkeys(values)))


def unit_spec() -> SumSpec:
    """Return the sums that official indices need of each unit."""
    return SumSpec(values=("ndvi_mean",), classes=("landcover",))


def products_read(*specs: SumSpec | ChangeSpec | None) -> tuple[str, ...]:
    """Return all products of several specifications, each once, in the cube's order."""
    named = {name for spec in specs if spec is not None for name in spec.products}
    return tuple(name for name in PRODUCTS if name in named)
