import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_index.errors import UsageError
from eco_index.period import Month, Period

periods = st.builds(Period, st.integers(1982, 2100), st.sampled_from([0, 1, 2]))


@given(periods)
def test_a_period_reads_back_from_its_id(period):
    assert Period.parse(period.id) == period


@given(periods)
def test_months_of_halves_make_up_the_year(period):
    year = Period(period.year)
    halves = [Period(period.year, h) for h in (1, 2)]
    assert halves[0].months() + halves[1].months() == year.months()
    assert halves[0].end + dt.timedelta(days=1) == halves[1].start
    assert (year.start, year.end) == (halves[0].start, halves[1].end)


@pytest.mark.parametrize(
    "text", ["", "25", "2025H3", "2025Q1", "2025-01", "H1", "20255", "二〇二五"]
)
def test_malformed_periods_say_how_to_write_one(text):
    with pytest.raises(UsageError) as error:
        Period.parse(text)
    assert "2025H1" in str(error.value)
    assert error.value.exit_code == 2


def test_years_before_30_m_imagery_are_refused():
    with pytest.raises(UsageError, match="1982"):
        Period.parse("1950")


@pytest.mark.parametrize(
    ("text", "today", "ok"),
    [
        ("2025", "2026-01-01", True),
        ("2025", "2025-10-01", True),  # season ended on 30 September
        ("2025", "2025-09-30", False),
        ("2025H1", "2025-07-01", True),
        ("2025H1", "2025-06-30", False),
        ("2027", "2026-01-01", False),
    ],
)
def test_a_period_is_assessed_only_when_its_imagery_is_complete(text, today, ok):
    period, day = Period.parse(text), dt.date.fromisoformat(today)
    if ok:
        period.ensure_complete(9, day)
    else:
        with pytest.raises(UsageError, match="future|not complete"):
            period.ensure_complete(9, day)


def test_like_is_compared_with_like():
    assert Period.parse("2025H2").previous() == Period.parse("2024H2")
    assert Period.parse("2025H1").months(4, 9) == [Month(2025, m) for m in (4, 5, 6)]
    assert Month.parse("2024-02").end.day == 29
