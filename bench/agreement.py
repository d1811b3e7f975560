"""Whether what was promised is what is kept: the answers, the log, the scores and the boards."""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.arena import Disagreement
from bench.load import Answers

CATCH_UP = 5.0  # seconds for a board to show what the log has: its sweep looks once a second

LOG = "SELECT {joined}(idempotency_key, '') AS keys, SUM(points) AS points FROM {log}"
SCORES = "SELECT board, SUM(total) AS total FROM scores GROUP BY board"


@dataclass(frozen=True)
class Kept:
    """What a database has in the end."""

    keys: array[int]  # of all log rows
    points: int  # of all log rows
    scores: dict[str, int]  # the sum of each board's scores


def kept_in_postgres(fetch: Callable[[str], list[dict[str, Any]]], log: str) -> Kept:
    """Of Scoreboard (its log is `action_log`), or of a peer (`log`), which has one board."""
    (row,) = fetch(LOG.format(joined="string_agg", log=log))
    scores = SCORES if log == "action_log" else SCORES.replace("board,", "'all-time' AS board,")
    return _kept(row, fetch(scores))


def kept_in_file(file: Path) -> Kept:
    """Of Scoreboard on SQLite."""
    with closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        row = database.execute(LOG.format(joined="group_concat", log="action_log")).fetchone()
        return _kept(dict(row), [dict(one) for one in database.execute(SCORES)])


def _kept(row: Mapping[str, Any], scores: list[dict[str, Any]]) -> Kept:
    keys = array("Q", bytes.fromhex(row["keys"] or ""))
    keys.byteswap()  # hexadecimal digits begin with the highest
    return Kept(keys, int(row["points"] or 0), {one["board"]: int(one["total"]) for one in scores})


def check(runs: Sequence[Answers], kept: Kept) -> None:
    """Raises `Disagreement` unless each request of these runs that got its answer is in the log
    exactly once, the log has nothing that was not sent, and every board's scores add up to the
    log's points. The keys of a run follow those of the one before it, the first 0.
    """
    for run in runs:
        if set(run.statuses) != {200} or run.broken:
            raise Disagreement(f"answers were {run.statuses}, and {run.broken} broke off")
    in_log = set(kept.keys)
    if len(in_log) != len(kept.keys):
        raise Disagreement(f"{len(kept.keys) - len(in_log)} keys are in the log twice")
    if lost := {key for run in runs for key in run.keys} - in_log:
        raise Disagreement(f"{len(lost)} completions were acknowledged and are not in the log")
    sent = range(sum(run.sent for run in runs))
    if invented := sum(key not in sent for key in in_log):
        raise Disagreement(f"{invented} keys in the log were never sent")
    for board, total in kept.scores.items():
        if total != kept.points:
            raise Disagreement(f"{board}: scores of {total}, log rows of {kept.points} points")


def check_boards(show: Callable[[], dict[str, int]], kept: Kept) -> None:
    """Raises `Disagreement` unless each board shows as many points as its score rows have."""
    end = time.monotonic() + CATCH_UP
    while (shown := show()) != kept.scores:
        if time.monotonic() > end:
            raise Disagreement(f"boards show {shown}, the scores are {kept.scores}")
        time.sleep(0.1)
