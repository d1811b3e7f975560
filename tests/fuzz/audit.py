"""After a run: the log adds up to the scores, the boards show them, and nothing was left in the log
of the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx2

from scoreboard.periods import rfc3339
from tests.fuzz.target import Row, Target
from tests.support.server import eventually
from tests.support.wire import resident

# Bytes of memory of a process that has served many thousands of calls: one that has served none has
# 90 MB, and each password that is hashed takes 19 MB for a moment.
MOST_MEMORY: Final = 300 * 1024 * 1024
PAGE: Final = 100
_ERRORS: Final = ("Traceback", '"level": "error"', '"level": "critical"', "differed")


def assert_sound(target: Target, receipts: Mapping[str, Mapping[str, Any]]) -> int:
    """Raise `AssertionError` unless all of it holds; gives the rows of the log. `receipts` are
    those that were answered, by their id.
    """
    server = target.server
    assert server.process
    assert server.process.poll() is None, "the server has ended"
    assert httpx2.get(f"{server.url}/readyz", timeout=10).json()["status"] == "ok"
    log = target.fetch("SELECT * FROM action_log ORDER BY log_id")
    sums = _sums(log)
    rows = target.fetch("SELECT board, period, account_id, total FROM scores")
    scores = {(row["board"], row["period"], row["account_id"]): row["total"] for row in rows}
    assert scores == sums, f"not what the log adds up to: {sorted(scores.items() ^ sums.items())}"
    kept = {str(row["log_id"]): _receipt(row) for row in log}
    lost = {one: receipt for one, receipt in receipts.items() if kept.get(one) != receipt}
    assert not lost, f"acknowledged, and not in the log as it was: {list(lost.items())[:3]}"
    named = [
        (row["actor_id"] or row["account_id"], row["idempotency_key"])
        for row in log
        if row["idempotency_key"] is not None
    ]
    assert len(set(named)) == len(named), "a key counted twice"
    for board in ("all-time", "daily", "weekly"):
        eventually(lambda board=board: _shown(target, board) == _ranked(target, board))
    assert resident(server) < MOST_MEMORY, f"{resident(server):,} bytes"
    logged = server.logged()
    for word in _ERRORS:
        found = [line for line in logged.splitlines() if word in line]
        assert not found, f"{word} in the log: {found[:3]}"
    return len(log)


def _sums(log: list[Row]) -> dict[tuple[str, str, str], int]:
    sums: Counter[tuple[str, str, str]] = Counter()
    for row in log:
        account_id = row["account_id"]
        if row["points"]:  # hiding has none
            for board, period in (("all-time", ""), ("daily", row["day"]), ("weekly", row["week"])):
                sums[board, period, account_id] += row["points"]
        assert sums.get(("all-time", "", account_id), 0) == row["new_score"], row
    return dict(sums)


def _receipt(row: Row) -> dict[str, Any]:
    return {
        "success": True,
        "completionId": str(row["log_id"]),
        "actionId": row["action_id"],
        "pointsEarned": row["points"],
        "newScore": row["new_score"],
        "completedAt": rfc3339(row["completed_at_ms"]),
        "rank": None,
    }


def _ranked(target: Target, board: str) -> list[tuple[str, int]]:
    """Who has a place on the newest period of a board, by the score rows."""
    rows = target.fetch(
        "SELECT account_id, total FROM scores AS score "
        f"WHERE board = '{board}' AND total > 0 "
        f"AND period = (SELECT MAX(period) FROM scores WHERE board = '{board}') "
        "AND account_id NOT IN (SELECT account_id FROM hidden_players) "
        "ORDER BY total DESC, reached_log_id"
    )
    return [(row["account_id"], row["total"]) for row in rows]


def _shown(target: Target, board: str) -> list[tuple[str, int]]:
    """The same, as the service shows it page by page."""
    return list(_pages(target, board))


def _pages(target: Target, board: str) -> Iterator[tuple[str, int]]:
    with target.server.client() as client:
        for offset in range(0, 10_000, PAGE):
            answer = client.get(
                "/leaderboard", params={"board": board, "limit": PAGE, "offset": offset}
            )
            users = answer.json()["users"]
            for place, user in enumerate(users, offset + 1):
                assert user["rank"] == place
                yield user["userId"], user["score"]
            if len(users) < PAGE:
                return
