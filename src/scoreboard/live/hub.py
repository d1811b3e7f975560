"""The hub: one current frame, and everyone who waits for the next (pure asyncio).

A watcher has no queue. It remembers only which version it has seen; when it is slow, the states in
between are gone by the time it asks again, and it gets the newest. Publishing wakes all watchers at
once and waits for none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from scoreboard.live.snapshot import Frame
from scoreboard.periods import ALL_TIME
from scoreboard.telemetry import metrics


class Hub:
    """Holds a board's current frame. `board` is the name that its streams are counted under."""

    def __init__(self, first: Frame | None = None, board: str = ALL_TIME) -> None:
        self._frame = first
        self._open = metrics.STREAMS_OPEN.labels(board)
        self._changed = asyncio.Event()
        self.published = 0
        self.is_closed = False
        self.watching = 0

    @property
    def frame(self) -> Frame | None:
        """The newest frame; None as long as the board could not be read at all."""
        return self._frame

    def publish(self, frame: Frame) -> bool:
        """Make this the current frame; gives whether it differs from the one before."""
        if self._frame and frame.version == self._frame.version:
            return False
        self._frame = frame
        self.published += 1
        self._wake()
        return True

    async def after(self, published: int) -> None:
        """Wait until more than so many frames were published, or the hub is closed."""
        while self.published <= published and not self.is_closed:
            await self._changed.wait()

    async def watch(self, seen: str | None = None) -> AsyncGenerator[Frame]:
        """The current frame, unless its version is `seen`, then each newer one that is met.

        Never gives the same version twice in a row. Ends when the hub is closed.
        """
        self.enter()
        at = self.published
        try:
            while True:
                met = self.published
                if self._frame and self._frame.version != seen:
                    seen = self._frame.version
                    self.skipped(met - at - 1)
                    at = met
                    yield self._frame
                elif self.is_closed:
                    return
                else:
                    await self.after(met)
        finally:
            self.leave()

    def close(self) -> None:
        """Let every watcher have what is newest and end."""
        self.is_closed = True
        self._wake()

    def enter(self) -> None:
        """Count one more who watches."""
        self.watching += 1
        self._open.inc()

    def leave(self) -> None:
        """Count one less."""
        self.watching -= 1
        self._open.dec()

    @staticmethod
    def skipped(states: int) -> None:
        """Count the states that somebody who was slow never got."""
        if states > 0:
            metrics.STREAM_FRAMES_SKIPPED.inc(states)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
