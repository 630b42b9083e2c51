"""Mock areas: outlines on free cells, effects against controls matched alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eco_index.analysis.matching import Units, level_and_trend, match_controls
from eco_index.analysis.mock_areas import mock_areas, mock_effects
from eco_index.analysis.restoration import restoration_effect
from eco_index.errors import InputError
from eco_index.methods import load_method

METHOD = load_method("restoration_effect")
YEARS = np.arange(2010, 2025)
WORKS = (2018, 2019)
CELL = 500.0


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.3, 1.0),
    most=st.integers(1, 30),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_areas_are_the_outline_on_free_cells_and_share_none(seed, share, most, shape) -> None:
    random = np.random.default_rng(seed)
    free = random.random((17, 23)) < 0.8
    block = random.random(shape) < 0.8
    block[0, 0] = True
    outline = np.argwhere(block) + np.array([6, 9])
    found = mock_areas(outline, free, share, most)
    assert len(found) <= most
    used = np.zeros(free.shape, int)
    ours = {tuple(x) for x in (outline - outline[0]).tolist()}
    for row, column in found:
        assert free[row, column].all() and len(row) >= share * len(outline)
        np.add.at(used, (row, column), 1)
        # Some shift of the outline holds every cell of the area.
        area = {(r, c) for r, c in zip(row.tolist(), column.tolist(), strict=True)}
        shifts = {(row[0] - a, column[0] - b) for a, b in ours}
        assert any(area <= {(a + y, b + x) for a, b in ours} for y, x in shifts)
    assert used.max(initial=0) <= 1
    if len(found) < most:  # then no further place is left
        left = free & (used == 0)
        for y in range(-17, 18):
            for x in range(-23, 24):
                at = outline + np.array([y, x])
                at = at[((at >= 0) & (at < free.shape)).all(axis=1)]
                assert left[tuple(at.T)].sum() < share * len(outline) + 1e-9


def cells(seed: int, side: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values (year, cell), centres, land class, and which cells are the project's."""
    random = np.random.default_rng(seed)
    values = 0.4 + 0.05 * random.normal(size=side * side) + random.normal(
        0, 0.02, (YEARS.size, side * side)
    )  # fmt: skip
    y, x = np.mgrid[:side, :side]
    project = ((y >= 12) & (y < 17) & (x >= 12) & (x < 17)).ravel()
    xy = np.column_stack([x.ravel(), y.ravel()]) * CELL + 7e5
    return values, xy, (y.ravel() // 15).astype(int), project


def parts(seed: int):
    values, xy, kind, project = cells(seed)
    before = WORKS[0] > YEARS
    table = level_and_trend(values[before], YEARS[before])
    return values, xy, kind, project, table


def test_the_effect_of_an_area_is_that_of_a_project_there() -> None:
    values, xy, kind, project, table = parts(0)
    others = Units(table[~project], kind[~project], xy[~project])
    found = mock_effects(xy[project], others, values[:, ~project], YEARS, *WORKS, METHOD, CELL)
    assert found.size >= 8
    # The nearest place for four fifths of 5 x 5 cells: 5 rows away, where the row next to the
    # project is left out, for areas and controls keep 1 km (2 cells) from the project.
    row, column = np.divmod(np.arange(900), 30)
    mine = (row >= 7) & (row < 11) & (column >= 12) & (column < 17)
    away = np.hypot(*(xy[:, None] - xy[project]).T).min(axis=0)
    pool = (away >= 1000) & ~mine
    assert away[mine].min() >= 1000
    units = [Units(table[k], kind[k], xy[k]) for k in (mine, pool)]
    control = match_controls(*units, METHOD).control(values[:, pool])
    peer = restoration_effect(values[:, mine], control, YEARS, *WORKS, METHOD, unit="1")
    assert found[0] == pytest.approx(peer.main.effect, abs=1e-12)


def test_the_interval_is_the_root_mean_square_of_the_areas() -> None:
    random = np.random.default_rng(1)
    mocks = random.normal(0, 0.02, 12)
    side = random.normal(size=(15, 4))
    got = restoration_effect(side, side * 0, YEARS, *WORKS, METHOD, unit="1", mocks=mocks)
    half = stats.t(11).ppf(0.975) * np.sqrt((mocks**2).mean() * (1 + 1 / 12))
    assert got.main.source == "areas"
    assert (got.main.low, got.main.high) == pytest.approx(
        (got.main.effect - half, got.main.effect + half)
    )
    years = restoration_effect(side, side * 0, YEARS, *WORKS, METHOD, unit="1")
    few = restoration_effect(side, side * 0, YEARS, *WORKS, METHOD, unit="1", mocks=mocks[:7])
    assert few.main == years.main and years.main.source == "years"
    assert got.main.effect == years.main.effect and (got.difference == years.difference).all()


def test_areas_serve_with_few_years_before() -> None:
    random = np.random.default_rng(2)
    side, years = random.normal(size=(4, 5)), np.array([2016, 2017, 2020, 2021])
    got = restoration_effect(
        side, side * 0, years, *WORKS, METHOD, unit="1", mocks=random.normal(size=10)
    )
    assert got.main.source == "areas" and got.main.n_before == 2
    alone = restoration_effect(side, side * 0, years, *WORKS, METHOD, unit="1")
    assert alone.main.source == "none"


def test_where_nothing_is_free_there_is_none() -> None:
    values, xy, kind, project, table = parts(3)
    near = ~project & (np.hypot(*(xy[:, None] - xy[project]).T).min(axis=0) < 1000)
    others = Units(table[near], kind[near], xy[near])
    assert mock_effects(xy[project], others, values[:, near], YEARS, *WORKS, METHOD, CELL).size == 0


def test_cells_beside_the_lattice_are_refused() -> None:
    values, xy, kind, project, table = parts(4)
    others = Units(table[~project], kind[~project], xy[~project] + [130.0, 0])
    with pytest.raises(InputError, match="lattice"):
        mock_effects(xy[project], others, values[:, ~project], YEARS, *WORKS, METHOD, CELL)
