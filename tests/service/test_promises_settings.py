"""Settings that change what is answered, and what a restart leaves as it was."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.server import RawStream, Server

CHANGED = {"SCOREBOARD_ACCESS_TOKEN_MINUTES": "5", "SCOREBOARD_MAX_POINTS": "500"}
# A start ends as soon as it is made; tests/unit/test_starts.py says how long it lives otherwise.
EXPIRED = "from scoreboard.identity import starts; starts.LIFE_MS = 0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of other settings."""
    with Server(tmp_path_factory.mktemp("changed"), prelude=EXPIRED, **CHANGED) as server:
        yield server


@pytest.fixture
def staff(server: Server) -> Iterator[httpx2.Client]:
    """Somebody with the scope."""
    with server.client(headers=server.bearer("boss", scope="admin")) as client:
        yield client


def test_an_access_token_lives_as_long_as_is_set(client: httpx2.Client) -> None:
    body = {"username": "Ada", "password": "correct horse"}
    session = client.post("/auth/register", json=body).json()
    _, claims, _ = session["accessToken"].split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert session["expiresIn"] == read["exp"] - read["iat"] == 300


def test_an_action_may_give_as_many_points_as_are_set(staff: httpx2.Client) -> None:
    action = {"name": "Dear", "points": 500, "repeat": "once"}
    assert staff.put("/admin/actions/dear", json=action).status_code == 200
    answer = staff.put("/admin/actions/dear", json={**action, "points": 501})
    assert (answer.status_code, answer.json()["field"]) == (400, "points")


def test_a_start_that_has_ended_does_not_count(server: Server, staff: httpx2.Client) -> None:
    action = {"name": "Quiz", "points": 5, "repeat": "once", "minElapsedSeconds": 1}
    assert staff.put("/admin/actions/quiz", json=action).status_code == 200
    own = server.bearer("too late")
    token = staff.post("/actions/quiz/start", headers=own).json()["startToken"]
    answer = staff.post("/actions/quiz/complete", headers=own, json={"startToken": token})
    assert (answer.status_code, answer.json()["code"]) == (422, "START_TOKEN_INVALID")


def test_the_version_of_a_board_outlives_a_restart(tmp_path: Path) -> None:
    """As an ETag and as an event id: a client that comes back is sent nothing twice."""
    with Server(tmp_path) as server:
        server.complete("ada", "join-the-game")
        with server.client() as client:
            etag = client.get("/leaderboard").headers["etag"]
        server.stop()
        server.start()
        with server.client() as client:
            again = client.get("/leaderboard", headers={"If-None-Match": etag})
        assert (again.status_code, again.headers["etag"]) == (304, etag)
        seen = etag.removeprefix('W/"').removesuffix('"')
        with RawStream(server, "all-time", f"Last-Event-ID: {seen}") as stream:
            assert b"data:" not in stream.read_until(b": you have the newest\n\n")
