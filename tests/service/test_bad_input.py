"""Bad input gets the contract's clear error and changes nothing."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.server import PATIENCE, Server, eventually

COMPLETE = "/actions/join-the-game/complete"


@pytest.fixture(autouse=True)
def nothing_changes(server: Server, client: httpx2.Client) -> Iterator[None]:
    """Whatever a test of this module sends, nobody's score moves."""
    before = client.get("/leaderboard?limit=100").json()["users"]
    yield
    assert client.get("/leaderboard?limit=100").json()["users"] == before


def assert_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) >= {"type", "title", "status", "detail", "code"}
    assert answer.json()["status"] == status
    assert re.fullmatch(r"[\w.~-]{1,64}", answer.headers["x-request-id"])
    for internal in ("Traceback", "sqlite", "SELECT", ".py"):
        assert internal not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b"null",
        b'{"data": []}',
        b'{"data": "text"}',
        b'{"data": {"x": NaN}}',
        b'{"data": {"x": "\\u0000"}}',
        b'{"data": {"x": "\\ud800"}}',
        b'{"data": {}, "points": 1}',
        b'{"startToken": 7}',
        b'\xff\xfe{"data": {}}',
        json.dumps({"data": {"x": "y" * 4096}}).encode(),
        b'{"data":' * 1500 + b"}" * 1500,
    ],
)
def test_a_bad_body(server: Server, client: httpx2.Client, body: bytes) -> None:
    headers = server.bearer(f"bad-{hash(body)}")
    assert_problem(client.post(COMPLETE, content=body, headers=headers), 400, "VALIDATION_ERROR")


def test_a_huge_body_announced(server: Server, client: httpx2.Client) -> None:
    body = json.dumps({"data": {"x": "y" * 20_000}}).encode()
    answer = client.post(COMPLETE, content=body, headers=server.bearer("huge"))
    assert_problem(answer, 413, "PAYLOAD_TOO_LARGE")


def test_a_huge_body_in_chunks(server: Server, client: httpx2.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 1024

    answer = client.post(COMPLETE, content=chunks(), headers=server.bearer("chunked"))
    assert_problem(answer, 413, "PAYLOAD_TOO_LARGE")


def test_an_endless_body_is_not_waited_for(server: Server) -> None:
    with socket.create_connection(server.address, timeout=PATIENCE) as connection:
        token = server.bearer("endless")["Authorization"]
        connection.sendall(
            f"POST /api/v1{COMPLETE} HTTP/1.1\r\nHost: test\r\nAuthorization: {token}\r\n"
            "Content-Length: 1000000000\r\n\r\n".encode()
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_malformed_key(server: Server, client: httpx2.Client, key: str) -> None:
    headers = {**server.bearer("bad-key"), "Idempotency-Key": key}
    assert_problem(client.post(COMPLETE, headers=headers), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "action", ["no-such-action", "UPPER", "a" * 65, "%00", "%FF", "a%20b", "'; DROP TABLE x"]
)
def test_an_unknown_action(server: Server, client: httpx2.Client, action: str) -> None:
    headers = server.bearer(f"unknown-{hash(action)}")
    answer = client.post(f"/actions/{action}/complete", headers=headers)
    assert_problem(answer, 404, "INVALID_ACTION")


def test_tokens_that_are_none(server: Server, client: httpx2.Client) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        answer = client.post(COMPLETE, headers=headers)
        assert_problem(answer, 401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"] == 'Bearer realm="scoreboard"'


def test_tokens_that_are_bad(server: Server, client: httpx2.Client) -> None:
    good = server.bearer("forger")["Authorization"].removeprefix("Bearer ")
    header, claims, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    forged = (
        base64.urlsafe_b64encode(json.dumps({"sub": "admin", "exp": 4e9}).encode())
        .rstrip(b"=")
        .decode()
    )
    for token in (
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        f"{header}.{forged}.{signature}",
        f"{header}.{claims}.{'A' * 43}",
        f"{header}.{claims}",
        "x" * 9000,
        "....",
    ):
        answer = client.post(COMPLETE, headers={"Authorization": f"Bearer {token}"})
        assert_problem(answer, 401, "UNAUTHORIZED")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_that_has_expired(server: Server, client: httpx2.Client) -> None:
    answer = client.post(COMPLETE, headers=server.bearer("late", seconds=-60))
    assert_problem(answer, 401, "TOKEN_EXPIRED")


def test_a_wrong_method_names_the_right_ones(client: httpx2.Client) -> None:
    answer = client.get(COMPLETE)
    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"
    assert set(client.post("/leaderboard").headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/api", "/api/v1/", "/api/v1/leaderboard/", "//healthz", "/%00"])
def test_an_unknown_path(server: Server, client: httpx2.Client, path: str) -> None:
    assert_problem(client.get(f"{server.url}{path}"), 404, "NOT_FOUND")


def test_a_sane_request_id_is_kept_and_a_strange_one_replaced(client: httpx2.Client) -> None:
    mine = client.get("/actions", headers={"X-Request-Id": "mine-1.2_3~4"})
    assert mine.headers["x-request-id"] == "mine-1.2_3~4"
    for strange in ("a b", "x" * 65, '"quoted"', "{}"):
        answer = client.get("/actions", headers={"X-Request-Id": strange})
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


def test_bytes_that_are_no_http_get_a_400(server: Server) -> None:
    with socket.create_connection(server.address, timeout=PATIENCE) as connection:
        connection.sendall(b"\x16\x03\x01\x00\xa5 this is no request\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 400")


def test_other_sites_may_not_call_unless_they_are_listed(
    client: httpx2.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert client.options(COMPLETE, headers=asked).status_code == 405
    folder = tmp_path_factory.mktemp("cors")
    with (
        Server(folder, SCOREBOARD_CORS_ORIGINS="https://a.example") as listed,
        listed.client() as there,
    ):
        allowed = there.options(COMPLETE, headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        refused = there.get("/actions", headers={"Origin": "https://b.example"})
        assert "access-control-allow-origin" not in refused.headers


def test_a_client_that_hangs_up_in_the_middle_is_no_error(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        with socket.create_connection(server.address, timeout=PATIENCE) as connection:
            connection.sendall(
                b"POST /api/v1/auth/logout HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{"
            )
        eventually(lambda: "went away" in server.logged())
        assert "Traceback" not in server.logged()
