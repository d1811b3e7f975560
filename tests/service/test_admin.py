"""What staff may do over HTTP, and that nobody else may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.support.server import Server, events, next_snapshot

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PUZZLE = {"name": "Puzzle", "points": 5, "repeat": "unlimited"}


@pytest.fixture
def staff(trusting: Server) -> Iterator[httpx2.Client]:
    """Somebody with the scope."""
    with trusting.client(headers=trusting.bearer("boss", scope="admin")) as client:
        yield client


def complete(server: Server, name: str, action: str = "join-the-game") -> dict[str, Any]:
    answer = server.complete(name, action)
    assert answer.status_code == 200, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


def newest(staff: httpx2.Client) -> dict[str, Any]:
    found: dict[str, Any] = staff.get("/admin/audit").json()["items"][0]
    return found


def shown(stream: Iterator[httpx2.ServerSentEvent]) -> set[str]:
    """Who is on the next frame."""
    return {user["userId"] for user in next_snapshot(stream)["users"]}


CALLS = [
    ("PUT", "/admin/actions/x", PUZZLE),
    ("DELETE", "/admin/actions/x", None),
    ("POST", "/admin/adjustments", {"userId": "x", "points": 1, "reason": "r"}),
    ("POST", "/admin/completions/1/void", {"reason": "r"}),
    ("POST", "/admin/players/x/hide", {"reason": "r"}),
    ("POST", "/admin/players/x/unhide", {"reason": "r"}),
    ("GET", "/admin/audit", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_only_staff_may(trusting: Server, method: str, path: str, body: object) -> None:
    """Neither nobody, nor a player, nor a backend, nor a scope that merely looks like it."""
    with trusting.client() as client:
        answer = client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
        for scope in ("", "scores:write", "administrator", "not-admin", "ADMIN", "admin:read"):
            bearer = trusting.bearer("mallory", scope=scope)
            answer = client.request(method, path, json=body, headers=bearer)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN"), scope


def test_an_action_is_created_changed_and_retired(trusting: Server, staff: httpx2.Client) -> None:
    whole = {**PUZZLE, "description": "Hard", "dailyLimit": 3, "cooldownSeconds": 60}
    answer = staff.put("/admin/actions/life", json={**whole, "reason": "new game"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"actionId": "life", **whole, "minElapsedSeconds": None}
    assert answer.json() in staff.get("/actions").json()["actions"]
    assert newest(staff)["change"] == "action_created"
    assert newest(staff)["reason"] == "new game"

    first = trusting.complete("liver", "life", "k").json()
    assert staff.put("/admin/actions/life", json={**PUZZLE, "points": 50}).status_code == 200
    assert trusting.complete("liver", "life", "k").json() == first, "the past stays"
    assert trusting.complete("liver", "life", "k2").json()["pointsEarned"] == 50
    changed = newest(staff)
    assert changed["change"] == "action_changed"
    assert changed["detail"]["before"]["dailyLimit"] == 3
    assert changed["detail"]["after"]["dailyLimit"] is None

    for _ in range(2):
        assert staff.delete("/admin/actions/life").json()["actionId"] == "life"
    assert newest(staff)["change"] == "action_retired"
    assert trusting.complete("liver", "life", "k").json() == first
    assert trusting.complete("liver", "life", "k3").json()["code"] == "INVALID_ACTION"
    assert staff.delete("/admin/actions/never").json()["code"] == "INVALID_ACTION"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("points", 0),
        ("points", 101),
        ("points", -5),
        ("points", "5"),
        ("points", 5.0),
        ("points", True),
        ("points", None),
        ("name", ""),
        ("name", " "),
        ("name", "two\nlines"),
        ("name", "x" * 101),
        ("description", "x" * 501),
        ("repeat", "hourly"),
        ("repeat", None),
        ("minElapsedSeconds", 0),
        ("minElapsedSeconds", 43_201),
        ("cooldownSeconds", -1),
        ("dailyLimit", 1.5),
        ("dailyLimit", False),
        ("reason", ""),
        ("reason", 5),
        ("actionId", "other"),
        ("unknown", 1),
    ],
)
def test_a_wrong_action_is_refused_by_its_field(
    staff: httpx2.Client, field: str, value: object
) -> None:
    answer = staff.put("/admin/actions/wrong", json={**PUZZLE, field: value})
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert "wrong" not in {one["actionId"] for one in staff.get("/actions").json()["actions"]}


@pytest.mark.parametrize("action_id", ["UPPER", "-x", "x" * 65, "a%20b", "%F0%9F%92%A5", "a.b"])
def test_an_action_id_is_a_slug(staff: httpx2.Client, action_id: str) -> None:
    answer = staff.put(f"/admin/actions/{action_id}", json=PUZZLE)
    assert (answer.status_code, answer.json()["field"]) == (400, "actionId")


def test_an_adjustment_is_a_receipt_with_a_reason(trusting: Server, staff: httpx2.Client) -> None:
    complete(trusting, "adjusted")
    body = {"userId": "adjusted", "points": -30, "reason": "bought points"}
    answers = [
        staff.post("/admin/adjustments", json=body, headers={"Idempotency-Key": "a1"})
        for _ in range(2)
    ]
    receipt = answers[0].json()
    assert answers[0].headers["cache-control"] == "no-store"
    assert TIME.fullmatch(receipt.pop("completedAt"))
    completion_id = receipt.pop("completionId")
    assert receipt == {
        "success": True,
        "actionId": None,
        "pointsEarned": -30,
        "newScore": -5,
        "rank": None,
    }
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert answers[1].json()["completionId"] == completion_id
    noted = newest(staff)
    assert (noted["actor"], noted["change"], noted["subject"]) == ("boss", "adjustment", "adjusted")
    assert noted["detail"] == {"completionId": completion_id, "points": -30}
    assert TIME.fullmatch(noted["at"])
    shown = staff.get("/players/adjusted").json()
    assert (shown["score"], shown["rank"], shown["around"]) == (-5, None, [])
    own = trusting.bearer("adjusted")
    me = staff.get("/me", headers=own).json()
    assert (me["score"], me["rank"]) == (-5, None)
    history = staff.get("/me/completions", headers=own).json()["items"]
    assert [(one["actionId"], one["pointsEarned"]) for one in history] == [
        (None, -30),
        ("join-the-game", 25),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"points": 1, "reason": "r"}, "userId"),
        ({"userId": 5, "points": 1, "reason": "r"}, "userId"),
        ({"userId": "adjusted", "reason": "r"}, "points"),
        ({"userId": "adjusted", "points": 0, "reason": "r"}, "points"),
        ({"userId": "adjusted", "points": 1_000_001, "reason": "r"}, "points"),
        ({"userId": "adjusted", "points": -1_000_001, "reason": "r"}, "points"),
        ({"userId": "adjusted", "points": 1.0, "reason": "r"}, "points"),
        ({"userId": "adjusted", "points": True, "reason": "r"}, "points"),
        ({"userId": "adjusted", "points": 1}, "reason"),
        ({"userId": "adjusted", "points": 1, "reason": ""}, "reason"),
        ({"userId": "adjusted", "points": 1, "reason": "x" * 501}, "reason"),
        ({"userId": "adjusted", "points": 1, "reason": "r", "rank": 1}, "rank"),
    ],
)
def test_a_wrong_adjustment_is_refused_by_its_field(
    staff: httpx2.Client, body: dict[str, object], field: str
) -> None:
    answer = staff.post("/admin/adjustments", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_a_void_reverses_once_and_the_boards_follow(trusting: Server, staff: httpx2.Client) -> None:
    receipt = complete(trusting, "cheat")
    assert staff.get("/players/cheat").json()["score"] == 25
    path = f"/admin/completions/{receipt['completionId']}/void"
    first, again = (staff.post(path, json={"reason": why}) for why in ("cheated", "still"))
    assert (first.json()["pointsEarned"], first.json()["newScore"]) == (-25, 0)
    assert first.json()["actionId"] == "join-the-game"
    assert first.json()["rank"] is None
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    for board in ("all-time", "daily", "weekly"):
        shown = staff.get("/players/cheat", params={"board": board}).json()
        assert (shown["score"], shown["rank"]) == (0, None)
    assert newest(staff)["detail"]["voids"] == receipt["completionId"]
    assert trusting.complete("cheat", "join-the-game").status_code == 409, "the slot stays used"
    void_of_void = f"/admin/completions/{first.json()['completionId']}/void"
    for wrong in (void_of_void, "/admin/completions/999999999/void", "/admin/completions/x/void"):
        answer = staff.post(wrong, json={"reason": "r"})
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_hidden_player_leaves_every_board_and_stream_at_once(
    trusting: Server, staff: httpx2.Client
) -> None:
    for name in ("seen", "un/seen"):
        staff.get("/me", headers=trusting.bearer(name))
        body = {"userId": name, "points": 900_000, "reason": "to the top"}
        assert staff.post("/admin/adjustments", json=body).status_code == 200
    with events(trusting, "all-time") as overall, events(trusting, "weekly") as weekly:
        for stream in (overall, weekly):
            while not {"seen", "un/seen"} <= shown(stream):
                continue  # the first frame may be an interval older
        hidden = staff.post("/admin/players/un/seen/hide", json={"reason": "a bot"})
        answer = hidden.json()
        assert TIME.fullmatch(answer.pop("changedAt"))
        assert answer == {
            "userId": "un/seen",
            "username": "un/seen",
            "hidden": True,
            "score": 900_000,
        }
        for stream in (overall, weekly):
            assert shown(stream) & {"seen", "un/seen"} == {"seen"}
    for board in ("all-time", "daily", "weekly"):
        users = staff.get("/leaderboard", params={"board": board}).json()["users"]
        assert "un/seen" not in {user["userId"] for user in users}
        gone = staff.get("/players/un/seen", params={"board": board})
        assert (gone.status_code, gone.json()["code"]) == (404, "NOT_FOUND")
    me = staff.get("/me", headers=trusting.bearer("un/seen")).json()
    assert (me["score"], me["rank"]) == (900_000, None)
    assert complete(trusting, "un/seen")["newScore"] == 900_025

    staff.post("/admin/players/un/seen/unhide", json={"reason": "a fast player"})
    assert staff.get("/players/un/seen").json()["rank"] == 1
    trail = staff.get("/admin/audit").json()["items"][:2]
    assert [(one["change"], one["reason"]) for one in trail] == [
        ("unhide", "a fast player"),
        ("hide", "a bot"),
    ]
    for name in ("seen", "un/seen"):  # out of the way of other tests
        staff.post(f"/admin/players/{name}/hide", json={"reason": "done"})


@pytest.mark.parametrize(
    "account_id", ["a/b", "x/hide", "new\nline", "tab\there", "%2F", "naïve", " ", "?q=1#f"]
)
def test_any_id_can_be_read_and_hidden(
    trusting: Server, staff: httpx2.Client, account_id: str
) -> None:
    """Ids are an identity provider's, and opaque: no character of one puts it out of reach."""
    staff.get("/me", headers=trusting.bearer(account_id))
    path = quote(account_id, safe="")
    assert staff.get(f"/players/{path}").json()["userId"] == account_id
    answer = staff.post(f"/admin/players/{path}/hide", json={"reason": "r"})
    assert answer.json()["userId"] == account_id
    assert staff.get(f"/players/{path}").status_code == 404


@pytest.mark.parametrize("reason", ["", " ", "\u200b", "\u3164", 5, None])
def test_a_reason_can_be_read(staff: httpx2.Client, reason: object) -> None:
    body = {"userId": "boss", "points": 1, "reason": reason}
    answer = staff.post("/admin/adjustments", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, "reason")


@pytest.mark.parametrize("path", ["/admin/players/nobody/hide", "/admin/players/nobody/unhide"])
def test_nobody_cannot_be_hidden(staff: httpx2.Client, path: str) -> None:
    assert staff.post(path, json={"reason": "r"}).json()["code"] == "NOT_FOUND"
    assert staff.post("/admin/players/boss/hide", json={}).json()["field"] == "reason"


def test_the_trail_comes_in_pages_newest_first(staff: httpx2.Client) -> None:
    for number in range(55):
        body = {"userId": "boss", "points": 1, "reason": f"r{number}"}
        assert staff.post("/admin/adjustments", json=body).status_code == 200
    first = staff.get("/admin/audit").json()
    second = staff.get("/admin/audit", params={"cursor": first["nextCursor"]}).json()
    assert len(first["items"]) == 50
    reasons = [one["reason"] for one in first["items"] + second["items"]]
    assert reasons[:55] == [f"r{number}" for number in range(54, -1, -1)]
    assert staff.get("/admin/audit", params={"cursor": "x"}).json()["field"] == "cursor"


def test_a_staff_members_own_key_is_one_for_all_calls(
    trusting: Server, staff: httpx2.Client
) -> None:
    complete(trusting, "keyed")
    key = {"Idempotency-Key": "shared"}
    body = {"userId": "keyed", "points": 1, "reason": "r"}
    assert staff.post("/admin/adjustments", json=body, headers=key).status_code == 200
    for path, other in (
        ("/admin/adjustments", {**body, "points": 2}),
        ("/admin/players/keyed/hide", {"reason": "r"}),
        ("/actions/solve-a-puzzle/complete", {}),
    ):
        answer = staff.post(path, json=other, headers=key)
        assert answer.json()["code"] == "IDEMPOTENCY_KEY_REUSED", path
    assert staff.get("/players/keyed").status_code == 200
