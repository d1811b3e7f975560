"""What a connection has cost comes back when it ends, however it ends: at once, without a garbage
collection. Connections and requests that are alive are counted in the server itself.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.server import Server, eventually
from tests.support.wire import Wire, resident

# Python collects no garbage, so that only what nobody holds is freed; the counts come on a signal,
# and at the end.
COUNTING = """
import gc, signal, sys, weakref
from uvicorn import Server
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from scoreboard.cli import garbage
from scoreboard.web import protocol

gc.disable()
garbage.EVERY = 1e9
alive = {}

def count(kind):
    make, alive[kind] = kind.__init__, weakref.WeakSet()
    def counted(self, *args, **options):
        make(self, *args, **options)
        alive[kind].add(self)
    kind.__init__ = counted

def tell(*_):
    print("ALIVE", *(len(some) for some in alive.values()), file=sys.stderr, flush=True)

count(protocol.BoundedProtocol)
count(RequestResponseCycle)
signal.signal(signal.SIGUSR1, tell)

shutdown = Server.shutdown

async def shut_down(self, sockets=None):
    await shutdown(self, sockets)
    tell()

Server.shutdown = shut_down
"""
SHORT = """
from scoreboard.web import connections
protocol.ARRIVAL = protocol.FIRST_BYTE = 0.5
protocol.LINGER = 0.2
connections.BESIDE_STREAMS = 40
"""
MANY = 5  # connections that end in the same way
STREAM = b"GET /api/v1/leaderboard/stream HTTP/1.1\r\nHost: test\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"

GROUP = 500  # connections at once: a test may have 1024 open files
TOTAL = 20_000
MORE = 5 * 1024 * 1024  # bytes: what an allocator may take to settle


class Alive(NamedTuple):
    """How many the server has in memory."""

    connections: int
    requests: int


def counts(server: Server) -> list[Alive]:
    """What the server told so far."""
    found = re.findall(r"^ALIVE (\d+) (\d+)$", server.logged(), re.MULTILINE)
    return [Alive(int(connections), int(requests)) for connections, requests in found]


def alive(server: Server) -> Alive:
    """What is in memory now."""
    before = len(counts(server))
    os.kill(server.pid, signal.SIGUSR1)
    eventually(lambda: len(counts(server)) > before)
    return counts(server)[-1]


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: test", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def reset(wire: Wire) -> None:
    """As when the client's program dies with bytes unread."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def say_no_more(wire: Wire) -> None:
    wire.socket.shutdown(socket.SHUT_WR)
    wire.rest()
    wire.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that counts, and whose clocks for an idle connection run as long as they do."""
    folder = tmp_path_factory.mktemp("memory")
    settings = {"SCOREBOARD_MAX_STREAMS_PER_ADDRESS": "40"}
    with Server(folder, prelude=COUNTING + SHORT, **settings) as server:
        server.complete("ada", "join-the-game")
        yield server
        assert "Traceback" not in server.logged()


# How a connection can end. Each gets a new connection, and leaves nothing open.


def asked_and_closed(wire: Wire) -> None:
    wire.send(GET)
    assert wire.answer().status == 200


def asked_and_reset(wire: Wire) -> None:
    wire.send(GET)
    assert wire.answer().status == 200
    reset(wire)


def never_asked(wire: Wire) -> None:
    assert wire.rest() == b""


def half_a_head(wire: Wire) -> None:
    wire.send(GET[:10])
    say_no_more(wire)


def half_a_head_in_time(wire: Wire) -> None:
    wire.send(GET[:10])
    assert wire.answer().status == 408
    wire.rest()


def half_a_body(wire: Wire) -> None:
    wire.send(b"POST /api/v1/auth/logout HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n{")
    time.sleep(0.01)


def no_http(wire: Wire) -> None:
    wire.send(b"NONSENSE\r\n\r\n")
    assert wire.answer().status == 400
    wire.rest()


def a_giant_path(wire: Wire) -> None:
    wire.send(request("GET /" + "x" * 9000))
    assert wire.answer().status == 414
    wire.rest()


def giant_headers(wire: Wire) -> None:
    wire.send(request("GET /", "X: " + "x" * 18_000))
    assert wire.answer().status == 431
    wire.rest()


def in_an_old_version(wire: Wire) -> None:
    wire.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert wire.answer().status == 200
    assert wire.rest() == b""


def half_closed(wire: Wire) -> None:
    wire.send(GET)
    say_no_more(wire)


def with_answers_that_nobody_reads(wire: Wire) -> None:
    wire.send(request("GET /openapi.json") * 16)
    reset(wire)


def with_more_requests_than_may_wait(wire: Wire) -> None:
    wire.send(request("GET /openapi.json") * 40)
    wire.rest()


def a_stream_is_closed(wire: Wire) -> None:
    wire.send(STREAM)
    wire.read_until(b"}\n\n")


def a_stream_is_reset(wire: Wire) -> None:
    wire.send(STREAM)
    wire.read_until(b"}\n\n")
    reset(wire)


def a_stream_is_half_closed(wire: Wire) -> None:
    wire.send(STREAM)
    wire.read_until(b"}\n\n")
    say_no_more(wire)


ENDS = (
    asked_and_closed,
    asked_and_reset,
    never_asked,
    half_a_head,
    half_a_head_in_time,
    half_a_body,
    no_http,
    a_giant_path,
    giant_headers,
    in_an_old_version,
    half_closed,
    with_answers_that_nobody_reads,
    with_more_requests_than_may_wait,
    a_stream_is_closed,
    a_stream_is_reset,
    a_stream_is_half_closed,
)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_a_connection_is_freed_when_it_ends(server: Server, end: Callable[[Wire], None]) -> None:
    with ExitStack() as stack:
        for _ in range(MANY):
            end(stack.enter_context(Wire(server)))
    eventually(lambda: alive(server) == (0, 0))


def test_a_connection_that_is_one_too_many_is_freed(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(Wire(server))
        eventually(lambda: alive(server).connections <= 80)
    eventually(lambda: alive(server) == (0, 0))


def test_a_stream_with_a_task_of_its_own_frees_its_connection(server: Server) -> None:
    """What the library leaves of such a stream waits for the collector; the connection does not."""
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(Wire(server, STREAM + GET)).read_until(b"}\n\n")
    eventually(lambda: alive(server).connections == 0)


def test_what_is_refused_leaves_nothing_behind(server: Server) -> None:
    """An error knows where it was raised, and so holds everything that was in use there: whoever
    keeps it there makes a cycle.
    """
    before = alive(server)
    bearer = f"Authorization: {server.bearer('ada')['Authorization']}"
    complete = "POST /api/v1/actions/{}/complete"
    refused = {
        400: request("GET /api/v1/leaderboard?limit=x"),
        401: request("GET /api/v1/me", "Authorization: Bearer a.b.c"),
        403: request("GET /api/v1/admin/audit", bearer),
        404: request(complete.format("nothing"), bearer),
        405: request("PATCH /healthz"),
        409: request(complete.format("join-the-game"), bearer),
        413: request("POST /api/v1/auth/logout", body=b" " * 17_000),
        422: request(
            complete.format("solve-a-puzzle"), bearer, "Idempotency-Key: k", body=b'{"data":{}}'
        ),
        429: request(complete.format("join-the-game"), bearer),
    }
    server.complete("ada", key="k")
    for status, one in refused.items():
        with Wire(server, one * (8 if status == 429 else 1)) as wire:
            statuses = {wire.answer().status for _ in range(8 if status == 429 else 1)}
            assert status in statuses
    name = b'{"username":"grace","password":"correct horse"}'
    for status in (201, 409):
        with Wire(server, request("POST /api/v1/auth/register", body=name)) as wire:
            assert wire.answer().status == status
    eventually(lambda: alive(server) == before)


def test_the_server_closes_an_idle_connection_and_frees_it(tmp_path: Path) -> None:
    prelude = COUNTING + "from scoreboard.cli import serve; serve.KEEP_ALIVE = 0.2"
    with Server(tmp_path, prelude=prelude) as server:
        with Wire(server, GET) as wire:
            assert wire.answer().status == 200
            assert wire.rest() == b""
        eventually(lambda: alive(server) == (0, 0))


def test_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    with Server(tmp_path, prelude=COUNTING) as server, ExitStack() as stack:
        for data in (b"", GET, GET[:10], STREAM, STREAM + GET):
            wire = stack.enter_context(Wire(server, data))
            if data not in (b"", GET[:10]):
                wire.first_byte()
        assert alive(server).connections == 5
        before = len(counts(server))
        server.stop()
        assert [one.connections for one in counts(server)[before:]] == [0]


@pytest.mark.timeout(180)  # as many as the promise is about
def test_memory_stays_level_however_many_come_and_go(tmp_path: Path) -> None:
    """Half of them end by a reset."""
    board = request("GET /api/v1/leaderboard")
    with Server(tmp_path, SCOREBOARD_MAX_STREAMS_PER_ADDRESS=str(GROUP)) as server:
        settled = 0
        for group in range(TOTAL // GROUP):
            wires = [Wire(server, board) for _ in range(GROUP)]
            for wire in wires:
                assert wire.first_byte()
            for wire in wires:
                (reset if group % 2 else Wire.close)(wire)
            if group == 1:
                settled = resident(server)
        assert resident(server) < settled + MORE


def test_garbage_is_collected_while_the_process_is_idle(tmp_path: Path) -> None:
    """The library that serves a stream with a task of its own leaves some for each."""
    prelude = COUNTING + "garbage.EVERY = 0.3; garbage.IDLE = 0.9"
    with Server(tmp_path, prelude=prelude, SCOREBOARD_DIRECT_STREAMS="off") as server:
        with ExitStack() as stack:
            for _ in range(MANY):
                stack.enter_context(Wire(server, STREAM)).read_until(b"}\n\n")
        eventually(lambda: alive(server) == (0, 0))
        assert server.metric("scoreboard_full_collection_seconds_count") > 0
