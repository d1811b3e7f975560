"""The publisher outlives a database that is away, and publishes when it is back."""

from __future__ import annotations

import anyio
import pytest

from scoreboard.board import Entry
from scoreboard.errors import Unavailable
from scoreboard.live.publisher import Publisher
from scoreboard.periods import Period
from tests.support.clock import FakeClock


class Flaky:
    """Standings that cannot be read at first."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def page(self, period: Period, *, offset: int, limit: int) -> list[Entry]:
        if self.failures:
            self.failures -= 1
            raise Unavailable
        return [Entry(1, "ada", "Ada", 5)]

    async def around(self, period: Period, account_id: str, reach: int) -> list[Entry]:
        return []


async def test_a_board_that_cannot_be_read_is_tried_again(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(Flaky(2), boards=["all-time"], clock=clock, interval=0.001)
    async with anyio.create_task_group() as tasks:
        publisher.start(tasks)
        publisher.changed(["all-time"])
        with anyio.fail_after(5):
            async for frame in publisher.hubs["all-time"].watch():
                if b"Ada" in frame.data:
                    break
        tasks.cancel_scope.cancel()
    assert caplog.text.count("trying again") == 1
