"""Streams over HTTP: the only module that knows `sse_starlette`.

On our own server a stream is a line that a `Broadcast` writes to. On any other it is an ASGI
response like every one, which watches the hub itself. Both send the same: the frame's own bytes,
and a reconnect time drawn at random.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Final

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from scoreboard.live import broadcast
from scoreboard.live.broadcast import LINE, Broadcast, Line, bye, retry
from scoreboard.live.hub import Hub
from scoreboard.telemetry import metrics

BUSY_RETRY_MS: Final = 15_000
FAREWELL: Final = 1.0  # seconds that a stream has to say bye before it is cut
# `no-transform`: a proxy that compresses (Express' `compression`, a development server) would hold
# the stream back until it has collected enough.
CACHE_CONTROL: Final = "no-store, no-transform"

_START: Final[Message] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", CACHE_CONTROL.encode()),
        (b"x-accel-buffering", b"no"),  # nginx passes on what comes as it comes
    ],
}
# An error status would stop an EventSource for good; this one comes back later by itself.
_BUSY: Final = b"retry: %d\nevent: busy\ndata: {}\n\n" % BUSY_RETRY_MS

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

    def take(self, address: str) -> None:
        """Have a seat, until it is given `back`. Raises `FullHouse` when there is none."""
        if self.open >= self._total or self._taken[address] >= self._per_address:
            raise FullHouse
        self.open += 1
        self._taken[address] += 1

    def back(self, address: str) -> None:
        """Give a seat back."""
        self.open -= 1
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


class Stream:
    """An ASGI response: a board's frames for one client, until either side ends."""

    def __init__(
        self,
        hub: Hub,
        followers: Broadcast,
        seats: Seats,
        *,
        address: str,
        seen: str | None,
        leaving: anyio.Event,
    ) -> None:
        self._hub = hub
        self._followers = followers
        self._seats = seats
        self._address = address
        self._seen = seen
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream. It ends properly unless the client is gone or stuck."""
        line: Line | None = scope.get("extensions", {}).get(LINE)
        try:
            self._seats.take(self._address)
        except FullHouse:
            await send({**_START})
            await send({"type": "http.response.body", "body": _BUSY})
            return
        if line and line.is_free and scope["method"] == "GET":
            await self._hand_over(line, send)
        else:
            try:
                await self._serve(scope, receive, send)
            finally:
                self._seats.back(self._address)

    async def _hand_over(self, line: Line, send: Send) -> None:
        """Begin the answer here; what follows is written by the broadcast."""
        release = partial(self._seats.back, self._address)
        try:
            await send({**_START})
            first, seen = self._first()
            await send({"type": "http.response.body", "body": first, "more_body": True})
        except BaseException:
            release()
            raise
        self._followers.follow(line, seen, release)

    def _first(self) -> tuple[bytes, str | None]:
        """The block that is sent at once, and the version that the client then has. There is always
        one: proxies and browsers would wait for the headers.

        The reconnect time comes in the block of the snapshot. Some clients hand a block without
        `data` on as an empty message (httpx-sse, `@microsoft/fetch-event-source`), and a client
        that has the newest version got its time before.
        """
        frame = self._hub.frame
        if frame is None:
            return b": not yet\n\n", self._seen
        if frame.version == self._seen:
            return b": you have the newest\n\n", self._seen
        metrics.STREAM_FRAMES.inc()
        metrics.STREAM_BYTES.inc(len(frame.data))
        return retry() + frame.data, frame.version

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = EventSourceResponse(
            self._events(),
            headers={"Cache-Control": CACHE_CONTROL},
            ping=broadcast.PING_EVERY,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
            sep="\n",
            send_timeout=broadcast.STUCK_AFTER,
            # Set by the library as soon as uvicorn means to stop, which it learns from the handler
            # of SIGTERM, and which so needs no launcher of ours.
            shutdown_event=self._leaving,
            shutdown_grace_period=FAREWELL,
        )
        try:
            await response(scope, receive, send)
        except SendTimeoutError:
            metrics.STREAMS_STALLED.inc()
            logger.info(
                "a stream was closed: its reader took nothing for %d s", broadcast.STUCK_AFTER
            )
        except RuntimeError as error:
            # uvloop's word for a connection that has gone; uvicorn does not tell when the client
            # had sent another request behind this one.
            if "closed" not in str(error):
                raise
            logger.info("a stream was closed: its reader had gone")

    async def _events(self) -> AsyncIterator[bytes]:
        first, seen = self._first()
        yield first
        async with aclosing(self._hub.watch(seen)) as frames:
            async for frame in frames:
                metrics.STREAM_FRAMES.inc()
                metrics.STREAM_BYTES.inc(len(frame.data))
                yield frame.data
        yield bye()
