"""Statements by their name on a connection: the only module that knows `databases`, which opens the
connections and keeps them.

Its `transaction()` is never used, since it can lose a connection when it is cancelled; a
transaction begins and ends in the hands of whoever owns the connection. Each dialect has a module
of its own for that: `sqlite` and `postgresql`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    suppress,
)
from typing import Any, Final, Protocol

import databases

CLOSE_WAIT: Final = 1.0  # seconds for connections to be closed at the end

Row = Mapping[str, Any]
Handle = databases.Database
Held = databases.core.Connection

Translated = Callable[[str], AbstractContextManager[None]]
"""Turns the driver's errors into ours while the statement of that name runs."""


class RowError(Exception):
    """A statement's data was refused by the database; the same statement would be refused again."""


@asynccontextmanager
async def open_handle(url: str, **options: Any) -> AsyncIterator[Handle]:  # noqa: ANN401
    """A handle of `databases`, through which connections are taken."""
    handle = databases.Database(url, **options)
    await handle.connect()
    try:
        yield handle
    finally:
        with suppress(TimeoutError):  # a server that is away cannot say goodbye
            async with asyncio.timeout(CLOSE_WAIT):
                await handle.disconnect()


class Reader(Protocol):
    """Reads rows by the name of a statement."""

    async def fetch(self, name: str, /, **binds: object) -> list[Row]:
        """Run the statement `name` and give its rows.

        Raises `RowError` when its data breaks a constraint, `TimeLimitReached` when the database
        cancels it, `Unavailable` when the database does not answer, and `KeyError` when there is no
        such statement.
        """
        ...


class Statements(ABC):
    """A `Reader` on one connection.

    The drivers are asked directly: `databases` would have SQLAlchemy compile the text each time,
    some 40 µs and hundreds of objects for the collector of garbage (docs/performance.md).
    """

    def __init__(self, held: Held, translated: Translated) -> None:
        self._held = held
        self._translated = translated

    @abstractmethod
    async def _run(self, name: str, binds: Mapping[str, object]) -> list[Row]:
        """The driver's rows of the statement `name`."""

    async def fetch(self, name: str, /, **binds: object) -> list[Row]:
        """As `Reader.fetch`."""
        with self._translated(name):
            return await self._run(name, binds)

    async def fetch_one(self, name: str, /, **binds: object) -> Row | None:
        """The first row of `fetch`, or None."""
        rows = await self.fetch(name, **binds)
        return rows[0] if rows else None


class Transaction(Statements):
    """`Statements` inside a transaction: what a job that writes is given."""

    async def execute(self, name: str, /, **binds: object) -> None:
        """Run the statement `name`, which gives no rows. Raises as `fetch`."""
        await self.fetch(name, **binds)

    @abstractmethod
    async def script(self, text: str) -> None:
        """Run statements that are not kept by name: a step of the schema."""


class Connection(Protocol):
    """A connection that writes, in the hands of its owner."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction: durable when the block ends, undone when it raises.

        Raises `Unavailable` when it cannot begin or commit; in the second case it is not known
        whether it was kept.
        """
        ...
