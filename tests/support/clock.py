"""Time that goes on when the test says so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

# A Saturday, so that the next day is in the same ISO week. Tests name its dates as text, so it must
# not depend on the day on which they run.
START = int(datetime(2026, 11, 21, 9, 30, tzinfo=UTC).timestamp()) * 1000


class FakeClock:
    """Gives the instant in milliseconds, as `scoreboard.periods.now_ms` does."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        """The instant."""
        return self.now

    def advance(self, *, days: float = 0, seconds: float = 0) -> None:
        """Go on by so much."""
        self.now += int((days * 86_400 + seconds) * 1000)


class Naps:
    """Stands in for `sleep`: the test waits until one is taken, and ends it."""

    def __init__(self) -> None:
        self._taken: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()
        self._end = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Sleep until the test says `wake`."""
        end = asyncio.Event()
        self._taken.put_nowait((seconds, end))
        await end.wait()

    async def taken(self) -> float:
        """Wait for the next nap; gives its seconds and keeps it asleep until `wake`."""
        seconds, self._end = await self._taken.get()
        return seconds

    def wake(self) -> None:
        """End the nap that `taken` gave."""
        self._end.set()

    @property
    def none_taken(self) -> bool:
        """Whether nobody has lain down since the last `taken`."""
        return self._taken.empty()
