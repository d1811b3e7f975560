"""What is PostgreSQL's own: rivals, locks, time limits, and connections that end."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import pytest

from scoreboard.addresses import PostgresServer, RedisServer, parse_database
from scoreboard.board.redis.link import open_link
from scoreboard.errors import Unavailable
from scoreboard.ledger import migrations, statements
from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database, open_database
from scoreboard.ledger.postgres_server import TakenError
from scoreboard.periods import BOARDS
from scoreboard.scoring.completion import Answer, Completion
from scoreboard.scoring.postgres_log import item_of
from scoreboard.scoring.rebuild import rebuild
from scoreboard.settings import Settings
from tests.support.backends import Postgres, give, run
from tests.support.clock import FakeClock
from tests.support.engine import Engine, open_engine

NAME = "contract_postgresql"


@pytest.fixture
def settings(postgres: Postgres, template: str, redis_url: str) -> Iterator[Settings]:
    """A database with the schema and the actions, and an empty Redis."""
    url = postgres.create_database(NAME, template)
    yield Settings(database=PostgresServer(url), redis=RedisServer(redis_url))
    postgres.drop_database(NAME)


@pytest.fixture
async def engine(settings: Settings, clock: FakeClock) -> AsyncIterator[Engine]:
    """One process of several."""
    async with open_engine(settings, clock, is_filled=True) as engine:
        yield engine


async def test_rivals_neither_wait_in_a_circle_nor_count_twice(
    engine: Engine, settings: Settings, clock: FakeClock
) -> None:
    """Four processes record the same attempts, each in an order of its own, while one rebuilds."""
    async with AsyncExitStack() as stack:
        assert settings.redis
        rivals = [engine]
        for _ in range(3):
            database = await stack.enter_async_context(open_database(settings))
            link = await stack.enter_async_context(open_link(settings.redis.url))
            rivals.append(await stack.enter_async_context(Engine(clock, database, link)))
        accounts = [await engine.account(f"player {number}") for number in range(12)]
        attempts = [
            Completion(account, action, f"{action} {number}", f"key {number}")
            for account in accounts
            for number, action in enumerate(["once", "often", "daily", "often", "once", "often"])
        ]

        async def play(rival: Engine, seed: int) -> dict[tuple[str, str | None], object]:
            order = attempts[seed * 7 :] + attempts[: seed * 7]
            if seed % 2:
                order = order[::-1]
            receipts: dict[tuple[str, str | None], object] = {}
            for start in range(0, len(order), 9):
                batch = order[start : start + 9]
                for one, answer in zip(batch, await rival.submit(batch), strict=True):
                    if isinstance(answer, Answer):
                        key = (one.account.account_id, one.idempotency_key)
                        receipts[key] = answer.receipt
            return receipts

        async with asyncio.TaskGroup() as tasks:
            played = [tasks.create_task(play(rival, seed)) for seed, rival in enumerate(rivals)]
            tasks.create_task(rebuild(engine.database, BOARDS, clock))
        first, *others = (task.result() for task in played)
        assert len(first) == 12 * 5  # all but the second attempt at what is done once
        assert all(other == first for other in others)
        await engine.sweep.look()
        await engine.assert_sound()


async def test_the_sum_of_a_rivals_receipts_is_exact(
    engine: Engine, settings: Settings, clock: FakeClock
) -> None:
    """`newScore` is what the log adds up to at that row, whoever wrote the ones before."""
    async with (
        open_database(settings) as database,
        Engine(clock, database, engine.link) as rival,
    ):
        await asyncio.gather(
            *(
                one.complete("ada", "often", f"{name} {number}")
                for number in range(20)
                for name, one in (("mine", engine), ("theirs", rival))
            )
        )
    await engine.assert_sound()


async def test_the_same_new_account_made_twice_at_once_is_one(
    engine: Engine, settings: Settings, clock: FakeClock
) -> None:
    async with (
        open_database(settings) as database,
        Engine(clock, database, engine.link) as rival,
    ):
        made = await asyncio.gather(
            *(one.account(f"new {number}") for number in range(10) for one in (engine, rival))
        )
    assert {account.username for account in made} == {f"new {number}" for number in range(10)}


async def test_a_lock_that_is_held_too_long_is_a_503_and_the_database_is_not_away(
    engine: Engine, settings: Settings, clock: FakeClock
) -> None:
    await engine.account("ada")
    impatient = dataclasses.replace(settings, statement_timeout_ms=100)
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold(transaction: Transaction) -> None:
        await transaction.fetch("rebuild_slice", after="", size=10)
        held.set()
        await go_on.wait()

    holder = asyncio.create_task(engine.database.write(hold))
    await held.wait()
    async with (
        open_database(impatient) as database,
        Engine(clock, database, engine.link) as rival,
    ):
        with pytest.raises(Unavailable):
            await rival.complete("ada", "once")
        await database.check()
        go_on.set()
        await holder
        assert isinstance(await rival.complete("ada", "once"), Answer)
    await engine.assert_sound()


async def test_a_connection_that_is_cut_in_mid_statement_is_a_503_for_its_batch(
    engine: Engine, settings: Settings, postgres: Postgres
) -> None:
    await engine.account("ada")
    await engine.change(
        "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$",
        "CREATE TRIGGER rest BEFORE INSERT ON action_log FOR EACH ROW EXECUTE FUNCTION rest()",
    )
    batch = asyncio.create_task(engine.complete("ada", "often", "k"))
    resting = (
        "FROM pg_stat_activity WHERE query LIKE '%record_unlocked%' AND wait_event = 'PgSleep'"
    )
    while not postgres.fetch(f"SELECT pg_terminate_backend(pid) {resting}"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # another process
    with pytest.raises(Unavailable):
        await batch
    await _until_it_answers(engine.database)
    await engine.change("DROP TRIGGER rest ON action_log")
    assert isinstance(await engine.complete("ada", "often", "k"), Answer)
    await engine.assert_sound()


async def test_a_row_that_is_committed_late_is_not_skipped(engine: Engine) -> None:
    """Its number is smaller than that of rows that were seen long before it."""
    late, early = [await engine.account(name) for name in ("late", "early")]
    written, go_on = asyncio.Event(), asyncio.Event()

    async def record(transaction: Transaction) -> None:
        await transaction.fetch(
            "batch_record",
            together="[]",
            apart=json.dumps([item_of(Completion(late, "once", "f", "k"))]),
            boards=list(BOARDS),
            at_ms=engine.clock(),
            is_careful=False,
        )
        written.set()
        await go_on.wait()

    slow = asyncio.create_task(engine.database.write(record))
    await written.wait()
    await engine.submit([Completion(early, "once", "f", "k")])
    for _ in range(3):
        await engine.sweep.look()
    go_on.set()
    await slow
    await engine.sweep.look()
    await engine.assert_sound()


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"N" + b"R" * 40, b""])
async def test_something_else_on_the_port_is_a_database_that_is_away(
    engine: Engine, settings: Settings, junk: bytes
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(junk)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        elsewhere = PostgresServer(f"postgresql://postgres@127.0.0.1:{port}/postgres")
        other = dataclasses.replace(settings, database=elsewhere)
        async with open_database(other) as database:
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await database.fetch("ping")
                await asyncio.sleep(0.4)  # a probe in between
            assert not any(task.done() for task in database.tasks)


async def test_a_server_that_takes_no_changes_is_away_until_it_does(
    engine: Engine, settings: Settings, postgres: Postgres
) -> None:
    """A standby in the middle of a failover: no flapping, and back by itself."""
    name = f'"{NAME}"'
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{NAME}'"
    await engine.account("ada")
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on; {cut}")
    async with asyncio.timeout(5):
        while not await _is_away(engine):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    for _ in range(10):  # longer than two questions to it
        assert await _is_away(engine)
        await asyncio.sleep(0.1)
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    async with asyncio.timeout(5):
        while await _is_away(engine):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await engine.assert_sound()


async def _is_away(engine: Engine) -> bool:
    try:
        await engine.complete("ada", "often", "k")
    except Unavailable:
        return True
    return False


async def test_readers_that_go_away_take_no_connection_with_them(engine: Engine) -> None:
    for _ in range(20):
        reading = [asyncio.create_task(engine.database.fetch("ping")) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    async with asyncio.timeout(5):
        await asyncio.gather(*(engine.database.fetch("ping") for _ in range(10)))


async def test_a_commit_is_on_the_disk_before_it_is_acknowledged(engine: Engine) -> None:
    (row,) = await engine.query("SELECT current_setting('synchronous_commit') AS it")
    assert row["it"] == "on"


async def test_without_cached_statements_everything_works_too(
    settings: Settings, clock: FakeClock
) -> None:
    plain = dataclasses.replace(settings, caches_statements=False)
    async with open_engine(plain, clock, is_filled=True) as engine:
        for number in range(3):
            assert isinstance(await engine.complete("ada", "often", str(number)), Answer)
        assert await engine.query("SELECT name FROM pg_prepared_statements") == []
        await engine.assert_sound()


async def test_one_process_alone_holds_the_lock_and_appends_nothing_without_it(
    settings: Settings, postgres: Postgres
) -> None:
    alone = dataclasses.replace(settings, redis=None)
    async with open_database(alone, alone=True) as first:
        await first.append("ping")
        async with open_database(alone, alone=True) as second:
            with pytest.raises(Unavailable) as caught:
                await second.append("ping")
            assert isinstance(caught.value.__cause__, TakenError)
            # The connection with the lock is cut, and the other one is quicker.
            postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            )
            await _until_it_answers(second, "append")
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await first.append("ping")
        await _until_it_answers(first, "append")


async def test_two_that_migrate_at_once_take_each_step_once(postgres_url: str) -> None:
    settings = Settings(database=PostgresServer(postgres_url))
    async with open_database(settings) as one, open_database(settings) as other:
        taken = await asyncio.gather(*(migrations.migrate(database) for database in (one, other)))
        steps = [int(step.split()[0]) for steps in taken for step in steps]
        assert sorted(steps) == list(range(1, migrations.newest("postgresql") + 1))
        assert await migrations.version(one) == migrations.newest("postgresql")


async def _until_it_answers(database: Database, how: str = "fetch") -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await getattr(database, how)("ping")
            except Unavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_late_slice_of_a_ranking_reads_no_more_than_an_early_one(engine: Engine) -> None:
    """Else to load a board would take a time that grows with the square of its players."""
    await engine.change(
        """
        INSERT INTO accounts (account_id, username, username_key, created_at_ms)
        SELECT 'many-' || lpad(n::TEXT, 5, '0'), 'Many ' || n, 'many ' || n, 0
        FROM generate_series(1, 20000) AS n;
        INSERT INTO scores
        SELECT 'all-time', '', account_id, 1, 1, 1 FROM accounts WHERE account_id LIKE 'many-%';
        ANALYZE accounts;
        ANALYZE scores;
        """
    )
    text = (statements.root() / "scores_slice.sql").read_text("utf-8")
    for bind, value in {
        "board": "'all-time'",
        "period": "''",
        "after": "'many-19000'",
        "size": "100",
    }.items():
        text = text.replace(f":{bind}", value)
    (row,) = await engine.query(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}")
    (plan,) = json.loads(row["QUERY PLAN"])

    def most(node: dict[str, Any]) -> float:
        return max(float(node["Actual Rows"]), *map(most, node.get("Plans", [])), 0.0)

    assert most(plan["Plan"]) <= 1000  # those that are behind it


@pytest.mark.parametrize(
    "form", ["{login}@/{name}?host={folder}&port={port}", "{login}@{quoted}:{port}/{name}"]
)
async def test_a_server_is_reached_over_its_unix_socket(form: str) -> None:
    folder = run().new_folder("socket")
    give(folder)
    options = {"unix_socket_directories": str(folder), "listen_addresses": "127.0.0.1"}
    with Postgres(options=options) as server:
        url = form.format(
            login=f"postgresql://postgres:{server.password}",
            name="postgres",
            folder=folder,
            quoted=quote(str(folder), safe=""),
            port=server.port,
        )
        async with open_database(Settings(database=parse_database(url))) as database:
            assert await migrations.migrate(database)
