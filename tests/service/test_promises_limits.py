"""Limits that calls share, and what is left of them while Redis is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.backends import Redis
from tests.support.server import Server, eventually

PASSWORD = "correct horse battery"


def test_registering_logging_in_and_refreshing_are_counted_together(tmp_path: Path) -> None:
    with (
        Server(tmp_path, SCOREBOARD_AUTH_RATE_LIMIT="3/minute") as server,
        server.client() as client,
    ):

        def attempts() -> list[httpx2.Response]:
            account = {"username": "Ada", "password": PASSWORD}
            registered = client.post("/auth/register", json=account)
            logged_in = client.post("/auth/login", json=account)
            token = {"refreshToken": logged_in.json().get("refreshToken", "x")}
            return [registered, logged_in, client.post("/auth/refresh", json=token)]

        assert [answer.status_code for answer in attempts()] == [201, 200, 200]
        refused = attempts()
        assert [answer.status_code for answer in refused] == [429] * 3
        for answer in refused:
            assert answer.json()["code"] == "RATE_LIMIT_EXCEEDED"
            assert answer.headers["retry-after"] == str(answer.json()["retryAfter"])


def test_what_staff_does_is_not_counted(trusting: Server) -> None:
    staff = trusting.bearer("uncounted", scope="admin")
    with trusting.client(headers=staff) as client:
        body = {"userId": "uncounted", "points": 1, "reason": "r"}
        answers = [client.post("/admin/adjustments", json=body) for _ in range(15)]
        assert {answer.status_code for answer in answers} == {200}
        completed = client.post("/actions/join-the-game/complete")
        assert completed.headers["ratelimit"].startswith('"default";r=9;')


@pytest.fixture
def redis() -> Iterator[Redis]:
    """One that may be stopped."""
    with Redis() as redis:
        yield redis


def test_while_redis_is_away_each_process_counts_from_zero(
    tmp_path: Path, postgres_url: str, redis: Redis
) -> None:
    """And what Redis had counted counts again when it is back."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    shared = {"DATABASE_URL": postgres_url, "REDIS_URL": redis.url}
    with Server(tmp_path / "one", **shared) as one, Server(tmp_path / "two", **shared) as two:

        def codes(server: Server, start: int) -> list[int]:
            keys = map(str, range(start, start + 12))
            return [server.complete("ada", key=key).status_code for key in keys]

        assert codes(one, 0) == [200] * 10 + [429] * 2
        assert two.complete("ada", key="two").status_code == 429
        redis.freeze()
        with one.client() as client:
            ready = f"{one.url}/readyz"
            eventually(lambda: client.get(ready).json()["status"] == "degraded")
        assert codes(one, 100) == [200] * 10 + [429] * 2
        assert codes(two, 200) == [200] * 10 + [429] * 2
        redis.thaw()
        eventually(lambda: one.complete("bob", key="k").json()["rank"] is not None)
        assert one.complete("ada", key="back").status_code == 429


def test_what_another_server_answered_shows_within_a_second(
    tmp_path: Path, postgres_url: str, redis: Redis
) -> None:
    """Without a stream, and whatever the interval of streams is."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    shared = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis.url,
        "SCOREBOARD_BROADCAST_INTERVAL_MS": "60000",
    }
    with (
        Server(tmp_path / "one", **shared) as one,
        Server(tmp_path / "two", **shared) as two,
        two.client() as client,
    ):
        for turn in range(1, 6):
            one.complete("ada", key=str(turn))
            answered = time.monotonic()
            while client.get("/leaderboard").json()["users"][0:1] != [
                {"rank": 1, "userId": "ada", "username": "ada", "score": 5 * turn}
            ]:
                assert time.monotonic() - answered < 1
