"""A whole site: PostgreSQL, Redis, two servers that share nothing else, a crowd, and watchers."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx2

from scoreboard.periods import rfc3339
from tests.support.backends import Postgres, Redis
from tests.support.crowd import Call, Caller, Crowd
from tests.support.server import PATIENCE, Server

REPLAYS = 8  # receipts of each caller that an audit asks for again over HTTP
SETTINGS = {
    "SCOREBOARD_RATE_LIMIT": "1000000/minute",
    "SCOREBOARD_BROADCAST_INTERVAL_MS": "100",
}


class Watcher(threading.Thread):
    """Follows a stream as a browser does: comes back when it ends, and keeps the newest state."""

    def __init__(self, server: Server) -> None:
        super().__init__(name=f"watcher of {server.url}", daemon=True)
        self.server = server
        self.newest: Any = {}
        self.snapshots = 0
        self.ends = 0
        self.error: BaseException | None = None
        self.stopped = False

    def run(self) -> None:
        while not self.stopped:
            try:
                self.follow()
            except (httpx2.HTTPError, OSError):
                pass
            except BaseException as error:  # noqa: BLE001 - shown by `Site.audit`
                self.error = error
                return
            self.ends += 1
            time.sleep(0.1)

    def follow(self) -> None:
        """One connection: no version twice in a row."""
        seen = ""
        with (
            # Longer than the pings are apart: a stream must stay open while everything is away.
            httpx2.Client(base_url=f"{self.server.url}/api/v1", timeout=20) as client,
            client.sse("/leaderboard/stream") as source,
        ):
            for event in source:
                if self.stopped:
                    return
                if event.event == "leaderboard_update":
                    assert event.id != seen, "the same version twice"
                    seen = str(event.id)
                    self.newest = event.json()
                    self.snapshots += 1


class Drift(NamedTuple):
    """What an audit compares: the all-time scores by SQL, on the board, and on each stream."""

    sql: list[tuple[str, int]]
    shown: list[list[tuple[str, int]]]

    @property
    def is_none(self) -> bool:
        """Whether all agree."""
        return all(one == self.sql for one in self.shown)


class Site:
    """Everything, running; `with` ends it."""

    def __init__(
        self, folder: Path, *, seed: int = 1, players: int = 12, workers: Sequence[int] = (1, 1)
    ) -> None:
        self._stack = ExitStack()
        self.folder = folder
        self.seed = seed
        self.players = players
        self.workers = workers
        self.chance = random.Random(seed)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.postgres = stack.enter_context(Postgres(fsync=True))
            self.redis = stack.enter_context(Redis(persistence="rdb"))
            self.database = self.postgres.create_database("site")
            self.servers = [
                stack.enter_context(self._server(number, workers))
                for number, workers in enumerate(self.workers)
            ]
            self.watchers = [Watcher(server) for server in self.servers]
            self.crowd = Crowd(self.servers, players=self.players, seed=self.seed)
            stack.callback(self.crowd.stop)
            for watcher in self.watchers:
                watcher.start()
                stack.callback(setattr, watcher, "stopped", True)
            self._stack = stack.pop_all()
        return self

    def _server(self, number: int, workers: int) -> Server:
        folder = self.folder / f"server-{number}"
        folder.mkdir()
        return Server(
            folder,
            clock="of the machine",
            DATABASE_URL=self.database,
            REDIS_URL=self.redis.url,
            WEB_CONCURRENCY=str(workers),
            **SETTINGS,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> float:
        """Wait until it is true; gives the seconds that it took."""
        began = time.monotonic()
        while not condition():
            self.crowd.check()
            assert time.monotonic() < began + seconds, "it never came true"
            time.sleep(0.02)
        return time.monotonic() - began

    def acknowledged(self, more: int) -> None:
        """Wait until so many more completions are acknowledged."""
        wanted = len(self.crowd.latencies) + more
        self.until(lambda: len(self.crowd.latencies) >= wanted)

    def is_ready(self) -> bool:
        """Whether every server says that it has all it needs."""
        return all(self.readiness(server) == {"ok"} for server in self.servers)

    def readiness(self, server: Server) -> set[str]:
        """What a server says of its database and Redis; `gone` when it does not answer."""
        try:
            ready = httpx2.get(f"{server.url}/readyz", timeout=5).json()
        except (httpx2.HTTPError, ValueError):
            return {"gone"}
        return {ready["database"], ready["redis"]}

    def drift(self) -> Drift:
        """The all-time top 10 as the score rows, the board and each stream have it."""
        rows = self.postgres.fetch(
            "SELECT account_id, total FROM standings WHERE board = 'all-time' AND total > 0 "
            "ORDER BY total DESC, reached_log_id LIMIT 10",
            database="site",
        )
        shown = [
            [(user["userId"], user["score"]) for user in watcher.newest.get("users", [])]
            for watcher in self.watchers
        ]
        return Drift(
            [(row["account_id"], row["total"]) for row in rows], [self._on_board(), *shown]
        )

    def _on_board(self) -> list[tuple[str, int]]:
        members = self.redis.command("ZRANGE", "scoreboard:{all-time}:order", 0, 9, "WITHSCORES")
        if not self.redis.command("EXISTS", "scoreboard:{all-time}:mark"):
            return []
        return [
            (member[16:], -int(score))
            for member, score in zip(members[::2], members[1::2], strict=True)
        ]

    def settled(self, seconds: float = PATIENCE) -> float:
        """Pause the crowd and wait until every stream shows the top 10 of the score rows, and the
        board has every row as they have it; gives the seconds it took.
        """
        self.crowd.pause()
        began = time.monotonic()
        while not (drift := self.drift()).is_none or self.difference():
            found = drift if not drift.is_none else self.difference()
            assert time.monotonic() < began + seconds, f"they still differ: {found}"
            time.sleep(0.02)
        return time.monotonic() - began

    def difference(self) -> str:
        """The first row that the board does not have as the score rows do; empty when all agree."""
        rows = self.postgres.fetch("SELECT * FROM standings ORDER BY period", database="site")
        newest = {row["board"]: row["period"] for row in rows}
        for row in rows:
            tag = f"{row['board']}:{row['period']}".rstrip(":")
            held = self.redis.command("HGET", f"scoreboard:{{{tag}}}:rows", row["account_id"])
            if held is None:
                # A past period that was lost is read from SQL, and not loaded again.
                is_loaded = self.redis.command("EXISTS", f"scoreboard:{{{tag}}}:mark")
                if is_loaded or newest[row["board"]] == row["period"]:
                    return f"{tag} lacks {row['account_id']}"
                continue
            version, reached, total, _ = held.split("|", 3)
            wanted = (row["version"], row["reached_log_id"], row["total"])
            if (int(version), int(reached), int(total)) != wanted:
                return f"{tag} has {held}, not {wanted}"
        return ""

    def audit(self) -> int:
        """With the crowd at rest: what was acknowledged is in the log exactly once and nothing else
        is, the log adds up to the scores, the board has them all, and receipts come again. Gives
        the number of rows.
        """
        receipts = self.crowd.receipts
        log = self.postgres.fetch("SELECT * FROM action_log ORDER BY log_id", database="site")
        kept = {
            (row["actor_id"] or row["account_id"], row["idempotency_key"]): _answer_to(row)
            for row in log
        }
        assert len(kept) == len(log), "a key counted twice"
        lost = receipts.keys() - kept.keys()
        assert not lost, f"acknowledged and lost: {sorted(lost)[:5]}"
        assert kept == receipts, "the log holds what nobody was told"
        self._check_sums(log)
        for watcher in self.watchers:
            assert watcher.error is None, watcher.error
        hidden = self.postgres.fetch("SELECT account_id FROM hidden_players", database="site")
        shown = {account_id for account_id, _ in self.drift().sql}
        assert not shown & {row["account_id"] for row in hidden}
        for caller in self.crowd.callers:
            calls = list(caller.receipts)
            for call in self.chance.sample(calls, min(REPLAYS, len(calls))):
                self._check_replay(caller, call)
        return len(log)

    def _check_sums(self, log: Sequence[dict[str, Any]]) -> None:
        sums: dict[tuple[str, str, str], int] = {}
        for row in log:
            if row["kind"] in ("hide", "unhide"):
                assert row["points"] == 0
                continue
            for board, period in (("all-time", ""), ("daily", row["day"]), ("weekly", row["week"])):
                key = (board, period, row["account_id"])
                sums[key] = sums.get(key, 0) + row["points"]
            assert sums["all-time", "", row["account_id"]] == row["new_score"]
        scores = self.postgres.fetch("SELECT * FROM scores", database="site")
        assert {
            (row["board"], row["period"], row["account_id"]): row["total"] for row in scores
        } == sums
        assert not self.difference()

    def _check_replay(self, caller: Caller, call: Call) -> None:
        server = self.chance.choice(self.servers)
        answer = httpx2.post(
            f"{server.url}/api/v1{call.path}",
            content=call.body,
            headers={**caller.headers(server), "Idempotency-Key": call.key},
            timeout=5,
        )
        assert answer.status_code == 200, answer.text
        assert {**answer.json(), "rank": None} == caller.receipts[call]

    def logs(self) -> str:
        """The end of every server's log."""
        return "\n".join(json.dumps(server.logged()[-3000:]) for server in self.servers)


def _answer_to(row: dict[str, Any]) -> dict[str, Any]:
    """The answer, without its rank, that whoever caused a row of the log was given."""
    at = rfc3339(row["completed_at_ms"])
    if row["kind"] in ("hide", "unhide"):
        return {
            "userId": row["account_id"],
            "username": row["account_id"],
            "hidden": row["kind"] == "hide",
            "score": row["new_score"],
            "changedAt": at,
            "rank": None,
        }
    return {
        "success": True,
        "completionId": str(row["log_id"]),
        "actionId": row["action_id"],
        "pointsEarned": row["points"],
        "newScore": row["new_score"],
        "completedAt": at,
        "rank": None,
    }
