"""What is made of figures: goals, tables, agreement, and a report that is the same each time."""

from __future__ import annotations

import io
import re
from array import array
from pathlib import Path

import pytest

from bench import agreement, results
from bench.arena import Arena, Disagreement, Figures, Match, Part
from bench.load import Answers, Latency, Missing
from bench.parts import PARTS
from bench.progress import Progress
from bench.report import Column, at_least, at_most, comparison, spread

ONLY_LATENCY = Latency(1.0, 2.0, 3.0, 4.0, 5.0, 1.5)


def answers(keys: range, *, sent: int | None = None, **statuses: int) -> Answers:
    """As if requests with these keys had been answered with 200."""
    return Answers(
        seconds=1.0,
        answered=len(keys),
        rate=float(len(keys)),
        statuses={200: len(keys)} if not statuses else {int(k[1:]): v for k, v in statuses.items()},
        sent=len(keys) if sent is None else sent,
        broken=0,
        unanswered=0,
        bytes_in=0,
        latency=ONLY_LATENCY,
        lag_p99=None,
        cpu_share=0.1,
        user_share=0.1,
        keys=array("Q", keys),
        body="",
        sizes=(0, 0),
    )


def kept(keys: list[int], points: int, **scores: int) -> agreement.Kept:
    """As if the log had rows with these keys."""
    return agreement.Kept(array("Q", keys), points, scores)


def arena(rounds: int) -> Arena:
    """One that says nothing."""
    return Arena(rounds=rounds, programs=Path(), progress=Progress({}, io.StringIO()))


def match(name: str, play: object) -> Match:
    """In the only case that there is."""
    return Match(name, "a case", play, lambda found: f"{found['rate']}")  # type: ignore[arg-type]


def test_what_agrees_is_let_through() -> None:
    agreement.check([answers(range(3), sent=4)], kept([0, 1, 2, 3], 20, daily=20))
    runs = [answers(range(2), sent=3), answers(range(3, 5))]
    agreement.check(runs, kept([0, 1, 3, 4], 20))


@pytest.mark.parametrize(
    ("given", "found", "says"),
    [
        (answers(range(3)), kept([0, 1], 10), "1 completions were acknowledged"),
        (answers(range(2)), kept([0, 1, 1], 15), "1 keys are in the log twice"),
        (answers(range(2)), kept([0, 1, 7], 15), "1 keys in the log were never sent"),
        (answers(range(2)), kept([0, 1], 10, daily=15), "daily: scores of 15"),
        (answers(range(2), s200=1, s500=1), kept([0, 1], 10), "500"),
    ],
)
def test_what_does_not_agree_is_said(given: Answers, found: agreement.Kept, says: str) -> None:
    with pytest.raises(Disagreement, match=says):
        agreement.check([given], found)


def test_keys_in_a_database_are_read_as_the_client_counts_them() -> None:
    joined = "".join(f"{key:016x}" for key in (1, 2**40 + 5))
    rows = {"string_agg": [{"keys": joined, "points": 10}], "GROUP": [{"board": "b", "total": 10}]}

    def fetch(query: str) -> list[dict[str, object]]:
        return next(found for word, found in rows.items() if word in query)

    found = agreement.kept_in_postgres(fetch, "action_log")
    assert list(found.keys) == [1, 2**40 + 5]
    assert (found.points, found.scores) == (10, {"b": 10})


def test_rounds_go_through_all_in_turn_and_faults_stop_nobody() -> None:
    turns: list[str] = []

    def plays(name: str) -> Figures:
        turns.append(name)
        if name == "wrong":
            raise Disagreement("one is missing")
        if name == "absent":
            raise Missing("a program (apt-get install program)")
        return {"rate": float(len(turns))}

    names = ("first", "wrong", "absent", "last")
    part = arena(2).play("it", [match(n, lambda n=n: plays(n)) for n in names])
    assert turns == ["first", "wrong", "absent", "last", "first", "wrong", "last"]
    assert part.each("a case", "first", "rate") == [1.0, 5.0]
    assert part.missing == {"absent": "a program (apt-get install program)"}
    assert part.faults == [f"wrong, a case, round {n}: one is missing" for n in (1, 2)]


def test_ratios_are_taken_within_a_round() -> None:
    rounds: list[dict[str, dict[str, Figures]]] = [
        {"c": {"ours": {"rate": 10}, "theirs": {"rate": 5}}},
        {"c": {"ours": {"rate": 3}}},
        {"c": {"ours": {"rate": 30}, "theirs": {"rate": 10}}},
    ]
    assert Part("it", rounds).ratios("c", "ours", "theirs", "rate") == [2.0, 3.0]


def test_a_goal_says_how_far_it_is() -> None:
    assert at_least("", 1.0, [0.5, 0.8, 0.9]).verdict == "not met, 20% short"
    assert at_most("", 15, [18]).verdict == "not met, 20% over"
    assert at_most("", 15, [15]).is_met
    assert at_least("", 15, []).verdict == "not measured"


def test_a_table_names_who_is_missing_and_leaves_out_who_is_elsewhere() -> None:
    rounds: list[dict[str, dict[str, Figures]]] = [
        {"c": {"ours": {"rate": 1_234.4}}},
        {"c": {"ours": {"rate": 1_000.0}}},
    ]
    part = Part("it", rounds, missing={"theirs": "nginx (apt-get install nginx)"})
    lines = comparison(
        part, "c", ["ours", "theirs", "elsewhere"], [Column("req/s", "rate")], ours="ours"
    ).splitlines()
    assert lines[2] == f"| **ours** | **{spread([1000.0, 1234.4])}** |"
    assert lines[3].startswith("| theirs, missing: nginx (apt-get install nginx) |")
    assert len(lines) == 4


def test_a_part_alone_replaces_its_own_and_the_report_is_the_same_again(tmp_path: Path) -> None:
    results.write({name: Part(name) for name in PARTS}, tmp_path)
    part = Part("reading", [{"top 10": {"Scoreboard": {"rate": 5.0, "p95_ms": 1.0}}}])
    results.write({**results.load(tmp_path), "reading": part}, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {"README.md", "results.json", "reading-rate.svg"} <= set(first)
    assert results.load(tmp_path)["reading"].rounds == part.rounds
    assert list(results.load(tmp_path)) == list(PARTS)
    results.write(results.load(tmp_path), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_the_report_points_at_plots_that_are_there_and_at_no_other(tmp_path: Path) -> None:
    part = Part("reading", [{"top 10": {"Scoreboard": {"rate": 5.0}}}])
    results.write({**{name: Part(name) for name in PARTS}, "reading": part}, tmp_path)
    named = re.findall(r"\]\(([\w.-]+)\)", (tmp_path / "README.md").read_text("utf-8"))
    assert sorted(named) == ["reading-rate.svg", "results.json"]
    assert all((tmp_path / name).exists() for name in named)
