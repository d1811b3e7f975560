"""The writer: one task that owns a writing connection, and through which every change goes.

SQLite allows one writer at a time; on PostgreSQL completions have a connection of their own, and
the writer carries out all else. Each job is one durable transaction, in the order of arrival; no
request that is cancelled can leave one half-way, since only this task begins and ends them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar, cast

from scoreboard.errors import Unavailable
from scoreboard.ledger.connection import Connection, Transaction
from scoreboard.telemetry import metrics

T = TypeVar("T")
Job = Callable[[Transaction], Awaitable[T]]

MAX_WAITING: Final = 1024  # jobs before the writer: some two seconds' work, then callers get a 503
TURN_WAIT: Final = 2.0  # seconds for a job to get its turn: with the lock's, a 503 within four


class _Waiting(NamedTuple):
    """A job before the writer, and the monotonic second after which it is too late for it."""

    job: Job[Any]
    result: asyncio.Future[Any]
    deadline: float


class Writer:
    """Carries jobs out, one at a time. `check` is asked before each; what it raises refuses it."""

    def __init__(self, connection: Connection, check: Callable[[], None]) -> None:
        self._connection = connection
        self._check = check
        self._closed = False
        self._jobs: asyncio.Queue[_Waiting] = asyncio.Queue(MAX_WAITING)

    async def write(self, job: Job[T]) -> T:
        """Run `job` in one transaction; its result comes back once the commit is on the disk.

        A caller that is cancelled before its turn is dropped; afterwards the transaction goes on
        and its result is discarded. What `job` raises rolls back and is raised here. Raises
        `Unavailable` when too many are waiting, the turn does not come, or the commit fails.
        """
        if self._closed:
            raise Unavailable("The service is shutting down.")
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._jobs.put_nowait(_Waiting(job, result, time.monotonic() + TURN_WAIT))
        except asyncio.QueueFull:
            raise Unavailable("Too many changes are waiting.") from None
        metrics.DATABASE_WRITES_WAITING.inc()
        try:
            return cast("T", await result)
        finally:
            metrics.DATABASE_WRITES_WAITING.dec()
            del result  # an error in it holds this frame by its traceback: they would be a cycle

    async def run(self) -> None:
        """Carry out the jobs until cancelled: the owning task.

        Whoever is still waiting then is told `Unavailable`.
        """
        result: asyncio.Future[Any] | None = None
        try:
            while True:
                result = None  # an error in the last one holds the frames of its caller
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
        self._check()
        async with self._connection.transaction() as transaction:
            return await job(transaction)


def _settle(
    result: asyncio.Future[Any], outcome: object = None, *, error: Exception | None = None
) -> None:
    if result.done():
        return
    if error is None:
        result.set_result(outcome)
    else:
        result.set_exception(error)
