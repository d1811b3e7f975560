"""One instant a batch sets the time, the day and the week of all that is in it."""

from __future__ import annotations

import time

from scoreboard import periods
from scoreboard.periods import BOARDS
from scoreboard.scoring.completion import Completion
from scoreboard.scoring.postgres_log import PostgresLog
from scoreboard.scoring.sqlite_log import SqliteLog
from scoreboard.settings import Settings
from scoreboard.wiring import open_log
from tests.support.clock import FakeClock
from tests.support.engine import Engine

LAST_MS = periods.next_midnight(FakeClock().now) - 1


async def test_a_batch_that_midnight_passes_through_is_of_one_day(engine: Engine) -> None:
    """However often the clock is looked at meanwhile."""
    looks = iter(range(LAST_MS, LAST_MS + 1000))
    kind = PostgresLog if engine.database.dialect == "postgresql" else SqliteLog
    log = kind(engine.database, boards=BOARDS, clock=lambda: next(looks))
    names = ("ada", "bob", "cy")
    await log.append([Completion(await engine.account(name), "daily", "daily") for name in names])
    rows = await engine.query("SELECT slot, day, week, completed_at_ms AS at_ms FROM action_log")
    once = {"slot": "2026-11-21", "day": "2026-11-21", "week": "2026-W47", "at_ms": LAST_MS}
    assert [dict(row) for row in rows] == [once] * 3


async def test_on_postgresql_the_clock_is_the_databases(engine: Engine, settings: Settings) -> None:
    """It is the same for all servers, whose own may differ."""
    log = open_log(engine.database, settings, lambda: 0)  # by their own it is 1970
    await log.append([Completion(await engine.account("ada"), "once", "once")])
    (row,) = await engine.query("SELECT completed_at_ms AS at_ms FROM action_log")
    now = time.time() * 1000 if engine.database.dialect == "postgresql" else 0
    assert abs(row["at_ms"] - now) < 60_000
    assert abs(await log.now() - now) < 60_000
