"""One connection to SQLite: the only module that knows `databases`, which holds it and binds names.

Connections are opened once and held: `databases` would otherwise open a file and start a thread for
every statement. Its `transaction()` is never used, since it can lose a connection when it is
cancelled; `begin`, `commit` and `rollback` belong to whoever owns the connection.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import anyio.to_thread
import databases

from scoreboard.errors import Unavailable

Row = Mapping[str, Any]

DIALECT: Final = "sqlite"
LOCK_WAIT: Final = 1.5  # seconds for another process (the command line) to end its transaction

logger = logging.getLogger(__name__)


class RowError(Exception):
    """A statement's data was refused by the database; the same statement would be refused again."""


class _Durable(sqlite3.Connection):
    """A connection with the settings that the promises rest on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - sqlite3's signature
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA foreign_keys = ON")
        self.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk before it is acknowledged (sqlite.org/pragma.html).
        self.execute("PRAGMA synchronous = FULL")


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn the driver's errors while `name` runs into ours."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError) as error:
        raise RowError(f"{name}: {error}") from error
    except (sqlite3.Error, ValueError) as error:
        logger.warning("the database failed: %s", error)
        raise Unavailable("The database is not available.") from error


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
    """`Statements` inside a transaction: what a job that writes is given."""

    async def execute(self, name: str, /, **binds: object) -> None:
        """Run the statement `name`, which gives no rows. Raises as `fetch`."""
        # `databases` cannot fetch from a statement without columns, not even nothing.
        with _translated(name):
            await self._connection.execute(self._sql[name], dict(binds) or None)

    async def script(self, parts: tuple[str, ...]) -> None:
        """Run statements that are not kept by name: a step of the schema."""
        for part in parts:
            await self._connection.execute(part)


class Connection(Transaction):
    """A held connection, in the hands of its owner."""

    async def begin(self) -> None:
        """Begin a transaction that may write. Raises `Unavailable` when another process does."""
        await self._control("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        """Make it durable. Raises `Unavailable`; nothing is then known to be kept."""
        await self._control("COMMIT")

    async def rollback(self) -> None:
        """Undo what is open, if anything still is: a failed commit may have ended it."""
        if self._connection.raw_connection.in_transaction:
            with suppress(Unavailable):
                await self._control("ROLLBACK")

    async def _control(self, statement: str) -> None:
        with _translated(statement):
            await self._connection.execute(statement)


@asynccontextmanager
async def open_connection(path: Path, sql: Mapping[str, str]) -> AsyncIterator[Connection]:
    """A connection to the database file, made if it is missing.

    Raises `Unavailable` when the file cannot be opened.
    """
    try:
        # Tried without aiosqlite first: when opening fails, it does not wait for its thread, which
        # then trips over the loop that a failed start has closed.
        await anyio.to_thread.run_sync(lambda: _Durable(path, timeout=LOCK_WAIT).close())
    except sqlite3.Error as error:
        raise Unavailable(f"The database {path} cannot be opened: {error}.") from error
    # A handle each: `databases` gives a task the same connection however often it asks.
    handle = databases.Database(
        f"sqlite:///{quote(str(path))}", factory=_Durable, timeout=LOCK_WAIT
    )
    await handle.connect()
    try:
        async with handle.connection() as held:
            yield Connection(held, sql)
    finally:
        await handle.disconnect()
