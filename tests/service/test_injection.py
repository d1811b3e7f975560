"""What a client sends comes back, or is written down, as text and as nothing else. Each test is
named by the attack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.server import RawStream, Server, eventually
from tests.support.wire import Wire, assert_refused

GET = b"GET /healthz HTTP/1.1\r\nHost: test\r\n"
POST = b"POST /api/v1/auth/logout HTTP/1.1\r\nHost: test\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that writes a line for each request."""
    words = ("serve", "--demo", "--access-log")
    with Server(tmp_path_factory.mktemp("injection"), words=words) as server:
        yield server
        assert "Traceback" not in server.logged()


def test_a_request_id_that_forges_a_line_of_the_log(server: Server) -> None:
    forged = (
        '", "level": "critical", "x": "',
        "a%0d%0ab",
        "\u2028forged",
        "\x85forged",
        "a\tforged",
        "${jndi:ldap://forged}",
        "\x1b[2J",
    )
    for text in forged:
        value = text.encode("utf-8")
        line = b"X-Request-Id: " + value + b"\r\n\r\n"
        with Wire(server, b"GET /%0d%0aforged HTTP/1.1\r\nHost: test\r\n" + line) as wire:
            answer = wire.answer()
            assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    for written in map(json.loads, server.logged().splitlines()):
        assert written["level"] != "critical"
        assert "forged" not in written.get("requestId", "")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /%0d%0aSet-Cookie:%20a=b HTTP/1.1",
        b"GET /api/v1/leaderboard?board=%0d%0aSet-Cookie:%20a=b HTTP/1.1",
        b"GET /api/v1/leaderboard?period=%0d%0aSet-Cookie:%20a=b HTTP/1.1",
        b"GET /api/v1/leaderboard?limit=%0d%0aSet-Cookie:%20a=b HTTP/1.1",
        b"GET /api/v1/players/%0d%0aSet-Cookie:%20a=b HTTP/1.1",
        b"GET /healthz HTTP/1.1\r\nX-Request-Id: %0d%0aSet-Cookie:a=b",
        b"GET /healthz HTTP/1.1\r\nOrigin: https://a.example%0d%0aSet-Cookie:a=b",
        b'GET /api/v1/leaderboard HTTP/1.1\r\nIf-None-Match: "%0d%0aSet-Cookie:a=b"',
    ],
)
def test_response_splitting(server: Server, request_line: bytes) -> None:
    with Wire(server, request_line + b"\r\nHost: test\r\n\r\n" + GET + b"\r\n") as wire:
        assert "set-cookie" not in wire.answer().headers
        assert json.loads(wire.answer().body) == {"status": "ok"}


def test_response_splitting_through_the_name_of_a_field(server: Server) -> None:
    body = b'{"\\r\\nSet-Cookie: a=b": 1}'
    with Wire(server, POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)) as wire:
        answer = wire.answer()
        assert answer.code == "VALIDATION_ERROR"
        assert "set-cookie" not in answer.headers


def test_method_override(server: Server) -> None:
    for name in (b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override"):
        with Wire(server, POST.replace(b"POST", b"GET") + name + b": POST\r\n\r\n") as wire:
            assert wire.answer().code == "METHOD_NOT_ALLOWED"
    with Wire(server, b"POST /healthz?_method=GET HTTP/1.1\r\nHost: test\r\n\r\n") as wire:
        assert wire.answer().code == "METHOD_NOT_ALLOWED"


def test_every_answer_has_the_headers_that_protect_it(server: Server) -> None:
    for target, status in ((b"/healthz", 200), (b"/none", 404), (b"/%c3", 404), (b"/", 200)):
        with Wire(server, b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % target) as wire:
            answer = wire.answer()
            assert answer.status == status
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
            assert "server" not in answer.headers
    with RawStream(server) as stream:
        head = stream.read_until(b"\r\n\r\n").lower()
        assert b"\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'" in head


def test_a_refusal_is_one_line_of_the_log_without_a_byte_of_the_client(server: Server) -> None:
    with Wire(server, GET + b"X-Secret : hunter2\r\n\r\n") as wire:
        mine = assert_refused(wire, 400, "VALIDATION_ERROR").headers["x-request-id"]
    eventually(lambda: mine in server.logged())
    (line,) = [line for line in server.logged().splitlines() if mine in line]
    assert json.loads(line)["level"] == "info"
    assert "400 VALIDATION_ERROR" in line
    assert "hunter2" not in server.logged()
