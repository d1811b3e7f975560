"""The quick guard: what it lets through, what it names, and with which status it ends."""

from __future__ import annotations

import pytest

from bench import fanout, quick, reading, writing
from bench.arena import Figures, Part


def played() -> dict[str, Part]:
    """As if every group had been played, with usual figures."""
    completions: dict[str, Figures] = {
        writing.SCOREBOARD: {"rate": 11_000, "app_us": 110, "postgres_us": 60},
        writing.PLAIN: {"rate": 1_500, "app_us": 700, "postgres_us": 200},
        writing.TRANSACTION: {"rate": 12_000},
        writing.THREE: {"rate": 8_000},
    }
    sqlite: dict[str, Figures] = {
        writing.FULL: {"rate": 9_000, "app_us": 100, "postgres_us": 0},
        writing.NORMAL: {"rate": 10_000},
    }
    streams: dict[str, Figures] = {
        fanout.SCOREBOARD: {"all_ms": 20, "kib": 4},
        fanout.PLAIN: {"all_ms": 90},
    }
    reads: dict[str, Figures] = {
        reading.SCOREBOARD: {"rate": 25_000},
        reading.HELLO: {"rate": 29_000},
    }
    return {
        quick.WRITING: Part(quick.WRITING, [{quick.WRITING: completions}]),
        quick.SQLITE: Part(quick.SQLITE, [{quick.SQLITE: sqlite}]),
        quick.FANOUT: Part(quick.FANOUT, [{quick.FANOUT: streams}]),
        quick.READS: Part(quick.READS, [{quick.READS: reads}]),
    }


def test_usual_figures_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert quick.judge(played(), 120) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[-2] == "All hold, after 120 s."
    assert sum(line.endswith(" ok") for line in lines) == len(quick.GUARDS) + len(quick.CHECKS)


@pytest.mark.parametrize(
    ("group", "who", "figures", "named"),
    [
        (
            quick.WRITING,
            writing.SCOREBOARD,
            {"app_us": 780, "postgres_us": 450},
            "CPU of a completion",
        ),
        (quick.WRITING, writing.SCOREBOARD, {"rate": 900}, "completions/s, to Starlette's"),
        (quick.WRITING, writing.THREE, {"rate": 3_600}, "three boards to one"),
        (quick.SQLITE, writing.FULL, {"rate": 900}, "FULL to NORMAL"),
        (quick.FANOUT, fanout.SCOREBOARD, {"all_ms": 88}, "time to all"),
        (quick.FANOUT, fanout.SCOREBOARD, {"kib": 49}, "KiB a connection"),
        (quick.READS, reading.SCOREBOARD, {"rate": 9_000}, "the top 10"),
    ],
)
def test_a_lost_mechanism_is_named(
    group: str, who: str, figures: Figures, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = played()
    parts[group].rounds[0][group][who].update(figures)
    assert quick.judge(parts, 120) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("BROKEN: ")
    assert named in last


def test_the_median_of_the_rounds_counts() -> None:
    parts = played()
    guard = next(one for one in quick.GUARDS if "hello" in one.name)
    for rate in (25_000, 1_000):
        hello: Figures = {"rate": 29_000}
        parts[quick.READS].rounds.append(
            {quick.READS: {reading.SCOREBOARD: {"rate": rate}, reading.HELLO: hello}}
        )
    assert guard.holds(parts)
    del parts[quick.READS].rounds[:2]
    assert not guard.holds(parts)


def test_a_fault_breaks_it_and_what_was_not_measured_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = played()
    parts[quick.SQLITE].faults.append("Scoreboard on SQLite: 1 keys are in the log twice")
    parts[quick.READS].rounds.clear()
    assert quick.judge(parts, 120) == 1
    said = capsys.readouterr().out
    assert "1 keys are in the log twice" in said
    assert said.splitlines()[-1].count(";") == 1


def test_without_a_peer_it_cannot_tell(capsys: pytest.CaptureFixture[str]) -> None:
    parts = played()
    parts[quick.WRITING].missing[writing.TRANSACTION] = "pgbench (apt-get install it)"
    assert quick.judge(parts, 120) == 2
    assert "needs pgbench" in capsys.readouterr().out.splitlines()[-1]
