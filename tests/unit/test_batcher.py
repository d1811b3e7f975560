"""Group commit, without any I/O."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import anyio
import pytest

from scoreboard.batcher import Batcher
from scoreboard.errors import Unavailable


class Store:
    """A flush that the test lets go on batch by batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Semaphore(0)
        self.go_on = asyncio.Semaphore(0)
        self.fails: Exception | None = None

    async def flush(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.begun.release()
        await self.go_on.acquire()
        if self.fails:
            raise self.fails
        return [ValueError("odd") if item % 2 else item * 10 for item in items]


@pytest.fixture
async def store() -> Store:
    return Store()


@pytest.fixture
async def batcher(store: Store) -> AsyncIterator[Batcher[int, int]]:
    batcher = Batcher(store.flush, max_batch=3, max_waiting=4)
    task = asyncio.create_task(batcher.run())
    yield batcher
    for _ in range(10):
        store.go_on.release()
    batcher.close()
    await task


async def settle() -> None:
    """Let every task that can go on do so."""
    await anyio.wait_all_tasks_blocked()


async def test_an_idle_batcher_carries_one_item_out_at_once(
    store: Store, batcher: Batcher[int, int]
) -> None:
    store.go_on.release()
    assert await batcher.submit(4) == 40
    assert store.batches == [[4]]


async def test_what_arrives_during_a_batch_is_the_next_batch_in_order(
    store: Store, batcher: Batcher[int, int]
) -> None:
    answers = [asyncio.create_task(batcher.submit(item)) for item in (2,)]
    await store.begun.acquire()
    answers += [asyncio.create_task(batcher.submit(item)) for item in (4, 6, 8)]
    await settle()
    store.go_on.release()
    await store.begun.acquire()
    store.go_on.release()
    assert await asyncio.gather(*answers) == [20, 40, 60, 80]
    assert store.batches == [[2], [4, 6, 8]]


async def test_a_batch_is_bounded(store: Store, batcher: Batcher[int, int]) -> None:
    answers = [asyncio.create_task(batcher.submit(item)) for item in (2, 4, 6, 8)]
    for _ in range(2):
        store.go_on.release()
    await asyncio.gather(*answers)
    assert store.batches == [[2, 4, 6], [8]]


async def test_a_bad_item_fails_alone(store: Store, batcher: Batcher[int, int]) -> None:
    store.go_on.release()
    answers = await asyncio.gather(*map(batcher.submit, (2, 3, 4)), return_exceptions=True)
    assert [answers[0], answers[2]] == [20, 40]
    assert isinstance(answers[1], ValueError)


async def test_a_failed_batch_fails_for_everyone_in_it_and_nobody_else(
    store: Store, batcher: Batcher[int, int]
) -> None:
    store.fails = Unavailable("the database is away")
    store.go_on.release()
    answers = await asyncio.gather(*map(batcher.submit, (2, 4)), return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    store.fails = None
    store.go_on.release()
    assert await batcher.submit(6) == 60


async def test_a_full_queue_refuses_at_once(store: Store, batcher: Batcher[int, int]) -> None:
    first = asyncio.create_task(batcher.submit(2))
    await store.begun.acquire()
    waiting = [asyncio.create_task(batcher.submit(item)) for item in (4, 6, 8, 10)]
    await settle()
    with pytest.raises(Unavailable):
        await batcher.submit(12)
    for _ in range(3):
        store.go_on.release()
    assert await asyncio.gather(first, *waiting) == [20, 40, 60, 80, 100]


async def test_a_caller_that_leaves_before_its_batch_takes_its_item_along(
    store: Store, batcher: Batcher[int, int]
) -> None:
    first = asyncio.create_task(batcher.submit(2))
    await store.begun.acquire()
    leaver, stayer = (asyncio.create_task(batcher.submit(item)) for item in (4, 6))
    await settle()
    leaver.cancel()
    for _ in range(2):
        store.go_on.release()
    assert [await first, await stayer] == [20, 60]
    assert store.batches == [[2], [6]]


async def test_a_caller_that_leaves_during_its_batch_does_not_disturb_it(
    store: Store, batcher: Batcher[int, int]
) -> None:
    leaver, stayer = (asyncio.create_task(batcher.submit(item)) for item in (2, 4))
    await store.begun.acquire()
    leaver.cancel()
    await settle()
    store.go_on.release()
    assert await stayer == 40
    assert store.batches == [[2, 4]]


async def test_who_waits_too_long_for_a_batch_is_told_so(store: Store) -> None:
    now = 0.0
    batcher = Batcher(store.flush, max_wait=3.0, clock=lambda: now)
    task = asyncio.create_task(batcher.run())
    first = asyncio.create_task(batcher.submit(2))
    await store.begun.acquire()
    late = asyncio.create_task(batcher.submit(4))
    await settle()
    now = 2.0
    in_time = asyncio.create_task(batcher.submit(6))
    await settle()
    now = 3.5
    for _ in range(2):
        store.go_on.release()
    assert [await first, await in_time] == [20, 60]
    with pytest.raises(Unavailable):
        await late
    batcher.close()
    await task


async def test_closing_records_what_waits_and_takes_nothing_more(store: Store) -> None:
    batcher = Batcher(store.flush)
    task = asyncio.create_task(batcher.run())
    first = asyncio.create_task(batcher.submit(2))
    await store.begun.acquire()
    waiting = asyncio.create_task(batcher.submit(4))
    await settle()
    batcher.close()
    batcher.close()
    with pytest.raises(Unavailable):
        await batcher.submit(6)
    for _ in range(2):
        store.go_on.release()
    assert [await first, await waiting] == [20, 40]
    await task


async def test_cancelling_leaves_nobody_waiting(store: Store) -> None:
    batcher = Batcher(store.flush)
    task = asyncio.create_task(batcher.run())
    first = asyncio.create_task(batcher.submit(2))
    await store.begun.acquire()
    waiting = asyncio.create_task(batcher.submit(4))
    await settle()
    task.cancel()
    answers = await asyncio.gather(first, waiting, batcher.run(), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable, type(None)]
    with pytest.raises(Unavailable):
        await batcher.submit(6)


async def test_closing_an_idle_batcher_ends_it(store: Store) -> None:
    batcher = Batcher(store.flush)
    batcher.close()
    await batcher.run()
    assert store.batches == []
