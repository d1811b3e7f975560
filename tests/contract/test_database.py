"""Writing: one at a time, all or nothing, and nobody is left waiting."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from scoreboard.errors import Unavailable
from scoreboard.ledger.database import RowError, Transaction
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
    monkeypatch.setattr(engine.database, "_jobs", asyncio.Queue(1))
    # The writer still waits on the queue that it knows: nothing takes from this one.
    waiting = asyncio.create_task(engine.database.write(lambda t: insert(t, "ada")))
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(Unavailable):
        await engine.database.write(lambda t: insert(t, "bob"))
    waiting.cancel()


async def test_when_the_writer_ends_nobody_is_left_waiting(engine: Engine) -> None:
    begun = asyncio.Event()

    async def endless(transaction: Transaction) -> None:
        begun.set()
        await asyncio.Event().wait()

    waiting = [asyncio.create_task(engine.database.write(endless)) for _ in range(3)]
    await begun.wait()
    (writer,) = (task for task in asyncio.all_tasks() if task.get_name() == "database writer")
    writer.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    with pytest.raises(Unavailable):
        await engine.database.write(endless)
    assert await names(engine) == []
