"""Takes a changed top 10 to its hub: throttled, read afresh, encoded once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import anyio
from anyio.abc import TaskGroup

from scoreboard import periods
from scoreboard.board import Standings
from scoreboard.errors import Unavailable
from scoreboard.live.broadcast import Broadcast
from scoreboard.live.hub import Hub
from scoreboard.live.snapshot import frame
from scoreboard.live.throttle import Throttle
from scoreboard.live.top import Top
from scoreboard.periods import Clock
from scoreboard.telemetry import metrics

LONGEST_SLEEP: Final = 30.0  # seconds: a laptop that slept over midnight is right this soon

logger = logging.getLogger(__name__)


class Publisher:
    """For each board its top 10, a throttle, a hub and a broadcast; and the change of periods at
    midnight UTC.
    """

    def __init__(
        self,
        standings: Standings,
        *,
        boards: Collection[str],
        clock: Clock,
        interval: float,
        is_live: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self.hubs: Mapping[str, Hub] = {board: Hub(board=board) for board in boards}
        self.tops: Mapping[str, Top] = {
            board: Top(board, standings, clock=clock, is_live=is_live) for board in boards
        }
        self.followers: Mapping[str, Broadcast] = {
            board: Broadcast(hub) for board, hub in self.hubs.items()
        }
        self._interval = interval
        self._throttles: dict[str, Throttle] = {}
        self._unread: set[str] = set()

    def changed(self, boards: Collection[str]) -> None:
        """The top 10 of these boards is another one; returns at once.

        Before `start` nothing is published: whoever starts reads the boards first.
        """
        for board in boards:
            if top := self.tops.get(board):
                top.forget()
            if throttle := self._throttles.get(board):
                throttle.poke()

    async def refresh(self, board: str) -> bool:
        """Take the board's top 10 and publish it if it is not the current frame; gives whether."""
        shown = await self.tops[board].get()
        metrics.BOARD_READ_TIMESTAMP.labels(board).set_to_current_time()
        return self.hubs[board].publish(frame(shown))

    def start(self, tasks: TaskGroup) -> None:
        """Run the throttles, broadcasts and the calendar in `tasks`, which owns and ends them."""
        for board in self.hubs:
            throttle = self._throttles[board] = Throttle(self._publish(board), self._interval)
            tasks.start_soon(throttle.run, name=f"throttle {board}")
            tasks.start_soon(self.followers[board].run, name=f"broadcast {board}")
        tasks.start_soon(self.turn_pages, name="calendar")

    def close(self) -> None:
        """Let every watcher of every hub end."""
        for hub in self.hubs.values():
            hub.close()

    async def close_at(self, leaving: anyio.Event) -> None:
        """Close when the server means to stop."""
        await leaving.wait()
        self.close()

    async def turn_pages(self, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        """Show the empty board of a new day or week as soon as it begins, until cancelled."""
        shown = self._periods()
        while True:
            now = self._clock()
            await sleep(min((periods.next_midnight(now) - now) / 1000, LONGEST_SLEEP))
            if (current := self._periods()) != shown:
                shown = current
                self.changed(self.hubs)

    def _periods(self) -> list[periods.Period]:
        return [periods.current(board, self._clock()) for board in self.hubs]

    def _publish(self, board: str) -> Callable[[], Awaitable[bool]]:
        async def publish() -> bool:
            try:
                # A process hears its own news too: what it says is published already.
                is_new = await self.refresh(board)
            except Unavailable:
                # The old frame stays up; the throttle tries again after its interval.
                metrics.BOARD_READS_FAILED.labels(board).inc()
                if board not in self._unread:
                    logger.warning("the %s board cannot be read: trying again", board)
                self._unread.add(board)
                self.changed([board])
                return True
            self._unread.discard(board)
            return is_new

        return publish
