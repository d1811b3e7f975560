"""SQLite: connections to one file, opened once and held.

`databases` would otherwise open the file and start a thread for every statement.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import aiosqlite
import anyio.to_thread

from scoreboard.errors import Unavailable
from scoreboard.ledger.connection import Held, Row, RowError, Transaction, open_handle

DIALECT: Final = "sqlite"
LOCK_WAIT: Final = 1.5  # seconds for another process (the command line) to end its transaction

logger = logging.getLogger(__name__)


class _Durable(sqlite3.Connection):
    """A connection with the settings that the promises rest on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - sqlite3's signature
        super().__init__(*args, **kwargs)
        self.row_factory = sqlite3.Row
        self.execute("PRAGMA foreign_keys = ON")
        self.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk before it is acknowledged (sqlite.org/pragma.html).
        self.execute("PRAGMA synchronous = FULL")


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn the driver's errors while `name` runs into ours."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError) as error:
        raise RowError(f"{name}: {error}") from error
    except (sqlite3.Error, ValueError) as error:
        logger.warning("the database failed: %s", error)
        raise Unavailable("The database is not available.") from error


class SqliteConnection(Transaction):
    """A held connection: reads by itself, and writes in transactions."""

    def __init__(self, held: Held, sql: Mapping[str, str]) -> None:
        super().__init__(held, translated)
        self._sql = sql
        self._raw: aiosqlite.Connection = held.raw_connection

    async def _run(self, name: str, binds: Mapping[str, object]) -> list[Row]:
        return cast("list[Row]", await self._raw.execute_fetchall(self._sql[name], binds))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """As `Connection.transaction`. Waits `LOCK_WAIT` for another process's to end."""
        # IMMEDIATE: one that read first and wrote later would fail when another has written.
        await self._control("BEGIN IMMEDIATE")
        try:
            yield self
            await self._control("COMMIT")
        except BaseException:
            if self._raw.in_transaction:  # a failed commit may have ended it
                with suppress(Unavailable):
                    await self._control("ROLLBACK")
            raise

    async def script(self, text: str) -> None:
        """As `Transaction.script`. The text is cut at each `;` that ends a line, which a statement
        must not have inside.
        """
        for statement in re.split(r";\s*\n", text):
            if statement.strip():
                await self._control(statement)

    async def _control(self, statement: str) -> None:
        with self._translated(statement):
            await self._raw.execute_fetchall(statement)


@asynccontextmanager
async def open_connection(path: Path, sql: Mapping[str, str]) -> AsyncIterator[SqliteConnection]:
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
    async with (
        open_handle(f"sqlite:///{quote(str(path))}", factory=_Durable, timeout=LOCK_WAIT) as handle,
        handle.connection() as held,
    ):
        yield SqliteConnection(held, sql)
