"""Interim results: a period that is not complete, from the months that are over."""

from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pytest
from assessment_cube import build_cube, build_region

from eco_index.assessment import assess, assessment_digest
from eco_index.errors import UsageError
from eco_index.period import Period
from eco_index.plan import incomplete
from eco_index.report import render
from eco_index.summary import read_summary

YEAR = Period(2025)
IN_JULY = dt.date(2025, 7, 20)  # the season of the region lasts from May to August


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return build_region(tmp_path_factory.mktemp("interim"))


def test_only_months_that_are_over_count(region):
    cut = region.interim(IN_JULY)
    assert [m.id for m in cut.config.season_months(YEAR)] == ["2025-05", "2025-06"]
    assert [m.id for m in cut.config.period_months(YEAR)] == ["2025-05", "2025-06"]
    assert len(region.config.season_months(YEAR)) == 4
    # A month's last day is not over while it lasts.
    assert len(region.interim(dt.date(2025, 7, 31)).config.season_months(YEAR)) == 2
    assert len(region.interim(dt.date(2025, 8, 1)).config.season_months(YEAR)) == 3


def test_workers_get_the_same_months(region):
    cut = pickle.loads(pickle.dumps(region.interim(IN_JULY)))
    assert len(cut.config.season_months(YEAR)) == 2


def test_a_complete_period_is_final_though_interim_was_asked_for(region):
    cut = region.interim(dt.date(2025, 9, 1))
    assert not cut.config.is_interim(YEAR)
    assert cut.config.season_months(YEAR) == region.config.season_months(YEAR)


def test_a_running_season_is_refused_unless_interim_is_asked_for(region):
    with pytest.raises(UsageError, match="not complete"):
        region.config.ensure_complete(YEAR, IN_JULY)
    region.interim(IN_JULY).config.ensure_complete(YEAR, IN_JULY)
    assert incomplete(region, YEAR, IN_JULY)
    assert not incomplete(region.interim(IN_JULY), YEAR, IN_JULY)


def test_nothing_is_over_yet(region):
    with pytest.raises(UsageError, match="no month of the growing season of 2025 is over"):
        region.interim(dt.date(2025, 5, 20)).config.ensure_complete(YEAR)


def test_an_interim_summary_says_so_and_compares_with_nothing(region, tmp_path):
    view = build_cube(region)
    cut = region.interim(IN_JULY)
    programme = region.programmes["whole_region"]
    path = assess(cut, programme, YEAR, view, tmp_path / "interim", tag="2025")
    summary = read_summary(path)
    assert summary.status == "interim"
    assert summary.period.compared_with is None
    assert all(r.previous is None and r.kind == "state" for r in summary.rows)
    assert any("2025-05 to 2025-06" in n.en for n in summary.notes)
    assert "中期" in {p.name: p for p in render(path, ["zh"])}["report.zh.html"].read_text("utf-8")
    final = read_summary(assess(region, programme, YEAR, view, tmp_path / "final", tag="2025"))
    assert final.status == "final" and final.period.compared_with == "2024"
    digests = {assessment_digest(r, programme, YEAR, view) for r in (region, cut)}
    assert len(digests) == 2  # the final run makes the interim summary stale
    assert not np.isnan(final.rows[0].value)
