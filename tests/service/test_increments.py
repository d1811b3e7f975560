"""Signed increments: what a trusted backend may do, and what a thief of its requests may not."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scoreboard.identity.signatures import sign
from tests.service.conftest import SIGNING
from tests.support.server import Server

PATH = "/api/v1/scores/increment"


def send(
    server: Server,
    body: dict[str, Any] | bytes,
    *,
    key: str | None = "k",
    actor: str = "shop",
    scope: str = "scores:write",
    secret: str = SIGNING[0],
    age: float = 0,
    signed: dict[str, Any] | None = None,
    headers: Mapping[str, str | None] | None = None,
) -> httpx2.Response:
    """Send an increment; `signed` is what the signature was made over, where that differs."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts: dict[str, Any] = {
        "timestamp": str(int(time.time() - age)),
        "method": "POST",
        "path": PATH,
        "key": key or "",
        "body": sent,
        **(signed or {}),
    }
    given = {
        **server.bearer(actor, scope=scope),
        "X-Scoreboard-Timestamp": parts["timestamp"],
        "X-Scoreboard-Signature": sign(secret.encode(), **parts),
        **({"Idempotency-Key": key} if key is not None else {}),
        **(headers or {}),
    }
    with server.client() as client:
        return client.post(
            "/scores/increment",
            content=sent,
            headers={name: value for name, value in given.items() if value is not None},
        )


def player(server: Server, name: str) -> dict[str, Any]:
    """Somebody who is there, and the body that gives them five points."""
    with server.client() as client:
        client.get("/me", headers=server.bearer(name, username=name))
    return {"userId": name, "points": 5}


def score(server: Server, name: str) -> int:
    with server.client() as client:
        return int(client.get(f"/players/{name}").json()["score"])


def refused(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_a_signed_increment_counts_once(trusting: Server) -> None:
    body = {**player(trusting, "paid"), "reason": "order 7"}
    first, again = (send(trusting, body, key="order-7") for _ in range(2))
    assert first.json()["actionId"] is None
    assert first.json()["newScore"] == 5
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert score(trusting, "paid") == 5


def test_a_receipt_from_when_null_was_not_nothing_is_given_again(tmp_path: Path) -> None:
    """Such a row has the fingerprint of the body with its null."""
    settings = {"SCOREBOARD_SIGNING_SECRETS": ",".join(SIGNING)}
    with Server(tmp_path, **settings) as server:
        body = {**player(server, "old"), "reason": None}
        first = send(server, body, key="old").json()
    text = json.dumps(["POST", PATH, body], sort_keys=True, separators=(",", ":"))
    with closing(sqlite3.connect(tmp_path / "board.db")) as database, database:
        database.execute(
            "UPDATE action_log SET fingerprint = ? WHERE idempotency_key = 'old'",
            [hashlib.sha256(text.encode()).hexdigest()[:32]],
        )
    with Server(tmp_path, **settings) as server:
        again = send(server, body, key="old")
        assert (again.json(), again.headers["idempotent-replayed"]) == (first, "true")
        refused(send(server, {**body, "points": 6}, key="old"), 422, "IDEMPOTENCY_KEY_REUSED")
        assert score(server, "old") == 5


@pytest.mark.parametrize("secret", SIGNING)
def test_both_secrets_are_taken_while_rotating(trusting: Server, secret: str) -> None:
    body = player(trusting, "rotated")
    assert send(trusting, body, key=secret.replace(" ", "-"), secret=secret).status_code == 200


def test_a_forged_signature(trusting: Server) -> None:
    body = player(trusting, "forged")
    other = "a secret that the server does not have, and long"
    refused(send(trusting, body, secret=other), 403, "SIGNATURE_INVALID")
    for wrong in ("v1=", "v1=" + "0" * 63, "v1=" + "g" * 64, "v2=" + "0" * 64, "0" * 64, ""):
        answer = send(trusting, body, headers={"X-Scoreboard-Signature": wrong})
        refused(answer, 403, "SIGNATURE_INVALID")
    refused(
        send(trusting, body, headers={"X-Scoreboard-Signature": None}), 403, "SIGNATURE_INVALID"
    )
    assert score(trusting, "forged") == 0


@pytest.mark.parametrize(
    "signed",
    [
        {"method": "PUT"},
        {"path": "/api/v1/admin/adjustments"},
        {"path": PATH + "?x=1"},
        {"key": "another"},
        {"body": b'{"userId": "tampered", "points": 1}'},
        {"timestamp": "1"},
    ],
    ids=lambda signed: next(iter(signed)),
)
def test_a_request_that_was_tampered_with(trusting: Server, signed: dict[str, Any]) -> None:
    """Each part is under the signature: none can be another than what was signed."""
    body = player(trusting, "tampered")
    now = {} if "timestamp" not in signed else {"X-Scoreboard-Timestamp": str(int(time.time()))}
    refused(send(trusting, body, signed=signed, headers=now), 403, "SIGNATURE_INVALID")
    assert score(trusting, "tampered") == 0


@pytest.mark.parametrize("age", [320, 4000, -320, -4000])
def test_a_signature_out_of_its_time(trusting: Server, age: float) -> None:
    refused(send(trusting, player(trusting, "late"), age=age), 403, "SIGNATURE_INVALID")


@pytest.mark.parametrize("age", [280, -280])
def test_clocks_may_differ_by_five_minutes(trusting: Server, age: float) -> None:
    answer = send(trusting, player(trusting, "skewed"), age=age, key=f"skew{age}")
    assert answer.status_code == 200


@pytest.mark.parametrize("timestamp", ["", "now", "1e9", "-5", "1 2", "9" * 13, "0x10", "１２"])
def test_a_timestamp_that_is_none(trusting: Server, timestamp: str) -> None:
    body = player(trusting, "timeless")
    header = {"X-Scoreboard-Timestamp": timestamp.encode("latin-1", "ignore").decode("latin-1")}
    refused(send(trusting, body, headers=header), 403, "SIGNATURE_INVALID")


def test_a_replayed_signature_of_another_caller(trusting: Server) -> None:
    """A second backend, with the scope but without the secret, plays back what it overheard."""
    body = player(trusting, "overheard")
    stamp = {"timestamp": str(int(time.time()))}
    assert send(trusting, body, key="o1", signed=stamp).status_code == 200
    stolen = send(trusting, body, key="o1", actor="thief", signed=stamp)
    refused(stolen, 403, "SIGNATURE_INVALID")
    assert score(trusting, "overheard") == 5


def test_the_scope_is_needed_too(trusting: Server) -> None:
    body = player(trusting, "scopeless")
    for scope in ("", "admin", "scores:read", "scores:write2"):
        refused(send(trusting, body, scope=scope), 403, "FORBIDDEN")
    refused(send(trusting, body, headers={"Authorization": None}), 401, "UNAUTHORIZED")
    assert score(trusting, "scopeless") == 0


def test_a_key_is_required(trusting: Server) -> None:
    answer = send(trusting, player(trusting, "keyless"), key=None)
    refused(answer, 400, "IDEMPOTENCY_KEY_REQUIRED")


@pytest.mark.parametrize("points", [0, -1, 101, 10**30, 1.5, "5", None, True])
def test_points_out_of_bounds(trusting: Server, points: object) -> None:
    body = {**player(trusting, "greedy"), "points": points}
    answer = send(trusting, body)
    refused(answer, 400, "VALIDATION_ERROR")
    assert answer.json()["field"] == "points"
    assert score(trusting, "greedy") == 0


def test_an_unknown_account_is_not_made(trusting: Server) -> None:
    refused(send(trusting, {"userId": "nobody-yet", "points": 5}), 404, "NOT_FOUND")


def test_the_body_is_looked_at_after_the_signature(trusting: Server) -> None:
    """What a stranger sends is not parsed."""
    other = "a secret that the server does not have, and long"
    refused(send(trusting, b"not JSON", secret=other), 403, "SIGNATURE_INVALID")
    refused(send(trusting, b"not JSON"), 400, "VALIDATION_ERROR")


def test_a_players_key_and_a_backends_key_do_not_meet(trusting: Server) -> None:
    body = player(trusting, "both")
    assert trusting.complete("both", key="same").status_code == 200
    assert send(trusting, body, key="same").status_code == 200
    assert score(trusting, "both") == 10


def test_without_secrets_nothing_is_taken(server: Server) -> None:
    answer = send(server, {"userId": "x", "points": 5})
    refused(answer, 403, "SIGNATURE_INVALID")
    assert "takes no signed requests" in answer.json()["detail"]


def test_increments_are_not_counted_by_the_rate_limit(trusting: Server) -> None:
    body = player(trusting, "busy")
    answers = [send(trusting, body, key=f"busy{n}") for n in range(15)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers
