"""From action to eye: from the first byte of a completion until everyone watching has read it.

PostgreSQL and Redis, 10,000 streams, one server process and two. Unlike the fan-out this has the
whole way in it: the token, the rate limit, the durable commit, the board in Redis and its news.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from bench import load
from bench.arena import Arena, Disagreement, Figures, Match, Part
from bench.contestants import scoreboard
from bench.contestants.running import PATIENCE, Running
from bench.databases import Databases
from bench.events import Contestant, Events
from bench.fanout import LEADERS, PLAYERS, Completions

NAME = "eye"
SECONDS = 90.0  # of a round

SCOREBOARD = "Scoreboard"
TWO = "Scoreboard, two processes"

STREAMS = 10_000
EVENTS = 30
UNCOUNTED = 3  # events before those that count: buffers have their size, code is warm
INTERVAL_MS = 100  # of the throttle, which has rested before each event
# Seconds between an event that all have and the next: the throttle rests for an interval, and for
# another one when its process has heard its own news from Redis.
PAUSE = 0.25
THROTTLE_MS = 500  # where the throttle itself is looked at: the service's default

BESIDE = 200.0  # completions a second, by players who are far from the top 10
LONGEST = 60.0  # seconds of them, if the events take so long
MOVING = 50.0  # completions a second that each move the top 10
MOVING_SECONDS = 10.0
QUIET = 1.5  # seconds without a frame, after which the last one has come: three intervals

CALM = "nothing else going on"
BUSY = f"{BESIDE:.0f} completions/s beside"
THROTTLED = f"{MOVING:.0f} completions/s that each move the top 10"


class Seen(NamedTuple):
    """One completion: when it was sent and answered (ns), and how it reached everyone."""

    sent: int
    answered: int
    delivery: load.Delivery

    def waits_ms(self) -> list[float]:
        """How long a hundred streams that stand for all waited for it."""
        return [(at - self.sent) / 1e6 for at in self.delivery.samples]


class Watched(Events):
    """Completions one after the other, each when all have seen the one before."""

    def watch(self, count: int) -> list[Seen]:
        """Complete; gives when each was answered and seen."""
        found = []
        for _ in range(count):
            time.sleep(PAUSE)
            self._number += 1
            sent = time.monotonic_ns()
            self._contestant.publish(self._connection, self._number)
            answer = self._connection.getresponse()
            said = answer.read()
            answered = time.monotonic_ns()
            if answer.status != 200:
                raise Disagreement(f"a completion was answered with {answer.status}: {said!r}")
            found.append(Seen(sent, answered, self._delivery(sent)))
        return found


def run(arena: Arena) -> Part:
    """One process and two, calm and busy, and the throttle."""
    with Databases(scoreboard.Seed(PLAYERS, leaders=LEADERS)) as databases:
        part = arena.play(NAME, list(_matches(arena, databases)))
        part.versions.update(databases.versions())
        return part


def _matches(arena: Arena, databases: Databases) -> Iterator[Match]:
    for case, rate in ((CALM, 0.0), (BUSY, BESIDE)):
        for name, processes in ((SCOREBOARD, 1), (TWO, 2)):
            contestant = _contestant(arena, databases, name, processes, INTERVAL_MS)
            yield Match(name, case, partial(_measure, arena, contestant, rate), _tell)
    contestant = _contestant(arena, databases, SCOREBOARD, 1, THROTTLE_MS)
    play = partial(_measure_throttle, arena, contestant)
    yield Match(SCOREBOARD, THROTTLED, play, _tell_throttle)


def _contestant(
    arena: Arena, databases: Databases, name: str, processes: int, interval_ms: int
) -> Contestant:
    start = partial(_serving, arena, databases, name, processes, interval_ms)
    return Contestant(start, scoreboard.STREAM, Completions())


@contextmanager
def _serving(
    arena: Arena, databases: Databases, name: str, processes: int, interval_ms: int
) -> Iterator[Running]:
    with databases.for_scoreboard() as fresh:
        settings = {
            **fresh.settings,
            "SCOREBOARD_BROADCAST_INTERVAL_MS": str(interval_ms),
            "WEB_CONCURRENCY": str(processes),
        }
        if interval_ms == INTERVAL_MS:
            arena.introduce(
                name, version=scoreboard.version(), command=scoreboard.command(settings)
            )
        with scoreboard.serving(settings) as running:
            running.settle()
            running.pin(arena.cores.one if processes == 1 else arena.cores.two)
            yield running


def _streams(arena: Arena, running: Running) -> load.Streams:
    return load.Streams(
        arena.programs,
        running.address,
        scoreboard.STREAM,
        count=STREAMS,
        cores=arena.cores.client,
    )


def _measure(arena: Arena, contestant: Contestant, rate: float) -> Figures:
    with contestant.start() as running, _streams(arena, running) as clients:
        watched = Watched(contestant, running, clients, STREAMS)
        with _completing(arena, running, range(LEADERS, PLAYERS), rate, LONGEST) as beside:
            watched.watch(UNCOUNTED)
            seen = watched.watch(EVENTS)
            if beside and beside.done():
                raise Disagreement(f"the events took longer than {LONGEST:.0f} s")
        watched.end()
    waits = sorted(wait for one in seen for wait in one.waits_ms())
    lasts = [(one.delivery.last - one.sent) / 1e6 for one in seen]
    answers = sorted((one.answered - one.sent) / 1e6 for one in seen)
    return {
        "events": len(seen),
        "answer_p50_ms": median(answers),
        "answer_max_ms": answers[-1],
        "first_ms": median((one.delivery.first - one.sent) / 1e6 for one in seen),
        "p50_ms": waits[len(waits) // 2],
        "p99_ms": waits[len(waits) * 99 // 100],
        "all_ms": median(lasts),
        "worst_ms": max(lasts),
    }


def _measure_throttle(arena: Arena, contestant: Contestant) -> Figures:
    with contestant.start() as running, _streams(arena, running) as clients:
        Watched(contestant, running, clients, STREAMS)  # has taken in what an opening brings
        frames = []
        with _completing(arena, running, range(LEADERS), MOVING, MOVING_SECONDS) as moving:
            while moving:
                try:
                    frames.append(clients.delivery(QUIET))
                except TimeoutError:
                    if moving.done():
                        break
        frames.sort(key=lambda frame: frame.first)
        _check_last(running, frames[-1])
        if (lost := clients.close().lost) > 0:
            raise Disagreement(f"{lost} streams were closed by the server")
    between = [(after.p50 - before.p50) / 1e6 for before, after in pairwise(frames)]
    return {
        "frames": len(frames),
        "completions": MOVING * MOVING_SECONDS,
        "shortest_ms": min(between),
        "interval_ms": median(between),
        "longest_ms": max(between),
    }


def _check_last(running: Running, last: load.Delivery) -> None:
    """Raises `Disagreement` unless everyone ended with the top 10 that the API shows."""
    connection = HTTPConnection(*running.address, timeout=PATIENCE)
    connection.request("GET", scoreboard.TOP)
    shown = json.loads(connection.getresponse().read())
    connection.close()
    if last.id != shown["version"] or last.count != STREAMS:
        raise Disagreement(
            f"the last frame, {last.id}, reached {last.count} of {STREAMS}; "
            f"the board shows {shown['version']}"
        )


@contextmanager
def _completing(
    arena: Arena, running: Running, players: range, rate: float, seconds: float
) -> Iterator[Future[load.Answers] | None]:
    """Completions by these players go on for so many seconds, or until the block ends."""
    if not rate:
        yield None
        return
    over = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        templates = [
            scoreboard.completion(scoreboard.COMPLETE, token, load.PLACE.decode())
            for token in scoreboard.bearers(players)
        ]
        completing = thread.submit(
            load.requests,
            arena.programs,
            running.address,
            templates,
            connections=min(len(templates), 8),
            seconds=seconds,
            warmup=0,
            rate=rate,
            cores=arena.cores.client,
            until=over,
        )
        try:
            yield completing
        finally:
            over.set()
        answers = completing.result()
        if answers.statuses != {200: answers.sent}:
            raise Disagreement(f"of {answers.sent} completions {answers.statuses} were answered")


def _tell(found: Figures) -> str:
    return (
        f"answer {found['answer_p50_ms']:.1f} ms, seen p50/p99/last "
        f"{found['p50_ms']:.0f}/{found['p99_ms']:.0f}/{found['all_ms']:.0f} ms"
    )


def _tell_throttle(found: Figures) -> str:
    return (
        f"{found['completions']:.0f} completions, {found['frames']:.0f} frames, "
        f"{found['interval_ms']:.0f} ms apart"
    )
