"""The section of the reads."""

from __future__ import annotations

from statistics import median

from bench.arena import Part
from bench.plots import Bars
from bench.reading import (
    AROUND,
    CONNECTIONS,
    DEEP,
    FASTIFY,
    HELLO,
    NAME,
    NOT_MODIFIED,
    ON_REDIS,
    PLAYERS,
    SCOREBOARD,
    STATIC,
    TOP,
    paced,
)
from bench.report import Column, Goal, Section, at_least, at_most, comparison

CONTESTANTS = (SCOREBOARD, ON_REDIS, HELLO, FASTIFY, STATIC)
COLUMNS = (
    Column("req/s", "rate"),
    Column("p50, ms", "p50_ms", 1),
    Column("p95, ms", "p95_ms", 1),
    Column("p99, ms", "p99_ms", 1),
    Column("CPU each, µs", "app_us", 1),
    Column("refused (503), %", "refused_share", 0, 100),
    Column("load client, % of its core", "client_share", 0, 100),
)

INTRO = f"""{CONNECTIONS:,} connections; {PLAYERS:,} players on the board; the server on one core,
the client on another. "Scoreboard" is on SQLite, with the board in its process; "on Redis" is on
PostgreSQL and Redis, which share the client's core where there are two."""

CLIENT = """**The load client** got {:,.0f} answers a second out of nginx's file with {:.0%} of its
core, which is {:.1f} µs a request, the kernel's part included. It could ask some {:,.0f} times a
second, more often than any contestant answers: none of them waited for it."""


def section(part: Part) -> Section:
    """A table for each question, and what the load client can do at all."""
    found = Section("Reading", [INTRO])
    for case in (TOP, NOT_MODIFIED, DEEP, AROUND):
        found.blocks += [
            f"### {case}, as fast as they are answered",
            comparison(part, case, CONTESTANTS, COLUMNS, ours=SCOREBOARD),
            f"### {paced(case)}",
            comparison(part, paced(case), (SCOREBOARD, ON_REDIS), COLUMNS, ours=SCOREBOARD),
        ]
    found.blocks += _client(part)
    found.goals = _goals(part)
    found.plots = [
        Bars(
            f"{NAME}-rate",
            f"The top 10 (hello: 13 bytes), {CONNECTIONS:,} connections",
            "requests a second",
            {name: part.each(TOP, name, "rate") for name in CONTESTANTS},
        )
    ]
    return found


def _client(part: Part) -> list[str]:
    """The line that shows that the client is not what was measured."""
    rates, shares = (part.each(TOP, STATIC, name) for name in ("rate", "client_share"))
    if not rates:
        return []
    rate, share = median(rates), median(shares)
    return [
        CLIENT.format(rate, share, share / rate * 1e6, rate / share),
    ]


def _goals(part: Part) -> list[Goal]:
    return [
        at_least(
            "The top 10 as often as Starlette's own hello",
            1.0,
            part.ratios(TOP, SCOREBOARD, HELLO, "rate"),
        ),
        at_most(
            "p95 below 5 ms at a paced 1,000/s",
            5.0,
            part.each(paced(TOP), SCOREBOARD, "p95_ms"),
        ),
    ]
