"""Completions: a verified token, a rate limit, an idempotent durable transaction, the board.

Each contestant does all of it for each request, pgbench the database's part alone. After each run
the log is compared with the answers: nothing lost, nothing twice, nothing invented, all sums equal.
Nothing is pinned to a core: PostgreSQL and Redis need them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from bench import agreement, load
from bench.arena import Arena, Disagreement, Figures, Match, Part
from bench.contestants import node, pgbench, scoreboard, starlette
from bench.contestants.running import Running, new_folder
from bench.databases import SLOWER_MS, Databases, Fresh
from bench.load import Missing
from tests.support.server import SECRET

NAME = "writing"
SECONDS = 330.0  # of a round

SCOREBOARD = "Scoreboard"
THREE = "Scoreboard, three boards"
FULL = "Scoreboard on SQLite"
FULL_THREE = "Scoreboard on SQLite, three boards"
NORMAL = "Scoreboard on SQLite, synchronous=NORMAL"
FASTIFY = "Fastify"
PLAIN = "Starlette"
TRANSACTION = "pgbench, four round trips"
STATEMENT = "pgbench, one statement"

PLAYERS = 5_000
FEW, MANY = 64, 256  # connections
PACED = (100, 1_000, 4_000)  # requests a second
SATURATED = {FEW: 8.0, MANY: 5.0}  # seconds, by connections
PACED_SECONDS = 5.0
WARM_UP = 2.0  # seconds before these
PACED_WARM_UP = 1.0
MEETING = 2.0  # seconds before that, as fast as they are answered: every account has been seen
PGBENCH = 8  # seconds
ONE_BOARD = {"SCOREBOARD_BOARDS": "all-time"}  # as the peers keep one
PEERS_PATH = "/actions/solve-a-puzzle/complete"


def saturated(connections: int) -> str:
    """The case in which so many connections ask as fast as they are answered."""
    return f"{connections} connections"


def paced(rate: int) -> str:
    """The case in which so many requests come a second, however fast they are answered."""
    return f"{rate:,} requests/s"


CLIENTS = f"{pgbench.CLIENTS} clients"
SLOW = f"a commit takes {SLOWER_MS:.0f} ms longer"


@dataclass(frozen=True)
class App:
    """A contestant while it runs, and a look at what is kept in its database."""

    running: Running
    path: str  # where a completion is posted to
    kept: Callable[[], agreement.Kept]


Start = Callable[[], AbstractContextManager[App]]


def run(arena: Arena) -> Part:
    """Every contestant in every case."""
    seed = scoreboard.Seed(PLAYERS)
    with ExitStack() as stack:
        file = seed.file(stack.enter_context(new_folder("writing")))
        databases = stack.enter_context(Databases(seed))
        starts = _contestants(arena, databases, file)
        matches = [*_saturated(arena, databases, starts), *_paced(arena, databases, starts)]
        try:
            slow = stack.enter_context(Databases(seed, is_slow=True))
            slow.check_slowness()
        except Missing as missing:
            said = str(missing)
        else:
            said = ""
            matches += _slow(arena, slow)
        part = arena.play(NAME, matches)
        part.versions.update(databases.versions())
        if said:
            part.notes["slow disk"] = said
        return part


def _contestants(arena: Arena, databases: Databases, file: Path) -> dict[str, Start]:
    return {
        SCOREBOARD: partial(on_postgres, arena, databases, SCOREBOARD, ONE_BOARD),
        FASTIFY: partial(_fastify, arena, databases),
        PLAIN: partial(plain, arena, databases),
        THREE: partial(on_postgres, arena, databases, THREE, {}),
        FULL: partial(on_sqlite, arena, file, FULL, ONE_BOARD),
        NORMAL: partial(on_sqlite, arena, file, NORMAL, ONE_BOARD, prelude=scoreboard.NORMAL),
        FULL_THREE: partial(on_sqlite, arena, file, FULL_THREE, {}),
    }


def _saturated(arena: Arena, databases: Databases, starts: Mapping[str, Start]) -> Iterator[Match]:
    for name, start in starts.items():
        yield _match(arena, databases, name, start, connections=FEW)
        if name == SCOREBOARD:  # beside its yardstick, before anything drifts
            yield from _pgbench(arena, databases, CLIENTS)
    for name in (SCOREBOARD, FASTIFY, PLAIN, THREE, FULL):
        yield _match(arena, databases, name, starts[name], connections=MANY)


def _paced(arena: Arena, databases: Databases, starts: Mapping[str, Start]) -> Iterator[Match]:
    for rate in PACED:
        for name in (SCOREBOARD, FASTIFY, THREE, FULL):
            play = partial(measure, arena, databases, starts[name], connections=FEW, rate=rate)
            yield Match(name, paced(rate), play, _tell_latency)


def _slow(arena: Arena, slow: Databases) -> Iterator[Match]:
    ours = partial(on_postgres, arena, slow, SCOREBOARD, ONE_BOARD)
    yield _match(arena, slow, SCOREBOARD, ours, connections=FEW, case=SLOW)
    yield from _pgbench(arena, slow, SLOW)
    theirs = partial(_fastify, arena, slow)
    yield _match(arena, slow, FASTIFY, theirs, connections=FEW, case=SLOW)


def _match(
    arena: Arena, databases: Databases, name: str, start: Start, *, connections: int, case: str = ""
) -> Match:
    play = partial(measure, arena, databases, start, connections=connections)
    return Match(name, case or saturated(connections), play, _tell)


def _pgbench(arena: Arena, databases: Databases, case: str) -> Iterator[Match]:
    scripts = {
        TRANSACTION: "pgbench_transaction.sql",
        STATEMENT: "pgbench_statement.sql",
    }
    for name, script in scripts.items():
        if case == CLIENTS or name == TRANSACTION:
            play = partial(_measure_pgbench, arena, databases, name, script)
            yield Match(name, case, play, _tell)


@contextmanager
def on_postgres(
    arena: Arena, databases: Databases, name: str, boards: Mapping[str, str]
) -> Iterator[App]:
    """Scoreboard on PostgreSQL and Redis."""
    with databases.for_scoreboard() as fresh:
        settings = {**boards, **fresh.settings}
        arena.introduce(name, version=scoreboard.version(), command=scoreboard.command(settings))
        with scoreboard.serving(settings) as running:
            yield App(
                running,
                scoreboard.COMPLETE,
                lambda: agreement.kept_in_postgres(fresh.fetch, "action_log"),
            )


@contextmanager
def on_sqlite(
    arena: Arena, file: Path, name: str, boards: Mapping[str, str], *, prelude: str = ""
) -> Iterator[App]:
    """Scoreboard on a copy of this SQLite file."""
    comment = "  # and PRAGMA synchronous = NORMAL" if prelude else ""
    command = scoreboard.command(boards) + comment
    arena.introduce(name, version=scoreboard.version(), command=command)
    with scoreboard.serving(boards, file=file, prelude=prelude) as running:
        board = running.folder / "board.db"
        yield App(running, scoreboard.COMPLETE, lambda: agreement.kept_in_file(board))


@contextmanager
def _fastify(arena: Arena, databases: Databases) -> Iterator[App]:
    with databases.for_peers() as fresh:
        settings = {**fresh.settings, "JWT_SECRET": SECRET}
        with node.fastify("write.js", **settings) as running:
            arena.introduce(
                FASTIFY, version=node.version(), command=node.command("write.js", **settings)
            )
            yield _peer(running, fresh)


@contextmanager
def plain(arena: Arena, databases: Databases) -> Iterator[App]:
    """Starlette with the three statements of a completion."""
    with databases.for_peers() as fresh:
        settings = {**fresh.settings, "JWT_SECRET": SECRET}
        arena.introduce(
            PLAIN,
            version=starlette.version("databases", "asyncpg", "redis", "joserfc"),
            command=starlette.command("write", **settings),
        )
        with starlette.plain("write", **settings) as running:
            yield _peer(running, fresh)


def _peer(running: Running, fresh: Fresh) -> App:
    return App(running, PEERS_PATH, lambda: agreement.kept_in_postgres(fresh.fetch, "log"))


def measure(
    arena: Arena,
    databases: Databases,
    start: Start,
    *,
    connections: int,
    rate: float | None = None,
    seconds: float | None = None,
) -> Figures:
    """Completions, and their check. Raises `Disagreement` when what is kept is something else."""
    with start() as app:
        app.running.settle()
        templates = [
            scoreboard.completion(app.path, token, load.PLACE.decode()) for token in _bearers()
        ]
        ask = partial(
            load.requests, arena.programs, app.running.address, templates, connections=connections
        )
        # At a pace the accounts would be met one by one while they are measured.
        met = [ask(seconds=MEETING)] if rate else []
        before, before_app = databases.usage(), app.running.cpu_seconds()
        answers = ask(
            seconds=seconds or (PACED_SECONDS if rate else SATURATED[connections]),
            warmup=PACED_WARM_UP if rate or seconds else WARM_UP,
            rate=rate,
            first_key=sum(run.sent for run in met),
        )
        used_app = app.running.cpu_seconds() - before_app
        used = databases.usage().since(before)
        kept = app.kept()
        try:
            agreement.check([*met, answers], kept)
        except Disagreement as error:
            raise Disagreement(f"{error}; it said: {app.running.said()}") from error
        if app.path == scoreboard.COMPLETE:
            boards = tuple(kept.scores)
            agreement.check_boards(
                lambda: scoreboard.sums(app.running.address, boards, PLAYERS), kept
            )
        done = len(answers.keys)
        return {
            "rate": answers.rate,
            "p50_ms": answers.latency.p50,
            "p95_ms": answers.latency.p95,
            "p99_ms": answers.latency.p99,
            "app_us": used_app / done * 1e6,
            "postgres_us": used.postgres / done * 1e6,
            "redis_us": used.redis / done * 1e6,
            "client_share": answers.cpu_share,
            "unanswered": answers.unanswered,
            "checked": done,
            **({} if answers.lag_p99 is None else {"lag_p99_ms": answers.lag_p99}),
        }


def _measure_pgbench(arena: Arena, databases: Databases, name: str, script: str) -> Figures:
    arena.introduce(name, version=pgbench.version(), command=pgbench.command(script, PGBENCH))
    with databases.for_peers() as fresh:
        before = databases.usage()
        result = pgbench.measure(databases.postgres, fresh.name, script, seconds=PGBENCH)
        used = databases.usage().since(before)
        (row,) = fresh.fetch(
            "SELECT COUNT(*) AS rows, SUM(points) AS points, "
            "(SELECT SUM(total) FROM scores) AS total FROM log"
        )
        if row["points"] != row["total"]:
            raise Disagreement(f"log rows of {row['points']} points, scores of {row['total']}")
        return {
            "rate": result.rate,
            "mean_ms": result.mean_ms,
            "postgres_us": used.postgres / row["rows"] * 1e6,
            "checked": row["rows"],
        }


@cache
def _bearers() -> list[str]:
    return scoreboard.bearers(range(PLAYERS))


def _tell(found: Figures) -> str:
    text = f"{found['rate']:,.0f}/s"
    return text + (f", {_tell_latency(found)}" if "p50_ms" in found else "")


def _tell_latency(found: Figures) -> str:
    return f"p50/p95/p99 {found['p50_ms']:.1f}/{found['p95_ms']:.1f}/{found['p99_ms']:.1f} ms"
