"""One client that means harm, slow or huge. Each test is named by the attack."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from scoreboard.cli import serve
from scoreboard.web import parse, protocol
from tests.support.server import RawStream, Server
from tests.support.wire import Bystander, Wire, assert_refused, resident

ARRIVAL = 0.6
LINGER = 0.4
BODY_WAIT = 0.2
KEEP_ALIVE = 3  # as long after ARRIVAL as a machine under load may be late
# The bounds of a server that a test can wait for, in the order that the real ones have.
SHORT = f"""
from scoreboard.cli import serve
from scoreboard.web import parse, protocol
protocol.FIRST_BYTE = protocol.ARRIVAL = {ARRIVAL}
protocol.LINGER = {LINGER}
parse.BODY_WAIT = {BODY_WAIT}
serve.KEEP_ALIVE = {KEEP_ALIVE}
"""
SLACK = 2.0  # seconds that a machine under load may be late
GET = b"GET /healthz HTTP/1.1\r\nHost: test\r\n"
POST = b"POST /api/v1/auth/logout HTTP/1.1\r\nHost: test\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with short bounds."""
    with Server(tmp_path_factory.mktemp("hardening"), prelude=SHORT) as server:
        yield server
        assert "Traceback" not in server.logged()


def test_the_real_bounds_stand_in_the_same_order() -> None:
    assert protocol.LINGER < parse.BODY_WAIT < protocol.ARRIVAL < serve.KEEP_ALIVE


# Slow.


def test_slow_headers(server: Server) -> None:
    """A byte now and then does not keep a connection."""
    with Wire(server, GET) as wire:
        assert ARRIVAL / 2 < wire.dribble(b"X") < ARRIVAL + SLACK
        assert_refused(wire, 408, "REQUEST_TIMEOUT")


def test_slow_headers_of_many_at_once(server: Server) -> None:
    before = server.metric('scoreboard_requests_total{method="other",route="other",status="408"}')
    with Bystander(server):
        wires = [Wire(server, b"GET /") for _ in range(200)]
        for wire in wires:
            assert_refused(wire, 408, "REQUEST_TIMEOUT")
            wire.close()
    after = server.metric('scoreboard_requests_total{method="other",route="other",status="408"}')
    assert after == before + 200


def test_slow_headers_behind_a_request_that_was_answered(server: Server) -> None:
    with Wire(server, GET + b"\r\n") as wire:
        assert wire.answer().status == 200
        wire.send(b"GET /")
        assert_refused(wire, 408, "REQUEST_TIMEOUT")


def test_a_slow_body(server: Server) -> None:
    """The handler says what is missing; then there is a moment to read it in."""
    with Wire(server, POST + b"Content-Length: 100\r\n\r\n{") as wire:
        wire.dribble(b" ")
        answer = wire.answer()
        assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
        assert wire.dribble(b" ") < LINGER + SLACK
        assert wire.rest() == b""


def test_a_slow_body_in_chunks(server: Server) -> None:
    with Wire(server, POST + b"Transfer-Encoding: chunked\r\n\r\n") as wire:
        wire.dribble(b"1\r\n \r\n")
        assert wire.answer().code == "VALIDATION_ERROR"
        assert wire.dribble(b"1\r\n \r\n") < LINGER + SLACK


def test_a_body_that_is_dribbled_after_the_answer(server: Server) -> None:
    """It was refused before any of it was there; the rest is not waited for."""
    with Wire(server, POST + b"Content-Length: 1000000000000\r\n\r\n") as wire:
        assert wire.answer().status == 413
        assert wire.dribble(b" ") < LINGER + SLACK


def test_a_body_that_is_dribbled_under_a_stream(server: Server) -> None:
    """A request that never becomes whole is none, whatever is answered to it."""
    head = b"GET /api/v1/leaderboard/stream HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n"
    with Wire(server, head) as wire:
        began = time.monotonic()
        while wire.send(b" ") and time.monotonic() - began < (ARRIVAL + SLACK):
            wire.socket.recv(1) if not wire.is_quiet(0.02) else None
        assert time.monotonic() - began < ARRIVAL + SLACK


def test_a_body_that_comes_after_the_answer_leaves_the_connection_whole(server: Server) -> None:
    """Somebody who is merely slow goes on with the next request."""
    with Wire(server, POST + b"Content-Length: 20000\r\n\r\n") as wire:
        assert wire.answer().status == 413
        wire.send(b" " * 20_000 + GET + b"\r\n")
        assert wire.answer().status == 200


def test_silent_connections(server: Server) -> None:
    with Bystander(server):
        wires = [Wire(server) for _ in range(100)]
        for wire in wires:
            assert wire.rest() == b""
            wire.close()


def test_a_connection_that_is_kept_with_empty_lines(server: Server) -> None:
    with Wire(server) as wire:
        assert wire.dribble(b"\r\n") < ARRIVAL + SLACK
    with Wire(server, GET + b"\r\n") as wire:
        assert wire.answer().status == 200
        assert wire.dribble(b"\r\n") < KEEP_ALIVE + SLACK


def test_half_open_requests(server: Server) -> None:
    """A client that has sent half and says that it will send no more is not waited for."""
    with Wire(server, GET) as wire:
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.rest() == b""


def test_an_idle_connection_is_kept_longer_than_a_request_may_take(server: Server) -> None:
    with Wire(server, GET + b"\r\n") as wire:
        assert wire.answer().status == 200
        assert wire.is_quiet(ARRIVAL * 1.3)
        wire.send(GET + b"\r\n")
        assert wire.answer().status == 200


def test_a_stream_outlives_every_clock(server: Server) -> None:
    """Also with a half request behind it, which waits for its turn and then has its time."""
    with RawStream(server) as quiet, RawStream(server) as followed:
        for stream in (quiet, followed):
            stream.read_frame()
        followed.socket.sendall(GET)
        with Wire(server) as clock:
            assert clock.rest() == b""  # ARRIVAL is over
            server.complete("patient", key=str(time.monotonic()))
        for stream in (quiet, followed):
            assert b"patient" in stream.read_frame()


# Huge.


def test_header_flood(server: Server) -> None:
    with Wire(server, GET + b"X: y\r\n" * 200_000) as wire:
        assert_refused(wire, 431, "HEADERS_TOO_LARGE")


def test_as_many_headers_as_may_be_and_one_more(server: Server) -> None:
    lines = [b"X-%d: y\r\n" % number for number in range(protocol.MAX_HEADERS)]
    with Wire(server, GET + b"".join(lines[1:]) + b"\r\n") as wire:
        assert wire.answer().status == 200
    with Wire(server, GET + b"".join(lines) + b"\r\n") as wire:
        assert_refused(wire, 431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""], ids=["whole", "without an end"])
def test_one_giant_header(server: Server, end: bytes) -> None:
    with Wire(server, GET + b"X-Giant: " + b"y" * 2_000_000 + end) as wire:
        assert_refused(wire, 431, "HEADERS_TOO_LARGE")


def test_a_giant_header_in_small_pieces(server: Server) -> None:
    with Wire(server, GET + b"X-Giant: ") as wire:
        while wire.is_quiet(0.001):
            wire.send(b"y" * 1000)
        assert_refused(wire, 431, "HEADERS_TOO_LARGE")


def test_headers_of_the_largest_size_and_a_byte_more(server: Server) -> None:
    host = len("Host") + len("test") + 4
    room = protocol.MAX_HEAD - host - len("X") - 4
    for size, status in ((room, 200), (room + 1, 431)):
        with Wire(server, GET + b"X: " + b"y" * size + b"\r\n\r\n") as wire:
            assert wire.answer().status == status


def test_a_giant_path(server: Server) -> None:
    for size, status in ((protocol.MAX_TARGET, 404), (protocol.MAX_TARGET + 1, 414)):
        target = b"/" + b"x" * (size - 1)
        with Wire(server, b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % target) as wire:
            assert wire.answer().status == status
    with Wire(server, b"GET /?" + b"x" * 2_000_000) as wire:
        assert_refused(wire, 414, "URI_TOO_LONG")


def test_a_giant_trailer(server: Server) -> None:
    """The parser would keep all of it."""
    head = (
        b"GET /api/v1/leaderboard/stream HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
    )
    with Wire(server, head + b"\r\n0\r\nX-Giant: ") as wire:
        began, before = time.monotonic(), resident(server)
        while wire.send(b"y" * 65_536):
            assert time.monotonic() - began < LINGER + SLACK
        assert resident(server) < before + 16 * 1024 * 1024


def test_a_giant_chunk_extension(server: Server) -> None:
    with Wire(server, POST + b"Transfer-Encoding: chunked\r\n\r\n1;x=") as wire:
        while wire.send(b"y" * 65_536) and wire.is_quiet(0.001):
            pass
        assert_refused(wire, 413, "PAYLOAD_TOO_LARGE")


def test_deep_json(server: Server) -> None:
    for body in (b"[" * 16_000, b'{"refreshToken":' * 900 + b"1" + b"}" * 900):
        with Wire(server, POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)) as wire:
            answer = wire.answer()
            assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
