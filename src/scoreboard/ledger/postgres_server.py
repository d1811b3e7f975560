"""One PostgreSQL server as this process sees it: whether it is there, and what its errors mean.

One flag a process says that the server is away. Whatever meets that first sets it; while it is set
every call fails at once, and one task asks the server until it answers again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import asyncpg

from scoreboard.addresses import PostgresServer
from scoreboard.errors import TimeLimitReached, Unavailable
from scoreboard.ledger.connection import Handle, Held, RowError
from scoreboard.telemetry import metrics

PROBE_EVERY: Final = 0.3  # seconds between two questions to a server that is away
PROBE_WAIT: Final = 1.0  # seconds for its answer
COMPLAIN_EVERY: Final = 1.0  # seconds between two log lines about refusals: they come by hundreds

# What tells that the server is gone, as against a statement that it refused.
LOST: Final = (
    OSError,  # TimeoutError is one of them
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # this process stood still in a transaction
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

# The server cancelled the statement: nothing of its transaction was kept, and the session is sound.
CANCELLED: Final = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
)

LOCKED: Final = asyncpg.LockNotAvailableError
"""The cause of an `Unavailable`: others hold what a step of the schema needs."""

logger = logging.getLogger(__name__)


class TakenError(Exception):
    """Another process holds the lock of this database."""


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
                async with connected(source.handle) as held:
                    try:
                        yield held
                    except TimeLimitReached:
                        raise
                    except (Unavailable, asyncio.CancelledError, *LOST):
                        # asyncpg would wait, for as long as it takes, for a word of the server.
                        _terminate(held)
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
        except LOST as error:
            if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
                raise RowError(f"{name}: {error}") from error  # a value of the wrong type
            self._lose(error)
            raise Unavailable("The database is not available.") from error
        except CANCELLED as error:
            self._complain(name, error)
            raise TimeLimitReached("The database takes too long for this.") from error
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
            async with asyncio.timeout(PROBE_WAIT), source.turn, connected(source.handle) as held:
                answer = None
                try:
                    answer = await held.raw_connection.fetchval("SHOW transaction_read_only")
                finally:
                    if answer != "off":  # the next question goes to whoever is the server then
                        _terminate(held)
        except (*LOST, *MISCONFIGURED, asyncpg.PostgresError):
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


def _terminate(held: Held) -> None:
    # One that the server has closed is in its pool again already, and is not to be had.
    with suppress(asyncpg.InterfaceError):
        held.raw_connection.terminate()


@asynccontextmanager
async def connected(handle: Handle) -> AsyncIterator[Held]:
    """A connection of the handle, made if need be."""
    connection = handle.connection()
    try:
        await connection.__aenter__()
    except (*LOST, *MISCONFIGURED, TakenError, asyncpg.PostgresError):
        raise
    except Exception as error:
        # Whatever else asyncpg stumbles over in a handshake, it was not with a PostgreSQL.
        raise ConnectionError(f"{type(error).__name__} while connecting: {error}") from error
    try:
        yield connection
    finally:
        await connection.__aexit__()
