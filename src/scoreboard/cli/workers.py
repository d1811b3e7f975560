"""Several processes that serve behind one socket: started, watched, replaced and ended by this one.

The parent listens and serves nobody; its workers inherit the socket and take connections from it in
turn. They are new Python processes (`spawn`), since a forked one would share locks and threads.

uvicorn has a supervisor too. Ours is another one because that one waits for its workers without end
when they should stop, starts those that cannot start again and again, hears a signal only when it
is done asking each worker how it is, leaves the workers behind when it is killed, and offers no
place to say which worker has died.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import Final, Protocol

from scoreboard.errors import SettingsError
from scoreboard.telemetry import metrics

# Seconds from the wish to stop until workers are killed. They have less to do in and are gone by
# then; the process as a whole is gone within five.
STOP_WITHIN: Final = 4.5
# Workers that may be killed before they serve, one after the other, until the whole gives up: one
# may be bad luck, but a machine without memory for them has the same for every other.
FAILED_STARTS: Final = 3

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SPAWN: Final = multiprocessing.get_context("spawn")

logger = logging.getLogger(__name__)


class Serve(Protocol):
    """Serves on the socket until told to stop, and gives the exit status. Can be pickled."""

    def __call__(self, listener: socket.socket, on_ready: Callable[[], None]) -> int:
        """Call `on_ready` once connections are taken."""
        ...


def supervise(
    number: int, serve: Serve, *, listener: socket.socket, announce: Callable[[], None]
) -> int:
    """Keep `number` workers serving until a signal; gives the exit status.

    Calls `announce` when the first of them serves. A worker that dies is replaced. One that ends by
    itself before it serves would do so again: then all of it ends, with its status. Ends by the
    signal that it got, as a process that serves alone does, and with 130 after Ctrl-C.
    """
    with _heard() as heard, _shared_metrics() as folder:
        workers = _Workers(number, serve, listener, folder, heard)
        try:
            status = workers.run(announce)
        finally:
            workers.end()
    if signal.SIGINT in heard.signals:
        return 128 + signal.SIGINT
    for received in heard.signals:  # nothing is left to do: now it may do what it does by default
        signal.raise_signal(received)
    return status


class _Heard:
    """The signals that came, and a descriptor that can be read when there is another."""

    def __init__(self, descriptor: socket.socket) -> None:
        self.signals: list[int] = []
        self.descriptor = descriptor

    def take(self, number: int, _: object) -> None:
        self.signals.append(number)

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.descriptor.recv(64):
                pass


class _Worker:
    """A process that serves, or is about to."""

    def __init__(self, serve: Serve, listener: socket.socket) -> None:
        self.line, theirs = _SPAWN.Pipe(duplex=False)
        self.process = _SPAWN.Process(target=_work, args=(serve, listener, theirs), daemon=True)
        self.is_serving = False
        # Started first: it unblocks the signals that are to stay blocked here.
        resource_tracker.ensure_running()
        # Ctrl-C goes to all processes at once. A worker has nothing to answer it with until it has
        # got as far as `_work`.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.pid = self.process.pid or 0

    def hear(self) -> bool:
        """Take its word that it serves. If it has died instead, its sentinel tells."""
        with contextlib.suppress(EOFError, OSError):
            self.is_serving = bool(self.line.recv())
        return self.is_serving

    def bury(self) -> int:
        """Wait for its end, which has come, and give its exit status: below zero for a signal."""
        self.process.join()
        status = self.process.exitcode or 0
        self.process.close()
        self.line.close()
        return status


class _Workers:
    """The workers that there are now."""

    def __init__(
        self, number: int, serve: Serve, listener: socket.socket, folder: Path, heard: _Heard
    ) -> None:
        self._number = number
        self._serve = serve
        self._listener = listener
        self._folder = folder
        self._heard = heard
        self._all: list[_Worker] = []
        self._failed_starts = 0

    def run(self, announce: Callable[[], None]) -> int:
        """Keep them serving until a signal, or until one cannot start; gives the exit status."""
        is_announced = False
        while not self._heard.signals:
            while len(self._all) < self._number:
                self._all.append(_Worker(self._serve, self._listener))
            starting = {worker.line: worker for worker in self._all if not worker.is_serving}
            for line in self._wait(*starting):
                if isinstance(line, connection.Connection) and starting[line].hear():
                    self._failed_starts = 0
                    if not is_announced:
                        announce()
                        is_announced = True
            for worker in self._dead():
                if status := self._replace(worker):
                    return status
        return 0

    def end(self) -> None:
        """Tell all to stop, wait as long as they may take, and kill who is left."""
        self._listener.close()  # whoever comes now is refused instead of kept waiting
        for worker in self._all:
            worker.process.terminate()
        deadline = time.monotonic() + STOP_WITHIN
        while self._all and (left := deadline - time.monotonic()) > 0:
            if self._heard.signals.count(signal.SIGINT) > 1:
                break  # Ctrl-C again: what is committed is kept
            self._wait(timeout=left)
            for worker in self._dead():
                worker.bury()
        for worker in self._all:
            logger.error("worker %d is killed before it has stopped", worker.pid)
            worker.process.kill()
            worker.bury()

    def _wait(self, *others: connection.Connection, timeout: float | None = None) -> list[object]:
        sentinels = [worker.process.sentinel for worker in self._all]
        ready = connection.wait([self._heard.descriptor, *sentinels, *others], timeout)
        self._heard.clear()
        return list(ready)

    def _dead(self) -> list[_Worker]:
        """Those that have ended, who are none of the workers from here on."""
        dead = [worker for worker in self._all if not worker.process.is_alive()]
        self._all = [worker for worker in self._all if worker not in dead]
        return dead

    def _replace(self, worker: _Worker) -> int:
        """Let another take its place; gives a status instead if all must end."""
        status = worker.bury()
        try:
            metrics.retire(self._folder, worker.pid)
        except Exception:  # what it counted is not worth the service
            logger.exception("what worker %d counted is lost", worker.pid)
        if self._heard.signals:
            return 0
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        if worker.is_serving:
            logger.warning("worker %d ended %s: another takes its place", worker.pid, how)
            return 0
        self._failed_starts += 1
        if status > 0 or self._failed_starts >= FAILED_STARTS:
            logger.critical("worker %d ended %s before it served: stopping", worker.pid, how)
            return max(status, 1)
        logger.warning("worker %d ended %s before it served: trying again", worker.pid, how)
        return 0


def _work(serve: Serve, listener: socket.socket, line: connection.Connection) -> None:
    """What a worker runs."""
    # The parent decides what Ctrl-C means, and tells by SIGTERM.
    _ignore_ctrl_c()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=_outlive_no_parent, name="parent", daemon=True).start()

    def on_ready() -> None:
        _ignore_ctrl_c()  # uvicorn would take one that comes after a SIGTERM for great haste
        with contextlib.suppress(OSError):  # the parent is gone, which is noticed elsewhere
            line.send(True)
        line.close()

    raise SystemExit(serve(listener, on_ready))


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _outlive_no_parent() -> None:
    """Stop when the parent has been killed: nobody else would ever end or replace this process."""
    if parent := multiprocessing.parent_process():
        parent.join()
    logger.error("the process that started this one is gone: stopping")
    if folder := os.environ.get(metrics.FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_WITHIN)
    os._exit(1)


@contextmanager
def _heard() -> Iterator[_Heard]:
    """Note signals instead of ending by them; afterwards they do what they did before."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        heard = _Heard(ours)
        before = {
            number: signal.signal(number, heard.take)
            for number in _SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN  # nohup
        }
        descriptor = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield heard
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _shared_metrics() -> Iterator[Path]:
    """A private folder for what the workers count, named to them in the environment."""
    try:
        folder = tempfile.mkdtemp(prefix="scoreboard-metrics-")
    except OSError as error:
        why = f"several processes need a folder for what they count: {error.strerror}"
        raise SettingsError("TMPDIR", why) from error
    try:
        os.environ[metrics.FOLDER] = folder
        yield Path(folder)
    finally:
        os.environ.pop(metrics.FOLDER, None)
        shutil.rmtree(folder, ignore_errors=True)
