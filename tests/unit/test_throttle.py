"""The throttle: first at once, then at most once an interval, and never without the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest

from scoreboard.live.throttle import Throttle
from tests.support.clock import Naps


class Board:
    """Counts up; the throttle publishes what it reads."""

    def __init__(self) -> None:
        self.state = 0
        self.published: list[int] = []

    async def publish(self) -> bool:
        is_new = self.published[-1:] != [self.state]
        self.published.append(self.state)
        return is_new


@pytest.fixture
async def naps() -> Naps:
    return Naps()


@pytest.fixture
async def board() -> Board:
    return Board()


@pytest.fixture
async def throttle(board: Board, naps: Naps) -> AsyncIterator[Throttle]:
    throttle = Throttle(board.publish, 0.5, sleep=naps.sleep)
    task = asyncio.create_task(throttle.run())
    yield throttle
    task.cancel()
    await asyncio.wait([task])


async def test_the_first_change_goes_out_at_once(
    throttle: Throttle, board: Board, naps: Naps
) -> None:
    board.state = 1
    throttle.poke()
    assert await naps.taken() == 0.5
    assert board.published == [1]


async def test_changes_within_the_interval_are_one_and_the_newest(
    throttle: Throttle, board: Board, naps: Naps
) -> None:
    throttle.poke()
    await naps.taken()
    for state in (1, 2, 3):
        board.state = state
        throttle.poke()
    await anyio.wait_all_tasks_blocked()
    assert board.published == [0]
    naps.wake()
    await naps.taken()
    assert board.published == [0, 3]


async def test_nothing_goes_out_without_a_change(
    throttle: Throttle, board: Board, naps: Naps
) -> None:
    throttle.poke()
    await naps.taken()
    naps.wake()
    await anyio.wait_all_tasks_blocked()
    assert board.published == [0]
    assert naps.none_taken
    throttle.poke()
    assert await naps.taken() == 0.05  # there was nothing new: the next change hardly waits
    assert board.published == [0, 0]


async def test_a_change_while_publishing_is_not_lost(naps: Naps) -> None:
    published: list[int] = []
    throttle: Throttle

    async def publish() -> bool:
        published.append(len(published))
        if len(published) == 1:
            throttle.poke()
        return True

    throttle = Throttle(publish, 0.5, sleep=naps.sleep)
    task = asyncio.create_task(throttle.run())
    throttle.poke()
    await naps.taken()
    naps.wake()
    await naps.taken()
    assert published == [0, 1]
    task.cancel()
    await asyncio.wait([task])
