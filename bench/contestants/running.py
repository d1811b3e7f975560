"""A contestant that runs: where it listens, which processes it is, how it was started."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from tests.support.backends import free_port, run

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # seconds for a start that should take a moment
TAIL = 300  # characters of a log: its last line says what happened
GRACE = 3.0  # seconds for an end; a server that first waits for its streams is killed then
REST = 0.3  # seconds in which a server that rests uses hardly any CPU
RESTING = 0.07  # the share of a core that is hardly any: two ticks
POLL = 0.02  # seconds between two looks at what cannot be waited for


@dataclass(frozen=True)
class Running:
    """One that can be measured."""

    address: tuple[str, int]
    pid: int  # the parent of all its processes
    folder: Path  # where its files are

    def cpu_seconds(self) -> float:
        """What all its processes have used so far."""
        return processes.cpu_seconds(self.pid)

    def memory_bytes(self) -> int:
        """What all its processes hold now, shared pages once."""
        return processes.memory_bytes(self.pid)

    def said(self) -> str:
        """The end of what it wrote, to tell why it failed."""
        logs = [path for path in self.folder.glob("*.log") if path.stat().st_size]
        return "\n".join(path.read_text("utf-8", "replace")[-TAIL:] for path in logs)

    def settle(self) -> None:
        """Wait until it rests: what starts, starts, and what loads has loaded."""
        end = time.monotonic() + PATIENCE
        before = self.cpu_seconds()
        while time.monotonic() < end:
            time.sleep(REST)
            now = self.cpu_seconds()
            if now - before <= RESTING * REST:
                return
            before = now

    def pin(self, cores: frozenset[int]) -> None:
        """Keep all its processes on these cores."""
        processes.pin(processes.family(self.pid), cores)


@contextmanager
def started(
    words: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Running]:
    """Run a program until the block ends; gives it once it listens on `port`.

    `{port}` in a word stands for the port. Its output goes to a file in `folder`, and to whoever
    reads why it did not start: raises `RuntimeError`.
    """
    port = port or free_port()
    log = folder / "output.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word).replace("{port}", str(port)) for word in words],
            env={"PATH": os.environ["PATH"], "PORT": str(port), **(environment or {})},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C comes here first, and this ends it
        )
    run().add(process.pid)
    members: list[int] = []
    try:
        _wait_until_it_listens(process, port, log)
        members = processes.family(process.pid)[1:]
        run().add(*members)
        yield Running(("127.0.0.1", port), process.pid, folder)
    finally:
        _end(process)
        run().drop(process.pid, *members)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(POLL)
    said = log.read_text("utf-8", "replace")[-TAIL:]
    raise RuntimeError(f"it did not start to listen: {said or 'it said nothing'}")


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # workers whose parent had no time to end them


@contextmanager
def new_folder(name: str) -> Iterator[Path]:
    """A folder that ends with the block, which a server under another account can read too."""
    folder = run().new_folder(name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def shown(words: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """A command as the report has it: without what belongs to this machine or this run alone."""
    given = [
        f"{name}={'…' if 'SECRET' in name else value}"
        for name, value in (environment or {}).items()
    ]
    plain = re.compile(r"[\w@%+=:,./…-]+")
    quoted = (w if plain.fullmatch(w) else shlex.quote(w) for w in map(str, words))
    text = " ".join([*given, *quoted])
    for here, there in ((sys.executable, "python"), (f"{ROOT}/", ""), (str(run().on_disk), "…")):
        text = text.replace(here, there)
    return re.sub(r"(postgresql|redis)://\S*", r"\1://…", text)
