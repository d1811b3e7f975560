"""Access tokens: only what the own secret or the provider signed, in time, for somebody."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey
from starlette.requests import Request

from scoreboard.errors import Forbidden, TokenExpired, Unauthorized
from scoreboard.identity import tokens as module
from scoreboard.identity.claims import Principal
from scoreboard.identity.provider import ProviderKeys
from scoreboard.identity.scopes import Scopes
from scoreboard.identity.tokens import Tokens
from scoreboard.values import IdentityProvider, KeysUrl
from tests.support import keys

SECRET = b"a secret of more than thirty-two bytes"
OTHER = b"another secret, also longer than that"
# What distinguishes an access token of Amazon Cognito.
COGNITO: dict[str, Any] = {"aud": None, "client_id": keys.AUDIENCE, "token_use": "access"}


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([SECRET])


def signed(claims: dict[str, object], secret: bytes = SECRET) -> str:
    payload = json.dumps(claims).encode()
    return jws.serialize_compact({"alg": "HS256"}, payload, OctKey.import_key(secret))


def provider_of(*published: keys.SigningKey) -> ProviderKeys:
    provider = ProviderKeys(
        IdentityProvider(
            keys=KeysUrl("https://id.example/keys"), issuer=keys.ISSUER, audience=keys.AUDIENCE
        )
    )
    provider.take(keys.document(*published))
    return provider


class Seconds:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now


def in_future() -> int:
    return int(time.time()) + 60


def request(authorization: str | None) -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return Request({"type": "http", "headers": headers})


def test_what_was_issued_is_verified(tokens: Tokens) -> None:
    token = tokens.issue("ada", seconds=60, username="Ada", scope="admin")
    assert tokens.verify(token) == Principal("ada", "Ada", frozenset({"admin"}))


def test_a_previous_secret_verifies_but_does_not_sign() -> None:
    old, rotated = Tokens([SECRET]), Tokens([OTHER, SECRET])
    assert rotated.verify(old.issue("ada", seconds=60)).account_id == "ada"
    with pytest.raises(Unauthorized):
        old.verify(rotated.issue("ada", seconds=60))


def test_the_leeway_is_thirty_seconds_to_the_second() -> None:
    """As far as the clocks of two servers may differ, at each end of a token's time."""
    clock = Seconds()
    tokens = Tokens([SECRET], clock=clock)
    begins, ends = int(clock.now) + 1000, int(clock.now) + 2000
    for claim in ("nbf", "iat"):
        token = signed({"sub": "ada", "exp": ends, claim: begins})
        clock.now = begins - 30.001
        with pytest.raises(Unauthorized):
            tokens.verify(token)
        clock.now = begins - 30
        assert tokens.verify(token).account_id == "ada"
    clock.now = ends + 29.999
    assert tokens.verify(token).account_id == "ada"
    clock.now = ends + 30
    with pytest.raises(TokenExpired):
        tokens.verify(token)


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


any_text = st.text(st.characters(), max_size=200)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
headers = st.fixed_dictionaries(
    {"alg": st.sampled_from(["HS256", "RS256", "ES256", "Ed25519", "EdDSA", "none"]) | any_json},
    optional={
        "kid": st.sampled_from(["rsa", "ec", "ed"]) | any_json,
        **dict.fromkeys(("crit", "b64", "jwk", "jku", "x5u", "x5c", "typ"), any_json),
    },
)
claim_sets = st.dictionaries(
    st.sampled_from(["sub", "exp", "nbf", "iat", "iss", "aud", "scope", "username", "name", "jti"]),
    st.just(keys.ISSUER) | st.just(4_000_000_000) | any_json,
)


def refuses(tokens: Tokens, text: str) -> None:
    with suppress(Unauthorized):  # of which `TokenExpired` is one
        tokens.verify(text)


@pytest.fixture(scope="module")
def both() -> Tokens:
    """Tokens of the own secret and of a provider with a key of each kind."""
    return Tokens([SECRET], provider_of(keys.rsa(), keys.ec(), keys.ed()))


@given(any_text)
def test_no_text_whatsoever_raises_anything_else(both: Tokens, text: str) -> None:
    """Surrogates, dots and controls included."""
    with pytest.raises(Unauthorized):
        both.verify(text)


@given(any_json | headers, any_json | claim_sets, st.binary(max_size=70))
def test_no_parts_whatsoever_raise_anything_else(
    both: Tokens, header: Any, claims: Any, signature: bytes
) -> None:
    """Three parts of JSON and bytes, of every shape and type."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    refuses(both, ".".join(keys.encoded(part) for part in parts))


@given(claim_sets | any_json)
def test_no_signed_claims_whatsoever_raise_anything_else(both: Tokens, claims: Any) -> None:
    """Whoever may sign may still write nonsense."""
    payload = json.dumps(claims).encode()
    for algorithm, key in (("HS256", OctKey.import_key(SECRET)), ("EdDSA", keys.ed())):
        begun = f"{keys.encoded({'alg': algorithm, 'kid': 'ed'})}.{keys.encoded(payload)}"
        seal = jws.JWSRegistry.algorithms[algorithm].sign(begun.encode(), key)
        refuses(both, f"{begun}.{keys.encoded(seal)}")


def test_a_token_that_is_too_long_is_not_parsed(tokens: Tokens) -> None:
    with pytest.raises(Unauthorized, match="too long"):
        tokens.verify("x" * 100_000)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YTpi", "Token x", "bearer"])
async def test_a_request_without_a_bearer_token_gets_a_plain_challenge(
    tokens: Tokens, both: Tokens, header: str | None
) -> None:
    for verifier in (tokens, both):
        with pytest.raises(Unauthorized) as caught:
            await verifier.authenticate(request(header))
        assert caught.value.headers == {"WWW-Authenticate": 'Bearer realm="scoreboard"'}


async def test_a_bad_token_gets_a_challenge_that_says_so(tokens: Tokens, both: Tokens) -> None:
    for verifier in (tokens, both):
        with pytest.raises(Unauthorized) as caught:
            await verifier.authenticate(request("Bearer nonsense"))
        assert 'error="invalid_token"' in caught.value.headers["WWW-Authenticate"]


async def test_more_than_one_authorization_header_is_refused(tokens: Tokens) -> None:
    """A proxy and the service might each believe another one of them."""
    token = f"Bearer {tokens.issue('ada', seconds=60)}".encode()
    twice = Request({"type": "http", "headers": [(b"authorization", token)] * 2})
    with pytest.raises(Unauthorized):
        await tokens.authenticate(twice)


@pytest.mark.parametrize(
    ("scope", "enough"),
    [
        ("admin", True),
        ("a admin", True),
        ("admins", False),
        ("Admin", False),
        ("a,admin", False),
        ("a\tadmin", False),
        (None, False),
    ],
)
async def test_a_scope_is_asked_for_by_name(
    tokens: Tokens, scope: str | None, enough: bool
) -> None:
    bearer = request(f"Bearer {tokens.issue('ada', seconds=60, scope=scope)}")
    if enough:
        assert (await tokens.authenticate(bearer, "admin")).account_id == "ada"
    else:
        with pytest.raises(Forbidden):
            await tokens.authenticate(bearer, "admin")


@pytest.mark.parametrize(
    "scope", [None, 7, True, {"admin": True}, "", "  ", [], [7, None, ["admin"], {"admin": 1}, ""]]
)
def test_a_scope_that_is_no_text_and_no_list_of_texts_grants_nothing(
    tokens: Tokens, scope: object
) -> None:
    token = signed({"sub": "ada", "exp": in_future(), "scope": scope})
    assert tokens.verify(token).scopes == frozenset()


STAFF = Scopes("username", [("ada", "admin"), ("editor", "admin")])
"""Settings that make the provider's user "ada" staff."""


def test_a_login_takes_no_scope_from_any_claim() -> None:
    """Anybody may register as "ada", or whatever else gives a scope in a provider's tokens."""
    tokens = Tokens([SECRET], scopes=STAFF)
    login = tokens.issue("id", seconds=60, username="ada", scope="admin", login=True)
    assert tokens.verify(login) == Principal("id", "ada", frozenset())
    assert tokens.verify(tokens.issue("id", seconds=60, username="ada")).scopes == {"admin"}


def test_the_mark_of_our_login_means_nothing_in_a_providers_token() -> None:
    """Only the own secret can make it."""
    tokens = Tokens([SECRET], provider_of(keys.ed()))
    token = keys.signed(keys.ed(), "EdDSA", scoreboard="login", scope="admin")
    assert tokens.verify(token).scopes == {"admin"}


def test_settings_for_a_provider_take_no_scope_from_own_tokens() -> None:
    """Those of `scoreboard token --scope`, and of backends that sign with the own secret."""
    tokens = Tokens([SECRET], provider_of(keys.ed()), scopes=STAFF)
    own = tokens.issue("backend", seconds=60, scope="scores:write editor")
    assert tokens.verify(own).scopes == {"scores:write", "editor"}
    theirs = keys.signed(keys.ed(), "EdDSA", scope="admin scores:write editor")
    assert tokens.verify(theirs).scopes == frozenset()


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (keys.rsa(), "RS256"),
        (keys.ec(), "ES256"),
        (keys.ed(), "Ed25519"),
        (keys.ed(), "EdDSA"),
    ],
)
def test_a_providers_token_is_taken_and_the_own_ones_too(
    both: Tokens, key: keys.SigningKey, algorithm: str
) -> None:
    """With headers of the provider's own, and an audience among others."""
    token = keys.signed(
        key,
        algorithm,
        {"cat": "access", "x5t": "AAAA"},
        aud=["another", keys.AUDIENCE],
        scope="admin",
        preferred_username="Ada",
    )
    assert both.verify(token) == Principal("ada", "Ada", frozenset({"admin"}))
    assert both.verify(both.issue("own", seconds=60)).account_id == "own"


def test_a_token_without_kid_is_taken_when_there_is_one_key_for_it() -> None:
    """Of two keys of its kind neither is tried."""
    token = keys.signed(keys.ec(), "ES256", {"kid": None})
    assert Tokens([SECRET], provider_of(keys.rsa(), keys.ec())).verify(token).account_id == "ada"
    with pytest.raises(Unauthorized):
        Tokens([SECRET], provider_of(keys.ec(), keys.ec("another"))).verify(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": "https://id.example"},
        {"iss": [keys.ISSUER]},
        {"aud": None},
        {"aud": []},
        {"aud": "another"},
        {"aud": f"{keys.AUDIENCE} another"},
        {"aud": {keys.AUDIENCE: True}},
        {**COGNITO, "aud": "another"},
        {**COGNITO, "aud": ["another"]},
        {**COGNITO, "aud": []},
        {**COGNITO, "aud": ""},
        {**COGNITO, "aud": [None]},
        {**COGNITO, "client_id": "another"},
        {**COGNITO, "client_id": None, "azp": keys.AUDIENCE},
        {**COGNITO, "client_id": [keys.AUDIENCE]},
        {**COGNITO, "client_id": keys.AUDIENCE.upper()},
        {**COGNITO, "token_use": None},
        {**COGNITO, "token_use": "id"},
        {**COGNITO, "token_use": ["access"]},
        {**COGNITO, "iss": "https://id.example"},
    ],
)
def test_a_token_that_was_made_for_somebody_else_is_refused(
    both: Tokens, changes: dict[str, Any]
) -> None:
    """Its signature is right: RFC 8725, 3.8 and 3.9."""
    with pytest.raises(Unauthorized) as caught:
        both.verify(keys.signed(keys.ed(), "EdDSA", **changes))
    assert caught.value.code == "UNAUTHORIZED"


def test_an_audience_that_is_null_is_not_a_missing_one(both: Tokens) -> None:
    """Only a token that has no `aud` at all may name its client instead."""
    begun, payload, _ = keys.signed(keys.ed(), "EdDSA").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    signing_input = f"{begun}.{keys.encoded({**claims, **COGNITO})}"
    seal = jws.JWSRegistry.algorithms["EdDSA"].sign(signing_input.encode(), keys.ed())
    with pytest.raises(Unauthorized):
        both.verify(f"{signing_input}.{keys.encoded(seal)}")


def test_an_access_token_of_cognito_is_for_its_client(both: Tokens) -> None:
    """It has no `aud`, and names the app client that it was issued to."""
    token = keys.signed(keys.rsa(), "RS256", username="Ada", scope="openid admin", **COGNITO)
    assert both.verify(token) == Principal("ada", "Ada", frozenset({"openid", "admin"}))


def test_issuer_and_audience_are_not_asked_of_own_tokens(both: Tokens) -> None:
    """An app that signs for its own users names whom it likes."""
    claims = {"sub": "ada", "exp": in_future(), "iss": "the app", "aud": ["anybody"]}
    assert both.verify(signed(claims)).account_id == "ada"


def test_a_verified_token_is_remembered_until_it_expires_and_not_in_its_leeway() -> None:
    """The memory never makes a token live longer."""
    clock = Seconds()
    tokens = Tokens([SECRET], clock=clock)
    token = tokens.issue("ada", seconds=60)
    first = tokens.verify(token)
    clock.now += 59.9
    assert tokens.verify(token) is first
    clock.now += 0.1
    assert tokens.verify(token) is not first
    assert tokens.verify(token) == first
    assert not tokens._verified._entries
    clock.now += 30
    with pytest.raises(TokenExpired):
        tokens.verify(token)


def test_the_memory_of_tokens_is_bounded_and_forgets_the_one_unused_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a crowd would fill it up; and a token with a thousand scopes is not kept at all."""
    monkeypatch.setattr(module, "REMEMBERED", 2)
    tokens = Tokens([SECRET])
    first, second, third = (tokens.issue(name, seconds=60) for name in "abc")
    known = tokens.verify(first)
    other = tokens.verify(second)
    assert tokens.verify(first) is known
    tokens.verify(third)
    assert tokens.verify(first) is known
    assert tokens.verify(second) is not other
    large = tokens.issue("d", seconds=60, scope=" ".join(f"s{number}" for number in range(33)))
    assert tokens.verify(large) is not tokens.verify(large)


def test_a_refusal_is_not_remembered() -> None:
    """The key may come a moment later."""
    provider = provider_of(keys.rsa())
    tokens = Tokens([SECRET], provider)
    token = keys.signed(keys.ec(), "ES256")
    with pytest.raises(Unauthorized):
        tokens.verify(token)
    provider.take(keys.document(keys.rsa(), keys.ec()))
    assert tokens.verify(token).account_id == "ada"


def test_a_withdrawn_key_takes_the_remembered_tokens_along() -> None:
    """A token that was verified a moment before as well."""
    provider = provider_of(keys.rsa(), keys.ec())
    tokens = Tokens([SECRET], provider)
    token = keys.signed(keys.ec(), "ES256")
    assert tokens.verify(token) is tokens.verify(token)
    provider.take(keys.document(keys.rsa()))
    with pytest.raises(Unauthorized):
        tokens.verify(token)


def test_a_wish_for_a_name_is_cleaned(tokens: Tokens) -> None:
    """Whatever the claim holds, the wish is a legal username."""
    for name in ("\x1b[31mAda", "\N{RIGHT-TO-LEFT OVERRIDE}Ada", " Ada\n"):
        wish = tokens.verify(tokens.issue("ada", seconds=60, username=name)).username
        assert wish in ("Ada", "[31mAda")
    assert tokens.verify(tokens.issue("ada", seconds=60, username="x" * 80)).username == "x" * 50
