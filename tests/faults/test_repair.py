"""What nobody's traffic would mend: found by the sweep alone, within seconds, and counted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import Postgres, Redis
from tests.support.server import RawStream, Server, eventually

HEALED = 5.0  # seconds

# Dies when the commit is on the disk and the board knows nothing of it yet.
DIES_BEFORE_THE_BOARD = """
import os
from scoreboard.board.redis.board import RedisBoard
apply = RedisBoard.apply

async def dying(self, totals, ask=()):
    if any(account_id == "doomed" for account_id in ask):
        os.kill(os.getpid(), 9)
    return await apply(self, totals, ask)

RedisBoard.apply = dying
"""


@pytest.fixture
def shared() -> Iterator[tuple[Postgres, Redis]]:
    """A PostgreSQL, and a Redis that can be taken back in time."""
    with Postgres(fsync=True) as postgres, Redis(persistence="rdb") as redis:
        yield postgres, redis


def start(folder: Path, shared: tuple[Postgres, Redis], **options: str) -> Server:
    postgres, redis = shared
    folder.mkdir()
    return Server(folder, DATABASE_URL=postgres.url, REDIS_URL=redis.url, **options)


def shows(server: Server, wanted: dict[str, int]) -> bool:
    with server.client() as client:
        users = client.get("/leaderboard").json()["users"]
    return {user["userId"]: user["score"] for user in users} == wanted


def test_who_dies_between_the_commit_and_the_board_loses_nothing(
    tmp_path: Path, shared: tuple[Postgres, Redis]
) -> None:
    with (
        start(tmp_path / "other", shared) as other,
        RawStream(other) as stream,
        start(tmp_path / "dying", shared, prelude=DIES_BEFORE_THE_BOARD) as dying,
    ):
        assert dying.complete("ada", key="k").json()["rank"] == 1
        stream.read_until(b"ada")
        with pytest.raises(Exception, match=r"disconnect|Disconnect|reset|closed"):
            dying.complete("doomed", key="k")
        assert dying.wait() == -signal.SIGKILL
        died = time.monotonic()
        stream.read_until(b"doomed")
        assert time.monotonic() - died < HEALED
        assert other.metric("scoreboard_drift_repaired_total") == 1
        assert other.complete("doomed", key="k").headers["idempotent-replayed"] == "true"
        for board in ("daily", "weekly"):
            with other.client() as client:
                page = client.get("/leaderboard", params={"board": board}).json()
            assert [user["userId"] for user in page["users"]] == ["ada", "doomed"]


def test_a_redis_that_lost_the_last_seconds_is_brought_forward(
    tmp_path: Path, shared: tuple[Postgres, Redis]
) -> None:
    """As a failover to a late replica does, with nobody playing who would mend it by the way."""
    _, redis = shared
    with start(tmp_path / "one", shared) as one, start(tmp_path / "two", shared) as two:
        for name in ("ada", "bob"):
            one.complete(name, key="before")
        redis.command("SAVE")
        for name in ("bob", "cy"):
            two.complete(name, key="after")
        now = {"ada": 5, "bob": 10, "cy": 5}
        assert shows(one, now)
        redis.kill()
        redis.start()
        back = time.monotonic()
        eventually(lambda: redis.command("ZCARD", "scoreboard:{all-time}:order") == 3)
        eventually(lambda: shows(one, now) and shows(two, now))
        assert time.monotonic() - back < HEALED
        assert sum(server.metric("scoreboard_drift_repaired_total") for server in (one, two)) == 2
        assert "differed on the board" in one.logged() + two.logged()


def test_what_an_operator_removed_by_hand_is_put_back(
    tmp_path: Path, shared: tuple[Postgres, Redis]
) -> None:
    _, redis = shared
    with start(tmp_path / "one", shared) as server:
        for name in ("ada", "bob"):
            server.complete(name, key="k")
        redis.command("HDEL", "scoreboard:{all-time}:rows", "bob")
        eventually(lambda: shows(server, {"ada": 5, "bob": 5}))
        redis.command("DEL", "scoreboard:{all-time}:order")
        eventually(lambda: redis.command("ZCARD", "scoreboard:{all-time}:order") == 2)
        os.kill(server.pid, 0)  # and nothing had to be started again
