"""PostgreSQL: what a lock of somebody else, or a slow trigger, does to those who do not need it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from scoreboard.addresses import PostgresServer, RedisServer
from scoreboard.errors import Unavailable
from scoreboard.ledger import actions
from scoreboard.ledger.connection import Transaction
from scoreboard.scoring.completion import Answer, Change, Completion, Submission
from scoreboard.settings import Settings
from tests.support.backends import Postgres
from tests.support.clock import FakeClock
from tests.support.engine import OFTEN, Engine, open_engine

NAME = "contract_held_locks"
OTHERS = 20
TURNS = 4
LIMITED = OFTEN._replace(action_id="limited", daily_limit=100)

# What an open transaction holds, and what one of the stuck account needs of it.
LOCKS = {
    "account": "SELECT 1 FROM accounts WHERE account_id = 'stuck' FOR UPDATE",
    "score": "UPDATE scores SET total = total WHERE account_id = 'stuck' AND board = 'weekly'",
    "use": "UPDATE action_uses SET times = times WHERE account_id = 'stuck'",
    "action": "SELECT 1 FROM actions WHERE action_id = 'limited' FOR UPDATE",
}


@pytest.fixture
def settings(postgres: Postgres, template: str, redis_url: str) -> Iterator[Settings]:
    """A database with the schema and the actions, and an empty Redis."""
    url = postgres.create_database(NAME, template)
    yield Settings(database=PostgresServer(url), redis=RedisServer(redis_url))
    postgres.drop_database(NAME)


@pytest.fixture
async def engine(settings: Settings, clock: FakeClock) -> AsyncIterator[Engine]:
    """With a player who has a row in every table."""
    async with open_engine(settings, clock, is_filled=True) as engine:
        await actions.load(engine.database, [LIMITED], actor_id="test", clock=clock)
        await engine.complete("stuck", "limited", "before")
        yield engine


@asynccontextmanager
async def held(settings: Settings, statement: str) -> AsyncIterator[None]:
    """A session of somebody else that has done this, and does not end its transaction."""
    assert isinstance(settings.database, PostgresServer)
    connection = await asyncpg.connect(settings.database.url)
    try:
        await connection.execute(f"BEGIN; {statement}")
        yield
    finally:
        await connection.close()


async def others(engine: Engine, turn: int) -> list[Submission]:
    """What everybody else does in one turn, of every kind."""
    accounts = [await engine.account(f"other {number}") for number in range(OTHERS)]
    return [
        *(Completion(account, "often", "f", f"{turn}") for account in accounts),
        *(Completion(account, "often", "f", f"{turn} again") for account in accounts[:5]),
        Change("adjustment", accounts[0], "other 1", f"{turn}", f"staff {turn}", "r", points=1),
    ]


async def stuck(engine: Engine, turn: int) -> list[Submission]:
    """What the account does that needs what is locked, as itself and as staff."""
    account = await engine.account("stuck")
    return [Completion(account, "limited", "f", f"{turn}")]


@pytest.mark.parametrize("what", LOCKS)
async def test_a_lock_stops_those_alone_who_need_it(
    engine: Engine, settings: Settings, what: str
) -> None:
    waiting: list[asyncio.Task[Any]] = []
    async with held(settings, LOCKS[what]):
        for turn in range(TURNS):
            batch = await stuck(engine, turn) + await others(engine, turn)
            answering = [asyncio.create_task(engine.submissions.submit(one)) for one in batch]
            waiting.append(answering.pop(0))
            answers = await asyncio.gather(*answering)
            assert [answer.replayed for answer in answers] == [False] * len(answers)
            assert not waiting[-1].done(), "somebody else has what it needs"
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in refused] == [Unavailable] * len(waiting)
        await engine.database.check()
    for turn in range(TURNS):
        (answer,) = await engine.submit(await stuck(engine, turn))
        assert isinstance(answer, Answer)
        assert not answer.replayed
    await engine.assert_sound()


async def test_what_is_locked_for_a_moment_is_recorded_after_it(
    engine: Engine, settings: Settings
) -> None:
    for turn, statement in enumerate(LOCKS.values()):
        async with held(settings, statement):
            waiting = asyncio.create_task(engine.complete("stuck", "limited", f"{turn}"))
            await engine.submit(await others(engine, turn))
        assert isinstance(await waiting, Answer)
    await engine.assert_sound()


async def test_an_actor_who_is_locked_stops_nobody_else(engine: Engine, settings: Settings) -> None:
    await engine.account("boss")
    player = await engine.account("other 2")
    async with held(settings, LOCKS["account"].replace("stuck", "boss")):
        change = Change("adjustment", player, "boss", "f", "k", "r", points=1)
        waiting = asyncio.create_task(engine.submissions.submit(change))
        assert len(await engine.submit(await others(engine, 1))) > OTHERS
        assert not waiting.done()
    assert (await waiting).receipt.points == 1
    await engine.assert_sound()


async def test_many_locks_cost_the_others_no_time(engine: Engine, settings: Settings) -> None:
    """As those of a bulk change that stands still: nothing is waited for one by one."""
    many = [await engine.account(f"stuck {number}") for number in range(100)]
    async with held(settings, "SELECT 1 FROM accounts WHERE account_id LIKE 'stuck%' FOR UPDATE"):
        waiting = [
            asyncio.create_task(engine.submissions.submit(Completion(account, "often", "f", "k")))
            for account in many
        ]
        assert len(await engine.submit(await others(engine, 0))) > OTHERS
        assert not any(one.done() for one in waiting)
    assert len(await asyncio.gather(*waiting)) == len(many)
    await engine.assert_sound()


async def test_a_trigger_that_is_slow_for_one_is_slow_for_that_one_alone(engine: Engine) -> None:
    await engine.change(
        "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.account_id = 'stuck' THEN PERFORM pg_sleep(2); END IF; RETURN NEW; END $$",
        "CREATE TRIGGER rest BEFORE INSERT ON action_log FOR EACH ROW EXECUTE FUNCTION rest()",
    )
    answers = await engine.submit(await stuck(engine, 0) + await others(engine, 0))
    assert all(isinstance(answer, Answer) for answer in answers)
    for turn in range(1, 4):
        slow = asyncio.create_task(engine.submit(await stuck(engine, turn)))
        assert len(await engine.submit(await others(engine, turn))) > OTHERS
        assert not slow.done(), "they have waited for it"
        (answer,) = await slow
        assert isinstance(answer, Answer)
    await engine.assert_sound()


async def test_a_write_that_waits_for_a_lock_holds_up_no_other(
    engine: Engine, settings: Settings
) -> None:
    """A login needs its account, too; and the name of a new account may be taken by somebody who
    has not said so yet.
    """
    await engine.account("free")

    async def log_in(account_id: str, turn: int) -> None:
        async def job(transaction: Transaction) -> None:
            await transaction.execute(
                "refresh_token_insert",
                token_hash=f"{account_id} {turn}",
                family_id="f",
                account_id=account_id,
                expires_at_ms=0,
            )

        await engine.database.write(job)

    name = "INSERT INTO accounts VALUES ('x', 'Taken', 'taken', NULL, 0)"
    async with held(settings, f"{LOCKS['account']}; {name}"):
        for turn in range(3):
            waiting = [
                asyncio.create_task(log_in("stuck", turn)),
                asyncio.create_task(engine.account("taken")),
            ]
            await log_in("free", turn)
            await engine.account(f"newcomer {turn}")
            assert not any(one.done() for one in waiting)
            for one in waiting:
                one.cancel()
        last = asyncio.create_task(log_in("stuck", 9))
        await log_in("free", 9)
    await last


async def test_a_write_that_waits_too_long_is_a_503(engine: Engine, settings: Settings) -> None:
    impatient = dataclasses.replace(settings, statement_timeout_ms=200)
    async with (
        held(settings, "INSERT INTO accounts VALUES ('x', 'Taken', 'taken', NULL, 0)"),
        open_engine(impatient, engine.clock, is_filled=True) as rival,
    ):
        with pytest.raises(Unavailable):
            await rival.account("taken")
        await rival.account("newcomer")
