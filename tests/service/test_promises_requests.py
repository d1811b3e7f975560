"""What every call promises, whichever it is: its bodies, its bounds, its keys, its answers."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2
import pytest

from scoreboard.identity.signatures import sign
from scoreboard.web.openapi import DOCUMENT
from tests.service.conftest import SIGNING
from tests.support.server import RawStream, Server

COMPLETE = "/actions/join-the-game/complete"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PASSWORD = "correct horse battery"
STAFF = "admin scores:write"


@pytest.fixture
def staff(trusting: Server) -> Iterator[httpx2.Client]:
    """Somebody who may do everything."""
    with trusting.client(headers=trusting.bearer("boss", scope=STAFF)) as client:
        yield client


CALLS = [
    ("POST", "/auth/register", {"username": "Field", "password": PASSWORD}),
    ("POST", "/auth/login", {"username": "Field", "password": PASSWORD}),
    ("POST", "/auth/refresh", {"refreshToken": "x"}),
    ("POST", "/auth/logout", {"refreshToken": "x"}),
    ("POST", COMPLETE, {}),
    ("POST", "/actions/join-the-game/start", {}),
    ("PUT", "/admin/actions/field", {"name": "Field", "points": 1, "repeat": "once"}),
    ("DELETE", "/admin/actions/field", {}),
    ("POST", "/admin/adjustments", {"userId": "boss", "points": 1, "reason": "r"}),
    ("POST", "/admin/completions/1/void", {"reason": "r"}),
    ("POST", "/admin/players/boss/hide", {"reason": "r"}),
    ("POST", "/admin/players/boss/unhide", {"reason": "r"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_a_field_that_a_call_does_not_know_is_refused_by_name(
    staff: httpx2.Client, method: str, path: str, body: dict[str, object]
) -> None:
    """Points, rank or time that somebody would like to set are not quietly ignored."""
    for field, value in (("rank", 1), ("completedAt", "2020-01-01T00:00:00.000Z")):
        answer = staff.request(method, path, json={**body, field: value})
        assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
        assert answer.json()["field"] == field


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/admin/adjustments", {"userId": "boss", "points": 1}),
        ("/admin/completions/1/void", {}),
        ("/admin/players/boss/hide", {}),
        ("/admin/players/boss/unhide", {}),
    ],
)
def test_a_correction_without_a_reason_is_refused(
    staff: httpx2.Client, path: str, body: dict[str, object]
) -> None:
    for reason in ({}, {"reason": ""}, {"reason": None}, {"reason": 5}, {"reason": "x" * 501}):
        answer = staff.post(path, json={**body, **reason})
        assert (answer.status_code, answer.json()["field"]) == (400, "reason")


def body_fields() -> Iterator[tuple[str, str, str]]:
    """Every field of every body in the document, as the method, path and name."""
    document: Any = DOCUMENT
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "requestBody" in operation:
                form = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                schema = document["components"]["schemas"][form.rpartition("/")[2]]
                yield from ((method, path, name) for name in schema["properties"])


@pytest.mark.parametrize(("method", "path", "field"), list(body_fields()))
def test_a_field_that_is_null_is_answered_as_one_that_is_left_out(
    trusting: Server, staff: httpx2.Client, method: str, path: str, field: str
) -> None:
    """Of every call, and also when one is a retry of the other under the same key."""
    document: Any = DOCUMENT
    example = document["paths"][path][method]["requestBody"]["content"]["application/json"]
    body = {name: value for name, value in example["example"].items() if name != field}
    if "userId" in body:
        staff.get("/me")
        body["userId"] = "boss"
    action = "solve-a-puzzle" if path.endswith("/complete") else "null-and-void"
    full = path.format(actionId=action, id="1", userId="boss")
    if method == "delete":
        known = {"name": "Null", "points": 1, "repeat": "once"}
        assert staff.put(full.removeprefix("/api/v1"), json=known).status_code == 200
    answers = []
    for sent in (body, {**body, field: None}, body):
        headers = signed(full, json.dumps(sent).encode(), key=f"null-{field}")
        answers.append(
            staff.request(
                method.upper(),
                full.removeprefix("/api/v1"),
                content=json.dumps(sent),
                headers=headers,
            )
        )
    seen = [(one.status_code, one.json()) for one in answers]
    assert seen[0] == seen[1] == seen[2]
    form = document["components"]["schemas"][example["schema"]["$ref"].rpartition("/")[2]]
    assert (seen[0][0] == 400) == (field in form["required"]), seen[0]
    if answers[0].json().get("success"):
        assert [one.headers.get("idempotent-replayed") for one in answers] == [None, "true", "true"]


def signed(path: str, body: bytes, *, key: str) -> dict[str, str]:
    """The headers of a signed request; calls that need no signature take no notice."""
    timestamp = str(int(time.time()))
    signature = sign(
        SIGNING[0].encode(), timestamp=timestamp, method="POST", path=path, key=key, body=body
    )
    return {
        "Idempotency-Key": key,
        "X-Scoreboard-Timestamp": timestamp,
        "X-Scoreboard-Signature": signature,
    }


def test_an_empty_body_is_an_empty_object(server: Server, client: httpx2.Client) -> None:
    headers = {**server.bearer("empty"), "Idempotency-Key": "e"}
    first = client.post(COMPLETE, headers=headers)
    again = client.post(COMPLETE, headers=headers, content=b"{}")
    assert (first.status_code, again.json()) == (200, first.json())


def test_bodies_and_data_up_to_their_bounds_are_taken(
    server: Server, client: httpx2.Client
) -> None:
    for data, status in ((4096, 200), (4097, 400)):
        body = {"data": {"x": "y" * (data - len('{"x":""}'))}}
        headers = {**server.bearer("bounds"), "Idempotency-Key": f"data-{data}"}
        answer = client.post("/actions/solve-a-puzzle/complete", headers=headers, json=body)
        assert answer.status_code == status, answer.text
    for size, status in ((16_384, 200), (16_385, 413)):
        whole = b"{}".ljust(size)
        told_and_in_chunks: tuple[bytes | Iterator[bytes], ...] = (whole, iter([whole]))
        for content in told_and_in_chunks:
            headers = {**server.bearer("bounds"), "Idempotency-Key": f"body-{size}"}
            answer = client.post(
                "/actions/solve-a-puzzle/complete", headers=headers, content=content
            )
            assert answer.status_code == status, answer.text


def test_data_is_kept_beside_the_row_and_not_looked_into(tmp_path: Path) -> None:
    data = {"points": 9000, "userId": "somebody else", "Zoë": [1.5, None, {"a": "'; --"}]}
    with Server(tmp_path) as server, server.client() as client:
        answer = client.post(COMPLETE, headers=server.bearer("ada"), json={"data": data})
        assert answer.json()["newScore"] == 25
    connection = sqlite3.connect(tmp_path / "board.db")
    ((kept,),) = connection.execute("SELECT data FROM action_log").fetchall()
    connection.close()
    assert json.loads(kept) == data


@pytest.mark.parametrize("key", ["!", "~" * 255, "".join(map(chr, range(0x21, 0x7F)))])
def test_a_key_may_be_any_visible_ascii(server: Server, key: str) -> None:
    answers = [server.complete(f"key-{len(key)}", key=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["idempotent-replayed"] == "true"


def test_an_id_of_255_characters_is_one_like_any_other(
    server: Server, client: httpx2.Client
) -> None:
    longest = "Ω/" + "x" * 253
    assert client.get("/me", headers=server.bearer(longest)).json()["userId"] == longest
    assert client.get(f"/players/{quote(longest)}").json()["userId"] == longest
    assert client.get("/me", headers=server.bearer(longest + "x")).status_code == 401


def test_the_id_of_a_new_account_cannot_be_foretold(client: httpx2.Client) -> None:
    """Else a token for it could be had before, of a provider whose users choose their `sub`."""
    body = {"username": "Unforeseen", "password": PASSWORD}
    account_id = client.post("/auth/register", json=body).json()["account"]["userId"]
    assert re.fullmatch("[0-9a-f]{32}", account_id)
    assert UUID(account_id).version == 4  # that of random bits (RFC 9562, 5.4)


def test_a_name_stays_whatever_a_later_token_says(server: Server, client: httpx2.Client) -> None:
    for name in ("First Name", "Second Name"):
        me = client.get("/me", headers=server.bearer("renamed", username=name)).json()
        assert me["username"] == "First Name"


def test_no_time_of_a_client_is_read(server: Server, client: httpx2.Client) -> None:
    past = {
        "Date": "Wed, 01 Jan 2020 00:00:00 GMT",
        "If-Unmodified-Since": "Wed, 01 Jan 2020 00:00:00 GMT",
        "X-Scoreboard-Timestamp": "1577836800",
    }
    first = client.post(
        "/actions/daily-check-in/complete", headers={**server.bearer("time traveller"), **past}
    )
    assert first.status_code == 200
    assert not first.json()["completedAt"].startswith("2020")
    assert server.complete("time traveller", "daily-check-in").status_code == 409


def test_every_answer_has_the_id_of_its_request(server: Server, client: httpx2.Client) -> None:
    mine = {"X-Request-Id": "mine"}
    etag = client.get("/leaderboard").headers["etag"]
    answers = [
        client.get("/leaderboard", headers=mine),
        client.get("/leaderboard", headers={**mine, "If-None-Match": etag}),
        client.head("/leaderboard", headers=mine),
        client.post("/auth/logout", headers=mine, json={"refreshToken": "x"}),
        client.post(COMPLETE, headers=mine),
        client.post(COMPLETE, headers={**mine, **server.bearer("x")}, content=b" " * 20_000),
        client.get("/none", headers=mine),
        client.put("/leaderboard", headers=mine),
        *(client.get(f"{server.url}{path}", headers=mine) for path in ("/", "/healthz", "/readyz")),
    ]
    assert [one.status_code for one in answers[:8]] == [200, 304, 200, 204, 401, 413, 404, 405]
    assert {one.headers["x-request-id"] for one in answers} == {"mine"}
    with RawStream(server, "all-time", "X-Request-Id: mine") as stream:
        assert b"\r\nx-request-id: mine\r\n" in stream.read_until(b"\r\n\r\n").lower()


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object in a parsed answer."""
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            yield from members(inner)


def test_names_of_fields_and_times_have_one_form(trusting: Server, staff: httpx2.Client) -> None:
    """camelCase, and RFC 3339 in UTC with milliseconds, in UTF-8."""
    own = trusting.bearer("zoe", username="Zoë Ω")
    receipt = staff.post(COMPLETE, headers=own).json()
    adjustment = {"userId": "zoe", "points": 5, "reason": "r"}
    answers = [
        staff.get("/actions"),
        staff.get("/leaderboard"),
        staff.get("/players/zoe"),
        staff.get("/me", headers=own),
        staff.get("/me/completions", headers=own),
        staff.post(COMPLETE, headers=own),
        staff.post("/admin/adjustments", json=adjustment),
        staff.post(f"/admin/completions/{receipt['completionId']}/void", json={"reason": "r"}),
        staff.post("/admin/players/zoe/hide", json={"reason": "r"}),
        staff.get("/admin/audit"),
        staff.get(f"{trusting.url}/readyz"),
    ]
    times = 0
    for answer in answers:
        for field, value in members(answer.json()):
            assert re.fullmatch(r"[a-z]+([A-Z][a-z]*)*", field), field
            if field == "at" or field.endswith("At"):
                assert TIME.fullmatch(value), answer.text
                times += 1
    assert times >= 7
    assert "Zoë Ω".encode() in answers[2].content


def test_lists_come_fifty_a_page_and_say_where_they_end(
    trusting: Server, staff: httpx2.Client
) -> None:
    own = trusting.bearer("rich")
    staff.get("/me", headers=own)
    for number in range(1, 101):
        body = {"userId": "rich", "points": number, "reason": "r"}
        assert staff.post("/admin/adjustments", json=body).status_code == 200
    for path, headers, field in (
        ("/me/completions", own, "pointsEarned"),
        ("/admin/audit", None, "detail"),
    ):
        pages = [staff.get(path, headers=headers).json()]
        while (cursor := pages[-1]["nextCursor"]) is not None:
            pages.append(staff.get(path, headers=headers, params={"cursor": cursor}).json())
        assert all(len(page["items"]) == 50 for page in pages[:-1])
        listed = [item[field] for page in pages for item in page["items"]]
        points = [one.get("points") if isinstance(one, dict) else one for one in listed]
        assert points[:100] == list(range(100, 0, -1))
        assert len(pages) == (len(listed) + 49) // 50
