"""HTTP/1.1 at the connection: what a client may do before there is a request for the application.

It builds on uvicorn's protocol, which reads with `httptools` (llhttp, strict) and has no
bounds of its own. What it refuses, and what `web/framing.py` finds ambiguous, is answered here
and never repaired (RFC 9112, 11.2).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final, NoReturn

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from scoreboard.errors import (
    HeadersTooLarge,
    PayloadTooLarge,
    RateLimited,
    RequestError,
    RequestTimeout,
    UriTooLong,
    ValidationFailed,
)
from scoreboard.web.connections import Connections
from scoreboard.web.framing import BODILESS, LOOKED_AT, is_clear, mark
from scoreboard.web.joined import Joined
from scoreboard.web.problems import last_answer
from scoreboard.web.requests import turned_away
from scoreboard.web.served import ServedProtocol

# Seconds in which a new connection sends the first byte of a request: browsers open some ahead.
FIRST_BYTE: Final = 15.0
# Seconds from a request's first byte to its last. More than `parse.BODY_WAIT`, so that a handler
# that waits for a body can say what is missing.
ARRIVAL: Final = 15.0
# Seconds in which what still comes in is read and dropped, when there is an answer already: closed
# at once, the kernel would reset the connection, and the client might never see the answer.
LINGER: Final = 2.0
MAX_TARGET: Final = 8 * 1024  # bytes of path and query: RFC 9112, 3, asks for 8000
MAX_HEAD: Final = 16 * 1024  # bytes of all header lines: a token of 8 KiB fits, and as much beside
MAX_HEADERS: Final = 100  # lines: browsers behind three proxies send some 40
# Bytes that come with a body and are none of it, trailers too: the largest (`parse.MAX_BODY`) in
# chunks of one byte has six times its size.
MAX_FRAMING: Final = 128 * 1024
MAX_PIPELINED: Final = 16  # requests that wait for the one before: more than any known client sends

# What of a request has come. The clock runs in a head and in a body, and at no other time.
NOTHING: Final = 0
_HEAD: Final = 1
_BODY: Final = 2
_DEAF: Final = 3  # nothing more is read from this connection

_TICK: Final = 0.002  # seconds: the loop's timers are as exact as a millisecond
_TOO_MANY: Final = f"The headers may have at most {MAX_HEAD} bytes and {MAX_HEADERS} lines."
_MALFORMED: Final = "is not HTTP/1.1, or could be read in two ways"


class _StopReading(Exception):
    """Raised through the parser, which has no other way to stop."""


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


class BoundedProtocol(ServedProtocol):
    """One connection, with a bound on everything that a client may send, and on how slowly.

    A request arrives whole within `ARRIVAL` of its first byte, or gets a 408. The clock stops when
    it is there: answers may take their time, and streams are never cut. A refusal is a problem like
    every other, and the connection ends with it. While an earlier answer is under way there is no
    place to write one: then the connection ends after that answer, without another word.
    """

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._open = connections
        self._address: str | None = None
        self._error: RequestError | None = None
        self.stage, self._marks = NOTHING, 0
        self._chunk = 0  # bytes of what is being read
        self._fed = 0  # bytes of an unfinished head; then what came with a body and was none of it
        # One timer a connection, none a request: when it fires it looks whether `_due` has moved.
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, or close it when the house is full."""
        super().connection_made(transport)
        self._address = self._open.admit(self.client[0] if self.client else None)
        if self._address is None:
            self.connections.discard(self)
            self.stage = _DEAF
            transport.abort()
            return
        self._wait_until(self.loop.time() + FIRST_BYTE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what it held."""
        super().connection_lost(exc)
        if self._address is not None:
            self._open.leave(self._address)
            self._address = None
        self._listen_no_more()

    def data_received(self, data: bytes) -> None:
        """Read on. A request in one piece, as almost all are, costs no look at a clock."""
        if self.stage == _DEAF:
            return
        if self.stage == _BODY:
            self._fed += len(data)
        self._chunk = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Another protocol was offered, which the server may decline (RFC 9110, 7.8). Whatever
            # stands behind the request is in neither protocol for sure.
            self.stage = _DEAF
        except httptools.HttpParserError:
            self._refuse(self._error or ValidationFailed("request", _MALFORMED))
        else:
            if self.stage != NOTHING:
                self._expect_the_rest(data)

    def _expect_the_rest(self, data: bytes) -> None:
        if self._due is None:
            self._wait_until(self.loop.time() + ARRIVAL)
        if self.stage == _BODY:
            if self._fed > MAX_FRAMING:
                self._refuse(PayloadTooLarge("The body's chunks or trailers are too large."))
            return
        # The parser hands a line on when it has all of it; an endless one it would just keep. What
        # stands before an empty line belongs to the request before this one.
        self._fed += len(data) - max(0, data.rfind(b"\r\n\r\n"))
        if self._fed > MAX_TARGET + MAX_HEAD:
            self._refuse(HeadersTooLarge(_TOO_MANY))

    # What the parser found. An error raised here ends the reading.
    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop_reading(RateLimited("Too many requests at once.", retry_after=1))
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        super().on_message_begin()
        self.stage = _HEAD
        self._marks = self._fed = 0
        self._due = None

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self.url += url
        if len(self.url) > MAX_TARGET:
            self._stop_reading(UriTooLong(f"Path and query may have at most {MAX_TARGET} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line, or a trailer: these are dropped, since what is done with a request is
        decided by then (RFC 9110, 6.5.1).
        """
        if self.stage == _BODY:
            return
        if len(self.headers) == MAX_HEADERS:
            self._stop_reading(HeadersTooLarge(_TOO_MANY))
        name = name.lower()
        if name in LOOKED_AT:
            self._marks = mark(self._marks, name, value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is whole: look whether there is one way only to read it, and let it be served."""
        version = self.parser.get_http_version()
        upgrades = self.parser.should_upgrade()
        # No function is called for the usual head, and what came in a small piece is not added up.
        if self._marks != BODILESS or version != "1.1" or upgrades or b"#" in self.url:
            method = self.parser.get_method()
            if not is_clear(self._marks, version, method, self.url, upgrades=upgrades):
                self._stop_reading(ValidationFailed("request", _MALFORMED))
        if self._fed + self._chunk > MAX_HEAD and _size(self.headers) > MAX_HEAD:
            self._stop_reading(HeadersTooLarge(_TOO_MANY))
        super().on_headers_complete()
        self.stage, self._fed = _BODY, 0
        self.cycle.transport = joined = Joined(self.transport)  # type: ignore[assignment]
        self.cycle.on_response = partial(self._answered, joined)
        if upgrades:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._fed -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole: the clock stops."""
        self.stage, self._due = NOTHING, None
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            # It was answered before all of it was there; only now the connection is idle.
            self._keep_alive()

    def _answered(self, joined: Joined) -> None:
        joined.flush()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """A request is answered."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # no more requests while there are some that wait
        elif self.stage in (_HEAD, _BODY) and not self.transport.is_closing():
            # A request is arriving, so the connection is not idle, whatever uvicorn thinks.
            self._unset_keepalive_if_required()
            rest = LINGER if self.stage == _BODY else ARRIVAL
            self._wait_until(self.loop.time() + rest)

    # Turning away, and the clock.

    def _stop_reading(self, error: RequestError) -> NoReturn:
        """End the parser's run from within; `data_received` has the rest done."""
        self._error = error  # not raised itself: it would hold this frame, and with it be a cycle
        raise _StopReading

    def _listen_no_more(self) -> None:
        self.stage, self._due = _DEAF, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: RequestError) -> None:
        if self.transport.is_closing():
            return
        mine = turned_away(error)
        can_answer, is_served = self._can_answer(), self.stage == _BODY
        self.stage, self._due = _DEAF, None
        self._unset_keepalive_if_required()
        if not can_answer:
            if is_served:
                self.transport.close()
            else:
                self.cycle.keep_alive = False  # what came whole before it is answered
            return
        if is_served:  # whoever waits for the body is told that the client has gone
            self.cycle.disconnected, self.cycle.waiting_for_100_continue = True, False
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.transport.write(last_answer(error, mine, self.server_state.default_headers))
        self.transport.write_eof()
        self._wait_until(self.loop.time() + LINGER)

    def _can_answer(self) -> bool:
        """Whether what is written now would be taken for the answer to what is being read."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self.stage == _BODY and not self.pipeline and not self.cycle.response_started

    def _wait_until(self, due: float) -> None:
        self._due = due
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._due is None or self.transport.is_closing():
            return
        now = self.loop.time()
        if self._keeps_it_waiting():
            self._due = now + ARRIVAL
        if self._due - now > _TICK:
            self._wait_until(self._due)
        elif self.stage == _HEAD:
            self._refuse(RequestTimeout(f"A request must arrive within {ARRIVAL:.0f} seconds."))
        elif self.stage == _DEAF:
            self.transport.abort()
        else:
            self.transport.close()

    def _keeps_it_waiting(self) -> bool:
        """Whether it is the server's turn, so that the client may be late."""
        if self.stage == _DEAF:
            return False
        is_answering = self.cycle is not None and not self.cycle.response_complete
        return (
            self.flow.read_paused or bool(self.pipeline) or (self.stage == _HEAD and is_answering)
        )

    def _keep_alive(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
