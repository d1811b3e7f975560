"""The section of the completions."""

from __future__ import annotations

from bench.arena import Part
from bench.databases import SLOWER_MS
from bench.plots import Bars
from bench.report import Column, Goal, Section, at_least, at_most, comparison
from bench.writing import (
    CLIENTS,
    FASTIFY,
    FEW,
    FULL,
    FULL_THREE,
    MANY,
    MEETING,
    NAME,
    NORMAL,
    PACED,
    PLAIN,
    SCOREBOARD,
    SLOW,
    STATEMENT,
    THREE,
    TRANSACTION,
    paced,
    saturated,
)

CONTESTANTS = (SCOREBOARD, THREE, FASTIFY, PLAIN, FULL, NORMAL, FULL_THREE)
RATE = Column("req/s", "rate")
LATENCY = (
    Column("p50, ms", "p50_ms", 1),
    Column("p95, ms", "p95_ms", 1),
    Column("p99, ms", "p99_ms", 1),
)
COSTS = (
    Column("app, µs each", "app_us"),
    Column("PostgreSQL, µs each", "postgres_us"),
    Column("Redis, µs each", "redis_us"),
    Column("load client, % of a core", "client_share", 0, 100),
)
DATABASE = (
    RATE,
    Column("mean, ms", "mean_ms", 1),
    Column("PostgreSQL, µs each", "postgres_us"),
)
LAG = Column("client late by (p99), ms", "lag_p99_ms", 2)

INTRO = """A completion is a verified token, a counted call, an idempotent transaction that is on
the disk (`fsync` and `synchronous_commit` on), the board, and an answer with the rank. Scoreboard
and Fastify cache verified tokens. 5,000 accounts, each request with a key of its own. PostgreSQL,
Redis and the load client share the cores with the contestant. The costs are CPU of one core.

The peers keep one board: so does "Scoreboard"; "three boards" is its default. pgbench is the
database's part alone, sixteen clients, without HTTP, token, limit or board. The peers' tables are
leaner than Scoreboard's (`bench/contestants/schema.sql`).

After every run: each key that was answered with 200 is in the log exactly once, the log has nothing
that was not sent, and every board's scores, in SQL and as the API shows them, add up to the log's
points."""

PACE = f"""A request is due whether or not the ones before have been answered, and its time counts
from when it was due. A rate below the one that was asked for is all that there was. For
{MEETING:.0f} s before, each contestant is asked as fast as it answers: it has met the accounts and
their tokens then."""

SLOW_DISK = f"""A library in front of the kernel (`bench/slow_fsync.c`) adds {SLOWER_MS:.0f} ms to
each fsync and fdatasync of PostgreSQL, as a disk at the other end of a network does.
{saturated(FEW)}; pgbench has {CLIENTS}."""


def section(part: Part) -> Section:
    """Tables of the saturated, the paced and the slow cases."""
    few, many = saturated(FEW), saturated(MANY)
    found = Section("Completions", [INTRO])
    found.blocks += [
        f"### {few}, as fast as they are answered",
        _table(part, few, RATE, *LATENCY, *COSTS),
        f"### The database alone, {CLIENTS}",
        comparison(part, CLIENTS, (TRANSACTION, STATEMENT), DATABASE, ours=SCOREBOARD),
        f"### {many}",
        _table(part, many, RATE, *LATENCY, *COSTS),
        "### At a pace",
        PACE,
    ]
    for rate in PACED:
        found.blocks += [
            f"#### {paced(rate)}, {few}",
            _table(part, paced(rate), RATE, *LATENCY, *COSTS, LAG),
        ]
    found.blocks += [f"### When {SLOW}", *_slow(part)]
    found.goals = _goals(part)
    both = {
        **{name: part.each(few, name, "rate") for name in CONTESTANTS},
        **{name: part.each(CLIENTS, name, "rate") for name in (TRANSACTION, STATEMENT)},
    }
    found.plots = [
        Bars(f"{NAME}-rate", f"Completions, {few} (pgbench: {CLIENTS})", "a second", both),
        Bars(
            f"{NAME}-latency",
            f"p95 at a paced {paced(1_000)}",
            "ms",
            {
                name: part.each(paced(1_000), name, "p95_ms")
                for name in (SCOREBOARD, THREE, FULL, FASTIFY)
            },
            digits=1,
        ),
    ]
    return found


def _slow(part: Part) -> list[str]:
    if why := part.notes.get("slow disk"):
        return [f"Not measured: {why}."]
    return [
        SLOW_DISK,
        comparison(
            part,
            SLOW,
            (SCOREBOARD, FASTIFY, TRANSACTION),
            (RATE, *LATENCY, COSTS[0], COSTS[1]),
            ours=SCOREBOARD,
        ),
    ]


def _table(part: Part, case: str, *columns: Column) -> str:
    return comparison(part, case, CONTESTANTS, columns, ours=SCOREBOARD)


def _goals(part: Part) -> list[Goal]:
    few, calm = saturated(FEW), paced(1_000)
    return [
        at_least(
            f"At {few}, one board: the rate of pgbench's four round trips",
            1.0,
            part.ratios(few, SCOREBOARD, TRANSACTION, "rate", their_case=CLIENTS),
        ),
        at_least(
            f"At {few}, one board: three times Fastify's rate",
            3.0,
            part.ratios(few, SCOREBOARD, FASTIFY, "rate"),
        ),
        at_least(
            "Heading for the rate of pgbench's one statement",
            1.0,
            part.ratios(few, SCOREBOARD, STATEMENT, "rate", their_case=CLIENTS),
        ),
        at_least(
            "Three boards: at least 0.7 of the rate with one",
            0.7,
            part.ratios(few, THREE, SCOREBOARD, "rate"),
        ),
        at_most(
            f"p95 at most 2 ms at a paced {calm}",
            2.0,
            part.each(calm, SCOREBOARD, "p95_ms"),
        ),
        at_most(
            f"p99 at most 5 ms at a paced {calm}",
            5.0,
            part.each(calm, SCOREBOARD, "p99_ms"),
        ),
        at_least(
            "SQLite: `synchronous=FULL` at least 0.9 of the rate of NORMAL",
            0.9,
            part.ratios(few, FULL, NORMAL, "rate"),
        ),
    ]
