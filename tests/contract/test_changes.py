"""What trusted backends and staff write: increments, adjustments, voids, and who is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from scoreboard import periods
from scoreboard.errors import IdempotencyKeyReused, NotFound, RequestError, SignatureInvalid
from scoreboard.ledger import actions, audit
from scoreboard.ledger.actions import Action
from scoreboard.periods import BOARDS, Period
from scoreboard.scoring.completion import Answer, Change, Completion
from scoreboard.scoring.rebuild import rebuild
from tests.support.engine import ONCE, Engine


def answered(answer: Answer | Exception) -> Answer:
    assert isinstance(answer, Answer), answer
    return answer


async def test_an_increment_is_a_row_without_an_action(engine: Engine) -> None:
    await engine.complete("ada", "once")
    answer = answered(await engine.write("increment", "ada", points=5, idempotency_key="k"))
    assert answer.to_json() == {
        "success": True,
        "completionId": "2",
        "actionId": None,
        "pointsEarned": 5,
        "newScore": 12,
        "completedAt": "2026-11-21T09:30:00.000Z",
        "rank": 1,
    }
    for board in BOARDS:
        assert await engine.top(board) == [("ada", 12)]
    assert await audit.page(engine.database, size=10) == await _trail_of(engine, "action_created")
    await engine.assert_sound()


async def _trail_of(engine: Engine, change: str) -> list[audit.Noted]:
    return [one for one in await audit.page(engine.database, size=50) if one.change == change]


async def test_a_key_belongs_to_who_calls(engine: Engine) -> None:
    """Not to the player: one backend's key says nothing about another's, nor about the player's."""
    first = answered(await engine.write("increment", "ada", "shop", points=5, idempotency_key="k"))
    again = answered(await engine.write("increment", "ada", "shop", points=5, idempotency_key="k"))
    assert again.replayed
    assert again.receipt == first.receipt
    for other in (
        await engine.write("increment", "bob", "shop", points=5, idempotency_key="k"),
        await engine.write("adjustment", "ada", "shop", points=5, idempotency_key="k"),
        await engine.complete("shop", "often", "k"),
    ):
        assert isinstance(other, IdempotencyKeyReused)
    for free in (
        await engine.write("increment", "ada", "game", points=5, idempotency_key="k"),
        await engine.complete("ada", "often", "k"),
    ):
        assert not answered(free).replayed
    await engine.assert_sound()


async def test_a_signature_counts_once_whoever_sends_it(engine: Engine) -> None:
    """Another backend with a token of its own cannot play back what one has signed."""
    signed = {"points": 5, "idempotency_key": "k", "signature": "5" * 64}
    first = answered(await engine.write("increment", "ada", "shop", **signed))
    assert isinstance(await engine.write("increment", "ada", "thief", **signed), SignatureInvalid)
    assert isinstance(await engine.write("increment", "bob", "thief", **signed), SignatureInvalid)
    again = answered(await engine.write("increment", "ada", "shop", **signed))
    assert again.receipt == first.receipt
    ada = await engine.account("ada")
    batch = [
        Change("increment", ada, actor, "f", "k2", points=5, signature="6" * 64)
        for actor in ("shop", "thief", "shop")
    ]
    kinds = [type(one) for one in await engine.submit(batch)]
    assert kinds == [Answer, SignatureInvalid, Answer]
    await engine.assert_sound()


async def test_an_adjustment_can_take_and_its_reason_is_kept(engine: Engine) -> None:
    await engine.complete("ada", "once")
    await engine.complete("bob", "daily")
    answer = answered(await engine.write("adjustment", "ada", points=-3, reason="bought it"))
    assert (answer.receipt.points, answer.receipt.new_score, answer.rank) == (-3, 4, 2)
    assert await engine.top() == [("bob", 5), ("ada", 4)]
    (noted,) = await _trail_of(engine, "adjustment")
    assert noted.to_json() == {
        "id": noted.to_json()["id"],
        "at": "2026-11-21T09:30:00.000Z",
        "actor": "staff",
        "change": "adjustment",
        "subject": "ada",
        "reason": "bought it",
        "detail": {"completionId": str(answer.receipt.log_id), "points": -3},
    }
    await engine.assert_sound()


async def test_a_total_below_one_has_no_place_and_comes_back(engine: Engine) -> None:
    await engine.complete("ada", "once")
    for points, place in ((-7, None), (-1, None), (2, 1)):
        answer = answered(await engine.write("adjustment", "ada", points=points, reason="test"))
        assert answer.rank == place
        await engine.assert_sound()
    kept = await engine.standings.kept(Period("all-time", ""), "ada")
    assert kept == (1, False)


async def test_a_void_reverses_exactly_once(engine: Engine) -> None:
    await engine.complete("bob", "daily")
    first = answered(await engine.complete("ada", "once"))
    void = answered(await engine.write("void", "ada", voids=first.receipt.log_id, reason="cheated"))
    assert not void.replayed
    assert void.receipt.action_id == "once"
    assert (void.receipt.points, void.receipt.new_score, void.rank) == (-7, 0, None)
    again = answered(
        await engine.write("void", "ada", "boss", voids=first.receipt.log_id, reason="again")
    )
    assert again.replayed
    assert again.receipt == void.receipt
    assert len(await _trail_of(engine, "void")) == 1
    assert await engine.top() == [("bob", 5)]
    assert isinstance(await engine.complete("ada", "once"), RequestError), "the slot stays used"
    await engine.assert_sound()


async def test_a_void_changes_the_day_and_the_week_of_what_it_reverses(engine: Engine) -> None:
    first = answered(await engine.complete("ada", "once"))
    await engine.complete("bob", "once")
    engine.clock.advance(days=3)  # another day, and another week
    await engine.complete("ada", "daily")
    await engine.complete("bob", "daily")
    await engine.write("void", "ada", voids=first.receipt.log_id, reason="late")
    past = [Period("daily", "2026-11-21"), Period("weekly", "2026-W47")]
    for period in past:
        page = await engine.standings.page(period, offset=0, limit=10)
        assert [(entry.account_id, entry.score) for entry in page] == [("bob", 7)]
    for board in ("daily", "weekly"):
        assert await engine.top(board) == [("ada", 5), ("bob", 5)]
    assert await engine.top() == [("bob", 12), ("ada", 5)]
    await engine.assert_sound()


async def test_only_what_gave_points_can_be_voided(engine: Engine) -> None:
    given = [
        answered(await engine.write("increment", "ada", points=5)),
        answered(await engine.write("adjustment", "ada", points=-2, reason="r")),
    ]
    voids = [
        answered(await engine.write("void", "ada", voids=one.receipt.log_id, reason="r"))
        for one in given
    ]
    assert [one.receipt.points for one in voids] == [-5, 2]
    hidden = answered(await engine.write("hide", "ada", reason="r"))
    for log_id in (voids[0].receipt.log_id, hidden.receipt.log_id, 10**15):
        assert isinstance(await engine.write("void", "ada", voids=log_id, reason="r"), NotFound)
    other = answered(await engine.complete("bob", "once"))
    wrong = await engine.write("void", "ada", voids=other.receipt.log_id, reason="r")
    assert isinstance(wrong, NotFound), "it is another player's"
    await engine.assert_sound()


async def test_rivals_void_once(engine: Engine) -> None:
    first = answered(await engine.complete("ada", "once"))
    answers = await asyncio.gather(
        *(
            engine.write("void", "ada", f"staff {n}", voids=first.receipt.log_id, reason="r")
            for n in range(8)
        )
    )
    receipts = {answered(one).receipt for one in answers}
    assert len(receipts) == 1
    assert [answered(one).replayed for one in answers].count(False) == 1
    await engine.assert_sound()


async def test_hidden_is_off_every_board_at_once_and_the_score_goes_on(engine: Engine) -> None:
    await engine.complete("ada", "once")
    await engine.complete("bob", "daily")
    engine.changes.clear()
    answer = answered(await engine.write("hide", "ada", reason="a bot"))
    assert (answer.receipt.new_score, answer.rank) == (7, None)
    assert engine.changes == [frozenset(BOARDS)], "every stream is told"
    for board in BOARDS:
        assert await engine.top(board) == [("bob", 5)]
        period = periods.current(board, engine.clock())
        assert await engine.standings.around(period, "ada", 2) == []
        assert await engine.standings.kept(period, "ada") == (7, True)
    more = answered(await engine.complete("ada", "often", "k"))
    assert (more.receipt.new_score, more.rank) == (10, None)
    assert await engine.top() == [("bob", 5)]
    await engine.assert_sound()

    back = answered(await engine.write("unhide", "ada", reason="a fast player"))
    assert (back.receipt.new_score, back.rank) == (10, 1)
    for board in BOARDS:
        assert await engine.top(board) == [("ada", 10), ("bob", 5)]
    trail = await audit.page(engine.database, size=2)
    assert [(one.change, one.subject, one.reason) for one in trail] == [
        ("unhide", "ada", "a fast player"),
        ("hide", "ada", "a bot"),
    ]
    await engine.assert_sound()


async def test_hidden_is_off_the_boards_of_the_past_too(engine: Engine) -> None:
    await engine.complete("ada", "once")
    await engine.complete("bob", "once")
    engine.clock.advance(days=8)
    await engine.write("hide", "ada", reason="r")
    for period in (Period("daily", "2026-11-21"), Period("weekly", "2026-W47")):
        page = await engine.standings.page(period, offset=0, limit=10)
        assert [entry.account_id for entry in page] == ["bob"]
    await engine.assert_sound()


async def test_equal_scores_keep_their_order_over_a_hiding(engine: Engine) -> None:
    for name in ("ada", "bob", "cy"):
        await engine.complete(name, "once")
    await engine.write("hide", "ada", reason="r")
    await engine.write("unhide", "ada", reason="r")
    assert [name for name, _ in await engine.top()] == ["ada", "bob", "cy"]
    assert await rebuild(engine.database, BOARDS, engine.clock) == 0
    await engine.assert_sound()


async def test_hiding_twice_or_nobody_changes_nothing(engine: Engine) -> None:
    await engine.account("newcomer")
    for kind in ("hide", "hide", "unhide", "unhide"):
        answered(await engine.write(kind, "newcomer", reason="r"))
        await engine.assert_sound()
    assert isinstance(await engine.complete("newcomer", "once"), Answer)
    assert await engine.top() == [("newcomer", 7)]


async def test_a_batch_of_everything_gives_each_its_own_answer(engine: Engine) -> None:
    ada, bob, _ = [await engine.account(name) for name in ("ada", "bob", "staff")]
    batch: Sequence[Completion | Change] = [
        Completion(ada, "once", "1"),
        Change("hide", ada, "staff", "2", reason="r"),
        Completion(ada, "often", "3", "k"),
        Completion(bob, "once", "4"),
        Change("increment", ada, "staff", "5", "k", points=2, signature="a" * 64),
        Change("unhide", ada, "staff", "6", reason="r"),
        Change("adjustment", bob, "staff", "7", points=-1, reason="r"),
        Change("adjustment", bob, "staff", "8", "k", points=-1, reason="r"),
        Change("hide", bob, "staff", "9", reason="r"),
    ]
    answers = await engine.submit(batch)
    assert [
        (one.receipt.new_score, one.rank) if isinstance(one, Answer) else type(one)
        for one in answers
    ] == [
        (7, 1),
        (7, 1),
        (10, 1),
        (7, None),
        (12, 1),
        (12, 1),
        (6, None),
        IdempotencyKeyReused,
        (6, None),
    ]
    assert await engine.top() == [("ada", 12)]
    await engine.assert_sound()


async def test_a_board_that_missed_a_hiding_is_mended_by_the_sweep(engine: Engine) -> None:
    """As when a process dies between its commit and its board, or the command line wrote it."""
    await engine.complete("ada", "once")
    await engine.complete("bob", "once")
    await engine.sweep.look()
    ada = await engine.account("ada")
    await engine.log.append([Change("hide", ada, "staff", "f", reason="r")])
    await engine.sweep.look()
    assert await engine.top() == [("bob", 7)]
    await engine.log.append([Change("unhide", ada, "staff", "f", reason="r")])
    await engine.sweep.look()
    assert await engine.top() == [("ada", 7), ("bob", 7)]
    await engine.assert_sound()


async def test_a_board_that_is_loaded_anew_shows_nobody_hidden(engine: Engine) -> None:
    await engine.complete("ada", "once")
    await engine.write("hide", "ada", reason="r")
    await engine.lose_board()
    await engine.sweep.look()
    assert await engine.top() == []
    await engine.assert_sound()


async def test_a_rebuild_leaves_corrections_and_hidings_as_they_are(engine: Engine) -> None:
    first = answered(await engine.complete("ada", "once"))
    await engine.complete("bob", "once")
    await engine.write("hide", "bob", reason="r")
    engine.clock.advance(days=2)
    await engine.write("void", "ada", voids=first.receipt.log_id, reason="r")
    await engine.write("adjustment", "ada", points=4, reason="r")
    assert await rebuild(engine.database, BOARDS, engine.clock) == 0
    await engine.change("UPDATE scores SET total = 99")
    assert await rebuild(engine.database, BOARDS, engine.clock) > 0
    await engine.sweep.look()
    assert await engine.top() == [("ada", 4)]
    await engine.assert_sound()


async def test_actions_are_changed_for_the_future_alone_and_noted(engine: Engine) -> None:
    before = answered(await engine.complete("ada", "once"))
    dearer = ONCE._replace(points=20)
    for _ in range(2):  # again, it changes nothing
        await actions.put(
            engine.database, dearer, actor_id="staff", reason="sale", now=engine.clock()
        )
    assert answered(await engine.complete("bob", "once")).receipt.points == 20
    assert isinstance(again := await engine.complete("ada", "once"), RequestError)
    assert again.extra["completion"]["pointsEarned"] == before.receipt.points == 7
    (noted,) = await _trail_of(engine, "action_changed")
    assert noted.detail == {"before": ONCE.to_json(), "after": dearer.to_json()}
    assert noted.reason == "sale"
    await engine.assert_sound()


async def test_a_retired_action_is_gone_for_newcomers_and_can_come_back(engine: Engine) -> None:
    first = answered(await engine.complete("ada", "once", "k"))
    for _ in range(2):
        retired = await actions.retire(
            engine.database, "once", actor_id="staff", reason=None, now=engine.clock()
        )
        assert retired == ONCE
    assert ONCE not in await actions.listed(engine.database)
    assert isinstance(await engine.complete("bob", "once"), RequestError)
    replay = answered(await engine.complete("ada", "once", "k"))
    assert replay.receipt == first.receipt, "the key is looked up before the retirement"
    await actions.put(engine.database, ONCE, actor_id="staff", reason=None, now=engine.clock())
    assert answered(await engine.complete("bob", "once")).receipt.points == 7
    trail = await audit.page(engine.database, size=2)
    assert [one.change for one in trail] == ["action_changed", "action_retired"]


async def test_an_action_that_never_was_cannot_be_retired(engine: Engine) -> None:
    assert (
        await actions.retire(engine.database, "no", actor_id="s", reason=None, now=engine.clock())
        is None
    )


@pytest.mark.parametrize("size", [1, 2, 50])
async def test_the_trail_is_read_in_pages(engine: Engine, size: int) -> None:
    wanted = [Action(f"a{n}", "A", "", 1, "once") for n in range(5)]
    await actions.load(engine.database, wanted, actor_id="staff", clock=engine.clock)
    seen: list[str] = []
    before = audit.NEWEST
    while page := await audit.page(engine.database, before=before, size=size):
        seen += [one.subject for one in page]
        before = page[-1].audit_id
    assert seen == ["a4", "a3", "a2", "a1", "a0", "often", "daily", "once"]
