"""Days, ISO weeks and instants."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreboard import periods
from scoreboard.periods import Period

instants = st.integers(0, 4_102_444_800_000)  # 1970 to 2100


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_an_instant_is_written_with_milliseconds_in_utc() -> None:
    assert periods.rfc3339(1_795_227_185_123) == "2026-11-21T02:13:05.123Z"


@pytest.mark.parametrize(
    ("when", "day", "week"),
    [
        ("2026-11-21T23:59:59", "2026-11-21", "2026-W47"),
        ("2026-11-22T23:59:59", "2026-11-22", "2026-W47"),
        ("2026-11-23T00:00:00", "2026-11-23", "2026-W48"),
        ("2027-01-01T12:00:00", "2027-01-01", "2026-W53"),
        ("2024-12-30T00:00:00", "2024-12-30", "2025-W01"),
    ],
)
def test_day_and_week(when: str, day: str, week: str) -> None:
    assert periods.day_name(instant(when)) == day
    assert periods.week_name(instant(when)) == week


@given(instants)
def test_a_current_period_can_be_named_by_a_client(now: int) -> None:
    for board in ("daily", "weekly"):
        period = periods.current(board, now)
        assert periods.parse(board, period.name) == period
    assert periods.current("all-time", now) == Period("all-time", "")


@given(instants, instants)
def test_later_periods_have_greater_names(one: int, other: int) -> None:
    """The board in memory rolls forward by comparing names."""
    early, late = sorted((one, other))
    for board in ("daily", "weekly"):
        assert periods.current(board, early).name <= periods.current(board, late).name


@pytest.mark.parametrize(
    ("board", "name"),
    [
        ("daily", "2026-02-30"),
        ("daily", "2026-W47"),
        ("daily", "20261121"),
        ("daily", "٢٠٢٦-١١-٢١"),
        ("weekly", "2026-W54"),
        ("weekly", "2025-W53"),
        ("weekly", "2026-W00"),
        ("weekly", "2026-11-21"),
        ("all-time", "2026-11-21"),
        ("daily", ""),
    ],
)
def test_a_malformed_period_is_refused(board: str, name: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        periods.parse(board, name)


@given(instants)
def test_midnight_is_the_first_instant_of_the_next_day(now: int) -> None:
    midnight = periods.next_midnight(now)
    assert now < midnight <= now + 86_400_000
    assert periods.day_name(midnight) != periods.day_name(midnight - 1) == periods.day_name(now)
