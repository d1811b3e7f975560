"""No secret comes out again: in no log line, no answer, and nothing that describes the server."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import httpx2

from scoreboard.settings import Settings
from tests.support.server import SECRET, Server, environment
from tests.support.wire import Wire

PREVIOUS = "an older secret for tests and also of more than thirty-two bytes"
SIGNING = "a signing secret for tests and also of more than thirty-two bytes"
PASSWORD = "correct horse battery staple"
SIGNATURE = "v1=" + "5ec2e7" * 10
SETTINGS = {
    "SCOREBOARD_JWT_SECRET": SECRET,
    "SCOREBOARD_JWT_PREVIOUS_SECRETS": PREVIOUS,
    "SCOREBOARD_SIGNING_SECRETS": SIGNING,
    "SCOREBOARD_AUTH_RATE_LIMIT": "1000/minute",
}


def test_no_secret_comes_out(tmp_path: Path) -> None:
    """Secrets are sent to the right places and to wrong ones, whole and malformed."""
    with Server(tmp_path, words=("serve", "--demo", "--access-log"), **SETTINGS) as server:
        answers: list[str] = []
        with server.client() as client:
            registered = client.post(
                "/auth/register", json={"username": "Secretive", "password": PASSWORD}
            )
            assert registered.status_code == 201
            session = registered.json()
            token, refresh = session["accessToken"], session["refreshToken"]
            secrets = (token, refresh, PASSWORD, SIGNATURE, SECRET, PREVIOUS, SIGNING)
            for secret in secrets:
                answers += [shown(answer) for answer in asked_with(client, secret)]
                answers += [raw(server, data) for data in malformed(secret)]
            again = client.post("/auth/refresh", json={"refreshToken": refresh})
            assert client.post("/auth/refresh", json={"refreshToken": refresh}).status_code == 401
            given = (again.json()["accessToken"], again.json()["refreshToken"])
        for path in ("/metrics", "/openapi.json", "/readyz", "/", "/api/v1/leaderboard"):
            answers.append(shown(httpx2.get(f"{server.url}{path}")))
    answers.append(repr(Settings.from_env(environment(tmp_path, **SETTINGS))))
    log = server.logged()
    assert log.count("scoreboard.access") > 50
    for secret, text in itertools.product((*secrets, *given), (*answers, log)):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text


def asked_with(client: httpx2.Client, secret: str) -> list[httpx2.Response]:
    """A secret where it belongs, and where it does not: no path echoes it, for none has it."""
    body = {"username": "Secretive", "password": secret, "refreshToken": secret}
    return [
        client.post("/auth/login", json={**body, "password": f"{secret}!", "refreshToken": ""}),
        client.post("/auth/login", json={"username": 1, "password": secret}),
        client.post("/auth/login", content=f'{{"username": "Secretive", "password": "{secret}'),
        client.post("/auth/refresh", json={"refreshToken": f"{secret}!"}),
        client.post("/auth/logout", json={"refreshToken": f"{secret}!"}),
        client.post("/auth/refresh", json={"refreshToken": [secret]}),
        client.get(f"/me?access_token={secret}"),
        client.get(f"/leaderboard?token={secret}"),
        client.get(f"/leaderboard?limit={secret}"),
        client.get(f"/leaderboard?board={secret}"),
        client.get(f"/me/completions?cursor={secret}"),
        *(
            client.post("/actions/join-the-game/complete", headers={name: value})
            for name, value in (
                ("Authorization", secret),
                ("Authorization", f"Basic {secret}"),
                ("Authorization", f"Bearer {secret}.x"),
                ("Authorization", f"Bearer  {secret} {secret}"),
                ("Cookie", f"token={secret}"),
                ("Idempotency-Key", secret),
                ("X-Request-Id", f"({secret})"),  # a sane one is the caller's own, and is kept
                ("X-Scoreboard-Signature", secret),
                ("X-Forwarded-For", secret),
            )
        ),
        client.post("/scores/increment", headers={"X-Scoreboard-Signature": secret}, json=body),
    ]


def malformed(secret: str) -> list[bytes]:
    """Requests that are none, with a secret in each part."""
    return [
        f"GET /{secret}\r\n\r\n".encode(),
        f"{secret} / HTTP/1.1\r\n\r\n".encode(),
        f"GET /?{secret}# HTTP/1.1\r\nHost: {secret}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: test\r\nAuthorization : Bearer {secret}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: test\r\nX: {secret}{'x' * 20_000}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: {secret}\r\n\r\n".encode(),
    ]


def raw(server: Server, data: bytes) -> str:
    with Wire(server, data) as wire:
        return wire.rest().decode("latin-1")


def shown(answer: httpx2.Response) -> str:
    return f"{answer.headers.multi_items()} {answer.text}"
