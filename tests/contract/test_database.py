"""Writing: one at a time, all or nothing, and nobody is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio
import pytest

from scoreboard.errors import Unavailable
from scoreboard.ledger import database, writer
from scoreboard.ledger.connection import RowError, Transaction
from scoreboard.periods import Period
from tests.support.engine import Engine


async def insert(transaction: Transaction, name: str) -> str:
    await transaction.fetch(
        "account_insert",
        account_id=name,
        username=name,
        username_key=name,
        password_hash=None,
        created_at_ms=0,
    )
    return name


async def names(engine: Engine) -> list[object]:
    rows = await engine.query("SELECT account_id FROM accounts ORDER BY created_at_ms, account_id")
    return [row["account_id"] for row in rows]


async def test_a_job_that_fails_leaves_nothing_behind(engine: Engine) -> None:
    async def job(transaction: Transaction) -> None:
        await insert(transaction, "ada")
        raise LookupError("changed my mind")

    with pytest.raises(LookupError):
        await engine.database.write(job)
    assert await names(engine) == []


async def test_a_broken_constraint_is_told_from_a_database_that_is_away(engine: Engine) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.execute(
            "refresh_token_insert",
            token_hash="hash",
            family_id="family",
            account_id="nobody",
            expires_at_ms=0,
        )

    with pytest.raises(RowError):
        await engine.database.write(job)


async def test_a_caller_that_goes_away_in_the_middle_changes_nothing_for_the_others(
    engine: Engine,
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(transaction: Transaction) -> str:
        begun.set()
        await go_on.wait()
        return await insert(transaction, "ada")

    leaver = asyncio.create_task(engine.database.write(slow))
    await begun.wait()
    waiting = asyncio.create_task(engine.database.write(lambda t: insert(t, "bob")))
    gone = asyncio.create_task(engine.database.write(lambda t: insert(t, "never")))
    await anyio.wait_all_tasks_blocked()
    leaver.cancel()
    gone.cancel()
    go_on.set()
    assert await waiting == "bob"
    assert await names(engine) == ["ada", "bob"]


async def test_a_full_queue_refuses_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.database._writer, "_jobs", asyncio.Queue(1))
    # The writer still waits on the queue that it knows: nothing takes from this one.
    waiting = asyncio.create_task(engine.database.write(lambda t: insert(t, "ada")))
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(Unavailable):
        await engine.database.write(lambda t: insert(t, "bob"))
    waiting.cancel()


async def test_a_job_that_waits_too_long_for_its_turn_is_not_begun(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(transaction: Transaction) -> None:
        begun.set()
        await go_on.wait()

    first = asyncio.create_task(engine.database.write(slow))
    await begun.wait()
    monkeypatch.setattr(writer, "TURN_WAIT", -1.0)
    late = asyncio.create_task(engine.database.write(lambda t: insert(t, "late")))
    await anyio.wait_all_tasks_blocked()
    go_on.set()
    await first
    with pytest.raises(Unavailable):
        await late
    assert await names(engine) == []


async def test_scans_are_bounded_and_hold_up_no_other_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    fetch = engine.database._scanner.fetch

    async def slow(name: str, /, **binds: object) -> Sequence[object]:
        if name != "scores_page":
            return await fetch(name, **binds)
        begun.set()
        await go_on.wait()
        return []

    monkeypatch.setattr(engine.database._scanner, "fetch", slow)
    period = Period("daily", "2020-01-01")
    scans = [
        asyncio.create_task(engine.rows.page(period, offset=0, limit=10))
        for _ in range(database.MAX_SCANS)
    ]
    await begun.wait()
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(Unavailable):
        await engine.rows.page(period, offset=0, limit=10)
    assert len(await engine.database.fetch("actions_list")) == 3
    go_on.set()
    await asyncio.gather(*scans)
    monkeypatch.undo()
    assert await engine.rows.page(period, offset=0, limit=10) == []


async def test_a_read_that_takes_too_long_is_given_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(name: str, /, **binds: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(database, "READ_WAIT", 0.01)
    monkeypatch.setattr(engine.database._reader, "fetch", endless)
    with pytest.raises(Unavailable):
        await engine.database.fetch("ping")


async def test_when_the_writer_ends_nobody_is_left_waiting(engine: Engine) -> None:
    begun = asyncio.Event()

    async def endless(transaction: Transaction) -> None:
        begun.set()
        await asyncio.Event().wait()

    waiting = [asyncio.create_task(engine.database.write(endless)) for _ in range(3)]
    await begun.wait()
    (owner,) = (task for task in asyncio.all_tasks() if task.get_name() == "database run")
    owner.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    with pytest.raises(Unavailable):
        await engine.database.write(endless)
    assert await names(engine) == []
