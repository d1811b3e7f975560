"""Traces go where OpenTelemetry's variables say, and cost nothing when they say nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import httpx2
import pytest

from tests.support.server import PATIENCE, RawStream, Server

SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # milliseconds until a batch is sent


@contextmanager
def collector(answers_after: float = 0) -> Iterator[tuple[str, Queue[tuple[str, bytes]]]]:
    """A small collector: its address, and what it was sent."""
    sent: Queue[tuple[str, bytes]] = Queue()

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.put((self.path, body))
            time.sleep(answers_after)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", sent
        finally:
            server.shutdown()
            thread.join()


def test_a_request_becomes_a_span_named_by_its_route(tmp_path: Path) -> None:
    with collector() as (url, sent):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **SOON}
        with Server(tmp_path, **settings) as server, server.client() as client:
            client.get("/leaderboard", params={"token": "top-secret"})
            path, body = sent.get(timeout=PATIENCE)
        assert path == "/v1/traces"
        assert b"GET /api/v1/leaderboard" in body
        assert b"service.name" in body
        assert b"\n\nscoreboard" in body
        assert b"REDACTED" in body
        assert b"top-secret" not in body


def test_streams_and_what_machines_ask_are_left_out(tmp_path: Path) -> None:
    with collector() as (url, sent):
        settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{url}/elsewhere"}
        with Server(tmp_path, **settings) as server, server.client() as client:
            for path in ("healthz", "readyz", "metrics"):
                httpx2.get(f"{server.url}/{path}?really")
            with RawStream(server) as stream:
                stream.read_frame()
            client.get("/players/healthz")
            server.stop()  # sends the last spans
        path, body = sent.get(timeout=PATIENCE)
        assert path == "/elsewhere"
        assert body.count(b"http.route") == 1
        assert sent.empty()


BROKEN = """
from scoreboard.ledger import actions

async def listed(database):
    raise RuntimeError("a bug")

actions.listed = listed
"""


def test_a_log_line_tells_its_trace(tmp_path: Path) -> None:
    with collector() as (url, sent):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **SOON}
        with Server(tmp_path, prelude=BROKEN, **settings) as server, server.client() as client:
            assert client.get("/actions").status_code == 500
            _, body = sent.get(timeout=PATIENCE)
            (line,) = (line for line in server.logged().splitlines() if "a bug" in line)
            assert bytes.fromhex(json.loads(line)["traceId"]) in body


def test_a_collector_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    with collector(answers_after=60) as (url, sent):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **SOON}
        with Server(tmp_path, **settings) as server, server.client() as client:
            client.get("/leaderboard")
            sent.get(timeout=PATIENCE)
            client.get("/leaderboard")
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < 5
            assert "the last spans could not be sent in time" in server.logged()


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
    ],
    ids=["not asked", "empty", "disabled"],
)
def test_nothing_is_imported_that_is_not_asked_for(tmp_path: Path, asked: dict[str, str]) -> None:
    script = (
        "import sys\n"
        "from scoreboard.app import create_app\n"
        "from scoreboard.settings import Settings\n"
        "create_app(Settings())\n"
        "print(*sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], env=asked, check=True, capture_output=True, text=True
    )
    modules = set(printed.stdout.split())
    assert "scoreboard.telemetry.metrics" in modules
    assert "scoreboard.telemetry.traces" not in modules
    # redis-py imports the SDK's part for metrics where it is installed, and does nothing with it.
    assert not {name for name in modules if "opentelemetry.exporter" in name}
    assert "opentelemetry.sdk.trace" not in modules
    assert printed.stderr == ""


def test_without_the_packages_there_are_none_and_no_word_of_it(tmp_path: Path) -> None:
    missing = "import sys; sys.modules['opentelemetry'] = None"
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with Server(tmp_path, prelude=missing, **endpoint) as server, server.client() as client:
        assert client.get("/leaderboard").status_code == 200
        assert "opentelemetry" not in server.logged().lower()
