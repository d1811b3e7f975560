"""Completing actions over HTTP, as the contract words it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import httpx2

from scoreboard.ledger.accounts import candidates
from tests.support.server import Server

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_the_actions_are_listed(client: httpx2.Client) -> None:
    answer = client.get("/actions")
    assert [action["actionId"] for action in answer.json()["actions"]] == [
        "join-the-game",
        "daily-check-in",
        "solve-a-puzzle",
    ]
    assert {action["repeat"] for action in answer.json()["actions"]} == {
        "once",
        "daily",
        "unlimited",
    }


def test_a_completion_is_answered_with_a_receipt(server: Server) -> None:
    answer = server.complete("receipt", "join-the-game")
    receipt = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert TIME.fullmatch(receipt.pop("completedAt"))
    assert receipt.pop("completionId").isdecimal()
    assert receipt.pop("rank") >= 1
    assert receipt == {
        "success": True,
        "actionId": "join-the-game",
        "pointsEarned": 25,
        "newScore": 25,
    }


def test_a_second_attempt_holds_the_first_receipt(server: Server) -> None:
    first, again = (server.complete("again", "daily-check-in") for _ in range(2))
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert again.json()["code"] == "ALREADY_COMPLETED"
    assert again.json()["completion"] == first.json()


def test_a_replay_is_marked_and_says_the_same(server: Server) -> None:
    first, again = (server.complete("replay", key="k-1") for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()


def test_a_key_is_for_one_request(server: Server) -> None:
    server.complete("key", key="k-1")
    assert server.complete("key", "join-the-game", key="k-1").json()["code"] == (
        "IDEMPOTENCY_KEY_REUSED"
    )
    assert server.complete("key").json()["code"] == "IDEMPOTENCY_KEY_REQUIRED"


def test_the_body_belongs_to_the_request_whatever_its_spelling(
    server: Server, client: httpx2.Client
) -> None:
    headers = {**server.bearer("body"), "Idempotency-Key": "k"}
    path = "/actions/solve-a-puzzle/complete"
    first = client.post(path, headers=headers, content=b'{"data": {"a": 1, "b": "\\u00e9"}}')
    same = client.post(path, headers=headers, content='{"data":{"b":"é","a":1}}'.encode())
    other = client.post(path, headers=headers, json={"data": {"a": 2}})
    assert first.json() == same.json()
    assert other.status_code == 422


def test_a_number_is_the_same_however_it_is_written(server: Server, client: httpx2.Client) -> None:
    headers = {**server.bearer("numbers"), "Idempotency-Key": "k"}
    path = "/actions/solve-a-puzzle/complete"
    first = client.post(path, headers=headers, content=b'{"data": {"a": [1, 0]}}')
    assert first.status_code == 200
    for spelt in (b"[1.0, -0]", b"[1e0, -0.0]", b"[10E-1, 0e7]"):
        same = client.post(path, headers=headers, content=b'{"data": {"a": %s}}' % spelt)
        assert same.json() == first.json()
        assert same.headers["idempotent-replayed"] == "true"
    for spelt in (b"[1.1, 0]", b"[true, 0]", b'["1", 0]', b"[1, 1e-9]"):
        other = client.post(path, headers=headers, content=b'{"data": {"a": %s}}' % spelt)
        assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_no_client_sets_its_points(server: Server, client: httpx2.Client) -> None:
    for body in ({"points": 1000}, {"data": {}, "score": 9}, {"pointsEarned": 5}):
        answer = client.post(
            "/actions/join-the-game/complete", headers=server.bearer("cheat"), json=body
        )
        assert answer.status_code == 400
    # What is in `data` is kept, not obeyed.
    answer = client.post(
        "/actions/join-the-game/complete",
        headers=server.bearer("cheat"),
        json={"data": {"points": 1000}},
    )
    assert answer.json()["pointsEarned"] == 25


def test_a_storm_of_one_action_counts_once(server: Server) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: server.complete("storm", "join-the-game"), range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    (receipt,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert all(
        answer.json()["completion"]["completionId"] == receipt["completionId"]
        for answer in answers
        if answer.status_code == 409
    )


def test_exactly_ten_a_minute_whatever_they_answer(server: Server) -> None:
    with ThreadPoolExecutor(10) as pool:
        keys = ["a"] * 5 + [f"k{number}" for number in range(20)]
        answers = list(pool.map(lambda key: server.complete("limited", key=key), keys))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), codes.count(429)) == (10, 15)
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert refused.headers["retry-after"] == str(refused.json()["retryAfter"])
    assert 55 <= refused.json()["retryAfter"] <= 60
    assert refused.headers["ratelimit-policy"] == '"default";q=10;w=60'
    assert refused.headers["ratelimit"].startswith('"default";r=0;t=')


def test_what_is_left_is_told_on_every_answer(server: Server) -> None:
    left = [
        server.complete("told", action).headers["ratelimit"].split(";")[1]
        for action in ("join-the-game", "join-the-game", "no-such-action", "Not A Slug")
    ]
    assert left == ["r=9", "r=8", "r=7", "r=6"]


def test_ones_own_history_is_paged_newest_first(server: Server, client: httpx2.Client) -> None:
    for number in range(3):
        server.complete("history", key=str(number))
    page = client.get("/me/completions", headers=server.bearer("history")).json()
    assert [item["newScore"] for item in page["items"]] == [15, 10, 5]
    assert page["nextCursor"] is None
    cursor = page["items"][0]["completionId"]
    older = client.get(f"/me/completions?cursor={cursor}", headers=server.bearer("history")).json()
    assert older["items"] == page["items"][1:]


def test_me_is_on_every_board(server: Server, client: httpx2.Client) -> None:
    before = client.get("/me", headers=server.bearer("me", username="Me Myself")).json()
    assert (before["username"], before["score"], before["rank"]) == ("Me Myself", 0, None)
    receipt = server.complete("me", "join-the-game").json()
    me = client.get("/me", headers=server.bearer("me")).json()
    assert (me["score"], me["rank"]) == (25, receipt["rank"])
    assert [board["board"] for board in me["boards"]] == ["all-time", "daily", "weekly"]
    assert all(board["score"] == 25 for board in me["boards"])
    assert [bool(board["period"]) for board in me["boards"]] == [False, True, True]


def test_a_taken_name_gets_a_suffix(server: Server, client: httpx2.Client) -> None:
    names = [
        client.get("/me", headers=server.bearer(account_id, username="Twin")).json()["username"]
        for account_id in ("twin-1", "twin-2", "twin-1")
    ]
    assert names[0] == names[2] == "Twin"
    assert re.fullmatch(r"Twin-[0-9a-f]{4}", names[1])


def test_squatting_on_a_names_suffixes_does_not_lock_its_account_out(
    server: Server, client: httpx2.Client
) -> None:
    for name in candidates("squatted", "Squatted")[:-1]:
        client.get("/me", headers=server.bearer(f"squatter of {name}", username=name))
    answer = client.get("/me", headers=server.bearer("squatted", username="Squatted"))
    assert answer.status_code == 200
    assert re.fullmatch(r"Squatted-[0-9a-f]{24}", answer.json()["username"])
