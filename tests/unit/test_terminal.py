"""What is printed for people: harmless, aligned, and signed with a name that can be shown."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable

import pytest

from scoreboard.cli.actors import actor
from scoreboard.cli.terminal import table
from scoreboard.identity.claims import MAX_ACCOUNT_ID
from scoreboard.text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Zoë 李雷 🎲 a\\b", "Zoë 李雷 🎲 a\\b"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\r\nb\tc\x00", "a\\r\\nb\\tc\\x00"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("\u202eevil\u2066\u200b\u2028", "\\u202eevil\\u2066\\u200b\\u2028"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_columns_are_aligned_and_one_long_text_does_not_push_the_others() -> None:
    rows = [("a", "b" * 100, "c\n"), ("long", "b", ""), ("x", "", "c")]
    assert table(rows) == [
        f"a     {'b' * 100}  c\\n",
        "long  b",
        f"x     {' ' * 40}  c",
    ]
    assert table([]) == []


def fails(error: Exception) -> Callable[[], str]:
    def getuser() -> str:
        raise error

    return getuser


@pytest.mark.parametrize(
    ("getuser", "name"),
    [
        (lambda: "ada", "cli:ada"),
        (fails(KeyError("getpwuid(): uid not found: 1001")), f"cli:uid-{os.getuid()}"),
        (fails(OSError("No username set in the environment")), f"cli:uid-{os.getuid()}"),
        (lambda: "", f"cli:uid-{os.getuid()}"),
        (lambda: "\x1b[2J", f"cli:uid-{os.getuid()}"),
        (lambda: "\udcff", f"cli:uid-{os.getuid()}"),
        (lambda: "x" * MAX_ACCOUNT_ID, f"cli:uid-{os.getuid()}"),
    ],
    ids=range(7),
)
def test_an_actor_has_a_name_that_can_be_stored_and_shown(
    monkeypatch: pytest.MonkeyPatch, getuser: Callable[[], str], name: str
) -> None:
    monkeypatch.setattr(getpass, "getuser", getuser)
    assert actor() == name
