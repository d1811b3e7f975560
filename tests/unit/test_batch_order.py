"""In which order a batch is decided: what is independent first, each account's own in its order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from scoreboard.ledger.accounts import Account
from scoreboard.scoring.completion import Change, Completion, Submission
from scoreboard.scoring.postgres_log import independent
from scoreboard.scoring.recording import independent_first

NAMES = ("ada", "bob", "cy", "dan")


def completion(name: str) -> Completion:
    return Completion(Account(name, name), "once", "fingerprint")


def adjustment(name: str, actor: str = "staff") -> Change:
    return Change("adjustment", Account(name, name), actor, "fingerprint", points=1)


# A player may be a member of staff, who writes about others and about itself.
batches = st.lists(
    st.builds(completion, st.sampled_from(NAMES))
    | st.builds(adjustment, st.sampled_from(NAMES), st.sampled_from(["staff", "ada", "bob"])),
    max_size=20,
)


def those_of(name: str, batch: Sequence[Submission], order: Sequence[int]) -> list[int]:
    """The places of what somebody does, or is done to somebody."""
    return [
        place for place in order if name in (batch[place].account.account_id, batch[place].caller)
    ]


@given(batches)
def test_for_everyone_the_order_stays_as_it_was(batch: list[Submission]) -> None:
    """For an account, and for whoever its keys belong to."""
    order = independent_first(batch)
    assert sorted(order) == list(range(len(batch)))
    for name in (*NAMES, "staff"):
        assert those_of(name, batch, order) == those_of(name, batch, range(len(batch)))


@given(batches)
def test_the_head_is_completions_of_different_accounts_and_as_long_as_it_can_be(
    batch: list[Submission],
) -> None:
    order = independent_first(batch)
    ordered = [batch[place] for place in order]
    count = independent(ordered)
    head = [one.account.account_id for one in ordered[:count]]
    assert all(isinstance(one, Completion) for one in ordered[:count])
    assert len(set(head)) == len(head)
    for place, one in enumerate(batch):
        before = {
            name for other in batch[:place] for name in (other.account.account_id, other.caller)
        }
        can_be = isinstance(one, Completion) and one.account.account_id not in before
        assert can_be == (order.index(place) < count)


@given(batches)
def test_the_head_is_found_in_any_batch(batch: list[Submission]) -> None:
    """It ends where the first is that is no completion, or of an account that is in it already."""
    count = independent(batch)
    accounts = [one.account.account_id for one in batch]
    assert all(isinstance(one, Completion) for one in batch[:count])
    assert len(set(accounts[:count])) == count
    if count < len(batch):
        assert isinstance(batch[count], Change) or accounts[count] in accounts[:count]


def test_a_batch_of_a_crowd_is_decided_together_whatever_staff_does_meanwhile() -> None:
    batch: list[Submission] = [
        completion("ada"),
        adjustment("bob", "cy"),
        completion("bob"),
        completion("cy"),
        completion("dan"),
        completion("ada"),
    ]
    assert independent_first(batch) == [0, 4, 1, 2, 3, 5]
    assert independent([batch[place] for place in independent_first(batch)]) == 2
    assert independent_first([]) == []
    assert independent([]) == 0
