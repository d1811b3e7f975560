"""Many processes on PostgreSQL and Redis, started in any order, each with what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import Postgres, Redis
from tests.support.server import RawStream, Server, events, eventually, next_snapshot


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[tuple[Server, Server]]:
    """Two servers with nothing in common but PostgreSQL and Redis."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    shared = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url}
    with Server(tmp_path / "one", **shared) as one, Server(tmp_path / "two", **shared) as two:
        yield one, two


def test_a_completion_on_one_server_shows_on_the_streams_of_the_other(
    pair: tuple[Server, Server],
) -> None:
    one, two = pair
    with events(one) as here, events(two) as there:
        assert next_snapshot(here)["users"] == next_snapshot(there)["users"] == []
        receipts = [
            one.complete("ada", key="1").json(),
            two.complete("bob", "join-the-game").json(),
            two.complete("ada", key="2").json(),
        ]
        assert [receipt["rank"] for receipt in receipts] == [1, 1, 2]
        assert receipts[2]["newScore"] == 10
        shown = []
        for stream in (here, there):
            snapshot = next_snapshot(stream)
            while snapshot["users"][-1]["score"] != 10:
                snapshot = next_snapshot(stream)
            shown.append({**snapshot, "updatedAt": None})
    assert shown[0] == shown[1]  # the same ranks, and the same version
    assert [user["username"] for user in shown[0]["users"]] == ["bob", "ada"]
    with one.client() as a, two.client() as b:
        tags = {client.get("/leaderboard").headers["etag"] for client in (a, b)}
        assert tags == {f'W/"{shown[0]["version"]}"'}


def test_a_key_and_a_slot_are_one_on_all_servers(pair: tuple[Server, Server]) -> None:
    one, two = pair
    first = one.complete("ada", "join-the-game", key="k")
    replayed = two.complete("ada", "join-the-game", key="k")
    assert replayed.headers["idempotent-replayed"] == "true"
    assert replayed.json() == first.json()
    again = two.complete("ada", "join-the-game")
    assert again.status_code == 409
    assert again.json()["completion"] == first.json()


def test_the_limit_is_one_for_all_servers(pair: tuple[Server, Server]) -> None:
    answers = [pair[turn % 2].complete("ada", key=str(turn)).status_code for turn in range(14)]
    assert answers == [200] * 10 + [429] * 4


def test_without_redis_a_second_server_is_refused(tmp_path: Path, postgres_url: str) -> None:
    with Server(tmp_path, DATABASE_URL=postgres_url) as server:
        second = Server(tmp_path, DATABASE_URL=postgres_url)
        with pytest.raises(AssertionError, match="another server runs on"):
            second.start()
        assert second.wait() == 2
        second.log.close()
        assert server.complete("ada", "join-the-game").json()["rank"] == 1
        server.kill()
        server.start()  # the lock has gone with its process
        assert server.complete("ada", "join-the-game").status_code == 409


def test_a_wrong_password_stops_the_start_in_one_line(tmp_path: Path, postgres_url: str) -> None:
    wrong = postgres_url.replace("postgres:", "postgres:wrong")
    server = Server(tmp_path, DATABASE_URL=wrong)
    with pytest.raises(AssertionError):
        server.start()
    assert server.wait() == 2
    server.log.close()
    line = server.logged().splitlines()[-1]
    assert line.startswith("scoreboard: DATABASE_URL: ")
    assert "password authentication failed" in line
    assert "wrong" not in line


@pytest.fixture
def own() -> Iterator[tuple[Postgres, Redis]]:
    """Servers that may be stopped."""
    with Postgres() as postgres, Redis() as redis:
        yield postgres, redis


def test_a_start_without_postgresql_and_redis_heals_by_itself(
    tmp_path: Path, own: tuple[Postgres, Redis]
) -> None:
    postgres, redis = own
    settings = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
    with Server(tmp_path, **settings) as server:
        server.complete("ada", "join-the-game")
    postgres.stop()
    redis.stop()
    server = Server(tmp_path, words=["serve"], **settings)
    with server, RawStream(server) as stream, server.client() as client:
        assert b": not yet" in stream.read_until(b"\n\n")
        assert client.get(f"{server.url}/healthz").status_code == 200
        ready = client.get(f"{server.url}/readyz")
        assert ready.status_code == 503
        assert ready.json() == {"status": "unavailable", "database": "away", "redis": "away"}
        for answer in (server.complete("ada", key="k"), client.get("/leaderboard")):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
        postgres.start()
        # Without Redis it is shown from SQL, and completions go on without a rank.
        assert b'"score":25' in stream.read_frame()
        eventually(lambda: server.complete("ada", key="k").status_code == 200)
        assert server.complete("ada", key="k2").json()["rank"] is None
        assert client.get(f"{server.url}/readyz").json()["status"] == "degraded"
        redis.start()
        eventually(lambda: server.complete("ada", key="k3").json().get("rank") == 1)
        assert client.get(f"{server.url}/readyz").json()["status"] == "ok"
        assert server.logged().count("the database is away") == 2  # looked at before, and served


def test_an_older_schema_that_is_found_late_ends_the_service(
    tmp_path: Path, own: tuple[Postgres, Redis]
) -> None:
    postgres, _ = own
    postgres.stop()
    with Server(tmp_path, words=["serve"], DATABASE_URL=postgres.url) as server:
        postgres.start()
        assert server.wait() == 1
        assert "run `scoreboard migrate` first" in server.logged()
