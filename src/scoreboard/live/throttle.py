"""A throttle with a leading and a trailing edge (pure asyncio).

The first change goes out at once; later ones at most once an interval, and always once more after
the last. A debounce would wait for a pause, which under steady load never comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

# A process hears its own news as well: that second look must not keep the next change waiting. It
# still is a look, which costs the database some 50 ms while there is no board.
IDLE: Final = 10


class Throttle:
    """Calls `action` soon after `poke`, but never twice within `interval` seconds; after one that
    found nothing to do, as it tells, within a tenth of that.
    """

    def __init__(
        self,
        action: Callable[[], Awaitable[bool]],
        interval: float,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._action = action
        self._interval = interval
        self._sleep = sleep
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Something changed. Any number of calls before the action runs are one."""
        self._poked.set()

    async def run(self) -> None:
        """Call the action as it is due, until cancelled: the owning task."""
        while True:
            await self._poked.wait()
            # Cleared before the action reads: a change during the read is a new poke.
            self._poked.clear()
            did_something = await self._action()
            await self._sleep(self._interval if did_something else self._interval / IDLE)
