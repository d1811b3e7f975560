"""Streams without a task each: one task writes each frame to all of them (pure asyncio).

What a stream costs beyond its bytes is mostly what waits for it: a task, its coroutines, an event
(docs/performance.md has the figures). A server that can let go of a connection offers it to the
application as a `Line`; then nothing of the request stays but one small object in a set.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final, Protocol

from scoreboard.live.hub import Hub
from scoreboard.live.snapshot import Frame
from scoreboard.telemetry import metrics

LINE: Final = "scoreboard.line"
"""The ASGI extension under which a server offers the connection of a request: its `Line`."""

PING_EVERY: Final = 15  # seconds; proxies and platforms cut what is silent for 30 to 60
RETRY_MS: Final = (2000, 5000)  # the range that a client's reconnect time is drawn from
STUCK_AFTER: Final = 30.0  # seconds in which a reader takes nothing: then its stream is closed
# Streams that are written to in one go, some 10 µs each: so long do requests wait for their turn.
SLICE: Final = 500

_PING: Final = b": ping\n\n"

logger = logging.getLogger(__name__)


def retry() -> bytes:
    """The line that tells a client after how many milliseconds to come back: drawn at random, so
    that those who lost their server at once do not come back at once.
    """
    return b"retry: %d\n" % random.randint(*RETRY_MS)  # noqa: S311 - a spread, not a secret


def bye() -> bytes:
    """The last event of a stream that the server ends."""
    return retry() + b"event: bye\ndata: {}\n\n"


class Owner(Protocol):
    """Whoever took a line over, and is told what becomes of it."""

    def cleared(self) -> None:
        """What was written has left the process: there is room again."""

    def lost(self) -> None:
        """The connection is gone."""

    def leave(self) -> None:
        """The server means to stop: end it."""


class Line(Protocol):
    """A connection in the middle of an answer, which somebody else than the request goes on with.

    Nothing that is written waits for the reader. What the kernel does not take at once is kept in
    the process; then `is_clear` is false until it has left, and nothing more should be written.
    """

    is_clear: bool

    @property
    def is_free(self) -> bool:
        """Whether it can be taken: its request has come whole, and no other stands behind it."""

    def take(self, owner: Owner) -> bool:
        """Take it over: the request may end, the answer goes on. False when the client has gone."""

    @staticmethod
    def piece(body: bytes) -> bytes:
        """A part of the body as it goes over the line: the same for all lines."""

    def write(self, piece: bytes) -> None:
        """Send a `piece`."""

    def end(self, body: bytes) -> None:
        """Send the last part of the body, and close."""

    def abort(self) -> None:
        """Close it at once."""


class _Stream:
    """One line, and the version that it was given last."""

    __slots__ = ("_broadcast", "_release", "line", "seen")

    def __init__(
        self, broadcast: Broadcast, line: Line, seen: str | None, release: Callable[[], None]
    ) -> None:
        self._broadcast = broadcast
        self._release = release
        self.line = line
        self.seen = seen

    def cleared(self) -> None:
        self._broadcast.catch_up(self)

    def lost(self) -> None:
        self._broadcast.drop(self)
        self._release()

    def leave(self) -> None:
        self.line.end(bye())


class Broadcast:
    """Gives every frame of a hub to every line that follows it.

    A line that is not clear is left out, and gets the newest frame when it is: it skips states,
    delays nobody, and costs no more than what it has not taken. After `STUCK_AFTER` it is closed.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._streams: set[_Stream] = set()
        # How many frames there had been when a stream that is not clear missed one, and its end.
        self._behind: dict[_Stream, tuple[int, asyncio.TimerHandle]] = {}

    def follow(self, line: Line, seen: str | None, release: Callable[[], None]) -> None:
        """Take over a line that was given the version `seen`. `release` is called when it is gone,
        which may be at once.
        """
        stream = _Stream(self, line, seen, release)
        if not line.take(stream):
            release()
            return
        self._hub.enter()
        self._streams.add(stream)
        self.catch_up(stream)
        if self._hub.is_closed:
            stream.leave()

    async def run(self) -> None:
        """Write until the hub is closed; then say bye to everyone. The owning task."""
        given = self._hub.published
        while not self._hub.is_closed or self._hub.published > given:
            try:
                async with asyncio.timeout(PING_EVERY):
                    await self._hub.after(given)
            except TimeoutError:
                await self._ping()
            else:
                given = self._hub.published
                await self._give()
        for stream in list(self._streams):
            stream.leave()

    def catch_up(self, stream: _Stream) -> None:
        """Give it the newest frame, if it has not got it."""
        missed = self._behind.pop(stream, None)
        if missed:
            since, end = missed
            end.cancel()
            self._hub.skipped(self._hub.published - since - 1)
        frame = self._hub.frame
        if frame and stream.seen != frame.version:
            self._count(self._give_to(stream, frame, stream.line.piece(frame.data)), frame)

    def drop(self, stream: _Stream) -> None:
        """Forget it: the line is gone."""
        self._streams.remove(stream)
        stream.line.is_clear = False
        self._hub.leave()
        if missed := self._behind.pop(stream, None):
            missed[1].cancel()

    async def _give(self) -> None:
        """The newest frame to each that is here now. What is published meanwhile is the newest for
        those whose turn has not come; the others get it in the next round.
        """
        frame, piece = None, b""
        streams = list(self._streams)
        for start in range(0, len(streams), SLICE):
            if (newest := self._hub.frame) is None:
                return  # the hub was closed before there was any
            if newest is not frame:
                frame, piece = newest, streams[0].line.piece(newest.data)
            given = 0
            for stream in streams[start : start + SLICE]:
                if stream.line.is_clear and stream.seen != frame.version:  # as nearly all
                    stream.seen = frame.version
                    stream.line.write(piece)
                    given += 1
                else:
                    given += self._give_to(stream, frame, piece)
            self._count(given, frame)
            await asyncio.sleep(0)  # requests, and lines that close, have their turn

    def _give_to(self, stream: _Stream, frame: Frame, piece: bytes) -> bool:
        if stream.seen == frame.version or stream not in self._streams:
            return False
        if not stream.line.is_clear:
            if stream not in self._behind:
                end = asyncio.get_running_loop().call_later(STUCK_AFTER, self._give_up, stream)
                self._behind[stream] = (self._hub.published - 1, end)
            return False
        stream.seen = frame.version
        stream.line.write(piece)
        return True

    async def _ping(self) -> None:
        streams = list(self._streams)
        for start in range(0, len(streams), SLICE):
            piece = streams[0].line.piece(_PING)
            for stream in streams[start : start + SLICE]:
                if stream.line.is_clear and stream in self._streams:
                    stream.line.write(piece)
            await asyncio.sleep(0)

    def _give_up(self, stream: _Stream) -> None:
        metrics.STREAMS_STALLED.inc()
        logger.info("a stream was closed: its reader took nothing for %d s", STUCK_AFTER)
        stream.line.abort()

    @staticmethod
    def _count(given: int, frame: Frame) -> None:
        if given:
            metrics.STREAM_FRAMES.inc(given)
            metrics.STREAM_BYTES.inc(given * len(frame.data))
