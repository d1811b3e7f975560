"""The service in this process, with its clock in our hand: midnight UTC, and stopping busy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio

from scoreboard.addresses import SqliteFile
from scoreboard.cli import demo
from scoreboard.live.publisher import LONGEST_SLEEP
from scoreboard.periods import Period
from scoreboard.scoring.completion import Completion
from scoreboard.settings import Settings
from scoreboard.wiring import open_scoreboard
from tests.support.clock import FakeClock, Naps


async def test_the_new_days_board_is_shown_empty_at_once(tmp_path: Path, clock: FakeClock) -> None:
    settings = Settings(
        database=SqliteFile(tmp_path / "board.db"), jwt_secret=b"x" * 32, broadcast_interval_ms=10
    )
    await demo.prepare(settings)
    async with open_scoreboard(settings, clock) as scoreboard:
        ada = await scoreboard.accounts.enter("ada", "Ada")
        await scoreboard.submissions.submit(Completion(ada, "join-the-game", "print"))
        hub = scoreboard.publisher.hubs["daily"]
        naps = Naps()
        calendar = asyncio.create_task(scoreboard.publisher.turn_pages(naps.sleep))

        async def shown(name: str) -> bytes:
            with anyio.fail_after(5):
                async for frame in hub.watch():
                    if name.encode() in frame.data:
                        return frame.data
            raise AssertionError(name)

        assert b'"Ada"' in await shown("2026-11-21")
        assert await naps.taken() == LONGEST_SLEEP
        clock.advance(seconds=14.5 * 3600 - 0.25)
        naps.wake()
        assert await naps.taken() == 0.25
        assert hub.frame
        assert hub.frame.data == await shown("2026-11-21")
        clock.advance(seconds=0.25)
        naps.wake()
        assert b'"users":[]' in await shown("2026-11-22")
        bob = await scoreboard.accounts.enter("bob", "Bob")
        await scoreboard.submissions.submit(Completion(bob, "join-the-game", "print"))
        assert b'"Ada"' not in await shown('"Bob"')
        calendar.cancel()
        await asyncio.wait([calendar])


async def test_stopping_while_busy_records_what_was_submitted(
    tmp_path: Path, clock: FakeClock
) -> None:
    settings = Settings(database=SqliteFile(tmp_path / "board.db"), jwt_secret=b"x" * 32)
    await demo.prepare(settings)
    async with open_scoreboard(settings, clock) as scoreboard:
        ada = await scoreboard.accounts.enter("ada", "Ada")
        under_way = [
            asyncio.create_task(
                scoreboard.submissions.submit(Completion(ada, "solve-a-puzzle", key, key))
            )
            for key in "abcdefgh"
        ]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*under_way)
    assert [answer.receipt.new_score for answer in answers] == [5 * n for n in range(1, 9)]
    async with open_scoreboard(settings, clock) as scoreboard:
        (entry,) = await scoreboard.standings.around(Period("all-time", ""), "ada", 0)
        assert entry.score == 40
