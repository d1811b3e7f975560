"""The connections to the database: the only module that knows `databases`.

SQLite allows one writer at a time, so one task owns the one writing connection and every change
goes through it (`Database.write`), each as one durable transaction. Reads have connections of
their own and see what is committed: one for what touches a few rows, one for scans, so that these
hold nobody up. All are opened once: `databases` would otherwise open a file
and start a thread for every statement. Its `transaction()` is never used, since it can lose a
connection when it is cancelled; BEGIN and COMMIT are sent by the task that owns the connection,
which no request cancels.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast
from urllib.parse import quote

import databases

from scoreboard.errors import Unavailable
from scoreboard.ledger import statements

T = TypeVar("T")
Row = Mapping[str, Any]

DIALECT: Final = "sqlite"
LOCK_WAIT: Final = 2.0  # seconds for another process (the command line) to finish its transaction
TURN_WAIT: Final = 2.0  # seconds for a job to get its turn: with the lock's, a 503 within four
MAX_WAITING: Final = 1024  # jobs before the writer: about a second's work, then callers get a 503
READ_WAIT: Final = 10.0  # seconds that a read may wait for its turn and run
MAX_SCANS: Final = 8  # scans under way or waiting: at a million rows each takes half a second

logger = logging.getLogger(__name__)


class RowError(Exception):
    """A statement's data was refused by the database; the same statement would be refused again."""


class _Connection(sqlite3.Connection):
    """A connection with the settings that the promises rest on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - sqlite3's signature
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA foreign_keys = ON")
        self.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk before it is acknowledged (sqlite.org/pragma.html).
        self.execute("PRAGMA synchronous = FULL")


def _away(error: Exception) -> Unavailable:
    logger.warning("the database failed: %s", error)
    return Unavailable("The database is not available.")


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn the driver's errors while `name` runs into ours."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError) as error:
        raise RowError(f"{name}: {error}") from error
    except (sqlite3.Error, ValueError) as error:
        raise _away(error) from error


class Statements:
    """Runs statements by their name on one connection."""

    def __init__(self, connection: databases.core.Connection, sql: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = sql

    async def fetch(self, name: str, /, **binds: object) -> list[Row]:
        """Run the statement `name` and give its rows.

        Raises `RowError` when its data breaks a constraint, `Unavailable` when the database does
        not answer, and `KeyError` when there is no such statement.
        """
        with _translated(name):
            records = await self._connection.fetch_all(self._sql[name], dict(binds) or None)
        return [cast("Row", record) for record in records]

    async def fetch_one(self, name: str, /, **binds: object) -> Row | None:
        """The first row of `fetch`, or None."""
        rows = await self.fetch(name, **binds)
        return rows[0] if rows else None


class Transaction(Statements):
    """`Statements` inside a transaction; what `Database.write` hands to its job."""

    async def execute(self, name: str, /, **binds: object) -> None:
        """Run the statement `name`, which gives no rows. Raises as `fetch`."""
        # `databases` cannot fetch from a statement without columns, not even nothing.
        with _translated(name):
            await self._connection.execute(self._sql[name], dict(binds) or None)

    async def script(self, parts: tuple[str, ...]) -> None:
        """Run statements that are not kept by name: a step of the schema."""
        for part in parts:
            await self._connection.execute(part)


Job = Callable[[Transaction], Awaitable[T]]


class _Waiting(NamedTuple):
    """A job before the writer, and the monotonic second after which it is too late for it."""

    job: Job[Any]
    result: asyncio.Future[Any]
    deadline: float


class Database:
    """The open database. Make one with `open_database`."""

    def __init__(
        self,
        path: Path,
        *,
        reader: databases.core.Connection,
        scanner: databases.core.Connection,
        writer: databases.core.Connection,
    ) -> None:
        self.sql = statements.load(DIALECT)
        self._path = path
        self._file = _identity(path)
        self._reader = Statements(reader, self.sql)
        self._scanner = Statements(scanner, self.sql)
        self._scans = 0
        self._writer = writer
        self._closed = False
        self._jobs: asyncio.Queue[_Waiting] = asyncio.Queue(MAX_WAITING)

    async def fetch(self, name: str, /, **binds: object) -> list[Row]:
        """Read committed rows with the statement `name`. Raises as `Statements.fetch`."""
        return await _timed(self._reader.fetch(name, **binds))

    async def scan(self, name: str, /, **binds: object) -> list[Row]:
        """As `fetch`, for statements that look through many rows.

        Raises `Unavailable` at once when too many are under way.
        """
        if self._scans >= MAX_SCANS:
            raise Unavailable("Too many long reads are under way.")
        self._scans += 1
        try:
            return await _timed(self._scanner.fetch(name, **binds))
        finally:
            self._scans -= 1

    async def check(self) -> None:
        """Raises `Unavailable` when the database cannot be read, or its file is another one."""
        self._check_file()
        await self.fetch("ping")

    def _check_file(self) -> None:
        # SQLite goes on writing into a file that was removed, and all of it would be lost.
        if _identity(self._path) != self._file:
            logger.error("the file %s was replaced or removed: start again", self._path)
            raise Unavailable("The database is not available.")

    async def fetch_one(self, name: str, /, **binds: object) -> Row | None:
        """The first row of `fetch`, or None."""
        rows = await self.fetch(name, **binds)
        return rows[0] if rows else None

    async def write(self, job: Job[T]) -> T:
        """Run `job` in one transaction; its result comes back once the commit is on the disk.

        A caller that is cancelled before its turn is dropped; afterwards the transaction goes on
        and its result is discarded. What `job` raises rolls back and is raised here. Raises
        `Unavailable` when too many are waiting, or when the commit fails.
        """
        if self._closed:
            raise Unavailable("The service is shutting down.")
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._jobs.put_nowait(_Waiting(job, result, time.monotonic() + TURN_WAIT))
        except asyncio.QueueFull:
            raise Unavailable("Too many changes are waiting.") from None
        return cast("T", await result)

    async def run(self) -> None:
        """Carry out the jobs, one at a time, until cancelled: the task that owns the writer.

        Whoever is still waiting then is told `Unavailable`.
        """
        result: asyncio.Future[Any] | None = None
        try:
            while True:
                job, result, deadline = await self._jobs.get()
                if result.done():  # its caller has gone
                    continue
                if time.monotonic() > deadline:
                    _settle(result, error=Unavailable("The database is busy."))
                    continue
                try:
                    outcome = await self._transact(job)
                except Exception as error:  # noqa: BLE001 - it belongs to the caller
                    _settle(result, error=error)
                else:
                    _settle(result, outcome)
        finally:
            self._closed = True
            closing = Unavailable("The service is shutting down.")
            if result is not None:
                _settle(result, error=closing)
            while not self._jobs.empty():
                _settle(self._jobs.get_nowait().result, error=closing)

    async def _transact(self, job: Job[T]) -> T:
        self._check_file()
        await self._control("BEGIN IMMEDIATE")
        try:
            outcome = await job(Transaction(self._writer, self.sql))
            await self._control("COMMIT")
        except BaseException:
            # A failed COMMIT may or may not leave the transaction open: it must end here.
            if self._writer.raw_connection.in_transaction:
                with suppress(Unavailable):
                    await self._control("ROLLBACK")
            raise
        return outcome

    async def _control(self, statement: str) -> None:
        with _translated(statement):
            await self._writer.execute(statement)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def _timed(reading: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(READ_WAIT):
            return await reading
    except TimeoutError as error:
        logger.warning("a read took more than %d s", READ_WAIT)
        raise Unavailable("The database is busy.") from error


def _settle(
    result: asyncio.Future[Any], outcome: object = None, *, error: Exception | None = None
) -> None:
    if result.done():
        return
    if error is None:
        result.set_result(outcome)
    else:
        result.set_exception(error)


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open the database file, made if it is missing, and run its writer until the block ends.

    Raises `Unavailable` when the file cannot be opened.
    """
    async with AsyncExitStack() as stack:
        connections: dict[str, databases.core.Connection] = {}
        for name in ("reader", "scanner", "writer"):
            # One handle each: `databases` gives a task the same connection however often it asks.
            handle = databases.Database(
                f"sqlite:///{quote(str(path))}", factory=_Connection, timeout=LOCK_WAIT
            )
            try:
                await handle.connect()
                connections[name] = await stack.enter_async_context(handle.connection())
            except sqlite3.Error as error:
                raise Unavailable(f"The database {path} cannot be opened: {error}.") from error
            stack.push_async_callback(handle.disconnect)
        database = Database(path, **connections)
        writer = asyncio.create_task(database.run(), name="database writer")
        try:
            yield database
        finally:
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer


@contextmanager
def served_alone(path: Path) -> Iterator[None]:
    """Hold the file's lock, which says that a server runs on it, while the block runs.

    A second server would have a board of its own that never sees the first one's completions. The
    lock ends with its process, however that ends. Raises `BlockingIOError` when it is held.
    """
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
