"""A database that has history already is brought up to date with all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import asyncpg
import pytest

from scoreboard.addresses import PostgresServer, SqliteFile
from scoreboard.errors import AlreadyCompleted
from scoreboard.ledger import actions, migrations, statements
from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database, open_database
from scoreboard.periods import BOARDS
from scoreboard.scoring.completion import Answer
from scoreboard.settings import Settings
from tests.support.backends import Postgres
from tests.support.clock import FakeClock
from tests.support.engine import ONCE, open_engine

# What the first release left behind: an account with a completion.
HISTORY = (
    "INSERT INTO accounts VALUES ('ada', 'Ada', 'ada', NULL, 0)",
    "INSERT INTO actions VALUES ('once', 'Once', '', 7, 'once', 1, NULL)",
    """INSERT INTO action_log VALUES (
        1, 'ada', 'once', 'once', 'k', 'once ', NULL, 7, 7, 1795253400000, '2026-11-21', '2026-W47'
    )""",
    *(
        f"INSERT INTO scores VALUES ('{board}', '{period}', 'ada', 7, 1, 1)"
        for board, period in (("all-time", ""), ("daily", "2026-11-21"), ("weekly", "2026-W47"))
    ),
)


async def fill(transaction: Transaction) -> None:
    """Write the history."""
    for statement in HISTORY:
        await transaction.script(statement)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """The settings of a database without anything in it."""
    if request.param == "sqlite":
        yield Settings(database=SqliteFile(tmp_path / "board.db"))
    else:
        yield Settings(database=PostgresServer(request.getfixturevalue("postgres_url")))


async def test_history_survives_every_step(
    empty: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(empty) as database:
        first = next(iter(statements.migrations(database.dialect)))
        with monkeypatch.context() as patched:
            patched.setattr(statements, "migrations", lambda _: iter([first]))
            assert len(await migrations.migrate(database, clock)) == 1
        await database.write(fill)
        if database.dialect == "postgresql":
            await database.write(
                lambda transaction: transaction.script("SELECT setval('action_log_ids', 1)")
            )
        assert await migrations.migrate(database, clock)
        assert await migrations.migrate(database, clock) == []

    async with open_engine(empty, clock, is_filled=True) as engine:
        await engine.assert_sound()
        assert await engine.top() == [("ada", 7)]
        replay = await engine.complete("ada", "once", "k")
        assert isinstance(replay, Answer)
        assert (replay.replayed, replay.receipt.log_id) == (True, 1)
        assert isinstance(await engine.complete("ada", "once"), AlreadyCompleted)
        await actions.load(engine.database, [ONCE], actor_id="test", clock=clock)
        assert isinstance(await engine.write("void", "ada", voids=1, reason="r"), Answer)
        assert isinstance(await engine.complete("bob", "once"), Answer)
        assert await engine.top() == [("bob", 7)]
        await engine.assert_sound()


@pytest.fixture
async def old(
    postgres_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A PostgreSQL as the first release made it."""
    async with open_database(Settings(database=PostgresServer(postgres_url))) as database:
        first = next(iter(statements.migrations(database.dialect)))
        with monkeypatch.context() as patched:
            patched.setattr(statements, "migrations", lambda _: iter([first]))
            await migrations.migrate(database, clock)
        await database.write(fill)
        yield database


async def test_a_step_waits_for_what_is_under_way_and_for_nothing_else(
    old: Database, postgres: Postgres, postgres_url: str, clock: FakeClock
) -> None:
    """A batch that has its accounts has the tables after them too: they cannot wait for each
    other in a circle.
    """
    batch = await asyncpg.connect(postgres_url)
    transaction = batch.transaction()
    await transaction.start()
    await batch.execute("SELECT 1 FROM accounts FOR NO KEY UPDATE")
    step = asyncio.create_task(migrations.migrate(old, clock))
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%LOCK%'"
    while not postgres.fetch(waits):  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)
    await batch.execute("SET lock_timeout = 100")  # it would wait for the step if that had these
    await batch.execute("SELECT 1 FROM action_log")
    await batch.execute("UPDATE actions SET points = 8")
    await transaction.commit()
    await batch.close()
    assert await step == ["0002 trust", "0003 together", "0004 unlocked"]


async def test_a_step_gives_way_to_somebody_who_reads_for_long(
    old: Database, postgres_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a dump does: between two tries the servers of the release before can go on."""
    dump = await asyncpg.connect(postgres_url)
    transaction = dump.transaction()
    await transaction.start()
    await dump.execute("SELECT 1 FROM action_log")
    rests = 0

    async def rest(seconds: float) -> None:
        nonlocal rests
        rests += 1
        held = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted "
        held += "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        assert not await dump.fetch(held)
        await transaction.rollback()

    monkeypatch.setattr(anyio, "sleep", rest)
    assert await migrations.migrate(old, clock) == ["0002 trust", "0003 together", "0004 unlocked"]
    assert rests == 1
    await dump.close()


async def test_a_server_of_the_release_before_goes_on_while_the_new_one_comes(
    postgres_url: str, clock: FakeClock
) -> None:
    """On a platform the schema is migrated while the old servers still run."""
    settings = Settings(database=PostgresServer(postgres_url))
    old_call = (
        "SELECT record_completions(ARRAY['ada'], ARRAY['once'], ARRAY['k'], ARRAY['once '], "
        f"CAST(ARRAY[NULL] AS TEXT []), ARRAY{list(BOARDS)}, {clock()})"
    )
    async with open_database(settings) as database:
        await migrations.migrate(database, clock)
        await actions.load(database, [ONCE], actor_id="test", clock=clock)
    async with open_engine(settings, clock, is_filled=True) as engine:
        await engine.account("ada")
        await engine.change(old_call)
        replay = await engine.complete("ada", "once", "k")
        assert isinstance(replay, Answer)
        assert replay.replayed
        await engine.sweep.look()
        await engine.assert_sound()
        # It knows nothing of cooldowns, and keeps them.
        resting = ONCE._replace(repeat="unlimited", cooldown_seconds=60)
        await actions.load(engine.database, [resting], actor_id="test", clock=clock)
        for key in ("k2", "k3"):
            await engine.change(old_call.replace("'k'", f"'{key}'"))
        rows = await engine.query("SELECT idempotency_key FROM action_log ORDER BY log_id")
        assert [row["idempotency_key"] for row in rows] == ["k", "k2"]
