"""Group commit: while one batch is being carried out, the next one fills up (pure asyncio).

There is no timer. An idle batcher carries a single item out at once; under load a batch is whatever
arrived while the one before it was on its way, so that the cost of a commit is shared by as many as
are waiting for it. The idea is that of databases' own commit queues, one level up: see
`commit_delay` in PostgreSQL's manual, and DeWitt et al., "Implementation Techniques for Main Memory
Database Systems" (SIGMOD 1984), section 5.2.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from scoreboard.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

MAX_BATCH: Final = 256  # items a transaction: beyond, a batch gets slower without getting cheaper
MAX_WAITING: Final = 2048  # items before the next batch: under a second's work, then a 503
MAX_WAIT: Final = 3.0  # seconds for a batch to form: a database that stalls must not keep callers


class Gauge(Protocol):
    """What is told how many items wait, by how many more and less they are."""

    def inc(self, amount: float = 1) -> None:
        """So many more."""

    def dec(self, amount: float = 1) -> None:
        """So many less."""


class _Waiting(NamedTuple, Generic[T, R]):
    """An item before its batch, and the second after which it is too late for it."""

    item: T
    result: asyncio.Future[R]
    deadline: float


class Batcher(Generic[T, R]):
    """Turns single `submit` calls into batches for `flush`.

    `flush` gets the items in the order of their submission and gives one result for each, in the
    same order; a result that is an exception is raised for that item alone. When `flush` itself
    raises, every item of the batch gets that error.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        max_wait: float = MAX_WAIT,
        gauge: Gauge | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flush = flush
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._gauge = gauge
        self._clock = clock
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._arrived = asyncio.Event()
        self._closing = False

    async def submit(self, item: T, deadline: float | None = None) -> R:
        """Give an item to the next batch and wait for its result.

        A caller that is cancelled before its batch forms takes the item along; afterwards the item
        is carried out and its result discarded. Raises `Unavailable` at once when the queue is full
        or closed, and after `max_wait` seconds, or at the clock's `deadline`, when no batch has
        formed.
        """
        if self._closing:
            raise Unavailable("The service is shutting down.")
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("Too many are waiting.")
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        if deadline is None:
            deadline = self._clock() + self._max_wait
        self._waiting.append(_Waiting(item, result, deadline))
        self._arrived.set()
        if self._gauge:
            self._gauge.inc()
        try:
            return await result
        finally:
            del result  # an error in it holds this frame by its traceback: they would be a cycle

    async def run(self) -> None:
        """Carry out batches until `close` was called and the queue is empty: the owning task.

        However it ends, nobody is left waiting: who was not carried out is told `Unavailable`.
        """
        try:
            while not (self._closing and not self._waiting):
                await self._arrived.wait()
                while batch := self._form():
                    await self._carry_out(batch)
                self._arrived.clear()
        finally:
            self._closing = True
            if self._gauge:
                self._gauge.dec(len(self._waiting))
            _refuse(self._waiting)
            self._waiting.clear()

    def close(self) -> None:
        """Take nothing more; `run` ends when what is waiting has been carried out."""
        self._closing = True
        self._arrived.set()

    def _form(self) -> list[_Waiting[T, R]]:
        batch: list[_Waiting[T, R]] = []
        before = len(self._waiting)
        while self._waiting and len(batch) < self._max_batch:
            one = self._waiting.popleft()
            if one.result.done():  # its caller has gone
                continue
            if self._clock() > one.deadline:
                one.result.set_exception(Unavailable("The service is overloaded."))
                continue
            batch.append(one)
        if self._gauge:
            self._gauge.dec(before - len(self._waiting))
        return batch

    async def _carry_out(self, batch: list[_Waiting[T, R]]) -> None:
        try:
            outcomes = await self._flush([one.item for one in batch])
        except Exception as error:  # noqa: BLE001 - it belongs to every caller of the batch
            _settle(batch, [error] * len(batch))
        except BaseException:
            _refuse(batch)
            raise
        else:
            _settle(batch, outcomes)
        finally:
            batch.clear()  # the error of `flush` is in their results, and holds this frame: a cycle


def _settle(batch: Iterable[_Waiting[T, R]], outcomes: Iterable[R | Exception]) -> None:
    for one, outcome in zip(batch, outcomes, strict=True):
        if one.result.done():
            continue
        if isinstance(outcome, Exception):
            one.result.set_exception(outcome)
        else:
            one.result.set_result(outcome)


def _refuse(waiting: Iterable[_Waiting[T, R]]) -> None:
    for one in waiting:
        if not one.result.done():
            one.result.set_exception(Unavailable("The service is shutting down."))
