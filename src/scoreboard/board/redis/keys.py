"""The keys of a period in Redis, what stands under them, and how long (pure, no I/O)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from scoreboard.board import Entry, Total
from scoreboard.periods import DAILY, WEEKLY, Period

CHANNEL: Final = "scoreboard:news"
"""Where the name of a board is published whose top 10 changed."""

SWEEPER: Final = "scoreboard:sweeper"
"""Held by the process whose turn it is to look for drift."""

PROBE: Final = "scoreboard:probe"
"""Written to see whether Redis takes writes again."""

# After its end a period is still written to by completions that were under way, and read by
# processes whose clock is slow: minutes. Two days leave time to look at it after a bad night.
KEPT_AFTER: Final = timedelta(days=2)
_MS: Final = timedelta(milliseconds=1)


class Keys(NamedTuple):
    """The keys of one period. The braces put all of them into one slot of a cluster."""

    mark: str
    order: str
    rows: str
    lock: str

    @property
    def read(self) -> tuple[str, str, str]:
        """What the scripts take that read a ranking, in their order."""
        return self.mark, self.order, self.rows

    def loading(self, token: str) -> tuple[str, str]:
        """The order and the rows that the load with this token fills."""
        return f"{self.order}:{token}", f"{self.rows}:{token}"


def keys_of(period: Period) -> Keys:
    """The keys of a period: `scoreboard:{daily:2026-11-21}:order` and its fellows."""
    name = f"{period.board}:{period.name}" if period.name else period.board
    tag = f"scoreboard:{{{name}}}"
    return Keys(f"{tag}:mark", f"{tag}:order", f"{tag}:rows", f"{tag}:load")


def lifetime_ms(period: Period, now: int) -> int:
    """For how many milliseconds from `now` Redis keeps a period: until `KEPT_AFTER` its end, and no
    less than that once it is over; 0 for ever.

    A duration, since an instant would be compared with the clock of Redis, and only that of the
    process, which chose the period, says when it ends.
    """
    if period.board == DAILY:
        end = date.fromisoformat(period.name) + timedelta(days=1)
    elif period.board == WEEKLY:
        year, week = period.name.split("-W")
        end = date.fromisocalendar(int(year), int(week), 1) + timedelta(weeks=1)
    else:
        return 0
    end_ms = int(datetime.combine(end, datetime.min.time(), UTC).timestamp()) * 1000
    return max(0, end_ms - now) + KEPT_AFTER // _MS


def row(total: Total) -> str:
    """What the rows hold of an account. The username is last, since it may contain anything."""
    return f"{total.version}|{total.reached:016d}|{total.total}|{total.username}"


def member(total: Total) -> str:
    """An account in the order. Redis sorts members of one score by their bytes: of equal totals the
    smaller log row is first, all of 16 digits, which is more than SQL can count up to.
    """
    return f"{total.reached:016d}{total.account_id}"


def entry(rank: int, account_id: str, text: str) -> Entry:
    """The place of an account whose row is `text`."""
    _, _, total, username = text.split("|", 3)
    return Entry(rank, account_id, username, int(total))
