"""One rule for the names that people read, wherever they come from."""

from __future__ import annotations

import argparse
import json
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreboard import text
from scoreboard.cli import parser
from scoreboard.identity import usernames
from scoreboard.ledger import actions
from scoreboard.ledger.accounts import username_key


def as_username(name: str) -> str:
    return usernames.normalize(name)


def as_claim(name: str) -> str:
    return usernames.from_claims({"username": name}, "id")


def as_option(name: str) -> str:
    options = parser().parse_args(["token", "--user", "ada", "--username", name])
    assert isinstance(options, argparse.Namespace)
    return str(options.username)


def as_action(field: str) -> Callable[[str], str]:
    def taken(name: str) -> str:
        entry = {"actionId": "a", "name": "A", "points": 1, "repeat": "once", field: name}
        action = actions.parse_one(json.loads(json.dumps(entry)), 100)
        return str(action.to_json()[field])

    return taken


WAYS = pytest.mark.parametrize(
    "way",
    [as_username, as_claim, as_option, as_action("name"), as_action("description")],
    ids=["username", "claim of a token", "token --username", "action name", "action description"],
)

READ = {
    "Persian, with a joiner that parts": "نمی\u200cخواهم",
    "Hindi, with a joiner that joins": "क्\u200dष",
    "a family": "👨\u200d👩\u200d👧\u200d👦",
    "a heart as a picture": "❤\ufe0f",
    "a heart as a sign": "❤\ufe0e",
    "a rainbow flag": "🏳\ufe0f\u200d🌈",
    "the flag of a country": "🇳🇱",
    "the flag of Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a keycap": "1\ufe0f\u20e3",
    "a skin tone": "👍🏽",
    "a variant of an ideograph": "葛\U000e0100城",
    "Mongolian, with a variant": "ᠭ\u180bᠠ",
    "Mongolian, with a vowel separator": "ᠬᠠᠨ\u180eᠠ",
    "an emoji of Unicode 15": "\U0001fae8",
    "an emoji of Unicode 17": "\U0001faea",
    "an emoji that does not exist yet": "\U0001fafe",
    "Thai": "น้ำ",
    "Arabic": "مُحَمَّد",
    "Hebrew": "שָׁלוֹם",
}
HIDES = {
    "a direction that is turned": "Ada\N{RIGHT-TO-LEFT OVERRIDE}",
    "an isolate": "Ada\N{RIGHT-TO-LEFT ISOLATE}",
    "a mark of direction": "Ada\N{LEFT-TO-RIGHT MARK}",
    "a zero-width space": "Ada\N{ZERO WIDTH SPACE}",
    "a soft hyphen": "A\N{SOFT HYPHEN}da",
    "a line break": "Ada\nAda",
    "a line separator": "Ada\N{LINE SEPARATOR}Ada",
    "an escape": "Ada\x1b[31m",
    "a filler": "Ada\N{HANGUL FILLER}",
    "an empty Braille cell": "Ada\N{BRAILLE PATTERN BLANK}",
    "half a character": "Ada\ud800",
    "a private character": "Ada\ue000",
    "no character": "Ada\ufffe",
    "no character either": "Ada\ufdd0",
    "a reserved character that is ignored": "Ada\ufff0",
    "a tag without its flag": "Ada\U000e0067\U000e007f",
    "a flag without an end": "🏴\U000e0067\U000e0062\U000e0073",
    "a variant of a letter": "Ada\U000e0100",
    "a Mongolian variant of a letter": "Ada\u180b",
}


@WAYS
@pytest.mark.parametrize("name", READ.values(), ids=READ)
def test_what_scripts_and_emoji_need_is_kept(way: Callable[[str], str], name: str) -> None:
    composed = unicodedata.normalize("NFKC", name)
    assert way(name) in (name, composed), "names of players are composed, those of actions are not"
    assert unicodedata.normalize("NFKC", way(name)) == composed


@WAYS
def test_a_space_that_does_not_break_is_a_space(way: Callable[[str], str]) -> None:
    assert way("Ada\N{NO-BREAK SPACE}L").replace("\N{NO-BREAK SPACE}", " ") == "Ada L"


@WAYS
@pytest.mark.parametrize("name", HIDES.values(), ids=HIDES)
def test_what_hides_or_disguises_is_refused(way: Callable[[str], str], name: str) -> None:
    """Of a stranger's valid token it is left out instead."""
    if way is as_claim:
        assert text.is_readable(way(name))
        assert way(name) != name
        return
    with pytest.raises((ValueError, SystemExit, actions.FieldError)):
        way(name)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("葛", "葛\U000e0100", True),
        ("ᠭᠠ", "ᠭ\u180bᠠ", True),
        ("❤", "❤\ufe0f", True),
        (READ["the flag of Scotland"], "🏴", False),
        ("🇳🇱", "🇱🇺", False),
    ],
)
def test_names_are_one_when_nobody_sees_a_difference(one: str, other: str, is_same: bool) -> None:
    assert (username_key(one) == username_key(other)) is is_same


@given(st.text(max_size=60))
def test_what_is_left_of_any_text_is_readable(anything: str) -> None:
    left = text.readable(anything)
    assert text.is_readable(left)
    assert text.readable(left) == left
    assert (left == anything) is text.is_readable(anything)
