"""The real service in a process of its own, and raw looks at what it sends."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx2

from scoreboard.identity.tokens import Tokens
from scoreboard.settings import VARIABLES
from tests.support.backends import run

SERVE = "from scoreboard.cli import main; raise SystemExit(main({words!r}))"

# The server starts at noon of its day, whatever the time: no test that takes two steps on the daily
# board has midnight between them.
AT_NOON = """
from scoreboard import periods
from scoreboard.scoring.postgres_log import PostgresLog

DAY, real = 86_400_000, periods.now_ms
offset = DAY // 2 - real() % DAY
periods.now_ms = lambda: real() + offset
PostgresLog.__init__.__kwdefaults__["clock"] = periods.now_ms
"""
PATIENCE = 20.0  # seconds for anything that should take a moment
SECRET = "a secret for tests that is longer than thirty-two bytes"


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a command that works in `folder`."""
    inherited = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    return {
        **inherited,
        "DATABASE_URL": f"sqlite:///{folder / 'board.db'}",
        "SCOREBOARD_JWT_SECRET": SECRET,
        "SCOREBOARD_BROADCAST_INTERVAL_MS": "50",
        "PORT": "0",
        **settings,
    }


class Server:
    """`scoreboard serve --demo` on a free port. Ends only the process that it started.

    `prelude` is Python that runs before it, to shorten a bound that a test cannot wait for. With
    another `clock` than "at noon" it has that of the machine.
    """

    def __init__(
        self,
        folder: Path,
        *,
        words: Sequence[str] = ("serve", "--demo"),
        prelude: str = "",
        clock: str = "at noon",
        **settings: str,
    ) -> None:
        self.folder = folder
        self.words = list(words)
        self.prelude = f"{AT_NOON}\n{prelude}" if clock == "at noon" else prelude
        self.settings = settings
        self.tokens = Tokens([SECRET.encode()])
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.log: IO[str] = (folder / "server.log").open("a+", encoding="utf-8")

    def start(self) -> Self:
        """Start and wait until it says where it listens; a restart takes the same port."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{self.prelude}\n{SERVE.format(words=self.words)}"],
            env=environment(self.folder, **self.settings),
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        run().add(self.process.pid)
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        match = re.search(r"at (http://[\d.]+:(\d+))$", line)
        assert match, f"no start: {line!r}\n{self.logged()}"
        self.url = match[1]
        self.settings["PORT"] = match[2]
        return self

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self.process
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def terminate(self) -> None:
        """Ask it to stop."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill it without a chance to do anything."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait for its end; gives the exit status."""
        assert self.process
        try:
            return self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            run().drop(self.process.pid)
            if self.process.stdout:
                self.process.stdout.close()

    def stop(self) -> int:
        """Ask it to stop and wait for its end."""
        if self.process and self.process.poll() is None:
            self.terminate()
        return self.wait()

    def logged(self) -> str:
        """What it wrote to its log."""
        return (self.folder / "server.log").read_text("utf-8")

    def bearer(
        self,
        account_id: str,
        *,
        seconds: int = 600,
        username: str | None = None,
        scope: str | None = None,
    ) -> dict[str, str]:
        """The header that lets somebody in."""
        token = self.tokens.issue(account_id, seconds=seconds, username=username, scope=scope)
        return {"Authorization": f"Bearer {token}"}

    def client(self, **options: Any) -> httpx2.Client:
        """A client of the API."""
        return httpx2.Client(base_url=f"{self.url}/api/v1", timeout=PATIENCE, **options)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = httpx2.get(f"{self.url}/metrics", timeout=PATIENCE).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def complete(
        self, account_id: str, action: str = "solve-a-puzzle", key: str | None = None
    ) -> httpx2.Response:
        """Complete an action as somebody."""
        headers = self.bearer(account_id, username=account_id)
        if key is not None:
            headers["Idempotency-Key"] = key
        with self.client() as client:
            return client.post(f"/actions/{action}/complete", headers=headers)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            self.log.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.process and self.process.poll() is None:
                self.stop()
        finally:
            self.log.close()


class RawStream:
    """A stream over a bare socket: every byte as it came, down to the last chunk."""

    def __init__(
        self,
        server: Server,
        board: str = "all-time",
        *headers: str,
        window: int | None = None,
        **query: str,
    ) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if window is not None:  # how much the kernel takes in while the test does not read
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.connect(server.address)
        pairs = "&".join(f"{key}={value}" for key, value in {"board": board, **query}.items())
        lines = [f"GET /api/v1/leaderboard/stream?{pairs} HTTP/1.1", "Host: test", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.received = b""

    def read_until(self, wanted: bytes) -> bytes:
        """Read on until `wanted` came; gives everything since the last call."""
        while wanted not in self.received:
            if not (chunk := self.socket.recv(65_536)):
                raise AssertionError(f"the stream ended without {wanted!r}: {self.received!r}")
            self.received += chunk
        end = self.received.index(wanted) + len(wanted)
        found, self.received = self.received[:end], self.received[end:]
        return found

    def read_frame(self) -> bytes:
        """Read to the end of the next snapshot."""
        return self.read_until(b"event: leaderboard_update") + self.read_until(b"}\n\n")

    def read_to_end(self) -> bytes:
        """Everything until the server closes; then hangs up too."""
        while chunk := self.socket.recv(65_536):
            self.received += chunk
        self.close()
        return self.received

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def events(
    server: Server, board: str = "all-time", **headers: str
) -> Iterator[Iterator[httpx2.ServerSentEvent]]:
    """The events of a stream, parsed."""
    with (
        server.client() as client,
        client.sse("/leaderboard/stream", params={"board": board}, headers=headers) as source,
    ):
        yield iter(source)


def next_snapshot(stream: Iterator[httpx2.ServerSentEvent]) -> Any:
    """The next snapshot of a stream, as parsed JSON with its event id."""
    for event in stream:
        if event.event == "leaderboard_update":
            snapshot: Any = event.json()
            assert event.id == snapshot["version"]
            return snapshot
    raise AssertionError("the stream ended")


def eventually(condition: Any, seconds: float = PATIENCE, pause: float = 0.01) -> None:
    """Ask until it is true: for what another process does when it gets to it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(pause)
