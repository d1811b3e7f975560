"""Where the accepted calls of callers are remembered: in Redis, for all processes together, or in
this one.

While Redis is away each process counts for itself, beginning with nothing: a caller may then get
through as often again on each.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple, Protocol

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

from scoreboard.board import Away
from scoreboard.board.redis.link import Link
from scoreboard.board.redis.windows import Hit, SharedWindows, Tally

MAX_KEYS: Final = 100_000  # callers remembered; beyond, the one seen longest ago is forgotten


class Windows(Protocol):
    """What a limit counts with."""

    async def hit(self, hit: Hit) -> Tally:
        """Note a call if it is allowed."""


class _Window(NamedTuple):
    """A caller's accepted calls, oldest first, and when the newest of them leaves the window."""

    times: list[float]
    ends: float


class SlidingLog(MemoryStorage):
    """The times of the accepted calls of each caller, for one process.

    The library's own memory storage looks through every key after each hit, each on a thread of its
    own: with 2,000 callers that keeps one core busy for good (docs/decisions.md has the figures).
    Here a caller's old times are dropped when it calls, and so are the callers that went quiet.
    """

    # `limits` keeps a registry of storages by this name.
    STORAGE_SCHEME = ["async+sliding-log"]  # noqa: RUF012

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, hit: Hit) -> Tally:
        """Note a call if it is allowed."""
        now = self.clock()
        allowed = self._accept(hit.caller, hit.limit, hit.seconds, 1, now)
        times = self._windows[hit.caller].times
        return Tally(allowed, len(times), times[0] + hit.seconds - now)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note `amount` calls if at most `limit` then lie within `expiry` seconds."""
        return self._accept(key, limit, expiry, amount, self.clock())

    def _accept(self, key: str, limit: int, expiry: int, amount: int, now: float) -> bool:
        self._forget(now)
        times = self._times(key, now - expiry)
        if len(times) + amount > limit:
            return False
        times.extend([now] * amount)
        self._windows[key] = _Window(times, now + expiry)
        self._windows.move_to_end(key)
        if len(self._windows) > MAX_KEYS:
            self._windows.popitem(last=False)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """When the oldest call in the window was, and how many there are."""
        now = self.clock()
        times = self._times(key, now - expiry)
        return (times[0], len(times)) if times else (now, 0)

    def _times(self, key: str, horizon: float) -> list[float]:
        window = self._windows.get(key)
        if window is None:
            return []
        del window.times[: bisect_right(window.times, horizon)]
        return window.times

    def _forget(self, now: float) -> None:
        """Drop quiet callers, two a call at most: they go as fast as they came, and none waits."""
        for key in list(islice(self._windows, 2)):
            if self._windows[key].ends <= now:
                del self._windows[key]


class LibraryWindows:
    """Counted by the `limits` library: what is seldom asked."""

    def __init__(self, link: Link | None = None, *, own: SlidingLog | None = None) -> None:
        self.own = SlidingLog() if own is None else own
        self._link = link
        self._shared = _redis_storage(link) if link else None

    async def hit(self, hit: Hit) -> Tally:
        """As `Windows.hit`."""
        if self._link and self._shared:
            shared = self._shared
            with suppress(Away):
                return await self._link.call(lambda: _hit(shared, time.time, hit))
        return await _hit(self.own, self.own.clock, hit)


class BatchedWindows:
    """The same rule, for completions: in Redis one script counts all calls that wait, where the
    library takes two round trips a call (docs/performance.md has the figures).
    """

    def __init__(self, shared: SharedWindows | None, own: SlidingLog) -> None:
        self._shared = shared
        self._own = own

    async def hit(self, hit: Hit) -> Tally:
        """As `Windows.hit`."""
        if self._shared:
            with suppress(Away):
                return await self._shared.hit(hit)
        return self._own.hit(hit)


def _redis_storage(link: Link) -> Storage:
    # The library's own choice of client is another one; `link.call` bounds every wait.
    return storage_from_string(  # type: ignore[return-value]
        "async+redis://",
        implementation="redispy",
        connection_pool=link.pool,  # type: ignore[arg-type]
        key_prefix="scoreboard:limits",
    )


async def _hit(storage: Storage, clock: Callable[[], float], hit: Hit) -> Tally:
    item = RateLimitItemPerSecond(hit.limit, hit.seconds)
    limiter = MovingWindowRateLimiter(storage)
    allowed = await limiter.hit(item, hit.caller)
    stats = await limiter.get_window_stats(item, hit.caller)
    return Tally(allowed, hit.limit - stats.remaining, stats.reset_time - clock())
