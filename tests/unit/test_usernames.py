"""Usernames: what is kept, what is refused, and what a token suggests."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreboard.identity import usernames
from scoreboard.ledger.accounts import candidates, username_key


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("Ada", "Ada"),
        ("  Ada Lovelace ", "Ada Lovelace"),
        ("ﬁne", "fine"),
        ("Ａda", "Ada"),
        ("e\N{COMBINING ACUTE ACCENT}", "é"),
        ("<script>", "<script>"),
        ("👩‍🚀", "👩‍🚀"),
        ("❤️", "❤️"),
        ("x" * 50, "x" * 50),
    ],
)
def test_a_name_is_kept_composed_and_trimmed(given_name: str, kept: str) -> None:
    assert usernames.normalize(given_name) == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "x" * 51,
        "a\nb",
        "a\x00b",
        "a\x1b[31mb",
        "\N{RIGHT-TO-LEFT OVERRIDE}evil",
        "\N{ZERO WIDTH SPACE}",
        "\N{ZERO WIDTH JOINER}",
        "\ud800",
        "a\N{LINE SEPARATOR}b",
        "\N{HANGUL FILLER}",
        "Ada\N{COMBINING GRAPHEME JOINER}",
        "Ada\N{HALFWIDTH HANGUL FILLER}",
        "Ada\N{BRAILLE PATTERN BLANK}",
        "Ada\N{VARIATION SELECTOR-1}",
        "Ada\U000e0101",
        "Ada\N{MUSICAL SYMBOL NULL NOTEHEAD}",
    ],
)
def test_a_name_that_hides_something_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must"):
        usernames.normalize(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ADA"),
        ("straße", "STRASSE"),
        ("ﬁne", "FINE"),
        ("Σ", "ς"),
        ("Ada", "Ada\N{ZERO WIDTH JOINER}"),
        ("Ada", "A\N{ZERO WIDTH NON-JOINER}da"),
        ("Ada", "Ada\N{VARIATION SELECTOR-16}"),
        ("A da", "A  da"),
        ("A da", "A\N{NO-BREAK SPACE}da"),
    ],
)
def test_names_that_look_alike_are_one(one: str, other: str) -> None:
    names = (usernames.normalize(one), usernames.normalize(other))
    assert username_key(names[0]) == username_key(names[1])


@given(st.text(max_size=60))
def test_a_kept_name_is_kept_as_it_is(name: str) -> None:
    try:
        kept = usernames.normalize(name)
    except ValueError:
        return
    assert usernames.normalize(kept) == kept
    assert 1 <= len(kept) <= 50
    assert not any(unicodedata.category(character) == "Cc" for character in kept)


@given(
    st.dictionaries(
        st.sampled_from(["username", "preferred_username", "name", "email"]),
        st.one_of(st.text(max_size=80), st.emails(), st.integers(), st.none()),
    ),
    st.text(min_size=1, max_size=255) | st.emails(),
)
def test_every_token_gives_a_legal_name(claims: dict[str, object], account_id: str) -> None:
    name = usernames.from_claims(claims, account_id)
    assert usernames.normalize(name) == name
    assert not re.search(r"[^\s@]@[^\s@]", name)


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"username": "Ada", "name": "Other"}, "Ada"),
        ({"username": 7, "preferred_username": "Ada"}, "Ada"),
        ({"username": "\x00", "name": " Ada\n "}, "Ada"),
        ({}, "id-1"),
    ],
)
def test_the_first_usable_claim_names_the_account(claims: dict[str, object], name: str) -> None:
    assert usernames.from_claims(claims, "id-1") == name


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com",
        " ADA@EXAMPLE.COM\n",
        "ada@localhost",
        "Ada Lovelace <ada@example.com>",
        "mailto:ada@example.com",
        '"ada lovelace"@example.com',
        "ada@[127.0.0.1]",
        "аda@bücher.example",
        "ada\N{FULLWIDTH COMMERCIAL AT}example.com",
        "ada\N{SMALL COMMERCIAL AT}example.com",
        "ada\N{ZERO WIDTH SPACE}@\N{WORD JOINER}example.com",
        "ada_example.com#EXT#@corp.example",
        "a" * 60 + "@example.com",
    ],
)
def test_an_email_address_never_becomes_a_username(address: str) -> None:
    """Names are public. Without a better claim it is the id, and if that is an address as well, a
    name made from it, which is always the same.
    """
    claims = {"username": address, "preferred_username": address, "name": address}
    assert usernames.from_claims({**claims, "name": "Ada"}, "id-1") == "Ada"
    assert usernames.from_claims(claims, "id-1") == "id-1"
    derived = usernames.from_claims(claims, address)
    assert re.fullmatch(r"Player [0-9a-f]{8}", derived)
    assert usernames.from_claims({}, address) == derived
    assert usernames.from_claims({}, f"{address}.au") != derived


@pytest.mark.parametrize("name", ["@ada", "ada@", "Ada @ home", "@", "a @b"])
def test_a_name_with_an_at_sign_that_is_no_address_stays(name: str) -> None:
    assert usernames.from_claims({"name": name}, "id-1") == name


@given(st.text(min_size=1, max_size=255), st.text(max_size=60))
def test_candidates_are_legal_and_distinct(account_id: str, wish: str) -> None:
    try:
        wish = usernames.normalize(wish)
    except ValueError:
        return
    names = candidates(account_id, wish)
    assert names[0] == wish
    assert all(usernames.normalize(name) == name for name in names)
    assert len(set(names)) == len(names)
