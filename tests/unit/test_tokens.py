"""Access tokens: only what the own secret signed, in time, for somebody."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey
from starlette.requests import Request

from scoreboard.errors import Forbidden, TokenExpired, Unauthorized
from scoreboard.identity.tokens import Tokens

SECRET = b"a secret of more than thirty-two bytes"
OTHER = b"another secret, also longer than that"


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([SECRET])


def signed(claims: dict[str, object], secret: bytes = SECRET) -> str:
    payload = json.dumps(claims).encode()
    return jws.serialize_compact({"alg": "HS256"}, payload, OctKey.import_key(secret))


def in_future() -> int:
    return int(time.time()) + 60


def request(authorization: str | None) -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return Request({"type": "http", "headers": headers})


def test_what_was_issued_is_verified(tokens: Tokens) -> None:
    token = tokens.issue("ada", seconds=60, username="Ada", scope="admin")
    principal = tokens.verify(token)
    assert principal.account_id == "ada"
    assert principal.claims["username"] == "Ada"


def test_a_previous_secret_verifies_but_does_not_sign() -> None:
    old, rotated = Tokens([SECRET]), Tokens([OTHER, SECRET])
    assert rotated.verify(old.issue("ada", seconds=60)).account_id == "ada"
    with pytest.raises(Unauthorized):
        old.verify(rotated.issue("ada", seconds=60))


def test_an_expired_token_says_so_and_leeway_is_thirty_seconds(tokens: Tokens) -> None:
    assert tokens.verify(tokens.issue("ada", seconds=-25)).account_id == "ada"
    with pytest.raises(TokenExpired):
        tokens.verify(tokens.issue("ada", seconds=-35))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 4_000_000_000},
        {"sub": "ada"},
        {"sub": "", "exp": 4_000_000_000},
        {"sub": 7, "exp": 4_000_000_000},
        {"sub": "x" * 256, "exp": 4_000_000_000},
        {"sub": "a\x00b", "exp": 4_000_000_000},
        {"sub": "\ud800", "exp": 4_000_000_000},
        {"sub": "ada", "exp": "4000000000"},
        {"sub": "ada", "exp": 4_000_000_000, "nbf": 3_900_000_000},
        {"sub": "ada", "exp": 4_000_000_000, "iat": 3_900_000_000},
    ],
)
def test_claims_that_make_no_sense_are_refused(tokens: Tokens, claims: dict[str, object]) -> None:
    with pytest.raises(Unauthorized) as caught:
        tokens.verify(signed(claims))
    assert caught.value.code == "UNAUTHORIZED"


def test_another_secret_is_refused(tokens: Tokens) -> None:
    with pytest.raises(Unauthorized):
        tokens.verify(signed({"sub": "ada", "exp": in_future()}, OTHER))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "HS512", "RS256", "dir"])
def test_the_token_does_not_choose_its_algorithm(tokens: Tokens, algorithm: str) -> None:
    header, claims = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": algorithm}, {"sub": "ada", "exp": in_future()})
    )
    for signature in ("", "AAAA"):
        with pytest.raises(Unauthorized):
            tokens.verify(f"{header}.{claims}.{signature}")


def test_headers_and_claims_that_break_a_parser_are_refused(tokens: Tokens) -> None:
    claims = base64.urlsafe_b64encode(b"{}").rstrip(b"=").decode()
    for critical in (5, True, "exp", ["exp"], {"exp": 1}):
        header = json.dumps({"alg": "HS256", "crit": critical}).encode()
        encoded = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
        with pytest.raises(Unauthorized):
            tokens.verify(f"{encoded}.{claims}.AAAA")
    nested = b'{"sub":"ada","exp":4e9,"x":' + b"[" * 2500 + b"]" * 2500 + b"}"
    # Too deep for the parser of Python 3.11, not for that of 3.13: no other error may come of it.
    with suppress(Unauthorized):
        tokens.verify(jws.serialize_compact({"alg": "HS256"}, nested, OctKey.import_key(SECRET)))


@given(st.text(max_size=200))
def test_garbage_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(Unauthorized):
        Tokens([SECRET]).verify(text)


def test_a_token_that_is_too_long_is_not_parsed(tokens: Tokens) -> None:
    with pytest.raises(Unauthorized, match="too long"):
        tokens.verify("x" * 100_000)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YTpi", "Token x", "bearer"])
def test_a_request_without_a_bearer_token_gets_a_plain_challenge(
    tokens: Tokens, header: str | None
) -> None:
    with pytest.raises(Unauthorized) as caught:
        tokens.authenticate(request(header))
    assert caught.value.headers == {"WWW-Authenticate": 'Bearer realm="scoreboard"'}


def test_a_bad_token_gets_a_challenge_that_says_so(tokens: Tokens) -> None:
    with pytest.raises(Unauthorized) as caught:
        tokens.authenticate(request("Bearer nonsense"))
    assert 'error="invalid_token"' in caught.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("scope", "enough"), [("admin", True), ("a admin", True), ("admins", False), (None, False)]
)
def test_a_scope_is_asked_for_by_name(tokens: Tokens, scope: str | None, enough: bool) -> None:
    bearer = request(f"Bearer {tokens.issue('ada', seconds=60, scope=scope)}")
    if enough:
        assert tokens.authenticate(bearer, "admin").account_id == "ada"
    else:
        with pytest.raises(Forbidden):
            tokens.authenticate(bearer, "admin")
