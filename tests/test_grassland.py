"""Grassland cover from plots: hand-computed cases, published bounds of Lanzhou 2022, bad tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_index.errors import InputError
from eco_index.indicators.grassland import GrasslandCover, Plot, county_cover, region_cover

PLOTS = [Plot("a", "meadow", "1", 80), Plot("a", "meadow", "2", 60), Plot("a", "desert", "3", 20)]
# app.myzaker.com 63b6bfda: county values in %; the city's published value is 54.94.
LANZHOU = (52.55, 55.48, 50.82, 48.72, 56.32, 53.04, 56.41)


def test_county_by_hand() -> None:
    got = county_cover("a", PLOTS, {"meadow": 300, "desert": 100})
    assert got.cover_percent == pytest.approx(0.75 * 70 + 0.25 * 20)
    assert got.area_ha == 400


def test_type_without_plots_is_named_not_zero() -> None:
    got = county_cover("a", PLOTS, {"meadow": 300, "desert": 100, "steppe": 5})
    assert (got.cover_percent, got.missing) == (None, ("steppe",))
    assert region_cover({"a": got, "b": GrasslandCover(50, 1, ())}).missing == ("a",)


@given(st.lists(st.floats(1, 1e6), min_size=7, max_size=7))
def test_region_lies_between_its_counties(areas: list[float]) -> None:
    pairs = zip(LANZHOU, areas, strict=True)
    cells = {str(i): GrasslandCover(c, a, ()) for i, (c, a) in enumerate(pairs)}
    cover = region_cover(cells).cover_percent
    assert cover is not None
    assert min(LANZHOU) - 1e-9 <= cover <= max(LANZHOU) + 1e-9


@pytest.mark.parametrize("cover", [-1, 100.5, math.nan])
def test_cover_outside_percent(cover: float) -> None:
    with pytest.raises(InputError, match="plot 9"):
        county_cover("a", [Plot("a", "meadow", "9", cover)], {"meadow": 1})


@pytest.mark.parametrize("areas", [{"meadow": 1}, {"meadow": -1, "desert": 1}, {}])
def test_bad_areas(areas: dict[str, float]) -> None:
    with pytest.raises(InputError):
        county_cover("a", PLOTS, areas)


def test_plot_twice() -> None:
    with pytest.raises(InputError, match="twice"):
        county_cover("a", [*PLOTS, PLOTS[0]], {"meadow": 1, "desert": 1})
