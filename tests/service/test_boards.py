"""Reading the boards over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import httpx2
import pytest

from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, with twelve players of known places."""
    folder = tmp_path_factory.mktemp("boards")
    with Server(folder, SCOREBOARD_RATE_LIMIT="1000/minute") as server:
        for number in range(12):
            for turn in range(12 - number):
                server.complete(f"p{number:02}", key=str(turn))
        yield server


def test_without_parameters_it_is_the_all_time_top_ten(client: httpx2.Client) -> None:
    snapshot = client.get("/leaderboard").json()
    assert list(snapshot) == ["board", "period", "version", "updatedAt", "users"]
    assert (snapshot["board"], snapshot["period"]) == ("all-time", None)
    assert [user["rank"] for user in snapshot["users"]] == list(range(1, 11))
    assert snapshot["users"][0] == {"rank": 1, "userId": "p00", "username": "p00", "score": 60}


def test_a_page_further_down(client: httpx2.Client) -> None:
    users = client.get("/leaderboard?limit=100&offset=10").json()["users"]
    assert [(user["rank"], user["userId"]) for user in users] == [(11, "p10"), (12, "p11")]
    assert client.get("/leaderboard?offset=10000").json()["users"] == []


def test_a_client_that_has_it_gets_a_304(server: Server, client: httpx2.Client) -> None:
    first = client.get("/leaderboard?limit=3")
    etag = first.headers["etag"]
    assert etag == f'W/"{first.json()["version"]}"'
    again = client.get("/leaderboard?limit=3", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get("/leaderboard?limit=4", headers={"If-None-Match": etag}).status_code == 200


def test_a_get_shows_every_change_that_was_answered(server: Server, client: httpx2.Client) -> None:
    versions = set()
    for turn in range(5):
        server.complete("p00", key=f"more {turn}".replace(" ", "-"))
        snapshot = client.get("/leaderboard").json()
        versions.add(snapshot["version"])
        assert snapshot["users"][0]["score"] == 65 + 5 * turn
    assert len(versions) == 5


def test_current_past_and_future_periods(client: httpx2.Client) -> None:
    daily = client.get("/leaderboard?board=daily").json()
    named = client.get(f"/leaderboard?board=daily&period={daily['period']}").json()
    assert named["version"] == daily["version"]
    assert len(daily["users"]) == 10
    for query in ("board=daily&period=2020-02-29", "board=weekly&period=2099-W01"):
        empty = client.get(f"/leaderboard?{query}")
        assert (empty.status_code, empty.json()["users"]) == (200, [])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("board=hourly", 404),
        ("board=", 404),
        ("board=daily&period=yesterday", 400),
        ("board=daily&period=2026-02-30", 400),
        ("board=weekly&period=2025-W53", 400),
        ("period=2026-11-21", 400),
        ("limit=0", 400),
        ("limit=101", 400),
        ("limit=1e1", 400),
        ("limit=10&limit=20", 400),
        ("offset=-1", 400),
        ("offset=10001", 400),
        ("offset=99999999999999999999", 400),
    ],
)
def test_an_absurd_question_is_refused(client: httpx2.Client, query: str, status: int) -> None:
    answer = client.get(f"/leaderboard?{query}")
    assert answer.status_code == status
    assert answer.json()["code"] == {400: "VALIDATION_ERROR", 404: "NOT_FOUND"}[status]


def test_a_player_and_the_neighbours(server: Server, client: httpx2.Client) -> None:
    player = client.get("/players/p05?around=1").json()
    assert (player["rank"], player["score"], player["board"]) == (6, 35, "all-time")
    assert [user["userId"] for user in player["around"]] == ["p04", "p05", "p06"]
    assert len(client.get("/players/p05").json()["around"]) == 5
    assert len(client.get("/players/p11?around=10").json()["around"]) == 11


def test_a_player_without_points_is_on_no_place(server: Server, client: httpx2.Client) -> None:
    client.get("/me", headers=server.bearer("newcomer"))
    player = client.get("/players/newcomer?board=weekly").json()
    assert (player["score"], player["rank"], player["around"]) == (0, None, [])


@pytest.mark.parametrize("account_id", ["auth0|a/b c?#%", "Ω/…/ω"])
def test_an_account_id_is_opaque(server: Server, client: httpx2.Client, account_id: str) -> None:
    client.get("/me", headers=server.bearer(account_id))
    answer = client.get(f"/players/{quote(account_id, safe='')}")
    assert answer.json()["userId"] == account_id


@pytest.mark.parametrize("path", ["/players/nobody", "/players/", "/players/%00", "/players/%FF"])
def test_an_unknown_player_is_not_found(client: httpx2.Client, path: str) -> None:
    assert client.get(path).json()["code"] == "NOT_FOUND"


@pytest.mark.parametrize("query", ["around=11", "around=-1", "around=x", "board=hourly"])
def test_an_absurd_question_about_a_player_is_refused(client: httpx2.Client, query: str) -> None:
    assert client.get(f"/players/p01?{query}").status_code in (400, 404)


def test_boards_can_be_switched_off(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("one-board")
    with Server(folder, SCOREBOARD_BOARDS="all-time") as server, server.client() as client:
        receipt = server.complete("ada", "join-the-game").json()
        assert receipt["rank"] == 1
        assert client.get("/leaderboard?board=daily").status_code == 404
        assert client.get("/leaderboard/stream?board=daily").status_code == 404
        me = client.get("/me", headers=server.bearer("ada")).json()
        assert [board["board"] for board in me["boards"]] == ["all-time"]
