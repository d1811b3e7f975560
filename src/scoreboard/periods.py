"""Boards and their periods: which day and which ISO week an instant belongs to, in UTC.

An instant is a whole number of milliseconds since the Unix epoch throughout the service: exact, the
same type in Python and in every SQL dialect, and turned into text only on the wire.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

ALL_TIME: Final = "all-time"
DAILY: Final = "daily"
WEEKLY: Final = "weekly"
BOARDS: Final = (ALL_TIME, DAILY, WEEKLY)

Clock = Callable[[], int]
"""Gives the present instant in milliseconds since the epoch."""

_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Period(NamedTuple):
    """One ranking: a board in one of its periods. `name` is empty for `all-time`."""

    board: str
    name: str


def now_ms() -> int:
    """The wall clock as an instant."""
    return time.time_ns() // 1_000_000


@functools.lru_cache(maxsize=64)  # those of one batch share theirs
def rfc3339(instant: int) -> str:
    """An instant as the contract writes it: `2026-11-21T02:13:05.123Z`."""
    whole, millis = divmod(instant, 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def _date(instant: int) -> date:
    return datetime.fromtimestamp(instant // 1000, UTC).date()


def day_name(instant: int) -> str:
    """The UTC day of an instant: `2026-11-21`."""
    return _date(instant).isoformat()


def week_name(instant: int) -> str:
    """The ISO 8601 week of an instant: `2026-W47`. Its year is the week's, not the day's."""
    year, week, _ = _date(instant).isocalendar()
    return f"{year:04d}-W{week:02d}"


def current(board: str, instant: int) -> Period:
    """The period of `board` that runs at `instant`."""
    if board == DAILY:
        return Period(board, day_name(instant))
    if board == WEEKLY:
        return Period(board, week_name(instant))
    return Period(board, "")


def parse(board: str, name: str) -> Period:
    """The period of `board` that a client named.

    Raises `ValueError` when the name is malformed or names no real day or week.
    """
    if board == DAILY and _DAY.fullmatch(name):
        date.fromisoformat(name)
        return Period(board, name)
    if board == WEEKLY and (match := _WEEK.fullmatch(name)):
        date.fromisocalendar(int(match[1]), int(match[2]), 1)
        return Period(board, name)
    raise ValueError(name)


def next_midnight(instant: int) -> int:
    """The first instant of the UTC day after the one of `instant`."""
    day = datetime.combine(_date(instant) + timedelta(days=1), datetime.min.time(), UTC)
    return int(day.timestamp()) * 1000
