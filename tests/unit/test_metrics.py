"""What is counted: by bounded names, kept when a process dies, and right for slow readers."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Scope

from scoreboard.live.hub import Hub
from scoreboard.live.snapshot import Frame
from scoreboard.telemetry import metrics
from scoreboard.web.requests import Failures, Requests


def value(series: str) -> float:
    """The value of a series, 0 when there is none yet."""
    text = metrics.exposition().decode()
    found = re.search(rf"^scoreboard_{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_every_metric_is_named_and_described() -> None:
    described = {
        line.split(maxsplit=3)[2]: line.split(maxsplit=3)[3]
        for line in metrics.exposition().decode().splitlines()
        if line.startswith("# HELP")
    }
    assert len(described) > 20
    assert {name.split("_")[0] for name in described} <= {"scoreboard", "process"}
    assert all(len(text) > 15 for text in described.values())


async def answer(request: Request) -> Response:
    return PlainTextResponse("yes")


async def stream(request: Request) -> Response:
    return StreamingResponse(iter([b": hello\n\n"]), media_type="text/event-stream")


async def leave(request: Request) -> Response:
    raise ClientDisconnect


async def fail(request: Request) -> Response:
    raise RuntimeError("a bug")


app = Starlette(
    routes=[
        Route("/counted/{name:path}", answer),
        Route("/counted-stream", stream),
        Route("/counted-leaver", leave),
        Route("/counted-failure", fail),
    ],
    middleware=[Middleware(Requests), Middleware(Failures)],
)


async def request(path: str, method: str = "GET") -> None:
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "app": app,
    }

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        pass

    await app(scope, receive, send)


@pytest.mark.parametrize(
    ("path", "method", "labels"),
    [
        ("/counted/ada", "GET", 'method="GET",route="/counted/{name}",status="200"'),
        ("/counted/a/b", "HEAD", 'method="HEAD",route="/counted/{name}",status="200"'),
        ("/counted/ada", "BREW", 'method="other",route="/counted/{name}",status="405"'),
        ("/made-up/4711", "GET", 'method="GET",route="other",status="404"'),
        ("/counted-stream", "GET", 'method="GET",route="/counted-stream",status="200"'),
        ("/counted-leaver", "GET", 'method="GET",route="/counted-leaver",status="none"'),
        ("/counted-failure", "GET", 'method="GET",route="/counted-failure",status="500"'),
    ],
)
async def test_a_request_is_counted_by_its_route(path: str, method: str, labels: str) -> None:
    before = value(f"requests_total{{{labels}}}")
    await request(path, method)
    assert value(f"requests_total{{{labels}}}") == before + 1
    assert "4711" not in metrics.exposition().decode()


async def test_what_takes_as_long_as_its_reader_wants_is_not_timed() -> None:
    for path in ("/counted/ada", "/counted-stream", "/counted-leaver"):
        await request(path)
    timed = metrics.exposition().decode()
    assert value('request_seconds_count{route="/counted/{name}"}') > 0
    assert 'seconds_count{route="/counted-stream"}' not in timed
    assert 'seconds_count{route="/counted-leaver"}' not in timed


async def test_the_states_that_a_slow_stream_misses_are_counted() -> None:
    hub = Hub(Frame("v0", b""), "weekly")
    before, opened = value("stream_frames_skipped_total"), 'streams_open{board="weekly"}'
    async with aclosing(hub.watch()) as slow, aclosing(hub.watch("v0")) as fast:
        await anext(slow)
        for number in (1, 2, 3):
            hub.publish(Frame(f"v{number}", b""))
            await anext(fast)
        assert value("stream_frames_skipped_total") == before
        assert (await anext(slow)).version == "v3"
        assert value("stream_frames_skipped_total") == before + 2
        assert value(opened) == 2
    assert value(opened) == 0


WORKER = """
from scoreboard.telemetry import metrics
metrics.COMPLETIONS.labels("recorded").inc()
metrics.BATCH_SIZE.observe(3)
metrics.STREAMS_OPEN.labels("daily").set(5)
metrics.REDIS_UP.set(0)
"""


def test_a_dead_process_leaves_its_counts_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.FOLDER, str(tmp_path))
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WORKER]) as process:
            process.wait()
        assert value("redis_up") == 0
        assert value('streams_open{board="daily"}') == 5
        metrics.retire(tmp_path, process.pid)
    assert value('completions_total{outcome="recorded"}') == 3
    assert value('batch_size_bucket{le="4.0"}') == value("batch_size_count") == 3
    assert value("batch_size_sum") == 9
    assert value('streams_open{board="daily"}') == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_process_that_had_counted_nothing_yet_can_die_too(tmp_path: Path) -> None:
    metrics.retire(tmp_path, 4711)
    assert list(tmp_path.iterdir()) == []
