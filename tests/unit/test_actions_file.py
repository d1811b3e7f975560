"""A file of actions: what is wrong with it is said by the entry and the field."""

from __future__ import annotations

from typing import Any

import pytest

from scoreboard.ledger import actions
from scoreboard.ledger.actions import Action

GOOD: dict[str, Any] = {"actionId": "a", "name": "A", "points": 1, "repeat": "once"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actionId", "A"),
        ("actionId", None),
        ("name", ""),
        ("name", "\x1b[2J"),
        ("name", "\ud800"),
        ("description", "two\nlines"),
        ("points", 0),
        ("points", 101),
        ("points", True),
        ("repeat", "hourly"),
        ("minElapsedSeconds", actions.MAX_ELAPSED + 1),
        ("cooldownSeconds", 0),
        ("dailyLimit", "3"),
        ("score", 1),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^actions\[1\]\.{field} "):
        actions.parse({"actions": [GOOD, {**GOOD, "actionId": "b", field: value}]}, 100)


@pytest.mark.parametrize("document", [[], {}, {"actions": {}}, {"actions": [7]}, None])
def test_a_file_of_another_form_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"^the file must hold|^actions\[0\] is not an object"):
        actions.parse(document, 100)


def test_an_action_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a is there twice"):
        actions.parse({"actions": [GOOD, GOOD]}, 100)


def test_what_is_left_out_or_null_is_no_limit() -> None:
    left_out = Action("a", "A", "", 1, "once")
    optional = actions.FIELDS - GOOD.keys()
    assert actions.parse({"actions": [GOOD]}, 100) == [left_out]
    assert actions.parse({"actions": [{**GOOD, **dict.fromkeys(optional)}]}, 100) == [left_out]
