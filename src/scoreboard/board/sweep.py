"""The sweep keeps a board equal to the score rows, whatever it missed: one mechanism for all
faults.

Every second each process sees whether the boards are loaded, and loads those that are not. One of
the processes then follows the log: it compares the board with the accounts of the newest rows, and
sends the totals of those that differ again. Totals carry versions, so that sending them twice, late
or by several processes is harmless. How far the log was followed is kept beside the board itself,
so that a board which went back in time (a failover, an old backup) takes the cursor back with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from typing import Final

import anyio

from scoreboard import periods
from scoreboard.board import Away, Board, Mark, Total
from scoreboard.board.standings import SqlStandings, total_of
from scoreboard.errors import Unavailable
from scoreboard.ledger.connection import Row
from scoreboard.ledger.database import Database
from scoreboard.periods import ALL_TIME, Clock, Period
from scoreboard.telemetry import metrics

LOOK_EVERY: Final = 1.0  # seconds between looks: what was missed is mended within about three
SOONEST: Final = 0.2  # seconds between looks that somebody asked for
TURN: Final = 2.5  # seconds: who follows the log and dies is followed by another after these
CONFIRM: Final = 0.25  # seconds after which a difference is none that was merely on its way
TAIL_SLICE: Final = 5_000  # log rows read at once: some 20 ms of a connection of its own
# Log rows looked back over when it is not known which of them were still uncommitted: those of five
# seconds at 10,000 a second; by default a statement ends after three.
LOOK_BACK: Final = 50_000
MAX_SEEN: Final = 600  # ends of the log whose transactions are waited for: ten minutes of looks
GENERATION_BITS: Final = 48  # two loads hardly get the same, and Lua holds it exactly
PATROL_SLICE: Final = 500  # score rows compared at each look: 1M on one board take half an hour

logger = logging.getLogger(__name__)

ALL: Final = Period(ALL_TIME, "")


class Sweep:
    """Loads a board, follows the log, and patrols the rest of the score rows.

    `changed` is told which boards' top 10 is another one.
    """

    def __init__(
        self,
        board: Board,
        database: Database,
        *,
        boards: Collection[str],
        clock: Clock,
        changed: Callable[[Collection[str]], None],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._board = board
        self._database = database
        self._standings = SqlStandings(database)
        self._boards = boards
        self._clock = clock
        self._changed = changed
        self._sleep = sleep
        self._woken = asyncio.Event()
        self.has_looked = asyncio.Event()
        """Set when the first look is over, whether it could see anything or not."""
        self._seen: deque[tuple[int, int]] = deque()
        self._settled = 0
        self._followed = 0
        self._newest_before = 0
        self._is_hasty = True
        self._patrol = _Patrol()

    def wake(self) -> None:
        """Look soon: the board has missed something."""
        self._woken.set()

    def start_over(self) -> None:
        """Look soon, at the settled rows too: the board may be another one than it was."""
        self._followed = 0
        self._woken.set()

    async def run(self) -> None:
        """Look until cancelled: the owning task."""
        while True:
            try:
                await self.look()
            except Away:
                # Nobody tells the streams now what other processes did: they ask the score rows.
                self._changed(self._boards)
            except Unavailable:
                logger.debug("no look at the boards: the database is away")
            self.has_looked.set()
            await self._rest()

    async def look(self) -> None:
        """Load what is cold, and, if it is this process's turn, mend what differs.

        Raises `Away` and `Unavailable`.
        """
        current = self._current()
        rebuild = await self._last_rebuild()
        marks = await self._board.marks(current)
        if ALL not in marks or marks[ALL].rebuild != rebuild:
            await self.load(ALL, rebuild)
            marks = await self._board.marks(current)
            if ALL not in marks or marks[ALL].rebuild != rebuild:
                return  # another process is at it, and the other boards come after
        for period in current:
            if period not in marks or marks[period][1:] != marks[ALL][1:]:
                await self.load(period, rebuild)
        if await self._board.is_my_turn(TURN):
            await self._follow(marks[ALL].cursor)
            await self._walk_on(current)

    async def load(
        self,
        period: Period,
        rebuild: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> bool:
        """Load a period from its score rows; gives False while another process is at it, and for
        the other boards while `all-time` is cold.

        `progress` is told the number of rows so far.
        """
        began = time.monotonic()
        if rebuild is None:
            rebuild = await self._last_rebuild()
        generation = random.getrandbits(GENERATION_BITS)
        if period != ALL:
            overall = (await self._board.marks([ALL])).get(ALL)
            if overall is None:
                return False
            generation = overall.generation
        start = max(0, await self._newest() - LOOK_BACK)
        rows = 0

        async def counted() -> AsyncGenerator[Sequence[Total], None]:
            nonlocal rows
            async with aclosing(self._standings.totals(period)) as slices:
                async for totals in slices:
                    yield totals
                    rows += len(totals)
                    progress(rows)

        async with aclosing(counted()) as slices:
            is_loaded = await self._board.load(period, slices, Mark(start, rebuild, generation))
        if not is_loaded:
            self._changed([period.board])  # shown from the score rows meanwhile
            return False
        # What was recorded while the rows were read.
        async for tail in self._tail(start):
            await self._send([period], [row[0] for row in json.loads(tail["versions"])])
        metrics.BOARD_LOADS.labels(period.board).inc()
        self._changed([period.board])
        if rows:
            took = time.monotonic() - began
            logger.info("loaded the %s board: %d rows in %.1f s", period.board, rows, took)
        return True

    async def _follow(self, cursor: int) -> None:
        """Mend what the newest log rows tell, each looked at when none before it can come in late.
        That mostly is so a look later; if not, it is looked at all the same, and then again. When
        the board has missed something nothing is put off.
        """
        (row,) = await self._database.sweep("log_newest")
        newest, settled = int(row["log_id"]), max(cursor, self._settle(row))
        due = newest if self._is_hasty else min(newest, self._newest_before)
        for first, last in ((cursor, settled), (max(self._followed, settled), due)):
            async for tail in self._tail(first, last):
                await self._mend(ALL, tail["versions"], self._current())
        self._followed, self._newest_before = due, newest
        await self._board.settle(settled)

    def _settle(self, newest: Row) -> int:
        """The newest log row before which none can come in late, as far as is known.

        A row is numbered inside its transaction. When every transaction that had begun when a row
        was seen has ended, those with smaller numbers are all there or never will be.
        """
        if len(self._seen) < MAX_SEEN:
            self._seen.append((int(newest["begun"]), int(newest["log_id"])))
        while self._seen and self._seen[0][0] <= int(newest["ended"]):
            self._settled = self._seen.popleft()[1]
        return self._settled

    async def _walk_on(self, current: Sequence[Period]) -> None:
        """Compare the next slice of score rows; at the end of a round, the numbers of places."""
        period = current[self._patrol.turn % len(current)]
        rows = await self._database.sweep(
            "scores_slice",
            board=period.board,
            period=period.name,
            after=self._patrol.after,
            size=PATROL_SLICE,
        )
        if rows:
            self._patrol.after = rows[-1]["account_id"]
            compared = [[row["account_id"], row["version"], row["total"]] for row in rows]
            await self._mend(period, json.dumps(compared), [period])
            return
        self._patrol = _Patrol(self._patrol.turn + 1)
        if await self._has_ghosts(period):
            await self._sleep(CONFIRM)
            if await self._has_ghosts(period):
                logger.warning("the %s board shows accounts that have no score", period.board)
                metrics.DRIFT_FOUND.inc()
                if await self.load(period):
                    metrics.DRIFT_REPAIRED.inc()

    async def _has_ghosts(self, period: Period) -> bool:
        # In this order: players who come in between are no ghosts.
        shown = await self._board.size(period)
        rows = await self._database.sweep("scores_count", board=period.board, period=period.name)
        return shown > int(rows[0]["places"])

    async def _mend(self, compared: Period, rows: str, mended: Sequence[Period]) -> None:
        """Send the totals in `mended` again of accounts whose row on `compared` is not as in
        `rows`.
        """
        suspects = set(await self._board.stale(compared, rows))
        if not suspects:
            return
        await self._sleep(CONFIRM)  # most were just on their way
        still = [row for row in json.loads(rows) if row[0] in suspects]
        missing = await self._board.stale(compared, json.dumps(still))
        if missing:
            logger.warning("%d accounts differed on the board: sent again", len(missing))
            metrics.DRIFT_FOUND.inc(len(missing))
            await self._send(mended, missing)
            metrics.DRIFT_REPAIRED.inc(len(missing))

    async def _send(self, current: Sequence[Period], account_ids: Sequence[str]) -> None:
        accounts = json.dumps(list(account_ids))
        totals: list[Total] = []
        for period in current:
            rows = await self._database.sweep(
                "scores_of", board=period.board, period=period.name, accounts=accounts
            )
            totals.extend(total_of(period, row) for row in rows)
        self._changed((await self._board.apply(totals)).changed)

    async def _tail(self, after: int, upto: int | None = None) -> AsyncIterator[Row]:
        """Slices of the log behind a row: its accounts with their all-time versions and totals."""
        last = upto if upto is not None else await self._newest()
        while after < last:
            (row,) = await self._database.sweep("log_tail", after=after, upto=last, size=TAIL_SLICE)
            if row["upto"] is None:
                return
            yield row
            after = int(row["upto"])

    async def _newest(self) -> int:
        (row,) = await self._database.sweep("log_newest")
        return int(row["log_id"])

    async def _last_rebuild(self) -> int:
        row = await self._database.fetch_one("rebuilds_last")
        return int(row["rebuild_id"]) if row else 0

    def _current(self) -> list[Period]:
        return [periods.current(board, self._clock()) for board in self._boards]

    async def _rest(self) -> None:
        await self._sleep(SOONEST)
        with anyio.move_on_after(LOOK_EVERY - SOONEST):
            await self._woken.wait()
        self._is_hasty = self._woken.is_set()
        self._woken.clear()


class _Patrol:
    """Where the walk over all score rows is: which period's turn, behind which account."""

    def __init__(self, turn: int = 0) -> None:
        self.turn = turn
        self.after = ""
