"""Going away: every stream is told, every response ends, nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.programs import running
from tests.support.server import RawStream, Server, environment, eventually

GONE_WITHIN = 5.0  # seconds


PLAIN = {"SCOREBOARD_DIRECT_STREAMS": "off"}  # each stream by a task of its own


@pytest.mark.parametrize(
    ("signals", "way"),
    [(1, {}), (2, {}), (1, PLAIN)],
    ids=["one signal", "two, as under make", "one signal, plain"],
)
def test_streams_say_bye_and_end_properly(
    tmp_path: Path, signals: int, way: dict[str, str]
) -> None:
    with Server(tmp_path, **way) as server:
        streams = [RawStream(server, board) for board in ("all-time", "daily", "weekly") * 5]
        for stream in streams:
            stream.read_frame()
        began = time.monotonic()
        for _ in range(signals):
            server.terminate()
        farewells = [stream.read_to_end() for stream in streams]
        server.wait()
        assert time.monotonic() - began < GONE_WITHIN
        for farewell in farewells:
            assert b"event: bye\ndata: {}\n\n" in farewell
            assert farewell.count(b"retry: ") == 1
            assert farewell.endswith(b"\r\n0\r\n\r\n"), "the chunked body must end properly"
        retries = {farewell.split(b"retry: ")[1].split(b"\n")[0] for farewell in farewells}
        assert len(retries) > 5, "clients must not all come back at once"
        assert "error" not in server.logged().lower()


def test_an_idle_server_goes_at_once(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < GONE_WITHIN
        assert server.logged() == ""


@pytest.mark.parametrize("way", [{}, PLAIN], ids=["direct", "plain"])
def test_a_reader_that_is_stuck_does_not_hold_up_the_end(
    tmp_path: Path, way: dict[str, str]
) -> None:
    settings = {"SCOREBOARD_BROADCAST_INTERVAL_MS": "10", "SCOREBOARD_RATE_LIMIT": "100000/minute"}
    with Server(tmp_path, **settings, **way) as server:
        stuck = [RawStream(server) for _ in range(3)]
        with server.client(headers=server.bearer("busy")) as client:
            for turn in range(200):
                client.post(
                    "/actions/solve-a-puzzle/complete", headers={"Idempotency-Key": str(turn)}
                )
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < GONE_WITHIN
        for stream in stuck:
            stream.close()


def test_what_is_under_way_is_finished(tmp_path: Path) -> None:
    """Completions that were sent before the signal are answered, and what is answered is kept."""
    with Server(tmp_path, SCOREBOARD_RATE_LIMIT="100000/minute") as server:

        def play(number: int) -> list[str]:
            acknowledged = []
            with server.client(headers=server.bearer(f"p{number}")) as client:
                for turn in range(1000):
                    try:
                        answer = client.post(
                            "/actions/solve-a-puzzle/complete",
                            headers={"Idempotency-Key": str(turn)},
                        )
                    except Exception:  # noqa: BLE001 - the server has gone
                        break
                    if answer.status_code == 200:
                        acknowledged.append(answer.json()["completionId"])
            return acknowledged

        with ThreadPoolExecutor(4) as pool:
            players = [pool.submit(play, number) for number in range(4)]
            with server.client() as client:
                eventually(lambda: len(client.get("/leaderboard").json()["users"]) == 4)
            server.stop()
            acknowledged = [completion for player in players for completion in player.result()]
        assert len(set(acknowledged)) == len(acknowledged) > 0
        server.start()
        with server.client() as client:
            users = client.get("/leaderboard").json()["users"]
        assert sum(user["score"] for user in users) >= 5 * len(acknowledged)


def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    with Server(tmp_path) as server, RawStream(server) as stream:
        stream.read_frame()
        os.kill(server.pid, signal.SIGINT)
        assert b"event: bye" in stream.read_to_end()
        assert server.wait() == 130
        assert server.logged() == ""


def test_any_asgi_launcher_can_serve_it(tmp_path: Path) -> None:
    """Streams say bye under a plain uvicorn too, which knows nothing of us."""
    env = environment(tmp_path)
    subprocess.run([sys.executable, "-m", "scoreboard", "migrate"], env=env, check=True)
    arguments = ["--factory", "scoreboard.app:create_app", "--port", "0", "--http", "httptools"]
    with running(
        [sys.executable, "-m", "uvicorn", *arguments], env=env, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        line = next(line for line in process.stderr if "running on" in line)
        server = Server(tmp_path)
        server.url = line.split(" on ")[1].split()[0]
        with RawStream(server) as stream:
            stream.read_frame()
            process.terminate()
            farewell = stream.read_to_end()
        process.wait(10)
        server.log.close()
    assert b"event: bye" in farewell
    assert farewell.endswith(b"\r\n0\r\n\r\n")


def test_a_locked_database_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with Server(tmp_path) as server, ThreadPoolExecutor(30) as pool:
        for number in range(30):
            server.complete(f"p{number}", "join-the-game")
        connection = sqlite3.connect(tmp_path / "board.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        players = [f"p{number}" for number in range(30)]
        waiting = [pool.submit(server.complete, name, "daily-check-in") for name in players]
        with server.client() as client:
            client.get("/actions")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < GONE_WITHIN
        connection.close()
        answers = [answer.result() for answer in waiting if answer.exception() is None]
        assert answers
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")


def test_ctrl_c_again_and_again_ends_it_even_then(tmp_path: Path) -> None:
    with Server(tmp_path) as server, ThreadPoolExecutor(3) as pool:
        server.complete("ada", "join-the-game")
        connection = sqlite3.connect(tmp_path / "board.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        waiting = [pool.submit(server.complete, "ada", "daily-check-in") for _ in range(3)]
        with server.client() as client:
            client.get("/actions")
        began = time.monotonic()
        while server.process and server.process.poll() is None:
            os.kill(server.pid, signal.SIGINT)
            assert time.monotonic() - began < GONE_WITHIN
            time.sleep(0.2)
        assert server.wait() == 130
        connection.close()
        for answer in waiting:
            answer.exception()


DYING_THROTTLE = """
from scoreboard.live.throttle import Throttle

async def run(self):
    await self._poked.wait()
    raise RuntimeError("a bug")

Throttle.run = run
"""


def test_when_a_part_fails_the_process_ends_so_that_it_is_started_again(tmp_path: Path) -> None:
    with Server(tmp_path, prelude=DYING_THROTTLE) as server, RawStream(server) as stream:
        stream.read_frame()
        assert server.complete("ada", "join-the-game").status_code in (200, 503)
        assert b"event: bye" in stream.read_to_end()
        assert server.wait() == 1
        assert "a bug" in server.logged()
        assert "has failed: stopping" in server.logged()
