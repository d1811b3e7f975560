"""PostgreSQL: few connections, kept open, prepared statements on each; the only user of `asyncpg`.

One flag a process says that the server is away. Whatever meets that first sets it; while it is set
every call fails at once, and one task asks the server until it answers again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from scoreboard.addresses import PostgresServer
from scoreboard.errors import Unavailable
from scoreboard.ledger.connection import (
    Handle,
    Held,
    Row,
    RowError,
    Statements,
    Transaction,
    open_handle,
)
from scoreboard.telemetry import metrics

DIALECT: Final = "postgresql"
CONNECT_WAIT: Final = 2.0  # seconds to connect; a server across the country takes a tenth
SILENCE: Final = 0.5  # seconds past the server's own time limit: then it is not slow but away
PROBE_EVERY: Final = 0.3  # seconds between two questions to a server that is away
PROBE_WAIT: Final = 1.0  # seconds for its answer
LOCK_EVERY: Final = 1.0  # seconds between looks whether the lock is still held
COMPLAIN_EVERY: Final = 1.0  # seconds between two log lines about refusals: they come by hundreds
NO_LIMIT: Final = 0
# The lock that says: this process alone serves this database. Any number that is ours will do.
ALONE: Final = 0x5C0_2EB0A2D

# What tells that the server is gone, as against a statement that it refused.
_LOST: Final = (
    OSError,  # TimeoutError is one of them
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, in the middle of a failover
)
# What no retry mends: the operator has to.
MISCONFIGURED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.exceptions.ClientConfigurationError,
    asyncpg.ProtocolViolationError,  # how a pooler refuses a parameter of the connection
    ssl.SSLCertVerificationError,
)

logger = logging.getLogger(__name__)


class TakenError(Exception):
    """Another process holds the lock of this database."""


class _Kept(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection that goes back to its pool as it is.

    asyncpg would reset its session first, one more round trip; ours has no state but the lock,
    which has to stay.
    """

    def get_reset_query(self) -> str:
        """Nothing."""
        return ""


class Server:
    """One PostgreSQL server, as this process sees it."""

    def __init__(self, address: PostgresServer) -> None:
        self.address = address
        self.is_away = False
        self._became_away = asyncio.Event()
        self._complained = 0.0

    @asynccontextmanager
    async def lent(self, source: Source, name: str) -> AsyncIterator[Held]:
        """A connection for the statement `name`, with the driver's errors turned into ours."""
        async with source.turn:
            # Asked in one's turn: those who waited while the server was lost fail with it at once.
            if self.is_away:
                raise Unavailable("The database is not available.")
            with self.translated(name):
                async with _connected(source.handle) as held:
                    try:
                        yield held
                    except (Unavailable, asyncio.CancelledError, *_LOST):
                        # asyncpg would wait, for as long as it takes, for a word of the server.
                        held.raw_connection.terminate()
                        raise

    @contextmanager
    def translated(self, name: str) -> Iterator[None]:
        """Turn the driver's errors while `name` runs into ours."""
        try:
            yield
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
            raise RowError(f"{name}: {error}") from error
        except TakenError as error:
            raise Unavailable("Another server runs on this database.") from error
        except MISCONFIGURED as error:
            self._complain(name, error)
            raise Unavailable("The database is not available.") from error
        except _LOST as error:
            if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
                raise RowError(f"{name}: {error}") from error  # a value of the wrong type
            self._lose(error)
            raise Unavailable("The database is not available.") from error
        except asyncpg.PostgresError as error:
            self._complain(name, error)
            raise Unavailable("The database is not available.") from error

    async def watch(self, source: Source) -> None:
        """Ask a server that is away until it answers: the owning task."""
        while True:
            await self._became_away.wait()
            await asyncio.sleep(PROBE_EVERY)
            if await self._answers(source):
                self.is_away = False
                self._became_away.clear()
                metrics.DATABASE_UP.set(1)
                logger.info("the database is back")

    async def _answers(self, source: Source) -> bool:
        """Whether the server takes a question, and would take a change: a standby does not."""
        try:
            async with asyncio.timeout(PROBE_WAIT), source.turn, _connected(source.handle) as held:
                answer = None
                try:
                    answer = await held.raw_connection.fetchval("SHOW transaction_read_only")
                finally:
                    if answer != "off":  # the next question goes to whoever is the server then
                        held.raw_connection.terminate()
        except (*_LOST, *MISCONFIGURED, asyncpg.PostgresError):
            return False
        return bool(answer == "off")

    def _lose(self, error: BaseException) -> None:
        if not self.is_away:
            logger.warning("the database is away: %s", str(error) or type(error).__name__)
        self.is_away = True
        self._became_away.set()
        metrics.DATABASE_UP.set(0)

    def _complain(self, name: str, error: BaseException) -> None:
        if time.monotonic() - self._complained >= COMPLAIN_EVERY:
            self._complained = time.monotonic()
            logger.warning("the database refused %s: %s", name, error)


class Source:
    """A handle with as many turns as it has connections."""

    def __init__(self, handle: Handle, size: int) -> None:
        self.handle = handle
        self.turn = asyncio.Semaphore(size)


@asynccontextmanager
async def _connected(handle: Handle) -> AsyncIterator[Held]:
    """A connection of the handle, made if need be."""
    connection = handle.connection()
    try:
        await connection.__aenter__()
    except (*_LOST, *MISCONFIGURED, TakenError, asyncpg.PostgresError):
        raise
    except Exception as error:
        # Whatever else asyncpg stumbles over in a handshake, it was not with a PostgreSQL.
        raise ConnectionError(f"{type(error).__name__} while connecting: {error}") from error
    try:
        yield connection
    finally:
        await connection.__aexit__()


class Pool:
    """A `Reader` that takes a connection for each statement."""

    def __init__(self, server: Server, source: Source, sql: Mapping[str, str]) -> None:
        self._server = server
        self._source = source
        self._sql = sql

    async def fetch(self, name: str, /, **binds: object) -> list[Row]:
        """As `Reader.fetch`."""
        async with self._server.lent(self._source, name) as held:
            return await Statements(held, self._sql, self._server.translated).fetch(name, **binds)


class PostgresConnection(Pool):
    """The one connection of a handle: writes in transactions, or in single statements."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """As `Connection.transaction`."""
        async with self._server.lent(self._source, "a transaction") as held:
            raw = held.raw_connection
            await raw.execute("BEGIN")
            try:
                yield _PostgresTransaction(held, self._sql, self._server.translated)
                await raw.execute("COMMIT")
            except (Unavailable, asyncio.CancelledError, *_LOST):
                raise  # the connection ends with it, and what was open is undone
            except BaseException:
                await raw.execute("ROLLBACK")
                raise


class _PostgresTransaction(Transaction):
    async def script(self, text: str) -> None:
        """As `Transaction.script`."""
        await self._held.raw_connection.execute(text)


class Connections:
    """What a database is made of: who appends, who writes, who reads."""

    def __init__(
        self,
        server: Server,
        *,
        appender: Source,
        writer: Source,
        reader: Source,
        sql: dict[str, str],
        alone: bool,
    ) -> None:
        self.server = server
        self.appender = PostgresConnection(server, appender, sql)
        self.writer = PostgresConnection(server, writer, sql)
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

    One appends, one writes, `pool - 2` read. A statement ends after `statement_timeout_ms`, or
    never with `NO_LIMIT`. With `alone` the appending connection holds the database's lock while it
    is open, so that nothing is appended without it.
    """
    options: dict[str, Any] = {
        "min_size": 0,
        "max_inactive_connection_lifetime": 0,
        "timeout": CONNECT_WAIT,
        "ssl": _tls(address),
        "connection_class": _Kept,
        "command_timeout": statement_timeout_ms / 1000 + SILENCE if statement_timeout_ms else None,
        # A pooler refuses settings that it does not know, and then only our own limit holds.
        "server_settings": {"application_name": "scoreboard"}
        | ({"statement_timeout": str(statement_timeout_ms)} if caches_statements else {}),
    }
    if not caches_statements:
        options["statement_cache_size"] = 0
    async with AsyncExitStack() as stack:

        async def source(size: int, **more: object) -> Source:
            handle = await stack.enter_async_context(
                open_handle(address.url, **options, **more, max_size=size)
            )
            return Source(handle, size)

        yield Connections(
            Server(address),
            appender=await source(1, init=_take_lock if alone else None),
            writer=await source(1),
            reader=await source(pool - 2),
            sql=dict(sql),
            alone=alone,
        )


async def _take_lock(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", ALONE):
        raise TakenError


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
