"""The sliding window: never more than the limit in any window, and honest about what is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreboard.errors import RateLimited
from scoreboard.identity import windows
from scoreboard.identity.limits import RateLimit
from scoreboard.identity.windows import BatchedWindows, LibraryWindows, SlidingLog, Windows
from scoreboard.settings import Rate


class Seconds:
    """A clock in seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


Counted = Callable[[SlidingLog], Windows]


@pytest.fixture(
    scope="module",
    params=[lambda own: LibraryWindows(own=own), lambda own: BatchedWindows(None, own)],
    ids=["by the library", "in batches"],
)
def counted(request: pytest.FixtureRequest) -> Counted:
    """The windows of one process, as each of the two counts in them."""
    made: Counted = request.param
    return made


@given(
    st.lists(st.tuples(st.floats(0, 25), st.sampled_from("ab")), max_size=80),
    st.integers(1, 5),
)
async def test_in_no_window_are_there_more_than_the_limit(
    counted: Counted, calls: list[tuple[float, str]], amount: int
) -> None:
    clock = Seconds()
    limit = RateLimit("test", Rate(amount, 60), counted(SlidingLog(clock)))
    accepted: dict[str, list[float]] = {"a": [], "b": []}
    for pause, key in calls:
        clock.now += pause
        allowed, allowance = await limit.hit(key)
        recent = [time for time in accepted[key] if time > clock.now - 60]
        assert allowed == (len(recent) < amount)
        if allowed:
            accepted[key].append(clock.now)
            recent.append(clock.now)
        assert allowance.remaining == amount - len(recent)
        assert clock.now + allowance.reset >= recent[0] + 60 > clock.now + allowance.reset - 1.001


async def test_a_storm_gets_exactly_the_limit_through(counted: Counted) -> None:
    limit = RateLimit("test", Rate(10, 60), counted(SlidingLog(Seconds())))
    hits = await asyncio.gather(*(limit.hit("a") for _ in range(100)))
    assert sum(allowed for allowed, _ in hits) == 10


async def test_a_refusal_says_when_to_come_back_and_that_is_true(counted: Counted) -> None:
    clock = Seconds()
    limit = RateLimit("test", Rate(2, 60), counted(SlidingLog(clock)))
    for _ in range(2):
        await limit.check("a", "slow down")
        clock.now += 7.5
    with pytest.raises(RateLimited) as caught:
        await limit.check("a", "slow down")
    assert caught.value.headers == {
        "Retry-After": "45",
        "RateLimit-Policy": '"default";q=2;w=60',
        "RateLimit": '"default";r=0;t=45',
    }
    clock.now += 45
    allowance = await limit.check("a", "slow down")
    assert allowance.remaining == 0


async def test_the_clock_on_the_wall_may_be_set_back() -> None:
    assert SlidingLog().clock is time.monotonic


async def test_callers_that_went_quiet_are_forgotten(counted: Counted) -> None:
    clock = Seconds()
    storage = SlidingLog(clock)
    limit = RateLimit("test", Rate(10, 60), counted(storage))
    for number in range(100):
        await limit.hit(f"caller {number}")
    clock.now += 61
    for _ in range(60):
        await limit.hit("another")
    assert len(storage) == 1


async def test_the_callers_are_bounded(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAX_KEYS", 5)
    storage = SlidingLog(Seconds())
    limit = RateLimit("test", Rate(10, 60), counted(storage))
    for number in range(50):
        await limit.hit(f"caller {number}")
    assert len(storage) == 5
