"""How often somebody may call: a true sliding window, counted by the `limits` library."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

from scoreboard.board import Away
from scoreboard.board.redis.link import Link
from scoreboard.errors import RateLimited
from scoreboard.settings import Rate

MAX_KEYS: Final = 100_000  # callers remembered; beyond, the one seen longest ago is forgotten


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

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note `amount` calls if at most `limit` then lie within `expiry` seconds."""
        now = self.clock()
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


class Allowance(NamedTuple):
    """What is left after a call: `reset` is the seconds until the oldest one leaves the window."""

    rate: Rate
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)."""
        return {
            "RateLimit-Policy": f'"default";q={self.rate.amount};w={self.rate.seconds}',
            "RateLimit": f'"default";r={self.remaining};t={self.reset}',
        }


class Windows:
    """Where the accepted calls are remembered: in Redis, for all processes together, or in this
    one.

    While Redis is away each process counts for itself, beginning with nothing: a caller may then
    get through as often again on each.
    """

    def __init__(self, link: Link | None = None, *, own: SlidingLog | None = None) -> None:
        self.own = SlidingLog() if own is None else own
        self._link = link
        self._shared = _redis_storage(link) if link else None

    async def hit(self, item: RateLimitItemPerSecond, *key: str) -> tuple[bool, int, int]:
        """Note a call; gives whether it is allowed, how many more are, and for how many seconds the
        oldest call counts.
        """
        if self._link and self._shared:
            shared = self._shared
            with suppress(Away):
                return await self._link.call(lambda: _hit(shared, time.time, item, *key))
        return await _hit(self.own, self.own.clock, item, *key)


def _redis_storage(link: Link) -> Storage:
    # The library's own choice of client is another one; `link.call` bounds every wait.
    return storage_from_string(  # type: ignore[return-value]
        "async+redis://",
        implementation="redispy",
        connection_pool=link.pool,  # type: ignore[arg-type]
        key_prefix="scoreboard:limits",
    )


async def _hit(
    storage: Storage, clock: Callable[[], float], item: RateLimitItemPerSecond, *key: str
) -> tuple[bool, int, int]:
    limiter = MovingWindowRateLimiter(storage)
    allowed = await limiter.hit(item, *key)
    stats = await limiter.get_window_stats(item, *key)
    return allowed, stats.remaining, max(1, math.ceil(stats.reset_time - clock()))


class RateLimit:
    """A limit of so many calls in a window, for each key apart."""

    def __init__(self, name: str, rate: Rate, windows: Windows) -> None:
        self._name = name
        self._rate = rate
        self._windows = windows
        self._item = RateLimitItemPerSecond(rate.amount, rate.seconds)

    async def hit(self, key: str) -> tuple[bool, Allowance]:
        """Count a call; gives whether it is allowed, and what is left."""
        allowed, remaining, reset = await self._windows.hit(self._item, self._name, key)
        return allowed, Allowance(self._rate, remaining, reset)

    async def check(self, key: str, detail: str) -> Allowance:
        """Count a call. Raises `RateLimited` when it is one too many."""
        allowed, allowance = await self.hit(key)
        if not allowed:
            raise RateLimited(detail, retry_after=allowance.reset, told=allowance.headers)
        return allowance
