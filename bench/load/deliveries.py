"""Streams by the program of that name, and when each frame had reached all of them."""

from __future__ import annotations

import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from bench.load.programs import running, said

REPLY: Final = 30.0  # seconds for an answer to a command: it is in line behind a burst of frames


@dataclass(frozen=True)
class Opened:
    """How the streams were opened: `seconds` are those for all but the stalled ones.

    `cpu_seconds` are the client's.
    """

    opened: int
    failed: int
    stalled: int
    seconds: float
    per_second: float
    cpu_seconds: float


@dataclass(frozen=True)
class Delivery:
    """A frame, and when how many streams had read it whole, in ns of `time.monotonic_ns()`.

    `id` is None if the event has none; `data` ends after 600 bytes. A `count` below the number of
    streams says that some skipped it: nobody else read it for some seconds. `samples` are the
    arrivals at 100 evenly spread streams, the earliest first: they stand for all where several
    frames are put together.
    """

    id: str | None
    data: str
    count: int
    first: int
    p50: int
    p99: int
    last: int
    samples: tuple[int, ...]


@dataclass(frozen=True)
class Sums:
    """Sums from the start on. `lost` streams were closed by the server.

    The CPU seconds are the client's, `user_seconds` without the kernel's. `max_recv_gap_ms` is the
    longest that the client was busy between two reads: by so much it can have been late itself.
    """

    frames: int
    bytes: int
    open: int
    lost: int
    cpu_seconds: float
    user_seconds: float
    max_recv_gap_ms: float


@dataclass(frozen=True)
class Closed(Sums):
    """The sums at the end, and how many frames the streams got that got fewest and most."""

    frames_min: int
    frames_max: int


class Streams:
    """`count` streams that read all they get, and `stalled` ones that read nothing but their head.

    They are open in the block, and `opened` says how that went. Raises `TimeoutError` when they are
    not within `patience` seconds, and `RuntimeError` with the program's words when it cannot go on.
    A frame that some lack is told of when for `overdue` seconds nobody else has read it.
    """

    opened: Opened

    def __init__(
        self,
        programs: Path,
        address: tuple[str, int],
        path: str,
        *,
        count: int,
        stalled: int = 0,
        cores: Collection[int] | None = None,
        patience: float = 120.0,
        overdue: float = 5.0,
    ) -> None:
        self._words: list[str | Path] = [
            programs / "streams",
            "--address={}:{}".format(*address),
            f"--path={path}",
            f"--connections={count}",
            f"--stalled={stalled}",
            f"--overdue={overdue}",
        ]
        self._cores = cores
        self._patience = patience
        self._stack = ExitStack()
        # Read all the time by a thread: a full pipe would make the program wait for its reader.
        self._frames: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    @property
    def pid(self) -> int:
        """The id of the program's process."""
        return self._process.pid

    def delivery(self, seconds: float) -> Delivery:
        """The next frame that all have read, or that is overdue.

        Raises `TimeoutError` when there is none within so many seconds.
        """
        told = self._next(self._frames, seconds, "frame")["frame"]
        return Delivery(**{**told, "samples": tuple(told["samples"])})

    def sums(self) -> Sums:
        """The sums so far."""
        self._tell("stats")
        return Sums(**self._next(self._replies, REPLY, "answer to stats")["stats"])

    def close(self) -> Closed:
        """Close all streams; gives the sums."""
        self._tell("close")
        return Closed(**self._next(self._replies, REPLY, "answer to close")["closed"])

    def _tell(self, command: str) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _next(
        self, lines: queue.SimpleQueue[dict[str, Any] | None], seconds: float, what: str
    ) -> dict[str, Any]:
        try:
            line = lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no {what} within {seconds:.1f} s") from None
        if line is None:
            lines.put(None)
            raise self._ended()
        return line

    def _ended(self) -> RuntimeError:
        return RuntimeError(f"streams ended with {self._process.wait(REPLY)}: {said(self._errors)}")

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for text in process.stdout:
            line = json.loads(text)
            (self._frames if "frame" in line else self._replies).put(line)
        self._frames.put(None)
        self._replies.put(None)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._errors: IO[str] = stack.enter_context(tempfile.TemporaryFile("w+"))
            self._process = stack.enter_context(running(self._words, self._cores, self._errors))
            reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            reader.start()
            stack.callback(reader.join)  # before the pipe is closed that it reads
            stack.callback(self._process.kill)
            self.opened = Opened(**self._next(self._replies, self._patience, "open streams"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
