"""Hears of changes that other processes made, and notices when Redis goes and comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from scoreboard.board.redis.keys import CHANNEL
from scoreboard.board.redis.link import Link

PING_EVERY: Final = 1.0  # seconds: so soon is noticed that Redis is back, and a ping is free
# Pings without an answer before the connection counts as lost. A link that is cut half-open tells
# nobody. Pings are counted and not seconds: a process that stood still for a while lost nothing.
MAX_UNANSWERED: Final = 3
STEP_TIME: Final = 2.0  # seconds to connect and subscribe over a slow line, or to wait for a ping
FIRST_PAUSE: Final = 0.05  # seconds before the second try to connect; doubled for each after it
LONGEST_PAUSE: Final = 1.0  # seconds: a refused connection costs nothing, and all wait for it


class _Lost(Exception):
    """The connection is of no use any more."""


class Subscription:
    """Listens on the channel where the scripts say that a top 10 changed.

    `on_subscribed` is awaited when listening begins, and again whenever something may have been
    missed: the connection is a new one, or Redis was away. News that come meanwhile wait until it
    returns. `on_news` gets the name of each board that changed, as it was published. What either
    raises ends `run`; `Away` is theirs to handle.
    """

    def __init__(
        self,
        link: Link,
        on_subscribed: Callable[[], Awaitable[None]],
        on_news: Callable[[str], None],
    ) -> None:
        self._link = link
        self._on_subscribed = on_subscribed
        self._on_news = on_news
        self._is_subscribed = False

    async def run(self) -> None:
        """Listen until cancelled: the owning task."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._follow()
            except _Lost as lost:
                if self._is_subscribed:  # the server may be well: another connection will tell
                    self._is_subscribed = False
                    pause = FIRST_PAUSE
                else:
                    self._link.lose(lost)
            # Jitter: processes that lost one server together need not come back all at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _follow(self) -> None:
        """Listen over one connection until it is lost."""
        pubsub = self._link.pubsub()
        try:
            async with _bounded():
                await pubsub.subscribe(CHANNEL)
            await self._listen(pubsub)
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _listen(self, pubsub: PubSub) -> None:
        now = asyncio.get_running_loop().time
        next_ping, unanswered = now() + PING_EVERY, 0
        was_missed = False
        while True:
            # Whatever else comes in: on a busy channel nothing but the pings' answers calls for a
            # probe, and each news item would.
            if now() >= next_ping:
                if unanswered >= MAX_UNANSWERED:
                    self._is_subscribed = False
                    raise _Lost("the subscription gets no answer")
                async with _bounded():
                    await pubsub.ping()
                next_ping, unanswered = now() + PING_EVERY, unanswered + 1
            async with _bounded():
                message = await pubsub.get_message(timeout=max(0.0, next_ping - now()))
            if message is None:
                continue
            unanswered = 0
            if message["type"] == "message":
                self._on_news(message["data"])
                continue
            if message["type"] == "subscribe":
                self._is_subscribed = was_missed = True
            if (was_missed or self._link.is_away) and await self._link.probe():
                was_missed = False
                await self._on_subscribed()


@asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    """Turn the errors of a step, and more than `STEP_TIME` without its end, into `_Lost`."""
    try:
        async with asyncio.timeout(STEP_TIME):
            yield
    except (RedisError, OSError) as error:
        raise _Lost(str(error) or "no answer") from error
