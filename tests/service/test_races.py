"""Many sockets on many processes at once: what may count once counts once, and limits are exact."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier
from typing import Any

import httpx2
import pytest

from scoreboard import periods
from scoreboard.identity.signatures import sign
from tests.support.server import Server, eventually

RIVALS = 24  # sockets at once
SECRET = "a signing secret for tests of 32 bytes or more"


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sequence[Server]]:
    """Three processes on two servers, with nothing in common but PostgreSQL and Redis."""
    postgres, redis = request.getfixturevalue("postgres"), request.getfixturevalue("redis_server")
    redis.flush()
    shared = {
        "clock": "of the machine",  # which is that of all of them, and PostgreSQL's
        "DATABASE_URL": postgres.create_database("races"),
        "REDIS_URL": redis.url,
        "SCOREBOARD_SIGNING_SECRETS": SECRET,
    }
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    with Server(one, **shared) as first, Server(two, WEB_CONCURRENCY="2", **shared) as second:
        yield (first, second)
        for server in (first, second):
            assert "Traceback" not in server.logged()


def storm(
    site: Sequence[Server], call: Callable[[httpx2.Client, int], httpx2.Response]
) -> list[httpx2.Response]:
    """The answers to so many calls, sent at the same moment over a socket each."""
    ready = Barrier(RIVALS)

    def one(number: int) -> httpx2.Response:
        with site[number % len(site)].client() as client:
            client.get("/actions")  # connected, before all begin
            ready.wait()
            return call(client, number)

    with ThreadPoolExecutor(RIVALS) as pool:
        return list(pool.map(one, range(RIVALS)))


def statuses(answers: Sequence[httpx2.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_the_double_spend_race(site: Sequence[Server]) -> None:
    """One action that counts once, many sockets, many processes: one receipt."""
    admin = site[0].bearer("boss", scope="admin")
    body = {"name": "Prize", "points": 100, "repeat": "once"}
    with site[0].client() as client:
        assert client.put("/admin/actions/prize", json=body, headers=admin).is_success
    for name in ("spender", "spender-2"):  # each has ten calls a minute
        answers = storm(
            site,
            lambda client, n, name=name: client.post(  # type: ignore[misc]
                "/actions/prize/complete", headers=site[0].bearer(name)
            ),
        )
        assert statuses(answers) == {200: 1, 409: 9, 429: RIVALS - 10}
        receipts = {
            json.dumps(answer.json().get("completion", answer.json()) | {"rank": 0})
            for answer in answers
            if answer.status_code != 429
        }
        assert len(receipts) == 1
        with site[1].client() as client:
            assert client.get(f"/players/{name}").json()["score"] == 100


def test_one_key_on_many_sockets(site: Sequence[Server]) -> None:
    headers = {**site[0].bearer("retrier"), "Idempotency-Key": "same"}
    answers = storm(
        site,
        lambda client, n: client.post("/actions/solve-a-puzzle/complete", headers=headers),
    )
    assert statuses(answers) == {200: 10, 429: RIVALS - 10}
    counted = [answer for answer in answers if answer.status_code == 200]
    assert len({answer.json()["completionId"] for answer in counted}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in counted) == 1


def test_limits_raced(site: Sequence[Server]) -> None:
    """Exactly ten of any storm, each with a key of its own, over all processes."""
    bearer = site[0].bearer("stormer")
    answers = storm(
        site,
        lambda client, n: client.post(
            "/actions/solve-a-puzzle/complete", headers={**bearer, "Idempotency-Key": str(n)}
        ),
    )
    assert statuses(answers) == {200: 10, 429: RIVALS - 10}
    for answer in answers:
        assert answer.headers["ratelimit-policy"] == '"default";q=10;w=60'
        if answer.status_code == 429:
            assert 50 <= int(answer.headers["retry-after"]) <= 60
            assert answer.json()["retryAfter"] == int(answer.headers["retry-after"])
            assert answer.headers["ratelimit"].startswith('"default";r=0;t=')


def test_a_signed_increment_on_many_sockets(site: Sequence[Server]) -> None:
    with site[0].client() as client:
        client.get("/me", headers=site[0].bearer("paid"))
    path, now = "/api/v1/scores/increment", str(int(time.time()))
    body = json.dumps({"userId": "paid", "points": 7}).encode()
    signature = sign(
        SECRET.encode(), timestamp=now, method="POST", path=path, key="order", body=body
    )

    def call(client: httpx2.Client, number: int) -> httpx2.Response:
        actor = f"backend-{number % 2}"  # one is the shop, and one has overheard it
        headers = {
            **site[0].bearer(actor, scope="scores:write"),
            "Idempotency-Key": "order",
            "X-Scoreboard-Timestamp": now,
            "X-Scoreboard-Signature": signature,
        }
        return client.post("/scores/increment", content=body, headers=headers)

    answers = storm(site, call)
    assert statuses(answers) == {200: RIVALS // 2, 403: RIVALS // 2}
    assert len({one.json()["completionId"] for one in answers if one.status_code == 200}) == 1
    with site[1].client() as client:
        assert client.get("/players/paid").json()["score"] == 7


def test_a_start_token_on_many_sockets(site: Sequence[Server]) -> None:
    staff = site[0].bearer("boss", scope="admin")
    body = {"name": "Quiz", "points": 5, "repeat": "unlimited", "minElapsedSeconds": 1}
    with site[0].client() as client:
        assert client.put("/admin/actions/quiz", json=body, headers=staff).is_success
        bearer = site[0].bearer("quizzer")
        token = client.post("/actions/quiz/start", headers=bearer).json()["startToken"]
        other = {**site[0].bearer("pacer"), "Idempotency-Key": "1"}
        pace = client.post("/actions/quiz/start", headers=other).json()["startToken"]
        # Another player's later start shows, at no cost to the first one's limit, that time is up.
        eventually(
            lambda: (
                client.post(
                    "/actions/quiz/complete", headers=other, json={"startToken": pace}
                ).is_success
            ),
            pause=0.2,
        )
    answers = storm(
        site,
        lambda client, n: client.post(
            "/actions/quiz/complete",
            headers={**bearer, "Idempotency-Key": str(n)},
            json={"startToken": token},
        ),
    )
    assert statuses(answers) == {200: 1, 422: 9, 429: RIVALS - 10}
    codes = {answer.json()["code"] for answer in answers if answer.status_code == 422}
    assert codes == {"START_TOKEN_INVALID"}


def limited(site: Sequence[Server], rule: dict[str, int], player: str) -> Counter[int]:
    """What a storm of one player gets from an action with this rule, each with a key of its own."""
    staff = site[0].bearer("boss", scope="admin")
    body = {"name": "X", "points": 5, "repeat": "unlimited", **rule}
    with site[0].client() as client:
        assert client.put("/admin/actions/limited", json=body, headers=staff).is_success
    bearer = site[0].bearer(player)
    answers = storm(
        site,
        lambda client, n: client.post(
            "/actions/limited/complete", headers={**bearer, "Idempotency-Key": str(n)}
        ),
    )
    return statuses(answers)


def test_a_cooldown_on_many_sockets(site: Sequence[Server]) -> None:
    told = limited(site, {"cooldownSeconds": 1000}, "rester")
    assert told == {200: 1, 422: 9, 429: RIVALS - 10}


def test_a_daily_limit_on_many_sockets(site: Sequence[Server]) -> None:
    day = ""
    while day != (day := periods.day_name(periods.now_ms())):  # again, should midnight fall into it
        told = limited(site, {"dailyLimit": 3}, f"player of {day}")
    assert told == {200: 3, 422: 7, 429: RIVALS - 10}


def test_a_void_on_many_sockets(site: Sequence[Server]) -> None:
    completion = site[0].complete("cheat", "join-the-game").json()["completionId"]
    answers = storm(
        site,
        lambda client, n: client.post(
            f"/admin/completions/{completion}/void",
            json={"reason": "r"},
            headers=site[0].bearer(f"staff-{n}", scope="admin"),
        ),
    )
    assert statuses(answers) == {200: RIVALS}
    assert len({answer.json()["completionId"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    with site[1].client() as client:
        eventually(lambda: client.get("/players/cheat").json()["score"] == 0)


def test_anothers_idempotency_key(site: Sequence[Server]) -> None:
    """A key that somebody else used says nothing about them, and takes nothing from one's own."""
    first = site[0].complete("victim", key="order-1")
    other = site[1].complete("attacker", key="order-1")
    assert (first.status_code, other.status_code) == (200, 200)
    assert "idempotent-replayed" not in other.headers
    assert other.json()["completionId"] != first.json()["completionId"]


def test_staff_who_act_at_once_leave_a_true_trail(site: Sequence[Server]) -> None:
    """Each row says what it replaced, and nothing is noted that changed nothing."""
    staff = site[0].bearer("boss", scope="admin")

    def trail(client: httpx2.Client) -> list[dict[str, Any]]:
        items = client.get("/admin/audit", headers=staff).json()["items"]
        return [one for one in reversed(items) if one["subject"] == "contested"]

    answers = storm(
        site,
        lambda client, n: client.put(
            "/admin/actions/contested",
            json={"name": "X", "points": n + 1, "repeat": "once"},
            headers=staff,
        ),
    )
    assert statuses(answers) == {200: RIVALS}
    answers = storm(
        site, lambda client, n: client.delete("/admin/actions/contested", headers=staff)
    )
    assert statuses(answers) == {200: RIVALS}
    with site[1].client() as client:
        rows = trail(client)
    assert [row["change"] for row in rows] == [
        "action_created",
        *["action_changed"] * (RIVALS - 1),
        "action_retired",
    ]
    for before, after in pairwise(rows):
        assert after["detail"]["before"] == before["detail"]["after"]
