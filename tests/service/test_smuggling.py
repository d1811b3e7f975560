"""Request smuggling: whatever two servers in a row could read in two ways is refused, and all else
is read in exactly one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import RawStream, Server
from tests.support.wire import Wire, assert_refused


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own: what is tested here is before any engine."""
    with Server(tmp_path_factory.mktemp("smuggling")) as server:
        yield server
        assert "Traceback" not in server.logged()


def post(*headers: str, body: bytes = b"", version: str = "1.1") -> bytes:
    lines = [f"POST /api/v1/auth/logout HTTP/{version}", "Host: test", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def get(target: str, *headers: str, version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"GET {target} {version}", "Host: test", *headers, "", ""]).encode(
        "latin-1"
    )


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"

AMBIGUOUS = {
    # Two lengths.
    "a length and chunks": post("Content-Length: 5", CHUNKED, body=LAST + SMUGGLED),
    "chunks and a length": post(CHUNKED, "Content-Length: 5", body=LAST + SMUGGLED),
    "two lengths": post("Content-Length: 0", "Content-Length: 38", body=SMUGGLED),
    "the same length twice": post("Content-Length: 2", "Content-Length: 2", body=b"{}"),
    "a list of lengths": post("Content-Length: 2, 2", body=b"{}"),
    # A length that is no number.
    "a negative length": post("Content-Length: -2", body=b"{}"),
    "a length with a plus": post("Content-Length: +2", body=b"{}"),
    "a length in hex": post("Content-Length: 0x2", body=b"{}"),
    "a length with a space": post("Content-Length: 1 0", body=b"{}"),
    "a length with an underscore": post("Content-Length: 1_0", body=b"{}"),
    "no length": post("Content-Length:", body=b"{}"),
    "a length beyond 64 bits": post("Content-Length: 18446744073709551618", body=b"{}"),
    # Another coding than chunked, or another spelling of it.
    "identity": post("Transfer-Encoding: identity", body=LAST),
    "chunked, identity": post("Transfer-Encoding: chunked, identity", body=LAST),
    "identity, chunked": post("Transfer-Encoding: identity, chunked", body=LAST),
    "gzip, chunked": post("Transfer-Encoding: gzip, chunked", body=LAST),
    "chunked, chunked": post("Transfer-Encoding: chunked, chunked", body=LAST),
    "xchunked": post("Transfer-Encoding: xchunked", body=LAST),
    "chunked with a parameter": post("Transfer-Encoding: chunked;q=1", body=LAST),
    "chunked in quotes": post('Transfer-Encoding: "chunked"', body=LAST),
    "chunked behind a vertical tab": post("Transfer-Encoding: \x0bchunked", body=LAST),
    "chunked twice": post(CHUNKED, CHUNKED, body=LAST),
    "chunked, then identity": post(CHUNKED, "Transfer-Encoding: identity", body=LAST),
    "identity, then chunked": post("Transfer-Encoding: identity", CHUNKED, body=LAST),
    "no coding": post("Transfer-Encoding:", "Content-Length: 2", body=b"{}"),
    "chunks in HTTP/1.0": post(CHUNKED, body=LAST, version="1.0"),
    # Lines that others may read as two, or as one.
    "a space before the colon": post("Content-Length : 2", body=b"{}"),
    "a tab before the colon": post("Content-Length\t: 2", body=b"{}"),
    "a header without a name": get("/healthz", ": nothing"),
    "a line without a colon": get("/healthz", "nothing"),
    "a first header with a space": b"GET /healthz HTTP/1.1\r\n Host: test\r\n\r\n",
    "a folded header": get("/healthz", "X-Long: one", " two"),
    "a folded length": post("Content-Length:", " 2", body=b"{}"),
    "a folded coding": post("Transfer-Encoding:", " chunked", body=LAST),
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: test\n\n",
    "a bare line feed in the headers": get("/healthz", "X-One: 1\nX-Two: 2"),
    "a bare line feed at the end": b"GET /healthz HTTP/1.1\r\nHost: test\r\n\n",
    "a bare carriage return": get("/healthz", "X-One: 1\rX-Two: 2"),
    "NUL in a value": get("/healthz", "X-One: 1\x002"),
    "NUL in a name": get("/healthz", "X-One\x00: 1"),
    "a control character": get("/healthz", "X-One: \x01"),
    # Chunks.
    "a chunk beyond 64 bits": post(CHUNKED, body=b"10000000000000002\r\n{}\r\n" + LAST),
    "a negative chunk": post(CHUNKED, body=b"-2\r\n{}\r\n" + LAST),
    "a chunk size with 0x": post(CHUNKED, body=b"0x2\r\n{}\r\n" + LAST),
    "a chunk size with a space": post(CHUNKED, body=b"2 \r\n{}\r\n" + LAST),
    "a chunk size behind a space": post(CHUNKED, body=b" 2\r\n{}\r\n" + LAST),
    "a chunk without a size": post(CHUNKED, body=b"\r\n{}\r\n" + LAST),
    "a chunk that is longer than its size": post(CHUNKED, body=b"1\r\n{}\r\n" + LAST),
    "a chunk size that ends with a line feed": post(CHUNKED, body=b"2\n{}\n0\n\n"),
    "an extension that ends with a line feed": post(CHUNKED, body=b"2;a\n{}\r\n" + LAST),
    "an extension over two lines": post(CHUNKED, body=b'2;a="\r\n{}"\r\n' + LAST),
    "an extension without a name": post(CHUNKED, body=b"2;\r\n{}\r\n" + LAST),
    "a length in a trailer": post(CHUNKED, body=b"0\r\nContent-Length: 2\r\n\r\n"),
    # The first line.
    "a space before the method": b" " + get("/healthz"),
    "a tab for a space": b"GET\t/healthz HTTP/1.1\r\nHost: test\r\n\r\n",
    "a space behind the version": get("/healthz", version="HTTP/1.1 "),
    "a method in small letters": b"get /healthz HTTP/1.1\r\nHost: test\r\n\r\n",
    "a method that is none": b"FROB /healthz HTTP/1.1\r\nHost: test\r\n\r\n",
    "a space in the path": get("/healthz /metrics"),
    "a control character in the path": get("/healthz\x01"),
    "a byte that is not ASCII in the path": get("/\xff"),
    "a byte that is not ASCII in the query": get("/healthz?\xff"),
    "a fragment": get("/healthz#?board=daily"),
    "a path without a slash": get("healthz"),
    "an authority": get("example.com:80"),
    "an address without a path": get("http://example.com"),
    "a tunnel": b"CONNECT example.com:80 HTTP/1.1\r\nHost: test\r\n\r\n",
    "a tunnel to a path": b"CONNECT /healthz HTTP/1.1\r\nHost: test\r\n\r\n",
    # Other protocols.
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/0.9 by name": get("/healthz", version="HTTP/0.9"),
    "HTTP/1.2": get("/healthz", version="HTTP/1.2"),
    "HTTP/2.0": get("/healthz", version="HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another protocol's name": get("/healthz", version="ICE/1.0"),
    "TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    "an upgrade with a body": post(
        "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 2", body=b"{}" + SMUGGLED
    ),
    "an upgrade with chunks": post(
        "Connection: Upgrade", "Upgrade: h2c", CHUNKED, body=LAST + SMUGGLED
    ),
    # Hosts.
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": get("/healthz", "Host: another"),
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_is_ambiguous_is_refused_and_nothing_behind_it_is_read(
    server: Server, data: bytes
) -> None:
    with Wire(server, data + SMUGGLED) as wire:
        assert_refused(wire, 400, "VALIDATION_ERROR")


ONE_WAY = {
    "chunks": (post(CHUNKED, body=b"2\r\n{}\r\n" + LAST), 400),
    "chunks in capitals": (post("Transfer-Encoding: CHUNKED", body=LAST), 400),
    "a chunk size with zeros": (
        post(CHUNKED, body=b"0000000000000000000002\r\n{}\r\n" + LAST),
        400,
    ),
    "a chunk extension": (post(CHUNKED, body=b"2;a=b\r\n{}\r\n" + LAST), 400),
    "a length with zeros": (post("Content-Length: 0002", body=b"{}"), 400),
    "a coding by another name": (
        post("Transfer_Encoding: chunked", "Content-Length: 2", body=b"{}"),
        400,
    ),
    "a GET with a body": (get("/healthz", "Content-Length: 2") + b"{}", 200),
    "empty lines before it": (b"\r\n\r\n" + get("/healthz"), 200),
    "a full address": (get("http://elsewhere.example/healthz"), 200),
    "a full address with a user": (get("http://a:b@elsewhere.example/healthz"), 200),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n", 404),
    "a GET of an asterisk": (get("*"), 404),
    "dots": (get("/api/../healthz"), 404),
    "dots, encoded": (get("/api/%2e%2e/healthz"), 404),
    "a slash, encoded": (get("/..%2fhealthz"), 404),
    "two slashes": (get("//healthz"), 404),
    "two slashes and a host": (get("//elsewhere.example/healthz"), 404),
    "NUL, encoded": (get("/healthz%00"), 404),
    "half an escape": (get("/healthz%z"), 404),
    "backslashes": (get("/api\\..\\healthz"), 404),
    "an upgrade that is not meant": (get("/healthz", "Upgrade: websocket"), 200),
    "bytes that are not ASCII in a value": (get("/healthz", "X-One: \xff"), 200),
}


@pytest.mark.parametrize(("data", "status"), ONE_WAY.values(), ids=ONE_WAY.keys())
def test_what_is_clear_is_read_to_its_end_and_not_beyond(
    server: Server, data: bytes, status: int
) -> None:
    """The next request on the connection is the next one that was sent."""
    with Wire(server, data + get("/metrics/next")) as wire:
        assert wire.answer().status == status
        last = wire.answer()
        assert (last.status, b"/metrics/next" in last.body) == (404, True)


ENDS = {
    "HTTP/1.0": get("/healthz", version="HTTP/1.0"),
    "HTTP/1.0 that would stay": get("/healthz", "Connection: keep-alive", version="HTTP/1.0"),
    "HTTP/1.0 without a host": b"GET /healthz HTTP/1.0\r\n\r\n",
    "RTSP, read as HTTP/1.0": get("/healthz", version="RTSP/1.0"),
    "an upgrade to HTTP/2": get("/healthz", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    "an upgrade to WebSocket": get(
        "/healthz",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "the last request": get("/healthz", "Connection: close"),
}


@pytest.mark.parametrize("data", ENDS.values(), ids=ENDS.keys())
def test_what_cannot_be_followed_by_another_is_answered_and_ends(
    server: Server, data: bytes
) -> None:
    with Wire(server, data + SMUGGLED) as wire:
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.rest() == b""


def test_trailers_are_not_headers(server: Server) -> None:
    """A token behind the body lets nobody in, and a second one harms nobody."""
    bearer = server.bearer("trailer")["Authorization"]
    for headers, status in ((), 401), ((f"Authorization: {bearer}",), 200):
        lines = ["GET /api/v1/me HTTP/1.1", "Host: test", CHUNKED, *headers, "", "0"]
        with Wire(
            server, "\r\n".join([*lines, f"Authorization: {bearer}", "", ""]).encode()
        ) as wire:
            assert wire.answer().status == status


def test_what_came_whole_before_garbage_is_answered(server: Server) -> None:
    with Wire(server, get("/healthz") + get("/openapi.json") + b"garbage" + SMUGGLED) as wire:
        assert wire.answer().status == 200
        assert wire.answer().headers["connection"] == "close"
        assert wire.rest() == b""


def test_nothing_is_written_into_a_stream(server: Server) -> None:
    """An answer to garbage behind the request would be taken for a part of the stream."""
    with RawStream(server) as stream:
        stream.read_frame()
        stream.socket.sendall(b"garbage\r\n\r\n")
        server.complete("behind-garbage", "join-the-game")
        assert b"HTTP/" not in stream.read_frame()


def test_a_body_is_asked_for_only_when_it_is_wanted(server: Server) -> None:
    expect = ("Expect: 100-continue", "Content-Length: 1000000000000")
    with Wire(server, post(*expect)) as wire:
        assert wire.answer().status == 413
    with Wire(server, post("Expect: 100-continue", "Content-Length: 2")) as wire:
        assert wire.answer().status == 100
        wire.send(b"{}")
        assert wire.answer().status == 400
