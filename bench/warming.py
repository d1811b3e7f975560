"""How long until a board is there: at a start, when Redis has lost it, after a rebuild."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from bench import load
from bench.arena import Disagreement
from bench.contestants import scoreboard
from bench.contestants.running import PATIENCE, Running, new_folder
from tests.support.backends import Postgres, Redis
from tests.support.server import environment

MARK = "scoreboard:{all-time}:mark"  # a board without it is loaded by whoever looks next
WARM = 120.0  # seconds for a board to be loaded
REBUILT = 300.0  # seconds for a rebuild
POLL = 0.02  # seconds between two looks for the mark
CONNECTIONS = 64
PACE = 500.0  # completions a second while a board is loaded
GOING = 1.0  # seconds of them before the load begins


class Beside(NamedTuple):
    """A load with completions going on: its seconds, and the p99 of theirs in milliseconds."""

    seconds: float
    p99_ms: float


class Rebuilt(NamedTuple):
    """A rebuild: its seconds, and how often it said how far it was."""

    seconds: float
    progress: int


@contextmanager
def started(
    settings: Mapping[str, str], *, file: Path | None = None
) -> Iterator[tuple[Running, float]]:
    """A server, and the seconds from its start to its first answer."""
    began = time.monotonic()
    with scoreboard.serving(settings, file=file) as running:
        connection = HTTPConnection(*running.address, timeout=PATIENCE)
        connection.request("GET", scoreboard.TOP)
        answer = connection.getresponse()
        answer.read()
        took = time.monotonic() - began
        connection.close()
        if answer.status != 200:
            raise Disagreement(f"the first answer was {answer.status}")
        yield running, took


def wait_until_loaded(redis: Redis) -> None:
    """Return when the board is in Redis, whole."""
    end = time.monotonic() + WARM
    while not redis.command("EXISTS", MARK):
        if time.monotonic() > end:
            raise Disagreement(f"the board was not loaded within {WARM:.0f} s")
        time.sleep(POLL)


def load_again(redis: Redis) -> float:
    """Seconds from when Redis lost the board until it is there again: a server looks each second,
    and then loads.
    """
    began = time.monotonic()
    redis.command("DEL", MARK)
    wait_until_loaded(redis)
    return time.monotonic() - began


def load_beside_completions(
    programs: Path, running: Running, redis: Redis, templates: Sequence[bytes], *, first_key: int
) -> Beside:
    """The same while `PACE` completions a second go on, for as long as it takes."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        completing = thread.submit(
            load.requests,
            programs,
            running.address,
            templates,
            connections=CONNECTIONS,
            seconds=GOING + WARM,
            warmup=0,
            rate=PACE,
            first_key=first_key,
            until=over,
        )
        try:
            time.sleep(GOING)
            took = load_again(redis)
        finally:
            over.set()
        answers = completing.result()
    if answers.statuses != {200: answers.sent}:
        raise Disagreement(f"of {answers.sent} completions {answers.statuses} were answered")
    return Beside(took, answers.latency.p99)


def rebuild(
    postgres: Postgres, redis: Redis, database: str, settings: Mapping[str, str]
) -> Rebuilt:
    """All scores made anew from the log by the command, and the board of them; no server runs.

    Raises `Disagreement` unless the new scores add up to the log.
    """
    points = "SELECT SUM(points) AS points FROM action_log"
    (log,) = postgres.fetch(points, database=database)
    postgres.execute("TRUNCATE scores", database)
    redis.flush()
    began = time.monotonic()
    with new_folder("rebuild") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "scoreboard", "rebuild"],
            env=environment(folder, **settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=REBUILT,
        )
    took = time.monotonic() - began
    if done.returncode or not redis.command("EXISTS", MARK):
        raise Disagreement(f"the rebuild ended with {done.returncode}: {done.stderr[-300:]}")
    (made,) = postgres.fetch("SELECT SUM(total) AS points FROM scores", database=database)
    if made != log:
        raise Disagreement(f"rebuilt scores of {made['points']}, a log of {log['points']} points")
    postgres.execute("VACUUM ANALYZE scores", database)
    return Rebuilt(took, done.stdout.count(" players, "))
