"""Submitting: everyone in one batch, and what that batch cannot take apart from it.

A batch shares the cost of a commit among callers who have nothing to do with each other, and must
not share anything else. There are two ways in which one submission could hold up the others:

- Another session of the database has locked what it needs. The batch does not wait for the lock:
  the submission comes back, and is tried again after a pause until its time is up.
- It makes the transaction slow (a trigger, a lock that the batch cannot see beforehand), or its row
  is refused. The database undoes the transaction. Its submissions are tried again in smaller
  batches, which look for more locks, and then alone, on another connection, while the next batch
  goes on here. What is slow alone gets the time that any statement has, on a third connection,
  where it holds up only its like.

An account whose submission failed in a batch starts in the smaller one for a while, so that it does
not fail the next batch too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio

from scoreboard.batcher import MAX_BATCH, MAX_WAIT, Batcher, Gauge
from scoreboard.errors import TimeLimitReached, Unavailable
from scoreboard.ledger.connection import RowError
from scoreboard.ledger.database import Lane
from scoreboard.scoring.completion import Answer, Submission
from scoreboard.scoring.log import LockedError, UnknownAccountError

FEW: Final = 16  # submissions in a smaller batch: so many are tried alone because of one of them
# Seconds before a submission is tried again that needs what is locked. Batches of other servers
# hold an account for some milliseconds; for what holds it longer the pause doubles, up to the
# second number.
PAUSE: Final = 0.005
LONGEST_PAUSE: Final = 0.25
MAX_PAUSED: Final = 512  # submissions in a pause: at the longest they are eight batches a second
APART_FOR: Final = 10.0  # seconds that an account starts apart after its last failure in a batch
MAX_APART: Final = 1024  # accounts that are remembered for it, the latest: four batches
COMPLAIN_EVERY: Final = 1.0  # seconds between two log lines about locks

# The steps that a submission takes when it fails, each with a batcher of its own.
_MAIN, _FEW, _ALONE, _SLOW = range(4)

logger = logging.getLogger(__name__)


class Submissions:
    """Takes submissions one by one and gives each its own answer. `run` is the owning task.

    `record` is `Recorder.record`. `is_known` says whether an account is still there.
    """

    def __init__(
        self,
        record: Callable[[Sequence[Submission], Lane], Awaitable[Sequence[Answer | Exception]]],
        *,
        is_known: Callable[[str], Awaitable[bool]],
        gauge: Gauge | None = None,
        max_batch: int = MAX_BATCH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def batcher(lane: Lane, size: int) -> Batcher[Submission, Answer]:
            return Batcher(
                lambda batch: record(batch, lane), max_batch=size, gauge=gauge, clock=clock
            )

        self._batchers = (
            batcher("main", max_batch),
            batcher("aside", FEW),
            batcher("aside", 1),
            batcher("patient", 1),
        )
        self._is_known = is_known
        self._clock = clock
        self._paused = 0
        self._apart: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._complained = 0.0

    async def submit(self, one: Submission) -> Answer:
        """Record a submission durably and give its answer; raises the error that is its own.

        Raises `Unavailable` as `Batcher.submit`, and when what it needs was locked for `MAX_WAIT`
        seconds: then it was not recorded.
        """
        account_id = one.account.account_id
        deadline = self._clock() + MAX_WAIT
        step = self._first_step(account_id)
        while True:
            try:
                answer = await self._decided(step, one, deadline)
            except (RowError, TimeLimitReached) as error:
                last = _ALONE if isinstance(error, RowError) else _SLOW
                self._start_at(min(step + 1, last), account_id)
                if step < last:
                    step += 1
                    continue
                if isinstance(error, RowError):
                    await self._check_account(account_id)
                raise
            if step < _SLOW:
                self._apart.pop(account_id, None)
            return answer

    async def run(self) -> None:
        """Carry out batches until `close` was called and what waits is recorded."""
        async with anyio.create_task_group() as tasks:
            for batcher in self._batchers:
                tasks.start_soon(batcher.run)

    def close(self) -> None:
        """Take nothing more; `run` ends when what is waiting has been recorded."""
        for batcher in self._batchers:
            batcher.close()

    async def _decided(self, step: int, one: Submission, deadline: float) -> Answer:
        """Submit it to the batcher of a step, again and again while what it needs is locked."""
        account_id, pause = one.account.account_id, PAUSE
        while True:
            try:
                return await self._batchers[step].submit(one, deadline)
            except UnknownAccountError:
                await self._check_account(account_id)
            except LockedError:
                if step != _MAIN:  # whose batches would wait for this lock
                    self._start_at(step, account_id)
            if self._clock() + pause > deadline or self._paused >= MAX_PAUSED:
                self._complain()
                raise Unavailable("Something else is changing this account or this action.")
            self._paused += 1
            try:
                await asyncio.sleep(pause)
            finally:
                self._paused -= 1
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _check_account(self, account_id: str) -> None:
        """An account that was known may be gone: after a failover, or when a backup was restored.
        The caller's retry then makes it anew.
        """
        if not await self._is_known(account_id):
            raise Unavailable("The account has to be made again.")

    def _first_step(self, account_id: str) -> int:
        step, until = self._apart.get(account_id, (_MAIN, 0))
        return step if self._clock() < until else _MAIN

    def _start_at(self, step: int, account_id: str) -> None:
        self._apart[account_id] = (step, self._clock() + APART_FOR)
        self._apart.move_to_end(account_id)
        if len(self._apart) > MAX_APART:
            self._apart.popitem(last=False)

    def _complain(self) -> None:
        if self._clock() - self._complained >= COMPLAIN_EVERY:
            self._complained = self._clock()
            logger.warning("another session of the database has locked an account or an action")
