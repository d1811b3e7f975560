"""How soon and how often an action counts: start tokens, cooldowns, daily limits."""

from __future__ import annotations

import asyncio

import pytest

from scoreboard.errors import AlreadyCompleted, StartTokenInvalid, TooSoon
from scoreboard.ledger import actions
from scoreboard.ledger.actions import Action
from scoreboard.scoring.completion import Answer, Completion
from tests.support.engine import Engine

QUIZ = Action("quiz", "Quiz", "", 5, "unlimited", min_elapsed_seconds=60)
REST = Action("rest", "Rest", "", 5, "unlimited", cooldown_seconds=600)
THRICE = Action("thrice", "Thrice", "", 5, "unlimited", daily_limit=3)
ALL = Action("all", "All", "", 5, "unlimited", 60, 600, 3)
EXAM = Action("exam", "Exam", "", 5, "once", min_elapsed_seconds=60)


@pytest.fixture(autouse=True)
async def _loaded(engine: Engine) -> None:
    wanted = [QUIZ, REST, THRICE, ALL, EXAM]
    await actions.load(engine.database, wanted, actor_id="test", clock=engine.clock)


async def complete(
    engine: Engine, action: str, key: str, started_ms: int | None = None, name: str = "ada"
) -> Answer | Exception:
    account = await engine.account(name)
    one = Completion(account, action, action, key, started_ms=started_ms)
    (answer,) = await engine.submit([one])
    return answer


def assert_too_soon(answer: object, seconds: int) -> None:
    assert isinstance(answer, TooSoon), answer
    assert answer.retry_after == seconds


async def test_a_start_is_needed_and_its_time_has_to_pass(engine: Engine) -> None:
    assert isinstance(await complete(engine, "quiz", "1"), StartTokenInvalid)
    began = engine.clock()
    assert_too_soon(await complete(engine, "quiz", "1", began), 60)
    engine.clock.advance(seconds=59.001)
    assert_too_soon(await complete(engine, "quiz", "1", began), 1)
    engine.clock.advance(seconds=0.999)
    assert isinstance(await complete(engine, "quiz", "1", began), Answer)
    await engine.assert_sound()


async def test_a_start_counts_once(engine: Engine) -> None:
    began = engine.clock()
    engine.clock.advance(seconds=60)
    first = await complete(engine, "quiz", "1", began)
    assert isinstance(first, Answer)
    assert isinstance(await complete(engine, "quiz", "2", began), StartTokenInvalid)
    replay = await complete(engine, "quiz", "1")  # the key is looked up first
    assert isinstance(replay, Answer)
    assert replay.receipt == first.receipt


async def test_starts_in_store_do_not_add_up(engine: Engine) -> None:
    """Ten starts at once, one minute of waiting: that is one quiz, not ten."""
    stored = [engine.clock() + n for n in range(10)]
    engine.clock.advance(seconds=61)
    answers = [await complete(engine, "quiz", str(n), began) for n, began in enumerate(stored)]
    assert [type(one) for one in answers] == [Answer, *[StartTokenInvalid] * 9]
    began = engine.clock()
    engine.clock.advance(seconds=60)
    assert isinstance(await complete(engine, "quiz", "next", began), Answer)


async def test_rivals_with_one_start_count_once(engine: Engine) -> None:
    began = engine.clock()
    engine.clock.advance(seconds=60)
    ada = await engine.account("ada")
    batch = [Completion(ada, "quiz", "quiz", str(n), started_ms=began) for n in range(4)]
    answers = await asyncio.gather(*(engine.submit(batch[n:]) for n in range(4)))
    receipts = {one.receipt for answer in answers for one in answer if isinstance(one, Answer)}
    assert len(receipts) == 1
    await engine.assert_sound()


async def test_an_action_done_for_good_says_so_before_it_asks_for_a_start(engine: Engine) -> None:
    began = engine.clock()
    engine.clock.advance(seconds=60)
    assert isinstance(await complete(engine, "exam", "1", began), Answer)
    assert isinstance(await complete(engine, "exam", "2"), AlreadyCompleted)


async def test_a_cooldown_says_how_long_and_ends(engine: Engine) -> None:
    assert isinstance(await complete(engine, "rest", "1"), Answer)
    assert_too_soon(await complete(engine, "rest", "2"), 600)
    engine.clock.advance(seconds=599.5)
    assert_too_soon(await complete(engine, "rest", "2"), 1)
    assert isinstance(await complete(engine, "rest", "2", name="bob"), Answer)
    engine.clock.advance(seconds=0.5)
    assert isinstance(await complete(engine, "rest", "2"), Answer)
    await engine.assert_sound()


async def test_a_cooldown_may_last_a_year(engine: Engine) -> None:
    """In milliseconds that is more than 32 bits hold."""
    yearly = REST._replace(cooldown_seconds=actions.MAX_COOLDOWN)
    await actions.put(engine.database, yearly, actor_id="s", reason=None, now=engine.clock())
    assert isinstance(await complete(engine, "rest", "1"), Answer)
    assert_too_soon(await complete(engine, "rest", "2"), actions.MAX_COOLDOWN)
    engine.clock.advance(seconds=actions.MAX_COOLDOWN)
    assert isinstance(await complete(engine, "rest", "2"), Answer)


async def test_a_refusal_does_not_prolong_a_cooldown(engine: Engine) -> None:
    assert isinstance(await complete(engine, "rest", "1"), Answer)
    for _ in range(6):
        engine.clock.advance(seconds=100)
        last = await complete(engine, "rest", "2")
    assert isinstance(last, Answer)


async def test_a_daily_limit_ends_at_midnight_utc(engine: Engine) -> None:
    for number in range(3):
        assert isinstance(await complete(engine, "thrice", str(number)), Answer)
    assert_too_soon(await complete(engine, "thrice", "4"), 52_200)  # it is 9:30
    engine.clock.advance(seconds=52_200)
    for number in range(4, 7):
        assert isinstance(await complete(engine, "thrice", str(number)), Answer)
    assert_too_soon(await complete(engine, "thrice", "8"), 86_400)
    await engine.assert_sound()


async def test_rivals_get_no_more_than_the_day_holds(engine: Engine) -> None:
    ada = await engine.account("ada")
    single = [Completion(ada, "thrice", "t", f"single {n}") for n in range(10)]
    batch = [Completion(ada, "thrice", "t", f"batch {n}") for n in range(10)]
    answers = await asyncio.gather(*(engine.submit([one]) for one in single), engine.submit(batch))
    kinds = [type(one) for answer in answers for one in answer]
    assert (kinds.count(Answer), kinds.count(TooSoon)) == (3, 17)
    await engine.assert_sound()


async def test_all_limits_hold_together(engine: Engine) -> None:
    counted = 0
    for number in range(60):  # one try every two minutes, each with a fresh start
        began = engine.clock()
        engine.clock.advance(seconds=120)
        counted += isinstance(await complete(engine, "all", str(number), began), Answer)
    assert counted == 3
    await engine.assert_sound()


async def test_a_limit_that_is_new_looks_at_what_comes_after_it(engine: Engine) -> None:
    free = REST._replace(cooldown_seconds=None)
    await actions.put(engine.database, free, actor_id="s", reason=None, now=engine.clock())
    for number in range(3):
        assert isinstance(await complete(engine, "rest", str(number)), Answer)
    await actions.put(engine.database, REST, actor_id="s", reason=None, now=engine.clock())
    assert isinstance(await complete(engine, "rest", "3"), Answer)
    assert_too_soon(await complete(engine, "rest", "4"), 600)
