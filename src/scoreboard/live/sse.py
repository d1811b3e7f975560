"""Streams over HTTP: the only module that knows `sse_starlette`.

A stream is a watcher of a hub. What is sent to everyone are the frame's own bytes; only the
reconnect time is one's own, drawn at random so that clients do not come back all at once.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Final

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from scoreboard.live.hub import Hub
from scoreboard.telemetry import metrics

PING_EVERY: Final = 15  # seconds; proxies and platforms cut what is silent for 30 to 60
RETRY_MS: Final = (2000, 5000)  # the range that a client's reconnect time is drawn from
BUSY_RETRY_MS: Final = 15_000
STUCK_AFTER: Final = 30.0  # seconds in which a reader takes nothing: then its stream is closed
FAREWELL: Final = 1.0  # seconds that a stream has to say bye before it is cut

logger = logging.getLogger(__name__)


class FullHouse(Exception):
    """There is no seat left, in the process or for the address."""


class Seats:
    """How many streams may be open, in the process and for one address."""

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._taken: Counter[str] = Counter()
        self.open = 0

    @contextmanager
    def seat(self, address: str) -> Iterator[None]:
        """Hold a seat while the block runs. Raises `FullHouse` when there is none."""
        if self.open >= self._total or self._taken[address] >= self._per_address:
            raise FullHouse
        self.open += 1
        self._taken[address] += 1
        try:
            yield
        finally:
            self.open -= 1
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]


def _retry() -> bytes:
    return b"retry: %d\n" % random.randint(*RETRY_MS)  # noqa: S311 - a spread, not a secret


class Stream:
    """An ASGI response: a board's frames for one client, until either side ends."""

    def __init__(
        self, hub: Hub, seats: Seats, *, address: str, seen: str | None, leaving: anyio.Event
    ) -> None:
        self._hub = hub
        self._seats = seats
        self._address = address
        self._seen = seen
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream. It ends properly unless the client is gone or stuck."""
        try:
            with self._seats.seat(self._address):
                await self._respond(self._events(), scope, receive, send)
        except FullHouse:
            await self._respond(_busy(), scope, receive, send)
        except SendTimeoutError:
            metrics.STREAMS_STALLED.inc()
            logger.info("a stream was closed: its reader took nothing for %d s", STUCK_AFTER)
        except RuntimeError as error:
            # uvloop's word for a connection that has gone; uvicorn does not tell when the client
            # had sent another request behind this one.
            if "closed" not in str(error):
                raise
            logger.info("a stream was closed: its reader had gone")

    async def _respond(
        self, events: AsyncIterator[bytes], scope: Scope, receive: Receive, send: Send
    ) -> None:
        response = EventSourceResponse(
            events,
            ping=PING_EVERY,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
            sep="\n",
            send_timeout=STUCK_AFTER,
            # Set by the library as soon as uvicorn means to stop, which it learns from the handler
            # of SIGTERM, and which so needs no launcher of ours.
            shutdown_event=self._leaving,
            shutdown_grace_period=FAREWELL,
        )
        await response(scope, receive, send)

    async def _events(self) -> AsyncIterator[bytes]:
        current = self._hub.frame
        first = current is not None and self._seen != current.version
        if not first:  # something at once, or proxies and browsers would wait for the headers
            yield _retry() + (b": you have the newest\n\n" if current else b": not yet\n\n")
        async with aclosing(self._hub.watch(self._seen)) as frames:
            async for frame in frames:
                metrics.STREAM_FRAMES.inc()
                metrics.STREAM_BYTES.inc(len(frame.data))
                yield _retry() + b"\n" + frame.data if first else frame.data
                first = False
        yield _retry() + b"event: bye\ndata: {}\n\n"


async def _busy() -> AsyncIterator[bytes]:
    # An error status would stop an EventSource for good; this one comes back later by itself.
    yield b"retry: %d\nevent: busy\ndata: {}\n\n" % BUSY_RETRY_MS
