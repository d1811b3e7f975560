"""A session with PostgreSQL ends soon after the network has lost it, and its locks with it."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from scoreboard.addresses import PostgresServer
from scoreboard.errors import Unavailable
from scoreboard.ledger import migrations, postgres_session
from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database, open_database
from scoreboard.ledger.postgres_server import TakenError
from scoreboard.settings import Settings
from tests.support.backends import PATIENCE, Postgres
from tests.support.network import Network

ROLE = "sessions_owner"  # no superuser, as on a hosted PostgreSQL
KINDS: dict[str, dict[str, Any]] = {
    "alone": {"alone": True},
    "of many": {},
    "patient": {"patient": True},
}
KEEPIDLE: int = getattr(socket, "TCP_KEEPIDLE" if sys.platform == "linux" else "TCP_KEEPALIVE")
SECONDS = 30  # after which a lost session has ended


@pytest.fixture
async def network(postgres: Postgres) -> AsyncIterator[Network]:
    """What lies between the service and PostgreSQL."""
    async with Network(postgres.port) as network:
        yield network


@pytest.fixture
async def settings(
    postgres: Postgres, postgres_url: str, network: Network
) -> AsyncIterator[Settings]:
    """An empty schema of a plain role, through the network; a silent server is noticed soon."""
    database = postgres_url.rpartition("/")[2]
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'")
    postgres.execute(f"ALTER DATABASE {database} OWNER TO {ROLE}")
    url = f"postgresql://{ROLE}:{ROLE}@127.0.0.1:{network.port}/{database}"
    settings = Settings(database=PostgresServer(url), statement_timeout_ms=100)
    async with open_database(settings, patient=True) as opened:
        await migrations.migrate(opened)
    yield settings
    postgres.drop_database(database)
    postgres.execute(f"DROP ROLE {ROLE}")


def holders(postgres: Postgres) -> list[int]:
    """The backends that hold a lock which makes a process the only one."""
    rows = postgres.fetch("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1")
    return [row["pid"] for row in rows]


async def until(question: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is true."""
    async with asyncio.timeout(PATIENCE):
        while not await question():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def appends(database: Database) -> bool:
    """Whether it does."""
    try:
        await database.append("ping")
    except Unavailable:
        return False
    return True


async def test_a_process_takes_its_lock_back_from_its_own_lost_session(
    settings: Settings, postgres: Postgres, network: Network
) -> None:
    async with open_database(settings, alone=True) as database:
        await database.append("ping")
        lost = holders(postgres)
        await network.forget()
        assert not await appends(database)
        await until(lambda: appends(database))
        assert len(holders(postgres)) == 1
        assert holders(postgres) != lost


async def test_a_process_that_never_heard_that_it_has_the_lock_takes_it_back(
    settings: Settings, postgres: Postgres, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network loses the answer: the process knows of no session that it could have had."""
    fetch = postgres_session.Sessions._fetch

    async def lose(self: Any, name: str, connection: Any, **binds: object) -> bool:
        answer = await fetch(self, name, connection, **binds)
        if name == "alone_lock" and not lost:
            lost.extend(holders(postgres))
            await network.forget()
            raise TimeoutError
        return answer

    lost: list[int] = []
    monkeypatch.setattr(postgres_session.Sessions, "_fetch", lose)
    async with open_database(settings, alone=True) as database:
        assert not await appends(database)
        assert holders(postgres) == lost
        await until(lambda: appends(database))
        assert holders(postgres) != lost


async def test_a_process_ends_no_session_of_another(
    settings: Settings, postgres: Postgres, network: Network
) -> None:
    """Not even one that the network has lost: it could be at work, and only we cannot see it."""
    async with open_database(settings, alone=True) as first:
        await first.append("ping")
        theirs = holders(postgres)
        async with open_database(settings, alone=True) as second:
            for _ in range(3):
                with pytest.raises(Unavailable) as caught:
                    await second.append("ping")
                assert isinstance(caught.value.__cause__, TakenError)
        assert holders(postgres) == theirs
        await first.append("ping")


@pytest.mark.parametrize("caches_statements", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_row_locks_of_a_lost_transaction_end(
    settings: Settings,
    postgres: Postgres,
    network: Network,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    caches_statements: bool,
) -> None:
    """Behind a pooler too, whose connection to the server is well."""
    monkeypatch.setattr(postgres_session, "GONE_AFTER_MS", 300)
    settings = dataclasses.replace(settings, caches_statements=caches_statements)
    locked = asyncio.Event()

    async def hold(transaction: Transaction) -> None:
        await transaction.script("LOCK TABLE rebuilds")
        locked.set()
        await asyncio.Event().wait()

    async with open_database(settings, **KINDS[kind]) as database:
        holding = asyncio.create_task(database.write(hold))
        await locked.wait()
        await network.forget()
        lock = "SELECT pid FROM pg_locks WHERE relation = 'rebuilds'::regclass"
        name = str(settings.database).rpartition("/")[2]

        async def is_free() -> bool:
            return not postgres.fetch(lock, database=name)

        assert not await is_free()
        await until(is_free)
        holding.cancel()


@pytest.mark.parametrize("kind", KINDS)
async def test_every_session_is_watched_from_both_sides(settings: Settings, kind: str) -> None:
    """That kernels do what these numbers say was tried once, with packets that get lost
    (docs/deploy.md, at its end): here they have to be set, and to be small enough.
    """
    async with open_database(settings, **KINDS[kind]) as database:
        for source in sources(database):
            async with source.handle.connection() as held:
                raw = held.raw_connection
                shown = {
                    name: int(
                        await raw.fetchval("SELECT setting FROM pg_settings WHERE name = $1", name)
                    )
                    for name in (
                        "tcp_keepalives_idle",
                        "tcp_keepalives_interval",
                        "tcp_keepalives_count",
                        "tcp_user_timeout",
                        "client_connection_check_interval",
                        "idle_in_transaction_session_timeout",
                    )
                }
                idle, every, count, unacknowledged, look, in_transaction = shown.values()
                assert min(idle, every, count, in_transaction) > 0
                assert (unacknowledged > 0) == (look > 0) == (sys.platform == "linux")
                assert idle + every * count + look / 1000 < SECONDS
                assert max(unacknowledged, in_transaction) < SECONDS * 1000
                own = raw._con._transport.get_extra_info("socket")
                assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert own.getsockopt(socket.IPPROTO_TCP, KEEPIDLE) == idle


def sources(database: Any) -> list[Any]:
    """Where its three kinds of connections come from."""
    owners = (database._appender, database._writer._connection, database._reader)
    return [owner._source for owner in owners]
