"""Loads a period whole: in bulk, beside what readers see, and swapped in at the end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import anyio

from scoreboard.board import Away, Mark, Total
from scoreboard.board.redis.keys import CHANNEL, keys_of, member, row
from scoreboard.board.redis.link import BULK_TIME, Link
from scoreboard.board.redis.scripts import Command, script, send
from scoreboard.periods import Period

CHUNK: Final = 1000  # rows a command: 2 ms, for which everyone else waits
# Places that are sorted before they are sent, some 10 MB: what is inserted side by side is found in
# the processor's cache, and a million take 1.3 s of Redis' time and not 2.8.
SORTED: Final = 50_000
PLACES: Final = 10_000  # places a round trip: to pack them takes 10 ms, for which nothing else runs
LOCK_LIFE_MS: Final = 3_000  # for so long nobody loads a period whose loader was killed
KEEP_EVERY: Final = 1.0  # seconds between two times that the lock is kept longer
LOADING_LIFE_MS: Final = 120_000  # what a killed loader leaves goes by itself
FAREWELL: Final = 1.0  # seconds to clear away a load that failed: else it expires


async def load(
    link: Link,
    period: Period,
    slices: AsyncIterable[Sequence[Total]],
    mark: Mark,
    lifetime_ms: int,
) -> bool:
    """As `Board.load`. Redis keeps what was loaded for `lifetime_ms`, or for ever if that is 0.

    What `slices` raises is raised, and nothing has changed then.
    """
    load = _Load(link, period, lifetime_ms)
    try:
        return await load.run(slices, mark)
    finally:
        await load.end()


class _Load:
    """One load of one period, known by its token."""

    def __init__(self, link: Link, period: Period, lifetime_ms: int) -> None:
        self._link = link
        self._period = period
        self._lifetime_ms = lifetime_ms
        self._token = secrets.token_hex(8)
        self._keys = keys_of(period)
        self._order, self._rows = self._keys.loading(self._token)
        self._places: list[tuple[int | str, ...]] = []  # score and member
        self._sending: asyncio.Task[bool] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._is_begun = False

    async def run(self, slices: AsyncIterable[Sequence[Total]], mark: Mark) -> bool:
        """Load; gives whether the lock was to be had and stayed ours."""
        self._is_begun = True
        self._is_begun = await self._is_held(self._hold(may_take=1))
        if not self._is_begun:
            return False
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self._period}")
        async for totals in slices:
            if not await self._add([*self._fill(totals)]):
                return False
            if len(self._places) >= SORTED and not await self._place():
                return False
        if not await self._place() or not await self._sent():
            return False
        if not await self._is_held(self._swap(mark)):
            return False
        self._is_begun = False
        return True

    async def end(self) -> None:
        """Clear away what was begun and not finished, also when this task is being cancelled."""
        if self._keeping:
            self._keeping.cancel()
        if not self._is_begun:
            return
        with anyio.move_on_after(FAREWELL, shield=True):
            if self._sending:
                self._sending.cancel()
                await asyncio.gather(self._sending, return_exceptions=True)
            with suppress(Away):
                abandon = script("abandon", [self._keys.lock, self._order, self._rows], self._token)
                await self._send([abandon])

    async def _keep(self) -> None:
        """Keep the lock while slices are read, however long that takes."""
        while True:
            await asyncio.sleep(KEEP_EVERY)
            with suppress(Away):  # what is sent next tells whether it was lost
                await self._is_held(self._hold(may_take=0))

    async def _add(self, commands: Sequence[Command]) -> bool:
        """Begin to send when what went before was sent: meanwhile the next slice is read."""
        if not await self._sent():
            return False
        self._sending = asyncio.create_task(
            self._is_held(self._hold(may_take=0), *commands), name=f"load {self._period}"
        )
        await asyncio.sleep(0)  # it is on the wire before what follows keeps this process busy
        return True

    async def _sent(self) -> bool:
        """Wait for what is being sent; gives whether the lock was still ours."""
        return self._sending is None or await self._sending

    async def _is_held(self, command: Command, *more: Command) -> bool:
        """Send commands, of which the first tells whether the lock is ours."""
        answer, *_ = await self._send([command, *more])
        return bool(answer)

    def _hold(self, *, may_take: int) -> Command:
        return script("hold", [self._keys.lock], self._token, LOCK_LIFE_MS, may_take)

    def _fill(self, totals: Sequence[Total]) -> Iterator[Command]:
        """What sends the rows of a slice; its places are kept to be sorted with more of them."""
        for first in range(0, len(totals), CHUNK):
            rows: list[str] = []
            for total in totals[first : first + CHUNK]:
                rows += (total.account_id, row(total))
                if total.total > 0:
                    self._places.append((-total.total, member(total)))
            yield "HSET", self._rows, *rows
        yield "PEXPIRE", self._rows, LOADING_LIFE_MS

    async def _place(self) -> bool:
        """Send the places; gives whether the lock is still ours."""
        self._places.sort(key=itemgetter(0))
        for first in range(0, len(self._places), PLACES):
            chunks = (
                self._places[start : start + CHUNK]
                for start in range(first, min(first + PLACES, len(self._places)), CHUNK)
            )
            commands: list[Command] = [
                ("ZADD", self._order, *chain.from_iterable(chunk)) for chunk in chunks
            ]
            if not await self._add([*commands, ("PEXPIRE", self._order, LOADING_LIFE_MS)]):
                return False
        self._places.clear()
        return True

    def _swap(self, mark: Mark) -> Command:
        return script(
            "swap",
            [self._keys.lock, *self._keys.read, self._order, self._rows],
            self._token,
            mark.cursor,
            mark.rebuild,
            mark.generation,
            self._lifetime_ms,
            CHANNEL,
            self._period.board,
        )

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        return await self._link.call(lambda: send(self._link.redis, commands), within=BULK_TIME)
