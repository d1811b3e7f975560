"""The section of the fan-out."""

from __future__ import annotations

from statistics import median

from bench.arena import Part
from bench.fanout import (
    BESIDE_STALLED,
    CALM,
    COMPLETIONS,
    FASTIFY,
    FILLING,
    INTERVAL_MS,
    NAME,
    NCHAN,
    PLAIN,
    SCOREBOARD,
    SIZE_TWO,
    SIZES,
    STALLED,
    TWO,
    case_of,
)
from bench.plots import Bars, Lines
from bench.report import ABSENT, Column, Goal, Section, at_least, at_most, comparison, spread

CONTESTANTS = (SCOREBOARD, NCHAN, FASTIFY, PLAIN)
COLUMNS = (
    Column("to all, ms", "all_ms"),
    Column("p50, ms", "p50_ms"),
    Column("p99, ms", "p99_ms"),
    Column("slowest event, ms", "worst_ms"),
    Column("first, ms", "first_ms", 1),
    Column("CPU a client, µs", "cpu_us", 1),
    Column("memory a connection, KiB", "kib", 1),
    Column("connections/s", "connections/s"),
    Column("load client, µs a frame", "client_us", 1),
)
BESIDE = (*COLUMNS[:5], Column("p99 of the completions, ms", "completion_p99_ms", 1))

INTRO = f"""One event of 900 bytes to every open stream. The time is from just before the publishing
request is sent until the last stream has read the whole event; "p50" and "p99" are when so many
percent of the streams had it; each is the median over the events of a round. Memory is that of all
the contestant's processes (PSS, without what the kernel keeps for sockets). One process on one
core, the client on another; with two processes both share the second core.

Scoreboard publishes by a completion that moves its top 10, so its time has a durable commit in it;
its peers are handed the event. It runs on SQLite here, as they have no database, with
`SCOREBOARD_BROADCAST_INTERVAL_MS={INTERVAL_MS}` so that the events can follow each other quickly;
each comes when the last has rested, so none waits for the interval."""

STALLING = f"""{COMPLETIONS:.0f} completions a second go on meanwhile, by players who are far from
the top 10. {FILLING} events before those that count have filled the buffers of the stalled: {{}}
sockets of the server had data that nobody took."""

CLIENT = """**The load client** used {:.0%} of its core while an event was under way (the median of
all the measurements above; at most {:.0%}): the rest of the time it waited for the servers."""


def section(part: Part) -> Section:
    """Tables for each number of streams, for two processes and for stalled readers."""
    found = Section("Fan-out", [INTRO])
    for streams in SIZES:
        case = case_of(streams)
        found.blocks += [f"### {case}", part.notes.get(case) or _table(part, case)]
    found.blocks += [f"### {TWO}", _table(part, TWO)]
    found.blocks += [*_client(part)]
    found.blocks += [
        f"### {SIZE_TWO:,} streams and {STALLED} that read nothing",
        STALLING.format(spread(part.each(BESIDE_STALLED, SCOREBOARD, "stuck"))),
        "Without stalled readers:",
        comparison(part, CALM, [SCOREBOARD], BESIDE, ours=SCOREBOARD),
        "With them:",
        comparison(part, BESIDE_STALLED, [SCOREBOARD], BESIDE, ours=SCOREBOARD),
    ]
    found.goals = _goals(part)
    found.plots = [
        Lines(
            f"{NAME}-time",
            "Until every stream has an event, one process",
            "streams",
            "ms",
            {
                name: {n: part.each(case_of(n), name, "all_ms") for n in SIZES}
                for name in CONTESTANTS
            },
        ),
        Bars(
            f"{NAME}-memory",
            "Memory of a connection, 5,000 open",
            "KiB",
            {name: part.each(case_of(5_000), name, "kib") for name in CONTESTANTS},
            digits=1,
        ),
    ]
    return found


def _table(part: Part, case: str) -> str:
    return comparison(part, case, CONTESTANTS, COLUMNS, ours=SCOREBOARD)


def _client(part: Part) -> list[str]:
    """How busy the load client was while an event was on its way."""
    shares = [
        figures["client_us"] * figures["streams"] / 1000 / figures["all_ms"]
        for one in part.rounds
        for contestants in one.values()
        for figures in contestants.values()
        if "streams" in figures
    ]
    if not shares:
        return []
    return [CLIENT.format(median(shares), max(shares))]


def _goals(part: Part) -> list[Goal]:
    case = case_of(SIZE_TWO)
    events = sum(
        figures["events"] * figures["streams"]
        for one in part.rounds
        for contestants in one.values()
        for name, figures in contestants.items()
        if name == SCOREBOARD and "streams" in figures
    )
    lost = [fault for fault in part.faults if fault.startswith(SCOREBOARD)]
    return [
        at_most(
            f"An event to all {SIZE_TWO:,} in at most 0.85 of nchan's time, one process each",
            0.85,
            part.ratios(case, SCOREBOARD, NCHAN, "all_ms"),
        ),
        at_most(
            f"At most 15 KiB a connection at {SIZE_TWO:,}",
            15,
            part.each(case, SCOREBOARD, "kib"),
            digits=1,
        ),
        at_least(
            "At least 8,000 connections/s",
            8_000,
            part.each(case, SCOREBOARD, "connections/s"),
            digits=0,
        ),
        Goal(
            "Nothing lost: each stream reads each event whole",
            f"{events:,.0f} frames" if events else ABSENT,
            not lost if events or lost else None,
            f"{len(lost)} faults",
        ),
        at_most(
            "Two processes ahead of nchan with two (time divided by nchan's)",
            1.0,
            part.ratios(TWO, SCOREBOARD, NCHAN, "all_ms"),
        ),
    ]
