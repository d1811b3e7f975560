"""What size costs: the same calls with 10,000 players up to 10,000,000.

On PostgreSQL and Redis, and for memory and starts with the board in the process too. The players of
a size are made once; each round then meets them again, and adds completions of its own.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import load, population, processes, warming
from bench.arena import Arena, Disagreement, Figures, Match, Part
from bench.contestants import scoreboard
from bench.contestants.running import Running, new_folder
from bench.databases import Databases
from bench.reading import get
from scoreboard.board.redis.keys import keys_of
from scoreboard.periods import ALL_TIME, Period
from tests.support import backends

NAME = "size"
SECONDS = 330.0  # of a round

SCOREBOARD = "Scoreboard"
IN_PROCESS = "Scoreboard on SQLite"

SIZES = (10_000, 100_000, 1_000_000)  # players
# On PostgreSQL and Redis alone, and never rebuilt, nor loaded beside completions: that would take
# seven minutes more of each round.
LARGEST = 10_000_000
ROOM = 10 << 30  # bytes of disk: PostgreSQL has 5.4 GB of `LARGEST`, and its write-ahead log
MEMORY = 6 << 30  # bytes: 1.8 GB of it in Redis, the rest for what PostgreSQL reads

ACTIVE = 10_000  # players who complete something: as many at each size
ALONE_SECONDS = 2.0  # one call at a time
CONNECTIONS = 64
SECONDS_EACH = 5.0
WARM_UP = 1.0  # seconds
ENTRIES = 100  # of a deep page
OFFSET = 9_900  # where it begins: the smallest board has as many
READERS = 1_000  # players whose place is asked for

SETTINGS = {"SCOREBOARD_BOARDS": "all-time"}

_first_keys = itertools.count(0, 100_000_000)  # of runs, so that no key is ever used twice


def case_of(players: int) -> str:
    """The name of a case."""
    return f"{players:,} players"


def run(arena: Arena) -> Part:
    """Every size, on PostgreSQL and Redis and then in the process."""
    with ExitStack() as stack:
        folder = stack.enter_context(new_folder("size"))
        databases = stack.enter_context(Databases(scoreboard.Seed(0)))
        arena.progress.say(f"{NAME}: the players are being made, which takes a minute")
        lacking = _lacking()
        sizes = SIZES if lacking else (*SIZES, LARGEST)
        for players in sizes:
            databases.postgres.create_database(_name(players))
            population.fill_postgres(databases.postgres, _name(players), players)
        files = {players: population.sqlite_file(folder, players) for players in (0, *SIZES)}
        part = arena.play(NAME, list(_matches(arena, databases, sizes, files)))
        part.versions.update(databases.versions())
        if lacking:
            part.notes[case_of(LARGEST)] = lacking
        return part


def _lacking() -> str:
    """What this machine has too little of for the largest size; empty when it has enough."""
    found = (
        ("disk", ROOM, shutil.disk_usage(backends.run().on_disk).free),
        ("memory", MEMORY, processes.free_memory()),
    )
    return ", ".join(
        f"{needed / 2**30:.0f} GiB of {what} (here {free / 2**30:.0f})"
        for what, needed, free in found
        if free < needed
    )


def _matches(
    arena: Arena, databases: Databases, sizes: Sequence[int], files: Mapping[int, Path]
) -> Iterator[Match]:
    for players in sizes:
        play = partial(_measure, arena, databases, players)
        yield Match(SCOREBOARD, case_of(players), play, _tell)
    for players in SIZES:
        play = partial(_measure_in_process, arena, files, players)
        yield Match(IN_PROCESS, case_of(players), play, _tell_memory)


def _name(players: int) -> str:
    return f"size-{players}"


def _measure(arena: Arena, databases: Databases, players: int) -> Figures:
    name, redis = _name(players), databases.redis
    settings = {
        **SETTINGS,
        "DATABASE_URL": databases.postgres.url_of(name),
        "REDIS_URL": redis.url,
    }
    arena.introduce(SCOREBOARD, version=scoreboard.version(), command=scoreboard.command(settings))
    redis.flush()
    databases.postgres.execute("CHECKPOINT")  # none is due while somebody is measured
    with warming.started(settings) as (_, start_empty):
        warming.wait_until_loaded(redis)
        held = _board_bytes(databases)
    with warming.started(settings) as (running, start):
        running.settle()
        templates = [
            scoreboard.completion(scoreboard.COMPLETE, token, load.PLACE.decode())
            for token in population.bearers(players, ACTIVE)
        ]
        completed = _complete(arena, databases, running, templates, name)
        read = _read(arena, running, players)
        load_s = warming.load_again(redis)
        beside = _beside(arena, databases, running, templates) if players != LARGEST else {}
    table_bytes = _table_bytes(databases, name)
    rebuilt = _rebuild(databases, name, settings) if players != LARGEST else {}
    return {
        "players": players,
        "start_empty_s": start_empty,
        "start_s": start,
        "redis_bytes": held / players,
        "postgres_bytes": table_bytes / players,
        **completed,
        **read,
        "load_s": load_s,
        **beside,
        **rebuilt,
    }


def _beside(
    arena: Arena, databases: Databases, running: Running, templates: Sequence[bytes]
) -> Figures:
    loaded = warming.load_beside_completions(
        arena.programs, running, databases.redis, templates, first_key=next(_first_keys)
    )
    return {"load_beside_s": loaded.seconds, "beside_p99_ms": loaded.p99_ms}


def _rebuild(databases: Databases, name: str, settings: Mapping[str, str]) -> Figures:
    rebuilt = warming.rebuild(databases.postgres, databases.redis, name, settings)
    return {"rebuild_s": rebuilt.seconds, "rebuild_progress": rebuilt.progress}


def _complete(
    arena: Arena, databases: Databases, running: Running, templates: Sequence[bytes], name: str
) -> Figures:
    """How long a completion takes alone, and what many cost each process."""
    before = _logged(databases, name)
    alone = load.requests(
        arena.programs,
        running.address,
        templates,
        connections=1,
        seconds=ALONE_SECONDS,
        first_key=next(_first_keys),
    )
    app, used = running.cpu_seconds(), databases.usage()
    many = load.requests(
        arena.programs,
        running.address,
        templates,
        connections=CONNECTIONS,
        seconds=SECONDS_EACH,
        warmup=WARM_UP,
        first_key=next(_first_keys),
    )
    app, used = running.cpu_seconds() - app, databases.usage().since(used)
    for answers in (alone, many):
        if set(answers.statuses) != {200} or answers.broken:
            raise Disagreement(f"completions were answered with {answers.statuses}")
    done, rows = len(alone.keys) + len(many.keys), _logged(databases, name) - before
    if rows != done:
        raise Disagreement(f"{done} completions were answered, and {rows} are in the log")
    each_us = 1e6 / len(many.keys)
    return {
        "alone_us": alone.latency.p50 * 1000,
        "rate": many.rate,
        "cost_us": (app + used.postgres + used.redis) * each_us,
        "app_us": app * each_us,
        "postgres_us": used.postgres * each_us,
        "redis_us": used.redis * each_us,
    }


def _read(arena: Arena, running: Running, players: int) -> Figures:
    """How long it takes to read a place with its neighbours, and a deep page."""
    chosen = range(0, players, players // READERS)
    asked = {
        "around_us": [get(f"/api/v1/players/{population.id_of(n)}") for n in chosen],
        "deep_us": [get(f"{scoreboard.TOP}?offset={OFFSET}&limit={ENTRIES}")],
    }
    figures = {}
    for figure, templates in asked.items():
        answers = load.requests(
            arena.programs,
            running.address,
            templates,
            connections=1,
            seconds=ALONE_SECONDS,
        )
        if set(answers.statuses) != {200} or answers.broken:
            raise Disagreement(f"{templates[0]!r} was answered with {answers.statuses}")
        figures[figure] = answers.latency.p50 * 1000
    return figures


def _measure_in_process(arena: Arena, files: Mapping[int, Path], players: int) -> Figures:
    """Memory and start with the board in the server's process."""
    arena.introduce(IN_PROCESS, version=scoreboard.version(), command=scoreboard.command(SETTINGS))
    held = {}
    for size in (0, players):
        with warming.started(SETTINGS, file=files[size]) as (running, start):
            running.settle()
            held[size] = running.memory_bytes()
    return {
        "players": players,
        "start_s": start,
        "process_mib": held[players] / 2**20,
        "process_bytes": (held[players] - held[0]) / players,
    }


def _board_bytes(databases: Databases) -> int:
    """What Redis keeps for the board, counted to its last member: of all that Redis uses, buffers
    and what a flush has not given back yet may be more than a small board.
    """
    keys = keys_of(Period(ALL_TIME, ""))
    return sum(
        int(databases.redis.command("MEMORY", "USAGE", key, "SAMPLES", 0))
        for key in (keys.order, keys.rows)
    )


def _logged(databases: Databases, name: str) -> int:
    query = "SELECT COUNT(*) AS it FROM action_log"
    return int(databases.postgres.fetch(query, database=name)[0]["it"])


def _table_bytes(databases: Databases, name: str) -> int:
    """Of all accounts and scores, with their indexes."""
    query = "SELECT pg_total_relation_size('accounts') + pg_total_relation_size('scores') AS it"
    return int(databases.postgres.fetch(query, database=name)[0]["it"])


def _tell(found: Figures) -> str:
    return (
        f"a completion {found['alone_us']:.0f} µs, {found['rate']:,.0f}/s; "
        f"loaded in {found['load_s']:.1f} s"
    )


def _tell_memory(found: Figures) -> str:
    return f"{found['process_mib']:.0f} MiB, started in {found['start_s']:.1f} s"
