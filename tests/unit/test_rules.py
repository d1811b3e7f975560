"""The rules of repetition against a model that carries requests out one by one."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from scoreboard.errors import IdempotencyKeyRequired, IdempotencyKeyReused, InvalidAction
from scoreboard.ledger.accounts import Account
from scoreboard.ledger.actions import Repeat
from scoreboard.scoring.completion import Completion
from scoreboard.scoring.rules import (
    Decision,
    Instant,
    Known,
    Recorded,
    Repeated,
    Replayed,
    Rule,
    decide,
)

NOW = Instant(1_795_253_400_000, "2026-11-21", "2026-W47")
ACTIONS: dict[str, tuple[int, Repeat]] = {
    "once": (7, "once"),
    "daily": (5, "daily"),
    "often": (3, "unlimited"),
}


def completion(account: str, action: str, key: str | None = None) -> Completion:
    return Completion(Account(account, account), action, f"print of {action}", key)


class Row(NamedTuple):
    account: str
    action: str
    key: str | None
    new_score: int


class Model:
    """A log that takes one completion at a time, by the words of the contract."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def row_of_key(self, one: Completion) -> int | None:
        return self._find(one.account.account_id, key=one.idempotency_key)

    def row_of_slot(self, one: Completion) -> int | None:
        return self._find(one.account.account_id, action=one.action_id)

    def _find(self, account: str, key: str | None = None, action: str | None = None) -> int | None:
        for number, row in enumerate(self.rows, 1):
            if row.account == account and (
                (key is not None and row.key == key)
                or (action is not None and row.action == action)
            ):
                return number
        return None

    def total(self, account: str) -> int:
        return max((row.new_score for row in self.rows if row.account == account), default=0)

    def complete(self, one: Completion) -> tuple[str, int | None]:
        if (number := self.row_of_key(one)) is not None:
            same = self.rows[number - 1].action == one.action_id
            return ("replayed", number) if same else ("reused", None)
        if one.action_id not in ACTIONS:
            return "unknown", None
        points, repeat = ACTIONS[one.action_id]
        if repeat == "unlimited" and one.idempotency_key is None:
            return "key required", None
        if repeat != "unlimited" and (number := self.row_of_slot(one)) is not None:
            return "repeated", number
        account = one.account.account_id
        self.rows.append(
            Row(account, one.action_id, one.idempotency_key, self.total(account) + points)
        )
        return "recorded", len(self.rows)

    def known(self, one: Completion) -> Known:
        """What the database would say about it before its batch."""
        rule = Rule(*ACTIONS[one.action_id]) if one.action_id in ACTIONS else None
        keyed = self.row_of_key(one)
        return Known(
            self.total(one.account.account_id),
            keyed,
            f"print of {self.rows[keyed - 1].action}" if keyed else None,
            rule=rule,
            slotted=self.row_of_slot(one) if rule and rule.repeat != "unlimited" else None,
        )


def told(decision: Decision) -> tuple[str, int | None]:
    match decision:
        case Recorded(log_id=number):
            return "recorded", number
        case Replayed(log_id=number):
            return "replayed", number
        case Repeated(log_id=number):
            return "repeated", number
        case InvalidAction():
            return "unknown", None
        case IdempotencyKeyReused():
            return "reused", None
        case IdempotencyKeyRequired():
            return "key required", None
    raise AssertionError(decision)


completions = st.builds(
    completion,
    st.sampled_from("ab"),
    st.sampled_from([*ACTIONS, "nothing"]),
    st.sampled_from([None, "k1", "k2", "k3"]),
)


@given(st.lists(st.lists(completions, min_size=1, max_size=8), max_size=6))
def test_batches_decide_as_one_by_one_would(batches: list[list[Completion]]) -> None:
    model = Model()
    for batch in batches:
        decisions, _ = decide(
            batch, [model.known(one) for one in batch], instant=NOW, last_log_id=len(model.rows)
        )
        assert [told(one) for one in decisions] == [model.complete(one) for one in batch]
        for decision in decisions:
            if isinstance(decision, Recorded):
                assert decision.new_score == model.rows[decision.log_id - 1].new_score


def test_the_slot_of_a_daily_action_is_its_day() -> None:
    one, known = completion("a", "daily"), Known(0, rule=Rule(5, "daily"))
    (decision,) = decide([one], [known], instant=NOW, last_log_id=41).decisions
    assert decision == Recorded(42, one, "daily", NOW.day, 5, 5, NOW.day, NOW.week)


def test_a_key_is_bound_by_a_recorded_row_alone() -> None:
    """The first attempt is refused, so its key is free for the second."""
    batch = [completion("a", "nothing", "k1"), completion("a", "often", "k1")]
    known = [Known(0), Known(0, rule=Rule(3, "unlimited"))]
    refused, recorded = decide(batch, known, instant=NOW, last_log_id=0).decisions
    assert isinstance(refused, InvalidAction)
    assert isinstance(recorded, Recorded)
