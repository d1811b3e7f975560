"""Several workers behind one socket: one word at the start, one end, and none lost for long."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

from tests.support.server import RawStream, Server, eventually

GONE_WITHIN = 5.0  # seconds
WORKERS = 2
STREAMS = 12


@pytest.fixture
def several(postgres_url: str, redis_url: str) -> dict[str, str]:
    """The settings of a server of several workers."""
    return {
        "WEB_CONCURRENCY": str(WORKERS),
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
    }


def workers_of(parent: int) -> set[int]:
    """The processes that serve, or are about to, below this one."""
    listed = subprocess.run(
        ["ps", "-axwwo", "pid=,ppid=,command="], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return {
        int(pid) for pid, ppid, command in rows if int(ppid) == parent and "spawn_main" in command
    }


def is_running(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return state.stdout.strip()[:1] not in ("", "Z")


def metric(server: Server, series: str) -> float:
    """The value of a series, told by whichever worker answers."""
    text = httpx2.get(f"{server.url}/metrics").text
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def all_serving(server: Server) -> set[int]:
    """The workers, once each of them serves: every one has then read its boards."""
    eventually(lambda: len(workers_of(server.pid)) == WORKERS)
    eventually(lambda: metric(server, "scoreboard_workers") == WORKERS)
    return workers_of(server.pid)


def complaints(server: Server) -> list[str]:
    """The lines of the log that are more than news."""
    return [line for line in server.logged().splitlines() if json.loads(line)["level"] != "info"]


def streams(server: Server) -> list[RawStream]:
    opened = [RawStream(server) for _ in range(STREAMS)]
    for stream in opened:
        stream.read_frame()
    return opened


def is_open(stream: RawStream) -> bool:
    """Whether the server has not hung up."""
    stream.socket.setblocking(False)
    try:
        return stream.socket.recv(65_536) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def test_it_says_once_where_it_listens(tmp_path: Path, several: dict[str, str]) -> None:
    with Server(tmp_path, **several) as server:
        all_serving(server)
        server.terminate()
        assert server.process
        assert server.process.stdout
        rest = server.process.stdout.read()
        server.wait()
        assert "Scoreboard" not in rest
        assert rest.count("curl -N") == 1


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("told", ["the parent", "all at once"])
def test_streams_say_bye_whoever_is_told(
    tmp_path: Path, several: dict[str, str], told: str, times: int
) -> None:
    """A platform tells the parent, or every process; make tells twice."""
    with Server(tmp_path, **several) as server:
        workers = all_serving(server)
        opened = streams(server)
        began = time.monotonic()
        for _ in range(times):
            for pid in {server.pid} | (workers if told == "all at once" else set()):
                os.kill(pid, signal.SIGTERM)
        for stream in opened:
            farewell = stream.read_to_end()
            assert b"event: bye\ndata: {}\n\n" in farewell
            assert farewell.endswith(b"\r\n0\r\n\r\n"), "the chunked body must end properly"
        assert server.wait() == -signal.SIGTERM, "as a process that serves alone"
        assert time.monotonic() - began < GONE_WITHIN
        assert not any(map(is_running, workers))
        assert complaints(server) == []


def test_ctrl_c_ends_all_without_a_traceback(tmp_path: Path, several: dict[str, str]) -> None:
    with Server(tmp_path, **several) as server:
        workers = all_serving(server)
        opened = streams(server)
        os.kill(server.pid, signal.SIGINT)
        time.sleep(0.05)  # the parent has told the workers by now; then a late Ctrl-C is no second
        for pid in workers:
            os.kill(pid, signal.SIGINT)
        assert all(b"event: bye" in stream.read_to_end() for stream in opened)
        assert server.wait() == 128 + signal.SIGINT
        assert complaints(server) == []


def test_ctrl_c_while_they_start_ends_all_without_a_traceback(
    tmp_path: Path, several: dict[str, str]
) -> None:
    with Server(tmp_path, **several) as server:
        all_serving(server)
        (one, *_) = workers_of(server.pid)
        os.kill(one, signal.SIGKILL)
        eventually(lambda: len(workers_of(server.pid) - {one}) == WORKERS)
        began = time.monotonic()
        for pid in {server.pid, *workers_of(server.pid)}:
            os.kill(pid, signal.SIGINT)
        assert server.wait() == 128 + signal.SIGINT
        assert time.monotonic() - began < GONE_WITHIN
        assert "Traceback" not in server.logged()


def test_ctrl_c_again_waits_for_nobody(tmp_path: Path, several: dict[str, str]) -> None:
    with Server(tmp_path, **several) as server:
        (one, *_) = all_serving(server)
        os.kill(one, signal.SIGSTOP)
        began = time.monotonic()
        os.kill(server.pid, signal.SIGINT)
        time.sleep(0.5)
        os.kill(server.pid, signal.SIGINT)
        assert server.wait() == 128 + signal.SIGINT
        assert time.monotonic() - began < GONE_WITHIN / 2


def test_a_worker_that_does_not_stop_is_killed(tmp_path: Path, several: dict[str, str]) -> None:
    with Server(tmp_path, **several) as server:
        (one, *_) = all_serving(server)
        os.kill(one, signal.SIGSTOP)
        began = time.monotonic()
        server.terminate()
        assert server.wait() == -signal.SIGTERM
        assert time.monotonic() - began < GONE_WITHIN
        assert f"worker {one} is killed before it has stopped" in server.logged()


def test_a_killed_worker_is_replaced_and_what_it_counted_is_kept(
    tmp_path: Path, several: dict[str, str]
) -> None:
    opening = (
        'scoreboard_requests_total{method="GET",route="/api/v1/leaderboard/stream",status="200"}'
    )
    with Server(tmp_path, **several) as server:
        before = all_serving(server)
        opened = streams(server)
        assert metric(server, opening) == STREAMS
        assert metric(server, 'scoreboard_streams_open{board="all-time"}') == STREAMS
        # Which worker took how many is the kernel's choice: until one of those that held some is.
        for times, one in enumerate(before, 1):
            os.kill(one, signal.SIGKILL)
            eventually(lambda times=times: server.logged().count("takes its place") == times)
            after = all_serving(server)
            assert one not in after
            assert metric(server, opening) == STREAMS
            left = [stream for stream in opened if is_open(stream)]
            assert metric(server, 'scoreboard_streams_open{board="all-time"}') == len(left)
            if len(left) < STREAMS:
                break
        assert len(left) < STREAMS
        assert server.complete("ada", "join-the-game").status_code == 200
        for stream in opened:
            stream.close()
        eventually(lambda: metric(server, 'scoreboard_streams_open{board="all-time"}') == 0)


# The parent does not look, so that its workers are the ones to find an empty database.
UNPREPARED = """
from scoreboard.cli import serve

async def _prepare(settings):
    pass

serve._prepare = _prepare
"""


def test_a_worker_that_cannot_start_ends_all(tmp_path: Path, several: dict[str, str]) -> None:
    server = Server(tmp_path, prelude=UNPREPARED, **several)
    with pytest.raises(AssertionError, match="no start"):
        server.start()
    assert server.wait() == 3
    assert server.logged().count("before it served: stopping") == 1
    assert "scoreboard migrate" in server.logged()
    server.log.close()


KILLED_AT_ONCE = """
import os, signal
from scoreboard.cli import workers

class Doomed(workers._Worker):
    def __init__(self, *given):
        super().__init__(*given)
        os.kill(self.pid, signal.SIGKILL)

workers._Worker = Doomed
"""


def test_workers_that_are_always_killed_are_not_started_for_ever(
    tmp_path: Path, several: dict[str, str]
) -> None:
    server = Server(tmp_path, prelude=KILLED_AT_ONCE, **several)
    with pytest.raises(AssertionError, match="no start"):
        server.start()
    assert server.wait() == 1
    assert server.logged().count("trying again") == 2
    assert server.logged().count("stopping") == 1
    server.log.close()


def test_workers_do_not_outlive_a_parent_that_is_killed(
    tmp_path: Path, several: dict[str, str]
) -> None:
    with Server(tmp_path, **several) as server:
        workers = all_serving(server)
        opened = streams(server)
        server.kill()
        assert all(b"event: bye" in stream.read_to_end() for stream in opened)
        eventually(lambda: not any(map(is_running, workers)), GONE_WITHIN)
        assert server.logged().count("is gone: stopping") == WORKERS
