"""A backend that was written from the description alone: it signs by itself, and retries."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import httpx2
import pytest

from tests.service.conftest import SIGNING
from tests.support.server import Server

PATH = "/api/v1/scores/increment"


def send(
    server: Server,
    name: str,
    key: str,
    *,
    age: int = 0,
    query: str = "",
    points: int = 5,
    **fields: object,
) -> httpx2.Response:
    """Give points, signed with nothing but a hash function."""
    stamp = str(int(time.time()) - age)
    body = json.dumps({"userId": name, "points": points, **fields}).encode()
    signed = f"{stamp}.POST.{PATH}.{key}.".encode() + body
    signature = hmac.new(SIGNING[0].encode(), signed, hashlib.sha256).hexdigest()
    headers = {
        **server.bearer("shop", scope="scores:write"),
        "Idempotency-Key": key,
        "X-Scoreboard-Timestamp": stamp,
        "X-Scoreboard-Signature": f"v1={signature}",
    }
    with server.client() as client:
        client.get("/me", headers=server.bearer(name))
        return client.post(f"/scores/increment{query}", content=body, headers=headers)


def test_a_signature_is_the_hmac_of_five_parts_with_dots_between_them(trusting: Server) -> None:
    """Time, method, path without its query, key, and the body as it is sent."""
    assert send(trusting, "by hand", "h.1").json()["newScore"] == 5
    assert send(trusting, "by hand", "h.2", query="?trace=1").json()["newScore"] == 10


def test_a_retry_that_is_signed_anew_gets_the_first_receipt(trusting: Server) -> None:
    """As it has to be when the first signature has become too old."""
    first, again = (send(trusting, "retried", "r1", age=age) for age in (280, 0))
    assert first.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    other = send(trusting, "retried", "r1", points=6)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("reason", [0, False, [], {}, "", " ", "x" * 501])
def test_a_reason_that_is_none_is_refused(trusting: Server, reason: object) -> None:
    """It may be left out, but nothing stands for one that does not say why."""
    answer = send(trusting, "unreasonable", "u1", reason=reason)
    assert (answer.status_code, answer.json().get("field")) == (400, "reason")
