"""The database: reads that see what is committed, and writes that are durable when they return.

Three connections are held: the writer's, one for reads of a few rows, and one for scans, so that
long reads hold nobody up but each other.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from scoreboard.errors import Unavailable
from scoreboard.ledger import statements
from scoreboard.ledger.connection import DIALECT, Connection, Row, open_connection
from scoreboard.ledger.writer import Job, Writer

T = TypeVar("T")

READ_WAIT: Final = 10.0  # seconds that a read may wait for its turn and run
MAX_SCANS: Final = 8  # scans under way or waiting: at a million rows each takes a third of a second

logger = logging.getLogger(__name__)


class Database:
    """The open database. Make one with `open_database`."""

    def __init__(
        self, path: Path, *, reader: Connection, scanner: Connection, writer: Connection
    ) -> None:
        self._path = path
        self._file = _identity(path)
        self._reader = reader
        self._scanner = scanner
        self._scans = 0
        self._writer = Writer(writer, self._check_file)

    async def fetch(self, name: str, /, **binds: object) -> list[Row]:
        """Read committed rows with the statement `name`. Raises as `Statements.fetch`."""
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
            return await _timed(self._scanner.fetch(name, **binds))
        finally:
            self._scans -= 1

    async def write(self, job: Job[T]) -> T:
        """Run `job` in one durable transaction. As `Writer.write`."""
        return await self._writer.write(job)

    async def run(self) -> None:
        """Carry out what is to be written, until cancelled: the owning task."""
        await self._writer.run()

    async def check(self) -> None:
        """Raises `Unavailable` when the database cannot be read, or its file is another one."""
        self._check_file()
        await self.fetch("ping")

    def _check_file(self) -> None:
        # SQLite goes on writing into a file that was removed, and all of it would be lost.
        if _identity(self._path) != self._file:
            logger.error("the file %s was replaced or removed: start again", self._path)
            raise Unavailable("The database is not available.")


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


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open the database file, made if it is missing, and run its writer until the block ends.

    Raises `Unavailable` when the file cannot be opened.
    """
    sql = statements.load(DIALECT)
    async with AsyncExitStack() as stack:
        connections = {
            name: await stack.enter_async_context(open_connection(path, sql))
            for name in ("reader", "scanner", "writer")
        }
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
