"""The ranking against the plainest model: a list, sorted."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from scoreboard.board import Entry, Total
from scoreboard.board.ranking import Ranking
from scoreboard.periods import Period

PERIOD = Period("all-time", "")


def total(account_id: str, points: int, reached: int, version: int) -> Total:
    return Total(PERIOD, account_id, account_id.upper(), points, reached, version)


# Each update is one log row: its number is what orders equal scores.
updates = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(-3, 5), st.integers(1, 6)), max_size=60
).map(
    lambda drawn: [
        total(name, points, reached, version)
        for reached, (name, points, version) in enumerate(drawn)
    ]
)


def model(totals: list[Total]) -> list[Entry]:
    newest: dict[str, Total] = {}
    for one in totals:
        if one.account_id not in newest or newest[one.account_id].version <= one.version:
            newest[one.account_id] = one
    placed = sorted(
        (one for one in newest.values() if one.total > 0),
        key=lambda one: (-one.total, one.reached),
    )
    return [Entry(rank, one[1], one[2], one[3]) for rank, one in enumerate(placed, 1)]


@given(updates)
def test_the_ranking_is_the_sorted_list_of_the_newest_versions(totals: list[Total]) -> None:
    ranking = Ranking()
    for one in totals:
        ranking.put(one)
    expected = model(totals)
    assert ranking.page(0, 100) == expected
    assert len(ranking) == len(expected)
    assert {name: ranking.rank(name) for name in "abcdefgh"} == {
        name: next((entry.rank for entry in expected if entry.account_id == name), None)
        for name in "abcdefgh"
    }


@given(updates, st.integers(0, 9), st.integers(1, 9))
def test_a_page_is_a_slice(totals: list[Total], offset: int, limit: int) -> None:
    ranking = Ranking()
    for one in totals:
        ranking.put(one)
    assert ranking.page(offset, limit) == model(totals)[offset : offset + limit]


@given(updates, st.sampled_from("abcdefgh"), st.integers(0, 4))
def test_around_is_self_and_as_many_neighbours_as_there_are(
    totals: list[Total], name: str, reach: int
) -> None:
    ranking = Ranking()
    for one in totals:
        ranking.put(one)
    expected = model(totals)
    rank = ranking.rank(name)
    assert ranking.around(name, reach) == (
        [entry for entry in expected if abs(entry.rank - rank) <= reach] if rank else []
    )


@given(updates, st.randoms(use_true_random=False))
def test_versions_make_the_order_of_delivery_irrelevant(
    totals: list[Total], chance: Random
) -> None:
    """Late, twice, out of order: what counts are the versions."""
    versioned = [one._replace(version=number) for number, one in enumerate(totals, 1)]
    ordered, shuffled = Ranking(), Ranking()
    for one in versioned:
        ordered.put(one)
    again = versioned * 2
    chance.shuffle(again)
    for one in again:
        shuffled.put(one)
    assert shuffled.page(0, 100) == ordered.page(0, 100)
