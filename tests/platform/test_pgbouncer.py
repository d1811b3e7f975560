"""Behind a pooler in transaction mode no statement is prepared on one server and run on another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from tests.platform.conftest import PgBouncer, TlsRedis
from tests.support.server import Server, eventually

PLAYERS = 40
TURNS = 3


def test_many_complete_and_read_at_once(
    pgbouncer: PgBouncer, redis: TlsRedis, database: str, tmp_path: Path
) -> None:
    with Server(
        tmp_path,
        DATABASE_URL=f"{pgbouncer.url_of(database)}?sslmode=disable",
        REDIS_URL=redis.url,
        SCOREBOARD_REDIS_TLS_INSECURE="1",
        SCOREBOARD_STATEMENT_CACHE="off",
    ) as server:
        limits = httpx2.Limits(max_connections=PLAYERS)
        with server.client(limits=limits) as client, ThreadPoolExecutor(PLAYERS) as threads:

            def play(number: int) -> list[str]:
                """Complete, send again and read, in turns; gives what was refused."""
                name = f"player-{number}"
                refused = []
                for turn in range(TURNS):
                    headers = {**server.bearer(name), "Idempotency-Key": f"turn-{turn}"}
                    answers = [
                        client.post("/actions/solve-a-puzzle/complete", headers=headers),
                        client.post("/actions/solve-a-puzzle/complete", headers=headers),
                        client.get("/leaderboard", params={"limit": 100}),
                        client.get(f"/players/{name}", params={"board": "daily"}),
                        client.get("/me", headers=headers),
                    ]
                    refused += [answer.text for answer in answers if answer.status_code != 200]
                return refused

            def scores() -> list[int]:
                users = client.get("/leaderboard", params={"limit": 100}).json()["users"]
                return [user["score"] for user in users]

            refused = [text for texts in threads.map(play, range(PLAYERS)) for text in texts]
            assert not refused, f"{refused}\n{server.logged()}\n{pgbouncer.logged()}"
            eventually(lambda: scores() == [5 * TURNS] * PLAYERS)
