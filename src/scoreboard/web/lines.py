"""Connections that can be handed over: the answer goes on when its request has ended.

The part of `live/broadcast.py` that lies below ASGI. The application is offered it as an extension
of the scope (ASGI specification, "Extensions"), and does without on any other server.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any, Final, cast

from scoreboard.live.broadcast import LINE, Owner
from scoreboard.live.sse import FAREWELL
from scoreboard.web.connections import Connections
from scoreboard.web.protocol import NOTHING, BoundedProtocol

_LAST_CHUNK: Final = b"0\r\n\r\n"


def protocol(connections: Connections, *, hands_over: bool) -> type[asyncio.Protocol]:
    """What `uvicorn.Config(http=...)` takes: the protocol, counting into `connections`. If it
    `hands_over`, each connection can be taken over in the middle of an answer.
    """
    chosen = LineProtocol if hands_over else BoundedProtocol
    return cast("type[asyncio.Protocol]", partial(chosen, connections))


class LineProtocol(BoundedProtocol):
    """A connection that is also a `Line`: see there for what it promises."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **options)
        self._owner: Owner | None = None
        self._descriptor = -1
        self.is_clear = True
        # One for all requests, emptied at the end: whatever still holds one holds no connection.
        self._extensions: dict[str, Any] = {LINE: self}

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    @property
    def is_free(self) -> bool:
        """As `Line.is_free`."""
        return self.stage == NOTHING and not self.pipeline and self.scheme == "http"

    def take(self, owner: Owner) -> bool:
        """As `Line.take`. Whatever else the client sends from now on is dropped."""
        cycle, self.served = self.served, None
        if cycle is None or cycle.disconnected or self.transport.is_closing():
            if cycle is not None:  # or uvicorn would complain of an answer without an end
                cycle.disconnected = True
            return False
        self._owner = owner
        self._descriptor = self.transport.get_extra_info("socket").fileno()
        self._listen_no_more()
        # To uvicorn the answer is complete. What only requests need is let go: most of the memory
        # of a connection.
        cycle.response_complete = True
        self.flow.resume_reading()  # or the end of the connection would not be noticed
        for name in ("cycle", "scope", "headers", "flow", "pipeline", "parser", "url"):
            setattr(self, name, None)
        # What the kernel does not take is told at once, be it a byte.
        self.transport.set_write_buffer_limits(high=0)
        return True

    @staticmethod
    def piece(body: bytes) -> bytes:
        """As `Line.piece`: a chunk (RFC 9112, 7.1)."""
        return b"%x\r\n%b\r\n" % (len(body), body)

    def write(self, piece: bytes) -> None:
        """As `Line.write`: straight to the kernel, which mostly takes all of it, and what it does
        not take to the transport, which then is not clear. It saves a tenth of what a frame costs.
        """
        if self.transport.is_closing():  # then the number may be another connection's
            return
        try:
            taken = os.write(self._descriptor, piece)
        except BlockingIOError:
            taken = 0
        except OSError:  # the client has gone
            self.transport.abort()
            return
        if taken < len(piece):
            self.transport.write(piece[taken:])

    def end(self, body: bytes) -> None:
        """As `Line.end`. A reader that does not take it within `FAREWELL` seconds is cut off."""
        if not self.transport.is_closing():
            self.transport.write(self.piece(body) + _LAST_CHUNK)
            self.transport.close()
            if not self.is_clear:
                self.loop.call_later(FAREWELL, self.transport.abort)

    def abort(self) -> None:
        """As `Line.abort`."""
        self.transport.abort()

    def pause_writing(self) -> None:
        """The kernel takes no more."""
        self.is_clear = False
        if self._owner is None:
            super().pause_writing()

    def resume_writing(self) -> None:
        """It has taken everything."""
        self.is_clear = True
        if self._owner is None:
            super().resume_writing()
        else:
            self._owner.cleared()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, if there is one."""
        super().connection_lost(exc)
        self._extensions.clear()
        if self._owner is not None:
            owner, self._owner = self._owner, None
            owner.lost()

    def shutdown(self) -> None:
        """The server means to stop."""
        if self._owner is None:
            super().shutdown()
        else:
            self._owner.leave()
