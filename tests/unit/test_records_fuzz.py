"""Records from outside of the process: a file of actions, and what Redis holds of an account."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scoreboard.board import Entry, Total
from scoreboard.board.redis import keys
from scoreboard.ledger import actions
from scoreboard.ledger.actions import FIELDS, MAX_COOLDOWN, MAX_ELAPSED, MAX_TIMES, REPEATS, Action
from scoreboard.periods import Period

MAX_POINTS = 100

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
# Each field as it should be, nearly so, or anything.
fields: dict[str, st.SearchStrategy[Any]] = {
    "actionId": st.from_regex(r"[a-z0-9][a-z0-9_-]{0,64}", fullmatch=True),
    "name": st.text(max_size=101),
    "description": st.text(max_size=501),
    "points": st.integers(-1, MAX_POINTS + 1),
    "repeat": st.sampled_from(REPEATS),
    "minElapsedSeconds": st.none() | st.integers(0, MAX_ELAPSED + 1),
    "cooldownSeconds": st.none() | st.integers(0, MAX_COOLDOWN + 1),
    "dailyLimit": st.none() | st.integers(0, MAX_TIMES + 1),
}
nearly = st.fixed_dictionaries(fields)
changed = st.builds(
    lambda entry, field, value: {**entry, field: value},
    nearly,
    st.sampled_from([*FIELDS, "reason"]),
    json_values,
)
without = st.builds(
    lambda entry, field: {name: value for name, value in entry.items() if name != field},
    nearly,
    st.sampled_from(sorted(FIELDS)),
)
entries = nearly | changed | without | st.dictionaries(st.text(), json_values, max_size=3)


def assert_legal(action: Action) -> None:
    assert actions.is_action_id(action.action_id)
    assert 1 <= len(action.name) <= actions.MAX_NAME
    assert action.name == action.name.strip()
    assert len(action.description) <= actions.MAX_DESCRIPTION
    assert type(action.points) is int
    assert 1 <= action.points <= MAX_POINTS
    assert action.repeat in REPEATS
    limits = (action.min_elapsed_seconds, action.cooldown_seconds, action.daily_limit)
    for limit, most in zip(limits, (MAX_ELAPSED, MAX_COOLDOWN, MAX_TIMES), strict=True):
        assert limit is None or (type(limit) is int and 1 <= limit <= most)
    f"{action.name}{action.description}".encode()  # no half of a surrogate pair


@given(entries)
def test_an_action_is_legal_or_its_field_is_named(entry: dict[str, Any]) -> None:
    try:
        action = actions.parse_one(entry, MAX_POINTS)
    except actions.FieldError as error:
        refused = error.field
    else:
        assert_legal(action)
        return
    assert refused in {*FIELDS, *entry}


@given(entries)
def test_a_legal_action_is_read_as_it_was_written(entry: dict[str, Any]) -> None:
    with suppress(actions.FieldError):
        action = actions.parse_one(entry, MAX_POINTS)
        assert actions.parse_one(action.to_json(), MAX_POINTS) == action


@given(
    st.fixed_dictionaries({"actions": st.lists(entries, max_size=4)})
    | json_values
    | st.fixed_dictionaries({"actions": st.lists(json_values, max_size=2)})
)
def test_a_file_is_a_list_of_different_actions_or_refused(document: object) -> None:
    with suppress(ValueError):
        found = actions.parse(document, MAX_POINTS)
        for action in found:
            assert_legal(action)
        assert len({action.action_id for action in found}) == len(found)
        again = {"actions": [action.to_json() for action in found]}
        assert actions.parse(again, MAX_POINTS) == found


ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255)
names = st.text("|:\\ ä☃0", min_size=1, max_size=50) | ids
numbers = st.integers(0, 10**16 - 1)


@given(ids, names, st.integers(-(2**53), 2**53), numbers, st.integers(1, 2**53), st.integers(1, 99))
def test_a_row_in_redis_comes_back_as_it_went(
    account_id: str, username: str, total: int, reached: int, version: int, rank: int
) -> None:
    one = Total(Period("all-time", ""), account_id, username, total, reached, version)
    assert keys.entry(rank, account_id, keys.row(one)) == Entry(rank, account_id, username, total)
    # As the scripts take them apart.
    assert keys.member(one)[16:] == account_id
    assert int(keys.member(one)[:16]) == reached
    assert [int(part) for part in keys.row(one).split("|", 3)[:3]] == [version, reached, total]


@given(numbers, numbers, ids, ids)
def test_members_of_one_score_are_in_the_order_of_their_rows(
    one: int, other: int, an_id: str, another: str
) -> None:
    """Redis compares bytes; a row of the log is reached by one account alone."""
    if one == other:
        return
    period = Period("daily", "2026-11-21")
    members = [
        keys.member(Total(period, account_id, "", 1, reached, 1)).encode()
        for account_id, reached in ((an_id, one), (another, other))
    ]
    assert (members[0] < members[1]) == (one < other)
