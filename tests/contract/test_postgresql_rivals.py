"""What one process read while another was writing it, on PostgreSQL: the decision has to hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from scoreboard.addresses import PostgresServer
from scoreboard.errors import IdempotencyKeyReused
from scoreboard.ledger.connection import Row, Transaction
from scoreboard.ledger.database import Database, open_database
from scoreboard.ledger.postgresql import _PostgresTransaction
from scoreboard.periods import BOARDS
from scoreboard.scoring.completion import Change, Completion, Submission
from scoreboard.scoring.postgres_log import item_of
from scoreboard.scoring.rebuild import rebuild
from scoreboard.settings import Settings
from tests.support.backends import PATIENCE, POLL, Postgres
from tests.support.clock import FakeClock
from tests.support.engine import Engine, open_engine

NAME = "contract_rivals"
WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def settings(postgres: Postgres, template: str) -> Iterator[Settings]:
    """A database with the schema and the actions."""
    url = postgres.create_database(NAME, template)
    yield Settings(database=PostgresServer(url))
    postgres.drop_database(NAME)


@pytest.fixture
async def engine(settings: Settings, clock: FakeClock) -> AsyncIterator[Engine]:
    async with open_engine(settings, clock, is_filled=True) as engine:
        yield engine


@pytest.fixture
async def rival(settings: Settings) -> AsyncIterator[Database]:
    """The database as another process has it."""
    async with open_database(settings) as database:
        yield database


@asynccontextmanager
async def uncommitted(
    engine: Engine, database: Database, one: Submission
) -> AsyncIterator[Callable[[], None]]:
    """Record `one` in a transaction that is committed when the function is called."""
    recorded, commit = asyncio.Event(), asyncio.Event()

    async def job(transaction: Transaction) -> None:
        await transaction.fetch(
            "batch_record",
            together="[]",
            apart=json.dumps([item_of(one)]),
            boards=list(BOARDS),
            at_ms=engine.clock(),
            is_careful=False,
        )
        recorded.set()
        await commit.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.write(job))
        await recorded.wait()
        yield commit.set
        commit.set()


async def someone_waits(engine: Engine) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await engine.query(WAITING):  # noqa: ASYNC110 - another process
            await asyncio.sleep(POLL)


async def test_a_key_that_two_commands_use_at_once_counts_once(
    engine: Engine, rival: Database
) -> None:
    """A command's user has no account whose lock would put the two in an order."""
    ada, bob = [
        Change("adjustment", await engine.account(name), "cli:root", name, "k", "r", points=1)
        for name in ("ada", "bob")
    ]
    async with uncommitted(engine, rival, ada) as commit:
        second = asyncio.create_task(engine.submissions.submit(bob))
        await someone_waits(engine)
        commit()
        with pytest.raises(IdempotencyKeyReused):
            await second
    await engine.sweep.look()
    await engine.assert_sound()


async def test_a_rebuild_leaves_an_account_alone_that_it_has_not_locked(
    engine: Engine, rival: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was made after the slice was read, and scores while the slice is rebuilt."""
    for name in ("ada", "zoe"):
        await engine.complete(name, "once")
    has_read, go_on = asyncio.Event(), asyncio.Event()
    fetch = _PostgresTransaction.fetch

    async def slowly(self: Transaction, name: str, /, **binds: object) -> list[Row]:
        rows = await fetch(self, name, **binds)
        if name == "rebuild_slice":
            has_read.set()
            await go_on.wait()
        return rows

    monkeypatch.setattr(_PostgresTransaction, "fetch", slowly)
    rebuilding = asyncio.create_task(rebuild(engine.database, BOARDS, engine.clock))
    await has_read.wait()
    async with Engine(engine.clock, rival) as other:
        await other.complete("mia", "often", "1")
        second = Completion(await other.account("mia"), "often", "f", "2")
        async with uncommitted(other, rival, second) as commit:
            go_on.set()
            await someone_waits(engine)
            commit()
        await rebuilding
    await engine.sweep.look()
    await engine.assert_sound()
