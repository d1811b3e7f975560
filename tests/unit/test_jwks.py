"""A provider's set of keys: what of it is used, for what, and what is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwk import OctKey

from scoreboard.identity import jwks
from tests.support.keys import SigningKey, document, ec, ed, public, rsa, signed


def usable(*members: Any) -> int:
    """How many of these are taken, beside one that certainly is."""
    certain = public(ed("certain"))
    return len(jwks.parse(json.dumps({"keys": [*members, certain]}).encode())) - 1


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [(rsa(), {"RS256"}), (ec(), {"ES256"}), (ed(), {"Ed25519", "EdDSA"})],
    ids=["RSA", "EC", "OKP"],
)
def test_each_kind_of_key_has_its_algorithms_and_no_other(
    key: SigningKey, algorithms: set[str]
) -> None:
    """One explicit list a key: RFC 8725, 3.1."""
    keys = jwks.parse(document(key))
    able = {name for name in jws.JWSRegistry.algorithms if keys.candidates(name, key.kid)}
    assert able == algorithms


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa(), "RS256"), (ec(), "ES256"), (ed(), "Ed25519"), (ed(), "EdDSA")],
)
def test_a_signature_is_verified_by_the_public_key(key: SigningKey, algorithm: str) -> None:
    """Without a warning, by the older name of Ed25519 too: warnings are errors here."""
    (candidate,) = jwks.parse(document(key)).candidates(algorithm, key.kid)
    token = signed(key, algorithm)
    assert candidate.has_signed(jws.extract_compact(token.encode()))
    others: dict[str, SigningKey] = {"RS256": rsa("another"), "ES256": ec("another")}
    other = others.get(algorithm, ed("another"))
    forged = signed(other, algorithm, {"kid": key.kid})
    assert not candidate.has_signed(jws.extract_compact(forged.encode()))


@pytest.mark.parametrize(
    ("alg", "algorithms"),
    [("EdDSA", {"EdDSA"}), ("Ed25519", {"Ed25519"}), (None, {"EdDSA", "Ed25519"})],
)
def test_the_alg_of_a_key_narrows_what_it_verifies(alg: str | None, algorithms: set[str]) -> None:
    """The provider's own word for the key is stricter than its kind."""
    keys = jwks.parse(document(public(ed(), alg=alg)))
    assert {name for name in jwks.ALGORITHMS if keys.candidates(name, "ed")} == algorithms


@pytest.mark.parametrize(
    "member",
    [
        public(rsa("short", 2040)),
        public(rsa("shorter", 1024)),
        public(rsa(), alg="RS512"),
        public(rsa(), alg="PS256"),
        public(rsa(), alg="HS256"),
        public(rsa(), alg=7),
        public(rsa(), use="enc"),
        public(rsa(), use=["sig"]),
        public(rsa(), key_ops=["sign"]),
        public(rsa(), key_ops="verify"),
        public(rsa(), kid=7),
        public(rsa(), crv="P-256"),
        public(rsa(), n=None),
        public(rsa(), e=7),
        public(rsa(), e="AQ"),  # 1: anybody could sign
        public(rsa(), n="A" * 100_000),
        public(rsa(), n="_" * 100_000),
        public(ec("p384", "P-384")),
        public(ec(), crv="P-384"),
        public(ec(), x=public(ec("another"))["x"]),  # no point of the curve
        public(ec(), alg="ES384"),
        public(ed(), crv="X25519"),
        public(ed(), crv="Ed448"),
        public(ed(), x="AAAA"),
        {"kty": "oct", "k": "c2VjcmV0" * 8, "alg": "HS256"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kty": ["RSA"]},
        {"crv": {}},
        {},
        None,
        "key",
        [],
        7,
    ],
    ids=repr,
)
def test_a_key_that_cannot_be_used_is_ignored_and_never_fatal(member: Any) -> None:
    """Providers add kinds of keys that are not known here yet."""
    assert usable(member) == 0


def test_a_key_does_not_verify_by_an_algorithm_that_is_not_its_own() -> None:
    """Even when it is asked to."""
    (candidate,) = jwks.parse(document(public(ed(), alg="EdDSA"))).candidates("EdDSA", "ed")
    with pytest.raises(UnsupportedAlgorithmError):
        candidate.has_signed(jws.extract_compact(signed(ed(), "Ed25519").encode()))


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_short_rsa_key_is_refused_where_the_library_only_warns() -> None:
    """RFC 7518, 3.3."""
    assert usable(public(rsa("short", 2040))) == 0
    assert usable(public(rsa("shorter", 1024))) == 0


@pytest.mark.parametrize(
    "member",
    [
        public(rsa("long", 4096)),
        public(rsa(), use="sig", key_ops=["verify"], alg="RS256"),
        public(rsa(), use="sig", key_ops=["verify", "wrapKey", "something new"]),
        public(rsa(), kid=None),
        public(rsa(), x5c=7, x5u="not a URL", something="new"),
        rsa().as_dict(private=True),  # a blunder of the provider's, and no harm here
    ],
)
def test_what_stands_beside_a_public_key_does_not_spoil_it(member: dict[str, Any]) -> None:
    """Only what makes the key is read."""
    assert usable(member) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no JWKS"),
        (b"{}", "no JWKS"),
        (b'{"keys": {}}', "no JWKS"),
        (b'{"keys": []}', "no key that can be used"),
        (document(OctKey.generate_key(512)), "no key that can be used"),
        (document(*[public(ed(), kid=str(kid)) for kid in range(101)]), "more than 100 keys"),
        (document(ed()) + b" " * jwks.MAX_DOCUMENT, "more than 262144 bytes"),
    ],
)
def test_a_document_without_a_usable_key_within_the_bounds_is_refused(
    text: bytes, why: str
) -> None:
    """The reason is one line for the log."""
    with pytest.raises(ValueError, match=why) as caught:
        jwks.parse(text)
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("AQAB"),
    lambda inner: st.lists(inner, max_size=3),
)
member_names = st.sampled_from(
    ["kty", "crv", "n", "e", "x", "y", "d", "k", "use", "key_ops", "alg", "kid", "x5c"]
)
kinds = st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "RS256", "sig", "verify"])


@given(st.lists(st.dictionaries(member_names, kinds | json_values, max_size=8), max_size=4))
def test_no_members_whatsoever_break_the_reader(members: list[Any]) -> None:
    """What a provider publishes is a stranger's data."""
    assert usable(*members) <= len(members)


def test_a_token_without_kid_is_for_the_only_key_of_its_algorithm() -> None:
    """Of several none is guessed."""
    keys = jwks.parse(document(rsa("one"), rsa("two"), ec("three")))
    assert [key.kid for key in keys.candidates("ES256", None)] == ["three"]
    assert keys.candidates("RS256", None) == []
    assert keys.candidates("EdDSA", None) == []


def test_a_kid_leads_to_keys_of_its_algorithm_alone() -> None:
    """RFC 7517, 4.5 lets keys of different kinds share an id."""
    keys = jwks.parse(document(rsa("shared"), ec("shared"), ec("other")))
    assert len(keys.candidates("RS256", "shared")) == 1
    assert keys.candidates("RS256", "other") == []
    assert keys.candidates("RS256", "") == []
    assert keys.knows("shared")
    assert not keys.knows("sha")
