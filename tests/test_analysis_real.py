"""Analyses on real series: a drought of decades over Inner Mongolia is not degradation."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

from eco_index.analysis.residual_trend import NOT_EVALUATED, residual_trends
from eco_index.analysis.weather import Driver
from eco_index.methods import load_method
from eco_index.yamlio import Text

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("ECO_SHARED", ROOT.parent / "shared")) / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not there (see ECO_SHARED)"),
]
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
