"""One event to every open stream: how long until all have it, and what a stream costs.

An event is published over HTTP, and the clock starts before the first byte of that request. The
stream's client reads on another core and counts an event for a stream when it has all of it.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from bench import load
from bench.arena import Arena, Disagreement, Figures, Match, Part
from bench.contestants import nginx, node, scoreboard, starlette
from bench.contestants.event import event
from bench.contestants.running import Running, new_folder
from bench.databases import Databases
from bench.events import Contestant, Events
from bench.processes import stuck_sockets

NAME = "fanout"
SECONDS = 170.0  # of a round

SCOREBOARD = "Scoreboard"
NCHAN = "nginx + nchan"
FASTIFY = "Fastify"
PLAIN = "sse-starlette, a queue each"

SIZES = (1_000, 5_000, 10_000, 19_500)  # streams; the last is what 20,000 open files allow
SIZES_PLAIN = (1_000, 5_000)
BESIDE_STREAMS = 500  # open files that the server and the client need for other things
SIZE_TWO = 10_000  # streams with two processes, and with stalled readers
EVENTS = 20
EVENTS_LARGE = 10  # above 5,000 streams
UNCOUNTED = 3  # events before those that count: buffers have their size, code is warm
INTERVAL_MS = 100  # of Scoreboard's throttle

STALLED = 500
# Events of 900 bytes until a reader that reads nothing holds up its stream: 32 KiB of its server's
# socket buffer and 4 KiB of its own.
FILLING = 45
COMPLETIONS = 200.0  # a second, by players who are far from the top 10
COMPLETING = 20.0  # seconds
LEADERS = 10
PLAYERS = 5_000


def case_of(streams: int, extra: str = "") -> str:
    """The name of a case."""
    return f"{streams:,} streams{extra}"


TWO = case_of(SIZE_TWO, ", two processes")
CALM = case_of(SIZE_TWO, f", {COMPLETIONS:.0f} completions/s")
BESIDE_STALLED = case_of(SIZE_TWO, f", {COMPLETIONS:.0f} completions/s, {STALLED} stalled")


def is_possible(streams: int) -> bool:
    """Whether a process may have as many open files here."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most == resource.RLIM_INFINITY or streams + BESIDE_STREAMS <= most


def run(arena: Arena) -> Part:
    """Every contestant at every size."""
    with ExitStack() as stack:
        folder = stack.enter_context(new_folder("fanout"))
        seed = scoreboard.Seed(PLAYERS, leaders=LEADERS)
        databases = stack.enter_context(Databases(seed))
        file = seed.file(folder)
        part = arena.play(NAME, list(_matches(arena, databases, file)))
        part.versions.update(databases.versions())
        for streams in SIZES:
            if not is_possible(streams):
                part.notes[case_of(streams)] = (
                    "Not measured: no process may have so many open files here (`ulimit -Hn`)."
                )
        return part


def _matches(arena: Arena, databases: Databases, file: Path) -> Iterator[Match]:
    one, two = contestants(arena, file), _contestants_two(arena, databases)
    for streams in filter(is_possible, SIZES):
        for name, contestant in one.items():
            if name != PLAIN or streams in SIZES_PLAIN:
                play = partial(measure, arena, contestant, streams, cores=arena.cores.one)
                yield Match(name, case_of(streams), play, _tell)
    for name, contestant in two.items():
        play = partial(measure, arena, contestant, SIZE_TWO, cores=arena.cores.two)
        yield Match(name, TWO, play, _tell)
    for case, stalled in ((CALM, 0), (BESIDE_STALLED, STALLED)):
        play = partial(_measure_beside_completions, arena, one[SCOREBOARD], stalled)
        yield Match(SCOREBOARD, case, play, _tell)


def contestants(arena: Arena, file: Path) -> dict[str, Contestant]:
    """Each with one process; Scoreboard works on a copy of this SQLite file."""
    settings = {"SCOREBOARD_BROADCAST_INTERVAL_MS": str(INTERVAL_MS)}

    @contextmanager
    def itself() -> Iterator[Running]:
        arena.introduce(
            SCOREBOARD, version=scoreboard.version(), command=scoreboard.command(settings)
        )
        with scoreboard.serving(settings, file=file) as running:
            yield running

    @contextmanager
    def nchan() -> Iterator[Running]:
        with nginx.nchan(1) as running:
            arena.introduce(NCHAN, version=nginx.nchan_version(), command=nginx.command())
            yield running

    @contextmanager
    def fastify() -> Iterator[Running]:
        with node.fastify("stream.js") as running:
            arena.introduce(FASTIFY, version=node.version(), command=node.command("stream.js"))
            yield running

    @contextmanager
    def plain() -> Iterator[Running]:
        arena.introduce(
            PLAIN,
            version=starlette.version("sse-starlette"),
            command=starlette.command("stream"),
        )
        with starlette.plain("stream") as running:
            yield running

    return {
        SCOREBOARD: Contestant(itself, scoreboard.STREAM, Completions()),
        NCHAN: Contestant(nchan, "/stream", post),
        FASTIFY: Contestant(fastify, "/stream", post),
        PLAIN: Contestant(plain, "/stream", post),
    }


def _contestants_two(arena: Arena, databases: Databases) -> dict[str, Contestant]:
    settings = {"SCOREBOARD_BROADCAST_INTERVAL_MS": str(INTERVAL_MS), "WEB_CONCURRENCY": "2"}

    @contextmanager
    def itself() -> Iterator[Running]:
        with databases.for_scoreboard() as fresh:
            given = {**settings, **fresh.settings}
            arena.introduce(
                f"{SCOREBOARD}, two processes",
                version=scoreboard.version(),
                command=scoreboard.command(given),
            )
            with scoreboard.serving(given) as running:
                yield running

    @contextmanager
    def nchan() -> Iterator[Running]:
        with nginx.nchan(2) as running:
            yield running

    @contextmanager
    def fastify() -> Iterator[Running]:
        settings = {"PROCESSES": "2", "REDIS_URL": databases.redis.url}
        with node.fastify("stream.js", **settings) as running:
            arena.introduce(
                f"{FASTIFY}, two processes",
                version=node.version(),
                command=node.command("stream.js", **settings),
            )
            yield running

    return {
        SCOREBOARD: Contestant(itself, scoreboard.STREAM, Completions()),
        NCHAN: Contestant(nchan, "/stream", post),
        FASTIFY: Contestant(fastify, "/stream", post),
    }


class Completions:
    """Publishes by a completion of one of the leaders, which changes a score of the top 10."""

    def __init__(self) -> None:
        self._tokens = scoreboard.bearers(range(LEADERS))

    def __call__(self, connection: HTTPConnection, number: int) -> None:
        """Send the request; the caller reads the answer."""
        token = self._tokens[number % LEADERS]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"event-{number}"}
        connection.request("POST", scoreboard.COMPLETE, b"", headers)


def post(connection: HTTPConnection, number: int) -> None:
    """Publish as the peers want it: the event as a body."""
    connection.request("POST", "/publish", event(number), {"Content-Type": "application/json"})


def measure(
    arena: Arena,
    contestant: Contestant,
    streams: int,
    *,
    cores: frozenset[int],
    count: int | None = None,
) -> Figures:
    """`count` events to so many streams. Raises `Disagreement` when one was not read by all."""
    count = count or (EVENTS if streams <= 5_000 else EVENTS_LARGE)
    with contestant.start() as running:
        running.settle()
        running.pin(cores)
        empty = running.memory_bytes()
        with load.Streams(
            arena.programs,
            running.address,
            contestant.path,
            count=streams,
            cores=arena.cores.client,
        ) as clients:
            events = Events(contestant, running, clients, streams)
            events.publish(UNCOUNTED)
            held = running.memory_bytes() - empty
            figures = events.measure(count)
            events.end()
            return {
                **figures,
                "kib": held / streams / 1024,
                "connections/s": clients.opened.per_second,
                "streams": streams,
            }


def _measure_beside_completions(arena: Arena, contestant: Contestant, stalled: int) -> Figures:
    """Completions go on all the time; the stalled readers are full when events begin to count."""
    players = range(LEADERS, PLAYERS)
    templates = [
        scoreboard.completion(scoreboard.COMPLETE, token, load.PLACE.decode())
        for token in scoreboard.bearers(players)
    ]
    with contestant.start() as running, ThreadPoolExecutor(1) as thread:
        running.settle()
        running.pin(arena.cores.one)
        with load.Streams(
            arena.programs,
            running.address,
            contestant.path,
            count=SIZE_TWO,
            stalled=stalled,
            cores=arena.cores.client,
        ) as clients:
            completing = thread.submit(
                load.requests,
                arena.programs,
                running.address,
                templates,
                connections=8,
                seconds=COMPLETING,
                rate=COMPLETIONS,
                cores=arena.cores.client,
            )
            events = Events(contestant, running, clients, SIZE_TWO)
            events.publish(FILLING)
            figures = events.measure(EVENTS_LARGE)
            stuck = stuck_sockets(running.address[1])
            answers = completing.result()
            events.end(stalled=stalled)
            if set(answers.statuses) != {200}:
                raise Disagreement(f"completions were answered with {answers.statuses}")
            return {**figures, "stuck": stuck, "completion_p99_ms": answers.latency.p99}


def _tell(found: Figures) -> str:
    text = f"all after {found['all_ms']:.0f} ms, {found['cpu_us']:.1f} µs a client"
    if "kib" in found:
        text += (
            f", {found['kib']:.1f} KiB a connection, {found['connections/s']:,.0f} connections/s"
        )
    return text
