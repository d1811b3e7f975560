"""Many connections, requests and streams of one address at once: others are served in time all the
while, and the memory that it takes is bounded. Each test is named by the attack.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scoreboard.web import protocol
from tests.support.server import Server, eventually
from tests.support.wire import Bystander, Wire, resident

STREAMS = 20
CONNECTIONS = 60
SMALL = f"""
from scoreboard.web import connections, protocol
connections.BESIDE_STREAMS = {CONNECTIONS - STREAMS}
protocol.LINGER = 0.3
"""
GET = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
STREAM = b"GET /api/v1/leaderboard/stream HTTP/1.1\r\nHost: test\r\n\r\n"
MORE = 48 * 1024 * 1024  # bytes that a flood may cost: some for warming up, none for each attempt


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with little room for one address."""
    folder = tmp_path_factory.mktemp("floods")
    settings = {"SCOREBOARD_MAX_STREAMS_PER_ADDRESS": str(STREAMS)}
    with Server(folder, prelude=SMALL, **settings) as server:
        yield server
        assert "Traceback" not in server.logged()


@pytest.fixture(autouse=True)
def memory_is_bounded(server: Server) -> Iterator[None]:
    """No flood of this module leaves the server much larger."""
    before = resident(server)
    yield
    assert resident(server) < before + MORE


def is_served(wire: Wire) -> bool:
    """Whether a connection was let in."""
    return wire.send(GET) and bool(wire.first_byte())


def has_room(server: Server) -> bool:
    """Whether one more connection is let in."""
    with Wire(server) as wire:
        return is_served(wire)


def test_a_flood_of_connects(server: Server) -> None:
    """What is over the bound of the address is closed at once, and who was there before is served.
    There is room again as soon as they have gone, however often.
    """
    with Bystander(server):
        for _ in range(3):
            with ExitStack() as stack:
                wires = [stack.enter_context(Wire(server)) for _ in range(5 * CONNECTIONS)]
                assert sum(map(is_served, wires)) == CONNECTIONS - 1  # the bystander has one
            eventually(lambda: has_room(server))
    assert server.logged().count("connections were closed at once") == 1


def test_a_flood_of_streams(server: Server) -> None:
    """What is over the bound of streams is told to come back later, as an EventSource understands
    it, and requests are still answered.
    """
    with Bystander(server), ExitStack() as stack:
        wires = [stack.enter_context(Wire(server, STREAM)) for _ in range(2 * STREAMS)]
        busy = [wire.read_until(b"event: busy", b"event: leaderboard_update") for wire in wires]
        assert sum(b"event: busy" in one for one in busy) == STREAMS
        assert has_room(server)


def test_a_flood_of_requests_in_one_piece(server: Server) -> None:
    """As many as may wait are answered; then the connection ends."""
    with Bystander(server):
        for _ in range(10):
            with Wire(server) as wire:
                wire.send(GET * 20_000)
                answered = wire.rest().count(b'{"status":"ok"}')
                assert answered <= protocol.MAX_PIPELINED + 1


def test_a_flood_of_requests_without_waiting_for_answers(server: Server) -> None:
    """As many as are sent are answered, as long as they are not sent all at once."""
    with Bystander(server), Wire(server) as wire:
        for _ in range(200):
            wire.send(GET * protocol.MAX_PIPELINED)
            for _ in range(protocol.MAX_PIPELINED):
                assert wire.answer().status == 200


def test_a_flood_of_bytes(server: Server) -> None:
    """A giant body, of a given length and in chunks, to a call that reads one and one that does
    not.
    """
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with Bystander(server):
        for line in (b"POST /api/v1/auth/logout", b"GET /healthz"):
            for framing in (b"Content-Length: 1000000000000", b"Transfer-Encoding: chunked"):
                with Wire(server, line + b" HTTP/1.1\r\nHost: test\r\n" + framing) as wire:
                    wire.send(b"\r\n\r\n")
                    while wire.send(chunk):
                        pass


def test_a_flood_of_readers_that_take_nothing(server: Server) -> None:
    """Answers wait in the kernel and not in the process, whatever is asked for."""
    page = b"GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n" * protocol.MAX_PIPELINED
    with Bystander(server), ExitStack() as stack:
        for _ in range(CONNECTIONS // 2):
            stack.enter_context(Wire(server, page))


def test_a_flood_of_tokens_that_are_none(server: Server) -> None:
    head = b"POST /api/v1/actions/join-the-game/complete HTTP/1.1\r\nHost: test\r\n"
    with Bystander(server), Wire(server) as wire:
        for _ in range(500):
            wire.send(head + b"Authorization: Bearer " + b"x" * 8000 + b"\r\n\r\n")
            assert wire.answer().status == 401
