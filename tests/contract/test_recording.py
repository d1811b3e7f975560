"""Completions: each counts once, each gets its own right answer, and the sums agree, always."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoreboard.errors import (
    AlreadyCompleted,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    InvalidAction,
    Unavailable,
)
from scoreboard.ledger import actions
from scoreboard.ledger.connection import RowError
from scoreboard.periods import Period
from scoreboard.scoring.completion import Answer, Completion
from scoreboard.scoring.submissions import Submissions
from tests.support.engine import OFTEN, Engine


def answered(answer: Answer | Exception) -> Answer:
    assert isinstance(answer, Answer), answer
    return answer


async def test_a_receipt_says_what_was_recorded(engine: Engine) -> None:
    answer = answered(await engine.complete("ada", "once"))
    assert answer.to_json() == {
        "success": True,
        "completionId": "1",
        "actionId": "once",
        "pointsEarned": 7,
        "newScore": 7,
        "completedAt": "2026-11-21T09:30:00.000Z",
        "rank": 1,
    }
    assert not answer.replayed
    await engine.assert_sound()


async def test_once_is_once_and_the_refusal_holds_the_first_receipt(engine: Engine) -> None:
    first = answered(await engine.complete("ada", "once"))
    engine.clock.advance(days=40)
    again = await engine.complete("ada", "once")
    assert isinstance(again, AlreadyCompleted)
    assert again.completion == first.to_json()
    await engine.assert_sound()


async def test_daily_is_once_a_utc_day(engine: Engine) -> None:
    answered(await engine.complete("ada", "daily"))
    engine.clock.advance(seconds=14.5 * 3600 - 0.001)
    assert isinstance(await engine.complete("ada", "daily"), AlreadyCompleted)
    engine.clock.advance(seconds=0.001)
    assert answered(await engine.complete("ada", "daily")).receipt.new_score == 10
    await engine.assert_sound()


async def test_unlimited_counts_each_key_and_needs_one(engine: Engine) -> None:
    assert isinstance(await engine.complete("ada", "often"), IdempotencyKeyRequired)
    scores = [
        answered(await engine.complete("ada", "often", key)).receipt.new_score for key in "abc"
    ]
    assert scores == [3, 6, 9]
    await engine.assert_sound()


async def test_the_same_key_and_request_is_the_first_receipt_for_ever(engine: Engine) -> None:
    first = answered(await engine.complete("ada", "often", "k"))
    await engine.complete("ada", "often", "another")
    await engine.complete("bob", "once", "b")
    engine.clock.advance(days=400)
    again = answered(await engine.complete("ada", "often", "k"))
    assert again.replayed
    assert again.receipt == first.receipt
    assert (first.rank, again.rank) == (1, 2)
    await engine.assert_sound()


async def test_the_key_beats_the_period(engine: Engine) -> None:
    first = answered(await engine.complete("ada", "daily", "k"))
    engine.clock.advance(days=1)
    assert answered(await engine.complete("ada", "daily", "k")).receipt == first.receipt
    assert answered(await engine.complete("ada", "daily", "k2")).receipt.new_score == 10


async def test_the_same_key_for_another_request_is_refused(engine: Engine) -> None:
    await engine.complete("ada", "often", "k")
    assert isinstance(await engine.complete("ada", "once", "k"), IdempotencyKeyReused)
    assert isinstance(await engine.complete("ada", "often", "k", "body"), IdempotencyKeyReused)
    assert answered(await engine.complete("bob", "once", "k")).receipt.new_score == 7
    await engine.assert_sound()


async def test_a_row_of_an_earlier_release_is_found_by_its_own_fingerprint(
    engine: Engine,
) -> None:
    """It recorded 1.0 and 1 as two numbers: the retry of what it answered is still a retry."""
    ada = await engine.account("ada")

    def completion(fingerprint: str, former: str | None, key: str = "k") -> Completion:
        return Completion(ada, "often", fingerprint, key, former_fingerprint=former)

    (first,) = await engine.recorder.record([completion("as it was", None)])
    batch = [
        completion("canonical", "as it was"),
        completion("canonical", "something else"),
        completion("canonical", None),
        completion("new", "as it would have been", "another"),
        completion("new", None, "another"),
        completion("other", "as it would have been", "another"),
    ]
    for answers in (
        await engine.recorder.record(batch),
        [answer for one in batch for answer in await engine.recorder.record([one])],
    ):
        again, reused, unknown, new, same, other = answers
        assert answered(again).replayed
        assert answered(again).receipt == answered(first).receipt
        assert isinstance(reused, IdempotencyKeyReused)
        assert isinstance(unknown, IdempotencyKeyReused)
        assert answered(new).receipt == answered(same).receipt
        assert answered(new).receipt.new_score == 6
        assert isinstance(other, IdempotencyKeyReused)
    await engine.assert_sound()


async def test_a_refusal_leaves_its_key_free(engine: Engine) -> None:
    assert isinstance(await engine.complete("ada", "nothing", "k"), InvalidAction)
    answered(await engine.complete("ada", "once"))
    assert isinstance(await engine.complete("ada", "once", "k"), AlreadyCompleted)
    assert not answered(await engine.complete("ada", "often", "k")).replayed


async def test_a_batch_gives_each_its_own_answer(engine: Engine) -> None:
    answers = await engine.record(
        [
            ("ada", "often", "1", ""),
            ("ada", "often", "1", ""),
            ("ada", "nothing", None, ""),
            ("bob", "once", None, ""),
            ("bob", "once", None, ""),
            ("ada", "often", "2", ""),
            ("ada", "once", "1", ""),
            ("bob", "often", None, ""),
            ("ada", "daily", None, ""),
        ]
    )
    assert [type(one) for one in answers] == [
        Answer,
        Answer,
        InvalidAction,
        Answer,
        AlreadyCompleted,
        Answer,
        IdempotencyKeyReused,
        IdempotencyKeyRequired,
        Answer,
    ]
    recorded = [one for one in answers if isinstance(one, Answer)]
    assert [one.receipt.new_score for one in recorded] == [3, 3, 7, 6, 11]
    assert [one.replayed for one in recorded] == [False, True, False, False, False]
    assert [one.rank for one in recorded] == [1, 1, 2, 1, 1]
    await engine.assert_sound()


async def test_a_row_with_bad_data_fails_alone(engine: Engine) -> None:
    ada, bob = [await engine.account(name) for name in ("ada", "bob")]
    good = Completion(ada, "once", "print")
    bad = Completion(bob, "once", "print", data="\x00")
    if engine.database.dialect == "sqlite":  # which takes it
        await engine.change(
            "CREATE TRIGGER picky BEFORE INSERT ON action_log WHEN new.account_id = 'bob' "
            "BEGIN SELECT RAISE(ABORT, 'bad'); END"
        )
    answers = await engine.submit([bad, good, bad])
    assert [type(one) for one in answers] == [RowError, Answer, RowError]
    await engine.assert_sound()


async def test_an_account_that_is_gone_is_made_again_by_the_retry(engine: Engine) -> None:
    """As after a failover that lost it: the process still remembers what the database does not."""
    ada, gone, _ = [await engine.account(name) for name in ("ada", "gone", "gone")]
    await engine.change("DELETE FROM accounts WHERE account_id = 'gone'")
    assert await engine.account("gone") == gone
    batch = [Completion(account, "once", "print") for account in (gone, ada)]
    answers = await engine.submit(batch)
    assert [type(one) for one in answers] == [Unavailable, Answer]
    assert isinstance(await engine.complete("gone", "once"), Answer)
    await engine.assert_sound()


async def test_equal_scores_are_led_by_whoever_got_there_first(engine: Engine) -> None:
    for name in ("ada", "bob", "cy"):
        await engine.complete(name, "once")
    await engine.complete("cy", "often", "1")
    await engine.complete("ada", "often", "1")
    page = await engine.standings.page(Period("all-time", ""), offset=0, limit=10)
    assert [(entry.rank, entry.account_id, entry.score) for entry in page] == [
        (1, "cy", 10),
        (2, "ada", 10),
        (3, "bob", 7),
    ]


async def test_only_a_changed_top_ten_is_told(engine: Engine) -> None:
    every = frozenset({"all-time", "daily", "weekly"})
    for number in range(10):
        await engine.complete(f"p{number}", "once")
    assert engine.changes == [every] * 10
    await engine.complete("late", "daily")
    await engine.complete("late", "daily")
    assert engine.changes[10:] == [frozenset(), frozenset()]
    await engine.complete("p9", "daily")
    assert engine.changes[-1] == every


async def test_a_new_day_starts_an_empty_board_and_the_old_one_stays(engine: Engine) -> None:
    await engine.complete("ada", "once")
    saturday, sunday = Period("daily", "2026-11-21"), Period("daily", "2026-11-22")
    engine.clock.advance(days=1)
    assert await engine.standings.page(sunday, offset=0, limit=10) == []
    await engine.complete("bob", "once")
    names = {
        period: [one.account_id for one in await engine.standings.page(period, offset=0, limit=10)]
        for period in (saturday, sunday, Period("weekly", "2026-W47"))
    }
    assert list(names.values()) == [["ada"], ["bob"], ["ada", "bob"]]
    await engine.assert_sound()


async def test_a_clock_that_is_set_back_shows_no_half_day(engine: Engine) -> None:
    await engine.complete("ada", "once")
    engine.clock.advance(days=1)
    await engine.complete("bob", "once")
    engine.clock.advance(seconds=-86_400)
    await engine.complete("cy", "once")
    saturday = Period("daily", "2026-11-21")
    page = await engine.standings.page(saturday, offset=0, limit=10)
    assert [entry.account_id for entry in page] == ["ada", "cy"]


async def test_an_actions_new_points_never_change_the_past(engine: Engine) -> None:
    await engine.complete("ada", "often", "1")
    dearer = OFTEN._replace(points=50)
    await actions.load(engine.database, [dearer], actor_id="staff", clock=engine.clock)
    assert answered(await engine.complete("ada", "often", "2")).receipt.new_score == 53
    assert answered(await engine.complete("ada", "often", "1")).receipt.points == 3
    await engine.assert_sound()


async def test_a_batch_in_which_the_database_fails_is_not_acknowledged(engine: Engine) -> None:
    """The log cannot be written, so the score rows of the same transaction must not stay."""
    await engine.complete("ada", "often", "1")
    await engine.change("ALTER TABLE action_log RENAME TO gone")
    with pytest.raises(Unavailable):
        await engine.complete("ada", "often", "2")
    await engine.change("ALTER TABLE gone RENAME TO action_log")
    assert answered(await engine.complete("ada", "often", "2")).receipt.new_score == 6
    await engine.assert_sound()


Attempt = tuple[str, str, str | None, str]
attempts: st.SearchStrategy[Attempt] = st.tuples(
    st.sampled_from(["ada", "bob", "cy"]),
    st.sampled_from(["once", "daily", "often", "nothing"]),
    st.sampled_from([None, "1", "2", "3", "4"]),
    st.sampled_from(["", "", "other"]),
)


examples = count(1)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.lists(attempts, max_size=12)), max_size=5))
async def test_under_concurrent_duplicates_each_counts_exactly_once(
    engine: Engine, rounds: list[tuple[int, list[Attempt]]]
) -> None:
    """Every attempt is sent twice at once, in small batches; days pass in between."""
    example = next(examples)
    submissions = Submissions(
        engine.recorder.record, is_known=engine.accounts.is_known, max_batch=5
    )
    runner = asyncio.create_task(submissions.run())
    receipts: dict[tuple[str, str], object] = {}
    for days, batch in rounds:
        engine.clock.advance(days=days)
        twice: Sequence[Attempt] = [one for one in batch for _ in range(2)]
        completions = [
            Completion(await engine.account(f"{name} {example}"), action, f"{action} {body}", key)
            for name, action, key, body in twice
        ]
        answers = await asyncio.gather(
            *map(submissions.submit, completions), return_exceptions=True
        )
        for completion, answer in zip(completions, answers, strict=True):
            if isinstance(answer, Answer) and completion.idempotency_key:
                key = (completion.account.account_id, completion.idempotency_key)
                assert receipts.setdefault(key, answer.receipt) == answer.receipt
    await engine.assert_sound()
    submissions.close()
    await runner
