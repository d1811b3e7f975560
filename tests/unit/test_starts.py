"""Start tokens: an instant, signed for one account and one action, good for a day."""

from __future__ import annotations

import pytest

from scoreboard.identity.starts import LIFE_MS, Starts
from scoreboard.ledger.actions import MAX_ELAPSED
from tests.support.clock import START

SECRET = b"a secret for tests, of thirty-two bytes or more"
OTHER = b"another secret for tests, of thirty-two or more"


def test_a_start_counts_for_24_hours_to_the_millisecond() -> None:
    starts = Starts([SECRET])
    token, expires_ms = starts.issue("ada", "quiz", START)
    assert expires_ms - START == 24 * 3600 * 1000
    assert starts.verify(token, "ada", "quiz", expires_ms - 1) == START
    assert starts.verify(token, "ada", "quiz", expires_ms) is None


def test_a_start_outlives_the_longest_action() -> None:
    """Else there were actions that nobody could complete."""
    assert LIFE_MS == 2 * MAX_ELAPSED * 1000


@pytest.mark.parametrize(("account_id", "action_id"), [("bob", "quiz"), ("ada", "other-quiz")])
def test_a_start_is_for_one_account_and_one_action(account_id: str, action_id: str) -> None:
    starts = Starts([SECRET])
    assert (
        starts.verify(starts.issue("ada", "quiz", START).token, account_id, action_id, START)
        is None
    )


def test_a_start_from_before_the_secret_was_changed_still_counts() -> None:
    """As long as the old secret is listed; it signs nothing new."""
    old, rotated, new = Starts([SECRET]), Starts([OTHER, SECRET]), Starts([OTHER])
    assert rotated.verify(old.issue("ada", "quiz", START).token, "ada", "quiz", START) == START
    assert new.verify(rotated.issue("ada", "quiz", START).token, "ada", "quiz", START) == START
    assert new.verify(old.issue("ada", "quiz", START).token, "ada", "quiz", START) is None
