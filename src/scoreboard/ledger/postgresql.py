"""PostgreSQL: few connections, kept open, prepared statements on each."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, cast

from scoreboard.addresses import PostgresServer
from scoreboard.errors import TimeLimitReached, Unavailable
from scoreboard.ledger.connection import (
    Held,
    Row,
    Statements,
    Transaction,
    Translated,
    open_handle,
)
from scoreboard.ledger.postgres_server import LOST, Server, Source, TakenError
from scoreboard.ledger.postgres_session import Kept, Sessions
from scoreboard.ledger.statements import Numbered, numbered

DIALECT: Final = "postgresql"
CONNECT_WAIT: Final = 2.0  # seconds to connect; a server across the country takes a tenth
SILENCE: Final = 0.5  # seconds past the server's own time limit: then it is not slow but away
LOCK_EVERY: Final = 1.0  # seconds between looks whether the lock is still held
NO_LIMIT: Final = 0
# Milliseconds for statements that others queue behind: a batch of up to 256 submissions takes some
# tens, and one of the writer a few. Whatever takes longer is tried again where it holds up nobody.
# The commit is not counted.
APPEND_LIMIT: Final = 500
WRITE_LIMIT: Final = 250
LOCK_LIMIT: Final = 100  # milliseconds for one of these to wait for a lock: ours are held for tens
IDLE_LIFE: Final = 60.0  # seconds that the connection for slow statements stays open unused

logger = logging.getLogger(__name__)


class _PostgresStatements(Statements):
    def __init__(self, held: Held, sql: Mapping[str, Numbered], translated: Translated) -> None:
        super().__init__(held, translated)
        self._sql = sql

    async def _run(self, name: str, binds: Mapping[str, object]) -> list[Row]:
        text, names = self._sql[name]
        rows = await self._held.raw_connection.fetch(text, *[binds[bind] for bind in names])
        return cast("list[Row]", rows)


class Pool:
    """A `Reader` that takes a connection for each statement."""

    def __init__(self, server: Server, source: Source, sql: Mapping[str, Numbered]) -> None:
        self._server = server
        self._source = source
        self._sql = sql

    async def fetch(self, name: str, /, **binds: object) -> list[Row]:
        """As `Reader.fetch`."""
        async with self._server.lent(self._source, name) as held:
            statements = _PostgresStatements(held, self._sql, self._server.translated)
            return await statements.fetch(name, **binds)


class PostgresConnection(Pool):
    """The one connection of a handle: writes in transactions, or in single statements."""

    def __init__(
        self, server: Server, source: Source, sql: Mapping[str, Numbered], begin: str
    ) -> None:
        super().__init__(server, source, sql)
        self._begin = begin

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """As `Connection.transaction`."""
        async with self._server.lent(self._source, "a transaction") as held:
            raw = held.raw_connection
            try:
                await raw.execute(self._begin)
                yield _PostgresTransaction(held, self._sql, self._server.translated)
                await raw.execute("COMMIT")
            except TimeLimitReached:
                await raw.execute("ROLLBACK")
                raise
            except (Unavailable, asyncio.CancelledError, *LOST):
                raise  # the connection ends with it, and what was open is undone
            except BaseException:
                await raw.execute("ROLLBACK")
                raise


class _PostgresTransaction(_PostgresStatements, Transaction):
    async def script(self, text: str) -> None:
        """As `Transaction.script`."""
        await self._held.raw_connection.execute(text)


class Connections:
    """What a database is made of: who appends, who writes, who reads.

    `patient` writes what takes longer than others may be held up; None when no statement has a
    limit.
    """

    def __init__(
        self,
        server: Server,
        *,
        appender: Source,
        writer: Source,
        patient: Source | None,
        reader: Source,
        sql: Mapping[str, Numbered],
        begin: str,
        alone: bool,
    ) -> None:
        self.server = server
        self.appender = PostgresConnection(server, appender, sql, begin)
        self.writer = PostgresConnection(server, writer, sql, begin)
        self.patient = PostgresConnection(server, patient, sql, begin) if patient else None
        self.reader = Pool(server, reader, sql)
        self._probe = reader
        self._alone = alone
        self._is_taken = False

    async def watch(self) -> None:
        """Look for the server while it is away, until cancelled."""
        await self.server.watch(self._probe)

    async def keep_lock(self) -> None:
        """Take the lock again whenever its connection was lost, until cancelled."""
        while self._alone:
            await asyncio.sleep(LOCK_EVERY)
            try:
                await self.appender.fetch("ping")
            except Unavailable as error:
                is_taken = isinstance(error.__cause__, TakenError)
                if is_taken and not self._is_taken:
                    logger.warning("another server has taken the lock of this database")
                self._is_taken = is_taken
            else:
                self._is_taken = False

    def check(self) -> None:
        """Raises `Unavailable` while another process holds the lock that this one needs."""
        if self._is_taken:
            raise Unavailable("Another server runs on this database.")


@asynccontextmanager
async def open_connections(
    address: PostgresServer,
    sql: Mapping[str, str],
    *,
    pool: int,
    statement_timeout_ms: int,
    caches_statements: bool,
    alone: bool,
) -> AsyncIterator[Connections]:
    """The connections to a server, each made when it is first needed: it need not be there yet.

    One appends, one writes, `pool - 2` read, and one more is opened for what takes the first two
    too long. A statement ends after `statement_timeout_ms`, or never with `NO_LIMIT`. With `alone`
    the appending connection holds the database's lock while it is open, so that nothing is appended
    without it.
    """
    statements = {name: numbered(text) for name, text in sql.items()}
    sessions = Sessions(
        statements, statement_timeout_ms=statement_timeout_ms, is_pooled=not caches_statements
    )
    options: dict[str, Any] = {
        "min_size": 0,
        "max_inactive_connection_lifetime": 0,
        "timeout": CONNECT_WAIT,
        "ssl": _tls(address),
        "connection_class": Kept,
        "command_timeout": statement_timeout_ms / 1000 + SILENCE if statement_timeout_ms else None,
    }
    if not caches_statements:
        options["statement_cache_size"] = 0
    if address.socket:
        options["host"] = address.socket
    async with AsyncExitStack() as stack:

        async def source(
            size: int,
            limit: int = statement_timeout_ms,
            lock_limit: int = NO_LIMIT,
            *,
            alone: bool = False,
            **more: object,
        ) -> Source:
            handle = await stack.enter_async_context(
                open_handle(
                    address.url,
                    **{**options, **more},
                    max_size=size,
                    server_settings=sessions.settings(
                        statement_timeout_ms=limit, lock_timeout_ms=lock_limit, alone=alone
                    ),
                    init=sessions.prepare_alone if alone else sessions.prepare,
                )
            )
            return Source(handle, size)

        append_limit, write_limit, lock_limit = (
            min(limit, statement_timeout_ms) for limit in (APPEND_LIMIT, WRITE_LIMIT, LOCK_LIMIT)
        )
        patient = None
        if statement_timeout_ms != NO_LIMIT:
            patient = await source(1, max_inactive_connection_lifetime=IDLE_LIFE)
        yield Connections(
            Server(address),
            appender=await source(1, append_limit, lock_limit, alone=alone),
            writer=await source(1, write_limit, lock_limit),
            patient=patient,
            reader=await source(pool - 2),
            sql=statements,
            begin=sessions.begin,
            alone=alone,
        )


def _tls(address: PostgresServer) -> ssl.SSLContext | str | bool:
    """What asyncpg calls the `sslmode`; `databases` would ignore that option of the URL."""
    if address.ssl_mode == "disable":
        return False
    if not address.ssl_mode.startswith("verify"):
        return address.ssl_mode
    context = ssl.create_default_context(
        cafile=str(address.ssl_root_cert) if address.ssl_root_cert else None
    )
    context.check_hostname = address.ssl_mode == "verify-full"
    return context
