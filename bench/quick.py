"""`make bench-quick`: in two minutes, whether a mechanism that makes the service quick is lost.

Only ratios are held, of the service to a peer or to itself, side by side in each of three rounds;
the median of a ratio has to keep a limit. It lies between what other work on the machine leaves of
a ratio and what is left when a mechanism is gone; beside each limit is what was measured of both.
Needs nothing of Debian but a C compiler.

Ends with status 1 when a limit or a sum is broken, and says which; with 2 when something is missing
that is needed to tell, or when it took longer than `BOUND`.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from types import FrameType

from bench import fanout, load, reading, writing
from bench.arena import Arena, Figures, Match, Part
from bench.contestants import pgbench, scoreboard
from bench.contestants.running import new_folder
from bench.databases import Databases
from bench.progress import Progress

BOUND = 360  # seconds for all of it: it took 133 beside tests that used both cores
ROUNDS = 3  # the fewest of which the median leaves out one that something came between
COMPLETING = 2  # seconds of completions, after a second of warm-up
READING = 1.5  # seconds
READERS = 100  # connections
PLAYERS = 1_000  # on the board that is read
STREAMS = 2_000  # few enough for a hard limit of 4,096 open files
EVENTS = 8  # a round

# The groups, each played round after round, and what a round of it takes in seconds.
WRITING, SQLITE, FANOUT, READS = "completions", "SQLite", "fan-out", "reads"
TAKES = {WRITING: 20.0, SQLITE: 11.0, FANOUT: 9.0, READS: 7.0}

Parts = Mapping[str, Part]


class TooLong(Exception):
    """It is not done within `BOUND`."""


@dataclass(frozen=True)
class Guard:
    """One row: a figure, once a round, and the limit that its median keeps."""

    name: str
    figures: Callable[[Parts], list[float]]
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, parts: Parts) -> bool:
        """Whether there is a figure, and it keeps the limit."""
        values = self.figures(parts)
        if not values:
            return False
        figure = median(values)
        return (self.at_least is None or figure >= self.at_least) and (
            self.at_most is None or figure <= self.at_most
        )

    def row(self, parts: Parts) -> str:
        """Its line of the table."""
        values = self.figures(parts)
        figure = f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})" if values else "-"
        limit = f">= {self.at_least}" if self.at_least is not None else f"<= {self.at_most}"
        verdict = "ok" if self.holds(parts) else "BROKEN"
        return f"{self.name:<54} {figure:>18}  {limit:>7}  {verdict}"


def rates(group: str, mine: str, theirs: str) -> Callable[[Parts], list[float]]:
    """My rate divided by theirs."""
    return lambda parts: parts[group].ratios(group, mine, theirs, "rate")


def work(group: str, mine: str) -> Callable[[Parts], list[float]]:
    """My CPU time a completion divided by the median of plain Starlette's: app and PostgreSQL.

    Work beside it makes a rate a fifth and CPU time double, so this is the sharper of the two.
    """

    def figures(parts: Parts) -> list[float]:
        theirs = _cpu(parts[WRITING], WRITING, writing.PLAIN)
        return [one / median(theirs) for one in _cpu(parts[group], group, mine)] if theirs else []

    return figures


def _cpu(part: Part, group: str, name: str) -> list[float]:
    each = (part.each(group, name, figure) for figure in ("app_us", "postgres_us"))
    return [sum(one) for one in zip(*each, strict=True)]


# "Alone", "beside tests" (a test suite that used both of two cores) and "a batch of one" are what
# was measured when the limits were chosen.
GUARDS = (
    # Group commit, SQL that is compiled once. Alone 0.2, beside tests 0.5; a batch of one 1.3.
    Guard("CPU of a completion, to Starlette's", work(WRITING, writing.SCOREBOARD), at_most=0.75),
    # The same on SQLite. Beside tests 0.2; a batch of one 0.9.
    Guard("CPU of one on SQLite, to Starlette's", work(SQLITE, writing.FULL), at_most=0.4),
    # The same, and waits that cost no CPU. Alone 7, beside tests 1.5 to 3; a batch of one 0.5.
    Guard(
        "completions/s, to Starlette's",
        rates(WRITING, writing.SCOREBOARD, writing.PLAIN),
        at_least=1.2,
    ),
    # The same to the database alone. Alone 0.9, beside tests 0.2 to 0.4; a batch of one 0.1.
    Guard(
        "completions/s, to pgbench's four round trips",
        rates(WRITING, writing.SCOREBOARD, writing.TRANSACTION),
        at_least=0.15,
    ),
    # One statement and one script for all boards: one for each would make it a third. Alone 0.75,
    # beside tests 0.9.
    Guard(
        "completions/s, three boards to one",
        rates(WRITING, writing.THREE, writing.SCOREBOARD),
        at_least=0.5,
    ),
    # One fsync a batch: seen where the disk is slow to say that it has something. Alone 0.9, beside
    # tests 0.7 to 0.9, and a round of 0.5.
    Guard(
        "completions/s on SQLite, FULL to NORMAL",
        rates(SQLITE, writing.FULL, writing.NORMAL),
        at_least=0.5,
    ),
    # One frame for all and no task or queue for each: with these it would be near 1. Beside tests
    # 0.24 to 0.28.
    Guard(
        f"time to all of {STREAMS:,} streams, to sse-starlette's",
        lambda parts: parts[FANOUT].ratios(FANOUT, fanout.SCOREBOARD, fanout.PLAIN, "all_ms"),
        at_most=0.5,
    ),
    # The same: it is 4, and 49 where each has a task and a queue.
    Guard(
        "KiB a connection",
        lambda parts: parts[FANOUT].each(FANOUT, fanout.SCOREBOARD, "kib"),
        at_most=15,
    ),
    # An answer that is encoded once, and nothing in front of it. Alone 0.8, beside tests 0.6; pages
    # that are read from the board and encoded for each request 0.2.
    Guard(
        f"the top 10 for {READERS} connections, to Starlette's hello",
        rates(READS, reading.SCOREBOARD, reading.HELLO),
        at_least=0.4,
    ),
)
# What a fault of a group means: figures do not count when what they stand for is wrong.
CHECKS = {
    WRITING: "log, scores and boards agree after each run, and with the answers",
    SQLITE: "the same on SQLite",
    FANOUT: "each stream reads each event whole",
    READS: "each answer is what was asked for",
}


def main() -> int:
    """Measure, and print the table."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(BOUND)
    began = time.monotonic()
    progress = Progress({group: seconds * ROUNDS for group, seconds in TAKES.items()})
    try:
        with new_folder("load") as folder, closing(progress):
            parts = _measure(Arena(rounds=ROUNDS, programs=load.build(folder), progress=progress))
    except load.Missing as missing:
        print(f"Nothing can be measured without {missing}", file=sys.stderr)
        return 2
    except TooLong:
        print(f"Nothing can be told: it took longer than {BOUND} s", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 128 + signal.SIGINT
    finally:
        signal.alarm(0)
    return judge(parts, time.monotonic() - began)


def judge(parts: Parts, seconds: float) -> int:
    """Print the table and a last line; gives the exit status."""
    print()
    for guard in GUARDS:
        print(guard.row(parts))
    broken = [guard.name for guard in GUARDS if not guard.holds(parts)]
    for group, text in CHECKS.items():
        faults = parts[group].faults
        print(f"{text:<82}  {'BROKEN' if faults else 'ok'}")
        broken += [text] if faults else []
        for fault in faults:
            print(f"  {fault}")
    missing = {name: what for part in parts.values() for name, what in part.missing.items()}
    if missing:
        print(f"Cannot be told: {', '.join(f'{n} needs {what}' for n, what in missing.items())}")
        return 2
    print(f"BROKEN: {'; '.join(broken)}" if broken else f"All hold, after {seconds:.0f} s.")
    return 1 if broken else 0


def _measure(arena: Arena) -> Parts:
    with ExitStack() as stack:

        def file(seed: scoreboard.Seed) -> Path:
            return seed.file(stack.enter_context(new_folder("quick")))

        plain = scoreboard.Seed(writing.PLAYERS)
        with Databases(plain) as databases:
            written = arena.play(WRITING, list(_completions(arena, databases)))
            on_sqlite = arena.play(SQLITE, list(_on_sqlite(arena, databases, file(plain))))
        led = scoreboard.Seed(fanout.LEADERS, leaders=fanout.LEADERS)
        streamed = arena.play(FANOUT, list(_streams(arena, file(led))))
        full = scoreboard.Seed(PLAYERS, points=1)
        read = arena.play(READS, list(_reads(arena, file(full))))
        return {WRITING: written, SQLITE: on_sqlite, FANOUT: streamed, READS: read}


def _completions(arena: Arena, databases: Databases) -> Iterator[Match]:
    one, three = writing.ONE_BOARD, dict[str, str]()
    start: dict[str, writing.Start] = {
        writing.PLAIN: partial(writing.plain, arena, databases),
        writing.SCOREBOARD: partial(writing.on_postgres, arena, databases, writing.SCOREBOARD, one),
        writing.THREE: partial(writing.on_postgres, arena, databases, writing.THREE, three),
    }
    yield _completing(arena, databases, WRITING, writing.PLAIN, start[writing.PLAIN])
    yield Match(writing.TRANSACTION, WRITING, partial(_pgbench, databases), _tell)
    for name in (writing.SCOREBOARD, writing.THREE):
        yield _completing(arena, databases, WRITING, name, start[name])


def _on_sqlite(arena: Arena, databases: Databases, file: Path) -> Iterator[Match]:
    for name, prelude in ((writing.FULL, ""), (writing.NORMAL, scoreboard.NORMAL)):
        start = partial(writing.on_sqlite, arena, file, name, writing.ONE_BOARD, prelude=prelude)
        yield _completing(arena, databases, SQLITE, name, start)


def _completing(
    arena: Arena, databases: Databases, group: str, name: str, start: writing.Start
) -> Match:
    play = partial(
        writing.measure, arena, databases, start, connections=writing.FEW, seconds=COMPLETING
    )
    return Match(name, group, play, _tell)


def _pgbench(databases: Databases) -> Figures:
    with databases.for_peers() as fresh:
        script = "pgbench_transaction.sql"
        done = pgbench.measure(databases.postgres, fresh.name, script, seconds=COMPLETING)
        return {"rate": done.rate}


def _streams(arena: Arena, file: Path) -> Iterator[Match]:
    contestants = fanout.contestants(arena, file)
    for name in (fanout.SCOREBOARD, fanout.PLAIN):
        play = partial(
            fanout.measure, arena, contestants[name], STREAMS, cores=arena.cores.one, count=EVENTS
        )
        yield Match(name, FANOUT, play, lambda found: f"all after {found['all_ms']:.0f} ms")


def _reads(arena: Arena, file: Path) -> Iterator[Match]:
    each: Sequence[tuple[str, reading.Start, reading.Question]] = (
        (
            reading.SCOREBOARD,
            partial(reading.in_process, arena, file),
            reading.QUESTIONS[reading.TOP],
        ),
        (reading.HELLO, partial(reading.hello, arena), reading.GREETING),
    )
    for name, start, question in each:
        play = partial(
            reading.measure, arena, start, question, connections=READERS, seconds=READING
        )
        yield Match(name, READS, play, _tell)


def _tell(found: Figures) -> str:
    return f"{found['rate']:,.0f}/s"


def _too_long(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's signature
    raise TooLong


if __name__ == "__main__":
    sys.exit(main())
