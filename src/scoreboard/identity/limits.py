"""How often somebody may call: a true sliding window for each caller."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from scoreboard.board.redis.link import Link
from scoreboard.board.redis.windows import Hit, SharedWindows
from scoreboard.errors import RateLimited
from scoreboard.identity.windows import BatchedWindows, LibraryWindows, Windows
from scoreboard.settings import Rate, Settings

LOGINS_PER_NAME: Final = Rate(10, 60)  # per address and name: guessing one password stays slow


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


class RateLimit:
    """A limit of so many calls in a window, for each key apart."""

    def __init__(self, name: str, rate: Rate, windows: Windows) -> None:
        self._name = name
        self._rate = rate
        self._windows = windows

    async def hit(self, key: str) -> tuple[bool, Allowance]:
        """Count a call; gives whether it is allowed, and what is left."""
        tally = await self._windows.hit(Hit(f"{self._name}/{key}", *self._rate))
        remaining = max(0, self._rate.amount - tally.used)
        reset = max(1, math.ceil(tally.reset))
        return tally.allowed, Allowance(self._rate, remaining, reset)

    async def check(self, key: str, detail: str) -> Allowance:
        """Count a call. Raises `RateLimited` when it is one too many."""
        allowed, allowance = await self.hit(key)
        if not allowed:
            raise RateLimited(detail, retry_after=allowance.reset, told=allowance.headers)
        return allowance


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is limited: completions of an account, whoever asks for tokens from an address, and
    logins under a name from an address.
    """

    completions: RateLimit
    auth: RateLimit
    logins: RateLimit
    shared: SharedWindows | None

    @classmethod
    def of(cls, settings: Settings, link: Link | None) -> Limits:
        """The limits that the operator chose, counted in Redis if there is one."""
        seldom = LibraryWindows(link)
        shared = SharedWindows(link) if link else None
        often = BatchedWindows(shared, seldom.own)
        return cls(
            completions=RateLimit("complete", settings.rate_limit, often),
            auth=RateLimit("auth", settings.auth_rate_limit, seldom),
            logins=RateLimit("login", LOGINS_PER_NAME, seldom),
            shared=shared,
        )

    async def run(self) -> None:
        """Count in Redis, as long as the service runs: the owning task."""
        if self.shared:
            await self.shared.run()
