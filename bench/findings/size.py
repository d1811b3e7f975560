"""The section of what size costs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.arena import Part
from bench.plots import Lines
from bench.report import ABSENT, Column, Goal, Section, at_most, spread, table
from bench.size import (
    ACTIVE,
    CONNECTIONS,
    ENTRIES,
    IN_PROCESS,
    LARGEST,
    NAME,
    OFFSET,
    SCOREBOARD,
    SIZES,
    case_of,
)
from bench.warming import PACE

COMPLETIONS = (
    Column("alone p50, µs", "alone_us"),
    Column(f"req/s, {CONNECTIONS} connections", "rate"),
    Column("app, µs each", "app_us"),
    Column("PostgreSQL, µs each", "postgres_us"),
    Column("Redis, µs each", "redis_us"),
    Column("all three, µs each", "cost_us"),
)
READS = (
    Column("a place and its neighbours p50, µs", "around_us"),
    Column(f"{ENTRIES} entries from the {OFFSET:,}th p50, µs", "deep_us"),
)
WARMTH = (
    Column("loaded, s", "load_s", 1),
    Column(f"loaded beside {PACE:.0f} completions/s, s", "load_beside_s", 1),
    Column("p99 of these, ms", "beside_p99_ms"),
    Column("rebuilt, s", "rebuild_s", 1),
    Column("first answer, Redis loaded, s", "start_s", 1),
    Column("first answer, Redis empty, s", "start_empty_s", 1),
)
MEMORY = (
    Column("Redis, bytes a player", "redis_bytes"),
    Column("PostgreSQL, bytes a player", "postgres_bytes"),
)
MEMORY_IN_PROCESS = (
    Column("process, MiB", "process_mib"),
    Column("of it, bytes a player", "process_bytes"),
    Column("first answer, s", "start_s", 1),
)
CPU = {
    "Scoreboard, PostgreSQL and Redis": "cost_us",
    "the app": "app_us",
    "PostgreSQL": "postgres_us",
    "Redis": "redis_us",
}
WAITS = {
    "a completion": "alone_us",
    "a place and its neighbours": "around_us",
    f"{ENTRIES} entries from the {OFFSET:,}th": "deep_us",
}
BOARD = {"loaded into Redis": "load_s", "rebuilt from the log, and loaded": "rebuild_s"}

INTRO = f"""The same calls with more players on the board, one board. "Alone" is one call at a time.
{ACTIVE:,} players, spread over all, complete something at each size; the costs are CPU of one core.
{LARGEST:,} players are not rebuilt, nor loaded beside completions, for the time it takes."""

WARM = """"Loaded" is from when Redis lost the board until it is there again; a server notices
within a second. "Rebuilt" is `scoreboard rebuild` with no score left: every score from the log,
then the board; it says how far it is. "First answer" is from the start of a server to its first top
10, which comes from SQL as long as Redis is being loaded."""


def section(part: Part) -> Section:
    """A row for each size."""
    found = Section("What size costs", [INTRO])
    if lacking := part.notes.get(case_of(LARGEST)):
        found.blocks.append(f"{LARGEST:,} players were left out: they take {lacking}.")
    found.blocks += [
        "### A completion",
        _table(part, SCOREBOARD, COMPLETIONS),
        "### A read, one at a time",
        _table(part, SCOREBOARD, READS),
        "### Until the board is there",
        WARM,
        _table(part, SCOREBOARD, WARMTH),
        "### Memory",
        "PostgreSQL: accounts and scores with their indexes, without the log.",
        _table(part, SCOREBOARD, MEMORY),
        "SQLite, with the board in the server's process:",
        _table(part, IN_PROCESS, MEMORY_IN_PROCESS),
    ]
    found.goals = _goals(part)
    found.plots = [
        _lines(part, "cpu", "CPU of a completion, by the number of players", CPU, "µs"),
        _lines(part, "waits", "p50 of one call at a time, by the number of players", WAITS, "µs"),
        _lines(part, "board", "Until a board is there, by the number of players", BOARD, "s"),
    ]
    return found


def _lines(part: Part, name: str, title: str, figures: Mapping[str, str], unit: str) -> Lines:
    values: dict[str, dict[float, list[float]]] = {
        label: {n: part.each(case_of(n), SCOREBOARD, figure) for n in _sizes(part, SCOREBOARD)}
        for label, figure in figures.items()
    }
    return Lines(f"{NAME}-{name}", title, "players", unit, values)


def _table(part: Part, contestant: str, columns: tuple[Column, ...]) -> str:
    rows = [
        [
            f"{players:,}",
            *(
                spread(part.each(case_of(players), contestant, column.figure), column.digits)
                for column in columns
            ),
        ]
        for players in _sizes(part, contestant)
    ]
    return table(["players", *(column.heading for column in columns)], rows, numbers=True)


def _sizes(part: Part, contestant: str) -> list[int]:
    """Those that were played, or should have been."""
    has_largest = any(contestant in one.get(case_of(LARGEST), {}) for one in part.rounds)
    return [*SIZES, LARGEST] if has_largest else [*SIZES]


def _goals(part: Part) -> list[Goal]:
    most = SIZES[-1]
    told = part.each(case_of(most), SCOREBOARD, "rebuild_progress")
    return [
        *(_growth(part, players) for players in _sizes(part, SCOREBOARD) if players >= most),
        at_most(
            f"{most:,} players loaded in under 5 s",
            5.0,
            part.each(case_of(most), SCOREBOARD, "load_s"),
            digits=1,
        ),
        Goal(
            f"A rebuild of {most:,} players says how far it is",
            f"{spread(told)} times" if told else ABSENT,
            all(told) if told else None,
            "it said nothing",
        ),
    ]


def _growth(part: Part, players: int) -> Goal:
    fewest = SIZES[0]
    bound = math.log(players) / math.log(fewest)
    return at_most(
        f"A completion with {players:,} players costs at most {bound:.2f} of one with {fewest:,}: "
        "no faster than log N",
        bound,
        part.ratios(
            case_of(players), SCOREBOARD, SCOREBOARD, "cost_us", their_case=case_of(fewest)
        ),
    )
