"""Analyses on real series: a drought of decades over Inner Mongolia is not degradation."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from correlated_fields import covered, field
from scipy import stats
from shared_data import DATA, REAL

from eco_index.analysis.early_warning import NOT_EVALUATED as NO_LEVEL
from eco_index.analysis.early_warning import early_warning
from eco_index.analysis.gaps import cells_of, gap_error
from eco_index.analysis.residual_trend import NOT_EVALUATED, residual_trends
from eco_index.analysis.uncertainty import combine
from eco_index.analysis.weather import Driver
from eco_index.methods import load_method
from eco_index.yamlio import Text

pytestmark = REAL
SPEI = Text(zh="8月SPEI-3", en="SPEI-3 of August")
YEARS = np.arange(1981, 2026)


@pytest.fixture(scope="module")
def drought() -> np.ndarray:
    layers = []
    for year in YEARS:
        path = DATA / "inner_mongolia_spei03_aug" / f"SPEI_03_{year}_08.tif"
        with rasterio.open(path) as source:
            layers.append(source.read(1).astype(np.float64))
    return np.stack(layers)


def test_vegetation_that_follows_the_drought_is_not_called_damaged(drought: np.ndarray) -> None:
    """SPEI over the region falls (reference: p = 0.007); planted damage is still found."""
    random = np.random.default_rng(0)
    method = load_method("residual_trend")
    green = 0.45 + 0.05 * np.tanh(drought) + random.normal(0, 0.02, drought.shape)
    steady = residual_trends(green, YEARS, [Driver("spei", SPEI, "1", drought)], method)
    inside = np.isfinite(drought).all(axis=0)
    assert (steady.verdict[~inside] == NOT_EVALUATED).all() and (~inside).any()
    plain_fall = (steady.plain.p < 0.05) & (steady.plain.slope < 0) & inside
    assert plain_fall.mean(where=inside) > 0.15  # a plain trend map would show decline
    assert (steady.verdict[inside] == -1).mean() < 0.08  # the rule does not
    assert np.isin(steady.verdict[plain_fall], (-2, 9)).mean() > 0.75
    damage = green - 0.002 * (YEARS - YEARS[0])[:, None, None]
    found = residual_trends(damage, YEARS, [Driver("spei", SPEI, "1", drought)], method)
    assert (found.verdict[inside] == -1).mean() > 0.9
    assert np.nanmedian(found.left.slope[inside]) == pytest.approx(-0.002, rel=0.15)


def test_the_zone_of_all_pixels(drought: np.ndarray) -> None:
    """200 vegetation series that follow the zone's drought: plain trends fall, damage is rare."""
    zone = np.nanmean(drought, axis=(1, 2))
    noise = np.random.default_rng(1).normal(0, 0.01, (45, 200))
    green = 0.45 + 0.05 * zone[:, None] + noise
    found = residual_trends(
        green, YEARS, [Driver("spei", SPEI, "1", zone)], load_method("residual_trend"), year=2010
    )
    assert ((found.plain.p < 0.05) & (found.plain.slope < 0)).mean() > 0.5
    assert (found.verdict == -1).mean() < 0.08
    assert found.separable[0] > 0.8
    # 2010 was the driest August on record there: low, and no surprise.
    assert zone.argmin() == 29 and (found.anomaly[0] < -1).all()
    assert (found.year_verdict == -1).mean() > 0.93


@pytest.mark.parametrize("clump", [6, 15])
def test_intervals_of_real_fields_with_gaps_hold_the_truth(
    drought: np.ndarray, clump: float
) -> None:
    """45 years, five clouds each over the real region: nominal 95 % holds in 90-99 %."""
    found = []
    for i, layer in enumerate(drought):
        inside = np.isfinite(layer)
        for seed in range(5):
            random = np.random.default_rng(10 * i + seed)
            cloud = field(random, layer.shape[1], clump)[: layer.shape[0]]
            view = inside & (cloud > np.quantile(cloud[inside], random.uniform(0.1, 0.6)))
            error = gap_error(cells_of(np.where(view, layer, np.nan), inside), (-6, 6))
            got = combine(error.mean, [error.part()], load_method("uncertainty"), unit="1")
            found.append((got.low, got.high, layer[inside].mean()))
    assert 0.90 <= covered(found) <= 0.99


def test_the_drought_of_2010_is_warned_of(drought: np.ndarray) -> None:
    """Every pixel as a zone: 2010 against all other Augusts."""
    at = int(np.flatnonzero(YEARS == 2010)[0])
    flat = drought.reshape(YEARS.size, -1)
    got = early_warning(
        flat[at], np.delete(flat, at, axis=0), load_method("early_warning"), unit="1"
    )
    inside = np.isfinite(flat).all(axis=0)
    assert (got.level[np.isnan(flat[at])] == NO_LEVEL).all()
    assert (got.level[inside] >= 1).mean() > 0.5 and (got.rank[inside] == 1).mean() > 0.1
    for k in np.flatnonzero(inside)[::200]:
        past = np.delete(flat[:, k], at)
        assert got.z[k] == pytest.approx(stats.zmap(flat[at, k], past, ddof=1))
        want = stats.percentileofscore(past, flat[at, k], "mean")
        assert got.percentile[k] == pytest.approx(want)
    years = [
        early_warning(flat[i], np.delete(flat, i, axis=0), load_method("early_warning"), unit="1")
        for i in range(YEARS.size)
    ]
    shares = [(w.level[inside] >= 1).mean() for w in years]
    assert int(np.argmax(shares)) == at  # no other year is as bad
