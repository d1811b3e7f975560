"""`rediss://` with a certificate that nobody signed, as hosted ones have: only when asked for."""

from __future__ import annotations

from pathlib import Path

from tests.platform.conftest import TlsRedis
from tests.support.backends import Postgres
from tests.support.server import Server, eventually


def readiness(server: Server) -> tuple[int, str, str]:
    """The status of `readyz`, what it says in all, and about Redis."""
    with server.client() as client:
        answer = client.get(f"{server.url}/readyz")
    return answer.status_code, answer.json()["status"], answer.json()["redis"]


def test_it_is_away_when_it_cannot_be_verified(
    postgres: Postgres, redis: TlsRedis, database: str, tmp_path: Path
) -> None:
    with Server(tmp_path, DATABASE_URL=postgres.url_of(database), REDIS_URL=redis.url) as server:
        eventually(lambda: readiness(server) == (200, "degraded", "away"))
        completed = server.complete("ada", key="turn-1")
        assert completed.status_code == 200, completed.text
        assert completed.json()["rank"] is None
        assert readiness(server) == (200, "degraded", "away")
    assert redis.command("KEYS", "*") == []


def test_it_is_used_when_the_operator_says_so(
    postgres: Postgres, redis: TlsRedis, database: str, tmp_path: Path
) -> None:
    with Server(
        tmp_path,
        DATABASE_URL=postgres.url_of(database),
        REDIS_URL=redis.url,
        SCOREBOARD_REDIS_TLS_INSECURE="1",
    ) as server:
        eventually(lambda: readiness(server) == (200, "ok", "ok"))
        first = server.complete("ada", key="turn-1")
        assert first.status_code == 200, first.text
        assert first.json()["rank"] == 1
        again = server.complete("ada", key="turn-1")
        assert again.headers["idempotent-replayed"] == "true"
        with server.client() as client:
            (user,) = client.get("/leaderboard").raise_for_status().json()["users"]
        assert (user["userId"], user["score"]) == ("ada", first.json()["newScore"])
    assert redis.command("DBSIZE") > 0
