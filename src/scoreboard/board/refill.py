"""Fills a board from the score rows: at start, and again whenever the scores were rebuilt."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import anyio

from scoreboard import periods
from scoreboard.board import Board
from scoreboard.board.standings import SqlStandings
from scoreboard.errors import Unavailable
from scoreboard.ledger.database import Database
from scoreboard.periods import Clock

LOOK_EVERY: Final = 1.0  # seconds between looks for a rebuild made by the command line

logger = logging.getLogger(__name__)


class Refill:
    """Sends every current total to the board. Totals carry versions, so what is newer there stays,
    and readers see the old places until the new ones are in.
    """

    def __init__(
        self,
        board: Board,
        database: Database,
        *,
        boards: Collection[str],
        clock: Clock,
        changed: Callable[[Collection[str]], None],
    ) -> None:
        self._board = board
        self._database = database
        self._standings = SqlStandings(database)
        self._boards = boards
        self._clock = clock
        self._changed = changed
        self._rebuild_id = -1

    async def fill(self) -> int:
        """Fill the board; gives the number of rows. Raises `Unavailable` without a database."""
        # Read before the rows: a rebuild that ends meanwhile is then seen as new by the next look.
        # Taken up after them: a look that fails half-way is repeated.
        rebuild_id = await self._last_rebuild()
        rows = 0
        for board in self._boards:
            period = periods.current(board, self._clock())
            async for totals in self._standings.totals(period):
                rows += len(totals)
                self._changed((await self._board.apply(totals)).changed)
        self._rebuild_id = rebuild_id
        return rows

    async def run(self, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        """Look for rebuilds until cancelled."""
        while True:
            await sleep(LOOK_EVERY)
            try:
                if await self._last_rebuild() != self._rebuild_id:
                    logger.info("the scores were rebuilt; %d rows loaded again", await self.fill())
            except Unavailable:
                logger.warning("no look for rebuilt scores: the database is away")

    async def _last_rebuild(self) -> int:
        row = await self._database.fetch_one("rebuilds_last")
        return int(row["rebuild_id"]) if row else 0
