"""`sslmode` means what it means everywhere: to encrypt, to know the authority, to know the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.platform.conftest import ELSEWHERE, Certificates
from tests.support.backends import Postgres
from tests.support.server import Server


def play(server: Server) -> None:
    """Complete, send again, read."""
    first = server.complete("ada", key="turn-1")
    assert first.status_code == 200, first.text
    again = server.complete("ada", key="turn-1")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["completionId"] == first.json()["completionId"]
    with server.client() as client:
        (user,) = client.get("/leaderboard").raise_for_status().json()["users"]
    assert (user["userId"], user["score"]) == ("ada", first.json()["newScore"])


def is_encrypted(postgres: Postgres, database: str) -> bool:
    """Whether the service's connections are, all of them alike."""
    (row,) = postgres.fetch(
        "SELECT bool_and(ssl) AS all, bool_or(ssl) AS any, COUNT(*) AS count"
        " FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = $1",
        database,
    )
    assert row["count"] > 0
    assert row["all"] == row["any"]
    return bool(row["all"])


def readiness(server: Server) -> tuple[int, str]:
    """The status of `readyz`, and what it says about the database."""
    with server.client() as client:
        answer = client.get(f"{server.url}/readyz")
    return answer.status_code, answer.json()["database"]


@pytest.mark.parametrize(
    ("options", "encrypted"),
    [
        ("", True),
        ("?sslmode=disable", False),
        ("?sslmode=prefer", True),
        ("?sslmode=require", True),
        ("?sslmode=verify-ca&sslrootcert={authority}", True),
        ("?sslmode=verify-full&sslrootcert={authority}", True),
    ],
)
def test_the_service_plays_over_it(
    postgres: Postgres,
    certificates: Certificates,
    database: str,
    tmp_path: Path,
    options: str,
    encrypted: bool,
) -> None:
    url = postgres.url_of(database) + options.format(authority=certificates.authority)
    with Server(tmp_path, DATABASE_URL=url) as server:
        play(server)
        assert readiness(server) == (200, "ok")
        assert is_encrypted(postgres, database) == encrypted
        assert postgres.password not in server.logged()


def test_verify_ca_does_not_ask_for_the_host(
    postgres: Postgres, certificates: Certificates, database: str, tmp_path: Path
) -> None:
    url = postgres.url_of(database).replace("127.0.0.1", ELSEWHERE)
    options = f"?sslmode=verify-ca&sslrootcert={certificates.authority}"
    with Server(tmp_path, DATABASE_URL=url + options) as server:
        play(server)
        assert is_encrypted(postgres, database)


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("127.0.0.1", "?sslmode=verify-ca&sslrootcert={stranger}"),
        ("127.0.0.1", "?sslmode=verify-full&sslrootcert={stranger}"),
        ("127.0.0.1", "?sslmode=verify-full"),  # the machine's authorities, none of which signed it
        (ELSEWHERE, "?sslmode=verify-full&sslrootcert={authority}"),
    ],
)
def test_a_server_that_cannot_be_verified_is_refused(
    postgres: Postgres,
    certificates: Certificates,
    database: str,
    tmp_path: Path,
    host: str,
    options: str,
) -> None:
    url = postgres.url_of(database).replace("127.0.0.1", host)
    options = options.format(authority=certificates.authority, stranger=certificates.stranger)
    server = Server(tmp_path, DATABASE_URL=url + options)
    with pytest.raises(AssertionError, match="no start: ''"), server:
        pass
    assert server.process
    assert server.process.returncode not in (0, None)
    last = server.logged().splitlines()[-1]
    assert last.startswith("scoreboard: DATABASE_URL: ")
    assert "certificate verify failed" in last
    assert postgres.password not in server.logged()
    assert (
        postgres.fetch("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", database=database)
        == []
    )
