"""What every board does alike: order, version guard, ranks, neighbours, refilling."""

from __future__ import annotations

import asyncio

import pytest

from scoreboard.board import Total, standings
from scoreboard.board.memory import MemoryBoard
from scoreboard.errors import Unavailable
from scoreboard.periods import BOARDS, Period
from scoreboard.scoring.rebuild import rebuild
from tests.support.clock import Naps
from tests.support.engine import Engine

ALL = Period("all-time", "")


def total(account_id: str, points: int, reached: int, version: int = 1) -> Total:
    return Total(ALL, account_id, account_id.title(), points, reached, version)


async def names(engine: Engine, period: Period = ALL) -> list[str]:
    return [entry.account_id for entry in await engine.board.page(period, offset=0, limit=100)]


async def test_the_higher_score_leads_then_the_earlier(engine: Engine) -> None:
    await engine.board.apply([total("late", 5, 3), total("top", 9, 2), total("early", 5, 1)])
    assert await names(engine) == ["top", "early", "late"]


async def test_an_older_version_loses(engine: Engine) -> None:
    await engine.board.apply([total("ada", 5, 1, 2)])
    applied = await engine.board.apply([total("ada", 3, 2, 1), total("ada", 4, 3, 2)], ask=["ada"])
    assert applied == (frozenset(), {"ada": 1})
    assert [entry.score for entry in await engine.board.page(ALL, offset=0, limit=1)] == [5]


async def test_nothing_and_less_is_on_no_place_but_keeps_its_version(engine: Engine) -> None:
    await engine.board.apply([total("ada", 5, 1, 1)])
    applied = await engine.board.apply([total("ada", 0, 2, 3)], ask=["ada", "nobody"])
    assert applied == (frozenset({"all-time"}), {"ada": None, "nobody": None})
    await engine.board.apply([total("ada", 5, 1, 2)])
    assert await names(engine) == []


async def test_around_stops_at_both_ends(engine: Engine) -> None:
    await engine.board.apply([total(f"p{place}", 100 - place, place) for place in range(1, 8)])

    async def around(name: str, reach: int) -> list[int]:
        return [entry.rank for entry in await engine.board.around(ALL, name, reach)]

    assert await around("p1", 2) == [1, 2, 3]
    assert await around("p4", 2) == [2, 3, 4, 5, 6]
    assert await around("p7", 2) == [5, 6, 7]
    assert await around("p4", 0) == [4]
    assert await around("nobody", 2) == []


async def test_a_period_that_is_not_current_is_not_held(engine: Engine) -> None:
    yesterday = Period("daily", "2026-11-20")
    assert not engine.board.holds(yesterday)
    applied = await engine.board.apply([total("ada", 5, 1)._replace(period=yesterday)])
    assert applied.changed == frozenset()


async def test_after_a_clock_that_ran_ahead_the_stream_is_still_told(engine: Engine) -> None:
    engine.clock.advance(days=1)
    assert engine.board.holds(Period("daily", "2026-11-22"))
    engine.clock.advance(days=-1)
    await engine.complete("ada", "once")
    assert engine.changes[-1] == frozenset(BOARDS)
    page = await engine.standings.page(Period("daily", "2026-11-21"), offset=0, limit=10)
    assert [entry.account_id for entry in page] == ["ada"]


async def test_a_board_is_filled_from_the_score_rows(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "SLICE", 10)
    for number in range(25):
        await engine.complete(f"p{number}", "often", str(number))
    before = await names(engine)
    engine.board = MemoryBoard(BOARDS, engine.clock)
    engine.__post_init__()
    assert await names(engine) == []
    assert await engine.refill.fill() == 75
    assert await names(engine) == before
    await engine.assert_sound()


async def test_rebuilding_changes_nothing_that_is_right(engine: Engine) -> None:
    await engine.complete("ada", "once")
    assert await rebuild(engine.database, BOARDS, engine.clock) == 0
    await engine.assert_sound()


async def test_rebuilding_mends_the_scores_and_the_running_board_follows(engine: Engine) -> None:
    for name in ("ada", "bob", "cy"):
        await engine.complete(name, "once")
        await engine.complete(name, "daily")
    await engine.refill.fill()
    naps = Naps()
    looking = asyncio.create_task(engine.refill.run(naps.sleep))
    await naps.taken()
    await engine.change(
        "UPDATE scores SET total = 1000, version = version + 1 WHERE account_id = 'cy'",
        "DELETE FROM scores WHERE account_id = 'ada' AND board = 'daily'",
        "INSERT INTO scores VALUES ('daily', '2026-11-19', 'bob', 4, 1, 1)",
    )
    assert await rebuild(engine.database, BOARDS, engine.clock) == 5
    naps.wake()
    await naps.taken()
    orphan = await engine.query("SELECT total FROM scores WHERE period = '2026-11-19'")
    assert [row["total"] for row in orphan] == [0]
    await engine.change("DELETE FROM scores WHERE period = '2026-11-19'")
    await engine.assert_sound()
    looking.cancel()


async def test_a_reload_that_fails_is_repeated(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.complete("ada", "once")
    await engine.refill.fill()
    naps = Naps()
    looking = asyncio.create_task(engine.refill.run(naps.sleep))
    await naps.taken()
    await engine.change(
        "UPDATE scores SET total = 70, version = version + 1", "INSERT INTO rebuilds VALUES (9, 0)"
    )

    async def away(name: str, /, **binds: object) -> list[object]:
        raise Unavailable

    monkeypatch.setattr(engine.database._scanner, "fetch", away)
    naps.wake()
    await naps.taken()
    monkeypatch.undo()
    naps.wake()
    await naps.taken()
    assert [entry.score for entry in await engine.board.page(ALL, offset=0, limit=1)] == [70]
    looking.cancel()


async def test_boards_that_were_off_are_made_by_a_rebuild(engine: Engine) -> None:
    await engine.complete("ada", "once")
    await engine.change("DELETE FROM scores WHERE board = 'daily'")
    assert await rebuild(engine.database, ["all-time"], engine.clock) == 0
    assert await rebuild(engine.database, BOARDS, engine.clock) == 1
    await engine.assert_sound()
