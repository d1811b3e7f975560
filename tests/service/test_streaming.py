"""The stream, over real sockets."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import httpx2
import pytest

from scoreboard.live import broadcast
from tests.support.server import RawStream, Server, events, eventually, next_snapshot

# Streams are written to by one task for all of them, or each by a task of its own, as on any ASGI
# server. These are tried both ways: what differs between the two, once each.
BOTH_WAYS = pytest.mark.parametrize(
    "server",
    ["sqlite + memory", "postgresql + redis", "sqlite + memory, plain streams"],
    indirect=True,
)
PLAIN = {"SCOREBOARD_DIRECT_STREAMS": "off"}


@BOTH_WAYS
def test_the_newest_state_comes_at_once_with_a_time_to_reconnect(server: Server) -> None:
    server.complete("at-once", "join-the-game")
    with RawStream(server) as stream:
        head = stream.read_until(b"\r\n\r\n").decode().lower()
        assert "200 ok" in head
        assert "content-type: text/event-stream" in head
        assert "cache-control: no-store, no-transform\r\n" in head
        assert "x-accel-buffering: no" in head
        first = stream.read_frame().decode()
        retry = re.search(r"^retry: (\d+)$", first, re.MULTILINE)
        assert retry
        assert 2000 <= int(retry[1]) <= 5000
        event = re.search(r"event: leaderboard_update\nid: (\w+)\ndata: (.*)\n\n$", first)
        assert event
        assert json.loads(event[2])["version"] == event[1]


@BOTH_WAYS
@pytest.mark.parametrize("board", ["all-time", "daily", "weekly"])
def test_a_completion_reaches_the_stream_of_every_board(server: Server, board: str) -> None:
    with events(server, board) as stream:
        shown = next_snapshot(stream)
        for turn in range(10):
            server.complete(f"reach-{board}", key=str(turn))
        with server.client() as client:
            newest = client.get(f"/leaderboard?board={board}").json()
        assert f"reach-{board}" in [user["userId"] for user in newest["users"]]
        while shown["version"] != newest["version"]:
            shown = next_snapshot(stream)
        assert shown["users"] == newest["users"]


def test_a_completion_is_on_the_stream_within_a_tenth_of_a_second(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The first change after a pause is not throttled. A median forgives a hiccup."""
    folder = tmp_path_factory.mktemp("quick")
    with (
        Server(folder, SCOREBOARD_BROADCAST_INTERVAL_MS="100") as server,
        server.client(headers=server.bearer("quick", username="Quick")) as client,
        events(server) as stream,
    ):
        next_snapshot(stream)
        took = []
        for turn in range(9):
            time.sleep(0.12)  # longer than the interval, so that the throttle is at rest
            sent = time.perf_counter()
            client.post("/actions/solve-a-puzzle/complete", headers={"Idempotency-Key": str(turn)})
            assert next_snapshot(stream)["users"][0]["score"] == 5 * (turn + 1)
            took.append(time.perf_counter() - sent)
        assert sorted(took)[4] < 0.1


def test_a_burst_is_throttled_and_ends_with_the_newest_state(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = {"SCOREBOARD_BROADCAST_INTERVAL_MS": "300", "SCOREBOARD_RATE_LIMIT": "1000/minute"}
    with (
        Server(tmp_path_factory.mktemp("burst"), **settings) as server,
        events(server) as stream,
    ):
        assert next_snapshot(stream)["users"] == []
        began = time.monotonic()
        for turn in range(60):
            server.complete("burst", key=str(turn))
        scores: list[int] = []
        while not scores or scores[-1] != 300:
            scores.append(next_snapshot(stream)["users"][0]["score"])
        took = time.monotonic() - began
        assert scores == sorted(set(scores))
        assert len(scores) <= took / 0.3 + 2


def test_nothing_is_sent_when_the_top_ten_stays_as_it_is(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Server(tmp_path_factory.mktemp("still")) as server:
        for number in range(10):
            server.complete(f"top-{number}", "join-the-game")
        with events(server) as stream:
            while len(next_snapshot(stream)["users"]) < 10:
                pass
            server.complete("below", "daily-check-in")
            server.complete("below", "daily-check-in")
            server.complete("top-9", key="change")
            assert next_snapshot(stream)["users"][0]["userId"] == "top-9"


@BOTH_WAYS
def test_a_client_that_has_the_newest_state_is_only_told_so(server: Server) -> None:
    server.complete("resuming", "join-the-game")
    with server.client() as client:
        version = client.get("/leaderboard").json()["version"]

    def current() -> str:
        with events(server) as stream:
            return str(next_snapshot(stream)["version"])

    eventually(lambda: current() == version)
    for stream in (
        RawStream(server, "all-time", f"Last-Event-ID: {version}"),
        RawStream(server, "all-time", last_event_id=version),
        RawStream(server, "all-time", lastEventId=version),
    ):
        with stream:
            first = stream.read_until(b": you have the newest\n\n")
            assert b"data:" not in first
            server.complete("resuming", key=f"{id(stream)}")
    with RawStream(server, "all-time", "Last-Event-ID: another") as stream:
        assert b"data: {" in stream.read_frame()


FIELD = re.compile(rb"(?m)^(?:retry|id|event)(?=:)")
NOBODY = "postgresql://nobody@127.0.0.1:1/none"  # a database that is not there


@pytest.mark.parametrize("way", [{}, PLAIN], ids=["direct", "plain"])
def test_no_block_has_a_field_without_data(tmp_path: Path, way: dict[str, str]) -> None:
    """Widely used clients hand such a block on as an empty message: from a first block with only
    `retry` two of them never got to the board.
    """
    everything = b""
    folder = tmp_path / "board"
    folder.mkdir()
    with Server(folder, SCOREBOARD_MAX_STREAMS="1", **way) as server:
        with RawStream(server) as first:
            shown = first.read_frame()
            with RawStream(server) as second:
                busy = second.read_until(b"event: busy\ndata: {}\n\n")
            server.complete("blocks", "join-the-game")
            shown += first.read_frame()
        version = shown.rpartition(b"id: ")[2].partition(b"\n")[0].decode()
        eventually(lambda: server.metric("scoreboard_streams_open") == 0)
        with RawStream(server, "all-time", f"Last-Event-ID: {version}") as again:
            newest = again.read_until(b": you have the newest\n\n")
            server.terminate()
            bye = again.read_to_end()
    folder = tmp_path / "none"
    folder.mkdir()
    with (
        Server(folder, words=("serve",), DATABASE_URL=NOBODY, **way) as server,
        RawStream(server) as early,
    ):
        nothing = early.read_until(b": not yet\n\n")
    everything = (
        b"".join(part.partition(b"\r\n\r\n")[2] for part in (shown, busy, newest, nothing)) + bye
    )
    # Between the blocks are the sizes of the chunks that carry them.
    blocks = re.sub(rb"(?m)^\r?[0-9a-f]*\r\n", b"", everything).split(b"\n\n")
    assert [len(block) > 0 for block in blocks].count(True) >= 6
    for block in blocks:
        assert b"\ndata: " in block or not FIELD.search(block), block
    assert all(name in everything for name in (b"leaderboard_update", b"busy", b"bye"))


@BOTH_WAYS
def test_an_event_source_that_reconnects_gets_what_it_missed(server: Server) -> None:
    with events(server) as stream:
        seen = next_snapshot(stream)["version"]
    for turn in range(10):
        server.complete("missed", key=str(turn))
    eventually(lambda: server.complete("missed-too", "join-the-game").status_code == 409)
    with events(server, **{"Last-Event-ID": seen}) as stream:
        assert next_snapshot(stream)["version"] != seen


def test_an_unknown_board_has_no_stream(client: httpx2.Client) -> None:
    assert client.get("/leaderboard/stream?board=hourly").json()["code"] == "NOT_FOUND"


def test_head_does_not_open_a_stream(client: httpx2.Client) -> None:
    answer = client.head("/leaderboard/stream")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    "settings",
    [
        {"SCOREBOARD_MAX_STREAMS": "3"},
        {"SCOREBOARD_MAX_STREAMS_PER_ADDRESS": "3"},
        {"SCOREBOARD_MAX_STREAMS": "3", **PLAIN},
    ],
    ids=["of the process", "of an address", "of the process, plain"],
)
def test_a_full_house_sends_its_guests_away_kindly_and_leavers_make_room(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]
) -> None:
    with Server(tmp_path_factory.mktemp("full"), **settings) as server:
        streams = [RawStream(server) for _ in range(3)]
        for stream in streams:
            stream.read_frame()
        with RawStream(server) as refused:
            everything = refused.read_until(b"\r\n0\r\n\r\n")
            assert everything.startswith(b"HTTP/1.1 200 OK")
            assert b"retry: 15000\nevent: busy\ndata: {}\n\n" in everything
        streams[0].close()

        def let_in() -> bool:
            with events(server) as stream:
                return next(stream).event != "busy"

        eventually(let_in)
        for stream in streams[1:]:
            stream.close()


def memory_of(pid: int) -> int:
    """The resident memory of a process in KiB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])


@pytest.mark.parametrize(("way", "turns"), [({}, 400), (PLAIN, 150)], ids=["direct", "plain"])
def test_readers_that_stop_reading_delay_nobody_and_cost_bounded_memory(
    tmp_path_factory: pytest.TempPathFactory, way: dict[str, str], turns: int
) -> None:
    """Forty readers never read; the one that does gets every state in time, and they the newest."""
    settings = {"SCOREBOARD_BROADCAST_INTERVAL_MS": "10", "SCOREBOARD_RATE_LIMIT": "100000/minute"}
    with Server(tmp_path_factory.mktemp("slow"), **settings, **way) as server:
        stuck = [RawStream(server, window=4096) for _ in range(40)]
        for number in range(10):
            server.complete(f"{'x' * 40}{number}", "join-the-game")
        before = memory_of(server.pid)
        with (
            server.client(headers=server.bearer("x" * 40 + "0")) as client,
            events(server) as stream,
        ):
            longest = 0.0
            for turn in range(turns):
                sent = time.perf_counter()
                client.post(
                    "/actions/solve-a-puzzle/complete", headers={"Idempotency-Key": str(turn)}
                )
                while next_snapshot(stream)["users"][0]["score"] < 25 + 5 * (turn + 1):
                    pass
                longest = max(longest, time.perf_counter() - sent)
            assert longest < 2
        grown = (memory_of(server.pid) - before) / len(stuck)
        assert grown < 256, f"{grown:.0f} KiB for each reader that is stuck"
        final = b'"score":%d}' % (25 + 5 * turns)
        for reader in stuck:
            skipped = reader.read_until(final)
            assert skipped.count(b"event: leaderboard_update") < turns
            reader.close()


def test_a_reader_that_is_stuck_is_dropped_by_the_kernel(tmp_path: Path) -> None:
    """After 30 s; here after two. The others stay, and so does the server's log."""
    prelude = "from scoreboard.cli import serve; serve.UNACKNOWLEDGED_MS = 2000"
    settings = {"SCOREBOARD_BROADCAST_INTERVAL_MS": "10", "SCOREBOARD_RATE_LIMIT": "100000/minute"}
    with Server(tmp_path, prelude=prelude, SCOREBOARD_MAX_STREAMS="2", **settings) as server:
        stuck = RawStream(server, window=4096)
        with server.client(headers=server.bearer("x" * 40)) as client, events(server) as stream:
            shown, turn = next_snapshot(stream), 0

            def has_room() -> bool:
                nonlocal shown, turn
                turn += 1
                client.post(
                    "/actions/solve-a-puzzle/complete", headers={"Idempotency-Key": str(turn)}
                )
                shown = next_snapshot(stream)
                with RawStream(server) as another:
                    return b"busy" not in another.read_until(b"}\n\n")

            eventually(has_room)
            assert shown["users"][0]["score"] == 5 * turn
        stuck.close()
        assert server.logged() == ""


@pytest.mark.parametrize("way", [{}, PLAIN], ids=["direct", "plain"])
def test_a_quiet_stream_is_kept_open_by_comments(tmp_path: Path, way: dict[str, str]) -> None:
    """Every 15 s; here five times a second."""
    assert broadcast.PING_EVERY == 15
    prelude = "from scoreboard.live import broadcast; broadcast.PING_EVERY = 0.2"
    with Server(tmp_path, prelude=prelude, **way) as server, RawStream(server) as stream:
        stream.read_frame()
        for _ in range(3):
            assert b"data:" not in stream.read_until(b": ping\n\n")


def test_a_request_behind_a_stream_neither_keeps_its_seat_nor_fills_the_log(tmp_path: Path) -> None:
    prelude = "from scoreboard.live import broadcast; broadcast.PING_EVERY = 0.2"
    with Server(tmp_path, prelude=prelude, SCOREBOARD_MAX_STREAMS="3") as server:
        for _ in range(3):
            with RawStream(server) as stream:
                stream.socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
                stream.read_frame()

        def has_room() -> bool:
            with RawStream(server) as stream:
                return b"busy" not in stream.read_until(b"}\n\n")

        eventually(has_room)
        assert "Traceback" not in server.logged()
