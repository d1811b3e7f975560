"""What a platform and its operator see."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import httpx2

from tests.support.programs import running
from tests.support.server import Server, environment, eventually


def test_health_and_readiness(server: Server, client: httpx2.Client) -> None:
    redis = "ok" if "REDIS_URL" in server.settings else "off"
    assert client.get(f"{server.url}/healthz").json() == {"status": "ok"}
    ready = client.get(f"{server.url}/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "database": "ok", "redis": redis},
    )


def test_the_api_describes_itself(server: Server, client: httpx2.Client) -> None:
    document = client.get(f"{server.url}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/leaderboard" in document["paths"]


def test_a_database_that_is_held_by_another_is_a_503_and_heals(tmp_path: Path) -> None:
    """The lock is waited for, a moment; then nothing is half done, and a retry settles it."""
    with Server(tmp_path) as server, server.client() as client:
        server.complete("ada", "join-the-game")
        connection = sqlite3.connect(tmp_path / "board.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        refused = server.complete("ada", key="k")
        assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert refused.headers["retry-after"] == str(refused.json()["retryAfter"])
        assert client.get("/leaderboard").json()["users"][0]["score"] == 25
        connection.execute("ROLLBACK")
        connection.close()
        settled = server.complete("ada", key="k")
        assert (settled.status_code, settled.json()["newScore"]) == (200, 30)
        assert "idempotent-replayed" not in settled.headers


def test_behind_a_lock_nobody_waits_for_long(tmp_path: Path) -> None:
    """Not even those who come one after the other, each with a transaction of its own."""
    with Server(tmp_path) as server:
        connection = sqlite3.connect(tmp_path / "board.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with ThreadPoolExecutor(12) as pool:
            newcomers = [f"newcomer-{number}" for number in range(12)]
            answers = list(pool.map(lambda name: server.complete(name, key="k"), newcomers))
        took = time.monotonic() - began
        connection.close()
        assert [answer.status_code for answer in answers] == [503] * 12
        assert took < 9


def test_a_database_that_is_gone_is_told_by_readyz_alone(tmp_path: Path) -> None:
    with Server(tmp_path) as server, server.client() as client:
        connection = sqlite3.connect(tmp_path / "board.db")
        connection.execute("ALTER TABLE schema_migrations RENAME TO hidden")
        connection.commit()
        away = client.get(f"{server.url}/readyz")
        assert (away.status_code, away.json()["database"]) == (503, "away")
        assert away.headers["retry-after"] == "1"
        assert client.get(f"{server.url}/healthz").status_code == 200
        connection.execute("ALTER TABLE hidden RENAME TO schema_migrations")
        connection.commit()
        connection.close()
        assert client.get(f"{server.url}/readyz").status_code == 200


def test_log_lines_are_json_with_the_request_id_and_without_the_query(tmp_path: Path) -> None:
    command, env = [sys.executable, "-m", "scoreboard"], environment(tmp_path)
    subprocess.run([*command, "migrate"], env=env, check=True)
    with (
        (tmp_path / "log").open("w+") as log,
        running(
            [*command, "serve", "--access-log"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        httpx2.get(
            f"{url}/api/v1/leaderboard%0Aforged?token=secret", headers={"X-Request-Id": "mine"}
        )
        eventually(lambda: "mine" in (tmp_path / "log").read_text())
        process.terminate()
    (line,) = (tmp_path / "log").read_text().splitlines()
    entry = json.loads(line)
    assert entry["requestId"] == "mine"
    assert entry["message"].startswith("GET /api/v1/leaderboard%0Aforged 404 ")
    assert "secret" not in line


def test_the_page_is_served_with_a_strict_policy(server: Server, client: httpx2.Client) -> None:
    page = client.get(f"{server.url}/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert 'data-demo="yes"' in page.text
    parts = {f"/{file.name}" for file in (files("scoreboard.web") / "static").iterdir()}
    assert parts > {"/page.js", "/page.css", "/icon.svg"}
    for path in parts - {"/index.html"}:
        assert f'"{path}"' in page.text
        part = client.get(f"{server.url}{path}")
        assert part.status_code == 200
        again = client.get(f"{server.url}{path}", headers={"If-None-Match": part.headers["etag"]})
        assert again.status_code == 304
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text


BROKEN_HANDLER = """
from scoreboard.ledger import actions

async def listed(database):
    raise RuntimeError("an internal detail")

actions.listed = listed
"""


def test_a_bug_is_a_plain_500_and_the_log_has_the_rest(tmp_path: Path) -> None:
    with Server(tmp_path, prelude=BROKEN_HANDLER) as server, server.client() as client:
        answer = client.get("/actions", headers={"X-Request-Id": "mine"})
        assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_SERVER_ERROR")
        assert answer.headers["x-request-id"] == "mine"
        assert "internal detail" not in answer.text
        entry = json.loads(server.logged().splitlines()[0])
        assert entry["requestId"] == "mine"
        assert "RuntimeError: an internal detail" in entry["error"]
        assert client.get("/leaderboard").status_code == 200


def test_a_bug_is_told_to_other_sites_too(tmp_path: Path) -> None:
    listed = {"SCOREBOARD_CORS_ORIGINS": "https://a.example"}
    with Server(tmp_path, prelude=BROKEN_HANDLER, **listed) as server, server.client() as client:
        answer = client.get("/actions", headers={"Origin": "https://a.example"})
        assert answer.status_code == 500
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
