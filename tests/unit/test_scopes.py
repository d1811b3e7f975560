"""Scopes: found wherever a provider puts them, and given by nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreboard.identity.scopes import Scopes


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({}, set()),
        ({"scope": "openid admin"}, {"openid", "admin"}),
        ({"scope": ["openid", "admin"]}, {"openid", "admin"}),
        ({"scp": "openid admin"}, {"openid", "admin"}),
        ({"scp": ["openid", "admin"]}, {"openid", "admin"}),
        ({"scope": "openid", "scp": ["admin"]}, {"openid", "admin"}),
        ({"scope": None, "scp": "admin"}, {"admin"}),
        ({"scope": ["not admin", " admin", "a,admin"]}, {"not admin", " admin", "a,admin"}),
        ({"scope": {"admin": True}, "scopes": "admin", "roles": ["admin"]}, set()),
        ({"scope": [["admin"], {"name": "admin"}, None, 7, ""]}, set()),
    ],
)
def test_scopes_are_a_text_or_a_list_in_scope_or_scp(
    claims: dict[str, Any], found: set[str]
) -> None:
    """RFC 8693, 4.2, and what Entra ID and Okta do. A list's item is one name, spaces or not."""
    assert Scopes().of(claims) == found


NAMESPACED = "https://example.com/roles"


@pytest.mark.parametrize(
    ("claim", "claims", "found"),
    [
        ("permissions", {"permissions": ["admin"], "scope": "other"}, {"admin"}),
        ("permissions", {"scope": "admin", "scp": ["admin"]}, set()),
        ("cognito:groups", {"cognito:groups": ["admin"]}, {"admin"}),
        ("realm_access.roles", {"realm_access": {"roles": ["admin"]}}, {"admin"}),
        ("resource_access.app.roles", {"resource_access": {"app": {"roles": "a b"}}}, {"a", "b"}),
        (
            "resource_access.my.own.app.roles",
            {"resource_access": {"my.own.app": {"roles": ["admin"]}}},
            {"admin"},
        ),
        (NAMESPACED, {NAMESPACED: ["admin"]}, {"admin"}),
        (f"{NAMESPACED}.app", {NAMESPACED: {"app": ["admin"]}}, {"admin"}),
        ("a.b.c", {"a": {"b": {"c": "one"}}, "a.b": {"c": "two"}}, {"two"}),
        ("a.b.c", {"a": {"b": {"c": "one"}}, "a.b": {"d": "two"}}, {"one"}),
        ("a.b.c", {"a": {"b.c": "one", "b": {"c": "two"}}}, {"one"}),
        ("realm_access.roles", {"realm_access": ["roles"]}, set()),
        ("realm_access.roles", {"realm_access": "roles"}, set()),
        ("realm_access.roles", {"realm_access": None}, set()),
        ("realm_access.roles", {"realm_access": {"roles": {"admin": True}}}, set()),
        ("realm_access.roles", {"other": {"realm_access": {"roles": ["admin"]}}}, set()),
        ("roles", {"realm_access": {"roles": ["admin"]}}, set()),
    ],
)
def test_a_claim_is_found_by_its_name_or_its_path(
    claim: str, claims: dict[str, Any], found: set[str]
) -> None:
    """A name may contain dots itself: of two readings the one with the longer name counts."""
    assert Scopes(claim).of(claims) == found


def test_with_a_map_only_its_names_give_scopes() -> None:
    """What a provider calls "admin" is not meant for us."""
    scopes = Scopes(names=[("board/admin", "admin"), ("ops", "admin"), ("ops", "scores:write")])
    assert scopes.of({"scope": "board/admin"}) == {"admin"}
    assert scopes.of({"scope": "ops openid"}) == {"admin", "scores:write"}
    assert scopes.of({"scope": "admin scores:write Board/Admin board"}) == frozenset()


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from("ab."),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=4), inner),
)


@given(st.from_regex(r"[ab]+(\.[ab]+)*", fullmatch=True), st.dictionaries(st.text("ab."), any_json))
def test_no_claims_whatsoever_break_the_reader(claim: str, claims: dict[str, Any]) -> None:
    assert all(isinstance(name, str) and name for name in Scopes(claim).of(claims))
