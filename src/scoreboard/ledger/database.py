"""The database: reads that see what is committed, and writes that are durable when they return.

Long reads have a connection of their own on SQLite, and leave one on PostgreSQL, so that they hold
nobody up but each other.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from scoreboard.addresses import DatabaseAddress, SqliteFile
from scoreboard.errors import TimeLimitReached, Unavailable
from scoreboard.ledger import postgresql, sqlite, statements
from scoreboard.ledger.connection import Connection, Reader, Row
from scoreboard.ledger.sqlite_files import beside, has_another_name, secure_database
from scoreboard.ledger.writer import Job, Writer
from scoreboard.settings import Settings
from scoreboard.telemetry import metrics

T = TypeVar("T")

Lane = Literal["main", "aside", "patient"]
"""Which connection appends to the log: the one for the batches of everyone; the writer's, which has
the same time limit and other callers; or the one for what takes longer than others may wait.
"""

READ_WAIT: Final = 4.0  # seconds that a read may wait for its turn and run
MAX_SCANS: Final = (
    16  # scans under way or waiting: at a million rows each takes a third of a second
)

logger = logging.getLogger(__name__)


class Database:
    """The open database. Make one with `open_database`."""

    def __init__(
        self,
        address: DatabaseAddress,
        *,
        reader: Reader,
        scanner: Reader,
        writer: Connection,
        patient: Connection | None = None,
        appender: Reader | None = None,
        scanning: int = 1,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.address = address
        self._reader = reader
        self._scanner = scanner
        self._scans = 0
        self._scanning = asyncio.Semaphore(scanning)
        self._appender = appender
        self._check = check
        self._writer = Writer(writer, check)
        self._patient = Writer(patient, check) if patient else None
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def dialect(self) -> str:
        """Which folder of `sql/` holds the text that differs."""
        return sqlite.DIALECT if isinstance(self.address, SqliteFile) else postgresql.DIALECT

    async def fetch(self, name: str, /, **binds: object) -> list[Row]:
        """Read committed rows with the statement `name`. Raises as `Reader.fetch`."""
        with metrics.DATABASE_READS_ACTIVE.track_inprogress():
            return await _timed(self._reader.fetch(name, **binds))

    async def fetch_one(self, name: str, /, **binds: object) -> Row | None:
        """The first row of `fetch`, or None."""
        rows = await self.fetch(name, **binds)
        return rows[0] if rows else None

    async def scan(self, name: str, /, **binds: object) -> list[Row]:
        """As `fetch`, for statements that look through many rows.

        Raises `Unavailable` at once when too many are under way.
        """
        if self._scans >= MAX_SCANS:
            raise Unavailable("Too many long reads are under way.")
        self._scans += 1
        try:
            return await _timed(self._scan(name, **binds))
        finally:
            self._scans -= 1

    async def _scan(self, name: str, /, **binds: object) -> list[Row]:
        metrics.DATABASE_SCANS_WAITING.inc()
        try:
            await self._scanning.acquire()
        finally:
            metrics.DATABASE_SCANS_WAITING.dec()
        try:
            return await self._scanner.fetch(name, **binds)
        finally:
            self._scanning.release()

    async def sweep(self, name: str, /, **binds: object) -> list[Row]:
        """As `scan`, for what keeps the boards right: never refused because of other scans, or many
        readers of a board that is not loaded would keep it from being loaded.
        """
        return await _timed(self._scanner.fetch(name, **binds))

    async def append(self, name: str, /, lane: Lane = "main", **binds: object) -> list[Row]:
        """Run one statement that writes, a transaction of its own that is durable on return.

        One at a time in each lane. Raises as `Reader.fetch`; after any other `Unavailable` than
        `TimeLimitReached` it is not known whether it was kept.
        """
        if lane == "main" and self._appender is not None:
            return await self._appender.fetch(name, **binds)
        writer = self._patient if lane == "patient" and self._patient else self._writer
        return await writer.write(lambda transaction: transaction.fetch(name, **binds))

    async def write(self, job: Job[T]) -> T:
        """Run `job` in one durable transaction. As `Writer.write`.

        A job that reaches the time limit of the writer, which has others waiting, is run once more
        on a connection where it may take longer: what it does outside of the database must bear
        that.
        """
        try:
            return await self._writer.write(job)
        except TimeLimitReached:
            if self._patient is None:
                raise
        return await self._patient.write(job)

    async def run(self) -> None:
        """Carry out what is to be written, until cancelled: the owning task."""
        await self._writer.run()

    async def run_patient(self) -> None:
        """Carry out what took the writer too long, until cancelled: the owning task."""
        assert self._patient  # noqa: S101 - else it is not started
        await self._patient.run()

    async def fail(self) -> None:
        """Raise what one of the database's own tasks fails with, as soon as one does."""
        done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        raise RuntimeError("a task of the database has ended")

    async def check(self) -> None:
        """Raises `Unavailable` when the database cannot be read, or its file is another one."""
        self._check()
        await self.fetch("ping")


async def _timed(reading: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(READ_WAIT):
            return await reading
    except TimeoutError as error:
        logger.warning("a read took more than %d s", READ_WAIT)
        raise Unavailable("The database is busy.") from error


@asynccontextmanager
async def open_database(
    settings: Settings, *, alone: bool = False, patient: bool = False
) -> AsyncIterator[Database]:
    """Open the database of the settings and run its tasks until the block ends.

    A SQLite file is made if it is missing, and `Unavailable` raised when it cannot be opened; a
    PostgreSQL server need not be there yet. With `alone` nothing is appended unless this process
    holds the lock that says it is the only server of this database (PostgreSQL; a file has
    `served_alone`). With `patient` a statement may take as long as it needs.
    """
    address = settings.database
    async with AsyncExitStack() as stack:
        tasks: list[Callable[[], Coroutine[Any, Any, None]]] = []
        if isinstance(address, SqliteFile):
            if has_another_name(address.path):
                raise Unavailable(
                    f"The database {address.path} has another name, a hard link: through both "
                    "names its data would be destroyed. Remove one."
                )
            secure_database(address.path)
            sql = statements.load(sqlite.DIALECT)
            reader, scanner, writer = [
                await stack.enter_async_context(sqlite.open_connection(address.path, sql))
                for _ in range(3)
            ]
            database = Database(
                address,
                reader=reader,
                scanner=scanner,
                writer=writer,
                check=_SameFile(address.path).check,
            )
        else:
            connections = await stack.enter_async_context(
                postgresql.open_connections(
                    address,
                    statements.load(postgresql.DIALECT),
                    pool=settings.database_pool,
                    statement_timeout_ms=(
                        postgresql.NO_LIMIT if patient else settings.statement_timeout_ms
                    ),
                    caches_statements=settings.caches_statements,
                    alone=alone,
                )
            )
            database = Database(
                address,
                reader=connections.reader,
                scanner=connections.reader,
                writer=connections.writer,
                patient=connections.patient,
                appender=connections.appender,
                scanning=max(1, settings.database_pool - 3),  # and one is left for short reads
                check=connections.check,
            )
            tasks = [connections.watch, connections.keep_lock] if alone else [connections.watch]
            if connections.patient:
                tasks.append(database.run_patient)
        for task in (database.run, *tasks):
            running = await stack.enter_async_context(_running(task(), f"database {task.__name__}"))
            database.tasks.append(running)
        yield database


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


class _SameFile:
    """SQLite goes on writing into a file that was removed, and all of it would be lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._look()

    def check(self) -> None:
        """Raises `Unavailable` when the path names another file than in the beginning."""
        if self._look() != self._identity:
            logger.error("the file %s was replaced or removed: start again", self._path)
            raise Unavailable("The database is not available.")

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


@contextmanager
def served_alone(path: Path) -> Iterator[None]:
    """Hold the file's lock, which says that a server runs on it, while the block runs.

    A second server would have a board of its own that never sees the first one's completions. The
    lock ends with its process, however that ends. Raises `BlockingIOError` when it is held.
    """
    descriptor = os.open(beside(path, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
