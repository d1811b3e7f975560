"""A board's top 10 as it is answered and streamed: read and encoded once after each change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from scoreboard import periods
from scoreboard.board import TOP, Standings
from scoreboard.board.standings import Shared
from scoreboard.live.snapshot import Shown, Snapshot, show
from scoreboard.periods import Clock

# Seconds after which it is read again, though nobody told of a change: news of another process can
# be lost with the connection that they come over.
FRESH_FOR: Final = 0.5


class Top:
    """The top 10 of a board, however many ask for it.

    Whoever asks after a change was told to `forget` gets what was read after that. While the board
    is not `is_live` nobody tells of changes, and every answer is read.
    """

    def __init__(
        self,
        board: str,
        standings: Standings,
        *,
        clock: Clock,
        is_live: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._standings = standings
        self._clock = clock
        self._is_live = is_live
        self._now = now
        self._readings: Shared[str, Shown] = Shared()
        self._changes = 0
        self._kept: Shown | None = None
        self._until = 0.0

    def forget(self) -> None:
        """It has changed, or may have."""
        self._kept = None
        self._changes += 1

    @property
    def at_hand(self) -> Shown | None:
        """What needs no reading; None when there is nothing that is new enough."""
        kept = self._kept
        if kept and self._now() < self._until and self._is_live() and kept.period == self._period():
            return kept
        return None

    async def get(self) -> Shown:
        """The top 10 of now. Raises `Unavailable`."""
        return self.at_hand or await self._readings.get(self._board, self._read)

    async def _read(self) -> Shown:
        changes = self._changes
        period = self._period()
        entries = await self._standings.page(period, offset=0, limit=TOP)
        shown = show(Snapshot(period, entries, self._clock()))
        if changes == self._changes:  # else it may be of before
            self._kept, self._until = shown, self._now() + FRESH_FOR
        return shown

    def _period(self) -> periods.Period:
        return periods.current(self._board, self._clock())
