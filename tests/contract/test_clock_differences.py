"""A process, Redis and the processes beside it each have a clock, and they need not agree."""

from __future__ import annotations

import pytest

from scoreboard import periods
from scoreboard.board.redis.keys import keys_of
from scoreboard.periods import BOARDS, Period
from tests.support.clock import FakeClock
from tests.support.engine import Engine

DAY_MS = 86_400_000
DAYS = 30  # far more than the two days for which an ended period is kept

# What is left of a period at the start of its day and at the end of it: Redis counts to the second.
SLACK_MS = 60_000


@pytest.fixture(params=[-DAYS, DAYS], ids=["30 days behind Redis", "30 days ahead of Redis"])
def clock(request: pytest.FixtureRequest) -> FakeClock:
    """The process's clock, against that of the machine, which is the one Redis has."""
    return FakeClock(periods.now_ms() + request.param * DAY_MS)


async def remaining(engine: Engine, period: Period) -> list[int]:
    """For how many milliseconds more Redis keeps the mark, the order and the rows of a period."""
    assert engine.link
    return [await engine.link.redis.pttl(key) for key in keys_of(period).read]


def needed(engine: Engine, period: Period) -> int:
    """The milliseconds from now to two days after the period's end, by the process's clock."""
    end = engine.clock.now
    while periods.current(period.board, end) == period:
        end = periods.next_midnight(end)
    return end - engine.clock.now + 2 * DAY_MS


async def test_a_board_is_kept_until_two_days_after_its_period_by_the_clock_that_chose_it(
    engine: Engine,
) -> None:
    await engine.complete("ada", "once")
    for board in BOARDS:
        period = periods.current(board, engine.clock())
        (entry,) = await engine.board.page(period, offset=0, limit=10)  # raises when it is cold
        assert entry.account_id == "ada"
        if engine.link and board != "all-time":
            for left in await remaining(engine, period):
                assert 0 <= needed(engine, period) - left + SLACK_MS <= 2 * SLACK_MS
    if engine.link:
        assert await remaining(engine, Period("all-time", "")) == [-1] * 3  # it never ends


async def test_a_board_that_was_empty_for_a_while_is_kept_as_long(engine: Engine) -> None:
    """Redis drops an ordered set that becomes empty, and what it was told about its end with it."""
    today = periods.current("daily", engine.clock())
    await engine.complete("ada", "once")
    await engine.write("hide", "ada", reason="a bot")
    assert await engine.board.page(today, offset=0, limit=10) == []
    await engine.complete("bob", "once")
    assert [entry.account_id for entry in await engine.board.page(today, offset=0, limit=10)] == [
        "bob"
    ]
    if engine.link:
        mark, order, rows = await remaining(engine, today)
        assert max(mark, order, rows) - min(mark, order, rows) < SLACK_MS
        assert abs(needed(engine, today) - order) < SLACK_MS


async def test_processes_whose_clocks_differ_each_have_their_boards(engine: Engine) -> None:
    """The one at another date loads the boards of that date, and leaves the others alone."""
    await engine.complete("ada", "once")
    here = engine.clock.now
    engine.clock.now = periods.now_ms()
    await engine.sweep.look()
    await engine.complete("bob", "once")
    assert await engine.top("daily") == [("bob", 7)]
    engine.clock.now = here
    await engine.sweep.look()
    assert await engine.top("daily") == [("ada", 7)]
    assert await engine.top() == [("ada", 7), ("bob", 7)]
    await engine.assert_sound()
