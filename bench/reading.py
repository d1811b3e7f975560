"""Reading the board: 1,000 connections that ask as fast as they are answered, and at a pace.

The server has one core, the client another. 100,000 players are on the board.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from bench import load
from bench.arena import Arena, Disagreement, Figures, Match, Part
from bench.contestants import nginx, node, scoreboard, starlette
from bench.contestants.event import event, id_of
from bench.contestants.running import PATIENCE, Running, new_folder
from bench.databases import Databases

NAME = "reading"
SECONDS = 150.0  # of a round

SCOREBOARD = "Scoreboard"
ON_REDIS = "Scoreboard on Redis"
HELLO = "Starlette's hello"
FASTIFY = "Fastify, bytes in memory"
STATIC = "nginx, a file"

PLAYERS = 100_000
CONNECTIONS = 1_000
SECONDS_EACH = 4.0
WARM_UP = 1.0  # seconds
RATE = 1_000  # requests a second, paced
OFFSET = 10_000  # of a deep page: as deep as the API goes
REFUSED = 503  # to whoever would wait too long; only other answers count for the rate
ASKED = 1_000  # players whose place is asked for

TOP = "top 10"
NOT_MODIFIED = "top 10, not modified"
DEEP = f"50 entries from the {OFFSET:,}th"
AROUND = "a player and neighbours"


def paced(case: str) -> str:
    """The case in which a question comes `RATE` times a second."""
    return f"{case} at {RATE:,} requests/s"


Start = Callable[[], AbstractContextManager[Running]]


@dataclass(frozen=True)
class Question:
    """What is asked, and what answers it."""

    templates: Callable[[tuple[str, int]], Sequence[bytes]]
    status: int
    begins: str  # the body


def run(arena: Arena) -> Part:
    """Every contestant in every case."""
    seed = scoreboard.Seed(PLAYERS, points=1)
    with ExitStack() as stack:
        file = seed.file(stack.enter_context(new_folder("reading")))
        databases = stack.enter_context(Databases(seed))
        part = arena.play(NAME, list(_matches(arena, databases, file)))
        part.versions.update(databases.versions())
        return part


QUESTIONS = {
    TOP: Question(lambda _: [get(scoreboard.TOP)], 200, '{"board":"all-time"'),
    NOT_MODIFIED: Question(lambda address: [_conditional(address)], 304, ""),
    DEEP: Question(
        lambda _: [get(f"{scoreboard.TOP}?offset={OFFSET}&limit=50")], 200, '{"board":"all-time"'
    ),
    AROUND: Question(
        lambda _: [get(f"/api/v1/players/{id_of(n)}") for n in range(0, PLAYERS, PLAYERS // ASKED)],
        200,
        '{"userId":"player-',
    ),
}
GREETING = Question(lambda _: [get("/")], 200, "Hello, world!")


def _matches(arena: Arena, databases: Databases, file: Path) -> Iterator[Match]:
    ours: dict[str, Start] = {
        SCOREBOARD: partial(in_process, arena, file),
        ON_REDIS: partial(_on_redis, arena, databases),
    }
    peers: dict[str, tuple[Start, Question]] = {
        HELLO: (partial(hello, arena), GREETING),
        FASTIFY: (partial(_fastify, arena), Question(lambda _: [get("/top")], 200, '{"seq":1')),
        STATIC: (partial(_static, arena), Question(lambda _: [get("/top")], 200, '{"seq":1')),
    }
    for case, question in QUESTIONS.items():
        for name, start in ours.items():
            yield Match(name, case, partial(measure, arena, start, question), _tell)
        if case == TOP:
            for name, (start, theirs) in peers.items():
                yield Match(name, case, partial(measure, arena, start, theirs), _tell)
    for case, question in QUESTIONS.items():
        for name, start in ours.items():
            play = partial(measure, arena, start, question, rate=RATE)
            yield Match(name, paced(case), play, _tell)


@contextmanager
def in_process(arena: Arena, file: Path) -> Iterator[Running]:
    """Scoreboard with the board in its process, on a copy of this SQLite file."""
    arena.introduce(SCOREBOARD, version=scoreboard.version(), command=scoreboard.command({}))
    with scoreboard.serving({}, file=file) as running:
        yield running


@contextmanager
def _on_redis(arena: Arena, databases: Databases) -> Iterator[Running]:
    with databases.for_scoreboard() as fresh:
        arena.introduce(
            ON_REDIS,
            version=scoreboard.version(),
            command=scoreboard.command(fresh.settings),
        )
        with scoreboard.serving(fresh.settings) as running:
            yield running


@contextmanager
def hello(arena: Arena) -> Iterator[Running]:
    """Starlette with nothing behind it."""
    arena.introduce(HELLO, version=starlette.version(), command=starlette.command("hello"))
    with starlette.plain("hello") as running:
        yield running


@contextmanager
def _fastify(arena: Arena) -> Iterator[Running]:
    with new_folder("body") as folder:
        body = folder / "top.json"
        body.write_bytes(event(1))
        with node.fastify("read.js", BODY=str(body)) as running:
            arena.introduce(
                FASTIFY, version=node.version(), command=node.command("read.js", BODY=str(body))
            )
            yield running


@contextmanager
def _static(arena: Arena) -> Iterator[Running]:
    with nginx.static(event(1)) as running:
        arena.introduce(STATIC, version=nginx.version(), command=nginx.command())
        yield running


def get(path: str, *headers: str) -> bytes:
    """The bytes of a request."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: bench", *headers, "", ""]).encode()


def _conditional(address: tuple[str, int]) -> bytes:
    """A request of somebody who has the newest top 10."""
    connection = HTTPConnection(*address, timeout=PATIENCE)
    connection.request("GET", scoreboard.TOP)
    answer = connection.getresponse()
    if len(json.loads(answer.read())["users"]) != 10:
        raise Disagreement("the board is not full")
    connection.close()
    return get(scoreboard.TOP, f"If-None-Match: {answer.headers['ETag']}")


def measure(
    arena: Arena,
    start: Start,
    question: Question,
    *,
    connections: int = CONNECTIONS,
    seconds: float = SECONDS_EACH,
    rate: float | None = None,
) -> Figures:
    """One question over and over. Raises `Disagreement` when an answer is not what it should be."""
    with start() as running:
        running.settle()
        running.pin(arena.cores.one)
        templates = question.templates(running.address)
        before = running.cpu_seconds()
        answers = load.requests(
            arena.programs,
            running.address,
            templates,
            connections=connections,
            seconds=seconds,
            warmup=WARM_UP,
            rate=rate,
            cores=arena.cores.client,
        )
        used = running.cpu_seconds() - before
        total = sum(answers.statuses.values())
        good = answers.statuses.get(question.status, 0)
        refused = answers.statuses.get(REFUSED, 0)
        if not good or good + refused != total or answers.broken:
            raise Disagreement(f"answers were {answers.statuses}, {answers.broken} broke off")
        if not answers.body.startswith(question.begins):
            raise Disagreement(f"the answer was {answers.body[:200]!r}")
        return {
            "rate": answers.rate * good / total,
            "refused_share": refused / total,
            "p50_ms": answers.latency.p50,
            "p95_ms": answers.latency.p95,
            "p99_ms": answers.latency.p99,
            "app_us": used / total * 1e6,
            "client_share": answers.cpu_share,
            "client_user_share": answers.user_share,
            "bytes": answers.sizes[1],
            **({} if answers.lag_p99 is None else {"lag_p99_ms": answers.lag_p99}),
        }


def _tell(found: Figures) -> str:
    refused = f", {found['refused_share']:.0%} refused" if found["refused_share"] else ""
    return (
        f"{found['rate']:,.0f}/s{refused}, p50/p95/p99 "
        f"{found['p50_ms']:.1f}/{found['p95_ms']:.1f}/{found['p99_ms']:.1f} ms"
    )
