"""What one submission does to the others of its batch, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from scoreboard.errors import TimeLimitReached, Unavailable
from scoreboard.ledger.accounts import Account
from scoreboard.ledger.connection import RowError
from scoreboard.ledger.database import Lane
from scoreboard.scoring import submissions as submitting
from scoreboard.scoring.completion import Answer, Completion, Receipt, Submission
from scoreboard.scoring.log import LockedError, UnknownAccountError
from scoreboard.scoring.submissions import Submissions

Verdict = Callable[[Lane], Exception | None]


class Database:
    """Records batches, except for those accounts that `trouble` names an error for: an error that
    is one submission's own, or one that undoes the whole batch.
    """

    def __init__(self) -> None:
        self.batches: list[tuple[Lane, list[str]]] = []
        self.begun = asyncio.Semaphore(0)
        self.trouble: dict[str, Verdict] = {}
        self.known = {"ada", "bob", "cy", "dee"}

    async def record(self, batch: Sequence[Submission], lane: Lane) -> Sequence[Answer | Exception]:
        names = [one.account.account_id for one in batch]
        self.batches.append((lane, names))
        self.begun.release()
        await asyncio.sleep(0)
        told = [self.trouble.get(name, _none)(lane) for name in names]
        for error in told:
            if isinstance(error, TimeLimitReached) or (
                isinstance(error, RowError) and len(told) > 1
            ):
                raise error
        return [error or ANSWER for error in told]

    async def is_known(self, account_id: str) -> bool:
        return account_id in self.known


ANSWER = Answer(Receipt(1, "once", 7, 7, 0), 1)


def _none(lane: Lane) -> None:
    """It can be recorded."""


def always(error: Exception) -> Verdict:
    """Whichever connection it is recorded on."""
    return lambda _: error


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def submissions(database: Database) -> AsyncIterator[Submissions]:
    submissions = Submissions(database.record, is_known=database.is_known)
    running = asyncio.create_task(submissions.run())
    yield submissions
    submissions.close()
    await running


async def submit(submissions: Submissions, *names: str) -> list[object]:
    """All at once, so that they are one batch."""
    return await asyncio.gather(
        *(submissions.submit(Completion(Account(name, name), "once", "f")) for name in names),
        return_exceptions=True,
    )


def lanes_of(database: Database, name: str) -> list[tuple[Lane, int]]:
    """Where a name was tried, and with how many others."""
    return [(lane, len(names) - 1) for lane, names in database.batches if name in names]


async def test_one_batch_is_enough_for_everyone(
    database: Database, submissions: Submissions
) -> None:
    assert await submit(submissions, "ada", "bob", "cy") == [ANSWER] * 3
    assert database.batches == [("main", ["ada", "bob", "cy"])]


async def test_what_is_locked_is_tried_again_and_nobody_waits_for_it(
    database: Database, submissions: Submissions
) -> None:
    database.trouble["bob"] = always(LockedError())
    bob = asyncio.create_task(submissions.submit(Completion(Account("bob", "bob"), "once", "f")))
    assert await submit(submissions, "ada", "cy") == [ANSWER] * 2
    assert not bob.done()
    del database.trouble["bob"]
    assert await bob == ANSWER
    assert {lane for lane, _ in database.batches} == {"main"}


async def test_what_stays_locked_is_refused_when_its_time_is_up(database: Database) -> None:
    now = 0.0
    submissions = Submissions(database.record, is_known=database.is_known, clock=lambda: now)
    running = asyncio.create_task(submissions.run())
    database.trouble["bob"] = always(LockedError())
    bob = asyncio.create_task(submit(submissions, "bob"))
    for _ in range(3):
        await database.begun.acquire()
    now = 3.0
    (refused,) = await bob
    assert isinstance(refused, Unavailable)
    assert refused.retry_after >= 1
    submissions.close()
    await running


async def test_the_pauses_are_bounded_in_number(
    database: Database, submissions: Submissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "MAX_PAUSED", 1)
    database.trouble |= {name: always(LockedError()) for name in ("bob", "cy")}
    waiting = asyncio.create_task(submit(submissions, "bob"))
    await database.begun.acquire()
    ada, cy = await submit(submissions, "ada", "cy")
    assert ada == ANSWER
    assert isinstance(cy, Unavailable)
    database.trouble.clear()
    assert await waiting == [ANSWER]


async def test_a_slow_one_is_found_apart_and_starts_apart_from_then_on(
    database: Database, submissions: Submissions
) -> None:
    database.trouble["bob"] = lambda lane: None if lane == "patient" else TimeLimitReached()
    assert await submit(submissions, "ada", "bob", "cy") == [ANSWER] * 3
    assert lanes_of(database, "ada") == [("main", 2), ("aside", 2), ("aside", 0)]
    assert lanes_of(database, "bob") == [*lanes_of(database, "ada"), ("patient", 0)]
    database.batches.clear()
    assert await submit(submissions, "ada", "bob", "cy") == [ANSWER] * 3
    assert lanes_of(database, "bob") == [("patient", 0)]
    assert lanes_of(database, "ada") == lanes_of(database, "cy") == [("main", 1)]


async def test_a_lock_that_only_a_careful_batch_sees_holds_up_one_batch(
    database: Database, submissions: Submissions
) -> None:
    database.trouble["bob"] = lambda lane: TimeLimitReached() if lane == "main" else LockedError()
    bob = asyncio.create_task(submit(submissions, "bob"))
    assert await submit(submissions, "ada", "cy") == [ANSWER] * 2
    again = asyncio.create_task(submit(submissions, "bob"))
    assert await submit(submissions, "ada", "cy") == [ANSWER] * 2
    assert [lane for lane, _ in lanes_of(database, "bob")].count("main") == 1
    database.trouble.clear()
    assert await bob == await again == [ANSWER]
    assert await submit(submissions, "bob") == [ANSWER]
    assert lanes_of(database, "bob")[-1] == ("main", 0), "it is well again"


async def test_an_account_that_was_slow_joins_the_others_again(database: Database) -> None:
    now = 0.0
    submissions = Submissions(database.record, is_known=database.is_known, clock=lambda: now)
    running = asyncio.create_task(submissions.run())
    database.trouble["bob"] = always(TimeLimitReached())
    (refused,) = await submit(submissions, "bob")
    assert isinstance(refused, Unavailable)
    database.trouble.clear()
    assert await submit(submissions, "bob") == [ANSWER]
    assert lanes_of(database, "bob")[-1] == ("patient", 0)
    now = submitting.APART_FOR
    assert await submit(submissions, "bob") == [ANSWER]
    assert lanes_of(database, "bob")[-1] == ("main", 0)
    submissions.close()
    await running


async def test_a_refused_row_fails_alone(database: Database, submissions: Submissions) -> None:
    database.trouble["bob"] = always(RowError("bad"))
    ada, bob, cy = await submit(submissions, "ada", "bob", "cy")
    assert ada == cy == ANSWER
    assert isinstance(bob, RowError)
    assert "patient" not in {lane for lane, _ in database.batches}


@pytest.mark.parametrize("error", [UnknownAccountError(), RowError("no such account")])
async def test_an_account_that_is_gone_is_refused_alone(
    database: Database, submissions: Submissions, error: Exception
) -> None:
    database.known.remove("bob")
    database.trouble["bob"] = always(error)
    ada, bob = await submit(submissions, "ada", "bob")
    assert ada == ANSWER
    assert isinstance(bob, Unavailable)


async def test_what_is_remembered_is_bounded(
    database: Database, submissions: Submissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "MAX_APART", 2)
    database.trouble |= {name: always(TimeLimitReached()) for name in ("ada", "bob", "cy", "dee")}
    for name in database.trouble:
        await submit(submissions, name)
    assert list(submissions._apart) == ["cy", "dee"]


async def test_a_caller_that_leaves_during_a_pause_takes_its_submission_along(
    database: Database, submissions: Submissions
) -> None:
    database.trouble["bob"] = always(LockedError())
    bob = asyncio.create_task(submit(submissions, "bob"))
    await database.begun.acquire()
    bob.cancel()
    await asyncio.gather(bob, return_exceptions=True)
    tried = len(database.batches)
    database.trouble.clear()
    assert await submit(submissions, "ada") == [ANSWER]
    assert len(database.batches) <= tried + 1
    assert submissions._paused == 0
