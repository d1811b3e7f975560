"""Registering, logging in, refreshing, logging out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from scoreboard.errors import Unauthorized
from tests.support.server import SECRET, Server

PASSWORD = "correct horse battery"


def register(client: httpx2.Client, username: str) -> Any:
    answer = client.post("/auth/register", json={"username": username, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_new_account_is_logged_in(client: httpx2.Client) -> None:
    session = register(client, " Grace ")
    assert set(session) == {"account", "accessToken", "refreshToken", "tokenType", "expiresIn"}
    assert session["account"]["username"] == "Grace"
    assert (session["tokenType"], session["expiresIn"]) == ("Bearer", 900)
    me = client.get("/me", headers={"Authorization": f"Bearer {session['accessToken']}"}).json()
    assert me["userId"] == session["account"]["userId"]
    assert (me["score"], me["rank"]) == (0, None)


def test_tokens_are_stored_by_no_cache(client: httpx2.Client) -> None:
    answer = client.post("/auth/register", json={"username": "Uncached", "password": PASSWORD})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_previous_secret_still_lets_in_but_signs_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    new = "a new secret, which is also longer than thirty-two bytes"
    settings = {"SCOREBOARD_JWT_SECRET": new, "SCOREBOARD_JWT_PREVIOUS_SECRETS": SECRET}
    with Server(tmp_path_factory.mktemp("rotated"), **settings) as server:
        assert server.complete("ada", "join-the-game").status_code == 200
        with server.client() as client:
            session = register(client, "Grace")
        with pytest.raises(Unauthorized):
            server.tokens.verify(session["accessToken"])


def test_a_name_is_taken_in_any_case(client: httpx2.Client) -> None:
    register(client, "Straße")
    for name in ("Straße", "STRASSE", "straße "):
        answer = client.post("/auth/register", json={"username": name, "password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (409, "USERNAME_TAKEN")


def test_a_race_for_a_name_has_one_winner(client: httpx2.Client) -> None:
    body = {"username": "Racer", "password": PASSWORD}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/auth/register", json=body), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "", "password": PASSWORD}, "username"),
        ({"username": "x" * 51, "password": PASSWORD}, "username"),
        ({"username": "a\u0000b", "password": PASSWORD}, "body"),
        ({"username": "a\nb", "password": PASSWORD}, "username"),
        ({"username": 7, "password": PASSWORD}, "username"),
        ({"username": None, "password": PASSWORD}, "username"),
        ({"username": "ok", "password": "short"}, "password"),
        ({"username": "ok", "password": "x" * 257}, "password"),
        ({"username": "ok"}, "password"),
        ({"password": PASSWORD}, "username"),
        ({"username": "ok", "password": PASSWORD, "admin": True}, "admin"),
    ],
)
def test_what_makes_no_account(client: httpx2.Client, body: Any, field: str) -> None:
    answer = client.post("/auth/register", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["field"] == field


def test_a_login_in_any_case_gives_another_pair(client: httpx2.Client) -> None:
    session = register(client, "Lin")
    answer = client.post("/auth/login", json={"username": "LIN", "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json()["account"] == session["account"]
    assert answer.json()["refreshToken"] != session["refreshToken"]


def test_a_password_typed_on_another_system_logs_in(client: httpx2.Client) -> None:
    composed, decomposed = "caf\u00e9 society", "cafe\u0301 society"
    for name, chosen, typed in (("Mac", decomposed, composed), ("Pc", composed, decomposed)):
        body = {"username": name, "password": chosen}
        assert client.post("/auth/register", json=body).status_code == 201
        answer = client.post("/auth/login", json={**body, "password": typed})
        assert answer.status_code == 200


def test_a_wrong_name_and_a_wrong_password_are_told_alike(client: httpx2.Client) -> None:
    register(client, "Known")
    answers = [
        client.post("/auth/login", json={"username": name, "password": "wrong password"}).json()
        for name in ("Known", "Unknown", "\u202eknown")
    ]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["code"] == "UNAUTHORIZED"


def test_an_account_of_a_token_cannot_be_logged_in_to(
    server: Server, client: httpx2.Client
) -> None:
    client.get("/me", headers=server.bearer("from-outside", username="Outsider"))
    for password in ("", "None", PASSWORD):
        body = {"username": "Outsider", "password": password or " "}
        assert client.post("/auth/login", json=body).status_code == 401


def refresh(client: httpx2.Client, token: str) -> httpx2.Response:
    return client.post("/auth/refresh", json={"refreshToken": token})


def test_a_refresh_token_works_once_and_its_reuse_revokes_the_family(
    client: httpx2.Client,
) -> None:
    first = register(client, "Rotating")["refreshToken"]
    second = refresh(client, first).json()["refreshToken"]
    third = refresh(client, second).json()["refreshToken"]
    other_login = client.post(
        "/auth/login", json={"username": "Rotating", "password": PASSWORD}
    ).json()["refreshToken"]
    assert refresh(client, first).json()["code"] == "UNAUTHORIZED"
    assert refresh(client, third).status_code == 401
    assert refresh(client, other_login).status_code == 200


def test_of_a_race_to_refresh_one_wins(client: httpx2.Client) -> None:
    token = register(client, "Refreshing")["refreshToken"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: refresh(client, token), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5


def test_logging_out_ends_the_family_and_always_says_so(client: httpx2.Client) -> None:
    token = register(client, "Leaving")["refreshToken"]
    for _ in range(2):
        assert client.post("/auth/logout", json={"refreshToken": token}).status_code == 204
    assert refresh(client, token).status_code == 401
    assert client.post("/auth/logout", json={"refreshToken": "nonsense"}).status_code == 204


@pytest.fixture
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the limits of the contract."""
    with Server(tmp_path_factory.mktemp("strict")) as server:
        yield server


def test_an_address_is_limited_and_another_is_not(strict: Server) -> None:
    with (
        strict.client() as here,
        strict.client(transport=httpx2.HTTPTransport(local_address="127.0.0.2")) as there,
    ):
        codes = [refresh(here, "nonsense").status_code for _ in range(32)]
        assert codes == [401] * 30 + [429] * 2
        assert refresh(there, "nonsense").status_code == 401


def test_guessing_one_password_is_limited_without_locking_others_out(strict: Server) -> None:
    body = {"username": "Victim", "password": PASSWORD}
    with (
        strict.client() as guesser,
        strict.client(transport=httpx2.HTTPTransport(local_address="127.0.0.2")) as victim,
    ):
        assert victim.post("/auth/register", json=body).status_code == 201
        codes = [
            guesser.post("/auth/login", json={**body, "password": f"guess {number}"}).status_code
            for number in range(12)
        ]
        assert codes == [401] * 10 + [429] * 2
        assert victim.post("/auth/login", json=body).status_code == 200


def test_behind_a_trusted_proxy_the_address_is_counted_from_the_right(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("proxied")
    with (
        Server(
            folder, SCOREBOARD_TRUSTED_PROXY_HOPS="1", SCOREBOARD_AUTH_RATE_LIMIT="2/minute"
        ) as (server),
        server.client() as client,
    ):

        def code(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            body = {"refreshToken": "nonsense"}
            return client.post("/auth/refresh", json=body, headers=headers).status_code

        assert [code(f"10.0.0.{spoofed}, 192.0.2.1") for spoofed in range(3)] == [401, 401, 429]
        assert code("192.0.2.1, 192.0.2.2") == 401
