"""The section of the way from action to eye."""

from __future__ import annotations

from bench.arena import Part
from bench.eye import (
    BUSY,
    CALM,
    EVENTS,
    INTERVAL_MS,
    MOVING_SECONDS,
    NAME,
    SCOREBOARD,
    STREAMS,
    THROTTLE_MS,
    THROTTLED,
    TWO,
)
from bench.plots import Bars
from bench.report import Column, Section, at_most, comparison

CONTESTANTS = (SCOREBOARD, TWO)
COLUMNS = (
    Column("answer p50, ms", "answer_p50_ms", 1),
    Column("answer slowest, ms", "answer_max_ms", 1),
    Column("first stream, ms", "first_ms", 1),
    Column("seen p50, ms", "p50_ms"),
    Column("seen p99, ms", "p99_ms"),
    Column("seen by all, ms", "all_ms"),
    Column("slowest event, ms", "worst_ms"),
)
INTERVALS = (
    Column("completions", "completions"),
    Column("frames", "frames"),
    Column("shortest, ms", "shortest_ms"),
    Column("between two frames, ms", "interval_ms"),
    Column("longest, ms", "longest_ms"),
)

INTRO = f"""PostgreSQL, Redis, three boards and {STREAMS:,} streams. One completion at a time moves
the top 10, {EVENTS} a round. The time is from just before its first byte is sent until a stream has
read the new top 10 whole; p50 and p99 are over all streams and events. "Answer" is the completion's
own. Each comes when the throttle has rested (`SCOREBOARD_BROADCAST_INTERVAL_MS={INTERVAL_MS}`), so
none waits for its interval. The client that reads the streams has one core and the server the
other; two processes have both. PostgreSQL and Redis take what they need of either."""

THROTTLE = f"""For {MOVING_SECONDS:.0f} s, with the default interval of {THROTTLE_MS} ms. The last
frame reached every stream, and it was what the API then showed: else the part would have failed."""


def section(part: Part) -> Section:
    """A table for each case, and the throttle."""
    found = Section("From action to eye", [INTRO])
    for case in (CALM, BUSY):
        found.blocks += [f"### {case[0].upper()}{case[1:]}", _table(part, case)]
    found.blocks += [
        f"### {THROTTLED}",
        THROTTLE,
        comparison(part, THROTTLED, [SCOREBOARD], INTERVALS, ours=SCOREBOARD),
    ]
    found.goals = [
        at_most(
            f"From action to eye: p99 of {STREAMS:,} streams below 100 ms, {processes}, {case}",
            100.0,
            part.each(case, name, "p99_ms"),
            digits=0,
        )
        for name, processes in ((SCOREBOARD, "one process"), (TWO, "two processes"))
        for case in (CALM, BUSY)
    ]
    found.plots = [
        Bars(
            f"{NAME}-p99",
            f"From action to eye, p99 of {STREAMS:,} streams",
            "ms",
            {
                f"{name}, {case}": part.each(case, name, "p99_ms")
                for case in (CALM, BUSY)
                for name in CONTESTANTS
            },
        )
    ]
    return found


def _table(part: Part, case: str) -> str:
    return comparison(part, case, CONTESTANTS, COLUMNS, ours=SCOREBOARD)
