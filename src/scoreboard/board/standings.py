"""Where a ranking is read: on the board that holds it, else straight from the score rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar, cast
from weakref import WeakValueDictionary

from scoreboard.board import Away, Board, Entry, Total
from scoreboard.errors import Unavailable
from scoreboard.ledger.connection import Row
from scoreboard.ledger.database import MAX_SCANS, Database
from scoreboard.periods import Period

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# Readings of the past, of far places and of neighbours from the score rows at once, each of which
# looks through all of a period: half of the database's scans, so that whoever asks for many of them
# keeps nobody from the first page.
MAX_DEEP: Final = MAX_SCANS // 2
SLICE: Final = 10_000  # rows a read when a board is loaded: some 8 MB at a time


class Kept(NamedTuple):
    """The score of an account that is on no place, and whether that is because it is hidden."""

    score: int
    is_hidden: bool


class SqlStandings:
    """`Standings` over the score rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, period: Period, *, offset: int, limit: int) -> list[Entry]:
        """As `Standings.page`."""
        rows = await self._database.scan(
            "scores_page", board=period.board, period=period.name, skip=offset, size=limit
        )
        return [
            Entry(rank, row["account_id"], row["username"], row["total"])
            for rank, row in enumerate(rows, offset + 1)
        ]

    async def around(self, period: Period, account_id: str, reach: int) -> list[Entry]:
        """As `Standings.around`."""
        rows = await self._database.scan(
            "scores_position", board=period.board, period=period.name, account_id=account_id
        )
        if not rows:
            return []
        ahead = rows[0]["ahead"]
        first = max(0, ahead - reach)
        return await self.page(period, offset=first, limit=ahead + reach + 1 - first)

    async def kept(self, period: Period, account_id: str) -> Kept | None:
        """An account's score, hidden or not; None when there is no such account."""
        row = await self._database.fetch_one(
            "player_score", board=period.board, period=period.name, account_id=account_id
        )
        return Kept(row["total"], bool(row["is_hidden"])) if row else None

    async def totals(self, period: Period) -> AsyncGenerator[list[Total], None]:
        """Every total of a period, in slices of at most `SLICE`: while one is worked on the next is
        being read. Close it, or the last of these readings ends by itself.
        """
        coming = self._slice(period, "")
        try:
            while rows := await coming:
                coming = self._slice(period, rows[-1]["account_id"])
                await asyncio.sleep(0)  # it is asked before what follows keeps this process busy
                yield [total_of(period, row) for row in rows]
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    def _slice(self, period: Period, after: str) -> asyncio.Task[list[Row]]:
        return asyncio.create_task(
            self._database.sweep(
                "scores_slice", board=period.board, period=period.name, after=after, size=SLICE
            ),
            name=f"read {period}",
        )


class Shared(Generic[K, T]):
    """Calls for the same thing that come while it is being read share the next reading.

    Nobody gets what was read before it asked, and there is one reading of a thing at a time,
    however many ask: with a board that is away, a crowd costs the database what one reader does.
    """

    def __init__(self) -> None:
        self._readings: WeakValueDictionary[K, _Readings[T]] = WeakValueDictionary()
        self._turns = count()

    async def get(self, key: K, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` gives, or gave to somebody else who began it after this call; likewise the
        `Unavailable` that it raises, or each of a crowd would wait for one of its own.
        """
        asked = next(self._turns)
        readings = self._readings.setdefault(key, _Readings())
        while (reading := readings.under_way) is not None:
            await reading.over.wait()  # it wakes all of a crowd at once
            if reading.began > asked and reading.error is not None:
                raise Unavailable(reading.error)
            if reading.began > asked and reading.is_done:
                return cast("T", reading.result)
        reading = readings.under_way = _Reading(next(self._turns))
        try:
            reading.result = await read()
            reading.is_done = True
        except Unavailable as error:
            reading.error = str(error)  # itself, it would hold this frame, which holds the reading
            raise
        finally:
            readings.under_way = None
            reading.over.set()
        return reading.result


class _Reading(Generic[T]):
    """One reading of a thing; not done and without an error when its reader was cancelled."""

    def __init__(self, began: int) -> None:
        self.began = began
        self.over = asyncio.Event()
        self.is_done = False
        self.result: T | None = None
        self.error: str | None = None


class _Readings(Generic[T]):
    """The readings of a thing, for as long as somebody waits for one."""

    def __init__(self) -> None:
        self.under_way: _Reading[T] | None = None


class Rankings:
    """`Standings` of every period: current ones from the board, past ones from the score rows, and
    those too that the board cannot show now.
    """

    def __init__(self, board: Board, rows: SqlStandings) -> None:
        self._board = board
        self._rows = rows
        self._pages: Shared[tuple[Period, int, int], list[Entry]] = Shared()
        self._deep = 0

    async def page(self, period: Period, *, offset: int, limit: int) -> list[Entry]:
        """As `Standings.page`. Raises `Unavailable` when neither can be read."""
        is_held = self._board.holds(period)
        if is_held:
            with suppress(Away):
                return await self._board.page(period, offset=offset, limit=limit)

        async def read() -> list[Entry]:
            if is_held and offset == 0:
                return await self._rows.page(period, offset=offset, limit=limit)
            with self._deep_reading():
                return await self._rows.page(period, offset=offset, limit=limit)

        return await self._pages.get((period, offset, limit), read)

    async def around(self, period: Period, account_id: str, reach: int) -> list[Entry]:
        """As `Standings.around`. Raises `Unavailable` when neither can be read."""
        if self._board.holds(period):
            with suppress(Away):
                return await self._board.around(period, account_id, reach)
        with self._deep_reading():
            return await self._rows.around(period, account_id, reach)

    @contextmanager
    def _deep_reading(self) -> Iterator[None]:
        if self._deep >= MAX_DEEP:
            raise Unavailable("Too many long reads are under way.")
        self._deep += 1
        try:
            yield
        finally:
            self._deep -= 1

    async def kept(self, period: Period, account_id: str) -> Kept | None:
        """As `SqlStandings.kept`, where the truth is."""
        return await self._rows.kept(period, account_id)


def total_of(period: Period, row: Row) -> Total:
    """The total in a score row of a period that was read with its account's username."""
    return Total(
        period,
        row["account_id"],
        row["username"],
        row["total"],
        row["reached_log_id"],
        row["version"],
    )
