"""Start tokens over HTTP: issued by the server, good for one account, one action and one time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.support.server import Server, eventually

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
QUIZ = {"name": "Quiz", "points": 5, "repeat": "unlimited"}


@pytest.fixture
def client(trusting: Server) -> Iterator[httpx2.Client]:
    """A client of a server with actions that take a second."""
    with trusting.client() as client:
        staff = trusting.bearer("boss", scope="admin")
        for name in ("quiz", "other-quiz"):
            body = {**QUIZ, "minElapsedSeconds": 1}
            assert client.put(f"/admin/actions/{name}", json=body, headers=staff).is_success
        body = {**QUIZ, "cooldownSeconds": 1000, "dailyLimit": 5}
        assert client.put("/admin/actions/rest", json=body, headers=staff).is_success
        yield client


def start(client: httpx2.Client, server: Server, name: str, action: str = "quiz") -> str:
    answer = client.post(f"/actions/{action}/start", headers=server.bearer(name))
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["startToken"]
    return token


def complete(
    client: httpx2.Client, server: Server, name: str, key: str, *, action: str = "quiz", **body: Any
) -> httpx2.Response:
    headers = {**server.bearer(name), "Idempotency-Key": key}
    return client.post(f"/actions/{action}/complete", json=body, headers=headers)


def refused(answer: httpx2.Response, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_a_start_is_answered_with_a_token_and_its_end(
    trusting: Server, client: httpx2.Client
) -> None:
    answer = client.post("/actions/quiz/start", headers=trusting.bearer("starter"))
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert TIME.fullmatch(answer.json()["expiresAt"])


def test_too_soon_says_how_long_and_then_it_counts_once(
    trusting: Server, client: httpx2.Client
) -> None:
    token = start(client, trusting, "quizzer")
    early = complete(client, trusting, "quizzer", "q1", startToken=token)
    refused(early, "TOO_SOON")
    assert early.json()["retryAfter"] == 1
    assert early.headers["retry-after"] == "1"
    answers: list[httpx2.Response] = []

    def counts() -> bool:
        answers.append(complete(client, trusting, "quizzer", "q1", startToken=token))
        return answers[-1].status_code == 200

    eventually(counts, pause=0.25)  # within the ten calls of a minute
    # replayed, with the key: it is looked up before the token
    again = complete(client, trusting, "quizzer", "q1", startToken=token)
    assert again.json() == answers[-1].json()
    # and with another key it is a token that was used
    refused(complete(client, trusting, "quizzer", "q2", startToken=token), "START_TOKEN_INVALID")


@pytest.mark.parametrize("kind", ["missing", "forged", "another's", "another action's", "bearer"])
def test_a_token_that_does_not_count(trusting: Server, client: httpx2.Client, kind: str) -> None:
    own = start(client, trusting, "mine")
    tokens = {
        "missing": {},
        "forged": {"startToken": own[:-4] + ("AAAA" if own[-4:] != "AAAA" else "BBBB")},
        "another's": {"startToken": start(client, trusting, "theirs")},
        "another action's": {"startToken": start(client, trusting, "mine", "other-quiz")},
        "bearer": {"startToken": trusting.bearer("mine")["Authorization"].removeprefix("Bearer ")},
    }
    name = "mine" if kind != "another's" else "mine2"
    refused(
        complete(client, trusting, name, kind.replace(" ", "-"), **tokens[kind]),
        "START_TOKEN_INVALID",
    )


def test_a_start_token_is_no_access_token(trusting: Server, client: httpx2.Client) -> None:
    token = start(client, trusting, "confused")
    answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_what_needs_no_start_says_so(trusting: Server, client: httpx2.Client) -> None:
    bearer = trusting.bearer("eager")
    answer = client.post("/actions/join-the-game/start", headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    for action in ("never", "NOT-A-SLUG"):
        answer = client.post(f"/actions/{action}/start", headers=bearer)
        assert (answer.status_code, answer.json()["code"]) == (404, "INVALID_ACTION")
    assert client.post("/actions/quiz/start").status_code == 401


def test_a_cooldown_over_http(trusting: Server, client: httpx2.Client) -> None:
    assert complete(client, trusting, "rester", "r1", action="rest").status_code == 200
    refused(later := complete(client, trusting, "rester", "r2", action="rest"), "TOO_SOON")
    assert 990 <= later.json()["retryAfter"] <= 1000
    assert complete(client, trusting, "rester", "r1", action="rest").status_code == 200
