"""A connection that is handed over, without a network: who has it when, and what is let go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from scoreboard.live import sse
from scoreboard.live.broadcast import LINE, Broadcast
from scoreboard.live.hub import Hub
from scoreboard.live.snapshot import Frame
from scoreboard.live.sse import Seats, Stream
from scoreboard.web.connections import Connections
from scoreboard.web.lines import LineProtocol
from scoreboard.web.responses import Ready
from tests.support.wire import chunks

PATIENCE = 5.0  # seconds for what takes a turn of the loop or two
HOST = "192.0.2.1"
LAST_CHUNK = b"\r\n0\r\n\r\n"


class FakeTransport(asyncio.Transport):
    """A server's end of a connection, and what its client gets of it.

    As with uvloop's, what is written while it closes is dropped, and writing later is an error.
    What the kernel does not take at once is kept, and told, when the limit is 0.
    """

    def __init__(self, protocol: LineProtocol) -> None:
        self._protocol = protocol
        self._server, self._client = socket.socketpair()
        for end in (self._server, self._client):
            end.setblocking(False)
        super().__init__({"socket": self._server})
        self._is_closing = False
        self._reads = True
        self._received = b""
        self.high: int | None = None
        self.kept = b""
        self.aborted = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_lost:
            raise RuntimeError("unable to perform operation on it; the handler is closed")
        if not self._is_closing:
            self.kept += data
            self._flush()
            if self.kept and self.high == 0:
                self._protocol.pause_writing()

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.kept:
                self.kept = self.kept[self._server.send(self.kept) :]

    @property
    def sent(self) -> bytes:
        """All that the client has got, and read."""
        with contextlib.suppress(BlockingIOError):
            while chunk := self._client.recv(65_536):
                self._received += chunk
        return self._received

    def go_on(self) -> None:
        """The client reads what was kept for it."""
        while self.kept:
            assert self.sent
            self._flush()
        self._protocol.resume_writing()

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True
        self.aborted.set()

    def is_closing(self) -> bool:
        return self._is_closing

    def is_reading(self) -> bool:
        return self._reads

    def pause_reading(self) -> None:
        self._reads = False

    def resume_reading(self) -> None:
        self._reads = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._server.fileno() == -1

    def hang_up(self) -> None:
        """The client goes, which the server has not noticed yet."""
        self._client.close()

    def lose(self) -> None:
        """The connection is gone."""
        self._is_closing = True
        for end in (self._server, self._client):
            end.close()
        self._protocol.connection_lost(None)


class House:
    """A hub that streams follow, and connections to it."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.hub = Hub(Frame("v0", b"id: v0\n\n"))
        self.followers = Broadcast(self.hub)
        self.seats = Seats(10, 10)
        self.connections = Connections(10, None)
        self.state = ServerState()
        self._leaving = anyio.Event()
        self._config = Config(
            self._app, interface="asgi3", lifespan="off", log_config=None, proxy_headers=False
        )
        self._met: list[FakeTransport] = []

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/stream":
            await Ready(b"other", [])(scope, receive, send)
            return
        await self.answer(scope, receive, send)

    @property
    def answer(self) -> Stream:
        """The answer to who asks for a stream."""
        return Stream(
            self.hub,
            self.followers,
            self.seats,
            address=HOST,
            seen=None,
            leaving=self._leaving,
        )

    def connect(self) -> tuple[LineProtocol, FakeTransport]:
        """A new connection, at both of its ends."""
        protocol = LineProtocol(self.connections, self._config, self.state, {})
        transport = FakeTransport(protocol)
        protocol.connection_made(transport)
        self._met.append(transport)
        return protocol, transport

    async def stream(self) -> tuple[LineProtocol, FakeTransport]:
        """A connection with a stream that has begun."""
        protocol, transport = self.connect()
        protocol.data_received(asking("/stream"))
        await self.answered()
        return protocol, transport

    async def answered(self) -> None:
        """Wait until no request is under way but those of streams that have a task of their own."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Everyone goes, and leaves nothing behind."""
        self.hub.close()
        for transport in self._met:
            if not transport.is_lost:
                transport.lose()
        async with asyncio.timeout(PATIENCE):
            while self.state.tasks:
                await asyncio.wait(self.state.tasks)
        assert self.connections.open == self.seats.open == self.hub.watching == 0
        assert not self.state.connections
        logged = [one for when in ("call", "teardown") for one in self._caplog.get_records(when)]
        assert [one.getMessage() for one in logged if one.levelno >= logging.ERROR] == []


@pytest.fixture
async def house(caplog: pytest.LogCaptureFixture) -> AsyncIterator[House]:
    """A house that everybody leaves in the end."""
    house = House(caplog)
    giving = asyncio.create_task(house.followers.run())
    yield house
    await house.close()
    async with asyncio.timeout(PATIENCE):
        await giving


def asking(path: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *headers, "", ""]).encode() + body


async def received(transport: FakeTransport, wanted: bytes) -> None:
    """Wait until the client has got that."""
    async with asyncio.timeout(PATIENCE):
        while wanted not in transport.sent:
            await anyio.lowlevel.checkpoint()


def is_taken(protocol: LineProtocol) -> bool:
    return protocol._owner is not None


# Handing over.


async def test_a_stream_goes_on_when_its_request_has_ended(house: House) -> None:
    protocol, transport = await house.stream()
    assert is_taken(protocol)
    assert not house.state.tasks
    assert transport.high == 0, "what the kernel does not take has to be told at once"
    house.hub.publish(Frame("v1", b"id: v1\n\n"))
    await received(transport, b"8\r\nid: v1\n\n\r\n")
    head, _, body = transport.sent.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body.count(b"id: v0") == body.count(b"id: v1") == 1


async def test_what_only_requests_need_is_let_go(house: House) -> None:
    protocol, _ = await house.stream()
    kept: dict[str, Any] = vars(protocol)
    for name in ("cycle", "scope", "headers", "parser", "flow", "pipeline"):
        assert kept[name] is None, name
    assert protocol._timer is None
    assert protocol.timeout_keep_alive_task is None


async def test_what_comes_in_later_is_dropped(house: House) -> None:
    protocol, transport = await house.stream()
    before = transport.sent
    protocol.data_received(asking("/other") + b"garbage" * 100_000)
    await house.answered()
    assert transport.sent == before
    assert transport.is_reading()


@pytest.mark.parametrize(
    ("request_", "is_handed_over"),
    [
        (asking("/stream", "Content-Length: 2", body=b"{}"), True),
        (asking("/stream", "Content-Length: 2", body=b"{"), False),
        pytest.param(
            asking("/stream") + asking("/other"),
            False,
        ),
        (asking("/stream") + b"GET /oth", False),
        (asking("/stream").replace(b"GET", b"HEAD"), False),
    ],
    ids=["a whole body", "half a body", "a request behind", "half a request behind", "HEAD"],
)
async def test_only_what_is_whole_and_alone_is_handed_over(
    house: House, request_: bytes, is_handed_over: bool
) -> None:
    protocol, _ = house.connect()
    protocol.data_received(request_)
    await house.answered()
    assert is_taken(protocol) == is_handed_over
    await house.close()


async def test_a_request_after_another_is_handed_over_too(house: House) -> None:
    protocol, transport = house.connect()
    protocol.data_received(asking("/other"))
    await received(transport, b"other")
    protocol.data_received(asking("/stream"))
    await received(transport, b"id: v0")
    await house.answered()
    assert is_taken(protocol)


async def test_the_line_is_offered_to_every_request(house: House) -> None:
    protocol, _ = house.connect()
    protocol.data_received(b"GET /stream HTTP/1.1\r\n")
    extensions: Any = protocol.scope["extensions"]
    assert extensions[LINE] is protocol


async def test_an_answer_that_cannot_begin_gives_its_seat_back(house: House) -> None:
    await house.stream()
    protocol, _ = house.connect()
    scope: Scope = {"type": "http", "method": "GET", "extensions": {LINE: protocol}}

    async def receive() -> Message:
        raise AssertionError("it has nothing to read")

    async def send(message: Message) -> None:
        raise RuntimeError("the handler is closed")

    assert house.seats.open == 1
    with pytest.raises(RuntimeError):
        await house.answer(scope, receive, send)
    assert house.seats.open == 1


# Readers that are slow.


async def test_what_the_kernel_does_not_take_is_known_and_told(house: House) -> None:
    protocol, transport = await house.stream()
    protocol.pause_writing()
    assert not protocol.is_clear
    for number in (1, 2):
        house.hub.publish(Frame(f"v{number}", b"id: v%d\n\n" % number))
        await house.answered()
    protocol.resume_writing()
    assert b"id: v1" not in transport.sent
    assert transport.sent.count(b"id: v2") == 1


@pytest.mark.parametrize("is_slow", [False, True], ids=["a good reader", "one that is slow"])
async def test_the_end_comes_with_the_last_chunk_and_waits_for_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch, is_slow: bool
) -> None:
    """A slow reader has a second to take it."""
    assert sse.FAREWELL == 1
    monkeypatch.setattr("scoreboard.web.lines.FAREWELL", 0.001)
    protocol, transport = await house.stream()
    if is_slow:
        protocol.pause_writing()
    protocol.shutdown()
    protocol.shutdown()
    assert transport.sent.endswith(b"event: bye\ndata: {}\n\n" + LAST_CHUNK)
    assert transport.sent.count(b"event: bye") == 1
    assert transport.is_closing()
    assert not transport.aborted.is_set()
    if is_slow:
        async with asyncio.timeout(PATIENCE):
            await transport.aborted.wait()


async def test_what_the_kernel_takes_in_parts_comes_in_its_order(house: House) -> None:
    """However much of a frame it takes; and what was skipped meanwhile does not come at all."""
    protocol, transport = await house.stream()
    frames = [Frame(f"v{n}", b"id: v%d %b\n\n" % (n, b"x" * 10_000 * n)) for n in range(40)]
    rounds = 0
    for frame in frames[1:]:
        house.hub.publish(frame)
        await house.answered()
        if not protocol.is_clear and rounds < 3:
            rounds += 1
            transport.go_on()
    assert not protocol.is_clear
    while transport.kept:
        transport.go_on()
    _, _, body = transport.sent.partition(b"\r\n\r\n")
    events = b"".join(chunks(body))
    *_, last = events.split(b"id: ")
    assert last == frames[-1].data.removeprefix(b"id: ")
    for event in events.split(b"id: ")[2:]:
        version, _, rest = event.partition(b" ")
        assert frames[int(version[1:])].data == b"id: " + version + b" " + rest


async def test_nothing_is_written_to_a_connection_that_closes(house: House) -> None:
    protocol, transport = await house.stream()
    protocol.shutdown()
    before = transport.sent
    house.hub.publish(Frame("v1", b"id: v1\n\n"))
    await house.answered()
    protocol.resume_writing()
    protocol.end(b"again")
    assert transport.sent == before
    transport.lose()
    protocol.write(b"later")
    protocol.end(b"later")


# Clients that go.


async def test_who_goes_is_counted_no_more_and_told_once(house: House) -> None:
    protocol, transport = await house.stream()
    assert (house.connections.open, house.seats.open, house.hub.watching) == (1, 1, 1)
    transport.lose()
    assert (house.connections.open, house.seats.open, house.hub.watching) == (0, 0, 0)
    assert not is_taken(protocol)
    house.hub.publish(Frame("v1", b"id: v1\n\n"))
    await house.answered()


async def test_who_has_hung_up_is_noticed_when_something_is_written(house: House) -> None:
    _, transport = await house.stream()
    transport.hang_up()
    for number in (1, 2):
        house.hub.publish(Frame(f"v{number}", b"id: v%d\n\n" % number))
        await house.answered()
    assert transport.aborted.is_set()


async def test_who_goes_before_the_answer_leaves_nothing(house: House) -> None:
    """The end of the connection is known by then, and is told a moment later."""
    protocol, transport = house.connect()
    protocol.data_received(asking("/stream"))
    transport.close()
    asyncio.get_running_loop().call_soon(transport.lose)
    await house.answered()
    await house.close()


async def test_who_goes_and_is_known_to_have_gone_leaves_nothing(house: House) -> None:
    protocol, transport = house.connect()
    protocol.data_received(asking("/stream"))
    transport.lose()
    await house.answered()


# Answers before it that were not read yet: the head of the stream would have to wait.


@contextlib.asynccontextmanager
async def waiting(house: House) -> AsyncIterator[tuple[LineProtocol, FakeTransport]]:
    """A stream whose head waits for a reader."""
    protocol, transport = house.connect()
    protocol.data_received(asking("/other"))
    await received(transport, b"other")
    protocol.pause_writing()
    protocol.data_received(asking("/stream"))
    await house.answered()
    assert b"id: v0" not in transport.sent
    yield protocol, transport


async def test_a_stream_that_has_to_wait_comes_when_there_is_room(house: House) -> None:
    async with waiting(house) as (protocol, transport):
        protocol.resume_writing()
        await received(transport, b"id: v0")
        house.hub.publish(Frame("v1", b"id: v1\n\n"))
        await received(transport, b"id: v1")


async def test_a_request_behind_a_stream_that_has_to_wait(house: House) -> None:
    """It came while the head waited: neither takes the other's place."""
    async with waiting(house) as (protocol, transport):
        protocol.data_received(asking("/other"))
        protocol.resume_writing()
        await received(transport, b"id: v0")
        house.hub.publish(Frame("v1", b"id: v1\n\n"))
        await received(transport, b"id: v1")
        assert not transport.is_closing()


@pytest.mark.parametrize("behind", [b"", asking("/other")], ids=["alone", "with a request behind"])
async def test_who_goes_while_the_stream_has_to_wait_leaves_nothing(
    house: House, behind: bytes
) -> None:
    async with waiting(house) as (protocol, transport):
        if behind:
            protocol.data_received(behind)
        transport.lose()
        await house.answered()
        await house.close()


# Large bodies, which nobody reads.


async def test_a_stream_under_a_large_body_hears_that_its_client_has_gone(house: House) -> None:
    """uvicorn stops reading while nobody takes the body."""
    body = b"x" * 100_000
    protocol, transport = house.connect()
    protocol.data_received(asking("/stream", f"Content-Length: {len(body)}", body=body))
    assert not transport.is_reading()
    await received(transport, b"id: v0")
    await house.answered()
    assert transport.is_reading()
