"""What every board does alike: order, version guard, ranks, neighbours, loading, repair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoreboard import periods
from scoreboard.board import Away, Cold, Total, standings, sweep
from scoreboard.board.memory import MemoryBoard
from scoreboard.errors import Unavailable
from scoreboard.ledger import database
from scoreboard.ledger.connection import Row, Transaction
from scoreboard.periods import BOARDS, Period
from scoreboard.scoring import rebuild as rebuilding
from scoreboard.scoring.completion import Completion
from scoreboard.scoring.rebuild import rebuild
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
    applied = await engine.board.apply([total("ada", 3, 2, 1), total("ada", 4, 3, 1)], ask=["ada"])
    assert applied == (frozenset(), {"ada": 1}, frozenset())
    assert [entry.score for entry in await engine.board.page(ALL, offset=0, limit=1)] == [5]


async def test_nothing_and_less_is_on_no_place_but_keeps_its_version(engine: Engine) -> None:
    await engine.board.apply([total("ada", 5, 1, 1)])
    applied = await engine.board.apply([total("ada", 0, 2, 3)], ask=["ada", "nobody"])
    assert applied.changed == {"all-time"}
    assert applied.ranks == {"ada": None, "nobody": None}
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


async def test_what_sql_says_of_the_same_version_wins(engine: Engine) -> None:
    await engine.board.apply([total("ada", 5, 1, 2)])
    await engine.board.apply([total("ada", 6, 2, 2)])
    assert [entry.score for entry in await engine.board.page(ALL, offset=0, limit=1)] == [6]


async def test_a_board_that_lost_everything_is_loaded_and_never_shown_half(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "SLICE", 10)
    for number in range(25):
        await engine.complete(f"p{number}", "often", str(number))
    before = await names(engine)
    await engine.lose_board()
    with pytest.raises(Cold):
        await names(engine)
    await engine.complete("p7", "once")  # takes nothing, tells nobody, and asks for a look
    assert engine.missed == 1
    with pytest.raises(Cold):
        await names(engine)
    page = await engine.standings.page(ALL, offset=0, limit=100)
    assert [entry.account_id for entry in page] == ["p7", *(n for n in before if n != "p7")]
    await engine.sweep.look()
    assert await names(engine) == [entry.account_id for entry in page]
    engine.missed = 0
    await engine.assert_sound()


async def test_readers_do_not_keep_a_board_from_being_loaded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are served from the score rows meanwhile, and take all the turns that they have."""
    await engine.complete("ada", "once")
    await engine.lose_board()
    begun, go_on = asyncio.Event(), asyncio.Event()
    fetch = engine.database._scanner.fetch

    async def slow(name: str, /, **binds: object) -> object:
        if name == "scores_page":
            begun.set()
            await go_on.wait()
        return await fetch(name, **binds)

    monkeypatch.setattr(engine.database._scanner, "fetch", slow)
    crowd = [
        asyncio.create_task(engine.standings.page(ALL, offset=place, limit=10))
        for place in range(database.MAX_SCANS + 5)
    ]
    await begun.wait()
    async with asyncio.timeout(3):
        await engine.sweep.look()
    assert await names(engine) == ["ada"]
    go_on.set()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_a_crowd_that_asks_for_one_page_is_one_reading(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.complete("ada", "once")
    readings = 0

    async def away(*_: object, **__: object) -> None:
        raise Away

    monkeypatch.setattr(engine.board, "page", away)  # at once: all of the crowd ask together
    fetch = engine.database._scanner.fetch

    async def counted(name: str, /, **binds: object) -> object:
        nonlocal readings
        readings += name == "scores_page"
        return await fetch(name, **binds)

    monkeypatch.setattr(engine.database._scanner, "fetch", counted)
    pages = await asyncio.gather(
        *(engine.standings.page(ALL, offset=0, limit=10) for _ in range(100))
    )
    assert all([entry.account_id for entry in page] == ["ada"] for page in pages)
    assert readings == 2  # the first, and one for all who asked while it ran


async def test_many_far_pages_keep_nobody_from_the_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share half of the scans, so that somebody who asks for many cannot take all."""
    await engine.complete("ada", "once")
    fetch, go_on = engine.database._scanner.fetch, asyncio.Event()

    async def slow(name: str, /, **binds: object) -> object:
        if binds.get("skip") or binds.get("period") == "2020-01-01":
            await go_on.wait()
        return await fetch(name, **binds)

    async def away(*_: object, **__: object) -> None:
        raise Away

    monkeypatch.setattr(engine.board, "page", away)
    monkeypatch.setattr(engine.database._scanner, "fetch", slow)
    monkeypatch.setattr(engine.database, "_scanning", asyncio.Semaphore(database.MAX_SCANS))
    past = Period("daily", "2020-01-01")
    many = [
        asyncio.create_task(engine.standings.page(period, offset=offset, limit=10))
        for offset in range(1, database.MAX_SCANS)
        for period in (past, ALL)
    ]
    await anyio.lowlevel.checkpoint()
    first = await engine.standings.page(ALL, offset=0, limit=10)
    assert [entry.account_id for entry in first] == ["ada"]
    go_on.set()
    told = await asyncio.gather(*many, return_exceptions=True)
    refused = sum(isinstance(one, Unavailable) for one in told)
    assert refused == len(many) - standings.MAX_DEEP


async def test_streams_are_told_of_what_happens_while_a_board_is_cold(engine: Engine) -> None:
    await engine.lose_board()
    engine.changes.clear()
    await engine.complete("ada", "once")
    assert engine.changes == [frozenset(BOARDS)]


@pytest.mark.parametrize("key", ["order", "rows"])
async def test_a_board_that_lost_one_of_its_keys_is_cold(engine: Engine, key: str) -> None:
    """As when Redis makes room by dropping keys; the board in the process has none to drop."""
    await engine.complete("ada", "once")
    await engine.complete("bob", "often", "1")
    if engine.link:
        await engine.link.redis.delete(f"scoreboard:{{all-time}}:{key}")
        await engine.complete("cy", "once")  # alone on a new board he would be the first
        with pytest.raises(Cold):
            await names(engine)
        await engine.sweep.look()
    else:
        await engine.complete("cy", "once")
    assert await names(engine) == ["ada", "cy", "bob"]
    await engine.assert_sound()


async def test_a_new_day_that_the_database_enters_first_is_whole_when_we_enter_it(
    engine: Engine,
) -> None:
    tomorrow = Period("daily", "2026-11-22")
    engine.clock.advance(seconds=14.5 * 3600)
    log, account = engine.log, await engine.account("ada")
    committed = await log.append([Completion(account, "once", "f")])
    engine.clock.advance(seconds=-2)
    await engine.board.apply(committed.totals)
    engine.clock.advance(seconds=2)
    await engine.sweep.look()
    page = await engine.board.page(tomorrow, offset=0, limit=10)
    assert [entry.account_id for entry in page] == ["ada"]
    await engine.assert_sound()


async def test_a_rebuild_that_is_killed_half_way_has_told_the_boards(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "SLICE", 1)
    for name in ("ada", "bob"):
        await engine.complete(name, "once")
    await engine.change("UPDATE scores SET total = 1000, version = version + 1")
    await engine.sweep.look()

    def killed(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rebuild(engine.database, BOARDS, engine.clock, killed)
    await engine.sweep.look()
    assert await names(engine) == ["bob", "ada"]
    assert await engine.board.page(ALL, offset=0, limit=9) == await engine.rows.page(
        ALL, offset=0, limit=9
    )


async def test_what_is_recorded_during_a_load_is_not_missed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "SLICE", 3)
    for number in range(10):
        await engine.complete(f"p{number}", "once")
    await engine.lose_board()
    first = next(name for name in sorted(f"p{number}" for number in range(10)))

    def meanwhile(rows: int) -> None:
        if rows == 6:  # the slice with this account has been read already
            playing.append(asyncio.create_task(engine.complete(first, "often", "meanwhile")))

    playing: list[asyncio.Task[object]] = []
    slices = engine.sweep._standings.totals

    async def slowly(period: Period) -> AsyncIterator[list[Total]]:
        async for totals in slices(period):
            yield totals
            await asyncio.gather(*playing)

    monkeypatch.setattr(engine.sweep._standings, "totals", slowly)
    assert await engine.sweep.load(ALL, progress=meanwhile)
    assert len(playing) == 1
    monkeypatch.undo()
    await engine.assert_sound()


async def test_what_never_reached_the_board_is_found_by_the_next_look(engine: Engine) -> None:
    """As when the process dies between its commit and the board."""
    await engine.complete("ada", "once")
    await engine.sweep.look()
    account = await engine.account("bob")
    await engine.log.append([Completion(account, "daily", "f", "k")])
    assert await names(engine) == ["ada"]
    engine.changes.clear()
    await engine.sweep.look()
    assert await names(engine) == ["ada", "bob"]
    assert frozenset(BOARDS) in engine.changes
    await engine.assert_sound()


async def test_a_load_of_all_time_hides_no_gap_in_the_others(engine: Engine) -> None:
    """Something is missed, then `all-time` alone is lost and loaded: now it knows what the others
    do not, and no log row would tell.
    """
    await engine.complete("ada", "once")
    await engine.sweep.look()
    await engine.log.append([Completion(await engine.account("ada"), "daily", "f", "k")])
    if engine.link:
        await engine.link.redis.delete("scoreboard:{all-time}:mark")
    else:
        assert isinstance(engine.board, MemoryBoard)
        engine.board._held["all-time"].mark = None
    await engine.sweep.look()
    await engine.assert_sound()


async def test_the_next_slice_is_read_while_one_is_worked_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "SLICE", 2)
    for number in range(5):
        await engine.complete(f"p{number}", "once")
    asked: list[object] = []
    sweep_read = engine.database.sweep

    async def noted(name: str, /, **binds: object) -> list[Row]:
        asked.append(binds["after"])
        return await sweep_read(name, **binds)

    monkeypatch.setattr(engine.database, "sweep", noted)
    slices = engine.rows.totals(ALL)
    assert [one.account_id for one in await anext(slices)] == ["p0", "p1"]
    assert asked == ["", "p1"]
    rest = [one.account_id async for some in slices for one in some]
    assert rest == ["p2", "p3", "p4"]

    unfinished = engine.rows.totals(ALL)
    await anext(unfinished)
    await unfinished.aclose()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == f"read {ALL}"]


async def test_a_board_that_went_back_in_time_is_brought_forward(engine: Engine) -> None:
    """As after a failover: rows and mark are older than the log."""
    for number in range(5):
        await engine.complete(f"p{number}", "once")
    await engine.sweep.look()
    (mark,) = (await engine.board.marks([ALL])).values()
    old = [one async for totals in engine.rows.totals(ALL) for one in totals]
    for number in range(5):
        await engine.complete(f"p{number}", "often", "1")
    await engine.sweep.look()

    async def slices() -> AsyncIterator[list[Total]]:
        yield old

    if engine.link is None:
        await engine.lose_board()
    assert await engine.board.load(ALL, slices(), mark)
    engine.sweep.start_over()
    await engine.sweep.look()
    await engine.assert_sound()


async def test_the_patrol_finds_what_no_log_row_tells_of(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PATROL_SLICE", 4)
    for number in range(10):
        await engine.complete(f"p{number}", "once")
    await engine.sweep.look()
    for board in BOARDS:
        period = periods.current(board, engine.clock())
        await engine.board.apply([Total(period, "p3", "p3", 99, 99, 1)])
    assert (await names(engine))[0] == "p3"
    for _ in range(4 * len(BOARDS)):
        await engine.sweep.look()
    await engine.assert_sound()


async def test_who_is_on_the_board_without_a_score_is_taken_off(engine: Engine) -> None:
    if engine.link is None:  # only a shared board can be written to by somebody else
        assert not await engine.sweep._has_ghosts(ALL)
        return
    await engine.complete("ada", "once")
    await engine.board.apply([total("ghost", 50, 0)])
    assert await names(engine) == ["ghost", "ada"]
    for _ in range(4 * len(BOARDS)):
        await engine.sweep.look()
    assert await names(engine) == ["ada"]


scores = st.lists(st.tuples(st.integers(-2, 4), st.integers(1, 3)), min_size=1, max_size=30)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scores, st.integers(0, 12), st.integers(1, 12), st.integers(0, 3))
async def test_the_order_is_that_of_sql_however_the_rows_came(
    engine: Engine, drawn: list[tuple[int, int]], offset: int, limit: int, reach: int
) -> None:
    """Many equal scores, some of them zero and less; loaded whole, and sent one by one."""
    ids = [f"{number:02d}/ä {points}" for number, (points, _) in enumerate(drawn)]
    for account_id in ids:
        await engine.account(account_id)
    values = ", ".join(
        f"('all-time', '', '{account_id}', {points}, {1000 - number}, {version})"
        for number, (account_id, (points, version)) in enumerate(zip(ids, drawn, strict=True))
    )
    await engine.change("DELETE FROM scores", f"INSERT INTO scores VALUES {values}")
    wanted = await engine.rows.page(ALL, offset=offset, limit=limit)
    totals = [one async for some in engine.rows.totals(ALL) for one in some]
    for came in ("loaded", "sent"):
        await engine.lose_board()
        await engine.change(*["DELETE FROM scores"] * (came == "sent"))
        await engine.sweep.look()
        for one in totals * 2 if came == "sent" else ():
            await engine.board.apply([one])
        assert await engine.board.page(ALL, offset=offset, limit=limit) == wanted, came
        if came == "loaded":
            for account_id in ids:
                around = await engine.rows.around(ALL, account_id, reach)
                assert await engine.board.around(ALL, account_id, reach) == around


async def test_rebuilding_changes_nothing_that_is_right(engine: Engine) -> None:
    await engine.complete("ada", "once")
    assert await rebuild(engine.database, BOARDS, engine.clock) == 0
    await engine.assert_sound()


async def test_rebuilding_mends_the_scores_and_the_running_board_follows(engine: Engine) -> None:
    for name in ("ada", "bob", "cy"):
        await engine.complete(name, "once")
        await engine.complete(name, "daily")
    await engine.sweep.look()
    await engine.change(
        "UPDATE scores SET total = 1000, version = version + 1 WHERE account_id = 'cy'",
        "DELETE FROM scores WHERE account_id = 'ada' AND board = 'daily'",
        "INSERT INTO scores VALUES ('daily', '2026-11-19', 'bob', 4, 1, 1)",
    )
    assert await rebuild(engine.database, BOARDS, engine.clock) == 5
    await engine.sweep.look()
    orphan = await engine.query("SELECT total FROM scores WHERE period = '2026-11-19'")
    assert [row["total"] for row in orphan] == [0]
    await engine.change("DELETE FROM scores WHERE period = '2026-11-19'")
    await engine.assert_sound()


async def test_rebuilding_goes_through_all_accounts_in_slices(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "SLICE", 4)
    for number in range(10):
        await engine.complete(f"p{number}", "once")
    await engine.change("DELETE FROM scores")
    seen: list[int] = []
    assert await rebuild(engine.database, BOARDS, engine.clock, seen.append) == 30
    assert seen == [4, 8, 10]
    await engine.sweep.look()
    await engine.assert_sound()


async def test_a_load_that_fails_is_repeated(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.complete("ada", "once")
    await engine.change("UPDATE scores SET total = 70, version = version + 1")

    async def finish(transaction: Transaction) -> None:
        await transaction.execute("rebuild_finish", now=0)

    await engine.database.write(finish)

    async def away(name: str, /, **binds: object) -> list[object]:
        raise Unavailable

    monkeypatch.setattr(engine.database, "sweep", away)
    with pytest.raises(Unavailable):
        await engine.sweep.look()
    monkeypatch.undo()
    await engine.sweep.look()
    assert [entry.score for entry in await engine.board.page(ALL, offset=0, limit=1)] == [70]


async def test_boards_that_were_off_are_made_by_a_rebuild(engine: Engine) -> None:
    await engine.complete("ada", "once")
    await engine.change("DELETE FROM scores WHERE board = 'daily'")
    assert await rebuild(engine.database, ["all-time"], engine.clock) == 0
    assert await rebuild(engine.database, BOARDS, engine.clock) == 1
    await engine.sweep.look()
    await engine.assert_sound()
