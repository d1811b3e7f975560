"""When a full garbage collection is begun: while the process is idle, and seldom."""

from __future__ import annotations

import pytest

from scoreboard.cli.garbage import EVERY, IDLE, OVERDUE, QUIET, SHARE, FullCollections

STEP = 0.1  # seconds between two ticks of the server


class Process:
    """A process with a clock of its own, which uses so much of a core."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.used = 7.0
        self.load = 0.0
        self.pause = 0.0
        self.collected_at: list[float] = []
        self._collections = FullCollections(
            now=lambda: self.now, used=lambda: self.used, collect=self._collect
        )

    def _collect(self) -> None:
        self.collected_at.append(self.now)
        self.now += self.pause
        self.used += self.pause

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            self.used += STEP * self.load
            self._collections.tick()


@pytest.fixture
def process() -> Process:
    return Process()


def test_an_idle_process_collects_now_and_then(process: Process) -> None:
    process.run(10 * EVERY)
    assert len(process.collected_at) in (9, 10)


def test_a_busy_one_waits_until_it_is_idle(process: Process) -> None:
    process.load = 2 * IDLE
    process.run(10 * EVERY)
    assert process.collected_at == []
    process.load = IDLE / 2
    process.run(2 * QUIET + 2 * STEP)
    assert len(process.collected_at) == 1


def test_one_that_is_never_idle_does_not_wait_for_ever(process: Process) -> None:
    process.load = 1.0
    process.run(OVERDUE + EVERY + 2 * QUIET)
    assert len(process.collected_at) == 1


def test_long_collections_are_as_many_times_rarer(process: Process) -> None:
    process.pause = 1.0
    process.run(20 / SHARE)
    assert 15 < len(process.collected_at) <= 20
