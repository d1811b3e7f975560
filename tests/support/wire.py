"""HTTP as bytes on a socket, for what no client library would send."""

from __future__ import annotations

import json
import re
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support.server import PATIENCE, Server

# Seconds in which 99 of 100 requests of a bystander are answered during a flood. A person takes a
# tenth for at once; the flood, the server and the test share two cores, and others use them too.
IN_TIME = 0.5


class Answer(NamedTuple):
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> Any:
        """The stable code of a problem."""
        return json.loads(self.body)["code"]


class Wire:
    """One connection."""

    def __init__(self, server: Server, data: bytes = b"", *, source: str | None = None) -> None:
        self.socket = socket.create_connection(
            server.address, timeout=PATIENCE, source_address=(source, 0) if source else None
        )
        self._received = b""
        self.send(data)

    def send(self, data: bytes) -> bool:
        """Send; says whether the server still took it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def answer(self) -> Answer:
        """The next response, which has a length."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines), f"a header is there twice: {lines}"
        length = int(headers.get("content-length", 0)) if status >= 200 else 0
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Answer(status, headers, body)

    def _receive(self) -> None:
        chunk = self.socket.recv(65_536)
        assert chunk, f"the connection ended after {self._received!r}"
        self._received += chunk

    def read_until(self, *wanted: bytes) -> bytes:
        """Everything up to a chunk that has one of these in it."""
        while not any(one in self._received for one in wanted):
            self._receive()
        return self._received

    def first_byte(self) -> bytes:
        """The first byte that comes; none when the server ends the connection instead."""
        try:
            return self.socket.recv(1)
        except ConnectionResetError:
            return b""

    def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        try:
            while chunk := self.socket.recv(65_536):
                self._received += chunk
        except ConnectionResetError:
            pass
        return self._received

    def is_quiet(self, seconds: float) -> bool:
        """Whether the connection stays open and nothing comes for that long."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)

    def dribble(self, data: bytes, every: float = 0.02) -> float:
        """Send `data` over and over, until the server ends the connection or answers; gives the
        seconds that this took.
        """
        began = time.monotonic()
        while self.is_quiet(every) and self.send(data):
            assert time.monotonic() - began < PATIENCE, "it was borne for too long"
        return time.monotonic() - began

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def assert_refused(wire: Wire, status: int, code: str) -> Answer:
    """It is refused as everything is, and the connection ends."""
    answer = wire.answer()
    assert (answer.status, answer.code) == (status, code)
    assert json.loads(answer.body)["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["connection"] == "close"
    assert "server" not in answer.headers
    assert wire.rest() == b""
    return answer


class Bystander:
    """Somebody else, who asks for the board all the time while the block runs, and must be answered
    in time.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._is_served = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._took: list[float] = []
        self._failure: BaseException | None = None

    def _ask(self) -> None:
        try:
            with Wire(self._server) as wire:
                while not self._is_over.is_set() or len(self._took) < 20:
                    began = time.monotonic()
                    wire.send(b"GET /api/v1/leaderboard HTTP/1.1\r\nHost: test\r\n\r\n")
                    assert wire.answer().status == 200
                    self._took.append(time.monotonic() - began)
                    self._is_served.set()
                    self._is_over.wait(0.005)
        except BaseException as failure:  # noqa: BLE001 - raised again where the test can see it
            self._failure = failure
            self._is_served.set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_served.wait(PATIENCE)  # it was there before the flood
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        if error is None:
            if self._failure:
                raise self._failure
            assert statistics.quantiles(self._took, n=100)[98] < IN_TIME, sorted(self._took)[-5:]


def resident(server: Server) -> int:
    """Bytes of memory that the server has; 0 where the system does not say."""
    status = Path(f"/proc/{server.pid}/status")
    if not status.exists():
        return 0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status.read_text("ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def chunks(body: bytes) -> Iterator[bytes]:
    """The chunks of a body that has not ended, each of them whole."""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        assert body[length : length + 2] == b"\r\n"
        yield body[:length]
        body = body[length + 2 :]
