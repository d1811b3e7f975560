"""Streams on connections that were handed over, and those that could not be: both are whole, end
properly, hold nothing for longer than their clients do, and leave nothing in the log.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import running
from tests.support.server import RawStream, Server, environment, eventually
from tests.support.wire import Wire, chunks, resident

STREAMS = 4  # of an address
CONNECTIONS = STREAMS + 3  # of an address
AT_ONCE = 2.0  # seconds in which nothing is sent that could find out that somebody has gone

# Tells in the log what becomes of each connection that is offered.
TELLING = """
import logging
from scoreboard.web.lines import LineProtocol

take = LineProtocol.take

def telling(self, owner):
    is_taken = take(self, owner)
    logging.getLogger("test").warning("offered, and taken: %s", is_taken)
    return is_taken

LineProtocol.take = telling
"""
SMALL = f"""
from scoreboard.web import connections
connections.BESIDE_STREAMS = {CONNECTIONS - STREAMS}
"""

STREAM = "/api/v1/leaderboard/stream"
GET = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
LAST_CHUNK = b"\r\n0\r\n\r\n"


def asking(*headers: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    """A request for a stream."""
    lines = [f"{method} {STREAM} HTTP/{version}", "Host: test", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def taken(server: Server) -> int:
    """How many connections were handed over so far."""
    return server.logged().count("offered, and taken: True")


def complaints(server: Server) -> list[str]:
    """What the server logged as an error, or with one."""
    lines = [json.loads(line) for line in server.logged().splitlines()]
    return [
        f"{line['message']} {line.get('error', '')}"
        for line in lines
        if line["level"] in ("error", "critical") or "error" in line
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with little room for one address, whose board is quiet unless a test plays."""
    folder = tmp_path_factory.mktemp("lines")
    settings = {"SCOREBOARD_MAX_STREAMS_PER_ADDRESS": str(STREAMS)}
    with Server(folder, prelude=TELLING + SMALL, **settings) as server:
        yield server
        server.stop()
        assert complaints(server) == []


# Which way, and how it ends.

# Requests for a stream, and whether its connection is handed over. What is behind the stream would
# otherwise be taken along, or the rest of a body be lost.
WAYS = {
    "as a browser asks": (asking(), True),
    "with a body that came whole": (asking("Content-Length: 2", body=b"{}"), True),
    "as the last request": (asking("Connection: close"), True),
    "in HTTP/1.0": (asking(version="1.0"), True),
    "with a body that has not come whole": (asking("Content-Length: 9", body=b"{"), False),
    "with chunks that have not come whole": (
        asking("Transfer-Encoding: chunked", body=b"1\r\n{\r\n"),
        False,
    ),
    "with another request behind it": (asking() + GET, False),
    "with a part of one behind it": (asking() + GET[:10], False),
    "with an upgrade, which is declined": (asking("Connection: upgrade", "Upgrade: h2c"), False),
}


def test_whichever_way_a_stream_goes_it_is_whole_and_ends_properly(tmp_path: Path) -> None:
    with Server(tmp_path, prelude=TELLING) as server, contextlib.ExitStack() as stack:
        wires = {}
        for name, (request, is_taken) in WAYS.items():
            before = taken(server)
            wire = wires[name] = stack.enter_context(Wire(server, request))
            wire.read_until(b"}\n\n")
            server.complete(name, "join-the-game")
            wire.read_until(name.encode())
            assert taken(server) - before == is_taken, name
        server.complete("newest", key="k")
        for wire in wires.values():
            wire.read_until(b'"newest"')
        server.terminate()
        for name, wire in wires.items():
            everything = wire.rest()
            body, _, behind = everything.partition(LAST_CHUNK)
            assert body.endswith(b"event: bye\ndata: {}\n\n"), name
            assert everything.count(b"event: bye") == 1, name
            is_followed = WAYS[name][0].endswith(GET)
            assert behind.endswith(b'{"status":"ok"}') if is_followed else behind == b"", name
        server.wait()
        assert complaints(server) == []


def test_the_rest_of_a_body_may_come_while_the_stream_goes_on(server: Server) -> None:
    with Wire(server, asking("Content-Length: 9", body=b"{")) as wire:
        wire.read_until(b"}\n\n\r\n")
        wire.send(b"       }")
        server.complete("the-rest", "join-the-game")
        assert wire.read_until(b'"the-rest"').count(b"HTTP/1.1") == 1


def test_a_question_for_the_head_is_answered_and_the_connection_goes_on(server: Server) -> None:
    """And no seat is taken for it."""
    with Wire(server) as wire:
        for _ in range(2 * STREAMS):
            wire.send(asking(method="HEAD"))
            answer = wire.answer()
            assert answer.status == 200
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            wire.send(GET)
            assert wire.answer().body == b'{"status":"ok"}'
    eventually(lambda: server.metric("scoreboard_streams_open") == 0)


# Clients that go away, or do not listen.


def close(wire: Wire) -> None:
    wire.close()


def reset(wire: Wire) -> None:
    """As when the program dies with bytes unread."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def say_no_more(wire: Wire) -> None:
    """End one direction only: nobody who watches does that, so the server takes it for the end."""
    wire.socket.shutdown(socket.SHUT_WR)
    wire.rest()
    wire.close()


def is_busy(server: Server) -> bool:
    """Whether there is no seat left."""
    with RawStream(server) as stream:
        return b"event: busy" in stream.read_until(b"}\n\n")


def is_served(wire: Wire) -> bool:
    """Whether a connection was let in."""
    return wire.send(GET) and bool(wire.first_byte())


def has_room_for_all(server: Server) -> bool:
    """Whether as many connections are let in as there may be."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(CONNECTIONS)]
        return all(map(is_served, wires))


@pytest.mark.parametrize("hang_up", [close, reset, say_no_more])
def test_who_hangs_up_frees_seat_and_connection_at_once(
    server: Server, hang_up: Callable[[Wire], None]
) -> None:
    """Nothing is sent meanwhile: neither a frame nor a ping has to find out."""
    eventually(lambda: server.metric("scoreboard_streams_open") == 0)
    before = taken(server)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server, asking())) for _ in range(STREAMS)]
        for wire in wires:
            wire.read_until(b"}\n\n\r\n")
        eventually(lambda: taken(server) == before + STREAMS)
        assert server.metric("scoreboard_streams_open") == STREAMS
        assert is_busy(server)
        assert not has_room_for_all(server)
        for wire in wires:
            hang_up(wire)
    eventually(lambda: has_room_for_all(server), AT_ONCE)
    eventually(lambda: server.metric("scoreboard_streams_open") == 0, AT_ONCE)
    eventually(lambda: not is_busy(server), AT_ONCE)


def test_who_hangs_up_with_a_request_behind_the_stream_frees_its_seat_at_once(
    server: Server,
) -> None:
    """uvicorn would tell the request behind it alone."""
    for _ in range(2 * STREAMS):
        with Wire(server, asking() + GET) as wire:
            wire.read_until(b"}\n\n\r\n")
        eventually(lambda: server.metric("scoreboard_streams_open") == 0, AT_ONCE)


def test_what_is_sent_into_a_stream_is_dropped(server: Server) -> None:
    """It costs no memory, gets no answer, and the stream goes on."""
    with Wire(server, asking()) as wire:
        wire.read_until(b"}\n\n\r\n")
        before, piece = resident(server), GET * 20_000
        for _ in range(64 * 1024 * 1024 // len(piece)):
            assert wire.send(piece)
        server.complete("unheard", "join-the-game")
        assert wire.read_until(b'"unheard"').count(b"HTTP/1.1") == 1
        assert resident(server) < before + 16 * 1024 * 1024


def test_a_slow_reader_gets_whole_events_in_their_order(tmp_path: Path) -> None:
    """Whatever the kernel took of one, the rest comes next, and what was skipped does not come."""
    settings = {"SCOREBOARD_BROADCAST_INTERVAL_MS": "10", "SCOREBOARD_RATE_LIMIT": "100000/minute"}
    turns = 90
    with (
        Server(tmp_path, prelude=TELLING, **settings) as server,
        RawStream(server, window=4096) as slow,
        RawStream(server) as quick,
        server.client(headers=server.bearer("x" * 60)) as client,
    ):
        for number in range(9):
            server.complete(f"{'x' * 60}{number}", "join-the-game")
        for turn in range(1, turns + 1):
            client.post("/actions/solve-a-puzzle/complete", headers={"Idempotency-Key": str(turn)})
            quick.read_until(b'"score":%d}' % (5 * turn))
            if turn % 30 == 0:  # it reads on for a moment, and stops anywhere
                slow.received += slow.socket.recv(50_021)
        everything = slow.read_until(b'"score":%d}' % (5 * turns))
        everything += slow.read_until(b"\n\n\r\n")
        assert taken(server) == 2
    _, _, body = everything.partition(b"\r\n\r\n")
    shown = [snapshot for chunk in chunks(body) if (snapshot := snapshot_of(chunk))]
    scores = [
        user["score"]
        for snapshot in shown
        for user in snapshot["users"]
        if user["userId"] == "x" * 60
    ]
    assert scores == sorted(set(scores))
    assert scores[-1] == 5 * turns
    assert len(scores) < turns, "it was not slow at all"


def snapshot_of(chunk: bytes) -> Any:
    """The snapshot in a chunk that has one, and nothing else but perhaps a time to reconnect."""
    found = re.fullmatch(
        rb"(?:retry: \d+\n)?event: leaderboard_update\nid: (\w+)\ndata: (\{.*\})\n\n", chunk
    )
    assert found or chunk == b": ping\n\n", chunk
    if not found:
        return None
    snapshot = json.loads(found[2])
    assert snapshot["version"] == found[1].decode()
    return snapshot


@pytest.mark.parametrize("way", ["on", "off"], ids=["direct", "plain"])
def test_a_reader_that_takes_nothing_is_closed_in_time(tmp_path: Path, way: str) -> None:
    """After 30 s; here after less than one. The others stay."""
    prelude = "from scoreboard.live import broadcast; broadcast.STUCK_AFTER = 0.4"
    settings = {
        "SCOREBOARD_BROADCAST_INTERVAL_MS": "10",
        "SCOREBOARD_RATE_LIMIT": "100000/minute",
        "SCOREBOARD_MAX_STREAMS": "2",
        "SCOREBOARD_DIRECT_STREAMS": way,
    }
    with (
        Server(tmp_path, prelude=prelude, **settings) as server,
        RawStream(server, window=4096) as stuck,
        RawStream(server) as reader,
        server.client(headers=server.bearer("x" * 60)) as client,
    ):
        for number in range(9):
            server.complete(f"{'x' * 60}{number}", "join-the-game")
        stalled, turn = 0.0, 0
        while not stalled:
            turn += 1
            client.post("/actions/solve-a-puzzle/complete", headers={"Idempotency-Key": str(turn)})
            reader.read_until(b'"score":%d}' % (5 * turn))
            stalled = server.metric("scoreboard_streams_stalled_total") if turn % 10 == 0 else 0
        assert stalled == 1
        assert server.metric("scoreboard_streams_open") == 1
        with RawStream(server) as another:
            assert b"busy" not in another.read_until(b"}\n\n")
        stuck.socket.settimeout(AT_ONCE)
        with contextlib.suppress(ConnectionResetError):
            assert LAST_CHUNK not in stuck.read_to_end()
        assert "its reader took nothing" in server.logged()
        # A plain stream has no other way to end without its last chunk than to end too early.
        too_early = ["ASGI callable returned without completing response. "]
        assert complaints(server) == (too_early if way == "off" else [])


def test_who_has_gone_before_there_is_an_answer_leaves_nothing(tmp_path: Path) -> None:
    with Server(tmp_path, SCOREBOARD_MAX_STREAMS="2") as server:
        for hang_up in (reset, close) * 20:
            hang_up(Wire(server, asking()))
        eventually(lambda: not is_busy(server))
        eventually(lambda: server.metric("scoreboard_streams_open") == 0)
        assert complaints(server) == []


def test_who_hangs_up_after_a_large_body_frees_its_seat_at_once(tmp_path: Path) -> None:
    """uvicorn stops reading while nobody takes the body, and nobody takes that of a stream."""
    body = b"x" * 100_000
    with Server(tmp_path, SCOREBOARD_MAX_STREAMS="2") as server:
        for _ in range(2):
            with Wire(server, asking(f"Content-Length: {len(body)}", body=body)) as wire:
                wire.read_until(b"}\n\n\r\n")
        eventually(lambda: server.metric("scoreboard_streams_open") == 0, AT_ONCE)
        assert complaints(server) == []


# On any ASGI server.

PREPARE = """
from importlib.resources import files
from scoreboard.cli import main

main(["migrate"])
main(["actions", "load", str(files("scoreboard") / "demo.json")])
"""


def test_a_plain_asgi_server_has_streams_too(tmp_path: Path) -> None:
    """Under uvicorn with its other protocol, which knows nothing of us."""
    env = environment(tmp_path)
    subprocess.run([sys.executable, "-c", PREPARE], env=env, check=True, capture_output=True)
    words = ["--factory", "scoreboard.app:create_app", "--port", "0", "--http", "h11"]
    server = Server(tmp_path)
    with (
        running(
            [sys.executable, "-m", "uvicorn", *words], env=env, stderr=subprocess.PIPE
        ) as process,
        server.log,
    ):
        assert process.stderr
        line = next(line for line in process.stderr if "running on" in line)
        server.url = line.split(" on ")[1].split()[0]
        with Wire(server, asking(method="HEAD")) as wire:
            assert wire.answer().headers["content-type"].startswith("text/event-stream")
        with RawStream(server) as stream, Wire(server, asking(version="1.0")) as old:
            stream.read_frame()
            old.read_until(b"}\n\n")
            server.complete("ada", "join-the-game")
            assert b'"ada"' in stream.read_frame()
            old.read_until(b'"ada"')
            process.terminate()
            assert stream.read_to_end().endswith(LAST_CHUNK)
            assert old.rest().endswith(b"event: bye\ndata: {}\n\n")
        logged = process.stderr.read()
        process.wait(10)
    assert not re.search("ERROR|Traceback", logged), logged
